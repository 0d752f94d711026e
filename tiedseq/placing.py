"""Reads put where they belong before parameters are estimated from them.

A read is part of a reference, on either strand, between ends that are no part of it: adapters, what ran on past a
junction, another molecule. Estimated over all of that, gaps would have to explain it. So each read is aligned locally
first, to the likeliest target and strand, and its ends are left to the background. What remains, read and reference
from the first aligned pair of letters to the last, is a pair for `fit` and `compare`: two hypotheses on one placement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .aligning import align_all
from .alignment import AlignmentResult
from .options import checked_number
from .pairhmm import PairHMM
from .pairing import Source
from .records import Record

MAPPED = 40.0  # bits of log-odds, from which on a read is placed: chance does not reach them in a genome of a million


@dataclass(frozen=True)
class Placement:
    """Where reads belong.

    Attributes
    ----------
    pairs : list of (Record, Record)
        Target and read from the first aligned pair of letters to the last, the read on the strand of the target, with
        its qualities: what `fit` takes.
    results : list of AlignmentResult
        The local alignment of every read that was placed.
    unmapped : list of str
        The names of reads that fit nowhere.
    """

    pairs: list[tuple[Record, Record]]
    results: list[AlignmentResult]
    unmapped: list[str]


def place(
    targets: Source,
    reads: Source,
    model: PairHMM | None = None,
    *,
    min_log_odds: float = MAPPED,
    strand: str = "both",
    threads: int = 1,
) -> Placement:
    """Place every read on the likeliest target and strand, by local alignment.

    Parameters
    ----------
    targets, reads : path, "-" for standard input, open file, or iterable of sequences
        As `align_all` takes them.
    model : PairHMM, default None
        None takes the built-in model, as `align` does.
    min_log_odds : float, default 40
        Bits below which a read is unmapped.
    strand : {"both", "forward"}
    threads : int, default 1
        The result does not depend on it.

    Raises
    ------
    ArgumentError
        An option has an unknown value, or there are no targets.
    InputError
        A file's content is at fault; it names file, record and line.

    Examples
    --------
    >>> found = place(["GATTACAGGCTTACCGATTCTTGACAC"], ["CCCCGATTACAGGCTTACCGTTGACACGGGG", "ACACACAC"], min_log_odds=5)
    >>> [read.sequence for _, read in found.pairs], found.unmapped
    (['GATTACAGGCTTACCGTTGACAC'], ['query2'])
    """
    least = checked_number(
        "min_log_odds", min_log_odds, lambda bits: not math.isnan(bits), f"a number of bits; {MAPPED:g} by default"
    )
    placed: list[AlignmentResult] = []
    unmapped: list[str] = []
    for result in align_all(targets, reads, model=model, mode="local", strand=strand, threads=threads):
        if result.is_empty or result.log_odds < least:
            unmapped.append(result.query_name)
        else:
            placed.append(result)
    return Placement([_pair(result) for result in placed], placed, unmapped)


def _pair(result: AlignmentResult) -> tuple[Record, Record]:
    """Target and query of a local alignment, cut to what is aligned, the query on the target's strand."""
    aligned = result.columns[:, result.is_residue]
    target, query = result.target, result.query
    text, quality = query.sequence, query.quality
    if result.strand == "-":
        text = result.alphabet.text_reverse_complement(text)
        quality = None if quality is None else quality[::-1]
    (i, last_i), (j, last_j) = ((int(side[0]), int(side[-1]) + 1) for side in aligned)
    quality = None if quality is None else quality[j:last_j].copy()
    return (
        Record(target.name, target.sequence[i:last_i], path=target.path, line=target.line),
        Record(query.name, text[j:last_j], quality=quality, path=query.path, line=query.line),
    )
