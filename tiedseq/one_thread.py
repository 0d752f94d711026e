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


_SETTING = threading.Lock()  # held by the one call that has set the number, and will reset it


def on_one_thread(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let BLAS use one thread while the function runs, or as long as another such call does that began before it.

    The number is one for the whole process. If two calls that overlap both set and reset it, the second would take the
    first one's 1 for what was before.
    """

    @wraps(function)
    def limited(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if not _SETTING.acquire(blocking=False):
            return function(*args, **kwargs)
        try:
            with _libraries().limit(limits=1, user_api="blas"):
                return function(*args, **kwargs)
        finally:
            _SETTING.release()

    return limited
