"""Sequences with their targets and weights, and how they are cut for training.

Cuts depend on the data alone, never on the number of workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError, counted
from tiedseq.nn.network import Sequential
from tiedseq.nn.prediction import Index, forward
from tiedseq.nn.signal import Batch

from .losses import Loss

Array = NDArray[Any]

LIKE = 0.1  # lengths that differ by less than about twice this part may stand in any order


@dataclass(frozen=True)
class Samples:
    """Sequences, what they should give, and how much that counts.

    Attributes
    ----------
    sequences : list of arrays, or of pairs of them
        As `net.read` gives them.
    targets : array (N,) or (N, K); list of arrays (L,) or (L, K) if there is one a position
    weights : array (N,); list of arrays (L,)
        Zero where nothing is known.
    numbers : int64 (N,)
        How they were numbered where they came from, for messages.
    place : str
        What is added to their name in messages.
    """

    sequences: Sequence[Any]
    targets: Any
    weights: Any
    numbers: Index
    place: str = ""

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def lengths(self) -> Index:
        return np.array([len(sequence) for sequence in self.sequences], np.int64)

    def chosen(self, indices: Index) -> Samples:
        """Return some of them, in this order."""

        def pick(of_all: Any) -> Any:
            return of_all[indices] if isinstance(of_all, np.ndarray) else [of_all[k] for k in indices]

        sequences = [self.sequences[k] for k in indices]
        return Samples(sequences, pick(self.targets), pick(self.weights), self.numbers[indices], self.place)

    def side_by_side(self, length: int) -> tuple[Array, Array]:
        """Return targets and weights as arrays, those of positions padded to a length with weight zero."""
        if isinstance(self.targets, np.ndarray):
            return self.targets, self.weights
        first = self.targets[0]
        targets = np.zeros((len(self), length, *first.shape[1:]), first.dtype)
        weights = np.zeros((len(self), length))
        for row, (target, weight) in enumerate(zip(self.targets, self.weights, strict=True)):
            targets[row, : len(target)], weights[row, : len(weight)] = target, weight
        return targets, weights

    def counts(self) -> Array:
        """(N,): how many targets of each have a weight."""
        if isinstance(self.weights, np.ndarray):
            return (self.weights > 0.0).astype(np.int64)
        return np.array([np.count_nonzero(weight) for weight in self.weights], np.int64)

    def total_weight(self) -> float:
        return float(sum(float(weight.sum()) for weight in self.weights))


def minibatches(lengths: Index, size: int, generator: np.random.Generator) -> list[Index]:
    """Cut sequences into minibatches of like length, in random order, and new ones at every call."""
    order = np.argsort(lengths * generator.uniform(1.0 - LIKE, 1.0 + LIKE, len(lengths)), kind="stable")
    cuts = [order[first : first + size] for first in range(0, len(order), size)]
    return [cuts[k] for k in generator.permutation(len(cuts))]


def loss_of(
    net: Sequential,
    loss: Loss,
    weights: Sequence[Array],
    samples: Samples,
    seed: Sequence[int] | None,
    with_gradient: bool = True,
) -> tuple[float, Array | None]:
    """Return the sum of weight * loss over all samples, and its gradient in the free values, float64.

    `weights` are those of the network, expanded. `seed` is for layers that draw in training; None: as in prediction.
    """
    with np.errstate(all="ignore"):  # what is not finite is seen by who asks
        random = None if seed is None else np.random.default_rng(seed)
        outgoing, memory = forward(net, samples.sequences, samples.numbers, weights, random, samples.place)
        _check_outputs(outgoing, samples)
        total, gradient = loss(outgoing.values, *samples.side_by_side(outgoing.values.shape[1]))
        return total, net.pooled(net.stack.backward(weights, memory, gradient)[1]) if with_gradient else None


def _check_outputs(outgoing: Batch, samples: Samples) -> None:
    """ArgumentError where there is not one target for every position that comes out."""
    if isinstance(samples.targets, np.ndarray):
        return
    assert outgoing.lengths is not None
    is_label = samples.targets[0].dtype.kind == "i"
    what, unknown = ("label", ", None where unknown") if is_label else ("number", "")
    for number, length, target in zip(samples.numbers, outgoing.lengths, samples.targets, strict=True):
        if len(target) != length:
            raise ArgumentError(
                f"y[{number}]{samples.place} has {counted(len(target), what)}, and the network leaves "
                f"{counted(length, 'position')} of "
                f'sequence {number}: give one each{unknown}; layers with padding="same" keep the length.'
            )
