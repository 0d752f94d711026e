"""What may be said about the training of a network, and what a callback is told of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tiedseq.errors import ArgumentError
from tiedseq.options import check_word, checked_count, checked_flag, checked_number, checked_weight, with_changes
from tiedseq.random_state import RandomState

OPTIMISERS = ("adam", "lbfgs")


class Epoch(NamedTuple):
    """What a callback is told after every epoch (with L-BFGS, after every iteration).

    Attributes
    ----------
    epoch : int
        From 0.
    loss : float
        The objective: the mean over the minibatches as they were met; with L-BFGS that of all sequences.
    validation_loss : float or None
        The weighted mean of the loss alone on what is held out, without dropout; None if nothing is.

    Examples
    --------
    >>> from tiedseq import nn
    >>> losses = []
    >>> net = nn.Sequential(nn.OneHot(), nn.GlobalMeanPool(), nn.Dense(1))
    >>> clf = nn.Classifier(net, max_epochs=3, random_state=0, callback=lambda epoch: losses.append(epoch.loss))
    >>> clf.fit(["AAAC", "GGGT"], [0, 1]).history_ == losses
    True
    """

    epoch: int
    loss: float
    validation_loss: float | None


@dataclass(frozen=True)
class Options:
    """The training options, keywords of an estimator's constructor and of `fit`; `nn.Classifier` says what they do."""

    max_epochs: int = 20
    batch_size: int = 64
    optimiser: str = "adam"
    learning_rate: float = 0.003
    weight_decay: float = 0.0
    class_weight: Any = None
    validation: Any = 0.0
    patience: int | None = 5
    random_state: RandomState = None
    progress: bool = False
    callback: Callable[[Epoch], Any] | None = None
    executor: Any = None
    checkpoint: Any = None
    warm_start: bool = False

    def __post_init__(self) -> None:
        for name in ("max_epochs", "batch_size", *(() if self.patience is None else ("patience",))):
            checked_count(name, getattr(self, name))
        for name in ("progress", "warm_start"):
            checked_flag(name, getattr(self, name))
        check_word("optimiser", self.optimiser, OPTIMISERS)
        for name in ("weight_decay", "learning_rate"):  # of any type, such as Fraction, which arrays do not mix with
            object.__setattr__(self, name, checked_weight(name, getattr(self, name)))
        if not self.learning_rate:
            raise ArgumentError(f"learning_rate={self.learning_rate!r} must be more than 0, or nothing is learnt.")
        given = self.class_weight
        if (
            given is not None
            and not isinstance(given, Mapping)
            and not (isinstance(given, str) and given == "balanced")
        ):
            raise ArgumentError(f'class_weight={given!r} must be None, "balanced", or map classes to weights.')
        if not (isinstance(self.validation, tuple) and len(self.validation) == 2):
            wanted = (
                "the part of the sequences to hold out, from 0 to less than 1, or a tuple of sequences and what they "
                "should give"
            )
            part = checked_number("validation", self.validation, lambda part: 0.0 <= part < 1.0, wanted)
            object.__setattr__(self, "validation", part)
        if self.callback is not None and not callable(self.callback):
            raise ArgumentError(f"callback={self.callback!r} cannot be called; give a function of an nn.Epoch.")

    def changed(self, given: Mapping[str, Any], among: Collection[str]) -> Options:
        """Return the options with those of one call of `fit`. Raises ArgumentError for one not `among` these."""
        return with_changes(self, given, among)
