"""Classes of positions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tiedseq.errors import ArgumentError, ModelError, counted
from tiedseq.nn.training.losses import probabilities
from tiedseq.nn.training.options import Options

from . import targets as read
from .classifier import ClassEstimator
from .shared import Meaning, Targets

Array = NDArray[Any]


class Labeller(ClassEstimator):
    """A network that gives every position a class.

    The network must leave positions, as many as there are labels: layers with padding="same" keep the length. The
    objective is the mean of the loss over all positions whose label is known, else as that of `nn.Classifier`, whose
    parameters and attributes these are; "balanced" counts positions. To scikit-learn it is no classifier, as its labels
    are no class a sequence that folds could be balanced by: `cv=5` cuts sequences into five parts.

    Examples
    --------
    >>> from tiedseq import nn
    >>> net = nn.Sequential(nn.Conv1D(2, width=3, padding="same"), random_state=0)
    >>> X, y = ["AAGCGCAA", "TTTGGCT"] * 8, ["--++++--", "---+++-"] * 8  # strings: a letter is a label
    >>> labeller = nn.Labeller(net, max_epochs=50, batch_size=8, learning_rate=0.05, random_state=0).fit(X, y)
    >>> "".join(labeller.predict("TACGGA"))
    '--+++-'
    """

    kind = "labeller"

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None, **options: Any) -> Labeller:
        """Train the network, from newly drawn values, so that fitting twice gives the same; return the labeller.

        Parameters
        ----------
        X : list of sequences
            As for `nn.Classifier.fit`.
        y : list of sequences of labels
            Text (a string is a letter a position) or whole numbers, one for each position; None and -1 are labels that
            are not known, and do not count.
        sample_weight : array (N,), default 1 each
            How much every position of a sequence counts; 0 leaves it out.
        **options
            Options of the constructor, for this call.

        Raises
        ------
        ArgumentError
            One class only, no known label, no labels at all, or another number of them than positions that the network
            leaves; a loss that is not finite. Whatever is raised, also by Ctrl-C, the model stays as it was.
        ModelError
            The network leaves no positions, or not one output for each class.
        SequenceError
            A sequence does not suit the network; it is named by its number.

        Warns
        -----
        ConvergenceWarning
            L-BFGS did not converge.
        """
        self._fit(X, y, sample_weight, options)
        return self

    def predict_proba(self, X: Any) -> Any:
        """Return P(class | sequence) at every position that the network leaves.

        Parameters
        ----------
        X : list of sequences, or a single one
            As for `fit`.

        Returns
        -------
        list of float64 arrays (L, K), or that of a single sequence
            Classes in the order of `classes_`; a row sums to one.

        Raises
        ------
        ArgumentError
            The model has not been fitted, or X holds no sequences.
        SequenceError
            A sequence does not suit the network; it is named by its number.

        Examples
        --------
        >>> from tiedseq import nn
        >>> net = nn.Sequential(nn.Conv1D(2, width=3, padding="same"))
        >>> labeller = nn.Labeller(net, max_epochs=1, random_state=0).fit(["AAGC"], ["--++"])
        >>> labeller.predict_proba("TACGGA").shape
        (6, 2)
        """
        scores, one = self._scores(X)
        found = [probabilities(each) for each in scores]
        return found[0] if one else found

    def predict(self, X: Any) -> Any:
        """Return the likeliest class of every position; of equal ones the first in `classes_`.

        X and errors are those of `predict_proba`.

        Returns
        -------
        list of arrays (L,) of the dtype of `classes_`, or that of a single sequence
            An example is at `Labeller`.
        """
        scores, one = self._scores(X)
        found = [self.classes_[probabilities(each).argmax(axis=-1)] for each in scores]
        return found[0] if one else found

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the part of positions with a known label whose class is right.

        Parameters
        ----------
        X : list of sequences, or a single one
            As for `fit`.
        y : list of sequences of labels, or that of a single sequence
            As for `fit`; None and -1 do not count. A label that the model does not know is wrong.
        sample_weight : array (N,), default 1 each
            How much every position of a sequence counts.

        Returns
        -------
        float
            From 0 to 1.

        Raises
        ------
        ArgumentError
            No labels, none that is known and counts, or another number of them than positions that the network leaves;
            weights that are negative, not finite, or 0 everywhere; the model has not
            been fitted.
        SequenceError
            A sequence does not suit the network; it is named by its number.

        Examples
        --------
        >>> from tiedseq import nn
        >>> net = nn.Sequential(nn.Conv1D(2, width=1), random_state=0)
        >>> labeller = nn.Labeller(net, max_epochs=99, learning_rate=0.1).fit(["AAGC"], ["--++"], warm_start=True)
        >>> labeller.score("ACGA", ["-", "+", None, "+"])  # two of the three that are known
        0.6666666666666666
        """
        scores, one = self._scores(X)
        labels = read.position_labels_of(y, one)
        read.check_length(labels, len(scores), "y")
        weights = read.weights_of(sample_weight, len(scores))
        right, total = 0.0, 0.0
        for number, (outputs, given, weight) in enumerate(zip(scores, labels, weights, strict=True)):
            if len(outputs) != len(given):
                left = counted(len(outputs), "position")
                raise ArgumentError(f"y[{number}] has {counted(len(given), 'label')}, and the network leaves {left}.")
            known = ~read.unknown_among(given)
            found = self.classes_[probabilities(outputs).argmax(axis=-1)].tolist()
            same = np.array([a == b for a, b in zip(found, given.tolist(), strict=True)], bool)
            right, total = right + weight * float(same.sum()), total + weight * float(known.sum())
        if not total:
            raise ArgumentError("y holds no label that is known and counts.")
        return float(right / total)

    def _check_network(self) -> None:
        if not self.net.output.positions:
            raise ModelError(
                "nn.Labeller needs outputs at every position, and the network leaves none: leave global pools"
                " out, or use nn.Classifier for a class a sequence."
            )

    def _targets(
        self, y: Any, X: list[Array], one: bool, counts: Array, options: Options, meaning: Meaning | None
    ) -> Targets:
        labels = read.position_labels_of(y, one)
        read.check_length(labels, len(X), "y")
        lengths = [len(each) for each in labels]
        codes, weights, meaning = self._coded(labels, np.repeat(counts, lengths), True, options, meaning)
        ends = np.cumsum(lengths)[:-1]
        return np.split(codes, ends), np.split(weights, ends), meaning
