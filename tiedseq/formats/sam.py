"""SAM, as samtools, IGV and bcftools read it (Sequence Alignment/Map Format Specification and SAM tags, both version
1)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tiedseq.alignment import AlignmentResult
from tiedseq.columns import Floats, codes_of, is_nucleotide, run_lengths
from tiedseq.errors import ArgumentError, InputError
from tiedseq.formats.writer import Writer, score_tags, word

_REVERSE, _UNMAPPED, _SECONDARY = 0x10, 0x4, 0x100
_LONGEST_NAME = 254  # of a read, in BAM
_LARGEST_PHRED = 60  # beyond 1 - 1e-6 a posterior is rounding


class Sam(Writer):
    """A line a result: the likeliest as the primary one, the others as 0x100; FLAG 4 if no letter is aligned.

    Target letters before the first and after the last aligned pair are not deletions, here as in other aligners' files:
    POS says where the read begins. (A pileup would count them, and variant callers call them.) Query letters there are
    soft clips if they are outside the alignment, insertions if they are gap columns of it.
    """

    def __init__(self, *, targets: Iterable[tuple[str, int]] | None = None, eqx: bool = False) -> None:
        """`targets`: names and lengths for the header; None collects them from the results. `eqx`: = and X for M."""
        self.lengths: dict[str, int] = {}
        self._complete = False
        for name, length in targets or ():
            self._add(name, length)
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
        """One line; none for a secondary result in which nothing is aligned."""
        self._add(result.target_name, len(result.target))
        name = _read_name(result.query_name)
        quality = result.query.quality
        if result.is_empty:
            if not result.is_primary:
                return ""
            sequence = result.query.text
            fields = [name, str(_UNMAPPED), "*", "0", "0", "*", "*", "0", "0", sequence or "*", _phred_text(quality)]
            return "\t".join(fields) + "\n"
        parts = _Parts(result)
        flag = (0 if result.strand == "+" else _REVERSE) | (0 if result.is_primary else _SECONDARY)
        if quality is not None and result.strand == "-":
            quality = quality[::-1]
        fields = [
            name,
            str(flag),
            _target_name(result.target_name),
            str(parts.position + 1),
            str(result.mapping_quality),
            parts.cigar(eqx=self._eqx),
            *("*", "0", "0"),
            result.aligned_query_text,
            _phred_text(quality),
            f"NM:i:{parts.edit_distance}",
            f"MD:Z:{parts.mismatches()}",
            *score_tags(result),
            f"cq:Z:{_phred_text(_phred(parts.letter_confidence()))}",
        ]
        return "\t".join(fields) + "\n"

    def _add(self, name: str, length: int) -> None:
        name = _target_name(name)
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

    def __init__(self, result: AlignmentResult) -> None:
        pairs = np.flatnonzero(result.is_residue)
        inside = np.arange(result.n_columns)
        kept = ((inside >= pairs[0]) & (inside <= pairs[-1])) | (result.columns[0] < 0)
        self._result = result
        self._columns = result.columns[:, kept]
        self._confidence = result.confidence[kept]
        self._operations = result.operations[kept]
        self._letters = result.letters[:, kept]
        self.position = int(result.columns[0, pairs[0]])

    @cached_property
    def _is_match(self) -> npt.NDArray[np.bool_]:
        """Equal letters. In nucleotides only A, C, G and T can be: the rule for NM in the specification of the tags."""
        matches = self._operations == ord("=")
        if is_nucleotide(self._letters):
            matches &= np.isin(self._letters[0], codes_of("ACGT"))
        return matches

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
        letters = self._letters[0, events].tolist()
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


def _read_name(name: str) -> str:
    name = word(name)
    if len(name) > _LONGEST_NAME:
        raise InputError(
            f"a name of {len(name)} letters; SAM allows {_LONGEST_NAME}: shorten it", record=f"{name[:40]}..."
        )
    return name


def _target_name(name: str) -> str:
    name = word(name)
    if name[0] in "*=":
        raise InputError(f"SAM has no reference of the name {name!r}: rename the target")
    return name
