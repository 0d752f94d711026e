"""tiedseq train, compare and align --train, from files to files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import tiedseq as ts
from tiedseq import cli
from tiedseq.commands.reports import IN_WORDS
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
    assert model.provenance["command"] == "tiedseq train" and model.provenance["converged"] is True
    assert model.provenance["pairs"] == 12 and len(model.provenance["data_sha256"]) == 64
    assert_allclose(model.provenance["log_likelihood"], same.score(PAIRS), rtol=1e-12)
    output = capsys.readouterr()
    assert "deletion_open" in output.out and "mean length of a gap, in letters: X " in output.out
    row = next(line for line in output.out.splitlines() if line.startswith("C  "))
    pair = np.asarray(model.parameters["pair"])
    assert_allclose([float(word) for word in row.split()[1:]], pair[1], rtol=0, atol=5.1e-5)
    assert output.err.startswith("tiedseq: 12 pairs, 0 skipped, log-likelihood -") and "converged" in output.err


def test_pairs_are_the_same_however_they_are_given(here: Path) -> None:
    one = trained("t.fa", "q.fa", "--pairs").parameters
    others = [["both.fa.gz"], ["both.fa.gz", "--pairs"], ["t.fa", "q.fa", "--pairs=name", "--threads", "2"]]
    for words in others:
        found = trained(*words).parameters
        assert {label: value for label, value in found.items() if label == "open"} == {"open": one["open"]}
    assert_allclose(trained("t.fa", "backwards.fa", "--pairs=name").parameters["open"], one["open"], rtol=1e-9)


def test_train_goes_on_from_a_model_and_writes_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ts.PairHMM.affine(gaps=2).save("start.json")
    assert cli.main(["train", "both.fa.gz", "--model", "start.json", "--format", "json", "-o", "m.json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["values"] == json.loads(Path("m.json").read_text())["values"] and "open2" in shown["values"]


def test_compare_is_the_compare_of_python(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "both.fa.gz", "--hypothesis", "symmetric-gaps", "--permutation", "99", "--seed", "3"]
    assert cli.main([*words, "--format", "json", "-o", "v.json"]) == 0
    found = json.loads(Path("v.json").read_text())
    same = ts.compare(*ts.hypotheses("symmetric-gaps"), PAIRS, permutation=99, random_state=3)
    assert same.permutation is not None and same.p_value is not None
    assert_allclose([found["statistic"], found["p_value"]], [same.statistic, same.p_value], rtol=1e-9)
    assert found["permutation"] == same.permutation._asdict() and found["df"] == 2
    assert found["provenance"]["pairs"] == 12 and found["standard_errors"][0]["open"] > 0.0
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
    assert output["p_value"] is None and any("bootstrap=99" in note for note in output["notes"])
    assert cli.main([*words, "--bootstrap", "3", "--threads", "2"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["p_value"] >= 0.25 and "bootstrap: 3 data sets, about " in output.err


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
        (["train", "t.fa", "q.fa"], 2, "-o MODEL.json is missing"),
        (["train", "-", "-", "-o", "m.json"], 2, "standard input"),
        (["train", "t.fa", "--pairs=name", "-o", "m.json"], 2, "--pairs=name is for two files"),
        (["train", "t.fa", "-o", "t.fa"], 2, "would replace the file given as TARGET"),
        (["train", "t.fa", "--substitution", "hky", "-o", "m.json"], 2, "invalid choice"),
        (["train", "t.fa", "--model", "q.fa", "-o", "m.json"], 1, "not a model file"),
        (["train", "t.fa", "--model", "q.fa", "--asymmetric", "-o", "m.json"], 2, "is for a new model"),
        (["compare", "t.fa", "--null", "m.json"], 2, "belong together"),
        (["compare", "t.fa", "--permutation", "-1"], 2, "--permutation: it must be"),
        (["compare", "t.fa", "--mode", "overlap", "--bootstrap", "9"], 2, "bootstrap=9 draws pairs for"),
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


def test_a_comparison_of_no_letters_is_the_inputs_fault(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "n.fa").write_text(">a\nNNNN\n>b\nNNN\n")
    assert cli.main(["compare", "n.fa"]) == 1
    assert "no observed letter" in capsys.readouterr().err
