"""Alignment formats: text, FASTA, Clustal, Stockholm, MAF, SAM, PAF, TSV, JSON. Results in, a whole file out.

What a format cannot hold is left out: only text, TSV, JSON and SAM (FLAG 4) have a place for a result in which no
letter is aligned to a letter.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

from tiedseq.alignment import AlignmentResult
from tiedseq.errors import ArgumentError
from tiedseq.formats.lists import Json, Paf, Tsv
from tiedseq.formats.rows import Clustal, Fasta, Maf, Stockholm, Text
from tiedseq.formats.sam import Sam
from tiedseq.formats.sink import Sink, open_sink
from tiedseq.formats.writer import Writer

FORMATS = ("text", "fasta", "clustal", "stockholm", "maf", "sam", "paf", "tsv", "json")
_PLAIN: dict[str, Callable[[], Writer]] = {
    "json": Json,
    "text": Text,
    "fasta": Fasta,
    "clustal": Clustal,
    "stockholm": Stockholm,
    "maf": Maf,
    "tsv": Tsv,
}
_SUFFIXES = {
    "txt": "text", "fa": "fasta", "afa": "fasta", "mfa": "fasta", "fna": "fasta", "faa": "fasta", "fas": "fasta",
    "aln": "clustal", "clw": "clustal", "sto": "stockholm", "stk": "stockholm", "sth": "stockholm",
    **{name: name for name in FORMATS},
}  # fmt: skip


def format_of(path: str | os.PathLike[str]) -> str | None:
    """The format that a file name's suffix stands for (".gz" aside), None if it stands for none.

    >>> format_of("out.sam.gz"), format_of("out.sto"), format_of("out")
    ('sam', 'stockholm', None)

    Raises ArgumentError for .bam and .cram, which other programs make of SAM.
    """
    name = os.path.basename(os.fspath(path)).lower().removesuffix(".gz")
    suffix = name.rpartition(".")[2] if "." in name else ""
    if suffix in ("bam", "cram"):
        raise ArgumentError(f"{os.fspath(path)}: {suffix.upper()} is not written here: write SAM and use samtools view")
    return _SUFFIXES.get(suffix)


def write(
    results: AlignmentResult | Iterable[AlignmentResult],
    path: str | os.PathLike[str] | Any,
    format: str | None = None,
    *,
    targets: Iterable[tuple[str, int]] | None = None,
    eqx: bool = False,
) -> None:
    """Write one result, or an iterable of them as they come, to a file or an open handle (text or binary).

    format: "text", "fasta", "clustal", "stockholm", "maf", "sam", "paf", "tsv" or "json". By default it follows from
    the suffix of a path (.txt .fa .aln .sto .maf .sam .paf .tsv .json and their relatives); for a handle it is text.
    targets: names and lengths for the header of SAM. By default it lists the targets of the results, which are kept in
    a temporary file until the last one is known. eqx: CIGARs of SAM and PAF with = and X in place of M.

    A file appears whole, under its name, when the last result is written; after an exception what was there before is
    still there. A name that ends in ".gz" is compressed.

    Raises ArgumentError for an unknown format, ResourceError if the output cannot be written, InputError if the format
    cannot carry a name (SAM: two targets of one name, a read's name beyond 254 letters).

    >>> import sys
    >>> write([], sys.stdout, "maf")
    ##maf version=1 scoring=log-odds program=tiedseq
    # score: log-odds in bits
    <BLANKLINE>
    """
    writer = _writer(path, format, targets, eqx)
    results = iter([results] if isinstance(results, AlignmentResult) else results)
    # Bad input mostly shows before the first result. Then there is no output at all, not even a header.
    first = list(itertools.islice(results, 1))
    results = itertools.chain(first, results)
    with open_sink(path) as sink:
        if isinstance(writer, Sam) and targets is None:
            _write_header_last(writer, results, sink)
            return
        sink.write(writer.begin())
        for result in results:
            sink.write(writer.record(result))
        sink.write(writer.end())


def _writer(path: Any, format: str | None, targets: Iterable[tuple[str, int]] | None, eqx: bool) -> Writer:
    known = ", ".join(FORMATS)
    if format is None:
        format = "text" if hasattr(path, "write") else format_of(path)
        if format is None:
            raise ArgumentError(f"{os.fspath(path)}: its suffix names no format; give format= one of {known}")
    if format == "sam":
        return Sam(targets=targets, eqx=eqx)
    if format == "paf":
        return Paf(eqx=eqx)
    if format not in _PLAIN:
        raise ArgumentError(f"format={format!r} is unknown: give one of {known}")
    return _PLAIN[format]()


def _write_header_last(writer: Sam, results: Iterable[AlignmentResult], sink: Sink) -> None:
    """SAM's header names every target, which only the last result completes: keep the lines until then."""
    with tempfile.SpooledTemporaryFile(max_size=1 << 24, mode="w+", encoding="utf-8") as lines:
        for result in results:
            lines.write(writer.record(result))
        sink.write(writer.begin())
        lines.seek(0)
        while chunk := lines.read(1 << 20):
            sink.write(chunk)
