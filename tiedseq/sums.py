"""Rows and tables of a model that sum to one: can they, with the values given, and what is left for others?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .constraints import TYPED
from .errors import ModelError
from .simplex import Simplex
from .ties import Ties

Vector = NDArray[np.float64]


class SumToOne(NamedTuple):
    """Entries of the flat vector that sum to one, and what a message calls them."""

    title: str
    places: NDArray[np.intp]


def constrain(ties: Ties, rows: list[SumToOne], given: Vector, is_held: NDArray[np.bool_]) -> tuple[Simplex, Simplex]:
    """Return the constraints of the model, and those on the values that are not given yet; or raise ModelError."""
    rows = not_held(ties, rows, is_held)
    for known in (np.where(is_held, given, np.nan), given):
        _check_sums(ties, rows, known)
    held = np.flatnonzero(is_held)
    simplex = Simplex(ties, [row.places for row in rows], dict(zip(held.tolist(), given[held].tolist(), strict=True)))
    known = given.copy()
    for index, value in simplex.forced.items():
        name = ties.names[index]
        if not np.isnan(given[index]) and abs(given[index] - value) > TYPED:
            raise ModelError(
                f"Sums to one force {name!r} to be {value:.7g}, because of its ties, but its starting value is "
                f"{given[index]:.7g}. Leave the value out, or untie it."
            )
        if value <= 0.0 and np.isnan(given[index]):
            raise ModelError(f"Sums to one force {name!r} to be 0, as other labels fill its rows; untie or remove it.")
        known[index] = value
    _check_sums(ties, rows, known)
    labels, number = _entries(ties, rows)
    open_rows = [rows[k].places for k in np.unique(number[np.isnan(known[labels])]).tolist()]
    settled = np.flatnonzero(~np.isnan(known))
    try:
        rest = Simplex(ties, open_rows, dict(zip(settled.tolist(), known[settled].tolist(), strict=True)))
    except ModelError as error:
        raise ModelError(f"The given values leave no way to fill their rows. {error}") from error
    return simplex, rest


def _entries(ties: Ties, rows: list[SumToOne]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the values at all possible entries of rows, one row after the other, and the number of each one's row."""
    labels = ties.labels[np.concatenate([np.zeros(0, np.intp), *(row.places for row in rows)])]
    number = np.repeat(np.arange(len(rows)), [len(row.places) for row in rows])
    return labels[labels >= 0], number[labels >= 0]


def not_held(ties: Ties, rows: list[SumToOne], is_held: NDArray[np.bool_]) -> list[SumToOne]:
    """Return the rows of which not everything is held."""
    labels, number = _entries(ties, rows)
    entries, held = np.bincount(number, minlength=len(rows)), np.bincount(number, is_held[labels], len(rows))
    return [rows[k] for k in np.flatnonzero((entries == 0) | (held < entries)).tolist()]


def _check_sums(ties: Ties, rows: list[SumToOne], known: Vector) -> None:
    """Raise ModelError unless the known values of every row sum to one, or leave something for the others."""
    labels, number = _entries(ties, rows)
    total = np.bincount(number, np.nan_to_num(known[labels], nan=0.0), len(rows))
    is_open = np.bincount(number, np.isnan(known[labels]), len(rows)) > 0
    # A closer look at these alone, rounding aside: of orders above zero there are many rows.
    for k in np.flatnonzero(np.where(is_open, total > 1.0 - 1e-11, np.abs(total - 1.0) > 0.5 * TYPED)).tolist():
        _check_sum(ties, rows[k], known)


def _check_sum(ties: Ties, row: SumToOne, known: Vector) -> None:
    """Raise ModelError unless the known values of a row sum to one, or leave something for the others."""
    indices, times = np.unique(ties.labels[row.places], return_counts=True)
    indices, times = indices[indices >= 0], times[indices >= 0]
    total = float(times @ np.nan_to_num(known[indices], nan=0.0))
    terms = [
        (f"{m} x " if m > 1 else "") + f"{ties.names[g]!r} {known[g]:.7g}"
        for g, m in zip(indices.tolist(), times.tolist(), strict=True)
        if not np.isnan(known[g])
    ]
    shown = f" ({', '.join(terms[:8])}{', ...' if len(terms) > 8 else ''})" if terms else ""
    missing = [repr(ties.names[g]) for g in indices.tolist() if np.isnan(known[g])]
    if not missing and abs(total - 1.0) > TYPED:
        raise ModelError(f"{row.title} sums to {total:.9g}{shown}; it must sum to 1, within 1e-6.")
    if missing and total > 1.0 - 2e-12:  # a mass of 1e-12 is the rounding of a zero
        raise ModelError(
            f"{row.title} has values that sum to {total:.9g}{shown}, which leaves nothing for "
            f"{', '.join(missing[:8])}; lower them, or remove what is impossible."
        )
