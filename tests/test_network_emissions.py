"""A network as an HMM's emissions: P(labels | X) by enumeration, gradients by differences, training, and refusals."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hmm_cases import assert_same
from network_checks import damage, random_letters
from scipy.special import log_softmax, logsumexp

import tiedseq as ts
from tiedseq import nn
from tiedseq.chains.ascent import Objective
from tiedseq.chains.conditional import ConditionalParameters
from tiedseq.chains.logits import RowLogits
from tiedseq.simplex import Simplex
from tiedseq.training import Iteration, Options

ROWS = {"a": {"a": 0.7, "b": 0.2, "c": 0.1}, "b": {"b": 0.5, "c": 0.5}, "c": {"a": 0.3, "b": 0.3, "c": 0.4}}
ENDING = {"a": {"a": 0.6, "b": 0.3, "end": 0.1}, "b": {"b": 0.5, "a": 0.3, "end": 0.2}}
TIED = {
    "a": {"a": "stay", "b": "leave", "c": "leave"},
    "b": {"b": "stay", "a": "leave", "c": "leave"},
    "c": {"c": ts.fixed(0.5), "a": "stay", "b": "rest"},
}


def network(channels: int, symmetry: Any = None, dtype: str = "float64", seed: int = 1, **options: Any) -> Any:
    return nn.Sequential(
        nn.Conv1D(4, width=3, padding="same", symmetry=symmetry),
        nn.Tanh(),
        nn.Conv1D(channels, width=1),
        dtype=dtype,
        random_state=seed,
        **options,
    )


def hybrid(rows: Any, outputs: Any = None, decay: float = 0.0, net: Any = None, **options: Any) -> ts.HMM:
    net = net or network(len(rows) if outputs is None else 4)
    return ts.HMM(transitions=rows, emissions=nn.Emissions(net, outputs, decay), **options)


def anything(lengths: Any, n_states: int) -> list[Any]:
    return [np.ones((length, n_states), bool) for length in lengths]


def partly(generator: np.random.Generator, *lengths: int, n_states: int, known: float = 0.4) -> list[Any]:
    """Labels that are known, that exclude a state, and that say nothing."""
    allowed = anything(lengths, n_states)
    for part in allowed:
        for row in part:
            kind = generator.random()
            if kind < known:
                row[:] = np.arange(n_states) == generator.integers(n_states)
            elif kind < known + 0.3:
                row[generator.integers(n_states)] = False
    return allowed


# ---- by enumeration -------------------------------------------------------------------------------------------------


def all_paths(model: ts.HMM, potentials: Any) -> dict[tuple[int, ...], float]:
    """ln of the weight of every path: potentials, start, transitions and end."""
    document = {name: float(value) for name, value in model.parameters.items() if np.ndim(value) == 0}
    states = model.states
    ends = any(name.endswith("->end") for name in document)
    found = {}
    for path in itertools.product(range(len(states)), repeat=len(potentials)):
        names = [states[k] for k in path]
        steps = [f"start->{names[0]}", *(f"{a}->{b}" for a, b in itertools.pairwise(names))]
        steps += [f"{names[-1]}->end"] if ends else []
        weight = np.prod([document.get(step, 0.0) for step in steps])
        with np.errstate(divide="ignore"):
            found[path] = np.log(weight) + sum(row[k] for row, k in zip(potentials, path, strict=True))
    return found


@pytest.mark.small
@pytest.mark.parametrize("rows", [ROWS, ENDING], ids=["no end", "end"])
def test_it_is_what_enumeration_says(rows: Any) -> None:
    generator, n = np.random.default_rng(0), len(rows)
    model, sequences = hybrid(rows), random_letters(generator, 5, 4, 5)
    net = model.emissions_.network
    total = 0.0
    allowed = partly(generator, 5, 4, 5, n_states=n)
    for letters, labels in zip(sequences, allowed, strict=True):
        paths = all_paths(model, net(letters))
        free = logsumexp(list(paths.values()))
        inside = [log for path, log in paths.items() if labels[np.arange(len(path)), path].all()]
        expected = logsumexp(inside) - free
        np.testing.assert_allclose(model.score(letters, allowed=labels), expected, rtol=1e-12, atol=1e-12)
        total += expected
        posterior = np.zeros((len(letters), n))
        for path, log in paths.items():
            posterior[np.arange(len(path)), path] += np.exp(log - free)
        np.testing.assert_allclose(model.predict_proba(letters), posterior, rtol=1e-11, atol=1e-14)
        best = max(paths, key=paths.__getitem__)
        log, path = model.decode(letters)
        assert tuple(path) == best
        np.testing.assert_allclose(log, paths[best] - free, rtol=1e-12)
        ranked = sorted(paths.values(), reverse=True)[:4] - free
        np.testing.assert_allclose([log for log, _ in model.best_paths(letters, 4)], ranked, rtol=1e-11)
        np.testing.assert_allclose(model.score(letters, paths=np.array(best)), paths[best] - free, rtol=1e-12)
    np.testing.assert_allclose(model.score(sequences, allowed=allowed), total, rtol=1e-12)


@pytest.mark.small
def test_score_with_labels_is_joint_where_states_emit_letters() -> None:
    model = ts.HMM("ab", ENDING, {"a": [0.9, 0.1], "b": [0.3, 0.7]})
    letters = "abba"
    logs = np.log([model.emissionprob_[:, "ab".index(letter)] for letter in letters])
    paths = all_paths(model, logs)
    np.testing.assert_allclose(model.score(letters), logsumexp(list(paths.values())), rtol=1e-12)
    for path in ([0, 0, 1, 1], [1, 1, 1, 0]):
        np.testing.assert_allclose(model.score(letters, paths=np.array(path)), paths[tuple(path)], rtol=1e-12)


# ---- gradients ------------------------------------------------------------------------------------------------------


def objective_of(model: ts.HMM, X: Any, weights: Any = None, priors: Any = None, **labels: Any) -> Objective:
    data = model._observations(X, None)
    limits = model._limits(data, labels.get("allowed"), labels.get("paths"))
    parameters = model._parameters
    assert isinstance(parameters, ConditionalParameters)
    return Objective(parameters, model._batches(data, weights, limits), Options(priors=priors), map)


def check(objective: Objective, step: float = 1e-5) -> None:
    """The gradient in every logit and every weight, against central differences."""
    point = objective.initial + np.random.default_rng(3).normal(scale=0.1, size=len(objective.initial))
    _, gradient = objective(point)
    for k in range(len(point)):
        ahead, behind = point.copy(), point.copy()
        ahead[k] += step
        behind[k] -= step
        difference = (objective(ahead)[0] - objective(behind)[0]) / (2 * step)
        np.testing.assert_allclose(gradient[k], difference, rtol=1e-7, atol=1e-7, err_msg=f"value {k}")


LENGTHS = (7, 12, 1, 5)


@pytest.mark.small
@pytest.mark.parametrize("labelled", ["in full", "in part"])
@pytest.mark.parametrize("rows", [ROWS, ENDING, TIED], ids=["free", "end", "tied and held"])
def test_the_gradient_is_exact(rows: Any, labelled: str) -> None:
    generator, n = np.random.default_rng(5), len(rows)
    model, sequences = hybrid(rows, decay=0.3), random_letters(generator, *LENGTHS)
    if labelled == "in full":
        labels: Any = {"paths": [np.minimum(np.arange(length) // 3, n - 1) for length in LENGTHS]}
    else:
        labels = {"allowed": partly(generator, *LENGTHS, n_states=n, known=0.2)}
    check(objective_of(model, sequences, weights=[1.0, 0.5, 2.0, 0.0], **labels))


@pytest.mark.small
def test_the_gradient_with_tied_states_and_priors() -> None:
    """Two states share an output, one has the sum of two; a prior on a row."""
    generator = np.random.default_rng(6)
    model = hybrid(ROWS, outputs={"a": 0, "b": 0, "c": (2, 3)})
    sequences = random_letters(generator, *LENGTHS)
    allowed = partly(generator, *LENGTHS, n_states=3, known=0.2)
    net = model.emissions_.network
    logs = (
        objective_of(model, sequences, allowed=allowed)
        .parameters.machine()
        .emissions.forward(model._one(sequences[0]))[0]
    )
    out = net(sequences[0])
    np.testing.assert_allclose(logs, np.column_stack([out[:, 0], out[:, 0], out[:, 2] + out[:, 3]]), rtol=1e-14)
    check(objective_of(model, sequences, allowed=allowed, priors={"a->b": 2.0}))


@pytest.mark.small
def test_the_gradient_of_a_symmetric_network() -> None:
    generator = np.random.default_rng(7)
    net = network(4, symmetry="reverse-complement")
    model = hybrid(ENDING, outputs={"a": (0, 3), "b": (1, 2)}, net=net)
    sequences = random_letters(generator, *LENGTHS)
    check(objective_of(model, sequences, allowed=partly(generator, *LENGTHS, n_states=2)))


@pytest.mark.small
def test_the_gradient_over_numbers() -> None:
    generator = np.random.default_rng(8)
    X = [generator.normal(size=(length, 2)) for length in LENGTHS]
    model = hybrid(ENDING, net=network(2, input=2))
    assert model.alphabet is None and model.n_features == 2
    check(objective_of(model, X, allowed=partly(generator, *LENGTHS, n_states=2)))
    np.testing.assert_allclose(
        np.concatenate(model.predict_proba(X)),
        model.predict_proba(np.concatenate(X), LENGTHS),
        rtol=1e-12,
    )


@pytest.mark.small
def test_symmetric_outputs_say_the_same_of_both_strands() -> None:
    """Each state its own image, and rows that are reversible: the posterior of the reverse complement is reversed."""
    rows = {"a": {"a": 0.8, "b": 0.2}, "b": {"b": 0.8, "a": 0.2}}
    model = hybrid(rows, outputs={"a": (0, 3), "b": (1, 2)}, net=network(4, symmetry="reverse-complement"))
    letters = random_letters(np.random.default_rng(9), 50)[0]
    other = ts.DNA.decode(ts.DNA.reverse_complement(ts.DNA.encode(letters)))
    np.testing.assert_allclose(model.predict_proba(letters), model.predict_proba(other)[::-1], rtol=1e-11)


@pytest.mark.small
def test_logits_of_one_row_are_a_softmax() -> None:
    simplex = Simplex(ts.Ties(["a", "b", "c"]), [range(3)])
    logits = RowLogits(simplex, np.array([0.2, 0.3, 0.5]))
    np.testing.assert_allclose(logits.values(logits.initial), [0.2, 0.3, 0.5], rtol=1e-14)
    given = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(logits.values(given), np.exp(log_softmax(given)), rtol=1e-14)


@pytest.mark.small
def test_logits_keep_ties_that_cross_rows() -> None:
    """Rows {a, a, b} and {a, c}: one value in both, with another multiplicity."""
    simplex = Simplex(ts.Ties(["a", "a", "b", "a", "c"]), [range(3), range(3, 5)])
    current = np.array([0.3, 0.4, 0.7])
    logits = RowLogits(simplex, current)
    np.testing.assert_allclose(logits.values(logits.initial), current, rtol=1e-9)
    for seed in range(5):
        a, b, c = logits.values(np.random.default_rng(seed).normal(size=3))
        np.testing.assert_allclose([2 * a + b, a + c], 1.0, rtol=1e-14)


# ---- training -------------------------------------------------------------------------------------------------------


def drawn(generator: np.random.Generator, n: int, length: int) -> tuple[list[str], list[Any]]:
    """Stretches in which GC is frequent, seen through much noise."""
    letters, paths = [], []
    for _ in range(n):
        path = (np.cumsum(generator.random(length) < 0.05) + generator.integers(2)) % 2
        codes = np.where(
            path == 1,
            generator.choice(4, p=[0.18, 0.32, 0.32, 0.18], size=length),
            generator.choice(4, p=[0.32, 0.18, 0.18, 0.32], size=length),
        )
        letters.append("".join("ACGT"[k] for k in codes))
        paths.append(path)
    return letters, paths


TWO = {"low": {"low": 0.5, "high": 0.5}, "high": {"high": 0.5, "low": 0.5}}
UNIFORM = {"low": {"low": ts.fixed(0.5), "high": ts.fixed(0.5)}, "high": {"low": ts.fixed(0.5), "high": ts.fixed(0.5)}}


def short(**options: Any) -> Any:
    return nn.Sequential(nn.Conv1D(2, width=5, padding="same"), random_state=0, dtype="float64", **options)


def test_together_is_better_than_one_after_the_other() -> None:
    generator = np.random.default_rng(11)
    (X, paths), (unseen, truth) = drawn(generator, 40, 80), drawn(generator, 40, 80)
    start = {"low": ts.fixed(0.5), "high": ts.fixed(0.5)}
    together = ts.HMM(transitions=TWO, emissions=nn.Emissions(short(), decay=0.1), start=start)
    before = together.score(X, paths=paths)
    together.fit(X, paths=paths)
    assert together.converged_ and together.score(X, paths=paths) > before + 100
    assert (np.diff(together.history_) > -1e-9).all()
    alone = ts.HMM(transitions=UNIFORM, emissions=nn.Emissions(short(), decay=0.1), start=start).fit(X, paths=paths)
    labels = np.concatenate(paths)
    softmax = log_softmax(np.concatenate([alone.emissions_.network(x) for x in X]), axis=1)  # without transitions
    np.testing.assert_allclose(alone.score(X, paths=paths), softmax[np.arange(len(labels)), labels].sum(), rtol=1e-10)
    steps = np.zeros((2, 2))
    for path in paths:
        np.add.at(steps, (path[:-1], path[1:]), 1.0)
    steps /= steps.sum(axis=1, keepdims=True)
    counted = {s: dict(zip(TWO, row.tolist(), strict=True)) for s, row in zip(TWO, steps, strict=True)}
    apart = ts.HMM(transitions=counted, emissions=alone.emissions_, start=start)
    assert together.score(unseen, paths=truth) > apart.score(unseen, paths=truth) + 20
    assert apart.score(unseen, paths=truth) > alone.score(unseen, paths=truth) + 100

    def right(model: ts.HMM) -> float:
        found = model.decode(unseen, algorithm="posterior")[1]
        return float((np.concatenate(found) == np.concatenate(truth)).mean())

    assert right(together) > right(apart) + 0.02 > right(alone) + 0.04


def test_the_top_is_where_scipy_finds_it() -> None:
    """Another optimiser, on values that are written out by hand, finds no more."""
    from scipy.optimize import minimize

    generator = np.random.default_rng(12)
    X, _ = drawn(generator, 4, 12)
    allowed = partly(generator, *[12] * 4, n_states=2, known=0.5)
    net = nn.Sequential(nn.Conv1D(2, width=1, padding="same"), random_state=0, dtype="float64")
    model = ts.HMM(transitions=TWO, emissions=nn.Emissions(net, decay=0.5))
    model.fit(X, allowed=allowed, tol=1e-9)

    def loss(z: Any) -> float:
        rows = np.exp(log_softmax(np.reshape(z[:6], (3, 2)), axis=1))
        weight, bias = np.reshape(z[6:14], (4, 2)), z[14:]
        total = 0.25 * (z[6:14] ** 2).sum()
        for letters, labels in zip(X, allowed, strict=True):
            potential = np.array([weight["ACGT".index(letter)] for letter in letters]) + bias
            sums = []
            for mask in (np.ones_like(labels), labels):
                forward = rows[2] * np.exp(potential[0]) * mask[0]
                for t in range(1, len(letters)):
                    forward = (forward @ rows[:2]) * np.exp(potential[t]) * mask[t]
                sums.append(np.log(forward.sum()))
            total += sums[0] - sums[1]
        return float(total)

    found = minimize(loss, generator.normal(size=16), method="BFGS", options={"gtol": 1e-5})
    np.testing.assert_allclose(model.history_[-1], -found.fun, rtol=0, atol=1e-5)


def test_held_values_and_zeros_stay() -> None:
    generator = np.random.default_rng(13)
    sequences = random_letters(generator, 30, 40)
    allowed = partly(generator, 30, 40, n_states=3, known=0.3)
    model = hybrid(TIED, decay=0.1).fit(sequences, allowed=allowed)
    rows = model.transmat_
    assert rows[2, 2] == 0.5 and model.held == ("c->c",)
    assert rows[0, 0] == rows[1, 1] == rows[2, 0] and rows[0, 1] == rows[0, 2] == rows[1, 0] == rows[1, 2]
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, rtol=1e-14)
    free = hybrid(ROWS, decay=0.1).fit(sequences, allowed=partly(generator, 30, 40, n_states=3, known=0.0))
    assert free.transmat_[1, 0] == 0.0


def test_any_number_of_threads_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiedseq.chains.batches._BATCH_NUMBERS", 400)
    X, paths = drawn(np.random.default_rng(14), 20, 100)
    fits = [hybrid(TWO, decay=0.1).fit(X, paths=paths, executor=k, max_iter=20, tol=0.0) for k in (None, 2, 3)]
    assert len(fits[0]._batches(fits[0]._observations(X, None), limits=np.ones((2000, 2), bool))) > 3
    for other in fits[1:]:
        assert other.history_ == fits[0].history_
        np.testing.assert_array_equal(other._parameters.vector, fits[0]._parameters.vector)


def test_restarts_callbacks_and_going_on() -> None:
    X, paths = drawn(np.random.default_rng(15), 5, 40)
    model = hybrid(TWO, decay=1.0)
    with pytest.warns(ts.ConvergenceWarning, match="max_iter=3 iterations, and it takes 5 to see whether"):
        model.fit(X, paths=paths, max_iter=3)
    assert len(model.history_) == 4
    reached = model.history_[-1]
    model.fit(X, paths=paths, warm_start=True)
    np.testing.assert_allclose(model.history_[0], reached, rtol=1e-12)
    assert model.converged_
    again = hybrid(TWO, decay=1.0).fit(X, paths=paths, n_init=3, random_state=0)
    assert again.history_[-1] >= model.history_[-1] - 0.1
    with pytest.warns(ts.ConvergenceWarning, match="callback"):
        stopped = hybrid(TWO).fit(X, paths=paths, callback=lambda now: now.iteration == np.int64(2))
    assert len(stopped.history_) == 3


def test_the_given_network_is_left_alone_and_float32_trains() -> None:
    X, paths = drawn(np.random.default_rng(16), 10, 50)
    net = network(2, dtype="float32")
    before = net.values.copy()
    model = ts.HMM(transitions=TWO, emissions=nn.Emissions(net, decay=0.1)).fit(X, paths=paths)
    np.testing.assert_array_equal(net.values, before)
    assert model.emissions_.network.values.dtype == np.float32
    again = ts.HMM(transitions=TWO, emissions=nn.Emissions(network(2), decay=0.1)).fit(X, paths=paths)
    np.testing.assert_allclose(model.score(X, paths=paths), again.score(X, paths=paths), rtol=0, atol=2.0)
    copied = model.copy()
    copied.fit(X, paths=paths, max_iter=1, tol=0.0)
    assert copied.score(X, paths=paths) != model.score(X, paths=paths)


def test_ragged_batches_equal_single_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(17)
    X = random_letters(generator, 3, 30, 8, 30, 1, 17)
    model = hybrid(ROWS)
    monkeypatch.setattr("tiedseq.nn.emissions._POSITIONS", 40)
    together, single = model.predict_proba(X), [model.predict_proba(x) for x in X]
    for a, b in zip(together, single, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11)
    assert repr(model).endswith("free parameters") and "0.conv1d.weight" in repr(model)
    assert "network" in repr(nn.Emissions(network(2))).lower() or "Sequential" in repr(nn.Emissions(network(2)))


@pytest.mark.filterwarnings("ignore::tiedseq.errors.ConvergenceWarning")
@pytest.mark.parametrize("n_init", [1, 3])
def test_an_interrupted_training_goes_on_to_the_same_bits(n_init: int, tmp_path: Path) -> None:
    X, paths = drawn(np.random.default_rng(22), 3, 30)
    options: dict[str, Any] = {"paths": paths, "max_iter": 12, "tol": 0.0, "n_init": n_init, "random_state": 4}
    whole, shown = hybrid(TWO), list[tuple[int, int]]()
    whole.fit(X, **options)
    file = tmp_path / "state.json"

    def stop(now: Iteration) -> None:
        shown.append((now.restart, now.iteration))
        if now.iteration in (5, 8) and shown.count(shown[-1]) == 1 and now.restart == n_init - 1:
            raise KeyboardInterrupt

    model = hybrid(TWO)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, checkpoint=file, callback=stop, **options)
        assert file.exists()
    with pytest.raises(ts.InputError, match="of another model, data or options"):
        model.fit(X[:2], checkpoint=file, **{**options, "paths": paths[:2]})
    model.fit(X, checkpoint=file, callback=stop, **options)
    assert not file.exists() and model.history_ == whole.history_
    assert_same(model, whole)
    assert shown == [(restart, iteration) for restart in range(n_init) for iteration in range(13)]


@pytest.mark.parametrize(
    ("where", "value"), [(["start"], [0.5]), (["start"], None), (["found", 0], [1.0, [2.0]]), (["told"], "many")]
)
def test_a_damaged_checkpoint_is_refused(where: list[Any], value: Any, tmp_path: Path) -> None:
    X, paths = drawn(np.random.default_rng(22), 3, 30)
    file = tmp_path / "state.json"

    def stop(now: Iteration) -> None:
        if now.iteration == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hybrid(TWO).fit(X, paths=paths, checkpoint=file, callback=stop)
    damage(file, where, value)
    with pytest.raises(ts.InputError, match="the checkpoint is damaged: remove it to start anew"):
        hybrid(TWO).fit(X, paths=paths, checkpoint=file)


# ---- refusals -------------------------------------------------------------------------------------------------------


def test_what_is_refused() -> None:
    X, paths = drawn(np.random.default_rng(18), 2, 20)
    model = hybrid(TWO)
    with pytest.raises(ts.ArgumentError, match="there are none: without them its potentials would grow without bound"):
        model.fit(X)
    with pytest.raises(ts.ArgumentError, match="allows every state everywhere"):
        model.fit(X, allowed=anything((20, 20), 2))
    with pytest.raises(ts.ArgumentError, match="paths= holds 2"):
        model.fit(X, paths=[np.full(20, 2)] * 2)
    with pytest.raises(ts.ArgumentError, match="trained by its gradient"):
        model.fit(X, paths=paths, algorithm="viterbi")
    with pytest.raises(ts.ModelError, match="soft="):
        model.fit(X, paths=paths, soft={"low->low": 1.0})
    with pytest.raises(ts.ModelError, match="a weight of the network"):
        model.fit(X, paths=paths, priors={"0.conv1d.weight": 1.0})
    for asked in (model.score, model.aic, model.bic, model.score_samples):
        with pytest.raises(ts.ModelError, match=r"says P\(path \| X\), and nothing of X itself"):
            asked(X)
    for refused in (lambda: model.sample(5), lambda: model.standard_errors(X), model.nesting):
        with pytest.raises(ts.ModelError, match=r"says P\(path \| X\) alone"):
            refused()
    with pytest.raises(AttributeError, match="emissionprob_"):
        _ = model.emissionprob_
    with pytest.raises(AttributeError, match="emissions_"):
        _ = ts.HMM("ab", {"s": {"s": 1.0}}, {"s": [0.5, 0.5]}).emissions_
    left = hybrid({"low": {"low": 0.5, "high": 0.5}, "high": {"high": 1.0}})
    with pytest.raises(ts.SequenceError, match="Sequence 1: no path with these labels goes on to position 3"):
        left.fit(["ACGTA", "ACGTA"], paths=[[0, 0, 0, 1, 1], [0, 0, 1, 0, 0]])


@pytest.mark.small
def test_networks_that_do_not_fit() -> None:
    with pytest.raises(ts.ModelError, match=r"3 outputs a position, and the model 2 states \('low', 'high'\)"):
        hybrid(TWO, net=network(3))
    with pytest.raises(ts.ModelError, match=r"outputs\['high'\] is 7; the network's outputs are 0 to 3"):
        hybrid(TWO, outputs={"low": 0, "high": 7})
    with pytest.raises(ts.ModelError, match=r"outputs\['high'\] is empty"):
        hybrid(TWO, outputs={"low": 0, "high": ()})
    with pytest.raises(ts.ModelError, match="outputs= lacks the state 'high'"):
        hybrid(TWO, outputs={"low": 0})
    with pytest.raises(ts.ModelError, match="transitions= lacks the state 'other'"):
        hybrid(TWO, outputs={"low": 0, "high": 1, "other": 2})
    with pytest.raises(ts.ModelError, match=r"nn.Emissions\(network\)"):
        ts.HMM(transitions=TWO, emissions=network(2))
    with pytest.raises(ts.ModelError, match="leaves no positions"):
        nn.Emissions(nn.Sequential(nn.Conv1D(2, width=3), nn.GlobalMaxPool()))
    shrinking = hybrid(TWO, net=nn.Sequential(nn.Conv1D(2, width=3)))
    with pytest.raises(ts.ModelError, match="makes 6 positions of 8"):
        shrinking.predict("ACGTACGT")
    with pytest.raises(ts.ArgumentError, match="network="):
        nn.Emissions(nn.ReLU())
    with pytest.raises(ts.ArgumentError, match="decay must be a finite number of at least 0, not -1"):
        nn.Emissions(network(2), decay=-1)
    with pytest.raises(ts.ModelError, match="alphabet="):
        hybrid(TWO, alphabet="01")
    with pytest.raises(ts.ModelError, match="symmetry="):
        hybrid(TWO, symmetry="reverse-complement")
    with pytest.raises(ts.ModelError, match="order=1"):
        hybrid(TWO, order=1)
    with pytest.raises(ts.ModelError, match="names a transition and a weight"):
        hybrid({"a": {"a": "0.conv1d.weight", "b": "x"}, "b": {"b": "0.conv1d.weight", "a": "x"}})
    fixed_length = hybrid(TWO, net=network(2, length=10))
    with pytest.raises(ts.SequenceError, match="has 4 positions, and the network takes length=10"):
        fixed_length.predict("ACGT")
    numbers = hybrid(TWO, net=network(2, input=3))
    with pytest.raises(ts.SequenceError, match=r"the network takes \(length, 3\)"):
        numbers.predict(np.zeros((5, 2)))
    with pytest.raises(ts.SequenceError, match="many are a list"):
        numbers.predict(np.zeros((2, 5, 3)))
    with pytest.raises(ts.SequenceError, match="not finite"):
        numbers.predict(np.full((5, 3), np.nan))
    grown = network(2)
    grown.values = np.full(grown.n_parameters, 1e308)
    with pytest.raises(ts.ModelError, match="not all finite"):
        hybrid(TWO, net=grown).predict("ACGT")


# ---- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_file_gives_the_model_back(tmp_path: Path, dtype: str) -> None:
    X, paths = drawn(np.random.default_rng(19), 5, 40)
    net = network(4, symmetry="reverse-complement", dtype=dtype)
    model = hybrid(TWO, outputs={"low": (0, 3), "high": (1, 2)}, decay=0.5, net=net)
    model.fit(X, paths=paths)
    model.save(tmp_path / "model.json")
    again = ts.load(tmp_path / "model.json")
    assert again.score(X, paths=paths) == model.score(X, paths=paths)
    assert again.alphabet == ts.DNA and again.states == model.states
    for label, value in model.parameters.items():
        np.testing.assert_array_equal(again.parameters[label], value)
    made = ts.HMM(**again.get_params())
    np.testing.assert_allclose(made.score(X, paths=paths), model.score(X, paths=paths), rtol=1e-12)
    reached = again.fit(X, paths=paths, warm_start=True).history_[0]
    np.testing.assert_allclose(reached, model.history_[-1], rtol=1e-6 if dtype == "float32" else 1e-12)
    document = json.loads((tmp_path / "model.json").read_text())
    document["network"]["outputs"]["low"] = [9]
    (tmp_path / "broken.json").write_text(json.dumps(document))
    with pytest.raises(ts.InputError, match=r"outputs\['low'\]"):
        ts.load(tmp_path / "broken.json")
    del document["network"]["decay"]
    (tmp_path / "broken.json").write_text(json.dumps(document))
    with pytest.raises(ts.InputError, match="decay"):
        ts.load(tmp_path / "broken.json")


@pytest.mark.parametrize(("dtype", "size"), [("float64", 1e150), ("float64", 1e308), ("float32", 3e38)])
def test_numbers_that_are_too_large_are_told(dtype: str, size: float) -> None:
    X, paths = [np.full((5, 3), size), np.ones((4, 3))], [[0, 1, 1, 0, 0], [0, 1, 1, 0]]
    net = nn.Sequential(nn.Conv1D(2, 3, padding="same"), input=3, dtype=dtype, random_state=0)
    model = ts.HMM(transitions={"a": {"a": 0.9, "b": 0.1}, "b": {"a": 0.2, "b": 0.8}}, emissions=nn.Emissions(net))
    with pytest.raises(ts.ModelError, match=r"The network's (outputs|derivatives) are not all finite.*scale the input"):
        model.fit(X, paths=paths, max_iter=2)
    if dtype == "float64":
        with pytest.raises(ts.ModelError, match="outputs are not all finite"):
            model.predict(X)


@pytest.mark.parametrize("outputs", [3, [0, 1]])
def test_outputs_of_states_are_a_mapping(outputs: Any) -> None:
    with pytest.raises(ts.ArgumentError, match=r"outputs=.* must map every state"):
        nn.Emissions(nn.Sequential(nn.Conv1D(2, 3, padding="same")), outputs=outputs)


@pytest.mark.parametrize("length", [None, 8])
def test_the_sequence_that_does_not_fit_is_named(length: int | None) -> None:
    net = nn.Sequential(nn.Conv1D(2, 4), nn.Conv1D(2, 4, padding=3), length=length, random_state=0)
    model = ts.HMM(transitions={"a": {"a": 0.9, "b": 0.1}, "b": {"a": 0.2, "b": 0.8}}, emissions=nn.Emissions(net))
    X = ["ACGTACGT"] * 5000  # several batches
    X[4321] = "ACG"
    why = "has 3 positions, and the network takes length=8" if length else "of 3 positions is shorter"
    with pytest.raises(ts.SequenceError, match=f"^Sequence 4321.* {why}"):
        model.predict(X)
