"""Compiled kernels on disk: one file for each function, types and settings, named by everything that went into it.

Numba's own cache notices an edit in the file of a function, but not in the files it calls into, nor the settings that
change what is compiled; two processes that fill it at once may overwrite each other's files, and a full disk ends the
user's call. Here a name holds a digest of *all* kernel sources, so that what was compiled from others is not found; a
file appears whole or not at all and carries a checksum; and where it can be neither read nor written, nothing happens.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import config
from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

_SETTINGS = ("BOUNDSCHECK", "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "DEBUGINFO_DEFAULT")
_CHECKSUM = hashlib.sha256().digest_size


@cache
def _sources() -> str:
    """The digest of all that kernels are compiled from. OSError if the sources cannot be read."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


@cache
def _settings() -> str:
    versions = (sys.version, numba.__version__, llvmlite.__version__)
    return repr((versions, [(name, getattr(config, name, None)) for name in _SETTINGS]))


class KernelCache(FunctionCache):
    """What Numba asks for machine code, and gives it to, for one function.

    The directory is Numba's choice: NUMBA_CACHE_DIR, or __pycache__ beside the source, or the user's cache directory.
    RuntimeError if none of them can be written.
    """

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self._prefix = f"{function.__module__}.{function.__qualname__}.{sys.implementation.cache_tag}."
        self._current = f"{self._prefix}{_sources()}."

    def _path(self, types: Any, codegen: Any) -> Path:
        key = hashlib.sha256(repr((_settings(), types, codegen.magic_tuple())).encode()).hexdigest()
        return Path(self.cache_path, f"{self._current}{key[:32]}.nbc")

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what was compiled for argument types; None if it is not there, or damaged."""
        rtsys.initialize(
            target_context
        )  # all that finished code needs; to refresh everything takes a quarter of a second
        with suppress(Exception):  # whatever is wrong with a file, compiling will do
            data = self._path(sig, target_context.codegen()).read_bytes()
            if hashlib.sha256(data[_CHECKSUM:]).digest() == data[:_CHECKSUM]:
                return self._impl.rebuild(target_context, pickle.loads(data[_CHECKSUM:]))
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled for argument types, if there is room for it."""
        with suppress(Exception):  # a full disk is no reason to fail: the kernel is compiled and runs
            path = self._path(sig, data.codegen)
            content = dumps(self._impl.reduce(data))
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
            try:
                partial.write_bytes(hashlib.sha256(content).digest() + content)
                os.replace(partial, path)
            finally:
                partial.unlink(missing_ok=True)
            self._remove_stale()

    def _remove_stale(self) -> None:
        """Delete what was compiled from other sources: an upgrade or an edit has made it useless."""
        for path in Path(self.cache_path).glob(f"{self._prefix}*.nbc"):
            if not path.name.startswith(self._current):
                path.unlink(missing_ok=True)
