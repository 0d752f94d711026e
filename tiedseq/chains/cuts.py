"""How sequences are cut into pieces that run side by side, and what the pieces say of the sequences.

A piece warms up over the letters before it, and backward over those after it, until what it began with is forgotten.
That is not taken on trust: at every seam the values of both sides are compared.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.kernels.hmm_layout import STEEPEST, TOTAL, TOTAL_BEFORE, UNIT, UNIT_BEFORE, Pieces, Sums
from tiedseq.kernels.layout import LANES

from .tables import Floats, Index, Likelihoods

_SHORTEST, _LONGEST = 2048, 16384  # letters of a piece
_AGREEMENT = 1e-11  # how closely both sides of a seam must agree: relative, state by state
_NOTHING = 1e-290  # what may differ at a seam without a trace in the sums
_TASK_LETTERS = 1 << 17  # of one call of a kernel, at most but for what one batch of lanes has
_LETTERS_OF_A_COUNT = 32  # at least: counts of rows, which are kept, take a quarter of the letters' memory at most
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


class Task(NamedTuple):
    """Whole batches of lanes, enough work for one call of a kernel."""

    pieces: Pieces  # with a place for the seams of each that is cut
    n_seams: int
    longest: int  # letters of a piece


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
        self.has_seams = bool((counts > 1).any())
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

    def weighted(self, weights: Floats) -> Cuts:
        """The same with other weights of the sequences."""
        other = copy.copy(self)
        other.__dict__.pop("tasks", None)
        placed = np.zeros(len(self.sequence))
        placed[: self.n_pieces] = weights[self.sequence[: self.n_pieces]]
        other._pieces = self._pieces._replace(weight=placed)
        return other

    @cached_property
    def tasks(self) -> list[Task]:
        """Runs of batches, alike, and an even number of them if there are several: two threads have the same to do."""
        letters = np.cumsum(self._pieces.stop[::LANES] * LANES)
        total = max(1, int(letters[-1])) if len(letters) else 1
        count = 1 if total <= _TASK_LETTERS else 2 * -(-total // (2 * _TASK_LETTERS))
        firsts = np.flatnonzero(np.diff((letters - 1) * count // total, prepend=-2)) * LANES
        return [self._task(slice(*ends)) for ends in pairwise([*firsts.tolist(), len(self.sequence)])]

    def _task(self, part: slice) -> Task:
        pieces, cut = Pieces(*(array[part] for array in self._pieces)), self.is_cut[part]
        pieces.seam[cut] = np.arange(int(cut.sum()))
        return Task(pieces, int(cut.sum()), int(pieces.stop[0]))

    def passed(self, parts: Sequence[Sums]) -> Passed:
        """Put together what the kernels wrote about the pieces of every task."""
        summary = np.concatenate([sums.summary for sums in parts])[: self.n_pieces]
        sequence = self.sequence[: self.n_pieces]
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(summary[:, TOTAL]) + summary[:, UNIT] * _LN2
            if self.has_seams:
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

    def _agree(self, parts: Sequence[Sums]) -> bool:
        if not self.has_seams:
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


class Spans:
    """Where sequences begin and end that stand one after the other, and how often each counts.

    What follows from the data alone is kept, as every iteration asks for it again. It is not sent to other processes.
    Threads that ask at once may both make it, and make the same.

    Parameters
    ----------
    ends : int64 array (n + 1,)
        Sequence k holds the letters from ends[k] to before ends[k + 1].
    weights : float64 array (n,), default 1
    """

    def __init__(self, ends: Index, weights: Floats | None = None) -> None:
        self.ends, self.weights = ends, np.ones(len(ends) - 1) if weights is None else weights
        self._cuts: dict[int, Cuts] = {}
        self._counted: tuple[NDArray[Any], Floats] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Spans, (self.ends, self.weights)

    def __len__(self) -> int:
        return len(self.weights)

    @cached_property
    def seen(self) -> Floats:
        """The weights, but 1 for 0: without a weight there is nothing to see the steepness by."""
        return np.where(self.weights == 0.0, 1.0, self.weights)

    def cuts(self, warmup: int) -> Cuts:
        """The pieces, with the weights `seen`."""
        found = self._cuts.get(warmup)
        if found is None:
            found = self._cuts[warmup] = Cuts(self.ends, self.seen, warmup)
        return found

    def scales(self, likelihoods: Likelihoods) -> Floats:
        """Return what the scales of the likelihoods' rows add to ln P of every sequence."""
        from tiedseq.kernels.hmm import sum_scales

        log_scale, rows = likelihoods.log_scale, likelihoods.rows
        if len(self) * len(log_scale) * _LETTERS_OF_A_COUNT <= len(rows):
            return np.einsum("kr,r->k", self._counts(rows, len(log_scale)), log_scale)
        totals = np.empty(len(self))
        sum_scales(log_scale, rows, self.ends, totals)
        return totals

    def _counts(self, rows: NDArray[np.integer], n_rows: int) -> Floats:
        """How often each row stands in each sequence, (n, n_rows); kept while it is the same array that is counted."""
        from tiedseq.kernels.hmm import count_rows

        kept = self._counted
        if kept is None or kept[0] is not rows or kept[1].shape[1] != n_rows:
            kept = rows, np.zeros((len(self), n_rows))
            count_rows(rows, self.ends, kept[1])
            self._counted = kept
        return kept[1]
