"""Where text goes: a file that appears whole or not at all, or a handle that is already open."""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import os
import secrets
import stat
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from .errors import ArgumentError, ResourceError


class Sink:
    """An open output whose failures are ResourceErrors that name it. A closed pipe stays a BrokenPipeError."""

    def __init__(self, handle: Any, name: str) -> None:
        self._handle = handle
        is_binary = isinstance(handle, io.RawIOBase | io.BufferedIOBase) or "b" in str(getattr(handle, "mode", ""))
        self._binary = is_binary and not hasattr(handle, "encoding")  # codecs.open gives text to a binary file
        self._name = name

    def write(self, text: str) -> None:
        """Write text, as UTF-8 where the handle takes bytes."""
        with _blame(self._name):
            self._handle.write(text.encode() if self._binary else text)

    def flush(self) -> None:
        """Hand everything to the system, so that a full disk shows."""
        if hasattr(self._handle, "flush"):
            with _blame(self._name):
                self._handle.flush()


@contextlib.contextmanager
def open_sink(target: str | os.PathLike[str] | Any) -> Iterator[Sink]:
    """A `Sink` on a path or on an open handle (text or binary), which is flushed but not closed.

    A regular file is written beside its place under a temporary name and renamed when all is done, so that an exception
    leaves what was there before; it keeps its permissions, a new one has the usual ones, and a symbolic link stays one.
    Devices, pipes and sockets are written directly, and so is what is open already (/dev/stdout, /dev/fd/3), even if it
    is a regular file. A name that ends in ".gz" or ".GZ" is compressed, with no time stamp: the same text gives the
    same bytes.

    Raises ArgumentError if `target` is neither a path nor an open handle, or a handle whose encoding lacks a character;
    ResourceError if it cannot be written.
    """
    if hasattr(target, "write"):
        if getattr(target, "closed", False) is True:
            raise ArgumentError(f"{_handle_name(target)} is a closed file: give an open one, or a path")
        sink = Sink(target, _handle_name(target))
        yield sink
        sink.flush()
        return
    path = _path(target)
    mode, descriptor = check_writable(path), _descriptor(path)
    if _is_replaced(path, mode):
        with _Replacement(path, mode) as handle, _encoded(handle, path) as sink:
            yield sink
    else:
        with _blame(path):
            place = path if descriptor is None else os.dup(descriptor)
            handle = open(place, "wb")  # noqa: SIM115 - closed below, where a failure to close is ours
        with _closing(handle, path), _encoded(handle, path) as sink:
            yield sink


def check_writable(path: str) -> int | None:
    """Return the mode of what is there, None if nothing is. ResourceError if it cannot be written; nothing is changed.

    For whoever wants to know before the work that is to be written. A full disk shows later.
    """
    with _blame(path):
        mode = _mode(path)
    if mode is not None and stat.S_ISDIR(mode):
        raise ResourceError(f"{path}: it is a directory: name a file to write to")
    with _blame(path):
        needed = {} if mode is None or _descriptor(path) is not None else {path: os.W_OK}
        if _is_replaced(path, mode):
            needed[os.path.dirname(os.path.realpath(path))] = os.W_OK | os.X_OK
        for place, access in needed.items():
            if not os.access(place, access):
                number = errno.EACCES if os.path.exists(place) else errno.ENOENT
                raise OSError(number, os.strerror(number))
    return mode


def _is_replaced(path: str, mode: int | None) -> bool:
    """Whether a new file takes its place: not that of a device or pipe, nor of what is open already."""
    return _descriptor(path) is None and (mode is None or stat.S_ISREG(mode))


class _Replacement:
    """A binary file that takes the place of `path` on success and disappears on any exception."""

    def __init__(self, path: str, mode: int | None) -> None:
        self._path, self._mode = path, mode
        self._place = os.path.realpath(path)  # a symbolic link stays one
        folder, name = os.path.split(self._place)
        self._temporary = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(4)}.part")

    def __enter__(self) -> io.BufferedWriter:
        try:
            with _blame(self._path):
                self._handle = open(self._temporary, "xb")
        except KeyboardInterrupt:  # before `__exit__` is in charge
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)
            raise
        return self._handle

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with _blame(self._path):
                self._handle.close()
                if kind is None:
                    if self._mode is not None:
                        os.chmod(self._temporary, stat.S_IMODE(self._mode))
                    os.replace(self._temporary, self._place)
        except ResourceError:
            if kind is None:
                raise  # else the first exception is the one that counts
        finally:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)


@contextlib.contextmanager
def _encoded(handle: io.BufferedWriter, path: str) -> Iterator[Sink]:
    """UTF-8 over `handle`, through gzip if the path says so; complete and flushed at the end of the block."""
    if not path.lower().endswith(".gz"):
        sink = Sink(handle, path)
        yield sink
        sink.flush()
        return
    compressed = gzip.GzipFile(filename="", mode="wb", fileobj=handle, mtime=0, compresslevel=6)
    try:
        yield Sink(compressed, path)
    except BaseException:
        with contextlib.suppress(OSError):
            compressed.close()  # now, rather than by the garbage collector after `handle` is closed
        raise
    with _blame(path):
        compressed.close()
        handle.flush()


@contextlib.contextmanager
def _closing(handle: io.BufferedWriter, path: str) -> Iterator[None]:
    """Close at the end; after an exception, without a second one."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            handle.close()
        raise
    with _blame(path):
        handle.close()


@contextlib.contextmanager
def _blame(name: str) -> Iterator[None]:
    """Turn the system's errors on this output, and those of open files, into one of ours that names it."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ResourceError(f"{name}: cannot write: {error.strerror or error}") from error
    except UnicodeEncodeError as error:
        lacking = f"its encoding, {error.encoding}, has no {error.object[error.start]!a}"
        raise ArgumentError(f"{name}: cannot write: {lacking}; open it with encoding='utf-8', or give a path") from None
    except ValueError as error:  # a file that was closed in the meantime
        raise ArgumentError(f"{name}: cannot write: {error}") from None


def _path(target: Any) -> str:
    try:
        path = os.fsdecode(target)
    except TypeError:
        path = "\0"
    if not path or "\0" in path:
        raise ArgumentError(f"path={target!r} is neither a path nor an open file")
    return path


def _descriptor(path: str) -> int | None:
    """The number of the open file that /dev/stdout and its like stand for.

    It is written as it is open, at its place in the text: opening it by name would cut off what a shell's >> keeps.
    """
    folder, name = os.path.split(path)
    if folder == "/dev" and name in ("stdout", "stderr"):
        return 1 if name == "stdout" else 2
    if name.isdecimal() and os.path.realpath(folder) in ("/dev/fd", f"/proc/{os.getpid()}/fd"):
        return int(name)
    return None


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _handle_name(handle: Any) -> str:
    name = getattr(handle, "name", None)
    if not isinstance(name, str):
        return "output"
    return {"<stdout>": "standard output", "<stderr>": "standard error"}.get(name, name)
