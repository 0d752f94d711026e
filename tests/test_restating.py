"""A model from a file is an estimator too: its arguments make the same model."""

from __future__ import annotations

import copy
import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hmm_cases import hmm_of
from numpy.testing import assert_allclose, assert_array_equal
from test_storage import models as pair_models

import chain_twin as twin
import tiedseq as ts

Model = Any
ROWS = {"a": {"a": 0.9, "b": 0.1}, "b": {"a": 0.2, "b": 0.8}}


def through_a_file(model: Model) -> Model:
    """What `ts.load` makes of it, without the file."""
    return type(model).from_dict(json.loads(json.dumps(model.to_dict())))


def remade(model: Model) -> Model:
    """The model that the arguments of a loaded one make; as scikit-learn does it, they are copied first."""
    return type(model)(**copy.deepcopy(through_a_file(model).get_params()))


def hmms() -> dict[str, tuple[ts.HMM, Any]]:
    """One of each thing that an HMM can hold, with a sequence."""
    rng = np.random.default_rng(5)
    thirds = [1 / 3, 1 / 7, 1 / 11, 1 - 1 / 3 - 1 / 7 - 1 / 11]
    reference = twin.random_model(rng, emitting=2, silent=1, zeros=0.0)
    tables = [rng.dirichlet(np.ones(4), 4) for _ in range(2)]
    strands: dict[str, dict[str, Any]] = {
        "gene+": {"gene+": "stay", "space": "leave"},
        "gene-": {"gene-": "stay", "space": "leave"},
        "space": {"space": ts.fixed(0.8), "gene+": "enter", "gene-": "enter", "end": 0.02},
    }
    held = ts.fixed([0.3, 0.2, 0.2, 0.3])
    cells = ts.Categorical(labels=["weak", None, "strong", "strong"])
    means: dict[str, Any] = {"a": [0.0, 1.0], "b": ts.fixed([1.0, 1.0])}
    numbers = {state: ts.Gaussian(mean, "sigma", kind="diagonal") for state, mean in means.items()}
    with_silence = {"a": {"c": 0.5, "b": 0.5}, "b": ROWS["b"], "c": {"a": 1.0}}
    rates = {"a": "few", "b": ts.Poisson(9.0), "c": None}
    return {
        "silent state, an end, numbers": (hmm_of(reference, [thirds, [0.25] * 4], ts.DNA), "ACGTNACCA"),
        "order 1": (hmm_of(reference, tables, ts.DNA, order=1), "ACGTNACCA"),
        "complement, held in a row": (
            ts.HMM(ts.DNA, strands, {"gene+": "c", "gene-": ts.complement("c"), "space": held}, random_state=1),
            "ACGTTTGCA",
        ),
        "labels of cells, one held, one impossible": (
            ts.HMM(ts.DNA, ROWS, {"a": cells, "b": "flat"}, values={"weak": ts.fixed(0.3), "flat": thirds}),
            "AGTTGA",
        ),
        "labels of cells in a row": (
            ts.HMM(
                "xyz",
                {"a": {"a": "p", "b": "q"}, "b": {"a": "q", "b": "p"}},
                {"a": ts.Categorical(labels=["p", 1, 1], values=[0.5, 0.25, 0.25]), "b": [0.2, 0.3, 0.5]},
            ),
            "xyzzy",
        ),
        "letters of its own": (ts.HMM.left_to_right(3, alphabet="123456", random_state=2), "3216"),
        "Gaussians, one held": (ts.HMM(None, ROWS, numbers, values={"sigma": [1.0, 2.0]}), rng.normal(size=(9, 2))),
        "families by label, one held": (
            ts.HMM(None, with_silence, rates, values={"few": ts.Poisson(ts.fixed(2.0))}), np.array([1, 5, 9, 2])
        ),
        "no value yet": (ts.HMM(None, ROWS, {"a": ts.Poisson(3.0), "b": ts.Poisson()}), None),
    }  # fmt: skip


@pytest.mark.parametrize("name", hmms())
def test_the_arguments_of_a_loaded_hmm_make_it_again(name: str) -> None:
    model, x = hmms()[name]
    again = remade(model)
    assert again.n_free_parameters == model.n_free_parameters
    assert again.held == model.held and again.states == model.states
    assert [line[2:] for line in again.describe()] == [line[2:] for line in model.describe()]
    for label, value in model.parameters.items():
        if value is None:
            assert again.parameters[label] is None
        else:
            assert_allclose(np.asarray(again.parameters[label]), value, rtol=1e-12, atol=1e-300)
    if x is not None:
        assert_allclose(again.score(x), model.score(x), rtol=1e-12, atol=0.0)
        fits = [one.fit(x, max_iter=3, tol=0.0).history_ for one in (again, through_a_file(model))]
        assert_allclose(fits[0], fits[1], rtol=1e-10, atol=0.0)


@pytest.mark.parametrize("name", pair_models())
def test_the_arguments_of_a_loaded_pair_hmm_make_it_again(name: str) -> None:
    model = pair_models()[name]
    again = remade(model)
    assert again.n_free_parameters == model.n_free_parameters and again.states == model.states
    assert [line[2:] for line in again.describe()] == [line[2:] for line in model.describe()]
    assert_allclose(again.background, model.background, rtol=1e-14, atol=0.0)
    rng = np.random.default_rng(4)
    x, y = ("".join(rng.choice(list(model.alphabet.letters), size)) for size in (12, 9))
    assert_allclose(again.log_likelihood(x, y), model.log_likelihood(x, y), rtol=1e-12, atol=0.0)
    assert type(again)(**again.get_params()).parameters.keys() == model.parameters.keys()


def test_a_zero_that_training_has_reached_stays_possible() -> None:
    model = ts.HMM("xyz", ROWS, {"a": [0.6, 0.3, 0.1], "b": [0.1, 0.8, 0.1]}).fit(["xyxyyxxx"] * 3, max_iter=5, tol=0.0)
    assert model.parameters["a"][2] == 0.0
    loaded, again = through_a_file(model), remade(model)
    assert loaded.parameters["a"][2] == 0.0 and 0.0 < again.parameters["a"][2] < 1e-300
    assert again.n_free_parameters == model.n_free_parameters == 1 + 1 + 1 + 2 + 2
    assert_allclose(again.score("xyxyyx"), model.score("xyxyyx"), rtol=1e-12, atol=0.0)
    assert again.score("xyz") > -math.inf == model.score("xyz")


def test_arguments_of_a_loaded_model_stay_those_of_the_file() -> None:
    model = through_a_file(ts.HMM("xy", ROWS, {"a": [0.9, 0.1], "b": "e"}, values={"e": [0.2, 0.8]}, max_iter=7))
    before = copy.deepcopy(model.get_params())
    assert before["values"]["e"] == [0.2, 0.8] and before["max_iter"] == 500 and before["random_state"] is None
    model.fit("xxyxyyxy", max_iter=2, tol=0.0)
    assert model.get_params() == before and model.parameters["e"][0] != 0.2
    assert model.copy().get_params() == before
    assert model.set_params(tol=0.5) is model
    assert model.options.tol == 0.5 and model.parameters["e"][0] == 0.2


def test_scikit_learn_takes_loaded_models(tmp_path: Path) -> None:
    clone = pytest.importorskip("sklearn.base").clone
    selection = pytest.importorskip("sklearn.model_selection")
    source = ts.HMM("xy", ROWS, {"a": [0.9, 0.1], "b": [0.2, 0.8]})
    sequences = [source.sample(30, random_state=k)[0] for k in range(6)]
    source.fit(sequences, max_iter=3, tol=0.0).save(tmp_path / "model.json")
    loaded = ts.load(tmp_path / "model.json")
    assert_allclose(clone(loaded).score(sequences), source.score(sequences), rtol=1e-12, atol=0.0)
    assert repr(clone(clone(loaded))) == repr(loaded)
    loaded.set_params(tol=0.0)
    for model in (loaded, ts.HMM.ergodic(2, alphabet="xy", random_state=0, tol=0.0)):
        search = selection.GridSearchCV(model, {"max_iter": [1, 4], "n_init": [1, 2], "random_state": [0, 1]}, cv=2)
        best = search.fit(sequences).best_estimator_
        again = ts.HMM(**{**model.get_params(), **search.best_params_}).fit(sequences)
        assert best.score(sequences) == again.score(sequences)
    pair = ts.PairHMM.affine(substitution="kimura")
    pair.save(tmp_path / "pair.json")
    assert repr(clone(ts.load(tmp_path / "pair.json"))) == repr(clone(pair)) == repr(pair)


def test_every_model_can_be_pickled(tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib")
    model = ts.HMM.ergodic(2, alphabet=ts.DNA, random_state=0)
    x = "ACGGTTNACG"
    for one in (model, copy.deepcopy(model).fit(x, max_iter=2, tol=0.0), through_a_file(model), remade(model)):
        joblib.dump(one, tmp_path / "model")
        for again in (pickle.loads(pickle.dumps(one)), joblib.load(tmp_path / "model"), copy.deepcopy(one)):
            assert again.score(x) == one.score(x) and again.history_ == one.history_
            assert type(one)(**again.get_params()).n_free_parameters == one.n_free_parameters
    pair = ts.PairHMM.affine()
    expected = pair.log_likelihood("ACGT", "AGT")  # its tables are ready now, and are left out or go along
    for one in (pair, through_a_file(pair)):
        again = pickle.loads(pickle.dumps(one))
        assert again.log_likelihood("ACGT", "AGT") == expected
        assert_array_equal(again.background, pair.background)


def test_restarts_of_a_loaded_model_draw_anew_what_was_drawn() -> None:
    model = ts.HMM.ergodic(2, alphabet="xy", random_state=0)
    x = model.sample(40, random_state=1)[0]
    options: dict[str, Any] = {"n_init": 3, "random_state": 5, "max_iter": 20, "tol": 0.0}
    loaded = through_a_file(model)
    assert loaded.fit(x, **options).history_ == model.fit(x, **options).history_
