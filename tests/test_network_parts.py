"""Layers of layers, over graphs and with labels: in model files, copied, trained, on any number of threads."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from network_checks import random_letters
from scipy import sparse

import tiedseq as ts
from tiedseq import nn

LENGTH = 8


def networks() -> dict[str, nn.Sequential]:
    graph = sparse.random(LENGTH, LENGTH, 0.4, random_state=np.random.default_rng(1), format="csr")
    flow = nn.Repeat([nn.Residual([nn.Conv1D(4, 3, padding="same"), nn.Tanh()], step=0.25)], times=4)
    labels = np.arange(6 * 3 * 4 * 2).reshape(6, 3, 4, 2) % 7
    return {
        "local": nn.Sequential(nn.LocallyConnected1D(2, 3, ties="positions"), length=LENGTH, random_state=1),
        "labels": nn.Sequential(nn.LocallyConnected1D(2, 3, ties=labels), length=LENGTH, random_state=1),
        "lists": nn.Sequential(nn.LocallyConnected1D(2, 3, ties=labels.tolist()), length=LENGTH, random_state=1),
        "signs": nn.Sequential(
            nn.LocallyConnected1D(2, 3, ties=ts.Ties.orbits((6, 3, 4, 2), lambda w: -w[:, ::-1])),
            length=LENGTH,
            random_state=1,
        ),
        "flow": nn.Sequential(nn.OneHot(), flow, random_state=1),
        "graph": nn.Sequential(nn.OneHot(), nn.MultiHop(3, 2, graph), random_state=1),
        "dense graph": nn.Sequential(nn.OneHot(), nn.MultiHop(3, 2, graph.toarray(), bias=False), random_state=1),
        "unet": nn.Sequential(nn.UNet1D(4, 2, 3, 2, tied=True, symmetry="reverse-complement"), random_state=1),
    }


@pytest.mark.small
@pytest.mark.parametrize("name", networks())
def test_files_and_copies_give_it_back(name: str, tmp_path: Path) -> None:
    net = networks()[name]
    X = random_letters(np.random.default_rng(2), LENGTH, LENGTH, letters="ACGT")
    net.save(tmp_path / "net.json")
    for other in (ts.load(tmp_path / "net.json"), copy.deepcopy(net)):
        assert repr(other) == repr(net) and other.names == net.names
        np.testing.assert_array_equal(other.values, net.values)
        np.testing.assert_array_equal(other(X), net(X))
        other.values = other.values + 1
        assert not np.array_equal(other(X), net(X))


@pytest.mark.small
def test_what_becomes_of_arguments_later_is_not_written() -> None:
    layers, ties, graph = [nn.Dense(4)], [0] * LENGTH, np.eye(LENGTH)
    made = (nn.MultiHop(4, 1, adjacency=graph), nn.Repeat(layers, 2), nn.UnrolledRNN(2, ties=ties))
    net = nn.Sequential(nn.OneHot(), *made, length=LENGTH, random_state=1)
    layers.append(nn.Tanh())
    ties[0], graph[0, 1] = 1, 5.0
    again = nn.Sequential.from_dict(net.to_dict())
    assert repr(again) == repr(net)
    np.testing.assert_array_equal(again("ACGTACGT"), net("ACGTACGT"))


@pytest.mark.small
def test_functions_cannot_be_written(tmp_path: Path) -> None:
    net = nn.Sequential(nn.LocallyConnected1D(2, 3, ties=lambda w: w[:, ::-1]), length=LENGTH)
    with pytest.raises(ts.ModelError, match="function"):
        net.save(tmp_path / "net.json")


def islands(count: int, seed: int) -> tuple[list[str], list[Any]]:
    """Sequences with a stretch rich in C and G, and where it is; a single letter says it in four of five cases."""
    generator = np.random.default_rng(seed)
    X, y = [], []
    for length in generator.integers(30, 60, count):
        start = int(generator.integers(0, length - 15))
        inside = np.zeros(length, np.int64)
        inside[start : start + 15] = 1
        rich = generator.random(length) < np.where(inside, 0.8, 0.2)
        letters = np.where(rich, generator.choice(list("CG"), length), generator.choice(list("AT"), length))
        X.append("".join(letters))
        y.append(inside)
    return X, y


@pytest.mark.parametrize("tied", [False, True])
def test_a_unet_learns_where_islands_are(tied: bool) -> None:
    """It sees neighbours at two scales, and does better than any rule on single letters, right at four of five."""
    fitted = []
    for workers in (None, 2):
        net = nn.Sequential(nn.UNet1D(4, 2, 5, 1, tied=tied))
        labeller = nn.Labeller(net, max_epochs=20, learning_rate=0.02, batch_size=16, random_state=1, executor=workers)
        fitted.append(labeller.fit(*islands(150, 1)))
    np.testing.assert_array_equal(fitted[0].net.values, fitted[1].net.values)
    assert fitted[0].score(*islands(60, 2)) > 0.9
