"""Imports go one way, the table of contents is complete, and importing the package is cheap.

The imports are read from the source, those inside functions included, so that a cycle cannot hide in one.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import tiedseq

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tiedseq"
PACKAGES = ("tiedseq", "tiedseq.nn")  # that modules are imported from by name
MAX_LINES = 500

# What each part of the package may import of the others. A new module takes its place here first, and below its users.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "options": {"errors"},
    "arrays": {"options"},
    "memory": {"errors"},
    "bars": {"errors"},
    "alphabet": {"errors"},
    "qualities": {"errors", "alphabet"},
    "records": {"errors", "alphabet"},
    "ties": {"errors"},
    "interior": set(),
    "constraints": {"errors", "ties", "interior"},
    "simplex": {"errors", "ties", "interior", "constraints"},
    "distributions": {"errors", "alphabet", "ties", "simplex"},
    "kernels": set(),
    "families": {"errors", "alphabet", "distributions", "information", "kernels"},
    "language": {"errors", "arrays", "alphabet", "constraints", "distributions"},
    "random_state": {"errors"},
    "restating": {"errors", "distributions", "language"},
    "sums": {"errors", "ties", "constraints", "simplex"},
    "specification": {
        *("errors", "alphabet", "ties", "simplex", "distributions", "language", "random_state", "restating", "sums"),
    },
    "centres": set(),
    "pseudocounts": {"errors", "arrays"},
    "soft": {
        *("errors", "alphabet", "distributions", "language", "random_state", "specification", "centres"),
        "pseudocounts",
    },
    "sink": {"errors"},
    "checkpoints": {"errors", "sink"},
    "acceleration": set(),
    "workers": {"errors"},
    "one_thread": set(),
    "training": {"errors", "options", "bars", "random_state", "checkpoints", "acceleration", "workers"},
    "display": {"specification"},
    "estimator": {"errors", "specification", "display", "workers"},
    "information": {"errors"},
    "nesting": {"errors", "specification"},
    "resampling": {"bars", "workers"},
    "comparison": {"specification", "display", "information"},
    "hypothesis": {"errors", "options", "random_state", "comparison", "resampling"},
    "chains": {
        *("errors", "alphabet", "distributions", "families", "random_state", "specification", "training", "kernels"),
        *(
            "information",
            "nesting",
            "soft",
            "restating",
            "memory",
            "records",
            "workers",
            "simplex",
            "pseudocounts",
            "checkpoints",
            "options",
        ),
    },
    "strands": {
        *("errors", "alphabet", "ties", "distributions", "language", "random_state", "specification", "information"),
        *("options", "pseudocounts", "nesting", "chains", "one_thread", "constraints"),
    },
    "storage": {"errors", "sink"},
    "columns": set(),
    "biopython": {"errors", "alphabet", "records", "columns"},
    "pairs": {
        *("errors", "options", "arrays", "alphabet", "records", "distributions", "random_state", "specification"),
        *("kernels", "training", "information", "nesting", "soft", "biopython", "columns", "chains", "restating"),
        *("workers", "memory"),
    },
    "alignment": {"errors", "options", "alphabet", "records", "columns", "biopython"},
    "pairing": {"errors", "alphabet", "records", "biopython"},
    "hmm": {
        *("errors", "options", "alphabet", "random_state", "training", "estimator"),
        *("chains", "strands", "storage", "nesting", "specification", "soft", "one_thread", "restating"),
    },
    "pairhmm": {
        *("errors", "options", "alphabet", "records", "random_state", "specification", "estimator", "training"),
        *("pairs", "storage", "biopython", "restating", "soft", "nesting", "information"),
    },
    "plotting": {"errors", "hmm"},
    "default": {"distributions", "pairhmm"},
    "ready": {"errors", "distributions", "pairhmm", "pairs"},
    "decoding": {"kernels", "pairs"},
    "aligning": {
        *("errors", "options", "alphabet", "records", "columns", "biopython", "alignment"),
        *("pairs", "pairhmm", "default", "decoding", "pairing", "workers"),
    },
    "placing": {"options", "records", "pairing", "alignment", "aligning", "pairhmm"},
    "nn": {
        *("errors", "options", "arrays", "alphabet", "records", "ties", "random_state", "kernels", "chains"),
        *("training", "sink", "storage", "workers", "checkpoints", "estimator", "one_thread", "specification"),
        *("restating", "memory", "bars"),
    },
    "formats": {"errors", "options", "alphabet", "records", "columns", "alignment", "sink"},
}
# The commands may import everything, and nothing imports it but `python -m tiedseq`.
MAY_IMPORT["commands"] = set(MAY_IMPORT)
MAY_IMPORT["cli"] = {"errors", "commands"}
MAY_IMPORT["__main__"] = {"cli"}
# Imports that only run when the function is called, and so close no cycle while the package is being loaded.
MAY_IMPORT_WHEN_CALLED = {"storage": {"pairhmm", "hmm"}, "alphabet": {"qualities"}}

# The floors of the networks, from the ground up: a module imports from its own and from those beneath it.
FLOORS = (
    {"signal", "weights", "layer", "stack"},
    {"layers"},
    {"document", "inputs", "prediction", "network"},
    {"emissions", "landscape", "motifs", "pytorch", "training"},
    {"estimators"},
)


def part_of(module: str) -> str | None:
    """The part of the package that "tiedseq.part.module" belongs to; None for the package itself and for others."""
    names = module.split(".")
    return names[1] if names[0] == "tiedseq" and len(names) > 1 else None


def dotted_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> dict[str, bool]:
    """Every module that a file imports, with full names, and whether it is imported outside functions at least once."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(node) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for node in ast.walk(f)}
    found: dict[str, bool] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = dotted_name(path).split(".")
            if path.name != "__init__.py":
                package = package[:-1]
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            # "from tiedseq import ties" and "from . import ties" name a module, "from .ties import Ties" does not
            names = [f"{base}.{alias.name}" for alias in node.names] if base in PACKAGES else [base]
            names = [base if name.removeprefix("tiedseq.").startswith("__") else name for name in names]
        else:
            continue
        for name in names:
            found[name] = found.get(name, False) or id(node) not in inside
    return found


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", modules(), ids=dotted_name)
def test_imports_go_one_way(path: Path) -> None:
    part = part_of(dotted_name(path))
    assert part in MAY_IMPORT, f"{dotted_name(path)} has no place in MAY_IMPORT yet"
    for name, at_module_level in imports(path).items():
        other = part_of(name)
        if other is None or other == part:
            continue
        allowed = MAY_IMPORT[part] | (set() if at_module_level else MAY_IMPORT_WHEN_CALLED.get(part, set()))
        assert other in allowed, f"{dotted_name(path)} imports {name}, but {part} may import {sorted(allowed)} only"


def floor_of(module: str) -> int:
    """The floor of "tiedseq.nn.part.module"."""
    return next(floor for floor, parts in enumerate(FLOORS) if module.split(".")[2] in parts)


@pytest.mark.parametrize("path", sorted((PACKAGE / "nn").rglob("[!_]*.py")), ids=dotted_name)
def test_networks_stand_on_their_floors(path: Path) -> None:
    for name in imports(path):
        if name.startswith("tiedseq.nn."):
            assert floor_of(name) <= floor_of(dotted_name(path)), f"{dotted_name(path)} imports {name}, from above it"


def test_the_order_has_no_cycle() -> None:
    order = list(TopologicalSorter(MAY_IMPORT).static_order())
    assert set(order) == set(MAY_IMPORT)


def test_a_wrong_import_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "tiedseq" / "kernels").mkdir(parents=True)
    path = tmp_path / "tiedseq" / "kernels" / "wrong.py"
    path.write_text("from ..ties import Ties\nfrom .simd import x\ndef f():\n    from tiedseq import pairhmm\n")
    assert imports(path) == {"tiedseq.ties": True, "tiedseq.kernels.simd": True, "tiedseq.pairhmm": False}
    path.write_text("import tiedseq.cli\nfrom tiedseq import __version__\nfrom .. import ties\nfrom . import simd\n")
    assert set(imports(path)) == {"tiedseq.cli", "tiedseq", "tiedseq.ties", "tiedseq.kernels"}


@pytest.mark.parametrize("path", [*modules(), *sorted((ROOT / "benchmarks").rglob("*.py"))], ids=dotted_name)
def test_modules_stay_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{dotted_name(path)} has {lines} lines: it holds more than one concept"


def test_the_layout_is_described() -> None:
    """CONTRIBUTING.md has a line for every module."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tree = text.partition("```text")[2].partition("```")[0].split()
    assert [path.name for path in modules() if path.name != "__init__.py" and path.name not in tree] == []


@pytest.mark.parametrize("twin", ["twin.py", "chain_twin.py", "network_twin.py", "recurrent_twin.py"])
def test_the_twin_is_independent(twin: str) -> None:
    assert not any(name.split(".")[0] == "tiedseq" for name in imports(ROOT / "tests" / twin))


def test_the_two_tables_of_contents_agree() -> None:
    """The lazy one, for the interpreter, and the one under TYPE_CHECKING, for type checkers and editors."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    for_checkers = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    assert for_checkers.pop("nn") is None  # a package of its own
    assert for_checkers == tiedseq._HOME


def test_every_public_name_is_there() -> None:
    assert set(vars(tiedseq)["__all__"]) == {*tiedseq._HOME, "nn", "__version__"}
    for name in tiedseq._HOME:
        assert getattr(tiedseq, name) is not None
        assert name in dir(tiedseq)
    misspelt = "alignn"
    with pytest.raises(AttributeError, match="'tiedseq' has no attribute 'alignn'"):
        getattr(tiedseq, misspelt)


def test_no_module_hides_a_public_name() -> None:
    """Importing tiedseq.align would set the attribute `align` of the package, and shadow the function."""
    parts = {part_of(dotted_name(path)) for path in modules()}
    assert not parts & set(tiedseq._HOME)


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, tiedseq; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    heavy = {"numba", "llvmlite", "scipy", "Bio", "pandas", "matplotlib"}
    assert "tiedseq" in process.stdout.split()
    assert not heavy & set(process.stdout.split())


@pytest.mark.parametrize("part", ["errors", "options", "alphabet", "records", "alignment", "formats", "cli"])
def test_light_parts_load_without_the_compiler(part: str) -> None:
    code = f"import sys, tiedseq.{part}; print('numba' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert process.stdout.strip() == "False"
    importlib.import_module(f"tiedseq.{part}")
