"""Distributions and the marks of the label language by themselves; test_specification has them inside models."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tiedseq.alphabet import DNA, PROTEIN, RNA, Alphabet
from tiedseq.distributions import Categorical, categorical_from_structure, complement, fixed, substitution
from tiedseq.errors import ArgumentError, ModelError

PURINES = {"A", "G"}


def tied(kind: str, first: str, second: str, alphabet: Alphabet = DNA) -> bool:
    """Whether two pairs of letters, such as "AC" and "CA", have one label."""
    cells = substitution(kind).cell_labels((alphabet.n_letters,) * 2, alphabet)
    places = [tuple(alphabet.letters.index(letter) for letter in pair) for pair in (first, second)]
    return bool(cells[places[0]] == cells[places[1]])


@pytest.mark.parametrize(
    ("kind", "n_values"),
    [("general", 16), ("symmetric", 10), ("strand-symmetric", 8), ("kimura", 3), ("jukes-cantor", 2)],
)
@pytest.mark.parametrize("alphabet", [DNA, RNA])
def test_substitution_models_have_their_numbers_of_values(kind: str, n_values: int, alphabet: Alphabet) -> None:
    assert len(set(substitution(kind).cell_labels((4, 4), alphabet).ravel())) == n_values


@pytest.mark.parametrize("a", "ACGT")
@pytest.mark.parametrize("b", "ACGT")
def test_substitution_models_tie_what_they_say(a: str, b: str) -> None:
    other = dict(zip("ACGT", "TGCA", strict=True))
    assert tied("symmetric", a + b, b + a)
    assert tied("strand-symmetric", a + b, other[a] + other[b])
    for c in "ACGT":
        for d in "ACGT":
            assert tied("general", a + b, c + d) == ((a, b) == (c, d))
            assert tied("jukes-cantor", a + b, c + d) == ((a == b) == (c == d))
            kinds = [(x == y, ({x, y} <= PURINES or not {x, y} & PURINES)) for x, y in ((a, b), (c, d))]
            assert tied("kimura", a + b, c + d) == (kinds[0] == kinds[1])
            assert tied("symmetric", a + b, c + d) == (sorted(a + b) == sorted(c + d))
            assert tied("strand-symmetric", a + b, c + d) == (c + d in (a + b, other[a] + other[b]))


def test_substitution_models_of_other_alphabets() -> None:
    assert len(set(substitution("symmetric").cell_labels((20, 20), PROTEIN).ravel())) == 210
    assert len(set(substitution("jukes-cantor").cell_labels((3, 3), None).ravel())) == 2
    with pytest.raises(ModelError, match="needs DNA or RNA"):
        substitution("kimura").cell_labels((20, 20), PROTEIN)
    with pytest.raises(ModelError, match="needs an alphabet with complements"):
        substitution("strand-symmetric").cell_labels((20, 20), PROTEIN)
    with pytest.raises(ModelError, match="pairs of letters"):
        substitution("symmetric").cell_labels((4,), DNA)


@pytest.mark.parametrize(
    "distribution",
    [
        substitution("kimura", given="target"),
        Categorical(labels=[["m", None], [("x", 1), 3]], given="query"),
        Categorical(labels=["a", None, 2, ("b",)]),
        Categorical(labels=np.array([[0, 1], [1, 0]])),
        Categorical(given="target"),
    ],
)
def test_structures_survive_json(distribution: Categorical) -> None:
    shape = (4, 4) if distribution.labels is None else distribution.labels.shape
    document = json.loads(json.dumps(distribution.structure()))
    again = categorical_from_structure(document, shape)
    assert type(again) is type(distribution)
    assert again.given == distribution.given
    assert_array_equal(again.cell_labels(shape, DNA), distribution.cell_labels(shape, DNA))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: substitution("hky"), "substitution\\('hky'\\) is unknown; there are 'general', 'symmetric'"),
        (lambda: Categorical(given="row"), "given='row'"),
        (lambda: Categorical(labels=[1.5, 2.5]), "labels= holds 1.5"),
        (lambda: Categorical(labels=[["a"], ["b", "c"]]), "labels="),
        (lambda: Categorical(labels="a"), "labels="),
        (lambda: fixed("open"), "values={'open': fixed\\(number\\)}"),
        (lambda: complement(3), "needs the label of a distribution"),  # type: ignore[arg-type]
    ],
)
def test_wrong_arguments_are_named(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize(
    ("distribution", "shape", "message"),
    [
        (Categorical("123456"), (4,), "the letters '123456', but the model has the letters 'ACGT'"),
        (Categorical("TGCA", values=[0.4, 0.3, 0.2, 0.1]), (4,), "the letters 'TGCA', but .* the letters 'ACGT'"),
        (Categorical(RNA), (4,), "the letters 'ACGU', but the model has the letters 'ACGT'"),
        (Categorical(given="target"), (4,), "for pairs of letters"),
        (Categorical(labels=["a", "b"]), (4,), "labels of shape \\(2,\\); this state needs \\(4,\\)"),
    ],
)
def test_distributions_that_do_not_suit_a_state(
    distribution: Categorical, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        distribution.cell_labels(shape, DNA)


def test_labels_of_cells_may_be_tuples_in_lists_as_well_as_in_arrays() -> None:
    """With both strands and both sequences alike: six values, and their labels count as they do one by one."""
    pairs = [[min((a, b), (b, a), (3 - a, 3 - b), (3 - b, 3 - a)) for b in range(4)] for a in range(4)]
    cells = Categorical(labels=pairs).cell_labels((4, 4), DNA)
    assert cells[0, 2] == (0, 2) == cells[1, 3] and len(set(cells.ravel())) == 6
    assert Categorical(labels=[["a", ("a", 1)], [("b", 1), "b"]]).cell_labels((2, 2), None)[1, 0] == ("b", 1)


def test_an_alphabet_with_the_letters_of_the_model_suits_it() -> None:
    for alphabet in (None, DNA, "ACGT", Alphabet("ACGT", complement="TGCA")):
        assert Categorical(alphabet).cell_labels((4,), DNA).tolist() == [("A",), ("C",), ("G",), ("T",)]
    assert Categorical("TGCA").cell_labels((4,), None).tolist() == [(0,), (1,), (2,), (3,)]
    with pytest.raises(ModelError, match="the letters 'TGCA', but the model has 6 letters"):
        Categorical("TGCA").cell_labels((6,), None)


def test_they_print_as_they_are_typed() -> None:
    assert repr(fixed([0.5, 0.5])) == "fixed([0.5, 0.5])"
    assert repr(complement("gap")) == "complement('gap')"
    assert complement("gap") == complement("gap") != complement("pair")
    assert repr(substitution("kimura", given="target")) == "substitution('kimura', given='target')"
    assert repr(Categorical(labels=["a", None], name="x")) == "Categorical(labels=['a', None], name='x')"
    assert repr(Categorical("TGCA")) == "Categorical(alphabet=Alphabet('TGCA'))"
