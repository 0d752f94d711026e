"""Longer steps than those of expectation maximisation, which crawls where parameters compete.

An iteration of EM is a map x -> F(x) whose fixed point is sought. From the last few iterates Anderson's method finds
the combination whose residuals F(x) - x nearly cancel, and goes to the same combination of the F(x): the quasi-Newton
step of which EM's own is the first guess. A combination with weights that sum to one keeps whatever is linear: ties,
held values, sums to one. Only signs have to be looked after, and the likelihood: a step that loses is not taken, and
EM's plain one, which never loses, comes in its place. (Walker and Ni, SIAM J. Numer. Anal. 49:1715, 2011; for EM
Henderson and Varadhan, J. Comput. Graph. Stat. 28:834, 2019.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

DEPTH = 8  # past iterates that a step looks at: there are hardly more slow directions than that
_KEPT = 0.1  # of a probability that EM's step would give it, the least that a longer step leaves
_SINGULAR = 1e-8  # of the largest singular value: differences that say nothing new


def long_step(past: Sequence[tuple[Vector, Vector]]) -> Vector:
    """Return where to go after the last of some iterates.

    Parameters
    ----------
    past : sequence of (values, values after EM's step), oldest first
        Probabilities, all of which keep the same linear constraints.

    Returns
    -------
    float64 array
        Values on the same constraints, positive where EM's are; EM's own if there is nothing to look back on.
    """
    plain = past[-1][1]
    if len(past) < 2:
        return plain
    # In this metric a change counts by what it does to the likelihood: that bends by n / x along a probability x.
    metric = 1.0 / np.sqrt(np.maximum(plain, 1e-12))
    residuals = np.array([(after - before) * metric for before, after in past])
    reached = np.array([after for _, after in past])
    mixing = np.linalg.lstsq(np.diff(residuals, axis=0).T, residuals[-1], rcond=_SINGULAR)[0]
    move = -mixing @ np.diff(reached, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(move < 0.0, (1.0 - _KEPT) * plain / -move, np.inf)
    step: Vector = plain + min(1.0, float(room.min(initial=np.inf))) * move
    return step
