"""Sums to one beside ties: the number of free parameters, and the M-step that respects both.

Ties and sums to one meet in one convex problem. With expected counts c_g pooled over the uses of each value theta_g,
and M[r, g] the number of times that row r uses it, the M-step is

    maximise  sum_g c_g ln(theta_g)   subject to   M theta = mass,  theta >= 0,

where the mass of a row is one less what its held entries take. Pooling the counts and then normalising every row solves
it only where ties map whole rows onto whole rows. Rows that share no value fall apart into blocks. A block of one row
has a closed form, theta_g = mass c_g / (M_g sum c); any other goes to :mod:`tiedseq.interior`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .constraints import ZERO, Row, connected, distinct_rows, forced_values, independent_rows, names_of, system, uses_of
from .errors import ArgumentError
from .interior import FEASIBLE, interior_point, onto_rows
from .ties import Ties

Vector = NDArray[np.float64]
Index = NDArray[np.intp]

# Counts below this share of the largest one in their block are zeros: a value that any sequence needs has a count of
# one or more, and the maximum turns on ratios of counts, which beyond this are lost in the rounding of sums to one.
_NEGLIGIBLE = 1e-30


class Simplex:
    """Which entries of a tied parameter sum to one.

    Parameters
    ----------
    ties : Ties
        The ties of the full parameter, without signs.
    rows : sequence of int index arrays
        Each lists the entries of the flattened parameter that sum to one. Impossible entries count nothing.
    held : mapping of int to float, default none
        Values (by their index in the free vector) that stay as they are and take their share of each row.

    Attributes
    ----------
    n_free : int
        How many parameters can move: values that are not held, less the rank of the constraints on them. Values that
        the constraints force count nothing.
    forced : dict of int to float
        The values that the constraints alone determine, by index.
    held : dict of int to float

    Raises
    ------
    ModelError
        No values >= 0 fulfil all rows; the message names the labels.
    ArgumentError
        The ties carry signs, a row lies outside the parameter, a value is in no row and not held, a held value is
        negative or not finite.

    Examples
    --------
    >>> simplex = Simplex(Ties(["a", "a", "a", "b"]), [range(4)])
    >>> simplex.n_free
    1
    >>> simplex.maximize([60, 40])  # not (.6, .4), which would sum to 2.2 over the four entries
    array([0.2, 0.4])
    """

    def __init__(self, ties: Ties, rows: Iterable[ArrayLike], held: Mapping[int, float] | None = None) -> None:
        if (ties.signs < 0).any():
            raise ArgumentError("ties= carry signs; probabilities that sum to one cannot be tied to their negatives.")
        self.ties = ties
        self.held = _check_held(ties, held or {})
        uses = uses_of(ties, rows)
        self.forced: dict[int, float] = {}
        for part in connected(distinct_rows(ties, uses, self.held)):
            self.forced |= forced_values(part, ties)
        self._constant = np.zeros(ties.n_free)
        for index, value in (self.held | self.forced).items():
            self._constant[index] = value
        blocks = [_Block.of(part) for part in connected(distinct_rows(ties, uses, self.held | self.forced))]
        self.n_free = sum(len(block.labels) - len(block.mass) for block in blocks)
        self._singles = _SingleRows.of([block for block in blocks if len(block.mass) == 1])
        self._blocks = [block for block in blocks if len(block.mass) > 1]
        loose = np.ones(ties.n_free, dtype=bool)
        for settled in ([*self.held, *self.forced], self._singles.labels, *(block.labels for block in self._blocks)):
            loose[np.asarray(settled, dtype=np.intp)] = False
        if loose.any():
            left_out = names_of(ties, np.flatnonzero(loose).tolist())
            raise ArgumentError(f"rows= leave out {left_out}; every value is in a row or held.")

    def maximize(self, counts: ArrayLike, current: ArrayLike | None = None) -> Vector:
        """Return the values that maximise the sum of counts times logarithms: the tied M-step.

        Parameters
        ----------
        counts : array_like of float, shape (n_values,), >= 0
            Expected counts, pooled over the uses of each value. Those of held and forced values are ignored. In rows
            that share values with others, counts below 1e-30 of the largest are zeros.
        current : array_like of float, shape (n_values,), default None
            The values before this step; they decide where the counts leave a choice. Rows without any counts keep them,
            if they sum to one, and values without counts share by them what the others leave over. Without them every
            use stands for one count there.

        Returns
        -------
        float64 array of shape (n_values,)
            All values, held ones included; every row sums to one to about 1e-15.

        Raises
        ------
        ArgumentError
            `counts` or `current` has another shape, or holds something negative or not finite.
        """
        weights = self._check("counts", counts)
        before = None if current is None else self._check("current", current)
        free = self._constant.copy()
        self._singles.maximize(weights, before, free)
        for block in self._blocks:
            free[block.labels] = block.maximize(weights[block.labels], None if before is None else before[block.labels])
        return free

    def directions(self, current: ArrayLike, border: float = 0.0) -> Vector:
        """Return the moves that keep every row, of values above `border` that are neither held nor forced.

        Parameters
        ----------
        current : array_like of float, shape (n_values,)
        border : float, default 0.0
            Values at or below it stay.

        Returns
        -------
        float64 array of shape (n_values, k)
            Columns are orthonormal; k is `n_free` if no value lies at the border.
        """
        values = self._check("current", current)
        moves = []
        for labels, matrix in self.systems():
            inner = np.flatnonzero(values[labels] > border)
            _, sizes, rows = np.linalg.svd(matrix[:, inner])
            for row in rows[int((sizes > 1e-10 * sizes.max(initial=0.0)).sum()) :]:
                move = np.zeros(len(values))
                move[labels[inner]] = row
                moves.append(move)
        return np.array(moves).reshape(-1, len(values)).T

    def systems(self) -> Iterator[tuple[Index, Vector]]:
        """The labels of every block of rows, and how often each row uses them."""
        singles = self._singles
        for row in range(len(singles.mass)):
            here = singles.row == row
            yield singles.labels[here], singles.uses[here][None]
        for block in self._blocks:
            yield block.labels, block.matrix

    def _check(self, name: str, values: ArrayLike) -> Vector:
        array: Vector = np.asarray(values, dtype=np.float64)
        if array.shape != (self.ties.n_free,):
            raise ArgumentError(f"{name}= has the shape {array.shape}; these ties need {(self.ties.n_free,)}.")
        good = np.isfinite(array) & (array >= 0)
        if not good.all():
            worst = int(np.flatnonzero(~good)[0])
            raise ArgumentError(
                f"{name}= holds {array[worst]} for {self.ties.names[worst]!r}; it must be finite and not negative."
            )
        return array


@dataclass
class _SingleRows:
    """All blocks of a single row, side by side: entry i is `uses[i]` times value `labels[i]` in row `row[i]`."""

    labels: Index
    uses: Vector
    row: Index
    mass: Vector

    @classmethod
    def of(cls, blocks: Sequence[_Block]) -> _SingleRows:
        empty = np.zeros(0)
        return cls(
            np.concatenate([empty, *(block.labels for block in blocks)]).astype(np.intp),
            np.concatenate([empty, *(block.matrix[0] for block in blocks)]),
            np.repeat(np.arange(len(blocks)), [len(block.labels) for block in blocks]),
            np.concatenate([empty, *(block.mass for block in blocks)]),
        )

    def maximize(self, counts: Vector, before: Vector | None, free: Vector) -> None:
        """Write the maximum in closed form into `free`."""
        share = counts[self.labels]
        total = np.bincount(self.row, share, len(self.mass))
        bare = total == 0.0
        if not bare.any():
            free[self.labels] = self.mass[self.row] * (share / total[self.row]) / self.uses
            return
        share = np.where(bare[self.row], self.uses, share)
        total = np.bincount(self.row, share, len(self.mass))
        value = self.mass[self.row] * (share / total[self.row]) / self.uses
        if before is not None:
            old = before[self.labels]
            fits = np.abs(np.bincount(self.row, old * self.uses, len(self.mass)) - self.mass) <= FEASIBLE
            value = np.where((bare & fits)[self.row], old, value)
        free[self.labels] = value


@dataclass
class _Block:
    """Rows that share values, none of them forced: matrix @ value = mass, with independent rows."""

    labels: Index
    matrix: Vector
    mass: Vector

    @classmethod
    def of(cls, rows: Sequence[Row]) -> _Block:
        if len(rows) == 1:  # most are, and of orders above zero there are many
            return cls(rows[0].labels, rows[0].times[None], np.array([rows[0].mass]))
        labels, matrix, mass = system(rows)
        keep, _ = independent_rows(matrix)
        return cls(labels, matrix[keep], mass[keep])

    def maximize(self, counts: Vector, before: Vector | None) -> Vector:
        """Return the maximum; should it not be found, what is no worse than `before`, if that is feasible."""
        uses = self.matrix.sum(axis=0)
        if not counts.any():
            if before is not None and self._is_feasible(before):
                return before
            counts = uses
        counts = counts / counts.max()
        counts[counts < _NEGLIGIBLE] = 0.0
        # Values without counts get infinitesimal ones: the limit is the maximum, and where that is not unique it is the
        # point of it that shares by these weights. (before * uses has its own maximum at before.)
        weights = uses if before is None or not before.any() else before * uses
        weights = np.maximum(weights, 1e-12 * weights.max())
        value, converged = interior_point(self.matrix, self.mass, counts, weights)
        value = self._cleaned(value, counts, before)
        if converged and self._is_feasible(value):
            return value
        if before is None or not self._is_feasible(before):
            raise RuntimeError(
                f"the tied M-step of {len(counts)} values in {len(self.mass)} rows found no maximum for counts, the "
                f"smallest of which is {counts[counts > 0.0].min():.3g} of the largest"
            )
        return value if self._is_feasible(value) and _is_no_worse(value, before, counts) else before

    def _is_feasible(self, value: Vector) -> bool:
        return bool((value >= 0.0).all() and np.abs(self.matrix @ value - self.mass).max() <= FEASIBLE)

    def _cleaned(self, value: Vector, counts: Vector, before: Vector | None) -> Vector:
        """Return values in rows that hold to rounding, without what the infinitesimal counts left of a zero."""
        value = onto_rows(self.matrix, self.mass, value)
        # A zero of `before` had the floor of the weights.
        trace = (counts == 0.0) & (value < (ZERO if before is None else np.where(before == 0.0, 1e-9, ZERO)))
        cleaned = onto_rows(self.matrix, self.mass, np.where(trace, 0.0, value))
        return cleaned if np.allclose(cleaned[~trace], value[~trace], rtol=1e-6, atol=0.0) else value


def _is_no_worse(value: Vector, before: Vector, counts: Vector) -> bool:
    """Whether the sum of counts * ln(value) is at least that of `before`."""
    counted = counts > 0.0
    if not (value[counted] > 0.0).all():
        return False
    with np.errstate(divide="ignore"):  # ln(0) of `before`
        return bool(counts[counted] @ (np.log(value[counted]) - np.log(before[counted])) >= 0.0)


def _check_held(ties: Ties, held: Mapping[int, float]) -> dict[int, float]:
    for index, value in held.items():
        if not 0 <= index < ties.n_free:
            raise ArgumentError(f"held= names value {index}; there are {ties.n_free}, counted from 0.")
        if not (math.isfinite(value) and value >= 0):
            raise ArgumentError(f"held= gives {value} to {ties.names[index]!r}; it must be finite and not negative.")
    return {int(index): float(value) for index, value in held.items()}
