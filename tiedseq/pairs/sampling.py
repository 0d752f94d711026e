"""Drawing pairs of sequences, with their true alignment, from a pair-HMM."""

from __future__ import annotations

from array import array
from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Codes
from tiedseq.errors import ArgumentError
from tiedseq.options import checked_count
from tiedseq.random_state import RandomState, generator_of

from .modes import draw_corner
from .tables import Floats, PairTables

_LONGEST = 10**7  # columns of a model that hardly ends: seconds, and half a gigabyte for their letters and positions


def sample_pair(
    tables: PairTables, has_end: bool, columns: int | None, random_state: RandomState
) -> tuple[Codes, Codes, NDArray[np.int64]]:
    """Codes of a target and a query, and their columns (positions, -1 for gaps)."""
    generator = generator_of(random_state)
    states = _sample_states(tables, has_end, columns, generator)
    letters = np.full((2, states.size), -1)
    for s, (kind, emission) in enumerate(zip(tables.kinds, tables.emissions, strict=True)):
        here = np.flatnonzero(states == s)
        weights = emission.ravel()
        drawn = generator.choice(weights.size, size=here.size, p=weights / weights.sum())
        if kind == "xy":
            letters[0, here], letters[1, here] = np.divmod(drawn, emission.shape[1])
        else:
            letters[0 if kind == "x" else 1, here] = drawn
    positions = np.where(letters >= 0, np.cumsum(letters >= 0, axis=1) - 1, -1)
    x, y = (row[row >= 0].astype(np.uint8) for row in letters)
    return x, y, positions


def add_flanks(
    tables: PairTables, pair: tuple[Codes, Codes], outside: tuple[int, int], mode: str, generator: np.random.Generator
) -> tuple[Codes, Codes]:
    """Put so many background letters around two sequences, in one of the ways that the mode admits, drawn."""
    before = draw_corner(outside, mode, generator)
    background = tables.background / tables.background.sum()
    flanked = []
    for inside, count, start in zip(pair, outside, before, strict=True):
        flanks = generator.choice(background.size, size=count, p=background).astype(np.uint8)
        flanked.append(np.concatenate([flanks[:start], inside, flanks[start:]]))
    return flanked[0], flanked[1]


def _sample_states(
    tables: PairTables, has_end: bool, columns: int | None, generator: np.random.Generator
) -> NDArray[np.intc]:
    """The states of all columns. Where the model has an end, fewer than `columns` may come."""
    if columns is None and not has_end:
        raise ArgumentError('columns must be given: the model has no "end", so nothing says how long its pairs are')
    limit = _LONGEST if columns is None else checked_count("columns", columns, least=0)
    end = len(tables.start)
    rows = np.column_stack([np.vstack([tables.transitions, tables.start]), np.append(tables.end, tables.start_end)])
    cumulated = [_cumulated(row if has_end else row[:end]) for row in rows]
    chosen = array("i")  # a list would take eight bytes a column
    state = len(cumulated) - 1
    while len(chosen) < limit:
        for number in generator.random(1024)[: limit - len(chosen)].tolist():
            state = bisect_right(cumulated[state], number)
            if state == end:
                return np.array(chosen)
            chosen.append(state)
    if columns is None:
        raise ArgumentError(f"the model goes on for more than {_LONGEST:,} columns; give columns=")
    return np.array(chosen)


def _cumulated(weights: Floats) -> list[float]:
    """What a uniform number is compared with; none is above the last possible entry, whatever the rounding."""
    sums = np.cumsum(weights / weights.sum())
    sums[np.flatnonzero(weights)[-1] :] = 1.0
    return sums.tolist()
