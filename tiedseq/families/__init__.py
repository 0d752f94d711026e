"""Emission families of HMMs whose observations are numbers: the protocol, Gaussian, Poisson."""

from __future__ import annotations

from tiedseq.families.family import Family as Family
from tiedseq.families.family import Use as Use
from tiedseq.families.gaussian import Gaussian as Gaussian
from tiedseq.families.poisson import Poisson as Poisson
