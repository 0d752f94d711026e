"""tiedseq align: from records to alignments in a file."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tiedseq.errors import InputError, ResourceError
from tiedseq.options import FORMATS

from .shared import Progress, Tally, by_option, check_files, load_model, output_of, refuse, say

_OF_TRAINING = ("asymmetric", "substitution", "gaps", "gap_switch", "max_iter", "tol", "seed")

if TYPE_CHECKING:
    from tiedseq.alignment import AlignmentResult
    from tiedseq.records import Record


def align(options: argparse.Namespace) -> int:
    """Align, and write what passes the filters."""
    _check_usage(options)
    if options.mask == "lowercase" and not options.train:
        say("--mask lowercase changes nothing here: it acts on training only (--train)", options.quiet)
    from tiedseq.formats import write

    format = _format(options)
    if format not in ("sam", "paf"):
        refuse(options, ("eqx",), f"is for the CIGARs of sam and paf, and does nothing in {format}")
    from tiedseq.aligning import align_all  # not earlier: it brings Numba

    _check_pairs(options)
    model = _model(options, format)
    targets, header = _targets(options, format)
    results = align_all(
        targets,
        options.query,
        pairs="name" if options.pairs == "name" else options.pairs == "order",
        best=not options.all,
        threads=options.threads,
        model=model,
        mode=options.mode,
        decode=options.decode,
        gap_weight=options.gap_weight,
        strand=options.strand,
    )
    passing = _Passing(options.min_confidence, options.min_accuracy, options.quiet)
    try:
        with contextlib.closing(passing):
            write(passing.results(results), output_of(options.output), format, targets=header, eqx=options.eqx)
    except ResourceError as error:
        raise by_option(error) from error
    passing.report()
    return 0


def _check_usage(options: argparse.Namespace) -> None:
    """Mistakes in the combination of options; exits with status 2."""
    check_files(options, {"TARGET": options.target, "QUERY": options.query, "--model": options.model})
    if options.target == options.query == "-":
        options.parser.error("standard input (-) can be read once: give a file for TARGET or for QUERY")
    if options.train and "-" in (options.target, options.query):
        options.parser.error("--train reads the sequences twice: give files, not standard input (-)")
    if not options.train:
        refuse(options, _OF_TRAINING, "is about what --train estimates, and does nothing without it: give --train too")
    if options.decode != "mea":
        refuse(options, ("gap_weight",), f"is of --decode mea, and does nothing with {options.decode}")
    if options.pairs and options.strand == "forward":
        refuse(options, ("all",), "does nothing with --pairs, where a query has one target, and one strand")


def _format(options: argparse.Namespace) -> str:
    """The format to write; exits with status 2 if the output's suffix stands for none."""
    if options.format or options.output in (None, "-"):
        return options.format or "text"
    from tiedseq.formats import format_of, suffix_of

    format = format_of(options.output)
    if format is None and (suffix := suffix_of(options.output)):
        known = ", ".join(FORMATS)
        options.parser.error(f"-o {options.output}: .{suffix} stands for no format: give --format, one of {known}")
    return format or "text"


def _model(options: argparse.Namespace, format: str) -> Any:
    """The model to align by: trained first, from a file, or None for the built-in one."""
    if not options.train:
        return _load_model(options.model, format) if options.model else None
    from .pairs import Pairs, estimate, new_model

    model = new_model(options)
    data = Pairs(options, model)
    log_likelihood = estimate(model, data, options)
    say(f"trained on {data.tally}, log-likelihood {log_likelihood:.3f} nats", options.quiet)
    return model


def _load_model(path: str, format: str) -> Any:
    """The model in a file; InputError if it aligns nothing, ArgumentError if the format cannot hold its letters."""
    from tiedseq.formats.sam import check_alphabet

    model = load_model(path, "pair-hmm")
    if format == "sam":
        check_alphabet(model.alphabet)
    return model


def _check_pairs(options: argparse.Namespace) -> None:
    """See to it that all records have partners before anything is written. What is a stream can be read only once."""
    if options.pairs and os.path.isfile(options.target) and os.path.isfile(options.query):
        from tiedseq.pairing import by_name, in_step
        from tiedseq.records import read

        in_pairs = {"order": in_step, "name": by_name}[options.pairs]
        deque(in_pairs(read(options.target), read(options.query)), maxlen=0)


def _targets(options: argparse.Namespace, format: str) -> tuple[str | list[Record], list[tuple[str, int]] | None]:
    """What to align to, and for SAM the names and lengths of all targets, which its header has to know first.

    Without pairs every target is needed for every query, so the records are kept; with pairs the file is read twice
    unless it is a stream.
    """
    if format != "sam":
        return options.target, None
    from tiedseq.records import read

    if options.pairs and options.target != "-" and os.path.isfile(options.target):
        return options.target, _sam_header(read(options.target))
    records = list(read(options.target))
    return records, _sam_header(records)


def _sam_header(records: Iterable[Record]) -> list[tuple[str, int]]:
    """Names and lengths; InputError if two different sequences have one name, or one that SAM does not take."""
    from tiedseq.formats.sam import target_name

    seen: dict[str, tuple[int, int]] = {}
    for record in records:
        target_name(record.name, record.path, record.line)
        content = len(record), hash(record.sequence)
        if seen.setdefault(record.name, content) != content:
            message = "another target has this name; SAM tells references apart by name: rename one"
            raise InputError(message, record.path, record.line, record.name)
    return [(name, length) for name, (length, _) in seen.items()]


class _Passing:
    """Filters results on their way to the writer, counts them, and shows progress on a terminal."""

    def __init__(self, min_confidence: float | None, min_accuracy: float | None, quiet: bool) -> None:
        self._min_confidence, self._min_accuracy, self._quiet = min_confidence, min_accuracy, quiet
        self._progress, self._tally = Progress(quiet), Tally()

    def results(self, results: Iterable[AlignmentResult]) -> Iterator[AlignmentResult]:
        """The results to write. A record counts once, with its primary result."""
        for result in results:
            if self._min_confidence is not None:
                result = result.filter(self._min_confidence)
            accuracy = result.expected_accuracy
            dropped = self._min_accuracy is not None and accuracy < self._min_accuracy
            self._tally.n_records += result.is_primary
            self._tally.n_skipped += result.is_primary and (dropped or result.is_empty)
            self._progress.show(f"{self._tally.n_records} records")
            if dropped:
                continue
            self._tally.add(accuracy, int(result.is_residue.sum()))
            yield result

    def close(self) -> None:
        """Wipe the progress off the terminal."""
        self._progress.close()

    def report(self) -> None:
        """The last line on standard error."""
        say(str(self._tally), self._quiet)
