"""The gradient of ln P in all values of an HMM, and the standard errors that follow from how it changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tiedseq.information import BORDER, Moves, at_places, errors_of, reach_of
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
    other = parameters.copy()

    def at(values: Floats) -> Floats:
        other.vector = values
        return gradient(other, batches, run)

    return _by_label(parameters, errors_of(at, parameters.vector, _moves(parameters)))


def _moves(parameters: HMMParameters) -> Moves:
    """How the values can move. ModelError if one is missing, or for soft ties, whose values are no parameters."""
    specification, families = parameters.specification, parameters.families
    parameters.soft.refuse("standard error")
    parameters.check_values()
    n_rows, n = len(specification.free), len(parameters.vector)
    rows = specification.simplex.directions(specification.free, BORDER)
    columns = [np.append(column, np.zeros(n - n_rows)) for column in rows.T]
    reach, first = reach_of(specification.free, rows).tolist(), n_rows
    for label, value in families.values.items():
        size = np.size(value)
        if label not in families.held:
            family, name = families.part(label)
            for move in family.moves(name, value):
                columns.append(np.zeros(n))
                columns[-1][first : first + size] = move.ravel() / np.sqrt((move * move).sum())
                reach.append(families.scale(label))
        first += size
    names = [str(name) for name in specification.ties.names]
    names += [label for label, value in families.values.items() for _ in range(np.size(value))]
    return Moves(np.array(columns).reshape(-1, n).T, np.array(reach), names)


def _by_label(parameters: HMMParameters, errors: Any) -> dict[str, Any]:
    """Return what belongs to every value by label: a float, None or a masked array."""
    specification, families = parameters.specification, parameters.families
    found = {label: at_places(errors, specification.places(label)) for label in specification.labels}
    first = len(specification.free)
    for label, value in families.values.items():
        size = np.size(value)
        found[label] = at_places(errors, np.arange(first, first + size).reshape(np.shape(value)))
        first += size
    return found
