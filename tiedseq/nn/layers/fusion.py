"""Neighbouring layers that are faster as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.nn.layer import Layer
from tiedseq.nn.signal import Batch
from tiedseq.nn.stack import Stack

from . import lookup
from .activations import ReLU
from .convolution import Conv1D
from .pooling import GlobalMaxPool

Array = NDArray[Any]


def fused(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return layers that do what the given ones do, which have their places in a network."""
    found: list[Layer] = []
    rest = list(layers)
    while rest:
        parts = _to_the_maximum(rest)
        found.append(MaximumOfConvolution(parts) if parts else rest[0])
        rest = rest[max(len(parts), 1) :]
    return tuple(found)


def _to_the_maximum(layers: list[Layer]) -> list[Layer]:
    """The first layers, if they are a convolution over letters, perhaps ReLU, and the global maximum; else none."""
    if type(layers[0]) is Conv1D and layers[0].letters is not None:
        for kinds in ([Conv1D, GlobalMaxPool], [Conv1D, ReLU, GlobalMaxPool]):
            if [type(layer) for layer in layers[: len(kinds)]] == kinds:
                return layers[: len(kinds)]
    return []


class MaximumOfConvolution(Stack):
    """A convolution over letters and its global maximum, with ReLU between them or not: outputs are never written.

    ReLU keeps order, so it comes after the maximum. Where it leaves zero, no gradient passes, whichever place won.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__(layers)
        self.input, self.output = self.parts[0].input, self.parts[-1].output
        self._gather()
        first = self.parts[0]
        assert isinstance(first, Conv1D)
        self.convolution = first
        self.rectifies = len(self.parts) > 2

    def __repr__(self) -> str:
        return self._described()  # the layers that the user knows

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        reading = self.convolution.read(batch)
        best, where = lookup.maximum(reading, *weights)
        if self.rectifies:
            best = np.maximum(best, 0)
        return Batch(best), (reading, where, best)

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        reading, where, best = memory
        if self.rectifies:
            gradient = gradient * (best > 0)
        return None, lookup.backward_of_maximum(reading, where, gradient)[: len(weights)]
