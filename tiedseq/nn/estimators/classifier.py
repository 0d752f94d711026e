"""Classes of sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tiedseq.errors import ModelError
from tiedseq.nn.network import Sequential
from tiedseq.nn.training.losses import probabilities
from tiedseq.nn.training.options import Options
from tiedseq.random_state import RandomState

from . import targets as read
from .shared import Meaning, NetworkEstimator, Targets

Array = NDArray[Any]


class ClassEstimator(NetworkEstimator):
    """What classifiers of sequences and of positions share."""

    classes_: Array

    def __init__(
        self,
        net: Sequential,
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
        self._set(net)

    def _take(self, meaning: Meaning) -> None:
        super()._take(meaning)
        assert meaning.classes is not None
        self.classes_ = meaning.classes

    @classmethod
    def _classes_of(cls, classes: Any) -> Array:
        found = read.array_of(classes) if isinstance(classes, list) else np.array(classes)
        if found.ndim != 1 or found.tolist() != classes or not np.array_equal(np.unique(found), found):
            raise ValueError("its classes are no sorted labels of one kind")
        if len(found) < 2:
            raise ValueError("it has fewer than two classes")
        return found

    def _coded(
        self, labels: list[Array], counts: Array, unknown: bool, options: Options, before: Meaning | None
    ) -> Targets:
        """Return codes, weights and meaning of labels one after the other, each of which counts so much."""
        known = None if before is None else before.classes
        classes, codes = read.codes_of(labels, known, unknown)
        if before is not None and before.class_weights is not None:
            meaning = before  # of what is trained on, for what is validated on
        else:
            read.check_classes(classes)
            meaning = Meaning(classes, read.class_weights_of(options.class_weight, classes, codes, counts))
        assert meaning.class_weights is not None
        weights = np.where(codes == read.UNKNOWN, 0.0, meaning.class_weights[codes])
        return np.maximum(codes, 0), weights, meaning

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


class Classifier(ClassEstimator):
    """A network that tells classes of sequences apart.

    A last layer of one output learns two classes by the logistic loss, one of K outputs K classes by the cross-entropy.
    The objective is the mean of the loss over sequences, weighted by `sample_weight` times `class_weight`; plus half of
    `weight_decay` times the sum of squares of all free weights, each once however often it is tied, biases apart; plus
    what layers add, as it is (`net.penalty`).

    Parameters
    ----------
    net : Sequential
        What is trained: after `fit` it holds the values. Sequences are given as it takes them: strings, records or
        arrays of codes; or numbers.
    max_epochs : int, default 20
        How often at most training goes through all sequences; with L-BFGS, iterations.
    batch_size : int, default 64
        Sequences a step. They are of like length, drawn anew in every epoch.
    optimiser : {"adam", "lbfgs"}, default "adam"
        "lbfgs" takes all sequences at every step, and needs a network that does not draw (no nn.Dropout); for networks
        of few parameters, best in float64.
    learning_rate : float, default 0.003
        Of Adam: about what a value moves in a step. Thrice the paper's, as max_epochs are few: with 32 filters on 4,000
        peaks of two transcription factors 97.2 % of held out ones were right; 93.2 % with 0.001, 96.8 % with 0.01.
    weight_decay : float, default 0
    class_weight : "balanced" or mapping of class to weight, default None
        "balanced" is n / (K * n_class), n and n_class sums of `sample_weight`. Classes that a mapping leaves out count
        1.
    validation : float or (X, y), default 0.0
        What is held out: a part of the sequences, drawn by `random_state`, or others. The values that are kept are
        those of the epoch with the lowest loss on it.
    patience : int or None, default 5
        Training stops after so many epochs without a lower loss on `validation`; None: it never does.
    random_state : int, Generator, RandomState or None
        Draws starting values, minibatches, what is held out, and dropout. The same whole number gives the same bits.
    progress : bool, default False
        Show a bar; needs tqdm.
    callback : function of an nn.Epoch, default None
        Called after every epoch; True stops the training.
    executor : int or ThreadPoolExecutor, default None
        Threads that share the work; the result is the same to the last bit for any number.
    checkpoint : path, default None
        A file that is written, whole, after every epoch, from which an interrupted training of the same network, data
        and options goes on to the same bits; removed at the end.
    warm_start : bool, default False
        Start from the network's values instead of new ones; Adam's memory begins anew.

    Attributes
    ----------
    net : Sequential
    classes_ : array (K,)
        The labels, sorted.
    history_ : list of float
        The objective in every epoch: the mean over its minibatches as they were met.
    validation_history_ : list of float
        The loss on `validation` after every epoch: the weighted mean alone, without what is added to it.
    converged_ : bool
        Whether training came to its end before `max_epochs`: by `patience`, or by L-BFGS's own rule.

    Raises
    ------
    ArgumentError
        An option out of its range.

    Examples
    --------
    >>> from tiedseq import nn
    >>> net = nn.Sequential(nn.Conv1D(2, width=3), nn.ReLU(), nn.GlobalMaxPool(), nn.Dense(1))
    >>> X, y = ["ACGTATAACG", "GGTATACC", "CCGTGTCC", "ACGTGTGA"] * 8, ["tata", "tata", "none", "none"] * 8
    >>> clf = nn.Classifier(net, max_epochs=60, batch_size=8, learning_rate=0.05, random_state=0).fit(X, y)
    >>> clf.score(X, y), clf.predict("AATATAC")
    (1.0, 'tata')
    """

    kind = "classifier"
    _estimator_type = "classifier"  # of scikit-learn before 1.6

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, **options: Any) -> Classifier:
        """Train the network, from newly drawn values, so that fitting twice gives the same; return the classifier.

        Parameters
        ----------
        X : list of sequences
            Or a column of pandas, an array of strings; of numbers an array (N, L, channels) or a list of (L, channels).
        y : array (N,)
            Text or whole numbers, a label for each sequence.
        sample_weight : array (N,), default 1 each
            How much every sequence counts; 0 leaves it out.
        **options
            Options of the constructor, for this call.

        Raises
        ------
        ArgumentError
            One class only, labels that are missing or no labels, another number of them than sequences; a loss that is
            not finite. Whatever is raised, also by Ctrl-C, the model stays as it was.
        ModelError
            The network leaves positions, or not one output for each class.
        SequenceError
            A sequence does not suit the network; it is named by its number.

        Warns
        -----
        ConvergenceWarning
            L-BFGS did not converge.
        """
        self._fit(X, y, sample_weight, options)
        return self

    def decision_function(self, X: Any) -> Any:
        """Return the scores: what the network makes of sequences, before they become probabilities.

        Parameters
        ----------
        X : list of sequences, or a single one
            As for `fit`.

        Returns
        -------
        float64 array
            Of two classes ln P(second) - ln P(first), (N,); of more the outputs, (N, K), in the order of `classes_`.
            Without N of a single sequence.

        Raises
        ------
        ArgumentError
            The model has not been fitted, or X holds no sequences.
        SequenceError
            A sequence does not suit the network; it is named by its number.
        """
        scores, one = self._scores(X)
        if len(self.classes_) == 2:
            scores = scores[:, 0] if scores.shape[1] == 1 else scores[:, 1] - scores[:, 0]
        return scores[0] if one else scores

    def predict_proba(self, X: Any) -> Array:
        """Return P(class | sequence).

        X and errors are those of `decision_function`.

        Returns
        -------
        float64 array (N, K), or (K,) of a single sequence
            Classes in the order of `classes_`; a row sums to one.

        Examples
        --------
        >>> from tiedseq import nn
        >>> net = nn.Sequential(nn.OneHot(), nn.GlobalMeanPool(), nn.Dense(1))
        >>> clf = nn.Classifier(net, max_epochs=1, random_state=0).fit(["AAAC", "GGGT"], ["a", "g"])
        >>> clf.predict_proba(["AC", "GT", "GG"]).shape
        (3, 2)
        """
        scores, one = self._scores(X)
        found = probabilities(scores)
        return found[0] if one else found

    def predict(self, X: Any) -> Any:
        """Return the likeliest class of every sequence; of equal ones the first in `classes_`.

        X and errors are those of `decision_function`.

        Returns
        -------
        array (N,) of the dtype of `classes_`, or the label of a single sequence
            An example is at `Classifier`.
        """
        found = self.predict_proba(X)
        labels = self.classes_[found.argmax(axis=-1)]
        return labels.item() if found.ndim == 1 and isinstance(labels, np.generic) else labels

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the part of sequences whose class is right.

        Parameters
        ----------
        X : list of sequences, or a single one
            As for `fit`.
        y : array (N,), or the label of a single sequence
            One that the model does not know is wrong.
        sample_weight : array (N,), default 1 each
            How much every sequence counts.

        Returns
        -------
        float
            From 0 to 1. An example is at `Classifier`.

        Raises
        ------
        ArgumentError
            Labels that are missing or no labels, another number of them than sequences; weights that are negative, not
            finite, or 0 everywhere; the model has not been fitted.
        SequenceError
            A sequence does not suit the network; it is named by its number.
        """
        found = np.atleast_1d(self.predict(X))
        single = isinstance(y, str | int | float | np.generic) or (isinstance(y, np.ndarray) and not y.ndim)
        labels = read.labels_of([y] if single else y)
        read.check_length(labels, len(found), "y", self.unit)
        right = np.array([a == b for a, b in zip(found.tolist(), labels.tolist(), strict=True)])
        return float(np.average(right, weights=read.weights_of(sample_weight, len(found), self.unit)))

    def _check_network(self) -> None:
        if self.net.output.positions:
            raise ModelError(
                "nn.Classifier needs one row of outputs a sequence, and the network leaves positions: put an "
                "nn.GlobalMaxPool before the last layer, or use nn.Labeller for a class a position."
            )

    def _targets(
        self, y: Any, X: list[Array], one: bool, counts: Array, options: Options, meaning: Meaning | None
    ) -> Targets:
        labels = read.labels_of(y)
        read.check_length(labels, len(X), "y")
        return self._coded([labels], counts, False, options, meaning)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags

        tags = super().__sklearn_tags__()
        tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        return tags
