"""Tables over words: one axis for each letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tiedseq.errors import ArgumentError

Vector = NDArray[np.float64]


def reverse_complement(table: ArrayLike, involution: Sequence[int]) -> NDArray[Any]:
    """Return a table over words as it reads from the other strand: the entry of a word is that of its reverse complement.

    Parameters
    ----------
    table : array_like of shape (n_letters,) * n
        One axis for each letter of a word.
    involution : sequence of int
        The complement of each letter.

    Returns
    -------
    array of the same shape and dtype

    Raises
    ------
    ArgumentError
        `involution` is not one, or has not the length of every axis of `table`.

    Examples
    --------
    >>> reverse_complement([[1, 2], [3, 4]], [1, 0])
    array([[4, 2],
           [3, 1]])
    """
    array = np.asarray(table)
    check_words("table", array)
    complement = _checked_involution(involution, array.shape[0])
    return np.array(array.transpose()[np.ix_(*[complement] * array.ndim)])


def marginal(joint: ArrayLike, order: int) -> Vector:
    """Return the probabilities of shorter words, of order + 1 letters, from those of longer ones.

    Parameters
    ----------
    joint : array_like of shape (n_letters,) * n
        A balanced table of probabilities of words.
    order : int
        0 gives the letters, n - 1 the table itself.

    Returns
    -------
    float64 array of shape (n_letters,) * (order + 1)
        Symmetric to the last bit if `joint` is: the average of what the first and the last letters of words give, in
        sums that do not depend on the order of their terms.

    Raises
    ------
    ArgumentError
        `order` is not between 0 and n - 1, or `joint` is not a table of words.

    Examples
    --------
    >>> marginal([[0.3, 0.1], [0.1, 0.5]], 0)
    array([0.4, 0.6])
    """
    array = np.asarray(joint, dtype=np.float64)
    check_words("joint", array)
    if not 0 <= order < array.ndim:
        raise ArgumentError(
            f"order= is {order}; words of {array.ndim} letters have marginals of order 0 to {array.ndim - 1}."
        )
    shape = array.shape[: order + 1]
    n_words = int(np.prod(shape))
    first = np.sort(array.reshape(n_words, -1), axis=1).sum(axis=1)
    last = np.sort(array.reshape(-1, n_words), axis=0).sum(axis=0)
    return (0.5 * (first + last)).reshape(shape)


def conditional(joint: ArrayLike, otherwise: ArrayLike | None = None) -> Vector:
    """Return P(last letter | letters before it) from the probabilities of words.

    Parameters
    ----------
    joint : array_like of shape (n_letters,) * n
        Probabilities or weights of words.
    otherwise : array_like of the same shape, default None
        Conditional probabilities after contexts of probability zero, where `joint` leaves them open. By default all
        letters are equally likely there.

    Returns
    -------
    float64 array of the same shape
        Sums to one over the last axis.

    Raises
    ------
    ArgumentError
        `joint` is not a table of words, or `otherwise` has another shape.

    Examples
    --------
    >>> conditional([[0.3, 0.1], [0.0, 0.0]])
    array([[0.75, 0.25],
           [0.5 , 0.5 ]])
    """
    array = np.asarray(joint, dtype=np.float64)
    check_words("joint", array)
    total = array.sum(axis=-1, keepdims=True)
    known = total > 0.0
    rest = np.full(array.shape, 1.0 / array.shape[-1]) if otherwise is None else np.asarray(otherwise, dtype=np.float64)
    if rest.shape != array.shape:
        raise ArgumentError(f"otherwise= has the shape {rest.shape}; it needs that of joint=, {array.shape}.")
    return np.where(known, array / np.where(known, total, 1.0), rest)


def check_words(name: str, table: NDArray[Any]) -> None:
    """Raise ArgumentError unless all axes of a table have the same length, the number of letters."""
    if table.ndim == 0 or table.size == 0 or len(set(table.shape)) > 1:
        raise ArgumentError(
            f"{name}= has the shape {table.shape}; a table over words has one axis for each letter of a word, all as long as "
            "the alphabet."
        )


def _checked_involution(involution: Sequence[int], n_letters: int) -> NDArray[np.intp]:
    complement = np.asarray(involution)
    good = complement.shape == (n_letters,) and complement.dtype.kind in "iu"
    if not good or not np.array_equal(np.sort(complement), np.arange(n_letters)):
        raise ArgumentError(
            f"involution= is {involution}; it must hold each of the {n_letters} letters, 0 to {n_letters - 1}, once."
        )
    astray = np.flatnonzero(complement[complement] != np.arange(n_letters))
    if len(astray):
        letter = int(astray[0])
        raise ArgumentError(
            f"involution= takes {letter} to {complement[letter]} and that to {complement[complement[letter]]}; the complement of the "
            "complement must be the letter itself."
        )
    return complement.astype(np.intp)
