"""The two decorators of all kernels: compiled without the interpreter lock, cached on disk, never stale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core import config

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


def part(function: Callable[..., Any]) -> Any:
    """Compile `function` as a piece of a kernel: it is called by compiled code only, and cached with its caller.

    Its name has to be its own. The linker knows it by its name, its types and a number that counts compilations in a
    process, so two functions that share a name, each cached by a process of its own, may later be taken for one.
    """
    if "<locals>" in function.__qualname__:
        raise TypeError(f"{function.__qualname__} needs a name of its own to be a part of kernels")
    return numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)(function)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` with Numba at its first call, or load it from the cache if nothing has changed.

    Division follows NumPy (no exception), and a product may be fused with the sum it goes into; nothing else is
    relaxed, so that zeros, infinities and the order of sums stay what the source says. Where no cache directory can be
    written, kernels are compiled in memory, once a process.
    """
    compiled = numba.njit(no_cfunc_wrapper=True, **_OPTIONS)(function)
    if config.DISABLE_JIT:
        return compiled
    try:
        from ._cache import KernelCache

        compiled._cache = KernelCache(function)
    except Exception:  # no directory, no readable sources, or a future Numba with another kind of cache
        pass
    return compiled
