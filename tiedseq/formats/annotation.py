"""What the formats of annotations share: names of sequences as genome browsers read them, probabilities, writing."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tiedseq.errors import ArgumentError, InputError
from tiedseq.sink import open_sink

Floats = npt.NDArray[np.float64]

LONGEST_FIELD = 255  # of BED

_ROUNDING = 1e-6  # by which a sum of posteriors may leave the range from 0 to 1
_NOT_IN_CHROM = re.compile("[^!-~]")
# How a line begins that browsers take for something else than data. Quotes begin a quoted value in WIG.
_NO_CHROM = re.compile("[#\"']|(track|browser|fixedStep|variableStep)$")


def write_pieces(header: str, pieces: Iterator[str], path: Any) -> None:
    """Write a header and pieces of text as they come; nothing at all if the first piece raises."""
    first = list(itertools.islice(pieces, 1))
    with open_sink(path) as sink:
        for piece in itertools.chain([header], first, pieces):
            sink.write(piece)


class UniqueNames:
    """The names of the sequences of one file, each of which may come once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def add(self, name: str, path: str | None = None, line: int | None = None) -> None:
        """Keep a name; InputError, on that record, if it is there already; ArgumentError if it is no text."""
        if not isinstance(name, str):
            raise ArgumentError(f"name={name!r} of a sequence must be text")
        if name in self._seen:
            message = "two sequences have this name, by which the format tells them apart: rename one"
            raise InputError(message, path, line, name)
        self._seen.add(name)


def check_chrom(name: str, path: str | None = None, line: int | None = None) -> None:
    """Raise InputError, on that record, for a sequence's name that BED, bedGraph and WIG would read as another one.

    Fields end at blanks, lines that begin with "#" are comments, some words open a header (UCSC Genome Browser, custom
    tracks). BEDv1 has word characters only, for portability; but accessions hold a dot, and browsers take it.

    >>> check_chrom("NC_000016.10")
    >>> check_chrom("chr 1", "x.fa", 1)
    Traceback (most recent call last):
    tiedseq.errors.InputError: x.fa, line 1, record 'chr 1': ' ' in the name of a sequence; BED, bedGraph and WIG ...
    """
    message = ""
    if stray := _NOT_IN_CHROM.search(name):
        message = f"{stray[0]!r} in the name of a sequence; BED, bedGraph and WIG take printable ASCII without blanks"
    elif not 0 < len(name) <= LONGEST_FIELD:
        message = f"the name of a sequence has {len(name)} characters; BED, bedGraph and WIG take 1 to {LONGEST_FIELD}"
    elif _NO_CHROM.match(name):
        message = "BED, bedGraph and WIG read a line that begins with this name as a comment or a header"
    if message:
        raise InputError(f"{message}: rename the sequence, or write GFF3", path, line, name)


def checked_posterior(name: str, values: npt.ArrayLike, n_axes: int) -> Floats:
    """Return probabilities as float64 with `n_axes` axes; ArgumentError if one misses 0 to 1 by more than rounding."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must be an array of probabilities, not {values!r:.80}") from error
    if array.ndim != n_axes:
        raise ArgumentError(f"{name} has the shape {array.shape}; it must have {n_axes} axes")
    if array.size and not (array.min() >= -_ROUNDING and array.max() <= 1.0 + _ROUNDING):  # false for NaN too
        wrong = array[~((array >= -_ROUNDING) & (array <= 1.0 + _ROUNDING))][0]
        raise ArgumentError(f"{name} holds {wrong}; probabilities lie between 0 and 1")
    return array
