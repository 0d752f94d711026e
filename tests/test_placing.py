"""Reads: where they belong, and the qualities of their bases."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from Bio.Seq import Seq
from Bio.SeqRecord import SeqRecord
from numpy.testing import assert_allclose

import tiedseq as ts

QUALITIES = ts.DNA.with_qualities()


def letters(n: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), n))


# ---- placement -------------------------------------------------------------------------------------------------------


def test_reads_come_home() -> None:
    references = [ts.Record("a", letters(400, 1)), ts.Record("b", letters(300, 2))]
    inside = references[1].sequence[60:240]
    phred = np.arange(200, dtype=np.uint8) % 40
    turned = ts.DNA.text_reverse_complement(inside)
    reads = [
        ts.Record("forward", "TTTTTTTTTT" + references[0].sequence[100:300] + "GGGGGGGG", path="reads.fa", line=7),
        ts.Record("turned", "A" * 12 + turned + "C" * 8, quality=phred),
        ts.Record("stray", letters(150, 9)),
    ]
    found = ts.place(references, reads, threads=2)
    assert found.unmapped == ["stray"] and [result.strand for result in found.results] == ["+", "-"]
    (a, forward), (b, back) = found.pairs
    assert (a.name, b.name) == ("a", "b") and abs(len(forward) - 200) <= 4 and abs(len(back) - 180) <= 12
    assert forward.sequence[5:-5] in references[0].sequence and back.sequence[12:-12] in inside
    assert a.sequence in references[0].sequence and b.sequence in references[1].sequence
    assert back.quality is not None and len(back.quality) == len(back)
    start = reads[1].sequence[::-1].translate(str.maketrans("ACGT", "TGCA")).index(back.sequence)
    assert_allclose(back.quality, phred[::-1][start : start + len(back)], rtol=0)
    assert forward.quality is None and (forward.path, forward.line) == ("reads.fa", 7)
    assert ts.place(references, reads, min_log_odds=1e6).pairs == []


def test_m13_reads_have_more_deletions() -> None:
    """A dozen of the shorter reads are enough for it."""
    data = Path(__file__).parent.parent / "data"
    reads = sorted(ts.read(data / "m13_reads.fq"), key=len)[:8]
    found = ts.place(data / "m13_reference.fa", reads, threads=2)
    model = ts.PairHMM.affine(symmetric=False).fit(found.pairs, executor=2, tol=0.1)
    ratio = model.parameters["deletion_open"] / model.parameters["insertion_open"]
    assert 1.2 < ratio < 2.0


@pytest.mark.small
@pytest.mark.parametrize("wrong", ["x", True, float("nan")])
def test_a_threshold_is_a_number(wrong: Any) -> None:
    with pytest.raises(ts.ArgumentError, match=f"min_log_odds={wrong!r} must be a number of bits"):
        ts.place(["ACGT"], ["ACGT"], min_log_odds=wrong)


# ---- qualities -------------------------------------------------------------------------------------------------------


@pytest.mark.small
def test_no_threshold_is_not_a_number() -> None:
    reads = [letters(60, 5)]
    with pytest.raises(ts.ArgumentError, match="min_log_odds=nan"):
        ts.place(reads, reads, min_log_odds=math.nan)
    assert len(ts.place(reads, reads, min_log_odds=np.float32(5.0)).pairs) == 1


@pytest.mark.small
@pytest.mark.parametrize(
    ("quality", "match"),
    [
        ([10, 10], "2 qualities for 4 letters"),
        ([-3, 10, 10, 10], "Phred scores, numbers from 0 to 255"),
        ([math.nan, 10, 10, 10], "Phred scores, numbers from 0 to 255"),
    ],
)
def test_qualities_are_phred_scores_one_a_letter(quality: list[float], match: str) -> None:
    with pytest.raises(ts.InputError, match=match):
        ts.PairHMM.affine().with_qualities().log_likelihood("ACGT", ts.Record("r", "ACGT", quality=np.array(quality)))


@pytest.mark.small
@pytest.mark.parametrize("mode", ["global", "local"])
def test_a_base_is_a_mixture_of_letters(mode: str) -> None:
    """The likelihood is linear in what is seen at each place: the sum over all true letters."""
    model = ts.PairHMM.affine(values={"gap": [0.4, 0.3, 0.2, 0.1]}, background=[0.3, 0.2, 0.2, 0.3])
    query, quality = "GC", np.array([7, 3], np.uint8)
    total = 0.0
    for truth in itertools.product("ACGT", repeat=2):
        weight = 1.0
        for seen, real, q in zip(query, truth, quality.tolist(), strict=True):
            wrong = 10 ** (-q / 10)
            weight *= 1 - wrong if seen == real else wrong / 3
        total += weight * math.exp(model.log_likelihood("GAC", "".join(truth), mode=mode))
    reading = model.with_qualities()
    found = reading.log_likelihood("GAC", ts.Record("r", query, quality=quality), mode=mode)
    assert_allclose(found, math.log(total), rtol=1e-12)
    biopython = SeqRecord(Seq(query), letter_annotations={"phred_quality": quality.tolist()})
    assert_allclose(reading.log_likelihood("GAC", biopython, mode=mode), found, rtol=1e-14)
    assert reading.log_likelihood("GAC", query, mode=mode) == model.log_likelihood("GAC", query, mode=mode)


@pytest.mark.small
def test_quality_0_is_n() -> None:
    codes = QUALITIES.encode(ts.Record("r", "ACGTN", quality=np.array([0, 1, 2, 93, 40], np.uint8)))
    assert QUALITIES.decode(codes) == "NNGTN"
    assert codes[0] == codes[1] == codes[4] == QUALITIES.encode("N")[0]
    assert_allclose(QUALITIES.observation[codes[2]], [0.21031914, 0.21031914, 0.36904266, 0.21031914], rtol=1e-6)
    assert_allclose(QUALITIES.observation[codes[3]].max(), 1 - 1e-5, rtol=1e-12)


@pytest.mark.small
def test_the_other_strand_has_the_same_qualities() -> None:
    record = ts.Record("r", "ACGTTN", quality=np.array([5, 10, 20, 30, 40, 40], np.uint8))
    turned = ts.Record("r", "NAACGT", quality=np.array([40, 40, 30, 20, 10, 5], np.uint8))
    assert_allclose(QUALITIES.reverse_complement(QUALITIES.encode(record)), QUALITIES.encode(turned), rtol=0)
    assert QUALITIES.complement_symbols is not None
    again = QUALITIES.complement_symbols[QUALITIES.complement_symbols]
    assert_allclose(again, np.arange(QUALITIES.n_symbols), rtol=0)


@pytest.mark.small
def test_a_model_with_qualities_is_saved(tmp_path: Path) -> None:
    model = ts.PairHMM.affine().with_qualities()
    model.save(tmp_path / "m.json")
    again = ts.load(tmp_path / "m.json")
    assert again.alphabet == QUALITIES != ts.DNA and again.alphabet.without_qualities() is ts.DNA
    assert again.parameters["open"] == model.parameters["open"] and QUALITIES.with_qualities() is QUALITIES
    with pytest.raises(ts.ArgumentError, match="no symbol for a missing letter"):
        ts.Alphabet("ACGT").with_qualities()
    with pytest.raises(ts.ArgumentError, match="too many letters"):
        ts.PROTEIN.with_qualities()


def test_training_with_qualities_climbs() -> None:
    generator = np.random.default_rng(0)
    pairs = []
    for seed in range(6):
        target = letters(120, seed)
        quality = generator.integers(3, 30, 120).astype(np.uint8)
        wrong = generator.random(120) < 10.0 ** (-0.1 * quality)
        query = "".join("ACGT"[generator.integers(4)] if w else a for a, w in zip(target, wrong, strict=True))
        kept = [*range(50), *range(53, 120)]
        pairs.append((target, ts.Record(f"r{seed}", "".join(query[k] for k in kept), quality=quality[kept])))
    model = ts.PairHMM.affine().with_qualities().fit(pairs, max_iter=4, tol=0)
    assert (np.diff(model.history_) > 0.0).all()
    # what the qualities explain, the table need not
    tables = [each.fit(pairs, max_iter=30, tol=0).parameters["pair"] for each in (model, ts.PairHMM.affine())]
    assert np.trace(np.asarray(tables[0])) > 0.95 > np.trace(np.asarray(tables[1])) > 0.8
