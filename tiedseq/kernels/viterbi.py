"""The likeliest path: back through the chunks that it crosses, after a forward that took the largest terms."""

from __future__ import annotations

import math

from ._jit import kernel, part
from .layout import LANES, WEIGHTS
from .pairhmm import step_size, two_to
from .simd import any_reaches, broadcast, load, load_each, power_of_two, store
from .tuples import dots, products, weighted_sum


@kernel
def likeliest_end(model, arrays, plan, m, index, chunk, work, best):
    """Look in a recalled chunk for a cell and state whose ending is likelier than best[0] (log2).

    Writes log2 of the probability, i, j and the state to `best`. `model.best` is not None.
    """
    pairs, gaps_x = len(model.pairs), len(model.deletions)
    wide, width = len(model.letters) * pairs, m + 2 * LANES
    stride, states = (wide + gaps_x + WEIGHTS) * LANES, pairs + gaps_x + len(model.insertions)
    last = (chunk + 1) * plan.chunk if (chunk + 1) * plan.chunk < m + LANES else m + LANES
    for tau in range(chunk * plan.chunk, last):
        base, place = m - tau + LANES, (tau - chunk * plan.chunk) * step_size(model, plan.height)
        letters = load_each(work.columns, base, width, model.letters)
        gap_y = load_each(work.columns, base + len(model.letters) * width, width, model.insertions)
        weights_at = base + (len(model.letters) + len(model.insertions)) * width
        _, _, end1, end2 = load_each(work.columns, weights_at, width, (0, 0, 0, 0))
        unit = power_of_two(load(work.history, place) + broadcast(-math.floor(best[0])))
        for r in range(plan.height):
            weight = load_each(work.rows, r * stride + (wide + gaps_x) * LANES, LANES, (0, 0, 0, 0))
            gap_x = load_each(work.rows, r * stride + wide * LANES, LANES, model.deletions)
            emission = dots(work.rows, r * stride, letters, model.pairs) + gap_x + gap_y
            value = products(emission, load_each(work.history, place + (1 + r * states) * LANES, LANES, emission))
            ended = weighted_sum(model.end, value, model.best) * (weight[2] * end1 + weight[3] * end2)
            if any_reaches(ended * unit, 1.0):  # of the same power of two as the best so far, or more
                store(work.state, 0, ended)
                for lane in range(LANES):
                    if work.state[lane] > 0.0 and math.log2(work.state[lane]) + work.history[place + lane] > best[0]:
                        best[0] = math.log2(work.state[lane]) + work.history[place + lane]
                        best[1], best[2] = (index * LANES + lane) * plan.height + r, tau - lane
                        best[3] = _ending(model, arrays, best[1], best[2], m, plan, chunk, work)


@part
def _ending(model, arrays, i, j, m, plan, chunk, work):
    """The state that a path which ends in a cell is likeliest to be in."""
    likeliest, largest = 0, 0.0
    for s in range(arrays.end.size):
        ended = arrays.end[s] * _value(model, work, int(i), int(j), s, m, plan, chunk)
        if ended > largest:
            likeliest, largest = s, ended
    return likeliest


@kernel
def trace(model, arrays, plan, m, index, chunk, work, path, cursor):
    """Follow the likeliest path back through a recalled chunk.

    cursor (4,): the cell (i, j) before the state that the path was in last, that state's slot, and how many cells
    `path` holds. The path's states are written last cell first, as (i, j, slot). The slot is -1 when the path has
    begun.
    """
    pairs, gaps_x = len(model.pairs), len(model.deletions)
    while True:
        i, j, state = cursor[0], cursor[1], cursor[2]
        if i // (LANES * plan.height) != index or (j + _lane(i, plan)) // plan.chunk != chunk:
            return
        previous, largest = -1, 0.0
        if _may(model, work, i, j, m, plan.height, 0):
            exponent = work.history[_place(model, plan, i, j, chunk) + _lane(i, plan)]
            largest = arrays.start[state] * two_to(-exponent)
        for s in range(arrays.end.size):
            product = _value(model, work, i, j, s, m, plan, chunk) * arrays.transitions[s, state]
            if product > largest:
                previous, largest = s, product
        cursor[2] = previous
        if previous < 0:
            return
        count = cursor[3]
        path[count, 0], path[count, 1], path[count, 2] = i, j, previous
        cursor[3] = count + 1
        if previous < pairs + gaps_x:
            cursor[0] = i - 1
        if previous < pairs or previous >= pairs + gaps_x:
            cursor[1] = j - 1


@part
def _lane(i, plan):
    return i % (LANES * plan.height) // plan.height


@part
def _place(model, plan, i, j, chunk):
    """Where the history of a cell's step begins."""
    return (j + _lane(i, plan) - chunk * plan.chunk) * step_size(model, plan.height)


@part
def _may(model, work, i, j, m, height, k):
    """Whether an alignment may start (k = 0) or end (k = 2) in a cell of the tile."""
    emissions = len(model.letters) * len(model.pairs) + len(model.deletions)
    row = (i % height * (emissions + WEIGHTS) + emissions + k) * LANES + i % (LANES * height) // height
    width = m + 2 * LANES
    column = (len(model.letters) + len(model.insertions) + k) * width + LANES + m - j
    both = work.rows[row] * work.columns[column] + work.rows[row + LANES] * work.columns[column + width]
    return both > 0.0


@part
def _value(model, work, i, j, s, m, plan, chunk):
    """A state's probability in a cell of a recalled chunk, in the unit of the cell's lane."""
    letters, pairs, gaps_x = len(model.letters), len(model.pairs), len(model.deletions)
    states, width, lane = pairs + gaps_x + len(model.insertions), m + 2 * LANES, _lane(i, plan)
    row, column = i % plan.height * (letters * pairs + gaps_x + WEIGHTS) * LANES + lane, LANES + m - j
    if s < pairs:
        emission = 0.0
        for c in range(letters):
            emission += work.rows[row + (s * letters + c) * LANES] * work.columns[column + c * width]
    elif s < pairs + gaps_x:
        emission = work.rows[row + (letters * pairs + s - pairs) * LANES]
    else:
        emission = work.columns[column + (letters + s - pairs - gaps_x) * width]
    return emission * work.history[_place(model, plan, i, j, chunk) + (1 + i % plan.height * states + s) * LANES + lane]
