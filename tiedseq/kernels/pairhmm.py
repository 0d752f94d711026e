"""Forward, backward and expected counts of a pair-HMM, sixteen cells at a time.

The recursions (Durbin et al., Biological Sequence Analysis, section 4.2, for any states) run over cells (i, j): i letters
of the target and j of the query are emitted, 0 <= i <= n and 0 <= j <= m. A state emits a pair ("xy"), a target letter
("x") or a query letter ("y"); they are numbered in this order. Forward keeps, per cell, not the states' values v but the
sums that their successors need, into[t] = sum_s v[s] T[s, t]: then a successor loads one value instead of all states'.
Backward keeps u[t] = e[t] b[t], the emission times what follows.

Lanes. A tile is LANES * height rows. Lane l holds rows l * height ... (l + 1) * height - 1 of it, and at step tau works on
column tau - l: within a lane one goes down the rows, and only the last row's sums cross to the next lane, one step later.
So every load is a whole vector, and what waits for what is a register.

Range. Each lane has an exponent of its own (a whole power of two), renewed every `period` steps. Within a lane and a
period values stay apart by at most height * period steps' worth of factors, which the caller keeps within float64's range
(`pairhmm._shape_for`); no value is ever rounded but by float64's own 53 bits.

Start and end. A weight a(i, j) lets an alignment start in a cell, a weight w(i, j) lets it end there; both are sums of two
products, a1(i) a1'(j) + a2(i) a2'(j), which is enough for global, local, glocal and overlap alignment alike. Tiles and
steps that hold no such cell run without these terms.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ._jit import part
from .simd import (
    LANES,
    add_each,
    add_outer,
    any_reaches,
    arrive,
    broadcast,
    dot,
    dots,
    enter_first,
    enter_last,
    exit_first,
    exit_last,
    exponents_of,
    joined,
    keep_apart,
    leave,
    load,
    load_each,
    maximum,
    power_of_two,
    products,
    shift_down,
    shift_up,
    split,
    store,
    store_each,
    store_rows,
    weighted,
    weighted_sum,
)

NOTHING = -1e9  # the exponent of zero
FAR = 300.0  # units that differ by more are brought together before their values meet


class Model(NamedTuple):
    """A model's numbers. Lengths of the tuples are part of the type: each set of them compiles once."""

    transitions: Any  # S rows of S floats, None where there is no such edge
    start: Any  # S floats
    end: Any  # S floats
    letters: Any  # as many zeros as letters
    pairs: Any  # as many zeros as xy states
    deletions: Any  # as many zeros as x states
    insertions: Any  # as many zeros as y states
    best: Any  # None: sums over alignments; 0: the largest term (Viterbi). Part of the type


class Rows(NamedTuple):
    """The target: what each row of cells emits. A symbol's row of a table serves every place where it occurs."""

    codes: Any  # int64 (n + 1,); row 0 emits nothing: the last symbol of the tables
    pair: Any  # float64 (symbols + 1, xy states * letters)
    gap: Any  # float64 (symbols + 1, x states)
    weight: Any  # float64 (n + 1, 4): a1, a2, w1, w2


class Columns(NamedTuple):
    """The query, reversed so that lanes find their columns side by side: column j at LANES + m - j, zeros around."""

    pair: Any  # float64 (letters, m + 2 LANES)
    gap: Any  # float64 (y states, m + 2 LANES)
    weight: Any  # float64 (4, m + 2 LANES): a1', a2', w1', w2'


class Tile(NamedTuple):
    """The working memory of a tile, vectors of lanes."""

    record: Any  # per row: pair emissions, gap emissions, forward sums, backward products
    weight: Any  # per row: a1, a2, w1, w2
    carry: Any  # what leaves the last row of each lane (xy and x states)
    pending: Any  # what will enter the xy states from the row above, one column to the left
    exponent: Any  # log2 of the unit that each lane's values are in
    ratio: Any  # the lane's unit over that of the neighbour it sends to
    unit: Any  # the value 1 in the lane's unit
    total: Any  # what has ended in each lane since the last renewal


class History(NamedTuple):
    """What forward left behind in a run of steps, for backward to multiply with."""

    value: Any  # per step and row: what entered each state
    exponent: Any  # per step: log2 of each lane's unit


class Border(NamedTuple):
    """The row between two tiles: sums (xy and x states, m + 1 + 2 LANES), column j at LANES + j, and log2 of their unit."""

    value: Any
    exponent: Any


@part
def fill(array, first, count, value):
    # loops rather than slices: Numba compiles NumPy's error messages into every slice assignment
    for k in range(first, first + count):
        array[k] = value


@part
def copy(source, source_first, target, target_first, count):
    for k in range(count):
        target[target_first + k] = source[source_first + k]


@part
def new_tile(height, model):
    states = len(model.pairs) + len(model.deletions) + len(model.insertions)
    stride = len(model.letters) * len(model.pairs) + len(model.deletions) + 2 * states
    crossing = len(model.pairs) + len(model.deletions)
    return Tile(
        _aligned(height * stride * LANES),
        _aligned(height * 4 * LANES),
        _aligned(crossing * LANES),
        _aligned(len(model.pairs) * LANES),
        _aligned(LANES),
        _aligned(LANES),
        _aligned(LANES),
        _aligned(LANES),
    )


@part
def _aligned(size):
    """Zeros that start at a cache line: a vector that straddles two costs twice."""
    memory = np.zeros(size + 8)
    offset = (-memory.ctypes.data % 64) // 8
    return memory[offset : offset + size]


@part
def fill_tile(tile, first_row, height, model, rows):
    """Write the emissions and weights of the tile's rows; rows beyond the last emit nothing."""
    wide = len(model.letters) * len(model.pairs)
    gaps = len(model.deletions)
    states = len(model.pairs) + gaps + len(model.insertions)
    stride = (wide + gaps + 2 * states) * LANES
    blank = rows.pair.shape[0] - 1
    for lane in range(LANES):
        for r in range(height):
            i = first_row + lane * height + r
            code = rows.codes[i] if i < rows.codes.size else blank
            at = r * stride + lane
            for k in range(wide):
                tile.record[at + k * LANES] = rows.pair[code, k]
            for k in range(gaps):
                tile.record[at + (wide + k) * LANES] = rows.gap[code, k]
            for k in range(4):
                tile.weight[(r * 4 + k) * LANES + lane] = rows.weight[i, k] if i < rows.codes.size else 0.0


@part
def clear_tile(tile, height, model, backward, exponent):
    """Forget the sums (or, backward, the products) of the last tile; every lane starts in the unit 2**exponent."""
    exponent = 0.0 if exponent == NOTHING else exponent
    states = len(model.pairs) + len(model.deletions) + len(model.insertions)
    at = len(model.letters) * len(model.pairs) + len(model.deletions) + (states if backward else 0)
    stride = (len(model.letters) * len(model.pairs) + len(model.deletions) + 2 * states) * LANES
    for r in range(height):
        fill(tile.record, r * stride + at * LANES, states * LANES, 0.0)
    for part in (tile.carry, tile.pending, tile.total):
        fill(part, 0, part.size, 0.0)
    fill(tile.exponent, 0, LANES, exponent)
    fill(tile.ratio, 0, LANES, 1.0)
    fill(tile.unit, 0, LANES, _two_to(-exponent))


@part
def renew_exponents(tile, height, model, score, backward, flowing):
    """Give every lane a unit in which its largest value, or what is about to enter it, is between 1 and 2.

    `flowing` is log2 of what enters the first lane (backward: the last) from the neighbouring tile.
    """
    states = len(model.pairs) + len(model.deletions) + len(model.insertions)
    crossing = len(model.pairs) + len(model.deletions)
    at = (len(model.letters) * len(model.pairs) + len(model.deletions) + (states if backward else 0)) * LANES
    stride = (len(model.letters) * len(model.pairs) + len(model.deletions) + 2 * states) * LANES
    _add_total(tile, model, score)
    leaving = load(tile.carry, 0)
    for k in range(1, crossing):
        leaving = maximum(leaving, load(tile.carry, k * LANES))
    largest = leaving
    for k in range(len(model.pairs)):
        largest = maximum(largest, load(tile.pending, k * LANES))
    for r in range(height):
        for k in range(states):
            largest = maximum(largest, load(tile.record, r * stride + at + k * LANES))
    old = load(tile.exponent, 0)
    own = exponents_of(largest) + old
    store(tile.ratio, 0, own)
    store(tile.unit, 0, exponents_of(leaving) + old)
    # in the direction of flow: what is larger, the lane's own values or those that the neighbour sends
    entering, before = flowing, tile.exponent[LANES - 1 if backward else 0]
    for k in range(LANES):
        lane = LANES - 1 - k if backward else k
        chosen = max(tile.ratio[lane], entering)
        if chosen < 0.5 * NOTHING:
            chosen = before
        entering, before = tile.unit[lane], chosen
        tile.ratio[lane] = chosen
    new = load(tile.ratio, 0)
    factor = power_of_two(old + new * -1.0)
    for k in range(crossing):
        store(tile.carry, k * LANES, load(tile.carry, k * LANES) * factor)
    for k in range(len(model.pairs)):
        store(tile.pending, k * LANES, load(tile.pending, k * LANES) * factor)
    for r in range(height):
        for k in range(states):
            place = r * stride + at + k * LANES
            store(tile.record, place, load(tile.record, place) * factor)
    store(tile.exponent, 0, new)
    if backward:
        receiving = shift_up(new, tile.exponent[0])
    else:
        receiving = shift_down(new, tile.exponent[LANES - 1])
    store(tile.ratio, 0, power_of_two(new + receiving * -1.0))
    store(tile.unit, 0, power_of_two(new * -1.0))


@part
def _two_to(exponent):
    return math.ldexp(1.0, int(min(max(exponent, -1100.0), 1000.0)))


@part
def _add_total(tile, model, score):
    """Move what has ended in the lanes into `score`: a mantissa and an exponent of two."""
    for lane in range(LANES):
        value = tile.total[lane]
        if value > 0.0:
            exponent = tile.exponent[lane]
            if score[0] == 0.0 or exponent > score[1]:
                score[0] *= _two_to(score[1] - exponent)
                score[1] = exponent
            value *= _two_to(exponent - score[1])
            if model.best is None:
                score[0] += value
            else:
                score[0] = max(score[0], value)
            tile.total[lane] = 0.0


@part
def _log2_at(border, column):
    """log2 of the largest sum that a border holds at a column, rounded down; NOTHING where there is none."""
    largest = 0.0
    for k in range(border.value.shape[0]):
        largest = max(largest, border.value[k, column])
    return math.floor(math.log2(largest)) + border.exponent[column] if largest > 0.0 else NOTHING


@part
def forward_steps(first, last, origin, height, period, settling, model, columns, tile, above, below, history, score, edges):
    """Run steps first ... last - 1 of a tile: forward sums from the row above to the row below.

    `history`, if it has room, takes what entered every state and the exponents of each step, counted from `origin`.
    `edges`: whether an alignment may start or end in some cell of these steps.
    """
    wide = len(model.letters) * len(model.pairs)
    keep_apart()
    states = len(model.pairs) + len(model.deletions) + len(model.insertions)
    sums_at = (wide + len(model.deletions)) * LANES
    left_at = sums_at + (states - len(model.insertions)) * LANES
    stride = sums_at + 2 * states * LANES
    width = columns.pair.shape[1]
    size = above.value.shape[1]
    m = width - 2 * LANES
    keeping = history.value.size > 0
    kept = 0
    factor, factor_for = 0.0, math.nan
    for tau in range(first, last):
        base = m - tau + LANES
        letters = load_each(columns.pair, base, width, model.letters)
        gap_y = load_each(columns.gap, base, width, model.insertions)
        if above.exponent[tau + LANES] != factor_for:
            factor_for = above.exponent[tau + LANES]
            if abs(factor_for - tile.exponent[0]) > FAR:
                renew_exponents(tile, height, model, score, False, _log2_at(above, tau + LANES))
            factor = _two_to(factor_for - tile.exponent[0])
        ratio = load(tile.ratio, 0)
        crossing = len(model.pairs)
        diagonal = load_each(tile.pending, 0, LANES, model.pairs)
        carried = products(load_each(tile.carry, 0, LANES, model.pairs), ratio)
        store_each(tile.pending, 0, enter_first(carried, above.value, tau + LANES, size, factor))
        carried_x = products(load_each(tile.carry, crossing * LANES, LANES, model.deletions), ratio)
        up = enter_first(carried_x, above.value, crossing * size + tau + LANES, size, factor)
        if keeping:
            store(history.exponent, (tau - origin) * LANES, load(tile.exponent, 0))
            kept = (tau - origin) * height * states * LANES
        start1, start2, end1, end2 = load_each(columns.weight, base, width, (0, 0, 0, 0))
        unit = load(tile.unit, 0)
        total = load(tile.total, 0)
        for r in range(height):
            at = r * stride
            emission = dots(tile.record, at, letters, model.pairs)
            gap_x = load_each(tile.record, at + wide * LANES, LANES, model.deletions)
            left = load_each(tile.record, at + left_at, LANES, model.insertions)
            next_diagonal = load_each(tile.record, at + sums_at, LANES, model.pairs)
            entering = diagonal + up + left
            if keeping:
                store_each(history.value, kept, entering)
                kept += states * LANES
            value = products(emission + gap_x + gap_y, entering)
            into = leave(model.transitions, value, model.best)
            if edges:
                weight = load_each(tile.weight, r * 4 * LANES, LANES, (0, 0, 0, 0))
                begin = (weight[0] * start1 + weight[1] * start2) * unit
                into = joined(into, weighted(model.start, begin), model.best)
                ended = weighted_sum(model.end, value, model.best) * (weight[2] * end1 + weight[3] * end2)
                if model.best is None:
                    total = total + ended
                else:
                    total = maximum(total, ended)
            store_each(tile.record, at + sums_at, into)
            leaving, up, _ = split(into, model.pairs, model.deletions, model.insertions)
            diagonal = next_diagonal
        store(tile.total, 0, total)
        store_each(tile.carry, 0, leaving)
        store_each(tile.carry, crossing * LANES, up)
        exit_last(below.value, tau + 1, size, leaving + up)
        below.exponent[tau + 1] = tile.exponent[LANES - 1]
        if (tau + 1) % period == 0 or (tau < LANES and tau % settling == 0):
            renew_exponents(tile, height, model, score, False, _log2_at(above, tau + 1 + LANES))
            factor_for = math.nan


@part
def backward_steps(
    first, last, origin, height, period, settling, model, columns, tile, below, above, history, norm, posterior, gradient, edges
):
    """Run steps last - 1 down to first: backward products from the row below to the row above, times `history`.

    `norm` is the total probability, a mantissa and an exponent of two. `posterior` collects the aligned pairs. `gradient`
    (None: not asked for) collects d ln P / d parameter for every number in the model and in the rows and columns.
    """
    wide = len(model.letters) * len(model.pairs)
    crossing = len(model.pairs) + len(model.deletions)
    states = crossing + len(model.insertions)
    products_at = (wide + len(model.deletions) + states) * LANES
    stride = products_at + states * LANES
    width = columns.pair.shape[1]
    size = above.value.shape[1]
    m = width - 2 * LANES
    inverse = 1.0 / norm[0]
    keep_apart()
    factor, factor_for = 0.0, math.nan
    for tau in range(last - 1, first - 1, -1):
        base = m - tau + LANES
        letters = load_each(columns.pair, base, width, model.letters)
        gap_y = load_each(columns.gap, base, width, model.insertions)
        if below.exponent[tau + 1] != factor_for:
            factor_for = below.exponent[tau + 1]
            if abs(factor_for - tile.exponent[LANES - 1]) > FAR:
                renew_exponents(tile, height, model, norm, True, _log2_at(below, tau + 1))
            factor = _two_to(factor_for - tile.exponent[LANES - 1])
        ratio = load(tile.ratio, 0)
        diagonal = load_each(tile.pending, 0, LANES, model.pairs)
        carried = products(load_each(tile.carry, 0, LANES, model.pairs), ratio)
        store_each(tile.pending, 0, enter_last(carried, below.value, tau + 1, size, factor))
        carried_x = products(load_each(tile.carry, len(model.pairs) * LANES, LANES, model.deletions), ratio)
        down = enter_last(carried_x, below.value, len(model.pairs) * size + tau + 1, size, factor)
        forward_unit = load(history.exponent, (tau - origin) * LANES) + broadcast(-norm[1])
        backward_unit = load(tile.exponent, 0)
        scale = power_of_two(forward_unit + backward_unit) * inverse
        matched = load(posterior.column, base)
        start1, start2, end1, end2 = load_each(columns.weight, base, width, (0, 0, 0, 0))
        unit = load(tile.unit, 0)
        if gradient is not None:
            end_scale = power_of_two(forward_unit) * inverse
            start_scale = power_of_two(backward_unit + broadcast(-norm[1])) * inverse
        if gradient is not None:
            gap_total = load_each(gradient.gap_y, base, width, model.insertions)
        for r in range(height - 1, -1, -1):
            at = r * stride
            gap_x = load_each(tile.record, at + wide * LANES, LANES, model.deletions)
            emission = dots(tile.record, at, letters, model.pairs) + gap_x + gap_y
            next_diagonal = load_each(tile.record, at + products_at, LANES, model.pairs)
            right = load_each(tile.record, at + products_at + crossing * LANES, LANES, model.insertions)
            entered = load_each(history.value, ((tau - origin) * height + r) * states * LANES, LANES, emission)
            following = diagonal + down + right
            rest = arrive(model.transitions, following, model.best)
            if edges:
                weight = load_each(tile.weight, r * 4 * LANES, LANES, (0, 0, 0, 0))
                ending = weight[2] * end1 + weight[3] * end2
                rest = joined(rest, weighted(model.end, ending * unit), None)
            product = products(emission, rest)
            store_each(tile.record, at + products_at, product)
            leaving, down, _ = split(product, model.pairs, model.deletions, model.insertions)
            diagonal = next_diagonal
            entered_pair, entered_x, entered_y = split(entered, model.pairs, model.deletions, model.insertions)
            probability = dot(entered_pair, leaving) * scale
            store(posterior.row, r * LANES, load(posterior.row, r * LANES) + probability)
            matched = matched + probability
            if any_reaches(probability, posterior.threshold[0]):
                store(posterior.cell, 0, probability)
                _collect(posterior, r, tau, height, m)
            if gradient is not None:
                value = products(emission, entered)
                add_outer(gradient.transitions, 0, products(value, scale), following)
                if edges:
                    weight = load_each(tile.weight, r * 4 * LANES, LANES, (0, 0, 0, 0))
                    ending = weight[2] * end1 + weight[3] * end2
                    beginning = (weight[0] * start1 + weight[1] * start2) * start_scale
                    add_each(gradient.start, 0, products(following, beginning))
                    add_each(gradient.end, 0, products(value, ending * end_scale))
                rest_pair, rest_x, rest_y = split(rest, model.pairs, model.deletions, model.insertions)
                add_outer(gradient.pair, r * wide * LANES, products(products(entered_pair, rest_pair), scale), letters)
                add_each(gradient.gap_x, r * len(model.deletions) * LANES, products(products(entered_x, rest_x), scale))
                gap_total = joined(gap_total, products(products(entered_y, rest_y), scale), None)
        if gradient is not None:
            store_rows(gradient.gap_y, base, width, gap_total)
        store(posterior.column, base, matched)
        store_each(tile.carry, 0, leaving)
        store_each(tile.carry, len(model.pairs) * LANES, down)
        exit_first(above.value, tau + LANES, size, leaving + down)
        above.exponent[tau + LANES] = tile.exponent[0]
        if tau % period == 0 or (tau >= m and tau % settling == 0):
            renew_exponents(tile, height, model, norm, True, _log2_at(below, tau))
            factor_for = math.nan


@part
def _collect(posterior, r, tau, height, m):
    """Keep the lanes of posterior.cell that reach the threshold, as (row, column, probability)."""
    for lane in range(LANES):
        probability = posterior.cell[lane]
        if probability >= posterior.threshold[0] and probability > 0.0:
            k = posterior.count[0]
            posterior.found_row[k] = posterior.first_row[0] + lane * height + r - 1
            posterior.found_column[k] = tau - lane - 1
            posterior.found_value[k] = probability
            posterior.count[0] = k + 1
