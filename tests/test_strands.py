"""HMMs that say the same of both strands, beside sums over all paths that only the flows and words are needed for."""

from __future__ import annotations

import itertools
import json
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.optimize import minimize

import tiedseq as ts
from tiedseq.errors import ArgumentError, ConvergenceWarning, InputError, ModelError

Floats = NDArray[np.float64]
SYMMETRY = "reverse-complement"
STANDS_FOR = {"A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "N": "ACGT"}
OTHER = str.maketrans("ACGTRYN", "TGCAYRN")

ISLANDS = {"island": {"island": 0.9, "sea": 0.1}, "sea": {"sea": 0.8, "island": 0.2}}
GENES = {
    "gene+": {"gene+": 0.9, "space": 0.1},
    "gene-": {"gene-": 0.8, "space": 0.2},
    "space": {"space": 0.7, "gene+": 0.1, "gene-": 0.2},
}
ENDING = {
    "gene+": {"gene+": 0.8, "space": 0.2},
    "gene-": {"gene-": 0.8, "space": 0.1, "end": 0.1},
    "space": {"space": 0.6, "gene+": 0.1, "gene-": 0.2, "end": 0.1},
}


def islands(order: int, **options: Any) -> ts.HMM:
    letters = {"island": "in", "sea": "out"}
    return ts.HMM(ts.DNA, ISLANDS, letters, order=order, symmetry=SYMMETRY, **{"random_state": 1, **options})


def genes(order: int, **options: Any) -> ts.HMM:
    letters = {"gene+": "coding", "gene-": ts.complement("coding"), "space": "other"}
    return ts.HMM(ts.DNA, GENES, letters, order=order, symmetry=SYMMETRY, **{"random_state": 2, **options})


def ending(order: int, **options: Any) -> ts.HMM:
    start = {"gene+": 0.4, "space": 0.6}
    letters = {"gene+": "coding", "space": "other"}  # that of gene- follows
    return ts.HMM(ts.DNA, ENDING, letters, start, order=order, symmetry=SYMMETRY, **{"random_state": 3, **options})


MODELS = [(build, order) for build in (islands, genes, ending) for order in (0, 1, 2)]


def reverse_complement(text: str) -> str:
    return text.translate(OTHER)[::-1]


def drawn_text(n: int, seed: int, letters: str = "ACGTACGTACGTNRY") -> str:
    return "".join(np.random.default_rng(seed).choice(list(letters), n))


# ---- all paths, from the joint tables alone ------------------------------------------------------------------------


def flow(model: ts.HMM) -> tuple[Floats, list[str]]:
    """The flow from state to state, the outside last if the model has an end; every step of an orbit by hand."""
    names = [*model.states, *(["outside"] if any("end" in label for label in model.parameters) else [])]
    image = {name: name[:-1] + {"+": "-", "-": "+"}.get(name[-1], name[-1]) for name in names}
    table = np.zeros((len(names), len(names)))
    for label, value in model.parameters.items():
        if label.startswith("flow "):
            i, j = label[5:].split("->")
            i, j = "outside" if i == "start" else i, "outside" if j == "end" else j
            table[names.index(i), names.index(j)] = value
            table[names.index(image[j]), names.index(image[i])] = value
    return table, names


def words_of(model: ts.HMM) -> dict[str, Floats]:
    """The joint table of every state."""
    found = {}
    for state in model.states:
        if isinstance(model, ts.HMM) and state == "gene-":
            table = model.parameters["coding"]
            found[state] = np.array(
                [table[tuple(3 - k for k in reversed(word))] for word in np.ndindex(table.shape)]
            ).reshape(table.shape)
        else:
            label = {"island": "in", "sea": "out", "gene+": "coding", "space": "other"}[state]
            found[state] = model.parameters[label]
    return found


def joint(table: Floats, letters: str) -> float:
    """How often unambiguous letters stand next to each other in one state: words over what they share."""
    size = table.ndim
    codes = ["ACGT".index(letter) for letter in letters]
    if len(codes) <= size:
        return float(table[tuple(codes)].sum())
    p = float(table[tuple(codes[:size])])
    for t in range(size, len(codes)):
        word = codes[t - size + 1 : t + 1]
        p *= float(table[tuple(word)]) / (float(table[tuple(word[:-1])].sum()) if size > 1 else 1.0)
    return p


def segment(table: Floats, letters: str) -> float:
    """The same for a stay, which ambiguous letters break."""
    p, run = 1.0, ""
    for letter in [*letters, "|"]:
        if letter in "ACGT":
            run += letter
            continue
        p *= joint(table, run) if run else 1.0
        run = ""
        if letter != "|":
            p *= sum(joint(table, one) for one in STANDS_FOR[letter])
    return p


def path_probability(model: ts.HMM, text: str, path: tuple[int, ...]) -> float:
    table, names = flow(model)
    visits, words = table.sum(axis=1), words_of(model)
    outside = len(model.states) if "outside" in names else None
    walk = path if outside is None else (outside, *path, outside)
    p = float(visits[walk[0]]) if outside is None else 1.0
    for i, j in pairwise(walk):
        p *= float(table[i, j] / visits[i]) if visits[i] > 0.0 else 0.0
    for state, stay in itertools.groupby(range(len(path)), key=lambda t: path[t]):
        places = list(stay)
        p *= segment(words[model.states[state]], text[places[0] : places[-1] + 1])
    return p


def all_paths(model: ts.HMM, text: str) -> dict[tuple[int, ...], float]:
    paths = itertools.product(range(len(model.states)), repeat=len(text))
    return {path: path_probability(model, text, path) for path in paths}


# ---- equal to enumeration, and on both strands ---------------------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize(("build", "order"), MODELS)
def test_all_that_paths_say(build: Any, order: int) -> None:
    model = build(order)
    for number, text in enumerate(["A", "CG", "ACGCN", "TRGCA", "NNACG"]):
        paths = all_paths(model, text)
        total = sum(paths.values())
        assert_allclose(model.score(text), np.log(total), rtol=1e-10)
        posterior = np.zeros((len(text), len(model.states)))
        for path, p in paths.items():
            posterior[np.arange(len(text)), path] += p / total
        assert_allclose(model.predict_proba(text), posterior, rtol=0, atol=1e-10)
        ranked = sorted(paths.items(), key=lambda item: -item[1])
        log, path = model.decode(text)
        assert_allclose(log, np.log(ranked[0][1]), rtol=1e-10)
        assert_allclose(path_probability(model, text, tuple(path.tolist())), ranked[0][1], rtol=1e-10)
        best = model.best_paths(text, 3)
        assert_allclose([p for p, _ in best], [np.log(p) for _, p in ranked[: len(best)]], rtol=1e-9)
        drawn = model.sample_paths(text, 50, random_state=number)
        assert all(paths[tuple(path.tolist())] > 0.0 for path in drawn)


@pytest.mark.small
@pytest.mark.parametrize(("build", "order"), MODELS)
def test_a_sequence_and_its_reverse_complement_are_equally_likely(build: Any, order: int) -> None:
    model = build(order)
    image = [model.states.index({"gene+": "gene-", "gene-": "gene+"}.get(state, state)) for state in model.states]
    for length in (1, 2, 3, 40):
        text = drawn_text(length, length)
        assert_allclose(model.score(text), model.score(reverse_complement(text)), rtol=1e-12)
        mirrored = model.predict_proba(reverse_complement(text))[::-1][:, image]
        assert_allclose(model.predict_proba(text), mirrored, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("build", "order"), [(islands, 1), (genes, 1), (genes, 3)])
def test_so_are_long_ones_that_are_cut_into_pieces(build: Any, order: int) -> None:
    model, text = build(order), drawn_text(150_000, 9, "ACGT" * 50 + "N")
    assert_allclose(model.score(text), model.score(reverse_complement(text)), rtol=1e-12)


@pytest.mark.small
@pytest.mark.parametrize("order", [0, 1, 2])
def test_all_sequences_of_one_length_sum_to_one(order: int) -> None:
    for model in (islands(order), genes(order)):
        total = sum(np.exp(model.score("".join(word))) for word in itertools.product("ACGT", repeat=4))
        assert_allclose(total, 1.0, rtol=1e-12)


@pytest.mark.small
def test_order_0_is_the_ordinary_model_that_starts_where_it_is_in_the_long_run() -> None:
    model = genes(0)
    coding, other = model.parameters["coding"], model.parameters["other"]
    rows = {
        a: dict(zip(model.states, row.tolist(), strict=True))
        for a, row in zip(model.states, model.transmat_, strict=True)
    }
    start = dict(zip(model.states, model.startprob_.tolist(), strict=True))
    assert_allclose(model.startprob_, model.stationary_distribution(), rtol=1e-12)
    plain = ts.HMM(ts.DNA, rows, {"gene+": coding, "gene-": coding[::-1], "space": other}, start)
    for seed in range(5):
        text = drawn_text(50, seed)
        assert_allclose(model.score(text), plain.score(text), rtol=1e-11)
        assert_allclose(model.predict_proba(text), plain.predict_proba(text), rtol=0, atol=1e-10)


@pytest.mark.small
def test_a_single_state_of_order_1_is_the_markov_chain_of_both_strands() -> None:
    """Trained on one circle it has the words of both strands, but for the letter at which the circle was opened."""
    text = drawn_text(600, 4, "AACGT")
    model = ts.HMM.ergodic(1, alphabet=ts.DNA, order=1, symmetry=SYMMETRY, random_state=0)
    model.fit(text + text[0], tol=1e-9)
    words = np.zeros((4, 4))
    for strand in (text, reverse_complement(text)):
        for pair in pairwise(strand + strand[0]):
            words[tuple("ACGT".index(letter) for letter in pair)] += 1.0
    assert_allclose(model.parameters["emission s0"], words / words.sum(), rtol=0, atol=5e-4)


# ---- training ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("build", "order"), MODELS)
@pytest.mark.parametrize("algorithm", ["baum-welch", "viterbi"])
def test_training_never_makes_it_worse_and_keeps_every_tie(build: Any, order: int, algorithm: str) -> None:
    data = [drawn_text(120, seed) for seed in range(4)]
    trail: list[ts.HMM] = []

    def note(now: Any) -> None:
        trail.append(model.copy())

    model = build(order, callback=note)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(data, max_iter=12, tol=0.0, algorithm=algorithm)
    assert min(np.diff(model.history_)) >= -1e-9 * abs(model.history_[0])
    assert model.history_[-1] > model.history_[0] + 1.0
    for step in [*trail, model]:
        table = step.parameters["other" if "space" in step.states else "out"]
        for word in np.ndindex(table.shape):
            assert table[word] == table[tuple(3 - k for k in reversed(word))]
        text = data[0]
        assert_allclose(step.score(text), step.score(reverse_complement(text)), rtol=1e-11)


@pytest.mark.small
def test_priors_are_in_the_history() -> None:
    priors = {"flow island->sea": 3.0, "in": 2.0}
    model = islands(1, priors=priors, max_iter=10, tol=0.0).fit([drawn_text(80, 3)])
    assert min(np.diff(model.history_)) >= -1e-9
    values, (step, words) = model.parameters, (3.0, 2.0)
    orbits = {min(word, tuple(3 - k for k in reversed(word))) for word in np.ndindex(4, 4)}
    before = islands(1).parameters
    prior = step * np.log(before["flow island->sea"]) + words * sum(np.log(before["in"][word]) for word in orbits)
    assert_allclose(model.history_[0], islands(1).score(drawn_text(80, 3)) + prior, rtol=1e-10)
    assert values["flow island->sea"] > 0.0


def test_the_maximum_is_that_of_a_general_optimiser() -> None:
    """Weights under the mirror as parameters, their balanced tables by NumPy's eigenvectors, likelihood by hand."""
    data = [drawn_text(25, seed, "AACCGGT") for seed in range(6)]
    codes = [["ACGT".index(letter) for letter in text] for text in data]

    def balanced(weights: Floats) -> Floats:
        values, right = np.linalg.eig(weights)
        k = int(values.real.argmax())
        other, left = np.linalg.eig(weights.T)
        table = weights * np.abs(left[:, int(other.real.argmax())].real)[:, None] * np.abs(right[:, k].real)
        return table / table.sum()

    def words(logs: Floats) -> Floats:
        table, k = np.zeros((4, 4)), iter(logs.tolist())
        for a, b in np.ndindex(4, 4):
            if (a, b) <= (3 - b, 3 - a):
                table[a, b] = table[3 - b, 3 - a] = np.exp(next(k))
        return balanced(table)

    def loss(v: Floats) -> float:
        v = np.clip(v, -12.0, 12.0)
        steps = balanced(np.exp(np.array([[v[0], v[1]], [v[1], v[2]]])))
        pi = steps.sum(axis=1)
        move, tables = steps / pi[:, None], [words(v[3:13]), words(v[13:23])]
        first, after = [t.sum(axis=1) for t in tables], [t / t.sum(axis=1, keepdims=True) for t in tables]
        total = 0.0
        for sequence in codes:  # forward over (state, whether it has just been entered)
            new = np.array([pi[s] * first[s][sequence[0]] for s in (0, 1)])
            old = np.zeros(2)
            for a, b in pairwise(sequence):
                stay = [(new[s] + old[s]) * move[s, s] * after[s][a, b] for s in (0, 1)]
                new = np.array([(new[1 - s] + old[1 - s]) * move[1 - s, s] * first[s][b] for s in (0, 1)])
                old = np.array(stay)
            total += np.log(new.sum() + old.sum())
        return -float(total)

    model = islands(1, tol=1e-7, max_iter=3000)
    model.fit(data)
    start = islands(1).parameters
    orbits = [(a, b) for a, b in np.ndindex(4, 4) if (a, b) <= (3 - b, 3 - a)]

    def logs_of(parameters: dict[str, Any]) -> Floats:
        """Weights whose balanced tables are the parameters: each over the root of both its visits."""
        found = []
        table = np.array(
            [[parameters["flow island->island"], parameters["flow island->sea"]], [0.0, parameters["flow sea->sea"]]]
        )
        table[1, 0] = table[0, 1]
        for cells, places in (
            (table, [(0, 0), (0, 1), (1, 1)]),
            (parameters["in"], orbits),
            (parameters["out"], orbits),
        ):
            visits = cells.sum(axis=1)
            found += [np.log(max(cells[p], 1e-12) / np.sqrt(visits[p[0]] * visits[p[1]])) for p in places]
        return np.array(found)

    assert_allclose(loss(logs_of(start)), -islands(1).score(data), rtol=1e-9)
    best = minimize(loss, logs_of(start), method="BFGS", options={"gtol": 1e-5, "maxiter": 400})
    assert model.history_[-1] >= -best.fun - 1e-3
    again = minimize(loss, logs_of(model.parameters), method="BFGS", options={"gtol": 1e-5, "maxiter": 200})
    assert_allclose(model.history_[-1], -again.fun, rtol=0, atol=2e-3)  # nothing is left to gain from there


def test_known_paths_give_the_counts_of_their_stays() -> None:
    model = islands(1, tol=1e-9)
    text = drawn_text(3000, 8, "ACGT")
    truth = np.repeat([0, 1, 0], [1200, 1300, 500])
    model.fit(text, paths=truth)
    words = np.zeros((4, 4))
    for strand, path in ((text, truth), (reverse_complement(text), truth[::-1])):
        for t in range(len(text) - 1):
            if path[t] == path[t + 1] == 1:
                words["ACGT".index(strand[t]), "ACGT".index(strand[t + 1])] += 1.0
    assert_allclose(model.parameters["out"], words / words.sum(), rtol=0, atol=5e-4)
    assert_allclose(model.transmat_[1, 0], 1 / 1300, rtol=0.5)


def test_threads_checkpoints_and_restarts(tmp_path: Path) -> None:
    data = [drawn_text(3000, seed, "ACGT") for seed in range(40)]
    options: dict[str, Any] = {"max_iter": 6, "tol": 0.0, "n_init": 2, "random_state": 5}
    one, two = genes(1).fit(data, **options), genes(1).fit(data, executor=2, **options)
    assert one.history_ == two.history_
    for label, value in one.parameters.items():
        assert_array_equal(value, two.parameters[label])

    def interrupt(now: Any) -> None:
        if now.restart == 1 and now.iteration == 3:
            raise KeyboardInterrupt

    file = tmp_path / "halfway.json"
    with pytest.raises(KeyboardInterrupt):
        genes(1).fit(data, checkpoint=file, callback=interrupt, **options)
    resumed = genes(1).fit(data, checkpoint=file, **options)
    assert resumed.history_ == one.history_
    assert_array_equal(resumed.parameters["coding"], one.parameters["coding"])


# ---- errors, files, draws ------------------------------------------------------------------------------------------


def test_standard_errors_are_those_of_the_curvature() -> None:
    """One state of order 0 has one free number, the share of A and T: a binomial proportion, halved."""
    data = [drawn_text(500, seed, "AAACGT") for seed in range(4)]
    model = ts.HMM.ergodic(1, alphabet=ts.DNA, symmetry=SYMMETRY, random_state=0).fit(data, tol=1e-9)
    n = 2000
    share = 2.0 * float(model.parameters["emission s0"][0])
    wanted = np.sqrt(share * (1.0 - share) / n) / 2.0
    assert_allclose(model.standard_errors(data)["emission s0"], np.full(4, wanted), rtol=1e-5)
    chain = islands(1, tol=1e-6, max_iter=2000).fit([islands(1).sample(4000, random_state=0)[0]])
    errors = chain.standard_errors([islands(1).sample(4000, random_state=0)[0]])
    assert errors["flow island->sea"] > 0.0
    assert_allclose(errors["in"], errors["in"][::-1, ::-1].T, rtol=1e-12)


@pytest.mark.small
@pytest.mark.parametrize(("build", "order"), MODELS)
def test_files_keep_every_bit(build: Any, order: int, tmp_path: Path) -> None:
    data = [drawn_text(60, 1)]
    model = build(order, max_iter=3, tol=0.0).fit(data)
    model.save(tmp_path / "model.json")
    loaded = ts.load(tmp_path / "model.json")
    assert json.loads((tmp_path / "model.json").read_text())["symmetry"] == SYMMETRY
    assert loaded.score(data) == model.score(data)
    assert loaded.n_free_parameters == model.n_free_parameters
    for label, value in model.parameters.items():
        assert_array_equal(loaded.parameters[label], value)
    assert (
        loaded.fit(data, max_iter=2, tol=0.0).history_ == model.fit(data, max_iter=2, tol=0.0, warm_start=True).history_
    )


def test_what_is_drawn_has_the_frequencies_of_the_model() -> None:
    model = genes(1)
    text, path = model.sample(40_000, random_state=0)
    table, _ = flow(model)
    steps = np.zeros((3, 3))
    np.add.at(steps, (path[:-1], path[1:]), 1.0 / (len(path) - 1))
    assert_allclose(steps, table, rtol=0, atol=0.02)
    words, counts = words_of(model), {state: np.zeros((4, 4)) for state in model.states}
    for t in range(1, len(text)):
        if path[t] == path[t - 1]:
            counts[model.states[path[t]]]["ACGT".index(text[t - 1]), "ACGT".index(text[t])] += 1.0
    for state, found in counts.items():
        assert_allclose(found / found.sum(), words[state], rtol=0, atol=0.02)
    letters, states = ending(2).sample(random_state=3)
    assert len(letters) == len(states)


@pytest.mark.small
def test_held_letters_stay() -> None:
    table = islands(1).parameters["in"]
    model = ts.HMM(
        ts.DNA,
        ISLANDS,
        {"island": "in", "sea": "out"},
        values={"in": ts.fixed(table)},
        order=1,
        symmetry=SYMMETRY,
        random_state=0,
    )
    free = islands(1)
    assert model.held == ("in",)
    assert model.n_free_parameters == free.n_free_parameters - 7
    model.fit(drawn_text(200, 0), max_iter=3, tol=0.0)
    assert_allclose(model.parameters["in"], table, rtol=0, atol=1e-12)


@pytest.mark.small
def test_conditional_tables_become_the_words_of_both_strands() -> None:
    rng = np.random.default_rng(0)
    conditional = rng.dirichlet(np.ones(4), 4)
    model = ts.HMM(ts.DNA, {"s": {"s": 1.0}}, {"s": conditional}, order=1, symmetry=SYMMETRY)
    values, vectors = np.linalg.eig(conditional.T)
    pi = np.abs(vectors[:, values.real.argmax()].real)
    words = pi[:, None] / pi.sum() * conditional
    assert_allclose(model.parameters["s"], (words + words[::-1, ::-1].T) / 2.0, rtol=1e-10)
    same = ts.HMM(ts.DNA, {"s": {"s": 1.0}}, {"s": model.parameters["s"]}, order=1, symmetry=SYMMETRY)
    assert_allclose(same.parameters["s"], model.parameters["s"], rtol=1e-10)
    assert_allclose(model.emissionprob_[0].sum(axis=1), 1.0, rtol=1e-12)


def test_strand_symmetry_as_a_hypothesis() -> None:
    rows = {"island": {"island": 0.98, "sea": 0.02}, "sea": {"sea": 0.95, "island": 0.05}}
    tables = {"island": [0.1, 0.4, 0.4, 0.1], "sea": [0.3, 0.2, 0.2, 0.3]}
    null, free = ts.HMM(ts.DNA, rows, tables, symmetry=SYMMETRY), ts.HMM(ts.DNA, rows, tables)
    data = [null.sample(600, random_state=seed)[0] for seed in range(5)]
    result = ts.compare(null, free, data)
    assert result.df == 5  # two of each table, and the start
    assert result.statistic >= 0.0
    skewed = ts.HMM(ts.DNA, rows, {"island": [0.1, 0.6, 0.2, 0.1], "sea": [0.2, 0.3, 0.2, 0.3]})
    rejected = ts.compare(null, skewed, [skewed.sample(600, random_state=seed)[0] for seed in range(5)])
    assert rejected.p_value is not None and rejected.p_value < 1e-6
    one = ts.HMM(ts.DNA, rows, {"island": "all", "sea": "all"}, order=1, symmetry=SYMMETRY, random_state=0)
    two = ts.HMM(ts.DNA, rows, {"island": "in", "sea": "out"}, order=1, symmetry=SYMMETRY, random_state=0)
    assert ts.compare(one, two, data, max_iter=30).df == 7
    with pytest.raises(ModelError, match="'all'"):
        ts.compare(two, one, data)
    with pytest.raises(ModelError, match="symmetry="):
        ts.compare(free, null, data)
    with pytest.raises(ModelError, match="order=1"):
        ts.compare(two, ts.HMM.ergodic(2, alphabet=ts.DNA, order=1, random_state=0), data)


# ---- what cannot be ------------------------------------------------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symmetry": "palindrome"}, "symmetry='palindrome'"),
        ({"alphabet": "ACGT"}, "complement"),
        ({"alphabet": None}, "complement"),
        ({"order": 5}, "order=5"),
        ({"start": {"island": 0.5, "sea": 0.5}}, "start="),
        ({"transitions": {"island": {"island": "stay", "sea": "go"}, "sea": {"sea": 0.5, "island": 0.5}}}, "'stay'"),
        ({"transitions": {"island": {"island": ts.fixed(0.9), "sea": 0.1}, "sea": {"sea": 1.0}}}, "fixed"),
        ({"transitions": {"island": {"sea": 1.0}, "sea": {"sea": 1.0}}}, "image"),
        ({"transitions": {"island": {"island": 1.0}, "sea": {"sea": 1.0}}}, "every state"),
        ({"emissions": {"island": "in", "sea": None}}, "silent"),
        ({"emissions": {"island": "in"}}, "lacks the state 'sea'"),
        ({"emissions": {"island": "in", "sea": ts.Poisson(1.0)}}, "Poisson"),
        ({"emissions": {"island": "in", "sea": ts.Categorical(labels=["w", "s", "s", "w"])}}, "Categorical"),
        ({"values": {"inn": [0.25] * 4}}, "did you mean 'in'"),
        ({"values": {"in": [0.25] * 3}}, "shape"),
        ({"values": {"in": [0.25, 0.25, 0.25, 0.2]}}, "0.95"),
        ({"values": {"in": ts.fixed([0.4, 0.1, 0.1, 0.4]), "out": ts.fixed([0.4, 0.2, 0.2, 0.2])}}, "'out' is held at"),
        ({"values": {"in": [0.5, 0.5, 0.0, 0.0]}}, "reverse complement"),
        ({"emissions": {"island": "flow", "sea": "out"}}, "rename"),
        (
            {"transitions": {"a+": {"a+": 0.5, "sea": 0.5}, "sea": {"sea": 0.5, "a+": 0.5}}},
            "no mirror image 'a-'",
        ),
        ({"order": 1, "values": {"in": ts.fixed(np.arange(1.0, 17.0).reshape(4, 4) / 136.0)}}, "held at a table"),
    ],
)
def test_what_a_strand_symmetric_model_cannot_have(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "alphabet": ts.DNA,
        "transitions": ISLANDS,
        "emissions": {"island": "in", "sea": "out"},
        "symmetry": SYMMETRY,
        "random_state": 0,
    }
    with pytest.raises((ModelError, ArgumentError), match=message):
        ts.HMM(**{**arguments, **change})


def test_what_does_not_nest() -> None:
    null = islands(0)
    rows = {a: dict(row) for a, row in ISLANDS.items()}
    tables = {"island": [0.3, 0.2, 0.2, 0.3], "sea": [0.2, 0.3, 0.3, 0.2]}
    data = drawn_text(200, 0, "ACGT")
    for wrong in (
        ts.HMM(ts.DNA, rows, tables, {"island": 1.0}),
        ts.HMM(ts.DNA, rows, {**tables, "sea": [0.5, 0.0, 0.5, 0.0]}),
        ts.HMM(ts.DNA, {**rows, "sea": {"sea": 0.7, "island": 0.2, "end": 0.1}}, tables),
    ):
        with pytest.raises(ModelError, match=r"impossible|begins in any|an end"):
            ts.compare(null, wrong, data)
    with pytest.raises(ModelError, match="impossible"):
        ts.compare(null, islands(0, values={"in": [0.5, 0.0, 0.0, 0.5]}), data)


@pytest.mark.small
def test_mirror_images_must_emit_by_one_label() -> None:
    with pytest.raises(ModelError, match=r"'gene\+' and 'gene-'"):
        ts.HMM(ts.DNA, GENES, {"gene+": "a", "gene-": "b", "space": "c"}, symmetry=SYMMETRY, random_state=0)
    same = ts.HMM(ts.DNA, GENES, {"gene+": "a", "gene-": "a", "space": "c"}, symmetry=SYMMETRY, random_state=0)
    assert_array_equal(same.parameters["a"], same.parameters["a"][::-1])  # both strands alike: its own image
    with pytest.raises(ModelError, match="priors= has 'x'"):
        genes(1).fit("ACGT", priors={"x": 1.0})


# ---- damaged files ---------------------------------------------------------------------------------------------------


def edited(document: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    document = json.loads(json.dumps(document))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return document


@pytest.mark.small
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("alphabet",), {"letters": "xy"}, "symmetry, but no alphabet whose letters have complements"),
        (("emissions", "sea"), None, r"the states \['island', 'sea'\], but letters for \['island'\]"),
        (("emissions", "sea"), "other", r"but states that emit by \['in', 'other'\]"),
        (("values", "out"), None, r"values of \['in'\], but states that emit by \['in', 'out'\]"),
        (("values", "out"), [[0.25] * 4] * 3, r"a table 'out' of shape \(3, 4\), not \(4, 4\)"),
        (("values", "out"), [[0.25] * 4] * 4, "a table 'out' that holds no frequencies"),
        (("values", "out"), [[1.0, 0.0, 0.0, 0.0]] + [[0.0] * 4] * 3, "a word of 'out' that is possible on one strand"),
        (("flow",), [[1.0]], r"a table 'flow' of shape \(1, 1\), not \(2, 2\)"),
        (("flow",), None, "'flow'"),
        (("values", "out"), "text", "could not convert"),
    ],
)
def test_damaged_files_speak_of_the_file(path: tuple[str, ...], value: Any, message: str, tmp_path: Path) -> None:
    islands(1).save(tmp_path / "m.json")
    document = edited(json.loads((tmp_path / "m.json").read_text()), path, value)
    (tmp_path / "m.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=message) as caught:
        ts.load(tmp_path / "m.json")
    assert "m.json: the model in the file is damaged" in str(caught.value)
    assert "emissions=" not in str(caught.value) and "values=" not in str(caught.value)


@pytest.mark.small
def test_a_file_whose_mirror_images_differ_is_damaged() -> None:
    document = genes(0).to_dict()
    document["emissions"]["gene-"] = {"complement": "other"}
    with pytest.raises(ModelError, match="two tables for 'gene\\+' and 'gene-', which are mirror images"):
        ts.HMM.from_dict(document)
