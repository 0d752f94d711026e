"""Pairs whose alignment is known: simulated ones, and coding sequences aligned through their proteins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .inputs import DATA

Partners = NDArray[np.int64]
"""int64 (len(target),): the letter of the query that each letter of the target is aligned to, -1 if to nothing."""

DIVERGENCES = (0.1, 0.3, 0.6, 1.0)
"""Substitutions a site between the two sequences."""

LENGTH = 2000  # letters at the root
# What msasim takes when it is told nothing (an insertion and a deletion in twenty substitutions each, 150 letters at
# most) and the exponent of its manual. Letters as in mammals, and transitions twice as frequent as they are by chance.
# So ProbCons does about as well as where the least gains over it were set: .94 at 0.3, .7 at 0.6, .16 at 1.0.
INSERTION_RATE = DELETION_RATE = 0.05
ZIPF_EXPONENT, ZIPF_LONGEST = 1.7, 150
HKY = (0.3, 0.2, 0.2, 0.3, 1.0)  # A, C, G, T; transitions a transversion


@dataclass(frozen=True)
class TruePair:
    """Two sequences and their true alignment."""

    target: str
    query: str
    partners: Partners


def partners_of_rows(target: str, query: str) -> Partners:
    """The partners in two rows of an alignment, whose gaps are "-"."""
    x, y = (np.frombuffer(row.encode("ascii"), np.uint8) != ord("-") for row in (target, query))
    position = np.where(y, np.cumsum(y) - 1, -1)
    return np.asarray(position[x], np.int64)


def partners_of_columns(columns: Any, length: int) -> Partners:
    """The partners in columns (2, n) of positions, -1 for a gap; letters of the target outside of them have none."""
    partners = np.full(length, -1, np.int64)
    x, y = np.asarray(columns)
    partners[x[x >= 0]] = y[x >= 0]
    return partners


def partners_of_blocks(blocks: Iterable[tuple[int, int, int]], length: int) -> Partners:
    """The partners in blocks (start on the target, start on the query, length) without gaps; the first ones count."""
    partners, taken = np.full(length, -1, np.int64), set[int]()
    for x, y, n in blocks:
        for k in range(n):
            if partners[x + k] < 0 and y + k not in taken:
                partners[x + k] = y + k
                taken.add(y + k)
    return partners


def simulated(divergence: float, n: int) -> list[TruePair]:
    """Pairs drawn by msasim: HKY, insertions and deletions of Zipf's lengths along both branches, one seed a pair."""
    from msasim import ALPHABET_CODES, MODEL_CODES, ReplacementModelSpec, SimProtocol, Simulator
    from msasim.distributions import ZipfDistribution

    lengths = ZipfDistribution(ZIPF_EXPONENT, ZIPF_LONGEST)
    letters = ReplacementModelSpec(MODEL_CODES.HKY, ALPHABET_CODES.DNA, model_parameters=list(HKY))
    pairs = []
    for seed in range(1, n + 1):
        protocol = SimProtocol(
            tree=f"(A:{divergence / 2},B:{divergence / 2});",
            root_seq_size=LENGTH,
            insertion_rate=INSERTION_RATE,
            deletion_rate=DELETION_RATE,
            insertion_dist=lengths,
            deletion_dist=lengths,
            seed=seed,
        )
        alignment = Simulator(protocol, letters)()
        x, y = (alignment.get_msa_row(k).split("\n")[1] for k in (0, 1))
        pairs.append(TruePair(x.replace("-", ""), y.replace("-", ""), partners_of_rows(x, y)))
    return pairs


def globins() -> list[TruePair]:
    """The 15 pairs of beta-globin coding sequences, aligned through their proteins.

    Proteins are aligned with BLOSUM62, and each letter of a codon is aligned to its counterpart. The pseudogene HBBP1
    has lost its frame: Biopython's codon aligner, which knows frameshifts, aligns the other's protein with its letters.
    """
    from Bio import SeqIO

    with open(DATA / "hbb_cds.fa") as file:
        records = list(SeqIO.parse(file, "fasta"))
    in_frame, lost = [r for r in records if len(r) % 3 == 0], [r for r in records if len(r) % 3]
    return [
        *(_through_proteins(x, y) for x, y in combinations(in_frame, 2)),
        *(_through_one_protein(x, y) for x in in_frame for y in lost),
    ]


def _through_proteins(target: Any, query: Any) -> TruePair:
    from Bio.Align import PairwiseAligner, substitution_matrices

    aligner = PairwiseAligner(
        substitution_matrix=substitution_matrices.load("BLOSUM62"), open_gap_score=-11, extend_gap_score=-1
    )
    x, y = aligner.align(target.seq.translate(), query.seq.translate())[0].indices
    both = (x >= 0) & (y >= 0)
    blocks = [(3 * int(i), 3 * int(j), 3) for i, j in zip(x[both], y[both], strict=True)]
    return TruePair(str(target.seq), str(query.seq), partners_of_blocks(blocks, len(target)))


def _through_one_protein(target: Any, query: Any) -> TruePair:
    """The target's protein against the query's letters; what follows the last codon goes on in its frame."""
    from Bio.Align import CodonAligner
    from Bio.SeqRecord import SeqRecord

    protein = SeqRecord(target.seq.translate(to_stop=True), id=target.id)
    amino, letters = CodonAligner().align(protein, query)[0].coordinates
    blocks = [(3 * int(i), int(j), 3 * int(n)) for i, j, n in zip(amino, letters, np.diff(amino), strict=False) if n]
    end = 3 * int(amino[-1]), int(letters[-1])
    blocks.append((*end, min(len(target) - end[0], len(query) - end[1])))
    return TruePair(str(target.seq), str(query.seq), partners_of_blocks(blocks, len(target)))
