"""Memory for kernels, which allocate nothing themselves."""

from __future__ import annotations

from typing import Any

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


_LINE = 64
_LARGE = 1 << 20  # bytes from which on memory is worth keeping
_KEPT_BYTES = 128 << 20  # of memory in all that waits for its next use
_waiting: dict[int, NDArray[np.uint8]] = {}  # by id, the oldest first


class _Lent:
    """Memory behind an array and its views; when the last of them is gone, it waits for its next use."""

    def __init__(self, memory: NDArray[np.uint8]) -> None:
        self._memory = memory
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        # No lock: this may run in the middle of anything. Single operations on a dict are safe between threads.
        _waiting[id(self._memory)] = self._memory
        while sum(memory.size for memory in list(_waiting.values())) > _KEPT_BYTES:
            for oldest in list(_waiting)[:1]:
                _waiting.pop(oldest, None)


def recycled(size: int, dtype: Any) -> NDArray[Any]:
    """Return an array as `np.empty` does, of memory that an earlier one has left, if there is some that fits.

    The system hands out large memory page by page at its first use, and clears it, which can cost more than to compute
    what is written there; and the C library gives it back as soon as it is free. It starts at a cache line.
    """
    n_bytes = size * np.dtype(dtype).itemsize
    if n_bytes < _LARGE:
        return np.empty(size, dtype)
    for key, memory in list(_waiting.items()):
        if n_bytes + _LINE <= memory.size <= 2 * n_bytes and _waiting.pop(key, None) is not None:
            break
    else:
        memory = np.empty(n_bytes + _LINE, np.uint8)
    first = -memory.ctypes.data % _LINE
    whole: NDArray[np.uint8] = np.asarray(_Lent(memory))
    return whole[first : first + n_bytes].view(dtype)
