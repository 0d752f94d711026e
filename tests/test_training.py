"""The training loop, seen through HMMs: when it stops, restarts, who works, and going on after an interruption."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from hmm_cases import Interruption, assert_resumes_to_the_same_bits, assert_same
from numpy.testing import assert_allclose, assert_array_equal

import tiedseq as ts
from tiedseq import workers
from tiedseq.chains import batches
from tiedseq.errors import ArgumentError, ConvergenceWarning, InputError, ResourceError, SequenceError
from tiedseq.training import Iteration, Options, Statistics, gain_to_come, train
from tiedseq.workers import mapping, spreading

TWO = {"a": {"a": 0.8, "b": 0.2}, "b": {"a": 0.3, "b": 0.7}}


def model(**options: Any) -> ts.HMM:
    """Some values given, others drawn."""
    return ts.HMM("xyz", TWO, {"a": "e", "b": [0.1, 0.6, 0.3]}, random_state=4, **options)


@pytest.fixture(scope="module")
def sequences() -> list[str]:
    source = ts.HMM("xyz", TWO, {"a": [0.7, 0.2, 0.1], "b": [0.1, 0.3, 0.6]})
    return [source.sample(20 + k % 13, random_state=k)[0] for k in range(60)]


# ---- when it stops ---------------------------------------------------------------------------------------------------


@pytest.mark.small
def test_the_gain_to_come_is_that_of_a_geometric_series() -> None:
    history = [-100.0 - 8.0 * 0.5**k for k in range(6)]
    for n in range(4, 7):
        assert_allclose(gain_to_come(history[:n]), -100.0 - history[n - 1], rtol=1e-12, atol=0.0)
    assert gain_to_come(history[:2]) == gain_to_come(history[:3]) == np.inf
    assert gain_to_come([-12.0, -10.0, -9.0, -7.0]) == gain_to_come([-12.0, -11.0, -9.0, -8.0]) == np.inf  # gains grow
    assert gain_to_come([-10.0, -9.0, -9.0]) == 0.0
    assert gain_to_come([-10.0, -9.0, -9.0 - 1e-13]) == 0.0  # rounding


def test_a_leap_at_the_beginning_is_no_convergence() -> None:
    """From a random start the first gain is so large that the second, by comparison, looks like the end."""
    rows = {"fair": {"fair": 0.95, "loaded": 0.05}, "loaded": {"fair": 0.1, "loaded": 0.9}}
    casino = ts.HMM("123456", rows, {"fair": [1 / 6] * 6, "loaded": [0.1] * 5 + [0.5]}, start={"fair": 1.0})
    rolls = casino.sample(300, random_state=0)[0]
    model = ts.HMM.ergodic(2, alphabet="123456", random_state=1).fit(rolls, max_iter=5000)
    further = model.copy().fit(rolls, warm_start=True, max_iter=500, tol=0.0)
    assert further.history_[-1] - model.history_[-1] < 0.1


def test_it_stops_when_less_than_tol_is_to_come(sequences: list[str]) -> None:
    coarse, fine = model().fit(sequences, tol=0.5), model().fit(sequences, tol=1e-7, max_iter=20_000)
    assert coarse.converged_ and fine.converged_
    n = len(coarse.history_)
    assert fine.history_[:n] == coarse.history_
    assert gain_to_come(coarse.history_) < 0.5 <= gain_to_come(coarse.history_[:-1])
    # the history's last value is that of the values which are kept
    assert_allclose(fine.score(sequences), fine.history_[-1], rtol=1e-13, atol=0.0)


def test_it_says_why_it_did_not_converge(sequences: list[str]) -> None:
    with pytest.warns(ConvergenceWarning, match=r"stopped after max_iter=3 iterations .* more than tol=0\.01"):
        found = model().fit(sequences, max_iter=3)
    assert not found.converged_ and len(found.history_) == 3
    with pytest.warns(ConvergenceWarning, match="The callback stopped training before iteration 2"):
        found = model().fit(sequences, callback=lambda now: now.iteration == 2)
    assert not found.converged_ and len(found.history_) == 3
    with pytest.warns(ConvergenceWarning, match="The callback stopped training before iteration 1"):
        model().fit(sequences, callback=lambda now: now.iteration >= np.float64(1.0))  # NumPy's own True
    silent = model().fit(sequences, max_iter=3, tol=0.0)  # asked for: no warning
    assert not silent.converged_


def test_the_callback_is_told(sequences: list[str]) -> None:
    told: list[Iteration] = []
    found = model().fit(sequences, callback=told.append, max_iter=4, n_init=2, tol=0.0)
    assert [(now.restart, now.iteration) for now in told] == [(r, i) for r in range(2) for i in range(4)]
    ends = [told[3].log_likelihood, told[7].log_likelihood]
    first = 4 * int(np.argmax(ends))
    assert [now.log_likelihood for now in told[first : first + 4]] == found.history_
    assert told[first + 3].gain_to_come == gain_to_come(found.history_)
    assert told[0].gain_to_come == np.inf


def test_fitting_again_starts_anew_unless_told(sequences: list[str]) -> None:
    whole = model().fit(sequences, max_iter=6, tol=0.0)
    one = model().fit(sequences, max_iter=3, tol=0.0)
    assert one.history_ == whole.history_[:3]
    one.fit(sequences, max_iter=3, tol=0.0)
    assert one.history_ == whole.history_[:3]
    one.fit(sequences, max_iter=3, tol=0.0, warm_start=True)
    assert one.history_ == whole.history_[3:]
    for label, value in whole.parameters.items():
        assert_array_equal(one.parameters[label], value)


def test_a_prior_lifts_what_training_has_brought_to_zero() -> None:
    sequences, pairs = ["aababbabba", "abbaab"], [("ACGTACGTAC", "ACGTACGAC"), ("ACGGTTA", "ACGTTA")]
    fits: list[tuple[Any, Any, str]] = [
        (ts.HMM("abc", {"s": {"s": 1.0}}, {"s": [0.4, 0.3, 0.3]}), sequences, "s"),
        (ts.PairHMM.affine(substitution="general"), pairs, "pair"),
    ]
    for found, data, label in fits:
        for acceleration in (True, False):
            options = {"priors": {label: 0.5}, "tol": 1e-6, "acceleration": acceleration}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # gaps that nothing extends
                expected = found.fit(data, **options).history_[-1]
                assert (found.fit(data).parameters[label] == 0.0).any()
                found.fit(data, warm_start=True, **options)
            assert found.history_[0] == -np.inf and (found.parameters[label] > 0.0).all() and found.converged_
            assert_allclose(found.history_[-1], expected, rtol=0.0, atol=1e-4)


def test_options_of_a_call_hold_for_it_alone(sequences: list[str]) -> None:
    found = model(max_iter=2, tol=0.0)
    assert len(found.fit(sequences).history_) == 2
    assert len(found.fit(sequences, max_iter=5).history_) == 5
    assert len(found.fit(sequences).history_) == 2


# ---- restarts --------------------------------------------------------------------------------------------------------


def test_restarts_redraw_what_was_not_given_and_the_best_is_kept(sequences: list[str]) -> None:
    starts: dict[int, dict[str, Any]] = {}
    last: dict[int, float] = {}
    found = model()

    def note(now: Iteration) -> None:
        starts.setdefault(now.restart, found.parameters)
        last[now.restart] = now.log_likelihood

    found.fit(sequences, n_init=4, callback=note, max_iter=10, tol=0.0)
    assert len(starts) == 4
    assert_array_equal(starts[0]["e"], model().parameters["e"])
    for number in (1, 2, 3):
        assert starts[number]["a->b"] == 0.2
        assert_array_equal(starts[number]["b"], [0.1, 0.6, 0.3])
        assert np.abs(starts[number]["e"] - starts[0]["e"]).max() > 1e-3
    assert found.history_[-1] == max(last.values())
    assert_same(found, model().fit(sequences, n_init=4, max_iter=10, tol=0.0))


def test_remarks_are_on_the_best_run() -> None:
    """The state that a worse restart never visits is not complained of."""
    told: list[Iteration] = []
    rng = np.random.default_rng(1)
    x = [np.concatenate([rng.normal(0, 1, 20), rng.normal(30, 1, 20)]) for _ in range(3)]
    found = ts.HMM(None, TWO, {"a": ts.Gaussian(), "b": ts.Gaussian()}, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found.fit(x, n_init=3, callback=told.append)
    visits = np.bincount(np.concatenate(found.predict(x)), minlength=2)
    assert (visits > 0).all()
    assert not [w for w in caught if "visits" in str(w.message)]


class Restarts:
    """A trainee whose objective is its only value, and which no M-step moves."""

    def __init__(self, first: float, *others: float) -> None:
        self.values, self.others = np.array([first]), iter(others)

    def redraw(self, generator: np.random.Generator) -> Any:
        return np.array([next(self.others)])

    def snapshot(self) -> float:
        return float(self.values[0])

    def expect(self) -> Callable[..., Statistics]:
        return lambda objective, batch, run=map: Statistics(objective, np.array([objective]))

    def maximize(self, statistics: Statistics) -> Any:
        return statistics.counts

    def log_prior(self) -> float:
        return 0.0

    def gradient(self, statistics: Statistics) -> None:
        return None

    def remarks(self) -> list[str]:
        return []

    def digest(self, batches: Any, options: Options) -> str:
        return ""


@pytest.mark.small
@pytest.mark.parametrize("objectives", [(math.nan, -3.0, -2.0), (-2.0, math.nan, -3.0), (-3.0, -2.0, math.nan)])
def test_a_restart_that_is_no_number_is_never_the_best(objectives: tuple[float, ...]) -> None:
    trainee = Restarts(*objectives)
    best = train(trainee, [None], Options(n_init=3, random_state=0))
    assert best.converged and best.history[-1] == trainee.values[0] == -2.0


# ---- who works -------------------------------------------------------------------------------------------------------


class FakeFuture:
    def __init__(self, value: Any) -> None:
        self.value = value

    def result(self) -> Any:
        return self.value


class FakeClient:
    """Takes apart what it scatters, as Dask's client does: a list, or any tuple, becomes one future an element."""

    def __init__(self) -> None:
        self.scattered = 0

    def scatter(self, data: Any, broadcast: bool = False) -> Any:
        self.scattered += 1
        if isinstance(data, list):
            return [FakeFuture(each) for each in data]
        if isinstance(data, tuple):
            return {number: FakeFuture(each) for number, each in enumerate(data)}
        return FakeFuture(data)

    def submit(self, function: Callable[..., Any], *arguments: Any, pure: bool = True) -> FakeFuture:
        assert not pure
        return FakeFuture(function(*(a.value if isinstance(a, FakeFuture) else a for a in arguments)))

    def gather(self, futures: list[FakeFuture]) -> list[Any]:
        return [future.result() for future in futures]


class BackToFront(Executor):
    """Does the work in the wrong order."""

    def map(self, fn: Any, *iterables: Any, **ignored: Any) -> Iterator[Any]:
        tasks = list(zip(*iterables, strict=False))
        done = {number: fn(*tasks[number]) for number in reversed(range(len(tasks)))}
        return (done[number] for number in range(len(tasks)))


@pytest.mark.parametrize("letters", [1 << 18, 400, 1])
def test_the_same_bits_whoever_works(sequences: list[str], monkeypatch: pytest.MonkeyPatch, letters: int) -> None:
    monkeypatch.setattr(batches, "_BATCH_LETTERS", letters)
    weights = np.random.default_rng(0).uniform(0.1, 3.0, len(sequences))

    def fitted(executor: Any) -> ts.HMM:
        return model().fit(sequences, weights=weights, executor=executor, max_iter=4, tol=0.0, n_init=2)

    expected = fitted(None)
    client = FakeClient()
    with ThreadPoolExecutor(3) as threads:
        for executor in (1, 2, 3, np.int64(2), threads, BackToFront(), client):
            assert_same(fitted(executor), expected)
    assert client.scattered == 8 + len(batches_of(sequences))  # a snapshot an iteration, and the data once


def batches_of(sequences: list[str]) -> list[Any]:
    found = model()
    return found._batches(found._observations(sequences, None))


def test_the_same_bits_in_other_processes(sequences: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_BATCH_LETTERS", 400)
    monkeypatch.setattr(batches, "_BATCH_NUMBERS", 400)
    rng = np.random.default_rng(0)
    numbers = [rng.normal(k % 2, 1.0, 30) for k in range(60)]

    def fitted(executor: Any) -> list[ts.HMM]:
        gaussian = ts.HMM(None, TWO, {"a": ts.Gaussian([0.0], "v"), "b": ts.Gaussian([1.0], "v")}, values={"v": 1.0})
        options: dict[str, Any] = {"executor": executor, "max_iter": 2, "tol": 0.0}
        return [model().fit(sequences, **options), gaussian.fit(numbers, **options)]

    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        for found, expected in zip(fitted(processes), fitted(None), strict=True):
            assert_same(found, expected)


def test_batches_hold_every_sequence_once(sequences: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for letters in (1, 7, 100, 1 << 18):
        monkeypatch.setattr(batches, "_BATCH_LETTERS", letters)
        found = batches_of(sequences)
        assert_array_equal(np.concatenate([np.diff(batch.ends) for batch in found]), [len(x) for x in sequences])
        assert [batch.first for batch in found] == np.cumsum([0, *(len(b.ends) - 1 for b in found)]).tolist()[:-1]
    assert len(found) == 1


def test_batches_are_alike_and_even_in_number(sequences: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads share them, so a small one at the end, or an odd one out, would keep one thread waiting."""
    monkeypatch.setattr(batches, "_BATCH_LETTERS", 1000)
    for count in (90, 110, 210, 390, 410, 1000):
        sizes = [len(batch.ends) - 1 for batch in batches_of([sequences[0][:5] * 2] * count)]
        assert len(sizes) == (1 if count <= 100 else 2 * -(-count // 200))
        assert max(sizes) - min(sizes) < 32  # whole lanes


def test_batches_of_short_sequences_fill_the_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_BATCH_NUMBERS", 1000)
    gaussian = ts.HMM(None, TWO, {"a": ts.Gaussian([0.0], 1.0), "b": ts.Gaussian([1.0], 1.0)})
    for count, length, expected in ((90, 30, [16, 32, 16, 26]), (40, 20, [40]), (3, 5000, [1, 1, 1])):
        data = gaussian._observations([np.zeros(length)] * count, None)
        assert [len(batch.ends) - 1 for batch in gaussian._batches(data)] == expected


@pytest.mark.parametrize("slow", [0, 1])
def test_who_has_nothing_to_do_helps_within_a_batch(slow: int) -> None:
    """The tasks of one batch wait for each other, so that one thread alone would not get past them."""
    both, begun = threading.Barrier(2), threading.Event()

    def task(number: int) -> int:
        begun.set()
        both.wait(timeout=60)
        return number

    def expect(snapshot: int, batch: int, run: Any) -> list[int]:
        if batch == slow:
            return list(run(task, range(4)))
        assert begun.wait(timeout=60)
        return [snapshot, batch]

    with spreading(2) as run:
        found: list[Any] = list(run(expect, 7, range(2)))
    assert found[slow] == [0, 1, 2, 3]
    assert found[1 - slow] == [7, 1 - slow]


@pytest.mark.small
@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_an_interruption_at_any_moment_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither another error nor a thread that waits for ever: hundreds of moments, each some step of the work."""
    armed, ended, random = False, 0, np.random.default_rng(0)

    def interrupt(*_: Any) -> None:
        if armed:
            raise KeyboardInterrupt

    def again(lost: Any) -> None:
        """Python forgets what is raised in a finaliser."""
        signal.setitimer(signal.ITIMER_REAL, 1e-3)

    def expect(snapshot: None, batch: int, run: Any) -> int:
        return sum(run(int, range(batch)))

    monkeypatch.setattr(sys, "unraisablehook", again)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(300):
            try:
                with spreading(2) as run:
                    armed = True
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-4, 3e-3))
                    for _ in range(100_000):  # for ever, as it were
                        assert list(run(expect, None, range(10, 14))) == [45, 55, 66, 78]
            except KeyboardInterrupt:
                ended += 1
            armed = False
            assert threading.active_count() < 10
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert ended == 300


@pytest.mark.small
def test_nothing_is_begun_for_one_who_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C after work was offered, and before the one who offered it took part."""

    class Interrupted(SimpleQueue[Any]):
        def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
            super().put(item, block, timeout)
            if callable(item):
                raise KeyboardInterrupt

    def expect(snapshot: None, batch: int, run: Any) -> None:
        begun.append(batch)
        time.sleep(0.01)

    begun: list[int] = []
    monkeypatch.setattr(workers, "SimpleQueue", Interrupted)
    with pytest.raises(KeyboardInterrupt), spreading(2) as run:
        run(expect, None, range(300))
    assert len(begun) < 300


@pytest.mark.parametrize("executor", [None, 2, 3, 30])
def test_the_first_error_ends_an_iteration(monkeypatch: pytest.MonkeyPatch, executor: int | None) -> None:
    monkeypatch.setattr(batches, "_BATCH_LETTERS", 20)
    rigid = ts.HMM("ab", {"s": {"s": 1.0}}, {"s": ts.fixed([1.0, 0.0])})
    with pytest.raises(SequenceError, match="Sequence 3 has probability 0"):
        rigid.fit(["a" * 10] * 3 + ["b" * 10] * 5, executor=executor)


@pytest.mark.small
def test_an_executor_that_is_shut_down_is_named() -> None:
    executor = ThreadPoolExecutor(2)
    executor.shutdown()
    fitted = model()
    with pytest.raises(ArgumentError, match=r"executor=.*has been shut down, and takes no more work"):
        fitted.fit(["xyz"], executor=executor)
    with pytest.raises(ArgumentError, match="has been shut down"):
        fitted.standard_errors(["xyz"], executor=executor)


@pytest.mark.small
def test_threads_that_the_system_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever works, those that were started end, and the model stays as it was."""
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def limited(self: threading.Thread) -> None:
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        start(self)
        started.append(self)

    monkeypatch.setattr(threading.Thread, "start", limited)
    fitted = model().fit(["xyzzy", "zyx"], max_iter=2, tol=0.0)
    before = fitted.history_
    message = r"executor=99999 asks for more threads than the system starts: .* Give a smaller number"
    with pytest.raises(ResourceError, match=message):
        fitted.fit(["xyz"], executor=99999)
    assert fitted.history_ is before and len(started) == 3
    for thread in started:
        thread.join(10.0)
        assert not thread.is_alive()
    with pytest.raises(ResourceError, match=message), mapping(99999) as run:
        list(run(time.sleep, [0.01] * 9))
    with ThreadPoolExecutor(9) as executor, pytest.raises(ResourceError, match=r"executor=<.* asks for more threads"):
        fitted.fit(["xyz"], executor=executor)


@pytest.mark.small
def test_a_callback_keeps_its_own_error() -> None:
    def callback(now: Iteration) -> None:
        raise RuntimeError("shutdown of my own")

    with ThreadPoolExecutor(2) as executor, pytest.raises(RuntimeError, match="of my own"):
        model().fit(["xyz"], executor=executor, callback=callback)


class Dying(Executor):
    def map(self, fn: Any, *iterables: Any, **ignored: Any) -> Iterator[Any]:
        from concurrent.futures.process import BrokenProcessPool

        future: Future[Any] = Future()
        future.set_exception(BrokenProcessPool("a child was killed"))
        return iter([future.result()])


def test_executors_that_are_none(sequences: list[str]) -> None:
    for executor in (0, -1, "two", 1.5, True, object()):
        with pytest.raises(ArgumentError, match=r"must be a number of threads, a concurrent\.futures"):
            model().fit(sequences, executor=executor)
    with pytest.raises(ResourceError, match="A worker died while training: a child was killed"):
        model().fit(sequences, executor=Dying())


# ---- going on after an interruption ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["letters", "numbers", "viterbi"])
def test_interrupted_anywhere_and_resumed(sequences: list[str], tmp_path: Path, kind: str) -> None:
    """At every iteration of both restarts, once just before the file is written and once just after."""
    data: list[Any] = sequences[:10]
    if kind == "numbers":
        data = [np.random.default_rng(k).normal(k % 2, 1.0, 15) for k in range(6)]

    def fresh() -> ts.HMM:
        return (
            ts.HMM(None, TWO, {"a": ts.Gaussian(), "b": ts.Gaussian()}, random_state=1)
            if kind == "numbers"
            else model()
        )

    options: dict[str, Any] = {"max_iter": 4, "tol": 0.0, "n_init": 2, "random_state": 7}
    options["algorithm"] = "viterbi" if kind == "viterbi" else "baum-welch"
    assert_resumes_to_the_same_bits(fresh, data, tmp_path / "checkpoint", options)


def test_interrupted_again_and_again(sequences: list[str], tmp_path: Path) -> None:
    expected = model().fit(sequences, tol=1e-3)
    file = tmp_path / "checkpoint"

    def interrupt(now: Iteration) -> None:
        if now.iteration % 3 == 2 and (now.restart, now.iteration) not in seen:
            seen.add((now.restart, now.iteration))
            raise KeyboardInterrupt

    seen: set[tuple[int, int]] = set()
    found = model()
    while True:
        try:
            found.fit(sequences, tol=1e-3, checkpoint=str(file), callback=interrupt)
            break
        except KeyboardInterrupt:
            continue
    assert len(seen) == len(expected.history_) // 3
    assert_same(found, expected)
    assert found.converged_


def test_a_checkpoint_of_something_else_is_refused(sequences: list[str], tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"

    def interrupt(now: Iteration) -> None:
        if now.iteration == 2:
            raise Interruption

    options: dict[str, Any] = {"max_iter": 5, "tol": 0.0, "random_state": 1, "priors": {"e": 1.0}}
    with pytest.raises(Interruption):
        model().fit(sequences, checkpoint=file, callback=interrupt, **options)
    others: list[tuple[Any, dict[str, Any]]] = [
        (sequences[1:], {}),
        (sequences, {"max_iter": 6}),
        (sequences, {"tol": 0.5}),
        (sequences, {"n_init": 2}),
        (sequences, {"random_state": 2}),
        (sequences, {"priors": {"e": [1.0, 1.0, 1.0 + 1e-12]}}),
        (sequences, {"algorithm": "viterbi"}),
        (sequences, {"weights": np.full(len(sequences), 2.0)}),
        (sequences, {"allowed": [np.ones((len(x), 2), bool) for x in sequences]}),
        ([*sequences[:-2], "".join(sequences[-2:])], {}),
    ]
    for data, changes in others:
        with pytest.raises(InputError, match="of another model, data or options: remove it"):
            model().fit(data, checkpoint=file, **{**options, **changes})
    with pytest.raises(InputError, match="another model"):
        ts.HMM("xyz", TWO, {"a": "e", "b": [0.1, 0.5, 0.4]}, random_state=4).fit(sequences, checkpoint=file, **options)
    for text in ("", "no JSON", "[]", '{"format": "other", "digest": "", "runs": []}', '{"format": 1}'):
        file.write_text(text)
        with pytest.raises(InputError, match="not a checkpoint of tiedseq") as caught:
            model().fit(sequences, checkpoint=file, **options)
        assert caught.value.path == str(file)
    with pytest.raises(ArgumentError, match="checkpoint=3 is no path"):
        model().fit(sequences, checkpoint=3)
    with pytest.raises(InputError, match="cannot be read"):
        model().fit(sequences, checkpoint=tmp_path)
    with pytest.raises(ResourceError):
        model().fit(sequences, checkpoint=tmp_path / "nowhere" / "checkpoint")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("values", value) for value in ([0.5], None, 3, [None])),
        *((name, value) for name in ("history", "expected") for value in (3, [None], None)),
        *(("past", value) for value in (3, [[1]], [[[0.5], [0.5]]])),
        *(("why", 3), ("remarks", [3]), ("usable", "x"), ("else", 1)),
        ("finished", True),  # with nothing behind it
    ],
)
def test_a_damaged_checkpoint_is_refused(name: str, value: Any, sequences: list[str], tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"

    def interrupt(now: Iteration) -> None:
        if now.iteration == 2:
            raise Interruption

    with pytest.raises(Interruption):
        model().fit(sequences, checkpoint=file, callback=interrupt)
    document = json.loads(file.read_text())
    document["runs"][0][name] = value
    if name == "finished":
        document["runs"][0]["history"] = []
    file.write_text(json.dumps(document))
    with pytest.raises(InputError, match="the checkpoint is damaged: remove it to start anew"):
        model().fit(sequences, checkpoint=file)


# ---- progress --------------------------------------------------------------------------------------------------------


def test_progress_in_a_terminal(sequences: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    found = model().fit(sequences, progress=True, max_iter=3, tol=0.0)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "3iteration" in shown.err and f"log_likelihood={found.history_[-1]:.3f}" in shown.err
    model().fit(sequences, max_iter=3, tol=0.0)
    assert capsys.readouterr() == ("", "")


def test_progress_counts_on_from_a_checkpoint(
    sequences: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tqdm")
    options: dict[str, Any] = {"max_iter": 6, "tol": 0.0, "checkpoint": tmp_path / "checkpoint"}

    def interrupt(now: Iteration) -> None:
        if now.iteration == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model().fit(sequences, callback=interrupt, **options)
    model().fit(sequences, progress=True, **options)
    assert "6iteration" in capsys.readouterr().err.split("\r")[-1]


def test_progress_without_tqdm(sequences: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ArgumentError, match="progress=True needs tqdm; install it"):
        model().fit(sequences, progress=True)


def test_options_that_are_none(sequences: list[str]) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"max_iter": 0}, "max_iter must be a whole number of at least 1, not 0"),
        ({"max_iter": True}, "max_iter must be .* not True"),
        ({"n_init": 2.0}, r"n_init must be .* not 2\.0"),
        ({"tol": -0.1}, r"tol=-0\.1"),
        ({"tol": float("inf")}, "tol=inf"),
        ({"tol": "small"}, "tol='small'"),
        ({"random_state": "x"}, "random_state='x'"),
        ({"random_state": -1}, "random_state=-1"),
        ({"callback": 5}, "callback=5"),
        ({"iterations": 5}, "no option 'iterations'; there are max_iter"),
    ]
    for options, message in wrong:
        with pytest.raises(ArgumentError, match=message):
            model().fit(sequences, **options)


def test_a_fall_is_no_convergence() -> None:
    """A family whose M-step makes it worse is stopped, and said to be wrong."""

    class Wrong(ts.Poisson):
        def update(self, name: str, uses: Any, value: Any, prior: Any = None) -> Any:
            return value * 3.0

    assert gain_to_come([-100.0, -90.0, -85.0, -5000.0]) == np.inf
    model = ts.HMM(None, {"a": {"a": 1.0}}, {"a": Wrong(2.0)})
    with pytest.warns(ConvergenceWarning, match="fell from"):
        model.fit([2.0, 2.0, 1.0, 3.0])
    assert not model.converged_ and len(model.history_) == 2


def test_numbers_of_numpy_are_numbers(sequences: list[str], tmp_path: Path) -> None:
    """As grids of parameters hand them in, with a checkpoint too; an HMM's and a pair-HMM's."""
    options: dict[str, Any] = {"tol": np.float64(1e-3), "max_iter": np.int64(3), "n_init": np.int16(2)}
    plain = {name: value.item() for name, value in options.items()} | {"random_state": 1}
    options |= {"random_state": np.int64(1), "checkpoint": tmp_path / "state.json"}
    cases: list[tuple[Any, Any]] = [
        (ts.HMM.ergodic(2, alphabet="xyz", random_state=0), sequences),
        (ts.PairHMM.affine(), [("ACGTTA", "ACGTA")]),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for model, data in cases:
            fitted = model.copy().fit(data, **options)
            assert type(fitted.converged_) is bool
            assert fitted.history_ == model.copy().fit(data, **plain).history_
