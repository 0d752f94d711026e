"""Pictures, for which matplotlib is imported when they are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .errors import ArgumentError, ResourceError
from .hmm import HMM

_BAND = 0.16  # height of a track, in units of the posterior's axis


def plot_posterior(
    model: HMM, X: Any, state: str, tracks: Mapping[str, ArrayLike] | None = None, axes: Any = None
) -> Any:
    """Draw the posterior probability of a state along a sequence, and below it where it is known to be.

    Parameters
    ----------
    model : HMM
    X : one sequence, or a list of one
        As `fit` takes it.
    state : str
    tracks : mapping of name to bool array (T,), default none
        Each becomes a row of bars, where it is True: the true path, an annotation, the likeliest path.
    axes : matplotlib Axes, default None
        Where to draw; None is the current one. The letter at position p, from 0, is between p and p + 1.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ArgumentError
        The model has no such state, X is more than one sequence, or a track is not as long.
    ResourceError
        matplotlib is not installed.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> model = HMM.ergodic(2, alphabet="ab", random_state=0)
    >>> letters, path = model.sample(100, random_state=0)
    >>> plot_posterior(model, letters, "s0", {"truth": path == 0}).get_ylabel()
    'P(s0)'
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ResourceError("pictures need matplotlib; install it with pip install 'tiedseq[plot]'") from error
    if state not in model.states:
        raise ArgumentError(f"state={state!r} is no state of the model; there are {', '.join(model.states)}.")
    posterior = model.predict_proba(X)
    if isinstance(posterior, list):
        if len(posterior) != 1:
            raise ArgumentError(f"X holds {len(posterior)} sequences; a picture shows one.")
        (posterior,) = posterior
    probability = posterior[:, model.states.index(state)]
    axes = plt.gca() if axes is None else axes
    borders, height = np.arange(len(probability) + 1), np.append(probability, probability[-1])
    axes.fill_between(borders, height, step="post", alpha=0.3, color="C0", linewidth=0)
    axes.plot(borders, height, drawstyle="steps-post", color="C0", linewidth=0.8)
    ticks = {0.0: "0", 0.5: "0.5", 1.0: "1"}
    for number, (name, track) in enumerate((tracks or {}).items(), start=1):
        top = -number * _BAND
        axes.broken_barh(_runs(name, track, len(probability)), (top, 0.6 * _BAND), color=f"C{number}", linewidth=0)
        ticks[top + 0.3 * _BAND] = name
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.set_ylim(min(ticks) - 0.5 * _BAND, 1.04)
    axes.set_xlim(0, len(probability))
    axes.set_ylabel(f"P({state})")
    return axes


def _runs(name: str, track: ArrayLike, length: int) -> list[tuple[int, int]]:
    """Where a track is True, as (start, length)."""
    inside = np.asarray(track)
    if inside.shape != (length,) or inside.dtype != np.bool_:
        raise ArgumentError(
            f"tracks[{name!r}] has the shape {inside.shape} and the dtype {inside.dtype}; it needs a bool for each of "
            f"the {length} letters."
        )
    borders = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]))).reshape(-1, 2)
    return [(int(start), int(end - start)) for start, end in borders]
