"""Reading a strand-symmetric model: what a user types, as the tables that both strands share, or why it cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Alphabet
from tiedseq.chains.tables import Floats
from tiedseq.constraints import TYPED
from tiedseq.distributions import complement, fixed
from tiedseq.errors import ModelError
from tiedseq.language import Numbers, Use, check_keys
from tiedseq.options import LARGEST_SYMMETRIC_ORDER
from tiedseq.specification import Specification

from .flows import Flows, mirrored

STEPS = "flow"  # what the table of states is called among the parameters


class Steps(NamedTuple):
    """The states, and how they follow each other at first."""

    states: tuple[str, ...]
    mirror: NDArray[np.intp]  # (N,): the image of every state; of the outside too, the last one, if there is an end
    weights: Floats  # (N, N): conditional probabilities
    has_end: bool


class Letters(NamedTuple):
    """Which state emits by which table."""

    alphabet: Alphabet
    mirror: NDArray[np.intp]  # (K,): the complement of every letter
    uses: dict[str, Use]  # by state
    tables: dict[str, Flows]  # by label
    held: frozenset[str]


class Given(NamedTuple):
    """The tables that have a starting value, by label."""

    typed: dict[str, Floats]  # as they were typed
    weights: dict[str, Floats]  # as conditional probabilities


def read_steps(transitions: Mapping[str, Any], start: Mapping[str, Any] | None) -> Steps:
    """Read the rows. Raises ModelError for labels and held entries, and for steps whose image is impossible."""
    for source, row in [*transitions.items(), ("start", start or {})]:
        for target, entry in row.items() if isinstance(row, Mapping) else ():
            if isinstance(entry, str | fixed):
                raise ModelError(
                    f"{source!r} -> {target!r} is {entry!r}. With symmetry= the flow pi_i A_ij is tied to that of the "
                    "other strand, and entries of rows cannot be tied or held beside it: the conditional probabilities "
                    "of the two strands differ. Give a number, the starting value."
                )
    rows = Specification(dict.fromkeys(transitions), transitions, {}, start=start)
    tables, has_end = rows.tables(), rows.has_end
    if start is not None and not has_end:
        raise ModelError(
            "start= is given, but in a model with symmetry= and without an end sequences begin anywhere: with a state "
            "as often as it is visited. Leave start= out."
        )
    weights = tables["transitions"][:, :-1]
    if has_end:
        weights = np.vstack([tables["transitions"], np.append(tables["start"][:-1], 0.0)])
        if tables["start"][-1] > 0.0:
            raise ModelError("start= leads to the end, but a sequence has one letter at least; leave that out.")
    mirror = state_images(rows.states, has_end)
    missing = np.argwhere((weights > 0.0) & ~mirrored(weights > 0.0, mirror))
    if len(missing):
        names = [*rows.states, "the outside"]
        i, j = missing[0].tolist()
        raise ModelError(
            f"{names[i]!r} -> {names[j]!r} is possible, but its mirror image {names[mirror[j]]!r} -> "
            f"{names[mirror[i]]!r} is not; give both a probability, or none."
        )
    return Steps(rows.states, mirror, weights, has_end)


def partner(state: str) -> str:
    """What the image of a state is called: its own name, but for a last sign.

    >>> partner("gene+"), partner("between")
    ('gene-', 'between')
    """
    return state[:-1] + {"+": "-", "-": "+"}.get(state[-1:], state[-1:])


def state_images(states: tuple[str, ...], has_end: bool) -> NDArray[np.intp]:
    """The image of every state: "x+" and "x-" are each other's, others their own; and of the outside, the last one.

    Raises ModelError for one of the two without the other.
    """
    names = list(map(partner, states))
    for state, name in zip(states, names, strict=True):
        if name not in states:
            raise ModelError(
                f"The state {state!r} has no mirror image {name!r}; add that one, or call it something without a sign."
            )
    images = [states.index(name) for name in names]
    return np.array([*images, len(states)] if has_end else images, np.intp)


def read_letters(
    steps: Steps, alphabet: Alphabet | None, emissions: Mapping[str, Any], values: Mapping[str, Any], order: int
) -> tuple[Letters, Given]:
    """Read emissions. Raises ModelError for those that cannot be the same on both strands."""
    if alphabet is None or alphabet.complement_index is None:
        raise ModelError("symmetry= is for letters with a complement; give alphabet=ts.DNA or ts.RNA.")
    if order > LARGEST_SYMMETRIC_ORDER:
        raise ModelError(
            f"order={order} is more than a model with symmetry= can have, which is {LARGEST_SYMMETRIC_ORDER}."
        )
    if order and alphabet.has_qualities:
        raise ModelError(
            f"With symmetry= and order={order} the letters before one must be known, and with qualities none is for "
            "certain: give the alphabet without_qualities(), or order=0."
        )
    check_keys("emissions=", emissions, steps.states, "a state", complete=False)
    uses, entries = _uses(steps, emissions)
    _check_images(steps, uses)
    symmetric = symmetric_labels(steps, uses)
    check_keys("values=", values, {use.label for use in uses.values()}, "a label of emissions", complete=False)
    for label, entry in values.items():
        if label in entries:
            raise ModelError(f"{label!r} has a table in emissions= and another in values=; give one of them.")
        entries[label] = entry, f"values[{label!r}]"
    shape = (alphabet.n_letters,) * (order + 1)
    mirror, tables, given, typed = alphabet.complement_index, {}, {}, {}
    for label in dict.fromkeys(use.label for use in uses.values()):
        if label.split(" ")[0] == STEPS:
            raise ModelError(f"The label {label!r} is what the flow from state to state is called; rename it.")
        possible = np.ones(shape, bool)
        if label in entries:
            typed[label] = _typed(*entries[label], shape)
            sums = typed[label].sum(axis=-1, keepdims=True)
            given[label] = np.divide(typed[label], sums, out=np.zeros(shape), where=sums > 0.0)
            possible = given[label] > 0.0
        if label in symmetric and not np.array_equal(possible, mirrored(possible, mirror)):
            raise ModelError(f"A word of {label!r} has probability zero, but its reverse complement has not.")
        tables[label] = Flows(possible, mirror if label in symmetric else None)
    held = frozenset(label for label, (entry, _) in entries.items() if isinstance(entry, fixed))
    return Letters(alphabet, mirror, uses, tables, held), Given(typed, given)


def _uses(steps: Steps, emissions: Mapping[str, Any]) -> tuple[dict[str, Use], dict[str, tuple[Any, str]]]:
    """Who emits by which label, and the tables given in place, each with what a message calls it."""
    uses: dict[str, Use] = {}
    entries: dict[str, tuple[Any, str]] = {}
    for state in steps.states:
        entry, place = emissions.get(state), f"emissions[{state!r}]"
        if isinstance(entry, str) and entry:
            uses[state] = Use(entry, False)
        elif isinstance(entry, complement):
            uses[state] = Use(entry.label, True)
        elif isinstance(entry, fixed | list | tuple | np.ndarray):
            uses[state] = Use(state, False)
            entries[state] = entry, place
        elif state in emissions:
            raise ModelError(
                f"{place} is {entry!r}; a model with symmetry= takes a label, a table, ts.fixed(table) or, in the "
                "mirror image of a state, ts.complement(label). It has no silent states, and ties none of a table's "
                "cells beside those that the symmetry ties."
            )
    for state, image in zip(steps.states, steps.mirror.tolist(), strict=False):
        if state not in uses:
            partner = uses.get(steps.states[image])
            if partner is None:
                raise ModelError(
                    f"emissions= lacks the state {state!r}; only one of two mirror images may be left out."
                )
            uses[state] = Use(partner.label, not partner.complemented)
    return uses, entries


def _check_images(steps: Steps, uses: Mapping[str, Use]) -> None:
    """Raise ModelError unless mirror images emit by the same label."""
    for state, image in zip(steps.states, steps.mirror.tolist(), strict=False):
        mine, theirs = uses[state], uses[steps.states[image]]
        if mine.label != theirs.label:
            raise ModelError(
                f"{state!r} and {steps.states[image]!r} are mirror images, but emit by {mine.label!r} and "
                f"{theirs.label!r}; leave one of them out of emissions=, or make it ts.complement({mine.label!r})."
            )


def symmetric_labels(steps: Steps, uses: Mapping[str, Use]) -> set[str]:
    """Labels whose tables are their own images: those of states that are, or that both images use alike."""
    images = dict(zip(steps.states, steps.mirror.tolist(), strict=False))
    return {
        use.label for state, use in uses.items() if use.complemented == uses[steps.states[images[state]]].complemented
    }


def _typed(entry: Any, place: str, shape: tuple[int, ...]) -> Floats:
    """A table: probabilities after every context, or frequencies of words."""
    numbers = Numbers.typed(entry, place)
    if numbers.values.shape != shape:
        raise ModelError(f"{place} has the shape {numbers.values.shape}, but needs the shape {shape}.")
    sums = numbers.values.sum(axis=-1)
    if np.abs(sums - 1.0).max() > TYPED and abs(sums.sum() - 1.0) > TYPED:
        raise ModelError(
            f"{place} sums to {sums.sum():.7g}; either the probabilities after every context sum to one, or the "
            "frequencies of all words."
        )
    return numbers.values
