"""The HMM twin against brute force over all paths, against itself, and against published numbers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

import chain_twin as twin

pytestmark = pytest.mark.small

SEEDS = range(60)


def random_case(seed: int) -> tuple[twin.Model, twin.Floats]:
    rng = np.random.default_rng(seed)
    model = twin.random_model(rng)
    return model, twin.random_letters(rng, int(rng.integers(1, 5)), int((~model.silent).sum()))


def assert_same(found: twin.Sums, expected: twin.Sums, rtol: float) -> None:
    for name, value in expected._asdict().items():
        assert_allclose(getattr(found, name), value, rtol=rtol, atol=rtol * 1e-3, err_msg=name)


@pytest.mark.parametrize("seed", SEEDS)
def test_sums_equal_those_over_all_paths(seed: int) -> None:
    model, letters = random_case(seed)
    expected = twin.enumerate_sums(model, letters)
    assert_same(twin.expect(model, letters), expected, 1e-11)
    assert_allclose(twin.log_likelihood(model, letters), expected.log_likelihood, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_path_is_the_best_of_all(seed: int) -> None:
    model, letters = random_case(seed)
    ranked = twin.best_paths(model, letters, 10**6)
    found = twin.viterbi(model, letters)
    if not ranked:
        assert found == (-math.inf, [])
        return
    assert_allclose(found.log_probability, ranked[0].log_probability, rtol=1e-12, atol=1e-12)
    assert_allclose(twin.log_joint(model, letters, found.states), found.log_probability, rtol=1e-12, atol=1e-12)
    assert len({twin.seen_states(model, path.states) for path in ranked}) == len(ranked)
    for path in ranked[:5]:
        seen = list(twin.seen_states(model, path.states))
        assert_allclose(twin.log_best_route(model, letters, seen), path.log_probability, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_path_probabilities_give_the_posterior(seed: int) -> None:
    model, letters = random_case(seed)
    marginal = np.zeros(letters.shape)
    for seen, p in twin.path_probabilities(model, letters).items():
        marginal[np.arange(len(letters)), np.searchsorted(twin.emitting_states(model), seen)] += p
    assert_allclose(twin.expect(model, letters).posterior, marginal, rtol=1e-11, atol=1e-14)


def test_random_models_cover_what_they_should() -> None:
    cases = [random_case(seed) for seed in SEEDS]
    models = [model for model, _ in cases]
    assert {int(model.silent.sum()) for model in models} == {0, 1, 2}
    assert {model.end is None for model in models} == {True, False}
    assert {len(letters) for _, letters in cases} == {1, 2, 3, 4}
    impossible = [twin.log_likelihood(*case) == -math.inf for case in cases]
    assert 3 <= sum(impossible) <= len(cases) / 3
    assert any((model.possible & (model.transitions == 0.0)).any() for model in models)
    reached = [np.exp(twin.forward(model, np.zeros_like(letters))).sum(axis=0) > 0.0 for model, letters in cases]
    assert any(not alive.all() for alive in reached)
    assert any(
        len(twin.silent_order(model)) == 2 and model.possible[model.silent][:, model.silent].any() for model in models
    )
    for model in models:
        assert not model.transitions[~model.possible].any()
        leaving = np.zeros(len(model.start)) if model.end is None else model.end
        assert_allclose(model.transitions.sum(axis=1) + leaving, 1.0, rtol=1e-12)
        assert_allclose(model.start.sum(), 1.0, rtol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_p_of_all_words_of_a_length_is_one_without_an_end(seed: int) -> None:
    """Letters that sum to one in every state, so that the silent ways in and out are counted once each."""
    rng = np.random.default_rng(seed)
    model = twin.random_model(rng, zeros=0.0, end=False)
    emissions = rng.dirichlet(np.ones(2), int((~model.silent).sum())).T
    words = itertools.product(range(2), repeat=4)
    assert_allclose(
        sum(math.exp(twin.log_likelihood(model, np.log(emissions[list(w)]))) for w in words), 1.0, rtol=1e-12
    )


@pytest.mark.parametrize("seed", range(30))
def test_derivatives_are_finite_differences(seed: int) -> None:
    """A step of possible edges up only: some are at zero."""
    model, letters = random_case(seed)
    sums = twin.expect(model, letters)
    if sums.log_likelihood == -math.inf:
        return
    h = 1e-6
    tables = {"start": model.start, "transitions": model.transitions, "end": twin.ending(model)}
    for name, table in tables.items():
        for index in np.ndindex(table.shape):
            if name == "transitions" and not model.possible[index]:
                assert sums.transitions[index] == 0.0
                continue
            moved = table.copy()
            moved[index] += h
            value = twin.log_likelihood(model._replace(**{name: moved}), letters)
            slope = (math.exp(value - sums.log_likelihood) - 1) / h
            assert_allclose(getattr(sums, name)[index], slope, rtol=1e-3, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("seed", SEEDS)
def test_scaled_sums_equal_those_in_log_space(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = twin.random_model(rng, emitting=4, silent=0, zeros=0.2)
    logs, codes = twin.random_letters(rng, 5, 4, zeros=0.0), rng.integers(0, 5, size=30)
    expected = twin.expect(model, logs[codes])
    if expected.log_likelihood == -math.inf:
        return
    by_row = np.zeros((5, 4))
    np.add.at(by_row, codes, expected.posterior)
    assert_same(twin.expect_scaled(model, np.exp(logs), codes), expected._replace(posterior=by_row), 1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_impossible_letter_is_the_end_of_the_shortest_impossible_prefix(seed: int) -> None:
    model, letters = random_case(seed)
    without_end = model._replace(end=None)
    prefixes = [twin.enumerate_sums(without_end, letters[: n + 1]).log_likelihood for n in range(len(letters))]
    dead = [n for n, value in enumerate(prefixes) if value == -math.inf]
    whole = twin.enumerate_sums(model, letters).log_likelihood
    expected = dead[0] if dead else len(letters) if whole == -math.inf else -1
    assert twin.first_impossible(model, letters) == expected


def test_the_umbrella_world() -> None:
    """Russell and Norvig, Artificial Intelligence, 3rd edition, section 15.2: P(rain | two umbrellas) = 0.883."""
    transitions = np.array([[0.7, 0.3], [0.3, 0.7]])
    umbrella = np.log([0.9, 0.2])
    all_ = np.ones((2, 2), bool)
    model = twin.Model(np.array([0.5, 0.5]), transitions, None, np.zeros(2, bool), all_)
    posterior = twin.expect(model, np.array([umbrella, umbrella])).posterior
    assert_allclose(posterior[:, 0], [0.883, 0.883], rtol=0, atol=5e-4)
    five = np.log([[0.9, 0.2], [0.9, 0.2], [0.1, 0.8], [0.9, 0.2], [0.9, 0.2]])
    assert twin.viterbi(model, five).states == [0, 0, 1, 0, 0]
