"""The reader of FASTA and FASTQ, against Biopython's parsers and against a reader by lines written out here."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from Bio.SeqIO.FastaIO import SimpleFastaParser
from Bio.SeqIO.QualityIO import FastqGeneralIterator
from hypothesis import given
from hypothesis import strategies as st

from tiedseq import records
from tiedseq.alphabet import DNA, PROTEIN
from tiedseq.errors import ArgumentError, InputError, SequenceError
from tiedseq.records import Record, encode, read

FASTA = b">one first record\nACGT\nacgt\nN\n>two\n\n>three\nTTTT"
FASTQ = b"@r1 a read\nACGT\n+\n!I~5\n@r2\n\n+\n\n@r3\nNN\n+r3\nII\n"


def read_bytes(data: bytes) -> list[Record]:
    return list(read(io.BytesIO(data)))


def error_of(data: bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        read_bytes(data)
    assert "\n" not in str(caught.value)
    return caught.value


class Trickle:
    """A stream that gives a few bytes at a time, as a pipe may."""

    def __init__(self, data: bytes, size: int) -> None:
        self.rest, self.size = data, size

    def read(self, size: int) -> bytes:
        size = min(size, self.size)
        now, self.rest = self.rest[:size], self.rest[size:]
        return now


def test_fasta() -> None:
    one, two, three = read_bytes(FASTA)
    assert (one.name, one.description, one.sequence, one.line) == ("one", "one first record", "ACGTacgtN", 1)
    assert (two.name, two.description, two.sequence, two.line) == ("two", "two", "", 5)
    assert (three.name, three.sequence, three.line) == ("three", "TTTT", 7)
    assert one.quality is None
    assert one.path is None
    assert bool(two)
    assert [len(record) for record in (one, two, three)] == [9, 0, 4]


def test_fastq() -> None:
    first, second, third = read_bytes(FASTQ)
    assert (first.name, first.description, first.sequence, first.line) == ("r1", "r1 a read", "ACGT", 1)
    assert first.quality is not None
    assert first.quality.dtype == np.uint8
    assert first.quality.flags.writeable
    assert first.quality.tolist() == [0, 40, 93, 20]
    assert (second.name, second.sequence, second.line) == ("r2", "", 5)
    assert second.quality is not None
    assert second.quality.shape == (0,)
    assert (third.name, third.sequence, third.line) == ("r3", "NN", 9)


def test_fastq_over_several_lines() -> None:
    data = b"@r1\nACGT\nAC\n+\n@III\n@I\n@r2\nAC\n\nGT\n+\nI\nIII\n@r3\n+\n@r4\nA\n+\n+\n"
    one, two, three, four = read_bytes(data)
    assert [record.sequence for record in (one, two, three, four)] == ["ACGTAC", "ACGT", "", "A"]
    assert [record.line for record in (one, two, three, four)] == [1, 7, 14, 16]
    assert one.quality is not None
    assert one.quality.tolist() == [31, 40, 40, 40, 31, 40]
    assert [one.place(i) for i in (0, 3, 4)] == [(2, 1), (2, 4), (3, 1)]
    assert [two.place(i) for i in (1, 2)] == [(8, 2), (10, 1)]


@pytest.mark.parametrize("data", [FASTA, FASTQ], ids=["fasta", "fastq"])
@pytest.mark.parametrize(
    "disguise",
    [
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: b"\n \n" + data + b"\n\n",
        lambda data: data.rstrip(b"\n"),
        lambda data: data.replace(b"\n", b" \t\n"),
        lambda data: b"\xef\xbb\xbf" + data,
        gzip.compress,
        lambda data: gzip.compress(data[:30]) + gzip.compress(b"") + gzip.compress(data[30:]),
    ],
    ids=["windows", "blank lines around", "no last line end", "trailing blanks", "byte order mark", "gzip", "bgzip"],
)
def test_disguises_change_nothing(data: bytes, disguise: Callable[[bytes], bytes]) -> None:
    for plain, disguised in zip(read_bytes(data), read_bytes(disguise(data)), strict=True):
        assert (plain.name, plain.description, plain.sequence) == (
            disguised.name,
            disguised.description,
            disguised.sequence,
        )
        np.testing.assert_array_equal(plain.quality, disguised.quality)


def lines_of(record: Record, lines: list[bytes]) -> str:
    """What stands in the file at the place of each letter."""
    places = [record.place(i) for i in range(len(record))]
    return "".join(chr(lines[line - 1][column - 1]) for line, column in places)


word = st.text("ACGTN", max_size=12)
line_end = st.sampled_from(["\n", "\r\n", " \n", "\n\n"])


@given(
    st.lists(st.lists(st.tuples(word, line_end), max_size=6), min_size=1, max_size=6),
    st.integers(1, 40),
    st.booleans(),
)
def test_fasta_of_any_shape_is_read_as_its_lines_say(parts: list[Any], size: int, zipped: bool) -> None:
    """However records are wrapped and wherever blocks are cut: names, letters, lines and the place of every letter."""
    text = "".join(f">s{i} x\n" + "".join(map("".join, lines)) for i, lines in enumerate(parts))
    data = text.encode()
    lines = data.split(b"\n")
    found = list(read(cast(Any, Trickle(gzip.compress(data) if zipped else data, size))))
    assert [record.name for record in found] == [f"s{i}" for i in range(len(parts))]
    assert [record.sequence for record in found] == ["".join(word for word, _ in record) for record in parts]
    for record in found:
        assert record.line is not None
        assert lines[record.line - 1] == f">{record.description}".encode()
        assert lines_of(record, lines) == record.sequence
    # SimpleFastaParser knows the same letters
    assert [record.sequence for record in found] == [seq for _, seq in SimpleFastaParser(io.StringIO(text))]


@given(st.lists(st.tuples(st.text("ACGTN", max_size=20), st.data()), min_size=1, max_size=8), st.integers(1, 40))
def test_fastq_agrees_with_biopython(reads: list[Any], size: int) -> None:
    graphic = [chr(i) for i in range(33, 127)]
    qualities = [data.draw(st.lists(st.sampled_from(graphic), min_size=len(seq), max_size=len(seq)))
                 for seq, data in reads]  # fmt: skip
    text = "".join(
        f"@r{i} x\n{seq}\n+\n{''.join(q)}\n" for i, ((seq, _), q) in enumerate(zip(reads, qualities, strict=True))
    )
    found = list(read(cast(Any, Trickle(text.encode(), size))))
    theirs = list(FastqGeneralIterator(io.StringIO(text)))
    assert [(record.description, record.sequence) for record in found] == [(title, seq) for title, seq, _ in theirs]
    for i, (record, (_, _, quality)) in enumerate(zip(found, theirs, strict=True)):
        assert record.quality is not None
        assert record.quality.tolist() == [ord(character) - 33 for character in quality]
        assert record.line == 4 * i + 1


@pytest.mark.parametrize("letters", ["MKV*", "AC-GT.", "123456", "[x]~!", "ACGT"])
@pytest.mark.parametrize("end", ["\n", "\r\n", " \n", "\n\n"])
def test_symbols_that_are_no_letters_of_text(letters: str, end: str) -> None:
    text = f">a{end}{letters}{end}{letters}{end}{letters[:2]}{end}>b{end}{letters}"
    first, second = read_bytes(text.encode())
    assert (first.sequence, second.sequence) == (letters + letters + letters[:2], letters)
    lines = text.encode().split(b"\n")
    assert lines_of(first, lines) == first.sequence
    assert lines_of(second, lines) == second.sequence


@pytest.mark.parametrize("byte", [0, 9, 31, 32, 127, 128, 255])
def test_quality_characters_outside_phred_33(byte: int) -> None:
    with pytest.raises(InputError, match=r"line 4, record 'r': quality character .* is outside '!' to '~'"):
        read_bytes(b"@r\nACG\n+\nI%cI\n" % byte)


def test_blocks_may_be_cut_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(b">s%d\n%s" % (i, b"ACGT\n" * (i % 4)) for i in range(40))
    whole = [(record.name, record.sequence, record.line) for record in read_bytes(data)]
    for size in range(1, 40):
        monkeypatch.setattr(records, "_BLOCK", size)
        assert [(record.name, record.sequence, record.line) for record in read_bytes(data)] == whole


@pytest.mark.parametrize("kind", ["path", "str", "bytes path", "binary file", "text file", "raw file", "StringIO"])
def test_every_kind_of_source(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(FASTA)
    opened: dict[str, Callable[[], Any]] = {
        "path": lambda: path,
        "str": lambda: str(path),
        "bytes path": lambda: os.fsencode(path),
        "binary file": lambda: path.open("rb"),
        "text file": lambda: path.open(),
        "raw file": lambda: path.open("rb", buffering=0),
        "StringIO": lambda: io.StringIO(FASTA.decode()),
    }
    source = opened[kind]()
    found = list(read(source))
    assert [record.name for record in found] == ["one", "two", "three"]
    assert {record.path for record in found} == {None if kind == "StringIO" else str(path)}
    if hasattr(source, "close"):
        assert not source.closed, "an open file belongs to the caller"
        source.close()


@pytest.mark.parametrize("data", [FASTA, gzip.compress(FASTA)], ids=["plain", "gzip"])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(data))
    monkeypatch.setattr(sys, "stdin", stdin)
    found = list(read("-"))
    assert [record.name for record in found] == ["one", "two", "three"]
    assert found[0].path == "standard input"
    assert not stdin.closed
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ACGT")))
    with pytest.raises(InputError, match=r"^standard input, line 1: "):
        next(read("-"))
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input: it is closed"):
        read("-")


def test_a_pipe_gives_each_record_as_soon_as_the_next_begins() -> None:
    class Pipe:
        """`read1` gives what there is; `read` would wait for a full block."""

        def read1(self, size: int) -> bytes:
            return b">a\nACGT\n>b\n"

        def read(self, size: int) -> bytes:
            raise AssertionError("the reader waits")

    assert next(read(cast(Any, Pipe()))).sequence == "ACGT"


def test_a_file_is_closed_at_the_end_after_an_error_and_when_dropped(tmp_path: Path) -> None:
    """Left open, each would be a ResourceWarning, which the test settings make an error."""
    path = tmp_path / "in.fa"
    path.write_bytes(FASTA)
    list(read(path))
    next(read(path))
    read(path)
    path.write_bytes(b"ACGT\n")
    with pytest.raises(InputError):
        list(read(path))
    path.unlink()


def test_errors_of_opening_come_at_the_call(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.fa: there is no such file$") as caught:
        read(tmp_path / "missing.fa")
    assert caught.value.path == str(tmp_path / "missing.fa")
    with pytest.raises(InputError, match="it is a directory"):
        read(tmp_path)
    with pytest.raises(InputError, match="cannot be opened: embedded null byte"):
        read("a\0b")
    with pytest.raises(InputError, match=r"io\.StringIO"):
        read(">seq")
    with pytest.raises(ArgumentError, match="path=7"):
        read(7)  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "secret.fa"
    path.write_bytes(FASTA)
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be opened: Permission denied"):
        read(path)


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file that opens and fails to read")
def test_a_file_that_fails_while_it_is_read() -> None:
    with pytest.raises(InputError, match=r"^/proc/self/mem: it cannot be read: "):
        list(read("/proc/self/mem"))


@pytest.mark.parametrize("data", [b"", b"\n \r\n\n", gzip.compress(b"", mtime=0), b"\xef\xbb\xbf"])
def test_a_file_without_records(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "empty.fa"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"empty\.fa: the file holds no records"):
        list(read(path))


@pytest.mark.parametrize(
    ("data", "says", "line", "record", "column"),
    [
        (b"\nACGT\n>a\nACGT\n", "'ACGT' stands before the first record", 2, None, None),
        (b";old\n>a\n", "';old' stands before", 1, None, None),
        (b"\x01\x00\x02" * 99, "the file is binary", None, None, None),
        (b"BAM\1\0\0", "the file is BAM", None, None, None),
        (gzip.compress(b"BAM\1\0\0", mtime=0), "the file is BAM", None, None, None),
        (b"BZh91AY", "bzip2-compressed: convert", None, None, None),
        (b"@HD\tVN:1.6\n", "the file is SAM", None, None, None),
        (b">a\n\n>\nAC\n", "the header has no name: write one behind its '>'", 3, None, None),
        (b"@ \nA\n+\nI\n", "the header has no name: write one behind its '@'", 1, None, None),
        (b">a b\0c\nAC\n", "byte 0x00 is not text", 1, None, 5),
        (b">a \xff\nAC\n", "byte 0xff is not text", 1, None, 4),
        (b">a\rACGT\r>b\rA\r", "carriage return inside a line", 1, None, 3),
        (b">a\nACGT\n\nAC GT\n", "white space inside a sequence", 4, "a", 3),
        (b">a\n AC\n", "white space inside a sequence", 2, "a", 1),
        (b">a\r\nAC\tGT \r\n", "white space inside a sequence", 2, "a", 3),
        (b">z\nA\n>a\nACGT\nAC\0\n", "byte 0x00 is not text", 5, "a", 3),
        (b">a\nAC\xc3\xa9\n", "byte 0xc3 is not text", 2, "a", 3),
        (b">a\nACGT>b\nACGT\n", "the line end before this header is missing", 2, "a", 5),
        (b">a\nAC\rGT\n", "carriage return inside a line", 2, "a", 3),
        (b"@a\nACGT\n+\nIII\n@b\nA\n+\nI\n", "3 characters for 4 letters", 4, "a", None),
        (b"@a\nACGT\n+\nIIIII\n", "5 characters for 4 letters; the file ends here", 4, "a", None),
        (b"@z\nA\n+\nI\n\n@a\nAC\nGT\n+\nII\nIII\n", "5 characters for 4 letters", 10, "a", None),
        (b"@a\nACGT\n+\n", "0 characters for 4 letters; the file ends here", 4, "a", None),
        (b"@a\nACGT\n+\nII", "2 characters for 4 letters; the file ends here", 4, "a", None),
        (b"@a\nACGT\n+", "0 characters for 4 letters; the file ends here", 4, "a", None),
        (b"@a\nACGT\n", "ends in the middle of a record, before its '+' line", 2, "a", None),
        (b"@a\nA\n+\nI\n@b", "ends in the middle of a record, before its '+' line", 5, "b", None),
        (b"@a\nACGT\n@b\nACGT\n+\nIIII\n", "lacks its '+' line", 3, "a", None),
        (b"@a\nA\n+\nI\nACGT\n", "a record begins with '@', not with 'ACGT'", 5, None, None),
        (b"@a\nA\n+\nI\n>b\nACGT\n", "a record begins with '@', not with '>b'", 5, None, None),
        (b"@a\nA\n+b\nI\n", "repeats another header", 3, "a", None),
        (b"@a\nAC\n+\nI\x7f\n", r"quality character b'\x7f' is outside", 4, "a", None),
        (b"@a\nAC\n+\nI I\n", "quality character b' ' is outside", 4, "a", None),
        (b"@a\nAC\n+\nI\xe9\n", r"quality character b'\xe9' is outside", 4, "a", None),
        (b"@a\nA C\n+\nIII\n", "white space inside a sequence", 2, "a", 2),
    ],
)
def test_content_at_fault_is_named_with_its_place(
    data: bytes, says: str, line: int | None, record: str | None, column: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "in"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        list(read(path))
    error = caught.value
    assert says in str(error)
    assert (error.path, error.line, error.record, error.column) == (str(path), line, record, column)
    assert str(error).startswith(str(path))
    assert error_of(data).line == line


def test_gzip_that_is_cut_or_damaged(tmp_path: Path) -> None:
    letters = np.random.default_rng(0).choice(list("ACGT"), 20_000)
    whole = gzip.compress(b"".join(b">s%d\n%s\n" % (i, "".join(letters[i:]).encode()) for i in range(20)))
    path = tmp_path / "in.fa.gz"
    for cut in (2, 5, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"in\.fa\.gz: the gzip file is truncated"):
            list(read(path))
    path.write_bytes(whole[: len(whole) // 2] + bytes(100) + whole[len(whole) // 2 + 100 :])
    with pytest.raises(InputError, match=r"in\.fa\.gz: the gzip file is damaged"):
        list(read(path))
    path.write_bytes(whole[:-8] + b"\1\2\3\4" + whole[-4:])
    with pytest.raises(InputError, match="damaged: CRC"):
        list(read(path))
    path.write_bytes(whole + b"trailing text")
    with pytest.raises(InputError, match="damaged: "):
        list(read(path))


@pytest.mark.small
@pytest.mark.parametrize("n_qualities", [0, 2, 31])
def test_a_record_has_a_quality_for_each_letter_or_none(n_qualities: int) -> None:
    """Or SAM had lines that no program reads, and Biopython an error of its own."""
    message = f"record 'read': there are {n_qualities} qualities for 30 letters; give one for each"
    with pytest.raises(InputError, match=message):
        Record("read", "A" * 30, quality=np.full(n_qualities, 30, np.uint8))
    assert Record("read", "", quality=np.array([], np.uint8)).quality is not None


def test_records_before_the_fault_are_given() -> None:
    found = read(io.BytesIO(b">a\nAC\n>b\nA C\n"))
    assert next(found).name == "a"
    with pytest.raises(InputError):
        next(found)


def test_a_gzip_file_opened_as_text_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "in.fa.gz"
    path.write_bytes(gzip.compress(FASTA))
    with path.open(encoding="utf-8") as source, pytest.raises(InputError, match="mode 'rb'"):
        list(read(source))
    with pytest.raises(InputError, match=r"cannot be read: .*closed file"):
        list(read(source))


def test_names_and_descriptions() -> None:
    data = "> spaced   name\nA\n>tab\tbehind\nA\n>Müller δ 1 é\nA\n>a>b|c\nA\n"
    names = [(record.name, record.description) for record in read_bytes(data.encode())]
    assert names == [
        ("spaced", "spaced   name"), ("tab", "tab\tbehind"), ("Müller", "Müller δ 1 é"), ("a>b|c", "a>b|c")
    ]  # fmt: skip


def test_duplicate_names_are_not_the_readers_business() -> None:
    assert [record.name for record in read_bytes(b">a\nA\n>a\nC\n")] == ["a", "a"]


def test_regular_wrapping_costs_no_memory_a_line() -> None:
    regular, irregular = read_bytes(b">a\n" + b"ACGT\n" * 50 + b"AC\n>b\nAC\nACG\nA\n")
    assert regular._wrapping == 4
    assert [regular.place(i) for i in (0, 3, 4, 201)] == [(2, 1), (2, 4), (3, 1), (52, 2)]
    assert isinstance(irregular._wrapping, np.ndarray)
    assert [irregular.place(i) for i in (0, 1, 2, 4, 5)] == [(54, 1), (54, 2), (55, 1), (55, 3), (56, 1)]


def test_place_refuses_what_has_none() -> None:
    (record,) = read_bytes(b">a\nACGT\n")
    for position in (-1, 4):
        with pytest.raises(ArgumentError, match=f"position={position} .* record 'a' has 4 letters"):
            record.place(position)
    with pytest.raises(ArgumentError, match="was not read from a file"):
        Record("made", "ACGT").place(0)


def test_encode_adds_the_place_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "in.fa"
    path.write_bytes(b">first\nACGT\n>second x\nACGT\nAC!T\n")
    first, second = read(path)
    assert encode(first, DNA).tolist() == [0, 1, 2, 3]
    with pytest.raises(InputError, match="letter '!' at position 7") as caught:
        encode(second, DNA)
    error = caught.value
    assert (error.path, error.record, error.line, error.column) == (str(path), "second", 5, 3)
    assert str(error).startswith(f"{path}, line 5, column 3, record 'second': letter '!'")
    with pytest.raises(InputError, match="record 'made': letter '!'"):
        encode(Record("made", "AC!"), DNA)
    with pytest.raises(SequenceError, match="letter '!' at position 3"):
        encode("AC!", DNA)
    (protein,) = read_bytes(b">p\nMKVLAAGICTTW\n")
    with pytest.raises(InputError, match="looks like protein"):
        encode(protein, DNA)
    assert len(encode(protein, PROTEIN)) == 12
    assert encode(Record("r", "ACgt"), DNA, mask_lowercase=True).tolist() == [0, 1, 14, 14]


def test_records_travel_between_processes() -> None:
    (record,) = read_bytes(b"@a x\nAC\n+\nI5\n")
    again = pickle.loads(pickle.dumps(record))
    assert (again.name, again.description, again.sequence, again.line) == ("a", "a x", "AC", 1)
    np.testing.assert_array_equal(again.quality, record.quality)


class Endless:
    """A file of `n_bytes`, made up as it is read."""

    def __init__(self, unit: bytes, n_bytes: int) -> None:
        self.unit, self.left = unit, n_bytes // len(unit)

    def read(self, size: int) -> bytes:
        n = min(self.left, max(size // len(self.unit), 1))
        self.left -= n
        return self.unit * n


@pytest.mark.parametrize(
    "unit",
    [b">s\n" + (b"ACGTACGTAC" * 6 + b"\n") * 500, b"@r\n" + b"ACGT" * 2500 + b"\n+\n" + b"IIII" * 2500 + b"\n"],
    ids=["fasta", "fastq"],
)
def test_memory_does_not_grow_with_the_file(unit: bytes) -> None:
    n_bytes = 30_000_000
    source = Endless(unit, n_bytes)
    tracemalloc.start()
    try:
        n_records = sum(1 for _ in read(cast(Any, source)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_records == n_bytes // len(unit)
    assert peak < 3_000_000, f"{peak} bytes at the peak for a file of {n_bytes}"


def test_a_long_record_is_held_twice_at_most() -> None:
    n_bytes = 20_000_000
    unit = b"ACGTACGTAC" * 6 + b"\n"
    source = Endless(unit, n_bytes)
    beginning = io.BytesIO(b">chromosome\n")

    class Long:
        def read(self, size: int) -> bytes:
            return beginning.read(size) or source.read(size)

    tracemalloc.start()
    try:
        (record,) = read(cast(Any, Long()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(record) == n_bytes // len(unit) * 60
    assert peak < 2.2 * n_bytes, f"{peak / n_bytes:.2f} times its size"
