"""What users hand to networks, as batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.arrays import as_real
from tiedseq.chains.observations import check_not_stacked, is_one_of_letters, observations_of
from tiedseq.errors import ArgumentError, SequenceError, counted

from .signal import Batch, Signal, padding

Array = NDArray[Any]


def sequences_of(X: Any, signal: Signal, dtype: Any) -> tuple[list[Array], bool]:
    """Return the sequences as arrays, codes (L,) or numbers (L, channels), and whether X is a single one.

    A string, bytes, a record or an integer array is one sequence of letters; a list, a column of pandas or an array of
    strings is many. Of numbers an array (L, channels) is one sequence, (N, L, channels) or a list of (L, channels) are
    many; without positions an array (channels,) is one, and (N, channels) are many.

    Raises
    ------
    ArgumentError
        X is no such thing, or holds no sequence.
    SequenceError
        A sequence is empty, has letters that the alphabet lacks, other channels, another length than the network's, or
        numbers that are not finite. It is named by its number, from 0.
    """
    X = _without_pandas(X)
    if not signal.positions:
        return _rows_of(X, signal, dtype)

    def cast(entry: Any) -> Array:
        array = _numbers(entry, signal, dtype) if signal.letters is None else signal.letters.encode(entry)
        if signal.length is not None and len(array) != signal.length:
            raise SequenceError(f"X {of_another_length(len(array), signal.length)}")
        return array

    if signal.letters is not None:
        check_not_stacked(X)
    found = observations_of(X, None, cast, _is_one_of_channels if signal.letters is None else is_one_of_letters)
    return np.split(found.values, found.ends[1:-1]), found.form == "one"


def of_another_length(length: int, wanted: int) -> str:
    """Return what a message says of a sequence that is not as long as the network wants it."""
    return (
        f"has {counted(length, 'position')}, and the network takes length={wanted}: cut or pad the sequences, or make "
        "the network without length="
    )


def gathered(sequences: Sequence[Array], signal: Signal) -> Batch:
    """Return sequences side by side, padded at the end."""
    if not signal.positions:
        return Batch(np.stack(sequences))
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    shape = (len(sequences), int(lengths.max()), *sequences[0].shape[1:])
    fill = 0 if signal.letters is None else padding(signal.letters)
    values = np.full(shape, fill, sequences[0].dtype)
    for row, sequence in zip(values, sequences, strict=True):
        row[: len(sequence)] = sequence
    return Batch(values, lengths)


def check_finite(outputs: Array, numbers: NDArray[np.int64]) -> None:
    """SequenceError for sequences, of these numbers, that the network makes no finite numbers of."""
    if not np.isfinite(outputs).all():
        number = numbers[~np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1)].min()
        raise SequenceError(f"The output for sequence {number} is not finite: scale the input as that of training.")


def _without_pandas(X: Any) -> Any:
    """Return what stands in a column or table of pandas, or in an array of strings, as lists and arrays."""
    if hasattr(X, "to_numpy") and not hasattr(X, "seq"):
        X = X.to_numpy()
    return X.tolist() if isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind in "OUST" else X


def _rows_of(X: Any, signal: Signal, dtype: Any) -> tuple[list[Array], bool]:
    """The rows of a table of numbers."""
    try:
        table = as_real(X, dtype)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"X must be a table of numbers with {counted(signal.channels, 'column')}.") from error
    one = table.ndim == 1
    rows = table[None] if one else table
    if rows.ndim != 2 or rows.shape[1] != signal.channels:
        raise ArgumentError(f"X has the shape {table.shape}; the network takes (N, {signal.channels}).")
    if not len(rows):
        raise ArgumentError("X holds no row; give one at least.")
    wrong = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(wrong):
        raise SequenceError(
            f"Row {wrong[0]} holds numbers that are not finite in {np.dtype(dtype).name}; replace or "
            "scale them, or leave the row out"
        )
    return list(rows), one


def _is_one_of_channels(X: Any) -> bool:
    return isinstance(X, np.ndarray) and X.ndim < 3


def _numbers(entry: Any, signal: Signal, dtype: Any) -> Array:
    try:
        array = as_real(entry, dtype)
    except (TypeError, ValueError) as error:
        kind = f"dtype {entry.dtype}" if isinstance(entry, np.ndarray) else f"type {type(entry).__name__}"
        raise SequenceError(f"X is of {kind}; the network takes real numbers, (length, {signal.channels})") from error
    if array.ndim == 1 and signal.channels == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] != signal.channels:
        raise SequenceError(f"X has the shape {array.shape}; the network takes (length, {signal.channels})")
    if not np.isfinite(array).all():
        raise SequenceError(
            f"X holds numbers that are not finite in {np.dtype(dtype).name}; replace or scale them, or leave the "
            "sequence out"
        )
    return array
