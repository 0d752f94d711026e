"""The probability of counted letters under a stationary Markov chain, as a function of its joint table of words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Index = NDArray[np.intp]


class Likelihood:
    """The logarithm of the probability of letters counted after, and before, those beside them.

    Parameters
    ----------
    prefix : sequence of order + 1 int arrays of shape (n_words,)
        The first letter, the first two, .. of each possible word of order + 1 letters, as a number in base `n_letters`.
    n_letters : int
    forward, backward : sequence of order + 1 float64 arrays, the r-th of shape (n_letters ** (r + 1),)
        How often a word of r + 1 letters was seen as its last letter after the others, and as its first letter before
        the others.

    Attributes
    ----------
    full : float64 array of shape (n_words,)
        How often each possible word was seen either way.
    beside : float64 array of shape (n_words,)
        How often a letter was seen beside the context of each word, all but its last letter.
    begun : float64 array of shape (n_words,)
        How often that context was itself completed by a letter beside shorter ones: as the beginning of a sequence.
    total : float
        The sum of all counts.
    """

    def __init__(
        self, prefix: Sequence[Index], n_letters: int, forward: Sequence[Vector], backward: Sequence[Vector]
    ) -> None:
        self._prefix = prefix
        self._seen = [ahead + behind for ahead, behind in zip(forward, backward, strict=True)]
        # The coefficient of ln J(r + 1 letters): these as a whole, less these as what another letter stands beside.
        self._net = [table.copy() for table in self._seen]
        for net, ahead, behind in zip(self._net, forward[1:], backward[1:], strict=False):
            net -= ahead.reshape(-1, n_letters).sum(axis=1) + behind.reshape(n_letters, -1).sum(axis=0)
        self.full = self._seen[-1][prefix[-1]]
        self.total = float(sum(table.sum() for table in self._seen))
        if len(prefix) > 1:
            self.begun = self._seen[-2][prefix[-2]]
            self.beside = -self._net[-2][prefix[-2]] + 0.0
        else:
            self.begun, self.beside = np.zeros(len(self.full)), np.full(len(self.full), self.full.sum())

    def is_of_full_contexts(self) -> bool:
        """Whether the probability depends on words of order + 1 and of order letters only."""
        return not any(np.abs(net).max() > 1e-14 * self.total for net in self._net[:-2])

    def marginals(self, joint: Vector) -> list[Vector]:
        """Return the probabilities of the first letter, the first two, .. of words, flat over all."""
        return [np.bincount(first, joint, len(net)) for first, net in zip(self._prefix, self._net, strict=True)]

    def value(self, joint: Vector) -> float:
        """Return the logarithm of the probability; -inf where something impossible was counted."""
        total = 0.0
        for seen, net, share in zip(self._seen, self._net, self.marginals(joint), strict=True):
            if (share[seen > 0.0] <= 0.0).any():
                return -np.inf
            total += float(net[share > 0.0] @ np.log(share[share > 0.0]))
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
