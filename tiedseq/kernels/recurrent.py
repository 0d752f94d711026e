"""Recurrent layers: blocks of sequences side by side, a step after the other, forward and exactly backward.

Sequences come in the order of falling length, so that those a step still concerns are the first ones of a block. What
is computed of a block lies in `work`, a plane for each quantity (see `recurrent_cells`), and stays in the cache. For
the way back states alone are kept, and cells of an LSTM: gates are computed again from them, which costs less than to
write them to memory and read them.

Gradients shrink by a factor a step, and are zero before they are denormal. Those in weights are sums over all steps of
all sequences: they are moved to float64 every so many, for a longer sum of equal numbers in float32 loses its digits.

Letters are codes (N, L): what they contribute to a gate is a row of a table. Numbers are (N, L, channels).
"""

from __future__ import annotations

from typing import Any

from . import _jit
from .denormals import flush_denormals, restore_denormals
from .products import add_product
from .recurrent_cells import (
    CELL,
    GATES,
    OF_STATE,
    STATE,
    gru_advance,
    gru_after_gates,
    gru_after_return,
    gru_before_gates,
    gru_before_return,
    lstm_advance,
    lstm_gates,
    lstm_return,
    rnn_advance,
    rnn_gates,
    rnn_return,
)

SUMMED = 1 << 12  # steps of single sequences that a sum in float32 may have

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
def _move(sums: Any, totals: Any) -> None:
    """Add the sums to the totals, and begin again at zero."""
    for k in range(sums.size):
        totals[k] += sums[k]
        sums[k] = 0


@_jit.part
def _clear(work: Any, first: Any, last: Any) -> None:
    for plane in range(first, last):
        for k in range(work.shape[1]):
            work[plane, k] = 0


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

    return _jit.kernel(_named(name, forward))


def _computed_again(name: str, gates: Any) -> Any:
    """The part that computes the gates of a step on the way back."""

    def again(x: Any, at: Any, weights: Any, kept: Any, work: Any, seen: Any) -> None:
        inputs, recurrent, bias = weights
        _enter(x, at, inputs, bias, work, seen)
        gates(work, recurrent, at[4], inputs.shape[2])

    return _jit.part(_named(name, again))


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
        moved: Any,
        work: Any,
        seen: Any,
    ) -> None:
        (reverse, offset), (inputs, recurrent, bias, turned_inputs, turned) = direction, weights
        (states, cells), (of_x, of_inputs, of_recurrent, of_bias) = kept, found
        sums, totals = moved  # the memory of all gradients in weights, and what becomes of them
        units, width = recurrent.shape[1:]
        block, added = work.shape[1] // width, 0
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
                added += count
                if added >= SUMMED:
                    _move(sums, totals)
                    added = 0
        _move(sums, totals)
        restore_denormals(before)

    return _jit.kernel(_named(name, backward))


def _named(name: str, function: Any) -> Any:
    """Give a function a name of its own, by which the cache of kernels, and the linker, tell it from its twins."""
    function.__name__ = function.__qualname__ = name
    return function


rnn_forward = _forward("rnn_forward", rnn_gates, rnn_advance)
gru_after_forward = _forward("gru_after_forward", gru_after_gates, gru_advance)
gru_before_forward = _forward("gru_before_forward", gru_before_gates, gru_advance)
lstm_forward = _forward("lstm_forward", lstm_gates, lstm_advance)
rnn_backward = _backward("rnn_backward", _rnn_states, rnn_return)
gru_after_backward = _backward(
    "gru_after_backward", _computed_again("gru_after_again", gru_after_gates), gru_after_return
)
gru_before_backward = _backward(
    "gru_before_backward", _computed_again("gru_before_again", gru_before_gates), gru_before_return
)
lstm_backward = _backward("lstm_backward", _computed_again("lstm_again", lstm_gates), lstm_return)
