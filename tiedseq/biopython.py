"""Columns from and to `Bio.Align.Alignment`, and what a sequence of any accepted type is called and reads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .alphabet import Alphabet, SequenceLike
from .columns import path_corners
from .errors import ArgumentError


def text_of(sequence: SequenceLike, alphabet: Alphabet) -> str:
    """The letters of a sequence as text, case kept; codes are decoded."""
    if isinstance(sequence, str):
        return sequence
    inner: Any = getattr(sequence, "seq", getattr(sequence, "sequence", sequence))
    if isinstance(inner, str):
        return inner
    if isinstance(inner, np.ndarray):
        return alphabet.decode(inner)
    return bytes(inner).decode("ascii")


def alignment_of(target: str, query: str, columns: NDArray[np.int64], reverse: bool) -> Any:
    """A Bio.Align.Alignment of columns; with `reverse` they are positions on the query's reverse complement."""
    from Bio.Align import Alignment
    from Bio.Seq import Seq

    coordinates = path_corners(columns)
    if reverse:
        coordinates[1] = len(query) - coordinates[1]
    return Alignment([Seq(target), Seq(query)], coordinates)


def columns_of(alignment: Any, n: int, m: int) -> tuple[NDArray[np.int64], bool]:
    """The columns of an alignment of sequences of n and m letters, and whether the query is reversed in it.

    Accepts a Bio.Align.Alignment, an AlignmentResult, or an array (2, n_columns) of positions with -1 for gaps. On a
    reversed query the columns are positions on its reverse complement.
    """
    if isinstance(alignment, np.ndarray):
        if not np.issubdtype(alignment.dtype, np.integer):
            raise ArgumentError(f"the alignment's columns must be an array of integers, not of {alignment.dtype}")
        columns, reverse = alignment.astype(np.int64), False
    else:
        alignment = getattr(alignment, "alignment", alignment)
        if not hasattr(alignment, "indices"):
            raise ArgumentError(
                f"alignment must be a Bio.Align.Alignment, a result of align(), or an array of columns, not "
                f"{type(alignment).__name__}"
            )
        columns = np.array(alignment.indices, np.int64)
        reverse = bool(alignment.coordinates[1, -1] < alignment.coordinates[1, 0])
        if reverse:
            columns[1, columns[1] >= 0] = m - 1 - columns[1, columns[1] >= 0]
    if columns.ndim != 2 or columns.shape[0] != 2:
        raise ArgumentError(f"an alignment of two sequences is needed, not an array of shape {columns.shape}")
    for name, row, length in (("target", columns[0], n), ("query", columns[1], m)):
        present = row[row >= 0]
        if present.size and (present[-1] >= length or np.any(np.diff(present) != 1)):
            raise ArgumentError(
                f"the alignment's {name} positions must be consecutive and below the {name}'s length {length}, "
                f"but run from {present[0]} to {present[-1]} over {present.size} columns"
            )
    if np.any((columns < 0).all(axis=0)):
        raise ArgumentError("the alignment holds a column of two gaps; take it out")
    return columns, reverse
