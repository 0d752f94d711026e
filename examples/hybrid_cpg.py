"""A network as the emissions of an HMM: CpG islands again, and what it is worth to train both together.

    python examples/hybrid_cpg.py

The states and the data are those of cpg_islands.py: a model learns from the marked islands of one sequence, and looks
at another that it has not seen. There a letter depended on the one before it; here a network sees 43 letters around
each, both strands alike. There are three ways to train it: alone, position by position, as if neighbours were
independent; then with transitions on top, which know that islands are long; and both together, by the gradient of ln
P(labels | X). The network alone learns to be as sure of each position as it can, so that a path, which sums over
hundreds of them, is far too sure; together each leaves to the other what that does better. Networks have starting
values, and the posterior is the mean of two. The layers, the decay and the iterations were chosen on the known sequence
alone, its halves in turn: trained on one, looked at on the other. What the two dozen islands of one sequence teach
shows best there: on the other sequence the networks of five seeds reach 0.48 to 0.64, one by one, where letters after
letters reach 0.56.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from cpg_islands import DATA, jaccard, long_enough, marked_islands, two_states

import tiedseq as ts
from tiedseq import nn

STAY_LONG = {"island": {"island": 0.999, "sea": 0.001}, "sea": {"sea": 0.9999, "island": 0.0001}}
# channels come in pairs, c and 3 - c, of mirror images: their sum is the same on both strands
OUTPUTS = {"island": (0, 3), "sea": (1, 2)}
SEEDS = range(2)


def emissions(seed: int) -> nn.Emissions:
    net = nn.Sequential(
        nn.Conv1D(4, width=3, padding="same", symmetry="reverse-complement"),
        nn.ReLU(),
        nn.Conv1D(4, width=9, dilation=5, padding="same"),
        nn.Tanh(),
        nn.Conv1D(4, width=1),
        random_state=seed,
        dtype="float64",
    )
    return nn.Emissions(net, OUTPUTS, decay=10.0)


def hybrid(transitions: Any, potentials: nn.Emissions, **options: Any) -> ts.HMM:
    return ts.HMM(transitions=transitions, emissions=potentials, max_iter=150, **options)


def independent(share: float, potentials: nn.Emissions) -> ts.HMM:
    """Positions that know nothing of each other: every row is how frequent the states are."""
    row = {"island": ts.fixed(share), "sea": ts.fixed(1.0 - share)}
    return hybrid({"island": row, "sea": row}, potentials, start=row)


def agreement(models: Sequence[ts.HMM], record: ts.Record) -> float:
    """The Jaccard index of cpgplot's islands and those of the mean posterior."""
    posterior = np.mean([model.predict_proba(record)[:, 0] for model in models], axis=0)
    return jaccard(long_enough(posterior > 0.5), marked_islands(record))


def main() -> None:
    known, unknown = (next(ts.read(DATA / name)) for name in ("aglobin_human.fa", "Z69719.fa"))
    labels = np.where(marked_islands(known), 0, 1)
    warnings.simplefilter("ignore", ts.ConvergenceWarning)  # stopping early keeps the weights small, as decay does
    share = float((labels == 0).mean())
    alone = [independent(share, emissions(seed)).fit(known, paths=labels) for seed in SEEDS]
    models = {
        "HMM, letters after letters": [two_states(order=1).fit(known, paths=labels)],
        "network alone": alone,
        "network, then transitions": [hybrid(STAY_LONG, model.emissions_) for model in alone],
        "network and transitions together": [
            hybrid(STAY_LONG, emissions(seed)).fit(known, paths=labels) for seed in SEEDS
        ],
    }
    print(f"{'agreement with cpgplot':<34} {known.name[:18]:>18} {unknown.name[:18]:>18}")
    print(f"{'':<34} {'(learnt from)':>18} {'(not seen before)':>18}")
    for title, fitted in models.items():
        print(f"{title:<34} {agreement(fitted, known):18.3f} {agreement(fitted, unknown):18.3f}")
    print("(Islands have 200 letters or more, as cpgplot wants them; the network alone finds shorter pieces.)")


if __name__ == "__main__":
    main()
