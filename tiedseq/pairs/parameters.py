"""What a pair-HMM's labels hold, how counts become values, and the model's numbers for the recursions."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Alphabet
from tiedseq.arrays import as_real
from tiedseq.distributions import complement, fixed
from tiedseq.errors import ArgumentError, ModelError
from tiedseq.nesting import Nesting
from tiedseq.random_state import RandomState
from tiedseq.soft import SoftTies, groups_of
from tiedseq.specification import Parameter, Specification, Tables

from .machine import counts_of
from .recursion import Derivatives
from .tables import Floats, PairTables

KINDS = ("xy", "x", "y")
_LEAST = 1e-11  # of the largest count of a transition
_STEEPEST = 1e200  # of a gradient: long steps square what they make of it, and infinity times zero would be NaN
Vector = NDArray[np.float64]


class PairParameters:
    """The parameters of a pair-HMM. The arguments are those of :class:`tiedseq.pairhmm.PairHMM`.

    Attributes
    ----------
    alphabet : Alphabet
    kinds : dict of state to {"xy", "x", "y"}
    specification : Specification
    soft : SoftTies
        Which values are drawn together; none at first, see `softened`.
    """

    def __init__(
        self,
        alphabet: Alphabet,
        states: Mapping[str, str],
        transitions: Mapping[str, Mapping[str, Any]],
        emissions: Mapping[str, Any],
        start: Mapping[str, Any] | None,
        values: Mapping[str, Any] | None,
        background: Any,
        random_state: RandomState,
    ) -> None:
        self.alphabet, self.kinds = alphabet, checked_kinds(states)
        extra = {"background": background} if isinstance(background, str | complement) else None
        self.specification = Specification(
            _shapes(self.kinds, alphabet),
            transitions,
            emissions,
            start=start,
            values=values,
            alphabet=alphabet,
            random_state=random_state,
            start_like=next((s for s, kind in self.kinds.items() if kind == "xy"), next(iter(self.kinds))),
            extra=extra,
        )
        self.soft = SoftTies(self.specification)
        self._background = None if extra else self._checked_background(background)
        positive_background(self.background)

    # ---- values ---------------------------------------------------------------------------------------------------

    @property
    def by_label(self) -> dict[str, Any]:
        return {**self.soft.centres(self.specification), **self.specification.parameters}

    @property
    def n_free(self) -> int:
        self.soft.refuse("number of free parameters")
        return self.specification.n_free_parameters

    @property
    def vector(self) -> Vector:
        """All values, flat."""
        return self.specification.free.copy()

    @vector.setter
    def vector(self, vector: Vector) -> None:
        self.specification.free = np.array(vector)

    @property
    def background(self) -> Floats:
        """(K,): the letters outside an alignment."""
        if self._background is not None:
            return self._background.copy()
        return positive_background(self.specification.tables()["extra"]["background"])

    def describe(self) -> Iterator[Parameter]:
        """One line for each label."""
        yield from self.soft.describe(self.specification)
        yield from self.specification.describe()

    def copy(self) -> PairParameters:
        other = PairParameters.__new__(PairParameters)
        other.__dict__.update(self.__dict__)
        other.specification = self.specification.copy()
        return other

    def with_alphabet(self, alphabet: Alphabet) -> PairParameters:
        """Return the parameters for another way to observe the same letters."""
        other = self.copy()
        other.alphabet = alphabet
        return other

    def reset(self) -> None:
        """Return to the values of the constructor."""
        self.specification.free = self.specification.initial.copy()

    def redrawn(self, generator: np.random.Generator) -> Vector:
        """Return values for a restart: all that was not given is drawn anew."""
        return self.specification.redraw(generator)

    # ---- soft ties ------------------------------------------------------------------------------------------------

    def softened(
        self, soft: Mapping[str, float], random_state: RandomState = None, given: Mapping[str, Any] | None = None
    ) -> PairParameters:
        """Return the parameters with these soft ties instead, at starting values; `given` are those of members."""
        other = self.copy()
        groups = groups_of(self.soft.tied, soft)
        other.specification, other.soft = self.soft.changed(self.specification, groups, given or {}, random_state)
        other.__dict__.pop("_in_rows", None)
        return other

    def is_soft_by(self, soft: Mapping[str, float]) -> bool:
        """Whether the soft ties are these. Raises ModelError for labels that cannot be soft."""
        return groups_of(self.soft.tied, soft) == self.soft.groups

    def continue_from(self, other: PairParameters) -> None:
        """Take over the current values of the same model with other soft ties."""
        self.soft.take_over(self.specification, other.by_label)

    # ---- numbers for the recursions, and back ---------------------------------------------------------------------

    def tables(self) -> PairTables:
        """The model's numbers at the current values.

        A table of P(y | x) stands for the joint one in which x is a letter of the background, so that what a pair is
        worth does not depend on how its table is written.
        """
        tables, background = self.specification.tables(), self.background
        return PairTables(
            list(self.kinds.values()),
            tables["start"][:-1],
            np.ascontiguousarray(tables["transitions"][:, :-1]),
            np.ascontiguousarray(tables["transitions"][:, -1]),
            float(tables["start"][-1]),
            [tables["emissions"][state] * self._outer(state, background) for state in self.kinds],
            self.alphabet.observation,
            background,
        )

    def _given(self, state: str) -> str | None:
        """Which letter a state's table is conditional on."""
        reading = self.specification.reading
        return reading.tables[reading.uses[state].label].given

    def _outer(self, state: str, background: Floats) -> Floats:
        """What turns a state's table into a joint one."""
        given = self._given(state)
        if given is None:
            return np.ones(1)
        return background[:, None] if given == "target" else background[None, :]

    @property
    def joint_tables_keep_ties(self) -> bool:
        """Whether cells that are tied in a table are equal in the joint one, whatever the values.

        Those of P(y | x) are not, as a rule: a letter that is rare in the background makes all its pairs rarer.
        """
        is_uniform = self._background is not None and bool(np.ptp(self._background) <= 1e-12)
        return is_uniform or all(self._given(state) is None for state in self.kinds)

    def gradient(self, derivatives: Derivatives) -> Tables:
        """d ln P / d every number of the specification's tables."""
        specification, background = self.specification, self.background
        start = np.append(derivatives.start, 0.0)
        transitions = np.column_stack([derivatives.transitions, derivatives.end])
        if specification.has_end:
            start[-1] = derivatives.start_end
        else:
            transitions[:, -1] = 0.0
        tables, emissions, extra = specification.tables()["emissions"], {}, {}
        by_background = derivatives.background.copy()
        for state, found in zip(self.kinds, derivatives.emissions, strict=True):
            emissions[state] = found * self._outer(state, background)
            if (given := self._given(state)) is not None:
                through = found * tables[state]
                by_background += through.sum(axis=1 if given == "target" else 0)
        if self._background is None:
            extra["background"] = by_background
        return {"transitions": transitions, "start": start, "emissions": emissions, "extra": extra}

    def counted(self, counts: Vector) -> Tables:
        """Cut the flat counts of an E-step, `machine.counts_of`, into those of the specification's tables."""
        n, specification = len(self.kinds), self.specification
        sizes = [
            n + 1,
            n * (n + 1),
            *(len(self.alphabet.letters) ** (2 if k == "xy" else 1) for k in self.kinds.values()),
        ]
        start, transitions, *emissions, background = np.split(counts, np.cumsum(sizes))
        start, transitions = start.copy(), transitions.reshape(n, n + 1).copy()
        if not specification.has_end:
            start[-1] = transitions[:, -1] = 0.0
        shapes = _shapes(self.kinds, self.alphabet)
        by_state = dict(zip(self.kinds, emissions, strict=True))
        if self._background is None:
            for state in self.kinds:
                if (given := self._given(state)) is not None:
                    background = background + by_state[state].reshape(shapes[state]).sum(
                        axis=1 if given == "target" else 0
                    )
        return {
            "transitions": transitions,
            "start": start,
            "emissions": {state: found.reshape(shapes[state]) for state, found in by_state.items()},
            "extra": {} if self._background is not None else {"background": background},
        }

    def expected_counts(self, derivatives: Derivatives) -> dict[str, Any]:
        """Return how often every parameter is used, by label; of a distribution cell by cell."""
        return self.specification.counts_by_label(self.counted(counts_of(self.tables(), derivatives)))

    # ---- the M-step -----------------------------------------------------------------------------------------------

    def maximize(self, counts: Vector, priors: Mapping[str, Any]) -> Vector:
        """Return the values that the M-step makes of flat counts."""
        pooled = self.specification.pool(self.counted(counts)) + self._pseudocounts(priors)
        return self.soft.maximize(self.specification, self._not_vanishing(pooled))

    def _not_vanishing(self, pooled: Vector) -> Vector:
        """Counts of transitions that are no zeros, none of them below 1e-11 of the largest.

        Where the data have no gaps, EM squares the probability of one at every step. What is lost is below rounding,
        and the fast recursions, which suit probabilities above some 1e-26, go on to be the right ones.
        """
        kept = pooled.copy()
        rows = self._in_rows & (pooled > 0.0)
        kept[rows] = np.maximum(pooled[rows], _LEAST * pooled[rows].max(initial=0.0))
        return kept

    @cached_property
    def _in_rows(self) -> NDArray[np.bool_]:
        """Which values are transitions."""
        found = np.zeros(self.specification.ties.n_free, bool)
        for label in self.specification.labels:
            if label not in self.specification.reading.tables:
                places = np.ravel(self.specification.places(label))
                found[places[places >= 0]] = True
        return found

    def log_prior(self, priors: Mapping[str, Any]) -> float:
        """ln of the priors' density at the current values, but for a constant, less the penalty of soft ties."""
        pseudocounts, free = self._pseudocounts(priors), self.specification.free
        moving = (pseudocounts > 0.0) & ~self.specification.is_held
        if (free[moving] <= 0.0).any():
            return -math.inf
        return float(pseudocounts[moving] @ np.log(free[moving])) - self.soft.penalty(free)

    def objective_gradient(self, counts: Vector, priors: Mapping[str, Any]) -> Vector:
        """d objective, without soft ties, / d value, each taken as free of the others."""
        pooled = self.specification.pool(self.counted(counts)) + self._pseudocounts(priors)
        free = self.specification.free
        with np.errstate(over="ignore"):  # a prior on a value that begins at next to nothing
            found = np.divide(pooled, free, out=np.zeros_like(free), where=free > 0.0)
        return np.minimum(found, _STEEPEST)

    def hardly_used(self, counts: Vector, priors: Mapping[str, Any], least: float) -> list[str]:
        """Labels of transitions that are free, and expected to be used less than `least` times, priors included."""
        specification = self.specification
        pooled = specification.pool(self.counted(counts)) + self._pseudocounts(priors)
        names = [label for label in specification.labels if label not in specification.reading.tables]
        places = {label: specification.places(label) for label in names if label not in specification.held}
        return [label for label, place in places.items() if place.ndim == 0 and place >= 0 and pooled[place] < least]

    def _pseudocounts(self, priors: Mapping[str, Any]) -> Vector:
        """Where in the values priors add what."""
        return self.soft.pseudocounts(self.specification, priors)

    # ---- hypotheses -----------------------------------------------------------------------------------------------

    def nesting(self) -> Nesting:
        """Return what decides whether this model is a special case of another. ModelError if it has soft ties."""
        self.soft.refuse("comparison of models")
        background = self._background
        emits = {state: (kind, self._given(state)) for state, kind in self.kinds.items()}
        # of one structure are models that read the same symbols: bases with qualities are others
        held = {} if background is None else {"background": ("background", background)}
        return Nesting((self.alphabet.symbols, background is None), emits, self.specification, held)

    def start_from(self, other: PairParameters) -> None:
        """Take over the values of parameters that are a special case of these.

        States that the other has not, keep their values: they are entered as often as before.
        """
        specification = self.specification
        mine, theirs = specification.tables(), other.specification.tables()
        shared = [list(self.kinds).index(state) for state in other.kinds]
        with_end = [*shared, len(self.kinds)]
        for name, rows in (("transitions", shared), ("start", None)):
            table = mine[name] if rows is None else mine[name][rows]  # type: ignore[literal-required]
            known = theirs[name].copy()  # type: ignore[literal-required]
            apart = np.delete(table[..., :-1], shared, axis=-1).sum(axis=-1, keepdims=True)
            table[..., with_end] = known * (1.0 - apart)
            if rows is not None:
                mine["transitions"][rows] = table
        mine["emissions"].update(theirs["emissions"])
        mine["extra"].update(theirs["extra"])
        pooled = specification.pool(mine)
        mean = (
            pooled / np.maximum(specification.ties.uses, 1)
            if len(shared) == len(self.kinds)
            else (
                specification.maximize(pooled)  # rows that are tied may disagree on how often new states are entered
            )
        )
        specification.free = np.where(specification.is_held, specification.free, mean)

    # ---- files ----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the alphabet as a dictionary for JSON."""
        document = self.soft.to_dict(self.specification)
        document["states"] = dict(self.kinds)
        if self._background is not None:
            document["background"] = self._background.tolist()
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], alphabet: Alphabet) -> PairParameters:
        """Return the parameters that :meth:`to_dict` described, with the same bits in every value."""
        other = cls.__new__(cls)
        other.alphabet, other.kinds = alphabet, checked_kinds(document["states"])
        shapes = {state: list(shape) for state, shape in _shapes(other.kinds, alphabet).items()}
        other.specification, other.soft = SoftTies.from_dict({**document, "states": shapes}, alphabet)
        labelled = "background" in document.get("extra", {})
        other._background = None if labelled else other._checked_background(list(document["background"]))
        return other

    # ---- background -----------------------------------------------------------------------------------------------

    def _checked_background(self, background: Any) -> Floats:
        if isinstance(background, fixed):
            background = background.value
        letters = self.alphabet.n_letters
        if background is not None:
            given = numbers("background", background)
            if given.shape != (letters,) or not np.isclose(given.sum(), 1.0, rtol=0.0, atol=1e-6):
                raise ModelError(
                    f"background must be a label or {letters} probabilities that sum to one, not an array of shape "
                    f"{given.shape} with sum {given.sum():.6g}"
                )
            return positive_background(given.copy())
        tables = self.specification.tables()["emissions"]
        firsts = [next((s for s, kind in self.kinds.items() if kind == wanted), None) for wanted in ("x", "y")]
        gaps = [tables[state] for state in firsts if state is not None]
        mean = np.mean(gaps, axis=0) if gaps else np.full(letters, 1 / letters)
        return mean / mean.sum() if np.all(mean > 0) else np.full(letters, 1 / letters)


def checked_kinds(states: Mapping[str, str]) -> dict[str, str]:
    """Return which sequences every state emits from. ModelError for another kind."""
    if not isinstance(states, Mapping) or not states:
        raise ModelError('states must map names to "xy", "x" or "y", for example {"M": "xy", "X": "x", "Y": "y"}')
    for state, kind in states.items():
        if kind not in KINDS:
            raise ModelError(
                f'state {state!r} emits from {kind!r}; it must be "xy" (both), "x" (target) or "y" (query)'
            )
    return dict(states)


def _shapes(states: Mapping[str, str], alphabet: Alphabet) -> dict[str, tuple[int, ...]]:
    letters = alphabet.n_letters
    return {state: (letters, letters) if kind == "xy" else (letters,) for state, kind in states.items()}


def positive_background(background: Floats) -> Floats:
    """Return a background. ModelError if some letter has no probability, or one whose inverse is beyond float64."""
    if not np.all(background >= sys.float_info.min) or not np.all(np.isfinite(background)):
        raise ModelError(
            f"every letter of the background needs a positive probability, but it is {background.tolist()}: flanks and "
            "log-odds divide by it; in training a prior of its label keeps it positive, or hold it"
        )
    return background


def numbers(name: str, value: Any) -> Floats:
    """Return an argument as an array. ArgumentError if it holds anything else than numbers."""
    try:
        return as_real(value, np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must be a number or numbers, not {value!r}") from error
