"""How much a fitted HMM is worth: criteria to choose models by, and how sure its values are."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from tiedseq.errors import ArgumentError
from tiedseq.information import aic, bic
from tiedseq.workers import mapping

from .model import ChainModel
from .observations import Observations


class Assessment(ChainModel):
    """Standard errors, AIC and BIC."""

    @property
    def n_free_parameters(self) -> int:
        """Degrees of freedom: values that are not held, less what sums to one takes away.

        Raises ModelError for soft ties, which are neither one value nor several; `aic` and `bic` do, too.
        """
        return self._parameters.n_free

    def n_letters(self, X: Any, lengths: ArrayLike | None = None) -> int:
        """Return how many letters are observed in X, as `bic` counts them; N and its like are missing.

        Of numbers and channels: how many positions.
        """
        return self._n_letters(self._observations(X, lengths))

    def _n_letters(self, data: Observations) -> int:
        values = data.values
        if self.alphabet is None:
            return len(values)
        return int((~self.alphabet.is_missing[values]).sum())

    def aic(self, X: Any, lengths: ArrayLike | None = None) -> float:
        """Return Akaike's criterion, 2 k - 2 ln P in nats: smaller is better; k is `n_free_parameters`.

        X and lengths are as in `fit`. (Akaike, IEEE Trans. Autom. Control 19:716, 1974.)
        """
        return aic(self.n_free_parameters, self._score(self._observations(X, lengths)))

    def bic(self, X: Any, lengths: ArrayLike | None = None) -> float:
        """Return Schwarz's criterion, k ln n - 2 ln P in nats, where n counts observed letters: smaller is better.

        X and lengths are as in `fit`; ArgumentError where no letter is observed. (Schwarz, Ann. Stat. 6:461, 1978.)
        """
        data = self._observations(X, lengths)
        n = self._n_letters(data)
        if not n:
            raise ArgumentError("X holds no observed letter, and BIC needs the logarithm of their number; use aic.")
        return bic(self.n_free_parameters, self._score(data), n)

    def standard_errors(self, X: Any, lengths: ArrayLike | None = None, *, executor: Any = None) -> dict[str, Any]:
        """Return the standard error of every parameter by label, from the observed information; call it after `fit`.

        `executor` is a number of threads or a ThreadPoolExecutor.

        Returns
        -------
        dict of label to float or masked array
            None, or masked, where there is none: what is held or zero by construction, and a probability that has
            reached zero (below 1e-8), its boundary, where errors are not symmetric.

        Raises
        ------
        ModelError
            The data do not determine some parameters, or the values are not at a maximum.

        Notes
        -----
        The matrix of second derivatives is taken by differences of the exact gradient in the directions that the sums
        to one leave free: two passes over the data for every free parameter. Priors are not in it.
        """
        data = self._observations(X, lengths)
        with mapping(executor) as run:
            return self._parameters.standard_errors(self._batches(data), run)
