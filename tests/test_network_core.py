"""Networks of convolutions, pools and dense layers: gradients, symmetry, ragged lengths, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from network_checks import check_gradients, random_letters
from numpy.testing import assert_allclose
from scipy import sparse

import tiedseq as ts
from tiedseq import nn
from tiedseq.errors import SequenceError

DNA_NETS: dict[str, Any] = {
    "plain": lambda: (nn.Conv1D(5, width=4), nn.ReLU(), nn.GlobalMaxPool(), nn.Dense(2)),
    "padded": lambda: (nn.Conv1D(5, width=4, padding="same"), nn.Tanh(), nn.GlobalMeanPool(), nn.Dense(2)),
    "strides": lambda: (nn.Conv1D(4, width=3, stride=2, dilation=3, padding=2), nn.Conv1D(3, width=2), nn.MeanPool(2)),
    "deep": lambda: (nn.Conv1D(6, 5), nn.ReLU(), nn.MaxPool(3, 2), nn.Conv1D(4, 3), nn.Sigmoid(), nn.Dense(3)),
    "symmetric": lambda: (
        *(nn.Conv1D(6, 5, symmetry="reverse-complement"), nn.ReLU(), nn.MaxPool(3, 1)),
        *(nn.Conv1D(4, 3, padding="same"), nn.Tanh(), nn.GlobalMaxPool(), nn.Dense(3), nn.ReLU(), nn.Dense(1)),
    ),
    "one-hot": lambda: (nn.OneHot(), nn.Dense(3), nn.Tanh(), nn.GlobalMeanPool()),
}


@pytest.mark.small
@pytest.mark.parametrize("name", DNA_NETS)
def test_gradients_equal_central_differences_over_letters(name: str) -> None:
    net = nn.Sequential(*DNA_NETS[name](), dtype="float64", random_state=1)
    check_gradients(net, random_letters(np.random.default_rng(2), 23, 31, 17))


@pytest.mark.small
@pytest.mark.parametrize("lengths", [(12, 12), (12, 9, 15)])
def test_gradients_equal_central_differences_over_numbers(lengths: tuple[int, ...]) -> None:
    generator = np.random.default_rng(3)
    layers = (nn.Conv1D(4, 3, padding=2, stride=2), nn.Tanh(), nn.MaxPool(2), nn.Conv1D(3, 2), nn.GlobalMeanPool())
    net = nn.Sequential(*layers, input=2, dtype="float64", random_state=1)
    check_gradients(net, [generator.normal(size=(length, 2)) for length in lengths])


@pytest.mark.small
def test_gradients_go_through_the_numbers_that_dropout_keeps() -> None:
    """Those of weights before and after it, and of numbers that come in, with the same draws each time."""
    layers = (nn.Conv1D(4, 3), nn.Tanh(), nn.Dropout(0.3), nn.GlobalMeanPool(), nn.Dense(2))
    letters = nn.Sequential(*layers, dtype="float64", random_state=1)
    check_gradients(letters, random_letters(np.random.default_rng(2), 12, 9), draws=7)
    numbers = nn.Sequential(nn.Dropout(0.3), nn.Conv1D(4, 3), input=2, dtype="float64", random_state=1)
    check_gradients(numbers, [np.random.default_rng(3).normal(size=(length, 2)) for length in (12, 9)], draws=7)


@pytest.mark.small
@pytest.mark.parametrize("rate", [0.0, 0.2, 0.7])
def test_dropout_zeroes_its_share_and_keeps_the_mean(rate: float) -> None:
    """Within five standard deviations of 40,000 draws; what is kept is divided by 1 - rate."""
    count = 40_000
    net = nn.Sequential(nn.Dropout(rate), input=nn.Signal(count, positions=False))
    batch = nn.Batch(np.full((1, count), 3.0, np.float32))
    found = net.forward(batch, random=np.random.default_rng(5))[0].values[0]
    deviation = np.sqrt(rate * (1 - rate) / count)
    assert_allclose((found == 0).mean(), rate, rtol=0, atol=5 * deviation)
    assert_allclose(found[found != 0], 3.0 / (1 - rate), rtol=1e-6, atol=0)
    assert_allclose(found.mean(dtype=float), 3.0, rtol=5 * deviation / (1 - rate) + 1e-6, atol=0)
    assert np.array_equal(net.forward(batch)[0].values, batch.values)


@pytest.mark.small
@pytest.mark.parametrize("name", ["plain", "padded", "strides", "deep", "symmetric"])
def test_padding_of_a_batch_changes_nothing(name: str) -> None:
    net = nn.Sequential(*DNA_NETS[name](), dtype="float64", random_state=1)
    X = random_letters(np.random.default_rng(4), 23, 31, 17)
    for together, alone in zip(net(X), map(net, X), strict=True):
        np.testing.assert_allclose(together, alone, rtol=0, atol=1e-13)


@pytest.mark.small
def test_sums_over_many_positions_lose_nothing() -> None:
    """One number after the other, a sum of float32 would be off by a thousandth here."""
    x = np.full((300_000, 2), 0.1, np.float32)
    np.testing.assert_allclose(nn.Sequential(nn.GlobalMeanPool(), input=2)(x), [0.1, 0.1], rtol=1e-6)
    graph = sparse.csr_array((len(x), len(x)))
    for layer in (nn.Dense(2), nn.MultiHop(2, 1, graph)):
        net = nn.Sequential(layer, input=2)
        _, memory = net.forward(nn.Batch(x[None], np.array([len(x)])))
        np.testing.assert_allclose(net.backward(memory, x[None])[1][-2:], 30_000, rtol=1e-6)


@pytest.mark.small
@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-12), ("float32", 1e-5)])
def test_a_symmetric_network_says_the_same_of_both_strands(dtype: str, atol: float) -> None:
    net = nn.Sequential(*DNA_NETS["symmetric"](), dtype=dtype, random_state=1)
    X = random_letters(np.random.default_rng(5), 40, 31, 50)
    other = [ts.DNA.text_reverse_complement(x) for x in X]
    np.testing.assert_allclose(net(X), net(other), rtol=0, atol=atol)
    assert np.ptp(net(X)) > 1e-3  # not a constant


@pytest.mark.small
def test_reverse_without_complement_is_another_sequence() -> None:
    net = nn.Sequential(*DNA_NETS["symmetric"](), dtype="float64", random_state=1)
    X = random_letters(np.random.default_rng(5), 40, 31, 50)
    assert np.abs(net(X) - net([x[::-1] for x in X])).max() > 1e-3


@pytest.mark.small
def test_what_breaks_the_symmetry_is_refused() -> None:
    with pytest.raises(ts.ModelError, match="pads 1 zero before and 2 after"):
        nn.Sequential(nn.Conv1D(4, width=4, padding="same", symmetry="reverse-complement"))
    with pytest.raises(ts.ModelError, match="even number"):
        nn.Sequential(nn.Conv1D(5, width=3, symmetry="reverse-complement"))
    with pytest.raises(ts.ModelError, match="complement"):
        nn.Sequential(nn.Conv1D(4, width=3, symmetry="reverse-complement"), input=ts.PROTEIN)
    with pytest.raises(ts.SequenceError, match="leaves 1 over under stride 2"):
        nn.Sequential(nn.Conv1D(4, width=3, stride=2, symmetry="reverse-complement"))("ACGTAC")
    with pytest.raises(ts.ModelError, match="antisymmetric"):
        nn.Sequential(nn.Conv1D(4, width=3, symmetry="antisymmetric"), nn.ReLU())
    with pytest.raises(ts.SequenceError, match="shorter than the reach"):
        nn.Sequential(nn.Conv1D(4, width=9))(["ACGTACGTACGT", "ACGT"])


@pytest.mark.small
def test_many_sequences_are_each_one() -> None:
    """More than are worked on at a time, of all lengths, and whichever does not fit is named."""
    net = nn.Sequential(nn.Conv1D(3, 5), nn.Tanh(), nn.MaxPool(2), random_state=0, dtype="float64")
    rng = np.random.default_rng(5)
    X = ["".join(rng.choice(list("ACGT"), length)) for length in rng.integers(8, 60, 50)]
    for found, x in zip(net(X), X, strict=True):
        assert_allclose(found, net(x), rtol=1e-12, atol=0.0)
    assert net([x[:8] for x in X]).shape == (50, 2, 3)
    with pytest.raises(SequenceError, match="Sequence 41: "):
        net([*X[:41], "ACG", *X[41:]])


@pytest.mark.small
def test_values_of_another_length_are_refused() -> None:
    net = nn.Sequential(nn.Conv1D(2, width=3), random_state=0)
    batch = net.batch(net.read("ACGTA")[0])
    outgoing, memory = net.forward(batch)
    wrong: Any
    for wrong in (np.zeros(1000), np.zeros(25), np.zeros((26, 1)), 1.0, [[1.0], [1.0, 2.0]], np.zeros(26, complex)):
        for call in (
            net.expanded,
            net.penalty,
            lambda values: net.forward(batch, values),
            lambda values: net.backward(memory, outgoing.values, values),
        ):
            with pytest.raises(ts.ArgumentError, match="the network has 26 free values"):
                call(wrong)
    assert_allclose(net.forward(batch, net.values.tolist())[0].values, outgoing.values, rtol=0.0, atol=0.0)
