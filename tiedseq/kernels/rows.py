"""Between rows of a table, each of which is one lane's, and vectors: instructions as those of `simd`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llvmlite import ir
from numba.core import types

from .layout import LANES
from .vector import DOUBLE, INDEX, VECTOR, element, instruction, items_of, shuffle, tuple_of, vector_type


@instruction
def load_apart(typing: Any, array: Any, index: Any, stride: Any) -> Any:
    """The vector of array[index], array[index + stride] and so on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector = ir.Constant(VECTOR, ir.Undefined)
        for lane in range(LANES):
            at = builder.add(args[1], builder.mul(args[2], ir.Constant(args[2].type, lane)))
            value = builder.load(element(context, builder, array, args[0], at, 1), align=8)
            vector = builder.insert_element(vector, value, ir.Constant(INDEX, lane))
        return vector

    return vector_type(array, types.intp, types.intp), generate


@instruction
def gather_rows(typing: Any, table: Any, rows: Any, index: Any, offset: Any) -> Any:
    """Four vectors: table[rows[index + lane] + offset + k] in vector k."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        places = _row_addresses(context, builder, table, rows, args)
        parts = [builder.load(place, align=8) for place in places]
        for width in (4, 8, 16):  # rows side by side, as many again each time; each of the four values together
            order = [k * width // 4 + r + half * width for k in range(4) for half in (0, 1) for r in range(width // 4)]
            parts = [shuffle(builder, a, b, order) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        vectors = []
        for k in range(4):
            lanes = [k * 8 + r + half * 32 for half in (0, 1) for r in range(8)]
            vectors.append(shuffle(builder, parts[0], parts[1], lanes))
        return context.make_tuple(builder, sig.return_type, vectors)

    return tuple_of(4)(table, rows, types.intp, types.intp), generate


@instruction
def add_rows(typing: Any, table: Any, rows: Any, index: Any, offset: Any, vectors: Any) -> Any:
    """table[rows[index + lane] + offset + k] += vector k, for four vectors and one lane after the other."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        for place, row in _rows_at(context, builder, table, rows, args):
            builder.store(builder.fadd(builder.load(place, align=8), row), place, align=8)
        return context.get_dummy_value()

    return types.void(table, rows, types.intp, types.intp, vectors), generate


@instruction
def set_rows(typing: Any, table: Any, rows: Any, index: Any, offset: Any, vectors: Any) -> Any:
    """table[rows[index + lane] + offset + k] = vector k, for four vectors and one lane after the other."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        for place, row in _rows_at(context, builder, table, rows, args):
            builder.store(row, place, align=8)
        return context.get_dummy_value()

    return types.void(table, rows, types.intp, types.intp, vectors), generate


def _rows_at(context: Any, builder: Any, table: Any, rows: Any, args: Any) -> Iterator[tuple[Any, Any]]:
    """For every lane the address of its four values, and what four vectors hold of it."""
    a, b, c, d = items_of(builder, args[4], 4)
    pairs = [lane for lane in range(LANES) for lane in (lane, LANES + lane)]
    low, high = shuffle(builder, a, b, pairs), shuffle(builder, c, d, pairs)
    for lane, place in enumerate(_row_addresses(context, builder, table, rows, args)):
        yield place, shuffle(builder, low, high, [2 * lane, 2 * lane + 1, 2 * lane + 32, 2 * lane + 33])


def _row_addresses(context: Any, builder: Any, table: Any, rows: Any, args: Any) -> list[Any]:
    """For every lane the address of four values, of table[rows[index + lane] + offset] and what follows."""
    pointer, places = ir.VectorType(DOUBLE, 4).as_pointer(), []
    for lane in range(LANES):
        index = builder.add(args[2], ir.Constant(args[2].type, lane))
        row = builder.load(element(context, builder, rows, args[1], index, 1))
        first = builder.add(row, args[3])
        places.append(builder.bitcast(element(context, builder, table, args[0], first, 4), pointer))
    return places
