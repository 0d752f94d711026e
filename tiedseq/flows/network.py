"""Circulations: positive flows along the edges of a graph, of which as much enters every node as leaves it.

The joint table of a stationary Markov chain is one: its contexts are the nodes, its words the edges.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Index = NDArray[np.intp]
Matrix = Any
"""A NumPy array for a small graph, a SciPy sparse array for a large one."""

TINY = 1e-100  # what a flow along an edge does not fall below: zero as far as it matters, yet it may grow again
_DENSE = 100  # up to so many nodes equations are solved by Cholesky's method, beyond by conjugate gradients
_ROUNDING = 4e-16  # how far the flows through a node may differ, relative to their sum
_NO_FLOW = 1e-80  # flows below this are too close to TINY to be balanced to rounding


class Network:
    """A directed graph, and perhaps a mirror image of it in itself, which turns edges round.

    Parameters
    ----------
    tail, head : int arrays of shape (n_edges,)
        Where each edge begins and ends; nodes are 0 .. n_nodes - 1. Loops and parallel edges are allowed. What is
        connected must be strongly connected (see :func:`one_way`), or there is no positive circulation.
    mirror : int array of shape (n_edges,), default None
        The mirror image of each edge, an edge between the mirror images of its ends, in the other direction. Flows are
        then equal on mirror images. None is no symmetry.
    """

    def __init__(self, tail: Index, head: Index, mirror: Index | None = None) -> None:
        self.tail, self.head, self.mirror = tail, head, mirror
        self.n_nodes = int(max(tail.max(), head.max())) + 1
        self.component = _components(tail, head, self.n_nodes, "weak")
        self.node_mirror = np.arange(self.n_nodes)
        if mirror is not None:
            self.node_mirror[tail] = head[mirror]
        self._loop = tail == head

    @property
    def n_free(self) -> int:
        """The dimensions of the space of symmetric circulations whose sum is one."""
        n_components = int(self.component.max()) + 1
        if self.mirror is None:
            return len(self.tail) - (self.n_nodes - n_components) - 1
        edges, nodes = np.arange(len(self.tail)), np.arange(self.n_nodes)
        orbits = int((edges <= self.mirror).sum())
        # A node that is its own image is balanced by symmetry, and of two images one takes care of the other. Over a
        # component that is another one's image the equations add up to those of that image.
        equations = int((nodes < self.node_mirror).sum())
        image = np.arange(n_components)
        image[self.component] = self.component[self.node_mirror]
        return orbits - (equations - int((np.arange(n_components) < image).sum())) - 1

    def outflow(self, flow: Vector) -> Vector:
        """Sum over the edges that leave each node."""
        return np.bincount(self.tail, flow, self.n_nodes)

    def inflow(self, flow: Vector) -> Vector:
        """Sum over the edges that enter each node."""
        return np.bincount(self.head, flow, self.n_nodes)

    def symmetric(self, values: Vector) -> Vector:
        """Average with the mirror image; the same to the last bit on an edge and its image."""
        return values if self.mirror is None else 0.5 * (values + values[self.mirror])

    def imbalance(self, flow: Vector) -> float:
        """Return by how much in- and outflow differ at most, relative to their sum."""
        into, out = self.inflow(flow), self.outflow(flow)
        return float((np.abs(into - out) / (into + out + _NO_FLOW)).max())

    def is_balanced_everywhere(self, flow: Vector) -> bool:
        """Whether a flow passes through every node, and is a circulation as it stands."""
        return bool((self.outflow(flow) > 0.0).all() and self.imbalance(flow) < 1e-14)

    def balanced(self, flow: Vector) -> Vector:
        """Return the circulation of sum one that is nearest to a positive flow, in relative entropy.

        It is flow * exp(h(head) - h(tail)), with the potential h at which the sum over all edges is smallest: a convex
        problem, solved by Newton's method. (Csiszar, Ann. Probab. 3 (1975) 146, on the projection; for matrices it is
        known as balancing.)
        """
        flow = self._normalized(flow)
        error, last, damped = self.imbalance(flow), np.inf, True
        for _ in range(300):
            if error < _ROUNDING or (error < 1e-13 and error > 0.5 * last and not damped):
                break
            step = self._gradient(self._laplacian(flow).solve(self.outflow(flow) - self.inflow(flow)))
            longest = float(np.abs(step).max())
            damped = longest > 0.5
            flow = self._normalized(flow * np.exp(step / (1.0 + longest) if damped else step))
            last, error = error, self.imbalance(flow)
        return flow

    def tangent(self, flow: Vector, slope: Vector) -> Vector:
        """Return the derivatives of f(balanced(flow * exp(s))) by s at s = 0, given those of f by the flow.

        They are flow * (slope, made orthogonal to potentials and constants), and so a circulation of sum zero.
        """
        slope = self.symmetric(slope - flow @ slope)
        through = flow * slope
        potential = self._laplacian(flow).solve(self.inflow(through) - self.outflow(through))
        return self.symmetric(flow * (slope - self._gradient(potential)))

    def stationary(self, chances: Vector, mass: Vector) -> Vector:
        """Return the circulation whose outflows are shared by `chances`.

        `chances` of the edges that leave a node sum to one; `mass` is the share of each component in the whole. By the
        elimination of Grassmann, Taksar and Heyman, Oper. Res. 33 (1985) 1107: no differences, so that every flow has
        all its digits, however small.
        """
        share = np.zeros(self.n_nodes)
        for number, total in enumerate(mass):
            nodes = np.flatnonzero(self.component == number)
            position = np.zeros(self.n_nodes, dtype=np.intp)
            position[nodes] = np.arange(len(nodes))
            inside = self.component[self.tail] == number
            matrix = np.zeros((len(nodes), len(nodes)))
            np.add.at(matrix, (position[self.tail[inside]], position[self.head[inside]]), chances[inside])
            share[nodes] = total * _long_run(matrix)
        return share[self.tail] * chances

    def matrix(self, values: Vector, diagonal: Vector | float = 0.0) -> Matrix:
        """Return the matrix with `values` at (tail, head), summed over parallel edges, plus a diagonal."""
        n, nodes = self.n_nodes, np.arange(self.n_nodes)
        if n <= _DENSE:
            dense = np.bincount(self.tail * n + self.head, values, n * n).reshape(n, n)
            dense[nodes, nodes] += diagonal
            return dense
        from scipy.sparse import coo_array

        entries = np.concatenate([values, np.broadcast_to(diagonal, n)])
        places = np.concatenate([self.tail, nodes]), np.concatenate([self.head, nodes])
        return coo_array((entries, places), shape=(n, n)).tocsr()

    def solver(self, matrix: Matrix) -> Solver:
        """Return the solver of equations with this matrix, whose null vectors are constant on each component."""
        return Solver(matrix, self.component)

    def _laplacian(self, flow: Vector) -> Solver:
        between = np.where(self._loop, 0.0, flow)  # loops would cancel, and take the digits of weak edges along
        half = self.matrix(-between, 0.5 * (self.outflow(between) + self.inflow(between)))
        return self.solver(half + half.T)

    def _gradient(self, potential: Vector) -> Vector:
        return potential[self.head] - potential[self.tail]

    def _normalized(self, flow: Vector) -> Vector:
        flow = self.symmetric(np.maximum(flow, TINY))
        return np.maximum(flow / flow.sum(), TINY)


class Solver:
    """Equations with a symmetric matrix that is positive semidefinite; null vectors are constant on each component."""

    def __init__(self, matrix: Matrix, component: Index) -> None:
        diagonal = np.asarray(matrix.diagonal(), dtype=np.float64)
        self._weight = np.where(diagonal > 0.0, diagonal, 1.0)
        self._scale = 1.0 / np.sqrt(self._weight)
        self._component = component
        self._factor: Any = None
        self._matrix = matrix
        if isinstance(matrix, np.ndarray):
            self._factorize(matrix)

    def solve(self, right: Vector) -> Vector:
        """Return a solution; of the right side, what lies in the null space is rounding, and is dropped."""
        excess = np.bincount(self._component, right) / np.bincount(self._component, self._weight)
        right = self._scale * (right - self._weight * excess[self._component])
        if self._factor is None:
            found = self._iterate(right)
            if found is not None:
                return self._scale * found
            self._factorize(self._matrix.toarray())
        from scipy.linalg import cho_solve

        return np.asarray(self._scale * cho_solve(self._factor, right, check_finite=False))

    def _iterate(self, right: Vector) -> Vector | None:
        """Conjugate gradients on the matrix with a diagonal of ones; None if they do not converge."""
        from scipy.sparse.linalg import LinearOperator, cg

        scaled = LinearOperator(self._matrix.shape, lambda x: self._scale * (self._matrix @ (self._scale * x.ravel())))
        found, failure = cg(scaled, right, rtol=1e-9, maxiter=200)
        return None if failure else np.asarray(found)

    def _factorize(self, matrix: Vector) -> None:
        from scipy.linalg import cho_factor

        scaled = matrix * np.outer(self._scale, self._scale)
        nodes = np.arange(len(scaled))
        more = 1e-14 * len(scaled)  # for the null space, and for components that next to nothing connects
        while self._factor is None:
            scaled[nodes, nodes] = 1.0 + more
            try:
                self._factor = cho_factor(scaled, check_finite=False)
            except np.linalg.LinAlgError:  # rounding has made it indefinite
                more *= 100.0


def one_way(tail: Index, head: Index) -> NDArray[np.bool_]:
    """Return which edges lead where no path leads back: those that are zero in every circulation."""
    component = _components(tail, head, int(max(tail.max(), head.max())) + 1, "strong")
    return np.asarray(component[tail] != component[head])


def _components(tail: Index, head: Index, n_nodes: int, connection: str) -> Index:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(tail)), (tail, head)), shape=(n_nodes, n_nodes)).tocsr()
    return np.asarray(connected_components(graph, connection=connection)[1], dtype=np.intp)


def _long_run(matrix: Vector) -> Vector:
    """Return the stationary distribution of an irreducible stochastic matrix, which is overwritten."""
    n = len(matrix)
    for last in range(n - 1, 0, -1):
        entering, leaving = matrix[:last, last], matrix[last, :last]
        entering /= leaving.sum()
        some = np.flatnonzero(entering)
        matrix[some, :last] += entering[some, None] * leaving
    share = np.ones(n)
    for node in range(1, n):
        share[node] = share[:node] @ matrix[:node, node]
    return share / share.sum()
