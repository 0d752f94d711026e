"""The peers as aligners of many pairs: each returns who is aligned with whom."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .peers import biopython_aligner, fasta, program, scratch
from .truth import Partners, partners_of_blocks, partners_of_columns, partners_of_rows

Pairs = list[tuple[str, str]]
Aligner = Callable[[Pairs], list[Partners]]

TIMEOUT = 60.0  # seconds a call of a program


def biopython(pairs: Pairs) -> list[Partners]:
    """One optimal path, scores of blastn."""
    aligner = biopython_aligner()
    return [partners_of_columns(aligner.align(x, y)[0].indices, len(x)) for x, y in pairs]


def parasail(pairs: Pairs) -> list[Partners]:
    """One optimal path, scores of blastn: 2, -3, 5 to open a gap and 2 a letter."""
    import parasail as library

    matrix = library.matrix_create("ACGT", 2, -3)
    found = (library.nw_trace_striped_sat(x, y, 7, 2, matrix).traceback for x, y in pairs)
    return [partners_of_rows(trace.query, trace.ref) for trace in found]


def probcons(pairs: Pairs) -> list[Partners]:
    """As it comes. It takes A, C, G, T for amino acids."""
    return _by_program([program("probcons")], pairs)


def fsa(pairs: Pairs) -> list[Partners]:
    """As it comes: it trains on each pair."""
    return _by_program([program("fsa")], pairs)


def mafft(pairs: Pairs) -> list[Partners]:
    """Global alignment (G-INS-i)."""
    return _by_program([program("mafft"), "--globalpair", "--maxiterate", "1000", "--quiet"], pairs)


def last(pairs: Pairs) -> list[Partners]:
    """LAST on one strand, trained on all pairs together; of local alignments, the best of every letter."""
    lastdb, train, lastal, split = (program(name) for name in ("lastdb", "last-train", "lastal", "last-split"))
    directory = scratch()
    targets, queries = directory / "targets.fa", directory / "queries.fa"
    targets.write_text("".join(f">target{k}\n{x}\n" for k, (x, _) in enumerate(pairs)))
    queries.write_text("".join(f">query{k}\n{y}\n" for k, (_, y) in enumerate(pairs)))
    _output([lastdb, str(directory / "all"), str(targets)])
    scores = directory / "scores"
    scores.write_text(_output([train, "-S0", "-s1", str(directory / "all"), str(queries)]))
    found = []
    for x, y in pairs:
        target, query = fasta(directory, target=x, query=y)
        _output([lastdb, str(directory / "one"), target])
        local = directory / "local.maf"
        local.write_text(_output([lastal, "-s1", "-p", str(scores), str(directory / "one"), query]))
        found.append(_partners_of_maf(_output([split, str(local)]), len(x)))
    return found


PEERS: dict[str, Aligner] = {
    "ProbCons": probcons,
    "FSA": fsa,
    "LAST (trained)": last,
    "MAFFT G-INS-i": mafft,
    "parasail (blastn scores)": parasail,
    "Biopython (blastn scores)": biopython,
}


def _output(command: list[str]) -> str:
    """What a program prints; a failure is an error, with what it said. Its children end with it."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, complaint = process.communicate(timeout=TIMEOUT)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {process.returncode}\n{complaint}")
    return output


def _by_program(command: list[str], pairs: Pairs) -> list[Partners]:
    """Run a program that reads a file of both sequences and prints their rows as FASTA, in whatever order."""
    path = scratch() / "both.fa"
    return [_by_program_one(command, path, x, y) for x, y in pairs]


def _by_program_one(command: list[str], path: Path, x: str, y: str) -> Partners:
    path.write_text(f">target\n{x}\n>query\n{y}\n")
    records = [record.split("\n") for record in _output([*command, str(path)]).split(">")[1:]]
    rows = {lines[0].split()[0]: "".join(lines[1:]).strip() for lines in records}
    return partners_of_rows(rows["target"].replace(".", "-"), rows["query"].replace(".", "-"))


def _partners_of_maf(text: str, length: int) -> Partners:
    """The partners in the alignments of a MAF file, target first; where they disagree the first counts."""
    lines = [line.split() for line in text.split("\n") if line.startswith("s ")]
    blocks = []
    for x, y in zip(lines[::2], lines[1::2], strict=True):
        partners = partners_of_rows(x[6], y[6])
        aligned = np.flatnonzero(partners >= 0)
        blocks += [(int(x[2]) + int(i), int(y[2]) + int(partners[i]), 1) for i in aligned]
    return partners_of_blocks(blocks, length)
