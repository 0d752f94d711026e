"""Conv1D: its definition in plain loops, PyTorch's numbers, its matrix, and its maximum without its outputs."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_convolution_fixtures import CASES
from network_checks import batch_of, check_gradients, random_letters
from network_twin import convolution, convolution_backward, first_maximum, one_hot

import tiedseq as ts
from tiedseq import nn
from tiedseq.kernels.memory import _KEPT_BYTES, _waiting, recycled
from tiedseq.nn.layers import lookup
from tiedseq.nn.layers.fusion import MaximumOfConvolution
from tiedseq.nn.layers.lookup import Reading

FIXTURES = Path(__file__).with_name("convolution_fixtures.npz")

# What Conv1D is asked for, and the zeros before and after that the twin is told of.
WINDOWS: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "valid": ({"width": 6}, (0, 0)),
    "same": ({"width": 4, "padding": "same"}, (1, 2)),
    "one tap": ({"width": 1}, (0, 0)),
    "stride": ({"width": 5, "stride": 3}, (0, 0)),
    "dilation": ({"width": 4, "dilation": 3}, (0, 0)),
    "all": ({"width": 5, "stride": 2, "dilation": 2, "padding": 7}, (7, 7)),
    "more padding than filter": ({"width": 2, "padding": 9}, (9, 9)),
}


def options_of(window: dict[str, Any]) -> dict[str, int]:
    return {name: window[name] for name in ("stride", "dilation") if name in window}


def random_net(*layers: nn.Layer, seed: int = 0, **options: Any) -> nn.Sequential:
    """A network whose biases are not zero."""
    net = nn.Sequential(*layers, **{"dtype": "float64"} | options)
    net.values = np.random.default_rng(seed).normal(size=net.n_parameters)
    return net


@pytest.mark.small
@pytest.mark.parametrize("letters", ["ACGT", "ACGTN", "ACGTRYSWKMN", "A"])
@pytest.mark.parametrize("name", WINDOWS)
def test_letters_equal_plain_loops(name: str, letters: str) -> None:
    window, (before, after) = WINDOWS[name]
    net = random_net(nn.Conv1D(3, **window))
    X = random_letters(np.random.default_rng(1), 21, 14, 30, letters=letters)
    batch = batch_of(X, net)
    outgoing, memory = net.forward(batch)
    assert outgoing.lengths is not None
    weight, bias = net.expanded()
    generator, total = np.random.default_rng(2), [np.zeros(weight.shape), np.zeros(bias.shape)]
    gradient = np.zeros_like(outgoing.values)
    for n, (x, length) in enumerate(zip(map(one_hot, X), outgoing.lengths, strict=True)):
        expected = convolution(x, weight, bias, **options_of(window), before=before, after=after)
        np.testing.assert_allclose(outgoing.values[n, :length], expected, rtol=0, atol=1e-12)
        assert not outgoing.values[n, length:].any()
        gradient[n, :length] = generator.normal(size=expected.shape)
        parts = convolution_backward(x, weight, gradient[n, :length], **options_of(window), before=before)
        total = [a + b for a, b in zip(total, parts[1:], strict=True)]
    back, found = net.backward(memory, gradient)
    assert back is None
    np.testing.assert_allclose(found, np.concatenate([part.ravel() for part in total]), rtol=0, atol=1e-11)


@pytest.mark.small
@pytest.mark.parametrize("name", WINDOWS)
def test_derivatives_are_summed_in_parts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the parts, they add up to the same."""
    net = random_net(nn.Conv1D(3, **WINDOWS[name][0]))
    X = random_letters(np.random.default_rng(2), 40, 31, 22)
    outgoing, memory = net.forward(batch_of(X, net))
    gradient = np.random.default_rng(3).normal(size=outgoing.values.shape)
    whole = net.backward(memory, gradient)[1]
    monkeypatch.setattr(lookup, "_SUMMED", 12)
    np.testing.assert_allclose(net.backward(memory, gradient)[1], whole, rtol=0, atol=1e-12)


def test_a_long_sum_of_equal_derivatives_keeps_its_digits() -> None:
    """All letters alike and all derivatives: a single sum in float32 is wrong by a five-hundredth."""
    net = nn.Sequential(nn.Conv1D(8, 5), random_state=0)
    outgoing, memory = net.forward(batch_of("A" * 262_144, net))
    found = net.backward(memory, np.full(outgoing.values.shape, 0.1))[1]
    np.testing.assert_allclose(found[found != 0.0], np.float32(0.1) * np.float64(262_140), rtol=1e-3, atol=0.0)


@pytest.mark.small
@pytest.mark.parametrize("name", WINDOWS)
def test_numbers_equal_plain_loops(name: str) -> None:
    window, (before, after) = WINDOWS[name]
    net = random_net(nn.Conv1D(3, **window), input=2)
    generator = np.random.default_rng(1)
    X = [generator.normal(size=(length, 2)) for length in (21, 14, 30)]
    batch = batch_of(X, net)
    outgoing, memory = net.forward(batch)
    assert outgoing.lengths is not None
    weight, bias = net.expanded()
    total = [np.zeros(weight.shape), np.zeros(bias.shape)]
    gradient, of_x = np.zeros_like(outgoing.values), np.zeros_like(batch.values)
    for n, (x, length) in enumerate(zip(X, outgoing.lengths, strict=True)):
        expected = convolution(x, weight, bias, **options_of(window), before=before, after=after)
        np.testing.assert_allclose(outgoing.values[n, :length], expected, rtol=0, atol=1e-12)
        gradient[n, :length] = generator.normal(size=expected.shape)
        parts = convolution_backward(x, weight, gradient[n, :length], **options_of(window), before=before)
        of_x[n, : len(x)] = parts[0]
        total = [a + b for a, b in zip(total, parts[1:], strict=True)]
    back, found = net.backward(memory, gradient)
    assert back is not None
    np.testing.assert_allclose(back, of_x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found, np.concatenate([part.ravel() for part in total]), rtol=0, atol=1e-11)


@pytest.mark.parametrize(("sequences", "length"), [(3, 2500), (700, 9)])
def test_numbers_in_several_products(sequences: int, length: int) -> None:
    """Sequences longer than one matrix product takes, and so short that it takes many."""
    generator = np.random.default_rng(1)
    net = random_net(nn.Conv1D(3, 4, stride=2, padding=1, dilation=2), input=2)
    weight, bias = net.expanded()
    X = generator.normal(size=(sequences, length, 2))
    outgoing, memory = net.forward(batch_of(X, net))
    gradient = generator.normal(size=outgoing.values.shape)
    back, found = net.backward(memory, gradient)
    assert back is not None
    of_weight = np.zeros(weight.shape)
    for n in range(sequences):
        options = {"stride": 2, "dilation": 2, "before": 1}
        if n % 100 == 2:
            expected = convolution(X[n], weight, bias, **options, after=1)
            np.testing.assert_allclose(outgoing.values[n], expected, rtol=0, atol=1e-12)
        of_x, part, _ = convolution_backward(X[n], weight, gradient[n], **options)
        np.testing.assert_allclose(back[n], of_x, rtol=0, atol=1e-12)
        of_weight += part
    np.testing.assert_allclose(found[: weight.size], of_weight.ravel(), rtol=0, atol=1e-10)


@pytest.mark.small
@pytest.mark.parametrize("name", CASES)
def test_equals_pytorch(name: str) -> None:
    case = dict(CASES[name])
    with np.load(FIXTURES) as file:
        stored = {part.partition("/")[2]: file[part] for part in file.files if part.startswith(f"{name}/")}
    channels = case.pop("channels")
    net = nn.Sequential(nn.Conv1D(**case), input=channels or "DNA", dtype="float64")
    net.values = np.concatenate([stored["weight"].ravel(), stored["bias"]])
    batch = nn.Batch(stored["x"], np.full(len(stored["x"]), stored["x"].shape[1]))
    outgoing, memory = net.forward(batch)
    np.testing.assert_allclose(outgoing.values, stored["outputs"], rtol=0, atol=1e-10)
    back, gradient = net.backward(memory, stored["gradient"])
    expected = np.concatenate([stored["of_weight"].ravel(), stored["of_bias"]])
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-10)
    if back is not None:
        np.testing.assert_allclose(back, stored["of_x"], rtol=0, atol=1e-10)


@pytest.mark.small
@pytest.mark.parametrize("letters", ["ACGT", "ACGTN"])
@pytest.mark.parametrize("filters", [5, 32, 33, 48, 64, 70])
@pytest.mark.parametrize("width", [3, 8])
def test_any_number_of_filters(filters: int, width: int, letters: str) -> None:
    """Blocks of filters that are full, and that spill over."""
    net = random_net(nn.Conv1D(filters, width))
    X = random_letters(np.random.default_rng(1), 17, 30, 25, letters=letters)
    for found, x in zip(net(X), X, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(np.array(one_hot(x)), width, axis=0)
        expected = np.einsum("tcw,wcf->tf", windows, net.expanded()[0]) + net.expanded()[1]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    check_gradients(net, X, most=40)


@pytest.mark.small
def test_letters_of_proteins() -> None:
    net = random_net(nn.Conv1D(3, 5), input=ts.PROTEIN)
    check_gradients(net, ["MKVLAAGIVGLC", "MKVXXBZWYHHHHQ"])


@pytest.mark.parametrize(
    ("dtype", "atol", "filters"), [("float32", 1e-4, 32), ("float32", 1e-4, 24), ("float64", 1e-10, 48)]
)
def test_large_batches(dtype: str, atol: float, filters: int) -> None:
    """Outputs that are written past the caches, into memory that was used before."""
    generator = np.random.default_rng(1)
    net = random_net(nn.Conv1D(filters, 15), dtype=dtype)
    codes = generator.integers(0, 4, (50, 1000)).astype(np.uint8)
    batch = nn.Batch(codes, np.full(50, 1000))
    weight, bias = net.expanded()
    kept = []
    for shift in range(3):
        rolled = batch.with_values(np.roll(codes, shift, axis=0))
        outgoing, memory = net.forward(rolled)
        hot = np.eye(4)[rolled.values]
        expected = sum(hot[:, tap : tap + 986] @ weight[tap].astype(np.float64) for tap in range(15)) + bias
        np.testing.assert_allclose(outgoing.values, expected, rtol=0, atol=atol)
        gradient = generator.normal(size=expected.shape).astype(dtype)
        of_weight = [np.einsum("ntc,ntf->cf", hot[:, tap : tap + 986], gradient) for tap in range(15)]
        found = net.backward(memory, gradient)[1]
        np.testing.assert_allclose(found[: weight.size], np.ravel(of_weight), rtol=0, atol=100 * atol)
        kept.append((outgoing.values, outgoing.values.copy()))
        if shift == 1:
            del kept[0]  # its memory may be used again, that of the others may not
    for values, copy in kept:
        np.testing.assert_array_equal(values, copy)


@pytest.mark.small
def test_memory_is_used_again_and_what_waits_is_bounded() -> None:
    first = recycled(3 << 18, np.float32)
    address, part = first.ctypes.data, first[5:9]
    assert address % 64 == 0
    del first
    other = recycled(3 << 18, np.float32)
    assert other.ctypes.data != address  # a view of the first is still there
    del part
    assert recycled(3 << 18, np.float32).ctypes.data == address
    many = [recycled(40 << 20, np.uint8) for _ in range(5)] + [recycled(2 * _KEPT_BYTES, np.uint8)]
    del many
    assert 0 < sum(array.size for array in _waiting.values()) <= _KEPT_BYTES


@pytest.mark.small
def test_memory_that_is_used_again_is_one_owner_s_at_a_time() -> None:
    """Several threads that take turns as often as Python lets them, and keep some arrays for a while."""

    def work(number: int) -> int:
        generator, held, spoilt = np.random.default_rng(number), [], 0
        for _ in range(300):
            held.append(recycled(int(generator.integers(1 << 20, 3 << 20)), np.uint8))
            held[-1][::4096] = number
            if len(held) > 4:
                spoilt += int((held.pop(generator.integers(5))[::4096] != number).any())
        return spoilt

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(work, range(1, 5))) == [0] * 4
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.small
@pytest.mark.parametrize("name", WINDOWS)
def test_the_matrix_is_toeplitz_and_the_layer(name: str) -> None:
    window = WINDOWS[name][0]
    layer = nn.Conv1D(3, **window, bias=False)
    net = random_net(layer)
    [x] = random_letters(np.random.default_rng(1), 19)
    matrix = layer.as_matrix(net.expanded()[0], 19)
    np.testing.assert_allclose(matrix @ np.ravel(one_hot(x)), net(x).ravel(), rtol=0, atol=1e-12)
    blocks = matrix.reshape(-1, 3, 19, 4)
    stride = window.get("stride", 1)
    np.testing.assert_array_equal(blocks[1:, :, stride:], blocks[:-1, :, : 19 - stride])


@pytest.mark.small
def test_a_shift_of_the_input_shifts_the_output() -> None:
    net = random_net(nn.Conv1D(4, 5))
    [x] = random_letters(np.random.default_rng(1), 40, letters="ACGT")
    for shift in (1, 3, 7):
        np.testing.assert_allclose(net(x[shift:]), net(x)[shift:], rtol=0, atol=1e-13)
    strided = random_net(nn.Conv1D(4, 5, stride=3))
    np.testing.assert_allclose(strided(x[3:]), strided(x)[1:], rtol=0, atol=1e-13)


# ---- convolution, ReLU and maximum as one layer ---------------------------------------------------------------------


def unfused(net: nn.Sequential) -> nn.Sequential:
    """Run the layers as they were given."""
    assert isinstance(net.stack.steps[0], MaximumOfConvolution)
    net.stack.steps = net.stack.parts
    return net


def fused_and_not(window: dict[str, Any], rectified: bool, **options: Any) -> tuple[nn.Sequential, nn.Sequential]:
    between = [nn.ReLU] if rectified else []
    layers = [
        (nn.Conv1D(36, **window), *(kind() for kind in between), nn.GlobalMaxPool(), nn.Dense(2)) for _ in range(2)
    ]
    one, other = (random_net(*layer, **options) for layer in layers)
    return one, unfused(other)


@pytest.mark.small
@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-13), ("float32", 1e-6)])
@pytest.mark.parametrize("rectified", [True, False])
@pytest.mark.parametrize("name", ["valid", "same", "all"])
@pytest.mark.parametrize("lengths", [(30, 30, 30), (21, 14, 30)])
def test_fused_equals_unfused(name: str, rectified: bool, dtype: str, atol: float, lengths: tuple[int, ...]) -> None:
    one, other = fused_and_not(WINDOWS[name][0], rectified, dtype=dtype)
    X = random_letters(np.random.default_rng(1), *lengths)
    np.testing.assert_allclose(one(X), other(X), rtol=0, atol=0)
    batch = batch_of(X, one)
    gradient = np.random.default_rng(2).normal(size=(len(X), 2))
    found, expected = (net.backward(net.forward(batch)[1], gradient)[1] for net in (one, other))
    np.testing.assert_allclose(found, expected, rtol=10 * atol, atol=10 * atol)
    assert one.n_parameters == other.n_parameters
    assert one.names == other.names


@pytest.mark.small
def test_the_first_of_equal_places_gets_the_gradient() -> None:
    net = random_net(nn.Conv1D(3, 2), nn.GlobalMaxPool())
    x = "ACGTACGTACGT"  # every window but those at the end is there several times
    outgoing, memory = net.forward(batch_of([x], net))
    weight, bias = net.expanded()
    outputs = convolution(one_hot(x), weight, bias)
    best, where = first_maximum(outputs)
    np.testing.assert_allclose(outgoing.values[0], best, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(memory[0][1][0], where)
    gradient = np.zeros_like(outputs)
    gradient[where, range(3)] = [1.0, 2.0, 3.0]
    expected = convolution_backward(one_hot(x), weight, gradient)
    found = net.backward(memory, np.array([[1.0, 2.0, 3.0]]))[1]
    np.testing.assert_allclose(found, [*expected[1].ravel(), *expected[2]], rtol=0, atol=1e-13)


@pytest.mark.small
def test_where_relu_leaves_zero_no_gradient_passes() -> None:
    net = nn.Sequential(nn.Conv1D(2, 2), nn.ReLU(), nn.GlobalMaxPool(), dtype="float64")
    net.values = np.concatenate([np.zeros(16), [-1.0, 1.0]])
    outgoing, memory = net.forward(batch_of(["ACGT"], net))
    assert outgoing.values.tolist() == [[0.0, 1.0]]
    assert net.backward(memory, np.ones((1, 2)))[1][-2:].tolist() == [0.0, 1.0]


@pytest.mark.small
def test_what_is_made_one_layer() -> None:
    def kinds(*layers: nn.Layer, **options: Any) -> list[str]:
        return [type(step).__name__ for step in nn.Sequential(*layers, **options).stack.steps]

    first = (nn.Conv1D(4, 3), nn.ReLU(), nn.GlobalMaxPool(), nn.Dense(1))
    assert kinds(*first) == ["MaximumOfConvolution", "Dense"]
    assert kinds(nn.Conv1D(4, 3), nn.Tanh(), nn.GlobalMaxPool()) == ["Conv1D", "Tanh", "GlobalMaxPool"]
    assert kinds(nn.Conv1D(4, 3), nn.GlobalMaxPool(), input=2) == ["Conv1D", "GlobalMaxPool"]


@pytest.mark.small
def test_groups_of_taps_follow_the_symbols_that_are_there() -> None:
    """More symbols make larger tables of fewer taps; padding counts only where an output sees it."""
    sizes = {}
    for letters in ("ACGT", "ACGTN", "ACGTRYSWKMN"):
        X = random_letters(np.random.default_rng(1), 900, 1000, letters=letters)
        net = nn.Sequential(nn.Conv1D(4, 12))
        memory = net.forward(batch_of(X, net))[1][0]
        assert isinstance(memory, Reading)
        sizes[letters] = len(memory.shares), memory.group
    assert sizes == {"ACGT": (4, 4), "ACGTN": (5, 3), "ACGTRYSWKMN": (11, 2)}
