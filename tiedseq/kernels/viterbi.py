"""The likeliest path: forward with the largest term instead of the sum, and back through the chunks that it crosses."""

from __future__ import annotations

import math

import numpy as np

from ._jit import kernel, part
from .alignment import (
    LANES,
    Border,
    History,
    copy_state,
    fill_tile,
    forward_chunk,
    make_columns,
    make_rows,
    new_border,
    new_tile,
    plain_steps,
    sweep,
)


@kernel
def viterbi(model, start, transitions, end, tables, target, query, mode, plan, saved, path):
    """Write the likeliest path into `path`, last cell first, as (i, j, slot of the state); return how many cells.

    `model.best` must be 0, and `saved` have room for every chunk. start (S,), transitions (S, S) and end (S,) are the
    model's numbers once more, as arrays. Returns -1 if no path has a positive probability.
    """
    rows, columns = make_rows(target, tables, mode), make_columns(query, tables, mode)
    scores = np.zeros((saved.state.shape[0], 2))
    sweep(model, rows, columns, mode, plan, scores, saved)
    best_tile, best = -1, -math.inf
    for index in range(scores.shape[0]):
        if scores[index, 0] > 0.0 and math.log2(scores[index, 0]) + scores[index, 1] > best:
            best_tile, best = index, math.log2(scores[index, 0]) + scores[index, 1]
    if best_tile < 0:
        return -1
    states = start.size
    history = History(np.empty(plan.chunk * plan.height * states * LANES), np.empty(plan.chunk * LANES))
    tile, below, loaded = new_tile(plan.height, model), new_border(model, query.size), np.full(2, -1)
    value = np.zeros(states)
    i, j, state = _best_end(best_tile, end, plan, model, rows, columns, mode, tile, below, saved, history, loaded, value)
    pairs, gaps_x = len(model.pairs), len(model.deletions)
    count = 0
    while state >= 0:
        path[count, 0], path[count, 1], path[count, 2] = i, j, state
        count += 1
        if state < pairs + gaps_x:
            i -= 1
        if state < pairs or state >= pairs + gaps_x:
            j -= 1
        lane = i % (LANES * plan.height) // plan.height
        index, chunk = i // (LANES * plan.height), (j + lane) // plan.chunk
        _load(index, chunk, plan, model, rows, columns, mode, tile, below, saved, history, loaded)
        exponent = _values(i, j, chunk, plan, model, rows, columns, history, value)
        previous, largest = -1, 0.0
        if _may(rows, columns, i, j, 0):
            largest = start[state] * math.ldexp(1.0, int(min(max(-exponent, -1100.0), 1000.0)))
        for s in range(states):
            if value[s] * transitions[s, state] > largest:
                previous, largest = s, value[s] * transitions[s, state]
        state = previous
    return count


@part
def _best_end(index, end, plan, model, rows, columns, mode, tile, below, saved, history, loaded, value):
    """The cell of a tile, and the state, with the largest probability of ending there."""
    n, m = rows.codes.size - 1, columns.pair.shape[1] - 2 * LANES
    best, i, j, state = -math.inf, -1, -1, -1
    for chunk in range(saved.state.shape[1]):
        fresh = True
        for tau in range(chunk * plan.chunk, min((chunk + 1) * plan.chunk, m + LANES)):
            for lane in range(LANES):
                column = tau - lane
                if column < 0 or column > m:
                    continue
                for r in range(plan.height):
                    row = (index * LANES + lane) * plan.height + r
                    if row > n or not _may(rows, columns, row, column, 2):
                        continue
                    if fresh:
                        _load(index, chunk, plan, model, rows, columns, mode, tile, below, saved, history, loaded)
                        fresh = False
                    exponent = _values(row, column, chunk, plan, model, rows, columns, history, value)
                    for s in range(value.size):
                        ended = end[s] * value[s]
                        if ended > 0.0 and math.log2(ended) + exponent > best:
                            best, i, j, state = math.log2(ended) + exponent, row, column, s
    return i, j, state


@part
def _may(rows, columns, i, j, k):
    """Whether an alignment may start (k = 0) or end (k = 2) in a cell."""
    at = columns.pair.shape[1] - LANES - j
    return rows.weight[i, k] * columns.weight[k, at] + rows.weight[i, k + 1] * columns.weight[k + 1, at] > 0.0


@part
def _load(index, chunk, plan, model, rows, columns, mode, tile, below, saved, history, loaded):
    """Run forward over a chunk again, so that `history` holds it."""
    if loaded[0] == index and loaded[1] == chunk:
        return
    n, m = rows.codes.size - 1, columns.pair.shape[1] - 2 * LANES
    first_row = index * LANES * plan.height
    if loaded[0] != index:
        fill_tile(tile, first_row, plan.height, model, rows)
    loaded[0], loaded[1] = index, chunk
    copy_state(tile, plan, model, saved.state[index, chunk], True)
    first, last = chunk * plan.chunk, min((chunk + 1) * plan.chunk, m + LANES)
    above = Border(saved.border[index], saved.exponent[index])
    plain = plain_steps(first_row, plan, n, m, mode)
    forward_chunk(first, last, plain, plan, model, columns, tile, above, below, history, np.zeros(2))


@part
def _values(i, j, chunk, plan, model, rows, columns, history, value):
    """Write every state's probability in a cell of the loaded chunk into `value`; return log2 of their unit."""
    letters, pairs, gaps_x = len(model.letters), len(model.pairs), len(model.deletions)
    lane, r = i % (LANES * plan.height) // plan.height, i % plan.height
    step = j + lane - chunk * plan.chunk
    code, column = rows.codes[i], columns.pair.shape[1] - LANES - j
    for s in range(value.size):
        if s < pairs:
            emission = 0.0
            for c in range(letters):
                emission += rows.pair[code, s * letters + c] * columns.pair[c, column]
        elif s < pairs + gaps_x:
            emission = rows.gap[code, s - pairs]
        else:
            emission = columns.gap[s - pairs - gaps_x, column]
        value[s] = emission * history.value[((step * plan.height + r) * value.size + s) * LANES + lane]
    return history.exponent[step * LANES + lane]
