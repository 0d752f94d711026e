"""Pair-HMM passes over whole pairs of sequences: tiles from top to bottom and back, in bounded memory.

`forward` alone keeps the last border between two tiles. For posteriors it also keeps every border, and the state of
every tile at every `chunk` steps; `backward` then goes through a tile's chunks from the last to the first, runs forward
again over one at a time, and multiplies. So cells are computed three times in all, and what is kept is a hundredth of
them. `expect` does both over many pairs, for training.
"""

from __future__ import annotations

from . import layout
from ._jit import kernel, part
from .denormals import flush_denormals, restore_denormals
from .layout import LANES, WEIGHTS, Plan
from .pairhmm import add_total, backward_steps, border_size, clear_state, forward_steps, log2_at
from .simd import broadcast, clear, copy, exponents_of, keep_apart, lane_zero

tile_count, chunk_count = part(layout.tile_count), part(layout.chunk_count)
column_size, state_size = part(layout.column_size), part(layout.state_size)


@part
def fill_columns(columns, codes, first, m, model, tables):
    """Write the columns of the query codes[first : first + m]."""
    keep_apart()
    emissions, width = len(model.letters) + len(model.insertions), m + 2 * LANES
    clear(columns, 0, column_size(model, m))
    for j in range(m):
        code = codes[first + j]
        for k in range(emissions):
            columns[k * width + LANES + m - 1 - j] = tables.column[code, k]
    for k in range(WEIGHTS):
        for j in range(m + 1):
            border = 0 if k < 2 else m
            columns[(emissions + k) * width + LANES + m - j] = tables.column_weight[k, 0 if j == border else 1]


@part
def fill_rows(rows, codes, first, n, first_row, height, model, tables):
    """Write the rows of a tile of the target codes[first : first + n]; those before and after it emit nothing."""
    keep_apart()
    emissions = len(model.letters) * len(model.pairs) + len(model.deletions)
    for lane in range(LANES):
        for r in range(height):
            i, at = first_row + lane * height + r, r * (emissions + WEIGHTS) * LANES + lane
            code = tables.row.shape[0] - 1
            if 0 < i <= n:
                code = codes[first + i - 1]
            for k in range(emissions):
                rows[at + k * LANES] = tables.row[code, k]
            for k in range(WEIGHTS):
                border = 0 if k < 2 else n
                weight = tables.row_weight[k, 0 if i == border else 1]
                rows[at + (emissions + k) * LANES] = weight if i <= n else 0.0


@part
def plain_steps(first_row, height, n, m, tables):
    """The steps of a tile in which no lane is in a cell where an alignment may start or end."""
    keep_apart()
    last_row = first_row + LANES * height - 1
    for k in range(WEIGHTS):
        # between the query's ends columns weigh the same; the target's border row may lie in this tile
        weight = tables.row_weight[k, 1]
        if first_row == 0 if k < 2 else last_row >= n:
            weight += tables.row_weight[k, 0]
        if weight * tables.column_weight[k, 1] > 0.0:
            return 0, 0
    return (LANES if m > LANES else m), m


@part
def fitted(plan, n):
    """The plan with no more rows a lane than the target fills."""
    height = (n + LANES) // LANES
    return Plan(height if height < plan.height else plan.height, plan.period, plan.settling, plan.chunk)


@part
def clear_tail(borders, border, model, m):
    """Clear what the tile above leaves unwritten of a border and the one below looks at: columns behind the last."""
    size = m + 1 + 2 * LANES
    for k in range(len(model.pairs) + len(model.deletions) + 1):
        clear(borders, border + k * size + m + 1 + LANES, LANES)


@part
def score_row(model, pair, index):
    """The row of the scores that a tile adds to: its pair's; a likeliest path is looked for in the tile it ends in."""
    return pair if model.best is None else index


@part
def forward_pair(model, tables, plan, targets, first_target, n, queries, first_query, m, work, pair):
    """Forward over one pair, into work.scores; saving chunks if there is room."""
    keep_apart()
    keeping = work.saved.size > 0
    steps = m + LANES
    chunk = plan.chunk if keeping else steps
    tiles, chunks = tile_count(n, plan.height), chunk_count(m, chunk)
    slots, span, size = tiles + 1 if keeping else 2, border_size(model, m), state_size(model, plan.height)
    clear(work.borders, 0, span)
    fill_columns(work.columns, queries, first_query, m, model, tables)
    for index in range(tiles):
        first_row, row = index * LANES * plan.height, score_row(model, pair, index)
        above, below = index % slots * span, (index + 1) % slots * span
        plain = plain_steps(first_row, plan.height, n, m, tables)
        fill_rows(work.rows, targets, first_target, n, first_row, plan.height, model, tables)
        clear_tail(work.borders, below, model, m)
        clear_state(work.state, plan.height, model, log2_at(work.borders, above, model, m + 1 + 2 * LANES, LANES))
        for k in range(chunks):
            if keeping:
                copy(work.state, 0, work.saved, (index * chunks + k) * size, size)
            last = (k + 1) * chunk if (k + 1) * chunk < steps else steps
            forward_steps(k * chunk, last, plain, plan, model, m, work, above, below, row, False)
        add_total(work.state, model, work.scores, row)


@part
def forward_again(model, plan, plain, m, index, chunk, work, pair):
    """Run forward over a saved chunk again, into work.history; return its first step and the one after its last."""
    steps, span, size = m + LANES, border_size(model, m), state_size(model, plan.height)
    first, row = chunk * plan.chunk, score_row(model, pair, index)
    last = first + plan.chunk if first + plan.chunk < steps else steps
    copy(work.saved, (index * chunk_count(m, plan.chunk) + chunk) * size, work.state, 0, size)
    mantissa, exponent = work.scores[row, 0], work.scores[row, 1]  # what ends here has been counted
    above, below = index * span, (index + 1) * span
    forward_steps(first, last, plain, plan, model, m, work, above, below, row, True)
    work.scores[row, 0], work.scores[row, 1] = mantissa, exponent
    return first, last


@kernel
def forward(model, tables, plan, targets, target_ends, queries, query_ends, work):
    """Forward over many pairs, one after the other, into work.scores; of one pair, saving chunks if there is room.

    Sequences stand one after the other in `targets` and `queries`; *_ends hold where each begins, and the last one's
    end. What ends is added to what the scores hold.
    """
    for pair in range(target_ends.size - 1):
        target, query = target_ends[pair], query_ends[pair]
        n, m = target_ends[pair + 1] - target, query_ends[pair + 1] - query
        forward_pair(model, tables, fitted(plan, n), targets, target, n, queries, query, m, work, pair)


@kernel
def recall(model, tables, plan, target, m, index, chunk, work):
    """Bring what forward found in a chunk of a tile back to work.history; work is as `forward` left it."""
    first_row = index * LANES * plan.height
    plain = plain_steps(first_row, plan.height, target.size, m, tables)
    fill_rows(work.rows, target, 0, target.size, first_row, plan.height, model, tables)
    forward_again(model, plan, plain, m, index, chunk, work, 0)


@part
def turn(model, tables, plan, targets, first_target, n, m, index, work, back):
    """Make ready for backward over a tile, from its last step on."""
    size = m + 1 + 2 * LANES
    below = (index + 1) % 2 * border_size(model, m)
    fill_rows(work.rows, targets, first_target, n, index * LANES * plan.height, plan.height, model, tables)
    clear_state(back.state, plan.height, model, log2_at(back.borders, below, model, size, m + LANES))
    clear(back.row, 0, plan.height * LANES)


@kernel
def backward(model, tables, plan, target, m, index, chunk, work, back, norm, collected):
    """Backward over the chunks `chunk`, chunk - 1, ... of a tile; return the chunk to go on with, -1 if there is none.

    It stops where `collected` may have too little room for what a chunk finds. Tiles come from the last to the first,
    and each from its last chunk on. `work` is as `forward` left it. See `kernels.pairhmm.backward_steps` for `norm`
    and `collected`.
    """
    before = flush_denormals()
    plain = plain_steps(index * LANES * plan.height, plan.height, target.size, m, tables)
    if chunk == chunk_count(m, plan.chunk) - 1:
        turn(model, tables, plan, target, 0, target.size, m, index, work, back)
    while chunk >= 0 and collected.count[0] + plan.chunk * plan.height * LANES <= collected.place.size:
        first, last = forward_again(model, plan, plain, m, index, chunk, work, 0)
        backward_steps(first, last, plain, plan, model, m, work, back, index, norm, collected, None)
        chunk -= 1
    restore_denormals(before)
    return chunk


@kernel
def expect(model, tables, plan, targets, target_ends, queries, query_ends, weights, work, back, gradient, sums):
    """Forward and backward over many pairs, one after the other: scores as in `forward`, derivatives into `sums`.

    A pair's derivatives are those of ln of its score, times its weight. A pair whose score is 0 has none.
    """
    before = flush_denormals()
    for pair in range(target_ends.size - 1):
        target, query = target_ends[pair], query_ends[pair]
        n, m = target_ends[pair + 1] - target, query_ends[pair + 1] - query
        fitting, span = fitted(plan, n), border_size(model, m)
        forward_pair(model, tables, fitting, targets, target, n, queries, query, m, work, pair)
        if work.scores[pair, 0] > 0.0 and weights[pair] != 0.0:
            norm = normal(work.scores[pair, 0], work.scores[pair, 1])
            clear(back.borders, 0, 2 * span)
            clear(back.column, 0, m + 2 * LANES)
            clear(gradient.model, 0, gradient.model.size)
            clear(gradient.columns, 0, len(model.insertions) * (m + 2 * LANES))
            for k in range(tile_count(n, fitting.height)):
                index = tile_count(n, fitting.height) - 1 - k
                plain = plain_steps(index * LANES * fitting.height, fitting.height, n, m, tables)
                turn(model, tables, fitting, targets, target, n, m, index, work, back)
                clear(gradient.rows, 0, gradient.rows.size)
                for c in range(chunk_count(m, fitting.chunk)):
                    chunk = chunk_count(m, fitting.chunk) - 1 - c
                    first, last = forward_again(model, fitting, plain, m, index, chunk, work, pair)
                    backward_steps(first, last, plain, fitting, model, m, work, back, index, norm, None, gradient)
                sum_rows(targets, target, n, index, fitting.height, model, weights[pair], back, gradient, sums)
            sum_columns(queries, query, m, model, weights[pair], back, gradient, sums)
    restore_denormals(before)


@part
def normal(mantissa, exponent):
    """The same number with a mantissa between 1/2 and 1, since backward will divide by it."""
    shift = lane_zero(exponents_of(broadcast(mantissa))) + 1.0
    return mantissa * 2.0**-shift, exponent + shift


@part
def sum_rows(codes, first, n, index, height, model, weight, back, gradient, sums):
    """Add what backward over a tile found of its rows to the sums, by symbol."""
    keep_apart()
    record = len(model.letters) * len(model.pairs) + len(model.deletions)
    for lane in range(LANES):
        for r in range(height):
            i = index * LANES * height + lane * height + r
            if 0 < i <= n:
                code = codes[first + i - 1]
                sums.matched[code] += weight * back.row[r * LANES + lane]
                for k in range(record):
                    sums.rows[code, k] += weight * gradient.rows[(r * record + k) * LANES + lane]


@part
def sum_columns(codes, first, m, model, weight, back, gradient, sums):
    """Add what backward over a pair found of its columns and of the model's own numbers to the sums."""
    keep_apart()
    for j in range(m):
        code, at = codes[first + j], LANES + m - 1 - j
        sums.matched[code] += weight * back.column[at]
        for k in range(len(model.insertions)):
            sums.columns[code, k] += weight * gradient.columns[k * (m + 2 * LANES) + at]
    for k in range(sums.model.size):
        total = 0.0
        for lane in range(LANES):
            total += gradient.model[k * LANES + lane]
        sums.model[k] += weight * total
