"""Threads, processes and clusters that work on independent parts, whose results come in the order of the parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from .errors import ArgumentError, ResourceError


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


# ---- iterations of training: the same batches again and again ------------------------------------------------------


@contextmanager
def spreading(executor: Any) -> Iterator[Callable[..., Iterator[Any]]]:
    """Yield (expect, snapshot, batches) -> statistics in the order of the batches.

    `executor` is a number of threads, a concurrent.futures executor, a Dask client or None. Raises ArgumentError for
    anything else, and ResourceError where a worker dies.
    """
    try:
        if executor is None or (isinstance(executor, int | np.integer) and executor == 1):
            yield _spread(map)
        elif isinstance(executor, int | np.integer) and not isinstance(executor, bool) and executor > 1:
            with ThreadPoolExecutor(int(executor) - 1) as others:
                crew = _Crew(others, int(executor) - 1)
                yield _spread(crew.map, repeat(crew.map))
        elif isinstance(executor, Executor):
            yield _spread(submitting(executor))
        elif hasattr(executor, "scatter") and hasattr(executor, "gather"):
            yield _on_cluster(executor)
        else:
            raise ArgumentError(
                f"executor={executor!r} must be a number of threads, a concurrent.futures executor or a Dask client."
            )
    except BrokenExecutor as error:
        raise ResourceError(f"A worker died while training: {error}") from error


def _spread(outer: Any, *more: Any) -> Callable[..., Iterator[Any]]:
    return lambda expect, snapshot, batches: outer(expect, repeat(snapshot), batches, *more)


class _Crew:
    """Threads that share work, the one that asks among them: a thread less to start, and none that only waits.

    Work may ask again: who has finished his own batch takes on tasks of a batch that another has begun. Few batches
    leave nobody idle then, nor does a core that is slower than others.
    """

    def __init__(self, others: Executor, n_others: int) -> None:
        self.others, self.n_others = others, n_others
        self.offered: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def map(self, function: Callable[..., Any], *iterables: Any) -> Iterator[Any]:
        """Map as the built-in does.

        Tasks are begun in their order, so that of several that fail the first is the one whose error is seen.
        """
        tasks = [(Future[Any](), arguments) for arguments in zip(*iterables, strict=False)]
        waiting = iter(tasks)

        def work() -> None:
            for result, arguments in waiting:
                try:
                    result.set_result(function(*arguments))
                except BaseException as error:
                    result.set_exception(error)
                    for left, _ in waiting:
                        left.cancel()

        for _ in range(min(self.n_others, len(tasks) - 1)):
            self.offered.put(work)
            self.others.submit(self.help)
        work()
        return (self._awaited(result) for result, _ in tasks)

    def _awaited(self, result: Future[Any]) -> Any:
        """The result; at work elsewhere while another thread is at it."""
        while not result.done() and self.help():
            pass
        return result.result()

    def help(self) -> bool:
        """Take on the work that was offered first; return whether there was any."""
        try:
            work = self.offered.get_nowait()
        except Empty:
            return False
        work()
        return True


def _on_cluster(client: Any) -> Callable[..., Iterator[Any]]:
    """The batches are sent once, and stay where they are; workers get a snapshot and return statistics."""
    kept: dict[int, Any] = {}

    def run(expect: Any, snapshot: Any, batches: Sequence[Any]) -> Iterator[Any]:
        for number, batch in enumerate(batches):
            if number not in kept:
                kept[number] = client.scatter([batch])[0]  # a list of one: what is a tuple would be taken apart
        where = client.scatter([snapshot], broadcast=True)[0]
        futures = [client.submit(expect, where, kept[number], pure=False) for number in range(len(batches))]
        return (future.result() for future in futures)

    return run
