"""What every layer does: takes a signal, knows its weights, goes forward and exactly backward."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError

from .signal import Batch, Signal
from .weights import Weight

Array = NDArray[Any]


class Layer(ABC):
    """A map from batches to batches, with weights.

    A layer is described first, and takes its place in a network when the network is made: `place` gets the signal that
    comes in, makes the weights, and returns the signal that goes out. It holds no values: `forward` and `backward` are
    functions of the arrays they are given, so that threads share nothing. A layer of your own defines `_place`,
    `forward` and `backward`.

    Attributes
    ----------
    given : (tuple, dict)
        The arguments of the constructor, by position and by name: what a model file says of the layer.
    weights : tuple of Weight
        Arrays whose entries are tied, and how they start; from `place` on.
    input, output : Signal or None
        What comes in and goes out; from `place` on.

    Examples
    --------
    >>> from tiedseq import nn
    >>> class Cube(nn.Layer):
    ...     def _place(self, signal):
    ...         signal.need_numbers(repr(self))
    ...         return signal  # an odd function of every number keeps any symmetry
    ...     def forward(self, weights, batch, random=None):
    ...         return batch.with_values(batch.values**3), batch.values
    ...     def backward(self, weights, memory, gradient):
    ...         return gradient * 3 * memory**2, []
    >>> nn.Sequential(Cube(), input=nn.Signal(2, positions=False))([2, -1])
    array([ 8., -1.], dtype=float32)
    """

    given: tuple[tuple[Any, ...], dict[str, Any]]
    weights: tuple[Weight, ...] = ()
    input: Signal | None = None
    output: Signal | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        layer = super().__new__(cls)
        layer.given = _kept(args), {name: _kept(entry) for name, entry in kwargs.items()}
        return layer

    def place(self, signal: Signal) -> Signal:
        """Take the incoming signal, make the weights, and return the outgoing one.

        Raises
        ------
        ArgumentError
            The layer already has its place.
        ModelError
            The layer does not fit the signal, or would not keep its symmetry.
        """
        if self.input is not None:
            raise ArgumentError(
                f"{self!r} is used twice. To apply one set of weights several times use nn.Repeat; else make two."
            )
        outgoing = self._place(signal)
        self.input, self.output = signal, outgoing
        return outgoing

    def release(self) -> None:
        """Give up its place, where the network could not be made: the layer may have one in another."""
        self.input = self.output = None

    @abstractmethod
    def _place(self, signal: Signal) -> Signal:
        """Set `weights`, and return the outgoing signal."""

    @abstractmethod
    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        """Return the outgoing batch, and what `backward` needs.

        Parameters
        ----------
        weights : arrays
            One for each of `self.weights`, expanded, in the dtype to compute in.
        batch : Batch
            Values are zero beyond the ends of sequences, and must be so in what is returned.
        random : Generator or None
            In training, for layers that draw; None: as in prediction.
        """

    @abstractmethod
    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        """Return d loss / d input and d loss / d weight for every weight, from d loss / d output.

        `gradient` is zero beyond the ends of sequences. The first is None where the input is letters.
        """

    def penalty(self, weights: Sequence[Array]) -> tuple[float, list[Array]] | None:
        """Return what the layer adds to the objective, and its gradients; None for nothing."""
        return None

    def restated(self) -> dict[str, Any]:
        """Return arguments that a model file says in words of its own, by name, such as labels of any type."""
        return {}

    @property
    def n_parameters(self) -> int:
        """Free parameters: entries that are tied count once."""
        return sum(weight.ties.n_free for weight in self.weights)

    @property
    def weight_names(self) -> list[str]:
        """A name within the layer for every weight."""
        return [weight.name for weight in self.weights]

    def __repr__(self) -> str:
        return f"nn.{type(self).__name__}({self._described()})"

    def _described(self) -> str:
        """The arguments, as they show."""
        return ""


def _kept(entry: Any) -> Any:
    """An argument as it is now: lists and arrays may be changed by who gave them."""
    if isinstance(entry, list | tuple):
        return (list if isinstance(entry, list) else tuple)(map(_kept, entry))
    return entry.copy() if isinstance(entry, np.ndarray) or hasattr(entry, "tocoo") else entry


def shown(*always: str, **optional: tuple[Any, Any]) -> str:
    """Return arguments as they show: some always, of the others (value, default) those that are not the default."""
    said = [f"{name}={value!r}" for name, (value, default) in optional.items() if value != default]
    return ", ".join([*always, *said])
