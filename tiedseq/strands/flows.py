"""Joint frequencies of neighbours in a long sequence, possibly the same when read from its other end.

A table J of shape (K,) * (k + 1) says how often k + 1 symbols stand next to each other. It belongs to a sequence
without ends only if it is *balanced*: every run of k symbols is left as often as it is entered, so that J summed over
its first place equals J summed over its last. With J the table of states (k = 1) this is the flow pi_i A_ij; with
letters it is the frequency of words. A *mirror*, which maps symbols to symbols (letters to their complements, states to
those of the other strand), ties every word to its image read backwards. Conditional probabilities cannot be tied so:
P(b | a) on one strand is P(a' | b') on the other, which is another condition.

Any positive weights W give a balanced table, J = l W r / lambda with l and r the Perron vectors of W, and weights that
are equal under the mirror give a J that is. So a step of the M-step need not keep the balance: it is restored after it.
(The chain of maximal entropy rate given its energies: Ruelle, Thermodynamic Formalism, 1978, chapter 5.)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ModelError
from tiedseq.one_thread import on_one_thread
from tiedseq.ties import Ties

from .perron import perron

Floats = NDArray[np.float64]

_NOTHING = 1e-290  # a frequency below this is zero
_LOWEST = 1e-13  # of a frequency, relative to the largest: beyond, states fall apart by rounding
_ITERATIONS, _HALVINGS = 100, 30
_SETTLED = 1e-7  # nats that a step has to promise
_LONGEST = 2.0  # step, in the logarithm of a frequency


class Flows:
    """Balanced tables of one shape and one mirror; their values are flat vectors of one number an orbit.

    Parameters
    ----------
    possible : bool array (K,) * (k + 1)
        Words that may occur. Every run of k possible symbols must lead to every other.
    mirror : int array (K,), default None
        The image of every symbol; None: no word is tied to another.

    Attributes
    ----------
    ties : Ties
        Of the table: equal labels are images of each other.
    is_symmetric : bool
        Whether there is a mirror.
    n_free : int
        Values, less what the sum to one and the balance take away.

    Raises
    ------
    ModelError
        Some runs of symbols do not lead to each other, so that there is no long sequence with all of them.
    """

    @on_one_thread
    def __init__(self, possible: NDArray[np.bool_], mirror: NDArray[np.intp] | None = None) -> None:
        shape = possible.shape
        self.size, self.order, self.is_symmetric = shape[0], len(shape) - 1, mirror is not None
        if mirror is not None:
            possible = possible & mirrored(possible, mirror)
        labels = Ties.orbits(shape).labels if mirror is None else _orbits(shape, mirror).labels
        self.ties = Ties(np.where(possible, labels, np.array(None)))
        self._nodes = self.size**self.order
        words = np.arange(possible.size)
        self._from, self._to = words // self.size, words % self._nodes
        _, self._first = np.unique(self.ties.labels[possible], return_index=True)
        self._first = np.flatnonzero(possible)[self._first]  # one place of every value
        self._constraints, self._prefixes = self._constraint_rows(), self._prefix_rows()
        self._moves = _null_space(self._constraints)
        self.n_free = self._moves.shape[1]
        if not self._is_connected(possible):
            raise ModelError("Some cannot be reached from others, so nothing is in balance; allow a way back.")

    def _is_connected(self, possible: NDArray[np.bool_]) -> bool:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        kept = possible.ravel()
        if not kept.any():
            return False
        graph = coo_array((np.ones(int(kept.sum())), (self._from[kept], self._to[kept])), (self._nodes, self._nodes))
        count, component = connected_components(graph.tocsr(), connection="strong")
        used = np.union1d(self._from[kept], self._to[kept])
        return count == 1 or len(np.unique(component[used])) == 1

    def _constraint_rows(self) -> Floats:
        """What the values' sum and balance are, as rows over the values."""
        slots, kept = self.ties.labels.ravel(), self.ties.labels.ravel() >= 0
        rows = np.zeros((self._nodes + 1, self.ties.n_free))
        np.add.at(rows, (self._from[kept], slots[kept]), 1.0)
        np.add.at(rows, (self._to[kept], slots[kept]), -1.0)
        rows[-1] = self.ties.uses
        return rows

    def _prefix_rows(self) -> list[Floats]:
        """For words of 1, 2, ... k symbols, how often a longer word that begins with each has each value."""
        slots, words = self.ties.labels.ravel(), np.flatnonzero(self.ties.labels.ravel() >= 0)
        found = []
        for m in range(1, self.order + 1):
            found.append(np.zeros((self.size**m, self.ties.n_free)))
            np.add.at(found[-1], (words // self.size ** (self.order + 1 - m), slots[words]), 1.0)
        return found

    # ---- values ---------------------------------------------------------------------------------------------------

    def table(self, values: Floats) -> Floats:
        """The table (K,) * (k + 1) of values."""
        return np.asarray(self.ties.expand(values))

    def values(self, table: Floats) -> Floats:
        """The values of a balanced table; what is tied is averaged."""
        pooled = self.ties.pool(table) / self.ties.uses
        return np.asarray(pooled / (pooled @ self.ties.uses))

    def read(self, table: Floats) -> Floats:
        """The values of a table of which `table` made all places equal that are tied, to the last bit."""
        return np.array(table.ravel()[self._first])

    def balanced(self, weights: Floats) -> Floats:
        """The values of l W r / lambda; weights (K,) * (k + 1), those of impossible words are left out."""
        flat = np.where(self.ties.labels.ravel() >= 0, weights.ravel(), 0.0)
        return self.values(self._flow(flat).reshape(self.ties.shape))

    def is_balanced(self, values: Floats) -> bool:
        """Whether values are, but for rounding; weights that differ too widely have no eigenvectors to tell."""
        return bool(np.abs(self._constraints[:-1] @ values).max(initial=0.0) <= 1e-9)

    def random(self, generator: np.random.Generator) -> Floats:
        """Values drawn at random: those of independent exponential weights."""
        return self.balanced(self.table(generator.exponential(size=self.ties.n_free)))

    def directions(self, values: Floats, border: float) -> Floats:
        """Moves that keep sum and balance, of values above `border`: orthonormal columns (n_values, k)."""
        inner = np.flatnonzero(values > border)
        found = _null_space(self._constraints[:, inner])
        moves = np.zeros((len(values), found.shape[1]))
        moves[inner] = found
        return moves

    # ---- expected counts ------------------------------------------------------------------------------------------

    def objective(self, table: Floats, counts: Sequence[Floats]) -> float:
        """The sum of counts[m] * ln(frequency) over all words of m + 1 symbols, m from 0 to k; -inf if one has none."""
        total = 0.0
        for part, frequencies in zip(counts, marginals(table), strict=True):
            counted = part != 0.0
            with np.errstate(divide="ignore"):
                total += float(part[counted] @ np.log(frequencies[counted]))
        return total if np.isfinite(total) else -np.inf

    def gradient(self, table: Floats, counts: Sequence[Floats]) -> Floats:
        """The derivative of the objective in every value, all taken as free of the others."""
        return np.asarray(self.ties.pool(self._slopes(table, counts)))

    def _slopes(self, table: Floats, counts: Sequence[Floats]) -> Floats:
        """The derivative of the objective in every cell."""
        slopes = np.zeros(self.ties.shape)
        for part, frequencies in zip(counts, marginals(table), strict=True):
            slope = _over(part, frequencies)
            slopes += slope.reshape(slope.shape + (1,) * (self.order + 1 - slope.ndim))
        return slopes

    @on_one_thread
    def maximize(self, counts: Sequence[Floats], values: Floats, pseudocounts: Floats | float = 0.0) -> Floats:
        """Return the values that maximise the objective, never worse ones than `values`: the M-step.

        Newton's method. A step is taken in logarithms and balanced again by the eigenvectors, which agrees with it to
        first order; half of it, and so on, if the objective does not rise.

        Parameters
        ----------
        counts : sequence of k + 1 arrays
            counts[m] (K,) * (m + 1): how often the frequency of a word of m + 1 symbols is a factor of the likelihood;
            those of contexts are divisors, and count negative.
        values : float64 array (n_values,)
            The current ones, where the search begins.
        pseudocounts : float64 array (n_values,), default 0
            Of every value; once, however often it is used.
        """
        top = np.array(counts[-1])
        top.ravel()[self._first] += pseudocounts
        counts = [*counts[:-1], top]
        objective = self.objective(self.table(values), counts)
        for _ in range(_ITERATIONS):
            step = self._newton_step(values, counts)
            gain = float(self.gradient(self.table(values), counts) @ step)
            if not gain > 0.0:
                break
            scale = min(1.0, _LONGEST / float(np.abs(step / values).max()))
            for _ in range(_HALVINGS):
                trial = self._moved(values, scale * step)
                found = self.objective(self.table(trial), counts) if self.is_balanced(trial) else -np.inf
                if found >= objective + (1e-4 * scale * gain if gain > _SETTLED else 0.0):
                    break
                scale *= 0.5
            else:
                break
            values, objective = trial, found
            if gain <= _SETTLED:
                break  # after a step that made the error its square
        return values

    def _moved(self, values: Floats, step: Floats) -> Floats:
        """Balanced values, those of `values` + `step` to first order."""
        table = self.table(values * np.exp(step / values))
        table = np.maximum(table, _LOWEST * table.max())
        root = np.sqrt(table.sum(axis=-1).ravel()[self._from] * table.sum(axis=0).ravel()[self._to])
        return self.balanced(table / root.reshape(table.shape))

    def _newton_step(self, values: Floats, counts: Sequence[Floats]) -> Floats:
        """The step to the maximum of a parabola, within what keeps sum and balance.

        The parabola has the curvature of the objective, if that has a maximum. Else the curvature along single values
        is raised to what contexts, whose logarithms bend the other way, can make up for at most. A value that wants to
        be zero is bent as its logarithm would, so that it does not hold up the others: it shrinks by a factor a step.
        (Affine scaling: Dikin, Soviet Math. Doklady 8:674, 1967.)
        """
        from scipy.linalg import cho_factor, cho_solve

        table = self.table(values)
        gradient = self.gradient(table, counts)
        slope = self._moves.T @ gradient
        weighted = values[:, None] * self._constraints.T
        multipliers = np.linalg.lstsq(weighted, values * gradient, rcond=None)[0]
        shrinking = np.maximum(self._constraints.T @ multipliers - gradient, 0.0)
        own = np.maximum(self.ties.pool(_over(counts[-1], table * table)), 0.0)
        shared, bound = np.zeros((len(values), len(values))), np.zeros(self.ties.shape)
        for part, frequencies, prefixes in zip(counts, marginals(table), self._prefixes, strict=False):
            known = _over(part, frequencies)
            shared += (prefixes.T * _over(known, frequencies).ravel()) @ prefixes
            bound += np.maximum(-known, 0.0).reshape(known.shape + (1,) * (bound.ndim - known.ndim))
        safe = self.ties.pool(_over(bound, table))
        least = (1e-9 * np.abs(counts[-1]).sum() + shrinking) / values
        for diagonal in (own + least, np.maximum(own, safe) + least):
            curvature = self._moves.T @ (shared @ self._moves + diagonal[:, None] * self._moves)
            try:
                return np.asarray(self._moves @ cho_solve(cho_factor(curvature), slope))
            except np.linalg.LinAlgError:
                continue
        return np.asarray(self._moves @ slope * 1e-9)  # the second has a maximum, but for rounding

    def _flow(self, weights: Floats) -> Floats:
        """The balanced table of weights, flat; its sum is 1."""
        matrix: Floats = np.zeros((self._nodes, self._nodes))
        np.add.at(matrix, (self._from, self._to), weights)
        flow = perron(matrix.T)[self._from] * weights * perron(matrix)[self._to]
        return np.asarray(flow / flow.sum())


def _over(numerators: Floats, denominators: Floats) -> Floats:
    """The quotient, 0 where nothing occurs."""
    return np.divide(numerators, denominators, out=np.zeros_like(numerators), where=denominators > _NOTHING)


def _null_space(matrix: Floats) -> Floats:
    """Orthonormal columns that the matrix maps to zero."""
    from scipy.linalg import null_space

    return np.asarray(null_space(matrix)) if matrix.shape[1] else np.zeros((0, 0))


def mirrored(table: NDArray[Any], mirror: NDArray[np.intp]) -> NDArray[Any]:
    """A table of words as read from the other end: the entry of a word becomes that of its image."""
    return table[np.ix_(*[mirror] * table.ndim)].transpose()


def _orbits(shape: tuple[int, ...], mirror: NDArray[np.intp]) -> Ties:
    return Ties.orbits(shape, lambda table: mirrored(table, mirror))


def marginals(table: Floats) -> list[Floats]:
    """The frequencies of words of 1, 2, ... k + 1 symbols in a balanced table."""
    found = [table]
    while found[0].ndim > 1:
        found.insert(0, found[0].sum(axis=-1))
    return found


def conditionals(table: Floats) -> list[Floats]:
    """The probability of a symbol after none, one, ... k others, along the last axis; zeros after what never occurs."""
    shorter: list[Floats] = [np.array(1.0), *marginals(table)]
    return [_over(after, np.broadcast_to(before[..., None], after.shape)) for before, after in pairwise(shorter)]
