"""How much memory there is, for what must not begin without enough of it."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import ResourceError

_CONTROL_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


_ADDRESSES = 1 << 57  # bytes that an address space has at most


def check_memory(what: str, needed: int, remedy: str) -> None:
    """ResourceError if there are not so many bytes, before anything takes them.

    >>> check_memory("order=1 needs", 1000, "take a smaller one")
    >>> check_memory("order=8 needs", 10**30, "take a smaller one")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    tiedseq.errors.ResourceError: order=8 needs 10^21 GB of memory, and there are ...: take a smaller one
    """
    available = available_memory()
    if needed > (_ADDRESSES if available is None else available):
        known = "fewer" if available is None else f"{available / 1e9:.1f} GB"
        raise ResourceError(f"{what} {_gigabytes(needed)} of memory, and there are {known}: {remedy}")


def _gigabytes(needed: int) -> str:
    """Bytes in words, also where they are more than a float holds."""
    return f"{needed / 1e9:,.1f} GB" if needed < 10**15 else f"10^{len(str(needed)) - 10} GB"


def available_memory() -> int | None:
    """Return how many bytes could be had without swapping, within a container its limit; None where nobody says.

    An array is promised before it is there: without a look at this, a machine that runs out of memory stops some
    program or other, hours later.
    """
    found = [bytes_ for bytes_ in (_free(), *map(_limit, _CONTROL_GROUPS)) if bytes_ is not None]
    return min(found) if found else None


def _free() -> int | None:
    """What the kernel holds free or could free at once."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return 1024 * int(fields["MemAvailable"].split()[0])
    except (OSError, ValueError, KeyError, IndexError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows, macOS
        return None


def _limit(path: str) -> int | None:
    """The limit of a control group; None where there is none."""
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such file, or "max"
        return None
