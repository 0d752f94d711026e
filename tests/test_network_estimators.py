"""Classifier, Labeller and Regressor: against scikit-learn's, its conventions, and what is refused."""

from __future__ import annotations

import copy
import inspect
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from network_checks import random_letters
from numpy.testing import assert_allclose, assert_array_equal

import tiedseq as ts
from tiedseq import nn
from tiedseq.nn.training.options import Options

MOTIF = "TGACTCA"


def examples(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    generator = np.random.default_rng(seed)
    X = random_letters(generator, *generator.integers(20, 40, count))
    y = [["with", "without"][k % 2] for k in range(count)]
    return [MOTIF + x if label == "with" else x for x, label in zip(X, y, strict=True)], y


def net_of(outputs: int = 1, **options: Any) -> nn.Sequential:
    return nn.Sequential(nn.Conv1D(4, 7), nn.ReLU(), nn.GlobalMaxPool(), nn.Dense(outputs), **options)


def row_net(outputs: int, columns: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Dense(outputs), input=nn.Signal(columns, positions=False), dtype="float64")


def table(count: int = 60, columns: int = 4, classes: int = 2) -> tuple[Any, Any]:
    generator = np.random.default_rng(1)
    X = generator.normal(size=(count, columns))
    y = (X @ generator.normal(size=(columns, classes)) + generator.normal(size=(count, classes))).argmax(axis=1)
    return X, y


EXACT: dict[str, Any] = {"optimiser": "lbfgs", "max_epochs": 500, "random_state": 0}


@pytest.mark.small
@pytest.mark.parametrize("made", [nn.Classifier, nn.Labeller, nn.Regressor, nn.Siamese])
def test_fit_takes_the_options_of_the_constructor_and_no_others(made: Any) -> None:
    model = made(net_of() if made is not nn.Labeller else nn.Sequential(nn.Conv1D(1, 3)))
    of_network = {"net", "comparison", "margin"}
    expected = ", ".join(name for name in inspect.signature(made).parameters if name not in of_network)
    other = "class_weight" if made is nn.Regressor else "margin"
    with pytest.raises(ts.ArgumentError) as caught:
        model.fit(["ACGT", "GGCC"], [1.0, 2.0], **{other: 2.0})
    assert str(caught.value) == f"fit() has no option {other!r}; there are {expected}."


# ---- against scikit-learn ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 2.0}])
def test_a_dense_layer_of_one_output_is_logistic_regression(class_weight: Any) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y = table()
    weights = np.random.default_rng(2).uniform(0.5, 2.0, len(y))
    clf = nn.Classifier(row_net(1), weight_decay=0.05, class_weight=class_weight, **EXACT).fit(X, y, weights)
    # sums in place of means: C = 1 / (decay * sum of all weights)
    by_class = np.ones(2)
    if class_weight is not None:
        balanced = weights.sum() / (2 * np.bincount(y, weights))
        by_class = balanced if class_weight == "balanced" else np.array([2.0, 1.0])
    C = 1.0 / (0.05 * (weights * by_class[y]).sum())
    peer = linear_model.LogisticRegression(C=C, tol=1e-12, max_iter=10_000).fit(X, y, weights * by_class[y])
    assert clf.converged_
    assert_allclose(clf.net.parameters["0.dense.weight"][:, 0], peer.coef_[0], rtol=0, atol=1e-6)
    assert_allclose(clf.net.parameters["0.dense.bias"], peer.intercept_, rtol=0, atol=1e-6)
    assert_allclose(clf.predict_proba(X), peer.predict_proba(X), rtol=0, atol=1e-6)
    assert_allclose(clf.decision_function(X), peer.decision_function(X), rtol=0, atol=1e-5)
    assert_array_equal(clf.predict(X), peer.predict(X))
    assert clf.score(X, y, weights) == pytest.approx(peer.score(X, y, weights), rel=1e-12)


def test_a_dense_layer_of_many_outputs_is_multinomial_regression() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, codes = table(classes=3)
    y = np.array(["c", "a", "b"])[codes]
    clf = nn.Classifier(row_net(3), weight_decay=0.05, **EXACT).fit(X, y)
    peer = linear_model.LogisticRegression(C=1.0 / (0.05 * len(y)), tol=1e-12, max_iter=10_000).fit(X, y)
    assert_array_equal(clf.classes_, peer.classes_)
    assert_allclose(clf.predict_proba(X), peer.predict_proba(X), rtol=0, atol=1e-6)
    assert clf.decision_function(X).shape == (len(y), 3)
    two = nn.Classifier(row_net(2), **EXACT).fit(X, codes > 0)
    one = nn.Classifier(row_net(1), **EXACT).fit(X, codes > 0)
    assert_array_equal(two.classes_, [False, True])
    assert_allclose(two.predict_proba(X), one.predict_proba(X), rtol=0, atol=1e-5)
    assert_allclose(two.decision_function(X), one.decision_function(X), rtol=0, atol=1e-3)


def test_a_dense_layer_of_numbers_is_ridge_regression() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, _ = table()
    generator = np.random.default_rng(3)
    weights = generator.uniform(0.5, 2.0, len(X))
    for outputs in (1, 3):
        y = X @ generator.normal(size=(4, outputs)) + generator.normal(size=(len(X), outputs))
        regressor = nn.Regressor(row_net(outputs), weight_decay=0.1, **EXACT).fit(X, y, weights)
        # decay / 2 against a mean of squares over outputs and weights
        peer = linear_model.Ridge(alpha=0.05 * outputs * weights.sum()).fit(X, y, weights)
        assert_allclose(regressor.predict(X), peer.predict(X).reshape(y.shape), rtol=0, atol=1e-6)
        assert regressor.score(X, y, weights) == pytest.approx(peer.score(X, y, weights), rel=1e-6)
    flat = nn.Regressor(row_net(1), **EXACT).fit(X, y[:, 0])
    assert flat.predict(X).shape == (len(X),) and np.ndim(flat.predict(X[0])) == 0


def test_weights_are_as_repeated_sequences() -> None:
    X, y = examples(40)
    options = {**EXACT, "max_epochs": 60, "weight_decay": 0.1}

    def values(X: Any, y: Any, weights: Any = None, **more: Any) -> Any:
        smooth = (nn.Conv1D(2, 3), nn.Tanh(), nn.GlobalMeanPool(), nn.Dense(1))
        net = nn.Sequential(*smooth, dtype="float64")
        return nn.Classifier(net, **options, **more).fit(X, y, weights).predict_proba(X[:5])

    thrice = [k for k in range(40) for _ in range(3 if y[k] == "with" else 1)]
    expected = values([X[k] for k in thrice], [y[k] for k in thrice])
    first = values(X, y, class_weight={"with": 3})
    kept = [k for k in range(40) if k % 7]
    assert_allclose(first[0], expected[0], rtol=0, atol=1e-4)
    assert_allclose(values(X, y, [3.0 if label == "with" else 1.0 for label in y]), first, rtol=0, atol=1e-4)
    without = values([X[k] for k in kept], [y[k] for k in kept])
    assert_array_equal(values(X, y, [float(k % 7 > 0) for k in range(40)])[1:4], without[:3])


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_what_has_weight_zero_might_as_well_not_be_there(class_weight: Any) -> None:
    X, y = examples(40)
    mask = np.array([k % 3 > 0 or k < 9 for k in range(40)], float)
    mask[1::4] = 0.0  # of one class more than of the other
    kept = [k for k in range(40) if mask[k]]
    positions = [[label[k % 4] for k in range(len(x))] for x, label in zip(X, y, strict=True)]
    pairs, same = list(zip(X, X[::-1], strict=True)), [label == "with" for label in y]
    point = nn.Sequential(nn.Conv1D(2, 3), nn.GlobalMaxPool())
    options: dict[str, Any] = {"max_epochs": 2, "random_state": 0, "class_weight": class_weight, "batch_size": 8}
    by_position = nn.Sequential(nn.Conv1D(4, 3, padding="same"))
    for model, given, labels in (
        (nn.Classifier(net_of(), **options), X, y),
        (nn.Labeller(by_position, **options), X, positions),
        (nn.Siamese(point, **options), pairs, same),
    ):
        masked = model.fit(given, labels, mask).net.values.copy()
        assert_array_equal(model.fit([given[k] for k in kept], [labels[k] for k in kept]).net.values, masked)


def test_balanced_classes_count_alike_by_weight() -> None:
    """As if a sequence were there that often; scikit-learn counts so from 1.7."""
    X, y = table(30)
    times = np.random.default_rng(3).integers(1, 4, len(y))
    model = nn.Classifier(row_net(1), weight_decay=0.05, class_weight="balanced", **EXACT)
    expected = model.fit(np.repeat(X, times, axis=0), np.repeat(y, times)).predict_proba(X)
    assert_allclose(model.fit(X, y, times).predict_proba(X), expected, rtol=0, atol=1e-6)
    with pytest.raises(ts.ArgumentError, match=r"sample_weight=, of whose sum class 1 has 1\.\d+e-311 only"):
        model.fit(X, y, np.where(y == 1, 1e-311, 1.0))


# ---- conventions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [nn.Classifier, nn.Labeller, nn.Regressor, nn.Siamese])
def test_every_argument_is_an_option_of_training_with_its_default(estimator: Any) -> None:
    of_constructor = {name: each.default for name, each in inspect.signature(estimator).parameters.items()}
    for own in ("net", "comparison", "margin"):
        of_constructor.pop(own, None)
    options = asdict(Options())
    if estimator is nn.Regressor:
        del options["class_weight"]
    assert of_constructor == options


def test_scikit_learn_clones_searches_and_validates() -> None:
    base, selection = pytest.importorskip("sklearn.base"), pytest.importorskip("sklearn.model_selection")
    utils = pytest.importorskip("sklearn.utils.validation")
    X, y = examples(60)
    clf = nn.Classifier(net_of(), max_epochs=25, batch_size=8, learning_rate=0.02, random_state=0)
    other = base.clone(clf)
    assert other.net is not clf.net and other.get_params()["max_epochs"] == 25
    assert base.is_classifier(clf) and base.is_regressor(nn.Regressor(net_of()))
    with pytest.raises(Exception, match="not fitted"):
        utils.check_is_fitted(clf)
    scores = selection.cross_val_score(clf, X, y, cv=3, scoring="roc_auc")
    assert scores.shape == (3,) and scores.mean() > 0.9
    search = selection.GridSearchCV(clf, {"net": [net_of(), net_of(2)], "learning_rate": [1e-5, 0.02]}, cv=2).fit(X, y)
    assert search.best_params_["learning_rate"] == 0.02
    assert_array_equal(search.best_estimator_.fit(X, y).predict(X), search.predict(X))
    utils.check_is_fitted(search.best_estimator_)
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert_array_equal(again.predict_proba(X), search.predict_proba(X))
    assert clf.set_params(max_epochs=3) is clf and clf.options.max_epochs == 3


def test_workers_are_shared_by_copies_and_not_pickled() -> None:
    """They live in this process, and no result depends on them."""
    base, selection = pytest.importorskip("sklearn.base"), pytest.importorskip("sklearn.model_selection")
    X, y = examples(20)
    pairs = list(zip(X, X[::-1], strict=True))
    point = nn.Sequential(nn.Conv1D(2, 3), nn.GlobalMaxPool())
    hmm, pairhmm = ts.HMM.ergodic(2, alphabet=ts.DNA, random_state=0), ts.PairHMM.affine()
    with ThreadPoolExecutor(2) as pool:
        cases: list[tuple[Any, tuple[Any, ...]]] = [
            (nn.Classifier(net_of(), max_epochs=2, random_state=0, executor=pool), (X, y)),
            (nn.Siamese(point, max_epochs=2, random_state=0, executor=pool), (pairs, [k % 2 for k in range(20)])),
            (hmm.set_params(max_iter=2, tol=0, executor=pool), (X,)),
            (pairhmm.set_params(max_iter=2, tol=0, executor=pool), (pairs,)),
        ]
        for model, data in cases:
            model.fit(*data)
            kept = pickle.loads(pickle.dumps(model))
            assert kept.get_params()["executor"] is None and kept.options.executor is None
            made = base.clone(model)
            assert not made.history_ and repr(made.get_params()) == repr(model.get_params())
            copies = [copy.copy(model), *copy.deepcopy((model, model))]
            assert copies[1] is copies[2] and copies[1].history_ is not model.history_
            for other in (made, *copies):
                assert other.get_params()["executor"] is pool and other.options.executor is pool
            for other in (kept, *copies):
                assert other.history_ == model.history_
            for other in (kept, made, copies[1]):
                assert other.fit(*data).history_ == model.history_
        assert selection.cross_val_score(cases[0][0], X, y, cv=2).shape == (2,)
        assert selection.cross_val_score(cases[2][0], X, cv=2, n_jobs=2).shape == (2,)
    by_number = nn.Classifier(net_of(), executor=2)
    assert pickle.loads(pickle.dumps(by_number)).options.executor == base.clone(by_number).options.executor == 2


def test_scikit_learn_cuts_the_sequences_of_labellers_into_folds() -> None:
    """Their labels are no class a sequence, by which folds could be stratified."""
    base, selection = pytest.importorskip("sklearn.base"), pytest.importorskip("sklearn.model_selection")
    X = random_letters(np.random.default_rng(4), *range(9, 21))
    y = [["s" if letter in "CG" else "w" for letter in x] for x in X]
    model = nn.Labeller(nn.Sequential(nn.Conv1D(1, 1)), max_epochs=80, learning_rate=0.2, random_state=0)
    assert not base.is_classifier(model) and not hasattr(model, "_estimator_type")
    labels: Any
    for labels in (y, ["".join(each) for each in y]):
        scores = selection.cross_val_score(model, X, labels, cv=2)
        whole = selection.KFold(2).split(X)
        by_hand = [
            base.clone(model).fit([X[k] for k in a], [labels[k] for k in a]).score([X[k] for k in b], [y[k] for k in b])
            for a, b in whole
        ]
        assert_array_equal(scores, by_hand)
        search = selection.GridSearchCV(model, {"learning_rate": [1e-6, 0.2]}, cv=2).fit(X, labels)
        assert search.best_params_ == {"learning_rate": 0.2} and search.best_score_ == scores.mean() > 0.9


def test_the_given_network_is_trained_and_shown() -> None:
    X, y = examples(20)
    net = net_of()
    before = net.values.copy()
    clf = nn.Classifier(net, max_epochs=2, random_state=0)
    assert clf.fit(X, y) is clf and clf.net is net and np.abs(net.values - before).max() > 0
    assert repr(clf).endswith("), max_epochs=2, random_state=0)  # 121 free parameters")
    assert repr(clf).startswith("nn.Classifier(nn.Sequential(\n    nn.Conv1D(4, width=7)")


def test_labels_and_sequences_in_many_forms() -> None:
    pandas = pytest.importorskip("pandas")
    X, y = examples(20)
    expected = nn.Classifier(net_of(), max_epochs=2, random_state=0).fit(X, y)
    codes = [ts.DNA.encode(x) for x in X]
    frame = pandas.DataFrame({"sequence": X, "label": y}, index=range(5, 25))
    records = [ts.Record(f"r{k}", x) for k, x in enumerate(X)]
    for form in (tuple(X), np.array(X), np.array(X, object), frame["sequence"], codes, records):
        clf = nn.Classifier(net_of(), max_epochs=2, random_state=0).fit(form, frame["label"])
        assert_array_equal(clf.net.values, expected.net.values)
        assert_array_equal(clf.predict(form), expected.predict(X))
    assert expected.predict(X[0]) in ("with", "without") and expected.predict_proba(X[0]).shape == (2,)
    assert np.ndim(expected.decision_function(X[0])) == 0 and expected.score(X[0], expected.predict(X[0])) == 1.0
    for labels in (np.arange(20) % 2, [k % 2 for k in range(20)], np.arange(20) % 2 == 1, 2.0 * (np.arange(20) % 2)):
        clf = nn.Classifier(net_of(), max_epochs=1, random_state=0).fit(X, labels)
        assert_array_equal(clf.classes_, np.unique(labels))
        assert clf.predict(X).dtype == np.asarray(labels).dtype
    whole = pandas.Series([0, 1] * 10, dtype="Int64")
    assert nn.Classifier(net_of(), max_epochs=1).fit(X, whole).classes_.tolist() == [0, 1]
    for missing in (pandas.Series(["a", pandas.NA] * 10), pandas.Series([0, pandas.NA] * 10, dtype="Int64")):
        with pytest.raises(ts.ArgumentError, match=r"y\[1\] is None|y\[1\] is nan"):
            clf.fit(X, missing)
    categories = frame["label"].astype("category")
    assert nn.Classifier(net_of(), max_epochs=1).fit(X, categories).classes_.tolist() == ["with", "without"]


def test_warm_start_keeps_the_classes() -> None:
    X, y = examples(20)
    clf = nn.Classifier(net_of(), max_epochs=2, random_state=0, warm_start=True).fit(X, y)
    clf.fit(X[::2], y[::2])  # one class of the two
    assert clf.classes_.tolist() == ["with", "without"]
    with pytest.raises(ts.ArgumentError, match="y holds 'new'; the model's classes are 'with', 'without'"):
        clf.fit(X, ["new", *y[1:]])
    assert clf.fit(X, [0, 1] * 10, warm_start=False).classes_.tolist() == [0, 1]


# ---- positions -----------------------------------------------------------------------------------------------------


def position_net(outputs: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv1D(outputs, 3, padding="same"), dtype="float64")


def labelled(count: int = 12) -> tuple[list[str], list[str]]:
    X = random_letters(np.random.default_rng(4), *range(10, 10 + count))
    return X, ["".join("s" if letter in "GC" else "w" for letter in x) for x in X]


def test_a_labeller_learns_a_class_a_position() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y = labelled()
    labeller = nn.Labeller(position_net(), weight_decay=0.01, **EXACT).fit(X, y)
    windows = [("N" * 1 + x + "N" * 1)[k : k + 3] for x in X for k in range(len(x))]
    one_hot = nn.Sequential(nn.OneHot(), nn.Flatten(), length=3, dtype="float64")
    inside = np.ones((len(windows), 3))
    ends = np.cumsum([0, *map(len, X)])
    inside[ends[:-1], 0], inside[ends[1:] - 1, 2] = 0.0, 0.0  # beyond the ends are zeros
    features = one_hot(windows) * np.repeat(inside, 4, axis=1)
    labels = list("".join(y))
    peer = linear_model.LogisticRegression(C=1.0 / (0.01 * len(labels)), tol=1e-12, max_iter=10_000)
    peer.fit(features, labels)
    found = labeller.predict_proba(X)
    assert [each.shape for each in found] == [(len(x), 2) for x in X]
    assert_allclose(np.concatenate(found), peer.predict_proba(features), rtol=0, atol=1e-6)
    assert labeller.score(X, y) == pytest.approx(peer.score(features, labels), rel=1e-12)
    assert_array_equal(labeller.predict(X[0]), labeller.predict(X)[0])
    assert labeller.predict_proba(X[0]).shape == (len(X[0]), 2)


def test_one_sequence_with_its_labels_is_enough_for_a_labeller() -> None:
    X, y = labelled(1)
    one = nn.Labeller(position_net(), max_epochs=2, random_state=0).fit(X[0], y[0])
    assert_array_equal(one.net.values, nn.Labeller(position_net(), max_epochs=2, random_state=0).fit(X, y).net.values)
    assert one.score(X[0], y[0]) == one.score(X, y)


@pytest.mark.parametrize("unknown", [None, -1])
def test_unknown_labels_do_not_count(unknown: Any) -> None:
    X, text = labelled()
    y: list[Any] = [[int(letter == "s") for letter in each] for each in text]
    cut = [list(each) for each in y]
    for number, each in enumerate(cut):
        each[number % 7] = unknown
    cut[3] = [unknown] * len(cut[3])
    wrong = [
        [1 - a if b is unknown else a for a, b in zip(one, two, strict=True)] for one, two in zip(y, cut, strict=True)
    ]
    options = {**EXACT, "weight_decay": 0.01, "class_weight": "balanced"}
    first = nn.Labeller(position_net(2), **options).fit(X, cut)
    # the objective written out with the same labels, elsewhere as they are: known ones only
    rest = [k for k in range(12) if k != 3]
    second = nn.Labeller(position_net(2), **options).fit([X[k] for k in rest], [cut[k] for k in rest])
    assert_array_equal(first.net.values, second.net.values)
    assert first.classes_.tolist() == [0, 1]
    assert first.score(X, cut) > first.score(X, wrong)
    if unknown == -1:
        arrays = nn.Labeller(position_net(2), **options).fit(X, [np.array(each) for each in cut])
        assert_array_equal(arrays.net.values, first.net.values)


def test_a_labeller_balances_positions() -> None:
    X, y = labelled()
    y = ["s" + "w" * (len(x) - 1) for x in X]
    counts = {"s": len(X), "w": sum(map(len, X)) - len(X)}
    total = sum(counts.values())
    by_hand = {label: total / (2 * count) for label, count in counts.items()}
    found = [
        nn.Labeller(position_net(), weight_decay=0.01, class_weight=given, **EXACT).fit(X, y).predict_proba(X[0])
        for given in ("balanced", by_hand, None)
    ]
    assert_allclose(found[0], found[1], rtol=0, atol=1e-12)
    assert found[0][:, 0].mean() > 2 * found[2][:, 0].mean()


def test_a_regressor_learns_numbers_at_positions() -> None:
    generator = np.random.default_rng(5)
    X = [generator.normal(size=(length, 2)) for length in (9, 12, 30)]
    y = [x @ [0.5, -2.0] + 1.0 for x in X]
    net = nn.Sequential(nn.Conv1D(1, 1), input=2, dtype="float64")
    regressor = nn.Regressor(net, **EXACT).fit(X, y)
    assert_allclose(net.values, [0.5, -2.0, 1.0], rtol=0, atol=1e-6)
    assert_allclose(regressor.predict(X)[1], y[1], rtol=0, atol=1e-6)
    assert regressor.score(X, y) == pytest.approx(1.0, abs=1e-10)


# ---- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a"] * 4, "y holds one class only, 'a'; at least two are needed"),
        (["a", "b", None, "a"], r"y\[2\] is None: leave out sequences without a label"),
        ([0.0, 1.0, float("nan"), 1.0], r"y\[2\] is nan: leave out sequences without a label"),
        (["a", float("nan"), "b", "b"], r"y\[1\] is nan: leave out sequences without a label"),
        ([0, 1, 1, float("inf")], r"y\[3\] is inf: leave out sequences without a label"),
        ([1.0, 0.5, 0.0, 1.0], r"y\[1\] is 0\.5; .* use nn\.Regressor"),
        (["a", "b", 0.5, "b"], r"y\[2\] is 0\.5; labels are text or whole numbers"),
        ([0, 1, 0], "y has 3 entries, and X has 4 sequences"),
        ([[0, 1]] * 4, r"y has the shape \(4, 2\); give one label a sequence"),
        ([[0], [1, 2], [1], [0]], "y is ragged"),
        (["a", 1, "b", 2], "y mixes labels that do not compare"),
        ("abab", "y is of type str; give a list"),
        (None, "y is None"),
        ([b"a", b"b"] * 2, "y is of dtype .S1; labels are text or whole numbers"),
        ([("a", 1), ("b", 2)] * 2, "y has the shape"),
        (np.array([1j, 2]), "y is of dtype complex128"),
        ([{}, 1, 2, 3], "y holds {}, a dict"),
        (3, "y is of type int"),
        ([], "y has 0 entries"),
    ],
)
def test_labels_that_are_none_are_refused(y: Any, message: str) -> None:
    net = net_of(random_state=0)
    before = net.values.copy()
    with pytest.raises(ts.ArgumentError, match=message):
        nn.Classifier(net).fit(["ACGTACGTAA"] * 4, y)
    assert_array_equal(net.values, before)


@pytest.mark.small
@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([[0, 1, 1], [0, 1, float("nan"), 0]], r"^y\[1\]\[2\] is nan: write None or -1 where a label is not known"),
        ([list("aba"), ["b", float("nan"), "b", "b"]], r"^y\[1\]\[1\] is nan: write None or -1"),
        ([np.array([0, 1, -np.inf]), [0, 1, 0, 1]], r"^y\[0\]\[2\] is -inf: write None or -1"),
        ([[0, 1, 1], [0, 0.5, 1, 0]], r"^y\[1\]\[1\] is 0\.5; labels are text .* use nn\.Regressor"),
    ],
)
def test_labels_of_positions_that_are_none_are_refused(y: Any, message: str) -> None:
    labeller = nn.Labeller(nn.Sequential(nn.Conv1D(1, 1)), max_epochs=1, random_state=0)
    with pytest.raises(ts.ArgumentError, match=message):
        labeller.fit(["ACG", "ACGT"], y)
    with pytest.raises(ts.ArgumentError, match=message.replace(r"y\[1\]", "y").replace(r"y\[0\]", "y")):
        labeller.fit("ACGT" if r"^y\[1\]" in message else "ACG", y[1] if r"^y\[1\]" in message else y[0])
    labeller.fit(["ACG", "ACGT"], [[0, 1, None], [-1, 1, 0, 1]])
    with pytest.raises(ts.ArgumentError, match=message):
        labeller.score(["ACG", "ACGT"], y)


def test_networks_that_do_not_fit_are_refused() -> None:
    X, y = examples(9)
    with pytest.raises(ts.ModelError, match=r"3 outputs, and y has 2 classes \('with', 'without'\): .*Dense\(1\) or"):
        nn.Classifier(net_of(3)).fit(X, y)
    with pytest.raises(ts.ModelError, match=r"1 output, and y has 3 classes \(0, 1, 2\): end .* nn\.Dense\(3\)"):
        nn.Classifier(net_of(1)).fit(X, [0, 1, 2] * 3)
    with pytest.raises(ts.ModelError, match=r"leaves positions: put an nn\.GlobalMaxPool"):
        nn.Classifier(position_net()).fit(X, y)
    with pytest.raises(ts.ModelError, match=r"no weights, so that there is nothing to learn"):
        nn.Classifier(nn.Sequential(nn.OneHot(), nn.GlobalMeanPool())).fit(X, y)
    with pytest.raises(ts.ModelError, match=r"leaves none: .* nn\.Classifier"):
        nn.Labeller(net_of()).fit(X, X)
    with pytest.raises(ts.ModelError, match=r"1 output, and y has 2 numbers each: .* nn\.Dense\(2\)"):
        nn.Regressor(net_of()).fit(X, np.zeros((9, 2)))


def test_sequences_that_do_not_fit_are_named() -> None:
    X, y = examples(50)
    X[37] = "ACGT"
    with pytest.raises(ts.SequenceError, match="Sequence 37: a sequence of 4 positions is shorter than the reach"):
        nn.Classifier(net_of()).fit(X, y)
    with pytest.raises(ts.SequenceError, match="Sequence 37 of validation: a sequence of 4"):
        nn.Classifier(net_of()).fit(*examples(50), validation=(X, y))
    clf = nn.Classifier(net_of(), max_epochs=1).fit(*examples(50))
    with pytest.raises(ts.SequenceError, match="Sequence 37: a sequence of 4 positions"):
        clf.predict(X)
    X[37] = "ACG!ACGTACGT"
    with pytest.raises(ts.SequenceError, match="Sequence 37: "):
        clf.fit(X, y)
    flat = nn.Sequential(nn.OneHot(), nn.Flatten(), nn.Dense(1), length=12)
    with pytest.raises(ts.SequenceError, match=r"Sequence 0: it has .* the network takes length=12"):
        nn.Classifier(flat).fit(*examples(4))
    with pytest.raises(ts.ArgumentError, match="X holds no sequence"):
        nn.Classifier(net_of()).fit([], [])
    with pytest.raises(ts.ArgumentError, match="X holds no row"):
        nn.Classifier(row_net(1)).fit(np.zeros((0, 4)), [])
    with pytest.raises(ts.SequenceError, match="Row 1 holds numbers that are not finite"):
        nn.Classifier(row_net(1)).fit([[0.0] * 4, [np.inf] * 4], [0, 1])


def test_outputs_that_overflow_are_refused() -> None:
    X, y = table()
    clf = nn.Classifier(row_net(1), **EXACT, weight_decay=0.01).fit(X, y)
    X[13] = 1e308
    with pytest.raises(ts.SequenceError, match="The output for sequence 13 is not finite"):
        clf.predict(X)


def test_other_arguments_are_refused() -> None:
    X, y = examples(10)
    clf = nn.Classifier(net_of(), random_state=0, max_epochs=1)
    with pytest.raises(ts.ArgumentError, match=r"nn\.Classifier has learnt nothing yet: call fit"):
        clf.predict(X)
    with pytest.raises(ts.ArgumentError, match="class_weight= names 'new'; the classes are 'with', 'without'"):
        clf.fit(X, y, class_weight={"new": 1.0})
    with pytest.raises(ts.ArgumentError, match=r"class_weight\['with'\] is -1"):
        clf.fit(X, y, class_weight={"with": -1})
    with pytest.raises(ts.ArgumentError, match=r"sample_weight\[2\] is nan"):
        clf.fit(X, y, [1.0, 1.0, np.nan] + [1.0] * 7)
    with pytest.raises(ts.ArgumentError, match="sample_weight has 3 entries"):
        clf.fit(X, y, [1.0, 1.0, 1.0])
    with pytest.raises(ts.ArgumentError, match="0 everywhere"):
        clf.fit(X, y, np.zeros(10))
    with pytest.raises(ts.ArgumentError, match="leaves none to learn from"):
        clf.fit(X[:2], y[:2], validation=0.9)
    with pytest.raises(ts.ArgumentError, match="y holds 'else'; the model's classes"):
        clf.fit(X, y, validation=(X, ["else"] * 10))
    regressor = nn.Regressor(net_of(), max_epochs=1)
    with pytest.raises(ts.ArgumentError, match=r"y\[1\] is inf, which is not finite"):
        regressor.fit(X[:2], [0.0, np.inf])
    with pytest.raises(ts.ArgumentError, match="y must hold numbers"):
        regressor.fit(X[:2], ["a", "b"])
    for constant in (1.0, 0.1, 1 / 3):  # of which means are right only up to rounding
        with pytest.raises(ts.ArgumentError, match="y is constant"):
            regressor.fit(X, np.arange(10.0)).score(X, np.full(10, constant))
    with pytest.raises(ts.ArgumentError, match="y is constant"):
        regressor.score(X, np.arange(10.0), [1.0] + [0.0] * 9)
    for size in (1e-200, 1e-160):
        with pytest.raises(ts.ArgumentError, match="squares are beyond float64"):
            regressor.score(X, np.arange(10.0) * size)


def test_labels_of_positions_that_do_not_fit_are_refused() -> None:
    X, y = labelled()
    labeller = nn.Labeller(position_net(), **EXACT)
    with pytest.raises(
        ts.ArgumentError, match=r"y\[3\] has 2 labels, and the network leaves 13 positions of sequence 3"
    ):
        labeller.fit(X, [*y[:3], "sw", *y[4:]])
    with pytest.raises(ts.ArgumentError, match="y holds one class only, 's'"):
        labeller.fit(X, ["s" * len(x) for x in X])
    with pytest.raises(ts.ArgumentError, match="no label that is known"):
        labeller.fit(X, [[None] * len(x) for x in X])
    with pytest.raises(ts.ArgumentError, match="y has 11 entries, and X has 12 sequences"):
        labeller.fit(X, y[:-1])
    with pytest.raises(ts.ArgumentError, match="y is of type str"):
        labeller.fit(X, "swsw")
    with pytest.raises(ts.ArgumentError, match=r"y\[0\]\[0\] is nan: write None or -1"):
        labeller.fit(X, [np.full(len(x), np.nan) for x in X])


@pytest.mark.parametrize("size", [1e-300, 1e-50, 1e50, 1e308])
def test_only_the_ratios_of_weights_count(size: float) -> None:
    X, y = ["ACGTATAACG", "GGTATACC", "CCGTGTCC", "ACGTGTGA"] * 2, [0, 0, 1, 1] * 2
    net = nn.Sequential(nn.Conv1D(2, 3), nn.ReLU(), nn.GlobalMaxPool(), nn.Dense(1), dtype="float32")
    weights = np.array([1.0, 0.5, 0.25, 1.0] * 2)
    histories = []
    for factor in (1.0, size):
        clf = nn.Classifier(net, max_epochs=4, random_state=0).fit(X, y, weights * factor)
        histories.append(clf.history_)
        assert clf.score(X, y, weights * factor) == pytest.approx(clf.score(X, y, weights), rel=1e-12)
    np.testing.assert_allclose(histories[1], histories[0], rtol=1e-6)
    by_class = nn.Classifier(net, max_epochs=4, random_state=0, class_weight={0: size, 1: size}).fit(X, y, weights)
    np.testing.assert_allclose(by_class.history_, histories[0], rtol=1e-6)
