"""Networks and what is learnt with them in model files: back to the last bit, and what cannot be written or read."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from network_checks import random_letters
from numpy.testing import assert_array_equal

import tiedseq as ts
from tiedseq import nn
from tiedseq.nn import document


def networks() -> dict[str, nn.Sequential]:
    """One of every way to write something."""
    symmetric = nn.Conv1D(4, width=5, symmetry="reverse-complement", padding=2)
    rows = nn.Signal(3, positions=False)
    turning = nn.Signal(4, action=nn.Action.of("reverse-complement", [3, 2, 1, 0], [1, -1, -1, 1]))
    return {
        "dna": nn.Sequential(
            *(symmetric, nn.ReLU(), nn.MaxPool(3, stride=1), nn.Dropout(rate=0.5), nn.GlobalMaxPool(), nn.Dense(2)),
            random_state=0,
        ),
        "protein": nn.Sequential(
            nn.OneHot(),
            nn.Conv1D(filters=3, width=2, bias=False),
            nn.GlobalMeanPool(),
            input=ts.PROTEIN,
            random_state=1,
        ),
        "own letters": nn.Sequential(nn.Conv1D(2, 3), nn.Tanh(), input="HT", random_state=2, dtype="float64"),
        "one length": nn.Sequential(nn.OneHot(), nn.Flatten(), nn.Dense(3), length=20, random_state=3),
        "rows": nn.Sequential(nn.Dense(2), nn.Sigmoid(), input=rows, dtype="float64", random_state=4),
        "turning": nn.Sequential(nn.Conv1D(4, 3), nn.Tanh(), nn.MeanPool(2, stride=1), input=turning, random_state=5),
        "no values": nn.Sequential(nn.OneHot(), nn.GlobalMeanPool()),
    }


def inputs(net: nn.Sequential) -> Any:
    generator = np.random.default_rng(6)
    if net.input.letters is not None:
        return random_letters(generator, 20, 20, 20, letters=net.input.letters.letters)
    return generator.normal(size=(4, net.input.channels) if not net.input.positions else (4, 12, net.input.channels))


@pytest.mark.small
@pytest.mark.parametrize("name", networks())
@pytest.mark.parametrize("suffix", ["json", "json.gz"])
def test_a_network_comes_back_to_the_last_bit(name: str, suffix: str, tmp_path: Path) -> None:
    net = networks()[name]
    net.save(tmp_path / f"net.{suffix}")
    other = ts.load(tmp_path / f"net.{suffix}")
    assert isinstance(other, nn.Sequential) and repr(other) == repr(net) and other.input == net.input
    assert other.dtype is net.dtype and other.names == net.names
    assert_array_equal(other.values, net.values)
    X = inputs(net)
    assert_array_equal(np.array(other(X)), np.array(net(X)))
    other.save(tmp_path / f"again.{suffix}")
    assert (tmp_path / f"again.{suffix}").read_bytes() == (tmp_path / f"net.{suffix}").read_bytes()


@pytest.mark.small
@pytest.mark.parametrize("name", networks())
def test_a_network_can_be_copied_and_pickled(name: str) -> None:
    net = networks()[name]
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert_array_equal(np.array(other(inputs(net))), np.array(net(inputs(net))))
        assert other.to_dict() == net.to_dict()
        if net.n_parameters:
            other.values = other.values + 1
            assert not np.array_equal(other.values, net.values)


@pytest.mark.small
def test_every_float32_comes_back() -> None:
    bits = np.random.default_rng(7).integers(0, 1 << 32, 200_000, dtype=np.uint32)
    values = bits.view(np.float32)
    values = values[np.isfinite(values)]
    found = np.array(json.loads(json.dumps(document.numbers(values))), np.float64).astype(np.float32)
    assert_array_equal(found.view(np.uint32), values.view(np.uint32))


def test_what_was_learnt_comes_back(tmp_path: Path) -> None:
    generator = np.random.default_rng(8)
    X = random_letters(generator, *generator.integers(20, 40, 30))
    pool = (nn.GlobalMaxPool(), nn.Dense(1))
    options: dict[str, Any] = {"max_epochs": 2, "random_state": 0}
    models: list[tuple[Any, Any]] = [
        (nn.Classifier(nn.Sequential(nn.Conv1D(4, 7), *pool), **options), ["b", "a"] * 15),
        (nn.Classifier(nn.Sequential(nn.Conv1D(3, 7), nn.GlobalMaxPool()), **options), [5, 3, 4] * 10),
        (nn.Labeller(nn.Sequential(nn.Conv1D(1, 3, padding="same")), **options), None),
        (nn.Regressor(nn.Sequential(nn.Conv1D(2, 7), nn.GlobalMaxPool()), **options), generator.normal(size=(30, 2))),
        (nn.Regressor(nn.Sequential(nn.Conv1D(1, 7), nn.GlobalMaxPool()), **options), generator.normal(size=30)),
    ]
    for model, y in models:
        targets = [["AT" if letter in "AT" else "other" for letter in x] for x in X] if y is None else y
        model.fit(X, targets).save(tmp_path / "model.json")
        other = ts.load(tmp_path / "model.json")
        assert type(other) is type(model) and repr(other.net) == repr(model.net)
        for found, expected in zip(other.predict(X), model.predict(X), strict=True):
            assert_array_equal(found, expected)
        if not isinstance(model, nn.Regressor):
            assert other.classes_.tolist() == model.classes_.tolist() and other.classes_.dtype == model.classes_.dtype
        other.save(tmp_path / "again.json")
        assert (tmp_path / "again.json").read_bytes() == (tmp_path / "model.json").read_bytes()
        other.fit(X, targets, warm_start=True, max_epochs=1)
    with pytest.raises(ts.ArgumentError, match="learnt nothing yet"):
        nn.Classifier(nn.Sequential(nn.Dense(1), input=3)).save(tmp_path / "none.json")
    assert not (tmp_path / "none.json").exists()


@pytest.mark.small
@pytest.mark.parametrize(
    "labels",
    [
        [-5, 2**63, 2**63 + 1],
        [1, 2**64 - 2, 2**64 - 1],
        [2**70, 2**70 + 1, 3],
        np.array([1, 2**64 - 2, 2**64 - 1], np.uint64),
        [np.uint64(2**64 - 1), np.uint64(2**64 - 2), np.int64(-1)],
        np.array([0, 1, 2], np.longdouble),
    ],
)
def test_labels_are_whole_numbers_of_any_size(labels: Any, tmp_path: Path) -> None:
    net = nn.Sequential(nn.OneHot(), nn.GlobalMeanPool(), nn.Dense(3))
    model = nn.Classifier(net, max_epochs=200, learning_rate=0.3, random_state=0).fit(["AAA", "CCC", "GGG"], labels)
    expected = [int(label) for label in labels]
    model.save(tmp_path / "model.json")
    for each in (model, ts.load(tmp_path / "model.json")):
        assert each.classes_.tolist() == sorted(expected) and each.predict(["AAA", "CCC", "GGG"]).tolist() == expected
        assert each.score(["AAA", "CCC", "GGG"], labels) == 1.0


@pytest.mark.small
def test_labels_of_positions_are_whole_numbers_of_any_size() -> None:
    y = [np.array([2**64 - 1, 2**64 - 2], np.uint64), np.array([-7, 2])]
    model = nn.Labeller(nn.Sequential(nn.Conv1D(4, 1)), max_epochs=300, learning_rate=0.3, random_state=0)
    model.fit(["AC", "GT"], y)
    assert [each.tolist() for each in model.predict(["AC", "GT"])] == [each.tolist() for each in y]
    assert repr(model.score(["AC", "GT"], y)) == "1.0"


@pytest.mark.small
def test_arguments_of_all_kinds_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Anything(nn.Dense):
        """Takes what layers might take; two places may hold one layer."""

        def __init__(self, *inner: nn.Layer, units: int = 1, **more: Any) -> None:
            super().__init__(units)
            self.inner, self.more = inner, more

    monkeypatch.setattr(nn, "Anything", Anything, raising=False)
    sparse = pytest.importorskip("scipy.sparse")
    shared, net = nn.Dense(2), nn.Sequential(nn.Conv1D(2, 3), random_state=0)
    more = {
        "first": shared,
        "second": shared,
        "table": np.arange(6, dtype=np.float32).reshape(2, 3),
        "graph": sparse.csr_array(np.eye(3)),
        "ties": ts.Ties([["a", "b"], ["b", None]]),
        "net": net,
        "number": np.float64(0.1),
        "entries": {"x": (1, None, True, "text")},
        "alphabet": ts.RNA,
    }
    layer = Anything(shared, nn.ReLU(), units=np.int64(3), **more)
    text = json.dumps(document.Writer().layer(layer))
    other = document.Reader().layer(json.loads(text))
    assert isinstance(other, Anything) and other.units == 3
    found = other.more
    assert found["first"] is found["second"] is other.inner[0] and isinstance(other.inner[1], nn.ReLU)
    assert_array_equal(found["table"], more["table"])
    assert found["table"].dtype == np.float32 and found["number"] == 0.1
    assert_array_equal(found["graph"].toarray(), np.eye(3))
    assert_array_equal(found["ties"].labels, [[0, 1], [1, -1]])
    assert_array_equal(found["net"].values, net.values)
    assert found["entries"] == {"x": [1, None, True, "text"]} and found["alphabet"] is ts.RNA


TIES = {  # labels of five steps or places, and which of them are equal
    "tuples": (lambda: [("a", 1), ("a", 1), ("b", 2), ("a", 2), ("b", 2)], [0, 0, 1, 2, 1]),
    "texts": (lambda: ["far", "near", "far", "near", "near"], [0, 1, 0, 1, 1]),
    "an array of texts": (lambda: np.array(["far", "near", "far", "near", "near"]), [0, 1, 0, 1, 1]),
    "an array of tuples": (
        lambda: array_of_tuples([(1, "a"), (2, "b"), (1, "a"), (1, "b"), (2, "b")]),
        [0, 1, 0, 2, 1],
    ),
    "whole numbers": (lambda: [7, 7, 3, 5, 3], [0, 0, 1, 2, 1]),
    "mixed": (lambda: ["1", 1, 1.0, None, "1"], [0, 1, 1, 2, 0]),
}
TIES_OF_STEPS = {
    **TIES,
    "a range": (lambda: range(5), [0, 1, 2, 3, 4]),
    "a generator": (lambda: (k // 2 for k in range(5)), [0, 0, 1, 1, 2]),
    "letters": (lambda: "ABABA", [0, 1, 0, 1, 0]),
}


def array_of_tuples(labels: list[Any]) -> Any:
    array = np.empty(len(labels), object)
    array[:] = labels
    return array


def check_saved(net: nn.Sequential, tmp_path: Path) -> None:
    """Saved, loaded, and saved again: the same in values, ties and output, and the same file."""
    net.save(tmp_path / "net.json")
    other = ts.load(tmp_path / "net.json")
    assert repr(other) == repr(net)
    for one, two in zip(net.weights, other.weights, strict=True):
        assert_array_equal(one.ties.labels, two.ties.labels)
    assert_array_equal(other.values, net.values)
    X = random_letters(np.random.default_rng(9), 5, 5)
    assert_array_equal(other(X), net(X))
    other.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "net.json").read_bytes()


@pytest.mark.small
@pytest.mark.parametrize("name", TIES_OF_STEPS)
def test_ties_of_steps_come_back_whatever_their_labels(name: str, tmp_path: Path) -> None:
    labels, equal = TIES_OF_STEPS[name]
    net = nn.Sequential(nn.UnrolledRNN(2, ties=labels()), length=5, random_state=0)
    assert_array_equal(net.weights[2].ties.labels[:, 0] // 2, equal)  # biases of two units
    check_saved(net, tmp_path)


@pytest.mark.small
@pytest.mark.parametrize("name", sorted({*TIES} - {"tuples", "mixed"}))  # lists of tuples have one more axis
@pytest.mark.parametrize("as_ties", [False, True])
def test_ties_of_places_come_back_whatever_their_labels(name: str, as_ties: bool, tmp_path: Path) -> None:
    labels, equal = TIES[name]
    array = labels() if isinstance(labels(), np.ndarray) else np.array(labels())
    array = np.broadcast_to(array[:, None, None, None], (5, 1, 4, 2))
    layer = nn.LocallyConnected1D(2, 1, ties=ts.Ties(array) if as_ties else array)
    net = nn.Sequential(layer, length=5, random_state=0)
    found = net.weights[0].ties.labels[:, 0, 0, 0]
    assert_array_equal(found[:, None] == found, np.equal.outer(equal, equal))
    check_saved(net, tmp_path)


@pytest.mark.small
def test_ties_come_back_as_they_were_when_the_layer_was_made(tmp_path: Path) -> None:
    array = np.broadcast_to(np.arange(5)[:, None, None, None], (5, 1, 4, 2)).copy()
    layer = nn.LocallyConnected1D(2, 1, ties=array)
    array[:] = 0
    net = nn.Sequential(layer, length=5, random_state=0)
    assert net.weights[0].ties.n_free == 5
    check_saved(net, tmp_path)
    zeros = [[[[None, "a"]] * 4]] * 5
    check_saved(nn.Sequential(nn.LocallyConnected1D(2, 1, ties=zeros), length=5, random_state=0), tmp_path)


@pytest.mark.small
def test_what_no_file_can_hold_is_refused(tmp_path: Path) -> None:
    class Mine(nn.ReLU):
        pass

    mirrored = nn.Sequential(nn.Conv1D(2, 3, symmetry=lambda w: w[::-1]))
    with pytest.raises(ts.ModelError, match=r"symmetry= of nn\.Conv1D.* is a function, and model files hold no code"):
        mirrored.save(tmp_path / "net.json")
    with pytest.raises(ts.ModelError, match=r"nn\.Mine\(\) is a layer of your own, which no file can hold"):
        nn.Sequential(nn.Conv1D(2, 3), Mine()).save(tmp_path / "net.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.small
def test_damaged_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "net.json"
    networks()["dna"].save(file)
    text = file.read_text()
    whole = json.loads(text)

    def damaged(**changes: Any) -> dict[str, Any]:
        return {**whole, **changes}

    layers, values = whole["layers"], whole["values"]
    first = next(iter(values))
    documents = [
        damaged(layers=[]),
        damaged(layers=layers[:-1]),
        damaged(layers=[{"layer": "Sequential", "arguments": {}}, *layers]),
        damaged(layers=[{"layer": "numpy", "arguments": {}}, *layers]),
        damaged(layers=[{"layer": "Layer", "arguments": {}}, *layers]),
        damaged(layers=[{"same": 7}]),
        damaged(layers=[{**layers[0], "arguments": {"filters": 4, "width": 5, "colour": 1}}, *layers[1:]]),
        damaged(layers=[{**layers[0], "arguments": {"filters": -4, "width": 5}}, *layers[1:]]),
        damaged(layers=7),
        damaged(values={}),
        damaged(values={**values, first: values[first][:-1]}),
        damaged(values={**values, first: ["x", *values[first][1:]]}),
        damaged(values={**values, first: [None, *values[first][1:]]}),
        damaged(values={**values, first: [1e300, *values[first][1:]]}),
        damaged(dtype="int8"),
        damaged(input={}),
        damaged(input={**whole["input"], "channels": "many"}),
        damaged(kind="classifier"),
        {key: entry for key, entry in whole.items() if key != "values"},
    ]
    for broken in documents:
        file.write_text(json.dumps(broken))
        with pytest.raises(ts.InputError, match=r"net\.json: the model in the file is damaged"):
            ts.load(file)
    classifier = {"format": whole["format"], "version": whole["version"], "kind": "classifier", "network": whole}
    for classes in (None, ["a"], ["a", "b", "c"], 3, [[1], [2, 3]], ["b", "a"], ["a", "a"]):
        file.write_text(json.dumps({**classifier, "classes": classes, "flat": False}))
        with pytest.raises(ts.InputError, match="the model in the file is damaged"):
            ts.load(file)
    file.write_text(text[: len(text) // 2])
    with pytest.raises(ts.InputError, match="not a model file"):
        ts.load(file)


def test_a_classifier_of_one_class_is_damaged() -> None:
    net = nn.Sequential(nn.OneHot(), nn.GlobalMeanPool(), nn.Dense(1), random_state=0)
    found = nn.Classifier(net, max_epochs=1).fit(["ACGT", "GGCC"], [0, 1]).to_dict()
    with pytest.raises(ValueError, match="fewer than two classes"):  # `ts.load` names the file
        nn.Classifier.from_dict({**found, "classes": [1]})
