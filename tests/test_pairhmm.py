"""PairHMM as users know it: published numbers, derivatives, alignments, another program's optimum, clear errors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import tiedseq as ts
import twin
from pairhmm_cases import Case, random_case, random_text, related_text

AFFINE = {
    "M": {"M": "match", "X": "open", "Y": "open"},
    "X": {"M": "close", "X": "extend"},
    "Y": {"M": "close", "Y": "extend"},
}
PAIR = np.full((4, 4), 0.02) + 0.17 * np.eye(4)


def reference_model(gap_extend: float = 0.6, **more: Any) -> ts.PairHMM:
    """The model of the published likelihoods; its start row is M's by default."""
    values = {"open": 0.02, "extend": gap_extend, "pair": PAIR, "gap": [0.25] * 4, **more}
    return ts.PairHMM(
        ts.DNA, {"M": "xy", "X": "x", "Y": "y"}, AFFINE, {"M": "pair", "X": "gap", "Y": "gap"}, values=values
    )


def read_letters(path: Path) -> str:
    return "".join(path.read_text().split("\n")[1:])


# --- published numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("published_origin", "query", "gap_extend", "expected"),
    [
        (True, "orangutan_mt.fa", 0.6, -34502.208513007),
        (True, "orangutan_mt.fa", 0.9, -34134.164210004),
        (True, "mouse_mt.fa", 0.6, -39315.849579675),
        (False, "orangutan_mt.fa", 0.6, -33783.175303561),
        (False, "orangutan_mt.fa", 0.9, -33794.672712812),
        (False, "mouse_mt.fa", 0.6, -38839.392301457),
    ],
)
def test_whole_mitochondria(data: Path, published_origin: bool, query: str, gap_extend: float, expected: float) -> None:
    """ln P of two complete genomes, computed in logarithms by an independent program.

    The human circle in data/ is opened at base 577 of NC_012920; the published origin is 576 letters before it.
    """
    human = read_letters(data / "human_mt.fa")
    if published_origin:
        human = human[-576:] + human[:-576]
    found = reference_model(gap_extend).log_likelihood(human, read_letters(data / query))
    assert_allclose(found, expected, rtol=1e-11)


def test_the_affine_model_is_the_one_written_out() -> None:
    written, made = reference_model(), ts.PairHMM.affine(gap_open=0.02, gap_extend=0.6, values={"pair": PAIR})
    target, query = "ACGTTGCANNCT", "ACGTGCATTCT"
    for mode in twin.MODES:
        assert written.log_likelihood(target, query, mode=mode) == made.log_likelihood(target, query, mode=mode)
    assert made.n_free_parameters == 1 + 1 + 9 + 3


@pytest.mark.parametrize("symmetric", [True, False])
def test_gaps_that_switch_are_edges_between_insertion_and_deletion(symmetric: bool) -> None:
    """Against the sum over all paths of the model written out in arrays."""
    model = ts.PairHMM.affine(symmetric, gap_open=(0.05, 0.02), gap_extend=(0.4, 0.8), gap_switch=(0.1, 0.04), gaps=2)
    rows = np.zeros((5, 5))
    rows[0] = [1 - 4 * 0.035, 0.05, 0.05, 0.02, 0.02]
    rows[1], rows[2] = [0.5, 0.4, 0.1, 0.0, 0.0], [0.5, 0.1, 0.4, 0.0, 0.0]
    rows[3], rows[4] = [0.16, 0.0, 0.0, 0.8, 0.04], [0.16, 0.0, 0.0, 0.04, 0.8]
    flat, pair = np.full(4, 0.25), np.full((4, 4), 0.2 / 12)
    np.fill_diagonal(pair, 0.2)
    plain = twin.Model(["xy", "x", "y", "x", "y"], rows[0], rows, None, 1.0, [pair, flat, flat, flat, flat], flat)
    target, query = np.array([0, 1, 2, 3, 3]), np.array([0, 3, 2])
    for mode in twin.MODES:
        expected = twin.enumerate_paths(plain, target, query, mode)[0].log_likelihood
        assert_allclose(model.log_likelihood("ACGTT", "ATG", mode=mode), expected, rtol=1e-12, atol=0.0)
    assert {label for label in model.parameters if "switch" in label} == {"switch", "switch2"}
    assert model.n_free_parameters == ts.PairHMM.affine(symmetric, gaps=2).n_free_parameters + 2


@pytest.mark.small
def test_gaps_that_switch_must_close() -> None:
    assert_allclose(ts.PairHMM.affine(gap_switch=0.2, gaps=2).parameters["switch2"], 0.05, rtol=1e-12)
    with pytest.raises(ts.ArgumentError, match=r"gap_extend and gap_switch must leave room .* 0\.6 and 0\.4 add up"):
        ts.PairHMM.affine(gap_switch=0.4)
    with pytest.raises(ts.ArgumentError, match="gap_switch must be a probability between 0 and 1"):
        ts.PairHMM.affine(gap_switch=0.0)


@pytest.mark.small
def test_values_of_gaps_that_switch_go_first() -> None:
    model = ts.PairHMM.affine(gap_switch=0.5, values={"extend": 0.1})
    found = [model.parameters[label] for label in ("extend", "switch", "close")]
    assert_allclose(np.array(found), [0.1, 0.5, 0.4], rtol=1e-12)
    with pytest.raises(ts.ModelError, match=r"sum to 1\.1 \('extend' 0\.6, 'switch' 0\.5\)"):
        ts.PairHMM.affine(values={"switch": 0.5}, gap_switch=0.1)


# --- derivatives -----------------------------------------------------------------------------------------------------


def moved(case: Case, label: str, cell: tuple[int, ...], factor: float) -> twin.Model:
    """The twin with one value of one label multiplied, wherever it is used; rows need not sum to one."""
    plain = case.plain._replace(
        start=case.plain.start.copy(),
        transitions=case.plain.transitions.copy(),
        end=None if case.plain.end is None else case.plain.end.copy(),
        emissions=[table.copy() for table in case.plain.emissions],
        background=case.plain.background.copy(),
    )
    n = len(plain.kinds)
    for source, row in enumerate(case.rows):
        for column, used in enumerate(row):
            if used != label:
                continue
            if column < n:
                (plain.start if source == n else plain.transitions[source])[column] *= factor
            elif source == n:
                plain = plain._replace(start_end=plain.start_end * factor)
            elif plain.end is not None:
                plain.end[source] *= factor
    for state, used in enumerate(case.emissions):
        if used == label:
            plain.emissions[state][cell] *= factor
    if case.background == label:
        plain.background[cell] *= factor
    return twin.observe(plain, np.eye(4))


@pytest.mark.small
@pytest.mark.parametrize("strand", ["forward", "both"])
def test_no_pairs_have_no_gradient(strand: str) -> None:
    found = ts.PairHMM.affine().gradient([], strand=strand)
    assert_allclose(np.concatenate([np.ravel(value) for value in found.values()]), 0.0, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_gradient_is_that_of_finite_differences(seed: int, mode: str) -> None:
    """d ln P / d parameter by central differences of the twin; expected count = parameter * derivative."""
    rng = np.random.default_rng([seed, 77])
    case = random_case(rng, ["y", "xy", "x", "xy", "y"], zeros=0.0, end=seed != 1)
    target = random_text(rng, 9)
    query = related_text(rng, target)[:8]
    gradient = case.model.gradient([(target, query)], mode=mode)
    counts = case.model.expected_counts([(target, query)], mode=mode)
    x, y, h = case.codes(target), case.codes(query), 1e-5
    for label, value in case.model.parameters.items():
        assert_allclose(counts[label], value * gradient[label], rtol=1e-12)
        for cell in np.ndindex(np.shape(value)):
            logs = [twin.log_likelihood(moved(case, label, cell, math.exp(step)), x, y, mode) for step in (h, -h)]
            count = np.asarray(counts[label])[cell]
            assert_allclose((logs[0] - logs[1]) / (2 * h), count, rtol=1e-6, atol=1e-8, err_msg=label)


def test_a_tied_cell_shares_its_derivative_and_keeps_its_counts() -> None:
    """Kimura's table has three values: counts are cell by cell, and a value's derivative is the sum over its cells."""
    rng = np.random.default_rng(4)
    target = random_text(rng, 60)
    pairs = [(target, related_text(rng, target, 0.5))]
    tied, free = (ts.PairHMM.affine(substitution=kind, values={"pair": PAIR}) for kind in ("kimura", "general"))
    counts, derivatives = tied.expected_counts(pairs)["pair"], tied.gradient(pairs)["pair"]
    assert_allclose(counts, free.expected_counts(pairs)["pair"], rtol=1e-12)
    same = np.eye(4, dtype=bool)
    transition = np.array([[abs(a - b) == 2 for b in range(4)] for a in range(4)])
    for cells in (same, transition, ~same & ~transition):
        assert_allclose(np.asarray(derivatives)[cells], np.sum(free.gradient(pairs)["pair"], where=cells), rtol=1e-10)


def test_counts_of_a_complement_are_turned_back() -> None:
    """A deletion is seen from the other strand: A there counts as T of the distribution."""
    forward, gap = ["A", "C", "G", "T"], [0.4, 0.3, 0.2, 0.1]
    rows = {"M": {"M": 0.8, "X": 0.1, "Y": 0.1}, "X": {"M": 0.5, "X": 0.5}, "Y": {"M": 0.5, "Y": 0.5}}
    model = ts.PairHMM(
        ts.DNA,
        {"M": "xy", "X": "x", "Y": "y"},
        rows,
        {"M": ts.fixed(PAIR), "X": ts.complement("gap"), "Y": "gap"},
        values={"gap": gap},
    )
    for letter, turned in zip(forward, range(3, -1, -1), strict=True):
        counts = model.expected_counts([(letter * 3, "")])["gap"]
        assert_allclose(counts, 3 * np.eye(4)[turned], rtol=0, atol=1e-12)
        derivatives = np.asarray(model.gradient([(letter * 3, "")])["gap"])
        assert_allclose(derivatives[turned], 3 / gap[turned], rtol=1e-12)
    assert_allclose(model.expected_counts([("", "AAC")])["gap"], [2, 1, 0, 0], rtol=0, atol=1e-12)


# --- alignments ------------------------------------------------------------------------------------------------------


def all_columns(a: int, b: int, c: int, d: int) -> Iterator[list[tuple[int, int]]]:
    """Every alignment of the letters a ... c - 1 of the target and b ... d - 1 of the query, as columns."""
    if (a, b) == (c, d):
        yield []
    for di, dj in ((1, 1), (1, 0), (0, 1)):
        if a + di <= c and b + dj <= d:
            column = (a if di else -1, b if dj else -1)
            for rest in all_columns(a + di, b + dj, c, d):
                yield [column, *rest]


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("lengths", [(3, 2), (2, 3), (1, 0), (0, 2), (0, 0)])
def test_log_joint_adds_up_to_the_likelihood(lengths: tuple[int, int], mode: str) -> None:
    """Over all alignments. One that holds no letter of a sequence stands for every place in it."""
    columns = {tuple(way) for box in twin.boxes(mode, *lengths) for way in all_columns(*box[0], *box[1])}
    for seed in range(6):
        rng = np.random.default_rng(seed)
        case = random_case(rng, ["y", "xy", "x", "xy", "y"], zeros=0.2)
        target, query = (random_text(rng, length, 0.2) for length in lengths)
        terms = [
            case.model.log_joint(target, query, np.array(way, dtype=np.int64).reshape(-1, 2).T, mode=mode)
            for way in sorted(columns)
        ]
        expected = case.model.log_likelihood(target, query, mode=mode)
        assert_allclose(twin.log_sum(terms), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("mode", twin.MODES)
def test_log_joint_of_the_best_alignment_is_its_probability(mode: str) -> None:
    """With one state of each kind columns say all but where an empty alignment lies, so that an alignment is a path."""
    rng = np.random.default_rng(5)
    target = random_text(rng, 200)
    model = ts.PairHMM.affine()
    for query in (related_text(rng, target), random_text(rng, 150), "", target):
        best, alignment = model.viterbi(target, query, mode=mode)
        places = {"global": 1, "overlap": 201, "glocal": 201, "local": 201}[mode] if query == "" else 1
        assert_allclose(model.log_joint(target, query, alignment, mode=mode), best + math.log(places), rtol=1e-12)
        assert alignment.target == target
        assert alignment.query == query
        assert best <= model.log_likelihood(target, query, mode=mode) + 1e-9


def test_what_an_alignment_may_be_given_as() -> None:
    model, columns = ts.PairHMM.affine(), np.array([[0, 1, 2, 3], [0, -1, 1, 2]])
    expected = model.log_joint("ACGT", "AGT", columns)
    result = ts.align("ACGT", "AGT", model=model, mode="global", decode="viterbi")
    alignment = model.viterbi("ACGT", "AGT")[1]
    assert alignment.indices.tolist() == columns.tolist()
    for given in (alignment, result, result.alignment):
        assert_allclose(model.log_joint("ACGT", "AGT", given), expected, rtol=1e-14)
    hand = math.log(0.96 * 0.2 * 0.02 * 0.25 * 0.4 * 0.2 * 0.96 * 0.2)
    assert_allclose(expected, hand, rtol=1e-12)
    assert model.log_joint("ACGT", "AGT", columns[:, :3]) == -math.inf  # a global alignment holds every letter
    assert model.log_joint("ACGT", "AGT", np.array([[0, 1, 2, 3, -1], [0, -1, -1, 1, 2]])) > -math.inf
    assert model.log_joint("ACGT", "AGT", np.array([[0, 1, -1, 2, 3], [-1, -1, 0, 1, 2]])) == -math.inf  # X to Y


def test_parasail_finds_the_same_optimum() -> None:
    """Affine gaps that may follow each other and cost the same at the ends: Viterbi is Needleman-Wunsch-Gotoh.

    A gap of k letters costs open * extend**(k - 1) * close, over what a step from M to M would have cost; from X to Y
    it closes and opens again; the ends are entered and left as M is.
    """
    parasail = pytest.importorskip("parasail", reason="parasail is the other program; it is in the extra `test`")
    opening, extending, ending, scale = 0.03, 0.7, 0.01, 1000
    match = 1 - 2 * opening - ending
    close = (1 - extending) * match / (match + opening + ending)
    rows = {
        "M": {"M": match, "X": opening, "Y": opening, "end": ending},
        "X": {"M": close, "X": extending, "Y": opening * close / match, "end": ending * close / match},
        "Y": {"M": close, "Y": extending, "X": opening * close / match, "end": ending * close / match},
    }
    gap = np.array([0.3, 0.2, 0.2, 0.3])
    rng = np.random.default_rng(6)
    pair = rng.dirichlet(np.full(16, 5.0)).reshape(4, 4) * 0.3 + 0.7 * np.diag(gap)
    emissions = {"M": ts.fixed(pair), "X": ts.fixed(gap), "Y": ts.fixed(gap)}
    model = ts.PairHMM(ts.DNA, {"M": "xy", "X": "x", "Y": "y"}, rows, emissions, start=rows["M"])
    scores = np.rint(scale * np.log(match * pair / np.outer(gap, gap))).astype(int)
    costs = [round(-scale * math.log(p)) for p in (opening * close / match, extending)]
    matrix = parasail.matrix_create("ACGT", 0, 0)
    for a, b in np.ndindex(4, 4):
        matrix[b, a] = int(scores[a, b])  # rows are letters of parasail's second sequence
    differing = 0
    for identity, gaps in ((0.9, 0.02), (0.7, 0.1), (0.5, 0.3)):
        target = random_text(rng, 250)
        query = related_text(rng, target, identity, gaps)
        traced = parasail.nw_trace_striped_32(target, query, *costs, matrix).traceback
        rows_of = np.array([list(traced.query), list(traced.ref)])  # parasail's query is the first sequence
        positions = np.where(rows_of == "-", -1, np.cumsum(rows_of != "-", axis=1) - 1)
        best, alignment = model.viterbi(target, query)
        scored = model.log_joint(target, query, positions)
        rounding = 2 * 0.5 / scale * positions.shape[1]  # half a unit a column, of either path
        assert scored <= best + 1e-9
        assert scored >= best - rounding
        differing += alignment.indices.tolist() != positions.tolist()
        assert_allclose(model.log_joint(target, query, alignment), best, rtol=1e-12)
    assert differing < 3, "the alignments should be the same but for ties"


# --- sampling --------------------------------------------------------------------------------------------------------


def test_samples_have_the_frequencies_of_the_model() -> None:
    model = reference_model(pair=np.array([[0.3, 0.1], [0.05, 0.55]]).repeat(2, 0).repeat(2, 1) / 4)
    target, query, alignment = model.sample(columns=40_000, random_state=1)
    assert (str(alignment.target), str(alignment.query)) == (target, query)
    assert alignment.length == alignment.indices.shape[1] == 40_000
    kinds = np.where(alignment.indices[0] < 0, 2, 0) + (alignment.indices[1] < 0)  # 0 M, 1 X, 2 Y
    steps = np.zeros((3, 3))
    np.add.at(steps, (kinds[:-1], kinds[1:]), 1)
    expected = np.array([[0.96, 0.02, 0.02], [0.4, 0.6, 0], [0.4, 0, 0.6]])
    _check_frequencies(steps, expected)
    x, y = (np.array([*map("ACGT".index, text)]) for text in (target, query))
    a, b = alignment.indices[:, kinds == 0]
    table = np.zeros((4, 4))
    np.add.at(table, (x[a], y[b]), 1)
    _check_frequencies(table.ravel()[None], np.asarray(model.parameters["pair"]).ravel()[None])
    letters = np.bincount(x[alignment.indices[0][kinds == 1]], minlength=4)
    _check_frequencies(letters[None], np.full((1, 4), 0.25))
    assert math.isfinite(model.log_joint(target, query, alignment))


def _check_frequencies(counts: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    """Within five standard deviations of a multinomial, row by row."""
    totals = counts.sum(axis=1, keepdims=True)
    error = 5 * np.sqrt(expected * (1 - expected) / totals)
    assert np.all(np.abs(counts / totals - expected) <= error)


def test_samples_are_reproducible() -> None:
    model = ts.PairHMM.affine()
    first, again, other = (model.sample(columns=200, random_state=seed) for seed in (1, 1, 2))
    assert first[:2] == again[:2] != other[:2]
    assert first[2].coordinates.tolist() == again[2].coordinates.tolist()
    generator = np.random.default_rng(1)
    assert model.sample(columns=200, random_state=generator)[:2] == first[:2]
    assert model.sample(columns=200, random_state=generator)[:2] != first[:2]
    assert model.sample(columns=0)[:2] == ("", "")


def test_the_end_says_how_long_samples_are() -> None:
    """The number of columns is geometric: (1 - end) / end in the mean."""
    rows = {state: {"M": 0.5, "X": 0.2, "Y": 0.2, "end": 0.1} for state in "MXY"}
    emissions = {"M": ts.fixed(PAIR), "X": [0.25] * 4, "Y": [0.25] * 4}
    model = ts.PairHMM(ts.DNA, {"M": "xy", "X": "x", "Y": "y"}, rows, emissions)
    rng = np.random.default_rng(2)
    lengths = np.array([model.sample(random_state=rng)[2].indices.shape[1] for _ in range(2000)])
    assert abs(lengths.mean() - 9) < 5 * math.sqrt(90 / 2000)
    assert abs((lengths == 0).mean() - 0.1) < 5 * math.sqrt(0.09 / 2000)
    assert max(model.sample(columns=5, random_state=rng)[2].indices.shape[1] for _ in range(50)) == 5


@pytest.mark.small
def test_what_was_handed_over_is_the_model_s_own(tmp_path: Path) -> None:
    """Neither an array given nor what a property returned changes the model when it is written to."""
    background = np.array([0.1, 0.2, 0.3, 0.4])
    model = ts.PairHMM.affine(background=background)
    before = model.log_likelihood("ACGTA", "ACTA", mode="local")
    background[:] = 0.25
    model.parameters["pair"][:] = 0.0  # type: ignore[index]
    assert model.copy().log_likelihood("ACGTA", "ACTA", mode="local") == before
    model.save(tmp_path / "model.json")
    loaded = ts.load(tmp_path / "model.json")
    loaded.get_params()["states"]["Z"] = "x"
    assert loaded.log_likelihood("ACGTA", "ACTA", mode="local") == before
