"""Pair-HMM passes over whole pairs of sequences: tiles from top to bottom and back, in bounded memory.

`forward` alone keeps the last border between two tiles. For posteriors it also keeps every border, and the state of every
tile at every `chunk` steps; `backward` then goes through the tiles from the last to the first, runs forward again over one
chunk at a time, and multiplies. So cells are computed three times in all, and what is kept is a hundredth of them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ._jit import kernel, part
from .pairhmm import (
    LANES,
    NOTHING,
    Border,
    Columns,
    History,
    Rows,
    Tile,
    _add_total,
    _log2_at,
    backward_steps,
    clear_tile,
    copy,
    fill,
    fill_tile,
    forward_steps,
    new_tile,
)

GLOBAL, LOCAL, GLOCAL, OVERLAP = range(4)


class Tables(NamedTuple):
    """What a model says of observed symbols, over the background: one row a symbol, and a last row of zeros."""

    row_pair: Any  # float64 (symbols + 1, xy states * letters): sum over the target's letters
    row_gap: Any  # float64 (symbols + 1, x states)
    column_pair: Any  # float64 (symbols + 1, letters): what each letter of the query explains
    column_gap: Any  # float64 (symbols + 1, y states)


class Plan(NamedTuple):
    """How a pair is cut up: rows a lane, steps between two renewals, steps a chunk."""

    height: int
    period: int
    settling: int  # steps between two renewals while lanes fill: a value may cross a whole lane in each of them
    chunk: int


class Saved(NamedTuple):
    """What forward keeps for backward."""

    state: Any  # float64 (tiles, chunks, size of a tile's state)
    border: Any  # float64 (tiles, crossing states, m + 1 + 2 LANES): the row above each tile
    exponent: Any  # float64 (tiles, m + 1 + 2 LANES)


class Posterior(NamedTuple):
    """Where backward writes the aligned pairs."""

    row: Any  # float64 (height * LANES,), of the tile at work
    column: Any  # float64 (m + 2 LANES,), reversed as in Columns
    cell: Any  # float64 (LANES,)
    threshold: Any  # float64 (1,)
    first_row: Any  # int64 (1,): of the tile at work
    count: Any  # int64 (1,): pairs found
    found_row: Any  # int32
    found_column: Any  # int32
    found_value: Any  # float64


class Gradient(NamedTuple):
    """d ln P / d parameter, in lanes, while backward runs."""

    transitions: Any  # S * S vectors
    start: Any  # S vectors
    end: Any  # S vectors
    pair: Any  # per row of the tile at work: xy states * letters vectors
    gap_x: Any  # per row of the tile at work: x states' vectors
    gap_y: Any  # float64 (y states, m + 2 LANES), reversed as in Columns


@part
def make_rows(codes, tables, mode):
    """The target's rows of cells for a mode. The row before the first letter emits nothing."""
    n = codes.size
    row_codes = np.empty(n + 1, np.int64)
    row_codes[0] = tables.row_pair.shape[0] - 1
    for i in range(n):
        row_codes[i + 1] = codes[i]
    weight = np.zeros((n + 1, 4))
    for i in range(n + 1):
        if mode == OVERLAP:
            weight[i, 0 if i == 0 else 1] = 1.0
            weight[i, 2 if i == n else 3] = 1.0
        else:
            weight[i, 0] = 1.0 if mode != GLOBAL or i == 0 else 0.0
            weight[i, 2] = 1.0 if mode != GLOBAL or i == n else 0.0
    return Rows(row_codes, tables.row_pair, tables.row_gap, weight)


@part
def make_columns(codes, tables, mode):
    """The query's columns of cells for a mode, reversed and padded."""
    m = codes.size
    pair = np.zeros((tables.column_pair.shape[1], m + 2 * LANES))
    gap = np.zeros((tables.column_gap.shape[1], m + 2 * LANES))
    for j in range(1, m + 1):
        for k in range(pair.shape[0]):
            pair[k, LANES + m - j] = tables.column_pair[codes[j - 1], k]
        for k in range(gap.shape[0]):
            gap[k, LANES + m - j] = tables.column_gap[codes[j - 1], k]
    weight = np.zeros((4, m + 2 * LANES))
    begin, finish = LANES + m, LANES
    for k in range(finish, begin + 1):
        anywhere = mode == LOCAL or mode == OVERLAP
        weight[0, k] = 1.0 if anywhere or k == begin else 0.0
        weight[2, k] = 1.0 if anywhere or k == finish else 0.0
    weight[1, begin] = 1.0
    weight[3, finish] = 1.0
    return Columns(pair, gap, weight)


@part
def new_border(model, m):
    crossing = len(model.pairs) + len(model.deletions)
    return Border(np.zeros((crossing, m + 1 + 2 * LANES)), np.zeros(m + 1 + 2 * LANES))


@part
def no_history():
    return History(np.zeros(0), np.zeros(0))


@part
def state_size(plan, model):
    pairs, deletions = len(model.pairs), len(model.deletions)
    states = pairs + deletions + len(model.insertions)
    return (plan.height * states + 2 * pairs + deletions + 1) * LANES


@part
def copy_state(tile, plan, model, state, restore):
    """Copy a tile's forward sums, what crosses between its lanes, and the lanes' units to `state`, or back."""
    pairs, deletions = len(model.pairs), len(model.deletions)
    states = pairs + deletions + len(model.insertions)
    at = (len(model.letters) * pairs + deletions) * LANES
    stride = at + 2 * states * LANES
    size = states * LANES
    for r in range(plan.height):
        if restore:
            copy(state, r * size, tile.record, r * stride + at, size)
        else:
            copy(tile.record, r * stride + at, state, r * size, size)
    place = plan.height * size
    for part in (tile.carry, tile.pending, tile.exponent):
        if restore:
            copy(state, place, part, 0, part.size)
        else:
            copy(part, 0, state, place, part.size)
        place += part.size
    if restore:
        fill(tile.total, 0, LANES, 0.0)
        for lane in range(LANES):
            receiving = tile.exponent[min(lane + 1, LANES - 1)]
            tile.ratio[lane] = math.ldexp(1.0, int(min(max(tile.exponent[lane] - receiving, -1100.0), 1000.0)))
            tile.unit[lane] = math.ldexp(1.0, int(min(max(-tile.exponent[lane], -1100.0), 1000.0)))


@part
def plain_steps(first_row, plan, n, m, mode):
    """The steps of a tile in which no lane is in a cell where an alignment may start or end."""
    last_row = first_row + LANES * plan.height - 1
    if mode == LOCAL or (mode == OVERLAP and (first_row == 0 or last_row >= n)):
        return 0, 0
    return min(LANES, m), m


@part
def forward_chunk(first, last, plain, plan, model, columns, tile, above, below, history, score):
    """Steps first ... last - 1, with the terms of start and end only where they are needed."""
    cuts = (first, max(first, min(last, plain[0])), max(first, min(last, plain[1])), last)
    for k in range(3):
        forward_steps(
            cuts[k],
            cuts[k + 1],
            first,
            plan.height,
            plan.period,
            plan.settling,
            model,
            columns,
            tile,
            above,
            below,
            history,
            score,
            k != 1,
        )


@part
def sweep(model, rows, columns, mode, plan, scores, saved):
    """Forward over all tiles of a pair. `scores` has one row for the pair, or one for each tile."""
    n, m = rows.codes.size - 1, columns.pair.shape[1] - 2 * LANES
    keeping = saved.state.size > 0
    history = no_history()
    tile = new_tile(plan.height, model)
    above, below = new_border(model, m), new_border(model, m)
    for index in range((n + LANES * plan.height) // (LANES * plan.height)):
        first_row = index * LANES * plan.height
        score = scores[min(index, scores.shape[0] - 1)]
        fill_tile(tile, first_row, plan.height, model, rows)
        clear_tile(tile, plan.height, model, False, _log2_at(above, LANES))
        plain = plain_steps(first_row, plan, n, m, mode)
        if keeping:
            for k in range(above.value.shape[0]):
                copy(above.value[k], 0, saved.border[index, k], 0, above.exponent.size)
            copy(above.exponent, 0, saved.exponent[index], 0, above.exponent.size)
        for first in range(0, m + LANES, plan.chunk):
            if keeping:
                copy_state(tile, plan, model, saved.state[index, first // plan.chunk], False)
            last = min(first + plan.chunk, m + LANES)
            forward_chunk(first, last, plain, plan, model, columns, tile, above, below, history, score)
        _add_total(tile, model, score)
        above, below = below, above


@kernel
def forward(model, tables, targets, target_ends, queries, query_ends, mode, plan, scores, saved):
    """Forward over many pairs, one after the other: scores[k] = mantissa and exponent (of two) of pair k's probability.

    Sequences stand one after the other in `targets` and `queries`; *_ends hold where each begins, and the last one's end.
    `saved`, if it has room, takes what `backward` needs of one pair.
    """
    keeping = saved.state.size > 0
    for pair in range(scores.shape[0]):
        target = targets[target_ends[pair] : target_ends[pair + 1]]
        query = queries[query_ends[pair] : query_ends[pair + 1]]
        rows, columns = make_rows(target, tables, mode), make_columns(query, tables, mode)
        height = min(plan.height, (target.size + LANES) // LANES)
        fitting = Plan(height, plan.period, plan.settling, plan.chunk if keeping else query.size + LANES)
        sweep(model, rows, columns, mode, fitting, scores[pair : pair + 1], saved)


@part
def backward_chunk(
    first, last, plain, plan, model, columns, tile, below, above, history, norm, posterior, gradient
):
    """Steps last - 1 ... first, with the terms of start and end only where they are needed."""
    cuts = (first, max(first, min(last, plain[0])), max(first, min(last, plain[1])), last)
    for k in range(2, -1, -1):
        backward_steps(
            cuts[k],
            cuts[k + 1],
            first,
            plan.height,
            plan.period,
            plan.settling,
            model,
            columns,
            tile,
            below,
            above,
            history,
            norm,
            posterior,
            gradient,
            k != 1,
        )


@kernel
def backward(model, tables, target, query, mode, plan, norm, saved, posterior, row_matched, gradient, row_gradient):
    """Posterior of every aligned pair, tile by tile from the last; with `gradient`, d ln P / d parameter as well.

    Returns the arrays of found pairs of `posterior`, which may have been replaced by larger ones, as a plain tuple: Numba
    makes a named one by running Python code, and crashes when Ctrl-C arrives there. `row_matched` (n + 1,) takes P(target
    letter is aligned); `row_gradient` is a pair of arrays like tables.row_pair and row_gap.
    """
    rows, columns = make_rows(target, tables, mode), make_columns(query, tables, mode)
    n, m = target.size, query.size
    states = len(model.pairs) + len(model.deletions) + len(model.insertions)
    forward_tile, spare = new_tile(plan.height, model), new_tile(plan.height, model)
    tile = Tile(
        forward_tile.record,
        forward_tile.weight,
        spare.carry,
        spare.pending,
        spare.exponent,
        spare.ratio,
        spare.unit,
        spare.total,
    )
    history = History(np.empty(plan.chunk * plan.height * states * LANES), np.empty(plan.chunk * LANES))
    above, below, ignored = new_border(model, m), new_border(model, m), new_border(model, m)
    unused = np.zeros(2)
    for index in range(saved.state.shape[0] - 1, -1, -1):
        first_row = index * LANES * plan.height
        fill_tile(tile, first_row, plan.height, model, rows)
        clear_tile(tile, plan.height, model, True, _log2_at(below, m + LANES))
        plain = plain_steps(first_row, plan, n, m, mode)
        entering = Border(saved.border[index], saved.exponent[index])
        fill(posterior.row, 0, posterior.row.size, 0.0)
        posterior.first_row[0] = first_row
        if gradient is not None:
            fill(gradient.pair, 0, gradient.pair.size, 0.0)
            fill(gradient.gap_x, 0, gradient.gap_x.size, 0.0)
        for k in range(saved.state.shape[1] - 1, -1, -1):
            first, last = k * plan.chunk, min((k + 1) * plan.chunk, m + LANES)
            copy_state(forward_tile, plan, model, saved.state[index, k], True)
            forward_chunk(
                first, last, plain, plan, model, columns, forward_tile, entering, ignored, history, unused
            )
            posterior = _with_room(posterior, (last - first) * plan.height * LANES)
            backward_chunk(
                first, last, plain, plan, model, columns, tile, below, above, history, norm, posterior, gradient
            )
        _unload_rows(first_row, plan.height, model, rows, posterior.row, row_matched, gradient, row_gradient)
        above, below = below, above
    return posterior.found_row, posterior.found_column, posterior.found_value


@part
def _unload_rows(first_row, height, model, rows, row, row_matched, gradient, row_gradient):
    """Bring what a tile's lanes hold for its rows to the target's positions and symbols."""
    wide, gaps = len(model.letters) * len(model.pairs), len(model.deletions)
    for lane in range(LANES):
        for r in range(height):
            i = first_row + lane * height + r
            if i < rows.codes.size:
                row_matched[i] = row[r * LANES + lane]
                if gradient is not None:
                    code = rows.codes[i]
                    for k in range(wide):
                        row_gradient[0][code, k] += gradient.pair[(r * wide + k) * LANES + lane]
                    for k in range(gaps):
                        row_gradient[1][code, k] += gradient.gap_x[(r * gaps + k) * LANES + lane]


@part
def _with_room(posterior, room):
    """The same posterior, with space for `room` more found pairs."""
    count, size = posterior.count[0], posterior.found_row.size
    if count + room <= size:
        return posterior
    size = max(2 * size, count + room)
    found_row, found_column, found_value = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size)
    copy(posterior.found_row, 0, found_row, 0, count)
    copy(posterior.found_column, 0, found_column, 0, count)
    copy(posterior.found_value, 0, found_value, 0, count)
    return Posterior(
        posterior.row,
        posterior.column,
        posterior.cell,
        posterior.threshold,
        posterior.first_row,
        posterior.count,
        found_row,
        found_column,
        found_value,
    )
