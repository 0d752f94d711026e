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
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ArgumentError, ModelError
from .interior import FEASIBLE, interior_point, onto_rows
from .ties import Ties

Vector = NDArray[np.float64]
Index = NDArray[np.intp]

_TYPED = 1e-6  # how far held values may miss a sum of one: what people type has six digits or more
_ZERO = 1e-12  # a mass or a value below this is the rounding of a zero
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
        uses = _uses_of(ties, rows)
        self.forced: dict[int, float] = {}
        for part in _connected(_distinct_rows(ties, uses, self.held)):
            self.forced |= _forced_values(part, ties)
        self._constant = np.zeros(ties.n_free)
        for index, value in (self.held | self.forced).items():
            self._constant[index] = value
        blocks = [_Block.of(part) for part in _connected(_distinct_rows(ties, uses, self.held | self.forced))]
        self.n_free = sum(len(block.labels) - len(block.mass) for block in blocks)
        self._singles = _SingleRows.of([block for block in blocks if len(block.mass) == 1])
        self._blocks = [block for block in blocks if len(block.mass) > 1]
        loose = np.ones(ties.n_free, dtype=bool)
        for settled in ([*self.held, *self.forced], self._singles.labels, *(block.labels for block in self._blocks)):
            loose[np.asarray(settled, dtype=np.intp)] = False
        if loose.any():
            left_out = _names(ties, np.flatnonzero(loose).tolist())
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
class _Row:
    """One constraint on values that are not held: the sum of times * value is mass."""

    labels: Index
    times: Vector
    mass: float


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
    def of(cls, rows: Sequence[_Row]) -> _Block:
        if len(rows) == 1:  # most are, and of orders above zero there are many
            return cls(rows[0].labels, rows[0].times[None], np.array([rows[0].mass]))
        labels, matrix, mass = _system(rows)
        keep, _ = _independent(matrix)
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
        trace = (counts == 0.0) & (value < (_ZERO if before is None else np.where(before == 0.0, 1e-9, _ZERO)))
        cleaned = onto_rows(self.matrix, self.mass, np.where(trace, 0.0, value))
        return cleaned if np.allclose(cleaned[~trace], value[~trace], rtol=1e-6, atol=0.0) else value


def _is_no_worse(value: Vector, before: Vector, counts: Vector) -> bool:
    """Whether the sum of counts * ln(value) is at least that of `before`."""
    counted = counts > 0.0
    if not (value[counted] > 0.0).all():
        return False
    with np.errstate(divide="ignore"):  # ln(0) of `before`
        return bool(counts[counted] @ (np.log(value[counted]) - np.log(before[counted])) >= 0.0)


def _system(rows: Sequence[_Row]) -> tuple[Index, Vector, Vector]:
    """Return the labels that rows use, their matrix of multiplicities and their masses."""
    labels = np.unique(np.concatenate([row.labels for row in rows]))
    matrix = np.zeros((len(rows), len(labels)))
    for number, row in enumerate(rows):
        matrix[number, np.searchsorted(labels, row.labels)] = row.times
    return labels, matrix, np.array([row.mass for row in rows])


def _forced_values(rows: Sequence[_Row], ties: Ties) -> dict[int, float]:
    """Return the values that connected rows determine by themselves; ModelError if nothing fulfils them."""
    if len(rows) == 1 and rows[0].mass > 0.0 and len(rows[0].labels) > 1 and rows[0].times.max() < 1e3:
        return {}  # what follows would say so; of orders above zero there are many such rows
    labels, matrix, mass = _system(rows)
    positive = _can_be_positive(matrix, mass)
    if positive is None:
        raise ModelError(
            f"No values of {_names(ties, labels.tolist())} fulfil all rows that must sum to one and use them: "
            + "; ".join(_equation(ties, row) for row in rows[:6])
            + ("; ..." if len(rows) > 6 else "")
            + ". Untie or free some of them."
        )
    forced = dict.fromkeys(labels[~positive].tolist(), 0.0)
    labels, matrix = labels[positive], matrix[:, positive]
    keep, basis = _independent(matrix)
    # A value is determined exactly if its unit vector lies in the span of the rows.
    determined = 1.0 - (basis**2).sum(axis=0) < FEASIBLE
    if determined.any():
        solution = np.linalg.lstsq(matrix[keep], mass[keep], rcond=None)[0]
        forced |= dict(zip(labels[determined].tolist(), solution[determined].tolist(), strict=True))
    return forced


def _can_be_positive(matrix: Vector, mass: Vector) -> NDArray[np.bool_] | None:
    """Return which values are above zero in some solution of matrix @ value = mass, value >= 0; None without any."""
    if len(mass) == 1:
        return np.full(matrix.shape[1], mass[0] > 0.0)
    keep, _ = _independent(matrix)
    uses = matrix.sum(axis=0)
    with np.errstate(all="ignore"):
        centre, converged = interior_point(matrix[keep], mass[keep], uses, uses)
    if converged and centre.min() > FEASIBLE and np.abs(matrix @ centre - mass).max() <= _TYPED:
        return np.full(len(centre), True)
    # The rows have no interior, or no solution at all; one linear program tells. Any solution times a scale >= 1 solves
    # matrix @ (scale * value) = scale * mass, and with a scale large enough every value that can be positive reaches 1.
    from scipy.optimize import linprog  # slow to import and seldom needed

    n = matrix.shape[1]  # unknowns: n values times the scale, n capped copies of them, the scale
    found = linprog(
        np.concatenate([np.zeros(n), -np.ones(n), [0.0]]),
        A_eq=np.hstack([matrix, np.zeros_like(matrix), -mass[:, None]]),
        b_eq=np.zeros(len(mass)),
        A_ub=np.hstack([-np.eye(n), np.eye(n), np.zeros((n, 1))]),
        b_ub=np.zeros(n),
        bounds=[(0, None)] * n + [(0, 1)] * n + [(1, None)],
    )
    return np.asarray(found.x[n : 2 * n] > 0.5) if found.status == 0 else None


def _independent(matrix: Vector) -> tuple[Index, Vector]:
    """Return a largest set of linearly independent rows and an orthonormal basis of their span (Gram-Schmidt)."""
    keep: list[int] = []
    basis = np.zeros((0, matrix.shape[1]))
    for number, row in enumerate(matrix):
        norm = np.linalg.norm(row)
        if norm == 0.0:
            continue
        rest = row / norm
        for _ in range(2):  # once more for the rounding of the first time
            rest = rest - basis.T @ (basis @ rest)
        if np.linalg.norm(rest) > FEASIBLE:
            keep.append(number)
            basis = np.vstack([basis, rest / np.linalg.norm(rest)])
    return np.array(keep, dtype=np.intp), basis


def _check_held(ties: Ties, held: Mapping[int, float]) -> dict[int, float]:
    for index, value in held.items():
        if not 0 <= index < ties.n_free:
            raise ArgumentError(f"held= names value {index}; there are {ties.n_free}, counted from 0.")
        if not (math.isfinite(value) and value >= 0):
            raise ArgumentError(f"held= gives {value} to {ties.names[index]!r}; it must be finite and not negative.")
    return {int(index): float(value) for index, value in held.items()}


def _uses_of(ties: Ties, rows: Iterable[ArrayLike]) -> list[tuple[Index, Vector]]:
    """Return the values that each row uses, in ascending order, and how often it does."""
    places = [np.asarray(row, dtype=np.intp).ravel() for row in rows]
    entries = np.concatenate([np.zeros(0, np.intp), *places])
    number = np.repeat(np.arange(len(places)), [len(row) for row in places])
    outside = (entries < 0) | (entries >= ties.labels.size)
    if outside.any():
        raise ArgumentError(f"rows[{number[outside][0]}] lies outside the {ties.labels.size} entries of the parameter.")
    labels = ties.labels.ravel()[entries]
    possible = labels >= 0
    found, counts = np.unique(number[possible] * ties.n_free + labels[possible], return_counts=True)
    number, labels = np.divmod(found, max(ties.n_free, 1))
    ends = np.searchsorted(number, np.arange(len(places) + 1)).tolist()
    times = counts.astype(np.float64)
    return [(labels[first:last], times[first:last]) for first, last in pairwise(ends)]


def _distinct_rows(ties: Ties, uses: Sequence[tuple[Index, Vector]], held: Mapping[int, float]) -> list[_Row]:
    """Return the constraints on values that are not held, each once: ties of rows onto rows repeat them."""
    is_held = np.zeros(ties.n_free, dtype=bool)
    is_held[list(held)] = True
    amount = np.zeros(ties.n_free)
    amount[list(held)] = list(held.values())
    distinct: dict[tuple[bytes, bytes], _Row] = {}
    for used, times in uses:
        row = _Row(used, times, 1.0)
        taken = is_held[used]
        if taken.any() or not len(used):
            row = _Row(used[~taken], times[~taken], _mass_left(ties, used, times, amount, bool(taken.all())))
        other = distinct.setdefault((row.labels.tobytes(), row.times.tobytes()), row)
        if abs(other.mass - row.mass) > _TYPED:
            raise ModelError(
                f"{_equation(ties, row)} and {_equation(ties, other)} contradict each other; the held values beside "
                "them differ. Untie or free some of them."
            )
    return [row for row in distinct.values() if len(row.labels)]


def _mass_left(ties: Ties, used: Index, times: Vector, amount: Vector, is_full: bool) -> float:
    """Return what held values leave of a row for the others, of which a full one has none."""
    mass = 1.0 - float(times @ amount[used])
    if mass < -_TYPED or (mass > _TYPED and is_full):
        raise ModelError(
            f"A row that must sum to one has held values that sum to {1.0 - mass:.7g} and "
            f"{'nothing else' if is_full else 'more'}: {_names(ties, used.tolist())}."
        )
    return mass if mass > _ZERO else 0.0


def _connected(rows: Sequence[_Row]) -> list[list[_Row]]:
    """Split rows into groups that share no value, in the order of their first rows."""
    parent = list(range(len(rows)))  # an earlier row of the same group; the first one of a group is its own
    row_of: dict[int, int] = {}

    def first(number: int) -> int:
        while parent[number] != number:
            parent[number] = number = parent[parent[number]]  # halves the way for the next time
        return number

    for number, row in enumerate(rows):
        for label in row.labels.tolist():
            other = row_of.setdefault(label, number)
            if other != number:
                one, two = first(other), first(number)
                parent[max(one, two)] = min(one, two)
    groups: dict[int, list[_Row]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(first(number), []).append(row)
    return list(groups.values())


def _names(ties: Ties, indices: Sequence[int]) -> str:
    shown = ", ".join(repr(ties.names[index]) for index in indices[:8])
    return shown + (f" and {len(indices) - 8} more" if len(indices) > 8 else "")


def _equation(ties: Ties, row: _Row) -> str:
    terms = [
        (f"{times:g} " if times != 1 else "") + repr(ties.names[g])
        for g, times in zip(row.labels.tolist(), row.times.tolist(), strict=True)
    ]
    return " + ".join(terms[:8] + ["..."] * (len(terms) > 8)) + f" = {row.mass:.7g}"
