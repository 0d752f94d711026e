"""The tied loss is a section through the free one: its gradient and its Hessian are projections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tiedseq as ts
from tiedseq import nn

Array = Any


def squares(net: nn.Sequential, batch: nn.Batch, target: Array) -> Callable[[Array], Array]:
    """The gradient in the free values of half the sum of squares."""

    def gradient(values: Array) -> Array:
        outgoing, memory = net.forward(batch, values)
        return net.backward(memory, outgoing.values - target, values)[1]

    return gradient


TIES: dict[str, Any] = {
    "positions": ["positions"],
    "palindromes": [lambda w: w[:, ::-1]],
    "antisymmetric": [lambda w: -w[:, ::-1]],
    "labels": [np.random.default_rng(1).integers(0, 9, (4, 3, 2, 2))],
}


def of_ties(ties: Any) -> tuple[nn.Sequential, nn.Sequential]:
    """A network of free weights, and one of tied weights, of the same shapes."""
    how: dict[str, Any] = {"input": 2, "length": 6, "dtype": "float64", "random_state": 2}
    free, tied = (
        nn.Sequential(nn.LocallyConnected1D(2, 3, ties=each), nn.Tanh(), nn.Flatten(), nn.Dense(2), **how)
        for each in (None, ties)
    )
    return free, tied


@pytest.mark.small
@pytest.mark.parametrize("name", TIES)
def test_gradient_and_hessian_are_projections_of_the_free_ones(name: str) -> None:
    free, tied = of_ties(TIES[name][0])
    subspace = nn.tied_subspace(tied)
    assert subspace.shape == (free.n_parameters, tied.n_parameters)
    generator = np.random.default_rng(3)
    batch, target = nn.Batch(generator.normal(size=(5, 6, 2)), np.full(5, 6)), generator.normal(size=(5, 2))
    values = generator.normal(size=tied.n_parameters)
    of_tied, of_free = squares(tied, batch, target), squares(free, batch, target)
    np.testing.assert_allclose(
        nn.projected_gradient(subspace, of_free(subspace @ values)), of_tied(values), rtol=0, atol=1e-11
    )
    found = nn.projected_hessian(subspace, nn.hessian_of(of_free, subspace @ values))
    expected = nn.hessian_of(of_tied, values)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.small
def test_the_hessian_of_a_convolution_in_closed_form() -> None:
    """Linear layers and squares: H = X'X of what the filters see, at every position free, in their sum tied."""
    generator = np.random.default_rng(4)
    X, target = generator.normal(size=(5, 6, 2)), generator.normal(size=(5, 4, 1))
    how: dict[str, Any] = {"input": 2, "length": 6, "dtype": "float64"}
    free = nn.Sequential(nn.LocallyConnected1D(1, 3, bias=False), **how)
    tied = nn.Sequential(nn.LocallyConnected1D(1, 3, bias=False, ties="positions"), **how)
    windows = np.stack([X[:, o : o + 3].reshape(5, 6) for o in range(4)])
    of_free = np.zeros((24, 24))
    for o, seen in enumerate(windows):
        of_free[6 * o : 6 * o + 6, 6 * o : 6 * o + 6] = seen.T @ seen
    of_tied = sum(seen.T @ seen for seen in windows)
    subspace = nn.tied_subspace(tied)
    np.testing.assert_allclose(nn.projected_hessian(subspace, of_free), of_tied, rtol=0, atol=1e-12)
    batch = nn.Batch(X, np.full(5, 6))
    values = generator.normal(size=6)
    for net, expected in ((free, of_free), (tied, of_tied)):
        start = values if net is tied else subspace @ values
        np.testing.assert_allclose(nn.hessian_of(squares(net, batch, target), start), expected, rtol=0, atol=1e-8)


@pytest.mark.small
def test_the_subspace_is_what_ties_expand_to() -> None:
    ties = ts.Ties.orbits((3, 4), lambda w: -w[::-1], lambda w: w[:, ::-1])
    free = np.random.default_rng(5).normal(size=ties.n_free)
    subspace = nn.tied_subspace(ties)
    np.testing.assert_allclose(subspace @ free, ties.expand(free).ravel(), rtol=0, atol=0)
    np.testing.assert_allclose(subspace.T @ subspace, np.diag(ties.uses), rtol=0, atol=0)
    net = nn.Sequential(nn.Conv1D(4, 3, symmetry="reverse-complement"), nn.Dense(2), dtype="float64", random_state=1)
    entries = np.concatenate([weight.ravel() for weight in net.parameters.values()])
    np.testing.assert_allclose(nn.tied_subspace(net) @ net.values, entries, rtol=0, atol=0)


@pytest.mark.small
def test_other_shapes_are_refused() -> None:
    subspace = nn.tied_subspace(ts.Ties([0, 0, 1]))
    with pytest.raises(ts.ArgumentError, match=r"gradient= has the shape \(2,\)"):
        nn.projected_gradient(subspace, [1.0, 2.0])
    with pytest.raises(ts.ArgumentError, match=r"hessian= has the shape \(3,\)"):
        nn.projected_hessian(subspace, [1.0, 2.0, 3.0])
