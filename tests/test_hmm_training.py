"""Training of HMMs: maxima under ties, against a general optimiser, hmmlearn, mixtures, and counts by hand."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hmm_cases import Floats, Problem, assert_training_rose, letter_logs, maximum, softmax, total_log_likelihood
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import chain_twin as twin
import tiedseq as ts
from tiedseq.errors import ArgumentError, ConvergenceWarning, ModelError, SequenceError

THREE = {a: {b: 0.8 if a == b else 0.1 for b in "abc"} for a in "abc"}
TWO = {"a": {"a": 0.8, "b": 0.2}, "b": {"a": 0.3, "b": 0.7}}
TABLES = {"a": [0.8, 0.1, 0.1], "b": [0.1, 0.8, 0.1], "c": [0.2, 0.1, 0.7]}


def drawn_letters(
    rows: Any = THREE, tables: Any = TABLES, alphabet: Any = "xyz", n: int = 12, length: int = 15
) -> list[str]:
    model = ts.HMM(alphabet, rows, tables)
    return [model.sample(length, random_state=k)[0] for k in range(n)]


def codes_of(sequences: list[str], letters: str) -> Any:
    return np.array([[letters.index(letter) for letter in sequence] for sequence in sequences])


# ---- the maximum under ties ------------------------------------------------------------------------------------------


def tied_emissions() -> Problem:
    """States a and b emit alike, and differ in what comes after them."""
    rows = {"a": {"a": 0.2, "b": 0.7, "c": 0.1}, "b": {"a": 0.5, "b": 0.2, "c": 0.3}, "c": THREE["c"]}
    data = drawn_letters()
    x = codes_of(data, "xyz")

    def objective(v: Floats) -> float:
        matrix = [softmax(v[0:2]), softmax(v[2:4]), softmax(v[4:6])]
        tables = np.array([softmax(v[6:8]), softmax(v[6:8]), softmax(v[8:10])])
        return total_log_likelihood(softmax(v[10:12]), matrix, tables.T[x])

    return Problem(
        lambda: ts.HMM("xyz", rows, {"a": "e", "b": "e", "c": TABLES["c"]}, values={"e": [0.5, 0.3, 0.2]}),
        data,
        objective,
        12,
    )


FIXED_START = {"a": ts.fixed(0.4), "b": ts.fixed(0.3), "c": ts.fixed(0.3)}
HELD = {state: ts.fixed(table) for state, table in TABLES.items()}


def rows_problem(rows: Any, of: Callable[[Floats], Any], size: int, values: Any = None, **options: Any) -> Problem:
    """Transitions alone are to be found."""
    data = drawn_letters()
    likelihoods = np.array(list(TABLES.values())).T[codes_of(data, "xyz")]
    start = options.pop("start", FIXED_START)
    return Problem(
        lambda: ts.HMM("xyz", rows, HELD, start, values),
        data,
        lambda v: total_log_likelihood([0.4, 0.3, 0.3] if start is FIXED_START else of(v)[0], of(v), likelihoods),
        size,
    )


def tied_rows() -> Problem:
    row = {"a": "p", "b": "q", "c": "r"}
    return rows_problem(
        {"a": row, "b": row, "c": THREE["c"]}, lambda v: [softmax(v[:2]), softmax(v[:2]), softmax(v[2:])], 4
    )


def part_of_a_row() -> Problem:
    """The trap of two rows in which only the first entry is shared."""
    rows = {"a": {"a": "s", "b": 0.3, "c": 0.2}, "b": {"a": "s", "b": 0.2, "c": 0.3}, "c": THREE["c"]}

    def of(v: Floats) -> Any:
        s, p, q = (float(softmax(v[k : k + 1])[0]) for k in (0, 1, 2))
        return [[s, (1 - s) * p, (1 - s) * (1 - p)], [s, (1 - s) * q, (1 - s) * (1 - q)], softmax(v[3:])]

    return rows_problem(rows, of, 5)


def one_label_many_times() -> Problem:
    """The trap of a row with labels [0, 0, 1]: pooling and normalising sums to more than one."""
    rows = {
        "a": {"a": "y", "b": "x", "c": "x"},
        "b": {"b": "y", "a": "x", "c": "x"},
        "c": {"a": "u", "b": "u", "c": "u2"},
    }

    def of(v: Floats) -> Any:
        x, u = 0.5 * float(softmax(v[:1])[0]), 0.5 * float(softmax(v[1:])[0])
        return [[1 - 2 * x, x, x], [x, 1 - 2 * x, x], [u, u, 1 - 2 * u]]

    return rows_problem(rows, of, 2)


def forced_by_rows() -> Problem:
    """Rows (a, b), (a, c): what is left over is one value in both; a chain of partial ties over three rows."""
    rows = {"a": {"a": "p", "b": "q"}, "b": {"b": "p", "c": "r"}, "c": {"c": "w", "a": "q", "b": "z"}}

    def of(v: Floats) -> Any:
        p = float(softmax(v[:1])[0])
        w = p * float(softmax(v[1:])[0])
        return [[p, 1 - p, 0], [0, p, 1 - p], [1 - p, p - w, w]]

    return rows_problem(rows, of, 2)


def start_tied_to_a_row() -> Problem:
    row = {"a": "p", "b": "q", "c": "r"}
    rows = {"a": row, "b": THREE["b"], "c": THREE["c"]}
    return rows_problem(rows, lambda v: [softmax(v[:2]), softmax(v[2:4]), softmax(v[4:])], 6, start=row)


def held_values() -> Problem:
    rows = {
        "a": {"a": ts.fixed(0.5), "b": 0.3, "c": 0.2},
        "b": {"a": "h", "b": 0.5, "c": 0.3},
        "c": {"c": "h", "a": 0.8},
    }

    def of(v: Floats) -> Any:
        p, q = float(softmax(v[:1])[0]), float(softmax(v[1:])[0])
        return [[0.5, 0.5 * p, 0.5 * (1 - p)], [0.2, 0.8 * q, 0.8 * (1 - q)], [0.8, 0.0, 0.2]]

    return rows_problem(rows, of, 2, {"h": ts.fixed(0.2)})


def an_end() -> Problem:
    """The probability of ending shared by two states."""
    rows = {"a": {"a": 0.7, "b": 0.2, "end": "stop"}, "b": {"b": 0.6, "a": 0.3, "end": "stop"}}
    tables = {"a": [0.8, 0.2], "b": [0.3, 0.7]}
    data = drawn_letters(TWO, tables, "xy", length=9)
    likelihoods = np.array(list(tables.values())).T[codes_of(data, "xy")]

    def objective(v: Floats) -> float:
        s, p, q, first = (float(softmax(v[k : k + 1])[0]) for k in range(4))
        matrix = [[(1 - s) * p, (1 - s) * (1 - p)], [(1 - s) * q, (1 - s) * (1 - q)]]
        return total_log_likelihood([first, 1 - first], matrix, likelihoods, [s, s])

    held = {state: ts.fixed(table) for state, table in tables.items()}
    return Problem(lambda: ts.HMM("xy", rows, held), data, objective, 4)


def complements() -> Problem:
    tables = {"a": [0.5, 0.1, 0.3, 0.1], "b": [0.1, 0.3, 0.1, 0.5]}
    data = drawn_letters(TWO, tables, ts.DNA, length=20)
    x = codes_of(data, "ACGT")

    def objective(v: Floats) -> float:
        table = softmax(v[:3])
        return total_log_likelihood(
            softmax(v[3:4]), [softmax(v[4:5]), softmax(v[5:])], np.array([table, table[::-1]]).T[x]
        )

    entries = {"a": "w", "b": ts.complement("w")}
    return Problem(lambda: ts.HMM(ts.DNA, TWO, entries, values={"w": [0.4, 0.2, 0.3, 0.1]}), data, objective, 6)


PRIORS = {"a": [3.0, 1.0, 2.0], "p": 4.0, "q": 5.0}


def priors_of_letters_and_rows() -> Problem:
    """A pseudocount counts once a label, however often the label is used."""
    data = drawn_letters(n=5)
    x = codes_of(data, "xyz")
    rows: dict[str, dict[str, Any]] = {
        "a": {"a": "p", "b": "q", "c": "q"},
        "b": {"b": "p", "a": 0.1, "c": 0.1},
        "c": THREE["c"],
    }

    def objective(v: Floats) -> float:
        q = 0.5 * float(softmax(v[:1])[0])
        p, r = 1 - 2 * q, float(softmax(v[1:2])[0])
        table = softmax(v[2:4])
        matrix = [[p, q, q], [2 * q * r, p, 2 * q * (1 - r)], softmax(v[4:6])]
        likelihoods = np.array([table, TABLES["b"], TABLES["c"]]).T[x]
        penalty = np.array([3.0, 1.0, 2.0]) @ np.log(table) + 4 * math.log(p) + 5 * math.log(q)
        return total_log_likelihood([0.4, 0.3, 0.3], matrix, likelihoods) + float(penalty)

    return Problem(
        lambda: ts.HMM(
            "xyz",
            rows,
            {"a": TABLES["a"], "b": HELD["b"], "c": HELD["c"]},
            FIXED_START,
            values={"p": 0.8},
            priors=PRIORS,
        ),
        data,
        objective,
        6,
        PRIORS,
    )


def normal(x: Floats, mean: Any, variance: Any) -> Floats:
    return np.asarray(np.exp(-0.5 * (x - mean) ** 2 / variance) / np.sqrt(2 * np.pi * variance))


def numbers_problem(kind: str) -> Problem:
    """Two or three states of Gaussians that share something."""
    rng = np.random.default_rng(8)
    deviations = [0.5, 2.0] if kind == "mean" else [1.0, 1.0]
    states = np.array([ts.HMM("xy", TWO, {"a": [1.0, 0.0], "b": [0.0, 1.0]}).sample(25, k)[1] for k in range(8)])
    data = np.where(states == 0, 0.0, 0.5 if kind == "mean" else 3.0) + rng.normal(size=states.shape) * np.take(
        deviations, states
    )
    entries: dict[str, dict[str, Any]] = {
        "covariance": {"a": ts.Gaussian([0.5], "v"), "b": ts.Gaussian([2.0], "v")},
        "mean": {"a": ts.Gaussian("m", 0.5), "b": ts.Gaussian("m", 3.0)},
        "both": {"a": "g", "b": "g"},
        "prior": {"a": ts.Gaussian("m", "v"), "b": ts.Gaussian([2.0], "w")},
        "poisson": {"a": ts.Poisson("low"), "b": ts.Poisson(5.0)},
    }
    starts: dict[str, dict[str, Any]] = {
        "covariance": {"v": 1.5},
        "mean": {"m": [0.3]},
        "both": {"g": ts.Gaussian([1.0], 2.0)},
        "prior": {"m": [0.3], "v": 1.0, "w": 1.0},
        "poisson": {"low": 1.0},
    }
    values = starts[kind]
    priors: dict[str, Any] = {}
    if kind == "prior":
        priors = {"m": ([1.0], 5.0), "v": (2.0, 10.0)}
    if kind == "poisson":
        data = rng.poisson(np.where(states == 0, 1.0, 6.0)).astype(float)
        priors = {"low": (3.0, 2.0)}

    def objective(v: Floats) -> float:
        first, rows = softmax(v[:1]), [softmax(v[1:2]), softmax(v[2:3])]
        penalty = 0.0
        if kind == "poisson":
            rates = np.exp(v[3:5])
            penalty = 3.0 * v[3] - 2.0 * rates[0]
            logs = data[..., None] * np.log(rates) - rates
            total = total_log_likelihood(first, rows, np.exp(logs))
            factorials = sum(math.lgamma(count + 1.0) for count in data.ravel().tolist())
            return total - factorials + float(penalty)
        places = {"covariance": (3, 4, 5, 5), "mean": (3, 3, 4, 5), "both": (3, 3, 4, 4), "prior": (3, 4, 5, 6)}[kind]
        means, variances = v[[places[0], places[1]]], np.exp(v[[places[2], places[3]]])
        if kind == "prior":
            penalty = -0.5 * 5.0 * (means[0] - 1.0) ** 2 - 5.0 * (math.log(variances[0]) + 2.0 / variances[0])
        return total_log_likelihood(first, rows, normal(data[..., None], means, variances)) + float(penalty)

    size = {"covariance": 6, "mean": 6, "both": 5, "prior": 7, "poisson": 5}[kind]
    return Problem(
        lambda: ts.HMM(None, TWO, entries[kind], values=values, priors=priors), list(data), objective, size, priors
    )


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "emissions": tied_emissions,
    "rows": tied_rows,
    "part of a row": part_of_a_row,
    "one label many times": one_label_many_times,
    "forced by rows": forced_by_rows,
    "start": start_tied_to_a_row,
    "held": held_values,
    "end": an_end,
    "complement": complements,
    "priors": priors_of_letters_and_rows,
    **{
        f"numbers: {kind}": partial(numbers_problem, kind)
        for kind in ("covariance", "mean", "both", "prior", "poisson")
    },
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_maximum_is_that_of_a_general_optimiser(name: str) -> None:
    """The best of some starts of either; states may be swapped, where that is another maximum of the same height."""
    problem = PROBLEMS[name]()
    expected, _ = maximum(problem)
    model = problem.model().fit(problem.data, tol=1e-8, max_iter=20_000)
    assert model.converged_
    assert (np.diff(model.history_) >= -1e-9 * abs(model.history_[-1])).all()
    if not problem.priors:
        assert_allclose(model.score(problem.data), model.history_[-1], rtol=1e-12, atol=1e-6)
    assert_allclose(model.history_[-1], expected, rtol=0.0, atol=1e-3)


def test_the_smaller_model_is_the_same_where_a_label_is_both_states() -> None:
    """States that emit alike are a single state: the likelihood is that of independent observations."""
    problem = numbers_problem("both")
    data = np.concatenate(problem.data)
    model = problem.model().fit(problem.data, tol=1e-9)
    logs = np.log(normal(data, data.mean(), data.var()))
    assert_allclose(model.score(problem.data), logs.sum(), rtol=1e-10, atol=0.0)
    assert_allclose(model.means_[:, 0], data.mean(), rtol=1e-8, atol=0.0)
    assert_array_equal(model.covars_[0], model.covars_[1])


@pytest.mark.parametrize("kind", ["letters", "gaussian", "poisson"])
def test_equal_rows_make_a_mixture(kind: str) -> None:
    """EM for a mixture of independent observations, iteration by iteration."""
    rng = np.random.default_rng(2)
    row = {"a": "p", "b": "q"}
    data: Any
    if kind == "letters":
        data = "".join(rng.choice(list("xyz"), 200, p=[0.5, 0.3, 0.2]))
        entries: dict[str, Any] = {"a": [0.6, 0.3, 0.1], "b": [0.2, 0.3, 0.5]}
        model = ts.HMM("xyz", {"a": row, "b": row}, entries, row, {"p": 0.7})
        x = codes_of([data], "xyz")[0]
    elif kind == "gaussian":
        data = x = np.concatenate([rng.normal(0, 1, 80), rng.normal(3, 0.5, 60)])
        entries = {"a": ts.Gaussian([-1.0], 2.0), "b": ts.Gaussian([2.0], 1.0)}
        model = ts.HMM(None, {"a": row, "b": row}, entries, row, {"p": 0.7})
    else:
        data = x = np.concatenate([rng.poisson(2, 80), rng.poisson(9, 60)]).astype(float)
        model = ts.HMM(None, {"a": row, "b": row}, {"a": ts.Poisson(1.0), "b": ts.Poisson(5.0)}, row, {"p": 0.7})
    model.fit(data, max_iter=12, tol=0.0)
    share = np.array([0.7, 0.3])
    tables, means, variances = np.array([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]]), np.array([-1.0, 2.0]), np.array([2.0, 1.0])
    rates, history = np.array([1.0, 5.0]), []
    factorials = np.array([math.lgamma(count + 1.0) for count in x])
    for _ in range(12):
        if kind == "letters":
            density = tables.T[x]
        elif kind == "gaussian":
            density = normal(x[:, None], means, variances)
        else:
            density = np.exp(x[:, None] * np.log(rates) - rates - factorials[:, None])
        joint = share * density
        history.append(float(np.log(joint.sum(axis=1)).sum()))
        posterior = joint / joint.sum(axis=1, keepdims=True)
        share = posterior.mean(axis=0)
        visits = posterior.sum(axis=0)
        if kind == "letters":
            tables = (
                np.array([[posterior[x == letter, s].sum() for letter in range(3)] for s in range(2)]) / visits[:, None]
            )
            continue
        rates = means = (posterior * x[:, None]).sum(axis=0) / visits
        variances = (posterior * (x[:, None] - means) ** 2).sum(axis=0) / visits
    assert_allclose(model.history_, history, rtol=1e-10, atol=0.0)
    assert_allclose([model.parameters["p"], model.parameters["q"]], share, rtol=1e-9, atol=0.0)
    if kind == "letters":
        assert_allclose(model.emissionprob_, tables, rtol=1e-9, atol=0.0)
    elif kind == "gaussian":
        assert_allclose(model.means_[:, 0], means, rtol=1e-9, atol=0.0)
        assert_allclose(model.covars_[:, 0, 0], variances, rtol=1e-9, atol=0.0)
    else:
        assert_allclose(model.rates_[:, 0], rates, rtol=1e-9, atol=0.0)


# ---- the likelihood never falls --------------------------------------------------------------------------------------


def random_entries(
    rng: np.random.Generator, names: list[str], kind: str, order: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Emissions with shared labels, and priors of some."""
    entries: dict[str, Any] = {}
    for name in names:
        shared = f"shared{rng.integers(2)}"
        if kind == "letters":
            entries[name] = shared if rng.random() < 0.5 else rng.dirichlet(np.ones(4), size=(4,) * order)
            if order == 0 and rng.random() < 0.3:
                entries[name] = ts.complement("mirror") if rng.random() < 0.5 else "mirror"
        elif kind == "gaussian":
            mean = f"m{rng.integers(2)}" if rng.random() < 0.5 else rng.normal(0, 2, 2)
            covariance = f"v{rng.integers(2)}" if rng.random() < 0.5 else float(rng.uniform(0.5, 3.0))
            entries[name] = ts.Gaussian(mean, covariance, dims=2, kind=str(SHAPES[rng.integers(3)]))
        else:
            entries[name] = ts.Poisson(f"r{rng.integers(2)}" if rng.random() < 0.5 else float(rng.uniform(0.5, 8.0)))
    if kind == "gaussian":
        choices: dict[str, Any] = {"m0": ([0.0, 1.0], 2.0), "m1": ([0.0, 0.0], [1.0, 0.0]), "v0": (1.0, 3.0)}
    else:
        choices = {"shared0": 1.5, "mirror": [1.0, 0.0, 2.0, 0.5]} if kind == "letters" else {"r0": (2.0, 1.0)}
    if kind == "letters" and order:
        choices.pop("mirror")
    return entries, {label: prior for label, prior in choices.items() if rng.random() < 0.5}


SHAPES = ("spherical", "diagonal", "full")


def random_hmm(rng: np.random.Generator) -> tuple[ts.HMM, str]:
    """Labels thrown into rows, of which many together are infeasible: ModelError."""
    kind, order = str(rng.choice(["letters", "gaussian", "poisson"])), int(rng.integers(2))
    order = order if kind == "letters" else 0
    names = [f"q{k}" for k in range(rng.integers(2, 5))]
    ends, silent = rng.random() < 0.3, rng.random() < 0.3
    columns = names + ["end"] * ends
    pool = [f"t{k}" for k in range(2 * len(names))]
    rows: dict[str, dict[str, Any]] = {}
    for a in names:
        kept = [b for b in columns if b == a or rng.random() < 0.8]
        numbers = rng.dirichlet(np.ones(len(kept)))
        tied = rng.random() < 0.7
        rows[a] = {b: str(rng.choice(pool)) if tied else float(p) for b, p in zip(kept, numbers, strict=True)}
    entries, priors = random_entries(rng, names, kind, order)
    if silent:
        rows["silent"] = dict.fromkeys(names, 1.0 / len(names))
        rows[names[0]] = {names[0]: 0.5, "silent": 0.5}
        entries["silent"] = None
    start = dict(rows[names[-1]]) if rng.random() < 0.3 and "end" not in rows[names[-1]] else None
    if start is not None and not all(isinstance(entry, str) for entry in start.values()):
        start = None
    used = {entry for row in rows.values() for entry in row.values() if isinstance(entry, str)}
    priors |= {label: 2.0 for label in sorted(used) if rng.random() < 0.2}
    given_labels = {entry for entry in entries.values() if isinstance(entry, str)}
    given_labels |= {entry.label for entry in entries.values() if isinstance(entry, ts.complement)}
    given_labels |= {
        x
        for e in entries.values()
        if isinstance(e, ts.Gaussian | ts.Poisson)
        for x in e.entries.values()
        if isinstance(x, str)
    }
    priors = {label: prior for label, prior in priors.items() if label in used | given_labels}
    alphabet = ts.DNA if kind == "letters" else None
    model = ts.HMM(alphabet, rows, entries, start, order=order, priors=priors, random_state=int(rng.integers(1000)))
    return model, kind


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_the_likelihood_never_falls(seed: int) -> None:
    rng = np.random.default_rng(seed)
    try:
        model, kind = random_hmm(rng)
    except ModelError:
        assume(False)
    lengths = rng.integers(1, 30, rng.integers(1, 8))
    data: list[Any]
    if kind == "letters":
        data = ["".join(rng.choice(list("ACGTNR"), n, p=[0.3, 0.2, 0.2, 0.2, 0.05, 0.05])) for n in lengths]
    elif kind == "gaussian":
        data = [rng.normal(rng.normal(0, 3, 2), 1.0, (n, 2)) for n in lengths]
    else:
        data = [rng.poisson(rng.uniform(0.5, 9.0), n).astype(float) for n in lengths]
    weights = rng.choice([0.0, 0.5, 1.0, 3.0], len(data))
    assume(weights.any())
    held = {label: model.parameters[label] for label in model.held}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # states that nothing visits, covariances at the floor
        try:
            model.fit(data, weights=weights, max_iter=15, tol=0.0)
        except SequenceError:  # of probability 0
            assume(False)
    assert_training_rose(model, held)
    totals = model.transmat_.sum(axis=1)
    assert (totals <= 1.0 + 1e-9).all() and (model.transmat_ >= 0.0).all()


# ---- ties, to the last bit -------------------------------------------------------------------------------------------


def test_ties_are_exact_after_every_iteration_and_in_files(tmp_path: Path) -> None:
    row = {"a": "stay", "b": "leave", "c": "leave"}
    rows: dict[str, dict[str, Any]] = {
        "a": row,
        "b": {"b": "stay", "a": "leave", "c": "leave"},
        "c": {"a": 0.25, "b": 0.0, "c": ts.fixed(0.75)},
    }
    entries = {"a": "w", "b": ts.complement("w"), "c": ts.fixed([0.4, 0.1, 0.1, 0.4])}
    model = ts.HMM(ts.DNA, rows, entries, row, {"stay": 0.7}, random_state=1)
    seen = []

    def check(now: Any) -> None:
        seen.append(now.iteration)
        exact(model)

    def exact(found: ts.HMM) -> None:
        t, e = found.transmat_, found.emissionprob_
        assert t[0, 0] == t[1, 1] == found.startprob_[0] == found.parameters["stay"]
        assert t[0, 1] == t[0, 2] == t[1, 0] == t[1, 2] == found.startprob_[1] == found.startprob_[2]
        assert_array_equal(e[1], e[0][::-1])
        assert_array_equal(e[2], [0.4, 0.1, 0.1, 0.4])
        assert t[2, 2] == 0.75 and t[2, 1] == 0.0

    data = drawn_letters(TWO, {"a": [0.5, 0.1, 0.3, 0.1], "b": [0.1, 0.3, 0.1, 0.5]}, ts.DNA)
    model.fit(data, callback=check, max_iter=8, tol=0.0)
    assert seen == list(range(8))
    assert model.parameters["stay"] != 0.7
    exact(model)
    model.save(tmp_path / "m.json")
    exact(ts.load(tmp_path / "m.json"))
    assert ts.load(tmp_path / "m.json").score(data) == model.score(data)


# ---- other ways to train ---------------------------------------------------------------------------------------------


def test_viterbi_training_counts_the_best_path() -> None:
    tables = {"a": [0.8, 0.1, 0.1], "b": [0.1, 0.5, 0.4]}
    data = drawn_letters(TWO, tables, "xyz", n=4, length=12)
    model = ts.HMM("xyz", TWO, tables)
    paths = [model.predict(x) for x in data]
    value = model.decode(data)[0]
    rows, letters, start = np.zeros((2, 2)), np.zeros((2, 3)), np.zeros(2)
    for x, path in zip(data, paths, strict=True):
        start[path[0]] += 1
        for letter, state in zip(x, path, strict=True):
            letters[state, "xyz".index(letter)] += 1
        for a, b in pairwise(path):
            rows[a, b] += 1
    model.fit(data, algorithm="viterbi", max_iter=1, tol=0.0)
    assert_allclose(model.history_, [value], rtol=1e-12, atol=0.0)
    assert_allclose(model.transmat_, rows / rows.sum(axis=1, keepdims=True), rtol=1e-12, atol=0.0)
    assert_allclose(model.emissionprob_, letters / letters.sum(axis=1, keepdims=True), rtol=1e-12, atol=0.0)
    assert_allclose(model.startprob_, start / 4, rtol=1e-12, atol=0.0)
    model.fit(data, algorithm="viterbi")
    assert model.converged_
    assert_allclose(model.history_[-1], model.decode(data)[0], rtol=1e-12, atol=0.0)
    silent = ts.HMM("xy", {"a": {"s": 1.0}, "s": {"a": 1.0}}, {"a": [0.5, 0.5], "s": None})
    with pytest.raises(ArgumentError, match="silent"):
        silent.fit("xy", algorithm="viterbi")
    with pytest.raises(ArgumentError, match="algorithm='em'"):
        model.fit(data, algorithm="em")


def test_known_paths_are_counted() -> None:
    """With tied rows, weights and a prior: by hand."""
    rows = {"a": {"a": "stay", "b": "leave"}, "b": {"b": "stay", "a": "leave"}}
    model = ts.HMM("xyz", rows, {"a": TABLES["a"], "b": TABLES["b"]}, priors={"a": [0.0, 1.0, 0.0], "stay": 2.0})
    model.fit(["xxyz", "yz"], paths=[[0, 0, 1, 1], [1, 0]], weights=[1.0, 3.0])
    # stay: a-a, b-b and 2; leave: a-b, 3 times b-a
    assert_allclose(model.parameters["stay"], 4 / 8, rtol=1e-12, atol=0.0)
    assert_allclose(model.parameters["a"], np.array([2.0, 1.0, 3.0]) / 6, rtol=1e-12, atol=1e-300)
    assert_allclose(model.parameters["b"], np.array([0.0, 4.0, 1.0]) / 5, rtol=1e-12, atol=1e-300)
    assert_allclose(model.startprob_, [1 / 4, 3 / 4], rtol=1e-12, atol=0.0)
    assert model.converged_
    joint = np.log([1 / 4, 3 / 4]) @ [1, 3] + 4 * math.log(0.5) + 2 * math.log(0.5) + 2 * math.log(0.5)
    joint += 2 * math.log(2 / 6) + 3 * math.log(3 / 6) + math.log(1 / 6) + 4 * math.log(4 / 5) + math.log(1 / 5)
    assert_allclose(model.history_[-1], joint, rtol=1e-12, atol=0.0)


def test_known_paths_with_what_is_not_known() -> None:
    """Missing letters say nothing, and a shared mean beside variances of its own needs more than one step."""
    model = ts.HMM(ts.DNA, TWO, {"a": [0.7, 0.1, 0.1, 0.1], "b": [0.25] * 4})
    model.fit("ACNNNG", paths=[0, 0, 0, 0, 0, 1], tol=1e-12, max_iter=10_000)
    assert_allclose(model.emissionprob_, [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]], rtol=0.0, atol=1e-9)
    x = np.array([0.0, 1.0, 0.4, 5.0, -6.0, 2.0])
    numbers = ts.HMM(None, TWO, {"a": ts.Gaussian("m", 1.0), "b": ts.Gaussian("m", 1.0)}, values={"m": [0.0]})
    numbers.fit(x, paths=[0, 0, 0, 1, 1, 1], tol=1e-12, max_iter=10_000)
    mean, (v, w) = numbers.means_[0, 0], numbers.covars_[:, 0, 0]
    assert_allclose([v, w], [((x[:3] - mean) ** 2).mean(), ((x[3:] - mean) ** 2).mean()], rtol=1e-6, atol=0.0)
    assert_allclose(mean, (x[:3].sum() / v + x[3:].sum() / w) / (3 / v + 3 / w), rtol=1e-5, atol=0.0)


@pytest.mark.small
def test_allowed_states() -> None:
    """One iteration against all paths that are allowed."""
    rng = np.random.default_rng(4)
    tables = {name: rng.dirichlet(np.ones(4)) for name in "abc"}
    x, allowed = "ACGTN", np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1], [0, 0, 1], [1, 0, 1]], bool)
    model = ts.HMM(ts.DNA, THREE, tables)
    rows = np.array([[THREE[a][b] for b in "abc"] for a in "abc"])
    reference = twin.Model(np.full(3, 1 / 3), rows, None, np.zeros(3, bool), rows > 0)
    logs = letter_logs(list(tables.values()), x)
    expected = twin.enumerate_sums(reference, np.where(allowed, logs, -np.inf))
    model.fit(x, allowed=allowed.astype(int), max_iter=1, tol=0.0)
    assert_allclose(model.history_, [expected.log_likelihood], rtol=1e-12, atol=0.0)
    counts = expected.transitions * rows
    assert_allclose(model.transmat_, counts / counts.sum(axis=1, keepdims=True), rtol=1e-10, atol=1e-14)
    assert_allclose(model.startprob_, expected.start / 3, rtol=1e-10, atol=1e-14)
    everything = ts.HMM(ts.DNA, THREE, tables).fit([x], allowed=[np.ones((5, 3))], max_iter=3, tol=0.0)
    assert_allclose(
        everything.history_, ts.HMM(ts.DNA, THREE, tables).fit(x, max_iter=3, tol=0.0).history_, rtol=1e-12, atol=0.0
    )


@pytest.mark.parametrize("kind", ["letters", "numbers"])
def test_all_states_known_is_supervised(kind: str) -> None:
    path = np.array([0, 0, 1, 1, 0, 1])
    allowed = np.eye(2, dtype=bool)[path]

    def fresh() -> ts.HMM:
        if kind == "letters":
            return ts.HMM("xyz", TWO, {"a": TABLES["a"], "b": TABLES["b"]})
        return ts.HMM(None, TWO, {"a": ts.Gaussian([0.0], 1.0), "b": ts.Gaussian([1.0], 1.0)})

    x: Any = "xyzzxy" if kind == "letters" else np.array([0.0, 1.0, 5.0, 6.5, 0.4, 8.0])
    one, other = fresh().fit(x, paths=path), fresh().fit(x, allowed=allowed)
    assert one.history_ == other.history_
    for label, value in one.parameters.items():
        assert_array_equal(value, other.parameters[label])
    if kind == "numbers":
        assert_allclose(one.means_[:, 0], [x[path == s].mean() for s in (0, 1)], rtol=1e-12, atol=0.0)
        assert_allclose(one.covars_[:, 0, 0], [x[path == s].var() for s in (0, 1)], rtol=1e-9, atol=0.0)


@pytest.mark.small
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"paths": [[0, 0, 0], [1, 1]]}, ArgumentError, r"paths\[0\] .* 2 letters"),
        ({"paths": [[0, 0]]}, ArgumentError, "each of the 2 sequences"),
        ({"paths": 5}, ArgumentError, "each of the 2 sequences"),
        ({"paths": [[0, 0], [0, 1, 2]]}, ArgumentError, "paths= holds 2; states that emit"),
        ({"paths": [[0, 0], [0, 1, -1]]}, ArgumentError, "paths= holds -1"),
        ({"paths": [[0, 0], [0, 1.5, 0]]}, ArgumentError, "whole number"),
        ({"paths": [["a", "a"], ["a", "b", "a"]]}, ArgumentError, "whole number"),
        ({"paths": [[1, 0], [0, 0, 0]]}, SequenceError, "Sequence 0 has probability 0.* at position 1"),
        ({"paths": [[0, 0]] * 2, "allowed": []}, ArgumentError, "give one of them"),
        ({"allowed": [np.ones((3, 2)), np.ones((2, 2))]}, ArgumentError, r"allowed\[0\] .* 2 letters"),
        (
            {"allowed": [np.ones((2, 3)), np.ones((3, 3))]},
            ArgumentError,
            r"shape \(5, 3\); letters and states are \(5, 2\)",
        ),
        ({"allowed": [np.ones((2, 2)), np.zeros((3, 2))]}, ArgumentError, "allows no state at letter 2"),
        ({"allowed": "abc"}, ArgumentError, "each of the 2 sequences"),
        ({"weights": [1.0]}, ArgumentError, r"weights= has the shape \(1,\); there are 2"),
        ({"weights": [1.0, -1.0]}, ArgumentError, "weights= holds -1.0"),
        ({"weights": [1.0, np.nan]}, ArgumentError, "weights= holds nan"),
        ({"weights": ["a", "b"]}, ArgumentError, "must be numbers"),
        ({"weights": 2.0}, ArgumentError, "one weight for each"),
        ({"priors": {"nothing": 1.0}}, ModelError, "no label 'nothing'; it has"),
        ({"priors": {"a": [1.0, 2.0]}}, ModelError, r"array of shape \(3,\)"),
        ({"priors": {"a": -1.0}}, ModelError, r"priors\['a'\] holds -1.0"),
        ({"priors": {"a": np.inf}}, ModelError, "finite"),
        ({"priors": {"a": "x"}}, ModelError, r"priors\['a'\]"),
        ({"priors": {"a": None}}, ModelError, r"priors\['a'\] is None; it needs one pseudocount, or an array"),
        ({"priors": {"a->b": None}}, ModelError, r"priors\['a->b'\] is None; it needs one pseudocount\."),
        ({"weights": [1e-300, 0.0]}, ArgumentError, r"weights= are 1e-300 at most; one is 1e-100 at least"),
        ({"weights": [1.0, 1e300]}, ArgumentError, r"weights= holds 1e\+300; a weight is 1e\+100 at most"),
        ({"priors": [1.0]}, ArgumentError, "priors="),
    ],
)
def test_bad_arguments_of_fit(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    rows = {"a": {"a": 0.5, "b": 0.5}, "b": {"b": 1.0}}
    model = ts.HMM("xyz", rows, {"a": TABLES["a"], "b": TABLES["b"]})
    with pytest.raises(error, match=message):
        model.fit(["xy", "xyz"], **arguments)


# ---- weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["baum-welch", "viterbi"])
@pytest.mark.parametrize("kind", ["letters", "numbers"])
def test_weights_are_numbers_of_copies(kind: str, algorithm: str) -> None:
    rng = np.random.default_rng(3)

    def fitted(data: list[Any], weights: Any = None) -> ts.HMM:
        entries: dict[str, Any] = {"a": TABLES["a"], "b": TABLES["b"]}
        if kind == "numbers":
            entries = {"a": ts.Gaussian([0.0], 1.0), "b": ts.Gaussian([2.0], 1.0)}
        model = ts.HMM("xyz" if kind == "letters" else None, TWO, entries)
        return model.fit(data, weights=weights, max_iter=4, tol=0.0, algorithm=algorithm)

    data: list[Any] = drawn_letters(n=3) if kind == "letters" else [rng.normal(1.0, 2.0, 10) for _ in range(3)]
    one, other = fitted(data, [2.0, 0.0, 1.0]), fitted([data[0], data[2], data[0]])
    assert_allclose(one.history_, other.history_, rtol=1e-12, atol=0.0)
    for label, value in one.parameters.items():
        assert_allclose(value, other.parameters[label], rtol=1e-10, atol=1e-14)


def test_a_sequence_without_weight_may_be_impossible() -> None:
    for algorithm in ("baum-welch", "viterbi"):
        model = ts.HMM("xyz", TWO, {"a": [0.9, 0.1, 0.0], "b": [0.1, 0.9, 0.0]})
        model.fit(["xxyyxyy", "z"], weights=[1.0, 0.0], max_iter=3, tol=0.0, algorithm=algorithm)
        assert np.isfinite(model.history_).all()


# ---- what is said aloud ----------------------------------------------------------------------------------------------


def test_a_state_that_nothing_visits_keeps_its_values() -> None:
    rows = {"a": {"a": 0.5, "b": 0.5}, "b": {"a": 0.5, "b": 0.5}, "c": {"c": 0.9, "a": 0.1}}
    model = ts.HMM("xyz", rows, dict(TABLES), start={"a": 1.0})
    with pytest.warns(ConvergenceWarning, match="No sequence visits the state 'c': it keeps its values"):
        model.fit(drawn_letters(n=3), tol=1e-3)
    assert_array_equal(model.parameters["c"], TABLES["c"])
    assert (model.parameters["c->c"], model.parameters["c->a"]) == (0.9, 0.1)


def test_a_covariance_at_its_floor_is_said_aloud() -> None:
    x = np.array([0.0, 0.3, -0.2, 0.1, 7.0, 0.2, 0.0, -0.1])
    model = ts.HMM(None, TWO, {"a": ts.Gaussian([0.0], 1.0), "b": ts.Gaussian([7.0], 0.01)})
    with pytest.warns(ConvergenceWarning, match=r"'b\.covariance' reached the floor"):
        model.fit(x)
    assert np.isfinite(model.history_).all()


def test_what_is_impossible_stays_so() -> None:
    rows = {"a": {"a": 0.5, "b": 0.5, "c": 0.0}, "b": {"b": 0.5, "c": 0.5}, "c": {"c": 1.0}}
    tables = {"a": [0.5, 0.5, 0.0], "b": [0.2, 0.3, 0.5], "c": [0.1, 0.1, 0.8]}
    model = ts.HMM("xyz", rows, tables, start={"a": 1.0})
    model.fit(["xxyzzz", "xyyzxz"], max_iter=20, tol=0.0, priors={"b": 1.0, "c": 1.0, "b->b": 1.0})
    assert_array_equal(model.transmat_ == 0.0, [[False, False, True], [True, False, False], [True, True, False]])
    assert_array_equal(model.startprob_, [1.0, 0.0, 0.0])
    assert_array_equal(model.emissionprob_ == 0.0, np.array(list(tables.values())) == 0.0)


def test_starting_values_come_from_the_data() -> None:
    rng = np.random.default_rng(0)
    data = [np.concatenate([rng.normal(-5, 1, 40), rng.normal(5, 0.5, 40)]) for _ in range(3)]
    model = ts.HMM.ergodic(2, emission=ts.Gaussian(), random_state=3).fit(data)
    assert_allclose(np.sort(model.means_[:, 0]), [-5.0, 5.0], rtol=0.0, atol=0.3)
    again = ts.HMM.ergodic(2, emission=ts.Gaussian(), random_state=3).fit(data)
    assert again.history_ == model.history_
    assert model.fit(data).history_ == again.history_  # fitting twice gives the same model
    counts = ts.HMM.ergodic(2, emission=ts.Poisson(), random_state=3).fit([rng.poisson(2, 60), rng.poisson(20, 60)])
    assert_allclose(np.sort(counts.rates_[:, 0]), [2.0, 20.0], rtol=0.3, atol=0.0)


# ---- hmmlearn --------------------------------------------------------------------------------------------------------


def hmmlearn_start(model: Any) -> None:
    model.startprob_ = np.array([0.6, 0.4])
    model.transmat_ = np.array([[0.8, 0.2], [0.3, 0.7]])


HMMLEARN_START = {"a": 0.6, "b": 0.4}
LENGTHS = [40, 1, 25, 34]


def test_hmmlearn_letters() -> None:
    hmmlearn = pytest.importorskip("hmmlearn.hmm")
    x = np.random.default_rng(0).integers(0, 3, (100, 1))
    peer = hmmlearn.CategoricalHMM(2, n_iter=5, tol=-np.inf, init_params="")
    hmmlearn_start(peer)
    peer.emissionprob_ = np.array([TABLES["a"], TABLES["b"]])
    peer.fit(x, LENGTHS)
    model = ts.HMM("xyz", TWO, {"a": TABLES["a"], "b": TABLES["b"]}, HMMLEARN_START)
    model.fit(x, LENGTHS, max_iter=5, tol=0.0)
    assert_allclose(model.history_, peer.monitor_.history, rtol=1e-6, atol=0.0)
    for name in ("startprob_", "transmat_", "emissionprob_"):
        assert_allclose(getattr(model, name), getattr(peer, name), rtol=1e-6, atol=1e-9)
    assert_allclose(model.score(x, LENGTHS), peer.score(x, LENGTHS), rtol=1e-9, atol=0.0)
    assert_allclose(model.predict_proba(x, LENGTHS), peer.predict_proba(x, LENGTHS), rtol=1e-6, atol=1e-9)
    assert_array_equal(model.predict(x, LENGTHS), peer.predict(x, LENGTHS))
    assert_allclose(model.decode(x, LENGTHS)[0], peer.decode(x, LENGTHS)[0], rtol=1e-9, atol=0.0)


@pytest.mark.parametrize(("kind", "theirs"), [("diagonal", "diag"), ("full", "full"), ("spherical", "spherical")])
def test_hmmlearn_numbers(kind: str, theirs: str) -> None:
    hmmlearn = pytest.importorskip("hmmlearn.hmm")
    rng = np.random.default_rng(1)
    x = np.where(rng.random((100, 1)) < 0.5, -1.0, 2.0) + rng.normal(0, 1, (100, 2)) @ np.array(
        [[1.0, 0.5], [0.0, 0.7]]
    )
    peer = hmmlearn.GaussianHMM(2, theirs, n_iter=5, tol=-np.inf, init_params="", covars_prior=0.0, covars_weight=1.0)
    hmmlearn_start(peer)
    means = [[-1.0, 0.0], [1.0, 1.0]]
    peer.means_ = np.array(means)
    peer.covars_ = {
        "diag": np.full((2, 2), 1.5),
        "full": np.array([np.eye(2) * 1.5] * 2),
        "spherical": np.full(2, 1.5),
    }[theirs]
    peer.fit(x, LENGTHS)
    entries = {s: ts.Gaussian(mean, 1.5, kind=kind) for s, mean in zip("ab", means, strict=True)}
    model = ts.HMM(None, TWO, entries, HMMLEARN_START).fit(x, LENGTHS, max_iter=5, tol=0.0)
    assert_allclose(model.history_, peer.monitor_.history, rtol=1e-6, atol=0.0)
    for name in ("startprob_", "transmat_", "means_"):
        assert_allclose(getattr(model, name), getattr(peer, name), rtol=1e-6, atol=1e-9)
    expected = np.reshape(peer._covars_, (2, -1))[:, 0] if kind == "spherical" else peer.covars_
    if kind == "diagonal":
        expected = [np.diag(covariance) for covariance in expected]
    assert_allclose(model.covars_, expected, rtol=1e-6, atol=1e-9)
    assert_array_equal(model.predict(x, LENGTHS), peer.predict(x, LENGTHS))


@pytest.mark.small
def test_a_model_stays_as_it_was_when_something_fails() -> None:
    model = ts.HMM("xyz", THREE, TABLES).fit("xyzzyxyzxyx", max_iter=3, tol=0.0)
    before, history = model.to_dict(), list(model.history_)

    def fail(now: Any) -> None:
        if now.iteration == 2:
            raise KeyboardInterrupt

    for error, call in (
        (KeyboardInterrupt, lambda: model.fit("xxyxzxyxzzz", callback=fail)),
        (ModelError, lambda: model.fit("xyz", priors={"nope": 1.0})),
        (ArgumentError, lambda: model.set_params(order="x")),
    ):
        with pytest.raises(error):
            call()
        assert model.to_dict() == before and model.history_ == history
        assert model.get_params()["order"] == 0


@pytest.mark.small
@pytest.mark.parametrize("kind", ["letters", "strands", "gaussian", "poisson"])
def test_the_heaviest_weights(kind: str) -> None:
    rows = {"a": {"a": 0.5, "b": 0.5}, "b": {"a": 0.4, "b": 0.6}}
    entries: dict[str, Any] = {"a": [0.4, 0.3, 0.1, 0.2], "b": [0.1, 0.2, 0.5, 0.2]}
    data: Any = ["ACGT", "CCG"]
    if kind == "gaussian":
        entries, data = {"a": ts.Gaussian([0.0], 1.0), "b": ts.Gaussian([1.0], 1.0)}, [[0.5, 1.5, 2.0], [1.0, 0.0]]
    if kind == "poisson":
        entries, data = {"a": ts.Poisson(1.0), "b": ts.Poisson(2.0)}, [[0.0, 3.0, 2.0], [1.0, 1.0]]
    alphabet = ts.DNA if kind in ("letters", "strands") else None
    symmetry = "reverse-complement" if kind == "strands" else None
    one, heavy = (ts.HMM(alphabet, rows, entries, symmetry=symmetry) for _ in range(2))
    one.fit(data, max_iter=1, tol=0.0)
    heavy.fit(data, max_iter=1, tol=0.0, weights=[1e100, 1e100])
    for label, value in one.parameters.items():
        assert_allclose(heavy.parameters[label], value, rtol=1e-6, atol=1e-8)


@pytest.mark.small
@pytest.mark.parametrize("symmetry", [None, "reverse-complement"])
def test_cells_that_are_tied_share_the_mean_of_an_array_of_pseudocounts(symmetry: str | None) -> None:
    """A and T are one value, C and G another: c ln p + d ln q with 2 p + 2 q = 1 has its maximum at c : d."""
    entry: Any = "w"
    if symmetry is None:
        entry = ts.Categorical(ts.DNA, labels=[0, 1, 1, 0], name="w")
    model = ts.HMM(ts.DNA, {"s": {"s": 1.0}}, {"s": entry}, symmetry=symmetry, random_state=0)
    model.fit("AATCGCC", priors={"w": [4.0, 1.0, 3.0, 9.0]}, max_iter=1 if symmetry is None else 200, tol=0.0)
    c, d = 3 + 6.5, 4 + 2.0
    assert_allclose(model.parameters["w"], np.array([c, d, d, c]) / (2 * (c + d)), rtol=1e-7, atol=0)


@pytest.mark.small
@pytest.mark.parametrize(("wrong", "message"), [(np.nan, "not finite"), ("x", "numbers"), ([1.0, 2.0], "shape")])
def test_a_family_whose_update_returns_nonsense_is_named(wrong: Any, message: str) -> None:
    class Broken(ts.Poisson):
        def update(self, name: str, uses: Any, value: Any, prior: Any = None) -> Any:
            return np.array([wrong]) if np.ndim(wrong) == 0 else np.array(wrong)

    model = ts.HMM(None, {"a": {"a": 1.0}}, {"a": Broken(2.0)})
    with pytest.raises(ModelError, match=rf"Broken\.update returned .* for its rate.*{message}"):
        model.fit([1.0, 2.0])
    assert model.parameters["a.rate"] == 2.0 and not model.history_
