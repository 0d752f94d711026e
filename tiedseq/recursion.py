"""Pair-HMM passes on encoded sequences: a model's tables as the kernels want them, and their sums as probabilities.

Everything is computed as odds over background letters (which keeps numbers near 1), in powers of two, and comes back here
as natural logarithms. What a mode means is here too: how many boxes it admits, and what an empty one contributes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import ArgumentError, ResourceError, SequenceError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MODES = ("global", "local", "glocal", "overlap")

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]

_LN2 = math.log(2.0)
_RANGE_BITS = 900.0  # of float64's 1022: how far values within a lane and a period may lie apart
_STATE_BYTES = 256 * 2**20  # what forward may keep for backward before chunks grow longer
_LOG_BYTES = 4 * 10**9  # the most that the path in logarithms may keep
_LETTER_COUNTS = (4, 8, 16, 24, 32, 48, 64, 96, 128, 256)


def check_mode(mode: str) -> int:
    """The kernels' number of a mode's name."""
    if mode not in MODES:
        raise ArgumentError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    return MODES.index(mode)


def log_box_count(n: int, m: int, mode: str) -> float:
    """ln of the number of boxes (target interval x query interval, empty ones included) that a mode admits."""
    if mode == "global":
        return 0.0
    if mode == "glocal":
        return math.log((n + 1) * (n + 2) // 2)
    if mode == "local":
        return math.log((n + 1) * (n + 2) // 2) + math.log((m + 1) * (m + 2) // 2)
    return math.log((n + 1) * (n + 2) // 2 + 2 * m * (n + 1) + m * (m - 1) // 2)


def empty_box_count(n: int, m: int, mode: str) -> int:
    """How many of the admitted boxes hold no letter of either sequence."""
    if mode == "global":
        return int(n == m == 0)
    if mode == "glocal":
        return (n + 1) if m == 0 else 0
    if mode == "local":
        return (n + 1) * (m + 1)
    return 2 if n and m else n + m + 1


@dataclass(frozen=True)
class Posterior:
    """What a backward pass says of one pair of sequences."""

    log_likelihood: float  # nats
    pairs: csr_array  # float64 (len(target), len(query)): P(x_i aligned to y_j) where it reaches the threshold
    target_unaligned: Floats  # P(letter is aligned to nothing), summed over all cells, whatever the threshold
    query_unaligned: Floats


@dataclass(frozen=True)
class Gradient:
    """A log-likelihood and its derivative with respect to every number of the model's tables."""

    log_likelihood: float
    start: Floats  # (S,)
    start_end: float
    transitions: Floats  # (S, S)
    end: Floats  # (S,)
    emissions: list[Floats]  # per state: (K, K) or (K,)
    background: Floats  # (K,): what explains the flanks


class Recursion:
    """One set of parameter values, ready to run.

    kinds: per state "xy", "x" or "y". start (S,), transitions (S, S), end (S,), start_end: the probability of the empty
    pair. emissions: per state (K, K) or (K,). observation: (symbols, K). background: (K,), positive.
    """

    def __init__(
        self,
        kinds: list[str],
        start: Floats,
        transitions: Floats,
        end: Floats,
        start_end: float,
        emissions: list[Floats],
        observation: Floats,
        background: Floats,
    ) -> None:
        self.kinds, self.start, self.transitions, self.end = kinds, start, transitions, end
        self.start_end, self.emissions, self.observation = start_end, emissions, observation
        self.background = background
        # the kernels want xy states first, then x, then y, and at least one of each: a state that nothing enters will do
        self.order = [s for kind in ("xy", "x", "y") for s in range(len(kinds)) if kinds[s] == kind]
        counts = [kinds.count(kind) for kind in ("xy", "x", "y")]
        self.slots: list[int] = []
        for count, first in zip(counts, np.cumsum([0, *counts]), strict=False):
            self.slots += self.order[first : first + count] or [-1]
        self.counts = [max(1, count) for count in counts]

    # ---- the kernels' view ------------------------------------------------------------------------------------------

    @cached_property
    def _symbol_background(self) -> Floats:
        """The probability of every symbol as a background letter: what all is divided by."""
        return np.asarray(self.observation @ self.background)

    def _placed(self, values: Floats) -> tuple[float, ...]:
        return tuple(float(values[s]) if s >= 0 else 0.0 for s in self.slots)

    @cached_property
    def _model(self) -> Any:
        from .kernels.pairhmm import Model

        size = len(self.slots)
        table = np.zeros((size, size))
        for a, s in enumerate(self.slots):
            for b, t in enumerate(self.slots):
                if s >= 0 and t >= 0:
                    table[a, b] = self.transitions[s, t]
        pairs = self.counts[0]
        # most models have no edges between different gap states; each pattern of edges compiles once, so there are two
        spared = np.zeros((size, size), bool)
        spared[pairs:, pairs:] = ~np.eye(size - pairs, dtype=bool)
        if np.any(table[spared]):
            spared[:] = False
        rows = tuple(tuple(None if spared[a, b] else float(table[a, b]) for b in range(size)) for a in range(size))
        letters = next(count for count in _LETTER_COUNTS if count >= self.observation.shape[1])
        shape = [(0,) * count for count in (letters, *self.counts)]
        return Model(rows, self._placed(self.start), self._placed(self.end), *shape, None)

    @cached_property
    def _tables(self) -> Any:
        from .kernels.alignment import Tables

        symbols, n_letters = self.observation.shape
        letters = len(self._model.letters)
        pairs, deletions, insertions = self.counts
        background = self._symbol_background
        row_pair = np.zeros((symbols + 1, pairs, letters))
        row_gap, column_gap = np.zeros((symbols + 1, deletions)), np.zeros((symbols + 1, insertions))
        column_pair = np.zeros((symbols + 1, letters))
        column_pair[:-1, :n_letters] = self.observation / background[:, None]
        for slot, s in enumerate(self.slots):
            if s < 0:
                continue
            emission = self.emissions[s]
            if slot < pairs:
                row_pair[:-1, slot, :n_letters] = self.observation @ emission / background[:, None]
            elif slot < pairs + deletions:
                row_gap[:-1, slot - pairs] = self.observation @ emission / background
            else:
                column_gap[:-1, slot - pairs - deletions] = self.observation @ emission / background
        return Tables(row_pair.reshape(symbols + 1, pairs * letters), row_gap, column_pair, column_gap)

    @cached_property
    def steepness(self) -> float:
        """Bits by which values may change from a cell to its neighbour; infinity where gaps do not bound it.

        Cells next to each other lead to the same places by way of gaps: what the one can reach the other reaches at the
        price of one more gap letter on each side. So their values differ by that price and what a pair is worth, unless
        some gap is impossible.
        """
        with np.errstate(divide="ignore"):
            prices = []
            for kind in ("x", "y"):
                states = [s for s in range(len(self.kinds)) if self.kinds[s] == kind]
                odds = [self.transitions[s, s] * np.min(self.emissions[s] / self.background) for s in states]
                prices.append(-np.log2(max(odds, default=0.0)))
            worth = max(
                (
                    np.max(self.emissions[s] / np.outer(self.background, self.background))
                    for s in range(len(self.kinds))
                    if self.kinds[s] == "xy"
                ),
                default=1.0,
            )
        if not _strongly_connected(self.transitions > 0) or not np.any(self.start > 0):
            return math.inf
        return float(max(prices[0], 0) + max(prices[1], 0) + 2 * max(0.0, math.log2(worth)) + 1)

    @cached_property
    def _toll(self) -> float:
        """Bits that opening and closing gaps may cost on top, once."""
        used = self.transitions[self.transitions > 0]
        return 4 * float(-np.log2(used.min())) if used.size else 0.0

    def _plan(self, m: int, n: int, keep: bool) -> Any:
        from .kernels.alignment import Plan
        from .kernels.simd import LANES

        reach = max(1, int((_RANGE_BITS - self._toll) / self.steepness))
        height = max(1, min(16, reach // 3, (n + LANES) // LANES))
        period = max(1, min(32, reach - height))
        settling = max(1, reach // (2 * height))
        chunk = m + LANES
        if keep:
            tiles = -(-(n + 1) // (LANES * height))
            bytes_a_state = 8 * LANES * (height * len(self.slots) + 2 * sum(self.counts[:2]))
            chunk = min(chunk, max(128, math.ceil(tiles * (m + LANES) * bytes_a_state / _STATE_BYTES)))
        return Plan(height, period, settling, chunk)

    @property
    def is_moderate(self) -> bool:
        """Whether float64 with one exponent a lane holds every value that matters (else: logarithms, cell by cell)."""
        return self.steepness * 3 + self._toll <= _RANGE_BITS

    # ---- probabilities ------------------------------------------------------------------------------------------------

    def log_background(self, target: Codes, query: Codes) -> float:
        """ln of the probability of both sequences as independent background letters."""
        letters = np.log(self._symbol_background)
        return float(letters[target].sum() + letters[query].sum())

    def log_likelihoods(self, pairs: list[tuple[Codes, Codes]], mode: str) -> Floats:
        """ln P of every pair under a mode, -inf where no alignment explains it."""
        from .kernels.alignment import Saved, forward

        number = check_mode(mode)
        if not self.is_moderate:
            from .kernels.logspace import log_forward

            logs = [log_forward(*self._log_arguments(x, y, mode), False, False)[0] for x, y in pairs]
            return np.array([self._log_total(log, x, y, mode)[0] for log, (x, y) in zip(logs, pairs, strict=True)])
        if not pairs:
            return np.zeros(0)
        targets, x_ends = _joined([x for x, _ in pairs])
        queries, y_ends = _joined([y for _, y in pairs])
        n, m = np.diff(x_ends), np.diff(y_ends)
        scores = np.zeros((len(pairs), 2))
        nothing = Saved(np.zeros((0, 0, 0)), np.zeros((0, 0, 0)), np.zeros((0, 0)))
        plan = self._plan(int(m.max()), int(n.max()), keep=False)
        forward(self._model, self._tables, targets, x_ends, queries, y_ends, number, plan, scores, nothing)
        letters = np.log(self._symbol_background)
        background = _segment_sums(letters[targets], x_ends) + _segment_sums(letters[queries], y_ends)
        return np.array([self._odds(*pair, mode)[0] for pair in zip(scores.tolist(), n, m, strict=True)]) + background

    def _odds(self, score: Any, n: int, m: int, mode: str) -> tuple[float, Floats]:
        """ln of P over the background, and the odds of all alignments with the empty ones: a mantissa and an exponent."""
        mantissa, exponent = score
        empty = self.start_end * empty_box_count(n, m, mode)
        if empty > 0.0:
            if mantissa == 0.0 or exponent < 0.0:
                mantissa, exponent = math.ldexp(mantissa, int(max(exponent, -1100.0))) + empty, 0.0
            else:
                mantissa += math.ldexp(empty, -int(min(exponent, 1100.0)))
        if mantissa == 0.0:
            return -math.inf, np.zeros(2)
        return math.log(mantissa) + exponent * _LN2 - log_box_count(n, m, mode), np.array([mantissa, exponent])

    def posterior(self, x: Codes, y: Codes, mode: str, threshold: float) -> Posterior:
        """Forward and backward: the aligned pairs of probability `threshold` and more, and what stays unaligned."""
        log_likelihood, pairs, target, query, _ = self._run_backward(x, y, mode, threshold, want_gradient=False)
        return Posterior(log_likelihood, pairs, target, query)

    def gradient(self, x: Codes, y: Codes, mode: str) -> Gradient:
        """Forward and backward: d ln P / d parameter for every number in the tables."""
        log_likelihood, _, _, _, gradient = self._run_backward(x, y, mode, 2.0, want_gradient=True)
        assert gradient is not None
        return gradient

    def _run_backward(self, x: Codes, y: Codes, mode: str, threshold: float, want_gradient: bool) -> Any:
        number = check_mode(mode)
        if not self.is_moderate:
            return self._run_logspace(x, y, mode, threshold)
        from .kernels import alignment as kernels
        from .kernels.simd import LANES

        n, m = x.size, y.size
        plan = self._plan(m, n, keep=True)
        saved = self._room(n, m, plan)
        score = np.zeros((1, 2))
        ends = np.array([0, n]), np.array([0, m])
        kernels.forward(self._model, self._tables, x, ends[0], y, ends[1], number, plan, score, saved)
        log_odds, norm = self._odds(score[0], n, m, mode)
        log_likelihood = log_odds + self.log_background(x, y)
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
        tables, lanes = self._tables, self._lane_gradient(plan, m) if want_gradient else None
        rows = np.zeros_like(tables.row_pair), np.zeros_like(tables.row_gap)
        matched = np.zeros(n + 1)
        posterior = kernels.backward(
            self._model, tables, x, y, number, plan, norm, saved, posterior, matched, lanes, rows
        )
        query_matched = posterior.column[LANES : LANES + m][::-1]
        pairs = _sparse(posterior, (n, m))
        target, query = (np.clip(1.0 - p, 0.0, 1.0) for p in (matched[1:], query_matched))
        gradient = None
        if lanes is not None:
            gradient = self._unload(lanes, rows, x, y, log_likelihood, norm, mode)
        return log_likelihood, pairs, target, query, gradient

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

    def _lane_gradient(self, plan: Any, m: int) -> Any:
        from .kernels.alignment import Gradient as LaneGradient
        from .kernels.simd import LANES

        size, (pairs, deletions, insertions) = len(self.slots), self.counts
        wide = pairs * len(self._model.letters)
        return LaneGradient(
            np.zeros(size * size * LANES),
            np.zeros(size * LANES),
            np.zeros(size * LANES),
            np.zeros(plan.height * wide * LANES),
            np.zeros(plan.height * deletions * LANES),
            np.zeros((insertions, m + 2 * LANES)),
        )

    def _unload(
        self, lanes: Any, rows: Any, x: Codes, y: Codes, log_likelihood: float, norm: Floats, mode: str
    ) -> Gradient:
        """Bring gradients from lanes, slots and symbols back to states and letters."""
        from .kernels.simd import LANES

        size, states, n_letters = len(self.slots), len(self.kinds), self.observation.shape[1]
        by_slot = lanes.transitions.reshape(size, size, LANES).sum(axis=2)
        start, end = (part.reshape(size, LANES).sum(axis=1) for part in (lanes.start, lanes.end))
        background = self._symbol_background
        symbols, pairs, deletions = self.observation.shape[0], *self.counts[:2]
        row_pair = rows[0][:symbols].reshape(symbols, pairs, -1)[:, :, :n_letters]
        gap_y = np.zeros((symbols, self.counts[2]))
        np.add.at(gap_y, y, lanes.gap_y[:, LANES : LANES + y.size][:, ::-1].T)
        result = Gradient(
            log_likelihood,
            np.zeros(states),
            empty_box_count(x.size, y.size, mode) / norm[0] * math.exp(-min(norm[1] * _LN2, 700.0)),
            np.zeros((states, states)),
            np.zeros(states),
            [np.zeros(0)] * states,
            np.zeros(n_letters),
        )
        for slot, s in enumerate(self.slots):
            if s < 0:
                continue
            result.start[s], result.end[s] = start[slot], end[slot]
            for other, t in enumerate(self.slots):
                if t >= 0:
                    result.transitions[s, t] = by_slot[slot, other]
            if slot < pairs:
                result.emissions[s] = (self.observation / background[:, None]).T @ row_pair[:, slot]
            elif slot < pairs + deletions:
                result.emissions[s] = self.observation.T @ (rows[1][:symbols, slot - pairs] / background)
            else:
                result.emissions[s] = self.observation.T @ (gap_y[:, slot - pairs - deletions] / background)
        result.background[:] = self._flanks(x, y, result.emissions)
        return result

    def _flanks(self, x: Codes, y: Codes, emissions: list[Floats]) -> Floats:
        """d ln P / d background letter: the letters of both sequences that no state emitted.

        Exact for letters. Ambiguity codes that the states explain by several letters count as those letters.
        """
        explained = np.zeros(self.observation.shape[1])
        for s, kind in enumerate(self.kinds):
            counts = self.emissions[s] * emissions[s]
            explained += counts.sum(axis=0) + counts.sum(axis=1) if kind == "xy" else counts
        symbols = np.bincount(np.concatenate([x, y]), minlength=self.observation.shape[0])
        shares = self.observation * self.background / self._symbol_background[:, None]
        return (symbols @ shares - explained) / self.background

    # ---- the likeliest path ---------------------------------------------------------------------------------------

    def viterbi(self, x: Codes, y: Codes, mode: str) -> tuple[float, NDArray[np.int64]]:
        """ln P of the likeliest path, and its cells (i, j, state): i and j letters are emitted when it leaves the cell.

        The path is empty where an empty box is likelier than any path (local, glocal and overlap alignment only).
        """
        number = check_mode(mode)
        path = np.empty((x.size + y.size + 1, 3), np.int64)
        if self.is_moderate:
            from .kernels.viterbi import viterbi

            plan = self._plan(y.size, x.size, keep=True)
            numbers = (np.array(self._placed(part)) for part in (self.start, self.end))
            start, end = numbers
            model = self._model._replace(best=0)
            transitions = np.array([[weight or 0.0 for weight in row] for row in model.transitions])
            saved = self._room(x.size, y.size, plan)
            count = viterbi(model, start, transitions, end, self._tables, x, y, number, plan, saved, path)
            path[: max(count, 0), 2] = np.array(self.slots)[path[: max(count, 0), 2]]
        else:
            from .kernels.logspace import log_forward, log_trace

            self._require_log_memory(x.size, y.size)
            arguments = self._log_arguments(x, y, mode)
            count = log_trace(*arguments, log_forward(*arguments, True, True)[1], path)
        cells = path[: max(count, 0)][::-1].copy()
        return self._better_than_empty(x, y, cells, mode)

    def _better_than_empty(
        self, x: Codes, y: Codes, cells: NDArray[np.int64], mode: str
    ) -> tuple[float, NDArray[np.int64]]:
        nothing = cells[:0]
        empty = -math.inf
        if empty_box_count(x.size, y.size, mode) and self.start_end > 0.0:
            empty = self.log_path(x, y, nothing, mode)
        best = self.log_path(x, y, cells, mode) if cells.size else -math.inf
        if max(best, empty) == -math.inf:
            raise SequenceError(impossible_message(x.size, y.size, mode))
        return (best, cells) if best >= empty else (empty, nothing)

    def log_path(self, x: Codes, y: Codes, cells: NDArray[np.int64], mode: str) -> float:
        """ln P of the sequences and one path, given as `viterbi` gives it, under a mode; -inf if it is impossible."""
        with np.errstate(divide="ignore"):
            if not len(cells):
                possible = empty_box_count(x.size, y.size, mode) > 0 and self.start_end > 0.0
                inside = math.log(self.start_end) if possible else -math.inf
                outside = np.ones(x.size, bool), np.ones(y.size, bool)
            else:
                i, j, states = cells.T
                inside = float(np.log(self.start[states[0]]) + np.log(self.end[states[-1]]))
                inside += float(np.log(self.transitions[states[:-1], states[1:]]).sum())
                for s, kind in enumerate(self.kinds):
                    here = states == s
                    a, b = x[i[here] - 1] if kind != "y" else None, y[j[here] - 1] if kind != "x" else None
                    table = self.observation @ self.emissions[s]
                    if a is not None and b is not None:
                        inside += float(np.log((table @ self.observation.T)[a, b]).sum())
                    else:
                        inside += float(np.log(table[b if a is None else a]).sum())
                outside = np.ones(x.size, bool), np.ones(y.size, bool)
                first_i = i[0] - (self.kinds[states[0]] != "y")
                first_j = j[0] - (self.kinds[states[0]] != "x")
                outside[0][first_i : i[-1]] = False
                outside[1][first_j : j[-1]] = False
                if not _admitted((first_i, first_j), (int(i[-1]), int(j[-1])), x.size, y.size, mode):
                    return -math.inf
            letters = np.log(self._symbol_background)
            flanks = float(letters[x[outside[0]]].sum() + letters[y[outside[1]]].sum())
        return inside + flanks - log_box_count(x.size, y.size, mode)

    def log_columns(self, x: Codes, y: Codes, columns: NDArray[np.int64], mode: str) -> float:
        """ln P of the sequences and an alignment, summed over the states that can emit its columns; -inf if none can.

        columns: int64 (2, n_columns), positions or -1; positions in each row are consecutive.
        """
        number_of = check_mode(mode)
        present = columns >= 0
        corners = []
        for row, length in ((0, x.size), (1, y.size)):
            here = columns[row][present[row]]
            corners.append((int(here[0]), int(here[-1]) + 1) if here.size else (0, length if number_of == 0 else 0))
        (first_i, last_i), (first_j, last_j) = corners
        if not columns.size or not _admitted((first_i, first_j), (last_i, last_j), x.size, y.size, mode):
            nothing = np.zeros((0, 3), np.int64)
            return self.log_path(x, y, nothing, mode) if not columns.size else -math.inf
        emitted = np.zeros((columns.shape[1], len(self.kinds)))
        for s, kind in enumerate(self.kinds):
            table = self.observation @ self.emissions[s]
            fits = (present[0] == (kind != "y")) & (present[1] == (kind != "x"))
            a, b = columns[:, fits]
            if kind == "xy":
                emitted[fits, s] = (table @ self.observation.T)[x[a], y[b]]
            else:
                emitted[fits, s] = table[x[a] if kind == "x" else y[b]]
        log_probability, value = 0.0, self.start * emitted[0]
        for k in range(columns.shape[1]):
            value = value if k == 0 else (value @ self.transitions) * emitted[k]
            total = value.sum()
            if total == 0.0:
                return -math.inf
            log_probability += math.log(total)
            value = value / total
        ending = float(value @ self.end)
        letters = np.log(self._symbol_background)
        flanks = letters[x[:first_i]].sum() + letters[x[last_i:]].sum()
        flanks += letters[y[:first_j]].sum() + letters[y[last_j:]].sum()
        log_probability += math.log(ending) if ending > 0.0 else -math.inf
        return float(log_probability + flanks - log_box_count(x.size, y.size, mode))

    # ---- the slow path: logarithms --------------------------------------------------------------------------------

    def _log_arguments(self, x: Codes, y: Codes, mode: str) -> tuple[Any, ...]:
        from .kernels.alignment import make_columns, make_rows
        from .kernels.simd import LANES

        number = check_mode(mode)
        rows, columns = make_rows.py_func(x, self._tables, number), make_columns.py_func(y, self._tables, number)
        weight = np.ascontiguousarray(columns.weight[:, LANES : LANES + y.size + 1][:, ::-1].T)
        symbols, states = self.observation.shape[0], len(self.kinds)
        pair, gap = np.zeros((states, symbols, symbols)), np.zeros((states, symbols))
        background = self._symbol_background
        for s, kind in enumerate(self.kinds):
            if kind == "xy":
                pair[s] = self.observation @ self.emissions[s] @ self.observation.T / np.outer(background, background)
            else:
                gap[s] = self.observation @ self.emissions[s] / background
        kinds = np.array([("xy", "x", "y").index(kind) for kind in self.kinds])
        with np.errstate(divide="ignore"):
            logs = [np.log(part) for part in (self.start, self.transitions, self.end, pair, gap)]
        return (kinds, *logs, x, y, rows.weight, weight)

    def _log_total(self, log_odds: float, x: Codes, y: Codes, mode: str) -> tuple[float, float]:
        """ln P, and ln of the odds of all alignments with the empty ones."""
        empty = self.start_end * empty_box_count(x.size, y.size, mode)
        total = np.logaddexp(log_odds, math.log(empty)) if empty > 0.0 else log_odds
        return float(total - log_box_count(x.size, y.size, mode) + self.log_background(x, y)), float(total)

    def _require_log_memory(self, n: int, m: int) -> None:
        wanted = 8 * (n + 1) * (m + 1) * (len(self.kinds) + 1)
        if wanted > _LOG_BYTES:
            raise ResourceError(
                f"the parameters are too extreme for float64 without logarithms, and in logarithms sequences of {n:,} and "
                f"{m:,} letters need {wanted / 1e9:.1f} GB of memory, {_LOG_BYTES / 1e9:.0f} GB being the limit: align "
                "shorter pieces, or give the gap states a positive probability for every letter and length"
            )

    def _run_logspace(self, x: Codes, y: Codes, mode: str, threshold: float) -> Any:
        from scipy.sparse import csr_array

        from .kernels.logspace import log_backward, log_forward

        arguments = self._log_arguments(x, y, mode)
        self._require_log_memory(x.size, y.size)
        log_odds, value = log_forward(*arguments, True, False)
        log_likelihood, total = self._log_total(log_odds, x, y, mode)
        if total == -math.inf:
            raise SequenceError(impossible_message(x.size, y.size, mode))
        _, start, transitions, end, pair, gap = arguments[:6]
        sums = tuple(np.zeros_like(part) for part in (start, transitions, end, pair, gap))
        matched = log_backward(*arguments, value, total, sums)
        emissions = []
        with np.errstate(divide="ignore", invalid="ignore"):
            for s, kind in enumerate(self.kinds):
                # a posterior count of symbols, divided by the symbols' probability, is the derivative per symbol
                if kind == "xy":
                    table = self.observation @ self.emissions[s] @ self.observation.T
                    emissions.append(self.observation.T @ _ratio(sums[3][s], table) @ self.observation)
                else:
                    emissions.append(self.observation.T @ _ratio(sums[4][s], self.observation @ self.emissions[s]))
            start_end = empty_box_count(x.size, y.size, mode) * math.exp(-total)
        gradient = Gradient(log_likelihood, sums[0], start_end, sums[1], sums[2], emissions, self._flanks(x, y, emissions))
        target, query = (np.clip(1.0 - matched.sum(axis=axis), 0.0, 1.0) for axis in (1, 0))
        kept = np.where((matched >= threshold) & (matched > 0.0), matched, 0.0)
        return log_likelihood, csr_array(kept), target, query, gradient


def _admitted(first: tuple[int, int], last: tuple[int, int], n: int, m: int, mode: str) -> bool:
    """Whether a mode admits the box from one corner to the other."""
    if mode == "global":
        return first == (0, 0) and last == (n, m)
    if mode == "glocal":
        return first[1] == 0 and last[1] == m
    if mode == "overlap":
        return 0 in first and (last[0] == n or last[1] == m)
    return True


def impossible_message(n: int, m: int, mode: str) -> str:
    return (
        f"the model gives sequences of {n:,} and {m:,} letters probability 0 under mode={mode!r}: no path of states "
        "emits them; look for zeros among the transitions, the emissions or the start row"
    )


def _joined(sequences: list[Codes]) -> tuple[Codes, NDArray[np.int64]]:
    """Sequences one after the other, and where each begins and the last one ends."""
    ends = np.zeros(len(sequences) + 1, np.int64)
    np.cumsum([sequence.size for sequence in sequences], out=ends[1:])
    return np.concatenate(sequences), ends


def _segment_sums(values: Floats, ends: NDArray[np.int64]) -> Floats:
    """The sum of values[ends[k] : ends[k + 1]] for every k."""
    result = np.zeros(ends.size - 1)
    filled = np.flatnonzero(np.diff(ends))
    if filled.size:
        result[filled] = np.add.reduceat(values, ends[filled])
    return result


def _ratio(counts: Floats, probabilities: Floats) -> Floats:
    return np.divide(counts, probabilities, out=np.zeros_like(counts), where=probabilities > 0)


def _sparse(posterior: Any, shape: tuple[int, int]) -> csr_array:
    from scipy.sparse import csr_array

    count = posterior.count[0]
    rows, columns = posterior.found_row[:count], posterior.found_column[:count]
    matrix = csr_array((posterior.found_value[:count], (rows, columns)), shape=shape)
    matrix.sort_indices()
    return matrix


def _strongly_connected(edges: NDArray[np.bool_]) -> bool:
    """Whether every state can reach every other."""
    reach = edges | np.eye(len(edges), dtype=bool)
    for _ in range(len(edges)):
        reach = (reach.astype(int) @ reach.astype(int)) > 0
    return bool(reach.all())
