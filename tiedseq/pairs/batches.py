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
    numbers: list[int]  # of the pairs among all
    columns: list[Columns] | None  # a given alignment of each; None: all alignments count


def batches_of(
    pairs: Sequence[tuple[Codes, Codes]], weights: Floats, columns: Sequence[Columns] | None
) -> list[PairBatch]:
    """Return pairs in their order, in runs that are work enough for a call; cut by the data alone.

    Pairs of weight 0 are left out: they say nothing, even where they are impossible.
    """
    runs: list[list[int]] = [[]]
    cells, counting = 0, np.flatnonzero(weights > 0.0).tolist()
    for number in counting:
        runs[-1].append(number)
        x, y = pairs[number]
        cells += (x.size + 1) * (y.size + 1) if columns is None else columns[number].shape[1]
        if cells >= _BATCH_CELLS and number != counting[-1]:
            runs.append([])
            cells = 0
    return [
        PairBatch([pairs[k] for k in run], weights[run], run, None if columns is None else [columns[k] for k in run])
        for run in runs
    ]
