"""The parametric bootstrap: how far apart two models come on data that the smaller one has drawn.

What it needs no theorem for is what chi-square's limit excludes: a parameter on its boundary, or one that the null does
not know. (Davison and Hinkley, Bootstrap Methods and their Application, 1997, 4.2; for the number of components
McLachlan, Appl. Stat. 36:318, 1987.)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .bars import bar
from .workers import mapping


def bootstrapped(
    statistic: Callable[[Any], float],
    draw: Callable[[np.random.Generator], Any],
    count: int,
    generator: np.random.Generator,
    executor: Any,
    progress: bool,
    advance: Callable[[int], Any],
) -> list[float]:
    """Return the statistic of `count` data sets that are drawn, in their order, whatever the number of workers.

    Parameters
    ----------
    statistic : function of data
        Fits both models.
    draw : function of a Generator to data
    count : int
    generator : Generator
        Every data set has a generator of its own, spawned from this one.
    executor : int, ThreadPoolExecutor or None
        Who works on the data sets, several at a time.
    progress : bool
        Show a bar (tqdm).
    advance : function of an int
        Is told how many data sets are done, at first none.
    """
    generators = generator.spawn(count)
    with mapping(executor) as mapped:
        found = mapped(lambda each: statistic(draw(each)), generators)
        statistics: list[float] = []
        advance(0)
        for each in bar(found, total=count, unit="data set", desc="bootstrap") if progress else found:
            statistics.append(each)
            advance(len(statistics))
        return statistics


def duration(fits: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a function returns, and the seconds that it took."""
    before = time.perf_counter()
    found = fits()
    return found, time.perf_counter() - before
