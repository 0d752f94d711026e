"""U-Nets in one dimension: a label for every position, from its neighbourhood at several scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import SequenceError, counted
from tiedseq.memory import check_memory
from tiedseq.nn.layer import Layer, shown
from tiedseq.nn.signal import Action, Batch, Signal, masked
from tiedseq.nn.stack import Composite, labels_of
from tiedseq.nn.weights import Weight, bias, of_fan_in
from tiedseq.options import checked_count, checked_flag, in_short

from . import taps
from .convolution import Conv1D
from .dense import Dense
from .symmetry import bias_ties, check_symmetry, convolution_ties
from .window import Window

Array = NDArray[Any]

_BYTES = 50  # of a weight and its tie, at least
_DEEP = 64  # more levels than fit anywhere: beyond it the numbers themselves grow large


class UNet1D(Composite):
    """Scores of classes at every position, from features at `depth` + 1 scales.

    On the way down a convolution and ReLU, then the maximum of two positions, and so on, with twice the filters at
    every level. On the way up positions are doubled, stand beside what the way down held there (the skip connection),
    and go through a convolution and ReLU. A dense layer gives the scores. (Ronneberger et al., MICCAI 2015.)

    Sequences may have any length, and as many positions come out: the last of an odd number of positions is pooled
    alone. With a symmetry, where mirror images would be pooled in other pairs, lengths must be multiples of
    2 ** `depth`.

    Parameters
    ----------
    filters : int
        Filters at the first level; level k has 2 ** k times as many.
    depth : int
        How often positions are halved.
    width : int
        Positions that a filter sees at its level; odd, to keep a symmetry.
    classes : int
        Scores a position.
    tied : bool, default False
        Whether the filters on the way up are those of the way down, transposed: a level's convolution is then the
        adjoint of the one that made the level, and has no filters of its own. Those of the skip connection are free.
    symmetry : str, function or list of functions, default None
        Of the first convolution, as in `Conv1D`, and so of all layers: the scores of a sequence are those of its
        mirror image, backwards. None keeps the symmetry of the layer before, if it has one.

    Raises
    ------
    ArgumentError
        A number that is not positive.
    ModelError
        In a network: a symmetry that does not fit what comes in, or an even width with one.
    SequenceError
        With a symmetry, a length that is no multiple of 2 ** `depth`.
    ResourceError
        In a network: the weights do not fit in memory.

    Examples
    --------
    >>> from tiedseq import nn
    >>> free, tied = (nn.Sequential(nn.UNet1D(8, depth=2, width=5, classes=3, tied=tied), random_state=0)
    ...               for tied in (False, True))
    >>> free("ACGTACGTACG").shape
    (11, 3)
    >>> free.n_parameters - tied.n_parameters  # filters on the way up: 5 x 32 x 16 and 5 x 16 x 8
    3200
    """

    def __init__(
        self, filters: int, depth: int, width: int, classes: int, tied: bool = False, symmetry: Any = None
    ) -> None:
        self.filters, self.depth = checked_count("filters", filters), checked_count("depth", depth)
        self.window = Window.of(width, 1, 1, "same")
        check_symmetry(symmetry)
        self.classes, self.tied, self.symmetry = checked_count("classes", classes), checked_flag("tied", tied), symmetry

    def _place(self, signal: Signal) -> Signal:
        signal.need_positions(repr(self))
        self._check_size(signal.channels)
        self._down = [
            Conv1D(self.filters * 2**k, self.window.width, padding="same", symmetry=None if k else self.symmetry)
            for k in range(self.depth + 1)
        ]
        levels: list[Signal] = []
        for conv in self._down:
            levels.append(conv.place(_half(levels[-1]) if levels else signal))
        self.mirror = levels[0].action is not None
        if signal.length is not None:
            self._check_lengths([signal.length])
        self._up = []
        for k in range(self.depth, 0, -1):
            up = _Up(levels[k], self.window, self._down[k].weights[0] if self.tied else None)
            up.place(_beside(levels[k], levels[k - 1]))
            self._up.append(up)
        self._head = Dense(self.classes)
        outgoing = self._head.place(levels[0])
        self.parts = (*self._down, *self._up, self._head)
        self._gather()
        return outgoing

    def _check_size(self, channels: int) -> None:
        """ResourceError, before the first weight, where all of them do not fit: each level has four times as many."""
        width, first = self.window.width, self.filters
        inner = first**2 * (4 ** min(self.depth, _DEEP) - 1) // 3  # the sum of filters**2 of all levels but the last
        down = width * (channels * first + 2 * inner)
        up = width * (inner if self.tied else 3 * inner)
        check_memory(
            f"nn.UNet1D with depth={self.depth} has {in_short(first)} * 2**{self.depth} filters at its last level, and "
            "its weights need at least",
            _BYTES * (down + up),
            f"make depth= smaller, or filters={in_short(first)}",
        )

    @property
    def weight_names(self) -> list[str]:
        places = [f"down{k}" for k in range(self.depth + 1)] + [f"up{k}" for k in range(self.depth, 0, -1)] + ["head"]
        return labels_of(self.weights, zip(places, self.parts, strict=True))

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        assert batch.lengths is not None
        self._check_lengths(np.unique(batch.lengths))
        levels: list[Batch] = []
        memories, pooled = [], []
        for conv in self._down:
            if levels:
                batch, first = _halved(levels[-1])
                pooled.append(first)
            batch, memory = conv.forward(self.of_part(conv, weights), batch)
            levels.append(batch.with_values(np.maximum(batch.values, 0)))
            memories.append(memory)
        current, ways_up = levels[-1], []
        for up, skip in zip(self._up, levels[-2::-1], strict=True):
            current, memory = up.forward(self.of_part(up, weights), _joined(current, skip))
            current = current.with_values(np.maximum(current.values, 0))
            ways_up.append((memory, current.values))
        scores, memory = self._head.forward(self.of_part(self._head, weights), current)
        return scores, (memories, levels, pooled, ways_up, memory)

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        memories, levels, pooled, ways_up, of_head = memory
        totals: list[Array | None] = [None] * len(weights)

        def through(part: Layer, kept: Any, flow: Array) -> Array | None:
            back, gradients = part.backward(self.of_part(part, weights), kept, flow)
            self.add(part, gradients, totals)
            return back

        flow = through(self._head, of_head, gradient)
        of_skips = []
        for up, (kept, values) in zip(reversed(self._up), reversed(ways_up), strict=True):
            assert flow is not None
            joined = through(up, kept, flow * (values > 0))
            assert joined is not None
            of_skips.append(joined[:, :, up.below :])
            flow = _folded(joined[:, :, : up.below])
        for k in range(self.depth, -1, -1):
            assert flow is not None  # only the first convolution may see letters
            flow = flow if k == self.depth else flow + of_skips[k]
            flow = through(self._down[k], memories[k], flow * (levels[k].values > 0))
            if k and flow is not None:
                flow = _spread(flow, pooled[k - 1], levels[k - 1].values.shape[1])
        return flow, self.summed(totals, weights)

    def _check_lengths(self, lengths: Any) -> None:
        if not self.mirror:
            return
        for length in lengths:
            if length % 2**self.depth:
                raise SequenceError(
                    f"a sequence of {counted(length, 'position')} is no multiple of {2**self.depth}, so that "
                    f"{self!r} would pool its mirror image in other pairs: pad both ends alike, or cut it, "
                    "or leave the symmetry out"
                )

    def _described(self) -> str:
        always = f"{self.filters}", f"depth={self.depth}", f"width={self.window.width}", f"classes={self.classes}"
        return shown(*always, tied=(self.tied, False), symmetry=(self.symmetry, None))


class _Up(Layer):
    """A convolution over the level below, doubled, and the skip connection, side by side.

    It is the sum of one convolution for each, so that the first may have the transposed filters of another layer.
    """

    def __init__(self, below: Signal, window: Window, shared: Weight | None) -> None:
        self.below, self._signal, self._shared = below.channels, below, shared
        self.window = Window(window.width, before=window.after, after=window.before)  # that of the adjoint

    def _place(self, signal: Signal) -> Signal:
        width, filters = self.window.width, signal.channels - self.below
        fan_in = width * signal.channels
        known = self._signal.action
        outgoing = None if signal.action is None else _after(signal.action, self.below)
        weight = self._shared
        if weight is None:
            actions = None if known is None or outgoing is None else (known, outgoing)
            weight = of_fan_in("weight", convolution_ties((width, self.below, filters), None, actions), fan_in)
        actions = None if outgoing is None else (outgoing, outgoing)
        skip = of_fan_in("skip", convolution_ties((width, filters, filters), None, actions), fan_in)
        self.weights = (weight, skip, bias(filters, bias_ties(filters, outgoing)))
        return signal.changed(filters, outgoing, signal.length)

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        values = taps.forward(batch.values, self._filters(weights), self.window, weights[2])
        return batch.with_values(masked(values, batch.lengths)), batch

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        batch: Batch = memory
        back, of_filters, of_bias = taps.backward(batch.values, self._filters(weights), gradient, self.window)
        of_weight, of_skip = of_filters[:, : self.below], of_filters[:, self.below :]
        if self._shared is not None:
            of_weight = transposed(of_weight)
        return masked(back, batch.lengths), [of_weight, of_skip, of_bias]

    def _filters(self, weights: Sequence[Array]) -> Array:
        first = weights[0] if self._shared is None else transposed(weights[0])
        return np.concatenate([first, weights[1]], axis=1)


def transposed(weight: Array) -> Array:
    """Return the filters (width, filters, channels) of the adjoint of a convolution with (width, channels, filters).

    Its padding is that of the convolution, with the ends swapped: <W x, y> = <x, W' y>.
    """
    return weight[::-1].swapaxes(1, 2)


def _half(signal: Signal) -> Signal:
    return signal.changed(signal.channels, signal.action, None if signal.length is None else -(-signal.length // 2))


def _beside(below: Signal, skip: Signal) -> Signal:
    """The signal of the level below, doubled, beside that of the skip connection."""
    action = None
    if below.action is not None and skip.action is not None:
        order = [*below.action.permutation, *(below.channels + k for k in skip.action.permutation)]
        action = Action.of(skip.action.name, order, [*below.action.signs, *skip.action.signs])
    return skip.changed(below.channels + skip.channels, action, skip.length)


def _after(action: Action, first: int) -> Action:
    """The action on the channels from `first` on."""
    return Action.of(action.name, [k - first for k in action.permutation[first:]], action.signs[first:])


def _halved(batch: Batch) -> tuple[Batch, Array]:
    """Return the maxima of neighbours, and whether the first of both is it. Values are 0 or more, as is padding."""
    assert batch.lengths is not None
    values = _even(batch.values)
    first, second = values[:, ::2], values[:, 1::2]
    return Batch(np.maximum(first, second), (batch.lengths + 1) // 2), first >= second


def _spread(gradient: Array, first: Array, length: int) -> Array:
    """The way back of `_halved`."""
    back = np.empty((gradient.shape[0], 2 * gradient.shape[1], gradient.shape[2]), gradient.dtype)
    back[:, ::2], back[:, 1::2] = gradient * first, gradient * ~first
    return back[:, :length]


def _joined(below: Batch, skip: Batch) -> Batch:
    """The level below, doubled, and the skip connection, side by side."""
    doubled = np.repeat(below.values, 2, axis=1)[:, : skip.values.shape[1]]
    return skip.with_values(masked(np.concatenate([doubled, skip.values], axis=2), skip.lengths))


def _folded(gradient: Array) -> Array:
    """The way back of doubling."""
    even = _even(gradient)
    return even[:, ::2] + even[:, 1::2]


def _even(values: Array) -> Array:
    """Add a position of zeros to an odd number."""
    return np.pad(values, ((0, 0), (0, 1), (0, 0))) if values.shape[1] % 2 else values
