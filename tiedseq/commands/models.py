"""tiedseq score, sample and info: what a model file holds, what it makes of sequences, and sequences drawn from it."""

from __future__ import annotations

import argparse
from typing import Any

from tiedseq.errors import ArgumentError

from .shared import PairTally, Tally, check_files, letters_of, load_model, output_of, say, write_text

_KINDS = {"pair-hmm": "a pair-HMM", "hmm": "an HMM"}  # of models that sequences have a probability under


def score(options: argparse.Namespace) -> int:
    """Print a line for every sequence or pair."""
    from tiedseq.records import read
    from tiedseq.sink import open_sink

    check_files(options, {"MODEL": options.model, "SEQUENCES": options.sequences, "QUERIES": options.queries})
    model = load_model(options.model, *_KINDS)
    if (model.kind == "pair-hmm") != (options.queries is not None):
        options.parser.error(
            f"{options.model} holds {_KINDS[model.kind]}, which takes "
            f"{'two files' if options.queries is None else 'one file'}"
        )
    letters_of(model, options.model, "score")
    tally = Tally() if options.queries is None else PairTally()
    with open_sink(output_of(options.output)) as sink:
        if isinstance(tally, PairTally):
            from tiedseq.pairing import in_step

            sink.write("target\tquery\tlog_likelihood\n")
            for target, query in tally.with_letters(in_step(read(options.sequences), read(options.queries))):
                sink.write(f"{target.name}\t{query.name}\t{model.log_likelihood(target, query):.6f}\n")
        else:
            sink.write("name\tlength\tlog_likelihood\n")
            for record in tally.not_empty(read(options.sequences)):
                sink.write(f"{record.name}\t{len(record)}\t{model.score(record):.6f}\n")
    say(str(tally), options.quiet)
    return 0


def sample(options: argparse.Namespace) -> int:
    """Write FASTA."""
    from tiedseq.random_state import generator_of
    from tiedseq.sink import open_sink

    check_files(options, {"MODEL": options.model})
    model, generator = load_model(options.model, *_KINDS), generator_of(options.seed)

    def draw() -> Any:
        try:
            return model.sample(options.length, generator)
        except ArgumentError as error:  # in Python's words; what was left out is an option here
            if options.length is not None:
                raise
            raise ArgumentError(f"{options.model} has no end: say how long its sequences are with --length") from error

    with open_sink(output_of(options.output)) as sink:
        for number in range(1, options.count + 1):
            if model.kind == "pair-hmm":
                target, query, _ = draw()
                sink.write(f">target{number}\n{target}\n>query{number}\n{query}\n")
            elif model.alphabet is None:
                raise ArgumentError(f"{options.model} emits numbers, which FASTA cannot hold; sample it from Python")
            else:
                sink.write(f">sample{number}\n{draw()[0]}\n")
    return 0


def info(options: argparse.Namespace) -> int:
    """Print the model as Python shows it."""
    from tiedseq.storage import load

    model = load(options.model)
    origin = getattr(model, "provenance", None) or {}
    write_text("\n".join([str(model), *(f"{key}: {value}" for key, value in origin.items())]))
    return 0
