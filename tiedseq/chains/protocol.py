"""What an HMM asks of its parameters, with or without symmetry, and what it makes them from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Alphabet
from tiedseq.nesting import Nests
from tiedseq.random_state import RandomState
from tiedseq.specification import Parameter

from .emissions import Batch
from .family_parameters import FamilyParameters
from .machine import Machine
from .tables import Floats, Index

Self = TypeVar("Self", bound="Parameters")


class Written(NamedTuple):
    """A model as it was written: arguments of :class:`tiedseq.hmm.HMM`."""

    alphabet: Alphabet | None
    transitions: Mapping[str, Mapping[str, Any]]
    emissions: Any  # by state, or potentials of all of them
    start: Mapping[str, Any] | None
    values: Mapping[str, Any]
    order: int
    random_state: RandomState


class Parameters(Protocol):
    """All that labels hold. A machine is the model at one set of values, and may have other states than the model."""

    states: tuple[str, ...]
    emitting: tuple[str, ...]  # states that emit something
    order: int
    families: FamilyParameters  # of states that emit numbers
    is_conditional: bool  # whether it says P(path | X) only, and nothing of X
    vector: Floats  # all values, flat

    def __init__(self, written: Written) -> None: ...

    # ---- values

    @property
    def by_label(self) -> dict[str, Any]: ...

    @property
    def n_free(self) -> int: ...

    @property
    def held(self) -> tuple[str, ...]: ...

    @property
    def has_end(self) -> bool: ...

    def rows(self) -> tuple[Floats, Floats]:
        """Start (S + 1,) and transitions (S, S + 1); the last column is the end, 1 if there is none."""

    def letter_tables(self) -> dict[str, Floats]:
        """P(letter | the k before it) of every state that emits letters."""

    def describe(self) -> Iterator[Parameter]: ...

    def check_values(self) -> None:
        """Raise ModelError if a parameter has no value yet."""

    def copy(self: Self) -> Self: ...

    # ---- soft ties, and models that are special cases of others

    @property
    def soft_title(self) -> str: ...

    @property
    def strengths(self) -> dict[str, float]: ...

    def softened(
        self: Self, soft: Mapping[str, float], random_state: RandomState = None, given: Mapping[str, Any] | None = None
    ) -> Self: ...

    def is_soft_by(self, soft: Mapping[str, float]) -> bool: ...

    def continue_from(self: Self, other: Self) -> None: ...

    def start_from(self, other: Any) -> None: ...

    def nesting(self) -> Nests: ...

    # ---- at work

    def machine(self) -> Machine: ...

    def observe(self, values: NDArray[Any], ends: Index) -> Any:
        """Return sequences as the machine's emissions see them."""

    def of_machine(self, by_state: NDArray[Any]) -> NDArray[Any]:
        """What is said of emitting states (letters, E), said of the machine's."""

    def states_of(self, path: Index) -> Index:
        """The states of a path of the machine's."""

    def posterior_of(self, posterior: Floats) -> Floats:
        """P(state) of every letter (letters, S), from that of the machine's states."""

    def emitted(self, path: Index, generator: np.random.Generator) -> Any:
        """Draw the letters or numbers of a path of states."""

    # ---- training, and how sure it makes

    def reset(self) -> None: ...

    def start(self, observations: Any, generator: np.random.Generator) -> None: ...

    def redrawn(self, observations: Any, generator: np.random.Generator) -> Floats: ...

    def maximize(self, counts: Floats, priors: Mapping[str, Any]) -> Floats: ...

    def log_prior(self, priors: Mapping[str, Any]) -> float: ...

    def unvisited(self, counts: Floats) -> list[str]: ...

    def at_floor(self) -> list[str]: ...

    def standard_errors(self, batches: Sequence[Batch], run: Any = map) -> dict[str, Any]: ...

    # ---- files

    def to_dict(self) -> dict[str, Any]: ...

    def restated(self, document: Mapping[str, Any]) -> dict[str, Any]: ...

    @classmethod
    def from_dict(cls: type[Self], document: Mapping[str, Any], alphabet: Alphabet | None) -> Self: ...
