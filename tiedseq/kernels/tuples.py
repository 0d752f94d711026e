"""Tuples of vectors: what a kernel computes for all states or letters of sixteen cells at once.

A tuple's length is known when a kernel is compiled, which unrolls the loop over it. Plain twins as in `simd`.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

from llvmlite import ir
from numba.core import types

from .layout import LANES
from .vector import (
    FUSE,
    VECTOR,
    addresses,
    collect,
    in_every_lane,
    instruction,
    items_of,
    larger,
    multiply_add,
    tuple_of,
    vector_type,
)


@instruction
def total(typing: Any, vectors: Any) -> Any:
    """The sum of a tuple's vectors."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        first, *others = items_of(builder, args[0], len(vectors))
        for vector in others:
            first = builder.fadd(first, vector)
        return first

    return vector_type(vectors), generate


@instruction
def dot(typing: Any, a: Any, b: Any) -> Any:
    """The sum of the products of two tuples of vectors."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        total = None
        for x, y in zip(items_of(builder, args[0], len(a)), items_of(builder, args[1], len(b)), strict=True):
            total = multiply_add(builder, x, y, total)
        return total

    return vector_type(a, b), generate


@instruction
def dots(typing: Any, array: Any, index: Any, letters: Any, like: Any) -> Any:
    """For every item of `like` the sum over letters of array's next vectors times `letters`."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        width = ir.Constant(args[1].type, LANES)
        places = iter(addresses(context, builder, array, args[0], args[1], width, len(letters) * len(like)))
        columns = items_of(builder, args[2], len(letters))
        results = []
        for _ in range(len(like)):
            total = None
            for column in columns:
                total = multiply_add(builder, builder.load(next(places), align=8), column, total)
            results.append(total)
        return context.make_tuple(builder, sig.return_type, results)

    return tuple_of(len(like))(array, types.intp, letters, like), generate


@instruction
def products(typing: Any, a: Any, b: Any) -> Any:
    """The products, item by item, of two tuples of vectors, or of a tuple and one vector."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        left = items_of(builder, args[0], len(a))
        right = [args[1]] * len(a) if b == vector_type else items_of(builder, args[1], len(b))
        return context.make_tuple(
            builder, sig.return_type, [builder.fmul(x, y, flags=FUSE) for x, y in zip(left, right, strict=True)]
        )

    return a(a, b), generate


@instruction
def add_products(typing: Any, totals: Any, a: Any, b: Any) -> Any:
    """The sums, item by item, of a tuple of vectors and the products of a tuple with another one, or with a number."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        count = len(totals)
        left, right = (items_of(builder, arg, count) for arg in args[:2])
        factors = items_of(builder, args[2], count) if b == totals else [in_every_lane(builder, args[2])] * count
        sums = [multiply_add(builder, x, y, total) for x, y, total in zip(right, factors, left, strict=True)]
        return context.make_tuple(builder, sig.return_type, sums)

    return totals(totals, a, b if b == totals else types.float64), generate


@instruction
def joined(typing: Any, a: Any, b: Any, best: Any) -> Any:
    """The sums, item by item, of two tuples of vectors; the larger items if `best` is not None."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        join = builder.fadd if isinstance(best, types.NoneType) else lambda x, y: larger(builder, x, y)
        pairs = zip(items_of(builder, args[0], len(a)), items_of(builder, args[1], len(b)), strict=True)
        return context.make_tuple(builder, sig.return_type, [join(x, y) for x, y in pairs])

    return a(a, b, best), generate


@instruction
def weighted(typing: Any, weights: Any, vector: Any) -> Any:
    """One vector times every weight of a tuple of floats."""
    count = len(weights)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        scaled = [
            builder.fmul(in_every_lane(builder, w), args[1], flags=FUSE) for w in items_of(builder, args[0], count)
        ]
        return context.make_tuple(builder, sig.return_type, scaled)

    return tuple_of(count)(weights, vector_type), generate


@instruction
def weighted_sum(typing: Any, weights: Any, vectors: Any, best: Any) -> Any:
    """The sum of vectors, each times its weight in a tuple of floats; the largest of them if `best` is not None."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        total = None
        for weight, vector in zip(
            items_of(builder, args[0], len(weights)), items_of(builder, args[1], len(vectors)), strict=True
        ):
            total = collect(builder, in_every_lane(builder, weight), vector, total, best)
        return total

    return vector_type(weights, vectors, best), generate


def _mix(along_rows: bool) -> Any:
    """Typer of `leave` (into[t] = sum_s w[s][t] v[s]) and of its transpose `arrive`."""

    def typer(typing: Any, table: Any, vectors: Any, best: Any) -> Any:
        size = len(vectors)

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            rows = [items_of(builder, row, size) for row in items_of(builder, args[0], size)]
            values = items_of(builder, args[1], size)
            mixed = []
            for target in range(size):
                total = None
                # a state's own value last: it is the one that the next cell waits for
                for source in sorted(range(size), key=lambda state: state == target):
                    s, t = (target, source) if along_rows else (source, target)
                    if isinstance(table[s][t], types.Float):
                        total = collect(builder, in_every_lane(builder, rows[s][t]), values[source], total, best)
                mixed.append(ir.Constant(VECTOR, [0.0] * LANES) if total is None else total)
            return context.make_tuple(builder, sig.return_type, mixed)

        return vectors(table, vectors, best), generate

    return typer


@instruction
def leave(typing: Any, table: Any, vectors: Any, best: Any) -> Any:
    """into[t] = sum over s of table[s][t] * vectors[s], or the largest product if `best` is not None.

    An entry None of the nested tuple `table` is no transition.
    """
    return _mix(along_rows=False)(typing, table, vectors, best)


@instruction
def arrive(typing: Any, table: Any, vectors: Any, best: Any) -> Any:
    """from[s] = sum over t of table[s][t] * vectors[t], or the largest product if `best` is not None."""
    return _mix(along_rows=True)(typing, table, vectors, best)


@instruction
def split(typing: Any, vectors: Any, pairs: Any, deletions: Any, insertions: Any) -> Any:
    """The tuple `vectors` cut into three that are as long as the three tuples after it."""
    cuts = list(pairwise(accumulate([0, len(pairs), len(deletions), len(insertions)])))
    parts = [tuple_of(b - a) for a, b in cuts]
    returned = types.Tuple(parts)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        items = items_of(builder, args[0], len(vectors))
        cut = [context.make_tuple(builder, part, items[a:b]) for part, (a, b) in zip(parts, cuts, strict=True)]
        return context.make_tuple(builder, returned, cut)

    return returned(vectors, pairs, deletions, insertions), generate
