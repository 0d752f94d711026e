"""Strand-symmetric Markov chains: joint tables that are balanced and equal to their reverse complement.

A stationary chain of order k is described by the probabilities J of its words of k + 1 letters. They are *balanced*: the
marginals over the first and over the last k letters agree. The chain gives a sequence and its reverse complement the
same probability exactly if J(w) = J(reverse complement of w). Conditional probabilities cannot simply be tied for that,
nor can reverse complements be counted together and conditioned upon, unless the counts happen to be balanced.

Two uses: the flow pi_i A_ij between the states of a strand-symmetric HMM (order 1; the letters are the states, the
complement is the mirror state), and the order-k letters of its states.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .circulation import TINY, Index, Network, Vector, one_way
from .errors import ArgumentError, ModelError

_FEASIBLE = 1e-10  # how far a table from elsewhere may be out of balance
_FLOOR = 1e-12  # the share of the current values in the starting point: what words without counts begin at
_GAIN = 1e-12  # a maximum is reached when less than this is still to be gained for each count, in nats
_LONGEST_STEP = 6.0  # by how much the logarithm of a probability may change at once
_MEMORY = 10  # how many steps the quasi-Newton method remembers
_ITERATIONS = 150


def reverse_complement(table: ArrayLike, involution: Sequence[int]) -> NDArray[Any]:
    """Return a table over words as it reads from the other strand: the entry of a word is that of its reverse complement.

    Parameters
    ----------
    table : array_like of shape (n_letters,) * n
        One axis for each letter of a word.
    involution : sequence of int
        The complement of each letter.

    Returns
    -------
    array of the same shape and dtype

    Raises
    ------
    ArgumentError
        `involution` is not one, or has not the length of every axis of `table`.

    Examples
    --------
    >>> reverse_complement([[1, 2], [3, 4]], [1, 0])
    array([[4, 2],
           [3, 1]])
    """
    array = np.asarray(table)
    complement = _checked_involution(involution, array.shape[0] if array.ndim else 0)
    _check_words(array, "table")
    return np.array(array.transpose()[np.ix_(*[complement] * array.ndim)])


def marginal(joint: ArrayLike, order: int) -> Vector:
    """Return the probabilities of shorter words, of order + 1 letters, from those of longer ones.

    Parameters
    ----------
    joint : array_like of shape (n_letters,) * n
        A balanced table of probabilities of words.
    order : int
        0 gives the letters, n - 1 the table itself.

    Returns
    -------
    float64 array of shape (n_letters,) * (order + 1)
        Symmetric to the last bit if `joint` is: the average of what the first and the last letters of words give, in
        sums that do not depend on the order of their terms.

    Raises
    ------
    ArgumentError
        `order` is not between 0 and n - 1, or `joint` is not a table of words.

    Examples
    --------
    >>> marginal([[0.3, 0.1], [0.1, 0.5]], 0)
    array([0.4, 0.6])
    """
    array = np.asarray(joint, dtype=np.float64)
    _check_words(array, "joint")
    if not 0 <= order < array.ndim:
        raise ArgumentError(f"order= is {order}; words of {array.ndim} letters have marginals of order 0 to {array.ndim - 1}.")
    shape = array.shape[: order + 1]
    n_words = int(np.prod(shape))
    first = np.sort(array.reshape(n_words, -1), axis=1).sum(axis=1)
    last = np.sort(array.reshape(-1, n_words), axis=0).sum(axis=0)
    return (0.5 * (first + last)).reshape(shape)


def conditional(joint: ArrayLike, otherwise: ArrayLike | None = None) -> Vector:
    """Return P(last letter | letters before it) from the probabilities of words.

    Parameters
    ----------
    joint : array_like of shape (n_letters,) * n
        Probabilities or weights of words.
    otherwise : array_like of the same shape, default None
        Conditional probabilities after contexts of probability zero, where `joint` leaves them open. By default all
        letters are equally likely there.

    Returns
    -------
    float64 array of the same shape
        Sums to one over the last axis.

    Raises
    ------
    ArgumentError
        `joint` is not a table of words, or `otherwise` has another shape.

    Examples
    --------
    >>> conditional([[0.3, 0.1], [0.0, 0.0]])
    array([[0.75, 0.25],
           [0.5 , 0.5 ]])
    """
    array = np.asarray(joint, dtype=np.float64)
    _check_words(array, "joint")
    total = array.sum(axis=-1, keepdims=True)
    known = total > 0.0
    rest = np.full(array.shape, 1.0 / array.shape[-1]) if otherwise is None else np.asarray(otherwise, dtype=np.float64)
    if rest.shape != array.shape:
        raise ArgumentError(f"otherwise= has the shape {rest.shape}; it needs that of joint=, {array.shape}.")
    return np.where(known, array / np.where(known, total, 1.0), rest)


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
    SymmetricChain(order=1, 16 words, n_free=8)
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
        _check_words(table, "possible")
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
        # prefix[r]: the first r + 1 letters of each word, as a number
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

    def objective(self, counts: Sequence[ArrayLike], joint: ArrayLike, pseudocounts: ArrayLike | None = None) -> float:
        """Return the logarithm of the probability of what was counted, in nats: what :meth:`maximize` maximises.

        The sum over r and over words w of r + 1 letters of counts[r][w] * ln P(last letter of w | the r before it).

        Parameters
        ----------
        counts, pseudocounts
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
        total, before = 0.0, np.ones(1)
        aim = self._aim(counts, pseudocounts)
        for seen, now in zip(aim.counts, self._marginals(self._check_joint("joint", joint)), strict=True):
            share = now / np.repeat(np.where(before > 0.0, before, 1.0), self.n_letters)
            if (share[seen > 0.0] <= 0.0).any():
                return -np.inf
            total += float(seen[seen > 0.0] @ np.log(share[seen > 0.0]))
            before = now
        return total

    def maximize(
        self, counts: Sequence[ArrayLike], current: ArrayLike, pseudocounts: ArrayLike | None = None
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
        pseudocounts : array_like, of `shape` or to be broadcast to it, default None
            How often each word was seen besides, on its own: the maximum is that of objective + sum pseudocounts *
            ln(joint). Those of impossible words are ignored.

        Returns
        -------
        float64 array of `shape`
            Sums to one. Words without counts approach zero and stay above 1e-100; where counting words and their
            reverse complements together is exact (balanced counts of full words only, of every context) that is
            returned, with its zeros.

        Raises
        ------
        ArgumentError
            Something has the wrong shape, is negative or not finite; an impossible word was counted; or `current` is
            not symmetric or not balanced.

        Notes
        -----
        The objective is not concave, but is close to it unless counts are far out of balance: then there may be several
        maxima, and the one found is near the counts or near `current`, whichever is better to begin with. The search is
        a quasi-Newton method (Nocedal and Wright, Numerical Optimization, 2nd ed. 2006, section 7.2) on balanced
        tables, in the metric of the information that the counts carry. It ends when about 1e-12 nats are left to gain
        for each count.
        """
        aim = self._aim(counts, pseudocounts)
        given = self._check_joint("current", current)
        joint = np.maximum(given, TINY)
        if aim.total == 0.0:
            return self._table(given)
        pooled, exact = self._pooled(aim, joint)
        if exact:
            return self._table(pooled)
        begin = pooled if self._gain(aim, joint, pooled) > 0.0 else joint
        found = self._ascend(aim, begin)
        return self._table(found if self._gain(aim, joint, found) >= 0.0 else given)

    def _pooled(self, aim: _Aim, joint: Vector) -> tuple[Vector, bool]:
        """Return the balanced table nearest to the counts of both strands, and whether it is the maximum already.

        What was not counted gets a floor in the proportions of the current values, which are balanced. Contexts without
        counts would fade away with it from M-step to M-step; as they cost nothing they keep the level that they have.
        """
        network = self._network
        seen = network.symmetric(aim.full)
        through = network.outflow(seen) + network.inflow(seen)
        least = _FLOOR * aim.total * network.outflow(joint)
        blank = (network.outflow(seen) <= least) | (network.inflow(seen) <= least)
        unseen = blank[network.tail] | blank[network.head]
        exact = not blank.any() and aim.full.sum() == aim.total and network.imbalance(seen) < 1e-14
        if exact:
            return seen / seen.sum(), bool((through > 0.0).all())
        level = np.full(len(seen), _FLOOR)
        level[unseen] = min(1.0, _FLOOR / max(float(joint[unseen].sum()), _FLOOR))
        return network.balanced(seen + aim.total * np.maximum(level, _FLOOR) * joint), False

    def _ascend(self, aim: _Aim, joint: Vector) -> Vector:
        """Climb from a table to a maximum."""
        network = self._network
        slope = network.tangent(joint, self._slope(aim, joint))
        memory = _Memory()
        for _ in range(_ITERATIONS):
            metric = _Information(network, aim, joint)
            memory.end(slope, metric)
            step = memory.step(slope, metric)
            promise = float(slope @ step)
            if not promise > _GAIN * aim.total:
                break
            reached = self._search(aim, joint, step, promise)
            if reached is None:
                if memory.is_empty():
                    break
                memory = _Memory()
                continue
            joint, length = reached
            memory.begin(length * step, slope)
            slope = network.tangent(joint, self._slope(aim, joint))
        return joint

    def _search(self, aim: _Aim, joint: Vector, step: Vector, promise: float) -> tuple[Vector, float] | None:
        """Return the first point along a step that gains a fair part of what its slope promises, and how far it is."""
        length = min(1.0, _LONGEST_STEP / float(np.abs(step).max()))
        for _ in range(40):
            there = self._network.balanced(joint * np.exp(length * step))
            gain = self._gain(aim, joint, there)
            if gain >= 1e-4 * length * promise and self._network.imbalance(there) < _FEASIBLE:
                return there, length
            # where a parabola through what is known has its top
            top = 0.5 * length * promise / max(length * promise - gain, TINY)
            length *= min(0.5, max(0.1, top))
        return None

    def _slope(self, aim: _Aim, joint: Vector) -> Vector:
        """Return the derivatives of the objective by the probability of each word."""
        slope = np.zeros(len(joint))
        for net, share, prefix in zip(aim.net, self._marginals(joint), self._prefix, strict=True):
            slope += (net / np.where(share > 0.0, share, 1.0))[prefix]
        return slope

    def _gain(self, aim: _Aim, before: Vector, after: Vector) -> float:
        """Return the difference of two objectives, without the rounding of either."""
        total = 0.0
        for net, old, new in zip(aim.net, self._marginals(before), self._marginals(after), strict=True):
            used = old > 0.0
            total += float(net[used] @ np.log(new[used] / old[used]))
        return total

    def _marginals(self, joint: Vector) -> list[Vector]:
        """Return the probabilities of the first 1, 2, .. letters of words."""
        return [np.bincount(prefix, joint, self.n_letters ** (r + 1)) for r, prefix in enumerate(self._prefix)]

    def _aim(self, counts: Sequence[ArrayLike], pseudocounts: ArrayLike | None) -> _Aim:
        if len(counts) != self.order + 1:
            raise ArgumentError(f"counts= has {len(counts)} tables; a chain of order {self.order} needs {self.order + 1}.")
        seen = [
            self._check(f"counts[{r}]", table, self.shape[: r + 1]).ravel().copy() for r, table in enumerate(counts)
        ]
        for r, table in enumerate(seen):
            wrong = table > 0.0
            wrong[self._prefix[r]] = False
            if wrong.any():
                raise ArgumentError(
                    f"counts[{r}] holds {table[wrong][0]:g} for {self._named(np.flatnonzero(wrong)[:1], r + 1)}, which "
                    "possible= excludes; allow the word or leave it out of the counts."
                )
        if pseudocounts is not None:
            try:
                more = np.broadcast_to(np.asarray(pseudocounts, dtype=np.float64), self.shape)
            except ValueError as error:
                raise ArgumentError(f"pseudocounts= does not fit into the shape {self.shape}.") from error
            more = self._check("pseudocounts", more, self.shape).ravel()[self._words]
            seen = [table + extra for table, extra in zip(seen, self._marginals(more), strict=True)]
        return _Aim.of(seen, self._words, self.n_letters)

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
        if abs(float(joint.sum()) - 1.0) > _FEASIBLE:
            raise ArgumentError(f"{name}= sums to {joint.sum():.12g} over the possible words, not to 1; {remedy}.")
        if (joint != self._network.symmetric(joint)).any():
            raise ArgumentError(f"{name}= differs from its reverse complement; {remedy}.")
        into, out = self._network.inflow(joint), self._network.outflow(joint)
        if np.abs(into - out).max() > _FEASIBLE:
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


@dataclass(frozen=True)
class _Aim:
    """What was counted."""

    counts: list[Vector]  # by r, flat, pseudocounts included
    net: list[Vector]  # by r: the coefficients of ln J_r
    full: Vector  # of the possible words
    early: Vector  # of the contexts of these: how often they began a sequence
    total: float

    @classmethod
    def of(cls, counts: list[Vector], words: Index, n_letters: int) -> _Aim:
        nets = [before - after.reshape(-1, n_letters).sum(axis=1) for before, after in zip(counts, counts[1:], strict=False)]
        early = counts[-2][words // n_letters] if len(counts) > 1 else np.zeros(len(words))
        # Sequences that end before a context is complete tell of contexts too, roughly.
        short = float(sum(net.clip(0.0).sum() for net in nets[:-1]))
        return cls(counts, [*nets, counts[-1]], counts[-1][words], early, float(sum(table.sum() for table in counts)))


class _Information:
    """The information that counts carry about a balanced table, as a metric on its tangent vectors.

    A change of ln J(uv) is one of ln P(v | u), seen n(u) times, plus one of ln pi(u), seen as often as u began a
    sequence. Where nothing was seen a little is assumed.
    """

    def __init__(self, network: Network, aim: _Aim, joint: Vector) -> None:
        self._network, self._joint = network, joint
        tail, head = network.tail, network.head
        share = network.outflow(joint)
        seen = network.outflow(network.symmetric(aim.full))
        begun = np.zeros(network.n_nodes)
        begun[tail] = aim.early
        self._letters = share / (seen + 0.1 * aim.total * share)
        self._contexts = share / (begun + 1e-6 * aim.total * share)
        self._chances = joint / share[tail]
        away = np.where(tail == head, 0.0, self._chances)
        leave = network.matrix(-away, network.outflow(away))
        spread = self._letters * share
        inner = network.matrix((spread[tail] * self._chances))
        # The Schur complement for the potential that keeps in- and outflow balanced.
        change = network.matrix(-away * (self._contexts * share)[tail], network.outflow(away) * self._contexts * share)
        covariance = network.matrix(self._chances)
        schur = (
            network.matrix(np.zeros(len(tail)), network.inflow(self._letters[tail] * joint))
            - covariance.T @ inner
            + leave.T @ change
        )
        self._solver = network.solver(0.5 * (schur + schur.T))
        self._share = share
        self._constant = self._respond(np.ones(len(joint)))
