"""The cases: each returns runs by name, and is compared with its first run."""

from __future__ import annotations

import functools
import itertools

from . import inputs, memory, peers
from .harness import Case, Run, case

# Cells a second of Intel's GKL, the hand-written AVX-512 forward in float32 inside GATK, on one core of such a machine.
SIMD = ("hand-written SIMD", 2.7e9)


def cells(pairs: list[tuple[str, str]]) -> float:
    return float(sum(len(x) * len(y) for x, y in pairs))


def log_likelihood(x: str, y: str) -> peers.Call:
    import tiedseq as ts

    model = ts.PairHMM.affine()
    return lambda: model.log_likelihood(x, y)


def score(pairs: list[tuple[str, str]]) -> peers.Call:
    import tiedseq as ts

    model = ts.PairHMM.affine()
    return lambda: model.score(pairs)


def align(x: str, y: str) -> peers.Call:
    from tiedseq import align

    return lambda: align(x, y)


def _score_peers(pairs: list[tuple[str, str]]) -> dict[str, Run]:
    """Scores of one optimal path, no traceback: not the same sum, but the same cells."""
    work = cells(pairs)
    return {
        "parasail nw_striped_sat": Run(lambda: peers.parasail("nw_striped_sat", pairs), work),
        "parasail nw_scan_sat": Run(lambda: peers.parasail("nw_scan_sat", pairs), work),
        "Biopython score": Run(lambda: peers.biopython_score(pairs), work),
        "edlib distance": Run(lambda: peers.edlib(pairs, "distance"), work),
    }


@case
def forward_4kb() -> Case:
    x, y = inputs.mito(length=4000)
    runs = {"tiedseq log_likelihood": Run(lambda: log_likelihood(x, y), cells([(x, y)])), **_score_peers([(x, y)])}
    return Case("Forward, 4 kb x 4 kb", runs, work_unit="cells", yardstick=SIMD)


@case
def forward_mito() -> Case:
    x, y = inputs.mito()
    runs = {"tiedseq log_likelihood": Run(lambda: log_likelihood(x, y), cells([(x, y)])), **_score_peers([(x, y)])}
    return Case("Forward, 16.5 kb x 16.5 kb (human, orangutan)", runs, work_unit="cells", yardstick=SIMD)


@case
def forward_pairs() -> Case:
    pairs = inputs.read_pairs()
    runs = {"tiedseq score": Run(lambda: score(pairs), cells(pairs)), **_score_peers(pairs)}
    return Case("Forward, 10,000 pairs of 150 x 200", runs, work_unit="cells", yardstick=SIMD)


def _align_case(query: str) -> Case:
    x, y = inputs.mito(query)
    pairs = [(x, y)]
    runs = {
        "tiedseq align (posterior, MEA)": Run(lambda: align(x, y)),
        "Biopython one optimal path": Run(lambda: peers.biopython_traceback(pairs)),
        "parasail nw_trace_striped_sat": Run(lambda: peers.parasail("nw_trace_striped_sat", pairs)),
        "parasail nw_trace_scan_sat": Run(lambda: peers.parasail("nw_trace_scan_sat", pairs)),
        "edlib path": Run(lambda: peers.edlib(pairs, "path")),
        "FSA, anchored": Run(lambda: peers.fsa(x, y)),
        "LAST (index, local)": Run(lambda: peers.last(x, y)),
    }
    return Case(f"Alignment of two genomes, 16.5 kb x 16.5 kb (human_mt, {query})", runs)


@case
def align_orangutan() -> Case:
    return _align_case("orangutan_mt")


@case
def align_mouse() -> Case:
    return _align_case("mouse_mt")


@case
def align_memory() -> Case:
    contenders = {
        "tiedseq align": "tiedseq",
        "Biopython one optimal path": "biopython",
        "parasail nw_trace_striped_sat": "nw_trace_striped_sat",
    }
    runs = {
        name: Run(functools.partial(memory.in_a_process, contender, "orangutan_mt"))
        for name, contender in contenders.items()
    }
    return Case("Peak memory above idle, 16.5 kb x 16.5 kb (human, orangutan)", runs, unit="MB")


def _general(title: str, method: str) -> Case:
    """Work is cells times states, so a ratio of 1 means that generality is free."""
    length = 4000
    plain = [inputs.mito(length=length)]
    unknown = [(inputs.with_n(x), inputs.with_n(y)) for x, y in plain]
    genome_x, genome_y = inputs.mito()
    fresh = [(inputs.with_n(genome_x[k : k + length]), inputs.with_n(genome_y[k : k + length])) for k in range(5)]

    def run(pairs: list[tuple[str, str]], states: int = 3, **options: object) -> Run:
        def setup() -> peers.Call:
            call = getattr(inputs.model(gap_classes=states // 2, **options), method)  # type: ignore[arg-type]
            turn = itertools.cycle(pairs)
            return lambda: call(*next(turn))

        return Run(setup, float(length * length * states))

    runs = {
        "3 states": run(plain),
        "5 states": run(plain, states=5),
        "unequal gap letters": run(plain, gap=inputs.UNEQUAL_GAP),
        "N in both": run(unknown),
        "end column": run(plain, end=True),
        "all of it, a fresh pair each time": run(fresh, states=5, gap=inputs.UNEQUAL_GAP, end=True),
    }
    return Case(f"{title} of general models, per cell and state, 4 kb x 4 kb", runs, work_unit="cell-states")


@case
def general_forward() -> Case:
    return _general("Forward", "log_likelihood")


@case
def general_posterior() -> Case:
    return _general("Posterior", "posterior")


@case
def import_time() -> Case:
    lines = ["import tiedseq", "pass", "import numpy", "import numba", "import Bio.Align"]
    return Case("A new interpreter", {line: Run(functools.partial(peers.python, line)) for line in lines})


@case
def command() -> Case:
    x, y = inputs.mito(length=1000)
    runs = {
        "tiedseq align, warm cache": Run(lambda: peers.tiedseq_command(x, y)),
        "tiedseq align, empty cache": Run(lambda: peers.tiedseq_command(x, y, cold=True)),
    }
    return Case("The command on two 1 kb sequences", runs)


@case
def programs() -> Case:
    x, y = (sequence[5325:6870] for sequence in inputs.mito("mouse_mt"))
    runs = {
        "tiedseq align (command, warm)": Run(lambda: peers.tiedseq_command(x, y)),
        "tiedseq align (call)": Run(lambda: align(x, y)),
        "FSA, training on the pair": Run(lambda: peers.fsa(x, y)),
        "FSA, no training": Run(lambda: peers.fsa(x, y, "--nolearn")),
        "ProbCons, no refinement": Run(lambda: peers.probcons(x, y)),
        "LAST (index, local)": Run(lambda: peers.last(x, y)),
    }
    return Case("Programs on two genes, 1.5 kb x 1.5 kb (COX1 of human, mouse)", runs)
