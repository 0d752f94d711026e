"""What the pair-HMM kernels are given: named tuples of numbers and arrays, and where in the arrays is what.

The caller allocates all memory. It is flat float64, made of vectors of lanes:

columns: the query, reversed so that lanes find their columns side by side, column j at LANES + m - j, zeros around; of
    this width come the pair emissions of every letter, the gap emissions of every y state, and a1', a2', w1', w2'.
rows: a tile's rows; for each the pair emissions (xy states * letters), gap emissions (x states), and a1, a2, w1, w2.
state: a tile's sums and units; see EXPONENT and the rest below.
border: the row between two tiles; the sums of every xy and x state and then log2 of their unit, column j at LANES + j
    of m + 1 + 2 LANES.
history: what forward left behind in a run of steps; for each the lanes' exponents, and per row what entered each state.
"""

from __future__ import annotations

from typing import Any, NamedTuple

LANES = 16  # cells that are computed at once
NOTHING = -1e9  # the exponent of zero
WEIGHTS = 4  # of a row or column: a1, a2, w1, w2
DAMPING = 2.0**-500  # of transitions' derivatives while backward adds them up: see `backward_steps`

# Where a tile's state holds what: log2 of the unit that each lane's values are in; the lane's unit over that of the
# neighbour it sends to; the value 1 in the lane's unit; what has ended in each lane since the last renewal (backward: a
# scratch vector). Then what leaves the last row of each lane (xy and x states); what will enter the xy states from the
# row above, one column to the left; and per row the sums (backward: the products) of every state.
EXPONENT, RATIO, UNIT, TOTAL, CARRY = range(0, 5 * LANES, LANES)


# Sizes that both the caller, who allocates, and the kernels, which write, need: plain functions of whole numbers and of
# a `Model`, compiled as parts of the kernels and called as they are from Python.


def tile_count(n: int, height: int) -> int:
    """How many tiles n + 1 rows of cells make."""
    return n // (LANES * height) + 1


def chunk_count(m: int, chunk: int) -> int:
    """How many chunks the m + LANES steps of a tile make."""
    return (m + LANES + chunk - 1) // chunk


def column_size(model: Model, m: int) -> int:
    return (len(model.letters) + len(model.insertions) + WEIGHTS) * (m + 2 * LANES)


def row_size(model: Model, height: int) -> int:
    return height * (len(model.letters) * len(model.pairs) + len(model.deletions) + WEIGHTS) * LANES


def state_size(model: Model, height: int) -> int:
    states = len(model.pairs) + len(model.deletions) + len(model.insertions)
    return CARRY + (2 * len(model.pairs) + len(model.deletions) + height * states) * LANES


def border_size(model: Model, m: int) -> int:
    return (len(model.pairs) + len(model.deletions) + 1) * (m + 1 + 2 * LANES)


def step_size(model: Model, height: int) -> int:
    """What one step leaves in the history."""
    return (1 + height * (len(model.pairs) + len(model.deletions) + len(model.insertions))) * LANES


class Model(NamedTuple):
    """A model's numbers. Lengths of the tuples are part of the type: each set of them compiles once."""

    transitions: Any  # S rows of S floats, None where there is no such edge
    start: Any  # S floats
    end: Any  # S floats
    letters: Any  # as many zeros as letters
    pairs: Any  # as many zeros as xy states
    deletions: Any  # as many zeros as x states
    insertions: Any  # as many zeros as y states
    best: Any  # None: sums over alignments; 0: the largest term (Viterbi). Part of the type


class Plan(NamedTuple):
    """How a pair is cut up: rows a lane, steps between two renewals, steps a chunk."""

    height: int
    period: int
    settling: int  # steps between two renewals while lanes fill: a value may cross a whole lane in each of them
    chunk: int


class Collected(NamedTuple):
    """Where backward writes the aligned pairs."""

    threshold: float
    place: Any  # int64: row of the target * m + column of the query
    value: Any  # float64
    count: Any  # int64 (1,): pairs found


class LaneGradient(NamedTuple):
    """d ln P / d parameter of one pair of sequences, in lanes, while backward runs."""

    model: Any  # vectors: S * S of transitions (times DAMPING), S of start, S of end
    rows: Any  # per row of the tile at work, vectors: pair emissions (xy states * letters), gap emissions (x states)
    columns: Any  # y states, (m + 2 LANES) each, reversed as the columns are


class SymbolGradient(NamedTuple):
    """The same, summed over lanes and pairs of sequences, every pair with its weight; emissions by observed symbol."""

    model: Any  # float64 (S * (S + 2),)
    rows: Any  # float64 (symbols, xy states * letters + x states)
    columns: Any  # float64 (symbols, y states)
    matched: Any  # float64 (symbols,): how many of each symbol are aligned to a letter


class KernelTables(NamedTuple):
    """What a model says of observed symbols, over the background, and a mode of cells."""

    row: Any  # float64 (symbols + 1, xy states * letters + x states): sums over the target's letters; last, zeros
    column: Any  # float64 (symbols, letters + y states): what each letter of the query explains
    row_weight: Any  # float64 (4, 2): a1, a2, w1, w2 in the border row (the first; for ends, the last), and elsewhere
    column_weight: Any  # float64 (4, 2): a1', a2', w1', w2' likewise


class Work(NamedTuple):
    """The memory of forward; what is not wanted has no room."""

    columns: Any
    rows: Any
    state: Any
    borders: Any  # two, or, if chunks are saved, one more than tiles
    saved: Any  # the state before every chunk of every tile
    history: Any
    scores: (
        Any  # float64 (pairs, 2), or, of the likeliest path, (tiles, 2): mantissa and exponent (of two) of what ended
    )


class BackwardWork(NamedTuple):
    """The memory of backward, beside forward's."""

    state: Any
    borders: Any  # two; zeros
    row: Any  # float64 (height * LANES,), of the tile at work: P(letter is aligned to a letter)
    column: Any  # float64 (m + 2 LANES,), the same of the query, reversed as the columns are


class ModelArrays(NamedTuple):
    """A model's numbers once more, as arrays."""

    start: Any  # float64 (S,)
    transitions: Any  # float64 (S, S)
    end: Any  # float64 (S,)
