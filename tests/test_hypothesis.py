"""Tests of ties: which models nest, what the likelihood ratio says, and standard errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hmm_cases import Floats, total_log_likelihood
from numpy.testing import assert_allclose

import tiedseq as ts
from tiedseq.errors import ArgumentError, ModelError

ROWS = {"a": {"a": 0.9, "b": 0.1}, "b": {"a": 0.1, "b": 0.9}}
TIED = {"a": {"a": "stay", "b": "leave"}, "b": {"a": "leave", "b": "stay"}}
LETTERS = {"a": [0.8, 0.2], "b": [0.3, 0.7]}
HELD = {state: ts.fixed(table) for state, table in LETTERS.items()}
FIRST = {"a": ts.fixed(0.5), "b": ts.fixed(0.5)}


def free() -> ts.HMM:
    return ts.HMM("xy", ROWS, HELD, FIRST)


def tied() -> ts.HMM:
    return ts.HMM("xy", TIED, HELD, FIRST, {"stay": 0.9})


def simulated(rng: np.random.Generator, n: int = 10, length: int = 60, source: ts.HMM | None = None) -> list[str]:
    return [(source or free()).sample(length, random_state=rng)[0] for _ in range(n)]


def test_the_numbers_of_a_comparison() -> None:
    from scipy import stats

    data = simulated(np.random.default_rng(0))
    found = ts.compare(tied(), free(), data)
    logs = [model.fit(data, tol=1e-8, max_iter=10_000).score(data) for model in (tied(), free())]
    assert_allclose(found.log_likelihood, logs, rtol=0.0, atol=2e-3)
    assert found.df == 1 and found.n == 600
    assert_allclose(found.statistic, 2 * (found.log_likelihood[1] - found.log_likelihood[0]), rtol=1e-12, atol=0.0)
    assert found.p_value is not None
    assert_allclose(found.p_value, stats.chi2.sf(found.statistic, 1), rtol=1e-9, atol=0.0)
    assert_allclose(
        found.aic, [2 * k - 2 * log for k, log in zip((1, 2), found.log_likelihood, strict=True)], rtol=1e-12, atol=0.0
    )
    assert_allclose(
        found.bic,
        [k * math.log(600) - 2 * log for k, log in zip((1, 2), found.log_likelihood, strict=True)],
        rtol=1e-12,
        atol=0.0,
    )
    assert found.null.transmat_[0, 0] == found.null.transmat_[1, 1]
    text = str(found)
    assert f"p-value {found.p_value:.4g}" in text and "'a->a'" not in text and "stay" in text
    # copies were fitted
    assert tied().parameters["stay"] == 0.9


def test_a_tie_that_does_not_hold_is_seen() -> None:
    rows = {"a": {"a": 0.98, "b": 0.02}, "b": {"a": 0.4, "b": 0.6}}
    data = simulated(np.random.default_rng(1), source=ts.HMM("xy", rows, {"a": [0.9, 0.1], "b": [0.05, 0.95]}))
    model = ts.HMM("xy", ROWS, {"a": ts.fixed([0.9, 0.1]), "b": ts.fixed([0.05, 0.95])}, FIRST)
    null = ts.HMM("xy", TIED, {"a": ts.fixed([0.9, 0.1]), "b": ts.fixed([0.05, 0.95])}, FIRST, {"stay": 0.9})
    found = ts.compare(null, model, data)
    assert found.p_value is not None and found.p_value < 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_the_alternative_is_never_worse(seed: int) -> None:
    """Even if its own starting values lead it to a poor maximum: here states that look alike, a stationary point."""
    data = simulated(np.random.default_rng(seed), n=4, length=40)
    null = ts.HMM("xy", TIED, LETTERS, values={"stay": 0.9})
    poor = ts.HMM("xy", {"a": {"a": 0.5, "b": 0.5}, "b": {"a": 0.5, "b": 0.5}}, {"a": [0.5, 0.5], "b": [0.5, 0.5]})
    found = ts.compare(null, poor, data)
    assert found.log_likelihood[1] >= found.log_likelihood[0] - 1e-9
    assert found.statistic >= 0.0
    again = ts.compare(null, poor, "".join(data), [40] * 4)
    assert_allclose(again.log_likelihood, found.log_likelihood, rtol=1e-9, atol=0.0)


def test_numbers_nest_by_their_labels() -> None:
    rng = np.random.default_rng(2)
    data = [np.where(rng.random(40) < 0.5, 0.0, 4.0) + rng.normal(size=40) for _ in range(4)]
    shared = ts.HMM(None, ROWS, {"a": ts.Gaussian([0.0], "v"), "b": ts.Gaussian([3.0], "v")}, values={"v": 1.0})
    own = ts.HMM(None, ROWS, {"a": ts.Gaussian([0.0], 1.0), "b": ts.Gaussian([3.0], 1.0)})
    held = ts.HMM(None, ROWS, {"a": ts.Gaussian(ts.fixed([0.0]), "v"), "b": ts.Gaussian([3.0], "v")}, values={"v": 1.0})
    assert ts.compare(shared, own, data).df == 1
    assert ts.compare(held, shared, data).df == 1
    assert ts.compare(held, own, data).df == 2
    with pytest.raises(ModelError, match="ties by 'v' what the null leaves apart"):
        ts.compare(own, shared, data)
    with pytest.raises(ModelError, match=r"holds 'a\.mean'"):
        ts.compare(shared, held, data)


def variants() -> dict[str, tuple[Callable[[], Any], Callable[[], Any], str]]:
    three = {a: dict.fromkeys("abc", 1 / 3) for a in "abc"}
    return {
        "swapped": (free, tied, "ties by 'stay' what the null leaves apart .*Swap the two"),
        "the same": (free, free, "the same free parameters"),
        "states": (free, lambda: ts.HMM("xy", three, {s: [0.5, 0.5] for s in "abc"}), "differ in their states"),
        "letters": (free, lambda: ts.HMM("xz", ROWS, HELD, FIRST), "their letters"),
        "order": (free, lambda: ts.HMM("xy", ROWS, dict.fromkeys("ab", "e"), FIRST, order=1), "what their states emit"),
        "zeros": (free, lambda: ts.HMM("xy", {**ROWS, "a": {"a": 1.0}}, HELD, FIRST), "what is impossible"),
        "held elsewhere": (
            lambda: ts.HMM("xy", TIED, {"a": ts.fixed([0.6, 0.4]), "b": HELD["b"]}, FIRST, {"stay": 0.9}),
            free,
            "does not hold at the same value",
        ),
        "not held": (lambda: ts.HMM("xy", TIED, LETTERS, FIRST, {"stay": 0.9}), free, "does not hold"),
    }


@pytest.mark.parametrize("name", variants())
def test_models_that_do_not_nest(name: str) -> None:
    null, alternative, message = variants()[name]
    with pytest.raises(ModelError, match=message):
        ts.compare(null(), alternative(), ["xyxyxx", "yyxy"])


def test_what_compare_refuses() -> None:
    data = ["xyxyxx", "yyxy"]
    with pytest.raises(ModelError, match="The null is a str and the alternative a HMM"):
        ts.compare("null", free(), data)
    with pytest.raises(ArgumentError, match="must be a model that can be fitted"):
        ts.compare("null", "alternative", data)
    with pytest.raises(ArgumentError, match="null has priors="):
        ts.compare(tied().set_params(priors={"stay": 1.0}), free(), data)
    with pytest.raises(ArgumentError, match="null has priors="):
        ts.compare(tied(), free(), data, priors={"a": 1.0})
    with pytest.raises(ArgumentError, match="a file for one fit"):
        ts.compare(tied(), free(), data, checkpoint="state.json")
    with pytest.raises(ArgumentError, match="a file for one fit"):
        ts.compare(tied(), free().set_params(checkpoint="state.json"), data)
    with pytest.raises(ArgumentError, match="no option 'weights'"):
        ts.compare(tied(), free(), data, weights=[1.0, 2.0])


@pytest.mark.parametrize("models", ["pairs", "letters"])
def test_equal_models_are_refused_before_they_are_fitted(models: str) -> None:
    seen: list[Any] = []
    model, data = (ts.PairHMM.affine(), [("ACGT", "ACT")]) if models == "pairs" else (free(), ["xyxyxx"])
    with pytest.raises(ModelError, match="same free parameters"):
        ts.compare(model, model.copy(), data, callback=seen.append)
    assert not seen


def test_models_whose_values_come_from_data_have_their_size_after_the_fit() -> None:
    """Before it none of the numbers has a value, and both models seem to have as many: those of their rows."""
    means = [[0.0], [6.0]]
    null, alternative = (
        ts.HMM(
            None,
            ROWS,
            {"a": ts.Gaussian("low", "spread"), "b": ts.Gaussian("high", other)},
            random_state=0,
        )
        for other in ("spread", "other")
    )
    rng = np.random.default_rng(4)
    data = np.concatenate([rng.normal(means[k % 2], 1.0 + 2.0 * (k % 2), (30, 1)) for k in range(8)])
    assert null.parameters["spread"] is None
    found = ts.compare(null, alternative, data, errors=False)
    assert found.df == 1 and found.p_value is not None and found.p_value < 1e-6
    with pytest.raises(ModelError, match="same free parameters"):
        ts.compare(null, null, data, errors=False, max_iter=2)


@pytest.mark.parametrize("executor", [2, np.int64(2)])
def test_standard_errors_are_shared_among_the_same_threads(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def standard_errors(model: ts.HMM, data: Any, **options: Any) -> dict[str, Any]:
        told.append(options)
        return {}

    monkeypatch.setattr(ts.HMM, "standard_errors", standard_errors)
    ts.compare(tied(), free(), simulated(np.random.default_rng(0)), executor=executor)
    assert told == [{"executor": 2}] * 2


def test_no_p_value_without_convergence_and_a_note_at_the_boundary() -> None:
    data = simulated(np.random.default_rng(3))
    found = ts.compare(tied(), free(), data, max_iter=2)
    assert found.p_value is None and "no p-value" in found.notes[-1]
    assert "p-value none" in str(found)
    assert ts.compare(tied(), free(), data, tol=0.5).p_value is None
    rows = {"a": {"a": 0.5, "b": 0.5}, "b": {"a": 0.5, "b": 0.5}}
    sure = {"a": ts.fixed([1.0, 0.0]), "b": ts.fixed([0.1, 0.9])}
    never = ts.compare(
        ts.HMM("xy", {"a": {"a": "p", "b": "q"}, "b": {"a": "p", "b": "q"}}, sure, FIRST),
        ts.HMM("xy", rows, sure, FIRST),
        ["yyyyyyyyyyyy", "yyyyyyyyy"],
    )
    assert any("'p'" in note and "boundary" in note for note in never.notes)
    assert not any("boundary" in note for note in ts.compare(tied(), free(), data).notes)


@pytest.mark.slow
def test_p_values_are_uniform_where_the_ties_hold() -> None:
    from scipy import stats

    p_values = []
    for seed in range(100):
        found = ts.compare(tied(), free(), simulated(np.random.default_rng(seed), n=10, length=80))
        assert found.p_value is not None
        p_values.append(found.p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    assert 0 <= np.sum(np.array(p_values) < 0.05) <= 13  # 5 expected; 13 and more has a probability of 0.0015


# ---- standard errors -------------------------------------------------------------------------------------------------


def errors_by_hessian(
    objective: Callable[[Floats], float], values: Floats, shown: Callable[[Floats], Floats], step: float = 1e-4
) -> Floats:
    """Of functions of free coordinates: the inverse of the numerical Hessian, and the delta method."""
    n = len(values)
    hessian, jacobian = np.zeros((n, n)), np.zeros((len(shown(values)), n))
    unit = step * np.eye(n)
    for i in range(n):
        jacobian[:, i] = (shown(values + unit[i]) - shown(values - unit[i])) / (2 * step)
        for j in range(n):
            around = [objective(values + a * unit[i] + b * unit[j]) * a * b for a in (1, -1) for b in (1, -1)]
            hessian[i, j] = sum(around) / (4 * step * step)
    covariance = jacobian @ np.linalg.inv(-hessian) @ jacobian.T
    return np.asarray(np.sqrt(np.diag(covariance)))


def test_standard_errors_of_tied_probabilities() -> None:
    """A tied row, a letter table with a tie within, a held start."""
    data = simulated(np.random.default_rng(5), n=30, length=40)
    model = ts.HMM("xy", TIED, {"a": [0.8, 0.2], "b": HELD["b"]}, FIRST, {"stay": 0.9})
    model.fit(data, tol=1e-9, max_iter=50_000)
    x = np.array([["xy".index(letter) for letter in sequence] for sequence in data])

    def objective(v: Floats) -> float:
        tables = np.array([[v[1], 1 - v[1]], LETTERS["b"]])
        return total_log_likelihood([0.5, 0.5], [[v[0], 1 - v[0]], [1 - v[0], v[0]]], tables.T[x])

    at = np.array([model.parameters["stay"], model.parameters["a"][0]])
    expected = errors_by_hessian(objective, at, lambda v: np.array([v[0], 1 - v[0], v[1], 1 - v[1]]))
    found = model.standard_errors(data)
    assert_allclose([found["stay"], found["leave"], *found["a"].tolist()], expected, rtol=1e-3, atol=0.0)
    assert found["start->a"] is None and found["b"].mask.all()


def test_standard_errors_where_part_of_a_row_is_tied() -> None:
    rows: dict[str, dict[str, Any]] = {
        "a": {"a": "s", "b": 0.3, "c": 0.2},
        "b": {"a": "s", "b": 0.2, "c": 0.3},
        "c": {"c": 0.6, "a": 0.2, "b": 0.2},
    }
    tables = {"a": [0.8, 0.1, 0.1], "b": [0.1, 0.8, 0.1], "c": [0.1, 0.1, 0.8]}
    held = {state: ts.fixed(table) for state, table in tables.items()}
    start = {state: ts.fixed(1 / 3) for state in "abc"}
    model = ts.HMM("xyz", rows, held, start)
    data = simulated(np.random.default_rng(6), n=30, length=30, source=model)
    model.fit(data, tol=1e-9, max_iter=50_000)
    x = np.array([["xyz".index(letter) for letter in sequence] for sequence in data])

    def objective(v: Floats) -> float:
        matrix = [[v[0], v[1], 1 - v[0] - v[1]], [v[0], v[2], 1 - v[0] - v[2]], [v[3], v[4], 1 - v[3] - v[4]]]
        return total_log_likelihood([1 / 3] * 3, matrix, np.array(list(tables.values())).T[x])

    t = model.transmat_
    at = np.array([t[0, 0], t[0, 1], t[1, 1], t[2, 0], t[2, 1]])
    expected = errors_by_hessian(objective, at, lambda v: np.array([v[0], v[1], 1 - v[0] - v[1], v[2], v[4]]))
    found = model.standard_errors(data)
    assert_allclose(
        [found["s"], found["a->b"], found["a->c"], found["b->b"], found["c->b"]], expected, rtol=1e-3, atol=0.0
    )


@pytest.mark.parametrize("kind", ["gaussian", "shared", "poisson"])
def test_standard_errors_of_numbers(kind: str) -> None:
    rng = np.random.default_rng(7)
    states = np.array([free().sample(30, random_state=k)[1] for k in range(10)])
    if kind == "poisson":
        data = rng.poisson(np.where(states == 0, 2.0, 8.0)).astype(float)
        model = ts.HMM(None, ROWS, {"a": ts.Poisson("low"), "b": ts.Poisson(8.0)}, FIRST, {"low": 2.0})
    else:
        data = np.where(states == 0, 0.0, 3.0) + rng.normal(size=states.shape)
        second: Any = "v" if kind == "shared" else 1.0
        values = {"v": 1.0} if kind == "shared" else None
        first: Any = "v" if kind == "shared" else 1.0
        model = ts.HMM(None, ROWS, {"a": ts.Gaussian([0.0], first), "b": ts.Gaussian([3.0], second)}, FIRST, values)
    model.fit(list(data), tol=1e-9, max_iter=50_000)
    found = model.standard_errors(list(data))
    t = model.transmat_

    def objective(v: Floats) -> float:
        if kind == "poisson":
            likelihoods = np.exp(data[..., None] * np.log(v[2:4]) - v[2:4])
        else:
            variances = v[[4, 4]] if kind == "shared" else v[4:6]
            likelihoods = np.exp(-0.5 * (data[..., None] - v[2:4]) ** 2 / variances) / np.sqrt(variances)
        return total_log_likelihood([0.5, 0.5], [[v[0], 1 - v[0]], [1 - v[1], v[1]]], likelihoods)

    if kind == "poisson":
        at, labels = [t[0, 0], t[1, 1], *model.rates_[:, 0]], ["low", "b.rate"]
    else:
        at = [t[0, 0], t[1, 1], *model.means_[:, 0], *model.covars_[:, 0, 0][: 1 if kind == "shared" else 2]]
        labels = ["a.mean", "b.mean", *(["v"] if kind == "shared" else ["a.covariance", "b.covariance"])]
    expected = errors_by_hessian(objective, np.array(at), lambda v: v)
    numbers = [found["a->a"], found["b->b"], *(float(np.ravel(found[label])[0]) for label in labels)]
    assert_allclose(numbers, expected, rtol=2e-3, atol=0.0)


def test_no_error_at_the_boundary() -> None:
    rows: dict[str, dict[str, Any]] = {
        "a": {"a": 0.6, "b": 0.4, "c": 0.0},
        "b": {"a": 0.5, "b": 0.4, "c": 0.1},
        "c": {"c": ts.fixed(0.5), "a": ts.fixed(0.5)},
    }
    held = {"a": ts.fixed([0.9, 0.1, 0.0]), "b": ts.fixed([0.2, 0.8, 0.0]), "c": ts.fixed([0.0, 0.0, 1.0])}
    start = {"a": ts.fixed(0.5), "b": ts.fixed(0.5)}
    model = ts.HMM("xyz", rows, held, start)
    data = simulated(
        np.random.default_rng(8),
        n=20,
        length=40,
        source=ts.HMM("xyz", ROWS, {"a": [0.9, 0.1, 0.0], "b": [0.2, 0.8, 0.0]}),
    )
    with pytest.warns(ts.ConvergenceWarning, match="No sequence visits the state 'c'"):
        model.fit(data, tol=1e-9, max_iter=50_000)
    found = model.standard_errors(data)
    assert model.parameters["b->c"] == 0.0 and found["b->c"] is None  # reached
    assert found["start->a"] is None and found["c->a"] is None  # held
    assert found["a->b"] > 0.0 and found["b->a"] > 0.0


def test_errors_that_the_data_do_not_determine() -> None:
    data = simulated(np.random.default_rng(9), n=5, length=20)
    model = ts.HMM("xy", ROWS, {"a": [0.5, 0.5], "b": [0.5, 0.5]})
    model.fit(data)
    with pytest.raises(ModelError, match="the data do not determine these parameters: tie or hold some"):
        model.standard_errors(data)


def test_errors_shrink_with_the_root_of_the_data() -> None:
    data = simulated(np.random.default_rng(10), n=20, length=40)
    model = tied().fit(data, tol=1e-9)
    one, four = model.standard_errors(data)["stay"], model.standard_errors(data * 4)["stay"]
    assert_allclose(one, 2 * four, rtol=1e-5, atol=0.0)
