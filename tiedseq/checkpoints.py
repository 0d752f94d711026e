"""Files from which an interrupted training goes on to the same bits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import ArgumentError, InputError
from .sink import open_sink

_FORMAT = "tiedseq checkpoint"


class Checkpoint:
    """The state of a training in a file, whole at any time; without a path nothing is read or written.

    Parameters
    ----------
    path : str, PathLike or None
    digest : function without arguments
        Identifies the data, the model and the options: a file of another training is refused.
    """

    def __init__(self, path: Any, digest: Callable[[], str]) -> None:
        try:
            self._path = None if path is None else Path(path)
        except TypeError as error:
            raise ArgumentError(f"checkpoint={path!r} is no path of a file.") from error
        self._digest = "" if self._path is None else digest()

    def read(self, run_of: Callable[[dict[str, Any]], Any]) -> list[Any]:
        """Return what `run_of` makes of the runs in the file; none if there is no file.

        Raises InputError if it is no checkpoint, or of another training.
        """
        if self._path is None or not self._path.exists():
            return []
        name = str(self._path)
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            found, runs = document["digest"], document["runs"]
            if document["format"] != _FORMAT:
                raise KeyError("format")
        except OSError as error:
            raise InputError(f"the checkpoint cannot be read: {error.strerror}", name) from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError("not a checkpoint of tiedseq: remove it, or name another file", name) from error
        if found != self._digest:
            raise InputError(
                "the checkpoint is of another model, data or options: remove it to start anew, or name another file",
                name,
            )
        try:
            return [run_of(state) for state in runs]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError("the checkpoint is damaged: remove it to start anew", name) from error

    def write(self, runs: list[dict[str, Any]]) -> None:
        """Keep the runs."""
        if self._path is None:
            return
        text = json.dumps({"format": _FORMAT, "digest": self._digest, "runs": runs})
        with open_sink(str(self._path)) as file:
            file.write(text + "\n")

    def done(self) -> None:
        """Remove the file: the training is over."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
