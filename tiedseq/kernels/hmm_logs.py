"""The HMM recursions in logarithms, one sequence at a time: slow, and right for any parameters whatsoever.

`kernels.hmm` needs what matters of a time within float64's range. Models with transitions or letters beyond that come
here, and what looks at single values of forward: sampling of paths. Arrays have one entry a state, emitting states
first, then silent ones in an order in which each follows those that lead to it. `values[t + 1]` is time t; `values[0]`,
before the first letter, holds silent states only.
"""

from __future__ import annotations

import math

from ._jit import kernel, part
from .logspace import log_add


@part
def log_sum_into(edges, s, values, t):
    """ln of the sum over the edges into state s, of sources at values[t]."""
    total = -math.inf
    for e in range(edges.first[s], edges.first[s + 1]):
        total = log_add(total, values[t, edges.other[e]] + edges.weight[e])
    return total


@kernel
def log_forward(incoming, start, emitting, table, rows, begin, length, values):
    """Forward into `values` (length + 1, states); return the first time at which nothing explains the letters, or -1.

    incoming: edges by their target, one state a group; weights, start and table are logarithms.
    """
    states = start.size
    for s in range(states):
        values[0, s] = -math.inf
    for s in range(emitting, states):
        values[0, s] = log_add(start[s], log_sum_into(incoming, s, values, 0))
    for t in range(length):
        row, alive = rows[begin + t], False
        for s in range(emitting):
            value = log_sum_into(incoming, s, values, t)
            if t == 0:
                value = log_add(value, start[s])
            values[t + 1, s] = value + table[row, s]
            alive = alive or values[t + 1, s] > -math.inf
        if not alive:
            return t
        for s in range(emitting, states):
            values[t + 1, s] = -math.inf
        for s in range(emitting, states):
            values[t + 1, s] = log_sum_into(incoming, s, values, t + 1)
    return -1


@kernel
def log_expect(incoming, outgoing, start, finish, emitting, table, rows, begin, length, values, later, total, sums):
    """Backward; add ln P's derivatives, times sums.weight, to `sums`. `values` is log_forward's, `total` ln P.

    outgoing: edges by their source. later (2, states) is a scratch array. finish: ln of the probability of ending
    from a state, through silent ones too.
    """
    states = start.size
    for s in range(states):
        later[0, s] = finish[s]
    for s in range(states):
        sums.end[s] += sums.weight * math.exp(values[length, s] - total)
    for e in range(incoming.first[emitting], incoming.first[states]):
        sums.edges[e] += sums.weight * math.exp(values[length, incoming.other[e]] + finish[sums.target[e]] - total)
    for t in range(length - 1, -1, -1):
        row = rows[begin + t]
        for s in range(emitting):
            sums.used[row, s] += sums.weight * math.exp(values[t + 1, s] + later[0, s] - total)
            later[1, s] = later[0, s] + table[row, s]
        for s in range(states - 1, emitting - 1, -1):
            later[1, s] = log_sum_into(outgoing, s, later, 1)
        for e in range(incoming.first[states]):
            sums.edges[e] += sums.weight * math.exp(values[t, incoming.other[e]] + later[1, sums.target[e]] - total)
        if t == 0:
            for s in range(states):
                sums.start[s] += sums.weight * math.exp(later[1, s] - total)
        for s in range(emitting):
            later[0, s] = log_sum_into(outgoing, s, later, 1)


@kernel
def sample_path(incoming, start, finish, emitting, length, values, uniform, path):
    """Draw a path of emitting states from the posterior, last state first; uniform (2 * length + states,) in [0, 1).

    Every step back draws a source in proportion to forward times the transition; silent states are passed through.
    """
    used, t = 0, length
    top, total = -math.inf, 0.0
    for s in range(emitting):
        top = max(top, values[length, s] + finish[s])
    for s in range(emitting):
        total += math.exp(values[length, s] + finish[s] - top)
    left, state = uniform[used] * total, -1
    used += 1
    for s in range(emitting):
        weight = math.exp(values[length, s] + finish[s] - top)
        if weight > 0.0:
            state = s
            left -= weight
            if left < 0.0:
                break
    path[length - 1] = state
    t = length - 1  # where the sources of the state are
    while t > 0:
        top, total, chosen = -math.inf, 0.0, -1
        for e in range(incoming.first[state], incoming.first[state + 1]):
            top = max(top, values[t, incoming.other[e]] + incoming.weight[e])
        for e in range(incoming.first[state], incoming.first[state + 1]):
            total += math.exp(values[t, incoming.other[e]] + incoming.weight[e] - top)
        left = uniform[used] * total
        used += 1
        for e in range(incoming.first[state], incoming.first[state + 1]):
            weight = math.exp(values[t, incoming.other[e]] + incoming.weight[e] - top)
            if weight > 0.0:
                chosen = incoming.other[e]
                left -= weight
                if left < 0.0:
                    break
        state = chosen
        if state < emitting:
            path[t - 1] = state
            t -= 1
    return used
