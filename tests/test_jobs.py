"""Whole jobs as users run them: real sequences in, `python -m tiedseq align`, files that other programs read out."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from commands import ENVIRONMENT, TIEDSEQ, run
from numpy.testing import assert_allclose
from results_by_hand import cigar_parts, reverse_complement

import tiedseq as ts
from tiedseq import cli, formats
from tiedseq.records import Record

needs_samtools = pytest.mark.skipif(shutil.which("samtools") is None, reason="samtools is not installed")
needs_signals = pytest.mark.skipif(os.name == "nt", reason="signals of Unix")


def samtools(*words: str | Path) -> str:
    return subprocess.run(["samtools", *map(str, words)], check=True, capture_output=True, text=True).stdout


def fasta(records: list[Record]) -> str:
    return "".join(f">{record.description or record.name}\n{record.sequence}\n" for record in records)


def fastq(records: list[Record]) -> str:
    quality = [(q.quality + 33).astype(np.uint8).tobytes().decode() for q in records if q.quality is not None]
    return "".join(f"@{r.name}\n{r.sequence}\n+\n{q}\n" for r, q in zip(records, quality, strict=True))


def cigar_pairs(cigar: str, i: int, j: int, step: int = 1) -> list[tuple[int, int]]:
    """The aligned pairs of a CIGAR; `step` is -1 where the query's positions descend."""
    pairs = []
    for operation, length in cigar_parts(cigar):
        if operation in "M=X":
            pairs += [(i + k, j + step * k) for k in range(length)]
        i += length * (operation in "M=XDN")
        j += step * length * (operation in "M=XIS")
    return pairs


def pairs_of(result: ts.AlignmentResult) -> list[tuple[int, int]]:
    """Aligned pairs on both sequences as given."""
    return [(i, j) for i, j in result.given_positions().T.tolist() if i >= 0 and j >= 0]


# --- the main job -----------------------------------------------------------------------------------------------------


def test_two_genomes(data: Path) -> None:
    """The blocks that are printed hold both genomes, letter by letter, with coordinates that count them."""
    human, orangutan = (data / f"{name}_mt.fa" for name in ("human", "orangutan"))
    done = run("align", human, orangutan)
    assert done.returncode == 0
    records = [next(ts.read(path)) for path in (human, orangutan)]
    result = ts.align(records[0], records[1])
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{records[0].name} x {records[1].name}, strand +, log-odds 1")
    assert lines[0] == str(result).splitlines()[0] and lines[-1] == ""
    margin = max(len(record.name) for record in records) + len(" 16569 ")
    rows, counted = ["", ""], [0, 0]
    for k in range(2, len(lines) - 1, 5):
        top, matches, bottom, confidence = lines[k : k + 4]
        for side, (line, record) in enumerate(zip((top, bottom), records, strict=True)):
            name, *first = line[:margin].split()
            row, *last = line[margin:].split()
            assert name == record.name and len(row) == len(confidence) - margin <= 60
            assert first == [str(counted[side] + 1)] * (set(row) != {"-"})
            counted[side] += len(row) - row.count("-")
            assert last == [str(counted[side])] * (set(row) != {"-"})
            rows[side] += row
        equal = [x == y for x, y in zip(rows[0][-len(row) :], rows[1][-len(row) :], strict=True)]
        assert [mark == "|" for mark in matches[margin:].ljust(len(row))] == equal
        assert lines[k + 4] == "" and confidence.startswith("confidence ")
    assert [row.replace("-", "") for row in rows] == [record.sequence for record in records]
    assert tuple(rows) == result.rows
    assert done.stderr == f"tiedseq: 1 record, 0 skipped, mean confidence {result.expected_accuracy:.4f}\n"


@needs_signals
def test_head_of_a_long_output(data: Path) -> None:
    """`| head` closes the pipe; the shell sees the two statuses, and nobody a message."""
    words = " ".join([*TIEDSEQ, "align", str(data / "human_mt.fa"), str(data / "orangutan_mt.fa"), "--format", "tsv"])
    done = subprocess.run(
        ["bash", "-c", f"{words} | head -n 3; echo ${{PIPESTATUS[*]}}"], capture_output=True, text=True, env=ENVIRONMENT
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 4 and lines[0].startswith("target\tquery")
    assert lines[3] == f"{cli.CLOSED_PIPE} 0"
    assert done.stderr == ""


# --- every format, both strands ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pieces(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pieces of the human genome, and of the mouse's from the same place, one from each strand, with flanks."""
    folder = tmp_path_factory.mktemp("pieces")
    human, mouse = (next(ts.read(data / f"{name}_mt.fa")).sequence for name in ("human", "mouse"))
    (folder / "t.fa").write_text(
        fasta([Record("t1", human[100:900], "t1 12S"), Record("t2", human[1400:2300].lower())])
    )
    plus, minus = mouse[170:850], mouse[1450:2150]
    (folder / "q.fa").write_text(
        fasta([Record("plus", plus, "plus strand"), Record("minus", reverse_complement(minus)), Record("empty", "")])
    )
    return folder


@pytest.fixture(scope="module")
def expected(pieces: Path) -> list[ts.AlignmentResult]:
    results = list(ts.align_all(pieces / "t.fa", pieces / "q.fa", mode="local", strand="both"))
    assert [(r.target_name, r.query_name, r.strand) for r in results[:2]] == [("t1", "plus", "+"), ("t2", "minus", "-")]
    assert all(r.is_residue.sum() > 400 and not r.is_residue.all() for r in results[:2])
    assert results[2].is_empty
    return results


def output(pieces: Path, *words: str) -> str:
    target = pieces / "out.txt"
    command = ["align", str(pieces / "t.fa"), str(pieces / "q.fa"), "--mode", "local", "--strand", "both", "--quiet"]
    assert cli.main([*command, "-o", str(target), *words]) == 0
    return target.read_text()


@pytest.mark.parametrize("format", ["maf", "stockholm", "clustal", "fasta", "sam"])
def test_biopython_reads_it_back(format: str, pieces: Path, expected: list[ts.AlignmentResult]) -> None:
    from Bio import Align

    text = output(pieces, "--format", format)
    if format in ("fasta", "clustal"):  # Biopython reads one alignment a file
        mark = ">t" if format == "fasta" else "CLUSTAL"
        parts = [mark + part for part in text.split(mark)[1:]]
        found = [Align.read(io.StringIO(part), format) for part in parts]
    else:  # Biopython cannot read unmapped lines without letters, which samtools takes
        mapped = [line for line in text.splitlines(keepends=True) if not line.startswith("empty\t4\t")]
        found = [*Align.parse(io.StringIO("".join(mapped)), format)]
    for alignment, result in zip(found, expected[:2], strict=True):
        if format in ("maf", "sam"):
            indices = np.array(alignment.indices)
            assert [(i, j) for i, j in indices.T.tolist() if i >= 0 and j >= 0] == pairs_of(result)
            assert [s.id for s in alignment.sequences] == [result.target_name, result.query_name]
            assert [len(s.seq) for s in alignment.sequences] == [len(result.target), len(result.query)]
        if format == "maf":
            assert alignment.score == pytest.approx(result.log_odds, rel=1e-7)
        if format != "sam":
            assert (alignment[0], alignment[1]) == result.rows
        else:
            assert alignment.sequences[1].seq == result.query.sequence
        if format == "stockholm":
            (a, c), (b, d) = result.target_span, result.query_span
            spans = (
                [f"t1/{a + 1}-{c}", f"plus/{b + 1}-{d}"]
                if result.strand == "+"
                else [f"t2/{a + 1}-{c}", f"minus/{d}-{b + 1}"]
            )
            assert [s.id for s in alignment.sequences] == spans


@pytest.mark.parametrize("eqx", [[], ["--eqx"]])
def test_paf_reads_back(eqx: list[str], pieces: Path, expected: list[ts.AlignmentResult]) -> None:
    lines = output(pieces, "--format", "paf", *eqx).splitlines()
    for line, result in zip(lines, expected[:2], strict=True):
        fields = line.split("\t")
        cigar = next(field[5:] for field in fields if field.startswith("cg:Z:"))
        first, last, start = int(fields[2]), int(fields[3]), int(fields[7])
        pairs = cigar_pairs(cigar, start, *((first, 1) if fields[4] == "+" else (last - 1, -1)))
        assert pairs == pairs_of(result)
        assert ("=" in cigar) == bool(eqx)
        assert [fields[k] for k in (0, 1, 4, 5, 6)] == [
            result.query_name, str(len(result.query)), result.strand, result.target_name, str(len(result.target)),
        ]  # fmt: skip


def test_tables_read_back(pieces: Path, expected: list[ts.AlignmentResult]) -> None:
    import pandas as pd

    assert json.loads(output(pieces, "--format", "json")) == [result.to_dict() for result in expected]
    table = pd.read_csv(io.StringIO(output(pieces, "--format", "tsv")), sep="\t")
    for result in expected[:2]:
        part = table[table["query"] == result.query_name].dropna()
        pairs = part[["target_pos", "query_pos"]].astype(int)
        assert list(map(tuple, pairs.to_numpy().tolist())) == pairs_of(result)
        assert_allclose(part["confidence"], result.confidence[result.is_residue], rtol=1e-5)
    assert output(pieces, "--format", "text") == "".join(f"{result}\n\n" for result in expected)


@needs_samtools
def test_samtools_reads_it_back(pieces: Path, expected: list[ts.AlignmentResult]) -> None:
    path = pieces / "out.sam"
    path.write_text(output(pieces, "--format", "sam"))
    samtools("quickcheck", path)
    (pieces / "out.bam").write_bytes(subprocess.run(["samtools", "sort", path], check=True, capture_output=True).stdout)
    lines = [line.split("\t") for line in samtools("view", pieces / "out.bam").splitlines()]
    assert [(line[0], line[1], line[2]) for line in lines] == [
        ("plus", "0", "t1"),
        ("minus", "16", "t2"),
        ("empty", "4", "*"),
    ]
    for line, result in zip(lines[:2], expected[:2], strict=True):
        pairs = cigar_pairs(line[5], int(line[3]) - 1, 0)
        n = len(result.query)
        assert [(i, j if result.strand == "+" else n - 1 - j) for i, j in pairs] == pairs_of(result)
        assert line[9].upper() == result.aligned_query_text.upper()
    assert lines[2][9:] == ["*", "*"]


# --- options ----------------------------------------------------------------------------------------------------------


def test_pairs_of_genes(data: Path, tmp_path: Path) -> None:
    """The six genes of the cluster, in order and by name."""
    genes = list(ts.read(data / "hbb_cds.fa"))
    (tmp_path / "reversed.fa").write_text(fasta(genes[::-1]))
    names = [gene.name for gene in genes]
    for option, queries in (("--pairs", names[::-1]), ("--pairs=name", names)):
        done = run("align", data / "hbb_cds.fa", tmp_path / "reversed.fa", option, "--format", "paf", "--quiet")
        fields = [line.split("\t") for line in done.stdout.splitlines()]
        assert done.returncode == 0 and done.stderr == ""
        assert {(line[5], line[0]) for line in fields} == set(zip(names, queries, strict=True))
        equal = [line[9] == line[1] == line[6] for line in fields]
        assert equal == [option != "--pairs"] * 6


def test_all_targets(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every gene with every gene: the likeliest is the gene itself, the others are secondary."""
    words = ["align", str(data / "hbb_cds.fa"), str(data / "hbb_cds.fa"), "--format", "sam", "--all", "--quiet"]
    assert cli.main(words) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines() if line[0] != "@"]
    assert len(lines) == 36
    for line in lines:
        assert (line[1] == "0") == (line[0] == line[2])
        assert line[1] in ("0", "256")


def test_min_confidence(pieces: Path, expected: list[ts.AlignmentResult]) -> None:
    found = json.loads(output(pieces, "--format", "json", "--min-confidence", "0.95"))
    assert found == [result.filter(0.95).to_dict() for result in expected]
    lost = [r.is_residue.sum() - r.filter(0.95).is_residue.sum() for r in expected[:2]]
    assert min(lost) > 10
    for result in found[:2]:
        pairs = [
            p
            for p, x, y in zip(result["confidence"], result["target_row"], result["query_row"], strict=True)
            if "-" not in x + y
        ]
        assert min(pairs) >= 0.95
    assert [r["query"] for r in json.loads(output(pieces, "--format", "json", "--min-accuracy", "0.5"))] == [
        "plus",
        "minus",
    ]


@pytest.mark.parametrize("side", ["target", "query"])
def test_standard_input(side: str, pieces: Path) -> None:
    words: list[str | Path] = ["-", pieces / "q.fa"] if side == "target" else [pieces / "t.fa", "-"]
    content = gzip.compress((pieces / f"{side[0]}.fa").read_bytes())
    done = run(
        "align", *words, "--mode", "local", "--strand", "both", "--format", "sam", "--quiet", input=content, text=False
    )
    assert done.returncode == 0
    assert done.stdout.decode() == output(pieces, "--format", "sam")


def test_empty_records(pieces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Legal on both sides, in every mode and format; an unmapped line in SAM."""
    (pieces / "empty.fa").write_text(">nothing\n>t\nACGTACGTAA\n")
    (pieces / "reads.fq").write_text("@e1\n\n+\n\n@r\nACGTACGTA\n+\nIIIIIIIII\n@e2\n\n+\n\n")
    for mode in ("global", "local", "glocal", "overlap"):
        for decode in ("mea", "viterbi"):
            for format in formats.FORMATS:
                words = [str(pieces / "empty.fa"), str(pieces / "reads.fq"), "--mode", mode, "--decode", decode]
                assert cli.main(["align", *words, "--format", format, "--strand", "both", "--all"]) == 0
                shown = capsys.readouterr()
                assert "nan" not in shown.out.lower() and "inf" not in shown.out.lower()
                if format == "sam":
                    lines = [line.split("\t") for line in shown.out.splitlines() if line[0] != "@"]
                    unmapped = [line for line in lines if line[1] == "4"]
                    assert [line[0] for line in unmapped if line[0] != "r"] == ["e1", "e2"]
                    assert all(line[2:9] == ["*", "0", "0", "*", "*", "0", "0"] for line in unmapped)
                    assert "@SQ\tSN:t\tLN:10" in shown.out and "SN:nothing" not in shown.out


# --- nanopore reads ---------------------------------------------------------------------------------------------------


@needs_samtools
def test_nanopore_reads(data: Path, tmp_path: Path) -> None:
    """All reads of phage M13: the SAM is what samtools takes, and its NM and MD are those that samtools computes.

    The shortest read is like nothing in the reference: they share no 12 letters in a row.
    """
    reference, reads, path = data / "m13_reference.fa", data / "m13_reads.fq", tmp_path / "x.sam"
    done = run("align", reference, reads, "--mode", "glocal", "--strand", "both", "--threads", "2", "-o", path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("tiedseq: 31 records, 0 skipped, mean confidence 0.")
    assert os.listdir(tmp_path) == ["x.sam"]
    samtools("quickcheck", path)
    lines = [line.split("\t") for line in samtools("view", path).splitlines()]
    records = list(ts.read(reads))
    assert [line[0] for line in lines] == [record.name for record in records]
    shortest = min(records, key=len)
    assert [line for line in lines if line[1] == "4"] == [
        [shortest.name, "4", "*", "0", "0", "*", "*", "0", "0", shortest.sequence, fastq([shortest]).splitlines()[3]]
    ]
    text = "".join(target.sequence + "N" + reverse_complement(target.sequence) + "N" for target in ts.read(reference))
    assert all(shortest.sequence[k : k + 12] not in text for k in range(len(shortest) - 11))
    mapped = [(line, record) for line, record in zip(lines, records, strict=True) if record is not shortest]
    assert {line[1] for line, _ in mapped} == {"0", "16"} and {line[2] for line, _ in mapped} == {"M13", "DNA_CS"}
    for line, record in mapped:
        assert line[9] == (record.sequence if line[1] == "0" else reverse_complement(record.sequence))
        assert sum(n for operation, n in cigar_parts(line[5]) if operation in "MIS") == len(record)
        assert record.quality is not None and len(line[10]) == len(record)
    confident = [line for line, _ in mapped if float(next(tag[5:] for tag in line if tag.startswith("ea:f:"))) > 0.8]
    assert len(confident) > 25
    assert all(int(line[4]) == 60 for line in confident)
    subprocess.run(["samtools", "sort", "-o", tmp_path / "x.bam", path], check=True, capture_output=True)
    samtools("index", tmp_path / "x.bam")
    assert int(samtools("view", "-c", tmp_path / "x.bam", "M13:1000-5000")) > 10
    checked = subprocess.run(["samtools", "calmd", path, reference], check=True, capture_output=True, text=True)
    assert "different" not in checked.stderr
    assert [line.split("\t")[:11] for line in checked.stdout.splitlines() if line[0] != "@"] == [
        line[:11] for line in lines
    ]


def test_output_does_not_depend_on_threads(data: Path, tmp_path: Path) -> None:
    short = [record for record in ts.read(data / "m13_reads.fq") if len(record) < 1500]
    assert len(short) >= 4
    (tmp_path / "short.fq").write_text(fastq(short * 2))
    outputs = set()
    for threads in (1, 2, 3):
        done = run(
            "align", data / "m13_reference.fa", tmp_path / "short.fq", "--mode", "glocal", "--strand", "both", "--all",
            "--threads", str(threads), "-o", tmp_path / "x.sam",
        )  # fmt: skip
        assert done.returncode == 0
        outputs.add(((tmp_path / "x.sam").read_bytes(), done.stderr))
    assert len(outputs) == 1


# --- interruptions ----------------------------------------------------------------------------------------------------


@needs_signals
@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("existing", [False, True])
def test_interrupted_while_it_writes(threads: str, existing: bool, data: Path, tmp_path: Path) -> None:
    """Ctrl-C in the middle of many reads: status 130, silence, no new file, and the old one as it was."""
    path = tmp_path / "x.sam"
    if existing:
        path.write_text("before")
    short = [record for record in ts.read(data / "m13_reads.fq") if len(record) < 1500]
    (tmp_path / "long.fq").write_text(fastq(short * 200))
    words = [
        "align",
        str(data / "m13_reference.fa"),
        str(tmp_path / "long.fq"),
        "--mode",
        "glocal",
        "--threads",
        threads,
    ]
    with subprocess.Popen([*TIEDSEQ, *words, "-o", str(path)], stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stderr is not None
        deadline = time.monotonic() + 100
        while not list(tmp_path.glob(".x.sam.*.part")) and time.monotonic() < deadline:
            time.sleep(0.02)  # it appears with the first result
        time.sleep(0.1)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) in (cli.INTERRUPTED, -signal.SIGINT)
        assert process.stderr.read() == b""
    assert sorted(os.listdir(tmp_path)) == (["long.fq", "x.sam"] if existing else ["long.fq"])
    assert not existing or path.read_text() == "before"


@needs_signals
@pytest.mark.parametrize("delay", [0.6, 0.9, 1.2])
def test_interrupted_within_one_alignment(delay: float, data: Path, tmp_path: Path) -> None:
    """Ctrl-C while compiled code runs, which must come back from it alive."""
    texts = [next(ts.read(data / f"{name}_mt.fa")).sequence for name in ("human", "mouse")]
    (tmp_path / "both.fa").write_text(fasta([Record("both", "".join(texts))]))
    words = ["align", str(tmp_path / "both.fa"), str(data / "orangutan_mt.fa"), "-o", str(tmp_path / "x.maf")]
    with subprocess.Popen([*TIEDSEQ, *words], stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stderr is not None
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        status, message = process.wait(60), process.stderr.read()
    if not (tmp_path / "x.maf").exists():  # else it was done already
        assert status in (cli.INTERRUPTED, -signal.SIGINT)
        assert message == b"" and os.listdir(tmp_path) == ["both.fa"]


@needs_signals
@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize(
    ("number", "status", "threads"),
    [
        (signal.SIGINT, cli.INTERRUPTED, "1"),
        (signal.SIGINT, cli.INTERRUPTED, "2"),
        (signal.SIGTERM, cli.TERMINATED, "2"),
    ],
)
def test_stopped_within_a_long_alignment(
    number: signal.Signals, status: int, threads: str, existing: bool, data: Path, tmp_path: Path
) -> None:
    """Nobody waits for an alignment of half a minute: the command ends at once, and leaves what was there before."""
    path, reads = tmp_path / "x.maf", tmp_path / "reads.fa"
    if existing:
        path.write_text("before")
    human, cow = (next(ts.read(data / f"aglobin_{name}.fa")) for name in ("human", "cow"))
    reads.write_text(fasta([Record("short", human.sequence[1000:1200]), cow]))
    words = ["align", str(data / "aglobin_human.fa"), str(reads), "--threads", threads, "-o", str(path)]
    with subprocess.Popen([*TIEDSEQ, *words], stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stderr is not None
        deadline = time.monotonic() + 100
        while not list(tmp_path.glob(".x.maf.*.part")) and time.monotonic() < deadline:
            time.sleep(0.02)  # it appears with the first result, before the long wait for the second
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(3) == status
        assert process.stderr.read() == b""
    assert sorted(os.listdir(tmp_path)) == (["reads.fa", "x.maf"] if existing else ["reads.fa"])
    assert not existing or path.read_text() == "before"
