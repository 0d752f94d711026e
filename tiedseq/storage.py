"""Model files: a versioned JSON document that a person can read, and back to the model to the last bit.

A document holds what a model's `to_dict` gives, under its kind. Reading never runs code from the file.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from . import __version__
from .errors import InputError, ResourceError

FORMAT = "tiedseq model"
VERSION = 1

# where the class of each kind of model lives: names, so that this module needs none of them
_KINDS = {"pair-hmm": ("tiedseq.pairhmm", "PairHMM")}


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write `model` to `path`, whole or not at all.

    Raises ResourceError if the file cannot be written.
    """
    document = {"format": FORMAT, "version": VERSION, "kind": model.kind, "tiedseq": __version__, **model.to_dict()}
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise ResourceError(f"the model cannot be written to {str(path)!r}: {error.strerror}") from error


def load(path: str | os.PathLike[str]) -> Any:
    """Read the model that `save` wrote.

    Raises
    ------
    InputError
        The file is missing, is no model file of tiedseq, is of a later version, or is damaged.
    """
    name = str(path)
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse_constant)
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
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"the model in the file is damaged: {error}", name) from error


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number that a model can hold")


def finite(value: float) -> float | None:
    """A number as JSON can hold it: None for infinities and NaN."""
    return value if math.isfinite(value) else None
