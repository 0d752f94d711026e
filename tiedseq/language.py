"""Reading the label language: from what a user types to one name for each value, and what is known of each.

The rules are those of the models' documentation. A string is the label of a parameter, equal strings are one parameter;
a number is a parameter of its own, called after its place ("M->X"); `fixed` is held; what is absent or zero is
impossible. Emissions are whole distributions, whose cells get names such as "pair[AC]". This module reads and finds
contradictions between statements; what follows from sums to one is :mod:`tiedseq.specification`'s.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .alphabet import Alphabet
from .arrays import as_real
from .constraints import TYPED
from .distributions import Categorical, complement, fixed, letter_labels
from .errors import ModelError

Names = NDArray[np.object_]
"""An array of value names, None where an entry is impossible."""


@dataclass(frozen=True)
class Numbers:
    """Typed numbers, with the two things that a plain array does not tell."""

    values: NDArray[np.float64]
    impossible: NDArray[np.bool_]
    held: bool

    @classmethod
    def typed(cls, entry: Any, place: str) -> Numbers:
        """Read what a user gave as a value: a number or table, possibly `fixed`. Zero and None are impossible."""
        if isinstance(entry, Numbers):
            return entry
        held = isinstance(entry, fixed)
        numbers = cls.stored(entry.value if isinstance(entry, fixed) else entry, held, place)
        return cls(numbers.values, numbers.impossible | (numbers.values == 0.0), held)

    @classmethod
    def stored(cls, entry: Any, held: bool, place: str) -> Numbers:
        """Read numbers in which only None is impossible: a zero may have been reached by training."""
        try:
            cells = np.array(entry, dtype=object)
            impossible = np.array([cell is None for cell in cells.ravel()], dtype=bool).reshape(cells.shape)
            if any(isinstance(cell, bool | np.bool_ | str) for cell in cells.ravel()):
                raise TypeError
            values = as_real(np.where(impossible, 0.0, cells), np.float64)
        except (TypeError, ValueError) as error:
            raise ModelError(f"{place} is {entry!r}; it needs numbers, in the shape of what they are for.") from error
        if not (np.isfinite(values).all() and (values >= 0.0).all()):
            wrong = values[~(np.isfinite(values) & (values >= 0.0))].flat[0]
            raise ModelError(f"{place} holds {wrong}; probabilities and weights are finite and not negative.")
        return cls(values, impossible, held)

    def as_typed(self) -> Any:
        """Return what a user would give for them; a zero is impossible then, so a reached one is as small as can be."""
        values = np.where(self.impossible, 0.0, np.maximum(self.values, np.finfo(np.float64).tiny)).tolist()
        return fixed(values) if self.held else values


@dataclass(frozen=True)
class Known:
    """A value that is given, and where."""

    value: float
    held: bool
    place: str


@dataclass
class Table:
    """One distribution: the names of its cells and how they are tied and sum to one."""

    names: Names
    structure: Categorical | None
    inner: list[str]  # labels of the model that its cells carry
    given: str | None  # what its cells are conditional on: None, "target", "query" or "previous"


@dataclass(frozen=True)
class Use:
    """A distribution in one place: a state's emission or an extra table."""

    label: str
    complemented: bool


@dataclass
class Reading:
    """All statements about a model, free of contradictions between two of them."""

    states: tuple[str, ...]
    alphabet: Alphabet | None
    transitions: Names = field(default_factory=lambda: np.empty(0, dtype=object))
    start: Names = field(default_factory=lambda: np.empty(0, dtype=object))
    scalars: dict[str, str] = field(default_factory=dict)  # labels of single values in the order of first use; where
    uses: dict[str, Use] = field(default_factory=dict)
    extra: dict[str, Use] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    impossible: set[str] = field(default_factory=set)

    def give(self, name: str, value: float, impossible: bool, held: bool, place: str) -> None:
        """Note a value, unless it contradicts what is known already."""
        before = self.known.setdefault(name, Known(value, held, place))
        if before.held != held:
            free, fix = (place, before.place) if before.held else (before.place, place)
            raise ModelError(f"The label {name!r} is both free, in {free}, and held, in {fix}; decide for one of them.")
        if abs(before.value - value) > TYPED:
            raise ModelError(
                f"The label {name!r} has two starting values: {before.value:.7g} in {before.place} and {value:.7g} in "
                f"{place}. Equal labels are one parameter: give one value, or two labels."
            )
        if impossible:
            self.impossible.add(name)


def read(
    states: Mapping[str, tuple[int, ...] | None],
    transitions: Mapping[str, Mapping[str, Any]],
    emissions: Mapping[str, Any],
    start: Mapping[str, Any] | None,
    values: Mapping[str, Any] | None,
    alphabet: Alphabet | None,
    start_like: str | None,
    extra: Mapping[str, Any] | None,
    given: str | None,
) -> Reading:
    """Read a model; the arguments are those of :class:`tiedseq.specification.Specification`."""
    _check_states(states)
    reading = Reading(tuple(states), alphabet)
    _read_rows(reading, transitions, start, start_like)
    if values is not None and not isinstance(values, Mapping):
        raise ModelError(f"values= must map labels to starting values, not be a {type(values).__name__}.")
    values = dict(values or {})
    shapes = {state: shape for state, shape in states.items() if shape is not None}
    check_keys("emissions=", emissions, shapes, "a state", complete=True)
    extra = dict(extra or {})
    distributions = _Distributions(reading, values, given)
    for state, shape in shapes.items():
        reading.uses[state] = distributions.use(state, shape, emissions[state], f"emissions[{state!r}]")
    single = tuple(shape[-1] for shape in shapes.values())[:1] if alphabet is None else (alphabet.n_letters,)
    for key, entry in extra.items():
        reading.extra[key] = distributions.use(key, single, entry, f"{key}=")
    distributions.finish()
    _read_values(reading, values)
    return reading


def _check_states(states: Mapping[str, tuple[int, ...] | None]) -> None:
    if not states:
        raise ModelError("states= is empty; a model needs one state at least.")
    for state in states:
        if not isinstance(state, str) or not state:
            raise ModelError(f"states= holds {state!r}; the name of a state is a string.")
        if state in ("start", "end"):
            raise ModelError(f"A state is called {state!r}; 'start' and 'end' are reserved, rename it.")
        if "->" in state:
            raise ModelError(f"A state is called {state!r}; '->' stands between states in labels, rename it.")


def check_keys(what: str, given: Any, known: Iterable[str], kind: str, complete: bool) -> None:
    if not isinstance(given, Mapping):
        raise ModelError(f"{what} is {given!r}; it needs a dictionary whose keys are states.")
    known = list(known)
    for key in given:
        if key not in known:
            raise ModelError(f"{what} has the key {key!r}, which is not {kind}{did_you_mean(key, known)}.")
    if complete:
        for key in known:
            if key not in given:
                raise ModelError(f"{what} lacks the state {key!r}; every state needs an entry.")


def did_you_mean(word: Any, known: Iterable[str]) -> str:
    """Return what a message adds on a word that is not among the known ones: the closest of them, or the first ones."""
    known = list(known)
    close = difflib.get_close_matches(str(word), known, n=1)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f" (there are {', '.join(map(repr, known[:12]))}{', ...' if len(known) > 12 else ''})" if known else ""


def _read_rows(
    reading: Reading, transitions: Mapping[str, Any], start: Mapping[str, Any] | None, start_like: str | None
) -> None:
    """Read `transitions`, with a last column for the end, and `start`."""
    n = len(reading.states)
    check_keys("transitions=", transitions, reading.states, "a state", complete=True)
    reading.transitions = np.full((n, n + 1), None, dtype=object)
    for number, state in enumerate(reading.states):
        # The order of labels is that of the text, so that parameters print as they were written.
        reading.transitions[number] = _read_row(reading, state, transitions[state], f"transitions[{state!r}]")
    if start is not None:
        reading.start = _read_row(reading, "start", start, "start=")
    elif start_like is not None:
        reading.start = reading.transitions[reading.states.index(start_like)].copy()
    else:
        reading.start = _read_row(reading, "start", dict.fromkeys(reading.states, 1.0 / n), "start=")


def _read_row(reading: Reading, source: str, row: Any, place: str) -> Names:
    columns = [*reading.states, "end"]
    check_keys(place, row, columns, "a state or 'end'", complete=False)
    names = np.full(len(columns), None, dtype=object)
    for target, entry in row.items():
        where = f"{place}[{target!r}]" if place != "start=" else f"start[{target!r}]"
        names[columns.index(target)] = _read_scalar(reading, f"{source}->{target}", entry, where)
    if all(name is None for name in names):
        raise ModelError(f"{place} allows nothing; a row needs one possible entry at least, a state or 'end'.")
    return names


def _read_scalar(reading: Reading, own: str, entry: Any, place: str) -> str | None:
    """Return the name of the value in one entry of a row; None if it is impossible."""
    if isinstance(entry, str):
        if not entry:
            raise ModelError(f"{place} is an empty string; a label needs a letter at least.")
        reading.scalars.setdefault(entry, place)
        return entry
    number: Any = entry.value if isinstance(entry, fixed) else entry
    if number is not None and (isinstance(number, bool | np.bool_) or not isinstance(number, Real)):
        raise ModelError(f"{place} is {entry!r}; an entry of a row is a label (a string), a number or fixed(number).")
    numbers = Numbers.typed(entry, place)
    if numbers.impossible.all():
        return None
    reading.scalars.setdefault(own, place)
    reading.give(own, float(numbers.values), False, numbers.held, place)
    return own


class _Distributions:
    """Collects who uses which distribution, then names the cells of each."""

    def __init__(self, reading: Reading, values: Mapping[str, Any], given: str | None) -> None:
        self.reading = reading
        self.given = given
        self.shapes: dict[str, tuple[tuple[int, ...], str]] = {}
        self.owners: dict[str, str] = {}  # distributions without a label of their own, called after their place
        self.structures: dict[str, Categorical] = {}
        self.cells: dict[str, tuple[str, Any]] = {}  # names made here, each with its distribution and cell
        self.numbers: list[tuple[str, Any, str]] = []
        self.values = values

    def use(self, owner: str, shape: tuple[int, ...], entry: Any, place: str) -> Use:
        """Read one entry of `emissions` or `extra`."""
        complemented = isinstance(entry, complement)
        if isinstance(entry, str | complement):
            label = entry.label if isinstance(entry, complement) else entry
            owned = False
        else:
            label = (entry.name if isinstance(entry, Categorical) else None) or owner
            owned = label == owner and not (isinstance(entry, Categorical) and entry.name)
            if isinstance(entry, Categorical):
                self._set_structure(label, entry, place)
            else:
                self.numbers.append((label, entry, place))
        if not label:
            raise ModelError(f"{place} is an empty string; a label needs a letter at least.")
        if complemented and (self.reading.alphabet is None or self.reading.alphabet.complement_index is None):
            raise ModelError(f"{place} is {entry!r}, but the alphabet has no complement; DNA and RNA have one.")
        if complemented and self.given == "previous":
            raise ModelError(
                f"{place} is {entry!r}, but letters depend on those before them here, and seen from the other strand "
                "on those after them: no permutation of the table's cells says that. complement() is for order 0."
            )
        self._check_label(label, owner if owned else None, shape, place)
        return Use(label, complemented)

    def _check_label(self, label: str, owner: str | None, shape: tuple[int, ...], place: str) -> None:
        if label in self.reading.scalars:
            raise ModelError(
                f"The label {label!r} names a transition probability and, in {place}, a distribution; all labels share "
                "one namespace. Rename one"
                + (f", or give the distribution a label: emissions={{{owner!r}: 'other'}}." if owner else ".")
            )
        known_shape, known_place = self.shapes.setdefault(label, (shape, place))
        if known_shape != shape:
            raise ModelError(
                f"The label {label!r} names a distribution of shape {known_shape} in {known_place} and one of shape "
                f"{shape} in {place}; they need two labels."
            )
        if known_place != place and (owner is not None or label in self.owners):
            raise ModelError(
                f"{known_place} and {place} both name a distribution {label!r}, which is one state's own; give it "
                "a label, as in emissions={'M': 'pair'}, values={'pair': table}."
            )
        if owner is not None:
            self.owners[label] = owner

    def _set_structure(self, label: str, entry: Categorical, place: str) -> None:
        if self.structures.setdefault(label, entry) is not entry:
            raise ModelError(f"{place} describes the distribution {label!r} a second time; once is enough.")
        if entry.values is not None:
            self.numbers.append((label, entry.values, place))

    def finish(self) -> None:
        """Name the cells of every distribution and note the values given among `emissions` and by descriptions."""
        for label, entry in self.values.items():
            if isinstance(entry, Categorical) and label in self.shapes:
                if entry.name not in (None, label):
                    raise ModelError(f"values[{label!r}] is a distribution with name={entry.name!r}; leave that out.")
                self._set_structure(label, entry, f"values[{label!r}]")
        for label, (shape, place) in self.shapes.items():
            self.reading.tables[label] = self._table(label, shape, place)
        self._check_cells()
        for label, entry, place in self.numbers:
            _give_table(self.reading, label, entry, place)

    def _table(self, label: str, shape: tuple[int, ...], place: str) -> Table:
        structure = self.structures.get(label)
        alphabet = self.reading.alphabet
        cells = letter_labels(shape, alphabet) if structure is None else structure.cell_labels(shape, alphabet)
        names = np.full(shape, None, dtype=object)
        inner: dict[str, None] = {}
        for index, cell in np.ndenumerate(cells):
            if isinstance(cell, str):
                inner.setdefault(cell)
                names[index] = cell
            elif cell is not None:
                names[index] = self._cell_name(label, cell)
        for name in inner:
            if name in self.shapes:
                raise ModelError(
                    f"{place} has a cell with the label {name!r}, the label of a distribution; rename one."
                )
            self.reading.scalars.setdefault(name, place)
        given = self.given if structure is None or structure.given is None else structure.given
        return Table(names, structure, list(inner), given)

    def _cell_name(self, label: str, cell: Any) -> str:
        """Call a cell after its distribution, as in "pair[AC]"; two cells of one name would be tied."""
        name = f"{label}[{cell_text(cell)}]"
        other = self.cells.setdefault(name, (label, cell))
        if other != (label, cell):
            raise ModelError(
                f"The cells {other[1]!r} of the distribution {other[0]!r} and {cell!r} of {label!r} are both called "
                f"{name!r}; rename one."
            )
        return name

    def _check_cells(self) -> None:
        """Refuse labels that are names of cells: equal names are one value, and nobody asked for that tie."""
        for name, (label, _) in self.cells.items():
            typed = self.reading.scalars.get(name) or self.shapes.get(name, ("", ""))[1]
            if typed:
                raise ModelError(
                    f"The label {name!r} in {typed} is the name of a cell of the distribution {label!r} in "
                    f"{self.shapes[label][1]}, and would tie the two; rename one."
                )


def cell_text(cell: Any) -> str:
    """Return what stands in the brackets of a cell's name: "AC", or "0,1" where letters would run together."""
    parts = [str(part) for part in (cell if isinstance(cell, tuple) else (cell,))]
    return ("" if all(len(part) == 1 and not part.isdigit() for part in parts) else ",").join(parts)


def _give_table(reading: Reading, label: str, entry: Any, place: str) -> None:
    """Note the numbers of a whole distribution; tied cells must agree."""
    numbers = Numbers.typed(entry, place)
    names = reading.tables[label].names
    if numbers.values.shape != names.shape:
        raise ModelError(f"{place} has the shape {numbers.values.shape}, but {label!r} needs the shape {names.shape}.")
    cells: dict[Any, list[float]] = {}
    impossible: dict[str, bool] = {}
    for name, value, zero in zip(names.ravel(), numbers.values.ravel(), numbers.impossible.ravel(), strict=True):
        if np.isnan(value):
            continue  # left to the label of the cell, in a model file
        if name is None:
            if value > 0.0:
                raise ModelError(f"{place} gives {value:.7g} to an impossible cell of the distribution {label!r}.")
            continue
        cells.setdefault(name, []).append(float(value))
        impossible[name] = impossible.get(name, True) and bool(zero)
    for name, tied in cells.items():
        if max(tied) - min(tied) > TYPED:
            raise ModelError(
                f"The label {name!r} has two starting values, {min(tied):.7g} and {max(tied):.7g}, in {place}: these "
                f"cells of the distribution {label!r} are tied."
            )
        mean = tied[0] if max(tied) == min(tied) else sum(tied) / len(tied)
        reading.give(name, mean, impossible[name], numbers.held, place)


def _read_values(reading: Reading, values: Mapping[str, Any]) -> None:
    for label, entry in values.items():
        place = f"values[{label!r}]"
        if entry is None:
            raise ModelError(f"{place} is None; leave it out, or give 0 to what is impossible.")
        if label in reading.tables:
            if not isinstance(entry, Categorical):
                _give_table(reading, label, entry, place)
        elif label in reading.scalars:
            if isinstance(entry, Categorical):
                raise ModelError(f"{place} is a distribution, but {label!r} labels one probability.")
            numbers = Numbers.typed(entry, place)
            if numbers.values.shape != ():
                raise ModelError(f"{place} has the shape {numbers.values.shape}, but {label!r} labels one probability.")
            reading.give(label, float(numbers.values), bool(numbers.impossible), numbers.held, place)
        else:
            labels = [*reading.scalars, *reading.tables]
            raise ModelError(f"values= has {label!r}, a label that the model lacks{did_you_mean(label, labels)}.")
