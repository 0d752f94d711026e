"""Numbers below float64's normal range (denormals) as zeros, while a kernel runs.

A processor takes some hundred cycles for an operation on a denormal. Where values shrink by a factor a cell, as beside
the likely path of an alignment, there is always a band of cells whose products are denormal: on sequences of 2,000
letters it took three quarters of an E-step. What is lost is below 1e-307 of a number that is added to it or not at all.

The control register belongs to the thread, so a kernel that changes it puts it back before it returns.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from .vector import instruction

_FLUSH = 0x8040  # of x86's MXCSR: results below the normal range are zero, and so are operands
_HAS_CONTROL = platform.machine().lower() in ("x86_64", "amd64")
_WORD = ir.IntType(32)
_POINTER = ir.IntType(8).as_pointer()


def _call(builder: Any, name: str, place: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [_POINTER])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{name}")
    builder.call(function, [builder.bitcast(place, _POINTER)])


@instruction
def flush_denormals(typing: Any) -> Any:
    """Take denormals for zeros from here on, and return what `restore_denormals` needs; nothing on other processors."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if not _HAS_CONTROL:
            return ir.Constant(_WORD, 0)
        place = cgutils.alloca_once(builder, _WORD)
        _call(builder, "stmxcsr", place)
        before = builder.load(place)
        builder.store(builder.or_(before, ir.Constant(_WORD, _FLUSH)), place)
        _call(builder, "ldmxcsr", place)
        return before

    return types.int32(), generate


@instruction
def restore_denormals(typing: Any, before: Any) -> Any:
    """Put the control register back to what it was."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if _HAS_CONTROL:
            place = cgutils.alloca_once(builder, _WORD)
            builder.store(args[0], place)
            _call(builder, "ldmxcsr", place)
        return context.get_dummy_value()

    return types.void(before), generate
