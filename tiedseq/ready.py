"""Hypotheses about pairs of sequences, ready to be compared: each a null and the alternative that gives up its ties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .distributions import Categorical
from .errors import ArgumentError
from .pairhmm import PairHMM
from .pairs.topologies import ASPECTS, labels_in_place_of

Models = tuple[PairHMM, PairHMM]


def _insertion(*aspects: str) -> Callable[..., Models]:
    """Whether these aspects of insertion and deletion are one thing, the others being so."""
    others = [aspect for aspect in ASPECTS if aspect not in aspects]

    def models(**options: Any) -> Models:
        null = PairHMM.affine(symmetric=True, **options)
        given = options.get("values") or {}
        values = {own: value for label, value in given.items() for own in labels_in_place_of(label, aspects)}
        return null, PairHMM.affine(symmetric=others, **{**options, "values": values})

    return models


def _substitution(kind: str) -> Callable[..., Models]:
    """Whether the pair table has these ties."""
    return lambda **options: (
        PairHMM.affine(**{**options, "substitution": kind}),
        PairHMM.affine(**{**options, "substitution": "general"}),
    )


def _strand_symmetry(**options: Any) -> Models:
    """Whether both strands are alike: pairs, and the letters of gaps."""
    alternative = PairHMM.affine(**{**options, "substitution": "general"})
    values = dict(options.pop("values", None) or {})
    letters = {label: np.asarray(value) for label, value in alternative.parameters.items() if np.ndim(value) == 1}
    tied = {
        label: Categorical(labels=[0, 1, 1, 0], values=0.5 * (found + found[::-1]))
        for label, found in letters.items()
        if label not in alternative.held
    }
    if options.get("background") is None:  # it comes from the letters of gaps, which begin differently in the two
        options["background"] = alternative.background
    tied_values = {**values, **tied}
    return PairHMM.affine(**{**options, "substitution": "strand-symmetric", "values": tied_values}), alternative


def _one_gap_class(**options: Any) -> Models:
    """Whether gaps have one law of lengths, a geometric one, or a mixture of two."""
    return PairHMM.affine(**{**options, "gaps": 1}), PairHMM.affine(**{**options, "gaps": 2})


READY: dict[str, Callable[..., Models]] = {
    "symmetric-insertion": _insertion("opening", "extension", "letters"),
    "symmetric-gaps": _insertion("opening", "extension"),
    "symmetric-opening": _insertion("opening"),
    "symmetric-extension": _insertion("extension"),
    "symmetric-letters": _insertion("letters"),
    "reversibility": _substitution("symmetric"),
    "strand-symmetry": _strand_symmetry,
    "kimura": _substitution("kimura"),
    "jukes-cantor": _substitution("jukes-cantor"),
    "one-gap-class": _one_gap_class,
}


def about(name: str) -> str:
    """The option of `PairHMM.affine` that a ready hypothesis is about, and sets in both models itself.

    >>> about("kimura")
    'substitution'
    """
    if name == "one-gap-class":
        return "gaps"
    return "symmetric" if name.startswith("symmetric-") else "substitution"


def hypotheses(name: str, **options: Any) -> Models:
    """Return the null and the alternative of a ready hypothesis, for `ts.compare`.

    Parameters
    ----------
    name : str
        - "symmetric-insertion": insertion and deletion are one thing: as often, as long, of the same letters.
          "symmetric-gaps" leaves the letters out, which differ already if the two sequences' composition does. In one
          aspect alone: "symmetric-opening", "symmetric-extension", "symmetric-letters"; the others are symmetric in
          both models.
        - "reversibility": P(a, b) = P(b, a) in the pair table.
        - "strand-symmetry": pairs and gap letters are alike on both strands. DNA only.
        - "kimura", "jukes-cantor": the pair table has these few values.
        - "one-gap-class": gap lengths are geometric, against a mixture of two. Not nested as chi-square wants it; its
          p-value needs `bootstrap=`.
    **options
        As :meth:`tiedseq.PairHMM.affine` takes them, for both models: gaps, substitution, alphabet, ... What a
        hypothesis is about it sets itself: a symmetry of insertion `symmetric`, "one-gap-class" `gaps`, all others
        `substitution`. `values` go by the labels of the null; where the alternative has two labels in the place of one,
        both begin with its value.

    Raises
    ------
    ArgumentError
        There is no such hypothesis, or it is about the option that is given.

    Examples
    --------
    >>> null, alternative = hypotheses("symmetric-opening")
    >>> alternative.n_free_parameters - null.n_free_parameters
    1
    """
    if not isinstance(name, str) or name not in READY:
        raise ArgumentError(f"hypotheses({name!r}) is unknown; there are {', '.join(map(repr, READY))}.")
    if about(name) in options:
        raise ArgumentError(
            f"hypotheses({name!r}) takes no {about(name)}={options[about(name)]!r}: this is what it sets itself; leave "
            "it out."
        )
    return READY[name](**options)
