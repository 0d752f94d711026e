"""What an HMM asks of a family of emission distributions: the base class, and what every family shares."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.distributions import fixed
from tiedseq.errors import ArgumentError, ModelError, SequenceError, counted

Floats = NDArray[np.float64]
Values = Mapping[str, Floats]
"""The values of one state's parameters, by name."""

LARGEST = 1e100  # of what is observed: squares of it, and sums of these, stay finite
NOTHING = 1e-200  # a sum of posteriors below this is the rounding of a zero
_IN_CACHE = 1 << 15  # numbers of a block of rows
_RELATIVE = 1e-5  # of a difference in a parameter, in units of its scale


class Use(NamedTuple):
    """What one state contributes to the update of a parameter that it uses."""

    statistics: Floats  # (n_statistics,): the state's row of `Family.statistics`, summed over all data
    values: Values  # its parameters as they are now
    reference: Values  # its parameters as they were when the statistics were taken, `values` of `Family.statistics`


class Family(ABC):
    """A family of distributions of numbers that the states of an HMM emit; subclass it to bring your own.

    A family describes: what its parameters are called, what the user gave for each, how many numbers an observation
    has. The values live in the model, which hands them to the methods as dictionaries by name. So states with families
    that are alike are computed together, and a label makes one value of the parameters of several states.

    A subclass sets the attribute `names`, calls ``super().__init__`` last in its constructor, and has the methods
    `log_likelihoods`, `statistics` and `update`. `start` lets `fit` find starting values, `sample` draws observations,
    `checked_prior` and `log_prior` make ``priors=`` possible, `options` brings the constructor's other arguments into
    model files, `moves` keeps standard errors to what a parameter may be. The rest may stay as it is.

    Parameters
    ----------
    entries : mapping of str to object
        For every name what the user gave: a label (a string), a value, fixed(value), or None for neither.
    dims : int, default 1
        How many numbers an observation has.

    Attributes
    ----------
    names : tuple of str
        The parameters, in the order in which the M-step updates them.
    entries : dict of str to object
    dims : int

    Raises
    ------
    ArgumentError
        `dims` is no whole number of at least 1, or a label is empty.
    ModelError
        A value is impossible.

    Examples
    --------
    Waiting times, with the density rate * exp(-rate x):

    >>> import numpy as np
    >>> class Exponential(Family):
    ...     names = ("rate",)
    ...
    ...     def __init__(self, rate=None):
    ...         super().__init__({"rate": rate})
    ...
    ...     def log_likelihoods(self, X, values):
    ...         rate = np.concatenate([of_state["rate"] for of_state in values])
    ...         return np.log(rate) - X * rate
    ...
    ...     def statistics(self, X, posterior, values):
    ...         return np.column_stack([posterior.sum(axis=0), posterior.T @ X])
    ...
    ...     def update(self, name, uses, value, prior=None):
    ...         visits, time = sum(use.statistics for use in uses)
    ...         return np.array([visits / time]) if visits > 0.0 else value
    >>> family = Exponential(rate="pace")
    >>> X = family.observations([0.5, 1.5])
    >>> (statistics,) = family.statistics(X, np.ones((2, 1)), [{}])
    >>> family.update("rate", [Use(statistics, {}, {})], None)
    array([1.])
    """

    names: tuple[str, ...] = ()
    entries: dict[str, Any]
    dims: int
    _usual: ClassVar[dict[str, Any]] = {}  # options that are not worth showing

    def __init__(self, entries: Mapping[str, Any], dims: int = 1) -> None:
        self.dims = checked_dims(dims)
        self.entries = {name: entries.get(name) for name in self.names}
        for name, entry in self.entries.items():
            if isinstance(entry, str) and not entry:
                raise ArgumentError(
                    f"{name}='' of {type(self).__name__} is an empty label; give one of a letter at least."
                )
            if entry is not None and not isinstance(entry, str):
                self.checked(name, entry.value if isinstance(entry, fixed) else entry)

    # ---- what the user hands in -----------------------------------------------------------------------------------

    @property
    def layout(self) -> str:
        """What the numbers of an observation are, in words: families of one layout can see the same sequence."""
        return f"dims={self.dims}"

    def observations(self, X: Any) -> Floats:
        """Return one sequence of observations as float64 (N, dims).

        Parameters
        ----------
        X : array_like of real numbers, shape (N, dims), or (N,) if dims is 1

        Raises
        ------
        SequenceError
            X has another shape, or holds what is no number, not finite, or beyond 1e100. There is no missing data.
        """
        array = _number_array(X, type(self).__name__)
        if array.ndim == 1 and self.dims == 1:
            array = array[:, None]
        if array.ndim != 2 or array.shape[1] != self.dims:
            wide = array.shape[1] if array.ndim == 2 else None
            remedy = f"give dims={wide}, or " if wide else ""
            raise SequenceError(
                f"X has the shape {np.shape(X)}, but {shown(self)} observes {counted(self.dims, 'number')} at a time "
                f"(dims={self.dims}); {remedy}hand in an array of shape (length, {self.dims})."
            )
        if not np.einsum("ij,ij->", array, array) <= LARGEST**2:  # so that most data are looked at once
            self.refuse(array, ~(np.abs(array) <= LARGEST), f"finite numbers up to {LARGEST:g}, none of them missing")
        return np.ascontiguousarray(array)

    def restored(self, X: Floats) -> Any:
        """Return one sequence (N, dims), such as `sample` draws, in a form that people hand in: the array itself."""
        return X

    def refuse(self, X: Floats, wrong: NDArray[np.bool_], rule: str) -> None:
        """Raise SequenceError that names the first observation of X which is `wrong`, both (N, dims)."""
        if wrong.any():
            position, dimension = (int(index) for index in np.argwhere(wrong)[0])
            where = f"position {position}" + (f", dimension {dimension}" if self.dims > 1 else "")
            raise SequenceError(
                f"X holds {X[position, dimension]:g} at {where}; {type(self).__name__} observes {rule}. "
                "Correct it, or split the sequence there.",
                position,
            )

    def checked(self, name: str, value: Any) -> Floats:
        """Return a value of the parameter `name` as a float64 array; by default finite numbers of shape (dims,).

        Raises ModelError for what cannot be a value.
        """
        return self.numbers(name, value, (self.dims,))

    def numbers(self, name: str, value: Any, shape: tuple[int, ...]) -> Floats:
        """Return finite numbers of that shape as a new array; one number serves for a single place.

        Raises ModelError for anything else.
        """
        array = real_array(value)
        if array is not None and array.ndim == 0 and np.prod(shape) == 1:
            array = array.reshape(shape)
        if array is None or array.shape != shape or not (np.abs(array) <= LARGEST).all():
            raise self.unsuited(name, value, shape)
        return array.copy()

    def unsuited(self, name: str, value: Any, shape: tuple[int, ...], largest: float = LARGEST) -> ModelError:
        """Return the error that a value is not made of finite numbers of that shape."""
        needed = "one finite number" if np.prod(shape) == 1 else f"finite numbers of shape {shape}"
        options = "".join(f", {key}={option!r}" for key, option in self.options().items())
        return ModelError(
            f"{name}={shown(value)} does not suit {type(self).__name__}{options}: it must be {needed} up to "
            f"{largest:g}. Give such a value, or other options."
        )

    def checked_prior(self, name: str, prior: Any) -> Any:
        """Return the prior of the parameter `name` as `update` and `log_prior` want it.

        Raises ModelError if it is none; by default families have no priors.
        """
        raise ModelError(
            f"priors= has {shown(prior)} for the {name} of {type(self).__name__}, which has no prior; leave it out."
        )

    # ---- the E-step and the M-step --------------------------------------------------------------------------------

    @abstractmethod
    def log_likelihoods(self, X: Floats, values: Sequence[Values]) -> Floats:
        """Return the logarithms of the densities, in nats.

        Parameters
        ----------
        X : float64 array (N, dims)
            As `observations` returns it.
        values : sequence of k dictionaries
            The parameters of k states whose families are alike.

        Returns
        -------
        float64 array (N, k)
            -inf where an observation is impossible, never NaN.
        """

    @abstractmethod
    def statistics(self, X: Floats, posterior: Floats, values: Sequence[Values]) -> Floats:
        """Return what `update` needs of the data: sums over observations, linear in the posterior.

        Statistics taken at the same `values` add up: those of two batches are the sum of both.

        Parameters
        ----------
        X : float64 array (N, dims)
            N may be 0.
        posterior : float64 array (N, k)
            The probability of each state at each observation, or any other weights >= 0.
        values : sequence of k dictionaries
            The states' parameters at this E-step. A family may measure from a point that it finds there, so as not to
            lose digits where data are far from zero; `update` is told of them as `Use.reference`.

        Returns
        -------
        float64 array (k, n_statistics)
        """

    @abstractmethod
    def update(self, name: str, uses: Sequence[Use], value: Floats, prior: Any = None) -> Floats:
        """Return the value of one parameter, shared by all `uses`, that maximises the expected log-likelihood.

        The other parameters of each use are held at ``use.values``: the conditional maximum of an ECM algorithm (Meng
        and Rubin, Biometrika 80:267, 1993), under which the likelihood cannot fall.

        Parameters
        ----------
        name : str
        uses : sequence of Use
            One for each state that shares the value.
        value : float64 array
            The current value, which stays if no use was visited and there is no prior.
        prior : object, default None
            As `checked_prior` takes it; its logarithm is added to what is maximised.
        """

    def n_statistics(self, values: Values) -> int:
        """Return how many statistics a state has, at any values of its parameters."""
        return self.statistics(np.zeros((0, self.dims)), np.zeros((0, 1)), [values]).shape[1]

    def part(self, name: str) -> tuple[Family, str]:
        """Return the family that the parameter `name` belongs to, and its name there: by default this one.

        Another one where a family is a product of others, as `Channels` is. Models put all that is asked of one
        parameter alone to this family, so that a label ties parameters of one kind wherever they stand.
        """
        return self, name

    def share(self, name: str, use: Use) -> Use:
        """Return what of a use concerns the family that the parameter `name` belongs to: by default all of it."""
        return use

    def log_prior(self, name: str, value: Floats, prior: Any) -> float:
        """Return the logarithm of a prior's density, up to a constant that depends on the prior only."""
        self.checked_prior(name, prior)
        return 0.0

    def at_floor(self, name: str, value: Floats) -> bool:
        """Return whether a value has run into a bound that keeps the likelihood finite, and so is no maximum."""
        return False

    def scale(self, name: str, values: Values) -> float:
        """Return a length that is small for the parameter: standard errors look that far around a value.

        By default the largest number in the value, or 1 if it is zero.
        """
        return float(np.abs(values[name]).max(initial=0.0)) or 1.0

    def moves(self, name: str, value: Floats) -> list[Floats]:
        """Return independent directions, each orthogonal to the others, in which a value may move to either side.

        By default every number moves by itself, but a square matrix stays symmetric.
        """
        moves, shape = [], np.shape(value)
        is_matrix = len(shape) == 2 and shape[0] == shape[1]
        for place in np.ndindex(shape):
            move = np.zeros(shape)
            move[place] = 1.0
            if is_matrix:
                move[place[::-1]] = 1.0
            if not is_matrix or place[0] <= place[1]:
                moves.append(move)
        return moves

    def derivative(self, name: str, X: Floats, weights: Floats, values: Values) -> Floats:
        """Return the derivative of the log-likelihood of weighted observations in one parameter of a state.

        Shaped as the parameter; only its part along `moves` counts. By default from differences along these.
        """
        found, step = np.zeros(np.shape(values[name])), _RELATIVE * self.scale(name, values)
        for move in self.moves(name, values[name]):
            both = [{**values, name: values[name] + far * move} for far in (step, -step)]
            ahead, behind = self.log_likelihoods(X, both).T
            found += weights @ (ahead - behind) / (2.0 * step) * move / (move * move).sum()
        return found

    def n_free(self, name: str, value: Floats) -> int:
        """Return how many numbers in a value are free, also where it lies at a boundary: by default, all its moves."""
        return len(self.moves(name, value))

    def start(self, X: Floats, count: int, generator: np.random.Generator) -> list[dict[str, Floats]]:
        """Return starting values for `count` states from data (N, dims), the same ones for the same generator.

        Raises ModelError in families that cannot.
        """
        raise ModelError(
            f"{type(self).__name__} finds no starting values by itself; give one for each of {', '.join(self.names)}."
        )

    def sample(self, values: Values, size: int, generator: np.random.Generator) -> Floats:
        """Return `size` observations of one state as float64 (size, dims).

        Raises ModelError in families that cannot.
        """
        raise ModelError(f"{type(self).__name__} cannot be sampled from: it has no method `sample`.")

    # ---- model files ----------------------------------------------------------------------------------------------

    def options(self) -> dict[str, Any]:
        """Return the constructor's arguments other than the parameters, as types that JSON has."""
        return {}

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Family:
        """Return the family that has these `options`, without labels and values."""
        return cls(**options)

    def to_dict(self) -> dict[str, Any]:
        """Return what a model file says of the family: its name and options, without labels and values.

        Families are alike if these are equal: then their states are computed together and may share parameters.

        >>> from tiedseq import Poisson
        >>> Poisson(10.0).to_dict()
        {'family': 'Poisson', 'dims': 1, 'floor': 1e-10}
        """
        return {"family": _name_in_files(type(self)), **self.options()}

    @staticmethod
    def from_dict(document: Mapping[str, Any]) -> Family:
        """Return the family that `to_dict` described, without labels and values.

        Nothing is imported: the class must be known already. Raises ModelError if it is not, or has other options.

        >>> Family.from_dict({"family": "Poisson", "dims": 2})
        Poisson(dims=2)
        """
        name = str(document.get("family"))
        options = {key: option for key, option in document.items() if key != "family"}
        known = {_name_in_files(kind): kind for kind in _descendants(Family)}
        if name not in known:
            raise ModelError(
                f"The emission family {name!r} is unknown; there are {', '.join(sorted(known))}. Import the module "
                "that defines it before the model is loaded."
            )
        try:
            return known[name].from_options(options)
        except (KeyError, TypeError) as error:
            raise ModelError(f"The options {shown(options)} are not those of the emission family {name}.") from error

    def __repr__(self) -> str:
        given = {name: entry for name, entry in self.entries.items() if entry is not None}
        options = {name: option for name, option in self.options().items() if option != self._usual.get(name)}
        return f"{type(self).__name__}({', '.join(f'{name}={x!r}' for name, x in {**given, **options}.items())})"


def checked_dims(dims: Any) -> int:
    """Return the number of dimensions as an int; ArgumentError unless it is 1 or more."""
    try:
        count = operator.index(dims)
    except TypeError:
        count = 0
    if count < 1 or isinstance(dims, bool):
        raise ArgumentError(f"dims={dims!r} must be a whole number of at least 1: the numbers that an observation has.")
    return count


def dims_of(*entries: Any) -> int:
    """Return how many dimensions the first entry with a vector or a matrix has; 1 if none has."""
    for entry in entries:
        array = real_array(entry.value if isinstance(entry, fixed) else entry)
        if array is not None and array.ndim and array.size:
            return int(array.shape[0])
    return 1


def checked_floor(floor: Any) -> float:
    """Return a bound below which values are not let; ArgumentError unless it is a number from 1e-200 to 1e100."""
    array = real_array(floor)
    if array is None or array.ndim or not 1e-200 <= array <= LARGEST:
        raise ArgumentError(f"floor={floor!r} must be a number between 1e-200 and {LARGEST:g}, greater than zero.")
    return float(array)


def real_array(value: Any) -> Floats | None:
    """Return a float64 array, `value` itself if it is one; None if it is no array of real numbers."""
    if value is None or isinstance(value, str) or np.ma.is_masked(value):
        return None
    try:
        array = np.asarray(value)
        return None if array.dtype.kind not in "buifO" else array.astype(np.float64, copy=False)
    except (TypeError, ValueError, OverflowError):
        return None


def row_blocks(n_rows: int, width: int) -> Iterator[slice]:
    """Cut rows into blocks that stay in a core's cache."""
    size = max(64, _IN_CACHE // width)
    return (slice(first, first + size) for first in range(0, n_rows, size))


def shown(value: Any) -> str:
    """A value in a message: short, on one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "..."


def _number_array(X: Any, owner: str) -> Floats:
    if np.ma.is_masked(X):
        raise SequenceError(f"X has masked entries, but {owner} has no missing data; split the sequence there.")
    array = real_array(X)
    if array is None or not array.ndim:
        raise SequenceError(f"X={shown(X)} is no array of real numbers; {owner} observes numbers, not letters.")
    return array


def _name_in_files(kind: type[Family]) -> str:
    """Families of other modules carry its name, so that none of them can pass for one of ours."""
    ours = kind.__module__.startswith("tiedseq.")
    return kind.__name__ if ours else f"{kind.__module__}.{kind.__qualname__}"


def _descendants(kind: type[Any]) -> Iterator[type[Any]]:
    for child in kind.__subclasses__():
        yield child
        yield from _descendants(child)
