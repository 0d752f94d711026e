"""Sequences, and what is said about each of their letters, in batches that are worked on together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError
from tiedseq.kernels.layout import LANES

from .cuts import Spans
from .emissions import Batch
from .observations import Index, Observations

_BATCH_LETTERS = 1 << 19  # at most, but for a longer sequence; enough that what is done once a batch costs little
_BATCH_NUMBERS = 1 << 16  # every one has a row in a table of its own, and these are to be reused while they are warm
_HEAVIEST = 1e100  # sums of counts that weigh as much, and products with observations, stay finite

Observe = Callable[[NDArray[Any], Index], Any]
"""Turns sequences that stand one after the other, and where they end, into what a model's emissions see."""


def digest_of(told: Sequence[Any], values: NDArray[Any], batches: Sequence[Batch]) -> str:
    """Identify sequences, and what is told of a model and its training, to a checkpoint."""
    found = hashlib.sha256(json.dumps(told, default=lambda array: np.asarray(array).tolist()).encode())
    found.update(np.ascontiguousarray(values).tobytes())
    for batch in batches:
        found.update(batch.ends.tobytes() + batch.weights.tobytes())
        found.update(b"" if batch.allowed is None else batch.allowed.tobytes())
    return found.hexdigest()


def batches_of(
    data: Observations,
    observe: Observe,
    weights: NDArray[np.float64],
    allowed: NDArray[np.bool_] | None,
) -> list[Batch]:
    """Return sequences in their order, in runs that are work enough for a call; cut by the data alone.

    Runs are alike, and more than one are an even number, so that two threads have the same to do. Where a run has many
    sequences, their number fills the lanes of the kernels.
    """
    batches, first, total = [], 0, int(data.ends[-1])
    has_rows_of_their_own = data.values.dtype.kind == "f" or allowed is not None
    size = _BATCH_NUMBERS if has_rows_of_their_own else _BATCH_LETTERS
    count = 1 if total <= size else 2 * -(-total // (2 * size))
    number = (data.ends[1:] - 1) * count // total  # of the run that a sequence's last letter falls in
    lasts = np.flatnonzero(np.diff(number))
    if len(data) >= LANES * count:
        lasts = np.unique((lasts + 1 + LANES // 2) // LANES * LANES - 1)
    for last in [*lasts[(lasts >= 0) & (lasts < len(data) - 1)].tolist(), len(data) - 1]:
        part = slice(int(data.ends[first]), int(data.ends[last + 1]))
        ends = data.ends[first : last + 2] - data.ends[first]
        limits = None if allowed is None else allowed[part]
        spans = Spans(ends, weights[first : last + 1])
        batches.append(Batch(observe(data.values[part], ends), spans, first, limits))
        first = last + 1
    return batches


def allowed_of(allowed: Any, data: Observations, n_states: int, emitting: Sequence[int]) -> NDArray[np.bool_]:
    """Return which emitting states may be at every letter, (letters, emitting states).

    Raises ArgumentError for another shape, or a letter at which no state may be.
    """
    parts = _parts_of("allowed", allowed, data)
    try:
        stacked = np.concatenate([np.asarray(part) for part in parts])
        if stacked.dtype.kind not in "biuf" or not np.isin(stacked, (0, 1)).all():
            raise ValueError
        stacked = stacked.astype(bool)
    except (TypeError, ValueError) as error:
        raise ArgumentError("allowed= must hold arrays of True and False, (T, S) for every sequence.") from error
    wanted = (len(data.values), n_states)
    if stacked.shape != wanted:
        raise ArgumentError(f"allowed= has the shape {stacked.shape}; letters and states are {wanted}.")
    kept = stacked[:, list(emitting)]
    if not kept.any(axis=1).all():
        raise ArgumentError(
            f"allowed= allows no state at letter {int(np.argmin(kept.any(axis=1)))}, counted over all "
            "sequences; allow one."
        )
    return np.ascontiguousarray(kept)


def allowed_by_paths(paths: Any, data: Observations, emitting: Sequence[int]) -> NDArray[np.bool_]:
    """Return that at every letter only its given state may be, (letters, emitting states).

    Raises ArgumentError for another number of them, or what is no state that emits.
    """
    parts = _parts_of("paths", paths, data)
    try:
        stacked = np.concatenate([np.asarray(part) for part in parts])
    except (TypeError, ValueError) as error:
        raise ArgumentError("paths= must hold arrays of states, (T,) for every sequence.") from error
    if stacked.shape != (len(data.values),) or stacked.dtype.kind not in "iu":
        raise ArgumentError(
            f"paths= has the shape {stacked.shape} and dtype {stacked.dtype}; it needs a whole number for each of "
            f"{len(data.values)} letters."
        )
    known = np.isin(stacked, list(emitting))
    if not known.all():
        raise ArgumentError(
            f"paths= holds {stacked[~known][0]}; states that emit are {list(emitting)}, indices into `states`."
        )
    return np.asarray(stacked[:, None] == np.array(emitting))


def _parts_of(name: str, given: Any, data: Observations) -> Any:
    """What is given for every sequence. Raises ArgumentError unless there is something for each, of its length."""
    if data.form != "list":
        return [given]
    lengths = np.diff(data.ends).tolist()
    if not hasattr(given, "__len__") or len(given) != len(lengths):
        raise ArgumentError(f"{name}= must be a list with an array for each of the {len(lengths)} sequences in X.")
    for number, (part, length) in enumerate(zip(given, lengths, strict=True)):
        if not hasattr(part, "__len__") or len(part) != length:
            raise ArgumentError(
                f"{name}[{number}] must be an array with an entry for each of the {length} letters of its sequence."
            )
    return given


def weights_of(weights: Any, count: int) -> NDArray[np.float64]:
    """Return one weight a sequence, 1 by default. ArgumentError for a wrong number of them, negative ones, or all 0."""
    if weights is None:
        return np.ones(count)
    try:
        array = np.asarray(weights)
        if np.iscomplexobj(array):
            raise TypeError("complex numbers are no weights")
        array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"weights={weights!r} must be numbers, one for each sequence.") from error
    if array.shape != (count,):
        raise ArgumentError(f"weights= has the shape {array.shape}; there are {count} sequences, one weight for each.")
    if not (np.isfinite(array).all() and (array >= 0.0).all()):
        wrong = array[~(np.isfinite(array) & (array >= 0.0))][0]
        raise ArgumentError(f"weights= holds {wrong}; weights are finite and not negative.")
    if count and not array.any():
        raise ArgumentError("weights= are all 0, and there is nothing to learn from; give some a weight above 0.")
    if (array > _HEAVIEST).any():
        raise ArgumentError(f"weights= holds {array.max()}; a weight is {_HEAVIEST:g} at most, scale them down.")
    if count and array.max() < 1.0 / _HEAVIEST:
        raise ArgumentError(f"weights= are {array.max()} at most; one is {1.0 / _HEAVIEST:g} at least, scale them up.")
    return array
