"""The eigenvector of a matrix of weights, whether the chain that it makes mixes or not.

Few states may hardly mix, and then equations are solved. Many contexts of letters forget quickly, so that steps
reach the limit before a solver would have; it follows where they do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FEW = 12  # of which equations are solved at once
_STEPS = 60  # before they are solved for more
_PRECISION = 1e-14  # relative


def perron(matrix: Floats) -> Floats:
    """The positive right eigenvector of a matrix whose entries are not negative, which sums to one.

    Where steps do not reach it, by Noda's inverse iteration: shifts from above keep every iterate positive, and
    convergence is quadratic however close the second eigenvalue is. Rows and columns of zeros have zero. (Noda, Numer.
    Math. 17:382, 1971.)
    """
    used = np.flatnonzero(matrix.any(axis=1) & matrix.any(axis=0))
    inner, vector, gap = matrix[np.ix_(used, used)], np.full(len(used), 1.0 / max(1, len(used))), np.inf
    steps = _STEPS if len(used) > _FEW else 0
    for step in range(steps + 100):
        following = inner @ vector
        ratios = following / vector
        high, before, gap = ratios.max(), gap, ratios.max() - ratios.min()
        if gap <= _PRECISION * high or (step > steps and gap >= before):
            break
        if step >= steps:
            try:
                following = np.abs(np.linalg.solve(high * (1.0 + 1e-15) * np.eye(len(used)) - inner, vector))
            except np.linalg.LinAlgError:  # the shift is the eigenvalue
                break
        if not (following > 0.0).all():
            break
        vector = following / following.sum()
    found = np.zeros(len(matrix))
    found[used] = vector
    return found
