"""What estimators of networks share: training, prediction, files; with the conventions of scikit-learn."""

from __future__ import annotations

import inspect
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq import storage
from tiedseq.errors import ArgumentError, ModelError, SequenceError, counted
from tiedseq.estimator import Arguments
from tiedseq.nn.network import Sequential, check_network
from tiedseq.nn.prediction import outputs
from tiedseq.nn.training.fitting import train
from tiedseq.nn.training.losses import Loss, cross_entropy, logistic, squared_error
from tiedseq.nn.training.minibatches import Samples
from tiedseq.nn.training.options import Options
from tiedseq.one_thread import on_one_thread
from tiedseq.random_state import generator_of
from tiedseq.restating import damage_as_model_error
from tiedseq.workers import mapping

from .targets import of_size_one, shown, weights_of

Array = NDArray[Any]

_SPLIT = 2  # the stream of random numbers that draws what is held out


@dataclass(frozen=True)
class Meaning:
    """What the outputs of a network stand for.

    Attributes
    ----------
    classes : array (K,) or None
        Sorted labels; None: the outputs are numbers.
    class_weights : float64 (K,) or None
        What each counts in training; None before that is known.
    is_flat : bool
        Whether numbers are given as (N,) instead of (N, K).
    """

    classes: Array | None = None
    class_weights: Array | None = None
    is_flat: bool = False

    def loss(self, net: Sequential) -> Loss:
        """Return the loss of these outputs. Raises ModelError if the last layer has not as many."""
        channels = net.output.channels
        if self.classes is None:
            return squared_error
        count = len(self.classes)
        if channels != count and (count, channels) != (2, 1):
            fitting = "nn.Dense(1) or nn.Dense(2)" if count == 2 else f"nn.Dense({count})"
            raise ModelError(
                f"The network's last layer has {counted(channels, 'output')}, and y has {count} classes "
                f"({shown(self.classes)}): end the network with {fitting}."
            )
        return logistic if channels == 1 else cross_entropy


class NetworkEstimator(Arguments, ABC):
    """A network and how it is trained. Subclasses say what its outputs stand for."""

    kind: str
    unit = "sequence"  # what has a target
    net: Sequential
    options: Options
    history_: list[float]
    validation_history_: list[float]
    converged_: bool

    def _set(self, net: Any) -> None:
        """Take the network, and the training options among the arguments that are kept."""
        named = {field.name for field in fields(Options)}
        self.options = Options(**{name: value for name, value in self._arguments.items() if name in named})
        check_network(net)
        self.net = net
        self.history_, self.validation_history_, self.converged_ = [], [], False
        self._meaning: Meaning | None = None

    # ---- training -------------------------------------------------------------------------------------------------

    @abstractmethod
    def _check_network(self) -> None:
        """ModelError unless the network leaves what can be learnt."""

    @abstractmethod
    def _targets(
        self, y: Any, X: list[Any], one: bool, counts: Array, options: Options, meaning: Meaning | None
    ) -> Targets:
        """Return targets, their weights, and what they mean.

        `counts` are the weights of the sequences (N,), which are not in those that are returned; `meaning` is that of
        before, if it is to stay.
        """

    def _known_values(self) -> Array:
        """Where a warm start begins."""
        return self.net.values

    def _take(self, meaning: Meaning) -> None:
        """Set what fitting learns of y."""
        self._meaning = meaning

    def _fit(self, X: Any, y: Any, sample_weight: Any, given: Mapping[str, Any]) -> None:
        options = self.options.changed(given, self._arguments)
        self._check_network()
        if not self.net.n_parameters:
            raise ModelError("The network has no weights, so that there is nothing to learn: add an nn.Dense layer.")
        before = None
        if options.warm_start and self._meaning is not None:
            before = replace(self._meaning, class_weights=None)
        samples, meaning = self._samples(X, y, sample_weight, options, before)
        loss = meaning.loss(self.net)
        held_out: Samples | None = None
        if isinstance(options.validation, tuple):
            others, wanted = options.validation
            try:
                held_out, _ = self._samples(others, wanted, None, options, meaning, " of validation")
            except (ArgumentError, SequenceError) as error:
                raise type(error)(f"In validation=: {error}") from error
        generator = generator_of(options.random_state)
        seed = int(generator.integers(2**62))
        start = self._known_values() if options.warm_start else self.net.draw(generator)

        def split(seed: int) -> tuple[Samples, Samples | None]:
            return (samples, held_out) if held_out is not None else _split(samples, options, seed, self.unit)

        data = [samples] if held_out is None else [samples, held_out]
        run = train(self.net, loss, data, split, start.astype(np.float64), seed, options)
        self.net.values = run.values
        self.history_, self.validation_history_ = run.history, run.validation_history
        self.converged_ = run.converged
        self._take(meaning)

    def _samples(
        self, X: Any, y: Any, sample_weight: Any, options: Options, before: Meaning | None, place: str = ""
    ) -> tuple[Samples, Meaning]:
        """Return what counts of the sequences and what they should give."""
        sequences, one = self.net.read(X)
        of_sequence = weights_of(sample_weight, len(sequences), self.unit)
        targets, weights, meaning = self._targets(y, sequences, one, of_sequence, options, before)
        if isinstance(weights, np.ndarray):
            weights = of_size_one([weights * of_sequence])[0]
        else:
            weights = of_size_one([weight * factor for weight, factor in zip(weights, of_sequence, strict=True)])
        samples = Samples(sequences, targets, weights, np.arange(len(sequences)), place)
        counting = np.flatnonzero(samples.counts())
        if not len(counting):
            raise ArgumentError(f"Nothing{place} counts: all labels are unknown, or have weight 0.")
        return samples.chosen(counting), meaning

    # ---- use ------------------------------------------------------------------------------------------------------

    def _known(self) -> Meaning:
        if self._meaning is None:
            raise ArgumentError(f"This nn.{type(self).__name__} has learnt nothing yet: call fit(X, y) first.")
        return self._meaning

    def _scores(self, X: Any) -> tuple[Any, bool]:
        """Return what the network makes of every sequence, float64, and whether X is a single one.

        (N, K); a list of arrays (L, K) where the network leaves positions.
        """
        self._known()
        sequences, one = self.net.read(X)
        return predicted(self.net, sequences, self.options.executor), one

    # ---- files ----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network and what its outputs mean to a readable, versioned JSON file; `ts.load` gives it back.

        Training options are not kept: those of a model from a file are the defaults.

        Raises
        ------
        ModelError
            A layer cannot be written, such as one with a function as its `symmetry`.
        ResourceError
            The file cannot be written.
        """
        storage.save(self, path)

    def to_dict(self) -> dict[str, Any]:
        """Return the model as a dictionary for JSON."""
        meaning = self._known()
        classes = None if meaning.classes is None else meaning.classes.tolist()
        return {"classes": classes, "flat": meaning.is_flat, "network": self.net.to_dict()}

    @classmethod
    @damage_as_model_error()
    def from_dict(cls, document: Mapping[str, Any]) -> Any:
        """Return the model that `to_dict` described; ModelError for what is no such description."""
        model = cls(Sequential.from_dict(document["network"]))  # type: ignore[call-arg]
        classes = cls._classes_of(document["classes"])
        meaning = Meaning(classes, None, bool(document["flat"]))
        meaning.loss(model.net)  # refuses what does not fit
        model._take(meaning)
        return model

    @classmethod
    @abstractmethod
    def _classes_of(cls, classes: Any) -> Array | None:
        """Return the classes that a file names. Raises ValueError for what are none."""

    # ---- how it shows ---------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        defaults = {name: parameter.default for name, parameter in inspect.signature(type(self)).parameters.items()}
        changed = [
            f", {name}={value!r}"
            for name, value in self._arguments.items()
            if name != "net" and not _is_default(value, defaults[name])
        ]
        before, _, count = repr(self._arguments["net"]).rpartition(")  # ")
        return f"nn.{type(self).__name__}({before}){''.join(changed)})  # {count}"

    def __sklearn_is_fitted__(self) -> bool:
        return self._meaning is not None


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, str | int | float) and value == default)


Targets = tuple[Any, Any, Meaning]


@on_one_thread
def predicted(net: Sequential, sequences: list[Any], executor: Any) -> Any:
    """Return what a network makes of sequences, float64: an array, or a list of arrays where it leaves positions."""
    with mapping(executor) as run:
        found = [output.astype(np.float64) for output in outputs(net, sequences, run)]
    return found if net.output.positions else np.array(found)


def _split(samples: Samples, options: Options, seed: int, unit: str) -> tuple[Samples, Samples | None]:
    """Hold out the part that `validation` says, at least one sequence or pair."""
    if not options.validation:
        return samples, None
    held = max(1, round(float(options.validation) * len(samples)))
    if held >= len(samples):
        raise ArgumentError(
            f"validation={options.validation!r} of {counted(len(samples), unit)} leaves none to learn from; "
            "make it smaller."
        )
    order = np.random.default_rng([_SPLIT, seed]).permutation(len(samples))
    return samples.chosen(np.sort(order[held:])), samples.chosen(np.sort(order[:held]))
