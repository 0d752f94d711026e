"""A recurrent layer with weights of its own at each step, drawn together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError, ModelError, counted
from tiedseq.nn.layer import Layer, shown
from tiedseq.nn.signal import Batch, Signal, letter_table
from tiedseq.nn.weights import Weight
from tiedseq.options import checked_count, checked_flag, checked_weight
from tiedseq.ties import Ties, check_size

Array = NDArray[Any]


class UnrolledRNN(Layer):
    """h_t = tanh(x_t W_t + h_(t-1) U_t + b_t): an `RNN` without its tie, or with a soft one.

    Sequences must be of one length. What `tie` adds to the objective is tie / 2 times the sum over steps of
    |W_t - mean|^2, and the same for U and b. The larger it is the nearer all steps are to the tied layer: their
    distance from it falls as one over `tie`.

    Parameters
    ----------
    units : int
        Numbers that the state has.
    sequences : bool, default False
        Whether every state goes out, (L, units), or the last one, (units,).
    tie : float, default 0
        The strength with which the weights of all steps are drawn to their mean.
    ties : iterable of labels, default None
        One for each step: steps with equal labels share their weights. Where all are equal the layer is the RNN. None:
        each step has its own.

    "weight" is (L, channels, units), "bias" (L, units), "recurrent" (L - 1, units, units): the first state is zero, so
    the first step needs none.

    Raises
    ------
    ArgumentError
        An argument outside of its range, or another number of labels than of steps.
    ModelError
        In a network: without length=, or after a layer that keeps a symmetry.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.Sequential(nn.UnrolledRNN(8, tie=1.0), length=7).n_parameters  # 7 x (4 x 8 + 8), and 6 x 8 x 8
    664
    >>> nn.Sequential(nn.UnrolledRNN(8, ties=["same"] * 7), length=7).n_parameters
    104
    """

    def __init__(
        self, units: int, sequences: bool = False, tie: float = 0.0, ties: Iterable[Any] | None = None
    ) -> None:
        self.units, self.tie = checked_count("units", units), checked_weight("tie", tie)
        self.sequences = checked_flag("sequences", sequences)
        if ties is not None and not isinstance(ties, Iterable):
            raise ArgumentError(f"ties={ties!r} must be labels, one for each step, or None.")
        self.ties = None if ties is None else _plain(ties)

    def restated(self) -> dict[str, Any]:
        return {"ties": self.ties}

    def _place(self, signal: Signal) -> Signal:
        signal.need_positions(repr(self))
        length = signal.need_length(repr(self))
        if signal.action is not None:
            raise ModelError(
                f"{self!r} reads from the first position to the last only, so it would not keep the symmetry "
                f"{signal.action.name} of the layer before; leave the symmetry out."
            )
        steps = self._steps(length)
        self.table = None if signal.letters is None else letter_table(signal.letters, signal.dtype)
        scale = float(np.sqrt(1 / self.units))
        self.weights = (
            Weight("weight", _ties(steps, (signal.channels, self.units)), scale),
            Weight("recurrent", _ties(steps[1:], (self.units, self.units)), scale),
            Weight("bias", _ties(steps, (self.units,)), 0.0, decays=False),
        )
        return signal.changed(self.units, None, length if self.sequences else None, self.sequences)

    def _steps(self, length: int) -> NDArray[np.intp]:
        """For each step the number of its weights."""
        if self.ties is None:
            return np.arange(length)
        if len(self.ties) != length:
            raise ArgumentError(
                f"ties= has {counted(len(self.ties), 'label')}, and the sequences have {counted(length, 'step')}; "
                "give each one."
            )
        return np.array(_numbered(self.ties), np.intp)

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        weight, recurrent, bias = weights
        numbers = batch.values if self.table is None else self.table[batch.values]
        states = np.zeros((*numbers.shape[:2], self.units), weight.dtype)
        for step in range(len(weight)):
            total = numbers[:, step] @ weight[step] + bias[step]
            if step:
                total += states[:, step - 1] @ recurrent[step - 1]
            states[:, step] = np.tanh(total)
        outgoing = Batch(states, batch.lengths) if self.sequences else Batch(states[:, -1].copy())
        return outgoing, (numbers, states)

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        weight, recurrent, _ = weights
        numbers, states = memory
        found = [np.zeros_like(array) for array in weights]
        back, of_state = np.zeros_like(numbers), np.zeros_like(states[:, 0])
        for step in range(len(weight) - 1, -1, -1):
            if self.sequences or step == len(weight) - 1:
                of_state = of_state + (gradient[:, step] if self.sequences else gradient)
            of_total = of_state * (1 - states[:, step] ** 2)
            found[0][step], found[2][step] = numbers[:, step].T @ of_total, of_total.sum(axis=0)
            back[:, step] = of_total @ weight[step].T
            if step:
                found[1][step - 1] = states[:, step - 1].T @ of_total
                of_state = of_total @ recurrent[step - 1].T
        return (back if self.table is None else None), found

    def penalty(self, weights: Sequence[Array]) -> tuple[float, list[Array]] | None:
        if not self.tie:
            return None
        apart = [weight - weight.mean(axis=0) if len(weight) else weight for weight in weights]
        value = self.tie / 2 * sum(float(np.square(a, dtype=np.float64).sum()) for a in apart)
        return value, [weight.dtype.type(self.tie) * a for a, weight in zip(apart, weights, strict=True)]

    def _described(self) -> str:
        return shown(f"{self.units}", sequences=(self.sequences, False), tie=(self.tie, 0.0), ties=(self.ties, None))


def _plain(labels: Iterable[Any]) -> list[Any]:
    """Labels as they are if all are texts or whole numbers, which files can hold; else a number for each."""
    found = [label.item() if isinstance(label, np.generic) else label for label in labels]
    return found if all(type(label) in (str, int) for label in found) else _numbered(found)


def _numbered(labels: list[Any]) -> list[int]:
    """The number of each label, in the order of their first places. Raises ArgumentError if they do not compare."""
    numbers: dict[Any, int] = {}
    try:
        return [numbers.setdefault(label, len(numbers)) for label in labels]
    except TypeError as error:
        raise ArgumentError("ties= holds labels that cannot be compared; use strings or numbers.") from error


def _ties(steps: NDArray[np.intp], shape: tuple[int, ...]) -> Ties:
    """Ties of weights (steps, *shape): steps of one number share theirs."""
    check_size((len(steps), *shape))
    size = math.prod(shape)
    return Ties(steps.reshape(-1, *(1 for _ in shape)) * size + np.arange(size).reshape(shape))
