"""Drawing pairs of sequences, with their true alignment, from a pair-HMM."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Codes
from tiedseq.errors import ArgumentError
from tiedseq.specification import RandomState, Tables, generator_of

_LONGEST = 10**8


def sample_pair(
    kinds: list[str], tables: Tables, has_end: bool, columns: int | None, random_state: RandomState
) -> tuple[Codes, Codes, NDArray[np.int64]]:
    """Codes of a target and a query, and their columns (positions, -1 for gaps)."""
    generator = generator_of(random_state)
    states = _sample_states(tables, has_end, columns, generator)
    named = list(tables["emissions"].values())
    letters = np.full((2, states.size), -1)
    for s, kind in enumerate(kinds):
        here = np.flatnonzero(states == s)
        weights = named[s].ravel()
        drawn = generator.choice(weights.size, size=here.size, p=weights / weights.sum())
        if kind == "xy":
            letters[0, here], letters[1, here] = np.divmod(drawn, named[s].shape[1])
        else:
            letters[0 if kind == "x" else 1, here] = drawn
    positions = np.where(letters >= 0, np.cumsum(letters >= 0, axis=1) - 1, -1)
    x, y = (row[row >= 0].astype(np.uint8) for row in letters)
    return x, y, positions


def _sample_states(
    tables: Tables, has_end: bool, columns: int | None, generator: np.random.Generator
) -> NDArray[np.int64]:
    """The states of all columns. Where the model has an end, fewer than `columns` may come."""
    if columns is None and not has_end:
        raise ArgumentError('columns must be given: the model has no "end", so nothing says how long its pairs are')
    if columns is not None and not (isinstance(columns, int | np.integer) and columns >= 0):
        raise ArgumentError(f"columns must be a whole number, 0 or more, not {columns!r}")
    end = len(tables["start"]) - 1
    last = end + 1 if has_end else end
    rows = [row[:last] / row[:last].sum() for row in (*tables["transitions"], tables["start"])]
    cumulated = [np.cumsum(row).tolist() for row in rows]
    chosen: list[int] = []
    state = len(rows) - 1
    uniform = iter(generator.random(0))
    while columns is None or len(chosen) < columns:
        number = next(uniform, None)
        if number is None:
            uniform = iter(generator.random(1024).tolist())
            number = next(uniform)
        row = cumulated[state]
        state = min(int(np.searchsorted(row, number, side="right")), last - 1)
        if state == end:
            break
        chosen.append(state)
        if len(chosen) > _LONGEST:
            raise ArgumentError(f"the model goes on for more than {_LONGEST:,} columns; give columns=")
    return np.array(chosen, np.int64)
