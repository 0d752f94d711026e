"""What a network makes of any number of sequences, a few at a time.

Cuts depend on the sequences alone, never on the number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import SequenceError

from .inputs import check_finite
from .signal import Batch
from .stack import Stack

Array = NDArray[Any]
Index = NDArray[np.int64]

SHARD = 16  # sequences that a worker takes at a time,
POSITIONS = 1 << 18  # and positions, which bound the memory


class Network(Protocol):
    """What is asked of a network here."""

    stack: Stack

    def batch(self, sequences: Sequence[Any]) -> Batch: ...
    def expanded(self) -> list[Array]: ...


def shards(lengths: Index, indices: Index) -> Iterator[Index]:
    """Cut some of the sequences, by length, into what a worker takes at a time."""
    order = indices[np.argsort(-lengths[indices], kind="stable")]
    first = 0
    while first < len(order):
        count = max(1, min(SHARD, POSITIONS // max(int(lengths[order[first]]), 1)))
        yield order[first : first + count]
        first += count


def forward(
    net: Network,
    sequences: Sequence[Any],
    numbers: Index,
    weights: Sequence[Array],
    random: np.random.Generator | None = None,
    place: str = "",
) -> tuple[Batch, Any]:
    """Return what the network makes of sequences at once, and what `backward` needs.

    `weights` are expanded, once for all that are worked on: of large layers that takes as long as a few sequences do.
    Raises SequenceError, which names the sequence by its number and place, if one of them does not fit.
    """
    try:
        return net.stack.forward(weights, net.batch(sequences), random)
    except SequenceError:
        for sequence, number in zip(sequences, numbers, strict=True):
            try:
                net.stack.forward(weights, net.batch([sequence]))
            except SequenceError as error:
                raise SequenceError(f"Sequence {number}{place}: {error}") from error
        raise


def outputs(net: Network, sequences: Sequence[Any], run: Callable[..., Iterator[Any]] = map) -> list[Array]:
    """Return what the network makes of each sequence, without padding. Raises SequenceError as `forward` does."""
    weights = net.expanded()

    def work(shard: Index) -> list[Array]:
        with np.errstate(all="ignore"):  # what is not finite is an error
            outgoing, _ = forward(net, [sequences[k] for k in shard], shard, weights)
        check_finite(outgoing.values, shard)
        if outgoing.lengths is None:
            return list(outgoing.values)
        return [row[:length] for row, length in zip(outgoing.values, outgoing.lengths, strict=True)]

    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    cuts = list(shards(lengths, np.arange(len(sequences))))
    found: list[Array] = [np.zeros(0)] * len(sequences)
    for shard, of_shard in zip(cuts, run(work, cuts), strict=True):
        for k, output in zip(shard, of_shard, strict=True):
            found[k] = output
    return found
