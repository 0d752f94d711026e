"""An HMM at one set of values, ready to work: what a batch of sequences says of it. Can be sent to another process."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import SequenceError
from tiedseq.training import Statistics

from .emissions import Batch, Emissions
from .lanes import Map
from .recursion import ChainRecursion
from .tables import ChainTables, Derivatives, Floats, uses


class Machine:
    """Transitions and emissions at one set of values."""

    def __init__(self, tables: ChainTables, emissions: Emissions) -> None:
        self.tables, self.emissions = tables, emissions

    @cached_property
    def recursion(self) -> ChainRecursion:
        return ChainRecursion(self.tables)

    def __getstate__(self) -> dict[str, Any]:
        return {"tables": self.tables, "emissions": self.emissions}

    def log_likelihoods(self, batch: Batch, run: Map = map) -> Floats:
        """ln P of every sequence; -inf where there is no path."""
        return self.recursion.log_likelihoods(self.emissions.likelihoods(batch), batch.spans, run)

    def derivatives(self, batch: Batch, run: Map = map) -> tuple[Floats, Derivatives]:
        """ln P of every sequence, and its derivatives. Raises SequenceError for one that no path explains."""
        found = self.recursion.expect(self.emissions.likelihoods(batch), batch.spans, run)
        check_explained(batch, np.where(batch.weights > 0.0, found[1], -1))
        return found[0], found[2]

    def posterior(self, batch: Batch, run: Map = map) -> Floats:
        """P(state | sequence) of every letter, (letters, emitting states)."""
        _, stuck, posterior = self.recursion.posterior(self.emissions.likelihoods(batch), batch.spans, run)
        check_explained(batch, stuck)
        return posterior

    def likeliest(self, batch: Batch, out: NDArray[np.int64] | None = None) -> tuple[Floats, NDArray[np.int64]]:
        """ln P of the likeliest path of every sequence, and the states of all letters, in `out` or a new array."""
        likelihoods = self.emissions.likelihoods(batch)
        logs, path, found = self.recursion.paths.viterbi(likelihoods, batch.spans, out)
        if not found[batch.weights > 0.0].all():
            check_explained(batch, self.recursion.expect(likelihoods, batch.spans)[1])
        return logs, path

    def best_paths(self, batch: Batch, k: int) -> list[tuple[float, NDArray[np.int64]]]:
        """The k likeliest paths of a batch's first sequence, with their ln P."""
        return self.recursion.logarithms.best_paths(self.emissions.likelihoods(batch), 0, int(batch.ends[1]), k)

    def sampled_paths(self, batch: Batch, count: int, generator: np.random.Generator) -> list[NDArray[np.int64]]:
        """Paths of a batch's first sequence, drawn from their posterior."""
        likelihoods, length = self.emissions.likelihoods(batch), int(batch.ends[1])
        paths = list(self.recursion.logarithms.samples(likelihoods, 0, length, count, generator))
        if len(paths) < count:
            check_explained(batch, self.recursion.expect(likelihoods, batch.spans)[1])
        return paths


def expect(machine: Machine, batch: Batch, run: Map = map) -> Statistics:
    """The E-step of a batch: expected counts of start, transitions and end, then the emissions' statistics."""
    logs, derivatives = machine.derivatives(batch, run)
    tables = machine.tables
    counts = [
        uses(derivatives.start, tables.start),
        uses(derivatives.transitions, tables.transitions).ravel(),
        uses(derivatives.end, tables.end),
        machine.emissions.statistics(batch, derivatives.used),
    ]
    return Statistics(_weighted(logs, batch), np.concatenate(counts))


def expect_best(machine: Machine, batch: Batch, run: Map = map) -> Statistics:
    """The E-step of Viterbi training: the counts of the likeliest paths, and their ln P."""
    logs, path = machine.likeliest(batch)
    return Statistics(_weighted(logs, batch), path_counts(machine, batch, path))


def _weighted(logs: Floats, batch: Batch) -> float:
    """The sum of ln P times weights; a sequence without weight may be impossible."""
    return float(np.where(batch.weights > 0.0, logs, 0.0) @ batch.weights)


def path_counts(machine: Machine, batch: Batch, path: NDArray[np.int64]) -> Floats:
    """The counts of given paths of emitting states, laid out as those of `expect`; no state is silent."""
    tables, ends = machine.tables, batch.ends
    states, emitting = len(tables.start), tables.n_emitting
    by_letter = np.repeat(batch.weights, np.diff(ends))
    inner = np.ones(len(path), bool)
    inner[ends[:-1]] = False  # letters with one before them in their sequence
    steps = path[np.flatnonzero(inner) - 1] * states + path[inner]
    likelihoods = machine.emissions.likelihoods(batch)
    used = np.zeros((len(likelihoods.table), emitting))
    np.add.at(used, (likelihoods.rows, np.argsort(tables.order)[path]), by_letter)
    return np.concatenate(
        [
            np.bincount(path[ends[:-1]], batch.weights, states),
            np.bincount(steps, by_letter[inner], states * states),
            np.bincount(path[ends[1:] - 1], batch.weights, states),
            machine.emissions.statistics(batch, used),
        ]
    )


def check_explained(batch: Batch, stuck: NDArray[np.int64]) -> None:
    """Raise SequenceError for the first sequence that no path explains."""
    for number in np.flatnonzero(stuck >= 0).tolist():
        length = int(batch.ends[number + 1] - batch.ends[number])
        position, which = int(stuck[number]), f"Sequence {batch.first + number}"
        if position >= length:
            raise SequenceError(
                f"{which} has probability 0: no path of states can end after its {length} letters.", length
            )
        raise SequenceError(
            f"{which} has probability 0: no path of states explains its letter at position {position} (counted from 0) "
            "after those before it. Allow a transition or give the letter a probability, for instance by `priors`.",
            position,
        )
