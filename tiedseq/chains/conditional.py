"""Parameters of an HMM whose states have potentials in the place of emissions: it says P(path | X), and nothing of X.

A path has the weight exp(sum of its potentials) times its transition probabilities, and P(path | X) is this over the
sum of all paths: a conditional random field (Lafferty, McCallum and Pereira, ICML 2001) whose transitions are rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Alphabet
from tiedseq.errors import ModelError, SequenceError
from tiedseq.nesting import Nests
from tiedseq.pseudocounts import pseudocounts_of
from tiedseq.random_state import RandomState
from tiedseq.restating import restated
from tiedseq.specification import Parameter, Specification, Tables

from .emissions import Batch
from .family_parameters import FamilyParameters
from .lanes import Map
from .machine import Machine, check_explained
from .potentials import Computed, PotentialEmissions, Potentials, PotentialSource
from .protocol import Written
from .tables import ChainTables, Floats, Index


class ConditionalMachine(Machine):
    """Given the sequence: P(path | X) in the place of P(path, X). Allowed paths are those of labels."""

    emissions: PotentialEmissions

    def log_likelihoods(self, batch: Batch, run: Map = map) -> Floats:
        """ln P(labels | X) of every sequence: 0 where there are none; -inf where they contradict the transitions."""
        if batch.allowed is None:
            return np.zeros(len(batch.spans))
        known = self._computed(batch)
        clamped = super().log_likelihoods(known, run)
        return np.where(clamped > -np.inf, clamped - self._free(known, run), -np.inf)

    def likeliest(self, batch: Batch, out: NDArray[np.int64] | None = None) -> tuple[Floats, NDArray[np.int64]]:
        known = self._computed(batch)
        joint, path = super().likeliest(known, out)
        return joint - self._free(known), path

    def best_paths(self, batch: Batch, k: int) -> list[tuple[float, NDArray[np.int64]]]:
        known = self._computed(batch)
        free = float(self._free(known)[0])
        return [(joint - free, path) for joint, path in super().best_paths(known, k)]

    def _computed(self, batch: Batch) -> Batch:
        return batch._replace(observations=Computed(self.emissions.forward(batch)[0]))

    def _free(self, known: Batch, run: Map = map) -> Floats:
        """ln of the sum over all paths. Raises SequenceError where there is none."""
        logs = super().log_likelihoods(known._replace(allowed=None), run)
        if not (logs > -np.inf).all():
            check_explained(known, np.where(logs > -np.inf, -1, np.diff(known.ends)))
        return logs

    def climb(self, batch: Batch, run: Map = map) -> tuple[float, Tables, Floats]:
        """Return ln P(labels | X), times weights, and its derivatives in rows and in the potentials' values.

        Raises SequenceError for labels that the transitions do not allow.
        """
        logs, memory = self.emissions.forward(batch)
        known = batch._replace(observations=Computed(logs))
        spans, counted = batch.spans, batch.weights > 0.0
        clamped, stuck, with_labels = self.recursion.expect(self.emissions.likelihoods(known), spans, run)
        _check_labels(batch, np.where(counted, stuck, -1))
        free, without = self.derivatives(known._replace(allowed=None), run)
        gain = np.subtract(clamped, free, out=np.zeros(len(spans)), where=counted)
        rows: Tables = {
            "start": np.append(with_labels.start - without.start, 0.0),
            "transitions": np.column_stack(
                [with_labels.transitions - without.transitions, with_labels.end - without.end]
            ),
            "emissions": {},
            "extra": {},
        }
        return float(gain @ batch.weights), rows, self.emissions.backward(memory, with_labels.used - without.used)


def _check_labels(batch: Batch, stuck: NDArray[np.int64]) -> None:
    """Raise SequenceError for the first sequence whose labels no path has."""
    for number in np.flatnonzero(stuck >= 0).tolist():
        length, position = int(batch.ends[number + 1] - batch.ends[number]), int(stuck[number])
        where = "can end after its last letter" if position >= length else f"goes on to position {position}"
        raise SequenceError(
            f"Sequence {batch.first + number}: no path with these labels {where} (counted from 0); the model's "
            "transitions do not allow it. Correct the labels, or allow a transition.",
            position,
        )


class Sequences(FamilyParameters):
    """No family of numbers; but sequences of numbers, as potentials are computed from them."""

    def __init__(self, potentials: Potentials) -> None:
        super().__init__({}, {})
        self.potentials = potentials

    def observations(self, sequence: Any) -> Floats:
        return self.potentials.sequence(sequence)

    @property
    def dims(self) -> int:
        return self.potentials.n_channels


class ConditionalParameters:
    """Rows that sum to one, and the values of potentials.

    Attributes
    ----------
    specification : Specification
        Rows alone.
    potentials : Potentials
    weights : float64 (n,)
        The values of the potentials.
    """

    is_conditional = True

    def __init__(self, written: Written) -> None:
        if written.order:
            raise ModelError(
                f"order={written.order} is for letters that depend on those before them; a network sees its neighbours "
                "by its width."
            )
        self.order, self.alphabet = 0, written.alphabet
        self.specification = Specification(
            dict.fromkeys(written.transitions), written.transitions, {}, start=written.start, values=written.values
        )
        self._take(written.emissions)

    def _take(self, source: PotentialSource) -> None:
        """Take potentials for the states of the rows."""
        self.states = self.emitting = self.specification.states
        self.potentials = source.potentials(self.states)
        self.weights = self.potentials.initial.copy()
        self.families: FamilyParameters = Sequences(self.potentials)
        for label in self.potentials.by_label(self.weights):
            if label in self.specification.labels:
                raise ModelError(f"The label {label!r} names a transition and a weight of the network; rename it.")

    # ---- values ---------------------------------------------------------------------------------------------------

    @property
    def by_label(self) -> dict[str, Any]:
        return {**self.specification.parameters, **self.potentials.by_label(self.weights)}

    @property
    def n_free(self) -> int:
        return self.specification.n_free_parameters + len(self.weights)

    @property
    def held(self) -> tuple[str, ...]:
        return self.specification.held

    @property
    def has_end(self) -> bool:
        return self.specification.has_end

    @property
    def vector(self) -> Floats:
        """All values: those of rows, then those of the potentials."""
        return np.concatenate([self.specification.free, self.weights])

    @vector.setter
    def vector(self, vector: Floats) -> None:
        size = len(self.specification.free)
        self.specification.free, self.weights = np.array(vector[:size]), np.array(vector[size:])

    def rows(self) -> tuple[Floats, Floats]:
        """Start (S + 1,) and transitions (S, S + 1); the last column is the end, 1 if there is none."""
        tables = self.specification.tables()
        return tables["start"], tables["transitions"]

    def letter_tables(self) -> dict[str, Floats]:
        """No state emits letters."""
        return {}

    def describe(self) -> Iterator[Parameter]:
        yield from self.specification.describe()
        yield from self.potentials.describe(self.weights)

    def check_values(self) -> None:
        """Every parameter has its value from the start."""

    def copy(self) -> ConditionalParameters:
        other = ConditionalParameters.__new__(ConditionalParameters)
        other.__dict__.update(self.__dict__)
        other.specification, other.weights = self.specification.copy(), self.weights.copy()
        return other

    # ---- at work --------------------------------------------------------------------------------------------------

    def machine(self) -> ConditionalMachine:
        start, transitions = self.rows()
        n = len(self.states)
        tables = ChainTables(
            start[:-1].copy(),
            np.ascontiguousarray(transitions[:, :-1]),
            np.ascontiguousarray(transitions[:, -1]),
            np.zeros(n, bool),
            self.specification.possible()[:, :-1],
        )
        return ConditionalMachine(tables, PotentialEmissions(self.potentials, self.weights))

    def observe(self, values: NDArray[Any], ends: Index) -> Any:
        return self.potentials.observe(values, ends)

    def of_machine(self, by_state: NDArray[Any]) -> NDArray[Any]:
        return by_state

    def states_of(self, path: Index) -> Index:
        return path

    def posterior_of(self, posterior: Floats) -> Floats:
        return posterior

    # ---- training -------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Return to the values of the constructor."""
        self.specification.free, self.weights = self.specification.initial.copy(), self.potentials.initial.copy()

    def redrawn(self, observations: Any, generator: np.random.Generator) -> Floats:
        """Return values for a restart; `observations` say nothing of them."""
        return np.concatenate([self.specification.redraw(generator), self.potentials.draw(generator)])

    def pseudocounts(self, priors: Mapping[str, Any]) -> Floats:
        """What priors add to the counts of every value of the rows. ModelError for a label that takes none."""
        total, names = np.zeros(len(self.specification.free)), self.potentials.by_label(self.weights)
        for label, prior in priors.items():
            if label in names:
                raise ModelError(
                    f"priors= has {label!r}, a weight of the network; pseudocounts are for probabilities, give "
                    "nn.Emissions a decay."
                )
            total += pseudocounts_of(label, prior, self.specification.places(label), len(total))
        return np.where(self.specification.is_held, 0.0, total)

    # ---- what a model of paths alone cannot say --------------------------------------------------------------------

    def maximize(self, counts: Floats, priors: Mapping[str, Any]) -> Floats:
        self._refuse("M-step")

    def start(self, observations: Any, generator: np.random.Generator) -> None:
        """Nothing is missing."""

    def log_prior(self, priors: Mapping[str, Any]) -> float:
        """ln of the priors' density at the current values, but for a constant."""
        pseudocounts = self.pseudocounts(priors)
        counted = pseudocounts > 0.0
        with np.errstate(divide="ignore"):
            return float(pseudocounts[counted] @ np.log(self.specification.free[counted]))

    def unvisited(self, counts: Floats) -> list[str]:
        return []

    def at_floor(self) -> list[str]:
        return []

    def emitted(self, path: Index, generator: np.random.Generator) -> Any:
        self._refuse("sample of letters")

    def standard_errors(self, batches: Sequence[Batch], run: Any = map) -> dict[str, Any]:
        self._refuse("standard error")

    def nesting(self) -> Nests:
        self._refuse("likelihood of X to compare by")

    def start_from(self, other: Any) -> None:
        self._refuse("likelihood of X to compare by")

    def _refuse(self, what: str) -> NoReturn:
        raise ModelError(f"A model whose emissions are a network says P(path | X) alone: it has no {what}.")

    # ---- soft ties ------------------------------------------------------------------------------------------------

    soft_title = ""

    @property
    def strengths(self) -> dict[str, float]:
        return {}

    def softened(
        self, soft: Mapping[str, float], random_state: RandomState = None, given: Mapping[str, Any] | None = None
    ) -> ConditionalParameters:
        self.is_soft_by(soft)
        return self

    def is_soft_by(self, soft: Mapping[str, float]) -> bool:
        if soft:
            raise ModelError(
                f"soft={dict(soft)!r} draws distributions together by an M-step, which a model whose emissions are a "
                "network has not; tie them, or leave them apart."
            )
        return True

    def continue_from(self, other: Any) -> None:
        """There are no other soft ties to continue from."""

    # ---- files ----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the alphabet as a dictionary for JSON. ModelError for a network no file can hold."""
        return {**self.specification.to_dict(), "network": self.potentials.at(self.weights).to_dict()}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], alphabet: Alphabet | None) -> ConditionalParameters:
        """Return the parameters that :meth:`to_dict` described, with the same bits in every value."""
        other = cls.__new__(cls)
        other.order, other.alphabet = 0, alphabet
        other.specification = Specification.from_dict(document)
        # networks are built on this package: they are reached by name, as model files reach every kind of model
        other._take(import_module("tiedseq.nn").Emissions.from_dict(document["network"]))
        return other

    def restated(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that make the parameters of a document again; these are the ones read from it."""
        given = restated(document)
        return {
            "transitions": given["transitions"],
            "emissions": self.potentials.at(self.potentials.initial),
            "start": given["start"],
            "values": given["values"],
        }
