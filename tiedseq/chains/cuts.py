"""How sequences are cut into pieces that run side by side, and what the pieces say of the sequences.

A piece warms up over the letters before it, and backward over those after it, until what it began with is forgotten.
That is not taken on trust: at every seam the values of both sides are compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.kernels.hmm_layout import STEEPEST, TOTAL, TOTAL_BEFORE, UNIT, UNIT_BEFORE, Pieces, Sums
from tiedseq.kernels.layout import LANES

from .tables import Floats, Index

_SHORTEST, _LONGEST = 2048, 16384  # letters of a piece
_AGREEMENT = 1e-11  # how closely both sides of a seam must agree: relative, state by state
_NOTHING = 1e-290  # what may differ at a seam without a trace in the sums
_TASK_LETTERS = 1 << 17  # of one call of a kernel
_LN2 = math.log(2.0)
WARMUPS = (256, 1024, 4096, 0)  # letters, one after the other until all seams agree; 0: no sequence is cut


class Passed(NamedTuple):
    """What a pass says of every sequence."""

    log_likelihood: Floats  # (sequences,): without the rows' scales; -inf where nothing explains the sequence
    steepest: Floats  # (sequences,): the largest backward value beside a posterior of 1; 0 after forward alone
    agrees: bool  # both sides of every seam


class Side(NamedTuple):
    """One side of all seams."""

    first: NDArray[Any]
    second: NDArray[Any]


class Cuts:
    """Pieces of sequences, sorted by length into batches of lanes.

    Parameters
    ----------
    ends : int64 array (n + 1,)
        Sequence k holds the letters from ends[k] to before ends[k + 1].
    weights : float64 array (n,)
    warmup : int
        Letters over which inner pieces warm up; 0 leaves all sequences whole.
    """

    def __init__(self, ends: Index, weights: Floats, warmup: int) -> None:
        lengths = np.diff(ends)
        self.n_sequences = len(lengths)
        counts = _piece_counts(lengths) if warmup else np.ones(len(lengths), np.int64)
        sequence = np.repeat(np.arange(len(lengths)), counts)
        number = np.arange(len(sequence)) - np.repeat(np.cumsum(counts) - counts, counts)
        low = lengths[sequence] * number // counts[sequence]
        high = lengths[sequence] * (number + 1) // counts[sequence]
        begin = np.maximum(low - warmup, 0)
        stop = np.minimum(high + warmup, lengths[sequence]) if warmup else high
        order = np.argsort(begin - stop, kind="stable")
        idle = -len(order) % LANES

        def placed(values: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate([values[order], np.zeros(idle, values.dtype)])

        self.sequence, self.number = placed(sequence), placed(number)
        self.is_cut = placed(counts[sequence] > 1)
        self.n_pieces = len(order)
        self._pieces = Pieces(
            begin=placed(ends[:-1][sequence] + begin),
            first=placed(low - begin),
            last=placed(high - begin),
            stop=placed(stop - begin),
            weight=placed(np.asarray(weights, np.float64)[sequence]),
            seam=np.full(len(order) + idle, -1, np.int64),
        )

    def tasks(self) -> Iterator[slice]:
        """Runs of whole batches, each enough work for one call."""
        longest = self._pieces.stop[::LANES]
        first, letters = 0, 0
        for batch, length in enumerate(longest.tolist()):
            letters += length * LANES
            if letters >= _TASK_LETTERS or batch == len(longest) - 1:
                yield slice(first * LANES, (batch + 1) * LANES)
                first, letters = batch + 1, 0

    def pieces(self, task: slice) -> Pieces:
        """The pieces of a task, with a place for the seams of each that is cut."""
        part = Pieces(*(array[task] for array in self._pieces))
        cut = self.is_cut[task]
        part.seam[cut] = np.arange(int(cut.sum()))
        return part

    def n_seams(self, task: slice) -> int:
        return int(self.is_cut[task].sum())

    def longest(self, task: slice) -> int:
        return int(self._pieces.stop[task.start])

    def passed(self, parts: list[Sums]) -> Passed:
        """Put together what the kernels wrote about the pieces of every task."""
        summary = np.concatenate([sums.summary for sums in parts])[: self.n_pieces]
        sequence = self.sequence[: self.n_pieces]
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(summary[:, TOTAL]) + summary[:, UNIT] * _LN2
            before = np.log(summary[:, TOTAL_BEFORE]) + summary[:, UNIT_BEFORE] * _LN2
            logs = np.where(self._pieces.first[: self.n_pieces] > 0, logs - before, logs)
        logs[~(summary[:, TOTAL] > 0.0)] = -np.inf
        steepest = np.zeros(self.n_sequences)
        np.maximum.at(steepest, sequence, summary[:, STEEPEST])
        totals: Floats = np.bincount(sequence, logs, self.n_sequences).astype(np.float64)
        return Passed(totals, steepest, self._agree(parts))

    def joined(self, first: NDArray[Any], second: NDArray[Any]) -> tuple[Side, Side]:
        """Return what belongs to the pieces before and after every seam, of two arrays over pieces that are cut."""
        cut = np.flatnonzero(self.is_cut)
        order = np.lexsort((self.number[cut], self.sequence[cut]))
        sequence = self.sequence[cut][order]
        before = np.flatnonzero(sequence[1:] == sequence[:-1])
        return Side(first[order][before], second[order][before]), Side(
            first[order][before + 1], second[order][before + 1]
        )

    def _agree(self, parts: list[Sums]) -> bool:
        if not self.is_cut.any():
            return True
        seams = np.concatenate([sums.seams for sums in parts])
        before, after = self.joined(seams, seams)
        return _alike(after.first[:, 0], before.first[:, 2]) and _alike(after.first[:, 1], before.first[:, 3])


def _piece_counts(lengths: Index) -> Index:
    """Into how many pieces each sequence is cut, so that all lanes have work."""
    size = min(_LONGEST, max(_SHORTEST, -(-int(lengths.sum()) // LANES)))
    counts = np.maximum(1, (lengths + size // 2) // size)
    if len(lengths) == 1 and counts[0] > 1:
        counts = -(-counts // LANES) * LANES
    return counts


def _alike(a: Floats, b: Floats) -> bool:
    """Whether vectors are multiples of each other."""
    a, b = (x / np.maximum(x.max(axis=1, keepdims=True), 1e-300) for x in (a, b))
    return bool((np.abs(a - b) <= _AGREEMENT * np.minimum(a, b) + _NOTHING).all())
