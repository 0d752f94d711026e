"""The likeliest path of an HMM: largest sums of logarithms, sixteen sequences or pieces side by side.

The pass forward keeps values, not choices: the way back finds each choice again among a state's few sources. It keeps a
chunk of times, and one slot of every other chunk, over which it runs again when the way back comes to it. Pieces of one
sequence overlap, as in `kernels.hmm`: over the letters before it a piece forgets what it began with, and on its way
back over those after it, where it began.
(Viterbi, IEEE Trans. Inf. Theory 13:260, 1967; Durbin et al., Biological Sequence Analysis, section 3.2.)
"""

from __future__ import annotations

import math

from ._jit import kernel, part
from .hmm import longest, look_up, next_event
from .hmm_layout import FOUR
from .layout import LANES
from .simd import broadcast, copy, keep_apart, load, maximum, store, store_each


@part
def best_four(edges, source, at, target, to):
    """For every group of four states: the largest of its edges' weights plus the states at their other ends."""
    nothing = broadcast(-math.inf)
    for g in range(edges.first.size - 1):
        a, b, c, d = nothing, nothing, nothing, nothing
        for e in range(edges.first[g], edges.first[g + 1]):
            value = load(source, at + edges.other[e] * LANES)
            a = maximum(value + edges.weight[FOUR * e], a)
            b = maximum(value + edges.weight[FOUR * e + 1], b)
            c = maximum(value + edges.weight[FOUR * e + 2], c)
            d = maximum(value + edges.weight[FOUR * e + 3], d)
        store_each(target, to + g * FOUR * LANES, (a, b, c, d))


@part
def best_chunk(chain, pieces, batch, first_time, count, emitting, states, work, seams):
    """The best log-probability of every state at a chunk's times; slot 0 holds the time before it."""
    keep_apart()
    step = states * LANES
    event = next_event(pieces, batch, first_time - 1)
    for u in range(count):
        time, at = first_time + u, (u + 1) * step
        if time > 0:
            best_four(chain.incoming, work.forward, at - step, work.forward, at)
        else:
            for s in range(emitting):
                for lane in range(LANES):
                    known = pieces.first[batch * LANES + lane] == 0
                    work.forward[at + s * LANES + lane] = chain.start[s] if known else chain.guess[s]
        for s in range(emitting):
            likelihood = load(work.likelihood, (u * emitting + s) * LANES)
            store(work.forward, at + s * LANES, load(work.forward, at + s * LANES) + likelihood)
        edges = chain.silent_incoming
        for k in range(states - emitting):
            best = broadcast(-math.inf)
            for e in range(edges.first[k], edges.first[k + 1]):
                best = maximum(load(work.forward, at + edges.other[e] * LANES) + edges.weight[e], best)
            store(work.forward, at + (emitting + k) * LANES, best)
        if time == event:
            for lane in range(LANES):
                piece = batch * LANES + lane
                for side, moment in ((0, pieces.first[piece] - 1), (1, pieces.last[piece] - 1)):
                    if moment == time and pieces.seam[piece] >= 0:
                        for s in range(states):
                            seams[pieces.seam[piece], side, s] = work.forward[at + s * LANES + lane]
            event = next_event(pieces, batch, time)


@part
def best_source(singles, state, values, at, lane):
    """The source of the largest sum into `state`, the first of several; -1 if there is none."""
    source, best = -1, -math.inf
    for e in range(singles.first[state], singles.first[state + 1]):
        value = values[at + singles.other[e] * LANES + lane] + singles.weight[e]
        if value > best:
            source, best = singles.other[e], value
    return source


@part
def best_end(chain, emitting, values, at, lane, is_end):
    """The emitting state in which the likeliest path ends, or, in an inner piece, is."""
    state, best = -1, -math.inf
    for s in range(emitting):
        value = values[at + s * LANES + lane] + (chain.finish[s] if is_end else 0.0)
        if value > best:
            state, best = s, value
    return state


@part
def go_back(chain, singles, pieces, batch, first_time, count, emitting, states, work, path, ends, best):
    """Follow the choices of all lanes back over a chunk; work.which holds every lane's state, the time after."""
    keep_apart()
    step = states * LANES
    for lane in range(LANES):
        piece = batch * LANES + lane
        state, stop = work.which[lane], pieces.stop[piece]
        first, last = pieces.first[piece], pieces.last[piece]
        for time in range(min(first_time + count, stop) - 1, first_time - 1, -1):
            at = (time - first_time + 1) * step
            if time == stop - 1:
                state = best_end(chain, emitting, work.forward, at, lane, stop == last)
                if state >= 0:
                    best[piece] = work.forward[at + state * LANES + lane] + (
                        chain.finish[state] if stop == last else 0.0
                    )
            elif state >= 0:
                state = best_source(singles, state, work.forward, at, lane)
                while state >= emitting:
                    state = best_source(singles, state, work.forward, at, lane)
            if first <= time < last:
                path[pieces.begin[piece] + time] = state
            if time == first - 1:
                ends[piece, 0] = state
            if time == last - 1:
                ends[piece, 1] = state
        work.which[lane] = state


@kernel
def viterbi(chain, singles, letters, pieces, chunk, states, work, seams, path, ends, best):
    """Write the likeliest paths into `path`, -1 where there is none, and at both ends of every piece into `ends`.

    All weights and the table are logarithms. singles: edges into each state by itself, in the order of the slots.
    seams (seams, 2, states): values before the first and at the last counted time. ends (pieces, 3): states
    there, and a scratch column. best (pieces,): ln P of the likeliest path from the beginning of a piece to its stop.
    """
    emitting, step = chain.start.size, states * LANES
    for batch in range(pieces.begin.size // LANES):
        length = longest(pieces, batch)
        chunks = (length + chunk - 1) // chunk
        for s in range(states):
            store(work.forward, s * LANES, broadcast(-math.inf))
        for number in range(chunks):
            count = min(chunk, length - number * chunk)
            copy(work.forward, 0, work.saved, number * step, step)
            look_up(letters, emitting, pieces, batch, number * chunk, count, work)
            best_chunk(chain, pieces, batch, number * chunk, count, emitting, states, work, seams)
            if number < chunks - 1:
                copy(work.forward, count * step, work.forward, 0, step)
        for number in range(chunks - 1, -1, -1):
            count = min(chunk, length - number * chunk)
            if number < chunks - 1:
                copy(work.saved, number * step, work.forward, 0, step)
                look_up(letters, emitting, pieces, batch, number * chunk, count, work)
                best_chunk(chain, pieces, batch, number * chunk, count, emitting, states, work, seams)
            if number == chunks - 1:
                for lane in range(LANES):
                    work.which[lane] = -1
            else:
                for lane in range(LANES):
                    work.which[lane] = ends[batch * LANES + lane, 2]
            go_back(chain, singles, pieces, batch, number * chunk, count, emitting, states, work, path, ends, best)
            for lane in range(LANES):
                ends[batch * LANES + lane, 2] = work.which[lane]
