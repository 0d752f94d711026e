"""Forward and backward for HMMs: sixteen sequences, or pieces of one, side by side, each in its own lane.

Forward is divided by a power of two every `period` letters, lane by lane, and backward by the same, so that their
product is the posterior wherever a lane's total is 1. Forward keeps its values of a chunk of times; of all other times
it keeps one slot a chunk, and runs again over a chunk when backward comes to it. What is counted are products of two
histories, summed over times and lanes: that is done a chunk at a time, eight sums in registers.
(Rabiner, Proc. IEEE 77:257, 1989, section V.A; Durbin et al., Biological Sequence Analysis, section 3.6.)
"""

from __future__ import annotations

import numpy as np

from ._jit import kernel, part
from .hmm_layout import FOUR, STEEPEST, TOTAL, TOTAL_BEFORE, UNIT, UNIT_BEFORE
from .layout import LANES, NOTHING
from .rows import add_rows, gather_rows
from .simd import (
    broadcast,
    clear,
    copy,
    exponents_of,
    keep_apart,
    load,
    load_each,
    maximum,
    power_of_two,
    store,
    store_each,
)

NEVER = 1 << 62


# ---- one time step ------------------------------------------------------------------------------------------------


@part
def sum_four(edges, source, at, target, to):
    """For every group of four states: the sum of its edges' weights times the states at their other ends."""
    for g in range(edges.first.size - 1):
        a, b, c, d = broadcast(0.0), broadcast(0.0), broadcast(0.0), broadcast(0.0)
        for e in range(edges.first[g], edges.first[g + 1]):
            value = load(source, at + edges.other[e] * LANES)
            a = a + value * edges.weight[FOUR * e]
            b = b + value * edges.weight[FOUR * e + 1]
            c = c + value * edges.weight[FOUR * e + 2]
            d = d + value * edges.weight[FOUR * e + 3]
        store_each(target, to + g * FOUR * LANES, (a, b, c, d))


@part
def sum_one(edges, g, source, at):
    """The same for group g of a single state."""
    total = broadcast(0.0)
    for e in range(edges.first[g], edges.first[g + 1]):
        total = total + load(source, at + edges.other[e] * LANES) * edges.weight[e]
    return total


@part
def scale(values, at, count, factor):
    for s in range(count):
        store(values, at + s * LANES, load(values, at + s * LANES) * factor)


@part
def largest(values, at, count):
    top = broadcast(0.0)
    for s in range(count):
        top = maximum(top, load(values, at + s * LANES))
    return top


# ---- observations -------------------------------------------------------------------------------------------------


@part
def look_up(letters, emitting, pieces, batch, first_time, count, work):
    """Write the likelihoods of a chunk's letters; zeros where a lane has stopped."""
    keep_apart()
    none = letters.table.size - emitting
    for u in range(count):
        for lane in range(LANES):
            time, piece = first_time + u, batch * LANES + lane
            row = none
            if time < pieces.stop[piece]:
                row = np.int64(letters.rows[pieces.begin[piece] + time]) * emitting
            work.which[u * LANES + lane] = row
        for g in range(0, emitting, FOUR):
            four = gather_rows(letters.table, work.which, u * LANES, g)
            store_each(work.likelihood, (u * emitting + g) * LANES, four)


@part
def count_letters(emitting, count, work, used):
    """Add the posterior of a chunk's letters to their rows."""
    keep_apart()
    for u in range(count):
        for g in range(0, emitting, FOUR):
            four = load_each(work.posterior, (u * emitting + g) * LANES, LANES, (0, 0, 0, 0))
            add_rows(used, work.which, u * LANES, g, four)


# ---- forward ------------------------------------------------------------------------------------------------------


@part
def next_event(pieces, batch, time):
    """The first time after `time` at which something happens to a lane: its counting starts or is over, or it stops."""
    following = NEVER
    for lane in range(LANES):
        piece = batch * LANES + lane
        for moment in (pieces.first[piece] - 1, pieces.last[piece] - 1, pieces.last[piece], pieces.stop[piece] - 1):
            if time < moment < following:
                following = moment
    return following


@part
def note_forward(chain, pieces, batch, time, emitting, states, slot, work, sums):
    """Write down totals where a lane's counting starts or ends, and stop what must not be counted."""
    keep_apart()
    for lane in range(LANES):
        piece = batch * LANES + lane
        first, last, stop = pieces.first[piece], pieces.last[piece], pieces.stop[piece]
        if time == last - 1:
            total = 0.0
            for s in range(states):
                value = work.forward[slot + s * LANES + lane]
                if s < emitting:
                    total += value * (chain.finish[s] if stop == last else 1.0)
                if pieces.seam[piece] >= 0:
                    sums.seams[pieces.seam[piece], 2, s] = value
            if total < 1e-290:  # digits are lost
                total = 0.0
            sums.summary[piece, TOTAL], sums.summary[piece, UNIT] = total, work.unit[lane]
        if time == first - 1:
            total = 0.0
            for s in range(states):
                value = work.forward[slot + s * LANES + lane]
                total += value if s < emitting else 0.0
                sums.seams[pieces.seam[piece], 0, s] = value
            sums.summary[piece, TOTAL_BEFORE], sums.summary[piece, UNIT_BEFORE] = total, work.unit[lane]
        if time == last:  # the letters from here on are another piece's
            for s in range(states):
                work.forward[slot + s * LANES + lane] = 0.0


@part
def begin_lanes(chain, pieces, batch, emitting, target, at):
    """What forward is at time 0 before the letter: the start of a sequence, or the guess that a warm-up begins with."""
    for s in range(emitting):
        for lane in range(LANES):
            is_start = pieces.first[batch * LANES + lane] == 0
            target[at + s * LANES + lane] = chain.start[s] if is_start else chain.guess[s]


@part
def forward_chunk(chain, period, pieces, batch, first_time, count, emitting, states, work, sums):
    """Forward over a chunk; slot 0 holds the time before it."""
    keep_apart()
    step = states * LANES
    event = next_event(pieces, batch, first_time - 1)
    renewals = (first_time + period - 1) // period
    for u in range(count):
        time, at = first_time + u, (u + 1) * step
        if time > 0:
            sum_four(chain.incoming, work.forward, at - step, work.forward, at)
        else:
            begin_lanes(chain, pieces, batch, emitting, work.forward, at)
        for s in range(emitting):
            likelihood = load(work.likelihood, (u * emitting + s) * LANES)
            store(work.forward, at + s * LANES, load(work.forward, at + s * LANES) * likelihood)
        if time == renewals * period:
            exponents = exponents_of(largest(work.forward, at, emitting))
            store(work.exponents, renewals * LANES, exponents)
            renewals += 1
            store(work.unit, 0, load(work.unit, 0) + exponents)
            known = power_of_two(exponents + 2022.0) * 2.0**-1000  # 0 where even the largest has lost digits, else 1
            scale(work.forward, at, emitting, power_of_two(exponents * -1.0) * known)
        for k in range(states - emitting):
            store(work.forward, at + (emitting + k) * LANES, sum_one(chain.silent_incoming, k, work.forward, at))
        if time == event:
            note_forward(chain, pieces, batch, time, emitting, states, at, work, sums)
            event = next_event(pieces, batch, time)


@part
def longest(pieces, batch):
    length = 0
    for lane in range(LANES):
        length = max(length, pieces.stop[batch * LANES + lane])
    return length


@kernel
def forward(chain, letters, pieces, period, chunk, states, work, sums):
    """Forward over all pieces, into sums.summary (and sums.seams)."""
    emitting, step = chain.start.size, states * LANES
    for batch in range(pieces.begin.size // LANES):
        length = longest(pieces, batch)
        clear(work.unit, 0, LANES)
        clear(work.forward, 0, step)
        for first_time in range(0, length, chunk):
            count = min(chunk, length - first_time)
            look_up(letters, emitting, pieces, batch, first_time, count, work)
            forward_chunk(chain, period, pieces, batch, first_time, count, emitting, states, work, sums)
            copy(work.forward, count * step, work.forward, 0, step)


# ---- backward -----------------------------------------------------------------------------------------------------


@part
def note_backward(chain, pieces, batch, time, emitting, states, slot, work, sums):
    """Begin lanes that stop after `time`; where one's counting ends, let its posterior sum to its weight."""
    keep_apart()
    for lane in range(LANES):
        piece = batch * LANES + lane
        first, last, stop = pieces.first[piece], pieces.last[piece], pieces.stop[piece]
        if time == stop - 1:
            for s in range(states):
                work.backward[s * LANES + lane] = chain.finish[s] if stop == last else 1.0
        if time == last - 1:
            total = 0.0
            for s in range(emitting):
                total += work.forward[slot + s * LANES + lane] * work.backward[s * LANES + lane]
            explained = total > 0.0 and sums.summary[piece, TOTAL] > 0.0
            factor = pieces.weight[piece] / total if explained else 0.0
            for s in range(states):
                if pieces.seam[piece] >= 0:
                    sums.seams[pieces.seam[piece], 3, s] = work.backward[s * LANES + lane]
                work.backward[s * LANES + lane] *= factor
                if stop == last:
                    sums.finished[s * LANES + lane] += work.forward[slot + s * LANES + lane] * factor
        if time == first - 1:
            for s in range(states):
                sums.seams[pieces.seam[piece], 1, s] = work.backward[s * LANES + lane]
                work.backward[s * LANES + lane] = 0.0


@part
def forget_forward(pieces, batch, time, u, states, work):
    """Leave the transition into `last` to the piece that counts from there on: its posterior is scaled."""
    for lane in range(LANES):
        piece = batch * LANES + lane
        last = pieces.last[piece]
        if last < pieces.stop[piece] and (time == last - 1 or (time == last and u == 0)):
            for s in range(states):
                work.forward[((last - time + u) * states + s) * LANES + lane] = 0.0


@part
def event_before(pieces, batch, time):
    """The last time before `time` at which something happens to a lane of backward."""
    previous = -1
    for lane in range(LANES):
        piece = batch * LANES + lane
        for moment in (pieces.first[piece] - 1, pieces.last[piece] - 1, pieces.last[piece], pieces.stop[piece] - 1):
            if previous < moment < time:
                previous = moment
    return previous


@part
def renewal(pieces, batch, time, number, emitting, work, sums):
    """What backward is divided by on its way past `time`: forward's divisor, or its own where forward has ended."""
    top = largest(work.backward, 0, emitting)
    store(work.scratch, 0, top)
    for lane in range(LANES):
        piece = batch * LANES + lane
        if pieces.first[piece] <= time < pieces.last[piece] and work.scratch[lane] > sums.summary[piece, STEEPEST]:
            sums.summary[piece, STEEPEST] = work.scratch[lane]
    store(work.scratch, 0, exponents_of(top))
    for lane in range(LANES):
        exponent = work.exponents[number * LANES + lane]
        if exponent > NOTHING:
            work.scratch[lane] = exponent
    return power_of_two(load(work.scratch, 0) * -1.0)


@part
def backward_chunk(chain, period, pieces, batch, first_time, count, emitting, states, work, sums):
    """Backward over a chunk that forward has just been over; work.backward enters and leaves."""
    keep_apart()
    step = states * LANES
    event = event_before(pieces, batch, first_time + count)
    renewals = (first_time + count - 1) // period
    for u in range(count - 1, -1, -1):
        time, at = first_time + u, (u + 1) * step
        noting = time == event
        if noting:
            note_backward(chain, pieces, batch, time, emitting, states, at, work, sums)
            event = event_before(pieces, batch, time)
        factor = broadcast(1.0)
        if time == renewals * period:
            factor = renewal(pieces, batch, time, renewals, emitting, work, sums)
            renewals -= 1
        for s in range(emitting):
            value, here = load(work.backward, s * LANES), (u * emitting + s) * LANES
            store(work.onward, u * step + s * LANES, value * load(work.likelihood, here) * factor)
            store(work.posterior, here, value * load(work.forward, at + s * LANES))
        if noting:
            forget_forward(pieces, batch, time, u, states, work)
        for k in range(states - emitting - 1, -1, -1):
            silent = sum_one(chain.silent_outgoing, k, work.onward, u * step)
            store(work.onward, u * step + (emitting + k) * LANES, silent)
            store(work.backward, (emitting + k) * LANES, silent)
        sum_four(chain.outgoing, work.onward, u * step, work.backward, 0)


# ---- counts -------------------------------------------------------------------------------------------------------


@part
def count_transitions(edges, states, count, work, sums):
    """Add forward[t - 1] * onward[t] of every edge into emitting states: two edges, four states at once."""
    keep_apart()
    step = states * LANES
    for g in range(edges.first.size - 1):
        target = g * FOUR * LANES
        for e in range(edges.first[g], edges.first[g + 1], 2):
            at, x, y = e * FOUR * LANES, edges.other[e] * LANES, edges.other[e + 1] * LANES
            a, b, c, d = load_each(sums.incoming, at, LANES, (0, 0, 0, 0))
            p, q, r, s = load_each(sums.incoming, at + FOUR * LANES, LANES, (0, 0, 0, 0))
            for u in range(count):
                i, j, k, m = load_each(work.onward, u * step + target, LANES, (0, 0, 0, 0))
                one, two = load(work.forward, u * step + x), load(work.forward, u * step + y)
                a, b, c, d = a + one * i, b + one * j, c + one * k, d + one * m
                p, q, r, s = p + two * i, q + two * j, r + two * k, s + two * m
            store_each(sums.incoming, at, (a, b, c, d))
            store_each(sums.incoming, at + FOUR * LANES, (p, q, r, s))


@part
def count_silent_transitions(edges, emitting, states, count, work, sums):
    """The same for edges into silent states."""
    step = states * LANES
    for k in range(states - emitting):
        for e in range(edges.first[k], edges.first[k + 1]):
            total = load(sums.silent_incoming, e * LANES)
            for u in range(count):
                source = load(work.forward, u * step + edges.other[e] * LANES)
                total = total + source * load(work.onward, u * step + (emitting + k) * LANES)
            store(sums.silent_incoming, e * LANES, total)


@part
def count_starts(pieces, batch, emitting, work, sums):
    """Add the derivatives by `start` of the lanes in which a sequence begins; the chunk is the first."""
    for s in range(emitting):
        for lane in range(LANES):
            if pieces.first[batch * LANES + lane] == 0:
                sums.began[s * LANES + lane] += work.onward[s * LANES + lane]


@kernel
def expect(chain, letters, pieces, period, chunk, states, work, sums):
    """Forward and backward over all pieces, into `sums`."""
    emitting, step = chain.start.size, states * LANES
    for batch in range(pieces.begin.size // LANES):
        length = longest(pieces, batch)
        chunks = (length + chunk - 1) // chunk
        clear(work.unit, 0, LANES)
        clear(work.forward, 0, step)
        for number in range(chunks):
            count = min(chunk, length - number * chunk)
            copy(work.forward, 0, work.saved, number * (step + LANES), step)
            copy(work.unit, 0, work.saved, number * (step + LANES) + step, LANES)
            look_up(letters, emitting, pieces, batch, number * chunk, count, work)
            forward_chunk(chain, period, pieces, batch, number * chunk, count, emitting, states, work, sums)
            if number < chunks - 1:
                copy(work.forward, count * step, work.forward, 0, step)
        clear(work.backward, 0, step)
        for number in range(chunks - 1, -1, -1):
            count = min(chunk, length - number * chunk)
            if number < chunks - 1:
                copy(work.saved, number * (step + LANES), work.forward, 0, step)
                copy(work.saved, number * (step + LANES) + step, work.unit, 0, LANES)
                look_up(letters, emitting, pieces, batch, number * chunk, count, work)
                forward_chunk(chain, period, pieces, batch, number * chunk, count, emitting, states, work, sums)
            backward_chunk(chain, period, pieces, batch, number * chunk, count, emitting, states, work, sums)
            count_transitions(chain.incoming, states, count, work, sums)
            count_silent_transitions(chain.silent_incoming, emitting, states, count, work, sums)
            count_letters(emitting, count, work, sums.used)
            if number == 0:
                count_starts(pieces, batch, emitting, work, sums)


@kernel
def sum_scales(log_scale, rows, ends, totals):
    """totals[k] = the sum of log_scale[rows[n]] over the letters of sequence k.

    A block at a time, so that rounding does not add up; four partial sums hide the latency.
    """
    for k in range(totals.size):
        total = 0.0
        for first in range(ends[k], ends[k + 1], 4096):
            last = min(first + 4096, ends[k + 1])
            a, b, c, d = 0.0, 0.0, 0.0, 0.0
            even = first + (last - first) // 4 * 4
            for n in range(first, even, 4):
                a += log_scale[rows[n]]
                b += log_scale[rows[n + 1]]
                c += log_scale[rows[n + 2]]
                d += log_scale[rows[n + 3]]
            for n in range(even, last):
                a += log_scale[rows[n]]
            total += (a + b) + (c + d)
        totals[k] = total


@kernel
def count_rows(rows, ends, counts):
    """counts[k, r] += the number of letters of sequence k that have row r."""
    for k in range(counts.shape[0]):
        for n in range(ends[k], ends[k + 1]):
            counts[k, rows[n]] += 1.0
