"""Records from FASTA and FASTQ files: the only reader of sequence files.

The parsing is done here and not by Biopython's SimpleFastaParser and FastqGeneralIterator. They keep no line numbers,
skip what stands before the first '>' and drop blanks inside sequences, whereas a user has to be told the file, record,
line and column at fault; and importing them costs a third of what `import tiedseq` may take. The price is speed on
short reads, of which they read three to four times as many a second (here it is some 100 MB a second); contigs and
chromosomes in FASTA are read as fast. The decompression is the standard library's.

Work on a FASTA file is done by C functions on whole blocks and records, never line by line.
"""

from __future__ import annotations

import gzip
import itertools
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, NoReturn, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from tiedseq.alphabet import Alphabet, Codes, SequenceLike
from tiedseq.errors import ArgumentError, InputError, SequenceError

Source: TypeAlias = "str | os.PathLike[str] | IO[bytes] | IO[str]"

_BLOCK = 1 << 18  # bytes a read: large enough that a block's overhead is nothing, small enough for the L2 cache
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OTHER_FORMATS = (
    (b"BZh", "bzip2-compressed"),
    (b"\xfd7zXZ", "xz-compressed"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed"),
    (b"PK\3\4", "a zip archive"),
    (b"BAM\1", "BAM"),
    (b"@HD\t", "SAM"),
    (b"@SQ\t", "SAM"),
)
_GRAPHIC = bytes(range(33, 127))
_SEQUENCE_LINES = b"\n" + _GRAPHIC.replace(b">", b"")  # a '>' inside a line is a header whose line end got lost
_PHRED = bytes(byte - 33 if byte in _GRAPHIC else 255 for byte in range(256))


@dataclass(slots=True, eq=False)
class Record:
    """One sequence with its name, and the place in the file that it came from.

    `name` is the first word of the header, `description` the whole header without its '>' or '@' ("" by default).
    `sequence` is the text as it stands in the file, lower case included. `quality` is None, or uint8 (len(sequence),),
    the Phred score of each letter. `path` and `line` (1-based, of the header) say where the record was read; None for
    one made in memory. `len(record)` is the length of the sequence; an empty record is true nonetheless.

    Raises InputError if there are more or fewer qualities than letters.

    >>> record = Record("read1", "ACGT")
    >>> len(record), record.quality is None
    (4, True)
    """

    name: str
    sequence: str
    description: str = ""
    quality: npt.NDArray[np.uint8] | None = field(default=None, repr=False)
    path: str | None = None
    line: int | None = None
    _wrapping: int | npt.NDArray[np.int64] = field(default=0, repr=False)
    """Letters a line, 0 if they are on one line; for irregular lines, the index of the letter that each begins with."""

    def __post_init__(self) -> None:
        if self.quality is not None and np.shape(self.quality) != (len(self.sequence),):
            n_qualities, n_letters = np.size(self.quality), len(self.sequence)
            message = f"there are {n_qualities:,} qualities for {n_letters:,} letters; give one for each"
            raise InputError(message, self.path, self.line, self.name)

    def __len__(self) -> int:
        return len(self.sequence)

    def __bool__(self) -> bool:
        return True

    def place(self, position: int) -> tuple[int, int]:
        """Line and column in the file, both 1-based, of the letter at a 0-based position of the sequence.

        Raises ArgumentError if there is no letter at that position, or if the record was not read from a file.
        """
        if self.line is None or not 0 <= position < len(self.sequence):
            why = "was not read from a file" if self.line is None else f"has {len(self.sequence)} letters"
            raise ArgumentError(f"position={position} has no place in a file: record {self.name!r} {why}")
        if isinstance(self._wrapping, int):
            row, column = divmod(position, self._wrapping or len(self.sequence))
        else:
            row = int(np.searchsorted(self._wrapping, position, side="right")) - 1
            column = position - int(self._wrapping[row])
        return self.line + 1 + row, column + 1


def read(path: Source) -> Iterator[Record]:
    r"""The records of a FASTA or FASTQ file, one at a time: memory does not grow with the file.

    `path` is a file's path, "-" for standard input, or an open file, binary or text, which is left open. The first
    character tells FASTA ('>') from FASTQ ('@'; Phred+33, sequence and quality on one line each or on several), the
    first bytes tell whether it is compressed with gzip or bgzip; suffixes are not looked at. Line ends may be Unix's or
    Windows'; blank lines and blanks at the ends of lines are skipped. A record may be empty; a header without a name is
    an error, since no output could refer to it.

    Raises InputError, which names file, line and record: at the call if the file cannot be opened, while iterating if
    its content is at fault. ArgumentError if `path` is none of the above.

    >>> import io
    >>> for record in read(io.StringIO(">first of two\nACG\nTT\n>second\n")):
    ...     print(record.name, len(record))
    first 5
    second 0
    """
    records = _records(path)
    next(records)  # runs to the opening of the file, so that a missing file is an error here and now
    return cast("Iterator[Record]", records)


def encode(sequence: SequenceLike, alphabet: Alphabet, mask_lowercase: bool = False) -> Codes:
    """The codes of a sequence, as `Alphabet.encode`, with errors that name the place in the file of a Record.

    Raises InputError if a Record holds a letter that the alphabet lacks, SequenceError if another sequence does.

    >>> from tiedseq.alphabet import DNA
    >>> encode(Record("read1", "ACGT"), DNA).tolist()
    [0, 1, 2, 3]
    """
    try:
        return alphabet.encode(sequence, mask_lowercase=mask_lowercase)
    except SequenceError as error:
        if not isinstance(sequence, Record):
            raise
        line, column = sequence.line, None
        if line is not None and error.position is not None:
            line, column = sequence.place(error.position)
        raise InputError(str(error), sequence.path, line, sequence.name, column) from None


def _records(source: Source) -> Iterator[Record | None]:
    """None once the source is open, then its records."""
    handle, path, ours = _open(source)
    try:
        yield None
        blocks = _line_blocks(_decompressed(_reader(handle, path), path))
        line, text = 1, next(blocks, b"").removeprefix(_BYTE_ORDER_MARK)
        while text.isspace():
            line, text = line + text.count(b"\n"), next(blocks, b"")
        if not text:
            raise InputError("the file holds no records", path)
        start = text.lstrip()
        line += text[: len(text) - len(start)].count(b"\n")
        _check_format(start, path, line)
        parse = _fasta if start.startswith(b">") else _fastq
        yield from parse(itertools.chain([start], blocks), path, line)
    finally:
        if ours:
            handle.close()


def _open(source: Source) -> tuple[IO[bytes] | IO[str], str | None, bool]:
    """An open file, what messages call it, and whether it is ours to close."""
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        return cast("IO[bytes] | IO[str]", source), name if isinstance(name, str) else None, False
    if not isinstance(source, (str, bytes, os.PathLike)):
        raise ArgumentError(f"path={source!r} is neither a path, nor '-', nor an open file")
    path = os.fsdecode(source)
    if path == "-":
        if sys.stdin is None:
            raise InputError("it is closed", "standard input")
        return getattr(sys.stdin, "buffer", sys.stdin), "standard input", False
    try:
        return open(path, "rb", buffering=0), path, True
    except FileNotFoundError:
        advice = "; to read text in memory, pass io.StringIO(text)" if path.startswith((">", "@")) else ""
        raise InputError(f"there is no such file{advice}", path) from None
    except IsADirectoryError:
        raise InputError("it is a directory: give a file", path) from None
    except (OSError, ValueError) as error:
        raise InputError(f"it cannot be opened: {getattr(error, 'strerror', None) or error}", path) from None


def _reader(handle: IO[bytes] | IO[str], path: str | None) -> Callable[[int], bytes]:
    """A function that reads bytes from any open file, and hands on at once what a pipe has to give."""
    read_some = getattr(handle, "read1", handle.read)

    def read_bytes(size: int) -> bytes:
        try:
            data = read_some(size)
        except UnicodeDecodeError:
            raise InputError("it is not text in the encoding it was opened with: open it in mode 'rb'", path) from None
        except (OSError, ValueError) as error:
            raise InputError(f"it cannot be read: {getattr(error, 'strerror', None) or error}", path) from None
        return data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data or b""

    return read_bytes


def _decompressed(read_bytes: Callable[[int], bytes], path: str | None) -> Callable[[int], bytes]:
    """The same bytes if they are plain, else what gzip made them of."""
    first = read_bytes(_BLOCK)
    while len(first) < len(_GZIP) and (more := read_bytes(_BLOCK)):
        first += more
    data = _Rewound(first, read_bytes)
    if not first.startswith(_GZIP):
        return data.read
    unzipped = gzip.GzipFile(fileobj=cast("IO[bytes]", data), mode="rb")

    def read_unzipped(size: int) -> bytes:
        try:
            return unzipped.read1(size)
        except EOFError:
            raise InputError("the gzip file is truncated: it ends within its compressed data", path) from None
        except (zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"the gzip file is damaged: {error}", path) from None

    return read_unzipped


class _Rewound:
    """Bytes that were read already, then those still to come: as much of a file as GzipFile needs."""

    def __init__(self, first: bytes, read_bytes: Callable[[int], bytes]) -> None:
        self._first, self._read_bytes = first, read_bytes

    def read(self, size: int) -> bytes:
        if not self._first:
            return self._read_bytes(size)
        data, self._first = self._first[:size], self._first[size:]
        return data


def _line_blocks(read_bytes: Callable[[int], bytes]) -> Iterator[bytes]:
    """Blocks of whole lines; only the last one may lack its line end."""
    pieces: list[bytes] = []
    while block := read_bytes(_BLOCK):
        cut = block.rfind(b"\n") + 1
        if cut:
            yield b"".join((*pieces, block[:cut]))
            pieces = []
        pieces.append(block[cut:])
    if any(pieces):
        yield b"".join(pieces)


def _check_format(start: bytes, path: str | None, line: int) -> None:
    """InputError unless the first block begins as FASTA or FASTQ does."""
    for magic, what in _OTHER_FORMATS:
        if start.startswith(magic):
            raise InputError(f"the file is {what}: convert it to FASTA or FASTQ, plain or gzip-compressed", path)
    if not start.startswith((b">", b"@")):
        if b"\0" in start[:4096] or not start[:4096].isascii():
            raise InputError("the file is binary: FASTA or FASTQ was expected", path)
        text = start[:20].splitlines()[0].decode("ascii", "replace")
        raise InputError(f"{text!a} stands before the first record, which begins with '>' or '@'", path, line)


def _fasta(blocks: Iterable[bytes], path: str | None, line: int) -> Iterator[Record]:
    for header, body in _cut(blocks):
        name, description = _name(header, path, line)
        sequence, wrapping, n_lines = _letters(body, path, line, name)
        yield Record(name, sequence, description, None, path, line, wrapping)
        line += 1 + n_lines


def _cut(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, list[bytes]]]:
    """Blocks of whole lines, the first of which is a header -> header line and pieces of the body of each record."""
    header, body = b"", [b""]  # of the record that goes on
    for block in blocks:
        start = 0 if block.startswith(b">") else block.find(b"\n>") + 1 or len(block)
        body.append(block[:start])
        if start == len(block):
            continue
        if header:
            yield header, body
        while end := block.find(b"\n>", start) + 1:
            header, _, text = block[start:end].partition(b"\n")
            yield header, [text]
            start = end
        header, _, text = block[start:].partition(b"\n")
        body = [text]
    yield header, body


def _fastq(blocks: Iterable[bytes], path: str | None, line: int) -> Iterator[Record]:
    lines = itertools.chain.from_iterable(map(bytes.splitlines, blocks))
    for header in lines:
        if not header or header.isspace():
            line += 1
            continue
        if not header.startswith(b"@"):
            found = header[:20].decode("ascii", "replace")
            raise InputError(f"a record begins with '@', not with {found!a}", path, line)
        name, description = _name(header, path, line)
        texts, plus = _up_to_plus(lines, path, line, name)
        n_texts = len(texts)
        plus_line = line + 1 + n_texts
        if len(plus) > 1 and plus[1:].strip() not in (b"", header[1:].strip()):
            raise InputError("the '+' line repeats another header than the record's", path, plus_line, name)
        sequence, wrapping, _ = _letters(texts if n_texts == 1 else [b"\n".join(texts)], path, line, name)
        quality, n_lines = _quality(lines, len(sequence), n_texts, path, plus_line + 1, name)
        yield Record(name, sequence, description, quality, path, line, wrapping)
        line = plus_line + 1 + n_lines


def _up_to_plus(lines: Iterator[bytes], path: str | None, line: int, name: str) -> tuple[list[bytes], bytes]:
    """The sequence lines of a FASTQ record and its '+' line."""
    texts: list[bytes] = []
    for text in lines:
        if text.startswith(b"+"):
            return texts, text
        if text.startswith(b"@"):
            raise InputError("the record before lacks its '+' line", path, line + 1 + len(texts), name)
        texts.append(text)
    raise InputError("the file ends in the middle of a record, before its '+' line", path, line + len(texts), name)


def _quality(
    lines: Iterator[bytes], n_letters: int, n_lines: int, path: str | None, line: int, name: str
) -> tuple[npt.NDArray[np.uint8], int]:
    """Phred scores, and the lines they took: one after a sequence on one line, else as many as the letters need."""
    text = next(lines, b"").rstrip() if n_lines else b""
    n_taken = min(n_lines, 1)
    if n_lines > 1:
        texts = [text]
        while sum(map(len, texts)) < n_letters and (more := next(lines, None)) is not None:
            texts.append(more.rstrip())
        text, n_taken = b"".join(texts), len(texts)
    scores = text.translate(_PHRED)
    if b"\xff" in scores:
        stray = text.translate(None, _GRAPHIC)
        message = f"quality character {stray[:1]!r} is outside '!' to '~', the range of Phred+33"
        raise InputError(message, path, line, name)
    if len(text) != n_letters:
        end = "; the file ends here" if next(lines, None) is None else ""
        message = f"quality and sequence differ in length: {len(text)} characters for {n_letters} letters{end}"
        raise InputError(message, path, line, name)
    # From a bytearray, which makes the array writable: Numba takes a read-only one for another type.
    return np.frombuffer(bytearray(scores), dtype=np.uint8), n_taken


def _name(header: bytes, path: str | None, line: int) -> tuple[str, str]:
    """Name and description from a header line; other letters than ASCII's are welcome here, as UTF-8."""
    try:
        description = header[1:].decode("utf-8").strip()
    except UnicodeDecodeError as error:
        _refuse(header[1 + error.start :], path, line, None, 2 + error.start)
    if not description:
        raise InputError(f"the header has no name: write one behind its {header[:1].decode()!r}", path, line)
    if not description.isprintable():
        stray = next((char for char in description if char != "\t" and (char < " " or char == "\x7f")), None)
        if stray is not None:
            _refuse(stray.encode(), path, line, None, 1 + header.index(stray.encode()))
    return description.split(None, 1)[0], description


def _letters(
    pieces: list[bytes], path: str | None, line: int, name: str
) -> tuple[str, int | npt.NDArray[np.int64], int]:
    """The sequence in the lines behind line `line`, how they wrap it (see Record), and their number.

    Empties `pieces`, so that a chromosome is held no more often than twice.
    """
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    pieces.clear()
    n_lines = body.count(b"\n")
    body = body.rstrip(b"\n")
    letters = body.replace(b"\n", b"")
    if not letters.isalpha():  # the fast check, which most records pass
        body = _without_blanks(body, path, line, name).rstrip(b"\n")
        letters = body.replace(b"\n", b"")
    n_ends = len(body) - len(letters)
    wrapping = _wrapping(body, n_ends) if n_ends else 0
    del body
    return letters.decode("ascii"), wrapping, n_lines


def _without_blanks(body: bytes, path: str | None, line: int, name: str) -> bytes:
    """The lines without blanks at their ends; InputError if they hold anything but letters."""
    if body.translate(None, _SEQUENCE_LINES):
        body = body.replace(b"\r\n", b"\n")
        if body.translate(None, _SEQUENCE_LINES):
            body = b"\n".join([text.rstrip() for text in body.split(b"\n")])
        if stray := body.translate(None, _SEQUENCE_LINES):
            at = body.index(stray[:1])
            _refuse(stray, path, line + 1 + body.count(b"\n", 0, at), name, at - body.rfind(b"\n", 0, at))
    return body


def _wrapping(body: bytes, n_ends: int) -> int | npt.NDArray[np.int64]:
    width = body.index(b"\n")
    ends = body[width :: width + 1]
    if n_ends == len(ends) == ends.count(b"\n"):
        return width
    line_ends = np.flatnonzero(np.frombuffer(body, dtype=np.uint8) == ord("\n"))
    return np.append(np.int64(0), line_ends - np.arange(len(line_ends)))


def _refuse(stray: bytes, path: str | None, line: int, name: str | None, column: int) -> NoReturn:
    """InputError on the first of the bytes that have no place where they stand."""
    byte = stray[:1]
    if byte in b" \t":
        message = "white space inside a sequence: remove it"
    elif byte == b"\r":
        message = "a carriage return inside a line: convert the line ends to those of Unix or Windows"
    elif byte == b">":
        message = "'>' inside a line: the line end before this header is missing"
    else:
        message = f"byte 0x{byte[0]:02x} is not text: the file is binary, damaged, or not in ASCII (headers: UTF-8)"
    raise InputError(message, path, line, name, column)
