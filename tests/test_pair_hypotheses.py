"""Hypotheses about pairs: what nests, tests by likelihood ratio, swaps and bootstrap, a second class of gaps."""

from __future__ import annotations

import itertools
import json
import math
import threading
import time
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chi2

import tiedseq as ts
from pairhmm_cases import values_of
from tiedseq.commands.reports import verdict_text
from tiedseq.options import HYPOTHESES
from tiedseq.pairs.swaps import _arranged, blocks_of, differences, sign_test, swapped_states
from tiedseq.ready import READY, about
from tiedseq.resampling import bootstrapped

DF = {
    "symmetric-insertion": 5,
    "symmetric-gaps": 2,
    "symmetric-opening": 1,
    "symmetric-extension": 1,
    "symmetric-letters": 3,
    "reversibility": 6,
    "strand-symmetry": 10,
    "kimura": 13,
    "jukes-cantor": 14,
    "one-gap-class": 5,
}


def drawn(model: ts.PairHMM, n: int, columns: int, seed: int) -> list[tuple[str, str]]:
    return [model.sample(columns=columns, random_state=1000 * seed + k)[:2] for k in range(n)]


def swapped(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(y, x) for x, y in pairs]


# ---- what is ready ---------------------------------------------------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize("name", READY)
def test_what_is_ready_nests(name: str) -> None:
    null, alternative = ts.hypotheses(name)
    null.nesting().check(alternative.nesting())
    assert alternative.n_free_parameters - null.n_free_parameters == DF[name]
    assert null.nesting().is_on_boundary_of(alternative.nesting()) == (name == "one-gap-class")
    with pytest.raises(ts.ModelError):
        alternative.nesting().check(null.nesting())


@pytest.mark.small
def test_the_command_line_knows_what_is_ready() -> None:
    assert tuple(READY) == HYPOTHESES and set(DF) == set(READY)
    with pytest.raises(ts.ArgumentError, match="hypotheses\\('symmetry'\\) is unknown"):
        ts.hypotheses("symmetry")


@pytest.mark.small
def test_values_of_a_hypothesis_are_those_of_both_models() -> None:
    """By the labels of the null, whose values deletion and insertion both have in the alternative."""
    letters = [0.4, 0.3, 0.2, 0.1]
    values = {"gap": letters, "gap2": letters[::-1], "open2": ts.fixed(0.001), "extend": 0.3, "switch2": 0.05}
    null, alternative = ts.hypotheses(
        "symmetric-insertion", values=values, gaps=2, gap_switch=0.1, gap_extend=(0.95, 0.6)
    )
    for side in ("deletion", "insertion"):
        found = values_of(alternative)
        assert_allclose(found[side], letters, rtol=1e-12)
        assert_allclose(found[f"{side}2"], letters[::-1], rtol=1e-12)
        single = [found[label] for label in (f"{side}_open2", f"{side}_extend", "switch2")]
        assert_allclose(single, [0.001, 0.3, 0.05], rtol=1e-12)
    assert null.held == ("open2",) and set(alternative.held) == {"deletion_open2", "insertion_open2"}
    null.nesting().check(alternative.nesting())
    null, alternative = ts.hypotheses("symmetric-gaps", values={"gap": letters})
    assert_allclose(values_of(alternative)["gap"], letters, rtol=1e-12)
    with pytest.raises(ts.ModelError, match=r"values= has 'deletion', a label that the model lacks .*'gap'"):
        ts.hypotheses("symmetric-insertion", values={"deletion": letters})


@pytest.mark.small
def test_held_letters_of_gaps_stay_as_they_are_where_strands_are_compared() -> None:
    letters = [0.4, 0.3, 0.2, 0.1]
    null, alternative = ts.hypotheses("strand-symmetry", values={"gap": ts.fixed(letters)})
    null.nesting().check(alternative.nesting())
    assert_allclose(values_of(null)["gap"], letters, rtol=1e-12)
    null, _ = ts.hypotheses("strand-symmetry", values={"gap": [0.4, 0.2, 0.1, 0.3]})
    assert_allclose(values_of(null)["gap"], [0.35, 0.15, 0.15, 0.35], rtol=1e-12)


@pytest.mark.small
def test_strand_symmetry_is_the_other_strand() -> None:
    null, _ = ts.hypotheses("strand-symmetry")
    null.fit(drawn(ts.PairHMM.affine(), 2, 60, 0), max_iter=2, tol=0)
    x, y = "GATTACAGG", "GTTACCAG"
    turned = (ts.DNA.text_reverse_complement(x), ts.DNA.text_reverse_complement(y))
    # Viterbi counts letters only: without "start" and "end" of its own the chain is reversible but for its ends
    pair, gap = (np.asarray(null.parameters[label]) for label in ("pair", "gap"))
    assert_allclose(pair, pair[::-1, ::-1], rtol=1e-12)
    assert_allclose(gap, gap[::-1], rtol=1e-12)
    assert math.isfinite(null.log_likelihood(*turned))


# ---- swaps -----------------------------------------------------------------------------------------------------------


@pytest.mark.small
def test_strand_symmetry_nests_wherever_gaps_begin() -> None:
    null, alternative = ts.hypotheses("strand-symmetry", values={"gap": [0.4, 0.2, 0.1, 0.3]})
    null.nesting().check(alternative.nesting())
    assert_allclose(null.background, alternative.background, rtol=0.0, atol=0.0)
    assert alternative.n_free_parameters - null.n_free_parameters == DF["strand-symmetry"]


@pytest.mark.small
@pytest.mark.parametrize("gaps", [1, 2])
def test_a_swap_is_a_symmetry_or_is_refused(gaps: int) -> None:
    x, y = "GATTACAGGCT", "GATACAGCT"
    model = ts.PairHMM.affine(gaps=gaps, values={"gap": [0.4, 0.3, 0.2, 0.1]})
    assert swapped_states(model._parameters) is not None
    assert_allclose(model.log_likelihood(x, y), model.log_likelihood(y, x), rtol=1e-12)
    for other in (ts.PairHMM.affine(symmetric=False, gaps=gaps), ts.PairHMM.affine(substitution="general", gaps=gaps)):
        assert swapped_states(other._parameters) is None
        with pytest.raises(ts.ModelError, match="the null itself tells them apart"):
            other.check_exchangeable()


def many_gaps(insertions: dict[int, int]) -> ts.PairHMM:
    """Nine deletions, each of which leads to the next, all else being alike; insertions lead where they are told to."""
    numbers = range(9)
    opening: dict[str, Any] = {"M": "match"} | {f"{kind}{k}": "open" for k in numbers for kind in "XY"}
    rows: dict[str, dict[str, Any]] = {"M": opening}
    for kind, following in (("X", {k: (k + 1) % 9 for k in numbers}), ("Y", insertions)):
        for k in numbers:
            rows[f"{kind}{k}"] = {"M": "close", f"{kind}{k}": "extend", f"{kind}{following[k]}": "next"}
    states = {"M": "xy"} | {state: state[0].lower() for state in rows if state != "M"}
    emissions = {state: ts.substitution("symmetric", name="pair") if state == "M" else "gap" for state in rows}
    return ts.PairHMM(ts.DNA, states, rows, emissions, random_state=0)


@pytest.mark.small
def test_many_gaps_are_swapped_without_trying_all_arrangements(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ring of nine insertions has the deletions' form, whatever its order; three rings of three have not."""
    tries: list[None] = []

    def counted(*arguments: Any) -> Any:
        tries.append(None)
        return _arranged(*arguments)

    monkeypatch.setattr("tiedseq.pairs.swaps._arranged", counted)
    order = np.random.default_rng(0).permutation(9)
    ring = many_gaps(dict(zip(order.tolist(), np.roll(order, -1).tolist(), strict=True)))._parameters
    places = swapped_states(ring)
    assert places is not None and sorted(places) == list(range(19))
    edges = ring.specification.tables()["transitions"][:, :19] > 0.0
    assert_array_equal(edges[np.ix_(places, places)], edges)
    assert swapped_states(many_gaps({k: k // 3 * 3 + (k + 1) % 3 for k in range(9)})._parameters) is None
    assert len(tries) < 20


@pytest.mark.small
@pytest.mark.parametrize("given", ["target", "query"])
@pytest.mark.parametrize("background", [[0.25] * 4, [0.4, 0.1, 0.2, 0.3], "outside"])
def test_conditional_tables_are_swapped_only_where_that_is_a_symmetry(given: str, background: Any) -> None:
    values = {"outside": [0.4, 0.1, 0.2, 0.3]} if background == "outside" else {}
    model = ts.PairHMM.affine(given=given, background=background, values=values)
    logs = model.log_likelihood("ACCGT", "GATT"), model.log_likelihood("GATT", "ACCGT")
    if isinstance(background, list) and background[0] == 0.25:
        assert swapped_states(model._parameters) is not None
        assert_allclose(logs[0], logs[1], rtol=1e-12)
    else:
        assert abs(logs[0] - logs[1]) > 0.1
        with pytest.raises(ts.ModelError, match="given target="):
            model.check_exchangeable()


@pytest.mark.small
@pytest.mark.parametrize(("mode", "strand"), [("glocal", "forward"), ("global", "both"), ("local", "both")])
def test_roles_of_reads_are_not_swapped(mode: str, strand: str) -> None:
    null, alternative = ts.hypotheses("symmetric-gaps")
    with pytest.raises(ts.ArgumentError, match="not exchangeable"):
        ts.compare(null, alternative, [("ACGT", "ACT")], permutation=9, mode=mode, strand=strand)


def test_differences_are_those_of_swapped_pairs() -> None:
    """Half the change of the alternative's score, by computing it for the pair and for the swapped one."""
    null, alternative = ts.hypotheses("symmetric-insertion", gaps=2)
    pairs = drawn(ts.PairHMM.affine(symmetric=False, gaps=2), 50, 60, 1)
    null.fit(pairs, tol=0.1)
    at_null = alternative.copy()
    at_null.start_from(null)
    assert_allclose(at_null.score(pairs), null.score(pairs), rtol=1e-12)
    specification = at_null._parameters.specification
    directions = specification.simplex.directions(specification.free, 0.0)

    def score(pair: tuple[str, str]) -> Any:
        return specification.pool(at_null._parameters.gradient(at_null._derivatives([pair], "global", "forward")))

    found = differences(null._parameters, alternative._parameters, [at_null_codes(pair) for pair in pairs], "global")
    wanted = [0.5 * directions.T @ (score(pair) - score(pair[::-1])) for pair in pairs[:5]]
    assert_allclose(found[:5], wanted, rtol=1e-6, atol=1e-6 * np.abs(found).max())
    assert np.linalg.matrix_rank(found, tol=1e-6 * np.abs(found).max()) <= 10


def at_null_codes(pair: tuple[str, str]) -> Any:
    return ts.DNA.encode(pair[0]), ts.DNA.encode(pair[1])


def test_the_parts_of_two_sequences_that_are_alike_may_be_swapped() -> None:
    """Permutation in mode="local": which of the two is the target means nothing, and every pair is swapped whole."""
    rng = np.random.default_rng(6)
    truth = ts.PairHMM.affine(symmetric=False, values={"deletion_open": 0.02, "insertion_open": 0.06})
    ends = ["".join(rng.choice(list("ACGT"), rng.integers(5, 25))) for _ in range(80)]
    cores = drawn(truth, 20, 120, 6)
    pairs = [
        (ends[4 * k] + x + ends[4 * k + 1], ends[4 * k + 2] + y + ends[4 * k + 3]) for k, (x, y) in enumerate(cores)
    ]
    null, alternative = ts.hypotheses("symmetric-opening")
    settings: dict[str, Any] = {"mode": "local", "permutation": 999, "random_state": 0, "errors": False}
    found = ts.compare(null, alternative, pairs, **settings)
    at_null = alternative.copy()
    at_null.start_from(found.null)
    gradients = [[at_null.gradient([p], mode="local") for p in (pair, pair[::-1])] for pair in pairs]
    # a swap makes openings of deletions those of insertions, so the score is along their difference
    halves = np.array([0.5 * (one["deletion_open"] - other["deletion_open"]) for one, other in gradients])
    assert found.permutation is not None and found.permutation.blocks == 20
    assert_allclose(found.permutation.statistic, halves.sum() ** 2 / (halves**2).sum(), rtol=1e-6)
    assert found.permutation.p_value <= 0.01
    turned = ts.compare(null, alternative, [(y, x) if k % 2 else (x, y) for k, (x, y) in enumerate(pairs)], **settings)
    assert_allclose(turned.log_likelihood[0], found.log_likelihood[0], rtol=0, atol=2e-3)
    assert turned.permutation is not None and turned.permutation.p_value > 0.05


def test_swaps_where_nothing_can_move_do_not_reject() -> None:
    """Letters of gaps are all that differs, and gaps hold one letter only: the maximum is a corner."""
    held = {"match": 0.8, "open": 0.1, "close": 0.5, "extend": 0.5, "pair": [[0.4, 0.1], [0.1, 0.4]]}
    values = {label: ts.fixed(value) for label, value in held.items()}
    null, alternative = (
        ts.PairHMM.affine(symmetric, alphabet="AB", values=values, background=[0.5, 0.5])
        for symmetric in (True, ("opening", "extension"))
    )
    pairs = [("AAAA", "AAA"), ("AAA", "AAAAA")]
    found = ts.compare(null, alternative, pairs, permutation=20, errors=False, random_state=1)
    assert found.permutation == (0.0, 1.0, 2, 20)


@pytest.mark.small
def test_swaps_that_change_nothing_do_not_reject() -> None:
    """Of identical sequences a swap is none: what rounding leaves of it must not count as a difference."""
    null, alternative = ts.hypotheses("symmetric-insertion")
    pairs = [("ACGTACGGTACCATGGACCATATAGCGCG",) * 2] * 10
    with pytest.warns(ts.ConvergenceWarning, match="hardly use 'open'"):
        null.fit(pairs)
    statistic, p_value, blocks = null.swap_test(alternative, pairs, 99, 0)
    assert (statistic, p_value) == (0.0, 1.0)
    assert blocks >= 10


@pytest.mark.small
@pytest.mark.parametrize(
    ("models", "match"),
    [
        (ts.hypotheses("one-gap-class"), "an alternative with the states of the null"),
        ((ts.PairHMM.affine(substitution="kimura"), ts.PairHMM.affine()), "does not tell them apart either"),
    ],
)
def test_swaps_are_refused_that_say_nothing_of_the_alternative(models: Any, match: str) -> None:
    with pytest.raises(ts.ModelError, match=match):
        ts.compare(models[0], models[1], [("ACGT", "ACT")], permutation=9)


@pytest.mark.small
def test_models_that_read_other_symbols_do_not_nest() -> None:
    null, alternative = ts.hypotheses("symmetric-gaps")
    with pytest.raises(ts.ModelError, match="differ in their states, their letters"):
        ts.compare(null, alternative.with_qualities(), [("ACGT", "ACT")])


@pytest.mark.small
def test_the_sign_test_counts_all_signs() -> None:
    generator = np.random.default_rng(0)
    differences = generator.normal(loc=[0.8, 0.0], size=(8, 2))
    inverse = np.linalg.inv(differences.T @ differences)
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=8)))
    sums = signs @ differences
    statistics = np.einsum("ij,jk,ik->i", sums, inverse, sums)
    observed = differences.sum(axis=0) @ inverse @ differences.sum(axis=0)
    exact = (statistics >= observed * (1 - 1e-9)).mean()
    statistic, p_value = sign_test(differences, 20_000, generator)
    assert_allclose(statistic, observed, rtol=1e-9)
    assert_allclose(p_value, exact, rtol=0, atol=4 * math.sqrt(exact * (1 - exact) / 20_000) + 1e-4)


def test_a_gap_that_no_path_begins_with_is_no_block() -> None:
    """Paths begin in M, and the query goes on after the last letter of the target."""
    tied, start = ts.PairHMM.affine().get_params(), {"M": ts.fixed(1.0)}
    rows = {**tied["transitions"], "M": {"M": "match", "X": "deletion_open", "Y": "insertion_open"}}
    values = {label: value for label, value in tied["values"].items() if label != "open"}
    null = ts.PairHMM(**{**tied, "start": start})
    alternative = ts.PairHMM(**{**tied, "transitions": rows, "start": start, "values": values})
    x = "".join(np.random.default_rng(0).choice(list("ACGT"), 300))
    pair = x, x + "ACGTTGCATGCA" * 3
    result = ts.compare(null, alternative, [pair], permutation=9, random_state=0, errors=False)
    blocks = blocks_of(result.null.recursion, [at_null_codes(pair)])
    assert len(blocks) > 3 and all(b.size - a.size == 36 * (a is blocks[-1][0]) for a, b in blocks)
    assert result.permutation is not None and result.permutation.blocks == len(blocks)
    free = ts.compare(*ts.hypotheses("symmetric-opening"), [pair], errors=False).null
    assert [part.size for part in blocks_of(free.recursion, [at_null_codes(pair)])[-1]] == [0, 36]


@pytest.mark.small
def test_the_sign_test_is_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(0).normal(loc=0.3, size=(10, 3))
    whole = sign_test(differences, 300, np.random.default_rng(1))
    monkeypatch.setattr("tiedseq.pairs.swaps._MOST_SIGNS", 70)
    assert sign_test(differences, 300, np.random.default_rng(1)) == whole


def test_blocks_are_cut_at_sure_columns() -> None:
    model = ts.PairHMM.affine()
    x, y = model.sample(columns=1500, random_state=3)[:2]
    codes = at_null_codes((x, y))
    blocks = blocks_of(model.recursion, [codes])
    assert len(blocks) > 5 and min(min(a.size, b.size) for a, b in blocks[:-1]) >= 50
    assert_allclose(np.concatenate([a for a, _ in blocks]), codes[0], rtol=0)
    assert_allclose(np.concatenate([b for _, b in blocks]), codes[1], rtol=0)
    posterior = model.posterior(x, y, threshold=0.0)
    i = j = 0
    for a, b in blocks[:-1]:
        i, j = i + a.size, j + b.size
        assert posterior[i - 1, j - 1] >= 0.999
    many = [codes] * 50
    assert blocks_of(model.recursion, many) is many


# ---- compare ---------------------------------------------------------------------------------------------------------


def test_compare_is_twice_the_difference_of_maxima() -> None:
    truth = ts.PairHMM.affine(symmetric=False, values={"deletion_open": 0.02, "insertion_open": 0.06})
    pairs = drawn(truth, 60, 150, 2)
    null, alternative = ts.hypotheses("symmetric-opening")
    found = ts.compare(null, alternative, pairs, permutation=999, random_state=0)
    logs = [model.copy().fit(pairs, tol=1e-6, acceleration=False).score(pairs) for model in (null, alternative)]
    assert_allclose(found.statistic, 2 * (logs[1] - logs[0]), rtol=0, atol=5e-3)
    assert found.df == 1 and found.method == "chi-square" and found.p_value is not None
    assert_allclose(found.p_value, chi2.sf(found.statistic, 1), rtol=1e-9)
    assert found.permutation is not None and found.permutation.p_value == 0.001 and found.permutation.blocks == 60
    assert found.errors is not None and found.errors[0]["open"] > 0.0 and "\N{PLUS-MINUS SIGN}" in str(found)
    assert any(note.startswith("one class of gaps fits") for note in found.notes)
    again = ts.compare(null, alternative, swapped(pairs), permutation=999, random_state=0, errors=False)
    assert_allclose(again.log_likelihood[0], found.log_likelihood[0], rtol=0, atol=2e-3)
    assert again.permutation is not None
    assert_allclose(again.permutation.statistic, found.permutation.statistic, rtol=1e-3)


def test_a_null_that_fits_badly_is_called_so() -> None:
    truth = ts.PairHMM.affine(gaps=2, gap_open=(0.02, 0.01), gap_extend=(0.3, 0.95))
    null, alternative = ts.hypotheses("symmetric-gaps")
    found = ts.compare(null, alternative, drawn(truth, 20, 300, 3), errors=False)
    assert any("the null itself fits badly: two classes" in note for note in found.notes)
    two = ts.compare(*ts.hypotheses("symmetric-gaps", gaps=2), drawn(truth, 20, 300, 3), errors=False)
    assert not any("classes" in note for note in two.notes)


def test_one_class_within_two_needs_a_bootstrap() -> None:
    null, alternative = ts.hypotheses("one-gap-class")
    pairs = drawn(ts.PairHMM.affine(gaps=2, gap_open=(0.03, 0.01), gap_extend=(0.3, 0.95)), 12, 200, 4)
    found = ts.compare(null, alternative, pairs, errors=False)
    assert found.p_value is None and found.statistic > 10.0 and any("bootstrap=99" in note for note in found.notes)
    told: list[str] = []
    settings = {"errors": False, "random_state": 5, "bootstrap": 9}
    one = ts.compare(null, alternative, pairs, announce=told.append, **settings)  # type: ignore[arg-type]
    assert one.p_value == 0.1 and one.method == "bootstrap" and len(one.bootstrap) == 9
    assert json.loads(json.dumps(one.to_dict()))["bootstrap"] == list(one.bootstrap)
    assert len(told) == 1 and told[0].startswith("bootstrap: 9 data sets, about ")
    steps: list[Any] = []
    filters = list(warnings.filters)
    more = {**settings, "executor": 2, "advance": lambda *step: steps.append(step)}
    two = ts.compare(null, alternative, pairs, **more)  # type: ignore[arg-type]
    assert two.bootstrap == one.bootstrap
    assert steps == [("bootstrap", done, 9) for done in range(10)]
    assert warnings.filters == filters


def test_threads_that_a_model_was_made_with_work_on_the_bootstrap_too(monkeypatch: pytest.MonkeyPatch) -> None:
    workers: list[Any] = []

    def watched(statistic: Any, draw: Any, count: int, generator: Any, executor: Any, *others: Any) -> list[float]:
        workers.append(executor)
        return bootstrapped(statistic, draw, count, generator, executor, *others)

    monkeypatch.setattr("tiedseq.hypothesis.bootstrapped", watched)
    null, alternative = (
        ts.PairHMM(**{**model.get_params(), "executor": 2}) for model in ts.hypotheses("symmetric-gaps")
    )
    ts.compare(null, alternative, drawn(null, 4, 60, 5), bootstrap=2, random_state=0, errors=False)
    assert workers == [2]


def test_drawn_data_whose_fits_do_not_converge_are_counted() -> None:
    null, alternative = ts.hypotheses("symmetric-gaps")
    pairs = drawn(null, 4, 60, 5)
    result = ts.compare(null, alternative, pairs, bootstrap=2, random_state=0, errors=False, max_iter=2)
    assert any("2 of 2 drawn data sets did not converge" in note for note in result.notes)


def test_nobody_waits_for_a_bootstrap_that_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while two threads are at it: they begin nothing more, and their fits end with the iteration at hand."""
    null, alternative = ts.hypotheses("symmetric-gaps")
    pairs = drawn(ts.PairHMM.affine(), 4, 60, 4)

    simulated, begun = ts.PairHMM.simulated, []

    def counted(model: ts.PairHMM, *arguments: Any) -> Any:
        begun.append(model)
        return simulated(model, *arguments)

    def interrupt(what: str, done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(ts.PairHMM, "simulated", counted)
    before = threading.active_count()
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        with pytest.raises(KeyboardInterrupt):
            ts.compare(null, alternative, pairs, bootstrap=300, errors=False, executor=2, advance=interrupt)
        deadline = time.monotonic() + 60
        while threading.active_count() > before and time.monotonic() < deadline:
            time.sleep(0.02)
    assert threading.active_count() == before and len(begun) < 100
    assert remarks == []


@pytest.mark.small
def test_what_is_drawn_is_as_long_as_the_data() -> None:
    model = ts.PairHMM.affine()
    x, y, alignment = model.sample(columns=80, random_state=1)
    columns = len(x) + model.posterior(x, y, 0.0).shape[1] - model.posterior(x, y, 0.0).sum()
    lengths = [model.simulated([(x, y)], seed)[0] for seed in range(3)]
    drawn_columns = {len(a) + len(b) for a, b in lengths}
    assert abs(columns - alignment.length) < 15 and len({len(a) for a, _ in lengths}) > 1
    assert max(drawn_columns) <= 2 * round(columns)


def flanked_model() -> ts.PairHMM:
    """Alignments of a and b, flanks of c: what is drawn shows where it comes from."""
    letters = [0.4999, 0.4999, 0.0002]
    table = np.array([[0.45, 0.05, 0.0], [0.05, 0.45, 0.0], [0.0, 0.0, 0.0]])
    return ts.PairHMM(
        "abc",
        {"M": "xy", "X": "x", "Y": "y"},
        {
            "M": {"M": 0.98, "X": 0.01, "Y": 0.01},
            "X": {"M": 0.5, "X": 0.5},
            "Y": {"M": 0.5, "Y": 0.5},
        },
        {"M": ts.fixed(table), "X": letters, "Y": letters},
        background=[5e-7, 5e-7, 1.0 - 1e-6],
    )


@pytest.mark.parametrize(
    ("mode", "pair", "flanks"),
    [
        ("local", ("cc" + 22 * "ab" + "cccc", "c" + 20 * "ab"), (6, 1)),  # and a gap inside
        ("glocal", ("cc" + 20 * "ab" + "cccc", 20 * "ab"), (6, 0)),
        ("overlap", ("cccc" + 20 * "ab", 20 * "ab" + "ccc"), (4, 3)),
        ("overlap", ("cccc" + 20 * "ab" + "c", 20 * "ab"), (5, 0)),
    ],
)
def test_flanks_are_drawn_as_well(mode: str, pair: tuple[str, str], flanks: tuple[int, int]) -> None:
    """As long as the data's, of background letters, and in every place that the mode admits."""
    pairs = flanked_model().simulated([pair] * 200, 0, mode=mode)
    places = set()
    for sequences, longest in zip(zip(*pairs, strict=True), flanks, strict=True):
        inside = [sequence.strip("c") for sequence in sequences]
        assert {a.count("c") - b.count("c") for a, b in zip(sequences, inside, strict=True)} == {longest}
        assert_allclose(np.mean([len(each) for each in inside]), 42.0, rtol=0.1)
    for target, query in pairs:
        before = tuple(len(side) - len(side.lstrip("c")) for side in (target, query))
        after = tuple(len(side) - len(side.rstrip("c")) for side in (target, query))
        assert mode != "overlap" or (0 in before and 0 in after)
        places.add(before)
    admitted = {("overlap", 3): 2, ("glocal", 0): 7, ("overlap", 0): 6, ("local", 1): 14}
    assert len(places) == admitted[mode, flanks[1]]


def test_the_strand_is_drawn_where_it_may_be_either() -> None:
    model = ts.PairHMM.affine()
    target, query, _ = model.sample(columns=60, random_state=2)
    drawn = model.simulated([(target, query)] * 60, 1, mode="local", strand="both")
    forward = sum(model.log_likelihood(*pair) > model.log_likelihood(*pair, strand="both") for pair in drawn)
    assert 15 < forward < 45  # 30 with a standard deviation of 4
    assert all(model.log_likelihood(*pair, strand="both") > -160.0 for pair in drawn)


def test_a_bootstrap_of_local_alignments_on_either_strand(monkeypatch: pytest.MonkeyPatch) -> None:
    simulated: Any = ts.PairHMM.simulated
    sizes: list[float] = []

    def watched(model: ts.PairHMM, *arguments: Any, **options: Any) -> Any:
        found = simulated(model, *arguments, **options)
        sizes.append(float(np.mean([len(side) for pair in found for side in pair])))
        assert options == where
        return found

    monkeypatch.setattr(ts.PairHMM, "simulated", watched)
    null, alternative = ts.hypotheses("symmetric-gaps")
    where = {"mode": "local", "strand": "both"}
    truth = ts.PairHMM.affine(symmetric=False, values={"deletion_open": 0.06, "insertion_open": 0.01})
    flank = ts.DNA.decode(np.random.default_rng(3).integers(4, size=40).astype(np.uint8))
    pairs = [(flank + a, ts.DNA.text_reverse_complement(b)) for a, b in drawn(truth, 12, 150, 6)]
    found = ts.compare(null, alternative, pairs, bootstrap=9, errors=False, random_state=0, **where)  # type: ignore[arg-type]
    assert found.p_value == 0.1 and max(found.bootstrap) < found.statistic
    assert_allclose(np.mean(sizes), np.mean([len(side) for pair in pairs for side in pair]), rtol=0.03)


def test_a_model_with_an_end_draws_its_own_lengths() -> None:
    """Columns are geometric with mean 1 / 0.05, whatever the lengths of the data."""
    model = ts.PairHMM(
        "ab",
        {"M": "xy", "X": "x", "Y": "y"},
        {
            "M": {"M": 0.85, "X": 0.05, "Y": 0.05, "end": 0.05},
            "X": {"M": 0.5, "X": 0.45, "end": 0.05},
            "Y": {"M": 0.5, "Y": 0.45, "end": 0.05},
        },
        {"M": [[0.4, 0.1], [0.1, 0.4]], "X": [0.5, 0.5], "Y": [0.5, 0.5]},
        start={"M": 1.0},
    )
    pairs = model.simulated([("abbab", "abab")] * 2000, random_state=0)
    to_gap, to_pair = (
        0.1 / 0.55,
        0.5 / 0.55,
    )  # expected visits: M = 1 + 0.85 M + to_pair * 0.1 M, each gap 1 / 0.55 long
    visits = 1.0 / (0.15 - 0.1 * to_pair)
    expected = visits * (1.0 + to_gap / 2.0)
    assert_allclose(np.mean([len(x) for x, _ in pairs]), expected, rtol=0.1)


@pytest.mark.small
@pytest.mark.parametrize("permutations", [-3, 0, 2.5, True])
def test_swaps_are_counted_in_whole_numbers(permutations: Any) -> None:
    null, alternative = ts.hypotheses("symmetric-gaps")
    with pytest.raises(ts.ArgumentError, match=f"must be a whole number of at least 1, not {permutations}"):
        null.swap_test(alternative, [("ACGT", "ACG")], permutations)


@pytest.mark.small
@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"bootstrap": -1}, "bootstrap must be a whole number of at least 0, not -1"),
        ({"permutation": 1.5}, "permutation must be a whole number of at least 0, not 1.5"),
        ({"priors": {"open": 1.0}}, "has priors="),
        ({"lengths": [4]}, "pairs are sequences already. Leave it out"),
        ({"announce": "print"}, "announce='print' cannot be called; give a function, or None"),
        ({"advance": 3}, "advance=3 cannot be called; give a function, or None"),
        ({"errors": "no"}, "errors must be True or False, not 'no'"),
    ],
)
def test_what_cannot_be_tested(settings: dict[str, Any], match: str) -> None:
    null, alternative = ts.hypotheses("symmetric-gaps")
    with pytest.raises(ts.ArgumentError, match=match):
        ts.compare(null, alternative, [("ACGT", "ACT")], **settings)


@pytest.mark.parametrize(
    ("name", "blocks", "says"), [("insertion", 5, True), ("opening", 5, True), ("opening", 6, False)]
)
def test_too_few_swaps_are_called_so(name: str, blocks: int, says: bool) -> None:
    null, alternative = ts.hypotheses(f"symmetric-{name}")
    pairs = drawn(null, blocks, 40, 3)
    result = ts.compare(null, alternative, pairs, permutation=9, random_state=0, errors=False)
    assert result.permutation is not None and result.permutation.blocks == blocks
    assert any("too few to reject anything" in note for note in result.notes) is says


@pytest.mark.parametrize(("draws", "verdict"), [(18, None), (19, True)])
def test_too_few_draws_are_called_so(draws: int, verdict: bool | None) -> None:
    """Data that contradict the null as clearly as can be are rejected from 19 draws on, at p = .05."""
    null, alternative = ts.hypotheses("symmetric-opening")
    truth = ts.PairHMM.affine(symmetric=False, values={"deletion_open": 0.12, "insertion_open": 0.01})
    pairs = drawn(truth, 60, 60, 3)
    settings: Any = {"permutation": draws, "bootstrap": draws, "tol": 0.01, "random_state": 0, "errors": False}
    result = ts.compare(null, alternative, pairs, **settings)
    assert result.permutation is not None
    assert result.p_value == result.permutation.p_value == 1 / (1 + draws)
    assert result.verdicts() == {"likelihood-ratio test": verdict, "permutation test": verdict}
    for name in ("bootstrap", "permutation"):
        assert any(note.startswith(f"{name}={draws} gives no p-value below") for note in result.notes) is not verdict
    word = "no verdict by" if verdict is None else "rejected at the 5 % level by"
    said = verdict_text(result, "a claim")
    assert f"\n{word} the likelihood-ratio test" in said and f"\n{word} the permutation test" in said


@pytest.mark.small
def test_a_background_that_differs_is_named() -> None:
    """It comes from the starting values of gap letters, where background= is left out."""
    null = ts.PairHMM.affine(values={"gap": [0.3, 0.2, 0.2, 0.3]})
    with pytest.raises(ts.ModelError, match="holds 'background', which the null does not hold at the same value"):
        ts.compare(null, ts.PairHMM.affine(symmetric=False), [("ACGT", "ACT")])


def test_letters_are_needed_and_no_checkpoint() -> None:
    null, alternative = ts.hypotheses("symmetric-gaps")
    with pytest.raises(ts.SequenceError, match="no observed letter"):
        ts.compare(null, alternative, [("NNNN", "NN")])
    with pytest.raises(ts.ArgumentError, match="a file for one fit"):
        ts.compare(null, alternative, [("ACGT", "ACT")], checkpoint="fit.json")


@pytest.mark.small
def test_strand_symmetry_with_insertion_that_is_not_symmetric() -> None:
    """By hand: 8 values of the pair table, and of each distribution of gap letters 1 of 3 is left."""
    null, alternative = ts.hypotheses("strand-symmetry", symmetric=False)
    assert alternative.n_free_parameters - null.n_free_parameters == (15 - 7) + 2 * (3 - 1)
    null.nesting().check(alternative.nesting())


@pytest.mark.small
@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("symmetric-gaps", {"symmetric": False}, "takes no symmetric=False: this is what it sets itself; leave it out"),
        ("kimura", {"substitution": "symmetric"}, "takes no substitution='symmetric': this is what it sets itself"),
        ("jukes-cantor", {"substitution": "jukes-cantor"}, "takes no substitution='jukes-cantor'"),
        ("reversibility", {"substitution": "kimura"}, "takes no substitution='kimura'"),
        ("strand-symmetry", {"substitution": "general"}, "takes no substitution='general'"),
        ("one-gap-class", {"gaps": 2}, "takes no gaps=2"),
        ("strand-symmetry", {"values": [("open", 0.1)]}, "values must map labels to starting values, not be a list"),
        ("strand-symmetry", {"gaps": "x"}, "gaps must be 1 or 2"),
    ],
)
def test_options_that_a_hypothesis_cannot_take(name: str, options: dict[str, Any], match: str) -> None:
    with pytest.raises(ts.ArgumentError, match=match):
        ts.hypotheses(name, **options)


@pytest.mark.small
@pytest.mark.parametrize("name", READY)
def test_options_that_a_hypothesis_is_not_about_are_those_of_both_models(name: str) -> None:
    """Whatever is not refused has an effect, on either model."""
    given: dict[str, Any] = {"symmetric": ["letters"], "substitution": "kimura", "gaps": 2}
    refused = []
    for option, value in given.items():
        try:
            chosen = ts.hypotheses(name, **{option: value})
        except ts.ArgumentError:
            refused.append(option)
            continue
        for model, usual in zip(chosen, ts.hypotheses(name), strict=True):
            assert model.n_free_parameters != usual.n_free_parameters
    assert refused == [about(name)]


@pytest.mark.small
def test_hmms_are_not_swapped() -> None:
    null = ts.HMM("ab", {"s": {"s": 1.0}}, {"s": "w"}, values={"w": ts.fixed([0.5, 0.5])})
    free = ts.HMM("ab", {"s": {"s": 1.0}}, {"s": [0.5, 0.5]})
    with pytest.raises(ts.ArgumentError, match="permutation=9 is for pair-HMMs"):
        ts.compare(null, free, "abba", permutation=9)


# ---- a second class of gaps ------------------------------------------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize("background", [None, "outside"])
def test_a_second_class_is_an_argument_like_others(background: str | None) -> None:
    values = {"outside": [0.3, 0.2, 0.2, 0.3]} if background else {}
    wider = ts.PairHMM.affine(tol=0.5, background=background, values=values).with_second_gap_class()
    assert wider is not None
    parameters, states = wider.parameters, wider.states
    assert set(states) == {"M", "X", "Y", "X2", "Y2"} and wider.history_ == []
    changed = wider.set_params(max_iter=7)
    assert changed.states == states and (changed.options.tol, changed.options.max_iter) == (0.5, 7)
    assert list(changed.parameters) == list(parameters)
    for label, value in parameters.items():
        assert_allclose(changed.parameters[label], value, rtol=1e-12)
    assert_allclose(changed.background, wider.background, rtol=1e-12)


@pytest.mark.small
def test_a_second_class_begins_beside_the_first() -> None:
    model = ts.PairHMM.affine(symmetric=False, values={"deletion": ts.fixed([0.4, 0.3, 0.2, 0.1])})
    wider = model.with_second_gap_class()
    assert wider is not None and list(wider.states) == ["M", "X", "Y", "X2", "Y2"]
    model.nesting().check(wider.nesting())
    assert wider.n_free_parameters == model.n_free_parameters + 4 + 3  # two openings, two extensions, letters
    rows = wider._parameters.specification.tables()["transitions"]
    assert_allclose(rows[:, :-1].sum(axis=1), 1.0, rtol=1e-12)
    assert_allclose(wider.parameters["deletion_extend2"], 0.9, rtol=1e-6)
    assert wider.with_second_gap_class() is None


@pytest.mark.small
def test_a_second_class_switches_as_the_first_does() -> None:
    model = ts.PairHMM.affine(gap_open=0.05, gap_extend=0.6, gap_switch=0.2)
    wider, made = model.with_second_gap_class(), ts.PairHMM.affine(gap_switch=0.2, gaps=2)
    assert wider is not None and wider.states == made.states and list(wider.parameters) == list(made.parameters)
    model.nesting().check(wider.nesting())
    edges, expected = (m._parameters.specification.tables()["transitions"] > 0.0 for m in (wider, made))
    assert_array_equal(edges, expected)
    assert_allclose(np.array([wider.parameters["switch"], wider.parameters["switch2"]]), [0.2, 0.05], rtol=1e-6)


def test_gaps_that_switch_are_compared_as_others_are() -> None:
    """One parameter more is free, the extension; the roles can be swapped."""
    truth = ts.PairHMM.affine(gap_open=0.05, gap_extend=0.5, gap_switch=0.2)
    pairs = drawn(truth, 60, 80, 3)
    null, alternative = ts.hypotheses("symmetric-extension", gap_switch=0.05)
    result = ts.compare(null, alternative, pairs, permutation=99, random_state=0)
    assert result.df == 1 and result.p_value is not None and result.p_value > 0.01
    assert result.permutation is not None and result.permutation.p_value > 0.01
    assert 0.1 < result.null.parameters["switch"] < 0.3
    turned = ts.compare(null, alternative, swapped(pairs), errors=False)
    assert_allclose(turned.statistic, result.statistic, rtol=0.0, atol=2e-3)


def test_openings_are_known_as_well_where_gaps_may_switch() -> None:
    """With a switch of its own for deletion and insertion the errors are three times as large: see `gap_switch`."""
    truth = ts.PairHMM.affine(gap_open=0.03, gap_extend=0.6, gap_switch=0.05)
    pairs, errors = drawn(truth, 40, 300, 0), []
    for gap_switch in (0.02, None):
        model = ts.hypotheses("symmetric-gaps", gap_switch=gap_switch)[1].fit(pairs, tol=1e-3)
        errors.append([model.standard_errors(pairs)[label] for label in ("deletion_open", "insertion_open")])
    assert_allclose(errors[0], errors[1], rtol=0.2, atol=0.0)


# ---- a second class of gaps, whatever labels are called --------------------------------------------------------------


def with_labels(of_x: str, of_y: str) -> ts.PairHMM:
    """Insertion and deletion apart, their labels ending as they are told."""
    rows: dict[str, Any] = {"M": {"M": "match", "X": f"open{of_x}", "Y": f"open{of_y}"}}
    values: dict[str, Any] = {"pair": np.full((4, 4), 0.2 / 12) + np.eye(4) * (0.2 - 0.2 / 12)}
    for state, end in (("X", of_x), ("Y", of_y)):
        rows[state] = {"M": f"close{end}", state: f"extend{end}"}
        values |= {f"open{end}": 0.02, f"extend{end}": 0.6, f"gap{end}": [0.25] * 4}
    emissions = {"M": ts.substitution("symmetric", name="pair"), "X": f"gap{of_x}", "Y": f"gap{of_y}"}
    return ts.PairHMM(ts.DNA, {"M": "xy", "X": "x", "Y": "y"}, rows, emissions, values=values)


@pytest.mark.small
def test_a_second_class_is_not_tied_to_labels_that_end_alike() -> None:
    models = [with_labels("_a", "_b"), with_labels("", "2"), with_labels("2", "3")]
    wider = [model.with_second_gap_class() for model in models]
    pair = ("ACGTACGTTTGA", "ACGACGTGTTGA")
    logs = [None if model is None else model.log_likelihood(*pair) for model in wider]
    assert logs[0] is not None and logs == [logs[0]] * 3
    assert [0 if model is None else model.n_free_parameters for model in wider] == [
        models[0].n_free_parameters + 10
    ] * 3


def test_a_second_class_for_members_of_soft_ties() -> None:
    """Untied they are labels of their own; drawn together they are neither one value nor several."""
    untied = ts.PairHMM.affine(soft={"gap": 0}).with_second_gap_class()
    assert untied is not None and untied.options.soft is None and {"gap@X2", "gap@Y2"} <= set(untied.parameters)
    assert ts.PairHMM.affine(soft={"gap": 5}).with_second_gap_class() is None
    null, alternative = ts.hypotheses("symmetric-opening")
    pairs = drawn(null, 6, 40, 3)
    result = ts.compare(null, alternative, pairs, soft={"gap": 0}, errors=False)
    assert result.df == 1 and result.p_value is not None and "one class of gaps fits" in result.notes[-1]


def test_starting_values_are_drawn_by_random_state() -> None:
    rows = {"M": {"M": "match", "X": "open", "Y": "open"}, "X": {"M": "c", "X": "e"}, "Y": {"M": "c", "Y": "e"}}
    free = {**rows, "M": {"M": "match", "X": "open_x", "Y": "open_y"}}
    emissions = {"M": ts.substitution("symmetric", name="pair"), "X": "gap", "Y": "gap"}
    states = {"M": "xy", "X": "x", "Y": "y"}
    quarters = {"gap": [0.25] * 4}
    null, alternative = (ts.PairHMM(ts.DNA, states, given, emissions, values=quarters) for given in (rows, free))
    pairs = drawn(ts.PairHMM.affine(), 4, 40, 3)

    def starts(seed: int) -> list[float]:
        seen: list[float] = []

        def look(now: Any) -> bool:
            seen.append(now.log_likelihood)
            return True

        ts.compare(null, alternative, pairs, n_init=2, random_state=seed, errors=False, callback=look)
        return seen

    assert starts(0) == starts(0) != starts(1)


def test_why_there_is_no_p_value() -> None:
    null, alternative = ts.hypotheses("symmetric-opening")
    pairs = drawn(null, 4, 40, 3)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"tol": 0.0, "max_iter": 3}, "tol=0 lets no fit converge to 0.01 nats; leave it out, or give one up to 0.01"),
        ({"tol": 0.1}, "tol=0.1 lets no fit converge"),
        ({"tol": Fraction(1, 10)}, "tol=0.1 lets no fit converge"),
        ({"callback": lambda now: True}, "a fit was stopped before it converged to 0.01 nats; let it go on"),
        ({"max_iter": 2}, "a fit did not converge to 0.01 nats; raise max_iter"),
    ]
    for options, why in cases:
        result = ts.compare(null, alternative, pairs, errors=False, **options)
        assert result.p_value is None and any(note.startswith(f"no p-value: {why}") for note in result.notes)
    with pytest.raises(ts.ArgumentError, match=r"^compare\(\) has no option 'weights'; .* is given as often"):
        ts.compare(null, alternative, pairs, weights=[1.0] * 4)


def test_what_is_drawn_misses_the_letters_that_the_data_miss() -> None:
    model = ts.PairHMM.affine()
    pairs = [(x[:30] + "N" * 60 + x[90:], y) for x, y in drawn(model, 40, 120, 3)]
    found = model.simulated(pairs, random_state=1)
    assert abs(model.n_letters(found) / model.n_letters(pairs) - 1) < 0.02
    for (x, _), (target, query) in zip(pairs, found, strict=True):
        first, scale = target.find("N"), len(x) / len(target)
        assert "N" not in query and (first - 1) * scale <= 30 <= first * scale + 1e-9
        assert target.count("N") == target.rfind("N") - first + 1
