"""Alphabets against Biopython's tables and against plain Python written out here."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from Bio.Data import IUPACData
from Bio.Seq import MutableSeq, Seq, reverse_complement, reverse_complement_rna
from Bio.SeqRecord import SeqRecord
from hypothesis import given
from hypothesis import strategies as st

from tiedseq.alphabet import DNA, PROTEIN, RNA, Alphabet
from tiedseq.errors import ArgumentError, SequenceError
from tiedseq.records import Record

BUILT_IN = [DNA, RNA, PROTEIN]


@pytest.mark.parametrize(
    ("alphabet", "values"),
    [(DNA, IUPACData.ambiguous_dna_values), (RNA, IUPACData.ambiguous_rna_values)],
    ids=["DNA", "RNA"],
)
def test_a_symbol_may_stand_for_what_iupac_says(alphabet: Alphabet, values: dict[str, str]) -> None:
    assert set(alphabet.symbols) == set(values) - {"X"}
    for symbol, row in zip(alphabet.symbols, alphabet.observation, strict=True):
        assert {letter for letter, may in zip(alphabet.letters, row, strict=True) if may} == set(values[symbol])


def test_protein_has_twenty_letters_and_the_codes_of_extended_iupac() -> None:
    assert PROTEIN.letters == "".join(sorted(IUPACData.protein_letters))
    assert PROTEIN.n_letters == 20
    assert set(PROTEIN.symbols) == set(IUPACData.extended_protein_letters) | {"*"}
    stands_for = {
        symbol: "".join(np.array(list(PROTEIN.letters))[row == 1])
        for symbol, row in zip(PROTEIN.symbols, PROTEIN.observation, strict=True)
    }
    expected = {"B": "DN", "Z": "EQ", "J": "IL", "U": "C", "O": "K", "X": PROTEIN.letters, "*": PROTEIN.letters}
    assert {symbol: stands_for[symbol] for symbol in expected} == expected
    assert PROTEIN.missing == PROTEIN.symbols.index("X")


@pytest.mark.parametrize("alphabet", [*BUILT_IN, Alphabet("123456")], ids=repr)
def test_the_surface_has_the_types_and_shapes_it_promises(alphabet: Alphabet) -> None:
    assert alphabet.n_letters == len(alphabet.letters)
    assert alphabet.n_symbols == len(alphabet.symbols)
    assert alphabet.symbols.startswith(alphabet.letters)
    assert alphabet.observation.dtype == np.float64
    assert alphabet.observation.shape == (alphabet.n_symbols, alphabet.n_letters)
    np.testing.assert_array_equal(alphabet.observation[: alphabet.n_letters], np.eye(alphabet.n_letters))
    codes = alphabet.encode(alphabet.symbols)
    assert codes.dtype == np.uint8
    assert codes.flags.writeable
    assert codes.flags.c_contiguous
    np.testing.assert_array_equal(codes, np.arange(alphabet.n_symbols))
    assert not alphabet.observation.flags.writeable, "a shared alphabet must not change under its users"


def test_complements_are_biopythons() -> None:
    for alphabet, table in [
        (DNA, IUPACData.ambiguous_dna_complement), (RNA, IUPACData.ambiguous_rna_complement)
    ]:  # fmt: skip
        assert alphabet.complement_symbols is not None
        assert alphabet.complement_index is not None
        assert alphabet.complement_symbols.dtype == np.uint8
        for code, symbol in enumerate(alphabet.symbols):
            assert alphabet.symbols[alphabet.complement_symbols[code]] == table[symbol]
        np.testing.assert_array_equal(alphabet.complement_index, alphabet.complement_symbols[: alphabet.n_letters])
    assert PROTEIN.complement_index is None
    assert PROTEIN.complement_symbols is None


@given(st.text("ACGTRYSWKMBDHVNacgtryswkmbdhvn"))
def test_reverse_complement_of_text_and_codes_agrees_with_biopython(text: str) -> None:
    assert DNA.text_reverse_complement(text) == reverse_complement(text)
    assert DNA.decode(DNA.reverse_complement(DNA.encode(text))) == reverse_complement(text.upper())
    rna = text.replace("T", "U").replace("t", "u")
    assert RNA.text_reverse_complement(rna) == reverse_complement_rna(rna)
    assert RNA.decode(RNA.reverse_complement(RNA.encode(rna))) == reverse_complement_rna(rna.upper())


def test_text_reverse_complement_keeps_gaps_and_refuses_what_is_no_letter() -> None:
    assert DNA.text_reverse_complement("AC-gU.") == ".Ac-GT"
    with pytest.raises(SequenceError, match="'E' at position 2"):
        DNA.text_reverse_complement("AE")
    with pytest.raises(ArgumentError, match="no complement"):
        PROTEIN.text_reverse_complement("MK")
    with pytest.raises(ArgumentError, match="no complement"):
        PROTEIN.reverse_complement(PROTEIN.encode("MK"))


@pytest.mark.parametrize("alphabet", BUILT_IN, ids=repr)
@given(data=st.data())
def test_decode_undoes_encode_up_to_case(alphabet: Alphabet, data: st.DataObject) -> None:
    text = data.draw(st.text(alphabet.symbols + alphabet.symbols.lower()))
    assert alphabet.decode(alphabet.encode(text)) == text.upper()
    codes = [alphabet.symbols.index(letter) for letter in text.upper()]
    assert alphabet.encode(text).tolist() == codes


SAME = "acGTnRu"
SAME_CODES = [0, 1, 2, 3, 14, 4, 3]


@pytest.mark.parametrize(
    "sequence",
    [
        SAME,
        SAME.encode(),
        bytearray(SAME.encode()),
        memoryview(SAME.encode()),
        np.str_(SAME),
        Seq(SAME),
        MutableSeq(SAME),
        SeqRecord(Seq(SAME), id="r"),
        Record("r", SAME),
        np.array(SAME_CODES),
        np.array(SAME_CODES, dtype=np.int8),
        np.array(SAME_CODES, dtype=np.uint8),
        np.array(SAME_CODES, dtype=np.uint64),
        np.repeat(np.array(SAME_CODES, dtype=np.uint8), 2)[::2],
    ],
    ids=lambda sequence: type(sequence).__name__,
)
def test_every_kind_of_sequence_gives_the_same_codes(sequence: Any) -> None:
    codes = DNA.encode(sequence)
    assert codes.tolist() == SAME_CODES
    assert codes.dtype == np.uint8
    assert codes.flags.c_contiguous
    assert codes.flags.writeable


def test_encode_never_shares_memory_with_its_input() -> None:
    given_codes = np.array([0, 1], dtype=np.uint8)
    DNA.encode(given_codes)[0] = 3
    assert given_codes[0] == 0
    given_letters = bytearray(b"AC")
    DNA.encode(given_letters)[0] = 3
    assert given_letters == b"AC"


@pytest.mark.parametrize("empty", ["", b"", Seq(""), np.array([], dtype=np.int64), Record("r", "")])
def test_an_empty_sequence_is_legal(empty: Any) -> None:
    assert DNA.encode(empty).shape == (0,)
    assert DNA.decode(DNA.encode(empty)) == ""
    assert DNA.reverse_complement(DNA.encode(empty)).shape == (0,)


def test_u_and_t_are_read_as_what_the_alphabet_has() -> None:
    assert DNA.decode(DNA.encode("UuTt")) == "TTTT"
    assert RNA.decode(RNA.encode("UuTt")) == "UUUU"
    assert PROTEIN.decode(PROTEIN.encode("UuTt")) == "UUTT", "in protein, U is selenocysteine"


def test_mask_lowercase_reads_lower_case_as_missing() -> None:
    assert DNA.decode(DNA.encode("ACgtRrNu", mask_lowercase=True)) == "ACNNRNNN"
    assert PROTEIN.decode(PROTEIN.encode("MKvl*", mask_lowercase=True)) == "MKXX*"
    with pytest.raises(SequenceError, match="'e' at position 3"):
        DNA.encode("ACe", mask_lowercase=True)
    assert DNA.encode(np.array([0, 1]), mask_lowercase=True).tolist() == [0, 1]
    for alphabet in (Alphabet("acgt"), Alphabet("acgt", ambiguity={"n": "acgt"}), Alphabet("HT", case_sensitive=False)):
        with pytest.raises(ArgumentError, match="mask_lowercase=True"):
            alphabet.encode("a", mask_lowercase=True)


@pytest.mark.parametrize(
    ("alphabet", "sequence", "position", "says"),
    [
        (DNA, "ACGTACGTE", 8, "letter 'E' at position 9 is not in the alphabet DNA, which has ACGT"),
        (DNA, b"AC!", 2, "letter '!' at position 3"),
        (DNA, Seq("ACGJ"), 3, "letter 'J' at position 4"),
        (DNA, b"AC\xe9", 2, r"letter '\xe9' at position 3"),
        (DNA, "AC\N{GREEK SMALL LETTER ALPHA}", 2, r"letter '\u03b1' at position 3"),
        (DNA, "A\udc80", 1, r"letter '\udc80' at position 2"),
        (DNA, "ACGX", 3, "write a masked letter as N"),
        (DNA, "MKVLAAGICTTW", 3, "the sequence looks like protein"),
        (RNA, "mkvlaagictt", 3, "the sequence looks like protein"),
        (DNA, "AC GT", 2, "remove white space"),
        (DNA, "ACGT\nACGT\n", 4, "remove white space"),
        (DNA, ">seq\nACGT", 0, "text of a FASTA or FASTQ file"),
        (DNA, "reads.fq.gz", 1, "looks like a file name"),
        (DNA, Path("a.fa"), 1, "looks like a file name"),
        (DNA, "AC-GT", 2, "gap letter '-' at position 3"),
        (DNA, "AC..GT", 2, "gap letter '.' at position 3"),
        (PROTEIN, "MK-V", 2, "gap letter '-' at position 3"),
        (PROTEIN, "MK1", 2, "letter '1' at position 3 is not in the alphabet PROTEIN"),
        (Alphabet("123456"), "1270", 2, "letter '7' at position 3 is not in the alphabet, which has 123456"),
        (Alphabet("HT"), "HhT", 1, "its letters are case-sensitive, and it has 'H'"),
        (Alphabet("ACGT"), "ACN", 2, "tiedseq.DNA reads both cases and the ambiguity codes"),
        (DNA, np.array([0, 1, 15]), 2, "code 15 at position 3 is outside 0 to 14"),
        (DNA, np.array([0, -1, 15]), 1, "code -1 at position 2"),
        (DNA, np.array([0, 256]), 1, "code 256 at position 2"),
        (DNA, np.frombuffer(b"ACGT", dtype=np.uint8), 0, "pass letters as str or bytes"),
    ],
)  # fmt: skip
def test_an_unknown_letter_is_named_with_its_position(
    alphabet: Alphabet, sequence: Any, position: int, says: str
) -> None:
    with pytest.raises(SequenceError) as caught:
        alphabet.encode(sequence)
    assert says in str(caught.value)
    assert caught.value.position == position
    assert "\n" not in str(caught.value)


def test_one_slip_in_dna_does_not_look_like_protein() -> None:
    for slip in ("ACGTTGCAEACGTAGGAC", "ACGTTGCAZ!"):
        with pytest.raises(SequenceError) as caught:
            DNA.encode(slip)
        assert "protein" not in str(caught.value)


@pytest.mark.parametrize(
    "sequence",
    [7, None, ["A", "C"], [0, 1], np.array([0.0, 1.0]), np.array([[0, 1]]), np.array(True), np.array([True]), 1.5],
    ids=repr,
)
def test_what_is_no_sequence_is_refused(sequence: Any) -> None:
    with pytest.raises(ArgumentError, match="cannot be read"):
        DNA.encode(sequence)


def test_a_sequence_without_content_is_refused() -> None:
    with pytest.raises(SequenceError, match="undefined"):
        DNA.encode(Seq(None, length=10))


def test_decode_refuses_codes_outside_the_alphabet() -> None:
    with pytest.raises(SequenceError, match="code 15"):
        DNA.decode(np.array([15]))


def test_of_takes_alphabets_letters_and_the_three_names() -> None:
    assert Alphabet.of(RNA) is RNA
    die = Alphabet.of("123456")
    assert (die.letters, die.symbols, die.missing, die.complement_index) == ("123456", "123456", None, None)
    assert Alphabet.of("dna") is DNA
    assert Alphabet.of("Protein") is PROTEIN
    assert Alphabet.of("RNA") is RNA
    assert Alphabet("DNA").letters == "DNA"
    not_dna = Alphabet.of("ACGT")
    assert not_dna != DNA
    with pytest.raises(SequenceError):
        not_dna.encode("acgt")
    for wrong in (None, 4, ["A"], b"ACGT"):
        with pytest.raises(ArgumentError, match="alphabet="):
            Alphabet.of(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("letters", "options", "says"),
    [
        ("", {}, "one letter or more"),
        (["A"], {}, "one letter or more"),
        ("AA", {}, "'A' is given twice"),
        ("Aa", {"case_sensitive": False}, "'a' is given twice"),
        ("A C", {}, "' ' cannot be a symbol"),
        ("A\N{LATIN SMALL LETTER E WITH ACUTE}", {}, "cannot be a symbol"),
        ("AC", {"ambiguity": {"NN": "AC"}}, "'NN' cannot be a symbol"),
        ("AC", {"ambiguity": {"A": "AC"}}, "'A' is given twice"),
        ("AC", {"ambiguity": {"N": "AG"}}, "stands for 'AG'"),
        ("AC", {"ambiguity": {"N": ""}}, "stands for ''"),
        ("AC", {"aliases": {"U": "T"}}, "'U' is read as 'T'"),
        ("ACGT", {"complement": "TGC"}, "complement='TGC'"),
        ("ACGT", {"complement": "CGTA"}, "the complement of a complement"),
        ("ACGT", {"complement": "TGCN"}, "complement='TGCN'"),
        ("ACGT", {"complement": "TGCA", "ambiguity": {"R": "AG"}}, "'R' has no complement: add a code for 'CT'"),
    ],
)  # fmt: skip
def test_contradictory_alphabets_are_refused(letters: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Alphabet(letters, **options)
    assert says in str(caught.value)


def test_a_gap_letter_may_be_a_letter_of_an_alphabet_that_names_it() -> None:
    assert Alphabet("AC-").encode("-C").tolist() == [2, 1]


def test_two_codes_for_the_same_letters_are_each_their_own_complement() -> None:
    alphabet = Alphabet("AT", ambiguity={"N": "AT", "x": "AT"}, complement="TA")
    assert alphabet.decode(alphabet.reverse_complement(alphabet.encode("ANx"))) == "xNT"


CUSTOM = Alphabet("RYE", name="rye", ambiguity={"N": "RY"}, complement="YRE", aliases={"q": "N"})


@pytest.mark.parametrize("alphabet", [*BUILT_IN, CUSTOM, Alphabet("ab", case_sensitive=False)], ids=repr)
def test_documents_and_copies_give_an_equal_alphabet(alphabet: Alphabet) -> None:
    for again in (
        Alphabet.from_dict(alphabet.to_dict()),
        pickle.loads(pickle.dumps(alphabet)),
        copy.deepcopy(alphabet),
        copy.copy(alphabet),
    ):
        assert again == alphabet
        assert hash(again) == hash(alphabet)
        np.testing.assert_array_equal(again.encode(alphabet.symbols), alphabet.encode(alphabet.symbols))
        np.testing.assert_array_equal(again.observation, alphabet.observation)
        assert (again.name, repr(again)) == (alphabet.name, repr(alphabet))
        if alphabet in BUILT_IN:
            assert again is alphabet


@pytest.mark.parametrize("alphabet", [*BUILT_IN, CUSTOM], ids=repr)
def test_alphabets_are_immutable(alphabet: Alphabet) -> None:
    before = alphabet.letters, alphabet.observation.tolist(), hash(alphabet), alphabet.to_dict()
    for name in (*Alphabet.__slots__, "another"):
        with pytest.raises(AttributeError, match=f"'{name}' of .* alphabets are immutable"):
            setattr(alphabet, name, "AC")
        with pytest.raises(AttributeError, match=f"'{name}' of .* alphabets are immutable"):
            delattr(alphabet, name)
    with pytest.raises(AttributeError, match="alphabets are immutable"):
        alphabet.__init__("AC")  # type: ignore[misc]
    for array in (alphabet.observation, alphabet.complement_index, alphabet.complement_symbols):
        if array is not None:
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
    for entry in alphabet.to_dict().values():
        if isinstance(entry, dict):
            entry.clear()
    assert (alphabet.letters, alphabet.observation.tolist(), hash(alphabet), alphabet.to_dict()) == before


def test_equality_is_by_content_and_not_by_name() -> None:
    assert Alphabet("HT", name="coin") == Alphabet("HT")
    different = [
        Alphabet("HT"), Alphabet("TH"), Alphabet("HT", ambiguity={"N": "HT"}), Alphabet("HT", complement="TH"),
        Alphabet("HT", aliases={"Z": "T"}), Alphabet("HT", case_sensitive=False),
    ]  # fmt: skip
    assert len(set(different)) == len(different)
    assert Alphabet("HT") != "HT"


@pytest.mark.parametrize(
    "document",
    [{}, {"name": "XNA"}, {"name": ["DNA"]}, {"letters": 5}, {"letters": "AC", "size": 2},
     {"letters": "AC", "complement": 5}, {"letters": "AC", "ambiguity": "N"}, None, 3],
    ids=repr,
)  # fmt: skip
def test_a_damaged_document_is_refused(document: Any) -> None:
    with pytest.raises(ArgumentError):
        Alphabet.from_dict(document)


def test_reprs_are_short() -> None:
    assert [repr(alphabet) for alphabet in BUILT_IN] == ["DNA", "RNA", "PROTEIN"]
    assert repr(Alphabet("HT")) == "Alphabet('HT')"
    assert repr(CUSTOM) == "Alphabet('RYE', name='rye')"
