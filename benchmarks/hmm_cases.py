"""HMMs beside hmmlearn: iterations of Baum-Welch, likeliest paths, Gaussian emissions, edges, memory."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from . import memory
from .harness import Case, Run, case

Call = Callable[[], object]
_LETTERS = "ACGT"


def _numbers(states: int) -> tuple[Any, Any, Any]:
    """Start, transitions and emissions of a model."""
    generator = np.random.default_rng(states)
    ones = np.ones(states)
    return generator.dirichlet(ones), generator.dirichlet(ones, states), generator.dirichlet(np.ones(4), states)


def _ours(states: int, emissions: Any = None, alphabet: str | None = _LETTERS) -> Any:
    import tiedseq as ts

    start, transitions, letters = (table.tolist() for table in _numbers(states))
    names = [f"s{k}" for k in range(states)]
    rows = {name: dict(zip(names, row, strict=True)) for name, row in zip(names, transitions, strict=True)}
    tables = dict(zip(names, letters if emissions is None else emissions, strict=True))
    return ts.HMM(alphabet, rows, tables, start=dict(zip(names, start, strict=True)))


def _categorical(states: int, iterations: int) -> Any:
    from hmmlearn import hmm

    logging.getLogger("hmmlearn").setLevel(logging.ERROR)
    model = hmm.CategoricalHMM(
        states, n_iter=iterations, tol=-np.inf, implementation="scaling", init_params="", n_features=4
    )
    model.startprob_, model.transmat_, model.emissionprob_ = _numbers(states)
    return model


def _fresh(total: int) -> Callable[[], Any]:
    """Data that no run has seen before, drawn outside the clock."""
    generator = np.random.default_rng(1)
    data = itertools.cycle([generator.integers(0, 4, total).astype(np.uint8) for _ in range(4)])
    return lambda: next(data)


def _baum_welch(states: int, lengths: list[int], iterations: int, threads: bool) -> Case:
    """A whole `fit`: reading data that are new to it, and as many iterations on both sides."""
    total = sum(lengths)
    work = float(total * iterations)

    def ours(executor: int | None) -> Call:
        fresh, model = _fresh(total), _ours(states)
        return lambda: model.fit(fresh(), lengths, max_iter=iterations, tol=0, executor=executor)

    def theirs() -> Call:
        fresh = _fresh(total)
        wide = [fresh().astype(np.int64)[:, None] for _ in range(2)]
        turn = itertools.cycle(wide)
        return lambda: _done(_categorical(states, iterations).fit(next(turn), lengths), iterations)

    runs = {"tiedseq": Run(lambda: ours(None), work), "hmmlearn, scaling": Run(theirs, work)}
    if threads:
        runs["tiedseq, two threads"] = Run(lambda: ours(2), work)
    of_what = "1000 sequences of 1000 letters" if len(lengths) > 1 else f"one sequence of {total:,}"
    count = {3: "three", 5: "five", 20: "twenty"}[iterations]
    return Case(f"Fit: {count} Baum-Welch iterations, {of_what}, {states} states", runs, work_unit="letters")


def _done(model: Any, iterations: int) -> Any:
    """A model of hmmlearn, if it has run as many iterations as it was asked to."""
    if model.monitor_.iter != iterations:
        raise RuntimeError(f"hmmlearn ran {model.monitor_.iter} iterations of {iterations}")
    return model


@case
def baum_welch_2() -> Case:
    return _baum_welch(2, [1000] * 1000, iterations=20, threads=True)


@case
def baum_welch_8() -> Case:
    return _baum_welch(8, [1000] * 1000, iterations=20, threads=True)


@case
def baum_welch_32() -> Case:
    return _baum_welch(32, [1000] * 1000, iterations=3, threads=True)


@case
def baum_welch_long_8() -> Case:
    return _baum_welch(8, [10**6], iterations=5, threads=False)


@case
def baum_welch_long_32() -> Case:
    return _baum_welch(32, [10**6], iterations=3, threads=False)


def _viterbi(states: int) -> Case:
    lengths = [1000] * 1000

    def ours() -> Call:
        fresh, model = _fresh(10**6), _ours(states)
        return lambda: model.decode(fresh(), lengths)

    def theirs() -> Call:
        fresh, model = _fresh(10**6), _categorical(states, 1)
        return lambda: model.decode(fresh().astype(np.int64)[:, None], lengths)

    runs = {"tiedseq": Run(ours, 1e6), "hmmlearn": Run(theirs, 1e6)}
    return Case(f"Likeliest path, 1000 sequences of 1000 letters, {states} states", runs, work_unit="letters")


@case
def viterbi_2() -> Case:
    return _viterbi(2)


@case
def viterbi_8() -> Case:
    return _viterbi(8)


@case
def viterbi_32() -> Case:
    return _viterbi(32)


@case
def gaussian() -> Case:
    states, dims, lengths = 8, 5, [1000] * 200
    generator = np.random.default_rng(0)
    means = 2.0 * generator.normal(size=(states, dims))
    data = generator.normal(size=(sum(lengths), dims)) + generator.integers(0, 4, (sum(lengths), 1))

    def ours(kind: str) -> Call:
        import tiedseq as ts

        model = _ours(states, [ts.Gaussian(mean, np.ones(dims), kind=kind) for mean in means], None)
        return lambda: model.fit(data, lengths, max_iter=1, tol=0)

    def theirs(kind: str) -> Call:
        from hmmlearn import hmm

        logging.getLogger("hmmlearn").setLevel(logging.ERROR)

        def call() -> object:
            model = hmm.GaussianHMM(states, kind, n_iter=1, tol=-np.inf, implementation="scaling", init_params="")
            model.startprob_, model.transmat_, _ = _numbers(states)
            model.means_ = means
            model.covars_ = np.ones((states, dims)) if kind == "diag" else np.tile(np.eye(dims), (states, 1, 1))
            return model.fit(data, lengths)

        return call

    work = float(sum(lengths))
    runs = {
        "tiedseq, diagonal": Run(lambda: ours("diagonal"), work),
        "hmmlearn, diagonal": Run(lambda: theirs("diag"), work),
        "tiedseq, full": Run(lambda: ours("full"), work),
        "hmmlearn, full": Run(lambda: theirs("full"), work),
    }
    return Case("Baum-Welch iteration, 200 sequences of 1000, Gaussians in 5 dimensions, 8 states", runs)


def _left_to_right(states: int, everywhere: bool) -> Call:
    """Work that grows with the edges: a model whose states follow each other, or all of which may."""
    import tiedseq as ts

    if everywhere:
        model: Any = ts.HMM.ergodic(states, alphabet=_LETTERS, random_state=0)
    else:
        model = ts.HMM.left_to_right(states, alphabet=_LETTERS, random_state=0)
        model.set_params(
            transitions={
                k: {("s0" if j == "end" else j): p for j, p in row.items()}
                for k, row in model.get_params()["transitions"].items()
            }
        )
    sequences = [np.random.default_rng(k).integers(0, 4, 1000).astype(np.uint8) for k in range(64)]
    return lambda: model.fit(sequences, max_iter=1, tol=0)


@case
def edges() -> Case:
    runs = {
        "30 states, each to itself and the next": Run(lambda: _left_to_right(30, False), 60.0),
        "300 states, each to itself and the next": Run(lambda: _left_to_right(300, False), 600.0),
        "300 states, each to every other": Run(lambda: _left_to_right(300, True), 90000.0),
    }
    return Case("Baum-Welch iteration, 64 sequences of 1000 letters, per edge", runs)


@case
def hmm_memory() -> Case:
    runs = {"tiedseq": Run(lambda: memory.in_a_process("hmm", "100000000"))}
    return Case("Peak memory above the data, E-step of 100,000,000 letters in 8 states", runs, unit="MB")
