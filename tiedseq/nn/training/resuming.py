"""A training, or what has been done of it, and the files from which it goes on to the same bits."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.checkpoints import Checkpoint, Evaluations, vector_of
from tiedseq.errors import ArgumentError, ModelError
from tiedseq.nn import document
from tiedseq.nn.layer import Layer
from tiedseq.nn.network import Sequential
from tiedseq.options import asks_to_stop

from .losses import Loss
from .minibatches import Samples
from .optimisers import Adam
from .options import Epoch, Options

Vector = NDArray[np.float64]


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
    memory: Adam | Evaluations | None = None  # of the optimiser
    told: int = 0  # epochs that the callback knows of from before an interruption

    def end_epoch(self, loss: float, validation_loss: float | None, options: Options) -> None:
        """Note an epoch; keep the best values, and stop where patience is at its end."""
        self.history.append(loss)
        if validation_loss is not None:
            self.validation_history.append(validation_loss)
            if self.best is None or validation_loss < self.validation_history[self.best_epoch]:
                self.best, self.best_epoch = self.values.copy(), len(self.history) - 1
            elif options.patience is not None and len(self.history) - 1 - self.best_epoch >= options.patience:
                self.finished = self.converged = True
        if len(self.history) <= self.told:
            return
        now = Epoch(len(self.history) - 1, loss, validation_loss)
        if options.callback is not None and asks_to_stop(options.callback(now)):
            self.finished, self.why = True, f"The callback stopped training after epoch {now.epoch}."


def keep(run: Run, checkpoint: Checkpoint) -> None:
    """Write a training to its file: Adam's values and memory, or the evaluations of the objective for L-BFGS."""
    if isinstance(run.memory, Evaluations):
        checkpoint.write([{**run.memory.state(), "told": len(run.history), "seed": run.seed}])
        return
    assert run.memory is not None
    adam = {"mean": run.memory.mean.tolist(), "square": run.memory.square.tolist(), "steps": run.memory.steps}
    best = None if run.best is None else run.best.tolist()
    left_out = {"memory": None, "told": len(run.history)}
    checkpoint.write([{**vars(run), **left_out, "values": run.values.tolist(), "best": best, "adam": adam}])


def begun(checkpoint: Checkpoint, start: Vector, seed: int, options: Options) -> Run:
    """Return the training in the file, or a new one. Raises ArgumentError if the file's has gone on for too long."""
    for run in checkpoint.read(lambda state: _restored(state, len(start), options)):
        if len(run.history) > options.max_epochs:  # of Adam; L-BFGS finds its way again
            done = len(run.history)
            raise ArgumentError(
                f"max_epochs={options.max_epochs} is fewer than the {done} epochs that "
                f"checkpoint={str(options.checkpoint)!r} has behind it, whose earlier values are not kept: give "
                f"max_epochs={done} or more, or remove the file to start anew."
            )
        return run
    run = Run(start, seed)
    run.memory = Adam(options.learning_rate, len(start)) if options.optimiser == "adam" else Evaluations(start)
    return run


def _restored(state: dict[str, Any], size: int, options: Options) -> Run:
    """Return the training, of so many values, that is in a file. Raises as `Checkpoint.read` wants it if damaged."""
    seed, told = int(state["seed"]), int(state["told"])
    if seed < 0:
        raise ValueError("a seed is no negative number")
    if options.optimiser == "lbfgs":
        evaluations = Evaluations.of_state(state, size)
        return Run(evaluations.start, seed, told=told, memory=evaluations)
    of_adam = state.pop("adam")
    adam = Adam(options.learning_rate, size)
    adam.mean, adam.square = (vector_of(of_adam[name], size) for name in ("mean", "square"))
    adam.steps = int(of_adam["steps"])
    run = Run(**state)
    run.values, run.seed, run.told, run.memory = vector_of(run.values, size), seed, told, adam
    run.history, run.validation_history = (list(map(float, each)) for each in (run.history, run.validation_history))
    if run.best is not None:
        run.best, run.best_epoch = vector_of(run.best, size), int(run.best_epoch)
        if not 0 <= run.best_epoch < len(run.validation_history) == len(run.history):
            raise ValueError("there is no best epoch")
    return run


def digest(net: Sequential, loss: Loss, data: Sequence[Samples], start: Vector, options: Options) -> str:
    """Identify network, loss, data and options; how long it may take and who works is free."""
    found = hashlib.sha256()
    said = (_Description().value(net), net.input, np.dtype(net.dtype).name, _without_address(loss))
    names = ("optimiser", "batch_size", "learning_rate", "weight_decay", "class_weight", "warm_start")
    chosen = [getattr(options, name) for name in names]
    chosen = [sorted(map(repr, value.items())) if isinstance(value, Mapping) else value for value in chosen]
    held = "given" if isinstance(options.validation, tuple) else float(options.validation)
    seeded = isinstance(options.random_state, int | np.integer)
    drawn = int(options.random_state) if seeded else type(options.random_state).__name__  # type: ignore[arg-type]
    found.update(repr((said, chosen, held, drawn)).encode())
    for weight in net.weights:  # these also tell functions apart that tie
        found.update(weight.ties.labels.tobytes() + weight.ties.signs.tobytes())
    if options.warm_start or seeded:  # else it is drawn anew, and that in the file counts
        found.update(start.tobytes())
    for samples in data:
        found.update(samples.lengths.tobytes())
        for part in (samples.sequences, samples.targets, samples.weights):
            for array in [part] if isinstance(part, np.ndarray) else part:
                found.update(array.tobytes())
    return found.hexdigest()


class _Description(document.Writer):
    """Layers with all their arguments, also those that no model file can hold; values apart, which a training sets."""

    def layer(self, layer: Layer) -> dict[str, Any]:
        arguments = {name: self.value(entry) for name, entry in document.arguments_of(layer).items()}
        return {"layer": type(layer).__qualname__, "arguments": arguments}

    def value(self, entry: Any, where: str = "") -> Any:
        if isinstance(entry, Sequential):
            return [self.layer(layer) for layer in entry.layers]
        try:
            return super().value(entry, where)
        except ModelError:
            return _without_address(entry)


def _without_address(entry: Any) -> str:
    """What Python calls it, without where it is in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(entry))
