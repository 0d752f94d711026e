"""Runs of one state as intervals, in BED and GFF3."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tiedseq.errors import ArgumentError, InputError
from tiedseq.formats.annotation import LONGEST_FIELD, UniqueNames, check_chrom, checked_posterior, write_pieces
from tiedseq.options import check_word, checked_count, checked_probability

INTERVAL_FORMATS = ("bed", "gff3")

_STRANDS = ("+", "-", ".")
_NOT_IN_BED = re.compile("[^ -~]")
_ESCAPED_IN_SEQID = re.compile("[^a-zA-Z0-9.:^*$@!+_?|-]")
_ESCAPED_IN_ATTRIBUTE = re.compile("[\0-\x1f\x7f%;=&,\ud800-\udfff]")
_ONTOLOGY_TERM = re.compile("SO:[0-9]{7}|[A-Za-z0-9_'./-]+")


class Region(NamedTuple):
    """A sequence that was annotated, whether or not anything was found on it.

    Its `name`; its `length` in letters; `path` and `line` are where it was read, for messages.
    """

    name: str
    length: int
    path: str | None = None
    line: int | None = None


class Interval(NamedTuple):
    """Letters in a row that one state explains.

    `name` of the sequence; `start` and `end`, 0-based and half-open; name of the `state`; `mean_posterior`, the mean
    over the letters of the probability of that state, from 0 to 1; `strand`: "+" or "-" of a state that has a mirror
    image on the other strand, else ".".
    """

    name: str
    start: int
    end: int
    state: str
    mean_posterior: float
    strand: str = "."


def segments(
    path: npt.ArrayLike,
    posterior: npt.ArrayLike,
    *,
    omit: Collection[int] = (),
    min_length: int = 1,
    min_posterior: float = 0.0,
) -> Iterator[tuple[int, int, int, float]]:
    """Return the runs of equal states in a path: start, end (0-based, half-open), state, mean posterior of that state.

    Parameters
    ----------
    path : int (T,)
        The state of every letter, from `decode` or `predict`.
    posterior : float (T, S)
        The probability of every state at every letter, from `predict_proba`.
    omit : collection of int, default none
        States whose runs are left out.
    min_length : int, default 1
        Runs of fewer letters are left out.
    min_posterior : float, default 0
        So are runs of a lower mean posterior. Runs are neither cut nor joined: what a filter takes out leaves a gap.

    Raises
    ------
    ArgumentError
        Shapes or types do not fit, a state is outside 0 to S - 1, a posterior outside 0 to 1, or a filter out of range.

    Examples
    --------
    >>> posterior = [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [1.0, 0.0]]
    >>> list(segments([0, 1, 1, 0], posterior, min_length=2))
    [(1, 3, 1, 0.7)]
    >>> list(segments([0, 1, 1, 0], posterior, omit=[1]))
    [(0, 1, 0, 0.9), (3, 4, 0, 1.0)]
    """
    probabilities = checked_posterior("posterior", posterior, 2)
    n_letters, n_states = probabilities.shape
    states = _checked_states("path", path, n_states)
    if states.size != n_letters:
        raise ArgumentError(
            f"path has {states.size} letters and posterior {n_letters} rows; they must be of one sequence"
        )
    left_out = _checked_states("omit", list(omit), n_states)
    min_length = checked_count("min_length", min_length)
    min_posterior = checked_probability("min_posterior", min_posterior)
    if n_letters == 0:
        return iter(())
    starts = np.flatnonzero(np.concatenate([[True], states[1:] != states[:-1]]))
    ends = np.append(starts[1:], n_letters)
    lengths = ends - starts
    of_the_path = np.take_along_axis(probabilities, states[:, None], axis=1)[:, 0]
    means = np.clip(np.add.reduceat(of_the_path, starts) / lengths, 0.0, 1.0)
    kept = (lengths >= min_length) & (means >= min_posterior) & ~np.isin(states[starts], left_out)
    columns = (starts, ends, states[starts], means)
    return zip(*[column[kept].tolist() for column in columns], strict=True)


def write_intervals(
    items: Iterable[Region | Interval],
    path: str | os.PathLike[str] | Any,
    format: str,
    *,
    type: str = "sequence_feature",
) -> None:
    r"""Write intervals, as they come, to a file or an open handle (text or binary).

    Parameters
    ----------
    items : iterable of Region and Interval
        Every sequence's Region, and behind it the intervals on that sequence. BED does without regions.
    path : path or open file
        A file appears whole, under its name, when all is written; ".gz" is compressed.
    format : "bed" or "gff3"
    type : str, default "sequence_feature"
        The type of all features in GFF3: a name or an accession of the Sequence Ontology, such as "CpG_island". The
        default is the term above all that GFF3 admits. The word is not looked up.

    Raises
    ------
    InputError
        The format cannot hold the name of a sequence, or two sequences have one name; with path and line of the Region.
    ArgumentError
        An unknown format, a type of several words; an interval that is empty, without a strand, of a posterior outside
        0 to 1, beyond the end of its region or behind another one; a state's name that BED cannot hold.
    ResourceError
        The output cannot be written.

    Notes
    -----
    BED has six columns and no header: score is the mean posterior times 1000, rounded (hts-specs, BEDv1; names of
    sequences as UCSC and bedtools take them: printable ASCII without blanks). GFF3 has the mean posterior as score, a
    "##sequence-region" for every Region that is not empty, and attributes ID, unique in the file, and Name, the state;
    characters with a meaning are percent escapes (Sequence Ontology, GFF3 1.26).

    Examples
    --------
    >>> import io
    >>> handle = io.StringIO()
    >>> write_intervals([Region("chr1", 50), Interval("chr1", 0, 9, "island", 0.9375)], handle, "bed")
    >>> handle.getvalue()
    'chr1\t0\t9\tisland\t938\t.\n'
    """
    check_word("format", format, INTERVAL_FORMATS)
    writer = Bed() if format == "bed" else Gff3(type)
    write_pieces(writer.begin(), map(writer.text, items), path)


class IntervalWriter(ABC):
    """Turns regions and intervals into the text of one format. A writer serves one file."""

    def __init__(self) -> None:
        self._names = UniqueNames()
        self._region: Region | None = None

    def begin(self) -> str:
        """The text before all items."""
        return ""

    def text(self, item: Region | Interval) -> str:
        """The text of one item; empty if the format has no place for it. Raises as `write_intervals` does."""
        if isinstance(item, Region):
            if not _is_whole(item.length) or item.length < 0:
                raise ArgumentError(f"length={item.length!r} of {item.name!r} must be a number of letters, 0 or more")
            self._names.add(item.name, item.path, item.line)
            self._region = item
            return self.region(item)
        if not isinstance(item, Interval):
            raise ArgumentError(f"items holds a {type(item).__name__}; every item must be a Region or an Interval")
        interval = _checked(item)
        self._check_place(interval)
        return self.interval(interval)

    @abstractmethod
    def region(self, region: Region) -> str:
        """The text of a region."""

    @abstractmethod
    def interval(self, interval: Interval) -> str:
        """The text of an interval."""

    def _check_place(self, interval: Interval) -> None:
        region = self._region
        if region is None:
            return
        if region.name != interval.name:
            raise ArgumentError(
                f"an interval on {interval.name!r} follows the region {region.name!r}; it must follow its own"
            )
        if interval.end > region.length:
            raise ArgumentError(
                f"the interval from {interval.start} to {interval.end} ends outside {region.name!r}, which has "
                f"{region.length} letters"
            )


class Bed(IntervalWriter):
    """BED with six columns: a line an interval, nothing for a region."""

    def region(self, region: Region) -> str:
        """Nothing, for a name that BED can hold."""
        check_chrom(region.name, region.path, region.line)
        return ""

    def interval(self, interval: Interval) -> str:
        """One line."""
        name, start, end, state, mean, strand = interval
        check_chrom(name)
        if len(state) > LONGEST_FIELD or _NOT_IN_BED.search(state) or state.isspace():
            raise ArgumentError(
                f"state {state!r}: in BED a name is 1 to {LONGEST_FIELD} printable ASCII characters: rename the state, "
                "or write GFF3"
            )
        return f"{name}\t{start}\t{end}\t{state}\t{round(1000.0 * mean)}\t{strand}\n"


class Gff3(IntervalWriter):
    """GFF3: a directive a region, a line an interval."""

    def __init__(self, type: str = "sequence_feature") -> None:
        """`type`: the third column of every line."""
        super().__init__()
        if not isinstance(type, str) or not _ONTOLOGY_TERM.fullmatch(type):
            raise ArgumentError(
                f"type={type!r} must be a term of the Sequence Ontology, such as CpG_island, or an accession, such as "
                "SO:0000307"
            )
        self._type = type
        self._n_intervals = 0

    def begin(self) -> str:
        """The version."""
        return "##gff-version 3\n"

    def region(self, region: Region) -> str:
        """The bounds of the sequence; nothing if it is empty, since the format knows no such bounds."""
        if not region.name:
            raise InputError("GFF3 tells sequences apart by name: name this one", region.path, region.line, "")
        self._n_intervals = 0
        return f"##sequence-region {_seqid(region.name)} 1 {region.length}\n" if region.length else ""

    def interval(self, interval: Interval) -> str:
        """One line."""
        if self._region is None:
            raise ArgumentError(f"an interval on {interval.name!r} without a region; GFF3 names the bounds first")
        name, start, end, state, mean, strand = interval
        self._n_intervals += 1
        attributes = f"ID={_attribute(name)}.{self._n_intervals};Name={_attribute(state)}"
        score = f"{mean:.4g}"
        fields = (_seqid(name), "tiedseq", self._type, str(start + 1), str(end), score, strand, ".", attributes)
        return "\t".join(fields) + "\n"


def _checked_states(name: str, values: npt.ArrayLike, n_states: int) -> npt.NDArray[np.int64]:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ArgumentError(f"{name} must be whole numbers on one axis, not lists of unequal length") from error
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise ArgumentError(f"{name} must be whole numbers on one axis, not {array.dtype} of shape {array.shape}")
    if array.size and not (array.min() >= 0 and array.max() < n_states):
        wrong = array[(array < 0) | (array >= n_states)][0]
        raise ArgumentError(f"{name} holds the state {wrong}; posterior has the states 0 to {n_states - 1}")
    return array.astype(np.int64, copy=False)


def _checked(interval: Interval) -> Interval:
    name, start, end, state, mean, strand = interval
    if not isinstance(name, str) or not isinstance(state, str) or not state:
        raise ArgumentError(f"name={name!r} and state={state!r} of an interval must be text, and not empty")
    if not (_is_whole(start) and _is_whole(end) and 0 <= start < end):
        raise ArgumentError(
            f"start={start!r} and end={end!r} of an interval on {name!r} must be whole numbers, 0 <= start < end"
        )
    check_word("strand", strand, _STRANDS)
    mean = float(checked_posterior(f"mean_posterior of an interval on {name!r}", mean, 0))
    return interval._replace(mean_posterior=min(1.0, max(0.0, mean)))


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _seqid(name: str) -> str:
    return _ESCAPED_IN_SEQID.sub(_percent, name)


def _attribute(value: str) -> str:
    return _ESCAPED_IN_ATTRIBUTE.sub(_percent, value)


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))
