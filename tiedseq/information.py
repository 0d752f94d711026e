"""Standard errors from the observed information: how sharply the log-likelihood bends at its maximum.

The gradient is exact; its differences along every free direction make the matrix of second derivatives. Parameters that
must sum to one move in the directions that keep the sums, so their covariances are those of the constrained maximum.
(Louis, J. R. Stat. Soc. B 44:226, 1982; for constraints Aitchison and Silvey, Ann. Math. Stat. 29:813, 1958.)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .errors import ModelError

Vector = NDArray[np.float64]

BORDER = 1e-8  # a probability at or below it counts as zero: it has no standard error
_STEP = 1e-3  # of a difference, in units of what a direction can move or of a parameter's scale
_SINGULAR = 1e-9  # of the largest eigenvalue


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


def reach_of(values: Vector, directions: Vector) -> Vector:
    """Return how far probabilities may move along every direction, to either side, before one of them is zero."""
    with np.errstate(divide="ignore"):
        limits = np.where(np.abs(directions) > 1e-12, values[:, None] / np.maximum(np.abs(directions), 1e-300), np.inf)
    return np.asarray(limits.min(axis=0, initial=np.inf))
