"""The HMM recursions against the twin: what the E-step needs, posteriors, best paths and sampled ones.

The twin works in logarithms, letter by letter; for long sequences it divides by a sum at every letter. Both routes of
the recursions are compared, the fast one in lanes and the slow one in logarithms, and the choice between them.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import chain_twin as twin
from tiedseq.chains import cuts, lanes, paths, recursion
from tiedseq.chains.cuts import Cuts, Spans
from tiedseq.chains.logarithms import ChainLogarithms
from tiedseq.chains.recursion import ChainRecursion
from tiedseq.chains.tables import ChainTables, Derivatives, Likelihoods
from tiedseq.errors import ModelError

Floats = NDArray[np.float64]

ROW_TYPES = (np.uint8, np.int32, np.int64)
COMPILED = not numba.config.DISABLE_JIT
# What the fast passes lose, they are to lose without a word: NumPy's, where nothing is compiled, says it aloud.
beyond_the_range = pytest.mark.filterwarnings(
    "ignore:overflow encountered:RuntimeWarning", "ignore:invalid value encountered:RuntimeWarning"
)


class Case(NamedTuple):
    """Sequences of letters, each with a row of a table of likelihoods, and how often they count."""

    model: twin.Model
    logs: Floats  # (R, E)
    sequences: Sequence[twin.Codes]
    weights: Floats

    @property
    def ends(self) -> NDArray[np.int64]:
        return np.cumsum([0, *(len(codes) for codes in self.sequences)])

    @property
    def spans(self) -> Spans:
        return Spans(self.ends, self.weights)

    @property
    def recursion(self) -> ChainRecursion:
        model = self.model
        return ChainRecursion(
            ChainTables(model.start, model.transitions, twin.ending(model), model.silent, model.possible)
        )

    def likelihoods(self, dtype: Any = np.int64) -> Likelihoods:
        return Likelihoods.of_logarithms(self.logs, np.concatenate(self.sequences).astype(dtype))


def case_of(
    model: twin.Model, logs: Floats, sequences: Sequence[twin.Codes], weights: Sequence[float] | Floats | None = None
) -> Case:
    return Case(model, logs, sequences, np.ones(len(sequences)) if weights is None else np.array(weights, float))


def chain(start: object, transitions: object, end: object = None) -> twin.Model:
    """A model without silent states, whose edges are those of positive probability."""
    table = np.array(transitions, float)
    return twin.Model(
        np.array(start, float),
        table,
        None if end is None else np.array(end, float),
        np.zeros(len(table), bool),
        table > 0.0,
    )


def log(values: object) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(np.array(values, float))


def random_sequences(rng: np.random.Generator, lengths: Sequence[int] | NDArray[Any], rows: int) -> list[twin.Codes]:
    return [rng.integers(0, rows, length) for length in lengths]


def random_case(rng: np.random.Generator, lengths: Sequence[int] | NDArray[Any], **options: Any) -> Case:
    """A random model, up to six letters that it may be unable to emit, and weights that may be zero."""
    model = twin.random_model(rng, **options)
    rows = int(rng.integers(1, 7))
    logs = twin.random_letters(rng, rows, int((~model.silent).sum()))
    return Case(model, logs, random_sequences(rng, lengths, rows), rng.choice([0.0, 1.0, 1.0, 0.3, 2.5], len(lengths)))


# ---- comparison ------------------------------------------------------------------------------------------------------


def assert_derivatives(found: Derivatives, expected: Derivatives, rtol: float, atol: float) -> None:
    """Of a derivative that no float64 holds, only that it is as large as that."""
    for name, value in expected._asdict().items():
        most = np.minimum(getattr(found, name), 1e250)
        assert_allclose(most, np.minimum(value, 1e250), rtol=rtol, atol=atol, err_msg=name)


def summed(case: Case, each: Sequence[twin.Sums]) -> Derivatives:
    """The derivatives of all sequences, times their weights."""
    used = np.zeros(case.logs.shape)
    for codes, sums, weight in zip(case.sequences, each, case.weights, strict=True):
        np.add.at(used, codes, weight * sums.posterior)
    counted = [(sums, weight) for sums, weight in zip(each, case.weights, strict=True) if weight > 0.0]
    states = len(case.model.start)
    return Derivatives(
        sum((weight * sums.start for sums, weight in counted), np.zeros(states)),
        sum((weight * sums.transitions for sums, weight in counted), np.zeros((states, states))),
        sum((weight * sums.end for sums, weight in counted), np.zeros(states)),
        used,
    )


def check_sums(case: Case, rtol: float = 1e-9, atol: float = 1e-11, dtype: Any = np.int64) -> None:
    """All sums, as the recursion chooses its route and by the slow route alone."""
    each = [twin.expect(case.model, case.logs[codes]) for codes in case.sequences]
    logs = np.array([sums.log_likelihood for sums in each])
    stuck = [
        twin.first_impossible(case.model, case.logs[codes]) if value == -math.inf else -1
        for codes, value in zip(case.sequences, logs, strict=True)
    ]
    derivatives, likelihoods, spans, chosen = summed(case, each), case.likelihoods(dtype), case.spans, case.recursion
    assert_allclose(chosen.log_likelihoods(likelihoods, spans), logs, rtol=1e-11, atol=1e-11)

    found_logs, found_stuck, found = chosen.expect(likelihoods, spans)
    assert_allclose(found_logs, logs, rtol=1e-11, atol=1e-11)
    assert_array_equal(found_stuck, stuck)
    assert_derivatives(found, derivatives, rtol, atol)

    found_logs, found_stuck, posterior = chosen.posterior(likelihoods, spans)
    assert_allclose(found_logs, logs, rtol=1e-11, atol=1e-11)
    assert_array_equal(found_stuck, stuck)
    assert_allclose(posterior, np.concatenate([sums.posterior for sums in each]), rtol=rtol, atol=atol)

    numbers = np.arange(len(logs))
    found_logs, found_stuck, found = chosen.logarithms.expect(likelihoods, case.ends, numbers, case.weights)
    scales = np.add.reduceat(likelihoods.log_scale[likelihoods.rows], case.ends[:-1])
    assert_allclose(found_logs + scales, logs, rtol=1e-11, atol=1e-11)
    assert_array_equal(found_stuck, stuck)
    assert_derivatives(found, derivatives, rtol, atol)


def check_paths(case: Case, dtype: Any = np.int64) -> None:
    logs, states, found = case.recursion.paths.viterbi(case.likelihoods(dtype), case.spans)
    parts = np.split(states, case.ends[1:-1])
    for codes, path, value, there in zip(case.sequences, parts, logs, found, strict=True):
        best = twin.viterbi(case.model, case.logs[codes]).log_probability
        assert there == (best > -math.inf)
        assert_allclose(value, best, rtol=1e-12, atol=1e-12)
        if there:
            assert_allclose(
                twin.log_best_route(case.model, case.logs[codes], path.tolist()), best, rtol=1e-12, atol=1e-12
            )


def check(case: Case, rtol: float = 1e-9, atol: float = 1e-11, dtype: Any = np.int64) -> None:
    check_sums(case, rtol, atol, dtype)
    check_paths(case, dtype)


# ---- random models ---------------------------------------------------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize("seed", range(4))
def test_random_models(seed: int) -> None:
    """Silent states, zeros, edges at probability zero, states that nothing reaches, impossible sequences."""
    rng = np.random.default_rng(seed)
    for number in range(100 if COMPILED else 4):
        lengths = rng.integers(1, 13, int(rng.integers(1, 20)))
        check(random_case(rng, lengths), dtype=ROW_TYPES[number % 3])


@pytest.mark.small
def test_random_cases_cover_what_they_should() -> None:
    rng = np.random.default_rng(0)
    cases = [random_case(rng, rng.integers(1, 13, 6)) for _ in range(100)]
    recursions = [case.recursion for case in cases]
    assert 5 < sum(chosen.is_mixing for chosen in recursions) < 50
    stuck = [twin.first_impossible(case.model, case.logs[codes]) for case in cases for codes in case.sequences]
    share = np.mean(np.array(stuck) >= 0)
    assert 0.05 < share < 0.4
    assert any(0 < letter < 4 for letter in stuck)


@pytest.mark.parametrize("states", range(1, 41))
def test_number_of_states(states: int) -> None:
    rng = np.random.default_rng(states)
    model = twin.random_model(rng, emitting=states, silent=0, zeros=0.0 if states % 2 else 0.5)
    logs = twin.random_letters(rng, 4, states, zeros=0.02)
    check(case_of(model, logs, random_sequences(rng, rng.integers(1, 30, 18), 4)))


@pytest.mark.small
@pytest.mark.parametrize("silent", [1, 2, 5, 9])
def test_many_silent_states(silent: int) -> None:
    rng = np.random.default_rng(silent)
    for emitting in (1, 4, 7):
        check(random_case(rng, [1, 2, 9, 12], emitting=emitting, silent=silent, zeros=0.3))


@pytest.mark.small
def test_silent_states_in_a_circle_are_refused() -> None:
    tables = ChainTables(
        np.array([1.0, 0.0, 0.0]),
        np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]),
        np.zeros(3),
        np.array([False, True, True]),
        np.ones((3, 3), bool),
    )
    with pytest.raises(ModelError, match="silent states 1, 2 lead back to themselves"):
        ChainRecursion(tables)


# ---- sequences -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zeros", [0.0, 0.4])
def test_lengths_from_1_to_500(zeros: float) -> None:
    rng = np.random.default_rng(1)
    model = twin.random_model(rng, emitting=5, silent=1 if zeros else 0, zeros=zeros, end=True)
    logs = twin.random_letters(rng, 6, 5, zeros=0.0)
    lengths = rng.permutation([1, 1, 2, 3, 7, 20, 50, 64, 65, 100, 128, 250, 499, 500])
    check(case_of(model, logs, random_sequences(rng, lengths, 6), rng.random(14)))


@pytest.mark.parametrize("lengths", [[1] * 33, [17] * 33, range(1, 34), [3] * 1000], ids=str)
def test_numbers_of_sequences(lengths: Sequence[int]) -> None:
    """Full lanes, lanes that are idle, and lanes that have stopped."""
    rng = np.random.default_rng(len(lengths))
    for zeros in (0.0, 0.3):
        model = twin.random_model(rng, emitting=3, zeros=zeros)
        logs = twin.random_letters(rng, 4, 3, zeros / 3)
        check(case_of(model, logs, random_sequences(rng, lengths, 4), rng.random(len(lengths))))


@pytest.mark.small
def test_weights_multiply() -> None:
    """Nothing for a weight of zero, a tenth for a tenth, whatever the other sequences are."""
    rng = np.random.default_rng(2)
    case = random_case(rng, [5, 9, 1, 6], emitting=3, zeros=0.0)._replace(weights=np.array([0.0, 0.1, 3.0, 1e-12]))
    check(case)
    alone = case._replace(weights=np.array([0.0, 0.0, 0.0, 1e-12]))
    check(alone, atol=1e-24)
    _, _, nothing = case.recursion.expect(case.likelihoods(), Spans(case.ends, np.zeros(4)))
    assert not any(part.any() for part in nothing)


@pytest.mark.parametrize(
    "dtype", [np.uint8, *(pytest.param(dtype, marks=pytest.mark.small) for dtype in ROW_TYPES[1:])]
)
@pytest.mark.parametrize("states", [3, 30])
def test_one_letter_only_and_letters_of_every_type(dtype: Any, states: int) -> None:
    rng = np.random.default_rng(3)
    model = twin.random_model(rng, emitting=states, silent=0, zeros=0.1)
    check(case_of(model, twin.random_letters(rng, 1, states, 0.0), [np.zeros(n, int) for n in (1, 4, 9)]), dtype=dtype)
    rows = 250
    logs = twin.random_letters(rng, rows, states, 0.0)
    check(case_of(model, logs, [np.array([rows - 1, 0, 200]), np.array([130])]), dtype=dtype)


@pytest.mark.parametrize("dtype", ROW_TYPES[1:])
def test_an_alphabet_of_5000_letters(dtype: Any) -> None:
    rng = np.random.default_rng(4)
    model = twin.random_model(rng, emitting=6, silent=0, zeros=0.1)
    logs = twin.random_letters(rng, 5000, 6, 0.0)
    check(case_of(model, logs, random_sequences(rng, [1, 40, 100, 30], 5000), [1.0, 0.5, 2.0, 1.0]), dtype=dtype)


@pytest.mark.small
def test_impossible_sequences_say_where_and_count_nothing() -> None:
    """From 0 to 1 and nowhere else; only state 1 may be last. Letter 0 is state 0's, letter 1 either's, 2 neither's."""
    model = chain([1.0, 0.0], [[0.5, 0.5], [0.0, 0.5]], [0.0, 0.5])
    logs = log([[0.8, 0.0], [0.2, 0.4], [0.0, 0.0]])
    sequences = [np.array(letters) for letters in ([0, 1, 1], [0, 1, 0, 1, 1, 0], [2, 1], [1, 1, 2], [0], [0, 1])]
    sequences.append(np.array([0, 0, 0, 2, 0, 1]))
    case = case_of(model, logs, sequences)
    _, stuck, derivatives = case.recursion.expect(case.likelihoods(), case.spans)
    assert_array_equal(stuck, [-1, 6, 0, 2, 1, -1, 3])
    only = Spans(case.ends, np.array([1.0, 0, 0, 0, 0, 1.0, 0]))
    _, _, possible = case.recursion.expect(case.likelihoods(), only)
    assert_derivatives(derivatives, possible, rtol=1e-14, atol=0)
    check(case)


# ---- derivatives, independently of the twin --------------------------------------------------------------------------


@pytest.mark.small
def test_derivatives_are_finite_differences() -> None:
    """By every entry, those included that are possible and zero."""
    rng, at_zero = np.random.default_rng(5), {"start": 0, "transitions": 0, "end": 0}
    for _ in range(12):
        case = random_case(rng, [6, 3], end=True, zeros=0.2)
        case = case._replace(weights=np.ones(2), logs=twin.random_letters(rng, len(case.logs), case.logs.shape[1], 0.0))
        model, h = case.model, 1e-7
        logs, _, derivatives = case.recursion.expect(case.likelihoods(), case.spans)
        possible = logs > -math.inf
        for name in at_zero:
            table = getattr(model, name)
            for index in np.argwhere(model.possible if name == "transitions" else np.ones(table.shape)):
                moved = table.copy()
                moved[tuple(index)] += h
                likelier = case._replace(model=model._replace(**{name: moved}))
                after = likelier.recursion.log_likelihoods(likelier.likelihoods(), likelier.spans)
                slope = np.expm1(after[possible] - logs[possible]).sum() / h
                found = getattr(derivatives, name)[tuple(index)]
                assert_allclose(found, slope, rtol=1e-4, atol=1e-6, err_msg=name)
                at_zero[name] += found > 0.0 and table[tuple(index)] == 0.0
    assert min(at_zero.values()) > 0


# ---- letters and transitions beyond the range of the fast passes -----------------------------------------------------


@beyond_the_range
@pytest.mark.small
@pytest.mark.parametrize("smallest", [1e-100, 1e-300])
@pytest.mark.parametrize("turn", [0.0, 1e-20, 0.1])
def test_letters_of_probability_1e_300(smallest: float, turn: float) -> None:
    model = chain([0.5, 0.5], [[1 - turn, turn], [turn, 1 - turn]])
    logs = log([[1.0, smallest], [smallest, 1.0], [smallest, smallest]])
    check(case_of(model, logs, [np.array(s) for s in ([0], [2], [0, 1, 0], [0] * 9 + [1] * 11, [2] * 30, [1, 2] * 9)]))


@beyond_the_range
@pytest.mark.small
@pytest.mark.parametrize(("small", "behind"), [(1e-300, 3), (1e-60, 8), (1e-20, 30), (1e-3, 200)])
def test_what_seems_lost_wins_in_the_end(small: float, behind: int) -> None:
    """Two ways through a left-to-right model; the second falls behind beyond float64's range, and then wins."""
    model = chain([0.5, 0.5, 0.0], [[0.9, 0.0, 0.1], [0.0, 0.9, 0.1], [0.0, 0.0, 1.0]])
    logs = log([[1.0, small, 0.0], [small, 1.0, 0.0], [0.1, 0.1, 1.0]])
    sequence = np.array([0] * behind + [1] * (behind + 2) + [2])
    case = case_of(model, logs, [sequence, sequence[: behind + 2], sequence[1:]])
    assert not case.recursion.is_mixing
    check(case)
    _, _, posterior = case.recursion.posterior(case.likelihoods(), case.spans)
    assert_allclose(posterior[: len(sequence) - 1, 1].min(), 1.0, rtol=0, atol=1e-5)


@beyond_the_range
@pytest.mark.small
def test_a_value_lost_just_before_a_renewal() -> None:
    """Lost at 2**-640 of the largest, though float64 reaches to 2**-1074: all others fell by 2**399 at that letter."""
    model = chain([0.5, 0.5, 0.0], np.eye(3))
    logs = np.array([[0.0, -340.0, -math.inf], [-399.0, -399.0, 0.0], [-390.0, 0.0, -math.inf]]) * math.log(2)
    check(case_of(model, logs, [np.array([0, 0, 1, 2, 2])]))


@pytest.mark.parametrize("bits", [3, 12, 40])
def test_a_likely_state_that_nothing_reaches(bits: float) -> None:
    """Its backward values grow beyond all bounds, and meet forward values of zero."""
    model = chain([1.0, 0, 0, 0], [[0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5], [0.5, 0, 0.5, 0]])
    far = -bits * math.log(2)
    logs = np.array([[far, far, 0, 0], [far, far, -math.inf, 0], [0, 0, -math.inf, -math.inf]])
    for dead in range(0, 90, 5):
        sequence = np.zeros(90, int)
        sequence[dead] = 1
        case = case_of(model, logs, [sequence])
        each = twin.expect(model, logs[sequence])
        found_logs, stuck, posterior = case.recursion.posterior(case.likelihoods(), case.spans)
        assert stuck[0] == -1
        assert_allclose(found_logs, [each.log_likelihood], rtol=1e-12)
        assert_allclose(posterior, each.posterior, rtol=1e-9, atol=1e-12)
        transitions = case.recursion.expect(case.likelihoods(), case.spans)[2].transitions
        assert_allclose(transitions, each.transitions, rtol=1e-9, atol=1e-12)


@beyond_the_range
@pytest.mark.small
@pytest.mark.parametrize("start", [1e-12, 1e-20, 1e-30])
def test_a_first_letter_at_the_edge_of_the_range(start: float) -> None:
    """start * likelihood is denormal, in a model in which every state can follow every other."""
    model = chain([start, 1 - start, 0.0], np.full((3, 3), 1 / 3))
    case = case_of(model, log([[1e-300, 0.0, 1.0], [0.3, 0.2, 0.1]]), [np.array([0, 1, 0]), np.array([0])])
    expected = [twin.log_likelihood(model, case.logs[codes]) for codes in case.sequences]
    assert_allclose(case.recursion.log_likelihoods(case.likelihoods(), case.spans), expected, rtol=1e-12)
    check_sums(case._replace(model=model._replace(start=np.array([start, 1 - start - 1e-9, 1e-9]))))


def test_a_last_letter_at_the_edge_of_the_range() -> None:
    """likelihood * end is denormal, in a model in which every state can follow every other."""
    end = 1e-20
    model = chain([0.5, 0.5], [[0.5, 0.5], [0.5, 0.5]], [1e-30, end])
    check_sums(case_of(model, log([[1.0, 1e-300], [1.0, 1.0]]), [np.array([0]), np.array([1, 1, 1, 0])]))
    check_sums(case_of(model._replace(end=np.array([0.0, end])), log([[1.0, 1e-300]]), [np.array([0])]))


@beyond_the_range
@pytest.mark.small
@pytest.mark.parametrize("name", ["start", "end"])
def test_a_tiny_start_or_end(name: str) -> None:
    model = chain([0.5, 0.5], [[0.5, 0.5], [0.3, 0.7]], [1.0, 1.0])._replace(**{name: np.array([0.5, 1e-200])})
    check(case_of(model, log([[0.3, 0.4], [0.7, 0.6]]), [np.array([0, 1, 0]), np.array([1])]))


def test_a_weight_of_zero_where_the_fast_passes_fail() -> None:
    """ln P is right whatever the weight, and what has no weight leaves no trace, even if it overflows."""
    model = chain([0.5, 0.5], np.eye(2))
    logs = log([[1.0, 1e-50], [1e-50, 1.0]])
    sequence = np.array([0] * 14 + [1] * 18)
    for weights in ([0.0, 1.0], [1e-40, 1.0], [0.0, 0.0]):
        check(case_of(model, logs, [sequence, np.array([0, 1, 0])], weights), atol=1e-60)
    model = model._replace(start=np.array([1.0, 0.0]))
    case = case_of(model, logs, [np.array([1] * 9), np.array([0, 0])], [0.0, 1.0])
    _, _, derivatives = case.recursion.expect(case.likelihoods(), case.spans)
    assert_allclose(derivatives.start, [1.0, 1e-100], rtol=1e-12)


@beyond_the_range
@pytest.mark.small
@pytest.mark.parametrize("seed", range(4))
def test_random_models_beyond_the_range(seed: int) -> None:
    """Likelihoods down to e**-250 a letter, transitions down to 1e-60, runs of the same letter."""
    rng = np.random.default_rng(seed)
    for _ in range(60 if COMPILED else 3):
        silent = int(rng.integers(0, 3)) if rng.random() < 0.4 else 0
        model = twin.random_model(rng, emitting=int(rng.integers(1, 6)), silent=silent, zeros=rng.choice([0, 0.2, 0.6]))
        if rng.random() < 0.3:
            rare = 10.0 ** -rng.integers(1, 60, model.transitions.shape)
            model = model._replace(transitions=model.transitions * np.where(rng.random(rare.shape) < 0.3, rare, 1.0))
        rows, emitting = int(rng.integers(2, 6)), int((~model.silent).sum())
        logs = -rng.choice([5, 20, 60, 120, 250]) * rng.choice([0, 0, 1, 0.1], (rows, emitting))
        logs = np.where(rng.random(logs.shape) < 0.05, -np.inf, logs * rng.random(logs.shape))
        runs = [rng.integers(0, rows, n).repeat(int(rng.integers(1, 12)))[:n] for n in rng.integers(1, 70, 4)]
        check(case_of(model, logs, runs, rng.choice([1.0, 0.3, 2.0], 4)), atol=1e-10)


@beyond_the_range
@pytest.mark.small
def test_the_slow_passes_serve_only_where_they_must(monkeypatch: pytest.MonkeyPatch) -> None:
    """One such sequence among a thousand is done alone, and a mixing model never needs them."""
    done: list[int] = []
    original = ChainLogarithms.expect

    def spy(self: ChainLogarithms, likelihoods: Any, ends: Any, sequences: Any, weights: Any) -> Any:
        done.extend(sequences.tolist())
        return original(self, likelihoods, ends, sequences, weights)

    monkeypatch.setattr(ChainLogarithms, "expect", spy)
    logs = log([[1.0, 1e-50], [1e-50, 1.0], [1.0, 0.9]])
    sequences = [np.full(6, 2)] * 40
    sequences[23] = np.array([0] * 14 + [1] * 18)
    case = case_of(chain([0.5, 0.5], np.eye(2)), logs, sequences)
    case.recursion.expect(case.likelihoods(), case.spans)
    assert done == [23]
    mixing = case._replace(model=chain([0.5, 0.5], [[1 - 1e-30, 1e-30], [1e-30, 1 - 1e-30]]))
    check_expected = summed(mixing, [twin.expect(mixing.model, logs[codes]) for codes in sequences])
    done.clear()
    _, _, found = mixing.recursion.expect(mixing.likelihoods(), mixing.spans)
    assert done == []
    assert_derivatives(found, check_expected, rtol=1e-9, atol=1e-11)


# ---- sparse models ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [True, False])
def test_a_left_to_right_model_of_300_states(end: bool) -> None:
    rng = np.random.default_rng(6)
    states = 300
    stay = rng.uniform(0.05, 0.9, states)
    skip = np.where(np.arange(states) < states - 2, 0.05, 0.0)
    transitions = np.diag(stay) + np.diag(1 - stay[:-1] - skip[:-1], 1) + np.diag(skip[:-2], 2)
    start = np.zeros(states)
    start[0] = 1.0
    model = chain(start, transitions, np.append(np.zeros(states - 1), 1 - stay[-1]) if end else None)
    emissions = rng.dirichlet(np.ones(4), states).T
    lengths = [500, 420, 600] if end else [350, 60, 1]
    check(case_of(model, np.log(emissions), random_sequences(rng, lengths, 4)), atol=1e-10)


def profile_model(rng: np.random.Generator, nodes: int) -> twin.Model:
    """Match, insert and (silent) delete states of every node, as in Durbin et al. 1998, section 5.2; it has an end."""
    match, insert, delete = (np.arange(nodes) + k * nodes for k in range(3))
    transitions, end = np.zeros((3 * nodes, 3 * nodes)), np.zeros(3 * nodes)
    for k in range(nodes):
        for here in (match[k], insert[k], delete[k]):
            weights = rng.dirichlet([8.0, 1.0, 1.0])
            transitions[here, insert[k]] = weights[1]
            if k + 1 < nodes:
                transitions[here, [match[k + 1], delete[k + 1]]] = weights[[0, 2]]
            else:
                end[here] = weights[0] + weights[2]
    start = np.zeros(3 * nodes)
    start[[match[0], delete[0]]] = 0.9, 0.1
    order = rng.permutation(3 * nodes)
    mixed = np.ix_(order, order)
    return twin.Model(start[order], transitions[mixed], end[order], order >= 2 * nodes, transitions[mixed] > 0.0)


def test_a_profile_of_60_nodes() -> None:
    rng = np.random.default_rng(7)
    model = profile_model(rng, 60)
    logs = np.log(rng.dirichlet(np.full(20, 0.3), 120).T + 1e-4)
    case = case_of(model, logs, random_sequences(rng, [60, 1, 45, 80, 200, 3], 20))
    check(case, atol=1e-10)
    deletes = case.recursion.expect(case.likelihoods(), case.spans)[2].transitions[:, model.silent]
    assert (model.transitions[:, model.silent] * deletes).sum() > 60


# ---- sequences that are cut into pieces ------------------------------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize("seed", range(4))
def test_pieces_of_a_few_letters(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces and chunks of any size, warm-ups that reach back to the start of a sequence, and tasks of one batch."""
    rng = np.random.default_rng(seed)
    for number in range(40 if COMPILED else 3):
        shortest = int(rng.integers(1, 12))
        monkeypatch.setattr(cuts, "_SHORTEST", shortest)
        monkeypatch.setattr(cuts, "_LONGEST", shortest + int(rng.integers(0, 10)))
        monkeypatch.setattr(cuts, "_TASK_LETTERS", int(rng.choice([16, 500, 5000])))
        monkeypatch.setattr(lanes, "_HISTORY_BYTES", int(rng.choice([1, 1 << 15])))
        monkeypatch.setattr(paths, "_CHOICES_BYTES", int(rng.choice([1, 1 << 13])))
        monkeypatch.setattr(paths, "_BLOCK", int(rng.choice([1, 7, 64])))
        for module in (recursion, paths):
            monkeypatch.setattr(module, "WARMUPS", (*np.sort(rng.integers(1, 90, 2)).tolist(), 0))
        lengths = [int(rng.integers(40, 150))] if number % 4 == 0 else rng.integers(1, 90, 9)
        zeros = rng.choice([0.0, 0.0, 0.3])
        check(
            random_case(rng, lengths, emitting=int(rng.integers(1, 6)), silent=int(zeros > 0), zeros=zeros), atol=1e-10
        )


@pytest.mark.small
def test_a_state_in_common_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both pieces see state 0 ahead at their seam, one by too much: in the whole the last letters settle it for 1."""
    for module in (cuts, paths):
        monkeypatch.setattr(module, "WARMUPS", (20, 0))
    monkeypatch.setattr(cuts, "_SHORTEST", 100)
    monkeypatch.setattr(cuts, "_LONGEST", 100)
    codes = np.zeros(200, int)
    codes[70:79], codes[81:91], codes[130:134] = 2, 1, 2
    case = case_of(chain([0.5, 0.5], np.eye(2)), np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]]), [codes, codes[:9]])
    assert Cuts(case.ends, case.weights, 20).n_pieces == 3
    check_paths(case)
    _, states, _ = case.recursion.paths.viterbi(case.likelihoods(), case.spans)
    assert_array_equal(states[:200], np.ones(200))


def mixing_case(length: int, states: int = 3, turn: float = 0.05) -> Case:
    """States that are left rarely, each with a favourite among four letters, and one sequence."""
    rng = np.random.default_rng(length + states)
    transitions = np.full((states, states), turn / states) + np.eye(states) * (1 - turn)
    emissions = np.full((4, states), 0.2)
    emissions[np.arange(states) % 4, np.arange(states)] = 0.4
    emissions *= rng.uniform(0.9, 1.1, emissions.shape)  # no two paths are equally likely
    hidden = np.cumsum(rng.random(length) < turn) % states
    codes = np.where(rng.random(length) < 0.3, hidden % 4, rng.integers(0, 4, length))
    return case_of(chain(np.full(states, 1 / states), transitions), np.log(emissions), [codes])


def long_sums(case: Case) -> tuple[float, Derivatives]:
    sums = twin.expect_scaled(case.model, np.exp(case.logs), case.sequences[0])
    return sums.log_likelihood, Derivatives(sums.start, sums.transitions, sums.end, sums.posterior)


def test_a_sequence_of_100_000_letters_in_pieces() -> None:
    case = mixing_case(100_000)
    chosen, likelihoods, period = case.recursion, case.likelihoods(np.uint8), 64
    pieces = Cuts(case.ends, case.weights, 256)
    assert pieces.n_pieces >= 16
    cut, in_pieces = chosen.lanes.expect(likelihoods, pieces, period)
    assert cut.agrees
    whole, uncut = chosen.lanes.expect(likelihoods, Cuts(case.ends, case.weights, 0), period)
    assert_allclose(cut.log_likelihood, whole.log_likelihood, rtol=1e-13)
    assert_derivatives(in_pieces, uncut, rtol=1e-11, atol=0)

    expected, sums = long_sums(case)
    logs, stuck, derivatives = chosen.expect(likelihoods, case.spans)
    assert stuck[0] == -1
    for value in (*logs, *chosen.log_likelihoods(likelihoods, case.spans)):
        assert_allclose(value, expected, rtol=1e-13)
    assert_derivatives(derivatives, sums, rtol=1e-11, atol=0)


def test_the_posterior_and_path_of_a_long_sequence() -> None:
    """Letter by letter against the twin on windows: what is further away than 300 letters is forgotten."""
    case = mixing_case(40_000, turn=0.2)
    _, _, posterior = case.recursion.posterior(case.likelihoods(), case.spans)
    _, states, _ = case.recursion.paths.viterbi(case.likelihoods(), case.spans)
    letters = case.logs[case.sequences[0]]
    for low in (0, 2200, 20_000, 39_000):
        near = slice(max(low - 300, 0), min(low + 1000, 40_000))
        window = twin.expect(case.model, letters[near]).posterior
        assert_allclose(posterior[low : low + 700], window[low - near.start :][:700], rtol=1e-9)
        seen = list(twin.seen_states(case.model, twin.viterbi(case.model, letters[near]).states))
        assert_array_equal(states[low : low + 700], seen[low - near.start :][:700])


def test_a_model_that_mixes_too_slowly_to_be_cut() -> None:
    """Transitions of 1e-4 and letters that hardly tell the states apart: no warm-up forgets where it began."""
    case = mixing_case(50_000)
    model = chain([0.9, 0.1], [[1 - 1e-4, 1e-4], [1e-4, 1 - 1e-4]])
    case = case._replace(model=model, logs=log([[0.25, 0.2501], [0.25, 0.2499], [0.2501, 0.25], [0.2499, 0.25]]))
    passed, _ = case.recursion.lanes.expect(case.likelihoods(), Cuts(case.ends, case.weights, 4096), 8)
    assert not passed.agrees
    expected, sums = long_sums(case)
    logs, _, derivatives = case.recursion.expect(case.likelihoods(), case.spans)
    assert_allclose(logs, [expected], rtol=1e-13)
    assert_allclose(case.recursion.log_likelihoods(case.likelihoods(), case.spans), [expected], rtol=1e-13)
    assert_derivatives(derivatives, sums, rtol=1e-10, atol=0)


def test_a_periodic_model_never_forgets() -> None:
    """A permutation of three states: the first state settles all others, and each has a path of its own."""
    length, states = 30_000, 3
    rng = np.random.default_rng(9)
    codes, emissions = rng.integers(0, 4, length), rng.uniform(0.2, 0.3, (4, states))
    transitions = np.roll(np.eye(states), 1, axis=1)
    time = np.arange(length)
    paths = np.array([math.fsum(np.log(emissions[codes, (first + time) % states])) for first in range(states)])
    for start in ([1.0, 0.0, 0.0], [0.2, 0.3, 0.5]):
        case = case_of(chain(start, transitions), np.log(emissions), [codes])
        logs, _, derivatives = case.recursion.expect(case.likelihoods(), case.spans)
        expected = float(twin.log_sum(log(start) + paths))
        assert_allclose(logs, [expected], rtol=1e-13)
        share = np.exp(log(start) + paths - expected)
        used = np.zeros((4, states))
        for first in range(states):
            np.add.at(used, (codes, (first + time) % states), share[first])
        assert_allclose(derivatives.used, used, rtol=1e-10)
        assert_allclose(derivatives.transitions.sum(), length - 1, rtol=1e-10)
        assert_allclose(np.array(start) * derivatives.start, share, rtol=1e-10)


def test_an_impossible_letter_within_a_long_sequence() -> None:
    case = mixing_case(60_000)
    table = np.vstack([np.exp(case.logs), np.zeros(3)])
    short, broken = case.sequences[0][:5000], case.sequences[0].copy()
    for position in (100, 31_234, 59_999):
        broken[:] = case.sequences[0]
        broken[position] = 4
        both = case._replace(logs=log(table), sequences=[broken, short], weights=np.ones(2))
        alone = both._replace(sequences=[short], weights=np.ones(1))
        logs, stuck, derivatives = both.recursion.expect(both.likelihoods(), both.spans)
        expected, sums = long_sums(alone)
        assert_array_equal(stuck, [position, -1])
        assert logs[0] == -math.inf
        assert_allclose(logs[1], expected, rtol=1e-13)
        assert_derivatives(derivatives, sums, rtol=1e-11, atol=0)
        assert both.recursion.log_likelihoods(both.likelihoods(), both.spans)[0] == -math.inf


@pytest.mark.parametrize("turn", [0.05, 1e-4])
def test_cut_and_whole_sequences_side_by_side(turn: float) -> None:
    """Sequences too short to be cut come before the pieces of longer ones, in calls of their own."""
    case = mixing_case(33_000, states=2)
    codes, model = case.sequences[0], chain([0.9, 0.1], [[1 - turn, turn], [turn, 1 - turn]])
    logs = case.logs if turn > 0.01 else case.logs * 1e-3
    case = case_of(model, logs, [codes[:24_000]] * 32 + [codes, codes[:5]])
    pieces = Cuts(case.ends, case.weights, 256)
    assert pieces.n_pieces == 35
    assert len(pieces.tasks) > 1
    passed, _ = case.recursion.lanes.expect(case.likelihoods(np.uint8), pieces, 8)
    assert passed.agrees == (turn > 0.01)
    each = [twin.expect_scaled(model, np.exp(logs), part) for part in (codes[:24_000], codes, codes[:5])]
    found, _, derivatives = case.recursion.expect(case.likelihoods(np.uint8), case.spans)
    assert_allclose(found[31:], [sums.log_likelihood for sums in each], rtol=1e-13)
    transitions = 32 * each[0].transitions + each[1].transitions + each[2].transitions
    assert_allclose(derivatives.transitions, transitions, rtol=1e-10)


@pytest.mark.parametrize("turn", [0.05, 0.0])
def test_the_same_bits_whatever_runs_the_tasks(turn: float) -> None:
    case = mixing_case(30_000, states=5, turn=turn)
    case = case_of(case.model, case.logs, [np.roll(case.sequences[0], k)[: 30_000 - k] for k in range(40)])
    likelihoods, spans, few = case.likelihoods(np.uint8), case.spans, Spans(case.ends[:5])
    assert len(Cuts(case.ends, case.weights, 256).tasks) > 1
    logs, stuck, derivatives = case.recursion.expect(likelihoods, spans)
    with ThreadPoolExecutor(3) as executor:
        for _ in range(3):
            other_logs, other_stuck, other = case.recursion.expect(likelihoods, spans, executor.map)
            assert_array_equal(other_logs, logs)
            assert_array_equal(other_stuck, stuck)
            for a, b in zip(other, derivatives, strict=True):
                assert_array_equal(a, b)
        found = case.recursion.log_likelihoods(likelihoods, spans, executor.map)
        assert_array_equal(found, case.recursion.log_likelihoods(likelihoods, case.spans))
        posterior = case.recursion.posterior(likelihoods, few, executor.map)[2]
        assert_array_equal(posterior, case.recursion.posterior(likelihoods, few)[2])


@pytest.mark.small
@pytest.mark.parametrize("dtype", ROW_TYPES)
@pytest.mark.parametrize("rows", [1, 5, 300])
def test_what_scales_add_whether_rows_are_counted_or_not(rows: int, dtype: Any) -> None:
    """Counts of a few rows are kept, but not for other data, nor for another table."""
    rng, ends = np.random.default_rng(rows), np.array([0, 400, 1, 900]).cumsum()
    for first, last in ((0, 200), (0, 3)):
        spans = Spans(ends[first : last + 1])
        for _ in range(2):
            numbers = rng.integers(0, rows, int(spans.ends[-1])).astype(dtype)
            for _ in range(2):
                found = Likelihoods.of_logarithms(rng.normal(size=(rows, 3)), numbers)
                expected = [math.fsum(part) for part in np.split(found.log_scale[numbers], spans.ends[1:-1])]
                assert_allclose(spans.scales(found), expected, rtol=1e-13, atol=1e-13)
            wider = Likelihoods.of_logarithms(rng.normal(size=(rows + 1, 3)), numbers)
            assert_allclose(spans.scales(wider).sum(), math.fsum(wider.log_scale[numbers]), rtol=1e-13)


@pytest.mark.small
def test_cuts_are_kept_with_the_data_but_not_sent_with_it() -> None:
    spans = Spans(np.array([0, 10_000, 10_300]), np.array([0.0, 2.0]))
    kept = spans.cuts(256)
    assert spans.cuts(256) is kept
    assert spans.cuts(0) is not kept
    assert_array_equal(kept.tasks[0].pieces.weight[: kept.n_pieces], [1.0] * 5 + [2.0])
    other = kept.weighted(np.array([3.0, 0.0]))
    assert_array_equal(other.tasks[0].pieces.weight[: kept.n_pieces], [3.0] * 5 + [0.0])
    assert_array_equal(spans.cuts(256).tasks[0].pieces.weight[: kept.n_pieces], [1.0] * 5 + [2.0])

    sent = pickle.dumps(spans)
    assert len(sent) < 1000
    back = pickle.loads(sent)
    assert_array_equal(back.ends, spans.ends)
    assert_array_equal(back.weights, spans.weights)


@pytest.mark.slow
@pytest.mark.parametrize("states", [2, 8])
def test_no_drift_over_a_million_letters(states: int) -> None:
    case = mixing_case(1_000_000, states=states, turn=0.01)
    expected, sums = long_sums(case)
    likelihoods = case.likelihoods(np.uint8)
    logs, _, derivatives = case.recursion.expect(likelihoods, case.spans)
    assert_allclose(logs, [expected], rtol=1e-13)
    assert_allclose(case.recursion.log_likelihoods(likelihoods, case.spans), [expected], rtol=1e-13)
    assert_derivatives(derivatives, sums, rtol=1e-10, atol=0)
    whole, uncut = case.recursion.lanes.expect(likelihoods, Cuts(case.ends, case.weights, 0), 64)
    scale = math.fsum(likelihoods.log_scale[likelihoods.rows])
    assert_allclose(whole.log_likelihood + scale, [expected], rtol=1e-13)
    assert_derivatives(uncut, sums, rtol=1e-10, atol=0)


# ---- several paths ---------------------------------------------------------------------------------------------------


@pytest.mark.small
@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("silent", [0, 2])
def test_the_k_likeliest_paths(seed: int, silent: int) -> None:
    """No two with the same emitting states, whatever the ways between them; fewer where there are not as many."""
    rng = np.random.default_rng(seed)
    case = random_case(rng, [4, 1, 3], silent=silent)
    for first, codes in zip(case.ends.tolist(), case.sequences, strict=False):
        for k in (1, 3, 200):
            expected = twin.best_paths(case.model, case.logs[codes], k)
            found = case.recursion.logarithms.best_paths(case.likelihoods(), first, len(codes), k)
            values = [path.log_probability for path in expected]
            assert_allclose([value for value, _ in found], values, rtol=1e-12, atol=1e-12)
            assert len({tuple(states.tolist()) for _, states in found}) == len(found)
            for value, states in found[:20]:
                route = twin.log_best_route(case.model, case.logs[codes], states.tolist())
                assert_allclose(value, route, rtol=1e-12, atol=1e-12)


@pytest.mark.small
@pytest.mark.parametrize("seed", range(8))
def test_sampled_paths_follow_the_posterior(seed: int) -> None:
    """Every path in proportion to its probability, routes through silent states summed: a chi-square test."""
    from scipy.stats import chisquare

    rng = np.random.default_rng(seed)
    case = random_case(rng, [4, 3], zeros=0.15)
    ends, count = case.ends, 3000
    for k, codes in enumerate(case.sequences):
        expected = twin.path_probabilities(case.model, case.logs[codes])
        drawn = case.recursion.logarithms.samples(case.likelihoods(), int(ends[k]), len(codes), count, rng)
        seen = [tuple(path.tolist()) for path in drawn]
        if not expected:
            assert seen == []
            continue
        assert len(seen) == count
        assert set(seen) <= set(expected)
        common = [path for path, p in expected.items() if p * count > 5.0]
        observed = [seen.count(path) for path in common]
        rest = 1.0 - sum(expected[path] for path in common)
        if rest * count > 5.0:
            observed.append(count - sum(observed))
        probabilities = np.array([expected[path] for path in common] + ([rest] if rest * count > 5.0 else []))
        if len(observed) > 1:
            assert chisquare(observed, probabilities / probabilities.sum() * sum(observed)).pvalue > 1e-4
