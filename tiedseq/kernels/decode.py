"""Maximum expected accuracy: the chain of aligned pairs with the largest sum of weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._jit import kernel


def heaviest_chain(
    rows: NDArray[np.int64], columns: NDArray[np.int64], weights: NDArray[np.float64], n_columns: int
) -> NDArray[np.int64]:
    """Return the indices of the pairs of a heaviest chain, in order.

    Pairs (rows[k], columns[k]) are sorted by row, then column. In a chain both rise strictly.

    >>> heaviest_chain(np.array([0, 1, 1]), np.array([1, 0, 2]), np.array([0.5, 0.9, 0.5]), 3)
    array([0, 2])
    """
    links = np.empty(rows.size, np.int64)
    last = _link(
        rows, columns, weights, np.empty(rows.size), links, np.zeros(n_columns + 1), np.empty(n_columns + 1, np.int64)
    )
    chain = []
    while last >= 0:
        chain.append(last)
        last = links[last]
    return np.array(chain[::-1], dtype=np.int64)


@kernel
def _link(rows, columns, weights, total, links, tree_weight, tree_pair):
    """Write for every pair the one before it in its best chain, -1 for none; return the last pair of the heaviest.

    A pair's best chain is its weight plus the heaviest chain that ends in an earlier row and column, which a binary
    indexed tree over the columns (Fenwick 1994) answers in log time; the pairs of one row enter the tree after all of
    them have asked. `total` is working memory like `weights`, the tree is one item longer than there are columns, and
    its weights are zeros.
    """
    best, best_weight = -1, 0.0
    first = 0
    while first < rows.size:
        last = first
        while last < rows.size and rows[last] == rows[first]:
            heaviest, pair = 0.0, -1
            at = columns[last]
            while at > 0:
                if tree_weight[at] > heaviest:
                    heaviest, pair = tree_weight[at], tree_pair[at]
                at -= at & -at
            total[last], links[last] = heaviest + weights[last], pair
            if total[last] > best_weight:
                best, best_weight = last, total[last]
            last += 1
        for k in range(first, last):
            at = columns[k] + 1
            while at < tree_weight.size:
                if total[k] > tree_weight[at]:
                    tree_weight[at], tree_pair[at] = total[k], k
                at += at & -at
        first = last
    return best
