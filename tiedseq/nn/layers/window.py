"""Windows that run over positions: where they look, and which lengths they fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiedseq.errors import ArgumentError, ModelError, SequenceError, counted
from tiedseq.nn.layer import Layer
from tiedseq.nn.signal import Batch
from tiedseq.options import checked_count

_MOST = 2**31  # positions: no sequence has more, and a product of two is an int64


@dataclass(frozen=True)
class Window:
    """Where a filter of `width` looks: positions t * stride + k * dilation - before, for tap k of output t."""

    width: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    @classmethod
    def of(cls, width: Any, stride: Any, dilation: Any, padding: Any) -> Window:
        """Check what users write; `padding` is "valid", "same" or a number of zeros at each end."""
        width, stride, dilation = (
            _checked(name, checked_count(name, value))
            for name, value in (("width", width), ("stride", stride), ("dilation", dilation))
        )
        if isinstance(padding, str) and padding == "valid":
            return cls(width, stride, dilation)
        span = dilation * (width - 1)
        if isinstance(padding, str) and padding == "same":
            if stride != 1:
                raise ArgumentError(f'padding="same" keeps the length, which stride={stride} does not; give a number.')
            return cls(width, stride, dilation, span // 2, span - span // 2)
        if isinstance(padding, bool) or not isinstance(padding, int | np.integer) or padding < 0:
            raise ArgumentError(f'padding={padding!r} must be "valid", "same", or a number of zeros at each end.')
        _checked("padding", int(padding))
        return cls(width, stride, dilation, int(padding), int(padding))

    @property
    def reach(self) -> int:
        """Positions from the first tap to the last."""
        return self.dilation * (self.width - 1) + 1

    def outputs(self, length: Any) -> Any:
        """How many outputs a sequence of `length` has, a number or an array; 0 or less if it is too short."""
        return (length + self.before + self.after - self.reach) // self.stride + 1

    def check_mirror(self, layer: str) -> None:
        """ModelError unless both ends are alike."""
        if self.before != self.after:
            raise ModelError(
                f"{layer} pads {counted(self.before, 'zero')} before and {self.after} after, so both ends differ; "
                'padding="same" keeps a symmetry with an odd width (or an even dilation).'
            )

    def check_length(self, layer: str, length: int, mirror: bool) -> None:
        """SequenceError if a sequence is too short, or if its mirror image would be cut elsewhere."""
        if self.outputs(length) < 1:
            raise SequenceError(
                f"a sequence of {counted(length, 'position')} is shorter than the reach of {layer}, {self.reach}"
                f"{f' less {self.before + self.after} of padding' if self.before + self.after else ''}: leave it out, "
                "pad it, or use a smaller width"
            )
        rest = (length + self.before + self.after - self.reach) % self.stride
        if mirror and rest:
            raise SequenceError(
                f"a sequence of {counted(length, 'position')} leaves {rest} over under stride {self.stride} of "
                f"{layer}, so that its mirror image is cut elsewhere: use lengths that fit, or another stride"
            )


def _checked(name: str, positions: int) -> int:
    if positions > _MOST:
        raise ArgumentError(f"{name}={positions} must be {_MOST} positions at most, more than any sequence has.")
    return positions


def windows_over(layer: Layer, window: Window, batch: Batch, mirror: bool) -> NDArray[np.int64]:
    """Return the number of outputs of every sequence; SequenceError for one that does not fit."""
    assert batch.lengths is not None
    for length in np.unique(batch.lengths):
        window.check_length(repr(layer), int(length), mirror)
    found: NDArray[np.int64] = window.outputs(batch.lengths)
    return found
