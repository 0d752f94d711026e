"""Aligning sequences: from two sequences and a model to an alignment with a probability on every column.

A posterior says how probable each pair of letters is, over all alignments. Decoding chooses a path; the confidence of
its columns is the posterior's, whichever way the path was chosen.
"""

from __future__ import annotations

import math
import numbers
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from .alignment import AlignmentResult, NamedSequence
from .alphabet import Alphabet, Codes, SequenceLike
from .biopython import text_of
from .decoding import column_confidence, most_accurate_columns
from .default import default_model
from .errors import ArgumentError, InputError, SequenceError
from .pairhmm import PairHMM
from .pairs.modes import check_mode
from .records import Record, encode, read

Source = str | os.PathLike[str] | Iterable[Record]

# Pairs below are not weighed when a path is chosen: each would add less than 0.002 to what "mea" maximises.
_MEA_THRESHOLD = 0.001
_CONFIDENCE_THRESHOLD = 1e-6  # a Viterbi path may cross less probable pairs; below this their confidence is given as 0
_NAMELESS = ("<unknown id>", "<unknown name>", "<unknown description>")  # what Biopython fills in
_WAITING = 4  # alignments a thread that may wait to be taken


@dataclass(frozen=True)
class _Settings:
    """How to align: the arguments of `align`, checked."""

    model: PairHMM
    mode: str
    decode: str
    gap_weight: Any
    strand: str

    def __post_init__(self) -> None:
        check_mode(self.mode)
        if not isinstance(self.model, PairHMM):
            raise ArgumentError(f"model must be a PairHMM, not {type(self.model).__name__}")
        if self.decode not in ("mea", "viterbi"):
            raise ArgumentError(f'decode must be "mea" or "viterbi", not {self.decode!r}')
        if self.strand not in ("forward", "both"):
            raise ArgumentError(f'strand must be "forward" or "both", not {self.strand!r}')
        if not (isinstance(self.gap_weight, numbers.Real) and 0.0 <= float(self.gap_weight) < math.inf):
            raise ArgumentError(f"gap_weight must be a finite number of at least 0, not {self.gap_weight!r}")


@dataclass(frozen=True)
class _Encoded:
    """A sequence as the model sees it, with what a result keeps of it."""

    named: NamedSequence
    codes: Codes


def align(
    target: SequenceLike,
    query: SequenceLike,
    model: PairHMM | None = None,
    mode: str = "global",
    decode: str = "mea",
    gap_weight: float = 0.5,
    strand: str = "forward",
) -> AlignmentResult:
    """Align two sequences, with the probability of every column.

    Parameters
    ----------
    target, query : str, bytes, Bio.Seq, SeqRecord, Record or array of codes
    model : PairHMM, default None
        None takes `ts.default_model()`, for DNA.
    mode : {"global", "local", "glocal", "overlap"}
        Global: both whole. Local: any part of each; what is outside is background. Glocal: the whole query inside the
        target. Overlap: free end gaps.
    decode : {"mea", "viterbi"}
        "mea" maximises the expected accuracy: 2 * the sum of P(x_i ~ y_j) over aligned pairs + gap_weight * the sum of
        P(letter is aligned to nothing) over the other letters. "viterbi" is the likeliest path. A local alignment is
        empty, whichever way, if `log_odds` is negative: among many paths, the best looks good by chance alone.
    gap_weight : float, default 0.5
        0 is the accuracy of ProbCons (Do et al., Genome Res. 15:330, 2005), which aligns most; 1 that of FSA (Bradley
        et al., PLoS Comput. Biol. 5:e1000392, 2009), which aligns what is more probable than not.
    strand : {"forward", "both"}
        "both" tries the query's reverse complement too and keeps the likelier strand.

    Returns
    -------
    AlignmentResult
        On strand "-" its `posterior` is still indexed on the query as given; `log_likelihood` is that of the strand.

    Raises
    ------
    SequenceError, InputError
        A letter that the alphabet lacks (InputError for a record of a file: it names the place), or sequences that the
        model cannot explain at all.
    ArgumentError
        An option has an unknown value.

    Examples
    --------
    >>> result = align("GATTACAGGCTTACC", "GATTACACTTACC")
    >>> result.cigar
    '7=2D6='
    >>> align("AAAAAAAAAA", "CCCCCCCCCC", mode="local").is_empty
    True
    """
    settings = _Settings(model if model is not None else default_model(), mode, decode, gap_weight, strand)
    encoded = _encoded(target, "target", settings.model.alphabet), _encoded(query, "query", settings.model.alphabet)
    return _best([encoded[0]], encoded[1], settings)


def align_all(
    targets: Source,
    queries: Source,
    *,
    pairs: bool | str = False,
    best: bool = True,
    threads: int = 1,
    model: PairHMM | None = None,
    mode: str = "global",
    decode: str = "mea",
    gap_weight: float = 0.5,
    strand: str = "forward",
) -> Iterator[AlignmentResult]:
    """Align records of two files (or iterables of records) lazily, in the order of the queries.

    Parameters
    ----------
    targets, queries : path, "-" for standard input, or iterable of Record
        FASTA or FASTQ, gzip or not. Without `pairs` the targets are held in memory; queries are streamed.
    pairs : bool or "name", default False
        False: every query against every target. True: first with first, second with second. "name": by name.
    best : bool, default True
        Whether to keep only the likeliest target and strand a query. If not, all are given in the order of the targets,
        and `is_primary` marks the likeliest.
    threads : int, default 1
        The results do not depend on it.
    model, mode, decode, gap_weight, strand
        As in `align`.

    Raises
    ------
    InputError
        A file's content is at fault, or records do not pair up.
    """
    settings = _Settings(model if model is not None else default_model(), mode, decode, gap_weight, strand)
    if pairs not in (False, True, "name"):
        raise ArgumentError(f'pairs must be False, True or "name", not {pairs!r}')
    if not isinstance(threads, int) or threads < 1:
        raise ArgumentError(f"threads must be a whole number of at least 1, not {threads!r}")
    target_records, query_records = _records(targets), _records(queries)
    return _align_all(target_records, query_records, pairs, best, threads, settings)


def _align_all(
    targets: Iterator[Record],
    queries: Iterator[Record],
    pairs: bool | str,
    best: bool,
    threads: int,
    settings: _Settings,
) -> Iterator[AlignmentResult]:
    alphabet = settings.model.alphabet

    def work(candidates: list[_Encoded], query: Record) -> list[AlignmentResult]:
        encoded = _encoded(query, "query", alphabet)
        try:
            return [_best(candidates, encoded, settings)] if best else _all(candidates, encoded, settings)
        except SequenceError as error:
            raise InputError(str(error), query.path, query.line, query.name) from None

    if pairs is True:
        tasks = (([_encoded(target, "target", alphabet)], query) for target, query in _in_step(targets, queries))
    elif pairs == "name":
        tasks = (([_encoded(target, "target", alphabet)], query) for target, query in _by_name(targets, queries))
    else:
        everything = [_encoded(target, "target", alphabet) for target in targets]
        if not everything:
            raise ArgumentError("targets holds no records: there is nothing to align to")
        tasks = ((everything, query) for query in queries)
    return chain.from_iterable(_in_order(work, tasks, threads))


def _in_order(work: Callable[..., Any], tasks: Iterable[tuple[Any, ...]], threads: int) -> Iterator[Any]:
    """work(*task) for every task, in order, on some threads. Kernels leave the interpreter lock, so threads do."""
    if threads == 1:
        for task in tasks:
            yield work(*task)
        return
    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for future in _submitted(pool, work, tasks):
                waiting.append(future)
                if len(waiting) >= _WAITING * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _submitted(
    pool: ThreadPoolExecutor, work: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]
) -> Iterator[Future[Any]]:
    """The future of every task; an error among the tasks, such as bad input, takes its place after those before it."""
    try:
        for task in tasks:
            yield pool.submit(work, *task)
    except Exception as error:
        failed: Future[Any] = Future()
        failed.set_exception(error)
        yield failed


# ---- records -----------------------------------------------------------------------------------------------------


def _records(source: Source) -> Iterator[Record]:
    return read(source) if isinstance(source, str | os.PathLike) else iter(source)


def _in_step(targets: Iterator[Record], queries: Iterator[Record]) -> Iterator[tuple[Record, Record]]:
    """First with first, second with second; InputError with both counts if one side has more."""
    count = 0
    while True:
        target, query = next(targets, None), next(queries, None)
        if target is not None and query is not None:
            yield target, query
            count += 1
        elif target is query:
            return
        else:
            counts = count + _rest(target, targets), count + _rest(query, queries)
            raise InputError(
                f"the records do not pair up: there are {counts[0]} targets and {counts[1]} queries; "
                "give as many of each, or pair them by name"
            )


def _rest(first: Record | None, others: Iterator[Record]) -> int:
    return 0 if first is None else 1 + sum(1 for _ in others)


def _by_name(targets: Iterator[Record], queries: Iterator[Record]) -> Iterator[tuple[Record, Record]]:
    """Every query with the target of its name."""
    named: dict[str, Record] = {}
    for target in targets:
        if named.setdefault(target.name, target) is not target:
            message = "another target has this name, and pairs go by name"
            raise InputError(message, target.path, target.line, target.name)
    for query in queries:
        if query.name not in named:
            raise InputError("no target has this name", query.path, query.line, query.name)
        yield named[query.name], query


def _encoded(sequence: SequenceLike, role: str, alphabet: Alphabet) -> _Encoded:
    """A sequence with its codes; what has no name is called after its role."""
    codes = encode(sequence, alphabet)
    if isinstance(sequence, Record):
        return _Encoded(NamedSequence(sequence.name, sequence.description, sequence.sequence, sequence.quality), codes)
    inner: Any = sequence
    names = (getattr(inner, attribute, None) for attribute in ("id", "name"))
    name = next((name for name in names if name and name not in _NAMELESS), role)
    quality = getattr(inner, "letter_annotations", {}).get("phred_quality")
    qualities = None if quality is None else np.asarray(quality, np.uint8)
    description = getattr(inner, "description", None)
    description = "" if description is None or description in _NAMELESS else description
    return _Encoded(NamedSequence(str(name), str(description), text_of(sequence, alphabet), qualities), codes)


# ---- one query ---------------------------------------------------------------------------------------------------


def _candidates(
    targets: list[_Encoded], query: _Encoded, settings: _Settings
) -> tuple[list[tuple[int, bool]], list[Any]]:
    """Every (target, strand) of a query, and their log-odds in nats, which compare across targets."""
    strands = (False, True) if settings.strand == "both" else (False,)
    places = [(k, reverse) for k in range(len(targets)) for reverse in strands]
    turned = {reverse: _on_strand(query.codes, reverse, settings.model.alphabet) for reverse in strands}
    recursion = settings.model.recursion
    pairs = [(targets[k].codes, turned[reverse]) for k, reverse in places]
    logs = recursion.log_likelihoods(pairs, settings.mode)
    return places, [float(log) - recursion.log_background(*pair) for log, pair in zip(logs, pairs, strict=True)]


def _on_strand(codes: Codes, reverse: bool, alphabet: Alphabet) -> Codes:
    return alphabet.reverse_complement(codes) if reverse else codes


def _best(targets: list[_Encoded], query: _Encoded, settings: _Settings) -> AlignmentResult:
    """The alignment to the likeliest target and strand."""
    if len(targets) == 1 and settings.strand == "forward":
        return _aligned(targets[0], query, False, settings)
    places, odds = _candidates(targets, query, settings)
    chosen = int(np.argmax(odds))
    target, reverse = places[chosen]
    return replace(_aligned(targets[target], query, reverse, settings), candidates=odds, candidate=chosen)


def _all(targets: list[_Encoded], query: _Encoded, settings: _Settings) -> list[AlignmentResult]:
    """The alignments to all targets and strands that the model can explain; the likeliest is primary."""
    places, odds = _candidates(targets, query, settings)
    chosen = int(np.argmax(odds))
    return [
        replace(
            _aligned(targets[target], query, reverse, settings),
            candidates=odds,
            candidate=number,
            is_primary=number == chosen,
        )
        for number, (target, reverse) in enumerate(places)
        if odds[number] > -math.inf or number == chosen
    ]


def _aligned(target: _Encoded, query: _Encoded, reverse: bool, settings: _Settings) -> AlignmentResult:
    model, mode = settings.model, settings.mode
    x, y = target.codes, _on_strand(query.codes, reverse, model.alphabet)
    viterbi = settings.decode == "viterbi"
    posterior = model.recursion.posterior(x, y, mode, _CONFIDENCE_THRESHOLD if viterbi else _MEA_THRESHOLD)
    log_odds = posterior.log_likelihood - model.recursion.log_background(x, y)
    if mode == "local" and log_odds < 0.0:
        columns = np.zeros((2, 0), np.int64)
    elif viterbi:
        columns = model.viterbi_columns(x, y, mode)[1]
    else:
        columns = most_accurate_columns(posterior, mode, settings.gap_weight)
    turn = slice(None, None, -1 if reverse else 1)
    return AlignmentResult(
        target.named,
        query.named,
        columns,
        column_confidence(columns, posterior),
        posterior.log_likelihood,
        log_odds / math.log(2.0),
        posterior.pairs[:, turn].tocsr(),
        "-" if reverse else "+",
        mode,
        posterior.target_unaligned,
        posterior.query_unaligned[turn],
        alphabet=model.alphabet,
    )
