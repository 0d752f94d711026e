"""Threads that work on independent parts, whose results come in the order of the parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from .errors import ArgumentError


@contextmanager
def mapping(executor: Any) -> Iterator[Callable[..., Iterator[Any]]]:
    """Yield the built-in `map`, or that of threads: of a number of them, or of a ThreadPoolExecutor.

    Raises ArgumentError for anything else.
    """
    if isinstance(executor, ThreadPoolExecutor):
        yield executor.map
    elif executor is None or (isinstance(executor, int | np.integer) and executor == 1):
        yield map
    elif isinstance(executor, int | np.integer) and not isinstance(executor, bool) and executor > 1:
        with ThreadPoolExecutor(int(executor)) as threads:
            yield threads.map
    else:
        raise ArgumentError(f"executor={executor!r} must be a number of threads or a ThreadPoolExecutor here.")
