"""The vectors of `simd` in NumPy, for runs without the compiler (NUMBA_DISABLE_JIT=1).

A vector is a float64 array of sixteen elements, a tuple of vectors a Python tuple. Every function has the name, the
arguments and the meaning of its compiled twin; an index outside its array raises IndexError.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .layout import LANES, NOTHING
from .lines import LINE, TILE_ROWS, TILE_VECTORS

Vector: TypeAlias = NDArray[np.float64]
Vectors: TypeAlias = tuple[Vector, ...]
Choices: TypeAlias = NDArray[np.int16]
Array: TypeAlias = NDArray[np.float64]  # contiguous; an index counts its elements in that order


def _part(array: NDArray[Any], index: int, count: int) -> NDArray[Any]:
    """A view of `count` elements from array[index] on."""
    if not array.flags.c_contiguous:
        raise ValueError("vectors are read from and written to contiguous arrays only")
    flat = array.reshape(-1)
    if index < 0 or index + count > flat.size:
        raise IndexError("a vector reaches outside its array")
    return flat[index : index + count]


# ---- memory
# -----------------------------------------------------------------------------------------------------------


def load(array: Array, index: int) -> Vector:
    return _part(array, index, LANES).copy()


def load_each(array: Array, index: int, stride: int, like: tuple[object, ...]) -> Vectors:
    return tuple(load(array, index + i * stride) for i in range(len(like)))


def load_apart(array: Array, index: int, stride: int) -> Vector:
    return np.array([_part(array, index + lane * stride, 1)[0] for lane in range(LANES)])


def store(array: Array, index: int, value: Vector) -> None:
    _part(array, index, LANES)[:] = value


def store_each(array: Array, index: int, values: Vectors) -> None:
    store_rows(array, index, LANES, values)


def store_rows(array: Array, index: int, stride: int, values: Vectors) -> None:
    for i, value in enumerate(values):
        store(array, index + i * stride, value)


def add_each(array: Array, index: int, values: Vectors) -> None:
    for i, value in enumerate(values):
        _part(array, index + i * LANES, LANES)[:] += value


def add_outer(array: Array, index: int, a: Vectors, b: Vectors) -> None:
    add_each(array, index, tuple(x * y for x in a for y in b))


def gather_rows(table: Array, rows: NDArray[np.int64], index: int, offset: int) -> Vectors:
    four = np.array([_part(table, int(row) + offset, 4) for row in _part(rows, index, LANES)])
    return tuple(four.T.copy())


def add_rows(table: Array, rows: NDArray[np.int64], index: int, offset: int, vectors: Vectors) -> None:
    for lane, row in enumerate(_part(rows, index, LANES)):
        _part(table, int(row) + offset, 4)[:] += [vector[lane] for vector in vectors]


def set_rows(table: Array, rows: NDArray[np.int64], index: int, offset: int, vectors: Vectors) -> None:
    for lane, row in enumerate(_part(rows, index, LANES)):
        _part(table, int(row) + offset, 4)[:] = [vector[lane] for vector in vectors]


def copy(source: Array, source_first: int, target: Array, target_first: int, count: int) -> None:
    _part(target, target_first, count)[:] = _part(source, source_first, count)


def clear(array: Array, first: int, count: int) -> None:
    _part(array, first, count)[:] = 0.0


def broadcast(scalar: float) -> Vector:
    return np.full(LANES, scalar)


def lane_zero(vector: Vector) -> float:
    return float(vector[0])


# ---- lanes
# ------------------------------------------------------------------------------------------------------------


def shift_up(vector: Vector, scalar: float) -> Vector:
    return np.append(scalar, vector[:-1])


def shift_down(vector: Vector, scalar: float) -> Vector:
    return np.append(vector[1:], scalar)


def enter_first(vectors: Vectors, array: Array, index: int, stride: int, factor: float) -> Vectors:
    entering = [_part(array, index + i * stride, 1)[0] * factor for i in range(len(vectors))]
    return tuple(shift_up(vector, scalar) for vector, scalar in zip(vectors, entering, strict=True))


def enter_last(vectors: Vectors, array: Array, index: int, stride: int, factor: float) -> Vectors:
    entering = [_part(array, index + i * stride, 1)[0] * factor for i in range(len(vectors))]
    return tuple(shift_down(vector, scalar) for vector, scalar in zip(vectors, entering, strict=True))


def exit_first(array: Array, index: int, stride: int, vectors: Vectors) -> None:
    for i, vector in enumerate(vectors):
        _part(array, index + i * stride, 1)[0] = vector[0]


def exit_last(array: Array, index: int, stride: int, vectors: Vectors) -> None:
    for i, vector in enumerate(vectors):
        _part(array, index + i * stride, 1)[0] = vector[-1]


def maximum(a: Vector, b: Vector) -> Vector:
    return np.where(a > b, a, b)


def chosen(source: int) -> Choices:
    return np.full(LANES, source, np.int16)


def prefer(value: Vector, source: Choices, best: Vector, before: Choices) -> tuple[Vector, Choices]:
    return np.where(value > best, value, best), np.where(value > best, source, before)


def store_choices(array: Choices, index: int, choices: tuple[Choices, ...]) -> None:
    for i, choice in enumerate(choices):
        _part(array, index + i * LANES, LANES)[:] = choice


def power_of_two(exponents: Vector) -> Vector:
    whole = np.trunc(np.clip(exponents, -1023.0, 1000.0)).astype(int)
    return np.where(exponents < -1022.0, 0.0, np.ldexp(1.0, whole))


def exponents_of(vector: Vector) -> Vector:
    exponents = np.frexp(vector)[1] - 1.0
    return np.where(np.abs(vector) < np.finfo(float).tiny, NOTHING, exponents)


def add_lanes(vector: Vector) -> float:
    while len(vector) > 1:
        vector = vector[: len(vector) // 2] + vector[len(vector) // 2 :]
    return float(vector[0])


def any_reaches(vector: Vector, threshold: float) -> bool:
    return bool(np.any(vector >= threshold))


# ---- tuples of vectors
# ------------------------------------------------------------------------------------------------


def total(vectors: Vectors) -> Vector:
    return _together(vectors, None)


def dot(a: Vectors, b: Vectors) -> Vector:
    return np.sum(products(a, b), axis=0)


def dots(array: Array, index: int, letters: Vectors, like: tuple[object, ...]) -> Vectors:
    size = len(letters)
    return tuple(dot(load_each(array, index + i * size * LANES, LANES, letters), letters) for i in range(len(like)))


def products(a: Vectors, b: Vectors | Vector) -> Vectors:
    if isinstance(b, tuple):
        return tuple(x * y for x, y in zip(a, b, strict=True))
    return tuple(x * b for x in a)


def add_products(totals: Vectors, a: Vectors, b: Vectors | float) -> Vectors:
    factors = b if isinstance(b, tuple) else (broadcast(b),) * len(a)
    return joined(totals, products(a, factors), None)


def joined(a: Vectors, b: Vectors, best: object) -> Vectors:
    return tuple(_together((x, y), best) for x, y in zip(a, b, strict=True))


def weighted(weights: tuple[float, ...], vector: Vector) -> Vectors:
    return tuple(weight * vector for weight in weights)


def weighted_sum(weights: tuple[float, ...], vectors: Vectors, best: object) -> Vector:
    return _together(tuple(weight * vector for weight, vector in zip(weights, vectors, strict=True)), best)


def leave(table: tuple[tuple[float | None, ...], ...], vectors: Vectors, best: object) -> Vectors:
    return arrive(tuple(zip(*table, strict=True)), vectors, best)


def arrive(table: tuple[tuple[float | None, ...], ...], vectors: Vectors, best: object) -> Vectors:
    return tuple(
        _together(tuple(weight * v for weight, v in zip(row, vectors, strict=True) if weight is not None), best)
        for row in table
    )


def _together(vectors: Vectors, best: object) -> Vector:
    """The sum of vectors, or the largest values if `best` is not None; zeros if there are none."""
    if not vectors:
        return np.zeros(LANES)
    return np.sum(vectors, axis=0) if best is None else np.max(vectors, axis=0)


def split(
    vectors: Vectors, pairs: tuple[object, ...], deletions: tuple[object, ...], insertions: tuple[object, ...]
) -> tuple[Vectors, Vectors, Vectors]:
    first, second = len(pairs), len(pairs) + len(deletions)
    return vectors[:first], vectors[first:second], vectors[second : second + len(insertions)]


def keep_apart() -> None:
    """Nothing is copied where nothing is compiled."""


# ---- the processor's control register
# -----------------------------------------------------------------------------------------------------------


def flush_denormals() -> int:
    return 0


def restore_denormals(before: int) -> None:
    pass


# ---- scalars and small matrices
# ----------------------------------------------------------------------------------------------------


def exp(x: Any) -> Any:
    most = 87 if x.dtype == np.float32 else 708
    return np.exp(np.clip(x, -most, most))


def _add_tile(rows: int, vectors: int, total: NDArray[Any], at: int, step: int, *product: Any) -> None:
    a, (first, row, along), b, (b_first, b_row), depth = product
    columns = vectors * LINE // total.itemsize
    for i in range(rows):
        left = np.array([_part(a, first + i * row + k * along, 1)[0] for k in range(depth)], total.dtype)
        right = np.array([_part(b, b_first + k * b_row, columns) for k in range(depth)], total.dtype)
        _part(total, at + i * step, columns)[:] += left @ right.reshape(depth, columns)


def add_tile(*arguments: Any) -> None:
    _add_tile(TILE_ROWS, TILE_VECTORS, *arguments)


def add_row(*arguments: Any) -> None:
    _add_tile(1, TILE_VECTORS, *arguments)


def add_narrow(*arguments: Any) -> None:
    _add_tile(TILE_ROWS, 1, *arguments)


def add_narrow_row(*arguments: Any) -> None:
    _add_tile(1, 1, *arguments)
