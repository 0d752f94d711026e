"""Estimate the parameters of the built-in model: `python -m benchmarks.default_model` (a quarter of an hour).

Baum-Welch on the three pairs of mitochondrial genomes in data/, on the alpha-globin regions of human and cow (mostly
non-coding) and on the coding sequences of the beta-globin cluster. One Kimura table and two classes of gaps, everything
tied so that target and query, and the two strands, are alike. A nat still to come ends it.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import tiedseq as ts

DATA = Path(__file__).parent.parent / "data"


def training_pairs() -> list[tuple[str, str]]:
    genomes = [next(ts.read(DATA / f"{name}_mt.fa")).sequence for name in ("human", "orangutan", "mouse")]
    genes = [record.sequence for record in ts.read(DATA / "hbb_cds.fa")]
    regions = [next(ts.read(DATA / f"aglobin_{name}.fa")).sequence for name in ("human", "cow")]
    return [*combinations(genomes, 2), (regions[0], regions[1]), *combinations(genes, 2)]


def main() -> None:
    letters = ts.fixed([0.25] * 4)
    model = ts.PairHMM.affine(gaps=2, substitution="kimura", values={"gap": letters, "gap2": letters})
    model.fit(training_pairs(), tol=1.0, callback=lambda now: print(f"{now.log_likelihood:.3f}", flush=True))
    for label, value in model.parameters.items():
        print(label, value if isinstance(value, float) else value.tolist())


if __name__ == "__main__":
    main()
