"""What users get wrong around a PairHMM: a library error that names the argument, never another program's traceback."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import tiedseq as ts
from twin import MODES

affine = ts.PairHMM.affine
METHODS: dict[str, Callable[..., Any]] = {
    "log_likelihood": lambda model, target, query, **more: model.log_likelihood(target, query, **more),
    "score": lambda model, target, query, **more: model.score([(target, query)], **more),
    "posterior": lambda model, target, query, **more: model.posterior(target, query, **more),
    "viterbi": lambda model, target, query, **more: model.viterbi(target, query, **more),
    "expected_counts": lambda model, target, query, **more: model.expected_counts([(target, query)], **more),
    "gradient": lambda model, target, query, **more: model.gradient([(target, query)], **more),
}


@pytest.mark.parametrize("method", METHODS)
def test_wrong_mode_strand_or_letters(method: str) -> None:
    call, model = METHODS[method], affine()
    for mode in ("semiglobal", "Global", None, 0, ["global"]):
        with pytest.raises(ts.ArgumentError, match="mode must be one of global, local, glocal, overlap, not"):
            call(model, "ACGT", "AGT", mode=mode)
    for strand in ("reverse", "-", None, 1):
        with pytest.raises(ts.ArgumentError, match='strand must be "forward" or "both", not'):
            call(model, "ACGT", "AGT", strand=strand)
    for target, query in (("ACXT", "AGT"), ("ACGT", "AG!")):
        with pytest.raises(ts.SequenceError, match="position 3") as caught:
            call(model, target, query)
        assert caught.value.position == 2
    with pytest.raises(ts.SequenceError, match="gap letter '-' at position 2: remove the gaps"):
        call(model, "A-GT", "AGT")
    with pytest.raises(ts.SequenceError, match="code 99"):
        call(model, np.array([0, 99]), "AGT")
    with pytest.raises(ts.ArgumentError, match="cannot be read as a sequence"):
        call(model, 5, "AGT")
    with pytest.raises(ts.ArgumentError, match="no complement"):
        call(affine(alphabet="AB"), "A", "B", strand="both")


def test_mode_is_checked_even_without_pairs() -> None:
    with pytest.raises(ts.ArgumentError, match="mode"):
        affine().score([], mode="semiglobal")


@pytest.mark.parametrize("method", ["score", "expected_counts", "gradient"])
def test_pairs_that_are_no_pairs(method: str) -> None:
    call = getattr(affine(), method)
    wrong: list[tuple[Any, str]] = [
        (("ACGT", "AGT"), "item 0 is str"),
        ([("ACGT", "AGT"), ("ACGT",)], "item 1 is tuple"),
        ([("A", "C", "G")], "item 0 is tuple"),
        ([5], "item 0 is int"),
        ("AC", "item 0 is str"),
        (None, "not be of type NoneType"),
        (5, "not be of type int"),
    ]
    for pairs, match in wrong:
        with pytest.raises(ts.ArgumentError, match=f"pairs must hold .target, query. tuples.*{match}"):
            call(pairs)
    with pytest.raises(ts.ArgumentError, match=r"^pairs\[1\], query: a value of type int cannot be read as a sequence"):
        call([("AC", "AC"), ("AC", 3)])
    as_list, as_generator = call([["AC", "AC"]]), call(pair for pair in [("AC", "AC")])
    assert str(as_list) == str(as_generator)


@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_criteria_of_what_are_no_pairs(criterion: str) -> None:
    for pairs in (None, 3):
        with pytest.raises(ts.ArgumentError, match=r"^pairs"):
            getattr(affine(), criterion)(pairs)
    found = [getattr(affine(), criterion)(pairs) for pairs in ([("AC", "AC")], iter([("AC", "AC")]))]
    assert found[0] == found[1]


@pytest.mark.parametrize("threshold", [-0.1, 1.5, math.nan, "0.1", None])
def test_thresholds_that_are_no_probability(threshold: Any) -> None:
    for strand in ("forward", "both"):
        with pytest.raises(ts.ArgumentError, match="threshold must be a probability from 0 to 1, not"):
            affine().posterior("ACGT", "AGT", threshold, strand=strand)
    assert affine().posterior("ACGT", "AGT", 1).shape == (4, 3)


@pytest.mark.parametrize("strand", ["forward", "both"])
@pytest.mark.parametrize("mode", MODES)
def test_sequences_that_no_path_emits(mode: str, strand: str) -> None:
    """Nothing emits A and T, in pairs or alone; with an end, not even an empty box is possible."""
    table = np.zeros((4, 4))
    table[1:3, 1:3] = 0.25
    gap = [0.0, 0.5, 0.5, 0.0]
    rows = {state: {"M": 0.5, "X": 0.2, "Y": 0.2, "end": 0.1} for state in "MXY"}
    model = ts.PairHMM(
        ts.DNA,
        {"M": "xy", "X": "x", "Y": "y"},
        rows,
        {"M": table, "X": gap, "Y": gap},
        start={"M": 0.6, "X": 0.2, "Y": 0.2},
    )
    assert model.log_likelihood("CG", "GC", mode=mode, strand=strand) > -math.inf
    assert model.log_likelihood("AT", "TAT", mode=mode, strand=strand) == -math.inf
    assert model.score([("CG", "GC"), ("AT", "TAT")], mode=mode, strand=strand) == -math.inf
    for method in ("posterior", "viterbi", "expected_counts", "gradient"):
        with pytest.raises(ts.SequenceError, match=f"2 and 3 letters probability 0 under mode='{mode}'"):
            METHODS[method](model, "AT", "TAT", mode=mode, strand=strand)


def test_a_background_needs_every_letter() -> None:
    for wrong in ([0.5, 0.5, 0.0, 0.0], [-0.1, 0.4, 0.4, 0.3]):
        with pytest.raises(ts.ModelError, match="every letter of the background needs a positive probability"):
            affine(background=wrong)
    with pytest.raises(ts.ModelError, match="every letter of the background needs a positive probability"):
        affine(values={"gap": [0.5, 0.5, 0, 0]}, background="gap")
    for wrong in ([0.25] * 3, [0.3] * 4, [math.nan] * 4, 5):  # type: ignore[assignment]
        with pytest.raises(ts.ModelError, match="background must be a label or 4 probabilities that sum to one"):
            affine(background=wrong)
    for wrong in (["x"] * 4, {"A": 1}):  # type: ignore[assignment]
        with pytest.raises(ts.ArgumentError, match="background must be a number or numbers"):
            affine(background=wrong)
    # a gap distribution with zeros cannot explain flanks: uniform letters stand in
    assert affine(values={"gap": [0.5, 0.5, 0.0, 0.0]}).background.tolist() == [0.25] * 4


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"gaps": 3}, "gaps must be 1 or 2, not 3"),
        ({"gap_open": 0.0}, "gap_open must be a probability"),
        ({"gap_open": math.nan}, "gap_open must be a probability"),
        ({"gap_open": "often"}, "gap_open must be a number"),
        ({"gap_open": [0.1, 0.2]}, "gap_open must be a probability between 0 and 1, not"),
        ({"gap_open": [0.1, 0.2, 0.3], "gaps": 2}, "one for each of 2 classes"),
        ({"gap_extend": 1.0}, "gap_extend must be a probability"),
        ({"identity": 1.0}, "identity must lie between 0 and 1"),
        ({"identity": "high"}, "identity must be a number"),
        ({"identity": None}, "identity must lie between 0 and 1"),
        ({"substitution": "foo"}, "substitution.'foo'. is unknown"),
        ({"alphabet": 5}, "alphabet=5 is no alphabet"),
        ({"gap_open": 0.6}, "row of state 'M' has values that sum to 1.2"),
        ({"values": {"foo": 1.0}}, "'foo', a label that the model lacks"),
    ],
)
def test_wrong_arguments_of_affine(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises((ts.ArgumentError, ts.ModelError), match=match):
        affine(**arguments)


BEYOND, COMPLEX = 10**400, np.complex128(0.1 + 7j)
PAIRS = [("ACGT", "ACGT")]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: affine(gap_open=BEYOND), r"gap_open must be a probability .* not 1000.*\.\.\."),
        (lambda: affine(gap_open=COMPLEX), "gap_open must be a number or numbers"),
        (lambda: affine(gap_open=[0.1, BEYOND], gaps=2), "gap_open must be a probability"),
        (lambda: affine(identity=BEYOND), "identity must lie between 0 and 1"),
        (lambda: affine(background=[BEYOND] * 4), "background must be a label or 4 probabilities"),
        (lambda: affine(values={"open": BEYOND}), r"values\['open'\] holds inf"),
        (lambda: affine(values={"open": COMPLEX}), r"values\['open'\] is .* it needs numbers"),
        (lambda: affine(values={"gap": [COMPLEX, 0.3, 0.3, 0.3]}), r"values\['gap'\] is .* it needs numbers"),
        (lambda: affine(tol=BEYOND), "tol=1000.* must be a number of nats"),
        (lambda: affine().fit(PAIRS, tol=COMPLEX), "tol=.* must be a number of nats"),
        (lambda: affine(soft={"gap": COMPLEX}), r"soft\['gap'\] is .* a strength is"),
        (lambda: affine(soft={"gap": BEYOND}), r"soft\['gap'\] is 1000.* a strength is"),
        (lambda: affine().fit(PAIRS, priors={"open": COMPLEX}), r"priors\['open'\] is .* one pseudocount"),
        (lambda: affine().fit(PAIRS, priors={"open": BEYOND}), r"priors\['open'\] holds inf"),
        (lambda: ts.place(["ACGT"], ["ACGT"], min_log_odds=COMPLEX), "min_log_odds=.* must be a number of bits"),
        (lambda: ts.HMM.ergodic(2, alphabet="xy", stay=COMPLEX), "stay=.* must be a number between 0 and 1"),
        (lambda: ts.HMM.left_to_right(2, alphabet="xy", stay=COMPLEX), "stay=.* must be a probability below 1"),
        (lambda: ts.HMM.left_to_right(2, alphabet="xy", stay=False), "stay=False must be a probability below 1"),
    ],
)
def test_numbers_are_real(call: Callable[[], Any], message: str) -> None:
    with pytest.raises((ts.ArgumentError, ts.ModelError), match=message):
        call()


def test_real_numbers_may_be_of_any_type() -> None:
    tenth: Any = Fraction(1, 10)
    model = affine(tol=tenth, values={"open": tenth}, soft={"gap": Fraction(3)})
    assert model.options.tol == 0.1 and model.options.soft == {"gap": 3.0}
    assert affine(gap_open=tenth).parameters["open"] == 0.1
    with pytest.warns(ts.ConvergenceWarning, match=r"tol=0\.1"):
        model.fit(PAIRS, max_iter=1, priors=dict.fromkeys(("open", "close", "extend"), tenth))


@pytest.mark.parametrize("states", [{}, [], None, "xy", {"M": "xx"}, {"M": None}])
def test_states_of_no_kind(states: Any) -> None:
    with pytest.raises(ts.ModelError, match=r'must (map names to|be) "xy"'):
        ts.PairHMM(ts.DNA, states, {"M": {"M": 1.0}}, {"M": "pair"})


def test_alignments_that_do_not_fit() -> None:
    model = affine()
    wrong: list[tuple[Any, str]] = [
        (None, "alignment must be a Bio.Align.Alignment.*not NoneType"),
        ("AC", "alignment must be a Bio.Align.Alignment.*not str"),
        (np.array([[0.0, 1.0], [0.0, 1.0]]), "array of integers"),
        (np.zeros((3, 2), int), r"two sequences is needed, not an array of shape \(3, 2\)"),
        (np.array([[0, 2], [0, 1]]), "target positions must be consecutive and below the target's length 2"),
        (np.array([[0, 1], [1, 0]]), "query positions must be consecutive"),
        (np.array([[0, 1], [1, 2]]), "query positions must be consecutive and below the query's length 2"),
        (np.array([[0, -1, 1], [0, -1, 1]]), "column of two gaps"),
        (model.viterbi("ACGT", "ACGT")[1], "below the target's length 2"),
    ]
    for alignment, match in wrong:
        with pytest.raises(ts.ArgumentError, match=match):
            model.log_joint("AC", "AC", alignment)


def test_samples_without_an_end_in_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiedseq.pairs.sampling._LONGEST", 3000)
    rows = {"M": {"M": 1 - 1e-9, "end": 1e-9}}
    model = ts.PairHMM(ts.DNA, {"M": "xy"}, rows, {"M": np.full((4, 4), 1 / 16)}, start={"M": 1.0})
    with pytest.raises(ts.ArgumentError, match="goes on for more than 3,000 columns; give columns="):
        model.sample(random_state=1)
    assert len(model.sample(columns=5000, random_state=1)[0]) == 5000, "what is asked for has no limit"


def test_a_row_that_rounds_to_less_than_one_leads_nowhere_impossible() -> None:
    tenths = np.full(10, 0.1)
    assert np.cumsum(tenths)[-1] < 1.0
    states = {**{f"X{k}": "x" for k in range(10)}, "Y": "y"}  # Y is impossible, and the last state
    emissions = dict.fromkeys(states, [0.25] * 4)
    rows = {state: {f"X{k}": tenths[k] for k in range(10)} for state in states}
    model = ts.PairHMM(ts.DNA, states, rows, emissions)

    class Largest(np.random.Generator):
        def random(self, *shape: int) -> Any:  # type: ignore[override]
            return np.full(shape, np.nextafter(1.0, 0.0))

    target, query, _ = model.sample(columns=50, random_state=Largest(np.random.PCG64(1)))
    assert (len(target), len(query)) == (50, 0)


def test_samples_of_no_length() -> None:
    model = affine()
    with pytest.raises(ts.ArgumentError, match='columns must be given: the model has no "end"'):
        model.sample()
    for columns in (-1, 2.5, "9", True):
        with pytest.raises(ts.ArgumentError, match="columns must be a whole number of at least 0, not"):
            model.sample(columns=columns)  # type: ignore[arg-type]
    for random_state in ("x", -1):
        with pytest.raises(ts.ArgumentError, match="random_state="):
            model.sample(columns=3, random_state=random_state)  # type: ignore[arg-type]


def test_a_gap_is_minus_one_and_nothing_else() -> None:
    with pytest.raises(ts.ArgumentError, match="hold -2; they are positions, or -1 for a gap"):
        ts.PairHMM.affine().log_joint("A", "C", np.array([[0, -2], [-1, 0]]))


def test_a_substitution_model_has_a_name() -> None:
    with pytest.raises(ts.ArgumentError, match=r"substitution\(\[1\]\) is unknown"):
        ts.PairHMM.affine(substitution=[1])  # type: ignore[arg-type]


@pytest.mark.parametrize("symmetric", [None, 1, 0.5, ["opening", "length"]])
def test_what_is_no_symmetry_of_gaps(symmetric: Any) -> None:
    with pytest.raises(ts.ArgumentError, match=r"symmetric= has .*; it is True, False, or some of"):
        ts.PairHMM.affine(symmetric=symmetric)
    assert ts.PairHMM.affine(symmetric=np.bool_(True)).parameters.keys() == ts.PairHMM.affine().parameters.keys()  # type: ignore[arg-type]


@pytest.mark.parametrize("gaps", [None, 3, "2", np.array([1, 2])])
def test_what_is_no_number_of_gap_classes(gaps: Any) -> None:
    with pytest.raises(ts.ArgumentError, match="gaps must be 1 or 2"):
        ts.PairHMM.affine(gaps=gaps)
