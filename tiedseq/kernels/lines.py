"""Sizes of what matrix products work on: cache lines of columns, and tiles whose totals stay in registers."""

from __future__ import annotations

from llvmlite import binding

from .memory import LINE as LINE  # columns are padded to whole cache lines, and a vector is one of them

TILE_ROWS = 4
TILE_VECTORS = 4 if binding.get_host_cpu_features().get("avx512f", False) else 1  # as many as registers have room for
