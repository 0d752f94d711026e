"""An HMM's numbers at one set of parameter values, and what the recursions add up about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ModelError
from tiedseq.kernels.hmm_layout import FOUR, Letters
from tiedseq.kernels.layout import LANES
from tiedseq.kernels.memory import aligned, aligned_zeros

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


def uses(derivative: Floats, table: Floats) -> Floats:
    """How often the entries of a table are used; what is impossible never is, whatever its derivative."""
    return np.multiply(derivative, table, out=np.zeros_like(table), where=table > 0.0)


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
        waiting, circle = silent_order(self.silent, self.possible)
        if circle:
            raise circular(map(str, circle))
        return np.concatenate([np.flatnonzero(~self.silent), np.array(waiting, np.intp)])

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


def silent_order(silent: NDArray[np.bool_], possible: NDArray[np.bool_]) -> tuple[list[int], list[int]]:
    """Return the silent states, each after those that lead to it, and those that lead back to themselves."""
    found: list[int] = []
    waiting = np.flatnonzero(silent).tolist()
    while free := [s for s in waiting if not possible[waiting, s].any()]:
        found += free
        waiting = [s for s in waiting if s not in free]
    while free := [s for s in waiting if not possible[s, waiting].any()]:  # behind a circle, but in none
        waiting = [s for s in waiting if s not in free]
    return found, waiting


def circular(names: Iterable[str]) -> ModelError:
    """The error that these silent states lead back to themselves."""
    return ModelError(
        f"The silent states {', '.join(names)} lead back to themselves without emitting anything; silent states need "
        "an order. Remove one of their transitions."
    )


@dataclass(frozen=True)
class Likelihoods:
    """What letters say of states: letter n has row rows[n] of a table."""

    letters: Letters  # the table as the kernels want it, and the letters' rows
    n_states: int  # that emit
    log_scale: Floats  # (R,): ln of the largest of the row
    by_state: Floats | None = None  # (n_states, R): ln of the likelihoods, where that says more than the table

    @classmethod
    def of(cls, probabilities: Floats, rows: NDArray[np.integer]) -> Likelihoods:
        """From probabilities (R, emitting states)."""
        top = probabilities.max(axis=1, initial=0.0)
        top[top == 0.0] = 1.0
        n_rows, states = probabilities.shape
        found = cls(Letters(aligned_zeros((n_rows + 1) * _padded(states)), rows), states, np.log(top))
        np.divide(probabilities, top[:, None], out=found.table)
        return found

    @classmethod
    def of_logarithms(cls, logs: Floats, rows: NDArray[np.integer]) -> Likelihoods:
        """From ln of probabilities or densities (R, emitting states); best column by column, as the kernel wants it."""
        from tiedseq.kernels.hmm_table import BLOCK, fill_table

        n_rows, states = logs.shape
        by_state, width = np.ascontiguousarray(logs.T), _padded(states)
        table, log_scale = aligned((n_rows + 1) * width), np.empty(n_rows)
        fill_table(by_state, table, log_scale, aligned((width + 1) * BLOCK), np.empty(LANES, np.int64))
        return cls(Letters(table, rows), states, log_scale, by_state)

    @property
    def table(self) -> Floats:
        """(R, emitting states): relative to the largest of the row; a row of zeros is impossible everywhere."""
        return self.letters.table.reshape(len(self.log_scale) + 1, -1)[:-1, : self.n_states]

    @property
    def rows(self) -> NDArray[np.integer]:
        """(letters,)"""
        return self.letters.rows

    @cached_property
    def logs(self) -> Floats:
        """ln of the table, also of what is beyond float64's range there."""
        if self.by_state is not None:
            return np.ascontiguousarray((self.by_state - self.log_scale).T)
        with np.errstate(divide="ignore"):
            return np.log(self.table)

    @property
    def is_lossy(self) -> bool:
        """Whether something is zero in the table only since it is beyond float64's range."""
        if self.by_state is None:
            return False
        lost = self.table == 0.0
        return bool(lost.any()) and bool(np.isfinite(self.logs[lost]).any())

    def letter_by_letter(self) -> Likelihoods:
        """The same with a row for every letter."""
        rows = np.arange(len(self.rows), dtype=np.int32)
        if len(rows) == len(self.log_scale) and np.array_equal(self.rows, rows):
            return self
        if self.by_state is not None:
            return Likelihoods.of_logarithms(self.by_state[:, self.rows].T, rows)
        found = Likelihoods.of(self.table[self.rows], rows)
        return replace(found, log_scale=found.log_scale + self.log_scale[self.rows])


def _padded(states: int) -> int:
    """Places of a row in the kernels' table."""
    return -(-states // FOUR) * FOUR


class Derivatives(NamedTuple):
    """d ln P / d table entry, summed over sequences times their weights; and the posterior of states by row."""

    start: Floats  # (S,)
    transitions: Floats  # (S, S)
    end: Floats  # (S,)
    used: Floats  # (R, emitting states): how often a row's letter was emitted by a state; not a derivative
