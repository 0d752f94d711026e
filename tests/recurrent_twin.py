"""Recurrent layers one number at a time, as they are written down; never imports tiedseq.

Weights are those of a layer: w (channels, gates, units) of the input, u (units, gates, units) of the state, b (biases,
units). Every function takes numbers (L, channels) and returns all states (L, units), which start at zero.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def into(row: Any, weights: Any, gate: int, unit: int) -> float:
    """What a row of numbers contributes to a gate of a unit."""
    return math.fsum(float(number) * float(weight) for number, weight in zip(row, weights[:, gate, unit], strict=True))


def rnn(x: Array, w: Array, u: Array, b: Array) -> Array:
    states = [[0.0] * b.shape[1]]
    for row in x:
        h = states[-1]
        states.append([math.tanh(into(row, w, 0, j) + into(h, u, 0, j) + b[0, j]) for j in range(len(h))])
    return np.array(states[1:])


def gru(x: Array, w: Array, u: Array, b: Array, reset: str) -> Array:
    states = [[0.0] * b.shape[1]]
    for row in x:
        h = states[-1]
        places = range(len(h))
        r, z = ([sigmoid(into(row, w, g, j) + into(h, u, g, j) + b[g, j]) for j in places] for g in (0, 1))
        if reset == "before":
            what_is_left = [a * c for a, c in zip(r, h, strict=True)]
            n = [math.tanh(into(row, w, 2, j) + into(what_is_left, u, 2, j) + b[2, j]) for j in places]
        else:
            n = [math.tanh(into(row, w, 2, j) + b[2, j] + r[j] * (into(h, u, 2, j) + b[3, j])) for j in places]
        states.append([(1 - z[j]) * n[j] + z[j] * h[j] for j in places])
    return np.array(states[1:])


def lstm(x: Array, w: Array, u: Array, b: Array) -> Array:
    states, cell = [[0.0] * b.shape[1]], [0.0] * b.shape[1]
    for row in x:
        h = states[-1]
        i, f, g, o = ([into(row, w, k, j) + into(h, u, k, j) + b[k, j] for j in range(len(h))] for k in range(4))
        cell = [sigmoid(f[j]) * cell[j] + sigmoid(i[j]) * math.tanh(g[j]) for j in range(len(h))]
        states.append([sigmoid(o[j]) * math.tanh(cell[j]) for j in range(len(h))])
    return np.array(states[1:])
