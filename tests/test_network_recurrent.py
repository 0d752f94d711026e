"""Recurrent layers: PyTorch's outputs and gradients, a twin in plain loops, symmetry, lengths, soft ties, refusals."""

from __future__ import annotations

import functools
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recurrent_twin as twin
from network_checks import batch_of, check_gradients, random_letters
from scipy.optimize import minimize

import tiedseq as ts
from tiedseq import nn
from tiedseq.nn.signal import letter_table

FIXTURES = json.loads(Path(__file__).with_name("recurrent_fixtures.json").read_text(encoding="utf-8"))["cases"]
LAYERS: dict[str, Any] = {
    "RNN": lambda units, **options: nn.RNN(units, **options),
    "GRU": lambda units, **options: nn.GRU(units, **options),
    "GRU, reset before": lambda units, **options: nn.GRU(units, reset="before", **options),
    "LSTM": lambda units, **options: nn.LSTM(units, **options),
}
TWINS: dict[str, Any] = {
    "RNN": twin.rnn,
    "GRU": functools.partial(twin.gru, reset="after"),
    "GRU, reset before": functools.partial(twin.gru, reset="before"),
    "LSTM": twin.lstm,
}


def network(layer: nn.Layer, *others: nn.Layer, dtype: str = "float64", seed: int = 1, **options: Any) -> nn.Sequential:
    """A network whose biases are not zero, as they are at the start."""
    net = nn.Sequential(layer, *others, dtype=dtype, **options)
    net.values = np.random.default_rng(seed).normal(scale=0.5, size=net.n_parameters)
    return net


# ---- PyTorch's weights, (gates * units, channels) and two biases, as a layer's -------------------


def from_torch(kind: str, case: dict[str, Any], suffix: str, of: str = "") -> list[Any]:
    """Weights of a direction; with `of`, the gradients in them as far as they say the same."""

    def array(name: str) -> Any:
        return np.array(case[f"{of}{name}_l0{suffix}"])

    units = array("weight_hh").shape[1]
    of_input, of_state = (
        array(f"weight_{part}").reshape(-1, units, array(f"weight_{part}").shape[1]) for part in ("ih", "hh")
    )
    first, second = (array(f"bias_{part}").reshape(-1, units) for part in ("ih", "hh"))
    biases = first if of else first + second
    if kind == "GRU":
        biases = np.concatenate([first if of else [*(first + second)[:2], first[2]], second[2:]])
    return [of_input.transpose(2, 0, 1), of_state.transpose(2, 0, 1), biases]


@pytest.mark.small
@pytest.mark.parametrize("name", FIXTURES)
def test_outputs_and_gradients_are_those_of_pytorch(name: str) -> None:
    kind, directions = name.split(", ")
    case, suffixes = FIXTURES[name], ["", "_reverse"][: int(directions)]
    x = np.array(case["x"])
    units = len(case["states"][0][0]) // int(directions)
    layer = LAYERS[kind](units, sequences=True, bidirectional=directions == "2")
    net = nn.Sequential(layer, input=x.shape[2], dtype="float64")
    net.values = np.concatenate([array.ravel() for suffix in suffixes for array in from_torch(kind, case, suffix)])
    outgoing, memory = net.forward(nn.Batch(x, np.full(len(x), x.shape[1])))
    np.testing.assert_allclose(outgoing.values, case["states"], rtol=0, atol=1e-10)
    back, gradient = net.backward(memory, np.array(case["of_states"]))
    assert back is not None
    np.testing.assert_allclose(back, case["of_x"], rtol=0, atol=1e-10)
    theirs = [array.ravel() for suffix in suffixes for array in from_torch(kind, case, suffix, "of_")]
    np.testing.assert_allclose(gradient, np.concatenate(theirs), rtol=0, atol=1e-10)


# ---- a twin, and central differences -------------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize("name", LAYERS)
def test_states_are_those_of_the_twin_in_both_directions(name: str) -> None:
    """Letters, N among them; lengths that differ; more units than fit a cache line, so that lines are padded."""
    X = random_letters(np.random.default_rng(0), 7, 3, 9)
    net = network(LAYERS[name](9, sequences=True, bidirectional=True))
    ahead, behind = list(net.parameters.values())[:3], list(net.parameters.values())[3:]
    for sequence, states in zip(X, net(X), strict=True):
        numbers = letter_table(ts.DNA, np.float64)[ts.DNA.encode(sequence)]
        expected = np.hstack([TWINS[name](numbers, *ahead), TWINS[name](numbers[::-1], *behind)[::-1]])
        np.testing.assert_allclose(states, expected, rtol=0, atol=1e-13)
    last = network(LAYERS[name](9, bidirectional=True))
    assert np.array_equal(last(X), [np.concatenate([states[-1, :9], states[0, 9:]]) for states in net(X)])


@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("directions", ["one", "free", "tied"])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_equal_central_differences(name: str, directions: str, sequences: bool) -> None:
    generator = np.random.default_rng(2)
    options: dict[str, Any] = {"sequences": sequences, "bidirectional": directions != "one"}
    symmetry = "reverse-complement" if directions == "tied" else None
    net = network(LAYERS[name](3, symmetry=symmetry, **options), nn.Tanh())
    check_gradients(net, random_letters(generator, 5, 7, 1), most=60)
    action = nn.Action.of("reversal", [1, 0, 2], [1, 1, -1]) if directions == "tied" else None
    net = network(LAYERS[name](3, **options), nn.Tanh(), input=nn.Signal(3, action=action))
    check_gradients(net, [generator.normal(size=(length, 3)) for length in (5, 7, 1)], most=60)


@pytest.mark.parametrize("name", LAYERS)
def test_float32_is_near_float64_for_many_sequences(name: str) -> None:
    """More sequences than stand side by side, and rows that no tile of a product divides."""
    generator = np.random.default_rng(3)
    X = random_letters(generator, *generator.integers(1, 60, size=131))
    layers = [LAYERS[name](20, bidirectional=True) for _ in range(2)]
    nets = [nn.Sequential(a, dtype=b, random_state=1) for a, b in zip(layers, ("float32", "float64"), strict=True)]
    assert nets[0](X).dtype == np.float32
    np.testing.assert_allclose(nets[0](X), nets[1](X), rtol=0, atol=2e-6)


@pytest.mark.parametrize("incoming", ["letters", "numbers", "many sequences"])
@pytest.mark.parametrize("name", LAYERS)
def test_long_sums_of_equal_derivatives_keep_their_digits(name: str, incoming: str) -> None:
    """Of one sequence or of many: a single sum in float32 is wrong by a thousandth or more."""
    count = 600 if incoming == "many sequences" else 1
    codes = np.zeros((count, 262_144 // count), np.uint8)
    x: Any = np.eye(4)[codes] if incoming == "numbers" else codes
    found = []
    for dtype in ("float32", "float64"):
        layer = LAYERS[name](4, sequences=True)
        net = nn.Sequential(layer, input=4 if incoming == "numbers" else ts.DNA, dtype=dtype, random_state=0)
        batch = nn.Batch(x.astype(dtype) if incoming == "numbers" else x, np.full(count, codes.shape[1]))
        outgoing, memory = net.forward(batch)
        gradient = net.backward(memory, np.full(outgoing.values.shape, 0.1))[1]
        found.append([array.astype(float) for array in net.expanded(gradient)])
    for ours, exact in zip(*found, strict=True):
        np.testing.assert_allclose(ours, exact, rtol=0, atol=2e-4 * np.abs(exact).max())


# ---- the same in any company ---------------------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sequence_gives_the_same_bits_alone_and_in_a_batch(name: str, dtype: str) -> None:
    X = random_letters(np.random.default_rng(4), 12, 5, 9, 12, 1)
    net = network(LAYERS[name](5, bidirectional=True, sequences=True), dtype=dtype)
    for together, alone in zip(net(X), map(net, X), strict=True):
        assert np.array_equal(together, alone)
    outgoing, _ = net.forward(batch_of(X, net))
    for row, sequence in zip(outgoing.values, X, strict=True):
        assert not row[len(sequence) :].any()


@pytest.mark.parametrize("name", LAYERS)
def test_threads_at_the_same_time_give_the_same_bits(name: str) -> None:
    """States and gradients of parts of the data, by any number of threads."""
    net = nn.Sequential(LAYERS[name](20, bidirectional=True, sequences=True), random_state=1)
    parts = [batch_of(random_letters(np.random.default_rng(k), 60, 40), net) for k in range(12)]

    def work(batch: nn.Batch) -> tuple[Any, Any]:
        outgoing, memory = net.forward(batch)
        return outgoing.values, net.backward(memory, outgoing.values)[1]

    alone = list(map(work, parts))
    for threads in (2, 3):
        with ThreadPoolExecutor(threads) as pool:
            for found, expected in zip(pool.map(work, parts), alone, strict=True):
                assert np.array_equal(found[0], expected[0])
                assert np.array_equal(found[1], expected[1])


# ---- symmetry ------------------------------------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-12), ("float32", 1e-5)])
def test_the_other_strand_gives_the_outputs_backwards_and_swapped(name: str, dtype: str, atol: float) -> None:
    X = random_letters(np.random.default_rng(5), 20, 9, 31)
    other = [ts.DNA.text_reverse_complement(x) for x in X]
    options = {"bidirectional": True, "symmetry": "reverse-complement"}
    net = network(LAYERS[name](4, sequences=True, **options), dtype=dtype)
    assert net.n_parameters == network(LAYERS[name](4)).n_parameters
    for given, mirrored, reversed_only in zip(net(X), net(other), net([x[::-1] for x in X]), strict=True):
        np.testing.assert_allclose(np.roll(mirrored[::-1], 4, axis=1), given, rtol=0, atol=atol)
        assert np.abs(np.roll(reversed_only[::-1], 4, axis=1) - given).max() > 1e-2
    last = network(LAYERS[name](4, **options), dtype=dtype)
    np.testing.assert_allclose(np.roll(last(other), 4, axis=1), last(X), rtol=0, atol=atol)


@pytest.mark.small
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("sequences", [True, False])
def test_a_network_with_a_recurrent_layer_says_the_same_of_both_strands(name: str, sequences: bool) -> None:
    middle = LAYERS[name](3, bidirectional=True, sequences=sequences)  # takes the symmetry over
    pool = (nn.Conv1D(4, width=3), nn.GlobalMeanPool()) if sequences else ()
    net = network(nn.Conv1D(6, width=5, symmetry="reverse-complement"), middle, *pool, nn.Dense(2))
    X = random_letters(np.random.default_rng(6), 20, 9, 31)
    other = [ts.DNA.text_reverse_complement(x) for x in X]
    np.testing.assert_allclose(net(X), net(other), rtol=0, atol=1e-12)
    assert np.ptp(net(X)) > 1e-2


# ---- weights of their own at each step -----------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize("sequences", [True, False])
def test_steps_with_one_label_are_the_tied_layer(sequences: bool) -> None:
    X = random_letters(np.random.default_rng(7), 6, 6, 6)
    tied = network(nn.RNN(3, sequences=sequences))
    unrolled = nn.Sequential(nn.UnrolledRNN(3, ties=["t"] * 6, sequences=sequences), length=6, dtype="float64")
    unrolled.values = tied.values
    found = []
    for net in (tied, unrolled):
        batch = batch_of(X, net)
        outgoing, memory = net.forward(batch)
        gradient = np.random.default_rng(8).normal(size=outgoing.values.shape)
        found.append((outgoing.values, net.backward(memory, gradient)[1]))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=0, atol=1e-13)


@pytest.mark.small
@pytest.mark.parametrize("ties", [None, [0, 1, 0, 1, 2]])
def test_gradients_of_the_unrolled_layer_equal_central_differences(ties: Any) -> None:
    generator = np.random.default_rng(9)
    net = network(nn.UnrolledRNN(3, tie=0.7, ties=ties, sequences=True), length=5)
    check_gradients(net, random_letters(generator, 5, 5))
    net = network(nn.UnrolledRNN(3, tie=0.7, ties=ties), nn.Dense(2), length=5, input=2)
    check_gradients(net, generator.normal(size=(2, 5, 2)))


def fitted(layer: nn.Layer, X: Any, y: Any) -> dict[str, Any]:
    """The weights of one unit with the least squared error and, so that there is one best, size."""
    net = network(layer, nn.Dense(1), input=1, length=X.shape[1])
    batch = nn.Batch(X, np.full(len(X), X.shape[1]))

    def objective(values: Any) -> tuple[float, Any]:
        outgoing, memory = net.forward(batch, values)
        rest = outgoing.values - y
        arrays = net.expanded(values)
        # an average over the steps: what all steps hold together weighs as much as what one weight holds for them all
        shares = [0.05 / (len(a) if isinstance(layer, nn.UnrolledRNN) and k < 3 else 1) for k, a in enumerate(arrays)]
        size = sum(share * float((a**2).sum()) for share, a in zip(shares, arrays, strict=True))
        of_size = net.pooled([2 * share * a for share, a in zip(shares, arrays, strict=True)])
        penalty, of_penalty = net.penalty(values)
        loss = float((rest**2).sum())
        return loss + size + penalty, net.backward(memory, 2 * rest, values)[1] + of_size + of_penalty

    start = np.full(net.n_parameters, 0.3)
    found = minimize(objective, start, jac=True, method="BFGS", options={"gtol": 1e-10, "maxiter": 5000})
    return dict(zip(("weight", "recurrent", "bias", "dense", "dense bias"), net.expanded(found.x), strict=True))


def test_the_distance_to_the_tied_layer_falls_as_one_over_the_penalty() -> None:
    generator = np.random.default_rng(10)
    X = generator.normal(size=(30, 4, 1))
    y = np.tanh(X @ np.array([1.0]) @ np.array([[0.2], [-0.3], [0.5], [0.9]]))
    tied = fitted(nn.RNN(1), X, y)
    distances = []
    for strength in (1e2, 1e3, 1e4):
        free = fitted(nn.UnrolledRNN(1, tie=strength), X, y)
        apart = [free[name].ravel() - tied[name].ravel() for name in ("weight", "recurrent", "bias")]
        distances.append(np.linalg.norm(np.concatenate(apart)))
    ratios = np.array(distances[:-1]) / distances[1:]
    np.testing.assert_allclose(ratios[-1], 10, rtol=0.05)
    np.testing.assert_allclose(ratios, 10, rtol=0.3)


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.small
def test_what_does_not_fit_is_refused() -> None:
    symmetric: dict[str, Any] = {"symmetry": "reverse-complement"}
    with pytest.raises(ts.ModelError, match=r"first position to the last only.*bidirectional=True"):
        nn.Sequential(nn.Conv1D(4, width=3, **symmetric), nn.GRU(3))
    with pytest.raises(ts.ModelError, match="first position to the last only"):
        nn.Sequential(nn.Conv1D(4, width=3, **symmetric), nn.UnrolledRNN(3), length=9)
    with pytest.raises(ts.ArgumentError, match="add bidirectional=True"):
        nn.LSTM(3, **symmetric)
    with pytest.raises(ts.ArgumentError, match="symmetry='palindrome' of a recurrent layer"):
        nn.RNN(3, bidirectional=True, symmetry="palindrome")
    array: Any = np.array([1, 2])
    for made in (nn.RNN, nn.GRU, nn.LSTM):
        with pytest.raises(ts.ArgumentError, match=r"symmetry=array\(\[1, 2\]\) of a recurrent layer must be"):
            made(3, bidirectional=True, symmetry=array)
    with pytest.raises(ts.ModelError, match="complement"):
        nn.Sequential(nn.RNN(3, bidirectional=True, **symmetric), input=ts.PROTEIN)
    with pytest.raises(ts.ArgumentError, match='reset must be "after" or "before"'):
        nn.GRU(3, reset="never")
    with pytest.raises(ts.ArgumentError, match="units must be a whole number"):
        nn.RNN(0)
    with pytest.raises(ts.ModelError, match="runs over positions"):
        nn.Sequential(nn.RNN(3), nn.GRU(3))
    with pytest.raises(ts.ModelError, match="give length="):
        nn.Sequential(nn.UnrolledRNN(3))
    with pytest.raises(ts.ArgumentError, match="2 labels, and the sequences have 5 steps"):
        nn.Sequential(nn.UnrolledRNN(3, ties="ab"), length=5)
    with pytest.raises(ts.ArgumentError, match="tie must be a finite number"):
        nn.UnrolledRNN(3, tie=-1)
    with pytest.raises(ts.ArgumentError, match=r"sequences must be True or False, not 0\.5"):
        nn.UnrolledRNN(3, 0.5)  # type: ignore[arg-type]
    with pytest.raises(ts.ArgumentError, match="bidirectional must be True or False, not 'no'"):
        nn.LSTM(3, bidirectional="no")  # type: ignore[arg-type]


@pytest.mark.small
def test_layers_show_their_arguments() -> None:
    assert repr(nn.GRU(3, reset="before", bidirectional=True)) == "nn.GRU(3, bidirectional=True, reset='before')"
    for layer in (nn.RNN, nn.GRU, nn.LSTM, nn.UnrolledRNN):  # in one order
        assert repr(layer(3, True)) == f"nn.{layer.__name__}(3, sequences=True)"
    assert repr(nn.UnrolledRNN(3, tie=2)) == "nn.UnrolledRNN(3, tie=2.0)"


@pytest.mark.small
@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, partial(nn.GRU, reset="before"), nn.LSTM])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_no_number_is_refused_after_a_recurrence(kind: Any, dtype: str) -> None:
    """It does not come out as a number between -1 and 1."""
    net = nn.Sequential(kind(3), input=2, dtype=dtype, random_state=0)
    assert net([[[1.0, 2.0]]]).shape == (1, 3)
    net.values[0] = np.nan
    with pytest.raises(ts.SequenceError, match="output for sequence 0 is not finite"):
        net([[[1.0, 2.0]], [[0.0, 2.0]]])
