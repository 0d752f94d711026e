"""Expectation maximisation for every model: batches, restarts, convergence. Sees a model by protocol only.

Statistics are a log-likelihood and one flat vector of expected counts, which add up. Batches are cut by the data, never
by the number of workers, and their statistics are summed in their order: the same bits on one thread, on many, and on a
cluster of like machines. (Dempster, Laird and Rubin, J. R. Stat. Soc. B 39:1, 1977.)
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .acceleration import DEPTH, REMEMBERED, anderson_step, bfgs_step, gain_left, rise_left, same_zeros
from .bars import bar
from .checkpoints import Checkpoint, vector_of
from .errors import ArgumentError, ConvergenceWarning
from .options import as_number, asks_to_stop, checked_count, checked_flag, checked_number, in_short, with_changes
from .random_state import RandomState, generators
from .workers import spreading

Vector = NDArray[np.float64]

_PROMISES = 3  # of long steps in a row, all of which have to be small: one alone may look along wrong directions


class Statistics(NamedTuple):
    """What a batch says about the parameters."""

    log_likelihood: float  # nats, sequences times their weights
    counts: Vector  # flat; a model knows what is where


class Iteration(NamedTuple):
    """What a callback is told before every iteration."""

    restart: int
    iteration: int
    log_likelihood: float  # of the values before this iteration, in nats; with log prior, less the penalty of soft ties
    gain_to_come: float  # nats, extrapolated; infinite at first


class Trainee(Protocol):
    """What the loop needs of a model. Values are one flat vector."""

    @property
    def values(self) -> Vector: ...

    @values.setter
    def values(self, values: Vector) -> None: ...

    def snapshot(self) -> Any:
        """What `expect` needs of the model at its current values; can be pickled, and stays as it is."""

    def expect(self) -> Callable[..., Statistics]:
        """A function at module level, (snapshot, batch, run) -> Statistics; `run` maps over tasks within the batch."""

    def maximize(self, statistics: Statistics) -> Vector:
        """The values that the M-step makes of statistics; the current ones are those the statistics are of."""

    def log_prior(self) -> float:
        """What the objective adds to the log-likelihood at the current values: log priors, less soft penalties."""

    def redraw(self, generator: np.random.Generator) -> Vector:
        """Values for a restart: random where the user gave none."""

    def gradient(self, statistics: Statistics) -> Vector | None:
        """d objective / d value, each taken as free of the others; None where values take EM's steps only."""

    def remarks(self) -> list[str]:
        """What the user should know of the values after training; each becomes a warning."""

    def digest(self, batches: Sequence[Any], options: Options) -> str:
        """Identify data, model and options to a checkpoint."""


@dataclass(frozen=True)
class Options:
    """The training options, keywords of a model's constructor and of `fit`.

    Attributes
    ----------
    max_iter : int, default 500
        Iterations at most, in each restart.
    tol : float, default 0.01
        Nats of total log-likelihood: training stops when the gain still to come, extrapolated as a geometric series
        (Aitken), falls below it; with longer steps, when what their iterates show of it did three times in a row. 0
        runs `max_iter` iterations.
    n_init : int, default 1
        Restarts. The first starts from the given values, the others redraw what was not given; the best is kept.
    random_state : int, Generator, RandomState or None
        Draws starting values.
    priors : mapping of label to pseudocounts, default none
        Added once a label to the expected counts of the label's values: a number, or an array in the shape of the
        label, of which cells that are tied share the mean.
    soft : mapping of label to strength, default none
        Soft ties: every use of a label has values p_r of its own, called "label@state", and the penalty
        strength * sum of KL(m || p_r) draws them to a common m, the value of the label, estimated too. A strength is in
        pseudocounts; 0 unties, inf is the hard tie. For labels of distributions of letters, one a use, and of rows: all
        rows with one of the labels, `start` among them ("label@start"), must have the same labels, each of them once;
        they become soft as a whole. Priors are for members. Such parameters have no number to compare models by.
    callback : function of an Iteration, default None
        Called before every iteration; True stops the training.
    progress : bool, default False
        A progress bar (tqdm), in a terminal or a notebook.
    executor : int, concurrent.futures.Executor, dask Client or None
        A number of threads, or what runs the batches. The result does not depend on it.
    checkpoint : path, default None
        A file that is written after every iteration, and from which an interrupted `fit` goes on to the same bits.
        Where starting values are drawn, `random_state` must be a number, so that the same ones are drawn again.
    warm_start : bool, default False
        Continue from the current values instead of the constructor's.
    acceleration : bool, default True
        Whether pair-HMMs without soft ties take longer steps than EM's, which crawls where classes of gaps compete.
        Every tie is kept, and a step that loses is taken back: the log-likelihood never falls. HMMs take EM's steps.
    """

    max_iter: int = 500
    tol: float = 0.01
    n_init: int = 1
    random_state: RandomState = None
    priors: Mapping[str, Any] | None = None
    soft: Mapping[str, float] | None = None
    callback: Callable[[Iteration], Any] | None = None
    progress: bool = False
    executor: Any = None
    checkpoint: Any = None
    warm_start: bool = False
    acceleration: bool = True

    def __post_init__(self) -> None:
        for name in ("max_iter", "n_init"):
            checked_count(name, getattr(self, name))
        wanted = "a number of nats, 0 or more; 0 runs max_iter iterations"
        object.__setattr__(self, "tol", checked_number("tol", self.tol, lambda tol: 0.0 <= tol < math.inf, wanted))
        for name in ("progress", "warm_start", "acceleration"):
            checked_flag(name, getattr(self, name))
        for name in ("priors", "soft"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, Mapping):
                raise ArgumentError(f"{name}={value!r} must map labels to numbers.")
        for label, strength in (self.soft or {}).items():
            if not (0.0 <= as_number(strength) <= 1e300 or strength == math.inf):
                raise ArgumentError(
                    f"soft[{label!r}] is {in_short(strength)}; a strength is a number of pseudocounts from 0, which "
                    "unties, to 1e300, or inf, the hard tie."
                )
        if self.callback is not None and not callable(self.callback):
            raise ArgumentError(f"callback={self.callback!r} cannot be called; give a function of an Iteration.")

    def changed(self, given: Mapping[str, Any]) -> Options:
        """Return the options with those of one call of `fit`. Raises ArgumentError for one that does not exist."""
        return with_changes(self, given)


@dataclass
class Run:
    """One restart, or what has been done of it."""

    values: list[float]
    history: list[float] = field(default_factory=list)  # the objective before each iteration
    past: list[list[list[float]]] = field(default_factory=list)  # of long steps: values, and those after EM's step
    usable: int = 0  # how many of the past a step may look at
    expected: list[float] = field(default_factory=list)  # of long steps: the gain to come before each, in nats
    converged: bool = False
    finished: bool = False
    why: str = ""
    remarks: list[str] = field(default_factory=list)  # on the values where it ended

    @classmethod
    def of_state(cls, state: dict[str, Any], size: int) -> Run:
        """Return the run, of so many values, in a checkpoint. Raises TypeError or ValueError if it is damaged."""
        run = cls(**state)
        run.values = vector_of(run.values, size).tolist()
        run.past = [[vector_of(side, size).tolist() for side in (before, after)] for before, after in run.past]
        run.history, run.expected = (list(map(float, each)) for each in (run.history, run.expected))
        run.usable = int(run.usable)
        if run.finished and not run.history:
            raise ValueError("a run is at its end that never began")
        if not isinstance(run.why, str) or not all(isinstance(remark, str) for remark in run.remarks):
            raise TypeError("what is said is no text")
        return run


def train(trainee: Trainee, batches: Sequence[Any], options: Options) -> Run:
    """Train from the current values and from restarts; leave the best values in the trainee, and return its run.

    Warns with ConvergenceWarning if the best run did not converge.
    """
    checkpoint = Checkpoint(options.checkpoint, lambda: trainee.digest(batches, options))
    seeds = generators(options.random_state, options.n_init)
    starts = [trainee.values, *(trainee.redraw(generator) for generator in seeds[1:])]
    runs = checkpoint.read(lambda state: Run.of_state(state, len(starts[0]))) or [
        Run(start.tolist()) for start in starts
    ]
    done = sum(len(run.history) for run in runs)
    with progress(options, done) as show, spreading(options.executor) as run:
        for number in range(len(runs)):
            if not runs[number].finished:
                _iterate(trainee, batches, options, runs, number, run, checkpoint, show)
    best = max(runs, key=lambda finished: _rank(finished.history[-1]))
    trainee.values = np.array(best.values)
    checkpoint.done()
    for remark in ([] if best.converged or options.tol == 0.0 else [best.why]) + best.remarks:
        warnings.warn(remark, ConvergenceWarning, stacklevel=3)
    return best


def _rank(objective: float) -> float:
    """What an objective counts among restarts: one that is no number is behind all others."""
    return -math.inf if math.isnan(objective) else objective


def _iterate(
    trainee: Trainee,
    batches: Sequence[Any],
    options: Options,
    runs: list[Run],
    number: int,
    run: Callable[..., Iterator[Statistics]],
    checkpoint: Checkpoint,
    show: Callable[[Iteration], None],
) -> None:
    """Iterate one restart to its end; `runs[number]` may have begun before."""
    current = runs[number]
    trainee.values = np.array(current.values)
    while not current.finished:
        statistics = total(run(trainee.expect(), trainee.snapshot(), batches))
        objective = statistics.log_likelihood + trainee.log_prior()
        if _has_lost(current, objective):
            trainee.values = np.array(current.past[-1][1])  # EM's own step, which never loses
            current.values, current.usable = current.past[-1][1], 1
            continue
        current.history.append(objective)
        next_values = _next_values(trainee, statistics, current, options)
        now = Iteration(number, len(current.history) - 1, objective, _gain_to_come(current))
        show(now)
        _judge(current, now, options)
        if not current.finished:
            trainee.values = next_values
            current.values = trainee.values.tolist()
            current.finished = len(current.history) >= int(options.max_iter)
        current.remarks = trainee.remarks() if current.finished else []
        checkpoint.write([vars(each) for each in runs])


def _next_values(trainee: Trainee, statistics: Statistics, run: Run, options: Options) -> Vector:
    """Return the values after an iteration: EM's, or those of a longer step."""
    values, plain = trainee.values, trainee.maximize(statistics)
    gradient = trainee.gradient(statistics) if options.acceleration else None
    if gradient is None:
        return plain
    run.past = [*run.past[1 - REMEMBERED :], [values.tolist(), plain.tolist()]]
    run.usable = min(run.usable, DEPTH) + 1
    past = same_zeros([(np.array(before), np.array(after)) for before, after in run.past])
    slope = float(gradient @ (plain - values))
    step = anderson_step(past[-run.usable :])
    promised = float(gradient @ (step - values))
    if not promised >= slope:  # the past misleads: EM's step climbs more steeply
        step = bfgs_step(past, gradient)
        promised = float(gradient @ (step - values))
    if not promised >= slope:
        step, promised = plain, slope
    # near the maximum the objective is a parabola, of which a slope along the way to its top promises half
    run.expected.append(max(0.5 * promised, gain_left(past, gradient), rise_left(values, plain, gradient)))
    # of the last step nobody would see whether it loses
    return plain if len(run.history) >= options.max_iter else step


def _has_lost(run: Run, objective: float) -> bool:
    """Whether a long step was too long."""
    return bool(run.past and run.history) and run.values != run.past[-1][1] and not objective >= run.history[-1]


def _gain_to_come(run: Run) -> float:
    """The gain still to come: extrapolated from EM's gains, or what the iterates of long steps show."""
    if not run.expected:
        return gain_to_come(run.history)
    if len(run.expected) < _PROMISES:
        return math.inf
    return max(0.0, *run.expected[-_PROMISES:], run.history[-1] - run.history[-2])


def _judge(run: Run, now: Iteration, options: Options) -> None:
    """Decide whether a run is at its end, and say why it has not converged."""
    run.converged = bool(options.tol > 0.0 and now.gain_to_come < options.tol)  # NumPy's own True is none in JSON
    left = f"about {now.gain_to_come:.3g} nats still" if math.isfinite(now.gain_to_come) else "growing gains still"
    run.why = (
        f"Training stopped after max_iter={options.max_iter} iterations with {left} to come, more than "
        f"tol={options.tol:g}; raise max_iter, or continue with warm_start=True."
    )
    stopped = options.callback is not None and asks_to_stop(options.callback(now))
    # a prior on what earlier training has brought to zero makes the beginning impossible, and the M-step possible
    is_impossible_start = now.log_likelihood == -math.inf and len(run.history) == 1
    is_no_number = not math.isfinite(now.log_likelihood) and not is_impossible_start
    if is_no_number:
        run.why = f"The log-likelihood became {now.log_likelihood} at iteration {now.iteration}; training stopped."
    elif has_fallen(run.history):
        run.why = (
            f"The objective fell from {run.history[-2]:.6f} to {now.log_likelihood:.6f} nats in iteration "
            f"{now.iteration}, which an M-step must not do; training stopped. Is it a family of your own?"
        )
    elif stopped:
        run.why = f"The callback stopped training before iteration {now.iteration}."
    run.finished = run.converged or stopped or is_no_number or has_fallen(run.history)


def has_fallen(history: Sequence[float]) -> bool:
    """Whether the last iteration made it worse by more than rounding, which no proper M-step does."""
    return len(history) > 1 and history[-1] < history[-2] - 1e-9 * abs(history[-2])


def gain_to_come(history: Sequence[float]) -> float:
    """Extrapolate the gain still to come as a geometric series of the last gains; infinite while they grow.

    The series falls by the slower of the last two ratios. One alone would take the leap that the first iteration makes
    from a random start for convergence, as the second gain is small beside it. (Aitken acceleration as a stopping rule:
    McLachlan and Krishnan, The EM Algorithm and Extensions, 2008, 4.9.)
    """
    if len(history) < 3:
        return math.inf
    last = history[-1] - history[-2]
    if has_fallen(history):
        return math.inf
    if last <= 1e-12 * abs(history[-1]):  # rounding of the sum
        return 0.0
    if len(history) < 4:
        return math.inf
    older, before = history[-3] - history[-4], history[-2] - history[-3]
    if last >= before or before >= older:
        return math.inf
    ratio = max(last / before, before / older)
    return last * ratio / (1.0 - ratio)


def total(parts: Iterator[Statistics]) -> Statistics:
    """Sum statistics in their order."""
    log_likelihood, counts = 0.0, None
    for part in parts:
        log_likelihood += part.log_likelihood
        counts = part.counts.copy() if counts is None else counts + part.counts
    if counts is None:
        raise ArgumentError("There is nothing to train on: no sequence was given.")
    return Statistics(log_likelihood, counts)


@contextmanager
def progress(options: Options, done: int) -> Iterator[Callable[[Iteration], None]]:
    if not options.progress:
        yield lambda now: None
        return
    with bar(unit="iteration", desc="fit", initial=done) as shown:

        def show(now: Iteration) -> None:
            shown.set_postfix(
                restart=now.restart, log_likelihood=f"{now.log_likelihood:.3f}", to_come=f"{now.gain_to_come:.2g}"
            )
            shown.update()

        yield show
