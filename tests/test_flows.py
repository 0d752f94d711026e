"""Balanced tables: what they must fulfil, the derivatives of their weights, and their maximum beside SciPy's."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.optimize import approx_fprime, minimize

import tiedseq as ts
from tiedseq.errors import ModelError
from tiedseq.strands.flows import Flows, conditionals, marginals, mirrored
from tiedseq.strands.perron import perron

Floats = NDArray[np.float64]
COMPLEMENT = np.array([3, 2, 1, 0])
ALL_WORDS = [(0, COMPLEMENT), (1, COMPLEMENT), (1, None), (2, COMPLEMENT), (2, None)]


def word_table(order: int, mirror: Any) -> Flows:
    return Flows(np.ones((4,) * (order + 1), bool), mirror)


def counts_of_words(order: int, generator: np.random.Generator) -> list[Floats]:
    """As a sequence gives them: every word after its context, and some that begin one."""
    words = generator.gamma(0.5, 40.0, (4,) * (order + 1))
    counts = [np.zeros((4,) * (m + 1)) for m in range(order + 1)]
    counts[-1] += words
    if order:
        counts[-2] -= words.sum(axis=-1)
        counts[0] += generator.random(4) * 20.0
    return counts


def reverse_complement(word: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(COMPLEMENT[letter]) for letter in reversed(word))


@pytest.mark.small
@pytest.mark.parametrize(("order", "mirror"), ALL_WORDS)
def test_a_table_is_balanced_and_its_own_image(order: int, mirror: Any) -> None:
    flows = word_table(order, mirror)
    table = flows.table(flows.random(np.random.default_rng(order)))
    assert_allclose(table.sum(), 1.0, rtol=1e-14)
    assert_allclose(table.sum(axis=0), table.sum(axis=-1), rtol=0, atol=1e-15)
    for word in itertools.product(range(4), repeat=order + 1):
        if mirror is not None:
            assert table[word] == table[reverse_complement(word)]
    assert_allclose(marginals(table)[0].sum(), 1.0, rtol=1e-14)
    for found in conditionals(table):
        assert_allclose(found.sum(axis=-1), 1.0, rtol=1e-13)


@pytest.mark.small
def test_the_number_of_free_values() -> None:
    """A chain of order k has 3 * 4^k; what is left under the mirror counted by hand for k = 0 and 1."""
    assert [word_table(k, None).n_free for k in range(4)] == [3, 12, 48, 192]
    assert word_table(0, COMPLEMENT).n_free == 1  # A = T, C = G
    # 10 orbits of words of two (four are their own images), one sum, two balances: of A with T, of C with G
    assert word_table(1, COMPLEMENT).n_free == 7
    pair = Flows(np.array([[1, 0, 1], [0, 1, 1], [1, 1, 1]], bool), np.array([1, 0, 2]))  # genes on two strands
    assert pair.n_free == 2


@pytest.mark.small
@pytest.mark.parametrize("seed", range(20))
def test_the_eigenvector_is_that_of_numpy(seed: int) -> None:
    generator = np.random.default_rng(seed)
    matrix = generator.gamma(0.1, size=(6, 6)) + 1e-6
    values, vectors = np.linalg.eig(matrix)
    wanted = np.abs(vectors[:, values.real.argmax()].real)
    assert_allclose(perron(matrix), wanted / wanted.sum(), rtol=1e-8)


@pytest.mark.small
def test_the_eigenvector_of_a_chain_that_hardly_mixes() -> None:
    stay = np.array([[1 - 1e-9, 1e-9], [3e-9, 1 - 3e-9]])
    assert_allclose(perron(stay.T), [0.75, 0.25], rtol=1e-6)


@pytest.mark.small
@pytest.mark.parametrize(("order", "mirror"), ALL_WORDS)
def test_the_gradient_is_that_of_differences(order: int, mirror: Any) -> None:
    generator, flows = np.random.default_rng(7 + order), word_table(order, mirror)
    counts, values = counts_of_words(order, generator), flows.random(generator)
    numeric = approx_fprime(values, lambda v: flows.objective(flows.table(v), counts), 1e-9)
    assert_allclose(flows.gradient(flows.table(values), counts), numeric, rtol=1e-4, atol=1e-3 * np.abs(numeric).max())


@pytest.mark.small
@pytest.mark.parametrize("order", [0, 1, 2])
def test_pooled_counts_are_the_maximum_where_in_and_outflows_balance(order: int) -> None:
    """A circle has no ends: its words, with those of its other strand, are the estimate."""
    letters = np.random.default_rng(5).integers(0, 4, 400)
    circle = [tuple(np.roll(letters, -t)[: order + 1].tolist()) for t in range(400)]
    words = np.zeros((4,) * (order + 1))
    for word in circle:
        words[word] += 1.0
    counts = [np.zeros((4,) * (m + 1)) for m in range(order + 1)]
    counts[-1] += words
    if order:
        counts[-2] -= words.sum(axis=-1)
    flows = word_table(order, COMPLEMENT)
    table = flows.table(flows.maximize(counts, flows.random(np.random.default_rng(0))))
    assert_allclose(table, (words + mirrored(words, COMPLEMENT)) / 800.0, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("order", "mirror"), ALL_WORDS[:3])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_maximum_is_that_of_a_general_optimiser(order: int, mirror: Any, seed: int) -> None:
    """SLSQP over the cells, with balance, sum and images as constraints that it is told of."""
    generator, flows = np.random.default_rng(seed), word_table(order, mirror)
    counts = counts_of_words(order, generator)
    values = flows.maximize(counts, flows.random(generator))
    shape, size = (4,) * (order + 1), 4 ** (order + 1)
    rows = [np.ones(size)]
    for run in itertools.product(range(4), repeat=order):
        row = np.zeros(shape)
        for letter in range(4):
            left, entered = (*run, letter), (letter, *run)
            row[left] += 1.0
            row[entered] -= 1.0
        rows.append(row.ravel())
    for word in itertools.product(range(4), repeat=order + 1) if mirror is not None else ():
        row = np.zeros(shape)
        row[word] += 1.0
        row[reverse_complement(word)] -= 1.0
        rows.append(row.ravel())
    matrix = np.array(rows)
    _, sizes, kept = np.linalg.svd(matrix)
    independent = kept[: int((sizes > 1e-9).sum())]
    wanted = independent @ np.linalg.lstsq(matrix, np.eye(len(rows))[0], rcond=None)[0]

    def loss(cells: Floats) -> float:
        table = np.maximum(cells, 1e-12).reshape(shape)
        total = 0.0
        for m, part in enumerate(counts):
            total += float((part * np.log(table.sum(axis=tuple(range(m + 1, order + 1))))).sum())
        return -total

    best = min(
        (
            minimize(
                loss,
                flows.table(flows.random(np.random.default_rng(k))).ravel(),
                method="SLSQP",
                bounds=[(1e-9, 1.0)] * size,
                constraints={"type": "eq", "fun": lambda x: independent @ x - wanted, "jac": lambda x: independent},
                options={"maxiter": 1000, "ftol": 1e-13},
            )
            for k in range(3)
        ),
        key=lambda found: found.fun,
    )
    found = flows.objective(flows.table(values), counts)
    assert found >= -best.fun - 1e-5 * abs(best.fun)
    assert_allclose(found, -best.fun, rtol=1e-5)
    moves = flows.directions(values, 1e-7)
    slopes = moves.T @ flows.gradient(flows.table(values), counts)
    assert_allclose(slopes, 0.0, rtol=0, atol=1e-3 * sum(np.abs(part).sum() for part in counts))


@pytest.mark.small
def test_a_step_never_makes_it_worse() -> None:
    for seed in range(20):
        generator = np.random.default_rng(seed)
        order, mirror = ALL_WORDS[seed % 5]
        flows = word_table(order, mirror)
        counts = counts_of_words(order, generator)
        counts[-1][generator.random(counts[-1].shape) < 0.5] = 0.0
        if order:
            counts[-2] = -counts[-1].sum(axis=-1)
        before = flows.random(generator)
        pseudocounts = generator.gamma(0.3, 3.0, flows.ties.n_free)
        prior = [*counts[:-1], counts[-1].copy()]
        for k, extra in enumerate(pseudocounts.tolist()):
            prior[-1].ravel()[np.flatnonzero(flows.ties.labels.ravel() == k)[0]] += extra
        for wanted, extra in ((counts, 0.0), (prior, pseudocounts)):
            after = flows.maximize(counts, before, extra)
            table = flows.table(after)
            assert flows.objective(table, wanted) >= flows.objective(flows.table(before), wanted)
            assert_allclose(table.sum(axis=0), table.sum(axis=-1), rtol=0, atol=1e-12)


@pytest.mark.small
def test_impossible_words_stay_so_and_runs_must_lead_to_each_other() -> None:
    possible = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], bool)
    flows = Flows(possible)
    counts = [-np.full(3, 6.0), np.where(possible, 3.0, 0.0)]
    table = flows.table(flows.maximize(counts, flows.random(np.random.default_rng(0))))
    assert (table[~possible] == 0.0).all()
    assert (table[possible] > 0.0).all()
    with pytest.raises(ModelError, match="cannot be reached"):
        Flows(np.triu(np.ones((3, 3), bool)))


def human_counts(length: int, order: int) -> list[Floats]:
    """The words of the first letters of the human mitochondrial genome, many of which never occur."""
    record = next(ts.read(Path(__file__).parent.parent / "data" / "human_mt.fa"))
    codes = ts.DNA.encode(record.sequence[:length])
    counts = [np.zeros((4,) * (m + 1)) for m in range(order + 1)]
    for t in range(order, length):
        counts[-1][tuple(codes[t - order : t + 1])] += 1.0
    if order:
        counts[-2] -= counts[-1].sum(axis=-1)
        counts[-2][tuple(codes[:order])] += 1.0
    return counts


@pytest.mark.parametrize(("length", "order", "mirror"), [(20, 1, COMPLEMENT), (30, 1, None), (200, 2, COMPLEMENT)])
def test_words_that_never_occur_do_not_hold_up_the_others(length: int, order: int, mirror: Any) -> None:
    """At the maximum nothing that moves is left to gain, and what is zero wants to be."""
    flows, counts = word_table(order, mirror), human_counts(length, order)
    assert (counts[-1] == 0.0).any()
    values = flows.maximize(counts, flows.random(np.random.default_rng(0)))
    again = flows.maximize(counts, flows.random(np.random.default_rng(1)))
    assert_allclose(
        flows.objective(flows.table(values), counts), flows.objective(flows.table(again), counts), rtol=1e-6
    )
    assert (
        flows.objective(flows.table(flows.maximize(counts, values)), counts)
        - flows.objective(flows.table(values), counts)
        < 1e-6
    )
    slopes = flows.directions(values, 1e-7).T @ flows.gradient(flows.table(values), counts)
    assert_allclose(slopes, 0.0, rtol=0, atol=1e-2 * length)


def test_letters_that_never_occur_become_zero() -> None:
    """Order 0 in closed form: pooled counts, with letters that never occur at zero."""
    flows, counts = word_table(0, None), [np.array([30.0, 0.0, 10.0, 0.0])]
    values = flows.maximize(counts, np.full(4, 0.25))
    assert_allclose(values, [0.75, 0.0, 0.25, 0.0], rtol=0, atol=1e-7)
