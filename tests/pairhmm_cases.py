"""Models with random ties, twice: a PairHMM in the label language, and the twin's plain arrays with the same numbers.

What the PairHMM reports by label is compared with what the twin counts in its arrays. The pooling by label is done
here, by hand, from the labels that the random model was drawn with: tiedseq has no part in what is expected of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

import tiedseq as ts
import twin
from tiedseq.pairs.lanes import Lanes

Floats = NDArray[np.float64]
ByLabel = dict[str, Any]  # label -> a number, or an array for a distribution
Evaluate = Callable[[twin.Model, twin.Codes, twin.Codes, str], twin.Counts]

# Written once more, so that the package's own table is not what it is compared with.
MEANT = {
    "A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip
SYMBOLS = "".join(MEANT)
OBSERVED = np.array([[float(letter in meant) for letter in "ACGT"] for meant in MEANT.values()])
TURNED = str.maketrans("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN")


def values_of(model: ts.PairHMM) -> ByLabel:
    """The values by label, of a type that tests can index."""
    return dict(model.parameters)


def reverse_complement(text: str) -> str:
    return text.translate(TURNED)[::-1]


@dataclass
class Case:
    """One model in both forms."""

    model: ts.PairHMM
    plain: twin.Model  # over letters
    rows: list[list[str | None]]  # labels by source (the states, then start) and column (the states, then end)
    emissions: list[str]  # the label of each state's distribution
    background: str | None  # its label, if it has one

    @property
    def slow(self) -> twin.Model:
        """The twin over the symbols of DNA."""
        return twin.observe(self.plain, OBSERVED)

    def codes(self, text: str) -> twin.Codes:
        return np.array([SYMBOLS.index(letter) for letter in text], dtype=np.int64)

    def by_label(self, counts: twin.Counts) -> ByLabel:
        """Pool the twin's counts over all uses of each label."""
        pooled: dict[str, Any] = {}
        n = len(self.plain.kinds)
        for source, row in enumerate(self.rows):
            uses = [*(counts.start if source == n else counts.transitions[source])]
            uses.append(counts.start_end if source == n else counts.end[source])
            for label, count in zip(row, uses, strict=True):
                if label is not None:
                    pooled[label] = pooled.get(label, 0.0) + float(count)
        letters = [
            twin.letter_counts(*both, OBSERVED) for both in zip(counts.emissions, self.plain.emissions, strict=True)
        ]
        for label, count in zip(self.emissions, letters, strict=True):
            pooled[label] = pooled.get(label, 0.0) + count
        if self.background is not None:
            outside = twin.letter_counts(counts.background, self.plain.background, OBSERVED)
            pooled[self.background] = pooled.get(self.background, 0.0) + outside
        return pooled


# --- drawing --------------------------------------------------------------------------------------------------------


def random_weights(rng: np.random.Generator, size: int, zeros: float = 0.0) -> Floats:
    """Positive weights, some of them zero, but not all."""
    weights = rng.gamma(1.5, size=size) + 0.05
    weights[rng.random(size) < zeros] = 0.0
    if not weights.any():
        weights[rng.integers(size)] = 1.0
    return np.asarray(weights, dtype=np.float64)


def random_case(
    rng: np.random.Generator, kinds: list[str], *, zeros: float = 0.3, end: bool | None = None, crossing: bool = True
) -> Case:
    """A model of states of these kinds, with random ties, zeros, start row, end (None: or none) and background.

    Rows come in families: the rows of one have the same labels, in an order of their own, some of them twice. Without
    `crossing` there are no edges between different gap states.
    """
    names = [f"{kind}{number}" for number, kind in enumerate(kinds)]
    n, columns = len(kinds), len(kinds) + (rng.random() < 0.5 if end is None else end)
    values: ByLabel = {}
    rows: list[list[str | None]] = []
    families = [_family(rng, f"row{k}", columns, zeros, values) for k in range(1 + (n + 1) // 2)]
    for source in range(n + 1):
        if not crossing and source < n and kinds[source] != "xy":
            labels = _gap_row(rng, source, kinds, columns, values)
        else:
            labels = [str(label) for label in rng.permutation(families[rng.integers(len(families))])]
        rows.append([label if label in values else None for label in [*labels, *[""] * (n + 1 - columns)]])
    emissions = [f"{'pair' if kind == 'xy' else 'gap'}{rng.integers(2)}" for kind in kinds]
    for label, kind in zip(emissions, kinds, strict=True):
        if label not in values:
            drawn = random_weights(rng, 16 if kind == "xy" else 4, zeros / 3)
            values[label] = (drawn / drawn.sum()).reshape((4, 4) if kind == "xy" else (4,))
    outside = random_weights(rng, 4)
    values["outside"] = outside / outside.sum()
    labels = ["outside", *(label for label in emissions if label.startswith("gap") and values[label].all())]
    background = [None, *labels][rng.integers(len(labels) + 1)]
    used = {*emissions, *(label for row in rows for label in row), background}
    model = ts.PairHMM(
        alphabet=ts.DNA,
        states=dict(zip(names, kinds, strict=True)),
        transitions={name: _keyed(row, names) for name, row in zip(names, rows[:-1], strict=True)},
        start=_keyed(rows[-1], names),
        emissions=dict(zip(names, emissions, strict=True)),
        values={label: value for label, value in values.items() if label in used},
        background=values["outside"] if background is None else background,
    )
    plain = _plain(kinds, rows, emissions, values, values[background or "outside"])
    return Case(model, plain, rows, emissions, background)


def _family(rng: np.random.Generator, name: str, columns: int, zeros: float, values: ByLabel) -> list[str]:
    """Labels of a row, some of them twice; those that are possible get values that sum to one."""
    labels = [f"{name}.{k}" for k in rng.integers(columns, size=columns)]
    weights = dict(zip(sorted(set(labels)), random_weights(rng, len(set(labels)), zeros), strict=True))
    total = sum(weights[label] for label in labels)
    values.update({label: float(weight / total) for label, weight in weights.items() if weight > 0})
    return labels


def _gap_row(rng: np.random.Generator, source: int, kinds: list[str], columns: int, values: ByLabel) -> list[str]:
    """The row of a gap state that leads to itself, to the xy states, or to the end; tied to the rows of its like."""
    labels = ["" for _ in range(columns)]
    for column in range(columns):
        if column == source:
            labels[column] = "extend"
        elif column == len(kinds) or kinds[column] == "xy":
            labels[column] = "close"
    if "extend" not in values:
        values["extend"] = float(rng.uniform(0.3, 0.7))
        values["close"] = (1 - values["extend"]) / labels.count("close")
    return labels


def _keyed(row: list[str | None], names: list[str]) -> dict[str, str]:
    return {column: label for column, label in zip([*names, "end"], row, strict=True) if label is not None}


def _plain(
    kinds: list[str], rows: list[list[str | None]], emissions: list[str], values: ByLabel, background: Floats
) -> twin.Model:
    table = np.array([[0.0 if label is None else values[label] for label in row] for row in rows])
    has_end = any(row[-1] is not None for row in rows)
    return twin.Model(
        list(kinds),
        table[-1, :-1].copy(),
        table[:-1, :-1].copy(),
        table[:-1, -1].copy() if has_end else None,
        float(table[-1, -1]) if has_end else 1.0,
        [values[label] for label in emissions],
        background,
    )


def random_text(rng: np.random.Generator, length: int, ambiguous: float = 0.0) -> str:
    """Random letters; the given share of them are ambiguity codes."""
    letters = rng.integers(4, size=length)
    codes = rng.integers(4, len(SYMBOLS), size=length)
    return "".join(SYMBOLS[k] for k in np.where(rng.random(length) < ambiguous, codes, letters))


def related_text(rng: np.random.Generator, text: str, identity: float = 0.8, gaps: float = 0.05) -> str:
    """A descendant of a text: letters replaced, lost and inserted."""
    result = []
    for letter in text:
        if rng.random() < gaps:
            result.append(random_text(rng, int(rng.geometric(0.4))))
        if rng.random() >= gaps:
            result.append(letter if rng.random() < identity else random_text(rng, 1))
    return "".join(result)


# --- comparing ------------------------------------------------------------------------------------------------------


def on_strand(case: Case, target: str, query: str, mode: str, strand: str, evaluate: Evaluate) -> tuple[Any, ...]:
    """What the twin says of a pair: ln P, posterior, counts by label; on both strands the even mixture of two."""
    x = case.codes(target)
    found = [evaluate(case.slow, x, case.codes(query), mode)]
    if strand == "forward":
        return found[0].log_likelihood, found[0].posterior, case.by_label(found[0])
    found.append(evaluate(case.slow, x, case.codes(reverse_complement(query)), mode))
    total = float(np.logaddexp(found[0].log_likelihood, found[1].log_likelihood))
    shares = [math.exp(part.log_likelihood - total) if total > -math.inf else 0.0 for part in found]
    counts = [case.by_label(part) for part in found]
    mixed = {label: shares[0] * counts[0][label] + shares[1] * counts[1][label] for label in counts[0]}
    return total - math.log(2), shares[0] * found[0].posterior + shares[1] * found[1].posterior[:, ::-1], mixed


def check_sums(
    case: Case, target: str, query: str, mode: str, strand: str, evaluate: Evaluate, *, atol: float = 1e-10
) -> bool:
    """Compare ln P, posterior and expected counts of a pair with the twin; return whether the pair is possible."""
    expected, posterior, counts = on_strand(case, target, query, mode, strand, evaluate)
    options: dict[str, Any] = {"mode": mode, "strand": strand}
    found = case.model.log_likelihood(target, query, **options)
    if expected == -math.inf:
        assert found == -math.inf
        with pytest.raises(ts.SequenceError, match="probability 0"):
            case.model.posterior(target, query, **options)
        with pytest.raises(ts.SequenceError, match="probability 0"):
            case.model.expected_counts([(target, query)], **options)
        return False
    assert_allclose(found, expected, rtol=0, atol=atol)
    pairs = case.model.posterior(target, query, 0.0, **options).toarray()
    assert_allclose(pairs, posterior, rtol=1e-8, atol=atol)
    check_by_label(case.model.expected_counts([(target, query)], **options), counts, atol=atol)
    return True


def check_by_label(found: ByLabel, expected: ByLabel, *, rtol: float = 1e-8, atol: float = 1e-10) -> None:
    for label, value in expected.items():
        assert_allclose(found[label], value, rtol=rtol, atol=atol, err_msg=label)
    assert set(found) == set(expected)


def check_best(case: Case, target: str, query: str, mode: str, best: float) -> None:
    """The likeliest path: its ln P is `best`, and the alignment that comes with it is one of a path that likely."""
    if best == -math.inf:
        with pytest.raises(ts.SequenceError, match="probability 0"):
            case.model.viterbi(target, query, mode=mode)
        return
    found, alignment = case.model.viterbi(target, query, mode=mode)
    assert_allclose(found, best, rtol=1e-13, atol=1e-10)
    over_states = case.model.log_joint(target, query, alignment, mode=mode)
    assert over_states >= found - 1e-10 - 1e-13 * abs(found)


def in_logarithms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send every model down the path that extreme parameters take."""
    monkeypatch.setattr(Lanes, "suits", False)
