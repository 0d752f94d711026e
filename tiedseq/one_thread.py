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


class _Setting:
    """The number of threads, which is one for the whole process, while any call is inside.

    The first to enter sets it and the last to leave resets it: if each did both, the second would take the first one's
    1 for what was before, and if only the first did, the second would go on with more threads, which change last bits.
    """

    def __init__(self) -> None:
        self.lock, self.inside = threading.Lock(), 0
        self.limits: Any = None

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.limits = _libraries().limit(limits=1, user_api="blas")
            self.inside += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.limits.restore_original_limits()


_SETTING = _Setting()


def on_one_thread(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let BLAS use one thread while the function runs, and while others do that began before it ended."""

    @wraps(function)
    def limited(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with _SETTING:
            return function(*args, **kwargs)

    return limited
