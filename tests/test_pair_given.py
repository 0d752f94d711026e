"""Training of pair-HMMs from given alignments, with tables normalised per target letter, and with soft ties."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import tiedseq as ts
import twin
from pairhmm_cases import Floats, values_of
from tiedseq.errors import ArgumentError, ConvergenceWarning, ModelError, SequenceError

ONE_STEP: dict[str, Any] = {"max_iter": 1, "tol": 0.0}
TRUTH = ts.PairHMM.affine(gap_open=[0.04, 0.01], gap_extend=[0.5, 0.8], gaps=2, identity=0.85)
DRAWN = [TRUTH.sample(columns=60, random_state=k) for k in range(8)]
PAIRS = [(target, query) for target, query, _ in DRAWN]


def columns_of(target_row: str, query_row: str, first: tuple[int, int] = (0, 0)) -> Any:
    """Positions from two rows with dashes."""
    found = []
    for row, start in zip((target_row, query_row), first, strict=True):
        places, position = [], start
        for letter in row:
            places.append(-1 if letter == "-" else position)
            position += letter != "-"
        found.append(places)
    return np.array(found)


def enumerated(model: ts.PairHMM, target: str, query: str, columns: Any) -> tuple[float, dict[str, Any]]:
    """ln P without flanks, and expected counts of transitions and letters, over all paths that emit these columns.

    Tables are those of the states, by index: transitions with start as the last row and end as the last column.
    """
    tables = model._parameters.tables()
    kinds, n = tables.kinds, len(tables.kinds)
    fitting = [
        [s for s in range(n) if (kinds[s] != "y") == (i >= 0) and (kinds[s] != "x") == (j >= 0)] for i, j in columns.T
    ]
    total, moves, letters = 0.0, np.zeros((n + 1, n + 1)), [np.zeros_like(table) for table in tables.emissions]
    for states in product(*fitting):
        p, before = 1.0, n
        cells = []
        for s, (i, j) in zip(states, columns.T, strict=True):
            cell = tuple("ACGT".index(text[k]) for text, k in ((target, i), (query, j)) if k >= 0)
            p *= (tables.start[s] if before == n else tables.transitions[before, s]) * tables.emissions[s][cell]
            cells.append((s, cell))
            before = s
        p *= tables.end[before]
        total += p
        for a, b in zip((n, *states), (*states, n), strict=True):
            moves[a, b] += p
        for s, cell in cells:
            letters[s][cell] += p
    return math.log(total), {"moves": moves / total, "letters": [table / total for table in letters]}


# ---- given alignments ------------------------------------------------------------------------------------------------


@pytest.mark.small
@pytest.mark.filterwarnings("ignore::tiedseq.errors.ConvergenceWarning")
def test_a_single_path_is_counted() -> None:
    """M M X X Y is no path of affine(); M M X X M Y M is: counts by hand."""
    rows = "ACGTA-C", "AC--AGG"
    model = ts.PairHMM.affine(symmetric=False, substitution="general")
    before = model.log_joint("ACGTAC", "ACAGG", columns_of(*rows))
    pairs = [("ACGTAC", "ACAGG"), ("AA", "AA")]
    alignments = [columns_of(*rows), columns_of("AA", "AA")]
    model.fit(pairs, alignments=alignments, weights=[2.0, 3.0], **ONE_STEP)
    assert_allclose(
        model.history_,
        [2 * before + 3 * ts.PairHMM.affine().log_joint("AA", "AA", alignments[1])],
        rtol=1e-12,
        atol=0.0,
    )
    found = values_of(model)
    # start M, M M, M X, M Y; a closing and an extension of X, a closing of Y; twice, and three times start M, M M
    used = np.array([2 * 2 + 3 * 2, 2, 2]) / (2 * 4 + 3 * 2)
    assert_allclose([found["match"], found["deletion_open"], found["insertion_open"]], used, rtol=1e-12, atol=0.0)
    assert_allclose([found["deletion_extend"], found["insertion_extend"]], [0.5, 0.0], rtol=0.0, atol=1e-15)
    assert_allclose(found["deletion"], [0, 0, 0.5, 0.5], rtol=0.0, atol=1e-15)
    assert_allclose(found["insertion"], [0, 0, 1, 0], rtol=0.0, atol=1e-15)
    pair = np.zeros((4, 4))
    pair[0, 0], pair[1, 1], pair[1, 2] = 2 * 2 + 3 * 2, 2, 2
    assert_allclose(found["pair"], pair / pair.sum(), rtol=1e-12, atol=0.0)


@pytest.mark.small
@pytest.mark.filterwarnings("ignore::tiedseq.errors.ConvergenceWarning")
def test_a_deletion_next_to_an_insertion_is_counted() -> None:
    """M X X Y M and M Y X M: of the five ends of gaps two are switches, by hand."""
    rows, back = ("ACG-T", "A--GT"), ("A-CT", "AG-T")
    pairs = [(a.replace("-", ""), b.replace("-", "")) for a, b in (rows, back)]
    alignments = [columns_of(*rows), columns_of(*back)]
    with pytest.raises(SequenceError, match=r"a deletion stands next to an insertion.*gap_switch="):
        ts.PairHMM.affine().fit(pairs, alignments=alignments)
    model = ts.PairHMM.affine(gap_switch=0.1).fit(pairs, alignments=alignments, **ONE_STEP)
    found = values_of(model)
    leaving = [found[label] for label in ("close", "extend", "switch")]
    assert_allclose(leaving, [2 / 5, 1 / 5, 2 / 5], rtol=1e-12, atol=0.0)
    model = ts.PairHMM.affine(symmetric="opening", gap_switch=0.1).fit(pairs, alignments=alignments, **ONE_STEP)
    found = values_of(model)
    # 2 log s + 3 log (1 - s) at its largest: two switches, and three steps that share what a row has left for others
    assert_allclose(found["switch"], 2 / 5, rtol=1e-9, atol=0.0)
    sides = [found[label] for label in ("deletion_close", "deletion_extend", "insertion_close")]
    assert_allclose(sides, [3 / 10, 3 / 10, 3 / 5], rtol=1e-9, atol=0.0)


def ended() -> ts.PairHMM:
    """Two classes of gaps, crossing gaps, and an end."""
    states = {"M": "xy", "X": "x", "Y": "y", "U": "x", "V": "y"}
    row = {"M": 0.5, "X": "s", "Y": "s", "U": "l", "V": "l", "end": 0.1}
    gap = {"M": 0.3, "X": 0.3, "Y": 0.2, "end": 0.2}
    rows: dict[str, Any] = {
        "M": row,
        "X": gap,
        "Y": dict(gap),
        "U": {"M": 0.2, "U": 0.7, "end": 0.1},
        "V": {"M": 0.2, "V": 0.7, "end": 0.1},
    }
    emissions = {"M": "pair", "X": "g", "Y": "g", "U": "h", "V": "h"}
    rng = np.random.default_rng(2)
    values = {"s": 0.15, "g": rng.dirichlet(np.full(4, 3.0)), "h": rng.dirichlet(np.full(4, 3.0))}
    values["pair"] = rng.dirichlet(np.full(16, 3.0)).reshape(4, 4)
    return ts.PairHMM(ts.DNA, states, rows, emissions, values=values, background=[0.4, 0.3, 0.2, 0.1])


@pytest.mark.filterwarnings("ignore::tiedseq.errors.ConvergenceWarning")
@pytest.mark.parametrize(
    ("mode", "first"), [("global", (0, 0)), ("local", (1, 2)), ("glocal", (2, 0)), ("overlap", (3, 0))]
)
def test_columns_that_several_states_could_emit(mode: str, first: tuple[int, int]) -> None:
    rows = ("ACGT--A", "A--TGCA"), ("-CA", "GC-")
    ends = [{"global": ("", ""), "local": ("G", "C"), "glocal": ("GG", ""), "overlap": ("", "TT")}[mode], ("", "")]
    starts = [("AAAA"[: first[0]], "CCCC"[: first[1]]), ("", "")]
    pairs: list[tuple[str, str]] = []
    alignments = []
    for (x, y), start, end in zip(rows, starts, ends, strict=True):
        target, query = (a + b.replace("-", "") + c for a, b, c in zip(start, (x, y), end, strict=True))
        pairs.append((target, query))
        alignments.append(columns_of(x, y, (len(start[0]), len(start[1]))))
    model = ended()
    expected = [enumerated(model, *pair, columns) for pair, columns in zip(pairs, alignments, strict=True)]
    joint = [model.log_joint(*pair, columns, mode=mode) for pair, columns in zip(pairs, alignments, strict=True)]
    if mode == "global":
        assert_allclose(joint, [part[0] for part in expected], rtol=1e-12, atol=0.0)
    moves = sum(part[1]["moves"] for part in expected)
    letters = [sum(part[1]["letters"][s] for part in expected) for s in range(5)]
    model.fit(pairs, alignments=alignments, mode=mode, **ONE_STEP)
    assert_allclose(model.history_, [sum(joint)], rtol=1e-12, atol=0.0)
    found = values_of(model)
    # start is tied to the row of M, whose entries s and l stand twice each
    row = moves[0] + moves[5]
    parts = np.array([row[0], row[1] + row[2], row[3] + row[4], row[5]]) / row.sum()
    assert_allclose([found["M->M"], 2 * found["s"], 2 * found["l"], found["M->end"]], parts, rtol=1e-9, atol=1e-14)
    of_x = moves[1] / moves[1].sum()
    assert_allclose([found[f"X->{t}"] for t in ("M", "X", "Y", "end")], of_x[[0, 1, 2, 5]], rtol=1e-9, atol=1e-14)
    for label, (a, b) in {"g": (1, 2), "h": (3, 4)}.items():
        counts = letters[a] + letters[b]
        assert_allclose(found[label], counts / counts.sum(), rtol=1e-9, atol=1e-14)
    assert_allclose(found["pair"], letters[0] / letters[0].sum(), rtol=1e-9, atol=1e-14)


def test_missing_letters_are_shared_out() -> None:
    model = ts.PairHMM.affine(substitution="general", values={"gap": [0.4, 0.3, 0.2, 0.1]}, symmetric="letters")
    table, gap = values_of(model)["pair"], values_of(model)["gap"]
    pairs = [("ACGTNA", "ANGGGR")]
    columns = columns_of("ACGTN-A", "ANG-GGR")
    joint = model.log_joint(*pairs[0], columns)
    with pytest.warns(ConvergenceWarning, match="hardly use"):
        model.fit(pairs, alignments=[columns], **ONE_STEP)
    assert_allclose(model.history_, [joint], rtol=1e-12, atol=0.0)
    counts = np.zeros((4, 4))
    counts[0, 0] += 1
    counts[2, 2] += 1
    counts[1] += table[1] / table[1].sum()
    counts[:, 2] += table[:, 2] / table[:, 2].sum()
    counts[0, [0, 2]] += table[0, [0, 2]] / table[0, [0, 2]].sum()
    assert_allclose(values_of(model)["pair"], counts / counts.sum(), rtol=1e-12, atol=0.0)
    assert_allclose(values_of(model)["gap"], [0.0, 0.0, 0.5, 0.5], rtol=0.0, atol=1e-15)
    assert gap.sum() == pytest.approx(1.0)


@pytest.mark.small
@pytest.mark.parametrize("mode", ["local", "glocal", "overlap", "global"])
def test_an_alignment_of_one_sequence_only_lies_in_every_box_that_holds_it(mode: str) -> None:
    """log_joint sums over the places of the other sequence; so does training."""
    columns = np.array([[-1, -1, -1], [0, 1, 2]])
    target = "" if mode == "global" else "ACGA"
    model = ts.PairHMM.affine(background=[0.4, 0.3, 0.2, 0.1])
    joint = model.log_joint(target, "GGT", columns, mode=mode)
    with pytest.warns(ConvergenceWarning, match="hardly use"):
        model.fit([(target, "GGT")], alignments=[columns], mode=mode, **ONE_STEP)
    assert_allclose(model.history_, [joint], rtol=1e-12, atol=0.0)
    only_insertion = np.array([[-1], [1]])  # in the middle of both: no border of the query
    if mode in ("glocal", "overlap"):
        with pytest.raises(SequenceError, match=r"pairs\[1\]: its alignment covers .* does not admit"):
            model.fit([(target, "GGT")] * 2, alignments=[columns, only_insertion], mode=mode)


def test_alignments_of_biopython_and_of_align_on_both_strands() -> None:
    complement = str.maketrans("ACGT", "TGCA")
    close = ts.PairHMM.affine(identity=0.95)
    straight = [close.sample(columns=80, random_state=k)[:2] for k in range(8)]
    turned = [(target, query.translate(complement)[::-1]) for target, query in straight]
    results = [ts.align(*pair, strand="both", mode="local") for pair in [*straight[:4], *turned[4:]]]
    assert {result.strand for result in results} == {"+", "-"}
    model = ts.PairHMM.affine(substitution="strand-symmetric", symmetric=True, background=[0.25] * 4)
    pairs = [*straight[:4], *turned[4:]]
    joint = sum(model.log_joint(*pair, result, mode="local") for pair, result in zip(pairs, results, strict=True))
    fits = [
        ts.PairHMM.affine(substitution="strand-symmetric", background=[0.25] * 4).fit(*given, mode="local", **more)
        for given, more in (
            ((pairs,), {"alignments": results}),
            ((), {"alignments": results}),
            ((), {"alignments": [result.alignment for result in results]}),
            ((), {"alignments": [result.alignment for result in results], "strand": "both"}),
        )
    ]
    for other in fits:
        assert_allclose(other.history_[0], joint, rtol=1e-12, atol=0.0)
        assert other.history_ == fits[0].history_
    forward = [ts.align(*pair, mode="local") for pair in straight]
    again = model.fit(straight, alignments=forward, mode="local")
    assert_allclose(fits[0].history_, again.history_, rtol=1e-9, atol=0.0)


def test_true_alignments_say_more_than_none() -> None:
    """EM from columns: a maximum of log_joint, which a model with one class of gaps reaches in one step."""
    alignments = [alignment for *_, alignment in DRAWN]
    model = ts.PairHMM.affine().fit(alignments=alignments)
    assert model.converged_
    assert_allclose(np.diff(model.history_[1:]), 0.0, rtol=0.0, atol=1e-9)
    joint = sum(model.log_joint(*pair, alignment) for pair, alignment in zip(PAIRS, alignments, strict=True))
    assert_allclose(model.history_[-1], joint, rtol=1e-12, atol=0.0)
    two = ts.PairHMM.affine(gaps=2).fit(alignments=alignments, max_iter=30, tol=0.0)
    assert (np.diff(two.history_) >= -1e-10).all()
    assert two.history_[-1] > model.history_[-1]


@pytest.mark.small
def test_alignments_that_do_not_fit_are_refused() -> None:
    model, pair = ts.PairHMM.affine(), ("ACG", "AGC")
    whole = columns_of("ACG", "AGC")
    cases: list[tuple[Any, Any, str]] = [
        (None, [], "alignments= is empty"),
        ([pair], "ACG", "must be a list of alignments"),
        ([pair], 5, "must be a list of alignments"),
        ([pair], [whole, whole], "holds 2 alignments, and pairs= 1 pair; give one for each"),
        ([pair], [3], r"alignments\[0\]: alignment must be"),
        ([pair], [whole.astype(float)], r"alignments\[0\]: .* integers"),
        ([pair, pair], [whole, whole + 1], r"alignments\[1\]: .* consecutive and below"),
        ([pair], [np.zeros((2, 0), int)], r"alignments\[0\] has no columns"),
        (None, [whole], r"alignments\[0\] holds no two sequences"),
        ([pair], [np.array([[0, -1, 1, 2], [0, -1, 1, 2]])], "column of two gaps"),
    ]
    for pairs, alignments, message in cases:
        with pytest.raises(ArgumentError, match=message):
            model.fit(pairs, alignments=alignments)
    with pytest.raises(SequenceError, match=r"pairs\[1\]: its alignment covers letters 0 to 1 of 3 and 0 to 1 of 3"):
        model.fit([pair] * 2, alignments=[whole, columns_of("A", "A")])
    with pytest.raises(SequenceError, match=r"pairs\[1\]: the model gives its alignment probability 0"):
        model.fit([pair] * 2, alignments=[whole, columns_of("AC-G", "A-GC")])
    with pytest.raises(ArgumentError, match="strand must be"):
        model.fit([pair], alignments=[whole], strand="bogus")


@pytest.mark.small
@pytest.mark.filterwarnings("ignore::tiedseq.errors.ConvergenceWarning")
def test_tables_by_query_letter_from_alignments_are_counts() -> None:
    """All paths of given columns, one by one: a column of the table is what its query letter was paired with."""
    model, pairs = given_model([0.4, 0.3, 0.2, 0.1], given="query"), [("ACGTAC", "ACAGG"), ("AATC", "AATG")]
    alignments = [columns_of("ACGTA-C", "AC--AGG"), columns_of("AATC", "AATG")]
    found = [enumerated(model, *pair, columns) for pair, columns in zip(pairs, alignments, strict=True)]
    counts = np.sum([counted["letters"][0] for _, counted in found], axis=0)
    model.fit(pairs, alignments=alignments, **ONE_STEP)
    assert_allclose(model.history_, [sum(log for log, _ in found)], rtol=1e-12, atol=0.0)
    seen = counts.sum(axis=0) > 0.0
    table = values_of(model)["pair"]
    assert_allclose(table[:, seen], (counts / np.where(seen, counts.sum(axis=0), 1.0))[:, seen], rtol=1e-12, atol=0.0)
    assert_allclose(table.sum(axis=0), 1.0, rtol=1e-12)


# ---- tables of P(query letter | target letter) ----------------------------------------------------------------------


def given_model(background: Any, substitution: str = "general", given: str = "target") -> ts.PairHMM:
    rng = np.random.default_rng(2)
    values: dict[str, Any] = {"gap": [0.3, 0.3, 0.2, 0.2]}
    if substitution == "general":
        by_letter = rng.dirichlet([3.0, 1.0, 1.0, 1.0], 4)
        values["pair"] = by_letter if given == "target" else by_letter.T
    if isinstance(background, str):
        values["outside"] = [0.4, 0.3, 0.2, 0.1]
    return ts.PairHMM.affine(given=given, substitution=substitution, background=background, values=values)


@pytest.mark.parametrize("mode", ["global", "glocal"])
@pytest.mark.parametrize("background", ["outside", "held"])
@pytest.mark.parametrize("given", ["target", "query"])
def test_tables_by_the_letter_of_one_sequence(mode: str, background: str, given: str) -> None:
    outside = np.array([0.4, 0.3, 0.2, 0.1])
    axis = 1 if given == "target" else 0  # along which a table sums to one
    model = given_model("outside" if background == "outside" else outside, given=given)
    before = values_of(model)
    joint = np.expand_dims(outside, axis) * before["pair"]
    row = [before["match"], before["open"], before["open"]]
    rows = np.array([row, [before["close"], before["extend"], 0], [before["close"], 0, before["extend"]]])
    plain = twin.Model(["xy", "x", "y"], np.array(row), rows, None, 1.0, [joint, before["gap"], before["gap"]], outside)
    total, of_pair, of_outside = 0.0, np.zeros((4, 4)), np.zeros(4)
    for target, query in PAIRS:
        x, y = (np.array(["ACGT".index(letter) for letter in text]) for text in (target, query))
        found = twin.expected_counts(plain, x, y, mode)
        total += found.log_likelihood
        of_pair += found.emissions[0]
        of_outside += found.background + found.emissions[0].sum(axis=axis)  # the given letter is drawn from it
    assert_allclose(model.score(PAIRS, mode=mode), total, rtol=1e-12, atol=0.0)
    counts, gradient = (getattr(model, name)(PAIRS, mode=mode) for name in ("expected_counts", "gradient"))
    assert_allclose(counts["pair"], of_pair, rtol=1e-8, atol=1e-10)
    for label, count in counts.items():
        assert_allclose(count, gradient[label] * before[label], rtol=1e-9, atol=1e-12, err_msg=label)
    model.fit(PAIRS, mode=mode, **ONE_STEP)
    assert_allclose(model.history_, [total], rtol=1e-12, atol=0.0)
    assert_allclose(values_of(model)["pair"], of_pair / of_pair.sum(axis=axis, keepdims=True), rtol=1e-8, atol=1e-12)
    if background == "outside":
        assert_allclose(counts["outside"], of_outside, rtol=1e-8, atol=1e-10)
        assert_allclose(values_of(model)["outside"], of_outside / of_outside.sum(), rtol=1e-8, atol=1e-12)
    else:
        assert_array_equal(model.background, outside)


@pytest.mark.parametrize("substitution", ["general", "strand-symmetric", "kimura", "jukes-cantor"])
def test_rows_by_target_letter_sum_to_one_and_the_likelihood_never_falls(substitution: str) -> None:
    model = given_model([0.4, 0.3, 0.2, 0.1], substitution)
    model.fit(PAIRS, max_iter=15, tol=0.0)
    assert_allclose(values_of(model)["pair"].sum(axis=1), 1.0, rtol=0.0, atol=1e-12)
    assert (np.diff(model.history_) >= -1e-10).all()


# ---- soft ties ------------------------------------------------------------------------------------------------------


def letters_apart(**more: Any) -> ts.PairHMM:
    return ts.PairHMM.affine(symmetric=("opening", "extension"), background=[0.25] * 4, **more)


def letters_tied(**more: Any) -> ts.PairHMM:
    return ts.PairHMM.affine(background=[0.25] * 4, **more)


def test_limits_of_soft_ties_have_the_bits_of_hard_ties_and_of_none() -> None:
    options: dict[str, Any] = {"max_iter": 8, "tol": 0.0}
    tied, apart = letters_tied().fit(PAIRS, **options), letters_apart().fit(PAIRS, **options)
    whole, free = (letters_tied(soft={"gap": s}).fit(PAIRS, **options) for s in (math.inf, 0.0))
    assert whole.history_ == tied.history_
    for label, value in values_of(tied).items():
        assert_array_equal(values_of(whole)[label], value)
    assert free.history_ == apart.history_
    for label, member in {"deletion": "gap@X", "insertion": "gap@Y", "pair": "pair", "open": "open"}.items():
        assert_array_equal(values_of(free)[member], values_of(apart)[label])
    assert free.n_free_parameters == apart.n_free_parameters


@pytest.mark.parametrize("strength", [0.5, 20.0, 1000.0])
def test_the_step_under_soft_ties_is_the_maximum_of_the_penalised_counts(strength: float) -> None:
    from scipy.optimize import minimize

    apart = letters_apart(values={"deletion": [0.4, 0.3, 0.2, 0.1], "insertion": [0.1, 0.2, 0.4, 0.3]})
    counts = apart.expected_counts(PAIRS)
    members = {"gap@X": [0.4, 0.3, 0.2, 0.1], "gap@Y": [0.1, 0.2, 0.4, 0.3]}
    model = letters_tied(soft={"gap": strength}, values=members)
    before = values_of(model)
    model.fit(PAIRS, **ONE_STEP)

    def softmax(v: Floats) -> Floats:
        weights = np.exp(np.append(v, 0.0) - max(0.0, v.max()))
        return np.asarray(weights / weights.sum())

    def loss(v: Floats) -> float:
        p, q, m = softmax(v[:3]), softmax(v[3:6]), softmax(v[6:])
        penalty = strength * float(m @ np.log(m / p) + m @ np.log(m / q))
        return penalty - float(counts["deletion"] @ np.log(p) + counts["insertion"] @ np.log(q))

    best = minimize(loss, np.zeros(9), method="BFGS", options={"gtol": 1e-7})
    found = [values_of(model)[name] for name in ("gap@X", "gap@Y", "gap")]
    for value, v in zip(found, np.split(best.x, 3), strict=True):
        assert_allclose(value, softmax(v), rtol=0.0, atol=1e-5)
    p, q, m = (np.asarray(before[name]) for name in ("gap@X", "gap@Y", "gap"))
    penalty = strength * float(m @ np.log(m / p) + m @ np.log(m / q))
    assert_allclose(model.history_, [apart.score(PAIRS) - penalty], rtol=1e-12, atol=0.0)
    assert_allclose(values_of(model)["pair"], values_of(apart.fit(PAIRS, **ONE_STEP))["pair"], rtol=1e-12, atol=0.0)


def test_soft_models_train_come_back_from_files_and_have_no_degrees_of_freedom(tmp_path: Path) -> None:
    model = letters_tied(soft={"gap": 30.0, "extend": 10.0}).fit(PAIRS, max_iter=12, tol=0.0)
    assert (np.diff(model.history_) >= -1e-10).all()
    model.save(tmp_path / "soft.json")
    loaded = ts.load(tmp_path / "soft.json")
    assert list(values_of(loaded)) == list(values_of(model))
    for label, value in values_of(model).items():
        assert_array_equal(values_of(loaded)[label], value)
    assert loaded.score(PAIRS) == model.score(PAIRS)
    loaded.fit(PAIRS, warm_start=True, max_iter=2, tol=0.0)
    model.fit(PAIRS, warm_start=True, max_iter=2, tol=0.0)
    assert loaded.history_ == model.history_
    for call in (model.standard_errors, model.aic, model.bic):
        with pytest.raises(ModelError, match="soft ties"):
            call(PAIRS)


@pytest.mark.small
def test_a_deletion_next_to_an_insertion_needs_an_edge() -> None:
    """Real alignments hold such columns; the message says what the model lacks, and only then."""
    columns = np.array([[0, 1, 2, -1, 3], [0, 1, -1, 2, 3]])
    with pytest.raises(SequenceError, match=r"pairs\[0\]: .*from column 3 on.*no edge leads"):
        ts.PairHMM.affine().fit([("ACGT", "ACTT")], alignments=[columns])
    model = ts.PairHMM.affine(values={"pair": np.eye(4) / 4})
    with pytest.raises(SequenceError, match=r"from column 1 on \(counted from 0\)$"):
        model.fit([("ACG", "ATG")], alignments=[np.array([[0, 1, 2], [0, 1, 2]])])
