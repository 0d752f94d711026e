"""Sequences drawn from an HMM, and where it is in the long run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError, ModelError

from .tables import Floats

_LONGEST = 10**7  # letters of a sequence that is drawn until it ends


def drawn_path(
    states: Sequence[str],
    start: Floats,
    transitions: Floats,
    emitting: NDArray[np.bool_],
    n: int | None,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw states that emit, one after the other; n of them, without the way to the end, or until the end.

    There is one at least, as in every sequence: before it, only ways that lead to one are gone.

    Parameters
    ----------
    states : sequence of S names
    start : float64 array (S + 1,)
    transitions : float64 array (S, S + 1)
        The last column is the end.
    emitting : bool array (S,)
    """
    rows = np.vstack([transitions, start])
    if n is not None:
        rows[:, -1] = 0.0
    first, later = _walk(_towards_a_letter(rows, emitting)), _walk(rows)
    path: list[int] = []
    state = end = len(emitting)
    uniform = iter(generator.random(0).tolist())
    while n is None or len(path) < n:
        totals, limits = later if path else first
        if totals[state] <= 0.0:
            if not path:
                raise ModelError("No letter can come before the end, and a sequence has one at least.")
            raise ModelError(f"The state {states[state]!r} leads nowhere but to the end; draw fewer letters.")
        number = next(uniform, None)
        if number is None:
            uniform = iter(generator.random(4096).tolist())
            number = next(uniform)
        state = int(np.searchsorted(limits[state], number * totals[state], side="right"))
        if state == end:
            break
        if emitting[state]:
            path.append(state)
        if n is None and len(path) > _LONGEST:
            raise ArgumentError(f"The model did not end within {_LONGEST} letters; say how many to draw with n=.")
    return np.array(path, np.int64)


def _walk(rows: Floats) -> tuple[Floats, Floats]:
    """The total of every row, and its cumulative sums."""
    return rows.sum(axis=1), np.cumsum(rows, axis=1)


def _towards_a_letter(rows: Floats, emitting: NDArray[np.bool_]) -> Floats:
    """Return rows (S + 1, S + 1) times the probability that a letter comes on each way: what is seen if one does."""
    totals = rows.sum(axis=1, keepdims=True)
    steps = np.divide(rows, totals, out=np.zeros_like(rows), where=totals > 0.0)
    comes, silent = np.append(emitting, False).astype(np.float64), np.flatnonzero(~emitting)
    within = np.eye(len(silent)) - steps[np.ix_(silent, silent)]
    comes[silent] = np.linalg.solve(within, steps[silent] @ comes)
    return rows * comes


def dependent_letters(
    tables: Mapping[int, Floats], order: int, path: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw the letters of a path; `tables` (K,) * (order + 1) by state hold P(letter | those before it)."""
    limits = {state: np.cumsum(table, axis=-1) for state, table in tables.items()}
    codes, uniform = [0] * len(path), generator.random(len(path)).tolist()
    for t, state in enumerate(path.tolist()):
        before, missing = codes[max(0, t - order) : t], range(order - t)  # at first there are no letters that far back
        here = limits[state].mean(axis=tuple(missing)) if missing else limits[state]
        codes[t] = _drawn(here[tuple(before)], uniform[t])
    return np.array(codes, np.uint8)


def segment_letters(
    tables: Sequence[Sequence[Floats]], path: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw the letters of a path, each dependent on those before it in its stay; tables[state][m] after m others."""
    limits = [[np.cumsum(table, axis=-1) for table in of_state] for of_state in tables]
    codes, uniform, age = [0] * len(path), generator.random(len(path)).tolist(), 0
    for t, state in enumerate(path.tolist()):
        age = min(age + 1, len(limits[state]) - 1) if t and path[t - 1] == state else 0
        codes[t] = _drawn(limits[state][age][tuple(codes[t - age : t])], uniform[t])
    return np.array(codes, np.uint8)


def _drawn(limits: Floats, number: float) -> int:
    return min(int(np.searchsorted(limits, number * limits[-1], side="right")), len(limits) - 1)


def stationary(transitions: Floats, is_emitting: NDArray[np.bool_]) -> Floats:
    """Return (S,): the distribution of emitting states that transitions (S, S) leave as it is.

    Raises ModelError if there are several.
    """
    emitting, silent = np.flatnonzero(is_emitting), np.flatnonzero(~is_emitting)
    steps = transitions[np.ix_(emitting, emitting)]
    if len(silent):
        through = np.linalg.inv(np.eye(len(silent)) - transitions[np.ix_(silent, silent)])
        steps = steps + transitions[np.ix_(emitting, silent)] @ through @ transitions[np.ix_(silent, emitting)]
    n = len(emitting)
    system = np.vstack([steps.T - np.eye(n), np.ones(n)])
    found, _, rank, _ = np.linalg.lstsq(system, np.append(np.zeros(n), 1.0), rcond=None)
    if rank < n:
        raise ModelError("Some states cannot be reached from others: there are several stationary distributions.")
    distribution = np.zeros(len(is_emitting))
    distribution[emitting] = np.clip(found, 0.0, None) / np.clip(found, 0.0, None).sum()
    return distribution
