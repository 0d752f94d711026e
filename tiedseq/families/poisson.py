"""Poisson emissions: counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from tiedseq.distributions import fixed
from tiedseq.errors import ModelError
from tiedseq.families.clusters import clusters
from tiedseq.families.family import (
    LARGEST,
    NOTHING,
    Family,
    Floats,
    Use,
    Values,
    checked_floor,
    dims_of,
    real_array,
    row_blocks,
    shown,
)

_FLOOR = 1e-10
_LARGEST_COUNT = 2.0**53  # beyond it a float64 skips whole numbers


class Poisson(Family):
    """Counts, independent ones with a rate each if there are several.

    Parameters
    ----------
    rate : str, array_like of float (dims,), fixed(...) or None, default None
        The expected count: a label, a starting value, a value that is held, or neither: then `fit` finds one. A number
        serves for one dimension.
    dims : int, default None
        How many counts an observation has. None: as many as `rate` has, or 1.
    floor : float, default 1e-10
        No rate falls below it, so that a state that has seen zeros only does not rule out a count for good. Rates
        that reached it are reported.

    Notes
    -----
    The prior of a rate, by label in ``priors=``: (counts, exposure), the gamma density proportional to
    rate^counts exp(-exposure rate), as much as a total of `counts` in `exposure` pseudo-observations weighs; both are
    numbers, or one for each dimension. Beside a total of S in W observations the mode is at (S + counts) /
    (W + exposure). (Gelman et al., Bayesian Data Analysis, 3rd ed., 2.6; Bishop, Pattern Recognition and Machine
    Learning, 2.3.6. With their parameters: alpha = counts + 1, beta = exposure.)

    Raises
    ------
    ArgumentError
        `dims` or `floor` out of range.
    ModelError
        A rate is below the floor, or there are more or fewer than `dims`.

    Examples
    --------
    >>> family = Poisson(rate=10.0)
    >>> values = {"rate": family.checked("rate", 10.0)}
    >>> family.log_likelihoods(family.observations([9, 10]), [values]).round(4)
    array([[-2.0786],
           [-2.0786]])
    """

    names = ("rate",)
    _usual: ClassVar = {"floor": _FLOOR}

    def __init__(
        self, rate: ArrayLike | str | fixed | None = None, dims: int | None = None, floor: float = _FLOOR
    ) -> None:
        self.floor = checked_floor(floor)
        super().__init__({"rate": rate}, dims_of(rate) if dims is None else dims)

    def options(self) -> dict[str, Any]:
        return {"dims": self.dims, "floor": self.floor}

    def observations(self, X: Any) -> Floats:
        """Return counts as float64 (N, dims); see `Family.observations`.

        Raises SequenceError also where X holds a negative number, a fraction, or a count above 2^53.
        """
        counts = super().observations(X)
        wrong = (counts < 0.0) | (counts != np.floor(counts)) | (counts > _LARGEST_COUNT)
        self.refuse(counts, wrong, "whole numbers from 0 to 2^53")
        return counts

    def checked(self, name: str, value: Any) -> Floats:
        rate = super().checked(name, value)
        if not ((rate >= self.floor) & (rate <= _LARGEST_COUNT)).all():
            raise ModelError(
                f"{name}={shown(value)} of {type(self).__name__} must be from floor={self.floor:g} to 2^53; give such "
                "a rate, or another floor=."
            )
        return rate

    def checked_prior(self, name: str, prior: Any) -> tuple[Floats, Floats]:
        try:
            counts, exposure = map(real_array, prior)
        except (TypeError, ValueError):
            counts = exposure = None
        for part in (counts, exposure):
            if part is None or part.shape not in ((), (self.dims,)) or not ((part >= 0.0) & (part <= LARGEST)).all():
                raise ModelError(
                    f"priors= has {shown(prior)} for a {name}; it must be a pair: counts, and pseudo-observations in "
                    f"which they were seen, numbers from 0 to {LARGEST:g} or one for each dimension."
                )
        return np.asarray(counts), np.asarray(exposure)

    def log_likelihoods(self, X: Floats, values: Sequence[Values]) -> Floats:
        rates = np.array([of_state["rate"] for of_state in values]).reshape(len(values), self.dims)
        found = np.empty((len(values), len(X))).T  # by state, as the recursions want it
        for rows in row_blocks(len(X), self.dims):
            found[rows] = X[rows] @ np.log(rates).T - rates.sum(axis=1)
            found[rows] -= _log_factorials(X[rows])[:, None]
        return found

    def statistics(self, X: Floats, posterior: Floats, values: Sequence[Values]) -> Floats:
        """Return by state the sum of the posterior (1), and of the counts weighted with it (dims)."""
        return np.column_stack([posterior.sum(axis=0), posterior.T @ X])

    def update(self, name: str, uses: Sequence[Use], value: Floats, prior: Any = None) -> Floats:
        counts, exposure = (0.0, 0.0) if prior is None else self.checked_prior(name, prior)
        total = np.sum([use.statistics for use in uses], axis=0)
        visits = np.broadcast_to(total[0] + exposure, self.dims)
        rate = np.divide(total[1:] + counts, visits, out=value.copy(), where=visits > NOTHING)
        return np.clip(rate, self.floor, _LARGEST_COUNT)

    def log_prior(self, name: str, value: Floats, prior: Any) -> float:
        counts, exposure = self.checked_prior(name, prior)
        return float((counts * np.log(value) - exposure * value).sum())

    def at_floor(self, name: str, value: Floats) -> bool:
        """Return whether a rate is at the floor."""
        return bool((value <= self.floor).any())

    def start(self, X: Floats, count: int, generator: np.random.Generator) -> list[dict[str, Floats]]:
        """Return the rates of `count` clusters, each with one pseudo-observation of the mean of all."""
        rows, members = clusters(
            np.sqrt(X), count, generator
        )  # the root of a count has the same variance at every rate
        data, sizes = X[rows], members.sum(axis=0)[:, None]
        rates = (members.T @ data + data.mean(axis=0)) / (sizes + 1.0)
        rates = np.where(sizes > 0.0, rates, rates * generator.gamma(4.0, 0.25, size=rates.shape))
        return [{"rate": rate} for rate in np.clip(rates, self.floor, _LARGEST_COUNT)]

    def sample(self, values: Values, size: int, generator: np.random.Generator) -> Floats:
        return generator.poisson(values["rate"], size=(size, self.dims)).astype(np.float64)


def _log_factorials(counts: Floats) -> Floats:
    """ln(x_1! x_2! ...) of every row: looked up where counts are few, since the function is slow."""
    from scipy.special import gammaln

    largest = counts.max(initial=0.0)
    if largest < counts.size:
        logs = gammaln(np.arange(1.0, largest + 2.0))[counts.astype(np.intp)]
    else:
        logs = gammaln(counts + 1.0)
    return logs.sum(axis=1)
