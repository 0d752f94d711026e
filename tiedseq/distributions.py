"""Emission distributions and the marks that the label language puts on them.

A model's emission is a label, a table of numbers, or one of the objects below. A :class:`Categorical` says which cells
of a table are one value and which of them sum to one; :func:`substitution` has the usual ones for pairs of letters
ready. They describe; the numbers live in the model (see :mod:`tiedseq.specification`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .alphabet import Alphabet
from .errors import ArgumentError, ModelError


@dataclass(frozen=True, eq=False)
class fixed:
    """A value that training leaves alone.

    In a row it is a number, among `values` or `emissions` a number or a table. A fixed table is a table of weights,
    used as it stands, whatever its sum; a fixed number takes its share of the row it stands in. (A row of fixed numbers
    only is likewise used as it stands.)

    Examples
    --------
    >>> fixed(0.02)
    fixed(0.02)
    """

    value: Any

    def __post_init__(self) -> None:
        if isinstance(self.value, str):
            raise ArgumentError(
                f"fixed({self.value!r}) holds a label; fixed() takes a number or a table. To hold a label, give its "
                f"value as values={{{self.value!r}: fixed(number)}}."
            )

    def __repr__(self) -> str:
        return f"fixed({self.value!r})"


@dataclass(frozen=True)
class complement:
    """The distribution `label` as the other strand shows it: the same values, under the complement of the letters.

    For distributions of single letters and of pairs, where both letters are complemented. The alphabet needs a
    complement (DNA and RNA have one).

    Examples
    --------
    >>> complement("gap")
    complement('gap')
    """

    label: str

    def __post_init__(self) -> None:
        if not isinstance(self.label, str):
            raise ArgumentError(f"complement({self.label!r}) needs the label of a distribution, a string.")

    def __repr__(self) -> str:
        return f"complement({self.label!r})"


class Categorical:
    """A distribution over letters or pairs of letters, with ties between its cells.

    Parameters
    ----------
    alphabet : Alphabet or str, default None
        Only checked: it must have the letters of the model's, in the same order, which is that of the table. None takes
        the model's.
    labels : array_like of hashables, shape (K,) or (K, K), default None
        Cells with equal labels are one value, None is an impossible cell. In a pair state rows are letters of x (the
        target), columns letters of y (the query). A string is a label of the model: the same string elsewhere is the
        same parameter, and it has an entry in the model's `parameters`. Numbers and tuples tie within this table only.
        None leaves every cell on its own.
    values : array_like of float of the shape of the table, or fixed(table), default None
        Starting values. None: drawn at random, or given by the model's ``values=``.
    given : {None, "target", "query"}, default None
        None: the whole table sums to one. "target": each row does, so that the table holds P(y | x). "query": each
        column, P(x | y). Only for pairs.
    name : str, default None
        The label of the distribution; states that use the same label share it. None: the state's name, or the key under
        which the object stands in ``values=``.

    Raises
    ------
    ArgumentError
        An unknown `given`, or labels of a kind that a model file cannot hold.

    Examples
    --------
    >>> Categorical(labels=[["same", "other"], ["other", "same"]], name="pair")
    Categorical(labels=[['same', 'other'], ['other', 'same']], name='pair')
    """

    def __init__(
        self,
        alphabet: Alphabet | str | None = None,
        labels: Any = None,
        values: ArrayLike | fixed | None = None,
        given: str | None = None,
        name: str | None = None,
    ) -> None:
        if given not in (None, "target", "query"):
            raise ArgumentError(
                f"given={given!r} is unknown; it is None, 'target' (each row sums to one) or 'query' (each column)."
            )
        self.alphabet = None if alphabet is None else Alphabet.of(alphabet)
        self.labels = None if labels is None else _label_array(labels)
        self.values = values
        self.given = given
        self.name = name

    def cell_labels(self, shape: tuple[int, ...], alphabet: Alphabet | None) -> NDArray[np.object_]:
        """Return the label of every cell for a table of `shape`; ModelError where they do not fit each other."""
        self._check_letters(shape[-1], alphabet)
        if self.given is not None and len(shape) != 2:
            raise ModelError(f"{self!r} has given=, which is for pairs of letters; this state needs the shape {shape}.")
        if self.labels is None:
            return letter_labels(shape, alphabet)
        if self.labels.shape != shape:
            raise ModelError(f"{self!r} has labels of shape {self.labels.shape}; this state needs {shape}.")
        return self.labels

    def _check_letters(self, n_letters: int, alphabet: Alphabet | None) -> None:
        """ModelError unless the table's letters are those of the model, in their order."""
        if self.alphabet is None:
            return
        letters = self.alphabet.letters
        fits = len(letters) == n_letters if alphabet is None else letters == alphabet.letters
        if not fits:
            those = f"{n_letters} letters" if alphabet is None else f"the letters {alphabet.letters!r}"
            raise ModelError(
                f"{self!r} has the letters {letters!r}, but the model has {those}; give the table in the model's order "
                "and leave the alphabet out."
            )

    def structure(self) -> dict[str, Any]:
        """Return what a model file says of the ties: a dictionary for JSON, without values and name."""
        document: dict[str, Any] = {} if self.given is None else {"given": self.given}
        if self.labels is not None:
            as_lists = [list(cell) if isinstance(cell, tuple) else cell for cell in self.labels.ravel()]
            columns = self.labels.shape[-1]
            rows = [as_lists[first : first + columns] for first in range(0, len(as_lists), columns)]
            document["labels"] = rows if self.labels.ndim == 2 else as_lists
        return document

    def __repr__(self) -> str:
        shown = {
            "alphabet": self.alphabet,
            "labels": None if self.labels is None else self.labels.tolist(),
            "values": self.values,
            "given": self.given,
            "name": self.name,
        }
        return "Categorical(" + ", ".join(f"{key}={value!r}" for key, value in shown.items() if value is not None) + ")"


class Substitution(Categorical):
    """A pair table with the ties of a named substitution model; made by :func:`substitution`."""

    def __init__(
        self, kind: str, values: ArrayLike | fixed | None = None, given: str | None = None, name: str | None = None
    ) -> None:
        super().__init__(values=values, given=given, name=name)
        if not isinstance(kind, str) or kind not in _CELL_RULES:
            raise ArgumentError(f"substitution({kind!r}) is unknown; there are {', '.join(map(repr, _CELL_RULES))}.")
        self.kind = kind

    def cell_labels(self, shape: tuple[int, ...], alphabet: Alphabet | None) -> NDArray[np.object_]:
        cells = super().cell_labels(shape, alphabet)
        if len(shape) != 2:
            raise ModelError(f"{self!r} is for pairs of letters; this state emits a single one.")
        for place in product(*map(range, shape)):
            cells[place] = _CELL_RULES[self.kind](cells[place], alphabet)
        return cells

    def structure(self) -> dict[str, Any]:
        return {"substitution": self.kind, **super().structure()}

    def __repr__(self) -> str:
        shown = {"values": self.values, "given": self.given, "name": self.name}
        return f"substitution({self.kind!r}" + "".join(f", {k}={v!r}" for k, v in shown.items() if v is not None) + ")"


def substitution(
    kind: str, values: ArrayLike | fixed | None = None, given: str | None = None, name: str | None = None
) -> Substitution:
    """Return a table for pairs of letters with the ties of a substitution model.

    Parameters
    ----------
    kind : {"general", "symmetric", "strand-symmetric", "kimura", "jukes-cantor"}
        - "general": all cells free (15 parameters for DNA).
        - "symmetric": P(a, b) = P(b, a): target and query may be swapped (9).
        - "strand-symmetric": P(a, b) = P(complement of a, complement of b): the strand does not matter (7).
        - "kimura": three values, for matches, transitions (A-G, C-T) and transversions (2). DNA and RNA only.
          (Kimura, J. Mol. Evol. 16:111, 1980.)
        - "jukes-cantor": two values, match and mismatch (1). (Jukes and Cantor, 1969.)
    values, given, name
        As for :class:`Categorical`; `values` must respect the ties.

    Returns
    -------
    Substitution
        To stand among ``emissions=``, ``values=``, or both labels: ``emissions={"M": "pair"},
        values={"pair": substitution("kimura")}`` is ``emissions={"M": substitution("kimura", name="pair")}``.

    Raises
    ------
    ArgumentError
        The kind is unknown. (An alphabet that does not suit it is a ModelError of the model.)

    Examples
    --------
    >>> substitution("kimura", name="pair")
    substitution('kimura', name='pair')
    """
    return Substitution(kind, values, given, name)


def categorical_from_structure(document: Mapping[str, Any], shape: tuple[int, ...]) -> Categorical:
    """Return the distribution whose `structure` was written to a model file."""
    given = document.get("given")
    if "substitution" in document:
        return Substitution(document["substitution"], given=given)
    if "labels" not in document:
        return Categorical(given=given)
    cells = np.empty(shape, dtype=object)
    for place in product(*map(range, shape)):
        cell = document["labels"]
        for index in place:
            cell = cell[index]
        cells[place] = tuple(cell) if isinstance(cell, list) else cell
    return Categorical(labels=cells, given=given)


def letter_labels(shape: tuple[int, ...], alphabet: Alphabet | None) -> NDArray[np.object_]:
    """Label each cell by its letters, or by their numbers where there is no alphabet: nothing is tied."""
    cells = np.empty(shape, dtype=object)
    for place in product(*map(range, shape)):
        cells[place] = place if alphabet is None else tuple(alphabet.letters[index] for index in place)
    return cells


def _label_array(labels: Any) -> NDArray[np.object_]:
    try:
        array = np.array(labels, dtype=object)
    except ValueError:
        array = np.zeros((), dtype=object)
    if array.ndim == 3:  # tuples in each cell, all of one length
        cells = np.empty(array.shape[:2], dtype=object)
        for place in np.ndindex(*cells.shape):
            cells[place] = tuple(array[place])
        array = cells
    if array.ndim not in (1, 2):
        raise ArgumentError("labels= of a Categorical is a table of one or two axes: a label for each cell.")
    for label in array.ravel():
        parts = label if isinstance(label, tuple) else (label,)
        if not all(part is None or isinstance(part, str | int | np.integer) for part in parts):
            raise ArgumentError(f"labels= holds {label!r}; a label is a string, a number, a tuple of these, or None.")
    return array


Cell = tuple[Any, ...]


def _strand_cell(pair: Cell, alphabet: Alphabet | None) -> Hashable:
    if alphabet is None or alphabet.complement_index is None:
        raise ModelError(
            "substitution('strand-symmetric') needs an alphabet with complements, such as DNA; give another "
            "alphabet= or substitution=."
        )
    other = tuple(alphabet.letters[alphabet.complement_index[alphabet.letters.index(letter)]] for letter in pair)
    return min(pair, other)


def _kimura_cell(pair: Cell, alphabet: Alphabet | None) -> Hashable:
    if alphabet is None or set(alphabet.letters) not in (set("ACGT"), set("ACGU")):
        raise ModelError("substitution('kimura') tells transitions from transversions; it needs DNA or RNA.")
    if pair[0] == pair[1]:
        return ("match",)
    return ("transition",) if (pair[0] in "AG") == (pair[1] in "AG") else ("transversion",)


_CELL_RULES: dict[str, Callable[[Cell, Alphabet | None], Hashable]] = {
    "general": lambda pair, alphabet: pair,
    "symmetric": lambda pair, alphabet: tuple(sorted(pair)),
    "strand-symmetric": _strand_cell,
    "kimura": _kimura_cell,
    "jukes-cantor": lambda pair, alphabet: ("match",) if pair[0] == pair[1] else ("mismatch",),
}
