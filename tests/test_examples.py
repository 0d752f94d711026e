"""The scripts in examples/ run as they are, and print what their text says; the notebook holds its own outputs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent


def output_of(script: str, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "examples" / script), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_script_is_tested() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [
        path.name for path in (ROOT / "examples").iterdir() if path.is_file() and f'"{path.name}"' not in text
    ] == []


def test_confidence_along_a_genome(tmp_path: Path) -> None:
    found = re.findall(
        r"genes (\S+), .*control region (\S+)", output_of("confidence_along_a_genome.py", str(tmp_path / "c.png"))
    )
    genes, control = map(float, found[0])
    assert genes > 0.93 and control < genes - 0.05
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_cpg_islands() -> None:
    rows = [line.split()[-2:] for line in output_of("cpg_islands.py").splitlines()[2:]]
    everything, content, pairs, tied = ((float(known), float(unknown)) for known, unknown in rows)
    assert pairs[1] > 2 * content[1] > 4 * everything[1]  # CpG itself, not G and C content, makes the difference
    assert pairs[0] > content[0] > everything[0]
    assert min(tied) > 0.9 * min(pairs)  # with a little more than half of the parameters


def test_motifs(tmp_path: Path) -> None:
    """The network finds the motifs that are known."""
    found = output_of("motifs.py", str(tmp_path / "m.png"))
    assert float(re.findall(r"(\S+) of what it learnt from", found)[0]) > 0.95
    for factor, word in (("oct4", "ATGCA"), ("mafk", "TGCTGA")):
        first, *_ = re.findall(rf"{factor}: (\S+) in", found)
        assert word in first
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


def test_sample_size(tmp_path: Path) -> None:
    row = output_of("sample_size.py", str(tmp_path / "s.png"), "100").splitlines()[1].split()
    assert row[0] == "100"
    shared, unshared, dense = map(float, row[1:])
    assert shared < 0.15 and min(unshared, dense) > 0.4  # a hundred sequences teach the motif only to shared filters
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_hybrid_cpg() -> None:
    rows = [line.split()[-2:] for line in output_of("hybrid_cpg.py").splitlines()[2:-1]]
    pairs, alone, apart, together = ((float(known), float(unknown)) for known, unknown in rows)
    assert together[0] > max(apart[0], pairs[0]) + 0.05 and together[1] > 0.4
    assert apart[0] > alone[0] + 0.2 and apart[1] > alone[1] + 0.2


# ---- the notebook ----------------------------------------------------------------------------------------------------


def run_anew(name: str, folder: Path) -> Any:
    """A notebook, run by a kernel of this interpreter."""
    path = folder / name
    words = [sys.executable, str(ROOT / "tests" / "notebook.py"), str(ROOT / "examples" / name), str(path)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run_anew("hmm.ipynb", tmp_path_factory.mktemp("notebook"))


def outputs(notebook: Any) -> list[tuple[str, str]]:
    """What the cells show, (kind, text) each; of a picture its kind only, as pixels depend on fonts."""
    found = []
    for output in (output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs):
        if output.output_type == "stream":
            found.append((output.name, output.text))
        elif "image/png" in output.data:
            found.append(("picture", ""))
        else:
            found.append(("value", output.data["text/plain"] + output.data.get("text/html", "")))
    return found


def test_the_notebook_shows_what_comes_out(fresh: Any) -> None:
    path = ROOT / "examples" / "hmm.ipynb"
    shown = outputs(nbformat.read(path, as_version=4))
    assert shown == outputs(fresh), "run python tests/notebook.py examples/hmm.ipynb"
    kinds = [kind for kind, _ in shown]
    assert kinds.count("picture") == 5 and kinds.count("value") == 4 and "stderr" not in kinds
    assert path.stat().st_size < 300_000


def test_what_the_notebook_says_is_so(fresh: Any) -> None:
    text = "".join(text for kind, text in outputs(fresh) if kind == "stdout")
    titles = ("right by posterior", "right by Viterbi path", "always saying fair")
    posterior, viterbi, fair = (float(re.findall(rf"{title}: +(\S+)", text)[0]) for title in titles)
    assert posterior > viterbi > fair
    p = {title: float(p) for title, p in re.findall(r"^(\S.*?) +statistic .* p (\S+)$", text, re.MULTILINE)}
    assert p["both dice are left equally often"] < 1e-6
    assert min(p["the loaded die shows 1 to 5 alike"], p["the fair die is fair"]) > 0.05
    rows = re.findall(r"^(\S.*?)  .* (0\.\d{3}) +(0\.\d{3})$", text, re.MULTILINE)
    known, unseen = ({row[0]: float(row[k]) for row in rows} for k in (1, 2))
    assert unseen["order 1"] > 2 * unseen["order 0"] > 2 * unseen["windows rich in C + G"]
    assert known["order 2"] > known["order 1"] > known["order 0"] > known["windows rich in C + G"] > known["everything"]
    assert unseen["order 1, both strands"] > 2 * unseen["order 0"]
    assert unseen["order 1, no marks"] <= unseen["windows rich in C + G"]


# ---- insertion.ipynb ------------------------------------------------------------------------------------------------


def test_the_verdicts_are_whole() -> None:
    """What is stored: the three verdicts and M13, in the order of magnitude that the text speaks of."""
    shown = outputs(nbformat.read(ROOT / "examples" / "insertion.ipynb", as_version=4))
    kinds = [kind for kind, _ in shown]
    assert kinds.count("picture") == 2 and "stderr" not in kinds
    text = "".join(text for kind, text in shown if kind == "stdout")
    verdict = r"^(\S.*): likelihood ratio \S+, df \d, p = (\S+); \d+ blocks swapped, p = (\S+)$"
    found = {title: (float(p), float(q)) for title, p, q in re.findall(verdict, text, re.MULTILINE)}
    assert list(found) == ["one class of gaps", "two classes of gaps", "one class, genes only"]
    (one, one_swapped), (two, two_swapped), (genes, genes_swapped) = found.values()
    assert one < 1e-3 and min(two, genes, one_swapped, two_swapped, genes_swapped) > 0.05
    assert (
        "the null itself fits badly" in text and float(re.findall(r"df 2, p = (\S+)$", text, re.MULTILINE)[-1]) < 1e-10
    )


@pytest.mark.slow
def test_the_verdicts_come_out_again(tmp_path: Path) -> None:
    """Two minutes on an idle machine: `pytest -m slow tests/test_examples.py`."""
    shown = outputs(nbformat.read(ROOT / "examples" / "insertion.ipynb", as_version=4))
    assert shown == outputs(run_anew("insertion.ipynb", tmp_path)), (
        "run python tests/notebook.py examples/insertion.ipynb"
    )
