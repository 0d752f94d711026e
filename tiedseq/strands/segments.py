"""Letters in segments: what a letter says of a state in which some came before it, and whom its counts belong to.

A segment is a stay in one state, up to an ambiguous letter at most. Within it a letter depends on the k letters before
it; the first has none, the second one, and so on. So a segment has a joint probability, made of frequencies of words,
and that can be the same on the other strand; a context that reached over from another state would not be.

A state of the model is k + 1 states of the recursions, one for each *age*: how many letters of its stay there are
before this one, k standing for more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.chains.emissions import Batch, restricted, used_by_row
from tiedseq.chains.tables import ChainTables, Floats, Index, Likelihoods

from .flows import conditionals


class SegmentWords(NamedTuple):
    """Distinct words, and which of them stands at every letter: a symbol, and the letters right before it."""

    rows: NDArray[np.integer]  # uint8 or int32 (letters,)
    symbol: Floats  # (R, K): 1 where the symbol may stand for a letter
    length: Index  # (R,): of the context: k at most, 0 for an ambiguous symbol or after one
    context: Index  # (R,): its letters as digits, the last one counting least


def segment_chain(
    start: Floats, transitions: Floats, end: Floats, possible: NDArray[np.bool_], order: int
) -> ChainTables:
    """Return the states of the recursions: every state of the model once for each age."""
    n, ages = len(start), order + 1
    steps, stay = np.zeros((n, ages, n, ages)), np.eye(n, dtype=bool)
    allowed = np.zeros((n, ages, n, ages), bool)
    for age in range(ages):
        older = min(age + 1, order)
        steps[:, age, :, 0], allowed[:, age, :, 0] = np.where(stay, 0.0, transitions), possible & ~stay
        steps[:, age, :, older] += np.where(stay, transitions, 0.0)
        allowed[:, age, :, older] |= possible & stay
    first, size = np.zeros((n, ages)), n * ages
    first[:, 0] = start
    return ChainTables(
        first.ravel(),
        steps.reshape(size, size),
        np.repeat(end, ages),
        np.zeros(size, bool),
        allowed.reshape(size, size),
    )


def segment_words(codes: NDArray[np.uint8], ends: Index, order: int, observation: Floats) -> SegmentWords:
    """Return the words of sequences that stand one after the other; `observation` (n_symbols, K) as in alphabets."""
    n_letters = observation.shape[1]
    is_letter, letter = observation.sum(axis=1) == 1.0, observation.argmax(axis=1)
    known, letters = is_letter[codes], letter[codes]
    place = np.arange(len(codes)) - np.repeat(ends[:-1], np.diff(ends))
    length, context = np.zeros(len(codes), np.int64), np.zeros(len(codes), np.int64)
    unbroken = known.copy()
    for back in range(1, order + 1):
        unbroken[:back] = False
        unbroken[back:] &= known[:-back]
        unbroken &= place >= back
        length += unbroken
        context[back:] += np.where(unbroken[back:], letters[:-back] * n_letters ** (back - 1), 0)
    number = (length * n_letters**order + context) * len(observation) + codes
    distinct, rows = np.unique(number, return_inverse=True)
    words, symbols = np.divmod(distinct, len(observation))
    lengths, contexts = np.divmod(words, n_letters**order)
    return SegmentWords(
        rows.astype(np.uint8 if len(distinct) <= 256 else np.int32), observation[symbols], lengths, contexts
    )


class SegmentEmissions:
    """Every state has a balanced table of words, (K,) * (k + 1)."""

    def __init__(self, tables: Sequence[Floats]) -> None:
        self.order, self.n_letters = tables[0].ndim - 1, len(tables[0])
        by_state = [conditionals(table) for table in tables]
        self.conditionals = [  # of letters after m others: (S, K**m, K)
            np.array([found[m].reshape(-1, self.n_letters) for found in by_state]) for m in range(self.order + 1)
        ]

    def likelihoods(self, batch: Batch) -> Likelihoods:
        words: SegmentWords = batch.observations
        table = np.empty((len(words.symbol), len(self.conditionals[0]), self.order + 1))
        for age in range(self.order + 1):
            for m, here, context in self._contexts(words, age):
                after = self.conditionals[m][:, context]  # (S, R, K)
                table[here, :, age] = (after * words.symbol[here]).sum(axis=-1).T
        found = Likelihoods.of(table.reshape(len(table), -1), words.rows)
        return found if batch.allowed is None else restricted(found, batch.allowed)

    def statistics(self, batch: Batch, used: Floats) -> Floats:
        """Return for every state how often each letter followed none, one, ... k others: (S, K + K^2 + ...), flat."""
        words: SegmentWords = batch.observations
        n_states = len(self.conditionals[0])
        used = used_by_row(batch, words.rows, len(words.symbol), used).reshape(len(words.symbol), n_states, -1)
        counts = [np.zeros_like(conditional) for conditional in self.conditionals]
        for age in range(self.order + 1):
            for m, here, context in self._contexts(words, age):
                share = self.conditionals[m][:, context] * words.symbol[here]
                total = share.sum(axis=-1, keepdims=True)
                share = np.divide(share, total, out=np.zeros_like(share), where=total > 0.0)
                np.add.at(counts[m].swapaxes(0, 1), context, (share * used[here, :, age].T[:, :, None]).swapaxes(0, 1))
        return np.concatenate([part.reshape(n_states, -1) for part in counts], axis=1).ravel()

    def _contexts(self, words: SegmentWords, age: int) -> list[tuple[int, Index, Index]]:
        """For each length m of the contexts that count at an age: m, the rows, and their last m letters."""
        length = np.minimum(words.length, age)
        found = []
        for m in np.unique(length).tolist():
            here = np.flatnonzero(length == m)
            found.append((m, here, words.context[here] % self.n_letters**m))
        return found


def word_counts(statistics: Floats, n_letters: int, order: int) -> list[Floats]:
    """How often the frequency of each word is a factor of the likelihood, from one state's statistics.

    A letter after a context has the frequency of the whole word over that of the context.
    """
    sizes = n_letters ** np.arange(1, order + 2)
    parts = np.split(statistics, np.cumsum(sizes)[:-1])
    after = [part.reshape((n_letters,) * (m + 1)) for m, part in enumerate(parts)]
    return [table - (after[m + 1].sum(axis=-1) if m < order else 0.0) for m, table in enumerate(after)]
