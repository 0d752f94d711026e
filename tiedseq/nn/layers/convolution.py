"""Convolution: one filter at every position, which is a tie over positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError, ResourceError
from tiedseq.nn.layer import Layer, shown
from tiedseq.nn.signal import Batch, Signal, masked
from tiedseq.nn.weights import Weight, bias, of_fan_in
from tiedseq.options import checked_count, checked_flag

from . import lookup, taps
from .symmetry import actions_of, bias_ties, check_symmetry, convolution_ties
from .window import Window, windows_over

Array = NDArray[Any]


class Conv1D(Layer):
    """A convolution over positions: every position has the same filters.

    Over letters it is a lookup in a table instead of a product with a one-hot matrix. An ambiguity code such as N
    counts as its letters in equal parts.

    Letters (L,) or numbers (L, channels) come in, and (outputs, filters) in the network's dtype goes out, where outputs
    is (L + zeros at both ends - dilation * (width - 1) - 1) // stride + 1. Output t is the bias plus the sum over k of
    what stands at t * stride + k * dilation - zeros at the beginning, times weight[k].

    Parameters
    ----------
    filters : int
        Channels that go out.
    width : int
        Positions that a filter sees.
    stride, dilation : int, default 1
        Positions between outputs, and between the taps of a filter.
    padding : "valid", "same" or int, default "valid"
        Zeros at the ends: none; as many as keep the length, which needs stride 1; or so many at each end. An odd
        number of zeros for "same", of an even width with an odd dilation, has the one more at the end, as in PyTorch.
    bias : bool, default True
        Whether a number a filter is added.
    symmetry : str, function or list of functions, default None
        "reverse-complement": `filters` is even, and filter filters - 1 - c is the reverse complement of filter c, so
        that the reverse complement of a sequence gives the outputs backwards, channels swapped. "palindrome":
        w[i] = w[width - 1 - i], deaf but for rounding to what is odd around its centre; "antisymmetric": its negative,
        deaf so to what is even. Read backwards, the outputs of antisymmetric filters have the other sign, so they have
        no bias. Palindromes over such outputs keep this, antisymmetric filters undo it. Where a `Signal` says that only
        some channels have it, the weights of these are mirrored with the other sign. Functions rearrange the weights
        (width, channels, filters), as for `Ties.orbits`. None and functions keep the symmetry of the layer before, if
        it has one. After a layer that has lost it, palindromic and antisymmetric filters are tied alike, and later
        layers are free.

    "weight" is (width, channels, filters), channels being the letters of the alphabet where letters come in; "bias" is
    (filters,). Weights start uniform within sqrt(6 / n) of zero, n being the numbers that an output sums: width over
    letters, width * channels over numbers (He et al., ICCV 2015); biases start at zero.

    Raises
    ------
    ArgumentError
        An argument outside of its range, or padding="same" with a stride.
    ModelError
        In a network: "reverse-complement" for letters without a complement, or for numbers of which the network does
        not know how they turn; an odd number of filters where the reverse complement is kept; another symmetry than the
        layer before keeps; or, where a symmetry is kept, padding that differs at both ends.
    SequenceError
        A sequence with its padding shorter than the reach of a filter, dilation * (width - 1) + 1, or, where a symmetry
        is kept, one that the stride does not fit.

    Examples
    --------
    >>> from tiedseq import nn
    >>> net = nn.Sequential(nn.Conv1D(4, width=3, symmetry="reverse-complement"), random_state=0)
    >>> net.n_parameters  # 2 filters of 3 x 4, and 2 biases
    26
    >>> bool(np.allclose(net("GATTACA"), net("TGTAATC")[::-1, ::-1], atol=1e-6))
    True
    """

    def __init__(
        self,
        filters: int,
        width: int,
        stride: int = 1,
        dilation: int = 1,
        padding: str | int = "valid",
        bias: bool = True,
        symmetry: Any = None,
    ) -> None:
        self.filters = checked_count("filters", filters)
        self.window = Window.of(width, stride, dilation, padding)
        check_symmetry(symmetry)
        self.padding, self.has_bias, self.symmetry = padding, checked_flag("bias", bias), symmetry

    def _place(self, signal: Signal) -> Signal:
        signal.need_positions(repr(self))
        actions = actions_of(repr(self), self.symmetry, signal, self.filters)
        self.mirror = actions is not None and (signal.is_input or signal.action is not None)
        outgoing = None if actions is None else actions[1]
        if self.mirror:
            self.window.check_mirror(repr(self))
        shape = (self.window.width, signal.channels, self.filters)
        fan_in = self.window.width * (1 if signal.letters is not None else signal.channels)
        weight = of_fan_in("weight", convolution_ties(shape, self.symmetry, actions), fan_in)
        self.weights: tuple[Weight, ...] = (weight,)
        if self.has_bias:
            self.weights += (bias(self.filters, bias_ties(self.filters, outgoing)),)
        self.letters = signal.letters
        if signal.length is not None:
            self.window.check_length(repr(self), signal.length, self.mirror)
        length = None if signal.length is None else int(self.window.outputs(signal.length))
        return signal.changed(self.filters, outgoing if self.mirror else None, length)

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        if self.letters is not None:
            reading = self.read(batch)
            return Batch(lookup.forward(reading, *weights), reading.counts), reading
        lengths = windows_over(self, self.window, batch, self.mirror)
        values = taps.forward(batch.values, weights[0], self.window, *weights[1:])
        return Batch(masked(values, lengths), lengths), batch

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        if self.letters is not None:
            return None, lookup.backward(memory, gradient)[: len(self.weights)]
        batch: Batch = memory
        back, *of_weights = taps.backward(batch.values, weights[0], gradient, self.window)
        return masked(back, batch.lengths), of_weights[: len(weights)]

    def read(self, batch: Batch) -> lookup.Reading:
        """Return letters as rows of tables."""
        assert self.letters is not None
        counts = windows_over(self, self.window, batch, self.mirror)
        return lookup.Reading.of(batch.values, counts, self.letters, self.window, self.filters)

    def as_matrix(self, weight: Array, length: int) -> Array:
        """Return the convolution of `length` positions as the matrix of a dense layer, without its bias.

        Parameters
        ----------
        weight : array (width, channels, filters)
            As in the network's `parameters`.
        length : int
            Positions that come in.

        Returns
        -------
        array (outputs * filters, length * channels)
            A Toeplitz matrix of blocks: each row of blocks is the one above, moved by `stride` positions.
        """
        length = checked_count("length", length)
        try:
            weight = np.asarray(weight)
        except ValueError as error:
            raise ArgumentError(f"weight= is ragged; give that of the network's `parameters` for {self!r}.") from error
        if weight.ndim != 3 or (weight.shape[0], weight.shape[2]) != (self.window.width, self.filters):
            raise ArgumentError(
                f"weight= has the shape {weight.shape}; of {self!r} it is ({self.window.width}, channels, "
                f"{self.filters})."
            )
        width, channels, filters = weight.shape
        self.window.check_length(repr(self), length, False)
        outputs = int(self.window.outputs(length))
        try:
            matrix = np.zeros((outputs, filters, length, channels), weight.dtype)
        except (MemoryError, ValueError) as error:  # the latter for more than NumPy has words for
            raise ResourceError(
                f"The matrix of {self!r} for length={length} does not fit in memory: {error}; use a smaller length."
            ) from error
        for output in range(outputs):
            for tap in range(width):
                position = output * self.window.stride + tap * self.window.dilation - self.window.before
                if 0 <= position < length:
                    matrix[output, :, position] += weight[tap].T
        return matrix.reshape(outputs * filters, length * channels)

    def _described(self) -> str:
        return shown(
            *(f"{self.filters}", f"width={self.window.width}"),
            stride=(self.window.stride, 1),
            dilation=(self.window.dilation, 1),
            padding=(self.padding, "valid"),
            bias=(self.has_bias, True),
            symmetry=(self.symmetry, None),
        )
