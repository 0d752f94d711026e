"""Filters of their own at every position, and the ties that make them a convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from network_checks import batch_of, check_gradients, random_letters

import tiedseq as ts
from tiedseq import nn

WINDOWS: dict[str, dict[str, Any]] = {
    "plain": {"width": 3},
    "strides": {"width": 3, "stride": 2, "dilation": 2, "padding": 1},
    "same": {"width": 4, "padding": "same", "bias": False},
}


def random_input(generator: np.random.Generator, kind: Any, length: int, count: int = 3) -> Any:
    if isinstance(kind, int):
        return generator.normal(size=(count, length, kind))
    return random_letters(generator, *(length,) * count)


@pytest.mark.small
@pytest.mark.parametrize("kind", ["dna", 2])
@pytest.mark.parametrize("ties", [None, "positions", lambda w: w[:, ::-1]], ids=["free", "positions", "palindromes"])
@pytest.mark.parametrize("name", WINDOWS)
def test_gradients_equal_central_differences(kind: Any, ties: Any, name: str) -> None:
    layers = (nn.LocallyConnected1D(3, **WINDOWS[name], ties=ties), nn.Tanh(), nn.GlobalMeanPool(), nn.Dense(2))
    net = nn.Sequential(*layers, input=kind, length=11, dtype="float64", random_state=1)
    check_gradients(net, random_input(np.random.default_rng(2), kind, 11))


@pytest.mark.small
@pytest.mark.parametrize("name", WINDOWS)
def test_every_position_has_its_own_filters(name: str) -> None:
    """Against a loop over positions, taps, channels and filters."""
    layer = nn.LocallyConnected1D(2, **WINDOWS[name])
    net = nn.Sequential(layer, input=3, length=9, dtype="float64", random_state=1)
    X = np.random.default_rng(3).normal(size=(2, 9, 3))
    weight, *biases = net.parameters.values()
    expected = np.zeros((2, len(weight), 2)) + (biases[0] if biases else 0)
    for o, k, c, f in np.ndindex(weight.shape):
        position = o * layer.window.stride + k * layer.window.dilation - layer.window.before
        if 0 <= position < 9:
            expected[:, o, f] += X[:, position, c] * weight[o, k, c, f]
    np.testing.assert_allclose(net(X), expected, rtol=0, atol=1e-13)


def labels_of_positions(outputs: int, *shape: int) -> Any:
    return np.broadcast_to(np.arange(np.prod(shape)).reshape(shape), (outputs, *shape))


@pytest.mark.small
@pytest.mark.parametrize("kind", ["dna", 2])
@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("how", ["word", "labels"])
def test_with_all_positions_tied_it_is_the_convolution(kind: Any, name: str, how: str) -> None:
    """The same values give the same output, and the same gradients."""
    conv = nn.Sequential(nn.Conv1D(3, **WINDOWS[name]), input=kind, length=13, dtype="float64", random_state=1)
    outputs = conv.output.length or 0
    ties = (
        "positions" if how == "word" else labels_of_positions(outputs, WINDOWS[name]["width"], conv.input.channels, 3)
    )
    local = nn.Sequential(
        nn.LocallyConnected1D(3, **WINDOWS[name], ties=ties), input=kind, length=13, dtype="float64", random_state=2
    )
    assert local.n_parameters == conv.n_parameters
    local.values = conv.values
    X = random_input(np.random.default_rng(4), kind, 13)
    np.testing.assert_allclose(local(X), conv(X), rtol=0, atol=1e-13)
    batch = batch_of(X, conv)
    gradient = np.random.default_rng(5).normal(size=conv(X).shape)
    (of_input, of_values), (expected_input, expected_values) = (
        net.backward(net.forward(batch)[1], gradient) for net in (local, conv)
    )
    np.testing.assert_allclose(of_values, expected_values, rtol=0, atol=1e-12)
    if expected_input is not None and of_input is not None:
        np.testing.assert_allclose(of_input, expected_input, rtol=0, atol=1e-13)


@pytest.mark.small
def test_what_a_tie_saves() -> None:
    """A dense layer from 32 x 32 numbers to 64 units; eight filters of nine weights, everywhere or somewhere."""
    kinds = {"input": 1, "length": 32 * 32}
    dense = nn.Sequential(nn.Flatten(), nn.Dense(64, bias=False), **kinds)
    conv = nn.Sequential(nn.Conv1D(8, width=9, bias=False), **kinds)
    local = nn.Sequential(nn.LocallyConnected1D(8, width=9, bias=False), **kinds)
    assert (dense.n_parameters, conv.n_parameters) == (65_536, 8 * 3 * 3) == (65_536, 72)
    assert dense.n_parameters // conv.n_parameters == 910
    assert local.n_parameters == (1024 - 9 + 1) * 72 == 73_152
    with_bias = [nn.Sequential(layer, **kinds).n_parameters for layer in (nn.Conv1D(8, 9), nn.LocallyConnected1D(8, 9))]
    assert with_bias == [72 + 8, 1016 * (72 + 8)]


@pytest.mark.small
def test_shifting_the_input_shifts_the_output_only_under_the_tie() -> None:
    X = np.random.default_rng(6).normal(size=(20, 2))
    for ties, moves in (("positions", True), (None, False)):
        layer = nn.LocallyConnected1D(3, width=4, ties=ties)
        net = nn.Sequential(layer, input=2, length=20, dtype="float64", random_state=1)
        same = np.allclose(net(np.roll(X, 5, axis=0))[5:], net(X)[:-5], rtol=0, atol=1e-12)
        assert same == moves


SYMMETRIC: dict[str, Any] = {
    "free": lambda: (nn.Conv1D(6, 3, symmetry="reverse-complement"), nn.Tanh(), nn.LocallyConnected1D(4, 3, stride=2)),
    "tied": lambda: (nn.Conv1D(6, 3, symmetry="reverse-complement"), nn.LocallyConnected1D(4, 3, ties="positions")),
    "palindromes": lambda: (
        nn.Conv1D(3, 4, symmetry="palindrome"),
        nn.LocallyConnected1D(4, 2, ties=[lambda w: w[:, :, ::-1]]),
    ),
}


@pytest.mark.small
@pytest.mark.parametrize("name", SYMMETRIC)
@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-12), ("float32", 1e-5)])
def test_mirrored_positions_are_tied(name: str, dtype: str, atol: float) -> None:
    layers = SYMMETRIC[name]()
    net = nn.Sequential(*layers, length=17, dtype=dtype, random_state=1)
    net.values = np.random.default_rng(7).normal(size=net.n_parameters)  # biases too
    X = random_letters(np.random.default_rng(8), 17, 17)
    assert net.output.action is not None
    other = [x[::-1] if name == "palindromes" else ts.DNA.text_reverse_complement(x) for x in X]
    found = net.output.action.on_channels(net(other)[:, ::-1])
    np.testing.assert_allclose(found, net(X), rtol=0, atol=atol)
    assert np.abs(net(other) - net(X)).max() > 1e-2


@pytest.mark.small
def test_mirror_images_share_values() -> None:
    """Of 7 positions with 4 filters of 3 x 6 one half is free, and so is one half of the biases."""
    net = nn.Sequential(*SYMMETRIC["free"](), length=17)
    assert net.layers[2].n_parameters == 7 * 4 * (3 * 6 + 1) // 2
    net = nn.Sequential(*SYMMETRIC["tied"](), length=17)
    assert net.layers[1].n_parameters == 4 * (3 * 6 + 1) // 2


@pytest.mark.small
def test_what_does_not_fit_is_refused() -> None:
    def made(*layers: nn.Layer, **how: Any) -> nn.Sequential:
        return nn.Sequential(*layers, **{"length": 12, **how})

    symmetric = nn.Conv1D(4, 3, symmetry="reverse-complement")
    with pytest.raises(ts.ModelError, match="length= to the network"):
        made(nn.LocallyConnected1D(2, 3), length=None)
    with pytest.raises(ts.ArgumentError, match=r"has the shape \(2, 3\); the weights .* are \(10, 3, 4, 2\)"):
        made(nn.LocallyConnected1D(2, 3, ties=np.zeros((2, 3), int)))
    with pytest.raises(ts.ArgumentError, match='"positions"'):
        made(nn.LocallyConnected1D(2, 3, ties="place"))
    with pytest.raises(ts.SequenceError, match="shorter than the reach"):
        made(nn.LocallyConnected1D(2, 13))
    with pytest.raises(ts.SequenceError, match="X has 5 positions"):
        made(nn.LocallyConnected1D(2, 3))("ACGTA")
    with pytest.raises(ts.ModelError, match="do not tie the weights at mirrored positions"):
        made(symmetric, nn.LocallyConnected1D(2, 3, ties=labels_of_positions(8, 3, 4, 2)))
    symmetric = nn.Conv1D(4, 3, symmetry="reverse-complement")
    with pytest.raises(ts.ModelError, match="even number"):
        made(symmetric, nn.LocallyConnected1D(3, 3))
    symmetric = nn.Conv1D(4, 3, symmetry="reverse-complement")
    with pytest.raises(ts.SequenceError, match="leaves 1 over under stride 2"):
        made(symmetric, nn.LocallyConnected1D(4, 3, stride=2))
