"""Draw how sure an alignment is along a genome: the mitochondria of human and mouse.

    python examples/confidence_along_a_genome.py confidence.png

Confidence is high in the genes of proteins and lower where much was lost and gained: in the control region, the last
1,100 letters, and in the loops of the ribosomal RNAs. Without the name of a picture only the means are printed. Needs
matplotlib (`pip install 'tiedseq[plot]'`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import tiedseq as ts

DATA = Path(__file__).parent.parent / "data"
SHIFT = 576  # data/human_mt.fa starts at base 577 of NC_012920
GENES = {  # protein genes, positions in NC_012920
    "ND1": (3307, 4262), "ND2": (4470, 5511), "COX1": (5904, 7445), "COX2": (7586, 8269), "ATP8/6": (8366, 9207),
    "COX3": (9207, 9990), "ND3": (10059, 10404), "ND4L/4": (10470, 12137), "ND5": (12337, 14148), "ND6": (14149, 14673),
    "CYTB": (14747, 15887),
}  # fmt: skip
RIBOSOMAL = {"12S": (648, 1601), "16S": (1671, 3229)}
CONTROL_REGION = slice(16024 - SHIFT - 1, None)  # to the end, and over the origin to tRNA-Phe


def confidence_by_position(result: ts.AlignmentResult) -> np.ndarray:
    """P(letter is aligned as shown) for every letter of the target."""
    confidence = np.full(len(result.target), np.nan)
    present = result.columns[0] >= 0
    confidence[result.columns[0, present]] = result.confidence[present]
    return confidence


def draw(result: ts.AlignmentResult, path: str, window: int = 100) -> None:
    confidence = confidence_by_position(result)
    smooth = np.convolve(confidence, np.ones(window) / window, mode="same")
    figure, axes = plt.subplots(figsize=(11, 3.2), layout="constrained")
    for genes, color in ((GENES, "tab:blue"), (RIBOSOMAL, "tab:green")):
        for name, (first, last) in genes.items():
            axes.axvspan(first - SHIFT, last - SHIFT, color=color, alpha=0.12, linewidth=0)
            axes.text((first + last) / 2 - SHIFT, 1.03, name, ha="center", fontsize=8)
    axes.axvspan(CONTROL_REGION.start, confidence.size, color="tab:red", alpha=0.15, linewidth=0)
    axes.text((CONTROL_REGION.start + confidence.size) / 2, 1.03, "control\nregion", ha="center", fontsize=8)
    inside = slice(window // 2, -(window // 2))
    axes.plot(np.arange(confidence.size)[inside], smooth[inside], color="black", linewidth=0.9)
    axes.set(ylim=(0, 1.15), xlim=(0, confidence.size), xlabel="position in the human genome, from tRNA-Phe")
    axes.set_ylabel(f"confidence\n(mean of {window} letters)")
    figure.savefig(path, dpi=120)


def main() -> None:
    human, mouse = (next(ts.read(DATA / f"{name}_mt.fa")) for name in ("human", "mouse"))
    result = ts.align(human, mouse)
    confidence = confidence_by_position(result)
    coding = np.concatenate([confidence[first - SHIFT - 1 : last - SHIFT] for first, last in GENES.values()])
    ribosomal = np.concatenate([confidence[first - SHIFT - 1 : last - SHIFT] for first, last in RIBOSOMAL.values()])
    print(
        f"mean confidence: protein genes {coding.mean():.3f}, ribosomal RNA {ribosomal.mean():.3f}, "
        f"control region {confidence[CONTROL_REGION].mean():.3f}"
    )
    if len(sys.argv) > 1:
        draw(result, sys.argv[1])


if __name__ == "__main__":
    main()
