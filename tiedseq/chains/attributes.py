"""The parameters of an HMM under the names that hmmlearn's users know."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .conditional import ConditionalParameters
from .model import ChainModel
from .tables import Floats


class Monitor(NamedTuple):
    """How the last `fit` went: what `history_` and `converged_` say."""

    converged: bool
    iter: int  # iterations that were done
    history: list[float]


class HmmlearnAttributes(ChainModel):
    """Arrays in the order of `states`; AttributeError where a model has no such thing."""

    history_: list[float]
    converged_: bool

    @property
    def monitor_(self) -> Monitor:
        """`converged`, `iter` and `history` of the last `fit`."""
        return Monitor(self.converged_, len(self.history_), list(self.history_))

    def score_samples(self, X: Any, lengths: ArrayLike | None = None) -> tuple[float, Any]:
        """Return ln P(X | model), as `score` does, and P(state | X) of every letter, as `predict_proba` does."""
        data = self._observations(X, lengths)
        return self._score(data), data.restored(self._posterior(data))

    @property
    def n_features(self) -> int:
        """The number of letters, or of what an observation holds."""
        if self.alphabet is not None:
            return self.alphabet.n_letters
        return self._parameters.families.dims

    @property
    def n_components(self) -> int:
        """The number of states."""
        return len(self.states)

    @property
    def startprob_(self) -> Floats:
        """float64 (S,): P(state) of the first letter; "end" is left out."""
        return self._parameters.rows()[0][:-1].copy()

    @property
    def transmat_(self) -> Floats:
        """float64 (S, S): P(next state | state); "end" is left out."""
        return self._parameters.rows()[1][:, :-1].copy()

    @property
    def emissionprob_(self) -> Floats:
        """float64 (S,) + (K,) * (order + 1): every state's table of letters; silent states have zeros."""
        if self.alphabet is None or self._parameters.is_conditional:
            raise AttributeError("emissionprob_: this model has no tables of letters")
        tables = self._parameters.letter_tables()
        nothing = np.zeros((self.alphabet.n_letters,) * (self._parameters.order + 1))
        return np.array([tables.get(state, nothing) for state in self.states])

    @property
    def emissions_(self) -> Any:
        """Of a model whose emissions are a network: the nn.Emissions with the network at its current values."""
        if not isinstance(self._parameters, ConditionalParameters):
            raise AttributeError("emissions_: the emissions of this model are no network")
        return self._parameters.potentials.at(self._parameters.weights)

    @property
    def means_(self) -> Floats:
        """float64 (S, dims)."""
        return self._of_families("mean", "means_")

    @property
    def covars_(self) -> Floats:
        """float64 (S, ...), in the form of the family's covariance."""
        return self._of_families("covariance", "covars_")

    @property
    def rates_(self) -> Floats:
        """float64 (S, dims)."""
        return self._of_families("rate", "rates_")

    @property
    def lambdas_(self) -> Floats:
        """The same as `rates_`."""
        return self._of_families("rate", "lambdas_")

    def _of_families(self, name: str, public: str) -> Floats:
        if self.alphabet is not None:
            raise AttributeError(f"{public}: this model emits letters")
        families = self._parameters.families
        if any(state not in families.families for state in self.states):
            raise AttributeError(f"{public}: not every state emits numbers")
        values = [families.of_state(state).get(name) for state in self.states]
        if any(value is None for value in values):
            raise AttributeError(f"{public}: not every state has a {name} with a value")
        return np.array(values)
