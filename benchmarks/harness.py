"""Measure the runs of a case in turns and print them as a table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


class Missing(Exception):
    """A peer is not installed: its run is skipped by name."""


@dataclass(frozen=True)
class Run:
    """One contender. `setup` imports and prepares, outside the clock, and returns what is measured.

    `work` is what one call does, in the unit of its case: rates and ratios are per work, so that runs may differ in it.
    """

    setup: Callable[[], Callable[[], object]]
    work: float = 1.0


@dataclass(frozen=True)
class Case:
    """Runs that are compared with the first of them."""

    title: str
    runs: dict[str, Run]
    unit: str = "s"  # "s": the harness takes the time; another one: the call returns the measured number itself
    work_unit: str = ""  # what `work` counts, if a rate is worth printing
    yardstick: tuple[str, float] | None = None  # name and rate (work per second) of something not run here


@dataclass
class Measured:
    """The numbers of one run, in the case's unit."""

    work: float
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)


CASES: dict[str, Callable[[], Case]] = {}
"""Every case by the name that the command line knows."""


def case(function: Callable[[], Case]) -> Callable[[], Case]:
    """Make a function that returns a Case known by its name."""
    CASES[function.__name__.replace("_", "-")] = function
    return function


REPORTS: dict[str, Callable[[int], Iterator[str]]] = {}
"""What is no matter of time, by name: a number of simulated pairs to paragraphs of text."""


def report(name: str) -> Callable[[Callable[[int], Iterator[str]]], Callable[[int], Iterator[str]]]:
    """Make a function that yields paragraphs known by a name."""

    def known(function: Callable[[int], Iterator[str]]) -> Callable[[int], Iterator[str]]:
        REPORTS[name] = function
        return function

    return known


def measure(case: Case, repeat: int) -> tuple[dict[str, Measured], dict[str, str]]:
    """Call every run `repeat` times, in turns, after one call that is not counted.

    Returns what was measured, and for runs that could not be, the reason.
    """
    calls: dict[str, Callable[[], object]] = {}
    measured: dict[str, Measured] = {}
    skipped: dict[str, str] = {}
    for name, run in case.runs.items():
        try:
            calls[name] = run.setup()
        except Missing as error:
            skipped[name] = str(error)
        except ImportError as error:
            skipped[name] = f"{error.name or error} is not installed"
        else:
            calls[name]()
            measured[name] = Measured(run.work)
    for _ in range(repeat):
        for name, call in calls.items():
            begin = time.perf_counter()
            result = call()
            seconds = time.perf_counter() - begin
            measured[name].values.append(seconds if case.unit == "s" else float(str(result)))
    return measured, skipped


def table(case: Case, measured: dict[str, Measured], skipped: dict[str, str]) -> str:
    """The case as text: median, spread, ratio to the first run, rate, the first rate as a share of the yardstick."""
    width = max(map(len, case.runs))
    header = f"  {'':<{width}}  {'median':>10}  {'min..max':>19}  {'ratio':>7}"
    first = next(iter(measured.values()), None)
    prefix, scale = ("G", 1e9) if first is None or first.work >= 1e9 * first.median else ("M", 1e6)
    if case.work_unit:
        header += f"  {prefix + case.work_unit + '/s':>12}"
    if case.yardstick:
        header += f"  {'of ' + case.yardstick[0]}"
    lines = [case.title, header]
    for name in case.runs:
        if name in skipped:
            lines.append(f"  {name:<{width}}  skipped: {skipped[name]}")
            continue
        run = measured[name]
        spread = f"{min(run.values):.4g}..{max(run.values):.4g}"
        assert first is not None
        ratio = (run.median / run.work) / (first.median / first.work) if first.median else float("nan")
        line = f"  {name:<{width}}  {f'{run.median:.4g} {case.unit}':>10}  {spread:>19}  {ratio:>7.2f}"
        rate = run.work / run.median if run.median else float("nan")
        if case.work_unit:
            line += f"  {rate / scale:>12.3f}"
        if case.yardstick and name == next(iter(case.runs)):
            line += f"  {rate / case.yardstick[1]:.0%}"
        lines.append(line)
    return "\n".join(lines)
