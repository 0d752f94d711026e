"""Models and comparisons as tables: every label once, where it stands, and HTML that nothing breaks out of."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import tiedseq as ts
from tiedseq.display import Folded, Table, value_cell
from tiedseq.specification import Parameter


class Page(HTMLParser):
    """What an HTML table holds; the elements must be closed in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []  # cells of every row, those within a cell included
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag in {"div", "p", "table", "tr", "th", "td", "details", "summary"}
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def strands(**options: Any) -> ts.HMM:
    return ts.HMM(
        ts.DNA,
        {
            "gene+": {"gene+": "stay", "space": "leave"},
            "gene-": {"gene-": "stay", "space": "leave"},
            "space": {"space": 0.8, "gene+": "enter", "gene-": "enter"},
        },
        {"gene+": "coding", "gene-": ts.complement("coding"), "space": ts.fixed([0.25] * 4)},
        start={"space": 1.0},
        values={"coding": [0.1, 0.2, 0.3, 0.4], "stay": 0.9},
        **options,
    )


@pytest.mark.small
def test_a_model_is_a_table_of_labels() -> None:
    assert repr(strands()) == (
        "HMM with states gene+, gene-, space\n"
        "parameter     value                          used in\n"
        "stay          0.9                            gene+->gene+, gene-->gene-\n"
        "leave         0.1                            gene+->space, gene-->space\n"
        "space->space  0.8\n"
        "enter         0.1                            space->gene+, space->gene-\n"
        "start->space  1\n"
        "coding        A .10 C .20 G .30 T .40        gene+, gene- (complement)\n"
        "space         A .25 C .25 G .25 T .25, held\n"
        "5 free parameters"
    )


@pytest.mark.small
def test_places_are_those_of_the_dictionaries() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        states = [f"q{k}" for k in range(int(rng.integers(1, 5)))]
        labels = [f"label {k}" for k in range(3)]
        rows: dict[str, dict[str, str]] = {}
        for source in [*states, "start"]:  # as many uses of every label in each row, so that rows sum to one
            columns = rng.permutation([*states, "end"]).tolist()
            rows[source] = {column: labels[k] for k, column in enumerate(columns) if k < min(2, len(states))}
        start = rows.pop("start")
        letters = {state: f"letters {rng.integers(2)}" for state in states}
        model = ts.HMM("ab", rows, letters, start, random_state=0)
        expected: dict[str, set[str]] = {}
        for source, row in {**rows, "start": start}.items():
            for column, label in row.items():
                expected.setdefault(label, set()).add(f"{source}->{column}")
        for state, label in letters.items():
            expected.setdefault(label, set()).add(state)
        found = {line.label: line.places for line in model.describe()}
        assert {label: set(places) for label, places in found.items()} == expected
        assert all(len(set(places)) == len(places) for places in found.values())


def test_a_parameter_of_a_family_and_one_without_a_value() -> None:
    rows = {"low": {"low": 0.9, "high": 0.1}, "high": {"low": 0.1, "high": 0.9}}
    pair = {"low": ts.Gaussian(mean=[0.0, 1.5], covariance="sigma"), "high": ts.Gaussian(dims=2, covariance="sigma")}
    lines = repr(ts.HMM(None, rows, pair, values={"sigma": ts.fixed(np.eye(2))})).splitlines()
    assert [line.split(maxsplit=1) for line in lines if line.startswith(("low.", "high.", "sigma"))] == [
        ["low.mean", "0 1.5"],
        ["sigma", "2x2 table, held  low.covariance, high.covariance"],
        ["high.mean", "from data"],
    ]


def test_what_a_line_does_not_hold_is_folded() -> None:
    names = [f"a state with a long name {k}" for k in range(5)]
    rows = {a: dict.fromkeys(names, "equal") for a in names}
    model = ts.HMM("AC", rows, dict.fromkeys(names, "letters"), order=2, values={"letters": [[[0.5, 0.5]] * 2] * 2})
    lines = model.__repr__().splitlines()
    assert max(map(len, lines[1:])) <= 100
    assert ["equal", "0.2", "25 places"] in [line.split(maxsplit=2) for line in lines]
    assert ["letters", "2x2x2", "table", "5 places"] in [line.split(maxsplit=3) for line in lines]
    cells = Page(model._repr_html_()).rows
    for place in [f"{a}->{b}" for a in names for b in names]:
        assert [place] in cells
    assert ["CA", ".50", ".50"] in cells  # P(letter | C, then A)


@pytest.mark.small
@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (1.0, "1"), (0.25, ".25"), (0.997, "0.997"), (0.0096, ".01"), (0.003, ".003"), (2.4e-5, "2e-05"),
     (3.0, "3")],
)  # fmt: skip
def test_digits_of_probabilities(value: float, shown: str) -> None:
    assert value_cell(Parameter("x", np.array([value, 0.5]), (), False, "ab")) == f"a {shown} b .50"


def test_long_distributions_are_folded() -> None:
    cell = value_cell(Parameter("x", np.full(20, 0.05), (), True, ts.PROTEIN.letters))
    assert isinstance(cell, Folded) and cell.summary == "20 letters, held" and cell.rows[1] == ["C", ".05"]


@pytest.mark.small
def test_html_has_every_label_once_and_escapes_names() -> None:
    bad = "<script>alert('&')</script>"
    model = ts.HMM("<>&", {bad: {bad: "<i>"}}, {bad: "a & b"}, random_state=0)
    html = model._repr_html_()
    assert "<script" not in html and "<i>" not in html
    first = Counter(row[0] for row in Page(html).rows)
    assert first["<i>"] == first["a & b"] == first[f"start->{bad}"] == 1
    assert f"<p>HMM with states {bad.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')}" in html.replace(
        "&#x27;", "'"
    )
    assert {len(row) for row in Page(strands()._repr_html_()).rows} == {3}


def test_a_pair_table_unfolds() -> None:
    model = ts.PairHMM.affine(substitution="kimura")
    assert "pair       4x4 table                M" in repr(model)
    rows = Page(model._repr_html_()).rows
    assert ["", "A", "C", "G", "T"] in rows and ["A", ".20", ".02", ".02", ".02"] in rows
    # a state's table does not tear the row that holds it: label, value and places stay three cells
    assert sum(row[0] == "pair" for row in rows) == 1


def test_soft_ties_stand_where_the_degrees_of_freedom_would() -> None:
    letters = {"gene+": "<a>", "gene-": "<a>", "space": "b"}
    rows = {state: dict.fromkeys(letters, 1 / 3) for state in letters}
    model = ts.HMM("ACGT", rows, letters, soft={"<a>": 5.0}, random_state=0)
    assert repr(model).splitlines()[-1] == "soft ties {'<a>': 5}"
    assert "&lt;a&gt;" in model._repr_html_().splitlines()[-1] and "<a>" not in model._repr_html_()


@pytest.mark.small
def test_a_centre_shows_as_its_members_do() -> None:
    lines = repr(strands(soft={"coding": 50.0, "stay": 5.0})).splitlines()
    shown = [" ".join(line.split()) for line in lines if line.startswith(("coding", "stay"))]
    assert shown == [
        "coding A .10 C .20 G .30 T .40 gene+, gene- (complement)",
        "stay 0.9 gene+, gene-",
        "stay@gene+ 0.9 gene+->gene+",
        "stay@gene- 0.9 gene-->gene-",
        "coding@gene+ A .10 C .20 G .30 T .40 gene+",
        "coding@gene- A .10 C .20 G .30 T .40 gene- (complement)",
    ]


def test_a_comparison_is_a_table() -> None:
    rows = {"a": {"a": 0.9, "b": 0.1}, "b": {"a": 0.3, "b": 0.7}}
    tied = {"a": {"a": "stay", "b": "leave"}, "b": {"a": "leave", "b": "stay"}}
    letters = {"a": ts.fixed([0.9, 0.1]), "b": ts.fixed([0.1, 0.9])}
    free = ts.HMM("xy", rows, letters, start={"a": 1.0})
    found = ts.compare(ts.HMM("xy", tied, letters, start={"a": 1.0}), free, free.sample(300, random_state=0)[0])
    text = str(found)
    assert text == repr(found)
    lines = {line[:16].strip(): line[16:].split() for line in text.splitlines()[1:]}
    assert lines["log-likelihood"] == [f"{log:.4f}" for log in found.log_likelihood]
    assert found.errors is not None
    for label, model, errors in zip(("stay", "a->b"), (found.null, found.alternative), found.errors, strict=True):
        assert lines[label] == [f"{model.parameters[label]:.6g}", "\N{PLUS-MINUS SIGN}", f"{errors[label]:.2g}"]
    cells = {row[0]: row[1:] for row in Page(found._repr_html_()).rows}
    assert cells["BIC"] == [f"{bic:.4f}" for bic in found.bic]
    assert cells["a"] == ["x .90 y .10, held"] * 2 and cells["stay"][1] == ""
    assert f"p-value {found.p_value:.4g}" in found._repr_html_()


@pytest.mark.small
def test_columns_line_up() -> None:
    table = Table("title", ("", "one"), [("a", "1"), ("long", Folded("22", [["x"]]))], ["note"], align=">")
    assert table.text().splitlines() == ["title", "      one", "a       1", "long   22", "note"]
