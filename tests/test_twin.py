"""The twin against brute force and against published numbers: a yardstick is measured before it is used."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp

import twin

SEEDS = range(40)


def read_codes(path: Path) -> twin.Codes:
    letters = "".join(path.read_text().split("\n")[1:]).upper()
    return np.array(["ACGT".index(letter) for letter in letters])


def random_case(seed: int, **options: object) -> tuple[twin.Model, twin.Codes, twin.Codes]:
    rng = np.random.default_rng(seed)
    model = twin.random_model(rng, **options)  # type: ignore[arg-type]
    n, m = rng.integers(0, 4, size=2)
    return model, rng.integers(0, 3, size=n), rng.integers(0, 3, size=m)


@pytest.mark.small
@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("seed", SEEDS)
def test_recursions_equal_the_sum_over_all_paths(seed: int, mode: str) -> None:
    model, x, y = random_case(seed)
    expected, best = twin.enumerate_paths(model, x, y, mode)
    assert_allclose(twin.log_likelihood(model, x, y, mode), expected.log_likelihood, rtol=0, atol=1e-10)
    path = twin.viterbi(model, x, y, mode)
    assert_allclose(path.log_probability, best.log_probability, rtol=0, atol=1e-10)
    if expected.log_likelihood == -math.inf:
        return
    for found in (path, best):
        assert_allclose(twin.log_joint(model, x, y, found, mode), best.log_probability, rtol=0, atol=1e-10)
    counts = twin.expected_counts(model, x, y, mode)
    for name, value in expected._asdict().items():
        for a, b in zip(*([v] if not isinstance(v, list) else v for v in (getattr(counts, name), value)), strict=True):
            assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.small
def test_random_models_cover_what_they_should() -> None:
    cases = [random_case(seed) for seed in SEEDS]
    models = [model for model, _, _ in cases]
    assert {kind for model in models for kind in model.kinds} == {"xy", "x", "y"}
    assert {model.end is None for model in models} == {True, False}
    assert max(len(model.kinds) for model in models) >= 6
    impossible = [twin.log_likelihood(*case) == -math.inf for case in cases]
    assert 3 <= sum(impossible) <= len(cases) / 2 + 5
    for model in models:
        ends = np.zeros(len(model.kinds)) if model.end is None else model.end
        assert_allclose(model.transitions.sum(axis=1) + ends, 1, rtol=1e-12)
        assert_allclose(model.start.sum() + (0 if model.end is None else model.start_end), 1, rtol=1e-12)


@pytest.mark.small
@pytest.mark.parametrize("mode", twin.MODES)
def test_number_of_boxes(mode: str) -> None:
    for n, m in itertools.product(range(5), repeat=2):
        listed = list(twin.boxes(mode, n, m))
        assert twin.n_boxes(mode, n, m) == len(listed)
        starts, ends = {a for a, _ in listed}, {c for _, c in listed}
        for i, j in itertools.product(range(n + 1), range(m + 1)):
            assert bool(twin.may_start(mode, i, j)) == ((i, j) in starts)
            assert bool(twin.may_start(mode, n - i, m - j)) == ((i, j) in ends)


@pytest.mark.small
@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("seed", range(6))
def test_p_over_all_pairs_is_at_most_one(seed: int, mode: str) -> None:
    model = twin.random_model(np.random.default_rng(seed), n_symbols=2)
    for n, m in [(2, 2), (1, 3), (0, 2), (0, 0)]:
        words = itertools.product(itertools.product(range(2), repeat=n), itertools.product(range(2), repeat=m))
        each = [twin.log_likelihood(model, np.array(x, int), np.array(y, int), mode) for x, y in words]
        assert logsumexp(each) <= 1e-12


@pytest.mark.small
@pytest.mark.parametrize("mode", twin.MODES)
def test_every_letter_is_accounted_for(mode: str) -> None:
    rng = np.random.default_rng(7)
    model = twin.random_model(rng, kinds=["y", "xy", "x", "xy"], zeros=0.0, end=True)
    x, y = rng.integers(0, 3, size=6), rng.integers(0, 3, size=5)
    counts = twin.expected_counts(model, x, y, mode)
    pairs = sum(table.sum() for table in counts.emissions if table.ndim == 2)
    gaps = sum(table.sum() for table in counts.emissions if table.ndim == 1)
    assert_allclose(2 * pairs + gaps + counts.background.sum(), len(x) + len(y), rtol=1e-9)
    assert_allclose(counts.posterior.sum(), pairs, rtol=1e-9)
    assert_allclose(counts.start.sum() + counts.start_end, 1, rtol=1e-9)
    assert_allclose(counts.end.sum() + counts.start_end, 1, rtol=1e-9)


@pytest.mark.small
def test_counts_are_derivatives() -> None:
    """Expected count = parameter * d ln P / d parameter, by central differences."""
    rng = np.random.default_rng(3)
    model = twin.random_model(rng, kinds=["y", "xy", "x", "xy"], zeros=0.0, end=True)
    x, y = rng.integers(0, 3, size=4), rng.integers(0, 3, size=3)
    counts, h = twin.expected_counts(model, x, y, "local"), 1e-6
    for index in np.ndindex(model.transitions.shape):
        value = []
        for sign in (1, -1):
            moved = model.transitions.copy()
            moved[index] *= math.exp(sign * h)
            value.append(twin.log_likelihood(model._replace(transitions=moved), x, y, "local"))
        assert_allclose((value[0] - value[1]) / (2 * h), counts.transitions[index], rtol=1e-5, atol=1e-8)


@pytest.mark.small
def test_a_symbol_for_several_letters_is_their_sum() -> None:
    """P(x, y) with an ambiguous letter is the sum over what it may stand for, and counts are shared out likewise."""
    rng = np.random.default_rng(11)
    model = twin.random_model(rng, kinds=["x", "xy", "y", "xy"], zeros=0.0, end=True)
    matrix = np.vstack([np.eye(3), np.ones((1, 3)), [[0.0, 1.0, 1.0]]])
    x, y = np.array([0, 3, 2]), np.array([4, 1])
    seen = twin.observe(model, matrix)
    readings = [
        (np.array([0, a, 2]), np.array([b, 1])) for a in np.flatnonzero(matrix[3]) for b in np.flatnonzero(matrix[4])
    ]
    each = np.array([twin.log_likelihood(model, *reading) for reading in readings])
    assert_allclose(twin.log_likelihood(seen, x, y), logsumexp(each), rtol=1e-12)
    weights = np.exp(each - logsumexp(each))
    counts = twin.expected_counts(seen, x, y)
    for s, table in enumerate(model.emissions):
        expected = sum(
            weight * twin.expected_counts(model, *reading).emissions[s]
            for weight, reading in zip(weights, readings, strict=True)
        )
        assert_allclose(twin.letter_counts(counts.emissions[s], table, matrix), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("query", "gap_extend", "expected"),
    [
        ("orangutan_mt.fa", 0.6, -33783.175303561),
        ("orangutan_mt.fa", 0.9, -33794.672712812),
        ("mouse_mt.fa", 0.6, -38839.392301457),
    ],
)
@pytest.mark.slow
def test_published_likelihoods_of_whole_mitochondria(
    data: Path, query: str, gap_extend: float, expected: float
) -> None:
    """ln P of the human genome and another, from an independent log-space program; half a minute each."""
    x, y = read_codes(data / "human_mt.fa"), read_codes(data / query)
    assert_allclose(twin.log_likelihood(twin.affine(0.02, gap_extend), x, y), expected, rtol=1e-12)


def test_two_rows_of_memory_are_as_good_as_the_table(data: Path) -> None:
    x, y = read_codes(data / "human_mt.fa")[3000:3300], read_codes(data / "mouse_mt.fa")[3000:3350]
    model = twin.affine(0.02, 0.6)
    for mode in twin.MODES:
        counts = twin.expected_counts(model, x, y, mode)
        assert_allclose(twin.log_likelihood(model, x, y, mode), counts.log_likelihood, rtol=1e-12)
        assert counts.posterior.max() > 0.9
        assert max(counts.posterior.sum(axis=0).max(), counts.posterior.sum(axis=1).max()) <= 1 + 1e-9
