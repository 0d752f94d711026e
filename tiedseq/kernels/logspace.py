"""The pair-HMM recursions in logarithms, cell by cell: slow, and right for any parameters whatsoever.

`kernels.pairhmm` needs values of neighbouring cells within float64's range of each other. Models with gaps that are
impossible, or dearer than that, come here. The recursion is the same; sums are taken relative to their largest term.
"""

from __future__ import annotations

import math

from ._jit import kernel, part

BOTH, TARGET, QUERY = range(3)
_LARGEST = 700.0  # ln of the largest derivative that is added: a float64, and so are thousands of them


@part
def log_add(a, b):
    """ln(exp a + exp b)"""
    if a < b:
        a, b = b, a
    return a if b == -math.inf else a + math.log1p(math.exp(b - a))


@part
def _larger(a, b):
    return max(a, b)


@part
def _derivative(log):
    return math.exp(min(log, _LARGEST))


@part
def _emission(kind, pair, gap, s, x, y, i, j):
    if kind == BOTH:
        return pair[s, x[i - 1], y[j - 1]]
    return gap[s, x[i - 1]] if kind == TARGET else gap[s, y[j - 1]]


@part
def _log_weight(rows, columns, i, j, k):
    weight = rows[i, k] * columns[j, k] + rows[i, k + 1] * columns[j, k + 1]
    return 0.0 if weight > 0.0 else -math.inf


@part
def _entering(join, start, transitions, beginning, value, row, column, t):
    """ln of what enters state t from a cell, from other states or from the start."""
    entering = start[t] + beginning
    for s in range(start.size):
        entering = join(entering, value[row, column, s] + transitions[s, t])
    return entering


@part
def _fill(join, kinds, start, transitions, end, pair, gap, x, y, rows, columns, value):
    """Fill in every state's ln v per cell, terms put together by `join`; return what has ended, likewise."""
    n, m, states, held = x.size, y.size, kinds.size, value.shape[0]
    total = -math.inf
    for i in range(n + 1):
        for j in range(m + 1):
            for t in range(states):
                a, b = i - (kinds[t] != QUERY), j - (kinds[t] != TARGET)
                value[i % held, j, t] = -math.inf
                if a >= 0 and b >= 0:
                    beginning = _log_weight(rows, columns, a, b, 0)
                    entering = _entering(join, start, transitions, beginning, value, a % held, b, t)
                    value[i % held, j, t] = entering + _emission(kinds[t], pair, gap, t, x, y, i, j)
            ending = _log_weight(rows, columns, i, j, 2)
            for s in range(states):
                total = join(total, value[i % held, j, s] + end[s] + ending)
    return total


@kernel
def log_forward(kinds, start, transitions, end, pair, gap, x, y, rows, columns, value):
    """Return ln of the total over all alignments; fill in every state's ln v per cell.

    kinds (S,): BOTH, TARGET, QUERY. All parameters are logarithms; pair (S, symbols, symbols), gap (S, symbols).
    rows (n + 1, 4), columns (m + 1, 4): where alignments may start and end, as in `kernels.pairhmm`.
    value (n + 1, m + 1, S), or with two rows, which are used in turn.
    """
    return _fill(log_add, kinds, start, transitions, end, pair, gap, x, y, rows, columns, value)


@kernel
def log_backward(
    kinds,
    start,
    transitions,
    end,
    pair,
    gap,
    x,
    y,
    rows,
    columns,
    value,
    total,
    background,
    rest,
    matched,
    weight,
    sums,
):
    """Add what backward finds, times `weight`: the pairs of one pair of sequences, and its derivatives.

    value (n + 1, m + 1, S): `log_forward`'s, all rows. total: the ln that its terms are divided by.
    background (symbols,): ln of what emissions are divided by. rest (2, m + 1, S): working memory.
    matched (n, m): takes P(x_i aligned to y_j) as it is, without the weight.
    sums: a tuple of arrays like start, transitions, end, pair and gap, which take d ln P / d parameter (not its
    logarithm; of emissions before that division), and one (symbols,) that takes how many of each symbol some state
    emits.
    """
    n, m, states = x.size, y.size, kinds.size
    for i in range(n, -1, -1):
        for j in range(m, -1, -1):
            beginning = _log_weight(rows, columns, i, j, 0)
            ending = _log_weight(rows, columns, i, j, 2)
            for s in range(states):
                rest[i % 2, j, s] = end[s] + ending
                if ending == 0.0:
                    sums[2][s] += weight * _derivative(value[i, j, s] - total)
            for t in range(states):
                a, b = i + (kinds[t] != QUERY), j + (kinds[t] != TARGET)
                if a > n or b > m:
                    continue
                emission, after = _emission(kinds[t], pair, gap, t, x, y, a, b), rest[a % 2, b, t]
                product = emission + after
                if emission > -math.inf:
                    entered = value[a, b, t] - emission
                else:
                    entered = _entering(log_add, start, transitions, beginning, value, i, j, t)
                if beginning == 0.0:
                    sums[0][t] += weight * _derivative(product - total)
                for s in range(states):
                    rest[i % 2, j, s] = log_add(rest[i % 2, j, s], transitions[s, t] + product)
                    sums[1][s, t] += weight * _derivative(value[i, j, s] + product - total)
                around = entered + after - total
                probability = math.exp(around + emission)
                if a > i:
                    around -= background[x[i]]
                if b > j:
                    around -= background[y[j]]
                derivative = weight * _derivative(around)  # the emission itself may be 0, and its derivative not
                if kinds[t] == BOTH:
                    matched[i, j] += probability
                    sums[3][t, x[i], y[j]] += derivative
                elif kinds[t] == TARGET:
                    sums[4][t, x[i]] += derivative
                else:
                    sums[4][t, y[j]] += derivative
                if a > i:
                    sums[5][x[i]] += weight * probability
                if b > j:
                    sums[5][y[j]] += weight * probability


@kernel
def log_viterbi(kinds, start, transitions, end, pair, gap, x, y, rows, columns, value, path):
    """Write the likeliest path's cells, last first, as (i, j, state); return how many. Arguments as in `log_forward`.

    The cells are those in which its states leave off: i and j letters are emitted.
    """
    _fill(_larger, kinds, start, transitions, end, pair, gap, x, y, rows, columns, value)
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
