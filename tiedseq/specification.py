"""The label language, shared by HMMs and pair-HMMs: dictionaries of labels become one vector of values.

A model's start, transitions, emissions and extra tables are slices of one flat vector. One :class:`~tiedseq.ties.Ties`
says which of its entries are one value, one :class:`~tiedseq.simplex.Simplex` which of them sum to one. So ties across
tables (the start row to a transition row, a distribution to its reverse complement) need nothing special.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .alphabet import Alphabet
from .distributions import Categorical, categorical_from_structure
from .distributions import complement as complement
from .distributions import fixed as fixed
from .errors import ArgumentError, ModelError
from .language import TYPED, Known, Names, Numbers, Use, read
from .simplex import Simplex
from .ties import Ties

Vector = NDArray[np.float64]
RandomState = int | np.random.Generator | np.random.RandomState | None


class Tables(TypedDict):
    """The arrays of a model with S states, or counts of the same shapes. All are views of one vector."""

    transitions: Vector  # (S, S + 1), the last column is the end
    start: Vector  # (S + 1,), likewise
    emissions: dict[str, Vector]  # by state
    extra: dict[str, Vector]  # by name


class Parameter(NamedTuple):
    """One line of a model's list of parameters."""

    label: str
    value: float | Vector
    uses: int
    held: bool


class _SumToOne(NamedTuple):
    """Entries of the flat vector that sum to one, and what a message calls them."""

    title: str
    places: NDArray[np.intp]


class Specification:
    """A model's parameters: labels, ties, constraints and current values.

    Parameters
    ----------
    states : mapping of str to shape
        The states in order, each with the shape of its emission table: ``(K,)`` or ``(K, K)``.
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

    Attributes
    ----------
    states : tuple of str
    free : float64 array of shape (n_values,)
        The current values, one for each label or cell, held ones included. May be assigned.
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
        The same for the entries of `free`.
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
        states: Mapping[str, tuple[int, ...]],
        transitions: Mapping[str, Mapping[str, Any]],
        emissions: Mapping[str, Any],
        start: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        alphabet: Alphabet | None = None,
        random_state: RandomState = None,
        start_like: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self._reading = reading = read(states, transitions, emissions, start, values, alphabet, start_like, extra)
        self.states, self.alphabet = reading.states, alphabet
        blocks = [block for _, block, _ in self._blocks()]
        names = np.concatenate([block.ravel() for block in blocks])
        possible = [None if name in reading.impossible else name for name in names]
        self.ties = Ties(np.array(possible, dtype=object))
        self._index = {str(name): index for index, name in enumerate(self.ties.names)}
        self.has_end = any(name is not None for name in [*reading.transitions[:, -1], reading.start[-1]])
        self._ends = np.cumsum([0, *(block.size for block in blocks)])
        self._given = np.full(self.ties.n_free, np.nan)
        self.is_held = np.zeros(self.ties.n_free, dtype=bool)
        for name, known in reading.known.items():
            if name in self._index:
                self._given[self._index[name]] = known.value
                self.is_held[self._index[name]] = known.held
        self._cells = {label: self._cell_indices(table.names) for label, table in reading.tables.items()}
        self.labels = tuple(self._ordered_labels())
        self._constrain(names)
        self.free = self.draw(random_state, distributions_only=True)
