"""What the tests of HMMs share: models of plain arrays as tiedseq writes them, and likelihoods without tiedseq."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import chain_twin as twin
import tiedseq as ts
from tiedseq.training import Iteration

Floats = NDArray[np.float64]

STANDS_FOR = {"A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "N": "ACGT"}  # some of IUPAC's codes


def log(values: Any) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.asarray(values, float)))


def state_names(model: twin.Model) -> list[str]:
    return [f"q{s}" for s in range(len(model.start))]


def hmm_of(model: twin.Model, emissions: Sequence[Any], alphabet: Any = None, **options: Any) -> ts.HMM:
    """The HMM with the same numbers; `emissions` are those of the emitting states, in their order."""
    names, entries = state_names(model), iter(emissions)
    rows = {a: dict(zip(names, row.tolist(), strict=True)) for a, row in zip(names, model.transitions, strict=True)}
    start = dict(zip(names, model.start.tolist(), strict=True))
    if model.end is not None:
        for name, p in zip(names, model.end.tolist(), strict=True):
            rows[name]["end"] = p
    entries_by_state = {
        name: None if silent else next(entries) for name, silent in zip(names, model.silent, strict=True)
    }
    return ts.HMM(alphabet, rows, entries_by_state, start, **options)


def letter_likelihood(table: Floats, letters: str, position: int) -> float:
    """P(letter | state), summed over what it may stand for, and the mean over what those before it may stand for."""
    order, total, contexts = table.ndim - 1, 0.0, 0
    before = [STANDS_FOR[letters[t]] if t >= 0 else "ACGT" for t in range(position - order, position)]
    for context in product(*before):
        contexts += 1
        row = table[tuple("ACGT".index(symbol) for symbol in context)]
        total += sum(float(row["ACGT".index(letter)]) for letter in STANDS_FOR[letters[position]])
    return total / contexts


def letter_logs(tables: Sequence[Floats], letters: str) -> Floats:
    """(T, E)"""
    return log([[letter_likelihood(table, letters, t) for table in tables] for t in range(len(letters))])


# ---- the log-likelihood again, quick enough for an optimiser -----------------------------------------------------


def total_log_likelihood(start: Any, rows: Any, likelihoods: Floats, end: Any = None) -> float:
    """The sum of ln P over sequences of one length; likelihoods (n, T, S). (Rabiner 1989, with scaling.)"""
    forward, total = np.asarray(start, float)[None] * likelihoods[:, 0], 0.0
    matrix = np.asarray(rows, float)
    for t in range(likelihoods.shape[1]):
        if t:
            forward = (forward @ matrix) * likelihoods[:, t]
        scale = forward.sum(axis=1, keepdims=True)
        total += float(log(scale).sum())
        forward = forward / np.maximum(scale, 1e-300)
    return total if end is None else total + float(log(forward @ np.asarray(end, float)).sum())


def softmax(logits: Any) -> Floats:
    """A distribution from one number less than it has entries."""
    logits = np.append(np.asarray(logits, float), 0.0)
    weights = np.exp(logits - logits.max())  # an optimiser tries steps that would overflow
    return np.asarray(weights / weights.sum())


class Problem(NamedTuple):
    """A model with ties, data, and its (penalised) log-likelihood as a function of free coordinates."""

    model: Callable[[], ts.HMM]
    data: Any
    objective: Callable[[Floats], float]
    size: int
    priors: dict[str, Any] = {}  # noqa: RUF012


def maximum(problem: Problem, starts: int = 4, seed: int = 0) -> tuple[float, Floats]:
    """The largest value that a general optimiser finds, and where."""
    from scipy.optimize import minimize

    rng, best = np.random.default_rng(seed), (-np.inf, np.zeros(problem.size))

    def loss(x: Floats) -> float:
        value = -problem.objective(x)
        return value if np.isfinite(value) else 1e10

    for _ in range(starts):
        found = minimize(loss, rng.normal(0.0, 1.0, problem.size), method="BFGS", options={"gtol": 1e-6})
        best = max(best, (-float(found.fun), found.x), key=lambda pair: pair[0])
    return best


# ---- what training has to keep ---------------------------------------------------------------------------------------


def assert_same(one: ts.HMM, other: ts.HMM, renamed: Mapping[str, str] | None = None) -> None:
    """The same bits in history and values; labels of `other` may be called something else in `one`."""
    assert one.history_ == other.history_
    for label, value in other.parameters.items():
        assert_array_equal(one.parameters[(renamed or {}).get(label, label)], value)


def assert_training_rose(model: ts.HMM, held: Mapping[str, Any]) -> None:
    """The likelihood never fell, every value is finite, and what is held stayed."""
    history = np.array(model.history_)
    assert np.isfinite(history).all()
    assert (np.diff(history) >= -1e-9 * (1.0 + np.abs(history[1:]))).all(), model
    for label, value in model.parameters.items():
        assert np.isfinite(value).all(), label
        if label in held:
            assert_array_equal(value, held[label])


class Interruption(Exception):
    """Of a training."""


def assert_resumes_to_the_same_bits(
    fresh: Callable[[], ts.HMM], data: Any, file: Path, options: Mapping[str, Any]
) -> None:
    """Interrupted before any iteration of any restart, a training goes on from its file as if nothing had been."""
    expected = fresh().fit(data, **options)
    total = options["max_iter"] * options["n_init"]
    for stop in range(total):
        calls: list[Iteration] = []

        def interrupt(now: Iteration, calls: list[Iteration] = calls, stop: int = stop) -> None:
            calls.append(now)
            if len(calls) > stop:
                raise Interruption

        with pytest.raises(Interruption):
            fresh().fit(data, checkpoint=file, callback=interrupt, **options)
        assert file.exists() == (stop > 0)
        rest: list[Iteration] = []
        assert_same(fresh().fit(data, checkpoint=file, callback=rest.append, **options), expected)
        assert len(rest) == total - stop
        assert not file.exists()
