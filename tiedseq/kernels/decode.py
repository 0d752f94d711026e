"""Maximum expected accuracy: the chain of aligned pairs with the largest sum of weights."""

from __future__ import annotations

from ._jit import kernel


@kernel
def link(rows, columns, weights, total, links, tree_weight, tree_pair):
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
