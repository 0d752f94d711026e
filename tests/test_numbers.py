"""What kernels make of observations that are numbers: densities, moments, tables of likelihoods; against NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import scipy.special
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import tiedseq as ts
from tiedseq.chains.tables import Likelihoods
from tiedseq.kernels.hmm_table import BLOCK as TABLE_BLOCK
from tiedseq.kernels.hmm_table import fill_table
from tiedseq.kernels.memory import aligned, aligned_zeros
from tiedseq.kernels.normal import BLOCK, STEP, add_moments, log_densities

Floats = NDArray[np.float64]

# Around a vector, a step, a block and its end: what is left over is worked on by other lines than the rest.
LENGTHS = (0, 1, 15, 16, 17, STEP - 1, STEP, STEP + 1, BLOCK - 1, BLOCK, BLOCK + 17, 2 * BLOCK + STEP)

pytestmark = pytest.mark.small


def triangles(rows: Floats) -> Floats:
    """Matrices of which the rows hold columns max(0, i - band) to i."""
    count, dims, width = rows.shape
    found = np.zeros((count, dims, dims))
    for i in range(dims):
        low = max(0, i - width + 1)
        found[:, i, low : i + 1] = rows[:, i, : i + 1 - low]
    return found


def rows_of(matrices: Floats, band: int) -> Floats:
    """The inverse of `triangles`; zeros where there is nothing."""
    count, dims, _ = matrices.shape
    found = np.zeros((count, dims, band + 1))
    for i in range(dims):
        low = max(0, i - band)
        found[:, i, : i + 1 - low] = matrices[:, i, low : i + 1]
    return found


@pytest.mark.parametrize(("states", "dims", "band"), [(1, 1, 0), (3, 2, 0), (2, 3, 2), (2, 4, 1)])
def test_densities_equal_the_formula(states: int, dims: int, band: int) -> None:
    rng = np.random.default_rng(dims)
    for length in LENGTHS:
        X, mean, top = rng.normal(size=(length, dims)), rng.normal(size=(states, dims)), rng.normal(size=states)
        root = rng.normal(size=(states, dims, band + 1))
        found = np.full((states, length), np.nan)
        log_densities(X, mean, root, top, aligned(dims * (BLOCK + STEP)), found)
        standard = np.einsum("sij,snj->sni", triangles(root), X[None] - mean[:, None])
        assert_allclose(found, top[:, None] - 0.5 * (standard**2).sum(axis=2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("states", "dims", "band"), [(1, 1, 0), (3, 2, 0), (5, 3, 2), (2, 4, 1)])
def test_moments_are_sums(states: int, dims: int, band: int) -> None:
    rng = np.random.default_rng(dims)
    for length in LENGTHS:
        X, mean, posterior = (
            rng.normal(size=(length, dims)),
            rng.normal(size=(states, dims)),
            rng.random((length, states)),
        )
        moments, products = np.ones((states, 1 + dims)), np.ones((states, dims, band + 1))
        add_moments(X, posterior, mean, aligned((3 * dims + states) * BLOCK), moments, products)
        y = X[None] - mean[:, None]
        weighted = posterior.T[:, :, None] * y
        assert_allclose(moments[:, 0] - 1.0, posterior.sum(axis=0), rtol=1e-12, atol=1e-12)
        assert_allclose(moments[:, 1:] - 1.0, weighted.sum(axis=1), rtol=1e-12, atol=1e-11)
        scatter = np.tril(np.einsum("sni,snj->sij", weighted, y))
        held = rows_of(np.ones_like(scatter), band)
        assert_allclose(products - 1.0, rows_of(scatter, band), rtol=1e-12, atol=1e-11)
        assert_array_equal(products[held == 0.0], 1.0)


# ---- tables of likelihoods -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("states", [1, 3, 4, 6])
def test_tables_are_relative_to_the_largest(states: int) -> None:
    rng, width = np.random.default_rng(states), -(-states // 4) * 4
    for length in (0, 1, 15, 16, 17, TABLE_BLOCK - 1, TABLE_BLOCK, TABLE_BLOCK + 5, 3 * TABLE_BLOCK):
        logs = rng.normal(scale=10.0 ** rng.integers(0, 4), size=(states, length))
        logs[rng.random(logs.shape) < 0.2] = -np.inf
        logs += rng.normal(scale=10.0 ** rng.integers(0, 5), size=length)
        table, log_scale = aligned_zeros((length + 1) * width), np.empty(length)
        table.fill(np.nan)
        fill_table(logs, table, log_scale, aligned((width + 1) * TABLE_BLOCK), np.empty(16, np.int64))
        top = logs.max(axis=0, initial=-np.inf)
        top[top == -np.inf] = 0.0
        assert_array_equal(log_scale, top)
        expected = np.zeros((length + 1, width))
        expected[:length, :states] = np.exp(logs - top).T
        expected[expected < 2.0**-1022] = 0.0
        assert_allclose(table.reshape(-1, width), expected, rtol=4e-16, atol=1e-307)


def test_exponentials_are_right_to_the_last_digit() -> None:
    rng = np.random.default_rng(0)
    x = -np.concatenate([rng.uniform(0, 708, 4000), rng.uniform(0, 1, 2000), 10.0 ** rng.uniform(-20, 0, 1000)])
    borders = np.log(2.0) * (np.arange(1000)[:, None] + [0.0, 0.4999, 0.5001]).ravel()  # of the pieces that it has
    x = np.concatenate([x, -borders, -np.nextafter(borders, 0.0), [-0.0, -709.0, -750.0, -1e5, -1e300, -np.inf]])
    found = Likelihoods.of_logarithms(np.column_stack([x, np.zeros(len(x))]), np.arange(len(x), dtype=np.int32)).table
    within = x > -708.0
    exact = np.exp(x[within].astype(np.longdouble))
    assert (np.abs(found[within, 0] - exact) <= 1.75 * np.spacing(found[within, 0])).all()
    assert_array_equal(found[x <= -709.0, 0], 0.0)
    assert_array_equal(found[:, 1], 1.0)


def test_what_a_table_loses_is_kept_as_logarithms() -> None:
    logs = np.array([[0.0, -1e4], [-np.inf, 3.0], [-np.inf, -np.inf], [-1e305, -2e305]])
    for order in ("C", "F"):
        found = Likelihoods.of_logarithms(np.asarray(logs, order=order), np.array([0, 1, 3, 2, 1], np.uint8))
        assert_array_equal(found.table, [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
        assert_array_equal(found.logs, [[0.0, -1e4], [-np.inf, 0.0], [-np.inf, -np.inf], [0.0, -1e305]])
        assert_array_equal(found.log_scale, [0.0, 3.0, 0.0, -1e305])
        assert found.is_lossy and found.logs.flags.c_contiguous
    assert not Likelihoods.of_logarithms(logs[1:3], np.arange(2)).is_lossy
    assert not Likelihoods.of(np.array([[0.5, 0.0]]), np.arange(1)).is_lossy


@pytest.mark.parametrize("rows", [[0, 1, 2], [2, 0, 0, 1, 2], [1]])
def test_rows_become_those_of_the_letters(rows: Sequence[int]) -> None:
    """Rows that happen to count up are not yet one for each letter of the table."""
    probabilities = np.array([[0.5, 0.0, 0.1], [0.2, 0.3, 0.4], [0.0, 0.0, 0.0], [0.1, 0.9, 0.0]])
    with np.errstate(divide="ignore"):
        logs = np.log(probabilities)
    both = [Likelihoods.of(probabilities, np.array(rows)), Likelihoods.of_logarithms(logs, np.array(rows))]
    for given in both:
        found = given.letter_by_letter()
        assert_array_equal(found.rows, np.arange(len(rows)))
        assert len(found.table) == len(rows) and found.letter_by_letter() is found
        assert_allclose(found.table, given.table[rows], rtol=1e-15)
        assert_allclose(found.log_scale, given.log_scale[rows], rtol=1e-15)


# ---- models ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["spherical", "diagonal", "full"])
def test_training_far_from_zero_is_training_near_it(kind: str) -> None:
    """Where an offset is exact, only the means move."""
    rng = np.random.default_rng(3)
    path = np.cumsum(rng.random(300) < 0.1) % 2
    near = np.round((rng.normal(size=(300, 2)) + 3.0 * path[:, None]) * 2.0**20) / 2.0**20
    offset = np.array([2.0**20, -(2.0**23)])

    def fitted(shift: Floats) -> list[Any]:
        emissions = {s: ts.Gaussian(shift + place, 2.0, kind=kind) for s, place in (("a", 0.5), ("b", 2.0))}
        rows = {s: {"a": 0.5, "b": 0.5} for s in "ab"}
        model = ts.HMM(None, rows, emissions).fit(near + shift, max_iter=3, tol=0.0)
        return [model.score(near + shift), model.means_ - shift, model.covars_]

    for found, expected in zip(fitted(offset), fitted(np.zeros(2)), strict=True):
        assert_allclose(found, expected, rtol=1e-7, atol=1e-8)


def test_steep_densities_are_summed_in_logarithms() -> None:
    """Densities e^-5000 apart, in a model whose states cannot all follow each other; against all paths."""
    emissions = {"a": ts.Gaussian([0.0], 1e-4), "b": ts.Gaussian([1.0], 1e-4)}
    model = ts.HMM(None, {"a": {"a": 0.5, "b": 0.5}, "b": {"b": 1.0}}, emissions, start={"a": 1.0})
    X = np.array([0.0, 1.0, 0.01, 1.02])
    logs = -0.5 * np.log(2.0 * np.pi * 1e-4) - 0.5 * (X[:, None] - [0.0, 1.0]) ** 2 / 1e-4
    paths = [logs[:turn, 0].sum() + logs[turn:, 1].sum() - np.log(2.0) * min(turn, 3) for turn in range(1, 5)]
    assert_allclose(model.score(X), scipy.special.logsumexp(paths), rtol=1e-12)
    posterior = model.predict_proba(X)
    turned = np.exp(paths - scipy.special.logsumexp(paths))
    assert_allclose(posterior[:, 1], [0.0, *np.cumsum(turned)[:3]], rtol=1e-9, atol=1e-12)
