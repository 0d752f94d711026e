"""Two streams, one set of weights: swapping the sequences of pairs changes nothing, not even the last bit."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from network_checks import STEP, random_letters

import tiedseq as ts
from tiedseq import nn
from tiedseq.nn.estimators.pairs import COMPARISONS, PairNetwork
from tiedseq.nn.training.losses import contrastive, logistic
from tiedseq.nn.training.minibatches import Samples, loss_of

Pairs = list[tuple[str, str]]


def embedding(dtype: str = "float64", symmetry: str | None = None) -> nn.Sequential:
    layers = (nn.Conv1D(4, 5, symmetry=symmetry), nn.Tanh(), nn.GlobalMaxPool(), nn.Dense(3))
    return nn.Sequential(*layers, dtype=dtype, random_state=1)


def random_pairs(count: int = 6, seed: int = 2) -> tuple[Pairs, Any]:
    generator = np.random.default_rng(seed)
    sides = [random_letters(generator, *generator.integers(8, 30, count)) for _ in range(2)]
    return list(zip(*sides, strict=True)), np.arange(count) % 2


def swapped(pairs: Pairs) -> Pairs:
    return [(b, a) for a, b in pairs]


def loss_and_gradient(net: PairNetwork, pairs: Pairs, same: Any, values: Any) -> tuple[float, Any]:
    loss = partial(contrastive, margin=1.5) if net.layers[0].comparison == "distance" else logistic  # type: ignore[attr-defined]
    samples = Samples(net.read(pairs)[0], same, np.linspace(0.5, 1.5, len(same)), np.arange(len(same)))
    return loss_of(net, loss, net.expanded(values), samples, None)


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_a_warm_start_begins_at_the_values_that_the_embedding_has(comparison: str) -> None:
    net = embedding()
    model = nn.Siamese(net, comparison, max_epochs=1, warm_start=True, learning_rate=1e-9, random_state=0)
    net.values = np.linspace(-1, 1, net.n_parameters)
    model.fit(*random_pairs())
    np.testing.assert_allclose(net.values, np.linspace(-1, 1, net.n_parameters), rtol=0, atol=1e-6)


@pytest.mark.small
@pytest.mark.parametrize("symmetry", [None, "reverse-complement"])
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_gradients_equal_central_differences(comparison: str, symmetry: str | None) -> None:
    net = PairNetwork(embedding(symmetry=symmetry), comparison)
    pairs, same = random_pairs()
    values = net.values * 1.5
    gradient = loss_and_gradient(net, pairs, same, values)[1]
    assert np.count_nonzero(gradient) > 0.8 * gradient.size  # the last bias falls out of a difference
    for number in range(values.size):
        step = np.zeros_like(values)
        step[number] = STEP
        ahead, behind = (loss_and_gradient(net, pairs, same, values + sign * step)[0] for sign in (1, -1))
        np.testing.assert_allclose(
            gradient[number], (ahead - behind) / (2 * STEP), rtol=1e-7, atol=1e-7, err_msg=f"free value {number}"
        )


@pytest.mark.small
def test_the_contrastive_loss_is_that_of_the_paper() -> None:
    points = np.random.default_rng(3).normal(size=(8, 2))
    same, weights = np.arange(8) % 2, np.linspace(0, 1, 8)
    expected = 0.0
    for difference, kind, weight in zip(points, same, weights, strict=True):
        distance = np.hypot(*difference)
        expected += weight * (0.5 * distance**2 if kind else 0.5 * max(0.0, 2.0 - distance) ** 2)
    value, gradient = contrastive(points, same, weights, margin=2.0)
    np.testing.assert_allclose(value, expected, rtol=1e-14)
    for index in np.ndindex(points.shape):
        step = np.zeros_like(points)
        step[index] = STEP
        ahead, behind = (contrastive(points + sign * step, same, weights, margin=2.0)[0] for sign in (1, -1))
        np.testing.assert_allclose(gradient[index], (ahead - behind) / (2 * STEP), rtol=1e-7, atol=1e-9)
    at_zero = contrastive(np.zeros((2, 3)), np.array([0, 1]), np.ones(2), margin=2.0)
    assert at_zero[0] == 2.0 and not at_zero[1].any()


@pytest.mark.small
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_swapping_the_sequences_changes_not_a_bit(comparison: str, dtype: str) -> None:
    net = PairNetwork(embedding(dtype), comparison)
    pairs, same = random_pairs(40)
    one = loss_and_gradient(net, pairs, same, net.values)
    other = loss_and_gradient(net, swapped(pairs), same, net.values)
    assert one[0] == other[0]
    np.testing.assert_array_equal(one[1], other[1])


@pytest.mark.small
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_training_on_swapped_pairs_gives_the_same_bits(comparison: str) -> None:
    pairs, same = random_pairs(20)
    models = [
        nn.Siamese(embedding("float32"), comparison, max_epochs=3, batch_size=4, random_state=3, executor=workers)
        for workers in (None, 2)
    ]
    models[0].fit(pairs, same)
    models[1].fit(swapped(pairs), same)
    np.testing.assert_array_equal(models[0].net.values, models[1].net.values)
    np.testing.assert_array_equal(models[0].decision_function(pairs), models[1].decision_function(swapped(pairs)))
    np.testing.assert_array_equal(models[0].distance(pairs), models[1].distance(swapped(pairs)))
    assert models[0].history_ == models[1].history_ and np.ptp(models[0].distance(pairs)) > 0


@pytest.mark.small
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_what_is_said_of_pairs_follows_from_their_points(comparison: str) -> None:
    pairs, same = random_pairs(8)
    model = nn.Siamese(embedding(), comparison, margin=1.5, max_epochs=2, random_state=3).fit(pairs, same)
    a, b = (np.array([model.embedding(pair[side]) for pair in pairs]) for side in (0, 1))
    np.testing.assert_allclose(model.distance(pairs), np.linalg.norm(a - b, axis=1), rtol=1e-12)
    if comparison == "distance":
        expected = 0.75 - np.linalg.norm(a - b, axis=1)
        with pytest.raises(ts.ModelError, match="no probabilities"):
            model.predict_proba(pairs)
    else:
        weight, bias = list(model.net.parameters.values())[-2:]
        expected = ((np.abs(a - b) if comparison == "difference" else a * b) @ weight)[:, 0] + bias
        np.testing.assert_allclose(model.predict_proba(pairs)[:, 1], 1 / (1 + np.exp(-expected)), rtol=1e-12)
        assert model.predict_proba(pairs[0]).shape == (2,)
    np.testing.assert_allclose(model.decision_function(pairs), expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(model.predict(pairs), expected > 0)
    np.testing.assert_allclose(model.decision_function(pairs[0]), expected[0], rtol=0, atol=1e-12)
    assert model.predict(pairs[0]) is bool(expected[0] > 0)


@pytest.mark.small
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_weights_of_both_streams_count_once(comparison: str) -> None:
    net = embedding()
    model = nn.Siamese(net, comparison)
    assert model.net.n_parameters == net.n_parameters + (0 if comparison == "distance" else 4)
    assert model.net.decays.sum() == net.decays.sum() + (0 if comparison == "distance" else 3)


def motif_pairs(count: int, seed: int) -> tuple[Pairs, Any]:
    """Random sequences with one of two motifs: pairs are the same if they hold the same."""
    generator = np.random.default_rng(seed)
    kinds = generator.integers(0, 2, (count, 2))

    def sequence(kind: int) -> str:
        text, place = random_letters(generator, 30, letters="ACGT")[0], int(generator.integers(0, 23))
        return text[:place] + ("TATATATA", "GCGCGGCC")[kind] + text[place + 8 :]

    return [(sequence(a), sequence(b)) for a, b in kinds], kinds[:, 0] == kinds[:, 1]


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_it_learns_which_sequences_hold_the_same_motif(comparison: str) -> None:
    net = nn.Sequential(nn.Conv1D(8, 8), nn.ReLU(), nn.GlobalMaxPool(), nn.Dense(4))
    model = nn.Siamese(net, comparison, max_epochs=30, learning_rate=0.03, batch_size=32, random_state=2)
    model.fit(*motif_pairs(400, 1))
    pairs, same = motif_pairs(200, 2)
    assert model.score(pairs, same) > 0.9
    distances = model.distance(pairs)
    assert distances[same].mean() < 0.5 * distances[~same].mean()


@pytest.mark.small
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_files_give_it_back(comparison: str, tmp_path: Path) -> None:
    pairs, same = random_pairs()
    model = nn.Siamese(embedding("float32"), comparison, margin=2.0, max_epochs=1, random_state=1).fit(pairs, same)
    model.save(tmp_path / "model.json")
    found = ts.load(tmp_path / "model.json")
    assert isinstance(found, nn.Siamese)
    np.testing.assert_array_equal(found.net.values, model.net.values)
    np.testing.assert_array_equal(found.decision_function(pairs), model.decision_function(pairs))
    np.testing.assert_array_equal(found.classes_, [False, True])


@pytest.mark.small
def test_numbers_and_tables_make_pairs(tmp_path: Path) -> None:
    import pandas as pd

    net = nn.Sequential(nn.Dense(2), input=nn.Signal(3, positions=False), dtype="float64", random_state=1)
    X = np.random.default_rng(4).normal(size=(6, 2, 3))
    model = nn.Siamese(net, max_epochs=1, random_state=1, checkpoint=tmp_path / "c").fit(X, [True, False] * 3)
    np.testing.assert_allclose(model.distance(X), np.linalg.norm(net(X[:, 0]) - net(X[:, 1]), axis=1), rtol=1e-12)
    pairs, same = random_pairs()
    model = nn.Siamese(embedding(), max_epochs=1, random_state=1).fit(pairs, same)
    np.testing.assert_array_equal(model.distance(pd.DataFrame(pairs)), model.distance(pairs))


@pytest.mark.small
def test_what_are_no_pairs_is_refused() -> None:
    pairs, same = random_pairs()
    model = nn.Siamese(embedding(), max_epochs=1, random_state=1)
    with pytest.raises(ts.ArgumentError, match="learnt nothing yet"):
        model.distance(pairs)
    with pytest.raises(ts.ArgumentError, match="give True for pairs"):
        model.fit(pairs, [0, 1, 2, 0, 1, 1])
    with pytest.raises(ts.ArgumentError, match="one class only"):
        model.fit(pairs, [True] * 6)
    with pytest.raises(ts.ArgumentError, match="has 5 entries, and X has 6"):
        model.fit(pairs, same[:5])
    for wrong, said in ((["ACGTACGT"], r"X\[0\] is no pair"), ([], "no pair"), ("ACGT", "list of pairs"), (3, "pairs")):
        with pytest.raises(ts.ArgumentError, match=said):
            model.fit(wrong, same)
    with pytest.raises(ts.SequenceError, match=r"second sequences: Sequence 1: "):
        model.fit([*pairs[:1], ("ACGTACGT", "AC!T"), *pairs[2:]], same)
    with pytest.raises(ts.SequenceError, match="Sequence 1: a sequence of 3 positions is shorter than the reach"):
        model.fit([*pairs[:1], ("ACGTACGT", "ACG"), *pairs[2:]], same)
    with pytest.raises(ts.ModelError, match="leaves positions"):
        nn.Siamese(nn.Sequential(nn.Conv1D(2, 3)))
    with pytest.raises(ts.ArgumentError, match="comparison must be"):
        nn.Siamese(embedding(), "sum")
    with pytest.raises(ts.ArgumentError, match="margin"):
        nn.Siamese(embedding(), margin=0)
    with pytest.raises(ts.ArgumentError, match=r"must be an nn\.Sequential"):
        nn.Siamese("net")  # type: ignore[arg-type]
    assert repr(model).startswith("nn.Siamese(nn.Sequential(") and "max_epochs=1" in repr(model)


@pytest.mark.small
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_an_interrupted_training_goes_on_to_the_same_bits(comparison: str, tmp_path: Path) -> None:
    def stop(epoch: nn.Epoch) -> None:
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    pairs, same = random_pairs(12)
    how: dict[str, Any] = {"max_epochs": 5, "batch_size": 4, "random_state": 1}
    whole = nn.Siamese(embedding(), comparison, **how).fit(pairs, same)
    model = nn.Siamese(embedding(), comparison, **how, checkpoint=tmp_path / "c")
    before = model.net.values.copy()
    with pytest.raises(KeyboardInterrupt):
        model.fit(pairs, same, callback=stop)
    np.testing.assert_array_equal(model.net.values, before)
    epochs: list[int] = []
    model.fit(pairs, same, callback=lambda epoch: epochs.append(epoch.epoch))
    assert epochs[0] > 0 and epochs[-1] == 4
    np.testing.assert_array_equal(model.net.values, whole.net.values)
    np.testing.assert_array_equal(model.embedding.values, whole.embedding.values)


@pytest.mark.small
def test_the_conventions_of_scikit_learn() -> None:
    from sklearn.base import clone, is_classifier

    pairs, same = random_pairs()
    model = nn.Siamese(embedding(), "difference", max_epochs=2, random_state=1).fit(pairs, same)
    other = clone(model)
    assert is_classifier(other) and other.get_params()["comparison"] == "difference"
    np.testing.assert_array_equal(other.fit(pairs, same).net.values, model.net.values)
    assert other.set_params(comparison="product").comparison == "product"


@pytest.mark.small
@pytest.mark.parametrize("comparison", ["difference", "product"])  # the contrastive loss has edges
def test_lbfgs_lowers_the_objective(comparison: str) -> None:
    pairs, same = random_pairs(12)
    model = nn.Siamese(embedding(), comparison, optimiser="lbfgs", max_epochs=500, weight_decay=0.1, random_state=1)
    model.fit(pairs, same)  # would warn if it did not converge
    assert model.converged_ and (np.diff(model.history_) <= 0).all() and len(model.history_) > 3
    drawing = nn.Sequential(nn.Conv1D(4, 5), nn.Dropout(0.5), nn.GlobalMaxPool())
    with pytest.raises(ts.ArgumentError, match="Dropout"):
        nn.Siamese(drawing, comparison, optimiser="lbfgs").fit(pairs, same)
