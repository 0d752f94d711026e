"""The likeliest path of an HMM: largest sums of logarithms, sixteen sequences or pieces side by side.

The pass forward keeps, for a chunk of times, where every state's largest sum came from, and of every other chunk the
values before it, from which it runs again when the way back comes there. Pieces of one sequence overlap, as in
`kernels.hmm`: over the letters before it a piece forgets what it began with, and on its way back over those after it,
where it began.
(Viterbi, IEEE Trans. Inf. Theory 13:260, 1967; Durbin et al., Biological Sequence Analysis, section 3.2.)
"""

from __future__ import annotations

import math

from ._jit import kernel, part
from .hmm import begin_lanes, longest, look_up, next_event
from .hmm_layout import FOUR
from .layout import LANES
from .simd import broadcast, copy, keep_apart, load, prefer, store, store_each


@part
def best_four(edges, source, at, target, to, choices, note):
    """For every group of four states: the largest of its edges' weights plus their sources, and which that is."""
    for g in range(edges.first.size - 1):
        a = b = c = d = broadcast(-math.inf)
        p = q = r = s = broadcast(-1.0)
        for e in range(edges.first[g], edges.first[g + 1]):
            value, other = load(source, at + edges.other[e] * LANES), float(edges.other[e])
            a, p = prefer(value + edges.weight[FOUR * e], other, a, p)
            b, q = prefer(value + edges.weight[FOUR * e + 1], other, b, q)
            c, r = prefer(value + edges.weight[FOUR * e + 2], other, c, r)
            d, s = prefer(value + edges.weight[FOUR * e + 3], other, d, s)
        store_each(target, to + g * FOUR * LANES, (a, b, c, d))
        store_each(choices, note + g * FOUR * LANES, (p, q, r, s))


@part
def best_chunk(chain, pieces, batch, first_time, count, emitting, states, work, seams):
    """The best log-probability of every state at a chunk's times; slot 0 holds the time before it."""
    keep_apart()
    step = states * LANES
    event = next_event(pieces, batch, first_time - 1)
    for u in range(count):
        time, at = first_time + u, (u + 1) * step
        if time > 0:
            best_four(chain.incoming, work.forward, at - step, work.forward, at, work.onward, u * step)
        else:
            begin_lanes(chain, pieces, batch, emitting, work.forward, at)
        for s in range(emitting):
            likelihood = load(work.likelihood, (u * emitting + s) * LANES)
            store(work.forward, at + s * LANES, load(work.forward, at + s * LANES) + likelihood)
        edges = chain.silent_incoming
        for k in range(states - emitting):
            best, choice = broadcast(-math.inf), broadcast(-1.0)
            for e in range(edges.first[k], edges.first[k + 1]):
                value = load(work.forward, at + edges.other[e] * LANES) + edges.weight[e]
                best, choice = prefer(value, float(edges.other[e]), best, choice)
            store(work.forward, at + (emitting + k) * LANES, best)
            store(work.onward, u * step + (emitting + k) * LANES, choice)
        if time == event:
            for lane in range(LANES):
                piece = batch * LANES + lane
                for side, moment in ((0, pieces.first[piece] - 1), (1, pieces.last[piece] - 1)):
                    if moment == time and pieces.seam[piece] >= 0:
                        for s in range(states):
                            seams[pieces.seam[piece], side, s] = work.forward[at + s * LANES + lane]
            event = next_event(pieces, batch, time)


@part
def end_lane(chain, emitting, values, at, lane, is_end, best, piece):
    """Return the emitting state in which the likeliest path ends, or, in an inner piece, is; note what it is worth."""
    state, top = -1, -math.inf
    for s in range(emitting):
        value = values[at + s * LANES + lane] + (chain.finish[s] if is_end else 0.0)
        if value > top:
            state, top = s, value
    best[piece] = top
    return state


@part
def go_back(chain, pieces, batch, first_time, count, emitting, states, work, path, ends, best):
    """Follow the choices of all lanes back over a chunk; ends[:, 2] holds every lane's state at the first time after.

    Choices at a time are of sources at the time before, those of silent states of sources at the same time. The lanes'
    steps do not wait for each other, so the inner loop is over lanes.
    """
    keep_apart()
    step, choices, values = states * LANES, work.onward, work.forward
    begin, first, last, stop = pieces.begin, pieces.first, pieces.last, pieces.stop
    for u in range(count - 1, -1, -1):
        time = first_time + u
        for lane in range(LANES):
            piece = batch * LANES + lane
            state = ends[piece, 2]
            while state >= emitting:
                state = int(choices[u * step + state * LANES + lane])
            if time == stop[piece] - 1:
                is_end = stop[piece] == last[piece]
                state = end_lane(chain, emitting, values, (u + 1) * step, lane, is_end, best, piece)
            if first[piece] <= time < last[piece]:
                path[begin[piece] + time] = state
            if time == first[piece] - 1:
                ends[piece, 0] = state
            if time == last[piece] - 1:
                ends[piece, 1] = state
            if state >= 0 and time > 0:
                state = int(choices[u * step + state * LANES + lane])
            ends[piece, 2] = state


@kernel
def viterbi(chain, letters, pieces, chunk, states, work, seams, path, ends, best):
    """Write the likeliest paths into `path`, -1 where there is none, and at both ends of every piece into `ends`.

    All weights and the table are logarithms.
    seams (seams, 2, states): values before the first and at the last counted time. ends (pieces, 3): states there, and
    a scratch column. best (pieces,): ln P of the likeliest path from the beginning of a piece to its stop.
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
            go_back(chain, pieces, batch, number * chunk, count, emitting, states, work, path, ends, best)
