"""Numbers that users hand in, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .options import as_float

Array = NDArray[Any]


def as_real(entry: Any, dtype: Any) -> Array:
    """Return numbers in a dtype, infinite where they are beyond its range, NaN where they are masked.

    Raises TypeError or ValueError for what are no real numbers: complex ones and times too, which NumPy would cast.

    >>> as_real([1, 10**400], np.float64)
    array([ 1., inf])
    """
    try:
        found = np.asarray(entry)
    except RuntimeError as error:  # of a tensor that records gradients
        raise TypeError(str(error)) from error
    if found.dtype.kind in "cmM":
        raise TypeError(f"they are of dtype {found.dtype}")
    if found.dtype.kind == "O" and any(isinstance(number, np.complexfloating) for number in found.ravel()):
        raise TypeError("some are complex")  # of which float() would take the real part
    with np.errstate(over="ignore"):
        try:
            real = np.asarray(found, dtype)
        except OverflowError:  # whole numbers of Python, as 10**400
            real = np.array([as_float(number) for number in found.ravel()], dtype).reshape(found.shape)
    return np.where(np.ma.getmaskarray(entry), dtype(np.nan), real) if isinstance(entry, np.ma.MaskedArray) else real
