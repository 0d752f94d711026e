"""The README tells the truth: its Python runs as it stands, and prints what is printed there; its commands run."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import shlex
from pathlib import Path

import pytest

import tiedseq as ts
from tiedseq import cli

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"```python\n(?P<code>.*?)```(?:\n\n```text\n(?P<output>.*?)```)?", re.DOTALL)
BLOCKS = list(BLOCK.finditer((ROOT / "README.md").read_text(encoding="utf-8")))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block["code"].strip().splitlines()[-1][:40])
def test_python_runs_and_prints_what_it_says(block: re.Match[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block["code"], "README.md", "exec"), {"__name__": "readme"})
    if block["output"] is not None:
        assert printed.getvalue() == block["output"]


def test_there_are_blocks_with_their_output() -> None:
    assert len(BLOCKS) >= 4 and sum(block["output"] is not None for block in BLOCKS) >= 2


SHELL = re.compile(r"```sh\n(?P<lines>.*?)```", re.DOTALL)
COMMANDS = [
    line.split("#")[0].split(" | ")[0].split(" > ")[0].strip()  # what a shell does with the output is its own affair
    for block in SHELL.finditer((ROOT / "README.md").read_text(encoding="utf-8"))
    for line in block["lines"].splitlines()
    if line.startswith("tiedseq ")
]


def test_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In their order, as one writes what another reads; on files that are small, but hold what the names promise."""
    monkeypatch.chdir(tmp_path)
    truth = ts.PairHMM.affine(symmetric=False, values={"deletion_open": 0.02, "insertion_open": 0.05})
    pairs = [truth.sample(columns=120, random_state=k)[:2] for k in range(6)]
    reference = "".join(x for x, _ in pairs)
    reads = [reference[at : at + 150] for at in (10, 200, 350)]
    reads[1] = ts.DNA.text_reverse_complement(reads[1])
    for names, sequences in {
        ("TARGET.fa", "A.fa", "SEQS.fa"): [x for x, _ in pairs],
        ("QUERY.fa", "B.fa"): [y for _, y in pairs],
        ("REF.fa",): [reference],
    }.items():
        for name in names:
            (tmp_path / name).write_text("".join(f">s{k}\n{text}\n" for k, text in enumerate(sequences)))
    fastq = "".join(f"@r{k}\n{read}\n+\n{'I' * len(read)}\n" for k, read in enumerate(reads))
    (tmp_path / "READS.fq").write_text(fastq)
    (tmp_path / "READS.fq.gz").write_bytes(gzip.compress(fastq.encode()))
    for command in COMMANDS:
        assert cli.main(shlex.split(command)[1:]) == 0, command
        summary = capsys.readouterr().err.splitlines()[-1]
        assert re.match(r"tiedseq: \d+ (record|pair)s?, \d+ skipped", summary), command
    for name in ("reads.sam", "model.json", "hmm.json", "states.bed"):
        assert (tmp_path / name).stat().st_size > 0


def test_the_commands_that_learn_are_among_them() -> None:
    for words in ("train ", "compare ", "align A.fa B.fa --train"):
        assert any(command.startswith(f"tiedseq {words}") for command in COMMANDS)
