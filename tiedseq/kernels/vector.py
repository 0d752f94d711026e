"""The Numba type of a vector of lanes, its arithmetic, and what the instructions on it are built from.

Numba leaves vectorising to LLVM, which gives up where many arrays meet in one loop. Here a vector is a Numba type of
its own, an LLVM `<16 x double>`, that lives in registers: two of AVX-512, four of AVX2, eight of NEON.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import config, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from . import plain
from .layout import LANES

DOUBLE = ir.DoubleType()
VECTOR = ir.VectorType(DOUBLE, LANES)
INTEGERS = ir.VectorType(ir.IntType(64), LANES)
CHOICES = ir.VectorType(ir.IntType(16), LANES)
INDEX = ir.IntType(32)
BYTES = 8
FUSE = ("contract",)


def instruction(typer: Callable[..., Any]) -> Any:
    """Make `typer` an intrinsic of the compiler; where nothing is compiled, take its namesake in NumPy."""
    return getattr(plain, typer.__name__) if config.DISABLE_JIT else intrinsic(typer)


class VectorType(types.Type):
    """Sixteen float64 values in registers."""

    def __init__(self) -> None:
        super().__init__(name=f"vector({LANES})")


class ChoicesType(types.Type):
    """Sixteen int16 numbers in a register: which of several values each lane has taken."""

    def __init__(self) -> None:
        super().__init__(name=f"choices({LANES})")


vector_type, choices_type = VectorType(), ChoicesType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, VECTOR)


@register_model(ChoicesType)
class _ChoicesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, CHOICES)


def tuple_of(count: int) -> types.UniTuple:
    return types.UniTuple(vector_type, count)


def items_of(builder: Any, value: Any, count: int) -> list[Any]:
    return [builder.extract_value(value, i) for i in range(count)]


def shuffle(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INDEX, len(lanes)), lanes))


def in_every_lane(builder: Any, scalar: Any, kind: Any = VECTOR) -> Any:
    undefined = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(undefined, scalar, ir.Constant(INDEX, 0))
    return shuffle(builder, one, undefined, [0] * LANES)


def multiply_add(builder: Any, a: Any, b: Any, total: Any) -> Any:
    product = builder.fmul(a, b, flags=FUSE)
    return product if total is None else builder.fadd(total, product, flags=FUSE)


def larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def collect(builder: Any, a: Any, b: Any, total: Any, best: Any) -> Any:
    """total + a b, or, where `best` is not None's type, the larger of total and a b."""
    if isinstance(best, types.NoneType):
        return multiply_add(builder, a, b, total)
    product = builder.fmul(a, b)
    return product if total is None else larger(builder, total, product)


def element(context: Any, builder: Any, array_type: Any, array: Any, index: Any, count: Any) -> Any:
    """The address of array[index], where `count` elements are to be read or written; checked when asked for."""
    proxy = context.make_array(array_type)(context, builder, array)
    if config.BOUNDSCHECK:
        count = ir.Constant(index.type, count) if isinstance(count, int) else count
        last = builder.add(index, count)
        below = builder.icmp_signed("<", index, ir.Constant(index.type, 0))
        outside = builder.or_(below, builder.icmp_signed(">", last, proxy.nitems))
        with builder.if_then(outside, likely=False):
            context.call_conv.return_user_exc(builder, IndexError, ("a vector reaches outside its array",))
    return builder.gep(proxy.data, [index])


def address(context: Any, builder: Any, array_type: Any, array: Any, index: Any, kind: Any = VECTOR) -> Any:
    return builder.bitcast(element(context, builder, array_type, array, index, LANES), kind.as_pointer())


def addresses(
    context: Any, builder: Any, array_type: Any, array: Any, index: Any, stride: Any, count: int
) -> list[Any]:
    steps = [builder.mul(stride, ir.Constant(stride.type, i)) for i in range(count)]
    return [address(context, builder, array_type, array, builder.add(index, step)) for step in steps]


# ---- arithmetic: a + b, a + scalar, a * b, a * scalar ---------------------------------------------------------------


class _Arithmetic(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        if len(args) == 2 and args[0] == vector_type and args[1] in (vector_type, types.float64):
            return signature(vector_type, *args)
        return None


for _operation in (operator.add, operator.mul):
    infer_global(_operation)(type("_Arithmetic", (_Arithmetic,), {}))


@lower_builtin(operator.add, VectorType, VectorType)
def _add(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.fadd(*args, flags=FUSE)


@lower_builtin(operator.add, VectorType, types.Float)
def _shift(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.fadd(args[0], in_every_lane(builder, args[1]), flags=FUSE)


@lower_builtin(operator.mul, VectorType, VectorType)
def _multiply(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.fmul(*args, flags=FUSE)


@lower_builtin(operator.mul, VectorType, types.Float)
def _scale(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.fmul(args[0], in_every_lane(builder, args[1]), flags=FUSE)
