"""One layer applied many times: a recurrent net, and the solution of a differential equation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from network_checks import check_gradients, random_letters
from scipy.integrate import solve_ivp

import tiedseq as ts
from tiedseq import nn

DEEP: dict[str, Any] = {
    "repeat": lambda: (nn.Repeat([nn.Dense(3), nn.Tanh()], times=4), nn.Dense(2)),
    "residual": lambda: (nn.Residual(nn.Dense(3)), nn.Tanh(), nn.Residual([nn.Dense(5), nn.Tanh(), nn.Dense(3)], 0.3)),
    "flow": lambda: (nn.Repeat(nn.Residual([nn.Dense(3), nn.Tanh()], step=1 / 6), times=6),),
    "convolutions": lambda: (
        nn.Repeat([nn.Conv1D(3, width=3, padding="same"), nn.Tanh()], times=3),
        nn.GlobalMeanPool(),
    ),
}


@pytest.mark.small
@pytest.mark.parametrize("name", DEEP)
def test_gradients_equal_central_differences(name: str) -> None:
    net = nn.Sequential(*DEEP[name](), input=3, dtype="float64", random_state=1)
    X = [np.random.default_rng(k).normal(size=(length, 3)) for k, length in enumerate((7, 10, 5))]
    check_gradients(net, X)
    for together, alone in zip(net(X), map(net, X), strict=True):
        np.testing.assert_allclose(together, alone, rtol=0, atol=1e-13)


@pytest.mark.small
def test_repeating_is_a_recurrent_net_whose_steps_share_their_weights() -> None:
    """Against layers of their own a step, set to the same values: the tied gradient is the sum of theirs."""
    inner = lambda: [nn.Dense(3), nn.Tanh()]  # noqa: E731
    how: dict[str, Any] = {"input": nn.Signal(3, positions=False), "dtype": "float64", "random_state": 1}
    tied = nn.Sequential(nn.Repeat(inner(), times=5), **how)
    free = nn.Sequential(*(layer for _ in range(5) for layer in inner()), **how)
    assert (tied.n_parameters, free.n_parameters) == (12, 60)
    free.values = np.tile(tied.values, 5)
    generator = np.random.default_rng(2)
    batch, gradient = nn.Batch(generator.normal(size=(4, 3))), generator.normal(size=(4, 3))
    outgoing, memory = tied.forward(batch)
    expected, kept = free.forward(batch)
    np.testing.assert_allclose(outgoing.values, expected.values, rtol=0, atol=1e-15)
    back, of_values = tied.backward(memory, gradient)
    expected_back, of_each = free.backward(kept, gradient)
    np.testing.assert_allclose(of_values, of_each.reshape(5, 12).sum(axis=0), rtol=0, atol=1e-14)
    assert back is not None and expected_back is not None
    np.testing.assert_allclose(back, expected_back, rtol=0, atol=1e-14)


def errors_by_depth(depths: list[int]) -> list[float]:
    """The largest difference between the network's output and the solution of dx/dt = tanh(x W + b) at t = 1."""
    generator = np.random.default_rng(3)
    weight, bias, start = generator.normal(size=(3, 3)), generator.normal(size=3), generator.normal(size=3)
    exact = solve_ivp(lambda _, x: np.tanh(x @ weight + bias), (0, 1), start, rtol=1e-12, atol=1e-12).y[:, -1]
    found = []
    for depth in depths:
        flow = nn.Repeat(nn.Residual([nn.Dense(3), nn.Tanh()], step=1 / depth), times=depth)
        net = nn.Sequential(flow, input=nn.Signal(3, positions=False), dtype="float64")
        net.values = np.concatenate([weight.ravel(), bias])
        found.append(float(np.abs(net.forward(nn.Batch(start[None]))[0].values[0] - exact).max()))
    return found


def test_depth_nears_the_solution_of_a_differential_equation() -> None:
    """The error falls as 1 / depth: on logarithmic axes the slope is -1."""
    depths = [16, 32, 64, 128, 256, 512, 1024]
    errors = errors_by_depth(depths)
    assert errors[-1] < 1e-3
    slopes = np.diff(np.log(errors)) / np.diff(np.log(depths))
    np.testing.assert_allclose(slopes[2:], -1, rtol=0, atol=0.05)
    np.testing.assert_allclose(np.array(errors[-3:]) * depths[-3:], errors[-1] * depths[-1], rtol=0.02)


@pytest.mark.small
@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-12), ("float32", 1e-5)])
def test_both_strands_say_the_same(dtype: str, atol: float) -> None:
    layers = (
        nn.Conv1D(6, 5, symmetry="reverse-complement"),
        nn.Repeat(nn.Residual([nn.Conv1D(6, 3, padding="same"), nn.Tanh()], step=0.25), times=4),
        *(nn.GlobalMaxPool(), nn.Dense(2)),
    )
    net = nn.Sequential(*layers, dtype=dtype, random_state=1)
    assert net.layers[1].n_parameters == 3 * 6 * 6 // 2 + 3
    X = random_letters(np.random.default_rng(5), 20, 31)
    other = [ts.DNA.text_reverse_complement(x) for x in X]
    np.testing.assert_allclose(net(X), net(other), rtol=0, atol=atol)
    assert np.ptp(net(X)) > 1e-3


@pytest.mark.small
def test_layers_that_give_something_else_are_refused() -> None:
    for wrapped in (lambda *inner: nn.Repeat(inner, times=2), nn.Residual):
        with pytest.raises(ts.ModelError, match="channels equal"):
            nn.Sequential(wrapped(nn.Dense(4)), input=3)
        with pytest.raises(ts.ModelError, match="10 positions of 3 channels with no symmetry into 8 positions"):
            nn.Sequential(wrapped(nn.Conv1D(3, 3)), input=3, length=10)
        with pytest.raises(ts.ModelError, match="takes numbers"):
            nn.Sequential(wrapped(nn.Conv1D(4, 3, padding="same")))
        with pytest.raises(ts.ModelError, match="turn 9 positions into 7"):
            nn.Sequential(wrapped(nn.Conv1D(3, 3)), input=3)(np.zeros((9, 3)))
        with pytest.raises(ts.ModelError, match="with reversal; make"):
            nn.Sequential(wrapped(nn.Conv1D(3, 3, padding="same", symmetry="palindrome")), input=3)
    with pytest.raises(ts.ArgumentError, match="times"):
        nn.Repeat(nn.Dense(3), times=0)
    for step in (0, np.nan, "1"):
        with pytest.raises(ts.ArgumentError, match="step="):
            nn.Residual(nn.Dense(3), step)  # type: ignore[arg-type]


def test_mirror_images_that_change_their_places_are_told() -> None:
    recurrent = nn.GRU(2, sequences=True, bidirectional=True)
    first = nn.Conv1D(4, 3, symmetry="reverse-complement")
    with pytest.raises(ts.ModelError, match=r"other half.*End with .* nn\.Conv1D of width 1"):
        nn.Sequential(first, nn.Residual(recurrent))
    nn.Sequential(first, nn.Residual([recurrent, nn.Conv1D(4, 1)]))
