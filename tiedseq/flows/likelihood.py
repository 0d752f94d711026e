"""The probability of counted letters under a stationary Markov chain, as a function of its joint table of words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Index = NDArray[np.intp]


class Likelihood:
    """The sum over r, and words w of r + 1 letters, of counts[r][w] * ln P(last letter of w | the r before it).

    Parameters
    ----------
    words : int array of shape (n_words,)
        The possible words of the chain's order + 1 letters, each as a number in base `n_letters`. Tables below hold the
        probabilities of these.
    n_letters : int
    counts : sequence of order + 1 float64 arrays, the r-th of shape (n_letters ** (r + 1),)

    Attributes
    ----------
    full : float64 array of shape (n_words,)
        The counts of the possible words.
    begun : float64 array of shape (n_words,)
        How often the context of each word, all but its last letter, began a sequence.
    total : float
        The sum of all counts.
    """

    def __init__(self, words: Index, n_letters: int, counts: Sequence[Vector]) -> None:
        self.counts, self._n_letters = counts, n_letters
        order = len(counts) - 1
        self._prefix = [words // n_letters ** (order - r) for r in range(order + 1)]
        # the coefficient of ln J(the first r + 1 letters): those letters as the last ones, less those as a context
        self._net = [
            now - after.reshape(-1, n_letters).sum(axis=1) for now, after in zip(counts, counts[1:], strict=False)
        ]
        self._net.append(counts[-1])
        self.full = counts[-1][words]
        self.begun = counts[-2][self._prefix[-2]] if order else np.zeros(len(words))
        self.total = float(sum(table.sum() for table in counts))

    def is_of_full_words(self) -> bool:
        """Whether every letter was counted with a whole context."""
        return not any(table.any() for table in self.counts[:-1])

    def marginals(self, joint: Vector) -> list[Vector]:
        """Return the probabilities of the first letter, the first two, .. of words, flat over all."""
        return [np.bincount(first, joint, self._n_letters ** (r + 1)) for r, first in enumerate(self._prefix)]

    def value(self, joint: Vector) -> float:
        """Return the logarithm of the probability; -inf where something impossible was counted."""
        total, before = 0.0, np.ones(1)
        for seen, now in zip(self.counts, self.marginals(joint), strict=True):
            counted = seen > 0.0
            chance = now / np.repeat(np.where(before > 0.0, before, 1.0), self._n_letters)
            if not (chance[counted] > 0.0).all():
                return -np.inf
            total += float(seen[counted] @ np.log(chance[counted]))
            before = now
        return total

    def gain(self, before: Vector, after: Vector) -> float:
        """Return the difference of two values, without the rounding of either; both tables are positive."""
        total = 0.0
        for net, old, new in zip(self._net, self.marginals(before), self.marginals(after), strict=True):
            used = old > 0.0
            total += float(net[used] @ np.log(new[used] / old[used]))
        return total

    def slope(self, joint: Vector) -> Vector:
        """Return the derivatives by the probabilities of the words."""
        total = np.zeros(len(joint))
        for net, share, first in zip(self._net, self.marginals(joint), self._prefix, strict=True):
            total += (net / np.where(share > 0.0, share, 1.0))[first]
        return total
