"""Convolutions over letters as sums of table rows, one for each group of neighbouring taps.

`words` (N, P) says for every position which row of a group's table its letters choose, times 32. The table is
(blocks, groups, rows, 32), flat: a block is 32 filters. `jump` is the distance of two groups of taps in positions, and
`step` that of two outputs.
"""

from __future__ import annotations

from typing import Any

from ._jit import kernel, part
from .channels import CHANNELS, in_every_channel, keep_larger, load_channels, settle, store_channels, stream_channels

_CHUNK = 128  # positions whose outputs are in a core's cache while the blocks of filters go over them


@part
def _sum_of_rows(table: Any, words: Any, n: Any, p: Any, jump: Any, groups: Any, group: Any, first: Any) -> Any:
    total = load_channels(table, first + words[n, p])
    for g in range(1, groups):
        total = total + load_channels(table, first + g * group + words[n, p + g * jump])
    return total


@kernel
def forward(
    words: Any,
    counts: Any,
    step: Any,
    jump: Any,
    table: Any,
    groups: Any,
    group: Any,
    filters: Any,
    outputs: Any,
    past_caches: Any,
) -> None:
    """Fill `outputs`, flat (N, T, filters) and 32 numbers of waste: `counts` outputs of every sequence, then zeros.

    A vector that has fewer than 32 filters spills into the next position, which is written after it: so the last block
    goes first, and positions go up. What the caches do not hold is better written past them, or every line would be
    read before: `past_caches`, where the outputs of a position are whole cache lines.
    """
    blocks = -(-filters // CHANNELS)
    longest = (outputs.size - CHANNELS) // (words.shape[0] * filters)
    for n in range(words.shape[0]):
        for begin in range(0, counts[n], _CHUNK):
            end = min(begin + _CHUNK, counts[n])
            for b in range(blocks - 1, -1, -1):
                first = b * groups * group
                for t in range(begin, end):
                    total = _sum_of_rows(table, words, n, t * step, jump, groups, group, first)
                    place = (n * longest + t) * filters + b * CHANNELS
                    if past_caches:
                        stream_channels(outputs, place, total)
                    else:
                        store_channels(outputs, place, total)
        for i in range((n * longest + counts[n]) * filters, (n + 1) * longest * filters):
            outputs[i] = 0
    settle()


@kernel
def backward(
    words: Any, counts: Any, step: Any, jump: Any, gradient: Any, groups: Any, group: Any, filters: Any, table: Any
) -> None:
    """Add d loss / d table to `table`, whose rows are as of `forward`, from d loss / d output, flat (N, T, filters).

    The lanes of a block beyond the last filter are waste.
    """
    blocks = -(-filters // CHANNELS)
    longest = gradient.size // (words.shape[0] * filters)
    for n in range(words.shape[0]):
        for begin in range(0, counts[n], _CHUNK):
            end = min(begin + _CHUNK, counts[n])
            for b in range(blocks):
                for t in range(begin, end):
                    source = (n * longest + t) * filters + b * CHANNELS
                    if source + CHANNELS > gradient.size:  # at the very end: what is there, one by one
                        for g in range(groups):
                            place = (b * groups + g) * group + words[n, t * step + g * jump]
                            for i in range(gradient.size - source):
                                table[place + i] += gradient[source + i]
                        continue
                    row = load_channels(gradient, source)
                    for g in range(groups):
                        place = (b * groups + g) * group + words[n, t * step + g * jump]
                        store_channels(table, place, load_channels(table, place) + row)


@kernel
def maximum(
    words: Any, counts: Any, step: Any, jump: Any, table: Any, groups: Any, group: Any, best: Any, where: Any
) -> None:
    """Fill `best` and `where`, flat (N, blocks * 32): the largest output of every filter, and the first such place."""
    blocks = table.size // (groups * group)
    for n in range(words.shape[0]):
        for b in range(blocks):
            first = b * groups * group
            high = _sum_of_rows(table, words, n, 0, jump, groups, group, first)
            place = in_every_channel(0)
            for t in range(1, counts[n]):
                total = _sum_of_rows(table, words, n, t * step, jump, groups, group, first)
                high, place = keep_larger(total, in_every_channel(t), high, place)
            store_channels(best, (n * blocks + b) * CHANNELS, high)
            store_channels(where, (n * blocks + b) * CHANNELS, place)


@kernel
def backward_of_places(codes: Any, symbols: Any, where: Any, gradient: Any, taps: Any, totals: Any) -> None:
    """Add d loss / d row to `totals` (width, symbols, filters), where each filter has one output a sequence.

    `where` and `gradient` are (N, filters); `taps` are the positions of the taps seen from `where`, times the stride.
    """
    stride, dilation, before = taps
    for n in range(where.shape[0]):
        for c in range(where.shape[1]):
            value = gradient[n, c]
            if value == 0:
                continue
            for tap in range(totals.shape[0]):
                at = where[n, c] * stride + tap * dilation - before
                if 0 <= at < codes.shape[1]:
                    totals[tap, symbols[codes[n, at]], c] += value
