"""Write recurrent_fixtures.json: outputs and gradients of PyTorch's recurrent layers in float64.

Run by hand, with PyTorch installed: python tests/make_recurrent_fixtures.py. The tests read the file only.

The loss is the sum of all states times given numbers. Names are PyTorch's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SEQUENCES, LENGTH, CHANNELS, UNITS = 2, 5, 3, 3


def fixture(torch: Any, kind: str, bidirectional: bool) -> dict[str, Any]:
    module = getattr(torch.nn, kind)(
        CHANNELS, UNITS, batch_first=True, bidirectional=bidirectional, dtype=torch.float64
    )
    x = torch.randn(SEQUENCES, LENGTH, CHANNELS, dtype=torch.float64, requires_grad=True)
    states = module(x)[0]
    of_states = torch.randn(states.shape, dtype=torch.float64)
    (states * of_states).sum().backward()
    found = {"x": x, "states": states, "of_states": of_states, "of_x": x.grad}
    for name, value in module.named_parameters():
        found |= {name: value, f"of_{name}": value.grad}
    return {name: value.detach().tolist() for name, value in found.items()}


def main() -> None:
    import torch

    torch.manual_seed(0)
    cases = {
        f"{kind}, {directions}": fixture(torch, kind, directions == 2)
        for kind in ("RNN", "GRU", "LSTM")
        for directions in (1, 2)
    }
    text = json.dumps({"made by": f"PyTorch {torch.__version__}", "cases": cases}, indent=None)
    Path(__file__).with_name("recurrent_fixtures.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
