"""The passes of an HMM over sequences: the fast ones, checked, and the slow ones where the check fails.

The fast passes keep values of one time within float64's range of the largest. That loses nothing where every emitting
state can follow every other: a state so far behind never catches up by more than the rarest transition. Elsewhere a
value that was lost could have come to matter. Whether it has is seen afterwards: next to a posterior of 1, backward
says by how much each value of forward counts. If the largest is within range, what was lost is below rounding;
if not, the sequence goes through the passes in logarithms.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .cuts import WARMUPS, Spans
from .lanes import ChainLanes, Map, smallest_positive
from .logarithms import ChainLogarithms
from .paths import ChainPaths
from .tables import ChainTables, Derivatives, Floats, Likelihoods

_RANGE_BITS = 400.0  # that a lane's values may lose between two renewals
_STEEP = 1e180  # a larger backward value makes something of values that forward has lost


class ChainRecursion:
    """An HMM's transitions at one set of values, and the passes over encoded sequences."""

    def __init__(self, tables: ChainTables) -> None:
        self.tables = tables
        self.lanes = ChainLanes(tables)

    @cached_property
    def logarithms(self) -> ChainLogarithms:
        return ChainLogarithms(self.tables)

    @cached_property
    def paths(self) -> ChainPaths:
        return ChainPaths(self.lanes, self.logarithms)

    @cached_property
    def is_mixing(self) -> bool:
        """Whether every emitting state can follow every other at once, with a probability that is no rounding."""
        emitting = ~self.tables.silent
        return (
            not self.tables.silent.any() and float(self.tables.transitions[np.ix_(emitting, emitting)].min()) > 1e-100
        )

    @cached_property
    def _rarest_bits(self) -> float:
        """What the rarest transition costs."""
        return -math.log2(smallest_positive(self.tables.transitions, self.tables.start, self.tables.end))

    def _period(self, likelihoods: Likelihoods) -> int:
        """Letters between two renewals of forward; 0 if one letter may already cost more than the range."""
        bits = self._rarest_bits
        if not self.is_mixing:
            bits = bits * (1 + int(self.tables.silent.sum())) - math.log2(smallest_positive(likelihoods.table))
            if likelihoods.is_lossy:
                return 0
        return min(64, int(_RANGE_BITS / max(bits, 1.0)))

    def log_likelihoods(self, likelihoods: Likelihoods, spans: Spans, run: Map = map) -> Floats:
        """Return ln P of every sequence; -inf where the model cannot emit it."""
        if not self.is_mixing or not self._period(likelihoods):
            return self.expect(likelihoods, spans, run)[0]
        period, ends = self._period(likelihoods), spans.ends
        for warmup in WARMUPS:
            passed = self.lanes.forward(likelihoods, spans.cuts(warmup), period, run)
            if passed.agrees:
                break
        logs = passed.log_likelihood
        for k in np.flatnonzero(logs == -np.inf).tolist():
            logs[k] = self.logarithms.forward(likelihoods, int(ends[k]), int(ends[k + 1] - ends[k]))[1]
        return logs + spans.scales(likelihoods)

    def expect(
        self, likelihoods: Likelihoods, spans: Spans, run: Map = map
    ) -> tuple[Floats, NDArray[np.int64], Derivatives]:
        """Return what the E-step needs.

        Returns
        -------
        log_likelihoods : float64 (n,)
        stuck : int64 (n,)
            The first letter of a sequence that no path explains; its length if none can end there; -1 if all is well.
        derivatives : Derivatives
            Summed over sequences, each times its weight; sequences of probability zero count nothing.
        """
        n, period = len(spans), self._period(likelihoods)
        stuck = np.full(n, -1, np.int64)
        if period:
            logs, steep, derivatives = self._fast(likelihoods, spans, period, run)
        else:
            logs, steep, derivatives = np.zeros(n), np.ones(n, bool), None
        slow = np.flatnonzero(steep)
        if len(slow):
            logs[slow], stuck[slow], rest = self.logarithms.expect(likelihoods, spans.ends, slow, spans.weights)
            derivatives = rest if derivatives is None else Derivatives(*map(np.add, derivatives, rest))
        assert derivatives is not None
        return logs + spans.scales(likelihoods), stuck, derivatives

    def _fast(
        self, likelihoods: Likelihoods, spans: Spans, period: int, run: Map
    ) -> tuple[Floats, NDArray[np.bool_], Derivatives]:
        """ln P, which sequences have to be done in logarithms, and the derivatives of the others."""
        for warmup in WARMUPS:
            cuts = spans.cuts(warmup)
            passed, derivatives = self.lanes.expect(likelihoods, cuts, period, run)
            if passed.agrees:
                break
        lost = ~(passed.steepest < _STEEP * np.maximum(spans.seen, 1e-30))
        counted = np.where(lost, 0.0, spans.weights)
        if (counted != spans.seen).any():
            passed, derivatives = self.lanes.expect(likelihoods, cuts.weighted(counted), period, run)
        return passed.log_likelihood, lost | (passed.log_likelihood == -np.inf), derivatives

    def posterior(
        self, likelihoods: Likelihoods, spans: Spans, run: Map = map
    ) -> tuple[Floats, NDArray[np.int64], Floats]:
        """Return ln P and `stuck` of every sequence, and P(state | sequence) of every letter (letters, emitting)."""
        found, stuck, derivatives = self.expect(likelihoods.letter_by_letter(), Spans(spans.ends), run)
        return found, stuck, derivatives.used
