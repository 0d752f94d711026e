"""The result object: its columns seen as rows, CIGAR, Biopython's object, table, print; un-aligning by confidence."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import numpy as np
import pytest
from results_by_hand import make_result, random_result, reverse_complement

import tiedseq as ts
from tiedseq.alignment import AlignmentResult
from tiedseq.columns import confidence_digits
from tiedseq.errors import ArgumentError, ResourceError

CASES = [(mode, strand) for mode in ("global", "local", "glocal", "overlap") for strand in "+-"]


def some_results(mode: str, strand: str, n: int = 40) -> list[AlignmentResult]:
    rng = np.random.default_rng([len(mode), ord(strand)])
    return [random_result(rng, mode=mode, strand=strand) for _ in range(n)]


def test_rows_and_cigar_by_hand() -> None:
    result = make_result("ttACGTNa", "ACTTNccc", "MMDMMMI", start=(2, 0), mode="local")
    assert result.rows == ("ACGTNa-", "AC-TTNc")
    assert result.cigar == "2=1D1=2X1I"
    assert result.identity == pytest.approx(3 / 5)
    assert (result.target_span, result.query_span, result.n_columns) == ((2, 8), (0, 6), 7)
    assert (result.target_name, result.query_name, result.is_empty) == ("t", "q", False)


def test_reverse_strand_by_hand() -> None:
    result = make_result("AACCGTT", "TTAACGcc", "MMMM", start=(2, 3), strand="-", mode="local")
    assert result.aligned_query_text == "ggCGTTAA"
    assert result.rows == ("CCGT", "GTTA")  # positions 3 to 7 of the reverse complement
    assert result.query_span == (1, 5)
    assert result.given_positions()[1].tolist() == [4, 3, 2, 1]


def test_equal_letters() -> None:
    assert make_result("ACGTUN", "acguTN", "MMMMMM").cigar == "6="
    assert make_result("NNR", "ACA", "MMM").cigar == "3X"
    assert make_result("NAA", "NNa", "MMM").cigar == "1=1X1="


@pytest.mark.parametrize(
    ("alphabet", "target", "query", "cigar"),
    [
        (ts.PROTEIN, "MKVSTRHYWGDNA", "MKVSTRHYWGDNA", "13="),  # letters that are nucleotide codes, too
        (ts.PROTEIN, "MKLUTX", "mklTUx", "3=2X1="),  # U is selenocysteine
        (ts.RNA, "ACGUt", "ACGTU", "5="),
        (ts.Alphabet("abAB"), "abAB", "aBAb", "1=1X1=1X"),  # case matters
        (ts.Alphabet("TU"), "TU", "TT", "1=1X"),
    ],
)
def test_letters_are_equal_if_their_alphabet_says_so(
    alphabet: ts.Alphabet, target: str, query: str, cigar: str
) -> None:
    result = make_result(target, query, "M" * len(target), alphabet=alphabet)
    assert result.cigar == cigar
    equal = [len(set(alphabet.encode(pair).tolist())) == 1 for pair in map("".join, zip(target, query, strict=True))]
    assert result.is_match.tolist() == equal
    assert result.identity == pytest.approx(np.mean(equal), rel=1e-12)


@pytest.mark.parametrize(("mode", "strand"), CASES)
def test_biopython_sees_the_same_alignment(mode: str, strand: str) -> None:
    for result in some_results(mode, strand):
        alignment = result.alignment
        assert (alignment[0], alignment[1]) == result.rows
        assert alignment.score == result.log_odds
        assert np.array_equal(alignment.column_annotations["confidence"], result.confidence)
        assert str(alignment.sequences[1].seq) == result.query.sequence
        inverse = np.where(result.columns >= 0, result.columns, -1)
        if strand == "-":
            inverse[1] = np.where(inverse[1] >= 0, len(result.query) - 1 - inverse[1], -1)
        assert np.array_equal(alignment.indices, inverse)
        counts = alignment.counts()
        assert counts.aligned == result.is_residue.sum()
        part = alignment[:, : result.n_columns // 2 + 1]
        assert part[0] == result.rows[0][: part.shape[1]]
        assert part.column_annotations["confidence"] == result.confidence[: part.shape[1]].tolist()


def test_biopython_picks_and_joins_columns() -> None:
    alignment = make_result("ACGTT", "ACTT", "MMDMM", confidence=np.arange(5) / 5).alignment
    assert alignment[:, [0, 2, 4]].column_annotations["confidence"] == [0.0, 0.4, 0.8]
    assert (alignment + alignment).column_annotations["confidence"] == [0.0, 0.2, 0.4, 0.6, 0.8] * 2


@pytest.mark.parametrize("format", ["maf", "sam", "psl", "bed", "clustal", "fasta", "chain", "exonerate"])
@pytest.mark.parametrize("strand", ["+", "-"])
def test_biopython_formats_it(format: str, strand: str) -> None:
    result = make_result("ACGTACGT", "ACGACGT" if strand == "+" else "ACGTCGT", "MMMDMMMM", strand=strand)
    assert "ACG" in result.alignment.format(format) or format in ("psl", "bed", "chain", "exonerate")


def test_empty_alignment() -> None:
    result = make_result("ACGT", "TTT", "", mode="local", names=("one", "two"))
    assert result.is_empty
    assert (result.cigar, result.rows, result.identity, result.expected_accuracy) == ("", ("", ""), 0.0, 0.0)
    assert str(result) == "one x two: no letter is aligned to another (mode local, log-odds 12.5 bits)"
    assert "nothing aligned" in repr(result)
    assert "no letter is aligned" in result._repr_html_()
    assert result.alignment.shape == (2, 0)
    assert str(result.alignment)
    assert result.filter(0.5).n_columns == 0
    assert len(result.to_frame()) == 0
    json.dumps(result.to_dict(), allow_nan=False)


def test_gaps_only_is_empty_but_prints() -> None:
    result = make_result("ACGT", "", "DDDD")
    assert result.is_empty
    assert result.rows == ("ACGT", "----")
    assert result.alignment.shape == (2, 4)
    assert str(result).splitlines()[4] == "q            ----"


def test_expected_accuracy_leaves_gaps_out() -> None:
    result = make_result("ACG", "AG", "MDM", confidence=np.array([0.5, 0.1, 0.9]))
    assert result.expected_accuracy == pytest.approx(0.7, rel=1e-12)


def slow_filter(result: AlignmentResult, threshold: float) -> tuple[list[tuple[int, int]], list[float]]:
    """Un-align column by column: collect runs between kept pairs, rewrite the runs that lost one."""

    def unaligned(i: int, j: int) -> float:
        if i >= 0:
            return float(result.target_unaligned[i])
        return float(result.query_unaligned[j if result.strand == "+" else len(result.query) - 1 - j])

    runs: list[list[tuple[int, int, float, bool]]] = [[]]
    kept: list[tuple[int, int, float]] = []
    for (i, j), c in zip(result.columns.T.tolist(), result.confidence.tolist(), strict=True):
        if i >= 0 and j >= 0 and c >= threshold:
            kept.append((i, j, c))
            runs.append([])
        else:
            runs[-1].append((i, j, c, i >= 0 and j >= 0))
    columns, confidence = [], []
    for number, run in enumerate(runs):
        if not any(lost for *_, lost in run):
            part = [(i, j, c) for i, j, c, _ in run]
        elif number in (0, len(runs) - 1):
            part = []
        else:
            part = [(-1, j, unaligned(-1, j)) for _, j, _, _ in run if j >= 0]
            part += [(i, -1, unaligned(i, -1)) for i, _, _, _ in run if i >= 0]
        part += kept[number : number + 1]
        columns += [(i, j) for i, j, _ in part]
        confidence += [c for _, _, c in part]
    return columns, confidence


@pytest.mark.parametrize(("mode", "strand"), CASES)
@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.7, 1.0])
def test_filter_equals_the_slow_way(mode: str, strand: str, threshold: float) -> None:
    for result in some_results(mode, strand):
        filtered = result.filter(threshold)
        columns, confidence = slow_filter(result, threshold)
        assert filtered.columns.T.tolist() == [list(column) for column in columns]
        assert filtered.confidence.tolist() == confidence
        assert (filtered.log_odds, filtered.strand, filtered.mode) == (result.log_odds, strand, mode)
        again = result.filter(threshold / 2).filter(threshold)
        assert np.array_equal(again.columns, filtered.columns)
        assert np.array_equal(again.confidence, filtered.confidence)


def test_filter_by_hand() -> None:
    confidence = np.array([0.9, 0.1, 0.8, 0.9, 0.2])
    for mode in ("global", "local", "glocal", "overlap"):
        result = make_result("ACGTA", "ACTA", "MMDMM", confidence=confidence, mode=mode)
        kept = result.filter(0.5)
        assert (kept.cigar, kept.target_span, kept.query_span) == ("1=1I2D1=", (0, 4), (0, 3))
        assert result.filter(1.0).n_columns == 0
        assert result.cigar == "2=1D2="  # the original is not touched


@pytest.mark.parametrize("mode", ["global", "local"])
def test_filter_clips_the_ends(mode: str) -> None:
    """An end that loses a column is outside the alignment, its gap columns too; one that loses none stays as it is."""
    confidence = np.array([0.8, 0.8, 0.2, 0.9, 0.9, 0.9, 0.9, 0.7, 0.7])
    result = make_result("TTCACGT", "GACGTAA", "DDMMMMMII", confidence=confidence, mode=mode)
    assert result.cigar == "2D1X4=2I"
    kept = result.filter(0.5)
    assert (kept.cigar, kept.target_span, kept.query_span) == ("4=2I", (3, 7), (1, 7))
    assert kept.filter(0.95).n_columns == 0
    assert result.filter(0.1) is result


@pytest.mark.parametrize("threshold", [-0.1, 1.01, math.nan, "x", "0.5", None, 1j, np.array([0.1, 0.2])])
def test_filter_refuses_what_is_no_probability(threshold: Any) -> None:
    with pytest.raises(ArgumentError, match="threshold must be a probability from 0 to 1, not"):
        make_result("A", "A", "M").filter(threshold)


@pytest.mark.parametrize("threshold", [1, np.float32(0.5), np.int64(1)])
def test_filter_takes_any_number(threshold: Any) -> None:
    assert make_result("A", "A", "M", confidence=np.array([0.25])).filter(threshold).is_empty


def test_frame() -> None:
    frame = make_result("AACGT", "ACTTT", "MDM", start=(1, 3), strand="-", mode="local").to_frame()
    assert list(frame.columns) == ["column", "target_pos", "query_pos", "letters", "confidence"]
    assert frame["target_pos"].tolist() == [1, 2, 3]
    assert frame["query_pos"].isna().tolist() == [False, True, False]
    assert frame["query_pos"].dropna().tolist() == [1, 0]
    assert frame["letters"].tolist() == ["AG", "C-", "GT"]


def test_frame_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ResourceError, match="needs pandas"):
        make_result("A", "A", "M").to_frame()


def test_dict_is_json() -> None:
    result = make_result("ACGTT", "AAACG", "MMM", start=(1, 1), strand="-", mode="local", log_likelihood=-math.inf)
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert document["log_likelihood"] is None
    assert (document["target_start"], document["target_end"]) == (1, 4)
    assert (document["query_start"], document["query_end"]) == (1, 4)
    assert (document["target_row"], document["query_row"], document["cigar"]) == (
        "CGT",
        "GTT",
        "2X1=",
    )
    assert document["confidence"] == result.confidence.tolist()


@pytest.mark.parametrize(("mode", "strand"), CASES)
def test_print_holds_the_alignment(mode: str, strand: str) -> None:
    for result in some_results(mode, strand, n=15):
        header, *lines = str(result).splitlines()
        assert header.startswith(f"target1 x query1, strand {strand}, log-odds {result.log_odds:.1f} bits")
        assert f"accuracy {result.expected_accuracy:.4f}, identity {result.identity:.4f}" in header
        blocks = [lines[i + 1 : i + 5] for i in range(0, len(lines), 5)]
        margin = lines[4].index(confidence_digits(result.confidence)[0], len("confidence"))
        for number, row in ((0, result.rows[0]), (2, result.rows[1])):
            printed = "".join(block[number][margin:].split()[0] for block in blocks)
            assert printed == row
        digits = "".join(block[3][margin:] for block in blocks)
        assert digits == "".join("*" if c >= 0.95 else str(int(10 * c + 0.5)) for c in result.confidence)
        match = "".join(f"{block[1][margin:]:60}" for block in blocks)[: result.n_columns]
        assert match.count("|") == sum(x.upper() == y.upper() for x, y in zip(*result.rows, strict=True))
        assert match.count(".") + match.count("|") == result.is_residue.sum()
        shown = result.given_positions() + 1
        for block, start in zip(blocks, range(0, result.n_columns, 60), strict=True):
            for line, positions in ((0, shown[0]), (2, shown[1])):
                numbers = positions[start : start + 60]
                numbers = numbers[numbers > 0]
                fields = block[line].split()
                if numbers.size:
                    assert (int(fields[1]), int(fields[-1])) == (numbers[0], numbers[-1])


def test_long_names_and_notebooks() -> None:
    result = make_result("A" * 500, "A" * 500, "M" * 500, names=("<b>" + "x" * 60, "q"))
    assert max(map(len, str(result).splitlines()[1:])) <= 24 + 1 + 3 + 1 + 60 + 4
    page = result._repr_html_()
    assert "&lt;b&gt;" in page
    assert "320 more columns" in page
    assert len(page) < 2000


def test_mapping_quality() -> None:
    def quality(*weights: float, **more: Any) -> int:
        return make_result("A", "A", "M", candidates=list(weights) or None, **more).mapping_quality

    assert quality() == 255
    assert quality(-10.0) == 255
    assert quality(0.0, 0.0) == 3  # one in two is wrong
    assert quality(math.log(0.999), math.log(0.001)) == 30
    assert quality(0.0, -1000.0) == 60
    assert quality(0.0, -math.inf) == 60
    assert quality(math.log(0.999), math.log(0.001), candidate=1, is_primary=False) == 0
    assert quality(math.log(0.999), math.log(0.001), is_primary=False) == 0


def test_helper_agrees_with_biopython_on_the_other_strand() -> None:
    from Bio.Seq import reverse_complement as bio

    assert reverse_complement("ACGTNRacgt") == bio("ACGTNRacgt")
