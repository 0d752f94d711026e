"""Products of small matrices and the functions of recurrent layers, against NumPy in a longer type."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from tiedseq.kernels.lines import LINE
from tiedseq.kernels.products import add_product
from tiedseq.kernels.squash import sigmoid_plane, tanh_plane


@numba.njit(error_model="numpy")
def product(total: Any, at: Any, a: Any, a_at: Any, b: Any, b_at: Any, shape: Any) -> None:
    add_product(total, at, total.shape[1], a, a_at, b, b_at, shape)


@numba.njit(error_model="numpy")
def squashed(work: Any) -> None:
    sigmoid_plane(work, 0, work.shape[1])
    tanh_plane(work, 1, work.shape[1])


@pytest.mark.small
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "depth", "lines"), [(1, 1, 1), (4, 3, 4), (7, 5, 6), (9, 0, 2)])
def test_products_are_those_of_numpy(dtype: Any, rows: int, depth: int, lines: int) -> None:
    """From any place on, of a matrix or its transpose; and nothing beside them is touched."""
    generator = np.random.default_rng(rows)
    columns = lines * LINE // np.dtype(dtype).itemsize
    before, a, b = (
        generator.normal(size=shape).astype(dtype)
        for shape in ((rows + 2, columns + 3), (rows + 1, depth + 1), (depth + 1, columns + 2))
    )
    expected = before.astype(np.longdouble)
    expected[1 : rows + 1, 2 : columns + 2] += a[1:, 1:].astype(np.longdouble) @ b[1:, 1:-1].astype(np.longdouble)
    step = a.shape[1]
    transposed = (np.ascontiguousarray(a.T), (rows + 2, 1, rows + 1))
    for left, a_at in ((a, (step + 1, step, 1)), transposed):
        total = before.copy()
        product(total, total.shape[1] + 2, left, a_at, b, (b.shape[1] + 1, b.shape[1]), (rows, depth, columns))
        np.testing.assert_allclose(total, expected, rtol=0, atol=2e-6 if dtype == np.float32 else 1e-14)
        assert np.array_equal(total[[0, -1]], before[[0, -1]])
        assert np.array_equal(total[:, [0, 1, -1]], before[:, [0, 1, -1]])


@pytest.mark.small
@pytest.mark.parametrize(("dtype", "atol"), [(np.float32, 1e-7), (np.float64, 1e-15)])
def test_sigmoid_and_tanh_are_exact_from_end_to_end(dtype: Any, atol: float) -> None:
    largest = np.finfo(dtype).max / 4
    x = np.concatenate(
        [np.linspace(-30, 30, 2001), np.linspace(-1, 1, 2001), [0, 1e-30, 700, -1000, largest, -largest]]
    )
    x = x.astype(dtype)
    work = np.array([x, x])
    squashed(work)
    wide = x.astype(np.longdouble)
    expected = [np.exp(-np.logaddexp(0, -wide)), np.tanh(wide)]
    np.testing.assert_allclose(work, np.array(expected), rtol=0, atol=atol)


@pytest.mark.small
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 3, 40])
def test_what_is_no_number_stays_none(dtype: Any, size: int) -> None:
    """Or a sum that has overflown twice would come out as a confident 1."""
    work = np.full((2, size), np.nan, dtype)
    squashed(work)
    assert np.isnan(work).all()
    for infinite, ends in ((np.inf, [1, 1]), (-np.inf, [0, -1])):
        work = np.full((2, size), infinite, dtype)
        squashed(work)
        np.testing.assert_allclose(work, np.repeat(np.array(ends, dtype)[:, None], size, axis=1), rtol=0, atol=1e-30)
