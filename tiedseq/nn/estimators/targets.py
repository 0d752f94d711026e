"""What users hand in as labels and numbers to learn, as arrays, and what each counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.arrays import as_real
from tiedseq.errors import ArgumentError, counted
from tiedseq.options import as_number, in_short

Array = NDArray[Any]

UNKNOWN = -1  # the code, and among whole numbers also the label, of what is not known


def labels_of(y: Any, name: str = "y") -> Array:
    """Return one label a sequence as an array (N,). Raises ArgumentError for what is no label, or not known."""
    labels = _plain(y, name)
    if labels.ndim != 1:
        raise ArgumentError(f"{name} has the shape {labels.shape}; give one label a sequence, (N,).")
    remedy = "leave out sequences without a label"
    _check_labels(labels, name, remedy)
    unknown = np.flatnonzero(_unknown(labels, minus_one=False))
    if len(unknown):
        raise ArgumentError(f"{name}[{unknown[0]}] is None: {remedy}.")
    return labels


def position_labels_of(y: Any, one: bool, name: str = "y") -> list[Array]:
    """Return the labels of every sequence, each an array (L,); a string is a letter a position."""
    entries = [y] if one else _listed(y, name)
    found = []
    for number, entry in enumerate(entries):
        which = name if one else f"{name}[{number}]"
        labels = _plain(list(entry) if isinstance(entry, str) else entry, which)
        if labels.ndim != 1:
            raise ArgumentError(f"{which} has the shape {labels.shape}; give a label a position, (L,).")
        _check_labels(labels, which, "write None or -1 where a label is not known")
        found.append(labels)
    return found


def codes_of(labels: Sequence[Array], classes: Array | None, unknown: bool, name: str = "y") -> tuple[Array, Array]:
    """Return the classes, and the code of every label one after the other: its class, or UNKNOWN.

    Parameters
    ----------
    labels : list of arrays (L,)
    classes : array (K,) or None
        Those to expect; None: those that are there, sorted.
    unknown : bool
        Whether None and -1 are labels that are not known.
    """
    together = _joined(labels, name)
    known = ~_unknown(together, minus_one=True) if unknown else np.ones(len(together), bool)
    given = together[known]
    try:
        there, places = np.unique(given, return_inverse=True)
    except TypeError as error:
        raise ArgumentError(
            f"{name} mixes labels that do not compare, such as text and numbers; use one kind."
        ) from error
    if there.dtype.kind == "O":
        there = array_of(there.tolist())
    if classes is not None:
        number_of = {label: number for number, label in enumerate(classes.tolist())}
        lacking = [label for label in there.tolist() if label not in number_of]
        if lacking:
            raise ArgumentError(f"{name} holds {lacking[0]!r}; the model's classes are {shown(classes)}.")
        places = np.array([number_of[label] for label in there.tolist()], np.int64)[places]
        there = classes
    codes = np.full(len(together), UNKNOWN, np.int64)
    codes[known] = places
    return there, codes


def unknown_among(labels: Array) -> Array:
    """Return which labels are None or -1, bool (L,)."""
    return _unknown(labels, minus_one=True)


def check_classes(classes: Array, name: str = "y") -> None:
    """ArgumentError unless there are two classes at least."""
    if not len(classes):
        raise ArgumentError(f"{name} holds no label that is known; at least two classes are needed.")
    if len(classes) < 2:
        raise ArgumentError(
            f"{name} holds one class only, {shown(classes)}; at least two are needed: give examples of another."
        )


def numbers_of(y: Any, name: str = "y", count: str = "N") -> Array:
    """Return numbers to learn, float64 (N,) or (N, K); ArgumentError for what is none, or not finite."""
    wanted = f"({count},) or ({count}, K)"
    if y is None:
        raise ArgumentError(f"{name} is None; give numbers to learn, {wanted}.")
    try:
        numbers = as_real(y.to_numpy() if hasattr(y, "to_numpy") else y, np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must hold numbers, {wanted}.") from error
    if numbers.ndim not in (1, 2):
        raise ArgumentError(f"{name} has the shape {numbers.shape}; give {wanted}.")
    finite = np.isfinite(numbers)
    wrong = np.flatnonzero(~(finite if numbers.ndim == 1 else finite.all(axis=1)))
    if len(wrong):
        raise ArgumentError(
            f"{name}[{wrong[0]}] is {numbers[wrong[0]]}, which is not finite: leave such sequences out."
        )
    return numbers


def position_numbers_of(y: Any, one: bool, name: str = "y") -> list[Array]:
    """Return the numbers to learn at the positions of every sequence, float64 (L,) or (L, K)."""
    entries = [y] if one else _listed(y, name)
    return [numbers_of(entry, name if one else f"{name}[{k}]", "L") for k, entry in enumerate(entries)]


def weights_of(sample_weight: Any, count: int, unit: str = "sequence") -> Array:
    """Return a weight a sequence or pair, float64 (N,), of the size of 1; default 1 each."""
    if sample_weight is None:
        return np.ones(count)
    try:
        weights = as_real(sample_weight, np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"sample_weight= must be numbers of 0 or more, one for each {unit}.") from error
    check_length(weights, count, "sample_weight", unit)
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0.0)))
    if weights.ndim != 1 or len(wrong):
        at = f"[{wrong[0]}] is {weights[wrong[0]]}" if weights.ndim == 1 else f" has the shape {weights.shape}"
        raise ArgumentError(f"sample_weight{at}; give one finite number of 0 or more for each {unit}.")
    if not weights.any():
        raise ArgumentError("sample_weight= is 0 everywhere, so that nothing counts.")
    return of_size_one([weights])[0]


def of_size_one(weights: Sequence[Array]) -> list[Array]:
    """Divide weights by a power of two, after which the largest is from 1 to 2.

    Only their ratios count, and gradients times weights are float32, which holds none of 1e-50.
    """
    largest = max(float(each.max(initial=0.0)) for each in weights)
    exponent = int(np.frexp(largest)[1])
    return [np.ldexp(each, 1 - exponent) for each in weights]


def class_weights_of(given: Any, classes: Array, codes: Array, weights: Array) -> Array:
    """Return what every class counts, float64 (K,).

    "balanced" is n / (K * n_class), so that all classes count alike and the sum of weights is n; n is the sum of the
    `weights` of labels that are known. A mapping gives some, the others count 1.
    """
    if given is None:
        return np.ones(len(classes))
    if isinstance(given, str):
        known = codes != UNKNOWN
        counts = np.bincount(codes[known], weights[known], len(classes))
        with np.errstate(over="ignore"):
            found = np.divide(counts.sum(), len(classes) * counts, out=np.zeros(len(classes)), where=counts > 0)
        if not np.isfinite(found).all():
            least = int(found.argmax())
            raise ArgumentError(
                f'class_weight="balanced" cannot make up for sample_weight=, of whose sum class '
                f"{classes.tolist()[least]!r} has {counts[least] / counts.sum():.3g} only: give weights of like size."
            )
        return found
    names = classes.tolist()
    for label, weight in given.items():
        if label not in names:
            raise ArgumentError(f"class_weight= names {label!r}; the classes are {shown(classes)}.")
        if not 0.0 <= as_number(weight) < np.inf:
            raise ArgumentError(
                f"class_weight[{label!r}] is {in_short(weight)}; it must be a finite number of 0 or more."
            )
    found = np.array([float(given.get(label, 1.0)) for label in names])
    if not found.any():
        raise ArgumentError(f"class_weight={dict(given)!r} is 0 everywhere, so that nothing counts.")
    return found


def check_length(given: Any, count: int, name: str, unit: str = "sequence") -> None:
    """ArgumentError unless there is one for each sequence, or pair."""
    n = len(given) if isinstance(given, list) or np.ndim(given) else 0
    if n != count:
        raise ArgumentError(
            f"{name} has {counted(n, 'entry', 'entries')}, and X has {counted(count, unit)}; give one for each."
        )


def shown(classes: Array) -> str:
    """A few classes, to be read."""
    names = [repr(label) for label in classes[:5].tolist()]
    return ", ".join(names) + (f" and {len(classes) - 5} more" if len(classes) > 5 else "")


def _listed(y: Any, name: str) -> list[Any]:
    if isinstance(y, str | bytes | Mapping) or not hasattr(y, "__iter__"):
        raise ArgumentError(f"{name} is of type {type(y).__name__}; give a list, an entry for each sequence.")
    return list(y)


def _plain(y: Any, name: str) -> Array:
    """An array of labels as they are, None among them."""
    if y is None:
        raise ArgumentError(f"{name} is None; give a label for each sequence.")
    if hasattr(y, "to_numpy"):
        y = y.to_numpy()
    if isinstance(y, np.ma.MaskedArray):
        hidden, y = np.ma.getmaskarray(y), y.data.astype(object)
        y[hidden] = None
    if not isinstance(y, np.ndarray):
        if isinstance(y, str | bytes | Mapping) or not hasattr(y, "__iter__"):
            raise ArgumentError(f"{name} is of type {type(y).__name__}; give a list, an entry for each sequence.")
        y = list(y)
        mixed = any(label is None for label in y) or len({isinstance(label, str) for label in y}) > 1
        try:
            y = np.array(y, object) if mixed else array_of(y)  # NumPy alone would make text of None and of numbers
        except ValueError as error:
            raise ArgumentError(f"{name} is ragged; give one label for each.") from error
    y = y.astype(object) if y.dtype.kind == "T" else y  # text of any length
    y = y.astype(np.float64) if y.dtype == np.longdouble else y  # which JSON has not
    if y.dtype.kind not in "biufUO":
        raise ArgumentError(f"{name} is of dtype {y.dtype}; labels are text or whole numbers.")
    return y if y.dtype.kind != "O" else _as_objects(y, name)


def _as_objects(y: Array, name: str) -> Array:
    """Labels of Python's own types; what pandas has for missing ones is None."""
    flat = [label.item() if isinstance(label, np.generic) else label for label in y.ravel()]
    flat = [None if type(label).__name__ == "NAType" else label for label in flat]
    for label in flat:
        if not (label is None or isinstance(label, str | int | float)):
            raise ArgumentError(f"{name} holds {label!r}, a {type(label).__name__}; labels are text or whole numbers.")
    found = np.empty(len(flat), object)
    found[:] = flat
    return found.reshape(y.shape)


def array_of(labels: list[Any]) -> Array:
    """Return labels of one kind as an array. NumPy would make floats, some of them equal, of -1 and 2**63 + 1."""
    if any(isinstance(label, str) and label.endswith("\0") for label in labels):
        return np.array(labels, object)  # NumPy drops what is zero at the end
    found = np.array(labels)
    whole = found.dtype.kind == "f" and len(labels) and all(isinstance(label, int | np.integer) for label in labels)
    return np.array(labels, object) if whole else found


def _joined(labels: Sequence[Array], name: str) -> Array:
    if not labels:
        raise ArgumentError(f"{name} holds no label.")
    kinds = {array.dtype.kind for array in labels if len(array)}
    if len(kinds) > 1 and (kinds - {"b", "i", "u", "f"} or kinds >= {"i", "u"}):  # of "i" and "u" NumPy makes floats
        return np.concatenate([array.astype(object) for array in labels])
    return np.concatenate(labels)


def _check_labels(labels: Array, name: str, remedy: str) -> None:
    """ArgumentError for numbers that are no labels; the remedy is for those that are not finite."""
    for place, label in enumerate(labels.tolist() if labels.dtype.kind in "fO" else []):
        if isinstance(label, float) and not label.is_integer():
            kinds = "labels are text or whole numbers. To learn numbers use nn.Regressor"
            why = f"; {kinds}" if math.isfinite(label) else f": {remedy}"
            raise ArgumentError(f"{name}[{place}] is {label}{why}.")


def _unknown(labels: Array, minus_one: bool) -> Array:
    """Which are not known."""
    if labels.dtype.kind in "if":
        return (labels == UNKNOWN) & minus_one
    if labels.dtype.kind != "O":
        return np.zeros(len(labels), bool)
    return np.array([label is None or (minus_one and _is_minus_one(label)) for label in labels], bool)


def _is_minus_one(label: Any) -> bool:
    return isinstance(label, int | float | np.number) and label == UNKNOWN
