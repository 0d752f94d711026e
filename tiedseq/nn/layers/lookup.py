"""Convolutions over letters: rows of tables instead of products with ones and zeros.

Neighbouring taps are taken in groups. For every word of letters that a group can see, its table holds the sum of the
taps' weights, so that an output is the sum of one row a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Alphabet
from tiedseq.nn.signal import letter_table, padding

from .window import Window

Array = NDArray[Any]

_MOST_TAPS = 4  # in a group
_TABLE_ROWS = 1024  # of all groups, for a block of filters: 128 KiB in float32, which stays near the core
_SUMMED = 1 << 16  # derivatives in float32 at most: of equal ones, the last bits of a longer sum would be lost
_LARGE = 4 << 20  # bytes of outputs that leave a core's cache before the next layer reads them


@dataclass(frozen=True)
class Reading:
    """The letters of a batch as the kernels want them.

    Attributes
    ----------
    codes : uint8 (N, L)
    counts : int64 (N,)
        Outputs of every sequence.
    window : Window
    filters : int
    symbols : uint8 (n_symbols + 1,)
        The number of every symbol, and of the padding, among those that are there.
    shares : float64 (symbols, letters)
        What each of these counts as.
    group : int
        Neighbouring taps in a group.
    words : int32 (N, P)
        The row of a group's table that a position chooses, times the lanes of a row. Positions include the padding.
    """

    codes: Array
    counts: Array
    window: Window
    filters: int
    symbols: Array
    shares: Array
    group: int
    words: Array

    @classmethod
    def of(cls, codes: Array, counts: Array, alphabet: Alphabet, window: Window, filters: int) -> Reading:
        """Number the symbols that are there, choose groups, and spell their words."""
        edge = padding(alphabet)
        present = np.bincount(codes.ravel(), minlength=edge + 1) > 0
        present[edge] = window.before or window.after  # else no output sees it
        if not present.any():
            present[0] = True
        symbols = np.where(present, np.cumsum(present) - 1, 0).astype(np.uint8)
        radix = int(present.sum())
        group = _group_of(radix, window.width, codes.size)
        words = _words(codes, symbols, int(symbols[edge]), window, group, radix)
        return cls(codes, counts, window, filters, symbols, letter_table(alphabet, float)[present], group, words)

    @property
    def groups(self) -> int:
        return -(-self.window.width // self.group)

    @property
    def blocks(self) -> int:
        from tiedseq.kernels.channels import CHANNELS

        return -(-self.filters // CHANNELS)

    @property
    def geometry(self) -> tuple[Array, Array, int, int]:
        """What the kernels want to know of positions: words, counts, step, jump."""
        return self.words, self.counts, self.window.stride, self.group * self.window.dilation

    def zeros(self, dtype: Any) -> Array:
        """A table (blocks, groups, rows, lanes) from the beginning of a cache line on."""
        from tiedseq.kernels.channels import CHANNELS
        from tiedseq.kernels.memory import aligned_zeros_of

        return aligned_zeros_of((self.blocks, self.groups, len(self.shares) ** self.group, CHANNELS), dtype)


def _group_of(radix: int, width: int, positions: int) -> int:
    """Return how many taps to take at once: few rows are added then, but tables grow, and have to be made."""
    fitting = (
        group
        for group in range(min(width, _MOST_TAPS), 1, -1)
        if -(-width // group) * radix**group <= _TABLE_ROWS and radix**group * group <= positions
    )
    return next(fitting, 1)


def _words(codes: Array, symbols: Array, edge: int, window: Window, group: int, radix: int) -> Array:
    from tiedseq.kernels.channels import CHANNELS

    inside = window.before + codes.shape[1] + window.after
    filled = -(-window.width // group) * group - window.width  # taps of the last group that are none, and weigh nothing
    places = np.full((len(codes), inside + filled * window.dilation), edge, np.uint8)
    places[:, window.before : window.before + codes.shape[1]] = symbols[codes]
    length = places.shape[1] - (group - 1) * window.dilation
    words = places[:, :length].astype(np.int32)
    for tap in range(1, group):
        words *= radix
        words += places[:, tap * window.dilation : tap * window.dilation + length]
    words *= CHANNELS
    return words


def forward(reading: Reading, weight: Array, bias: Array | None = None) -> Array:
    """Return (N, outputs, filters), zero beyond `counts`, of weights (width, letters, filters) and biases."""
    from tiedseq.kernels import convolution
    from tiedseq.kernels.channels import CHANNELS
    from tiedseq.kernels.memory import LINE, recycled

    table = _table(reading, weight, bias)
    shape = (len(reading.codes), int(reading.window.outputs(reading.codes.shape[1])), reading.filters)
    values = recycled(int(np.prod(shape)) + CHANNELS, weight.dtype)
    past_caches = values.nbytes >= _LARGE and values.ctypes.data % LINE == 0 == shape[2] * values.itemsize % LINE
    convolution.forward(*reading.geometry, table.ravel(), *_sizes(table), reading.filters, values, past_caches)
    return values[:-CHANNELS].reshape(shape)


def backward(reading: Reading, gradient: Array) -> list[Array]:
    """Return d loss / d weight and d loss / d bias, float64, from d loss / d output."""
    at_once = max(1, _SUMMED // len(gradient))
    total: Array = np.zeros(())
    for first in range(0, gradient.shape[1], at_once):
        total = total + _backward_of_some(reading, gradient[:, first : first + at_once], first)
    return [_of_letters(reading, total), total[0].sum(axis=0)]


def _backward_of_some(reading: Reading, gradient: Array, first: int) -> Array:
    """(width, symbols, filters), float64: what some of the outputs, from `first` on, add to the derivatives."""
    from tiedseq.kernels import convolution

    words, counts, step, jump = reading.geometry
    counts = np.clip(counts - first, 0, gradient.shape[1])
    last = first + gradient.shape[1] - 1
    words = words[:, first * step : last * step + (reading.groups - 1) * jump + 1]
    table = reading.zeros(gradient.dtype)
    flat = np.ascontiguousarray(gradient).ravel()
    convolution.backward(
        np.ascontiguousarray(words), counts, step, jump, flat, *_sizes(table), reading.filters, table.ravel()
    )
    return _by_tap(reading, table.astype(np.float64))


def maximum(reading: Reading, weight: Array, bias: Array | None = None) -> tuple[Array, Array]:
    """Return the largest output of every filter, (N, filters), and the first position that has it."""
    from tiedseq.kernels import convolution
    from tiedseq.kernels.channels import CHANNELS

    table = _table(reading, weight, bias)
    shape = (len(reading.codes), reading.blocks * CHANNELS)
    best, where = np.empty(shape, weight.dtype), np.empty(shape, np.int32)
    convolution.maximum(*reading.geometry, table.ravel(), *_sizes(table), best.ravel(), where.ravel())
    return best[:, : reading.filters], where[:, : reading.filters]


def backward_of_maximum(reading: Reading, where: Array, gradient: Array) -> list[Array]:
    """Return d loss / d weight and d loss / d bias from d loss / d maximum, (N, filters), and where that is."""
    from tiedseq.kernels import convolution

    window = reading.window
    of_symbols = np.zeros((window.width, len(reading.shares), reading.filters), gradient.dtype)
    taps = (window.stride, window.dilation, window.before)
    codes, where, gradient = map(np.ascontiguousarray, (reading.codes, where, gradient))
    convolution.backward_of_places(codes, reading.symbols, where, gradient, taps, of_symbols)
    return [_of_letters(reading, of_symbols), gradient.sum(axis=0)]


def _sizes(table: Array) -> tuple[int, int]:
    """Groups, and numbers in the table of one group."""
    return table.shape[1], table.shape[2] * table.shape[3]


def _table(reading: Reading, weight: Array, bias: Array | None) -> Array:
    """The sums of all words of every group; the bias is in the first group's."""
    table = reading.zeros(weight.dtype)
    blocks, groups, _, lanes = table.shape
    taps = np.zeros((groups * reading.group, len(reading.shares), blocks * lanes), weight.dtype)
    taps[: len(weight), :, : reading.filters] = reading.shares.astype(weight.dtype) @ weight
    if bias is not None:
        taps[0, :, : reading.filters] += bias
    rows = taps.reshape(groups, reading.group, -1, blocks, lanes).transpose(1, 3, 0, 2, 4)  # tap, block, group, symbol
    sums = rows[0]
    for tap in rows[1:]:
        sums = (sums[:, :, :, None] + tap[:, :, None]).reshape(blocks, groups, -1, lanes)
    table[...] = sums
    return table


def _by_tap(reading: Reading, table: Array) -> Array:
    """Return (width, symbols, filters) from the derivatives in the tables' rows: the adjoint of `_table`."""
    blocks, groups, _, lanes = table.shape
    words = table.reshape(blocks, groups, *(len(reading.shares),) * reading.group, lanes)
    digits = range(2, 2 + reading.group)
    taps = np.stack([words.sum(axis=tuple(digit for digit in digits if digit != kept)) for kept in digits])
    ordered = taps.transpose(2, 0, 3, 1, 4)  # group, tap, symbol, block, lane
    flat = ordered.reshape(groups * reading.group, len(reading.shares), blocks * lanes)
    return flat[: reading.window.width, :, : reading.filters]


def _of_letters(reading: Reading, of_symbols: Array) -> Array:
    found: Array = reading.shares.T.astype(of_symbols.dtype) @ of_symbols
    return found
