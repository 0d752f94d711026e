"""Reading a model: which states emit letters, which numbers, and which nothing, or why they cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiedseq.alphabet import Alphabet
from tiedseq.errors import ModelError
from tiedseq.families import Family


def told_apart(
    transitions: Mapping[str, Any], emissions: Mapping[str, Any], values: dict[str, Any], alphabet: Alphabet | None
) -> tuple[dict[str, Any], dict[str, tuple[Family, str]]]:
    """Return the states that emit letters, and those that emit numbers with their families; the others are silent.

    Families among `values` are taken out of it. Raises ModelError for states that contradict each other.
    """
    letters: dict[str, Any] = {}
    numbers: dict[str, tuple[Family, str]] = {}
    shared = {label: values.pop(label) for label in list(values) if isinstance(values[label], Family)}
    for state in emissions:
        if state not in transitions:
            raise ModelError(f"emissions= has the state {state!r}, which transitions= lacks; every state needs a row.")
    for state in transitions:
        if state not in emissions:
            raise ModelError(f"emissions= lacks the state {state!r}; give it one, or None if it is silent.")
        entry = emissions[state]
        if isinstance(entry, Family):
            numbers[state] = entry, state
        elif isinstance(entry, str) and entry in shared:
            numbers[state] = shared[entry], entry
        elif entry is not None:
            letters[state] = entry
    unused = [label for label in shared if label not in {owner for _, owner in numbers.values()}]
    if unused:
        raise ModelError(f"values= has a family for {unused[0]!r}, a label that no state emits by.")
    if letters and numbers:
        raise ModelError(
            f"State {next(iter(letters))!r} emits letters and state {next(iter(numbers))!r} numbers; all states see "
            "the same sequence, so they emit the same kind of thing."
        )
    if not letters and not numbers:
        raise ModelError("All states are silent; one at least must emit something.")
    if len({family.layout for family, _ in numbers.values()}) > 1:
        layouts = "; ".join(f"{state!r}: {family.layout}" for state, (family, _) in numbers.items())
        raise ModelError(
            f"The states observe different things ({layouts}); they see the same sequence, so give all families the "
            "same dims=, or the same channels in one order."
        )
    if letters and alphabet is None:
        raise ModelError("emissions= has tables of letters; name the letters with alphabet=.")
    if numbers and alphabet is not None:
        raise ModelError("emissions= has families of numbers; alphabet= is for letters, leave it out.")
    return letters, numbers
