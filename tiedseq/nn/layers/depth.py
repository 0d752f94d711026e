"""Depth by one set of weights: layers applied many times, and steps of a differential equation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError, ModelError, counted
from tiedseq.nn.layer import Layer
from tiedseq.nn.signal import Batch, Signal
from tiedseq.nn.stack import Composite, Stack
from tiedseq.options import checked_count, checked_number

Array = NDArray[Any]


class _Inner(Composite):
    """Layers that give what they take: as many channels, at as many positions, with the same symmetry."""

    def __init__(self, layers: Layer | Sequence[Layer]) -> None:
        if not isinstance(layers, Layer | list | tuple):
            raise ArgumentError(f"layers={layers!r} must be a layer of tiedseq.nn, or a list of them.")
        self.inner = Stack([layers] if isinstance(layers, Layer) else layers)
        self.parts = (self.inner,)

    def _place(self, signal: Signal) -> Signal:
        signal.need_numbers(repr(self))
        outgoing = self.inner.place(signal)
        if outgoing != signal:
            self.inner.release()  # they may have a place elsewhere
        if outgoing.action != signal.action and _said(outgoing) == _said(signal):
            raise ModelError(
                f"{self!r} needs layers that give what they take, and these turn {_said(signal)} into as many whose "
                "mirror images are other channels: of a convolution these are its channels the other way round, of a "
                "recurrent layer its other half, of a dense layer themselves. End with the kind of layer that comes "
                "before, such as an nn.Conv1D of width 1."
            )
        if outgoing != signal:
            raise ModelError(
                f"{self!r} needs layers that give what they take, and these turn {_said(signal)} into "
                f'{_said(outgoing)}; make the channels equal, pad with "same", and give symmetry= to a layer before, '
                "and length= to the network where a layer fixes it."
            )
        self._gather()
        return outgoing

    def _inside(self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None) -> tuple[Batch, Any]:
        outgoing, memory = self.inner.forward(weights, batch, random)
        if outgoing.values.shape != batch.values.shape:
            raise ModelError(
                f"the layers in {self!r} turn {batch.values.shape[1]} positions into {outgoing.values.shape[1]}; use "
                'padding="same", and no pools.'
            )
        return outgoing, memory

    @property
    def weight_names(self) -> list[str]:
        return self.inner.weight_names

    def _layers(self) -> str:
        shown = ", ".join(map(repr, self.inner.parts))
        return shown if len(self.inner.parts) == 1 else f"[{shown}]"


class Repeat(_Inner):
    """Layers applied several times with one set of weights: a recurrent net without further input.

    Parameters
    ----------
    layers : Layer or sequence of Layer
        They must give what they take: as many channels, as many positions, the same symmetry.
    times : int
        How often; 1 is the layers themselves.

    Raises
    ------
    ArgumentError
        `times` is no positive number.
    ModelError
        In a network: the layers do not give what they take.

    Examples
    --------
    >>> from tiedseq import nn
    >>> inner = [nn.Dense(4), nn.Tanh()]
    >>> nn.Sequential(nn.Repeat(inner, times=50), input=nn.Signal(4, positions=False)).n_parameters  # not 50 x 20
    20
    """

    def __init__(self, layers: Layer | Sequence[Layer], times: int) -> None:
        super().__init__(layers)
        self.times = checked_count("times", times)

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        memories = []
        for _ in range(self.times):
            batch, memory = self._inside(weights, batch, random)
            memories.append(memory)
        return batch, memories

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        totals: list[Array | None] = [None] * len(weights)
        back: Array | None = gradient
        for kept in reversed(memory):
            assert back is not None  # letters were refused
            back, gradients = self.inner.backward(weights, kept, back)
            self.add(self.inner, gradients, totals)
        return back, self.summed(totals, weights)

    def _described(self) -> str:
        return f"{self._layers()}, times={self.times}"


class Residual(_Inner):
    """x + step * f(x), where f is the layers.

    Repeated 1/step times it is Euler's method for dx/dt = f(x) from 0 to 1, and nears the solution as 1/times
    (E et al., Commun. Math. Stat. 5, 2017; Chen et al., NeurIPS 2018).

    Parameters
    ----------
    layers : Layer or sequence of Layer
        f, which must give what it takes: as many channels, as many positions, the same symmetry.
    step : float, default 1.0
        How far to go; any number but zero.

    Raises
    ------
    ArgumentError
        `step` is no finite number, or zero.
    ModelError
        In a network: the layers do not give what they take.

    Examples
    --------
    >>> from tiedseq import nn
    >>> flow = nn.Repeat(nn.Residual([nn.Dense(4), nn.Tanh()], step=1 / 50), times=50)
    >>> nn.Sequential(flow, input=nn.Signal(4, positions=False)).n_parameters
    20
    """

    def __init__(self, layers: Layer | Sequence[Layer], step: float = 1.0) -> None:
        super().__init__(layers)
        self.step = checked_number(
            "step", step, lambda step: math.isfinite(step) and step != 0.0, "a finite number that is not zero"
        )

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        change, memory = self._inside(weights, batch, random)
        return batch.with_values(batch.values + change.values * batch.values.dtype.type(self.step)), memory

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        back, gradients = self.inner.backward(weights, memory, gradient * gradient.dtype.type(self.step))
        assert back is not None  # letters were refused
        return gradient + back, gradients

    def _described(self) -> str:
        return self._layers() + ("" if self.step == 1 else f", step={self.step:g}")


def _said(signal: Signal) -> str:
    length = "any number of positions" if signal.length is None else counted(signal.length, "position")
    positions = f"{length} of " if signal.positions else ""
    symmetry = "no symmetry" if signal.action is None else signal.action.name
    return f"{positions}{counted(signal.channels, 'channel')} with {symmetry}"
