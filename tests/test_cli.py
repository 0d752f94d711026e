"""`tiedseq align`: what arrives at align_all, what leaves, and whose fault it was."""

from __future__ import annotations

import gzip
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stand_in_aligning

from tiedseq import cli, formats
from tiedseq.errors import ArgumentError, InputError, ResourceError

HERE = Path(__file__).parent
REAL = importlib.util.find_spec("tiedseq.aligning") is not None
STAND_IN = "" if REAL else "import stand_in_aligning as s; sys.modules['tiedseq.aligning'] = s;"
START = f"import sys; {STAND_IN} from tiedseq.cli import main; sys.exit(main())"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}
ENVIRONMENT.pop("PYTHONUNBUFFERED", None)  # errors that show when a buffer is flushed are to be met as users meet them
TARGET = "ACGTTGCATGCCATTGACCGATAGGCTAACGT" * 3
FASTA = f">t1 first\n{TARGET}\n>t2\n{TARGET[::-1]}\n"
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
    monkeypatch.setitem(sys.modules, "tiedseq.aligning", stand_in_aligning)
    stand_in_aligning.CALLS.clear()
    return stand_in_aligning.CALLS


def run(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", START, *words]
    return subprocess.run(command, **{"capture_output": True, "text": True, "timeout": 120, "env": ENVIRONMENT, **more})


# What arrives.


def test_defaults(files: Path, calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["align", "t.fa", "r.fq.gz"]) == 0
    assert calls == [
        {
            "targets": "t.fa", "queries": "r.fq.gz", "pairs": False, "best": True, "threads": 1, "model": None,
            "mode": "global", "decode": "mea", "gap_weight": 0.5, "strand": "forward",
        }
    ]  # fmt: skip
    output = capsys.readouterr()
    assert output.out.startswith("t1 x r1, strand +")
    assert output.err == "tiedseq: 3 records, 1 skipped, mean confidence 0.7500\n"


def test_every_option_arrives(files: Path, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_load_model", lambda path: f"the model of {path}")
    words = "--pairs=name --mode glocal --strand both --decode viterbi --gap-weight 0 --model m.json --mask lowercase"
    assert cli.main(["align", "t.fa", "t.fa", *words.split(), "--all", "--threads", "3", "--quiet"]) == 0
    assert calls == [
        {
            "targets": "t.fa", "queries": "t.fa", "pairs": "name", "best": False, "threads": 3, "mode": "glocal",
            "model": "the model of m.json", "decode": "viterbi", "gap_weight": 0.0, "strand": "both",
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    "words", [["--pairs", "t.fa", "t.fa"], ["t.fa", "--pairs", "t.fa"], ["t.fa", "t.fa", "--pairs"]]
)
def test_pairs_anywhere(words: list[str], files: Path, calls: list[dict[str, Any]]) -> None:
    assert cli.main(["align", *words]) == 0
    assert calls[0]["pairs"] is True


def test_standard_input_is_passed_on(files: Path, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    with open("r.fq") as reads:
        monkeypatch.setattr(sys, "stdin", reads)
        assert cli.main(["align", "t.fa", "-"]) == 0
    assert calls[0]["queries"] == "-"


# What leaves.


def test_formats_by_name_and_suffix(
    files: Path, calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    for format in formats.FORMATS:
        assert cli.main(["align", "t.fa", "r.fq", "--quiet", "--format", format]) == 0
        shown = capsys.readouterr().out
        assert cli.main(["align", "t.fa", "r.fq", "-o", "out", "--quiet", "--format", format]) == 0
        assert (files / "out").read_text() == shown != ""
        assert cli.main(["align", "t.fa", "r.fq", "-o", f"out.{format}", "--quiet"]) == 0
        assert (files / f"out.{format}").read_text() == shown
    assert cli.main(["align", "t.fa", "r.fq", "-o", "without_suffix"]) == 0
    assert (files / "without_suffix").read_text().startswith("t1 x r1")
    assert cli.main(["align", "t.fa", "r.fq", "-o", "-", "--format", "paf"]) == 0
    assert capsys.readouterr().out.startswith("r1\t35\t0\t35")


def test_format_names_are_those_of_formats() -> None:
    assert cli._FORMATS == formats.FORMATS


@pytest.mark.parametrize("how", ["file", "pairs", "stdin", "stdin pairs"])
def test_sam_header_names_every_target(
    how: str,
    files: Path,
    calls: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = "-" if "stdin" in how else "t.fa"
    pairs = ["--pairs"] if "pairs" in how else []
    with open("t.fa") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert cli.main(["align", target, "t.fa", "--format", "sam", *pairs, "--eqx"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == [f"@SQ\tSN:t1\tLN:{len(TARGET)}", f"@SQ\tSN:t2\tLN:{len(TARGET)}"]
    assert lines[4].split("\t")[5] == f"{len(TARGET)}="


def test_sam_refuses_two_targets_of_one_name(
    files: Path, calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "twice.fa").write_text(">a\nACGT\n>a\nACGA\n")
    assert cli.main(["align", "twice.fa", "r.fq", "--format", "sam"]) == cli.INPUT
    output = capsys.readouterr()
    assert output.out == ""
    assert "twice.fa, line 3, record 'a': another target has this name" in output.err


def test_filters(files: Path, calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    (files / "one.fa").write_text(">q\nACGTACGTACG\n")  # confidence 0.5, 0.55, ..., 1
    assert cli.main(["align", "one.fa", "one.fa", "--format", "sam", "--min-confidence", "0.74"]) == 0
    output = capsys.readouterr()
    assert "\t5S6M\t" in output.out
    assert output.err.endswith("1 record, 0 skipped, mean confidence 0.8750\n")
    assert cli.main(["align", "one.fa", "one.fa", "--format", "paf", "--min-accuracy", "0.76"]) == 0
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "tiedseq: 1 record, 1 skipped\n")
    assert cli.main(["align", "one.fa", "one.fa", "--format", "paf", "--min-accuracy", "0.74"]) == 0
    assert capsys.readouterr().out.startswith("q\t11")


def test_all_marks_the_secondary(files: Path, calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["align", "t.fa", "r.fq", "--format", "sam", "--all"]) == 0
    output = capsys.readouterr()
    flags = [line.split("\t")[1] for line in output.out.splitlines() if line[0] != "@"]
    assert flags == ["0", "256", "4", "0", "256"]
    assert output.err.startswith("tiedseq: 3 records, 1 skipped")


def test_progress_on_a_terminal_only(
    files: Path, calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
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
        (["align", "t.fa", "r.fq", "--gap-weight", "-1"], "0 or more"),
        (["align", "t.fa", "r.fq", "--gap-weight", "nan"], "0 or more"),
        (["align", "t.fa", "r.fq", "--min-confidence", "1.5"], "from 0 to 1"),
        (["align", "t.fa", "r.fq", "--min-accuracy", "x"], "invalid"),
        (["align", "t.fa", "r.fq", "--threads", "0"], "1 or more"),
        (["align", "t.fa", "r.fq", "--pair"], "unrecognized"),
        (["align", "t.fa", "r.fq", "--pairs=length"], "invalid choice"),
        (["align", "-", "-"], "standard input"),
        (["align", "t.fa", "r.fq", "--train"], "not there yet"),
        (["align", "t.fa", "r.fq", "-o", "./t.fa"], "would replace an input"),
        (["align", "t.fa", "r.fq", "-o", "out.bam"], "samtools"),
        (["train", "t.fa"], "train is not there yet"),
        (["info"], "info is not there yet"),
    ],
)
def test_usage(words: list[str], complaint: str, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == cli.USAGE
    output = capsys.readouterr()
    assert output.out == ""
    assert complaint in output.err
    assert (files / "t.fa").read_text() == FASTA


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("tiedseq ")
    assert cli.main(["align", "--help"]) == 0
    page = capsys.readouterr().out
    assert "--min-confidence P" in page
    assert "--train" not in page
    assert cli.main(["--help"]) == 0
    page = capsys.readouterr().out
    assert "align" in page
    assert "annotate" not in page


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
    error: Exception, status: int, message: str, files: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def failing(*_: Any, **__: Any) -> Iterator[Any]:
        yield from map(fail, [error])

    monkeypatch.delenv("TIEDSEQ_DEBUG", raising=False)
    monkeypatch.setattr(stand_in_aligning, "align_all", failing)
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


def test_model_of_another_kind(files: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    storage, pairhmm = types.ModuleType("storage"), types.ModuleType("pairhmm")
    storage.load = lambda path: {"path": path}  # type: ignore[attr-defined]
    pairhmm.PairHMM = type("PairHMM", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tiedseq.storage", storage)
    monkeypatch.setitem(sys.modules, "tiedseq.pairhmm", pairhmm)
    with pytest.raises(InputError, match=r"m.json: it holds a model of the kind dict"):
        cli._load_model("m.json")


BAD_INPUT = {
    "no records": (b"", "", 1),
    "text before the first record": (b"hello\n>a\nACGT\n", "line 1", 1),
    "truncated gzip": (gzip.compress(b">a\n" + b"ACGT" * 10000)[:-20], "bad.fa", 1),
    "FASTQ of unequal lengths": (b"@a\nACGT\n+\nIII\n", "line", 1),
    "binary": (bytes(range(256)) * 4, "bad.fa", 1),
    "a letter outside the alphabet": (b">a\nACGT\nAC!T\n", "line 3, column 3", 1),
    "gap letters": (b">a\nAC-T\n", "'-'", 1),
    "protein": (b">a\nMKLVEEFW\n", "protein", 1),
}


@pytest.mark.parametrize("case", BAD_INPUT)
@pytest.mark.parametrize("place", ["target", "query"])
def test_bad_input(case: str, place: str, files: Path) -> None:
    content, complaint, status = BAD_INPUT[case]
    (files / "bad.fa").write_bytes(content)
    inputs = ("bad.fa", "t.fa") if place == "target" else ("t.fa", "bad.fa")
    done = run("align", *inputs, "--mode", "local", "-o", "out.sam")
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("tiedseq: error: bad.fa")
    assert complaint in done.stderr
    assert not (files / "out.sam").exists()
    assert not [name for name in os.listdir(files) if name.endswith(".part")]


def test_missing_file(files: Path) -> None:
    for inputs in (("none.fa", "t.fa"), ("t.fa", "none.fa")):
        done = run("align", *inputs, "--format", "maf")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("tiedseq: error: none.fa")
        assert done.stderr.count("\n") == 1


def test_unequal_numbers_of_pairs(files: Path) -> None:
    done = run("align", "t.fa", "r.fq", "--pairs", "-o", "out.maf")
    assert done.returncode == 1
    assert "2" in done.stderr
    assert not (files / "out.maf").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("format", ["text", "sam", "json"])
def test_full_disk(format: str, files: Path) -> None:
    done = run("align", "t.fa", "r.fq", "-o", "/dev/full", "--format", format)
    assert (done.returncode, done.stderr) == (3, "tiedseq: error: /dev/full: cannot write: No space left on device\n")
    with open("/dev/full", "w") as full:
        done = run(
            "align", "t.fa", "r.fq", "--format", format, capture_output=False, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 3
    assert done.stderr == "tiedseq: error: standard output: cannot write: No space left on device\n"


def test_unwritable_output(files: Path) -> None:
    done = run("align", "t.fa", "r.fq", "-o", "none/out.sam")
    assert done.returncode == 3
    assert done.stderr == "tiedseq: error: none/out.sam: cannot write: No such file or directory\n"


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
    command = [sys.executable, "-c", START, "align", "t.fa", "many.fa", "--format", "tsv"]
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
    """Stopped while it reads standard input: no traceback, no file, the status of the signal."""
    command = [sys.executable, "-c", START, "align", "t.fa", "-", "--mode", "local", "-o", "out.maf"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        for n in range(5000):  # more than a pipe holds: when the last of it is written, reading has begun
            process.stdin.write(f">{n}\n{TARGET}\n")
        process.stdin.flush()
        process.send_signal(number)
        assert process.wait(60) == status
        assert process.stderr.read() == ""
    assert sorted(os.listdir(files)) == ["r.fq", "r.fq.gz", "t.fa"]


def test_streams_and_processes(files: Path) -> None:
    with open("r.fq.gz", "rb") as reads:
        done = run("align", "t.fa", "-", "--mode", "local", "--format", "sam", stdin=reads)
    assert done.returncode == 0
    assert [line.split("\t")[0] for line in done.stdout.splitlines() if line[0] != "@"] == ["r1", "empty", "r2"]
    assert done.stderr.startswith("tiedseq: 3 records, 1 skipped")
    assert TARGET[20:50].lower() in done.stdout
    if shutil.which("samtools"):
        subprocess.run(["samtools", "view", "-b"], input=done.stdout.encode(), check=True, capture_output=True)


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
