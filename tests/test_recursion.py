"""The recursions against brute force on tiny sequences, and against the slow twin where tiles, lanes and chunks count.

There are two implementations behind a PairHMM: lanes of float64 with exponents, and logarithms for extreme parameters.
Models of random topology take either; `in_logarithms` sends all of them down the second.
"""

from __future__ import annotations

import gc
import math
import weakref
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import tiedseq as ts
import twin
from pairhmm_cases import (
    OBSERVED,
    Case,
    check_best,
    check_sums,
    in_logarithms,
    random_case,
    random_text,
    related_text,
    reverse_complement,
)
from tiedseq.pairs import lanes
from tiedseq.pairs.recursion import Recursion

# Few numbers of states of each kind, since kernels are compiled for each: (1, 1, 1) and (2, 1, 2), with any edges.
SHAPES = {
    "one of each": ["xy", "x", "y"],
    "other order": ["y", "xy", "x"],
    "no pairs": ["x", "y"],
    "pairs only": ["xy"],
    "no y": ["xy", "x"],
    "y only": ["y"],
    "five states": ["y", "xy", "x", "xy", "y"],
}
PATHS = ("as it comes", "logarithms")


def small_case(shape: str, seed: int, ambiguous: float = 0.0) -> tuple[Case, str, str]:
    rng = np.random.default_rng([seed, *shape.encode()])
    case = random_case(rng, SHAPES[shape], zeros=float(rng.choice([0.0, 0.3])))
    n, m = rng.integers(0, 4, size=2)
    return case, random_text(rng, n, ambiguous), random_text(rng, m, ambiguous)


def check_against_all_paths(shape: str, seed: int, mode: str, strand: str = "forward", ambiguous: float = 0.0) -> bool:
    case, target, query = small_case(shape, seed, ambiguous)
    texts = (query, reverse_complement(query))[: 1 + (strand == "both")]
    enumerated = [twin.enumerate_paths(case.slow, case.codes(target), case.codes(text), mode) for text in texts]
    found = iter(enumerated)
    check_best(case, target, query, mode, enumerated[0][1].log_probability)
    return check_sums(case, target, query, mode, strand, lambda *_: next(found)[0])


@pytest.mark.small
@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("shape", ["one of each", "no pairs", "five states"])
def test_a_few_models_equal_all_paths(shape: str, mode: str) -> None:
    assert sum(check_against_all_paths(shape, seed, mode) for seed in range(4)) >= 1


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_output_equals_the_sum_over_all_paths(shape: str, mode: str) -> None:
    possible = [check_against_all_paths(shape, seed, mode) for seed in range(24)]
    assert sum(possible) >= 3, "too few of these models explain their sequences: the test says nothing"


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_path_in_logarithms_equals_the_sum_over_all_paths(
    shape: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_logarithms(monkeypatch)
    assert sum(check_against_all_paths(shape, seed, mode) for seed in range(24)) >= 3


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("path", PATHS)
def test_ambiguity_codes_equal_the_sum_over_what_they_stand_for(
    path: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path == "logarithms":
        in_logarithms(monkeypatch)
    shapes = ("one of each", "five states")
    possible = [check_against_all_paths(shape, seed, mode, ambiguous=0.6) for shape in shapes for seed in range(24)]
    assert sum(possible) >= 24


@pytest.mark.parametrize("mode", twin.MODES)
def test_both_strands_are_an_even_mixture(mode: str) -> None:
    shapes = ("one of each", "five states", "no pairs")
    possible = [
        check_against_all_paths(shape, seed, mode, "both", ambiguous=0.2) for shape in shapes for seed in range(16)
    ]
    assert sum(possible) >= 24


def test_random_models_take_both_paths_and_every_feature() -> None:
    cases = [small_case(shape, seed)[0] for shape in SHAPES for seed in range(24)]
    moderate = [case.model.recursion.is_moderate for case in cases]
    assert 30 <= sum(moderate) <= len(cases) - 30
    assert any(
        fast and "xy" not in case.model.recursion.tables.kinds for case, fast in zip(cases, moderate, strict=True)
    )
    assert {case.plain.end is None for case in cases} == {True, False}
    assert {case.background in (None, "outside") for case in cases} == {True, False}
    assert any((case.plain.transitions == 0).any() and fast for case, fast in zip(cases, moderate, strict=True))
    uses = [sum(row.count(label) for row in case.rows) for case in cases for label in case.model.parameters]
    assert max(uses) >= 6


# --- longer sequences ----------------------------------------------------------------------------------------------


def long_case(shape: str, seed: int, zeros: float, crossing: bool = True) -> Case:
    """The first model after a seed whose parameters suit the lanes, and that can emit anything."""
    for attempt in range(1000):
        rng = np.random.default_rng([seed, attempt])
        kinds = ["xy", "x", "y", "x", "y"] if shape == "two classes" else SHAPES[shape]
        case = random_case(rng, kinds, zeros=zeros, crossing=crossing)
        if case.model.recursion.is_moderate and all(table.all() for table in case.plain.emissions):
            return case
    raise AssertionError("no random model suits the lanes")


def check_long(case: Case, target: str, query: str, mode: str, strand: str = "forward") -> None:
    # 1e-9 nats in some 500; counts are sums over 10^5 cells
    assert check_sums(case, target, query, mode, strand, twin.expected_counts, atol=1e-9)
    path = twin.viterbi(case.slow, case.codes(target), case.codes(query), mode)
    check_best(case, target, query, mode, path.log_probability)


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize(
    ("shape", "lengths", "zeros"),
    [
        ("one of each", (300, 340), 0.2),
        ("no pairs", (311, 235), 0.0),
        ("five states", (263, 150), 0.0),
        ("five states", (90, 400), 0.2),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_tiles_lanes_and_chunks_equal_the_twin(
    shape: str, lengths: tuple[int, int], zeros: float, mode: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = long_case(shape, sum(lengths), zeros)
    rng = np.random.default_rng(lengths)
    target = random_text(rng, lengths[0], 0.02)
    query = (random_text(rng, 20) + related_text(rng, target) + random_text(rng, lengths[1], 0.05))[: lengths[1]]
    if path == "logarithms":
        in_logarithms(monkeypatch)
    check_long(case, target, query, mode)


@pytest.mark.parametrize("mode", twin.MODES)
def test_two_classes_of_gaps_equal_the_twin(mode: str) -> None:
    """Models without edges between gap states have kernels of their own: those of the default model."""
    case = long_case("two classes", 5, 0.2, crossing=False)
    rng = np.random.default_rng(8)
    target = random_text(rng, 280, 0.02)
    check_long(case, target, related_text(rng, target[40:]), mode)


@pytest.mark.parametrize(
    "lengths", [(255, 100), (256, 16), (257, 17), (15, 300), (16, 129), (1, 257), (40, 0), (0, 300)]
)
def test_lengths_at_the_borders_of_tiles(lengths: tuple[int, int]) -> None:
    case = long_case("one of each", 1, 0.0)
    rng = np.random.default_rng(lengths)
    target, query = random_text(rng, lengths[0]), random_text(rng, lengths[1])
    for mode in twin.MODES:
        check_long(case, target, query, mode)


def test_many_pairs_at_once_are_the_same_as_one_by_one() -> None:
    case = long_case("five states", 3, 0.0)
    rng = np.random.default_rng(3)
    pairs = [(random_text(rng, n), random_text(rng, m)) for n, m in rng.integers(0, 70, size=(40, 2)) // 2]
    pairs[7:9] = [("", ""), ("ACGT", "")]
    for mode in twin.MODES:
        each = [case.model.log_likelihood(*pair, mode=mode) for pair in pairs]
        expected = [twin.log_likelihood(case.slow, case.codes(x), case.codes(y), mode) for x, y in pairs]
        assert_allclose(each, expected, rtol=0, atol=1e-10)
        assert_allclose(case.model.score(pairs, mode=mode), sum(each), rtol=1e-14)
    counts = [case.model.expected_counts([pair]) for pair in pairs]
    together = case.model.expected_counts(pairs)
    for label in case.model.parameters:
        assert_allclose(together[label], sum(part[label] for part in counts), rtol=1e-12)
    assert case.model.score([]) == 0.0


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("cells", [2**26, 2000], ids=["one batch", "several"])
def test_derivatives_of_many_weighted_pairs_equal_the_twin(
    cells: int, path: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "_BATCH_CELLS", cells)
    case, rng = long_case("five states", 3, 0.0), np.random.default_rng(4)
    if path == "logarithms":
        in_logarithms(monkeypatch)
    lengths = [(31, 20), (0, 7), (300, 12), (9, 0), (2, 40), (0, 0), (18, 18)]
    texts = [(random_text(rng, n, 0.05), random_text(rng, m, 0.05)) for n, m in lengths]
    weights = np.array([0.5, 1.0, 2.0, 0.0, 0.25, 3.0, 1e-3])
    recursion = case.model.copy().recursion
    pairs = [(case.model.alphabet.encode(x), case.model.alphabet.encode(y)) for x, y in texts]
    logs, found = recursion.derivatives(pairs, mode, weights)
    counts = [twin.expected_counts(case.slow, case.codes(x), case.codes(y), mode) for x, y in texts]
    assert_allclose(logs, [count.log_likelihood for count in counts], rtol=0, atol=1e-10)
    tables = recursion.tables
    for name in ("start", "start_end", "transitions", "end"):
        expected = sum(w * getattr(count, name) for w, count in zip(weights, counts, strict=True))
        assert_allclose(getattr(found, name) * getattr(tables, name), expected, rtol=1e-8, atol=1e-10, err_msg=name)
    for s, table in enumerate(case.plain.emissions):
        expected = sum(w * count.emissions[s] for w, count in zip(weights, counts, strict=True))
        assert_allclose(
            found.emissions[s] * table, twin.letter_counts(expected, table, OBSERVED), rtol=1e-8, atol=1e-10
        )
    expected = sum(w * count.background for w, count in zip(weights, counts, strict=True))
    outside = twin.letter_counts(expected, case.plain.background, OBSERVED)
    assert_allclose(found.background * case.plain.background, outside, rtol=1e-8, atol=1e-10)
    again = recursion.derivatives(pairs, mode, weights)
    assert_array_equal(again[0], logs)
    assert_array_equal(again[1].transitions, found.transitions)


@pytest.mark.parametrize("path", PATHS)
def test_derivatives_name_the_pair_that_is_impossible(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if path == "logarithms":
        in_logarithms(monkeypatch)
    kinds = ["xy", "x", "y"]
    model = random_case(np.random.default_rng(1), kinds, zeros=0.0, end=False, crossing=False).model
    assert model.copy().recursion.is_moderate == (path != "logarithms")
    tables = replace(model.recursion.tables, start_end=0.0)
    pairs = [(np.zeros(n, np.uint8), np.zeros(n, np.uint8)) for n in (3, 1, 0, 2, 0)]
    with pytest.raises(
        ts.SequenceError, match=r"^pairs\[2\]: the model gives sequences of 0 and 0 letters probability 0"
    ):
        Recursion(tables).derivatives(pairs, "global")
    with pytest.raises(ts.SequenceError, match=r"^the model gives sequences of 0 and 0 letters"):
        Recursion(tables).derivatives(pairs[2:3], "global")
    logs, found = Recursion(tables).derivatives([], "global")
    assert logs.shape == (0,)
    assert not found.transitions.any()


def test_passes_are_freed_with_the_model_that_made_them() -> None:
    """At once, not by the garbage collector: training makes one a step."""
    recursion = Recursion(ts.PairHMM.affine().recursion.tables)
    recursion.log_likelihoods([(np.zeros(3, np.uint8), np.zeros(3, np.uint8))], "global")
    remains = weakref.ref(recursion)
    gc.disable()
    try:
        del recursion
        assert remains() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("letters", ["ABCDEF", pytest.param("ACDEFGHIKLMNPQRSTVWY", marks=pytest.mark.slow)])
def test_larger_alphabets_equal_the_twin(letters: str, mode: str) -> None:
    """Six letters and twenty, which the kernels pad to eight and twenty-four: these take long to compile."""
    rng, n = np.random.default_rng(2), len(letters)
    pair, gap = rng.dirichlet(np.full(n * n, 0.5)).reshape(n, n), rng.dirichlet(np.full(n, 5.0))
    model = ts.PairHMM.affine(
        alphabet=letters, substitution="general", values={"pair": pair, "gap": gap}, gap_open=0.05, background="gap"
    )
    plain = twin.affine(0.05, 0.6, n_letters=n)._replace(emissions=[pair, gap, gap], background=gap)
    x, y = rng.integers(n, size=(2, 90))
    y[10:70] = x[25:85]
    target, query = ("".join(letters[code] for code in codes) for codes in (x, y))
    expected = twin.expected_counts(plain, x, y, mode)
    assert_allclose(model.log_likelihood(target, query, mode=mode), expected.log_likelihood, rtol=0, atol=1e-10)
    counts = model.expected_counts([(target, query)], mode=mode)
    assert_allclose(counts["pair"], expected.emissions[0], rtol=1e-8, atol=1e-10)
    outside_pairs = expected.emissions[1] + expected.emissions[2] + expected.background
    assert_allclose(counts["gap"], outside_pairs, rtol=1e-8, atol=1e-10)
    assert_allclose(counts["open"], expected.transitions[0, 1:].sum() + expected.start[1:].sum(), rtol=1e-8)


def test_the_yardsticks_are_not_all_alike() -> None:
    """Sums that were equal in every mode, or did not depend on the order, would let a mistake pass."""
    case = long_case("five states", 90 + 400, 0.2)
    rng = np.random.default_rng(0)
    target, query = random_text(rng, 30), random_text(rng, 40)
    found = {mode: case.model.log_likelihood(target, query, mode=mode) for mode in twin.MODES}
    assert len({round(value, 3) for value in found.values()}) == 4
    assert not math.isclose(found["global"], case.model.log_likelihood(query, target))
