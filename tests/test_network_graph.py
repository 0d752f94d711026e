"""One matrix at all distances in a graph, against sums over walks and dense powers."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from network_checks import check_gradients
from scipy import sparse

import tiedseq as ts
from tiedseq import nn


def random_graph(nodes: int = 6, share: float = 0.4) -> Any:
    """Directed, with weights, so that a transposed adjacency would be seen."""
    return sparse.random(nodes, nodes, share, random_state=np.random.default_rng(1), format="csr")


@pytest.mark.small
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_equal_central_differences(bias: bool) -> None:
    layers = (nn.MultiHop(4, 3, random_graph(), bias=bias), nn.Tanh(), nn.MultiHop(2, 1, random_graph()))
    net = nn.Sequential(*layers, input=3, dtype="float64", random_state=1)
    check_gradients(net, np.random.default_rng(2).normal(size=(2, 6, 3)))


@pytest.mark.small
def test_it_sums_over_all_walks() -> None:
    """Entry (i, j) of the k-th power is the sum over all walks of k steps of the products along them."""
    nodes, hops = 4, 3
    graph = random_graph(nodes, 0.6).toarray()
    net = nn.Sequential(nn.MultiHop(2, hops, graph), input=3, dtype="float64", random_state=1)
    net.values = np.random.default_rng(3).normal(size=net.n_parameters)
    weight, scales, bias = net.parameters.values()
    x = np.random.default_rng(4).normal(size=(nodes, 3))
    expected = np.tile(bias, (nodes, 1))
    for k in range(hops + 1):
        for walk in product(range(nodes), repeat=k + 1):
            along = np.prod([graph[a, b] for a, b in pairwise(walk)])
            expected[walk[0]] += scales[k] * along * (x[walk[-1]] @ weight)
    np.testing.assert_allclose(net(x), expected, rtol=0, atol=1e-12)


@pytest.mark.small
@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.coo_array, np.asarray])
def test_it_equals_dense_powers(dtype: str, atol: float, form: Any) -> None:
    graph = random_graph().toarray()
    net = nn.Sequential(nn.MultiHop(5, 4, form(graph)), input=3, length=6, dtype=dtype, random_state=1)
    weight, scales, _ = net.parameters.values()
    np.testing.assert_allclose(scales, 0.2, rtol=1e-6)
    X = np.random.default_rng(5).normal(size=(3, 6, 3))
    powers = sum(scale * np.linalg.matrix_power(graph, k) for k, scale in enumerate(scales))
    found = net(X)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_allclose(found, powers @ X @ weight, rtol=0, atol=atol)


@pytest.mark.small
def test_a_hop_costs_one_parameter() -> None:
    counts = [nn.Sequential(nn.MultiHop(8, hops, np.eye(5)), input=4).n_parameters for hops in (1, 2, 7)]
    assert counts == [4 * 8 + 8 + 2, 4 * 8 + 8 + 3, 4 * 8 + 8 + 8]


@pytest.mark.small
def test_renaming_the_nodes_renames_the_output() -> None:
    graph, order = random_graph().toarray(), np.random.default_rng(6).permutation(6)
    X = np.random.default_rng(7).normal(size=(2, 6, 3))
    nets = [
        nn.Sequential(nn.MultiHop(2, 3, matrix), input=3, dtype="float64", random_state=1)
        for matrix in (graph, graph[np.ix_(order, order)])
    ]
    np.testing.assert_allclose(nets[1](X[:, order]), nets[0](X)[:, order], rtol=0, atol=1e-13)


@pytest.mark.small
def test_what_is_no_graph_or_does_not_fit_is_refused() -> None:
    with pytest.raises(ts.ArgumentError, match=r"has the shape \(2, 3\)"):
        nn.MultiHop(2, 1, np.zeros((2, 3)))
    with pytest.raises(ts.ArgumentError, match="finite"):
        nn.MultiHop(2, 1, np.full((2, 2), np.nan))
    with pytest.raises(ts.ArgumentError, match="of type str"):
        nn.MultiHop(2, 1, "graph")
    with pytest.raises(ts.ArgumentError, match="hops"):
        nn.MultiHop(2, 0, np.eye(2))
    with pytest.raises(ts.ModelError, match="length 7"):
        nn.Sequential(nn.MultiHop(2, 1, np.eye(6)), input=3, length=7)
    with pytest.raises(ts.ModelError, match="no other end"):
        nn.Sequential(nn.Conv1D(2, 3, symmetry="palindrome"), nn.MultiHop(2, 1, np.eye(6)))
    with pytest.raises(ts.ModelError, match="takes numbers"):
        nn.Sequential(nn.MultiHop(2, 1, np.eye(6)))
    with pytest.raises(ts.SequenceError, match=r"has 5 positions, and the graph .* 6 nodes"):
        nn.Sequential(nn.MultiHop(2, 1, np.eye(6)), input=3)(np.zeros((5, 3)))
