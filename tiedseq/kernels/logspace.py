"""The pair-HMM recursions in logarithms, cell by cell: slow, and right for any parameters whatsoever.

`kernels.pairhmm` needs values of neighbouring cells within float64's range of each other. Models with gaps that are
impossible, or dearer than that, come here. The recursion is the same; sums are taken relative to their largest term.
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import kernel, part

BOTH, TARGET, QUERY = range(3)


@part
def _add(a, b):
    """ln(exp a + exp b)"""
    if a < b:
        a, b = b, a
    return a if b == -math.inf else a + math.log1p(math.exp(b - a))


@part
def _join(a, b, best):
    return max(a, b) if best else _add(a, b)


@part
def _emission(kind, pair, gap, s, x, y, i, j):
    if kind == BOTH:
        return pair[s, x[i - 1], y[j - 1]]
    return gap[s, x[i - 1]] if kind == TARGET else gap[s, y[j - 1]]


@part
def _log_weight(rows, columns, i, j, k):
    weight = rows[i, k] * columns[j, k] + rows[i, k + 1] * columns[j, k + 1]
    return 0.0 if weight > 0.0 else -math.inf


@kernel
def log_forward(kinds, start, transitions, end, pair, gap, x, y, rows, columns, keep, best):
    """ln of the total, and every state's ln v per cell (of the last two rows only, unless `keep`).

    With `best` the total is that of the likeliest alignment instead of all.

    kinds (S,): BOTH, TARGET, QUERY. All parameters are logarithms; pair (S, symbols, symbols), gap (S, symbols).
    rows (n + 1, 4), columns (m + 1, 4): where alignments may start and end, as in `kernels.pairhmm`.
    """
    n, m, states = x.size, y.size, kinds.size
    held = n + 1 if keep else 2
    value = np.full((held, m + 1, states), -math.inf)
    total = -math.inf
    for i in range(n + 1):
        for j in range(m + 1):
            for t in range(states):
                a, b = i - (kinds[t] != QUERY), j - (kinds[t] != TARGET)
                entering = -math.inf
                if a >= 0 and b >= 0:
                    entering = start[t] + _log_weight(rows, columns, a, b, 0)
                    for s in range(states):
                        entering = _join(entering, value[a % held, b, s] + transitions[s, t], best)
                    entering += _emission(kinds[t], pair, gap, t, x, y, i, j)
                value[i % held, j, t] = entering
            ending = _log_weight(rows, columns, i, j, 2)
            for s in range(states):
                total = _join(total, value[i % held, j, s] + end[s] + ending, best)
    return total, value


@kernel
def log_backward(kinds, start, transitions, end, pair, gap, x, y, rows, columns, value, total, gradient):
    """P(x_i aligned to y_j), dense; `gradient` takes d ln P / d parameter (not its logarithm).

    `value` is `log_forward`'s, kept whole, and `total` the ln that its terms are divided by. `gradient` is a tuple of
    arrays like start, transitions, end, pair, gap.
    """
    n, m, states = x.size, y.size, kinds.size
    matched = np.zeros((n, m))
    rest = np.full((2, m + 1, states), -math.inf)
    for i in range(n, -1, -1):
        for j in range(m, -1, -1):
            beginning = _log_weight(rows, columns, i, j, 0)
            ending = _log_weight(rows, columns, i, j, 2)
            for s in range(states):
                rest[i % 2, j, s] = end[s] + ending
                if ending == 0.0:
                    gradient[2][s] += math.exp(value[i, j, s] - total)
            for t in range(states):
                a, b = i + (kinds[t] != QUERY), j + (kinds[t] != TARGET)
                if a > n or b > m:
                    continue
                product = _emission(kinds[t], pair, gap, t, x, y, a, b) + rest[a % 2, b, t]
                if beginning == 0.0:
                    gradient[0][t] += math.exp(product - total)
                for s in range(states):
                    rest[i % 2, j, s] = _add(rest[i % 2, j, s], transitions[s, t] + product)
                    gradient[1][s, t] += math.exp(value[i, j, s] + product - total)
            for s in range(states):
                posterior = math.exp(value[i, j, s] + rest[i % 2, j, s] - total)
                if kinds[s] == BOTH and i > 0 and j > 0:
                    matched[i - 1, j - 1] += posterior
                    gradient[3][s, x[i - 1], y[j - 1]] += posterior
                elif kinds[s] == TARGET and i > 0:
                    gradient[4][s, x[i - 1]] += posterior
                elif kinds[s] == QUERY and j > 0:
                    gradient[4][s, y[j - 1]] += posterior
    return matched


@kernel
def log_trace(kinds, start, transitions, end, pair, gap, x, y, rows, columns, value, path):
    """Follow the likeliest path back through the table of `log_forward(..., best)`; see `kernels.viterbi.viterbi`."""
    n, m, states = x.size, y.size, kinds.size
    best, i, j, state = -math.inf, -1, -1, -1
    for row in range(n + 1):
        for column in range(m + 1):
            for s in range(states):
                ended = value[row, column, s] + end[s] + _log_weight(rows, columns, row, column, 2)
                if ended > best:
                    best, i, j, state = ended, row, column, s
    count = 0
    while state >= 0:
        path[count, 0], path[count, 1], path[count, 2] = i, j, state
        count += 1
        if kinds[state] != QUERY:
            i -= 1
        if kinds[state] != TARGET:
            j -= 1
        previous, largest = -1, start[state] + _log_weight(rows, columns, i, j, 0)
        for s in range(states):
            if value[i, j, s] + transitions[s, state] > largest:
                previous, largest = s, value[i, j, s] + transitions[s, state]
        state = previous
    return count
