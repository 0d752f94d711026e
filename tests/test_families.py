"""Emission families by themselves: densities, sums and updates against SciPy; test_hmm has them inside models."""

from __future__ import annotations

import itertools
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import tiedseq as ts
from tiedseq.distributions import fixed
from tiedseq.errors import ArgumentError, ModelError, SequenceError
from tiedseq.families import Family, Gaussian, Poisson, Use

Array = NDArray[np.float64]
KINDS = ("spherical", "diagonal", "full")


def matrix(value: Array, dims: int) -> Array:
    """A covariance of any kind as a matrix."""
    return value if value.ndim == 2 else np.diag(np.broadcast_to(value, dims))


def random_covariance(rng: np.random.Generator, kind: str, dims: int) -> Array:
    if kind == "spherical":
        return np.asarray(rng.uniform(0.5, 2.0))
    if kind == "diagonal":
        return rng.uniform(0.5, 2.0, dims)
    factor = rng.normal(size=(dims, dims))
    return factor @ factor.T + 0.3 * np.eye(dims)


def random_values(rng: np.random.Generator, kind: str, dims: int, count: int) -> list[dict[str, Array]]:
    return [{"mean": rng.normal(size=dims), "covariance": random_covariance(rng, kind, dims)} for _ in range(count)]


def uses_of(
    family: Family, X: Array, posterior: Array, reference: Sequence[Mapping[str, Array]], values: Any = None
) -> list[Use]:
    statistics = family.statistics(X, posterior, reference)
    return [Use(*use) for use in zip(statistics, values or reference, reference, strict=True)]


# ---- densities -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dims", "length"), [(1, 40_000), (3, 25_000), (5, 7), (40, 50), (2, 0)])
def test_gaussian_densities_are_scipys(kind: str, dims: int, length: int) -> None:
    rng = np.random.default_rng(dims)
    values = random_values(rng, kind, dims, 3)
    X = 2.0 * rng.normal(size=(length, dims))
    found = Gaussian(dims=dims, kind=kind).log_likelihoods(X, values)
    assert found.shape == (length, 3)
    for k, of_state in enumerate(values):
        normal = scipy.stats.multivariate_normal(of_state["mean"], matrix(of_state["covariance"], dims))
        if length:
            assert_allclose(found[:, k], normal.logpdf(X), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dims", [1, 3])
def test_poisson_probabilities_are_scipys(dims: int) -> None:
    rng = np.random.default_rng(3)
    rates = rng.uniform(0.01, 50.0, (2, dims))
    for X in (rng.poisson(20.0, (40_000, dims)), np.array([[0] * dims, [10**6] * dims, [3 * 10**9] * dims])):
        family = Poisson(dims=dims)
        found = family.log_likelihoods(family.observations(X), [{"rate": rate} for rate in rates])
        expected = scipy.stats.poisson.logpmf(X[:, None, :], rates).sum(axis=2)
        assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_densities_of_extreme_observations_are_minus_infinity_never_nan() -> None:
    family = Gaussian(dims=2, floor=1e-200)
    tight = {"mean": np.zeros(2), "covariance": np.array([[1e-150, 0.9e-150], [0.9e-150, 1e-150]])}
    X = family.observations([[1e100, 1e100], [1e100, -1e100], [0.0, 0.0]])
    assert_array_equal(family.log_likelihoods(X, [tight])[:2], -np.inf)
    assert np.isfinite(family.log_likelihoods(X, [tight])[2, 0])
    counts = Poisson().observations([2**53, 0])
    assert np.isfinite(Poisson().log_likelihoods(counts, [{"rate": np.array([1e-10])}])).all()


# ---- sums ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [*(Gaussian(dims=2, kind=kind) for kind in KINDS), Poisson(dims=2)], ids=repr)
def test_statistics_are_linear_and_add_up(family: Family) -> None:
    rng = np.random.default_rng(0)
    X = rng.poisson(5.0, (40_000, 2)).astype(np.float64)
    p, q = rng.random((2, len(X), 3))
    values = (
        [{"rate": np.ones(2)}] * 3
        if isinstance(family, Poisson)
        else random_values(rng, family.options()["kind"], 2, 3)
    )
    whole = family.statistics(X, p, values)
    assert whole[0].ndim == 1
    parts = family.statistics(X[:17_001], p[:17_001], values) + family.statistics(X[17_001:], p[17_001:], values)
    assert_allclose(whole, parts, rtol=1e-11, atol=1e-9)
    both = family.statistics(X, 2.0 * p + 3.0 * q, values)
    assert_allclose(both, 2.0 * whole + 3.0 * family.statistics(X, q, values), rtol=1e-11, atol=1e-9)
    assert_array_equal(family.statistics(X[:0], p[:0], values), np.zeros_like(whole))
    by_state = [family.statistics(X, p[:, [k]], [values[k]])[0] for k in range(3)]
    assert_allclose(whole, by_state, rtol=1e-12, atol=1e-9)


# ---- updates ---------------------------------------------------------------------------------------------------------


def log_density_of_prior(kind: str, name: str, value: Array, prior: Any, dims: int) -> float:
    """What the docstrings say of priors, in SciPy's words."""
    place, strength = prior
    if name == "mean":
        return float(scipy.stats.norm.logpdf(value, place, 1.0 / np.sqrt(strength)).sum())
    if kind == "full":
        return float(scipy.stats.invwishart.logpdf(value, df=strength - dims - 1, scale=strength * place))
    each = strength * (dims if kind == "spherical" else 1)
    return float(scipy.stats.invgamma.logpdf(value, each / 2.0 - 1.0, scale=each * place / 2.0).sum())


def expected_log_likelihood(X: Array, posterior: Array, values: Sequence[Mapping[str, Array]]) -> float:
    total = 0.0
    for k, of_state in enumerate(values):
        normal = scipy.stats.multivariate_normal(of_state["mean"], matrix(of_state["covariance"], X.shape[1]))
        total += float(posterior[:, k] @ normal.logpdf(X))
    return total


def vector_of(name: str, value: Array) -> Array:
    """A value as numbers without constraints, for an optimiser."""
    if name == "mean":
        return value
    if value.ndim < 2:
        return np.log(np.atleast_1d(value))
    factor = np.linalg.cholesky(value)
    return np.concatenate([factor[np.tril_indices(len(value), -1)], np.log(np.diagonal(factor))])


def value_of(name: str, kind: str, vector: Array, dims: int) -> Array:
    if name == "mean":
        return vector
    if kind != "full":
        return np.exp(vector).reshape(() if kind == "spherical" else (dims,))
    factor = np.diag(np.exp(vector[-dims:]))
    factor[np.tril_indices(dims, -1)] = vector[:-dims]
    return np.asarray(factor @ factor.T)


@pytest.mark.parametrize("with_prior", [False, True])
@pytest.mark.parametrize("sharing", ["own", "two of three", "all"])
@pytest.mark.parametrize("shares_other", [False, True])
@pytest.mark.parametrize("name", ["mean", "covariance"])
@pytest.mark.parametrize("kind", KINDS)
def test_updates_are_the_optimisers(kind: str, name: str, shares_other: bool, sharing: str, with_prior: bool) -> None:
    rng = np.random.default_rng(7)
    dims = 2
    family = Gaussian(dims=dims, kind=kind)
    X = rng.normal(size=(60, dims)) * [1.0, 2.0] + [1.0, -1.0]
    posterior = rng.dirichlet(np.ones(3), len(X))
    values = random_values(rng, kind, dims, 3)
    shared = {"own": [0], "two of three": [0, 1], "all": [0, 1, 2]}[sharing]
    other = "covariance" if name == "mean" else "mean"
    for k in shared[1:]:
        values[k][name] = values[0][name]
        if shares_other:
            values[k][other] = values[0][other]
    reference = [dict(of_state) for of_state in values]
    if name == "covariance":  # the means have been updated since the sums were taken
        for k, of_state in enumerate(values):
            of_state["mean"] = of_state["mean"] + (0.1 if shares_other and k in shared else 0.1 * k)
    prior = None
    if with_prior:
        place = np.array([0.5, 0.2]) if name == "mean" else random_covariance(rng, kind, dims)
        prior = (place, 20.0)
    uses = uses_of(family, X, posterior, reference, values)
    current = values[0][name] + (0.3 if name == "mean" else 0.0)  # not where the sums were taken
    updated = family.update(name, [uses[k] for k in shared], current, prior)

    def objective(vector: Array) -> float:
        value = value_of(name, kind, vector, dims)
        tried = [{**of_state, name: value} if k in shared else of_state for k, of_state in enumerate(values)]
        total = expected_log_likelihood(X, posterior, tried)
        return -total - (log_density_of_prior(kind, name, value, prior, dims) if prior is not None else 0.0)

    best = scipy.optimize.minimize(objective, vector_of(name, values[0][name]), method="BFGS", options={"gtol": 1e-6})
    assert_allclose(updated, value_of(name, kind, best.x, dims), rtol=1e-5, atol=1e-6)
    assert objective(vector_of(name, updated)) <= best.fun + 1e-9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["mean", "covariance"])
def test_log_prior_is_scipys_up_to_a_constant(kind: str, name: str) -> None:
    rng = np.random.default_rng(5)
    family = Gaussian(dims=3, kind=kind)
    a, b, place = (of_state[name] for of_state in random_values(rng, kind, 3, 3))
    for strength in [9.0, np.array([3.0, 4.0, 5.0])] if name == "mean" else [9.0]:
        prior = (place, strength)
        expected = log_density_of_prior(kind, name, a, prior, 3) - log_density_of_prior(kind, name, b, prior, 3)
        assert_allclose(family.log_prior(name, a, prior) - family.log_prior(name, b, prior), expected, rtol=1e-10)


@pytest.mark.parametrize("prior", [None, (3.0, 2.0), ([3.0, 0.5], [2.0, 7.0])])
def test_poisson_updates_are_the_optimisers(prior: Any) -> None:
    rng = np.random.default_rng(1)
    family = Poisson(dims=2)
    X = family.observations(rng.poisson([3.0, 8.0], (50, 2)))
    posterior = rng.dirichlet(np.ones(3), len(X))
    uses = uses_of(family, X, posterior, [{"rate": np.ones(2)}] * 3)
    updated = family.update("rate", uses[:2], np.ones(2), prior)

    def log_prior(rate: Array) -> float:
        if prior is None:
            return 0.0
        return float(scipy.stats.gamma.logpdf(rate, np.add(prior[0], 1.0), scale=np.divide(1.0, prior[1])).sum())

    def objective(logs: Array) -> float:
        rate = np.exp(logs)
        return -float(posterior[:, :2].sum(axis=1) @ scipy.stats.poisson.logpmf(X, rate).sum(axis=1)) - log_prior(rate)

    best = scipy.optimize.minimize(objective, np.zeros(2), method="BFGS", options={"gtol": 1e-7})
    assert_allclose(updated, np.exp(best.x), rtol=1e-6)
    if prior is not None:
        difference = family.log_prior("rate", updated, prior) - family.log_prior("rate", np.ones(2), prior)
        assert_allclose(difference, log_prior(updated) - log_prior(np.ones(2)), rtol=1e-10)


@given(st.integers(0, 2**32), st.sampled_from(KINDS), st.booleans(), st.booleans(), st.booleans())
def test_the_likelihood_of_a_mixture_never_falls(
    seed: int, kind: str, shares_mean: bool, shares_covariance: bool, with_priors: bool
) -> None:
    rng = np.random.default_rng(seed)
    dims = int(rng.integers(1, 4))
    family = Gaussian(dims=dims, kind=kind)
    X = rng.normal(size=(int(rng.integers(1, 40)), dims)) * 10.0 ** rng.uniform(-4, 2)
    values = random_values(rng, kind, dims, 3)
    if rng.random() < 0.5:
        X += 1e3
        for of_state in values:
            of_state["mean"] += 1e3
    priors: dict[str, Any] = {"mean": None, "covariance": None}
    if with_priors:
        priors = {"mean": (X.mean(axis=0) + rng.normal(size=dims), 3.0), "covariance": (1.0, 2.0)}
    labels = [("mean", states) for states in ([[0, 1], [2]] if shares_mean else [[0], [1], [2]])]
    labels += [("covariance", states) for states in ([[0], [1, 2]] if shares_covariance else [[0], [1], [2]])]
    for name, states in labels:
        for k in states:
            values[k][name] = values[states[0]][name]
    before = -np.inf
    for _ in range(8):
        logs = family.log_likelihoods(X, values)
        total = scipy.special.logsumexp(logs, axis=1)
        now = float(total.sum())
        for name, states in labels:
            if priors[name] is not None:
                now += family.log_prior(name, values[states[0]][name], priors[name])
        assert before == -np.inf or now >= before - 1e-9 * abs(before)
        before = now
        reference = [dict(of_state) for of_state in values]
        statistics = family.statistics(X, np.exp(logs - total[:, None]), reference)
        for name, states in labels:
            uses = [Use(statistics[k], values[k], reference[k]) for k in states]
            updated = family.update(name, uses, values[states[0]][name], priors[name])
            for k in states:
                values[k][name] = updated


# ---- digits, bounds, and states that nothing visits ------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_data_far_from_zero_keep_their_digits(kind: str) -> None:
    rng = np.random.default_rng(2)
    offsets = np.array([1e6, -3e6])
    X = offsets + 0.01 * rng.normal(size=(5_000, 2))
    near = X - offsets  # exact
    posterior = rng.random((len(X), 1))
    weight = posterior[:, 0] / posterior.sum()
    mean = weight @ near
    covariance = (near - mean).T @ (weight[:, None] * (near - mean))
    expected = {"full": covariance, "diagonal": np.diagonal(covariance), "spherical": np.trace(covariance) / 2.0}[kind]
    family = Gaussian(dims=2, kind=kind)
    current = {"mean": offsets + 0.03, "covariance": family.checked("covariance", 2e-4)}
    (use,) = uses_of(family, X, posterior, [current])
    updated = family.update("mean", [use], current["mean"])
    assert_allclose((updated - offsets) / 0.01, mean / 0.01, rtol=0, atol=1e-6)
    use = use._replace(values={**current, "mean": updated})
    found = family.update("covariance", [use], current["covariance"])
    assert_allclose(found, expected, rtol=1e-6, atol=1e-10)
    normal = scipy.stats.multivariate_normal(current["mean"] - offsets, matrix(current["covariance"], 2))
    assert_allclose(family.log_likelihoods(X, [current])[:, 0], normal.logpdf(near), rtol=1e-6)


def test_shared_means_keep_their_digits_whatever_the_units() -> None:
    rng = np.random.default_rng(9)
    units = np.array([1e12, 1e-6])
    standard = rng.normal(size=(30, 2)) + 5.0
    posterior = rng.dirichlet(np.ones(2), len(standard))
    reference = random_values(rng, "full", 2, 2)
    reference[1]["mean"] = reference[0]["mean"]
    scaled = [{"mean": r["mean"] * units, "covariance": r["covariance"] * np.outer(units, units)} for r in reference]
    family = Gaussian(dims=2, floor=1e-15)
    expected = family.update("mean", uses_of(family, standard, posterior, reference), reference[0]["mean"])
    found = family.update("mean", uses_of(family, standard * units, posterior, scaled), scaled[0]["mean"])
    assert_allclose(found / units, expected, rtol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_the_floor_is_the_constrained_maximum_and_reported(kind: str, scale: float) -> None:
    rng = np.random.default_rng(4)
    family = Gaussian(dims=2, kind=kind, floor=0.5 * scale**2)
    X = scale * rng.normal(size=(40, 1)) * (np.array([0.01, 0.03]) if kind == "spherical" else np.array([0.0, 2.0]))
    values = [{"mean": X.mean(axis=0), "covariance": family.checked("covariance", scale**2)}]
    posterior = np.ones((len(X), 1))
    found = family.update("covariance", uses_of(family, X, posterior, values), values[0]["covariance"])
    assert family.at_floor("covariance", found)
    assert not family.at_floor("covariance", values[0]["covariance"])
    assert not family.at_floor("mean", values[0]["mean"])
    assert_allclose(np.linalg.eigvalsh(matrix(found, 2))[0], family.floor, rtol=1e-9)
    best = expected_log_likelihood(X, posterior, [{**values[0], "covariance": found}])
    for _ in range(30):
        other = found + scale**2 * rng.uniform(0.0, 0.3) * random_covariance(rng, kind, 2)
        assert expected_log_likelihood(X, posterior, [{**values[0], "covariance": other}]) <= best


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4, 1e8])
def test_collinear_data_end_at_a_floor_that_rounding_respects(size: float) -> None:
    line = np.linspace(-1.0, 1.0, 50)[:, None] * np.array([1.0, 2.0, -3.0]) * size
    family = Gaussian(dims=3)
    values = [{"mean": np.zeros(3), "covariance": np.eye(3)}]
    found = family.update("covariance", uses_of(family, line, np.ones((50, 1)), values), np.eye(3))
    assert_array_equal(found, found.T)
    assert family.at_floor("covariance", found)
    assert_array_equal(family.checked("covariance", found), found)  # as a model file that is loaded does
    assert np.isfinite(family.log_likelihoods(line, [{"mean": np.zeros(3), "covariance": found}])).all()


def test_dimensions_in_very_different_units_are_not_taken_for_collinear() -> None:
    units = np.array([1e7, 1e-2])
    X = np.random.default_rng(0).normal(size=(200, 2)) * units
    family = Gaussian(dims=2)
    values = [{"mean": X.mean(axis=0), "covariance": np.eye(2)}]
    found = family.update("covariance", uses_of(family, X, np.ones((200, 1)), values), np.eye(2))
    assert not family.at_floor("covariance", found)
    assert_allclose(found, np.cov(X.T, bias=True), rtol=1e-10)


def test_nearly_collinear_data_are_not_at_a_floor() -> None:
    family = Gaussian(dims=2, floor=1e-20)
    nearly = np.array([[1.0, 1.0 - 1e-9], [1.0 - 1e-9, 1.0]])
    assert not family.at_floor("covariance", nearly)
    assert_array_equal(family.checked("covariance", nearly), nearly)


def test_a_rate_has_a_floor() -> None:
    family = Poisson()
    (use,) = uses_of(family, np.zeros((5, 1)), np.ones((5, 1)), [{"rate": np.ones(1)}])
    assert_array_equal(family.update("rate", [use], np.ones(1)), [1e-10])
    assert family.at_floor("rate", np.array([1e-10])) and not family.at_floor("rate", np.array([1e-9]))


@pytest.mark.parametrize("family", [*(Gaussian(dims=2, kind=kind) for kind in KINDS), Poisson(dims=2)], ids=repr)
@pytest.mark.parametrize("weight", [0.0, 1e-310])
def test_a_state_that_nothing_visits_keeps_its_values(family: Family, weight: float) -> None:
    X = np.array([[1.0, 2.0], [4.0, 3.0]])
    values = family.start(X, 2, np.random.default_rng(0))
    posterior = np.array([[weight, 1.0], [weight, 1.0]])
    unvisited, visited = uses_of(family, X, posterior, values)
    for name in family.names:
        assert_array_equal(family.update(name, [unvisited], values[0][name]), values[0][name])
        alone = family.update(name, [visited], values[1][name])
        assert_allclose(family.update(name, [unvisited, visited], values[1][name]), alone, rtol=1e-12)


def test_a_prior_decides_where_nothing_else_does() -> None:
    family = Gaussian(dims=2)
    values = [{"mean": np.ones(2), "covariance": np.eye(2)}]
    uses = uses_of(family, np.zeros((1, 2)), np.zeros((1, 1)), values)
    assert_allclose(family.update("mean", uses, np.ones(2), ([3.0, 4.0], 2.0)), [3.0, 4.0], rtol=1e-12)
    assert_allclose(family.update("mean", uses, np.ones(2), ([3.0, 4.0], [2.0, 0.0])), [3.0, 1.0], rtol=1e-12)
    assert_allclose(family.update("covariance", uses, np.eye(2), (5.0, 2.0)), 5.0 * np.eye(2), rtol=1e-12, atol=0)
    assert_array_equal(family.update("covariance", uses, np.eye(2), (5.0, 0.0)), np.eye(2))


# ---- starting values and samples -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_starting_values_find_clusters(kind: str) -> None:
    rng = np.random.default_rng(0)
    centres = 1e5 + np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 30.0]])
    X = (centres[:, None] + rng.normal(size=(3, 12_000, 2)) * [1.0, 2.0]).reshape(-1, 2)  # more than are looked at
    family = Gaussian(dims=2, kind=kind)
    values = family.start(X, 3, np.random.default_rng(5))
    assert_allclose([of_state["mean"] for of_state in values], centres, rtol=0, atol=0.1)
    expected = np.diag([2.5, 2.5]) if kind == "spherical" else np.diag([1.0, 4.0])
    for of_state in values:
        assert_allclose(matrix(of_state["covariance"], 2), expected, rtol=0.1, atol=0.1)
    for first, again in zip(values, family.start(X, 3, np.random.default_rng(5)), strict=True):
        assert_array_equal(first["mean"], again["mean"])
        assert_array_equal(first["covariance"], again["covariance"])


@pytest.mark.parametrize("seed", range(5))
def test_starting_values_find_small_clusters(seed: int) -> None:
    X = np.random.default_rng(seed).normal(size=(5_000, 1))
    X[:25] += 100.0
    means = [of_state["mean"][0] for of_state in Gaussian().start(X, 2, np.random.default_rng(seed))]
    assert_allclose(means, [0.0, 100.0], rtol=0, atol=1.0)


def test_clusters_of_single_observations_have_the_covariance_of_all() -> None:
    X = np.arange(8.0).reshape(4, 2)
    for of_state in Gaussian(dims=2, kind="diagonal").start(X, 4, np.random.default_rng(0)):
        assert np.all(of_state["covariance"] > 1.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("X", [np.zeros((1, 2)), np.full((50, 2), 1e9), np.eye(2), np.arange(8.0).reshape(4, 2)])
def test_starting_values_exist_for_any_data(kind: str, X: Array) -> None:
    family = Gaussian(dims=2, kind=kind)
    values = family.start(X, 5, np.random.default_rng(1))
    assert len(values) == 5
    for of_state in values:
        for name, value in of_state.items():
            assert_array_equal(family.checked(name, value), value)
    for a, b in itertools.combinations(values, 2):  # two states that are the same stay the same under EM
        assert not np.array_equal(a["mean"], b["mean"])


def test_starting_rates_find_clusters_and_exist_for_any_data() -> None:
    rng = np.random.default_rng(0)
    X = rng.permutation(np.concatenate([rng.poisson(rate, 4_000) for rate in (1.0, 30.0, 400.0)]))[:, None]
    values = Poisson().start(X.astype(np.float64), 3, np.random.default_rng(1))
    assert_allclose([of_state["rate"][0] for of_state in values], [1.0, 30.0, 400.0], rtol=0.05)
    for data in (np.full((3, 1), 7.0), np.arange(4.0)[:, None]):
        rates = [of_state["rate"][0] for of_state in Poisson().start(data, 6, np.random.default_rng(2))]
        assert len(set(rates)) == 6 and min(rates) > 0.0
    zeros = Poisson().start(np.zeros((4, 1)), 2, np.random.default_rng(2))
    assert all(np.array_equal(Poisson().checked("rate", of_state["rate"]), of_state["rate"]) for of_state in zeros)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_have_the_moments_of_their_distribution(kind: str) -> None:
    rng = np.random.default_rng(8)
    family, (values,) = Gaussian(dims=3, kind=kind), random_values(rng, kind, 3, 1)
    X = family.sample(values, 100_000, rng)
    assert X.shape == (100_000, 3)
    assert_allclose(X.mean(axis=0), values["mean"], rtol=0, atol=0.05)
    assert_allclose(np.cov(X.T), matrix(values["covariance"], 3), rtol=0.03, atol=0.03)


def test_counts_are_sampled_with_their_rates() -> None:
    X = Poisson(dims=2).sample({"rate": np.array([0.5, 40.0])}, 100_000, np.random.default_rng(8))
    assert X.shape == (100_000, 2) and X.dtype == np.float64
    assert_allclose(X.mean(axis=0), [0.5, 40.0], rtol=0.01)
    assert_allclose(X.var(axis=0), [0.5, 40.0], rtol=0.02)


# ---- what users write ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "dims"),
    [
        (Gaussian(dims=1), 1),
        (Gaussian(), 1),
        (Gaussian(mean=[0.0], covariance="sigma"), 1),
        (Gaussian(mean="m", covariance=fixed(np.eye(3))), 3),
        (Gaussian(mean=fixed([1, 2]), covariance=2.0), 2),
        (Gaussian(0.0, 1.0), 1),
        (Poisson(10.0), 1),
        (Poisson([1, 2, 3]), 3),
        (Poisson(dims=4), 4),
    ],
    ids=repr,
)
def test_dimensions_follow_from_what_is_given(family: Family, dims: int) -> None:
    assert family.dims == dims
    assert isinstance(family, ts.Family)


def test_values_take_the_forms_that_people_type() -> None:
    full, diagonal, spherical = (Gaussian(dims=2, kind=kind) for kind in ("full", "diagonal", "spherical"))
    assert_array_equal(full.checked("covariance", 2), [[2.0, 0.0], [0.0, 2.0]])
    assert_array_equal(full.checked("covariance", [1, 3]), [[1.0, 0.0], [0.0, 3.0]])
    assert_array_equal(full.checked("covariance", [[2, 1], [1 + 1e-9, 2]]), [[2.0, 1 + 5e-10], [1 + 5e-10, 2.0]])
    assert_array_equal(diagonal.checked("covariance", 2), [2.0, 2.0])
    assert spherical.checked("covariance", 2).shape == ()
    assert Gaussian(kind="spherical").checked("covariance", [[2]]).shape == ()
    assert_array_equal(Gaussian().checked("mean", 3), [3.0])
    given_array = np.zeros(2)
    assert full.checked("mean", given_array) is not given_array
    sizes = {"full": 3, "diagonal": 2, "spherical": 1}
    for family in (full, diagonal, spherical):
        value = family.checked("covariance", 1.0)
        assert (family.n_free("mean", np.zeros(2)), family.n_free("covariance", value)) == (2, sizes[family.kind])
    assert Poisson(dims=3).n_free("rate", np.ones(3)) == 3


def test_observations_are_cast() -> None:
    assert Gaussian().observations([1, 2, 3]).shape == (3, 1)
    assert Gaussian().observations(np.float32([[1], [2]])).dtype == np.float64  # type: ignore[arg-type]
    assert Gaussian(dims=2).observations([(1, 2), (3, 4)]).shape == (2, 2)
    assert Gaussian(dims=2).observations(np.zeros((3, 4))[:, ::2]).flags.c_contiguous
    assert Poisson().observations(np.array([True, False])).tolist() == [[1.0], [0.0]]
    assert Gaussian(dims=2).observations(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize(
    ("family", "X", "position", "message"),
    [
        (Gaussian(), [1.0, np.nan], 1, "X holds nan at position 1; Gaussian observes finite numbers"),
        (Gaussian(dims=2), [[1.0, 2.0], [0.0, -np.inf]], 1, "X holds -inf at position 1, dimension 1"),
        (Gaussian(), [0.0, 0.0, 1e101], 2, r"X holds 1e\+101 at position 2; .* up to 1e\+100"),
        (Gaussian(dims=2), [1.0, 2.0, 3.0], None, r"shape \(3,\), but Gaussian\(dims=2\) .* shape \(length, 2\)"),
        (Gaussian(), np.zeros((4, 3)), None, r"\(4, 3\), but Gaussian\(dims=1\) observes 1 .*; give dims=3, or"),
        (Gaussian(), np.zeros((4, 1, 1)), None, r"X has the shape \(4, 1, 1\)"),
        (Gaussian(), 3.0, None, "X=3.0 is no array of real numbers"),
        (Gaussian(), "ACGT", None, "X='ACGT' is no array .*; Gaussian observes numbers, not letters"),
        (Gaussian(), ["A", "C"], None, "is no array of real numbers"),
        (Gaussian(), [1j], None, "is no array of real numbers"),
        (Gaussian(), [[1.0], [1.0, 2.0]], None, "is no array of real numbers"),
        (Gaussian(), [1.0, "x", None], None, "is no array of real numbers"),
        (Gaussian(), np.ma.masked_array([1.0, 2.0], [False, True]), None, "X has masked entries"),
        (Poisson(), [3, 0, -1], 2, r"X holds -1 at position 2; Poisson observes whole numbers from 0 to 2\^53"),
        (Poisson(), [3, 0.5], 1, "X holds 0.5 at position 1"),
        (Poisson(dims=2), [[3, 1e17]], 0, r"X holds 1e\+17 at position 0, dimension 1"),
        (Poisson(), [np.nan], 0, "X holds nan at position 0"),
    ],
)
def test_impossible_observations_are_named(family: Family, X: Any, position: int | None, message: str) -> None:
    with pytest.raises(SequenceError, match=message) as caught:
        family.observations(X)
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Gaussian(kind="tied"),
            ArgumentError,
            "kind='tied' is unknown; a covariance is 'spherical', 'diagonal'",
        ),
        (lambda: Gaussian(dims=0), ArgumentError, "dims=0 must be a whole number of at least 1"),
        (lambda: Gaussian(dims=1.5), ArgumentError, "dims=1.5"),  # type: ignore[arg-type]
        (lambda: Gaussian(dims=True), ArgumentError, "dims=True"),
        (lambda: Gaussian(floor=0.0), ArgumentError, "floor=0.0 must be a number between"),
        (lambda: Poisson(floor=np.nan), ArgumentError, "floor=nan"),
        (lambda: Poisson(floor="x"), ArgumentError, "floor='x'"),  # type: ignore[arg-type]
        (lambda: Gaussian(mean=""), ArgumentError, "mean='' of Gaussian is an empty label"),
        (lambda: Gaussian(mean=[0.0, np.nan]), ModelError, r"mean=\[0.0, nan\] .* finite numbers of shape \(2,\)"),
        (
            lambda: Gaussian(mean=[0, 0], dims=3),
            ModelError,
            r"mean=\[0, 0\] does not suit Gaussian, dims=3, kind='full'",
        ),
        (lambda: Gaussian(mean=[[0, 0]]), ModelError, "mean="),
        (lambda: Gaussian(mean=0.0, dims=2), ModelError, "mean=0.0"),
        (lambda: Gaussian(mean=fixed(None)), ModelError, "mean=None"),
        (lambda: Gaussian(mean=[0, 0], covariance=np.eye(3)), ModelError, "covariance=array"),
        (lambda: Gaussian(covariance=[1, 2], kind="spherical"), ModelError, "kind='spherical'.*it must be one finite"),
        (lambda: Gaussian(covariance=-1.0), ModelError, "covariance=-1.0 must be symmetric, positive definite"),
        (
            lambda: Gaussian(covariance=1e-7, kind="diagonal"),
            ModelError,
            "at least floor=1e-06; give such a one, or a low",
        ),
        (lambda: Gaussian(covariance=[[1, 2], [2, 1]]), ModelError, "positive definite"),
        (lambda: Gaussian(covariance=[[1, 0.5], [0.4, 1]]), ModelError, "symmetric"),
        (lambda: Gaussian(covariance=np.inf), ModelError, "covariance=inf"),
        (lambda: Gaussian(covariance=[[1], [2, 3]]), ModelError, "covariance="),
        (lambda: Poisson(0.0), ModelError, r"rate=0.0 of Poisson must be from floor=1e-10 to 2\^53"),
        (lambda: Poisson([1.0, -2.0]), ModelError, "rate="),
        (lambda: Poisson(1e17), ModelError, "rate="),
        (
            lambda: Gaussian().checked_prior("mean", 3.0),
            ModelError,
            "priors= has 3.0 for a mean; it must be a pair: loc",
        ),
        (lambda: Gaussian().checked_prior("mean", (0.0, -1.0)), ModelError, "strength -1.0 for a mean"),
        (
            lambda: Gaussian(dims=2).checked_prior("covariance", (1.0, [1.0, 2.0])),
            ModelError,
            "strength .* a covariance",
        ),
        (lambda: Gaussian().checked_prior("covariance", (0.0, 1.0)), ModelError, "covariance=0.0 must be"),
        (lambda: Gaussian().checked_prior("covariance", (1.0, np.nan)), ModelError, "strength nan"),
        (lambda: Poisson().checked_prior("rate", (1.0,)), ModelError, "priors= has"),
        (lambda: Poisson().checked_prior("rate", (1.0, -1.0)), ModelError, "priors= has"),
        (lambda: Poisson().checked_prior("rate", "ab"), ModelError, "priors= has 'ab' for a rate"),
        (lambda: Family.from_dict({"family": "Weibull"}), ModelError, "'Weibull' is unknown; there are .*Gaussian"),
        (lambda: Family.from_dict({"family": "Poisson", "kind": 3}), ModelError, "{'kind': 3} are not those of"),
        (lambda: Family.from_dict({"family": ["x"]}), ModelError, "unknown"),
    ],
)
def test_impossible_arguments_are_named(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    "family", [Gaussian(dims=3), Gaussian(kind="spherical", floor=1e-9), Poisson(dims=2), Poisson([1.0, 2.0])], ids=repr
)
def test_families_survive_files_and_pickles(family: Family) -> None:
    document = json.loads(json.dumps(family.to_dict()))
    again = Family.from_dict(document)
    assert type(again) is type(family) and again.to_dict() == family.to_dict()
    assert again.entries == dict.fromkeys(family.names)
    assert repr(pickle.loads(pickle.dumps(family))) == repr(family)


def test_families_show_what_was_given() -> None:
    assert repr(Gaussian("m", fixed(2.0), kind="spherical")) == (
        "Gaussian(mean='m', covariance=fixed(2.0), dims=1, kind='spherical')"
    )
    assert repr(Poisson()) == "Poisson(dims=1)"
    assert Gaussian("m", fixed(2.0)).entries["covariance"].value == 2.0


# ---- families of users -----------------------------------------------------------------------------------------------


class Exponential(ts.Family):
    """The least that a family needs."""

    names = ("rate",)

    def __init__(self, rate: Any = None) -> None:
        super().__init__({"rate": rate})

    def log_likelihoods(self, X: Array, values: Sequence[Mapping[str, Array]]) -> Array:
        rate = np.concatenate([of_state["rate"] for of_state in values])
        return np.asarray(np.log(rate) - X * rate)

    def statistics(self, X: Array, posterior: Array, values: Sequence[Mapping[str, Array]]) -> Array:
        return np.column_stack([posterior.sum(axis=0), posterior.T @ X])

    def update(self, name: str, uses: Sequence[Use], value: Array, prior: Any = None) -> Array:
        visits, time = np.sum([use.statistics for use in uses], axis=0)
        return np.array([visits / time]) if time > 0.0 else value


def test_users_bring_their_own() -> None:
    family = Exponential(rate="pace")
    assert family.dims == 1 and family.entries == {"rate": "pace"}
    document = family.to_dict()
    assert document == {"family": f"{__name__}.Exponential"}
    assert isinstance(Family.from_dict(document), Exponential)
    assert_array_equal(family.checked("rate", 2.0), [2.0])
    assert family.n_free("rate", np.ones(1)) == 1 and not family.at_floor("rate", np.ones(1))
    with pytest.raises(ModelError, match="finds no starting values by itself; give one for each of rate"):
        family.start(np.ones((2, 1)), 2, np.random.default_rng(0))
    with pytest.raises(ModelError, match="cannot be sampled from"):
        family.sample({"rate": np.ones(1)}, 2, np.random.default_rng(0))
    with pytest.raises(ModelError, match="for the rate of Exponential, which has no prior"):
        family.log_prior("rate", np.ones(1), 3.0)
