"""Probabilistic sequence models with tied parameters: the table of contents.

Every public name is listed here with its home, and is loaded when it is first used (PEP 562), so that importing tiedseq
costs next to nothing: neither Numba nor Biopython is imported until something needs it.

>>> import tiedseq as ts
>>> ts.DNA.letters
'ACGT'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:  # the same table for editors and type checkers; a test compares the two
    from . import nn as nn
    from .aligning import align as align
    from .aligning import align_all as align_all
    from .alignment import AlignmentResult as AlignmentResult
    from .alphabet import DNA as DNA
    from .alphabet import PROTEIN as PROTEIN
    from .alphabet import RNA as RNA
    from .alphabet import Alphabet as Alphabet
    from .comparison import Comparison as Comparison
    from .default import default_model as default_model
    from .distributions import Categorical as Categorical
    from .distributions import complement as complement
    from .distributions import fixed as fixed
    from .distributions import substitution as substitution
    from .errors import ArgumentError as ArgumentError
    from .errors import ConvergenceWarning as ConvergenceWarning
    from .errors import InputError as InputError
    from .errors import ModelError as ModelError
    from .errors import ResourceError as ResourceError
    from .errors import SequenceError as SequenceError
    from .errors import TiedseqError as TiedseqError
    from .families import Channels as Channels
    from .families import Family as Family
    from .families import Gaussian as Gaussian
    from .families import Poisson as Poisson
    from .formats import write as write
    from .hmm import HMM as HMM
    from .hypothesis import compare as compare
    from .pairhmm import PairHMM as PairHMM
    from .placing import Placement as Placement
    from .placing import place as place
    from .plotting import plot_posterior as plot_posterior
    from .ready import hypotheses as hypotheses
    from .records import Record as Record
    from .records import read as read
    from .storage import load as load
    from .ties import Ties as Ties

_HOME = {
    "align": "aligning",
    "align_all": "aligning",
    "default_model": "default",
    "AlignmentResult": "alignment",
    "read": "records",
    "Record": "records",
    "write": "formats",
    "load": "storage",
    "PairHMM": "pairhmm",
    "HMM": "hmm",
    "plot_posterior": "plotting",
    "compare": "hypothesis",
    "hypotheses": "ready",
    "place": "placing",
    "Placement": "placing",
    "Comparison": "comparison",
    "Categorical": "distributions",
    "substitution": "distributions",
    "fixed": "distributions",
    "complement": "distributions",
    "Channels": "families",
    "Family": "families",
    "Gaussian": "families",
    "Poisson": "families",
    "Ties": "ties",
    "Alphabet": "alphabet",
    "DNA": "alphabet",
    "RNA": "alphabet",
    "PROTEIN": "alphabet",
    "TiedseqError": "errors",
    "ArgumentError": "errors",
    "ModelError": "errors",
    "SequenceError": "errors",
    "InputError": "errors",
    "ResourceError": "errors",
    "ConvergenceWarning": "errors",
}

if not TYPE_CHECKING:  # hidden from type checkers, which would take every misspelt name for one that exists
    __all__ = ["__version__", "nn", *_HOME]

    def __getattr__(name: str) -> object:
        if name == "nn":
            return import_module(".nn", __name__)
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
        globals()[name] = value  # so that this function is asked once a name
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *_HOME})
