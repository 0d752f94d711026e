"""The kernels' cache is never stale, never in the way, and where there can be none, kernels work without."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tiedseq.kernels import _jit

PACKAGE = Path(__file__).resolve().parent.parent / "tiedseq"

# A kernel that is quick to compile, and its helper in a file of its own.
HELPER = "from ._jit import part\nFACTOR = 2.0\n@part\ndef scaled(x):\n    return FACTOR * x\n"
PROBE = """
from ._jit import kernel
from .helper import scaled
@kernel
def total(values):
    result = 0.0
    for k in range(values.size):
        result += scaled(values[k])
    return result
"""
# Prints what the kernel returns for each type of argument, and how often it came from the cache and from the compiler.
CALL = """
import numpy as np
from tiedseq.kernels.probe import total
results = [total(np.array([1, 2, 3], kind)) for kind in {types}]
print(*results, sum(total.stats.cache_hits.values()), sum(total.stats.cache_misses.values()))
"""


class Installation:
    """A copy of the kernels with the probe, whose cache nobody else uses."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kernels = root / "tiedseq" / "kernels"
        self.kernels.mkdir(parents=True)
        (root / "tiedseq" / "__init__.py").touch()
        for path in (PACKAGE / "kernels").glob("*.py"):
            shutil.copy(path, self.kernels)
        (self.kernels / "helper.py").write_text(HELPER)
        (self.kernels / "probe.py").write_text(PROBE)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
        self.environment |= {"HOME": str(root), "XDG_CACHE_HOME": str(root / "cache"), "PYTHONPATH": str(root)}

    def start(self, before: str = "", types: str = "['f8']", **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", before + CALL.format(types=types)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root,
            env=self.environment | environment,
        )

    def call(self, before: str = "", types: str = "['f8']", **environment: str) -> list[float]:
        """What CALL prints. Nothing may appear on standard error."""
        return finished(self.start(before, types, **environment))

    def files(self, directory: str = "__pycache__") -> dict[str, int]:
        """The cached kernels, and when each was written."""
        return {path.name: path.stat().st_mtime_ns for path in (self.kernels / directory).rglob("*.nbc")}


def finished(process: subprocess.Popen[str]) -> list[float]:
    out, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (0, "")
    return [float(word) for word in out.split()]


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def test_a_second_process_loads_what_the_first_compiled(installation: Installation) -> None:
    assert installation.call(types="['f8', 'i8']") == [12.0, 12.0, 0, 2]
    files = installation.files()
    assert len(files) == 2
    assert installation.call(types="['i8', 'f8']") == [12.0, 12.0, 2, 0]
    assert installation.files() == files
    assert installation.call(types="['f4']") == [12.0, 0, 1]
    assert len(installation.files()) == 3


@pytest.mark.parametrize(("old", "new"), [("FACTOR = 2.0", "FACTOR = 5.0"), ("FACTOR * x", "5.0 * x")])
def test_an_edit_in_a_helper_is_seen(installation: Installation, old: str, new: str) -> None:
    assert installation.call() == [12.0, 0, 1]
    before, entry = installation.files(), installation.kernels / "probe.py"
    stat = entry.stat()
    (installation.kernels / "helper.py").write_text(HELPER.replace(old, new) + "# not of the same size\n")
    os.utime(entry, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert installation.call() == [30.0, 0, 1]
    assert installation.call() == [30.0, 1, 0]
    assert len(installation.files()) == 1 and not set(installation.files()) & set(before)  # the stale one is gone


def test_settings_that_change_the_code_are_kept_apart(installation: Installation) -> None:
    assert installation.call() == [12.0, 0, 1]
    assert installation.call(NUMBA_BOUNDSCHECK="1") == [12.0, 0, 1]
    assert installation.call(NUMBA_BOUNDSCHECK="1") == [12.0, 1, 0]
    assert installation.call() == [12.0, 1, 0]


@pytest.mark.parametrize("damage", ["empty", "cut short", "one byte", "something else"])
def test_a_damaged_file_is_replaced(installation: Installation, damage: str) -> None:
    installation.call()
    (name,) = installation.files()
    path = installation.kernels / "__pycache__" / name
    content = bytearray(path.read_bytes())
    if damage == "one byte":  # in the machine code, where it would change the result or crash
        content[len(content) // 2] ^= 0xFF
    else:
        content = {"empty": bytearray(), "cut short": content[: len(content) // 2]}.get(damage, bytearray(b"text" * 99))
    path.write_bytes(content)
    assert installation.call() == [12.0, 0, 1]
    assert installation.call() == [12.0, 1, 0]


def test_a_read_only_installation_without_a_home_compiles_in_memory(installation: Installation) -> None:
    (installation.kernels / "__pycache__").write_text("a file where the directory would be")
    nowhere = os.devnull + "/nowhere"  # which nobody can create, whatever their rights
    for _ in range(2):
        assert installation.call(HOME=nowhere, XDG_CACHE_HOME=nowhere, LOCALAPPDATA=nowhere) == [12.0, 0, 1]


def test_the_directory_of_the_environment_is_used(installation: Installation, tmp_path: Path) -> None:
    chosen = str(tmp_path / "chosen")
    assert installation.call(NUMBA_CACHE_DIR=chosen) == [12.0, 0, 1]
    assert installation.call(NUMBA_CACHE_DIR=chosen) == [12.0, 1, 0]
    assert not installation.files() and len(installation.files(chosen)) == 1


def test_a_full_disk_does_not_end_the_call(installation: Installation) -> None:
    full = "import os, pathlib\ndef full(*_): raise OSError(28, 'No space left on device')\n"
    for broken in ("os.replace = full\n", "pathlib.Path.write_bytes = full\n"):
        assert installation.call(full + broken) == [12.0, 0, 1]
        assert [path.name for path in installation.kernels.rglob("*.nbc*")] == []


def test_processes_that_compile_at_once_do_not_disturb_each_other(installation: Installation) -> None:
    kinds = ["['f8', 'i8']", "['i8', 'f8']", "['f4', 'f8']"]
    for process in [installation.start(types=types) for types in kinds]:
        assert finished(process)[:2] == [12.0, 12.0]
    assert installation.call(types="['f8', 'i8', 'f4']") == [12.0, 12.0, 12.0, 3, 0]
    assert len([*installation.kernels.rglob("*.nbc*")]) == 3


# Two kernels that differ in a part from one factory. Each part calls itself, so that it is not merged into its kernel.
TWINS = """
from ._jit import kernel, part
def counted(name, step):
    def count(depth):
        return step + again(depth - 1) if depth > 0 else 0.0
    count.__name__ = count.__qualname__ = name
    again = part(count)
    return again
ones, tens = counted({first!r}, 1.0), counted({second!r}, 10.0)
@kernel
def by_one(depth):
    return ones(depth)
@kernel
def by_ten(depth):
    return tens(depth)
"""


def test_parts_of_kernels_from_several_processes_are_kept_apart(installation: Installation) -> None:
    """Each of the first two processes compiles its part as the first of its name; the third links both."""
    (installation.kernels / "twins.py").write_text(TWINS.format(first="ones", second="tens"))
    for names, expected in (("by_one", [3.0]), ("by_ten", [30.0]), ("by_one by_ten", [3.0, 30.0])):
        code = "from tiedseq.kernels import twins\nprint(*[getattr(twins, name)(3) for name in {!r}.split()])"
        done = subprocess.run(
            [sys.executable, "-c", code.format(names)],
            capture_output=True, text=True, check=False, cwd=installation.root, env=installation.environment,
        )  # fmt: skip
        assert (done.stderr, [float(word) for word in done.stdout.split()]) == ("", expected)


def test_a_part_needs_a_name_of_its_own() -> None:
    """Or the linker takes it for another one of that name: `reset` of a GRU, say, for the gates of an LSTM."""

    def scaled(x: float) -> float:
        return 2.0 * x

    with pytest.raises(TypeError, match="scaled needs a name of its own"):
        _jit.part(scaled)


def test_a_numba_with_another_kind_of_cache_is_put_up_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tiedseq.kernels._cache", None)  # importing it raises ImportError
    double = _jit.kernel(lambda values: 2.0 * values[0])
    assert double(np.array([4.0])) == 8.0


@pytest.mark.slow
def test_the_real_kernels_see_an_edit_in_a_part(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "tiedseq", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import tiedseq; print(tiedseq.PairHMM.affine().log_likelihood('GATTACA', 'GATACA'))"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}

    def log_likelihood() -> float:
        command = [sys.executable, "-c", code]
        return float(
            subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=tmp_path).stdout
        )

    before = log_likelihood()
    part = tmp_path / "tiedseq" / "kernels" / "pairhmm.py"
    source = part.read_text(encoding="utf-8")
    assert source.count("scores[row, 0] += value") == 1
    part.write_text(source.replace("scores[row, 0] += value", "scores[row, 0] += 2.0 * value"), encoding="utf-8")
    np.testing.assert_allclose(log_likelihood(), before + np.log(2.0), rtol=1e-12)
