"""Products of small matrices in float32 or float64, on the caller's thread, in one order of sums.

BLAS would share them among threads, wait, and sum in an order of its own; and networks are run by several threads
already. Here every entry of a product is summed over its depth one after the other, whatever rows and columns stand
beside it, so that a sequence gives the same bits in any batch and on any number of threads.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from . import _jit
from .lines import LINE, TILE_ROWS, TILE_VECTORS
from .simd import keep_apart
from .vector import FUSE, INDEX, element, instruction, shuffle


def _tile(rows: int, vectors: int) -> Any:
    """Typer of instructions that add a product of `rows` rows and `vectors` cache lines to what is at its place."""

    def typer(typing: Any, total: Any, at: Any, step: Any, a: Any, a_at: Any, b: Any, b_at: Any, depth: Any) -> Any:
        item = ir.FloatType() if total.dtype == types.float32 else ir.DoubleType()
        lanes = LINE // (total.dtype.bitwidth // 8)
        kind = ir.VectorType(item, lanes)
        align = total.dtype.bitwidth // 8

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            out, place, out_row, left, left_at, right, right_at, count = args
            first, row, along = cgutils.unpack_tuple(builder, left_at, 3)
            b_first, b_row = cgutils.unpack_tuple(builder, right_at, 2)

            def address(array_type: Any, array: Any, index: Any, vector: int) -> Any:
                index = builder.add(index, ir.Constant(index.type, vector * lanes))
                found = element(context, builder, array_type, array, index, lanes)
                return builder.bitcast(found, kind.as_pointer())

            places = [
                address(total, out, builder.add(place, builder.mul(out_row, ir.Constant(place.type, i))), v)
                for i in range(rows)
                for v in range(vectors)
            ]
            sums = [cgutils.alloca_once_value(builder, builder.load(p, align=align)) for p in places]
            with cgutils.for_range(builder, count) as loop:
                at_depth = builder.add(b_first, builder.mul(b_row, loop.index))
                columns = [builder.load(address(b, right, at_depth, v), align=align) for v in range(vectors)]
                begin = builder.add(first, builder.mul(along, loop.index))
                for i in range(rows):
                    index = builder.add(begin, builder.mul(row, ir.Constant(row.type, i)))
                    number = builder.load(element(context, builder, a, left, index, 1))
                    spread = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.Constant(INDEX, 0))
                    spread = shuffle(builder, spread, spread, [0] * lanes)
                    for v in range(vectors):
                        known = sums[i * vectors + v]
                        product = builder.fmul(spread, columns[v], flags=FUSE)
                        builder.store(builder.fadd(builder.load(known), product, flags=FUSE), known)
            for known, p in zip(sums, places, strict=True):
                builder.store(builder.load(known), p, align=align)
            return context.get_dummy_value()

        three, two = types.UniTuple(types.intp, 3), types.UniTuple(types.intp, 2)
        return types.void(total, types.intp, types.intp, a, three, b, two, types.intp), generate

    return typer


@instruction
def add_tile(typing: Any, total: Any, at: Any, step: Any, a: Any, a_at: Any, b: Any, b_at: Any, depth: Any) -> Any:
    """total[i, j] += sum over k of a[i, k] b[k, j], for `TILE_ROWS` rows and `TILE_VECTORS` cache lines.

    Arrays are contiguous, an index counts their elements. total[i, j] is at `at + i step + j`; a[i, k], with
    (first, row, along) = a_at, at `first + i row + k along`; b[k, j], with (first, row) = b_at, at `first + k row + j`.
    """
    return _tile(TILE_ROWS, TILE_VECTORS)(typing, total, at, step, a, a_at, b, b_at, depth)


@instruction
def add_row(typing: Any, total: Any, at: Any, step: Any, a: Any, a_at: Any, b: Any, b_at: Any, depth: Any) -> Any:
    """The same for a row."""
    return _tile(1, TILE_VECTORS)(typing, total, at, step, a, a_at, b, b_at, depth)


@instruction
def add_narrow(typing: Any, total: Any, at: Any, step: Any, a: Any, a_at: Any, b: Any, b_at: Any, depth: Any) -> Any:
    """The same for `TILE_ROWS` rows and a cache line."""
    return _tile(TILE_ROWS, 1)(typing, total, at, step, a, a_at, b, b_at, depth)


@instruction
def add_narrow_row(
    typing: Any, total: Any, at: Any, step: Any, a: Any, a_at: Any, b: Any, b_at: Any, depth: Any
) -> Any:
    """The same for a row and a cache line."""
    return _tile(1, 1)(typing, total, at, step, a, a_at, b, b_at, depth)


@_jit.part
def add_product(total: Any, at: Any, step: Any, a: Any, a_at: Any, b: Any, b_at: Any, shape: Any) -> None:
    """total[i, j] += sum over k of a[i, k] b[k, j] for i, k, j below (rows, depth, columns) = shape; see `add_tile`.

    `columns` is a whole number of cache lines.
    """
    keep_apart()
    rows, depth, columns = shape
    first, row, along = a_at
    b_first, b_row = b_at
    line = LINE // total.itemsize
    wide = TILE_VECTORS * line
    j = 0
    while j + wide <= columns:
        i = 0
        while i + TILE_ROWS <= rows:
            left = (first + i * row, row, along)
            add_tile(total, at + i * step + j, step, a, left, b, (b_first + j, b_row), depth)
            i += TILE_ROWS
        while i < rows:
            add_row(total, at + i * step + j, step, a, (first + i * row, row, along), b, (b_first + j, b_row), depth)
            i += 1
        j += wide
    while j < columns:
        i = 0
        while i + TILE_ROWS <= rows:
            left = (first + i * row, row, along)
            add_narrow(total, at + i * step + j, step, a, left, b, (b_first + j, b_row), depth)
            i += TILE_ROWS
        while i < rows:
            left = (first + i * row, row, along)
            add_narrow_row(total, at + i * step + j, step, a, left, b, (b_first + j, b_row), depth)
            i += 1
        j += line
