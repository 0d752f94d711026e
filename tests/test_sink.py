"""Where text goes: test_formats and test_storage write whole files through a sink; here is what is open already."""

from __future__ import annotations

import builtins
import codecs
import gzip
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tiedseq import sink as module
from tiedseq.errors import ArgumentError, ResourceError
from tiedseq.sink import open_sink

WRITE = "import sys; from tiedseq.sink import open_sink\nwith open_sink(sys.argv[1]) as sink: sink.write('new\\n')"
needs_descriptors = pytest.mark.skipif(not os.path.exists("/dev/fd/1"), reason="no /dev/fd here")


def write(path: Any, text: str = "new\n") -> None:
    with open_sink(path) as sink:
        sink.write(text)


@needs_descriptors
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("redirection", [">", ">>"])
def test_what_is_open_already_is_written_at_its_place(name: str, redirection: str, tmp_path: Path) -> None:
    """Replaced by name, or opened by name, the file would lose what the shell and the program wrote to it."""
    if not os.path.exists(name):
        pytest.skip(f"no {name} here")
    log = tmp_path / "log"
    log.write_text("old\n")
    command = f'{{ echo before; "$0" -c "$1" {name}; echo after; }} {redirection} "$2"'
    subprocess.run(["sh", "-c", command, sys.executable, WRITE, str(log)], check=True)
    assert log.read_text() == ("old\n" if redirection == ">>" else "") + "before\nnew\nafter\n"
    assert os.listdir(tmp_path) == ["log"]


@needs_descriptors
def test_a_closed_standard_output_is_named(tmp_path: Path) -> None:
    command = ["sh", "-c", '"$0" -c "$1" /dev/stdout >&-', sys.executable, WRITE]
    process = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert "ResourceError: /dev/stdout: cannot write: Bad file descriptor" in process.stderr


@needs_descriptors
def test_a_descriptor_stays_open(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as handle:
        write(f"/dev/fd/{handle.fileno()}")
        write(f"/dev/fd/{handle.fileno()}", "more\n")
        handle.write("end\n")
    assert (tmp_path / "out").read_text() == "new\nmore\nend\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_named_pipe_stays_one(suffix: str, tmp_path: Path) -> None:
    fifo = tmp_path / f"pipe{suffix}"
    os.mkfifo(fifo)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(fifo.read_bytes()), daemon=True)
    reader.start()
    write(fifo)
    reader.join(timeout=10)
    assert (gzip.decompress(received[0]) if suffix else received[0]) == b"new\n"
    assert fifo.is_fifo()


@pytest.mark.parametrize("wrong", [None, 3, 1.5, ["a"], "a\0b", "", b""])
def test_targets_that_are_none(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match="is neither a path nor an open file"):
        write(wrong)


def test_a_path_may_be_of_any_type(tmp_path: Path) -> None:
    write(os.fsencode(tmp_path / "bytes"))
    write(str(tmp_path / "text"))
    write(tmp_path / "path")
    assert {path.read_text() for path in tmp_path.iterdir()} == {"new\n"}
    with pytest.raises(ResourceError, match="is a directory"):
        write(tmp_path)


def test_an_encoding_handle_takes_text(tmp_path: Path) -> None:
    """`codecs.open` opens its file for bytes, and encodes what it is given itself."""
    with codecs.open(str(tmp_path / "x.txt"), "w", "utf-8") as handle, open_sink(handle) as sink:
        sink.write("α\n")
    assert (tmp_path / "x.txt").read_text(encoding="utf-8") == "α\n"


def test_ctrl_c_as_the_file_opens_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*words: Any) -> Any:
        builtins.open(*words).close()
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "open", opened, raising=False)
    with pytest.raises(KeyboardInterrupt), open_sink(tmp_path / "a.txt"):
        pass
    assert not list(tmp_path.iterdir())
