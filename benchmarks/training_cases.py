"""Training of pair-HMMs: an iteration over a pair of genomes, a whole training on many pairs, last-train for scale."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from . import inputs
from .harness import Case, Missing, Run, case
from .peers import Call

_PAIRS, _COLUMNS = 200, 2000


def _iteration(gaps: int) -> Call:
    import tiedseq as ts

    pairs, model = [inputs.mito("mouse_mt")], ts.PairHMM.affine(symmetric=False, gaps=gaps)
    return lambda: model.fit(pairs, max_iter=1, tol=0)


def _training(gaps: int, threads: int) -> Call:
    """A fit to 0.01 nats from the default starting values, of pairs at some 70 % identity with two classes of gaps."""
    import tiedseq as ts

    truth = ts.PairHMM.affine(symmetric=False, gap_open=(0.02, 0.003), gap_extend=(0.5, 0.95), identity=0.7, gaps=2)
    pairs = [truth.sample(columns=_COLUMNS, random_state=k)[:2] for k in range(_PAIRS)]
    model = ts.PairHMM.affine(symmetric=False, gaps=gaps)

    def train() -> None:
        model.fit(pairs, executor=threads)
        if not model.converged_:
            raise RuntimeError("the training did not converge")

    return train


def _last_train() -> Call:
    """last-train on the same two genomes: seeds, and local alignments only."""
    for program in ("lastdb", "last-train"):
        if shutil.which(program) is None:
            raise Missing(f"{program} is not installed (Debian: last-align)")
    human, mouse = (inputs.DATA / f"{name}.fa" for name in ("human_mt", "mouse_mt"))

    def train() -> None:
        with tempfile.TemporaryDirectory() as folder:
            index = str(Path(folder) / "index")
            subprocess.run(["lastdb", index, str(human)], check=True, capture_output=True)
            subprocess.run(["last-train", index, str(mouse)], check=True, capture_output=True)

    return train


@case
def em_mouse() -> Case:
    runs = {
        "tiedseq, one class of gaps": Run(lambda: _iteration(1)),
        "tiedseq, two classes": Run(lambda: _iteration(2)),
        "last-train, all of it": Run(_last_train),
    }
    return Case("EM iteration, 16.5 kb x 16.5 kb (human, mouse), one core", runs)


@case
def train_pairs() -> Case:
    runs = {
        "one class of gaps": Run(lambda: _training(1, 2)),
        "two classes": Run(lambda: _training(2, 2)),
    }
    return Case(f"Training to 0.01 nats, {_PAIRS} pairs of 2 kb, two threads", runs)
