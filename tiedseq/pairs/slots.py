"""A model's tables as the lane kernels want them, and what the kernels add up as the tables' derivatives.

The kernels want xy states first, then x, then y, and at least one of each. A *slot* is a state's place in that order; a
slot that no state fills is one that nothing enters. Everything is odds over background letters, which keeps numbers
near 1.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from tiedseq.kernels.layout import DAMPING, KernelTables, Model, ModelArrays, SymbolGradient

from .modes import border_weights
from .tables import DerivativeSums, Floats, PairTables

_LETTER_COUNTS = (4, 8, 16, 24, 32, 48, 64, 96, 128, 256)  # kernels are compiled for these: others are padded


class Slots:
    """The translation between one model's states and the kernels' slots."""

    def __init__(self, tables: PairTables) -> None:
        self.tables = tables
        by_kind = [[s for s, kind in enumerate(tables.kinds) if kind == wanted] for wanted in ("xy", "x", "y")]
        self.states = [s for states in by_kind for s in states or [-1]]  # by slot; -1: none
        self.pairs, self.deletions, self.insertions = (max(1, len(states)) for states in by_kind)
        self.letters = next(count for count in _LETTER_COUNTS if count >= tables.observation.shape[1])
        self.record = self.pairs * self.letters + self.deletions  # emissions of a row of cells

    def __len__(self) -> int:
        return len(self.states)

    # ---- to the kernels ---------------------------------------------------------------------------------------------

    def _placed(self, values: Floats) -> Floats:
        return np.array([values[s] if s >= 0 else 0.0 for s in self.states])

    @cached_property
    def arrays(self) -> ModelArrays:
        """Start, transitions and end as arrays."""
        transitions = np.array([self._placed(row) for row in self.tables.transitions])
        transitions = np.array([transitions[s] if s >= 0 else np.zeros(len(self)) for s in self.states])
        return ModelArrays(self._placed(self.tables.start), transitions, self._placed(self.tables.end))

    @cached_property
    def model(self) -> Model:
        """The numbers as tuples, for sums over alignments. Kernels compile for their lengths and pattern of edges."""
        arrays, size, pairs = self.arrays, len(self), self.pairs
        # most models have no edges between different gap states; each pattern of edges compiles once, so there are two
        spared = np.zeros((size, size), bool)
        spared[pairs:, pairs:] = ~np.eye(size - pairs, dtype=bool)
        if np.any(arrays.transitions[spared]):
            spared[:] = False
        rows = tuple(
            tuple(None if spared[a, b] else float(arrays.transitions[a, b]) for b in range(size)) for a in range(size)
        )
        letters, xy, x, y = ((0,) * count for count in (self.letters, pairs, self.deletions, self.insertions))
        return Model(rows, tuple(arrays.start.tolist()), tuple(arrays.end.tolist()), letters, xy, x, y, best=None)

    @cached_property
    def _emissions(self) -> tuple[Floats, Floats]:
        """By symbol: (symbols + 1, record) for rows of cells, (symbols, letters + insertions) for columns."""
        observation, background = self.tables.observation, self.tables.symbol_background
        symbols, n_letters = observation.shape
        rows, columns = np.zeros((symbols + 1, self.record)), np.zeros((symbols, self.letters + self.insertions))
        columns[:, :n_letters] = self.tables.letter_odds.T
        for slot, s in enumerate(self.states):
            if s < 0:
                continue
            emission = observation @ self.tables.emissions[s]
            if slot < self.pairs:
                rows[:-1, slot * self.letters :][:, :n_letters] = emission / background[:, None]
            elif slot < self.pairs + self.deletions:
                rows[:-1, self.pairs * self.letters + slot - self.pairs] = emission / background
            else:
                columns[:, self.letters + slot - self.pairs - self.deletions] = emission / background
        return rows, columns

    def kernel_tables(self, mode: str) -> KernelTables:
        """Return the emissions, and the weights of a mode's cells."""
        return KernelTables(*self._emissions, *border_weights(mode))

    # ---- from the kernels -------------------------------------------------------------------------------------------

    def new_sums(self) -> SymbolGradient:
        """Return zeros for the kernels to add to."""
        symbols = len(self.tables.symbol_background)
        return SymbolGradient(
            np.zeros(len(self) * (len(self) + 2)),
            np.zeros((symbols, self.record)),
            np.zeros((symbols, self.insertions)),
            np.zeros(symbols),
        )

    def derivatives(self, log_totals: Floats, sums: SymbolGradient) -> DerivativeSums:
        """Return what the kernels added up by the model's own states and letters."""
        tables, size = self.tables, len(self)
        states, n_letters = len(tables.kinds), tables.observation.shape[1]
        wide = self.pairs * self.letters
        emitted = sums.matched + (sums.rows * self._emissions[0][:-1])[:, wide:].sum(axis=1)
        emitted += (sums.columns * self._emissions[1][:, self.letters :]).sum(axis=1)
        by_slot, start, end = np.split(sums.model, [size * size, size * (size + 1)])
        result = DerivativeSums(
            log_totals, np.zeros(states), np.zeros((states, states)), np.zeros(states), [np.zeros(0)] * states, emitted
        )
        used = [slot for slot, s in enumerate(self.states) if s >= 0]
        for slot in used:
            s = self.states[slot]
            result.start[s], result.end[s] = start[slot], end[slot]
            for other in used:
                result.transitions[s, self.states[other]] = by_slot[slot * size + other] / DAMPING
            if slot < self.pairs:
                by_symbol = sums.rows[:, slot * self.letters :][:, :n_letters]
            elif slot < self.pairs + self.deletions:
                by_symbol = sums.rows[:, wide + slot - self.pairs]
            else:
                by_symbol = sums.columns[:, slot - self.pairs - self.deletions]
            result.emissions[s] = tables.letter_odds @ by_symbol
        return result
