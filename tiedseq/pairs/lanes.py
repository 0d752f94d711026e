"""The fast recursions: float64, sixteen cells at a time, in memory that is planned for the lengths of the sequences.

What comes back from the kernels is odds over background letters, as a mantissa and a power of two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.kernels.layout import (
    LANES,
    NOTHING,
    BackwardWork,
    Collected,
    KernelTables,
    LaneGradient,
    Model,
    Plan,
    Work,
    border_size,
    chunk_count,
    column_size,
    row_size,
    state_size,
    step_size,
    tile_count,
)
from tiedseq.kernels.memory import aligned_zeros

from .modes import empty_box_count
from .slots import Slots
from .tables import Codes, DerivativeSums, Floats, PairTables, PosteriorSums, impossible

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_RANGE_BITS = 900.0  # of float64's 1022: how far values within a lane and a period, or products of two, may lie apart
_TALLEST, _LONGEST = 16, 32  # rows a lane and steps a period: with 8 rows a fifth slower, with more of either no faster
_ROW_REACH = 3  # cells to hold per row of a lane: one in the lane itself, two for the steps of a period
_HISTORY_BYTES = 1 << 20  # of a chunk: more leaves a core's cache, less makes more chunks, each of which saves a state
_SHORTEST_CHUNK = 48
_BATCH_CELLS = 2**26  # of pairs that are passed over in one call: a tenth of a second or two, and Ctrl-C waits for it


class Lanes:
    """Forward, backward and Viterbi of one model over sequences of the symbols in x and y, if it suits these.

    `detour` are bits that values may lie apart on top: see `PairTables.detour`.
    """

    def __init__(self, tables: PairTables, x: Codes, y: Codes, detour: float = 0.0) -> None:
        self.tables = tables
        self.slots = Slots(tables)
        self._steepness, self._detour = tables.steepness(x, y), detour

    @property
    def suits(self) -> bool:
        """Whether values of a tile of one row a lane, and products of two, stay within float64's range."""
        return self._reach(_RANGE_BITS / 2) >= _ROW_REACH

    def _reach(self, bits: float) -> int:
        """How many cells in a row hold values that lie no more than some bits apart."""
        return int(max(0.0, bits - self.tables.toll - self._detour) / self._steepness)

    # ---- plan and memory --------------------------------------------------------------------------------------------

    def _plan(self, n: int, m: int, keep: bool) -> Plan:
        """How pairs of at most these lengths are cut up; `keep`: forward is kept for backward or for tracing back."""
        reach = self._reach(_RANGE_BITS / 2 if keep else _RANGE_BITS)  # what is kept will be multiplied
        height = max(1, min(_TALLEST, reach // _ROW_REACH, (n + LANES) // LANES))
        period = max(1, min(_LONGEST, reach - height))
        settling = max(1, reach // (2 * height))
        chunk = m + LANES
        if keep:
            chunk = min(chunk, max(_SHORTEST_CHUNK, _HISTORY_BYTES // (8 * step_size(self.slots.model, height))))
        return Plan(height, period, settling, chunk)

    def _work(self, n: int, m: int, plan: Plan, keep: bool, scores: Floats) -> Work:
        """Forward's memory for one pair, or for many of at most these lengths."""
        model, tiles, chunks = self.slots.model, tile_count(n, plan.height), chunk_count(m, plan.chunk)
        state = state_size(model, plan.height)
        return Work(
            aligned_zeros(column_size(model, m)),
            aligned_zeros(row_size(model, plan.height)),
            aligned_zeros(state),
            np.empty((tiles + 1 if keep else 2) * border_size(model, m)),
            np.empty(tiles * chunks * state if keep else 0),
            aligned_zeros(plan.chunk * step_size(model, plan.height) if keep else 0),
            scores,
        )

    def _backward_work(self, m: int, plan: Plan) -> BackwardWork:
        model = self.slots.model
        return BackwardWork(
            aligned_zeros(state_size(model, plan.height)),
            np.zeros(2 * border_size(model, m)),
            aligned_zeros(plan.height * LANES),
            aligned_zeros(m + 2 * LANES),
        )

    def _gradient(self, m: int, plan: Plan) -> LaneGradient:
        slots = self.slots
        return LaneGradient(
            aligned_zeros(len(slots) * (len(slots) + 2) * LANES),
            aligned_zeros(plan.height * slots.record * LANES),
            aligned_zeros(slots.insertions * (m + 2 * LANES)),
        )

    def memory(self, n: int, m: int) -> int:
        """Return how many bytes a posterior takes at least."""
        plan, model = self._plan(n, m, keep=True), self.slots.model
        tiles, chunks = tile_count(n, plan.height), chunk_count(m, plan.chunk)
        history = plan.chunk * (step_size(model, plan.height) + 2 * plan.height * LANES)
        saved = tiles * chunks * state_size(model, plan.height)
        return 8 * (saved + history + column_size(model, m) + (tiles + 3) * border_size(model, m))

    def _empty_boxes(self, pairs: list[tuple[Codes, Codes]], mode: str) -> Floats:
        """float64 (pairs, 2), mantissas and exponents: the odds of the empty boxes, to which the kernels add."""
        counts = np.array([empty_box_count(x.size, y.size, mode) for x, y in pairs], np.float64)
        return np.column_stack(np.frexp(self.tables.start_end * counts)).astype(np.float64)

    # ---- passes -----------------------------------------------------------------------------------------------------

    def log_totals(self, pairs: list[tuple[Codes, Codes]], mode: str) -> Floats:
        """Return ln of the odds of every pair, over all alignments in all boxes; -inf where there is none."""
        from tiedseq.kernels.alignment import forward

        if not pairs:
            return np.zeros(0)
        n, m = _longest(pairs)
        plan = self._plan(n, m, keep=False)
        work = self._work(n, m, plan, False, self._empty_boxes(pairs, mode))
        forward(self.slots.model, self.slots.kernel_tables(mode), plan, *_joined(pairs), work)
        return _logs(work.scores)

    def derivative_sums(self, pairs: list[tuple[Codes, Codes]], mode: str, weights: Floats) -> DerivativeSums:
        """Return what forward and backward add up over pairs, the derivatives of each times its weight."""
        from tiedseq.kernels.alignment import expect

        tables, sums, logs = self.slots.kernel_tables(mode), self.slots.new_sums(), [np.zeros(0)]
        for batch in _batches(pairs):
            n, m = _longest(pairs[batch])
            plan = self._plan(n, m, keep=True)
            work = self._work(n, m, plan, True, self._empty_boxes(pairs[batch], mode))
            memory = work, self._backward_work(m, plan), self._gradient(m, plan)
            expect(self.slots.model, tables, plan, *_joined(pairs[batch]), weights[batch], *memory, sums)
            logs.append(_logs(work.scores))
        return self.slots.derivatives(np.concatenate(logs), sums)

    def _kept(
        self, model: Model, x: Codes, y: Codes, mode: str, scores: Floats, plan: Plan
    ) -> tuple[KernelTables, Work]:
        """Forward over one pair, with everything kept: the kernels' tables and their memory."""
        from tiedseq.kernels.alignment import forward

        tables = self.slots.kernel_tables(mode)
        work = self._work(x.size, y.size, plan, True, scores)
        forward(model, tables, plan, *_joined([(x, y)]), work)
        return tables, work

    def posterior_sums(self, x: Codes, y: Codes, mode: str, threshold: float) -> PosteriorSums:
        """Return P(aligned) of letters and pairs of letters; pairs below `threshold` are left out of the matrix.

        Raises
        ------
        SequenceError
            No path explains the sequences.
        """
        from tiedseq.kernels.alignment import backward

        n, m, model = x.size, y.size, self.slots.model
        plan = self._plan(n, m, keep=True)
        tables, work = self._kept(model, x, y, mode, self._empty_boxes([(x, y)], mode), plan)
        if work.scores[0, 0] == 0.0:
            raise impossible(n, m, mode)
        mantissa, shift = math.frexp(work.scores[0, 0])  # between 1/2 and 1, as the kernel will divide by it
        norm = mantissa, float(work.scores[0, 1]) + shift
        back = self._backward_work(m, plan)
        room = 4 * max(n, m) + plan.chunk * plan.height * LANES  # what is likely, and a whole chunk to spare
        collected = Collected(threshold, np.empty(room, np.int64), np.empty(room), np.zeros(1, np.int64))
        matched = []
        for index in reversed(range(tile_count(n, plan.height))):
            chunk = chunk_count(m, plan.chunk) - 1
            while chunk >= 0:
                chunk = backward(model, tables, plan, x, m, index, chunk, work, back, norm, collected)
                if chunk >= 0:
                    collected = _with_more_room(collected)
            matched.append(back.row.reshape(plan.height, LANES).T.flatten())  # a copy: the next tile overwrites it
        target_matched = np.concatenate(matched[::-1])[1 : n + 1]
        query_matched = back.column[LANES : LANES + m][::-1]
        return PosteriorSums(float(_logs(work.scores)[0]), _sparse(collected, n, m), target_matched, query_matched)

    def best_cells(self, x: Codes, y: Codes, mode: str) -> NDArray[np.int64]:
        """Return the cells (i, j, state) of the likeliest path that is not empty; none if there is no path."""
        from tiedseq.kernels.alignment import recall
        from tiedseq.kernels.viterbi import likeliest_end, trace

        n, m, slots = x.size, y.size, self.slots
        model, arrays, plan = slots.model._replace(best=0), slots.arrays, self._plan(n, m, keep=True)
        tables, work = self._kept(model, x, y, mode, np.zeros((tile_count(n, plan.height), 2)), plan)
        scores = [math.log2(mantissa) + exponent if mantissa > 0.0 else -math.inf for mantissa, exponent in work.scores]
        index, end = int(np.argmax(scores)), np.full(4, NOTHING)
        if scores[index] == -math.inf:
            return np.zeros((0, 3), np.int64)
        for chunk in range(chunk_count(m, plan.chunk)):
            recall(model, tables, plan, x, m, index, chunk, work)
            likeliest_end(model, arrays, plan, m, index, chunk, work, end)
        path = np.empty((n + m + 1, 3), np.int64)
        path[0] = end[1:]
        cursor = np.array([*self._before(*path[0]), path[0, 2], 1])
        while cursor[2] >= 0:
            index, lane = divmod(int(cursor[0]) // plan.height, LANES)
            chunk = (int(cursor[1]) + lane) // plan.chunk
            recall(model, tables, plan, x, m, index, chunk, work)
            trace(model, arrays, plan, m, index, chunk, work, path, cursor)
        cells = path[: cursor[3]][::-1].copy()
        cells[:, 2] = np.array(slots.states)[cells[:, 2]]
        return cells

    def _before(self, i: int, j: int, slot: int) -> tuple[int, int]:
        """The cell in which a path was before a state emitted."""
        kind = self.tables.kinds[self.slots.states[slot]]
        return i - (kind != "y"), j - (kind != "x")


def _with_more_room(collected: Collected) -> Collected:
    size = collected.place.size
    place, value = np.empty(2 * size, np.int64), np.empty(2 * size)
    place[:size], value[:size] = collected.place, collected.value
    return collected._replace(place=place, value=value)


def _logs(scores: Floats) -> Floats:
    """Natural logarithms of mantissas and exponents of two; -inf of zero."""
    with np.errstate(divide="ignore"):
        return np.log(scores[:, 0]) + scores[:, 1] * math.log(2.0)


def _longest(pairs: list[tuple[Codes, Codes]]) -> tuple[int, int]:
    return max(x.size for x, _ in pairs), max(y.size for _, y in pairs)


def _batches(pairs: list[tuple[Codes, Codes]]) -> Iterator[slice]:
    """Pairs that share memory, which is planned for the longest of them: in order, as many as are soon done."""
    first, n, m = 0, 0, 0
    for number, (x, y) in enumerate(pairs):
        n, m = max(n, x.size), max(m, y.size)
        if number > first and (n + 1) * (m + 1) * (number + 1 - first) > _BATCH_CELLS:
            yield slice(first, number)
            first, n, m = number, x.size, y.size
    if pairs:
        yield slice(first, len(pairs))


def _joined(pairs: list[tuple[Codes, Codes]]) -> tuple[Any, ...]:
    """Targets one after the other, where each begins and the last one ends, and the same of the queries."""
    joined: list[Any] = []
    for side in zip(*pairs, strict=True):
        ends = np.zeros(len(pairs) + 1, np.int64)
        np.cumsum([sequence.size for sequence in side], out=ends[1:])
        joined += [np.concatenate(side), ends]
    return tuple(joined)


def _sparse(collected: Collected, n: int, m: int) -> csr_array:
    from scipy.sparse import csr_array

    count = collected.count[0]
    rows, columns = np.divmod(collected.place[:count], max(m, 1))
    matrix = csr_array((collected.value[:count], (rows.astype(np.int32), columns.astype(np.int32))), shape=(n, m))
    matrix.sort_indices()
    return matrix
