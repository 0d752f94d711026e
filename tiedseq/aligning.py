"""Aligning sequences: from two sequences and a model to an alignment with a probability on every column.

A posterior says how probable each pair of letters is, over all alignments. Decoding chooses a path; the confidence of
its columns is the posterior's, whichever way the path was chosen.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from .alignment import AlignmentResult
from .alphabet import Alphabet, Codes, SequenceLike
from .biopython import record_of
from .decoding import column_confidence, most_accurate_columns
from .default import shared_default_model
from .errors import ArgumentError, InputError, SequenceError
from .options import DECODES, STRANDS, check_word, checked_count, checked_weight
from .pairhmm import PairHMM
from .pairing import Source, by_name, in_step, records_of
from .pairs.modes import check_mode
from .records import Record, encode
from .workers import too_many_threads

Task: TypeAlias = "tuple[list[_Encoded], Record]"
"""What one query is aligned to, and the query."""

# Pairs below are not weighed when a path is chosen: each would add less than 0.002 to what "mea" maximises.
_MEA_THRESHOLD = 0.001
_CONFIDENCE_THRESHOLD = 1e-6  # a Viterbi path may cross less probable pairs; below this their confidence is given as 0
_WAITING = 4  # alignments a thread that may wait to be taken


@dataclass(frozen=True)
class _Settings:
    """How to align: the arguments of `align`, checked."""

    model: PairHMM
    mode: str
    decode: str
    gap_weight: float
    strand: str

    def __post_init__(self) -> None:
        check_mode(self.mode)
        if not isinstance(self.model, PairHMM):
            raise ArgumentError(f"model must be a PairHMM, not {type(self.model).__name__}")
        check_word("decode", self.decode, DECODES)
        check_word("strand", self.strand, STRANDS)
        object.__setattr__(self, "gap_weight", checked_weight("gap_weight", self.gap_weight))


@dataclass(frozen=True)
class _Encoded:
    """A record, and its letters as the model sees them."""

    record: Record
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
        On strand "-" its `posterior` is still indexed on the query as given; `log_likelihood` is that of the strand,
        `log_odds` its odds over the query as given, so that of two strands the likelier one has the larger odds.
        The `posterior` holds pairs of probability 0.001 and more after "mea", where the others would not be weighed,
        and of 1e-6 and more after "viterbi", whose path may cross less probable ones. `target_unaligned` and
        `query_unaligned` are sums over all pairs.

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
    settings = _Settings(model if model is not None else shared_default_model(), mode, decode, gap_weight, strand)
    alphabet = settings.model.alphabet
    return _best([_encoded(target, alphabet, "target")], _encoded(query, alphabet, "query"), settings)


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
    """Align the records of two files (or two iterables of sequences) lazily, in the order of the queries.

    Parameters
    ----------
    targets, queries : path, "-" for standard input, open file, or iterable of sequences
        FASTA or FASTQ, gzip or not. The items of an iterable may be Records or whatever `align` takes; a SeqRecord's
        name is its id, the third query without a name is called "query3". Without `pairs` the targets are held in
        memory; queries are streamed.
    pairs : bool or "name", default False
        False: every query against every target. True: first with first, second with second. "name": every query
        against the target of its name.
    best : bool, default True
        Whether to keep only the likeliest target and strand a query. If not, all are given in the order of the targets,
        and `is_primary` marks the likeliest.
    threads : int, default 1
        The results do not depend on it. Each thread holds the memory of the alignment it works at: 0.07 GB for two
        sequences of 16.5 kb, 0.25 GB for 33 kb, 1.1 GB for 70 kb.
    model, mode, decode, gap_weight, strand
        As in `align`.

    Returns
    -------
    iterator of AlignmentResult
        With several threads it reads a few queries a thread ahead of what is taken. Ctrl-C, and leaving it early, end
        it at once; an alignment that is being computed then ends in the background, and nobody sees it (an interpreter
        that exits waits for it).

    Raises
    ------
    ArgumentError
        An option has an unknown value, an item is no sequence, or there are no targets.
    InputError
        A file's content is at fault, a letter is not in the alphabet, records do not pair up, or the model cannot
        explain a query; it names file, record and line as far as they are known. It is raised when it is the turn of
        that query.

    Examples
    --------
    >>> for result in align_all(["GATTACAGGCTTACC", "CCATTGCAATG"], ["CCATTGCTATG", "GATTACACTTACC"]):
    ...     print(result.query_name, result.target_name, result.cigar)
    query1 target2 7=1X3=
    query2 target1 7=2D6=
    """
    settings = _Settings(model if model is not None else shared_default_model(), mode, decode, gap_weight, strand)
    pairing, threads = _pairing(pairs), checked_count("threads", threads)
    alphabet, named = settings.model.alphabet, pairing == "name"
    target_records = records_of(targets, "targets", "target", alphabet, named)
    query_records = records_of(queries, "queries", "query", alphabet, named)
    tasks = _tasks(target_records, query_records, pairing, alphabet)

    def work(candidates: list[_Encoded], query: Record) -> list[AlignmentResult]:
        encoded = _encoded(query, alphabet)
        try:
            return [_best(candidates, encoded, settings)] if best else _all(candidates, encoded, settings)
        except SequenceError as error:
            raise InputError(str(error), query.path, query.line, query.name) from None

    return chain.from_iterable(_in_order(work, tasks, threads))


def _pairing(pairs: Any) -> str:
    """What `pairs` says, as one word: "all", "order" or "name"."""
    if isinstance(pairs, bool | np.bool_):
        return "order" if pairs else "all"
    if isinstance(pairs, str) and pairs == "name":
        return "name"
    raise ArgumentError(f'pairs must be False, True or "name", not {pairs!r}')


def _tasks(targets: Iterator[Record], queries: Iterator[Record], pairing: str, alphabet: Alphabet) -> Iterator[Task]:
    """Every query with the targets that it is aligned to."""
    if pairing == "all":
        everything = [_encoded(target, alphabet) for target in targets]
        if not everything:
            raise ArgumentError("targets holds no records: there is nothing to align to")
        return ((everything, query) for query in queries)
    in_pairs = {"order": in_step, "name": by_name}[pairing]
    return (([_encoded(target, alphabet)], query) for target, query in in_pairs(targets, queries))


def _in_order(work: Callable[..., Any], tasks: Iterable[tuple[Any, ...]], threads: int) -> Iterator[Any]:
    """work(*task) for every task, in order, on some threads. Kernels leave the interpreter lock, so threads do.

    One thread is one beside the caller's, too: Ctrl-C does not arrive inside a kernel, but it does where one waits.
    """
    ahead = _WAITING * threads if threads > 1 else 1
    waiting: deque[Future[Any]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for future in _submitted(pool, threads, work, tasks):
            waiting.append(future)
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _submitted(
    pool: ThreadPoolExecutor, threads: int, work: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]
) -> Iterator[Future[Any]]:
    """The future of every task; an error among the tasks, such as bad input, takes its place after those before it."""
    try:
        for task in tasks:
            yield pool.submit(work, *task)
    except Exception as error:
        failed: Future[Any] = Future()
        failed.set_exception(too_many_threads(f"threads={threads}", error) or error)
        yield failed


def _encoded(sequence: SequenceLike, alphabet: Alphabet, name: str = "") -> _Encoded:
    """A sequence with its codes; `name` is for one that has none."""
    codes = encode(sequence, alphabet)
    return _Encoded(record_of(sequence, alphabet, name), codes)


# ---- one query ---------------------------------------------------------------------------------------------------


def _candidates(
    targets: list[_Encoded], query: _Encoded, settings: _Settings
) -> tuple[list[tuple[int, bool]], list[Any]]:
    """Every (target, strand) of a query, and their log-odds in nats, which compare across targets and strands."""
    strands = (False, True) if settings.strand == "both" else (False,)
    places = [(k, reverse) for k in range(len(targets)) for reverse in strands]
    turned = {reverse: _on_strand(query.codes, reverse, settings.model.alphabet) for reverse in strands}
    recursion = settings.model.recursion
    pairs = [(targets[k].codes, turned[reverse]) for k, reverse in places]
    logs = recursion.log_likelihoods(pairs, settings.mode)
    nulls = [recursion.tables.log_background(targets[k].codes, query.codes) for k, _ in places]
    return places, [float(log) - null for log, null in zip(logs, nulls, strict=True)]


def _on_strand(codes: Codes, reverse: bool, alphabet: Alphabet) -> Codes:
    return alphabet.reverse_complement(codes) if reverse else codes


def _best(targets: list[_Encoded], query: _Encoded, settings: _Settings) -> AlignmentResult:
    """The alignment to the likeliest target and strand."""
    if len(targets) == 1 and settings.strand == "forward":
        return _aligned(targets[0], query, False, settings)
    # the alignment to come takes more memory than what chooses it, which may take hours
    settings.model.recursion.check_memory([(min(targets, key=lambda each: each.codes.size).codes, query.codes)])
    places, odds = _candidates(targets, query, settings)
    chosen = int(np.argmax(odds))
    target, reverse = places[chosen]
    return replace(_aligned(targets[target], query, reverse, settings), candidates=odds, candidate=chosen)


def _all(targets: list[_Encoded], query: _Encoded, settings: _Settings) -> list[AlignmentResult]:
    """The alignments to all targets and strands that the model can explain; the likeliest is primary."""
    settings.model.recursion.check_memory([(target.codes, query.codes) for target in targets])
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
    # Over the query as given on either strand: one null for both, or odds would not say which strand is likelier.
    log_odds = posterior.log_likelihood - model.recursion.tables.log_background(x, query.codes)
    if mode == "local" and log_odds < 0.0:
        columns = np.zeros((2, 0), np.int64)
    elif viterbi:
        columns = model.recursion.best_columns(x, y, mode)[1]
    else:
        columns = most_accurate_columns(posterior, mode, settings.gap_weight)
    turn = slice(None, None, -1 if reverse else 1)
    return AlignmentResult(
        target.record,
        query.record,
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
