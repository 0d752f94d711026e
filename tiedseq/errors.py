"""What went wrong and whose fault it is.

Every error that a user can cause is a :class:`TiedseqError`. The kinds follow the fault, since that is what a caller
decides on: the command line turns them into its exit status, a notebook shows their one sentence.
"""

from __future__ import annotations


def counted(number: int, thing: str, things: str | None = None) -> str:
    """Return a number of things as messages say it; the plural ends in s if none is given.

    >>> counted(1, "output"), counted(0, "entry", "entries")
    ('1 output', '0 entries')
    """
    return f"{number} {thing}" if number == 1 else f"{number} {things or thing + 's'}"


class TiedseqError(Exception):
    """The base of all errors that tiedseq raises on purpose."""


class ArgumentError(TiedseqError, ValueError):
    """An argument has a value that the function cannot work with."""


class ModelError(TiedseqError, ValueError):
    """A model's states, ties, labels or values contradict each other or cannot sum to one."""


class SequenceError(TiedseqError, ValueError):
    """A sequence holds something that its alphabet lacks, or does not suit the model.

    `position` is the 0-based index of the offending letter, where there is one.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class InputError(TiedseqError, ValueError):
    """A file's content is at fault. The message names path, record, line and column as far as they are known."""

    def __init__(
        self,
        message: str,
        path: str | None = None,
        line: int | None = None,
        record: str | None = None,
        column: int | None = None,
    ) -> None:
        place = [] if path is None else [path]
        if line is not None:
            place.append(f"line {line}" if column is None else f"line {line}, column {column}")
        if record is not None:
            place.append(f"record {record!r}")
        super().__init__(": ".join([", ".join(place), message]) if place else message)
        self.path, self.line, self.record, self.column = path, line, record, column


class ResourceError(TiedseqError, OSError):
    """The machine is at fault: no memory for the work, a full disk, an output that cannot be written."""


class ConvergenceWarning(UserWarning):
    """Training ended before it converged; the message says why, and how far it may still be."""
