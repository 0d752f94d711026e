"""Likeliest paths of many sequences, sixteen sequences or pieces side by side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tiedseq.kernels.hmm_layout import FOUR, Chain, Letters, PathWork
from tiedseq.kernels.layout import LANES

from .cuts import WARMUPS, Cuts, Spans
from .lanes import ChainLanes, four_edges, scratch
from .logarithms import ChainLogarithms
from .tables import Floats, Likelihoods

_CHOICES_BYTES = 1 << 21  # of what is kept at a time
_BLOCK = 64  # times whose likelihoods are looked up at a time
_AGREEMENT = 1e-9  # nats by which both sides of a seam may differ, beyond a constant


class ChainPaths:
    """Transitions as logarithms in the places that `lanes` gives to the states."""

    def __init__(self, lanes: ChainLanes, logarithms: ChainLogarithms) -> None:
        self.lanes, self.logarithms = lanes, logarithms

    @cached_property
    def _chain(self) -> Chain:
        lanes, logs = self.lanes, self.logarithms
        possible, weight = np.zeros((lanes.size, lanes.size), bool), np.full((lanes.size, lanes.size), -np.inf)
        place = lanes.place[lanes.states]  # of the states in their order
        where = np.ix_(place, place)
        possible[where], weight[where] = logs.possible, np.where(logs.possible, logs.transitions, -np.inf)
        start, finish = np.full(lanes.size, -np.inf), np.full(lanes.size, -np.inf)
        start[place], finish[place] = logs.best_start(), logs.best_finish()
        guess = np.full(lanes.emitting, -np.inf)
        guess[: logs.n_emitting] = 0.0
        fours = [slice(g, g + FOUR) for g in range(0, lanes.emitting, FOUR)]
        ones = [slice(s, s + 1) for s in range(lanes.emitting, lanes.size)]
        incoming, silent = four_edges(possible, weight, fours), four_edges(possible, weight, ones)
        return Chain(incoming, incoming, silent, silent, start[: lanes.emitting], guess, finish)

    def viterbi(
        self, likelihoods: Likelihoods, spans: Spans, out: NDArray[np.int64] | None = None
    ) -> tuple[Floats, NDArray[np.int64], NDArray[np.bool_]]:
        """Return ln P of the likeliest paths, the states of all letters, and whether each sequence has a path.

        The states are written to `out` (letters,), or to a new array. A sequence without a path has any states.
        """
        ends, n = spans.ends, len(spans)
        path = np.empty(int(ends[-1]), np.int64) if out is None else out
        for warmup in WARMUPS:
            cuts = spans.cuts(warmup)
            best, agree = self._passes(likelihoods, cuts, path)
            if agree:
                break
        sequence, best = cuts.sequence[: cuts.n_pieces], best[: cuts.n_pieces]
        found = np.bincount(sequence, best == -np.inf, n) == 0
        logs, whole = np.full(n, -np.inf), ~cuts.is_cut[: cuts.n_pieces]
        logs[sequence[whole]] = best[whole]
        logs += spans.scales(likelihoods)
        for k in np.flatnonzero(found & (logs == -np.inf)).tolist():  # cut: pieces do not say what the whole is worth
            places = self.lanes.place[path[ends[k] : ends[k + 1]]]
            logs[k] = self.logarithms.log_path(likelihoods, int(ends[k]), places)
        return logs, path, found

    def _passes(self, likelihoods: Likelihoods, cuts: Cuts, path: NDArray[np.int64]) -> tuple[Floats, bool]:
        """Write the paths; return ln P to the stop of every piece, and whether both sides of every seam agree."""
        from tiedseq.kernels.hmm_viterbi import viterbi

        lanes, chain = self.lanes, self._chain
        table = np.full((len(likelihoods.table) + 1, lanes.emitting), -np.inf)
        table[:-1, : self.logarithms.n_emitting] = likelihoods.logs
        letters, names = Letters(table.ravel(), likelihoods.rows), lanes.states[: self.logarithms.n_emitting]
        all_seams, all_ends, all_best = [], [], []
        for task in cuts.tasks:
            count, seams = len(task.pieces.begin), np.zeros((task.n_seams, 2, lanes.size))
            ends, best = np.zeros((count, 3), np.int64), np.full(count, -np.inf)
            with self._work(task.longest) as (work, chunk):
                viterbi(chain, letters, task.pieces, chunk, _BLOCK, lanes.size, names, work, seams, path, ends, best)
            all_best.append(best)
            all_seams.append(seams)
            all_ends.append(ends)
        before, after = cuts.joined(np.concatenate(all_seams), np.concatenate(all_ends)[cuts.is_cut, :2])
        same_state = before.second[:, 1] == after.second[:, 0]
        return np.concatenate(all_best), bool(same_state.all()) and _parallel(before.first[:, 1], after.first[:, 0])

    @contextmanager
    def _work(self, length: int) -> Iterator[tuple[PathWork, int]]:
        """Memory for a task, and the number of times in a chunk."""
        size, emitting = self.lanes.size, self.lanes.emitting
        chunk = max(1, min(length, max(_BLOCK, _CHOICES_BYTES // (size * LANES * 2))))
        kept = -(-chunk * size // 4)  # four choices in the place of a float
        with scratch(_BLOCK, _BLOCK * emitting, (_BLOCK + 1) * size, -(-length // chunk) * size, kept, 1, 1) as (
            which,
            likelihood,
            forward,
            saved,
            choices,
            at,
            origin,
        ):
            integers = (choices.view(np.int16), at.view(np.int64), origin.view(np.int64))
            yield PathWork(which.view(np.int64), likelihood, forward, saved, *integers), chunk


def _parallel(a: Floats, b: Floats) -> bool:
    """Whether vectors differ by a constant each."""
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)):
        return False
    difference = np.where(finite, a, 0.0) - np.where(finite, b, 0.0)
    high = difference.max(axis=1, where=finite, initial=-np.inf)
    return bool((high - difference.min(axis=1, where=finite, initial=np.inf) <= _AGREEMENT).all())
