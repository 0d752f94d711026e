"""Vectors of float64 lanes in Numba: what a kernel computes for sixteen cells at once.

Tuples of vectors carry what a model has several of (states, letters), and the tuple's length, known when a kernel is
compiled, unrolls the loop over them.

With `NUMBA_DISABLE_JIT=1` a vector is a NumPy array of 16 elements (`plain`) and the same kernels run as plain Python.
With `NUMBA_BOUNDSCHECK=1` every load and store is checked.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from .layout import LANES, NOTHING
from .vector import (
    BYTES,
    CHOICES,
    INDEX,
    INTEGERS,
    VECTOR,
    address,
    addresses,
    choices_type,
    element,
    in_every_lane,
    instruction,
    items_of,
    larger,
    multiply_add,
    shuffle,
    tuple_of,
    vector_type,
)

# ---- memory --------------------------------------------------------------------------------------------------------


@instruction
def load(typing: Any, array: Any, index: Any) -> Any:
    """The vector array[index : index + 16] of a contiguous float64 array."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(address(context, builder, array, args[0], args[1]), align=8)

    return vector_type(array, types.intp), generate


@instruction
def load_each(typing: Any, array: Any, index: Any, stride: Any, like: Any) -> Any:
    """As many vectors as the tuple `like` has items, from array[index], array[index + stride] and so on."""
    count = len(like)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        places = addresses(context, builder, array, args[0], args[1], args[2], count)
        vectors = [builder.load(place, align=8) for place in places]
        return context.make_tuple(builder, sig.return_type, vectors)

    return tuple_of(count)(array, types.intp, types.intp, like), generate


@instruction
def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a vector to array[index : index + 16]."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[2], address(context, builder, array, args[0], args[1]), align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@instruction
def store_each(typing: Any, array: Any, index: Any, values: Any) -> Any:
    """Write a tuple of vectors one after the other from array[index] on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        width = ir.Constant(args[1].type, LANES)
        places = addresses(context, builder, array, args[0], args[1], width, len(values))
        for place, vector in zip(places, items_of(builder, args[2], len(values)), strict=True):
            builder.store(vector, place, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, values), generate


@instruction
def store_rows(typing: Any, array: Any, index: Any, stride: Any, values: Any) -> Any:
    """Write a tuple of vectors to array[index], array[index + stride] and so on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        places = addresses(context, builder, array, args[0], args[1], args[2], len(values))
        for place, vector in zip(places, items_of(builder, args[3], len(values)), strict=True):
            builder.store(vector, place, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, values), generate


@instruction
def add_each(typing: Any, array: Any, index: Any, values: Any) -> Any:
    """Add a tuple of vectors to the array's, one after the other from array[index] on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        width = ir.Constant(args[1].type, LANES)
        places = addresses(context, builder, array, args[0], args[1], width, len(values))
        for place, vector in zip(places, items_of(builder, args[2], len(values)), strict=True):
            builder.store(builder.fadd(builder.load(place, align=8), vector), place, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, values), generate


@instruction
def add_outer(typing: Any, array: Any, index: Any, a: Any, b: Any) -> Any:
    """Add every product a[s] * b[t] to the vectors from array[index] on, t running fastest."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        width = ir.Constant(args[1].type, LANES)
        places = iter(addresses(context, builder, array, args[0], args[1], width, len(a) * len(b)))
        columns = items_of(builder, args[3], len(b))
        for left in items_of(builder, args[2], len(a)):
            for right in columns:
                place = next(places)
                total = multiply_add(builder, left, right, builder.load(place, align=8))
                builder.store(total, place, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, a, b), generate


@instruction
def copy(typing: Any, source: Any, source_first: Any, target: Any, target_first: Any, count: Any) -> Any:
    """target[target_first : target_first + count] = source[source_first : source_first + count]; both are float64."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        come_from = element(context, builder, source, args[0], args[1], args[4])
        go_to = element(context, builder, target, args[2], args[3], args[4])
        cgutils.raw_memcpy(builder, go_to, come_from, args[4], BYTES)
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp, types.intp), generate


@instruction
def clear(typing: Any, array: Any, first: Any, count: Any) -> Any:
    """array[first : first + count] = 0, of a float64 array."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        size = builder.mul(args[2], ir.Constant(args[2].type, BYTES))
        cgutils.memset(builder, element(context, builder, array, args[0], args[1], args[2]), size, 0)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), generate


@instruction
def broadcast(typing: Any, scalar: Any) -> Any:
    """The scalar in every lane."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return in_every_lane(builder, args[0])

    return vector_type(types.float64), generate


@instruction
def lane_zero(typing: Any, vector: Any) -> Any:
    """The value in lane 0."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.extract_element(args[0], ir.Constant(INDEX, 0))

    return types.float64(vector_type), generate


# ---- lanes ---------------------------------------------------------------------------------------------------------


@instruction
def shift_up(typing: Any, vector: Any, scalar: Any) -> Any:
    """Every lane takes its lower neighbour's value; `scalar` enters at lane 0."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        moved = shuffle(builder, args[0], args[0], _UP)
        return builder.insert_element(moved, args[1], ir.Constant(INDEX, 0))

    return vector_type(vector_type, types.float64), generate


@instruction
def shift_down(typing: Any, vector: Any, scalar: Any) -> Any:
    """Every lane takes its upper neighbour's value; `scalar` enters at the last lane."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        moved = shuffle(builder, args[0], args[0], _DOWN)
        return builder.insert_element(moved, args[1], ir.Constant(INDEX, LANES - 1))

    return vector_type(vector_type, types.float64), generate


def _enter(moved_from: list[int], entrance: int) -> Any:
    """Typer of `enter_first` and `enter_last`: move every vector by a lane, let scaled array elements in."""

    def typer(typing: Any, vectors: Any, array: Any, index: Any, stride: Any, factor: Any) -> Any:
        count = len(vectors)

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            entered = []
            for i, vector in enumerate(items_of(builder, args[0], count)):
                index = builder.add(args[2], builder.mul(args[3], ir.Constant(args[3].type, i)))
                scalar = builder.load(element(context, builder, array, args[1], index, 1))
                moved = shuffle(builder, vector, vector, moved_from)
                scaled = builder.fmul(scalar, args[4])
                entered.append(builder.insert_element(moved, scaled, ir.Constant(INDEX, entrance)))
            return context.make_tuple(builder, sig.return_type, entered)

        return vectors(vectors, array, types.intp, types.intp, types.float64), generate

    return typer


_UP = [0, *range(LANES - 1)]
_DOWN = [*range(1, LANES), LANES - 1]


@instruction
def enter_first(typing: Any, vectors: Any, array: Any, index: Any, stride: Any, factor: Any) -> Any:
    """Every lane takes its lower neighbour's value; array[index + i * stride] * factor enters vector i at lane 0."""
    return _enter(_UP, 0)(typing, vectors, array, index, stride, factor)


@instruction
def enter_last(typing: Any, vectors: Any, array: Any, index: Any, stride: Any, factor: Any) -> Any:
    """Every lane takes its upper neighbour's value; array[index + i * stride] * factor enters at the last lane."""
    return _enter(_DOWN, LANES - 1)(typing, vectors, array, index, stride, factor)


def _exit(lane: int) -> Any:
    """Typer of `exit_first` and `exit_last`: write one lane of every vector."""

    def typer(typing: Any, array: Any, index: Any, stride: Any, vectors: Any) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            for i, vector in enumerate(items_of(builder, args[3], len(vectors))):
                index = builder.add(args[1], builder.mul(args[2], ir.Constant(args[2].type, i)))
                scalar = builder.extract_element(vector, ir.Constant(INDEX, lane))
                builder.store(scalar, element(context, builder, array, args[0], index, 1))
            return context.get_dummy_value()

        return types.void(array, types.intp, types.intp, vectors), generate

    return typer


@instruction
def exit_first(typing: Any, array: Any, index: Any, stride: Any, vectors: Any) -> Any:
    """array[index + i * stride] = lane 0 of vector i."""
    return _exit(0)(typing, array, index, stride, vectors)


@instruction
def exit_last(typing: Any, array: Any, index: Any, stride: Any, vectors: Any) -> Any:
    """array[index + i * stride] = the last lane of vector i."""
    return _exit(LANES - 1)(typing, array, index, stride, vectors)


@instruction
def maximum(typing: Any, a: Any, b: Any) -> Any:
    """The larger value in each lane."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return larger(builder, *args)

    return vector_type(vector_type, vector_type), generate


@instruction
def chosen(typing: Any, source: Any) -> Any:
    """That every lane has chosen `source`, a number below 32768."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return in_every_lane(builder, builder.trunc(args[0], CHOICES.element), CHOICES)

    return choices_type(types.int64), generate


@instruction
def prefer(typing: Any, value: Any, source: Any, best: Any, before: Any) -> Any:
    """The larger of `value` and `best` in each lane, and with it the choice of `source` or what was chosen before."""
    returned = types.Tuple([vector_type, choices_type])

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        is_better = builder.fcmp_ordered(">", args[0], args[2])
        larger_one = builder.select(is_better, args[0], args[2])
        return context.make_tuple(builder, returned, [larger_one, builder.select(is_better, args[1], args[3])])

    return returned(vector_type, choices_type, vector_type, choices_type), generate


@instruction
def store_choices(typing: Any, array: Any, index: Any, choices: Any) -> Any:
    """Write a tuple of choices one after the other to a contiguous int16 array, from array[index] on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        for i, choice in enumerate(items_of(builder, args[2], len(choices))):
            at = builder.add(args[1], ir.Constant(args[1].type, i * LANES))
            builder.store(choice, address(context, builder, array, args[0], at, CHOICES), align=2)
        return context.get_dummy_value()

    return types.void(array, types.intp, choices), generate


@instruction
def power_of_two(typing: Any, exponents: Any) -> Any:
    """2**exponents for whole numbers; 0 below -1022, and no more than 2**1000."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        def constant(number: float) -> Any:
            return ir.Constant(VECTOR, [number] * LANES)

        high = constant(1000.0)
        bounded = builder.select(builder.fcmp_ordered(">", args[0], high), high, args[0])
        tiny = builder.fcmp_ordered("<", bounded, constant(-1022.0))
        safe = builder.select(tiny, constant(0.0), bounded)
        biased = builder.add(builder.fptosi(safe, INTEGERS), ir.Constant(INTEGERS, [1023] * LANES))
        bits = builder.shl(biased, ir.Constant(INTEGERS, [52] * LANES))
        return builder.select(tiny, constant(0.0), builder.bitcast(bits, VECTOR))

    return vector_type(vector_type), generate


@instruction
def exponents_of(typing: Any, vector: Any) -> Any:
    """The whole number below or at log2 of each lane; -1e9 where a lane is zero or denormal."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], INTEGERS)
        shifted = builder.lshr(bits, ir.Constant(INTEGERS, [52] * LANES))
        biased = builder.and_(shifted, ir.Constant(INTEGERS, [2047] * LANES))
        exponent = builder.sitofp(builder.sub(biased, ir.Constant(INTEGERS, [1023] * LANES)), VECTOR)
        nothing = builder.icmp_signed("==", biased, ir.Constant(INTEGERS, [0] * LANES))
        return builder.select(nothing, ir.Constant(VECTOR, [NOTHING] * LANES), exponent)

    return vector_type(vector_type), generate


@instruction
def add_lanes(typing: Any, vector: Any) -> Any:
    """The sum of all lanes: of halves, of their halves, and so on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        total, width = args[0], LANES
        while width > 1:
            width //= 2
            low, high = list(range(width)), list(range(width, 2 * width))
            total = builder.fadd(shuffle(builder, total, total, low), shuffle(builder, total, total, high))
        return builder.extract_element(total, ir.Constant(INDEX, 0))

    return types.float64(vector_type), generate


@instruction
def any_reaches(typing: Any, vector: Any, threshold: Any) -> Any:
    """Whether some lane is at least `threshold`."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        hits = builder.fcmp_ordered(">=", args[0], in_every_lane(builder, args[1]))
        mask = builder.bitcast(hits, ir.IntType(LANES))
        return builder.icmp_unsigned("!=", mask, ir.Constant(mask.type, 0))

    return types.boolean(vector_type, types.float64), generate


# ---- what is compiled ----------------------------------------------------------------------------------------------


@instruction
def keep_apart(typing: Any) -> Any:
    """Tell LLVM to compile the function that calls this once, on a stack that starts at a cache line.

    Copies of a large function in its callers take time to compile. And vectors that registers have no room for go to
    the stack, where LLVM does not align them by itself: in three of four processes each would straddle two cache lines.
    """

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.function.attributes.add("noinline")
        builder.function.attributes.alignstack = 64
        return context.get_dummy_value()

    return types.void(), generate
