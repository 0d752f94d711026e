"""Standard errors of a pair-HMM's parameters, from how the gradient of ln P changes at its maximum."""

from __future__ import annotations

from typing import Any

import numpy as np

from tiedseq.alphabet import Codes
from tiedseq.information import BORDER, Moves, at_places, errors_of, reach_of
from tiedseq.workers import mapping

from .data import PairData
from .machine import PairMachine, sum_of
from .parameters import PairParameters, Vector

_UNUSED = 1e-6  # expected uses in all the data of what a direction moves
# A probability as small, and used as seldom, is on its way to zero: there the log-likelihood need not bend downwards.
_VANISHING, _SELDOM = 1e-6, 1e-3


def standard_errors(
    parameters: PairParameters, data: PairData, mode: str, complement: Codes | None, executor: Any
) -> dict[str, Any]:
    """Return the standard error of every label: a float or a masked array; None or masked where there is none."""
    parameters.soft.refuse("standard error")
    specification, other, batches = parameters.specification, parameters.copy(), data.batches()
    with mapping(executor) as run:

        def gradient(values: Vector) -> Vector:
            other.vector = values
            machine = PairMachine(other.tables(), mode, complement)
            parts = list(run(lambda batch: machine.derivatives(batch.pairs, batch.weights, batch.numbers)[1], batches))
            return specification.pool(other.gradient(sum_of(parts)))

        uses = specification.free * gradient(specification.free)
        vanishes = (specification.free < _VANISHING) & (uses < _SELDOM)
        directions = specification.simplex.directions(np.where(vanishes, 0.0, specification.free), BORDER)
        # of letters in gaps that nothing opens the data say nothing, and yet of all else they do
        directions = directions[:, (np.abs(directions) > 0.0).T @ uses > _UNUSED]
        names = [str(name) for name in specification.ties.names]
        moves = Moves(directions, reach_of(specification.free, directions), names)
        errors = errors_of(gradient, parameters.vector, moves)
    return {label: at_places(errors, specification.places(label)) for label in specification.labels}
