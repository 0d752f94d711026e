"""What train and compare show a person: the fitted model with its tables, and a verdict in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tiedseq.comparison import Comparison
    from tiedseq.pairhmm import PairHMM

_MOST_LETTERS = 6  # of an alphabet whose table of pairs is printed
IN_WORDS = {
    "symmetric-insertion": "insertions and deletions are alike: how often they open, how long they are, their letters",
    "symmetric-gaps": "insertions and deletions are alike: how often they open, how long they are",
    "symmetric-opening": "insertions and deletions open equally often",
    "symmetric-extension": "insertions and deletions are equally long",
    "symmetric-letters": "insertions and deletions hold the same letters",
    "reversibility": "a pair of letters is as frequent as the same pair the other way round",
    "strand-symmetry": "both strands are alike, in pairs of letters and in the letters of gaps",
    "kimura": "pairs of letters are matches, transitions and transversions only (Kimura)",
    "jukes-cantor": "pairs of letters are matches and mismatches only (Jukes and Cantor)",
    "one-gap-class": "gap lengths follow one geometric law, and not a mixture of two",
}


def model_text(model: PairHMM) -> str:
    """Return a fitted model as text: its parameters, its tables of pairs, how long gaps are."""
    return "\n".join([repr(model), *_tables(model), _gap_lengths(model)])


def _tables(model: PairHMM) -> list[str]:
    """The tables of pairs of letters, which the list of parameters has no room for."""
    letters, lines = model.alphabet.letters, []
    for line in model.describe():
        if line.letters and np.ndim(line.value) == 2 and len(letters) <= _MOST_LETTERS:
            lines += [
                "",
                f"{line.label}: rows target, columns query",
                " " + "".join(f"{letter:>9}" for letter in letters),
            ]
            rows = zip(letters, line.value.tolist(), strict=True)
            lines += [letter + "".join(f"{value:9.4f}" for value in row) for letter, row in rows]
    return [*lines, ""] if lines else []


def _gap_lengths(model: PairHMM) -> str:
    stays = model.recursion.tables.transitions.diagonal().tolist()
    found = [
        f"{state} {1.0 / (1.0 - stay):.2f}"
        for (state, kind), stay in zip(model.states.items(), stays, strict=True)
        if kind != "xy" and stay < 1.0
    ]
    return f"mean length of a gap, in letters: {', '.join(found)}"


def verdict_text(result: Comparison, claim: str) -> str:
    """Return a comparison as text: the claim, what the tests say of it, and the figures."""
    p_values = {"likelihood-ratio test": result.p_value}
    if result.permutation is not None:
        p_values["permutation test"] = result.permutation.p_value
    lines = [f"hypothesis: {claim}"]
    for test, is_rejected in result.verdicts().items():
        if is_rejected is None:
            lines.append(f"no verdict by the {test}: see the notes")
        else:
            word = "rejected" if is_rejected else "not rejected"
            lines.append(f"{word} at the 5 % level by the {test}, p = {p_values[test]:.2g}")
    return "\n".join([*lines, "", repr(result)])
