"""Three shapes of a Gaussian's covariance: one variance, a variance for each dimension, a matrix.

All know the covariance by its root, a lower triangular matrix R with R^T R = covariance^-1: the density is that of
R (x - mean), standard normal, times det R. So nothing is squared before the mean is subtracted, and no matrix is
inverted but a triangular one. Kernels get the rows of R from max(0, row - band) on: all of it, or its diagonal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from tiedseq.families.family import Floats

# Cholesky's factor of a matrix is good as long as the correlations' smallest eigenvalue stands out of the rounding.
_ROUNDING = 1e-13
_REACHED = 1.05  # an eigenvalue below this many floors has reached the floor, and is one from its inverse on
_TYPED = 1e-6  # how far a matrix that people type may be from symmetric


class Covariance(ABC):
    """One shape of covariances of `dims` numbers, with eigenvalues of at least `floor`."""

    form: tuple[int, ...]  # of a value
    per_entry: int  # numbers of an observation that an entry of a value speaks of
    band: int = 0  # diagonals of R below the main one

    def __init__(self, dims: int, floor: float) -> None:
        self.dims, self.floor = dims, floor

    @abstractmethod
    def filled(self, value: Floats) -> Floats | None:
        """What a number, a vector or a matrix means in this shape, None if nothing."""

    @abstractmethod
    def root(self, value: Floats) -> Floats:
        """R of values that have passed `valid`, one or a stack of them: (..., dims, band + 1)."""

    @abstractmethod
    def spread(self, value: Floats, columns: Floats) -> Floats:
        """The inverse of R times every column: standard normal numbers become those of this covariance."""

    @abstractmethod
    def pooled(self, products: Floats) -> Floats:
        """Products of dimensions, rows as those of R, in the form of a value."""

    @abstractmethod
    def square(self, vector: Floats) -> Floats:
        """A vector's outer product with itself, in the form of a value."""

    @abstractmethod
    def quotient(self, value: Floats, scale: Floats) -> float:
        """The trace of value^-1 scale."""

    def valid(self, value: Floats) -> bool:
        """Whether a value is symmetric and positive, with eigenvalues of at least the floor but for rounding."""
        return bool((value >= self.floor).all())

    def lifted(self, value: Floats) -> Floats:
        """The value with smaller eigenvalues raised to the floor: the likeliest value that fulfils it."""
        return np.asarray(np.maximum(value, self.floor))

    def at_floor(self, value: Floats) -> bool:
        return bool((value <= self.floor).any())

    @property
    def size(self) -> int:
        return int(np.prod(self.form, dtype=int))

    @property
    def n_free(self) -> int:
        return self.size

    def root_matrix(self, value: Floats) -> Floats:
        """R as a matrix (dims, dims)."""
        return np.diag(self.root(value)[:, 0])

    def log_root(self, root: Floats) -> Floats:
        """The logarithm of det R, or of each in a stack."""
        return np.asarray(np.log(root[..., 0]).sum(axis=-1))


class Spherical(Covariance):
    """One variance for all dimensions, an array without axes."""

    def __init__(self, dims: int, floor: float) -> None:
        super().__init__(dims, floor)
        self.form, self.per_entry = (), dims

    def filled(self, value: Floats) -> Floats | None:
        return value.reshape(()) if value.ndim == 0 or value.shape in ((1,), (1, 1)) else None

    def root(self, value: Floats) -> Floats:
        return np.broadcast_to(1.0 / np.sqrt(value)[..., None, None], (*np.shape(value), self.dims, 1)).copy()

    def spread(self, value: Floats, columns: Floats) -> Floats:
        return columns * np.sqrt(value)

    def pooled(self, products: Floats) -> Floats:
        return np.asarray(products.sum())

    def square(self, vector: Floats) -> Floats:
        return np.asarray((vector * vector).sum())

    def quotient(self, value: Floats, scale: Floats) -> float:
        return self.dims * float(scale / value)


class Diagonal(Covariance):
    """A variance for each dimension, a vector."""

    def __init__(self, dims: int, floor: float) -> None:
        super().__init__(dims, floor)
        self.form, self.per_entry = (dims,), 1

    def filled(self, value: Floats) -> Floats | None:
        if value.ndim == 0:
            return np.full(self.dims, value)
        if value.shape == (1, 1):
            value = value[0]
        return value if value.shape == self.form else None

    def root(self, value: Floats) -> Floats:
        return 1.0 / np.sqrt(value)[..., None]

    def spread(self, value: Floats, columns: Floats) -> Floats:
        return columns * np.sqrt(value)[:, None]

    def pooled(self, products: Floats) -> Floats:
        return products[:, 0]

    def square(self, vector: Floats) -> Floats:
        return vector * vector

    def quotient(self, value: Floats, scale: Floats) -> float:
        return float((scale / value).sum())


class Full(Covariance):
    """A symmetric positive definite matrix.

    The floor of the eigenvalues holds beside a floor of the rounding: 1e-13 of each dimension's variance, times dims.
    The latter is far below any floor that matters unless the data are collinear.
    """

    def __init__(self, dims: int, floor: float) -> None:
        super().__init__(dims, floor)
        self.form, self.per_entry, self.band = (dims, dims), 1, dims - 1

    def filled(self, value: Floats) -> Floats | None:
        if value.ndim == 0:
            return float(value) * np.eye(self.dims)
        if value.shape == (self.dims,):
            return np.diag(value)
        return value if value.shape == self.form else None

    def root(self, value: Floats) -> Floats:
        factor, root = np.linalg.cholesky(value), np.zeros(np.shape(value))
        for i in range(self.dims):  # row by row: it takes the threads of BLAS longer to wake up
            root[..., i, i] = 1.0 / factor[..., i, i]
            row = factor[..., i, None, :i] @ root[..., :i, :i]
            root[..., i, :i] = row[..., 0, :] * -root[..., i, i, None]
        return root

    def root_matrix(self, value: Floats) -> Floats:
        return self.root(value)

    def log_root(self, root: Floats) -> Floats:
        return np.asarray(np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1))

    def spread(self, value: Floats, columns: Floats) -> Floats:
        return np.linalg.cholesky(value) @ columns

    def pooled(self, products: Floats) -> Floats:
        return products + np.tril(products, -1).T

    def square(self, vector: Floats) -> Floats:
        return np.outer(vector, vector)

    def quotient(self, value: Floats, scale: Floats) -> float:
        root = self.root(value)
        return float(((root @ scale) * root).sum())

    def valid(self, value: Floats) -> bool:
        size = np.sqrt(np.abs(np.diagonal(value)))
        if (np.abs(value - value.T) > _TYPED * np.outer(size, size)).any():
            return False
        return self._above(0.5 * (value + value.T), 1.0 / _REACHED)

    def lifted(self, value: Floats) -> Floats:
        value = 0.5 * (value + value.T)
        if self._above(value, 1.0):
            return value
        unit = np.sqrt(self._floors(value))
        eigenvalues, vectors = np.linalg.eigh(value / np.outer(unit, unit))
        value = (vectors * np.maximum(eigenvalues, 1.0)) @ vectors.T * np.outer(unit, unit)
        return 0.5 * (value + value.T)

    def at_floor(self, value: Floats) -> bool:
        return not self._above(value, _REACHED)

    @property
    def n_free(self) -> int:
        return self.dims * (self.dims + 1) // 2

    def _floors(self, value: Floats) -> Floats:
        """The floor by dimension, (dims,)."""
        return self.floor + _ROUNDING * self.dims * np.diagonal(value)

    def _above(self, value: Floats, times: float) -> bool:
        """Whether a symmetric matrix exceeds the diagonal matrix of its floors, times a factor."""
        try:
            np.linalg.cholesky(value - np.diag(times * self._floors(value)))
        except np.linalg.LinAlgError:
            return False
        return True


SHAPES: dict[str, type[Covariance]] = {"spherical": Spherical, "diagonal": Diagonal, "full": Full}
