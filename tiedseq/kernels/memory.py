"""Memory for kernels, which allocate nothing themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def aligned(size: int) -> NDArray[np.float64]:
    """Memory that starts at a cache line: a vector that straddles two costs twice."""
    return _from_a_line(np.empty(size + 8), size)


def aligned_zeros(size: int) -> NDArray[np.float64]:
    """The same, of zeros."""
    return _from_a_line(np.zeros(size + 8), size)


def _from_a_line(memory: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    first = (-memory.ctypes.data % 64) // 8
    return memory[first : first + size]
