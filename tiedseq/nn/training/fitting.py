"""The training of a network: epochs, early stopping. Sees samples and a loss, not what they mean."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from tiedseq.bars import bar
from tiedseq.checkpoints import Checkpoint, Evaluations
from tiedseq.errors import ArgumentError, ConvergenceWarning
from tiedseq.nn.layer import Layer
from tiedseq.nn.layers.activations import Dropout
from tiedseq.nn.network import Sequential
from tiedseq.one_thread import on_one_thread
from tiedseq.workers import mapping

from .losses import Loss
from .minibatches import Samples, minibatches
from .objective import Objective
from .optimisers import Adam, lbfgs
from .options import Options
from .resuming import Run, begun, digest, keep

Vector = NDArray[np.float64]

_ORDER, _DRAWS = 0, 1  # what random numbers are for: each use has a stream of its own


@on_one_thread
def train(
    net: Sequential,
    loss: Loss,
    data: Sequence[Samples],
    split: Callable[[int], tuple[Samples, Samples | None]],
    start: Vector,
    seed: int,
    options: Options,
) -> Run:
    """Train from starting values; return the run. The network's own values stay as they are.

    Parameters
    ----------
    data : sequence of Samples
        All that is trained and validated on, which a checkpoint belongs to.
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
    checkpoint = Checkpoint(options.checkpoint, lambda: digest(net, loss, data, start, options))
    run = begun(checkpoint, start, seed, options)
    training, held_out = split(run.seed)
    with _progress(options, len(run.history)) as show, mapping(options.executor) as workers, np.errstate(all="ignore"):
        objective = Objective(net, loss, training, options.weight_decay, workers)
        validation = None if held_out is None else Objective(net, loss, held_out, 0.0, workers)

        def end_epoch(value: float) -> None:
            run.end_epoch(value, None if validation is None else validation.mean_loss(run.values), options)
            show(run)
            keep(run, checkpoint)

        try:
            if isinstance(run.memory, Adam):
                _by_adam(run, run.memory, objective, options, end_epoch)
            elif isinstance(run.memory, Evaluations):
                _by_lbfgs(run, run.memory, objective, options, end_epoch)
        except FloatingPointError:
            raise _not_finite(run, options) from None
        if run.best is not None:
            run.values = run.best
        if not np.isfinite(run.values.astype(net.dtype)).all():
            raise _not_finite(run, options)
    checkpoint.done()
    if options.optimiser == "lbfgs" and not run.converged:
        warnings.warn(run.why, ConvergenceWarning, stacklevel=5)
    return run


def _by_adam(run: Run, adam: Adam, objective: Objective, options: Options, end_epoch: Callable[[float], None]) -> None:
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
        end_epoch(float(np.average(losses, weights=counts)))


def _by_lbfgs(
    run: Run, evaluations: Evaluations, objective: Objective, options: Options, end_epoch: Callable[[float], None]
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
        end_epoch(value)
        return run.finished

    found = lbfgs(
        evaluations.of(lambda values: objective.of(values, everything, None)),
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


def _draws(layer: Layer) -> bool:
    return isinstance(layer, Dropout) or any(map(_draws, getattr(layer, "parts", ())))


def _not_finite(run: Run, options: Options) -> ArgumentError:
    epoch = len(run.history)
    if not (isinstance(run.memory, Adam) and run.memory.steps):
        where = f"after {epoch} iterations" if epoch else "before the first step"
        return ArgumentError(f"The loss is not finite {where}: scale the input, what is to be learnt, and weights.")
    return ArgumentError(
        f"learning_rate={options.learning_rate:g} has made the loss infinite in epoch {epoch}: use a smaller one, such "
        f"as {options.learning_rate / 10:g}; if that does not help, scale the input."
    )


@contextmanager
def _progress(options: Options, done: int) -> Iterator[Callable[[Run], None]]:
    if not options.progress:
        yield lambda run: None
        return
    with bar(unit="epoch", desc="fit", total=options.max_epochs, initial=done) as shown:

        def show(run: Run) -> None:
            validation = f"{run.validation_history[-1]:.4f}" if run.validation_history else "none"
            shown.set_postfix(loss=f"{run.history[-1]:.4f}", validation=validation)
            shown.update()

        yield show
