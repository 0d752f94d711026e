"""Model files: a versioned JSON document that a person can read, and back to the model to the last bit.

A document holds what a model's `to_dict` gives, under its kind. Reading never runs code from the file.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any

from . import __version__
from .errors import ArgumentError, InputError, TiedseqError
from .sink import open_sink

FORMAT = "tiedseq model"
VERSION = 1
_GZIP = b"\x1f\x8b"

# where the class of each kind of model lives: names, so that this module needs none of them
_KINDS = {
    "pair-hmm": ("tiedseq.pairhmm", "PairHMM"),
    "hmm": ("tiedseq.hmm", "HMM"),
    "network": ("tiedseq.nn", "Sequential"),
    "classifier": ("tiedseq.nn", "Classifier"),
    "regressor": ("tiedseq.nn", "Regressor"),
    "labeller": ("tiedseq.nn", "Labeller"),
    "siamese": ("tiedseq.nn", "Siamese"),
}


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write `model` to `path`, whole or not at all; a name that ends in ".gz" is compressed.

    Raises ResourceError if the file cannot be written.
    """
    document = {"format": FORMAT, "version": VERSION, "kind": model.kind, "tiedseq": __version__, **model.to_dict()}
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with open_sink(path) as sink:
        sink.write(text)


def load(path: str | os.PathLike[str]) -> Any:
    """Read the model that `save` wrote, compressed with gzip or plain.

    Raises
    ------
    ArgumentError
        `path` is no path.
    InputError
        The file is missing, is no model file of tiedseq, is of a later version, or is damaged.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(f"path={path!r} is not the path of a model file")
    name = os.fspath(path)
    try:
        data = Path(path).read_bytes()
        text = (gzip.decompress(data) if data.startswith(_GZIP) else data).decode("utf-8")
        document = json.loads(text, parse_constant=_refuse_constant)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"not a model file: its gzip data is damaged: {error}", name) from error
    except OSError as error:
        raise InputError(f"the model file cannot be read: {error.strerror}", name) from error
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise InputError(f"not a model file: {error}", name, line=line) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f'not a model file: "format" is not "{FORMAT}"', name)
    if document.get("version") != VERSION:
        raise InputError(
            f"the file is of version {document.get('version')!r}, this tiedseq {__version__} reads version {VERSION}: "
            "use the tiedseq that wrote it, or a later one",
            name,
        )
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InputError(f"the file holds a {kind!r}; known kinds: {', '.join(_KINDS)}", name)
    module, attribute = _KINDS[kind]
    try:
        return getattr(import_module(module), attribute).from_dict(document)
    except TiedseqError as error:
        raise InputError(f"the model in the file is damaged: {error}", name) from error


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number that a model can hold")
