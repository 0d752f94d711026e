"""Numbers learnt from sequences, or at their positions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tiedseq.errors import ArgumentError, ModelError, counted
from tiedseq.nn.network import Sequential
from tiedseq.nn.training.options import Options
from tiedseq.random_state import RandomState

from . import targets as read
from .shared import Meaning, NetworkEstimator, Targets

Array = NDArray[Any]


class Regressor(NetworkEstimator):
    """A network that learns numbers: some a sequence, or some at every position where the network leaves positions.

    The objective is the mean over sequences (or over all positions) of the squared error, itself the mean over the
    outputs, else as that of `nn.Classifier`, whose parameters and attributes these are, classes apart. Numbers of the
    size of 1 are learnt best: scale them.

    Examples
    --------
    >>> from tiedseq import nn
    >>> net = nn.Sequential(nn.OneHot(), nn.GlobalMeanPool(), nn.Dense(1), dtype="float64")
    >>> X = ["ACGT", "GGCC", "ATAT", "GATT", "CCAT", "AAAA"]
    >>> y = [(x.count("G") + x.count("C")) / len(x) for x in X]
    >>> regressor = nn.Regressor(net, optimiser="lbfgs", max_epochs=100, random_state=0).fit(X, y)
    >>> round(float(regressor.predict("GCGAAAAA")), 4)
    0.375
    """

    kind = "regressor"
    _estimator_type = "regressor"  # of scikit-learn before 1.6

    def __init__(
        self,
        net: Sequential,
        max_epochs: int = Options.max_epochs,
        batch_size: int = Options.batch_size,
        optimiser: str = Options.optimiser,
        learning_rate: float = Options.learning_rate,
        weight_decay: float = Options.weight_decay,
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

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None, **options: Any) -> Regressor:
        """Train the network, from newly drawn values, so that fitting twice gives the same; return the regressor.

        Parameters
        ----------
        X : list of sequences
            As for `nn.Classifier.fit`.
        y : array (N,) or (N, K); a list of arrays (L,) or (L, K) if the network leaves positions
            Finite numbers, K of them for K outputs.
        sample_weight : array (N,), default 1 each
            How much every sequence, or every position of it, counts; 0 leaves it out.
        **options
            Options of the constructor, for this call.

        Raises
        ------
        ArgumentError
            Numbers that are not finite, or another number of them than sequences or positions; a loss that is not
            finite. Whatever is raised, also by Ctrl-C, the model stays as it was.
        ModelError
            The network has another number of outputs.
        SequenceError
            A sequence does not suit the network; it is named by its number.

        Warns
        -----
        ConvergenceWarning
            L-BFGS did not converge.
        """
        self._fit(X, y, sample_weight, options)
        return self

    def predict(self, X: Any) -> Any:
        """Return what the network makes of sequences: numbers in the form of `y`.

        Parameters
        ----------
        X : list of sequences, or a single one
            As for `fit`.

        Returns
        -------
        float64 array (N,) or (N, K); a list of (L,) or (L, K) if the network leaves positions
            Without N, or the array itself, of a single sequence. An example is at `Regressor`.

        Raises
        ------
        ArgumentError
            The model has not been fitted, or X holds no sequences.
        SequenceError
            A sequence does not suit the network; it is named by its number.
        """
        scores, one = self._scores(X)
        if self._known().is_flat:
            scores = [each[:, 0] for each in scores] if self.net.output.positions else scores[:, 0]
        return scores[0] if one else scores

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return R^2, 1 - squared error / squared distance from the mean, the mean over outputs; 1 is perfect.

        Parameters
        ----------
        X : list of sequences, or a single one
            As for `fit`.
        y : array (N,) or (N, K); a list of arrays (L,) or (L, K) if the network leaves positions
            Without N, or the array itself, of a single sequence.
        sample_weight : array (N,), default 1 each
            How much every sequence, or every position of it, counts.

        Returns
        -------
        float
            1 at most; 0 is what the mean of `y` explains, and there is no least.

        Raises
        ------
        ArgumentError
            y is constant, where there is nothing to explain; it holds numbers that are not finite, or another number of
            them than the network gives; weights that are negative, not finite, or 0 everywhere; the model has not
            been fitted.
        SequenceError
            A sequence does not suit the network; it is named by its number.

        Examples
        --------
        >>> from tiedseq import nn
        >>> net = nn.Sequential(nn.OneHot(), nn.GlobalMeanPool(), nn.Dense(1), dtype="float64")
        >>> model = nn.Regressor(net, optimiser="lbfgs", max_epochs=99, random_state=0)
        >>> X, y = ["ACGT", "GGCC", "ATAT", "GATT"], [0.5, 1.0, 0.0, 0.25]
        >>> round(model.fit(X, y).score(X, y), 4)
        1.0
        """
        scores, one = self._scores(X)
        targets, _, _ = self._numbers(y, len(scores), one)
        of_sequence = read.weights_of(sample_weight, len(scores))
        if self.net.output.positions:
            for number, (outputs, given) in enumerate(zip(scores, targets, strict=True)):
                if len(outputs) != len(given):
                    raise ArgumentError(
                        f"y[{number}] has {counted(len(given), 'position')}, and the network leaves {len(outputs)}."
                    )
            of_sequence = np.repeat(of_sequence, [len(each) for each in targets])
            scores, targets = np.concatenate(scores), np.concatenate(targets)
        if targets.shape != scores.shape:
            raise ArgumentError(
                f"y has {counted(targets.shape[1], 'number')} each, and the network gives {scores.shape[1]}."
            )
        counting = targets[of_sequence > 0.0]
        if (counting == counting[:1]).all(axis=0).any():  # squares say so only up to rounding
            raise ArgumentError("y is constant, so that there is nothing to explain; R^2 needs numbers that differ.")
        mean = np.average(targets, axis=0, weights=of_sequence)
        with np.errstate(all="ignore"):  # what is not finite is an error
            unexplained = (of_sequence @ (targets - scores) ** 2) / (of_sequence @ (targets - mean) ** 2)
        if not np.isfinite(unexplained).all():
            raise ArgumentError("y holds numbers whose squares are beyond float64, so that R^2 has none: scale them.")
        return float(np.mean(1.0 - unexplained))

    @classmethod
    def _classes_of(cls, classes: Any) -> None:
        if classes is not None:
            raise ValueError("it learns numbers, and has classes")

    def _check_network(self) -> None:
        """Any will do."""

    def _numbers(self, y: Any, count: int, one: bool) -> tuple[Any, Any, bool]:
        """Return numbers (N, K) or a list of (L, K), weights of 1, and whether they were given as (N,) or (L,)."""
        if self.net.output.positions:
            targets = read.position_numbers_of(y, one)
            read.check_length(targets, count, "y")
            is_flat = all(each.ndim == 1 for each in targets)
            targets = [each[:, None] if each.ndim == 1 else each for each in targets]
            return targets, [np.ones(len(each)) for each in targets], is_flat
        numbers = read.numbers_of([y] if one else y)
        read.check_length(numbers, count, "y")
        return numbers[:, None] if numbers.ndim == 1 else numbers, np.ones(count), numbers.ndim == 1

    def _targets(
        self, y: Any, X: list[Array], one: bool, counts: Array, options: Options, meaning: Meaning | None
    ) -> Targets:
        targets, weights, is_flat = self._numbers(y, len(X), one)
        widths = {each.shape[1] for each in targets} if isinstance(targets, list) else {targets.shape[1]}
        channels = self.net.output.channels
        if widths != {channels}:
            found = " or ".join(counted(width, "number") for width in sorted(widths))
            raise ModelError(
                f"The network's last layer has {counted(channels, 'output')}, and y has {found} each: "
                f"end the network with nn.Dense({max(widths)})."
            )
        return targets, weights, Meaning(is_flat=is_flat)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import RegressorTags

        tags = super().__sklearn_tags__()
        tags.estimator_type, tags.regressor_tags, tags.target_tags.required = "regressor", RegressorTags(), True
        return tags
