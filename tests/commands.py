"""Running tiedseq as a user does: another process, started with `python -m tiedseq`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TIEDSEQ = [sys.executable, "-m", "tiedseq"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
for name in (
    "PYTHONUNBUFFERED",
    "TIEDSEQ_DEBUG",
):  # errors that show when a buffer is flushed are to be met as users do
    ENVIRONMENT.pop(name, None)


def run(*words: str | Path, **more: Any) -> subprocess.CompletedProcess[Any]:
    """The finished process; its output as text unless `more` says otherwise."""
    command = [*TIEDSEQ, *map(str, words)]
    return subprocess.run(command, **{"capture_output": True, "text": True, "timeout": 300, "env": ENVIRONMENT, **more})
