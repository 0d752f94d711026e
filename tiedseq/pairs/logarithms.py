"""The slow recursions: logarithms, cell by cell, for tables beyond the range of the fast ones."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ResourceError, SequenceError

from .modes import cell_weights, empty_box_count
from .tables import Codes, Derivatives, Floats, PairTables, Sums, impossible_message

_MOST_BYTES = 4 * 10**9  # that the table of all cells may take


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

    def log_totals(self, pairs: list[tuple[Codes, Codes]], mode: str) -> Floats:
        """Return ln of the odds of every pair, over all alignments in all boxes; -inf where there is none."""
        from tiedseq.kernels.logspace import log_forward

        logs = [log_forward(*self._arguments(x, y, mode), False, False)[0] for x, y in pairs]
        return np.array([self._with_empty(log, x, y, mode) for log, (x, y) in zip(logs, pairs, strict=True)])

    def _with_empty(self, log_odds: float, x: Codes, y: Codes, mode: str) -> float:
        empty = self.tables.start_end * empty_box_count(x.size, y.size, mode)
        return float(np.logaddexp(log_odds, math.log(empty))) if empty > 0.0 else log_odds

    def _require_memory(self, n: int, m: int) -> None:
        wanted = 8 * (n + 1) * (m + 1) * (len(self.tables.kinds) + 1)
        if wanted > _MOST_BYTES:
            raise ResourceError(
                "the parameters are too extreme for float64 without logarithms, and in logarithms sequences of "
                f"{n:,} and {m:,} letters need {wanted / 1e9:.1f} GB of memory, {_MOST_BYTES / 1e9:.0f} GB being the "
                "limit: align shorter pieces, or give the gap states a positive probability for every letter and length"
            )

    def sums(self, x: Codes, y: Codes, mode: str, threshold: float, want_derivatives: bool) -> Sums:
        """Return what forward and backward add up; aligned pairs below `threshold` are left out of the matrix.

        Derivatives come with it, asked for or not.

        Raises
        ------
        SequenceError
            No path explains the sequences.
        ResourceError
            There is not enough memory.
        """
        from scipy.sparse import csr_array

        from tiedseq.kernels.logspace import log_backward, log_forward

        arguments = self._arguments(x, y, mode)
        self._require_memory(x.size, y.size)
        log_odds, value = log_forward(*arguments, True, False)
        total = self._with_empty(log_odds, x, y, mode)
        if total == -math.inf:
            raise SequenceError(impossible_message(x.size, y.size, mode))
        added = tuple(np.zeros_like(part) for part in self._log_tables[1:])
        matched = log_backward(*arguments, value, total, added)
        start, transitions, end, pair, gap = added
        emissions = [self._letters(s, (pair if kind == "xy" else gap)[s]) for s, kind in enumerate(self.tables.kinds)]
        kept = csr_array(np.where((matched >= threshold) & (matched > 0.0), matched, 0.0))
        derivatives = Derivatives(start, transitions, end, emissions, gap.sum(axis=0))
        return Sums(total, kept, matched.sum(axis=1), matched.sum(axis=0), derivatives)

    def _letters(self, s: int, counts: Floats) -> Floats:
        """The derivative by letters: expected counts by symbols over the symbols' probability, pulled back."""
        observation, probabilities = self.tables.observation, self.tables.symbol_emissions[s]
        by_symbol = np.divide(counts, probabilities, out=np.zeros_like(counts), where=probabilities > 0)
        pulled = observation.T @ by_symbol
        return np.asarray(pulled @ observation if pulled.ndim == 2 else pulled)

    def best_cells(self, x: Codes, y: Codes, mode: str) -> NDArray[np.int64]:
        """Return the cells (i, j, state) of the likeliest path that is not empty; none if there is no path."""
        from tiedseq.kernels.logspace import log_forward, log_trace

        self._require_memory(x.size, y.size)
        arguments = self._arguments(x, y, mode)
        path = np.empty((x.size + y.size + 1, 3), np.int64)
        count = log_trace(*arguments, log_forward(*arguments, True, True)[1], path)
        return path[: max(count, 0)][::-1].copy()
