"""Alignment results made from letters and a path, without a model: shared by the tests of results and of writers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tiedseq.alignment import AlignmentResult
from tiedseq.records import Record

COMPLEMENT = str.maketrans("ACGTRYKMBVDHNSWacgtn", "TGCAYRMKVBHDNSWtgcan")


def reverse_complement(text: str) -> str:
    """The other strand, letter by letter."""
    return text.translate(COMPLEMENT)[::-1]


def make_result(
    target: str,
    query: str,
    path: str,
    *,
    start: tuple[int, int] = (0, 0),
    strand: str = "+",
    mode: str = "global",
    names: tuple[str, str] = ("t", "q"),
    seed: int = 0,
    **more: Any,
) -> AlignmentResult:
    """A result along `path` (letters M, I, D) from `start`, both on the aligned strand; random probabilities."""
    rng = np.random.default_rng(seed)
    i, j = start
    columns = []
    for operation in path:
        columns.append((i if operation != "I" else -1, j if operation != "D" else -1))
        i += operation != "I"
        j += operation != "D"
    values: dict[str, Any] = {
        "log_likelihood": -50.0,
        "log_odds": 12.5,
        "posterior": None,
        "target_unaligned": rng.random(len(target)),
        "query_unaligned": rng.random(len(query)),
        "confidence": rng.random(len(path)),
        **more,
    }
    quality = values.pop("quality", None)
    return AlignmentResult(
        target=Record(names[0], target, names[0]),
        query=Record(names[1], query, names[1], quality),
        columns=np.array(columns, np.int64).reshape(-1, 2).T,
        strand=strand,
        mode=mode,
        **values,
    )


def random_result(rng: np.random.Generator, *, mode: str, strand: str, target_name: str = "target1") -> AlignmentResult:
    """A result along a random path with at least one aligned pair; gaps at its ends in every second one."""

    def text(length: int) -> str:
        return "".join(rng.choice(list("ACGTacgtN"), length))

    path = "M" * int(rng.integers(1, 4)) + "".join(rng.choice(list("MMMMID"), int(rng.integers(0, 130))))
    if rng.random() < 0.5:
        path = "".join(rng.choice(list("ID"), int(rng.integers(0, 4)))) + path
    start = (0, 0) if mode == "global" else (int(rng.integers(0, 9)), int(rng.integers(0, 9)))
    if mode == "glocal":
        start = (start[0], 0)
    n_target, n_query = len(path) - path.count("I"), len(path) - path.count("D")
    right = (0, 0) if mode == "global" else (int(rng.integers(0, 9)), int(rng.integers(0, 9)))
    target = text(start[0] + n_target + right[0])
    oriented = list(text(start[1] + n_query + (0 if mode == "glocal" else right[1])))
    i, j = start
    for operation in path:  # make most pairs equal
        if operation == "M" and rng.random() < 0.8:
            oriented[j] = target[i]
        i += operation != "I"
        j += operation != "D"
    query = "".join(oriented)
    return make_result(
        target,
        query if strand == "+" else reverse_complement(query),
        path,
        start=start,
        strand=strand,
        mode=mode,
        names=(target_name, "query1"),
        seed=int(rng.integers(1 << 30)),
        quality=rng.integers(0, 42, len(query)).astype(np.uint8),
        log_odds=float(abs(rng.normal(0, 100))) if mode in ("local", "glocal") else float(rng.normal(0, 100)),
    )


def cigar_parts(cigar: str) -> Iterator[tuple[str, int]]:
    number = ""
    for character in cigar:
        if character.isdigit():
            number += character
        else:
            yield character, int(number)
            number = ""
