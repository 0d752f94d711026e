"""Convolutions over numbers: a matrix product a tap."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .window import Window

Array = NDArray[Any]


def padded(values: Array, window: Window) -> Array:
    """Return (N, before + L + after, channels), zeros at both ends."""
    if not window.before and not window.after:
        return values
    return np.pad(values, ((0, 0), (window.before, window.after), (0, 0)))


def seen_by(values: Array, tap: int, outputs: int, window: Window) -> Array:
    """Return a view (N, outputs, channels): what a tap sees, of padded values."""
    first = tap * window.dilation
    return values[:, first : first + (outputs - 1) * window.stride + 1 : window.stride]


def forward(values: Array, weight: Array, window: Window) -> Array:
    """Return (N, outputs, filters) of values (N, L, channels) and weights (width, channels, filters)."""
    outputs = int(window.outputs(values.shape[1]))
    source = padded(values, window)
    found = np.matmul(seen_by(source, 0, outputs, window), weight[0])
    for tap in range(1, window.width):
        found += np.matmul(seen_by(source, tap, outputs, window), weight[tap])
    return found


def backward(values: Array, weight: Array, gradient: Array, window: Window) -> tuple[Array, Array]:
    """Return d loss / d values and d loss / d weight from d loss / d output."""
    outputs = gradient.shape[1]
    source = padded(values, window)
    back, of_weight = np.zeros_like(source), np.empty_like(weight)
    for tap in range(window.width):
        seen_by(back, tap, outputs, window)[...] += np.matmul(gradient, weight[tap].T)
        of_weight[tap] = np.tensordot(seen_by(source, tap, outputs, window), gradient, axes=([0, 1], [0, 1]))
    return back[:, window.before : window.before + values.shape[1]], of_weight
