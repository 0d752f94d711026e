"""Maxima and means over positions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.nn.layer import Layer, shown
from tiedseq.nn.signal import Batch, Signal, masked

from .symmetry import refuse_signs
from .taps import seen_by
from .window import Window, windows_over

Array = NDArray[Any]


class _GlobalPool(Layer):
    """One number a channel from all positions."""

    def _place(self, signal: Signal) -> Signal:
        signal.need_positions(repr(self))
        signal.need_numbers(repr(self))
        return signal.changed(signal.channels, signal.action, positions=False)


class GlobalMaxPool(_GlobalPool):
    """The maximum of every channel over all positions: (channels,) from (L, channels).

    Its gradient goes to the first of equals. Right after a convolution over letters, or with ReLU between both, the
    outputs of the convolution are never written.

    Raises
    ------
    ModelError
        In a network: no positions or no numbers come in, or antisymmetric channels, whose sign would be lost.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.Sequential(nn.OneHot(), nn.GlobalMaxPool())("GATT")
    array([1., 0., 1., 1.], dtype=float32)
    """

    def _place(self, signal: Signal) -> Signal:
        refuse_signs(repr(self), signal)
        return super()._place(signal)

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        values = batch.values
        if batch.is_ragged:
            assert batch.lengths is not None
            beyond = np.arange(values.shape[1]) >= batch.lengths[:, None]
            values = np.where(beyond[:, :, None], -np.inf, values).astype(values.dtype)
        where = values.argmax(axis=1)
        found = np.take_along_axis(values, where[:, None], axis=1)[:, 0]
        return Batch(found), (where, values.shape)

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        where, shape = memory
        back = np.zeros(shape, gradient.dtype)
        np.put_along_axis(back, where[:, None], gradient[:, None], axis=1)
        return back, []


class GlobalMeanPool(_GlobalPool):
    """The mean of every channel over all positions of the sequence: (channels,) from (L, channels).

    Sums are taken in float64.

    Raises
    ------
    ModelError
        In a network: no positions or no numbers come in.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.Sequential(nn.OneHot(), nn.GlobalMeanPool())("GATT")
    array([0.25, 0.  , 0.25, 0.5 ], dtype=float32)
    """

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        assert batch.lengths is not None
        shares = 1.0 / batch.lengths[:, None]
        means = batch.values.sum(axis=1, dtype=np.float64) * shares
        return Batch(means.astype(batch.values.dtype)), (shares.astype(batch.values.dtype), batch)

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        shares, batch = memory
        spread = np.broadcast_to((gradient * shares)[:, None], batch.values.shape).copy()
        return masked(spread, batch.lengths), []


class _Pool(Layer):
    """One number a channel from every window."""

    def __init__(self, width: int, stride: int | None = None) -> None:
        self.window = Window.of(width, width if stride is None else stride, 1, "valid")

    def _place(self, signal: Signal) -> Signal:
        signal.need_positions(repr(self))
        signal.need_numbers(repr(self))
        self.mirror = signal.action is not None
        if signal.length is not None:
            self.window.check_length(repr(self), signal.length, self.mirror)
        length = None if signal.length is None else int(self.window.outputs(signal.length))
        return signal.changed(signal.channels, signal.action, length)

    def _taps(self, values: Array) -> Iterator[Array]:
        """What every tap of the windows sees: views (N, outputs, channels)."""
        outputs = int(self.window.outputs(values.shape[1]))
        for tap in range(self.window.width):
            yield seen_by(values, tap, outputs, self.window)

    def _described(self) -> str:
        return shown(f"{self.window.width}", stride=(self.window.stride, self.window.width))


class MaxPool(_Pool):
    """The maximum of every channel in every window; its gradient goes to the first of equals.

    Parameters
    ----------
    width : int
        Positions in a window.
    stride : int, default `width`
        Positions between windows. What is left over at the end is left out; with a symmetry it is refused, as the
        mirror image would leave out others.

    Raises
    ------
    ArgumentError
        `width` or `stride` is no positive number.
    ModelError
        In a network: no positions or no numbers come in, or antisymmetric channels, whose sign would be lost.
    SequenceError
        A sequence shorter than `width`, or with a symmetry one that the stride does not fit.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.Sequential(nn.MaxPool(2), input=1)([[[1], [5], [3], [2], [9]]]).ravel()
    array([5., 3.], dtype=float32)
    """

    def _place(self, signal: Signal) -> Signal:
        refuse_signs(repr(self), signal)
        return super()._place(signal)

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        lengths = windows_over(self, self.window, batch, self.mirror)
        first, *others = self._taps(batch.values)
        values, where = first.copy(), np.zeros(first.shape, np.int32)
        for tap, seen in enumerate(others, start=1):
            np.copyto(where, tap, where=seen > values)
            np.maximum(values, seen, out=values)
        return Batch(masked(values, lengths), lengths), (where, batch.values.shape)

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        where, shape = memory
        back = np.zeros(shape, gradient.dtype)
        for tap, seen in enumerate(self._taps(back)):
            seen += gradient * (where == tap)
        return back, []


class MeanPool(_Pool):
    """The mean of every channel in every window.

    Parameters
    ----------
    width, stride
        As in `MaxPool`.

    Raises
    ------
    ArgumentError, ModelError, SequenceError
        As for `MaxPool`; antisymmetric channels keep their sign.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.Sequential(nn.MeanPool(2), input=1)([[[1], [5], [3], [2], [9]]]).ravel()
    array([3. , 2.5], dtype=float32)
    """

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        lengths = windows_over(self, self.window, batch, self.mirror)
        first, *others = self._taps(batch.values)
        values = sum(others, start=first) / batch.values.dtype.type(self.window.width)
        return Batch(masked(values, lengths), lengths), batch.values.shape

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        back = np.zeros(memory, gradient.dtype)
        share = gradient / gradient.dtype.type(self.window.width)
        for seen in self._taps(back):
            seen += share
        return back, []
