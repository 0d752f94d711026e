"""What a trained pair-HMM says of itself: standard errors, AIC, BIC, files; and what training refuses or reports."""

from __future__ import annotations

import math
import re
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import tiedseq as ts
import twin
from pairhmm_cases import Floats, in_logarithms, values_of
from tiedseq import memory
from tiedseq.errors import ArgumentError, ConvergenceWarning, ModelError, ResourceError, SequenceError
from tiedseq.pairs import batches, recursion

TRUTH = ts.PairHMM.affine(gap_open=0.05, gap_extend=0.5)
PAIRS = [TRUTH.sample(columns=80, random_state=k)[:2] for k in range(10)]


# ---- standard errors -------------------------------------------------------------------------------------------------


def log_likelihood_at(v: Floats, mode: str) -> float:
    """ln P of PAIRS at opening, extension, identity, and three letters of the gaps: by the twin."""
    opening, extension, identity = v[:3].tolist()
    gap = np.append(v[3:], 1.0 - v[3:].sum())
    plain = twin.affine(opening, extension, identity / 4, (1.0 - identity) / 12)
    plain = plain._replace(emissions=[plain.emissions[0], gap, gap])
    codes = [[np.array(["ACGT".index(letter) for letter in text]) for text in pair] for pair in PAIRS]
    return sum(twin.log_likelihood(plain, x, y, mode) for x, y in codes)


def covariance_at(v: Floats, mode: str) -> Floats:
    """The inverse of minus the matrix of second differences."""
    n, h = len(v), 2e-3 * v
    hessian = np.zeros((n, n))
    for i, j in combinations_with_replacement(range(n), 2):
        total = 0.0
        for a in (-1.0, 1.0):
            for b in (-1.0, 1.0):
                moved = v.copy()
                moved[i] += a * h[i]
                moved[j] += b * h[j]
                total += a * b * log_likelihood_at(moved, mode)
        hessian[i, j] = hessian[j, i] = total / (4.0 * h[i] * h[j])
    return np.asarray(np.linalg.inv(-hessian))


@pytest.mark.parametrize("mode", ["global", "local"])
def test_standard_errors_are_those_of_the_numerical_hessian(mode: str) -> None:
    model = ts.PairHMM.affine(substitution="jukes-cantor", background=[0.25] * 4).fit(PAIRS, mode=mode, tol=1e-8)
    found, values = model.standard_errors(PAIRS, mode=mode), values_of(model)
    v = np.array([values["open"], values["extend"], 4 * values["pair"][0, 0], *values["gap"][:3]])
    assert_allclose(log_likelihood_at(v, mode), model.history_[-1], rtol=1e-10, atol=0.0)
    covariance = covariance_at(v, mode)
    errors = np.sqrt(np.diag(covariance))
    assert_allclose(found["open"], errors[0], rtol=1e-3, atol=0.0)
    assert_allclose(found["match"], 2 * errors[0], rtol=1e-3, atol=0.0)
    assert_allclose([found["extend"], found["close"]], errors[1], rtol=1e-3, atol=0.0)
    assert_allclose(found["pair"][0, 0], errors[2] / 4, rtol=1e-3, atol=0.0)
    assert_allclose(found["pair"][0, 1], errors[2] / 12, rtol=1e-3, atol=0.0)
    assert_allclose(found["gap"][:3], errors[3:], rtol=1e-3, atol=0.0)
    assert_allclose(found["gap"][3], math.sqrt(covariance[3:, 3:].sum()), rtol=1e-3, atol=0.0)


def test_what_is_held_impossible_or_at_its_border_has_no_standard_error() -> None:
    values = {"gap": ts.fixed([0.25] * 4)}
    model = ts.PairHMM.affine(values=values, substitution="general", symmetric=("letters", "extension"))
    pairs = [(target[:40], target[:20] + target[21:40]) for target, _ in PAIRS]  # no insertion
    with pytest.warns(ConvergenceWarning, match="hardly use 'insertion_open'"):
        model.fit(pairs, tol=1e-6)
    found = model.standard_errors(pairs)
    assert found["insertion_open"] is None
    assert found["gap"].mask.all()
    assert found["deletion_open"] > 0.0
    table = values_of(model)["pair"]
    assert_array_equal(found["pair"].mask, table <= 1e-8)
    assert found["pair"].mask.any() and not found["pair"].mask.all()


def test_away_from_a_maximum_and_for_one_pair_of_letters_there_are_no_errors() -> None:
    with pytest.raises(ModelError, match="no standard errors"):
        ts.PairHMM.affine(gaps=2).standard_errors([("A", "A")])


def test_information_criteria_count_parameters_and_letters() -> None:
    model = ts.PairHMM.affine(substitution="kimura").fit(PAIRS)
    total = sum(model.log_likelihood(*pair) for pair in PAIRS)
    n = sum(len(target) + len(query) for target, query in PAIRS)
    assert model.n_free_parameters == 1 + 1 + 2 + 3
    assert_allclose(model.aic(PAIRS), 14.0 - 2.0 * total, rtol=1e-12, atol=0.0)
    assert_allclose(model.bic(iter(PAIRS)), 7.0 * math.log(n) - 2.0 * total, rtol=1e-12, atol=0.0)
    assert model.n_letters([("ACN", "RGN")]) == 4  # N is missing, R is half of a letter
    with pytest.raises(ArgumentError, match="no observed letter"):
        model.bic([("NN", "")])


# ---- files and scikit-learn ------------------------------------------------------------------------------------------


def test_fitted_models_come_back_from_files_to_the_last_bit(tmp_path: Path) -> None:
    model = ts.PairHMM.affine(gaps=2, substitution="kimura", given="target", background="outside").fit(
        PAIRS, mode="local", max_iter=6, tol=0.0
    )
    model.save(tmp_path / "model.json")
    loaded = ts.load(tmp_path / "model.json")
    assert list(values_of(loaded)) == list(values_of(model))
    for label, value in values_of(model).items():
        assert_array_equal(values_of(loaded)[label], value)
    for each in (loaded, model):
        each.fit(PAIRS, mode="local", max_iter=3, tol=0.0, warm_start=True)
    assert loaded.history_ == model.history_


def test_scikit_learn_clones_with_all_training_options() -> None:
    from sklearn.base import clone

    options: dict[str, Any] = {
        "max_iter": 7, "tol": 0.0, "n_init": 2, "random_state": 3, "priors": {"open": 2.0}, "soft": {"gap": 5.0},
        "callback": None, "progress": False, "executor": 2, "checkpoint": None, "warm_start": False,
        "acceleration": False,
    }  # fmt: skip
    model = ts.PairHMM.affine(**options)
    parameters = model.get_params()
    assert {name: parameters[name] for name in options} == options
    other = clone(model)
    assert other.fit(PAIRS).history_ == model.fit(PAIRS).history_
    assert len(model.history_) == 7
    other.set_params(max_iter=3)
    assert len(other.fit(PAIRS).history_) == 3
    with pytest.raises(ArgumentError, match="max_iter"):
        other.set_params(max_iter=0)
    assert len(other.history_) == 3


def test_a_model_whose_file_holds_other_labels(tmp_path: Path) -> None:
    ts.PairHMM.affine(symmetric=False).save(tmp_path / "model.json")
    model = ts.load(tmp_path / "model.json")
    for options in ({"priors": {"open": 1.0}}, {"soft": {"gap": 1.0}}):
        with pytest.raises(ModelError, match=r"'(open|gap)'"):
            model.fit(PAIRS, **options)


# ---- data that say little, and bad ones ------------------------------------------------------------------------------


def finite(model: ts.PairHMM) -> bool:
    return all(np.isfinite(value).all() for value in [*values_of(model).values(), model.history_])


def test_identical_sequences_put_gaps_on_their_border_and_that_is_said() -> None:
    pairs = [("ACGTTACGAA", "ACGTTACGAA")] * 4
    model = ts.PairHMM.affine()
    with pytest.warns(ConvergenceWarning, match="hardly use 'open', 'close', 'extend'.*its boundary"):
        model.fit(pairs)
    assert finite(model) and model.converged_
    assert values_of(model)["open"] < 1e-8
    assert_allclose(values_of(model)["match"], 1.0, rtol=0.0, atol=1e-8)
    letters = np.array([4, 2, 2, 2]) / 10
    assert_allclose(np.diag(values_of(model)["pair"]), letters, rtol=0.0, atol=1e-8)
    assert_allclose(model.history_[-1], 4 * 10 * float(letters @ np.log(letters)), rtol=1e-7, atol=0.0)
    errors = model.standard_errors(pairs)
    assert errors["open"] is None
    assert_allclose(np.diag(errors["pair"]), np.sqrt(letters * (1 - letters) / 40), rtol=1e-5, atol=0.0)


def test_what_a_prior_keeps_from_zero_is_not_on_its_way_there() -> None:
    """No gap is extended: without a prior that is said, with one it is not (warnings are errors)."""
    pairs = [("ACGTACGTAC", "ACGTACGAC"), ("ACGGTTA", "ACGTTA")]
    with pytest.warns(ConvergenceWarning, match="hardly use 'extend'.*give a prior"):
        ts.PairHMM.affine().fit(pairs)
    model = ts.PairHMM.affine(priors={"extend": 1.0}).fit(pairs)
    assert model.converged_ and model.parameters["extend"] > 0.1


@pytest.mark.parametrize("rest", [2e-8, 1e-7, 5e-7])
def test_what_is_on_its_way_to_zero_does_not_change_the_errors_of_the_rest(rest: float) -> None:
    """The likelihood does not bend downwards along it: its row had errors of .4, and others half as much again."""
    truth = ts.PairHMM.affine(gap_open=0.05, gap_extend=1e-3)
    pairs = [truth.sample(columns=150, random_state=seed)[:2] for seed in range(5)]
    model = ts.PairHMM.affine(symmetric=False)
    with pytest.warns(ConvergenceWarning, match="hardly use"):
        model.fit(pairs, tol=1e-6, max_iter=5000)
    values = values_of(model)
    assert values["insertion_extend"] < 1e-9
    for kind in ("insertion", "deletion"):
        values |= {f"{kind}_extend": rest, f"{kind}_close": 1.0 - rest}
    found, expected = (
        each.standard_errors(pairs) for each in (ts.PairHMM.affine(symmetric=False, values=values), model)
    )
    for label in ("insertion_extend", "insertion_close", "deletion_extend", "deletion_close"):
        assert found[label] is None
    for label in ("match", "insertion_open", "deletion_open", "pair"):
        assert_allclose(found[label], expected[label], rtol=1e-5, atol=0.0)


@pytest.mark.filterwarnings("ignore::tiedseq.errors.ConvergenceWarning")
@pytest.mark.parametrize("mode", ["global", "local", "glocal", "overlap"])
@pytest.mark.parametrize(
    "pairs",
    [
        [("AAAAAAAA", "CCCCCCC")] * 3,  # no letter shared
        [("ACGT", ""), ("ACGT", "ACT")],
        [("", ""), ("ACG", "ACG")],
        [("", "")],
        [("A", "A"), ("C", "G")],
        [("A", "C")],
        [("NNNN", "NNN")],
        [("RYN", "ACN")],
    ],
)
def test_data_that_say_little_leave_finite_values(pairs: Any, mode: str) -> None:
    for gaps in (1, 2):
        model = ts.PairHMM.affine(gaps=gaps).fit(pairs, mode=mode)
        assert finite(model)
        assert (np.diff(model.history_) >= -1e-10).all()
        assert_allclose(values_of(model)["pair"].sum(), 1.0, rtol=0.0, atol=1e-12)


def test_a_labelled_background_that_explains_nothing_stays() -> None:
    """In global mode no letter is outside; rounding is no count."""
    outside = [0.4, 0.3, 0.2, 0.1]
    model = ts.PairHMM.affine(background="outside", values={"outside": outside}).fit(PAIRS, max_iter=3, tol=0.0)
    assert_array_equal(model.background, outside)


def test_a_labelled_background_without_some_letter_needs_a_prior() -> None:
    pairs = [("AAAACAAA", "AAAACAAA")] * 3
    with pytest.raises(ModelError, match=r"every letter of the background .* prior of its label"):
        ts.PairHMM.affine(background="outside").fit(pairs, mode="local")
    model = ts.PairHMM.affine(background="outside", priors={"outside": 4.0})
    with pytest.warns(ConvergenceWarning, match="hardly use"):
        model.fit(pairs, mode="local")
    assert finite(model) and (model.background > 0.0).all()


def test_lower_case_counts_as_upper_case() -> None:
    lower = [(target.lower(), query.lower().encode()) for target, query in PAIRS]
    assert ts.PairHMM.affine().fit(lower).history_ == ts.PairHMM.affine().fit(PAIRS).history_


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (None, "pairs= is missing"),
        ([], "pairs= is empty"),
        ("ACGT", "item 0 is str"),
        (["ACGT", "ACGT"], "item 0 is str"),
        ([("A", "A"), ("A", "C", "G")], "item 1 is tuple"),
        (5, "not be of type int"),
        ([(1, 2)], "cannot be read as a sequence"),
    ],
)
def test_pairs_that_are_no_pairs(pairs: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        ts.PairHMM.affine().fit(pairs)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], r"weights= has the shape \(1,\)"),
        ([-1.0, 1.0], r"weights= holds -1\.0"),
        ([math.nan, 1.0], "weights= holds nan"),
        ([math.inf, 1.0], "weights= holds inf"),
        ("many", "must be numbers"),
        ([0.0, 0.0], r"weights= are all 0, .*; give some a weight above 0"),
    ],
)
def test_weights_that_are_none(weights: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        ts.PairHMM.affine().fit(PAIRS[:2], weights=weights)
    with pytest.raises(ArgumentError, match=message):
        ts.HMM.ergodic(2, alphabet="ab", random_state=0).fit(["abba", "ab"], weights=weights)


@pytest.mark.filterwarnings("ignore::tiedseq.errors.ConvergenceWarning")
@pytest.mark.parametrize("strand", ["forward", "both"])
def test_a_pair_of_weight_0_is_left_out_even_if_it_is_impossible(strand: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_BATCH_CELLS", 50)
    rows = {"M": {"M": 0.5, "X": 0.5}, "X": {"X": 0.5, "M": 0.5}}
    options: dict[str, Any] = {"strand": strand, "max_iter": 3, "tol": 0.0}
    possible = [("ACGTACG", "ACGTAC"), ("ACGT", "ACG"), ("GATTACA", "GATTA")]
    impossible = ("A", "AA")  # there is no y state
    first, second = (
        ts.PairHMM(ts.DNA, {"M": "xy", "X": "x"}, rows, {"M": "p", "X": "g"}, random_state=0) for _ in range(2)
    )
    first.fit([impossible, *possible[:2], impossible, possible[2], impossible], weights=[0, 1, 2, 0, 3, 0], **options)
    second.fit(possible, weights=[1, 2, 3], **options)
    assert first.history_ == second.history_
    for label, value in second.parameters.items():
        assert_allclose(first.parameters[label], value, rtol=0, atol=0)
    with pytest.raises(SequenceError, match=r"^pairs\[3\]: "):
        first.fit([impossible, *possible[:2], impossible], weights=[0, 1, 2, 3], **options)


@pytest.mark.small
@pytest.mark.parametrize("name", ["acceleration", "progress", "warm_start"])
@pytest.mark.parametrize("value", ["yes", 1, None, [True]])
def test_switches_are_true_or_false(name: str, value: Any) -> None:
    models: list[Any] = [ts.PairHMM.affine(), ts.HMM.ergodic(2, alphabet="ab", random_state=0)]
    for model, data in zip(models, ([("ACG", "ACG")], ["abba"]), strict=True):
        with pytest.raises(ArgumentError, match=re.escape(f"{name} must be True or False, not {value!r}")):
            model.fit(data, **{name: value})
    with pytest.raises(ArgumentError, match=re.escape(f"{name} must be True or False, not {value!r}")):
        ts.PairHMM.affine(**{name: value})


def test_messages_name_the_pair_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever batch it is in, and on whichever strand."""
    monkeypatch.setattr(batches, "_BATCH_CELLS", 50)
    rows = {"M": {"M": 0.5, "X": 0.5}, "X": {"X": 0.5, "M": 0.5}}
    model = ts.PairHMM(ts.DNA, {"M": "xy", "X": "x"}, rows, {"M": "p", "X": "g"}, random_state=0)
    pairs = [("ACGTACG", "ACGTAC")] * 3 + [("A", "AA")]
    for strand in ("forward", "both"):
        with pytest.raises(SequenceError, match=r"^pairs\[3\]: .* 1 and 2 letters probability 0"):
            model.fit(pairs, strand=strand)
        with pytest.raises(SequenceError, match=r"^pairs\[3\]: .* 1 and 2 letters probability 0"):
            model.expected_counts(pairs, strand=strand)
    with pytest.raises(SequenceError, match=r"^pairs\[1\], query: letter 'X' at position 3") as caught:
        model.fit([("ACG", "ACG"), ("ACG", "ACX")])
    assert caught.value.position == 2


# ---- memory ----------------------------------------------------------------------------------------------------------


def test_too_long_a_pair_is_refused_before_the_work_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 3 * 10**9)
    model, long = ts.PairHMM.affine(), "ACGT" * 250_000
    started: list[Any] = []
    message = r"sequences of 1,000,000 and 1,000,000 letters need \d+\.\d GB of memory, and there are 3\.0 GB"
    with pytest.raises(ResourceError, match=r"^pairs\[2\]: " + message):
        model.fit([*PAIRS[:2], (long, long)], callback=started.append)
    assert not started and not model.history_
    for call in (model.posterior, model.viterbi, lambda *pair: model.gradient([pair])):
        with pytest.raises(ResourceError, match="^" + message):
            call(long, long)


def test_what_a_posterior_takes_is_what_the_check_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system promises less than a pair takes, and only there, it is refused."""
    model, text = ts.PairHMM.affine(), "ACGT" * 100
    needed = model.recursion.passes([]).memory(400, 400)
    monkeypatch.setattr(recursion, "_SMALL_BYTES", 0)
    monkeypatch.setattr(memory, "available_memory", lambda: needed)
    model.posterior(text, text)
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    model.posterior(text, text)
    monkeypatch.setattr(memory, "available_memory", lambda: needed - 1)
    with pytest.raises(ResourceError, match="400 and 400 letters need"):
        model.posterior(text, text)
    model.log_likelihood(text, text)  # two rows are enough


def test_available_memory_is_the_least_that_anyone_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = memory.available_memory()
    assert found is None or 1 << 20 < found < 1 << 50
    limit, unlimited = tmp_path / "limit", tmp_path / "unlimited"
    limit.write_text("1234567\n")
    unlimited.write_text("max\n")
    monkeypatch.setattr(memory, "_CONTROL_GROUPS", (str(limit), str(unlimited), str(tmp_path / "none")))
    assert memory.available_memory() == 1234567
    monkeypatch.setattr(memory, "_CONTROL_GROUPS", (str(unlimited),))
    monkeypatch.setattr(memory, "_free", lambda: None)
    assert memory.available_memory() is None


# ---- long pairs ------------------------------------------------------------------------------------------------------


def test_counts_of_a_long_pair_are_those_of_logarithms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells of no weight are skipped, and denormals flushed: nothing that counts is lost."""
    target, query, _ = ts.PairHMM.affine(gaps=2).sample(columns=3000, random_state=0)
    query = query[:1500] + query[1000:]  # a repeat: two ways of nearly the same weight
    make = lambda: ts.PairHMM.affine(gap_open=0.01, gap_extend=0.9, substitution="kimura")  # noqa: E731
    fast, quick = make().expected_counts([(target, query)]), make().log_likelihood(target, query)
    in_logarithms(monkeypatch)
    slow = make().expected_counts([(target, query)])
    assert_allclose(quick, make().log_likelihood(target, query), rtol=1e-12, atol=0.0)
    for label, count in slow.items():
        assert_allclose(fast[label], count, rtol=1e-9, atol=0.0, err_msg=label)


@pytest.mark.parametrize("length", [1, 40, 700])
def test_the_control_register_is_put_back(length: int) -> None:
    """A product below the normal range is not zero after training, posterior or scores."""
    small = np.full(4, 1e-200)
    assert (small * 1e-115 > 0.0).all()
    text = ("ACGTTGCA" * 100)[:length]
    model = ts.PairHMM.affine()
    calls = [
        lambda: model.expected_counts([(text, text)] * 2),
        lambda: model.posterior(text, text),
        lambda: model.viterbi(text, text),
        lambda: model.score([(text, text)]),
    ]
    for call in calls:
        call()
        assert (small * 1e-115 > 0.0).all()
