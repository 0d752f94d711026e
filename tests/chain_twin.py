"""A slow twin of the HMM recursions: log space, letter by letter, any topology; and all paths listed beside it.

It never imports tiedseq, so that the two can only agree by both being right. A model is a handful of plain arrays. What
a letter says of the emitting states is given as logarithms, one row a letter, so that every family of emissions goes
through it.

A path starts in some state, goes from state to state and ends after the last letter. An emitting state takes a letter
whenever it is entered, a silent one none. Without an end, P is that of reaching the last letter, whatever comes then.
(Durbin et al., Biological Sequence Analysis, 1998, sections 3.2 and 3.4.)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.integer]


class Model(NamedTuple):
    """An HMM with S states, E of them emitting, as plain arrays of probabilities."""

    start: Floats  # (S,)
    transitions: Floats  # (S, S)
    end: Floats | None  # (S,), or None
    silent: NDArray[np.bool_]  # (S,)
    possible: NDArray[np.bool_]  # (S, S): edges that the model has; the probability of some may be zero for now


class Sums(NamedTuple):
    """ln P of a sequence, its derivatives by the probabilities of possible steps, and where its letters come from.

    A derivative times its probability is the expected number of uses. All are zero where P is.
    """

    log_likelihood: float
    start: Floats  # (S,)
    transitions: Floats  # (S, S)
    end: Floats  # (S,)
    posterior: Floats  # (T, E): P(letter t is emitted by this state | sequence)


# --- pieces ---------------------------------------------------------------------------------------------------------


def _log(values: object) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(values, dtype=np.float64))


def log_sum(values: Floats) -> Floats:
    """ln of the sum of exp along the first axis; -inf for none."""
    top = values.max(axis=0, initial=-np.inf)
    shift = np.where(np.isinf(top), 0.0, top)
    return np.asarray(shift + _log(np.exp(values - shift).sum(axis=0)))


def emitting_states(model: Model) -> NDArray[np.intp]:
    return np.flatnonzero(~model.silent)


def ending(model: Model) -> Floats:
    """(S,): the probability of ending in a state after the last letter."""
    return np.where(model.silent, 0.0, 1.0) if model.end is None else model.end


def silent_order(model: Model) -> list[int]:
    """The silent states, each after those that lead to it."""
    order: list[int] = []
    visiting: set[int] = set()

    def visit(s: int) -> None:
        assert s not in visiting, "silent states in a circle"
        if s not in order:
            visiting.add(s)
            for r in np.flatnonzero(model.silent & model.possible[:, s]):
                visit(int(r))
            visiting.discard(s)
            order.append(s)

    for s in np.flatnonzero(model.silent):
        visit(int(s))
    return order


# --- sums over all paths --------------------------------------------------------------------------------------------


def forward(model: Model, letters: Floats) -> Floats:
    """ln F (T + 1, S): F[t + 1, s] is P of letters 0 to t and of s then; F[0] is that of silent states before them."""
    start, transitions = _log(model.start), _log(model.transitions)
    emitting, order = emitting_states(model), silent_order(model)
    table = np.full((len(letters) + 1, len(start)), -np.inf)
    for s in order:
        table[0, s] = np.logaddexp(start[s], log_sum(table[0] + transitions[:, s]))
    for t, letter in enumerate(letters):
        value = log_sum(table[t][:, None] + transitions[:, emitting])
        table[t + 1, emitting] = letter + (np.logaddexp(value, start[emitting]) if t == 0 else value)
        for s in order:
            table[t + 1, s] = log_sum(table[t + 1] + transitions[:, s])
    return table


def backward(model: Model, letters: Floats) -> Floats:
    """ln B (T + 1, S): B[t + 1, s] is P of all that comes after letter t, if s is then; B[0], if s is before all."""
    transitions, end = _log(model.transitions), _log(ending(model))
    emitting, order = emitting_states(model), silent_order(model)
    table = np.full((len(letters) + 1, len(end)), -np.inf)
    for t in range(len(letters), -1, -1):
        onward = end
        if t < len(letters):
            onward = log_sum((transitions[:, emitting] + letters[t] + table[t + 1, emitting]).T)
        table[t, order] = onward[order]
        for s in reversed(order):
            table[t, s] = np.logaddexp(onward[s], log_sum(transitions[s, order] + _after(table[t, order], order, s)))
        table[t, emitting] = np.logaddexp(
            onward[emitting], log_sum((transitions[emitting][:, order] + table[t, order]).T)
        )
    return table


def _after(values: Floats, order: list[int], s: int) -> Floats:
    """The values of the silent states behind s; -inf for the others, as nothing leads from s to them."""
    return np.where(np.arange(len(order)) > order.index(s), values, -np.inf)


def log_likelihood(model: Model, letters: Floats) -> float:
    return float(log_sum(forward(model, letters)[-1] + _log(ending(model))))


def first_impossible(model: Model, letters: Floats) -> int:
    """The first letter that no path explains; the number of letters if none can end then; -1 if the sequence can be."""
    f = forward(model, letters)
    for t in range(len(letters)):
        if np.isinf(f[t + 1]).all():
            return t
    return len(letters) if np.isinf(f[-1] + _log(ending(model))).all() else -1


def expect(model: Model, letters: Floats) -> Sums:
    """All derivatives and posteriors."""
    f, b = forward(model, letters), backward(model, letters)
    total = float(log_sum(f[-1] + _log(ending(model))))
    emitting, silent = emitting_states(model), np.flatnonzero(model.silent)
    states = len(model.start)
    start, transitions, end = np.zeros(states), np.zeros((states, states)), np.zeros(states)
    posterior = np.zeros(letters.shape)
    if total == -math.inf:
        return Sums(total, start, transitions, end, posterior)
    with np.errstate(over="ignore"):
        start[emitting] = np.exp(letters[0] + b[1, emitting] - total)
        start[silent] = np.exp(b[0, silent] - total)
        end[:] = np.exp(f[-1] - total)
        for k, s in enumerate(emitting):
            transitions[:, s] = np.exp(log_sum(f[:-1] + letters[:, k, None] + b[1:, s, None]) - total)
        for s in silent:
            transitions[:, s] = np.exp(log_sum(f + b[:, s, None]) - total)
    posterior[:] = np.exp(f[1:, emitting] + b[1:, emitting] - total)
    return Sums(total, start, np.where(model.possible, transitions, 0.0), end, posterior)


# --- sums over all paths of a long sequence -------------------------------------------------------------------------


def expect_scaled(model: Model, table: Floats, codes: Codes) -> Sums:
    """The same of a model without silent states, divided by a sum at every letter: for long sequences.

    table (R, E): probabilities, not logarithms; letter t has row codes[t]. The posterior is summed over the letters of
    a row: (R, E). Rounding does not add up: every letter's divisor and values are right by themselves.
    """
    assert not model.silent.any()
    f, divisors = np.empty((len(codes), len(model.start))), np.empty(len(codes))
    value = model.start
    for t, code in enumerate(codes.tolist()):
        value = value * table[code]
        divisors[t] = value.sum()
        f[t] = value / divisors[t]
        value = f[t] @ model.transitions
    finish, outgoing = ending(model), np.ascontiguousarray(model.transitions.T)
    last = float(f[-1] @ finish)
    onward = np.empty_like(f)  # likelihood * backward, in the unit in which f * backward is the posterior
    posterior, b = np.zeros(table.shape), finish / last
    for t in range(len(codes) - 1, -1, -1):
        posterior[codes[t]] += f[t] * b
        onward[t] = table[codes[t]] * b / divisors[t]
        b = onward[t] @ outgoing
    return Sums(
        math.fsum([*np.log(divisors).tolist(), math.log(last)]),
        onward[0].copy(),
        np.where(model.possible, f[:-1].T @ onward[1:], 0.0),
        f[-1] / last,
        posterior,
    )


# --- single paths ---------------------------------------------------------------------------------------------------


class Path(NamedTuple):
    """The states of one path, silent ones included, and its ln P together with the letters."""

    log_probability: float
    states: list[int]


def viterbi(model: Model, letters: Floats) -> Path:
    """The likeliest path; no states if there is none."""
    start, transitions, end = _log(model.start), _log(model.transitions), _log(ending(model))
    emitting, order = emitting_states(model), silent_order(model)
    table = np.full((len(letters) + 1, len(start)), -np.inf)
    for s in order:
        table[0, s] = max(start[s], (table[0] + transitions[:, s]).max())
    for t, letter in enumerate(letters):
        best = (table[t][:, None] + transitions[:, emitting]).max(axis=0)
        table[t + 1, emitting] = (np.maximum(best, start[emitting]) if t == 0 else best) + letter
        for s in order:
            table[t + 1, s] = (table[t + 1] + transitions[:, s]).max()
    t, s = len(letters), int((table[-1] + end).argmax())
    total = float((table[-1] + end)[s])
    states: list[int] = []
    while total > -math.inf:
        states.append(s)
        t -= not model.silent[s]
        came = table[t] + transitions[:, s]
        if t == 0 and start[s] >= came.max():
            break
        s = int(came.argmax())
    return Path(total, states[::-1])


def log_joint(model: Model, letters: Floats, states: list[int]) -> float:
    """ln P of the letters and one path."""
    start, transitions, end = _log(model.start), _log(model.transitions), _log(ending(model))
    number = np.cumsum(~model.silent) - 1
    total, t = float(start[states[0]]), 0
    for position, s in enumerate(states):
        total += float(transitions[states[position - 1], s]) if position else 0.0
        if not model.silent[s]:
            total += float(letters[t, number[s]])
            t += 1
    assert t == len(letters)
    return total + float(end[states[-1]])


def seen_states(model: Model, states: list[int]) -> tuple[int, ...]:
    """What a path shows: its emitting states, one a letter."""
    return tuple(s for s in states if not model.silent[s])


def log_best_route(model: Model, letters: Floats, seen: list[int]) -> float:
    """ln P of the letters and the likeliest of the paths with these emitting states."""
    allowed = np.full(letters.shape, -np.inf)
    columns = np.searchsorted(emitting_states(model), seen)
    allowed[np.arange(len(letters)), columns] = letters[np.arange(len(letters)), columns]
    return viterbi(model, allowed).log_probability


# --- brute force ----------------------------------------------------------------------------------------------------


def paths(model: Model, n_letters: int) -> Iterator[list[int]]:
    """Every path over possible edges that takes this many letters and ends in any state, likely or not."""
    order = silent_order(model)

    def extend(taken: int, states: list[int]) -> Iterator[list[int]]:
        if taken == n_letters and states:
            yield states
        for s in range(len(model.start)):
            if states and not model.possible[states[-1], s]:
                continue
            if model.silent[s]:
                yield from extend(taken, [*states, s])
            elif taken < n_letters:
                yield from extend(taken + 1, [*states, s])

    assert len(order) == model.silent.sum()
    yield from extend(0, [])


def enumerate_sums(model: Model, letters: Floats) -> Sums:
    """What `expect` computes, by visiting every path; for five letters or so.

    A derivative is taken factor by factor: P of a path without one of its steps, whose probability may be zero.
    """
    likelihood, end, number = np.exp(letters), ending(model), np.cumsum(~model.silent) - 1
    start, transitions, ends = np.zeros(len(end)), np.zeros((len(end), len(end))), np.zeros(len(end))
    posterior, total = np.zeros(letters.shape), 0.0
    for states in paths(model, len(letters)):
        seen = seen_states(model, states)
        emitted = math.prod(float(likelihood[t, number[s]]) for t, s in enumerate(seen))
        steps = list(itertools.pairwise(states))
        factors = [float(model.start[states[0]]), *(float(model.transitions[i, j]) for i, j in steps)]
        factors.append(float(end[states[-1]]))
        without = [emitted * math.prod(factors[:k] + factors[k + 1 :]) for k in range(len(factors))]
        start[states[0]] += without[0]
        for edge, p in zip(steps, without[1:-1], strict=True):
            transitions[edge] += p
        ends[states[-1]] += without[-1]
        p = emitted * math.prod(factors)
        total += p
        for t, s in enumerate(seen):
            posterior[t, number[s]] += p
    if total == 0.0:
        return Sums(-math.inf, 0 * start, 0 * transitions, 0 * ends, 0 * posterior)
    return Sums(math.log(total), start / total, transitions / total, ends / total, posterior / total)


def path_probabilities(model: Model, letters: Floats) -> dict[tuple[int, ...], float]:
    """P(emitting states | sequence) of every path that can be, routes through silent states summed."""
    weights: dict[tuple[int, ...], float] = {}
    for states in paths(model, len(letters)):
        p = math.exp(log_joint(model, letters, states))
        if p > 0.0:
            seen = seen_states(model, states)
            weights[seen] = weights.get(seen, 0.0) + p
    total = math.fsum(weights.values())
    return {seen: weight / total for seen, weight in weights.items()}


def best_paths(model: Model, letters: Floats, k: int) -> list[Path]:
    """The k likeliest paths that differ in their emitting states, each with its likeliest route; fewer if there are."""
    best: dict[tuple[int, ...], Path] = {}
    for states in paths(model, len(letters)):
        path, seen = Path(log_joint(model, letters, states), states), seen_states(model, states)
        if path.log_probability > max(-math.inf, best[seen].log_probability if seen in best else -math.inf):
            best[seen] = path
    return sorted(best.values(), key=lambda path: -path.log_probability)[:k]


# --- models and sequences -------------------------------------------------------------------------------------------


def random_model(
    rng: np.random.Generator,
    emitting: int | None = None,
    silent: int | None = None,
    zeros: float = 0.3,
    end: bool | None = None,
) -> Model:
    """A model of random topology, its states in random order, rows and start that sum to one.

    An edge is absent with probability `zeros`, and there at probability zero with a tenth of the rest; start and end
    entries are zero with probability `zeros`. So there are states that nothing reaches, states that lead nowhere but to
    themselves, and sequences that the model cannot emit. None: 1 to 3 emitting states, 0 to 2 silent, an end or not.
    """
    emitting = int(rng.integers(1, 4)) if emitting is None else emitting
    silent = int(rng.integers(0, 3)) if silent is None else silent
    has_end = bool(rng.integers(2)) if end is None else end
    states = emitting + silent
    is_silent = rng.permutation(np.arange(states) < silent)
    possible = rng.random((states, states)) >= zeros
    place = rng.permutation(states)  # of silent states, in their order
    possible &= ~(is_silent[:, None] & is_silent & (place[:, None] >= place))
    for s in np.flatnonzero(~possible.any(axis=1)):
        possible[s, rng.choice(np.flatnonzero(~is_silent))] = True
    rows = np.zeros((states, states + 1))
    rows[:, :-1] = possible * (rng.gamma(1.0, size=possible.shape) + 0.01) * (rng.random(possible.shape) >= 0.1)
    rows[:, -1] = has_end * rng.random(states) * (rng.random(states) >= zeros)
    for s in np.flatnonzero(~rows.any(axis=1)):
        rows[s, :-1][possible[s]] = 1.0
    rows /= rows.sum(axis=1, keepdims=True)
    start = (rng.gamma(1.0, size=states) + 0.01) * (rng.random(states) >= zeros)
    start[rng.integers(states)] += 0.1
    return Model(start / start.sum(), rows[:, :-1].copy(), rows[:, -1].copy() if has_end else None, is_silent, possible)


def random_letters(rng: np.random.Generator, rows: int, emitting: int, zeros: float = 0.1) -> Floats:
    """ln of likelihoods (rows, emitting) on scales of their own, as densities have; -inf with probability `zeros`."""
    table = rng.normal(0.0, 1.0, (rows, emitting)) + rng.normal(0.0, 3.0, (rows, 1))
    return np.where(rng.random(table.shape) < zeros, -np.inf, table)


def observe(probabilities: Floats, codes: Codes) -> Floats:
    """(T, E): ln of what the letters of a sequence say, where a letter has a row of `probabilities` (R, E)."""
    return _log(probabilities)[codes]
