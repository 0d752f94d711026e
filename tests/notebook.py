"""Run a notebook afresh and write its outputs into it, without times: python tests/notebook.py examples/hmm.ipynb"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def run(source: Path, target: Path) -> None:
    """Execute a notebook in its folder, with this interpreter and this checkout, and write it with its outputs."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # a user's kernels may be those of other interpreters
    os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parent.parent)
    import nbclient
    import nbformat

    notebook = nbformat.read(source, as_version=4)
    nbclient.NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": str(source.parent)}},
        record_timing=False,
        coalesce_streams=True,
    ).execute()
    notebook.metadata.pop("language_info", None)  # versions of what happens to be installed
    nbformat.write(notebook, target)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[-1]))
