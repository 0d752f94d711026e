"""What a prior adds to the expected counts of a label's values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import as_real
from .errors import ModelError


def pseudocounts_of(label: str, prior: Any, places: NDArray[np.intp], n: int) -> NDArray[np.float64]:
    """Return the pseudocount of each of n values: once a value, however many cells it stands in.

    Parameters
    ----------
    label : str
        What messages call it.
    prior : number, or array in the shape of the label
        Of an array, cells that are tied share the mean of theirs.
    places : int array in the shape of the label
        Which value every cell holds; -1 for what is impossible.
    n : int

    Raises
    ------
    ModelError
        What is no pseudocount, or an array of another shape.

    Examples
    --------
    >>> pseudocounts_of("w", [1.0, 2.0, 4.0], np.array([0, 1, 1]), 2)
    array([1., 3.])
    """
    try:
        if prior is None:
            raise TypeError
        given = np.broadcast_to(as_real(prior, np.float64), places.shape)
    except (TypeError, ValueError) as error:
        wanted = f", or an array of shape {places.shape}" if places.ndim else ""
        raise ModelError(f"priors[{label!r}] is {prior!r}; it needs one pseudocount{wanted}.") from error
    wrong = given[~(np.isfinite(given) & (given >= 0.0))]
    if wrong.size:
        raise ModelError(f"priors[{label!r}] holds {wrong[0]}; pseudocounts are finite and not negative.")
    kept = places >= 0
    cells = np.bincount(places[kept], minlength=n)
    return np.bincount(places[kept], given[kept], n) / np.maximum(cells, 1)
