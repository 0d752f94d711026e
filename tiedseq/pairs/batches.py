"""Pairs of sequences, and given alignments of them, in batches that are worked on together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .tables import Codes, Floats

_BATCH_CELLS = 1 << 24  # of a batch: some 50 ms, little enough for threads to share the work of a hundred short pairs

Columns = NDArray[np.int64]
"""An alignment, (2, n): positions in target and query, -1 for a gap."""


class PairBatch(NamedTuple):
    """Pairs that are worked on together."""

    pairs: list[tuple[Codes, Codes]]
    weights: Floats
    first: int  # number of the first pair among all
    columns: list[Columns] | None  # a given alignment of each; None: all alignments count

    @property
    def numbers(self) -> range:
        """The pairs' numbers among all."""
        return range(self.first, self.first + len(self.pairs))


def batches_of(
    pairs: Sequence[tuple[Codes, Codes]], weights: Floats, columns: Sequence[Columns] | None
) -> list[PairBatch]:
    """Return pairs in their order, in runs that are work enough for a call; cut by the data alone."""
    batches, first, cells = [], 0, 0
    for number, (x, y) in enumerate(pairs):
        cells += (x.size + 1) * (y.size + 1) if columns is None else columns[number].shape[1]
        if cells >= _BATCH_CELLS or number == len(pairs) - 1:
            run = slice(first, number + 1)
            batches.append(
                PairBatch(list(pairs[run]), weights[run], first, None if columns is None else list(columns[run]))
            )
            first, cells = number + 1, 0
    return batches
