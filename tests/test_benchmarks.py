"""What `python -m benchmarks accuracy` counts, against counts by hand; how `chipseq` shuffles."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise, permutations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.chipseq import shuffled
from benchmarks.measures import Accuracy, accuracy, calibration, margin
from benchmarks.truth import TruePair, globins, partners_of_blocks, partners_of_columns, partners_of_rows

TRUE_ROWS = "AC-GT", "-CAGT"
TRUTH = TruePair("ACGT", "CAGT", partners_of_rows(*TRUE_ROWS))


def result(columns: list[list[int]], confidence: list[float]) -> Any:
    """What `align` returns, as far as it is looked at."""
    array = np.array(columns)
    return SimpleNamespace(
        columns=array,
        confidence=np.array(confidence),
        is_residue=(array >= 0).all(axis=0),
        n_columns=array.shape[1],
    )


def test_partners() -> None:
    expected = [-1, 0, 2, 3]
    assert TRUTH.partners.tolist() == expected
    assert partners_of_columns([[0, 1, -1, 2, 3], [-1, 0, 1, 2, 3]], 4).tolist() == expected
    assert partners_of_blocks([(1, 0, 1), (2, 2, 2), (0, 3, 2)], 4).tolist() == expected  # what is taken stays taken


def test_recall_and_precision() -> None:
    found = [np.array([0, -1, 2, 3]), np.array([-1, 0, -1, -1])]  # 2 of 3 right, 1 of 1
    assert accuracy([TRUTH, TRUTH], found) == Accuracy(3 / 6, 3 / 4)
    assert accuracy([TRUTH], [np.full(4, -1)]) == Accuracy(0.0, 1.0)


def test_margin_is_read_off_the_curve_between_its_points() -> None:
    curve = [Accuracy(0.8, 0.6), Accuracy(0.4, 0.9)]
    assert margin(curve, Accuracy(0.6, 0.7)) == pytest.approx(0.05, rel=1e-12)
    assert margin(curve, Accuracy(0.1, 0.95)) == pytest.approx(-0.05, rel=1e-12)
    assert margin(curve, Accuracy(0.81, 0.1)) == -math.inf


def test_calibration_counts_columns_by_kind_and_tenth() -> None:
    # target letters 0 and 1 and query letters 0 and 1 stand alone; in truth only 0 of the target and 1 of the query do
    results = [result([[0, 1, -1, -1, 2, 3], [-1, -1, 0, 1, 2, 3]], [0.95, 0.45, 0.41, 0.92, 1.0, 0.75])]
    residues, gaps = calibration([TRUTH], results, True), calibration([TRUTH], results, False)
    assert [k for k, decile in enumerate(residues) if decile] == [7, 9]
    assert [k for k, decile in enumerate(gaps) if decile] == [4, 9]
    pair, wrong, right = residues[7], gaps[4], gaps[9]
    assert pair is not None
    assert wrong is not None
    assert right is not None
    assert (pair.n, pair.share, pair.error) == pytest.approx((1, 1 / 6, 0.25), rel=1e-12)
    assert (wrong.n, wrong.error) == pytest.approx((2, -0.43), rel=1e-12)
    assert (right.n, right.error) == pytest.approx((2, 1 - 0.935), rel=1e-12)


def test_globins_are_aligned_codon_by_codon() -> None:
    pairs = globins()
    assert len(pairs) == 15
    assert all((pair.partners == np.arange(444)).all() for pair in pairs[:10])  # proteins of one length, no gaps
    frames = [set((pair.partners - np.arange(444))[pair.partners >= 0].tolist()) for pair in pairs[10:]]
    assert frames == [{0, -1}] * 5  # a letter lost, one gained, one lost


@pytest.mark.parametrize("sequence", ["A", "AC", "AAAA", "ACACA", "GATTACA", "NACGTTNAC"])
def test_shuffles_of_short_sequences_keep_pairs_and_ends(sequence: str) -> None:
    """Also where there is no other order, or but one letter."""
    for seed in range(20):
        found = shuffled(sequence, np.random.default_rng(seed))
        assert Counter(pairwise(found)) == Counter(pairwise(sequence))
        assert (len(found), found[0], found[-1]) == (len(sequence), sequence[0], sequence[-1])


def test_shuffles_keep_pairs_and_ends_and_little_else() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        sequence = "".join(generator.choice(list("ACGT"), 200, p=[0.4, 0.1, 0.2, 0.3]))
        found = [shuffled(sequence, generator) for _ in range(2)]
        for each in found:
            assert Counter(pairwise(each)) == Counter(pairwise(sequence))
            assert (each[0], each[-1]) == (sequence[0], sequence[-1])
            assert sum(a == b for a, b in zip(each, sequence, strict=True)) < 120  # by chance 60 of 200, give or take 7
        assert found[0] != found[1]


def test_every_order_with_the_same_pairs_is_as_likely() -> None:
    """All of them by enumeration; 3,000 shuffles, each count within five standard deviations of its mean."""
    sequence, n = "ACATAACTA", 3000
    orders = {"".join(("A", *middle, "A")) for middle in permutations(sequence[1:-1])}
    same = {order for order in orders if Counter(pairwise(order)) == Counter(pairwise(sequence))}
    generator = np.random.default_rng(1)
    counts = Counter(shuffled(sequence, generator) for _ in range(n))
    assert set(counts) == same
    mean = n / len(same)
    assert max(abs(count - mean) for count in counts.values()) < 5 * math.sqrt(mean)
