"""The scripts in examples/ run as they are, and print what their text says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def output_of(script: str, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "examples" / script), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_script_is_tested() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in (ROOT / "examples").glob("*.py") if f'"{path.name}"' not in text] == []


def test_confidence_along_a_genome(tmp_path: Path) -> None:
    found = re.findall(
        r"genes (\S+), control region (\S+)", output_of("confidence_along_a_genome.py", str(tmp_path / "c.png"))
    )
    genes, control = map(float, found[0])
    assert genes > 0.93 and control < genes - 0.05
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_cpg_islands() -> None:
    rows = [line.split()[-2:] for line in output_of("cpg_islands.py").splitlines()[2:]]
    everything, content, pairs = ((float(known), float(unknown)) for known, unknown in rows)
    assert pairs[1] > 2 * content[1] > 4 * everything[1]  # CpG itself, not G and C content, makes the difference
    assert pairs[0] > content[0] > everything[0]
