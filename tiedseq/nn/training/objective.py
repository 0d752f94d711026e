"""What training minimises over all examples, and its gradient, by workers.

The objective is the weighted mean of the loss over all places, plus half of `weight_decay` times the sum of squares of
the free values that decay, each once, plus what layers add (`Sequential.penalty`), as it is. A step of Adam sees that
of its minibatch, whose sum is divided by its number of places times the mean weight of all places, so that classes
count in every minibatch as they do in all. Gradients are summed shard by shard in their order: the same bits on any
number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.nn.network import Sequential
from tiedseq.nn.prediction import Index, shards

from .losses import Loss
from .minibatches import Samples, loss_of

Vector = NDArray[np.float64]


class Objective:
    """The objective and its gradient, by workers."""

    def __init__(
        self, net: Sequential, loss: Loss, samples: Samples, weight_decay: float, run: Callable[..., Any]
    ) -> None:
        self.net, self.loss, self.samples, self.run = net, loss, samples, run
        self.lengths, self.counts = samples.lengths, samples.counts()
        self.mean_weight = samples.total_weight() / max(int(self.counts.sum()), 1)
        self.decay = weight_decay * net.decays

    def of(self, values: Vector, indices: Index, seed: Sequence[int] | None) -> tuple[float, Vector]:
        """Return the objective of some of the samples and its gradient in the free values.

        `seed` is for layers that draw. Raises FloatingPointError if either is not finite.
        """
        divisor = float(self.counts[indices].sum()) * self.mean_weight
        total, gradient = 0.0, np.zeros(len(values))
        for value, slope in self._sums(values, indices, seed, True):
            total, gradient = total + value, gradient + slope
        penalty, of_penalty = self.net.penalty(values)
        total = total / divisor + 0.5 * float(self.decay @ (values * values)) + penalty
        gradient = gradient / divisor + self.decay * values + of_penalty
        if not (math.isfinite(total) and np.isfinite(gradient).all()):
            raise FloatingPointError
        return total, gradient

    def mean_loss(self, values: Vector) -> float:
        """Return the weighted mean of the loss over all samples, as in prediction.

        Raises FloatingPointError if it is not finite.
        """
        found = sum(value for value, _ in self._sums(values, np.arange(len(self.samples)), None, False))
        mean = float(found) / (float(self.counts.sum()) * self.mean_weight)
        if not math.isfinite(mean):
            raise FloatingPointError
        return mean

    def _sums(self, values: Vector, indices: Index, seed: Sequence[int] | None, with_gradient: bool) -> Iterator[Any]:
        weights = self.net.expanded(values)

        def work(task: tuple[int, Index]) -> tuple[float, Any]:
            number, shard = task
            of_shard = None if seed is None else [*seed, number]
            return loss_of(self.net, self.loss, weights, self.samples.chosen(shard), of_shard, with_gradient)

        return self.run(work, enumerate(shards(self.lengths, indices)))
