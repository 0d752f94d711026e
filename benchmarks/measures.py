"""How good alignments are against the truth: recall, precision, the curve of both, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .truth import Partners, TruePair

if TYPE_CHECKING:
    from tiedseq.alignment import AlignmentResult

Floats = NDArray[np.float64]


class Accuracy(NamedTuple):
    """Of the pairs of letters that are truly aligned, the share found; of those found, the share that is right."""

    recall: float
    precision: float

    def __str__(self) -> str:
        return "/".join(f"{share:.3f}" for share in self)


def accuracy(truth: Sequence[TruePair], found: Sequence[Partners]) -> Accuracy:
    """Recall and precision over all pairs of letters of all alignments; precision is 1 if there are none."""
    true = sum(int((pair.partners >= 0).sum()) for pair in truth)
    claimed = sum(int((partners >= 0).sum()) for partners in found)
    right = sum(int(_right(pair, partners).sum()) for pair, partners in zip(truth, found, strict=True))
    return Accuracy(right / true, right / claimed if claimed else 1.0)


def _right(pair: TruePair, partners: Partners) -> NDArray[np.bool_]:
    return (partners >= 0) & (partners == pair.partners)


def margin(curve: Sequence[Accuracy], point: Accuracy) -> float:
    """By how much the curve, linear between its points, lies above the point in precision; -inf if it ends before.

    Below the curve's least recall its precision there counts: leaving out any of the pairs keeps it.
    """
    recall, precision = np.array(sorted(curve)).T
    if point.recall > recall[-1]:
        return -np.inf
    return float(np.interp(point.recall, recall, precision)) - point.precision


class Decile(NamedTuple):
    """Columns whose confidence lies within a tenth."""

    n: int
    share: float  # of all columns, of either kind
    error: float  # the fraction that is right less the mean confidence
    deviation: float  # of the error, by chance: the pairs of sequences as independent draws


def calibration(truth: Sequence[TruePair], results: Sequence[AlignmentResult], residues: bool) -> list[Decile | None]:
    """Of residue columns (a pair is right) or gap columns (the letter is truly aligned to nothing), by confidence.

    None where there is no column.
    """
    total = sum(result.n_columns for result in results)
    sums = np.zeros((len(truth), 10, 3))  # by pair and decile: columns, right ones, confidence
    for k, (pair, result) in enumerate(zip(truth, results, strict=True)):
        chosen = result.is_residue == residues
        confidence, right = result.confidence[chosen], _column_is_right(pair, result.columns)[chosen]
        decile = np.minimum((10 * confidence).astype(int), 9)
        for j, weights in enumerate((np.ones(decile.size), right, confidence)):
            sums[k, :, j] = np.bincount(decile, weights, 10)
    return [_decile(sums[:, k], total) for k in range(10)]


def _decile(sums: Floats, total: int) -> Decile | None:
    """From columns, right ones and confidence of every pair."""
    n, right, confidence = sums.sum(axis=0)
    if not n:
        return None
    error = (right - confidence) / n
    scatter = sums[:, 1] - sums[:, 2] - error * sums[:, 0]  # of a ratio, linearised
    pairs = len(sums)
    return Decile(int(n), n / total, error, float(np.sqrt((scatter**2).sum() * pairs / max(pairs - 1, 1)) / n))


def _column_is_right(pair: TruePair, columns: Any) -> NDArray[np.bool_]:
    x, y = columns
    aligned = np.zeros(len(pair.query), bool)
    aligned[pair.partners[pair.partners >= 0]] = True
    right = np.zeros(x.size, bool)
    both, target_only, query_only = (x >= 0) & (y >= 0), y < 0, x < 0
    right[both] = pair.partners[x[both]] == y[both]
    right[target_only] = pair.partners[x[target_only]] < 0
    right[query_only] = ~aligned[y[query_only]]
    return right
