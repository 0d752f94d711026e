"""Training of HMMs, as the shared loop wants it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError
from tiedseq.random_state import generator_of
from tiedseq.training import Options, Statistics

from .batches import digest_of
from .emissions import Batch
from .machine import Machine, expect, expect_best
from .protocol import Parameters

Vector = NDArray[np.float64]

_ALGORITHMS = {"baum-welch": expect, "viterbi": expect_best}


class Trainee:
    """The parameters of an HMM, data that starting values may come from, and what an iteration does with them."""

    def __init__(self, parameters: Parameters, options: Options, observations: Any, algorithm: str) -> None:
        if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
            raise ArgumentError(f'algorithm={algorithm!r} is unknown; it is "baum-welch" or "viterbi".')
        if algorithm == "viterbi" and len(parameters.emitting) < len(parameters.states):
            raise ArgumentError('algorithm="viterbi" knows no silent states, as a path of letters does not show them.')
        self.parameters, self.observations, self.algorithm = parameters, observations, algorithm
        self.priors = dict(options.priors or {})
        if not options.warm_start:
            parameters.reset()
        parameters.start(observations, generator_of(options.random_state))
        self._counts: Vector | None = None

    @property
    def values(self) -> Vector:
        return self.parameters.vector

    @values.setter
    def values(self, values: Vector) -> None:
        self.parameters.vector = values

    def snapshot(self) -> Machine:
        return self.parameters.machine()

    def expect(self) -> Callable[..., Statistics]:
        return _ALGORITHMS[self.algorithm]

    def maximize(self, statistics: Statistics) -> Vector:
        self._counts = statistics.counts
        return self.parameters.maximize(statistics.counts, self.priors)

    def log_prior(self) -> float:
        return self.parameters.log_prior(self.priors)

    def redraw(self, generator: np.random.Generator) -> Vector:
        return self.parameters.redrawn(self.observations, generator)

    def digest(self, batches: Sequence[Batch], options: Options) -> str:
        """Identify the data, the model's structure and the options that change the result."""
        told = [self.parameters.to_dict(), self.algorithm, float(options.tol)]
        told += [int(options.max_iter), int(options.n_init)]
        if isinstance(options.random_state, int | np.integer):
            told.append(int(options.random_state))
        return digest_of([*told, self.priors], self.observations, batches)

    def gradient(self, statistics: Statistics) -> Vector | None:
        """HMMs take EM's steps."""
        return None

    def remarks(self) -> list[str]:
        """What the user should know of the values after training."""
        remarks = []
        if self._counts is not None and (unvisited := self.parameters.unvisited(self._counts)):
            keeps = "it keeps its values, but for soft ties" if self.parameters.soft_title else "it keeps its values"
            remarks.append(f"No sequence visits the state {', '.join(map(repr, unvisited))}: {keeps}.")
        if floored := self.parameters.at_floor():
            remarks.append(
                f"{', '.join(map(repr, floored))} reached the floor of its family, where the likelihood has no "
                "maximum: use fewer states, tie covariances, or give a prior."
            )
        return remarks
