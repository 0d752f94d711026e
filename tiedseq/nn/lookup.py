"""Convolutions over letters: rows of a table instead of products with ones and zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Alphabet

from . import taps
from .signal import letter_table
from .window import Window

Array = NDArray[Any]


def forward(codes: Array, weight: Array, alphabet: Alphabet, window: Window) -> Array:
    """Return (N, outputs, filters) of codes (N, L) and weights (width, letters, filters)."""
    return taps.forward(letter_table(alphabet, weight.dtype)[codes], weight, window)


def backward(codes: Array, gradient: Array, alphabet: Alphabet, window: Window) -> Array:
    """Return d loss / d weight from d loss / d output."""
    weight = np.zeros((window.width, alphabet.n_letters, gradient.shape[2]), gradient.dtype)
    return taps.backward(letter_table(alphabet, gradient.dtype)[codes], weight, gradient, window)[1]
