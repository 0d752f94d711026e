"""BED, GFF3, bedGraph and WIG are read back by strict parsers, written here from the formats' specifications."""

from __future__ import annotations

import gzip
import io
import itertools
import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
import pytest

from tiedseq.errors import ArgumentError, InputError, ResourceError
from tiedseq.formats.intervals import INTERVAL_FORMATS, Interval, Region, segments, write_intervals
from tiedseq.formats.tracks import TRACK_FORMATS, Track, write_tracks

needs_full_device = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")

ODD_NAMES = ["Z69719.1", "gi|4557284|ref", "a;b=c&d,e%41", "chr:1-2", "x" * 255, ">x", "100%"]
ODD_STATES = ["CpG island", "a;b=c&d,e%20f", "+", "x" * 255]


class Feature(NamedTuple):
    """A line of BED or GFF3, coordinates 0-based and half-open, escapes undone."""

    name: str
    start: int
    end: int
    state: str
    score: float
    strand: str


def parse_bed(text: str) -> list[Feature]:
    """BED6 by hts-specs BEDv1, with one tab between fields; chrom may hold more than word characters, but no blank."""
    features = []
    for line in lines_of(text):
        chrom, start, end, name, score, strand = line.split("\t")
        assert re.fullmatch("[!-~]{1,255}", chrom) and chrom[0] != "#" and chrom not in ("track", "browser")
        assert re.fullmatch("[ -~]{1,255}", name)
        assert re.fullmatch("[0-9]+", start) and re.fullmatch("[0-9]+", end) and int(start) < int(end)
        assert re.fullmatch("[0-9]+", score) and int(score) <= 1000
        assert re.fullmatch("[-+.]", strand)
        features.append(Feature(chrom, int(start), int(end), name, int(score) / 1000, strand))
    return features


def parse_gff3(text: str) -> tuple[dict[str, int], list[tuple[str, Feature]]]:
    """Lengths by name, and (type, feature), by the Sequence Ontology's GFF3 1.26."""
    version, *lines = lines_of(text)
    assert version == "##gff-version 3"
    lengths: dict[str, int] = {}
    features, ids = [], set()
    for line in lines:
        if line.startswith("#"):
            directive, seqid, start, end = line.split(" ")
            assert directive == "##sequence-region" and start == "1" and int(end) >= 1
            assert unescaped(seqid, "seqid") not in lengths  # one directive a seqid
            lengths[unescaped(seqid, "seqid")] = int(end)
            continue
        seqid, source, type, start, end, score, strand, phase, attributes = line.split("\t")
        name = unescaped(seqid, "seqid")
        assert source == "tiedseq" and phase == "." and re.fullmatch("[-+.]", strand)
        assert 1 <= int(start) <= int(end) <= lengths[name]
        assert 0.0 <= float(score) <= 1.0
        pairs = [pair.split("=") for pair in attributes.split(";")]
        assert [tag for tag, _ in pairs] == ["ID", "Name"]
        (_, identifier), (_, state) = pairs
        assert unescaped(identifier, "attribute") not in ids
        ids.add(unescaped(identifier, "attribute"))
        features.append(
            (type, Feature(name, int(start) - 1, int(end), unescaped(state, "attribute"), float(score), strand))
        )
    return lengths, features


def unescaped(value: str, field: str) -> str:
    plain = re.sub("%[0-9A-F]{2}", "", value)
    if field == "seqid":
        assert re.fullmatch(r"[a-zA-Z0-9.:^*$@!+_?\-|]*", plain)
    else:
        assert not re.search("[\0-\x1f\x7f%;=&,]", plain)
    return unquote(value, errors="strict")


def parse_bedgraph(text: str) -> tuple[dict[str, str], dict[str, list[tuple[int, int, float]]]]:
    """The track line's options, and for every chrom its runs, which must be in order and without overlap."""
    track, *lines = lines_of(text)
    runs: dict[str, list[tuple[int, int, float]]] = {}
    for line in lines:
        chrom, start, end, value = line.split("\t")
        assert int(start) < int(end)
        if chrom not in runs:
            runs[chrom] = []
        else:
            assert chrom == next(reversed(runs))  # one block a chrom
            assert runs[chrom][-1][1] <= int(start)
        runs[chrom].append((int(start), int(end), float(value)))
    return track_options(track), runs


def parse_wig(text: str) -> tuple[dict[str, str], dict[str, list[float]]]:
    """The track line's options, and for every chrom its values from the first letter on."""
    track, *lines = lines_of(text)
    values: dict[str, list[float]] = {}
    for line in lines:
        if line.startswith("fixedStep"):
            match = re.fullmatch("fixedStep chrom=([!-~]+) start=1 step=1", line)
            assert match and match[1] not in values
            values[match[1]] = []
        else:
            assert re.fullmatch(r"[0-9]+(\.[0-9]+)?(e-[0-9]+)?", line)
            next(reversed(values.values())).append(float(line))
    return track_options(track), values


def track_options(line: str) -> dict[str, str]:
    assert re.fullmatch('track( [a-z]+=([^ "]+|"[^"]*"))+', line)
    return {key: value.strip('"') for key, value in re.findall(' ([a-z]+)=([^ "]+|"[^"]*")', line)}


def lines_of(text: str) -> list[str]:
    assert text == "" or text.endswith("\n")
    return text.split("\n")[:-1]


def written(items: Iterable[Region | Interval], format: str, **more: Any) -> str:
    handle = io.StringIO()
    write_intervals(items, handle, format, **more)
    return handle.getvalue()


def tracked(tracks: Iterable[Track], format: str, **more: Any) -> str:
    handle = io.StringIO()
    write_tracks(tracks, handle, format, **more)
    return handle.getvalue()


def some_items() -> list[Region | Interval]:
    """Sequences whose first and last letters are in intervals, intervals of one letter, nothing found, no letters."""
    return [
        Region("first", 10),
        Interval("first", 0, 1, "island", -1e-9),
        Interval("first", 9, 10, "island", 1.0, "-"),
        Region("whole", 7),
        Interval("whole", 0, 7, "sea", 0.123456, "+"),
        Region("nothing", 1),
        Region("empty", 0),
        Region("single", 1),
        Interval("single", 0, 1, "sea", 1.0 + 1e-9),
    ]


# ---- segments -----------------------------------------------------------------------------------------------------


def segments_by_hand(path: list[int], posterior: np.ndarray[Any, Any]) -> list[tuple[int, int, int, float]]:
    found, start = [], 0
    for state, letters in itertools.groupby(path):
        end = start + len(list(letters))
        found.append((start, end, state, math.fsum(posterior[start:end, state]) / (end - start)))
        start = end
    return found


@pytest.mark.parametrize("n_letters", [0, 1, 2, 3, 40, 1000])
@pytest.mark.parametrize("n_states", [1, 2, 5])
def test_segments_are_the_runs(n_letters: int, n_states: int) -> None:
    rng = np.random.default_rng([n_letters, n_states])
    posterior = rng.dirichlet(np.ones(n_states), n_letters)
    path = np.repeat(rng.integers(n_states, size=n_letters), rng.integers(1, 5, n_letters))[:n_letters]
    expected = segments_by_hand(path.tolist(), posterior)
    found = list(segments(path, posterior))
    assert [run[:3] for run in found] == [run[:3] for run in expected]
    assert np.allclose([run[3] for run in found], [run[3] for run in expected], rtol=1e-12, atol=0.0)
    assert all(type(value) in (int, float) for run in found for value in run)
    for omit, shortest, likeliest in itertools.product([(), {0}], [1, 3], [0.0, 0.3]):
        kept = [r for r in found if r[2] not in omit and r[1] - r[0] >= shortest and r[3] >= likeliest]
        assert list(segments(path, posterior, omit=omit, min_length=shortest, min_posterior=likeliest)) == kept


def test_segments_at_the_limits() -> None:
    """A run that is certain stays at a threshold of one; rounding does not carry a mean out of range."""
    assert list(segments([0] * 1000, np.ones((1000, 1)), min_posterior=1.0)) == [(0, 1000, 0, 1.0)]
    assert list(segments([0, 0, 1], [[1.0 + 1e-9, 0.0], [1.0, 0.0], [1.0, -1e-9]])) == [(0, 2, 0, 1.0), (2, 3, 1, 0.0)]
    assert list(segments(np.zeros(3, np.uint8), np.ones((3, 1), np.float32))) == [(0, 3, 0, 1.0)]


@pytest.mark.parametrize(
    ("path", "posterior", "options", "message"),
    [
        ([0, 1], np.ones((3, 2)), {}, "path has 2 letters and posterior 3 rows"),
        ([0, 2], np.ones((2, 2)), {}, "path holds the state 2; posterior has the states 0 to 1"),
        ([-1, 0], np.ones((2, 2)), {}, "path holds the state -1"),
        ([0.0, 1.0], np.ones((2, 2)), {}, "path must be whole numbers on one axis, not float64"),
        ([[0], [0, 1]], np.ones((2, 2)), {}, "path must be whole numbers on one axis"),
        ([0, 1], np.ones(2), {}, r"posterior has the shape \(2,\); it must have 2 axes"),
        ([0, 1], [[1, 0], [math.nan, 0]], {}, "posterior holds nan"),
        ([0, 1], [[1, 0], [1.5, 0]], {}, "posterior holds 1.5"),
        ([0, 1], [[1, 0], ["x", 0]], {}, "posterior must be an array of probabilities"),
        ([0, 1], np.ones((2, 2)), {"omit": [2]}, "omit holds the state 2"),
        ([0, 1], np.ones((2, 2)), {"omit": "01"}, "omit must be whole numbers"),
        ([0, 1], np.ones((2, 2)), {"min_length": 0}, "min_length must be a whole number of at least 1, not 0"),
        ([0, 1], np.ones((2, 2)), {"min_posterior": 1.1}, "min_posterior must be a probability from 0 to 1, not 1.1"),
    ],
)
def test_segments_of_what_does_not_fit(path: Any, posterior: Any, options: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        segments(path, posterior, **options)


# ---- BED and GFF3 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", INTERVAL_FORMATS)
def test_intervals_read_back(format: str) -> None:
    items = some_items()
    intervals = [item for item in items if isinstance(item, Interval)]
    text = written(items, format, type="CpG_island")
    if format == "bed":
        features = parse_bed(text)
    else:
        lengths, typed = parse_gff3(text)
        assert lengths == {"first": 10, "whole": 7, "nothing": 1, "single": 1}  # no bounds of what has no letters
        assert {type for type, _ in typed} == {"CpG_island"}
        features = [feature for _, feature in typed]
    assert [feature[:4] for feature in features] == [interval[:4] for interval in intervals]
    assert [feature.strand for feature in features] == [interval.strand for interval in intervals]
    rounding = 5e-4 if format == "bed" else 5e-5
    means = [interval.mean_posterior for interval in intervals]
    assert np.allclose([feature.score for feature in features], means, rtol=0.0, atol=rounding)


def test_intervals_by_hand() -> None:
    items: list[Region | Interval] = [
        Region("chr 1", 50),
        Interval("chr 1", 0, 9, "up;down", 0.93749, "+"),
        Interval("chr 1", 9, 50, "é", 1.0),
        Region("chr2", 9),
        Interval("chr2", 0, 9, "down", 1e-7, "-"),
    ]
    assert written(items, "gff3") == (
        "##gff-version 3\n"
        "##sequence-region chr%201 1 50\n"
        "chr%201\ttiedseq\tsequence_feature\t1\t9\t0.9375\t+\t.\tID=chr 1.1;Name=up%3Bdown\n"
        "chr%201\ttiedseq\tsequence_feature\t10\t50\t1\t.\t.\tID=chr 1.2;Name=é\n"
        "##sequence-region chr2 1 9\n"
        "chr2\ttiedseq\tsequence_feature\t1\t9\t1e-07\t-\t.\tID=chr2.1;Name=down\n"
    )
    assert written([Interval("chr1", 0, 9, "up;down", 0.93749, "+")], "bed") == "chr1\t0\t9\tup;down\t937\t+\n"


def test_biopython_reads_bed() -> None:
    from Bio import Align

    items = some_items()
    intervals = [item for item in items if isinstance(item, Interval)]
    for alignment, interval in zip(Align.parse(io.StringIO(written(items, "bed")), "bed"), intervals, strict=True):
        assert alignment.target.id == interval.name
        assert alignment.query.id == interval.state
        assert alignment.coordinates[0].tolist() == [interval.start, interval.end]
        assert (alignment.coordinates[1][0] > alignment.coordinates[1][-1]) == (interval.strand == "-")


def test_random_intervals_read_back_from_segments() -> None:
    rng = np.random.default_rng(5)
    states, strands = ["gene+", "gene-", "space"], "+-."
    items: list[Region | Interval] = []
    for k in range(20):
        path = np.repeat(rng.integers(3, size=30), rng.integers(1, 9, 30))
        runs = segments(path, rng.dirichlet(np.ones(3), path.size), omit=[2])
        items.append(Region(f"s{k}", path.size))
        items += [Interval(f"s{k}", start, end, states[s], mean, strands[s]) for start, end, s, mean in runs]
    intervals = [item for item in items if isinstance(item, Interval)]
    assert [feature[:4] for feature in parse_bed(written(items, "bed"))] == [i[:4] for i in intervals]
    assert [feature[:4] for _, feature in parse_gff3(written(items, "gff3"))[1]] == [i[:4] for i in intervals]


@pytest.mark.parametrize("state", ODD_STATES)
@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_read_back(name: str, state: str) -> None:
    items: list[Region | Interval] = [Region(name, 5), Interval(name, 1, 2, state, 0.5)]
    assert parse_bed(written(items, "bed")) == [Feature(name, 1, 2, state, 0.5, ".")]
    lengths, features = parse_gff3(written(items, "gff3"))
    assert lengths == {name: 5}
    assert features == [("sequence_feature", Feature(name, 1, 2, state, 0.5, "."))]


@pytest.mark.parametrize("name", ["chr 1", "a\tb", "a\nb", "#1", '"a"', "track", "fixedStep", "é", "x" * 256, ""])
@pytest.mark.parametrize("format", ["bed", *TRACK_FORMATS])
def test_names_that_browsers_cannot_read(name: str, format: str) -> None:
    items: list[Any] = [Region(name, 5, "x.fa", 3)] if format == "bed" else [Track(name, [0.5], "x.fa", 3)]
    with pytest.raises(InputError, match="rename the sequence, or write GFF3") as caught:
        (written if format == "bed" else tracked)(items, format)
    assert (caught.value.path, caught.value.line, caught.value.record) == ("x.fa", 3, name)
    if format == "bed":
        with pytest.raises(InputError, match="rename the sequence, or write GFF3"):
            written([Interval(name, 0, 1, "s", 0.5)], format)


@pytest.mark.parametrize("name", ["chr 1", "a\tb\nc", "\x00\x1f\x7f", "é %", "\u2028", "track"])
def test_gff3_escapes_what_bed_refuses(name: str) -> None:
    lengths, features = parse_gff3(written([Region(name, 5), Interval(name, 0, 5, name, 1.0)], "gff3"))
    assert lengths == {name: 5}
    assert features == [("sequence_feature", Feature(name, 0, 5, name, 1.0, "."))]


def test_gff3_of_what_is_no_text() -> None:
    """Half a character pair, which no UTF-8 holds, is escaped rather than an error of the encoder."""
    assert "Name=%ED%A0%80\n" in written([Region("a", 5), Interval("a", 0, 5, "\ud800", 1.0)], "gff3")
    with pytest.raises(InputError, match=r"x\.fa, line 3, record '': GFF3 tells sequences apart by name"):
        written([Region("", 5, "x.fa", 3)], "gff3")


@pytest.mark.parametrize("format", INTERVAL_FORMATS)
def test_two_sequences_of_one_name(format: str) -> None:
    with pytest.raises(InputError, match=r"x\.fa, line 3, record 'a': two sequences have this name"):
        written([Region("a", 5), Region("b", 5), Region("a", 6, "x.fa", 3)], format)


@pytest.mark.parametrize("format", TRACK_FORMATS)
def test_two_tracks_of_one_name(format: str) -> None:
    with pytest.raises(InputError, match=r"x\.fa, line 3, record 'a': two sequences have this name"):
        tracked([Track("a", [0.5]), Track("a", [0.5], "x.fa", 3)], format)


@pytest.mark.parametrize("state", ["é", "a\tb", "a\nb", "x" * 256, " "])
def test_states_that_bed_cannot_name(state: str) -> None:
    with pytest.raises(ArgumentError, match=r"in BED a name is 1 to 255 printable ASCII characters: rename the state"):
        written([Interval("a", 0, 1, state, 0.5)], "bed")


@pytest.mark.parametrize("format", INTERVAL_FORMATS)
@pytest.mark.parametrize(
    ("item", "message"),
    [
        (Interval("a", 3, 3, "s", 0.5), "start=3 and end=3 of an interval on 'a' must be whole numbers"),
        (Interval("a", -1, 3, "s", 0.5), "start=-1 and end=3"),
        (Interval("a", 1.0, 3, "s", 0.5), "start=1.0 and end=3"),  # type: ignore[arg-type]
        (Interval("a", 1, 6, "s", 0.5), "the interval from 1 to 6 ends outside 'a', which has 5 letters"),
        (Interval("b", 1, 3, "s", 0.5), "an interval on 'b' follows the region 'a'"),
        (Interval("a", 1, 3, "s", math.nan), "mean_posterior of an interval on 'a' holds nan"),
        (Interval("a", 1, 3, "s", 1.01), "holds 1.01; probabilities lie between 0 and 1"),
        (Interval("a", 1, 3, "s", "x"), "must be an array of probabilities"),  # type: ignore[arg-type]
        (Interval("a", 1, 3, "s", 0.5, "forward"), "strand must be one of"),
        (Interval("a", 1, 3, "", 0.5), "must be text, and not empty"),
        (Interval("a", 1, 3, 0, 0.5), "must be text"),  # type: ignore[arg-type]
        (("a", 1, 3, "s", 0.5, "."), "items holds a tuple; every item must be a Region or an Interval"),
        (Region("b", -1), "length=-1 of 'b' must be a number of letters"),
        (Region(3, 1), "name=3 of a sequence must be text"),  # type: ignore[arg-type]
    ],
)
def test_intervals_that_are_none(item: Any, message: str, format: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        written([Region("a", 5), item], format)


def test_arguments_that_are_none() -> None:
    for type in ("CpG island", "", "SO:307", "a\tb", 3):
        with pytest.raises(ArgumentError, match="must be a term of the Sequence Ontology"):
            written([], "gff3", type=type)
    assert written([], "gff3", type="SO:0000307") == "##gff-version 3\n"
    with pytest.raises(ArgumentError, match='format must be "bed" or "gff3", not \'sam\''):
        written([], "sam")
    with pytest.raises(ArgumentError, match="an interval on 'a' without a region; GFF3 names the bounds first"):
        written([Interval("a", 0, 1, "s", 0.5)], "gff3")


# ---- bedGraph and WIG ---------------------------------------------------------------------------------------------


def some_posteriors() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(3)
    return {
        "one": np.array([0.3]),
        "same": np.full(50, 0.125),
        "certain": np.repeat([0.0, 1.0, 0.0], [1, 40, 1]),
        "random": rng.random(300),
        "small": 10.0 ** -rng.uniform(0, 300, 200),
        "rounding": np.array([-1e-9, -0.0, 1.0 + 1e-9, 1.0]),
        "blocks": np.repeat(rng.random(70_000), 2)[1:],  # more lines, and more letters, than are made at a time
    }


def test_bedgraph_reads_back() -> None:
    posteriors = some_posteriors()
    text = tracked([Track(name, values) for name, values in posteriors.items()], "bedgraph", name="island")
    options, runs = parse_bedgraph(text)
    assert options == {"type": "bedGraph", "name": "island", "description": ""}
    assert list(runs) == list(posteriors)
    for name, values in posteriors.items():
        starts, ends, printed = (np.array(column) for column in zip(*runs[name], strict=True))
        assert np.array_equal(starts, [0, *ends[:-1]]) and ends[-1] == values.size  # every letter once
        assert (printed[1:] != printed[:-1]).all()  # joined as far as can be
        assert ((printed >= 0.0) & (printed <= 1.0)).all()
        assert np.allclose(np.repeat(printed, ends - starts), values, rtol=0.0, atol=5.0001e-5)
    assert runs["certain"] == [(0, 1, 0.0), (1, 41, 1.0), (41, 42, 0.0)]


def test_wig_reads_back() -> None:
    posteriors = some_posteriors()
    text = tracked([Track(name, values) for name, values in posteriors.items()], "wig", description="P of x")
    options, values = parse_wig(text)
    assert options == {"type": "wiggle_0", "name": "posterior", "description": "P of x"}
    assert list(values) == list(posteriors)
    for name, expected in posteriors.items():
        assert np.allclose(values[name], np.clip(expected, 0.0, 1.0), rtol=5.0001e-4, atol=0.0)
    assert values["rounding"] == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("format", TRACK_FORMATS)
def test_nothing_along_nothing(format: str) -> None:
    kind = {"bedgraph": "bedGraph", "wig": "wiggle_0"}[format]
    for tracks in ([], [Track("a", [])]):
        assert tracked(tracks, format) == f'track type={kind} name="posterior" description=""\n'


@pytest.mark.parametrize("format", TRACK_FORMATS)
@pytest.mark.parametrize(
    ("track", "message"),
    [
        (Track("a", [0.5, math.nan]), "posterior of 'a' holds nan; probabilities lie between 0 and 1"),
        (Track("a", [0.5, -0.1]), "posterior of 'a' holds -0.1"),
        (Track("a", [[0.5]]), r"posterior of 'a' has the shape \(1, 1\); it must have 1 axes"),
        (Track("a", ["x"]), "posterior of 'a' must be an array of probabilities"),
        (Track(1, [0.5]), "name=1 of a sequence must be text"),  # type: ignore[arg-type]
        (("a", [0.5]), "tracks holds a tuple; every item must be a Track"),
    ],
)
def test_tracks_that_are_none(track: Any, message: str, format: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        tracked([track], format)


@pytest.mark.parametrize("label", ['a"b', "a'b", "a\nb", None])
def test_labels_that_would_not_end(label: Any) -> None:
    for argument in ("name", "description"):
        with pytest.raises(ArgumentError, match=f"{argument}=.* must be text without quotes"):
            tracked([], "wig", **{argument: label})
    with pytest.raises(ArgumentError, match='format must be "bedgraph" or "wig"'):
        tracked([], "bed")


# ---- files --------------------------------------------------------------------------------------------------------


def write_any(path: Any, format: str, n: int = 3, then: BaseException | None = None) -> None:
    """n sequences of the format; then the exception, if there is one."""

    def items() -> Iterator[Any]:
        for k in range(n):
            yield Track(f"s{k}", [0.5]) if format in TRACK_FORMATS else Region(f"s{k}", 9)
            if format not in TRACK_FORMATS:
                yield Interval(f"s{k}", 0, 9, "s", 0.5)
        if then is not None:
            raise then

    (write_tracks if format in TRACK_FORMATS else write_intervals)(items(), path, format)


@pytest.mark.parametrize("format", [*INTERVAL_FORMATS, *TRACK_FORMATS])
def test_files(format: str, tmp_path: Path) -> None:
    """Compressed or not, text or binary: the same text, whole or not at all."""
    handle = io.StringIO()
    write_any(handle, format)
    expected = handle.getvalue()
    assert expected.count("\n") >= 3
    write_any(tmp_path / "out", format)
    assert (tmp_path / "out").read_text() == expected
    write_any(tmp_path / "out.gz", format)
    assert gzip.decompress((tmp_path / "out.gz").read_bytes()).decode() == expected
    binary = io.BytesIO()
    write_any(binary, format)
    assert binary.getvalue().decode() == expected
    for n in (0, 2):
        with pytest.raises(KeyboardInterrupt):
            write_any(tmp_path / "out", format, n, KeyboardInterrupt())
    assert (tmp_path / "out").read_text() == expected
    assert sorted(os.listdir(tmp_path)) == ["out", "out.gz"]


@pytest.mark.parametrize("format", [*INTERVAL_FORMATS, *TRACK_FORMATS])
def test_no_header_before_bad_input(format: str) -> None:
    handle = io.StringIO()
    with pytest.raises(InputError):
        write_any(handle, format, 0, InputError("no FASTA"))
    assert handle.getvalue() == ""


@needs_full_device
@pytest.mark.parametrize("n", [1, 20_000])
@pytest.mark.parametrize("format", [*INTERVAL_FORMATS, *TRACK_FORMATS])
def test_full_disk(format: str, n: int) -> None:
    with pytest.raises(ResourceError, match="/dev/full: cannot write: No space left"):
        write_any("/dev/full", format, n)


@pytest.mark.parametrize("format", [*INTERVAL_FORMATS, *TRACK_FORMATS])
def test_written_as_they_come(format: str) -> None:
    handle = io.StringIO()

    def sequences() -> Iterator[Any]:
        for k in range(3):
            if k:
                assert f"s{k - 1}" in handle.getvalue()
            yield Track(f"s{k}", [0.5]) if format in TRACK_FORMATS else Region(f"s{k}", 9)
            if format not in TRACK_FORMATS:
                yield Interval(f"s{k}", 0, 9, "s", 0.5)

    (write_tracks if format in TRACK_FORMATS else write_intervals)(sequences(), handle, format)
    assert "s2" in handle.getvalue()


# ---- data/cpgplot_islands.bed -------------------------------------------------------------------------------------


def test_the_islands_in_data_are_those_of_the_report(data: Path) -> None:
    """Coordinates shifted by one, and as long as the report says; inside the sequences, and richer in C and G."""
    from Bio import SeqIO

    name, reported = "", []
    for line in (data / "cpgplot_report.txt").read_text().splitlines():
        if match := re.fullmatch(r"(\S+) from 1 to (\d+)", line):
            name = match[1]
        if match := re.fullmatch(r" Length (\d+) \((\d+)\.\.(\d+)\)", line):
            reported.append((name, int(match[2]), int(match[3]), int(match[1])))
    islands = [line.split("\t") for line in lines_of((data / "cpgplot_islands.bed").read_text())]
    assert [(n, int(start) + 1, int(end), int(end) - int(start)) for n, start, end in islands] == reported
    assert [sum(n == name for n, _, _ in islands) for name in ("aglobin_human", "Z69719.1")] == [24, 5]
    for file in ("aglobin_human.fa", "Z69719.fa"):
        record = SeqIO.read(data / file, "fasta")
        sequence = str(record.seq).upper()
        inside = [sequence[int(start) : int(end)] for n, start, end in islands if n == record.id]
        assert sum(map(len, inside)) == {"aglobin_human": 10_669, "Z69719.1": 2_584}[record.id]
        for island in inside:
            c, g, pairs = island.count("C"), island.count("G"), island.count("CG")
            assert (c + g) / len(island) > 0.5
            assert pairs * len(island) / (c * g) > 0.6
