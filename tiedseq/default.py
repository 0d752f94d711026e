"""The model that `align` uses when none is given."""

from __future__ import annotations

from functools import cache

from .distributions import fixed
from .pairhmm import PairHMM

# Estimates of `python -m benchmarks.default_model`, rounded.
_OPEN, _EXTEND = (0.00916, 0.00117), (0.7700, 0.9977)
_MATCH, _TRANSITION, _TRANSVERSION = 0.1909, 0.0327, 0.0132


def default_model() -> PairHMM:
    """Return the built-in model for DNA of 70 % to 99 % identity: a copy at every call, to be trained or changed.

    Two classes of gaps, of 4 and 430 letters in the mean, symmetric; a Kimura table; letters uniform, so that target
    and query, and the two strands, are alike. The values were estimated by Baum-Welch, with the command
    `python -m benchmarks.default_model`, on the mitochondrial genomes of human, orangutan and mouse (72 % to 86 %
    identity), the alpha-globin regions of human and cow (non-coding for the most part, 74 % where they align) and the
    six beta-globin coding sequences of human (79 % to 99.8 %): all in data/.

    Examples
    --------
    >>> model = default_model()
    >>> model.parameters["extend2"]
    0.9977
    """
    return shared_default_model().copy()


@cache
def shared_default_model() -> PairHMM:
    """Return the one that `align` uses at every call, with its tables ready: not for users, who might change it."""
    pair = [[_TRANSITION if (a + b) % 2 == 0 else _TRANSVERSION for b in range(4)] for a in range(4)]
    for letter in range(4):
        pair[letter][letter] = _MATCH
    letters = fixed([0.25] * 4)
    return PairHMM.affine(
        gap_open=_OPEN,
        gap_extend=_EXTEND,
        gaps=2,
        substitution="kimura",
        values={"pair": pair, "gap": letters, "gap2": letters},
    )
