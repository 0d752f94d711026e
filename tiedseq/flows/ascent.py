"""The way up from one balanced table to a maximum: a quasi-Newton method in the metric of what the counts tell."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiedseq.flows.likelihood import Likelihood
from tiedseq.flows.network import Network

Vector = NDArray[np.float64]

FEASIBLE = 1e-10  # how far in- and outflow of a context may differ in a table that counts as balanced
_GAIN = 1e-12  # a maximum is reached when less than this is left to gain for each count, in nats
_LONGEST_STEP = 6.0  # by how much the logarithm of a probability may change at once
_STEPS_KEPT = 10
_ITERATIONS = 150


def climb(network: Network, likelihood: Likelihood, joint: Vector) -> Vector:
    """Return a maximum of the likelihood, from a positive circulation of sum one; never worse than that.

    Points are reached along curves balanced(joint * exp(length * step)), so that every one is balanced and positive.
    (Nocedal and Wright, Numerical Optimization, 2nd ed. 2006, algorithm 7.4: the limited-memory method.)
    """
    slope = network.tangent(joint, likelihood.slope(joint))
    metric = Information(network, likelihood, joint)
    memory = _Memory()
    for _ in range(_ITERATIONS):
        step = memory.step(slope, metric)
        promise = float(slope @ step)
        if not promise > _GAIN * likelihood.total:
            break
        found = _search(network, likelihood, joint, step, promise)
        if found is None and memory.is_empty():
            break
        if found is None:
            memory = _Memory()
            continue
        joint, length = found
        metric = Information(network, likelihood, joint)
        before, slope = slope, network.tangent(joint, likelihood.slope(joint))
        memory.add(length * step, before - slope, metric)
    return joint


def _search(
    network: Network, likelihood: Likelihood, joint: Vector, step: Vector, promise: float
) -> tuple[Vector, float] | None:
    """Return the first point on the way that gains a fair part of what the slope promises, and how far it is."""
    length = min(1.0, _LONGEST_STEP / float(np.abs(step).max()))
    for _ in range(40):
        there = network.balanced(joint * np.exp(length * step))
        gain = likelihood.gain(joint, there) if network.imbalance(there) < FEASIBLE else -np.inf
        if gain >= 1e-4 * length * promise:
            return there, length
        top = 0.5 * length * promise / (length * promise - gain)  # of a parabola through what is known
        length *= min(0.5, max(0.1, top))
    return None


class Information:
    """The information that counts carry on a balanced table: a metric, and steepest ascent in it.

    A change of ln J(uv) is one of ln P(v | u), which the n(u) letters after the context u tell, and one of ln pi(u), which
    the sequences that begin with u tell. Where there are none, little is assumed in their place.
    """

    def __init__(self, network: Network, likelihood: Likelihood, joint: Vector) -> None:
        self._network, self._joint = network, joint
        tail, head = network.tail, network.head
        share = network.outflow(joint)
        begun = np.zeros(network.n_nodes)
        begun[tail] = likelihood.begun
        followed = network.outflow(network.symmetric(likelihood.full))
        # The inverse of the information, relative to how probable a context is
        self._on_letter = share / (followed + 0.1 * likelihood.total * share)
        self._on_context = share / (begun + 1e-6 * likelihood.total * share)
        self._chance = chance = joint / share[tail]
        # The matrix for the potential that keeps the change balanced: the variance of the potential after a context,
        # and the square of how it changes on average. Loops are left out of the latter: they would cancel.
        away = np.where(tail == head, 0.0, chance)
        weight = self._on_context * share
        drop = network.matrix(-away, network.outflow(away))
        weighted = network.matrix(-away * weight[tail], network.outflow(away) * weight)
        square = network.matrix(np.zeros(len(tail)), network.inflow(joint * self._on_letter[tail]))
        mean = network.matrix(chance).T @ network.matrix(joint * self._on_letter[tail])
        system = square - mean + drop.T @ weighted
        self._solver = network.solver(0.5 * (system + system.T))
        self._constant = self._response(np.ones(len(joint)))

    def ascent(self, slope: Vector) -> Vector:
        """Return the step s that maximises slope @ s less half its squared length, among changes of ln J.

        `slope` is one from :meth:`Network.tangent`.
        """
        step = self._response(slope / self._joint)
        level = float(self._joint @ step) / float(self._joint @ self._constant)  # the sum of J stays one
        return self._network.symmetric(step - level * self._constant)

    def _response(self, slope: Vector) -> Vector:
        """The same with derivatives by J, and a sum that may change."""
        tail, head = self._network.tail, self._network.head
        mean = self._network.outflow(self._chance * slope)
        change = self._joint * (self._on_letter[tail] * (slope - mean[tail]) + (self._on_context * mean)[tail])
        potential = self._solver.solve(self._network.outflow(change) - self._network.inflow(change))
        slope = slope + potential[head] - potential[tail]
        mean = self._network.outflow(self._chance * slope)
        return self._on_letter[tail] * (slope - mean[tail]) + (self._on_context * mean)[tail]


@dataclass(frozen=True)
class _Step:
    step: Vector
    change: Vector  # by how much the slope fell
    product: float


class _Memory:
    """How slopes fell along the last steps, which corrects the metric."""

    def __init__(self) -> None:
        self._steps: deque[_Step] = deque(maxlen=_STEPS_KEPT)
        self._scale = 1.0

    def is_empty(self) -> bool:
        return not self._steps

    def add(self, step: Vector, change: Vector, metric: Information) -> None:
        """Remember a step, unless the slope rose along it."""
        product, square = float(step @ change), float(change @ metric.ascent(change))
        if square > 0.0 and product > 1e-10 * self._scale * square:
            self._steps.append(_Step(step, change, product))
            self._scale = product / square

    def step(self, slope: Vector, metric: Information) -> Vector:
        """Return the step to the presumable maximum."""
        shares = []
        for past in reversed(self._steps):
            shares.append(float(past.step @ slope) / past.product)
            slope = slope - shares[-1] * past.change
        step = self._scale * metric.ascent(slope)
        for past, share in zip(self._steps, reversed(shares), strict=True):
            step = step + (share - float(past.change @ step) / past.product) * past.step
        return step
