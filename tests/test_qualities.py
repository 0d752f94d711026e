"""Bases with qualities: what counts as a letter, words of them, data drawn with them, and files."""

from __future__ import annotations

from io import StringIO
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import tiedseq as ts
from tiedseq.chains.words import words_of

READ = ts.DNA.with_qualities()


def record(letters: str, quality: Any, name: str = "read") -> ts.Record:
    return ts.Record(name, letters, quality=np.broadcast_to(np.asarray(quality, np.uint8), len(letters)).copy())


@pytest.mark.small
def test_a_base_with_a_quality_is_an_observed_letter() -> None:
    pair = record("ACGT", [30, 2, 1, 0]), record("ACNT", 20)  # Q1 is an error of .794, Q0 of 1: no letter is known
    model = ts.PairHMM.affine().with_qualities()
    assert model.n_letters([pair]) == 2 + 3
    hmm = ts.HMM.ergodic(2, alphabet=READ, random_state=0)
    assert hmm.n_letters(list(pair)) == 2 + 3
    for criterion, score in ((model.bic([pair]), model.score([pair])), (hmm.bic(pair[0]), hmm.score(pair[0]))):
        assert np.isfinite(criterion) and np.isfinite(score)
    assert_allclose(
        model.bic([pair]), model.n_free_parameters * np.log(5) - 2 * model.score([pair]), rtol=1e-12, atol=0
    )


def test_two_reads_are_compared() -> None:
    """Both of a pair have qualities: there are letters to learn from."""
    rng, truth = np.random.default_rng(3), ts.PairHMM.affine()
    drawn = [truth.sample(columns=60, random_state=rng)[:2] for _ in range(20)]
    pairs = [(record(str(x), 20), record(str(y), 30)) for x, y in drawn]
    null, alternative = (model.with_qualities() for model in ts.hypotheses("symmetric-opening"))
    result = ts.compare(null, alternative, pairs, errors=False)
    n = sum(len(x) + len(y) for x, y in drawn)
    assert_allclose(
        result.bic[0], null.n_free_parameters * np.log(n) - 2 * result.log_likelihood[0], rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("strand", ["forward", "both"])
def test_data_are_drawn_with_qualities_and_their_errors(strand: str) -> None:
    """A model that gives A beside A only: what is drawn as another letter is an error of reading."""
    only_a = np.zeros((4, 4))
    only_a[0, 0] = 1.0
    model = ts.PairHMM(
        READ,
        {"M": "xy"},
        {"M": {"M": "stay"}},
        {"M": "pair"},
        values={"pair": ts.fixed(only_a)},
        background=[0.25] * 4,
    )
    pair = record("A" * 30, [10] * 10 + [20] * 20), ts.Record("plain", "A" * 30)
    drawn = model.simulated([pair] * 400, 5, strand=strand)
    target = np.concatenate([x for x, _ in drawn])
    assert set(np.concatenate([y for _, y in drawn]).tolist()) <= {0, 3}  # no qualities: no errors
    level = np.array([READ.encode(record("A", quality))[0] for quality in (10, 20)])
    tens, twenties = ((target >= first) & (target < first + 4) for first in level)
    assert tens.sum() + twenties.sum() == target.size == 12_000
    assert_allclose(tens.mean(), 1 / 3, rtol=0, atol=0.02)
    for chosen, first, error in ((tens, level[0], 0.1), (twenties, level[1], 0.01)):
        shares = np.bincount(target[chosen] - first, minlength=4) / chosen.sum()
        deviation = np.sqrt(error / chosen.sum())
        assert_allclose(shares, [1 - error, error / 3, error / 3, error / 3], rtol=0, atol=4 * deviation)


@pytest.mark.parametrize("order", [1, 3, 7, 8])
def test_words_of_letters_with_qualities(order: int) -> None:
    """A word weighs most at the letters that it shows, even where 64 bits cannot number all words."""
    rng = np.random.default_rng(order)
    letters = rng.integers(0, 4, 300)
    text = "".join("ACGT"[k] for k in letters)
    codes = READ.encode(record(text, rng.integers(25, 51, 300)))
    words = words_of(codes, np.array([0, 120, 300]), order, READ.observation)
    best = np.asarray(words.weights.argmax(axis=1)).ravel()[words.rows]
    for place in [*range(order, 120), *range(120 + order, 300)]:
        word = letters[place - order : place + 1]
        assert best[place] == int("".join(map(str, word)), 4), place
    table = rng.dirichlet(np.ones(4), 4**order)
    place = 120 + order + 5
    rows = [READ.observation[code] for code in codes[place - order : place + 1]]
    expected = table.reshape((4,) * (order + 1))
    for row in rows[:-1]:
        expected = np.tensordot(row / row.sum(), expected, axes=(0, 0))
    found = words.probabilities(table.reshape(1, -1))[words.rows[place], 0]
    assert_allclose(found, rows[-1] @ expected, rtol=1e-12, atol=0)


@pytest.mark.small
def test_contexts_of_both_strands_need_known_letters() -> None:
    arguments: dict[str, Any] = {"alphabet": READ, "symmetry": "reverse-complement", "random_state": 0}
    arguments |= {"transitions": {"a": {"a": 1.0}}, "emissions": {"a": "letters"}}
    assert np.isfinite(ts.HMM(**arguments).score(record("ACGT", 20)))
    with pytest.raises(ts.ModelError, match="with qualities none is for certain"):
        ts.HMM(**arguments, order=1)


def test_a_model_with_qualities_writes_sam() -> None:
    model = ts.PairHMM.affine().with_qualities()
    target = ts.Record("ref", "ACGTTGCAACGTAGGCTA")
    result = ts.align(target, record("ACGTTGCAACGTAGGCTA", 30), model=model, mode="glocal")
    file = StringIO()
    ts.write([result], file, format="sam")
    fields = file.getvalue().splitlines()[-1].split("\t")
    assert fields[5] == "18M" and fields[9] == "ACGTTGCAACGTAGGCTA" and fields[10] == "?" * 18


@pytest.mark.small
def test_symbols_that_say_nothing() -> None:
    assert_array_equal(np.flatnonzero(ts.DNA.is_missing), [ts.DNA.encode("N")[0]])
    assert {ts.PROTEIN.symbols[k] for k in np.flatnonzero(ts.PROTEIN.is_missing)} == {"X", "*"}
    assert_array_equal(np.flatnonzero(READ.is_missing), [ts.DNA.encode("N")[0]])
    assert not ts.Alphabet("A").is_missing.any()
    assert READ.has_qualities and not ts.DNA.has_qualities
