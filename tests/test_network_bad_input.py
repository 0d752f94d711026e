"""What cannot be worked with is an error of the library's own, never NumPy's, and never a number that is none."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiedseq as ts
from tiedseq import nn
from tiedseq.errors import ResourceError

pytestmark = pytest.mark.small


def of_numbers(*layers: nn.Layer) -> nn.Sequential:
    return nn.Sequential(*layers, input=3, random_state=0)


class _Recording:
    """A tensor of PyTorch that records gradients, as far as NumPy sees it."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


CONSTRUCTORS: list[tuple[Callable[[], Any], str]] = [
    (lambda: nn.Conv1D(4, 3, symmetry=np.arange(3)), "symmetry=.* must be one of"),
    (lambda: nn.Conv1D(4, 3, symmetry="rc"), "symmetry='rc' must be one of"),
    (lambda: nn.Conv1D(4, 3, padding=np.array([1, 2])), "padding=.* must be"),  # type: ignore[arg-type]
    (lambda: nn.Conv1D(4, 3).as_matrix(np.zeros((5, 4, 4)), 9), r"weight= has the shape \(5, 4, 4\)"),
    (lambda: nn.Conv1D(4, 3).as_matrix(np.zeros((3, 4, 4)), "a"), "length must be"),  # type: ignore[arg-type]
    (lambda: nn.Sequential(nn.Conv1D(4, 3), dtype=None), "dtype=None must be"),
    (lambda: nn.UNet1D(2, 1, 3, 2, symmetry=np.arange(2)), "symmetry=.* must be one of"),
    (lambda: nn.UnrolledRNN(3, ties=5), "ties=5 must be labels"),  # type: ignore[arg-type]
    (lambda: nn.Repeat(3, 2), "layers=3 must be a layer"),  # type: ignore[arg-type]
    (lambda: nn.Residual(nn.Dense), "layers=.* must be a layer"),  # type: ignore[arg-type]
    (lambda: nn.MultiHop(3, 2, np.eye(2) * 1j), "of real numbers"),
    (lambda: nn.Conv1D(4, 3).as_matrix([[1], [1, 2]], 9), "weight= is ragged"),  # type: ignore[arg-type]
    (lambda: setattr(of_numbers(nn.Dense(2)), "values", [[1], [1, 2]]), "values= is ragged"),
    (lambda: nn.Weight("", ts.Ties([0]), 1.0), "name='' of nn.Weight"),
    (lambda: nn.Weight("w", 3, 1.0), "ties=3 of nn.Weight must be"),  # type: ignore[arg-type]
    (lambda: nn.Weight("w", ts.Ties([0]), np.nan), "scale must be a finite number"),
    (lambda: nn.Weight("w", ts.Ties([0]), 1.0, "no"), "decays must be True or False"),  # type: ignore[arg-type]
    (lambda: nn.hessian_of(3, [1.0]), "gradient=3 cannot be called"),  # type: ignore[arg-type]
    (lambda: nn.hessian_of(lambda v: v * np.nan, [1.0]), "gradient= holds numbers that are not finite"),
    (lambda: nn.projected_gradient(np.eye(2), np.ones(2) * 1j), "gradient= must hold numbers: they are of dtype compl"),
    (lambda: nn.from_state_dict(of_numbers(nn.Dense(1)), {"0.weight": _Recording(), "0.bias": [0]}), "no array.*grad"),
    (lambda: nn.from_state_dict(of_numbers(nn.Dense(1)), {"0.weight": [[1j] * 3], "0.bias": [0]}), "of dtype complex"),
    (lambda: nn.Sequential(nn.Dense(2), input=nn.Signal(0)), "channels of nn.Signal must be"),
    (lambda: nn.Sequential(nn.Dense(2), input=nn.Signal("a")), "channels of nn.Signal must be"),  # type: ignore[arg-type]
    (lambda: nn.Sequential(nn.Dense(2), input=nn.Signal(2, length=-1)), "length of nn.Signal must be"),
    (lambda: nn.Sequential(nn.OneHot(), input=nn.Signal(4, letters="DNA")), "letters='DNA' of nn.Signal must be"),  # type: ignore[arg-type]
    (lambda: nn.Sequential(nn.Dense(2), input=nn.Signal(4, action="x")), "action='x' of nn.Signal must be"),  # type: ignore[arg-type]
    (lambda: nn.Sequential(nn.Conv1D(2, 1), input=nn.Signal(2, letters=ts.DNA)), "2 channels and 4 letters"),
    (lambda: nn.Sequential(nn.Dense(2), input=nn.Signal(2, positions="x")), "positions of nn.Signal must be True or"),  # type: ignore[arg-type]
    (lambda: nn.Action.of("reversal", "a"), "permutation='a' of nn.Action.of must hold whole numbers"),
    (lambda: nn.Action.of("reversal", [[0], [1, 2]]), "permutation=.* must hold whole numbers"),
    (lambda: nn.Action.of("reversal", None), "permutation=None of nn.Action.of must hold whole numbers"),
    (lambda: nn.Action.of("reversal", [0.5, 1.7]), "permutation=.* must hold whole numbers"),
    (lambda: nn.Action.of("reverse_complement", [1, 0]), 'name must be "reverse-complement" or "reversal", not'),
    (lambda: nn.Action.of("reversal", [0, 1], [1]), r"permutation=\[0, 1\] and signs=\[1\] of nn.Action.of: it must"),
    (lambda: nn.Action.of("reversal", [0, 1], ["+", "-"]), "signs=.* must hold whole numbers"),
    (lambda: nn.Action.of("reversal", [0, 1], [1, 0.5]), "signs of 1 or -1"),
    (lambda: nn.Action.of("reversal", [1, 0], [1, -1]), "the same for channels that swap"),
    (lambda: nn.Action.of("reversal", [1, 2, 0]), "be its own inverse"),
    (lambda: nn.Action.of("reversal", [-1, 0]), "must rearrange 0 to 1"),
    (lambda: nn.to_state_dict(nn.Classifier(of_numbers(nn.Dense(2)))), "take its `net`"),  # type: ignore[arg-type]
    (lambda: nn.from_state_dict(of_numbers(nn.Dense(2)), 3), "state= is of type int"),  # type: ignore[arg-type]
    (lambda: nn.motifs(nn.Classifier(of_numbers(nn.Dense(2))), "ACGT"), "take its `net`"),  # type: ignore[arg-type]
    (lambda: nn.tied_subspace(3), "of=3 must be an nn.Sequential or ts.Ties"),  # type: ignore[arg-type]
    (lambda: nn.projected_gradient(np.eye(3), "abc"), "gradient= must hold numbers"),
    (lambda: nn.projected_gradient(np.eye(3)[0], [1]), "subspace= has the shape"),
    (lambda: nn.hessian_of(lambda v: v, [1, 2], step=0), "step=0 must be more than 0"),
    (lambda: nn.hessian_of(lambda v: v, [[1, 2]]), "values= has the shape"),
    (lambda: nn.hessian_of(lambda v: v[:1], [1, 2]), "gradient= has the shape"),
]


@pytest.mark.parametrize(("call", "message"), CONSTRUCTORS)
def test_arguments_of_a_wrong_kind_are_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ts.ArgumentError, match=message):
        call()


@pytest.mark.parametrize(
    "action",
    [  # made without Action.of
        nn.Action("reversal", (1, 2, 0), (1, 1, 1)),
        nn.Action("reversal", (0, 1), (1, 1)),
        nn.Action("reversal", (0, 1, 5), (1, 1, 1)),
        nn.Action("reversal", (0, 1, 2), (1, 1, 0)),
        nn.Action("reversal", (1, 0, 2), (1, -1, 1)),
        nn.Action("reversal", (0, 1, 2), (1, 1)),
    ],
)
def test_an_action_is_its_own_inverse(action: nn.Action) -> None:
    with pytest.raises(ts.ArgumentError, match="be its own inverse"):
        nn.Sequential(nn.Conv1D(2, 3), input=nn.Signal(3, action=action))


@pytest.mark.parametrize("positions", [True, False])
def test_numbers_beyond_the_dtype_are_refused(positions: bool) -> None:
    shape = (2, 5, 3) if positions else (2, 3)
    net = nn.Sequential(nn.Dense(2), input=nn.Signal(3, positions=positions), random_state=0)
    with pytest.raises(ts.SequenceError, match="not finite in float32; replace or scale"):
        net(np.full(shape, 1e50))
    with pytest.raises(ts.TiedseqError, match=r"the network takes|must be a table of numbers"):
        net(np.ones(shape, complex))


LARGE = [(nn.Dense(4), nn.Dense(4)), (nn.UNet1D(2, 1, 3, 2),)]


@pytest.mark.parametrize("layers", LARGE)
def test_a_network_never_returns_what_is_not_finite(layers: tuple[nn.Layer, ...]) -> None:
    X = np.ones((2, 9, 3))
    X[1] = 3e38
    with pytest.raises(ts.SequenceError, match="output for sequence 1 is not finite"):
        of_numbers(*layers)(X)


def test_numbers_to_learn() -> None:
    model = nn.Regressor(of_numbers(nn.GlobalMeanPool(), nn.Dense(1)), max_epochs=1, random_state=0)
    X = np.random.default_rng(0).normal(size=(4, 5, 3))
    with pytest.raises(ts.ArgumentError, match="y has 0 entries, and X has 4 sequences"):
        model.fit(X, [])
    with pytest.raises(ts.ArgumentError, match="squares are beyond float64"):
        model.fit(X, X[:, 0, 0]).score(X, [1e200, -1e200, 0, 0])


def test_errors_of_validation_data_say_so() -> None:
    X = np.random.default_rng(0).normal(size=(4, 5, 3))
    model = nn.Classifier(of_numbers(nn.GlobalMeanPool(), nn.Dense(1)), max_epochs=1, random_state=0)
    for validation, error, message in (
        ((X, [0, 1]), ts.ArgumentError, "In validation=: y has 2 entries"),
        ((X[:, :, :2], [0, 1] * 2), ts.SequenceError, "In validation=: Sequence 0"),
    ):
        with pytest.raises(error, match=message):
            model.fit(X, [0, 1] * 2, validation=validation)


def test_layers_of_a_network_that_could_not_be_made_are_free_again() -> None:
    conv, repeat = nn.Conv1D(3, 3), nn.Repeat([nn.Dense(3), nn.Tanh()], times=2)
    with pytest.raises(ts.ModelError, match="takes letters"):
        of_numbers(conv, repeat, nn.OneHot())
    net = of_numbers(conv, repeat)
    with pytest.raises(ts.ArgumentError, match="used twice"):
        of_numbers(nn.Tanh(), conv)  # its place stays its own
    with pytest.raises(ts.ArgumentError, match="used twice"):
        of_numbers(conv)
    assert net(np.ones((1, 5, 3))).shape == (1, 3, 3)


@pytest.mark.small
def test_layers_are_free_again_whatever_was_wrong() -> None:
    dense = nn.Dense(2)
    with pytest.raises(ts.ModelError, match="layers that give what they take"):
        of_numbers(nn.Repeat(dense, times=2))
    with pytest.raises(ts.ArgumentError, match="random_state='x'"):
        nn.Sequential(dense, input=3, random_state="x")  # type: ignore[arg-type]
    assert of_numbers(dense).n_parameters == 8


@pytest.mark.small
@pytest.mark.parametrize("name", ["progress", "warm_start"])
def test_switches_of_training_are_true_or_false(name: str) -> None:
    with pytest.raises(ts.ArgumentError, match=f"{name} must be True or False, not 'yes'"):
        nn.Classifier(nn.Sequential(nn.OneHot(), nn.GlobalMeanPool(), nn.Dense(1)), **{name: "yes"})  # type: ignore[arg-type]


@pytest.mark.small
@pytest.mark.parametrize("made", [nn.Classifier, nn.Labeller, nn.Regressor, nn.Siamese])
def test_truth_values_are_no_numbers(made: Any) -> None:
    net = of_numbers(nn.Dense(2), *(() if made is nn.Labeller else (nn.GlobalMeanPool(),)))
    numbers = ["max_epochs", "batch_size", "learning_rate", "weight_decay", "validation", "patience", "random_state"]
    for name in [*numbers, "executor", *(["margin"] if made is nn.Siamese else [])]:
        X = [(np.ones((3, 3)),) * 2] * 2 if made is nn.Siamese else np.ones((2, 3, 3))
        y = [[0, 1, 0], [0, 1, 0]] if made is nn.Labeller else [[0, 1], [1, 2]] if made is nn.Regressor else [0, 1]
        for value in (True, False, np.True_):
            with pytest.raises(ts.ArgumentError, match=f"^{name}"):
                made(net, **{name: value}).fit(X, y)


@pytest.mark.small
def test_truth_values_are_no_numbers_elsewhere() -> None:
    net = of_numbers(nn.GlobalMeanPool(), nn.Dense(2))
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: nn.UnrolledRNN(2, tie=True), "tie must be a finite number of at least 0, not True"),
        (lambda: nn.Weight("w", ts.Ties([0]), True), "scale must be a finite number"),
        (lambda: nn.hessian_of(lambda v: v, [1.0], step=True), "step must be a finite number"),
        (lambda: nn.Sequential(nn.Dense(2), input=2, random_state=True), "random_state=True is no whole number"),
        (
            lambda: nn.Classifier(net, class_weight={0: True}).fit(np.ones((2, 3, 3)), [0, 1]),
            r"class_weight\[0\] is True; it must be a finite number",
        ),
    ]
    for call, message in calls:
        with pytest.raises(ts.ArgumentError, match=message):
            call()


@pytest.mark.small
def test_weights_beyond_all_memory() -> None:
    convolution = nn.Conv1D(3, 3)
    with pytest.raises(ResourceError, match=r"The weights of layer 2, nn\.Dense\(1000000000000.*do not fit.*TiB"):
        nn.Sequential(convolution, nn.Dense(10**12))
    with pytest.raises(ResourceError, match=r"layer 1, nn\.Dense\(1000000000000000000\), do not fit in memory"):
        of_numbers(nn.Dense(10**18))  # more than NumPy has words for
    too_large: list[nn.Layer] = [
        nn.Conv1D(2**31, 2**31),  # a product beyond int64
        nn.Conv1D(10**12, 3, symmetry="reverse-complement"),
        nn.Conv1D(10**30, 3, symmetry="palindrome"),
        nn.UnrolledRNN(2**40),  # the square of it
    ]
    for layer in too_large:
        with pytest.raises(ResourceError, match=r"The weights of layer 1, nn\..* do not fit in memory \(.+\): make"):
            nn.Sequential(layer, length=2**40 if isinstance(layer, nn.Conv1D) else 3)
    assert nn.Sequential(convolution).n_parameters == 39  # it may have a place in another network


@pytest.mark.small
def test_matrices_beyond_all_memory() -> None:
    with pytest.raises(ResourceError, match=r"matrix of nn\.Conv1D\(2, width=3\) for length=1000000000 does not fit"):
        nn.Conv1D(2, 3).as_matrix(np.ones((3, 4, 2)), 10**9)
    with pytest.raises(ResourceError, match=r"1000000 entries and 1000000 free values does not fit.*Ties\.expand"):
        nn.tied_subspace(ts.Ties(np.arange(10**6)))


class Wasteful(nn.Layer):
    """Takes more memory than there are addresses, forward or backward."""

    def __init__(self, where: str) -> None:
        self.where = where

    def _place(self, signal: nn.Signal) -> nn.Signal:
        return signal

    def forward(self, weights: Any, batch: nn.Batch, random: Any = None) -> tuple[nn.Batch, Any]:
        if self.where == "forward":
            np.empty(2**59)
        return batch, None

    def backward(self, weights: Any, memory: Any, gradient: Any) -> tuple[Any, list[Any]]:
        np.empty(2**59)
        return gradient, []

    def _described(self) -> str:
        return self.where


@pytest.mark.small
def test_sequences_beyond_all_memory() -> None:
    padded = nn.Sequential(nn.Tanh(), nn.Conv1D(1, 3, padding=2**31), input=2**18)  # 4 PiB of zeros
    with pytest.raises(
        ResourceError, match=r"^What nn\.Conv1D\(1, .* 1 sequence of 2 positions .*PiB.*: use less padding"
    ):
        padded(np.zeros((2, 2**18)))
    X, y, why = np.zeros((2, 4, 3)), [0, 1], r"does not fit in memory \(.*EiB.*\): use less padding, .* smaller layer"
    for where, what in (
        ("forward", r"What nn\.Wasteful\(forward\) makes of 2 sequences of 4 positions"),
        ("backward", r"The gradient of nn\.Wasteful\(backward\) for 2 sequences"),
    ):
        wasteful = (nn.Dense(3), nn.Residual([Wasteful(where)]))
        with pytest.raises(ResourceError, match=f"^{what} {why}"):
            nn.Classifier(of_numbers(*wasteful, nn.GlobalMeanPool(), nn.Dense(1)), max_epochs=1).fit(X, y)
        each = of_numbers(nn.Dense(3), Wasteful(where), nn.Dense(2))
        with pytest.raises(ResourceError, match=f"^{what} {why}"):
            hmm_of(each).fit(list(X), paths=[np.zeros(4, int), np.ones(4, int)])
    row = nn.Signal(3, positions=False)
    with pytest.raises(ResourceError, match=r"2 sequences of 3 numbers does not fit"):
        nn.Sequential(Wasteful("forward"), input=row)(np.zeros((2, 3)))


def test_what_is_learnt_is_real() -> None:
    net = nn.Sequential(nn.OneHot(), nn.GlobalMeanPool(), nn.Dense(1), random_state=0)
    X = ["ACGT", "GGCC"]
    with pytest.raises(ts.ArgumentError, match="y must hold numbers"):
        nn.Regressor(net, max_epochs=1).fit(X, np.array([1j, 2]))
    with pytest.raises(ts.ArgumentError, match="y must hold numbers"):
        nn.Regressor(net, max_epochs=1).fit(X, np.array(["2001-01-01", "2002-01-01"], "datetime64[s]"))
    with pytest.raises(ts.ArgumentError, match="sample_weight= must be numbers"):
        nn.Classifier(net, max_epochs=1).fit(X, [0, 1], np.array([1j, 2]))
    each = nn.Regressor(nn.Sequential(nn.Conv1D(1, 3, padding="same")), max_epochs=1)
    with pytest.raises(ts.ArgumentError, match=r"y\[0\] has the shape \(\); give \(L,\) or \(L, K\)"):
        each.fit(X, [1.0, 2.0])
    with pytest.raises(
        ts.ArgumentError, match=r"y\[.\] has 3 numbers, and .* 4 positions of sequence .: give one each;"
    ):
        each.fit(X, [[1.0] * 3] * 2)
    classifier = nn.Classifier(net, max_epochs=1).fit(X, [0, 1])
    with pytest.raises(ts.ArgumentError, match="y is ragged"):
        classifier.score(X, [[1], [1, 2]])


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy before 2.0")
def test_labels_are_text_of_any_kind() -> None:
    net = nn.Sequential(nn.OneHot(), nn.GlobalMeanPool(), nn.Dense(1), random_state=0)
    y = np.array(["rich", "poor"], np.dtypes.StringDType())  # type: ignore[attr-defined, unused-ignore]
    assert nn.Classifier(net, max_epochs=1).fit(["GGCC", "AATT"], y).classes_.tolist() == ["poor", "rich"]


def test_nothing_to_exchange_with_pytorch_is_no_error() -> None:
    nn.from_state_dict(of_numbers(nn.Tanh()), {})


@pytest.mark.parametrize("missing", [None, np.nan])
def test_what_is_missing_among_sequences_is_named(missing: Any) -> None:
    with pytest.raises(ts.ArgumentError, match=r"^Sequence 1: a value of type \w+ cannot be read as a sequence"):
        nn.Sequential(nn.Conv1D(2, 3))(["ACGT", missing])
    with pytest.raises(ts.ArgumentError, match=r"^Sequence 1: a value of type \w+ cannot be read as a sequence"):
        ts.HMM.ergodic(2, alphabet=ts.DNA).score(["ACGT", missing])


def hmm_of(network: nn.Sequential) -> ts.HMM:
    row = {"a": 0.5, "b": 0.5}
    return ts.HMM(transitions={"a": row, "b": row}, emissions=nn.Emissions(network))


@pytest.mark.parametrize("of_hmm", [False, True])
@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        (np.full((4, 3), np.nan), "holds numbers that are not finite in float32; replace or scale them"),
        (np.ones((4, 2)), r"has the shape \(4, 2\); the network takes \(length, 3\)"),
        (np.ones((4, 3), complex), r"is of dtype complex128; the network takes real numbers, \(length, 3\)"),
        (np.array([[{}, 1, 2]], object), r"is of dtype object; the network takes real numbers, \(length, 3\)"),
    ],
)
def test_a_sequence_of_numbers_that_does_not_fit_is_named(of_hmm: bool, sequence: Any, message: str) -> None:
    net = of_numbers(nn.Dense(2))
    read: Callable[[Any], Any] = hmm_of(net).predict if of_hmm else net
    with pytest.raises(ts.SequenceError, match=f"^X {message}"):
        read(sequence)
    with pytest.raises(ts.SequenceError, match=f"^Sequence 1: it {message}"):
        read([np.ones((2, 3)), sequence])


def test_the_length_of_a_single_sequence_is_named() -> None:
    with pytest.raises(ts.SequenceError, match=r"^X has 4 positions, and the network takes length=3: cut or pad"):
        nn.Sequential(nn.Dense(2), input=2, length=3)(np.ones((4, 2)))
    with pytest.raises(ts.SequenceError, match=r"^X has 4 positions, and the network takes length=3: cut or pad"):
        nn.Sequential(nn.Conv1D(2, 3), length=3)("ACGT")


def test_what_a_graph_does_not_fit_has_a_remedy() -> None:
    with pytest.raises(ts.SequenceError, match=r"has 4 positions, .* 3 nodes: give one position for each node"):
        of_numbers(nn.MultiHop(2, 1, np.eye(3)))(np.ones((4, 3)))
    with pytest.raises(ts.ModelError, match=r"have the length 4: .* length=3, or an adjacency= of 4 nodes"):
        nn.Sequential(nn.MultiHop(2, 1, np.eye(3)), input=3, length=4)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "^state= lacks '0.weight', '0.bias'; give the weights of a module with the same layers, and nothing else"),
        ({"0.weight": 0, "0.bias": 0, "1.bias": 0}, "^state= has '1.bias', which the network lacks; give"),
        ({"0.weight": 0, "bias": 0}, "^state= lacks '0.bias' and has 'bias', which the network lacks; give"),
        (
            {"0.weight": np.full((2, 3), 1e300), "0.bias": [0, 0]},
            r"^state\['0.weight'\] holds numbers that are not finite in float32; replace them, or make .*float64",
        ),
        ({"0.weight": np.ones((2, 3)), "0.bias": [0, np.nan]}, r"^state\['0.bias'\] holds .* not finite in float32"),
    ],
)
def test_weights_of_pytorch_that_do_not_fit_are_named(state: Any, message: str) -> None:
    with pytest.raises(ts.ArgumentError, match=message):
        nn.from_state_dict(of_numbers(nn.Dense(2)), state)


@pytest.mark.parametrize("options", [{}, {"alphabet": "DNA"}, {"alphabet": "DNA", "symmetry": "reverse-complement"}])
@pytest.mark.parametrize("as_value", [False, True])
def test_one_network_stands_for_all_states_of_an_hmm(options: dict[str, Any], as_value: bool) -> None:
    emissions = nn.Emissions(nn.Sequential(nn.Conv1D(2, 3, padding="same")))
    row = {"a": 0.5, "b": 0.5}
    given: Any = {"a": "x", "b": "x"} if as_value else {"a": emissions, "b": emissions}
    values = {"x": emissions} if as_value else {}
    where = r"values\['x'\]" if as_value else r"emissions\['a'\]"
    with pytest.raises(ts.ModelError, match=f"^{where} is a network, .*: give emissions=nn.Emissions.* outputs="):
        ts.HMM(transitions={"a": row, "b": row}, emissions=given, values=values, **options)


@pytest.mark.parametrize("layer", [nn.Flatten(), nn.UnrolledRNN(2), nn.LocallyConnected1D(2, 3)])
def test_layers_of_one_length_ask_for_it(layer: nn.Layer) -> None:
    with pytest.raises(ts.ModelError) as caught:
        of_numbers(layer)
    assert str(caught.value) == f"{layer!r} needs sequences of one length: give length= to the network."


def of_one(*layers: nn.Layer) -> nn.Sequential:
    return nn.Sequential(*layers, input=1, random_state=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.Sequential(nn.Conv1D(2, 3))(5), "^a value of type int cannot be read as a sequence: pass one"),
        (lambda: of_numbers(nn.Dense(2))([{}]), r"^Sequence 0: it is of type dict; .* real numbers, \(length, 3\)"),
        (
            lambda: nn.Classifier(of_numbers(nn.GlobalMeanPool(), nn.Dense(1))).fit(np.ones((3, 2, 3)), [0, 1, 2]),
            "last layer has 1 output, and y has 3 classes",
        ),
        (
            lambda: nn.Regressor(of_numbers(nn.GlobalMeanPool(), nn.Dense(1))).fit(np.ones((2, 2, 3)), np.eye(2)),
            "last layer has 1 output, and y has 2 numbers each: end the network with",
        ),
        (
            lambda: nn.Regressor(of_numbers(nn.GlobalMeanPool(), nn.Dense(2))).fit(np.ones((2, 2, 3)), [1, 2]),
            "last layer has 2 outputs, and y has 1 number each: end the network with",
        ),
        (
            lambda: nn.Labeller(of_numbers(nn.Conv1D(1, 2))).fit(np.ones((2, 2, 3)), [[1], [0, 1]]),
            r"y\[1\] has 2 labels, and the network leaves 1 position of sequence 1: give one each",
        ),
        (
            lambda: nn.Sequential(nn.Conv1D(2, 4, padding="same", symmetry="palindrome"), input=1),
            "pads 1 zero before and 2 after, so both ends differ",
        ),
        (lambda: of_one(nn.Conv1D(2, 3))(np.ones(1)), "a sequence of 1 position is shorter than the reach"),
        (
            lambda: of_one(nn.Conv1D(2, 2, stride=2, padding=1, symmetry="palindrome"))(np.ones(1)),
            "a sequence of 1 position leaves 1 over under stride 2",
        ),
        (
            lambda: nn.Sequential(nn.Conv1D(1, 3, symmetry="reverse-complement")),
            "has 1 channel; with the reverse complement",
        ),
        (
            lambda: nn.Sequential(nn.UnrolledRNN(2, ties=[0]), length=2),
            "ties= has 1 label, and the sequences have 2 st",
        ),
        (
            lambda: nn.Sequential(nn.Dense(2), input=2, length=3)(np.ones((1, 2))),
            "X has 1 position, and the network takes length=3",
        ),
        (
            lambda: nn.Sequential(nn.Dense(1), input=nn.Signal(1, positions=False))("ACGT"),
            r"X must be a table of numbers with 1 column\.",
        ),
        (
            lambda: nn.Classifier(of_one(nn.GlobalMeanPool(), nn.Dense(1))).fit(np.ones((2, 2, 1)), [0]),
            "y has 1 entry,",
        ),
        (
            lambda: nn.Classifier(of_one(nn.GlobalMeanPool(), nn.Dense(1))).fit(np.ones((1, 2, 1)), [0, 1]),
            "X has 1 seq.*e;",
        ),
        (lambda: of_one(nn.MultiHop(1, 1, np.eye(2)))(np.ones(1)), "a sequence has 1 position, and the graph of"),
    ],
)
def test_one_is_no_plural(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ts.TiedseqError, match=message):
        call()


@pytest.mark.small
@pytest.mark.parametrize(
    "stacked",
    [
        np.zeros((2, 12), np.uint8),
        np.array([["ACGT"], ["GGTA"]]),
        np.array([["ACGT"], ["GGTA"]], object),
        "table",
    ],
)
def test_letters_that_are_stacked_are_to_be_a_list(stacked: Any) -> None:
    if isinstance(stacked, str):
        stacked = pytest.importorskip("pandas").DataFrame({"sequence": ["ACGT", "GGTA"]})
    shape = "2, 12" if stacked.size == 24 else "2, 1"
    message = rf"^X has the shape \({shape}\); give one sequence, as text or integer codes \(L,\), or a list of them: "
    with pytest.raises(ts.ArgumentError, match=message):
        nn.Sequential(nn.Conv1D(2, 3))(stacked)
    hmm = ts.HMM.ergodic(2, alphabet=ts.DNA, random_state=0)
    with pytest.raises(ts.ArgumentError, match=message):
        hmm.score(stacked)
    column = np.array([[0], [1], [3]])  # which hmmlearn takes for one sequence
    assert hmm.score(column) == hmm.score("ACT")


@pytest.mark.small
def test_what_is_empty_has_no_position_of_numbers() -> None:
    hmm = ts.HMM(None, {"a": {"a": 1.0}}, {"a": ts.Gaussian([0.0], [1.0])})
    reading: Any = [(of_numbers(nn.Conv1D(2, 1)), 3), (hmm.score, 1)]
    for read, width in reading:
        with pytest.raises(ts.SequenceError, match=r"^Sequence 1 is empty; one position at least is needed\. Leave"):
            read([np.ones((4, width)), np.ones((0, width))])
    with pytest.raises(ts.ArgumentError, match="add up to 3, but X holds 4 positions"):
        hmm.score(np.ones((4, 1)), [1, 2])
    with pytest.raises(ts.SequenceError, match=r"^Sequence 1 is empty; one letter at least is needed"):
        nn.Sequential(nn.Conv1D(2, 1))(["A", ""])


@pytest.mark.small
def test_what_is_learnt_of_pairs_is_counted_in_pairs() -> None:
    pairs, net = [("ACGT", "GGTA"), ("ACGT", "ACGA")], nn.Sequential(nn.Conv1D(2, 3), nn.GlobalMaxPool())
    siamese = nn.Siamese(net, max_epochs=1)
    with pytest.raises(ts.ArgumentError, match=r"^y has 30 entries, and X has 1 pair; give one for each"):
        siamese.fit(pairs[:1], [True] * 30)
    with pytest.raises(ts.ArgumentError, match=r"^sample_weight has 1 entry, and X has 2 pairs"):
        siamese.fit(pairs, [True, False], [1.0])
    with pytest.raises(ts.ArgumentError, match=r"sample_weight\[0\] is -1.0; give .* for each pair"):
        siamese.fit(pairs, [True, False], [-1.0, 1.0])
    with pytest.raises(ts.ArgumentError, match="of 2 pairs leaves none to learn from"):
        siamese.fit(pairs, [True, False], validation=0.9)
    with pytest.raises(ts.ArgumentError, match=r"^y has 3 entries, and X has 2 pairs"):
        siamese.fit(pairs, [True, False]).score(pairs, [True] * 3)


@pytest.mark.small
@pytest.mark.parametrize("kind", [list, lambda labels: np.array(labels, object)])
def test_labels_keep_zeros_at_their_end(kind: Any, tmp_path: Path) -> None:
    """Which NumPy's text loses."""
    X, labels = ["AAAA", "CCCC"] * 4, ["a\0", "a"] * 4
    net = nn.Sequential(nn.OneHot(), nn.GlobalMeanPool(), nn.Dense(2))
    clf = nn.Classifier(net, max_epochs=60, learning_rate=0.1, random_state=0).fit(X, kind(labels))
    assert clf.classes_.tolist() == ["a", "a\0"] and clf.score(X, labels) == 1.0
    clf.save(tmp_path / "model.json")
    read = ts.load(tmp_path / "model.json")
    assert read.predict(X).tolist() == labels and read.predict("AAAA") == "a\0"


BEYOND = 10**400  # of Python, and no float


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.Classifier(of_numbers(nn.Dense(1)), learning_rate=BEYOND), "learning_rate must be a finite number"),
        (lambda: nn.Weight("w", ts.Ties([0]), -BEYOND), "scale must be a finite number"),
        (lambda: nn.motifs(nn.Sequential(nn.Conv1D(1, 3)), "ACGT", share=BEYOND), "share must be a probability"),
        (lambda: nn.Emissions(of_numbers(nn.Dense(2)), decay=BEYOND), "decay must be a finite number"),
        (
            lambda: nn.from_state_dict(of_numbers(nn.Dense(1)), {"0.weight": [[BEYOND, 1, 1]], "0.bias": [0]}),
            "holds numbers that are not finite",
        ),
        (lambda: of_numbers(nn.Dense(1))([[[1, BEYOND, 1]]]), "not finite in float32; replace or scale"),
        (
            lambda: nn.Classifier(rows(), class_weight={0: BEYOND}).fit([[1], [2]], [0, 1]),
            r"class_weight\[0\] is 1000.* must be a finite number",
        ),
        (lambda: nn.Regressor(rows()).fit([[1], [2]], [1, -BEYOND]), r"y\[1\] is -inf, which is not finite"),
        (lambda: nn.Regressor(rows()).fit([[1], [2]], [1, 2], [1, BEYOND]), r"sample_weight\[1\] is inf"),
        (lambda: nn.Conv1D(2, 3, padding=BEYOND), "padding=1000.* must be 2147483648 positions at most"),
        (lambda: nn.MaxPool(2, stride=BEYOND), "stride=1000.* must be 2147483648 positions at most"),
        (lambda: of_numbers(nn.Dense(BEYOND)), r"do not fit in memory \(3\.00e\+400 entries are more than an array"),
        (lambda: of_numbers(nn.Conv1D(BEYOND, 3)), r"do not fit in memory \(9\.00e\+400 entries"),
        (lambda: of_numbers(nn.GRU(BEYOND)), r"do not fit in memory \(.*e\+40\d entries"),
        (lambda: nn.Sequential(nn.LocallyConnected1D(BEYOND, 3), length=9), r"do not fit in memory \(.*e\+40\d en"),
        (
            lambda: nn.Sequential(nn.UNet1D(BEYOND, 1, 3, 2), length=8),
            r"^nn.UNet1D with depth=1 has 1000.* need at least 10\^793 GB of memory",
        ),
        (
            lambda: nn.Sequential(nn.Dense(3), input=nn.Signal(BEYOND, positions=False)),
            r"do not fit in memory \(3\.00e\+400 entries",
        ),
    ],
)
def test_whole_numbers_beyond_all_floats_are_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ts.TiedseqError, match=message):
        call()


COMPLEX = np.complex128(0.5 + 9j)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.Residual(nn.Dense(2), step=BEYOND), "step=1000.* must be a finite number that is not zero"),
        (lambda: nn.Residual(nn.Dense(2), step=10**5000), "step=<int, too long to be written> must be a finite number"),
        (lambda: nn.Residual(nn.Dense(2), step=COMPLEX), "step=.* must be a finite number that is not zero"),
        (lambda: nn.Dropout(COMPLEX), "rate=.* must be a probability from 0 to less than 1"),
        (lambda: nn.Classifier(rows(), validation=COMPLEX), "validation=.* must be the part"),
        (lambda: nn.Classifier(rows(), validation=BEYOND), "validation=1000.* must be the part"),
        (lambda: nn.Classifier(rows(), class_weight={0: COMPLEX}).fit([[1], [2]], [0, 1]), "must be a finite number"),
        (lambda: nn.Emissions(of_numbers(nn.Dense(2)), decay=COMPLEX), "decay must be a finite number"),
        (lambda: nn.Regressor(rows()).fit([[1], [2]], np.array([1, COMPLEX], object)), "y must hold numbers"),
    ],
)
def test_numbers_are_real(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ts.ArgumentError, match=message):
        call()


def test_real_numbers_may_be_of_any_type() -> None:
    half: Any = Fraction(1, 2)
    assert nn.Dropout(half).rate == 0.5 and nn.Residual(nn.Dense(2), step=half).step == 0.5
    assert nn.Classifier(rows(), validation=half).options.validation == 0.5
    model = nn.Classifier(rows(), class_weight={0: half}, max_epochs=1).fit([[1], [2]], [0, 1])
    assert model.classes_.tolist() == [0, 1]


def rows() -> nn.Sequential:
    return nn.Sequential(nn.Dense(1), input=nn.Signal(1, positions=False), random_state=0)


@pytest.mark.parametrize("ragged", [[[1, 2, 3], [1, 2]], [[1, 2, 3], None]])
def test_a_ragged_sequence_of_numbers_is_named(ragged: Any) -> None:
    for read in (hmm_of(of_numbers(nn.Dense(2))).predict, of_numbers(nn.Dense(2))):
        with pytest.raises(ts.SequenceError, match=r"^Sequence 1: it is "):
            read([[[1, 2, 3]], ragged])


def test_what_is_masked_is_not_known() -> None:
    X, masked = np.random.default_rng(0).normal(size=(4, 5, 3)), [False, False, True, False]
    net = of_numbers(nn.GlobalMeanPool(), nn.Dense(1))
    with pytest.raises(ts.SequenceError, match="Sequence 2: it holds numbers that are not finite"):
        net(np.ma.array(X, mask=np.broadcast_to(np.reshape(masked, (4, 1, 1)), X.shape)))
    with pytest.raises(ts.ArgumentError, match=r"y\[2\] is nan, which is not finite"):
        nn.Regressor(net).fit(X, np.ma.array([1, 2, 999, 4], mask=masked))
    with pytest.raises(ts.ArgumentError, match=r"sample_weight\[2\] is nan"):
        nn.Classifier(net).fit(X, [0, 1, 0, 1], np.ma.array(np.ones(4), mask=masked))
    with pytest.raises(ts.ArgumentError, match=r"y\[2\] is None: leave out sequences without a label"):
        nn.Classifier(net).fit(X, np.ma.array([0, 1, 7, 1], mask=masked))
    each = nn.Labeller(of_numbers(nn.Dense(2)), max_epochs=1).fit(X[0, :4], np.ma.array([0, 1, 7, 1], mask=masked))
    assert each.classes_.tolist() == [0, 1]
