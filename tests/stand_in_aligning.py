"""A stand-in for tiedseq.aligning with its interface and none of its mathematics: every pair is aligned without gaps.

It records the options it was called with, so that a test of the command line sees what arrives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any

import numpy as np

from tiedseq.alignment import AlignmentResult, NamedSequence
from tiedseq.alphabet import DNA
from tiedseq.errors import InputError
from tiedseq.records import Record, encode, read

CALLS: list[dict[str, Any]] = []


def align_all(targets: Any, queries: Any, *, pairs: bool | str = False, **options: Any) -> Iterator[AlignmentResult]:
    """Results in the order of the queries; with `best=False` those with the later targets are secondary."""
    CALLS.append({"targets": targets, "queries": queries, "pairs": pairs, **options})
    return _results(_records(targets), _records(queries), pairs)


def _records(source: Any) -> Iterable[Record]:
    return read(source) if isinstance(source, str) else source


def _results(targets: Iterable[Record], queries: Iterable[Record], pairs: bool | str) -> Iterator[AlignmentResult]:
    if pairs:
        for n, (target, query) in enumerate(zip_longest(targets, queries)):
            if target is None or query is None:
                raise InputError(f"one file holds {n} records, the other more")
            yield _aligned(target, query, True)
        return
    targets = list(targets)
    for query in queries:
        for target in targets[: 1 if CALLS[-1]["best"] else None]:
            yield _aligned(target, query, target is targets[0])


def _aligned(target: Record, query: Record, is_primary: bool) -> AlignmentResult:
    for record in (target, query):
        encode(record, DNA)
    n = min(len(target), len(query))
    return AlignmentResult(
        NamedSequence(target.name, target.description, target.sequence, target.quality),
        NamedSequence(query.name, query.description, query.sequence, query.quality),
        np.stack([np.arange(n)] * 2),
        np.linspace(0.5, 1.0, n),
        -1.0,
        2.0 * n,
        None,
        "+",
        "local",
        np.full(len(target), 0.25),
        np.full(len(query), 0.25),
        is_primary=is_primary,
    )
