"""Standard errors of a pair-HMM's parameters, from how the gradient of ln P changes at its maximum."""

from __future__ import annotations

from typing import Any

import numpy as np

from tiedseq.alphabet import Codes
from tiedseq.information import BORDER, reach_of, standard_deviations
from tiedseq.workers import mapping

from .data import PairData
from .machine import PairMachine, sum_of
from .parameters import PairParameters, Vector


def standard_errors(
    parameters: PairParameters, data: PairData, mode: str, complement: Codes | None, executor: Any
) -> dict[str, Any]:
    """Return the standard error of every label: a float or a masked array; None or masked where there is none."""
    parameters.soft.refuse("standard error")
    specification, other = parameters.specification, parameters.copy()
    batches = data.batches()
    directions = specification.simplex.directions(specification.free, BORDER)

    def gradient(values: Vector) -> Vector:
        other.vector = values
        machine = PairMachine(other.tables(), mode, complement)
        parts = list(run(lambda batch: machine.derivatives(batch.pairs, batch.weights)[1], batches))
        return specification.pool(other.gradient(sum_of(parts)))

    names = [str(name) for name in specification.ties.names]
    reach = reach_of(specification.free, directions)
    with mapping(executor) as run:
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
