"""What symmetric filters promise, and the mistakes that they are made with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from network_checks import batch_of, check_gradients, random_letters

import tiedseq as ts
from tiedseq import nn

Array = Any


def filters(symmetry: Any, width: int, input: Any = 3, count: int = 4, **how: Any) -> nn.Sequential:
    layer = nn.Conv1D(count, width=width, symmetry=symmetry, **how)
    return nn.Sequential(layer, input=input, dtype="float64", random_state=1)


def mirrored(values: Array, sign: int = 1) -> Array:
    """The part of windows (N, width, channels) that is even or odd around their centre."""
    return 0.5 * (values + sign * values[:, ::-1])


# ---- palindromes and their opposites ---------------------------------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize("width", [1, 4, 7])
def test_what_palindromes_are(width: int) -> None:
    weight = filters("palindrome", width).parameters["0.conv1d.weight"]
    np.testing.assert_array_equal(weight, weight[::-1])
    weight = filters("antisymmetric", width + 1, bias=False).parameters["0.conv1d.weight"]
    np.testing.assert_array_equal(weight, -weight[::-1])
    assert np.abs(weight).max() > 0


@pytest.mark.small
@pytest.mark.parametrize("width", [4, 7])
def test_palindromes_are_deaf_to_antisymmetric_noise(width: int) -> None:
    """One window: what is even around its centre is heard, noise that is odd is not, however loud."""
    generator = np.random.default_rng(2)
    net = filters("palindrome", width)
    signal = mirrored(generator.normal(size=(9, width, 3)))
    noise = mirrored(generator.normal(size=(9, width, 3)), -1)
    assert np.abs(noise).max() > 1
    np.testing.assert_allclose(net(signal + noise), net(signal), rtol=0, atol=1e-14)
    np.testing.assert_allclose(net(signal + 1000 * noise), net(signal), rtol=0, atol=1e-11)
    even = np.abs(net(signal) - net.parameters["0.conv1d.bias"])
    assert even.min() > 1e-4  # it does hear


@pytest.mark.small
@pytest.mark.parametrize("width", [4, 7])
def test_antisymmetric_filters_are_deaf_to_what_is_symmetric(width: int) -> None:
    generator = np.random.default_rng(3)
    net = filters("antisymmetric", width, bias=False)
    even = mirrored(generator.normal(size=(9, width, 3)))
    odd = mirrored(generator.normal(size=(9, width, 3)), -1)
    np.testing.assert_allclose(net(even), 0, rtol=0, atol=1e-14)
    np.testing.assert_allclose(net(even + odd), net(odd), rtol=0, atol=1e-14)
    assert np.abs(net(odd)).min() > 1e-4


@pytest.mark.small
@pytest.mark.parametrize("symmetry", ["palindrome", "antisymmetric"])
@pytest.mark.parametrize(("dtype", "eps"), [("float64", 2.0**-52), ("float32", 2.0**-23)])
def test_deafness_is_up_to_the_rounding_of_sums(symmetry: str, dtype: str, eps: float) -> None:
    """Of numbers in general: what is not heard is rounded with what is, so that it is not the same to the last bit."""
    generator = np.random.default_rng(15)
    layer = nn.Conv1D(4, 7, symmetry=symmetry, bias=False)
    net = nn.Sequential(layer, input=3, dtype=dtype, random_state=1)
    even, odd = (mirrored(generator.normal(size=(200, 7, 3)), sign) for sign in (1, -1))
    heard, unheard = (even, odd) if symmetry == "palindrome" else (odd, even)
    size = np.einsum("nkc,kcf->nf", np.abs(heard) + np.abs(unheard), np.abs(net.parameters["0.conv1d.weight"]))
    off = np.abs(net(heard + unheard) - net(heard))[:, 0]
    assert (off <= 2 * (7 * 3 + 1) * eps * size).all()  # 21 products and as many sums, in both
    assert off.any()
    assert np.median(np.abs(net(heard))) > 1e-2


@pytest.mark.small
@pytest.mark.parametrize("symmetry", ["palindrome", "antisymmetric"])
def test_deafness_is_exact_where_sums_are(symmetry: str) -> None:
    """In numbers whose sums are exact, so that rounding cannot hide anything."""
    generator = np.random.default_rng(4)
    net = filters(symmetry, 7, bias=False)
    net.values = generator.integers(-64, 64, net.n_parameters) / 64
    even, odd = (mirrored(generator.integers(-64, 64, (9, 7, 3)) / 32, sign) for sign in (1, -1))
    heard, unheard = (even, odd) if symmetry == "palindrome" else (odd, even)
    np.testing.assert_array_equal(net(heard + unheard), net(heard))
    assert (net(heard) != 0).any()


@pytest.mark.small
def test_every_window_of_a_longer_signal_is_deaf_to_its_own_noise() -> None:
    """Noise that is odd around position 10 is not heard by the filter whose centre is there; by others it is."""
    net = filters("palindrome", 5)
    generator = np.random.default_rng(5)
    x, noise = generator.normal(size=(21, 3)), generator.normal(size=(21, 3))
    noise = noise - noise[::-1]
    change = np.abs(net(x + noise) - net(x)).max(axis=1)
    assert change[8] < 1e-14 and np.delete(change, 8).min() > 1e-3


# ---- any rearrangement -----------------------------------------------------------------------------------------------


def cyclic(w: Array) -> Array:
    return np.roll(w, 1, axis=1)


def exchanged(w: Array) -> Array:
    return w[:, :, ::-1]


REARRANGEMENTS: dict[str, tuple[Any, list[Callable[[Array], Array]]]] = {
    "one": (cyclic, [cyclic]),
    "reversal": (lambda w: w[::-1], [lambda w: w[::-1]]),
    "two": ([cyclic, lambda w: -w[::-1]], [cyclic, lambda w: -w[::-1]]),
    "filters": ([exchanged], [exchanged]),
}


@pytest.mark.small
@pytest.mark.parametrize("name", REARRANGEMENTS)
def test_any_rearrangement_of_the_weights_may_be_given(name: str) -> None:
    given, functions = REARRANGEMENTS[name]
    net = filters(given, 4, bias=False)
    weight = net.parameters["0.conv1d.weight"]
    for function in functions:
        np.testing.assert_array_equal(function(weight), weight)
    # the dimension of what is invariant is the trace of the mean of the group, here of projections that commute
    projection = np.eye(weight.size)
    for function in functions:
        moved = np.array([function(row.reshape(weight.shape)).ravel() for row in np.eye(weight.size)])
        powers = [np.linalg.matrix_power(moved, k) for k in range(6)]
        projection = projection @ (sum(powers) / 6)
    assert net.n_parameters == round(float(np.trace(projection))) < weight.size
    check_gradients(net, np.random.default_rng(6).normal(size=(2, 9, 3)))


@pytest.mark.small
@pytest.mark.parametrize("given", [lambda w: w[::-1], [lambda w: w[::-1]]])
def test_rearrangements_keep_the_symmetry_of_the_layer_before(given: Any) -> None:
    """The weights are tied by both, and both strands give the same."""
    first = nn.Conv1D(4, 5, symmetry="reverse-complement")
    layers = (first, nn.Tanh(), nn.Conv1D(4, 3, symmetry=given), nn.GlobalMaxPool(), nn.Dense(2))
    net = nn.Sequential(*layers, dtype="float64", random_state=1)
    weight = net.parameters["2.conv1d.weight"]
    np.testing.assert_array_equal(weight, weight[::-1])
    np.testing.assert_array_equal(weight, weight[:, ::-1, ::-1])
    X = random_letters(np.random.default_rng(14), 30, 41)
    np.testing.assert_allclose(net(X), net([ts.DNA.text_reverse_complement(x) for x in X]), rtol=0, atol=1e-12)
    assert np.ptp(net(X)) > 1e-3
    with pytest.raises(ts.ModelError, match="even number"):
        nn.Sequential(nn.Conv1D(4, 5, symmetry="reverse-complement"), nn.Conv1D(3, 3, symmetry=given))


@pytest.mark.small
def test_functions_that_rearrange_nothing_are_refused() -> None:
    with pytest.raises(ts.ArgumentError, match="does not rearrange"):
        filters(lambda w: 0 * w, 3)
    with pytest.raises(ts.ArgumentError, match="symmetry='mirror' must be one of"):
        filters("mirror", 3)


# ---- the mistakes ----------------------------------------------------------------------------------------------------


def strands(X: list[str]) -> list[str]:
    return [ts.DNA.text_reverse_complement(x) for x in X]


def deep(first: nn.Conv1D, **how: Any) -> nn.Sequential:
    net = nn.Sequential(first, nn.ReLU(), nn.GlobalMaxPool(), nn.Dense(2), dtype="float64", random_state=1, **how)
    net.values = net.values + 0.1 * np.random.default_rng(7).normal(size=net.n_parameters)  # biases, too
    return net


@pytest.mark.small
def test_reversing_without_complementing_is_no_symmetry_of_dna() -> None:
    """Filters that are each other's reversal, in place of the reverse complement, tell the strands apart."""
    X = random_letters(np.random.default_rng(8), 30, 41, letters="ACGT")
    right = filters("reverse-complement", 5, "dna")
    wrong = filters(lambda w: w[::-1, :, ::-1], 5, "dna")
    for net, same in ((right, True), (wrong, False)):
        found = all(
            np.allclose(a[::-1, ::-1], b, rtol=0, atol=1e-12) for a, b in zip(net(X), net(strands(X)), strict=True)
        )
        assert found == same
    reversed_only = [x[::-1] for x in X]
    for a, b in zip(wrong(X), wrong(reversed_only), strict=True):
        np.testing.assert_allclose(a[::-1, ::-1], b, rtol=0, atol=1e-12)
    assert wrong.n_parameters == right.n_parameters + 2  # even the count is that of weights, but biases are not tied


@pytest.mark.small
def test_filters_see_on_one_strand_what_their_images_see_on_the_other() -> None:
    """The rule spelt out, entry by entry: w[k, c, f] = w[width - 1 - k, complement of c, filters - 1 - f]."""
    weight = filters("reverse-complement", 5, "dna").parameters["0.conv1d.weight"]
    for k, c, f in np.ndindex(weight.shape):
        other = "ACGT".index({"A": "T", "C": "G", "G": "C", "T": "A"}["ACGT"[c]])
        assert weight[k, c, f] == weight[4 - k, other, 3 - f]


@pytest.mark.small
def test_the_bias_is_added_once() -> None:
    """A palindrome of two halves has one bias, not one a half; two mirror images have one value, each adds it once."""
    for symmetry in ("palindrome", "reverse-complement"):
        net = filters(symmetry, 5, "dna")
        bias = np.array([0.5, -2.0, -2.0, 0.5])
        free = bias[:2] if symmetry == "reverse-complement" else bias
        net.values = np.concatenate([np.zeros(net.n_parameters - free.size), free])
        np.testing.assert_array_equal(net("ACGTACGT"), np.tile(bias, (4, 1)))


@pytest.mark.small
def test_folded_filters_equal_whole_ones() -> None:
    """A palindrome is a filter of half the width over x[k] + x[width - 1 - k], and the bias once."""
    net = filters("palindrome", 5)
    net.values = np.random.default_rng(9).normal(size=net.n_parameters)
    weight, bias = net.parameters.values()
    windows = np.random.default_rng(10).normal(size=(6, 5, 3))
    folded = windows[:, :3].copy()
    folded[:, :2] += windows[:, :2:-1]
    expected = folded.reshape(6, 9) @ weight[:3].reshape(9, 4) + bias
    np.testing.assert_allclose(net(windows)[:, 0], expected, rtol=0, atol=1e-13)


@pytest.mark.small
@pytest.mark.parametrize(
    ("symmetry", "weights", "biases"),
    [("reverse-complement", 5 * 4 * 4 // 2, 2), ("palindrome", 3 * 4 * 4, 4), (None, 5 * 4 * 4, 4)],
)
def test_tied_weights_count_once(symmetry: Any, weights: int, biases: int) -> None:
    """In the number of parameters, in weight decay, and as one sum in the gradient."""
    net = filters(symmetry, 5, "dna")
    assert (net.n_parameters, int(net.decays.sum())) == (weights + biases, weights)
    whole = filters(None, 5, "dna")
    whole.values = np.concatenate([array.ravel() for array in net.parameters.values()])
    batch = batch_of(random_letters(np.random.default_rng(11), 12, 9), net)
    outgoing, memory = net.forward(batch)
    gradient = whole.backward(whole.forward(batch)[1], outgoing.values)[1]
    found = net.backward(memory, outgoing.values)[1]
    np.testing.assert_allclose(found, nn.projected_gradient(nn.tied_subspace(net), gradient), rtol=0, atol=1e-11)


@pytest.mark.small
def test_weight_decay_counts_tied_weights_once() -> None:
    """The objective grows by half of the decay times the sum of squares of the free values that decay."""
    net = deep(nn.Conv1D(4, 5, symmetry="reverse-complement"))
    start = net.values.astype(np.float64)
    X, y = ["ACGTAGATAG", "CCATTAGGAT"], [0, 1]
    objectives = []
    for decay in (0.0, 0.5):
        losses: list[float] = []
        clf = nn.Classifier(
            net, max_epochs=1, learning_rate=1e-12, weight_decay=decay, warm_start=True, random_state=0, batch_size=2
        )
        clf.fit(X, y, callback=lambda epoch: losses.append(epoch.loss))  # noqa: B023
        objectives.append(losses[0])
        net.values = start
    np.testing.assert_allclose(objectives[1] - objectives[0], 0.25 * (start[net.decays] ** 2).sum(), rtol=1e-9)


# ---- what keeps it, and what does not --------------------------------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("symmetry", ["palindrome", "antisymmetric"])
def test_reading_backwards_turns_the_output(symmetry: str, dtype: str, atol: float) -> None:
    layers = (nn.Conv1D(4, 5, symmetry=symmetry, bias=symmetry == "palindrome"), nn.Tanh(), nn.MeanPool(3, 1))
    net = nn.Sequential(*layers, input=2, dtype=dtype, random_state=1)
    x = np.random.default_rng(12).normal(size=(3, 20, 2))
    sign = -1 if symmetry == "antisymmetric" else 1
    np.testing.assert_allclose(net(x[:, ::-1]), sign * net(x)[:, ::-1], rtol=0, atol=atol)
    assert np.ptp(net(x)) > 0.1


@pytest.mark.small
@pytest.mark.parametrize("first", ["palindrome", "antisymmetric"])
@pytest.mark.parametrize("second", ["palindrome", "antisymmetric"])
def test_the_word_is_of_the_filters_in_every_layer(first: str, second: str) -> None:
    layers = (nn.Conv1D(3, 4, symmetry=first), nn.Tanh(), nn.Conv1D(2, 3, symmetry=second))
    net = nn.Sequential(*layers, input=2, dtype="float64", random_state=1)
    net.values = np.random.default_rng(2).normal(size=net.n_parameters)
    signs = {"palindrome": 1, "antisymmetric": -1}
    for name, symmetry in (("0", first), ("2", second)):
        weight = net.parameters[f"{name}.conv1d.weight"]
        np.testing.assert_array_equal(weight, signs[symmetry] * weight[::-1])
    x = np.random.default_rng(12).normal(size=(3, 20, 2))
    sign = signs[first] * signs[second]
    np.testing.assert_allclose(net(x[:, ::-1]), sign * net(x)[:, ::-1], rtol=0, atol=1e-12)
    assert bool(net.parameters["2.conv1d.bias"].any()) is (sign > 0) and np.ptp(net(x)) > 0.1


@pytest.mark.small
def test_of_channels_some_turn_their_sign() -> None:
    """Even and odd channels: a palindrome is one in the even ones, and antisymmetric in the odd ones."""
    signal = nn.Signal(2, action=nn.Action.of("reversal", [0, 1], [1, -1]))
    net = nn.Sequential(nn.Conv1D(2, 3, symmetry="palindrome"), input=signal, dtype="float64", random_state=1)
    weight = net.parameters["0.conv1d.weight"]
    np.testing.assert_array_equal(weight[:, 0], weight[::-1, 0])
    np.testing.assert_array_equal(weight[:, 1], -weight[::-1, 1])
    x = np.random.default_rng(12).normal(size=(3, 20, 2))
    np.testing.assert_allclose(net(x[:, ::-1] * [1, -1]), net(x)[:, ::-1], rtol=0, atol=1e-12)


@pytest.mark.small
@pytest.mark.parametrize("symmetry", ["palindrome", "antisymmetric"])
def test_what_a_layer_has_lost_is_not_kept_by_the_next(symmetry: str) -> None:
    """Filters are tied; but as the layer before tells directions apart, outputs have no known mirror image."""
    layers = (nn.Conv1D(3, 2), nn.Conv1D(4, 4, padding="same", symmetry=symmetry), nn.ReLU(), nn.RNN(2))
    net = nn.Sequential(*layers, input=3, dtype="float64", random_state=1)
    weight = net.parameters["1.conv1d.weight"]
    np.testing.assert_array_equal(weight, (1 if symmetry == "palindrome" else -1) * weight[::-1])
    assert layers[1].output is not None and layers[1].output.action is None
    kept = nn.Conv1D(4, 3, symmetry=symmetry)
    nn.Sequential(nn.OneHot(), nn.Tanh(), kept)
    assert kept.output is not None and kept.output.action is not None


@pytest.mark.small
def test_antisymmetric_filters_have_no_bias() -> None:
    """A bias does not change its sign, so its only value would be zero: it is tied to that."""
    assert filters("antisymmetric", 5).n_parameters == filters("antisymmetric", 5, bias=False).n_parameters
    assert not filters("antisymmetric", 5).parameters["0.conv1d.bias"].any()


@pytest.mark.small
@pytest.mark.parametrize("layer", [nn.ReLU, nn.Sigmoid, nn.GlobalMaxPool, lambda: nn.MaxPool(2, 1)])
def test_layers_that_lose_the_sign_are_refused(layer: Any) -> None:
    with pytest.raises(ts.ModelError, match=r"antisymmetric channels would lose their symmetry; use nn\.Tanh"):
        nn.Sequential(nn.Conv1D(4, 5, symmetry="antisymmetric"), layer())


@pytest.mark.small
def test_layers_that_cannot_keep_the_symmetry_are_refused() -> None:
    first = lambda symmetry="reverse-complement": nn.Conv1D(4, 5, symmetry=symmetry)  # noqa: E731
    with pytest.raises(ts.ModelError, match="can only be zero"):
        nn.Sequential(first("antisymmetric"), nn.Tanh(), nn.GlobalMeanPool(), nn.Dense(2))
    with pytest.raises(ts.ModelError, match='symmetry="palindrome" comes after a layer that keeps reverse-complement'):
        nn.Sequential(first(), nn.Conv1D(4, 3, symmetry="palindrome"))
    with pytest.raises(ts.ModelError, match="even number"):
        nn.Sequential(first(), nn.Conv1D(3, 3))
    with pytest.raises(ts.ModelError, match="pads 1 zero before and 2 after"):
        nn.Sequential(first(), nn.Conv1D(4, 4, padding="same"))
    with pytest.raises(ts.SequenceError, match="leaves 1 over under stride 2"):
        nn.Sequential(first(), nn.MaxPool(2), length=9)
    with pytest.raises(ts.ModelError, match="mirror images of each other"):
        nn.Sequential(first(), input=4)


@pytest.mark.small
def test_the_symmetry_of_numbers_may_be_told() -> None:
    """Channels that are known to swap, such as signals of both strands."""
    action = nn.Action.of("reverse-complement", [1, 0, 2])
    net = filters("reverse-complement", 5, nn.Signal(3, action=action))
    x = np.random.default_rng(13).normal(size=(2, 11, 3))
    np.testing.assert_allclose(net(x[:, ::-1, [1, 0, 2]]), net(x)[:, ::-1, ::-1], rtol=0, atol=1e-12)
