"""What every alignment format shares: the shape of a writer, names without blanks, numbers without NaN."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import tiedseq
from tiedseq.alignment import AlignmentResult


class Writer(ABC):
    """Turns results into the text of one format. A writer serves one file."""

    program = f"tiedseq {tiedseq.__version__}"

    def begin(self) -> str:
        """The text before all results."""
        return ""

    @abstractmethod
    def record(self, result: AlignmentResult) -> str:
        """The text of one result; empty if the format has no place for it."""

    def end(self) -> str:
        """The text after all results."""
        return ""


def score_tags(result: AlignmentResult) -> list[str]:
    """SAM's and PAF's tags for the score: AS and lo (log-odds in bits, AS rounded), ea (expected accuracy)."""
    rounded = [f"AS:i:{round(result.log_odds)}"] if math.isfinite(result.log_odds) else []
    return [*rounded, f"lo:f:{number(result.log_odds)}", f"ea:f:{number(result.expected_accuracy)}"]


def word(name: str) -> str:
    """A name for a format whose fields end at blanks: blanks and control characters become "_", nothing becomes "*".

    >>> word("chr 1"), word("")
    ('chr_1', '*')
    """
    return "".join(["_" if c.isspace() or not c.isprintable() else c for c in name]) or "*"


def number(value: float) -> str:
    """At most eight digits; a value that is not finite becomes the largest there is, since formats know no infinity.

    >>> number(-7.25), number(float("-inf"))
    ('-7.25', '-1.7976931e+308')
    """
    if math.isnan(value):
        raise ValueError("NaN in a result")  # a defect of ours, not a user's
    return f"{max(-1.7976931e308, min(1.7976931e308, value)):.8g}"
