"""The passes over encoded sequences: a model's tables in, probabilities and their derivatives out.

Two implementations say how likely one sequence pair is over background letters: `lanes`, fast, and `logarithms`, for
parameters so extreme that the fast one would lose values. What a mode makes of these odds is here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ResourceError
from tiedseq.memory import check_memory

from .lanes import Lanes
from .logarithms import Logarithms
from .modes import check_mode, empty_box_count, log_box_count
from .paths import log_path
from .tables import Codes, Floats, PairTables, impossible

if TYPE_CHECKING:
    from scipy.sparse import csr_array


_ROUNDING = 1e-13  # of a symbol's letters: so few outside an alignment are none
_SMALL_BYTES = 1 << 28  # less is there on any machine, and not worth a look


@dataclass(frozen=True)
class Posterior:
    """What forward and backward say of one pair of sequences."""

    log_likelihood: float  # nats
    pairs: csr_array  # float64 (len(target), len(query)): P(x_i aligned to y_j) where it reaches the threshold
    target_unaligned: Floats  # P(letter is aligned to nothing), summed over all cells, whatever the threshold
    query_unaligned: Floats


@dataclass(frozen=True)
class Derivatives:
    """d ln P / d every number of the model's tables, each taken as free of the others."""

    start: Floats  # (S,)
    start_end: float
    transitions: Floats  # (S, S)
    end: Floats  # (S,)
    emissions: list[Floats]  # per state: (K, K) or (K,)
    background: Floats  # (K,): what explains the flanks


class Recursion:
    """One set of parameter values, ready to run. Sequences are uint8 codes, modes their names."""

    def __init__(self, tables: PairTables) -> None:
        self.tables = tables

    @cached_property
    def _lanes(self) -> Lanes:
        """The fast ones, as over sequences of every symbol."""
        every = np.arange(self.tables.symbol_background.size, dtype=np.uint8)
        return Lanes(self.tables, every, every)

    @cached_property
    def _logarithms(self) -> Logarithms:
        return Logarithms(self.tables)

    @property
    def is_moderate(self) -> bool:
        """Whether float64 with one exponent a lane holds every value that matters (else: logarithms, cell by cell)."""
        return self._lanes.suits

    def passes(self, pairs: list[tuple[Codes, Codes]]) -> Lanes | Logarithms:
        """Return the fast ones if the values that these sequences meet let them: training leaves a letter that never
        occurs with probability 0, and no other letter is the worse for it.
        """
        if not pairs:
            return self._lanes
        detour = self.tables.detour(pairs)
        if self.is_moderate and not detour:
            return self._lanes
        x, y = (np.unique(np.concatenate([np.zeros(0, np.uint8), *side])) for side in zip(*pairs, strict=True))
        lanes = Lanes(self.tables, x, y, detour)
        return lanes if lanes.suits else self._logarithms

    @contextmanager
    def _enough_memory(self, pairs: list[tuple[Codes, Codes]]) -> Iterator[None]:
        """Name the sequences and the remedy where memory gives out."""
        try:
            yield
        except MemoryError as error:
            n, m = max(((x.size, y.size) for x, y in pairs), key=math.prod)
            raise ResourceError(
                f"there is not enough memory for sequences of {n:,} and {m:,} letters, whose posterior takes "
                f"{self.passes(pairs).memory(n, m) / 1e9:.1f} GB: align shorter pieces"
            ) from error

    def check_memory(
        self, pairs: list[tuple[Codes, Codes]], numbers: Sequence[int] | None = None
    ) -> Lanes | Logarithms:
        """Return `passes`, or raise ResourceError if there is not the memory for the posterior of some pair."""
        passes = self.passes(pairs)
        needed = [passes.memory(x.size, y.size) for x, y in pairs]
        most = max(needed, default=0)
        if most <= _SMALL_BYTES:
            return passes
        place = needed.index(most)
        x, y = pairs[place]
        name = "" if numbers is None else f"pairs[{numbers[place]}]: "
        what = f"{name}sequences of {x.size:,} and {y.size:,} letters need"
        check_memory(what, most, "take shorter pieces, or a machine with more")
        return passes

    def log_likelihoods(self, pairs: list[tuple[Codes, Codes]], mode: str) -> Floats:
        """Return ln P of every pair under a mode, -inf where no alignment explains it.

        Raises
        ------
        ResourceError
            There is not enough memory.
        """
        check_mode(mode)
        with self._enough_memory(pairs):
            return self.passes(pairs).log_totals(pairs, mode) + self._log_outside(pairs, mode)

    def _log_outside(self, pairs: list[tuple[Codes, Codes]], mode: str) -> Floats:
        """What turns ln of the odds of all boxes into ln P, for every pair."""
        return self.tables.log_backgrounds(pairs) - np.array([log_box_count(x.size, y.size, mode) for x, y in pairs])

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
        passes = self.check_memory([(x, y)])
        with self._enough_memory([(x, y)]):
            sums = passes.posterior_sums(x, y, mode, threshold)
        target, query = (np.clip(1.0 - matched, 0.0, 1.0) for matched in (sums.target_matched, sums.query_matched))
        return Posterior(sums.log_total + float(self._log_outside([(x, y)], mode)[0]), sums.pairs, target, query)

    def derivatives(
        self,
        pairs: list[tuple[Codes, Codes]],
        mode: str,
        weights: Floats | None = None,
        numbers: Sequence[int] | None = None,
    ) -> tuple[Floats, Derivatives]:
        """Return ln P of every pair, float64 (pairs,), and the derivatives of their sum, always added in this order.

        weights: float64 (pairs,), not negative: what the derivatives of each pair are multiplied by; 1 by default.
        numbers: the pairs' numbers among all that the user gave; by default their places here, or none for one pair.
        Raises as `posterior` does; the message names the number.
        """
        check_mode(mode)
        weights = np.ones(len(pairs)) if weights is None else np.ascontiguousarray(weights, np.float64)
        if numbers is None and len(pairs) > 1:
            numbers = range(len(pairs))
        passes = self.check_memory(pairs, numbers)
        with self._enough_memory(pairs):
            sums = passes.derivative_sums(pairs, mode, weights)
        for number in np.flatnonzero(sums.log_totals == -np.inf)[:1].tolist():
            x, y = pairs[number]
            raise impossible(x.size, y.size, mode, None if numbers is None else numbers[number])
        empty = np.array([empty_box_count(x.size, y.size, mode) for x, y in pairs], np.float64)
        start_end = float(np.sum(weights * empty * np.exp(np.minimum(-sums.log_totals, 700.0))))
        background = self._background_derivative(pairs, weights, sums.emitted)
        found = Derivatives(sums.start, start_end, sums.transitions, sums.end, sums.emissions, background)
        return sums.log_totals + self._log_outside(pairs, mode), found

    def _background_derivative(self, pairs: list[tuple[Codes, Codes]], weights: Floats, emitted: Floats) -> Floats:
        """The symbols of all sequences that no state emitted, over their probability."""
        codes = np.concatenate([np.zeros(0, np.uint8), *(codes for pair in pairs for codes in pair)])
        shares = np.repeat(weights, [x.size + y.size for x, y in pairs])
        seen = np.bincount(codes, shares, emitted.size)
        # in global mode nothing is outside, but for rounding, and an M-step would take that for counts
        outside = np.where(seen - emitted > _ROUNDING * seen, seen - emitted, 0.0)
        return np.asarray(self.tables.letter_odds @ outside)

    def viterbi(self, x: Codes, y: Codes, mode: str) -> tuple[float, NDArray[np.int64]]:
        """Return ln P of the likeliest path, and its cells (i, j, state): i and j letters are emitted when it leaves
        them.

        The path is empty where an empty box is likelier than any path. Raises as `posterior` does.
        """
        check_mode(mode)
        passes = self.check_memory([(x, y)])
        with self._enough_memory([(x, y)]):
            cells = passes.best_cells(x, y, mode)
        best = log_path(self.tables, x, y, cells, mode) if cells.size else -math.inf
        empty = log_path(self.tables, x, y, cells[:0], mode)
        if max(best, empty) == -math.inf:
            raise impossible(x.size, y.size, mode)
        return (best, cells) if best >= empty else (empty, cells[:0])

    def best_columns(self, x: Codes, y: Codes, mode: str) -> tuple[float, NDArray[np.int64]]:
        """Return ln P of the likeliest path, and its columns: int64 (2, n), positions in both, -1 for a gap."""
        best, cells = self.viterbi(x, y, mode)
        kinds = np.array(self.tables.kinds)[cells[:, 2]]
        columns = cells[:, :2].T - 1
        columns[0, kinds == "y"] = -1
        columns[1, kinds == "x"] = -1
        return best, columns
