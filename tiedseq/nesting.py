"""Which model is a special case of which: what decides whether a likelihood-ratio test of two makes sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import ModelError
from .specification import Specification


class Nests(Protocol):
    """What a comparison asks of a model: whether it is a special case of another."""

    def check(self, alternative: Any) -> None:
        """Raise ModelError unless this model has all ties and held values of `alternative`."""

    def is_on_boundary_of(self, alternative: Any) -> bool:
        """Whether the alternative only becomes this model at a boundary."""

    def at_border(self, border: float) -> list[str]:
        """Labels with a probability below `border` that is neither held nor zero by construction."""


class Nesting:
    """What decides whether a model is a special case of another.

    Parameters
    ----------
    structure : tuple
        What nested models have in common, such as their letters.
    emits : mapping of state to anything
        The states, and what each emits.
    specification : Specification
    families : mapping of place to (label, held value or None), default none
        Parameters of families of numbers.
    bounded : sequence of str, default none
        Labels of families whose values are at a border.
    """

    def __init__(
        self,
        structure: tuple[Any, ...],
        emits: Mapping[str, Any],
        specification: Specification,
        families: Mapping[Any, Any] | None = None,
        bounded: Sequence[str] = (),
    ) -> None:
        self.structure, self.emits, self.specification = structure, dict(emits), specification
        self.families, self.bounded = dict(families or {}), list(bounded)

    def check(self, alternative: Any) -> None:
        """Raise ModelError unless this model has all ties and held values of `alternative`.

        An alternative with more states is a generalisation too: it becomes this model where nothing leads to them.
        """
        if not isinstance(alternative, Nesting):
            raise ModelError(
                "The alternative has symmetry=, which the null lacks; the null must have all ties. Swap them."
            )
        shared = {state: emitted for state, emitted in alternative.emits.items() if state in self.emits}
        if self.structure != alternative.structure or self.emits != shared:
            raise ModelError(
                "The models differ in their states, their letters or what their states emit; models nest that "
                "differ in ties and held values only. (Pair-HMMs need the same held background= too; if it is left out "
                "it comes from the starting values of gaps.)"
            )
        self._check_ties(alternative)
        self._check_families(alternative)

    def is_on_boundary_of(self, alternative: Any) -> bool:
        """Whether the alternative has states that this model lacks, so that it only becomes this one at a boundary."""
        return isinstance(alternative, Nesting) and len(alternative.emits) > len(self.emits)

    def _check_ties(self, alternative: Nesting) -> None:
        mine, theirs = self._numbers(list(self.emits)), alternative._numbers(list(self.emits))
        if not np.array_equal(mine == 0, theirs == 0):
            raise ModelError("The models differ in what is impossible; give both the same transitions and zeros.")
        names, own_names = alternative.specification.ties.names, self.specification.ties.names
        for index in np.unique(theirs[theirs > 0]).tolist():
            label, here = names[index - 1], np.unique(mine[theirs == index])
            if len(here) > 1:
                apart = ", ".join(repr(own_names[k - 1]) for k in here.tolist()[:3])
                raise ModelError(
                    f"The alternative ties by {label!r} what the null leaves apart ({apart}); the null must have all "
                    "ties of the alternative. Swap the two, or tie the null as well."
                )
            if alternative.specification.is_held[index - 1]:
                own = int(here[0]) - 1
                same = abs(self.specification.free[own] - alternative.specification.free[index - 1]) <= 1e-12
                if not (self.specification.is_held[own] and same):
                    raise ModelError(
                        f"The alternative holds {label!r}, which the null does not hold at the same value."
                    )

    def _numbers(self, states: Sequence[str]) -> NDArray[np.int64]:
        """The number of the value at every entry of the tables that belongs to these states, from 1; 0: impossible."""
        specification = self.specification
        tables = specification.tables(np.arange(1.0, 1.0 + specification.ties.n_free))
        places = [specification.states.index(state) for state in states]
        ends = [*places, len(specification.states)] if specification.has_end else places
        parts = [tables["transitions"][np.ix_(places, ends)], tables["start"][ends]]
        parts += [tables["emissions"][state] for state in states if state in tables["emissions"]]
        parts += list(tables["extra"].values())
        return np.concatenate([part.ravel() for part in parts]).astype(np.int64)

    def _check_families(self, alternative: Nesting) -> None:
        tied: dict[Any, set[Any]] = {}
        for place, (label, held) in alternative.families.items():
            tied.setdefault(label, set()).add(self.families[place][0])
            if len(tied[label]) > 1:
                raise ModelError(
                    f"The alternative ties by {label!r} what the null leaves apart; the null needs this tie."
                )
            if held is not None and not np.array_equal(held, self.families[place][1]):
                raise ModelError(f"The alternative holds {label!r}, which the null does not hold at the same value.")

    def at_border(self, border: float) -> list[str]:
        """Labels with a probability below `border` that is neither held nor zero by construction."""
        specification = self.specification
        low = (specification.free < border) & ~specification.is_held
        places = {label: specification.places(label) for label in specification.labels}
        return [*(label for label, found in places.items() if low[found[found >= 0]].any()), *self.bounded]
