"""Soft ties: distributions of their own that are drawn to a common one.

A soft label's uses are told apart: each is a member with values p_r of its own, "coding@gene+" for the label "coding"
in the state "gene+". Training maximises the log-likelihood less

    strength * sum_r KL(m || p_r)

where m, the centre, is estimated too: strength * m are pseudocounts that the members share. Without a strength the
members are untied, with an infinite one the label is left whole: the hard tie.

For given members the best centre is their geometric mean, normalised. So it is no value of the model beside the others:
it follows from them. The M-step maximises over both at once, which is one concave problem. For a given centre it is the
tied M-step with the centre's pseudocounts; what is left is a concave function of the centre alone.

(EM for penalised likelihoods: Green, J. R. Stat. Soc. B 52:443, 1990.)
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .alphabet import Alphabet
from .centres import best_centre, closest_centre, divergence
from .distributions import Categorical, complement
from .errors import ModelError
from .language import Numbers, did_you_mean
from .pseudocounts import pseudocounts_of
from .random_state import RandomState
from .specification import Parameter, Specification

Vector = NDArray[np.float64]


class Group(NamedTuple):
    """Labels that are soft together, and where they stand."""

    labels: tuple[str, ...]  # of one distribution, or of all that is free in a row
    places: tuple[str, ...]  # a state for each member, or "start"
    strength: float  # in pseudocounts

    @property
    def members(self) -> list[list[str]]:
        """The labels of every member."""
        return [[_member(label, place) for label in self.labels] for place in self.places]


def _member(label: str, place: str) -> str:
    return f"{label}@{place}"


class SoftTies:
    """The soft ties of a specification in which the members are apart; it has the values, and this what is drawn.

    Parameters
    ----------
    tied : Specification
        The model as it was written, every label one value. Its values are the starting values of labels.
    groups : sequence of Group, default none
    specification : Specification, default `tied`
        The same with the members apart.

    Attributes
    ----------
    tied, groups
    label_of : dict of str to str
        The label of every member.

    Raises
    ------
    ModelError
        Members that cannot be drawn together; the message says why.

    Examples
    --------
    >>> rows = {"a": {"a": 0.9, "b": 0.1}, "b": {"b": 0.9, "a": 0.1}}
    >>> tied = Specification({"a": (2,), "b": (2,)}, rows, {"a": "w", "b": "w"}, values={"w": [0.5, 0.5]})
    >>> made, ties = SoftTies(tied).changed(tied, groups_of(tied, {"w": 10.0}), {"w@a": [0.8, 0.2]})
    >>> ties.label_of, ties.centres(made)["w"].round(3).tolist()
    ({'w@a': 'w', 'w@b': 'w'}, [0.667, 0.333])
    """

    def __init__(
        self, tied: Specification, groups: Sequence[Group] = (), specification: Specification | None = None
    ) -> None:
        self.tied, self.groups = tied, tuple(groups)
        specification = tied if specification is None else specification
        self._cells = [_cells_of(specification, group) for group in groups]  # of every group (R, lines, cells)
        self.label_of = {m: label for g in groups for ms in g.members for m, label in zip(ms, g.labels, strict=True)}
        for group, cells in zip(self.groups, self._cells, strict=True):
            _check_members(specification, group, cells)

    @property
    def strengths(self) -> dict[str, float]:
        """What `soft=` asks for these groups; of all labels that are soft, untied ones with strength 0."""
        return {label: group.strength for group in self.groups for label in group.labels}

    @property
    def title(self) -> str:
        """What is drawn together and how strongly, in words; empty where nothing is."""
        drawn = [f"{label!r}: {strength:g}" for label, strength in self.strengths.items() if strength > 0.0]
        return f"soft ties {{{', '.join(drawn)}}}" if drawn else ""

    def refuse(self, what: str) -> None:
        """Raise ModelError if members are drawn together: nobody can count such parameters."""
        if self.title:
            raise ModelError(
                f"There is no {what} with {self.title}: their members are neither one value nor several, as the "
                "strength decides how far they differ. Tie them with strength inf, or untie them with 0."
            )

    # ---- values ---------------------------------------------------------------------------------------------------

    def centres(self, specification: Specification) -> dict[str, Any]:
        """Return the centres by label at the current values, a float each, or a table for a distribution."""
        found: dict[str, Any] = {}
        for group, cells in zip(self.groups, self._cells, strict=True):
            flat = np.zeros(len(specification.free) + 1)
            flat[cells[0]] = closest_centre(_values_at(specification.free, cells))
            flat[-1] = 0.0  # place -1 is the zero
            for label, member in zip(group.labels, group.members[0], strict=True):
                value = flat[specification.places(member)]
                found[label] = value if value.ndim else float(value)
        return found

    def describe(self, specification: Specification) -> Iterator[Parameter]:
        """One line for each centre; its uses are its members."""
        places = {label: group.places for group in self.groups for label in group.labels}
        reading, alphabet = self.tied.reading, self.tied.alphabet
        for label, value in self.centres(specification).items():
            if label in reading.tables:
                letters = "" if alphabet is None else alphabet.letters
                turned = {place for place, use in reading.uses.items() if use.complemented}
                used = tuple(f"{place} (complement)" if place in turned else place for place in places[label])
                yield Parameter(label, value, used, False, letters)
            else:
                yield Parameter(label, value, places[label], False)

    def take_over(self, specification: Specification, known: Mapping[str, Any]) -> None:
        """Give every label its value in `known`, and members that are not in it that of their label."""
        for label in specification.labels:
            places = specification.places(label)
            value = known[label] if label in known else known[self.label_of[label]]
            specification.free[places[places >= 0]] = np.asarray(value)[places >= 0]

    def changed(
        self,
        specification: Specification,
        groups: Sequence[Group],
        given: Mapping[str, Any],
        random_state: RandomState = None,
    ) -> tuple[Specification, SoftTies]:
        """Return the specification with the members of these groups apart instead, at starting values, and its ties.

        Parameters
        ----------
        specification : Specification
            That of the ties as they are; members of both keep its starting values.
        groups : sequence of Group
        given : mapping of member to value
            Starting values; other members start at their label's, or where that is drawn at a draw of their own.
        random_state : int, Generator, RandomState or None
        """
        tied, known = self.tied, dict(given)
        members = [member for group in groups for names in group.members for member in names]
        if unknown := [member for member in given if member not in members]:
            raise ModelError(
                f"values= has {unknown[0]!r}, a label that the model lacks{did_you_mean(unknown[0], members)}; beside "
                "soft= an @ before a state's name belongs to members."
            )
        if not groups:
            made = tied.copy()
            made.free = tied.initial.copy()
            return made, SoftTies(tied)
        if self.groups:
            mine = specification.arguments()["values"]
            known = {member: mine[member] for member in self.label_of} | known
        arguments = tied.arguments()
        for group in groups:
            _tell_apart(arguments, group, known, tied.drawn)
        made = Specification.of(arguments, tied.alphabet, random_state)
        ties = SoftTies(tied, groups, made)
        whole = [label for label in tied.drawn if label in made.labels]
        again = [label for label in specification.drawn if label in ties.label_of and label not in given]
        made.forget(dict.fromkeys([*whole, *made.drawn, *again]))
        return made, ties

    # ---- files ----------------------------------------------------------------------------------------------------

    def to_dict(self, specification: Specification) -> dict[str, Any]:
        """Return the model at its centres as a dictionary for JSON; under "soft" it has the members."""
        document = specification.to_dict()
        if not self.groups:
            return document
        whole = self.tied.copy()
        self.take_over(whole, {**specification.parameters, **self.centres(specification)})
        soft = {
            "strengths": self.strengths,
            "values": {member: document["values"][member] for member in self.label_of},
            "drawn": [label for label in specification.drawn if label in self.label_of],
        }
        return {**whole.to_dict(), "soft": soft}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], alphabet: Alphabet | None) -> tuple[Specification, SoftTies]:
        """Return the specification that :meth:`to_dict` described, and its soft ties; every value has the same bits."""
        tied = Specification.from_dict(document, alphabet)
        ties, soft = cls(tied), document.get("soft")
        if soft is None:
            return tied, ties
        given = {m: Numbers.stored(value, False, f"soft value {m!r}") for m, value in soft["values"].items()}
        made, ties = ties.changed(tied, groups_of(tied, soft["strengths"]), given)
        made.forget([*made.drawn, *soft["drawn"]])
        return made, ties

    # ---- training -------------------------------------------------------------------------------------------------

    def check(self, free: Vector) -> None:
        """Raise ModelError if the penalty of these values is infinite: training cannot start there."""
        for group, cells in zip(self.groups, self._cells, strict=True):
            if group.strength > 0.0 and not (_values_at(free, cells) > 0.0).all(axis=0).any(axis=-1).all():
                raise ModelError(
                    f"The members of the soft label {group.labels[0]!r} exclude each other: none of their values is "
                    "above 0 in all of them. Start from other values."
                )

    def penalty(self, free: Vector) -> float:
        """Return what the members' distances from their centres take from the log-likelihood, in nats."""
        total = 0.0
        for group, cells in zip(self.groups, self._cells, strict=True):
            if group.strength > 0.0:
                members = _values_at(free, cells)
                total += group.strength * divergence(closest_centre(members), members)
        return total

    def pseudocounts(self, specification: Specification, priors: Mapping[str, Any]) -> Vector:
        """Return what priors add to the pooled counts of every value.

        A label's prior is one pseudocount for each of its values, or an array in the shape of the label; cells that are
        tied share the mean of theirs. Raises ModelError for a label that has none, or for what is no pseudocount.
        """
        pseudocounts = np.zeros(len(specification.free))
        for label, prior in priors.items():
            if label in self.strengths:
                member = next(member for member, of in self.label_of.items() if of == label)
                raise ModelError(
                    f"priors= has the soft label {label!r}; give priors to its members, such as {member!r}."
                )
            pseudocounts += pseudocounts_of(label, prior, specification.places(label), len(pseudocounts))
        return pseudocounts

    def maximize(self, specification: Specification, counts: Vector) -> Vector:
        """Return the values that the M-step makes of pooled counts, the best centres in mind.

        They maximise sum counts * ln(value) less the penalty, under the ties and sums of `specification`.
        """
        pseudocounts = np.zeros(len(counts) + 1)
        for group, cells in zip(self.groups, self._cells, strict=True):
            if group.strength > 0.0:
                uses = np.bincount(cells[cells >= 0], minlength=len(counts))
                share = _values_at(counts / np.maximum(uses, 1), cells)  # tied cells of a member have equal shares
                centre = best_centre(share, group.strength, _values_at(specification.free, cells))
                np.add.at(pseudocounts, cells, group.strength * centre)
        return specification.maximize(counts + pseudocounts[:-1])


def _values_at(values: Vector, cells: NDArray[np.intp]) -> Vector:
    return np.append(values, 0.0)[cells]  # place -1 is the zero


# ---- telling members apart -------------------------------------------------------------------------------------------


def groups_of(tied: Specification, soft: Mapping[str, float]) -> tuple[Group, ...]:
    """Return the groups that `soft=` asks for, without those of infinite strength: these labels stay whole.

    Raises ModelError for labels that cannot be soft.
    """
    groups: dict[tuple[str, ...], Group] = {}
    for label, strength in soft.items():
        if label not in tied.labels:
            raise ModelError(f"soft= has {label!r}, a label that the model lacks{did_you_mean(label, tied.labels)}.")
        if label in tied.held:
            raise ModelError(f"soft= has {label!r}, which is held; only what is estimated can be drawn together.")
        group = _group_of(tied, label, float(strength))
        if len(group.places) < 2:
            raise ModelError(f"soft= has {label!r}, which stands in one place only; there is nothing to draw together.")
        if taken := [member for names in group.members for member in names if member in tied.labels]:
            raise ModelError(
                f"soft= has {label!r}, and the model a label {taken[0]!r}, the name of a member; rename it."
            )
        if groups.setdefault(group.labels, group) != group:
            raise ModelError(
                f"soft= has {label!r} with strength {group.strength:g} and a label of the same rows with "
                f"{groups[group.labels].strength:g}; a row is soft as a whole, give one of them."
            )
    return tuple(group for group in groups.values() if group.strength < math.inf)


def _group_of(tied: Specification, label: str, strength: float) -> Group:
    """Return all that becomes soft with a label."""
    reading = tied.reading
    for name, table in reading.tables.items():
        if table.inner and label in (name, *table.inner):
            raise ModelError(
                f"soft= has {label!r}, but cells of the distribution {name!r} carry the label {table.inner[0]!r}, one "
                "value in all of its places; use numbers or tuples as labels of cells."
            )
    if label in reading.tables:
        return Group((label,), tuple(state for state, use in reading.uses.items() if use.label == label), strength)
    rows = {
        place: [name for name in row if name is not None and name not in tied.held]
        for place, row in zip([*reading.states, "start"], [*reading.transitions, reading.start], strict=True)
    }
    first = next(place for place, row in rows.items() if label in row)
    labels = tuple(dict.fromkeys(rows[first]))
    places = [place for place, row in rows.items() if set(row) & set(labels)]
    for place in places:
        if sorted(rows[place]) != sorted(labels):
            other = "" if place == first else f" and {_row(first)} {_listed(rows[first])}"
            raise ModelError(
                f"soft= has {label!r}, but {_row(place)} has {_listed(rows[place])}{other}; rows that share a soft "
                "label need the same free labels, each of them once."
            )
    return Group(labels, tuple(places), strength)


def _row(place: str) -> str:
    return "the start row" if place == "start" else f"the row of state {place!r}"


def _listed(labels: list[str]) -> str:
    return ", ".join(map(repr, labels))


def _tell_apart(arguments: dict[str, Any], group: Group, known: Mapping[str, Any], drawn: Sequence[str]) -> None:
    """Write members for the labels of a group into a specification's arguments; values of drawn ones are left out."""
    values, emissions = arguments["values"], arguments["emissions"]
    for label in group.labels:
        entry = values.pop(label)
        for place in group.places:
            member = _member(label, place)
            if member in known or label not in drawn:
                values[member] = _with_values(entry, known.get(member, entry))
            elif isinstance(entry, Categorical):
                values[member] = _with_values(entry, None)
            row = arguments["start"] if place == "start" else arguments["transitions"][place]
            row.update({target: member for target, name in row.items() if name == label})
            if emissions.get(place) in (label, complement(label)):
                emissions[place] = member if emissions[place] == label else complement(member)


def _with_values(entry: Any, values: Any) -> Any:
    """Return values with the ties within a distribution that `entry` describes."""
    if not isinstance(entry, Categorical) or isinstance(values, Categorical):
        return values
    described = copy.copy(entry)
    described.values = values
    return described


def split_values(values: Mapping[str, Any], states: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part starting values into those of labels and those of members, which end in "@" and a state or "start"."""
    ends = tuple(_member("", place) for place in [*states, "start"])
    of_members = {name: entry for name, entry in values.items() if isinstance(name, str) and name.endswith(ends)}
    return {name: entry for name, entry in values.items() if name not in of_members}, of_members


# ---- members in the vector of values ---------------------------------------------------------------------------------


def _cells_of(specification: Specification, group: Group) -> NDArray[np.intp]:
    """Return where the members' values are, (R, lines, cells): a line is what sums to one, or a row's free part."""
    return np.array([np.concatenate([specification.lines(name) for name in names], axis=-1) for names in group.members])


def _check_members(specification: Specification, group: Group, cells: NDArray[np.intp]) -> None:
    """Raise ModelError for members that cannot be drawn together."""
    names = ", ".join(map(repr, group.labels))
    if held := [m for members in group.members for m in members if m in specification.held]:
        raise ModelError(f"values= holds {held[0]!r}, a member of the soft label {names}; members are estimated.")
    if ((cells < 0).any(axis=0) & (cells >= 0).any(axis=0)).any():
        raise ModelError(
            f"values= has zeros for some members of the soft label {names} only; zeros are for good, in all."
        )
    lines = np.unique(np.sort(cells[0], axis=-1), axis=0)
    used = np.concatenate([np.unique(line[line >= 0]) for line in lines])
    if len(np.unique(used)) < len(used):
        raise ModelError(
            f"soft= has {names}, whose rows of cells share some of their values but not all; soft ties are for rows of "
            "cells that are alike or stand apart."
        )
