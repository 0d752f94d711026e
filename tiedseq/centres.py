"""The centre of distributions that are drawn together: the closest one to given members, and that of an M-step.

Members are float64 (R, lines, cells), their centre is (lines, cells). Each line has the same sum in all of them; a line
is a distribution, or what is free in a row. Distances are Kullback-Leibler divergences KL(centre || member).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_TINY = np.finfo(np.float64).tiny
_STEPS, _SETTLED = 100, 1e-12  # of Newton's method, in logarithms


def closest_centre(members: Vector) -> Vector:
    """Return the centre with the least sum of divergences: the geometric mean, normalised.

    It has a zero where any member has one. Where all members agree it is theirs to the last bit. Lines that are zero
    everywhere, as members exclude each other, get the arithmetic mean.
    (Veldhuis, IEEE Signal Process. Lett. 9:96, 2002.)

    Examples
    --------
    >>> closest_centre(np.array([[[0.1, 0.8, 0.1]], [[0.4, 0.2, 0.4]]])).round(3)
    array([[0.25, 0.5 , 0.25]])
    """
    positive = (members >= _TINY).all(axis=0)
    first = np.where(positive, members[0], 1.0)
    logs = np.log(np.where(positive, members, 1.0) / first).mean(axis=0)
    mean = np.where(positive, first * np.exp(logs), 0.0)
    mean = np.where(mean.any(axis=-1, keepdims=True), mean, members.mean(axis=0))
    return np.asarray(mean * (members[0].sum(axis=-1) / mean.sum(axis=-1))[:, None])


def divergence(centre: Vector, members: Vector) -> float:
    """Return the sum of KL(centre || member), infinite where a member is zero and the centre is not.

    It is the sum of m (p / m - 1 - ln(p / m)), whose terms are not negative: as sums are equal, what they have beside
    m ln(m / p) is zero in all. That sum itself would cancel to a rounding that a large strength makes visible.

    Examples
    --------
    >>> members = np.array([[[0.1, 0.9]], [[0.9, 0.1]]])
    >>> round(divergence(np.array([[0.5, 0.5]]), members), 6) == round(float(np.log(0.25 / 0.09)), 6)
    True
    """
    positive = centre > 0.0
    change = np.divide(members - centre, centre, out=np.zeros_like(members), where=positive)
    with np.errstate(divide="ignore"):
        return float(np.where(positive, centre * (change - np.log1p(change)), members).sum())


def best_centre(counts: Vector, strength: float, members: Vector) -> Vector:
    """Return the centre m at the maximum of sum counts ln(p) - strength * sum_r KL(m || p_r) over m and the members p.

    Parameters
    ----------
    counts : float64 array (R, lines, cells), >= 0
        Expected counts of every member.
    strength : float, > 0
    members : float64 array (R, lines, cells)
        The current ones. Lines without any counts keep their centre.
    """
    best, mass = closest_centre(members), members[0].sum(axis=-1)
    pooled = counts.sum(axis=0)
    total = pooled.sum(axis=-1)
    told = total > 0.0
    best[told] = pooled[told] / total[told, None] * mass[told, None]  # the maximum for an infinite strength
    weak = total > 1e-16 * strength * mass  # and to the last bit for any other
    if weak.any():
        best[weak] = _from_pooled(best[weak], counts[:, weak], strength)
    return best


def _from_pooled(centre: Vector, counts: Vector, strength: float) -> Vector:
    """Return the centre of the M-step; the given one is that of an infinite strength.

    With k for the strength the best members for m are p_ra = (c_ra + k m_a) / sum. What that leaves of the objective is
    a concave function of m, which has its maximum where

        f_a(x_a) = sum_r ln(1 + c_ra exp(-x_a) / k) = nu   with x_a = ln m_a,   and   ln sum_a exp(x_a) = ln mass

    for one nu. f_a - nu and ln sum exp - ln mass are convex and >= 0 at the pooled counts with the smallest nu that may
    be. From there they stay so under Newton's method, which raises nu at every step and never passes the solution.
    (Ortega and Rheinboldt, Iterative Solution of Nonlinear Equations in Several Variables, 1970, section 13.3.)
    """
    real, mass = centre > 0.0, centre.sum(axis=-1, keepdims=True)
    x = np.log(np.where(real, centre, 1.0))
    with np.errstate(divide="ignore"):
        logs = np.where(real, np.log(counts) - math.log(strength), -np.inf)
    nu = np.logaddexp(0.0, np.log(counts.sum(axis=(0, -1)))[:, None] - math.log(strength) - np.log(mass))
    for _ in range(_STEPS):
        ratio, weights = logs - x, np.where(real, np.exp(x), 0.0)
        slope = np.where(real, np.exp(-np.logaddexp(0.0, -ratio)).sum(axis=0), 1.0)  # of -f
        above = np.where(real, np.logaddexp(0.0, ratio).sum(axis=0) - nu, 0.0)
        total = weights.sum(axis=-1, keepdims=True)
        share = weights / total / slope
        rise = ((share * above).sum(axis=-1, keepdims=True) + np.log(total / mass)) / share.sum(axis=-1, keepdims=True)
        step = np.where(real, (above - rise) / slope, 0.0)
        x, nu = x + step, nu + rise
        if np.abs(step).max() < _SETTLED:
            break
    weights = np.where(real, np.exp(x), 0.0)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True) * mass)
