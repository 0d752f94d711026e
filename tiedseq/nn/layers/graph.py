"""Layers over the nodes of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError, ModelError, SequenceError, counted
from tiedseq.nn.layer import Layer, shown
from tiedseq.nn.signal import Batch, Signal
from tiedseq.nn.weights import Weight, bias, of_bias, of_fan_in, untied
from tiedseq.options import checked_count, checked_flag

Array = NDArray[Any]


class MultiHop(Layer):
    """y = sum over k from 0 to `hops` of s_k A^k x W + b: one matrix W at all distances, and a number s_k a distance.

    Positions are the nodes of a graph with the adjacency A. All distances share W, so that a further hop costs one
    parameter. The s_k start at 1 / (hops + 1).

    Parameters
    ----------
    units : int
        Channels that go out.
    hops : int
        The largest distance, 1 or more.
    adjacency : scipy.sparse matrix or array (nodes, nodes)
        Entry (i, j) is what node i takes from node j. It is used as it is: divide rows by their sums to have means.
    bias : bool, default True
        Whether a number a unit is added.

    Raises
    ------
    ArgumentError
        An adjacency that is not square, or holds numbers that are not finite.
    ModelError
        In a network: another length than the number of nodes, or a symmetry, since a graph has no other end.
    SequenceError
        Another number of positions than nodes.

    Examples
    --------
    >>> import numpy as np
    >>> from tiedseq import nn
    >>> path = np.eye(5, k=1) + np.eye(5, k=-1)
    >>> nn.Sequential(nn.MultiHop(8, hops=3, adjacency=path), input=4, length=5).n_parameters  # 4 x 8, 4 hops, 8 biases
    44
    """

    def __init__(self, units: int, hops: int, adjacency: Any, bias: bool = True) -> None:
        self.units, self.hops = checked_count("units", units), checked_count("hops", hops)
        self.has_bias = checked_flag("bias", bias)
        self.adjacency = _checked_adjacency(adjacency)
        self.nodes = self.adjacency.shape[0]

    def _place(self, signal: Signal) -> Signal:
        signal.need_positions(repr(self))
        signal.need_numbers(repr(self))
        if signal.action is not None:
            raise ModelError(
                f"{self!r} comes after a layer that keeps {signal.action.name}, and a graph has no other end; "
                "leave the symmetry out."
            )
        if signal.length not in (None, self.nodes):
            raise ModelError(
                f"{self!r} takes a position a node, and the sequences have the length {signal.length}: give the "
                f"network length={self.nodes}, or an adjacency= of {counted(signal.length, 'node')}."
            )
        self._matrix = self.adjacency.astype(signal.dtype)
        self._transposed = self._matrix.T.tocsr()
        self.weights = (
            of_fan_in("weight", untied((signal.channels, self.units)), signal.channels),
            _Scales(self.hops),
            *((bias(self.units),) if self.has_bias else ()),
        )
        return signal.changed(self.units, None, self.nodes)

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        assert batch.lengths is not None
        if (batch.lengths != self.nodes).any():
            wrong = int(batch.lengths[batch.lengths != self.nodes][0])
            raise SequenceError(
                f"a sequence has {counted(wrong, 'position')}, and the graph of {self!r} "
                f"{counted(self.nodes, 'node')}: give one position for each node, in their order"
            )
        # W comes first: it acts on channels and A on nodes, so their order does not matter, and units are few.
        reached = [_by_node(batch.values @ weights[0])]
        for _ in range(self.hops):
            reached.append(self._matrix @ reached[-1])
        total = sum(scale * values for scale, values in zip(weights[1], reached, strict=True))
        values = _by_sequence(total, self.units)
        return batch.with_values(values + weights[2] if self.has_bias else values), (batch.values, reached)

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        incoming, reached = memory
        flow = _by_node(gradient)
        of_scales = np.array([np.vdot(flow, values) for values in reached], gradient.dtype)
        total = weights[1][-1] * flow
        for scale in weights[1][-2::-1]:  # Horner's rule in the transposed adjacency
            total = scale * flow + self._transposed @ total
        projected = _by_sequence(total, self.units)
        of_weight = np.tensordot(incoming, projected, axes=([0, 1], [0, 1]))
        gradients = [of_weight, of_scales, *([of_bias(gradient)] if self.has_bias else [])]
        return projected @ weights[0].T, gradients

    def _described(self) -> str:
        always = f"{self.units}", f"hops={self.hops}", f"adjacency=<{counted(self.nodes, 'node')}>"
        return shown(*always, bias=(self.has_bias, True))


class _Scales(Weight):
    """A number a distance, which starts at equal shares and does not decay: the size of y is in W already."""

    def __init__(self, hops: int) -> None:
        super().__init__("scales", untied((hops + 1,)), 0.0, decays=False)

    def draw(self, generator: np.random.Generator) -> Array:
        return np.full(self.ties.n_free, 1 / self.ties.n_free)


def _by_node(values: Array) -> Array:
    """(N, nodes, units) as (nodes, N * units), contiguous."""
    return np.ascontiguousarray(values.swapaxes(0, 1)).reshape(values.shape[1], -1)


def _by_sequence(values: Any, units: int) -> Array:
    """The way back."""
    return np.ascontiguousarray(values.reshape(len(values), -1, units).swapaxes(0, 1))


def _checked_adjacency(adjacency: Any) -> Any:
    from scipy import sparse

    try:
        matrix = sparse.csr_array(adjacency)
        if matrix.dtype.kind == "c":
            raise TypeError("complex numbers")
        matrix = matrix.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"adjacency= is of type {type(adjacency).__name__}; give a scipy.sparse matrix, or an array "
            "(nodes, nodes), of real numbers."
        ) from error
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.shape[0]:
        raise ArgumentError(f"adjacency= has the shape {matrix.shape}; it must be (nodes, nodes).")
    if not np.isfinite(matrix.data).all():
        raise ArgumentError("adjacency= holds numbers that are not finite; replace them.")
    return matrix
