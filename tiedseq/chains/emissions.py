"""What states say of observations, whatever they emit: a table of likelihoods in, statistics of the posterior out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ModelError
from tiedseq.families import Family

from .cuts import Spans
from .tables import Floats, Index, Likelihoods
from .words import Words


class Batch(NamedTuple):
    """Sequences that are worked on together."""

    observations: Any  # Words of letters, or float64 (observations, dims)
    spans: Spans  # which observations are whose, and the sequences' weights
    first: int  # number of the first sequence among all
    allowed: NDArray[np.bool_] | None  # (observations, emitting states), or None: all states everywhere

    @property
    def ends(self) -> Index:
        return self.spans.ends

    @property
    def weights(self) -> Floats:
        return self.spans.weights


class Emissions(Protocol):
    """What the recursions need of emissions at one set of values; can be pickled."""

    def likelihoods(self, batch: Batch) -> Likelihoods: ...

    def statistics(self, batch: Batch, used: Floats) -> Floats:
        """Flat statistics of the posterior `used`, which has a row for each of the likelihoods' table."""


class LetterEmissions:
    """Every state has a table of letters, or of letters after those before them."""

    def __init__(self, tables: Sequence[Floats]) -> None:
        self.tables = np.array([table.ravel() for table in tables])  # (E, cells)

    def likelihoods(self, batch: Batch) -> Likelihoods:
        words: Words = batch.observations
        found = Likelihoods.of(words.probabilities(self.tables), words.rows)
        return found if batch.allowed is None else restricted(found, batch.allowed)

    def statistics(self, batch: Batch, used: Floats) -> Floats:
        derivatives = self.derivatives(batch, used)
        return np.multiply(derivatives, self.tables, out=np.zeros_like(derivatives), where=self.tables > 0.0).ravel()

    def derivatives(self, batch: Batch, used: Floats) -> Floats:
        """d ln P / d cell of every state's table, (E, cells)."""
        words: Words = batch.observations
        return words.derivatives(self.tables, used_by_row(batch, words.rows, words.weights.shape[0], used))


class FamilyStates(NamedTuple):
    """States whose emissions are computed together."""

    family: Family
    states: NDArray[np.intp]  # among the emitting ones
    values: list[dict[str, Any]]  # of each


class FamilyEmissions:
    """Every state has a distribution of numbers."""

    def __init__(self, groups: Sequence[FamilyStates]) -> None:
        self.groups = list(groups)
        self.n_states = sum(len(group.states) for group in groups)
        self.is_uniform = len(groups) == 1 and np.array_equal(groups[0].states, np.arange(self.n_states))

    def likelihoods(self, batch: Batch) -> Likelihoods:
        length = len(batch.observations)
        parts = [_checked_logs(group, batch.observations) for group in self.groups]
        if self.is_uniform:
            (logs,) = parts
        else:
            logs = np.empty((self.n_states, length)).T
            for group, part in zip(self.groups, parts, strict=True):
                logs[:, group.states] = part
        if batch.allowed is not None:
            logs = np.where(batch.allowed, logs, -np.inf)
        return Likelihoods.of_logarithms(logs, np.arange(length, dtype=np.int32))

    def statistics(self, batch: Batch, used: Floats) -> Floats:
        shares = [used] if self.is_uniform else [used[:, group.states] for group in self.groups]
        parts = [
            group.family.statistics(batch.observations, share, group.values)
            for group, share in zip(self.groups, shares, strict=True)
        ]
        for group, part in zip(self.groups, parts, strict=True):
            if not np.isfinite(part).all():
                raise ModelError(f"{type(group.family).__name__}.statistics returned what is not finite; correct it.")
        return np.concatenate([part.ravel() for part in parts])


def _checked_logs(group: FamilyStates, observations: Floats) -> Floats:
    """What a family, which may be a user's own, says of observations. Raises ModelError if that cannot be."""
    logs = group.family.log_likelihoods(observations, group.values)
    wanted = (len(observations), len(group.values))
    if np.shape(logs) != wanted:
        raise ModelError(
            f"{type(group.family).__name__}.log_likelihoods returned the shape {np.shape(logs)}; it must be {wanted}, "
            "observations and states."
        )
    if len(logs) and not logs.max() < np.inf:  # NaN is not below it either
        raise ModelError(
            f"{type(group.family).__name__}.log_likelihoods returned {logs.max()}; a logarithm of a density is a "
            "finite number, or -inf where the observation is impossible."
        )
    return logs


def restricted(likelihoods: Likelihoods, allowed: NDArray[np.bool_]) -> Likelihoods:
    """Likelihoods letter by letter, zero in states that are not allowed there."""
    table = np.where(allowed, likelihoods.table[likelihoods.rows], 0.0)
    found = Likelihoods.of(table, np.arange(len(table), dtype=np.int32))
    return replace(found, log_scale=found.log_scale + likelihoods.log_scale[likelihoods.rows])


def used_by_row(batch: Batch, rows: NDArray[np.integer], n_rows: int, used: Floats) -> Floats:
    """The posterior by row of the words' table; by letter it is where what is allowed differs from letter to letter."""
    if batch.allowed is None:
        return used
    summed = np.zeros((n_rows, used.shape[1]))
    np.add.at(summed, rows.astype(np.intp), used)
    return summed
