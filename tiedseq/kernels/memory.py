"""Memory for kernels, which allocate nothing themselves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

LINE = 64  # bytes of a cache line

_LARGE = 1 << 20  # bytes from which on memory is worth keeping
_KEPT_BYTES = 128 << 20  # of memory in all that waits for its next use
_waiting: dict[int, NDArray[np.uint8]] = {}  # by id, the oldest first


def aligned(size: int) -> NDArray[np.float64]:
    """Memory that starts at a cache line: a vector that straddles two costs twice."""
    return _from_a_line(np.empty(size + LINE // 8), size)


def aligned_zeros(size: int) -> NDArray[np.float64]:
    """The same, of zeros."""
    return _from_a_line(np.zeros(size + LINE // 8), size)


def aligned_zeros_of(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Zeros of any shape and dtype, from the beginning of a cache line on."""
    size = math.prod(shape)
    whole = aligned_zeros(-(-size * np.dtype(dtype).itemsize // 8))
    found: NDArray[Any] = whole.view(dtype)[:size].reshape(shape)
    return found


def _from_a_line(memory: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    first = (-memory.ctypes.data % LINE) // 8
    return memory[first : first + size]


class _Lent:
    """Memory behind an array and its views; when the last of them is gone, it waits for its next use."""

    def __init__(self, memory: NDArray[np.uint8]) -> None:
        self._memory = memory
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        # No lock: this may run in the middle of anything. Single operations on a dict are safe between threads, and so
        # are lists of its keys or values, which make no objects while they go over it.
        if self._memory.size > _KEPT_BYTES:
            return
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
    memory = _taken(n_bytes)
    if memory is None:
        memory = np.empty(n_bytes + LINE, np.uint8)
    first = -memory.ctypes.data % LINE
    whole: NDArray[np.uint8] = np.asarray(_Lent(memory))
    return whole[first : first + n_bytes].view(dtype)


def _taken(n_bytes: int) -> NDArray[np.uint8] | None:
    """Memory that waits and fits, which waits no longer; None if there is none. Of two threads one gets it."""
    for memory in list(_waiting.values()):
        if n_bytes + LINE <= memory.size <= 2 * n_bytes and _waiting.pop(id(memory), None) is not None:
            return memory
    return None
