"""Training of pair-HMMs: one step by hand and by SciPy, likelihoods that never fall, convergence, the same bits."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import tiedseq as ts
import twin
from pairhmm_cases import Case, Floats, on_strand, random_case, random_text, related_text, reverse_complement, values_of
from pairhmm_cases import _plain as plain_model
from tiedseq.acceleration import anderson_step, bfgs_step, gain_left, rise_left, same_zeros
from tiedseq.errors import ArgumentError, ConvergenceWarning, SequenceError
from tiedseq.pairs import batches
from tiedseq.pairs.machine import PairMachine
from tiedseq.pairs.tables import PairTables
from tiedseq.pairs.trainee import PairTrainee
from tiedseq.training import Iteration

Pairs = list[tuple[str, str]]
ONE_STEP: dict[str, Any] = {"max_iter": 1, "tol": 0.0}
TRUTH = ts.PairHMM.affine(gap_open=[0.03, 0.006], gap_extend=[0.5, 0.9], gaps=2)


def drawn(n: int, columns: int, seed: int = 0, truth: ts.PairHMM = TRUTH) -> Pairs:
    return [truth.sample(columns=columns, random_state=1000 * seed + k)[:2] for k in range(n)]


PAIRS = drawn(6, 60)


def affine_rows(names: Mapping[str, str]) -> list[list[str | None]]:
    """The labels of M, X, Y and start, with no end, for `twin`."""
    opens = [names.get("x_open", "open"), names.get("y_open", "open")]
    return [
        ["match", *opens, None],
        [names.get("x_close", "close"), names.get("x_extend", "extend"), None, None],
        [names.get("y_close", "close"), None, names.get("y_extend", "extend"), None],
        ["match", *opens, None],
    ]


def affine_twin(model: ts.PairHMM, letters: Sequence[str] = ("gap", "gap"), background: str | None = None) -> Case:
    """A symmetric affine model of one class of gaps as a case for `twin`."""
    rows, emissions = affine_rows({}), ["pair", *letters]
    values = values_of(model)
    outside = model.background if background is None else values[background]
    return Case(model, plain_model(["xy", "x", "y"], rows, emissions, values, outside), rows, emissions, background)


def counts_of(case: Case, pairs: Pairs, weights: Sequence[float], mode: str, strand: str) -> dict[str, Any]:
    """Counts by label and, under "ln P", the log-likelihood, from the twin."""
    pooled: dict[str, Any] = {"ln P": 0.0}
    for (target, query), weight in zip(pairs, weights, strict=True):
        x, reads = case.codes(target), [query, reverse_complement(query)][: 2 if strand == "both" else 1]
        if max(twin.log_likelihood(case.slow, x, case.codes(read), mode) for read in reads) == -math.inf:
            return {"ln P": -math.inf}
        evaluate = twin.expected_counts if len(reads) == 1 else possible_counts
        total, _, counts = on_strand(case, target, query, mode, strand, evaluate)
        for label, count in {"ln P": total, **counts}.items():
            pooled[label] = pooled.get(label, 0.0) + weight * count
    return pooled


def possible_counts(model: twin.Model, x: twin.Codes, y: twin.Codes, mode: str) -> twin.Counts:
    """The twin's counts, zeros where it gives no probability."""
    if twin.log_likelihood(model, x, y, mode) > -math.inf:
        return twin.expected_counts(model, x, y, mode)
    nothing = [np.zeros_like(table) for table in model.emissions]
    states, zeros = len(model.kinds), np.zeros((len(model.kinds), len(model.kinds)))
    return twin.Counts(
        -math.inf,
        np.zeros((len(x), len(y))),
        np.zeros(states),
        zeros,
        np.zeros(states),
        0.0,
        nothing,
        np.zeros_like(model.background),
    )


# ---- one step ------------------------------------------------------------------------------------------------------


def best_rows(rows: list[list[str | None]], counts: Mapping[str, float]) -> dict[str, float]:
    """The labels' values at the maximum of sum counts * ln(value), every row one: by a general optimiser."""
    from scipy.optimize import minimize

    labels = sorted({label for row in rows for label in row if label is not None})
    uses = np.array([[row.count(label) for label in labels] for row in rows if any(row)], float)
    uses = np.unique(uses, axis=0)
    c = np.array([counts[label] for label in labels])
    free = independent(uses)
    scale = max(1.0, c.sum())
    found = minimize(
        lambda v: -(c @ np.log(v)) / scale,
        np.full(len(labels), 1.0 / uses.sum(axis=1).max()),
        jac=lambda v: -c / v / scale,
        bounds=[(1e-12, 1.0)] * len(labels),
        constraints={"type": "eq", "fun": lambda v: free @ v - 1.0, "jac": lambda v: free},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    return dict(zip(labels, found.x.tolist(), strict=True))


def independent(matrix: Floats) -> Floats:
    kept: list[Floats] = []
    for row in matrix:
        if np.linalg.matrix_rank(np.array([*kept, row])) > len(kept):
            kept.append(row)
    return np.array(kept)


@pytest.mark.parametrize("seed", range(24))
def test_one_step_is_the_maximum_under_random_ties(seed: int) -> None:
    """Rows that share labels, an end, labelled backgrounds, shared emissions, weights, all modes, both strands."""
    rng = np.random.default_rng(seed)
    mode, strand = twin.MODES[seed % 4], ("forward", "both")[seed // 4 % 2]
    kinds = [["xy", "x", "y"], ["y", "xy", "x", "x"]][seed // 8 % 2]
    case = random_case(rng, kinds, zeros=0.1)
    pairs = [(random_text(rng, int(rng.integers(1, 9)), 0.1), random_text(rng, int(rng.integers(1, 9)))) for _ in "abc"]
    weights = rng.uniform(0.2, 3.0, 3).tolist()
    counts = counts_of(case, pairs, weights, mode, strand)
    if not math.isfinite(counts["ln P"]):
        with pytest.raises(SequenceError, match="probability 0"):
            case.model.fit(pairs, mode=mode, strand=strand, weights=weights, **ONE_STEP)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # labels that nothing uses
        model = case.model.fit(pairs, mode=mode, strand=strand, weights=weights, **ONE_STEP)
    assert_allclose(model.history_, [counts["ln P"]], rtol=1e-12, atol=1e-10)
    after = values_of(model)
    for label in {*case.emissions, *([case.background] if case.background else [])}:
        if counts[label].sum() > 1e-9:  # in global mode the background explains nothing, but for rounding
            assert_allclose(after[label], counts[label] / counts[label].sum(), rtol=1e-8, atol=1e-10, err_msg=label)
    expected = best_rows(case.rows, counts)
    found = {label: float(after[label]) for label in expected}
    for row in case.rows:
        if any(row):
            assert_allclose(sum(found[label] for label in row if label), 1.0, rtol=0.0, atol=1e-12)

    def objective(values: Mapping[str, float]) -> float:
        return sum(counts[label] * math.log(max(value, 1e-300)) for label, value in values.items() if counts[label] > 0)

    assert objective(found) >= objective(expected) - 1e-7
    for label, value in expected.items():
        if counts[label] > 0.01:
            assert_allclose(found[label], value, rtol=0.0, atol=2e-3, err_msg=label)


PURINES = np.array([0, 1, 0, 1])  # A and G, C and T
CELLS = {
    "general": lambda a, b: (a, b),
    "symmetric": lambda a, b: (min(a, b), max(a, b)),
    "strand-symmetric": lambda a, b: min((a, b), (3 - a, 3 - b)),
    "kimura": lambda a, b: 0 if a == b else 1 if PURINES[a] == PURINES[b] else 2,
    "jukes-cantor": lambda a, b: a == b,
}


def averaged(counts: Floats, key: Callable[[int, int], Any]) -> Floats:
    """Every cell of a table gets the mean of the cells of its class."""
    classes = {key(a, b) for a in range(4) for b in range(4)}
    result = np.zeros((4, 4))
    for each in classes:
        cells = [(a, b) for a in range(4) for b in range(4) if key(a, b) == each]
        for cell in cells:
            result[cell] = np.mean([counts[other] for other in cells])
    return result


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(("mode", "strand"), [("global", "forward"), ("local", "both")])
def test_one_step_of_every_substitution_table(kind: str, mode: str, strand: str) -> None:
    model = ts.PairHMM.affine(substitution=kind, background=[0.3, 0.2, 0.2, 0.3])
    counts = counts_of(affine_twin(model), PAIRS, [1.0] * 6, mode, strand)
    model.fit(PAIRS, mode=mode, strand=strand, **ONE_STEP)
    table = averaged(counts["pair"], CELLS[kind])
    assert_allclose(values_of(model)["pair"], table / table.sum(), rtol=1e-9, atol=0.0)
    # rows: two opens and a match; a close and an extend, in two rows
    total = counts["match"] + counts["open"]
    assert_allclose(values_of(model)["open"], counts["open"] / total / 2, rtol=1e-9, atol=0.0)
    assert_allclose(
        values_of(model)["extend"], counts["extend"] / (counts["extend"] + counts["close"]), rtol=1e-9, atol=0.0
    )


def test_one_step_of_the_other_strand() -> None:
    """Insertions look like deletions from the other strand; pair tables too; the background is the gaps' label."""
    arguments: dict[str, Any] = {
        "states": {"M": "xy", "R": "xy", "X": "x", "Y": "y"},
        "transitions": {
            "M": {"M": 0.8, "R": 0.1, "X": 0.05, "Y": 0.05},
            "R": {"M": 0.1, "R": 0.8, "X": 0.05, "Y": 0.05},
            "X": {"M": 0.3, "R": 0.3, "X": 0.4},
            "Y": {"M": 0.3, "R": 0.3, "Y": 0.4},
        },
        "emissions": {"M": "pair", "R": ts.complement("pair"), "X": "gap", "Y": ts.complement("gap")},
    }
    rng = np.random.default_rng(1)
    table, gap = rng.dirichlet(np.full(16, 3.0)).reshape(4, 4), np.array([0.4, 0.3, 0.2, 0.1])
    model = ts.PairHMM(ts.DNA, **arguments, values={"pair": table, "gap": gap}, background="gap")
    rows = [[0.8, 0.1, 0.05, 0.05], [0.1, 0.8, 0.05, 0.05], [0.3, 0.3, 0.4, 0.0], [0.3, 0.3, 0.0, 0.4]]
    plain = twin.Model(
        ["xy", "xy", "x", "y"],
        np.array(rows[0]),
        np.array(rows),
        None,
        1.0,
        [table, table[::-1, ::-1], gap, gap[::-1]],
        gap,
    )
    pairs, of_pair, of_gap = drawn(3, 25, 5), np.zeros((4, 4)), np.zeros(4)
    for target, query in pairs:
        x, y = (np.array(["ACGT".index(letter) for letter in text]) for text in (target, query))
        found = twin.expected_counts(plain, x, y, "overlap")
        of_pair += found.emissions[0] + found.emissions[1][::-1, ::-1]
        of_gap += found.emissions[2] + found.emissions[3][::-1] + found.background
    model.fit(pairs, mode="overlap", **ONE_STEP)
    assert_allclose(values_of(model)["pair"], of_pair / of_pair.sum(), rtol=1e-9, atol=0.0)
    assert_allclose(values_of(model)["gap"], of_gap / of_gap.sum(), rtol=1e-9, atol=0.0)
    assert_array_equal(model.background, values_of(model)["gap"])


def test_priors_are_counts_and_part_of_the_objective() -> None:
    model = ts.PairHMM.affine(substitution="jukes-cantor")
    counts = counts_of(affine_twin(model), PAIRS, [1.0] * 6, "global", "forward")
    before = values_of(model)
    model.fit(PAIRS, priors={"open": 7.0, "gap": [1.0, 2.0, 3.0, 4.0], "pair": 16.0}, **ONE_STEP)
    opened = counts["open"] + 7.0
    assert_allclose(values_of(model)["open"], opened / (opened + counts["match"]) / 2, rtol=1e-9, atol=0.0)
    gap = counts["gap"] + [1.0, 2.0, 3.0, 4.0]
    assert_allclose(values_of(model)["gap"], gap / gap.sum(), rtol=1e-9, atol=0.0)
    pair = averaged(counts["pair"], CELLS["jukes-cantor"])
    equal, unequal = 4 * pair[0, 0] + 16.0, 12 * pair[0, 1] + 16.0  # a prior once for each of two values
    assert_allclose(values_of(model)["pair"][0, 0], equal / (equal + unequal) / 4, rtol=1e-9, atol=0.0)
    prior = 7.0 * math.log(before["open"]) + 10.0 * math.log(0.25)
    prior += 16.0 * (math.log(before["pair"][0, 0]) + math.log(before["pair"][0, 1]))
    assert_allclose(model.history_, [counts["ln P"] + prior], rtol=1e-10, atol=0.0)


# ---- the likelihood never falls, and training ends at a maximum ----------------------------------------------------


def random_problem(rng: np.random.Generator) -> tuple[ts.PairHMM, Pairs, dict[str, str]]:
    kinds = ["general", "symmetric", "kimura", "jukes-cantor", "strand-symmetric"]
    gaps, structure = int(rng.choice([1, 2, 2])), str(rng.choice(kinds))
    extend = [0.4, 0.8] if gaps == 2 else [0.4]
    model = ts.PairHMM.affine(
        symmetric=bool(rng.integers(2)), gaps=gaps, substitution=structure, gap_open=0.05, gap_extend=extend
    )
    pairs = drawn(int(rng.integers(2, 14)), int(rng.integers(40, 200)), int(rng.integers(1000)))
    mode = str(rng.choice(["global", "global", "local", "glocal", "overlap"]))
    return model, pairs, {"mode": mode, "strand": str(rng.choice(["forward", "forward", "both"]))}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("acceleration", [True, False])
def test_the_likelihood_never_falls(seed: int, acceleration: bool) -> None:
    model, pairs, options = random_problem(np.random.default_rng(seed))
    seen: list[float] = []

    def check(now: Iteration) -> None:
        seen.append(now.log_likelihood)

    model.fit(pairs, max_iter=25, tol=0.0, acceleration=acceleration, callback=check, **options)
    history = np.array(model.history_)
    assert history.tolist() == seen and len(history) == 25
    assert (np.diff(history) >= -1e-11 * abs(history[0])).all()
    assert model.score(pairs, **options) >= history[-1] - 1e-9


@pytest.mark.parametrize("seed", range(40, 64))
def test_converged_means_that_less_than_tol_is_left(seed: int) -> None:
    model, pairs, options = random_problem(np.random.default_rng(seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a gap class on its way out
        model.fit(pairs, tol=0.01, **options)
        assert model.converged_
        stopped = model.history_[-1]
        model.fit(pairs, tol=1e-7, max_iter=600, warm_start=True, **options)
    assert model.history_[-1] - stopped <= 0.01


def test_where_classes_of_gaps_compete_long_steps_reach_what_em_creeps_to() -> None:
    pairs = drawn(8, 80, 77)
    model = ts.PairHMM.affine(gaps=2, gap_extend=[0.4, 0.7], substitution="jukes-cantor")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(pairs, executor=2)
        reached, steps = model.history_[-1], len(model.history_)
        model.fit(pairs, acceleration=False, tol=0.0, max_iter=3000)
    assert reached >= model.history_[-1] - 0.01
    assert steps < 200
    assert model.history_[steps] < reached  # plain EM is not there yet


def test_gain_left_of_a_parabola() -> None:
    """EM on a parabola: residuals shrink by the information that is missing; the gain left is known."""
    rng = np.random.default_rng(0)
    n, top = 5, np.full(5, 0.5)
    complete = np.diag(rng.uniform(50.0, 100.0, n))
    axes = np.linalg.qr(rng.normal(size=(n, n)))[0]
    root = np.sqrt(complete)
    observed = root @ axes @ np.diag([0.002, 0.03, 0.2, 0.7, 1.0]) @ axes.T @ root
    past, values = [], top + 1e-4 * rng.normal(size=n)
    for _ in range(9):
        after = values + np.linalg.solve(complete, observed @ (top - values))
        past.append((values, after))
        values = after + 1e-5 * rng.normal(size=n)
    away = past[-1][0] - top
    gradient = np.diag(complete) * past[-1][1]
    assert_allclose(gain_left(past, gradient), 0.5 * away @ observed @ away, rtol=1e-4, atol=0.0)
    assert gain_left(past[:2], gradient) == math.inf
    assert gain_left([(top, top)] * 4, gradient) == 0.0


def test_bfgs_step_is_the_textbooks() -> None:
    """Nocedal and Wright, Numerical Optimization, (6.17): dense updates of the inverse, where curvature is positive."""
    rng = np.random.default_rng(3)
    n, skipped = 6, 0
    gradient, plain = rng.uniform(50.0, 90.0, n), rng.uniform(0.3, 0.6, n)
    scale = np.sqrt(gradient / plain)
    for length in range(1, 10):
        noise = 1e-5 * rng.normal(size=(length, 2, n))
        past = [(plain + one, plain + one + other) for one, other in noise[1:]] + [(plain - noise[0, 1], plain)]
        inverse = np.eye(n)
        points = [(scale * x, scale * (after - x)) for x, after in past]
        for (x, slope), (next_x, next_slope) in pairwise(points):
            move, bend = next_x - x, slope - next_slope
            if move @ bend <= 1e-6 * move @ move:
                skipped += 1
                continue
            left = np.eye(n) - np.outer(move, bend) / (move @ bend)
            inverse = left @ inverse @ left.T + np.outer(move, move) / (move @ bend)
        expected = past[-1][0] + inverse @ points[-1][1] / scale
        assert np.abs(expected - plain).max() < 0.2  # so that no sign is in danger
        assert_allclose(bfgs_step(past, gradient) - plain, expected - plain, rtol=1e-7, atol=0.0)
        assert gradient / plain @ ((expected - past[-1][0]) * (plain - past[-1][0])) > 0.0
    assert 0 < skipped < 30


def test_bfgs_step_leaves_positive_values_positive_and_zeros_alone() -> None:
    plain, gradient = np.array([0.01, 0.99, 0.0]), np.array([100.0, 100.0, 0.0])
    past = [(np.array([0.9, 0.1, 0.0]), np.array([0.8985, 0.1015, 0.0])), (np.array([0.011, 0.989, 0.0]), plain)]
    step = bfgs_step(past, gradient)
    assert step[0] == pytest.approx(0.001, rel=1e-9)  # the way to the top would be far below zero
    assert step[2] == 0.0
    assert_allclose(step.sum(), 1.0, rtol=1e-12, atol=0.0)


def test_same_zeros_leaves_out_what_was_before_them() -> None:
    """The way to zero is no curvature, and no combination of iterates leads back; rounding's worth is set to zero."""
    values = [np.array([0.2, 0.3, 0.5]), np.array([0.1, 0.4, 0.5]), np.array([1e-20, 0.45, 0.55])]
    values += [np.array([0.0, share, 1.0 - share]) for share in (0.46, 0.465, 0.467)]
    past = list(pairwise(values))
    kept = same_zeros(past)
    assert len(kept) == 3
    assert_array_equal(kept[0][0], [0.0, 0.45, 0.55])
    assert_array_equal(kept[-1], past[-1])
    assert len(same_zeros(past[:2])) == 1  # rounding is as good as zero
    assert len(same_zeros([*past[:1], (values[1], values[3])])) == 1  # from .1 to 0 at once
    gradient = np.array([0.0, 460.0, 540.0])
    for step in (anderson_step(kept), bfgs_step(kept, gradient)):
        assert step[0] == 0.0
        assert step[1] > values[-1][1]  # on along the way
        assert_allclose(step.sum(), 1.0, rtol=1e-12, atol=0.0)
    assert gain_left(kept, gradient) < 0.1


def linear_iterates(top: Floats, shares: Floats, length: int) -> list[tuple[Floats, Floats]]:
    """Iterates of a linear EM on two rows of two, from (.05, .95) and (.4, .6), each with a share of its own."""
    values, past = np.array([0.05, 0.95, 0.4, 0.6]), []
    for _ in range(length):
        after = values + shares * (top - values)
        past.append((values, after))
        values = after
    return past


@pytest.mark.parametrize("step", [anderson_step, bfgs_step])
def test_a_value_at_its_end_does_not_hold_up_the_others(step: Callable[..., Floats]) -> None:
    """Its row stops short of the end; the other row goes as far as it would alone, Anderson's to its top at .9."""
    past = linear_iterates(np.array([-0.2, 1.2, 0.9, 0.1]), np.array([0.01, 0.01, 0.002, 0.002]), 3)
    plain = past[-1][1]
    arguments = (past,) if step is anderson_step else (past, 1000.0 * np.ones(4))
    found = step(*arguments)
    assert_allclose(found[0], 0.1 * plain[0], rtol=1e-4, atol=0.0)
    assert_allclose(found[2], 0.9 if step is anderson_step else plain[2] + 0.1, rtol=0.01, atol=0.0)
    assert_allclose([found[:2].sum(), found[2:].sum()], 1.0, rtol=0.0, atol=1e-10)


def test_what_is_next_to_nothing_does_not_hold_up_the_others() -> None:
    """It has no zero to be told by, and a move that is larger than itself is still nothing."""
    past = []
    for number, (values, after) in enumerate(linear_iterates(np.full(4, 0.5), np.full(4, 0.1), 4)):
        past.append((np.append(values, 1e-20 * 0.5**number), np.append(after, 1e-20 * 0.5 ** (number + 1))))
    kept = same_zeros(past)
    assert len(kept) == 4
    for found in (anderson_step(kept), bfgs_step(kept, 1000.0 * np.ones(5))):
        assert_allclose(found[:4], 0.5, rtol=1e-3, atol=0.0)
        assert found[4] == past[-1][1][4]


@pytest.mark.parametrize("gaps", [1, 2])
def test_long_steps_leave_letters_that_never_occur_at_zero(gaps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And go on from there: fewer iterations than plain EM's, to the same place."""
    pairs = [(target.replace("A", "C"), query.replace("A", "C")) for target, query in PAIRS]
    tables = watched(monkeypatch)
    model = ts.PairHMM.affine(gaps=gaps).fit(pairs, tol=1e-6, max_iter=1000)
    assert len(tables) > 5
    for table in tables[2:]:
        assert not table.emissions[0][0].any()
        assert not table.emissions[1][0]
    plain = ts.PairHMM.affine(gaps=gaps).fit(pairs, tol=1e-6, max_iter=1000, acceleration=False)
    assert_allclose(model.history_[-1], plain.history_[-1], rtol=0.0, atol=1e-4)
    assert len(model.history_) < 0.8 * len(plain.history_)


def test_a_prior_on_what_begins_at_next_to_nothing() -> None:
    """Its gradient is beyond float64 in the first iteration, and training ends where it does from elsewhere."""
    pairs = [("ACGTACGTAC", "ACGTACGAC"), ("ACGGTTA", "ACGTTA"), ("CCAGT", "CCAGTT")]
    ends = []
    for opening in (1e-310, 0.1):
        model = ts.PairHMM.affine(values={"open": opening}, priors={"open": 1.0, "extend": 1.0}, tol=1e-6)
        ends.append(model.fit(pairs).history_[-1])
        assert model.converged_
    assert_allclose(ends[0], ends[1], rtol=0.0, atol=1e-4)


def test_what_em_raises_from_nearly_nothing_may_still_gain() -> None:
    """Long steps leave it alone, and its slope, counted to a tenth, is part of what is to come."""
    before, plain = np.array([1e-6, 0.5, 0.5 - 1e-6]), np.array([1.5e-6, 0.5, 0.5 - 1.5e-6])
    past = [(np.array([2e-6, 0.45, 0.55 - 2e-6]), np.array([3e-6, 0.47, 0.53 - 3e-6])), (before, plain)]
    gradient = np.array([150.0, 100.0, 100.0])
    for step in (anderson_step(past), bfgs_step(past, gradient)):
        assert step[0] >= plain[0]
    assert_allclose(rise_left(before, plain, gradient), 0.1 * (150.0 - 100.0), rtol=1e-12, atol=0.0)
    assert rise_left(plain, before, gradient) == 0.0  # what falls
    assert rise_left(1e3 * before, 1e3 * plain, gradient) == 0.0  # what is there already
    assert rise_left(np.zeros(3), np.zeros(3), gradient) == 0.0


@pytest.mark.parametrize(("seed", "gaps"), [(42, 1), (54, 1), (51, 2), (50, 2)])
def test_a_long_step_traps_no_value_at_its_border(seed: int, gaps: int) -> None:
    """Of noise: long steps left values of 1e-9, which EM raised by a tenth each time, and nobody saw what they gain."""
    rng = np.random.default_rng(seed)
    pairs = [(random_text(rng, 18), random_text(rng, 16)) for _ in range(5)]
    model = ts.PairHMM.affine(gaps=gaps, substitution="symmetric", gap_switch=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # some parameters are hardly used
        model.fit(pairs, max_iter=2000)
        assert model.converged_
        reached = model.history_[-1]
        model.fit(pairs, max_iter=300, tol=0.0, warm_start=True, acceleration=False)
    assert model.history_[-1] <= reached + 0.01


def watched(monkeypatch: pytest.MonkeyPatch) -> list[PairTables]:
    """The tables of every iteration to come (a fit works on a copy of its model), after the same for its memory."""
    tables: list[PairTables] = []
    snapshot = PairTrainee.snapshot

    def watching(trainee: PairTrainee) -> PairMachine:
        tables.append(trainee.parameters.tables())
        return snapshot(trainee)

    monkeypatch.setattr(PairTrainee, "snapshot", watching)
    return tables


def test_ties_hold_to_the_last_bit_after_long_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ts.PairHMM.affine(gaps=2, substitution="strand-symmetric", values={"extend2": ts.fixed(0.9)})
    tables = watched(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(PAIRS, max_iter=40)
    assert len(tables) > 8
    assert len({table.transitions[0, 1] for table in tables}) == len(tables) - 1  # each of them another
    for table in [*tables, model._parameters.tables()]:
        assert table.transitions[0, 1] == table.transitions[0, 2] == table.start[1]
        assert table.transitions[3, 3] == table.transitions[4, 4] == 0.9
        assert_array_equal(table.emissions[0], table.emissions[0][::-1, ::-1])
        assert_array_equal(table.emissions[1], table.emissions[2])
        assert_allclose(table.transitions.sum(axis=1), 1.0, rtol=0.0, atol=1e-13)
        assert_allclose([emission.sum() for emission in table.emissions], 1.0, rtol=0.0, atol=1e-13)


def test_swapping_target_and_query_changes_nothing_under_symmetric_ties() -> None:
    swapped = [(query, target) for target, query in PAIRS]
    for mode in ("global", "local", "overlap"):
        one = ts.PairHMM.affine().fit(PAIRS, mode=mode, tol=1e-4)
        other = ts.PairHMM.affine().fit(swapped, mode=mode, tol=1e-4)
        assert_allclose(one.history_, other.history_, rtol=1e-12, atol=0.0)
        for label, value in values_of(one).items():
            assert_allclose(value, values_of(other)[label], rtol=1e-7, atol=1e-12)
        assert_allclose(one.score(PAIRS, mode=mode), one.score(swapped, mode=mode), rtol=1e-12, atol=0.0)


# ---- the same bits -------------------------------------------------------------------------------------------------


def assert_same(one: ts.PairHMM, other: ts.PairHMM) -> None:
    assert one.history_ == other.history_
    assert list(values_of(one)) == list(values_of(other))
    for label, value in values_of(other).items():
        assert_array_equal(values_of(one)[label], value)


def two_classes() -> ts.PairHMM:
    return ts.PairHMM.affine(gaps=2, substitution="kimura")


@pytest.mark.filterwarnings("ignore::tiedseq.errors.ConvergenceWarning")
def test_who_works_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_BATCH_CELLS", 6000)
    pairs = drawn(7, 70, 3)
    options: dict[str, Any] = {"max_iter": 15, "tol": 0.0, "strand": "both"}
    expected = two_classes().fit(pairs, **options)
    for threads in (1, 2, 3):
        assert_same(two_classes().fit(pairs, executor=threads, **options), expected)
    executors: list[Executor] = [ThreadPoolExecutor(2), ProcessPoolExecutor(1)]
    for executor in executors:
        with executor:
            assert_same(two_classes().fit(pairs, executor=executor, **options), expected)


@pytest.mark.filterwarnings("ignore::tiedseq.errors.ConvergenceWarning")
@pytest.mark.parametrize("stop", [0, 1, 5, 11])
def test_an_interrupted_training_goes_on_to_the_same_bits(stop: int, tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_iter": 15, "tol": 0.0, "n_init": 2, "random_state": 5}
    whole = two_classes().fit(PAIRS, **options)
    path, model = tmp_path / "fit.json", two_classes()
    before = values_of(model)

    def interrupt(now: Iteration) -> None:
        if now.iteration == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(PAIRS, checkpoint=path, callback=interrupt, **options)
    assert (model.history_, model.converged_) == ([], False)
    for label, value in before.items():
        assert_array_equal(values_of(model)[label], value)
    assert_same(model.fit(PAIRS, checkpoint=path, **options), whole)
    assert not path.exists()


@pytest.mark.filterwarnings("ignore::tiedseq.errors.ConvergenceWarning")
def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fit.json"

    def interrupt(now: Iteration) -> None:
        if now.iteration == 2:
            raise KeyboardInterrupt

    changes: list[dict[str, Any]] = [
        {"mode": "local"}, {"weights": [2.0] * 6}, {"acceleration": False}, {"strand": "both"}
    ]  # fmt: skip
    for change in changes:
        with pytest.raises(KeyboardInterrupt):
            two_classes().fit(PAIRS, checkpoint=path, callback=interrupt)
        with pytest.raises(ts.InputError, match="another model, data or options"):
            two_classes().fit(PAIRS, checkpoint=path, **change)
        path.unlink()


@pytest.mark.filterwarnings("ignore::tiedseq.errors.ConvergenceWarning")
def test_fitting_twice_starts_anew_and_warm_starts_go_on() -> None:
    model = two_classes()
    first = model.fit(PAIRS, max_iter=6, tol=0.0).copy()
    assert_same(model.fit(PAIRS, max_iter=6, tol=0.0), first)
    model.fit(PAIRS, max_iter=1, tol=0.0, warm_start=True)
    assert_allclose(model.history_, [first.score(PAIRS)], rtol=1e-13, atol=0.0)
    plain = two_classes().fit(PAIRS, max_iter=9, tol=0.0, acceleration=False)
    model = two_classes().fit(PAIRS, max_iter=6, tol=0.0, acceleration=False)
    model.fit(PAIRS, max_iter=3, tol=0.0, acceleration=False, warm_start=True)
    assert_allclose(model.history_, plain.history_[6:], rtol=1e-13, atol=0.0)


def test_whatever_is_raised_the_model_stays_as_it_was() -> None:
    model = ts.PairHMM.affine(values={"pair": np.diag([0.25] * 4), "gap": [0.5, 0.5, 0.0, 0.0]}, background=[0.25] * 4)
    model.fit([("ACGT", "ACGT"), ("AAACGT", "ACGT")], max_iter=2, tol=0.0)
    before, history = values_of(model), model.history_
    with pytest.raises(SequenceError, match=r"pairs\[1\]: .* probability 0"):
        model.fit([("AC", "AC"), ("G", "T")])
    with pytest.raises(ArgumentError, match="fit\\(\\) has no option 'maxiter'"):
        model.fit([("AC", "AC")], maxiter=3)
    assert model.history_ == history
    for label, value in before.items():
        assert_array_equal(values_of(model)[label], value)


def test_weights_are_repeats() -> None:
    repeated = [pair for pair, times in zip(PAIRS, (1, 2, 3, 1, 0, 2), strict=True) for _ in range(times)]
    one = ts.PairHMM.affine().fit(PAIRS, weights=[1, 2, 3, 1, 0, 2], max_iter=5, tol=0.0)
    other = ts.PairHMM.affine().fit(repeated, max_iter=5, tol=0.0)
    assert_allclose(one.history_, other.history_, rtol=1e-12, atol=0.0)
    for label, value in values_of(one).items():
        assert_allclose(value, values_of(other)[label], rtol=1e-10, atol=1e-15)


def test_related_texts_of_random_lengths_train_with_ambiguity_codes() -> None:
    """Counts of missing letters are shared out: the twin's step, twice."""
    rng = np.random.default_rng(3)
    targets = [random_text(rng, 30, 0.2) for _ in range(3)]
    pairs = [(text, related_text(rng, text)) for text in targets]
    model = ts.PairHMM.affine(substitution="general")
    counts = counts_of(affine_twin(model), pairs, [1.0] * 3, "global", "forward")
    model.fit(pairs, **ONE_STEP)
    assert_allclose(values_of(model)["pair"], counts["pair"] / counts["pair"].sum(), rtol=1e-9, atol=1e-13)
    again = counts_of(affine_twin(model), pairs, [1.0] * 3, "global", "forward")
    model.fit(pairs, **ONE_STEP, warm_start=True)
    assert_allclose(model.history_, [again["ln P"]], rtol=1e-12, atol=0.0)
    assert_allclose(values_of(model)["gap"], again["gap"] / again["gap"].sum(), rtol=1e-9, atol=1e-13)


@pytest.mark.small
def test_weights_are_real() -> None:
    with pytest.raises(ts.ArgumentError, match="weights="):
        ts.PairHMM.affine().fit([("ACGT", "ACT")], weights=np.array([1j]))


def test_sums_are_one_again_where_rounding_grew_in_a_long_step() -> None:
    """Else the likelihood of what sums to more is too high, and EM's next step seems to lose."""
    model = ts.PairHMM.affine(symmetric=False, gap_switch=0.2)
    trainee = PairTrainee(model._parameters.copy(), model.options, "global")
    values = trainee.values
    trainee.values = values * (1.0 + 1e-7 * np.random.default_rng(4).normal(size=len(values)))
    tables = trainee.parameters.tables()
    assert_allclose(tables.transitions.sum(axis=1), 1.0, rtol=0.0, atol=1e-13)
    assert_allclose([emission.sum() for emission in tables.emissions], 1.0, rtol=0.0, atol=1e-13)
    assert_allclose(trainee.values, values, rtol=1e-6, atol=0.0)
    exact = trainee.values
    trainee.values = exact
    assert_array_equal(trainee.values, exact)
