"""The passes over two encoded sequences: a model's tables in, probabilities and their derivatives out.

Two implementations say how likely one sequence pair is over background letters: `lanes`, fast, and `logarithms`, for
parameters so extreme that the fast one would lose values. What a mode makes of these odds is here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import SequenceError

from .lanes import RANGE_BITS, Lanes
from .logarithms import Logarithms
from .modes import check_mode, empty_box_count, log_box_count
from .paths import log_columns, log_path
from .tables import Codes, Floats, PairTables, impossible_message

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Posterior:
    """What forward and backward say of one pair of sequences."""

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


class Recursion(PairTables):
    """One set of parameter values, ready to run. Sequences are uint8 codes, modes their names."""

    @property
    def is_moderate(self) -> bool:
        """Whether float64 with one exponent a lane holds every value that matters (else: logarithms, cell by cell)."""
        return self.steepness * 3 + self.toll <= RANGE_BITS / 2

    @cached_property
    def _passes(self) -> Lanes | Logarithms:
        return Lanes(self) if self.is_moderate else Logarithms(self)

    def log_likelihoods(self, pairs: list[tuple[Codes, Codes]], mode: str) -> Floats:
        """Return ln P of every pair under a mode, -inf where no alignment explains it."""
        check_mode(mode)
        return self._passes.log_totals(pairs, mode) + self._log_outside(pairs, mode)

    def _log_outside(self, pairs: list[tuple[Codes, Codes]], mode: str) -> Floats:
        """What turns ln of the odds of all boxes into ln P, for every pair."""
        return self.log_backgrounds(pairs) - np.array([log_box_count(x.size, y.size, mode) for x, y in pairs])

    def posterior(self, x: Codes, y: Codes, mode: str, threshold: float) -> Posterior:
        """Return the aligned pairs of probability `threshold` and more, and what stays unaligned.

        Raises
        ------
        SequenceError
            The probability of the sequences is 0.
        ResourceError
            There is not enough memory.
        """
        check_mode(mode)
        sums = self._passes.sums(x, y, mode, threshold, want_derivatives=False)
        target, query = (np.clip(1.0 - matched, 0.0, 1.0) for matched in (sums.target_matched, sums.query_matched))
        return Posterior(sums.log_total + float(self._log_outside([(x, y)], mode)[0]), sums.pairs, target, query)

    def gradient(self, x: Codes, y: Codes, mode: str) -> Gradient:
        """Return d ln P / d parameter for every number in the tables. Raises as `posterior` does."""
        check_mode(mode)
        sums = self._passes.sums(x, y, mode, 2.0, want_derivatives=True)
        assert sums.derivatives is not None
        start, transitions, end, emissions, _ = sums.derivatives
        return Gradient(
            sums.log_total + float(self._log_outside([(x, y)], mode)[0]),
            start,
            empty_box_count(x.size, y.size, mode) * math.exp(min(-sums.log_total, 700.0)),
            transitions,
            end,
            emissions,
            self.background_derivative(x, y, sums),
        )

    def viterbi(self, x: Codes, y: Codes, mode: str) -> tuple[float, NDArray[np.int64]]:
        """Return ln P of the likeliest path, and its cells (i, j, state): i and j letters are emitted when it leaves
        them.

        The path is empty where an empty box is likelier than any path. Raises as `posterior` does.
        """
        check_mode(mode)
        cells = self._passes.best_cells(x, y, mode)
        best = self.log_path(x, y, cells, mode) if cells.size else -math.inf
        empty = self.log_path(x, y, cells[:0], mode)
        if max(best, empty) == -math.inf:
            raise SequenceError(impossible_message(x.size, y.size, mode))
        return (best, cells) if best >= empty else (empty, cells[:0])

    def log_path(self, x: Codes, y: Codes, cells: NDArray[np.int64], mode: str) -> float:
        """Return ln P of the sequences and one path, given as `viterbi` gives it; -inf if it is impossible."""
        return log_path(self, x, y, cells, mode)

    def log_columns(self, x: Codes, y: Codes, columns: NDArray[np.int64], mode: str) -> float:
        """Return ln P of the sequences and an alignment; see `paths.log_columns`."""
        return log_columns(self, x, y, columns, mode)
