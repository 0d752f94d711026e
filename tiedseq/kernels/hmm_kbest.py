"""The k likeliest paths of an HMM.

(Seshadri and Sundberg, List Viterbi decoding, IEEE Trans. Commun. 42:313, 1994.)

Every state keeps its k best ways, in falling order, each with the state and the rank at its source.
"""

from __future__ import annotations

import math

from ._jit import kernel, part


@part
def offer(value, source, rank, values, sources, ranks, t, s):
    """Insert a way into the sorted list of a state; return whether it was good enough."""
    k = values.shape[2]
    if not value > values[t, s, k - 1]:
        return False
    place = k - 1
    while place > 0 and value > values[t, s, place - 1]:
        values[t, s, place] = values[t, s, place - 1]
        sources[t, s, place], ranks[t, s, place] = sources[t, s, place - 1], ranks[t, s, place - 1]
        place -= 1
    values[t, s, place], sources[t, s, place], ranks[t, s, place] = value, source, rank
    return True


@part
def offer_all(incoming, s, values, sources, ranks, before, t):
    """Offer state s at values[t] every way of every source at values[before]."""
    for e in range(incoming.first[s], incoming.first[s + 1]):
        source, rank = incoming.other[e], 0
        while rank < values.shape[2]:
            value = values[before, source, rank] + incoming.weight[e]
            if value == -math.inf or not offer(value, source, rank, values, sources, ranks, t, s):
                break
            rank += 1


@kernel
def best_lists(incoming, start, emitting, table, rows, begin, length, values, sources, ranks):
    """Fill values, sources and ranks (length + 1, states, k); values[t + 1] is time t, values[0] is before it.

    A source of -1 is the start. `start` and table are logarithms, states in the order of `kernels.hmm_logs`.
    """
    states, k = values.shape[1], values.shape[2]
    for t in range(length + 1):
        for s in range(states):
            for r in range(k):
                values[t, s, r] = -math.inf
    for s in range(emitting, states):
        offer(start[s], -1, 0, values, sources, ranks, 0, s)
        offer_all(incoming, s, values, sources, ranks, 0, 0)
    for t in range(length):
        row = rows[begin + t]
        for s in range(emitting):
            if t == 0:
                offer(start[s], -1, 0, values, sources, ranks, 1, s)
            offer_all(incoming, s, values, sources, ranks, t, t + 1)
            for r in range(k):
                values[t + 1, s, r] += table[row, s]
        for s in range(emitting, states):
            offer_all(incoming, s, values, sources, ranks, t + 1, t + 1)


@kernel
def follow(emitting, length, sources, ranks, state, rank, path):
    """Write the emitting states of the way that ends in the list of `state` at `rank`."""
    t = length
    while state >= 0:
        if state < emitting:
            path[t - 1] = state
        source, before = sources[t, state, rank], ranks[t, state, rank]
        if state < emitting:
            t -= 1
        state, rank = source, before
