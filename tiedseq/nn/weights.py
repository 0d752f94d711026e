"""A layer's weights: an array whose entries are tied, and how it starts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError
from tiedseq.options import checked_flag, checked_weight
from tiedseq.ties import Ties, check_size

Array = NDArray[Any]


class Weight:
    """An array of weights of a layer. Two layers that hold the same Weight share its values.

    A layer of your own sets `weights` to a tuple of them in `_place`; `forward` and `backward` get their arrays.

    Parameters
    ----------
    name : str
        Unique within a layer: "weight", "bias", ...
    ties : Ties
        Over the entries of the array.
    scale : float
        Starting values are drawn uniformly from -scale to scale; zero starts at zero.
    decays : bool, default True
        Whether weight decay applies; biases are left alone.

    Raises
    ------
    ArgumentError
        An argument of another kind, or a scale that is negative or not finite.

    Examples
    --------
    >>> import tiedseq as ts
    >>> from tiedseq import nn
    >>> class Scale(nn.Layer):  # one factor for the first two channels, one for the third
    ...     def _place(self, signal):
    ...         self.weights = (nn.Weight("factor", ts.Ties([0, 0, 1]), scale=1.0),)
    ...         return nn.Signal(3, positions=False)
    ...     def forward(self, weights, batch, random=None):
    ...         return batch.with_values(batch.values * weights[0]), batch.values
    ...     def backward(self, weights, memory, gradient):
    ...         return gradient * weights[0], [(gradient * memory).sum(axis=0)]
    >>> net = nn.Sequential(Scale(), input=nn.Signal(3, positions=False), random_state=0)
    >>> net.values = np.array([2.0, 5.0])
    >>> net([1, 1, 1])
    array([2., 2., 5.], dtype=float32)
    """

    def __init__(self, name: str, ties: Ties, scale: float, decays: bool = True) -> None:
        if not isinstance(name, str) or not name:
            raise ArgumentError(f"name={name!r} of nn.Weight must be text.")
        if not isinstance(ties, Ties):
            raise ArgumentError(f"ties={ties!r} of nn.Weight must be ts.Ties over the entries of the array.")
        self.name, self.ties, self.scale = name, ties, checked_weight("scale", scale)
        self.decays = checked_flag("decays", decays)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.ties.shape

    def draw(self, generator: np.random.Generator) -> Array:
        """Return starting values of the free entries."""
        return generator.uniform(-self.scale, self.scale, self.ties.n_free)


def untied(shape: tuple[int, ...]) -> Ties:
    """Every entry is a value of its own."""
    check_size(shape)
    return Ties(np.arange(math.prod(shape)).reshape(shape))


def bias(channels: int, ties: Ties | None = None) -> Weight:
    return Weight("bias", untied((channels,)) if ties is None else ties, 0.0, decays=False)


def of_bias(gradient: Array) -> Array:
    """Return d loss / d bias from d loss / d output, whose last axis are the channels: summed in float64."""
    total: Array = gradient.reshape(-1, gradient.shape[-1]).sum(axis=0, dtype=np.float64).astype(gradient.dtype)
    return total


def of_fan_in(name: str, ties: Ties, fan_in: int) -> Weight:
    """Weights under which ReLU keeps the size of its input (He et al., ICCV 2015), for sums over `fan_in` numbers."""
    return Weight(name, ties, float(np.sqrt(6.0 / max(fan_in, 1))))
