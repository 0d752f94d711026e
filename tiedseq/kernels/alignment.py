"""Pair-HMM passes over whole pairs of sequences: tiles from top to bottom and back, in bounded memory.

`forward` alone keeps the last border between two tiles. For posteriors it also keeps every border, and the state of
every tile at every `chunk` steps; `backward` then goes through a tile's chunks from the last to the first, runs forward
again over one at a time, and multiplies. So cells are computed three times in all, and what is kept is a hundredth of
them.
"""

from __future__ import annotations

from ._jit import kernel, part
from .layout import CARRY, LANES, WEIGHTS, Plan
from .pairhmm import add_total, backward_steps, clear_state, forward_steps, log2_at
from .simd import clear, copy, keep_apart


@part
def tile_count(n, height):
    return n // (LANES * height) + 1


@part
def state_size(height, model):
    states = len(model.pairs) + len(model.deletions) + len(model.insertions)
    return CARRY + (2 * len(model.pairs) + len(model.deletions) + height * states) * LANES


@part
def fill_columns(columns, codes, first, m, model, tables):
    """Write the columns of the query codes[first : first + m]."""
    keep_apart()
    emissions, width = len(model.letters) + len(model.insertions), m + 2 * LANES
    clear(columns, 0, (emissions + WEIGHTS) * width)
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


@kernel
def forward(model, tables, plan, targets, target_ends, queries, query_ends, work):
    """Forward over many pairs, one after the other, into work.scores; of one pair, saving chunks if there is room.

    Sequences stand one after the other in `targets` and `queries`; *_ends hold where each begins, and the last one's
    end.
    """
    keeping = work.saved.size > 0
    crossing = len(model.pairs) + len(model.deletions)
    for pair in range(target_ends.size - 1):
        n, m = target_ends[pair + 1] - target_ends[pair], query_ends[pair + 1] - query_ends[pair]
        height = (n + LANES) // LANES  # no more rows a lane than the target fills
        height = height if height < plan.height else plan.height
        steps = m + LANES
        fitting = Plan(height, plan.period, plan.settling, plan.chunk if keeping else steps)
        tiles, chunks = tile_count(n, height), (steps + fitting.chunk - 1) // fitting.chunk
        slots, span, size = tiles + 1 if keeping else 2, (crossing + 1) * (m + 1 + 2 * LANES), state_size(height, model)
        clear(work.borders, 0, 2 * span)
        fill_columns(work.columns, queries, query_ends[pair], m, model, tables)
        for index in range(tiles):
            first_row, row = index * LANES * height, index if keeping else pair
            above, below = index % slots * span, (index + 1) % slots * span
            plain = plain_steps(first_row, height, n, m, tables)
            fill_rows(work.rows, targets, target_ends[pair], n, first_row, height, model, tables)
            clear_state(work.state, height, model, log2_at(work.borders, above, model, m + 1 + 2 * LANES, LANES))
            for chunk in range(chunks):
                if keeping:
                    copy(work.state, 0, work.saved, (index * chunks + chunk) * size, size)
                first = chunk * fitting.chunk
                last = first + fitting.chunk if first + fitting.chunk < steps else steps
                forward_steps(
                    first,
                    last,
                    plain,
                    fitting,
                    model,
                    m,
                    work.columns,
                    work.rows,
                    work.state,
                    work.borders,
                    above,
                    below,
                    work.history,
                    work.scores,
                    row,
                )
            add_total(work.state, model, work.scores, row)


@part
def forward_again(model, plan, plain, m, index, chunk, work):
    """Run forward over a saved chunk again, into work.history; return its first step and the one after its last."""
    steps, size = m + LANES, state_size(plan.height, model)
    chunks = (steps + plan.chunk - 1) // plan.chunk
    span = (len(model.pairs) + len(model.deletions) + 1) * (m + 1 + 2 * LANES)
    first = chunk * plan.chunk
    last = first + plan.chunk if first + plan.chunk < steps else steps
    copy(work.saved, (index * chunks + chunk) * size, work.state, 0, size)
    forward_steps(
        first,
        last,
        plain,
        plan,
        model,
        m,
        work.columns,
        work.rows,
        work.state,
        work.borders,
        index * span,
        (index + 1) * span,
        work.history,
        work.scores,
        index,
    )
    return first, last


@kernel
def recall(model, tables, plan, target, m, index, chunk, work):
    """Bring what forward found in a chunk of a tile back to work.history; work is as `forward` left it."""
    first_row = index * LANES * plan.height
    plain = plain_steps(first_row, plan.height, target.size, m, tables)
    fill_rows(work.rows, target, 0, target.size, first_row, plan.height, model, tables)
    forward_again(model, plan, plain, m, index, chunk, work)


@kernel
def backward(model, tables, plan, target, m, index, chunk, work, products, borders, norm, collected, gradient):
    """Backward over the chunks `chunk`, chunk - 1, ... of a tile; return the chunk to go on with, -1 if there is none.

    It stops where `collected` may have too little room for what a chunk finds. Tiles come from the last to the first,
    and each from its last chunk on. `work` is as `forward` left it, `products` a state and `borders` two borders of
    backward's own. See `kernels.pairhmm.backward_steps` for `norm`, `collected` and `gradient`.
    """
    n, first_row = target.size, index * LANES * plan.height
    size = m + 1 + 2 * LANES
    span = (len(model.pairs) + len(model.deletions) + 1) * size
    above, below = index % 2 * span, (index + 1) % 2 * span
    plain = plain_steps(first_row, plan.height, n, m, tables)
    if (chunk + 1) * plan.chunk >= m + LANES:
        fill_rows(work.rows, target, 0, n, first_row, plan.height, model, tables)
        clear_state(products, plan.height, model, log2_at(borders, below, model, size, m + LANES))
    while chunk >= 0 and collected.count[0] + plan.chunk * plan.height * LANES <= collected.place.size:
        first, last = forward_again(model, plan, plain, m, index, chunk, work)
        backward_steps(
            first,
            last,
            plain,
            plan,
            model,
            m,
            work.columns,
            work.rows,
            products,
            borders,
            below,
            above,
            work.history,
            norm,
            first_row,
            collected,
            gradient,
        )
        chunk -= 1
    return chunk
