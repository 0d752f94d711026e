"""The probability of one given path of states, and of one given alignment whatever its states."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tiedseq.columns import span_of

from .modes import admits, check_mode, empty_box_count, log_box_count
from .tables import Codes, PairTables

Box = tuple[tuple[int, int], tuple[int, int]]


def log_path(tables: PairTables, x: Codes, y: Codes, cells: NDArray[np.int64], mode: str) -> float:
    """Return ln P of the sequences and one path under a mode; -inf if it is impossible.

    cells: int64 (length, 3), (i, j, state): i and j letters are emitted when the path leaves the cell. No cells: the
    empty path.
    """
    check_mode(mode)
    n, m = x.size, y.size
    if not len(cells):
        return _log_empty(tables, x, y, mode)
    i, j, states = cells.T
    first = int(i[0] - (tables.kinds[states[0]] != "y")), int(j[0] - (tables.kinds[states[0]] != "x"))
    if not admits(first, (int(i[-1]), int(j[-1])), n, m, mode):
        return -math.inf
    with np.errstate(divide="ignore"):
        inside = float(np.log(tables.start[states[0]]) + np.log(tables.end[states[-1]]))
        inside += float(np.log(tables.transitions[states[:-1], states[1:]]).sum())
        for s, (kind, emission) in enumerate(zip(tables.kinds, tables.symbol_emissions, strict=True)):
            a, b = i[states == s] - 1, j[states == s] - 1
            places = (x[a], y[b]) if kind == "xy" else (x[a] if kind == "x" else y[b],)
            inside += float(np.log(emission[places]).sum())
    return inside + _log_flanks(tables, x, y, first, (int(i[-1]), int(j[-1]))) - log_box_count(n, m, mode)


def log_columns(tables: PairTables, x: Codes, y: Codes, columns: NDArray[np.int64], mode: str) -> float:
    """Return ln P of the sequences and an alignment, summed over the states that can emit its columns; -inf if none
    can.

    columns: int64 (2, n_columns), positions or -1; positions in each row are consecutive. An alignment that holds no
    letter of a sequence does not say between which of them it lies: P is summed over the places that the mode admits.
    """
    check_mode(mode)
    n, m = x.size, y.size
    if not columns.size:
        return _log_empty(tables, x, y, mode) + math.log(max(1, empty_box_count(n, m, mode)))
    present = columns >= 0
    boxes = boxes_of(columns, n, m, mode)
    if not boxes:
        return -math.inf
    with np.errstate(divide="ignore"):  # logarithms throughout: one step's product may be too small for a float64
        start, transitions, end = (np.log(part) for part in (tables.start, tables.transitions, tables.end))
        emitted = np.full((columns.shape[1], len(tables.kinds)), -np.inf)
        for s, (kind, emission) in enumerate(zip(tables.kinds, tables.symbol_emissions, strict=True)):
            fits = (present[0] == (kind != "y")) & (present[1] == (kind != "x"))
            a, b = columns[:, fits]
            emitted[fits, s] = np.log(emission[(x[a], y[b]) if kind == "xy" else (x[a] if kind == "x" else y[b],)])
    value = start + emitted[0]
    for step in emitted[1:]:
        value = np.logaddexp.reduce(value[:, None] + transitions, axis=0) + step
    inside = float(np.logaddexp.reduce(value + end))
    flanks = _log_flanks(tables, x, y, *boxes[0])  # the same letters in all of them
    return inside + flanks + math.log(len(boxes)) - log_box_count(n, m, mode)


def boxes_of(columns: NDArray[np.int64], n: int, m: int, mode: str) -> list[Box]:
    """Return the boxes, first and last corner, that a mode admits and that hold an alignment, as in `log_columns`."""
    boxes = [((a, b), (c, d)) for a, c in _spans(columns[0], n) for b, d in _spans(columns[1], m)]
    return [box for box in boxes if admits(*box, n, m, mode)]


def _spans(row: NDArray[np.int64], length: int) -> list[tuple[int, int]]:
    """The interval of a sequence that a row of columns covers; where it covers nothing, every empty one."""
    if (row >= 0).any():
        return [span_of(row)]
    return [(place, place) for place in range(length + 1)]


def _log_empty(tables: PairTables, x: Codes, y: Codes, mode: str) -> float:
    """ln P of the sequences and one empty box."""
    if tables.start_end == 0.0 or not empty_box_count(x.size, y.size, mode):
        return -math.inf
    return math.log(tables.start_end) + tables.log_background(x, y) - log_box_count(x.size, y.size, mode)


def _log_flanks(tables: PairTables, x: Codes, y: Codes, first: tuple[int, int], last: tuple[int, int]) -> float:
    """ln of the probability of what is outside a box, as background letters."""
    before = tables.log_background(x[: first[0]], y[: first[1]])
    return before + tables.log_background(x[last[0] :], y[last[1] :])
