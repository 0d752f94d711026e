"""Training of conditional models: L-BFGS up the exact gradient of ln P(labels | X), rows and potentials together.

What labels allow is summed over with the potentials as they are (clamped), and so is everything (free); the difference
of the two logarithms is the objective, and the difference of the two posteriors its gradient in the potentials. Batches
are cut by the data and summed in their order, so that the result does not depend on who works.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tiedseq.checkpoints import Checkpoint, Evaluations
from tiedseq.errors import ConvergenceWarning
from tiedseq.options import asks_to_stop
from tiedseq.random_state import generators
from tiedseq.training import Iteration, Options, Run, progress
from tiedseq.workers import mapping

from .batches import digest_of
from .conditional import ConditionalParameters
from .emissions import Batch
from .logits import RowLogits
from .tables import Floats

_LOOK_BACK = 5  # steps whose gains together decide: one of L-BFGS may be short before a long one
_REMEMBERED = 20  # steps that the curvature is taken from


class Objective:
    """ln P(labels | X) with log priors and less penalties, as a function of logits of rows and values of potentials."""

    def __init__(self, parameters: ConditionalParameters, batches: Sequence[Batch], options: Options, run: Any) -> None:
        self.parameters, self.batches, self.run = parameters.copy(), batches, run
        self.logits = RowLogits(parameters.specification.simplex, parameters.specification.free)
        self.pseudocounts = parameters.pseudocounts(options.priors or {})
        self.priors = dict(options.priors or {})

    @property
    def initial(self) -> Floats:
        """Where it starts: the current values."""
        return np.concatenate([self.logits.initial, self.parameters.weights])

    def values(self, point: Floats) -> Floats:
        """The values of the parameters at a point."""
        size = len(self.logits.initial)
        return np.concatenate([self.logits.values(point[:size]), point[size:]])

    def __call__(self, point: Floats) -> tuple[float, Floats]:
        """Return the objective in nats, and its gradient."""
        parameters, size = self.parameters, len(self.logits.initial)
        parameters.vector = self.values(point)
        specification, total = parameters.specification, parameters.log_prior(self.priors)
        penalty, of_penalty = parameters.potentials.penalty(parameters.weights)
        slopes, of_weights = np.zeros(len(specification.free)), -of_penalty
        moving = self.pseudocounts > 0.0
        slopes[moving] = self.pseudocounts[moving] / specification.free[moving]
        total -= penalty
        for gain, rows, weights in self.run(parameters.machine().climb, self.batches):
            total, slopes, of_weights = total + gain, slopes + specification.pool(rows), of_weights + weights
        of_logits = self.logits.gradient(point[:size], specification.free, slopes)
        return total, np.concatenate([of_logits, of_weights])


def ascend(parameters: ConditionalParameters, observations: Any, batches: Sequence[Batch], options: Options) -> Run:
    """Climb from the current values and from restarts; leave the best values in the parameters, and return its run.

    Warns with ConvergenceWarning, where `fit` was called, if the best run did not converge.

    Raises
    ------
    ArgumentError
        An executor that is not one of threads.
    InputError
        The checkpoint is no such file, or of another training.
    ModelError
        A checkpoint, and the network cannot be written to a file.
    """
    if not options.warm_start:
        parameters.reset()
    checkpoint = Checkpoint(options.checkpoint, lambda: _digest(parameters, observations, batches, options))
    seeds = generators(options.random_state, options.n_init)
    starts = [parameters.vector, *(parameters.redrawn(None, generator) for generator in seeds[1:])]
    kept = checkpoint.read(lambda state: _Restart.of_state(state, len(starts[0])))
    restarts = kept or [_Restart(Evaluations(start)) for start in starts]
    runs = []
    told = sum(restart.told for restart in restarts)
    with progress(options, told) as show, mapping(options.executor) as run:
        for number, restart in enumerate(restarts):
            parameters.vector = restart.evaluations.start
            objective = Objective(parameters, batches, options, run)
            tell = partial(_tell, restart=restart, restarts=restarts, checkpoint=checkpoint, show=show)
            runs.append(_Climb(objective, restart, options, number, tell).run())
    checkpoint.done()
    best = max(runs, key=lambda finished: finished.history[-1])
    parameters.vector = np.array(best.values)
    if not best.converged and options.tol > 0.0:
        warnings.warn(best.why, ConvergenceWarning, stacklevel=4)
    return best


@dataclass
class _Restart:
    """Where a climb starts, what it has found, and how many iterations the user has been told of."""

    evaluations: Evaluations
    told: int = 0

    def state(self) -> dict[str, Any]:
        return {**self.evaluations.state(), "told": self.told}

    @classmethod
    def of_state(cls, state: dict[str, Any], size: int) -> _Restart:
        return cls(Evaluations.of_state(state, size), int(state["told"]))


def _tell(now: Iteration, restart: _Restart, restarts: Sequence[_Restart], checkpoint: Checkpoint, show: Any) -> None:
    """Keep an iteration in the file, and show it, if it is new."""
    if now.iteration >= restart.told:
        restart.told = now.iteration + 1
        checkpoint.write([each.state() for each in restarts])
        show(now)


def _digest(parameters: ConditionalParameters, observations: Any, batches: Sequence[Batch], options: Options) -> str:
    """Identify data, model and options; how long it may take and who works is free."""
    drawn = options.random_state if isinstance(options.random_state, int | np.integer) else 0
    told = [parameters.to_dict(), options.n_init, drawn, dict(options.priors or {})]
    return digest_of(told, observations, batches)


class _Climb:
    """One restart on its way up."""

    def __init__(
        self,
        objective: Objective,
        restart: _Restart,
        options: Options,
        number: int,
        tell: Callable[[Iteration], None],
    ) -> None:
        self.objective, self.look, self.options = objective, restart.evaluations.of(objective), options
        self.number, self.known, self.tell = number, restart.told, tell
        self.history: list[float] = []
        self.why = ""
        self.converged = False

    def run(self) -> Run:
        from scipy.optimize import minimize

        start = self.objective.initial
        point = start
        self._step(self.look(start)[0])
        if not self._stops() and len(start):
            options: dict[str, Any] = {"maxiter": self.options.max_iter, "maxfun": 100 * self.options.max_iter}
            options |= {"ftol": 0.0, "gtol": 0.0, "maxcor": _REMEMBERED}
            found = minimize(self._down, start, jac=True, method="L-BFGS-B", callback=self._after, options=options)
            point = found.x
            if not self.why:  # no step along the line gains anything: this is the top, as closely as it can be seen
                self.converged = len(self.history) <= self.options.max_iter
        if not self.converged and not self.why:
            gained = self._gained()
            said = f" with {gained:.3g} nats gained in the last {_LOOK_BACK}, more than tol={self.options.tol:g}"
            early = f", and it takes {_LOOK_BACK} to see whether it has converged"
            self.why = (
                f"Training stopped after max_iter={self.options.max_iter} iterations"
                f"{said if np.isfinite(gained) else early}; raise max_iter, or continue with warm_start=True."
            )
        values = self.objective.values(point).tolist()
        return Run(values, self.history, converged=self.converged, finished=True, why=self.why)

    def _down(self, point: Floats) -> tuple[float, Floats]:
        value, gradient = self.look(point)
        return -value, -gradient

    def _after(self, intermediate_result: Any) -> None:
        """Look at a step, as SciPy wants to be told by this name."""
        self._step(-float(intermediate_result.fun))
        if self._stops():
            raise StopIteration

    def _step(self, value: float) -> None:
        self.history.append(value)
        self.now = Iteration(self.number, len(self.history) - 1, value, self._gained())
        self.tell(self.now)

    def _gained(self) -> float:
        """What the last steps gained, in nats; infinite at first."""
        if len(self.history) <= _LOOK_BACK:
            return float("inf")
        return self.history[-1] - self.history[-1 - _LOOK_BACK]

    def _stops(self) -> bool:
        """Whether to stop here, and why."""
        self.converged = bool(self.options.tol > 0.0 and self._gained() < self.options.tol)
        if self.converged:
            self.why = "converged"
        elif self._is_new() and self.options.callback is not None and asks_to_stop(self.options.callback(self.now)):
            self.why = f"The callback stopped training before iteration {self.now.iteration}."
        return bool(self.why)

    def _is_new(self) -> bool:
        """Whether the user has not been told of this iteration before an interruption."""
        return self.now.iteration >= self.known
