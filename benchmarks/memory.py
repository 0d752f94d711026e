"""Peak memory of one call above the idle process: ``python -m benchmarks.memory CONTENDER QUERY`` prints it in MB.

A process of its own, since a peak never goes down again. On Linux the peak is read from /proc: the one that getrusage
reports begins, in a child process, with the size of its parent.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from . import inputs, peers
from .harness import Missing


def _status(key: str) -> float:
    """Megabytes of a line of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(key)


def peak_above_idle(call: Callable[[], object]) -> float:
    """Megabytes that the process grew by at most during the call."""
    if not Path("/proc/self/status").exists():
        scale = 2**20 if sys.platform == "darwin" else 2**10
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        call()
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / scale
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is in use
        idle = _status("VmRSS")
    except OSError:
        idle = _status("VmHWM")
    call()
    return _status("VmHWM") - idle


def prepare(contender: str, pairs: list[tuple[str, str]]) -> Callable[[], object]:
    """The call of a contender on these pairs."""
    if contender == "tiedseq":
        import tiedseq as ts

        return lambda: [ts.align(x, y) for x, y in pairs]
    if contender == "biopython":
        return peers.biopython_traceback(pairs)
    return peers.parasail(contender, pairs)


def in_a_process(contender: str, query: str) -> Callable[[], object]:
    """What a case measures: the number that a new process prints."""
    if contender != "hmm":
        prepare(contender, [])  # a missing peer is noticed here

    def call() -> float:
        command = [sys.executable, "-m", "benchmarks.memory", contender, query]
        done = subprocess.run(command, capture_output=True, text=True, cwd=inputs.DATA.parent)
        if done.returncode:
            raise Missing(done.stderr.strip().splitlines()[-1])
        return float(done.stdout)

    return call


def hmm_call(letters: int) -> Callable[[], object]:
    """An E-step and an M-step of an HMM of 8 states over one sequence."""
    import numpy as np

    import tiedseq as ts

    codes = np.random.default_rng(0).integers(0, 4, letters).astype(np.uint8)
    model = ts.HMM.ergodic(8, alphabet="ACGT", random_state=0)
    return lambda: model.fit(codes, max_iter=1, tol=0)


if __name__ == "__main__" and sys.argv[1] == "hmm":
    hmm_call(100_000)()
    print(peak_above_idle(hmm_call(int(sys.argv[2]))))
elif __name__ == "__main__":
    prepare(sys.argv[1], [inputs.mito(sys.argv[2], 100)])()  # imports and compiled code belong to the idle process
    print(peak_above_idle(prepare(sys.argv[1], [inputs.mito(sys.argv[2])])))
