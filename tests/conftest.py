"""What all tests share: the path of data/ and a hypothesis profile that does not time the first, compiling call."""

from __future__ import annotations

import signal
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("tiedseq", deadline=None, derandomize=True)
hypothesis.settings.load_profile("tiedseq")


@pytest.fixture(scope="session")
def data() -> Path:
    """The directory of the real sequences."""
    return Path(__file__).resolve().parent.parent / "data"


# A shell starts its background jobs with SIGINT ignored, and their children inherit that. The tests of Ctrl-C need it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
