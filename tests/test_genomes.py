"""The default model on whole mitochondrial genomes: what is known of their genes is found, and where it is unsure."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

import tiedseq as ts

# The 13 proteins, counted from 1 as in NC_012920 and NC_005089; ND6 is on the other strand. The human file begins with
# letter 577 of NC_012920.
HUMAN = {
    "ND1": (3307, 4262), "ND2": (4470, 5511), "COX1": (5904, 7445), "COX2": (7586, 8269), "ATP8": (8366, 8572),
    "ATP6": (8527, 9207), "COX3": (9207, 9990), "ND3": (10059, 10404), "ND4L": (10470, 10766), "ND4": (10760, 12137),
    "ND5": (12337, 14148), "ND6": (14149, 14673), "CYTB": (14747, 15887),
}  # fmt: skip
MOUSE = {
    "ND1": (2751, 3707), "ND2": (3914, 4951), "COX1": (5328, 6872), "COX2": (7013, 7696), "ATP8": (7766, 7969),
    "ATP6": (7927, 8607), "COX3": (8607, 9390), "ND3": (9459, 9806), "ND4L": (9877, 10173), "ND4": (10167, 11544),
    "ND5": (11742, 13565), "ND6": (13552, 14070), "CYTB": (14145, 15288),
}  # fmt: skip
SHIFT = 576
CONTROL = slice(16024 - 1 - SHIFT, 16569)  # from the end of tRNA-Pro to the end of the file
STOPS = ("TAA", "TAG", "AGA", "AGG")  # of the vertebrate mitochondrial code (NCBI's table 2)
COMPLEMENT = str.maketrans("ACGT", "TGCA")


class Gene(NamedTuple):
    """Whole codons in the order of translation, without a stop codon, by the position of their lowest letter."""

    codons: NDArray[np.int64]
    step: int

    def spelled(self, genome: str, lowest: int) -> str:
        codon = genome[lowest : lowest + 3]
        return codon if self.step > 0 else codon.translate(COMPLEMENT)[::-1]


class Mapped:
    """Where each letter of the target is, and how sure that is."""

    def __init__(self, result: ts.AlignmentResult) -> None:
        pairs = result.is_residue
        self.result = result
        self.place = np.full(len(result.target), -1)
        self.confidence = np.zeros(len(result.target))  # 0 where a letter is aligned to nothing
        self.place[result.columns[0, pairs]] = result.columns[1, pairs]
        self.confidence[result.columns[0, pairs]] = result.confidence[pairs]

    def codon(self, lowest: int) -> int:
        """Where the codon is as a whole, -1 if nowhere."""
        places = self.place[lowest : lowest + 3]
        return int(places[0]) if places[0] >= 0 and (places == places[0] + np.arange(3)).all() else -1

    def probability(self, lowest: int, other: int) -> float:
        """The least probable of the three pairs of letters."""
        return min(float(self.result.posterior[lowest + k, other + k]) for k in range(3))


def gene(genome: str, name: str, first: int, last: int) -> Gene:
    """Positions from 1, inclusive; the tail adds A to an incomplete stop codon (T or TA), which is left out here."""
    count = (last - first + 1) // 3
    forward = name != "ND6"
    codons = first - 1 + 3 * np.arange(count) if forward else last - 3 - 3 * np.arange(count)
    found = Gene(codons, 1 if forward else -1)
    return found._replace(codons=codons[:-1]) if found.spelled(genome, int(codons[-1])) in STOPS else found


@pytest.fixture(scope="module")
def genomes(data: Path) -> dict[str, str]:
    return {name: next(ts.read(data / f"{name}_mt.fa")).sequence for name in ("human", "orangutan", "mouse")}


@pytest.fixture(scope="module")
def human(genomes: dict[str, str]) -> dict[str, Gene]:
    return {name: gene(genomes["human"], name, a - SHIFT, b - SHIFT) for name, (a, b) in HUMAN.items()}


@pytest.fixture(scope="module")
def mouse(genomes: dict[str, str]) -> dict[str, Gene]:
    return {name: gene(genomes["mouse"].upper(), name, a, b) for name, (a, b) in MOUSE.items()}


@pytest.fixture(scope="module")
def to_orangutan(genomes: dict[str, str]) -> Mapped:
    return Mapped(ts.align(genomes["human"], genomes["orangutan"]))


@pytest.fixture(scope="module")
def to_mouse(genomes: dict[str, str]) -> Mapped:
    return Mapped(ts.align(genomes["human"], genomes["mouse"]))


def test_the_coordinates_are_right(genomes: dict[str, str], human: dict[str, Gene], mouse: dict[str, Gene]) -> None:
    """Every gene begins with a start codon and is open to its end; so the table above is that of these sequences."""
    lengths = {}
    for name in HUMAN:
        for genome, found in ((genomes["human"], human[name]), (genomes["mouse"].upper(), mouse[name])):
            codons = [found.spelled(genome, int(k)) for k in found.codons]
            assert codons[0].startswith("AT") or codons[0] == "GTG"
            assert not set(codons) & set(STOPS)
        lengths[name] = len(human[name].codons), len(mouse[name].codons)
    assert lengths == {
        "ND1": (318, 318), "ND2": (347, 345), "COX1": (513, 514), "COX2": (227, 227), "ATP8": (68, 67),
        "ATP6": (226, 226), "COX3": (261, 261), "ND3": (115, 115), "ND4L": (98, 98), "ND4": (459, 459),
        "ND5": (603, 607), "ND6": (174, 172), "CYTB": (380, 381),
    }  # fmt: skip


def test_human_and_orangutan(genomes: dict[str, str], human: dict[str, Gene], to_orangutan: Mapped) -> None:
    """All 13 genes, first codon to last: every codon is aligned as a whole, in one frame without gaps or stops."""
    for name, found in human.items():
        places = np.array([to_orangutan.codon(int(k)) for k in found.codons])
        assert (places >= 0).all(), name
        assert (np.diff(places) == 3 * found.step).all(), name
        codons = [found.spelled(genomes["orangutan"], int(k)) for k in places]
        assert not set(codons) & set(STOPS), name
        # the orangutan's file has ACA where the human ND5 begins with ATA
        assert codons[0].startswith("AT") or (name, codons[0]) == ("ND5", "ACA")
        for end in (0, -1):
            assert to_orangutan.probability(int(found.codons[end]), int(places[end])) > 0.9, name
    assert 0.85 < to_orangutan.result.identity < 0.87
    assert to_orangutan.result.expected_accuracy > 0.97
    assert to_orangutan.result.log_odds > 15_000


def test_first_codons_of_human_and_mouse(human: dict[str, Gene], mouse: dict[str, Gene], to_mouse: Mapped) -> None:
    for name in human:
        codon, other = int(human[name].codons[0]), int(mouse[name].codons[0])
        if name == "ND1":
            continue
        assert to_mouse.codon(codon) == other, name
        assert to_mouse.probability(codon, other) > 0.8, name


def test_the_first_codon_of_nd1(human: dict[str, Gene], mouse: dict[str, Gene], to_mouse: Mapped) -> None:
    """The one that is not aligned: between tRNA-Leu and ND1 the human genome has two letters more, and no letter tells
    a gap before the gene from one some letters on (human AC|ATACCC, mouse |GTGTTC). The likeliest path has it before
    the gene, and says itself how sure that is; from the third codon on all is in place.
    """
    codon, other = human["ND1"].codons, mouse["ND1"].codons
    assert to_mouse.codon(int(codon[0])) == -1 or to_mouse.codon(int(codon[0])) == other[0]
    assert 0.05 < to_mouse.probability(int(codon[0]), int(other[0])) < 0.5
    unsure = to_mouse.result.columns[0]
    assert to_mouse.result.confidence[(unsure >= codon[0]) & (unsure < codon[2])].max() < 0.9
    assert (to_mouse.place[codon[2] : codon[2] + 60] == other[2] + np.arange(60)).all()


# The last codons of the human and of the mouse protein (counted from 0, the stop left out) that are aligned to each
# other. Where the two are the last ones of both: first codon and last codon.
LAST = {
    "ND1": (317, 317),
    "ATP6": (225, 225),
    "COX3": (260, 260),
    "ND3": (114, 114),
    "ND4L": (97, 97),
    "ND4": (458, 458),
    "CYTB": (379, 380),  # with a gap of one codon before it
    # Proteins of different lengths; there is nothing that the last codon of the longer one should be aligned to.
    "ND2": (345, 344),  # the mouse's last, to the last but one of the human's
    "COX1": (512, 512),  # the human's last; then its stop AGA to the mouse's last codon
    "ATP8": (66, 66),  # the mouse's last; then its stop to the human's last codon: ATP6, in another frame here, goes on
    "ND5": (602, 600),  # the human's last; the mouse's has six codons more
    "ND6": (171, 170),  # two codons before the human's end, one before the mouse's
}


@pytest.mark.parametrize("name", LAST)
def test_last_codons_of_human_and_mouse(
    name: str, human: dict[str, Gene], mouse: dict[str, Gene], to_mouse: Mapped
) -> None:
    codons, others = human[name].codons, mouse[name].codons
    codon, other = LAST[name]
    assert to_mouse.codon(int(codons[codon])) == others[other]
    after = [to_mouse.codon(int(k)) for k in codons[codon + 1 :]]
    assert not set(after) & set(others.tolist())


def test_the_end_of_cox2(human: dict[str, Gene], mouse: dict[str, Gene], to_mouse: Mapped) -> None:
    """The other one that is not aligned, although both proteins have 227 amino acids: the last four codons have no more
    in common than with what is next to them, human ATT TAC CCT ATA G against mouse TCA ATT TAA. The confidence says so.
    """
    codons, others = human["COX2"].codons, mouse["COX2"].codons
    in_place = [to_mouse.codon(int(k)) == j for k, j in zip(codons, others, strict=True)]
    assert all(in_place[:210])
    assert 215 <= np.flatnonzero(in_place).max() <= 226
    assert to_mouse.probability(int(codons[-1]), int(others[-1])) < 0.4
    unsure = to_mouse.result.columns[0]
    assert to_mouse.result.confidence[(unsure >= codons[-4]) & (unsure < codons[-1] + 3)].mean() < 0.8


def test_genes_are_in_frame(human: dict[str, Gene], mouse: dict[str, Gene], to_mouse: Mapped) -> None:
    """Codons are aligned to codons of the same gene, nine in ten, and nearly all in the conserved genes."""
    shares = {}
    for name, found in human.items():
        others = set(mouse[name].codons.tolist())
        shares[name] = float(np.mean([to_mouse.codon(int(k)) in others for k in found.codons]))
    assert min(shares.values()) > 0.8 and np.mean(list(shares.values())) > 0.9
    assert min(shares[name] for name in ("COX1", "COX2", "COX3", "ATP6", "CYTB")) > 0.95


def test_confidence_is_high_in_genes_and_low_in_the_control_region(human: dict[str, Gene], to_mouse: Mapped) -> None:
    """Most of the control region has changed beyond recognition, and the genes have not."""
    in_gene = np.zeros(to_mouse.place.size, dtype=bool)
    for found in human.values():
        in_gene[(found.codons[:, None] + np.arange(3)).ravel()] = True
    control = np.zeros_like(in_gene)
    control[CONTROL] = True
    aligned = to_mouse.place >= 0
    of_pairs = [to_mouse.confidence[part & aligned].mean() for part in (in_gene, control)]
    assert of_pairs[0] > 0.93 and of_pairs[1] < 0.87 and of_pairs[0] - of_pairs[1] > 0.08
    of_letters = [
        to_mouse.confidence[part].mean() for part in (in_gene, control)
    ]  # what is aligned to nothing counts 0
    assert of_letters[0] > 0.9 and of_letters[1] < 0.5


def test_target_and_query_may_be_swapped(genomes: dict[str, str], to_mouse: Mapped) -> None:
    result, swapped = to_mouse.result, ts.align(genomes["mouse"], genomes["human"])
    assert_allclose(swapped.log_likelihood, result.log_likelihood, rtol=1e-12)
    assert_allclose(swapped.log_odds, result.log_odds, rtol=1e-9)
    difference = (result.posterior - swapped.posterior.T).tocsr()
    # an entry that is at the threshold of 0.001 on one side may miss on the other
    assert_allclose(difference.data, 0.0, rtol=0, atol=0.00100001)
    assert np.abs(difference.data).sum() < 0.01
    assert_allclose(swapped.query_unaligned, result.target_unaligned, rtol=0, atol=1e-8)
    assert_allclose(swapped.expected_accuracy, result.expected_accuracy, rtol=0, atol=1e-3)
    pairs, mirrored = (set(map(tuple, r.columns[:, r.is_residue].T.tolist())) for r in (result, swapped))
    assert len({(i, j) for j, i in mirrored} ^ pairs) < 0.005 * len(pairs)  # the rest are equally good
