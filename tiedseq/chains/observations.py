"""What users hand to an HMM, as sequences: one or many, and back to the shape in which they came."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError, SequenceError, counted

Index = NDArray[np.int64]


class Observations(NamedTuple):
    """Sequences one after the other: sequence k is values[ends[k] : ends[k + 1]]."""

    values: NDArray[Any]  # (letters,) codes, or (observations, dims) numbers
    ends: Index  # (sequences + 1,)
    form: str  # "one", "list" or "stacked": how they were given

    def __len__(self) -> int:
        return len(self.ends) - 1

    def restored(self, by_letter: NDArray[Any]) -> Any:
        """Return what belongs to every letter in the form in which the sequences came."""
        return by_letter if self.form != "list" else np.split(by_letter, self.ends[1:-1])


Cast = Callable[[Any], NDArray[Any]]
"""Turns one sequence into an array of codes or numbers; SequenceError where it cannot, whose message calls it X."""


def observations_of(X: Any, lengths: Any, cast: Cast, is_one: Callable[[Any], bool]) -> Observations:
    """Return the sequences in X.

    Parameters
    ----------
    X : one sequence, an iterable of sequences, or with `lengths` all of them stacked
    lengths : sequence of int or None
    cast, is_one : functions
        What to make of one sequence, and whether X is one.

    Raises
    ------
    ArgumentError
        There is no sequence, or the lengths do not add up.
    SequenceError
        A sequence is empty or does not suit the model; with its number where there are several.
    """
    if lengths is not None:
        values = cast(X)
        ends = _ends_of(lengths, len(values), _unit(values))
        return Observations(values, ends, "stacked")
    if is_one(X):
        values = cast(X)
        _check_length(values, None)
        return Observations(values, np.array([0, len(values)]), "one")
    if not isinstance(X, Iterable):
        raise ArgumentError(f"X is of type {type(X).__name__}; it must be a sequence or many of them.")
    parts = [_numbered(cast, item, number) for number, item in enumerate(X)]
    if not parts:
        raise ArgumentError("X holds no sequence; give one at least.")
    return Observations(np.concatenate(parts), np.cumsum([0, *map(len, parts)]), "list")


def _numbered(cast: Cast, item: Any, number: int) -> NDArray[Any]:
    try:
        values = cast(item)
    except SequenceError as error:
        said = str(error)  # X are all of them
        said = f"it{said[1:]}" if said.startswith("X ") else said
        raise SequenceError(f"Sequence {number}: {said}", error.position) from error
    except ArgumentError as error:  # something else than a sequence, such as None in a column
        raise ArgumentError(f"Sequence {number}: {error}") from error
    _check_length(values, number)
    return values


def _check_length(values: NDArray[Any], number: int | None) -> None:
    if not len(values):
        which = "X" if number is None else f"Sequence {number}"
        least = f"one {_unit(values)} at least is needed"
        raise SequenceError(f"{which} is empty; {least}. Leave empty sequences out.")


def _unit(values: NDArray[Any]) -> str:
    """What they are called: codes, or numbers with an axis of their own for what is observed at a position."""
    return "letter" if values.ndim == 1 else "position"


def _ends_of(lengths: Any, total: int, unit: str) -> Index:
    try:
        array = np.asarray(lengths)
        if array.ndim != 1 or array.dtype.kind not in "iu" or not len(array):
            raise ValueError
    except ValueError as error:
        raise ArgumentError(f"lengths={lengths!r} must be a list of whole numbers, one for each sequence.") from error
    if (array < 1).any():
        number = int(np.flatnonzero(array < 1)[0])
        raise ArgumentError(f"lengths[{number}] is {array[number]}; a sequence has one {unit} at least.")
    if (array > total).any() or array.sum() != total:
        raise ArgumentError(f"lengths= add up to {sum(array.tolist())}, but X holds {counted(total, unit)}.")
    return np.concatenate([[0], np.cumsum(array, dtype=np.int64)])


def is_scalar_list(X: Any) -> bool:
    """Whether X is a list or tuple of single numbers: one sequence."""
    if isinstance(X, str | bytes) or not isinstance(X, Sequence) or not len(X):
        return False
    return all(isinstance(x, int | float | np.number) for x in X)


def check_not_stacked(X: Any) -> None:
    """ArgumentError for an array or table of letters, which is neither a sequence nor a list of them."""
    if getattr(X, "ndim", 1) > 1:
        raise ArgumentError(
            f"X has the shape {tuple(X.shape)}; give one sequence, as text or integer codes (L,), or a list of them: "
            "list(X) if its rows are codes, a single column of it if that holds text."
        )


def is_one_of_letters(X: Any) -> bool:
    """Whether X is one sequence of letters: text, a record, codes; not a list of such."""
    return (
        not isinstance(X, Iterable)
        or isinstance(X, str | bytes)
        or hasattr(X, "seq")
        or is_scalar_list(X)
        or (not isinstance(X, list | tuple) and hasattr(X, "__len__") and hasattr(X, "__getitem__"))
    )


def is_one_of_numbers(X: Any) -> bool:
    """Whether X is one sequence of numbers: an array, a table of pandas, a list of numbers, channels by name."""
    return isinstance(X, np.ndarray | Mapping) or hasattr(X, "to_numpy") or is_scalar_list(X)
