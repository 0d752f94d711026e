"""What `random_state=` asks for."""

from __future__ import annotations

import numpy as np

from .errors import ArgumentError

RandomState = int | np.random.Generator | np.random.RandomState | None


def generator_of(random_state: RandomState) -> np.random.Generator:
    """Return the generator that a `random_state=` asks for. Raises ArgumentError if it is none."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31, size=4))
    try:
        if isinstance(random_state, bool | np.bool_):  # to NumPy True is 1
            raise TypeError
        return np.random.default_rng(random_state)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"random_state={random_state!r} is no whole number >= 0, generator or None.") from error


def generators(random_state: RandomState, count: int) -> list[np.random.Generator]:
    """Return independent generators, the same ones for the same whole number."""
    return generator_of(random_state).spawn(count)
