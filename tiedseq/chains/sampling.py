"""Sequences drawn from an HMM, and where it is in the long run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError, ModelError

from .parameters import HMMParameters

_LONGEST = 10**7  # letters of a sequence that is drawn until it ends


def sample_sequence(
    parameters: HMMParameters, n: int | None, generator: np.random.Generator
) -> tuple[Any, NDArray[np.int64]]:
    """Draw n letters and their states; until the model ends if n is None.

    Raises ArgumentError if n is left out of a model that never ends.
    """
    specification = parameters.specification
    if n is None and not specification.has_end:
        raise ArgumentError("n= is left out, but the model has no end; say how many letters to draw.")
    if n is not None and (isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1):
        raise ArgumentError(f"n={n!r} must be a whole number of 1 or more.")
    path = _drawn_path(parameters, n, generator)
    return _drawn_letters(parameters, path, generator), path


def _drawn_path(parameters: HMMParameters, n: int | None, generator: np.random.Generator) -> NDArray[np.int64]:
    """States that emit, one after the other; with n the way to the end is not taken before n letters."""
    tables = parameters.specification.tables()
    rows = np.vstack([tables["transitions"], tables["start"]])
    if not parameters.specification.has_end or n is not None:
        rows[:, -1] = 0.0
    totals = rows.sum(axis=1)
    limits = np.cumsum(rows, axis=1)
    silent = np.array([state not in parameters.emitting for state in parameters.states])
    path: list[int] = []
    state = end = len(silent)
    uniform = iter(generator.random(0).tolist())
    while n is None or len(path) < n:
        if totals[state] <= 0.0:
            raise ModelError(
                f"The state {parameters.states[state]!r} leads nowhere but to the end; draw fewer letters."
            )
        number = next(uniform, None)
        if number is None:
            uniform = iter(generator.random(4096).tolist())
            number = next(uniform)
        state = int(np.searchsorted(limits[state], number * totals[state], side="right"))
        if state == end:
            break
        if not silent[state]:
            path.append(state)
        if len(path) > _LONGEST:
            raise ArgumentError(f"The model did not end within {_LONGEST} letters; say how many to draw with n=.")
    return np.array(path, np.int64)


def _drawn_letters(parameters: HMMParameters, path: NDArray[np.int64], generator: np.random.Generator) -> Any:
    if parameters.alphabet is None:
        families = parameters.families
        any_family = next(iter(families.families.values()))
        numbers = np.zeros((len(path), any_family.dims))
        for state in np.unique(path).tolist():
            name, here = parameters.states[state], path == state
            numbers[here] = families.families[name].sample(families.of_state(name), int(here.sum()), generator)
        return any_family.restored(numbers)
    tables, order = parameters.specification.tables()["emissions"], parameters.order
    by_state = {
        state: np.cumsum(tables[name], axis=-1) for state, name in enumerate(parameters.states) if name in tables
    }
    codes, uniform, letters = [0] * len(path), generator.random(len(path)), parameters.alphabet.n_letters
    for t, state in enumerate(path.tolist()):
        before, missing = codes[max(0, t - order) : t], range(order - t)  # at first there are no letters that far back
        limits = by_state[state].mean(axis=tuple(missing))[tuple(before)] if missing else by_state[state][tuple(before)]
        codes[t] = min(int(np.searchsorted(limits, uniform[t], side="right")), letters - 1)
    return parameters.alphabet.decode(np.array(codes, np.uint8))


def stationary(parameters: HMMParameters) -> NDArray[np.float64]:
    """Return (S,): the distribution of emitting states that transitions leave as it is; ModelError without just one."""
    if parameters.specification.has_end:
        raise ModelError("The model has an end, so it is nowhere in the long run; there is no stationary distribution.")
    chain = parameters.machine().tables
    emitting, silent = np.flatnonzero(~chain.silent), np.flatnonzero(chain.silent)
    steps = chain.transitions[np.ix_(emitting, emitting)]
    if len(silent):
        through = np.linalg.inv(np.eye(len(silent)) - chain.transitions[np.ix_(silent, silent)])
        steps = (
            steps + chain.transitions[np.ix_(emitting, silent)] @ through @ chain.transitions[np.ix_(silent, emitting)]
        )
    n = len(emitting)
    system = np.vstack([steps.T - np.eye(n), np.ones(n)])
    found, _, rank, _ = np.linalg.lstsq(system, np.append(np.zeros(n), 1.0), rcond=None)
    if rank < n:
        raise ModelError("Some states cannot be reached from others: there are several stationary distributions.")
    distribution = np.zeros(len(chain.silent))
    distribution[emitting] = np.clip(found, 0.0, None) / np.clip(found, 0.0, None).sum()
    return distribution
