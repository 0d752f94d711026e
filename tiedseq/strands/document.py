"""What a model file says of a strand-symmetric model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tiedseq.alphabet import Alphabet
from tiedseq.chains.tables import Floats
from tiedseq.constraints import TYPED
from tiedseq.distributions import complement, fixed
from tiedseq.errors import ModelError
from tiedseq.language import Use

from .flows import Flows, mirrored
from .language import STEPS, Letters, Steps, state_images, symmetric_labels


class Stored(NamedTuple):
    """The structure and the values of a document."""

    steps: Steps
    letters: Letters
    tables: dict[str, Floats]  # joint frequencies by label, `STEPS` among them
    given: frozenset[str]  # labels that restarts leave alone


def read_document(document: Mapping[str, Any], alphabet: Alphabet | None) -> Stored:
    """Return what `StrandParameters.to_dict` wrote. Raises ModelError for what contradicts itself."""
    if alphabet is None or alphabet.complement_index is None:
        raise _damaged("symmetry, but no alphabet whose letters have complements")
    states, has_end, order = tuple(document["states"]), bool(document["has_end"]), int(document["order"])
    images, size = state_images(states, has_end), len(states) + has_end
    flow = _frequencies(document["flow"], "flow", (size, size))
    steps = Steps(states, images, flow, has_end)
    uses = _uses(document["emissions"], states)
    labels = list(dict.fromkeys(use.label for use in uses.values()))
    if set(labels) != set(document["values"]):
        raise _damaged(f"values of {sorted(document['values'])}, but states that emit by {sorted(labels)}")
    shape = (alphabet.n_letters,) * (order + 1)
    entries = _values(document)
    held = frozenset(label for label, entry in entries.items() if isinstance(entry, fixed))
    tables = {label: _frequencies(getattr(entries[label], "value", entries[label]), label, shape) for label in labels}
    for state, image in zip(states, images.tolist(), strict=False):
        if uses[state].label != uses[states[image]].label:
            raise _damaged(f"two tables for {state!r} and {states[image]!r}, which are mirror images")
    symmetric, mirror = symmetric_labels(steps, uses), alphabet.complement_index
    for label in symmetric:
        if not np.array_equal(tables[label] > 0.0, mirrored(tables[label] > 0.0, mirror)):
            raise _damaged(f"a word of {label!r} that is possible on one strand only")
    flows = {label: Flows(table > 0.0, mirror if label in symmetric else None) for label, table in tables.items()}
    return Stored(
        steps, Letters(alphabet, mirror, uses, flows, held), {STEPS: flow, **tables}, frozenset(document["given"])
    )


def restated(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments `emissions`, `values` and `symmetry` that make a document's letters again."""
    emissions = {
        state: complement(entry["complement"]) if isinstance(entry, dict) else entry
        for state, entry in document["emissions"].items()
    }
    return {"symmetry": document["symmetry"], "emissions": emissions, "values": _values(document)}


def _values(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        label: fixed(entry["fixed"]) if isinstance(entry, dict) else entry
        for label, entry in document["values"].items()
    }


def _uses(emissions: Mapping[str, Any], states: tuple[str, ...]) -> dict[str, Use]:
    """Who emits by which label."""
    if set(emissions) != set(states):
        raise _damaged(f"the states {list(states)}, but letters for {list(emissions)}")
    uses = {
        state: Use(entry["complement"], True) if isinstance(entry, dict) else Use(entry, False)
        for state, entry in emissions.items()
    }
    return {state: uses[state] for state in states}


def _frequencies(stored: Any, label: str, shape: tuple[int, ...]) -> Floats:
    table = np.array(stored, np.float64)
    if table.shape != shape:
        raise _damaged(f"a table {label!r} of shape {table.shape}, not {shape}")
    if not (table >= 0.0).all() or abs(table.sum() - 1.0) > TYPED:
        raise _damaged(f"a table {label!r} that holds no frequencies, whose sum is one")
    return table


def _damaged(what: str) -> ModelError:
    return ModelError(f"The description of the model has {what}.")
