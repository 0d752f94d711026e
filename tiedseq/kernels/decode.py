"""Maximum expected accuracy: the chain of aligned pairs with the largest sum of weights."""

from __future__ import annotations

import numpy as np

from ._jit import kernel


@kernel
def heaviest_chain(rows, columns, weights, n_columns):
    """Indices of the pairs of a heaviest chain, in order.

    Pairs (rows[k], columns[k]) are sorted by row, then column. In a chain both rise strictly. A pair's best chain is its
    weight plus the heaviest chain that ends in an earlier row and column, which a binary indexed tree over the columns
    (Fenwick 1994) answers in log time; the pairs of one row enter the tree after all of them have asked.
    """
    count = rows.size
    tree_weight, tree_pair = np.zeros(n_columns + 1), np.full(n_columns + 1, -1)
    total, previous = np.zeros(count), np.full(count, -1)
    best, best_weight = -1, 0.0
    first = 0
    while first < count:
        last = first
        while last < count and rows[last] == rows[first]:
            heaviest, pair = 0.0, -1
            at = columns[last]
            while at > 0:
                if tree_weight[at] > heaviest:
                    heaviest, pair = tree_weight[at], tree_pair[at]
                at -= at & -at
            total[last], previous[last] = heaviest + weights[last], pair
            if total[last] > best_weight:
                best, best_weight = last, total[last]
            last += 1
        for k in range(first, last):
            at = columns[k] + 1
            while at <= n_columns:
                if total[k] > tree_weight[at]:
                    tree_weight[at], tree_pair[at] = total[k], k
                at += at & -at
        first = last
    length, k = 0, best
    while k >= 0:
        length, k = length + 1, previous[k]
    chain = np.empty(length, np.int64)
    k = best
    for place in range(length - 1, -1, -1):
        chain[place], k = k, previous[k]
    return chain
