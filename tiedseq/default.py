"""The model that `align` uses when none is given."""

from __future__ import annotations

from functools import cache

from .pairhmm import PairHMM


@cache
def default_model() -> PairHMM:
    """Return the built-in model for DNA."""
    return PairHMM.affine(gaps=2)
