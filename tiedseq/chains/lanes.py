"""The fast passes, sixteen sequences or pieces side by side: the tables as the kernels want them, and their memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.kernels.hmm_layout import FOUR, SUMMARY, Chain, Edges, Sums, Work
from tiedseq.kernels.layout import LANES
from tiedseq.kernels.memory import aligned_zeros

from .cuts import Cuts, Passed, Task
from .tables import ChainTables, Derivatives, Floats, Index, Likelihoods

Map = Callable[[Callable[[Task], Any], Iterable[Task]], Iterator[Any]]
"""The built-in `map`, or an executor's: results come in the order of the tasks."""

_HISTORY_BYTES = 1 << 18  # of forward's values in a chunk: with what else a chunk holds, it stays in a core's cache
_KEPT_BYTES = 16 << 20  # of memory that is kept for the next call, for each of the threads that ever worked at once


class Counted(NamedTuple):
    """What a task is counted in."""

    sums: Sums
    by_lane: Floats  # those of the sums that are lane by lane, one after the other


class ChainLanes:
    """Transitions as the kernels want them, and the passes."""

    def __init__(self, tables: ChainTables) -> None:
        self.tables = tables
        self.states = tables.order  # by place in a slot, without padding
        self.emitting = -(-tables.n_emitting // FOUR) * FOUR
        self.size = self.emitting + int(tables.silent.sum())
        self.place = np.empty(len(self.states), np.int64)  # of every state, in a slot
        self.place[self.states] = np.concatenate(
            [np.arange(tables.n_emitting), np.arange(self.emitting, self.size)]
        ).astype(np.int64)

    # ---- to the kernels -------------------------------------------------------------------------------------------

    def _placed(self, values: Floats) -> Floats:
        placed = np.zeros(self.size)
        placed[self.place] = values
        return placed

    @cached_property
    def chain(self) -> Chain:
        possible, weight = np.zeros((self.size, self.size), bool), np.zeros((self.size, self.size))
        where = np.ix_(self.place, self.place)
        possible[where], weight[where] = self.tables.possible, self.tables.transitions
        fours = [slice(g, g + FOUR) for g in range(0, self.emitting, FOUR)]
        ones = [slice(s, s + 1) for s in range(self.emitting, self.size)]
        return Chain(
            incoming=four_edges(possible, weight, fours),
            outgoing=four_edges(possible.T, weight.T, fours),
            silent_incoming=four_edges(possible, weight, ones),
            silent_outgoing=four_edges(possible.T, weight.T, ones),
            start=self._placed(self.tables.entered)[: self.emitting],
            guess=self._placed(np.where(self.tables.silent, 0.0, 1.0 / self.tables.n_emitting))[: self.emitting],
            finish=self._placed(self.tables.finish),
        )

    # ---- passes ---------------------------------------------------------------------------------------------------

    def forward(self, likelihoods: Likelihoods, cuts: Cuts, period: int, run: Map = map) -> Passed:
        """Return ln P of every sequence."""
        from tiedseq.kernels.hmm import forward

        letters = likelihoods.letters

        def passed(task: Task) -> Sums:
            sums = self._counted(task, 0).sums
            with self._work(task, period, keep=False) as (work, chunk):
                forward(self.chain, letters, task.pieces, period, chunk, self.size, work, sums)
            return sums

        return cuts.passed(list(run(passed, cuts.tasks)))

    def expect(self, likelihoods: Likelihoods, cuts: Cuts, period: int, run: Map = map) -> tuple[Passed, Derivatives]:
        """Return ln P of every sequence, and its derivatives summed over sequences times their weights."""
        from tiedseq.kernels.hmm import expect

        letters = likelihoods.letters

        def passed(task: Task) -> Counted:
            counted = self._counted(task, letters.table.size)
            with self._work(task, period, keep=True) as (work, chunk):
                expect(self.chain, letters, task.pieces, period, chunk, self.size, work, counted.sums)
            return counted

        parts = list(run(passed, cuts.tasks))
        return cuts.passed([part.sums for part in parts]), self._derivatives(parts)

    @cached_property
    def _places_by_lane(self) -> list[int]:
        """Where the sums that are lane by lane begin: incoming, silent_incoming, began, finished; and their end."""
        edges = self.chain.incoming.weight.size, self.chain.silent_incoming.weight.size
        return [*accumulate((*edges, self.emitting, self.size), initial=0)]

    def _counted(self, task: Task, used: int) -> Counted:
        """Zeros, in one piece of memory."""
        by_lane, pieces = self._places_by_lane[-1] * LANES, len(task.pieces.begin)
        summary = by_lane + used
        seams = summary + pieces * SUMMARY
        memory = aligned_zeros(seams + task.n_seams * 4 * self.size)
        incoming, silent, began, finished = (memory[a * LANES : b * LANES] for a, b in pairwise(self._places_by_lane))
        sums = Sums(
            memory[summary:seams].reshape(pieces, SUMMARY),
            memory[seams:].reshape(task.n_seams, 4, self.size),
            *(incoming, silent, began, finished),
            memory[by_lane:summary],
        )
        return Counted(sums, memory[:by_lane])

    @contextmanager
    def _work(self, task: Task, period: int, keep: bool) -> Iterator[tuple[Work, int]]:
        """Memory for a task, and the number of times in a chunk."""
        length = task.longest
        fitting = _HISTORY_BYTES // (self.size * LANES * 8) if keep else 64
        chunk = max(1, min(length, max(16, fitting)))
        with scratch(
            chunk,
            chunk * self.emitting,
            (chunk + 1) * self.size,
            chunk * self.size if keep else 0,
            self.size,
            -(-length // chunk) * (self.size + 1) if keep else 0,
            length // period + 1,
            1,
            1,
        ) as (which, likelihood, forward, onward, *rest):
            yield Work(which.view(np.int64), likelihood, forward, onward, likelihood, *rest), chunk

    # ---- from the kernels -----------------------------------------------------------------------------------------

    @cached_property
    def _origins(self) -> tuple[Index, Index, Index]:
        """Where in the sums over lanes are the derivatives by transitions (S, S), start and end; -1 for nothing."""
        tables, chain, (_, silent, began, finished, _) = self.tables, self.chain, self._places_by_lane
        square = np.full((self.size, self.size), -1)
        fours = FOUR * _groups(chain.incoming)[:, None] + np.arange(FOUR)
        square[chain.incoming.other[:, None], fours] = np.arange(silent).reshape(-1, FOUR)  # what comes twice is alike
        ones = self.emitting + _groups(chain.silent_incoming)
        square[chain.silent_incoming.other, ones] = np.arange(silent, began)
        transitions = np.where(tables.possible, square[np.ix_(self.place, self.place)], -1)
        return transitions, np.where(tables.silent, -1, began + self.place), finished + self.place

    def _derivatives(self, parts: list[Counted]) -> Derivatives:
        """What the kernels added up, in the order of the model's states; silent edges before and after all letters."""
        tables = self.tables
        by_lane = sum((part.by_lane for part in parts[1:]), parts[0].by_lane)
        summed = np.append(by_lane.reshape(-1, LANES).sum(axis=1), 0.0)
        transitions, start, finished = (summed[origin] for origin in self._origins)
        for s in tables.order[: tables.n_emitting - 1 : -1] if tables.silent.any() else []:
            start[s] = tables.transitions[s] @ start
        for s in tables.order[tables.n_emitting :]:  # edges of silent states before the first letter and after the last
            transitions[s] += np.where(tables.possible[s], tables.entered[s] * start, 0.0)
            transitions[:, s] += np.where(tables.possible[:, s], finished * tables.finish[s], 0.0)
        used = sum((part.sums.used for part in parts[1:]), parts[0].sums.used).reshape(-1, self.emitting)
        return Derivatives(start, transitions, finished, np.ascontiguousarray(used[:-1, : tables.n_emitting]))


def four_edges(possible: NDArray[np.bool_], weight: Floats, groups: list[slice]) -> Edges:
    """Gather the edges into every group of states. Groups of four get an even number: the first may come twice.

    The second time it is without weight: nothing, or minus infinity where weights are logarithms.
    """
    first, others, weights = [0], [], []
    nothing = weight.min(initial=0.0)
    for group in groups:
        sources = np.flatnonzero(possible[:, group].any(axis=1)).tolist()
        others += sources
        weights += [weight[s, group] for s in sources]
        if group.stop - group.start == FOUR and len(sources) % 2:
            others.append(sources[0])
            weights.append(np.full(FOUR, nothing))
        first.append(len(others))
    flat = np.concatenate(weights) if weights else np.zeros(0)
    return Edges(np.array(first, np.int64), np.array(others, np.int64), np.ascontiguousarray(flat))


def _groups(edges: Edges) -> Index:
    """The group of every edge."""
    return np.repeat(np.arange(len(edges.first) - 1), np.diff(edges.first))


def vectors(count: int) -> Floats:
    return aligned_zeros(count * LANES)


_kept: list[Floats] = []


@contextmanager
def scratch(*counts: int) -> Iterator[list[Floats]]:
    """Vectors whose content does not matter, for as long as the context lasts.

    They are kept for the next who asks, whatever its thread: new memory is handed out page by page, which takes as long
    as the work on short sequences.
    """
    wanted = sum(counts)
    try:
        memory = _kept.pop()
    except IndexError:
        memory = vectors(wanted)
    if memory.size < wanted * LANES:
        memory = vectors(wanted)
    yield [memory[a * LANES : b * LANES] for a, b in pairwise(accumulate(counts, initial=0))]
    if memory.nbytes <= _KEPT_BYTES:
        _kept.append(memory)


def smallest_positive(*arrays: Floats) -> float:
    """The smallest value above zero, 1 if there is none."""
    return min((float(array[array > 0.0].min()) for array in arrays if (array > 0.0).any()), default=1.0)
