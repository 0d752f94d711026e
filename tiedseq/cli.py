"""The command line: words in, exit status out. `main` is the one place where errors are caught.

Nothing heavy is imported before the options are known to be right, so that `--help` and a mistyped option cost nothing.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from tiedseq.errors import ArgumentError, ResourceError, TiedseqError

if TYPE_CHECKING:
    import argparse

INPUT, USAGE, ENVIRONMENT, DEFECT, INTERRUPTED, CLOSED_PIPE, TERMINATED = 1, 2, 3, 70, 130, 141, 143

# The module that each command is a function of.
_COMMANDS = {
    "align": "align",
    "train": "pairs",
    "compare": "pairs",
    "fit": "hmm",
    "annotate": "hmm",
    "score": "models",
    "sample": "models",
    "info": "models",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; `argv` is `sys.argv[1:]` by default.

    With TIEDSEQ_DEBUG set in the environment, errors keep their traceback. Without `argv` the command is the whole
    process: if it fails or is stopped, its output is cleaned up, and the process ends without waiting for alignments
    that threads are still at.

    >>> main(["--version"])
    tiedseq ...
    0
    """
    status = _status(sys.argv[1:] if argv is None else list(argv))
    if argv is None and status and threading.active_count() > 1:
        os._exit(status)  # an interpreter that exits would wait for them, for seconds if the sequences are long
    return status


def _status(argv: list[str]) -> int:
    """Run the command; whatever happens becomes an exit status, with all output flushed."""
    try:
        with _terminable(), _heard():
            return _run(argv)
    except SystemExit as request:  # argparse after --help or a usage error, and SIGTERM
        _abandon_output()
        return request.code if isinstance(request.code, int) else USAGE
    except BrokenPipeError:
        _abandon_output()
        return CLOSED_PIPE
    except KeyboardInterrupt:
        _abandon_output()
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("TIEDSEQ_DEBUG"):
            raise
        _abandon_output()
        if stopped := _signal_behind(error):
            return stopped
        from tiedseq.commands.shared import say

        status, message = _verdict(error)
        with contextlib.suppress(OSError):
            say(f"error: {' '.join(message.splitlines())}")
        return status


def _signal_behind(error: BaseException | None) -> int | None:
    """The status of the signal that an error comes from, if any: Python, making a class, puts one of its own first."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return INTERRUPTED
        if isinstance(error, SystemExit) and error.code == TERMINATED:
            return TERMINATED
        error = error.__cause__ or error.__context__
    return None


def _verdict(error: Exception) -> tuple[int, str]:
    """Whose fault it is, and the line that says so."""
    from concurrent.futures import BrokenExecutor

    if isinstance(error, TiedseqError):
        kinds = {ResourceError: ENVIRONMENT, ArgumentError: USAGE}
        return next((status for kind, status in kinds.items() if isinstance(error, kind)), INPUT), str(error)
    if isinstance(error, MemoryError):
        return ENVIRONMENT, "there is not enough memory for this"
    if isinstance(error, BrokenExecutor):
        return ENVIRONMENT, f"a worker died: {error}"
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return ENVIRONMENT, f"{place}{error.strerror or error}"
    kind = type(error).__name__
    return DEFECT, f"a defect in tiedseq, please report it: {kind}: {error} (TIEDSEQ_DEBUG=1 shows where)"


def _run(argv: list[str]) -> int:
    from tiedseq.commands.arguments import parser  # here Ctrl-C is caught already

    # --pairs takes a value only behind "=", so that `--pairs A.fa B.fa` does not swallow A.fa.
    words = ["--pairs=order" if word == "--pairs" else word for word in argv]
    options, unknown = parser().parse_known_args(words)
    if unknown:
        command = options.parser.prog
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)} ({command} --help shows what there is)")
    module = import_module(f"tiedseq.commands.{_COMMANDS[options.command]}")
    options.words = argv
    command_of: Callable[[argparse.Namespace], int] = getattr(module, options.command)
    return command_of(options)


def _abandon_output() -> None:
    """Forget what is buffered for a standard output that failed, lest the interpreter tries again when it exits."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        return
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM (a job scheduler's way to stop a program) clean up as Ctrl-C does."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(TERMINATED)

    try:
        previous = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread, where signals do not arrive
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def _heard() -> Iterator[None]:
    """Let no signal go unheard: what is raised in a finaliser or in a callback from C, Python prints and forgets.

    The compiler has such callbacks, so that Ctrl-C while kernels are loaded would do nothing.
    """
    before, is_over = sys.unraisablehook, threading.Event()

    def again(number: signal.Signals) -> None:
        time.sleep(0.01)  # past the callback
        if not is_over.is_set():
            _thread.interrupt_main(number)

    def hear(lost: Any) -> None:
        if isinstance(lost.exc_value, KeyboardInterrupt):
            _thread.start_new_thread(again, (signal.SIGINT,))
        elif isinstance(lost.exc_value, SystemExit) and lost.exc_value.code == TERMINATED:
            _thread.start_new_thread(again, (signal.SIGTERM,))
        else:
            before(lost)

    sys.unraisablehook = hear
    try:
        yield
    finally:
        is_over.set()
        sys.unraisablehook = before


if __name__ == "__main__":
    sys.exit(main())
