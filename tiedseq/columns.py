"""Arithmetic on the columns of an alignment: spans, corners, CIGAR runs, digits.

Columns are int64 (2, n_columns): 0-based positions on target and query, -1 for a gap; the positions of a row that are
not gaps are consecutive.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def span_of(row: Integers) -> tuple[int, int]:
    """The part of a sequence that a row of columns covers, half-open; (0, 0) if the row is all gaps.

    >>> span_of(np.array([-1, 4, -1, 5]))
    (4, 6)
    """
    present = row[row >= 0]
    return (int(present[0]), int(present[-1]) + 1) if present.size else (0, 0)


def path_corners(columns: Integers) -> Integers:
    """The start, the turns and the end of the path through the columns: Biopython's coordinates, int64 (2, n_corners).

    >>> path_corners(np.array([[5, 6, 7, 8], [0, -1, -1, 1]])).tolist()
    [[5, 6, 8, 9], [0, 1, 1, 2]]
    """
    present = columns >= 0
    n_columns = columns.shape[1]
    turns = np.flatnonzero((present[:, 1:] != present[:, :-1]).any(axis=0)) + 1
    corners = np.concatenate([[0], turns, [n_columns]]).astype(np.int64)
    walked = np.concatenate([np.zeros((2, 1), np.int64), np.cumsum(present, axis=1)], axis=1)
    starts = np.array([[span_of(row)[0]] for row in columns])
    return np.asarray(walked[:, corners] + starts, np.int64)


def take_apart(columns: Integers, rejected: npt.NDArray[np.bool_]) -> tuple[Integers, Integers]:
    """The order of columns after the `rejected` residue columns are un-aligned: an insertion, then a deletion.

    Returns, for every new column, the old one that it comes from, and the row (0 target, 1 query) that turns into a gap
    in it, -1 if the column stays as it is. A rejected column appears twice, once for each of its letters. Gap columns
    between the same two kept residue columns are sorted in, so that every run is one insertion and one deletion. The
    runs before the first and after the last kept column are left out if they hold a rejected column.

    >>> order, row = take_apart(np.array([[0, 1, 2, 3], [0, 1, 2, 3]]), np.array([True, False, True, False]))
    >>> order.tolist(), row.tolist()
    ([1, 2, 2, 3], [-1, 0, 1, -1])
    """
    kept = (columns >= 0).all(axis=0) & ~rejected
    run = np.cumsum(kept)  # run r: the r-th kept column, and all columns from it to the next kept one
    n_runs = int(run[-1]) + 1
    broken = np.bincount(run, rejected, n_runs) > 0
    apart = broken[run] & ~kept
    lost = apart & ((run == 0) | (run == n_runs - 1))
    whole = np.flatnonzero(~apart)
    inserted = np.flatnonzero(apart & ~lost & (columns[1] >= 0))
    deleted = np.flatnonzero(apart & ~lost & (columns[0] >= 0))
    order = np.concatenate([whole, inserted, deleted])
    row = np.repeat([-1, 0, 1], [whole.size, inserted.size, deleted.size])
    rearranged = np.lexsort((order, row, run[order]))  # in every run: columns that stay, insertions, deletions
    return order[rearranged], row[rearranged]


def run_lengths(operations: npt.NDArray[np.uint8]) -> str:
    """A CIGAR from the operation of every column.

    >>> run_lengths(np.frombuffer(b"==XII=", np.uint8))
    '2=1X2I1='
    """
    if operations.size == 0:
        return ""
    starts = np.flatnonzero(np.concatenate([[True], operations[1:] != operations[:-1]]))
    lengths = np.diff(starts, append=operations.size)
    return "".join(f"{n}{chr(op)}" for n, op in zip(lengths.tolist(), operations[starts].tolist(), strict=True))


def confidence_digits(confidence: Floats) -> str:
    """A character a probability: a digit d within 0.05 of d / 10, "*" from 0.95.

    This is the scale of Stockholm's PP lines (0: below 0.05, 1: below 0.15, ..., 9: below 0.95), used in print as well.

    >>> confidence_digits(np.array([0.0, 0.05, 0.949, 0.95, 1.0]))
    '019**'
    """
    tenths = np.floor(np.clip(confidence, 0.0, 1.0) * 10.0 + 0.5).astype(np.intp)
    return np.frombuffer(b"0123456789*", np.uint8)[tenths].tobytes().decode("ascii")
