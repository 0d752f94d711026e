"""What the HMM kernels are given: named tuples of arrays, and where in the arrays is what.

Sixteen sequences, or pieces of long ones, run side by side, one in each lane. A *slot* is what they hold at one time: a
vector of lanes for every state. Emitting states come first; their number is a multiple of four, padded with states that
nothing enters. Silent states follow, each after the silent states that lead to it. The caller allocates all memory; it
is flat.
"""

from __future__ import annotations

from typing import Any, NamedTuple

FOUR = 4  # emitting states that are computed together
TOTAL, UNIT, TOTAL_BEFORE, UNIT_BEFORE, STEEPEST, SUMMARY = range(6)  # columns of Sums.summary


class Edges(NamedTuple):
    """Transitions, gathered into groups by the states at one of their ends: four emitting states, or one silent."""

    first: Any  # int64 (groups + 1,): where a group's edges begin
    other: Any  # int64 (edges,): the state at the other end
    weight: Any  # float64 (edges * states in a group,): probabilities


class Chain(NamedTuple):
    """A model's transitions."""

    incoming: Edges  # of emitting states; the number of edges in a group is even
    outgoing: Edges  # of emitting states
    silent_incoming: Edges
    silent_outgoing: Edges
    start: Any  # float64 (emitting,): probability that a state emits the first letter, reached through silent ones too
    guess: Any  # float64 (emitting,): what pieces begin with that are not the start of their sequence
    finish: Any  # float64 (states,): probability of ending now, reached through silent states too


class Letters(NamedTuple):
    """The observations. Letter n has row rows[n] of a table of likelihoods."""

    table: Any  # float64 ((rows + 1) * emitting,): relative to the largest of the row; the last row is zero
    rows: Any  # uint8, int32 or int64 (letters,)


class Pieces(NamedTuple):
    """What runs in the lanes: sixteen pieces a batch; the arrays' lengths are multiples of 16, a batch has one length.

    A piece's own time 0 is its letter begin. Counted are its times from `first` to before `last`. Before them forward
    warms up, and after them, until `stop`, backward does; that is why inner pieces overlap.
    """

    begin: Any  # int64: a letter of the data
    first: Any  # int64; 0 where the piece is the start of its sequence
    last: Any  # int64
    stop: Any  # int64; equal to last where the piece is the end of its sequence; 0: an idle lane
    weight: Any  # float64: how often the sequence counts
    seam: Any  # int64: where its ends go in Sums.seams, or -1


class Work(NamedTuple):
    """Memory for one batch."""

    which: Any  # int64 (chunk * 16,): where in the table the letters' rows begin
    likelihood: Any  # float64 (chunk * emitting * 16,)
    forward: Any  # float64 ((chunk + 1) slots): at the time before the chunk, and at its times
    onward: Any  # float64 (chunk slots): emitting states: likelihood * backward; silent ones: backward, a time earlier
    posterior: Any  # float64 (chunk * emitting * 16,); may be the memory of `likelihood`, which is then written over
    backward: Any  # float64 (one slot): at the time at work
    saved: Any  # float64 (chunks * (a slot and 16),): forward before every chunk, and its unit
    exponents: Any  # float64 (renewals * 16,): log2 of what forward was divided by
    unit: Any  # float64 (16,): log2 of forward's unit
    scratch: Any  # float64 (16,)


class PathWork(NamedTuple):
    """Memory for the likeliest paths of one batch. A chunk of times, whose choices are kept, is made of blocks."""

    which: Any  # int64 (block * 16,): where in the table the letters' rows begin
    likelihood: Any  # float64 (block * emitting * 16,)
    forward: Any  # float64 ((block + 1) slots): the best values at the time before a block, and at its times
    saved: Any  # float64 (chunks slots): the values before every chunk
    choices: Any  # int16 (chunk slots): the state at the time before, for silent states at the same time
    at: Any  # int64 (16,): on the way back, the state that each lane is in
    origin: Any  # int64 (16,): the letter of the data at a lane's time 0, or -1 while nothing of it is written down


class Sums(NamedTuple):
    """What is added up."""

    summary: Any  # float64 (pieces, SUMMARY): at the last counted time the sum over states, times `finish` where the
    # sequence ends, and log2 of its unit; likewise before the first counted time; the largest backward value
    seams: Any  # float64 (seams, 4, states): forward and backward before the first and at the last counted time
    incoming: Any  # float64 (edges of incoming * 4 * 16,): by lane, derivatives by transitions into emitting states
    silent_incoming: Any  # float64 (edges of silent_incoming * 16,)
    began: Any  # float64 (emitting * 16,): by lane, derivatives by `start`
    finished: Any  # float64 (states * 16,): by lane, derivatives by ending
    used: Any  # float64 ((rows + 1) * emitting,): posterior of the states, by row of the table


class LogSums(NamedTuple):
    """What the passes in logarithms add up; states in the order of their places, without padding."""

    weight: Any  # float: how often the sequence counts
    start: Any  # float64 (states,): derivatives
    end: Any  # float64 (states,)
    edges: Any  # float64 (edges,): derivatives, in the order of the incoming edges
    target: Any  # int64 (edges,): the state that each incoming edge leads to
    used: Any  # float64 (rows, emitting): posterior of the states, by row of the table
