"""Alignment formats: text, FASTA, Clustal, Stockholm, MAF, SAM, PAF, TSV, JSON. Results in, a whole file out.

What a format cannot hold is left out: only text, TSV, JSON and SAM (FLAG 4) have a place for a result in which no
letter is aligned to a letter. The names of the formats are in `tiedseq.options`, where the command line finds them.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tiedseq.alignment import AlignmentResult
from tiedseq.errors import ArgumentError
from tiedseq.formats.lists import Json, Paf, Tsv
from tiedseq.formats.rows import Clustal, Fasta, Maf, Stockholm, Text
from tiedseq.formats.sam import Sam
from tiedseq.formats.writer import Writer
from tiedseq.options import FORMATS as FORMATS
from tiedseq.options import check_word
from tiedseq.sink import Sink, open_sink

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


def suffix_of(path: str | bytes | os.PathLike[Any]) -> str:
    """The last suffix of a file name (".gz" aside), in lower case and without its dot; "" if it has none.

    >>> suffix_of("out.SAM.gz"), suffix_of("a.b/out")
    ('sam', '')
    """
    name = os.path.basename(os.fsdecode(path)).lower().removesuffix(".gz")
    return name.rpartition(".")[2] if "." in name else ""


def format_of(path: str | bytes | os.PathLike[Any]) -> str | None:
    """The format that a file name's suffix stands for (".gz" aside), None if it stands for none.

    >>> format_of("out.sam.gz"), format_of("out.sto"), format_of("out")
    ('sam', 'stockholm', None)

    Raises ArgumentError for .bam and .cram, which other programs make of SAM.
    """
    suffix = suffix_of(path)
    if suffix in ("bam", "cram"):
        raise ArgumentError(
            f"{os.fsdecode(path)}: {suffix.upper()} is not written here: write SAM and use samtools view"
        )
    return _SUFFIXES.get(suffix)


def write(
    results: AlignmentResult | Iterable[AlignmentResult],
    path: str | bytes | os.PathLike[Any] | Any,
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

    SAM holds nucleotides only, and T for the U of RNA. It writes a read whose log-odds are negative in mode local or
    glocal as unmapped; the other formats write what was aligned.

    Raises ArgumentError for an unknown format, for what is no result, for SAM with an alphabet of other letters than
    nucleotides, and for a closed file; ResourceError if the output cannot be written; InputError if the format cannot
    carry a name (SAM: two targets of one name, characters outside its grammar, a read's name beyond 254 bytes).

    >>> import sys
    >>> write([], sys.stdout, "maf")
    ##maf version=1 scoring=log-odds program=tiedseq
    # score: log-odds in bits
    <BLANKLINE>
    """
    writer = _writer(path, format, targets, eqx)
    texts = _texts(writer, results)
    # Bad input mostly shows before the first result. Then there is no output at all, not even a header.
    first = list(itertools.islice(texts, 1))
    texts = itertools.chain(first, texts)
    with open_sink(path) as sink:
        if isinstance(writer, Sam) and targets is None:
            _write_header_last(writer, texts, sink)
            return
        sink.write(writer.begin())
        for text in texts:
            sink.write(text)
        sink.write(writer.end())


def _texts(writer: Writer, results: Any) -> Iterator[str]:
    """The text of every result; ArgumentError for what is none."""
    wanted = "an AlignmentResult, as align returns, or an iterable of them"
    if isinstance(results, AlignmentResult):
        results = [results]
    if not isinstance(results, Iterable):
        raise ArgumentError(f"results must be {wanted}, not of type {type(results).__name__}")
    for index, result in enumerate(results):
        if not isinstance(result, AlignmentResult):
            raise ArgumentError(f"results[{index}] is of type {type(result).__name__}: give {wanted}")
        yield writer.record(result)


def _writer(path: Any, format: str | None, targets: Iterable[tuple[str, int]] | None, eqx: bool) -> Writer:
    if format is None:
        format = format_of(path) if isinstance(path, str | bytes | os.PathLike) else "text"
        if format is None:
            known = ", ".join(FORMATS)
            raise ArgumentError(f"{os.fsdecode(path)}: its suffix names no format; give format= one of {known}")
    check_word("format", format, FORMATS)
    if format == "sam":
        return Sam(targets=targets, eqx=eqx)
    if format == "paf":
        return Paf(eqx=eqx)
    return _PLAIN[format]()


def _write_header_last(writer: Sam, texts: Iterable[str], sink: Sink) -> None:
    """SAM's header names every target, which only the last result completes: keep the lines until then."""
    with tempfile.SpooledTemporaryFile(max_size=1 << 24, mode="w+", encoding="utf-8") as lines:
        for text in texts:
            lines.write(text)
        sink.write(writer.begin())
        lines.seek(0)
        while chunk := lines.read(1 << 20):
            sink.write(chunk)
