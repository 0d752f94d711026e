"""The passes in logarithms: slow, and right where the fast ones would lose values that come to matter."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ResourceError
from tiedseq.kernels.hmm_layout import Edges, LogSums

from .tables import ChainTables, Derivatives, Floats, Index, Likelihoods

_MEMORY = 4 << 30  # bytes that one sequence's values may take


class ChainLogarithms:
    """Transitions as logarithms, states in the order of `ChainTables.order`."""

    def __init__(self, tables: ChainTables) -> None:
        self.tables = tables
        self.order, self.n_emitting = tables.order, tables.n_emitting
        with np.errstate(divide="ignore"):
            self.start = np.log(tables.start[self.order])
            self.finish = np.log(tables.finish[self.order])
            self.transitions = np.log(tables.transitions[np.ix_(self.order, self.order)])
        self.possible = tables.possible[np.ix_(self.order, self.order)]

    @cached_property
    def incoming(self) -> Edges:
        return single_edges(self.possible, self.transitions)

    @cached_property
    def outgoing(self) -> Edges:
        return single_edges(self.possible.T, self.transitions.T)

    def _values(self, length: int) -> Floats:
        self._check_memory((length + 1) * len(self.order) * 8, length)
        return np.empty((length + 1, len(self.order)))

    def _check_memory(self, needed: int, length: int) -> None:
        if needed > _MEMORY:
            raise ResourceError(
                f"a sequence of {length} letters needs {needed / 2**30:.1f} GB in {len(self.order)} states where every "
                f"value is kept, as for single paths and for probabilities too far apart for the fast recursion; the "
                f"limit is {_MEMORY >> 30} GB: cut the sequence, or remove what is almost impossible"
            )

    def forward(self, likelihoods: Likelihoods, begin: int, length: int) -> tuple[Floats, float, int]:
        """Return forward's values, ln P without the rows' scales, and the first time that is impossible or -1."""
        from tiedseq.kernels.hmm_logs import log_forward

        table, values = likelihoods.logs, self._values(length)
        start = self.start
        stuck = log_forward(self.incoming, start, self.n_emitting, table, likelihoods.rows, begin, length, values)
        if stuck >= 0:
            return values, -np.inf, int(stuck)
        total = float(np.logaddexp.reduce(values[length, : self.n_emitting] + self.finish[: self.n_emitting]))
        return values, total, -1 if total > -np.inf else length

    def expect(
        self, likelihoods: Likelihoods, ends: Index, sequences: Index, weights: Floats
    ) -> tuple[Floats, NDArray[np.int64], Derivatives]:
        """Return ln P of some sequences (without scales), where each is impossible or -1, and summed derivatives."""
        from tiedseq.kernels.hmm_logs import log_expect

        table, logs, stuck = likelihoods.logs, np.empty(len(sequences)), np.empty(len(sequences), np.int64)
        sums = self._sums(len(table))
        later = np.empty((2, len(self.order)))
        for k, sequence in enumerate(sequences.tolist()):
            begin, length = int(ends[sequence]), int(ends[sequence + 1] - ends[sequence])
            values, logs[k], stuck[k] = self.forward(likelihoods, begin, length)
            if stuck[k] >= 0 or weights[sequence] == 0.0:
                continue
            log_expect(
                *(self.incoming, self.outgoing, self.start, self.finish, self.n_emitting, table, likelihoods.rows),
                *(begin, length, values, later, logs[k], sums._replace(weight=float(weights[sequence]))),
            )
        return logs, stuck, self._derivatives(sums)

    def _sums(self, rows: int) -> LogSums:
        states, edges = len(self.order), len(self.incoming.other)
        target = np.repeat(np.arange(states), np.diff(self.incoming.first))
        return LogSums(
            1.0, np.zeros(states), np.zeros(states), np.zeros(edges), target, np.zeros((rows, self.n_emitting))
        )

    def _derivatives(self, sums: LogSums) -> Derivatives:
        states = len(self.order)
        start, end, transitions = np.zeros(states), np.zeros(states), np.zeros((states, states))
        start[self.order], end[self.order] = sums.start, sums.end
        transitions[self.order[self.incoming.other], self.order[sums.target]] = sums.edges
        return Derivatives(start, transitions, end, sums.used)

    # ---- paths ----------------------------------------------------------------------------------------------------

    def log_path(self, likelihoods: Likelihoods, begin: int, path: NDArray[np.int64]) -> float:
        """ln P of a path of emitting states, by their place in the order, on the likeliest way through silent ones."""
        rows = likelihoods.rows[begin : begin + len(path)]
        letters = float((likelihoods.logs[rows, path] + likelihoods.log_scale[rows]).sum())
        steps = float(self.best_steps()[path[:-1], path[1:]].sum())
        return letters + steps + float(self.best_start()[path[0]] + self.best_finish()[path[-1]])

    def best_steps(self) -> Floats:
        """ln of the likeliest way from every state to every other, with silent states only between them."""
        best = self.transitions.copy()
        for s in range(self.n_emitting, len(self.order)):
            best = np.maximum(best, best[:, s, None] + best[None, s])
        return best

    def best_start(self) -> Floats:
        """ln of the likeliest way to every state before the first letter (silent), or at it (emitting)."""
        best = self.start.copy()
        for s in range(self.n_emitting, len(self.order)):
            best = np.maximum(best, best[s] + self.transitions[s])
        return best

    def best_finish(self) -> Floats:
        """ln of the likeliest way to end from every state before another letter."""
        with np.errstate(divide="ignore"):
            best = np.log(self.tables.end[self.order])
        for s in range(len(self.order) - 1, self.n_emitting - 1, -1):
            best = np.maximum(best, self.transitions[:, s] + best[s])
        return best

    def best_paths(
        self, likelihoods: Likelihoods, begin: int, length: int, k: int
    ) -> list[tuple[float, NDArray[np.int64]]]:
        """Return the k likeliest paths of a sequence, each with its ln P; fewer if there are not as many.

        Paths differ in their emitting states; between two of them each takes its likeliest way through silent ones.
        """
        from tiedseq.kernels.hmm_kbest import best_lists, follow

        states = self.n_emitting
        self._check_memory((length + 1) * states * k * 16, length)
        values = np.empty((length + 1, states, k))
        sources, ranks = np.empty(values.shape, np.int32), np.empty(values.shape, np.int32)
        steps = self.best_steps()[:states, :states]
        best_lists(
            *(single_edges(steps > -np.inf, steps), self.best_start()[:states], states, likelihoods.logs),
            *(likelihoods.rows, begin, length, values, sources, ranks),
        )
        totals = values[length] + self.best_finish()[:states, None]
        scale = float(likelihoods.log_scale[likelihoods.rows[begin : begin + length]].sum())
        found = []
        for place in np.argsort(-totals, axis=None, kind="stable")[:k].tolist():
            state, rank = divmod(place, k)
            if totals[state, rank] == -np.inf:
                break
            path = np.empty(length, np.int64)
            follow(states, length, sources, ranks, state, rank, path)
            found.append((float(totals[state, rank]) + scale, self.order[path]))
        return found

    def samples(
        self, likelihoods: Likelihoods, begin: int, length: int, count: int, generator: np.random.Generator
    ) -> Iterator[NDArray[np.int64]]:
        """Draw paths of a sequence from the posterior."""
        from tiedseq.kernels.hmm_logs import sample_path

        values, total, _ = self.forward(likelihoods, begin, length)
        if total == -np.inf:
            return
        for _ in range(count):
            path = np.empty(length, np.int64)
            uniform = generator.random(length * (1 + len(self.order) - self.n_emitting) + 1)
            sample_path(self.incoming, self.start, self.finish, self.n_emitting, length, values, uniform, path)
            yield self.order[path]


def single_edges(possible: NDArray[np.bool_], weight: Floats) -> Edges:
    """Edges by the state that they lead to."""
    target, source = np.nonzero(possible.T)
    first = np.concatenate([[0], np.cumsum(np.bincount(target, minlength=len(possible)))])
    return Edges(first.astype(np.int64), source.astype(np.int64), np.ascontiguousarray(weight[source, target]))
