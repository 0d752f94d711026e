"""Memory for kernels, which allocate nothing themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def aligned_zeros(size: int) -> NDArray[np.float64]:
    """Zeros that start at a cache line: a vector that straddles two costs twice."""
    memory = np.zeros(size + 8)
    offset = (-memory.ctypes.data % 64) // 8
    return memory[offset : offset + size]
