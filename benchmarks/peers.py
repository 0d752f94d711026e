"""The peers: functions that import or find a program, prepare it, and return what is to be measured."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .harness import Missing

Pairs = Iterable[tuple[str, str]]
Call = Callable[[], object]


# --- libraries: each aligns all pairs --------------------------------------------------------------------------------


def biopython_aligner() -> Any:
    """Global alignment with affine gaps and the scores of blastn."""
    from Bio.Align import PairwiseAligner

    return PairwiseAligner(mode="global", scoring="blastn")


def biopython_score(pairs: Pairs) -> Call:
    aligner = biopython_aligner()
    return lambda: [aligner.score(x, y) for x, y in pairs]


def biopython_traceback(pairs: Pairs) -> Call:
    """One optimal path a pair."""
    aligner = biopython_aligner()
    return lambda: [next(aligner.align(x, y)) for x, y in pairs]


def parasail(function: str, pairs: Pairs) -> Call:
    """A function of parasail by name, with blastn-like scores; those with a traceback decode it too."""
    import parasail as library

    align, matrix = getattr(library, function), library.matrix_create("ACGT", 2, -3)

    def call(x: str, y: str) -> object:
        result = align(x, y, 7, 2, matrix)
        return result.cigar.decode if "trace" in function else result.score

    return lambda: [call(x, y) for x, y in pairs]


def edlib(pairs: Pairs, task: str) -> Call:
    """Edit distance ("distance") or one optimal path ("path"), global."""
    import edlib as library

    return lambda: [library.align(y, x, mode="NW", task=task) for x, y in pairs]


# --- programs: each aligns two files ---------------------------------------------------------------------------------


def fasta(directory: Path, **sequences: str) -> list[str]:
    """One file a sequence, named after it."""
    paths = []
    for name, sequence in sequences.items():
        path = directory / f"{name}.fa"
        path.write_text(f">{name}\n{sequence}\n")
        paths.append(str(path))
    return paths


def scratch() -> Path:
    """A directory that goes when the process ends."""
    directory = tempfile.TemporaryDirectory(prefix="benchmarks-")
    _KEPT.append(directory)
    return Path(directory.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def run(command: list[str], **environment: str) -> None:
    """Run to the end, output thrown away; a failure is an error, with what the program said."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env={**os.environ, **environment}
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr}")


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Missing(f"{name} is not installed")
    return path


def last(x: str, y: str) -> Call:
    """LAST: index of the target and local alignments of the query, with default scores."""
    lastdb, lastal, directory = program("lastdb"), program("lastal"), scratch()
    target, query = fasta(directory, target=x, query=y)
    index = str(directory / "index")

    def call() -> None:
        run([lastdb, index, target])
        run([lastal, index, query])

    return call


def fsa(x: str, y: str, *options: str) -> Call:
    """FSA: posterior decoding by a pair-HMM that it trains on the pair (unless told not to)."""
    command = [program("fsa"), *options, *fasta(scratch(), target=x, query=y)]
    return lambda: run(command)


def probcons(x: str, y: str) -> Call:
    """ProbCons: posterior decoding by a pair-HMM for proteins, no refinement. It takes A, C, G, T for amino acids."""
    path = scratch() / "both.fa"
    path.write_text(f">target\n{x}\n>query\n{y}\n")
    command = [program("probcons"), "-c", "0", "-ir", "0", str(path)]
    return lambda: run(command)


def tiedseq_command(x: str, y: str, cold: bool = False) -> Call:
    """`tiedseq align` as a process of its own; with an empty kernel cache each time if cold, else with a filled one."""
    import tiedseq.cli  # noqa: F401 - so that a missing one is skipped like any peer

    directory = scratch()
    command = [sys.executable, "-m", "tiedseq", "align", *fasta(directory, target=x, query=y)]

    def call() -> None:
        with tempfile.TemporaryDirectory(dir=directory) as empty:
            run(command, NUMBA_CACHE_DIR=empty if cold else str(directory / "cache"))

    return call


def python(code: str) -> Call:
    """A new interpreter that runs one line."""
    return lambda: run([sys.executable, "-c", code])
