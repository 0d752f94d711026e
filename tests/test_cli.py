"""`tiedseq align`: what arrives at align_all, what leaves, and whose fault it was. Whole jobs are in test_jobs.py."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import ENVIRONMENT, TIEDSEQ, run

import tiedseq as ts
from pairhmm_cases import reverse_complement
from tiedseq import aligning, cli, formats, options
from tiedseq.commands import align, models, pair_words
from tiedseq.errors import ArgumentError, InputError, ResourceError

RANDOM = random.Random(1)
TARGET = "".join(RANDOM.choices("ACGT", k=96))
OTHER = "".join(letter if RANDOM.random() < 0.8 else RANDOM.choice("ACGT") for letter in TARGET)  # a relative of it
FASTA = f">t1 first\n{TARGET}\n>t2\n{OTHER}\n"
READS = f"@r1\n{TARGET[5:40]}\n+\n{'I' * 35}\n@empty\n\n+\n\n@r2\n{TARGET[20:50].lower()}\n+\n{'5' * 30}\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "t.fa").write_text(FASTA)
    (tmp_path / "r.fq").write_text(READS)
    (tmp_path / "r.fq.gz").write_bytes(gzip.compress(READS.encode()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What align_all is called with; it aligns nothing."""
    seen: list[dict[str, Any]] = []

    def align_all(targets: Any, queries: Any, **options: Any) -> Iterator[Any]:
        seen.append({"targets": targets, "queries": queries, **options})
        return iter(())

    monkeypatch.setattr(aligning, "align_all", align_all)
    return seen


# What arrives.


def test_defaults(files: Path, calls: list[dict[str, Any]]) -> None:
    assert cli.main(["align", "t.fa", "r.fq.gz"]) == 0
    assert calls == [
        {
            "targets": "t.fa", "queries": "r.fq.gz", "pairs": False, "best": True, "threads": 1, "model": None,
            "mode": "global", "decode": "mea", "gap_weight": 0.5, "strand": "forward",
        }
    ]  # fmt: skip


def test_every_option_arrives(files: Path, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(align, "_load_model", lambda path, format: f"the model of {path}")
    words = "--pairs=name --mode glocal --strand both --gap-weight 0 --model m.json --mask lowercase"
    assert cli.main(["align", "t.fa", "t.fa", *words.split(), "--all", "--threads", "3", "--quiet"]) == 0
    assert calls == [
        {
            "targets": "t.fa", "queries": "t.fa", "pairs": "name", "best": False, "threads": 3, "mode": "glocal",
            "model": "the model of m.json", "decode": "mea", "gap_weight": 0.0, "strand": "both",
        }
    ]  # fmt: skip
    assert cli.main(["align", "t.fa", "t.fa", "--decode", "viterbi", "--quiet"]) == 0
    assert calls[1]["decode"] == "viterbi"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--max-iter", "3"], "--max-iter is about what --train estimates"),
        (["--seed=1"], "--seed is about what --train estimates"),
        (
            ["--decode", "viterbi", "--gap-weight", "1"],
            "--gap-weight is of --decode mea, and does nothing with viterbi",
        ),
        (["--eqx"], "--eqx is for the CIGARs of sam and paf, and does nothing in text"),
        (["--pairs", "--all"], "--all does nothing with --pairs"),
    ],
)
def test_options_that_would_do_nothing(
    words: list[str], complaint: str, files: Path, calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["align", "t.fa", "t.fa", *words]) == cli.USAGE
    assert complaint in capsys.readouterr().err and not calls


@pytest.mark.parametrize(
    "words", [["--pairs", "t.fa", "t.fa"], ["t.fa", "--pairs", "t.fa"], ["t.fa", "t.fa", "--pairs"]]
)
def test_pairs_anywhere(words: list[str], files: Path, calls: list[dict[str, Any]]) -> None:
    assert cli.main(["align", *words]) == 0
    assert calls[0]["pairs"] is True


def test_standard_input_is_passed_on(files: Path, calls: list[dict[str, Any]]) -> None:
    assert cli.main(["align", "t.fa", "-"]) == 0
    assert calls[0]["queries"] == "-"


# What leaves.


def test_formats_by_name_and_suffix(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["align", "t.fa", "r.fq", "--mode", "glocal", "--quiet"]
    for format in formats.FORMATS:
        assert cli.main([*words, "--format", format]) == 0
        shown = capsys.readouterr().out
        assert cli.main([*words, "-o", "out", "--format", format]) == 0
        assert (files / "out").read_text() == shown != ""
        assert cli.main([*words, "-o", f"out.{format}"]) == 0
        assert (files / f"out.{format}").read_text() == shown
    assert cli.main([*words, "-o", "without_suffix"]) == 0
    assert (files / "without_suffix").read_text().startswith("t1 x r1, strand +")
    assert cli.main([*words, "-o", "-", "--format", "paf"]) == 0
    assert capsys.readouterr().out.startswith("r1\t35\t0\t35\t+\tt1\t96\t5\t40\t35\t35\t")


@pytest.mark.parametrize("option", ["FORMATS", "MODES", "STRANDS", "DECODES"])
def test_the_command_offers_what_the_library_knows(
    option: str, files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every word of the library's own lists, which are no copies: one that is added there is taken here."""
    words: tuple[str, ...] = getattr(options, option)
    assert getattr(pair_words, option) is words
    flag = f"--{option[:-1].lower()}"
    for word in words:
        assert cli.main(["align", "t.fa", "r.fq", flag, word, "--quiet"]) == 0
    capsys.readouterr()
    assert cli.main(["align", "--help"]) == 0
    page = capsys.readouterr().out
    assert all(word in page for word in words)
    assert option != "FORMATS" or formats.FORMATS is words


def test_mask_says_that_it_changes_nothing(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["align", "t.fa", "t.fa", "--mask"]
    shown = {}
    for mask in ("keep", "lowercase"):
        assert cli.main([*words, mask]) == 0
        shown[mask] = capsys.readouterr()
    assert shown["keep"].out == shown["lowercase"].out
    notes = shown["lowercase"].err.splitlines(), shown["keep"].err.splitlines()
    assert [line for line in notes[0] if line not in notes[1]] == [
        "tiedseq: --mask lowercase changes nothing here: it acts on training only (--train)"
    ]
    assert cli.main([*words, "lowercase", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("how", ["file", "pairs", "stdin", "stdin pairs"])
def test_sam_header_names_every_target(
    how: str, files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = "-" if "stdin" in how else "t.fa"
    pairs = ["--pairs"] if "pairs" in how else []
    with open("t.fa") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert cli.main(["align", target, "t.fa", "--format", "sam", *pairs, "--eqx"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == [f"@SQ\tSN:t1\tLN:{len(TARGET)}", f"@SQ\tSN:t2\tLN:{len(TARGET)}"]
    assert [line.split("\t")[2] for line in lines[4:]] == ["t1", "t2"]
    assert {line.split("\t")[5] for line in lines[4:]} == {f"{len(TARGET)}="}


def test_sam_refuses_two_targets_of_one_name(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "twice.fa").write_text(">a\nACGT\n>a\nACGA\n")
    assert cli.main(["align", "twice.fa", "r.fq", "--format", "sam"]) == cli.INPUT
    output = capsys.readouterr()
    assert output.out == ""
    assert "twice.fa, line 3, record 'a': another target has this name" in output.err


@pytest.mark.parametrize(("name", "complaint"), [("ch(r)", "'(' in the name of a target"), ("=a", "starts with '='")])
def test_sam_refuses_a_name_outside_its_grammar(
    name: str, complaint: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is aligned, and with its place."""
    (files / "names.fa").write_text(f">a\nACGT\n>{name} of mine\nACGA\n")
    for words in (["names.fa", "r.fq"], ["names.fa", "names.fa", "--pairs"]):
        assert cli.main(["align", *words, "-o", "out.sam"]) == cli.INPUT
        output = capsys.readouterr()
        assert output.err.startswith(f"tiedseq: error: names.fa, line 3, record '{name}': ")
        assert complaint in output.err
    assert cli.main(["align", "t.fa", "names.fa", "-o", "out.paf"]) == 0


def test_sam_says_where_a_name_is_too_long(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "long.fa").write_text(f">q\nACGT\n>{'x' * 255}\nACGT\n")
    assert cli.main(["align", "t.fa", "long.fa", "-o", "out.sam"]) == cli.INPUT
    assert capsys.readouterr().err.startswith(f"tiedseq: error: long.fa, line 3, record '{'x' * 255}': ")
    (files / "star.fa").write_text(">t\nACGT\n>*x\nACGT\n")
    assert cli.main(["align", "star.fa", "r.fq", "-o", "out.sam"]) == cli.INPUT
    assert capsys.readouterr().err.startswith("tiedseq: error: star.fa, line 3, record '*x': SAM has no reference")
    assert not (files / "out.sam").exists()


@pytest.mark.parametrize("alphabet", [ts.PROTEIN, ts.Alphabet("123456")])
def test_sam_is_for_nucleotides(
    alphabet: ts.Alphabet, files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user chose the format, and has another choice. Nothing is read for it."""
    ts.PairHMM.affine(alphabet=alphabet).save("m.json")
    monkeypatch.setattr(aligning, "align_all", lambda *_, **__: pytest.fail("it aligns"))
    for words in (["-o", "out.sam"], ["--format", "sam"]):
        assert cli.main(["align", "t.fa", "r.fq", "--model", "m.json", *words]) == cli.USAGE
        output = capsys.readouterr()
        assert output.out == "" and output.err.count("\n") == 1
        assert f"not the letters of {alphabet!r}: choose another format, one of text, fasta," in output.err
    assert not (files / "out.sam").exists()


def test_sam_of_a_read_from_elsewhere(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Glocal gives every read a best place; one that is likelier unrelated is not mapped there."""
    stranger = "".join(random.Random(3).choices("ACGT", k=40))
    (files / "reads.fa").write_text(f">mine\n{TARGET[10:50]}\n>stranger\n{stranger}\n")
    odds = [result.log_odds for result in ts.align_all("t.fa", "reads.fa", mode="glocal", strand="both")]
    assert odds[0] > 10 > 0 > odds[1]
    words = ["align", "t.fa", "reads.fa", "--mode", "glocal", "--strand", "both", "--all", "--format"]
    assert cli.main([*words, "sam"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines() if line[0] != "@"]
    assert [line for line in lines if line[0] == "stranger"] == [
        ["stranger", "4", "*", "0", "0", "*", "*", "0", "0", stranger, "*"]
    ]
    assert lines[0][:3] == ["mine", "0", "t1"]
    assert cli.main([*words, "paf"]) == 0
    assert "\nstranger\t" in capsys.readouterr().out


def test_filters(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Columns by --min-confidence, results by --min-accuracy; the last line counts what is left."""
    (files / "one.fa").write_text(f">t\n{TARGET}\n")
    scrambled = "".join(RANDOM.choices("ACGT", k=12))
    (files / "other.fa").write_text(f">q\n{OTHER[:40] + scrambled + OTHER[50:]}\n")
    result = next(ts.align_all("one.fa", "other.fa"))
    kept = result.filter(0.9)
    assert 20 < kept.is_residue.sum() < result.is_residue.sum()
    words = ["align", "one.fa", "other.fa", "--format", "json"]
    assert cli.main([*words, "--min-confidence", "0.9"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out) == [kept.to_dict()]
    assert output.err == f"tiedseq: 1 record, 0 skipped, mean confidence {kept.expected_accuracy:.4f}\n"
    accuracy = result.expected_accuracy
    assert cli.main([*words, "--min-accuracy", str(accuracy + 0.001)]) == 0
    output = capsys.readouterr()
    assert (json.loads(output.out), output.err) == ([], "tiedseq: 1 record, 1 skipped\n")
    assert cli.main([*words, "--min-accuracy", str(accuracy - 0.001)]) == 0
    assert json.loads(capsys.readouterr().out) == [result.to_dict()]


def test_all_marks_the_secondary(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["align", "t.fa", "r.fq", "--format", "sam", "--mode", "glocal"]
    assert cli.main([*words, "--all"]) == 0
    output = capsys.readouterr()
    lines = [line.split("\t") for line in output.out.splitlines() if line[0] != "@"]
    assert [(*line[:3], line[4]) for line in lines] == [
        ("r1", "0", "t1", lines[0][4]), ("r1", "256", "t2", "0"), ("empty", "4", "*", "0"),
        ("r2", "0", "t1", lines[3][4]), ("r2", "256", "t2", "0"),
    ]  # fmt: skip
    assert 0 < int(lines[0][4]) <= 60
    assert output.err.startswith("tiedseq: 3 records, 1 skipped")
    assert cli.main(words) == 0
    primary = [line.split("\t") for line in capsys.readouterr().out.splitlines() if line[0] != "@"]
    assert primary == [line for line in lines if line[1] != "256"]


def test_all_strands(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both strands of a read that reads the same on both: the one is as likely as the other."""
    half = TARGET[:20]
    (files / "palindrome.fa").write_text(f">p\n{half + reverse_complement(half)}\n")
    words = ["align", "palindrome.fa", "palindrome.fa", "--all", "--strand", "both", "--format", "sam", "--quiet"]
    assert cli.main(words) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines() if line[0] != "@"]
    assert [(line[1], line[4], line[5]) for line in lines] == [("0", "3", "40M"), ("272", "3", "40M")]


def test_a_saved_model(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = ts.PairHMM.affine(gap_open=0.1, gap_extend=0.9, identity=0.6)
    model.save("m.json")
    words = ["align", "t.fa", "t.fa", "--pairs", "--format", "json", "--model"]
    assert cli.main([*words, "m.json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == [result.to_dict() for result in ts.align_all("t.fa", "t.fa", pairs=True, model=model)]
    for content in ("", "{", "[]", '{"format": 1}', "\0\1"):
        (files / "m.json").write_text(content)
        assert cli.main([*words, "m.json"]) == cli.INPUT
        output = capsys.readouterr()
        assert output.out == "" and output.err.startswith("tiedseq: error: m.json") and output.err.count("\n") == 1
    assert cli.main([*words, "none.json"]) == cli.INPUT
    ts.HMM.ergodic(2, alphabet=ts.DNA).save("m.json")
    assert cli.main([*words, "m.json"]) == cli.INPUT
    assert "m.json: it holds a model of the kind 'hmm'; this command needs one of 'pair-hmm'" in capsys.readouterr().err


def test_progress_on_a_terminal_only(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    ticks = iter(range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))
    assert cli.main(["align", "t.fa", "r.fq", "-o", "out.paf"]) == 0
    assert "\rtiedseq: 2 records" in capsys.readouterr().err.replace("\x1b[K", "")
    assert cli.main(["align", "t.fa", "r.fq", "-o", "out.paf", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


# Whose fault it was.


def fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "required"),
        (["align"], "required"),
        (["align", "t.fa"], "required"),
        (["align", "t.fa", "r.fq", "--mode", "semi"], "invalid choice"),
        (["align", "t.fa", "r.fq", "--format", "xml"], "invalid choice"),
        (
            ["align", "t.fa", "r.fq", "--gap-weight", "-1"],
            "--gap-weight: it must be a finite number of at least 0, not -1",
        ),
        (["align", "t.fa", "r.fq", "--gap-weight", "nan"], "at least 0, not nan"),
        (
            ["align", "t.fa", "r.fq", "--gap-weight", "x"],
            "--gap-weight: it must be a finite number of at least 0, not 'x'",
        ),
        (["align", "t.fa", "r.fq", "--min-confidence", "1.5"], "from 0 to 1"),
        (
            ["align", "t.fa", "r.fq", "--min-accuracy", "x"],
            "--min-accuracy: it must be a probability from 0 to 1, not 'x'",
        ),
        (["align", "t.fa", "r.fq", "--threads", "0"], "--threads: it must be a whole number of at least 1, not 0"),
        (["align", "t.fa", "r.fq", "--threads", "x"], "--threads: it must be a whole number of at least 1, not 'x'"),
        (["align", "t.fa", "r.fq", "--threads", "1.5"], "at least 1, not '1.5'"),
        (
            ["align", "t.fa", "r.fq", "--pair"],
            "tiedseq align: error: unrecognized arguments: --pair (tiedseq align --help",
        ),
        (["align", "t.fa", "r.fq", "x.fa"], "unrecognized arguments: x.fa (tiedseq align --help shows"),
        (["align", "t.fa", "r.fq", "--pairs=length"], "invalid choice"),
        (["align", "-", "-"], "standard input"),
        (["align", "t.fa", "r.fq", "-o", "./t.fa"], "would replace the file given as TARGET"),
        (["align", "t.fa", "r.fq", "-o", "./r.fq"], "would replace the file given as QUERY"),
        (["align", "t.fa", "t.fa", "--model", "r.fq", "-o", "./r.fq"], "would replace the file given as --model"),
        (["align", "t.fa", "r.fq", "-o", "out.bam"], "samtools"),
        (
            ["align", "t.fa", "r.fq", "-o", "out.unknown"],
            "-o out.unknown: .unknown stands for no format: give --format",
        ),
        (["align", "t.fa", "r.fq", "-o", "out.xyz.GZ"], ".xyz stands for no format"),
        (["align", "t.fa", "r.fq", "-o", ""], "-o is empty"),
        (["align", "", "r.fq"], "TARGET is empty"),
        (["align", "t.fa", ""], "QUERY is empty"),
        (["align", "t.fa", "r.fq", "--model", ""], "--model is empty"),
        (["train", "t.fa"], "-o MODEL.json is missing"),
        (["compare"], "the following arguments are required: TARGET"),
    ],
)
def test_usage(words: list[str], complaint: str, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == cli.USAGE
    output = capsys.readouterr()
    assert output.out == ""
    assert complaint in output.err
    assert (files / "t.fa").read_text() == FASTA
    assert (files / "r.fq").read_text() == READS
    assert sorted(os.listdir(files)) == ["r.fq", "r.fq.gz", "t.fa"]


def test_a_model_is_not_replaced(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By whatever name; an output beside it is none of its business."""
    ts.PairHMM.affine().save("m.json")
    before = (files / "m.json").read_bytes()
    (files / "link.json").symlink_to("m.json")
    for output in ("m.json", f"{files}/m.json", "link.json"):
        assert cli.main(["align", "t.fa", "t.fa", "--model", "m.json", "-o", output]) == cli.USAGE
        assert f"-o {output} would replace the file given as --model" in capsys.readouterr().err
        assert (files / "m.json").read_bytes() == before
    assert cli.main(["align", "t.fa", "t.fa", "--model", "m.json", "-o", "out.json"]) == 0


def test_names_in_capitals_and_without_a_suffix(files: Path) -> None:
    """A suffix counts in either case, for the format and for the compression alike."""
    words = ["align", "t.fa", "r.fq", "--mode", "glocal", "--quiet", "-o"]
    for name in ("out.paf", "out.PAF.GZ", "out.txt", "plain", "plain.gz"):
        assert cli.main([*words, name]) == 0
    assert gzip.decompress((files / "out.PAF.GZ").read_bytes()) == (files / "out.paf").read_bytes() != b""
    assert (files / "plain").read_bytes() == (files / "out.txt").read_bytes() != b""
    assert gzip.decompress((files / "plain.gz").read_bytes()) == (files / "plain").read_bytes()
    assert cli.main([*words, "out.unknown", "--format", "paf"]) == 0
    assert (files / "out.unknown").read_bytes() == (files / "out.paf").read_bytes()


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("tiedseq ")
    assert cli.main(["align", "--help"]) == 0
    page = capsys.readouterr().out
    assert "--min-confidence P" in page
    assert "--train " in page
    assert "exit status" in page
    assert cli.main(["--help"]) == 0
    page = capsys.readouterr().out
    assert "align" in page
    assert "annotate" in page and "train" in page and "compare" in page


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (InputError("bad letter", "a.fa", 3, "r1"), 1, "a.fa, line 3, record 'r1': bad letter"),
        (ArgumentError("mode='x'"), 2, "mode='x'"),
        (ResourceError("two\nlines"), 3, "two lines"),
        (MemoryError(), 3, "memory"),
        (OSError(28, "No space left on device", "f"), 3, "f: No space left on device"),
        (RuntimeError("oops"), 70, "a defect in tiedseq"),
    ],
)
def test_every_error_is_one_line_and_a_status(
    error: Exception,
    status: int,
    message: str,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def failing(*_: Any, **__: Any) -> Iterator[Any]:
        yield from map(fail, [error])

    monkeypatch.delenv("TIEDSEQ_DEBUG", raising=False)
    monkeypatch.setattr(aligning, "align_all", failing)
    assert cli.main(["align", "t.fa", "r.fq", "-o", "out.maf"]) == status
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("tiedseq: error: ")
    assert output.err.count("\n") == 1
    assert message in output.err
    assert sorted(os.listdir()) == ["r.fq", "r.fq.gz", "t.fa"]
    monkeypatch.setenv("TIEDSEQ_DEBUG", "1")
    with pytest.raises(type(error)):
        cli.main(["align", "t.fa", "r.fq"])


BAD_INPUT = {
    "no records": (b"", "the file holds no records"),
    "blank lines only": (b"\n\n  \n", "the file holds no records"),
    "text before the first record": (b"\nhello\n>a\nACGT\n", "line 2: 'hello' stands before the first record"),
    "truncated gzip": (gzip.compress(b">a\n" + b"ACGT" * 10000)[:-20], "the gzip file is truncated"),
    "damaged gzip": (gzip.compress(b">a\n" + b"ACGT" * 10000)[:30] + b"x" * 50, "the gzip file is damaged"),
    "FASTQ of unequal lengths": (b"@a\nACGT\n+\nIII\n", "line 4, record 'a': quality and sequence differ in length"),
    "FASTQ that ends early": (b"@a\nAC\n", "line 2, record 'a': the file ends in the middle"),
    "binary": (bytes(range(256)) * 4, "the file is binary"),
    "a letter outside the alphabet": (b">a b\nACGT\n\nAC!T\n", "line 4, column 3, record 'a': .*'!'"),
    "gap letters": (b">a\nACGT\nAC-T\n", "line 3, column 3, record 'a': .*'-'"),
    "protein": (b">a\nMKLVEEFW\n", "line 2, column .*, record 'a': .*protein"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
@pytest.mark.parametrize("place", ["target", "query", "pairs"])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_bad_input(case: str, place: str, threads: str, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that names the place; no output, not even a header, since it shows before the first result."""
    content, complaint = BAD_INPUT[case]
    (files / "bad.fa").write_bytes(content)
    inputs = ["t.fa", "bad.fa"] if place == "query" else ["bad.fa", "t.fa"]
    words = ["align", *inputs, "--mode", "local", "--threads", threads]
    if place == "pairs":
        (files / "t.fa").write_text(f">t1 first\n{TARGET}\n")
        words += ["--pairs"]
    before = sorted(os.listdir(files))
    for output in (["-o", "out.sam"], ["--format", "maf"]):
        assert cli.main([*words, *output]) == 1
        shown = capsys.readouterr()
        assert shown.out == ""
        assert re.match(rf"tiedseq: error: bad\.fa[,:] {complaint}", shown.err)
        assert shown.err.count("\n") == 1
        assert sorted(os.listdir(files)) == before


@pytest.mark.parametrize("threads", ["1", "2"])
def test_bad_input_later_on(threads: str, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file does not appear; what went to standard output is what came before, whatever the threads."""
    reads = "".join(f">r{k}\n{TARGET[k : k + 40]}\n" for k in range(30))
    (files / "bad.fa").write_text(f"{reads}>bad\nACGT\nACGTEACGT\n>more\nACGT\n")
    words = ["align", "t.fa", "bad.fa", "--mode", "glocal", "--threads", threads]
    assert cli.main([*words, "-o", "out.sam"]) == 1
    assert sorted(os.listdir(files)) == ["bad.fa", "r.fq", "r.fq.gz", "t.fa"]
    assert "bad.fa, line 63, column 5, record 'bad'" in capsys.readouterr().err
    (files / "out.sam").write_text("before")
    assert cli.main([*words, "-o", "out.sam"]) == 1
    assert (files / "out.sam").read_text() == "before"
    capsys.readouterr()
    assert cli.main([*words, "--format", "paf"]) == 1
    shown = capsys.readouterr()
    assert [line.split("\t")[0] for line in shown.out.splitlines()] == [f"r{k}" for k in range(30)]
    assert shown.err.count("\n") == 1


def test_missing_file(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for inputs in (["none.fa", "t.fa"], ["t.fa", "none.fa"]):
        for output in (["--format", "maf"], ["-o", "out.sam"], ["--pairs"]):
            assert cli.main(["align", *inputs, *output]) == 1
            shown = capsys.readouterr()
            assert (shown.out, shown.err) == ("", "tiedseq: error: none.fa: there is no such file\n")
    assert not (files / "out.sam").exists()


def test_unequal_numbers_of_pairs(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are looked at before anything is written; a stream shows it when it has ended."""
    odd = (
        "r.fq, line 9, record 'r2': it has no partner: there are 2 targets in t.fa and 3 queries in r.fq; give as many"
    )
    for words in (["t.fa", "r.fq"], ["t.fa", "r.fq", "--format", "sam"]):
        assert cli.main(["align", *words, "--pairs"]) == 1
        output = capsys.readouterr()
        assert output.out == "" and output.err.startswith(f"tiedseq: error: {odd}")
    assert cli.main(["align", "r.fq", "t.fa", "--pairs", "-o", "out.maf"]) == 1
    assert "there are 3 targets in r.fq and 2 queries in t.fa" in capsys.readouterr().err
    (files / "names.fa").write_text(f">t1\n{TARGET}\n>r1\n{TARGET}\n")
    assert cli.main(["align", "t.fa", "names.fa", "--pairs=name"]) == 1
    output = capsys.readouterr()
    assert output.out == "" and "names.fa, line 3, record 'r1': no target has this name" in output.err
    assert sorted(os.listdir(files)) == ["names.fa", "r.fq", "r.fq.gz", "t.fa"]
    for words in (["-", "r.fq"], ["t.fa", "-"]):
        with open("t.fa" if words[0] == "-" else "r.fq") as stream:
            monkeypatch.setattr(sys, "stdin", stream)
            assert cli.main(["align", *words, "--pairs", "--format", "paf"]) == 1
        output = capsys.readouterr()
        assert [line.split("\t")[0] for line in output.out.splitlines()] == ["r1"]  # the second is empty
        assert re.search(r"record 'r2': it has no partner: there are 2 targets in .* and 3 queries in", output.err)


def test_an_error_in_a_process_of_its_own(files: Path) -> None:
    (files / "bad.fa").write_text(">a\nACGT\nAC!T\n")
    done = run("align", "t.fa", "bad.fa", "-o", "out.sam")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("tiedseq: error: bad.fa, line 3, column 3, record 'a': ")
    assert done.stderr.count("\n") == 1
    assert not (files / "out.sam").exists()


@pytest.mark.parametrize(
    "words",
    [["align", "t.fa", "r.fq"], ["train", "t.fa"], ["compare", "t.fa"], ["fit", "t.fa", "--states", "2"]],
)
def test_threads_that_the_system_does_not_start(
    words: list[str], files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert cli.main([*words, "--threads", "99999", "-o", "out.json"]) == cli.ENVIRONMENT
    said = capsys.readouterr().err
    assert said.startswith("tiedseq: error: --threads 99999 asks for more threads than the system starts: ")
    assert said.count("\n") == 1 and not (files / "out.json").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_full_disk(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for format in formats.FORMATS:
        assert cli.main(["align", "t.fa", "r.fq", "-o", "/dev/full", "--format", format, "--mode", "glocal"]) == 3
        assert capsys.readouterr().err == "tiedseq: error: /dev/full: cannot write: No space left on device\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("format", ["text", "sam"])
def test_full_disk_behind_standard_output(format: str, files: Path) -> None:
    with open("/dev/full", "w") as full:
        done = run(
            "align", "t.fa", "r.fq", "--format", format, capture_output=False, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 3
    assert done.stderr == "tiedseq: error: standard output: cannot write: No space left on device\n"


def test_unwritable_output(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["align", "t.fa", "r.fq", "-o", "none/out.sam"]) == 3
    assert capsys.readouterr().err == "tiedseq: error: none/out.sam: cannot write: No such file or directory\n"
    assert cli.main(["align", "t.fa", "r.fq", "-o", ".", "--format", "maf"]) == 3
    assert capsys.readouterr().err.startswith("tiedseq: error: .: it is a directory")


@pytest.mark.parametrize(
    "words",
    [
        *(["align", "none.fa", "none.fq"], ["train", "none.fa"], ["compare", "none.fa"], ["score", "none", "none.fa"]),
        *(["fit", "none.fa", "--states", "2"], ["annotate", "none", "none.fa"], ["sample", "none"]),
    ],
)
def test_unwritable_output_is_found_before_any_work(
    words: list[str], files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The inputs do not exist, and are not even looked for."""
    (files / "folder").mkdir()
    (files / "folder" / "old.json").write_text("before")
    (files / "link.json").symlink_to("nosuch/x.json")
    missing = "No such file or directory"
    for path, why in (("nosuch/x.json", missing), ("link.json", missing), ("t.fa/x.json", "Not a directory")):
        assert cli.main([*words, "-o", path]) == cli.ENVIRONMENT
        assert capsys.readouterr().err == f"tiedseq: error: {path}: cannot write: {why}\n"
    assert cli.main([*words, "-o", "folder"]) == cli.ENVIRONMENT
    assert capsys.readouterr().err == "tiedseq: error: folder: it is a directory: name a file to write to\n"
    for forbidden in ("folder", "old.json"):  # permissions do not bind the superuser, whom tests may be run by
        monkeypatch.setattr(os, "access", lambda path, mode, last=forbidden: os.path.basename(path) != last)
        place = "folder/new.json" if forbidden == "folder" else "folder/old.json"
        assert cli.main([*words, "-o", place]) == cli.ENVIRONMENT
        assert capsys.readouterr().err == f"tiedseq: error: {place}: cannot write: Permission denied\n"
    assert cli.main([*words, "-o", "/dev/null"]) != cli.ENVIRONMENT


@pytest.mark.parametrize("words", [["align", "t.fa", "r.fq"], ["--help"]])
def test_pipe_that_nobody_reads(words: list[str], files: Path) -> None:
    """A short output fails when it is flushed, the help page when the interpreter exits."""
    reader, writer = os.pipe()
    os.close(reader)
    done = run(*words, capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (cli.CLOSED_PIPE if words[0] == "align" else 0, "")


def test_closed_pipe_is_silent(files: Path) -> None:
    (files / "many.fa").write_text("".join(f">{n}\n{TARGET}\n" for n in range(300)))
    command = [*TIEDSEQ, "align", "t.fa", "many.fa", "--format", "tsv"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == cli.CLOSED_PIPE


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, cli.INTERRUPTED), (signal.SIGTERM, cli.TERMINATED)])
def test_signals(number: signal.Signals, status: int, files: Path) -> None:
    """Stopped while it reads standard input: no traceback, no file, the status of the signal.

    If Ctrl-C arrived within an `exec` of text, Python ends by the signal itself; a shell shows that as the same status.
    """
    command = [*TIEDSEQ, "align", "t.fa", "-", "--mode", "local", "-o", "out.maf"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        for n in range(1000):  # more than a pipe holds: when the last of it is written, reading has begun
            process.stdin.write(f">{n}\n{TARGET}\n")
        process.stdin.flush()
        process.send_signal(number)
        assert process.wait(60) in (status, -number)
        assert process.stderr.read() == ""
    assert sorted(os.listdir(files)) == ["r.fq", "r.fq.gz", "t.fa"]


def test_usage_costs_no_imports() -> None:
    code = (
        "import sys; from tiedseq.cli import main; main(sys.argv[1:]);"
        "print([m for m in ('numba', 'numpy', 'scipy', 'Bio', 'pandas') if m in sys.modules])"
    )
    for words in (["--version"], ["align", "--help"], ["align", "x", "--mode", "?"], ["fit"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, env=ENVIRONMENT
        )
        assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, cli.INTERRUPTED), (signal.SIGTERM, cli.TERMINATED)])
def test_a_signal_in_a_finaliser_is_heard(number: signal.Signals, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python forgets what is raised there, as in the callbacks from C by which the compiler loads kernels."""

    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(number)

    def work(_: Any) -> int:
        Dying()
        for _ in range(1000):
            time.sleep(0.01)
        return 0

    monkeypatch.setattr(models, "info", work)
    before = sys.unraisablehook
    assert cli.main(["info", "m.json"]) == status
    assert sys.unraisablehook is before


@pytest.mark.parametrize(
    ("stop", "status"), [(KeyboardInterrupt(), cli.INTERRUPTED), (SystemExit(cli.TERMINATED), cli.TERMINATED)]
)
def test_a_signal_while_a_class_is_made_is_one(
    stop: BaseException, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before Python 3.12 the interpreter raises a RuntimeError of its own in its place: classes are made by imports."""

    def work(_: Any) -> int:
        raise RuntimeError("Error calling __set_name__ on 'Field' instance 'x' in 'Y'") from stop

    monkeypatch.setattr(models, "info", work)
    assert cli.main(["info", "m.json"]) == status
    assert capsys.readouterr().err == ""
