"""The tables of a pair-HMM at one set of parameter values: what every recursion, fast or slow, starts from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import SequenceError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]

_DEAR = 40.0  # nats below the background's two letters: what is less dear is within what `toll` leaves


class PosteriorSums(NamedTuple):
    """What forward and backward say of the letters of one pair of sequences."""

    log_total: float  # ln of the odds, over background letters, of all alignments in all boxes, empty ones included
    pairs: csr_array  # float64 (n, m): P(x_i aligned to y_j) where it reaches a threshold
    target_matched: Floats  # (n,): P(letter is aligned to some letter), whatever the threshold
    query_matched: Floats  # (m,)


class DerivativeSums(NamedTuple):
    """What forward and backward say of a model's numbers, over many pairs of sequences, each with its weight."""

    log_totals: Floats  # (pairs,): ln of the odds as in `PosteriorSums`; -inf: impossible, and left out of the rest
    start: Floats  # (S,): d ln P / d entry of the tables, like the next three
    transitions: Floats  # (S, S)
    end: Floats  # (S,)
    emissions: list[Floats]  # per state: (K, K) or (K,)
    emitted: Floats  # (symbols,): how many of each symbol some state is expected to emit


@dataclass(frozen=True, eq=False)
class PairTables:
    """A pair-HMM's numbers, states by index.

    States are in the model's own order; K letters, S states. `observation` says which letters a symbol may stand for,
    and so ambiguity codes are sums of letters wherever symbols are looked up.
    """

    kinds: list[str]  # per state: "xy", "x" or "y"
    start: Floats  # (S,)
    transitions: Floats  # (S, S)
    end: Floats  # (S,): of ending both sequences after a state
    start_end: float  # the probability of the empty pair
    emissions: list[Floats]  # per state: (K, K), rows the target's letter, or (K,)
    observation: Floats  # (symbols, K)
    background: Floats  # (K,), positive

    @cached_property
    def symbol_background(self) -> Floats:
        """float64 (symbols,): the probability of every symbol as a background letter, by which all is divided."""
        return np.asarray(self.observation @ self.background)

    @cached_property
    def symbol_emissions(self) -> list[Floats]:
        """The emissions by symbol: per state float64 (symbols, symbols) or (symbols,)."""
        rows = [self.observation @ emission for emission in self.emissions]
        return [row @ self.observation.T if row.ndim == 2 else row for row in rows]

    def log_background(self, x: Codes, y: Codes) -> float:
        """Return ln of the probability of both sequences as independent background letters."""
        return float(self.log_backgrounds([(x, y)])[0])

    def log_backgrounds(self, pairs: list[tuple[Codes, Codes]]) -> Floats:
        """Return `log_background` of every pair."""
        lengths = np.array([x.size + y.size for x, y in pairs], dtype=np.int64)
        result = np.zeros(len(pairs))
        filled = lengths > 0  # what is empty has no place in reduceat
        if filled.any():
            logs = np.log(self.symbol_background)[np.concatenate([codes for pair in pairs for codes in pair])]
            result[filled] = np.add.reduceat(logs, (np.cumsum(lengths) - lengths)[filled])
        return result

    @cached_property
    def letter_odds(self) -> Floats:
        """float64 (K, symbols): d odds of a symbol / d probability of a letter; the odds are over the background."""
        return (self.observation / self.symbol_background[:, None]).T

    @cached_property
    def log_odds(self) -> list[Floats]:
        """ln of the emissions by symbol over background ones, shaped as `symbol_emissions`; -inf: impossible."""
        with np.errstate(divide="ignore"):  # differences of logarithms: products of small numbers would round to zero
            below = np.log(self.symbol_background)
            logs = [np.log(emission) for emission in self.symbol_emissions]
        return [log - (below[:, None] + below if log.ndim == 2 else below) for log in logs]

    def steepness(self, x: Codes, y: Codes) -> float:
        """Bits by which values may change from a cell to its neighbour, for sequences of the symbols in x and y;
        infinity where gaps do not bound it.

        Cells next to each other lead to the same places by way of gaps: what the one can reach the other reaches at the
        price of one more gap letter on each side. So their values differ by that price and what letters are worth that
        are likelier in a state than in the background, unless some gap is impossible. Then a cell of a high value may
        lead nowhere, beside one that is too low for a float64 in the same unit and the only way to the end.
        """
        if not _strongly_connected(self.transitions > 0) or not np.any(self.start > 0):
            return math.inf
        places: dict[str, Any] = {"xy": np.ix_(x, y), "x": x, "y": y}
        odds = [odds[places[kind]] for kind, odds in zip(self.kinds, self.log_odds, strict=True)]
        worth = max(float(of_state.max(initial=0.0)) for of_state in odds)
        price = self._gap_price("x", odds) + self._gap_price("y", odds)
        return (price + 2 * worth) / math.log(2.0) + 1

    def detour(self, pairs: list[tuple[Codes, Codes]]) -> float:
        """Bits that it may cost in some pair of sequences to get from a deletion to an insertion.

        The way leads by an xy state. Where that takes any two letters it is a matter of toll, and of how rare they are.
        If not, the gaps go on until it does, and a long one may end where it cannot be left at all: what it gained is
        of no use, but sets the unit of the values beside it.
        """
        return max(self._detour_by_pairs(pairs), self._detour_by_classes(pairs)) / math.log(2.0)

    def _detour_by_classes(self, pairs: list[tuple[Codes, Codes]]) -> float:
        """Nats between two classes of long gaps where the other sequence has too few letters to get from one to the
        other: the cheaper one is of no use if the start or the end is out of its reach, but sets the unit.
        """
        most, few = 0.0, 2 * len(self.kinds)  # to a class and from it leads a way through every state once, at most
        for kind, side in (("x", 0), ("y", 1)):
            length = max((pair[side].size for pair in pairs if pair[1 - side].size < few), default=0)
            if length and not self._are_interchangeable(kind):
                most = max(most, length * self._spread(kind))
        return most

    def _are_interchangeable(self, kind: str) -> bool:
        """Whether all gap states of a kind take the same letters, and the same edges lead to and from all of them, or
        from each to all others.
        """
        own = np.array([of_state == kind for of_state in self.kinds])
        edges = self.transitions > 0.0
        rows = np.column_stack([edges[own][:, ~own], self.end[own] > 0.0])
        columns = np.vstack([edges[~own][:, own], self.start[own] > 0.0]).T
        takes = np.array([odds > -np.inf for odds, mine in zip(self.log_odds, own, strict=True) if mine])
        alike = all(bool((part == part[:1]).all()) for part in (rows, columns))
        connected = bool((edges[np.ix_(own, own)] | np.eye(int(own.sum()), dtype=bool)).all())
        return bool((takes == takes[:1]).all()) and (alike or connected)

    def _spread(self, kind: str) -> float:
        """Nats by which one more letter in a gap of a kind may differ in worth."""
        states = [s for s in range(len(self.kinds)) if self.kinds[s] == kind]
        with np.errstate(divide="ignore"):
            edges = np.log(self.transitions[np.ix_(states, states)])
        gains = edges[:, :, None] + np.array([self.log_odds[s] for s in states])
        gains = gains[np.isfinite(gains)]
        return float(np.ptp(gains)) if gains.size else 0.0

    def _detour_by_pairs(self, pairs: list[tuple[Codes, Codes]]) -> float:
        """Nats that it costs to get to letters that an xy state takes, or what long gaps gain that lead to none."""
        odds, most = self._best_pairs, 0.0
        if float(odds.min()) > -_DEAR:
            return 0.0
        gains = self._gains("x"), self._gains("y")
        for x, y in pairs:
            letters = np.unique(x), np.unique(y)
            here = odds[np.ix_(*letters)]
            dearest = float(-here.min(initial=np.inf, where=np.isfinite(here)))
            cost = dearest if dearest > _DEAR else 0.0
            if not np.isfinite(here).all():
                cost += self._way_round(x, y, letters, np.isfinite(here))
                cost += _most_in_a_row(gains[0][x]) + _most_in_a_row(gains[1][y])
            most = max(most, cost)
        return most

    def _way_round(self, x: Codes, y: Codes, letters: tuple[Codes, Codes], taken: NDArray[np.bool_]) -> float:
        """Nats that gaps cost until an xy state may follow: to the next of some letters in x and of some in y.

        taken: (letters of x, letters of y), whether an xy state takes both; any two of those looked for must be.
        """
        of_x, of_y = letters
        price_x, price_y = (
            self._gap_price(kind, [odds[present] if odds.ndim == 1 else odds for odds in self.log_odds])
            for kind, present in (("x", of_x), ("y", of_y))
        )

        def cost(in_x: Any, in_y: Any) -> float:  # which of their letters are looked for
            return price_x * _longest_without(x, of_x[in_x]) + price_y * _longest_without(y, of_y[in_y])

        rows, columns = (np.unique(side[side.any(axis=1)], axis=0) for side in (taken, taken.T))
        ways = [cost(taken[:, in_y].all(axis=1), in_y) for in_y in rows]
        ways += [cost(in_x, taken[in_x].all(axis=0)) for in_x in columns]
        return min(ways, default=0.0)  # if it takes no two letters, nothing leads on whatever it costs

    @cached_property
    def _best_pairs(self) -> Floats:
        """(symbols, symbols): `log_odds` in the xy state that likes two letters best."""
        odds = [odds for odds in self.log_odds if odds.ndim == 2]
        return np.max(odds, axis=0) if odds else np.zeros((1, 1))

    def _gains(self, kind: str) -> Floats:
        """(symbols,): what one more letter in a gap of some kind gains at most, in nats."""
        states = [s for s in range(len(self.kinds)) if self.kinds[s] == kind]
        most = np.full(self.symbol_background.size, -np.inf)
        for s in states:
            if (edge := float(self.transitions[states, s].max())) > 0.0:
                most = np.maximum(most, math.log(edge) + self.log_odds[s])
        return most

    def _gap_price(self, kind: str, log_odds: list[Floats]) -> float:
        """What one more letter of the dearest kind costs in the gap state that extends most cheaply, in nats."""
        odds = [
            math.log(self.transitions[s, s]) + float(log_odds[s].min(initial=0.0))
            for s in range(len(self.kinds))
            if self.kinds[s] == kind and self.transitions[s, s] > 0.0
        ]
        return max(0.0, -max(odds, default=-math.inf))

    @cached_property
    def toll(self) -> float:
        """Bits that opening and closing gaps may cost on top, once, and beginning and ending in the dearest state.

        The latter since the first and the last row and column of cells know no other: what leads there may be dearer by
        that much than what leads to their neighbours.
        """
        rarest = [float(part[part > 0].min(initial=1.0)) for part in (self.transitions, self.start, self.end)]
        return -4 * math.log2(rarest[0]) - math.log2(rarest[1]) - math.log2(rarest[2])


def impossible(n: int, m: int, mode: str, number: int | None = None) -> SequenceError:
    """Return the error that no path explains two sequences; `number` says which of many pairs they are."""
    pair = "" if number is None else f"pairs[{number}]: "
    return SequenceError(
        f"{pair}the model gives sequences of {n:,} and {m:,} letters probability 0 under mode={mode!r}: no path of "
        "states emits them; look for zeros among the transitions, the emissions or the start row"
    )


def _longest_without(codes: Codes, letters: Codes) -> int:
    """Of how many letters the longest stretch is that has none of these."""
    places = np.flatnonzero(np.isin(codes, letters))
    return int(np.diff(places, prepend=-1, append=codes.size).max()) - 1


def _most_in_a_row(gains: Floats) -> float:
    """The largest sum of consecutive numbers, which may be none."""
    sums = np.cumsum(np.append(0.0, np.maximum(gains, -1e6)))  # after what is impossible all begins anew
    return float(np.max(sums - np.minimum.accumulate(sums)))


def _strongly_connected(edges: NDArray[np.bool_]) -> bool:
    """Whether every state can reach every other."""
    reach = edges | np.eye(len(edges), dtype=bool)
    for _ in range(len(edges)):
        reach = (reach.astype(int) @ reach.astype(int)) > 0
    return bool(reach.all())
