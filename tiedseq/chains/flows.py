"""Joint frequencies of neighbours in a long sequence, possibly the same when read from its other end.

A table J of shape (K,) * (k + 1) says how often k + 1 symbols stand next to each other. It belongs to a sequence
without ends only if it is *balanced*: every run of k symbols is left as often as it is entered, so that J summed over
its first place equals J summed over its last. With J the table of states (k = 1) this is the flow pi_i A_ij; with
letters it is the frequency of words. A *mirror*, which maps symbols to symbols (letters to their complements, states to
those of the other strand), ties every word to its image read backwards. Conditional probabilities cannot be tied so:
P(b | a) on one strand is P(a' | b') on the other, which is another condition.

Balanced positive tables are reached without constraints: any positive weights W give J = l W r / lambda, with l and r
the Perron vectors of W, and weights that are equal under the mirror give a J that is. So the M-step is a smooth search
over logarithms of weights. (The chain of maximal entropy rate given its energies: Ruelle, Thermodynamic Formalism,
1978, chapter 5; the derivatives follow from the eigenvector equations.)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ModelError
from tiedseq.ties import Ties

from .long_run import perron, spread

Floats = NDArray[np.float64]

_NOTHING = 1e-290  # a frequency below this is zero
_SPAN = 25.0  # how far the logarithm of a weight may get from the largest: beyond, states fall apart by rounding


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
        self._constraints = self._constraint_rows()
        self.n_free = self.ties.n_free - (int(np.linalg.matrix_rank(self._constraints)) if self.ties.n_free else 0)
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
        flow, _ = self._flow(flat)
        return self.values(flow.reshape(self.ties.shape))

    def random(self, generator: np.random.Generator) -> Floats:
        """Values drawn at random: those of independent exponential weights."""
        return self.balanced(self.table(generator.exponential(size=self.ties.n_free)))

    def directions(self, values: Floats, border: float) -> Floats:
        """Moves that keep sum and balance, of values above `border`: orthonormal columns (n_values, k)."""
        from scipy.linalg import null_space

        inner = np.flatnonzero(values > border)
        moves = np.zeros((len(values), 0))
        if len(inner):
            found = null_space(self._constraints[:, inner])
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
            slope = np.divide(part, frequencies, out=np.zeros_like(part), where=frequencies > _NOTHING)
            slopes += slope.reshape(slope.shape + (1,) * (self.order + 1 - slope.ndim))
        return slopes

    def maximize(self, counts: Sequence[Floats], values: Floats, pseudocounts: Floats | float = 0.0) -> Floats:
        """Return the values that maximise the objective, never worse ones than `values`: the M-step.

        Parameters
        ----------
        counts : sequence of k + 1 arrays
            counts[m] (K,) * (m + 1): how often the frequency of a word of m + 1 symbols is a factor of the likelihood;
            those of contexts are divisors, and count negative.
        values : float64 array (n_values,)
            The current ones, where the search begins. What is zero stays zero.
        pseudocounts : float64 array (n_values,), default 0
            Of every value; once, however often it is used.
        """
        from scipy.optimize import minimize

        top = np.array(counts[-1])
        top.ravel()[self._first] += pseudocounts
        counts = [*counts[:-1], top]
        own = self.ties.pool(np.maximum(top, 0.0))
        unit, moving = max(float(own.sum()), 1e-300), values > _NOTHING
        if own.sum() <= 0.0:
            return values
        table = self.table(values)
        contexts = table.sum(axis=-1).ravel()
        root = np.sqrt(contexts[self._from] * contexts[self._to])
        weights = np.divide(table.ravel(), root, out=np.zeros(table.size), where=root > 0.0)[self._first]
        begin = np.log(weights[moving])
        pace = 1.0 / np.sqrt(np.maximum(own[moving], 1.0))  # steps along which the objective bends alike

        def at(steps: Floats) -> tuple[float, Floats]:
            trial = np.zeros(self.ties.n_free)
            trial[moving] = np.exp(begin + pace * steps)
            value, slope = self.at_weights(trial, counts)
            return -value / unit, -slope[moving] * pace / unit

        lowest, highest = ((begin.max() + sign * _SPAN - begin) / pace for sign in (-1.0, 1.0))
        bounds = np.column_stack([np.minimum(lowest, 0.0), highest])
        options = {"maxiter": 150, "maxfun": 400, "ftol": 1e-16, "gtol": 1e-11, "maxcor": 30}
        found = minimize(at, np.zeros(len(begin)), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        better = np.zeros(self.ties.n_free)
        better[moving] = np.exp(begin + pace * found.x)
        better = self.balanced(self.table(better))
        improved = self.objective(self.table(better), counts) >= self.objective(table, counts)
        return better if improved else values

    def at_weights(self, weights: Floats, counts: Sequence[Floats]) -> tuple[float, Floats]:
        """The objective at weights of every value, and its derivatives in their logarithms."""
        flow, backward = self._flow(self.table(weights).ravel())
        table = flow.reshape(self.ties.shape)
        contributions = flow * self._slopes(table, counts).ravel()
        contexts: Floats = np.bincount(self._from, flow, self._nodes).astype(np.float64)
        used = contexts > 0.0
        nodes, place = np.flatnonzero(used), np.cumsum(used) - 1
        steps = np.divide(flow, contexts[self._from], out=np.zeros_like(flow), where=flow > 0.0)
        total, pi = contributions.sum(), contexts[nodes]
        out, into = (np.bincount(end, contributions, self._nodes).astype(float) for end in (self._from, self._to))
        chain, reverse = (np.zeros((len(nodes), len(nodes))) for _ in range(2))
        kept = flow > 0.0
        np.add.at(chain, (place[self._from[kept]], place[self._to[kept]]), steps[kept])
        np.add.at(reverse, (place[self._to[kept]], place[self._from[kept]]), backward[kept])
        u, v = np.zeros(self._nodes), np.zeros(self._nodes)
        u[nodes], v[nodes] = spread(chain, pi, into[nodes]), spread(reverse, pi, out[nodes])
        slope = contributions + u[self._from] * steps + v[self._to] * backward - 3.0 * total * flow
        return self.objective(table, counts), np.asarray(self.ties.pool(slope.reshape(self.ties.shape)))

    def _flow(self, weights: Floats) -> tuple[Floats, Floats]:
        """The balanced table of weights, and its conditional probabilities backwards; both flat, the sum is 1."""
        matrix: Floats = np.zeros((self._nodes, self._nodes))
        np.add.at(matrix, (self._from, self._to), weights)
        flow = perron(matrix.T)[self._from] * weights * perron(matrix)[self._to]
        flow = flow / flow.sum()
        arrivals = np.bincount(self._to, flow, self._nodes)
        return flow, np.divide(flow, arrivals[self._to], out=np.zeros_like(flow), where=flow > 0.0)


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
    return [
        np.divide(after, before[..., None], out=np.zeros_like(after), where=before[..., None] > _NOTHING)
        for before, after in pairwise(shorter)
    ]
