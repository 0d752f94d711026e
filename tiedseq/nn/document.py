"""Networks as documents for JSON, and back: layers by class name and arguments, free values as numbers.

What a layer was made from is written as it stands; what is no plain JSON is a dictionary under a word of its own, as in
{"layer": "Conv1D", ...}. Reading makes only layers that `tiedseq.nn` names.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.alphabet import Alphabet
from tiedseq.errors import ModelError
from tiedseq.ties import Ties

from .layer import Layer
from .signal import Action, Signal

Array = NDArray[Any]


class Writer:
    """Turns arguments into JSON. A layer that stands in two places is written once, and referred to by its number."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def layer(self, layer: Layer) -> dict[str, Any]:
        """Return {"layer": class, "arguments": {name: value}}. Raises ModelError for what no file can hold."""
        if id(layer) in self._numbers:
            return {"same": self._numbers[id(layer)]}
        name = type(layer).__name__
        if _layer_class(name) is not type(layer):
            raise ModelError(
                f"{layer!r} is a layer of your own, which no file can hold; keep `net.values`, and make the network "
                "anew in your script."
            )
        self._numbers[id(layer)] = len(self._numbers)
        arguments = {key: self.value(entry, f"{key}= of {layer!r}") for key, entry in arguments_of(layer).items()}
        return {"layer": name, "arguments": arguments}

    def value(self, entry: Any, where: str) -> Any:
        """Return one argument."""
        if entry is None or isinstance(entry, bool | int | float | str):
            return entry
        if isinstance(entry, np.generic):
            return entry.item()
        if isinstance(entry, list | tuple):
            return [self.value(each, where) for each in entry]
        if isinstance(entry, Layer):
            return self.layer(entry)
        if isinstance(entry, Alphabet):
            return {"alphabet": entry.to_dict()}
        if isinstance(entry, Signal):
            return {"signal": signal_to_dict(entry)}
        if isinstance(entry, np.ndarray) and entry.dtype.kind in "biuf":
            return {"array": entry.tolist(), "dtype": entry.dtype.name}
        if isinstance(entry, Ties):
            labels = entry.labels.astype(object)
            labels[entry.labels < 0] = None
            return {"ties": labels.tolist()} | ({"signs": entry.signs.tolist()} if (entry.signs < 0).any() else {})
        if isinstance(entry, Mapping) and all(isinstance(key, str) for key in entry):
            return {"mapping": {key: self.value(each, where) for key, each in entry.items()}}
        if getattr(entry, "kind", None) == "network":
            return {"network": entry.to_dict()}
        if hasattr(entry, "tocoo"):  # a sparse matrix
            found = entry.tocoo()
            rows, columns, data = (part.tolist() for part in (found.row, found.col, found.data))
            return {"sparse": [rows, columns, data], "shape": list(found.shape), "dtype": found.dtype.name}
        remedy = "keep `net.values`, and make the network anew in your script"
        if callable(entry):
            raise ModelError(
                f"{where} is a function, and model files hold no code; {remedy}, or use a symmetry by name."
            )
        raise ModelError(f"{where} is of type {type(entry).__name__}, which no model file can hold; {remedy}.")


class Reader:
    """The way back."""

    def __init__(self) -> None:
        self._layers: list[Layer | None] = []

    def layer(self, document: Mapping[str, Any]) -> Layer:
        """Return the layer that `Writer.layer` described. Raises ValueError or TypeError for another document."""
        if "same" in document:
            known = self._layers[int(document["same"])]
            if known is None:
                raise ValueError("a layer is part of itself")
            return known
        found = _layer_class(document["layer"])
        if found is None:
            raise ValueError(f"there is no layer {document['layer']!r}")
        number = len(self._layers)
        self._layers.append(None)
        positional: list[Any] = []
        named = {key: self.value(entry) for key, entry in document["arguments"].items()}
        for key, parameter in inspect.signature(found).parameters.items():
            if parameter.kind is parameter.VAR_POSITIONAL and key in named:
                positional = named.pop(key)
        made = found(*positional, **named)
        self._layers[number] = made
        return made

    def value(self, entry: Any) -> Any:
        if isinstance(entry, list):
            return [self.value(each) for each in entry]
        if not isinstance(entry, dict):
            return entry
        if "layer" in entry or "same" in entry:
            return self.layer(entry)
        if "alphabet" in entry:
            return Alphabet.from_dict(entry["alphabet"])
        if "signal" in entry:
            return signal_from_dict(entry["signal"])
        if "array" in entry:
            return np.array(entry["array"], entry["dtype"])
        if "ties" in entry:
            return Ties(entry["ties"], entry.get("signs"))
        if "network" in entry:
            return import_module("tiedseq.nn.network").Sequential.from_dict(entry["network"])
        if "sparse" in entry:
            from scipy.sparse import csr_array

            rows, columns, data = entry["sparse"]
            return csr_array((np.array(data, entry["dtype"]), (rows, columns)), shape=tuple(entry["shape"]))
        return {key: self.value(each) for key, each in entry["mapping"].items()}


def arguments_of(layer: Layer) -> dict[str, Any]:
    """Return what the constructor of a layer was given, by name; what was left out has its default, and is left out."""
    positional, named = layer.given
    bound = inspect.signature(type(layer)).bind(*positional, **named)
    found = dict(bound.arguments)
    for key, parameter in bound.signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            found.update(found.pop(key, {}))
    return {name: layer.restated().get(name, entry) for name, entry in found.items()}


def signal_to_dict(signal: Signal) -> dict[str, Any]:
    """Return a signal, its dtype apart."""
    action = signal.action
    return {
        "channels": signal.channels,
        "positions": signal.positions,
        "length": signal.length,
        "letters": None if signal.letters is None else signal.letters.to_dict(),
        "action": None if action is None else [action.name, list(action.permutation), list(action.signs)],
    }


def signal_from_dict(document: Mapping[str, Any]) -> Signal:
    letters, action = document["letters"], document["action"]
    return Signal(
        int(document["channels"]),
        bool(document["positions"]),
        None if document["length"] is None else int(document["length"]),
        None if letters is None else Alphabet.from_dict(letters),
        None if action is None else Action.of(*action),
    )


def numbers(values: Array) -> list[float]:
    """Return values as numbers that are read back to the last bit: nine digits say which float32 it is."""
    if values.dtype == np.float32:
        return [float(f"{value:.9g}") for value in values.tolist()]
    return [float(value) for value in values.tolist()]


def _layer_class(name: str) -> Any:
    found = getattr(import_module("tiedseq.nn"), name, None)
    return found if isinstance(found, type) and issubclass(found, Layer) else None
