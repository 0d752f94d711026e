"""Recurrent layers: blocks of sequences side by side, a step after the other, forward and exactly backward.

Sequences come in the order of falling length, so that those a step still concerns are the first ones of a block. What
is computed of a block lies in `work`, a plane for each quantity, and stays in the cache. Nothing but states is kept for
the way back: gates are computed again from them, which costs less than to write them to memory and read them.

Gradients shrink by a factor a step, and are zero before they are denormal.

Letters are codes (N, L): what they contribute to a gate is a row of a table. Numbers are (N, L, channels).
"""

from __future__ import annotations

from typing import Any

from . import _jit
from .denormals import flush_denormals, restore_denormals
from .products import add_product
from .squash import sigmoid_plane, tanh_plane

# The planes of `work`, (planes, sequences * width): the state, the cell (LSTM), d loss / d either, two for intermediate
# results, and from GATES on the gates; on the way back these become d loss / d (what goes into the gate).
STATE, CELL, OF_STATE, OF_CELL, FIRST, SECOND, GATES = range(7)


# ---- between sequences and planes: `at` is (order, lengths, reverse, first, count, step) -----------------------------


@_jit.part
def _row(at: Any, i: Any) -> Any:
    """The sequence in row i of a block, and the position that a step has come to."""
    order, lengths, reverse, first, _, step = at
    length = lengths[first + i]
    return order[first + i], (length - 1 - step if reverse else step)


@_jit.part
def _see(x: Any, at: Any, channels: Any, seen: Any) -> None:
    """Gather the numbers of a step; letters are looked up where they are."""
    if x.ndim == 3:
        for i in range(at[4]):
            n, t = _row(at, i)
            for c in range(channels):
                seen[i, c] = x[n, t, c]


@_jit.part
def _enter(x: Any, at: Any, inputs: Any, bias: Any, work: Any, seen: Any) -> None:
    """Fill the gates with the biases and what a step's letters or numbers contribute; numbers are in `seen`."""
    count = at[4]
    gates, rows, width = inputs.shape
    for i in range(count):
        n, t = _row(at, i)
        for gate in range(bias.shape[0]):
            for j in range(width):
                work[GATES + gate, i * width + j] = bias[gate, j]
        if x.ndim == 2:
            code = x[n, t]
            for gate in range(gates):
                for j in range(width):
                    work[GATES + gate, i * width + j] += inputs[gate, code, j]
    if x.ndim == 3:
        for gate in range(gates):
            left, right = (0, seen.shape[1], 1), (gate * rows * width, width)
            shape = (count, rows, width)
            add_product(work, (GATES + gate) * work.shape[1], width, seen, left, inputs, right, shape)


@_jit.part
def _return_input(x: Any, at: Any, work: Any, seen: Any, turned: Any, of_inputs: Any, of_bias: Any, of_x: Any) -> None:
    """Add what the gradients in the gates say of biases, of the inputs' weights, and of numbers that came in."""
    count = at[4]
    gates, rows, width = of_inputs.shape
    for gate in range(of_bias.shape[0]):
        for i in range(count):
            for j in range(width):
                of_bias[gate, j] += work[GATES + gate, i * width + j]
    if x.ndim == 2:
        for i in range(count):
            n, t = _row(at, i)
            code = x[n, t]
            for gate in range(gates):
                for j in range(width):
                    of_inputs[gate, code, j] += work[GATES + gate, i * width + j]
    else:
        size, wide, units = work.shape[1], seen.shape[1], turned.shape[1]
        for gate in range(gates):
            plane = (GATES + gate) * size
            shape = (rows, count, width)
            add_product(of_inputs, gate * rows * width, width, seen, (0, 1, wide), work, (plane, width), shape)
        for i in range(count):
            for c in range(wide):
                seen[i, c] = 0
        for gate in range(gates):
            left, right = ((GATES + gate) * size, width, 1), (gate * units * wide, wide)
            add_product(seen, 0, wide, work, left, turned, right, (count, units, wide))
        for i in range(count):
            n, t = _row(at, i)
            for c in range(rows):
                of_x[n, t, c] += seen[i, c]


@_jit.part
def _recall(source: Any, offset: Any, units: Any, at: Any, work: Any, plane: Any, width: Any) -> None:
    """Fill a plane with what a step left in the channels of `source` (N, L, channels) from `offset` on."""
    for i in range(at[4]):
        n, t = _row(at, i)
        for j in range(units):
            work[plane, i * width + j] = source[n, t, offset + j]


@_jit.part
def _recall_before(source: Any, offset: Any, units: Any, at: Any, work: Any, plane: Any, width: Any) -> None:
    """The same of the step before, which for the first is zero."""
    order, lengths, reverse, first, count, step = at
    if step > 0:
        _recall(source, offset, units, (order, lengths, reverse, first, count, step - 1), work, plane, width)
    else:
        for k in range(count * width):
            work[plane, k] = 0


@_jit.part
def _keep(work: Any, plane: Any, width: Any, target: Any, offset: Any, units: Any, at: Any) -> None:
    """Write a plane to a step's positions in `target`."""
    for i in range(at[4]):
        n, t = _row(at, i)
        for j in range(units):
            target[n, t, offset + j] = work[plane, i * width + j]


@_jit.part
def _add_gradient(gradient: Any, offset: Any, units: Any, at: Any, work: Any, width: Any) -> None:
    for i in range(at[4]):
        n, t = _row(at, i)
        for j in range(units):
            work[OF_STATE, i * width + j] += gradient[n, t, offset + j]


@_jit.part
def _clear(work: Any, first: Any, last: Any) -> None:
    for plane in range(first, last):
        for k in range(work.shape[1]):
            work[plane, k] = 0


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
def _rnn_gates(work: Any, recurrent: Any, count: Any, width: Any) -> None:
    _onto(work, STATE, GATES, recurrent, 0, count)
    tanh_plane(work, GATES, count * width)


@_jit.part
def _rnn_advance(work: Any, size: Any) -> None:
    for k in range(size):
        work[STATE, k] = work[GATES, k]


@_jit.part
def _rnn_return(work: Any, turned: Any, of_recurrent: Any, count: Any, width: Any) -> None:
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
def _gru_after_gates(work: Any, recurrent: Any, count: Any, width: Any) -> None:
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
def _gru_before_gates(work: Any, recurrent: Any, count: Any, width: Any) -> None:
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
def _gru_advance(work: Any, size: Any) -> None:
    for k in range(size):
        work[STATE, k] = work[CANDIDATE, k] + work[UPDATE, k] * (work[STATE, k] - work[CANDIDATE, k])


@_jit.part
def _gru_return_state(work: Any, size: Any) -> None:
    """From d loss / d new state those of update gate and candidate, and what goes straight to the old state."""
    one = work.dtype.type(1)
    for k in range(size):
        z, n, dh = work[UPDATE, k], work[CANDIDATE, k], work[OF_STATE, k]
        work[UPDATE, k] = dh * (work[STATE, k] - n) * z * (one - z)
        work[CANDIDATE, k] = dh * (one - z) * (one - n * n)
        work[OF_STATE, k] = dh * z


@_jit.part
def _gru_after_return(work: Any, turned: Any, of_recurrent: Any, count: Any, width: Any) -> None:
    size = count * width
    one = work.dtype.type(1)
    _gru_return_state(work, size)
    for k in range(size):
        r, recalled, dn = work[RESET, k], work[RECALLED, k], work[CANDIDATE, k]
        work[RECALLED, k] = dn * r
        work[RESET, k] = dn * recalled * r * (one - r)
    for gate, plane in enumerate((RESET, UPDATE, RECALLED)):
        _outer(work, STATE, plane, of_recurrent, gate, count)
        _onto(work, plane, OF_STATE, turned, gate, count)


@_jit.part
def _gru_before_return(work: Any, turned: Any, of_recurrent: Any, count: Any, width: Any) -> None:
    size = count * width
    one = work.dtype.type(1)
    _gru_return_state(work, size)
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
def _lstm_gates(work: Any, recurrent: Any, count: Any, width: Any) -> None:
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
def _lstm_advance(work: Any, size: Any) -> None:
    for k in range(size):
        work[CELL, k] = work[FIRST, k]
    for k in range(size):
        work[STATE, k] = work[OUTPUT, k] * work[SECOND, k]


@_jit.part
def _lstm_return(work: Any, turned: Any, of_recurrent: Any, count: Any, width: Any) -> None:
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


# ---- all steps ------------------------------------------------------------------------------------------------------


def _forward(name: str, gates: Any, advance: Any) -> Any:
    """The kernel that runs a cell over all sequences."""

    def forward(
        x: Any, order: Any, lengths: Any, direction: Any, weights: Any, kept: Any, work: Any, seen: Any
    ) -> None:
        (reverse, offset), (inputs, recurrent, bias), (states, cells) = direction, weights, kept
        units, width = recurrent.shape[1:]
        block = work.shape[1] // width
        before = flush_denormals()
        for first in range(0, order.size, block):
            count = min(block, order.size - first)
            _clear(work, 0, work.shape[0])
            for step in range(lengths[first]):
                while lengths[first + count - 1] <= step:
                    count -= 1
                at = (order, lengths, reverse, first, count, step)
                _see(x, at, inputs.shape[1], seen)
                _enter(x, at, inputs, bias, work, seen)
                gates(work, recurrent, count, width)
                advance(work, count * width)
                _keep(work, STATE, width, states, offset, units, at)
                if cells.size:
                    _keep(work, CELL, width, cells, offset, units, at)
        restore_denormals(before)

    return _named(name, forward)


def _computed_again(gates: Any) -> Any:
    """The part that computes the gates of a step on the way back."""

    @_jit.part
    def again(x: Any, at: Any, weights: Any, kept: Any, work: Any, seen: Any) -> None:
        inputs, recurrent, bias = weights
        _enter(x, at, inputs, bias, work, seen)
        gates(work, recurrent, at[4], inputs.shape[2])

    return again


@_jit.part
def _rnn_states(x: Any, at: Any, weights: Any, kept: Any, work: Any, seen: Any) -> None:
    """The one gate of an RNN is its new state, and known."""
    (_, recurrent, _), (states, offset) = weights, kept
    _recall(states, offset, recurrent.shape[1], at, work, GATES, recurrent.shape[2])


def _backward(name: str, again: Any, go_back: Any) -> Any:
    """The kernel that goes back over all steps of a cell, and adds to the gradients."""

    def backward(
        x: Any,
        order: Any,
        lengths: Any,
        direction: Any,
        weights: Any,
        kept: Any,
        gradient: Any,
        found: Any,
        work: Any,
        seen: Any,
    ) -> None:
        (reverse, offset), (inputs, recurrent, bias, turned_inputs, turned) = direction, weights
        (states, cells), (of_x, of_inputs, of_recurrent, of_bias) = kept, found
        units, width = recurrent.shape[1:]
        block = work.shape[1] // width
        before = flush_denormals()
        for first in range(0, order.size, block):
            count, most = 0, min(block, order.size - first)
            _clear(work, 0, work.shape[0])
            for step in range(lengths[first] - 1, -1, -1):
                while count < most and lengths[first + count] > step:
                    count += 1
                at = (order, lengths, reverse, first, count, step)
                _recall_before(states, offset, units, at, work, STATE, width)
                if cells.size:
                    _recall_before(cells, offset, units, at, work, CELL, width)
                _see(x, at, inputs.shape[1], seen)
                again(x, at, (inputs, recurrent, bias), (states, offset), work, seen)
                _add_gradient(gradient, offset, units, at, work, width)
                go_back(work, turned, of_recurrent, count, width)
                _return_input(x, at, work, seen, turned_inputs, of_inputs, of_bias, of_x)
        restore_denormals(before)

    return _named(name, backward)


def _named(name: str, function: Any) -> Any:
    """Compile a function under a name of its own, which the cache of kernels goes by."""
    function.__name__ = function.__qualname__ = name
    return _jit.kernel(function)


rnn_forward = _forward("rnn_forward", _rnn_gates, _rnn_advance)
gru_after_forward = _forward("gru_after_forward", _gru_after_gates, _gru_advance)
gru_before_forward = _forward("gru_before_forward", _gru_before_gates, _gru_advance)
lstm_forward = _forward("lstm_forward", _lstm_gates, _lstm_advance)
rnn_backward = _backward("rnn_backward", _rnn_states, _rnn_return)
gru_after_backward = _backward("gru_after_backward", _computed_again(_gru_after_gates), _gru_after_return)
gru_before_backward = _backward("gru_before_backward", _computed_again(_gru_before_gates), _gru_before_return)
lstm_backward = _backward("lstm_backward", _computed_again(_lstm_gates), _lstm_return)
