"""Threads that work on independent parts, whose results come in the order of the parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from .errors import ArgumentError


def submitting(executor: Executor) -> Callable[..., Iterator[Any]]:
    """Return an executor's `map`, which raises ArgumentError if the executor has been shut down."""

    def submit(function: Callable[..., Any], *iterables: Any) -> Iterator[Any]:
        try:
            return executor.map(function, *iterables)
        except BrokenExecutor:
            raise
        except RuntimeError as error:
            if "shutdown" not in str(error):
                raise
            raise ArgumentError(
                f"executor={executor!r} has been shut down, and takes no more work; give one that is open, or a "
                "number of threads."
            ) from error

    return submit


@contextmanager
def mapping(executor: Any) -> Iterator[Callable[..., Iterator[Any]]]:
    """Yield the built-in `map`, or that of threads: of a number of them, or of a ThreadPoolExecutor.

    Raises ArgumentError for anything else.
    """
    if isinstance(executor, ThreadPoolExecutor):
        yield submitting(executor)
    elif executor is None or (isinstance(executor, int | np.integer) and executor == 1):
        yield map
    elif isinstance(executor, int | np.integer) and not isinstance(executor, bool) and executor > 1:
        threads = ThreadPoolExecutor(int(executor))
        try:
            yield threads.map
        except BaseException:  # an error, or Ctrl-C: nobody waits for what has begun, and nothing more begins
            threads.shutdown(wait=False, cancel_futures=True)
            raise
        threads.shutdown()
    else:
        raise ArgumentError(f"executor={executor!r} must be a number of threads or a ThreadPoolExecutor here.")
