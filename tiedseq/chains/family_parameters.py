"""Parameters of emission families by label: which states share which, their values, and their M-step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.distributions import fixed
from tiedseq.errors import ModelError
from tiedseq.families import Family, Use
from tiedseq.families.family import real_array, shown

Vector = NDArray[np.float64]


class Place(NamedTuple):
    """One use of a label."""

    state: str
    name: str  # of the family's parameter


class FamilyParameters:
    """The parameters of states that emit numbers. A label is one value, in whichever states and channels it stands.

    Parameters
    ----------
    families : mapping of state to (Family, str)
        The family of each emitting state, and what its parameters without a label are called after: the label that the
        states share, or the state's name.
    values : mapping of label to value
        Starting values, possibly `fixed`; only those that belong to these families.

    Attributes
    ----------
    labels : tuple of str
    values : dict of label to array, None before there is a value
    held : set of str

    Raises
    ------
    ModelError
        A label has two values, or two kinds of parameter.
    """

    def __init__(self, families: Mapping[str, tuple[Family, str]], values: Mapping[str, Any]) -> None:
        self.families = {state: family for state, (family, _) in families.items()}
        self.uses: dict[str, list[Place]] = {}
        self.label_of: dict[Place, str] = {}
        self.values: dict[str, Any] = {}
        self.held: set[str] = set()
        for state, (family, owner) in families.items():
            for name in family.names:
                entry = family.entries.get(name)
                label = entry if isinstance(entry, str) else f"{owner}.{name}"
                self._use(label, Place(state, name))
                self.values.setdefault(label, None)
                if not isinstance(entry, str):
                    self._give(label, entry, f"emissions[{state!r}]")
        for label, value in values.items():
            self._give(label, value, f"values[{label!r}]")
        self.initial = dict(self.values)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.uses)

    @property
    def dims(self) -> int:
        """How many numbers an observation holds."""
        return next(iter(self.families.values())).dims

    def _use(self, label: str, place: Place) -> None:
        others = self.uses.setdefault(label, [])
        for other in others:
            (mine, my_name), (theirs, their_name) = (self.families[p.state].part(p.name) for p in (place, other))
            if my_name != their_name or type(mine) is not type(theirs) or mine.to_dict() != theirs.to_dict():
                raise ModelError(
                    f"The label {label!r} is the {other.name} of state {other.state!r} and the {place.name} of state "
                    f"{place.state!r}, which are not the same kind of parameter; they need two labels."
                )
        others.append(place)
        self.label_of[place] = label

    def _give(self, label: str, entry: Any, where: str) -> None:
        if entry is None:
            return
        held = isinstance(entry, fixed)
        family, name = self.part(label)
        value = family.checked(name, entry.value if isinstance(entry, fixed) else entry)
        before = self.values.get(label)
        if before is not None and not np.array_equal(before, value):
            raise ModelError(
                f"The label {label!r} has two starting values, one of them in {where}; give one value, or two labels."
            )
        self.values[label] = value
        if held:
            self.held.add(label)

    @property
    def given(self) -> dict[str, Any]:
        """The starting values by label, as people type them; without those that `fit` is to find."""
        typed = {label: np.asarray(value).tolist() for label, value in self.initial.items() if value is not None}
        return {label: fixed(value) if label in self.held else value for label, value in typed.items()}

    @property
    def missing(self) -> list[str]:
        """Labels that have no value yet."""
        return [label for label, value in self.values.items() if value is None]

    def label_at(self, state: str, name: str) -> str:
        """The label of one parameter of a state."""
        return self.label_of[Place(state, name)]

    def part(self, label: str) -> tuple[Family, str]:
        """The family that a label's parameter belongs to, and its name there."""
        place = self.uses[label][0]
        return self.families[place.state].part(place.name)

    def scale(self, label: str) -> float:
        """A length that is small for a label's value; see `Family.scale`."""
        place = self.uses[label][0]
        return self.families[place.state].scale(place.name, self.of_state(place.state))

    def of_state(self, state: str) -> dict[str, Any]:
        """The values of one state's parameters by their names."""
        return {name: self.values[self.label_of[Place(state, name)]] for name in self.families[state].names}

    @property
    def vector(self) -> Vector:
        """All values, one after the other."""
        return np.concatenate([np.zeros(0), *(np.ravel(value) for value in self.values.values() if value is not None)])

    def set_vector(self, vector: Vector) -> None:
        first = 0
        for label, value in self.values.items():
            size = np.size(value)
            self.values[label] = np.array(vector[first : first + size]).reshape(np.shape(value))
            first += size

    @property
    def n_free(self) -> int:
        """Numbers that training may move."""
        free = (label for label, value in self.values.items() if label not in self.held and value is not None)
        return sum(map(self._n_free, free))

    def _n_free(self, label: str) -> int:
        """Numbers that training may move in one value; what was given says which are zero for good."""
        family, name = self.part(label)
        given = self.initial[label]
        return family.n_free(name, self.values[label] if given is None else given)

    def start(self, observations: Vector, generator: np.random.Generator, only_missing: bool) -> dict[str, Any]:
        """Return values drawn from data, for those that have none, or for all that were not given."""
        drawn = dict(self.values)
        wanted = {label for label, value in (self.values if only_missing else self.initial).items() if value is None}
        for family, states in self.groups(list(self.families)):
            found = family.start(observations, len(states), generator)
            for state, values in zip(states, found, strict=True):
                for name, value in values.items():
                    label = self.label_of[Place(state, name)]
                    if label in wanted and self.uses[label][0] == Place(state, name):
                        drawn[label] = value
        return drawn

    def maximize(self, statistics: Mapping[str, Vector], priors: Mapping[str, Any]) -> None:
        """One M-step from the statistics of every state: one parameter after the other, the others as they are."""
        before = {state: self.of_state(state) for state in self.families}
        for label, places in self.uses.items():
            if label in self.held:
                continue
            uses = []
            for state, name in places:
                use = Use(statistics[state], self.of_state(state), before[state])
                uses.append(self.families[state].share(name, use))
            family, name = self.part(label)
            updated = family.update(name, uses, self.values[label], priors.get(label))
            self.values[label] = _checked_update(family, name, updated, self.values[label])

    def at_floor(self) -> list[str]:
        """Labels whose values have run into a bound of their family."""
        floored = []
        for label, value in self.values.items():
            family, name = self.part(label)
            if label not in self.held and family.at_floor(name, value):
                floored.append(label)
        return floored

    def at_border(self) -> list[str]:
        """Labels whose values lie at the boundary of what is allowed, so that they move in fewer directions."""
        found = []
        for label, value in self.values.items():
            family, name = self.part(label)
            free = label not in self.held and value is not None
            if free and len(family.moves(name, value)) < self._n_free(label):
                found.append(label)
        return found

    def log_prior(self, priors: Mapping[str, Any]) -> float:
        total = 0.0
        for label, prior in priors.items():
            if label in self.uses:
                family, name = self.part(label)
                total += family.log_prior(name, self.values[label], prior)
        return total

    def groups(self, states: Sequence[str]) -> list[tuple[Family, list[str]]]:
        """Those of `states` whose families are alike, in groups that are computed together."""
        groups: dict[str, tuple[Family, list[str]]] = {}
        for state in states:
            if state in self.families:
                family = self.families[state]
                key = json.dumps([type(family).__qualname__, family.to_dict()], sort_keys=True)
                groups.setdefault(key, (family, []))[1].append(state)
        return list(groups.values())

    def observations(self, sequence: Any) -> Vector:
        """Return one sequence as every family takes it. SequenceError where one does not."""
        for family, _ in self.groups(list(self.families)):
            sequence = family.observations(sequence)
        return np.asarray(sequence)

    def copy(self) -> FamilyParameters:
        """Return parameters with the same structure and values of their own."""
        other = FamilyParameters.__new__(FamilyParameters)
        other.__dict__.update(self.__dict__)
        other.values = dict(self.values)
        return other

    def to_dict(self) -> dict[str, Any]:
        """Return families, labels and values as a dictionary for JSON."""
        return {
            "states": {
                state: {
                    "family": family.to_dict(),
                    "labels": {name: self.label_of[Place(state, name)] for name in family.names},
                }
                for state, family in self.families.items()
            },
            "values": {
                label: None if value is None else np.asarray(value).tolist() for label, value in self.values.items()
            },
            "held": sorted(self.held),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> FamilyParameters:
        """Return the parameters that :meth:`to_dict` described."""
        families = {}
        for state, entry in document.get("states", {}).items():
            family = Family.from_dict(entry["family"])
            family.entries = dict(entry["labels"])
            families[state] = family, state
        held = document.get("held", [])
        values = {
            label: fixed(value) if label in held else value for label, value in document.get("values", {}).items()
        }
        return cls(families, values)


def _checked_update(family: Family, name: str, updated: Any, before: Any) -> Vector:
    """What a family, which may be a user's own, makes of a value. Raises ModelError if that cannot be one."""
    array, shape = real_array(updated), np.shape(before)
    if array is None or array.size != np.size(before):
        raise ModelError(
            f"{type(family).__name__}.update returned {shown(updated)} for its {name}; it must return an array of "
            f"numbers of shape {shape}, as the value had."
        )
    if not np.isfinite(array).all():
        raise ModelError(
            f"{type(family).__name__}.update returned {shown(updated)} for its {name}, which is not finite; return the "
            "value as it was where there is nothing to estimate it from."
        )
    return array.reshape(shape)
