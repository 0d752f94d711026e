"""SAM, as samtools, IGV and bcftools read it (Sequence Alignment/Map Format Specification and SAM tags, both version
1)."""

from __future__ import annotations

import numbers
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tiedseq.alignment import AlignmentResult
from tiedseq.alphabet import Alphabet
from tiedseq.columns import Floats, run_lengths
from tiedseq.errors import ArgumentError, InputError
from tiedseq.formats.writer import Writer, score_tags, word
from tiedseq.options import FORMATS
from tiedseq.records import Record

_REVERSE, _UNMAPPED, _SECONDARY = 0x10, 0x4, 0x100
_LONGEST_NAME = 254  # of a read, in BAM
_NOT_IN_READ_NAMES = re.compile("[^!-?A-~]")  # section 1.4
_NOT_IN_TARGET_NAMES = re.compile("[^0-9A-Za-z!#$%&*+./:;=?@^_|~-]")  # section 1.2.1
_BASES = "ACMGRSVTWYHKDBN"  # what BAM has room for, section 4.2; readers take anything else, U included, for N
_NOT_BASES = re.compile(f"[^U{_BASES}]", re.IGNORECASE)
_LARGEST_PHRED = 60  # beyond 1 - 1e-6 a posterior is rounding


class Sam(Writer):
    """A line a result: the likeliest as the primary one, the others as 0x100; FLAG 4 if the read is not mapped.

    It is not if no letter is aligned; nor, in the modes local and glocal, which look for a place for the read, if its
    log-odds are negative: then an unrelated read is the likelier explanation. Global and overlap were told what belongs
    together, and write it. A secondary result that is not mapped has no line.

    The format holds nucleotides. Those of RNA are written as DNA, T for U, since what reads the file takes U for N;
    ArgumentError for other alphabets.

    Names with blanks get "_" in their place. InputError for other names that the format has no room for, and for two
    targets of one name.

    Target letters before the first and after the last aligned pair are not deletions, here as in other aligners' files:
    POS says where the read begins. (A pileup would count them, and variant callers call them.) Query letters there are
    soft clips if they are outside the alignment, insertions if they are gap columns of it.
    """

    def __init__(self, *, targets: Iterable[tuple[str, int]] | None = None, eqx: bool = False) -> None:
        """`targets`: names and lengths for the header; None collects them from the results. `eqx`: = and X for M."""
        self.lengths: dict[str, int] = {}
        self._complete = False
        for name, length in _checked_targets(targets):
            self._add(target_name(name), length)
        self._complete = targets is not None
        self._eqx = eqx

    def begin(self) -> str:
        """The header, from the targets known so far: a caller without a list of them asks for it last."""
        lines = ["@HD\tVN:1.6\tSO:unsorted"]
        # The format knows no reference of length 0; no read can be aligned to one.
        lines += [f"@SQ\tSN:{name}\tLN:{length}" for name, length in self.lengths.items() if length]
        name, version = self.program.split()
        lines.append(f"@PG\tID:{name}\tPN:{name}\tVN:{version}")
        return "\n".join(lines) + "\n"

    def record(self, result: AlignmentResult) -> str:
        """One line; none for a secondary result that is not mapped."""
        check_alphabet(result.alphabet)
        read, target = result.query, result.target
        reference = target_name(target.name, target.path, target.line)
        self._add(reference, len(target))
        name, quality = _read_name(read), read.quality
        if not _is_mapped(result):
            if not result.is_primary:
                return ""
            place = [str(_UNMAPPED), "*", "0", "0", "*", "*", "0", "0"]
            return "\t".join([name, *place, _bases(read, read.sequence) or "*", _phred_text(quality)]) + "\n"
        parts = _Parts(result, _bases(target, result.rows[0]))
        flag = (0 if result.strand == "+" else _REVERSE) | (0 if result.is_primary else _SECONDARY)
        if quality is not None and result.strand == "-":
            quality = quality[::-1]
        fields = [
            name,
            str(flag),
            reference,
            str(parts.position + 1),
            str(result.mapping_quality),
            parts.cigar(eqx=self._eqx),
            *("*", "0", "0"),
            _bases(read, result.aligned_query_text),
            _phred_text(quality),
            f"NM:i:{parts.edit_distance}",
            f"MD:Z:{parts.mismatches()}",
            *score_tags(result),
            f"cq:Z:{_phred_text(_phred(parts.letter_confidence()))}",
        ]
        return "\t".join(fields) + "\n"

    def _add(self, name: str, length: int) -> None:
        if name not in self.lengths:
            if self._complete:
                raise ArgumentError(f"targets: {name!r} is missing; a SAM header names every target")
            self.lengths[name] = length
        elif self.lengths[name] != length:
            raise InputError(
                f"two targets, of {self.lengths[name]} and {length} letters, are both named {name!r}; SAM tells "
                "references apart by name: rename one"
            )


class _Parts:
    """The columns of a result as SAM sees them: without the gaps of the query at both ends."""

    def __init__(self, result: AlignmentResult, target_row: str) -> None:
        pairs = np.flatnonzero(result.is_residue)
        inside = np.arange(result.n_columns)
        kept = ((inside >= pairs[0]) & (inside <= pairs[-1])) | (result.columns[0] < 0)
        self._result = result
        self._columns = result.columns[:, kept]
        self._confidence = result.confidence[kept]
        self._operations = result.operations[kept]
        self._target_codes = result.codes[0, kept]
        self._target_letters = np.frombuffer(target_row.upper().encode("ascii"), np.uint8)[kept]
        self.position = int(result.columns[0, pairs[0]])

    @cached_property
    def _is_match(self) -> npt.NDArray[np.bool_]:
        """Equal letters. An ambiguity code equals nothing, itself included: the rule for NM in the specification of the
        tags."""
        return (self._operations == ord("=")) & (self._target_codes < self._result.alphabet.n_letters)

    @property
    def edit_distance(self) -> int:
        """Mismatches, inserted and deleted letters."""
        return int((~self._is_match).sum())

    def cigar(self, *, eqx: bool) -> str:
        """The CIGAR with soft clips; M for every aligned pair, or = and X."""
        pair = (self._columns >= 0).all(axis=0)
        letters = np.where(self._is_match, ord("="), ord("X")) if eqx else ord("M")
        operations = np.where(pair, letters, self._operations).astype(np.uint8)
        start, end = self._result.aligned_query_span
        right = len(self._result.query) - end
        return (f"{start}S" if start else "") + run_lengths(operations) + (f"{right}S" if right else "")

    def mismatches(self) -> str:
        """The MD tag: runs of matches, target letters of mismatches, "^" and the letters of deletions."""
        before = np.cumsum(self._is_match)
        events = np.flatnonzero((self._columns[0] >= 0) & ~self._is_match)
        deleted = (self._columns[1] < 0)[events].tolist()
        letters = self._target_letters[events].tolist()
        parts, counted, last = [], 0, -2
        for column, matched, deletion, letter in zip(
            events.tolist(), before[events].tolist(), deleted, letters, strict=True
        ):
            if not (deletion and last == column - 1):
                parts.append(f"{matched - counted}{'^' if deletion else ''}")
            parts.append(chr(letter))
            counted, last = matched, column if deletion else -2
        return "".join([*parts, str(int(before[-1]) - counted)])

    def letter_confidence(self) -> Floats:
        """The confidence of every query letter on the aligned strand; a clipped one's is P(aligned to nothing)."""
        result = self._result
        unaligned = result.query_unaligned
        values = np.array(unaligned if result.strand == "+" else unaligned[::-1], np.float64)
        present = self._columns[1] >= 0
        values[self._columns[1, present]] = self._confidence[present]
        return values


def _phred(probability: Floats) -> npt.NDArray[np.uint8]:
    wrong = np.maximum(1.0 - probability, 10.0 ** (-_LARGEST_PHRED / 10.0))
    return np.round(np.maximum(-10.0 * np.log10(wrong), 0.0)).astype(np.uint8)


def _phred_text(quality: npt.NDArray[np.uint8] | None) -> str:
    if quality is None or len(quality) == 0:
        return "*"
    return (np.minimum(quality, 93) + 33).astype(np.uint8).tobytes().decode("ascii")


def _is_mapped(result: AlignmentResult) -> bool:
    is_search = result.mode in ("local", "glocal")
    return not result.is_empty and not (is_search and result.log_odds < 0.0)


def _read_name(read: Record) -> str:
    """The name of a read in the file; InputError if it is outside SAM's grammar."""
    name, message = word(read.name), ""
    if stray := _NOT_IN_READ_NAMES.search(name):
        message = f"{stray[0]!r} in the name of a read; SAM takes printable ASCII characters but '@': rename the read"
    elif len(name) > _LONGEST_NAME:
        message = f"the name of a read has {len(name)} bytes; SAM takes {_LONGEST_NAME}: shorten it"
    if message:
        raise InputError(message, read.path, read.line, read.name)
    return name


def target_name(given: str, path: str | None = None, line: int | None = None) -> str:
    """The name of a target in the file; InputError, on that record, if it is outside SAM's grammar.

    >>> target_name("chr 1")
    'chr_1'
    """
    name, message = word(given), ""
    if stray := _NOT_IN_TARGET_NAMES.search(name):
        allowed = "ASCII letters, digits and !#$%&*+./:;=?@^_|~-"
        message = f"{stray[0]!r} in the name of a target; SAM takes {allowed}: rename the target"
    elif name[0] in "*=":
        message = f"SAM has no reference whose name starts with {name[0]!r}, or has none: rename the target"
    if message:
        raise InputError(message, path, line, given)
    return name


def check_alphabet(alphabet: Alphabet) -> None:
    """Raise ArgumentError unless SAM, and BAM, can hold the letters: nucleotides, each of them one letter only.

    >>> from tiedseq.alphabet import PROTEIN, RNA
    >>> check_alphabet(RNA)
    >>> check_alphabet(PROTEIN)
    Traceback (most recent call last):
    tiedseq.errors.ArgumentError: SAM holds nucleotides, not the letters of PROTEIN: choose another format, one of ...
    """
    letters = alphabet.without_qualities().symbols.upper().replace("U", "T")
    if len(set(letters)) < len(letters) or not set(letters) <= set(_BASES):
        others = ", ".join(name for name in FORMATS if name != "sam")
        message = f"SAM holds nucleotides, not the letters of {alphabet!r}: choose another format, one of {others}"
        raise ArgumentError(message)


def _bases(record: Record, text: str) -> str:
    """Letters or a row as the file holds them: T for U. InputError for a character that the alphabet reads as one."""
    if stray := _NOT_BASES.search(text.replace("-", "")):
        message = f"{stray[0]!r} in the sequence; SAM has the letters of nucleotides only: choose another format"
        raise InputError(message, record.path, record.line, record.name)
    return text.replace("U", "T").replace("u", "t")


def _checked_targets(targets: Any) -> Iterator[tuple[str, int]]:
    """Names and lengths; ArgumentError for anything else."""
    example = "a pair of a name and a length, such as ('chr1', 1000)"
    if targets is not None and not isinstance(targets, Iterable):
        raise ArgumentError(f"targets must be an iterable, each item {example}, not of type {type(targets).__name__}")
    for item in () if targets is None else targets:
        name, length = item if isinstance(item, tuple | list) and len(item) == 2 else (None, None)
        if not isinstance(name, str) or not isinstance(length, numbers.Integral) or length < 0:
            raise ArgumentError(f"targets: {item!r} is not {example}")
        yield name, int(length)
