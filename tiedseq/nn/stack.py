"""Layers one after the other, as one layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError, ResourceError, TiedseqError, counted

from .layer import Layer
from .signal import Batch, Signal
from .weights import Weight

Array = NDArray[Any]


def labels_of(weights: Sequence[Weight], parts: Iterable[tuple[str, Layer]]) -> list[str]:
    """Return a label for every weight: the prefix of the first part that holds it, and its name there."""
    labels: dict[Weight, str] = {}
    for prefix, part in parts:
        for weight, name in zip(part.weights, part.weight_names, strict=True):
            labels.setdefault(weight, f"{prefix}.{name}")
    return [labels[weight] for weight in weights]


class Composite(Layer):
    """A layer made of others, whose weights are those of its parts, each once."""

    parts: tuple[Layer, ...]

    def _gather(self) -> None:
        """Set `weights` from the parts; a Weight that several parts hold stands once."""
        self.weights = tuple(dict.fromkeys(weight for part in self.parts for weight in part.weights))
        self._index = {weight: number for number, weight in enumerate(self.weights)}

    @property
    def weight_names(self) -> list[str]:
        return labels_of(self.weights, ((str(number), part) for number, part in enumerate(self.parts)))

    def of_part(self, part: Layer, weights: Sequence[Array]) -> list[Array]:
        """The arrays of one part, among those of all."""
        return [weights[self._index[weight]] for weight in part.weights]

    def add(self, part: Layer, gradients: Sequence[Array], totals: list[Array | None]) -> None:
        """Add the gradients of one part to the totals: what is shared is summed."""
        for weight, gradient in zip(part.weights, gradients, strict=True):
            number = self._index[weight]
            known = totals[number]
            totals[number] = gradient if known is None else known + gradient

    def summed(self, totals: Sequence[Array | None], weights: Sequence[Array]) -> list[Array]:
        """Totals, with zeros where nothing was added."""
        return [
            np.zeros_like(weight) if total is None else total for total, weight in zip(totals, weights, strict=True)
        ]

    def release(self) -> None:
        super().release()
        for part in self.parts:
            part.release()

    def penalty(self, weights: Sequence[Array]) -> tuple[float, list[Array]] | None:
        totals: list[Array | None] = [None] * len(weights)
        value, any_part = 0.0, False
        for part in self.parts:
            found = part.penalty(self.of_part(part, weights))
            if found is not None:
                value, any_part = value + found[0], True
                self.add(part, found[1], totals)
        return (value, self.summed(totals, weights)) if any_part else None


class Stack(Composite):
    """Layers one after the other.

    `steps` is what is run: the parts, or fewer layers that do the same faster.
    """

    steps: tuple[Layer, ...]

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.parts = tuple(layers)
        if not self.parts:
            raise ArgumentError("A network needs at least one layer.")
        for number, layer in enumerate(self.parts, start=1):
            if not isinstance(layer, Layer):
                raise ArgumentError(f"Layer {number} is {layer!r}, which is no layer of tiedseq.nn.")

    def _place(self, signal: Signal) -> Signal:
        placed: list[Layer] = []
        try:
            for layer in self.parts:
                signal = layer.place(signal)
                placed.append(layer)
        except (TiedseqError, MemoryError) as error:
            for each in placed:
                each.release()
            if isinstance(error, MemoryError):
                number = len(placed) + 1
                raise ResourceError(
                    f"The weights of layer {number}, {layer!r}, do not fit in memory ({_why(error)}): make the layer "
                    "smaller."
                ) from error
            raise
        self._gather()
        self.steps = self.parts
        return signal

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        memories = []
        layer: Layer = self
        try:
            for layer in self.steps:
                batch, memory = layer.forward(self.of_part(layer, weights), batch, random)
                memories.append(memory)
        except MemoryError as error:
            raise _too_large(f"What {layer!r} makes of {_size(batch.values)}", error) from error
        return batch, memories

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        totals: list[Array | None] = [None] * len(weights)
        back: Array | None = gradient
        layer: Layer = self
        try:
            for layer, kept in zip(reversed(self.steps), reversed(memory), strict=True):
                if back is None:
                    break
                back, gradients = layer.backward(self.of_part(layer, weights), kept, back)
                self.add(layer, gradients, totals)
        except MemoryError as error:
            raise _too_large(f"The gradient of {layer!r} for {counted(len(gradient), 'sequence')}", error) from error
        return back, self.summed(totals, weights)

    def _described(self) -> str:
        return ", ".join(map(repr, self.parts))


def _too_large(what: str, error: MemoryError) -> ResourceError:
    """What to raise where there is no memory for a batch or a gradient."""
    return ResourceError(
        f"{what} does not fit in memory ({_why(error)}): use less padding, shorter sequences or a smaller layer."
    )


def _size(values: Array) -> str:
    """The size of a batch, in words."""
    has_positions = values.ndim > 2 or values.dtype.kind == "u"
    return (
        f"{counted(len(values), 'sequence')} of {counted(values.shape[1], 'position' if has_positions else 'number')}"
    )


def _why(error: MemoryError) -> str:
    return str(error) or "it is full"
