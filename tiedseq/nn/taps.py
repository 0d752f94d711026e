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


def _blocks(sequences: int, outputs: int) -> Iterator[tuple[slice, slice, slice]]:
    """Some sequences, some of their outputs, and where these are if all outputs stand in a row."""
    several = max(1, _OUTPUTS // outputs)
    for n in range(0, sequences, several):
        rows = slice(n, min(n + several, sequences))
        for t in range(0, outputs, _OUTPUTS):
            columns = slice(t, min(t + _OUTPUTS, outputs))
            yield rows, columns, slice(n * outputs + t, (rows.stop - 1) * outputs + columns.stop)


def forward(values: Array, weight: Array, window: Window) -> Array:
    """Return (N, outputs, filters) of values (N, L, channels) and weights (width, channels, filters)."""
    from tiedseq.kernels.memory import recycled

    outputs, filters = int(window.outputs(values.shape[1])), weight.shape[2]
    view, matrix = seen(padded(values, window), outputs, window), weight.reshape(-1, filters)
    found = recycled(len(values) * outputs * filters, weight.dtype).reshape(-1, filters)
    for rows, columns, place in _blocks(len(values), outputs):
        np.matmul(view[rows, columns].reshape(-1, len(matrix)), matrix, out=found[place])
    return found.reshape(len(values), outputs, filters)


def backward(values: Array, weight: Array, gradient: Array, window: Window) -> tuple[Array, Array]:
    """Return d loss / d values and d loss / d weight from d loss / d output."""
    outputs, source = gradient.shape[1], padded(values, window)
    view, matrix = seen(source, outputs, window), weight.reshape(-1, weight.shape[2])
    flat = gradient.reshape(-1, weight.shape[2])
    back, of_matrix = np.zeros_like(source), np.zeros_like(matrix)
    for rows, columns, place in _blocks(len(values), outputs):
        of_matrix += view[rows, columns].reshape(-1, len(matrix)).T @ flat[place]
        shares = (flat[place] @ matrix.T).reshape(view[rows, columns].shape)
        reached = back[rows, columns.start * window.stride :]
        for tap in range(window.width):
            seen_by(reached, tap, shares.shape[1], window)[...] += shares[:, :, tap]
    return back[:, window.before : window.before + values.shape[1]], of_matrix.reshape(weight.shape)
