"""A slow twin of the pair-HMM: log space, cell by cell, any topology; and brute force over all paths beside it.

It never imports tiedseq, so that the two can only agree by both being right. A model is a handful of plain arrays, and
sequences are integer codes of *symbols*: a test of ambiguity codes gives the twin its tables over symbols (`observe`).

What is computed (Durbin et al. 1998, sections 4.2 and 4.4, states and transitions left open): a state emits a column,
`xy` a letter of each sequence, `x` a letter of the first, `y` one of the second. In a mode other than global, P is the
mean over all admissible boxes [a, c) x [b, d) of the model's P(x[a:c], y[b:d]) times the background probability of the
letters outside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.integer]
Corner = tuple[int, int]

MODES = ("global", "local", "glocal", "overlap")
_STEP = {"xy": (1, 1), "x": (1, 0), "y": (0, 1)}


class Model(NamedTuple):
    """A pair-HMM with S states as plain arrays of probabilities."""

    kinds: list[str]  # "xy", "x" or "y" of each state
    start: Floats  # (S,) of the first column's state
    transitions: Floats  # (S, S)
    end: Floats | None  # (S,), or None: P is that of passing through the last letters of both
    start_end: float  # of no column at all; 1 in a model without end
    emissions: list[Floats]  # of each state: (n_symbols, n_symbols) for xy, (n_symbols,) for x and y
    background: Floats  # (n_symbols,) of letters outside the box


class Counts(NamedTuple):
    """Expected uses of every parameter, given both sequences, and the probability of every residue pair."""

    log_likelihood: float
    posterior: Floats  # (n, m): P(x_i aligned to y_j), over all xy states
    start: Floats  # (S,)
    transitions: Floats  # (S, S)
    end: Floats  # (S,): columns that were the last
    start_end: float  # P(no column at all)
    emissions: list[Floats]  # like the model's
    background: Floats  # (n_symbols,): letters outside the box


class Path(NamedTuple):
    """One alignment: where its box starts and the states of its columns."""

    log_probability: float
    corner: Corner
    states: list[int]


# --- boxes ----------------------------------------------------------------------------------------------------------


def may_start(mode: str, a: NDArray[np.integer] | int, b: NDArray[np.integer] | int) -> NDArray[np.bool_]:
    """May a box start at the corner (a, b)? It may end at (c, d) if `may_start(mode, n - c, m - d)`."""
    by_mode = {"global": (a == 0) & (b == 0), "glocal": b == 0, "overlap": (a == 0) | (b == 0), "local": True}
    return np.broadcast_to(by_mode[mode], np.broadcast_shapes(np.shape(a), np.shape(b)))


def n_boxes(mode: str, n: int, m: int) -> int:
    """How many admissible boxes two sequences of n and m letters have."""
    if mode == "global":
        return 1
    if mode == "local":
        return math.comb(n + 2, 2) * math.comb(m + 2, 2)
    if mode == "glocal":
        return math.comb(n + 2, 2)
    return math.comb(n + 2, 2) + 2 * m * (n + 1) + math.comb(m, 2)


# --- the recursions, in log space ---------------------------------------------------------------------------------


class _Tables(NamedTuple):
    """The model as the recursions take it: logs, the emission tables of all states in one shape."""

    dx: NDArray[np.int64]  # (S,): 1 if the state emits a letter of x
    dy: NDArray[np.int64]
    start: Floats  # (S,)
    transitions: Floats  # (S, S)
    end: Floats  # (S,)
    emissions: Floats  # (S, n_symbols, n_symbols)


class _Flanks:
    """ln P of the letters outside a box, by its corners."""

    def __init__(self, model: Model, x: Codes, y: Codes, mode: str) -> None:
        of_x, of_y = _log(model.background)[x], _log(model.background)[y]
        self.before_x, self.before_y = np.cumsum([0.0, *of_x]), np.cumsum([0.0, *of_y])
        self.behind_x, self.behind_y = np.cumsum([0.0, *of_x[::-1]])[::-1], np.cumsum([0.0, *of_y[::-1]])[::-1]
        self.mode, self.n, self.m = mode, len(x), len(y)
        self.boxes = math.log(n_boxes(mode, len(x), len(y)))

    def entry(self, i: int) -> Floats:
        """(m + 1,): all letters before a box that starts at (i, j); -inf where none may."""
        j = np.arange(self.m + 1)
        return np.where(may_start(self.mode, i, j), self.before_x[i] + self.before_y, -np.inf)

    def exit(self, i: int) -> Floats:
        """(m + 1,): all letters behind a box that ends at (i, j); -inf where none may."""
        j = np.arange(self.m + 1)
        return np.where(may_start(self.mode, self.n - i, self.m - j), self.behind_x[i] + self.behind_y, -np.inf)

    def entries(self) -> Floats:
        return np.array([self.entry(i) for i in range(self.n + 1)])

    def exits(self) -> Floats:
        return np.array([self.exit(i) for i in range(self.n + 1)])


def _log(values: object) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(values, dtype=np.float64))


def _tables(model: Model) -> _Tables:
    n_states, n_symbols = len(model.kinds), len(model.background)
    emissions = np.zeros((n_states, n_symbols, n_symbols))
    for state, (kind, table) in enumerate(zip(model.kinds, model.emissions, strict=True)):
        emissions[state] = table[:, None] if kind == "x" else table  # a table of y broadcasts over the letters of x
    steps = np.array([_STEP[kind] for kind in model.kinds], dtype=np.int64)
    return _Tables(
        steps[:, 0].copy(),
        steps[:, 1].copy(),
        _log(model.start),
        _log(model.transitions),
        np.zeros(n_states) if model.end is None else _log(model.end),
        _log(emissions),
    )


def log_sum(values: object) -> float:
    """ln of the sum of exp of all values; -inf for none."""
    array = np.ravel(np.asarray(values, dtype=np.float64))
    top = array.max(initial=-np.inf)
    return float(top) if np.isinf(top) else float(top + np.log(np.exp(array - top).sum()))


@njit
def _log_sum(terms: Floats, n: int) -> float:
    """Log of the sum of exp of the first n terms."""
    top = _largest(terms, n)
    if top == -math.inf:
        return top
    total = 0.0
    for k in range(n):
        if terms[k] > top - 40:  # exp(-40) is below the rounding of 1
            total += math.exp(terms[k] - top)
    return top + math.log(total)


@njit
def _largest(terms: Floats, n: int) -> float:
    top = -math.inf
    for k in range(n):
        if terms[k] > top:
            top = terms[k]
    return top


Row = Callable[[int, Floats, Floats, Floats, Floats, Codes, Codes, _Tables], None]


def _make_row(reduce: Callable[[Floats, int], float]) -> Row:
    """Row i of F[i, j, s], the sum (or the maximum) over all paths that end at (i, j) in state s."""

    @njit
    def row(
        i: int,
        above: Floats,
        here: Floats,
        entry_above: Floats,
        entry_here: Floats,
        x: Codes,
        y: Codes,
        tables: _Tables,
    ) -> None:
        dx, dy, start, transitions, _, emissions = tables
        n_states = len(dx)
        terms = np.empty(n_states + 1)
        for j in range(len(y) + 1):
            for s in range(n_states):
                here[j, s] = -math.inf
                i0, j0 = i - dx[s], j - dy[s]
                if i0 < 0 or j0 < 0:
                    continue
                terms[0] = (entry_here[j0] if i0 == i else entry_above[j0]) + start[s]
                n = 1
                for r in range(n_states):
                    if transitions[r, s] > -math.inf:
                        terms[n] = (here[j0, r] if i0 == i else above[j0, r]) + transitions[r, s]
                        n += 1
                # Index 0 stands in for the letter that a gap state does not read: its table does not depend on it.
                letter_x = x[i - 1] if i0 < i else 0
                letter_y = y[j - 1] if j0 < j else 0
                here[j, s] = reduce(terms, n) + emissions[s, letter_x, letter_y]

    return row


_sum_row = _make_row(_log_sum)
_best_row = _make_row(_largest)


def _fill(row: Row, model: Model, x: Codes, y: Codes, mode: str) -> Floats:
    tables, flanks = _tables(model), _Flanks(model, x, y, mode)
    table = np.full((len(x) + 1, len(y) + 1, len(model.kinds)), -np.inf)
    entry = flanks.entry(0)
    for i in range(len(x) + 1):
        entry_above, entry = entry, flanks.entry(i)
        row(i, table[i - 1], table[i], entry_above, entry, x, y, tables)  # row 0 never looks at the row above it
    return table


def forward(model: Model, x: Codes, y: Codes, mode: str = "global") -> Floats:
    """ln F[i, j, s], (n + 1, m + 1, S): the letters before the box, and all paths whose column s ends at (i, j)."""
    return _fill(_sum_row, model, x, y, mode)


def backward(model: Model, x: Codes, y: Codes, mode: str = "global") -> Floats:
    """ln B[i, j, s], (n + 1, m + 1, S): all that may follow a column s that ends at (i, j)."""
    table = np.full((len(x) + 1, len(y) + 1, len(model.kinds)), -np.inf)
    _fill_backward(table, _Flanks(model, x, y, mode).exits(), x, y, _tables(model))
    return table


@njit
def _fill_backward(table: Floats, exits: Floats, x: Codes, y: Codes, tables: _Tables) -> None:
    dx, dy, _, transitions, end, emissions = tables
    n, m, n_states = len(x), len(y), len(dx)
    terms = np.empty(n_states + 1)
    for i in range(n, -1, -1):
        for j in range(m, -1, -1):
            for r in range(n_states):
                terms[0] = exits[i, j] + end[r]
                k = 1
                for s in range(n_states):
                    i1, j1 = i + dx[s], j + dy[s]
                    if i1 <= n and j1 <= m and transitions[r, s] > -math.inf:
                        letter_x = x[i] if i1 > i else 0
                        letter_y = y[j] if j1 > j else 0
                        terms[k] = transitions[r, s] + emissions[s, letter_x, letter_y] + table[i1, j1, s]
                        k += 1
                table[i, j, r] = _log_sum(terms, k)


def log_likelihood(model: Model, x: Codes, y: Codes, mode: str = "global") -> float:
    """ln P(x, y | mode), in two rows of memory."""
    tables, flanks, empty = _tables(model), _Flanks(model, x, y, mode), float(_log(model.start_end))
    above, here = np.full((2, len(y) + 1, len(model.kinds)), -np.inf)
    entry, rows = flanks.entry(0), []
    for i in range(len(x) + 1):
        entry_above, entry, exit_ = entry, flanks.entry(i), flanks.exit(i)
        _sum_row(i, above, here, entry_above, entry, x, y, tables)
        ends = exit_ > -np.inf
        rows.append(log_sum(here[ends] + tables.end + exit_[ends, None]))
        rows.append(log_sum(entry[ends] + exit_[ends] + empty))
        above, here = here, above
    return log_sum(rows) - flanks.boxes


def expected_counts(model: Model, x: Codes, y: Codes, mode: str = "global") -> Counts:
    """Posterior and expected counts by forward and backward; needs P(x, y) > 0."""
    tables, flanks = _tables(model), _Flanks(model, x, y, mode)
    n, m, n_states, n_symbols = len(x), len(y), len(model.kinds), len(model.background)
    f, b = forward(model, x, y, mode), backward(model, x, y, mode)
    entries = flanks.entries()
    ends = f + tables.end + flanks.exits()[:, :, None]
    empty = entries + flanks.exits() + _log(model.start_end)
    total = log_sum([log_sum(ends), log_sum(empty)])
    columns = np.exp(f + b - total)  # (n + 1, m + 1, S): P(a column of state s ends at (i, j))
    start, transitions = np.zeros(n_states), np.zeros((n_states, n_states))
    emissions = [np.zeros_like(table) for table in model.emissions]
    outside_x, outside_y = np.ones(n), np.ones(m)
    posterior = np.zeros((n, m))
    for s, kind in enumerate(model.kinds):
        dx, dy = _STEP[kind]
        here, from_ = np.s_[dx:, dy:], np.s_[: n + 1 - dx, : m + 1 - dy]
        uses = columns[here][..., s]
        letters = tables.emissions[s][np.ix_(x if dx else np.zeros(n + 1, int), y if dy else np.zeros(m + 1, int))]
        onward = letters + b[here][..., s] - total  # the letters of this column and all that follows
        start[s] = np.exp(entries[from_] + tables.start[s] + onward).sum()
        for r in range(n_states):
            transitions[r, s] = np.exp(f[from_][..., r] + tables.transitions[r, s] + onward).sum()
        if dx and dy:
            posterior += uses
            np.add.at(emissions[s], np.ix_(x, y), uses)
        elif dx:
            np.add.at(emissions[s], x, uses.sum(axis=1))
        else:
            np.add.at(emissions[s], y, uses.sum(axis=0))
        if dx:
            outside_x -= uses.sum(axis=1)
        if dy:
            outside_y -= uses.sum(axis=0)
    return Counts(
        log_likelihood=total - flanks.boxes,
        posterior=posterior,
        start=start,
        transitions=transitions,
        end=np.exp(ends - total).sum(axis=(0, 1)),
        start_end=math.exp(log_sum(empty) - total),
        emissions=emissions,
        background=_tally(x, outside_x, n_symbols) + _tally(y, outside_y, n_symbols),
    )


def _tally(codes: Codes, weights: Floats, n_symbols: int) -> Floats:
    return np.bincount(codes, weights, n_symbols).astype(np.float64)


def viterbi(model: Model, x: Codes, y: Codes, mode: str = "global") -> Path:
    """The likeliest single path (box and states); its ln P holds the share of its box in the mixture."""
    tables, flanks = _tables(model), _Flanks(model, x, y, mode)
    v = _fill(_best_row, model, x, y, mode)
    entries = flanks.entries()
    ends = v + tables.end + flanks.exits()[:, :, None]
    empty = entries + flanks.exits() + _log(model.start_end)
    best = ends.max()
    if best == -np.inf or empty.max() > best:
        i, j = map(int, np.unravel_index(int(empty.argmax()), empty.shape))
        return Path(float(empty.max()) - flanks.boxes, (i, j), [])
    i, j, s = map(int, np.unravel_index(int(ends.argmax()), ends.shape))
    states: list[int] = []
    while s < len(model.kinds):
        states.append(s)
        i, j = i - int(tables.dx[s]), j - int(tables.dy[s])
        s = int(np.append(v[i, j] + tables.transitions[:, s], entries[i, j] + tables.start[s]).argmax())
    return Path(float(best) - flanks.boxes, (i, j), states[::-1])


def log_joint(model: Model, x: Codes, y: Codes, path: Path, mode: str = "global") -> float:
    """ln P of the sequences and one path (whose own log_probability is not looked at)."""
    tables, flanks = _tables(model), _Flanks(model, x, y, mode)
    (i, j), previous = path.corner, -1
    total = float(flanks.entry(i)[j]) - flanks.boxes
    for s in path.states:
        total += tables.start[s] if previous < 0 else tables.transitions[previous, s]
        total += tables.emissions[s, x[i] if tables.dx[s] else 0, y[j] if tables.dy[s] else 0]
        i, j, previous = i + int(tables.dx[s]), j + int(tables.dy[s]), s
    total += tables.end[previous] if path.states else float(_log(model.start_end))
    return float(total + flanks.exit(i)[j])


# --- brute force ----------------------------------------------------------------------------------------------------


def boxes(mode: str, n: int, m: int) -> Iterator[tuple[Corner, Corner]]:
    """Every admissible box, as the corners (a, b) and (c, d), listed from the definition of the mode."""
    for a in range(n + 1):
        for c in range(a, n + 1):
            for b in range(m + 1):
                for d in range(b, m + 1):
                    whole_x, whole_y = (a, c) == (0, n), (b, d) == (0, m)
                    border = (a == 0 or b == 0) and (c == n or d == m)
                    if {"global": whole_x and whole_y, "glocal": whole_y, "overlap": border, "local": True}[mode]:
                        yield (a, b), (c, d)


def paths(model: Model, x: Codes, y: Codes) -> Iterator[tuple[float, list[int]]]:
    """Every sequence of states that emits exactly x and y, with P(x, y, path) > 0, the empty path included."""

    def extend(i: int, j: int, probability: float, states: list[int]) -> Iterator[tuple[float, list[int]]]:
        if (i, j) == (len(x), len(y)):
            end = 1.0 if model.end is None else float(model.end[states[-1]]) if states else model.start_end
            if probability * end > 0:
                yield probability * end, states
        row = model.transitions[states[-1]] if states else model.start
        for s, (kind, table) in enumerate(zip(model.kinds, model.emissions, strict=True)):
            dx, dy = _STEP[kind]
            if i + dx <= len(x) and j + dy <= len(y):
                letters = (x[i], y[j]) if kind == "xy" else (x[i],) if kind == "x" else (y[j],)
                p = probability * float(row[s]) * float(table[letters])
                if p > 0:
                    yield from extend(i + dx, j + dy, p, [*states, s])

    yield from extend(0, 0, 1.0, [])


def enumerate_paths(model: Model, x: Codes, y: Codes, mode: str = "global") -> tuple[Counts, Path]:
    """All that the recursions compute, by visiting every box and every path in it; for at most four letters or so.

    The best path is one of the likeliest: equals are not listed.
    """
    n_states = len(model.kinds)
    counts = Counts(
        0.0,
        np.zeros((len(x), len(y))),
        np.zeros(n_states),
        np.zeros((n_states, n_states)),
        np.zeros(n_states),
        0.0,
        [np.zeros_like(table) for table in model.emissions],
        np.zeros_like(model.background),
    )
    total, start_end, best, best_path, n_admissible = 0.0, 0.0, 0.0, Path(-math.inf, (0, 0), []), 0
    for (a, b), (c, d) in boxes(mode, len(x), len(y)):
        n_admissible += 1
        outside = [*x[:a], *x[c:], *y[:b], *y[d:]]
        flanks = math.prod(float(model.background[letter]) for letter in outside)
        for inside, states in paths(model, x[a:c], y[b:d]):
            p = flanks * inside
            total += p
            if p > best:
                best, best_path = p, Path(0.0, (a, b), states)
            np.add.at(counts.background, outside, p)
            start_end += 0.0 if states else p
            _count_path(model, x, y, a, b, states, p, counts)
    scale = 1 / total if total else 0.0
    counts = Counts(
        log_likelihood=math.log(total / n_admissible) if total else -math.inf,
        posterior=counts.posterior * scale,
        start=counts.start * scale,
        transitions=counts.transitions * scale,
        end=counts.end * scale,
        start_end=start_end * scale,
        emissions=[table * scale for table in counts.emissions],
        background=counts.background * scale,
    )
    log_best = math.log(best / n_admissible) if best else -math.inf
    return counts, best_path._replace(log_probability=log_best)


def _count_path(model: Model, x: Codes, y: Codes, i: int, j: int, states: list[int], p: float, counts: Counts) -> None:
    for position, s in enumerate(states):
        if position == 0:
            counts.start[s] += p
        else:
            counts.transitions[states[position - 1], s] += p
        kind = model.kinds[s]
        if kind == "xy":
            counts.posterior[i, j] += p
            counts.emissions[s][x[i], y[j]] += p
        elif kind == "x":
            counts.emissions[s][x[i]] += p
        else:
            counts.emissions[s][y[j]] += p
        i, j = i + _STEP[kind][0], j + _STEP[kind][1]
    if states:
        counts.end[states[-1]] += p


# --- symbols and models --------------------------------------------------------------------------------------------


def observe(model: Model, matrix: Floats) -> Model:
    """The same model over symbols: `matrix` (n_symbols, n_letters) says which letters a symbol may stand for."""

    def seen(table: Floats) -> Floats:
        return matrix @ table @ matrix.T if table.ndim == 2 else matrix @ table

    return model._replace(emissions=[seen(table) for table in model.emissions], background=seen(model.background))


def letter_counts(counts: Floats, table: Floats, matrix: Floats) -> Floats:
    """Expected counts over symbols, of a state with this table over letters, as expected counts over letters.

    A symbol that stands for several letters counts for each by its share in the symbol's probability.
    """
    result = np.zeros_like(table)
    for symbols, count in np.ndenumerate(counts):
        if count > 0:
            rows = [matrix[symbol] for symbol in symbols]
            shares = table * (rows[0] if table.ndim == 1 else np.outer(rows[0], rows[1]))
            result += count * shares / shares.sum()
    return result


def affine(
    gap_open: float, gap_extend: float, match: float = 0.19, mismatch: float = 0.02, n_letters: int = 4
) -> Model:
    """M, X, Y with the start row of M, no X to Y, no end: the model of published reference likelihoods."""
    row = np.array([1 - 2 * gap_open, gap_open, gap_open])
    transitions = np.array([row, [1 - gap_extend, gap_extend, 0], [1 - gap_extend, 0, gap_extend]])
    flat = np.full(n_letters, 1 / n_letters)
    pair = np.full((n_letters, n_letters), mismatch)
    np.fill_diagonal(pair, match)
    return Model(["xy", "x", "y"], row, transitions, None, 1.0, [pair, flat, flat], flat)


def random_model(
    rng: np.random.Generator,
    kinds: list[str] | None = None,
    max_states: int = 3,
    n_symbols: int = 3,
    zeros: float = 0.3,
    end: bool | None = None,
) -> Model:
    """A model of random topology: these kinds, or up to `max_states` of each in random order (one at least).

    Every transition, start and end entry is zero with probability `zeros`, every emission with half of that, but no row
    and no table is all zero. `end=None` draws whether there is an end. So there are states that nothing reaches or that
    nothing leaves, and sequences that the model cannot emit.
    """
    if kinds is None:
        numbers = rng.integers(0, max_states + 1, size=3)
        if not numbers.any():
            numbers[rng.integers(3)] = 1
        kinds = [kind for kind, number in zip(_STEP, numbers, strict=True) for _ in range(number)]
        kinds = [kinds[index] for index in rng.permutation(len(kinds))]
    has_end = bool(rng.integers(2)) if end is None else end

    def distribution(size: int, share: float) -> Floats:
        weights = rng.gamma(1.0, size=size) + 0.01
        weights[rng.random(size) < share] = 0.0
        if not weights.any():
            weights[rng.integers(size)] = 1.0
        return np.asarray(weights / weights.sum())

    rows = np.array([distribution(len(kinds) + has_end, zeros) for _ in range(len(kinds) + 1)])
    emissions = [
        distribution(n_symbols**2, zeros / 2).reshape(n_symbols, n_symbols)
        if kind == "xy"
        else distribution(n_symbols, zeros / 2)
        for kind in kinds
    ]
    states = np.s_[: len(kinds)]
    return Model(
        kinds,
        rows[0, states].copy(),
        rows[1:, states].copy(),
        rows[1:, -1].copy() if has_end else None,
        float(rows[0, -1]) if has_end else 1.0,
        emissions,
        distribution(n_symbols, 0.0),
    )
