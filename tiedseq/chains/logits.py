"""Rows of tied probabilities as smooth functions of numbers without bounds, for methods that climb by the gradient."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tiedseq.simplex import Simplex

from .tables import Floats

_STEEPEST = 60.0  # nats between the logits of values that share a row; a probability further down is as good as zero


class RowLogits:
    """What a softmax is to one row, for rows that share values.

    The values are those that the tied M-step makes of counts exp(logit): they maximise sum exp(x_g) ln(theta_g) under
    ties and sums to one. For a row that shares nothing this is the softmax. Held and forced values stay as they are,
    zeros by construction have no logit, and every tie is kept exactly.

    Parameters
    ----------
    simplex : Simplex
    current : float64 (n_values,)
        The values that the first logits stand for.

    Attributes
    ----------
    initial : float64 (n_logits,)
        The logits of `current`.
    """

    def __init__(self, simplex: Simplex, current: Floats) -> None:
        self.simplex, self.current = simplex, current
        self.systems = [(labels, matrix) for labels, matrix in simplex.systems() if len(labels) > len(matrix)]
        sizes = np.cumsum([0, *(len(labels) for labels, _ in self.systems)])
        self._parts = [slice(int(a), int(b)) for a, b in pairwise(sizes)]
        # these counts have their maximum at `current`: the derivative of sum M_g theta_g ln(theta_g) is M's own
        counts = [matrix.sum(axis=0) * current[labels] for labels, matrix in self.systems]
        with np.errstate(divide="ignore"):
            self.initial = np.concatenate([np.zeros(0), *map(_logits_of, counts)])

    def values(self, logits: Floats) -> Floats:
        """Return all values (n_values,)."""
        counts = np.zeros(len(self.current))
        for (labels, _), part in zip(self.systems, self._parts, strict=True):
            counts[labels] = _counts_of(logits[part])
        return self.simplex.maximize(counts, self.current)

    def gradient(self, logits: Floats, values: Floats, derivative: Floats) -> Floats:
        """Return d objective / d logit from d objective / d value, each value taken as free of the others.

        At the maximum c_g / theta_g = (M^T mu)_g, with a multiplier mu a row. How theta answers to c follows from the
        derivative of this, under M d theta = 0: a weighted least-squares problem with a number for each row.
        """
        found = np.zeros(len(logits))
        for (labels, matrix), part in zip(self.systems, self._parts, strict=True):
            value, slope, count = values[labels], derivative[labels], _counts_of(logits[part])
            weight = value * (value / count)
            multiplier = np.linalg.lstsq((matrix * weight) @ matrix.T, matrix @ (weight * slope), rcond=None)[0]
            moves = logits[part] > logits[part].max() - _STEEPEST
            found[part] = np.where(moves, value * (slope - matrix.T @ multiplier), 0.0)
        return found


def _logits_of(counts: Floats) -> Floats:
    logs = np.log(counts / counts.max())
    return np.maximum(logs, -_STEEPEST)


def _counts_of(logits: Floats) -> Floats:
    return np.exp(np.maximum(logits - logits.max(), -_STEEPEST))
