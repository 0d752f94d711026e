"""Cells of recurrent layers on planes of a block of sequences: gates from the state, the new state, and back."""

from __future__ import annotations

from typing import Any

from . import _jit
from .products import add_product
from .squash import sigmoid_plane, tanh_plane

# The planes of `work`, (planes, sequences * width): the state, the cell (LSTM), d loss / d either, two for intermediate
# results, and from GATES on the gates; on the way back these become d loss / d (what goes into the gate).
STATE, CELL, OF_STATE, OF_CELL, FIRST, SECOND, GATES = range(7)


# ---- products with the recurrent weights (gates, units, width) ------------------------------------------------------


@_jit.part
def _onto(work: Any, source: Any, target: Any, recurrent: Any, gate: Any, count: Any) -> None:
    """Add a plane times the weights of a gate to another plane."""
    size, (units, width) = work.shape[1], recurrent.shape[1:]
    left, right = (source * size, width, 1), (gate * units * width, width)
    add_product(work, target * size, width, work, left, recurrent, right, (count, units, width))


@_jit.part
def _outer(work: Any, source: Any, gradient: Any, total: Any, gate: Any, count: Any) -> None:
    """Add to d loss / d weights of a gate what a step contributes: the source's plane times the gradient's."""
    size, (units, width) = work.shape[1], total.shape[1:]
    left, right = (source * size, 1, width), (gradient * size, width)
    add_product(total, gate * units * width, width, work, left, work, right, (units, count, width))


# ---- cells: gates from the state, the new state, and back -----------------------------------------------------------


@_jit.part
def rnn_gates(work: Any, recurrent: Any, count: Any, width: Any) -> None:
    _onto(work, STATE, GATES, recurrent, 0, count)
    tanh_plane(work, GATES, count * width)


@_jit.part
def rnn_advance(work: Any, size: Any) -> None:
    for k in range(size):
        work[STATE, k] = work[GATES, k]


@_jit.part
def rnn_return(work: Any, turned: Any, of_recurrent: Any, count: Any, width: Any) -> None:
    size = count * width
    one = work.dtype.type(1)
    for k in range(size):
        h = work[GATES, k]
        work[GATES, k] = work[OF_STATE, k] * (one - h * h)
        work[OF_STATE, k] = 0
    _outer(work, STATE, GATES, of_recurrent, 0, count)
    _onto(work, GATES, OF_STATE, turned, 0, count)


RESET, UPDATE, CANDIDATE, RECALLED = GATES, GATES + 1, GATES + 2, GATES + 3


@_jit.part
def gru_after_gates(work: Any, recurrent: Any, count: Any, width: Any) -> None:
    """The candidate is tanh(input + reset * recalled), where what is recalled is a product with the state."""
    size = count * width
    _onto(work, STATE, RESET, recurrent, 0, count)
    _onto(work, STATE, UPDATE, recurrent, 1, count)
    _onto(work, STATE, RECALLED, recurrent, 2, count)
    sigmoid_plane(work, RESET, size)
    sigmoid_plane(work, UPDATE, size)
    for k in range(size):
        work[CANDIDATE, k] += work[RESET, k] * work[RECALLED, k]
    tanh_plane(work, CANDIDATE, size)


@_jit.part
def gru_before_gates(work: Any, recurrent: Any, count: Any, width: Any) -> None:
    """The candidate is tanh(input + a product with reset * state), which is FIRST."""
    size = count * width
    _onto(work, STATE, RESET, recurrent, 0, count)
    _onto(work, STATE, UPDATE, recurrent, 1, count)
    sigmoid_plane(work, RESET, size)
    sigmoid_plane(work, UPDATE, size)
    for k in range(size):
        work[FIRST, k] = work[RESET, k] * work[STATE, k]
    _onto(work, FIRST, CANDIDATE, recurrent, 2, count)
    tanh_plane(work, CANDIDATE, size)


@_jit.part
def gru_advance(work: Any, size: Any) -> None:
    for k in range(size):
        work[STATE, k] = work[CANDIDATE, k] + work[UPDATE, k] * (work[STATE, k] - work[CANDIDATE, k])


@_jit.part
def gru_return_state(work: Any, size: Any) -> None:
    """From d loss / d new state those of update gate and candidate, and what goes straight to the old state."""
    one = work.dtype.type(1)
    for k in range(size):
        z, n, dh = work[UPDATE, k], work[CANDIDATE, k], work[OF_STATE, k]
        work[UPDATE, k] = dh * (work[STATE, k] - n) * z * (one - z)
        work[CANDIDATE, k] = dh * (one - z) * (one - n * n)
        work[OF_STATE, k] = dh * z


@_jit.part
def gru_after_return(work: Any, turned: Any, of_recurrent: Any, count: Any, width: Any) -> None:
    size = count * width
    one = work.dtype.type(1)
    gru_return_state(work, size)
    for k in range(size):
        r, recalled, dn = work[RESET, k], work[RECALLED, k], work[CANDIDATE, k]
        work[RECALLED, k] = dn * r
        work[RESET, k] = dn * recalled * r * (one - r)
    for gate, plane in enumerate((RESET, UPDATE, RECALLED)):
        _outer(work, STATE, plane, of_recurrent, gate, count)
        _onto(work, plane, OF_STATE, turned, gate, count)


@_jit.part
def gru_before_return(work: Any, turned: Any, of_recurrent: Any, count: Any, width: Any) -> None:
    size = count * width
    one = work.dtype.type(1)
    gru_return_state(work, size)
    for k in range(size):
        work[SECOND, k] = 0
    _outer(work, FIRST, CANDIDATE, of_recurrent, 2, count)
    _onto(work, CANDIDATE, SECOND, turned, 2, count)
    for k in range(size):
        r, back = work[RESET, k], work[SECOND, k]
        work[OF_STATE, k] += back * r
        work[RESET, k] = back * work[STATE, k] * r * (one - r)
    for gate, plane in enumerate((RESET, UPDATE)):
        _outer(work, STATE, plane, of_recurrent, gate, count)
        _onto(work, plane, OF_STATE, turned, gate, count)


INPUT, FORGET, CONTENT, OUTPUT = GATES, GATES + 1, GATES + 2, GATES + 3


@_jit.part
def lstm_gates(work: Any, recurrent: Any, count: Any, width: Any) -> None:
    """The gates; FIRST is the new cell, and SECOND its tanh."""
    size = count * width
    for gate in range(4):
        _onto(work, STATE, GATES + gate, recurrent, gate, count)
    sigmoid_plane(work, INPUT, size)
    sigmoid_plane(work, FORGET, size)
    tanh_plane(work, CONTENT, size)
    sigmoid_plane(work, OUTPUT, size)
    for k in range(size):
        work[FIRST, k] = work[FORGET, k] * work[CELL, k] + work[INPUT, k] * work[CONTENT, k]
    for k in range(size):
        work[SECOND, k] = work[FIRST, k]
    tanh_plane(work, SECOND, size)


@_jit.part
def lstm_advance(work: Any, size: Any) -> None:
    for k in range(size):
        work[CELL, k] = work[FIRST, k]
    for k in range(size):
        work[STATE, k] = work[OUTPUT, k] * work[SECOND, k]


@_jit.part
def lstm_return(work: Any, turned: Any, of_recurrent: Any, count: Any, width: Any) -> None:
    size = count * width
    one = work.dtype.type(1)
    for k in range(size):
        o, squashed, dh = work[OUTPUT, k], work[SECOND, k], work[OF_STATE, k]
        work[OF_CELL, k] += dh * o * (one - squashed * squashed)
        work[OUTPUT, k] = dh * squashed * o * (one - o)
        work[OF_STATE, k] = 0
    for k in range(size):
        i, g, dc = work[INPUT, k], work[CONTENT, k], work[OF_CELL, k]
        work[INPUT, k] = dc * g * i * (one - i)
        work[CONTENT, k] = dc * i * (one - g * g)
    for k in range(size):
        f, dc = work[FORGET, k], work[OF_CELL, k]
        work[FORGET, k] = dc * work[CELL, k] * f * (one - f)
        work[OF_CELL, k] = dc * f
    for gate in range(4):
        _outer(work, STATE, GATES + gate, of_recurrent, gate, count)
        _onto(work, GATES + gate, OF_STATE, turned, gate, count)
