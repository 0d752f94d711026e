"""What an HMM's labels hold: rows and letters, which sum to one, and numbers of families; their M-step."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Alphabet
from tiedseq.errors import ModelError, counted
from tiedseq.memory import check_memory
from tiedseq.nesting import Nesting
from tiedseq.options import checked_order
from tiedseq.random_state import RandomState
from tiedseq.restating import restated
from tiedseq.soft import Group, SoftTies, groups_of
from tiedseq.specification import Parameter, Specification, Tables

from .emissions import Batch, Emissions, FamilyEmissions, FamilyStates, LetterEmissions
from .family_parameters import FamilyParameters
from .machine import Machine
from .protocol import Written
from .reading import told_apart
from .sampling import dependent_letters
from .tables import ChainTables, Index, circular, silent_order
from .words import words_of

Vector = NDArray[np.float64]


_BYTES = 290  # of a cell of a table and its name, at least


class HMMParameters:
    """The parameters of an HMM without symmetry.

    Attributes
    ----------
    specification : Specification
        Rows, and the tables of states that emit letters.
    families : FamilyParameters
        Of states that emit numbers.
    soft : SoftTies
        Which values of `specification` are drawn together; none at first, see `softened`.
    states, emitting : tuple of str
        All states, and those that emit something.
    """

    is_conditional = False

    def __init__(self, written: Written) -> None:
        alphabet, transitions, emissions, start, values, order, random_state = written
        self.alphabet, self.order = alphabet, order
        values = dict(values)
        letters, numbers = told_apart(transitions, emissions, values, alphabet)
        if numbers and order:
            raise ModelError(f"order={order} is for letters that depend on those before them; numbers have order=0.")
        of_families = {}
        self.families = FamilyParameters(numbers, {})
        for label in self.families.labels:
            if label in values:
                of_families[label] = values.pop(label)
        self.families = FamilyParameters(numbers, of_families)
        n_letters = 0 if alphabet is None else alphabet.n_letters
        shape = (n_letters,) * (order + 1)
        if order:
            _check_size(order, n_letters, len({entry for entry in letters.values() if isinstance(entry, str)}))
        self.specification = Specification(
            {state: shape if state in letters else None for state in transitions},
            transitions,
            letters,
            start=start,
            values=values,
            alphabet=alphabet,
            random_state=random_state,
            given="previous" if order else None,
        )
        self.soft = SoftTies(self.specification)
        self._check_namespace()
        self.states = self.specification.states
        self.emitting = tuple(state for state in self.states if state in letters or state in numbers)
        self._check_silent()

    @property
    def _is_silent(self) -> NDArray[np.bool_]:
        return np.array([state not in self.emitting for state in self.states])

    def _check_silent(self) -> None:
        _, circle = silent_order(self._is_silent, self.specification.possible())
        if circle:
            raise circular(repr(self.states[k]) for k in circle)

    def _check_namespace(self) -> None:
        for label in self.families.labels:
            if label in self.specification.labels:
                raise ModelError(f"The label {label!r} names a probability and a parameter of a family; rename one.")

    # ---- values ---------------------------------------------------------------------------------------------------

    @property
    def by_label(self) -> dict[str, Any]:
        centres = self.soft.centres(self.specification)
        return {**centres, **self.specification.parameters, **copy.deepcopy(self.families.values)}

    @property
    def n_free(self) -> int:
        self.soft.refuse("number of free parameters")
        return self.specification.n_free_parameters + self.families.n_free

    @property
    def vector(self) -> Vector:
        """All values, flat."""
        return np.concatenate([self.specification.free, self.families.vector])

    @vector.setter
    def vector(self, vector: Vector) -> None:
        size = len(self.specification.free)
        self.specification.free = np.array(vector[:size])
        self.families.set_vector(vector[size:])

    def describe(self) -> Iterator[Parameter]:
        """One line for each label."""
        yield from self.soft.describe(self.specification)
        yield from self.specification.describe()
        for label, places in self.families.uses.items():
            names = tuple(f"{place.state}.{place.name}" for place in places)
            yield Parameter(label, self.families.values[label], names, label in self.families.held)

    def copy(self) -> HMMParameters:
        other = HMMParameters.__new__(HMMParameters)
        other.__dict__.update(self.__dict__)
        other.specification, other.families = self.specification.copy(), self.families.copy()
        return other

    def reset(self) -> None:
        """Return to the values of the constructor."""
        self.specification.free = self.specification.initial.copy()
        self.families.values = dict(self.families.initial)

    @property
    def held(self) -> tuple[str, ...]:
        """Labels that training leaves alone."""
        return (*self.specification.held, *sorted(self.families.held))

    @property
    def has_end(self) -> bool:
        return self.specification.has_end

    def rows(self) -> tuple[Vector, Vector]:
        """Start (S + 1,) and transitions (S, S + 1); the last column is the end, 1 if there is none."""
        tables = self.specification.tables()
        return tables["start"], tables["transitions"]

    def letter_tables(self) -> dict[str, Vector]:
        """P(letter | the k before it) of every state that emits letters."""
        return self.specification.tables()["emissions"]

    # ---- soft ties ------------------------------------------------------------------------------------------------

    @property
    def soft_title(self) -> str:
        """The soft ties in words; empty where there are none."""
        return self.soft.title

    @property
    def strengths(self) -> dict[str, float]:
        """What `soft=` asks for these ties."""
        return self.soft.strengths

    def softened(
        self, soft: Mapping[str, float], random_state: RandomState = None, given: Mapping[str, Any] | None = None
    ) -> HMMParameters:
        """Return the parameters with these soft ties instead, at starting values; `given` are those of members."""
        other = self.copy()
        other.specification, other.soft = self.soft.changed(
            self.specification, self._groups(soft), given or {}, random_state
        )
        return other

    def is_soft_by(self, soft: Mapping[str, float]) -> bool:
        """Whether the soft ties are these. Raises ModelError for labels that cannot be soft."""
        return self._groups(soft) == self.soft.groups

    def _groups(self, soft: Mapping[str, float]) -> tuple[Group, ...]:
        for label in soft:
            if label in self.families.uses:
                raise ModelError(
                    f"soft= has {label!r}, a parameter of a family of numbers; strengths are pseudocounts, which only "
                    "probabilities have."
                )
        return groups_of(self.soft.tied, soft)

    def continue_from(self, other: HMMParameters) -> None:
        """Take over the current values of the same model with other soft ties."""
        self.soft.take_over(self.specification, other.by_label)
        self.families = other.families.copy()

    # ---- at work --------------------------------------------------------------------------------------------------

    def check_values(self) -> None:
        """Raise ModelError if a parameter has no value yet."""
        if missing := self.families.missing:
            raise ModelError(
                f"{', '.join(map(repr, missing[:8]))} {'has' if len(missing) == 1 else 'have'} no value yet; give "
                "starting values, or call fit, which takes them from the data."
            )

    def machine(self) -> Machine:
        """Return the model at its current values, ready to work. ModelError if one has no value yet."""
        self.check_values()
        tables, possible = self.specification.tables(), self.specification.possible()
        silent, end = self._is_silent, tables["transitions"][:, -1]
        if not self.specification.has_end:
            end = np.where(silent, 0.0, end)  # a path ends with its last letter, whatever silent states come then
        chain = ChainTables(
            tables["start"][:-1].copy(),
            np.ascontiguousarray(tables["transitions"][:, :-1]),
            np.ascontiguousarray(end),
            silent,
            possible[:, :-1],
        )
        return Machine(chain, self._emissions(tables))

    def observe(self, values: NDArray[Any], ends: Index) -> Any:
        """Return sequences as the emissions see them."""
        return values if self.alphabet is None else words_of(values, ends, self.order, self.alphabet.observation)

    def of_machine(self, by_state: NDArray[Any]) -> NDArray[Any]:
        """What is said of emitting states (letters, E), said of the machine's: these are the same."""
        return by_state

    def states_of(self, path: NDArray[np.int64]) -> NDArray[np.int64]:
        """The states of a path of the machine's."""
        return path

    def posterior_of(self, posterior: Vector) -> Vector:
        """P(state) of every letter (letters, S), from that of the emitting states; silent states have zeros."""
        found = np.zeros((len(posterior), len(self.states)))
        found[:, [self.states.index(state) for state in self.emitting]] = posterior
        return found

    def _emissions(self, tables: Tables) -> Emissions:
        if self.alphabet is not None:
            return LetterEmissions([tables["emissions"][state] for state in self.emitting])
        groups = []
        for family, states in self.families.groups(self.emitting):
            places = np.array([self.emitting.index(state) for state in states])
            groups.append(FamilyStates(family, places, [self.families.of_state(state) for state in states]))
        return FamilyEmissions(groups)

    def maximize(self, counts: Vector, priors: Mapping[str, Any]) -> Vector:
        """Return the values that the M-step makes of expected counts, as `chains.machine.expect` lays them out."""
        tables, statistics = self._counted(counts)
        pooled = self.specification.pool(tables) + self._pseudocounts(priors)
        better = self.copy()
        better.specification.free = self.soft.maximize(self.specification, pooled)
        better.families.maximize(statistics, {label: priors[label] for label in priors if label in self.families.uses})
        return better.vector

    def _counted(self, counts: Vector) -> tuple[Tables, dict[str, Vector]]:
        """Cut flat counts into those of start, transitions and letters, and statistics of every state of numbers."""
        n, shapes = len(self.states), self.specification.tables()
        start, transitions, end, rest = np.split(counts, np.cumsum([n, n * n, n]))
        ending = end if self.specification.has_end else np.zeros(n)
        tables: Tables = {
            "start": np.append(start, 0.0),
            "transitions": np.column_stack([transitions.reshape(n, n), ending]),
            "emissions": {},
            "extra": {},
        }
        if self.alphabet is not None:
            by_state = rest.reshape((len(self.emitting), *next(iter(shapes["emissions"].values())).shape))
            tables["emissions"] = dict(zip(self.emitting, by_state, strict=True))
            return tables, {}
        statistics, first = {}, 0
        for family, states in self.families.groups(self.emitting):
            size = family.n_statistics(self.families.of_state(states[0]))
            for state in states:
                statistics[state] = rest[first : first + size]
                first += size
        return tables, statistics

    def unvisited(self, counts: Vector) -> list[str]:
        """States that are not entered, by expected counts."""
        n = len(self.states)
        entered = counts[:n] + counts[n : n + n * n].reshape(n, n).sum(axis=0)
        return [state for state, count in zip(self.states, entered, strict=True) if count == 0.0]

    def at_floor(self) -> list[str]:
        """Labels whose values have run into a bound of their family."""
        return self.families.at_floor()

    def standard_errors(self, batches: Sequence[Batch], run: Any = map) -> dict[str, Any]:
        """Return the standard error of every label: a float or a masked array; None or masked where there is none."""
        from .gradient import standard_errors

        return standard_errors(self, batches, run)

    def emitted(self, path: NDArray[np.int64], generator: np.random.Generator) -> Any:
        """Draw the letters or numbers of a path of states."""
        if self.alphabet is not None:
            tables = {
                k: table for k, table in enumerate(map(self.letter_tables().get, self.states)) if table is not None
            }
            return self.alphabet.decode(dependent_letters(tables, self.order, path, generator))
        families = self.families
        any_family = next(iter(families.families.values()))
        numbers = np.zeros((len(path), any_family.dims))
        for state in np.unique(path).tolist():
            name, here = self.states[state], path == state
            numbers[here] = families.families[name].sample(families.of_state(name), int(here.sum()), generator)
        return any_family.restored(numbers)

    def _pseudocounts(self, priors: Mapping[str, Any]) -> Vector:
        """What priors add to the counts of rows and letters."""
        of_rows = {label: prior for label, prior in priors.items() if label not in self.families.uses}
        return self.soft.pseudocounts(self.specification, of_rows)

    def log_prior(self, priors: Mapping[str, Any]) -> float:
        """ln of the priors' density at the current values, but for a constant, less the penalty of soft ties."""
        pseudocounts = self._pseudocounts(priors)
        moving = (pseudocounts > 0.0) & ~self.specification.is_held
        with np.errstate(divide="ignore"):
            total = float(pseudocounts[moving] @ np.log(self.specification.free[moving])) if moving.any() else 0.0
        if math.isnan(total):
            total = -math.inf
        total += self.families.log_prior({k: v for k, v in priors.items() if k in self.families.uses})
        return total - self.soft.penalty(self.specification.free)

    def nesting(self) -> Nesting:
        """Return what decides whether this model is a special case of another. ModelError if it has soft ties."""
        self.soft.refuse("comparison of models")
        families = self.families
        emitted = tuple(
            (state, json.dumps(family.to_dict(), sort_keys=True)) for state, family in families.families.items()
        )
        alphabet = None if self.alphabet is None else self.alphabet.letters
        places = {
            place: (label, families.values[label] if label in families.held else None)
            for label, found in families.uses.items()
            for place in found
        }
        structure = (self.states, self.emitting, alphabet, self.order, emitted)
        return Nesting(structure, dict.fromkeys(self.states), self.specification, places, families.at_border())

    def start_from(self, other: Any) -> None:
        """Take over the values of parameters, of this kind or strand-symmetric, that are a special case of these."""
        specification = self.specification
        start, transitions = other.rows()
        tables: Tables = {"start": start, "transitions": transitions, "emissions": other.letter_tables(), "extra": {}}
        mean = specification.pool(tables) / np.maximum(specification.ties.uses, 1)
        specification.free = np.where(specification.is_held, specification.free, mean)
        for label, places in self.families.uses.items():
            if label not in self.families.held:
                self.families.values[label] = other.families.values[other.families.label_of[places[0]]]

    def start(self, observations: Any, generator: np.random.Generator) -> None:
        """Take values that are missing from the data. ModelError if soft ties cannot draw them together."""
        self.soft.check(self.specification.free)
        if self.families.missing:
            self.families.values = self.families.start(observations, generator, only_missing=True)

    def redrawn(self, observations: Any, generator: np.random.Generator) -> Vector:
        """Return values for a restart: all that was not given is drawn anew."""
        other = self.copy()
        other.specification.free = self.specification.redraw(generator)
        if self.families.uses:
            other.families.values = self.families.start(observations, generator, only_missing=False)
        return other.vector

    # ---- files ----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the alphabet as a dictionary for JSON."""
        document = {"order": self.order, **self.soft.to_dict(self.specification)}
        if self.families.uses:
            document["families"] = self.families.to_dict()
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], alphabet: Alphabet | None) -> HMMParameters:
        """Return the parameters that :meth:`to_dict` described, with the same bits in every value."""
        other = cls.__new__(cls)
        other.alphabet, other.order = alphabet, checked_order(document["order"])
        other.specification, other.soft = SoftTies.from_dict(document, alphabet)
        other.families = FamilyParameters.from_dict(document.get("families", {}))
        other.states = other.specification.states
        with_letters = other.specification.tables()["emissions"]
        if (alphabet is None) == bool(with_letters):
            what = (
                "states that emit letters, but no alphabet"
                if with_letters
                else "an alphabet, but no state that uses it"
            )
            raise ModelError(f"The description of the model has {what}.")
        if any(table.ndim != other.order + 1 for table in with_letters.values()):
            raise ModelError(f"The description of the model has order={other.order}, and its tables have another.")
        other.emitting = tuple(s for s in other.states if s in with_letters or s in other.families.families)
        other._check_silent()
        return other

    def restated(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that make the parameters of a document again; these are the ones read from it."""
        given, soft = restated(document), document.get("soft", {"values": {}, "strengths": None})
        emitted = {**given["emissions"], **self.families.families}
        return {
            "order": self.order,
            "transitions": given["transitions"],
            "emissions": {state: emitted.get(state) for state in self.states},
            "start": given["start"],
            "values": {**given["values"], **soft["values"], **self.families.given},
            "soft": soft["strengths"],
        }


def _check_size(order: int, letters: int, tables: int) -> None:
    """ResourceError, before the first cell, where so many tables of a label each do not fit."""
    cells = letters ** (order + 1)
    check_memory(
        f"order={order} over {counted(letters, 'letter')} makes tables of {cells:,} cells, and "
        f"{counted(max(1, tables), 'distribution')} of them need at least",
        _BYTES * max(1, tables) * cells,
        "take a smaller order, or fewer letters",
    )
