"""Biopython's objects from ours and ours from its: alignments, and sequences of any accepted type as records."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .alphabet import Alphabet, SequenceLike
from .columns import path_corners
from .errors import ArgumentError
from .records import Record

_NAMELESS = ("<unknown id>", "<unknown name>", "<unknown description>")  # what Biopython fills in


def text_of(sequence: SequenceLike, alphabet: Alphabet) -> str:
    """The letters of a sequence as text, case kept; codes are decoded. Whether the alphabet has them is not looked at.

    Raises ArgumentError if it is no sequence, SequenceError if its content is undefined or its codes are unknown.

    >>> from tiedseq.alphabet import DNA
    >>> text_of(b"acGN", DNA), text_of(np.array([0, 3]), DNA)
    ('acGN', 'AT')
    """
    if isinstance(sequence, np.ndarray):
        return alphabet.decode(sequence)
    return alphabet._as_bytes(sequence).decode("latin-1")  # a character a byte, so that positions stay what they are


def name_of(sequence: SequenceLike) -> str | None:
    """The name that a sequence carries, a SeqRecord's `id` before its `name`; None if it carries none.

    >>> name_of(Record("read1", "ACGT")), name_of("ACGT")
    ('read1', None)
    """
    names = (getattr(sequence, attribute, None) for attribute in ("id", "name"))
    return next((str(name) for name in names if name and name not in _NAMELESS), None)


def record_of(sequence: SequenceLike, alphabet: Alphabet, name: str) -> Record:
    """A sequence of any accepted type as a Record, `name` for what carries no name; a Record is returned as it is.

    A SeqRecord's id, description and phred_quality are kept. Raises as `text_of` does.

    >>> from tiedseq.alphabet import DNA
    >>> record_of("ACGT", DNA, "query1")
    Record(name='query1', sequence='ACGT', description='', path=None, line=None)
    """
    if isinstance(sequence, Record):
        return sequence
    text = text_of(sequence, alphabet)
    description = getattr(sequence, "description", None)
    quality = getattr(sequence, "letter_annotations", {}).get("phred_quality")
    return Record(
        name_of(sequence) or name,
        text,
        str(description) if description and description not in _NAMELESS else "",
        None if quality is None else np.clip(quality, 0, 255).astype(np.uint8),
    )


def alignment_of(target: str | Record, query: str | Record, columns: NDArray[np.int64], reverse: bool) -> Any:
    """A Bio.Align.Alignment of columns; with `reverse` they are positions on the query's reverse complement.

    Texts become Seqs; Records become SeqRecords with name, description and qualities.
    """
    from Bio.Align import Alignment

    coordinates = path_corners(columns)
    if reverse:
        coordinates[1] = len(query) - coordinates[1]
    return Alignment([_as_biopython(target), _as_biopython(query)], coordinates)


def _as_biopython(sequence: str | Record) -> Any:
    from Bio.Seq import Seq
    from Bio.SeqRecord import SeqRecord

    if isinstance(sequence, str):
        return Seq(sequence)
    name, description = sequence.name, sequence.description
    record = SeqRecord(Seq(sequence.sequence), id=name, name=name, description=description)
    if sequence.quality is not None:
        record.letter_annotations["phred_quality"] = sequence.quality.tolist()
    return record


def columns_of(alignment: Any, n: int, m: int) -> tuple[NDArray[np.int64], bool]:
    """The columns of an alignment of sequences of n and m letters, and whether the query is reversed in it.

    Accepts a Bio.Align.Alignment, an AlignmentResult, or an array (2, n_columns) of positions with -1 for gaps. On a
    reversed query the columns are positions on its reverse complement.
    """
    if isinstance(alignment, np.ndarray):
        if not np.issubdtype(alignment.dtype, np.integer):
            raise ArgumentError(f"the alignment's columns must be an array of integers, not of {alignment.dtype}")
        if (alignment < -1).any():
            raise ArgumentError(f"the alignment's columns hold {alignment.min()}; they are positions, or -1 for a gap")
        columns, reverse = alignment.astype(np.int64), False
    else:
        alignment = getattr(alignment, "alignment", alignment)
        if not hasattr(alignment, "indices"):
            raise ArgumentError(
                f"alignment must be a Bio.Align.Alignment, a result of align(), or an array of columns, not "
                f"{type(alignment).__name__}"
            )
        columns = np.array(alignment.indices, np.int64)
        reverse = bool(alignment.coordinates[1, -1] < alignment.coordinates[1, 0])
        if reverse:
            columns[1, columns[1] >= 0] = m - 1 - columns[1, columns[1] >= 0]
    if columns.ndim != 2 or columns.shape[0] != 2:
        raise ArgumentError(f"an alignment of two sequences is needed, not an array of shape {columns.shape}")
    for name, row, length in (("target", columns[0], n), ("query", columns[1], m)):
        present = row[row >= 0]
        if present.size and (present[-1] >= length or np.any(np.diff(present) != 1)):
            raise ArgumentError(
                f"the alignment's {name} positions must be consecutive and below the {name}'s length {length}, "
                f"but run from {present[0]} to {present[-1]} over {present.size} columns"
            )
    if np.any((columns < 0).all(axis=0)):
        raise ArgumentError("the alignment holds a column of two gaps; take it out")
    return columns, reverse
