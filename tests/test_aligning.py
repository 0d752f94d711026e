"""`align`: the alignment of maximal expected accuracy by enumeration, confidence and log-odds against the twin."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from results_by_hand import make_result, reverse_complement

import tiedseq as ts
import twin
from pairhmm_cases import Case, random_case, random_text, related_text
from tiedseq.decoding import heaviest_chain, most_accurate_columns
from tiedseq.default import default_model
from tiedseq.records import Record

GAP_WEIGHTS = (0.0, 0.2, 0.5, 1.0, 2.5)
STRANDS = ("forward", "both")
DECODES = ("mea", "viterbi")
Columns = NDArray[np.int64]

# Enough of a pair for every mode to find: unrelated ends around a related middle.
RNG = np.random.default_rng(5)
MIDDLE = random_text(RNG, 80)
TARGET = random_text(RNG, 30) + MIDDLE + random_text(RNG, 40)
QUERY = MIDDLE[:12] + related_text(RNG, MIDDLE[12:68], identity=0.95, gaps=0.02) + MIDDLE[68:]
FLANKED = random_text(RNG, 25) + QUERY + random_text(RNG, 15)


def small_cases(n: int, longest: int = 5) -> Iterator[tuple[Case, str, str]]:
    """Random models of the states M, X and Y with random sequences."""
    for seed in range(n):
        rng = np.random.default_rng(seed)
        case = random_case(rng, ["xy", "x", "y"], zeros=0.0, crossing=False)
        target = random_text(rng, int(rng.integers(longest + 1)), ambiguous=0.1)
        yield case, target, related_text(rng, target)[:longest] if seed % 2 else random_text(rng, longest - seed % 3)


def twin_posterior(case: Case, target: str, query: str, mode: str) -> twin.Floats:
    return twin.expected_counts(case.slow, case.codes(target), case.codes(query), mode).posterior


def alone(posterior: twin.Floats) -> tuple[twin.Floats, twin.Floats]:
    """P(letter is aligned to nothing), of the target's letters and of the query's."""
    return 1 - posterior.sum(axis=1), 1 - posterior.sum(axis=0)


def accuracy(pairs: Any, posterior: twin.Floats, gap_weight: float) -> float:
    """What "mea" maximises, of the alignment of these pairs (rows, columns) that leaves all other letters alone."""
    rows, columns = (list(positions) for positions in pairs)
    in_target, in_query = alone(posterior)
    unaligned = np.delete(in_target, rows).sum() + np.delete(in_query, columns).sum()
    return float(2 * posterior[rows, columns].sum() + gap_weight * unaligned)


def best_accuracy(posterior: twin.Floats, gap_weight: float) -> float:
    """The largest, over all alignments."""
    n, m = posterior.shape
    return max(
        accuracy((rows, columns), posterior, gap_weight)
        for size in range(min(n, m) + 1)
        for rows in itertools.combinations(range(n), size)
        for columns in itertools.combinations(range(m), size)
    )


def pairs_of(columns: Columns) -> Columns:
    return columns[:, (columns >= 0).all(axis=0)]


def check_shape(columns: Columns, n: int, m: int, mode: str, decode: str = "mea") -> None:
    """Columns go forward letter by letter, none is empty, and they reach as far as the mode says."""
    assert columns.shape[0] == 2
    assert not (columns < 0).all(axis=0).any()
    spans = []
    for row in columns:
        present = row[row >= 0]
        assert (np.diff(present) == 1).all()
        spans.append((int(present[0]), int(present[-1]) + 1) if present.size else (0, 0))
    assert 0 <= spans[0][0] <= spans[0][1] <= n
    assert 0 <= spans[1][0] <= spans[1][1] <= m
    if mode == "global":
        assert spans == [(0, n), (0, m)]
    elif mode == "glocal" and columns.size:
        assert spans[1] == (0, m)
    if decode == "mea" and columns.size:
        if mode == "overlap":  # from a border to a border
            assert 0 in (spans[0][0], spans[1][0]) and (spans[0][1] == n or spans[1][1] == m)
        ends = columns[:, [0, -1]]
        assert (ends[0] >= 0).all() or mode != "local"  # no letter is a gap column beyond the aligned pairs
        assert (ends[1] >= 0).all() or mode in ("global", "overlap")


# --- decoding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", twin.MODES)
def test_no_alignment_has_a_higher_expected_accuracy(mode: str) -> None:
    differ = 0
    for case, target, query in small_cases(60):
        posterior = twin_posterior(case, target, query, mode)
        x, y = (case.model.alphabet.encode(text) for text in (target, query))
        exact = case.model.recursion.posterior(x, y, mode, 0.0)
        n_pairs = set()
        for gap_weight in GAP_WEIGHTS:
            best = best_accuracy(posterior, gap_weight)
            columns = most_accurate_columns(exact, mode, gap_weight)
            check_shape(columns, len(target), len(query), mode)
            assert_allclose(accuracy(pairs_of(columns), posterior, gap_weight), best, rtol=0, atol=1e-8)
            n_pairs.add(pairs_of(columns).shape[1])
            result = ts.align(target, query, model=case.model, mode=mode, gap_weight=gap_weight)
            left_out = 0.002 * min(len(target), len(query))  # pairs below 0.001 are not weighed
            if mode == "local" and result.log_odds < 0:
                assert result.is_empty
                continue
            assert accuracy(pairs_of(result.columns), posterior, gap_weight) >= best - left_out - 1e-8
        differ += len(n_pairs) > 1
    assert differ > 10  # so the gap weight matters


def test_of_real_genomes(data: Any) -> None:
    """Six letters here and there of two genomes, where the default model is less sure than it is of long sequences."""
    human, mouse = (next(ts.read(data / f"{name}_mt.fa")).sequence.upper() for name in ("human", "mouse"))
    for start in range(2000, 2600, 60):
        target, query = human[start : start + 6], mouse[start - 10 : start - 4]
        for mode in twin.MODES:
            posterior = twin.expected_counts(twin_of(default_model()), letters(target), letters(query), mode).posterior
            for gap_weight in GAP_WEIGHTS:
                result = ts.align(target, query, mode=mode, gap_weight=gap_weight)
                if mode == "local" and result.log_odds < 0:
                    assert result.is_empty
                    continue
                best = best_accuracy(posterior, gap_weight)
                found = accuracy(pairs_of(result.columns), posterior, gap_weight)
                assert best - 0.012 <= found <= best + 1e-8


def letters(text: str) -> twin.Codes:
    return np.array(["ACGT".index(letter) for letter in text], dtype=np.int64)


def twin_of(model: ts.PairHMM) -> twin.Model:
    """A symmetric affine model, of one or two classes of gaps, written out as arrays by its labels."""
    values: dict[str, Any] = model.parameters
    suffixes = ["", "2"] if "open2" in values else [""]
    kinds, emissions = ["xy"], [values["pair"]]
    start = [values["match"]]
    rows = []
    for suffix in suffixes:
        kinds += ["x", "y"]
        emissions += [values[f"gap{suffix}"]] * 2
        start += [values[f"open{suffix}"]] * 2
    for state, suffix in enumerate(np.repeat(suffixes, 2), 1):
        rows.append([values[f"close{suffix}"] if s == 0 else 0.0 for s in range(len(kinds))])
        rows[-1][state] = values[f"extend{suffix}"]
    return twin.Model(kinds, np.array(start), np.array([start, *rows]), None, 1.0, emissions, model.background)


@pytest.mark.small
def test_heaviest_chain_against_every_pair_of_pairs() -> None:
    rng = np.random.default_rng(0)
    for n in range(300):
        table = np.round(rng.gamma(1.0, size=rng.integers(1, 12, size=2)), 1 if n % 2 else 9)  # ties in every second
        table[rng.random(table.shape) < rng.random()] = 0.0
        rows, columns = np.nonzero(table)
        weights = table[rows, columns]
        chain = heaviest_chain(rows, columns, weights, table.shape[1])
        assert (np.diff(rows[chain]) > 0).all() and (np.diff(columns[chain]) > 0).all()
        totals = np.zeros(rows.size)  # of the heaviest chain that ends in each pair
        for k in range(rows.size):
            earlier = (rows[:k] < rows[k]) & (columns[:k] < columns[k])
            totals[k] = weights[k] + totals[:k][earlier].max(initial=0.0)
        assert_allclose(weights[chain].sum(), totals.max(initial=0.0), rtol=1e-12, atol=0)


@pytest.mark.parametrize("mode", twin.MODES)
def test_viterbi_columns_are_a_likeliest_path(mode: str) -> None:
    lengths = set()
    long = ts.PairHMM.affine(gap_open=0.03, gap_extend=0.5, identity=0.9)
    cases = [(case.model, case.slow, t, q, case.codes(t), case.codes(q)) for case, t, q in small_cases(40)]
    cases += [(long, twin_of(long), TARGET, query, letters(TARGET), letters(query)) for query in (QUERY, FLANKED)]
    for model, plain, target, query, x, y in cases:
        best = twin.viterbi(plain, x, y, mode)
        result = ts.align(target, query, model=model, mode=mode, decode="viterbi")
        columns = result.columns
        if mode == "local" and result.log_odds < 0:
            assert columns.size == 0
            continue
        check_shape(columns, len(target), len(query), mode, "viterbi")
        states = [0 if i >= 0 and j >= 0 else 1 if i >= 0 else 2 for i, j in columns.T]
        # A path of letters of one sequence only may start anywhere in the other; the empty one, where the twin's does.
        starts = [
            [int(row[row >= 0][0])] if (row >= 0).any() else [*range(size + 1)] if states else [corner]
            for row, size, corner in zip(columns, (len(x), len(y)), best.corner, strict=True)
        ]
        found = max(
            twin.log_joint(plain, x, y, twin.Path(0.0, (i, j), states), mode) for i, j in itertools.product(*starts)
        )
        assert_allclose(found, best.log_probability, rtol=0, atol=1e-9)
        lengths.add(len(states))
    assert len(lengths) > 3 and max(lengths) > 70


# --- what a result says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decode", DECODES)
@pytest.mark.parametrize("mode", twin.MODES)
def test_confidence_log_odds_and_posterior_are_the_twins(mode: str, decode: str) -> None:
    for case, target, query in small_cases(40, longest=8):
        result = ts.align(target, query, model=case.model, mode=mode, decode=decode)
        check_numbers(result, case.slow, case.codes(target), case.codes(query))
    for query in (QUERY, FLANKED):
        result = ts.align(TARGET, query, mode=mode, decode=decode)
        check_numbers(result, twin_of(default_model()), letters(TARGET), letters(query))
        assert result.is_residue.sum() > 70 and result.confidence.min() < 0.9
        assert not result.is_residue.all()


def check_numbers(result: ts.AlignmentResult, model: twin.Model, x: twin.Codes, y: twin.Codes) -> None:
    """Every number of a result follows from the twin's posterior, however its columns were chosen."""
    counts = twin.expected_counts(model, x, y, result.mode)
    in_target, in_query = alone(counts.posterior)
    expected = np.array(
        [
            counts.posterior[i, j] if i >= 0 and j >= 0 else in_target[i] if i >= 0 else in_query[j]
            for i, j in result.columns.T
        ]
    )
    assert result.confidence.dtype == np.float64
    assert_allclose(result.confidence, expected, rtol=0, atol=1e-6)
    assert_allclose(result.target_unaligned, in_target, rtol=0, atol=1e-9)
    assert_allclose(result.query_unaligned, in_query, rtol=0, atol=1e-9)
    both = (result.columns >= 0).all(axis=0)
    assert_allclose(result.expected_accuracy, expected[both].mean() if both.any() else 0.0, rtol=0, atol=1e-6)
    assert_allclose(result.log_likelihood, counts.log_likelihood, rtol=1e-12, atol=1e-9)
    background = np.log(model.background)
    odds = (counts.log_likelihood - background[x].sum() - background[y].sum()) / math.log(2)
    assert_allclose(result.log_odds, odds, rtol=0, atol=1e-8)
    kept, stored = result.posterior.toarray(), counts.posterior >= 0.001 + 1e-9
    assert result.posterior.format == "csr" and kept.dtype == np.float64
    assert_allclose(kept[stored], counts.posterior[stored], rtol=1e-8, atol=0)
    assert_allclose(kept, counts.posterior, rtol=0, atol=0.001)


@pytest.mark.parametrize(("decode", "threshold"), [("mea", 1e-3), ("viterbi", 1e-6)])
@pytest.mark.parametrize("strand", "+-")
def test_the_posterior_keeps_what_reaches_its_threshold(decode: str, threshold: float, strand: str) -> None:
    given = FLANKED if strand == "+" else reverse_complement(FLANKED)
    result = ts.align(TARGET, given, mode="glocal", decode=decode, strand="both")
    exact = twin.expected_counts(twin_of(default_model()), letters(TARGET), letters(FLANKED), "glocal").posterior
    exact = exact if strand == "+" else exact[:, ::-1]
    assert result.strand == strand
    assert (result.posterior.toarray() > 0).sum() == (exact >= threshold).sum() != (exact >= threshold / 10).sum()
    for axis, unaligned in ((1, result.target_unaligned), (0, result.query_unaligned)):
        left_out = np.where(exact < threshold, exact, 0.0).sum(axis=axis)
        sums = np.asarray(result.posterior.sum(axis=axis))
        assert_allclose(1.0 - sums - unaligned, left_out, rtol=0, atol=1e-9)


@pytest.mark.parametrize("decode", DECODES)
@pytest.mark.parametrize("mode", twin.MODES)
def test_columns_reach_as_far_as_the_mode(mode: str, decode: str) -> None:
    query = QUERY if mode == "glocal" else FLANKED
    result = ts.align(TARGET, query, mode=mode, decode=decode)
    check_shape(result.columns, len(TARGET), len(query), mode, decode)
    (a, c), (b, d) = result.target_span, result.query_span
    if mode in ("local", "glocal"):
        assert abs(a - 30) <= 3 and abs(c - 110) <= 3
    if mode == "local":
        assert abs(b - 25) <= 3 and abs(d - (25 + len(QUERY))) <= 3


def test_overlap_leaves_end_gaps_free() -> None:
    left, right = random_text(RNG, 50), random_text(RNG, 70)
    for target, query in ((left + MIDDLE, MIDDLE + right), (MIDDLE + right, left + MIDDLE)):
        result = ts.align(target, query, mode="overlap")
        assert result.cigar == "80="
        assert result.log_odds > ts.align(target, query, mode="global").log_odds


def test_modes_compare() -> None:
    """All flanks are background in the model and in the null: the mode that describes a pair best has the most odds."""
    odds = {mode: ts.align(TARGET, FLANKED, mode=mode).log_odds for mode in twin.MODES}
    assert max(odds, key=odds.__getitem__) == "local" and odds["local"] > 50
    odds = {mode: ts.align(TARGET, QUERY, mode=mode).log_odds for mode in twin.MODES}
    assert max(odds, key=odds.__getitem__) == "glocal"
    odds = {mode: ts.align(MIDDLE, QUERY, mode=mode).log_odds for mode in twin.MODES}
    assert max(odds, key=odds.__getitem__) == "global"


@pytest.mark.parametrize("length", [60, 400])
def test_sequences_without_homology(length: int) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        target, query = random_text(rng, length), random_text(rng, length + 20)
        for mode, strand in itertools.product(twin.MODES, STRANDS):
            assert ts.align(target, query, mode=mode, strand=strand).log_odds < 0
        for decode in DECODES:
            result = ts.align(target, query, mode="local", strand="both", decode=decode)
            assert result.is_empty and result.columns.shape == (2, 0) and result.confidence.shape == (0,)
            assert (result.cigar, result.expected_accuracy, result.strand) == ("", 0.0, result.strand)
            assert "no letter is aligned" in str(result)
            assert result.alignment.length == 0


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("strand", "+-")
def test_filter(mode: str, threshold: float, strand: str) -> None:
    given = FLANKED if strand == "+" else reverse_complement(FLANKED)
    result = ts.align(TARGET, given, mode=mode, strand="both")
    assert result.strand == strand
    kept = result.filter(threshold)
    check_shape(kept.columns, len(TARGET), len(given), mode if kept is result else "local", "viterbi")
    before, after = (
        dict(zip(map(tuple, pairs_of(r.columns).T.tolist()), r.confidence[r.is_residue], strict=True))
        for r in (result, kept)
    )
    assert after == {pair: p for pair, p in before.items() if p >= threshold}
    for row, unaligned in enumerate((result.target_unaligned, result.query_unaligned)):
        gaps = kept.columns[1 - row] < 0
        assert_array_equal(kept.confidence[gaps], unaligned[kept.given_positions()[row, gaps]])
    assert kept.posterior is result.posterior and kept.log_odds == result.log_odds
    assert (kept is result) == (min(before.values()) >= threshold)


# --- strands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decode", DECODES)
@pytest.mark.parametrize("mode", twin.MODES)
def test_a_reverse_complement_is_found(mode: str, decode: str) -> None:
    given = reverse_complement(FLANKED)
    result = ts.align(TARGET, given, mode=mode, decode=decode, strand="both")
    turned = ts.align(TARGET, FLANKED, mode=mode, decode=decode)
    assert (result.strand, turned.strand) == ("-", "+")
    assert_array_equal(result.columns, turned.columns)
    assert_array_equal(result.confidence, turned.confidence)
    assert (result.log_likelihood, result.log_odds) == (turned.log_likelihood, turned.log_odds)
    assert result.rows == turned.rows and result.cigar == turned.cigar
    assert_array_equal(result.posterior.toarray(), turned.posterior.toarray()[:, ::-1])
    assert_array_equal(result.query_unaligned, turned.query_unaligned[::-1])
    assert_array_equal(result.target_unaligned, turned.target_unaligned)
    for i, j in pairs_of(result.given_positions()).T[:5]:
        assert result.posterior[i, j] == result.confidence[list(result.columns[0]).index(i)]
    assert result.candidates is not None and result.candidate == 1
    forward = ts.align(TARGET, given, mode=mode)
    assert_allclose(result.candidates, np.array([forward.log_odds, turned.log_odds]) * math.log(2), rtol=1e-12)
    assert result.mapping_quality == 60 and turned.mapping_quality == 255


def test_biopython_alignment_of_the_other_strand() -> None:
    given = reverse_complement(FLANKED)
    result = ts.align(TARGET, given, mode="local", strand="both")
    alignment = result.alignment
    assert [str(record.seq) for record in alignment.sequences] == [TARGET, given]
    assert (np.diff(alignment.coordinates[0]) >= 0).all() and (np.diff(alignment.coordinates[1]) <= 0).all()
    assert (alignment[0], alignment[1]) == result.rows
    assert alignment.score == result.log_odds
    assert alignment.column_annotations["confidence"] == result.confidence.tolist()
    both = (alignment.indices >= 0).all(axis=0)
    assert_allclose([result.posterior[i, j] for i, j in alignment.indices[:, both].T], result.confidence[both], rtol=0)


def test_the_likelier_strand_is_kept() -> None:
    result = ts.align(TARGET, FLANKED, mode="local", strand="both")
    assert (result.strand, result.candidate, len(result.candidates or [])) == ("+", 0, 2)
    only = ts.align(TARGET, FLANKED, mode="local")
    assert (only.candidates, only.candidate, only.log_odds) == (None, None, result.log_odds)
    assert ts.align("ACGTTTGCGCATATGCGCAAACGT", "AATTCCGGAATT", strand="both").strand == "+"  # its own complement


@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize("best", [True, False])
def test_strands_compare_where_the_background_tells_them_apart(mode: str, best: bool) -> None:
    """Whatever the letters of the other strand are worth: what counts is P of each strand, here the twin's."""
    letters_of = [0.5, 0.3, 0.1, 0.1]
    model = ts.PairHMM.affine(values={"gap": letters_of})
    plain, kept = twin_of(model), set()
    rng = np.random.default_rng(8)
    pairs = [("TGGCCAAAATGT", "GGTGGGGTCTGA")]
    pairs += [("".join(rng.choice(list("ACGT"), 12, p=letters_of)), random_text(rng, 12)) for _ in range(12)]
    for target, query in pairs:
        codes = {"+": letters(query), "-": letters(reverse_complement(query))}
        logs = np.array([twin.log_likelihood(plain, letters(target), codes[strand], mode) for strand in "+-"])
        null = np.log(letters_of)[letters(target)].sum() + np.log(letters_of)[codes["+"]].sum()
        likelier = "+-"[int(np.argmax(logs))]
        results = list(ts.align_all([target], [query], model=model, mode=mode, strand="both", best=best))
        assert [result.strand for result in results if result.is_primary] == [likelier]
        for result in results:
            log = logs["+-".index(result.strand)]
            assert_allclose(result.log_likelihood, log, rtol=0, atol=1e-9)
            assert_allclose(result.log_odds, (log - null) / math.log(2), rtol=0, atol=1e-9)
            assert_allclose(np.array(result.candidates), logs - null, rtol=0, atol=1e-9)
            wrong = np.exp(logs.sum() - log) / np.exp(logs).sum()
            assert result.mapping_quality == min(60, round(-10 * math.log10(wrong)))
        kept.add(likelier)
    assert kept == {"+", "-"}
    if mode == "global":
        result = ts.align(*pairs[0], model=model, mode=mode, strand="both")
        assert (result.strand, result.mapping_quality) == ("-", 3)


# --- sequences --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strand", STRANDS)
@pytest.mark.parametrize("decode", DECODES)
@pytest.mark.parametrize("mode", twin.MODES)
@pytest.mark.parametrize(("target", "query"), [("", ""), ("", "ACGT"), ("ACGTA", "")])
def test_empty_sequences(target: str, query: str, mode: str, decode: str, strand: str) -> None:
    result = ts.align(target, query, mode=mode, decode=decode, strand=strand)
    expected = twin.log_likelihood(twin_of(default_model()), letters(target), letters(query), mode)
    assert_allclose(result.log_likelihood, expected, rtol=1e-12, atol=1e-12)
    assert result.is_empty and result.posterior.shape == (len(target), len(query)) and result.posterior.nnz == 0
    if mode == "global":
        assert result.cigar == (f"{len(target)}D" if target else f"{len(query)}I" if query else "")
    assert (result.confidence == 1.0).all()
    assert_array_equal(result.target_unaligned, np.ones(len(target)))
    assert result.strand == "+" and result.expected_accuracy == 0.0
    assert str(result) and result.alignment is not None and result.filter(0.9) is result
    assert result.to_dict()["query_length"] == len(query)
    if not target and not query:
        assert result.log_odds == 0.0


def test_every_kind_of_sequence() -> None:
    from Bio.Seq import MutableSeq, Seq
    from Bio.SeqRecord import SeqRecord

    expected = ts.align(TARGET, QUERY, mode="glocal")
    codes = ts.DNA.encode(QUERY)
    forms: list[Any] = [QUERY.encode(), bytearray(QUERY.encode()), Seq(QUERY), MutableSeq(QUERY), SeqRecord(Seq(QUERY)),
                        Record("query", QUERY), codes, codes.astype(np.int64)]  # fmt: skip
    for form in forms:
        result = ts.align(TARGET, form, mode="glocal")
        assert_array_equal(result.columns, expected.columns, err_msg=repr(type(form)))
        assert result.query.sequence == QUERY and result.rows == expected.rows
        assert (result.target_name, result.query_name) == ("target", "query"), type(form)
        swapped = ts.align(form, TARGET)
        assert swapped.target.sequence == QUERY and swapped.query_name == "query"


def test_names_and_qualities() -> None:
    from Bio.Seq import Seq
    from Bio.SeqRecord import SeqRecord

    quality = np.arange(len(QUERY), dtype=np.uint8) % 40
    phred = {"phred_quality": quality.tolist()}
    forms = [
        SeqRecord(Seq(QUERY), id="read7", description="read7 of many", letter_annotations=phred),
        Record("read7", QUERY, "read7 of many", quality),
    ]
    for form in forms:
        result = ts.align(SeqRecord(Seq(TARGET), id="chr1"), form, mode="glocal")
        assert (result.target_name, result.query_name) == ("chr1", "read7")
        assert result.query.description == "read7 of many"
        assert_array_equal(result.query.quality, quality)
        assert result.target.quality is None
        assert result.alignment.sequences[1].id == "read7"


def test_lower_case_and_ambiguity_codes_are_kept() -> None:
    target, query = "acgtNNACGTTGCAAGCttgca", "ACGTaaacgtNGCARGCTTGCA"
    result = ts.align(target, query)
    assert result.rows == (target, query)
    assert result.cigar == "4=2X4=1X3=1X7="
    assert_array_equal(result.columns, ts.align(target.upper(), query.upper()).columns)
    assert result.log_likelihood == ts.align(target.upper(), query.upper()).log_likelihood
    assert "acgtNNACGTTGCAAGCttgca" in str(result)
    given = reverse_complement(query)
    turned = ts.align(target, given, strand="both")
    assert turned.strand == "-" and turned.query.sequence == given
    assert turned.rows == (target, query)


def test_uracil() -> None:
    result = ts.align("ACGUUGCA", "ACGTTGCA")
    assert result.cigar == "8=" and result.rows[0] == "ACGUUGCA"


@pytest.mark.parametrize("alphabet", [ts.DNA, ts.RNA])
@pytest.mark.parametrize("letter", "TU")
def test_the_other_strand_is_spelt_as_the_query_is(alphabet: ts.Alphabet, letter: str) -> None:
    """RNA stays RNA, whether the model is for DNA or for RNA, and DNA stays DNA."""
    target, part = "ACCGUUGCAuuGGCAUCCGA", slice(1, 19)
    model = ts.PairHMM.affine(alphabet=alphabet)
    oriented = target.translate(str.maketrans("Uu", letter + letter.lower()))
    swap = str.maketrans("ACGacg" + letter + letter.lower(), f"{letter}GC{letter.lower()}gcAa")
    result = ts.align(target, oriented[part].translate(swap)[::-1], model=model, mode="local", strand="both")
    assert (result.strand, result.cigar) == ("-", "18=")
    assert result.rows == (target[part], oriented[part])
    assert result.aligned_query_text == oriented[part]


def test_letters_that_only_look_like_uracil() -> None:
    alphabet = ts.Alphabet("TU", complement="UT")
    result = make_result("TT", "UU", "MM", strand="-", alphabet=alphabet)
    assert (result.aligned_query_text, result.cigar) == ("TT", "2=")


def test_other_alphabets() -> None:
    model = ts.PairHMM.affine(alphabet=ts.PROTEIN, identity=0.6)
    result = ts.align("MKVLAAGIVGLLLAQWERTYIPASD", "MKVLAAGIVGLLAQWERTYIPASD", model=model)
    assert result.cigar.endswith("=") and result.cigar.count("D") == 1
    assert ts.align("MKVSTRHYWGDNA", "mkvstrhywgdna", model=model).cigar == "13="
    cases = ts.PairHMM.affine(alphabet="abAB", identity=0.6)
    assert ts.align("abABabAB", "abAbabAB", model=cases).cigar == "3=1X4="
    with pytest.raises(ts.TiedseqError, match="complement"):
        ts.align("MKV", "MKV", model=model, strand="both")


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("mode", "semiglobal"),
        ("decode", "map"),
        ("strand", "reverse"),
        ("mode", ["global"]),
        ("strand", None),
        ("decode", np.array(["mea", "viterbi"])),
        ("gap_weight", None),
        ("gap_weight", 1j),
        ("gap_weight", -0.1),
        ("gap_weight", math.nan),
        ("gap_weight", math.inf),
        ("gap_weight", "1"),
        ("model", "hmm.json"),
    ],
)
def test_wrong_options(option: str, value: Any) -> None:
    for function in (ts.align, ts.align_all):
        with pytest.raises(ts.ArgumentError, match=f"{option} must be .*not"):
            function("ACGT", "ACGT", **{option: value})


@pytest.mark.parametrize("value", [1, np.float32(0.5), np.int64(2)])
def test_gap_weight_is_any_number(value: Any) -> None:
    assert ts.align("ACGTTGCA", "ACGTTGCA", gap_weight=value).cigar == "8="


def test_wrong_letters() -> None:
    with pytest.raises(ts.SequenceError, match="'!'"):
        ts.align("ACGT", "AC!T")
    with pytest.raises(ts.SequenceError, match="'-'"):
        ts.align("AC-T", "ACT")
    with pytest.raises(ts.InputError, match=r"a.fa, line 4, column 3, record 'r1'.*'!'"):
        ts.align("ACGT", Record("r1", "AC!T", "r1", None, "a.fa", 3))
    with pytest.raises(ts.TiedseqError):
        ts.align("ACGT", 7)


@pytest.mark.parametrize("decode", DECODES)
def test_sequences_that_the_model_cannot_explain(decode: str) -> None:
    model = ts.PairHMM(ts.DNA, {"M": "xy"}, {"M": {"M": 1.0}}, {"M": np.full((4, 4), 1 / 16)}, background=[0.25] * 4)
    with pytest.raises(ts.SequenceError, match="probability 0"):
        ts.align("ACGT", "ACG", model=model, decode=decode)
    assert ts.align("ACGT", "ACCG", model=model, decode=decode).n_columns == 4
    assert ts.align("ACGT", "ACG", model=model, decode=decode, mode="local").log_odds <= 0


def test_the_gap_weight_is_any_real_number() -> None:
    half = ts.align("ACGTTA", "ACTTA", gap_weight=Fraction(1, 2))  # type: ignore[arg-type]
    assert half.cigar == ts.align("ACGTTA", "ACTTA", gap_weight=0.5).cigar
