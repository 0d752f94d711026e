"""States that emit several things at once, against products of SciPy's densities and against single channels."""

from __future__ import annotations

import copy
import json
import math
import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hmm_cases import (
    STANDS_FOR,
    Floats,
    Problem,
    assert_training_rose,
    hmm_of,
    letter_logs,
    maximum,
    softmax,
    total_log_likelihood,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize, stats

import chain_twin as twin
import tiedseq as ts
from tiedseq.errors import ArgumentError, ConvergenceWarning, ModelError, SequenceError
from tiedseq.families import Use
from tiedseq.families.letters import Letters

ROWS = {"a": {"a": 0.9, "b": 0.1}, "b": {"a": 0.2, "b": 0.8}}
TABLES = {"a": [0.4, 0.1, 0.2, 0.3], "b": [0.1, 0.5, 0.3, 0.1]}


def two_states(**options: Any) -> ts.HMM:
    """Letters, two numbers, and a count."""
    emissions = {
        "a": ts.Channels(
            read=ts.Categorical(ts.DNA, values=TABLES["a"]), level=ts.Gaussian([0.0, 1.0], 1.0), count=ts.Poisson(2.0)
        ),
        "b": ts.Channels(
            read=ts.Categorical(ts.DNA, values=TABLES["b"]), level=ts.Gaussian([1.0, 0.0], 0.5), count=ts.Poisson(5.0)
        ),
    }
    return ts.HMM(None, ROWS, emissions, **options)


def drawn(model: ts.HMM, n: int, length: int) -> list[Any]:
    return [model.sample(length, random_state=k)[0] for k in range(n)]


# ---- what a model says -----------------------------------------------------------------------------------------------


def random_channels(rng: np.random.Generator, count: int) -> tuple[list[ts.Channels], Any]:
    """The channels of some states; and as a function the (n, states) log-likelihoods of a sequence, by SciPy."""
    tables = rng.dirichlet(np.ones(4), count)
    tables[0] = [0.5, 0.5, 0.0, 0.0]
    means, factors = rng.normal(0.0, 2.0, (count, 2)), rng.normal(size=(count, 2, 2))
    covariances, rates = factors @ factors.transpose(0, 2, 1) + 0.3 * np.eye(2), rng.gamma(2.0, 2.0, count)
    channels = [
        ts.Channels(
            read=ts.Categorical(ts.DNA, values=tables[k]),
            level=ts.Gaussian(means[k], covariances[k]),
            count=ts.Poisson(rates[k]),
        )
        for k in range(count)
    ]

    def logs_of(x: Mapping[str, Any]) -> Floats:
        levels = [stats.multivariate_normal.logpdf(x["level"], means[k], covariances[k]) for k in range(count)]
        counts = [stats.poisson.logpmf(x["count"], rates[k]) for k in range(count)]
        return (
            letter_logs(list(tables), x["read"]) + np.reshape(levels, (count, -1)).T + np.reshape(counts, (count, -1)).T
        )

    return channels, logs_of


@pytest.mark.small
@pytest.mark.parametrize("seed", range(4))
def test_all_paths(seed: int) -> None:
    """Silent states, ends, zeros, letters that stand for several."""
    rng = np.random.default_rng(seed)
    for length in (1, 2, 4):
        reference = twin.random_model(rng)
        if reference.end is not None and not reference.end.any():
            reference = reference._replace(end=None)
        emitting = twin.emitting_states(reference)
        channels, logs_of = random_channels(rng, len(emitting))
        model = hmm_of(reference, channels)
        letters = "".join(rng.choice(list("ACGTNRY"), length))
        x = {"read": letters, "level": rng.normal(0.0, 2.0, (length, 2)), "count": rng.poisson(4.0, length)}
        expected = twin.enumerate_sums(reference, logs_of(x))
        assert_allclose(model.score(x), expected.log_likelihood, rtol=1e-10, atol=1e-10)
        if expected.log_likelihood == -math.inf:
            with pytest.raises(SequenceError, match="Sequence 0 has probability 0") as caught:
                model.predict(x)
            assert caught.value.position == twin.first_impossible(reference, logs_of(x))
            continue
        assert_allclose(model.predict_proba(x)[:, emitting], expected.posterior, rtol=1e-9, atol=1e-11)
        value, path = model.decode(x)
        assert_allclose(value, twin.viterbi(reference, logs_of(x)).log_probability, rtol=1e-10, atol=1e-10)
        assert_allclose(twin.log_best_route(reference, logs_of(x), path.tolist()), value, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["gaussian", "poisson"])
def test_one_channel_of_numbers_is_the_family_alone(kind: str) -> None:
    rng = np.random.default_rng(3)
    data: list[Any]
    if kind == "gaussian":
        families: list[ts.Family] = [ts.Gaussian([0.0, 0.0], "v"), ts.Gaussian([2.0, 1.0], "v")]
        values: dict[str, Any] = {"v": 1.5}
        data = [rng.normal(rng.normal(0, 2, 2), 1.0, (30, 2)) for _ in range(5)]
    else:
        families, values = [ts.Poisson("low"), ts.Poisson(5.0)], {"low": 1.0}
        data = [rng.poisson(rng.uniform(1, 8), 30) for _ in range(5)]
    priors: dict[str, Any] = {"v": (1.0, 3.0)} if kind == "gaussian" else {"low": (2.0, 1.0)}
    alone = ts.HMM(None, ROWS, dict(zip("ab", families, strict=True)), values=values, priors=priors)
    channels = {state: ts.Channels(x=family) for state, family in zip("ab", families, strict=True)}
    model = ts.HMM(None, ROWS, channels, values=values, priors=priors)
    for other in (alone.fit(data, max_iter=9, tol=0.0), model.fit([{"x": x} for x in data], max_iter=9, tol=0.0)):
        assert other.n_free_parameters == alone.n_free_parameters
    assert_array_equal(model.history_, alone.history_)
    for label, value in alone.parameters.items():
        state, _, name = label.rpartition(".")
        assert_array_equal(model.parameters[f"{state}.x.{name}" if state else label], value)


def test_one_channel_of_letters_is_the_model_of_letters() -> None:
    """Likelihood, posterior, iterations with priors, criteria and standard errors; letters that stand for several."""
    rng = np.random.default_rng(4)
    data = ["".join(rng.choice(list("ACGTNR"), n, p=[0.3, 0.2, 0.2, 0.2, 0.05, 0.05])) for n in (60, 80, 1)]
    entries = {"a": ts.Categorical(ts.DNA, name="w"), "b": ts.Categorical(ts.DNA, values=TABLES["b"])}
    settings: dict[str, Any] = {"values": {"w": TABLES["a"]}, "priors": {"w": [2.0, 0.0, 0.5, 1.0]}}
    alone = ts.HMM(ts.DNA, ROWS, {"a": "w", "b": TABLES["b"]}, **settings)
    model = ts.HMM(None, ROWS, {state: ts.Channels(read=entry) for state, entry in entries.items()}, **settings)
    x = [{"read": letters} for letters in data]
    assert model.n_free_parameters == alone.n_free_parameters
    for iterations in (1, 20):
        model.fit(x, max_iter=iterations, tol=0.0)
        alone.fit(data, max_iter=iterations, tol=0.0)
        assert_allclose(model.history_, alone.history_, rtol=1e-12, atol=0.0)
        assert_allclose(model.parameters["w"], alone.parameters["w"], rtol=1e-10, atol=0.0)
        assert_allclose(model.parameters["b.read.probability"], alone.parameters["b"], rtol=1e-10, atol=0.0)
        assert_allclose(model.transmat_, alone.transmat_, rtol=1e-10, atol=0.0)
    assert_allclose(model.score(x), alone.score(data), rtol=1e-12, atol=0.0)
    assert_allclose(model.predict_proba(x)[0], alone.predict_proba(data)[0], rtol=1e-10, atol=1e-14)
    model.fit(x, algorithm="viterbi", max_iter=2, tol=0.0)
    alone.fit(data, algorithm="viterbi", max_iter=2, tol=0.0)
    assert_allclose(model.parameters["b.read.probability"], alone.parameters["b"], rtol=1e-10, atol=0.0)


# ---- letters by themselves -------------------------------------------------------------------------------------------


def test_letters_are_summed_over_what_they_may_stand_for() -> None:
    family, rng = Letters(ts.DNA), np.random.default_rng(0)
    tables = [*rng.dirichlet(np.ones(4), 2), np.array([0.0, 0.5, 0.5, 0.0])]
    text = "ACGTRYN"
    found = family.log_likelihoods(family.observations(text), [{"probability": table} for table in tables])
    with np.errstate(divide="ignore"):
        expected = np.log([[sum(t["ACGT".index(x)] for x in STANDS_FOR[s]) for t in tables] for s in text])
    assert_allclose(found, expected, rtol=1e-14, atol=1e-15)
    assert found[0, 2] == -np.inf


@pytest.mark.parametrize("prior", [None, 1.5, [0.0, 2.0, 1.0, 0.5]])
def test_updates_of_letters_are_the_optimisers(prior: Any) -> None:
    """States that share a table, ambiguity codes split by the table before: EM for incomplete letters."""
    family, rng = Letters(ts.DNA), np.random.default_rng(1)
    text = "".join(rng.choice(list("ACGTRYN"), 200))
    X, posterior = family.observations(text), rng.dirichlet(np.ones(3), 200)
    before = rng.dirichlet(np.ones(4))
    values = [{"probability": before}] * 3
    statistics = family.statistics(X, posterior, values)
    updated = family.update("probability", [Use(statistics[k], values[k], values[k]) for k in (0, 1)], before, prior)
    weights = np.zeros(4)
    for symbol, weight in zip(text, posterior[:, :2].sum(axis=1).tolist(), strict=True):
        places = ["ACGT".index(letter) for letter in STANDS_FOR[symbol]]
        weights[places] += weight * before[places] / before[places].sum()
    weights += 0.0 if prior is None else prior
    best = optimize.minimize(
        lambda v: -weights @ np.log(softmax(v)), np.zeros(3), method="BFGS", options={"gtol": 1e-9}
    )
    assert_allclose(updated, softmax(best.x), rtol=1e-6, atol=0.0)
    if prior is not None:
        difference = family.log_prior("probability", updated, prior) - family.log_prior("probability", before, prior)
        assert_allclose(difference, np.broadcast_to(prior, 4) @ np.log(updated / before), rtol=1e-12, atol=0.0)


def test_a_letter_that_is_impossible_stays_so() -> None:
    family = Letters("ACGT")
    before = np.array([0.5, 0.5, 0.0, 0.0])
    unseen = Use(np.zeros(4), {"probability": before}, {"probability": before})
    assert_array_equal(family.update("probability", [unseen], before), before)
    assert_array_equal(family.update("probability", [unseen], before, 1.0), before)
    assert math.isfinite(family.log_prior("probability", before, 1.0))
    assert not family.at_floor("probability", before) and family.n_free("probability", before) == 1


def test_letters_are_sampled_with_their_frequencies_and_come_back_as_text() -> None:
    family = Letters(ts.DNA)
    X = family.sample({"probability": np.array([0.1, 0.2, 0.0, 0.7])}, 100_000, np.random.default_rng(0))
    assert X.shape == (100_000, 1)
    text = family.restored(X)
    assert_allclose([text.count(letter) / 1e5 for letter in "ACGT"], [0.1, 0.2, 0.0, 0.7], rtol=0.0, atol=0.01)
    assert_array_equal(family.observations(text), X)


def test_starting_tables_differ_and_follow_the_letters() -> None:
    family = Letters(ts.DNA)
    X = family.observations("A" * 9_000 + "N" * 2_000 + "C" * 1_000)
    tables = [values["probability"] for values in family.start(X, 4, np.random.default_rng(0))]
    assert_allclose(np.sum(tables, axis=1), 1.0, rtol=1e-12, atol=0.0)
    assert len({tuple(table) for table in tables}) == 4 and np.min(tables) > 0.0
    assert all(table[0] > 0.5 for table in tables)
    again = family.start(X, 4, np.random.default_rng(0))
    assert_array_equal([values["probability"] for values in again], tables)


# ---- ties ------------------------------------------------------------------------------------------------------------


def normal(x: Floats, mean: Any, variance: Any) -> Floats:
    return np.asarray(stats.norm.pdf(x, mean, np.sqrt(variance)))


def tied_in_one_channel() -> Problem:
    """Both states have one table of letters; their levels are free, but for the variance; pseudocounts of the table."""
    rng = np.random.default_rng(5)
    states = np.array([ts.HMM("xy", ROWS, {"a": [1.0, 0.0], "b": [0.0, 1.0]}).sample(20, k)[1] for k in range(8)])
    letters = rng.choice(3, states.shape, p=[0.5, 0.3, 0.2])
    levels = np.where(states == 0, 0.0, 2.5) + rng.normal(size=states.shape)
    data = [{"read": "".join("xyz"[k] for k in r), "level": x} for r, x in zip(letters.tolist(), levels, strict=True)]

    def objective(v: Floats) -> float:
        table = softmax(v[6:8])
        likelihoods = table[letters][..., None] * normal(levels[..., None], v[3:5], np.exp(v[5]))
        penalty = float(np.array([3.0, 1.0, 2.0]) @ np.log(table))
        return total_log_likelihood(softmax(v[:1]), [softmax(v[1:2]), softmax(v[2:3])], likelihoods) + penalty

    read = ts.Categorical("xyz", name="w")
    emissions = {state: ts.Channels(read=read, level=ts.Gaussian([m], "v")) for state, m in (("a", 0.5), ("b", 2.0))}
    values = {"w": [0.4, 0.3, 0.3], "v": 1.5}
    priors = {"w": [3.0, 1.0, 2.0]}
    return Problem(lambda: ts.HMM(None, ROWS, emissions, values=values, priors=priors), data, objective, 8, priors)


def tied_across_channels() -> Problem:
    """Two replicates of a count have one rate in a state; in another state each has its own, one of them held."""
    rng = np.random.default_rng(6)
    states = np.array([ts.HMM("xy", ROWS, {"a": [1.0, 0.0], "b": [0.0, 1.0]}).sample(20, k)[1] for k in range(8)])
    counts = rng.poisson(np.where(states == 0, 2.0, 6.0)[..., None], (*states.shape, 2)).astype(float)
    data = [{"one": x[:, 0], "two": x[:, 1]} for x in counts]

    def objective(v: Floats) -> float:
        rates = np.exp([[v[3], v[3]], [v[4], math.log(6.0)]])
        likelihoods = stats.poisson.pmf(counts[:, :, None, :], rates).prod(axis=-1)
        return total_log_likelihood(softmax(v[:1]), [softmax(v[1:2]), softmax(v[2:3])], likelihoods)

    emissions = {
        "a": ts.Channels(one=ts.Poisson("low"), two=ts.Poisson("low")),
        "b": ts.Channels(one=ts.Poisson(5.0), two=ts.Poisson(ts.fixed(6.0))),
    }
    return Problem(lambda: ts.HMM(None, ROWS, emissions, values={"low": 1.0}), data, objective, 5)


@pytest.mark.parametrize("make", [tied_in_one_channel, tied_across_channels])
def test_the_maximum_under_ties_is_that_of_a_general_optimiser(make: Any) -> None:
    problem = make()
    expected, _ = maximum(problem, starts=3)
    model = problem.model().fit(problem.data, tol=1e-8, max_iter=20_000)
    assert model.converged_
    assert_allclose(model.history_[-1], expected, rtol=0.0, atol=1e-3)
    assert model.n_free_parameters == problem.size


def test_a_label_ties_like_channels_of_unlike_states() -> None:
    """The level is shared by a state whose counts are Gaussian and one whose counts are Poisson's."""
    emissions = {
        "a": ts.Channels(level=ts.Gaussian("m", 1.0), count=ts.Poisson(2.0)),
        "b": ts.Channels(level=ts.Gaussian("m", 2.0), count=ts.Gaussian([6.0], 4.0)),
    }
    model = ts.HMM(None, ROWS, emissions, values={"m": [0.3]})
    rng = np.random.default_rng(7)
    x = {"level": rng.normal(size=50), "count": rng.poisson(4.0, 50)}
    posterior = model.predict_proba(x)
    weights = posterior / [1.0, 2.0]
    model.fit(x, max_iter=1, tol=0.0)
    assert_allclose(model.parameters["m"], weights.T @ x["level"] @ [1, 1] / weights.sum(), rtol=1e-10, atol=0.0)
    with pytest.raises(
        ModelError, match=r"'s' is the level\.mean of state 'a' and the count\.rate of state 'a', which"
    ):
        ts.HMM(None, ROWS, dict.fromkeys("ab", ts.Channels(level=ts.Gaussian("s"), count=ts.Poisson("s"))))
    with pytest.raises(ModelError, match=r"'s' is the level\.mean of state 'a' and the level\.covariance of state 'a'"):
        ts.HMM(None, ROWS, dict.fromkeys("ab", ts.Channels(level=ts.Gaussian("s", "s"))))
    read, other = ts.Categorical("xy", name="s"), ts.Categorical("yx", name="s")
    with pytest.raises(ModelError, match=r"'s' is the one\.probability of state 'a' and the two\.probability of state"):
        ts.HMM(None, ROWS, dict.fromkeys("ab", ts.Channels(one=read, two=other)))


# ---- the likelihood never falls --------------------------------------------------------------------------------------


def random_hmm(rng: np.random.Generator) -> ts.HMM:
    """Two to three states with random labels in all channels, held values and priors among them."""
    names = [f"q{k}" for k in range(rng.integers(2, 4))]
    rows = {a: dict(zip(names, rng.dirichlet(np.ones(len(names))).tolist(), strict=True)) for a in names}

    def chosen(label: str, value: Any) -> Any:
        return (f"{label}{rng.integers(2)}", value, ts.fixed(value))[rng.choice(3, p=[0.5, 0.35, 0.15])]

    emissions = {}
    for name in names:
        table = chosen("w", rng.dirichlet(np.ones(4)))
        read = ts.Categorical(ts.DNA, name=table) if isinstance(table, str) else ts.Categorical(ts.DNA, values=table)
        mean, variance = chosen("m", rng.normal(0, 2, 2)), chosen("v", rng.uniform(0.5, 3.0, 2))
        level = ts.Gaussian(mean, variance, dims=2, kind="diagonal")
        rates = [ts.Poisson(chosen("r", float(rng.uniform(0.5, 8.0)))) for _ in range(2)]
        emissions[name] = ts.Channels(read=read, level=level, one=rates[0], two=rates[1])
    values = {"w0": [0.4, 0.3, 0.2, 0.1], "w1": [0.1, 0.3, 0.3, 0.3], "r0": 2.0, "r1": 6.0}
    values |= {"m0": [0.0, 1.0], "m1": [1.0, 0.0], "v0": [1.0, 2.0], "v1": [2.0, 1.0]}
    used = set(ts.HMM(None, rows, emissions).parameters)
    choices = {"w0": 1.5, "w1": [1.0, 0.0, 2.0, 0.5], "m0": ([0.0, 1.0], 2.0), "v0": (1.0, 3.0), "r0": (2.0, 1.0)}
    priors = {label: prior for label, prior in choices.items() if label in used and rng.random() < 0.5}
    return ts.HMM(None, rows, emissions, values={k: v for k, v in values.items() if k in used}, priors=priors)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_the_likelihood_never_falls(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = random_hmm(rng)
    data = [
        {
            "read": "".join(rng.choice(list("ACGTNR"), n)),
            "level": rng.normal(rng.normal(0, 3, 2), 1.0, (n, 2)),
            "one": rng.poisson(rng.uniform(0.5, 9.0), n),
            "two": rng.poisson(rng.uniform(0.5, 9.0), n),
        }
        for n in rng.integers(1, 30, rng.integers(1, 6)).tolist()
    ]
    held = {label: model.parameters[label] for label in model.held}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(data, max_iter=12, tol=0.0)
    assert_training_rose(model, held)
    for label, value in model.parameters.items():
        if "probability" in label or label[0] == "w":
            assert_allclose(np.sum(value), 1.0, rtol=1e-12, atol=0.0)


# ---- sequences in every form -----------------------------------------------------------------------------------------


@pytest.mark.small
def test_sequences_in_every_form() -> None:
    model = two_states()
    x: dict[str, Any] = {"read": "ACGTN", "level": np.arange(10.0).reshape(5, 2) / 10.0, "count": [0, 1, 2, 3, 4]}
    y: dict[str, Any] = {"read": "A", "level": [[0.5, 0.5]], "count": np.array([2])}
    both = model.score(x) + model.score(y)
    codes = ts.DNA.encode("ACGTN")
    arrays = [np.column_stack([codes, x["level"], x["count"]]), np.array([[0.0, 0.5, 0.5, 2.0]])]
    reads: list[Any] = [
        "ACGTN",
        b"acgtn",
        codes,
        codes[:, None],
        list("ACGTN"),
        np.array(list("ACGTN")),
        codes.tolist(),
    ]
    reads += [codes.astype(float), ts.Record("r", "ACGTN"), pytest.importorskip("Bio.Seq").Seq("ACGTN")]
    for read in reads:
        assert model.score({**x, "read": read}) == model.score(x)
        assert model.score({**x, "read": read, "level": x["level"].tolist()}) == model.score(x)
    assert model.score(arrays[0]) == model.score(x)
    for many in ([x, y], (x, y), arrays, [arrays[0], y], iter([x, y])):
        assert_allclose(model.score(many), both, rtol=1e-14, atol=0.0)
    stacked = {"read": "ACGTNA", "level": np.vstack([x["level"], y["level"]]), "count": [0, 1, 2, 3, 4, 2]}
    for one in (stacked, np.vstack(arrays)):
        assert_allclose(model.score(one, lengths=[5, 1]), both, rtol=1e-14, atol=0.0)
        assert model.predict(one, lengths=[5, 1]).shape == (6,)
    assert [len(path) for path in model.predict([x, y])] == [5, 1]
    assert model.n_letters([x, y]) == 6


@pytest.mark.small
def test_tables_of_pandas() -> None:
    import pandas as pd

    channels = [
        ts.Channels(read=ts.Categorical(ts.DNA, values=TABLES[s]), count=ts.Poisson(rate))
        for s, rate in (("a", 1.0), ("b", 4.0))
    ]
    model = ts.HMM(None, ROWS, dict(zip("ab", channels, strict=True)))
    expected = model.score({"read": "ACGN", "count": [1, 2, 3, 4]})
    counts = [1, 2, 3, 4]
    for reads in (list("ACGN"), [0, 1, 2, 14], pd.array(list("ACGN"), dtype="string"), pd.Categorical(list("ACGN"))):
        for table in (pd.DataFrame({"read": reads, "count": counts}), pd.DataFrame({"count": counts, "read": reads})):
            assert model.score(table) == expected
            assert_allclose(model.score([table, table]), 2.0 * expected, rtol=1e-14, atol=0.0)
            assert model.score(dict(table)) == expected
    with pytest.raises(SequenceError, match="a DataFrame, but the channel 'level' has several numbers at a time"):
        two_states().score(pd.DataFrame({"read": ["A"], "level": [0.0], "count": [1]}))
    with pytest.raises(SequenceError, match="has the channel 'time', which is unknown; the model has 'read', 'count'"):
        model.score(pd.DataFrame({"read": ["A"], "count": [1], "time": [0]}))


def test_samples_can_be_handed_back() -> None:
    model = two_states()
    x, path = model.sample(20_000, random_state=0)
    assert list(x) == ["read", "level", "count"] and path.shape == (20_000,)
    assert isinstance(x["read"], str) and x["level"].shape == (20_000, 2) and x["count"].shape == (20_000, 1)
    assert math.isfinite(model.score(x))
    for state, rate, mean in ((0, 2.0, [0.0, 1.0]), (1, 5.0, [1.0, 0.0])):
        here = path == state
        assert_allclose(x["count"][here].mean(), rate, rtol=0.05, atol=0.0)
        assert_allclose(x["level"][here].mean(axis=0), mean, rtol=0.0, atol=0.05)
        letters = np.array(list(x["read"]))[here]
        shares = [(letters == letter).mean() for letter in "ACGT"]
        assert_allclose(shares, TABLES["ab"[state]], rtol=0.0, atol=0.02)


@pytest.mark.small
@pytest.mark.parametrize(
    ("x", "message"),
    [
        ({"read": "AC", "level": [[0, 0]] * 2}, "X lacks the channel 'count'; the model has 'read', 'level', 'count'"),
        ({"read": "A", "level": [[0, 0]], "count": [1], "more": [1]}, "X has the channel 'more', which is unknown"),
        ({"read": "ACG", "level": [[0, 0], [0, 0]], "count": [1, 2]}, r"differ in length \('read' 3, 'level' 2, 'co"),
        ([{"read": "A", "level": [[0, 0]], "count": []}], r"Sequence 0: The channels differ in length"),
        ({"read": "AC", "level": [[0, 0], [0, math.nan]], "count": [1, 2]}, "Channel 'level': X holds nan at pos"),
        ({"read": "A", "level": [[0, 0]], "count": [0.5]}, "Channel 'count': X holds 0.5 at position 0; Poisson"),
        ({"read": "A", "level": [0], "count": [1]}, r"Channel 'level': X has the shape \(1,\)"),
        ({"read": "AX", "level": [[0, 0], [0, 0]], "count": [1, 2]}, "Channel 'read': letter 'X'"),
        ({"read": 5, "level": [[0, 0]], "count": [1]}, "Channel 'read': a value of type int cannot be read as"),
        ({"read": ["AC"], "level": [[0, 0]], "count": [1]}, r"Channel 'read': X=\['AC'\] is no sequence of letters"),
        ({"read": ["A", math.nan], "level": [[0, 0]] * 2, "count": [1, 1]}, "Channel 'read': X=.* is no sequence of l"),
        ({"read": [15], "level": [[0, 0]], "count": [1]}, "Channel 'read': X holds 15 at position 0; .* from 0 to 14"),
        ({"read": [0.5], "level": [[0, 0]], "count": [1]}, "Channel 'read': X holds 0.5 at position 0; Letters"),
        ({"read": [-1], "level": [[0, 0]], "count": [1]}, "Channel 'read': X holds -1 at position 0"),
        (np.array([[15.0, 0.0, 0.0, 1.0]]), "Channel 'read': X holds 15 at position 0"),
        (np.array([[0.0, 0.0, math.nan, 1.0]]), "Channel 'level': X holds nan at position 0, dimension 1"),
        (np.zeros((3, 5)), r"an array of shape \(3, 5\); a sequence of channels is a mapping with the keys 'read', "),
        (np.zeros(3), r"an array of shape \(3,\); .* or an array of shape \(length, 4\)"),
        ("ACGT", "Sequence 0: it is 'A'; a sequence of channels is a mapping"),
        ({"read": "", "level": np.zeros((0, 2)), "count": []}, "X is empty"),
        ([], "holds no sequence"),
        (5, "must be a sequence or many"),
    ],
)  # fmt: skip
def test_sequences_that_are_none(x: Any, message: str) -> None:
    with pytest.raises((SequenceError, ArgumentError), match=message):
        two_states().score(x)


# ---- models that are none --------------------------------------------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ts.Channels(), "has no channel; name one at least"),
        (lambda: ts.Channels(x=3), "channel 'x' is 3; it must be a family such as ts.Gaussian"),  # type: ignore[arg-type]
        (lambda: ts.Channels(x=ts.Channels(y=ts.Poisson())), r"'x' is Channels\(y=Poisson\(dims=1\)\); it must"),
        (lambda: ts.Channels(x=ts.Categorical()), "Channel 'x': .* does not say what its letters are; give it an alph"),
        (lambda: ts.Channels(x=ts.Categorical("xy", labels=["p", "q"])), "Channel 'x': .* has ties of its own"),
        (lambda: ts.Channels(x=ts.Categorical("xy", given="target")), "Channel 'x': .* has ties of its own"),
        (lambda: ts.Channels(x=ts.substitution("kimura")), "Channel 'x': .* has ties of its own"),
        (lambda: ts.Channels(x=ts.Categorical("xy", values=[0.5, 0.5], name="w")), "has a name and values; give these"),
        (lambda: ts.Channels(x=ts.Categorical("xy", values=[0.5, 0.4])), "Channel 'x': .* 'xy' sums to 0.9; it must "),
        (lambda: ts.Channels(x=ts.Categorical("xy", values=ts.fixed([0.5, 0.4]))), "sums to 0.9; it must"),
        (lambda: ts.Channels(x=ts.Categorical("xy", values=[1.5, -0.5])), "holds -0.5; probabilities are not neg"),
        (lambda: ts.Channels(x=ts.Categorical("xy", values=[1.0])), r"finite numbers of shape \(2,\)"),
        (lambda: ts.HMM(None, ROWS, {"a": ts.Channels(x=ts.Poisson()), "b": ts.Poisson()}), "observe different things"),
        (
            lambda: ts.HMM(None, ROWS, {"a": ts.Channels(x=ts.Poisson(), y=ts.Gaussian()),
                                        "b": ts.Channels(y=ts.Gaussian(), x=ts.Poisson())}),
            r"'a': x \(dims=1\), y \(dims=1\); 'b': y \(dims=1\), x \(dims=1\)\).* the same channels in one order",
        ),
        (
            lambda: ts.HMM(None, ROWS, {"a": ts.Channels(x=ts.Categorical("xy")),
                                        "b": ts.Channels(x=ts.Categorical("yx"))}),
            r"x \(letters 'xy'\); 'b': x \(letters 'yx'\)",
        ),
        (lambda: two_states(values={"a.level.meen": [0.0, 0.0]}), "values= has 'a.level.meen'"),
        (lambda: two_states(alphabet="ACGT"), "multiple values"),
        (lambda: two_states(order=1), "order=1 is for letters"),
        (lambda: two_states().fit(np.ones((3, 4)), priors={"a.read.probability": [1.0, 2.0]}), "must be a pseudocount"),
        (lambda: two_states().fit(np.ones((3, 4)), priors={"a.read.probability": -1}), "priors= has -1 for a prob"),
        (lambda: two_states().fit(np.ones((3, 4)), priors={"a.count.rate": 1.0}), "priors= has 1.0 for a rate"),
        (lambda: two_states().means_, "means_: not every state has a mean"),
    ],
)  # fmt: skip
def test_models_that_are_none(make: Any, message: str) -> None:
    with pytest.raises((ModelError, ArgumentError, TypeError, AttributeError), match=message):
        make()


# ---- from data -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_init", [1, 3])
def test_starting_values_come_from_all_channels_together(n_init: int) -> None:
    """The levels rise where the counts fall, so that clusters of the channels one by one would not go together."""
    reads = {state: ts.Categorical(ts.DNA, values=table) for state, table in TABLES.items()}
    emissions = {
        "a": ts.Channels(count=ts.Poisson(20.0), level=ts.Gaussian([0.0], 1.0), read=reads["a"]),
        "b": ts.Channels(count=ts.Poisson(4.0), level=ts.Gaussian([6.0], 1.0), read=reads["b"]),
    }
    truth = ts.HMM(None, ROWS, emissions)
    x, path = truth.sample(2_000, random_state=0)
    emission = ts.Channels(count=ts.Poisson(), level=ts.Gaussian(), read=ts.Categorical(ts.DNA))
    model = ts.HMM.ergodic(2, emission=emission, random_state=1, n_init=n_init)
    assert model.n_free_parameters == 3  # before there are values
    model.fit(x)
    assert model.n_free_parameters == 3 + 2 * (1 + 2 + 3)
    low, high = sorted(model.states, key=lambda s: float(model.parameters[f"{s}.level.mean"][0]))
    assert_allclose(model.parameters[f"{low}.count.rate"], 20.0, rtol=0.05, atol=0.0)
    assert_allclose(model.parameters[f"{high}.count.rate"], 4.0, rtol=0.1, atol=0.0)
    assert_allclose(model.parameters[f"{low}.read.probability"], TABLES["a"], rtol=0.0, atol=0.05)
    found = np.where(model.predict(x) == model.states.index(low), 0, 1)
    assert (found == path).mean() > 0.99
    assert model.converged_


def test_starting_values_belong_together() -> None:
    rng = np.random.default_rng(1)
    count = np.concatenate([rng.poisson(rate, 100) for rate in (40, 20, 1)])
    level = np.concatenate([rng.normal(mean, 1.0, 100) for mean in (0.0, 20.0, 10.0)])
    family = ts.Channels(count=ts.Poisson(), level=ts.Gaussian())
    X = rng.permutation(family.observations({"count": count, "level": level}))
    found = family.start(X, 3, rng)
    pairs = sorted((float(values["count.rate"][0]), float(values["level.mean"][0])) for values in found)
    assert_allclose(pairs, [(1.0, 10.0), (20.0, 20.0), (40.0, 0.0)], rtol=0.0, atol=2.5)


@pytest.mark.parametrize("count", [2, 5])
def test_starting_values_exist_for_any_data(count: int) -> None:
    family = ts.Channels(read=ts.Categorical("xy"), level=ts.Gaussian(dims=2), n=ts.Poisson())
    for X in (np.zeros((1, 4)), np.tile([1.0, 1e9, -1e9, 3.0], (50, 1)), np.eye(4)):
        values = family.start(X, count, np.random.default_rng(0))
        assert len(values) == count
        for of_state in values:
            for name, value in of_state.items():
                assert_array_equal(family.checked(name, value), value)
    letters = ts.Channels(one=ts.Categorical("xy"), two=ts.Categorical("xy"))
    first, second = letters.start(np.zeros((3, 2)), 2, np.random.default_rng(0))
    assert not np.array_equal(first["one.probability"], second["one.probability"])


def test_a_covariance_at_its_floor_is_said_aloud() -> None:
    x = {"level": np.array([0.0] * 10 + [5.0] * 10), "count": np.arange(20)}
    emissions = {
        s: ts.Channels(level=ts.Gaussian([m], 1.0), count=ts.Poisson(5.0)) for s, m in (("a", 0.0), ("b", 5.0))
    }
    with pytest.warns(ConvergenceWarning, match=r"'a.level.covariance', 'b.level.covariance' reached the floor"):
        ts.HMM(None, ROWS, emissions).fit(x)


# ---- what follows from a fit -----------------------------------------------------------------------------------------


def test_standard_errors_are_those_of_counts() -> None:
    """One state: letters and numbers are independent, and every error has a closed form."""
    rng = np.random.default_rng(9)
    letters = np.repeat([0, 1, 2, 3], [298, 150, 50, 2])  # one is rare, and another never occurs
    x = {"read": letters, "level": rng.normal(0.2, 0.01, 500), "count": rng.poisson(4.0, 500)}
    channels = ts.Channels(read=ts.Categorical("ACGTU"), level=ts.Gaussian(), count=ts.Poisson())
    model = ts.HMM(None, {"s": {"s": 1.0}}, {"s": channels}, random_state=0).fit(x, tol=1e-10)
    found = model.standard_errors(x)
    share = np.bincount(letters) / 500.0
    expected = np.sqrt(share * (1.0 - share) / 500.0)
    assert_array_equal(found["s.read.probability"].mask, [False, False, False, False, True])  # at its boundary
    assert_allclose(found["s.read.probability"][:4], expected, rtol=1e-5, atol=0.0)
    variance = x["level"].var()
    assert_allclose(found["s.level.mean"], math.sqrt(variance / 500.0), rtol=1e-4, atol=0.0)
    assert_allclose(found["s.level.covariance"].ravel(), variance * math.sqrt(2.0 / 500.0), rtol=1e-4, atol=0.0)
    assert_allclose(found["s.count.rate"], math.sqrt(x["count"].mean() / 500.0), rtol=1e-4, atol=0.0)


def test_standard_errors_are_those_of_the_model_of_letters() -> None:
    data = [ts.HMM("ACGT", ROWS, TABLES).sample(100, random_state=k)[0] for k in range(10)]
    data[0] = "NNAC" + data[0][4:]
    alone = ts.HMM(ts.DNA, ROWS, {"a": TABLES["a"], "b": TABLES["b"]}).fit(data, tol=1e-9, max_iter=50_000)
    channels = {s: ts.Channels(read=ts.Categorical(ts.DNA, values=TABLES[s])) for s in "ab"}
    x = [{"read": letters} for letters in data]
    model = ts.HMM(None, ROWS, channels).fit(x, tol=1e-9, max_iter=50_000)
    expected, found = alone.standard_errors(data), model.standard_errors(x)
    for state in "ab":
        assert_allclose(found[f"{state}.read.probability"], expected[state], rtol=1e-4, atol=0.0)
    assert_allclose(found["a->b"], expected["a->b"], rtol=1e-4, atol=0.0)


def test_nested_models_compare() -> None:
    """The tie of one channel: as many degrees of freedom as it takes away."""
    data = drawn(two_states(), 6, 60)

    def model(first: Any, second: Any, values: Any = None) -> ts.HMM:
        reads = [ts.Categorical(ts.DNA, **of) for of in (first, second)]
        levels = [ts.Gaussian([0.0, 1.0], 1.0), ts.Gaussian([1.0, 0.0], 0.5)]
        channels = [
            ts.Channels(read=read, level=level, count=ts.Poisson(3.0))
            for read, level in zip(reads, levels, strict=True)
        ]
        return ts.HMM(None, ROWS, dict(zip("ab", channels, strict=True)), values=values)

    free = model({"values": TABLES["a"]}, {"values": TABLES["b"]})
    tied = model({"name": "w"}, {"name": "w"}, {"w": [0.25] * 4})
    result = ts.compare(tied, free, data)
    assert result.df == 3 and result.p_value is not None and result.p_value < 1e-3 and not result.notes
    assert_array_equal(result.null.parameters["w"].shape, (4,))
    with pytest.raises(ModelError, match="The alternative ties by 'w' what the null leaves apart"):
        ts.compare(free, tied, data)
    other = ts.HMM(None, ROWS, dict.fromkeys("ab", ts.Channels(read=ts.Categorical(ts.DNA, values=[0.25] * 4))))
    with pytest.raises(ModelError, match="The models differ in their states, their letters or what their states emit"):
        ts.compare(other, free, data)


def test_a_letter_that_never_occurs_makes_a_p_value_doubtful() -> None:
    data = [{"read": ts.HMM("xyz", ROWS, {"a": [0.8, 0.2, 0], "b": [0.2, 0.8, 0]}).sample(200, 0)[0]}]
    free = {
        s: ts.Channels(read=ts.Categorical("xyz", values=t))
        for s, t in (("a", [0.7, 0.2, 0.1]), ("b", [0.2, 0.7, 0.1]))
    }
    tied = dict.fromkeys("ab", ts.Channels(read=ts.Categorical("xyz", name="w")))
    result = ts.compare(ts.HMM(None, ROWS, tied, values={"w": [0.4, 0.4, 0.2]}), ts.HMM(None, ROWS, free), data)
    assert any("'w'" in note and "'a.read.probability'" in note and "boundary" in note for note in result.notes)


# ---- files and copies ------------------------------------------------------------------------------------------------


def test_files_keep_every_bit(tmp_path: Path) -> None:
    data = drawn(two_states(), 3, 40)
    row = {"a": "stay", "b": "leave"}
    read = ts.Categorical(ts.DNA, name="w")
    emissions = {
        "a": ts.Channels(read=read, level=ts.Gaussian([0.0, 1.0], "v", kind="diagonal"), count=ts.Poisson(2.0)),
        "b": ts.Channels(
            read=read, level=ts.Gaussian([1.0, 0.0], "v", kind="diagonal"), count=ts.Poisson(ts.fixed(5.0))
        ),
    }
    model = ts.HMM(None, {"a": row, "b": {"b": "stay", "a": "leave"}}, emissions, values={"w": [0.25] * 4, "v": 1.0})
    model.fit(data, max_iter=5, tol=0.0)
    model.save(tmp_path / "m.json")
    loaded = ts.load(tmp_path / "m.json")
    for other in (loaded, pickle.loads(pickle.dumps(model)), copy.deepcopy(model), model.copy()):
        assert other.score(data) == model.score(data)
        assert str(other) == str(model)
        for label, value in model.parameters.items():
            assert_array_equal(other.parameters[label], value)
        assert_array_equal(other.fit(data, max_iter=3, tol=0.0, warm_start=True).history_[0], model.score(data))
        assert other.sample(5, random_state=0)[0]["read"] == other.sample(5, random_state=0)[0]["read"]
    assert "b.count.rate" in loaded.held
    loaded.save(tmp_path / "again.json")
    assert (
        json.loads((tmp_path / "again.json").read_text())["families"]["states"]
        == json.loads((tmp_path / "m.json").read_text())["families"]["states"]
    )
    with pytest.raises(ModelError, match="are not those of the emission family Channels"):
        ts.Family.from_dict({"family": "Channels"})


def test_scikit_learn_clones() -> None:
    base = pytest.importorskip("sklearn.base")
    model = two_states()
    data = drawn(model, 3, 30)
    assert base.clone(model).fit(data, max_iter=3, tol=0.0).history_ == model.fit(data, max_iter=3, tol=0.0).history_


def test_a_family_shows_its_channels() -> None:
    family = ts.Channels(level=ts.Gaussian([0.0], "v"), read=ts.Categorical("xy", name="w"))
    read = "Categorical(alphabet=Alphabet('xy'), name='w')"
    assert repr(family) == f"Channels(level=Gaussian(mean=[0.0], covariance='v', dims=1), read={read})"
    assert family.names == ("level.mean", "level.covariance", "read.probability")
    assert list(family.channels) == ["level", "read"]
    shared = ts.HMM(
        None,
        ROWS,
        {"a": "e", "b": "e"},
        values={
            "e": ts.Channels(n=ts.Poisson(2.0)),
        },
    )
    assert "e.n.rate" in shared.parameters and shared.n_free_parameters == 3 + 1
    names = ts.Channels(**{"self": ts.Poisson(), "log ratio": ts.Gaussian(), "family": ts.Poisson()})
    assert ts.Family.from_dict(json.loads(json.dumps(names.to_dict()))).names == names.names


class Exponential(ts.Family):
    """The least that a family needs."""

    names = ("rate",)

    def __init__(self, rate: Any = None) -> None:
        super().__init__({"rate": rate})

    def log_likelihoods(self, X: Floats, values: Sequence[Mapping[str, Floats]]) -> Floats:
        rate = np.concatenate([of_state["rate"] for of_state in values])
        return np.asarray(np.log(rate) - X * rate)

    def statistics(self, X: Floats, posterior: Floats, values: Sequence[Mapping[str, Floats]]) -> Floats:
        return np.column_stack([posterior.sum(axis=0), posterior.T @ X])

    def update(self, name: str, uses: Sequence[Use], value: Floats, prior: Any = None) -> Floats:
        visits, time = np.sum([use.statistics for use in uses], axis=0)
        return np.array([visits / time]) if time > 0.0 else value


def test_a_family_of_the_users_is_a_channel_as_well() -> None:
    rng = np.random.default_rng(11)
    x = {"wait": rng.exponential(0.5, 300), "read": rng.choice(2, 300)}
    channels = ts.Channels(wait=Exponential("pace"), read=ts.Categorical("xy", values=[0.5, 0.5]))
    model = ts.HMM(None, {"s": {"s": 1.0}}, {"s": channels}, values={"pace": 1.0}).fit(x, tol=1e-10)
    rate = 1.0 / x["wait"].mean()
    assert_allclose(model.parameters["pace"], rate, rtol=1e-10, atol=0.0)
    assert_allclose(model.standard_errors(x)["pace"], rate / math.sqrt(300.0), rtol=1e-4, atol=0.0)


def test_directions_in_which_values_may_move() -> None:
    family = Exponential()
    assert_array_equal(family.moves("rate", np.ones(2)), np.eye(2))
    assert_array_equal(family.moves("rate", np.ones((2, 3))), np.eye(6).reshape(6, 2, 3))
    assert_array_equal(family.moves("rate", np.ones(())), [1.0])
    assert_array_equal(
        ts.Gaussian(dims=2).moves("covariance", np.eye(2)), [[[1, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1]]]
    )
    moves = np.array(Letters(ts.DNA).moves("probability", np.array([0.5, 0.0, 0.3, 0.2])))
    assert moves.shape == (2, 4) and not moves[:, 1].any()
    assert_allclose(moves.sum(axis=1), 0.0, rtol=0.0, atol=1e-15)
    assert_allclose(moves @ moves.T, np.eye(2), rtol=0.0, atol=1e-15)
    assert Letters("xy").moves("probability", np.array([1.0, 0.0])) == []


@pytest.mark.small
def test_a_given_zero_is_no_parameter_in_a_channel_either() -> None:
    rows = {"a": {"a": 0.5, "b": 0.5}, "b": {"a": 0.5, "b": 0.5}}
    tables = {"a": [0.5, 0.5, 0.0, 0.0], "b": [0.1, 0.2, 0.3, 0.4]}
    alone = ts.HMM(ts.DNA, rows, tables)
    channels = {state: ts.Channels(x=ts.Categorical(ts.DNA, values=table)) for state, table in tables.items()}
    among = ts.HMM(None, rows, channels)
    assert among.n_free_parameters == alone.n_free_parameters
