"""tiedseq fit, annotate, score, sample and info, from files to files."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from Bio.Seq import reverse_complement
from commands import ENVIRONMENT, run
from numpy.testing import assert_allclose

import tiedseq as ts
from tiedseq import cli, nn
from tiedseq.commands.shared import Progress

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with sequences of two kinds of DNA, one after the other, and one of lower case."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    lines = []
    for number in range(6):
        rich = "".join(generator.choice(list("CCGGGCAT"), 120))
        poor = "".join(generator.choice(list("AATTTACG"), 200))
        lines.append(f">seq{number} some words\n{poor}{rich}{poor}\n")
    (tmp_path / "s.fa").write_text("".join(lines) + ">empty\n")
    return tmp_path


def fitted(*more: str) -> ts.HMM:
    assert cli.main(["fit", "s.fa", "--states", "2", "-o", "m.json", "--seed", "1", *more]) == 0
    model = ts.load("m.json")
    assert isinstance(model, ts.HMM)
    return model


def test_fit_is_the_fit_of_python(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = fitted()
    sequences = [record for record in ts.read("s.fa") if len(record)]
    same = ts.HMM.ergodic(2, alphabet=ts.DNA, random_state=1).fit(sequences, random_state=1)
    assert_allclose(model.transmat_, same.transmat_, rtol=0, atol=0)
    assert_allclose(model.emissionprob_, same.emissionprob_, rtol=0, atol=0)
    assert model.provenance is not None and model.provenance["converged"] is True
    assert_allclose(model.provenance["log_likelihood"], same.score(sequences), rtol=1e-12)
    line = capsys.readouterr().err
    assert line.startswith("tiedseq: 7 records, 1 skipped, log-likelihood -") and line.endswith("converged\n")
    assert cli.main(["info", "m.json"]) == 0
    shown = capsys.readouterr().out
    assert "HMM with states s0, s1" in shown and "data_sha256" in shown


def test_an_interrupted_fit_goes_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = fitted("--quiet")
    Path("m.json").unlink()
    words = ["fit", "s.fa", "--states", "2", "-o", "m.json", "--seed", "1", "--checkpoint", "c"]

    def stop(self: Progress, message: str) -> None:
        if message.startswith("iteration 5, "):
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "show", stop)
        assert cli.main(words) == cli.INTERRUPTED
    line = "tiedseq: interrupted: no model was written; the same command goes on from c\n"
    assert capsys.readouterr().err == line and not Path("m.json").exists()
    assert fitted("--checkpoint", "c").to_dict()["values"] == whole.to_dict()["values"] and not Path("c").exists()


def test_fit_does_not_depend_on_threads(here: Path) -> None:
    one, two = (fitted("--restarts", "2", "--threads", threads, "--quiet").to_dict() for threads in ("1", "2"))
    commands = [document["provenance"].pop("command") for document in (one, two)]  # as they were typed
    assert one == two and commands[0].replace("--threads 1", "--threads 2") == commands[1]


def test_fit_goes_on_from_a_model(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = fitted("--max-iter", "3")
    remark, summary = capsys.readouterr().err.splitlines()
    assert remark.startswith("tiedseq: Training stopped after --max-iter 3 iterations with ")
    assert remark.endswith(" more than --tol 0.01; raise --max-iter, or continue with --model m.json.")
    assert summary.endswith(", 3 iterations, not converged")
    assert cli.main(["fit", "s.fa", "--model", "m.json", "-o", "n.json", "--quiet"]) == 0
    sequences = [record for record in ts.read("s.fa") if len(record)]
    assert ts.load("n.json").score(sequences) > first.score(sequences)
    assert capsys.readouterr().err == ""


def test_fit_says_what_it_cannot_learn(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    emissions = {"a": [0.25] * 4, "b": [0.1, 0.2, 0.3, 0.4]}
    ts.HMM(ts.DNA, {"a": {"a": 1.0}, "b": {"a": 0.5, "b": 0.5}}, emissions, start={"a": 1.0}).save("m.json")
    words = ["fit", "s.fa", "--model", "m.json", "-o", "n.json"]
    assert cli.main(words) == 0
    remark, summary = capsys.readouterr().err.splitlines()
    assert remark == "tiedseq: No sequence visits the state 'b': it keeps its values."
    assert summary.startswith("tiedseq: 7 records, 1 skipped, log-likelihood -")
    assert cli.main([*words, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_both_strands_alike(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = fitted("--order", "1", "--symmetry", "reverse-complement")
    for record in ts.read("s.fa"):
        if len(record):
            assert_allclose(model.score(record), model.score(reverse_complement(record.sequence)), rtol=1e-11)
    assert cli.main(["fit", "s.fa", "--model", "m.json", "--symmetry", "reverse-complement", "-o", "n.json"]) == 2
    assert "--symmetry is for a new model" in capsys.readouterr().err


def test_masked_letters_are_missing(here: Path) -> None:
    (here / "s.fa").write_text(">a\nACGTacgtACGGTTT\n")
    masked = fitted("--mask", "lowercase")
    (here / "s.fa").write_text(">a\nACGTNNNNACGGTTT\n")
    assert_allclose(masked.emissionprob_, fitted().emissionprob_, rtol=0, atol=0)


@pytest.mark.parametrize("decode", ["posterior", "viterbi"])
def test_annotate_writes_where_states_are(here: Path, capsys: pytest.CaptureFixture[str], decode: str) -> None:
    model = fitted("--quiet")
    poor, rich = np.argsort(model.emissionprob_[:, 1] + model.emissionprob_[:, 2])
    words = ["annotate", "m.json", "s.fa", "--decode", decode, "--omit", model.states[poor], "--min-length", "30"]
    assert cli.main(words) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == [f"seq{k}" for k in range(6)]
    for row in rows:
        assert row[3:6:2] == [model.states[rich], "."] and 0 <= int(row[4]) <= 1000
        assert abs(int(row[1]) - 200) < 40 and abs(int(row[2]) - 320) < 40
    record = next(iter(ts.read("s.fa")))
    path = model.predict(record) if decode == "viterbi" else model.predict_proba(record).argmax(axis=1)
    start, end = int(rows[0][1]), int(rows[0][2])
    assert (path[start:end] == rich).all() and path[start - 1] != rich and path[end] != rich
    assert_allclose(int(rows[0][4]), 1000 * model.predict_proba(record)[start:end, rich].mean(), rtol=0, atol=0.5)
    assert cli.main([*words, "-o", "out.gff3", "--type", "CpG_island"]) == 0
    lines = (here / "out.gff3").read_text().splitlines()
    assert lines[0] == "##gff-version 3" and "##sequence-region seq0 1 520" in lines
    assert [line.split("\t")[2:5] for line in lines if line.startswith("seq0")] == [
        ["CpG_island", str(start + 1), str(end)]
    ]


@pytest.mark.parametrize("format", ["bedgraph", "wig"])
def test_annotate_writes_tracks(here: Path, format: str) -> None:
    model = fitted("--quiet")
    assert cli.main(["annotate", "m.json", "s.fa", "--state", "s1", "-o", f"out.{format}"]) == 0
    lines = (here / f"out.{format}").read_text().splitlines()
    posterior = model.predict_proba(next(iter(ts.read("s.fa"))))[:, 1]
    if format == "wig":
        first = next(k for k, line in enumerate(lines) if line.startswith("fixedStep chrom=seq0 "))
        found = np.array([float(line) for line in lines[first + 1 : first + 521]])
        assert_allclose(found, posterior, rtol=1e-3, atol=1e-300)
    else:
        runs = [line.split("\t") for line in lines if line.startswith("seq0\t")]
        found = np.concatenate([np.full(int(end) - int(start), float(value)) for _, start, end, value in runs])
        assert_allclose(found, posterior, rtol=0, atol=1e-4)


@pytest.mark.parametrize("more", [["--omit", "s0"], ["--decode", "viterbi"], ["--format", "wig", "--state", "s1"]])
def test_annotate_says_how_many_records_and_how_sure(
    here: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    model = fitted("--quiet")
    assert cli.main(["annotate", "m.json", "s.fa", *more]) == 0
    of_letters = []
    for record in ts.read("s.fa"):
        if len(record):
            posterior = model.predict_proba(record)
            path = model.predict(record) if "viterbi" in more else posterior.argmax(axis=1)
            shown = posterior[np.arange(len(path)), path]
            of_letters.append({"--omit": shown[path != 0], "--decode": shown, "--format": posterior[:, 1]}[more[0]])
    mean = np.concatenate(of_letters).mean()
    assert capsys.readouterr().err == f"tiedseq: 7 records, 1 skipped, mean confidence {mean:.4f}\n"
    assert cli.main(["annotate", "m.json", "s.fa", *more, "--quiet"]) == 0
    assert cli.main(["score", "m.json", "s.fa", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_score_wants_a_partner_for_every_record(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ts.default_model().save("p.json")
    (here / "a.fa").write_text(">a\nACGT\n>c\nAC\n")
    (here / "b.fa").write_text(">b\nACGA\n")
    for words in (["a.fa", "b.fa"], ["b.fa", "a.fa"]):
        assert cli.main(["score", "p.json", *words, "--quiet"]) == 1
        assert capsys.readouterr().err.startswith("tiedseq: error: a.fa, line 3, record 'c': it has no partner")


def test_score_and_sample(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = fitted("--quiet")
    assert cli.main(["score", "m.json", "s.fa"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "tiedseq: 7 records, 1 skipped\n"
    rows = [line.split("\t") for line in shown.out.splitlines()]
    assert rows[0] == ["name", "length", "log_likelihood"] and rows[-1][0] == "seq5"
    record = next(iter(ts.read("s.fa")))
    assert_allclose(float(rows[1][2]), model.score(record), rtol=0, atol=1e-6)
    assert cli.main(["sample", "m.json", "--length", "50", "--count", "3", "--seed", "4"]) == 0
    drawn = capsys.readouterr().out
    assert [len(line) for line in drawn.splitlines()[1::2]] == [50, 50, 50]
    assert cli.main(["sample", "m.json", "--length", "50", "--count", "3", "--seed", "4"]) == 0
    assert capsys.readouterr().out == drawn
    ts.default_model().save("p.json")
    (here / "a.fa").write_text(">empty\n>a\nACGT\n")
    (here / "b.fa").write_text(">none\n>b\nACGA\n")
    assert cli.main(["score", "p.json", "a.fa", "b.fa"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "tiedseq: 2 pairs, 1 skipped\n"
    row = shown.out.splitlines()[1].split("\t")
    assert row[:2] == ["a", "b"]
    assert_allclose(float(row[2]), ts.default_model().log_likelihood("ACGT", "ACGA"), rtol=0, atol=1e-6)


IMPOSSIBLE = "the model gives it probability 0: no path of states "


@pytest.mark.parametrize(
    "words",
    [["annotate", "m.json", "i.fa"], ["annotate", "m.json", "i.fa", "--format", "wig"], ["fit", "i.fa", "--model"]],
)
def test_a_record_of_probability_zero_is_named(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    only_a_and_c = {"u": [0.5, 0.5, 0.0, 0.0]}
    ts.HMM(ts.DNA, {"u": {"u": 1.0}}, only_a_and_c).save("m.json")
    (here / "i.fa").write_text(">fine\nACA\n>odd\nACA\nCgA\n")
    words = (
        [*words, "m.json", "-o", "n.json"] if words[0] == "fit" else [*words, *["--state", "u"][: 2 * ("wig" in words)]]
    )
    assert cli.main(words) == 1
    place = "tiedseq: error: i.fa, line 5, column 2, record 'odd': "
    assert capsys.readouterr().err.startswith(f"{place}{IMPOSSIBLE}explains the letter 'g' after those before it; ")
    two_letters_at_a_time = {"u": {"v": 1.0}, "v": {"u": 0.5, "end": 0.5}}
    emissions = {"u": [0.25] * 4, "v": [0.25] * 4}
    ts.HMM(ts.DNA, two_letters_at_a_time, emissions, start={"u": 1.0}).save("m.json")
    (here / "i.fa").write_text(">fine\nACAC\n>odd\nACA\n")
    assert cli.main(words) == 1
    place = "tiedseq: error: i.fa, line 3, record 'odd': "
    assert capsys.readouterr().err.startswith(f"{place}{IMPOSSIBLE}can end after its 3 letters; ")


def test_score_of_probability_zero_is_minus_infinity(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ts.HMM(ts.DNA, {"u": {"u": 1.0}}, {"u": [0.5, 0.5, 0.0, 0.0]}).save("m.json")
    (here / "i.fa").write_text(">odd\nACG\n>fine\nAC\n")
    assert cli.main(["score", "m.json", "i.fa"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["odd\t3\t-inf", f"fine\t2\t{2 * np.log(0.5):.6f}"]


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["fit", "s.fa", "-o", "m2.json"], 2, "give --states N for a new model, or --model FILE"),
        (["fit", "s.fa", "--states", "0", "-o", "m2.json"], 2, "at least 1"),
        (["fit", "none.fa", "--states", "2", "-o", "m2.json"], 1, "none.fa"),
        (["fit", "e.fa", "--states", "2", "-o", "m2.json"], 1, "e.fa: it holds no sequence"),
        (["fit", "x.fa", "--states", "2", "-o", "m2.json"], 1, "x.fa"),
        (["fit", "s.fa", "--states", "2", "-o", "s.fa"], 2, "would replace"),
        (["fit", "s.fa", "--model", "m.json", "--order", "0", "-o", "m2.json"], 2, "--order is for a new model, with"),
        (
            ["fit", "s.fa", "--model", "m.json", "--alphabet", "dna", "-o", "m2.json"],
            2,
            "--alphabet is for a new model",
        ),
        (["fit", "s.fa", "--states", "2", "--alphabet", "", "-o", "m2.json"], 2, "letters='' must be"),
        (["annotate", "m.json", "s.fa", "--omit", "s7"], 2, "--omit s7: the model has the states s0, s1"),
        (["annotate", "m.json", "s.fa", "--format", "wig"], 2, "give --state"),
        (["annotate", "m.json", "s.fa", "-o", "x.txt"], 2, "give --format"),
        (["annotate", "p.json", "s.fa"], 1, "needs one of 'hmm'"),
        (["annotate", "g.json", "s.fa"], 1, "g.json: it emits numbers; annotate on the command line is for sequences"),
        (["score", "g.json", "s.fa"], 1, "g.json: it emits numbers; score on the command line is for sequences"),
        (["fit", "s.fa", "--model", "g.json", "-o", "m2.json"], 1, "g.json: it emits numbers; fit on the command line"),
        (["annotate", "m.json", "s.fa", "--min-posterior", "2"], 2, "probability from 0 to 1"),
        (
            ["annotate", "m.json", "s.fa", "--state", "s9"],
            2,
            "--state is for bedgraph and wig, and does nothing in bed",
        ),
        (["annotate", "m.json", "s.fa", "--format", "wig", "--min-length", "9"], 2, "--min-length is for bed and gff3"),
        (["annotate", "m.json", "s.fa", "--format", "wig", "--decode=viterbi"], 2, "--decode is for bed and gff3"),
        (["annotate", "m.json", "s.fa", "--type", "gene"], 2, "--type is for gff3, and does nothing in bed"),
        (
            ["fit", "s.fa", "--states", "2", "-o", "z.json", "--checkpoint", "z.json"],
            2,
            "-o z.json would replace the file",
        ),
        (["fit", "s.fa", "--states", "2", "-o", "z.json", "--checkpoint", ""], 2, "--checkpoint is empty"),
        (
            [
                "fit",
                "s.fa",
                "--states",
                "2",
                "-o",
                "z.json",
                "--alphabet",
                "protein",
                "--symmetry",
                "reverse-complement",
            ],
            2,
            "give --alphabet dna or rna",
        ),
        (["score", "m.json", "s.fa", "s.fa"], 2, "m.json holds an HMM, which takes one file"),
        (["score", "p.json", "s.fa"], 2, "p.json holds a pair-HMM, which takes two files"),
        (["sample", "m.json"], 2, "m.json has no end: say how long its sequences are with --length"),
        (["sample", "p.json"], 2, "p.json has no end: say how long its sequences are with --length"),
        (["fit", "s.fa", "--states", "2", "--order", "12", "-o", "m2.json"], 2, "argument --order: invalid choice: 12"),
        (
            ["fit", "s.fa", "--states", "2", "--order", "5", "--symmetry", "reverse-complement", "-o", "m2.json"],
            2,
            "--order 5: with --symmetry it is 4 at most",
        ),
        (["info", "s.fa"], 1, "not a model file"),
        (
            ["score", "c.json", "s.fa"],
            *(1, "c.json: it holds a model of the kind 'classifier'; this command needs one of 'pair-hmm' or 'hmm'"),
        ),
        (["sample", "c.json"], 1, "c.json: it holds a model of the kind 'classifier'; this command needs one of"),
    ],
)
def test_mistakes(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], status: int, complaint: str
) -> None:
    ts.HMM.ergodic(2, alphabet=ts.DNA, random_state=0).save("m.json")
    ts.default_model().save("p.json")
    ts.HMM(None, {"u": {"u": 1.0}}, {"u": ts.Gaussian(mean=[0.0], covariance=[[1.0]])}).save("g.json")
    if "c.json" in words:
        net = nn.Sequential(nn.Conv1D(2, width=3), nn.GlobalMaxPool(), nn.Dense(1))
        nn.Classifier(net, max_epochs=1, random_state=0).fit(["ACGT", "TTTT"], [0, 1]).save("c.json")
    (here / "e.fa").write_text(">a\n")
    (here / "x.fa").write_text(">a\nACGTJ\n")
    assert cli.main(words) == status
    shown = capsys.readouterr()
    assert complaint in shown.err and shown.out == ""
    assert not (here / "m2.json").exists() and (here / "s.fa").read_text().startswith(">seq0")


@pytest.mark.parametrize("words", [["info", "m.json"], ["train", "s.fa", "--format", "text", "-o", "n.json"]])
def test_standard_output_is_text_whatever_the_locale(here: Path, words: list[str]) -> None:
    model = ts.HMM.ergodic(2, alphabet=ts.DNA, random_state=0)
    model.provenance = {"command": "tiedseq fit é.fa"}
    model.save("m.json")
    (here / "s.fa").write_text(">a\nACGTACGT\n>b\nACGACGT\n")
    done = run(*words, env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"}, encoding="utf-8")
    assert done.returncode == 0
    assert words[0] == "train" or "command: tiedseq fit é.fa" in done.stdout.splitlines()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_behind_standard_output_is_seen(here: Path) -> None:
    ts.HMM.ergodic(2, alphabet=ts.DNA, random_state=0).save("m.json")
    with open("/dev/full", "w") as full:
        done = run("info", "m.json", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (
        cli.ENVIRONMENT,
        "tiedseq: error: standard output: cannot write: No space left on device\n",
    )


def test_model_files_say_where_values_come_from(here: Path) -> None:
    fitted("--quiet")
    document = json.loads((here / "m.json").read_text())
    assert document["provenance"]["command"].startswith("tiedseq fit ")
    assert document["provenance"]["sequences"] == 6
