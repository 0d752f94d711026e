"""A small interior-point method: sums of counts * ln(value) at their maximum under matrix @ value = mass, value >= 0.

Rows and values are few (those of one block of a tied M-step), but both may span hundreds of orders of magnitude.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

FEASIBLE = 1e-9  # how far current values may miss a sum and still count as fulfilling it
_INFINITESIMAL = 1e-20  # what counts that are only to break a draw amount to, beside the smallest proper one
_OPTIMAL = 1e-20  # a duality gap of this share of the counts leaves errors of 1e-10 in the values that matter


def interior_point(matrix: Vector, mass: Vector, counts: Vector, weights: Vector) -> tuple[Vector, bool]:
    """Maximise sum counts ln(value) under matrix @ value = mass; return the values and whether that was reached.

    The optimum has multipliers with value * (matrix.T @ multipliers) = counts. Newton steps on both follow the path on
    which the right side is max(counts, mu * weights) while mu -> 0, so that every value stays positive until its limit
    is plain. `weights` > 0 decide between several optima. (Roos, Terlaky and Vial, Interior Point Methods for Linear
    Optimization, 2nd ed. 2005, part III: target following.)
    """
    counts, weights = counts / counts.sum(), weights / weights.sum()
    counted = counts > 0.0
    mu, end = 1.0, max(_INFINITESIMAL * counts[counted].min(), 1e-280)
    slack = matrix.sum(axis=0)  # all multipliers are 1
    value = np.maximum(counts, weights) / slack
    for _ in range(200):
        target = np.maximum(counts, mu * weights)
        rows, sums = _pivoted(matrix, mass, value / slack)
        slack_step = rows.T @ _solve_normal(rows, value / slack, rows @ (target / slack) - sums)
        value_step = (target - value * slack_step) / slack - value
        length = min(1.0, 0.98 * _longest(value, value_step), 0.98 * _longest(slack, slack_step))
        if not (length > 1e-12 and np.isfinite(value_step).all() and np.isfinite(slack_step).all()):
            break  # there is no interior
        value, slack = value + length * value_step, slack + length * slack_step
        settled = np.abs(value_step).max() < 1e-12 and np.abs(value_step / value)[counted].max() < 1e-9
        if settled and (mu == end or (length < 0.5 and mu < 1e12 * end)):  # short steps: rounding ends the path early
            return value, bool(np.abs(matrix @ value - mass).max() < FEASIBLE)
        mu = max(end, mu * (min(0.05, mu**0.5) if length == 1.0 else 1.0 - 0.8 * length))
    # Values that are determined by less than the rounding of a sum never settle; they need not if nothing is to gain.
    is_feasible = bool(np.abs(matrix @ value - mass).max() < FEASIBLE)
    return value, is_feasible and _duality_gap(value, slack, counts) < _OPTIMAL


def _duality_gap(value: Vector, slack: Vector, counts: Vector) -> float:
    """Return what sum counts ln(value) can gain at most, for feasible values and slack = matrix.T @ multipliers > 0.

    It is sum (p - c - c ln(p / c)) with p = value * slack, written so that it keeps its digits where p is close to c.
    (Boyd and Vandenberghe, Convex Optimization, 2004, section 5.1.6, for the dual.)
    """
    product = value * slack
    counted = counts > 0.0
    ratio = product[counted] / counts[counted]
    with np.errstate(divide="ignore"):  # far from an optimum a ratio may underflow: the gap is infinite
        logarithm = np.where(ratio > 0.5, np.log1p(ratio - 1.0), np.log(ratio))
    return float(counts[counted] @ (ratio - 1.0 - logarithm) + product[~counted].sum())


def _longest(point: Vector, step: Vector) -> float:
    """Return how many steps lead from a positive point to the border of the positive orthant."""
    return float(1.0 / max((-step / point).max(), 1e-300))


def _pivoted(matrix: Vector, mass: Vector, scale: Vector) -> tuple[Vector, Vector]:
    """Return equivalent rows (Gauss-Jordan) in which each has one of the values with the largest scales to itself.

    As values approach zero their scales fall by many orders of magnitude, and rows that share a large one look alike to
    rounding. With a basis of heaviest columns the normal equations stay well conditioned whatever the scales.
    """
    rows = np.column_stack([matrix, mass])
    done = 0
    for column in np.argsort(-scale, kind="stable"):
        pivot = done + int(np.abs(rows[done:, column]).argmax())
        if abs(rows[pivot, column]) > FEASIBLE:
            rows[[done, pivot]] = rows[[pivot, done]]
            rows[done] /= rows[done, column]
            others = rows[:, column].copy()
            others[done] = 0.0
            rows -= np.outer(others, rows[done])
            done += 1
            if done == len(rows):
                break
    return rows[:, :-1], rows[:, -1]


def _solve_normal(rows: Vector, scale: Vector, right: Vector) -> Vector:
    """Solve (rows diag(scale) rows.T) x = right, equilibrated, since scales span many orders of magnitude."""
    normal = (rows * scale) @ rows.T
    balance = 1.0 / np.sqrt(np.maximum(np.diag(normal), 1e-300))
    normal *= np.outer(balance, balance)
    try:
        return np.asarray(balance * np.linalg.solve(normal, balance * right))
    except np.linalg.LinAlgError:
        return np.asarray(balance * np.linalg.lstsq(normal, balance * right, rcond=None)[0])


def onto_rows(matrix: Vector, mass: Vector, value: Vector) -> Vector:
    """Move values, each in proportion to itself, until the rows hold to rounding."""
    rows, sums = _pivoted(matrix, mass, value)
    for _ in range(2):
        change = rows.T @ _solve_normal(rows, value, sums - rows @ value)
        value = value * np.clip(1.0 + change, 0.5, 2.0)
    return value
