"""The tied M-step against optimisers that know nothing of it, and every trap of ties that meet sums to one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linprog, minimize
from scipy.sparse.csgraph import connected_components

from tiedseq.constraints import Row, connected
from tiedseq.errors import ArgumentError, ModelError
from tiedseq.simplex import Simplex
from tiedseq.ties import Ties

Array = np.ndarray[Any, Any]


def rows_of(*rows: str) -> tuple[Ties, list[Array]]:
    """Ties and rows from strings: each letter is a label, each string a row."""
    ends = np.cumsum([0, *map(len, rows)])
    return Ties(list("".join(rows))), [np.arange(a, b) for a, b in pairwise(ends)]


def multiplicities(ties: Ties, rows: list[Array]) -> Array:
    return np.array([[(ties.labels[row] == g).sum() for g in range(ties.n_free)] for row in rows], dtype=float)


def by_slsqp(matrix: Array, mass: Array, counts: Array) -> Array:
    """The same problem by sequential quadratic programming, from the centre of a few feasible points."""
    matrix, first = np.unique(matrix, axis=0, return_index=True)  # SLSQP stops at once where rows repeat
    mass = mass[first]
    rng = np.random.default_rng(0)
    corners = [
        linprog(rng.normal(size=matrix.shape[1]), A_eq=matrix, b_eq=mass, bounds=(0, 1), method="highs").x
        for _ in range(20)
    ]
    low = 1e-9
    found = minimize(
        lambda v: -(counts * np.log(np.maximum(v, low))).sum() / counts.sum(),
        np.mean(corners, axis=0),
        jac=lambda v: -counts / np.maximum(v, low) / counts.sum(),
        constraints=[{"type": "eq", "fun": lambda v: matrix @ v - mass, "jac": lambda v: matrix}],
        bounds=[(low, 1.0)] * matrix.shape[1],
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-14},
    )
    return np.asarray(found.x)


# --- the traps of the design, each with its right answer ------------------------------------------


def test_one_row_divides_by_how_often_a_label_is_used() -> None:
    ties, rows = rows_of("aaab")
    value = Simplex(ties, rows).maximize(ties.pool([10, 20, 30, 40]))
    assert_allclose(value, [0.2, 0.4], rtol=1e-15, atol=0)
    assert_allclose(by_slsqp(multiplicities(ties, rows), np.ones(1), np.array([60.0, 40.0])), value, rtol=1e-5, atol=0)


def test_a_label_shared_by_two_rows_is_estimated_from_both() -> None:
    ties, rows = rows_of("abc", "ade")
    value = Simplex(ties, rows).maximize(ties.pool([9, 0.5, 0.5, 0, 5, 5]))
    assert_allclose(value[0], 9 / 20, rtol=1e-14, atol=0)
    ties = Ties(["s", "b", "c", "d", "s", "e"])  # the counts of the design's table: (8, 1, 1) and (1, 8, 1)
    value = Simplex(ties, [range(3), range(3, 6)]).maximize(ties.pool([8, 1, 1, 8, 1, 1]))
    assert_allclose(dict(zip(ties.names, value, strict=True))["s"], 9 / 20, rtol=1e-14, atol=0)
    assert_allclose(value, [9 / 20, 0.275, 0.275, 0.55 * 8 / 9, 0.55 / 9], rtol=1e-14, atol=0)


def test_constraints_alone_may_give_the_values() -> None:
    ties, rows = rows_of("aab", "abb")
    simplex = Simplex(ties, rows)
    assert simplex.n_free == 0
    assert_allclose([simplex.forced[0], simplex.forced[1]], [1 / 3, 1 / 3], rtol=1e-14, atol=0)
    assert_allclose(simplex.maximize([100, 1]), [1 / 3, 1 / 3], rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        (["aa", "a"], "'a'"),
        (["aab", "aaabb"], "'a', 'b'"),
        (["ab", "aabb"], "'a', 'b'"),
        (["aa", "ab", "abbc"], "'a', 'b', 'c'"),
    ],
)
def test_infeasible_ties_are_refused_by_name(rows: list[str], labels: str) -> None:
    with pytest.raises(ModelError, match=f"No values of {labels} fulfil"):
        Simplex(*rows_of(*rows))


def test_reverse_complement_of_a_markov_chain_ties_the_joint_table() -> None:
    """P(a, b) = P(comp b, comp a) holds for pairs; the conditional rows that follow are not tied to each other."""
    ties = Ties.orbits((4, 4), lambda w: w[::-1, ::-1].T)
    counts = np.arange(1.0, 17.0).reshape(4, 4)
    joint = ties.expand(Simplex(ties, [range(16)]).maximize(ties.pool(counts)))
    assert_allclose(joint, (counts + counts[::-1, ::-1].T) / 2 / counts.sum(), rtol=1e-14, atol=0)
    conditional = joint / joint.sum(axis=1, keepdims=True)
    assert not np.allclose(conditional, conditional[::-1, ::-1].T, rtol=1e-3, atol=0)


def test_a_label_without_counts_may_be_forced_to_be_positive() -> None:
    ties, rows = rows_of("ab", "ac")
    value = Simplex(ties, rows).maximize([10, 0, 5])
    assert_allclose(value, [2 / 3, 1 / 3, 1 / 3], rtol=1e-13, atol=0)


def test_pooled_counts_beat_averaged_probabilities() -> None:
    ties, rows = rows_of("ab", "ab")
    counts = np.array([9.0, 1.0, 10.0, 90.0])
    value = Simplex(ties, rows).maximize(ties.pool(counts))
    assert_allclose(value, [19 / 110, 91 / 110], rtol=1e-14, atol=0)
    averaged = np.array([(0.9 + 0.1) / 2, (0.1 + 0.9) / 2])
    assert counts @ np.log(ties.expand(value)) > counts @ np.log(ties.expand(averaged))


# --- against independent optimisers ---------------------------------------------------------------


@st.composite
def problems(draw: st.DrawFn) -> tuple[Ties, list[Array], dict[int, float], np.random.Generator]:
    """Random ties, rows and held values; often infeasible, often without an interior."""
    n_labels = draw(st.integers(2, 7))
    rows: list[Array] = []
    labels: list[int] = []
    for _ in range(draw(st.integers(1, 4))):
        row = draw(st.lists(st.integers(0, n_labels - 1), min_size=1, max_size=5))
        rows.append(np.arange(len(labels), len(labels) + len(row)))
        labels += row
    ties = Ties(labels)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    held = {g: float(rng.uniform(0, 0.2)) for g in range(ties.n_free) if rng.random() < draw(st.sampled_from([0, 0.2]))}
    return ties, rows, held, rng


def solve(
    problem: tuple[Ties, list[Array], dict[int, float], np.random.Generator],
) -> tuple[Simplex | None, Array, Array, Array]:
    """The simplex (None if it is refused), and matrix, mass and indices of the values that are not held."""
    ties, rows, held, _ = problem
    matrix = multiplicities(ties, rows)
    loose = np.array([g for g in range(ties.n_free) if g not in held], dtype=int)
    mass = 1.0 - matrix @ np.array([held.get(g, 0.0) for g in range(ties.n_free)])
    try:
        return Simplex(ties, rows, held), matrix[:, loose], mass, loose
    except ModelError:
        return None, matrix[:, loose], mass, loose


@given(problems())
def test_feasibility_and_degrees_of_freedom(problem: Any) -> None:
    """Independent: a linear program finds whether there is a solution, random ones how many dimensions they span."""
    simplex, matrix, mass, loose = solve(problem)
    if len(loose) == 0:
        assert (simplex is None) == bool(np.abs(mass).max() > 1e-6)
        return
    rng = problem[3]
    found = [linprog(rng.normal(size=len(loose)), A_eq=matrix, b_eq=mass, bounds=(0, None)) for _ in range(25)]
    if found[0].status == 2:
        assert simplex is None
        return
    assert simplex is not None
    corners = np.array([each.x for each in found if each.status == 0])
    spread = corners - corners[0]
    assert simplex.n_free == np.linalg.matrix_rank(spread, tol=1e-6)
    is_forced = [index in simplex.forced for index in loose]
    assert_array_equal(np.abs(spread).max(axis=0) < 1e-7, is_forced)
    assert_allclose(corners[0][is_forced], [simplex.forced[g] for g in loose if g in simplex.forced], rtol=0, atol=1e-7)


@given(problems(), st.sampled_from(["gamma", "integers", "wide"]), st.sampled_from([0.0, 0.3, 0.8]), st.booleans())
def test_no_direction_improves_the_maximum(problem: Any, kind: str, zeros: float, with_current: bool) -> None:
    """Independent: for a concave aim a point is best exactly if a linear program along its gradient gains nothing."""
    simplex, matrix, mass, loose = solve(problem)
    if simplex is None:
        return
    ties, rows, held, rng = problem
    draws = {"gamma": rng.gamma(0.5, size=ties.n_free), "integers": rng.integers(0, 20, size=ties.n_free).astype(float)}
    counts = draws.get(kind, 10 ** rng.uniform(-6, 6, size=ties.n_free))
    counts[rng.random(ties.n_free) < zeros] = 0.0
    current = simplex.maximize(rng.gamma(0.3, size=ties.n_free)) if with_current else None
    value = simplex.maximize(counts, current)
    assert (value >= 0).all()
    assert_allclose(multiplicities(ties, rows) @ value, 1.0, rtol=0, atol=1e-12)
    for g, held_value in held.items():
        assert value[g] == held_value
    counted = np.array([g for g in loose if counts[g] > 0 and simplex.forced.get(g, 1.0) > 0], dtype=int)
    if len(counted) == 0:
        return
    assert (value[counted] > 0).all()
    gradient = np.zeros(ties.n_free)
    gradient[counted] = counts[counted] / value[counted]
    gradient /= gradient.max()
    best = linprog(-gradient[loose], A_eq=matrix, b_eq=mass, bounds=(0, None))
    assert -best.fun - gradient[loose] @ value[loose] < 1e-6


@pytest.mark.parametrize("seed", range(12))
def test_the_maximum_is_that_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    while True:
        n_rows = int(rng.integers(2, 4))
        labels = rng.integers(0, 6, size=(n_rows, 4))
        ties, rows = Ties(labels), [np.arange(4 * r, 4 * r + 4) for r in range(n_rows)]
        matrix = np.array([[(labels[r] == name).sum() for name in ties.names] for r in range(n_rows)], dtype=float)
        try:
            simplex = Simplex(ties, rows)
        except ModelError:
            continue
        if simplex.n_free > 1 and not simplex.forced:
            break
    counts = rng.gamma(2.0, size=ties.n_free) + 0.2
    assert_allclose(simplex.maximize(counts), by_slsqp(matrix, np.ones(n_rows), counts), rtol=0, atol=2e-6)


# --- zero counts, current values, held values -----------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "counts", "expected"),
    [
        (["ab", "ac"], {"b": 1}, {"a": 0, "b": 1, "c": 1}),
        (["abc", "aadd", "bbc"], {"b": 1}, {"a": 0.5, "b": 0.5, "c": 0, "d": 0}),  # two values vanish together
        (["bd", "abf", "cdef"], {"c": 1}, {"a": 0, "b": 1, "c": 1, "d": 0, "e": 0, "f": 0}),
        (["abe", "ac"], {"a": 10, "c": 5}, {"a": 2 / 3, "b": 1 / 6, "c": 1 / 3, "e": 1 / 6}),
        (["ab", "bc", "cd"], {"a": 1, "d": 1}, {"a": 0.5, "b": 0.5, "c": 0.5, "d": 0.5}),
    ],
)
def test_few_counts_determine_all(rows: list[str], counts: dict[str, float], expected: dict[str, float]) -> None:
    ties, places = rows_of(*rows)
    value = Simplex(ties, places).maximize([counts.get(str(name), 0) for name in ties.names])
    assert_allclose(value, [expected[str(name)] for name in ties.names], rtol=0, atol=1e-12)
    assert_array_equal(value == 0, [expected[str(name)] == 0 for name in ties.names])


def test_rows_without_counts_keep_their_values() -> None:
    ties, rows = rows_of("ab", "cde", "fg", "fh")
    simplex = Simplex(ties, rows)
    current = np.array([0.3, 0.7, 0.2, 0.3, 0.5, 0.25, 0.75, 0.75])
    value = simplex.maximize([1, 1, 0, 0, 0, 0, 0, 0], current)
    assert_allclose(value[:2], 0.5, rtol=1e-15, atol=0)
    assert_array_equal(value[2:], current[2:])
    bare = simplex.maximize(np.zeros(8))
    assert_allclose(bare, [1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3, 1 / 2, 1 / 2, 1 / 2], rtol=1e-13, atol=0)
    assert_allclose(simplex.maximize(np.zeros(8), np.ones(8)), bare, rtol=1e-13, atol=0, err_msg="infeasible: not kept")


def test_values_without_counts_share_as_before() -> None:
    ties, rows = rows_of("abe", "ac")
    value = Simplex(ties, rows).maximize([10, 0, 0, 5], [0.4, 0.2, 0.4, 0.6])
    assert_allclose(value, [2 / 3, 1 / 9, 2 / 9, 1 / 3], rtol=1e-12, atol=0)
    value = Simplex(ties, rows).maximize([10, 0, 0, 5], [0.4, 0.6, 0.0, 0.6])
    assert_allclose(value, [2 / 3, 1 / 3, 0, 1 / 3], rtol=1e-12, atol=0)
    assert value[2] == 0, "a zero that nothing calls for stays one"


def test_one_count_a_use_where_nothing_is_known() -> None:
    ties, rows = rows_of("aab")
    assert_allclose(Simplex(ties, rows).maximize([0, 0]), [1 / 3, 1 / 3], rtol=1e-15, atol=0)


def test_held_values_take_their_share() -> None:
    ties, rows = rows_of("abc", "abd")
    simplex = Simplex(ties, rows, held={0: 0.4})
    assert simplex.n_free == 1
    value = simplex.maximize([99, 1, 2, 3])
    assert_allclose(value, [0.4, 0.1, 0.5, 0.5], rtol=1e-13, atol=0)
    assert value[0] == 0.4
    assert Simplex(*rows_of("ab"), held={0: 1.0}).forced == {1: 0.0}
    assert Simplex(*rows_of("ab"), held={0: 0.25, 1: 0.75}).maximize([1, 1]).tolist() == [0.25, 0.75]
    assert 0.7 + 0.2 + 0.1 < 1.0  # by rounding, which leaves nothing to share
    assert Simplex(*rows_of("abcd"), held={0: 0.7, 1: 0.2, 2: 0.1}).forced == {3: 0.0}


@pytest.mark.parametrize(
    ("rows", "held", "message"),
    [
        (["ab"], {0: 1.5}, "held values that sum to 1.5 and more: 'a', 'b'"),
        (["ab"], {0: 0.5, 1: 0.4}, "held values that sum to 0.9 and nothing else: 'a', 'b'"),
        (["abc", "bcd"], {0: 0.5, 3: 0.25}, "'b' \\+ 'c' = 0.75 and 'b' \\+ 'c' = 0.5 contradict"),
    ],
)
def test_held_values_that_do_not_fit_are_named(rows: list[str], held: dict[int, float], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Simplex(*rows_of(*rows), held=held)


@pytest.mark.parametrize("exponent", range(-200, 201, 50))
def test_the_scale_of_counts_does_not_matter(exponent: int) -> None:
    ties, rows = rows_of("abc", "ade", "fgg")
    simplex = Simplex(ties, rows)
    counts = np.array([9, 0.5, 0.5, 8, 1, 3, 0])
    expected = [*simplex.maximize(counts)]
    assert_allclose(simplex.maximize(counts * 10.0**exponent), expected, rtol=1e-12, atol=0)


def test_a_value_fades_over_many_steps_without_harm() -> None:
    """EM that drives a value to zero passes through counts of any size."""
    ties, rows = rows_of("abc", "ad")
    simplex = Simplex(ties, rows)
    for exponent in range(0, -325, -5):
        value = simplex.maximize([5.0, 3.0, 10.0**exponent, 2.0])
        assert_allclose(multiplicities(ties, rows) @ value, 1.0, rtol=0, atol=1e-12)
        expected = value[1] * 10.0**exponent / 3 if exponent > -30 else 0.0
        assert_allclose(value[2], expected, rtol=1e-6, atol=0)


def random_block(rng: np.random.Generator) -> tuple[Simplex, Array]:
    """Rows that share values and leave a choice, and their matrix."""
    while True:
        n_rows, width = int(rng.integers(2, 6)), int(rng.integers(2, 7))
        ties = Ties(rng.integers(0, int(rng.integers(3, 10)), size=n_rows * width))
        rows = list(np.arange(n_rows * width).reshape(n_rows, width))
        try:
            simplex = Simplex(ties, rows)
        except ModelError:
            continue
        if simplex._blocks:
            return simplex, multiplicities(ties, rows)


def counts_of_any_size(rng: np.random.Generator, n: int) -> Array:
    """Proper counts among ones that fade, in several mixtures."""
    proper, share = 10 ** rng.uniform(0, 3, n), rng.random(n)
    counts = [
        np.where(share < 0.6, proper, 10 ** rng.uniform(-80, -30, n)),
        np.where(share < 0.4, proper, np.where(share < 0.7, 0.0, 10 ** rng.uniform(-80, -30, n))),
        np.where(share < 0.5, proper, 10 ** rng.uniform(-32, -26, n)),
        10 ** rng.uniform(-120, -60, n),
        10 ** rng.uniform(-30, 3, n),
        10 ** rng.uniform(-323, 300, n),
    ]
    return counts[int(rng.integers(len(counts)))]


def random_step(seed: int) -> tuple[Simplex, Array, Array, Array | None]:
    """A block, its matrix, counts of any size, and values before the step, if any."""
    rng = np.random.default_rng([8, seed])
    simplex, matrix = random_block(rng)
    counts = counts_of_any_size(rng, matrix.shape[1])
    return simplex, matrix, counts, simplex.maximize(rng.gamma(0.3, size=counts.size)) if rng.random() < 0.6 else None


def log_likelihood(counts: Array, value: Array) -> float:
    """The aim of the M-step for a count of one in all; what is below the rounding of that counts nothing."""
    if not counts.any():
        return 0.0
    share = counts / counts.max() / (counts / counts.max()).sum()
    counted = share > 1e-18
    return float(share[counted] @ np.log(value[counted]))


HARD = [122, 982, 2631, 3197, 4737, 4919, 6467, 11674]  # these did not converge once


@pytest.mark.parametrize(
    "seeds", [[*HARD, *range(300)], pytest.param(range(20_000), marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_counts_of_any_size_have_a_maximum(seeds: Any) -> None:
    for seed in seeds:
        simplex, matrix, counts, current = random_step(seed)
        value = simplex.maximize(counts, current)
        assert (value >= 0.0).all()
        assert_allclose(matrix @ value, 1.0, rtol=0, atol=1e-13, err_msg=f"seed {seed}")
        if current is not None and (current[counts > 0] > 0).all():
            assert log_likelihood(counts, value) >= log_likelihood(counts, current) - 1e-13


@pytest.mark.parametrize("seed", [*HARD, *range(40)])
def test_counts_of_any_size_have_the_maximum_of_scipy(seed: int) -> None:
    simplex, matrix, counts, current = random_step(seed)
    best = by_slsqp(matrix, np.ones(len(matrix)), counts / counts.max())
    if np.abs(matrix @ best - 1.0).max() < 1e-9:
        assert log_likelihood(counts, simplex.maximize(counts, current)) > log_likelihood(counts, best) - 1e-6


@pytest.mark.parametrize("seed", range(20))
def test_a_maximum_that_is_not_found_is_no_step_back(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    simplex, matrix = random_block(rng)
    counts, found = rng.gamma(1.0, size=(2, matrix.shape[1]))
    before, found = simplex.maximize(rng.gamma(1.0, size=counts.size)), simplex.maximize(found)
    block = simplex._blocks[0]
    for stopped_at in (found[block.labels], np.full(len(block.labels), 0.5)):
        with monkeypatch.context() as patch:
            patch.setattr("tiedseq.simplex.interior_point", lambda *problem, at=stopped_at: (at, False))
            value = simplex.maximize(counts, before)
            assert_allclose(matrix @ value, 1.0, rtol=0, atol=1e-12)
            assert log_likelihood(counts, value) >= log_likelihood(counts, before)
            for infeasible in (None, before * 1.1):
                with pytest.raises(RuntimeError, match="found no maximum for counts") as caught:
                    simplex.maximize(counts, infeasible)
                assert not isinstance(caught.value, ModelError)
                assert len(str(caught.value)) < 200


def test_rows_that_miss_their_sums_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    simplex = Simplex(*rows_of("abc", "ade"))
    before = simplex.maximize(np.ones(5))
    monkeypatch.setattr("tiedseq.simplex.onto_rows", lambda matrix, mass, value: 0.5 * value)
    assert_array_equal(simplex.maximize([9, 1, 2, 3, 4], before), before)
    with pytest.raises(RuntimeError, match="5 values in 2 rows"):
        simplex.maximize([9, 1, 2, 3, 4])


def test_ties_are_exact_and_impossible_entries_are_zero() -> None:
    ties = Ties([["a", "a", None, "b"], ["b", "a", "a", None]])
    full = ties.expand(Simplex(ties, [range(4), range(4, 8)]).maximize([1, 5]))
    assert full[0, 0] == full[0, 1] == full[1, 1] == full[1, 2]
    assert full[0, 2] == full[1, 3] == 0


def test_arguments_that_make_no_sense() -> None:
    ties, rows = rows_of("ab")
    with pytest.raises(ArgumentError, match=r"counts= holds -1\.0 for 'b'"):
        Simplex(ties, rows).maximize([1, -1])
    with pytest.raises(ArgumentError, match="counts= holds nan for 'a'"):
        Simplex(ties, rows).maximize([np.nan, 1])
    with pytest.raises(ArgumentError, match=r"counts= has the shape \(3,\)"):
        Simplex(ties, rows).maximize([1, 2, 3])
    with pytest.raises(ArgumentError, match=r"rows\[0\] lies outside the 2 entries"):
        Simplex(ties, [[0, 2]])
    with pytest.raises(ArgumentError, match="rows= leave out 'b'"):
        Simplex(ties, [[0]])
    with pytest.raises(ArgumentError, match="signs"):
        Simplex(Ties.orbits(2, lambda w: -w[::-1]), [[0, 1]])
    with pytest.raises(ArgumentError, match="held= names value 7"):
        Simplex(ties, rows, held={7: 0.1})
    with pytest.raises(ArgumentError, match=r"held= gives -0\.1 to 'a'"):
        Simplex(ties, rows, held={0: -0.1})


def test_rows_that_share_values_are_found_however_many_rows_there_are() -> None:
    """Chains of rows in a random order against SciPy's components; 40000 rows of four values are no more work a row."""
    generator = np.random.default_rng(5)
    n_rows, n_values = 300, 500
    rows = [Row(np.unique(generator.integers(n_values, size=2)), np.ones(2), 1.0) for _ in range(n_rows)]
    graph = np.zeros((n_rows, n_values), dtype=bool)
    for number, row in enumerate(rows):
        graph[number, row.labels] = True
    _, group = connected_components(graph.astype(int) @ graph.T.astype(int))
    expected: dict[int, list[int]] = {}
    for number in range(n_rows):
        expected.setdefault(int(group[number]), []).append(number)
    numbers = {id(row): number for number, row in enumerate(rows)}
    assert [[numbers[id(row)] for row in part] for part in connected(rows)] == list(expected.values())
    assert 1 < len(expected) < n_rows
    many = Simplex(Ties(np.arange(160_000)), np.arange(160_000).reshape(-1, 4))
    assert many.n_free == 120_000
    assert_array_equal(many.maximize(np.ones(160_000)), 0.25)
