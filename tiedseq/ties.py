"""Ties: the statement that several places of a parameter hold one value.

A tie is an array of labels shaped like the parameter; places with equal labels are one value. Two maps follow from it.
:meth:`Ties.expand` writes every value to its places and runs before a kernel; :meth:`Ties.pool` is its adjoint, sums
what the places of a value contributed, and runs after a kernel. For a probability the sum is the expected count that
the M-step needs, for a weight it is the gradient, so Baum-Welch and gradient descent share one class.

Ties know nothing of sums to one; that is :class:`tiedseq.simplex.Simplex`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Hashable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ArgumentError

Symmetry = Callable[[NDArray[Any]], Any]
"""A function that rearranges an array, possibly with a change of sign, and returns one of the same shape."""


_MOST = 2**56  # entries: in 16 bytes each, they are more than any address space holds


class Ties:
    """Which entries of an array are one value.

    Parameters
    ----------
    labels : array_like of hashables, of the shape of the parameter
        Equal labels are one value. ``None`` is an impossible entry, held at zero. Nested lists and tuples are axes, as
        in NumPy; labels that are tuples themselves need an array of dtype object.
    signs : array_like of +1 and -1, of the same shape, default None
        -1 where an entry is the negative of its value. None is +1 everywhere. The sign of an impossible entry does not
        matter.

    Attributes
    ----------
    shape : tuple of int
        The shape of the parameter.
    n_free : int
        The number of values, which is the rank of :meth:`expand`. (Sums to one take more away; see ``Simplex``.)
    names : tuple
        The label of each value. Integer labels are in ascending order, so that labels 0 .. n - 1 make
        ``expand(free) == free[labels]`` to the letter; all others are in the order of first appearance.
    labels : int array of `shape`
        For each entry the index of its value, -1 where it is zero.
    signs : int8 array of `shape`
        +1, or -1 where the entry is the negative of its value, 0 where it is zero.
    uses : int array of shape (n_free,)
        How many entries hold each value.

    Raises
    ------
    ArgumentError
        A label is not hashable or is NaN, the nesting is ragged, or signs= has another shape or holds anything else.

    Examples
    --------
    >>> ties = Ties([["match", "open", "open"], ["close", "extend", None]])
    >>> ties
    Ties(shape=(2, 3), n_free=4: 'match', 'open' x2, 'close', 'extend', and 1 zero)
    >>> ties.expand([0.9, 0.05, 0.4, 0.6])
    array([[0.9 , 0.05, 0.05],
           [0.4 , 0.6 , 0.  ]])
    >>> ties.pool([[1, 2, 3], [4, 5, 6]])
    array([1., 5., 4., 5.])
    >>> Ties(["edge", "middle", "edge"], signs=[1, 1, -1]).expand([0.7, 0.1])
    array([ 0.7,  0.1, -0.7])
    """

    shape: tuple[int, ...]
    labels: NDArray[np.intp]
    signs: NDArray[np.int8]
    names: tuple[Hashable, ...]
    n_free: int
    uses: NDArray[np.intp]

    def __init__(self, labels: Any, signs: Any = None) -> None:
        index, names = _index_labels(labels)
        given = np.ones(index.shape, np.int8) if signs is None else _check_array("signs", signs, index.shape)
        if not np.isin(given[index >= 0], (-1, 1)).all():
            raise ArgumentError(f"signs={signs!r} must hold +1 or -1 for every entry that has a label.")
        self._set(index, np.where(index < 0, 0, given).astype(np.int8), names)

    @classmethod
    def orbits(cls, shape: int | Sequence[int], *symmetries: Symmetry) -> Ties:
        """Tie all entries that the given symmetries carry onto each other.

        A parameter `w` with these ties fulfils ``symmetry(w) == w`` for each symmetry and whatever they generate
        together. A sign carries over, and an entry that is tied to its own negative is zero.

        Parameters
        ----------
        shape : int or sequence of int
            The shape of the parameter.
        *symmetries : callables
            Each takes an array of `shape` and returns it rearranged, e.g. ``lambda w: w[::-1]`` (palindromes) or
            ``lambda w: -w[::-1]`` (antisymmetric). They are applied to arrays of integers to find out what they do.

        Returns
        -------
        Ties
            Each value is the first entry of its orbit, in C order; `names` are 0 .. n_free - 1.

        Raises
        ------
        ArgumentError
            A function changes the shape or the values, drops or doubles an entry, or moves entries by their values.

        Examples
        --------
        >>> Ties.orbits(5, lambda w: w[::-1]).labels
        array([0, 1, 2, 1, 0])
        >>> Ties.orbits(3, lambda w: -w[::-1]).expand([0.7])
        array([ 0.7,  0. , -0.7])
        """
        shape = _check_shape(shape)
        check_size(shape)
        n = math.prod(shape)
        # Entry i and its negative are two nodes, i and n + i: a signed rearrangement of n entries is then a plain
        # permutation of 2 n nodes, and an entry is zero exactly if both its nodes fall into one orbit.
        orbit = np.arange(2 * n)
        moves = [_permutation(number, symmetry, shape, n) for number, symmetry in enumerate(symmetries, start=1)]
        while True:
            before = orbit
            for move in moves:
                orbit = np.minimum(orbit, orbit[move])  # a node's label is always a node of the same orbit,
                orbit = orbit[orbit]  # so following labels to their labels halves the way that is left
            if np.array_equal(orbit, before):
                break
        positive, negative = orbit[:n], orbit[n:]
        value = np.minimum(positive, negative)
        signs = np.sign(negative - positive).astype(np.int8)
        index = np.full(n, -1, dtype=np.intp)
        firsts, index[signs != 0] = np.unique(value[signs != 0], return_inverse=True)
        ties = cls.__new__(cls)
        ties._set(index.reshape(shape), signs.reshape(shape), tuple(range(len(firsts))))
        return ties

    def _set(self, index: NDArray[np.intp], signs: NDArray[np.int8], names: tuple[Hashable, ...]) -> None:
        self.shape, self.labels, self.signs, self.names, self.n_free = index.shape, index, signs, names, len(names)
        flat = index.ravel()
        self._slots = np.where(flat < 0, self.n_free, flat)  # zeros are pooled into a slot of their own, then dropped
        self._zero = np.flatnonzero(flat < 0) if (flat < 0).any() else None
        self._flip = signs.ravel() if (signs < 0).any() else None
        self.uses = np.bincount(self._slots, minlength=self.n_free + 1)[: self.n_free]
        for array in (self.labels, self.signs, self.uses):
            array.setflags(write=False)

    def expand(self, free: ArrayLike) -> NDArray[Any]:
        """Write each value to all its entries: ``free[labels]``, with signs and zeros.

        Parameters
        ----------
        free : array_like of shape (n_free,), any real dtype
            The values.

        Returns
        -------
        array of `shape`, of the dtype of `free`, but a signed one where there are signs; a new one at every call.

        Raises
        ------
        ArgumentError
            `free` has another shape, is not numeric, or has masked entries.
        """
        values = _check_array("free", free, (self.n_free,))
        if self.n_free == 0:
            return np.zeros(self.shape, dtype=values.dtype)
        full: NDArray[Any] = values.take(self._slots, mode="clip")
        if self._flip is not None:
            full = np.multiply(full, self._flip, out=full if full.dtype.kind in "fi" else None)
        if self._zero is not None:
            full[self._zero] = 0
        return full.reshape(self.shape)

    def pool(self, full: ArrayLike) -> NDArray[Any]:
        """Sum what the entries of each value contributed: the adjoint of :meth:`expand`.

        Parameters
        ----------
        full : array_like of `shape`, any real dtype
            Expected counts, or a gradient with respect to every entry.

        Returns
        -------
        array of shape (n_free,)
            float32 for float32, float64 for anything else; the sum itself is always taken in float64.

        Raises
        ------
        ArgumentError
            `full` has another shape, is not numeric, or has masked entries.
        """
        contributions = _check_array("full", full, self.shape)
        weights = contributions.ravel()
        if self._flip is not None:
            weights = weights * self._flip
        weights = weights.astype(np.float64, copy=False)
        free = np.bincount(self._slots, weights=weights, minlength=self.n_free + 1)[: self.n_free]
        return free.astype(np.float32) if contributions.dtype == np.float32 else free

    def __repr__(self) -> str:
        shown = [f"{name!r} x{n}" if n > 1 else repr(name) for name, n in zip(self.names[:8], self.uses, strict=False)]
        if self.n_free > 8:
            shown.append("...")
        if self._zero is not None:
            shown.append(("and " if shown else "") + f"{len(self._zero)} zero" + "s" * (len(self._zero) > 1))
        return f"Ties(shape={self.shape}, n_free={self.n_free}" + (": " if shown else "") + ", ".join(shown) + ")"


def _index_labels(labels: Any) -> tuple[NDArray[np.intp], tuple[Hashable, ...]]:
    """Return the index of each entry's value (-1 for None) and the values' names."""
    try:
        array = labels if isinstance(labels, np.ndarray) else np.asarray(labels, dtype=object)
    except ValueError as error:
        raise ArgumentError("labels= is ragged; give it the shape of the parameter, with None for zeros.") from error
    if array.dtype.kind in "iu":
        numbers, index = np.unique(array, return_inverse=True)
        return index.reshape(array.shape).astype(np.intp), tuple(numbers.tolist())
    entries = array.ravel().tolist()
    position: dict[Hashable, int] = {}
    try:
        for entry in entries:
            if entry is not None:
                position.setdefault(entry, len(position))
                if entry != entry:
                    raise ArgumentError("labels= holds NaN, which equals nothing; write None for an impossible entry.")
    except TypeError as error:
        raise ArgumentError(
            f"labels= holds {entry!r}, which cannot be compared with other labels; use strings or numbers, in an array "
            "that has the shape of the parameter."
        ) from error
    names = list(position)
    if all(isinstance(name, int | np.integer) for name in names):
        names = sorted(position, key=int)  # type: ignore[arg-type]
        position = {name: rank for rank, name in enumerate(names)}
    index = np.array([-1 if entry is None else position[entry] for entry in entries], dtype=np.intp)
    return index.reshape(array.shape), tuple(names)


def check_size(shape: Sequence[int]) -> None:
    """MemoryError for a shape with more entries than an array can have, of which NumPy says other things."""
    if math.prod(shape) > _MOST:
        entries = Decimal(math.prod(shape))  # which has room for 10**400, as float has not
        raise MemoryError(f"{entries:.3g} entries are more than an array can have")


def _check_shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    try:
        sizes = tuple(map(operator.index, [shape] if isinstance(shape, int | np.integer) else shape))
    except TypeError:
        sizes = (-1,)
    if any(size < 0 for size in sizes):
        raise ArgumentError(f"shape={shape!r} is not a shape; give a number of entries or a tuple of them.")
    return sizes


def _check_array(name: str, value: ArrayLike, shape: tuple[int, ...]) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ArgumentError(f"{name}= is ragged; it needs the shape {shape}.") from error
    if array.shape != shape:
        raise ArgumentError(f"{name}= has the shape {array.shape}; these ties need {shape}.")
    if array.dtype.kind not in "fiub":
        raise ArgumentError(f"{name}= has the dtype {array.dtype}; it needs real numbers.")
    if isinstance(value, np.ma.MaskedArray) and np.ma.getmaskarray(value).any():
        place = np.argwhere(np.ma.getmaskarray(value))[0].tolist()
        raise ArgumentError(f"{name}= is masked at {place}, so that there is no number; fill in what is missing.")
    return array


def _permutation(number: int, symmetry: Symmetry, shape: tuple[int, ...], n: int) -> NDArray[np.intp]:
    """Return the node (i, or n + i for its negative) that the symmetry brings to each of the 2 n nodes."""
    moved = _apply(number, symmetry, np.arange(1, n + 1), shape)
    source = np.abs(moved) - 1
    if not np.array_equal(np.sort(source), np.arange(n)):
        raise ArgumentError(
            f"Symmetry {number} does not rearrange an array of shape {shape}: it changes, drops or doubles entries. "
            "Give a function such as lambda w: w[::-1] that moves each entry to one place, with its sign or the other."
        )
    sign = np.sign(moved)
    # np.sort and its like look harmless on ascending numbers: try numbers that are out of order and of both signs.
    probe = np.arange(1, n + 1)[::-1] * np.where(np.arange(n) % 3 == 1, -1, 1)
    if not np.array_equal(_apply(number, symmetry, probe, shape), sign * probe[source]):
        raise ArgumentError(f"Symmetry {number} moves entries by their values; it must move them by their places.")
    return np.concatenate([source + n * (sign < 0), source + n * (sign > 0)])


def _apply(number: int, symmetry: Symmetry, values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    try:
        moved = np.asarray(symmetry(values.reshape(shape).copy()))
    except MemoryError:
        raise
    except Exception as error:
        raise ArgumentError(f"Symmetry {number} fails on an array of shape {shape}: {error}") from error
    if moved.shape != shape or moved.dtype.kind not in "fi":
        raise ArgumentError(
            f"Symmetry {number} turns an array of shape {shape} into one of shape {moved.shape} and dtype "
            f"{moved.dtype}; it must keep both."
        )
    return moved.ravel()
