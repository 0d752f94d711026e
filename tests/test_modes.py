"""What a mode and a strand mean: probabilities that add up, and sequences that may change places."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

import tiedseq as ts
import twin
from pairhmm_cases import random_case, random_text, related_text, reverse_complement

LENGTHS = range(4)


def two_letters(symmetric: bool = True, end: bool = False) -> ts.PairHMM:
    """A model of two letters that complement each other, with a background of its own."""
    ending = {"end": "end"} if end else {}
    x, y = ("gap", "gap") if symmetric else ("deletion", "insertion")
    return ts.PairHMM(
        alphabet=ts.Alphabet("AB", complement="BA"),
        states={"M": "xy", "X": "x", "Y": "y"},
        transitions={
            "M": {"M": "match", "X": "open", "Y": "open", **ending},
            "X": {"M": "close", "X": "extend", "Y": "turn", **ending},
            "Y": {"M": "close", "Y": "extend", "X": "turn", **ending},
        },
        emissions={"M": "pair", "X": x, "Y": y},
        values={"open": 0.2, "extend": 0.4, "turn": 0.1, "pair": [[0.4, 0.1], [0.05, 0.45]], x: [0.7, 0.3],
                y: [0.7, 0.3] if symmetric else [0.2, 0.8], **({"end": 0.1} if end else {})},
        background=[0.35, 0.65],
    )  # fmt: skip


def words(letters: str, length: int) -> list[str]:
    return ["".join(word) for word in itertools.product(letters, repeat=length)]


def total(model: ts.PairHMM, letters: str, n: int, m: int, mode: str, strand: str = "forward") -> float:
    """P summed over all pairs of sequences of n and m letters."""
    pairs = itertools.product(words(letters, n), words(letters, m))
    return math.fsum(math.exp(model.log_likelihood(x, y, mode=mode, strand=strand)) for x, y in pairs)


@pytest.mark.parametrize("end", [False, True])
@pytest.mark.parametrize("mode", twin.MODES)
def test_p_over_all_pairs_is_that_of_their_lengths(mode: str, end: bool) -> None:
    """Summed over letters only the states remain: P of a model with one letter, which is at most 1."""
    model = two_letters(symmetric=False, end=end)
    open_, extend, turn, ending = 0.2, 0.4, 0.1, 0.1 if end else 0.0
    close, start = 1 - extend - turn - ending, [1 - 2 * open_ - ending, open_, open_]
    lengths = twin.Model(
        ["xy", "x", "y"],
        np.array(start),
        np.array([start, [close, extend, turn], [close, turn, extend]]),
        np.full(3, ending) if end else None,
        ending if end else 1.0,
        [np.ones((1, 1)), np.ones(1), np.ones(1)],
        np.ones(1),
    )
    for n, m in itertools.product(LENGTHS, LENGTHS):
        expected = math.exp(twin.log_likelihood(lengths, np.zeros(n, int), np.zeros(m, int), mode))
        found = total(model, "AB", n, m, mode)
        assert found <= 1 + 1e-12
        assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("mode", twin.MODES)
def test_p_over_all_pairs_on_both_strands_is_the_same(mode: str) -> None:
    """Every query is read once forward and once backward, so that the sum is over the same terms."""
    model = two_letters()
    for n, m in [(2, 2), (3, 1), (0, 3)]:
        assert_allclose(total(model, "AB", n, m, mode, "both"), total(model, "AB", n, m, mode), rtol=1e-12)


@pytest.mark.parametrize("mode", twin.MODES)
def test_p_of_random_models_over_all_pairs_is_at_most_one(mode: str) -> None:
    for seed in range(8):
        kinds = [["xy", "x", "y"], ["y", "xy", "x", "xy", "y"]][seed % 2]
        model = random_case(np.random.default_rng(seed), kinds, zeros=0.2).model
        for n, m in [(2, 1), (0, 2), (1, 1), (0, 0)]:
            assert total(model, "ACGT", n, m, mode) <= 1 + 1e-12


# --- target and query change places ---------------------------------------------------------------------------------


def related_pair(seed: int) -> tuple[str, str]:
    rng = np.random.default_rng(seed)
    target = random_text(rng, 300)
    return target, related_text(rng, target)


@pytest.mark.parametrize("mode", ["global", "local", "overlap"])
@pytest.mark.parametrize("gaps", [1, 2])
def test_a_tied_symmetric_model_does_not_know_target_from_query(gaps: int, mode: str) -> None:
    gap = [0.3, 0.2, 0.2, 0.3]
    model = ts.PairHMM.affine(symmetric=True, gaps=gaps, values={"gap": gap})
    target, query = related_pair(1)
    assert_allclose(
        model.log_likelihood(query, target, mode=mode), model.log_likelihood(target, query, mode=mode), rtol=1e-13
    )
    assert_allclose(model.viterbi(query, target, mode=mode)[0], model.viterbi(target, query, mode=mode)[0], rtol=1e-13)
    if gaps == 1:  # two classes have kernels of their own, which take seconds to compile
        swapped = model.posterior(query, target, 0.0, mode=mode).toarray()
        assert_allclose(swapped.T, model.posterior(target, query, 0.0, mode=mode).toarray(), rtol=1e-9, atol=1e-12)


def test_an_untied_model_knows_target_from_query() -> None:
    target, query = related_pair(2)
    general = np.full((4, 4), 0.02)
    np.fill_diagonal(general, 0.19)
    general[0, 1], general[1, 0] = 0.035, 0.005
    models = {
        "gap states tied, pairs not": ts.PairHMM.affine(substitution="general", values={"pair": general}),
        "unequal opening": ts.PairHMM.affine(symmetric=False, values={"insertion_open": 0.05}),
        "unequal extension": ts.PairHMM.affine(symmetric=False, values={"deletion_extend": 0.8}),
        "unequal letters": ts.PairHMM.affine(symmetric=False, values={"deletion": [0.4, 0.1, 0.1, 0.4]}),
    }
    for name, model in models.items():
        difference = model.log_likelihood(query, target) - model.log_likelihood(target, query)
        assert abs(difference) > 0.1, name
        swapped = model.posterior(query, target, 0.0).toarray().T
        assert np.abs(swapped - model.posterior(target, query, 0.0).toarray()).max() > 1e-3, name


# --- strands ---------------------------------------------------------------------------------------------------------


def equal_letters() -> ts.PairHMM:
    """Pairs of equal letters and nothing else: a query is on the one strand or on the other."""
    pair = np.diag([0.25] * 4)
    return ts.PairHMM(ts.DNA, {"M": "xy"}, {"M": {"M": "stay"}}, {"M": "pair"}, values={"pair": pair})


def test_a_strand_that_explains_nothing_leaves_all_to_the_other() -> None:
    model = equal_letters()
    expected = 3 * math.log(0.25) - math.log(2)
    for query, turned in (("ACG", False), ("CGT", True)):
        assert_allclose(model.log_likelihood("ACG", query, strand="both"), expected, rtol=1e-14)
        posterior = np.eye(3)[:, ::-1] if turned else np.eye(3)
        assert_allclose(model.posterior("ACG", query, strand="both").toarray(), posterior, rtol=1e-12)
        assert_allclose(
            model.expected_counts([("ACG", query)], strand="both")["pair"], np.diag([1.0, 1, 1, 0]), rtol=1e-12
        )
        best, alignment = model.viterbi("ACG", query, strand="both")
        assert_allclose(best, expected, rtol=1e-14)
        assert alignment.coordinates[1].tolist() == ([3, 0] if turned else [0, 3])
    assert model.log_likelihood("ACG", "TTT", strand="both") == -math.inf
    with pytest.raises(ts.SequenceError, match="probability 0"):
        model.viterbi("ACG", "TTT", strand="both")


def test_the_likelier_strand_is_aligned() -> None:
    target, query = related_pair(3)
    model = ts.PairHMM.affine()
    forward, alignment = model.viterbi(target, query)
    best, on_both = model.viterbi(target, reverse_complement(query), strand="both")
    assert_allclose(best, forward - math.log(2), rtol=1e-13)
    mirrored = len(query) - alignment.coordinates[1]
    assert on_both.coordinates.tolist() == [alignment.coordinates[0].tolist(), mirrored.tolist()]
    assert_allclose(model.log_joint(target, reverse_complement(query), on_both), forward, rtol=1e-12)


@pytest.mark.parametrize("threshold", [0.05, 0.2])
def test_a_threshold_applies_to_the_sum_over_strands(threshold: float) -> None:
    """A palindrome is as likely on both strands, and what either says of a pair of letters is halved."""
    model = ts.PairHMM.affine(gap_open=0.1)
    target = "ACGGTCATACGT"
    query = "ACGGTACCGT"
    assert query == reverse_complement(query)
    everything = model.posterior(target, query, 0.0, strand="both").toarray()
    found = model.posterior(target, query, threshold, strand="both")
    assert_allclose(found.toarray(), np.where(everything >= threshold, everything, 0.0), rtol=0, atol=threshold / 1000)
    assert 0 < found.nnz < np.count_nonzero(everything)
    assert found.data.min() >= threshold
