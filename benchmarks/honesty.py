"""Whether tests and errors keep what they promise: `python -m benchmarks.honesty [CHECK ...]` (an hour or two a seed).

- uniform: on data from the null, p-values of chi-square and of permutation are uniform (Kolmogorov-Smirnov).
- switch: the same with deletions next to insertions (`gap_switch=`).
- misfit: where gap lengths follow a power law in both directions, permutation's stay uniform, chi-square's do not.
- power: openings of .02 against .03 in 100 pairs of 1,000 columns are told apart.
- coverage: 95 % intervals from the standard errors hold the truth in 93 % to 97 % of the data sets.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import tiedseq as ts

SETS, COVERED_SETS = 200, 400
PAIRS, COLUMNS = 60, 200
Pairs = list[tuple[str, str]]


def drawn(model: ts.PairHMM, pairs: int, columns: int, generator: np.random.Generator) -> Pairs:
    """Pairs from a pair-HMM."""
    return [model.sample(columns=columns, random_state=generator)[:2] for _ in range(pairs)]


def power_law(pairs: int, columns: int, generator: np.random.Generator) -> Pairs:
    """Pairs whose gaps are as often and as long in both sequences, with lengths from a power law (at most 60).

    Drawn column by column, without any of the library's models.
    """
    lengths = np.arange(1, 61)
    weights = lengths**-1.5 / (lengths**-1.5).sum()
    found = []
    for _ in range(pairs):
        sides: tuple[list[str], list[str]] = ([], [])
        for _ in range(columns):
            letter = "ACGT"[generator.integers(4)]
            other = letter if generator.random() < 0.85 else "ACGT"[generator.integers(4)]
            sides[0].append(letter)
            sides[1].append(other)
            for side in sides:
                if generator.random() < 0.01:
                    length = generator.choice(lengths, p=weights)
                    side += ["ACGT"[k] for k in generator.integers(4, size=length)]
        found.append(("".join(sides[0]), "".join(sides[1])))
    return found


def p_values(draw: Callable[[np.random.Generator], Pairs], seed: int, **options: Any) -> np.ndarray:
    """(sets, 2): the p-values of chi-square and of permutation in data sets of their own."""
    null, alternative = ts.hypotheses("symmetric-gaps", **options)
    found = []
    for generator in np.random.default_rng(seed).spawn(SETS):
        data = draw(generator)
        result = ts.compare(null, alternative, data, permutation=999, random_state=generator, errors=False)
        assert result.p_value is not None
        assert result.permutation is not None
        found.append((result.p_value, result.permutation.p_value))
    return np.array(found)


def show(title: str, p: np.ndarray) -> None:
    """Print how uniform p-values are."""
    from scipy.stats import kstest

    for name, column in zip(("chi-square", "permutation"), p.T, strict=True):
        shares = ", ".join(f"{(column <= level).mean():.3f} below {level:g}" for level in (0.01, 0.05, 0.1, 0.5))
        print(f"{title}, {name}: {shares}; Kolmogorov-Smirnov p = {kstest(column, 'uniform').pvalue:.3g}", flush=True)


def uniform(seed: int) -> None:
    truth = ts.PairHMM.affine()
    show("data from the null", p_values(lambda generator: drawn(truth, PAIRS, COLUMNS, generator), seed + 1))


def switch(seed: int) -> None:
    truth = ts.PairHMM.affine(gap_switch=0.05)
    found = p_values(lambda generator: drawn(truth, PAIRS, COLUMNS, generator), seed + 5, gap_switch=0.05)
    show("deletions next to insertions", found)


def misfit(seed: int) -> None:
    show("power-law gaps", p_values(lambda generator: power_law(PAIRS, COLUMNS, generator), seed + 2))


def power(seed: int) -> None:
    truth = ts.PairHMM.affine(symmetric=False, values={"deletion_open": 0.02, "insertion_open": 0.03})
    null, alternative = ts.hypotheses("symmetric-gaps")
    rejected = []
    for generator in np.random.default_rng(seed + 3).spawn(10):
        data = drawn(truth, 100, 1000, generator)
        result = ts.compare(null, alternative, data, permutation=999, random_state=generator, errors=False, executor=2)
        assert result.p_value is not None
        assert result.permutation is not None
        rejected.append((result.p_value < 0.05, result.permutation.p_value < 0.05))
    shares = np.mean(rejected, axis=0)
    print(f"openings .02 against .03, rejected at .05: chi-square {shares[0]:.2f}, permutation {shares[1]:.2f} of 10")


def coverage(seed: int) -> None:
    truth = ts.PairHMM.affine(symmetric=False)
    labels = [label for label, value in truth.parameters.items() if isinstance(value, float)]
    covered: dict[str, list[bool]] = {label: [] for label in labels}
    for generator in np.random.default_rng(seed + 4).spawn(COVERED_SETS):
        data = drawn(truth, PAIRS, COLUMNS, generator)
        model = ts.PairHMM.affine(symmetric=False).fit(data, tol=1e-4)
        errors = model.standard_errors(data)
        for label in labels:
            covered[label].append(abs(model.parameters[label] - truth.parameters[label]) <= 1.96 * errors[label])
    for label, hits in covered.items():
        print(f"95 % intervals of {label} hold the truth in {100 * np.mean(hits):.1f} % of {len(hits)} data sets")


CHECKS = {"uniform": uniform, "switch": switch, "misfit": misfit, "power": power, "coverage": coverage}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.honesty", description=__doc__)
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"of {', '.join(CHECKS)} (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the data; another one draws all of them anew")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ts.ConvergenceWarning)
    for name in options.checks or CHECKS:
        before = time.perf_counter()
        CHECKS[name](options.seed)
        print(f"[{name}: {time.perf_counter() - before:.0f} s]", flush=True)


if __name__ == "__main__":
    main()
