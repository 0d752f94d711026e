"""Which models a strand-symmetric one is a special case of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.chains.tables import Floats
from tiedseq.errors import ModelError
from tiedseq.nesting import Nesting

from .flows import Flows
from .language import Letters


@dataclass(frozen=True)
class StrandNesting:
    """What decides whether a strand-symmetric model is a special case of another, or of one without the symmetry."""

    structure: tuple[Any, ...]  # states, letters, order, whether there is an end; equal in nested models
    emitted: tuple[Any, ...]  # states and what they emit, as models without symmetry tell it
    steps: Flows
    letters: Letters
    values: dict[str, Floats]  # by label
    possible: dict[str, NDArray[np.bool_]]  # words of every state
    smallest: dict[str, float]  # the smallest conditional probability of every label that is free

    def check(self, alternative: Any) -> None:
        """Raise ModelError unless this model has all ties and held values of `alternative`."""
        if isinstance(alternative, Nesting):
            self._check_free(alternative)
            return
        if self.structure != alternative.structure:
            raise ModelError("The models differ in their states, their letters or their order; then they do not nest.")
        self._check_zeros(alternative.steps.ties.labels >= 0, alternative.possible)
        mine, theirs = self.letters, alternative.letters
        tied: dict[str, set[tuple[str, bool]]] = {}
        for state, use in theirs.uses.items():
            here = mine.uses[state]
            tied.setdefault(use.label, set()).add((here.label, here.complemented != use.complemented))
        for label, found in tied.items():
            (own, turned), *others = sorted(found)
            symmetric = mine.tables[own].is_symmetric
            if {other for other, _ in others} - {own} or (others and not symmetric):
                raise ModelError(
                    f"The alternative ties by {label!r} what the null leaves apart; the null must have all ties of the "
                    "alternative."
                )
            if theirs.tables[label].is_symmetric and not symmetric:
                raise ModelError(f"{label!r} is its own reverse complement in the alternative, but not in the null.")
            held = label in theirs.held
            same = own in mine.held and not turned and np.array_equal(self.values[own], alternative.values[label])
            if held and not same:
                raise ModelError(f"The alternative holds {label!r}, which the null does not hold at the same value.")

    def is_on_boundary_of(self, alternative: Any) -> bool:
        """Whether the alternative becomes this model only at a boundary: never, as both have the same states."""
        return False

    def _check_free(self, alternative: Nesting) -> None:
        """Raise ModelError unless a model without symmetry has no ties, and the same states, letters and zeros."""
        specification, order = alternative.specification, self.structure[2]
        if order:
            raise ModelError(
                f"With order={order} a model with symmetry= begins contexts anew where its state changes, and one "
                "without does not, so that they do not nest. Compare models of order 0, or two with symmetry=."
            )
        if alternative.structure != self.emitted:
            raise ModelError("The models differ in their states or their letters; then they do not nest.")
        tied = [
            str(name) for name, uses in zip(specification.ties.names, specification.ties.uses, strict=True) if uses > 1
        ]
        if tied or specification.is_held.any():
            what = f"ties {tied[0]!r}" if tied else "holds values"
            raise ModelError(f"The alternative {what}, and has no symmetry=: the null has the symmetry only.")
        possible = specification.tables(np.ones(len(specification.free)))
        transitions, start = possible["transitions"] > 0.0, possible["start"] > 0.0
        if self.structure[3] != specification.has_end:
            raise ModelError("Of the models only one has an end; then they do not nest.")
        if specification.has_end:
            steps = np.vstack([transitions, start])
        else:
            steps = transitions[:, :-1]
            if not start[:-1].all():
                raise ModelError("The null begins in any state; so must the alternative: leave its start= out.")
        self._check_zeros(steps, {state: table > 0.0 for state, table in possible["emissions"].items()})

    def _check_zeros(self, steps: NDArray[np.bool_], words: Mapping[str, NDArray[np.bool_]]) -> None:
        if not np.array_equal(self.steps.ties.labels >= 0, steps) or any(
            not np.array_equal(table, words[state]) for state, table in self.possible.items()
        ):
            raise ModelError("The models differ in what is impossible; give both the same transitions and zeros.")

    def at_border(self, border: float) -> list[str]:
        """Labels with a conditional probability below `border` that is neither held nor zero by construction."""
        return [label for label, smallest in self.smallest.items() if smallest < border]
