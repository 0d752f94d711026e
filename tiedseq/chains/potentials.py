"""Log-potentials of states, computed from a sequence by whatever has free values and a gradient, such as a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Alphabet
from tiedseq.errors import ModelError
from tiedseq.specification import Parameter

from .emissions import Batch
from .tables import Floats, Index, Likelihoods


class Potentials(Protocol):
    """What an HMM asks of what computes a number for every state at every position of a sequence.

    It is the structure alone: values are given to it, as one flat vector.
    """

    n_channels: int  # of a position, letters or numbers
    initial: Floats  # (n,): starting values

    def sequence(self, X: Any) -> NDArray[Any]:
        """Return one sequence of numbers as an array with a row a position. SequenceError where it is none."""

    def observe(self, values: NDArray[Any], ends: Index) -> Any:
        """Return sequences, which stand one after the other, as `forward` takes them."""

    def forward(self, values: Floats, observed: Any, first: int) -> tuple[Floats, Any]:
        """Return the log-potentials (positions, states), and what `backward` needs.

        Raises SequenceError for a sequence that does not fit, by its number; that of the first is given.
        """

    def backward(self, values: Floats, memory: Any, gradient: Floats) -> Floats:
        """Return d objective / d value from d objective / d log-potential."""

    def penalty(self, values: Floats) -> tuple[float, Floats]:
        """Return what is taken from the objective, and its gradient."""

    def draw(self, generator: np.random.Generator) -> Floats:
        """Return values for a restart."""

    def by_label(self, values: Floats) -> dict[str, Any]: ...

    def describe(self, values: Floats) -> Iterator[Parameter]: ...

    def at(self, values: Floats) -> PotentialSource:
        """Return where the potentials came from, with these as starting values."""


@runtime_checkable
class PotentialSource(Protocol):
    """What takes the place of emissions: it makes potentials once the states are known."""

    @property
    def alphabet(self) -> Alphabet | None:
        """That of sequences of letters; None for sequences of numbers."""

    def potentials(self, states: Sequence[str]) -> Potentials:
        """Return the potentials of these states, in this order. ModelError where it has none for them."""

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, with its starting values, as a dictionary for JSON."""


class Computed(NamedTuple):
    """Log-potentials that are known already, in the place of what they are computed from."""

    logs: Floats


_LARGEST = 1e100  # of a potential: sums along a path stay finite


def _too_large(what: str) -> ModelError:
    return ModelError(
        f"The network's {what} are not all finite, or beyond {_LARGEST:g}; its weights or the numbers that come in are "
        "too large: scale the input, start from other values, or give nn.Emissions a decay."
    )


class PotentialEmissions:
    """Potentials at one set of values, in the place of emission probabilities."""

    def __init__(self, potentials: Potentials, values: Floats) -> None:
        self.potentials, self.values = potentials, values

    def forward(self, batch: Batch) -> tuple[Floats, Any]:
        """Return the log-potentials of a batch (letters, states), and what `backward` needs.

        Raises ModelError where they are not finite, or so large that sums of them would not be.
        """
        with np.errstate(all="ignore"):  # what overflows is named below
            logs, memory = self.potentials.forward(self.values, batch.observations, batch.first)
        if not (np.abs(logs) < _LARGEST).all():
            raise _too_large("outputs")
        return logs, memory

    def backward(self, memory: Any, gradient: Floats) -> Floats:
        """Return d objective / d value. Raises ModelError where it is not finite."""
        with np.errstate(all="ignore"):
            found = self.potentials.backward(self.values, memory, gradient)
        if not np.isfinite(found).all():
            raise _too_large("derivatives")
        return found

    def likelihoods(self, batch: Batch) -> Likelihoods:
        known = batch.observations
        logs = known.logs if isinstance(known, Computed) else self.forward(batch)[0]
        if batch.allowed is not None:
            logs = np.where(batch.allowed, logs, -np.inf)
        return Likelihoods.of_logarithms(logs, np.arange(len(logs), dtype=np.int32))

    def statistics(self, batch: Batch, used: Floats) -> Floats:
        """Return the derivative of ln of the summed potentials of paths: there are no counts to estimate from."""
        return self.backward(self.forward(batch)[1], used)
