"""Convolutions as their definitions say, in plain Python loops. Never imports tiedseq."""

from __future__ import annotations

from typing import Any

import numpy as np

LETTERS = "ACGT"
STANDS_FOR = {"R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC", "N": "ACGT"}
"""Some of the ambiguity codes of nucleotides (IUPAC)."""


def one_hot(sequence: str) -> list[list[float]]:
    """A row a letter; an ambiguity code is its letters in equal parts."""
    rows = []
    for letter in sequence:
        meant = STANDS_FOR.get(letter, letter)
        rows.append([(1.0 / len(meant) if known in meant else 0.0) for known in LETTERS])
    return rows


def convolution(
    x: Any, weight: Any, bias: Any, stride: int = 1, dilation: int = 1, before: int = 0, after: int = 0
) -> Any:
    """Return (outputs, filters) of x (L, channels), weights (width, channels, filters) and biases (filters,)."""
    width, channels, filters = np.shape(weight)
    found = []
    start = -before
    while start + dilation * (width - 1) < len(x) + after:
        outputs = [float(bias[f]) for f in range(filters)]
        for tap in range(width):
            position = start + tap * dilation
            if 0 <= position < len(x):
                for c in range(channels):
                    for f in range(filters):
                        outputs[f] += float(x[position][c]) * float(weight[tap][c][f])
        found.append(outputs)
        start += stride
    return np.array(found)


def convolution_backward(
    x: Any, weight: Any, gradient: Any, stride: int = 1, dilation: int = 1, before: int = 0
) -> tuple[Any, Any, Any]:
    """Return d loss / d x, weight and bias, from d loss / d output."""
    width, channels, filters = np.shape(weight)
    of_x, of_weight, of_bias = np.zeros((len(x), channels)), np.zeros((width, channels, filters)), np.zeros(filters)
    for output in range(len(gradient)):
        for f in range(filters):
            of_bias[f] += gradient[output][f]
            for tap in range(width):
                position = output * stride - before + tap * dilation
                if 0 <= position < len(x):
                    for c in range(channels):
                        of_weight[tap, c, f] += gradient[output][f] * x[position][c]
                        of_x[position, c] += gradient[output][f] * weight[tap][c][f]
    return of_x, of_weight, of_bias


def first_maximum(outputs: Any) -> tuple[list[float], list[int]]:
    """The largest number of every column, and the first row that has it."""
    best, where = [], []
    for column in zip(*outputs, strict=True):
        best.append(max(column))
        where.append(column.index(max(column)))
    return best, where
