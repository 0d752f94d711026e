"""Letters as observations: what a letter, after those before it, says of each state, and whom its counts belong to.

A letter that depends on the k before it is observed as a word of k + 1 symbols. A symbol may stand for several letters,
and before the first letter of a sequence there are none: a word's likelihood is the mean over all contexts that it may
stand for, summed over the letters that its last symbol may stand for. Counts go back the same way.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .tables import Floats, Index

_CELLS = 1 << 22  # of one block of words times cells


class Words(NamedTuple):
    """Distinct words, and which of them stands at every letter.

    A word's likelihood is its row of `weights` times the cells of a state's table, (K,) * (k + 1) flattened.
    """

    weights: Any  # (R, cells): float64 array, or sparse where words are long
    rows: NDArray[np.integer]  # uint8 or int32 (letters,)

    def probabilities(self, emissions: Floats) -> Floats:
        """Return (R, E): the likelihood of every word in every state; emissions (E, cells)."""
        return np.asarray(self.weights @ emissions.T)

    def derivatives(self, emissions: Floats, used: Floats) -> Floats:
        """Return (E, cells): d ln P / d cell, from the states' posterior (R, E) of every word."""
        probability = self.probabilities(emissions)
        share = np.divide(used, probability, out=np.zeros_like(probability), where=probability > 0.0)
        return np.asarray((self.weights.T @ share).T)


def words_of(codes: NDArray[np.uint8], ends: Index, order: int, observation: Floats) -> Words:
    """Return the words of sequences that stand one after the other.

    `observation` (n_symbols, K) says which letters a symbol may stand for.
    """
    if order == 0:
        return Words(observation, codes)
    nothing = len(observation)  # the first letters of a sequence have none that far back
    word = np.full((order + 1, len(codes)), nothing, np.uint8)  # the last symbol first
    word[0] = codes
    number, numbers = codes.astype(np.int64), nothing + 1
    for back in range(1, order + 1):
        word[back, back:] = codes[:-back]
        for ahead in range(back):
            near = ends[:-1] + ahead
            word[back, near[near < ends[1:]]] = nothing
        if numbers * (nothing + 1) >= 2**63:  # too many words for 64 bits, of which few are there
            distinct, number = np.unique(number, return_inverse=True)
            numbers = len(distinct)
        number += word[back] * np.int64(numbers)
        numbers *= nothing + 1
    distinct, firsts, rows = np.unique(number, return_index=True, return_inverse=True)
    smallest = np.uint8 if len(distinct) <= 256 else np.int32
    return Words(_weights(word[::-1, firsts].T, observation), rows.astype(smallest))


def _weights(symbols: NDArray[np.integer], observation: Floats) -> Any:
    """Return how much every cell counts in every word; symbols (R, k + 1), n_symbols where there is no letter."""
    from scipy.sparse import csr_array, vstack

    everything = np.vstack([observation, np.ones(observation.shape[1])])
    contexts = everything / everything.sum(axis=1, keepdims=True)
    size = max(1, _CELLS // observation.shape[1] ** symbols.shape[1])
    blocks = []
    for first in range(0, len(symbols), size):
        part = symbols[first : first + size]
        weights = np.ones((len(part), 1))
        for place in range(symbols.shape[1]):
            table = contexts if place < symbols.shape[1] - 1 else everything
            weights = (weights[:, :, None] * table[part[:, place]][:, None, :]).reshape(len(part), -1)
        blocks.append(csr_array(weights))
    return vstack(blocks, format="csr")
