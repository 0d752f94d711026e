"""The training of a network: epochs, early stopping, checkpoints. Sees samples and a loss, not what they mean.

The objective is the weighted mean of the loss over all places, plus half of `weight_decay` times the sum of squares of
the free values that decay, each once, plus what layers add (`Sequential.penalty`), as it is. A step of Adam sees that
of its minibatch, whose sum is divided by its number of places times the mean weight of all places, so that classes
count in every minibatch as they do in all. Gradients are summed shard by shard in their order: the same bits on any
number of threads.
"""

from __future__ import annotations

import hashlib
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.checkpoints import Checkpoint
from tiedseq.errors import ArgumentError, ConvergenceWarning, InputError
from tiedseq.options import check_word, checked_count, checked_weight
from tiedseq.random_state import RandomState
from tiedseq.strands.one_thread import on_one_thread
from tiedseq.workers import mapping

from .activations import Dropout
from .layer import Layer
from .losses import Loss
from .minibatches import Index, Samples, loss_of, minibatches, shards
from .network import Sequential
from .optimisers import Adam, lbfgs

Vector = NDArray[np.float64]

OPTIMISERS = ("adam", "lbfgs")
_ORDER, _DRAWS = 0, 1  # what random numbers are for: each use has a stream of its own


class Epoch(NamedTuple):
    """What a callback is told after every epoch (with L-BFGS, after every iteration)."""

    epoch: int  # from 0
    loss: float  # the objective: mean over the minibatches as they were met; with L-BFGS that of all
    validation_loss: float | None  # the weighted mean of the loss alone, without dropout


@dataclass(frozen=True)
class Options:
    """The training options, keywords of an estimator's constructor and of `fit`; `nn.Classifier` says what they do."""

    max_epochs: int = 20
    batch_size: int = 64
    optimiser: str = "adam"
    learning_rate: float = 0.003
    weight_decay: float = 0.0
    class_weight: Any = None
    validation: Any = 0.0
    patience: int | None = 5
    random_state: RandomState = None
    progress: bool = False
    callback: Callable[[Epoch], Any] | None = None
    executor: Any = None
    checkpoint: Any = None
    warm_start: bool = False

    def __post_init__(self) -> None:
        for name in ("max_epochs", "batch_size", *(() if self.patience is None else ("patience",))):
            checked_count(name, getattr(self, name))
        check_word("optimiser", self.optimiser, OPTIMISERS)
        checked_weight("weight_decay", self.weight_decay)
        if not checked_weight("learning_rate", self.learning_rate):
            raise ArgumentError(f"learning_rate={self.learning_rate!r} must be more than 0, or nothing is learnt.")
        given = self.class_weight
        if (
            given is not None
            and not isinstance(given, Mapping)
            and not (isinstance(given, str) and given == "balanced")
        ):
            raise ArgumentError(f'class_weight={given!r} must be None, "balanced", or map classes to weights.')
        if not (isinstance(self.validation, tuple) and len(self.validation) == 2) and not (
            isinstance(self.validation, int | float | np.number)
            and not isinstance(self.validation, bool)
            and 0.0 <= self.validation < 1.0
        ):
            raise ArgumentError(
                f"validation={self.validation!r} must be the part of the sequences to hold out, from 0 to less than 1, "
                "or a tuple of sequences and what they should give."
            )
        if self.callback is not None and not callable(self.callback):
            raise ArgumentError(f"callback={self.callback!r} cannot be called; give a function of an nn.Epoch.")
        if self.optimiser == "lbfgs" and self.checkpoint is not None:
            raise ArgumentError(
                f'checkpoint={self.checkpoint!r} does not go with optimiser="lbfgs", whose memory SciPy keeps to '
                'itself; leave it out, or use optimiser="adam".'
            )

    def changed(self, given: Mapping[str, Any]) -> Options:
        """Return the options with those of one call of `fit`. Raises ArgumentError for one that does not exist."""
        known = [option.name for option in fields(self)]
        for name in given:
            if name not in known:
                raise ArgumentError(f"fit() has no option {name!r}; there are {', '.join(known)}.")
        return replace(self, **given)


@dataclass
class Run:
    """A training, or what has been done of it."""

    values: Vector
    seed: int
    history: list[float] = field(default_factory=list)
    validation_history: list[float] = field(default_factory=list)
    best: Vector | None = None  # the values of the lowest validation loss
    best_epoch: int = -1
    converged: bool = False
    finished: bool = False
    why: str = ""

    def end_epoch(self, loss: float, validation_loss: float | None, options: Options) -> None:
        """Note an epoch; keep the best values, and stop where patience is at its end."""
        self.history.append(loss)
        if validation_loss is not None:
            self.validation_history.append(validation_loss)
            if self.best is None or validation_loss < self.validation_history[self.best_epoch]:
                self.best, self.best_epoch = self.values.copy(), len(self.history) - 1
            elif options.patience is not None and len(self.history) - 1 - self.best_epoch >= options.patience:
                self.finished = self.converged = True
        now = Epoch(len(self.history) - 1, loss, validation_loss)
        if options.callback is not None and options.callback(now) is True:
            self.finished, self.why = True, f"The callback stopped training after epoch {now.epoch}."


class Objective:
    """The objective and its gradient, by workers."""

    def __init__(
        self, net: Sequential, loss: Loss, samples: Samples, options: Options, run: Callable[..., Any]
    ) -> None:
        self.net, self.loss, self.samples, self.options, self.run = net, loss, samples, options, run
        self.lengths, self.counts = samples.lengths, samples.counts()
        self.mean_weight = samples.total_weight() / max(int(self.counts.sum()), 1)
        self.decay = options.weight_decay * net.decays

    def of(self, values: Vector, indices: Index, seed: Sequence[int] | None) -> tuple[float, Vector]:
        """Return the objective of some of the samples and its gradient in the free values."""
        divisor = float(self.counts[indices].sum()) * self.mean_weight
        total, gradient = 0.0, np.zeros(len(values))
        for value, slope in self._sums(values, indices, seed, True):
            total, gradient = total + value, gradient + slope
        penalty, of_penalty = self.net.penalty(values)
        total = total / divisor + 0.5 * float(self.decay @ (values * values)) + penalty
        gradient = gradient / divisor + self.decay * values + of_penalty
        if not (math.isfinite(total) and np.isfinite(gradient).all()):
            raise FloatingPointError
        return total, gradient

    def mean_loss(self, values: Vector) -> float:
        """Return the weighted mean of the loss over all samples, as in prediction."""
        found = sum(value for value, _ in self._sums(values, np.arange(len(self.samples)), None, False))
        return float(found) / (float(self.counts.sum()) * self.mean_weight)

    def _sums(self, values: Vector, indices: Index, seed: Sequence[int] | None, with_gradient: bool) -> Iterator[Any]:
        def work(task: tuple[int, Index]) -> tuple[float, Any]:
            number, shard = task
            of_shard = None if seed is None else [*seed, number]
            return loss_of(self.net, self.loss, values, self.samples.chosen(shard), of_shard, with_gradient)

        return self.run(work, enumerate(shards(self.lengths, indices)))


@on_one_thread
def train(
    net: Sequential,
    loss: Loss,
    samples: Samples,
    split: Callable[[int], tuple[Samples, Samples | None]],
    start: Vector,
    seed: int,
    options: Options,
) -> Run:
    """Train from starting values; return the run. The network's own values stay as they are.

    Parameters
    ----------
    samples : Samples
        All of them, which a checkpoint belongs to.
    split : function of a seed
        Returns those to train on, and those to validate on or None.

    Raises
    ------
    ArgumentError
        The loss is not finite.
    SequenceError
        A sequence does not fit a layer.

    Warns
    -----
    ConvergenceWarning
        L-BFGS did not converge.
    """
    checkpoint = Checkpoint(options.checkpoint, lambda: _digest(net, samples, start, options))
    run, adam = _begun(checkpoint, start, seed, options)
    training, held_out = split(run.seed)
    with _progress(options) as show, mapping(options.executor) as workers, np.errstate(all="ignore"):
        objective = Objective(net, loss, training, options, workers)
        validation = None if held_out is None else Objective(net, loss, held_out, options, workers)
        try:
            if options.optimiser == "adam":
                _by_adam(run, adam, objective, validation, options, checkpoint, show)
            else:
                _by_lbfgs(run, objective, validation, options, show)
        except FloatingPointError:
            raise _not_finite(len(run.history), options) from None
        if not np.isfinite((run.values if run.best is None else run.best).astype(net.dtype)).all():
            raise _not_finite(len(run.history), options)
    if run.best is not None:
        run.values = run.best
    checkpoint.done()
    if options.optimiser == "lbfgs" and not run.converged:
        warnings.warn(run.why, ConvergenceWarning, stacklevel=5)
    return run


def _by_adam(
    run: Run,
    adam: Adam,
    objective: Objective,
    validation: Objective | None,
    options: Options,
    checkpoint: Checkpoint,
    show: Callable[[Run], None],
) -> None:
    """Go through all minibatches of an epoch, again and again."""
    while not run.finished and len(run.history) < options.max_epochs:
        epoch = len(run.history)
        order = np.random.default_rng([_ORDER, run.seed, epoch])
        losses, counts = [], []
        for number, indices in enumerate(minibatches(objective.lengths, options.batch_size, order)):
            value, gradient = objective.of(run.values, indices, [_DRAWS, run.seed, epoch, number])
            run.values = adam.step(run.values, gradient)
            losses.append(value)
            counts.append(int(objective.counts[indices].sum()))
        run.end_epoch(float(np.average(losses, weights=counts)), _validated(validation, run.values), options)
        show(run)
        checkpoint.write([_state(run, adam)])


def _by_lbfgs(
    run: Run, objective: Objective, validation: Objective | None, options: Options, show: Callable[[Run], None]
) -> None:
    """Take all samples at once."""
    net = objective.net
    if any(map(_draws, net.layers)):
        raise ArgumentError(
            'optimiser="lbfgs" needs an objective that is the same at every look, and nn.Dropout draws; leave the '
            'layer out, or use optimiser="adam".'
        )
    everything = np.arange(len(objective.samples))

    def after(values: Vector, value: float) -> bool:
        run.values = values
        run.end_epoch(value, _validated(validation, values), options)
        show(run)
        return run.finished

    found = lbfgs(
        lambda values: objective.of(values, everything, None),
        *(run.values, options.max_epochs, float(np.finfo(net.dtype).eps), after),
    )
    if run.finished:  # by us
        return
    run.values, run.converged, said = found
    if len(run.history) >= options.max_epochs:
        run.why = (
            f"L-BFGS stopped after max_epochs={options.max_epochs} iterations before it converged; raise max_epochs, "
            "or continue with warm_start=True."
        )
    else:
        remedy = 'make the network with dtype="float64"' if net.dtype is np.float32 else "scale the input"
        run.why = f"L-BFGS found no lower value nearby before it converged ({said}); {remedy}."


def _validated(validation: Objective | None, values: Vector) -> float | None:
    if validation is None:
        return None
    found = validation.mean_loss(values)
    if not math.isfinite(found):
        raise FloatingPointError
    return found


def _draws(layer: Layer) -> bool:
    return isinstance(layer, Dropout) or any(map(_draws, getattr(layer, "parts", ())))


def _not_finite(epoch: int, options: Options) -> ArgumentError:
    if options.optimiser == "lbfgs":
        return ArgumentError(f"The loss is not finite in iteration {epoch}: scale the input, or raise weight_decay.")
    return ArgumentError(
        f"learning_rate={options.learning_rate:g} has made the loss infinite in epoch {epoch}: use a smaller one, such "
        f"as {options.learning_rate / 10:g}; if that does not help, scale the input."
    )


# ---- checkpoints --------------------------------------------------------------------------------------------------


def _digest(net: Sequential, samples: Samples, start: Vector, options: Options) -> str:
    """Identify network, data and options; how long it may take and who works is free."""
    found = hashlib.sha256()
    layers = re.sub(r" at 0x[0-9a-f]+", "", repr(net))  # where a function is in memory
    said = (layers, net.input, np.dtype(net.dtype).name, len(samples))
    chosen = (options.batch_size, options.learning_rate, options.weight_decay, options.class_weight, options.warm_start)
    held = options.validation if isinstance(options.validation, float | int) else "given"
    found.update(repr((said, chosen, held, repr(options.random_state)[:40])).encode())
    if options.warm_start or isinstance(options.random_state, int | np.integer):
        found.update(start.tobytes())
    for part in (samples.sequences, samples.targets, samples.weights):
        for array in [part] if isinstance(part, np.ndarray) else part:
            found.update(array.tobytes())
    return found.hexdigest()


def _state(run: Run, adam: Adam) -> dict[str, Any]:
    best = None if run.best is None else run.best.tolist()
    arrays = {"values": run.values.tolist(), "best": best, "mean": adam.mean.tolist(), "square": adam.square.tolist()}
    return {**vars(run), **arrays, "steps": adam.steps}


def _begun(checkpoint: Checkpoint, start: Vector, seed: int, options: Options) -> tuple[Run, Adam]:
    """Return what a checkpoint holds, or a beginning."""
    run, adam = Run(start, seed), Adam(options.learning_rate, len(start))
    for state in checkpoint.read():
        try:
            mean, square, adam.steps = state.pop("mean"), state.pop("square"), state.pop("steps")
            adam.mean, adam.square = np.array(mean, float), np.array(square, float)
            run = Run(**state)
            run.values = np.array(run.values, float)
            run.best = None if run.best is None else np.array(run.best, float)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError("the checkpoint is damaged: remove it to start anew", str(options.checkpoint)) from error
    return run, adam


@contextmanager
def _progress(options: Options) -> Iterator[Callable[[Run], None]]:
    if not options.progress:
        yield lambda run: None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ArgumentError("progress=True needs tqdm; install it with pip install 'tiedseq[progress]'.") from error
    with tqdm(unit="epoch", desc="fit", total=options.max_epochs) as bar:

        def show(run: Run) -> None:
            validation = f"{run.validation_history[-1]:.4f}" if run.validation_history else "none"
            bar.set_postfix(loss=f"{run.history[-1]:.4f}", validation=validation)
            bar.update()

        yield show
