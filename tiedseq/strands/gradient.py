"""The gradient of ln P in all values of a strand-symmetric HMM, and the standard errors that follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tiedseq.chains.emissions import Batch
from tiedseq.chains.machine import expect
from tiedseq.chains.tables import Floats
from tiedseq.information import BORDER, Moves, at_places, errors_of, reach_of

from .language import STEPS

if TYPE_CHECKING:
    from .parameters import StrandParameters


def gradient(parameters: StrandParameters, batches: Sequence[Batch], run: Any = map) -> Floats:
    """Return d ln P / d value at the current values, every value taken as free of the others."""
    machine = parameters.machine()
    parts = list(run(lambda batch: expect(machine, batch).counts, batches))
    counted = parameters.counted(np.sum(parts, axis=0))
    flows = parameters.flows.items()
    return np.concatenate([flow.gradient(parameters.table(label), counted[label]) for label, flow in flows])


def standard_errors(parameters: StrandParameters, batches: Sequence[Batch], run: Any = map) -> dict[str, Any]:
    """Return the standard error of every label: a float or a masked array; None or masked where there is none."""
    other = parameters.copy()

    def at(values: Floats) -> Floats:
        other.vector = values
        return gradient(other, batches, run)

    errors = errors_of(at, parameters.vector, _moves(parameters))
    first, found = 0, dict[str, Any]()
    for label, flow in parameters.flows.items():
        labels = flow.ties.labels
        if label == STEPS:
            names = parameters.step_names()
            found |= {name: at_places(errors, np.array(k)) for k, name in enumerate(names)}
        else:
            found[label] = at_places(errors, np.where(labels < 0, -1, labels + first))
        first += flow.ties.n_free
    return found


def _moves(parameters: StrandParameters) -> Moves:
    """How the values can move. Values stand in the order of the flows."""
    vector, names, first, columns = parameters.vector, parameters.step_names(), 0, []
    for label, flow in parameters.flows.items():
        size = flow.ties.n_free
        if label not in parameters.held:
            moves = flow.directions(parameters.values[label], BORDER)
            columns.append(np.zeros((len(vector), moves.shape[1])))
            columns[-1][first : first + size] = moves
        names += [] if label == STEPS else [label] * size
        first += size
    directions = np.concatenate(columns, axis=1)
    return Moves(directions, reach_of(vector, directions), names)
