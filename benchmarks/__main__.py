"""``python -m benchmarks [CASE ...]``: run cases and print their tables."""

from __future__ import annotations

import argparse
import os
import platform
import sys

from . import (  # noqa: F401  (they make their cases known)
    accuracy,
    calibration,
    cases,
    hmm_cases,
    network_cases,
    recurrent_cases,
    training_cases,
)
from .harness import CASES, REPORTS, measure, table


def main() -> int:
    names = [*CASES, *REPORTS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure tiedseq and its peers side by side.", epilog="; ".join(names)
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="cases to run (default: all)")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="counted calls of every run (default: 5)")
    parser.add_argument("--pairs", type=int, default=12, metavar="N", help="accuracy: pairs a table (default: 12)")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.cases if name not in names]:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(names)}")
    if arguments.repeat < 1 or arguments.pairs < 1:
        parser.error("--repeat and --pairs are at least 1")
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {_load()}; ratios to each table's first line"
    )
    for name in arguments.cases or names:
        if name in REPORTS:
            print(f"\n[{name}]", flush=True)
            for paragraph in REPORTS[name](arguments.pairs):
                print(paragraph, flush=True)
            continue
        case = CASES[name]()
        print(f"\n[{name}] {table(case, *measure(case, arguments.repeat))}", flush=True)
    return 0


def _load() -> str:
    return f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"


if __name__ == "__main__":
    sys.exit(main())
