"""The loss of tied weights as a section through that of free ones.

Tied weights are w = P v, with the free values v. So the tied loss is the free loss on a subspace, its gradient is P'g,
and its Hessian P'HP, of the free gradient g and the free Hessian H at the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tiedseq.arrays import as_real
from tiedseq.errors import ArgumentError, ResourceError
from tiedseq.options import checked_weight
from tiedseq.ties import Ties

from .network import Sequential, check_network

Array = NDArray[Any]


def tied_subspace(of: Ties | Sequential) -> Array:
    """Return P, whose columns span the weights that ties allow.

    Parameters
    ----------
    of : Ties or Sequential
        Of a network: all weights one after the other in the order of `names`, each in C order.

    Returns
    -------
    float64 array (entries, free values)
        P @ free is what `Ties.expand` writes. Its columns are orthogonal, with the number of uses as squared length.

    Raises
    ------
    ResourceError
        The matrix does not fit in memory.

    Examples
    --------
    >>> import tiedseq as ts
    >>> from tiedseq import nn
    >>> nn.tied_subspace(ts.Ties.orbits(3, lambda w: w[::-1]))
    array([[1., 0.],
           [0., 1.],
           [1., 0.]])
    """
    if not isinstance(of, Ties):
        check_network(of, "of", " or ts.Ties")
    every = [of] if isinstance(of, Ties) else [weight.ties for weight in of.weights]
    shape = (sum(ties.labels.size for ties in every), sum(ties.n_free for ties in every))
    try:
        matrix = np.zeros(shape)
    except MemoryError as error:
        raise ResourceError(
            f"The matrix of {shape[0]} entries and {shape[1]} free values does not fit in memory: {error}; use "
            "Ties.expand and Ties.pool, which do the same without it."
        ) from error
    row = column = 0
    for ties in every:
        used = np.flatnonzero(ties.labels.ravel() >= 0)
        matrix[row + used, column + ties.labels.ravel()[used]] = ties.signs.ravel()[used]
        row, column = row + ties.labels.size, column + ties.n_free
    return matrix


def projected_gradient(subspace: Array, gradient: ArrayLike) -> Array:
    """Return P'g, the gradient in the tied values.

    Parameters
    ----------
    subspace : array (entries, free values)
        From `tied_subspace`.
    gradient : array_like (entries,)
        Of the free weights.

    Examples
    --------
    >>> import tiedseq as ts
    >>> from tiedseq import nn
    >>> palindromes = nn.tied_subspace(ts.Ties.orbits(3, lambda w: w[::-1]))
    >>> nn.projected_gradient(palindromes, [1, 2, 3])
    array([4., 2.])
    """
    spanned = _matrix(subspace)
    return spanned.T @ _checked("gradient", gradient, len(spanned), 1)


def projected_hessian(subspace: Array, hessian: ArrayLike) -> Array:
    """Return P'HP, the Hessian in the tied values; arguments as in `projected_gradient`, `hessian` (entries, entries).

    Examples
    --------
    >>> import numpy as np
    >>> import tiedseq as ts
    >>> from tiedseq import nn
    >>> palindromes = nn.tied_subspace(ts.Ties.orbits(3, lambda w: w[::-1]))
    >>> nn.projected_hessian(palindromes, np.eye(3))
    array([[2., 0.],
           [0., 1.]])
    """
    spanned = _matrix(subspace)
    return spanned.T @ _checked("hessian", hessian, len(spanned), 2) @ spanned


def hessian_of(gradient: Callable[[Array], Array], values: ArrayLike, step: float = 1e-4) -> Array:
    """Return the Hessian by central differences of an exact gradient.

    Parameters
    ----------
    gradient : function
        Takes values (n,), float64, and returns the gradient (n,) there.
    values : array_like (n,)
        Where.
    step : float, default 1e-4
        Of the differences. The error is of the order of its square.

    Returns
    -------
    float64 array (n, n), symmetric

    Raises
    ------
    ArgumentError
        Values or a gradient that are not finite, or of another shape.

    Examples
    --------
    >>> from tiedseq import nn
    >>> nn.hessian_of(lambda v: v**2, [1.0, 2.0]).round(6)
    array([[2., 0.],
           [0., 4.]])
    """
    if not callable(gradient):
        raise ArgumentError(f"gradient={gradient!r} cannot be called; give a function of the values.")
    if not checked_weight("step", step):
        raise ArgumentError(f"step={step!r} must be more than 0, or there is no difference.")
    start = _numbers("values", values)
    if start.ndim != 1:
        raise ArgumentError(f"values= has the shape {start.shape}; give the free values, (n,).")
    rows = []
    for number in range(start.size):
        move = np.zeros_like(start)
        move[number] = step
        ahead, behind = (_checked("gradient", gradient(start + sign * move), start.size, 1) for sign in (1, -1))
        rows.append((ahead - behind) / (2 * step))
    matrix = np.array(rows, np.float64).reshape(start.size, start.size)
    return (matrix + matrix.T) / 2


def _numbers(name: str, given: ArrayLike) -> Array:
    """Numbers as float64; ArgumentError for what are none, or not finite."""
    try:
        found = as_real(given, np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name}= must hold numbers: {error}.") from error
    if not np.isfinite(found).all():
        raise ArgumentError(f"{name}= holds numbers that are not finite; go where the loss is.")
    return found


def _matrix(subspace: Array) -> Array:
    matrix = _numbers("subspace", subspace)
    if matrix.ndim != 2:
        raise ArgumentError(f"subspace= has the shape {matrix.shape}; give what nn.tied_subspace returns.")
    return matrix


def _checked(name: str, given: ArrayLike, count: int, axes: int) -> Array:
    array, expected = _numbers(name, given), (count,) * axes
    if array.shape != expected:
        raise ArgumentError(f"{name}= has the shape {array.shape}; for {count} entries it must be {expected}.")
    return array
