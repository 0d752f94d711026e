"""Files from which an interrupted training goes on to the same bits, and what of an optimiser is kept in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ArgumentError, InputError
from .sink import open_sink

Vector = NDArray[np.float64]

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
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
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


class Evaluations:
    """What an objective gave at every look, in order; what is there already is given again without looking.

    SciPy's L-BFGS keeps its memory to itself: from its start and all evaluations it finds its way again without
    computing one.

    Parameters
    ----------
    start : float64 (n,)
        The values that the first look was at.
    found : list of (value, gradient), default none
    """

    def __init__(self, start: Vector, found: list[tuple[float, list[float]]] | None = None) -> None:
        self.start, self.found = start, found or []

    def of(self, objective: Callable[[Vector], tuple[float, Vector]]) -> Callable[[Vector], tuple[float, Vector]]:
        """Return the objective, to be asked from the start on."""
        looks = count()

        def known(values: Vector) -> tuple[float, Vector]:
            look = next(looks)
            if look == len(self.found):
                value, gradient = objective(values)
                self.found.append((value, gradient.tolist()))
            value, listed = self.found[look]
            return value, np.array(listed)

        return known

    def state(self) -> dict[str, Any]:
        """Return them for a checkpoint."""
        return {"start": self.start.tolist(), "found": self.found}

    @classmethod
    def of_state(cls, state: dict[str, Any], size: int) -> Evaluations:
        """Return those, of so many values, that `state` described. Raises TypeError or ValueError if it is damaged."""
        found = [(float(value), vector_of(gradient, size).tolist()) for value, gradient in state["found"]]
        return cls(vector_of(state["start"], size), found)


def vector_of(entry: Any, size: int) -> Vector:
    """Return so many numbers of a checkpoint. Raises TypeError or ValueError for anything else."""
    found = np.array(entry, np.float64)
    if found.shape != (size,) or np.isnan(found).any():
        raise ValueError(f"{size} numbers are needed")
    return found
