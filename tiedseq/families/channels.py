"""Several independent observations at a time: a state's density is the product over its channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tiedseq.distributions import Categorical
from tiedseq.errors import ArgumentError, ModelError, SequenceError
from tiedseq.families.clusters import clusters
from tiedseq.families.family import Family, Floats, Use, Values, real_array, shown
from tiedseq.families.letters import Letters


class _Channel(NamedTuple):
    """One of the things that are observed together."""

    name: str
    family: Family
    columns: slice  # of an observation of all channels

    def of(self, X: Floats) -> Floats:
        return np.ascontiguousarray(X[:, self.columns])

    def values(self, values: Values) -> Values:
        """The values that concern this channel, by the names that its family knows."""
        return {name: values[f"{self.name}.{name}"] for name in self.family.names}


class Channels(Family):
    """Observations of several kinds at once, independent of each other given the state.

    Each channel has a family, and all of its parameters are the state's: a label ties one of them to another state's,
    or to another channel's, whatever the rest does. Without a label they are called "state.channel.parameter". A
    channel of letters takes ambiguity codes (N) as missing data; numbers are never missing.

    One sequence is a mapping of each channel's name to its sequence, ``{"read": "ACGT", "level": array (T, 2)}``; or a
    pandas DataFrame with these columns, if every channel has one dimension; or a float array (T, dims), the channels
    side by side in their order, letters as codes. A list of those is many sequences.

    Parameters
    ----------
    **channels : Family or Categorical
        By name. A `ts.Categorical` needs its alphabet, and may have values or a name, but no ties within the table;
        its parameter is called "probability", sums to one also where it is held, and in ``priors=`` it has
        pseudocounts, a number or one for each letter. A letter that is given the probability zero stays impossible.

    Attributes
    ----------
    channels : dict of str to Family

    Raises
    ------
    ModelError
        There is no channel, or one that is neither a family nor a plain Categorical; the message names it.

    Notes
    -----
    The density is a product, as that of the marks of chromatin in Ernst and Kellis, Nat. Biotechnol. 28:817, 2010. Its
    logarithm is a sum, so that each parameter's M-step is that of its channel alone. Starting values that are left to
    `fit` come from clusters that all channels of numbers form together; without such a channel, tables are drawn.

    Examples
    --------
    >>> import tiedseq as ts
    >>> reads = ts.Channels(read=ts.Categorical("ACGT", values=[0.4, 0.1, 0.1, 0.4]), level=ts.Gaussian([0.0], "noise"))
    >>> model = ts.HMM(None, {"s": {"s": 1.0}}, {"s": reads}, values={"noise": 1.0})
    >>> round(model.score({"read": "AC", "level": [0.0, 1.0]}), 4)
    -5.5568
    >>> list(model.parameters)
    ['s->s', 'start->s', 's.read.probability', 's.level.mean', 'noise']
    """

    def __init__(self, /, **channels: Family | Categorical) -> None:
        self._channels, first = [], 0
        for name, entry in channels.items():
            family = _family_of(name, entry)
            self._channels.append(_Channel(name, family, slice(first, first + family.dims)))
            first += family.dims
        if not self._channels:
            raise ModelError("Channels() has no channel; name one at least, as in Channels(level=Gaussian()).")
        self._places = {f"{c.name}.{own}": (c, own) for c in self._channels for own in c.family.names}
        self.names = tuple(self._places)
        self._cuts: dict[str, slice] = {}  # what of the statistics belongs to each channel
        super().__init__({name: c.family.entries[own] for name, (c, own) in self._places.items()}, first)

    @property
    def channels(self) -> dict[str, Family]:
        return {channel.name: channel.family for channel in self._channels}

    @property
    def layout(self) -> str:
        return ", ".join(f"{name} ({family.layout})" for name, family in self.channels.items())

    def options(self) -> dict[str, Any]:
        return {"channels": [[name, family.to_dict()] for name, family in self.channels.items()]}  # order matters

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Channels:
        return cls(**{name: Family.from_dict(document) for name, document in options["channels"]})

    def __repr__(self) -> str:
        return f"Channels({', '.join(f'{name}={family!r}' for name, family in self.channels.items())})"

    # ---- what the user hands in -----------------------------------------------------------------------------------

    def observations(self, X: Any) -> Floats:
        """Return one sequence of observations as float64 (N, dims), the channels side by side.

        Parameters
        ----------
        X : mapping of channel to sequence, DataFrame with such columns, or array_like of float (N, dims)

        Raises
        ------
        SequenceError
            A channel is missing, unknown or longer than another, or its family cannot take it.
        """
        given, parts = self._by_channel(X), []
        for channel in self._channels:
            try:
                parts.append(channel.family.observations(given[channel.name]))
            except SequenceError as error:
                raise SequenceError(f"Channel {channel.name!r}: {error}", error.position) from error
        if len({len(part) for part in parts}) > 1:
            lengths = ", ".join(f"{name!r} {len(part)}" for name, part in zip(self.channels, parts, strict=True))
            raise SequenceError(
                f"The channels differ in length ({lengths}); each needs an observation for every position."
            )
        return np.concatenate(parts, axis=1)

    def _by_channel(self, X: Any) -> Mapping[Any, Any]:
        """What is given for each channel."""
        is_table = hasattr(X, "to_numpy") and hasattr(X, "columns")
        if is_table or isinstance(X, Mapping):
            self._check_names(list(X.columns if is_table else X))
            wide = [channel.name for channel in self._channels if channel.family.dims > 1]
            if is_table and wide:
                raise SequenceError(
                    f"X is a DataFrame, but the channel {wide[0]!r} has several numbers at a time, more than one "
                    "column holds; hand in a mapping of channel to its sequence."
                )
            return {name: X[name] for name in self.channels}
        array = real_array(X)
        if array is None or array.ndim != 2 or array.shape[1] != self.dims:
            what = shown(X) if array is None else f"an array of shape {array.shape}"
            raise SequenceError(
                f"X is {what}; a sequence of channels is a mapping with the keys "
                f"{', '.join(map(repr, self.channels))}, or an array of shape (length, {self.dims})."
            )
        return {channel.name: channel.of(array) for channel in self._channels}

    def _check_names(self, names: list[Any]) -> None:
        there_are = f"the model has {', '.join(map(repr, self.channels))}"
        for name in names:
            if name not in self.channels:
                raise SequenceError(f"X has the channel {name!r}, which is unknown; {there_are}.")
        for name in self.channels:
            if name not in names:
                raise SequenceError(f"X lacks the channel {name!r}; {there_are}.")

    def restored(self, X: Floats) -> dict[str, Any]:
        """Return a sequence as a mapping of channel to its sequence."""
        return {channel.name: channel.family.restored(channel.of(X)) for channel in self._channels}

    def checked(self, name: str, value: Any) -> Floats:
        family, own = self.part(name)
        return family.checked(own, value)

    # ---- one parameter: what its channel's family makes of it -----------------------------------------------------

    def part(self, name: str) -> tuple[Family, str]:
        channel, own = self._places[name]
        return channel.family, own

    def share(self, name: str, use: Use) -> Use:
        channel, _ = self._places[name]
        if not self._cuts:  # as many at any values
            sizes = [other.family.n_statistics(other.values(use.reference)) for other in self._channels]
            ends = np.cumsum(sizes).tolist()
            self._cuts = {c.name: slice(end - n, end) for c, end, n in zip(self._channels, ends, sizes, strict=True)}
        return Use(use.statistics[self._cuts[channel.name]], channel.values(use.values), channel.values(use.reference))

    def update(self, name: str, uses: Sequence[Use], value: Floats, prior: Any = None) -> Floats:
        family, own = self.part(name)
        return family.update(own, [self.share(name, use) for use in uses], value, prior)

    def scale(self, name: str, values: Values) -> float:
        channel, own = self._places[name]
        return channel.family.scale(own, channel.values(values))

    def derivative(self, name: str, X: Floats, weights: Floats, values: Values) -> Floats:
        channel, own = self._places[name]
        return channel.family.derivative(own, channel.of(X), weights, channel.values(values))

    # ---- all channels ---------------------------------------------------------------------------------------------

    def log_likelihoods(self, X: Floats, values: Sequence[Values]) -> Floats:
        total = np.zeros((len(X), len(values)))
        for channel in self._channels:
            total += channel.family.log_likelihoods(channel.of(X), [channel.values(of_state) for of_state in values])
        return total

    def statistics(self, X: Floats, posterior: Floats, values: Sequence[Values]) -> Floats:
        """Return by state the statistics of every channel, one after the other."""
        return np.concatenate(
            [
                channel.family.statistics(channel.of(X), posterior, [channel.values(of_state) for of_state in values])
                for channel in self._channels
            ],
            axis=1,
        )

    def start(self, X: Floats, count: int, generator: np.random.Generator) -> list[dict[str, Floats]]:
        """Return what the families make of `count` clusters, which all channels of numbers form together.

        To each cluster a few observations of all are added, so that no state holds on to a single one.
        """
        numbers = [channel.of(X) for channel in self._channels if not isinstance(channel.family, Letters)]
        rows, members = np.arange(len(X)), np.ones((len(X), count))
        if numbers:
            rows, members = clusters(np.concatenate(numbers, axis=1), count, generator)
        values: list[dict[str, Floats]] = []
        for mine in members.T > 0.0:
            own = X[np.concatenate([rows[mine], generator.choice(rows, 2 * (self.dims + 1))])]
            values.append({})
            for channel in self._channels:
                (found,) = channel.family.start(channel.of(own), 1, generator)
                values[-1] |= {f"{channel.name}.{name}": value for name, value in found.items()}
        return values

    def sample(self, values: Values, size: int, generator: np.random.Generator) -> Floats:
        parts = [channel.family.sample(channel.values(values), size, generator) for channel in self._channels]
        return np.concatenate(parts, axis=1)


def _family_of(name: str, entry: Any) -> Family:
    """The family of one channel. ModelError for what is none."""
    if isinstance(entry, Categorical):
        try:
            return Letters.of(entry)
        except (ArgumentError, ModelError) as error:
            raise ModelError(f"Channel {name!r}: {error}") from error
    if not isinstance(entry, Family) or isinstance(entry, Channels):
        raise ModelError(
            f"The channel {name!r} is {shown(entry)}; it must be a family such as ts.Gaussian(), or a ts.Categorical."
        )
    return entry
