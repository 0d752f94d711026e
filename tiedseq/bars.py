"""Progress bars."""

from __future__ import annotations

from typing import Any

from .errors import ArgumentError


def bar(*over: Any, **options: Any) -> Any:
    """Return a bar of tqdm, in a terminal or a notebook. Raises ArgumentError where tqdm is not installed."""
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ArgumentError("progress=True needs tqdm; install it with pip install 'tiedseq[progress]'.") from error
    return tqdm(*over, **options)
