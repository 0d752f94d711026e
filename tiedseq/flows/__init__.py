"""Strand-symmetric Markov chains: what is tied is the joint table of words, or the flow between states."""

from __future__ import annotations

from tiedseq.flows.chain import SymmetricChain as SymmetricChain
from tiedseq.flows.words import conditional as conditional
from tiedseq.flows.words import marginal as marginal
from tiedseq.flows.words import reverse_complement as reverse_complement
