"""Networks of pairs of sequences: one network for both, and a comparison that does not know which is first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError, ModelError, SequenceError
from tiedseq.nn.inputs import gathered, sequences_of
from tiedseq.nn.layers.dense import Dense
from tiedseq.nn.network import Sequential
from tiedseq.nn.signal import Action, Batch, Signal
from tiedseq.nn.stack import Composite

Array = NDArray[Any]

COMPARISONS = ("distance", "difference", "product")


class Pair:
    """Two sequences, as long as both together."""

    def __init__(self, first: Array, second: Array) -> None:
        self.both = (first, second)

    def __len__(self) -> int:
        return len(self.both[0]) + len(self.both[1])

    def __getitem__(self, side: int) -> Array:
        return self.both[side]

    def tobytes(self) -> bytes:
        """Both, and where the first ends."""
        return b"".join([np.int64(len(self.both[0])).tobytes(), *(sequence.tobytes() for sequence in self.both)])


@dataclass(frozen=True)
class PairBatch(Batch):
    """The first sequences of pairs, and with them the second ones."""

    second: Batch | None = None


class Kept(NamedTuple):
    """What `backward` needs."""

    first: Any
    second: Any
    points: tuple[Array, Array]
    head: Any


class Twins(Composite):
    """A network for each sequence of a pair, with one set of weights, and the comparison of what comes out.

    Parameters
    ----------
    net : Sequential
        It has its place in a network already, and keeps it.
    comparison : {"distance", "difference", "product"}
        What is given: a - b; or a weighted sum of |a - b| or of a * b, and a number.
    """

    def __init__(self, net: Sequential, comparison: str) -> None:
        self.net, self.comparison = net, comparison
        self._head = None if comparison == "distance" else Dense(1)

    def _place(self, signal: Signal) -> Signal:
        points = self.net.output
        self.parts = (self.net.stack,) if self._head is None else (self.net.stack, self._head)
        outgoing = points
        if self._head is not None:
            action = points.action  # |a - b| and a * b lose the signs that both have
            compared = None if action is None else Action.of(action.name, action.permutation)
            outgoing = self._head.place(points.changed(points.channels, compared, positions=False))
        self._gather()
        return outgoing

    @property
    def weight_names(self) -> list[str]:
        return [*self.net.names, *(f"comparison.{weight.name}" for weight in self.weights[len(self.net.names) :])]

    def forward(
        self, weights: Sequence[Array], batch: Batch, random: np.random.Generator | None = None
    ) -> tuple[Batch, Any]:
        assert isinstance(batch, PairBatch) and batch.second is not None
        shared = self.of_part(self.net.stack, weights)
        first, of_first = self.net.stack.forward(shared, batch, random)
        second, of_second = self.net.stack.forward(shared, batch.second, random)
        points = (first.values, second.values)
        if self._head is None:
            return Batch(points[0] - points[1]), Kept(of_first, of_second, points, None)
        compared = np.abs(points[0] - points[1]) if self.comparison == "difference" else points[0] * points[1]
        scores, of_head = self._head.forward(self.of_part(self._head, weights), Batch(compared))
        return scores, Kept(of_first, of_second, points, of_head)

    def backward(self, weights: Sequence[Array], memory: Any, gradient: Array) -> tuple[Array | None, list[Array]]:
        totals: list[Array | None] = [None] * len(weights)
        first, second = memory.points
        if self._head is None:
            flows = (gradient, -gradient)
        else:
            back, gradients = self._head.backward(self.of_part(self._head, weights), memory.head, gradient)
            assert back is not None
            self.add(self._head, gradients, totals)
            if self.comparison == "difference":
                back = back * np.sign(first - second)
                flows = (back, -back)
            else:
                flows = (back * second, back * first)
        shared = self.of_part(self.net.stack, weights)
        for kept, flow in ((memory.first, flows[0]), (memory.second, flows[1])):
            self.add(self.net.stack, self.net.stack.backward(shared, kept, flow)[1], totals)
        return None, self.summed(totals, weights)

    def _described(self) -> str:
        return f"{self.net!r}, {self.comparison!r}"


class PairNetwork(Sequential):
    """A network of pairs. Its free values are those of the network, then those of the comparison.

    Parameters
    ----------
    net : Sequential
        What makes a point of every sequence. Its values are taken over; what they are later is a matter of its own.
    comparison : {"distance", "difference", "product"}
        See `Twins`.

    Raises
    ------
    ModelError
        The network leaves positions.
    """

    def __init__(self, net: Sequential, comparison: str) -> None:
        if net.output.positions:
            raise ModelError(
                "nn.Siamese compares one row of numbers a sequence, and the network leaves positions: put an "
                "nn.GlobalMaxPool into it."
            )
        super().__init__(Twins(net, comparison), input=net.input, dtype=net.dtype, random_state=0)
        self.values = np.concatenate([net.values, self.values[net.n_parameters :]])

    def read(self, X: Any) -> tuple[list[Any], bool]:
        """Return pairs, and whether X is a single one, which is a tuple of two sequences.

        Raises ArgumentError for what are no pairs, SequenceError for sequences that do not suit the network.
        """
        if hasattr(X, "to_numpy"):
            X = X.to_numpy()
        one = isinstance(X, tuple) and len(X) == 2 and not any(isinstance(entry, tuple) for entry in X)
        if not one and (isinstance(X, str | bytes) or not isinstance(X, Iterable)):
            raise ArgumentError(f"X is of type {type(X).__name__}; give a list of pairs of sequences.")
        pairs = [X] if one else list(X)
        if not pairs:
            raise ArgumentError("X holds no pair; give one at least.")
        for number, pair in enumerate(pairs):
            if isinstance(pair, str | bytes) or not hasattr(pair, "__len__") or len(pair) != 2:
                raise ArgumentError(f"X[{number}] is no pair: give two sequences in a tuple.")
        sides = [self._side(pairs, side) for side in (0, 1)]
        return [Pair(*both) for both in zip(*sides, strict=True)], one

    def batch(self, sequences: Sequence[Any]) -> Batch:
        """Return pairs as two batches."""
        first, second = (gathered([pair[side] for pair in sequences], self.input) for side in (0, 1))
        return PairBatch(first.values, first.lengths, second)

    def _side(self, pairs: list[Any], side: int) -> list[Array]:
        try:
            return sequences_of([pair[side] for pair in pairs], self.input, self.dtype)[0]
        except SequenceError as error:
            which = ("first", "second")[side]
            raise SequenceError(f"Of the pairs' {which} sequences: {error}", error.position) from error
