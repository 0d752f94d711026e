"""Longer steps than those of expectation maximisation, which crawls where parameters compete.

An iteration of EM is a map x -> F(x) whose fixed point is sought. From the last few iterates Anderson's method finds
the combination whose residuals F(x) - x nearly cancel, and goes to the same combination of the F(x): the quasi-Newton
step of which EM's own is the first guess. A combination with weights that sum to one keeps whatever is linear: ties,
held values, sums to one. Only signs have to be looked after, and the likelihood: a step that loses is not taken, and
EM's plain one, which never loses, comes in its place. (Walker and Ni, SIAM J. Numer. Anal. 49:1715, 2011; for EM
Henderson and Varadhan, J. Comput. Graph. Stat. 28:834, 2019.)

Along a valley that is nearly flat and bends, what is left of the residuals when they cancel is noise, and Anderson's
step leads downhill. There the method of Broyden, Fletcher, Goldfarb and Shanno takes over, which starts from EM's step
too: its curvature is positive along every move, so that its step climbs. (For EM Lange, Stat. Sinica 5:1, 1995;
Jamshidian and Jennrich, J. R. Stat. Soc. B 59:569, 1997.)

Near the maximum EM's residual is (I - J) times the way that is left, and I - J is symmetric in the metric of the
complete data: the share of information that the hidden paths leave. In this metric the residual is the gradient, so
that moves and what they did to the residuals are all that BFGS wants to know. The eigenvalues of I - J within the span
of the last moves say how much longer the way to the maximum is than the residual, and what is still to be gained.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

DEPTH = 8  # past iterates that Anderson's step looks at: there are hardly more slow directions than that
REMEMBERED = 13  # past iterates that BFGS and the gain to come look at: some slow directions take that long to show
_NOTHING = 1e-16  # a probability of which the sum to one sees nothing
_KEPT = 0.1  # of a probability that EM's step would give it, the least that a longer step leaves
_FEW = 1e-4  # a probability that is nearly nothing
_RISES = 1.01  # what EM multiplies such a one by, at least, if it wants more of it
_MIGHT_RISE = 0.1  # how far it may want it to rise
_SINGULAR = 1e-8  # of the largest singular value: differences that say nothing new
_SHOWN = 1e-6  # the same, of moves whose curvature is looked at
_CURVED = 1e-6  # share of information along a move, below which BFGS takes it for rounding
_FLATTEST = 1e-4  # share of information of the slowest direction that is believed: less is rounding, or no maximum


def same_zeros(past: Sequence[tuple[Vector, Vector]]) -> list[tuple[Vector, Vector]]:
    """Return the last iterates, as far back as what EM's last step leaves at zero was there already, or as good as.

    Such values keep what EM's last step gives them. So no combination of these revives a zero, the way of a value that
    is at its end does not count as curvature, and one that is next to nothing does not shorten the steps of the others.

    Parameters
    ----------
    past : sequence of (values, values after EM's step), oldest first
    """
    plain = past[-1][1]
    gone = plain <= _NOTHING
    kept = [past[-1]]
    for values in reversed(past[:-1]):
        if max(float(side[gone].max(initial=0.0)) for side in values) > _NOTHING:
            break
        kept.append(values)
    return [(np.where(gone, plain, before), np.where(gone, plain, after)) for before, after in reversed(kept)]


def anderson_step(past: Sequence[tuple[Vector, Vector]]) -> Vector:
    """Return where Anderson's method goes after the last of some iterates.

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
    moves = np.diff(reached, axis=0)
    return _within(*past[-1], -mixing @ moves, moves, metric)


def bfgs_step(past: Sequence[tuple[Vector, Vector]], gradient: Vector) -> Vector:
    """Return where BFGS goes after the last of some iterates, by its two loops over moves and bends.

    Parameters
    ----------
    past : sequence of (values, values after EM's step), oldest first
    gradient : float64 array
        d objective / d value at the last values, each taken as free of the others.

    Returns
    -------
    float64 array
        As of :func:`anderson_step`.
    """
    values, residuals, metric = _in_metric(past, gradient)
    moves, bends = np.diff(values, axis=0), -np.diff(residuals, axis=0)
    curvatures = (moves * bends).sum(axis=1)
    curved = np.flatnonzero(curvatures > _CURVED * (moves * moves).sum(axis=1))
    way, shares = residuals[-1].copy(), np.zeros(len(moves))
    for k in curved[::-1]:
        shares[k] = moves[k] @ way / curvatures[k]
        way -= shares[k] * bends[k]
    for k in curved:
        way += (shares[k] - bends[k] @ way / curvatures[k]) * moves[k]
    spanned = np.concatenate([moves, bends]) / metric
    return _within(*past[-1], (way - residuals[-1]) / metric, spanned, metric)


def _in_metric(past: Sequence[tuple[Vector, Vector]], gradient: Vector) -> tuple[Vector, Vector, Vector]:
    """Return past values and EM's residuals in the metric of the complete data at the last, and that metric."""
    values, after = (np.array(side) for side in zip(*past, strict=True))
    # counts / values^2 is the information of complete data, and a count is value * gradient
    metric = np.sqrt(np.maximum(gradient, 0.0) / np.maximum(after[-1], 1e-12))
    metric = np.maximum(metric, 1e-12 * metric.max(initial=1.0))  # what is never used takes EM's step
    return values * metric, (after - values) * metric, metric


def _rises(values: Vector, plain: Vector) -> NDArray[np.bool_]:
    """Which values are nearly nothing, and EM raises them."""
    found: NDArray[np.bool_] = (plain < _FEW) & (plain > _RISES * values)
    return found


def _within(values: Vector, plain: Vector, move: Vector, spanned: Vector, metric: Vector) -> Vector:
    """Return EM's values and a move on from them, as far as all that is positive stays so.

    Nor does it take away what EM has just raised from nearly nothing: from a millionth of that it would be long before
    anybody saw it again.

    What the move would take beyond its end stops short of it, and the rest goes as near to where it wanted, in some
    metric, as the span of earlier moves lets it. Only what still goes too far is shortened as a whole.
    """
    _, sizes, axes = np.linalg.svd(spanned * metric, full_matrices=False)
    axes = axes[sizes > _SINGULAR * sizes.max(initial=0.0)] / metric
    least = np.where(_rises(values, plain), 0.0, (_KEPT - 1.0) * plain)
    turned, bound = move, np.zeros(len(move), bool)
    for _ in range(len(axes)):
        beyond = (turned < least - _NOTHING) & ~bound
        if not np.any(beyond):
            break
        bound |= beyond
        turned = move + np.linalg.lstsq(axes[:, bound].T, (least - move)[bound], rcond=_SINGULAR)[0] @ axes
    room = np.divide(least, turned, out=np.ones(len(move)), where=turned < least - _NOTHING)
    step: Vector = plain + np.maximum(float(room.min(initial=1.0)) * turned, least)
    return step


def rise_left(values: Vector, plain: Vector, gradient: Vector) -> float:
    """Return what values that are nearly nothing, and that EM raises, might still gain, in nats.

    What little they gain from one iterate to the next says nothing of that. They might rise to a tenth, as steeply as
    they begin.

    Parameters
    ----------
    values, plain : float64 arrays
        Probabilities, and what EM's step makes of them.
    gradient : float64 array
        d objective / d value at the values, each taken as free of the others.
    """
    rising = _rises(values, plain)
    steepness = gradient[rising] * (1.0 - values[rising] / plain[rising])
    return _MIGHT_RISE * float(steepness.max(initial=0.0))


def gain_left(past: Sequence[tuple[Vector, Vector]], gradient: Vector) -> float:
    """Return how much the objective is below its maximum, in nats, as far as some iterates show; infinite for two.

    Parameters
    ----------
    past : sequence of (values, values after EM's step), oldest first
    gradient : float64 array
        d objective / d value at the last values, each taken as free of the others.
    """
    if len(past) < 3:
        return np.inf
    values, residuals, _ = _in_metric(past, gradient)
    moves = np.diff(values, axis=0)
    left, sizes, axes = np.linalg.svd(moves, full_matrices=False)
    shown = sizes > _SHOWN * sizes[0]
    bends = axes[shown] @ -np.diff(residuals, axis=0).T @ (left[:, shown] / sizes[shown])
    shares, directions = np.linalg.eigh(0.5 * (bends + bends.T))
    shares = np.maximum(shares, _FLATTEST)
    along = directions.T @ axes[shown] @ residuals[-1]
    beside = max(0.0, float(residuals[-1] @ residuals[-1] - along @ along))
    # what lies beside all of these moves may be as slow as the slowest of them
    return 0.5 * float(along @ (along / shares)) + 0.5 * beside / float(shares.min(initial=1.0))
