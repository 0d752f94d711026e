"""What options may say: their words and ranges, each in one place, and the error for anything else.

Nothing here takes time to import, so that the command line offers these words before it loads what they mean.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from tiedseq.errors import ArgumentError

MODES = ("global", "local", "glocal", "overlap")
STRANDS = ("forward", "both")
DECODES = ("mea", "viterbi")
FORMATS = ("text", "fasta", "clustal", "stockholm", "maf", "sam", "paf", "tsv", "json")
ANNOTATIONS = ("bed", "gff3", "bedgraph", "wig")
SYMMETRIES = ("reverse-complement",)
SUBSTITUTIONS = ("general", "symmetric", "strand-symmetric", "kimura", "jukes-cantor")
HYPOTHESES = (
    *("symmetric-insertion", "symmetric-gaps", "symmetric-opening", "symmetric-extension", "symmetric-letters"),
    *("reversibility", "strand-symmetry", "kimura", "jukes-cantor", "one-gap-class"),
)
LARGEST_ORDER = 8  # letters that a letter depends on; tables grow by a factor of their number with each
LARGEST_SYMMETRIC_ORDER = 4  # with symmetry=, where the M-step inverts a matrix of all words
OptionsT = TypeVar("OptionsT", bound=Any)


def check_word(name: str, value: Any, words: Sequence[str]) -> None:
    """Raise ArgumentError unless `value` is one of the words.

    >>> check_word("strand", "both", STRANDS)
    >>> check_word("strand", "-", STRANDS)
    Traceback (most recent call last):
    tiedseq.errors.ArgumentError: strand must be "forward" or "both", not '-'
    """
    if not isinstance(value, str) or value not in words:
        known = " or ".join(f'"{word}"' for word in words) if len(words) == 2 else f"one of {', '.join(words)}"
        raise ArgumentError(f"{name} must be {known}, not {value!r}")


def checked_probability(name: str, value: Any) -> float:
    """Return a number of any type as a float; raise ArgumentError unless it lies between 0 and 1.

    >>> checked_probability("threshold", 1)
    1.0
    """
    number = as_number(value)
    if not 0.0 <= number <= 1.0:
        raise ArgumentError(f"{name} must be a probability from 0 to 1, not {in_short(value)}")
    return number


def checked_weight(name: str, value: Any) -> float:
    """Return a number of any type as a float; raise ArgumentError if it is negative or not finite.

    >>> checked_weight("gap_weight", 2)
    2.0
    """
    number = as_number(value)
    if not 0.0 <= number < math.inf:
        raise ArgumentError(f"{name} must be a finite number of at least 0, not {in_short(value)}")
    return number


def checked_number(name: str, value: Any, fits: Callable[[float], bool], wanted: str) -> float:
    """Return a number of any type as a float; raise ArgumentError, which says what is wanted, unless it fits.

    >>> checked_number("stay", 0.5, lambda p: 0.0 < p < 1.0, "a number between 0 and 1")
    0.5
    >>> checked_number("stay", 1, lambda p: 0.0 < p < 1.0, "a number between 0 and 1")
    Traceback (most recent call last):
    tiedseq.errors.ArgumentError: stay=1 must be a number between 0 and 1.
    """
    number = as_number(value)
    if not fits(number):
        raise ArgumentError(f"{name}={in_short(value)} must be {wanted}.")
    return number


def as_number(value: Any) -> float:
    """Return a real number of any type as a float, infinite where it is beyond them; NaN, which fits no range, for all
    else: texts, complex numbers, and True and False, which to Python are numbers.

    >>> as_number(1), as_number(True), as_number(1j)
    (1.0, nan, nan)
    """
    return as_float(value) if isinstance(value, numbers.Real) and not _is_flag(value) else math.nan


def as_float(number: Any) -> float:
    """Return a number of any type as a float, infinite where it is beyond them, as 10**400 is."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def in_short(value: Any) -> str:
    """Return what a message shows of a value, however long it is.

    >>> in_short(0.5), in_short(10**400)
    ('0.5', '1000000000000000000000000000000000000...')
    """
    try:
        said = repr(value)
    except ValueError:  # Python writes no number of more than 4300 digits
        said = f"<{type(value).__name__}, too long to be written>"
    return said if len(said) <= 40 else f"{said[:37]}..."


def checked_flag(name: str, value: Any) -> bool:
    """Return True or False; raise ArgumentError for anything else, such as a text or a number in the wrong place.

    >>> checked_flag("bias", True)
    True
    """
    if not _is_flag(value):
        raise ArgumentError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def asks_to_stop(answer: Any) -> bool:
    """Whether a callback's answer is True, which NumPy's comparisons of numbers have a type of their own for.

    What merely counts as true, such as a list that the callback appends to, stops nothing.

    >>> asks_to_stop(True), asks_to_stop([1.0]), asks_to_stop(None)
    (True, False, False)
    """
    return _is_flag(answer) and bool(answer)


def _is_flag(value: Any) -> bool:
    """Whether it is True or False, NumPy's too, which is called either name, and is slow to import."""
    return type(value).__name__ in ("bool", "bool_")


def with_changes(options: OptionsT, given: Mapping[str, Any], among: Collection[str] | None = None) -> OptionsT:
    """Return the options, a dataclass, with those of one call of `fit`; ArgumentError for one that does not exist.

    `among` are the names of those that the model has; None: all.
    """
    known = [option.name for option in fields(options) if among is None or option.name in among]
    for name in given:
        if name not in known:
            raise ArgumentError(f"fit() has no option {name!r}; there are {', '.join(known)}.")
    return replace(options, **given)


def checked_count(name: str, value: Any, least: int = 1) -> int:
    """Return a whole number of any type as an int; raise ArgumentError unless it is `least` or more.

    >>> checked_count("threads", 2)
    2
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ArgumentError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return int(value)


def checked_order(order: Any) -> int:
    """Return a whole number of any type as an int; raise ArgumentError unless it lies between 0 and `LARGEST_ORDER`.

    >>> checked_order(2)
    2
    """
    if isinstance(order, bool) or not isinstance(order, numbers.Integral) or not 0 <= int(order) <= LARGEST_ORDER:
        raise ArgumentError(
            f"order={order!r} must be a whole number from 0 to {LARGEST_ORDER}, the letters that a letter depends on."
        )
    return int(order)
