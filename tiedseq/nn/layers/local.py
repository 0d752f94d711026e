"""Locally connected layers: convolutions without the tie over positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError, ModelError
from tiedseq.nn.layer import Layer, shown
from tiedseq.nn.signal import Action, Batch, Signal, letter_table, masked
from tiedseq.nn.weights import Weight, bias, of_fan_in
from tiedseq.options import checked_count, checked_flag
from tiedseq.ties import Ties

from .symmetry import actions_of, mirrored_filters
from .taps import padded, seen, seen_by
from .window import Window, windows_over

Array = NDArray[Any]
Turn = Callable[[Any], Any]


class LocallyConnected1D(Layer):
    """A convolution without the tie: filters of its own at every position of the output.

    All sequences must be as long: give `length=` to the network. After a layer that keeps a symmetry, the filters at
    mirrored positions are mirror images of each other. Filters whose entries are all tied to those of another have
    its bias, too.

    Parameters
    ----------
    filters : int
        Channels that go out.
    width, stride, dilation, padding, bias
        As in `Conv1D`. There is a bias a position and filter.
    ties : None, "positions", array_like, `ts.Ties`, function or list of functions, default None
        Which weights are one value. The weights have the shape (outputs, width, channels, filters). "positions" ties
        all positions, which makes the layer the `Conv1D`; an array of that shape holds a label an entry, as `ts.Ties`
        takes it, or it is these; functions rearrange the weights, as for `Ties.orbits`.

    Raises
    ------
    ArgumentError
        An argument outside of its range, or labels of another shape.
    ModelError
        In a network: no length; ends that are padded differently, or labels that do not tie what is mirrored, after a
        layer that keeps a symmetry.
    SequenceError
        Sequences shorter than the filter, or with a symmetry such that the stride does not fit.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.Sequential(nn.LocallyConnected1D(8, width=9), length=100).n_parameters  # 92 positions of 8 x (9 x 4 + 1)
    27232
    >>> tied = nn.Sequential(nn.LocallyConnected1D(8, width=9, ties="positions"), length=100)
    >>> tied.n_parameters, nn.Sequential(nn.Conv1D(8, width=9)).n_parameters
    (296, 296)

    What ties save, over the 1,024 numbers of a picture of 32 x 32: a dense layer of 64 units, eight filters of nine at
    every position, and the same eight at all, which are 910 times fewer weights than the first.

    >>> kinds = ([nn.Flatten(), nn.Dense(64, bias=False)], [nn.LocallyConnected1D(8, width=9, bias=False)],
    ...          [nn.Conv1D(8, width=9, bias=False)])
    >>> [nn.Sequential(*layers, input=1, length=1024).n_parameters for layers in kinds]
    [65536, 73152, 72]
    """

    def __init__(
        self,
        filters: int,
        width: int,
        stride: int = 1,
        dilation: int = 1,
        padding: str | int = "valid",
        bias: bool = True,
        ties: Any = None,
    ) -> None:
        self.filters = checked_count("filters", filters)
        self.window = Window.of(width, stride, dilation, padding)
        self.padding, self.has_bias, self.ties = padding, checked_flag("bias", bias), _read(ties)

    def restated(self) -> dict[str, Any]:
        return {"ties": self.ties}

    def _place(self, signal: Signal) -> Signal:
        signal.need_positions(repr(self))
        length = signal.need_length(repr(self))
        actions = actions_of(repr(self), None, signal, self.filters)
        if actions is not None:
            self.window.check_mirror(repr(self))
        self.window.check_length(repr(self), length, actions is not None)
        outputs = int(self.window.outputs(length))
        ties = self._tied((outputs, self.window.width, signal.channels, self.filters), actions)
        fan_in = self.window.width * (1 if signal.letters is not None else signal.channels)
        self.weights: tuple[Weight, ...] = (of_fan_in("weight", ties, fan_in),)
        outgoing = None if actions is None else actions[1]
        if self.has_bias:
            self.weights += (bias(self.filters, _bias_ties(ties, outgoing)),)
        self._table = None if signal.letters is None else letter_table(signal.letters, signal.dtype)
        self.mirror = actions is not None
        return signal.changed(self.filters, outgoing, outputs)

    def _tied(self, shape: tuple[int, ...], actions: tuple[Action, Action] | None) -> Ties:
        """The ties of the weights, those of the symmetry included."""
        mirror = [] if actions is None else [_mirrored_positions(*actions)]
        ties = self.ties
        if ties is None:
            return Ties.orbits(shape, *mirror)
        if isinstance(ties, str):
            return Ties.orbits(shape, lambda w: np.roll(w, 1, axis=0), *mirror)
        if not isinstance(ties, Ties):
            return Ties.orbits(shape, *([ties] if callable(ties) else ties), *mirror)
        if ties.shape != shape:
            raise ArgumentError(
                f"ties= has the shape {ties.shape}; the weights of {self!r} are {shape}: outputs, width, channels, "
                "filters."
            )
        for turn in mirror:
            if not _is_kept(ties, turn):
                raise ModelError(
                    f"the labels in ties= of {self!r} do not tie the weights at mirrored positions, so the symmetry of "
                    "the layer before would be lost; tie them, give functions instead, or leave ties= out."
                )
        return ties

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        lengths = windows_over(self, self.window, batch, self.mirror)
        windows = self._windows(batch.values)
        outputs, width, channels, filters = weights[0].shape
        found = np.matmul(windows, weights[0].reshape(outputs, width * channels, filters))
        values = np.ascontiguousarray(found.swapaxes(0, 1))
        if self.has_bias:
            values += weights[1]
        return Batch(masked(values, lengths), lengths), (windows, batch)

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        windows, batch = memory
        by_position = gradient.swapaxes(0, 1)
        of_weight = np.matmul(windows.swapaxes(1, 2), by_position).reshape(weights[0].shape)
        gradients = [of_weight, *([gradient.sum(axis=0)] if self.has_bias else [])]
        if self._table is not None:
            return None, gradients
        outputs, width, channels, filters = weights[0].shape
        filled = np.matmul(by_position, weights[0].reshape(outputs, width * channels, filters).swapaxes(1, 2))
        shares = filled.reshape(outputs, len(gradient), width, channels)
        back = np.zeros_like(padded(batch.values, self.window))
        for tap in range(width):
            seen_by(back, tap, outputs, self.window)[...] += shares[:, :, tap].swapaxes(0, 1)
        return back[:, self.window.before : self.window.before + batch.values.shape[1]], gradients

    def _windows(self, values: Array) -> Array:
        """(outputs, N, width * channels): what every position of the output sees."""
        source = padded(values if self._table is None else self._table[values], self.window)
        outputs = int(self.window.outputs(values.shape[1]))
        return seen(source, outputs, self.window).swapaxes(0, 1).reshape(outputs, len(values), -1)

    def _described(self) -> str:
        said = shown(
            *(f"{self.filters}", f"width={self.window.width}"),
            stride=(self.window.stride, 1),
            dilation=(self.window.dilation, 1),
            padding=(self.padding, "valid"),
            bias=(self.has_bias, True),
        )
        if self.ties is None:
            return said
        return f"{said}, ties={self.ties!r}" if isinstance(self.ties, str) else f"{said}, ties=..."


def _read(ties: Any) -> Any:
    """What users say of ties, with labels as `Ties`."""
    if isinstance(ties, str) and ties != "positions":
        raise ArgumentError(f'ties={ties!r} must be "positions", an array of labels, or functions.')
    are_functions = callable(ties) or (isinstance(ties, list | tuple) and all(callable(each) for each in ties))
    return ties if ties is None or isinstance(ties, str | Ties) or are_functions else Ties(ties)


def _mirrored_positions(incoming: Action, outgoing: Action) -> Turn:
    """The filters that see in a sequence, at mirrored positions, what the others see in its mirror image."""
    turn = mirrored_filters(incoming, outgoing)
    return lambda w: turn(w[::-1].swapaxes(0, 1)).swapaxes(0, 1)


def _is_kept(ties: Ties, turn: Turn) -> bool:
    """Whether what is turned is tied to what stands there."""
    signed = (ties.labels + 1) * ties.signs
    return bool(np.array_equal(turn(signed), signed))


def _bias_ties(ties: Ties, outgoing: Action | None) -> Ties:
    """(outputs, filters): filters that are the same, and those that are mirror images, have one bias."""
    signed = ((ties.labels + 1) * ties.signs).transpose(0, 3, 1, 2)
    shape = signed.shape[:2]
    same = np.unique(signed.reshape(shape[0] * shape[1], -1), axis=0, return_inverse=True)[1].reshape(shape)
    if outgoing is None:
        return Ties(same)
    turn = outgoing.on_channels
    return Ties.orbits(shape, lambda b: _next_of_equals(b, same), lambda b: turn(b[::-1]))


def _next_of_equals(values: Array, labels: Array) -> Array:
    """Move every entry to the next place of its label, the last to the first."""
    order = np.argsort(labels, axis=None, kind="stable")
    moved = np.empty_like(values)
    for places in np.split(order, np.flatnonzero(np.diff(labels.ravel()[order])) + 1):
        moved.ravel()[places] = values.ravel()[np.roll(places, 1)]
    return moved
