"""Parameters of an HMM that says the same of a sequence and of its reverse complement.

What both strands share are joint frequencies: the flow pi_i A_ij from state to state, and in every state the frequency
of words of k + 1 letters. Read from the other strand the step i -> j is the step j' -> i', where i' is the state that i
is there, and a word is its reverse complement. Both are tables as :mod:`tiedseq.strands.flows` has them, and the
conditional probabilities that the recursions want follow from them. With an "end" the outside of a sequence is one more
state, its own image: sequences begin with i as often as they end with i'. Without one they begin anywhere, in i with
probability pi_i.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Alphabet
from tiedseq.chains.emissions import Batch
from tiedseq.chains.family_parameters import FamilyParameters
from tiedseq.chains.machine import Machine
from tiedseq.chains.protocol import Written
from tiedseq.chains.sampling import segment_letters
from tiedseq.chains.tables import Floats, Index
from tiedseq.constraints import TYPED
from tiedseq.errors import ModelError
from tiedseq.language import Use
from tiedseq.pseudocounts import pseudocounts_of
from tiedseq.random_state import RandomState, generator_of
from tiedseq.specification import Parameter

from .document import read_document, restated
from .flows import Flows, conditionals, mirrored
from .language import STEPS, Letters, Steps, read_letters, read_steps
from .nesting import StrandNesting
from .segments import SegmentEmissions, SegmentWords, segment_chain, segment_words, word_counts

Vector = NDArray[np.float64]


class StrandParameters:
    """The parameters of a strand-symmetric HMM.

    Attributes
    ----------
    states : tuple of str
        All of them emit letters.
    flows : dict of str to Flows
        `STEPS` of states (and of the outside where there is an end), then the words of every emission label.
    values : dict of str to float64 array
        Of each, one number an orbit; in the order of `flows`.
    """

    is_conditional = False

    def __init__(self, written: Written) -> None:
        alphabet, transitions, emissions, start, values, order, random_state = written
        steps = read_steps(transitions, start)
        letters, given = read_letters(steps, alphabet, emissions, values, order)
        self._set(steps, letters, order, frozenset(given.typed))
        self.values = {STEPS: self.flows[STEPS].balanced(steps.weights)}
        generator = generator_of(random_state)
        for label, table in letters.tables.items():
            weights = given.weights.get(label)
            self.values[label] = table.random(generator) if weights is None else table.balanced(weights)
        self.initial = dict(self.values)
        for label, found in self.values.items():
            if not self.flows[label].is_balanced(found):
                raise ModelError(f"The starting values of {label!r} differ so widely that their long run is lost.")
        self._check_held(given.typed)

    def _set(self, steps: Steps, letters: Letters, order: int, given: frozenset[str]) -> None:
        self.alphabet, self.order, self.states = letters.alphabet, order, steps.states
        self.emitting, self.has_end, self.mirror = steps.states, steps.has_end, steps.mirror
        try:
            self.flows = {STEPS: Flows(steps.weights > 0.0, steps.mirror), **letters.tables}
        except ModelError as error:
            raise ModelError(f"With symmetry= every state must lead to every other: {error}") from error
        self.letters, self.uses, self.held = letters, letters.uses, tuple(sorted(letters.held))
        self.families = FamilyParameters({}, {})
        self._given = given
        self._ages = order + 1

    def _check_held(self, typed: Mapping[str, Floats]) -> None:
        for label in self.held:
            table = self.table(label)
            is_joint = abs(typed[label].sum() - 1.0) <= TYPED
            if np.abs((table if is_joint else conditionals(table)[-1]) - typed[label]).max() > TYPED:
                raise ModelError(
                    f"{label!r} is held at a table that cannot be: the frequencies of words must be the same when "
                    "summed over their first letter and over their last one, and on both strands unless the label is "
                    "that of mirror images. Give such a table, or let it be free."
                )

    # ---- tables ---------------------------------------------------------------------------------------------------

    def table(self, label: str) -> Floats:
        """The joint frequencies of a label."""
        return self.flows[label].table(self.values[label])

    def _turned(self, table: NDArray[Any], use: Use) -> NDArray[Any]:
        """A table of words as a use of it sees them."""
        return mirrored(table, self.letters.mirror) if use.complemented else table

    def words(self) -> dict[str, Floats]:
        """The frequencies of words in every state, (K,) * (k + 1)."""
        tables = {label: self.table(label) for label in self.values if label != STEPS}
        return {state: self._turned(tables[use.label], use) for state, use in self.uses.items()}

    def rows(self) -> tuple[Floats, Floats]:
        """Start (S + 1,) and transitions (S, S + 1), conditional; the last column is the end, 1 if there is none."""
        occupancy, steps = conditionals(self.table(STEPS))
        if self.has_end:
            return steps[-1], steps[:-1]
        return np.append(occupancy, 1.0), np.column_stack([steps, np.ones(len(steps))])

    def letter_tables(self) -> dict[str, Floats]:
        """P(letter | the k before it) of every state."""
        return {state: conditionals(table)[-1] for state, table in self.words().items()}

    # ---- values ---------------------------------------------------------------------------------------------------

    def _step_places(self) -> list[list[str]]:
        """The steps of each orbit, the outside being "start" or "end"."""
        labels = self.flows[STEPS].ties.labels
        sources, targets = [*self.states, "start"], [*self.states, "end"]
        places: list[list[str]] = [[] for _ in range(self.flows[STEPS].ties.n_free)]
        for i, j in np.argwhere(labels >= 0).tolist():
            places[labels[i, j]].append(f"{sources[i]}->{targets[j]}")
        return places

    def step_names(self) -> list[str]:
        """What each orbit of steps is called: by its first step."""
        return [f"{STEPS} {places[0]}" for places in self._step_places()]

    @property
    def by_label(self) -> dict[str, Any]:
        steps = dict(zip(self.step_names(), self.values[STEPS].tolist(), strict=True))
        return {**steps, **{label: self.table(label) for label in self.values if label != STEPS}}

    @property
    def n_free(self) -> int:
        return sum(flow.n_free for label, flow in self.flows.items() if label not in self.held)

    @property
    def vector(self) -> Vector:
        return np.concatenate(list(self.values.values()))

    @vector.setter
    def vector(self, vector: Vector) -> None:
        sizes = [len(part) for part in self.values.values()]
        parts = np.split(np.array(vector), np.cumsum(sizes)[:-1])
        self.values = dict(zip(self.values, parts, strict=True))

    def describe(self) -> Iterator[Parameter]:
        """One line for each label."""
        for name, value, places in zip(
            self.step_names(), self.values[STEPS].tolist(), self._step_places(), strict=True
        ):
            yield Parameter(name, value, tuple(places), False)
        for label in list(self.values)[1:]:
            places = [
                f"{state} (complement)" if use.complemented else state
                for state, use in self.uses.items()
                if use.label == label
            ]
            yield Parameter(label, self.table(label), tuple(places), label in self.held, self.alphabet.letters)

    def copy(self) -> StrandParameters:
        other = copy.copy(self)
        other.values = dict(self.values)
        return other

    def reset(self) -> None:
        """Return to the values of the constructor."""
        self.values = dict(self.initial)

    def start(self, observations: Any, generator: np.random.Generator) -> None:
        """There is nothing to take from the data: letters have their values."""

    def redrawn(self, observations: Any, generator: np.random.Generator) -> Vector:
        """Return values for a restart: tables of letters that were not given are drawn anew."""
        other = self.copy()
        for label in [*self.values][1:]:
            given = label in self._given
            other.values[label] = self.initial[label] if given else self.flows[label].random(generator)
        other.values[STEPS] = self.initial[STEPS]
        return other.vector

    # ---- soft ties ------------------------------------------------------------------------------------------------

    soft_title = ""

    @property
    def strengths(self) -> dict[str, float]:
        """There are no soft ties."""
        return {}

    def softened(
        self, soft: Mapping[str, float], random_state: RandomState = None, given: Mapping[str, Any] | None = None
    ) -> StrandParameters:
        """Return a copy. Raises ModelError for any soft tie."""
        self.is_soft_by(soft)
        return self.copy()

    def is_soft_by(self, soft: Mapping[str, float]) -> bool:
        """Whether the soft ties are these, none. Raises ModelError for any."""
        if soft:
            raise ModelError(
                f"soft={soft!r} asks for soft ties, but what symmetry= ties are frequencies, whose members would not "
                "be the same on both strands; leave one of the two out."
            )
        return True

    def continue_from(self, other: StrandParameters) -> None:
        """Take over the current values of the same model."""
        self.values = dict(other.values)

    def start_from(self, other: StrandParameters) -> None:
        """Take over the values of parameters that are a special case of these."""
        words = other.words()
        self.values[STEPS] = self.flows[STEPS].values(other.flows[STEPS].table(other.values[STEPS]))
        for state, use in self.uses.items():
            if use.label not in self.held:
                self.values[use.label] = self.flows[use.label].values(self._turned(words[state], use))

    def nesting(self) -> StrandNesting:
        """Return what decides whether this model is a special case of another."""
        letters, states = self.alphabet.letters, self.states
        tables = {label: conditionals(self.table(label))[-1] for label in self.values}
        steps, found = tables.pop(STEPS), self.flows[STEPS].ties
        smallest = {label: self._smallest(label, table) for label, table in tables.items() if label not in self.held}
        for name, k in zip(self.step_names(), range(found.n_free), strict=True):
            smallest[name] = float(steps[found.labels == k].min())
        return StrandNesting(
            structure=(states, letters, self.order, self.has_end),
            emitted=(states, states, letters, 0, ()),
            steps=self.flows[STEPS],
            letters=self.letters,
            values=self.values,
            possible={state: self._turned(self._possible(use.label), use) for state, use in self.uses.items()},
            smallest=smallest,
        )

    def _possible(self, label: str) -> NDArray[np.bool_]:
        return np.asarray(self.flows[label].ties.labels >= 0)

    def _smallest(self, label: str, table: Floats) -> float:
        """The smallest probability that is not zero by construction."""
        return float(table[self._possible(label)].min())

    # ---- at work --------------------------------------------------------------------------------------------------

    def check_values(self) -> None:
        """All have values from the beginning."""

    def machine(self) -> Machine:
        """Return the model at its current values, ready to work: every state once for each age."""
        (start, rows), n = self.rows(), len(self.states)
        possible = self.flows[STEPS].ties.labels[:n, :n] >= 0
        chain = segment_chain(start[:-1], rows[:, :-1], rows[:, -1], possible, self.order)
        words = self.words()
        return Machine(chain, SegmentEmissions([words[state] for state in self.states]))

    def observe(self, codes: NDArray[np.uint8], ends: Index) -> SegmentWords:
        """Return sequences as the emissions see them."""
        return segment_words(codes, ends, self.order, self.alphabet.observation)

    def of_machine(self, by_state: NDArray[Any]) -> NDArray[Any]:
        """What is said of states (letters, S), said of the machine's."""
        return np.repeat(by_state, self._ages, axis=1)

    def states_of(self, path: NDArray[np.int64]) -> NDArray[np.int64]:
        """The states of a path of the machine's."""
        return path // self._ages

    def posterior_of(self, posterior: Floats) -> Floats:
        """P(state) of every letter (letters, S), from that of the machine's states."""
        return np.asarray(posterior.reshape(len(posterior), -1, self._ages).sum(axis=2))

    def maximize(self, counts: Vector, priors: Mapping[str, Any]) -> Vector:
        """Return the values that the M-step makes of expected counts, as `chains.machine.expect` lays them out."""
        better, pseudocounts = self.copy(), self._pseudocounts(priors)
        for label, counted in self.counted(counts).items():
            if label not in self.held:
                better.values[label] = self.flows[label].maximize(counted, self.values[label], pseudocounts[label])
        return better.vector

    def counted(self, counts: Vector) -> dict[str, list[Floats]]:
        """How often each flow and each word is a factor of the likelihood, by label."""
        n, ages = len(self.states), self._ages
        size = n * ages
        start, transitions, end, rest = np.split(counts, np.cumsum([size, size * size, size]))
        start, end = start.reshape(n, ages).sum(axis=1), end.reshape(n, ages).sum(axis=1)
        steps = transitions.reshape(n, ages, n, ages).sum(axis=(1, 3))
        if self.has_end:
            steps = np.vstack([np.column_stack([steps, end]), np.append(start, 0.0)])
            start = np.zeros(n + 1)
        counted = {STEPS: [start - steps.sum(axis=1), steps]}
        for use, part in zip(map(self.uses.__getitem__, self.states), rest.reshape(n, -1), strict=True):
            words = [self._turned(table, use) for table in word_counts(part, self.alphabet.n_letters, self.order)]
            before = counted.get(use.label)
            counted[use.label] = words if before is None else list(map(np.add, before, words))
        return counted

    def unvisited(self, counts: Vector) -> list[str]:
        """States in which no letter is expected."""
        size = len(self.states) * self._ages
        entered = counts[:size] + counts[size : size + size * size].reshape(size, size).sum(axis=0)
        visits = entered.reshape(-1, self._ages).sum(axis=1)
        return [state for state, visit in zip(self.states, visits, strict=True) if visit == 0.0]

    def at_floor(self) -> list[str]:
        """No probability has a floor."""
        return []

    def _pseudocounts(self, priors: Mapping[str, Any]) -> dict[str, Vector]:
        """What priors add to the counts of every value, by label."""
        pseudocounts = {label: np.zeros(len(values)) for label, values in self.values.items()}
        names = self.step_names()
        for label, prior in priors.items():
            if label in names:
                where, places = STEPS, np.array(names.index(label))
            elif label in self.values and label != STEPS:
                where, places = label, self.flows[label].ties.labels
            else:
                known = ", ".join(self.by_label)
                raise ModelError(f"priors= has {label!r}, a label that the model lacks (there are {known}).")
            pseudocounts[where] += pseudocounts_of(label, prior, places, len(pseudocounts[where]))
        return pseudocounts

    def log_prior(self, priors: Mapping[str, Any]) -> float:
        """ln of the priors' density at the current values, but for a constant."""
        total = 0.0
        for label, pseudocounts in self._pseudocounts(priors).items():
            counted = pseudocounts > 0.0
            if label not in self.held and counted.any():
                with np.errstate(divide="ignore"):
                    total += float(pseudocounts[counted] @ np.log(self.values[label][counted]))
        return total

    def standard_errors(self, batches: Sequence[Batch], run: Any = map) -> dict[str, Any]:
        """Return the standard error of every label: a float or a masked array; None or masked where there is none."""
        from .gradient import standard_errors

        return standard_errors(self, batches, run)

    # ---- drawn from ----------------------------------------------------------------------------------------------

    def emitted(self, path: NDArray[np.int64], generator: np.random.Generator) -> str:
        """Draw the letters of a path of states."""
        words = self.words()
        tables = [conditionals(words[state]) for state in self.states]
        return self.alphabet.decode(segment_letters(tables, path, generator))

    # ---- files ----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the alphabet as a dictionary for JSON."""
        nested = {label: self.table(label).tolist() for label in [*self.values][1:]}
        return {
            "order": self.order,
            "symmetry": "reverse-complement",
            "states": list(self.states),
            "has_end": self.has_end,
            "flow": self.table(STEPS).tolist(),
            "emissions": {
                state: {"complement": use.label} if use.complemented else use.label for state, use in self.uses.items()
            },
            "values": {label: {"fixed": table} if label in self.held else table for label, table in nested.items()},
            "given": sorted(self._given),
        }

    def restated(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that make the parameters of a document again; these are the ones read from it."""
        start, transitions = self.rows()
        targets = [*self.states, "end"] if self.has_end else self.states
        rows = {
            state: {target: p for target, p in zip(targets, row, strict=False) if p > 0.0}
            for state, row in zip(self.states, transitions.tolist(), strict=True)
        }
        first = {target: p for target, p in zip(self.states, start.tolist(), strict=False) if p > 0.0}
        return {
            **restated(document),
            "order": self.order,
            "transitions": rows,
            "start": first if self.has_end else None,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], alphabet: Alphabet | None) -> StrandParameters:
        """Return the parameters that :meth:`to_dict` described, with the same bits in every value."""
        other, stored = cls.__new__(cls), read_document(document, alphabet)
        other._set(stored.steps, stored.letters, int(document["order"]), stored.given)
        other.values = {label: flow.read(stored.tables[label]) for label, flow in other.flows.items()}
        other.initial = dict(other.values)
        return other
