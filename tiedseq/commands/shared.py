"""What commands share: models from files, where output goes, progress and lines on standard error."""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
import re
import shlex
import stat
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tiedseq import __version__
from tiedseq.errors import ArgumentError, ConvergenceWarning, InputError, ModelError, ResourceError, counted

if TYPE_CHECKING:
    from tiedseq.alphabet import Alphabet
    from tiedseq.records import Record
    from tiedseq.training import Iteration

# What the command calls the arguments that remarks name.
_OPTIONS = {
    "max_iter": "--max-iter",
    "tol": "--tol",
    "bootstrap": "--bootstrap",
    "permutation": "--permutation",
    "gaps": "--gaps",
    "alphabet": "--alphabet",
    "substitution": "--substitution",
    "symmetry": "--symmetry",
}


def load_model(path: str, *kinds: str) -> Any:
    """Return the model in a file. InputError if it is of none of these kinds."""
    from tiedseq.storage import load

    model = load(path)
    if model.kind not in kinds:
        needed = " or ".join(map(repr, kinds))
        raise InputError(f"it holds a model of the kind {model.kind!r}; this command needs one of {needed}", path)
    return model


def letters_of(model: Any, path: str, command: str) -> Alphabet:
    """Return the model's alphabet. InputError if it emits numbers, since the files of sequences hold letters."""
    if model.alphabet is None:
        raise InputError(f"it emits numbers; {command} on the command line is for sequences of letters", path)
    alphabet: Alphabet = model.alphabet
    return alphabet


def output_of(output: str | None) -> Any:
    """Return where the output goes: a path, or standard output as UTF-8, whatever the locale."""
    if output not in (None, "-"):
        return output
    if sys.stdout is None:
        raise ResourceError("standard output is closed")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    return sys.stdout


def write_text(text: str, output: str | None = None) -> None:
    """Write text and the end of a line to a file, or to standard output."""
    from tiedseq.sink import open_sink

    with open_sink(output_of(output)) as sink:
        sink.write(text + "\n")


def check_files(options: argparse.Namespace, inputs: dict[str, str | None]) -> None:
    """See to it that no name of a file is empty, and that the output replaces no input; exits with status 2.

    ResourceError if the output cannot be written, which after hours of work would be late to find.
    """
    for name, path in {**inputs, "-o": options.output}.items():
        if path == "":
            options.parser.error(f"{name} is empty: give the name of a file")
    for name, path in inputs.items():
        if options.output and path and path != "-" and _is_same_file(path, options.output):
            options.parser.error(f"-o {options.output} would replace the file given as {name}: give another name")
    if options.output not in (None, "-"):
        from tiedseq.sink import check_writable

        check_writable(options.output)


def refuse(options: argparse.Namespace, names: Sequence[str], why: str) -> None:
    """A usage error for options that were typed and would do nothing."""
    typed = {word.partition("=")[0] for word in options.words}
    for name in names:
        if (option := f"--{name.replace('_', '-')}") in typed:
            options.parser.error(f"{option} {why}")


def _is_same_file(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other) and stat.S_ISREG(os.stat(path).st_mode)
    except OSError:  # one of them does not exist yet
        return os.path.realpath(path) == os.path.realpath(other)


def say(message: str, quiet: bool = False) -> None:
    """Write a line to standard error."""
    if not quiet and sys.stderr is not None:
        print(f"tiedseq: {message}", file=sys.stderr)


def in_options(remark: str, output: str | None = None) -> str:
    """A remark of the library in one line, with the command's options for the arguments of Python.

    `output` is the model file that another command may go on from, if one is written.
    """
    remark = remark.replace(", or continue with warm_start=True", f", or continue with --model {output}" * bool(output))
    remark = re.sub(r"\bts\.(DNA|RNA|PROTEIN)\b", lambda named: named[1].lower(), remark)
    for argument, option in _OPTIONS.items():
        remark = re.sub(rf"\b{argument}=(?=\w)", f"{option} ", remark)
        remark = re.sub(rf"\b{argument}=|(?<=raise ){argument}\b|(?<=lower ){argument}\b", option, remark)
    return " ".join(remark.split())


def by_option(error: ResourceError) -> ResourceError:
    """The same error, with the command's option for the argument of Python."""
    return ResourceError(re.sub(r"\b(executor|threads)=", "--threads ", str(error)))


def origin(options: argparse.Namespace, digest: str) -> dict[str, Any]:
    """How values came about: the command as it was typed, by which version, from which seed and data (SHA-256)."""
    typed = shlex.join(["tiedseq", *options.words])
    return {
        "command": typed.encode("utf-8", "backslashreplace").decode(),  # names of files may be no text
        "version": __version__,
        "seed": options.seed,
        "data_sha256": digest,
    }


def of_training(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """What `fit` is told of how long to train, from where, and by whom."""
    return {
        "max_iter": options.max_iter,
        "tol": options.tol,
        "random_state": options.seed,
        "executor": options.threads,
        "checkpoint": options.checkpoint,
        "callback": progress.iteration,
    }


def outcome(model: Any, log_likelihood: float) -> dict[str, Any]:
    """What came of a training, as model files record it."""
    return {
        "log_likelihood": log_likelihood,
        "iterations": len(model.history_),
        "converged": model.converged_,
    }


def in_words(model: Any, log_likelihood: float) -> str:
    """The same for the last line on standard error."""
    state = "converged" if model.converged_ else "not converged"
    return f"log-likelihood {log_likelihood:.3f} nats, {counted(len(model.history_), 'iteration')}, {state}"


@contextlib.contextmanager
def passing_on_remarks(options: argparse.Namespace, output: str | None) -> Iterator[None]:
    """Say what a training within warns of; `output` as for `in_options`."""
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always", ConvergenceWarning)
        yield
    for remark in remarks:
        say(in_options(str(remark.message), output), options.quiet)


@contextlib.contextmanager
def usage(options: argparse.Namespace) -> Iterator[None]:
    """A usage error for options that make no model: what the library says, in the words of the command line."""
    try:
        yield
    except (ArgumentError, ModelError) as error:
        options.parser.error(in_options(str(error)))


class Tally:
    """Counts records and sums up confidences, for the last line on standard error."""

    def __init__(self) -> None:
        self.n_records = self.n_skipped = self._n_confidences = 0
        self._sum = 0.0

    def not_empty(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records that have letters, one at a time; the others count as skipped."""
        for record in records:
            self.n_records += 1
            if len(record):
                yield record
            else:
                self.n_skipped += 1

    def add(self, confidence: float, n: int) -> None:
        """Count a mean confidence of n letters or columns."""
        self._sum += confidence * n
        self._n_confidences += n

    def __str__(self) -> str:
        line = f"{counted(self.n_records, 'record')}, {self.n_skipped} skipped"
        return f"{line}, mean confidence {self._sum / self._n_confidences:.4f}" if self._n_confidences else line


class PairTally(Tally):
    """Counts pairs; one without letters on either side is skipped."""

    def __init__(self) -> None:
        super().__init__()
        self.unmapped = 0

    def has_letters(self, query: Record) -> bool:
        """Whether a query has letters; it is counted as skipped if not."""
        if not len(query):
            self.n_records += 1
            self.n_skipped += 1
        return bool(len(query))

    def with_letters(self, pairs: Iterable[tuple[Record, Record]]) -> Iterator[tuple[Record, Record]]:
        """The pairs that have letters on both sides, one at a time; the others count as skipped."""
        for target, query in pairs:
            self.n_records += 1
            if len(target) and len(query):
                yield target, query
            else:
                self.n_skipped += 1

    def __str__(self) -> str:
        line = f"{counted(self.n_records, 'pair')}, {self.n_skipped} skipped"
        return f"{line}, {self.unmapped} unmapped" if self.unmapped else line


@contextlib.contextmanager
def interruptible(line: str, quiet: bool) -> Iterator[None]:
    """Say a line if Ctrl-C ends what is within."""
    try:
        yield
    except KeyboardInterrupt:
        say(line, quiet)
        raise


class Progress:
    """A line on a terminal that changes a few times a second; nothing elsewhere."""

    def __init__(self, quiet: bool) -> None:
        self._shows = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._shown = self._began = time.monotonic()

    def iteration(self, now: Iteration) -> None:
        """Show how far a training is."""
        self.show(f"iteration {now.iteration}, {now.log_likelihood:.3f} nats")

    def count(self, what: str, done: int, total: int) -> None:
        """Show how much is done, and about how long the rest will take; `done` is 0 at first."""
        now = time.monotonic()
        if not done:
            self._began, self._shown = now, -math.inf  # the first may take long
        left = round((now - self._began) * (total - done) / done) if done else 0
        self.show(f"{what}: {done} of {total}" + (f", about {left // 60}:{left % 60:02} left" if done else ""))

    def show(self, message: str) -> None:
        """Replace the line, unless it has just been replaced."""
        now = time.monotonic()
        if self._shows and now - self._shown > 0.2:
            self._shown = now
            sys.stderr.write(f"\r\x1b[Ktiedseq: {message}")
            sys.stderr.flush()

    def say(self, message: str, quiet: bool) -> None:
        """Write a line that stays."""
        self.close()
        say(message, quiet)

    def close(self) -> None:
        """Wipe the line."""
        if self._shows:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
