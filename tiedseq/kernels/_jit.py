"""The one decorator of all kernels: compiled without the interpreter lock, cached on disk, never stale.

Numba's cache notices an edit in the file of a function, but not in the files it calls into, and it does not see the
settings that change what is compiled. A cached kernel would then go on computing old numbers after an upgrade. So the
cache of every kernel is stamped with a digest of *all* kernel sources and of those settings: another digest, another
compilation. Where no cache directory can be written, kernels are compiled in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import config


@cache
def _stamp() -> str:
    digest = hashlib.sha256(repr((numba.__version__, config.BOUNDSCHECK, config.OPT)).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


def part(function: Callable[..., Any]) -> Any:
    """Compile `function` as a piece of a kernel: it is called by compiled code only, and cached with its caller."""
    return numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)(function)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` with Numba at its first call, or load it from the cache if nothing has changed.

    Division follows NumPy (no exception), and a product may be fused with the sum it goes into; nothing else is
    relaxed, so that zeros, infinities and the order of sums stay what the source says.
    """
    compiled = numba.njit(**_OPTIONS)(function)
    if config.DISABLE_JIT:
        return compiled
    try:
        compiled.enable_caching()
        compiled._cache._cache_file._source_stamp = _stamp()
    except (RuntimeError, OSError, AttributeError):
        # RuntimeError: Numba found no writable directory. AttributeError: a future Numba stores its stamp elsewhere.
        return numba.njit(**_OPTIONS)(function)
    return compiled
