"""Strand-symmetric Markov chains: joint tables that are balanced and equal to their reverse complement.

A stationary chain of order k is described by the probabilities J of its words of k + 1 letters. They are *balanced*: the
marginals over the first and over the last k letters agree. The chain gives a sequence and its reverse complement the
same probability exactly if J(w) = J(reverse complement of w). Conditional probabilities cannot simply be tied for that,
nor can reverse complements be counted together and conditioned upon, unless the counts happen to be balanced.

Two uses: the flow pi_i A_ij between the states of a strand-symmetric HMM (order 1; the letters are the states, the
complement is the mirror state), and the order-k letters of its states.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tiedseq.errors import ArgumentError, ModelError
from tiedseq.flows.ascent import FEASIBLE, climb
from tiedseq.flows.likelihood import Likelihood
from tiedseq.flows.network import TINY, Network, one_way
from tiedseq.flows.words import check_words, reverse_complement

Vector = NDArray[np.float64]
Index = NDArray[np.intp]

_FLOOR = 1e-12  # the share of the current values in the starting point: what words without counts begin at


class SymmetricChain:
    """The stationary Markov chains over given words that give both strands the same probability.

    Parameters
    ----------
    possible : array_like of bool, shape (n_letters,) * (order + 1)
        Which words there are. Of order 0: which letters; of order 1: which transitions.
    involution : sequence of int, default None
        The complement of each letter, or the mirror image of each state. None asks for balance only: what the one of two
        mirror states needs whose joint tables are each other's reverse complement.
    names : sequence of str, default None
        What errors call the letters; by default their numbers.

    Attributes
    ----------
    shape : tuple of int
    order : int
        The number of letters that the next one depends on.
    n_free : int
        The degrees of freedom: words up to reverse complements, less the independent equations of balance, less one for
        the sum.

    Raises
    ------
    ArgumentError
        `possible` is no table of words, or `involution` is none.
    ModelError
        A word is possible and its reverse complement is not; no word is possible; or a word leads where no way leads
        back, as in a left-to-right model, so that no stationary chain can use it.

    Notes
    -----
    The probability of a word is tied to that of its reverse complement to the last bit in every table returned here;
    balance holds to about 1e-16, relative to the probability of each context too.

    Examples
    --------
    >>> chain = SymmetricChain(np.ones((4, 4)), involution=[3, 2, 1, 0])
    >>> chain
    SymmetricChain(order=1, 16 words, n_free=7)
    >>> rng = np.random.default_rng(0)
    >>> current = chain.start(np.ones((4, 4)))
    >>> counts = [rng.integers(1, 9, 4), rng.integers(1, 99, (4, 4))]
    >>> joint = chain.maximize(counts, current)
    >>> bool((joint == reverse_complement(joint, [3, 2, 1, 0])).all())
    True
    >>> chain.objective(counts, joint) > chain.objective(counts, current)
    True
    """

    def __init__(
        self, possible: ArrayLike, involution: Sequence[int] | None = None, names: Sequence[str] | None = None
    ) -> None:
        table = np.asarray(possible, dtype=bool)
        check_words("possible", table)
        self.shape, self.order, self.n_letters = table.shape, table.ndim - 1, table.shape[0]
        self._names = [str(letter) for letter in (range(self.n_letters) if names is None else names)]
        self._words = np.flatnonzero(table)
        if len(self._words) == 0:
            raise ModelError("possible= allows no word at all; allow those that a chain needs to go round.")
        mirror = None
        if involution is not None:
            swapped = reverse_complement(np.arange(table.size).reshape(self.shape), involution).ravel()[self._words]
            lacking = ~table.ravel()[swapped]
            if lacking.any():
                raise ModelError(
                    f"possible= allows {self._named(self._words[lacking])} but not the reverse complement, "
                    f"{self._named(swapped[lacking])}; allow both or neither."
                )
            mirror = np.searchsorted(self._words, swapped)
        tail, head = self._ends(self._words)
        self._check_ways_back(tail, head, self._words, "possible=")
        self._network = Network(tail, head, mirror)
        # The first letter of each word, the first two, .., as numbers
        self._prefix = [self._words // self.n_letters ** (self.order - r) for r in range(self.order + 1)]
        self.n_free = self._network.n_free

    def __repr__(self) -> str:
        return f"SymmetricChain(order={self.order}, {len(self._words)} words, n_free={self.n_free})"

    def start(self, table: ArrayLike) -> Vector:
        """Return the table of this kind that is nearest to a given chain.

        Nearest in relative entropy of long sequences: the stationary joint table of the chain, averaged with its
        reverse complement.

        Parameters
        ----------
        table : array_like of `shape`
            Conditional probabilities P(last letter | context), or a joint table, or weights: what counts is how each
            context shares its sum. Entries of impossible words are ignored. Where groups of contexts never lead to
            each other, a group weighs as much as its entries.

        Returns
        -------
        float64 array of `shape`
            Sums to one.

        Raises
        ------
        ArgumentError
            `table` has another shape, or holds something negative or not finite.
        ModelError
            Zeros in `table` leave a way without return, so that no long run is determined.
        """
        weight = self._check("table", table, self.shape).ravel()[self._words]
        used = np.flatnonzero(weight > 0.0)
        if len(used) == 0:
            raise ModelError("table= is zero at every possible word; give it positive values.")
        tail, head = self._ends(self._words[used])
        self._check_ways_back(tail, head, self._words[used], "table=")
        network = Network(tail, head)
        chances = weight[used] / network.outflow(weight[used])[tail]
        mass = np.bincount(network.component[tail], weight[used])
        joint = np.zeros(len(self._words))
        joint[used] = network.stationary(chances, mass / mass.sum())
        joint = self._network.symmetric(joint)
        return self._table(joint / joint.sum())

    def objective(
        self,
        counts: Sequence[ArrayLike],
        joint: ArrayLike,
        backward: Sequence[ArrayLike] | None = None,
        pseudocounts: ArrayLike | None = None,
    ) -> float:
        """Return the logarithm of the probability of what was counted, in nats: what :meth:`maximize` maximises.

        The sum over r and over words w of r + 1 letters of counts[r][w] * ln P(last letter of w | the r before it).

        Parameters
        ----------
        counts, backward, pseudocounts
            As in :meth:`maximize`.
        joint : array_like of `shape`
            Probabilities of words.

        Returns
        -------
        float
            -inf if something was counted that has the probability zero.

        Raises
        ------
        ArgumentError
            As in :meth:`maximize`.
        """
        return self._likelihood(counts, backward, pseudocounts).value(self._check_joint("joint", joint))

    def maximize(
        self,
        counts: Sequence[ArrayLike],
        current: ArrayLike,
        backward: Sequence[ArrayLike] | None = None,
        pseudocounts: ArrayLike | None = None,
    ) -> Vector:
        """Return a table of words at which :meth:`objective` has a maximum: the M-step.

        Parameters
        ----------
        counts : sequence of order + 1 array_like, the r-th of shape (n_letters,) * (r + 1)
            How often, or with what expectation, each letter came after each r known letters. All but the last are of
            the beginnings of sequences, where less than `order` letters are known.
        current : array_like of `shape`
            A table from :meth:`start` or :meth:`maximize`: the values before this step. The result is never worse, and
            contexts without counts keep their conditional probabilities as far as balance allows.
        backward : like `counts`, default None
            How often each letter came before r known letters. For two mirror states, the joint table of one is to be
            found from its own counts and, backward, from those of the other with each table reverse complemented.
        pseudocounts : array_like, of `shape` or to be broadcast to it, default None
            How often each word was seen besides, on its own: the maximum is that of objective + sum pseudocounts *
            ln(joint). Those of impossible words are ignored.

        Returns
        -------
        float64 array of `shape`
            Sums to one. Words without counts approach zero and stay above 1e-100. Where counting both strands together
            is exact (see Notes), that is returned, with its zeros.

        Raises
        ------
        ArgumentError
            Something has the wrong shape, is negative or not finite; an impossible word was counted; or `current` is
            not symmetric or not balanced.

        Notes
        -----
        Counts of both strands added up, t(w), are the maximum as they stand if they are balanced and if letters were
        counted beside each context, and before its reverse complement, as often as t says. Balance of t is not enough.

        The objective is not concave, but is close to it unless counts are far out of balance: then there may be several
        maxima, and the one found is near the counts or near `current`, whichever is better to begin with. The search is
        a quasi-Newton method on balanced tables, in the metric of the information that the counts carry. It ends when
        about 1e-12 nats are left to gain for each count.
        """
        likelihood = self._likelihood(counts, backward, pseudocounts)
        given = self._check_joint("current", current)
        if likelihood.total == 0.0:
            return self._table(given)
        seen = self._network.symmetric(likelihood.full)
        if self._is_maximum(likelihood, seen):
            return self._table(seen / seen.sum())
        joint = np.maximum(given, TINY)
        pooled = self._network.balanced(seen + self._floor(likelihood.total, seen, joint))
        is_better = self._network.imbalance(pooled) < FEASIBLE and likelihood.gain(joint, pooled) > 0.0
        found = climb(self._network, likelihood, pooled if is_better else joint)
        return self._table(found if likelihood.gain(joint, found) >= 0.0 else given)

    def _is_maximum(self, likelihood: Likelihood, seen: Vector) -> bool:
        """Whether the counts of both strands, added up, are the maximum as they stand."""
        network = self._network
        beside = np.zeros(network.n_nodes)
        beside[network.tail] = likelihood.beside
        excess = network.outflow(seen) - beside
        return (
            likelihood.is_of_full_contexts()
            and bool((network.outflow(seen) > 0.0).all())
            and network.imbalance(seen) < 1e-14
            and bool((np.abs(excess + excess[network.node_mirror]) <= 1e-14 * network.outflow(seen)).all())
        )

    def _floor(self, total: float, seen: Vector, joint: Vector) -> Vector:
        """Return what to add to counts so that every word has some: next to nothing, balanced, and as it was before.

        Contexts that were not seen keep the level they have, once that is low: they would fade away from M-step to
        M-step, and with them their conditional probabilities.
        """
        network = self._network
        unseen = network.outflow(seen) <= _FLOOR * total * network.outflow(joint)
        beside = unseen[network.tail] | unseen[network.head]
        level = min(1.0, _FLOOR / max(float(joint[beside].sum()), _FLOOR))
        return total * np.where(beside, level, _FLOOR) * joint

    def _likelihood(
        self, counts: Sequence[ArrayLike], backward: Sequence[ArrayLike] | None, pseudocounts: ArrayLike | None
    ) -> Likelihood:
        ahead = self._check_counts("counts", counts)
        behind = [np.zeros_like(table) for table in ahead]
        if backward is not None:
            behind = self._check_counts("backward", backward)
        if pseudocounts is not None:
            try:
                more = np.broadcast_to(np.asarray(pseudocounts, dtype=np.float64), self.shape)
            except ValueError as error:
                raise ArgumentError(f"pseudocounts= does not fit into the shape {self.shape}.") from error
            more = self._check("pseudocounts", more, self.shape).ravel()[self._words]
            # A word seen on its own is a sequence of order + 1 letters.
            ahead = [
                table + np.bincount(first, more, len(table)) for table, first in zip(ahead, self._prefix, strict=True)
            ]
        return Likelihood(self._prefix, self.n_letters, ahead, behind)

    def _check_counts(self, name: str, counts: Sequence[ArrayLike]) -> list[Vector]:
        """Return tables of counts, flat."""
        if len(counts) != self.order + 1:
            raise ArgumentError(
                f"{name}= has {len(counts)} tables; a chain of order {self.order} needs {self.order + 1}."
            )
        flat = [self._check(f"{name}[{r}]", table, self.shape[: r + 1]).ravel() for r, table in enumerate(counts)]
        for r, table in enumerate(flat):
            wrong = table > 0.0
            wrong[self._prefix[r]] = False
            if wrong.any():
                raise ArgumentError(
                    f"{name}[{r}] holds {table[wrong][0]:g} for {self._named(np.flatnonzero(wrong)[:1], r + 1)}, which "
                    "possible= excludes; allow the word or leave it out of the counts."
                )
        return flat

    def _check(self, name: str, values: ArrayLike, shape: tuple[int, ...]) -> Vector:
        array: Vector = np.asarray(values, dtype=np.float64)
        if array.shape != shape:
            raise ArgumentError(f"{name}= has the shape {array.shape}; this chain needs {shape}.")
        good = np.isfinite(array) & (array >= 0.0)
        if not good.all():
            worst = np.flatnonzero(~good.ravel())[:1]
            raise ArgumentError(
                f"{name}= holds {array.ravel()[worst[0]]} for {self._named(worst, array.ndim)}; it must be finite and not "
                "negative."
            )
        return array

    def _check_joint(self, name: str, values: ArrayLike) -> Vector:
        joint = self._check(name, values, self.shape).ravel()[self._words]
        remedy = f"pass what start() makes of {name}="
        if abs(float(joint.sum()) - 1.0) > FEASIBLE:
            raise ArgumentError(f"{name}= sums to {joint.sum():.12g} over the possible words, not to 1; {remedy}.")
        if (joint != self._network.symmetric(joint)).any():
            raise ArgumentError(f"{name}= differs from its reverse complement; {remedy}.")
        into, out = self._network.inflow(joint), self._network.outflow(joint)
        if np.abs(into - out).max() > FEASIBLE:
            raise ArgumentError(
                f"{name}= is not balanced: the first and the last {self.order} letters of words have marginals that differ "
                f"by {np.abs(into - out).max():.3g}; {remedy}."
            )
        return joint

    def _check_ways_back(self, tail: Index, head: Index, words: Index, name: str) -> None:
        astray = one_way(tail, head)
        if astray.any():
            contexts = np.unique(np.concatenate([words[astray] // self.n_letters, words[astray] % self._n_contexts]))
            raise ModelError(
                f"{name} allows {self._named(words[astray])}, from where no way leads back: a stationary chain cannot "
                f"balance what enters and what leaves {self._named(contexts, self.order)}. Allow a way back, or rule "
                "these out."
            )

    @property
    def _n_contexts(self) -> int:
        return self.n_letters**self.order

    def _ends(self, words: Index) -> tuple[Index, Index]:
        """Return the contexts that words begin and end with, numbered without gaps."""
        both = np.concatenate([words // self.n_letters, words % self._n_contexts])
        tail, head = np.unique(both, return_inverse=True)[1].reshape(2, -1)
        return tail, head

    def _named(self, words: Index, length: int | None = None) -> str:
        """Spell out the first few words."""
        letters = np.unravel_index(words[:6], (self.n_letters,) * (self.order + 1 if length is None else length))
        shown = [repr(" ".join(self._names[i] for i in word)) for word in zip(*letters, strict=True)]
        return ", ".join(shown) + (f" and {len(words) - 6} more" if len(words) > 6 else "")

    def _table(self, joint: Vector) -> Vector:
        table = np.zeros(self.shape)
        table.flat[self._words] = joint
        return table
