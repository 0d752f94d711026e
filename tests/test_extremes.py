"""Parameters and sequences that break careless arithmetic: never a NaN, never a wrong number.

The twin works in logarithms, cell by cell, and in two rows where only ln P is asked for.
"""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

import tiedseq as ts
import twin
from pairhmm_cases import Case, check_best, check_sums, in_logarithms, random_text, related_text
from tiedseq.pairs.lanes import Lanes

Floats = NDArray[np.float64]
ROOT = Path(__file__).resolve().parent.parent

FLAT = np.full(4, 0.25)
ROWS: list[list[str | None]] = [
    ["match", "open", "open", None],
    ["close", "extend", None, None],
    ["close", None, "extend", None],
    ["match", "open", "open", None],
]


def affine_case(
    gap_open: float = 0.02,
    gap_extend: float = 0.6,
    pair: Floats | None = None,
    gap: Floats = FLAT,
    background: Floats = FLAT,
) -> Case:
    """M, X and Y, with any values: a gap_extend of 0 is an absent edge."""
    table = twin.affine(gap_open, gap_extend).emissions[0] if pair is None else pair
    extend = {} if gap_extend == 0 else {"extend": gap_extend}
    model = ts.PairHMM(
        ts.DNA,
        {"M": "xy", "X": "x", "Y": "y"},
        {
            "M": {"M": "match", "X": "open", "Y": "open"},
            **{state: {"M": "close", **dict.fromkeys([state] if extend else [], "extend")} for state in "XY"},
        },
        {"M": "pair", "X": "gap", "Y": "gap"},
        values={"open": gap_open, "pair": table, "gap": gap, **extend},
        background=background,
    )
    plain = twin.affine(gap_open, gap_extend)._replace(emissions=[table, gap, gap], background=background)
    rows = ROWS if extend else [[None if label == "extend" else label for label in row] for row in ROWS]
    return Case(model, plain, rows, ["pair", "gap", "gap"], None)


def pair_table(off_diagonal: float) -> Floats:
    table = np.full((4, 4), off_diagonal)
    np.fill_diagonal(table, 0.25 - 3 * off_diagonal)
    return table


def related_pair(seed: int, length: int = 120) -> tuple[str, str]:
    rng = np.random.default_rng(seed)
    target = random_text(rng, length)
    return target, related_text(rng, target, 0.9, 0.02)


def check(case: Case, target: str, query: str, mode: str) -> None:
    """All outputs against the twin, to 1e-12 of ln P and to 1e-8 of a letter."""
    x, y = case.codes(target), case.codes(query)
    size = abs(twin.log_likelihood(case.slow, x, y, mode))
    assert check_sums(case, target, query, mode, "forward", twin.expected_counts, atol=max(1e-10, 1e-12 * size))
    check_best(case, target, query, mode, twin.viterbi(case.slow, x, y, mode).log_probability)
    for label, derivative in case.model.gradient([(target, query)], mode=mode).items():
        assert not np.isnan(derivative).any(), label


# --- parameters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("gap_open", [1e-300, 1e-100, 1e-30, 0.02, 0.4999])
@pytest.mark.parametrize("gap_extend", [1e-300, 1e-12, 0.6, 0.999999])
def test_steep_and_flat_gaps(gap_open: float, gap_extend: float, mode: str) -> None:
    check(affine_case(gap_open, gap_extend), *related_pair(1), mode)


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("off_diagonal", [1e-300, 1e-100, 1e-20, 0.0])
def test_pairs_that_hardly_occur(off_diagonal: float, mode: str) -> None:
    check(affine_case(pair=pair_table(off_diagonal)), *related_pair(2), mode)
    check(affine_case(1e-40, 1e-12, pair=pair_table(off_diagonal)), *related_pair(3, 40), mode)


@pytest.mark.parametrize("mode", twin.MODES)
def test_gaps_of_one_letter_only(mode: str) -> None:
    """Without an edge from X to X no number of gap letters bridges two cells."""
    check(affine_case(gap_extend=0.0), "ACGTTGCATACCGA", "ACGTGCATTACCG", mode)
    check(affine_case(gap_extend=0.0), *related_pair(4, 40), mode="local")


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("rare", [0.0, 1e-300, 1e-20])
def test_a_letter_that_is_never_in_a_gap(rare: float, mode: str) -> None:
    gap = np.array([0.5, 0.3 - rare, 0.2, rare])
    for seed in (5, 6):
        target, query = related_pair(seed, 60)
        check(affine_case(gap=gap), target + "T", "T" + query.replace("T", "C"), mode)
        check(affine_case(gap=gap), target.replace("T", "A"), query.replace("T", "A"), mode)


@pytest.mark.parametrize("mode", twin.MODES)
def test_a_letter_that_never_occurs_slows_nothing(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training takes its probability to 0, and the fast recursion holds for all others; by sequence, and gap by gap."""
    model = ts.PairHMM.affine(symmetric=False, substitution="general")
    no_t = np.array([0.5, 0.3, 0.2, 0.0])
    pair = np.array(model.parameters["pair"])
    pair[3] = 0.0
    model.set_params(values={"deletion": no_t, "pair": pair / pair.sum()})
    target, query = related_pair(11)
    target = target.replace("T", "G")
    x, y = (codes.astype(np.uint8) for codes in map(affine_case().codes, (target, query)))
    assert "T" in query
    assert isinstance(model.recursion.passes([(x, y)]), Lanes)
    assert not isinstance(model.recursion.passes([(x, y), (y, x)]), Lanes)
    found = model.log_likelihood(target, query, mode=mode), model.gradient([(target, query)], mode=mode)
    in_logarithms(monkeypatch)
    slow = model.copy()
    assert not isinstance(slow.recursion.passes([(x, y)]), Lanes)
    assert_allclose(found[0], slow.log_likelihood(target, query, mode=mode), rtol=1e-12, atol=0.0)
    for label, derivative in slow.gradient([(target, query)], mode=mode).items():
        assert_allclose(found[1][label], derivative, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("rare", [1e-250, 1e-60, 1e-12])
def test_a_background_in_which_a_letter_is_rare(rare: float, mode: str) -> None:
    """Gap letters that are far likelier in the model than in the background make values rise, not only fall."""
    background = np.array([0.5, 0.3 - rare, 0.2, rare])
    check(affine_case(background=background), *related_pair(7), mode)


def stepped(case: Case, label: str, cell: tuple[int, ...], step: float) -> twin.Model:
    """The twin with a step added to one cell of one distribution; it need not sum to one."""
    emissions = [table.copy() for table in case.plain.emissions]
    for table, used in zip(emissions, case.emissions, strict=True):
        if used == label:
            table[cell] += step
    return twin.observe(case.plain._replace(emissions=emissions), np.eye(4))


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("path", ["lanes", "logarithms", "logarithms, zeros in gaps"])
def test_derivatives_of_emissions_that_are_zero(path: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one-sided differences of the twin: an emission that training brought to 0 has a derivative like any other."""
    if path == "logarithms":
        in_logarithms(monkeypatch)
    pair = pair_table(0.02)
    pair[0, 1] = pair[2, 3] = pair[1, 1] = 0.0
    gap = np.array([0.5, 0.3, 0.2, 0.0]) if path == "logarithms, zeros in gaps" else FLAT
    case = affine_case(0.1, 0.5, pair=pair / pair.sum(), gap=gap)
    assert case.model.recursion.is_moderate == (path == "lanes")
    target, query = "ACGTTGCATAGAC", "ACGTGTATAC"
    x, y, h = case.codes(target), case.codes(query), 1e-6
    found = case.model.recursion.derivatives([(x.astype(np.uint8), y.astype(np.uint8))], mode)[1].emissions
    for label, derivative in {"pair": found[0], "gap": found[1] + found[2]}.items():
        for cell in np.ndindex(derivative.shape):
            logs = [twin.log_likelihood(stepped(case, label, cell, k * h), x, y, mode) for k in (0, 1, 2)]
            slope = (4 * logs[1] - logs[2] - 3 * logs[0]) / (2 * h)
            assert_allclose(derivative[cell], slope, rtol=1e-5, atol=1e-6, err_msg=f"{label} {cell}")


def lopsided_case(bits: float) -> Case:
    """A is 2**bits times likelier in a gap than outside, C as much the other way round."""
    rare = 2.0**-bits / 2
    background, gap = np.array([rare, 0.5, 0.25, 0.25 - rare]), np.array([0.5, rare, 0.25, 0.25 - rare])
    return affine_case(0.1, 0.5, gap=gap, background=background)


def gaps_only_case() -> Case:
    """Each sequence is all but one letter of the other's making: within a lane, values lie 2**400 and more apart."""
    deletion, insertion = np.array([1e-5, 5e-5, 0.0, 1e-25]), np.array([0.0, 5e-12, 3e-30, 0.05])
    deletion[2], insertion[0] = 1 - deletion.sum(), 1 - insertion.sum()
    turn, stay, background = 1e-5, 0.9985, np.array([0.0125 - 1.5e-7, 0.98, 1.5e-7, 0.0075])
    stop = 1 - stay - turn
    model = ts.PairHMM(
        ts.DNA,
        {"X": "x", "Y": "y"},
        {"X": {"X": "stay", "Y": "turn", "end": "stop"}, "Y": {"X": "turn", "Y": "stay", "end": "stop"}},
        {"X": "deletion", "Y": "insertion"},
        start={"X": "turn", "Y": "stop", "end": "stay"},
        values={"turn": turn, "stay": stay, "deletion": deletion, "insertion": insertion},
        background=background,
    )
    plain = twin.Model(
        ["x", "y"],
        np.array([turn, stop]),
        np.array([[stay, turn], [turn, stay]]),
        np.array([stop, stop]),
        stay,
        [deletion, insertion],
        background,
    )
    labels: list[list[str | None]] = [["stay", "turn", "stop"], ["turn", "stay", "stop"], ["turn", "stop", "stay"]]
    return Case(model, plain, labels, ["deletion", "insertion"], None)


@pytest.mark.parametrize("mode", twin.MODES)
def test_products_of_values_far_apart(mode: str) -> None:
    """float64 held each of forward's and backward's values here, but not their product: counts were NaN."""
    for n, m in [(56, 36), (20, 40), (100, 80)]:
        rng = np.random.default_rng(n)
        check(gaps_only_case(), random_text(rng, n), random_text(rng, m), mode)


def test_a_path_with_a_step_too_small_for_a_float() -> None:
    """An opening of 1e-200 times a letter of 1e-200."""
    gap = np.array([0.5, 0.3, 0.2, 1e-200])
    case = affine_case(1e-200, 0.6, pair=pair_table(0.0), gap=gap)
    expected = 4 * np.log(0.25) + 2 * np.log(1e-200) + np.log(0.4)
    best, alignment = case.model.viterbi("ACTGA", "ACGA")
    assert_allclose(best, expected, rtol=1e-12)
    assert_allclose(case.model.log_joint("ACTGA", "ACGA", alignment), expected, rtol=1e-12)
    assert alignment.aligned.tolist() == [[[0, 2], [3, 5]], [[0, 2], [2, 4]]]


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("bits", [5, 10, 20, 23, 26, 34, 42, 48, 80])
def test_up_to_the_border_between_the_two_paths(bits: float, mode: str) -> None:
    """Values differ so much within a lane that products of two fill float64's range."""
    rng, case = np.random.default_rng(8), lopsided_case(bits)
    for target, query in [
        (random_text(rng, 70), random_text(rng, 50)),
        ("A" * 40 + "C" * 40, "C" * 30 + "A" * 50),
        ("C" * 40 + "A" * 40, "A" * 30 + "C" * 50),
    ]:
        check(case, target, query, mode)


@pytest.mark.small
@pytest.mark.parametrize("mode", ["global", "local"])
def test_several_tiles_and_chunks_of_a_steep_model(mode: str) -> None:
    """Steep models have tiles of sixteen rows, so that a short target has three and a short query two chunks."""
    rng, case = np.random.default_rng(9), lopsided_case(15)
    target, query = random_text(rng, 40), random_text(rng, 120)
    assert case.model.recursion.is_moderate
    check(case, target, query, mode)


def test_the_border_lies_where_it_is_tested() -> None:
    moderate = {bits: lopsided_case(bits).model.recursion.is_moderate for bits in (20, 23, 26)}
    assert moderate == {20: True, 23: True, 26: False}


def test_the_two_paths_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    target, query = related_pair(9, 300)
    fast = affine_case(1e-12, 1e-6).model
    found = [fast.log_likelihood(target, query, mode=mode) for mode in twin.MODES]
    posterior = fast.posterior(target, query, 0.0).toarray()
    assert fast.recursion.is_moderate
    in_logarithms(monkeypatch)
    slow = fast.copy()
    assert_allclose(found, [slow.log_likelihood(target, query, mode=mode) for mode in twin.MODES], rtol=1e-13)
    assert_allclose(posterior, slow.posterior(target, query, threshold=0.0).toarray(), rtol=1e-8, atol=1e-11)


def test_derivatives_beyond_float64_are_finite() -> None:
    """With a T in a gap the pair would be 1e+600 times likelier: the derivative is large, and nothing is NaN."""
    case = affine_case(0.1, 0.5, pair=pair_table(1e-300), gap=np.array([1e-300, 0.6, 0.4, 0.0]))
    x, y = (case.codes(text).astype(np.uint8) for text in ("TTA", "TA"))
    found = case.model.recursion.derivatives([(x, y)], "global")[1]
    assert found.emissions[1][3] > 1e290
    for part in (found.start, found.transitions, found.end, *found.emissions, found.background):
        assert np.isfinite(part).all()


# --- memory ---------------------------------------------------------------------------------------------------------

SHORT_OF_MEMORY = """
import resource, sys
import numpy as np
import tiedseq as ts

rng = np.random.default_rng(0)
length = {"lanes": 1500, "logarithms": 700}[sys.argv[1]]
x, y = ("".join(rng.choice(list("ACGT"), length)) for _ in range(2))
gap = {"lanes": [0.25, 0.25, 0.25, 0.25], "logarithms": [0.5, 0.5, 0.0, 0.0]}[sys.argv[1]]
model = ts.PairHMM.affine(values={"gap": gap}, background=[0.25] * 4)
calls = {
    "posterior": lambda: model.posterior(x, y, 0.0),
    "viterbi": lambda: model.viterbi(x, y),
    "gradient": lambda: model.gradient([(x, y)]),
    "log_likelihood": lambda: model.log_likelihood(x, y),
}
seen = set()
for name, call in calls.items():
    call()
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    for spare in [2**k for k in range(17, 29)]:
        resource.setrlimit(resource.RLIMIT_AS, (used + spare, resource.RLIM_INFINITY))
        try:
            call()
            seen.add((name, "fine"))
        except ts.ResourceError as error:
            assert f"{length:,} and {length:,} letters" in str(error), error
            seen.add((name, "no memory"))
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(*sorted(" ".join(pair) for pair in seen), sep=", ")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells how much memory is in use")
@pytest.mark.parametrize("path", ["lanes", "logarithms"])
def test_where_memory_gives_out_the_error_says_so(path: str) -> None:
    """Wherever in a pass it happens: the limit on memory is raised step by step until there is enough."""
    process = subprocess.run([sys.executable, "-c", SHORT_OF_MEMORY, path], capture_output=True, text=True, cwd=ROOT)
    assert process.stderr == ""
    assert "posterior fine, posterior no memory" in process.stdout
    assert {"gradient fine", "viterbi fine", "log_likelihood fine"} <= set(process.stdout.strip().split(", "))


def test_the_limit_of_the_slow_path_counts_all_that_it_takes() -> None:
    """4 GB: three values, P(aligned) and an entry of the sparse matrix a cell."""
    model = affine_case(gap_extend=0.0).model
    long, short = "A" * 9000, "A" * 8600
    with pytest.raises(ts.ResourceError, match=r"9,000 and 8,600 letters need 4\.0 GB of memory, 4 GB being the limit"):
        model.posterior(long, short)


# --- sequences ------------------------------------------------------------------------------------------------------


def compare_log_likelihood(case: Case, target: str, query: str, mode: str, rtol: float = 1e-11) -> None:
    expected = twin.log_likelihood(case.slow, case.codes(target), case.codes(query), mode)
    assert_allclose(case.model.log_likelihood(target, query, mode=mode), expected, rtol=rtol)


@pytest.mark.parametrize("mode", twin.MODES)
def test_an_insertion_of_five_kilobases(mode: str) -> None:
    rng = np.random.default_rng(10)
    whole, inserted = random_text(rng, 200), random_text(rng, 5000)
    longer = whole[:90] + inserted + whole[90:]
    case = affine_case()
    compare_log_likelihood(case, whole, longer, mode)
    compare_log_likelihood(case, longer, whole, mode)


def test_the_alignment_on_both_sides_of_five_kilobases() -> None:
    rng = np.random.default_rng(11)
    whole, inserted = random_text(rng, 200), random_text(rng, 5000)
    model = affine_case(gap_open=1e-3, gap_extend=0.9).model
    for target, query, turned in ((whole, whole[:90] + inserted + whole[90:], False),
                                  (whole[:90] + inserted + whole[90:], whole, True)):  # fmt: skip
        posterior = model.posterior(target, query)
        found = posterior.T.toarray() if turned else posterior.toarray()
        ends = [*range(80), *range(100, 200)]
        assert found[ends, [*range(80), *range(5100, 5200)]].min() > 0.9
        corners = model.viterbi(target, query)[1].coordinates[:: -1 if turned else 1]
        assert any(b - a == 5000 for a, b in zip(corners[1], corners[1][1:], strict=False))


@pytest.mark.parametrize("mode", twin.MODES)
def test_ten_kilobases_of_unrelated_sequence(mode: str) -> None:
    rng = np.random.default_rng(12)
    compare_log_likelihood(affine_case(), random_text(rng, 10_000), random_text(rng, 150), mode)
    compare_log_likelihood(affine_case(gap_open=0.3), random_text(rng, 1200), random_text(rng, 1000), mode)


def between_pairs_case() -> Case:
    """Alignments begin and end with a pair: nothing is possible in the first row and column of cells but the corner."""
    match, stop = 0.94, 0.02
    model = ts.PairHMM(
        ts.DNA,
        {"M": "xy", "X": "x", "Y": "y"},
        {
            "M": {"M": "match", "X": "open", "Y": "open", "end": "stop"},
            "X": {"M": "close", "X": "extend"},
            "Y": {"M": "close", "Y": "extend"},
        },
        {"M": "pair", "X": "gap", "Y": "gap"},
        start={"M": 1.0},
        values={"match": match, "open": 0.02, "extend": 0.6, "pair": pair_table(0.02), "gap": FLAT},
    )
    plain = twin.affine(0.02, 0.6)._replace(end=np.array([stop, 0.0, 0.0]), start_end=0.0)
    plain.transitions[0, 0] = match
    plain = plain._replace(start=np.array([1.0, 0.0, 0.0]), emissions=[pair_table(0.02), FLAT, FLAT])
    rows: list[list[str | None]] = [
        ["match", "open", "open", "stop"],
        ["close", "extend", None, None],
        ["close", None, "extend", None],
        ["start->M", None, None, None],
    ]
    return Case(model, plain, rows, ["pair", "gap", "gap"], None)


def fixed_case(start: list[float], end: list[float]) -> Case:
    """The affine model with numbers of any size in its start row and at its ends, held as they stand."""
    plain = twin.affine(0.02, 0.6)._replace(start=np.array(start), end=np.array(end), start_end=0.0)
    table = np.column_stack([np.vstack([plain.transitions, start]), [*end, 0.0]])
    sources, columns = ["M", "X", "Y", "start"], ["M", "X", "Y", "end"]
    rows = [[f"{a}->{b}" if p > 0 else None for b, p in zip(columns, row, strict=True)]
            for a, row in zip(sources, table, strict=True)]  # fmt: skip
    held = [{b: ts.fixed(float(p)) for b, p in zip(columns, row, strict=True) if p > 0} for row in table]
    emissions = dict(zip("MXY", ("pair", "gap", "gap"), strict=True))
    values = {"pair": plain.emissions[0], "gap": FLAT}
    states = {"M": "xy", "X": "x", "Y": "y"}
    transitions = dict(zip("MXY", held[:3], strict=True))
    model = ts.PairHMM(ts.DNA, states, transitions, emissions, start=held[3], values=values)
    return Case(model, plain, rows, list(emissions.values()), None)


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("rare", [1e-300, 1e-100, 1e-30])
def test_starts_and_ends_that_are_rare(rare: float, mode: str) -> None:
    """In all states, so that nothing makes up for it, or in some."""
    for start, end in [
        ([1.0, 0.0, 0.0], [rare] * 3),
        ([rare] * 3, [0.3] * 3),
        ([rare] * 3, [rare] * 3),
        ([rare, 0.5, 0.5], [0.5, rare, rare]),
        ([0.5, rare, 0.0], [rare, 0.5, 0.0]),
    ]:
        check(fixed_case(start, end), *related_pair(16, 80), mode)


@pytest.mark.parametrize("mode", twin.MODES)
def test_long_gaps_in_a_model_without_gaps_at_the_ends(mode: str) -> None:
    """A lane's exponent starts far from the first value that it meets, which comes one column after the border's."""
    rng = np.random.default_rng(15)
    long, short = random_text(rng, 3000), random_text(rng, 30)
    check(between_pairs_case(), long, short, mode)
    check(between_pairs_case(), short, long, mode)
    check(between_pairs_case(), short, short[:10] + long[:1000] + short[10:], mode)


def test_a_hundred_kilobases_against_a_hundred_letters() -> None:
    rng = np.random.default_rng(13)
    target = random_text(rng, 100_000)
    query = target[70_000:70_100]
    case = affine_case()
    compare_log_likelihood(case, target, query, "glocal")
    for mode in ("glocal", "local"):
        assert case.model.posterior(target, query, mode=mode)[70_050, 50] > 0.99
        corners = case.model.viterbi(target, query, mode=mode)[1].coordinates
        assert corners[0, -1] - corners[1, -1] == 70_000
    assert_allclose(case.model.log_likelihood(query, target), case.model.log_likelihood(target, query), rtol=1e-12)


@pytest.mark.parametrize("mode", twin.MODES)
def test_no_letter_and_one_letter(mode: str) -> None:
    cases = [affine_case(), affine_case(0.4999, 1e-12), affine_case(1e-300, 0.999999), affine_case(gap_extend=0.0)]
    for case in cases:
        for target, query in [("A", "A"), ("A", "C"), ("A", "AC"), ("N", "N"), ("", ""), ("", "A"), ("G", "")]:
            check(case, target, query, mode)


@pytest.mark.parametrize("mode", twin.MODES)
def test_an_empty_sequence_against_a_full_one(mode: str) -> None:
    case, text = affine_case(), random_text(np.random.default_rng(14), 300)
    for target, query in ((text, ""), ("", text)):
        check(case, target, query, mode)
        assert case.model.posterior(target, query, 0.0, mode=mode).shape == (len(target), len(query))
        best, alignment = case.model.viterbi(target, query, mode=mode)
        assert math.isfinite(best)
        assert alignment.target == target
        assert alignment.query == query
    gaps = np.log(0.02) + 299 * np.log(0.6) + 300 * np.log(0.25)
    assert_allclose(case.model.log_likelihood(text, ""), gaps, rtol=1e-12)


# --- gaps that lead nowhere -----------------------------------------------------------------------------------------


def gaps_of_a(pair: Floats) -> ts.PairHMM:
    """Gaps in which every A gains odds, and pairs as given."""
    gap = [0.97, 0.01, 0.01, 0.01]
    return ts.PairHMM.affine(gap_extend=0.9, values={"pair": pair, "gap": gap}, background=[0.25] * 4)


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("query", ["C" * 60, "C" * 30 + "A" + "C" * 30, "C" + "A" * 60])
def test_long_gaps_that_nothing_leads_out_of(query: str, mode: str) -> None:
    """A path of 500 A in a deletion is worth 1e300 times as much as one that begins there, and ends at a C."""
    model, target = gaps_of_a(np.eye(4) / 4.0), "A" * 800
    background = np.full(4, 0.25)
    plain = twin.affine(0.02, 0.9)._replace(
        emissions=[np.eye(4) / 4.0, *[np.array([0.97, 0.01, 0.01, 0.01])] * 2], background=background
    )
    x, y = (np.array(["ACGT".index(letter) for letter in text]) for text in (target, query))
    expected = twin.log_likelihood(plain, x, y, mode)
    assert_allclose(model.log_likelihood(target, query, mode=mode), expected, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("rare", [1e-200, 1e-300])
def test_pairs_next_to_impossible_between_deletion_and_insertion(rare: float) -> None:
    """What only they lead to must not set the unit of what comes by better ways."""
    pair = np.diag([0.1, 0.1, 0.1, 0.7 - 12 * rare]) + rare - np.diag([rare] * 4)
    gap = np.array([0.3, 0.01, 0.01, 0.68])
    case = affine_case(0.01, 0.7, pair, gap, np.array([0.5, 0.2, 0.25, 0.05]))
    for target, query in (("T" * 37, "AAAAAATAAATAT"), ("AAATAAAAATA", "T" * 60), ("A" * 20, "T" * 20)):
        for mode in twin.MODES:
            check(case, target, query, mode)


def two_classes(**changes: dict[str, float]) -> ts.PairHMM:
    """Deletions of a short class D and a long one L, with an insertion on the way from the one to the other."""
    rows = {
        "M": {"M": 0.8, "D": 0.05, "L": 0.05, "I": 0.1},
        "D": {"M": 0.3, "D": 0.2, "I": 0.5},
        "L": {"M": 0.1, "L": 0.9},
        "I": {"M": 0.5, "D": 0.2, "L": 0.2, "I": 0.1},
        "start": {"D": 0.5, "L": 0.5},
    } | changes
    start, states, any_letter = rows.pop("start"), {"M": "xy", "D": "x", "L": "x", "I": "y"}, np.full(4, 0.25)
    letters = {"M": np.full((4, 4), 1 / 16), "D": any_letter, "L": any_letter, "I": any_letter}
    return ts.PairHMM(ts.DNA, states, rows, letters, start)


def test_the_class_of_gaps_that_starts_is_not_lost_beside_one_that_cannot_be_reached() -> None:
    """It takes a letter of the query to get from the short class to the long one, and there is none."""
    model, target = two_classes(start={"D": 1.0}), "ACGT" * 500
    assert_allclose(model.log_likelihood(target, ""), 2000 * np.log(0.25) + 1999 * np.log(0.2), rtol=1e-12)
    counts = model.expected_counts([(target, "")])
    assert_allclose(counts["start->D"], 1.0, rtol=1e-9)
    assert_allclose(counts["D->D"], 1999.0, rtol=1e-9)


def test_the_class_of_gaps_that_ends_is_not_lost_beside_one_that_cannot() -> None:
    """Whichever sequence it is that has the gaps."""
    model, target = two_classes(D={"M": 0.2, "D": 0.2, "I": 0.5, "end": 0.1}), "ACGT" * 500
    expected = 2000 * np.log(0.25) + 1999 * np.log(0.2) + np.log(0.5 * 0.1)
    assert_allclose(model.log_likelihood(target, ""), expected, rtol=1e-12)
    kinds = {"xy": "xy", "x": "y", "y": "x"}
    document = model.to_dict()
    document["states"] = {state: kinds[kind] for state, kind in document["states"].items()}
    assert_allclose(ts.PairHMM.from_dict(document).log_likelihood("", target), expected, rtol=1e-12)


def test_a_class_of_gaps_that_takes_one_letter_sets_no_unit_for_one_that_takes_all() -> None:
    letters = {"pair": np.full((4, 4), 1 / 16), "gap": [0.25] * 4, "gap2": [1.0, 0.0, 0.0, 0.0]}
    model = ts.PairHMM.affine(gaps=2, gap_open=[0.05, 0.05], gap_extend=[0.9, 0.9], values=letters)
    expected = np.log(0.05) + 2000 * np.log(0.9) + 2001 * np.log(0.25)
    assert_allclose(model.log_likelihood("A" * 2000 + "C", ""), expected, rtol=1e-12)


def test_two_classes_of_gaps_alike_in_edges_and_letters_keep_the_fast_recursion() -> None:
    recursion = ts.PairHMM.affine(gaps=2).recursion
    assert recursion.passes([(np.zeros(3000, np.uint8), np.zeros(0, np.uint8))]) is recursion._lanes


def test_posterior_by_tiles_of_single_rows() -> None:
    """Where gaps are dear a lane holds one row, and what is unaligned is that of each tile, not the last one's."""
    case = affine_case(1e-3, 0.05, gap=np.array([0.5, 0.3, 0.2 - 1e-9, 1e-9]))
    target, query = related_pair(12, 90)
    lanes = case.model.recursion._lanes
    assert lanes.suits
    assert lanes._plan(90, 90, keep=True).height == 1
    check(case, target, query, "global")
    x, y = case.codes(target), case.codes(query)
    posterior = case.model.recursion.posterior(x.astype(np.uint8), y.astype(np.uint8), "global", 0.5)
    matched = twin.expected_counts(case.slow, x, y).posterior
    assert_allclose(posterior.target_unaligned, 1.0 - matched.sum(axis=1), rtol=0.0, atol=1e-8)
    assert_allclose(posterior.query_unaligned, 1.0 - matched.sum(axis=0), rtol=0.0, atol=1e-8)


def test_a_background_below_the_normal_range_is_none() -> None:
    """Its inverse, by which odds are divided, is infinite."""
    for rare in (1e-310, 0.0):
        with pytest.raises(ts.ModelError, match="every letter of the background needs a positive probability"):
            affine_case(background=np.array([0.5, 0.25, 0.25, rare]))
    target, query = (text.replace("T", "A") for text in related_pair(13, 40))
    check(affine_case(background=np.array([0.5, 0.25, 0.25, 1e-307])), target, query, "local")
