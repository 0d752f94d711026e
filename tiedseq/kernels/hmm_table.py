"""Likelihoods of observations from their logarithms, as the passes of an HMM want them."""

from __future__ import annotations

import math

from ._jit import kernel, part
from .hmm_layout import FOUR
from .layout import LANES
from .rows import set_rows
from .simd import broadcast, clear, copy, load, load_each, maximum, power_of_two, store

BLOCK = 4 * LANES  # observations that are worked on together

_LOWEST = -1.7976931348623157e308  # stands for minus infinity, which cannot be subtracted from itself
_LOG2_E = 1.4426950408889634
_WHOLE = 6755399441055744.0  # 1.5 * 2^52: added and subtracted again, it leaves a whole number
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # the former times a whole number is exact
_SERIES = tuple(1.0 / n for n in (479001600, 39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2, 1, 1))


@part
def exponential(x):
    """e^x to the last digit or two; zero below -708.

    x = k ln 2 + r, and e^r is its Taylor series: where |r| < 0.35, what follows r^13 is below rounding.
    """
    x = maximum(x, broadcast(-1000.0))
    k = (x * _LOG2_E + _WHOLE) + -_WHOLE
    r = x + k * -_LN2_HIGH + k * -_LN2_LOW
    total = broadcast(1.0 / 6227020800)
    for coefficient in _SERIES:
        total = total * r + coefficient
    return total * power_of_two(k)


@kernel
def fill_table(logs, table, log_scale, block, which):
    """From logs (states, N): log_scale[n] is the largest of an observation; the table gets all of them over this.

    table: for every observation a multiple of four, and as many at the end, which become zero. Scratch: block, as many
    and one more times BLOCK, and which (16,).
    """
    states, length = logs.shape
    emitting = table.size // (length + 1)
    clear(table, length * emitting, emitting)
    for s in range(states, emitting):
        for u in range(0, BLOCK, LANES):
            store(block, s * BLOCK + u, broadcast(0.0))
    for first in range(0, length, BLOCK):
        count = min(BLOCK, length - first)
        for s in range(states):
            for u in range(count, BLOCK):
                block[s * BLOCK + u] = -math.inf
            copy(logs, s * length + first, block, s * BLOCK, count)
        for u in range(0, count, LANES):
            top = broadcast(_LOWEST)
            for s in range(states):
                top = maximum(load(block, s * BLOCK + u), top)
            store(block, emitting * BLOCK + u, top)
            for s in range(states):
                store(block, s * BLOCK + u, exponential(load(block, s * BLOCK + u) + top * -1.0))
            for lane in range(LANES):
                which[lane] = min(first + u + lane, length) * emitting
            for g in range(0, emitting, FOUR):
                set_rows(table, which, 0, g, load_each(block, g * BLOCK + u, BLOCK, (0, 0, 0, 0)))
        for n in range(count):
            top_here = block[emitting * BLOCK + n]
            log_scale[first + n] = top_here if top_here > _LOWEST else 0.0
