"""What users hand to an HMM, as work for its recursions: sequences and what is said of their letters, in batches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Alphabet
from tiedseq.errors import ArgumentError, ModelError
from tiedseq.records import encode

from .batches import allowed_by_paths, allowed_of, batches_of, weights_of
from .emissions import Batch
from .observations import (
    Observations,
    check_not_stacked,
    is_one_of_letters,
    is_one_of_numbers,
    is_scalar_list,
    observations_of,
)
from .protocol import Parameters
from .tables import Floats


class ChainModel:
    """A model of one sequence: its parameters, and the letters of its sequences."""

    _parameters: Parameters
    alphabet: Alphabet | None

    @property
    def states(self) -> tuple[str, ...]:
        return self._parameters.states

    @property
    def _is_emitting(self) -> NDArray[np.bool_]:
        return np.array([state in self._parameters.emitting for state in self.states])

    # ---- sequences ------------------------------------------------------------------------------------------------

    def _observations(self, X: Any, lengths: Any) -> Observations:
        if self.alphabet is None:
            return observations_of(X, lengths, self._parameters.families.observations, is_one_of_numbers)
        if not _is_column(X):
            check_not_stacked(X)
        return observations_of(X, lengths, self._codes, is_one_of_letters)

    def _codes(self, sequence: Any) -> NDArray[np.uint8]:
        assert self.alphabet is not None
        if is_scalar_list(sequence):
            sequence = np.array(sequence)
        if _is_column(sequence):
            sequence = sequence[:, 0]
        return encode(sequence, self.alphabet)

    def _limits(self, data: Observations, allowed: Any, paths: Any) -> NDArray[np.bool_] | None:
        """Which emitting states may be at every letter, (letters, emitting states); None: all."""
        emitting = [self.states.index(state) for state in self._parameters.emitting]
        if allowed is not None and paths is not None:
            raise ArgumentError("allowed= and paths= both say which states may be where; give one of them.")
        if paths is not None:
            return allowed_by_paths(paths, data, emitting)
        return None if allowed is None else allowed_of(allowed, data, len(self.states), emitting)

    def _batches(self, data: Observations, weights: Any = None, limits: NDArray[np.bool_] | None = None) -> list[Batch]:
        limits = None if limits is None else self._parameters.of_machine(limits)
        return batches_of(data, self._parameters.observe, weights_of(weights, len(data)), limits)

    def _one(self, X: Any) -> Batch:
        data = self._observations(X, None)
        if len(data) != 1:
            raise ArgumentError(f"X holds {len(data)} sequences; this takes one.")
        return self._batches(data)[0]

    # ---- what is asked of all of them -----------------------------------------------------------------------------

    def _score(self, data: Observations, limits: NDArray[np.bool_] | None = None) -> float:
        if self._parameters.is_conditional and limits is None:
            raise ModelError(
                "A model whose emissions are a network says P(path | X), and nothing of X itself: give the labels by "
                "paths= or allowed=, whose probability it knows, or use predict_proba."
            )
        machine = self._parameters.machine()
        return float(sum(machine.log_likelihoods(batch).sum() for batch in self._batches(data, limits=limits)))

    def _posterior(self, data: Observations) -> Floats:
        machine = self._parameters.machine()
        parts = [self._parameters.posterior_of(machine.posterior(batch)) for batch in self._batches(data)]
        return np.concatenate(parts)


def _is_column(X: Any) -> bool:
    """Whether it is one sequence of codes as hmmlearn has it, (L, 1)."""
    return isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] == 1 and X.dtype.kind in "iu"
