"""Memory for kernels, which allocate nothing themselves: it starts at a cache line."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from .layout import LANES

Floats = NDArray[np.float64]

_KEPT_BYTES = 64 << 20  # that a thread keeps for the next call
_kept = threading.local()


def aligned_zeros(size: int) -> Floats:
    """Zeros that start at a cache line: a vector that straddles two costs twice."""
    memory = np.zeros(size + 8)
    offset = (-memory.ctypes.data % 64) // 8
    return memory[offset : offset + size]


def scratch(*counts: int) -> list[Floats]:
    """Vectors whose content does not matter, valid until the same thread asks again.

    They are kept: new memory is handed out page by page, which takes as long as the work on short sequences.
    """
    wanted = sum(counts)
    memory: Floats | None = getattr(_kept, "memory", None)
    if memory is None or memory.size < wanted * LANES:
        memory = aligned_zeros(wanted * LANES)
        if memory.nbytes <= _KEPT_BYTES:
            _kept.memory = memory
    return np.split(memory[: wanted * LANES], np.cumsum(counts[:-1]) * LANES)
