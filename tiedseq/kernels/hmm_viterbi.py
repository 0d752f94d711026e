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
from .hmm import begin_lanes, event_before, longest, look_up, next_event
from .hmm_layout import FOUR
from .layout import LANES
from .simd import broadcast, chosen, copy, keep_apart, load, prefer, store, store_choices, store_each

# ---- forward ------------------------------------------------------------------------------------------------------


@part
def best_four(edges, source, at, target, to, choices, note):
    """For every group of four states: the largest of its edges' weights plus their sources, and which that is.

    Where all are minus infinity it is state 0, so that every choice is a state.
    """
    for g in range(edges.first.size - 1):
        a = b = c = d = broadcast(-math.inf)
        p = q = r = s = chosen(0)
        for e in range(edges.first[g], edges.first[g + 1]):
            value, other = load(source, at + edges.other[e] * LANES), chosen(edges.other[e])
            a, p = prefer(value + edges.weight[FOUR * e], other, a, p)
            b, q = prefer(value + edges.weight[FOUR * e + 1], other, b, q)
            c, r = prefer(value + edges.weight[FOUR * e + 2], other, c, r)
            d, s = prefer(value + edges.weight[FOUR * e + 3], other, d, s)
        store_each(target, to + g * FOUR * LANES, (a, b, c, d))
        store_choices(choices, note + g * FOUR * LANES, (p, q, r, s))


@part
def best_silent(edges, emitting, states, work, at, note):
    """The same for silent states, whose sources are at the same time."""
    for k in range(states - emitting):
        best, choice = broadcast(-math.inf), chosen(0)
        for e in range(edges.first[k], edges.first[k + 1]):
            value = load(work.forward, at + edges.other[e] * LANES) + edges.weight[e]
            best, choice = prefer(value, chosen(edges.other[e]), best, choice)
        store(work.forward, at + (emitting + k) * LANES, best)
        store_choices(work.choices, note + (emitting + k) * LANES, (choice,))


@part
def note_best(chain, pieces, batch, time, emitting, states, slot, work, seams, ends, best):
    """Write down the values at a seam, and where a lane stops what the likeliest path is worth and its last state."""
    keep_apart()
    for lane in range(LANES):
        piece = batch * LANES + lane
        first, last, stop = pieces.first[piece], pieces.last[piece], pieces.stop[piece]
        for side, moment in ((0, first - 1), (1, last - 1)):
            if moment == time and pieces.seam[piece] >= 0:
                for s in range(states):
                    seams[pieces.seam[piece], side, s] = work.forward[slot + s * LANES + lane]
        if time == stop - 1:
            best[piece], ends[piece, 2] = -math.inf, 0
            for s in range(emitting):
                value = work.forward[slot + s * LANES + lane] + (chain.finish[s] if stop == last else 0.0)
                if value > best[piece]:
                    best[piece], ends[piece, 2] = value, s


@part
def best_block(chain, pieces, batch, first_time, count, emitting, states, note, work, seams, ends, best):
    """The best log-probability of every state at a block's times; slot 0 holds the time before it.

    The choices go to the chunk's slots from `note` on.
    """
    keep_apart()
    step = states * LANES
    event = next_event(pieces, batch, first_time - 1)
    for u in range(count):
        time, at = first_time + u, (u + 1) * step
        if time > 0:
            best_four(chain.incoming, work.forward, at - step, work.forward, at, work.choices, note + u * step)
        else:
            begin_lanes(chain, pieces, batch, emitting, work.forward, at)
        for s in range(emitting):
            likelihood = load(work.likelihood, (u * emitting + s) * LANES)
            store(work.forward, at + s * LANES, load(work.forward, at + s * LANES) + likelihood)
        best_silent(chain.silent_incoming, emitting, states, work, at, note + u * step)
        if time == event:
            note_best(chain, pieces, batch, time, emitting, states, at, work, seams, ends, best)
            event = next_event(pieces, batch, time)
    copy(work.forward, count * step, work.forward, 0, step)


@part
def best_chunk(chain, letters, pieces, batch, first_time, count, block, states, work, seams, ends, best):
    """A chunk, block by block; slot 0 of `forward` holds the time before it, and afterwards its last."""
    emitting = chain.start.size
    for first in range(0, count, block):
        time, size, note = first_time + first, min(block, count - first), first * states * LANES
        look_up(letters, emitting, pieces, batch, time, size, work)
        best_block(chain, pieces, batch, time, size, emitting, states, note, work, seams, ends, best)


# ---- back ---------------------------------------------------------------------------------------------------------


@part
def emitting_state(choices, slot, lane, state, emitting):
    """The state that emitted the letter before silent states were passed through, up to `state` at the same time."""
    while state >= emitting:
        state = choices[slot + state * LANES + lane]
    return state


@part
def turn_back(pieces, batch, time, slot, emitting, work, ends):
    """Begin lanes that stop after `time`, note states at the ends of what counts, and settle what counts from here."""
    keep_apart()
    for lane in range(LANES):
        piece = batch * LANES + lane
        first, last = pieces.first[piece], pieces.last[piece]
        if time == pieces.stop[piece] - 1:
            work.at[lane] = ends[piece, 2]
        if time == last - 1:
            ends[piece, 1] = emitting_state(work.choices, slot, lane, work.at[lane], emitting)
        if time == first - 1:
            ends[piece, 0] = emitting_state(work.choices, slot, lane, work.at[lane], emitting)
        work.origin[lane] = pieces.begin[piece] if first <= time < last else -1


@part
def go_back(pieces, batch, first_time, count, emitting, states, names, work, path, ends):
    """Follow the choices of all lanes back over a chunk; work.at holds every lane's state at the first time after.

    The lanes' steps do not wait for each other, so the inner loop is over lanes.
    """
    keep_apart()
    step = states * LANES
    event = event_before(pieces, batch, first_time + count)
    for u in range(count - 1, -1, -1):
        time, slot = first_time + u, u * step
        if time == event:
            turn_back(pieces, batch, time, slot, emitting, work, ends)
            event = event_before(pieces, batch, time)
        for lane in range(LANES):
            state = emitting_state(work.choices, slot, lane, work.at[lane], emitting)
            if work.origin[lane] >= 0:
                path[work.origin[lane] + time] = names[state]
            if time > 0:
                work.at[lane] = work.choices[slot + state * LANES + lane]


@kernel
def viterbi(chain, letters, pieces, chunk, block, states, names, work, seams, path, ends, best):
    """Write the likeliest paths into `path`, as `names` (emitting,) of the states; where there is none, any states.

    All weights and the table are logarithms.
    seams (seams, 2, states): values before the first and at the last counted time. ends (pieces, 3): states at these
    times and at the stop. best (pieces,): ln P of the likeliest path from the beginning of a piece to its stop.
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
            best_chunk(chain, letters, pieces, batch, number * chunk, count, block, states, work, seams, ends, best)
        for lane in range(LANES):
            work.at[lane], work.origin[lane] = 0, -1
        for number in range(chunks - 1, -1, -1):
            count = min(chunk, length - number * chunk)
            if number < chunks - 1:
                copy(work.saved, number * step, work.forward, 0, step)
                best_chunk(chain, letters, pieces, batch, number * chunk, count, block, states, work, seams, ends, best)
            go_back(pieces, batch, number * chunk, count, emitting, states, names, work, path, ends)
