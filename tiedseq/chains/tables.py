"""An HMM's numbers at one set of parameter values, and what the recursions add up about them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ModelError

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class ChainTables:
    """States and the probabilities of going from one to the other.

    An edge that `possible` allows counts even where training has brought its probability to zero.
    """

    start: Floats  # (S,)
    transitions: Floats  # (S, S)
    end: Floats  # (S,): all 1 in a model without an end
    silent: NDArray[np.bool_]  # (S,): states that emit nothing
    possible: NDArray[np.bool_]  # (S, S)

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """All states: emitting ones as they are, then silent ones, each after the silent states that lead to it.

        Raises ModelError if silent states lead back to themselves.
        """
        emitting, waiting = np.flatnonzero(~self.silent), np.flatnonzero(self.silent).tolist()
        sorted_states: list[int] = []
        while waiting:
            free = [s for s in waiting if not self.possible[waiting, s].any()]
            if not free:
                raise ModelError(
                    f"The silent states number {', '.join(map(str, waiting))} lead back to themselves without "
                    "emitting anything; silent states need an order. Remove one of their transitions."
                )
            sorted_states += free
            waiting = [s for s in waiting if s not in free]
        return np.concatenate([emitting, np.array(sorted_states, np.intp)])

    @cached_property
    def n_emitting(self) -> int:
        return int((~self.silent).sum())

    @cached_property
    def entered(self) -> Floats:
        """(S,): the probability of being in a state before the first letter (silent), or at it (emitting)."""
        entered = self.start.copy()
        for s in self.order[self.n_emitting :]:
            entered += entered[s] * self.transitions[s]
        return entered

    @cached_property
    def finish(self) -> Floats:
        """(S,): the probability of ending from a state, through silent ones too, before another letter."""
        finish = self.end.copy()
        for s in self.order[: self.n_emitting - 1 : -1] if self.silent.any() else []:
            finish += self.transitions[:, s] * finish[s]
        return finish


class Likelihoods(NamedTuple):
    """What letters say of states: letter n has row rows[n] of a table."""

    table: Floats  # (R, emitting states), relative to the largest of the row; a row of zeros is impossible everywhere
    log_scale: Floats  # (R,): ln of the largest of the row
    rows: NDArray[np.integer]  # (letters,)
    logs: Floats | None = None  # ln of the table, where that says more: what is beyond float64's range in the table

    @classmethod
    def of(cls, probabilities: Floats, rows: NDArray[np.integer]) -> Likelihoods:
        """From probabilities (R, emitting states)."""
        top = probabilities.max(axis=1, initial=0.0)
        top[top == 0.0] = 1.0
        return cls(probabilities / top[:, None], np.log(top), rows)

    @classmethod
    def of_logarithms(cls, logs: Floats, rows: NDArray[np.integer]) -> Likelihoods:
        """From ln of probabilities or densities (R, emitting states)."""
        top = logs.max(axis=1, initial=-np.inf)
        top[top == -np.inf] = 0.0
        relative = logs - top[:, None]
        return cls(np.exp(relative), top, rows, relative)


class Derivatives(NamedTuple):
    """d ln P / d table entry, summed over sequences times their weights; and the posterior of states by row."""

    start: Floats  # (S,)
    transitions: Floats  # (S, S)
    end: Floats  # (S,)
    used: Floats  # (R, emitting states): how often a row's letter was emitted by a state; not a derivative


def scales(likelihoods: Likelihoods, ends: Index) -> Floats:
    """Return what the rows' scales add to ln P of every sequence."""
    from tiedseq.kernels.hmm import sum_scales

    totals = np.empty(len(ends) - 1)
    sum_scales(likelihoods.log_scale, likelihoods.rows, ends, totals)
    return totals
