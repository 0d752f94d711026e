"""Vectors of 32 channels, float32, float64 or int32, that live in registers: instructions as those of `simd`."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import config, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from .memory import LINE
from .vector import element, shuffle

CHANNELS = 32  # two registers of AVX-512 in float32: one position's sums, with room for the next position's


class ChannelsType(types.Type):
    """32 numbers of one dtype in registers."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"channels({dtype})")


_NUMBERS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.int32: ir.IntType(32)}


@register_model(ChannelsType)
class _ChannelsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, ir.VectorType(_NUMBERS[fe_type.dtype], CHANNELS))


def _place(context: Any, builder: Any, array: Any, args: Any) -> Any:
    kind = ir.VectorType(_NUMBERS[array.dtype], CHANNELS)
    return builder.bitcast(element(context, builder, array, args[0], args[1], CHANNELS), kind.as_pointer())


def _load(typing: Any, array: Any, index: Any) -> Any:
    """The vector array[index : index + 32] of a contiguous array."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(_place(context, builder, array, args), align=array.dtype.bitwidth // 8)

    return ChannelsType(array.dtype)(array, types.intp), generate


def _store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a vector to array[index : index + 32]."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[2], _place(context, builder, array, args), align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


def _stream(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a vector to memory past the caches. Its first number stands at the beginning of a cache line."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        stored = builder.store(args[2], _place(context, builder, array, args), align=LINE)
        stored.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


def _settle(typing: Any) -> Any:
    """Wait until all that was written past the caches can be read by other threads."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


def _repeated(typing: Any, number: Any) -> Any:
    """An int32 in every lane."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = ir.VectorType(_NUMBERS[types.int32], CHANNELS)
        undefined, number = ir.Constant(kind, ir.Undefined), context.cast(builder, args[0], sig.args[0], types.int32)
        one = builder.insert_element(undefined, number, ir.Constant(_NUMBERS[types.int32], 0))
        return shuffle(builder, one, undefined, [0] * CHANNELS)

    return ChannelsType(types.int32)(number), generate


def _larger(typing: Any, value: Any, position: Any, best: Any, where: Any) -> Any:
    """(best, where), lane by lane with `value` and `position` where the value is larger."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        is_larger = builder.fcmp_ordered(">", args[0], args[2])
        chosen = [builder.select(is_larger, args[0], args[2]), builder.select(is_larger, args[1], args[3])]
        return context.make_tuple(builder, sig.return_type, chosen)

    return types.Tuple((best, where))(value, position, best, where), generate


def _plain_load(array: Any, index: int) -> Any:
    if index < 0 or index + CHANNELS > array.size:
        raise IndexError("a vector reaches outside its array")
    return array[index : index + CHANNELS].copy()


def _plain_store(array: Any, index: int, value: Any) -> None:
    if index < 0 or index + CHANNELS > array.size:
        raise IndexError("a vector reaches outside its array")
    array[index : index + CHANNELS] = value


def _plain_larger(value: Any, position: Any, best: Any, where: Any) -> Any:
    is_larger = value > best
    return np.where(is_larger, value, best), np.where(is_larger, position, where)


if config.DISABLE_JIT:
    load_channels: Any = _plain_load
    store_channels: Any = _plain_store
    stream_channels: Any = _plain_store
    settle: Any = lambda: None  # noqa: E731
    in_every_channel: Any = lambda number: np.full(CHANNELS, number, np.int32)  # noqa: E731
    keep_larger: Any = _plain_larger
else:
    load_channels, store_channels = intrinsic(_load), intrinsic(_store)
    stream_channels, settle = intrinsic(_stream), intrinsic(_settle)
    in_every_channel, keep_larger = intrinsic(_repeated), intrinsic(_larger)


@infer_global(operator.add)
class _Add(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        if len(args) == 2 and isinstance(args[0], ChannelsType) and args[0] == args[1]:
            return signature(args[0], *args)
        return None


@lower_builtin(operator.add, ChannelsType, ChannelsType)
def _add(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.fadd(*args)
