"""The label language: what a user types becomes the tables, counts and errors that the documentation promises."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tiedseq.alphabet import DNA, Alphabet
from tiedseq.distributions import Categorical, substitution
from tiedseq.errors import ArgumentError, ModelError
from tiedseq.specification import Specification, Tables, complement, fixed

Array = np.ndarray[Any, Any]
PAIR = np.full((4, 4), 0.02) + 0.17 * np.eye(4)
SKEWED = [0.4, 0.3, 0.2, 0.1]
VALUES: dict[str, Any] = {"open": 0.02, "extend": 0.6, "pair": PAIR, "gap": [0.25] * 4}


def pair_hmm(**changes: Any) -> Specification:
    """The pair-HMM of the documentation, with changes."""
    arguments: dict[str, Any] = {
        "states": {"M": (4, 4), "X": (4,), "Y": (4,)},
        "transitions": {
            "M": {"M": "match", "X": "open", "Y": "open"},
            "X": {"M": "close", "X": "extend"},
            "Y": {"M": "close", "Y": "extend"},
        },
        "emissions": {"M": "pair", "X": "gap", "Y": "gap"},
        "values": VALUES,
        "alphabet": DNA,
        "start_like": "M",
    }
    return Specification(**{**arguments, **changes})


def casino(**changes: Any) -> Specification:
    arguments: dict[str, Any] = {
        "states": {"fair": (6,), "loaded": (6,)},
        "transitions": {"fair": {"fair": 0.95, "loaded": 0.05}, "loaded": {"fair": 0.1, "loaded": 0.9}},
        "emissions": {"fair": [1 / 6] * 6, "loaded": [0.1] * 5 + [0.5]},
        "start": {"fair": 2 / 3, "loaded": 1 / 3},
        "alphabet": Alphabet("123456"),
    }
    return Specification(**{**arguments, **changes})


def strands(**changes: Any) -> Specification:
    arguments: dict[str, Any] = {
        "states": {"gene+": (4,), "gene-": (4,), "space": (4,)},
        "transitions": {
            "gene+": {"gene+": "stay", "space": "leave"},
            "gene-": {"gene-": "stay", "space": "leave"},
            "space": {"space": "wait", "gene+": "enter", "gene-": "enter"},
        },
        "emissions": {"gene+": "coding", "gene-": complement("coding"), "space": "background"},
        "alphabet": DNA,
    }
    return Specification(**{**arguments, **changes})


def as_counts(spec: Specification, seed: int = 0) -> Tables:
    """Random counts in the structure of the model's tables."""
    rng = np.random.default_rng(seed)
    tables = spec.tables()
    return {
        "transitions": rng.gamma(1.0, size=tables["transitions"].shape),
        "start": rng.gamma(1.0, size=tables["start"].shape),
        "emissions": {key: rng.gamma(1.0, size=table.shape) for key, table in tables["emissions"].items()},
        "extra": {key: rng.gamma(1.0, size=table.shape) for key, table in tables["extra"].items()},
    }


def dot(first: Tables, second: Tables) -> float:
    total = (first["transitions"] * second["transitions"]).sum() + (first["start"] * second["start"]).sum()
    for section in ("emissions", "extra"):
        total += sum((first[section][key] * second[section][key]).sum() for key in first[section])
    return float(total)


# --- the models of the documentation --------------------------------------------------------------


def test_the_pair_hmm_of_the_documentation() -> None:
    spec = pair_hmm()
    assert spec.states == ("M", "X", "Y")
    assert spec.labels == ("match", "open", "close", "extend", "pair", "gap")
    parameters = spec.parameters
    assert list(parameters) == list(spec.labels)
    assert [parameters[label] for label in spec.labels[:4]] == [1 - 0.04, 0.02, 0.4, 0.6]
    assert_array_equal(parameters["pair"], PAIR)
    tables = spec.tables()
    ones = np.ones((3, 1))
    assert_array_equal(tables["transitions"], np.hstack([[[0.96, 0.02, 0.02], [0.4, 0.6, 0.0], [0.4, 0.0, 0.6]], ones]))
    assert_array_equal(tables["start"], tables["transitions"][0])
    assert_array_equal(tables["emissions"]["X"], [0.25] * 4)
    assert not spec.has_end
    assert spec.held == ()
    assert spec.n_free_parameters == 1 + 1 + 15 + 3


def test_the_casino() -> None:
    spec = casino()
    rows = ("fair->fair", "fair->loaded", "loaded->fair", "loaded->loaded", "start->fair", "start->loaded")
    assert spec.labels == (*rows, "fair", "loaded")
    assert spec.parameters["fair->loaded"] == 0.05
    assert spec.n_free_parameters == 2 + 1 + 5 + 5
    assert_array_equal(spec.tables()["emissions"]["loaded"], [0.1] * 5 + [0.5])
    assert_array_equal(spec.tables()["start"], [2 / 3, 1 / 3, 1.0])


def test_the_two_strands() -> None:
    spec = strands(values={"coding": SKEWED})
    tables = spec.tables()
    assert_array_equal(tables["emissions"]["gene-"], SKEWED[::-1])
    assert_allclose(tables["start"][:3], 1 / 3, rtol=1e-15, atol=0)  # free and uniform
    assert spec.parameters["start->space"] == 1 / 3
    # one count a use: stay | leave and wait | enter, enter
    assert [spec.parameters[label] for label in ("stay", "leave")] == [0.5, 0.5]
    assert_allclose([spec.parameters[label] for label in ("wait", "enter")], [1 / 3, 1 / 3], rtol=1e-15, atol=0)
    assert spec.n_free_parameters == 1 + 1 + 2 + 3 + 3


# --- rows -----------------------------------------------------------------------------------------


def test_a_start_like_a_state_shares_its_numbers_by_name() -> None:
    rows = {"M": {"M": 0.9, "X": fixed(0.04), "Y": "y"}, "X": {"M": 1.0}, "Y": {"M": "close", "Y": 0.3}}
    spec = pair_hmm(transitions=rows, values={"pair": PAIR, "gap": SKEWED})
    assert spec.labels[:6] == ("M->M", "M->X", "y", "X->M", "close", "Y->Y")
    assert_allclose(spec.tables()["start"][:3], [0.9, 0.04, 0.06], rtol=1e-12, atol=0)
    assert [line.places for line in spec.describe()[:3]] == [(f"M->{x}", f"start->{x}") for x in "MXY"]
    free = spec.free.copy()
    free[0] = 0.5
    assert spec.tables(free)["start"][0] == spec.tables(free)["transitions"][0, 0] == 0.5


def test_the_end_is_a_column_like_any_other() -> None:
    rows = {"M": {"M": "match", "X": "open", "Y": "open", "end": "stop"}, "X": {"M": 1.0}, "Y": {"M": 0.9, "end": 0.1}}
    spec = pair_hmm(transitions=rows, values={**{k: VALUES[k] for k in ("open", "pair", "gap")}, "stop": 0.01})
    assert spec.has_end
    assert_allclose(spec.tables()["transitions"][:, 3], [0.01, 0.0, 0.1], rtol=1e-15, atol=0)
    assert spec.tables()["start"][3] == 0.01, "the start row shares the end of M's row"
    assert "Y->end" in spec.labels
    only_start = pair_hmm(start={"M": 0.75, "end": 0.25})
    assert only_start.has_end
    assert_array_equal(only_start.tables()["transitions"][:, 3], [0.0, 0.0, 0.0])


def test_labels_without_values_share_by_the_tied_m_step() -> None:
    spec = pair_hmm(values={"pair": PAIR, "gap": SKEWED})
    # M's row uses match once and open twice, the start row the same once more: every use stands for one count
    assert_allclose([spec.parameters["match"], spec.parameters["open"]], [1 / 3, 1 / 3], rtol=1e-14, atol=0)
    rows = {"M": {"M": "a", "X": "b"}, "X": {"M": "a", "X": "c", "Y": "c"}, "Y": {"M": 1.0}}
    spec = pair_hmm(transitions=rows, start={"M": 1.0}, values={"pair": PAIR, "gap": SKEWED})
    # maximise 2 ln a + ln b + 2 ln c under a + b = 1, a + 2 c = 1: a = 2 / 5
    assert_allclose([spec.parameters[x] for x in "abc"], [0.4, 0.6, 0.3], rtol=1e-13, atol=0)


def test_zeros_and_absent_keys_are_impossible_for_good() -> None:
    rows = {"fair": {"fair": 1.0, "loaded": 0.0}, "loaded": {"fair": "a", "loaded": "b"}}
    emissions = {"fair": [0.5, 0.5, 0, 0, 0, 0], "loaded": [1 / 6] * 6}
    spec = casino(transitions=rows, emissions=emissions, values={"a": 0})
    assert "fair->loaded" not in spec.labels
    assert spec.parameters["a"] == 0.0
    assert spec.parameters["b"] == 1.0
    assert "a" in spec.held
    spec.free = spec.maximize(spec.pool(as_counts(spec)))
    tables = spec.tables()
    assert tables["transitions"][0, 1] == tables["transitions"][1, 0] == 0.0
    assert_array_equal(tables["emissions"]["fair"][2:], 0.0)
    assert (tables["emissions"]["fair"][:2] > 0).all()
    assert spec.n_free_parameters == 0 + 1 + 1 + 5


def test_fixed_values_stay_and_take_their_share() -> None:
    spec = pair_hmm(values={**VALUES, "open": fixed(0.02), "gap": fixed([0.3, 0.3, 0.3, 0.3])})
    assert spec.held == ("open", "gap")
    assert spec.n_free_parameters == 0 + 1 + 15
    before = spec.parameters
    spec.free = spec.maximize(spec.pool(as_counts(spec)))
    assert spec.parameters["open"] == 0.02
    assert_array_equal(spec.parameters["gap"], [0.3] * 4)  # weights: their sum is nobody's business
    assert spec.parameters["match"] == 0.96
    assert spec.parameters["extend"] != before["extend"]
    assert_array_equal(spec.is_held, [name == "open" or str(name).startswith("gap[") for name in spec.ties.names])


def test_a_row_of_fixed_weights_is_used_as_it_stands() -> None:
    spec = casino(start={"fair": fixed(1.0), "loaded": fixed(1.0)})
    assert_array_equal(spec.tables()["start"][:2], [1.0, 1.0])


def test_typed_numbers_are_rounded_to_sums_of_one() -> None:
    spec = casino(start={"fair": 0.666667, "loaded": 0.3333331}, emissions={"fair": [0.1666666] * 6, "loaded": "l"})
    tables = spec.tables()
    for row in (tables["start"][:2], tables["emissions"]["fair"]):
        assert_allclose(row.sum(), 1.0, rtol=0, atol=1e-14)
    assert spec.parameters["fair->loaded"] == pytest.approx(0.05, rel=1e-14)


# --- emissions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "n_free"), [("general", 15), ("symmetric", 9), ("strand-symmetric", 7), ("kimura", 2), ("jukes-cantor", 1)]
)
def test_substitution_models_in_a_model(kind: str, n_free: int) -> None:
    rest = {key: VALUES[key] for key in ("open", "extend", "gap")}
    as_value = pair_hmm(values={**rest, "pair": substitution(kind)}, random_state=3)
    as_emission = pair_hmm(
        emissions={"M": substitution(kind, name="pair"), "X": "gap", "Y": "gap"}, values=rest, random_state=3
    )
    assert as_value.labels == as_emission.labels == pair_hmm().labels
    assert as_value.n_free_parameters == 1 + 1 + 3 + n_free
    table = as_value.tables()["emissions"]["M"]
    assert_array_equal(table, as_emission.tables()["emissions"]["M"])
    assert_array_equal(table, as_value.parameters["pair"])
    assert_allclose(table.sum(), 1.0, rtol=0, atol=1e-14)
    if kind == "symmetric":
        assert_array_equal(table, table.T)
    if kind == "strand-symmetric":
        assert_array_equal(table, table[::-1, ::-1])
    with_values = pair_hmm(values={**rest, "pair": substitution(kind, values=PAIR)})
    assert_array_equal(with_values.parameters["pair"], PAIR)


def test_tied_cells_may_differ_by_rounding() -> None:
    table = PAIR.copy()
    table[0, 1:] = 0.0, 0.03 - 1e-8, 0.03 - 1e-8
    table[1:, 0] = 2e-8, 0.03, 0.03
    spec = pair_hmm(values={**without("pair"), "pair": substitution("symmetric", values=table)})
    assert_allclose(np.asarray(spec.parameters["pair"])[0, 1:], [1e-8, 0.03 - 5e-9, 0.03 - 5e-9], rtol=1e-6, atol=0)


def test_a_table_given_the_target_has_rows_that_sum_to_one() -> None:
    rest = {key: VALUES[key] for key in ("open", "extend", "gap")}
    for given_, axis in (("target", 1), ("query", 0)):
        spec = pair_hmm(values={**rest, "pair": Categorical(given=given_)}, random_state=0)
        assert_allclose(spec.parameters["pair"].sum(axis=axis), 1.0, rtol=0, atol=1e-14)
        assert spec.n_free_parameters == 1 + 1 + 3 + 12
    tied = pair_hmm(values={**rest, "pair": substitution("symmetric", given="target")}, random_state=0)
    table = np.asarray(tied.parameters["pair"])
    assert_array_equal(table, table.T)
    assert_allclose(table.sum(axis=1), 1.0, rtol=0, atol=1e-13)
    assert tied.n_free_parameters == 1 + 1 + 3 + 6


def test_labels_of_cells_are_labels_of_the_model() -> None:
    cells = [["same" if i == j else ("other",) for j in range(4)] for i in range(4)]
    states = {"M": (4, 4), "N": (4, 4), "X": (4,)}
    spec = pair_hmm(
        states=states,
        transitions={"M": {"M": 0.9, "N": 0.1}, "N": {"N": 0.5, "X": "same", "M": "rest"}, "X": {"M": 1.0}},
        emissions={"M": Categorical(labels=cells, name="pair"), "N": Categorical(labels=cells), "X": "gap"},
        values={"gap": SKEWED, "same": 0.2},
        start=None,
    )
    assert spec.labels == ("M->M", "M->N", "N->N", "same", "rest", "X->M", "pair", "N", "gap")
    assert spec.parameters["rest"] == pytest.approx(0.3)
    assert_allclose(np.diag(np.asarray(spec.parameters["N"])), 0.2, rtol=1e-15, atol=0)
    assert spec.describe()[3].places == ("N->X", *(f"{state}[{x}{x}]" for state in "MN" for x in "ACGT"))
    assert spec.n_free_parameters == 1 + 2 + 3  # `same` counts in the row; what else the two tables hold follows
    with pytest.raises(ModelError, match="two starting values"):
        pair_hmm(emissions={"M": Categorical(labels=cells, values=PAIR), "X": "gap", "Y": "gap"},
                 values={"open": 0.02, "same": 0.1})  # fmt: skip


def test_complements_of_pairs_turn_both_letters() -> None:
    table = np.arange(1.0, 17.0).reshape(4, 4) / 136
    spec = pair_hmm(
        states={"M": (4, 4), "W": (4, 4)},
        transitions={"M": {"M": 0.5, "W": 0.5}, "W": {"W": 1.0}},
        emissions={"M": complement("pair"), "W": "pair"},
        values={"pair": table},
    )
    tables = spec.tables()
    assert_array_equal(tables["emissions"]["W"], table)
    for a in range(4):
        for b in range(4):
            assert tables["emissions"]["M"][a, b] == table[3 - a, 3 - b]  # ACGT read backwards is its complement
    assert_array_equal(spec.parameters["pair"], table)


def test_extra_tables_are_like_emissions() -> None:
    spec = pair_hmm(extra={"background": "gap"})
    assert_array_equal(spec.tables()["extra"]["background"], [0.25] * 4)
    assert spec.n_free_parameters == pair_hmm().n_free_parameters
    own = pair_hmm(extra={"background": SKEWED, "other": complement("gap"), "held": fixed(SKEWED)})
    assert own.n_free_parameters == pair_hmm().n_free_parameters + 3
    assert_array_equal(own.parameters["background"], SKEWED)
    assert own.held == ("held",)


def test_distributions_without_values_are_flat_dirichlet_draws() -> None:
    first, again, other = (strands(random_state=seed).parameters for seed in (1, 1, 2))
    assert_array_equal(first["coding"], again["coding"])
    assert not np.allclose(first["coding"], other["coding"], rtol=1e-3, atol=0)
    generator = np.random.default_rng(0)
    draws = np.array([strands(random_state=generator).parameters["coding"] for _ in range(300)])
    assert_allclose(draws.sum(axis=1), 1.0, rtol=0, atol=1e-14)
    # under a flat Dirichlet of 4 letters each has mean 1 / 4 and variance 3 / 80; complements do not make it narrower
    assert_allclose(draws.mean(axis=0), 0.25, rtol=0, atol=0.05)
    assert_allclose(draws.var(axis=0), 3 / 80, rtol=0.3, atol=0)
    legacy = [strands(random_state=np.random.RandomState(0)).free for _ in range(2)]
    assert_array_equal(legacy[0], legacy[1])


def test_redraw_keeps_what_was_given() -> None:
    spec = strands(values={"coding": SKEWED, "stay": 0.9})
    one, two = (spec.by_label(spec.redraw(seed)) for seed in (1, 2))
    for drawn in (one, two):
        assert_array_equal(drawn["coding"], SKEWED)
        assert drawn["stay"] == 0.9
        assert drawn["leave"] == pytest.approx(0.1)
        assert drawn["wait"] + 2 * drawn["enter"] == pytest.approx(1.0)
    assert one["wait"] != two["wait"]
    assert not np.array_equal(one["background"], two["background"])


# --- counts ---------------------------------------------------------------------------------------

MODELS = {
    "pair": pair_hmm,
    "casino": casino,
    "strands": lambda: strands(random_state=0),
    "end": lambda: pair_hmm(start={"M": 0.75, "end": 0.25}),
    "kimura": lambda: pair_hmm(values={**VALUES, "pair": substitution("kimura", values=PAIR)}),
    "held": lambda: pair_hmm(values={**VALUES, "open": fixed(0.02), "gap": fixed([0.3] * 4)}),
    "extra": lambda: pair_hmm(values={**VALUES, "gap": SKEWED}, extra={"background": complement("gap")}),
    "zeros": lambda: casino(emissions={"fair": [0.5, 0.5, 0, 0, 0, 0], "loaded": "l"}, values={"l": [0.2] * 5 + [0]}),
    "labelled": lambda: pair_hmm(
        emissions={"M": Categorical(labels=[["s" if i == j else ("o",) for j in range(4)] for i in range(4)],
                                    name="pair"), "X": "gap", "Y": complement("gap")},
        values={"open": fixed(0.02), "s": fixed(0.2), "gap": SKEWED, "close": 0.4},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_pool_is_the_adjoint_of_tables(name: str) -> None:
    spec = MODELS[name]()
    counts = as_counts(spec)
    tables = spec.tables()
    if not spec.has_end:  # the column of ones is no parameter
        tables["transitions"][:, -1] = tables["start"][-1] = 0.0
    assert_allclose(spec.free @ spec.pool(counts), dot(tables, counts), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", MODELS)
def test_the_m_step_fulfils_all_sums_and_gains(name: str) -> None:
    spec = MODELS[name]()
    pooled = spec.pool(as_counts(spec))
    after = spec.maximize(pooled)
    for free in (spec.free, after):
        tables = spec.tables(free)
        n = None if spec.has_end else -1
        for row in (*tables["transitions"][:, :n], tables["start"][:n]):
            assert_allclose(row.sum(), 1.0, rtol=0, atol=1e-12)
        for table in (*tables["emissions"].values(), *tables["extra"].values()):
            assert_allclose(table.sum(), 1.2 if name == "held" and table.shape == (4,) else 1.0, rtol=0, atol=1e-12)
    assert_array_equal(after[spec.is_held], spec.free[spec.is_held])
    moves = ~spec.is_held
    assert pooled[moves] @ np.log(after[moves]) > pooled[moves] @ np.log(spec.free[moves])


def test_counts_by_label_add_up_to_what_was_emitted() -> None:
    spec = pair_hmm(
        emissions={"M": "pair", "X": "gap", "Y": complement("gap")},
        values={**VALUES, "pair": substitution("kimura", values=PAIR)},
    )
    counts = as_counts(spec)
    by_label = spec.counts_by_label(counts)
    assert list(by_label) == list(spec.labels)
    transitions, start = counts["transitions"], counts["start"]
    assert by_label["open"] == pytest.approx(transitions[0, 1] + transitions[0, 2] + start[1] + start[2])
    assert by_label["extend"] == pytest.approx(transitions[1, 1] + transitions[2, 2])
    assert_array_equal(by_label["pair"], counts["emissions"]["M"])  # cell by cell, not pooled over the ties within
    assert_allclose(by_label["gap"], counts["emissions"]["X"] + counts["emissions"]["Y"][::-1], rtol=1e-14, atol=0)


def test_tables_of_the_wrong_shape_are_refused() -> None:
    spec = casino()
    counts = as_counts(spec)
    counts["emissions"]["fair"] = np.zeros(5)
    with pytest.raises(ArgumentError, match=r"tables= holds an array of shape \(5,\); the model's has \(6,\)"):
        spec.pool(counts)


# --- storage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("trained", [False, True])
def test_a_model_survives_json_to_the_last_bit(name: str, trained: bool) -> None:
    spec = MODELS[name]()
    if trained:
        counts = spec.pool(as_counts(spec))
        counts[::7] = 0.0  # some values reach zero, which is not the same as impossible
        spec.free = spec.maximize(counts)
    document = spec.to_dict()
    text = json.dumps(document, allow_nan=False)
    again = Specification.from_dict(json.loads(text), spec.alphabet)
    assert_array_equal(again.free, spec.free)
    assert again.ties.names == spec.ties.names
    assert_array_equal(again.ties.labels, spec.ties.labels)
    assert (again.labels, again.held, again.n_free_parameters, again.has_end) == (
        spec.labels, spec.held, spec.n_free_parameters, spec.has_end)  # fmt: skip
    assert_array_equal(again.is_held, spec.is_held)
    assert json.dumps(again.to_dict()) == text


def test_stored_values_are_not_rounded_again() -> None:
    spec = pair_hmm()
    spec.free = spec.free * (1.0 + 1e-10)  # sums to one but for what a gradient step may leave
    again = Specification.from_dict(json.loads(json.dumps(spec.to_dict())), DNA)
    assert_array_equal(again.free, spec.free)


def test_a_stored_model_can_be_read_by_a_person() -> None:
    document = pair_hmm(
        emissions={"M": "pair", "X": "gap", "Y": complement("gap")},
        values={
            "open": fixed(0.02),
            "close": 0.4,
            "pair": substitution("kimura", values=PAIR),
            "gap": [0.5, 0.5, 0, 0],
        },
    ).to_dict()
    assert document["transitions"]["M"] == {"M": "match", "X": "open", "Y": "open"}
    assert document["start"] == document["transitions"]["M"]
    assert document["emissions"] == {"M": "pair", "X": "gap", "Y": {"complement": "gap"}}
    assert document["distributions"] == {"pair": {"substitution": "kimura"}}
    assert document["values"]["open"] == {"fixed": 0.02}
    assert document["values"]["gap"] == [0.5, 0.5, None, None]


@pytest.mark.parametrize("key", ["states", "transitions", "start", "emissions", "values"])
def test_a_damaged_document_is_refused(key: str) -> None:
    document = pair_hmm().to_dict()
    for damage in (None, 3, {"M": 3}):
        with pytest.raises(ModelError):
            Specification.from_dict({**document, key: damage}, DNA)
    del document[key]
    with pytest.raises(ModelError):
        Specification.from_dict(document, DNA)


def test_copies_have_values_of_their_own() -> None:
    spec = pair_hmm()
    other = spec.copy()
    other.free[:] = 0.5
    assert spec.parameters["open"] == 0.02
    assert other.parameters["open"] == 0.5
    assert_array_equal(pickle.loads(pickle.dumps(spec)).free, spec.free)


# --- errors, each naming the labels ---------------------------------------------------------------


def without(*labels: str) -> dict[str, Any]:
    return {label: value for label, value in VALUES.items() if label not in labels}


ERRORS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown label": ({"values": {**VALUES, "opne": 0.1}}, "'opne', a label that the model lacks .*'open'"),
    "row too small": ({"values": {**VALUES, "match": 0.9}}, "'M' sums to 0.94 .*'match' 0.9, 2 x 'open' 0.02"),
    "row too full": ({"values": {**VALUES, "open": 0.6}}, "'M' has values that sum to 1.2 .*nothing for 'match'"),
    "nothing left": ({"values": {**VALUES, "open": 0.5}}, "sum to 1 .*nothing for 'match'"),
    "start": ({"start": {"M": 0.9}}, "start row sums to 0.9 .*'start->M' 0.9"),
    "table sum": ({"values": {**VALUES, "gap": [0.2] * 4}}, "distribution 'gap' sums to 0.8"),
    "table just off": ({"values": {**VALUES, "gap": [0.25, 0.25, 0.25, 0.250002]}}, "'gap' sums to 1.000002"),
    "given sum": (
        {"values": {**without("pair"), "pair": Categorical(values=PAIR, given="target")}},
        "Row 1 of the distribution 'pair' sums to 0.25",
    ),
    "table shape": ({"values": {**VALUES, "gap": [0.2] * 5}}, r"values\['gap'\] has the shape \(5,\).*\(4,\)"),
    "scalar for table": ({"values": {**VALUES, "gap": 0.25}}, r"values\['gap'\] has the shape \(\)"),
    "table for scalar": ({"values": {**VALUES, "open": [0.02]}}, r"values\['open'\] has the shape \(1,\)"),
    "Categorical for scalar": ({"values": {**VALUES, "open": Categorical()}}, r"values\['open'\] is a distribution"),
    "text for number": ({"values": {**VALUES, "open": "a"}}, r"values\['open'\] is 'a'; it needs numbers"),
    "NaN": ({"values": {**VALUES, "gap": [0.5, 0.5, np.nan, 0]}}, r"values\['gap'\] holds nan"),
    "negative": ({"values": {**VALUES, "open": -0.1}}, r"values\['open'\] holds -0.1"),
    "tied cells differ": (
        {"values": {**without("pair"), "pair": substitution("symmetric", values=np.arange(16.0).reshape(4, 4) / 120)}},
        r"'pair\[AC\]' has two starting values, 0.008333333 and 0.03333333",
    ),
    "two values": (
        {"emissions": {"M": Categorical(values=PAIR, name="pair"), "X": "gap", "Y": "gap"},
         "values": {**without("pair"), "pair": np.full((4, 4), 1 / 16)}},
        r"'pair\[AA\]' has two starting values: 0.19 in emissions\['M'\] and 0.0625 in values\['pair'\]",
    ),
    "two values of a number": (
        {"start": {"M": 0.9, "X": "start->M"}, "values": {**VALUES, "start->M": 0.5}},
        r"'start->M' has two starting values: 0.9 in start\['M'\] and 0.5 in values",
    ),
    "free and held": (
        {"emissions": {"M": Categorical(values=fixed(PAIR), name="pair"), "X": "gap", "Y": "gap"}, "values": VALUES},
        r"'pair\[AA\]' is both free, in values\['pair'\], and held, in emissions\['M'\]",
    ),
    "free and held number": (
        {"start": {"M": fixed(0.9), "X": 0.1}, "values": {**VALUES, "start->M": 0.9}}, "'start->M' is both free"
    ),
    "forced": (
        {"transitions": {"M": {"M": "a", "X": "a", "Y": "b"}, "X": {"M": "a", "X": "b", "Y": "b"}, "Y": {"M": 1.0}},
         "values": {**without("open", "extend"), "a": 0.4}},
        "force 'a' to be 0.3333333, because of its ties, but its starting value is 0.4",
    ),
    "infeasible": (
        {"transitions": {"M": {"M": "a", "X": "a"}, "X": {"M": "a"}, "Y": {"M": 1.0}},
         "values": without("open", "extend")},
        "No values of 'a' fulfil",
    ),
    "infeasible beside values": (
        {"transitions": {"M": {"M": "a", "X": "b"}, "X": {"M": "b", "X": "b", "Y": "c"}, "Y": {"M": 1.0}},
         "values": {**without("open", "extend"), "a": 0.3}},
        "given values leave no way to fill their rows.*'b'.*'c'",
    ),
    "forced beside values": (
        {"transitions": {"M": {"M": "a", "X": "b", "Y": "c"}, "X": {"M": "b", "X": "d"},
                         "Y": {"M": "d", "Y": "c", "X": "a"}},
         "values": {**without("open", "extend"), "c": 0.1, "a": 0.05}},
        "row of state 'M' sums to 0.65 .*'a' 0.05, 'b' 0.5, 'c' 0.1",
    ),
    "forced to zero": (
        {"transitions": {"M": {"M": "a", "X": "b"}, "X": {"M": "a", "X": "b", "Y": "c"}, "Y": {"M": 1.0}},
         "values": without("open", "extend")},
        "force 'c' to be 0",
    ),
    "held too much": (
        {"start": {"M": fixed(0.9), "X": fixed(0.2), "Y": "open"}},
        "start row has values that sum to 1.1 .*nothing for 'open'",
    ),
    "scalar and table": (
        {"emissions": {"M": "pair", "X": "open", "Y": "gap"}},
        r"'open' names a transition probability and, in emissions\['X'\]",
    ),
    "own name taken": (
        {"emissions": {"M": PAIR, "X": "M", "Y": "gap"}, "states": {"M": (4, 4), "X": (4, 4), "Y": (4,)}},
        r"emissions\['M'\] and emissions\['X'\] both name a distribution 'M'",
    ),
    "shapes of one label": (
        {"emissions": {"M": "pair", "X": "gap", "Y": "pair"}},
        r"'pair' names a distribution of shape \(4, 4\) .* \(4,\) in",
    ),
    "cell named like a table": (
        {"emissions": {"M": "pair", "X": Categorical(labels=["gap", "b", "c", "d"]), "Y": "gap"}},
        "cell with the label 'gap'",
    ),
    "label named like a cell": (
        {"transitions": {"M": {"M": "match", "X": "gap[A]", "Y": "open"}, "X": {"M": "close", "X": "extend"},
                         "Y": {"M": "close", "Y": "extend"}}},
        r"'gap\[A\]' in transitions\['M'\]\['X'\] is the name of a cell .* 'gap' in emissions\['X'\]",
    ),
    "label of a cell named like a cell": (
        {"emissions": {"M": "pair", "X": Categorical(labels=["gap[C]", "b", "c", "d"]), "Y": "gap"}},
        r"'gap\[C\]' in emissions\['X'\] is the name of a cell .* 'gap' in emissions\['Y'\]",
    ),
    "distribution named like a cell": (
        {"emissions": {"M": "pair", "X": "pair[AC]", "Y": "gap"}, "values": without("gap")},
        r"'pair\[AC\]' in emissions\['X'\] is the name of a cell .* 'pair' in emissions\['M'\]",
    ),
    "cells of one name": (
        {"emissions": {"M": "pair", "X": Categorical(labels=[("a", "b"), ("ab",), 3, 4], name="gap"), "Y": "gap"}},
        r"cells \('a', 'b'\) of the distribution 'gap' and \('ab',\) of 'gap' are both called 'gap\[ab\]'",
    ),
    "described twice": (
        {"emissions": {"M": Categorical(name="pair"), "X": "gap", "Y": "gap"},
         "values": {**without("pair"), "pair": Categorical()}},
        "describes the distribution 'pair' a second time",
    ),
    "two names": ({"values": {**VALUES, "gap": Categorical(name="x", values=SKEWED)}}, r"values\['gap'\] .*name='x'"),
    "no complement": (
        {"alphabet": Alphabet("ABCD"), "emissions": {"M": "pair", "X": "gap", "Y": complement("gap")}}, "no complement"
    ),
    "value for an impossible cell": (
        {"values": {**without("gap"), "gap": Categorical(labels=["a", "b", "c", None], values=[0.25] * 4)}},
        "impossible cell",
    ),
    "unknown target": (
        {"transitions": {"M": {"M": "match", "Z": "open"}, "X": {"M": 1}, "Y": {"M": 1}}},
        r"transitions\['M'\] has the key 'Z', which is not a state or 'end'",
    ),
    "unknown source": ({"transitions": {"M": {"M": 1.0}, "Mm": {"M": 1}}}, "'Mm', which is not .*did you mean 'M'"),
    "missing row": ({"transitions": {"M": {"M": 1.0}, "X": {"M": 1}}}, "transitions= lacks the state 'Y'"),
    "empty row": ({"start": {}}, "start= allows nothing"),
    "row of zeros": ({"start": {"M": 0, "X": 0.0}}, "start= allows nothing"),
    "a row that is no row": ({"start": "M"}, "start= is 'M'; it needs a dictionary"),
    "unknown start": ({"start": {"Z": 1.0}}, "start= has the key 'Z'"),
    "missing emission": ({"emissions": {"M": "pair", "X": "gap"}}, "emissions= lacks the state 'Y'"),
    "unknown emission": ({"emissions": {"M": "pair", "X": "gap", "Y": "gap", "Z": "gap"}}, "has the key 'Z'"),
    "entry of a row": ({"start": {"M": [1.0]}}, r"start\['M'\] is \[1.0\]; an entry of a row"),
    "bool": ({"start": {"M": True}}, r"start\['M'\] is True"),
    "empty label": ({"start": {"M": ""}}, r"start\['M'\] is an empty string"),
    "reserved": ({"states": {"start": (4, 4)}}, "'start' and 'end' are reserved"),
    "arrow": ({"states": {"M->X": (4, 4)}}, "'->' stands between states"),
    "no states": ({"states": {}}, "states= is empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_contradictions_are_errors_that_name_the_labels(case: str) -> None:
    changes, message = ERRORS[case]
    with pytest.raises(ModelError, match=message) as caught:
        pair_hmm(**changes)
    assert str(caught.value).endswith(".")


def test_a_random_state_that_is_none() -> None:
    with pytest.raises(ArgumentError, match="random_state='seed'"):
        strands(random_state="seed")


# --- random models --------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
def test_random_models_of_whole_tied_rows(seed: int) -> None:
    """Rows that are tied as a whole: pooling and normalising is right there, and is done here by hand."""
    rng = np.random.default_rng(seed)
    names = [f"s{number}" for number in range(rng.integers(1, 5))]
    kinds = rng.integers(0, 2, size=len(names))
    rows = {s: {t: f"{kind}{t}" for t in names} for s, kind in zip(names, kinds, strict=True)}
    emissions = {s: f"e{kind}" for s, kind in zip(names, kinds, strict=True)}
    spec = Specification(dict.fromkeys(names, (3,)), rows, emissions, random_state=seed)
    n = len(names)
    assert spec.n_free_parameters == len(set(kinds)) * (n - 1 + 2) + n - 1
    counts = as_counts(spec, seed)
    tables = spec.tables(spec.maximize(spec.pool(counts)))
    for number, (s, kind) in enumerate(zip(names, kinds, strict=True)):
        row = counts["transitions"][kinds == kind, :-1].sum(axis=0)
        assert_allclose(tables["transitions"][number, :-1], row / row.sum(), rtol=1e-12, atol=0)
        letters = np.sum([counts["emissions"][t] for t, k in zip(names, kinds, strict=True) if k == kind], axis=0)
        assert_allclose(tables["emissions"][s], letters / letters.sum(), rtol=1e-12, atol=0)
