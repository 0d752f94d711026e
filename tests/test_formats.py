"""Every format is read back, by Biopython, by samtools or by the few lines here, to the alignment that was written."""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from results_by_hand import cigar_parts, make_result, random_result, reverse_complement

from tiedseq.alignment import AlignmentResult
from tiedseq.alphabet import DNA, PROTEIN, RNA, Alphabet
from tiedseq.errors import ArgumentError, InputError, ResourceError
from tiedseq.formats import FORMATS, format_of, write

CASES = [(mode, strand) for mode in ("global", "local", "glocal", "overlap") for strand in "+-"]
SAMTOOLS = shutil.which("samtools")
needs_samtools = pytest.mark.skipif(SAMTOOLS is None, reason="samtools is not installed")


def some_results(mode: str, strand: str) -> list[AlignmentResult]:
    rng = np.random.default_rng([len(mode), ord(strand), 7])
    return [random_result(rng, mode=mode, strand=strand) for _ in range(25)]


def written(results: Any, format: str, **more: Any) -> str:
    handle = io.StringIO()
    write(results, handle, format, **more)
    return handle.getvalue()


def read_back(text: str, format: str) -> Any:
    from Bio import Align

    return Align.read(io.StringIO(text), format)


def pairs_of(columns: np.ndarray[Any, Any]) -> list[list[int]]:
    return columns[:, (columns >= 0).all(axis=0)].T.tolist()


@pytest.mark.parametrize(("mode", "strand"), CASES)
def test_maf_reads_back(mode: str, strand: str) -> None:
    for result in some_results(mode, strand):
        text = written(result, "maf")
        alignment = read_back(text, "maf")
        assert np.array_equal(alignment.coordinates, result.alignment.coordinates)
        assert (alignment[0], alignment[1]) == result.rows  # lower case included
        assert [len(s) for s in alignment.sequences] == [len(result.target), len(result.query)]
        assert alignment.score == pytest.approx(result.log_odds, rel=1e-7)
        lines = [line for line in text.splitlines() if line.startswith(("s ", "# confidence"))]
        assert lines[2][-result.n_columns :] == digits(result.confidence)
        assert len(lines[0]) == len(lines[1]) == len(lines[2])


def digits(confidence: np.ndarray[Any, Any]) -> str:
    return "".join("*" if c >= 0.95 else str(math.floor(10 * c + 0.5)) for c in confidence)


@pytest.mark.parametrize(("mode", "strand"), CASES)
@pytest.mark.parametrize("eqx", [False, True])
def test_sam_reads_back(mode: str, strand: str, eqx: bool) -> None:
    for result in some_results(mode, strand):
        alignment = read_back(written(result, "sam", eqx=eqx), "sam")
        assert pairs_of(alignment.indices) == pairs_of(result.given_positions())
        assert alignment.sequences[1].seq == result.query.sequence
        assert alignment.sequences[1].id == "query1"
        assert alignment.sequences[0].id == "target1"
        assert len(alignment.sequences[0]) == len(result.target)
        quality = alignment.sequences[1].letter_annotations["phred_quality"]
        expected = result.query.quality
        assert expected is not None
        assert quality == (expected if strand == "+" else expected[::-1]).tolist()  # Biopython leaves it in SAM's order
        assert alignment.score == round(result.log_odds)
        assert alignment.annotations["lo"] == pytest.approx(result.log_odds, rel=1e-6)
        assert alignment.annotations["ea"] == pytest.approx(result.expected_accuracy, rel=1e-6)


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("mode", ["global", "local"])
def test_sam_keeps_insertions_at_the_ends(mode: str, strand: str) -> None:
    oriented = "ccACGTGG"
    query = oriented if strand == "+" else reverse_complement(oriented)
    result = make_result("ACGT", query, "IIMMMMII", mode=mode, strand=strand)
    alignment = read_back(written(result, "sam"), "sam")
    assert np.array_equal(alignment.coordinates, result.alignment.coordinates)
    assert sam_fields(result)[0][5] == "2I4M2I"


def sam_fields(results: Any, **more: Any) -> list[list[str]]:
    return [line.split("\t") for line in written(results, "sam", **more).splitlines() if line[0] != "@"]


def test_sam_by_hand() -> None:
    quality = np.arange(8, dtype=np.uint8)
    result = make_result(
        "ttACGTNAacgtacgt",
        reverse_complement("cACTNtgg"),
        "MMDMMMI",
        start=(2, 1),
        strand="-",
        mode="overlap",
        quality=quality,
        names=("chr1", "read1"),
        confidence=np.array([0.9, 0.99, 0.5, 0.0, 1.0, 0.9999999, 0.25]),
        query_unaligned=np.array([0.9] * 7 + [0.99]),
        log_odds=-3.6,
        candidates=[math.log(0.99), math.log(0.01)],
    )
    name, flag, target, position, mapq, cigar, *mate, sequence, scores = sam_fields(result)[0][:11]
    assert (name, flag, target, position, mapq, mate) == ("read1", "16", "chr1", "3", "20", ["*", "0", "0"])
    assert cigar == "1S2M1D3M1I1S"
    assert sequence == "cACTNtgg"
    assert scores == "".join(chr(q + 33) for q in quality[::-1])
    tags = sam_fields(result)[0][11:]
    by_name = {tag[:2]: tag[5:] for tag in tags}
    assert (by_name["NM"], by_name["MD"], by_name["AS"], by_name["lo"]) == ("4", "2^G1N0A0", "-4", "-3.6")
    assert [ord(c) - 33 for c in by_name["cq"]] == [20, 10, 20, 0, 60, 60, 1, 10]
    assert sam_fields(result, eqx=True)[0][5] == "1S2=1D1=2X1I1S"


def test_sam_header() -> None:
    results = [make_result("ACGT", "ACGT", "MMMM", names=(f"t{n % 2}", f"q{n}")) for n in range(3)]
    header = [line for line in written(results, "sam").splitlines() if line[0] == "@"]
    assert header[0] == "@HD\tVN:1.6\tSO:unsorted"
    assert header[1:3] == ["@SQ\tSN:t0\tLN:4", "@SQ\tSN:t1\tLN:4"]
    assert header[3].startswith("@PG\tID:tiedseq\tPN:tiedseq\tVN:")
    assert written(results, "sam") == written(results, "sam", targets=[("t0", 4), ("t1", 4)])
    assert "SN:unused\tLN:9\n" in written(results, "sam", targets=[("t0", 4), ("unused", 9), ("t1", 4)])
    with pytest.raises(ArgumentError, match="'t1' is missing"):
        written(results, "sam", targets=[("t0", 4)])


@pytest.mark.parametrize("targets", [5, "t0", ["t0"], [("t0", "4")], [("t0",)], [(4, "t0")], [("t0", -1)], {"t0": 4}])
def test_sam_header_of_what_is_no_list_of_targets(targets: Any) -> None:
    with pytest.raises(ArgumentError, match=r"targets.* a pair of a name and a length, such as \('chr1', 1000\)"):
        written(make_result("ACGT", "ACGT", "MMMM"), "sam", targets=targets)


def test_sam_names() -> None:
    assert sam_fields(make_result("A", "A", "M", names=("my chr", "a read")))[0][:3] == ["a_read", "0", "my_chr"]
    assert sam_fields(make_result("A", "A", "M", names=("t", "")))[0][0] == "*"
    with pytest.raises(InputError, match="both named 't'"):
        written([make_result("A", "A", "M"), make_result("AC", "A", "M")], "sam")
    assert sam_fields(make_result("A", "A", "M", names=("t", "q" * 254)))[0][0] == "q" * 254
    result = make_result("A", "A", "M", names=("t", "q" * 255))
    result.query.path, result.query.line = "q.fa", 7
    where = rf"^q\.fa, line 7, record '{'q' * 255}'"
    with pytest.raises(InputError, match=rf"{where}: the name of a read has 255 bytes; SAM takes 254"):
        written(result, "sam")


PRINTABLE = "".join(map(chr, range(33, 127)))
NOT_IN_TARGETS = "\\,\"`'()[]{}<>"  # of them, says section 1.2.1 of the specification


@pytest.mark.parametrize("empty", [False, True])
def test_sam_names_keep_to_the_grammar(empty: bool) -> None:
    def line(target: str, read: str) -> str:
        result = make_result("A", "A", "" if empty else "M", names=(target, read), mode="local")
        result.target.path, result.target.line = "t.fa", 3
        result.query.path, result.query.line = "q.fq", 9
        return written(result, "sam")

    for letter in PRINTABLE + "é\N{COMBINING ACUTE ACCENT}\N{DNA DOUBLE HELIX}":
        name = f"a{letter}b"
        if letter in PRINTABLE.replace("@", ""):
            assert f"\n{name}\t" in line("t", name)
        else:
            with pytest.raises(InputError, match=rf"q\.fq, line 9, record '{name}': '{letter}' .*rename the read"):
                line("t", name)
        if letter in set(PRINTABLE) - set(NOT_IN_TARGETS):
            assert f"\tSN:{name}\t" in line(name, "q")
            assert written([], "sam", targets=[(name, 4)]).count(f"\tSN:{name}\t") == 1
        else:
            with pytest.raises(InputError, match=r"t\.fa, line 3, record .* in the name of a target; .*rename"):
                line(name, "q")
            with pytest.raises(InputError, match=r"^record .* in the name of a target"):
                written([], "sam", targets=[(name, 4)])
    for name in ("=", "*", "=a", "*a", ""):
        with pytest.raises(InputError, match=r"t\.fa, line 3, record .*: SAM has no reference whose name starts with"):
            line(name, "q")
    assert "\tSN:a=*\t" in line("a=*", "q")


HALF = Alphabet("ACGTU", ambiguity={"N": "ACGTU"})  # BAM has one letter for T and U


@pytest.mark.parametrize("alphabet", [PROTEIN, Alphabet("123456"), Alphabet("abAB"), Alphabet("ACGTacgt"), HALF])
def test_sam_is_for_nucleotides(alphabet: Alphabet) -> None:
    """BAM has room for the letters of nucleotides, in one case; every reader takes anything else for N."""
    text = alphabet.letters
    aligned = make_result(text, text, "M" * len(text), alphabet=alphabet)
    lost = make_result(text, text, "", alphabet=alphabet, mode="local")
    for result in (aligned, lost):
        handle = io.StringIO()
        with pytest.raises(
            ArgumentError, match=r"SAM holds nucleotides, not .*: choose another format, one of text, fa"
        ):
            write(result, handle, "sam", targets=[("t", len(text))])
        assert handle.getvalue() == ""
        assert written(result, "json")


def test_sam_refuses_a_letter_that_it_would_lose() -> None:
    alphabet = Alphabet("ACGT", aliases={"1": "A", "x": "C"})
    for target, read, wrong in (("ACGT", "1CGT", "q: '1'"), ("AxGT", "ACGT", "t: 'x'")):
        name, letter = wrong.split(": ")
        with pytest.raises(InputError, match=f"record '{name}': {letter} in the sequence; SAM has the letters"):
            written(make_result(target, read, "MMMM", alphabet=alphabet), "sam")
    with pytest.raises(InputError, match="record 'q': '1' in the sequence"):
        written(make_result("ACGT", "1CGT", "", alphabet=alphabet, mode="local"), "sam")


def test_sam_tags_of_other_alphabets() -> None:
    """An ambiguity code equals nothing; U is written as T, since readers take it for N."""

    def tags(target: str, query: str, alphabet: Alphabet) -> tuple[str, str, str, str]:
        result = make_result(target, query, "M" * len(target), alphabet=alphabet)
        fields = sam_fields(result, eqx=True)[0]
        return fields[5], fields[9], fields[11], fields[12]

    assert tags("ACNT", "ACNt", DNA) == ("2=1X1=", "ACNt", "NM:i:1", "MD:Z:2N1")
    assert tags("ACUGuN", "ACTAAN", RNA) == ("3=3X", "ACTAAN", "NM:i:3", "MD:Z:3G0T0N0")
    assert tags("ACUGuN", "uCUAAN", DNA) == ("1X2=3X", "tCTAAN", "NM:i:4", "MD:Z:0A2G0T0N0")
    assert tags("ACGT", "AcGG", Alphabet("ACGT", aliases={"c": "C"})) == ("3=1X", "AcGG", "NM:i:1", "MD:Z:3T0")


@needs_samtools
@pytest.mark.parametrize("strand", "+-")
@pytest.mark.parametrize("alphabet", [DNA, RNA])
def test_samtools_keeps_the_letters_of_rna(alphabet: Alphabet, strand: str, tmp_path: Path) -> None:
    """Through BAM, and with the tags that it computes from a reference in DNA."""
    oriented = "ACGUUGCAuuGGCAUCC"
    complement = str.maketrans("ACGUacgu", "UGCAugca")
    query = oriented if strand == "+" else oriented.translate(complement)[::-1]
    target = "GG" + oriented[:8] + "ACU" + oriented[8:12] + "U" + oriented[13:]
    path = "M" * 8 + "DDD" + "M" * 9
    more: dict[str, Any] = {"strand": strand, "alphabet": alphabet}
    results = [
        make_result(target, query, path, start=(2, 0), mode="glocal", **more),
        make_result(target, query, "", mode="local", names=("t", "lost"), **more),
    ]
    write(results, tmp_path / "x.sam")
    (tmp_path / "t.fa").write_text(f">t\n{target.replace('U', 'T').replace('u', 't')}\n")
    samtools("view", "-b", "-o", tmp_path / "x.bam", tmp_path / "x.sam")
    lines = [line.split("\t") for line in samtools("view", tmp_path / "x.bam").stdout.splitlines()]
    assert [line[9] for line in lines] == [text.upper().replace("U", "T") for text in (oriented, query)]
    checked = samtools("calmd", tmp_path / "x.sam", tmp_path / "t.fa")
    assert "different" not in checked.stderr
    assert "MD:Z:8^ACT4T4" in checked.stdout and "NM:i:4" in checked.stdout


@pytest.mark.parametrize("mode", ["global", "local", "glocal", "overlap"])
def test_sam_of_a_read_that_is_likelier_unrelated(mode: str) -> None:
    """Where the read was searched for, it was not found; where the ends were given, they were asked for."""
    results = [
        make_result("ACGT", "ACGT", "MMMM", mode=mode, names=("t", f"q{odds}"), strand="-", log_odds=odds,
                    is_primary=primary, quality=np.array([0, 1, 2, 3], np.uint8))
        for odds in (-math.inf, -0.01, 0.0, 5.0) for primary in (True, False)
    ]  # fmt: skip
    lines = sam_fields(results)
    if mode in ("global", "overlap"):
        assert [line[1] for line in lines] == ["16", "272"] * 4
    else:
        assert [line[1] for line in lines] == ["4", "4", "16", "272", "16", "272"]
        assert lines[1] == ["q-0.01", "4", "*", "0", "0", "*", "*", "0", "0", "ACGT", '!"#$']
    for format in ("maf", "paf", "json"):  # which say what was aligned
        assert written(results, format).count("q-0.01") == 2


def test_sam_primary_secondary_unmapped() -> None:
    weights = [math.log(0.9), math.log(0.1)]
    results = [
        make_result("ACGT", "ACGT", "MMMM", candidates=weights, candidate=0),
        make_result("ACGT", "ACGT", "MMMM", candidates=weights, candidate=1, is_primary=False, strand="-"),
        make_result("ACGT", "ACGT", "", mode="local", is_primary=False),
        make_result(
            "ACGT", "ggg", "", mode="local", names=("t", "lost"), strand="-", quality=np.array([1, 2, 3], np.uint8)
        ),
        make_result("ACGT", "", "DDDD", names=("t", "empty")),
        make_result("", "AC", "II", names=("nothing", "alone")),
    ]
    lines = sam_fields(results)
    assert [line[:5] for line in lines[:2]] == [["q", "0", "t", "1", "10"], ["q", "272", "t", "1", "0"]]
    assert lines[2] == ["lost", "4", "*", "0", "0", "*", "*", "0", "0", "ggg", '"#$']
    assert lines[3] == ["empty", "4", "*", "0", "0", "*", "*", "0", "0", "*", "*"]
    assert lines[4][:2] == ["alone", "4"]
    assert "nothing" not in written(results, "sam")  # SAM has no reference of length 0


def test_sam_of_a_filtered_read_is_clipped_or_unmapped() -> None:
    confidence = np.array([0.1, 0.9, 0.2, 0.9, 0.3])
    result = make_result("ACGTA", "ACGTA", "MMMMM", mode="local", confidence=confidence)
    assert sam_fields(result.filter(0.5))[0][3:6] == ["2", "255", "1S1M1I1D1M1S"]
    assert sam_fields(result.filter(0.95))[0][1] == "4"


def samtools(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["samtools", *map(str, words)], check=True, capture_output=True, text=True)


@needs_samtools
@pytest.mark.parametrize(("mode", "strand"), CASES)
def test_samtools_takes_it_and_computes_the_same_tags(mode: str, strand: str, tmp_path: Path) -> None:
    """`samtools calmd` is an independent source of NM and MD; `view` parses every field."""
    rng = np.random.default_rng([len(mode), ord(strand), 8])
    results = [random_result(rng, mode=mode, strand=strand, target_name=f"target{n}") for n in range(25)]
    results.append(
        make_result(results[0].target.sequence, "", "D" * len(results[0].target), names=("target0", "empty"))
    )
    path = tmp_path / "out.sam"
    write(results, path)
    reference = tmp_path / "reference.fa"
    reference.write_text("".join(f">{r.target_name}\n{r.target.sequence}\n" for r in results[:-1]))
    samtools("quickcheck", path)
    samtools("sort", "-o", tmp_path / "out.bam", path)
    samtools("index", tmp_path / "out.bam")
    assert int(samtools("view", "-c", "-F", "4", tmp_path / "out.bam").stdout) == len(results) - 1
    checked = samtools("calmd", path, reference)
    assert "different" not in checked.stderr  # calmd warns where NM or MD differ from its own
    recomputed = [line.split("\t") for line in checked.stdout.splitlines() if line[0] != "@"]
    ours = [line.split("\t") for line in path.read_text().splitlines() if line[0] != "@"]
    for line, expected in zip(ours, recomputed, strict=True):
        assert line[:9] == expected[:9]
        assert line[9].upper() == expected[9].upper()
        assert line[10] == expected[10]
        exact, recomputed_exact = ({tag for tag in tags[11:] if tag[3] != "f"} for tags in (line, expected))
        assert exact == recomputed_exact
        assert len(exact) == (4 if line[1] != "4" else 0)


@pytest.mark.parametrize(("mode", "strand"), CASES)
def test_stockholm_reads_back(mode: str, strand: str) -> None:
    for result in some_results(mode, strand):
        text = written(result, "stockholm")
        alignment = read_back(text, "stockholm")
        assert (alignment[0], alignment[1]) == result.rows
        starts = []
        for sequence, name in zip(alignment.sequences, ("target1", "query1"), strict=True):
            found, _, span = sequence.id.rpartition("/")
            first, last = map(int, span.split("-"))
            assert found == name
            starts.append((first - 1, last) if first <= last else (first, last - 1))
        expected = result.alignment.coordinates
        assert [a for a, _ in starts] == expected[:, 0].tolist()
        assert [b for _, b in starts] == expected[:, -1].tolist()
        for sequence, row in zip(alignment.sequences, result.columns, strict=True):
            marks = sequence.letter_annotations["posterior probability"]
            assert marks == digits(result.confidence[row >= 0])


@pytest.mark.parametrize("format", ["clustal", "fasta"])
@pytest.mark.parametrize(("mode", "strand"), CASES)
def test_clustal_and_fasta_read_back(format: str, mode: str, strand: str) -> None:
    for result in some_results(mode, strand):
        alignment = read_back(written(result, format), format)
        assert (alignment[0], alignment[1]) == result.rows
        assert [s.id for s in alignment.sequences] == ["target1", "query1"]
        if format == "clustal":
            stars = alignment.column_annotations["clustal_consensus"]
            assert stars == "".join("*" if match else " " for match in result.is_match)


@pytest.mark.parametrize("format", ["clustal", "stockholm"])
def test_rows_have_two_names(format: str) -> None:
    alignment = read_back(written(make_result("ACGT", "ACGT", "MMMM", names=("same", "same")), format), format)
    assert [s.id.split("/")[0] for s in alignment.sequences] == ["same", "same.query"]


@pytest.mark.parametrize(("mode", "strand"), CASES)
@pytest.mark.parametrize("eqx", [False, True])
def test_paf_reads_back(mode: str, strand: str, eqx: bool) -> None:
    for result in some_results(mode, strand):
        fields = written(result, "paf", eqx=eqx).rstrip("\n").split("\t")
        assert len(fields) >= 12
        assert fields[0] == "query1"
        assert fields[4:6] == [strand, "target1"]
        n_query, q_start, q_end, n_target, t_start, t_end, matches, length, quality = (
            int(fields[k]) for k in (1, 2, 3, 6, 7, 8, 9, 10, 11)
        )
        assert (n_query, n_target, quality) == (len(result.query), len(result.target), 255)
        tags = {tag[:2]: tag[5:] for tag in fields[12:]}
        pairs, i, j, seen = [], t_start, q_start if strand == "+" else q_end - 1, 0
        step = 1 if strand == "+" else -1
        for operation, n in cigar_parts(tags["cg"]):
            seen += n
            for _ in range(n):
                if operation in "M=X":
                    pairs.append([i, j])
                    equal = letter(result, i, j).upper() == result.target.sequence[i].upper()
                    assert not eqx or operation == ("=" if equal else "X")
                i += operation != "I"
                j += step * (operation != "D")
        assert pairs == pairs_of(result.given_positions())
        assert (i, j) == (t_end, q_end if strand == "+" else q_start - 1)
        assert seen == length == result.n_columns
        assert matches == result.is_match.sum() == length - int(tags["NM"])
        assert tags["tp"] == "P"
        assert float(tags["lo"]) == pytest.approx(result.log_odds, rel=1e-6)


def letter(result: AlignmentResult, i: int, j: int) -> str:
    text = result.query.sequence[j]
    return text if result.strand == "+" else reverse_complement(text)


def test_tsv_is_the_frame() -> None:
    import pandas as pd

    results = [make_result("ACGTT", "AAGT", "MDMMM", strand="-", names=("t", "q"), seed=n) for n in range(2)]
    table = pd.read_csv(io.StringIO(written(results, "tsv")), sep="\t")
    for n, result in enumerate(results):
        frame = result.to_frame()
        part = table[5 * n : 5 * n + 5].reset_index(drop=True)
        for column in ("column", "target_pos", "query_pos"):
            assert part[column].astype("Int64").tolist() == frame[column].astype("Int64").tolist()
        assert part["letters"].tolist() == frame["letters"].tolist()
        assert np.allclose(part["confidence"], frame["confidence"], rtol=1e-5, atol=0.0)
    assert set(table["strand"]) == {"-"}


@pytest.mark.parametrize("n", [0, 1, 3])
def test_json_is_an_array(n: int) -> None:
    results = [make_result("ACGT", "ACT", "MMDM", seed=k) for k in range(n)]
    assert json.loads(written(results, "json")) == [result.to_dict() for result in results]


def test_text_is_print() -> None:
    results = [make_result("ACGT", "ACT", "MMDM", seed=k) for k in range(2)]
    assert written(results, "text") == "".join(f"{result}\n\n" for result in results)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("path", ["", "DDD"])
def test_nothing_aligned(format: str, path: str) -> None:
    text = written(make_result("ACG", "", path, mode="global" if path else "local"), format)
    if format in ("fasta", "clustal", "stockholm", "paf"):
        assert text == ""
    elif format == "maf":
        assert all(line.startswith("#") or not line for line in text.splitlines())
    else:
        assert text


@pytest.mark.parametrize("format", FORMATS)
def test_no_results(format: str) -> None:
    assert isinstance(written([], format), str)


def test_infinite_scores_never_print_as_such() -> None:
    for format in set(FORMATS) - {"text"}:
        text = written(make_result("A", "A", "M", log_odds=-math.inf, log_likelihood=-math.inf), format)
        assert "inf" not in text.lower()
        assert "nan" not in text.lower()


# Files.


def test_suffixes(tmp_path: Path) -> None:
    result = make_result("ACGT", "ACGT", "MMMM")
    for name, format in {
        "a.sam": "sam",
        "b.MAF": "maf",
        "c.sto": "stockholm",
        "d.aln": "clustal",
        "e.json": "json",
    }.items():
        write(result, tmp_path / name)
        assert (tmp_path / name).read_text() == written(result, format)
    write(result, str(tmp_path / "f.paf.gz"))
    assert gzip.decompress((tmp_path / "f.paf.gz").read_bytes()).decode() == written(result, "paf")
    assert format_of("reads.tsv.gz") == "tsv"
    for name, complaint in {"x": "names no format", "x.xyz": "names no format", "x.bam": "samtools view"}.items():
        with pytest.raises(ArgumentError, match=complaint):
            write(result, tmp_path / name)
    for wrong in ("xml", "SAM", 3):
        unknown: Any = wrong
        with pytest.raises(ArgumentError, match=f"format must be one of text, fasta, .*, not {wrong!r}"):
            write(result, tmp_path / "x", unknown)
    nowhere: Any
    for nowhere in (5, None, ["a.sam"]):
        with pytest.raises(ArgumentError, match=r"path=.* is neither a path nor an open file"):
            write(result, nowhere)
    folder, text = os.fsencode(tmp_path), written(result, "maf")
    write(result, os.path.join(folder, b"g.maf"))
    assert (tmp_path / "g.maf").read_text() == text
    for place in (os.path.join(folder, b"h.MAF.gz"), str(tmp_path / "i.maf.GZ")):
        write(result, place)
        assert gzip.decompress(Path(os.fsdecode(place)).read_bytes()).decode() == text


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_no_result(format: str, tmp_path: Path) -> None:
    result = make_result("ACGT", "ACGT", "MMMM")
    wrong: Any
    for wrong, complaint in (
        (None, "results must be an AlignmentResult.*, not of type NoneType"),
        (5, "results must be .*, not of type int"),
        ([5], r"results\[0\] is of type int: give an AlignmentResult"),
        ("abc", r"results\[0\] is of type str"),
        ([result, [result]], r"results\[1\] is of type list"),
        (result.alignment, "results must be .*, not of type Alignment"),
    ):
        with pytest.raises(ArgumentError, match=complaint):
            write(wrong, tmp_path / "x", format)
    assert os.listdir(tmp_path) == []


def test_compressed_bytes_repeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for hour, name in enumerate(("a.sam.gz", "b.sam.gz")):
        monkeypatch.setattr(time, "time", lambda hour=hour: 3600.0 * hour)
        write(make_result("ACGT", "ACGT", "MMMM"), tmp_path / name)
    assert (tmp_path / "a.sam.gz").read_bytes() == (tmp_path / "b.sam.gz").read_bytes()


def failing(error: BaseException, after: int = 1) -> Iterator[AlignmentResult]:
    for _ in range(after):
        yield make_result("ACGT", "ACGT", "MMMM")
    raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError("bad"), MemoryError(), SystemExit(143)])
@pytest.mark.parametrize("name", ["out.sam", "out.maf", "out.maf.gz"])
@pytest.mark.parametrize("after", [0, 1])
def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, error: BaseException, name: str, after: int) -> None:
    path = tmp_path / name
    with pytest.raises(type(error)):
        write(failing(error, after), path)
    assert os.listdir(tmp_path) == []
    path.write_text("before")
    with pytest.raises(type(error)):
        write(failing(error, after), path)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("format", FORMATS)
def test_no_header_before_the_first_result(format: str) -> None:
    handle = io.StringIO()
    with pytest.raises(InputError):
        write(failing(InputError("bad"), after=0), handle, format, targets=[("t", 4)])
    assert handle.getvalue() == ""


def test_a_file_is_replaced_at_the_end_only(tmp_path: Path) -> None:
    path = tmp_path / "out.maf"
    path.write_text("before")
    path.chmod(0o640)

    def results() -> Iterator[AlignmentResult]:
        for _ in range(3):
            assert path.read_text() == "before"
            yield make_result("ACGT", "ACGT", "MMMM")

    write(results(), path)
    assert path.read_text().startswith("##maf")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_new_files_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    write(make_result("A", "A", "M"), tmp_path / "out.maf")
    assert (tmp_path / "out.maf").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_symbolic_links_stay(tmp_path: Path) -> None:
    (tmp_path / "link.maf").symlink_to(tmp_path / "real.maf")
    write(make_result("A", "A", "M"), tmp_path / "link.maf")
    assert (tmp_path / "link.maf").is_symlink()
    assert (tmp_path / "real.maf").read_text().startswith("##maf")


def test_unwritable_places(tmp_path: Path) -> None:
    result = make_result("A", "A", "M")
    with pytest.raises(ResourceError, match=r"nowhere/out.maf: cannot write: No such file or directory"):
        write(result, tmp_path / "nowhere" / "out.maf")
    with pytest.raises(ResourceError, match="is a directory"):
        write(result, tmp_path, "maf")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot write"):
        write(result, tmp_path / "file" / "out.maf")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("format", ["maf", "sam"])
@pytest.mark.parametrize("n", [1, 3000])
def test_full_disk(format: str, n: int) -> None:
    with pytest.raises(ResourceError, match="/dev/full: cannot write: No space left on device"):
        write([make_result("ACGT" * 20, "ACGT" * 20, "M" * 80)] * n, "/dev/full", format)


def test_closed_handles_and_narrow_encodings(tmp_path: Path) -> None:
    result = make_result("A", "A", "M", names=("t", "\xe9"))
    text, binary = io.StringIO(), io.BytesIO()
    with open(tmp_path / "closed", "w") as file:
        pass
    for handle in (text, binary, file):
        handle.close()
        with pytest.raises(ArgumentError, match="is a closed file: give an open one, or a path"):
            write(result, handle)
    complaint = r"ascii: cannot write: its encoding, ascii, has no '\\xe9'; open it with encoding='utf-8'"
    with open(tmp_path / "ascii", "w", encoding="ascii") as file, pytest.raises(ArgumentError, match=complaint):
        write(result, file)

    def closing(handle: Any) -> Iterator[AlignmentResult]:
        yield result
        handle.close()
        yield result

    text = io.StringIO()
    with pytest.raises(ArgumentError, match="output: cannot write: I/O operation on closed file"):
        write(closing(text), text)


def test_handles() -> None:
    result = make_result("A", "A", "M", names=("é", "q"))
    binary = io.BytesIO()
    write(result, binary, "maf")
    assert binary.getvalue().decode() == written(result, "maf")
    assert not binary.closed
    text = io.StringIO()
    write(result, text)
    assert text.getvalue() == f"{result}\n\n"


def test_results_are_written_as_they_come() -> None:
    handle = io.StringIO()
    lengths = []

    def results() -> Iterator[AlignmentResult]:
        for _ in range(4):
            yield make_result("ACGT", "ACGT", "MMMM")
            lengths.append(len(handle.getvalue()))

    write(results(), handle, "paf")
    assert lengths[-1] > lengths[1] > 0
