"""Siamese networks: two sequences, one set of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tiedseq.errors import ArgumentError, ModelError, SequenceError
from tiedseq.nn import document
from tiedseq.nn.network import Sequential
from tiedseq.nn.training.losses import Loss, contrastive, logistic
from tiedseq.nn.training.options import Options
from tiedseq.options import check_word, checked_weight
from tiedseq.random_state import RandomState
from tiedseq.restating import damage_as_model_error

from . import targets as read
from .classifier import Classifier
from .pairs import COMPARISONS, PairNetwork
from .shared import Meaning, Targets, predicted

Array = NDArray[Any]


@dataclass(frozen=True)
class _Same(Meaning):
    """What the outputs for pairs stand for: a difference of two points if there is a margin, else a score."""

    margin: float | None = None

    def loss(self, net: Sequential) -> Loss:
        return logistic if self.margin is None else partial(contrastive, margin=self.margin)


class Siamese(Classifier):
    """A network that tells whether two sequences are the same kind: both go through one set of weights.

    The network makes a point of every sequence. With comparison="distance" it learns by the contrastive loss: points of
    the same come close, those of others at least `margin` apart (Hadsell et al., CVPR 2006). With "difference" or
    "product" a weighted sum of |a - b| or a * b, and a number, is the logarithm of the odds for the same, and it learns
    by the logistic loss. All three are the same to the last bit if the sequences of pairs are swapped, and so are their
    gradients (dropout apart, which draws for each sequence).

    Parameters
    ----------
    net : Sequential
        What makes points of sequences; it must leave no positions. It holds the values after `fit`.
    comparison : {"distance", "difference", "product"}, default "distance"
        How two points are compared, and so the loss.
    margin : float, default 1.0
        Of the contrastive loss. Pairs closer than half of it count as the same.
    max_epochs, batch_size, optimiser, learning_rate, weight_decay, class_weight, validation, patience, random_state, \
progress, callback, executor, checkpoint, warm_start
        As in `Classifier`. The classes are False and True.

    Attributes
    ----------
    embedding : Sequential
        The network that was given.
    net : PairNetwork
        The network of pairs: `embedding` twice, and the weights of the comparison.
    classes_ : array
        False and True.
    history_, validation_history_, converged_
        As in `Classifier`.

    Raises
    ------
    ArgumentError
        An option out of its range.
    ModelError
        The network leaves positions.

    Examples
    --------
    >>> from tiedseq import nn
    >>> net = nn.Sequential(nn.Conv1D(4, width=4), nn.ReLU(), nn.GlobalMaxPool(), nn.Dense(2))
    >>> kinds = ["ACTATAGC", "GTATACCG"], ["CCGGGCAA", "TTGGGCGT"]
    >>> pairs = [(a, b) for one in kinds for other in kinds for a in one for b in other]
    >>> same = [one is other for one in kinds for other in kinds for _ in range(4)]
    >>> siamese = nn.Siamese(net, max_epochs=100, batch_size=4, learning_rate=0.02, random_state=0).fit(pairs, same)
    >>> siamese.score(pairs, same), siamese.predict(("CTATACCC", "TCGGGCTT"))
    (1.0, False)
    """

    kind = "siamese"
    unit = "pair"
    net: PairNetwork

    def __init__(
        self,
        net: Sequential,
        comparison: str = "distance",
        margin: float = 1.0,
        max_epochs: int = Options.max_epochs,
        batch_size: int = Options.batch_size,
        optimiser: str = Options.optimiser,
        learning_rate: float = Options.learning_rate,
        weight_decay: float = Options.weight_decay,
        class_weight: Any = Options.class_weight,
        validation: Any = Options.validation,
        patience: int | None = Options.patience,
        random_state: RandomState = None,
        progress: bool = False,
        callback: Any = None,
        executor: Any = None,
        checkpoint: Any = None,
        warm_start: bool = False,
    ) -> None:
        self._keep(locals())
        check_word("comparison", comparison, COMPARISONS)
        if not checked_weight("margin", margin):
            raise ArgumentError(f"margin={margin!r} must be more than 0, or nothing keeps others apart.")
        self._set(net)
        self.embedding, self.comparison, self.margin = net, comparison, float(margin)
        self.net = PairNetwork(net, comparison)

    # ---- training -------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, **options: Any) -> Siamese:
        """Train the network, from newly drawn values, so that fitting twice gives the same; return the estimator.

        Parameters
        ----------
        X : list of pairs of sequences
            Or an array (N, 2, L, channels) of numbers, or two columns of pandas.
        y : array (N,) of bool, or of 0 and 1
            Whether the two are the same kind.
        sample_weight : array (N,), default 1 each
            How much every pair counts; 0 leaves it out.
        **options
            Options of the constructor, for this call.

        Raises
        ------
        ArgumentError
            What are no pairs; pairs of one kind only, or another number of them; a loss that is not finite. Whatever is
            raised, the model stays as it was.
        SequenceError
            A sequence does not suit the network; its pair is named by its number.

        Warns
        -----
        ConvergenceWarning
            L-BFGS did not converge.
        """
        self._fit(X, y, sample_weight, options)
        return self

    def _check_network(self) -> None:
        pass  # the network of pairs was checked when it was made

    def _targets(
        self, y: Any, X: list[Any], one: bool, counts: Array, options: Options, meaning: Meaning | None
    ) -> Targets:
        labels = read.labels_of(y)
        read.check_length(labels, len(X), "y", self.unit)
        wrong = [label for label in labels.tolist() if label not in (0, 1)]
        if wrong:
            raise ArgumentError(f"y holds {wrong[0]!r}; give True for pairs that are the same, and False for others.")
        codes, weights, found = self._coded([labels.astype(bool)], counts, False, options, meaning)
        return codes, weights, self._same(found)

    def _same(self, meaning: Meaning) -> _Same:
        margin = self.margin if self.comparison == "distance" else None
        return _Same(meaning.classes, meaning.class_weights, margin=margin)

    def _known_values(self) -> Array:
        own = self.embedding.values  # which may have been set since the network of pairs was made of them
        return np.concatenate([own, self.net.values[len(own) :]])

    def _take(self, meaning: Meaning) -> None:
        super()._take(meaning)
        self.embedding.values = self.net.values[: self.embedding.n_parameters]

    # ---- use ------------------------------------------------------------------------------------------------------

    def distance(self, X: Any) -> Any:
        """Return the Euclidean distance of the points of every pair, float64 (N,); a number of a single pair.

        A tuple of two sequences is a single pair.
        """
        points, one = self._differences(X)
        found = np.sqrt((points * points).sum(axis=1))
        return float(found[0]) if one else found

    def decision_function(self, X: Any) -> Any:
        """Return what speaks for the same, float64 (N,); a number of a single pair.

        ln P(same) - ln P(others); with comparison="distance" half of the margin less the distance.
        """
        if self.comparison == "distance":
            return 0.5 * self.margin - self.distance(X)
        scores, one = self._scores(X)
        return float(scores[0, 0]) if one else scores[:, 0]

    def predict_proba(self, X: Any) -> Array:
        """Return P(others) and P(same) of every pair, float64 (N, 2); (2,) of a single pair.

        Raises
        ------
        ModelError
            With comparison="distance", which learns no probabilities.
        """
        if self.comparison == "distance":
            raise ModelError(
                'nn.Siamese with comparison="distance" learns distances and no probabilities: use distance(X), or '
                'comparison="difference" or "product".'
            )
        return super().predict_proba(X)

    def predict(self, X: Any) -> Any:
        """Return whether the two are the same kind, bool (N,); of a single pair True or False."""
        found = self.decision_function(X)
        return bool(found > 0) if np.ndim(found) == 0 else found > 0

    def _differences(self, X: Any) -> tuple[Array, bool]:
        """The differences of the points of every pair."""
        self._known()
        pairs, one = self.net.read(X)
        points = [self._points([pair[side] for pair in pairs]) for side in (0, 1)]
        return points[0] - points[1], one

    def _points(self, sequences: list[Array]) -> Array:
        try:
            return np.asarray(predicted(self.embedding, sequences, self.options.executor))
        except SequenceError as error:
            raise SequenceError(f"In a pair, {error}") from error

    # ---- files ----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the model as a dictionary for JSON."""
        self._known()
        return {
            "comparison": self.comparison,
            "margin": self.margin,
            "network": self.embedding.to_dict(),
            "weights": document.numbers(self.net.values[self.embedding.n_parameters :]),
        }

    @classmethod
    @damage_as_model_error()
    def from_dict(cls, found: Mapping[str, Any]) -> Siamese:
        """Return the model that `to_dict` described; ModelError for what is no such description."""
        embedding = Sequential.from_dict(found["network"])
        model = cls(embedding, found["comparison"], found["margin"])
        model.net.values = np.concatenate([embedding.values, np.array(found["weights"], embedding.dtype)])
        model._take(model._same(Meaning(np.array([False, True]))))
        return model
