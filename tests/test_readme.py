"""The README tells the truth: its Python runs as it stands, and prints what is printed there."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"```python\n(?P<code>.*?)```(?:\n\n```text\n(?P<output>.*?)```)?", re.DOTALL)
BLOCKS = list(BLOCK.finditer((ROOT / "README.md").read_text(encoding="utf-8")))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block["code"].strip().splitlines()[-1][:40])
def test_python_runs_and_prints_what_it_says(block: re.Match[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block["code"], "README.md", "exec"), {"__name__": "readme"})
    if block["output"] is not None:
        assert printed.getvalue() == block["output"]


def test_there_are_blocks_with_their_output() -> None:
    assert len(BLOCKS) >= 4 and sum(block["output"] is not None for block in BLOCKS) >= 2
