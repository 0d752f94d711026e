"""Functions of single numbers, and dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.nn.layer import Layer
from tiedseq.nn.signal import Batch, Signal, masked
from tiedseq.options import checked_number

from .symmetry import refuse_signs

Array = NDArray[Any]


class _Activation(Layer):
    """The same function of every number."""

    is_odd = False  # whether f(-x) = -f(x)

    def _place(self, signal: Signal) -> Signal:
        signal.need_numbers(repr(self))
        if not self.is_odd:
            refuse_signs(repr(self), signal)
        return signal


class ReLU(_Activation):
    """max(0, x), of every number.

    Raises
    ------
    ModelError
        In a network: letters come in, or antisymmetric channels, whose sign would be lost.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.Sequential(nn.ReLU(), input=nn.Signal(2, positions=False))([-1, 2])
    array([0., 2.], dtype=float32)
    """

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        values = np.maximum(batch.values, 0)
        return batch.with_values(values), values

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        return gradient * (memory > 0), []


class Tanh(_Activation):
    """The hyperbolic tangent, of every number; it keeps the sign of antisymmetric channels.

    Raises
    ------
    ModelError
        In a network: letters come in.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.Sequential(nn.Tanh(), input=nn.Signal(2, positions=False))([0, 1]).round(3)
    array([0.   , 0.762], dtype=float32)
    """

    is_odd = True

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        values = np.tanh(batch.values)
        return batch.with_values(values), values

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        return gradient * (1 - memory * memory), []


class Sigmoid(_Activation):
    """1 / (1 + exp(-x)), of every number.

    A last layer needs none: the losses of `Classifier` and `Labeller` take scores.

    Raises
    ------
    ModelError
        In a network: letters come in, or antisymmetric channels, whose sign would be lost.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.Sequential(nn.Sigmoid(), input=nn.Signal(2, positions=False))([0, 1]).round(3)
    array([0.5  , 0.731], dtype=float32)
    """

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        values = 0.5 * np.tanh(0.5 * batch.values) + 0.5  # without overflow
        return batch.with_values(masked(values, batch.lengths)), values

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        return gradient * memory * (1 - memory), []


class Dropout(Layer):
    """In training, zero each number with a probability, and scale the others up; in prediction nothing.

    The others are divided by 1 - `rate`, so that the mean is kept (Srivastava et al., JMLR 15, 2014).

    Parameters
    ----------
    rate : float
        The probability, from 0 to less than 1.

    Raises
    ------
    ArgumentError
        `rate` is no such number.
    ModelError
        In a network: letters come in.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.Sequential(nn.Dropout(0.5), input=nn.Signal(2, positions=False))([1, 2])
    array([1., 2.], dtype=float32)
    """

    def __init__(self, rate: float) -> None:
        wanted = "a probability from 0 to less than 1"
        self.rate = checked_number("rate", rate, lambda rate: 0.0 <= rate < 1.0, wanted)

    def _place(self, signal: Signal) -> Signal:
        signal.need_numbers(repr(self))
        return signal

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        if random is None:
            return batch, None
        kept = (random.random(batch.values.shape, np.float32) >= self.rate) / (1 - self.rate)
        factor = kept.astype(batch.values.dtype)
        return batch.with_values(batch.values * factor), factor

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        return (gradient if memory is None else gradient * memory), []

    def _described(self) -> str:
        return f"{self.rate:g}"
