"""A pair-HMM at one set of values, ready to work: what a batch of pairs says of it. Can be sent to another process.

Counts are laid out as `counts_of` does: start, transitions with the end as their last column, the emissions of every
state, the background.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Codes
from tiedseq.chains.cuts import Spans
from tiedseq.chains.recursion import ChainRecursion
from tiedseq.chains.tables import ChainTables, Likelihoods, uses
from tiedseq.columns import span_of
from tiedseq.errors import SequenceError
from tiedseq.training import Statistics

from .batches import Columns, PairBatch
from .modes import log_box_count
from .paths import boxes_of
from .recursion import Derivatives, Recursion
from .tables import Floats, PairTables

ROUNDING = 1e-15  # a strand with no more than this share of P changes nothing
Pairs = list[tuple[Codes, Codes]]


class PairMachine:
    """A model's tables at one set of values, and what pairs of sequences are taken for.

    Parameters
    ----------
    tables : PairTables
    mode : {"global", "local", "glocal", "overlap"}
    complement : uint8 array, default None
        The complement of every symbol: strand "both", an even mixture of the query and its reverse complement. None:
        the query as it is.
    """

    def __init__(self, tables: PairTables, mode: str, complement: Codes | None = None) -> None:
        self.tables, self.mode, self.complement = tables, mode, complement

    @cached_property
    def recursion(self) -> Recursion:
        return Recursion(self.tables)

    def __getstate__(self) -> dict[str, Any]:
        return {"tables": self.tables, "mode": self.mode, "complement": self.complement}

    def log_likelihoods(self, pairs: Pairs) -> Floats:
        """ln P of every pair; -inf where no alignment explains it."""
        forward = self.recursion.log_likelihoods(pairs, self.mode)
        if self.complement is None:
            return forward
        return np.logaddexp(forward, self.recursion.log_likelihoods(self._turned(pairs), self.mode)) - np.log(2.0)

    def shares(self, pairs: Pairs) -> Floats:
        """(2, pairs): how much of P is the forward strand's and the reverse one's; all forward if there is no P."""
        if self.complement is None:
            return np.array([np.ones(len(pairs)), np.zeros(len(pairs))])
        logs = np.array([self.recursion.log_likelihoods(read, self.mode) for read in (pairs, self._turned(pairs))])
        total = np.logaddexp(logs[0], logs[1])
        shares = np.exp(logs - np.where(total == -np.inf, 0.0, total))
        shares[0, total == -np.inf] = 1.0
        return shares

    def expected_size(self, x: Codes, y: Codes) -> tuple[int, tuple[int, int]]:
        """How many columns are expected of the alignment, and how many letters of x and of y outside of it, rounded."""
        _, derivatives = self.derivatives([(x, y)], np.ones(1))
        columns = dict.fromkeys(("x", "y", "xy"), 0.0)
        for kind, derivative, table in zip(
            self.tables.kinds, derivatives.emissions, self.tables.emissions, strict=True
        ):
            columns[kind] += float(uses(derivative, table).sum())
        outside_x, outside_y = (
            max(0, round(side.size - columns["xy"] - columns[kind])) for kind, side in (("x", x), ("y", y))
        )
        return round(sum(columns.values())), (outside_x, outside_y)

    def derivatives(
        self, pairs: Pairs, weights: Floats, numbers: Sequence[int] | None = None
    ) -> tuple[Floats, Derivatives]:
        """ln P of every pair, and the derivatives of their sum with these weights; `numbers` as in `Recursion`."""
        if self.complement is None or not pairs:
            return self.recursion.derivatives(pairs, self.mode, weights, numbers)
        if numbers is None and len(pairs) > 1:
            numbers = range(len(pairs))
        logs, parts = np.full(len(pairs), -np.inf), []
        for share, read in zip(self.shares(pairs), (pairs, self._turned(pairs)), strict=True):
            used = np.flatnonzero(share > ROUNDING)
            if len(used):
                chosen = [read[k] for k in used.tolist()]
                named = None if numbers is None else [numbers[k] for k in used.tolist()]
                found, derivatives = self.recursion.derivatives(chosen, self.mode, weights[used] * share[used], named)
                logs[used] = np.logaddexp(logs[used], found - np.log(2.0))
                parts.append(derivatives)
        return logs, sum_of(parts)

    def _turned(self, pairs: Pairs) -> Pairs:
        """The pairs with the reverse complements of their queries."""
        assert self.complement is not None
        return [(x, self.complement[y][::-1].copy()) for x, y in pairs]

    # ---- given alignments -----------------------------------------------------------------------------------------

    def given_derivatives(self, batch: PairBatch) -> tuple[Floats, Derivatives]:
        """The same over the states that can emit the columns of given alignments: a chain of columns for each pair."""
        assert batch.columns is not None
        tables, letters = self.tables, len(self.tables.symbol_background)
        rows, ends = _column_symbols(batch, letters)
        distinct, rows = np.unique(rows, return_inverse=True)
        likelihoods = Likelihoods.of(_column_likelihoods(tables, distinct), rows.astype(np.int32))
        states = len(tables.kinds)
        chain = ChainTables(
            tables.start, tables.transitions, tables.end, np.zeros(states, bool), np.ones((states, states), bool)
        )
        logs, stuck, found = ChainRecursion(chain).expect(likelihoods, Spans(ends, batch.weights))
        outside = np.zeros(letters)
        for number, (pair, columns) in enumerate(zip(batch.pairs, batch.columns, strict=True)):
            flanks, boxes = _flanks(pair, columns, self.mode, batch.numbers[number])
            if stuck[number] >= 0:
                raise SequenceError(
                    f"pairs[{batch.numbers[number]}]: {_why_impossible(tables, columns, int(stuck[number]))}"
                )
            logs[number] += float(np.log(tables.symbol_background)[flanks].sum()) + np.log(boxes)
            logs[number] -= log_box_count(pair[0].size, pair[1].size, self.mode)
            outside += batch.weights[number] * np.bincount(flanks, minlength=letters)
        emissions = _emission_derivatives(tables, distinct, found.used)
        background = tables.letter_odds @ outside
        return logs, Derivatives(found.start, 0.0, found.transitions, found.end, emissions, background)


def expect(machine: PairMachine, batch: PairBatch, run: Any = map) -> Statistics:
    """The E-step of a batch of pairs."""
    find = machine.given_derivatives if batch.columns is not None else _summed_over_alignments(machine)
    logs, derivatives = find(batch)
    return Statistics(float(logs @ batch.weights), counts_of(machine.tables, derivatives))


def _summed_over_alignments(machine: PairMachine) -> Any:
    return lambda batch: machine.derivatives(batch.pairs, batch.weights, batch.numbers)


def counts_of(tables: PairTables, derivatives: Derivatives) -> Floats:
    """Return expected counts, flat: how often every number of the tables is used."""
    parts = [
        (np.append(derivatives.start, derivatives.start_end), np.append(tables.start, tables.start_end)),
        (
            np.column_stack([derivatives.transitions, derivatives.end]),
            np.column_stack([tables.transitions, tables.end]),
        ),
        *zip(derivatives.emissions, tables.emissions, strict=True),
        (derivatives.background, tables.background),
    ]
    return np.concatenate([uses(derivative, table).ravel() for derivative, table in parts])


def sum_of(parts: list[Derivatives]) -> Derivatives:
    """Return the sums of derivatives."""
    emissions = [np.sum(tables, axis=0) for tables in zip(*(part.emissions for part in parts), strict=True)]
    return Derivatives(
        np.sum([part.start for part in parts], axis=0),
        sum(part.start_end for part in parts),
        np.sum([part.transitions for part in parts], axis=0),
        np.sum([part.end for part in parts], axis=0),
        emissions,
        np.sum([part.background for part in parts], axis=0),
    )


# ---- columns as the letters of a chain -----------------------------------------------------------------------------


def _column_symbols(batch: PairBatch, gap: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The columns of all alignments, a number for each pair of symbols; `gap` is the symbol of a gap."""
    assert batch.columns is not None
    symbols = []
    for (x, y), columns in zip(batch.pairs, batch.columns, strict=True):
        sides = [np.append(side.astype(np.int64), gap)[place] for side, place in zip((x, y), columns, strict=True)]
        symbols.append(sides[0] * (gap + 1) + sides[1])
    ends = np.cumsum([0, *(len(part) for part in symbols)])
    return np.concatenate(symbols), ends.astype(np.int64)


def _sides(tables: PairTables, symbols: NDArray[np.int64]) -> list[tuple[NDArray[np.bool_], tuple[Any, ...]]]:
    """For every state the columns that it can emit, and where their probabilities are in its table by symbol."""
    gap = len(tables.symbol_background)
    x, y = np.divmod(symbols, gap + 1)
    found = []
    for kind in tables.kinds:
        fits = ((x < gap) == (kind != "y")) & ((y < gap) == (kind != "x"))
        found.append((fits, (x[fits], y[fits]) if kind == "xy" else (x[fits] if kind == "x" else y[fits],)))
    return found


def _column_likelihoods(tables: PairTables, symbols: NDArray[np.int64]) -> Floats:
    """(columns, S): how likely every column is in every state."""
    likelihoods = np.zeros((len(symbols), len(tables.kinds)))
    for s, (fits, places) in enumerate(_sides(tables, symbols)):
        likelihoods[fits, s] = tables.symbol_emissions[s][places]
    return likelihoods


def _emission_derivatives(tables: PairTables, symbols: NDArray[np.int64], used: Floats) -> list[Floats]:
    """d ln P / d emission of every state, from how often each emitted every column."""
    derivatives = []
    for s, (fits, places) in enumerate(_sides(tables, symbols)):
        by_symbol, probability = np.zeros_like(tables.symbol_emissions[s]), tables.symbol_emissions[s][places]
        share = used[fits, s]
        by_symbol[places] = np.divide(share, probability, out=np.zeros_like(share), where=probability > 0.0)
        found = tables.observation.T @ by_symbol
        derivatives.append(found @ tables.observation if found.ndim == 2 else found)
    return derivatives


def _why_impossible(tables: PairTables, columns: Columns, stuck: int) -> str:
    """What to say of an alignment that no path of states explains from column `stuck` on."""
    message = f"the model gives its alignment probability 0, from column {stuck} on (counted from 0)"
    gaps = columns[:, max(0, stuck - 1) : stuck + 1] < 0
    kinds = np.array(tables.kinds)
    steps = tables.transitions[np.ix_(kinds != "xy", kinds != "xy")]
    if gaps.any(axis=0).all() and gaps.any(axis=1).all() and not (steps * ~np.eye(len(steps), dtype=bool)).any():
        message += (
            ": a deletion stands next to an insertion, and no edge leads from the one's state to the other's. Add "
            "such edges to the transitions (gap_switch= of PairHMM.affine), or fit to the sequences alone"
        )
    return message


def _flanks(pair: tuple[Codes, Codes], columns: Columns, mode: str, number: int) -> tuple[NDArray[np.intp], int]:
    """The symbols outside an alignment, and how many boxes hold it. SequenceError if the mode does not admit one."""
    x, y = pair
    boxes = boxes_of(columns, x.size, y.size, mode)
    if not boxes:
        (x0, x1), (y0, y1) = map(span_of, columns)
        raise SequenceError(
            f"pairs[{number}]: its alignment covers letters {x0} to {x1} of {x.size:,} and {y0} to {y1} of {y.size:,}, "
            f"which mode={mode!r} does not admit."
        )
    (x0, y0), (x1, y1) = boxes[0]  # the same letters in all of them
    return np.concatenate([x[:x0], x[x1:], y[:y0], y[y1:]]).astype(np.intp), len(boxes)
