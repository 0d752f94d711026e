"""Models with soft ties: their limits, what training promises, files, and what is refused."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hmm_cases import Floats, Interruption, assert_resumes_to_the_same_bits, assert_same, softmax, total_log_likelihood
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import tiedseq as ts
from tiedseq import cli
from tiedseq.chains.parameters import HMMParameters
from tiedseq.errors import ArgumentError, ConvergenceWarning, InputError, ModelError, SequenceError
from tiedseq.training import Iteration

ROWS = {"a": {"a": 0.8, "b": 0.2}, "b": {"a": 0.3, "b": 0.7}}
STAY = {"a": {"a": "stay", "b": "leave"}, "b": {"b": "stay", "a": "leave"}}
E = [0.5, 0.3, 0.2]

# ---- limits ----------------------------------------------------------------------------------------------------------

LETTERS = {"a": "e", "b": "e"}
SOURCE = ts.HMM(
    "xyz", {"a": {"a": 0.9, "b": 0.1}, "b": {"a": 0.1, "b": 0.9}}, {"a": [0.7, 0.2, 0.1], "b": [0.3, 0.5, 0.2]}
)
DATA = [SOURCE.sample(30, random_state=k)[0] for k in range(8)]


def letters(soft: Any = None, **more: Any) -> ts.HMM:
    return ts.HMM("xyz", ROWS, LETTERS, values={"e": E}, soft=soft, **more)


def stays(soft: Any = None, **more: Any) -> ts.HMM:
    held = {"a": ts.fixed([0.7, 0.2, 0.1]), "b": ts.fixed([0.3, 0.5, 0.2])}
    return ts.HMM("xyz", STAY, held, values={"stay": 0.8}, soft=soft, **more)


def test_strength_zero_is_untied_to_the_last_bit() -> None:
    free = ts.HMM("xyz", ROWS, {"a": "p", "b": "q"}, values={"p": E, "q": E}).fit(DATA, max_iter=30, tol=0.0)
    assert_same(letters({"e": 0}).fit(DATA, max_iter=30, tol=0.0), free, {"p": "e@a", "q": "e@b"})
    held = {"a": ts.fixed([0.7, 0.2, 0.1]), "b": ts.fixed([0.3, 0.5, 0.2])}
    rows = {"a": {"a": "s", "b": "t"}, "b": {"b": "u", "a": "v"}}
    free = ts.HMM("xyz", rows, held, values={"s": 0.8, "u": 0.8}).fit(DATA, max_iter=30, tol=0.0)
    renamed = {"s": "stay@a", "t": "leave@a", "u": "stay@b", "v": "leave@b"}
    found = stays({"leave": 0.0}).fit(DATA, max_iter=30, tol=0.0)
    assert_same(found, free, renamed)
    assert (found.n_free_parameters, found.bic(DATA)) == (free.n_free_parameters, free.bic(DATA))


@pytest.mark.parametrize("make", [letters, stays])
def test_strength_infinity_is_the_hard_tie_to_the_last_bit(make: Any) -> None:
    label = "e" if make is letters else "stay"
    hard, soft = make().fit(DATA, max_iter=30, tol=0.0), make({label: math.inf}).fit(DATA, max_iter=30, tol=0.0)
    assert_same(soft, hard)
    assert list(soft.parameters) == list(hard.parameters)
    assert soft.n_free_parameters == hard.n_free_parameters


@pytest.mark.parametrize("make", [letters, stays])
def test_a_large_strength_comes_close_to_the_hard_tie(make: Any) -> None:
    label, options = "e" if make is letters else "stay", {"max_iter": 40, "tol": 0.0}
    hard = make().fit(DATA, **options)
    found = make({label: 1e9}).fit(DATA, **options)
    assert_allclose(found.history_, hard.history_, rtol=1e-8, atol=0.0)
    for name, value in hard.parameters.items():
        assert_allclose(found.parameters[name], value, rtol=1e-5, atol=1e-9)
    assert_allclose(found.parameters[f"{label}@a"], found.parameters[f"{label}@b"], rtol=1e-5, atol=0.0)
    gains = [
        make({label: strength}).fit(DATA, tol=1e-6, max_iter=5000).history_[-1] for strength in (0, 1, 30, math.inf)
    ]
    assert gains == sorted(gains, reverse=True)  # a stronger tie never fits better


def test_the_maximum_of_a_whole_model() -> None:
    """The penalised likelihood over rows, members and centre together: a general optimiser comes back to it."""
    from scipy.optimize import minimize

    strength, x = 20.0, np.array([["xyz".index(letter) for letter in sequence] for sequence in DATA])

    def penalised(v: Floats) -> float:
        p, q, m = softmax(v[0:2]), softmax(v[2:4]), softmax(v[4:6])
        rows = [softmax(v[6:7]), softmax(v[7:8])]
        divergences = float(m @ np.log(m / p) + m @ np.log(m / q))
        return total_log_likelihood([0.5, 0.5], rows, np.array([p, q]).T[x]) - strength * divergences

    def model() -> ts.HMM:
        start = {"a": ts.fixed(0.5), "b": ts.fixed(0.5)}
        values = {"e@a": [0.7, 0.2, 0.1], "e@b": [0.3, 0.5, 0.2]}
        return ts.HMM("xyz", ROWS, LETTERS, start, values, soft={"e": strength})

    found = model().fit(DATA, tol=1e-9, max_iter=20_000)
    assert found.converged_
    parts = [*(found.parameters[label] for label in ("e@a", "e@b", "e")), *found.transmat_]
    where = np.concatenate([np.log(part[:-1] / part[-1]) for part in parts])
    assert_allclose(penalised(where), found.history_[-1], rtol=1e-12, atol=0.0)
    best = minimize(lambda v: -penalised(v), where + np.random.default_rng(0).normal(0.0, 0.5, 8), method="BFGS")
    assert_allclose(found.history_[-1], -best.fun, rtol=0.0, atol=1e-5)
    assert_allclose(where, best.x, rtol=0.0, atol=1e-2)


# ---- what training promises ------------------------------------------------------------------------------------------


def random_soft_hmm(rng: np.random.Generator) -> tuple[ts.HMM, dict[str, float]]:
    """Letters of order 0 or 1 with shared distributions, some of them mirrored, and shared rows; priors of members."""
    order, names = int(rng.integers(2)), [f"q{k}" for k in range(rng.integers(2, 5))]
    entries: dict[str, Any] = {}
    for name in names:
        label = f"e{rng.integers(2)}"
        entries[name] = ts.complement(label) if order == 0 and rng.random() < 0.3 else label
    labels = [f"t{k}" for k in range(len(names))]
    places = [*names, "start"]
    shared = [place for place in places if rng.random() < 0.6]
    rows = {
        place: dict(zip(names, rng.permutation(labels).tolist(), strict=True))
        if place in shared
        else {name: float(p) for name, p in zip(names, rng.dirichlet(np.ones(len(names))), strict=True)}
        for place in places
    }
    values: dict[str, Any] = {}
    if rng.random() < 0.3 and order == 0:
        inside = ts.Categorical(labels=[0, 1, 1, 2]) if rng.random() < 0.5 else [0.5, 0.0, 0.25, 0.25]
        values = {label: inside for label in ("e0",) if label in map(label_of, entries.values())}
    users = [label_of(entry) for entry in entries.values()]
    can = [label for label in ("e0", "e1") if users.count(label) > 1] + ["t0"] * (len(shared) > 1)
    pick = [0.0, math.inf, *(10.0 ** rng.uniform(-6.0, 12.0, 4)).tolist()]
    soft = {label: float(rng.choice(pick)) for label in can}
    priors: dict[str, Any] = {}
    for label in can:
        if soft[label] < math.inf and rng.random() < 0.5:
            place = shared[0] if label == "t0" else next(s for s, entry in entries.items() if label_of(entry) == label)
            priors[f"{label}@{place}"] = 2.5
    start = rows.pop("start")
    seed = int(rng.integers(1000))
    return ts.HMM(ts.DNA, rows, entries, start, values, order, seed, soft=soft, priors=priors), soft


def label_of(entry: Any) -> str:
    return str(entry.label if isinstance(entry, ts.complement) else entry)


def penalty_by_hand(model: ts.HMM, strengths: Mapping[str, float]) -> float:
    """strength * KL(centre || member) of everything that a name shows to be a member."""
    from scipy.special import rel_entr

    values, total = model.parameters, 0.0
    for name, member in values.items():
        label = name.partition("@")[0]
        strength = strengths["t0" if label.startswith("t") else label] if "@" in name else 0.0
        if strength > 0.0:
            total += strength * float(rel_entr(values[label], member).sum())
    return total


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_the_penalised_likelihood_never_falls(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model, soft = random_soft_hmm(rng)
    lengths = rng.integers(1, 40, rng.integers(1, 8))
    data = ["".join(rng.choice(list("ACGTNR"), n, p=[0.35, 0.2, 0.2, 0.15, 0.05, 0.05])) for n in lengths]
    seen = []

    def check(now: Any) -> None:
        seen.append((now.log_likelihood, model.score(data) - penalty_by_hand(model, soft)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # states that nothing visits
        try:
            model.fit(data, max_iter=12, tol=0.0, callback=check)
        except SequenceError:  # of probability 0
            assume(False)
    history = np.array(model.history_)
    assert np.isfinite(history).all()
    assert (np.diff(history) >= -1e-9 * (1.0 + np.abs(history[1:]))).all(), model
    if not model.options.priors:
        found, expected = np.array(seen).T
        strongest = max((strength for strength in soft.values() if strength < math.inf), default=0.0)
        assert_allclose(found, expected, rtol=1e-9, atol=1e-9 + 1e-14 * strongest)  # logarithms by hand cancel


def test_members_keep_their_ties_to_the_last_bit_after_every_iteration(tmp_path: Path) -> None:
    """Ties within a distribution, the other strand, a held entry of a row; in files as well."""
    rows: dict[str, Any] = {
        "a": {"a": "stay", "b": "leave", "c": ts.fixed(0.1)},
        "b": {"b": "stay", "a": "leave", "c": ts.fixed(0.1)},
        "c": {"c": "wait", "a": "go", "b": "go"},
    }
    cells = ts.Categorical(labels=[0, 1, 1, 2], values=[0.4, 0.2, 0.2, 0.2])
    entries = {"a": "e", "b": ts.complement("e"), "c": "f"}
    values = {"stay": 0.7, "wait": 0.6, "e": cells, "f": [0.1, 0.4, 0.4, 0.1]}
    model = ts.HMM(ts.DNA, rows, entries, values=values, soft={"e": 4.0, "stay": 7.0})

    def exact(found: ts.HMM) -> None:
        t, e, p = found.transmat_, found.emissionprob_, found.parameters
        assert t[0, 2] == t[1, 2] == 0.1 and t[2, 0] == t[2, 1]
        assert (t[0, 0], t[1, 1]) == (p["stay@a"], p["stay@b"])
        assert p["e"][1] == p["e"][2]
        for name in ("e@a", "e@b"):
            assert p[name][1] == p[name][2]
        assert_array_equal(e[0], p["e@a"])
        assert_array_equal(e[1], p["e@b"][::-1])

    source = ts.HMM(ts.DNA, ROWS, {"a": [0.5, 0.2, 0.2, 0.1], "b": [0.1, 0.2, 0.3, 0.4]})
    data = [source.sample(40, random_state=k)[0] for k in range(5)]
    model.fit(data, callback=lambda now: exact(model), max_iter=8, tol=0.0)
    exact(model)
    assert model.parameters["stay@a"] != model.parameters["stay@b"]
    model.save(tmp_path / "m.json")
    exact(ts.load(tmp_path / "m.json"))


def test_a_large_strength_counts_members_together() -> None:
    """Known paths: one M-step, by hand."""
    data, paths = ["xxyz", "yz"], [[0, 0, 1, 1], [1, 0]]
    model = letters({"e": 1e12}).fit(data, paths=paths, max_iter=1, tol=0.0)
    for name in ("e", "e@a", "e@b"):
        assert_allclose(model.parameters[name], np.array([2.0, 2.0, 2.0]) / 6, rtol=1e-9, atol=0.0)
    model = letters({"e": 1.0}, priors={"e@b": 1.0}).fit(data, paths=paths, max_iter=1, tol=0.0)
    m = model.parameters["e"]
    assert_allclose(model.parameters["e@a"], (np.array([2.0, 0.0, 1.0]) + m) / 4, rtol=1e-9, atol=0.0)
    assert_allclose(model.parameters["e@b"], (np.array([1.0, 3.0, 2.0]) + m) / 7, rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("strength", [1e12, 1e15, 1e17, 1e20, 1e300])
def test_rounding_does_not_show_through_the_greatest_strengths(strength: float) -> None:
    model = ts.HMM("xyz", STAY, LETTERS, random_state=0, soft={"e": strength, "stay": strength})
    history = np.array(model.fit(DATA, max_iter=30, tol=0.0).history_)
    assert np.isfinite(history).all()
    assert (np.diff(history) >= -1e-9 * np.abs(history[1:])).all()
    assert_allclose(history[-1], model.score(DATA) - (history[-1] - history[-2]), rtol=1e-6, atol=0.0)
    assert_allclose(model.parameters["e@a"], model.parameters["e@b"], rtol=1e-9, atol=0.0)


# ---- the constructor's soft ties, and those of one call --------------------------------------------------------------


def test_one_call_is_as_if_the_model_were_made_for_it() -> None:
    options: dict[str, Any] = {"max_iter": 5, "tol": 0.0}
    hard, soft = letters().fit(DATA, **options), letters({"e": 5}).fit(DATA, **options)
    model = letters()
    assert_same(model.fit(DATA, soft={"e": 5}, **options), soft)
    assert_same(model.fit(DATA, soft={"e": 5}, **options), soft)
    assert_same(model.fit(DATA, **options), hard)
    other = letters({"e": 5})
    assert_same(other.fit(DATA, soft=None, **options), hard)
    assert_same(other.fit(DATA, soft={"e": math.inf}, **options), hard)
    assert_same(other.fit(DATA, **options), soft)
    assert_same(other.fit(DATA, soft={"e": 9}, **options), letters({"e": 9}).fit(DATA, **options))
    both = ts.HMM("xyz", STAY, LETTERS, values={"e": E, "stay": 0.8}).fit(DATA, soft={"e": 5, "leave": 2}, **options)
    assert set(both.parameters) >= {"e", "e@a", "stay", "leave", "stay@b", "leave@a"}


def test_warm_starts_carry_values_from_one_strength_to_the_next() -> None:
    model = letters().fit(DATA, max_iter=5, tol=0.0)
    before = model.parameters["e"]
    model.fit(DATA, soft={"e": 50}, warm_start=True, max_iter=1, tol=0.0)
    assert_allclose(model.history_[0], letters().fit(DATA, max_iter=6, tol=0.0).history_[5], rtol=1e-12, atol=0.0)
    members = {name: value for name, value in model.parameters.items() if "@" in name}
    shown: list[Any] = []
    model.fit(
        DATA, soft={"e": 5}, warm_start=True, max_iter=1, tol=0.0, callback=lambda now: shown.append(model.parameters)
    )
    for name, value in members.items():
        assert_array_equal(shown[0][name], value)
    centre = model.parameters["e"]
    model.fit(
        DATA, soft=None, warm_start=True, max_iter=1, tol=0.0, callback=lambda now: shown.append(model.parameters)
    )
    assert_array_equal(shown[1]["e"], centre)
    assert list(model.parameters) == list(letters().parameters)
    assert not np.array_equal(before, centre)
    assert_same(model.fit(DATA, max_iter=5, tol=0.0), letters().fit(DATA, max_iter=5, tol=0.0))


def test_starting_values_of_members() -> None:
    """Those of the label, their own, or a draw for each where the label is drawn."""
    model = letters({"e": 5})
    for name in ("e", "e@a", "e@b"):
        assert_array_equal(model.parameters[name], E)
    own = ts.HMM("xyz", ROWS, LETTERS, values={"e": E, "e@b": [0.2, 0.3, 0.5]}, soft={"e": 5})
    assert_array_equal(own.parameters["e@a"], E)
    assert_array_equal(own.parameters["e@b"], [0.2, 0.3, 0.5])
    assert_allclose(own.parameters["e"], np.sqrt([0.1, 0.09, 0.1]) / (0.3 + 2 * math.sqrt(0.1)), rtol=1e-14, atol=0.0)
    drawn = ts.HMM("xyz", STAY, LETTERS, values={"stay@a": 0.9}, soft={"e": 5, "stay": 5}, random_state=3)
    values = drawn.parameters
    assert (values["e@a"] != values["e@b"]).all()
    assert (values["stay@a"], values["stay@b"], values["leave@b"]) == (0.9, 0.5, 0.5)
    assert_allclose(values["leave@a"], 0.1, rtol=1e-12, atol=0.0)
    again = ts.HMM("xyz", STAY, LETTERS, random_state=3)
    options: dict[str, Any] = {"max_iter": 3, "tol": 0.0, "n_init": 3, "random_state": 3}
    plain = ts.HMM("xyz", STAY, LETTERS, soft={"e": 5, "stay": 5}, random_state=3)
    assert_same(again.fit(DATA, soft={"e": 5, "stay": 5}, **options), plain.fit(DATA, **options))
    drawn.fit(DATA, max_iter=3, tol=0.0)
    drawn.fit(DATA, soft={"e": 6, "stay": 6}, max_iter=1, tol=0.0, callback=lambda now: seen.update(drawn.parameters))
    for name, value in values.items():
        assert_array_equal(seen[name], value)


seen: dict[str, Any] = {}


def test_restarts_draw_what_was_not_given() -> None:
    rows: dict[str, Any] = {"a": {"a": "stay", "b": "leave"}, "b": {"b": "stay", "a": "leave"}, "c": {"c": 1.0}}
    entries, stay = {"a": "e", "b": "e", "c": "f"}, {"stay": 0.7}
    made = ts.HMM("xyz", rows, entries, values={"e@a": E, **stay}, soft={"e": 5}, random_state=1)
    again = ts.HMM("xyz", rows, entries, values=stay, random_state=1)
    again.fit(DATA, soft={"e": 5}, max_iter=1, tol=0.0)
    for model, drawn in ((made, {"e@b", "f"}), (again, {"e@a", "e@b", "f"})):
        assert isinstance(model._parameters, HMMParameters)
        specification = model._parameters.specification
        before, after = specification.by_label(specification.initial), specification.by_label(specification.redraw(5))
        changed = {label for label, value in before.items() if not np.array_equal(value, after[label])}
        assert changed == drawn


def test_members_tell_states_apart_that_share_a_drawn_label() -> None:
    """A start at which members are equal would be a point where training stands still."""
    rows = {"a": {"a": 0.9, "b": 0.1}, "b": {"a": 0.1, "b": 0.9}}
    source = ts.HMM("xyz", rows, {"a": [0.8, 0.1, 0.1], "b": [0.1, 0.1, 0.8]})
    data = [source.sample(100, random_state=k)[0] for k in range(10)]
    model = ts.HMM("xyz", rows, LETTERS, random_state=0, soft={"e": 1.0}).fit(data)
    assert np.abs(model.parameters["e@a"] - model.parameters["e@b"]).max() > 0.5


def test_an_estimator_with_soft_ties() -> None:
    sklearn = pytest.importorskip("sklearn.base")
    model = letters({"e": 5.0})
    same = sklearn.clone(model)
    assert same.get_params()["soft"] == {"e": 5.0}
    assert_same(same.fit(DATA, max_iter=3, tol=0.0), model.fit(DATA, max_iter=3, tol=0.0))
    assert "e@a" not in same.set_params(soft=None).parameters
    copied = model.copy().fit(DATA, soft=None, max_iter=1, tol=0.0)
    assert "e@a" in model.parameters and "e@a" not in copied.parameters


# ---- files, checkpoints, threads -------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["given", "drawn"])
def test_files_keep_everything_to_the_last_bit(tmp_path: Path, start: str) -> None:
    values = {"e": E, "stay": 0.8} if start == "given" else {"stay@a": 0.9}
    soft = {"e": 5.5, "stay": 0.0}
    model = ts.HMM("xyz", STAY, LETTERS, values=values, soft=soft, random_state=2).fit(DATA, max_iter=4, tol=0.0)
    model.save(tmp_path / "m.json")
    found = ts.load(tmp_path / "m.json")
    assert repr(found) == repr(model)
    assert found.to_dict() == model.to_dict()
    for label, value in model.parameters.items():
        assert_array_equal(found.parameters[label], value)
    options: dict[str, Any] = {"max_iter": 4, "tol": 0.0, "n_init": 2, "random_state": 5}
    model.fit(DATA, warm_start=True, **options)
    assert_same(found.fit(DATA, **options), model)  # it starts where the file was written
    found.fit(DATA, soft={"e": 7.0}, max_iter=1, tol=0.0)
    assert "stay@a" not in found.parameters and found.parameters["e@a"].shape == (3,)
    assert "e@a" not in found.fit(DATA, soft={}, max_iter=1, tol=0.0).parameters


def test_fit_on_the_command_line_keeps_soft_ties(tmp_path: Path) -> None:
    letters({"e": 5.5}).save(tmp_path / "m.json")
    (tmp_path / "s.fa").write_text("".join(f">{k}\n{sequence}\n" for k, sequence in enumerate(DATA)))
    words = [tmp_path / "s.fa", "--model", tmp_path / "m.json", "-o", tmp_path / "n.json", "--quiet"]
    assert cli.main(["fit", *map(str, words)]) == 0
    found = ts.load(tmp_path / "n.json")
    expected = letters({"e": 5.5}).fit(DATA)
    for label, value in expected.parameters.items():
        assert_array_equal(found.parameters[label], value)
    assert repr(found).endswith("soft ties {'e': 5.5}")


def test_interrupted_and_resumed_to_the_same_bits(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    options: dict[str, Any] = {"max_iter": 3, "tol": 0.0, "n_init": 2, "random_state": 7}

    def fresh() -> ts.HMM:
        return ts.HMM("xyz", STAY, LETTERS, soft={"e": 5.0, "stay": 2.0}, random_state=4)

    assert_resumes_to_the_same_bits(fresh, DATA, file, options)

    def interrupt(now: Iteration) -> None:
        if now.iteration:
            raise Interruption

    with pytest.raises(Interruption):
        fresh().fit(DATA, checkpoint=file, callback=interrupt, **options)
    with pytest.raises(InputError, match="of another model, data or options"):
        fresh().fit(DATA, checkpoint=file, soft={"e": 5.0, "stay": 2.5}, **options)


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from tiedseq.chains import batches

    monkeypatch.setattr(batches, "_BATCH_LETTERS", 50)
    one, two = (letters({"e": 5.0}).fit(DATA, executor=n, max_iter=4, tol=0.0) for n in (None, 2))
    assert_same(one, two)


# ---- what cannot be --------------------------------------------------------------------------------------------------


def test_nobody_counts_soft_parameters() -> None:
    model = letters({"e": 50}).fit(DATA, max_iter=3, tol=0.0)
    for count in (lambda: model.n_free_parameters, lambda: model.aic(DATA), lambda: model.bic(DATA)):
        with pytest.raises(ModelError, match=r"no number of free parameters with soft ties \{'e': 50\}: .* inf"):
            count()
    with pytest.raises(ModelError, match="no standard error with soft ties"):
        model.standard_errors(DATA)
    assert repr(model).endswith("soft ties {'e': 50}")
    free = ts.HMM("xyz", ROWS, {"a": "p", "b": "q"})
    for null, alternative in ((letters(), model), (model, free)):
        with pytest.raises(ModelError, match="no comparison of models with soft ties"):
            ts.compare(null, alternative, DATA)
    with pytest.raises(ArgumentError, match=r"null has soft=\{'e': 3\}"):
        ts.compare(letters(), letters({"e": 0}), DATA, soft={"e": 3})
    result = ts.compare(letters({"e": math.inf}), letters({"e": 0}), DATA)
    assert result.df == 2


CYCLE: dict[str, Any] = {
    "a": {"a": "p", "b": "q"},
    "b": {"b": "p", "c": "r"},
    "c": {"c": "s", "a": "s", "b": "t"},
}


@pytest.mark.small
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"soft": {"e": -1.0}}, ArgumentError, r"soft\['e'\] is -1.0; a strength is"),
        ({"soft": {"e": math.nan}}, ArgumentError, r"soft\['e'\] is nan"),
        ({"soft": {"e": 1e301}}, ArgumentError, "to 1e300, or inf"),
        ({"soft": {"e": "5"}}, ArgumentError, r"soft\['e'\] is '5'"),
        ({"soft": {"e": True}}, ArgumentError, r"soft\['e'\] is True"),
        ({"soft": ["e"]}, ArgumentError, "soft="),
        ({"soft": {"ee": 1.0}}, ModelError, r"'ee', a label that the model lacks \(did you mean 'e'\?\)"),
        ({"soft": {"ee": math.inf}}, ModelError, "'ee', a label that the model lacks"),
        ({"soft": {"f": 1.0}}, ModelError, "'f', which stands in one place only"),
        ({"soft": {"c->c": 1.0}}, ModelError, "'c->c', which stands in one place only"),
        ({"soft": {"e": 1.0}, "values": {"e": ts.fixed(E)}}, ModelError, "'e', which is held"),
        ({"soft": {"p": 1.0}, "values": {"p": ts.fixed(0.5), "e": E}}, ModelError, "'p', which is held"),
        (
            {"soft": {"p": 1.0}, "transitions": CYCLE},
            ModelError,
            "'p', but the row of state 'b' has 'p', 'r' and the row of state 'a' 'p', 'q'; rows that share",
        ),
        (
            {"soft": {"s": 1.0}, "transitions": CYCLE},
            ModelError,
            "'s', but the row of state 'c' has 's', 't', 's'; rows",
        ),
        (
            {"soft": {"p": 1.0}, "start": {"a": "p", "b": 0.2, "c": 0.3}},
            ModelError,
            "'p', but the start row has 'p', 'start->b', 'start->c' and the row of state 'a' 'p', 'q'",
        ),
        (
            {"soft": {"e": 1.0}, "values": {"e": ts.Categorical(labels=["u", "v", "v"])}},
            ModelError,
            "'e', but cells of the distribution 'e' carry the label 'u'",
        ),
        (
            {"soft": {"u": 1.0}, "values": {"e": ts.Categorical(labels=["u", "v", "v"])}},
            ModelError,
            "'u', but cells of the distribution 'e' carry the label 'u'",
        ),
        ({"soft": {"p": 1.0, "q": 2.0}}, ModelError, "'q' with strength 2 and a label of the same rows with 1"),
        ({"soft": {"e": 1.0}, "values": {"e@c": E}}, ModelError, r"'e@c', .* lacks \(did you mean 'e@[ab]'"),
        ({"soft": {"e": 1.0}, "values": {"e@a": ts.fixed(E)}}, ModelError, "'e@a', a member of the soft label 'e'"),
        ({"soft": {"e": 1.0}, "values": {"e@a": [0.5, 0.5, 0.0]}}, ModelError, "zeros for some members"),
        ({"soft": {"e": 1.0}, "values": {"e@a": [0.5, 0.4]}}, ModelError, r"values\['e@a'\] has the shape \(2,\)"),
        (
            {"soft": {"e": 1.0}, "emissions": {"a": "e", "b": "e", "c": "e@a"}},
            ModelError,
            "'e', and the model a label 'e@a', the name of a member",
        ),
    ],
)
def test_soft_ties_that_cannot_be(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {
        "alphabet": "xyz",
        "transitions": {"a": {"a": "p", "b": "q"}, "b": {"b": "p", "a": "q"}, "c": {"c": 0.5, "a": 0.5}},
        "emissions": {"a": "e", "b": "e", "c": "f"},
    }
    with pytest.raises(error, match=message):
        ts.HMM(**{**arguments, **changes})


@pytest.mark.small
def test_more_that_cannot_be() -> None:
    gaussian = ts.HMM(None, ROWS, {"a": ts.Gaussian("m", 1.0), "b": ts.Gaussian("m", 2.0)}, values={"m": [0.0]})
    with pytest.raises(ModelError, match="'m', a parameter of a family of numbers; strengths are pseudocounts"):
        gaussian.fit(np.zeros(5), soft={"m": 1.0})
    model = letters({"e": 1.0}, priors={"e": 2.0})
    with pytest.raises(ModelError, match="priors= has the soft label 'e'; give priors to its members, such as 'e@a'"):
        model.fit(DATA)
    cells = ts.Categorical(labels=[[0, 1, 2], [0, 3, 4], [5, 6, 7]])
    with pytest.raises(ModelError, match="whose rows of cells share some of their values but not all"):
        ts.HMM("xyz", ROWS, LETTERS, values={"e": cells}, order=1, soft={"e": 1.0})


def test_members_that_exclude_each_other_are_no_start(tmp_path: Path) -> None:
    """Untied ones may come to that; extremely different ones may start."""
    model = letters({"e": 0}).fit(["xxx", "yzz"], paths=[[0, 0, 0], [1, 1, 1]])
    assert_allclose(model.parameters["e"], np.array([3.0, 1.0, 2.0]) / 6, rtol=1e-12, atol=0.0)
    model.save(tmp_path / "m.json")
    for found, warm in ((model, True), (ts.load(tmp_path / "m.json"), False)):
        with pytest.raises(ModelError, match="The members of the soft label 'e' exclude each other"):
            found.fit(DATA, soft={"e": 1.0}, warm_start=warm)
    apart = {"e@a": [1.0 - 2e-16, 1e-16, 1e-16], "e@b": [1e-16, 1.0 - 2e-16, 1e-16]}
    model = ts.HMM("xyz", ROWS, LETTERS, values=apart, soft={"e": 1e6}).fit(DATA, max_iter=3, tol=0.0)
    assert np.isfinite(model.history_).all()


def test_states_that_nothing_visits_follow_the_centre() -> None:
    rows = {**ROWS, "c": {"c": 0.9, "a": 0.1}}
    model = ts.HMM("xyz", rows, {**LETTERS, "c": "e"}, {"a": 1.0}, {"e": E}, soft={"e": 5.0})
    with pytest.warns(ConvergenceWarning, match="visits the state 'c': it keeps its values, but for soft ties"):
        model.fit(DATA)
    assert_allclose(model.parameters["e@c"], model.parameters["e"], rtol=1e-9, atol=0.0)
