"""Training of pair-HMMs, as the shared loop wants it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Codes
from tiedseq.training import Options, Statistics

from .batches import PairBatch
from .machine import PairMachine, expect
from .parameters import PairParameters

Vector = NDArray[np.float64]

_RARE = 0.1  # expected uses in all the data: a parameter on its way to zero


class PairTrainee:
    """The parameters of a pair-HMM, what its pairs are taken for, and what an iteration does with them."""

    def __init__(
        self, parameters: PairParameters, options: Options, mode: str, complement: Codes | None = None
    ) -> None:
        self.parameters, self.mode, self.complement = parameters, mode, complement
        self.priors = dict(options.priors or {})
        if not options.warm_start:
            parameters.reset()
        parameters.soft.check(parameters.specification.free)
        self._counts: Vector | None = None

    @property
    def values(self) -> Vector:
        return self.parameters.vector

    @values.setter
    def values(self, values: Vector) -> None:
        # long steps are differences of values that are nearly alike, and rounding grows in them
        self.parameters.vector = self.parameters.specification.settled(values)

    def snapshot(self) -> PairMachine:
        return PairMachine(self.parameters.tables(), self.mode, self.complement)

    def expect(self) -> Callable[..., Statistics]:
        return expect

    def maximize(self, statistics: Statistics) -> Vector:
        self._counts = statistics.counts
        return self.parameters.maximize(statistics.counts, self.priors)

    def log_prior(self) -> float:
        return self.parameters.log_prior(self.priors)

    def gradient(self, statistics: Statistics) -> Vector | None:
        """d objective / d value; None with soft ties, whose centres move as well."""
        if self.parameters.soft.title:
            return None
        return self.parameters.objective_gradient(statistics.counts, self.priors)

    def redraw(self, generator: np.random.Generator) -> Vector:
        return self.parameters.redrawn(generator)

    def digest(self, batches: Sequence[PairBatch], options: Options) -> str:
        """Identify the data, the model's structure and the options that change the result."""
        told = [self.parameters.to_dict(), self.mode, self.complement is None, float(options.tol)]
        told += [int(options.max_iter), int(options.n_init), bool(options.acceleration)]
        if isinstance(options.random_state, int | np.integer):
            told.append(int(options.random_state))
        text = json.dumps([*told, self.priors], default=lambda array: np.asarray(array).tolist())
        found = hashlib.sha256(text.encode())
        for batch in batches:
            found.update(batch.weights.tobytes())
            for number, (x, y) in enumerate(batch.pairs):
                found.update(f"{x.size} {y.size} ".encode() + x.tobytes() + y.tobytes())
                found.update(b"" if batch.columns is None else batch.columns[number].tobytes())
        return found.hexdigest()

    def remarks(self) -> list[str]:
        """What the user should know of the values after training."""
        if self._counts is None or not (rare := self.parameters.hardly_used(self._counts, self.priors, _RARE)):
            return []
        return [
            f"The data hardly use {', '.join(map(repr, rare))} (less than {_RARE:g} times in all): what leads there is "
            "on its way to 0, its boundary, and has no standard error. Hold it, tie it, give a prior, or add data."
        ]
