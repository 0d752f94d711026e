"""CpG islands: an HMM learns from marked islands, and finds those of another sequence.

    python examples/cpg_islands.py

The islands of the human alpha-globin region, as EMBOSS's cpgplot marks them, teach three models with a state for
islands and one for the rest. In the first a letter depends on none before it, so that it can only know how rich in G
and C islands are; in the second it depends on the one before it, and so knows CpG itself. The third is the second with
both strands tied, as which of them a file shows is chance: eleven of 27 parameters are gone. All then look at a
sequence that they have not seen. Agreement with cpgplot is the Jaccard index: letters in both over letters in either.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tiedseq as ts

DATA = Path(__file__).parent.parent / "data"
SHORTEST = 200  # letters of an island, as cpgplot has it


def marked_islands(record: ts.Record) -> NDArray[np.bool_]:
    """Where cpgplot has islands."""
    inside = np.zeros(len(record), bool)
    for line in (DATA / "cpgplot_islands.bed").read_text().splitlines():
        name, start, end = line.split("\t")[:3]
        if name == record.name:
            inside[int(start) : int(end)] = True
    return inside


def long_enough(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where it is True for long enough."""
    inside = inside.copy()
    borders = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(np.int8), [0]])))
    for start, end in borders.reshape(-1, 2):
        inside[start:end] = end - start >= SHORTEST
    return inside


def found_islands(model: ts.HMM, record: ts.Record) -> NDArray[np.bool_]:
    """Where the island's posterior is above one half for long enough."""
    return long_enough(model.predict_proba(record)[:, model.states.index("island")] > 0.5)


def jaccard(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


def two_states(**options: Any) -> ts.HMM:
    return ts.HMM(
        alphabet=ts.DNA,
        transitions={"island": {"island": 0.999, "sea": 0.001}, "sea": {"sea": 0.9999, "island": 0.0001}},
        emissions={"island": "letters in islands", "sea": "letters elsewhere"},
        random_state=0,
        **options,
    )


def main() -> None:
    known, unknown = (next(ts.read(DATA / name)) for name in ("aglobin_human.fa", "Z69719.fa"))
    truth = marked_islands(known)
    print(f"{'agreement with cpgplot':<34} {known.name[:18]:>18} {unknown.name[:18]:>18}")
    print(f"{'':<34} {'(learnt from)':>18} {'(not seen before)':>18}")
    everything = [jaccard(np.ones(len(record), bool), marked_islands(record)) for record in (known, unknown)]
    print(f"{'everything is an island':<34} {everything[0]:18.3f} {everything[1]:18.3f}")
    models = {
        "letters: G and C content": two_states(order=0),
        "letters after letters: CpG": two_states(order=1),
        "the same, both strands tied": two_states(order=1, symmetry="reverse-complement"),
    }
    for title, model in models.items():
        model.fit(known, paths=np.where(truth, 0, 1))
        found = [jaccard(found_islands(model, record), marked_islands(record)) for record in (known, unknown)]
        print(f"{title:<34} {found[0]:18.3f} {found[1]:18.3f}")


if __name__ == "__main__":
    main()
