"""Steps down a gradient: Adam, and L-BFGS of SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class Adam:
    """Steps of about `learning_rate` in every value, by the gradient's running mean over its running size.

    Both means are corrected for their start at zero. Weight decay is no part of it but of the objective, so that Adam
    and L-BFGS have the same minimum. (Kingma and Ba, ICLR 2015.)

    Parameters
    ----------
    learning_rate : float
    size : int
        Number of values.

    Attributes
    ----------
    mean, square : float64 (size,)
        Running means of the gradient, and of its square.
    steps : int
    """

    MEMORY = (0.9, 0.999)  # of the two means: the paper's
    SMALLEST = 1e-8  # added to the gradient's size

    def __init__(self, learning_rate: float, size: int) -> None:
        self.learning_rate = learning_rate
        self.mean, self.square, self.steps = np.zeros(size), np.zeros(size), 0

    def step(self, values: Vector, gradient: Vector) -> Vector:
        """Return the values after a step."""
        first, second = self.MEMORY
        self.steps += 1
        self.mean = first * self.mean + (1.0 - first) * gradient
        self.square = second * self.square + (1.0 - second) * gradient * gradient
        mean = self.mean / (1.0 - first**self.steps)
        size = np.sqrt(self.square / (1.0 - second**self.steps))
        moved: Vector = values - self.learning_rate * mean / (size + self.SMALLEST)
        return moved


def lbfgs(
    objective: Callable[[Vector], tuple[float, Vector]],
    start: Vector,
    most: int,
    precision: float,
    after: Callable[[Vector, float], bool],
) -> tuple[Vector, bool, str]:
    """Minimise by L-BFGS; return the values, whether that converged, and if not why.

    Parameters
    ----------
    objective : function
        Of the values; returns its value and gradient.
    most : int
        Iterations at most.
    precision : float
        Of the objective's arithmetic, 1.2e-7 for float32: it converges when a step gains less than 64 times this part
        of the value, or all of the gradient is below a tenth of the precision's square root.
    after : function
        Is told values and objective after every iteration; True stops.
    """
    from scipy.optimize import minimize

    def told(intermediate_result: Any) -> None:
        if after(np.array(intermediate_result.x), float(intermediate_result.fun)):
            raise StopIteration

    options = {
        "maxiter": most,
        "maxfun": 20 * most,
        "ftol": 64.0 * precision,
        "gtol": 0.1 * float(np.sqrt(precision)),
        "maxls": 50,
    }
    found = minimize(objective, start, jac=True, method="L-BFGS-B", callback=told, options=options)
    return np.array(found.x), bool(found.status == 0), str(found.message)
