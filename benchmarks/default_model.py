"""Estimate the parameters of the built-in model: `python -m benchmarks.default_model` (a quarter of an hour).

Baum-Welch on the three pairs of mitochondrial genomes in data/, on the alpha-globin regions of human and cow (mostly
non-coding) and on the coding sequences of the beta-globin cluster. One Kimura table and two classes of gaps, everything
tied so that target and query, and the two strands, are alike. A gain of less than a nat ends it.
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
    pairs = training_pairs()
    last = -float("inf")
    while True:
        log_likelihood, model = expectation_maximization_step(model, pairs)
        print(f"{log_likelihood:.3f}", flush=True)
        if log_likelihood - last < 1.0:
            break
        last = log_likelihood
    for label, value in model.parameters.items():
        print(label, value if isinstance(value, float) else value.tolist())


def expectation_maximization_step(model: ts.PairHMM, pairs: list[tuple[str, str]]) -> tuple[float, ts.PairHMM]:
    """The log-likelihood of a model, and the model after one step of Baum-Welch."""
    specification = model._specification
    tables = model._gradient_tables(pairs, "global", "forward")
    counts = specification.pool(tables) * specification.free
    better = model.copy()
    better._specification.free = specification.maximize(counts)
    better._forget()
    return model.score(pairs), better


if __name__ == "__main__":
    main()
