"""`python -m benchmarks calibration`: whether of columns with confidence c a fraction c is right.

The model is trained on the same unaligned pairs, simulated as for `accuracy`; the truth only judges.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .accuracy import aligned
from .accuracy_peers import Pairs
from .harness import report
from .measures import Decile, calibration
from .truth import DIVERGENCES, TruePair, globins, simulated

if TYPE_CHECKING:
    import tiedseq as ts

# A row. With a dozen, chance alone moves a decile by more than what is asked for; with 100, at a substitution a site,
# the data hardly tell the parameters, and gap columns are too sure by up to .06.
PAIRS = 1000
FIRST = 100  # of them, which find the neighbourhood of the maximum in a tenth of the time
LEAST_SHARE = 0.01  # of the columns, for a decile to count
LARGEST_ERROR = 0.02
_WIDTH = 28


def untrained() -> ts.PairHMM:
    """The hypothesis that is trained: three classes of gaps, and all that is alike is tied.

    Target and query are alike and so are the strands, and all gaps have the same letters. Lengths of gaps follow a
    power law, of which three geometric classes make more than two. A short gap opens beside another as it does beside a
    pair: an insertion next to a place does not keep a deletion from it. Longer ones do not. At a substitution a site
    long gaps side by side look like a stretch of pairs that are hardly alike, and the likelihood's maximum has far too
    many of them.
    """
    import tiedseq as ts

    cells = [[min((a, b), (b, a), (3 - a, 3 - b), (3 - b, 3 - a)) for b in range(4)] for a in range(4)]
    states = {"M": "xy"}
    emissions: dict[str, ts.Categorical | str] = {"M": ts.Categorical(labels=cells, name="pair")}
    rows: dict[str, dict[str, str]] = {"M": {"M": "match"}}
    letters: ts.Categorical | str = ts.Categorical(labels=["AT", "CG", "CG", "AT"], name="gap")
    for number in "123":
        for one, other, kind in (("X", "Y", "x"), ("Y", "X", "y")):
            gap, beside = one + number, other + number
            states[gap], emissions[gap] = kind, letters
            rows["M"][gap] = f"open{number}"
            rows[gap] = {"M": f"close{number}", gap: f"extend{number}"}
            if number == "1":
                rows[gap][beside] = "open1"
            letters = "gap"
    values = {"open1": 0.02, "open2": 0.006, "open3": 0.002, "extend1": 0.3, "extend2": 0.8, "extend3": 0.97}
    tables = {
        "pair": [[0.2 if a == b else 0.2 / 12 for b in range(4)] for a in range(4)],
        "gap": [0.25] * 4,
    }
    return ts.PairHMM(ts.DNA, states, rows, emissions, values=values | tables)


def trained(pairs: Pairs) -> ts.PairHMM:
    """Training on all pairs together."""
    import tiedseq as ts

    with warnings.catch_warnings():  # of the first pairs nothing more is wanted than a start
        warnings.simplefilter("ignore", ts.ConvergenceWarning)
        model = untrained().fit(pairs[:FIRST], max_iter=15, executor=2)
    with warnings.catch_warnings():  # globins have no long gaps
        warnings.filterwarnings("ignore", "The data hardly use", ts.ConvergenceWarning)
        return model.fit(pairs, warm_start=True, tol=0.01, executor=2)


@report("calibration")
def calibration_report(pairs: int) -> Iterator[str]:
    """Fraction right less confidence, in a table for each divergence and one for the real sequences."""
    yield f"Calibration, {PAIRS} simulated pairs a row, gap weight 0.5: fraction right less confidence"
    try:
        import msasim  # noqa: F401
    except ImportError as error:
        yield f"Simulated pairs: skipped: {error.name or error} is not installed"
    else:
        yield from _simulated()
    yield "\n".join(calibrated("15 pairs of globins", globins()))


def _simulated() -> Iterator[str]:
    for divergence in DIVERGENCES:
        yield "\n".join(calibrated(f"{divergence} substitutions a site", simulated(divergence, PAIRS)))


def calibrated(title: str, truth: list[TruePair]) -> Iterator[str]:
    """The lines of one table, of a model trained on the pairs that it aligns."""
    return lines(title, truth, trained([(pair.target, pair.query) for pair in truth]))


def lines(title: str, truth: list[TruePair], model: ts.PairHMM) -> Iterator[str]:
    """Fraction right less confidence, by decile of confidence, and what chance does to it."""
    results = aligned(model, truth, 0.5)
    yield f"  {title:<{_WIDTH}}" + "".join(f"  {k / 10:>4.1f}..{k / 10 + 0.1:.1f} " for k in range(10))
    worst = 0.0
    for kind, residues in (("residue", True), ("gap", False)):
        deciles = calibration(truth, results, residues)
        counted = [decile for decile in deciles if decile and decile.share >= LEAST_SHARE]
        worst = max([worst, *(abs(decile.error) for decile in counted)])
        yield f"  {f'{kind} columns: error':<{_WIDTH}}" + "".join(
            f"  {_cell(decile, 'error'):>10}" for decile in deciles
        )
        yield f"  {'  of which chance':<{_WIDTH}}" + "".join(
            f"  {_cell(decile, 'deviation'):>10}" for decile in deciles
        )
    yield f"  largest error {worst:.3f}, {LARGEST_ERROR} allowed: {'yes' if worst <= LARGEST_ERROR else 'MISSED'}"


def _cell(decile: Decile | None, field: str) -> str:
    if decile is None or decile.share < LEAST_SHARE:
        return "."
    return f"{decile.error:+.3f}" if field == "error" else f"{decile.deviation:.3f}"
