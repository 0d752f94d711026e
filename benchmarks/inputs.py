"""The sequences and models that the cases share."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tiedseq as ts

DATA = Path(__file__).resolve().parent.parent / "data"
GAP = [0.25, 0.25, 0.25, 0.25]
UNEQUAL_GAP = [0.31, 0.25, 0.13, 0.31]


@cache
def genome(name: str) -> str:
    """The only sequence of data/NAME.fa."""
    return "".join((DATA / f"{name}.fa").read_text().split("\n")[1:]).upper()


def mito(query: str = "orangutan_mt", length: int | None = None) -> tuple[str, str]:
    """The human mitochondrial genome and another, or the first letters of both."""
    return genome("human_mt")[:length], genome(query)[:length]


def read_pairs(n: int = 10_000, read: int = 150, window: int = 200) -> list[tuple[str, str]]:
    """(read, window): a window of the genome, and a read from inside it with a tenth of its letters changed."""
    rng, reference = random.Random(0), genome("human_mt")
    pairs = []
    for _ in range(n):
        begin = rng.randrange(len(reference) - window)
        offset = rng.randrange(window - read)
        letters = list(reference[begin + offset : begin + offset + read])
        for position in rng.sample(range(read), read // 10):
            letters[position] = rng.choice("ACGT")
        pairs.append(("".join(letters), reference[begin : begin + window]))
    return pairs


def with_n(sequence: str, share: float = 0.02) -> str:
    """The sequence with a share of its letters unknown."""
    rng = random.Random(1)
    return "".join("N" if rng.random() < share else letter for letter in sequence)


def model(gap_classes: int = 1, gap: list[float] = GAP, end: bool = False) -> ts.PairHMM:
    """An affine pair-HMM of 1 + 2 * gap_classes states, written out so that every feature can be had alone."""
    import tiedseq as ts

    classes = range(1, gap_classes + 1)
    stop = {"end": 1e-4} if end else {}
    row: dict[str, object] = {"M": "match", **stop}
    states, rows, emissions = {"M": "xy"}, {"M": row}, {"M": "pair"}
    values: dict[str, object] = {"pair": [[0.19 if a == b else 0.02 for b in "ACGT"] for a in "ACGT"], "gap": gap}
    for k in classes:
        values |= {f"open{k}": 0.02 / gap_classes, f"extend{k}": 1 - 0.4 / 4 ** (k - 1)}
        for state, kind in ((f"X{k}", "x"), (f"Y{k}", "y")):
            states[state], emissions[state] = kind, "gap"
            row[state] = f"open{k}"
            rows[state] = {"M": f"close{k}", state: f"extend{k}", **stop}
    return ts.PairHMM(
        alphabet=ts.DNA, states=states, transitions=rows, start=dict(row), emissions=emissions, values=values
    )
