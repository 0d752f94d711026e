"""Forward, backward and expected counts of a pair-HMM, sixteen cells at a time.

The recursions (Durbin et al., Biological Sequence Analysis, section 4.2, for any states) run over cells (i, j): i
letters of the target and j of the query are emitted, 0 <= i <= n and 0 <= j <= m. A state emits a pair ("xy"), a target
letter ("x") or a query letter ("y"); they are numbered in this order. Forward keeps, per cell, not the states' values v
but the sums that their successors need, into[t] = sum_s v[s] T[s, t]: then a successor loads one value instead of all
states'. Backward keeps u[t] = e[t] b[t], the emission times what follows.

Lanes. A tile is LANES * height rows. Lane l holds rows l * height ... (l + 1) * height - 1 of it, and at step tau works
on column tau - l: within a lane one goes down the rows, and only the last row's sums cross to the next lane, one step
later. So every load is a whole vector, and what waits for what is a register.

Range. Each lane has an exponent of its own (a whole power of two), renewed every `period` steps. Within a lane and a
period values stay apart by at most height * period steps' worth of factors, which the caller keeps within float64's
range; no value is ever rounded but by float64's own 53 bits.

Start and end. A weight a(i, j) lets an alignment start in a cell, a weight w(i, j) lets it end there; both are sums of
two products, a1(i) a1'(j) + a2(i) a2'(j), which is enough for global, local, glocal and overlap alignment alike. Tiles
and steps that hold no such cell run without these terms.
"""

from __future__ import annotations

import math

from . import layout
from ._jit import part
from .layout import CARRY, DAMPING, EXPONENT, LANES, NOTHING, RATIO, TOTAL, UNIT, WEIGHTS
from .simd import (
    add_each,
    add_outer,
    any_reaches,
    broadcast,
    clear,
    enter_first,
    enter_last,
    exit_first,
    exit_last,
    exponents_of,
    keep_apart,
    lane_zero,
    load,
    load_each,
    maximum,
    power_of_two,
    shift_down,
    shift_up,
    store,
    store_each,
    store_rows,
)
from .tuples import arrive, dot, dots, joined, leave, products, split, total, weighted, weighted_sum

border_size, step_size = part(layout.border_size), part(layout.step_size)

NEGLIGIBLE = 2.0**-200  # a path that changes no sum of counts, whatever it is divided by
FAR = 300.0  # units that differ by more are brought together before their values meet


@part
def two_to(exponent):
    return lane_zero(power_of_two(broadcast(exponent)))


@part
def log2_at(borders, border, model, size, column):
    """log2 of the largest sum that a border holds at a column, rounded down; NOTHING where there is none."""
    crossing = len(model.pairs) + len(model.deletions)
    largest = 0.0
    for k in range(crossing):
        if borders[border + k * size + column] > largest:
            largest = borders[border + k * size + column]
    exponent = lane_zero(exponents_of(broadcast(largest)))
    return NOTHING if exponent == NOTHING else exponent + borders[border + crossing * size + column]


@part
def clear_state(state, height, model, exponent):
    """Forget the sums of the last tile; every lane starts in the unit 2**exponent."""
    states = len(model.pairs) + len(model.deletions) + len(model.insertions)
    vectors = 2 * len(model.pairs) + len(model.deletions) + height * states
    clear(state, TOTAL, (1 + vectors) * LANES)
    unit = broadcast(0.0 if exponent == NOTHING else exponent)
    store(state, EXPONENT, unit)
    store(state, RATIO, broadcast(1.0))
    store(state, UNIT, power_of_two(unit * -1.0))


@part
def renew_exponents(state, height, model, backward, flowing):
    """Give every lane a unit in which its largest value, or what is about to enter it, is between 1 and 2.

    `flowing` is log2 of what enters the first lane (backward: the last) from the neighbouring tile.
    """
    keep_apart()
    crossing = len(model.pairs) + len(model.deletions)
    vectors = crossing + len(model.pairs) + height * (crossing + len(model.insertions))
    leaving = load(state, CARRY)
    for k in range(1, crossing):
        leaving = maximum(leaving, load(state, CARRY + k * LANES))
    largest = leaving
    for k in range(crossing, vectors):
        largest = maximum(largest, load(state, CARRY + k * LANES))
    old = load(state, EXPONENT)
    store(state, RATIO, exponents_of(largest) + old)
    store(state, UNIT, exponents_of(leaving) + old)
    # in the direction of flow: what is larger, the lane's own values or those that the neighbour sends
    entering, before = flowing, state[EXPONENT + (LANES - 1 if backward else 0)]
    for k in range(LANES):
        lane = LANES - 1 - k if backward else k
        own = state[RATIO + lane]
        chosen = own if own > entering else entering
        if chosen < 0.5 * NOTHING:
            chosen = before
        entering, before = state[UNIT + lane], chosen
        state[RATIO + lane] = chosen
    new = load(state, RATIO)
    factor = power_of_two(old + new * -1.0)
    for k in range(vectors):
        store(state, CARRY + k * LANES, load(state, CARRY + k * LANES) * factor)
    store(state, EXPONENT, new)
    receiving = shift_up(new, state[EXPONENT]) if backward else shift_down(new, state[EXPONENT + LANES - 1])
    store(state, RATIO, power_of_two(new + receiving * -1.0))
    store(state, UNIT, power_of_two(new * -1.0))


@part
def add_total(state, model, scores, row):
    """Move what has ended in the lanes into scores[row]: a mantissa and an exponent of two."""
    keep_apart()
    for lane in range(LANES):
        value, exponent = state[TOTAL + lane], state[EXPONENT + lane]
        if value > 0.0:
            if scores[row, 0] == 0.0 or exponent > scores[row, 1]:
                scores[row, 0] *= two_to(scores[row, 1] - exponent)
                scores[row, 1] = exponent
            value *= two_to(exponent - scores[row, 1])
            if model.best is None:
                scores[row, 0] += value
            elif value > scores[row, 0]:
                scores[row, 0] = value
            state[TOTAL + lane] = 0.0


@part
def forward_steps(first, last, plain, plan, model, m, work, above, below, row, keeping):
    """Run steps first ... last - 1 of a tile: forward sums from the border at `above` to the border at `below`.

    What ends is added to work.scores[row]. `keeping`: work.history takes the exponents of each step and what entered
    every state. `plain`: the steps from plain[0] to plain[1] - 1 hold no cell in which an alignment may start
    or end.
    """
    keep_apart()
    columns, rows, state, borders, history = work.columns, work.rows, work.state, work.borders, work.history
    pairs, crossing = len(model.pairs), len(model.pairs) + len(model.deletions)
    states = crossing + len(model.insertions)
    wide = len(model.letters) * pairs
    stride = (wide + len(model.deletions) + WEIGHTS) * LANES
    sums_at = CARRY + (crossing + pairs) * LANES
    width, size = m + 2 * LANES, m + 1 + 2 * LANES
    weights_at = (len(model.letters) + len(model.insertions)) * width
    kept = 0
    factor, factor_for = 0.0, math.nan
    for tau in range(first, last):
        base = m - tau + LANES
        letters = load_each(columns, base, width, model.letters)
        gap_y = load_each(columns, base + len(model.letters) * width, width, model.insertions)
        flowing = borders[above + crossing * size + tau + LANES]
        if flowing != factor_for:
            difference = flowing - state[EXPONENT]
            if difference > FAR or difference < -FAR:
                add_total(state, model, work.scores, row)
                renew_exponents(state, plan.height, model, False, log2_at(borders, above, model, size, tau + LANES))
            factor_for, factor = flowing, two_to(flowing - state[EXPONENT])
        ratio = load(state, RATIO)
        diagonal = load_each(state, CARRY + crossing * LANES, LANES, model.pairs)
        carried = products(load_each(state, CARRY, LANES, model.pairs), ratio)
        entering = enter_first(carried, borders, above + tau + LANES, size, factor)
        store_each(state, CARRY + crossing * LANES, entering)
        carried_x = products(load_each(state, CARRY + pairs * LANES, LANES, model.deletions), ratio)
        up = enter_first(carried_x, borders, above + pairs * size + tau + LANES, size, factor)
        if keeping:
            store(history, kept, load(state, EXPONENT))
            kept += LANES
        edges = tau < plain[0] or tau >= plain[1]
        for r in range(plan.height):
            at, sums = r * stride, sums_at + r * states * LANES
            emission = dots(rows, at, letters, model.pairs)
            gap_x = load_each(rows, at + wide * LANES, LANES, model.deletions)
            left = load_each(state, sums + crossing * LANES, LANES, model.insertions)
            next_diagonal = load_each(state, sums, LANES, model.pairs)
            entered = diagonal + up + left
            if keeping:
                store_each(history, kept, entered)
                kept += states * LANES
            value = products(emission + gap_x + gap_y, entered)
            into = leave(model.transitions, value, model.best)
            if edges:  # loaded here, row by row, so that steps without them have the registers
                start1, start2, end1, end2 = load_each(columns, base + weights_at, width, (0, 0, 0, 0))
                unit, before = load(state, UNIT), load(state, TOTAL)
                weight = load_each(rows, at + (wide + len(model.deletions)) * LANES, LANES, (0, 0, 0, 0))
                begin = (weight[0] * start1 + weight[1] * start2) * unit
                into = joined(into, weighted(model.start, begin), model.best)
                ended = weighted_sum(model.end, value, model.best) * (weight[2] * end1 + weight[3] * end2)
                store(state, TOTAL, before + ended if model.best is None else maximum(before, ended))
            store_each(state, sums, into)
            leaving, up, _ = split(into, model.pairs, model.deletions, model.insertions)
            diagonal = next_diagonal
        store_each(state, CARRY, leaving)
        store_each(state, CARRY + pairs * LANES, up)
        exit_last(borders, below + tau + 1, size, leaving + up)
        borders[below + crossing * size + tau + 1] = state[EXPONENT + LANES - 1]
        if (tau + 1) % plan.period == 0 or (tau < LANES and tau % plan.settling == 0):
            add_total(state, model, work.scores, row)
            renew_exponents(state, plan.height, model, False, log2_at(borders, above, model, size, tau + 1 + LANES))
            factor_for = math.nan


@part
def backward_steps(first, last, plain, plan, model, m, work, back, index, norm, collected, gradient):
    """Run steps last - 1 down to first of a tile: products from the border below to that above, times work.history.

    `norm` is the total probability, a mantissa and an exponent of two. `collected` takes the aligned pairs, `gradient`
    d ln P / d parameter for every number in the model and in the rows and columns (None: not asked for).
    """
    keep_apart()
    pairs, crossing = len(model.pairs), len(model.pairs) + len(model.deletions)
    states = crossing + len(model.insertions)
    wide = len(model.letters) * pairs
    record = wide + len(model.deletions)
    products_at = CARRY + (crossing + pairs) * LANES
    width, size = m + 2 * LANES, m + 1 + 2 * LANES
    weights_at = (len(model.letters) + len(model.insertions)) * width
    columns, rows, history, state, borders = work.columns, work.rows, work.history, back.state, back.borders
    above, below = index % 2 * border_size(model, m), (index + 1) % 2 * border_size(model, m)
    inverse = 1.0 / norm[0]
    factor, factor_for = 0.0, math.nan
    for tau in range(last - 1, first - 1, -1):
        base = m - tau + LANES
        letters = load_each(columns, base, width, model.letters)
        gap_y = load_each(columns, base + len(model.letters) * width, width, model.insertions)
        flowing = borders[below + crossing * size + tau + 1]
        if flowing != factor_for:
            difference = flowing - state[EXPONENT + LANES - 1]
            if difference > FAR or difference < -FAR:
                renew_exponents(state, plan.height, model, True, log2_at(borders, below, model, size, tau + 1))
            factor_for, factor = flowing, two_to(flowing - state[EXPONENT + LANES - 1])
        ratio = load(state, RATIO)
        diagonal = load_each(state, CARRY + crossing * LANES, LANES, model.pairs)
        carried = products(load_each(state, CARRY, LANES, model.pairs), ratio)
        entering = enter_last(carried, borders, below + tau + 1, size, factor)
        store_each(state, CARRY + crossing * LANES, entering)
        carried_x = products(load_each(state, CARRY + pairs * LANES, LANES, model.deletions), ratio)
        down = enter_last(carried_x, borders, below + pairs * size + tau + 1, size, factor)
        kept = (tau - first) * step_size(model, plan.height)
        forward_unit = load(history, kept) + broadcast(-norm[1])
        backward_unit = load(state, EXPONENT)
        scale = power_of_two(forward_unit + backward_unit) * inverse
        matched = load(back.column, base)
        edges = tau < plain[0] or tau >= plain[1]
        if gradient is not None:
            # where nothing follows, forward's value may be large in these units, and infinity times zero is no number
            damped = scale * DAMPING
            end_scale = power_of_two(forward_unit) * inverse
            start_scale = power_of_two(backward_unit + broadcast(-norm[1])) * inverse
            gap_total = load_each(gradient.columns, base, width, model.insertions)
        for r in range(plan.height - 1, -1, -1):
            at, stored = r * (record + WEIGHTS) * LANES, products_at + r * states * LANES
            gap_x = load_each(rows, at + wide * LANES, LANES, model.deletions)
            emission = dots(rows, at, letters, model.pairs) + gap_x + gap_y
            next_diagonal = load_each(state, stored, LANES, model.pairs)
            right = load_each(state, stored + crossing * LANES, LANES, model.insertions)
            entered = load_each(history, kept + (1 + r * states) * LANES, LANES, emission)
            following = diagonal + down + right
            rest = arrive(model.transitions, following, model.best)
            if edges:
                start1, start2, end1, end2 = load_each(columns, base + weights_at, width, (0, 0, 0, 0))
                unit = load(state, UNIT)
                weight = load_each(rows, at + record * LANES, LANES, (0, 0, 0, 0))
                ending = weight[2] * end1 + weight[3] * end2
                rest = joined(rest, weighted(model.end, ending * unit), None)
            product = products(emission, rest)
            store_each(state, stored, product)
            leaving, down, _ = split(product, model.pairs, model.deletions, model.insertions)
            diagonal = next_diagonal
            entered_pair, entered_x, entered_y = split(entered, model.pairs, model.deletions, model.insertions)
            probability = dot(entered_pair, leaving) * scale
            store(back.row, r * LANES, load(back.row, r * LANES) + probability)
            matched = matched + probability
            if collected is not None:  # noqa: SIM102 - Numba drops the branch by its type, if this stands alone
                if any_reaches(probability, collected.threshold):
                    store(state, TOTAL, probability)
                    _collect(state, index * LANES * plan.height + r - 1, tau - 1, plan.height, m, collected)
            if gradient is not None:  # noqa: SIM102 - as above
                # beside the likely paths there is nothing to add up; off the edges a bound of all that there is
                if edges or any_reaches(total(entered) * scale * total(following), NEGLIGIBLE):
                    value = products(emission, entered)
                    add_outer(gradient.model, 0, products(value, damped), following)
                    if edges:
                        beginning = (weight[0] * start1 + weight[1] * start2) * start_scale
                        add_each(gradient.model, states * states * LANES, products(following, beginning))
                        ended = products(value, ending * end_scale)
                        add_each(gradient.model, states * (states + 1) * LANES, ended)
                    rest_pair, rest_x, rest_y = split(rest, model.pairs, model.deletions, model.insertions)
                    through = products(products(entered_pair, rest_pair), scale)
                    add_outer(gradient.rows, r * record * LANES, through, letters)
                    add_each(gradient.rows, (r * record + wide) * LANES, products(products(entered_x, rest_x), scale))
                    gap_total = joined(gap_total, products(products(entered_y, rest_y), scale), None)
        if gradient is not None:
            store_rows(gradient.columns, base, width, gap_total)
        store(back.column, base, matched)
        store_each(state, CARRY, leaving)
        store_each(state, CARRY + pairs * LANES, down)
        exit_first(borders, above + tau + LANES, size, leaving + down)
        borders[above + crossing * size + tau + LANES] = state[EXPONENT]
        if tau % plan.period == 0 or (tau >= m and tau % plan.settling == 0):
            renew_exponents(state, plan.height, model, True, log2_at(borders, below, model, size, tau))
            factor_for = math.nan


@part
def _collect(state, row, column, height, m, collected):
    """Keep the lanes that reach the threshold; lane 0 is at (row, column)."""
    keep_apart()
    for lane in range(LANES):
        probability = state[TOTAL + lane]
        if probability >= collected.threshold and probability > 0.0:
            k = collected.count[0]
            collected.place[k] = (row + lane * height) * m + column - lane
            collected.value[k] = probability
            collected.count[0] = k + 1
