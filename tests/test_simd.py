"""Every instruction on vectors against NumPy, compiled and plain; whole passes without the compiler."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from tiedseq.kernels import plain, rows, simd
from tiedseq.kernels import tuples as of_tuples
from tiedseq.kernels.layout import LANES
from tiedseq.pairs.recursion import Recursion
from tiedseq.pairs.tables import PairTables

ROOT = Path(__file__).resolve().parent.parent
Floats = NDArray[np.float64]
ops: Any = types.ModuleType("instructions")  # what the functions below name; `in_both` also puts `plain` in its place
vars(ops).update({**vars(rows), **vars(simd), **vars(of_tuples)})

pytestmark = pytest.mark.small


def in_both(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    """A function of `ops`, compiled with the instructions of the compiler, and as it is with the plain ones."""
    variants = [types.FunctionType(function.__code__, {**globals(), "ops": module}) for module in (ops, plain)]
    return [numba.njit(error_model="numpy")(variants[0]), variants[1]]


def random_values(size: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).uniform(0.1, 2.0, size)


def edge_values(size: int) -> Floats:
    """Zeros, denormals, the smallest normal number, large and small exponents."""
    edges = [0.0, 5e-324, 1e-310, 2.0**-1022, 2.0**-500, 1e-20, 1.0, 1.5, 3e20, 2.0**500]
    return np.resize(np.array(edges), size)


def close(got: Floats, expected: Floats) -> None:
    """Equal but for the rounding that a fused product spares, and the last bit of a denormal."""
    np.testing.assert_allclose(got, expected, rtol=1e-14, atol=1e-323)


VALUES = pytest.mark.parametrize("values", [random_values(640), edge_values(640)], ids=["random", "edges"])


def vectors(values: Floats, first: int, count: int, stride: int = LANES) -> Floats:
    return np.array([values[first + k * stride : first + k * stride + LANES] for k in range(count)])


# ---- arithmetic and memory -------------------------------------------------------------------------------------------


def arithmetic(a: Floats, out: Floats) -> None:
    x, y = ops.load(a, 3), ops.load(a, 40)
    ops.store(out, 0, x + y)
    ops.store(out, 16, x * y)
    ops.store(out, 32, x * 0.25)
    ops.store(out, 48, ops.maximum(x, y))
    ops.store(out, 64, ops.broadcast(a[7]))
    ops.store(out, 80, x + a[7])
    out[96] = ops.lane_zero(y)


@VALUES
def test_arithmetic(values: Floats) -> None:
    x, y = values[3:19], values[40:56]
    expected = np.concatenate([x + y, x * y, x * 0.25, np.maximum(x, y), np.full(16, values[7]), x + values[7], y[:1]])
    for run in in_both(arithmetic):
        out = np.zeros(97)
        run(values, out)
        np.testing.assert_array_equal(out, expected)


def memory(a: Floats, out: Floats) -> None:
    three = ops.load_each(a, 5, 21, (0, 0, 0))
    ops.store_each(out, 2, three)
    ops.store_rows(out, 60, 17, three)
    ops.add_each(out, 120, three)
    ops.add_outer(out, 180, ops.load_each(a, 0, 16, (0, 0)), three)
    ops.copy(a, 9, out, 300, 33)
    ops.clear(out, 310, 5)
    ops.store(out, 316, ops.load_apart(a, 4, 7))


@VALUES
def test_memory(values: Floats) -> None:
    expected = np.arange(340.0)
    three, two = vectors(values, 5, 3, 21), vectors(values, 0, 2)
    expected[2:50] = three.ravel()
    for k in range(3):
        expected[60 + 17 * k :][:LANES] = three[k]
    expected[120:168] += three.ravel()
    expected[180:276] += (two[:, None] * three).ravel()
    expected[300:333] = values[9:42]
    expected[310:315] = 0.0
    expected[316:332] = values[4:116:7]
    for run in in_both(memory):
        out = np.arange(340.0)
        run(values, out)
        close(out, expected)


def gather(table: Floats, rows: NDArray[np.int64], out: Floats) -> None:
    ops.store_each(out, 3, ops.gather_rows(table, rows, 5, 2))


def add(table: Floats, rows: NDArray[np.int64], a: Floats) -> None:
    ops.add_rows(table, rows, 5, 2, ops.load_each(a, 1, 17, (0, 0, 0, 0)))


def put(table: Floats, rows: NDArray[np.int64], a: Floats) -> None:
    ops.set_rows(table, rows, 5, 2, ops.load_each(a, 1, 17, (0, 0, 0, 0)))


@VALUES
def test_rows_of_a_table(values: Floats) -> None:
    """Lane by lane four values from where `rows` says, and to there, also where several lanes name one row."""
    rows = np.random.default_rng(1).integers(0, 9, 30) * 6  # of a table nine rows long, six values wide
    lanes = rows[5:21]
    assert len(set(lanes.tolist())) < LANES
    table = values[:54]
    four = np.array([table[row + 2 : row + 6] for row in lanes]).T
    for run in in_both(gather):
        out = np.zeros(80)
        run(table, rows, out)
        np.testing.assert_array_equal(out, np.concatenate([np.zeros(3), four.ravel(), np.zeros(13)]))

    added, expected = vectors(values[100:], 1, 4, 17), table.copy()
    for lane, row in enumerate(lanes):
        expected[row + 2 : row + 6] += added[:, lane]
    last = table.copy()
    for lane, row in enumerate(lanes):
        last[row + 2 : row + 6] = added[:, lane]
    for function, after in ((add, expected), (put, last)):
        for run in in_both(function):
            found = table.copy()
            run(found, rows, values[100:])
            np.testing.assert_array_equal(found, after)


def rows_of_two_dimensions(a: Floats, out: Floats) -> None:
    ops.store(out, 30, ops.load(a, 25))


def test_an_index_counts_the_elements_of_all_rows() -> None:
    values = random_values(80).reshape(4, 20)
    for run in in_both(rows_of_two_dimensions):
        out = np.zeros((3, 20))
        run(values, out)
        np.testing.assert_array_equal(out.ravel()[30:46], values.ravel()[25:41])
        assert np.count_nonzero(out) == LANES


# ---- lanes -----------------------------------------------------------------------------------------------------------


def lanes(a: Floats, out: Floats) -> None:
    ops.store(out, 0, ops.shift_up(ops.load(a, 0), 7.0))
    ops.store(out, 16, ops.shift_down(ops.load(a, 0), 7.0))
    two = ops.load_each(a, 0, 20, (0, 0))
    ops.store_each(out, 32, ops.enter_first(two, a, 50, 3, 0.5))
    ops.store_each(out, 64, ops.enter_last(two, a, 50, 3, 0.5))
    ops.exit_first(out, 96, 2, two)
    ops.exit_last(out, 97, 2, two)


@VALUES
def test_lanes(values: Floats) -> None:
    two = vectors(values, 0, 2, 20)
    entering = 0.5 * values[[50, 53], None]
    expected = np.concatenate(
        [
            *([7.0], two[0, :-1], two[0, 1:], [7.0]),
            np.hstack([entering, two[:, :-1]]).ravel(),
            np.hstack([two[:, 1:], entering]).ravel(),
            two[:, [0, -1]].ravel(),
        ]
    )
    for run in in_both(lanes):
        out = np.zeros(100)
        run(values, out)
        np.testing.assert_array_equal(out, expected)


def exponents(a: Floats, out: Floats) -> None:
    ops.store(out, 0, ops.power_of_two(ops.load(a, 0)))
    ops.store(out, 16, ops.exponents_of(ops.load(a, 16)))


def test_powers_of_two_and_exponents() -> None:
    whole = np.array([-1e9, -5000, -1074, -1023, -1022, -1021, -53, -1, 0, 1, 52, 999, 1000, 1001, 5000, 1e9])
    numbers = np.array(
        [0, 5e-324, 2**-1023, 2**-1022, 2**-1021 * 1.9, 1e-9, 0.5, 0.99, 1, 1.99, 2, 3, 4, 1e9, 2e200, 2.0**1000]
    )
    powers = [0.0] * 4 + [2.0**k for k in (-1022, -1021, -53, -1, 0, 1, 52, 999, 1000, 1000, 1000, 1000)]
    logs = [-1e9] * 3 + [np.floor(np.log2(x)) for x in numbers[3:]]
    for run in in_both(exponents):
        out = np.zeros(32)
        run(np.concatenate([whole, numbers]), out)
        np.testing.assert_array_equal(out, powers + logs)


def sums(a: Floats) -> float:
    return float(ops.add_lanes(ops.load(a, 3)))


@VALUES
def test_sums_over_lanes(values: Floats) -> None:
    expected = values[3:19]
    while len(expected) > 1:
        expected = expected[: len(expected) // 2] + expected[len(expected) // 2 :]
    for run in in_both(sums):
        assert run(values) == expected[0]


def reaches(a: Floats, threshold: float) -> bool:
    return bool(ops.any_reaches(ops.load(a, 0), threshold))


def test_any_reaches() -> None:
    values = np.zeros(16)
    values[13] = 0.25
    for run in in_both(reaches):
        assert [run(values, threshold) for threshold in (0.0, 0.25, 0.2500001)] == [True, True, False]
        assert not run(np.zeros(16), 5e-324)


def choices(a: Floats, out: Floats, taken: NDArray[np.int16]) -> None:
    best, before = ops.prefer(ops.load(a, 0), ops.chosen(7), ops.load(a, 16), ops.chosen(-1))
    ops.store(out, 0, best)
    ops.store_choices(taken, 3, (before, ops.chosen(32767)))


@VALUES
def test_choices(values: Floats) -> None:
    """Of equal values the earlier choice stays; so it does where both are minus infinity."""
    values = values[:32].copy()
    values[[2, 18]], values[[5, 21]] = values[2], -np.inf
    better = values[:16] > values[16:]
    expected = np.concatenate([np.zeros(3), np.where(better, 7, -1), np.full(16, 32767), [0.0]])
    for run in in_both(choices):
        out, taken = np.zeros(16), np.zeros(36, np.int16)
        run(values, out, taken)
        np.testing.assert_array_equal(out, np.maximum(values[:16], values[16:]))
        np.testing.assert_array_equal(taken, expected)


# ---- tuples ----------------------------------------------------------------------------------------------------------


def tuples(a: Floats, out: Floats) -> None:
    x, y = ops.load_each(a, 0, 16, (0, 0, 0)), ops.load_each(a, 48, 16, (0, 0, 0))
    ops.store(out, 0, ops.dot(x, y))
    ops.store_each(out, 16, ops.dots(a, 96, x, (0, 0)))
    ops.store_each(out, 48, ops.products(x, y))
    ops.store_each(out, 96, ops.products(x, y[1]))
    ops.store_each(out, 144, ops.joined(x, y, None))
    ops.store_each(out, 192, ops.joined(x, y, 0))
    ops.store_each(out, 240, ops.weighted((0.5, 0.0, 3.0), x[2]))
    ops.store(out, 288, ops.weighted_sum((0.5, 0.25, 3.0), x, None))
    ops.store(out, 304, ops.weighted_sum((0.5, 0.25, 3.0), x, 0))
    head, middle, tail = ops.split(x + y, (0,), (0, 0), (0, 0, 0))
    ops.store_each(out, 320, tail + middle + head)
    ops.store_each(out, 416, ops.add_products(x, y, y))
    ops.store_each(out, 464, ops.add_products(x, y, a[100]))


@VALUES
def test_tuples(values: Floats) -> None:
    x, y = vectors(values, 0, 3), vectors(values, 48, 3)
    weights = np.array([0.5, 0.25, 3.0])[:, None]
    table = vectors(values, 96, 6).reshape(2, 3, LANES)
    parts = [
        *((x * y).sum(axis=0), (table * x).sum(axis=1), x * y, x * y[1], x + y, np.maximum(x, y)),
        *(np.array([0.5, 0.0, 3.0])[:, None] * x[2], (weights * x).sum(axis=0), (weights * x).max(axis=0)),
        *(y, x[1:], x[:1], x + y * y, x + y * values[100]),
    ]
    for run in in_both(tuples):
        out = np.zeros(512)
        run(values, out)
        close(out, np.concatenate([part.ravel() for part in parts]))


def transitions(a: Floats, out: Floats) -> None:
    table = ((0.5, 0.25, None), (a[100], None, None), (2.0, None, 0.75))
    x = ops.load_each(a, 0, 16, (0, 0, 0))
    ops.store_each(out, 0, ops.leave(table, x, None))
    ops.store_each(out, 48, ops.arrive(table, x, None))
    ops.store_each(out, 96, ops.leave(table, x, 0))
    ops.store_each(out, 144, ops.arrive(table, x, 0))
    ops.store_each(out, 192, ops.arrive(((None, None), (1.0, None)), ops.load_each(a, 0, 16, (0, 0)), None))


@VALUES
def test_transitions(values: Floats) -> None:
    table = np.array([[0.5, 0.25, 0.0], [values[100], 0.0, 0.0], [2.0, 0.0, 0.75]])[:, :, None]
    x = vectors(values, 0, 3)
    left, arrived = table * x[:, None], table * x
    parts = [left.sum(axis=0), arrived.sum(axis=1), left.max(axis=0), arrived.max(axis=1), np.zeros((1, 16)), x[:1]]
    for run in in_both(transitions):
        out = np.zeros(224)
        run(values, out)
        close(out, np.concatenate([part.ravel() for part in parts]))


def test_there_is_a_plain_twin_of_everything() -> None:
    sources = "".join(map(inspect.getsource, (simd, of_tuples, rows)))
    names = re.findall(r"^@instruction\ndef (\w+)", sources, re.MULTILINE)
    assert len(names) > 30
    for name in names:
        assert callable(getattr(plain, name)), name


# ---- bounds ----------------------------------------------------------------------------------------------------------

OUTSIDE = """
import numba, numpy as np
from tiedseq.kernels import simd
from tiedseq.kernels.rows import add_rows, gather_rows, load_apart, set_rows

@numba.njit
def load(a, i): return simd.lane_zero(simd.load(a, i))
@numba.njit
def store(a, i): simd.store(a, i, simd.broadcast(1.0))
@numba.njit
def rows(a, i): simd.store_rows(a, i, 20, simd.load_each(a, 0, 1, (0, 0)))
@numba.njit
def enter(a, i): return simd.lane_zero(simd.enter_first((simd.broadcast(1.0),), a, i, 1, 1.0)[0])
@numba.njit
def gather(a, i): gather_rows(a, np.full(16, i), 0, 0)
@numba.njit
def gather_last(a, i): gather_rows(a, np.append(np.full(15, 0), i), 0, 0)
@numba.njit
def which(a, i): gather_rows(a, np.zeros(40, np.int64), i, 0)
@numba.njit
def add(a, i):
    one = simd.broadcast(1.0)
    add_rows(a, np.append(np.full(15, 0), i - 3), 0, 3, (one, one, one, one))
@numba.njit
def put(a, i):
    one = simd.broadcast(1.0)
    set_rows(a, np.append(np.full(15, 0), i - 3), 0, 3, (one, one, one, one))
@numba.njit
def apart(a, i): return simd.lane_zero(load_apart(a, i, 2))
@numba.njit
def copy(a, i): simd.copy(a, 0, a, i, 16)
@numba.njit
def clear(a, i): simd.clear(a, i, 16)

for function, last in ((load, 24), (store, 24), (rows, 4), (enter, 39), (copy, 24), (clear, 24),
                       (gather, 36), (gather_last, 36), (which, 24), (add, 36), (put, 36), (apart, 9)):
    for index in (0, last):
        function(np.zeros(40), index)
    for index in (-1, last + 1, 10**6):
        try:
            function(np.zeros(40), index)
        except IndexError:
            continue
        raise SystemExit(f"{function.__name__} at {index} is not seen")
print("all seen")
"""


@pytest.mark.parametrize("setting", ["NUMBA_BOUNDSCHECK", "NUMBA_DISABLE_JIT"])
def test_what_reaches_outside_an_array_raises(setting: str) -> None:
    environment = os.environ | {setting: "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.run([sys.executable, "-c", OUTSIDE], capture_output=True, text=True, env=environment)
    assert (process.stdout, process.stderr) == ("all seen\n", "")


def test_plain_vectors_want_contiguous_arrays() -> None:
    with pytest.raises(ValueError, match="contiguous"):
        plain.load(np.zeros(64)[::2], 0)


# ---- whole passes ----------------------------------------------------------------------------------------------------


def small_passes() -> list[float]:
    """Numbers of every kind of pass over short pairs: a model of many states, with an end, in all modes."""
    rng = np.random.default_rng(5)
    kinds, letters = ["y", "xy", "x", "xy", "x", "y"], 4
    table = rng.dirichlet(np.ones(len(kinds) + 1), len(kinds))
    emissions = [rng.dirichlet(np.ones(letters ** len(kind))).reshape([letters] * len(kind)) for kind in kinds]
    observation = np.vstack([np.eye(letters), np.ones(letters)])
    start = rng.dirichlet(np.ones(len(kinds) + 1))
    background = rng.dirichlet(np.full(letters, 9.0))
    tables = PairTables(
        *(kinds, start[:-1], table[:, :-1].copy(), table[:, -1].copy(), float(start[-1])),
        *(emissions, observation, background),
    )
    recursion = Recursion(tables)
    assert recursion.is_moderate
    numbers: list[float] = []
    for n, m, mode in [(0, 3, "local"), (21, 18, "global"), (5, 30, "overlap"), (40, 9, "glocal"), (7, 6, "local")]:
        x, y = (rng.integers(0, letters + 1, length).astype(np.uint8) for length in (n, m))
        numbers += recursion.log_likelihoods([(x, y), (x[1:], y)], mode).tolist()
        posterior, gradient = recursion.posterior(x, y, mode, 0.0), recursion.derivatives([(x, y)], mode)[1]
        numbers += [*posterior.pairs.toarray().ravel(), *posterior.target_unaligned, *posterior.query_unaligned]
        numbers += [
            *gradient.start,
            *gradient.transitions.ravel(),
            *gradient.end,
            gradient.start_end,
            *gradient.background,
        ]
        numbers += [value for emission in gradient.emissions for value in emission.ravel()]
        numbers.append(recursion.viterbi(x, y, mode)[0])
    return [float(number) for number in numbers]


def test_whole_passes_without_the_compiler_give_the_same_numbers() -> None:
    code = "import json, test_simd; print(json.dumps(test_simd.small_passes()))"
    environment = os.environ | {
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    }
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert process.stderr == ""
    np.testing.assert_allclose(json.loads(process.stdout), small_passes(), rtol=1e-9, atol=1e-13)
