"""Ties: expand and pool are adjoint, orbits solve the symmetries' equations, and nothing wrong passes for a tie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tiedseq.errors import ArgumentError
from tiedseq.ties import Ties

Rearrangement = Callable[[Any], Any]


@st.composite
def labelled(draw: st.DrawFn) -> tuple[Any, np.ndarray[Any, Any]]:
    """A nested list of labels and an array of the same shape."""
    shape = draw(st.lists(st.integers(0, 4), min_size=0, max_size=3))
    label = st.one_of(st.none(), st.integers(-2, 3), st.sampled_from(["open", "extend", "a b"]))
    labels = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        labels[index] = draw(label)
    seed = draw(st.integers(0, 2**32 - 1))
    return labels, np.random.default_rng(seed).normal(size=shape)


@given(labelled())
def test_pool_is_the_adjoint_of_expand(case: tuple[Any, np.ndarray[Any, Any]]) -> None:
    labels, x = case
    ties = Ties(labels)
    free = np.random.default_rng(0).normal(size=ties.n_free)
    assert_allclose(free @ ties.pool(x), (ties.expand(free) * x).sum(), rtol=1e-12, atol=1e-12)


@given(labelled())
def test_expand_writes_each_value_where_its_label_is(case: tuple[Any, np.ndarray[Any, Any]]) -> None:
    labels, _ = case
    ties = Ties(labels)
    free = np.arange(1.0, ties.n_free + 1)
    full = ties.expand(free)
    value_of = dict(zip(ties.names, free, strict=True))
    for index in np.ndindex(*labels.shape):
        assert full[index] == (0.0 if labels[index] is None else value_of[labels[index]])
    assert ties.n_free == len({label for label in labels.ravel() if label is not None})
    assert_array_equal(ties.uses, [sum(label == name for label in labels.ravel()) for name in ties.names])


def test_integer_labels_index_the_free_vector() -> None:
    labels = [[2, 0], [1, 2]]
    free = np.array([10.0, 20.0, 30.0])
    assert_array_equal(Ties(labels).expand(free), free[np.array(labels)])
    assert_array_equal(Ties(np.array(labels, dtype=np.uint8)).expand(free), free[np.array(labels)])
    assert Ties([7, 3, None]).names == (3, 7), "by rank: labels that are left out take no place"


def test_strings_keep_the_order_of_first_use() -> None:
    ties = Ties([["match", "open"], ["open", None]])
    assert ties.names == ("match", "open")
    assert_array_equal(ties.labels, [[0, 1], [1, -1]])
    assert_array_equal(ties.signs, [[1, 1], [1, 0]])
    assert repr(ties) == "Ties(shape=(2, 2), n_free=2: 'match', 'open' x2, and 1 zero)"


def test_signs_that_are_given() -> None:
    mirrored = Ties.orbits((4, 3), lambda w: -w[::-1])
    labels = mirrored.labels.astype(object)
    labels[mirrored.labels < 0] = None
    again = Ties(labels, mirrored.signs)
    assert_array_equal(again.signs, mirrored.signs)
    free = np.random.default_rng(1).normal(size=mirrored.n_free)
    assert_array_equal(again.expand(free), mirrored.expand(free))
    full = np.random.default_rng(2).normal(size=(4, 3))
    assert_array_equal(again.pool(full), mirrored.pool(full))
    assert_array_equal(Ties(["a", None], signs=[-1.0, 7]).expand([2.0]), [-2.0, 0.0])
    for signs in ([1, 0], [1, 2], [1, np.nan], [0.5, 1]):
        with pytest.raises(ArgumentError, match=r"^signs=.* must hold \+1 or -1 for every entry that has a label"):
            Ties(["a", "a"], signs)
    with pytest.raises(ArgumentError, match=r"^signs= has the shape \(1,\); these ties need \(2,\)"):
        Ties(["a", "a"], [1])


def test_dtypes_are_kept_and_sums_are_exact() -> None:
    ties = Ties([0] * 1000)
    assert ties.expand(np.array([0.1], dtype=np.float32)).dtype == np.float32
    pooled = ties.pool(np.full(1000, 0.1, dtype=np.float32))
    assert pooled.dtype == np.float32
    assert pooled[0] == np.float32(1000 * np.float64(np.float32(0.1))), "summed in float64, then rounded once"
    assert ties.pool(np.ones(1000, dtype=int)).dtype == np.float64


def test_zeros_stay_zero_whatever_the_values() -> None:
    assert_array_equal(Ties(["a", None]).expand([np.inf]), [np.inf, 0.0])
    assert_array_equal(Ties([None, None]).expand([]), [0.0, 0.0])
    assert Ties([None, None]).pool([1.0, 2.0]).shape == (0,)


def rearrangement(source: np.ndarray[Any, Any], sign: np.ndarray[Any, Any]) -> Rearrangement:
    return lambda w: sign * w[source]


@given(st.integers(1, 8), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_orbits_solve_the_equations_of_the_symmetries(n: int, n_symmetries: int, seed: int) -> None:
    """Independent: the fixed points of w -> sign * w[source] are the null space of a matrix."""
    rng = np.random.default_rng(seed)
    symmetries, equations = [], [np.zeros((1, n))]
    for _ in range(n_symmetries):
        source, sign = np.arange(n), rng.choice([1, 1, 1, -1], size=n)
        for _ in range(rng.integers(3)):
            i, j = rng.integers(n, size=2)
            source[[i, j]] = source[[j, i]]
        symmetries.append(rearrangement(source, sign))
        equations.append(np.eye(n) - sign[:, None] * np.eye(n)[source])
    ties = Ties.orbits(n, *symmetries)
    assert ties.n_free == n - np.linalg.matrix_rank(np.vstack(equations))
    w = ties.expand(rng.normal(size=ties.n_free))
    for symmetry in symmetries:
        assert_array_equal(symmetry(w), w)
    free, x = rng.normal(size=ties.n_free), rng.normal(size=n)
    assert_allclose(free @ ties.pool(x), (ties.expand(free) * x).sum(), rtol=1e-12, atol=1e-12)


def test_orbits_of_known_groups() -> None:
    assert_array_equal(Ties.orbits(5, lambda w: w[::-1]).labels, [0, 1, 2, 1, 0])
    assert_array_equal(Ties.orbits((3, 3), lambda w: w.T).labels, [[0, 1, 2], [1, 3, 4], [2, 4, 5]])
    assert Ties.orbits((16, 4, 15), lambda w: w[::-1, ::-1, ::-1]).n_free == 16 * 4 * 15 // 2
    assert Ties.orbits(10_000, lambda w: np.roll(w, 1)).n_free == 1
    assert Ties.orbits((2, 3)).n_free == 6
    assert Ties.orbits(()).n_free == 1


def test_orbits_with_signs() -> None:
    antisymmetric = Ties.orbits((3, 3), lambda w: -w.T)
    assert antisymmetric.n_free == 3
    assert_array_equal(antisymmetric.expand([1.0, 2.0, 3.0]), [[0, 1, 2], [-1, 0, 3], [-2, -3, 0]])
    assert_array_equal(antisymmetric.signs, [[0, 1, 1], [-1, 0, 1], [-1, -1, 0]])
    assert Ties.orbits(3, lambda w: -np.roll(w, 1)).n_free == 0, "an odd cycle of minus signs leaves nothing"
    assert Ties.orbits(4, lambda w: -np.roll(w, 1)).n_free == 1


@pytest.mark.parametrize(
    ("symmetry", "message"),
    [
        (lambda w: 2 * w, "does not rearrange"),
        (lambda w: w[[0, 0, 1, 2]], "does not rearrange"),
        (lambda w: w[:3], "shape"),
        (lambda w: w.reshape(2, 2), "shape"),
        (lambda w: w + 0.5, "does not rearrange"),
        (lambda w: np.sort(w), "by their values"),
        (lambda w: np.abs(w), "by their values"),
        (lambda w: w[99], "fails"),
        (lambda w: None, "dtype object"),
    ],
)
def test_what_does_not_rearrange_is_refused(symmetry: Rearrangement, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Ties.orbits(4, symmetry)


def test_a_symmetry_that_works_in_place_does_no_harm() -> None:
    def reverse(w: Any) -> Any:
        w[:] = w[::-1].copy()
        return w

    assert_array_equal(Ties.orbits(3, reverse).labels, [0, 1, 0])


@pytest.mark.parametrize("labels", [[["a", "b"], ["c"]], [float("nan"), 1.0], [{"a": 1}], [np.zeros(2), np.zeros(3)]])
def test_bad_labels_are_named(labels: Any) -> None:
    with pytest.raises(ArgumentError, match="labels="):
        Ties(labels)


def test_bad_arrays_are_named() -> None:
    ties = Ties(["a", "a", "b"])
    with pytest.raises(ArgumentError, match=r"free= has the shape \(3,\); these ties need \(2,\)"):
        ties.expand([1.0, 2.0, 3.0])
    with pytest.raises(ArgumentError, match=r"full= has the shape \(2,\); these ties need \(3,\)"):
        ties.pool([1.0, 2.0])
    with pytest.raises(ArgumentError, match="real numbers"):
        ties.pool(["x", "y", "z"])
    for shape in (-1, (2, -1), "ab", 2.5, (2.5,), (3, 2.0), np.float64(2.0), np.array([1.5, 2.0]), ("2",), None):
        with pytest.raises(ArgumentError, match="shape="):
            Ties.orbits(shape)  # type: ignore[arg-type]


def test_every_real_dtype_is_expanded_and_pooled() -> None:
    ties = Ties.orbits(4, lambda w: -w[::-1])
    for dtype in (bool, np.uint8, np.int8, np.int64, np.float32, np.float64, np.longdouble):
        full = ties.expand(np.array([1, 0], dtype))
        assert_array_equal(full, [1, 0, 0, -1])
        assert full.dtype == dtype or np.dtype(dtype).kind in "bu"
        assert_array_equal(ties.pool(np.array([1, 1, 0, 0], dtype)), [1, 1])


def test_what_is_masked_is_no_number() -> None:
    ties = Ties([["a", "b"], ["b", None]])
    full = np.ma.array([[1.0, 2.0], [1e20, 4.0]], mask=[[False, False], [True, False]])
    with pytest.raises(ArgumentError, match=r"full= is masked at \[1, 0\], .* fill in what is missing"):
        ties.pool(full)
    with pytest.raises(ArgumentError, match=r"free= is masked at \[1\]"):
        ties.expand(np.ma.array([1.0, 2.0], mask=[False, True]))
    assert ties.pool(np.ma.array(full.data)).tolist() == [1.0, 1e20 + 2.0]  # nothing is
