"""The posterior of one state along sequences, as bedGraph and WIG."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tiedseq.errors import ArgumentError
from tiedseq.formats.annotation import Floats, UniqueNames, check_chrom, checked_posterior, write_pieces
from tiedseq.options import check_word

TRACK_FORMATS = ("bedgraph", "wig")

_BLOCK = 1 << 16  # lines that are made at a time
_STEPS = 10_000  # of a value in bedGraph


class Track(NamedTuple):
    """The posterior of one state along one sequence.

    `name` of the sequence; `posterior`, float (T,), a probability a letter; `path` and `line` are where the sequence
    was read, for messages.
    """

    name: str
    posterior: npt.ArrayLike
    path: str | None = None
    line: int | None = None


def write_tracks(
    tracks: Iterable[Track],
    path: str | os.PathLike[str] | Any,
    format: str,
    *,
    name: str = "posterior",
    description: str = "",
) -> None:
    r"""Write the posterior of one state along every sequence, as they come, to a file or an open handle.

    Parameters
    ----------
    tracks : iterable of Track
        One a sequence. One without letters has no line.
    path : path or open file
        A file appears whole, under its name, when all is written; ".gz" is compressed.
    format : "bedgraph" or "wig"
        bedGraph joins letters of one value, where a value is the posterior to four decimals: 0-based and half-open, it
        is the shorter one where the states are certain. WIG has a line for every letter, with four digits of however
        small a value.
    name, description : str, default "posterior" and none
        What a browser prints beside and above the track.

    Raises
    ------
    InputError
        The format cannot hold the name of a sequence, or two sequences have one name; with path and line of the Track.
    ArgumentError
        An unknown format; a posterior that is no float (T,) from 0 to 1; quotes or control characters in name or
        description.
    ResourceError
        The output cannot be written.

    Notes
    -----
    Both begin with the line that UCSC's Genome Browser wants for custom tracks (its pages on bedGraph and WIG).

    Examples
    --------
    >>> import sys
    >>> write_tracks([Track("chr1", [0.25, 0.25, 1.0])], sys.stdout, "bedgraph", name="island")
    track type=bedGraph name="island" description=""
    chr1	0	2	0.25
    chr1	2	3	1
    >>> write_tracks([Track("chr1", [0.25, 0.25, 1.0])], sys.stdout, "wig", name="island")
    track type=wiggle_0 name="island" description=""
    fixedStep chrom=chr1 start=1 step=1
    0.25
    0.25
    1
    """
    check_word("format", format, TRACK_FORMATS)
    kind, lines = ("bedGraph", _bedgraph) if format == "bedgraph" else ("wiggle_0", _wig)
    labels = f"name={_quoted('name', name)} description={_quoted('description', description)}"
    write_pieces(f"track type={kind} {labels}\n", _texts(tracks, lines), path)


def _texts(tracks: Iterable[Track], lines: Callable[[str, Floats], Iterator[str]]) -> Iterator[str]:
    names = UniqueNames()
    for track in tracks:
        if not isinstance(track, Track):
            raise ArgumentError(f"tracks holds a {type(track).__name__}; every item must be a Track")
        names.add(track.name, track.path, track.line)
        check_chrom(track.name, track.path, track.line)
        posterior = checked_posterior(f"posterior of {track.name!r}", track.posterior, 1)
        if posterior.size:
            yield from lines(track.name, posterior)


def _bedgraph(name: str, posterior: Floats) -> Iterator[str]:
    steps = np.empty(posterior.size, np.int16)  # what is compared is what is printed
    for at in range(0, posterior.size, _BLOCK):
        block = slice(at, at + _BLOCK)
        steps[block] = np.rint(np.clip(posterior[block], 0.0, 1.0) * _STEPS)
    starts = np.concatenate([[0], np.flatnonzero(steps[1:] != steps[:-1]) + 1])
    ends = np.append(starts[1:], posterior.size)
    for at in range(0, starts.size, _BLOCK):
        block = slice(at, at + _BLOCK)
        columns = (starts[block].tolist(), ends[block].tolist(), (steps[starts[block]] / _STEPS).tolist())
        yield "".join([f"{name}\t{start}\t{end}\t{value:.4g}\n" for start, end, value in zip(*columns, strict=True)])


def _wig(name: str, posterior: Floats) -> Iterator[str]:
    yield f"fixedStep chrom={name} start=1 step=1\n"
    for at in range(0, posterior.size, _BLOCK):
        block = np.clip(posterior[at : at + _BLOCK], 0.0, 1.0) + 0.0  # no minus in front of a zero
        yield "%.4g\n" * block.size % tuple(block.tolist())


def _quoted(argument: str, label: str) -> str:
    if not isinstance(label, str) or "'" in label or '"' in label or not label.isprintable():
        raise ArgumentError(
            f"{argument}={label!r} must be text without quotes and control characters; they end a label"
        )
    return f'"{label}"'
