"""Linear algebra on one thread.

The systems of an M-step have some hundred unknowns, and the products of a network are small. A BLAS that shares them
among threads gains little, and where others want the cores too its threads wait for each other: a Cholesky
factorisation of 192 unknowns took 0.26 s on two busy cores, and 0.5 ms on one thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@cache
def _libraries() -> Any:
    """Those that are loaded once SciPy's linear algebra is."""
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


class _Limit:
    """BLAS on one thread from when the first of overlapping calls begins until the last of them ends.

    The number is one for the whole process, and so are last bits: sums are cut by it.
    """

    def __init__(self) -> None:
        self.lock, self.calls = threading.Lock(), 0
        self.limit: Any = None

    def __enter__(self) -> None:
        with self.lock:
            if not self.calls:
                self.limit = _libraries().limit(limits=1, user_api="blas")
            self.calls += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.calls -= 1
            if not self.calls:
                _give_up_control()  # the thread that set the number may not be the one that resets it
                self.limit.restore_original_limits()
                _give_up_control()


def _give_up_control() -> None:
    """Let any thread set the number; newer threadpoolctl lets only the one that was first."""
    import threadpoolctl

    if clear := getattr(threadpoolctl.OpenBLASController, "clear_controlling_thread", None):
        clear(force=True)


_ONE_THREAD = _Limit()


def on_one_thread(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let BLAS use one thread while the function runs."""

    @wraps(function)
    def limited(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with _ONE_THREAD:
            return function(*args, **kwargs)

    return limited
