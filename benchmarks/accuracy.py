"""`python -m benchmarks accuracy`: tiedseq, trained on the data itself, and its peers against known alignments.

What a pair-HMM learns it learns from the unaligned pairs of the table; the truth only judges.
"""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .accuracy_peers import PEERS, Pairs
from .harness import Missing, report
from .measures import Accuracy, accuracy, margin
from .truth import (
    DELETION_RATE,
    DIVERGENCES,
    HKY,
    INSERTION_RATE,
    LENGTH,
    ZIPF_EXPONENT,
    ZIPF_LONGEST,
    TruePair,
    globins,
    partners_of_columns,
    simulated,
)

if TYPE_CHECKING:
    import tiedseq as ts
    from tiedseq.alignment import AlignmentResult

GAP_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 32.0, 256.0, 4096.0)  # the last ones reach local aligners
LEAST_GAIN = {0.3: 0.004, 0.6: 0.04, 1.0: 0.012}  # over ProbCons at gap weight 0, in recall and in precision
_WIDTH = 28


def trained(gaps: int) -> Callable[[Pairs], ts.PairHMM]:
    """Training on all pairs together; target and query are alike, and so are gaps in either."""

    def model(pairs: Pairs) -> ts.PairHMM:
        import tiedseq as ts

        with warnings.catch_warnings():  # globins differ by gaps of one letter: the extension reaches its boundary
            warnings.simplefilter("ignore", ts.ConvergenceWarning)
            return ts.PairHMM.affine(gaps=gaps).fit(pairs, tol=0.01, executor=2)

    return model


def untrained(pairs: Pairs) -> ts.PairHMM:
    import tiedseq as ts

    return ts.default_model()


BEST = "tiedseq (two gap classes)"
MODELS: dict[str, Callable[[Pairs], ts.PairHMM]] = {
    BEST: trained(2),
    "tiedseq (one gap class)": trained(1),
    "tiedseq (default model)": untrained,
}


def aligned(model: ts.PairHMM, truth: Sequence[TruePair], gap_weight: float) -> list[AlignmentResult]:
    import tiedseq as ts

    return [ts.align(pair.target, pair.query, model=model, gap_weight=gap_weight) for pair in truth]


def accuracy_at(model: ts.PairHMM, truth: Sequence[TruePair], gap_weight: float) -> Accuracy:
    results = aligned(model, truth, gap_weight)
    return accuracy(truth, [partners_of_columns(result.columns, len(result.target)) for result in results])


@report("accuracy")
def accuracy_report(pairs: int) -> Iterator[str]:
    """One table a divergence, and one for the real sequences."""
    try:
        yield from _simulated(pairs)
    except ImportError as error:
        yield f"Simulated pairs: skipped: {_reason(error)}"
    yield "\n".join(comparison("15 pairs of beta-globin coding sequences against their proteins", globins(), None))


def _simulated(pairs: int) -> Iterator[str]:
    import msasim  # noqa: F401 - so that nothing is promised if it is missing

    letters = ", ".join(f"{letter} {share}" for letter, share in zip("ACGT", HKY, strict=False))
    yield (
        f"Simulated by msasim: {LENGTH} letters at the root; HKY with {letters}, transitions to transversions as "
        f"{HKY[4]:g} to 1;\n{INSERTION_RATE} insertions and {DELETION_RATE} deletions a substitution, Zipf lengths "
        f"(exponent {ZIPF_EXPONENT}, {ZIPF_LONGEST} at most).\nNumbers are recall/precision of aligned letters."
    )
    for divergence in DIVERGENCES:
        title = f"{pairs} pairs, {divergence} substitutions a site"
        yield "\n".join(comparison(title, simulated(divergence, pairs), LEAST_GAIN.get(divergence)))


def comparison(title: str, truth: list[TruePair], least_gain: float | None) -> Iterator[str]:
    """The lines of one table: our curves, the peers' points, the verdicts."""
    pairs = [(pair.target, pair.query) for pair in truth]
    yield title
    yield f"  {'gap weight':<{_WIDTH}}" + "".join(f"  {weight:^11g}" for weight in GAP_WEIGHTS)
    curves = {}
    for name, make in MODELS.items():
        model = make(pairs)
        curves[name] = [accuracy_at(model, truth, weight) for weight in GAP_WEIGHTS]
        yield f"  {name:<{_WIDTH}}" + "".join(f"  {point}" for point in curves[name])
    points: dict[str, Accuracy] = {}
    for name, peer in PEERS.items():
        try:
            points[name] = accuracy(truth, peer(pairs))
        except (Missing, ImportError, RuntimeError, subprocess.TimeoutExpired) as error:
            yield f"  {name:<{_WIDTH}}  skipped: {_reason(error)}"
        else:
            above = margin(curves[BEST], points[name])
            place = "beyond the curve" if above == -np.inf else f"the curve at its recall: precision {above:+.3f}"
            yield f"  {name:<{_WIDTH}}  {points[name]}  {place}"
    yield from verdicts(curves[BEST], points, least_gain)


def _reason(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"{error.name or error} is not installed"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"not done after {error.timeout:.0f} s"
    return str(error).strip().split("\n")[-1]


def verdicts(curve: list[Accuracy], points: dict[str, Accuracy], least_gain: float | None) -> Iterator[str]:
    ahead = [name for name, point in points.items() if margin(curve, point) < 0]
    yield f"  the curve lies nowhere below a peer: {'MISSED: ' + ', '.join(ahead) if ahead else 'yes'}"
    if "ProbCons" in points:
        gains = [ours - theirs for ours, theirs in zip(curve[0], points["ProbCons"], strict=True)]
        line = f"  above ProbCons at gap weight 0: recall {gains[0]:+.3f}, precision {gains[1]:+.3f}"
        if least_gain is not None:
            line += f", {least_gain} wanted: {'yes' if min(gains) >= least_gain else 'MISSED'}"
        yield line
