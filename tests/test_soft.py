"""Soft ties: the M-step and its centres, against a general optimiser and the equations that they fulfil."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
from hmm_cases import Floats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import tiedseq as ts
from tiedseq.centres import best_centre, closest_centre, divergence
from tiedseq.soft import SoftTies, groups_of
from tiedseq.specification import Specification, Tables

TWO = {"a": {"a": 0.8, "b": 0.2}, "b": {"a": 0.3, "b": 0.7}}
STAY = {"a": {"a": "stay", "b": "leave"}, "b": {"b": "stay", "a": "leave"}}
E = [0.5, 0.3, 0.2]


def apart(soft: Mapping[str, float], states: Any, *arguments: Any, **more: Any) -> tuple[Specification, SoftTies]:
    tied = Specification(states, *arguments, **more)
    return SoftTies(tied).changed(tied, groups_of(tied, soft), {})


# ---- the M-step ------------------------------------------------------------------------------------------------------


class Line(NamedTuple):
    """One centre and its members: what is counted, and where the values are found."""

    counts: Any  # (R, values)
    times: Any  # (values,), in how many cells of the line each stands
    mass: float
    members: Callable[[dict[str, Any]], Any]  # (R, values) of values by label
    centre: Callable[[dict[str, Any]], Any]  # (values,) of centres by label


class Case(NamedTuple):
    specification: Specification
    ties: SoftTies
    lines: Callable[[Tables], list[Line]]


def plain(strength: float) -> Case:
    """Three members of one distribution, beside one of another."""
    states = dict.fromkeys("abcd", (3,))
    rows = {s: dict.fromkeys("abcd", 0.25) for s in "abcd"}
    emissions = {"a": "e", "b": "e", "c": "f", "d": "e"}
    spec, ties = apart({"e": strength}, states, rows, emissions, values={"e": E, "f": E})
    return Case(
        spec,
        ties,
        lambda t: [
            Line(
                [t["emissions"][s] for s in "abd"], np.ones(3), 1.0, lambda v: [v[f"e@{s}"] for s in "abd"], itself("e")
            )
        ],
    )


def itself(label: str) -> Callable[[dict[str, Any]], Any]:
    return lambda values: values[label]


def tied_inside(strength: float) -> Case:
    """Cells that are one value, and another that is impossible."""
    cells = ts.Categorical(labels=[0, 0, 1, None, 2, 1], values=[0.1, 0.1, 0.2, 0.0, 0.4, 0.2])
    states = dict.fromkeys("ab", (6,))
    spec, ties = apart({"e": strength}, states, TWO, {"a": "e", "b": "e"}, values={"e": cells})

    def lines(t: Tables) -> list[Line]:
        counts = [[c[0] + c[1], c[2] + c[5], c[4]] for c in t["emissions"].values()]
        at = [0, 2, 4]
        return [Line(counts, np.array([2, 2, 1]), 1.0, lambda v: [v[f"e@{s}"][at] for s in "ab"], lambda m: m["e"][at])]

    return Case(spec, ties, lines)


def mirrored(strength: float) -> Case:
    """One strand each way; the members are all in the label's direction."""
    spec, ties = apart(
        {"e": strength},
        dict.fromkeys("ab", (4,)),
        TWO,
        {"a": ts.complement("e"), "b": "e"},
        values={"e": [0.4, 0.3, 0.2, 0.1]},
        alphabet=ts.DNA,
    )
    return Case(
        spec,
        ties,
        lambda t: [
            Line(
                [t["emissions"]["a"][::-1], t["emissions"]["b"]],
                np.ones(4),
                1.0,
                lambda v: [v["e@a"], v["e@b"]],
                itself("e"),
            )
        ],
    )


def after_others(strength: float) -> Case:
    """Letters that depend on the one before: a centre for each."""
    table = np.array([[0.2, 0.8], [0.6, 0.4]])
    states = dict.fromkeys("ab", (2, 2))
    spec, ties = apart({"e": strength}, states, TWO, {"a": "e", "b": "e"}, values={"e": table}, given="previous")

    def line(t: Tables, k: int) -> Line:
        counts = [t["emissions"][s][k] for s in "ab"]
        return Line(counts, np.ones(2), 1.0, lambda v: [v[f"e@{s}"][k] for s in "ab"], lambda m: m["e"][k])

    return Case(spec, ties, lambda t: [line(t, 0), line(t, 1)])


def part_of_rows(strength: float) -> Case:
    """Rows with a held entry, in another order, and the start; rows with ties of another kind beside them."""
    rows: dict[str, Any] = {
        "a": {"a": "stay", "b": "leave", "c": "go", "d": ts.fixed(0.2)},
        "b": {"b": "stay", "a": "leave", "d": "h", "c": "go"},
        "c": {"c": "s", "a": 0.3, "b": 0.4},
        "d": {"d": "s", "a": 0.2, "b": 0.5},
    }
    start = {"a": "leave", "b": "go", "c": "stay", "d": "h"}
    emissions = {s: ts.fixed([0.5, 0.5]) for s in "abcd"}
    values = {"h": ts.fixed(0.2), "stay": 0.4, "leave": 0.3}
    spec, ties = apart({"leave": strength}, dict.fromkeys("abcd", (2,)), rows, emissions, start, values)
    places = {"stay": (0, 1, 2), "leave": (1, 0, 0), "go": (2, 2, 1)}
    labels = ("stay", "leave", "go")

    def lines(t: Tables) -> list[Line]:
        found = [t["transitions"][0], t["transitions"][1], t["start"]]
        counts = [[found[r][places[label][r]] for label in labels] for r in range(3)]
        members = lambda v: [[v[f"{label}@{place}"] for label in labels] for place in ("a", "b", "start")]  # noqa: E731
        return [Line(counts, np.ones(3), 0.8, members, lambda m: [m[label] for label in labels])]

    return Case(spec, ties, lines)


CASES = {case.__name__: case for case in (plain, tied_inside, mirrored, after_others, part_of_rows)}


def random_tables(specification: Specification, rng: np.random.Generator, zeros: float) -> Tables:
    tables = specification.tables()
    for part in (tables["transitions"], tables["start"], *tables["emissions"].values()):
        part[...] = rng.exponential(10.0, part.shape) * (rng.random(part.shape) >= zeros)
    tables["transitions"][:, -1] = tables["start"][-1] = 0.0
    return tables


def objective(line: Line, strength: float, members: Any, centre: Any) -> float:
    """sum counts ln(p) - strength * KL(m || p), with sums over cells written as values times their cells."""
    total, m = 0.0, np.asarray(centre)
    for counts, p in zip(np.asarray(line.counts), np.asarray(members), strict=True):
        used = counts > 0.0
        with np.errstate(divide="ignore"):
            total += float(counts[used] @ np.log(p[used]))
            drawn = m > 0.0
            total -= strength * float((line.times * m)[drawn] @ np.log(m[drawn] / p[drawn]))
    return total


def optimum(line: Line, strength: float) -> tuple[float, Floats, Floats]:
    """The largest value that BFGS finds over members and centre together, and where; zeros are never quite reached."""
    from scipy.optimize import minimize

    counts, times = np.asarray(line.counts), np.asarray(line.times, float)
    scale, shape = counts.sum() + strength, (len(counts) + 1, len(times))  # the last one is the centre

    def values(z: Floats) -> Floats:
        weights = np.exp(np.clip(z.reshape(shape), -300.0, 300.0))
        return np.asarray(line.mass * weights / (weights @ times)[:, None])

    def loss(z: Floats) -> tuple[float, Floats]:
        *p, m = values(z)
        of_members = (counts + strength * times * m) / p
        of_centre = -strength * times * (np.log(m / p) + 1.0).sum(axis=0)
        slopes = np.vstack([of_members, of_centre]) * values(z)
        slopes -= slopes.sum(axis=1, keepdims=True) * times * values(z) / line.mass
        return -objective(line, strength, p, m) / scale, -slopes.ravel() / scale

    found = minimize(loss, np.zeros(np.prod(shape)), jac=True, method="BFGS", options={"gtol": 1e-10, "maxiter": 5000})
    *p, m = values(found.x)
    return -found.fun * scale, np.array(p), m


@pytest.mark.small
@pytest.mark.parametrize("strength", [0.01, 1.0, 30.0, 3000.0])
@pytest.mark.parametrize("zeros", [0.0, 0.4])
@pytest.mark.parametrize("name", CASES)
def test_the_m_step_is_that_of_a_general_optimiser(name: str, zeros: float, strength: float) -> None:
    case, rng = CASES[name](strength), np.random.default_rng(3)
    tables = random_tables(case.specification, rng, zeros)
    specification = case.specification.copy()
    untouched = specification.maximize(specification.pool(tables))
    specification.free = case.ties.maximize(specification, specification.pool(tables))
    values, centres = specification.parameters, case.ties.centres(specification)
    penalty = 0.0
    for line in case.lines(tables):
        members, centre = np.array(line.members(values)), np.array(line.centre(centres))
        assert_allclose(members @ line.times, line.mass, rtol=1e-12, atol=0.0)
        best, p, m = optimum(line, strength)
        scale = np.sum(line.counts) + strength
        found = objective(line, strength, members, centre)
        assert best - 1e-9 * scale <= found <= best + 1e-5 * scale  # it stays off the zeros, and so below the maximum
        if np.any(line.counts):
            assert_allclose(members, p, rtol=0.0, atol=2e-3)
            assert_allclose(centre, m, rtol=0.0, atol=2e-3)
        drawn = centre > 0.0
        penalty += strength * float(((line.times * centre)[drawn] * np.log(centre[drawn] / members[:, drawn])).sum())
    assert_allclose(case.ties.penalty(specification.free), penalty, rtol=1e-9, atol=1e-12)
    own = [specification.places(m)[specification.places(m) >= 0] for m in case.ties.label_of]
    others = np.setdiff1d(np.arange(len(untouched)), np.concatenate([places.ravel() for places in own]))
    assert_array_equal(specification.free[others], untouched[others])  # what is not soft has its ordinary M-step


@pytest.mark.small
def test_without_counts_members_go_to_their_centre() -> None:
    case = plain(5.0)
    specification = case.specification
    specification.free[specification.places("e@a")] = [0.2, 0.2, 0.6]
    centre = case.ties.centres(specification)["e"]
    specification.free = case.ties.maximize(specification, np.zeros(len(specification.free)))
    for member in ("e@a", "e@b", "e@d"):
        assert_allclose(specification.parameters[member], centre, rtol=1e-14, atol=0.0)
    assert case.ties.penalty(specification.free) < 1e-28


@pytest.mark.small
def test_a_zero_of_one_member_is_one_of_the_centre() -> None:
    members = np.array([[[0.5, 0.0, 0.5]], [[0.25, 0.5, 0.25]]])
    centre = closest_centre(members)
    assert_allclose(centre, [[0.5, 0.0, 0.5]], rtol=1e-15, atol=0.0)
    assert_allclose(divergence(centre, members), math.log(2.0), rtol=1e-14, atol=0.0)
    assert divergence(np.array([[0.4, 0.2, 0.4]]), members) == math.inf


@settings(max_examples=300)
@given(st.integers(0, 2**32 - 1))
def test_the_best_centre_fulfils_its_equations(seed: int) -> None:
    """sum_r ln(1 + c_ra / (k m_a)) is one number for all cells with counts, over hundreds of orders of magnitude."""
    rng = np.random.default_rng(seed)
    shape = (rng.integers(2, 6), rng.integers(1, 4), rng.integers(1, 7))
    low = rng.choice([-250.0, -12.0, 0.0])
    counts = 10.0 ** rng.uniform(low, 6.0, shape) * (rng.random(shape) < rng.choice([0.3, 1.0]))
    strength = float(10.0 ** rng.uniform(*rng.choice([[-300.0, 300.0], [-6.0, 12.0]])))
    members = rng.dirichlet(np.ones(shape[2]), shape[:2])
    with np.errstate(all="raise", under="ignore"):
        centre = best_centre(counts, strength, members)
    assert_allclose(centre.sum(axis=-1), 1.0, rtol=1e-13, atol=0.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratios = np.log(counts) - math.log(strength) - np.log(centre)
        levels = np.logaddexp(0.0, ratios).sum(axis=0)
    for line, pooled in enumerate(counts.sum(axis=0)):
        if pooled.any():
            assert (centre[line][pooled == 0.0] == 0.0).all()
            on = centre[line] > 1e-290
            assert_allclose(levels[line][on], levels[line][on].max(), rtol=1e-10, atol=1e-280)
        else:
            assert_array_equal(centre[line], closest_centre(members)[line])
