"""The fast recursions: float64, sixteen cells at a time, in memory that is planned for the lengths of the sequences.

What comes back from the kernels is odds over background letters, as a mantissa and a power of two.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ResourceError, SequenceError
from tiedseq.kernels.layout import CARRY, DAMPING, LANES, NOTHING, WEIGHTS, Collected, Gradient, Plan, Work

from .modes import empty_box_count
from .slots import Slots
from .tables import Codes, Floats, PairTables, Sums, impossible_message

if TYPE_CHECKING:
    from scipy.sparse import csr_array

RANGE_BITS = 900.0  # of float64's 1022: how far values within a lane and a period, or products of two, may lie apart
_LN2 = math.log(2.0)
_SAVED_BYTES = 256 * 2**20  # what forward may keep for backward before chunks grow longer


class Lanes:
    """Forward, backward and Viterbi of one model.

    For tables that are moderate: `tables.steepness` and `tables.toll` bound what the lanes' shape must hold.
    """

    def __init__(self, tables: PairTables) -> None:
        self.tables = tables
        self.slots = Slots(tables)

    # ---- plan and memory
    # ------------------------------------------------------------------------------------------------

    def _plan(self, m: int, n: int, keep: bool) -> Plan:
        room = RANGE_BITS / 2 if keep else RANGE_BITS  # what is kept will be multiplied
        reach = max(1, int((room - self.tables.toll) / self.tables.steepness))
        height = max(1, min(16, reach // 3, (n + LANES) // LANES))
        period = max(1, min(32, reach - height))
        settling = max(1, reach // (2 * height))
        chunk = m + LANES
        if keep:
            bytes_saved = 8 * (n // (LANES * height) + 1) * (m + LANES) * self._state_size(height)
            chunk = min(chunk, max(128, math.ceil(bytes_saved / _SAVED_BYTES)))
        return Plan(height, period, settling, chunk)

    def _state_size(self, height: int) -> int:
        return CARRY + (2 * self.slots.pairs + self.slots.deletions + height * len(self.slots)) * LANES

    def _work(self, n: int, m: int, plan: Plan, keep: bool, scores: Floats) -> Work:
        """The kernels' memory for one pair, or for many of at most these lengths."""
        slots, state = self.slots, self._state_size(plan.height)
        tiles, chunks = n // (LANES * plan.height) + 1, -(-(m + LANES) // plan.chunk)
        columns = (slots.letters + slots.insertions + WEIGHTS) * (m + 2 * LANES)
        borders = (tiles + 1 if keep else 2) * self._border_size(m)
        saved, history = (
            (tiles * chunks * state, plan.chunk * (1 + plan.height * len(slots)) * LANES) if keep else (0, 0)
        )
        try:
            return Work(
                _vectors(columns),
                _vectors(plan.height * (slots.record + WEIGHTS) * LANES),
                _vectors(state),
                np.zeros(borders),
                np.empty(saved),
                _vectors(history),
                scores,
            )
        except MemoryError as error:
            raise ResourceError(
                f"the posterior of sequences of {n:,} and {m:,} letters needs {8 * (saved + borders) / 1e9:.1f} GB of "
                "memory, which this machine does not have to spare: align shorter pieces"
            ) from error

    def _border_size(self, m: int) -> int:
        return (self.slots.pairs + self.slots.deletions + 1) * (m + 1 + 2 * LANES)

    # ---- passes
    # -------------------------------------------------------------------------------------------------------

    def log_totals(self, pairs: list[tuple[Codes, Codes]], mode: str) -> Floats:
        """Return ln of the odds of every pair, over all alignments in all boxes; -inf where there is none."""
        from tiedseq.kernels.alignment import forward

        if not pairs:
            return np.zeros(0)
        targets, x_ends = _joined([x for x, _ in pairs])
        queries, y_ends = _joined([y for _, y in pairs])
        n, m = np.diff(x_ends), np.diff(y_ends)
        plan = self._plan(int(m.max()), int(n.max()), keep=False)
        work = self._work(int(n.max()), int(m.max()), plan, False, np.zeros((len(pairs), 2)))
        forward(self.slots.model, self.slots.kernel_tables(mode), plan, targets, x_ends, queries, y_ends, work)
        sizes = zip(work.scores.tolist(), n.tolist(), m.tolist(), strict=True)
        return np.array([_log(*self._total([score], length, width, mode)) for score, length, width in sizes])

    def _total(self, scores: list[list[float]], n: int, m: int, mode: str) -> tuple[float, float]:
        """The sum of odds and of those of the empty boxes, a mantissa and its exponent of two."""
        empty = self.tables.start_end * empty_box_count(n, m, mode)
        terms = [*scores, [empty, 0.0]]
        top = max((exponent for mantissa, exponent in terms if mantissa > 0.0), default=0.0)
        return sum(
            math.ldexp(value, int(max(exponent - top, -1100.0))) for value, exponent in terms if value > 0.0
        ), top

    def _kept(self, model: Any, x: Codes, y: Codes, mode: str) -> tuple[Any, ...]:
        """Forward over one pair, with everything kept: the plan, the kernels' tables and their memory."""
        from tiedseq.kernels.alignment import forward

        plan, tables = self._plan(y.size, x.size, keep=True), self.slots.kernel_tables(mode)
        scores = np.zeros((x.size // (LANES * plan.height) + 1, 2))
        work = self._work(x.size, y.size, plan, True, scores)
        forward(model, tables, plan, x, np.array([0, x.size]), y, np.array([0, y.size]), work)
        return plan, tables, work

    def sums(self, x: Codes, y: Codes, mode: str, threshold: float, want_derivatives: bool) -> Sums:
        """Return what forward and backward add up; aligned pairs below `threshold` are left out of the matrix.

        Raises
        ------
        SequenceError
            No path explains the sequences.
        ResourceError
            There is not enough memory.
        """
        from tiedseq.kernels.alignment import backward

        n, m, slots = x.size, y.size, self.slots
        plan, tables, work = self._kept(slots.model, x, y, mode)
        mantissa, exponent = self._total(work.scores.tolist(), n, m, mode)
        if mantissa == 0.0:
            raise SequenceError(impossible_message(n, m, mode))
        mantissa, shift = math.frexp(mantissa)  # between 1/2 and 1, as the kernel will divide by it
        norm = mantissa, exponent + shift
        products, borders = _vectors(work.state.size), np.zeros(2 * self._border_size(m))
        tiles, chunks = len(work.scores), -(-(m + LANES) // plan.chunk)
        room = 4 * max(n, m) + plan.chunk * plan.height * LANES  # what is likely, and a whole chunk to spare
        collected = Collected(
            threshold,
            np.empty(room, np.int64),
            np.empty(room),
            np.zeros(1, np.int64),
            _vectors(plan.height * LANES),
            _vectors(m + 2 * LANES),
        )
        gradient = None
        if want_derivatives:
            size = len(slots) * (len(slots) + 2)
            gradient = Gradient(
                _vectors(size * LANES),
                _vectors(plan.height * slots.record * LANES),
                _vectors(slots.insertions * (m + 2 * LANES)),
            )
        matched, rows = [], []
        for index in range(tiles - 1, -1, -1):
            chunk = chunks - 1
            while chunk >= 0:
                chunk = backward(
                    slots.model, tables, plan, x, m, index, chunk, work, products, borders, norm, collected, gradient
                )
                if chunk >= 0:
                    collected = _with_more_room(collected)
            matched.append(_in_order(collected.row, plan.height))
            collected.row[:] = 0.0
            if gradient is not None:
                rows.append(_in_order(gradient.rows, plan.height))
                gradient.rows[:] = 0.0
        derivatives = None
        if gradient is not None:
            model = gradient.model.reshape(-1, LANES).sum(axis=1)
            model[: len(slots) ** 2] /= DAMPING
            columns = gradient.columns.reshape(slots.insertions, -1)[:, LANES : LANES + m][:, ::-1].T
            derivatives = slots.derivatives(model, np.concatenate(rows[::-1])[1 : n + 1], columns, x, y)
        pairs = _sparse(collected, n, m)
        query_matched = collected.column[LANES : LANES + m][::-1]
        return Sums(_log(*norm), pairs, np.concatenate(matched[::-1])[1 : n + 1, 0], query_matched, derivatives)

    def best_cells(self, x: Codes, y: Codes, mode: str) -> NDArray[np.int64]:
        """Return the cells (i, j, state) of the likeliest path that is not empty; none if there is no path."""
        from tiedseq.kernels.alignment import recall
        from tiedseq.kernels.viterbi import likeliest_end, trace

        n, m, slots = x.size, y.size, self.slots
        model, numbers = slots.model._replace(best=0), slots.numbers
        plan, tables, work = self._kept(model, x, y, mode)
        scores = [math.log2(mantissa) + exponent if mantissa > 0.0 else -math.inf for mantissa, exponent in work.scores]
        index, end = int(np.argmax(scores)), np.full(4, NOTHING)
        if scores[index] == -math.inf:
            return np.zeros((0, 3), np.int64)
        for chunk in range(-(-(m + LANES) // plan.chunk)):
            recall(model, tables, plan, x, m, index, chunk, work)
            likeliest_end(model, numbers, plan, m, index, chunk, work, end)
        path = np.empty((n + m + 1, 3), np.int64)
        path[0] = end[1:]
        cursor = np.array([*self._before(*path[0]), path[0, 2], 1])
        while cursor[2] >= 0:
            index, lane = divmod(int(cursor[0]) // plan.height, LANES)
            chunk = (int(cursor[1]) + lane) // plan.chunk
            recall(model, tables, plan, x, m, index, chunk, work)
            trace(model, numbers, plan, m, index, chunk, work, path, cursor)
        cells = path[: cursor[3]][::-1].copy()
        cells[:, 2] = np.array(slots.states)[cells[:, 2]]
        return cells

    def _before(self, i: int, j: int, slot: int) -> tuple[int, int]:
        """The cell in which a path was before a state emitted."""
        kind = self.tables.kinds[self.slots.states[slot]]
        return i - (kind != "y"), j - (kind != "x")


def _vectors(size: int) -> Floats:
    """Zeros that start at a cache line: a vector that straddles two costs twice."""
    memory = np.zeros(size + 8)
    offset = (-memory.ctypes.data % 64) // 8
    return memory[offset : offset + size]


def _in_order(vectors: Floats, height: int) -> Floats:
    """What a tile's lanes hold for its rows, (rows, width), in the rows' order."""
    return vectors.reshape(height, -1, LANES).transpose(2, 0, 1).reshape(LANES * height, -1).copy()


def _with_more_room(collected: Collected) -> Collected:
    size = collected.place.size
    place, value = np.empty(2 * size, np.int64), np.empty(2 * size)
    place[:size], value[:size] = collected.place, collected.value
    return collected._replace(place=place, value=value)


def _log(mantissa: float, exponent: float) -> float:
    return math.log(mantissa) + exponent * _LN2 if mantissa > 0.0 else -math.inf


def _joined(sequences: list[Codes]) -> tuple[Codes, NDArray[np.int64]]:
    """Sequences one after the other, and where each begins and the last one ends."""
    ends = np.zeros(len(sequences) + 1, np.int64)
    np.cumsum([sequence.size for sequence in sequences], out=ends[1:])
    return np.concatenate(sequences), ends


def _sparse(collected: Collected, n: int, m: int) -> csr_array:
    from scipy.sparse import csr_array

    count = collected.count[0]
    rows, columns = np.divmod(collected.place[:count], max(m, 1))
    matrix = csr_array((collected.value[:count], (rows.astype(np.int32), columns.astype(np.int32))), shape=(n, m))
    matrix.sort_indices()
    return matrix
