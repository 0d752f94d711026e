"""Gaussian emissions: means and covariances of their own or shared, in any combination."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from tiedseq.distributions import fixed
from tiedseq.errors import ArgumentError, ModelError
from tiedseq.families.clusters import clusters
from tiedseq.families.covariances import SHAPES
from tiedseq.families.family import (
    LARGEST,
    NOTHING,
    Family,
    Floats,
    Use,
    Values,
    checked_dims,
    checked_floor,
    dims_of,
    real_array,
    shown,
)
from tiedseq.kernels.memory import aligned

_FLOOR = 1e-6
_LARGEST_COVARIANCE = 10.0 * LARGEST**2  # that any data have


class Gaussian(Family):
    """A normal distribution of one or several numbers.

    States share a mean, a covariance or both by using one label. With a shared mean and covariances of their own the
    update is the mean weighted by visits and precisions; with a shared covariance and means of their own it is the
    scatter about each state's own mean, pooled. Both are conditional maxima, so the likelihood cannot fall.

    Parameters
    ----------
    mean : str, array_like of float (dims,), fixed(...) or None, default None
        A label, a starting value, a value that is held, or neither: then `fit` finds one. A number serves for one
        dimension.
    covariance : str, array_like of float, fixed(...) or None, default None
        Likewise. Its form is that of `kind`; a number stands for that variance in all dimensions, and for "full" a
        vector for a diagonal matrix. A variance, not a standard deviation.
    dims : int, default None
        How many numbers an observation has. None: as many as the values given above say, or 1.
    kind : {"full", "diagonal", "spherical"}, default "full"
        What a covariance is: a matrix (dims, dims), variances (dims,), or one variance () for all dimensions.
    floor : float, default 1e-6
        No eigenvalue of a covariance falls below it, in squared units of the data: without a floor the likelihood of a
        state that holds on to a single observation would be infinite. It is absolute, since a bound that followed the
        data would change from fit to fit: lower it for data whose standard deviation is below 0.01. Values that reached
        it are reported. In a "full" covariance 1e-13 times the variances also is a floor, which keeps rounding out.

    Notes
    -----
    Priors, by label in ``priors=``:

    - of a mean: (location, strength), a normal density with its mode at `location` and the precision `strength`, a
      number, or one for each dimension: as much as `strength` pseudo-observations of unit variance weigh. Beside
      observations with the precision L, W of them with the mean x, the mode is at (W L + K)^-1 (W L x + K location)
      with K = strength * I. (Gelman et al., Bayesian Data Analysis, 3rd ed., 3.5; Bishop, Pattern Recognition and
      Machine Learning, 2.3.6.)
    - of a covariance: (scale, strength), the inverse Wishart density with its mode at `scale`, which is a covariance or
      a number, as `strength` pseudo-observations that have this covariance. Its logarithm is -strength/2 (ln det C +
      trace(C^-1 scale)), where C is the covariance as a matrix. Beside observations with the scatter S about their
      mean, W of them, the mode is at (S + strength * scale) / (W + strength). (Gelman et al., 3.6; Bishop, 2.3.6. With
      Gelman's parameters: Lambda = strength * scale, nu = strength - dims - 1.)

    The two are independent, so that labels may be shared at will.

    Raises
    ------
    ArgumentError
        An unknown `kind`, or `dims` or `floor` out of range.
    ModelError
        A value has another shape than `dims` and `kind` say; a covariance is not positive definite, or below the floor.

    Examples
    --------
    >>> Gaussian(mean=[0.0], covariance="sigma")
    Gaussian(mean=[0.0], covariance='sigma', dims=1)
    >>> family = Gaussian(dims=2, kind="diagonal")
    >>> values = {"mean": family.checked("mean", [0, 0]), "covariance": family.checked("covariance", 4.0)}
    >>> family.log_likelihoods(family.observations([[2.0, 0.0]]), [values]).round(4)
    array([[-3.7242]])
    """

    names = ("mean", "covariance")
    _usual: ClassVar = {"kind": "full", "floor": _FLOOR}

    def __init__(
        self,
        mean: ArrayLike | str | fixed | None = None,
        covariance: ArrayLike | str | fixed | None = None,
        dims: int | None = None,
        kind: str = "full",
        floor: float = _FLOOR,
    ) -> None:
        if not isinstance(kind, str) or kind not in SHAPES:
            raise ArgumentError(f"kind={kind!r} is unknown; a covariance is {', '.join(map(repr, SHAPES))}.")
        self.kind, self.floor = kind, checked_floor(floor)
        self.dims = dims_of(mean, covariance) if dims is None else checked_dims(dims)
        self._shape = SHAPES[kind](self.dims, self.floor)
        super().__init__({"mean": mean, "covariance": covariance}, self.dims)

    def options(self) -> dict[str, Any]:
        return {"dims": self.dims, "kind": self.kind, "floor": self.floor}

    def checked(self, name: str, value: Any) -> Floats:
        if name == "mean":
            return super().checked(name, value)
        array = real_array(value)
        covariance = None if array is None else self._shape.filled(array)
        if covariance is None or not (np.abs(covariance) <= _LARGEST_COVARIANCE).all():
            raise self.unsuited(name, value, self._shape.form, _LARGEST_COVARIANCE)
        if not self._shape.valid(covariance):
            symmetric = "symmetric, " if covariance.ndim == 2 else ""
            raise ModelError(
                f"covariance={shown(value)} must be {symmetric}positive definite, with eigenvalues of at least "
                f"floor={self.floor:g}; give such a one, or a lower floor= to {type(self).__name__}."
            )
        return np.asarray(0.5 * (covariance + covariance.T))

    def checked_prior(self, name: str, prior: Any) -> tuple[Floats, Floats]:
        try:
            location, strength = prior
        except (TypeError, ValueError) as error:
            raise ModelError(
                f"priors= has {shown(prior)} for a {name}; it must be a pair: "
                f"{'location' if name == 'mean' else 'scale'}, and strength in pseudo-observations."
            ) from error
        weight = real_array(strength)
        forms = ((), (self.dims,)) if name == "mean" else ((),)
        if weight is None or weight.shape not in forms or not ((weight >= 0.0) & (weight <= LARGEST)).all():
            raise ModelError(
                f"priors= has the strength {shown(strength)} for a {name}; it must be a number of pseudo-observations, "
                f"from 0 to {LARGEST:g}{', or one for each dimension' if name == 'mean' else ''}."
            )
        return self.checked(name, location), weight

    # ---- the E-step -----------------------------------------------------------------------------------------------

    def log_likelihoods(self, X: Floats, values: Sequence[Values]) -> Floats:
        from tiedseq.kernels.normal import BLOCK, STEP, log_densities

        shape, means = self._shape, np.array([of_state["mean"] for of_state in values])
        roots = shape.root(np.array([of_state["covariance"] for of_state in values]))
        tops = shape.log_root(roots) - 0.5 * self.dims * math.log(2.0 * math.pi)
        found = aligned(len(values) * len(X)).reshape(len(values), len(X))
        log_densities(np.ascontiguousarray(X), means, roots, tops, aligned(self.dims * (BLOCK + STEP)), found)
        return found.T

    def statistics(self, X: Floats, posterior: Floats, values: Sequence[Values]) -> Floats:
        """Return sums over observations, see `Family.statistics`.

        Returns
        -------
        float64 array (k, n_statistics)
            By state the sum of the posterior (1), of y (dims), and of y y^T in the form of a covariance, both weighted
            with the posterior, where y is the observation less the mean in `values`. So digits are lost only if that
            mean is off by 10^5 standard deviations or more, and they are back in the next iteration.
        """
        from tiedseq.kernels.normal import BLOCK, add_moments

        shape, means = self._shape, np.array([of_state["mean"] for of_state in values])
        moments = np.zeros((len(values), 1 + self.dims))
        products = np.zeros((len(values), self.dims, shape.band + 1))
        data, weights, work = np.ascontiguousarray(X), np.ascontiguousarray(posterior), 3 * self.dims + len(values)
        add_moments(data, weights, means, aligned(work * BLOCK), moments, products)
        return np.column_stack([moments, [shape.pooled(of_state).ravel() for of_state in products]])

    # ---- the M-step -----------------------------------------------------------------------------------------------

    def update(self, name: str, uses: Sequence[Use], value: Floats, prior: Any = None) -> Floats:
        checked = None if prior is None else self.checked_prior(name, prior)
        visited = [use for use in uses if use.statistics[0] > NOTHING]
        return (self._mean if name == "mean" else self._covariance)(visited, value, checked)

    def _mean(self, uses: Sequence[Use], value: Floats, prior: tuple[Floats, Floats] | None) -> Floats:
        """The mean of least squares, each use in its own metric, found as a step from the current one."""
        visits = [float(use.statistics[0]) for use in uses]
        steps = [
            use.statistics[1 : 1 + self.dims] / n + (use.reference["mean"] - value)
            for use, n in zip(uses, visits, strict=True)
        ]
        covariances = [use.values["covariance"] for use in uses]
        if prior is None and all(np.array_equal(other, covariances[0]) for other in covariances):
            return value + np.array(visits) @ np.array(steps) / sum(visits) if uses else value
        rows, targets = [], []
        for n, step, covariance in zip(visits, steps, covariances, strict=True):
            rows.append(math.sqrt(n) * self._shape.root_matrix(covariance))
            targets.append(rows[-1] @ step)
        if prior is not None:
            rows.append(np.diag(np.sqrt(np.broadcast_to(prior[1], self.dims))))
            targets.append(rows[-1] @ (prior[0] - value))
        system = np.concatenate(rows)
        units = np.sqrt((system * system).sum(axis=0))
        units[units == 0.0] = 1.0  # neither data nor prior: least squares leaves such a dimension as it is
        return value + np.linalg.lstsq(system / units, np.concatenate(targets))[0] / units

    def _covariance(self, uses: Sequence[Use], value: Floats, prior: tuple[Floats, Floats] | None) -> Floats:
        """The scatter about each use's own mean, and the prior's, pooled."""
        shape = self._shape
        scatter, visits = np.zeros(shape.form), 0.0
        for use in uses:
            n = float(use.statistics[0])
            step = use.statistics[1 : 1 + self.dims] / n  # from the reference to the mean of the data
            off = use.values["mean"] - use.reference["mean"] - step
            second = use.statistics[1 + self.dims :].reshape(shape.form)
            scatter = scatter + (second - n * shape.square(step)) + n * shape.square(off)
            visits += n
        if prior is not None:
            scale, strength = prior
            scatter, visits = scatter + shape.per_entry * strength * scale, visits + float(strength)
        return shape.lifted(scatter / (shape.per_entry * visits)) if visits > NOTHING else value

    def log_prior(self, name: str, value: Floats, prior: Any) -> float:
        location, strength = self.checked_prior(name, prior)
        if name == "mean":
            return -0.5 * float((strength * (value - location) ** 2).sum())
        shape = self._shape
        return float(strength) * (float(shape.log_root(shape.root(value))) - 0.5 * shape.quotient(value, location))

    def at_floor(self, name: str, value: Floats) -> bool:
        """Return whether a covariance has an eigenvalue at the floor."""
        return name == "covariance" and self._shape.at_floor(value)

    def scale(self, name: str, values: Values) -> float:
        smallest = float(np.linalg.norm(self._shape.root_matrix(values["covariance"]), 2)) ** -2.0
        return math.sqrt(smallest) if name == "mean" else smallest

    def n_free(self, name: str, value: Floats) -> int:
        return self.dims if name == "mean" else self._shape.n_free

    # ---- from nothing, and to data --------------------------------------------------------------------------------

    def start(self, X: Floats, count: int, generator: np.random.Generator) -> list[dict[str, Floats]]:
        """Return means and covariances of `count` clusters; where members are few, close to the pooled covariance."""
        rows, members = clusters(X, count, generator)
        data, centre, overall = X[rows], X[rows].mean(axis=0), self._lone_covariance(X[rows])
        values = []
        for s in range(count):
            own = data[members[:, s] > 0.0]
            mean = (
                own.mean(axis=0) if len(own) else self.sample({"mean": centre, "covariance": overall}, 1, generator)[0]
            )
            values.append({"mean": mean, "covariance": overall})
        uses = [Use(*use) for use in zip(self.statistics(data, members, values), values, values, strict=True)]
        pooled = self.update("covariance", uses, overall)
        if self.at_floor("covariance", pooled):  # clusters of single observations, or of equal ones
            pooled = overall
        drawn = (pooled, self.dims + 1.0)
        return [
            {"mean": use.values["mean"], "covariance": self.update("covariance", [use], pooled, drawn)} for use in uses
        ]

    def _lone_covariance(self, X: Floats) -> Floats:
        """The covariance of data from a single state."""
        at_mean = {"mean": X.mean(axis=0)}
        (statistics,) = self.statistics(X, np.ones((len(X), 1)), [at_mean])
        return self.update("covariance", [Use(statistics, at_mean, at_mean)], np.zeros(self._shape.form))

    def sample(self, values: Values, size: int, generator: np.random.Generator) -> Floats:
        normal = generator.normal(size=(size, self.dims))
        return values["mean"] + self._shape.spread(values["covariance"], normal.T).T
