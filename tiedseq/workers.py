"""Threads, processes and clusters that work on independent parts, whose results come in the order of the parts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from .errors import ArgumentError, ResourceError

_NO_THREAD = "can't start new thread"  # in the words of CPython


def submitting(executor: Executor, given: Any = None) -> Callable[..., Iterator[Any]]:
    """Return an executor's `map`, which raises ArgumentError if the executor has been shut down.

    ResourceError if there can be no thread for it. `given` is what was asked for, if not the executor itself.
    """

    def submit(function: Callable[..., Any], *iterables: Any) -> Iterator[Any]:
        try:
            return executor.map(function, *iterables)
        except BrokenExecutor:
            raise
        except RuntimeError as error:
            if too_many := too_many_threads(f"executor={executor if given is None else given!r}", error):
                raise too_many from error
            if "shutdown" not in str(error):
                raise
            raise ArgumentError(
                f"executor={executor!r} has been shut down, and takes no more work; give one that is open, or a "
                "number of threads."
            ) from error

    return submit


def too_many_threads(asked: str, error: Exception) -> ResourceError | None:
    """Return what to raise where the system does not start a thread; None if that is not what the error says."""
    if not isinstance(error, RuntimeError) or _NO_THREAD not in str(error):
        return None
    return ResourceError(
        f"{asked} asks for more threads than the system starts: {threading.active_count()} run already "
        f"({error}). Give a smaller number; more than there are processors make nothing faster."
    )


def _threads_in(executor: Any) -> int | None:
    """The number of threads that `executor=` asks for; None if it is no such number."""
    if executor is None:
        return 1
    is_number = isinstance(executor, int | np.integer) and not isinstance(executor, bool)
    return int(executor) if is_number and executor >= 1 else None


def is_crew(executor: Any) -> bool:
    """Whether it is workers themselves, which belong to this process, and not a number of them."""
    return isinstance(executor, Executor) or _is_client(executor)


def _is_client(executor: Any) -> bool:
    return hasattr(executor, "scatter") and hasattr(executor, "gather")


@contextmanager
def mapping(executor: Any) -> Iterator[Callable[..., Iterator[Any]]]:
    """Yield the built-in `map`, or that of threads: of a number of them, or of a ThreadPoolExecutor.

    Raises ArgumentError for anything else, and ResourceError where a thread cannot be started.
    """
    count = _threads_in(executor)
    if isinstance(executor, ThreadPoolExecutor):
        yield submitting(executor)
    elif count == 1:
        yield map
    elif count is not None:
        threads = ThreadPoolExecutor(count)
        try:
            yield submitting(threads, count)
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
    anything else, and ResourceError where a worker dies, or cannot be started.
    """
    count = _threads_in(executor)
    try:
        if count == 1:
            yield _spread(map)
        elif count is not None:
            crew = _Crew(count - 1)
            try:
                crew.gather()
                yield _spread(crew.map, repeat(crew.map))
            finally:
                crew.dismiss()
        elif isinstance(executor, Executor):
            yield _spread(submitting(executor))
        elif _is_client(executor):
            yield _on_cluster(executor)
        else:
            raise ArgumentError(
                f"executor={executor!r} must be a number of threads, a concurrent.futures executor or a Dask client."
            )
    except BrokenExecutor as error:
        raise ResourceError(f"A worker died while training: {error}") from error


def _spread(outer: Any, *more: Any) -> Callable[..., Iterator[Any]]:
    return lambda expect, snapshot, batches: outer(expect, repeat(snapshot), batches, *more)


_Outcome = tuple[Any, BaseException | None]


class _Task:
    """One call, and what came of it. A queue in C: Ctrl-C cannot come while it is half changed, as it can a Future."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self.arguments = arguments
        self.outcome: SimpleQueue[_Outcome] = SimpleQueue()


class _Crew:
    """Threads that share work, the one that asks among them: a thread less to start, and none that only waits.

    Work may ask again: who has finished his own batch takes on tasks of a batch that another has begun. Few batches
    leave nobody idle then, nor does a core that is slower than others.

    Only queues join the threads, which Ctrl-C leaves whole; the locks of a ThreadPoolExecutor it may leave shut.
    """

    def __init__(self, n_others: int) -> None:
        self.n_others = n_others
        self.others: list[threading.Thread] = []
        self.offered: SimpleQueue[Callable[[], None] | None] = SimpleQueue()  # None: no more will come
        self.gone = False  # whether the thread that asked has left: nothing more is begun, what it had has no outcome

    def gather(self) -> None:
        """Start the others. ResourceError if the system has no room for them."""
        for _ in range(self.n_others):
            self.others.append(threading.Thread(target=self._serve, daemon=True))
            try:
                self.others[-1].start()
            except RuntimeError as error:
                raise too_many_threads(f"executor={self.n_others + 1}", error) or error from error

    def dismiss(self) -> None:
        """Let the others finish what they are at, and end."""
        self.gone = True
        for _ in self.others:
            self.offered.put(None)
        for other in self.others:
            if other.is_alive():
                other.join()

    def _serve(self) -> None:
        while work := self.offered.get():
            work()

    def map(self, function: Callable[..., Any], *iterables: Any) -> Iterator[Any]:
        """Map as the built-in does.

        Tasks are begun in their order, so that of several that fail the first is the one whose error is seen.
        """
        tasks = [_Task(arguments) for arguments in zip(*iterables, strict=False)]
        waiting = iter(tasks)

        def work() -> None:
            outcome: _Outcome
            for task in waiting:
                if self.gone:
                    return
                try:
                    outcome = function(*task.arguments), None
                except BaseException as error:
                    outcome = None, error
                    for left in waiting:
                        left.outcome.put((None, CancelledError()))
                task.outcome.put(outcome)

        for _ in range(min(len(self.others), len(tasks) - 1)):
            self.offered.put(work)
        work()
        return (self._awaited(task) for task in tasks)

    def _awaited(self, task: _Task) -> Any:
        """The result; at work elsewhere while another thread is at it."""
        while task.outcome.empty() and self._help():
            pass
        value, error = self._outcome(task)
        if error is not None:
            raise error
        return value

    def _help(self) -> bool:
        """Take on the work that was offered first; return whether there was any."""
        try:
            work = self.offered.get_nowait()
        except Empty:
            return False
        if work is None:  # meant for a thread that serves
            self.offered.put(None)
            return False
        work()
        return True

    def _outcome(self, task: _Task) -> _Outcome:
        while True:
            try:
                return task.outcome.get(timeout=0.2)
            except Empty:
                if self.gone:
                    return None, CancelledError()


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
