"""The slow recursions: logarithms, cell by cell, for tables beyond the range of the fast ones."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ResourceError

from .modes import cell_weights, empty_box_count
from .tables import Codes, DerivativeSums, Floats, PairTables, PosteriorSums, impossible

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_MOST_BYTES = 4 * 10**9  # that tables of all cells may take
_LARGEST = 1e305  # of a sum of derivatives: infinity would be NaN in a product with zeros
_MATCHED_BYTES, _SPARSE_BYTES = 8, 20  # a cell: P(aligned), and its place in a sparse matrix while that is put together


class Logarithms:
    """Forward, backward and Viterbi of one model, whatever its parameters. Memory grows with the product of lengths."""

    def __init__(self, tables: PairTables) -> None:
        self.tables = tables

    @cached_property
    def _log_tables(self) -> tuple[Any, ...]:
        """What the kernels want of a model: kinds, and logarithms of odds over background letters."""
        tables, symbols, states = self.tables, self.tables.symbol_background.size, len(self.tables.kinds)
        pair, gap = np.zeros((states, symbols, symbols)), np.zeros((states, symbols))
        for s, odds in enumerate(tables.log_odds):
            (pair if tables.kinds[s] == "xy" else gap)[s] = odds
        kinds = np.array([("xy", "x", "y").index(kind) for kind in tables.kinds])
        with np.errstate(divide="ignore"):
            return kinds, *(np.log(part) for part in (tables.start, tables.transitions, tables.end)), pair, gap

    def _arguments(self, x: Codes, y: Codes, mode: str) -> tuple[Any, ...]:
        return *self._log_tables, x, y, *cell_weights(x.size, y.size, mode)

    def _with_empty(self, log_odds: float, x: Codes, y: Codes, mode: str) -> float:
        empty = self.tables.start_end * empty_box_count(x.size, y.size, mode)
        return float(np.logaddexp(log_odds, math.log(empty))) if empty > 0.0 else log_odds

    # ---- memory -----------------------------------------------------------------------------------------------------

    def memory(self, n: int, m: int) -> int:
        """Return how many bytes a posterior takes at most."""
        return self._bytes(n, m, _MATCHED_BYTES + _SPARSE_BYTES)

    def _bytes(self, n: int, m: int, beside: int) -> int:
        """Of the table of every state's value in every cell, and of what else a cell takes."""
        return (n + 1) * (m + 1) * (8 * len(self.tables.kinds) + beside)

    def _values(self, n: int, m: int, beside: int) -> Floats:
        """The table of every state's value in every cell; `beside`: bytes that a cell will take on top."""
        wanted = self._bytes(n, m, beside)
        if wanted > _MOST_BYTES:
            raise ResourceError(
                "the parameters are too extreme for float64 without logarithms, and in logarithms sequences of "
                f"{n:,} and {m:,} letters need {wanted / 1e9:.1f} GB of memory, {_MOST_BYTES / 1e9:.0f} GB being the "
                "limit: align shorter pieces, or give the gap states a positive probability for every letter and length"
            )
        return np.empty((n + 1, m + 1, len(self.tables.kinds)))

    # ---- passes -----------------------------------------------------------------------------------------------------

    def log_totals(self, pairs: list[tuple[Codes, Codes]], mode: str) -> Floats:
        """Return ln of the odds of every pair, over all alignments in all boxes; -inf where there is none."""
        from tiedseq.kernels.logspace import log_forward

        logs, states = [], len(self.tables.kinds)
        for x, y in pairs:
            log_odds = log_forward(*self._arguments(x, y, mode), np.empty((2, y.size + 1, states)))
            logs.append(self._with_empty(log_odds, x, y, mode))
        return np.array(logs, np.float64)

    def _pass(
        self, x: Codes, y: Codes, mode: str, beside: int, weight: float, sums: tuple[Floats, ...]
    ) -> tuple[float, Floats]:
        """Forward, and backward if there is a path: ln of the odds, and P(x_i aligned to y_j), dense."""
        from tiedseq.kernels.logspace import log_backward, log_forward

        arguments, value = self._arguments(x, y, mode), self._values(x.size, y.size, beside)
        total = self._with_empty(log_forward(*arguments, value), x, y, mode)
        matched, rest = np.zeros((x.size, y.size)), np.empty((2, y.size + 1, len(self.tables.kinds)))
        if total > -math.inf:
            background = np.log(self.tables.symbol_background)
            log_backward(*arguments, value, total, background, rest, matched, weight, sums)
        return total, matched

    def _new_sums(self) -> tuple[Floats, ...]:
        """Zeros like the tables, and for how many of each symbol are emitted."""
        return *(np.zeros_like(part) for part in self._log_tables[1:]), np.zeros(self.tables.symbol_background.size)

    def posterior_sums(self, x: Codes, y: Codes, mode: str, threshold: float) -> PosteriorSums:
        """Return P(aligned) of letters and pairs of letters; pairs below `threshold` are left out of the matrix.

        Raises
        ------
        SequenceError
            No path explains the sequences.
        ResourceError
            The tables would be larger than 4 GB.
        """
        total, matched = self._pass(x, y, mode, _MATCHED_BYTES + _SPARSE_BYTES, 1.0, self._new_sums())
        if total == -math.inf:
            raise impossible(x.size, y.size, mode)
        return PosteriorSums(total, _sparse(matched, threshold), matched.sum(axis=1), matched.sum(axis=0))

    def derivative_sums(self, pairs: list[tuple[Codes, Codes]], mode: str, weights: Floats) -> DerivativeSums:
        """Return what forward and backward add up over pairs, the derivatives of each times its weight.

        Raises
        ------
        ResourceError
            The tables would be larger than 4 GB.
        """
        sums, seen = self._new_sums(), self.tables.observation
        logs = [
            self._pass(x, y, mode, _MATCHED_BYTES, float(weight), sums)[0]
            for (x, y), weight in zip(pairs, weights, strict=True)
        ]
        start, transitions, end, pair, gap, emitted = (np.minimum(part, _LARGEST) for part in sums)
        emissions = [
            seen.T @ pair[s] @ seen if kind == "xy" else seen.T @ gap[s] for s, kind in enumerate(self.tables.kinds)
        ]
        return DerivativeSums(np.array(logs, np.float64), start, transitions, end, emissions, emitted)

    def best_cells(self, x: Codes, y: Codes, mode: str) -> NDArray[np.int64]:
        """Return the cells (i, j, state) of the likeliest path that is not empty; none if there is no path."""
        from tiedseq.kernels.logspace import log_viterbi

        path = np.empty((x.size + y.size + 1, 3), np.int64)
        count = log_viterbi(*self._arguments(x, y, mode), self._values(x.size, y.size, 0), path)
        return path[:count][::-1].copy()


def _sparse(matched: Floats, threshold: float) -> csr_array:
    """What is positive and reaches the threshold; row by row, since the whole may fill the memory."""
    from scipy.sparse import csr_array

    kept = [np.flatnonzero((row >= threshold) & (row > 0.0)).astype(np.int32) for row in matched]
    ends = np.cumsum([0, *map(len, kept)])
    values = np.empty(ends[-1])
    for row, found, first, last in zip(matched, kept, ends[:-1], ends[1:], strict=True):
        values[first:last] = row[found]
    return csr_array(
        (values, np.concatenate([*kept, np.zeros(0, np.int32)]), ends.astype(np.int64)), shape=matched.shape
    )
