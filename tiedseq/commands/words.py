"""What the commands' options share: their help, and what they may say."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from tiedseq.errors import ArgumentError
from tiedseq.options import checked_count, checked_weight

EPILOG = """\
exit status:
    0  done
    1  an input file or the model is at fault; one line names file, record, line
    2  wrong usage
    3  the environment: no space, no memory, an output that cannot be written
   70  a defect in tiedseq, which should be reported
  130  Ctrl-C (a closed pipe, as of "| head", ends the command in silence)
"""


def command(commands: Any, name: str, usage: str, summary: str, description: str, examples: str = "") -> Any:
    """A subcommand's parser; `examples` and the exit statuses stand below its options."""
    added = commands.add_parser(
        name,
        help=summary,
        description=description,
        usage=f"tiedseq {name} {usage}",
        epilog=(f"examples:\n{examples}\n" if examples else "") + EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    added.set_defaults(command=name, parser=added)
    return added


def add_training(add: Callable[..., Any]) -> None:
    """How long and from where."""
    add_convergence(add, max_iter=500, tol=0.01)
    add("--seed", type=NUMBER, default=0, metavar="S", help="of random starting values; default: 0")


def add_checkpoint(add: Callable[..., Any]) -> None:
    add("--checkpoint", metavar="FILE", help="keep the state here: an interrupted command goes on from it")


def add_convergence(add: Callable[..., Any], max_iter: int, tol: float) -> None:
    """How long."""
    add("--max-iter", type=COUNT, default=max_iter, metavar="N", help=f"iterations at most; default: {max_iter}")
    add(
        "--tol",
        type=value_of(float, checked_weight),
        default=tol,
        metavar="T",
        help=f"stop when the gain still to come falls below T nats of log-likelihood; default: {tol:g}",
    )


def add_destination(add: Callable[..., Any]) -> None:
    add(
        "-o",
        "--output",
        metavar="FILE",
        help="write here, whole or not at all (.gz: compressed); default: standard output",
    )


def add_quiet(add: Callable[..., Any]) -> None:
    add("--quiet", action="store_true", help="no progress and no summary on standard error")


def value_of(read: Callable[[str], Any], check: Callable[[str, Any], Any]) -> Callable[[str], Any]:
    """How an option's text becomes its value, with the library's own words for one that is out of range."""

    def value(text: str) -> Any:
        try:
            number = read(text)
        except ValueError:
            number = text  # which `check` refuses
        try:
            return check("it", number)
        except ArgumentError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return value


COUNT = value_of(int, checked_count)
NUMBER = value_of(int, partial(checked_count, least=0))


def add_pairs(add: Callable[..., Any]) -> None:
    add(
        "--pairs",
        choices=("order", "name"),
        metavar="[=name]",
        help="first record with first, second with second; --pairs=name: every query with the target of its name",
    )


def add_mask(add: Callable[..., Any], what: str = "letters in lower case are missing") -> None:
    add("--mask", choices=("keep", "lowercase"), default="keep", help=f"lowercase: {what}")


def add_threads(add: Callable[..., Any], what: str = "the result does not depend on it") -> None:
    add("--threads", type=COUNT, default=1, metavar="N", help=f"{what}; default: 1")
