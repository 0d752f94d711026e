"""Convolutions over numbers: what the filters see side by side, and one matrix product."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .window import Window

Array = NDArray[Any]

_OUTPUTS = 1024  # in one product: what they see is copied, and shall stay near the core


def padded(values: Array, window: Window) -> Array:
    """Return (N, before + L + after, channels), zeros at both ends."""
    if not window.before and not window.after:
        return values
    return np.pad(values, ((0, 0), (window.before, window.after), (0, 0)))


def seen_by(values: Array, tap: int, outputs: int, window: Window) -> Array:
    """Return a view (N, outputs, channels): what a tap sees, of padded values."""
    first = tap * window.dilation
    return values[:, first : first + (outputs - 1) * window.stride + 1 : window.stride]


def seen(values: Array, outputs: int, window: Window) -> Array:
    """Return a view (N, outputs, width, channels): what all taps see, of padded values."""
    sequence, position, channel = values.strides
    strides = (sequence, position * window.stride, position * window.dilation, channel)
    shape = (len(values), outputs, window.width, values.shape[2])
    return np.lib.stride_tricks.as_strided(values, shape, strides, writeable=False)


class _Blocks:
    """Some sequences and some of their outputs at a time, and memory for what these see, which is used again."""

    def __init__(self, values: Array, outputs: int, window: Window) -> None:
        self.view, self.outputs = seen(values, outputs, window), outputs
        self.sequences = max(1, _OUTPUTS // outputs)
        self.memory = np.empty((self.sequences * min(outputs, _OUTPUTS), *self.view.shape[2:]), values.dtype)

    def __iter__(self) -> Iterator[tuple[slice, slice, slice]]:
        """Yield the sequences, their outputs, and where these are if all outputs stand in a row."""
        for n in range(0, len(self.view), self.sequences):
            rows = slice(n, min(n + self.sequences, len(self.view)))
            for t in range(0, self.outputs, _OUTPUTS):
                columns = slice(t, min(t + _OUTPUTS, self.outputs))
                yield rows, columns, slice(n * self.outputs + t, (rows.stop - 1) * self.outputs + columns.stop)

    def matrix(self, rows: slice, columns: slice) -> Array:
        """Return what the outputs of a block see, one a row, until the next call."""
        view = self.view[rows, columns]
        found = self.memory[: view.shape[0] * view.shape[1]]
        np.copyto(found.reshape(view.shape), view)
        return found.reshape(len(found), -1)


def forward(values: Array, weight: Array, window: Window, bias: Array | None = None) -> Array:
    """Return (N, outputs, filters) of values (N, L, channels), weights (width, channels, filters) and biases."""
    from tiedseq.kernels.memory import recycled

    outputs, filters = int(window.outputs(values.shape[1])), weight.shape[2]
    blocks, by_tap = _Blocks(padded(values, window), outputs, window), weight.reshape(-1, filters)
    found = recycled(len(values) * outputs * filters, weight.dtype).reshape(-1, filters)
    for rows, columns, place in blocks:
        part = np.matmul(blocks.matrix(rows, columns), by_tap, out=found[place])
        if bias is not None:
            part += bias
    return found.reshape(len(values), outputs, filters)


def backward(values: Array, weight: Array, gradient: Array, window: Window) -> tuple[Array, Array, Array]:
    """Return d loss / d values, d loss / d weight and d loss / d bias from d loss / d output."""
    outputs, filters, source = gradient.shape[1], weight.shape[2], padded(values, window)
    blocks, by_tap = _Blocks(source, outputs, window), weight.reshape(-1, filters)
    flat = gradient.reshape(-1, filters)
    back, of_taps, of_bias = np.zeros_like(source), np.zeros_like(by_tap), np.zeros(filters, weight.dtype)
    for rows, columns, place in blocks:
        part, shape = flat[place], blocks.view[rows, columns].shape
        of_bias += np.ones(len(part), part.dtype) @ part
        of_taps += blocks.matrix(rows, columns).T @ part
        shares = np.matmul(part, by_tap.T, out=blocks.memory.reshape(len(blocks.memory), -1)[: len(part)])
        reached = back[rows, columns.start * window.stride :]
        for tap in range(window.width):
            seen_by(reached, tap, shape[1], window)[...] += shares.reshape(shape)[:, :, tap]
    return back[:, window.before : window.before + values.shape[1]], of_taps.reshape(weight.shape), of_bias
