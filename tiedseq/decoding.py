"""From a posterior to the columns of one alignment, and to their confidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .pairs.recursion import Posterior

Columns = NDArray[np.int64]


def most_accurate_columns(posterior: Posterior, mode: str, gap_weight: float) -> Columns:
    """The columns of the alignment of maximal expected accuracy; see `align`.

    Every unaligned letter contributes, so aligning a pair is worth 2 P(x_i ~ y_j) less what its letters would
    contribute unaligned, and the best alignment is the heaviest chain of pairs.
    """
    pairs = posterior.pairs.tocoo()
    rows, columns = (positions.astype(np.int64) for positions in pairs.coords)
    weights = 2 * pairs.data - gap_weight * (posterior.target_unaligned[rows] + posterior.query_unaligned[columns])
    worth = weights > 0.0
    rows, columns = rows[worth], columns[worth]
    n, m = posterior.pairs.shape
    chosen = heaviest_chain(rows, columns, weights[worth], m)
    return columns_through(rows[chosen], columns[chosen], (n, m), mode)


def heaviest_chain(
    rows: NDArray[np.int64], columns: NDArray[np.int64], weights: NDArray[np.float64], n_columns: int
) -> NDArray[np.int64]:
    """Return the indices of the pairs of a heaviest chain, in order.

    Pairs (rows[k], columns[k]) are sorted by row, then column. In a chain both rise strictly.

    >>> heaviest_chain(np.array([0, 1, 1]), np.array([1, 0, 2]), np.array([0.5, 0.9, 0.5]), 3)
    array([0, 2])
    """
    from .kernels.decode import link

    links, tree = np.empty(rows.size, np.int64), np.empty(n_columns + 1, np.int64)
    last = link(rows, columns, weights, np.empty(rows.size), links, np.zeros(n_columns + 1), tree)
    chain = []
    while last >= 0:
        chain.append(last)
        last = links[last]
    return np.array(chain[::-1], dtype=np.int64)


def columns_through(rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int], mode: str) -> Columns:
    """The columns of the alignment that pairs rows[k] with columns[k] and nothing else, as far as the mode reaches.

    Between two pairs the query's letters come first, then the target's. A global alignment holds all letters of both
    sequences, a glocal one all of the query's, an overlap reaches a border on either side by the shorter way, and a
    local one holds what lies between the first pair and the last.
    """
    if not rows.size and mode in ("local", "overlap"):
        return np.zeros((2, 0), np.int64)
    first, last = _corners(rows, columns, shape, mode)
    x, y = (np.arange(first[side], last[side]) for side in (0, 1))
    x, y = np.setdiff1d(x, rows, assume_unique=True), np.setdiff1d(y, columns, assume_unique=True)
    # letters that are alone stand before the next pair of their own sequence
    pieces = [
        (np.stack([np.full(y.size, -1), y]), 3 * np.searchsorted(columns, y)),
        (np.stack([x, np.full(x.size, -1)]), 3 * np.searchsorted(rows, x) + 1),
        (np.stack([rows, columns]), 3 * np.arange(rows.size) + 2),
    ]
    order = np.argsort(np.concatenate([place for _, place in pieces]), kind="stable")
    return np.concatenate([piece for piece, _ in pieces], axis=1)[:, order]


def _corners(
    rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int], mode: str
) -> tuple[tuple[int, int], tuple[int, int]]:
    if mode == "global":
        return (0, 0), shape
    if not rows.size:  # glocal: the query's letters, beside the first of the target
        return (0, 0), (0, shape[1])
    first, last = (int(rows[0]), int(columns[0])), (int(rows[-1]) + 1, int(columns[-1]) + 1)
    if mode == "glocal":
        return (first[0], 0), (last[0], shape[1])
    if mode == "overlap":
        before, after = min(first), min(shape[0] - last[0], shape[1] - last[1])
        first = (0, first[1]) if first[0] == before else (first[0], 0)
        last = (shape[0], last[1]) if shape[0] - last[0] == after else (last[0], shape[1])
    return first, last


def column_confidence(columns: Columns, posterior: Posterior) -> NDArray[np.float64]:
    """Of a pair of letters: P(x_i ~ y_j). Of a letter alone: P(it is aligned to nothing)."""
    confidence = np.zeros(columns.shape[1])
    target_only, query_only = columns[1] < 0, columns[0] < 0
    both = ~target_only & ~query_only
    if both.any():
        confidence[both] = np.asarray(posterior.pairs[columns[0, both], columns[1, both]]).ravel()
    confidence[target_only] = posterior.target_unaligned[columns[0, target_only]]
    confidence[query_only] = posterior.query_unaligned[columns[1, query_only]]
    return np.clip(confidence, 0.0, 1.0)
