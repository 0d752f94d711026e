"""What training minimises: losses of scores, with their exact gradients.

A loss takes scores (..., K), targets and weights (...), and returns the sum of weight * loss over all places and its
gradient in the scores. A place is a sequence, or a position of one; what does not count, such as an unknown label or
padding, has weight zero. Who trains divides by the weights, and so has a weighted mean over places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Loss = Callable[[Array, Array, Array], tuple[float, Array]]


def logistic(scores: Array, targets: Array, weights: Array) -> tuple[float, Array]:
    """-ln P(target) of two classes from one score a place, s = ln P(1) - ln P(0).

    Parameters
    ----------
    scores : float (..., 1)
    targets : int (...)
        0 or 1.
    weights : float64 (...)

    Examples
    --------
    >>> value, gradient = logistic(np.array([[0.0], [-1e30]]), np.array([1, 0]), np.ones(2))
    >>> round(value, 6), gradient.ravel()
    (0.693147, array([-0.5,  0. ]))
    """
    signs = 1.0 - 2.0 * targets
    against = signs * scores[..., 0].astype(np.float64)  # how much speaks against the target
    losses = np.maximum(against, 0.0) + np.log1p(np.exp(-np.abs(against)))
    slopes = weights * signs * (0.5 + 0.5 * np.tanh(0.5 * against))
    return _total(losses, weights), slopes[..., None].astype(scores.dtype)


def cross_entropy(scores: Array, targets: Array, weights: Array) -> tuple[float, Array]:
    """-ln P(target) of K classes, P = softmax of K scores a place.

    Parameters
    ----------
    scores : float (..., K)
    targets : int (...)
        0 to K - 1.
    weights : float64 (...)

    Examples
    --------
    >>> value, gradient = cross_entropy(np.array([[0.0, 0.0], [1e30, 0.0]]), np.array([1, 0]), np.ones(2))
    >>> round(value, 6), gradient.tolist()
    (0.693147, [[0.5, -0.5], [0.0, 0.0]])
    """
    exact = scores.astype(np.float64)
    below = exact - exact.max(axis=-1, keepdims=True)
    logs = below - np.log(np.exp(below).sum(axis=-1, keepdims=True))
    target = np.asarray(targets)[..., None]
    gradient = np.exp(logs)
    np.put_along_axis(gradient, target, np.take_along_axis(gradient, target, -1) - 1.0, -1)
    losses = -np.take_along_axis(logs, target, -1)[..., 0]
    return _total(losses, weights), (gradient * weights[..., None]).astype(scores.dtype)


def squared_error(scores: Array, targets: Array, weights: Array) -> tuple[float, Array]:
    """The mean over a place's K outputs of (score - target) ** 2.

    Parameters
    ----------
    scores, targets : float (..., K)
    weights : float64 (...)

    Examples
    --------
    >>> squared_error(np.array([[3.0, 0.0]]), np.array([[1.0, 0.0]]), np.ones(1))
    (2.0, array([[2., 0.]]))
    """
    off = scores.astype(np.float64) - targets
    gradient = (2.0 / off.shape[-1]) * off * weights[..., None]
    return _total((off * off).mean(axis=-1), weights), gradient.astype(scores.dtype)


def contrastive(scores: Array, targets: Array, weights: Array, margin: float = 1.0) -> tuple[float, Array]:
    """D ** 2 / 2 of pairs that are the same, max(0, margin - D) ** 2 / 2 of others (Hadsell et al., CVPR 2006).

    D is the length of the scores, the difference of two points. At D = 0, where pairs of others have no gradient, it is
    taken as zero.

    Parameters
    ----------
    scores : float (..., K)
    targets : int (...)
        1 for the same, 0 for others.
    weights : float64 (...)
    margin : float, default 1.0
        The distance beyond which others do not count.

    Examples
    --------
    >>> value, gradient = contrastive(np.array([[0.0, 2.0], [0.5, 0.0]]), np.array([1, 0]), np.ones(2))
    >>> value, gradient.tolist()
    (2.125, [[0.0, 2.0], [-0.5, -0.0]])
    """
    off = scores.astype(np.float64)
    distances = np.sqrt((off * off).sum(axis=-1))
    short = np.maximum(margin - distances, 0.0)
    same = np.asarray(targets) == 1
    losses = 0.5 * np.where(same, distances, short) ** 2
    slopes = np.where(same, 1.0, -short / np.where(distances > 0.0, distances, 1.0))
    return _total(losses, weights), ((weights * slopes)[..., None] * off).astype(scores.dtype)


def probabilities(scores: Array) -> Array:
    """Return P of every class, float64 (..., max(K, 2)): the softmax of K scores, or the logistic function of one."""
    exact = scores.astype(np.float64)
    if exact.shape[-1] == 1:
        exact = np.concatenate([np.zeros_like(exact), exact], axis=-1)
    raised = np.exp(exact - exact.max(axis=-1, keepdims=True))
    found: Array = raised / raised.sum(axis=-1, keepdims=True)
    return found


def _total(losses: Array, weights: Array) -> float:
    """Weighted sum; what has no weight does not count even where its loss is infinite."""
    counts = weights > 0.0
    return float((losses[counts] * weights[counts]).sum())
