"""What a log-likelihood at its maximum is worth: criteria to choose models by, and standard errors from how it bends.

The gradient is exact; its differences along every free direction make the matrix of second derivatives. Parameters that
must sum to one move in the directions that keep the sums, so their covariances are those of the constrained maximum.
(Louis, J. R. Stat. Soc. B 44:226, 1982; for constraints Aitchison and Silvey, Ann. Math. Stat. 29:813, 1958.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import ModelError

Vector = NDArray[np.float64]

BORDER = 1e-8  # a probability at or below it counts as zero: it has no standard error
_STEP = 1e-3  # of a difference, in units of what a direction can move or of a parameter's scale
_SINGULAR = 1e-9  # of the largest eigenvalue


class Moves(NamedTuple):
    """How n values can move without leaving what is allowed."""

    directions: Vector  # (n, k): independent moves that keep all constraints
    reach: Vector  # (k,): how far, to either side, without leaving what is allowed or changing the curvature
    names: list[str]  # (n,): what the values are called in messages


def errors_of(gradient: Callable[[Vector], Vector], values: Vector, moves: Moves) -> Any:
    """Return the standard error of every value.

    Parameters
    ----------
    gradient : function of values (n,) to d ln P / d value (n,)
    values : float64 array (n,)
        At a maximum.
    moves : Moves

    Returns
    -------
    float64 masked array (n,)
        Masked where no direction moves a value.

    Raises
    ------
    ModelError
        As `standard_deviations` does.
    """
    found = standard_deviations(gradient, values, *moves)
    return np.ma.masked_array(found, ~(np.abs(moves.directions).max(axis=1, initial=0.0) > 0.0))


def at_places(errors: Any, places: NDArray[np.intp]) -> Any:
    """Return the errors of the values at `places`, -1 for none: a float or None for one place, else a masked array."""
    masked = (places < 0) | np.ma.getmaskarray(errors)[places]
    if places.ndim == 0:
        return None if masked else float(errors.data[places])
    return np.ma.masked_array(np.where(masked, 0.0, errors.data[places]), masked)


def standard_deviations(
    gradient: Callable[[Vector], Vector], values: Vector, directions: Vector, reach: Vector, names: list[str]
) -> Vector:
    """Return the standard error of every value.

    Parameters
    ----------
    gradient : function of values (n,) to d ln P / d value (n,)
    values : float64 array (n,)
        At a maximum.
    directions : float64 array (n, k)
        Independent moves that keep all constraints.
    reach : float64 array (k,)
        How far each may move from `values`, to either side, without leaving what is allowed or changing the curvature.
    names : list of str
        What the values are called in messages.

    Returns
    -------
    float64 array (n,)
        0 for values that no direction moves.

    Raises
    ------
    ModelError
        The log-likelihood does not bend along some direction: the data do not tell its parameters apart, or this is no
        maximum.
    """
    if not directions.shape[1]:
        return np.zeros(len(values))
    bends = []
    for move, far in zip(directions.T, reach, strict=True):
        step = _STEP * far
        bends.append(directions.T @ (gradient(values + step * move) - gradient(values - step * move)) / (2.0 * step))
    information = -np.array(bends)
    information = 0.5 * (information + information.T)
    # in units in which every direction bends alike, so that a small eigenvalue means something
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(information)), 1e-300))
    sizes, axes = np.linalg.eigh(information * np.outer(scale, scale))
    if not sizes[0] > _SINGULAR * sizes[-1]:
        blame = np.abs(directions @ (scale * axes[:, 0]))
        worst = [names[k] for k in np.argsort(-blame)[:4] if blame[k] > 0.1 * blame.max()]
        raise ModelError(
            f"There are no standard errors: along {', '.join(map(repr, worst))} the log-likelihood has no maximum "
            "here. Fit to a smaller tol first; if this stays, the data do not determine these parameters: "
            "tie or hold some."
        )
    roots = directions @ (scale[:, None] * axes / np.sqrt(sizes))
    return np.asarray(np.sqrt((roots * roots).sum(axis=1)))


def aic(n_free: int, log_likelihood: float) -> float:
    """Return Akaike's criterion, 2 k - 2 ln P: smaller is better. (Akaike, IEEE Trans. Autom. Control 19:716, 1974.)

    >>> aic(2, -10.0)
    24.0
    """
    return 2.0 * n_free - 2.0 * log_likelihood


def bic(n_free: int, log_likelihood: float, n: int) -> float:
    """Return Schwarz's criterion, k ln n - 2 ln P, of n observations. (Schwarz, Ann. Stat. 6:461, 1978.)

    >>> bic(2, -10.0, 1)
    20.0
    """
    return n_free * math.log(n) - 2.0 * log_likelihood


def reach_of(values: Vector, directions: Vector) -> Vector:
    """Return how far probabilities may move along every direction, to either side, before one of them is zero."""
    with np.errstate(divide="ignore"):
        limits = np.where(np.abs(directions) > 1e-12, values[:, None] / np.maximum(np.abs(directions), 1e-300), np.inf)
    return np.asarray(limits.min(axis=0, initial=np.inf))
