"""`align_all`: what is aligned to what, in which order, how lazily, and where errors show."""

from __future__ import annotations

import gzip
import io
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from results_by_hand import reverse_complement

import tiedseq as ts
from pairhmm_cases import random_text, related_text
from tiedseq.aligning import _in_order
from tiedseq.records import Record

RNG = np.random.default_rng(11)
TARGETS = [Record(f"t{k}", random_text(RNG, 120)) for k in range(3)]


def some_queries(n: int) -> list[Record]:
    """Reads of the targets, every second one from the other strand; a few are empty or from elsewhere."""
    queries = []
    for k in range(n):
        text = related_text(RNG, TARGETS[k % 3].sequence[10 + k % 7 : 90], identity=0.9)
        text = random_text(RNG, 30) if k % 11 == 10 else "" if k % 11 == 5 else text
        queries.append(Record(f"q{k}", reverse_complement(text) if k % 2 else text))
    return queries


QUERIES = some_queries(24)
MODES = ("global", "local")


def same(result: ts.AlignmentResult, other: ts.AlignmentResult) -> None:
    """Equal to the last bit."""
    assert (result.target_name, result.query_name, result.strand) == (other.target_name, other.query_name, other.strand)
    assert (result.log_likelihood, result.log_odds) == (other.log_likelihood, other.log_odds)
    assert (result.candidates, result.candidate, result.is_primary) == (
        other.candidates,
        other.candidate,
        other.is_primary,
    )
    for array in ("columns", "confidence", "target_unaligned", "query_unaligned"):
        assert_array_equal(getattr(result, array), getattr(other, array))
    for part in ("data", "indices", "indptr"):
        assert_array_equal(getattr(result.posterior, part), getattr(other.posterior, part))


class Counting:
    """Records one by one, and how many have been taken."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records, self.taken = iter(records), 0

    def __iter__(self) -> Iterator[Record]:
        return self

    def __next__(self) -> Record:
        record = next(self.records)
        self.taken += 1
        return record


# --- what is aligned to what ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_every_query_with_its_likeliest_target_and_strand(mode: str) -> None:
    results = list(ts.align_all(TARGETS, QUERIES, mode=mode, strand="both"))
    assert [result.query_name for result in results] == [query.name for query in QUERIES]
    for k, (result, query) in enumerate(zip(results, QUERIES, strict=True)):
        each = [ts.align(target, query, mode=mode, strand="both") for target in TARGETS]
        expected = [odds for result in each for odds in result.candidates or ()]
        assert result.candidates is not None and len(expected) == 6
        np.testing.assert_allclose(result.candidates, expected, rtol=1e-12, atol=1e-12)
        best = max(each, key=lambda other: other.log_odds)
        assert result.is_primary and result.log_odds == pytest.approx(best.log_odds, rel=1e-12, abs=1e-12)
        assert result.candidate == int(np.argmax(result.candidates))
        assert_array_equal(result.columns, best.columns)
        if k % 11 not in (5, 10):
            assert result.target_name == f"t{k % 3}" and result.strand == "+-"[k % 2]
            assert result.mapping_quality >= 20


def test_all_targets_and_strands() -> None:
    results = list(ts.align_all(TARGETS, QUERIES, mode="local", strand="both", best=False))
    assert len(results) == 6 * len(QUERIES)
    likeliest = list(ts.align_all(TARGETS, QUERIES, mode="local", strand="both"))
    for k, best in enumerate(likeliest):
        group = results[6 * k : 6 * k + 6]
        assert [(r.target_name, r.strand) for r in group] == [(t.name, s) for t in TARGETS for s in "+-"]
        assert [r.candidate for r in group] == list(range(6))
        assert [r.is_primary for r in group] == [number == best.candidate for number in range(6)]
        same(next(r for r in group if r.is_primary), best)
        assert all(r.candidates == best.candidates for r in group)
        assert all(
            r.log_odds * math.log(2) == pytest.approx(odds, rel=1e-9, abs=1e-9)
            for r, odds in zip(group, best.candidates or (), strict=True)
        )


def test_pairs_in_order() -> None:
    queries = QUERIES[:3]
    results = list(ts.align_all(TARGETS, queries, pairs=True))
    assert [(r.target_name, r.query_name) for r in results] == [("t0", "q0"), ("t1", "q1"), ("t2", "q2")]
    for result, target, query in zip(results, TARGETS, queries, strict=True):
        same(result, ts.align(target, query))
        assert result.candidates is None and result.mapping_quality == 255
    both = list(ts.align_all(TARGETS, queries, pairs=True, strand="both", best=False))
    assert [(r.query_name, r.strand) for r in both] == [(q.name, s) for q in queries for s in "+-"]


@pytest.mark.parametrize(("pairs", "n_results"), [(np.True_, 3), (np.False_, 3), (np.str_("name"), 1)])
def test_pairs_as_numpy_says_it(pairs: Any, n_results: int) -> None:
    queries = [*QUERIES[:2], Record("t1", TARGETS[1].sequence)][-n_results:]
    results = list(ts.align_all(TARGETS, queries, pairs=pairs))
    for result, other in zip(results, ts.align_all(TARGETS, queries, pairs=pairs.item()), strict=True):
        same(result, other)
    assert [result.candidates is None for result in results] == [bool(pairs)] * n_results


def test_pairs_by_name() -> None:
    queries = [Record(name, QUERIES[0].sequence) for name in ("t2", "t0", "t2")]
    results = list(ts.align_all(TARGETS, queries, pairs="name"))  # a target may serve several queries, or none
    assert [(r.target_name, r.query_name) for r in results] == [("t2", "t2"), ("t0", "t0"), ("t2", "t2")]


@pytest.mark.parametrize("threads", [1, 2])
def test_records_that_do_not_pair_up(threads: int) -> None:
    for targets, queries, complaint in (
        (TARGETS, QUERIES[:2], "record 't2': it has no partner: there are 3 targets and 2 queries"),
        (TARGETS[:1], QUERIES, "record 'q1': it has no partner: there are 1 targets and 24 queries"),
        (TARGETS, [], "record 't0': it has no partner: there are 3 targets and 0 queries"),
        (
            [Record("a", "A", path="t.fa", line=1)],
            [Record(str(k), "A", path="q.fa", line=2 * k + 1) for k in range(4)],
            r"q\.fa, line 3, record '1': it has no partner: there are 1 targets in t\.fa and 4 queries in q\.fa; give",
        ),
    ):
        seen: list[ts.AlignmentResult] = []
        with pytest.raises(ts.InputError, match=complaint):
            seen.extend(ts.align_all(targets, queries, pairs=True, threads=threads))
        assert [result.query for result in seen] == queries[: min(len(targets), len(queries))]
    queries = [Record("t1", "ACGT"), Record("nobody", "ACGT", path="q.fa", line=7)]
    results = ts.align_all(TARGETS, queries, pairs="name", threads=threads)
    assert next(results).target_name == "t1"
    with pytest.raises(ts.InputError, match=r"q\.fa, line 7, record 'nobody': no target has this name"):
        next(results)
    twice = [*TARGETS, Record("t1", "ACGT", path="t.fa", line=3)]
    with pytest.raises(ts.InputError, match=r"t\.fa, line 3, record 't1': another target"):
        list(ts.align_all(twice, queries, pairs="name", threads=threads))


def test_nothing_to_align() -> None:
    assert list(ts.align_all(TARGETS, [])) == []
    assert list(ts.align_all([], [], pairs=True)) == []
    with pytest.raises(ts.ArgumentError, match="targets"):
        list(ts.align_all([], QUERIES))


def test_files(tmp_path: Path) -> None:
    (tmp_path / "t.fa").write_text("".join(f">{t.name}\n{t.sequence}\n" for t in TARGETS))
    (tmp_path / "q.fq.gz").write_bytes(
        gzip.compress("".join(f"@{q.name}\n{q.sequence}\n+\n{'I' * len(q)}\n" for q in QUERIES).encode())
    )
    expected = list(ts.align_all(TARGETS, QUERIES, mode="local", strand="both"))
    for kind in (str, Path):
        found = ts.align_all(kind(tmp_path / "t.fa"), kind(tmp_path / "q.fq.gz"), mode="local", strand="both")
        for result, other in zip(found, expected, strict=True):
            same(result, other)
            assert_array_equal(result.query.quality, np.full(len(result.query), 40))
    with pytest.raises(ts.InputError, match="no such file"):
        ts.align_all(tmp_path / "t.fa", tmp_path / "none.fa")


# --- what the sequences are -------------------------------------------------------------------------------------------


def seq_record(record: Record, **more: Any) -> Any:
    from Bio.Seq import Seq
    from Bio.SeqRecord import SeqRecord

    return SeqRecord(Seq(record.sequence), id=record.name, **more)


def test_every_kind_of_item() -> None:
    """Records, SeqRecords, plain text, bytes and codes give the same; what has no name is numbered."""
    expected = list(ts.align_all(TARGETS, QUERIES[:3]))
    texts = [query.sequence for query in QUERIES[:3]]
    kinds: list[list[Any]] = [
        [seq_record(query) for query in QUERIES[:3]],
        texts,
        [text.encode() for text in texts],
        [ts.DNA.encode(text) for text in texts],
        [texts[0], seq_record(QUERIES[1]), QUERIES[2]],
    ]
    for items in kinds:
        for threads in (1, 2):
            results = list(ts.align_all([seq_record(target) for target in TARGETS], iter(items), threads=threads))
            named = [item.name if isinstance(item, Record) else getattr(item, "id", None) for item in items]
            names = [name or f"query{number}" for number, name in enumerate(named, 1)]
            assert [result.query_name for result in results] == names
            for result, other in zip(results, expected, strict=True):
                assert result.target_name == other.target_name
                assert result.query.sequence == other.query.sequence
                assert_array_equal(result.columns, other.columns)
    assert [r.target_name for r in ts.align_all([t.sequence for t in TARGETS], texts)] == [
        r.target_name.replace("t", "target").translate(str.maketrans("012", "123")) for r in expected
    ]


def test_seq_records_pair_by_their_id() -> None:
    """Not by their name, which Biopython fills in: every one would be called the same."""
    targets = [seq_record(target) for target in TARGETS]
    results = list(ts.align_all(targets, [seq_record(TARGETS[2]), seq_record(TARGETS[0])], pairs="name"))
    assert [(r.target_name, r.query_name) for r in results] == [("t2", "t2"), ("t0", "t0")]
    with pytest.raises(ts.InputError, match="record 'other': no target has this name"):
        list(ts.align_all(targets, [seq_record(Record("other", "ACGT"))], pairs="name"))
    with pytest.raises(ts.InputError, match="record 't0': another target has this name"):
        list(ts.align_all([*targets, targets[0]], targets, pairs="name"))
    named = seq_record(TARGETS[1], name="t2")
    assert [r.query_name for r in ts.align_all(targets, [named], pairs="name")] == ["t1"]
    for nameless in ("ACGT", seq_record(Record("<unknown id>", "ACGT")), Record("", "ACGT")):
        with pytest.raises(ts.ArgumentError, match=r"queries\[1\] has no name, and pairs go by name"):
            list(ts.align_all(targets, [targets[0], nameless], pairs="name"))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("pairs", [False, True])
def test_items_that_are_no_sequence(threads: int, pairs: bool) -> None:
    for wrong, complaint in (
        (7, "a value of type int cannot"),
        (None, "a value of type NoneType cannot"),
        (["ACGT"], "a value of type list cannot"),
    ):
        results = ts.align_all(["ACGT"] * 3, ["ACGT", "ACGT", wrong], pairs=pairs, threads=threads)
        assert [next(results).query_name, next(results).query_name] == ["query1", "query2"]
        with pytest.raises(ts.ArgumentError, match=rf"^queries\[2\]: {complaint} be read as a sequence"):
            next(results)
        with pytest.raises(ts.ArgumentError, match=rf"^targets\[1\]: {complaint} be read as a sequence"):
            list(ts.align_all(["ACGT", wrong], ["ACGT"] * 2, pairs=pairs, threads=threads))


def test_undefined_content_is_named() -> None:
    from Bio.Seq import Seq

    with pytest.raises(ts.InputError, match=r"^queries\[1\]: .*its content is undefined"):
        list(ts.align_all(["ACGT"], ["ACGT", Seq(None, 12)]))


@pytest.mark.parametrize("argument", ["targets", "queries"])
def test_a_source_that_is_none(argument: str) -> None:
    """Neither a number nor a single sequence, which would be taken apart into its letters."""
    wrong: list[Any] = [7, None, b"ACGT", bytearray(b"ACGT"), TARGETS[0], seq_record(TARGETS[0]), {"a": "ACGT"}]
    for source in [*wrong, seq_record(TARGETS[0]).seq]:
        sources: dict[str, Any] = {"targets": TARGETS, "queries": TARGETS, argument: source}
        with pytest.raises(ts.ArgumentError, match=f"{argument} must be a path, an open file or an iterable"):
            ts.align_all(**sources)


def test_a_wrong_letter_among_items_is_named() -> None:
    for item, name in (("AC!T", "query2"), (b"AC\xffT", "query2"), (seq_record(Record("r", "AC!T")), "r")):
        with pytest.raises(ts.InputError, match=f"record '{name}': letter .* at position 3"):
            list(ts.align_all(["ACGT"], ["ACGT", item]))


def test_open_files(tmp_path: Path) -> None:
    (tmp_path / "t.fa").write_text("".join(f">{t.name}\n{t.sequence}\n" for t in TARGETS))
    expected = list(ts.align_all(TARGETS, TARGETS))
    text = io.StringIO((tmp_path / "t.fa").read_text())
    with (
        open(tmp_path / "t.fa", "rb") as targets,
        gzip.open(io.BytesIO(gzip.compress(text.read().encode()))) as queries,
    ):
        for result, other in zip(ts.align_all(targets, queries), expected, strict=True):
            same(result, other)


# --- threads and laziness ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("best", [True, False])
@pytest.mark.parametrize("decode", ["mea", "viterbi"])
def test_results_do_not_depend_on_threads(best: bool, decode: str) -> None:
    options: dict[str, Any] = {"mode": "local", "strand": "both", "best": best, "decode": decode}
    expected = list(ts.align_all(TARGETS, QUERIES, **options))
    for threads in (2, np.int64(4)):
        found = ts.align_all(TARGETS, iter(QUERIES), threads=threads, **options)
        for result, other in zip(found, expected, strict=True):
            same(result, other)


@pytest.mark.parametrize(("threads", "ahead"), [(1, 1), (2, 8), (4, 16)])
@pytest.mark.parametrize("pairs", [False, True])
def test_queries_are_taken_as_they_are_needed(threads: int, ahead: int, pairs: bool) -> None:
    """A window ahead of the results at most: memory does not grow with the file."""
    queries = Counting(Record(f"q{k}", "ACGTTGCA") for k in range(100))
    targets = Counting(Record(f"t{k}", "ACGTTGCA") for k in range(100))
    results = ts.align_all(targets if pairs else TARGETS, queries, pairs=pairs, threads=threads)
    assert queries.taken == 0
    for n in range(1, 30):
        assert next(results).query_name == f"q{n - 1}"
        assert queries.taken <= n - 1 + ahead
        assert targets.taken in ((queries.taken, queries.taken + 1) if pairs else (0,))
    assert sum(1 for _ in results) == 71


@pytest.mark.parametrize("threads", [1, 3])
def test_leaving_early_leaves_no_threads(threads: int) -> None:
    before = set(threading.enumerate())
    for result in ts.align_all(TARGETS, (query for query in QUERIES * 20), threads=threads):
        assert result.query_name == "q0"
        break
    del result
    deadline = time.monotonic() + 10
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("threads", [1, 2])
def test_leaving_early_waits_for_nothing(threads: int) -> None:
    """An alignment of long sequences takes seconds, and nobody wants it any more."""
    go_on, ended = threading.Event(), threading.Event()

    def work(number: int) -> int:
        if number > 0:
            go_on.wait(60)
            ended.set()
        return number

    results: Any = _in_order(work, ((number,) for number in range(100)), threads)
    assert next(results) == 0
    with pytest.raises(KeyboardInterrupt):  # as Ctrl-C while the caller waits
        results.throw(KeyboardInterrupt)
    assert not ended.is_set()
    go_on.set()


def test_leaving_early_cancels_what_waits() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        time.sleep(0.05)
        return number

    results: Any = _in_order(work, ((number,) for number in range(100)), 2)
    assert next(results) == 0
    results.close()
    assert len(begun) < 8


# --- errors -----------------------------------------------------------------------------------------------------------


def raising(records: list[Record], error: BaseException) -> Iterator[Record]:
    yield from records
    raise error


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("before", [0, 1, 5, 20])
def test_errors_come_after_the_results_before_them(threads: int, before: int) -> None:
    """Whether a file breaks off, or a record holds a wrong letter, which shows when it is its turn."""
    wrong = Record("bad", "AC!T", path="q.fq", line=4 * before + 1)
    broken = raising(QUERIES[:before], ts.InputError("the gzip file is truncated", "q.fq"))
    for queries in (broken, iter([*QUERIES[:before], wrong, *QUERIES[before:]])):
        results = ts.align_all(TARGETS, queries, threads=threads)
        names: list[str] = []
        with pytest.raises(ts.InputError, match=r"^q\.fq"):
            names.extend(result.query_name for result in results)
        assert names == [query.name for query in QUERIES[:before]]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_wrong_letter_in_a_target(threads: int) -> None:
    wrong = Record("bad", "ACGTX", path="t.fa", line=9)
    for pairs in (False, True, "name"):
        with pytest.raises(ts.InputError, match=r"t\.fa, line 10, column 5, record 'bad'"):
            list(ts.align_all([wrong], [Record("bad", "ACGT")], pairs=pairs, threads=threads))


@pytest.mark.parametrize("best", [True, False])
def test_a_query_that_the_model_cannot_explain(best: bool) -> None:
    """It is named; a target that cannot explain it is no candidate."""
    model = ts.PairHMM(ts.DNA, {"M": "xy"}, {"M": {"M": 1.0}}, {"M": np.full((4, 4), 1 / 16)}, background=[0.25] * 4)
    targets = [Record("t1", "ACGT"), Record("t2", "ACGTA")]
    results = ts.align_all(
        targets, [Record("q1", "ACGTA"), Record("q2", "A", path="q.fa", line=3)], model=model, best=best
    )
    found = next(results)
    assert (found.target_name, found.is_primary, found.mapping_quality) == ("t2", True, 60)
    with pytest.raises(ts.InputError, match=r"q\.fa, line 3, record 'q2': .*probability 0"):
        next(results)
    for items in (["ACGT", "A"], [seq_record(Record("query1", "ACGT")), seq_record(Record("query2", "A"))]):
        with pytest.raises(ts.InputError, match=r"record 'query2': .*probability 0"):
            list(ts.align_all(["ACGT"], items, model=model, best=best))


WRONG_OPTIONS: list[tuple[str, Any]] = [
    *[("threads", value) for value in (0, 1.5, np.int64(0), np.float64(2.0), "2", None, True)],
    *[("pairs", value) for value in ("order", None, 1, 0, np.int64(1), [True], np.array([True, False]))],
]


@pytest.mark.parametrize(("option", "value"), WRONG_OPTIONS)
def test_wrong_options(option: str, value: Any) -> None:
    with pytest.raises(ts.ArgumentError, match=f"{option} must be .*not"):
        ts.align_all(TARGETS, QUERIES, **{option: value})


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_arrives_while_an_alignment_goes_on(threads: int) -> None:
    """Compiled code is no place for it to arrive, so the main thread is to wait only."""
    begun, go_on = threading.Event(), threading.Event()
    workers: list[threading.Thread] = []

    def work(number: int) -> int:
        workers.append(threading.current_thread())
        begun.set()
        go_on.wait(60)
        return number

    def interrupt() -> None:
        begun.wait(60)
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        next(_in_order(work, [(0,)], threads))
    assert not go_on.is_set() and workers[0] is not threading.main_thread()
    go_on.set()


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_ends_it_cleanly(threads: int) -> None:
    code = f"""
import itertools, sys
sys.path[:0] = {sys.path!r}
import tiedseq as ts
from tiedseq.records import Record
queries = (Record(str(k), "ACGTTGCATGCA" * 20) for k in itertools.count())
try:
    for number, result in enumerate(ts.align_all([Record("t", "ACGTTGCATGCA" * 20)], queries, threads={threads})):
        if number == 10:
            print("going", flush=True)
except KeyboardInterrupt:
    import threading, time
    deadline = time.monotonic() + 10
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    print(result.query_name, threading.active_count())
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"going\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        last, n_threads = process.stdout.read().split()
        assert process.stderr.read() == b"" and process.wait(60) == 0
    assert int(last) >= 10 and n_threads == b"1"


@pytest.mark.parametrize("best", [True, False])
def test_what_has_no_room_is_refused_before_a_candidate_is_chosen(best: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Likelihoods of both strands need little memory, and may take hours."""
    from tiedseq import memory
    from tiedseq.pairs import recursion

    def no_work(*_: object) -> None:
        raise AssertionError("work began")

    monkeypatch.setattr(memory, "available_memory", lambda: 1)
    monkeypatch.setattr(recursion.Recursion, "log_likelihoods", no_work)
    long = "ACGT" * 20_000
    with pytest.raises(ts.ResourceError, match=r"need [0-9.]+ GB of memory"):
        list(ts.align_all([long], [long], strand="both", best=best))
