"""Which sequences are aligned with which: records from files and from iterables, and the ways to pair them up."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import IO, Any, TypeAlias, cast

from .alphabet import Alphabet, SequenceLike
from .biopython import name_of, record_of
from .errors import ArgumentError, InputError, SequenceError
from .records import Record, read

Source: TypeAlias = "str | os.PathLike[str] | IO[bytes] | IO[str] | Iterable[SequenceLike]"
"""A path, "-" for standard input, an open file, or sequences one after the other."""


def records_of(source: Source, argument: str, role: str, alphabet: Alphabet, named: bool) -> Iterator[Record]:
    """The records of a file or of an iterable of sequences, opened now and read as they are needed.

    Items that carry no name are called after their role and their number, from 1; with `named` each has to carry one.
    `argument` is what messages call the source. Raises InputError as `read` does, ArgumentError for what is no source,
    and while iterating ArgumentError for an item that is no sequence, InputError for one of undefined content.

    >>> from tiedseq.alphabet import DNA
    >>> [record.name for record in records_of([Record("read1", "ACGT"), "ACGT"], "queries", "query", DNA, False)]
    ['read1', 'query2']
    """
    if isinstance(source, str | os.PathLike) or hasattr(source, "read"):
        return read(cast("str | os.PathLike[str] | IO[bytes]", source))
    if not isinstance(source, Iterable) or isinstance(source, Mapping) or _is_sequence(source):
        raise ArgumentError(
            f"{argument} must be a path, an open file or an iterable of sequences, not a {type(source).__name__}; "
            "put a single sequence into a list"
        )
    return _items(source, argument, role, alphabet, named)


def _is_sequence(source: Any) -> bool:
    """Whether this is one sequence, which iterating over would take apart into letters."""
    return isinstance(source, bytes | bytearray | Record) or hasattr(source, "__bytes__")  # the latter: Biopython's


def _items(
    source: Iterable[SequenceLike], argument: str, role: str, alphabet: Alphabet, named: bool
) -> Iterator[Record]:
    for index, item in enumerate(source):
        if named and not name_of(item):
            raise ArgumentError(f"{argument}[{index}] has no name, and pairs go by name: give Records or SeqRecords")
        try:
            record = record_of(item, alphabet, f"{role}{index + 1}")
        except ArgumentError as error:
            raise ArgumentError(f"{argument}[{index}]: {error}") from None
        except SequenceError as error:
            raise InputError(f"{argument}[{index}]: {error}") from None
        yield record


def in_step(targets: Iterator[Record], queries: Iterator[Record]) -> Iterator[tuple[Record, Record]]:
    """First with first, second with second; InputError on the first record without a partner, with both counts."""
    paths: tuple[str | None, str | None] = (None, None)  # of the pair before, since one side has ended
    for count, (target, query) in enumerate(zip_longest(targets, queries)):
        if target is not None and query is not None:
            paths = target.path, query.path
            yield target, query
        elif target is not None:
            raise _without_partner(target, (count + 1 + sum(1 for _ in targets), target.path), (count, paths[1]))
        elif query is not None:
            raise _without_partner(query, (count, paths[0]), (count + 1 + sum(1 for _ in queries), query.path))


def _without_partner(record: Record, targets: tuple[int, str | None], queries: tuple[int, str | None]) -> InputError:
    """The error on a record that is left over; how many there are of either kind, and in which file."""
    sides = zip(("targets", "queries"), (targets, queries), strict=True)
    found = " and ".join(f"{number} {role}" + (f" in {path}" if path else "") for role, (number, path) in sides)
    message = f"it has no partner: there are {found}; give as many of each, or pair them by name"
    return InputError(message, record.path, record.line, record.name)


def by_name(targets: Iterator[Record], queries: Iterator[Record]) -> Iterator[tuple[Record, Record]]:
    """Every query with the target of its name; InputError if there is none, or if two targets have one name."""
    named: dict[str, Record] = {}
    for target in targets:
        if named.setdefault(target.name, target) is not target:
            message = "another target has this name, and pairs go by name"
            raise InputError(message, target.path, target.line, target.name)
    for query in queries:
        if query.name not in named:
            raise InputError("no target has this name", query.path, query.line, query.name)
        yield named[query.name], query
