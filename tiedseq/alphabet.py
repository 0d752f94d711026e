"""Letters, the symbols that stand for them, and uint8 codes.

A *letter* is what a model emits; a *symbol* is what a file shows: a letter, or an ambiguity code that leaves several
letters open. Codes number the symbols: 0 to K - 1 are the letters, the ambiguity codes follow. What a symbol may stand
for is one 0/1 matrix (`Alphabet.observation`), so that N, X and the IUPAC codes are no special case anywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tiedseq.errors import ArgumentError, SequenceError

Codes: TypeAlias = npt.NDArray[np.uint8]
SequenceLike: TypeAlias = Any
"""One sequence: str, bytes, Bio.Seq.Seq, SeqRecord, a tiedseq Record, or an integer array of codes."""

_UNKNOWN = 255  # in the lookup tables: this byte is no symbol
_FILE_SUFFIXES = (".fa", ".fasta", ".fna", ".faa", ".fq", ".fastq", ".gz", ".txt", ".seq")


class Alphabet:
    """The letters of a model, and how text is read as them.

    `letters` are K distinct printable ASCII characters; their order is the order of a model's emission tables.
    `name` is what messages call the alphabet. `ambiguity` maps further symbols to the letters each may stand for
    (`{"N": "ACGT"}`); none by default. `complement` lists the complement of each letter, in the order of `letters`
    (`"TGCA"`); None, the default, is an alphabet without a reverse strand. `aliases` maps characters to the symbol they
    are read as (`{"U": "T"}`). With `case_sensitive=False` both cases of a character are one symbol; the default is
    True, since an alphabet given by its letters means those and no others.

    Alphabets are immutable, their arrays read-only; two are equal if they read every text in the same way, whatever
    their names. Ready-made: `DNA`, `RNA`, `PROTEIN`.

    Attributes: `letters` (str), `n_letters` (K), `symbols` (str: the letters, then the ambiguity codes), `n_symbols`,
    `observation` (float64 (n_symbols, K), 1.0 where a symbol may stand for a letter), `complement_index` (intp (K,),
    the complement of each letter, or None), `complement_symbols` (uint8 (n_symbols,), the same for symbols, or None),
    `missing` (the code of the first ambiguity code that may stand for every letter, or None).

    Raises ArgumentError if characters repeat, are not printable ASCII, or if the complement is not an involution.

    >>> codons = Alphabet("RY", ambiguity={"N": "RY"}, complement="YR")
    >>> codons.encode("RYN")
    array([0, 1, 2], dtype=uint8)
    >>> codons.decode(codons.reverse_complement(codons.encode("RRN")))
    'NYY'
    """

    __slots__ = (
        "_aliases", "_ambiguity", "_case_sensitive", "_complement", "_decode_table", "_key", "_tables",
        "_text_complement", "complement_index", "complement_symbols", "letters", "missing", "n_letters", "n_symbols",
        "name", "observation", "symbols",
    )  # fmt: skip

    def __init__(
        self,
        letters: str,
        *,
        name: str | None = None,
        ambiguity: Mapping[str, str] | None = None,
        complement: str | None = None,
        aliases: Mapping[str, str] | None = None,
        case_sensitive: bool = True,
    ) -> None:
        self.name, self.letters, self._complement = name, letters, complement
        self._ambiguity, self._aliases = dict(ambiguity or {}), dict(aliases or {})
        self._case_sensitive = bool(case_sensitive)
        _check_characters(letters, self._ambiguity, self._aliases, self._case_sensitive)
        self.symbols = letters + "".join(self._ambiguity)
        self.n_letters, self.n_symbols = len(letters), len(self.symbols)
        self.observation = _observation(letters, self._ambiguity)
        everything = np.flatnonzero(self.observation[self.n_letters :].all(axis=1))
        self.missing: int | None = self.n_letters + int(everything[0]) if everything.size else None
        self.complement_index: npt.NDArray[np.intp] | None = None
        self.complement_symbols: Codes | None = None
        self._text_complement: bytes | None = None
        self._decode_table = self.symbols.encode().ljust(256, b"?")
        self._tables = self._lookup_tables()
        if complement is not None:
            self.complement_index = _complement_letters(letters, complement)
            self.complement_symbols = _complement_symbols(self.symbols, self.observation, self.complement_index)
            self._text_complement = self._text_complement_table()
        readings = (tuple(self._ambiguity.items()), frozenset(self._aliases.items()))
        self._key: tuple[Any, ...] = (
            letters,
            complement,
            readings,
            self._case_sensitive,
        )  # the last one: see __setattr__

    @staticmethod
    def of(alphabet: Alphabet | str) -> Alphabet:
        """The alphabet that `alphabet` names: itself, or the one with exactly the letters of a string.

        A string's letters are case-sensitive and have no ambiguity codes. The words "DNA", "RNA" and "protein" (in any
        case) are the ready-made alphabets; for the three letters D, N and A write `Alphabet("DNA")`. Raises
        ArgumentError for anything else.

        >>> Alphabet.of("123456")
        Alphabet('123456')
        >>> Alphabet.of("dna") is DNA
        True
        """
        if isinstance(alphabet, Alphabet):
            return alphabet
        if isinstance(alphabet, str):
            return _BUILT_IN.get(alphabet.upper()) or Alphabet(alphabet)
        raise ArgumentError(f"alphabet={alphabet!r} is no alphabet: pass one, as tiedseq.DNA, or a string of letters")

    def encode(self, sequence: SequenceLike, *, mask_lowercase: bool = False) -> Codes:
        """The codes of a sequence: a new uint8 array (length,), contiguous and writable.

        `sequence` is a str, bytes, Bio.Seq.Seq or MutableSeq, SeqRecord, Record, or a one-dimensional integer array,
        which is taken as codes and checked. `mask_lowercase=True` reads lower-case letters as missing (N in DNA, X in
        protein); the default reads them as their upper-case ones. Codes have no case to mask.

        Raises SequenceError, with `position` set, for a letter or code that the alphabet lacks and for gap letters;
        ArgumentError for another type, or for `mask_lowercase` where no symbol is a missing letter.

        >>> DNA.encode("ACgtuN").tolist()
        [0, 1, 2, 3, 3, 14]
        >>> DNA.encode("ACgtuN", mask_lowercase=True).tolist()
        [0, 1, 14, 14, 14, 14]
        """
        if mask_lowercase and (self.missing is None or self._case_sensitive):
            need = "an alphabet that ignores case and has a symbol for a missing letter, as N of DNA"
            raise ArgumentError(f"mask_lowercase=True needs {need}: {self!r} is not one")
        if isinstance(sequence, np.ndarray):
            return self._checked_codes(sequence)
        data = self._as_bytes(sequence)
        codes = np.frombuffer(data.translate(self._tables[mask_lowercase]), dtype=np.uint8).copy()
        # Copied, because frombuffer's array is read-only, which Numba takes for another type and compiles again.
        if codes.size and codes.max() == _UNKNOWN:
            position = int(codes.argmax())
            raise self._unknown(chr(data[position]), position, data)
        return codes

    def decode(self, codes: npt.NDArray[np.integer[Any]]) -> str:
        """The symbols that codes stand for, as text; SequenceError for a code outside the alphabet.

        >>> DNA.decode(DNA.encode("acgu"))
        'ACGT'
        """
        return self._checked_codes(np.asarray(codes)).tobytes().translate(self._decode_table).decode("ascii")

    def reverse_complement(self, codes: npt.NDArray[np.integer[Any]]) -> Codes:
        """The codes of the other strand, read in its own direction: a new uint8 array (length,).

        Raises ArgumentError if the alphabet has no complement.

        >>> DNA.decode(DNA.reverse_complement(DNA.encode("AACGR")))
        'YCGTT'
        """
        if self.complement_symbols is None:
            raise self._no_complement()
        backwards = self._checked_codes(np.asarray(codes))[::-1].tobytes()
        return np.frombuffer(backwards.translate(self.complement_symbols.tobytes().ljust(256)), dtype=np.uint8).copy()

    def text_reverse_complement(self, text: str) -> str:
        """The other strand as text, each letter in the case of the one it pairs with; gap letters stay gap letters.

        Raises ArgumentError if the alphabet has no complement, SequenceError for a letter that it lacks.

        >>> DNA.text_reverse_complement("AAcg-N")
        'N-cgTT'
        """
        if self._text_complement is None:
            raise self._no_complement()
        data = self._as_bytes(text)
        complement = data.translate(self._text_complement)
        if b"\0" in complement:
            position = complement.index(b"\0")
            raise self._unknown(chr(data[position]), position, data)
        return complement[::-1].decode("ascii")

    @property
    def is_missing(self) -> npt.NDArray[np.bool_]:
        """bool (n_symbols,): symbols that say nothing of the letter, as N of DNA; none where there is but one letter.

        >>> "".join(symbol for symbol, missing in zip(DNA.symbols, DNA.is_missing) if missing)
        'N'
        """
        return (self.observation == 1.0).all(axis=1) & (self.n_letters > 1)

    def misread(self, letters: Codes, like: Codes, generator: np.random.Generator) -> Codes:
        """Letters as they are read: missing where `like` is, as far along.

        With qualities these are drawn from those in `like`, and there are the errors that they promise.
        """
        if self.missing is None or not like.size:
            return letters
        places = np.arange(letters.size) * like.size // max(letters.size, 1)
        return np.where(self.is_missing[like[places]], self.missing, letters).astype(np.uint8)

    def with_qualities(self) -> Alphabet:
        """The same letters, with a symbol for each at every quality that FASTQ files know.

        A base of error p = 10**(-Q / 10) is observed as a mixture of the letters, 1 - p of its own and the rest of the
        others; from p = .75 on it is missing, as N. A model of such an alphabet reads the qualities of records (Record,
        SeqRecord). They are off by default, since a trained pair table holds the rate of errors already. Raises
        ArgumentError for an alphabet without a symbol for a missing letter.

        >>> DNA.with_qualities().observation[-4].round(6).tolist()  # A of quality 50 or more
        [0.99999, 3e-06, 3e-06, 3e-06]
        """
        from tiedseq.qualities import QualityAlphabet

        return QualityAlphabet(self)

    @property
    def has_qualities(self) -> bool:
        """Whether it is one that `with_qualities` made."""
        return self.without_qualities() is not self

    def without_qualities(self) -> Alphabet:
        """The alphabet that `with_qualities` was asked of; itself if it knows none."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """What a model file keeps: the name of a ready-made alphabet, else everything that defines this one.

        >>> Alphabet.from_dict(DNA.to_dict()) is DNA, Alphabet("HT").to_dict()
        (True, {'letters': 'HT'})
        """
        for name, alphabet in _BUILT_IN.items():
            if self == alphabet:
                return {"name": name}
        entries = {
            "letters": self.letters, "name": self.name, "ambiguity": dict(self._ambiguity),
            "complement": self._complement, "aliases": dict(self._aliases),
            "case_sensitive": None if self._case_sensitive else False,
        }  # fmt: skip
        return {key: value for key, value in entries.items() if value is not None and value != {}}

    @staticmethod
    def from_dict(document: Mapping[str, Any]) -> Alphabet:
        """The alphabet that `to_dict` wrote; ArgumentError if the document is not of that form."""
        try:
            entries = dict(document)
            if entries.pop("qualities", False):
                return Alphabet.from_dict(entries).with_qualities()
            return Alphabet(**entries) if "letters" in entries else _BUILT_IN[entries.pop("name")]
        except ArgumentError:
            raise
        except (KeyError, TypeError, ValueError):
            known = ", ".join(_BUILT_IN)
            raise ArgumentError(f"alphabet {document!r} is unknown: give its letters, or a name of {known}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(self, "_key"):
            raise AttributeError(f"{name!r} of {self!r} cannot be set: alphabets are immutable, make another Alphabet")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name!r} of {self!r} cannot be deleted: alphabets are immutable")

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, Alphabet) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        if _BUILT_IN.get(self.name or "") is self:
            return str(self.name)
        return f"Alphabet({self.letters!r})" if self.name is None else f"Alphabet({self.letters!r}, name={self.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Alphabet.from_dict, (self.to_dict(),)

    def _lookup_tables(self) -> tuple[bytes, bytes]:
        """Byte -> code, as it is and with lower case masked."""
        table = np.full(256, _UNKNOWN, dtype=np.uint8)
        readings = {symbol: code for code, symbol in enumerate(self.symbols)}
        readings |= {alias: readings[symbol] for alias, symbol in self._aliases.items()}
        for character, code in readings.items():
            for form in {character} if self._case_sensitive else {character.upper(), character.lower()}:
                table[ord(form)] = code
        masked = table.copy()
        lower = np.arange(ord("a"), ord("z") + 1)
        masked[lower] = np.where(table[lower] == _UNKNOWN, _UNKNOWN, _UNKNOWN if self.missing is None else self.missing)
        return table.tobytes(), masked.tobytes()

    def _text_complement_table(self) -> bytes:
        """Byte -> byte of its complement in the same case; 0 marks what is no symbol."""
        assert self.complement_symbols is not None
        table = bytearray(256)
        for byte, code in enumerate(self._tables[False]):
            if code != _UNKNOWN:
                symbol = self.symbols[self.complement_symbols[code]]
                if not self._case_sensitive:
                    symbol = symbol.lower() if chr(byte).islower() else symbol.upper()
                table[byte] = ord(symbol)
        for gap in b"-.":
            table[gap] = table[gap] or gap
        return bytes(table)

    def _checked_codes(self, codes: npt.NDArray[Any]) -> Codes:
        """A copy as uint8 if all are codes of this alphabet."""
        if codes.ndim != 1 or codes.dtype.kind not in "iu":
            found = f"an array of shape {codes.shape} and type {codes.dtype}"
            raise ArgumentError(f"{found} cannot be read as a sequence: pass one dimension of integer codes, or text")
        if codes.size and (codes.max() >= self.n_symbols or codes.min() < 0):
            position = int(np.argmax((codes >= self.n_symbols) | (codes < 0)))
            valid = f"0 to {self.n_symbols - 1}, the codes of {self!r}"
            message = f"code {codes[position]} at position {position + 1} is outside {valid}"
            raise SequenceError(f"{message}: pass letters as str or bytes", position)
        return np.array(codes, dtype=np.uint8, order="C")

    def _as_bytes(self, sequence: SequenceLike) -> bytes:
        """The letters of any kind of sequence; Biopython's are known by what they offer: Bio is not imported."""
        for attribute in ("sequence", "seq"):  # tiedseq's Record, Biopython's SeqRecord
            if not isinstance(sequence, str):
                sequence = getattr(sequence, attribute, sequence)
        if isinstance(sequence, str):
            try:
                return sequence.encode("ascii")
            except UnicodeEncodeError as error:
                letters = sequence.encode("ascii", "replace")
                raise self._unknown(sequence[error.start], error.start, letters) from None
        if isinstance(sequence, (bytes, bytearray, memoryview)) or hasattr(type(sequence), "__bytes__"):
            try:
                return bytes(sequence)
            except Exception:  # Bio.Seq.UndefinedSequenceError, which is no reason to import Bio
                raise SequenceError("the sequence has a length but no letters: its content is undefined") from None
        kinds = "one sequence as str, bytes, Bio.Seq.Seq, SeqRecord, Record or a numpy array of integer codes"
        raise ArgumentError(f"a value of type {type(sequence).__name__} cannot be read as a sequence: pass {kinds}")

    def _unknown(self, letter: str, position: int, data: bytes) -> SequenceError:
        advice = _advice(self, letter, position, data)
        if letter in "-." and not advice:
            return SequenceError(f"gap letter {letter!r} at position {position + 1}: remove the gaps first", position)
        has = self.letters + f", the ambiguity codes {''.join(self._ambiguity)}" * bool(self._ambiguity)
        has += "".join(f", and {alias} read as {symbol}" for alias, symbol in self._aliases.items())
        known_as = f"alphabet {self.name}" if self.name else "alphabet"
        message = f"letter {letter!a} at position {position + 1} is not in the {known_as}, which has {has}{advice}"
        return SequenceError(message, position)

    def _no_complement(self) -> ArgumentError:
        return ArgumentError(f"{self!r} has no complement, hence no reverse strand: use strand='forward', or DNA")


def _advice(alphabet: Alphabet, letter: str, position: int, data: bytes) -> str:
    """What the user probably meant, as the end of the message on an unknown letter; empty if nothing comes to mind."""
    if position == 0 and letter in ">@":
        return ": this looks like the text of a FASTA or FASTQ file, which tiedseq.read reads"
    if len(data) < 1000 and data.decode("latin-1").lower().endswith(_FILE_SUFFIXES):
        return ": this looks like a file name; tiedseq.read and align_all take files, here the letters are expected"
    if letter.isspace():
        return ": remove white space and line ends"
    if alphabet.letters in (DNA.letters, RNA.letters) and _looks_like_protein(data):
        return ": the sequence looks like protein; use a model of the PROTEIN alphabet"
    for known in (DNA, RNA, PROTEIN):
        if alphabet != known and alphabet.letters == known.letters and letter.upper() in known.symbols:
            return f": tiedseq.{known.name} reads both cases and the ambiguity codes"
    if letter.swapcase() in alphabet.symbols:
        return f": its letters are case-sensitive, and it has {letter.swapcase()!r}"
    if alphabet.letters == DNA.letters and letter in "Xx":
        return ": write a masked letter as N"
    return ""


def _looks_like_protein(data: bytes) -> bool:
    """Letters of protein only, at least one that no nucleotide code is, and too few nucleotides for a slip in DNA."""
    sample = data[:100_000].upper()
    if sample.translate(None, PROTEIN.symbols.encode()) or not any(letter in sample for letter in b"EFILPQ"):
        return False
    return 3 * sum(map(sample.count, b"ACGTUN")) < 2 * len(sample)


def _check_characters(
    letters: str, ambiguity: Mapping[str, str], aliases: Mapping[str, str], case_sensitive: bool
) -> None:
    if not isinstance(letters, str) or not letters:
        raise ArgumentError(f"letters={letters!r} must be a string of one letter or more")
    seen: set[str] = set()
    for character in (*letters, *ambiguity, *aliases):
        if len(character) != 1 or not "!" <= character <= "~":
            raise ArgumentError(f"{character!r} cannot be a symbol: that is one printable ASCII character, not a space")
        form = character if case_sensitive else character.upper()
        if form in seen:
            raise ArgumentError(f"symbol {character!r} is given twice for letters={letters!r}: give every symbol once")
        seen.add(form)
    for symbol, meant in ambiguity.items():
        if not meant or not set(meant) <= set(letters):
            raise ArgumentError(f"ambiguity code {symbol!r} stands for {meant!r}: it must be for some of {letters!r}")
    for alias, symbol in aliases.items():
        if symbol not in letters and symbol not in ambiguity:
            raise ArgumentError(f"alias {alias!r} is read as {symbol!r}, which is no symbol of letters={letters!r}")


def _observation(letters: str, ambiguity: Mapping[str, str]) -> npt.NDArray[np.float64]:
    matrix = np.array([[float(letter in row) for letter in letters] for row in (*letters, *ambiguity.values())])
    matrix.setflags(write=False)
    return matrix


def _complement_letters(letters: str, complement: str) -> npt.NDArray[np.intp]:
    pairs = dict(zip(letters, complement, strict=False))
    if len(complement) != len(letters) or any(pairs.get(other) != letter for letter, other in pairs.items()):
        rule = "one letter for each, in their order, and the complement of a complement the letter itself"
        raise ArgumentError(f"complement={complement!r} does not suit letters={letters!r}: it must have {rule}")
    index = np.array([letters.index(other) for other in complement], dtype=np.intp)
    index.setflags(write=False)
    return index


def _complement_symbols(symbols: str, observation: npt.NDArray[np.float64], letters: npt.NDArray[np.intp]) -> Codes:
    """The complement of a symbol stands for the complements of its letters; of equals, it is the symbol itself."""
    codes = np.empty(len(symbols), dtype=np.uint8)
    for code, symbol in enumerate(symbols):
        same = np.flatnonzero((observation == observation[code, letters]).all(axis=1))
        if not same.size:
            meant = "".join(symbols[i] for i in np.flatnonzero(observation[code, letters]))
            raise ArgumentError(f"ambiguity code {symbol!r} has no complement: add a code for {meant!r}")
        codes[code] = code if code in same else same[0]
    codes.setflags(write=False)
    return codes


def _nucleotides(name: str, t: str, alias: str) -> Alphabet:
    """DNA and RNA with the codes of the IUPAC-IUB (Cornish-Bowden 1985, Nucleic Acids Res. 13:3021)."""
    codes = {
        "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
        "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
    }  # fmt: skip
    ambiguity = {code: meant.replace("T", t) for code, meant in codes.items()}
    aliases = {alias: t}
    return Alphabet(
        f"ACG{t}", name=name, ambiguity=ambiguity, complement=f"{t}GCA", aliases=aliases, case_sensitive=False
    )


_AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"

DNA = _nucleotides("DNA", "T", "U")
"""A C G T, the IUPAC codes R Y S W K M B D H V N; U is read as T; case is ignored."""

RNA = _nucleotides("RNA", "U", "T")
"""A C G U, the IUPAC codes R Y S W K M B D H V N; T is read as U; case is ignored."""

PROTEIN = Alphabet(
    _AMINO_ACIDS,
    name="PROTEIN",
    ambiguity={"X": _AMINO_ACIDS, "B": "DN", "Z": "EQ", "J": "IL", "U": "C", "O": "K", "*": _AMINO_ACIDS},
    case_sensitive=False,
)
"""The 20 amino acids in the order of their one-letter codes, and X (any), B (D or N), Z (E or Q), J (I or L).

Selenocysteine U is observed as cysteine and pyrrolysine O as lysine, the residues they are made from or replace; `*`, a
stop in a translated sequence, says nothing about a residue and is missing data like X. All three keep their character
in `decode`. Case is ignored; there is no complement."""

_BUILT_IN = {"DNA": DNA, "RNA": RNA, "PROTEIN": PROTEIN}
