"""Dense layers, and positions made one vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ModelError
from tiedseq.nn.layer import Layer, shown
from tiedseq.nn.signal import Action, Batch, Signal, letter_table, masked
from tiedseq.nn.weights import bias, of_bias, of_fan_in, untied
from tiedseq.options import checked_count, checked_flag
from tiedseq.ties import Ties, check_size

Array = NDArray[Any]


class Dense(Layer):
    """Every output is a weighted sum of all inputs; over positions, the same at each.

    After a layer that keeps a symmetry the weights are tied so that the outputs are the same for a sequence and its
    mirror image (at mirrored positions, where there are positions).

    Parameters
    ----------
    units : int
        Outputs.
    bias : bool, default True
        Whether a number an output is added.

    Weights start as those of `Conv1D` (He et al., ICCV 2015), biases at zero. "weight" is (channels, units), "bias"
    (units,).

    Raises
    ------
    ArgumentError
        `units` is no positive number.
    ModelError
        In a network: letters come in, or antisymmetric channels alone.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.Sequential(nn.Dense(3), input=nn.Signal(5, positions=False)).n_parameters
    18
    """

    def __init__(self, units: int, bias: bool = True) -> None:
        self.units, self.has_bias = checked_count("units", units), checked_flag("bias", bias)

    def _place(self, signal: Signal) -> Signal:
        signal.need_numbers(repr(self))
        shape, incoming = (signal.channels, self.units), signal.action
        ties, outgoing = untied(shape), None
        if incoming is not None:
            turn = incoming.on_channels
            ties = Ties.orbits(shape, lambda w: turn(w.T).T)
            outgoing = Action.of(incoming.name, range(self.units))
            if not ties.n_free:
                raise ModelError(
                    f"{self!r} after antisymmetric channels alone can only be zero, as its output must not change with "
                    "the direction; leave the symmetry out, or add other channels."
                )
        self.weights = (of_fan_in("weight", ties, signal.channels), *((bias(self.units),) if self.has_bias else ()))
        return signal.changed(self.units, outgoing, signal.length, signal.positions)

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        values = batch.values @ weights[0]
        if self.has_bias:
            values += weights[1]
        return batch.with_values(masked(values, batch.lengths)), batch.values

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        rows, flat = memory.reshape(-1, memory.shape[-1]), gradient.reshape(-1, self.units)
        gradients = [rows.T @ flat, *([of_bias(flat)] if self.has_bias else [])]
        return gradient @ weights[0].T, gradients

    def _described(self) -> str:
        return shown(f"{self.units}", bias=(self.has_bias, True))


class Flatten(Layer):
    """All positions side by side as one vector, (L * channels,) from (L, channels), position by position.

    Sequences must be of one length: give `length=` to the network.

    Raises
    ------
    ModelError
        In a network: no length, no positions, or letters come in.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.Sequential(nn.OneHot(), nn.Flatten(), length=2)("GA")
    array([0., 0., 1., 0., 1., 0., 0., 0.], dtype=float32)
    """

    def _place(self, signal: Signal) -> Signal:
        signal.need_positions(repr(self))
        signal.need_numbers(repr(self))
        length = signal.need_length(repr(self))
        action = signal.action
        if action is not None:
            check_size((length, signal.channels))
            places = np.arange(length * signal.channels).reshape(length, signal.channels)
            moved = places[::-1][:, list(action.permutation)].ravel()
            action = Action.of(action.name, moved, np.tile(action.signs, length))
        return signal.changed(length * signal.channels, action, positions=False)

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        return Batch(batch.values.reshape(len(batch), -1)), batch.values.shape

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        return gradient.reshape(memory), []


class OneHot(Layer):
    """Letters as numbers, (L, letters): a channel a letter, one where it stands; N is each letter in equal parts.

    A `Conv1D` or recurrent layer does not need it, and is faster without.

    Raises
    ------
    ModelError
        In a network: numbers come in.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.Sequential(nn.OneHot())("GN")
    array([[0.  , 0.  , 1.  , 0.  ],
           [0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """

    def _place(self, signal: Signal) -> Signal:
        if signal.letters is None:
            raise ModelError(f"{self!r} takes letters, and this input is numbers already; leave it out.")
        self.table = letter_table(signal.letters, signal.dtype)
        return replace(signal, letters=None)

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        return batch.with_values(self.table[batch.values]), None

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        return None, []
