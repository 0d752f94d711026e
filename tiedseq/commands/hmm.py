"""tiedseq fit and annotate: from sequences to an HMM, and from an HMM to where its states are."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiedseq.errors import ArgumentError, InputError, ResourceError, SequenceError
from tiedseq.options import ANNOTATIONS

from .shared import (
    Progress,
    Tally,
    by_option,
    check_files,
    in_words,
    interruptible,
    letters_of,
    load_model,
    of_training,
    origin,
    outcome,
    output_of,
    passing_on_remarks,
    refuse,
    say,
    usage,
)

if TYPE_CHECKING:
    from tiedseq.alphabet import Codes
    from tiedseq.formats.annotation import Floats
    from tiedseq.formats.intervals import Interval, Region
    from tiedseq.formats.tracks import Track
    from tiedseq.hmm import HMM
    from tiedseq.records import Record


def fit(options: argparse.Namespace) -> int:
    """Fit a model and save it."""
    files = {"SEQUENCES": options.sequences, "--model": options.model, "--checkpoint": options.checkpoint}
    check_files(options, files)
    if (options.states is None) == (options.model is None):
        options.parser.error("give --states N for a new model, or --model FILE for one to start from")
    if options.model is not None:
        why = "is for a new model, with --states; one from --model has a structure of its own"
        refuse(options, ("symmetry", "order", "alphabet"), why)
    from tiedseq.records import encode, read

    model = load_model(options.model, "hmm") if options.model else _new_model(options)
    alphabet = letters_of(model, options.model, "fit")
    tally = Tally()
    lowercase, digest, records, codes = options.mask == "lowercase", hashlib.sha256(), [], []
    for record in tally.not_empty(read(options.sequences)):
        records.append(record)
        codes.append(encode(record, alphabet, lowercase))
        digest.update(codes[-1].tobytes() + b"\n")
    if not codes:
        raise InputError("it holds no sequence to learn from", options.sequences)
    remedy = f"; the same command goes on from {options.checkpoint}" if options.checkpoint else ""
    with (
        passing_on_remarks(options, options.output),
        interruptible(f"interrupted: no model was written{remedy}", options.quiet),
        contextlib.closing(Progress(options.quiet)) as progress,
    ):
        _train(model, codes, records, options, progress)
    log_likelihood = model.score(codes)
    model.provenance = {
        **origin(options, digest.hexdigest()),
        "sequences": len(codes),
        "letters": sum(map(len, codes)),
        **outcome(model, log_likelihood),
    }
    model.save(options.output)
    say(f"{tally}, {in_words(model, log_likelihood)}", options.quiet)
    return 0


def _train(
    model: HMM, codes: list[Codes], records: list[Record], options: argparse.Namespace, progress: Progress
) -> None:
    try:
        model.fit(codes, n_init=options.restarts, **of_training(options, progress))
    except SequenceError:
        for sequence, record in zip(codes, records, strict=True):
            _posterior(model, record, sequence)  # raises for the record at fault
        raise
    except ResourceError as error:
        raise by_option(error) from error


def _posterior(model: HMM, record: Record, codes: Codes | None = None) -> Floats:
    """P(state) of every letter. InputError, with the place, if the model gives the record probability zero."""
    try:
        posterior: Floats = model.predict_proba(record if codes is None else codes)
    except SequenceError as error:
        line, column, why = record.line, None, f"no path of states can end after its {len(record)} letters"
        if error.position is not None and error.position < len(record):
            line, column = record.place(error.position)
            why = f"no path of states explains the letter {record.sequence[error.position]!r} after those before it"
        message = f"the model gives it probability 0: {why}; leave it out, or train the model on sequences like it"
        raise InputError(message, record.path, line, record.name, column) from error
    return posterior


def _new_model(options: argparse.Namespace) -> HMM:
    from tiedseq.hmm import HMM
    from tiedseq.options import LARGEST_SYMMETRIC_ORDER

    order = options.order or 0
    if options.symmetry is not None and order > LARGEST_SYMMETRIC_ORDER:
        options.parser.error(f"--order {order}: with --symmetry it is {LARGEST_SYMMETRIC_ORDER} at most")
    alphabet = "dna" if options.alphabet is None else options.alphabet
    with usage(options):
        return HMM.ergodic(
            options.states, alphabet=alphabet, order=order, symmetry=options.symmetry, random_state=options.seed
        )


def annotate(options: argparse.Namespace) -> int:
    """Decode sequences and write intervals or tracks."""
    check_files(options, {"MODEL": options.model, "SEQUENCES": options.sequences})
    model = load_model(options.model, "hmm")
    letters_of(model, options.model, "annotate")
    format = options.format or _format_of(options)
    is_track = format in ("bedgraph", "wig")
    if is_track:
        refuse(options, ("decode", "min_length", "min_posterior"), f"is for bed and gff3, and does nothing in {format}")
    else:
        refuse(options, ("state",), f"is for bedgraph and wig, and does nothing in {format}")
    if format != "gff3":
        refuse(options, ("type",), f"is for gff3, and does nothing in {format}")
    omitted = [_state(model, name, "--omit") for name in options.omit]
    from tiedseq.records import read

    target, tally = output_of(options.output), Tally()
    records = tally.not_empty(read(options.sequences))
    if is_track:
        from tiedseq.formats.tracks import write_tracks

        state = _track_state(model, options, omitted)
        name = model.states[state]
        write_tracks(_tracks(model, records, state, tally), target, format, name=name, description=f"P({name})")
    else:
        from tiedseq.formats.intervals import write_intervals

        write_intervals(_intervals(model, records, options, omitted, tally), target, format, type=options.type)
    say(str(tally), options.quiet)
    return 0


def _format_of(options: argparse.Namespace) -> str:
    name = (options.output or "").lower().removesuffix(".gz")
    known = {".bed": "bed", ".gff3": "gff3", ".gff": "gff3", ".bedgraph": "bedgraph", ".bg": "bedgraph", ".wig": "wig"}
    found = next((format for suffix, format in known.items() if name.endswith(suffix)), None)
    if name and name != "-" and found is None:
        options.parser.error(
            f"-o {options.output} has no suffix that names a format: give --format {', '.join(ANNOTATIONS)}"
        )
    return found or "bed"


def _state(model: HMM, name: str, option: str) -> int:
    if name not in model.states:
        raise ArgumentError(f"{option} {name}: the model has the states {', '.join(model.states)}")
    return model.states.index(name)


def _track_state(model: HMM, options: argparse.Namespace, omitted: list[int]) -> int:
    if options.state is not None:
        return _state(model, options.state, "--state")
    left = [k for k in range(len(model.states)) if k not in omitted]
    if len(left) != 1:
        options.parser.error(f"a track shows one state: give --state, one of {', '.join(model.states)}")
    return left[0]


def _intervals(
    model: HMM, records: Iterator[Record], options: argparse.Namespace, omitted: list[int], tally: Tally
) -> Iterator[Region | Interval]:
    from tiedseq.formats.intervals import Interval, Region, segments

    strands = model.strands
    for record in records:
        yield Region(record.name, len(record), record.path, record.line)
        posterior = _posterior(model, record)
        path = model.predict(record) if options.decode == "viterbi" else posterior.argmax(axis=1)
        found = segments(
            path, posterior, omit=omitted, min_length=options.min_length, min_posterior=options.min_posterior
        )
        for start, end, state, mean in found:
            tally.add(mean, end - start)
            yield Interval(record.name, start, end, model.states[state], mean, strands[state])


def _tracks(model: HMM, records: Iterator[Record], state: int, tally: Tally) -> Iterator[Track]:
    from tiedseq.formats.tracks import Track

    for record in records:
        posterior = _posterior(model, record)[:, state]
        tally.add(float(posterior.mean()), len(posterior))
        yield Track(record.name, posterior, record.path, record.line)
