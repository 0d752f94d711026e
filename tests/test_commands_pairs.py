"""tiedseq train, compare and align --train, from files to files."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import ENVIRONMENT, TIEDSEQ
from numpy.testing import assert_allclose

import tiedseq as ts
from tiedseq import cli
from tiedseq.commands.reports import IN_WORDS
from tiedseq.commands.shared import Progress, in_options
from tiedseq.options import HYPOTHESES

TRUTH = ts.PairHMM.affine(symmetric=False, values={"deletion_open": 0.02, "insertion_open": 0.05})
PAIRS = [TRUTH.sample(columns=150, random_state=k)[:2] for k in range(12)]
READS = "ACGTTGCATGCAAGCTTGCATGCCTGCAGGTCGACTCTAGAGGATCCCCGGGTACCGAGCTCGAATTCACTGGCCGTCGTTTTACAACGTCGTGACTGG"


def fasta(sequences: list[str], name: str) -> str:
    return "".join(f">{name}{number}\n{sequence}\n" for number, sequence in enumerate(sequences))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the same pairs in one file and in two, and some that are not well."""
    monkeypatch.chdir(tmp_path)
    targets, queries = zip(*PAIRS, strict=True)
    (tmp_path / "t.fa").write_text(fasta(list(targets), "p"))
    (tmp_path / "q.fa").write_text(fasta(list(queries), "p"))
    (tmp_path / "backwards.fa").write_text("".join(f">p{k}\n{queries[k]}\n" for k in reversed(range(12))))
    (tmp_path / "both.fa.gz").write_bytes(gzip.compress(fasta([s for pair in PAIRS for s in pair], "s").encode()))
    (tmp_path / "odd.fa").write_text(">a\nACGT\n>b\nACGT\n>c\nACG\n")
    (tmp_path / "bad.fa").write_text(">a\nACGT\n>b\nAC*T\n")
    (tmp_path / "missing.fa").write_text(">a\nNNNN\n>b\nNNN\n")
    (tmp_path / "gone.fa").write_text(">a\nACGTACGT\n>b\n\n>c\nACGTACGT\n>d\nACGAACGT\n")
    (tmp_path / "ref.fa").write_text(f">ref\n{READS}\n")
    turned = ts.DNA.text_reverse_complement(READS[10:90])
    (tmp_path / "reads.fa").write_text(f">r1\nTTTTTTTT{READS[5:80]}GGGGGG\n>r2\n{turned}\n>stray\n{'AC' * 10}\n")
    return tmp_path


def trained(*words: str) -> ts.PairHMM:
    assert cli.main(["train", *words, "-o", "m.json"]) == 0
    model = ts.load("m.json")
    assert isinstance(model, ts.PairHMM)
    return model


def test_train_is_the_fit_of_python(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = trained("t.fa", "q.fa", "--pairs", "--asymmetric", "--substitution", "kimura", "--gaps", "1")
    same = ts.PairHMM.affine(symmetric=False, substitution="kimura").fit(PAIRS, random_state=0)
    for label, value in same.parameters.items():
        assert_allclose(model.parameters[label], value, rtol=0, atol=0)
    assert model.provenance is not None
    command = "tiedseq train t.fa q.fa --pairs --asymmetric --substitution kimura --gaps 1 -o m.json"
    assert model.provenance["command"] == command and model.provenance["converged"] is True
    assert model.provenance["version"] == ts.__version__ and model.provenance["seed"] == 0
    assert model.provenance["pairs"] == 12 and len(model.provenance["data_sha256"]) == 64
    assert_allclose(model.provenance["log_likelihood"], same.score(PAIRS), rtol=1e-12)
    output = capsys.readouterr()
    assert "deletion_open" in output.out and "mean length of a gap, in letters: X " in output.out
    row = next(line for line in output.out.splitlines() if line.startswith("C  "))
    pair = np.asarray(model.parameters["pair"])
    assert_allclose([float(word) for word in row.split()[1:]], pair[1], rtol=0, atol=5.1e-5)
    assert output.err.startswith("tiedseq: 12 pairs, 0 skipped, log-likelihood -") and "converged" in output.err


@pytest.mark.filterwarnings("ignore::tiedseq.errors.ConvergenceWarning")
def test_gaps_may_switch(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = trained("both.fa.gz", "--gap-switch")
    same = ts.PairHMM.affine(gap_switch=0.01).fit(PAIRS, random_state=0)
    assert_allclose(model.parameters["switch"], same.parameters["switch"], rtol=0, atol=0)
    capsys.readouterr()
    words = ["compare", "both.fa.gz", "--gap-switch", "--hypothesis", "symmetric-extension", "--no-errors"]
    assert cli.main([*words, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["df"] == 1
    for refused in (["train", "both.fa.gz", "--model", "m.json", "-o", "n.json"], ["align", "t.fa", "q.fa"]):
        assert cli.main([*refused, "--gap-switch"]) == 2
        assert "--gap-switch" in capsys.readouterr().err.splitlines()[-1]


def test_pairs_are_the_same_however_they_are_given(here: Path) -> None:
    one = trained("t.fa", "q.fa", "--pairs").parameters
    others = [["both.fa.gz"], ["both.fa.gz", "--pairs"], ["t.fa", "q.fa", "--pairs=name", "--threads", "2"]]
    for words in others:
        found = trained(*words).parameters
        assert {label: value for label, value in found.items() if label == "open"} == {"open": one["open"]}
    assert_allclose(trained("t.fa", "backwards.fa", "--pairs=name").parameters["open"], one["open"], rtol=1e-9)


def test_the_command_is_recorded_as_typed(here: Path) -> None:
    """Names with blanks are quoted, and a name that is no text is written all the same."""
    name = os.fsdecode(b"two words \xff.fa")
    try:
        Path(name).write_bytes(Path("t.fa").read_bytes())
    except OSError:
        pytest.skip("file names are text here")
    rest = ["q.fa", "--pairs", "--max-iter", "1", "--quiet"]
    found = trained(name, *rest).provenance
    assert found is not None
    assert shlex.split(found["command"]) == ["tiedseq", "train", "two words \\udcff.fa", *rest, "-o", "m.json"]


def test_train_goes_on_from_a_model_and_writes_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ts.PairHMM.affine(gaps=2).save("start.json")
    assert cli.main(["train", "both.fa.gz", "--model", "start.json", "--format", "json", "-o", "m.json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["values"] == json.loads(Path("m.json").read_text())["values"] and "open2" in shown["values"]


def test_the_log_likelihood_in_a_file_is_that_of_its_values(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last of so few iterations changes the values once more, after it has measured them."""
    model = trained("both.fa.gz", "--max-iter", "2")
    assert model.provenance is not None and not model.provenance["converged"]
    true = model.score(PAIRS)
    assert_allclose(model.provenance["log_likelihood"], true, rtol=1e-12)
    assert f"12 pairs, 0 skipped, log-likelihood {true:.3f} nats, 2 iterations" in capsys.readouterr().err
    assert cli.main(["align", "t.fa", "q.fa", "--pairs", "--train", "--max-iter", "2"]) == 0
    assert f"trained on 12 pairs, 0 skipped, log-likelihood {true:.3f} nats" in capsys.readouterr().err


def test_compare_forgets_where_the_values_of_its_models_came_from(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = trained("both.fa.gz", "--max-iter", "2").background
    ts.PairHMM.affine(symmetric=False, substitution="symmetric", background=outside).save("1.json")
    capsys.readouterr()
    words = ["compare", "both.fa.gz", "--null", "m.json", "--alternative", "1.json", "--no-errors", "--format", "json"]
    assert cli.main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert "provenance" not in found["null"] and found["provenance"]["command"].startswith("tiedseq compare ")


def test_an_interrupted_training_goes_on_to_the_same_bits(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["t.fa", "q.fa", "--pairs", "--gaps", "2", "--tol", "0.001"]
    whole = trained(*words)
    Path("m.json").unlink()
    capsys.readouterr()
    shown: list[str] = []

    def stop(self: Progress, message: str) -> None:
        shown.append(message)
        if len(shown) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "show", stop)
        assert cli.main(["train", *words, "--checkpoint", "c.json", "-o", "m.json"]) == cli.INTERRUPTED
        line = "tiedseq: interrupted: no model was written; the same command goes on from c.json\n"
        assert capsys.readouterr().err == line
    assert Path("c.json").exists() and not Path("m.json").exists()
    with monkeypatch.context() as patched:
        patched.setattr(Progress, "show", lambda self, message: shown.append(message))
        resumed = trained(*words, "--checkpoint", "c.json")
    assert not Path("c.json").exists()
    assert shown[4].startswith("iteration 3, ")  # not from the start
    assert resumed.to_dict()["values"] == whole.to_dict()["values"]
    assert resumed.provenance is not None and whole.provenance is not None
    for key in ("log_likelihood", "iterations", "converged", "data_sha256"):
        assert resumed.provenance[key] == whole.provenance[key]


def test_compare_is_the_compare_of_python(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "both.fa.gz", "--hypothesis", "symmetric-gaps", "--permutation", "99", "--seed", "3"]
    assert cli.main([*words, "--format", "json", "-o", "v.json"]) == 0
    found = json.loads(Path("v.json").read_text())
    same = ts.compare(*ts.hypotheses("symmetric-gaps"), PAIRS, permutation=99, random_state=3)
    assert same.permutation is not None and same.p_value is not None
    assert_allclose([found["statistic"], found["p_value"]], [same.statistic, same.p_value], rtol=1e-9)
    assert found["permutation"] == same.permutation._asdict() and found["df"] == 2
    origin = found["provenance"]
    assert origin["command"] == f"tiedseq {' '.join(words)} --format json -o v.json" and origin["seed"] == 3
    assert origin["version"] == ts.__version__ and len(origin["data_sha256"]) == 64
    assert origin["log_likelihood"] == found["log_likelihood"] and origin["converged"] == [True, True]
    assert origin["iterations"] == [len(model.history_) for model in (same.null, same.alternative)]
    assert origin["pairs"] == 12 and found["standard_errors"][0]["open"] > 0.0
    capsys.readouterr()
    assert cli.main([*words, "--no-errors", "--threads", "2"]) == 0
    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert lines[0].startswith("hypothesis: insertions and deletions are alike: how often they open")
    assert lines[1].startswith("rejected at the 5 % level by the likelihood-ratio test, p = ")
    assert "by the permutation test, p = " in lines[2] and lines[4].startswith("likelihood-ratio test: statistic ")
    assert output.err == "tiedseq: 12 pairs, 0 skipped\n"


def test_compare_of_model_files_and_a_bootstrap(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    null, alternative = ts.hypotheses("one-gap-class")
    null.save("0.json")
    alternative.save("1.json")
    words = ["compare", "both.fa.gz", "--null", "0.json", "--alternative", "1.json", "--no-errors", "--format", "json"]
    assert cli.main(words) == 0
    output = json.loads(capsys.readouterr().out)
    assert output["p_value"] is None and any("--bootstrap 99 gives one" in note for note in output["notes"])
    assert cli.main([*words, "--bootstrap", "3", "--threads", "2"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["p_value"] >= 0.25 and "bootstrap: 3 data sets, about " in output.err


def test_a_comparison_that_did_not_converge_names_the_option(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "both.fa.gz", "--no-errors"]
    assert cli.main([*words, "--max-iter", "2"]) == 0
    shown = capsys.readouterr().out
    assert "no verdict by the likelihood-ratio test: see the notes" in shown
    assert "a fit did not converge to 0.01 nats; raise --max-iter" in shown
    assert cli.main([*words, "--tol", "0.005", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    same = ts.compare(*ts.hypotheses("symmetric-insertion"), PAIRS, tol=0.005, errors=False)
    assert_allclose(found["log_likelihood"], same.log_likelihood, rtol=0, atol=0)
    assert found["p_value"] == same.p_value and found["log_likelihood"][0] < found["log_likelihood"][1]


def test_remarks_name_options() -> None:
    said = {
        "after max_iter=5 iterations, more than tol=0.01; raise max_iter, or continue with warm_start=True.": (
            "after --max-iter 5 iterations, more than --tol 0.01; raise --max-iter, or continue with --model m.json."
        ),
        "compare models with gaps=2, and see permutation=": "compare models with --gaps 2, and see --permutation",
        "chi-square is no good guide; bootstrap= is one": "chi-square is no good guide; --bootstrap is one",
        "bootstrap: two classes of gaps": "bootstrap: two classes of gaps",
    }
    assert [in_options(remark, "m.json") for remark in said] == list(said.values())
    assert in_options("raise max_iter, or continue with warm_start=True.") == "raise --max-iter."


def test_reads_are_placed_before_they_teach(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = trained("ref.fa", "reads.fa", "--mode", "local", "--strand", "both", "--given", "target", "--qualities")
    assert model.provenance is not None
    assert model.provenance["pairs"] == 2 and model.provenance["unmapped"] == 1
    assert model.alphabet == ts.DNA.with_qualities()
    assert "2 pairs, 0 skipped, 1 unmapped" in capsys.readouterr().err
    # ends of other letters do not pass for gaps
    assert model.parameters["open"] < 1e-6


def test_align_trains_first(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["align", "t.fa", "q.fa", "--pairs", "--train", "--gaps", "2", "--format", "json"]
    assert cli.main(words) == 0
    output = capsys.readouterr()
    model = ts.PairHMM.affine(gaps=2).fit(PAIRS, random_state=0)
    found = json.loads(output.out.splitlines()[0]) if output.out.startswith("{") else json.loads(output.out)[0]
    same = ts.align(*PAIRS[0], model=model)
    assert_allclose(found["log_odds"], same.log_odds, rtol=1e-6)
    assert "trained on 12 pairs" in output.err
    assert cli.main([*words, "--max-iter", "2", "-o", "a.json"]) == 0
    remark = capsys.readouterr().err.splitlines()[0]
    assert remark.endswith(" more than --tol 0.01; raise --max-iter.")  # a.json is no model to go on from
    model.save("m.json")
    assert cli.main([*words[:-4], "--model", "m.json", "--max-iter", "2"]) == 0
    assert "trained on 12 pairs" in capsys.readouterr().err


def test_progress_on_a_terminal_only(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["compare", "both.fa.gz", "--bootstrap", "3", "--seed", "1"]
    assert cli.main(words) == 0
    assert "\r" not in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    ticks = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))  # a second passes between looks at the clock
    assert cli.main(words) == 0
    lines = capsys.readouterr().err.split("\r\x1b[K")
    assert any(line.startswith("tiedseq: iteration 1, -") for line in lines)
    counted = [line for line in lines if " of " in line]
    # two looks at the clock a line
    assert counted == [
        *("tiedseq: bootstrap: 0 of 3", "tiedseq: bootstrap: 1 of 3, about 0:04 left"),
        *("tiedseq: bootstrap: 2 of 3, about 0:02 left", "tiedseq: bootstrap: 3 of 3, about 0:00 left"),
        *("tiedseq: standard errors: 0 of 2", "tiedseq: standard errors: 1 of 2, about 0:02 left"),
    ]
    assert lines[-1] == "tiedseq: 12 pairs, 0 skipped\n"
    # what stays begins at the margin
    assert any(re.fullmatch(r"tiedseq: bootstrap: 3 data sets, about \d+ s at most\n", line) for line in lines)
    trained("both.fa.gz")
    assert "tiedseq: iteration 1, -" in capsys.readouterr().err
    trained("both.fa.gz", "--quiet")
    assert capsys.readouterr().err == ""


# what is on its way when Ctrl-C comes: a training that has written its checkpoint, a bootstrap that has been announced
@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("existing", [False, True])
def test_interrupted_while_it_trains(threads: str, existing: bool, here: Path) -> None:
    if existing:
        Path("m.json").write_text("before")
    words = ["train", "both.fa.gz", "--tol", "0", "--max-iter", "1000000", "--threads", threads, "--checkpoint", "c"]
    before = set(os.listdir())
    with subprocess.Popen([*TIEDSEQ, *words, "-o", "m.json"], stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stderr is not None
        deadline = time.monotonic() + 100
        while not Path("c").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        status, said = process.wait(30), process.stderr.read()
        line = b"tiedseq: interrupted: no model was written; the same command goes on from c\n"
        assert (status, said) == (cli.INTERRUPTED, line)
    assert set(os.listdir()) == {*before, "c"} and json.loads(Path("c").read_text())["runs"]
    assert not existing or Path("m.json").read_text() == "before"


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_interrupted_while_it_compares(threads: str, here: Path) -> None:
    words = ["compare", "both.fa.gz", "--bootstrap", "2000", "--threads", threads, "-o", "v.json"]
    before = set(os.listdir())
    with subprocess.Popen([*TIEDSEQ, *words], stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"tiedseq: bootstrap: 2000 data sets, about ")
        process.send_signal(signal.SIGINT)
        status, said = process.wait(30), process.stderr.read()
        assert (status, said) == (cli.INTERRUPTED, b"tiedseq: interrupted: no verdict was written\n")
    assert set(os.listdir()) == before


def test_every_ready_hypothesis_is_told_in_words() -> None:
    assert tuple(IN_WORDS) == HYPOTHESES


def test_sequences_all_alike_say_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("same.fa").write_text(fasta([READS, READS], "s"))
    assert cli.main(["train", "same.fa", "-o", "m.json"]) == 0
    errors = capsys.readouterr().err.splitlines()
    assert errors[0].startswith("tiedseq: The data hardly use 'open'") and len(errors) == 2
    assert "NaN" not in Path("m.json").read_text()


def test_empty_records_are_skipped_and_counted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "gone.fa", "-o", "m.json"]) == 0
    assert "tiedseq: 2 pairs, 1 skipped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["train", "odd.fa", "-o", "m.json"], 1, "odd.fa, line 5, record 'c': it has no partner"),
        (["train", "t.fa", "odd.fa", "--pairs", "-o", "m.json"], 1, "it has no partner: there are 12 targets"),
        (["train", "t.fa", "odd.fa", "--pairs=name", "-o", "m.json"], 1, "no target has this name"),
        (["train", "bad.fa", "-o", "m.json"], 1, "letter '*'"),
        (["train", "missing.fa", "-o", "m.json"], 1, "missing.fa: its pairs hold no letter to learn from"),
        (["compare", "missing.fa"], 1, "missing.fa: its pairs hold no letter to learn from"),
        (["train", "t.fa", "q.fa"], 2, "-o MODEL.json is missing"),
        (["train", "-", "-", "-o", "m.json"], 2, "standard input"),
        (["train", "t.fa", "--pairs=name", "-o", "m.json"], 2, "--pairs=name is for two files"),
        (["train", "t.fa", "-o", "t.fa"], 2, "would replace the file given as TARGET"),
        (["train", "t.fa", "--substitution", "hky", "-o", "m.json"], 2, "invalid choice"),
        (["train", "t.fa", "--model", "q.fa", "-o", "m.json"], 1, "not a model file"),
        (["train", "t.fa", "--model", "q.fa", "--asymmetric", "-o", "m.json"], 2, "is for a new model"),
        (["train", "t.fa", "--model", "q.fa", "--gaps", "2", "-o", "m.json"], 2, "--gaps is for a new model"),
        (["train", "t.fa", "-o", "-"], 2, "-o is a file for the model"),
        (["train", "t.fa", "--seed", "-1", "-o", "m.json"], 2, "--seed: it must be a whole number of at least 0"),
        (["compare", "t.fa", "--null", "m.json"], 2, "belong together"),
        (["compare", "t.fa", "--null", "q.fa", "--alternative", "q.fa", "--gaps", "2"], 2, "is for a ready hypothesis"),
        (
            ["compare", "t.fa", "--hypothesis", "kimura", "--substitution", "symmetric"],
            *(2, "--substitution is what --hypothesis kimura is about, and sets itself: leave it out"),
        ),
        (["compare", "t.fa", "--hypothesis", "one-gap-class", "--gaps", "1"], 2, "--gaps is what --hypothesis one-gap"),
        (["compare", "t.fa", "--alphabet", ""], 2, "letters='' must be"),
        (["train", "t.fa", "--alphabet", "", "-o", "m.json"], 2, "letters='' must be"),
        (["compare", "ref.fa", "reads.fa", "--permutation", "9"], 2, "share a target"),
        (["compare", "t.fa", "--permutation", "-1"], 2, "--permutation: it must be"),
        (["compare", "ref.fa", "reads.fa", "--mode", "local", "--permutation", "9"], 2, "the queries are reads"),
        (["compare", "ref.fa", "reads.fa", "--mode", "glocal", "--permutation", "9"], 2, "the queries are reads"),
        (["compare", "t.fa", "--mode", "glocal", "--permutation", "9"], 2, "not exchangeable"),
        (["compare", "t.fa", "q.fa", "--strand", "both", "--permutation", "9"], 2, "not exchangeable"),
        (["train", "t.fa", "--checkpoint", "q.fa", "-o", "m.json"], 1, "q.fa: not a checkpoint of tiedseq"),
        (["train", "t.fa", "--checkpoint", "", "-o", "m.json"], 2, "--checkpoint is empty"),
        (
            ["train", "t.fa", "--checkpoint", "./new.json", "-o", "new.json"],
            2,
            "would replace the file given as --checkpoint",
        ),
        (
            ["train", "t.fa", "--alphabet", "protein", "--substitution", "strand-symmetric", "-o", "m.json"],
            2,
            "--alphabet",
        ),
        (["align", "t.fa", "-", "--train"], 2, "--train reads the sequences twice"),
        (["align", "t.fa", "q.fa", "--gaps", "2"], 2, "give --train too"),
    ],
)
def test_what_is_wrong_is_said(
    words: list[str], status: int, complaint: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == status
    output = capsys.readouterr()
    assert complaint in output.err and output.out == "" and "Traceback" not in output.err
    assert not Path("m.json").exists()
