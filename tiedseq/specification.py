"""The label language, shared by HMMs and pair-HMMs: dictionaries of labels become one vector of values.

A model's start, transitions, emissions and extra tables are slices of one flat vector. One :class:`~tiedseq.ties.Ties`
says which of its entries are one value, one :class:`~tiedseq.simplex.Simplex` which of them sum to one. So ties across
tables (the start row to a transition row, a distribution to its reverse complement) need nothing special.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .alphabet import Alphabet
from .distributions import complement as complement
from .distributions import fixed as fixed
from .errors import ArgumentError, ModelError
from .language import Names, Reading, Use, cell_text, read
from .random_state import RandomState, generator_of
from .restating import damage_as_model_error, stored_arguments
from .sums import SumToOne, constrain, not_held
from .ties import Ties

Vector = NDArray[np.float64]


class Tables(TypedDict):
    """The arrays of a model with S states, or counts of the same shapes. All are views of one vector."""

    transitions: Vector  # (S, S + 1), the last column is the end
    start: Vector  # (S + 1,), likewise
    emissions: dict[str, Vector]  # by state
    extra: dict[str, Vector]  # by name


class Parameter(NamedTuple):
    """One line of a model's list of parameters."""

    label: str
    value: Any  # a float or an array; None if there is none yet
    places: tuple[str, ...]  # every one that the label has: "a->b", a state, "pair[AC]", "a.mean"
    held: bool
    letters: str = ""  # along every axis of a distribution's table


class Specification:
    """A model's parameters: labels, ties, constraints and current values.

    Parameters
    ----------
    states : mapping of str to shape
        The states in order, each with the shape of its emission table, such as ``(K,)`` or ``(K, K)``; None for one
        without a table.
    transitions : mapping of state to row
        A row maps states, and "end", to a label (str), a number, or ``fixed(number)``. What is absent or zero is
        impossible for good. A number is a parameter called "M->X".
    emissions : mapping of state to entry
        A label (str), a table of numbers (a distribution called after the state), ``fixed(table)``,
        ``complement(label)`` or a :class:`~tiedseq.distributions.Categorical`.
    start : row, default None
        The distribution of the first state. None: see `start_like`.
    values : mapping of label to value, default none
        Starting values: a number, a table, ``fixed`` of either, or for a distribution a ``Categorical``.
    alphabet : Alphabet, default None
        For the names of cells, and for complements.
    random_state : int, Generator, RandomState or None, default None
        Draws distributions without values (flat Dirichlet).
    start_like : str, default None
        The state whose row `start` shares, entry by entry, where `start` is None. None: `start` is free and uniform.
    extra : mapping of name to entry, default none
        More tables of shape ``(K,)``, written like emissions, that no state emits from (a background).
    given : {None, "previous"}, default None
        What emission tables are conditional on unless they say so themselves: None, the whole table sums to one;
        "previous", it does along its last axis, a distribution of the letter after those of the other axes.

    Attributes
    ----------
    states : tuple of str
    free : float64 array of shape (n_values,)
        The current values, one for each label or cell, held ones included. May be assigned.
    initial : float64 array of shape (n_values,)
        The values that the specification was made with.
    ties : Ties
        Of the flat vector: transitions, start, emissions, extra.
    simplex : Simplex
    has_end : bool
        Whether "end" can be reached from anywhere.
    labels : tuple of str
        Labels of single values and of distributions, in the order of first use.
    held : tuple of str
        The labels that training leaves alone: fixed ones, and those that are zero by construction.
    is_held : bool array of shape (n_values,)
        Which entries of `free` are fixed.
    drawn : tuple of str
        The labels without a given value, which restarts draw anew or fill their rows with.
    n_free_parameters : int

    Raises
    ------
    ModelError
        Unknown states or labels, statements that contradict each other, sums that miss one by more than 1e-6, ties that
        no values fulfil or that force others than the given values. The message names the labels.

    Examples
    --------
    >>> spec = Specification(
    ...     states={"M": (2, 2), "X": (2,), "Y": (2,)},
    ...     transitions={"M": {"M": "match", "X": "open", "Y": "open"}, "X": {"M": "close", "X": "extend"},
    ...                  "Y": {"M": "close", "Y": "extend"}},
    ...     emissions={"M": "pair", "X": "gap", "Y": "gap"},
    ...     values={"open": 0.02, "extend": 0.6, "pair": [[0.4, 0.1], [0.1, 0.4]], "gap": fixed([0.5, 0.5])},
    ...     start_like="M",
    ... )
    >>> spec.labels, spec.n_free_parameters
    (('match', 'open', 'close', 'extend', 'pair', 'gap'), 5)
    >>> spec.parameters["match"], spec.held
    (0.96, ('gap',))
    """

    def __init__(
        self,
        states: Mapping[str, tuple[int, ...] | None],
        transitions: Mapping[str, Mapping[str, Any]],
        emissions: Mapping[str, Any],
        start: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        alphabet: Alphabet | None = None,
        random_state: RandomState = None,
        start_like: str | None = None,
        extra: Mapping[str, Any] | None = None,
        given: str | None = None,
    ) -> None:
        self._reading = reading = read(
            states, transitions, emissions, start, values, alphabet, start_like, extra, given
        )
        self.states, self.alphabet, self._default_given = reading.states, alphabet, given
        blocks = [reading.transitions, reading.start, *(self._names(use) for use in self._all_uses())]
        self._ends = np.cumsum([block.size for block in blocks])[:-1]
        self._shapes = [block.shape for block in blocks]
        names = np.concatenate([block.ravel() for block in blocks])
        self.ties = Ties(np.array([None if name in reading.impossible else name for name in names], dtype=object))
        self._index = {str(name): index for index, name in enumerate(self.ties.names)}
        self.has_end = any(name is not None for name in [*reading.transitions[:, -1], reading.start[-1]])
        self._given = np.full(self.ties.n_free, np.nan)
        self.is_held = np.zeros(self.ties.n_free, dtype=bool)
        for name, known in reading.known.items():
            if name in self._index:
                self._given[self._index[name]] = known.value
                self.is_held[self._index[name]] = known.held
        self.labels = tuple(self._ordered_labels())
        rows = list(self._sums_to_one())
        self.simplex, self._completion = constrain(self.ties, rows, self._given, self.is_held)
        self._rows = rows
        self._moving = not_held(self.ties, rows, self.is_held)
        self.held = tuple(label for label in self.labels if self._is_label_held(label))
        weights = self._first_uses()
        emitted = slice(blocks[0].size + blocks[1].size, None)
        weights[emitted] *= generator_of(random_state).exponential(size=weights[emitted].shape)
        self.free = self._complete(weights)
        self.initial = self.free.copy()
        self.drawn = tuple(label for label in self.labels if self._is_drawn(label))

    @property
    def n_free_parameters(self) -> int:
        """Degrees of freedom: values that are not held, less what sums to one take away."""
        return self.simplex.n_free

    @property
    def parameters(self) -> dict[str, Any]:
        """The current values by label, a float or a table, held ones included."""
        return self.by_label(self.free)

    def tables(self, free: ArrayLike | None = None) -> Tables:
        """Return the model's arrays.

        Parameters
        ----------
        free : array_like of shape (n_values,), default None
            The values; None takes the current ones.

        Returns
        -------
        Tables
            New arrays. Without any "end" the last columns of transitions and start are 1: ending costs nothing.
        """
        full = self.ties.expand(self.free if free is None else np.asarray(free, dtype=np.float64))
        parts = [part.reshape(shape) for part, shape in zip(np.split(full, self._ends), self._shapes, strict=True)]
        if not self.has_end:
            parts[0][:, -1] = parts[1][-1] = 1.0
        n = 2 + len(self._reading.uses)
        return {
            "transitions": parts[0],
            "start": parts[1],
            "emissions": dict(zip(self._reading.uses, parts[2:n], strict=True)),
            "extra": dict(zip(self._reading.extra, parts[n:], strict=True)),
        }

    def pool(self, tables: Tables) -> Vector:
        """Sum counts (or gradients), in the structure that :meth:`tables` returns, over all uses of each value."""
        return np.asarray(self.ties.pool(self._join(tables)), dtype=np.float64)

    def maximize(self, counts: ArrayLike) -> Vector:
        """Return the values that the M-step makes of pooled counts; held values stay. See ``Simplex.maximize``."""
        return self.simplex.maximize(counts, self.free)

    def by_label(self, free: ArrayLike) -> dict[str, Any]:
        """Return a vector of values by label: a float each, or a table for a distribution.

        Values that are zero by construction have no place in the vector and are 0 here.
        """
        vector = np.append(np.asarray(free, dtype=np.float64), 0.0)  # place -1 is the zero
        tables = self._reading.tables
        return {
            label: vector[self._places(tables[label].names)]
            if label in tables
            else float(vector[self._index.get(label, -1)])
            for label in self.labels
        }

    def counts_by_label(self, tables: Tables) -> dict[str, Any]:
        """Return counts by label: summed over all uses, and for a distribution cell by cell.

        Unlike the pooled vector the cells of a distribution are not summed over ties within it, so that a table of
        counts adds up to the letters (or pairs) that it emitted. Uses through ``complement`` are turned back.
        """
        result = self.by_label(self.pool(tables))
        for label in self._reading.tables:
            result[label] = np.zeros(self._reading.tables[label].names.shape)
        for use, counts in zip(self._all_uses(), np.split(self._join(tables), self._ends)[2:], strict=True):
            table = self._reading.tables[use.label].names
            result[use.label] += self._turned(counts.reshape(table.shape), use)
        return result

    def redraw(self, random_state: RandomState = None) -> Vector:
        """Return random values for all that was not given, for a restart; given values are as they were given."""
        return self._complete(generator_of(random_state).exponential(size=self.ties.labels.shape) * self._first_uses())

    def describe(self) -> list[Parameter]:
        """Return one line for each label: its value, the places where it stands, and whether it is held."""
        places: dict[str, list[str]] = {label: [] for label in self.labels}
        columns = [*self.states, "end"]
        for source, row in zip([*self.states, "start"], [*self._reading.transitions, self._reading.start], strict=True):
            for column, label in zip(columns, row, strict=True):
                if label is not None:
                    places[label].append(f"{source}->{column}")
        for place, use in {**self._reading.uses, **self._reading.extra}.items():
            places[use.label].append(f"{place} (complement)" if use.complemented else place)
            for index, label in np.ndenumerate(self._names(use)):
                if label in self._reading.tables[use.label].inner:
                    places[label].append(f"{place}[{cell_text(self._letters_at(index))}]")
        letters = "" if self.alphabet is None else self.alphabet.letters
        return [
            Parameter(
                label,
                value,
                tuple(places[label]),
                label in self.held,
                letters if label in self._reading.tables else "",
            )
            for label, value in self.parameters.items()
        ]

    def copy(self) -> Specification:
        """Return a specification with the same structure and values of its own."""
        other = copy.copy(self)
        other.free = self.free.copy()
        return other

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the alphabet as a dictionary for JSON that a person can read.

        Rows and emissions hold labels only, `values` what belongs to each: a number or nested lists, ``{"fixed": ...}``
        around what is held, null for what is impossible. Floats survive JSON to the last bit.
        """
        reading = self._reading
        columns = [*self.states, "end"]
        order = {label: rank for rank, label in enumerate(reading.scalars)}

        def row(names: Names) -> dict[str, str]:
            entries = [pair for pair in zip(columns, names.tolist(), strict=True) if pair[1] is not None]
            return dict(sorted(entries, key=lambda pair: order[pair[1]]))  # first uses stay in order

        document: dict[str, Any] = {
            "states": {state: self._shape(state) for state in self.states},
            "transitions": {state: row(names) for state, names in zip(self.states, reading.transitions, strict=True)},
            "start": row(reading.start),
            "emissions": {state: _use_to_json(use) for state, use in reading.uses.items()},
        }
        if reading.extra:
            document["extra"] = {name: _use_to_json(use) for name, use in reading.extra.items()}
        structures = {
            label: table.structure.structure() for label, table in reading.tables.items() if table.structure is not None
        }
        if structures:
            document["distributions"] = structures
        if self._default_given is not None:
            document["given"] = self._default_given
        if self.drawn:
            document["drawn"] = list(self.drawn)
        document["values"] = {label: self._value_to_json(label, value) for label, value in self.parameters.items()}
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], alphabet: Alphabet | None = None) -> Specification:
        """Return the specification that :meth:`to_dict` described, with the same bits in every value.

        Raises
        ------
        ModelError
            The document lacks something, or contradicts itself as arguments of the constructor might.
        """
        with damage_as_model_error():
            arguments = _arguments_of(document)
            spec = cls.of(arguments, alphabet)
        if missing := [label for label in spec.labels if label not in arguments["values"]]:
            raise ModelError(f"The description of the model lacks the value of {', '.join(map(repr, missing[:8]))}.")
        spec.forget(document.get("drawn", []))
        return spec

    @classmethod
    def of(
        cls, arguments: Mapping[str, Any], alphabet: Alphabet | None, random_state: RandomState = None
    ) -> Specification:
        """Return the specification of arguments as :meth:`arguments` returns them, with the bits of given values."""
        spec = cls(**arguments, alphabet=alphabet, random_state=random_state)
        spec.free = np.where(np.isnan(spec._given), spec.free, spec._given)
        spec.initial = spec.free.copy()
        return spec

    def arguments(self) -> dict[str, Any]:
        """Return arguments of the constructor for the same structure and starting values, in their simplest form.

        Rows hold labels only, emissions a label or its complement, `values` a value for every label.
        """
        first = self.copy()
        first.free = self.initial
        return _arguments_of(first.to_dict())

    @property
    def reading(self) -> Reading:
        """The statements that the model was made from: which label stands where."""
        return self._reading

    def places(self, label: str) -> NDArray[np.intp]:
        """Return where the values of a label are in the vector of values, in the shape of the label; -1 for zeros.

        Raises ModelError for a label that the model lacks.
        """
        if label not in self.labels:
            raise ModelError(f"The model has no label {label!r}; it has {', '.join(map(repr, self.labels[:12]))}.")
        table = self._reading.tables.get(label)
        return self._places(np.array(label, dtype=object) if table is None else table.names)

    def lines(self, label: str) -> NDArray[np.intp]:
        """Return the same as a row for each set of cells that sums to one: (1, 1) for a label of a single value."""
        table = self._reading.tables.get(label)
        return self.places(label).reshape(1, 1) if table is None else _lines(self.places(label), table.given)

    def _shape(self, state: str) -> list[int] | None:
        use = self._reading.uses.get(state)
        return None if use is None else list(self._names(use).shape)

    def possible(self) -> NDArray[np.bool_]:
        """Return (S, S + 1): the transitions that are not zero by construction; the last column is the end."""
        return np.asarray(np.split(self.ties.labels, self._ends)[0].reshape(self._shapes[0]) >= 0)

    def _own_places(self, label: str) -> NDArray[np.intp]:
        """Where the values of a label are that belong to no other label."""
        places, table = self.places(label), self._reading.tables.get(label)
        own = places >= 0
        return places[own if table is None else own & ~np.isin(table.names, table.inner)].ravel()

    def _is_drawn(self, label: str) -> bool:
        """Whether the user gave no value for a label, so that it is drawn or follows from its row."""
        return bool(np.isnan(self._given[self._own_places(label)]).any())

    def forget(self, labels: Iterable[str]) -> None:
        """Take the values of labels for drawn ones, which restarts draw anew, unless the others leave no room."""
        self.drawn = labels = tuple(labels)
        given = self._given.copy()
        for label in labels:
            given[self._own_places(label)] = np.nan
        with contextlib.suppress(ModelError):  # training has brought one of them to zero
            self._completion = constrain(self.ties, self._rows, given, self.is_held)[1]
            self._given = given

    def _all_uses(self) -> list[Use]:
        return [*self._reading.uses.values(), *self._reading.extra.values()]

    def _names(self, use: Use) -> Names:
        return self._turned(self._reading.tables[use.label].names, use)

    def _turned(self, table: NDArray[Any], use: Use) -> NDArray[Any]:
        """Return a distribution's table as the place shows it, or the other way round: complements undo themselves."""
        if not use.complemented or self.alphabet is None or self.alphabet.complement_index is None:
            return table
        return table[np.ix_(*[self.alphabet.complement_index] * table.ndim)]

    def _join(self, tables: Tables) -> Vector:
        parts = [
            tables["transitions"],
            tables["start"],
            *(tables["emissions"][state] for state in self._reading.uses),
            *(tables["extra"][name] for name in self._reading.extra),
        ]
        for part, shape in zip(parts, self._shapes, strict=True):
            if np.shape(part) != shape:
                raise ArgumentError(f"tables= holds an array of shape {np.shape(part)}; the model's has {shape}.")
        return np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in parts])

    def _ordered_labels(self) -> Iterator[str]:
        in_rows = {*self._reading.transitions.ravel(), *self._reading.start}
        seen = {label: None for label in self._reading.scalars if label in in_rows}
        for label, table in self._reading.tables.items():
            seen.update(dict.fromkeys([label, *table.inner]))
        return iter(seen)

    def _is_label_held(self, label: str) -> bool:
        table = self._reading.tables.get(label)
        names = [label] if table is None else [name for name in table.names.ravel() if name is not None]
        return all(self.is_held[self._index[name]] for name in names if name in self._index)

    def _letters_at(self, index: tuple[int, ...]) -> tuple[Any, ...]:
        return index if self.alphabet is None else tuple(self.alphabet.letters[k] for k in index)

    def _sums_to_one(self) -> Iterator[SumToOne]:
        """Yield all rows and tables that sum to one, each distribution in its first place only."""
        places = np.split(np.arange(self.ties.labels.size), self._ends)
        for state, row in zip(self.states, places[0].reshape(self._shapes[0]), strict=True):
            yield SumToOne(f"The row of state {state!r}", row)
        yield SumToOne("The start row", places[1])
        seen = set()
        for use, part, shape in zip(self._all_uses(), places[2:], self._shapes[2:], strict=True):
            if use.label in seen:
                continue
            seen.add(use.label)
            given = self._reading.tables[use.label].given
            for number, line in enumerate(_lines(part.reshape(shape), given), start=1):
                what = "The" if given is None else f"{'Column' if given == 'query' else 'Row'} {number} of the"
                yield SumToOne(f"{what} distribution {use.label!r}", line)

    def _first_uses(self) -> Vector:
        """Return 1 for every entry of the flat vector but those of distributions that had their place before."""
        weights = np.ones(self.ties.labels.size)
        seen = set()
        for use, part in zip(self._all_uses(), np.split(weights, self._ends)[2:], strict=True):
            part *= use.label not in seen
            seen.add(use.label)
        return weights

    def _complete(self, weights: Vector) -> Vector:
        """Return starting values: the given ones, and for the others the M-step of `weights` as counts."""
        free = self._completion.maximize(self.ties.pool(weights))
        return self.settled(free)  # typed numbers, rounded to six digits or so

    def settled(self, free: Vector) -> Vector:
        """Return values, float64 (n_values,), or others next to them where a sum misses one by more than 1e-12.

        Such misses are rounding: of numbers as people type them, or grown in a long step.
        """
        full = self.ties.expand(free)
        if max((abs(float(full[row.places].sum()) - 1.0) for row in self._moving), default=0.0) > 1e-12:
            free = self.simplex.maximize(free * self.ties.uses, free)
        return free

    def _value_to_json(self, label: str, value: float | Vector) -> Any:
        table = self._reading.tables.get(label)
        if table is None:
            number = value if label in self._index else None
            return {"fixed": number} if number is not None and self.is_held[self._index[label]] else number
        places = self._places(table.names)
        cells = np.where(places < 0, None, value).tolist()  # type: ignore[call-overload]
        own = places[(places >= 0) & ~np.isin(table.names, table.inner)]  # cells with a label have a value of their own
        return {"fixed": cells} if own.size and self.is_held[own].all() else cells

    def _places(self, names: Names) -> NDArray[np.intp]:
        """Return where the named values are in the free vector, -1 for impossible ones."""
        return np.array([self._index.get(name, -1) for name in names.ravel()], dtype=np.intp).reshape(names.shape)


def _lines(table: NDArray[np.intp], given: str | None) -> NDArray[np.intp]:
    """Return a table's cells with a row for each set of them that sums to one."""
    if given is None:
        return table.reshape(1, -1)
    return table.T if given == "query" else table.reshape(-1, table.shape[-1])


def _arguments_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the constructor's arguments that a dictionary for JSON describes, with values to the last bit."""
    states = {state: shape and tuple(shape) for state, shape in document["states"].items()}
    return {"states": states, "given": document.get("given"), **stored_arguments(document)}


def _use_to_json(use: Use) -> str | dict[str, str]:
    return {"complement": use.label} if use.complemented else use.label
