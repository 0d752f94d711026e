"""Rows and emissions of models whose states are alike: ergodic ones, and those that go from left to right."""

from __future__ import annotations

from typing import Any

import numpy as np

from tiedseq.distributions import Categorical
from tiedseq.errors import ArgumentError
from tiedseq.families import Family

Rows = dict[str, dict[str, float]]


def check_count(name: str, count: Any, least: int = 1) -> None:
    """Raise ArgumentError unless `count` is a whole number of `least` or more."""
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < least:
        raise ArgumentError(f"{name}={count!r} must be a whole number of {least} or more.")


def state_names(n_states: int) -> list[str]:
    """Return the names s0, s1, ..."""
    check_count("n_states", n_states)
    return [f"s{k}" for k in range(n_states)]


def ergodic_rows(names: list[str], stay: float | None, generator: np.random.Generator) -> Rows:
    """Return rows in which every state follows every other, drawn with a preference to stay if `stay` is None."""
    if stay is not None and not (_is_number(stay) and 0.0 < stay < 1.0):
        raise ArgumentError(f"stay={stay!r} must lie between 0 and 1.")
    n = len(names)
    rows = {}
    for k, name in enumerate(names):
        weights = np.full(n, 0.0 if stay is None else (1.0 - stay) / max(1, n - 1))
        if stay is None:  # equal rows would be a stationary point of training
            weights = generator.exponential(size=n)
            weights[k] += n
        else:
            weights[k] = stay
        rows[name] = dict(zip(names, (weights / weights.sum()).tolist(), strict=True))
    return rows


def left_to_right_rows(names: list[str], skip: int, stay: float) -> Rows:
    """Return rows in which a state stays, goes on, or leaves out up to `skip` states; the last one ends."""
    if not (_is_number(stay) and 0.0 <= stay < 1.0):
        raise ArgumentError(f"stay={stay!r} must be a probability below 1.")
    check_count("skip", skip, 0)
    rows = {}
    for k, name in enumerate(names):
        following = names[k + 1 : k + 2 + skip] or ["end"]
        rows[name] = {name: stay} | dict.fromkeys(following, (1.0 - stay) / len(following))
    return rows


def equal_emissions(names: list[str], alphabet: Any, emission: Any) -> tuple[Any, dict[str, Any]]:
    """Return the letters, and what each of the states emits: the same thing, with values of its own."""
    if emission is None:
        return alphabet, {name: f"emission {name}" for name in names}
    if not isinstance(emission, Family | Categorical):
        raise ArgumentError(f"emission={emission!r} must be a family such as ts.Gaussian(), or a ts.Categorical.")
    if isinstance(emission, Family) and alphabet is not None:
        raise ArgumentError("alphabet= is for letters and emission= a family of numbers; give one of them.")
    letters = emission.alphabet if isinstance(emission, Categorical) and alphabet is None else alphabet
    return letters, dict.fromkeys(names, emission)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number)
