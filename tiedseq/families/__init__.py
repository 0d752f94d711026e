"""Emission families of HMMs whose observations are numbers, or several things at once: the protocol and ours."""

from __future__ import annotations

from tiedseq.families.channels import Channels as Channels
from tiedseq.families.family import Family as Family
from tiedseq.families.family import Use as Use
from tiedseq.families.gaussian import Gaussian as Gaussian
from tiedseq.families.poisson import Poisson as Poisson
