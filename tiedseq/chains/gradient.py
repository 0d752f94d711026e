"""The gradient of ln P in all values of an HMM, and the standard errors that follow from how it changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.information import BORDER, reach_of, standard_deviations
from tiedseq.specification import Tables

from .emissions import Batch, FamilyEmissions, LetterEmissions
from .machine import Machine
from .tables import Floats

if TYPE_CHECKING:
    from .parameters import HMMParameters


def gradient(parameters: HMMParameters, batches: Sequence[Batch], run: Any = map) -> Floats:
    """Return d ln P / d value at the current values, every value taken as free of the others."""
    machine, n = parameters.machine(), len(parameters.states)
    transitions, start = np.zeros((n, n + 1)), np.zeros(n + 1)
    letters: Any = 0.0
    numbers = {label: np.zeros(np.shape(value)) for label, value in parameters.families.values.items()}
    for batch, (_, found) in zip(batches, run(machine.derivatives, batches), strict=True):
        transitions[:, :-1] += found.transitions
        start[:-1] += found.start
        if parameters.specification.has_end:
            transitions[:, -1] += found.end
        if isinstance(machine.emissions, LetterEmissions):
            letters = letters + machine.emissions.derivatives(batch, found.used)
        else:
            _add_family_gradient(parameters, machine, batch, found.used, numbers)
    tables: Tables = {"transitions": transitions, "start": start, "emissions": {}, "extra": {}}
    if parameters.alphabet is not None:
        shape = next(iter(parameters.specification.tables()["emissions"].values())).shape
        tables["emissions"] = dict(zip(parameters.emitting, letters.reshape(-1, *shape), strict=True))
    pooled = parameters.specification.pool(tables)
    return np.concatenate([pooled, *(np.ravel(value) for value in numbers.values())])


def _add_family_gradient(
    parameters: HMMParameters, machine: Machine, batch: Batch, used: Floats, total: dict[str, Floats]
) -> None:
    """Add the derivatives of the expected ln density in every parameter of every state, which are those of ln P."""
    assert isinstance(machine.emissions, FamilyEmissions)
    for group in machine.emissions.groups:
        for place, values in zip(group.states.tolist(), group.values, strict=True):
            state = parameters.emitting[place]
            for name in group.family.names:
                label = parameters.families.label_at(state, name)
                total[label] += group.family.derivative(name, batch.observations, used[:, place], values)


def standard_errors(parameters: HMMParameters, batches: Sequence[Batch], run: Any = map) -> dict[str, Any]:
    """Return the standard error of every label: a float or a masked array; None or masked where there is none."""
    specification, families = parameters.specification, parameters.families
    parameters.soft.refuse("standard error")
    parameters.check_values()
    n_rows, vector = len(specification.free), parameters.vector
    rows = specification.simplex.directions(specification.free, BORDER)
    columns, reach = [np.append(column, np.zeros(len(vector) - n_rows)) for column in rows.T], []
    reach = reach_of(specification.free, rows).tolist()
    first = n_rows
    for label, value in families.values.items():
        size = np.size(value)
        if label not in families.held:
            scale = families.scale(label)
            family, name = families.part(label)
            for move in family.moves(name, value):
                column = np.zeros(len(vector))
                column[first : first + size] = move.ravel() / np.sqrt((move * move).sum())
                columns.append(column)
                reach.append(scale)
        first += size
    names = [str(name) for name in specification.ties.names] + [
        label for label, value in families.values.items() for _ in range(np.size(value))
    ]
    other = parameters.copy()

    def at(values: Floats) -> Floats:
        other.vector = values
        return gradient(other, batches, run)

    directions = np.array(columns).reshape(-1, len(vector)).T
    found = standard_deviations(at, vector, directions, np.array(reach), names)
    moving = np.abs(directions).max(axis=1, initial=0.0) > 0.0
    return _by_label(parameters, found, moving)


def _by_label(parameters: HMMParameters, found: Floats, moving: NDArray[np.bool_]) -> dict[str, Any]:
    specification, families = parameters.specification, parameters.families
    errors: dict[str, Any] = {}
    for label in specification.labels:
        places = specification.places(label)
        has_one = (places >= 0) & moving[places]
        if places.ndim == 0:
            errors[label] = float(found[places]) if has_one else None
        else:
            errors[label] = np.ma.masked_array(np.where(has_one, found[places], 0.0), ~has_one)
    first = len(specification.free)
    for label, value in families.values.items():
        part, size = slice(first, first + np.size(value)), np.shape(value)
        errors[label] = np.ma.masked_array(found[part].reshape(size), ~moving[part].reshape(size))
        first = part.stop
    return errors
