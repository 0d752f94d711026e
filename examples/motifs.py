"""What tells Oct4's binding sites from Mafk's: train a network that knows both strands, and draw what it found.

    python examples/motifs.py motifs.png

Needs matplotlib and logomaker for the picture; without the name of one motifs are printed only. The known motifs are
ATGCAAAT (Oct4) and TGCTGA[GC] with a degenerate second half (Mafk, which binds as a pair); each motif is shown on the
strand that is more like them.
"""

import sys
from pathlib import Path

import numpy as np

import tiedseq as ts
from tiedseq import nn

DATA = Path(__file__).resolve().parent.parent / "data"
SHOWN = 3  # motifs a factor
KNOWN = {"oct4": "ATGCAAAT", "mafk": "TGCTGA"}


def peaks() -> tuple[list[str], list[str]]:
    """Sequences under peaks, and the factor of each; whether letters are masked does not matter here."""
    found = [(record, factor) for factor in ("oct4", "mafk") for record in ts.read(DATA / f"{factor}_train.fa.gz")]
    return [record.sequence.upper() for record, _ in found], [factor for _, factor in found]


def sites(motif) -> float:
    """How many places the motif was counted in."""
    return sum(motif.counts[letter][motif.length // 2] for letter in "ACGT")


def shares(motif) -> np.ndarray:
    """(width, 4): how frequent each letter is."""
    counts = np.array([motif.counts[letter] for letter in "ACGT"]).T + 0.25
    return counts / counts.sum(axis=1, keepdims=True)


def likeness(motif, word: str) -> float:
    """The mean share of a word's letters where it fits best; a quarter beyond the motif's ends."""
    beyond = np.full((3, 4), 0.25)
    columns, letters = np.concatenate([beyond, shares(motif), beyond]), ["ACGT".index(letter) for letter in word]
    places = range(len(columns) - len(word) + 1)
    return max((columns[k + np.arange(len(word)), letters].mean() for k in places), default=0.0)


def information(motif) -> float:
    """In bits: how far its columns are from letters that are equally frequent."""
    columns = shares(motif)
    return float(2 * len(columns) + (columns * np.log2(columns)).sum())


def core(motif, least: float = 0.5):
    """The motif without the columns at its ends that say little, less than `least` bits."""
    columns = shares(motif)
    bits = 2 + (columns * np.log2(columns)).sum(axis=1)
    informative = np.flatnonzero(bits >= least)
    return motif[informative[0] : informative[-1] + 1] if informative.size else motif


def main() -> None:
    sequences, factors = peaks()
    layers = nn.Conv1D(64, width=19, symmetry="reverse-complement"), nn.ReLU(), nn.GlobalMaxPool(), nn.Dropout(0.3)
    net = nn.Sequential(*layers, nn.Dense(1), random_state=0)
    model = nn.Classifier(net, max_epochs=10, random_state=0, executor=2).fit(sequences, factors)
    print(f"{net.n_parameters} free parameters; {model.score(sequences, factors):.3f} of what it learnt from is right")

    weights = net.parameters["4.dense.weight"][:, 0]  # above 0: towards the second class
    found = {motif.name: motif for motif in nn.motifs(net, sequences)}
    chosen = {}
    for sign, factor in ((-1, model.classes_[0]), (1, model.classes_[1])):
        towards = {name: sign * weights[int(name.split("_")[1])] for name in found}
        ranked = sorted(found, key=lambda name: -towards[name] * information(found[name]))[:SHOWN]
        word, chosen[factor] = KNOWN[factor], []
        for motif in (core(found[name]) for name in ranked):
            shown = max(motif, motif.reverse_complement(), key=lambda strand: likeness(strand, word))
            chosen[factor].append(shown)
            like = f"letters of {word} have a share of {likeness(shown, word):.2f} there"
            print(f"{factor}: {shown.degenerate_consensus} in {sites(shown):.0f} places; {like}")
    if len(sys.argv) > 1:
        draw(chosen, sys.argv[1])


def draw(chosen: dict, picture: str) -> None:
    """A row of logos a factor."""
    import logomaker
    import matplotlib as mpl

    mpl.use("Agg")
    import pandas as pd
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(len(chosen), SHOWN, figsize=(4 * SHOWN, 2 * len(chosen)), squeeze=False)
    for row, (factor, motifs) in zip(axes, chosen.items(), strict=True):
        for panel, motif in zip(row, motifs, strict=False):
            counts = pd.DataFrame({letter: motif.counts[letter] for letter in "ACGT"})
            bits = logomaker.transform_matrix(counts, from_type="counts", to_type="information")
            logomaker.Logo(bits, ax=panel)
            panel.set_xticks(range(motif.length), map(str, range(1, motif.length + 1)))
            panel.set_ylim(0, 2)
            panel.set_title(f"towards {factor}: {sites(motif):,.0f} places")
            panel.set_ylabel("bits")
    figure.tight_layout()
    figure.savefig(picture, dpi=100)


if __name__ == "__main__":
    main()
