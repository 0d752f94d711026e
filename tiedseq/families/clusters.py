"""Clusters of observations, from which the states of an HMM set out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tiedseq.families.family import Floats

_ROWS = 20_000  # of the data that are looked at: starting values need no more
_ROUNDS = 20


def clusters(X: Floats, count: int, generator: np.random.Generator) -> tuple[NDArray[np.intp], Floats]:
    """Return rows of X, drawn if there are many, and which of `count` clusters each belongs to.

    Seeds are drawn far from each other (k-means++; Arthur and Vassilvitskii, SODA 2007), then moved to the means of
    what is nearest to them (Lloyd, IEEE Trans. Inf. Theory 28:129, 1982), in units of each dimension's standard
    deviation. Clusters are in ascending order of the first dimension. There may be empty ones, where values are few.

    Parameters
    ----------
    X : float64 array (N, dims), N >= 1
    count : int
    generator : numpy.random.Generator

    Returns
    -------
    rows : int array (n,)
    members : float64 array (n, count)
        1 where a row is in a cluster, 0 elsewhere: a posterior without doubt.
    """
    rows = np.arange(len(X))
    if len(X) > _ROWS:
        rows = np.sort(generator.choice(len(X), _ROWS, replace=False))
    spread = X[rows].std(axis=0)
    points = (X[rows] - X[rows].mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    centres = _seeds(points, count, generator)
    for _ in range(_ROUNDS):
        members = _nearest(points, centres)
        sizes = members.sum(axis=0)[:, None]
        moved = np.where(sizes > 0.0, members.T @ points / np.maximum(sizes, 1.0), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return rows, _nearest(points, centres[np.argsort(centres[:, 0], kind="stable")])


def _seeds(points: Floats, count: int, generator: np.random.Generator) -> Floats:
    """Points, each drawn with a probability proportional to the squared distance from the seeds before it."""
    seeds = [points[generator.integers(len(points))]]
    distance = np.full(len(points), np.inf)
    while len(seeds) < count:
        distance = np.minimum(distance, ((points - seeds[-1]) ** 2).sum(axis=1))
        total = distance.sum()
        drawn = generator.choice(len(points), p=distance / total if total > 0.0 else None)
        seeds.append(points[drawn])
    return np.array(seeds)


def _nearest(points: Floats, centres: Floats) -> Floats:
    """A row for each point with 1 at the centre nearest to it; the first one of several."""
    closeness = points @ centres.T - 0.5 * (centres * centres).sum(axis=1)
    return np.eye(len(centres))[closeness.argmax(axis=1)]
