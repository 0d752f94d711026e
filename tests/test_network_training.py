"""How networks are trained: losses, optimisers, the objective, threads, interruptions."""

from __future__ import annotations

import json
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from network_checks import damage, random_letters
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

import tiedseq as ts
from tiedseq import nn
from tiedseq.nn.prediction import shards
from tiedseq.nn.training import losses
from tiedseq.nn.training.minibatches import Samples, minibatches
from tiedseq.nn.training.objective import Objective
from tiedseq.nn.training.optimisers import Adam

MOTIF = "TGACTCA"


def examples(count: int, seed: int = 0, ragged: bool = True) -> tuple[list[str], list[str]]:
    """Sequences with and without a motif."""
    generator = np.random.default_rng(seed)
    X = random_letters(generator, *(generator.integers(20, 40, count) if ragged else [30] * count))
    y = [["with", "without"][k % 2] for k in range(count)]
    return [MOTIF + x if label == "with" else x for x, label in zip(X, y, strict=True)], y


def small(**options: Any) -> nn.Sequential:
    return nn.Sequential(nn.Conv1D(4, 7), nn.ReLU(), nn.GlobalMaxPool(), nn.Dropout(0.2), nn.Dense(1), **options)


class Interruption(Exception):
    pass


def interrupt_after(epoch: int) -> Any:
    def callback(now: nn.Epoch) -> None:
        if now.epoch == epoch:
            raise Interruption

    return callback


# ---- losses --------------------------------------------------------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize("places", [(5,), (2, 3)])
@pytest.mark.parametrize("name", ["logistic", "cross_entropy", "squared_error"])
def test_gradients_of_losses_equal_central_differences(name: str, places: tuple[int, ...]) -> None:
    generator = np.random.default_rng(1)
    outputs = 1 if name == "logistic" else 3
    loss = getattr(losses, name)
    scores, weights = 2.0 * generator.normal(size=(*places, outputs)), generator.uniform(0.5, 2.0, places)
    targets = generator.normal(size=scores.shape) if name == "squared_error" else generator.integers(0, 2, places)
    weights.flat[1] = 0.0  # unknown
    gradient = loss(scores, targets, weights)[1]
    for index in np.ndindex(scores.shape):
        step = np.zeros_like(scores)
        step[index] = 1e-6
        difference = (loss(scores + step, targets, weights)[0] - loss(scores - step, targets, weights)[0]) / 2e-6
        assert_allclose(gradient[index], difference, rtol=1e-7, atol=1e-8)


@pytest.mark.small
def test_losses_equal_their_definitions() -> None:
    generator = np.random.default_rng(2)
    scores, weights = generator.normal(size=(6, 3)), generator.uniform(0.5, 2.0, 6)
    targets = generator.integers(0, 3, 6)
    log_p = special.log_softmax(scores, axis=1)[np.arange(6), targets]
    assert_allclose(losses.cross_entropy(scores, targets, weights)[0], -(weights * log_p).sum(), rtol=1e-12, atol=0)
    signs = np.where(targets > 0, 1.0, -1.0)
    expected = -(weights * special.log_expit(signs * scores[:, 0])).sum()
    found = losses.logistic(scores[:, :1], (targets > 0).astype(int), weights)[0]
    assert_allclose(found, expected, rtol=1e-12, atol=0)
    two = np.column_stack([np.zeros(6), scores[:, 0]])  # two outputs, of which the first is held at zero
    assert_allclose(losses.cross_entropy(two, (targets > 0).astype(int), weights)[0], expected, rtol=1e-12, atol=0)
    assert_allclose(losses.probabilities(scores[:, :1])[:, 1], special.expit(scores[:, 0]), rtol=1e-12, atol=0)


@pytest.mark.small
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_scores_give_no_nan(dtype: Any) -> None:
    large = float(np.finfo(dtype).max) / 8.0  # the sum of several losses is finite too
    scores = np.array([[large, -large], [-large, large], [large, large]], dtype)
    for loss in (losses.logistic, losses.cross_entropy):
        value, gradient = loss(scores[:, :1] if loss is losses.logistic else scores, np.array([0, 1, 1]), np.ones(3))
        assert value > 0 and np.isfinite(gradient).all() and np.abs(gradient).max() <= 1
    assert np.isfinite(losses.probabilities(scores)).all() and np.isfinite(losses.probabilities(scores[:, :1])).all()


# ---- optimisers ----------------------------------------------------------------------------------------------------


@pytest.mark.small
def test_adam_steps_as_published() -> None:
    """Against the recursion of the paper, written out."""
    generator = np.random.default_rng(3)
    adam, values, expected = Adam(0.01, 4), np.ones(4), np.ones(4)
    first, second = np.zeros(4), np.zeros(4)
    for t in range(1, 8):
        gradient = generator.normal(size=4)
        values = adam.step(values, gradient)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        expected = expected - 0.01 * (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
    assert_allclose(values, expected, rtol=1e-12, atol=0)


# ---- the objective -------------------------------------------------------------------------------------------------


@pytest.mark.small
def test_the_objective_is_the_weighted_mean_and_each_free_value_decays_once() -> None:
    net = nn.Sequential(
        nn.Conv1D(4, 3, symmetry="reverse-complement"), nn.Tanh(), nn.GlobalMeanPool(), nn.Dense(1), dtype="float64"
    )
    X = random_letters(np.random.default_rng(4), 12, 9, 15, 11)
    codes, weights = np.array([0, 1, 1, 0]), np.array([1.0, 2.0, 0.5, 3.0])
    sequences = [ts.DNA.encode(x) for x in X]
    samples = Samples(sequences, codes, weights, np.arange(4))
    objective = Objective(net, losses.logistic, samples, 0.3, map)
    value, gradient = objective.of(net.values, np.arange(4), None)
    signs = np.where(codes == 1, 1.0, -1.0)
    mean = np.average(-special.log_expit(signs * net(X)[:, 0]), weights=weights)
    biases = np.concatenate([np.zeros(24), np.ones(2), np.zeros(2), np.ones(1)]) > 0  # 2 filters of 12; 2; 2 of 4; 1
    assert_allclose(value, mean + 0.15 * (net.values[~biases] ** 2).sum(), rtol=1e-12, atol=0)
    for number in range(net.n_parameters):
        step = np.zeros(net.n_parameters)
        step[number] = 1e-5
        ahead, behind = (objective.of(net.values + sign * step, np.arange(4), None)[0] for sign in (1, -1))
        assert_allclose(gradient[number], (ahead - behind) / 2e-5, rtol=1e-7, atol=1e-8)


@pytest.mark.small
def test_a_weight_is_that_many_sequences_in_the_objective() -> None:
    net = nn.Sequential(nn.Conv1D(2, 3), nn.Tanh(), nn.GlobalMeanPool(), nn.Dense(3), dtype="float64", random_state=0)
    sequences = [ts.DNA.encode(x) for x in random_letters(np.random.default_rng(4), 12, 9, 15, 11)]
    codes, times = np.array([0, 2, 1, 0]), np.array([1, 3, 0, 2])
    repeated = np.repeat(np.arange(4), times)
    found = []
    for index, weights in ((np.arange(4), times.astype(float)), (repeated, np.ones(6))):
        samples = Samples([sequences[k] for k in index], codes[index], weights, index)
        found.append(Objective(net, losses.cross_entropy, samples, 0.3, map))
    # the divisor counts sequences with a weight, times their mean weight: of all it is the sum of weights
    first, second = (each.of(net.values, np.arange(len(each.samples)), None) for each in found)
    assert_allclose(first[0], second[0], rtol=1e-12, atol=0)
    assert_allclose(first[1], second[1], rtol=1e-12, atol=1e-14)
    assert_allclose(found[0].mean_loss(net.values), found[1].mean_loss(net.values), rtol=1e-12, atol=0)


@pytest.mark.small
@pytest.mark.parametrize("places", ["one a sequence", "one a position"])
def test_minibatches_average_to_the_objective_of_all(places: str) -> None:
    """Each counts as its number of places: classes weigh in every minibatch as they do in all, whatever it holds."""
    pool = (nn.GlobalMeanPool(),) if places == "one a sequence" else ()
    layers = (nn.Conv1D(2, 3, padding="same"), nn.Tanh(), *pool, nn.Dense(3))
    net = nn.Sequential(*layers, dtype="float64", random_state=0)
    lengths = (12, 9, 15, 11, 8, 20, 7)
    sequences = [ts.DNA.encode(x) for x in random_letters(np.random.default_rng(4), *lengths)]
    of_class = np.array([0.25, 1.0, 4.0])
    codes: Any = np.array([0, 0, 2, 1, 0, 2, 0])
    weights: Any = of_class[codes]
    weights[4] = 0.0  # unknown
    if places == "one a position":
        codes = [np.random.default_rng(k).integers(0, 3, length) for k, length in enumerate(lengths)]
        weights = [of_class[code] for code in codes]
        weights[1][:5] = 0.0
    samples = Samples(sequences, codes, weights, np.arange(7))
    objective = Objective(net, losses.cross_entropy, samples, 0.3, map)
    whole = objective.of(net.values, np.arange(7), None)
    cuts = [np.array(cut) for cut in ([0, 1, 4], [5, 2], [3, 6])]  # weights differ within each and between them
    parts = [objective.of(net.values, cut, None) for cut in cuts]
    counts = [np.sum([np.count_nonzero(weights[k]) for k in cut]) for cut in cuts]
    assert_allclose(np.average([part[0] for part in parts], weights=counts), whole[0], rtol=1e-12, atol=0)
    mean = np.average([part[1] for part in parts], axis=0, weights=counts)
    assert_allclose(mean, whole[1], rtol=1e-12, atol=1e-14)


@pytest.mark.small
def test_what_layers_add_is_part_of_the_objective() -> None:
    class Drawn(nn.Dense):
        def penalty(self, weights: Any) -> Any:
            return 5.0 * float((weights[0] ** 2).sum()), [10.0 * weights[0], np.zeros_like(weights[1])]

    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20.0)

    def fitted(layer: nn.Layer, **options: Any) -> nn.Sequential:
        net = nn.Sequential(layer, input=nn.Signal(3, positions=False), dtype="float64")
        nn.Regressor(net, optimiser="lbfgs", max_epochs=200, random_state=0, **options).fit(X, y)
        return net

    assert_allclose(fitted(Drawn(1)).values, fitted(nn.Dense(1), weight_decay=10.0).values, rtol=1e-6, atol=1e-8)


# ---- minibatches ---------------------------------------------------------------------------------------------------


@pytest.mark.small
def test_minibatches_hold_everything_once_and_like_lengths_together() -> None:
    lengths = np.random.default_rng(5).integers(50, 2000, 1000)
    seen = minibatches(lengths, 64, np.random.default_rng(1))
    assert_array_equal(np.sort(np.concatenate(seen)), np.arange(1000))
    assert {len(each) for each in seen} == {64, 1000 % 64}
    assert np.mean([np.ptp(lengths[each]) for each in seen]) < 0.25 * np.ptp(lengths)
    firsts = [int(lengths[each].mean()) for each in seen]
    assert firsts != sorted(firsts)
    again = minibatches(lengths, 64, np.random.default_rng(2))
    assert {frozenset(each.tolist()) for each in again} != {frozenset(each.tolist()) for each in seen}


@pytest.mark.small
def test_shards_are_bounded_in_sequences_and_positions() -> None:
    lengths = np.array([10] * 40 + [100_000] * 3 + [1_000_000])
    cuts = list(shards(lengths, np.arange(44)))
    assert_array_equal(np.sort(np.concatenate(cuts)), np.arange(44))
    assert max(map(len, cuts)) <= 16
    assert all(len(cut) == 1 or len(cut) * lengths[cut].max() <= 1 << 18 for cut in cuts)


# ---- training ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_any_number_of_threads_gives_the_same_bits(optimiser: str) -> None:
    X, y = examples(150)
    layers = (nn.Conv1D(4, 7), nn.ReLU(), nn.GlobalMaxPool(), *((nn.Dropout(0.2),) if optimiser == "adam" else ()))
    net = nn.Sequential(*layers, nn.Dense(1))
    found = []
    for executor in (None, 2, 3):
        clf = nn.Classifier(net, optimiser=optimiser, max_epochs=4, random_state=0, executor=executor)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ts.ConvergenceWarning)
            clf.fit(X, y)
        found.append((net.values.copy(), clf.history_, clf.predict_proba(X)))
    for values, history, probabilities in found[1:]:
        assert_array_equal(values, found[0][0])
        assert history == found[0][1]
        assert_array_equal(probabilities, found[0][2])


def test_fitting_twice_gives_the_same_and_warm_start_goes_on() -> None:
    X, y = examples(80)
    net = small()
    clf = nn.Classifier(net, max_epochs=3, random_state=0).fit(X, y)
    values, history = net.values.copy(), clf.history_
    assert_array_equal(clf.fit(X, y).net.values, values)
    clf.fit(X, y, warm_start=True)
    assert clf.history_[0] < history[0] and np.abs(net.values - values).max() > 0
    assert np.abs(nn.Classifier(net, max_epochs=3, random_state=1).fit(X, y).net.values - values).max() > 0.01


@pytest.mark.parametrize("random_state", [0, None])
def test_an_interrupted_training_goes_on_to_the_same_bits(tmp_path: Path, random_state: int | None) -> None:
    X, y = examples(100)
    file = tmp_path / "checkpoint"
    options: dict[str, Any] = {"max_epochs": 6, "validation": 0.2, "random_state": random_state}
    net = small(random_state=5)
    before = net.values.copy()
    clf = nn.Classifier(net, checkpoint=file, **options)
    with pytest.raises(Interruption):
        clf.fit(X, y, callback=interrupt_after(3))
    assert_array_equal(net.values, before)
    assert clf.history_ == [] and not hasattr(clf, "classes_")
    assert file.exists()
    kept = file.read_text()
    clf.fit(X, y)
    assert not file.exists() and len(clf.history_) == 6
    values, histories = net.values.copy(), (clf.history_, clf.validation_history_)
    file.write_text(kept)  # the same again from the file, in a new model
    other = nn.Classifier(small(), checkpoint=str(file), executor=2, **options).fit(X, y)
    assert_array_equal(other.net.values, values)
    assert (other.history_, other.validation_history_) == histories
    if random_state is not None:
        whole = nn.Classifier(small(), **options).fit(X, y)
        assert_array_equal(whole.net.values, values)
        assert (whole.history_, whole.validation_history_) == histories


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    X, y = examples(40)
    file = tmp_path / "checkpoint"
    with pytest.raises(Interruption):
        nn.Classifier(small(), checkpoint=file, random_state=0).fit(X, y, callback=interrupt_after(1))
    kept = file.read_text()
    options: dict[str, Any]
    for options in ({"learning_rate": 0.1}, {"random_state": 1}, {"validation": 0.1}, {"weight_decay": 1.0}):
        with pytest.raises(ts.InputError, match="of another model, data or options"):
            nn.Classifier(small(), checkpoint=file, random_state=0).fit(X, y, **options)
    with pytest.raises(ts.InputError, match="of another model, data or options"):
        nn.Classifier(small(), checkpoint=file, random_state=0).fit([*X[:-1], "ACGTACGTACGT"], y)
    file.write_text(kept.replace('"steps"', '"stops"'))
    with pytest.raises(ts.InputError, match="the checkpoint is damaged"):
        nn.Classifier(small(), checkpoint=file, random_state=0).fit(X, y)
    file.write_text(kept)
    with pytest.raises(ts.InputError, match="of another model, data or options"):
        nn.Classifier(small(), checkpoint=file, random_state=0).fit(X, y, optimiser="lbfgs")


@pytest.mark.parametrize("kind", [float, np.float32, np.float64, np.float16])
def test_a_checkpoint_knows_which_part_is_held_out(tmp_path: Path, kind: Any) -> None:
    X, y = examples(40)
    file = tmp_path / "checkpoint"
    clf = nn.Classifier(small(), checkpoint=file, random_state=0, max_epochs=3)
    with pytest.raises(Interruption):
        clf.fit(X, y, validation=kind(0.25), callback=interrupt_after(1))
    with pytest.raises(ts.InputError, match="of another model, data or options"):
        clf.fit(X, y, validation=kind(0.5))
    clf.fit(X, y, validation=0.25)  # the same number
    assert not file.exists() and len(clf.history_) == 3


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_a_training_that_goes_on_takes_no_more_epochs_than_asked_for(tmp_path: Path, optimiser: str) -> None:
    """L-BFGS finds its way to an earlier epoch again; the values of Adam's are gone."""
    X, y = examples(40)
    file = tmp_path / "checkpoint"
    net = nn.Sequential(nn.Conv1D(2, 7), nn.Tanh(), nn.GlobalMeanPool(), nn.Dense(1))
    clf = nn.Classifier(net, optimiser=optimiser)
    options: dict[str, Any] = {"random_state": 0, "checkpoint": file}
    with pytest.raises(Interruption):
        clf.fit(X, y, callback=interrupt_after(3), **options)
    if optimiser == "adam":
        message = r"max_epochs=2 is fewer than the 3 epochs that checkpoint='.*checkpoint' has behind it.* max_epochs=3"
        with pytest.raises(ts.ArgumentError, match=message):
            clf.fit(X, y, max_epochs=2, **options)
        assert len(clf.fit(X, y, max_epochs=3, **options).history_) == 3
    else:
        with pytest.warns(ts.ConvergenceWarning, match="max_epochs=2"):
            assert len(clf.fit(X, y, max_epochs=2, **options).history_) == 2
    assert not file.exists()


DAMAGE: list[tuple[list[Any], list[Any]]] = [
    (["history"], ["", 3, [None]]),
    (["validation_history"], [None, [], [None, 1.0], [{}, 1.0]]),
    (["seed"], [-1, "x", None]),
    (["best_epoch"], [None, 5, []]),
    (["values"], [[1.0], {}, 3, [None]]),
    (["best"], [[1.0], {}, 3]),
    (["adam", "mean"], [[0.0]]),
    (["adam", "square"], [[0.0]]),
    (["adam", "mean", 0], [10**400, None]),
    (["told"], [[1]]),
]
DAMAGE_OF_LBFGS: list[tuple[list[Any], list[Any]]] = [
    (["start"], [[0.0], 1.0, None]),
    (["found", 0], [[1.0, [2.0]], [1.0], 3]),
]
DAMAGED = [
    (optimiser, where, value)
    for optimiser, damage in (("adam", DAMAGE), ("lbfgs", DAMAGE_OF_LBFGS))
    for where, values in damage
    for value in values
]


@pytest.mark.small
@pytest.mark.parametrize(("optimiser", "where", "value"), DAMAGED)
def test_a_damaged_checkpoint_is_refused(optimiser: str, where: list[Any], value: Any, tmp_path: Path) -> None:
    path, (X, y) = tmp_path / "checkpoint", examples(20)

    def net() -> nn.Sequential:
        return nn.Sequential(nn.Conv1D(2, 3), nn.GlobalMaxPool(), nn.Dense(1), dtype="float64")

    def interrupt(epoch: nn.Epoch) -> None:
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"optimiser": optimiser, "validation": 0.2, "checkpoint": path, "random_state": 0}
    with pytest.raises(KeyboardInterrupt):
        nn.Classifier(net(), callback=interrupt, **options).fit(X, y)
    damage(path, where, value)
    with pytest.raises(ts.InputError, match="the checkpoint is damaged: remove it to start anew"):
        nn.Classifier(net(), **options).fit(X, y)


def test_a_checkpoint_does_not_mind_in_which_order_classes_are_named(tmp_path: Path) -> None:
    X, y = examples(40)
    file, weights = tmp_path / "checkpoint", {"with": 2.0, "without": 1.0}
    options: dict[str, Any] = {"checkpoint": file, "random_state": 0, "max_epochs": 3}
    with pytest.raises(Interruption):
        nn.Classifier(small(), class_weight=weights, **options).fit(X, y, callback=interrupt_after(1))
    with pytest.raises(ts.InputError, match="of another model, data or options"):
        nn.Classifier(small(), class_weight={"with": 3.0}, **options).fit(X, y)
    nn.Classifier(small(), class_weight=dict(reversed(weights.items())), **options).fit(X, y)
    assert not file.exists()


def test_a_checkpoint_knows_all_that_a_training_depends_on(tmp_path: Path) -> None:
    """Arguments that a layer's name leaves out, functions, where sequences end, what is validated on, the loss."""
    X, y = ["ACGTACGT", "ACTTACGA", "ACGGACGT", "GCGTACGT"], [0, 1, 0, 1]

    def classifier(*layers: nn.Layer) -> nn.Classifier:
        net = nn.Sequential(*layers, nn.Flatten(), nn.Dense(1), length=8)
        return nn.Classifier(net, max_epochs=3, random_state=0)

    path, ring = np.eye(8, k=1), np.roll(np.eye(8), 1, axis=1)
    labels = np.arange(6 * 3 * 4 * 2).reshape(6, 3, 4, 2) % 48
    others = (["ACGTTTTT", "CCGTTTTT"], [0, 1])
    pairs = list(zip(X, X[::-1], strict=True))
    siamese = [nn.Siamese(nn.Sequential(nn.OneHot(), nn.GlobalMeanPool(), nn.Dense(2)), margin=m) for m in (1, 2)]
    pooled = [nn.Classifier(small(), random_state=0) for _ in range(2)]
    cut = ["A" * 9, "A" * 11, "ACGTACGTAC", "ACGTACTTAC"], ["A" * 11, "A" * 9, "ACGTACGTAC", "ACGTACTTAC"]
    cases: list[tuple[list[Any], list[Any], dict[str, Any]]] = [
        ([classifier(nn.OneHot(), nn.MultiHop(2, 2, graph)) for graph in (path, ring)], [X, X], {}),
        ([classifier(nn.LocallyConnected1D(2, 3, ties=each)) for each in (labels, labels[::-1])], [X, X], {}),
        ([classifier(nn.Conv1D(2, 3, symmetry=f)) for f in (lambda w: w[::-1], lambda w: w[[1, 0, 2]])], [X, X], {}),
        ([classifier(nn.OneHot(), nn.Residual(nn.Dense(4), step=s)) for s in (0.3, 0.3000000001)], [X, X], {}),
        ([classifier(nn.Conv1D(2, 3)) for _ in range(2)], [X, X], {"validation": others}),
        (siamese, [pairs, pairs], {}),
        (pooled, list(cut), {}),
    ]
    for number, ((one, other), (of_one, of_other), options) in enumerate(cases):
        file = tmp_path / str(number)
        with pytest.raises(Interruption):
            one.fit(of_one, y, checkpoint=file, callback=interrupt_after(1), **options)
        changed = {"validation": (others[0][::-1], others[1])} if options else {}
        with pytest.raises(ts.InputError, match="of another model, data or options"):
            other.fit(of_other, y, checkpoint=file, **changed)
        one.fit(of_one, y, checkpoint=file, **options)
        assert not file.exists()


def test_an_interrupted_lbfgs_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    X, y = examples(60)
    layers = (nn.Conv1D(2, 7), nn.Tanh(), nn.GlobalMeanPool(), nn.Dense(1))
    clf = nn.Classifier(nn.Sequential(*layers), optimiser="lbfgs", max_epochs=300, weight_decay=0.01, validation=0.2)
    file = tmp_path / "checkpoint"
    expected = clf.fit(X, y, random_state=0).net.values.copy()
    history = clf.history_, clf.validation_history_
    with pytest.raises(Interruption):
        clf.fit(X, y, random_state=0, checkpoint=file, callback=interrupt_after(4))
    kept = json.loads(file.read_text())
    seen: list[nn.Epoch] = []
    found = kept["runs"][0]["found"]
    clf.fit(X, y, random_state=0, checkpoint=file, callback=seen.append)
    assert_array_equal(clf.net.values, expected)
    assert (clf.history_, clf.validation_history_) == history
    assert seen[0].epoch == 4 and not file.exists()
    found[-1][0] += 1.0  # it does go by what is kept
    file.write_text(json.dumps(kept))
    clf.fit(X, y, random_state=0, checkpoint=file)
    assert clf.history_[0] == history[0][0] and clf.history_ != history[0]


def test_early_stopping_keeps_the_best_values() -> None:
    X, y = examples(60)
    noise = list(np.random.default_rng(0).permutation(y))  # nothing to learn: what is held out soon gets worse
    clf = nn.Classifier(small(dtype="float64"), learning_rate=0.05, random_state=0, max_epochs=100, patience=4)
    clf.fit(X, noise, validation=(X[:20], noise[::-1][:20]))
    best = int(np.argmin(clf.validation_history_))
    assert clf.converged_ and len(clf.history_) == best + 5 < 100
    chosen = clf.predict_proba(X[:20])[np.arange(20), np.searchsorted(clf.classes_, noise[::-1][:20])]
    assert_allclose(-np.log(chosen).mean(), clf.validation_history_[best], rtol=1e-12, atol=0)
    all_epochs = nn.Classifier(small(dtype="float64"), learning_rate=0.05, random_state=0, max_epochs=30, patience=None)
    all_epochs.fit(X, noise, validation=0.3)
    assert len(all_epochs.history_) == len(all_epochs.validation_history_) == 30 and not all_epochs.converged_


def test_a_callback_sees_every_epoch_and_may_stop() -> None:
    X, y = examples(40)
    seen: list[nn.Epoch] = []

    def callback(now: nn.Epoch) -> Any:
        seen.append(now)
        return now.epoch == np.int64(2)  # NumPy's own True

    clf = nn.Classifier(small(), random_state=0, callback=callback, validation=0.25).fit(X, y)
    assert [now.epoch for now in seen] == [0, 1, 2]
    assert [now.loss for now in seen] == clf.history_
    assert [now.validation_loss for now in seen] == clf.validation_history_


def test_progress_shows(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    X, y = examples(20)
    nn.Classifier(small(), max_epochs=2, progress=True, random_state=0).fit(X, y)
    assert "2/2" in capfd.readouterr().err


def test_progress_counts_on_from_a_checkpoint(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    X, y = examples(20)
    options: dict[str, Any] = {"max_epochs": 4, "random_state": 0, "checkpoint": tmp_path / "checkpoint"}
    with pytest.raises(Interruption):
        nn.Classifier(small(), **options).fit(X, y, callback=interrupt_after(2))
    nn.Classifier(small(), progress=True, **options).fit(X, y)
    assert "4/4" in capfd.readouterr().err.split("\r")[-1]


@pytest.mark.parametrize("steps", [1, 3])
def test_a_loss_that_is_not_finite_is_an_error_with_a_remedy(steps: int) -> None:
    X, y = examples(64)
    net = small(random_state=1)
    before = net.values.copy()
    with pytest.raises(ts.ArgumentError, match=r"learning_rate=1e\+300 has made the loss infinite .* smaller one"):
        nn.Classifier(net, learning_rate=1e300, max_epochs=steps, random_state=0).fit(X, y)
    assert_array_equal(net.values, before)


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_a_loss_that_begins_infinite_is_not_blamed_on_the_learning_rate(optimiser: str) -> None:
    net = nn.Sequential(nn.Conv1D(1, 7), nn.GlobalMaxPool())
    with pytest.raises(ts.ArgumentError, match="not finite before the first step: scale the input"):
        nn.Regressor(net, optimiser=optimiser).fit(examples(10)[0], np.full(10, 1e200))


def test_lbfgs_warns_where_it_has_not_converged() -> None:
    X, y = examples(60)
    layers = (nn.Conv1D(2, 7), nn.Tanh(), nn.GlobalMeanPool(), nn.Dense(1))
    clf = nn.Classifier(nn.Sequential(*layers, dtype="float64"), optimiser="lbfgs", max_epochs=3, random_state=0)
    with pytest.warns(ts.ConvergenceWarning, match="max_epochs=3") as caught:
        clf.fit(X, y)
    assert caught[0].filename == __file__ and not clf.converged_
    assert clf.history_ == sorted(clf.history_, reverse=True)
    with pytest.raises(ts.ArgumentError, match="Dropout draws"):
        nn.Classifier(small(), optimiser="lbfgs").fit(X, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_epochs": 0}, "max_epochs must be a whole number of at least 1, not 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number"),
        ({"optimiser": "sgd"}, 'optimiser must be "adam" or "lbfgs"'),
        ({"learning_rate": 0.0}, "must be more than 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number"),
        ({"weight_decay": -1}, "weight_decay must be a finite number"),
        ({"class_weight": "even"}, "class_weight='even' must be None, \"balanced\""),
        ({"validation": 1.0}, "validation=1.0 must be the part"),
        ({"patience": 0}, "patience must be"),
        ({"callback": 3}, "callback=3 cannot be called"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ts.ArgumentError, match=message):
        nn.Classifier(small(), **options)
    with pytest.raises(ts.ArgumentError, match=message):
        nn.Classifier(small()).fit(*examples(10), **options)


def test_options_are_numbers_of_any_type() -> None:
    X, y = examples(20)
    given: list[dict[str, Any]] = [
        {"learning_rate": 0.25, "weight_decay": 0.5},
        {"learning_rate": Fraction(1, 4), "weight_decay": Fraction(1, 2)},
    ]
    plain, other = (nn.Classifier(small(), max_epochs=2, random_state=0, **options).fit(X, y) for options in given)
    assert plain.history_ == other.history_


def test_unknown_options_and_executors_are_refused() -> None:
    X, y = examples(20)
    with pytest.raises(ts.ArgumentError, match="no option 'epochs'; there are max_epochs"):
        nn.Classifier(small()).fit(X, y, epochs=3)
    for executor in ("four", 0, True):
        with pytest.raises(ts.ArgumentError, match=f"executor={executor!r}"):
            nn.Classifier(small(), executor=executor).fit(X, y)
    with pytest.raises(ts.ArgumentError, match=r"net=3 must be an nn\.Sequential"):
        nn.Classifier(3)  # type: ignore[arg-type]
