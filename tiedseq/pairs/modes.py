"""What an alignment mode means: which boxes it admits, how many they are, and in which cells they begin and end.

A box is an interval of the target times an interval of the query, as the letters before and after it: corners are cells
(i, j), 0 <= i <= n and 0 <= j <= m. The model explains what is inside, background letters what is outside, and every
admitted box is as likely as any other.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tiedseq.options import MODES, check_word


def check_mode(mode: str) -> None:
    """Raise ArgumentError if there is no such mode."""
    check_word("mode", mode, MODES)


def log_box_count(n: int, m: int, mode: str) -> float:
    """Return ln of the number of boxes that a mode admits, empty ones included."""
    if mode == "global":
        return 0.0
    if mode == "glocal":
        return math.log((n + 1) * (n + 2) // 2)
    if mode == "local":
        return math.log((n + 1) * (n + 2) // 2) + math.log((m + 1) * (m + 2) // 2)
    return math.log((n + 1) * (n + 2) // 2 + 2 * m * (n + 1) + m * (m - 1) // 2)


def empty_box_count(n: int, m: int, mode: str) -> int:
    """Return how many of the admitted boxes hold no letter of either sequence."""
    if mode == "global":
        return int(n == m == 0)
    if mode == "glocal":
        return (n + 1) if m == 0 else 0
    if mode == "local":
        return (n + 1) * (m + 1)
    return 2 if n and m else n + m + 1


def admits(first: tuple[int, int], last: tuple[int, int], n: int, m: int, mode: str) -> bool:
    """Return whether a mode admits the box from one corner to the other."""
    if mode == "global":
        return first == (0, 0) and last == (n, m)
    if mode == "glocal":
        return first[1] == 0 and last[1] == m
    if mode == "overlap":
        return 0 in first and (last[0] == n or last[1] == m)
    return True


def draw_corner(outside: tuple[int, int], mode: str, generator: np.random.Generator) -> tuple[int, int]:
    """Draw the first corner of a box from all admitted ones that leave so many letters of either sequence outside."""
    if mode == "overlap" and 0 not in outside:
        return [(0, outside[1]), (outside[0], 0)][generator.integers(2)]
    i, j = (int(generator.integers(count + 1)) for count in outside)
    return i, j


def border_weights(mode: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where boxes begin and end, as sums of two products of a row's and a column's weight.

    A box may begin in the cells where a1(i) a1'(j) + a2(i) a2'(j) is 1, and end where w1(i) w1'(j) + w2(i) w2'(j) is;
    elsewhere they are 0. Two arrays (4, 2), for rows and for columns: a1, a2, w1, w2 on the border (the first row or
    column; for ends the last), and elsewhere.
    """
    corner, everywhere, inside, nowhere = [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]
    rows, columns = {
        "global": ((corner, nowhere), (corner, nowhere)),
        "local": ((everywhere, nowhere), (everywhere, nowhere)),
        "glocal": ((everywhere, nowhere), (corner, nowhere)),
        "overlap": ((corner, inside), (everywhere, corner)),  # the border row anywhere, other rows in the border column
    }[mode]
    return np.array([*rows, *rows]), np.array([*columns, *columns])


def cell_weights(n: int, m: int, mode: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `border_weights` of every row, (n + 1, 4), and of every column, (m + 1, 4)."""
    weights = []
    for length, table in zip((n, m), border_weights(mode), strict=True):
        weights.append(np.tile(table[:, 1], (length + 1, 1)))
        weights[-1][0, :2], weights[-1][length, 2:] = table[:2, 0], table[2:, 0]
    return weights[0], weights[1]
