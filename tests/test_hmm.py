"""HMM from the user's side: what a model says of sequences, against all paths listed."""

from __future__ import annotations

import itertools
import json
import math
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hmm_cases import Floats, hmm_of, letter_logs, log
from numpy.testing import assert_allclose, assert_array_equal

import chain_twin as twin
import tiedseq as ts
from tiedseq.chains import sampling
from tiedseq.errors import ArgumentError, ModelError, SequenceError

ROWS = {"a": {"a": 0.9, "b": 0.1}, "b": {"a": 0.2, "b": 0.8}}
LETTERS = {"a": [0.7, 0.3], "b": [0.2, 0.8]}


def small(**options: Any) -> ts.HMM:
    return ts.HMM("xy", ROWS, LETTERS, **options)


# ---- all paths -----------------------------------------------------------------------------------------------------


def random_tables(rng: np.random.Generator, count: int, order: int) -> list[Floats]:
    """Distributions of DNA after `order` letters, with zeros."""
    tables = []
    for _ in range(count):
        table = rng.gamma(0.7, size=(4,) * (order + 1)) * (rng.random((4,) * (order + 1)) < 0.85)
        table[..., 0] += 0.05
        tables.append(table / table.sum(axis=-1, keepdims=True))
    return tables


def order_of(kind: str) -> int:
    return int(kind[-1]) if kind.startswith("order") else 0


def emission_case(kind: str, rng: np.random.Generator, count: int) -> tuple[list[Any], Any, Any, Any]:
    """Entries for `emissions`, the alphabet, and as functions a sequence of n, and its (n, states) log-likelihoods."""
    from scipy import stats

    if kind.startswith("order"):
        tables = random_tables(rng, count, order_of(kind))
        return tables, ts.DNA, lambda n: "".join(rng.choice(list("ACGTNRY"), n)), lambda x: letter_logs(tables, x)
    if kind == "poisson":
        rates = rng.gamma(2.0, 2.0, count)
        return (
            [ts.Poisson(rate) for rate in rates],
            None,
            lambda n: np.asarray(rng.poisson(4.0, n), float),
            lambda x: np.column_stack([stats.poisson.logpmf(x, rate) for rate in rates]),
        )
    means = rng.normal(0.0, 2.0, (count, 2))
    factors = rng.normal(0.0, 1.0, (count, 2, 2))
    covariances = factors @ factors.transpose(0, 2, 1) + 0.3 * np.eye(2)
    return (
        [ts.Gaussian(mean, covariance) for mean, covariance in zip(means, covariances, strict=True)],
        None,
        lambda n: rng.normal(0.0, 2.0, (n, 2)),
        lambda x: np.column_stack(
            [
                np.atleast_1d(stats.multivariate_normal.logpdf(x, mean, covariance))
                for mean, covariance in zip(means, covariances, strict=True)
            ]
        ),
    )


@pytest.mark.small
@pytest.mark.parametrize("kind", ["order0", "order1", "order2", "gaussian", "poisson"])
@pytest.mark.parametrize("seed", range(4))
def test_all_paths(kind: str, seed: int) -> None:
    """Silent states, ends, zeros, letters that stand for several, contexts before the first letter, single letters."""
    rng = np.random.default_rng([seed, len(kind)])
    for length in (1, 2, 4):
        reference = twin.random_model(rng)
        if reference.end is not None and not reference.end.any():
            reference = reference._replace(end=None)
        emitting = twin.emitting_states(reference)
        entries, alphabet, sequence, logs_of = emission_case(kind, rng, len(emitting))
        model, x = hmm_of(reference, entries, alphabet, order=order_of(kind)), sequence(length)
        logs = logs_of(x)
        expected = twin.enumerate_sums(reference, logs)
        assert_allclose(model.score(x), expected.log_likelihood, rtol=1e-10, atol=1e-10)
        if expected.log_likelihood == -math.inf:
            with pytest.raises(SequenceError, match="Sequence 0 has probability 0") as caught:
                model.predict(x)
            assert caught.value.position == twin.first_impossible(reference, logs)
            continue
        posterior = model.predict_proba(x)
        assert_allclose(posterior[:, emitting], expected.posterior, rtol=1e-9, atol=1e-11)
        assert posterior[:, reference.silent].sum() == 0.0
        value, path = model.decode(x)
        assert_allclose(value, twin.viterbi(reference, logs).log_probability, rtol=1e-10, atol=1e-10)
        assert_allclose(twin.log_best_route(reference, logs, path.tolist()), value, rtol=1e-10, atol=1e-10)
        value, path = model.decode(x, algorithm="posterior")
        assert_allclose(value, expected.log_likelihood, rtol=1e-10, atol=1e-10)
        best = np.searchsorted(emitting, path)
        assert_allclose(
            expected.posterior[np.arange(length), best], expected.posterior.max(axis=1), rtol=1e-9, atol=1e-11
        )


@pytest.mark.small
@pytest.mark.parametrize("seed", range(4))
def test_the_k_best_paths_are_the_first_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = twin.random_model(rng, emitting=3, silent=0)
    tables = random_tables(rng, 3, 0)
    x = "ACNGT"
    expected = twin.best_paths(reference, letter_logs(tables, x), 6)
    found = hmm_of(reference, tables, ts.DNA).best_paths(x, 6)
    assert_allclose([p for p, _ in found], [path.log_probability for path in expected], rtol=1e-10, atol=1e-10)
    for value, path in found:
        assert_allclose(twin.log_joint(reference, letter_logs(tables, x), path.tolist()), value, rtol=1e-10, atol=1e-10)
    assert len({tuple(path.tolist()) for _, path in found}) == len(found)


@pytest.mark.parametrize("silent", [0, 2])
def test_sampled_paths_have_their_posterior_frequencies(silent: int) -> None:
    rng = np.random.default_rng(silent)
    reference = twin.random_model(rng, emitting=3, silent=silent, zeros=0.2)
    tables = random_tables(rng, 3, 0)
    expected = twin.path_probabilities(reference, letter_logs(tables, "ACGA"))
    drawn = hmm_of(reference, tables, ts.DNA).sample_paths("ACGA", 4000, random_state=1)
    counts = Counter(tuple(path.tolist()) for path in drawn)
    assert set(counts) <= set(expected)
    for path, p in expected.items():
        assert abs(counts[path] - 4000 * p) <= 5.0 * math.sqrt(4000 * p * (1.0 - p)) + 1.0


def test_sampled_sequences_have_the_frequencies_of_their_likelihood() -> None:
    """Of order 2, from the first letter on, where contexts are not there yet."""
    rng = np.random.default_rng(5)
    tables = {
        "a": [[[0.9, 0.1], [0.2, 0.8]], [[0.7, 0.3], [0.1, 0.9]]],
        "b": [[[0.5, 0.5]] * 2, [[0.9, 0.1], [0.3, 0.7]]],
    }
    model = ts.HMM("xy", ROWS, tables, order=2)
    drawn = Counter(model.sample(3, random_state=rng)[0] for _ in range(6000))
    words = [a + b + c for a in "xy" for b in "xy" for c in "xy"]
    probabilities = np.exp([model.score(word) for word in words])
    assert_allclose(probabilities.sum(), 1.0, rtol=1e-12, atol=0.0)
    for word, p in zip(words, probabilities.tolist(), strict=True):
        assert abs(drawn[word] - 6000 * p) <= 5.0 * math.sqrt(6000 * p * (1.0 - p)) + 1.0


def test_an_end_makes_probabilities_of_all_sequences_sum_to_one() -> None:
    rows = {"a": {"a": 0.3, "b": 0.3, "end": 0.4}, "b": {"a": 0.2, "end": 0.8}}
    model = ts.HMM("x", rows, {"a": [1.0], "b": [1.0]})
    total = np.exp([model.score("x" * n) for n in range(1, 60)]).sum()
    assert_allclose(total, 1.0, rtol=1e-9, atol=0.0)
    lengths = np.array([len(model.sample(random_state=k)[0]) for k in range(3000)])
    first = math.exp(model.score("x"))
    assert abs((lengths == 1).sum() - 3000 * first) < 5.0 * math.sqrt(3000 * first * (1.0 - first))


def test_emissions_of_probability_1e_300() -> None:
    model = ts.HMM("xy", ROWS, {"a": [1.0 - 1e-300, 1e-300], "b": [1.0, 0.0]})
    reference = twin.Model(
        np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.2, 0.8]]), None, np.zeros(2, bool), np.ones((2, 2), bool)
    )
    logs = log([[1.0, 1.0], [1e-300, 0.0]])
    x = [0, 1, 1, 0, 1]
    assert_allclose(model.score("xyyxy"), twin.log_likelihood(reference, logs[x]), rtol=1e-12, atol=0.0)


# ---- numbers about a model -------------------------------------------------------------------------------------------


def test_the_long_run() -> None:
    model = ts.HMM(
        "xy", {"a": {"s": 0.1, "a": 0.9}, "b": {"a": 0.2, "b": 0.8}, "s": {"a": 0.5, "b": 0.5}}, {**LETTERS, "s": None}
    )
    seen = np.linalg.matrix_power(np.array([[0.95, 0.05], [0.2, 0.8]]), 1000)[0]
    assert_allclose(model.stationary_distribution(), [*seen, 0.0], rtol=1e-10, atol=1e-14)
    assert_allclose(model.expected_durations(), [10.0, 5.0, 1.0], rtol=1e-12, atol=0.0)


def test_a_long_run_that_is_not_one() -> None:
    apart = ts.HMM("xy", {"a": {"a": 1.0}, "b": {"b": 1.0}}, LETTERS)
    with pytest.raises(ModelError, match="several stationary"):
        apart.stationary_distribution()
    assert_array_equal(apart.expected_durations(), [np.inf, np.inf])
    ending = ts.HMM("xy", {"a": {"a": 0.5, "end": 0.5}}, {"a": [0.5, 0.5]})
    with pytest.raises(ModelError, match="has an end"):
        ending.stationary_distribution()


def test_criteria_and_attributes() -> None:
    model = small()
    assert model.states == ("a", "b")
    assert model.n_free_parameters == 1 + 2 + 2
    x = ["xyxx", "y"]
    assert_allclose(model.aic(x), 2 * 5 - 2 * model.score(x), rtol=1e-14, atol=0.0)
    assert_allclose(model.bic(x), 5 * math.log(5) - 2 * model.score(x), rtol=1e-14, atol=0.0)
    assert_array_equal(model.startprob_, [0.5, 0.5])
    assert_array_equal(model.transmat_, [[0.9, 0.1], [0.2, 0.8]])
    assert_array_equal(model.emissionprob_, [[0.7, 0.3], [0.2, 0.8]])
    with pytest.raises(AttributeError, match="means_"):
        _ = model.means_
    numbers = ts.HMM(None, ROWS, {"a": ts.Gaussian([0.0], 1.0), "b": ts.Gaussian([2.0], 4.0)})
    assert_array_equal(numbers.means_, [[0.0], [2.0]])
    assert_array_equal(numbers.covars_, [[[1.0]], [[4.0]]])
    for name in ("emissionprob_", "rates_"):
        with pytest.raises(AttributeError, match=name):
            getattr(numbers, name)
    counts = ts.HMM(None, ROWS, {"a": ts.Poisson(1.0), "b": ts.Poisson(3.0)})
    assert_array_equal(counts.rates_, [[1.0], [3.0]])
    assert_array_equal(counts.lambdas_, counts.rates_)
    assert counts.n_components == 2
    # attributes are copies: writing to them changes no model
    model.transmat_[:] = 0.0
    assert model.transmat_.sum() == 2.0


def test_constructors() -> None:
    """Left to right: k states that may stay, go on, or leave some out; the last one ends."""
    model = ts.HMM.left_to_right(4, alphabet="xy", skip=1, stay=0.4, random_state=0)
    expected = np.array([[0.4, 0.3, 0.3, 0.0], [0.0, 0.4, 0.3, 0.3], [0.0, 0.0, 0.4, 0.6], [0.0, 0.0, 0.0, 0.4]])
    assert_allclose(model.transmat_, expected, rtol=1e-14, atol=0.0)
    assert_array_equal(model.startprob_, [1.0, 0.0, 0.0, 0.0])
    assert model.predict("xyxyxyxy")[-1] == 3
    ergodic = ts.HMM.ergodic(3, alphabet=ts.DNA, order=1, stay=0.8)
    assert_allclose(np.diag(ergodic.transmat_), 0.8, rtol=1e-12, atol=0.0)
    assert ergodic.n_free_parameters == 2 + 3 * 2 + 3 * 4 * 3
    strand = ts.HMM.ergodic(2, emission=ts.Categorical(ts.DNA, labels=["w", "s", "s", "w"]), random_state=0)
    assert strand.alphabet is not None and strand.alphabet.letters == "ACGT"
    assert strand.emissionprob_[0, 0] == strand.emissionprob_[1, 3]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"alphabet": "xy", "emission": "junk"}, "emission='junk'"),
        ({"alphabet": "xy", "emission": ts.Gaussian()}, "give one of them"),
        ({"alphabet": "xy", "stay": 1.5}, "stay=1.5"),
        ({"alphabet": "xy", "stay": "long"}, "stay='long'"),
    ]
    for options, message in wrong:
        with pytest.raises(ArgumentError, match=message):
            ts.HMM.ergodic(2, **options)
    wrong = [
        ({"skip": -1}, "skip must be .* not -1"),
        ({"skip": "a"}, "skip must be .* not 'a'"),
        ({"stay": 1.0}, "stay=1.0"),
    ]
    for options, message in wrong:
        with pytest.raises(ArgumentError, match=message):
            ts.HMM.left_to_right(2, alphabet="xy", **options)


def test_a_model_shows_its_ties() -> None:
    model = ts.HMM(
        "xy",
        {"a": {"a": "stay", "b": "leave"}, "b": {"b": "stay", "a": "leave"}},
        {"a": "e", "b": ts.fixed([0.5, 0.5])},
        values={"stay": 0.75, "e": [0.9, 0.1]},
    )
    text = repr(model)
    assert "HMM with states a, b" in text and f"{model.n_free_parameters} free parameters" in text
    line = next(line for line in text.splitlines() if line.startswith("stay"))
    assert line.split(maxsplit=2) == ["stay", "0.75", "a->a, b->b"]
    assert any("held" in line for line in text.splitlines() if line.startswith("b "))


# ---- forms of input --------------------------------------------------------------------------------------------------


@pytest.mark.small
def test_letters_in_every_form() -> None:
    model = small()
    both = model.score("xyyx") + model.score("yx")
    codes = np.array([0, 1, 1, 0, 1, 0])
    many: list[Any] = [["xyyx", "yx"], [b"xyyx", b"yx"], ("xyyx", "yx"), [codes[:4], codes[4:]], iter(["xyyx", "yx"])]
    for form in [*many, [[0, 1, 1, 0], [1, 0]]]:
        assert_allclose(model.score(form), both, rtol=1e-14, atol=0.0)
    for stacked in ["xyyxyx", b"xyyxyx", codes, codes[:, None], codes.astype(np.uint8)]:
        assert_allclose(model.score(stacked, lengths=[4, 2]), both, rtol=1e-14, atol=0.0)
        assert_allclose(model.score(stacked, np.array([4, 2])), both, rtol=1e-14, atol=0.0)
    whole = model.predict("xyyxyx")
    assert whole.dtype == np.int64 and whole.shape == (6,)
    listed = model.predict(["xyyx", "yx"])
    assert isinstance(listed, list) and [len(path) for path in listed] == [4, 2]
    stacked_path = model.predict("xyyxyx", lengths=[4, 2])
    assert_array_equal(stacked_path, np.concatenate(listed))
    assert model.predict_proba("xyyxyx", lengths=[4, 2]).shape == (6, 2)
    assert [p.shape for p in model.predict_proba(["xyyx", "yx"])] == [(4, 2), (2, 2)]
    assert model.predict_proba(["xyyx"])[0].shape == (4, 2)


def test_records_and_bio_sequences(tmp_path: Path) -> None:
    from Bio.Seq import Seq

    path = tmp_path / "two.fa"
    path.write_text(">one\nACGT\n>two\nACN\n")
    model = ts.HMM.ergodic(2, alphabet=ts.DNA, random_state=0)
    expected = model.score(["ACGT", "ACN"])
    assert_allclose(model.score(ts.read(path)), expected, rtol=1e-14, atol=0.0)
    assert_allclose(model.score([Seq("ACGT"), Seq("acn")]), expected, rtol=1e-14, atol=0.0)
    assert_allclose(model.score(Seq("ACGT")), model.score("ACGT"), rtol=1e-14, atol=0.0)


@pytest.mark.small
def test_numbers_in_every_form() -> None:
    import pandas as pd

    model = ts.HMM(None, ROWS, {"a": ts.Gaussian([0.0], 1.0), "b": ts.Gaussian([2.0], 1.0)})
    x, y = np.array([0.1, 2.0, 1.0]), np.array([3.0])
    both = model.score(x) + model.score(y)
    for form in ([x, y], [x[:, None], y[:, None]], [x.tolist(), y.tolist()], (x, y)):
        assert_allclose(model.score(form), both, rtol=1e-14, atol=0.0)
    stacked = np.concatenate([x, y])
    for one in (stacked, stacked[:, None], stacked.tolist(), pd.Series(stacked), pd.DataFrame({"v": stacked})):
        assert_allclose(model.score(one, lengths=[3, 1]), both, rtol=1e-14, atol=0.0)
    assert_allclose(model.score(np.array([1, 2])), model.score([1.0, 2.0]), rtol=1e-14, atol=0.0)
    drawn, path = model.sample(5, random_state=0)
    assert drawn.shape == (5, 1) and path.shape == (5,)


def test_every_family_of_a_model_sees_the_data() -> None:
    from scipy import stats

    for order in (["a", "b"], ["b", "a"]):
        entries = {"a": ts.Gaussian([0.0], 4.0), "b": ts.Poisson(3.0)}
        model = ts.HMM(None, {s: ROWS[s] for s in order}, {s: entries[s] for s in order})
        with pytest.raises(SequenceError, match=r"0\.5 at position 1; Poisson observes whole numbers"):
            model.score([1.0, 0.5])
        density = 0.5 * stats.norm.pdf(2.0, 0.0, 2.0) + 0.5 * stats.poisson.pmf(2, 3.0)
        assert_allclose(model.score([2.0]), math.log(density), rtol=1e-12, atol=0.0)
    with pytest.raises(ModelError, match="same dims="):
        ts.HMM(None, ROWS, {"a": ts.Gaussian([0.0, 0.0], 1.0), "b": ts.Poisson(3.0)})


# ---- scikit-learn's conventions, copies, files -----------------------------------------------------------------------


def test_parameters_of_the_constructor() -> None:
    model = small(tol=0.5, priors={"a": 1.0})
    given = model.get_params()
    assert given["transitions"] is ROWS and given["tol"] == 0.5 and given["max_iter"] == 500
    model.fit("xyxyyxyy", max_iter=3, tol=0.0)
    assert model.get_params() == given
    assert model.set_params(tol=0.25) is model
    assert model.options.tol == 0.25 and model.parameters["a->b"] == 0.1
    with pytest.raises(ArgumentError, match="has no argument 'colour'; there are alphabet"):
        model.set_params(colour=1)


def test_scikit_learn(tmp_path: Path) -> None:
    sklearn_base, selection = pytest.importorskip("sklearn.base"), pytest.importorskip("sklearn.model_selection")
    joblib = pytest.importorskip("joblib")
    model = ts.HMM.ergodic(2, alphabet="xy", random_state=0, max_iter=5, tol=0.0)
    other = sklearn_base.clone(model)
    assert other is not model and repr(other) == repr(model)
    sequences = [small().sample(40, random_state=k)[0] for k in range(8)]
    search = selection.GridSearchCV(model, {"order": [0, 1], "max_iter": [1, 5]}, cv=2).fit(sequences)
    assert set(search.best_params_) == {"order", "max_iter"}
    first = [sequences[k] for k in range(4)], [sequences[k] for k in range(4, 8)]
    expected = np.mean([clone_fit(model, a).score(b) for a, b in (first, first[::-1])])
    at = [p == {"order": 0, "max_iter": 5} for p in search.cv_results_["params"]].index(True)
    assert_allclose(search.cv_results_["mean_test_score"][at], expected, rtol=1e-12, atol=0.0)
    fitted = search.best_estimator_
    joblib.dump(fitted, tmp_path / "model.joblib")
    for again in (joblib.load(tmp_path / "model.joblib"), pickle.loads(pickle.dumps(fitted))):
        assert again.score(sequences) == fitted.score(sequences)


def clone_fit(model: ts.HMM, sequences: list[str]) -> ts.HMM:
    return ts.HMM(**model.get_params()).fit(sequences)


def test_copies_are_independent() -> None:
    model = small()
    other = model.copy().fit("xyxxyy", max_iter=2, tol=0.0)
    assert model.parameters["a->b"] == 0.1 and other.parameters["a->b"] != 0.1
    assert model.history_ == [] and len(other.history_) == 2


@pytest.mark.parametrize("kind", ["order0", "order2", "gaussian", "poisson"])
def test_files_keep_every_bit(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    reference = twin.random_model(rng, emitting=2, silent=1, zeros=0.0)
    entries, alphabet, sequence, _ = emission_case(kind, rng, 2)
    model = hmm_of(reference, entries, alphabet, order=order_of(kind))
    x = sequence(30)
    if model.score(x) > -math.inf:
        model.fit(x, max_iter=3, tol=0.0)
    model.save(tmp_path / "model.json")
    again = ts.load(tmp_path / "model.json")
    for label, value in model.parameters.items():
        assert_array_equal(again.parameters[label], value)
    assert repr(again) == repr(model)
    assert again.score(x) == model.score(x)


# ---- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize(
    ("x", "lengths", "message"),
    [
        ("xyz", None, "letter 'z' at position 3 is not in the alphabet"),
        (["xy", "xz"], None, "Sequence 1: letter 'z'"),
        ("", None, "X is empty"),
        (["xy", ""], None, "Sequence 1 is empty"),
        ([], None, "holds no sequence"),
        (None, None, "NoneType"),
        (5, None, "int"),
        (["xy", None], None, "NoneType"),
        ([0, 1, 5], None, "code 5"),
        ([0, 1, -1], None, "code -1"),
        (np.array([0.5]), None, "float64"),
        (np.zeros((2, 2), int), None, r"shape \(2, 2\)"),
        ("xyx", [2, 2], "add up to 4, but X holds 3"),
        ("xyx", [2, 0, 1], r"lengths\[1\] is 0"),
        ("xyx", [4, -1], r"lengths\[1\] is -1"),
        ("xyx", [1.5, 1.5], "whole numbers"),
        ("xyx", 3, "lengths=3"),
        ("xyx", [[1], [2]], "whole numbers"),
        ("xyx", [[1], [2, 3]], "whole numbers"),
        ("xyx", [], "lengths="),
    ],
)
def test_letters_that_are_none(x: Any, lengths: Any, message: str) -> None:
    for use in (small().score, small().predict, small().predict_proba, small().fit):
        with pytest.raises((ArgumentError, SequenceError), match=message):
            use(x, lengths)


@pytest.mark.small
@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([0.0, np.nan], "nan at position 1"),
        ([[0.0, 1.0], [2.0, np.inf]], "Sequence 1: it holds inf at position 1"),
        ([0.0, -np.inf], "-inf at position 1"),
        ([1e101], r"1e\+101"),
        ("ab", "numbers, not letters"),
        (["ab"], "numbers, not letters"),
        (None, "NoneType"),
        (np.zeros((3, 2)), "dims=2"),
        (np.zeros((3, 2, 1)), r"shape \(3, 2, 1\)"),
        (np.zeros((0, 1)), "X is empty"),
        ([[]], "Sequence 0 is empty"),
        ([1.0 + 2.0j], "numbers"),
    ],
)
def test_numbers_that_are_none(x: Any, message: str) -> None:
    model = ts.HMM(None, ROWS, {"a": ts.Gaussian([0.0], 1.0), "b": ts.Gaussian([1.0], 1.0)})
    for use in (model.score, model.predict, model.fit):
        with pytest.raises((ArgumentError, SequenceError), match=message):
            use(x)


ONE = {"a": {"a": 1.0}}


@pytest.mark.small
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"transitions": None}, "needs transitions="),
        ({"emissions": {"a": [0.5, 0.5]}}, "lacks the state 'b'"),
        ({"emissions": {**LETTERS, "c": [0.5, 0.5]}}, "the state 'c', which transitions= lacks"),
        ({"emissions": {"a": None, "b": None}}, "All states are silent"),
        ({"emissions": {"a": [0.5, 0.5], "b": ts.Poisson(1.0)}}, "the same kind of thing"),
        ({"emissions": {"a": ts.Poisson(1.0), "b": ts.Poisson(1.0)}}, "leave it out"),
        ({"emissions": {"a": [0.5, 0.4], "b": [0.5, 0.5]}}, "sums to 0.9"),
        ({"emissions": {"a": [0.5, 0.4, 0.1], "b": [0.5, 0.5]}}, r"shape \(3,\)"),
        ({"emissions": {"a": [0.5, np.nan], "b": [0.5, 0.5]}}, "nan"),
        ({"emissions": {"a": object(), "b": [0.5, 0.5]}}, r"emissions\['a'\]"),
        ({"emissions": {"a": "e", "b": ts.complement("e")}}, "no complement"),
        ({"alphabet": None}, "alphabet="),
        ({"alphabet": 5}, "alphabet=5"),
        ({"alphabet": None, "emissions": {"a": ts.Poisson(1.0), "b": ts.Poisson(1.0)}, "order": 1}, "order=1"),
        ({"transitions": {"a": {"a": 0.5}, "b": {"b": 1.0}}}, "row of state 'a' sums to 0.5"),
        ({"transitions": {"a": {"c": 1.0}, "b": {"b": 1.0}}}, "key 'c', which is not a state"),
        ({"transitions": {"a": {"a": np.nan}, "b": {"b": 1.0}}}, "holds nan"),
        ({"transitions": {"a": {"a": -0.5, "b": 1.5}, "b": {"b": 1.0}}}, "-0.5"),
        ({"transitions": {"a": {"a": "p", "b": "p"}, "b": {"a": "p", "b": "q"}}, "values": {"p": 0.6}}, "sums to 1.2"),
        ({"transitions": {"a": {"a": "p", "b": "p"}, "b": {"a": "p", "b": "q"}}, "values": {"q": 0.6}}, "force 'q'"),
        ({"start": {"c": 1.0}}, "start= has the key 'c'"),
        ({"start": {"a": 0.4}}, "start row sums to 0.4"),
        ({"values": {"nothing": 1.0}}, "values= has 'nothing'"),
        ({"values": {"g": ts.Poisson(1.0)}}, "no state emits by"),
        ({"values": [1.0]}, "values= must map"),
        ({"order": 9}, "order=9"),
        ({"order": 1}, r"shape \(2, 2\)"),
        ({"max_iter": 0}, "max_iter must be a whole number of at least 1, not 0"),
        ({"tol": -1.0}, "tol=-1.0"),
        ({"tol": math.nan}, "tol=nan"),
        ({"n_init": 1.5}, "n_init must be .* not 1.5"),
        ({"priors": [1]}, r"priors=\[1\]"),
        ({"callback": 3}, "callback=3"),
    ],
)
def test_models_that_are_none(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ArgumentError, ModelError), match=message):
        ts.HMM(**{"alphabet": "xy", "transitions": ROWS, "emissions": LETTERS, **arguments})


def test_families_with_contradictory_labels() -> None:
    with pytest.raises(ModelError, match="two starting values"):
        ts.HMM(
            None,
            ROWS,
            {"a": ts.Gaussian([0.0], "s"), "b": ts.Gaussian([0.0], "s", dims=1)},
            values={"s": 1.0, "a.mean": [1.0]},
        )
    with pytest.raises(ModelError, match="'s' is the mean of state 'a' and the covariance of state 'b'"):
        ts.HMM(None, ROWS, {"a": ts.Gaussian("s"), "b": ts.Gaussian([0.0], "s")})
    with pytest.raises(ModelError, match="names a probability and a parameter of a family"):
        ts.HMM(None, {"a": {"a": "s", "b": "t"}, "b": ROWS["b"]}, {"a": ts.Gaussian("s"), "b": ts.Gaussian([0.0])})
    unfitted = ts.HMM.ergodic(2, emission=ts.Gaussian(), random_state=0)
    with pytest.raises(ModelError, match="have no value yet; give starting values, or call fit"):
        unfitted.score([1.0, 2.0])
    with pytest.raises(AttributeError, match="means_"):
        _ = unfitted.means_


@pytest.mark.small
@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda m: m.decode("xy", algorithm="map2"), "algorithm='map2'"),
        (lambda m: m.sample(), "n= is left out"),
        (lambda m: m.sample(0), "n must be a whole number of at least 1, not 0"),
        (lambda m: m.sample("a"), "n must be .* not 'a'"),
        (lambda m: m.best_paths("xy", 0), "k must be .* not 0"),
        (lambda m: m.best_paths(["xy", "xy"], 1), "X holds 2 sequences"),
        (lambda m: m.sample_paths("xy", -1), "n must be .* not -1"),
        (lambda m: m.sample_paths("xy", "a"), "n must be .* not 'a'"),
        (lambda m: m.sample_paths("xy", 1, "a"), "random_state='a'"),
        (lambda m: ts.HMM.ergodic(0, alphabet="xy"), "n_states must be .* not 0"),
    ],
)
def test_calls_that_cannot_be(use: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        use(small())


@pytest.mark.small
def test_what_cannot_be_explained_says_where() -> None:
    model = ts.HMM("xy", ROWS, {"a": [1.0, 0.0], "b": [1.0, 0.0]})
    assert model.score(["xx", "xxy"]) == -math.inf
    for use in (model.predict, model.predict_proba, model.fit, lambda x: model.decode(x, algorithm="posterior")):
        with pytest.raises(SequenceError, match=r"Sequence 1 .* at position 2") as caught:
            use(["xx", "xxy"])
        assert caught.value.position == 2
    with pytest.raises(SequenceError, match="position 1"):
        model.sample_paths("xy")
    assert model.best_paths("xy", 3) == []
    pairs = ts.HMM("x", {"a": {"b": 1.0}, "b": {"a": 0.5, "end": 0.5}}, {"a": [1.0], "b": [1.0]}, start={"a": 1.0})
    with pytest.raises(SequenceError, match="Sequence 1 has probability 0: no path of states can end after its 3"):
        pairs.fit(["xx", "xxx"])


@pytest.mark.small
def test_bic_counts_observed_letters_only() -> None:
    model = ts.HMM.ergodic(1, alphabet=ts.DNA, random_state=0)
    assert model.n_letters(["ACGTN", "NNR"]) == 5
    assert_allclose(model.bic("ACNN") - model.aic("AC"), 3 * np.log(2) - 2 * 3, rtol=1e-12, atol=0)


@pytest.mark.small
def test_sequences_may_come_from_a_generator() -> None:
    model, texts = ts.HMM.ergodic(2, alphabet="xy", random_state=0), ["xyx", "yyx"]
    for call in (model.score, model.aic, model.bic, lambda X: model.decode(X, algorithm="posterior")[0]):
        assert call(text for text in texts) == call(texts)


@pytest.mark.small
def test_what_a_model_without_values_cannot_do() -> None:
    model = ts.HMM.ergodic(2, emission=ts.Gaussian(), random_state=0)
    for call in (lambda: model.sample(3), lambda: model.standard_errors([1.0, 2.0]), lambda: model.score([1.0])):
        with pytest.raises(ModelError, match="no value yet"):
            call()


@pytest.mark.small
@pytest.mark.parametrize("wrong", [np.nan, np.inf, "shape"])
def test_a_family_that_returns_nonsense_is_named(wrong: Any) -> None:
    class Broken(ts.Poisson):
        def log_likelihoods(self, X: Any, values: Any) -> Any:
            return np.zeros((len(X), 7)) if wrong == "shape" else np.full((len(X), len(values)), wrong)

    model = ts.HMM(None, {"a": {"a": 1.0}}, {"a": Broken(2.0)})
    with pytest.raises(ModelError, match=r"Broken\.log_likelihoods returned"):
        model.score([1.0, 2.0])


@pytest.mark.small
def test_words_and_numbers_of_a_wrong_kind() -> None:
    model = ts.HMM.ergodic(2, alphabet="xy", random_state=0)
    wrong: Any = ["viterbi"]
    for call in (
        lambda: model.fit("xyx", algorithm=wrong),
        lambda: ts.Gaussian(kind=wrong),
        lambda: ts.HMM("xy", {"a": {"a": 1.0}}, {"a": "e"}, symmetry=wrong),
        lambda: model.fit("xyx", allowed=np.full((3, 2), np.nan)),
        lambda: model.fit("xyx", allowed=np.full((3, 2), 0.5)),
        lambda: model.score("xyxy", lengths=np.array([2**63 - 1, 2**63 - 1, 6])),
    ):
        with pytest.raises(ArgumentError):
            call()
    assert model.fit("xyx", allowed=np.ones((3, 2), int), max_iter=1, tol=0.0).history_
    with pytest.raises(ArgumentError, match="no observed letter"):
        ts.HMM.ergodic(2, alphabet=ts.DNA, random_state=0).bic("NNN")


@pytest.mark.small
def test_a_file_whose_letters_have_no_alphabet_is_damaged(tmp_path: Path) -> None:
    document = small().to_dict()
    with pytest.raises(ModelError, match="alphabet"):
        ts.HMM.from_dict({**document, "alphabet": None})


@pytest.mark.small
@pytest.mark.parametrize("order", [-1, 1, 2.5, 10**30, "0"])
def test_a_file_whose_tables_are_of_another_order_is_damaged(tmp_path: Path, order: Any) -> None:
    document = {"format": "tiedseq model", "version": 1, "kind": "hmm", **small().to_dict(), "order": order}
    (tmp_path / "model.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ts.InputError, match="order"):
        ts.load(tmp_path / "model.json")


@pytest.mark.small
def test_a_file_with_a_number_beyond_all_integers_is_damaged(tmp_path: Path) -> None:
    ts.HMM.ergodic(1, alphabet=ts.DNA, symmetry="reverse-complement", random_state=0).save(tmp_path / "model.json")
    text = (tmp_path / "model.json").read_text(encoding="utf-8")
    assert text.count('"order": 0') == 1
    (tmp_path / "model.json").write_text(text.replace('"order": 0', '"order": 1e999'), encoding="utf-8")
    with pytest.raises(ts.InputError, match="damaged"):
        ts.load(tmp_path / "model.json")


# ---- sequences have a letter at least --------------------------------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize(
    ("start", "some_letter"),
    [
        ({"a": 0.5, "end": 0.5}, 0.5),
        ({"a": 0.25, "last": 0.5, "end": 0.25}, 0.25 + 0.5 * 0.7),
        ({"a": 0.25, "first": 0.5, "end": 0.25}, 0.25 + 0.5 * (0.3 + 0.4 * 0.7)),
    ],
)
def test_what_is_drawn_can_be_scored(start: dict[str, float], some_letter: float) -> None:
    """Ways from the start to the end without a letter: frequencies against P, by hand."""
    rows = {
        "a": {"a": 0.2, "end": 0.8},
        "first": {"a": 0.3, "last": 0.4, "end": 0.3},
        "last": {"a": 0.7, "end": 0.3},
    }
    model = ts.HMM("xy", rows, {"a": [0.6, 0.4], "first": None, "last": None}, start)
    generator, total = np.random.default_rng(5), 4000
    counts = Counter(model.sample(random_state=generator)[0] for _ in range(total))
    assert not counts[""]
    for text in ("x", "y", "xx", "xy", "yx", "yy"):
        letters = np.prod([{"x": 0.6, "y": 0.4}[letter] for letter in text])
        by_hand = letters * 0.2 ** (len(text) - 1) * 0.8  # given that there is a letter
        assert_allclose(np.exp(model.score(text)), some_letter * by_hand, rtol=1e-12, atol=0)
        assert_allclose(counts[text] / total, by_hand, rtol=0, atol=4 * np.sqrt(0.25 / total))


@pytest.mark.small
@pytest.mark.parametrize("seed", range(6))
def test_drawn_sequences_follow_all_paths(seed: int) -> None:
    """Random models with silent states and an end, whose short sequences are listed with the twin."""
    rng = np.random.default_rng(seed)
    reference = twin.random_model(rng, emitting=2, silent=2, zeros=0.3, end=True)
    tables = [np.array([0.7, 0.3]), np.array([0.2, 0.8])]
    model = hmm_of(reference, tables, "xy")
    firsts = np.random.default_rng(1)
    try:
        drawn = [model.sample(random_state=firsts)[0] for _ in range(1500)]
    except ModelError:  # it has no letters
        assert not np.isfinite(model.score("x"))
        return
    probability = {
        text: float(np.exp(twin.log_likelihood(reference, log([[t["xy".index(c)] for t in tables] for c in text]))))
        for length in (1, 2, 3)
        for text in map("".join, itertools.product("xy", repeat=length))
    }
    kept = [text for text in drawn if len(text) <= 3]
    assert min(map(len, drawn)) == 1 or sum(probability[text] for text in "xy") < 0.01
    among = sum(probability.values())
    for text, p in probability.items():
        assert_allclose(kept.count(text) / len(kept), p / among, rtol=0, atol=4 * np.sqrt(0.25 / len(kept)))


@pytest.mark.small
def test_nothing_can_be_drawn_without_a_letter() -> None:
    model = ts.HMM("xy", {"a": {"a": 1.0, "end": 0.0}, "s": {"end": 1.0}}, {"a": [0.5, 0.5], "s": None}, {"s": 1.0})
    with pytest.raises(ModelError, match="No letter can come before the end"):
        model.sample(random_state=0)


# ---- what is wrong, by name ------------------------------------------------------------------------------------------


@pytest.mark.small
def test_silent_states_in_a_circle_are_named() -> None:
    rows = {
        "a": {"a": 0.5, "in": 0.5},
        "before": {"in": 1.0},
        "in": {"out": 0.5, "a": 0.5},
        "out": {"in": 0.5, "behind": 0.5},
        "behind": {"a": 1.0},
    }
    emissions = {"a": [0.5, 0.5], **dict.fromkeys(["before", "in", "out", "behind"])}
    with pytest.raises(ModelError, match="The silent states 'in', 'out' lead back to themselves"):
        ts.HMM("xy", rows, emissions)


# ---- hmmlearn's names ------------------------------------------------------------------------------------------------


@pytest.mark.small
def test_score_samples_and_features_and_the_monitor() -> None:
    model, texts = small(max_iter=4, tol=0.0), ["xyxx", "yyx"]
    assert (model.n_features, model.monitor_.iter, model.monitor_.converged) == (2, 0, False)
    log_probability, posteriors = model.score_samples(texts)
    assert log_probability == model.score(texts)
    for found, expected in zip(posteriors, model.predict_proba(texts), strict=True):
        assert_array_equal(found, expected)
    log_probability, stacked = model.score_samples("xyxxyyx", [4, 3])
    assert_allclose(log_probability, model.score(texts), rtol=1e-14, atol=0)
    assert_allclose(stacked, np.concatenate(posteriors), rtol=1e-14, atol=0)
    model.fit(texts)
    assert (model.monitor_.iter, model.monitor_.history) == (4, model.history_)
    assert model.fit(texts, tol=1.0).monitor_.converged
    numbers = ts.HMM(None, ROWS, {"a": ts.Gaussian([0.0] * 3, 1.0), "b": ts.Gaussian([1.0] * 3, 1.0)})
    assert numbers.n_features == 3


@pytest.mark.small
def test_the_strand_of_a_state() -> None:
    names = ["g+", "g-", "h+", "+", "-", "x"]
    model = ts.HMM("xy", {name: dict.fromkeys(names, 1 / 6) for name in names}, {name: [0.5, 0.5] for name in names})
    assert model.strands == ("+", "-", ".", "+", "-", ".")


def test_values_that_were_returned_are_copies() -> None:
    model = ts.HMM.ergodic(2, emission=ts.Poisson(), random_state=0).fit(
        [3, 1, 9, 8, 2, 1, 7, 9, 8, 1], max_iter=2, tol=0
    )
    copied, before = model.copy(), model.score([3, 1, 9])
    for value in copied.parameters.values():
        if isinstance(value, np.ndarray):
            value[...] = 55.0
    assert model.copy().score([3, 1, 9]) == copied.score([3, 1, 9]) == before


def test_more_letters_are_drawn_than_an_end_would_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_LONGEST", 100)
    model = ts.HMM.ergodic(2, alphabet="AB", random_state=0)
    assert len(model.sample(150, random_state=0)[0]) == 150


@pytest.mark.small
def test_tables_that_do_not_fit_are_refused_before_the_first_is_made() -> None:
    message = r"^order=8 over 20 letters makes tables of 512,000,000,000 cells, and 2 distributions of them need "
    message += r"at least 296,960\.0 GB of memory, and there are .*: take a smaller order"
    with pytest.raises(ts.ResourceError, match=message):
        ts.HMM.ergodic(2, alphabet="protein", order=8)
    with pytest.raises(ts.ResourceError, match="and 1 distribution of them need"):
        ts.HMM.ergodic(3, emission=ts.Categorical("ACDEFGHIKLMNPQRSTVWY", name="shared"), order=8)
