"""Standard errors of a pair-HMM's parameters, from how the gradient of ln P changes at its maximum."""

from __future__ import annotations

from typing import Any

import numpy as np

from tiedseq.alphabet import Codes
from tiedseq.information import BORDER, reach_of, standard_deviations

from .data import PairData
from .machine import PairMachine, sum_of
from .parameters import PairParameters, Vector

_UNUSED = 1e-6  # expected uses in all the data of what a direction moves


def standard_errors(parameters: PairParameters, data: PairData, mode: str, complement: Codes | None) -> dict[str, Any]:
    """Return the standard error of every label: a float or a masked array; None or masked where there is none."""
    parameters.soft.refuse("standard error")
    specification, other = parameters.specification, parameters.copy()

    def gradient(values: Vector) -> Vector:
        other.vector = values
        machine = PairMachine(other.tables(), mode, complement)
        parts = [machine.derivatives(*batch[:2], batch.numbers)[1] for batch in data.batches()]
        return specification.pool(other.gradient(sum_of(parts)))

    directions = specification.simplex.directions(specification.free, BORDER)
    # of letters in gaps that nothing opens the data say nothing, and yet of all else they do
    uses = specification.free * gradient(specification.free)
    directions = directions[:, (np.abs(directions) > 0.0).T @ uses > _UNUSED]
    names = [str(name) for name in specification.ties.names]
    reach = reach_of(specification.free, directions)
    found = standard_deviations(gradient, parameters.vector, directions, reach, names)
    moving = np.abs(directions).max(axis=1, initial=0.0) > 0.0
    errors: dict[str, Any] = {}
    for label in specification.labels:
        places = specification.places(label)
        has_one = (places >= 0) & moving[places]
        if places.ndim == 0:
            errors[label] = float(found[places]) if has_one else None
        else:
            errors[label] = np.ma.masked_array(np.where(has_one, found[places], 0.0), ~has_one)
    return errors
