"""Constraints on tied values: which rows differ, which hang together, and what they force by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ArgumentError, ModelError
from .interior import FEASIBLE, interior_point
from .ties import Ties

Vector = NDArray[np.float64]
Index = NDArray[np.intp]

TYPED = 1e-6  # how closely typed numbers, of six digits or more, must agree with each other and with sums to one
ZERO = 1e-12  # a mass or a value below this is the rounding of a zero


@dataclass
class Row:
    """One constraint on values that are not held: the sum of times * value is mass."""

    labels: Index
    times: Vector
    mass: float


def uses_of(ties: Ties, rows: Iterable[ArrayLike]) -> list[tuple[Index, Vector]]:
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


def distinct_rows(ties: Ties, uses: Sequence[tuple[Index, Vector]], held: Mapping[int, float]) -> list[Row]:
    """Return the constraints on values that are not held, each once: ties of rows onto rows repeat them."""
    is_held = np.zeros(ties.n_free, dtype=bool)
    is_held[list(held)] = True
    amount = np.zeros(ties.n_free)
    amount[list(held)] = list(held.values())
    distinct: dict[tuple[bytes, bytes], Row] = {}
    for used, times in uses:
        row = Row(used, times, 1.0)
        taken = is_held[used]
        if taken.any() or not len(used):
            row = Row(used[~taken], times[~taken], _mass_left(ties, used, times, amount, bool(taken.all())))
        other = distinct.setdefault((row.labels.tobytes(), row.times.tobytes()), row)
        if abs(other.mass - row.mass) > TYPED:
            raise ModelError(
                f"{_equation(ties, row)} and {_equation(ties, other)} contradict each other; the held values beside "
                "them differ. Untie or free some of them."
            )
    return [row for row in distinct.values() if len(row.labels)]


def _mass_left(ties: Ties, used: Index, times: Vector, amount: Vector, is_full: bool) -> float:
    """Return what held values leave of a row for the others, of which a full one has none."""
    mass = 1.0 - float(times @ amount[used])
    if mass < -TYPED or (mass > TYPED and is_full):
        raise ModelError(
            f"A row that must sum to one has held values that sum to {1.0 - mass:.7g} and "
            f"{'nothing else' if is_full else 'more'}: {names_of(ties, used.tolist())}."
        )
    return mass if mass > ZERO else 0.0


def connected(rows: Sequence[Row]) -> list[list[Row]]:
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
    groups: dict[int, list[Row]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(first(number), []).append(row)
    return list(groups.values())


def names_of(ties: Ties, indices: Sequence[int]) -> str:
    shown = ", ".join(repr(ties.names[index]) for index in indices[:8])
    return shown + (f" and {len(indices) - 8} more" if len(indices) > 8 else "")


def _equation(ties: Ties, row: Row) -> str:
    terms = [
        (f"{times:g} " if times != 1 else "") + repr(ties.names[g])
        for g, times in zip(row.labels.tolist(), row.times.tolist(), strict=True)
    ]
    return " + ".join(terms[:8] + ["..."] * (len(terms) > 8)) + f" = {row.mass:.7g}"


def system(rows: Sequence[Row]) -> tuple[Index, Vector, Vector]:
    """Return the labels that rows use, their matrix of multiplicities and their masses."""
    labels = np.unique(np.concatenate([row.labels for row in rows]))
    matrix = np.zeros((len(rows), len(labels)))
    for number, row in enumerate(rows):
        matrix[number, np.searchsorted(labels, row.labels)] = row.times
    return labels, matrix, np.array([row.mass for row in rows])


def forced_values(rows: Sequence[Row], ties: Ties) -> dict[int, float]:
    """Return the values that connected rows determine by themselves; ModelError if nothing fulfils them."""
    if len(rows) == 1 and rows[0].mass > 0.0 and len(rows[0].labels) > 1 and rows[0].times.max() < 1e3:
        return {}  # what follows would say so; of orders above zero there are many such rows
    labels, matrix, mass = system(rows)
    positive = _can_be_positive(matrix, mass)
    if positive is None:
        raise ModelError(
            f"No values of {names_of(ties, labels.tolist())} fulfil all rows that must sum to one and use them: "
            + "; ".join(_equation(ties, row) for row in rows[:6])
            + ("; ..." if len(rows) > 6 else "")
            + ". Untie or free some of them."
        )
    forced = dict.fromkeys(labels[~positive].tolist(), 0.0)
    labels, matrix = labels[positive], matrix[:, positive]
    keep, basis = independent_rows(matrix)
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
    keep, _ = independent_rows(matrix)
    uses = matrix.sum(axis=0)
    with np.errstate(all="ignore"):
        centre, converged = interior_point(matrix[keep], mass[keep], uses, uses)
    if converged and centre.min() > FEASIBLE and np.abs(matrix @ centre - mass).max() <= TYPED:
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


def independent_rows(matrix: Vector) -> tuple[Index, Vector]:
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
