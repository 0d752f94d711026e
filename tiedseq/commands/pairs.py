"""tiedseq train and compare: from pairs of sequences to a pair-HMM, and from two hypotheses to a verdict."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tiedseq.errors import InputError, ResourceError, SequenceError
from tiedseq.options import HYPOTHESES

from .reports import IN_WORDS, model_text, verdict_text
from .shared import (
    PairTally,
    Progress,
    by_option,
    check_files,
    in_options,
    in_words,
    interruptible,
    load_model,
    of_training,
    origin,
    outcome,
    passing_on_remarks,
    refuse,
    say,
    usage,
    write_text,
)

if TYPE_CHECKING:
    from tiedseq.alphabet import Alphabet, Codes
    from tiedseq.comparison import Comparison
    from tiedseq.pairhmm import PairHMM
    from tiedseq.records import Record

Pair = tuple["Record", "Record"]
_PLACED = ("local", "glocal")  # modes of reads


def train(options: argparse.Namespace) -> int:
    """Estimate a pair-HMM, save it, and show it."""
    files = {"TARGET": options.target, "QUERY": options.query, "--model": options.model}
    check_files(options, {**files, "--checkpoint": options.checkpoint})
    _check_streams(options)
    if options.output is None:
        options.parser.error("-o MODEL.json is missing: where the model is to be written")
    if options.output == "-":
        options.parser.error("-o is a file for the model; --format json prints it to standard output as well")
    model = new_model(options)
    remedy = f"; the same command goes on from {options.checkpoint}" if options.checkpoint else ""
    with interruptible(f"interrupted: no model was written{remedy}", options.quiet):
        data = Pairs(options, model)
        log_likelihood = estimate(model, data, options)
    model.save(options.output)
    if options.format == "json":
        write_text(json.dumps(model.to_dict()))
    else:
        write_text(model_text(model))
    say(f"{data.tally}, {in_words(model, log_likelihood)}", options.quiet)
    return 0


def compare(options: argparse.Namespace) -> int:
    """Compare two hypotheses, and write the verdict."""
    files = {"TARGET": options.target, "QUERY": options.query, "--null": options.null}
    check_files(options, {**files, "--alternative": options.alternative})
    _check_streams(options)
    if options.permutation and _are_placed(options):
        options.parser.error(
            f"--permutation swaps target and query, and with --mode {options.mode} the queries are reads, whose roles "
            "are not exchangeable: leave it out, or give --pairs if they are sequences of one kind"
        )
    for option, value in (("--mode", options.mode), ("--strand", options.strand)):
        if options.permutation and value in ("glocal", "both"):
            options.parser.error(
                f"--permutation swaps target and query, which are not exchangeable with {option} {value}: give another "
                "one, or leave it out"
            )
    null, alternative = _hypotheses(options)
    with interruptible("interrupted: no verdict was written", options.quiet):
        data = Pairs(options, null)
        if options.permutation and data.share_a_target:
            options.parser.error(
                "--permutation swaps target and query, and these queries share a target, so that their roles are not "
                "exchangeable: leave it out, or give --pairs and a target for each"
            )
        result = _compared(null, alternative, data, options)
    write_text(_verdict(result, data, options), options.output)
    say(str(data.tally), options.quiet)
    return 0


def _compared(null: PairHMM, alternative: PairHMM, data: Pairs, options: argparse.Namespace) -> Comparison:
    """What the library says of two models, its notes in the words of the command line."""
    from tiedseq.hypothesis import compare as compared

    with contextlib.closing(Progress(options.quiet)) as progress:
        result: Comparison = data.named(
            lambda: compared(
                *(null, alternative, data.codes),
                bootstrap=options.bootstrap,
                permutation=options.permutation,
                errors=not options.no_errors,
                max_iter=options.max_iter,
                tol=options.tol,
                random_state=options.seed,
                announce=lambda message: progress.say(message, options.quiet),
                advance=progress.count,
                callback=progress.iteration,
                executor=options.threads,
                mode=data.mode,
                strand=data.strand,
            )
        )
    return replace(result, notes=tuple(in_options(note) for note in result.notes))


def _verdict(result: Comparison, data: Pairs, options: argparse.Namespace) -> str:
    """A comparison as JSON or for a person."""
    name = None if options.null is not None else _claim(options)
    if not _is_json(options):
        claim = IN_WORDS[name] if name else f"{options.null} explains the pairs as well as {options.alternative}"
        return verdict_text(result, claim)
    fitted = (result.null, result.alternative)
    provenance = {
        **data.provenance(),
        "log_likelihood": result.log_likelihood,
        "iterations": [len(model.history_) for model in fitted],
        "converged": [model.converged_ for model in fitted],
    }
    return json.dumps({"hypothesis": name, **result.to_dict(), "provenance": provenance})


# ---- models --------------------------------------------------------------------------------------------------------


def new_model(options: argparse.Namespace) -> PairHMM:
    """The model to train: one from a file, or of affine gaps as the options say."""
    with usage(options):
        if options.model is not None:
            names = ("asymmetric", "substitution", "gaps", "gap_switch", "given", "alphabet")
            refuse(options, names, "is for a new model; one from --model has a structure of its own")
            model: PairHMM = load_model(options.model, "pair-hmm")
        else:
            from tiedseq.pairhmm import PairHMM

            model = PairHMM.affine(
                symmetric=not options.asymmetric,
                **_gaps(options),
                substitution=options.substitution or ("general" if options.asymmetric else "symmetric"),
                given=options.given,
                alphabet="dna" if options.alphabet is None else options.alphabet,
            )
        return model.with_qualities() if options.qualities else model


def _hypotheses(options: argparse.Namespace) -> tuple[PairHMM, PairHMM]:
    if (options.null is None) != (options.alternative is None):
        options.parser.error("--null and --alternative belong together: give both, or --hypothesis")
    with usage(options):
        if options.null is not None:
            names = ("hypothesis", "gaps", "gap_switch", "substitution", "alphabet")
            refuse(options, names, "is for a ready hypothesis; --null and --alternative say all of theirs")
            models = load_model(options.null, "pair-hmm"), load_model(options.alternative, "pair-hmm")
        else:
            from tiedseq.ready import about, hypotheses

            claim = _claim(options)
            subject = [name for name in ("gaps", "substitution") if name == about(claim)]
            refuse(options, subject, f"is what --hypothesis {claim} is about, and sets itself: leave it out")
            chosen = {**_gaps(options), "substitution": options.substitution, "alphabet": options.alphabet}
            models = hypotheses(claim, **{name: value for name, value in chosen.items() if value is not None})
        return (models[0].with_qualities(), models[1].with_qualities()) if options.qualities else models


def _gaps(options: argparse.Namespace) -> dict[str, Any]:
    """What the options say of gaps, as `PairHMM.affine` takes it."""
    classes = {} if options.gaps is None else {"gaps": options.gaps}
    return {**classes, "gap_switch": 0.01 if options.gap_switch else None}


def _claim(options: argparse.Namespace) -> str:
    """The ready hypothesis that is asked for."""
    return options.hypothesis or HYPOTHESES[0]


def estimate(model: PairHMM, data: Pairs, options: argparse.Namespace) -> float:
    """Train a model, say what it should be known of, and note where its values come from; return their ln P."""
    with (
        passing_on_remarks(options, options.output if options.command == "train" else None),
        contextlib.closing(Progress(options.quiet)) as progress,
    ):
        told = of_training(options, progress)
        data.named(lambda: model.fit(data.codes, mode=data.mode, strand=data.strand, **told))
    # that of the last iteration is of the values before it, if max_iter was the end
    log_likelihood = model.score(data.codes, mode=data.mode, strand=data.strand)
    model.provenance = {**data.provenance(), **outcome(model, log_likelihood)}
    return log_likelihood


# ---- data ----------------------------------------------------------------------------------------------------------


class Pairs:
    """The pairs that a command learns from.

    Attributes
    ----------
    records, codes : the pairs, as records and encoded
    mode, strand : what `fit` takes them for; reads that have been placed are whole
    tally : counts the pairs, and those that are left out
    """

    def __init__(self, options: argparse.Namespace, model: PairHMM) -> None:
        self.options, self.mode, self.strand = options, options.mode, options.strand
        self.tally = PairTally()
        alphabet: Alphabet = model.alphabet
        self.records = list(self.tally.with_letters(self._read(options, alphabet)))
        if not self.records:
            raise InputError("it holds no pair of sequences to learn from", options.query or options.target)
        self.codes = [(self._encoded(x, alphabet), self._encoded(y, alphabet)) for x, y in self.records]
        if not model.n_letters(self.codes):
            message = "its pairs hold no letter to learn from: N and its like are missing data"
            raise InputError(message, options.query or options.target)

    def _read(self, options: argparse.Namespace, alphabet: Alphabet) -> Iterator[Pair]:
        from tiedseq.pairing import by_name, in_step
        from tiedseq.records import read

        if options.query is None:
            return _neighbours(read(options.target))
        if options.pairs:
            return {"order": in_step, "name": by_name}[options.pairs](read(options.target), read(options.query))
        return self._best_targets(list(read(options.target)), read(options.query), alphabet)

    def _best_targets(self, targets: list[Record], queries: Iterator[Record], alphabet: Alphabet) -> Iterator[Pair]:
        """Every query with the target that suits it best; of reads the part that does, on the strand where it does."""
        with_letters = [target for target in targets if len(target)]
        if not with_letters:
            raise InputError("it holds no sequence", self.options.target)
        if not _are_placed(self.options) and len(with_letters) == 1:
            yield from ((with_letters[0], query) for query in queries)
            return
        from tiedseq.alphabet import DNA
        from tiedseq.placing import place

        if alphabet.without_qualities() != DNA:
            self.options.parser.error("without --pairs, and with several targets or reads, DNA is needed: give --pairs")
        read = [query for query in queries if self.tally.has_letters(query)]
        found = place(with_letters, read, strand=self.strand, threads=self.options.threads)
        self.tally.unmapped += len(found.unmapped)
        if _are_placed(self.options):
            self.mode = "global"
            self.strand = "forward"
            yield from found.pairs
        else:
            yield from ((result.target, result.query) for result in found.results)

    @property
    def share_a_target(self) -> bool:
        """Whether several pairs have one and the same target."""
        return len({id(target) for target, _ in self.records}) < len(self.records)

    def _encoded(self, record: Record, alphabet: Alphabet) -> Codes:
        from tiedseq.records import encode

        return encode(record, alphabet, self.options.mask == "lowercase")

    def named(self, work: Callable[[], Any]) -> Any:
        """Do something with the pairs; an error that names one by its number names its record instead."""
        try:
            return work()
        except SequenceError as error:
            found = re.match(r"pairs\[(\d+)\]: (.*)", str(error), re.DOTALL)
            number = int(found[1]) if found else 0
            if not found and len(self.records) > 1:
                raise
            target, query = self.records[number]
            message = f"with {target.name}: {found[2] if found else error}"
            raise InputError(message, query.path, query.line, query.name) from error
        except ResourceError as error:
            raise by_option(error) from error

    def provenance(self) -> dict[str, Any]:
        """Where values come from, as model files record it."""
        digest = hashlib.sha256()
        for x, y in self.codes:
            digest.update(x.tobytes() + b"\n" + y.tobytes() + b"\n")
        return {
            **origin(self.options, digest.hexdigest()),
            "pairs": len(self.codes),
            "skipped": self.tally.n_skipped,
            "unmapped": self.tally.unmapped,
            "letters": sum(len(x) + len(y) for x, y in self.codes),
            "mode": self.options.mode,
            "strand": self.options.strand,
        }


def _neighbours(records: Iterator[Record]) -> Iterator[Pair]:
    """First with second, third with fourth; InputError if one is left over."""
    for target in records:
        query = next(records, None)
        if query is None:
            message = "it has no partner: of one file records 1 and 2, 3 and 4 are pairs; add one, or give two files"
            raise InputError(message, target.path, target.line, target.name)
        yield target, query


# ---- options and output --------------------------------------------------------------------------------------------


def _check_streams(options: argparse.Namespace) -> None:
    if options.target == options.query == "-":
        options.parser.error("standard input (-) can be read once: give a file for TARGET or for QUERY")
    if options.query is None and options.pairs == "name":
        options.parser.error("--pairs=name is for two files; of one, records 1 and 2, 3 and 4 are pairs")


def _are_placed(options: argparse.Namespace) -> bool:
    """Whether the queries are reads, which are placed before anything is estimated from them."""
    return options.mode in _PLACED and options.query is not None and not options.pairs


def _is_json(options: argparse.Namespace) -> bool:
    suffix = (options.output or "").removesuffix(".gz")
    return (options.format or ("json" if suffix.endswith(".json") else "text")) == "json"
