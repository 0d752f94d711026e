"""What a model file says, restated in the label language: the arguments that make the model again.

So there is one way from labels to a model, and a model from a file has the constructor's arguments like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from .distributions import Categorical, categorical_from_structure, complement
from .errors import ModelError, TiedseqError
from .language import Numbers


@contextmanager
def damage_as_model_error() -> Iterator[None]:
    """Make a ModelError of what goes wrong where a model is made from a description that is none: for `from_dict`."""
    try:
        yield
    except TiedseqError:
        raise
    except KeyError as error:
        raise ModelError(f"The description of the model lacks {error}; give it as to_dict() returned it.") from error
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise ModelError(
            f"The description of the model is damaged ({error}); give it as to_dict() returned it."
        ) from error


def restated(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments `transitions`, `emissions`, `start`, `extra` and `values` of a Specification.

    Entries are labels, and every label has its value; one that training has brought to zero is as small as can be,
    since a zero that is given would be impossible for good.

    Parameters
    ----------
    document : mapping
        As ``Specification.to_dict`` returns it.

    Raises
    ------
    KeyError, TypeError, AttributeError, IndexError, ModelError
        The document is damaged.
    """
    arguments = stored_arguments(document)
    for label, entry in arguments["values"].items():
        if isinstance(entry, Categorical):
            numbers: Any = entry.values
            if not np.isnan(numbers.values).any():
                entry.values = numbers.as_typed()
        else:
            arguments["values"][label] = entry.as_typed()
    return arguments


def stored_arguments(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same with values to the last bit, of which only those that are null are impossible."""
    values: dict[str, Any] = {}
    for label, entry in document["values"].items():
        held = isinstance(entry, dict)
        values[label] = Numbers.stored(entry["fixed"] if held else entry, held, f"values[{label!r}]")
    for label, structure in document.get("distributions", {}).items():
        values[label] = _with_ties(structure, values[label])
    return {
        "transitions": document["transitions"],
        "emissions": _uses(document.get("emissions", {})),
        "start": dict(document["start"]),
        "extra": _uses(document.get("extra", {})),
        "values": values,
    }


def _uses(section: Mapping[str, Any]) -> dict[str, Any]:
    return {
        place: complement(entry["complement"]) if isinstance(entry, dict) else entry for place, entry in section.items()
    }


def _with_ties(structure: Mapping[str, Any], numbers: Numbers) -> Categorical:
    """Return a distribution with ties within it; cells with labels of the model leave their values to these."""
    distribution = categorical_from_structure(structure, numbers.values.shape)
    if distribution.labels is not None:
        labelled = np.vectorize(lambda cell: isinstance(cell, str), otypes=[bool])(distribution.labels)
        numbers = Numbers(np.where(labelled, np.nan, numbers.values), numbers.impossible, numbers.held)
    distribution.values = numbers  # type: ignore[assignment]
    return distribution
