"""U-Nets: the decoder's filters are the encoder's transposed; any length; both strands alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from network_checks import batch_of, check_gradients, random_letters

import tiedseq as ts
from tiedseq import nn
from tiedseq.nn.layers import taps, unet
from tiedseq.nn.layers.unet import transposed
from tiedseq.nn.layers.window import Window


def made(input: Any = "dna", dtype: Any = "float64", **how: Any) -> nn.Sequential:
    layer = nn.UNet1D(**{"filters": 2, "depth": 2, "width": 3, "classes": 3, **how})
    net = nn.Sequential(layer, input=input, dtype=dtype, random_state=1)
    net.values = net.values + np.random.default_rng(2).normal(size=net.n_parameters) * 0.1  # biases that are not zero
    return net


@pytest.mark.small
@pytest.mark.parametrize("width", [3, 4])
@pytest.mark.parametrize("tied", [False, True])
def test_gradients_equal_central_differences_at_any_length(tied: bool, width: int) -> None:
    check_gradients(made(tied=tied, width=width), random_letters(np.random.default_rng(3), 13, 16, 7))
    generator = np.random.default_rng(4)
    check_gradients(made(2, tied=tied, width=width), [generator.normal(size=(length, 2)) for length in (11, 8, 5)])


@pytest.mark.small
@pytest.mark.parametrize("tied", [False, True])
def test_gradients_with_symmetry(tied: bool) -> None:
    net = made(tied=tied, symmetry="reverse-complement")
    check_gradients(net, random_letters(np.random.default_rng(5), 12, 16, 8))


@pytest.mark.small
@pytest.mark.parametrize("tied", [False, True])
def test_as_many_positions_come_out_and_padding_changes_nothing(tied: bool) -> None:
    net = made(tied=tied)
    X = random_letters(np.random.default_rng(6), 1, 2, 3, 4, 5, 7, 8, 9, 23)
    for text, together in zip(X, net(X), strict=True):
        assert together.shape == (len(text), 3)
        np.testing.assert_allclose(together, net(text), rtol=0, atol=1e-13)


@pytest.mark.small
@pytest.mark.parametrize("how", [{"width": 3}, {"width": 4}, {"width": 3, "before": 2, "after": 0}])
def test_transposed_filters_are_the_adjoint(how: dict[str, int]) -> None:
    """<W x, y> = <x, W' y>, and W' is the transposed Toeplitz matrix."""
    generator = np.random.default_rng(7)
    span = how["width"] - 1
    window = Window(**{"before": span // 2, "after": span - span // 2, **how})
    back = Window(how["width"], before=window.after, after=window.before)
    weight = generator.normal(size=(how["width"], 2, 3))
    x, y = generator.normal(size=(1, 9, 2)), generator.normal(size=(1, 9, 3))
    there, here = taps.forward(x, weight, window), taps.forward(y, transposed(weight), back)
    np.testing.assert_allclose((there * y).sum(), (x * here).sum(), rtol=1e-12)
    if window.before == span // 2:
        matrix = nn.Conv1D(3, how["width"], padding="same").as_matrix(weight, 9)
        np.testing.assert_allclose(here.ravel(), matrix.T @ y.ravel(), rtol=0, atol=1e-13)


def by_hand(net: nn.Sequential, codes: Any, tied: bool) -> Any:
    """The scores from the matrices of convolutions, one sequence of an even number of positions, depth 1."""
    found = {name.partition("unet1d.")[2]: array for name, array in net.parameters.items()}
    x = np.eye(4)[codes]

    def matrix(weight: Any, length: int) -> Any:
        return nn.Conv1D(weight.shape[2], len(weight), padding="same").as_matrix(weight, length)

    def convolved(values: Any, weight: Any) -> Any:
        return (matrix(weight, len(values)) @ values.ravel()).reshape(len(values), -1)

    first = np.maximum(convolved(x, found["down0.weight"]) + found["down0.bias"], 0)
    second = np.maximum(convolved(np.maximum(first[::2], first[1::2]), found["down1.weight"]) + found["down1.bias"], 0)
    doubled = np.repeat(second, 2, axis=0)

    def adjoint(values: Any, weight: Any) -> Any:
        return (matrix(weight, len(values)).T @ values.ravel()).reshape(len(values), -1)

    # on the way up padding is that of the adjoint, which differs for even widths
    there = found["down1.weight"] if tied else np.flip(found["up1.weight"], 0).swapaxes(1, 2)
    up = adjoint(doubled, there) + adjoint(first, np.flip(found["up1.skip"], 0).swapaxes(1, 2))
    third = np.maximum(up + found["up1.bias"], 0)
    return third @ found["head.weight"] + found["head.bias"]


@pytest.mark.small
@pytest.mark.parametrize("width", [3, 4])
@pytest.mark.parametrize("tied", [False, True])
def test_scores_equal_those_by_matrices(tied: bool, width: int) -> None:
    net = made(tied=tied, depth=1, width=width)
    text = random_letters(np.random.default_rng(8), 14, letters="ACGT")[0]
    np.testing.assert_allclose(net(text), by_hand(net, ts.DNA.encode(text), tied), rtol=0, atol=1e-13)


@pytest.mark.small
def test_the_tie_saves_the_filters_on_the_way_up() -> None:
    free, tied = made(filters=4, width=5), made(filters=4, width=5, tied=True)
    assert free.n_parameters - tied.n_parameters == 5 * (16 * 8 + 8 * 4)
    expected = 5 * (4 * 4 + 4 * 8 + 8 * 16) + 4 + 8 + 16  # down
    expected += 5 * (8 * 8 + 4 * 4) + 8 + 4 + 4 * 3 + 3  # skips and biases on the way up, and the scores
    assert tied.n_parameters == expected
    assert not any(name.endswith(("up1.weight", "up2.weight")) for name in tied.names)


@pytest.mark.small
def test_a_shared_filter_gets_the_gradients_of_both_its_uses() -> None:
    """Against a free network set to the same filters."""
    tied, free = made(tied=True, depth=1), made(depth=1)
    of_tied = tied.parameters
    values = {name: of_tied[name] for name in of_tied}
    values["0.unet1d.up1.weight"] = transposed(of_tied["0.unet1d.down1.weight"])
    free.values = np.concatenate([values[name].ravel() for name in free.names])
    X = random_letters(np.random.default_rng(9), 12, 9)
    batch = batch_of(X, tied)
    outgoing, memory = tied.forward(batch)
    expected, kept = free.forward(batch)
    np.testing.assert_allclose(outgoing.values, expected.values, rtol=0, atol=1e-13)
    gradients = []
    for net, remembered in ((tied, memory), (free, kept)):
        flat = net.backward(remembered, outgoing.values)[1]
        ends = np.cumsum([array.size for array in net.parameters.values()])[:-1]
        gradients.append(dict(zip(net.names, np.split(flat, ends), strict=True)))
    shape = of_tied["0.unet1d.down1.weight"].shape
    there = gradients[1]["0.unet1d.down1.weight"].reshape(shape)
    back = gradients[1]["0.unet1d.up1.weight"].reshape(shape[0], shape[2], shape[1])
    assert np.abs(back).max() > 0.1
    np.testing.assert_allclose(
        gradients[0]["0.unet1d.down1.weight"].reshape(shape), there + transposed(back), rtol=0, atol=1e-12
    )


@pytest.mark.small
@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("symmetry", ["reverse-complement", "palindrome"])
def test_the_mirror_image_has_the_same_labels_backwards(symmetry: str, tied: bool, dtype: str, atol: float) -> None:
    net = made(filters=4, tied=tied, symmetry=symmetry, dtype=dtype)
    X = random_letters(np.random.default_rng(10), 24, 16)
    turned = [x[::-1] if symmetry == "palindrome" else ts.DNA.text_reverse_complement(x) for x in X]
    for one, other in zip(net(X), net(turned), strict=True):
        np.testing.assert_allclose(other[::-1], one, rtol=0, atol=atol)
        assert np.ptp(one, axis=0).min() > 1e-3


@pytest.mark.small
def test_symmetry_halves_the_free_values() -> None:
    whole, half = (made(filters=4, tied=True, symmetry=symmetry) for symmetry in (None, "reverse-complement"))
    assert 2 * half.n_parameters == whole.n_parameters + 3  # of the scores' biases none are mirror images


@pytest.mark.small
def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ts.SequenceError, match="10 positions is no multiple of 4"):
        made(symmetry="reverse-complement")("ACGTACGTAC")
    with pytest.raises(ts.ModelError, match="pads 1 zero before and 2 after"):
        made(symmetry="reverse-complement", width=4)
    with pytest.raises(ts.ModelError, match="even number"):
        made(symmetry="reverse-complement", filters=3)
    with pytest.raises(ts.ArgumentError, match="depth"):
        made(depth=0)
    with pytest.raises(ts.ModelError, match="leaves none"):
        nn.Sequential(nn.UNet1D(2, 1, 3, 2), input=nn.Signal(3, positions=False))


@pytest.mark.small
@pytest.mark.parametrize("depth", [200, 10**9])  # the latter: numbers that themselves fill the memory
@pytest.mark.parametrize("how", [{}, {"tied": True}, {"symmetry": "reverse-complement"}, {"filters": 10**6}])
def test_weights_that_do_not_fit_are_refused_before_the_first_is_made(how: dict[str, Any], depth: int) -> None:
    layer = nn.UNet1D(**{"filters": 8, "depth": depth, "width": 3, "classes": 2, **how})
    with pytest.raises(ts.ResourceError, match=r"depth=\d+ has .* need at least [0-9^,.]+ GB of memory, .*: make"):
        nn.Sequential(layer)


@pytest.mark.small
@pytest.mark.parametrize("tied", [False, True])
def test_what_is_checked_is_what_weights_have(tied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(unet, "check_memory", lambda what, needed, remedy: asked.append(needed))
    net = made(3, tied=tied, depth=3)
    entries = sum(weight.ties.labels.size for weight in net.weights if weight.name in ("weight", "skip"))
    assert asked == [unet._BYTES * (entries - 2 * 3)]  # the dense layer apart
