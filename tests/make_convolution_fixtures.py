"""Write convolution_fixtures.npz: convolutions and their gradients as PyTorch computes them, in float64.

    python tests/make_convolution_fixtures.py

Arrays are (N, L, channels) and (width, channels, filters), as in tiedseq, so that no test turns axes around.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

CASES: dict[str, dict[str, Any]] = {
    "letters": {"channels": 0, "filters": 5, "width": 4},
    "letters-stride": {"channels": 0, "filters": 3, "width": 5, "stride": 3, "padding": 2},
    "letters-dilation": {"channels": 0, "filters": 34, "width": 7, "dilation": 2, "padding": 6},
    "numbers": {"channels": 3, "filters": 4, "width": 5},
    "numbers-stride": {"channels": 3, "filters": 2, "width": 4, "stride": 2, "padding": 3},
    "numbers-dilation": {"channels": 2, "filters": 4, "width": 3, "stride": 2, "dilation": 3, "padding": 4},
}


def made(seed: int, channels: int, filters: int, width: int, **options: int) -> dict[str, Any]:
    import torch

    generator = np.random.default_rng(seed)
    n, length, rows = 2, 23, channels or 4
    codes = generator.integers(0, 4, (n, length)).astype(np.uint8)
    x = generator.normal(size=(n, length, channels)) if channels else np.eye(4)[codes]
    weight, bias = generator.normal(size=(width, rows, filters)), generator.normal(size=filters)
    tensors = [
        torch.tensor(np.ascontiguousarray(array), requires_grad=True)
        for array in (x.transpose(0, 2, 1), weight.transpose(2, 1, 0), bias)
    ]
    outputs = torch.nn.functional.conv1d(*tensors, **options)
    gradient = generator.normal(size=tuple(outputs.shape))
    outputs.backward(torch.tensor(gradient))
    of_x, of_weight, of_bias = (tensor.grad.numpy() for tensor in tensors)
    found = {"x": x if channels else codes, "weight": weight, "bias": bias, "gradient": gradient.transpose(0, 2, 1)}
    found |= {"outputs": outputs.detach().numpy().transpose(0, 2, 1), "of_weight": of_weight.transpose(2, 1, 0)}
    return found | {"of_bias": of_bias, "of_x": of_x.transpose(0, 2, 1)}


def main() -> None:
    arrays: dict[str, Any] = {
        f"{name}/{part}": np.ascontiguousarray(array)
        for seed, (name, case) in enumerate(CASES.items())
        for part, array in made(seed, **case).items()
    }
    np.savez_compressed(Path(__file__).with_name("convolution_fixtures.npz"), **arrays)


if __name__ == "__main__":
    main()
