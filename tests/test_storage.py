"""Model files: to the last bit and back, readable, and refused in one sentence where they are damaged."""

from __future__ import annotations

import errno
import gzip
import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiedseq as ts
import tiedseq.nn as nn
from pairhmm_cases import random_case, random_text


def models() -> dict[str, ts.PairHMM]:
    """One of each thing that a file must hold."""
    rng = np.random.default_rng(1)
    thirds = np.array([1 / 3, 1 / 7, 1 / 11, 0.0])
    thirds[3] = 1 - thirds.sum()
    return {
        "affine": ts.PairHMM.affine(symmetric=False, gaps=2, gap_open=1 / 300, values={"deletion": thirds}),
        "random ties, end": random_case(rng, ["y", "xy", "x", "xy", "y"], end=True).model,
        "background by label": ts.PairHMM.affine(values={"gap": thirds}, background="gap"),
        "background of its own": ts.PairHMM.affine(background=thirds),
        "kimura, held gap": ts.PairHMM.affine(substitution="kimura", values={"gap": ts.fixed(thirds)}),
        "protein": ts.PairHMM.affine(alphabet="protein", identity=0.37),
        "letters of its own": ts.PairHMM.affine(alphabet=ts.Alphabet("RY", ambiguity={"N": "RY"}, complement="YR")),
        "complement, numbers, extremes": ts.PairHMM(
            ts.DNA,
            {"M": "xy", "X": "x", "Y": "y"},
            {"M": {"M": 0.9, "X": 1e-300, "Y": 0.1}, "X": {"X": 1.0}, "Y": {"M": "leave", "end": ts.fixed(0.25)}},
            {"M": ts.Categorical(labels=[[abs(a - b) for b in range(4)] for a in range(4)]),
             "X": ts.complement("gap"), "Y": "gap"},
            values={"gap": [0.5, 1e-200, 0.5, 0.0]},
            start={"M": 0.5, "end": 0.5},
            random_state=3,
        ),
    }  # fmt: skip


def same_bits(a: Any, b: Any) -> bool:
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize("name", models())
def test_a_model_comes_back_to_the_last_bit(name: str, tmp_path: Path) -> None:
    model = models()[name]
    model.save(tmp_path / "model.json")
    loaded = ts.load(tmp_path / "model.json")
    assert list(loaded.parameters) == list(model.parameters)
    assert all(same_bits(loaded.parameters[label], value) for label, value in model.parameters.items())
    assert same_bits(loaded.background, model.background)
    assert (loaded.states, loaded.alphabet, repr(loaded)) == (model.states, model.alphabet, repr(model))
    assert loaded.n_free_parameters == model.n_free_parameters
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "model.json").read_bytes()


def test_a_loaded_model_computes_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    model = random_case(rng, ["xy", "x", "y"], zeros=0.0, end=True).model
    target, query = random_text(rng, 40, 0.1), random_text(rng, 35, 0.1)
    model.save(tmp_path / "model.json")
    loaded = ts.load(tmp_path / "model.json")
    for mode in ("global", "local", "glocal", "overlap"):
        assert loaded.log_likelihood(target, query, mode=mode) == model.log_likelihood(target, query, mode=mode)
    assert loaded.sample(random_state=1)[:2] == model.sample(random_state=1)[:2]
    counts = model.expected_counts([(target, query)])
    assert all(same_bits(value, counts[label]) for label, value in loaded.expected_counts([(target, query)]).items())


def test_the_file_can_be_read_by_a_person(tmp_path: Path) -> None:
    ts.PairHMM.affine(gap_open=0.0213).save(tmp_path / "model.json")
    text = (tmp_path / "model.json").read_text()
    document = json.loads(text)
    assert (document["format"], document["version"], document["tiedseq"]) == ("tiedseq model", 1, ts.__version__)
    assert document["transitions"]["X"] == {"M": "close", "X": "extend"}
    assert document["values"]["open"] == 0.0213
    assert document["states"] == {"M": "xy", "X": "x", "Y": "y"}
    assert text.startswith('{\n "format": "tiedseq model",\n "version": 1,\n')
    assert text.endswith("}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]


@pytest.mark.filterwarnings("ignore::tiedseq.errors.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["pairs", "one"])
def test_fit_forgets_where_the_values_came_from(kind: str, tmp_path: Path) -> None:
    """Nobody but a command knows of its own data; what it wrote is of other values than those after another `fit`."""
    cases: dict[str, Any] = {
        "pairs": (ts.PairHMM.affine(), [("ACGT", "ACT")], [("ACGT", "AC!T")]),
        "one": (ts.HMM.ergodic(2, alphabet="ab", random_state=0), ["abba"], ["ab!"]),
    }
    model, data, impossible = cases[kind]
    model.provenance = {"command": "tiedseq train", "converged": False}
    model.save(tmp_path / "model.json")
    loaded = ts.load(tmp_path / "model.json")
    with pytest.raises(ts.SequenceError):
        loaded.fit(impossible)
    assert loaded.provenance == model.provenance  # values stay as they were, and so does this
    assert loaded.copy().fit(data, max_iter=2).provenance is None and loaded.provenance is not None
    loaded.copy().fit(data, max_iter=2).save(tmp_path / "fitted.json")
    assert "provenance" not in json.loads((tmp_path / "fitted.json").read_text())
    loaded.start_from(loaded.copy())
    assert loaded.provenance is None


def test_saving_replaces_a_file_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    ts.PairHMM.affine().save(str(path))
    ts.PairHMM.affine(gap_open=0.3).save(path)
    assert ts.load(str(path)).parameters["open"] == 0.3
    for wrong, why in (tmp_path / "missing" / "model.json", "No such file"), (tmp_path, "is a directory"):
        with pytest.raises(ts.ResourceError, match=f"^{wrong}: .*{why}"):
            ts.PairHMM.affine().save(wrong)
    assert [found.name for found in tmp_path.iterdir()] == ["model.json"]


def test_a_failure_while_writing_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.json"
    path.write_text("before")

    def full(*paths: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ts.ResourceError, match=r"model\.json: cannot write: No space left"):
        ts.PairHMM.affine().save(path)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["model.json"]


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link, real = tmp_path / "link.json", tmp_path / "folder" / "real.json"
    link.symlink_to(real)
    for opened in (0.02, 0.3):  # made anew, then replaced
        ts.PairHMM.affine(gap_open=opened).save(link)
        assert link.is_symlink() and not real.is_symlink()
        assert ts.load(real).parameters["open"] == ts.load(link).parameters["open"] == opened


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_the_umask_decides_who_may_read_a_new_file(umask: int, mode: int, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    before = os.umask(umask)
    try:
        ts.PairHMM.affine().save(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    path.chmod(0o640)
    ts.PairHMM.affine(gap_open=0.3).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640, "an old one keeps its mode"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_gets_the_model(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(fifo.read_text()), daemon=True)
    reader.start()
    ts.PairHMM.affine().save(fifo)
    assert fifo.is_fifo()
    reader.join(timeout=10)
    assert json.loads(received[0])["kind"] == "pair-hmm"


def test_a_compressed_file(tmp_path: Path) -> None:
    model = ts.PairHMM.affine(gap_open=0.3)
    model.save(tmp_path / "model.json.gz")
    assert json.loads(gzip.decompress((tmp_path / "model.json.gz").read_bytes()))["values"]["open"] == 0.3
    assert repr(ts.load(tmp_path / "model.json.gz")) == repr(model)
    compressed = (tmp_path / "model.json.gz").read_bytes()
    refuse(tmp_path / "bad.gz", compressed[:-12], "not a model file: its gzip data is damaged")
    refuse(
        tmp_path / "bad.gz", compressed[:40] + b"\0\0" + compressed[42:], "not a model file: its gzip data is damaged"
    )


@pytest.mark.parametrize("wrong", [None, 3, ["model.json"]])
def test_what_is_no_path(wrong: Any) -> None:
    with pytest.raises(ts.ArgumentError, match="path="):
        ts.load(wrong)
    with pytest.raises(ts.ArgumentError, match="path="):
        ts.PairHMM.affine().save(wrong)


# --- damaged files ---------------------------------------------------------------------------------------------------


def refuse(path: Path, content: str | bytes, match: str) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ts.InputError, match=match) as caught:
        ts.load(path)
    assert caught.value.path == str(path)
    assert str(path) in str(caught.value)


@pytest.fixture
def text(tmp_path: Path) -> str:
    ts.PairHMM.affine(background=[0.3, 0.2, 0.2, 0.3]).save(tmp_path / "good.json")
    return (tmp_path / "good.json").read_text()


def test_truncated_and_foreign_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    for length in (0, 1, 20, 300, len(text) // 2, len(text) - 3):
        refuse(path, text[:length], "not a model file")
    refuse(path, text[: len(text) // 2], f"line {text[: len(text) // 2].count(chr(10)) + 1}")
    for content in (b"\x1f\x8b\x08\x00\xff", ">name\nACGT\n", "[]", "3", "null", '{"states": {}}', "[" * 100_000):
        refuse(path, content, "not a model file")
    with pytest.raises(ts.InputError, match="cannot be read"):
        ts.load(tmp_path / "missing.json")
    with pytest.raises(ts.InputError, match="cannot be read"):
        ts.load(tmp_path)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("NaN", "NaN"),
        ("-Infinity", "Infinity"),
        ("1e999", "finite"),
        ("-0.02", "not negative"),
        ('"many"', "needs numbers"),
        ("true", "needs numbers"),
        ("0.5", "sums to 1.96"),
        ("null", "sums to 0.96"),
        ("[0.02]", "shape|numbers"),
    ],
)
def test_values_that_are_no_probabilities_are_refused(tmp_path: Path, text: str, value: str, match: str) -> None:
    assert text.count("0.02") == 1
    refuse(tmp_path / "bad.json", text.replace("0.02", value), match)


CHANGES: list[tuple[str, Callable[[dict[str, Any]], Any], str]] = [
    ("later version", lambda d: d.update(version=2), "version 2, this tiedseq .* reads version 1"),
    ("no version", lambda d: d.pop("version"), "version None"),
    ("another format", lambda d: d.update(format="pickle"), '"format" is not'),
    ("unknown kind", lambda d: d.update(kind="hmmm"), "holds a 'hmmm'; known kinds: .*pair-hmm"),
    ("kind no string", lambda d: d.update(kind=["pair-hmm"]), "known kinds"),
    ("unknown alphabet", lambda d: d.update(alphabet={"name": "XNA"}), "alphabet .*XNA.* is unknown"),
    ("unknown state kind", lambda d: d["states"].update(M="z"), "state 'M' emits from 'z'"),
    ("state too many", lambda d: d["states"].update(Z="x"), "lacks the state 'Z'"),
    ("row to nowhere", lambda d: d["transitions"]["M"].update(Q="open"), "key 'Q', which is not a state"),
    ("table too short", lambda d: d["values"]["pair"].pop(), r"shape \(3, 4\)"),
    ("unknown label", lambda d: d["values"].update(foo=1.0), "'foo', a label that the model lacks"),
    ("background too short", lambda d: d.update(background=[0.5, 0.5]), r"shape \(2,\)"),
    ("background sum", lambda d: d.update(background=[0.5] * 4), "sum 2"),
    ("background zero", lambda d: d.update(background=[0.5, 0.5, 0.0, 0.0]), "positive probability"),
    ("background text", lambda d: d.update(background="flat"), "damaged"),
    *((f"no value {key}", lambda d, key=key: d["values"].pop(key), f"{key!r}") for key in ("open", "pair", "gap")),
    *((f"no {key}", lambda d, key=key: d.pop(key), f"damaged: .*{key}") for key in
      ("alphabet", "states", "transitions", "start", "emissions", "values", "background")),
    *((f"{key} of type {type(wrong).__name__}", lambda d, key=key, wrong=wrong: d.update({key: wrong}), "damaged")
      for key in ("alphabet", "states", "transitions", "start", "emissions", "values", "distributions")
      for wrong in (None, "x", 5, [1, 2])),
]  # fmt: skip


@pytest.mark.parametrize(("change", "match"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
def test_damaged_documents_are_refused(
    tmp_path: Path, text: str, change: Callable[[dict[str, Any]], Any], match: str
) -> None:
    document = json.loads(text)
    change(document)
    refuse(tmp_path / "bad.json", json.dumps(document), match)


def kinds() -> dict[str, Any]:
    """A model of each kind that files hold."""
    net = nn.Sequential(nn.OneHot(), nn.GlobalMeanPool(), nn.Dense(1), random_state=0)
    labels = {"a": {"a": 0.9, "b": 0.1}, "b": {"a": 0.2, "b": 0.8}}
    potentials = nn.Emissions(nn.Sequential(nn.Conv1D(2, 3, padding="same"), random_state=0))
    pairs = [("ACGT", "GGCC"), ("ACGT", "ACGA")]
    return {
        "pair-hmm": ts.PairHMM.affine(),
        "hmm": ts.HMM.ergodic(2, alphabet=ts.DNA, random_state=0),
        "strands": ts.HMM(
            ts.DNA, {"+": {"+": 0.9, "-": 0.1}, "-": {"-": 0.9, "+": 0.1}},
            {"+": "letters", "-": ts.complement("letters")},
            symmetry="reverse-complement", random_state=0,
        ),
        "hybrid": ts.HMM(transitions=labels, emissions=potentials, random_state=0),
        "network": net,
        "classifier": nn.Classifier(net, max_epochs=1).fit(["ACGT", "GGCC"], [0, 1]),
        "siamese": nn.Siamese(net, max_epochs=1).fit(pairs, [False, True]),
    }  # fmt: skip


@pytest.mark.small
@pytest.mark.parametrize("kind", kinds())
def test_a_description_that_is_none_is_refused(kind: str) -> None:
    """Whatever is missing or of another kind, the error is the library's, or the rest is a model by itself."""
    model = kinds()[kind]
    document = model.to_dict()
    refused = 0
    for key in document:
        for damage in ("missing", None, 3, "x", [], {}, {"x": 3}, [None]):
            broken = {name: entry for name, entry in document.items() if name != key or damage != "missing"}
            if damage != "missing":
                broken[key] = damage
            try:
                type(model).from_dict(broken)
            except ts.TiedseqError:
                refused += 1
    assert refused >= 4 * len(document) - 8
    whole: Any
    for whole in ({}, None, [], 3):
        with pytest.raises(ts.ModelError, match="description of the model"):
            type(model).from_dict(whole)
