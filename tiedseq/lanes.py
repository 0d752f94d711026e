"""The fast recursions: a model's tables as the lane kernels want them, and what the kernels return as odds.

Everything is computed as odds over background letters (which keeps numbers near 1), as a mantissa and a power of two.
The kernels want xy states first, then x, then y, and at least one of each. A *slot* is a state's place in that order; a
slot that no state fills is one that nothing enters.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import ResourceError, SequenceError
from .modes import check_mode, empty_box_count
from .tables import Codes, Derivatives, Floats, PairTables, Sums, impossible_message

if TYPE_CHECKING:
    from scipy.sparse import csr_array

RANGE_BITS = 900.0  # of float64's 1022: how far values within a lane and a period, or products of two, may lie apart
_LN2 = math.log(2.0)
_STATE_BYTES = 256 * 2**20  # what forward may keep for backward before chunks grow longer
_LETTER_COUNTS = (4, 8, 16, 24, 32, 48, 64, 96, 128, 256)  # kernels are compiled for these: others are padded


class Lanes:
    """Forward, backward and Viterbi of one model in float64, sixteen cells at a time.

    For tables that are moderate: `tables.steepness` and `tables.toll` bound what the lanes' shape must hold.
    """

    def __init__(self, tables: PairTables) -> None:
        self.tables = tables
        by_kind = [[s for s, kind in enumerate(tables.kinds) if kind == wanted] for wanted in ("xy", "x", "y")]
        self.slots = [s for states in by_kind for s in states or [-1]]
        self.counts = [max(1, len(states)) for states in by_kind]

    # ---- the kernels' view ------------------------------------------------------------------------------------------

    def _placed(self, values: Floats) -> tuple[float, ...]:
        return tuple(float(values[s]) if s >= 0 else 0.0 for s in self.slots)

    @cached_property
    def _transitions(self) -> Floats:
        """float64 (slots, slots)"""
        size = len(self.slots)
        table = np.zeros((size, size))
        for a, s in enumerate(self.slots):
            for b, t in enumerate(self.slots):
                if s >= 0 and t >= 0:
                    table[a, b] = self.tables.transitions[s, t]
        return table

    @cached_property
    def _model(self) -> Any:
        from .kernels.pairhmm import Model

        table, size, pairs = self._transitions, len(self.slots), self.counts[0]
        # most models have no edges between different gap states; each pattern of edges compiles once, so there are two
        spared = np.zeros((size, size), bool)
        spared[pairs:, pairs:] = ~np.eye(size - pairs, dtype=bool)
        if np.any(table[spared]):
            spared[:] = False
        rows = tuple(tuple(None if spared[a, b] else float(table[a, b]) for b in range(size)) for a in range(size))
        letters = next(count for count in _LETTER_COUNTS if count >= self.tables.observation.shape[1])
        shape = [(0,) * count for count in (letters, *self.counts)]
        return Model(rows, self._placed(self.tables.start), self._placed(self.tables.end), *shape, None)

    @cached_property
    def _symbol_tables(self) -> Any:
        from .kernels.alignment import Tables

        observation, background = self.tables.observation, self.tables.symbol_background
        symbols, n_letters = observation.shape
        letters = len(self._model.letters)
        pairs, deletions, insertions = self.counts
        row_pair = np.zeros((symbols + 1, pairs, letters))
        row_gap, column_gap = np.zeros((symbols + 1, deletions)), np.zeros((symbols + 1, insertions))
        column_pair = np.zeros((symbols + 1, letters))
        column_pair[:-1, :n_letters] = observation / background[:, None]
        for slot, s in enumerate(self.slots):
            if s < 0:
                continue
            emission = observation @ self.tables.emissions[s]
            if slot < pairs:
                row_pair[:-1, slot, :n_letters] = emission / background[:, None]
            elif slot < pairs + deletions:
                row_gap[:-1, slot - pairs] = emission / background
            else:
                column_gap[:-1, slot - pairs - deletions] = emission / background
        return Tables(row_pair.reshape(symbols + 1, pairs * letters), row_gap, column_pair, column_gap)

    def _plan(self, m: int, n: int, keep: bool) -> Any:
        from .kernels.alignment import Plan
        from .kernels.simd import LANES

        room = RANGE_BITS / 2 if keep else RANGE_BITS  # what is kept will be multiplied
        reach = max(1, int((room - self.tables.toll) / self.tables.steepness))
        height = max(1, min(16, reach // 3, (n + LANES) // LANES))
        period = max(1, min(32, reach - height))
        settling = max(1, reach // (2 * height))
        chunk = m + LANES
        if keep:
            tiles = -(-(n + 1) // (LANES * height))
            bytes_a_state = 8 * LANES * (height * len(self.slots) + 2 * sum(self.counts[:2]))
            chunk = min(chunk, max(128, math.ceil(tiles * (m + LANES) * bytes_a_state / _STATE_BYTES)))
        return Plan(height, period, settling, chunk)

    def _room(self, n: int, m: int, plan: Any) -> Any:
        """Memory for what forward keeps for backward."""
        from .kernels.alignment import Saved
        from .kernels.simd import LANES

        tiles, chunks = -(-(n + 1) // (LANES * plan.height)), -(-(m + LANES) // plan.chunk)
        pairs, deletions = self.counts[:2]
        state = (plan.height * len(self.slots) + 2 * pairs + deletions + 1) * LANES
        width = m + 1 + 2 * LANES
        wanted = 8 * (tiles * chunks * state + tiles * width * (pairs + deletions + 1))
        try:
            return Saved(
                np.empty((tiles, chunks, state)),
                np.empty((tiles, pairs + deletions, width)),
                np.empty((tiles, width)),
            )
        except MemoryError as error:
            raise ResourceError(
                f"the posterior of sequences of {n:,} and {m:,} letters needs {wanted / 1e9:.1f} GB of memory, which this "
                "machine does not have to spare: align shorter pieces"
            ) from error

    # ---- passes -------------------------------------------------------------------------------------------------------

    def log_totals(self, pairs: list[tuple[Codes, Codes]], mode: str) -> Floats:
        """Return ln of the odds of every pair, over all alignments in all boxes; -inf where there is none."""
        from .kernels.alignment import Saved, forward

        if not pairs:
            return np.zeros(0)
        targets, x_ends = _joined([x for x, _ in pairs])
        queries, y_ends = _joined([y for _, y in pairs])
        n, m = np.diff(x_ends), np.diff(y_ends)
        scores = np.zeros((len(pairs), 2))
        nothing = Saved(np.zeros((0, 0, 0)), np.zeros((0, 0, 0)), np.zeros((0, 0)))
        plan = self._plan(int(m.max()), int(n.max()), keep=False)
        number = check_mode(mode)
        forward(self._model, self._symbol_tables, targets, x_ends, queries, y_ends, number, plan, scores, nothing)
        sizes = zip(scores.tolist(), n.tolist(), m.tolist(), strict=True)
        return np.array([_log(*self._with_empty(score, size, width, mode)) for score, size, width in sizes])

    def _with_empty(self, score: list[float], n: int, m: int, mode: str) -> tuple[float, float]:
        """Add the odds of the empty boxes to a mantissa and its exponent of two."""
        mantissa, exponent = score
        empty = self.tables.start_end * empty_box_count(n, m, mode)
        if empty > 0.0:
            if mantissa == 0.0 or exponent < 0.0:
                return math.ldexp(mantissa, int(max(exponent, -1100.0))) + empty, 0.0
            mantissa += math.ldexp(empty, -int(min(exponent, 1100.0)))
        return mantissa, exponent

    def sums(self, x: Codes, y: Codes, mode: str, threshold: float, want_derivatives: bool) -> Sums:
        """Return what forward and backward add up; aligned pairs below `threshold` are left out of the matrix.

        Raises
        ------
        SequenceError
            No path explains the sequences.
        ResourceError
            There is not enough memory.
        """
        from .kernels import alignment as kernels
        from .kernels.simd import LANES

        n, m, number = x.size, y.size, check_mode(mode)
        plan = self._plan(m, n, keep=True)
        saved = self._room(n, m, plan)
        score = np.zeros((1, 2))
        ends = np.array([0, n]), np.array([0, m])
        kernels.forward(self._model, self._symbol_tables, x, ends[0], y, ends[1], number, plan, score, saved)
        norm = self._with_empty(score[0].tolist(), n, m, mode)
        if norm[0] == 0.0:
            raise SequenceError(impossible_message(n, m, mode))
        found = max(1024, 4 * max(n, m))
        posterior = kernels.Posterior(
            np.zeros(plan.height * LANES),
            np.zeros(m + 2 * LANES),
            np.zeros(LANES),
            np.array([threshold]),
            np.zeros(1, np.int64),
            np.zeros(1, np.int64),
            np.empty(found, np.int32),
            np.empty(found, np.int32),
            np.empty(found),
        )
        tables, lanes = self._symbol_tables, self._lane_gradient(plan, m) if want_derivatives else None
        rows = np.zeros_like(tables.row_pair), np.zeros_like(tables.row_gap)
        matched = np.zeros(n + 1)
        found_row, found_column, found_value = kernels.backward(
            self._model, tables, x, y, number, plan, np.array(norm), saved, posterior, matched, lanes, rows
        )
        count = int(posterior.count[0])
        pairs = _sparse(found_row[:count], found_column[:count], found_value[:count], (n, m))
        query_matched = posterior.column[LANES : LANES + m][::-1]
        derivatives = None if lanes is None else self._unload(lanes, rows, y)
        return Sums(_log(*norm), pairs, matched[1:], query_matched, derivatives)

    def _lane_gradient(self, plan: Any, m: int) -> Any:
        from .kernels.alignment import Gradient
        from .kernels.simd import LANES

        size, (pairs, deletions, insertions) = len(self.slots), self.counts
        wide = pairs * len(self._model.letters)
        return Gradient(
            np.zeros(size * size * LANES),
            np.zeros(size * LANES),
            np.zeros(size * LANES),
            np.zeros(plan.height * wide * LANES),
            np.zeros(plan.height * deletions * LANES),
            np.zeros((insertions, m + 2 * LANES)),
        )

    def _unload(self, lanes: Any, rows: tuple[Floats, Floats], y: Codes) -> Derivatives:
        """Bring derivatives from lanes, slots and symbols back to states and letters."""
        from .kernels.simd import LANES

        tables, size, states = self.tables, len(self.slots), len(self.tables.kinds)
        (symbols, n_letters), (pairs, deletions, insertions) = tables.observation.shape, self.counts
        by_slot = lanes.transitions.reshape(size, size, LANES).sum(axis=2)
        start, end = (part.reshape(size, LANES).sum(axis=1) for part in (lanes.start, lanes.end))
        row_pair = rows[0][:symbols].reshape(symbols, pairs, -1)[:, :, :n_letters]
        gap_y = np.zeros((symbols, insertions))
        np.add.at(gap_y, y, lanes.gap_y[:, LANES : LANES + y.size][:, ::-1].T)
        odds = (tables.observation / tables.symbol_background[:, None]).T  # (K, symbols)
        in_gaps = (rows[1] * self._symbol_tables.row_gap).sum(axis=1)[:symbols]
        in_gaps += (gap_y * self._symbol_tables.column_gap[:symbols]).sum(axis=1)
        result = Derivatives(
            np.zeros(states), np.zeros((states, states)), np.zeros(states), [np.zeros(0)] * states, in_gaps
        )
        for slot, s in enumerate(self.slots):
            if s < 0:
                continue
            result.start[s], result.end[s] = start[slot], end[slot]
            for other, t in enumerate(self.slots):
                if t >= 0:
                    result.transitions[s, t] = by_slot[slot, other]
            if slot < pairs:
                result.emissions[s] = odds @ row_pair[:, slot]
            elif slot < pairs + deletions:
                result.emissions[s] = odds @ rows[1][:symbols, slot - pairs]
            else:
                result.emissions[s] = odds @ gap_y[:, slot - pairs - deletions]
        return result

    def best_cells(self, x: Codes, y: Codes, mode: str) -> NDArray[np.int64]:
        """Return the cells (i, j, state) of the likeliest path that is not empty; none if there is no path."""
        from .kernels.viterbi import viterbi

        number, plan = check_mode(mode), self._plan(y.size, x.size, keep=True)
        path = np.empty((x.size + y.size + 1, 3), np.int64)
        start, end = np.array(self._placed(self.tables.start)), np.array(self._placed(self.tables.end))
        model, saved = self._model._replace(best=0), self._room(x.size, y.size, plan)
        arrays = start, self._transitions, end
        count = viterbi(model, *arrays, self._symbol_tables, x, y, number, plan, saved, path)
        cells = path[: max(count, 0)][::-1].copy()
        cells[:, 2] = np.array(self.slots)[cells[:, 2]]
        return cells


def _log(mantissa: float, exponent: float) -> float:
    return math.log(mantissa) + exponent * _LN2 if mantissa > 0.0 else -math.inf


def _joined(sequences: list[Codes]) -> tuple[Codes, NDArray[np.int64]]:
    """Sequences one after the other, and where each begins and the last one ends."""
    ends = np.zeros(len(sequences) + 1, np.int64)
    np.cumsum([sequence.size for sequence in sequences], out=ends[1:])
    return np.concatenate(sequences), ends


def _sparse(rows: Any, columns: Any, values: Any, shape: tuple[int, int]) -> csr_array:
    from scipy.sparse import csr_array

    matrix = csr_array((values, (rows, columns)), shape=shape)
    matrix.sort_indices()
    return matrix
