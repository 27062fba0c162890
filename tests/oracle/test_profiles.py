"""What test_models.py sets aside: `compute = bf16`, and gradients added up in pieces.

bfloat16: PyTorch's products round both operands, forward and backward, and add in float64. A float32 rounding of ours
may put an operand on the other side of two bfloat16, in a few places of each tensor; what all operands' rounding
changes is at least 8 times as much.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.oracle.test_models import EXACT, losses_agree, opened
from tests.specs.tiny import entries

torch = pytest.importorskip("torch", reason="PyTorch is the oracle: pip install '.[oracle]'")

from torch.utils._python_dispatch import TorchDispatchMode

pytestmark = pytest.mark.oracle

PRODUCTS = (torch.ops.aten.mm.default, torch.ops.aten.bmm.default)


class Narrow(TorchDispatchMode):
    """All products, those of the way back too, are of operands rounded to bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in PRODUCTS:
            self.seen += 1
            args = [x.to(torch.bfloat16).to(x.dtype) for x in args]
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["llama3_8b", "mixtral_8x7b", "deepseek_v3"])
def test_narrow_operands(name: str, tmp_path: Path) -> None:
    """Largest measured: a twelfth (llama3_8b, attention.wk), where it is a ninth for PyTorch in float32; a fifteenth
    (deepseek_v3, attention.uk)."""
    both = opened(name, tmp_path, {"train.compute": "bf16"})
    run = both.ran(tmp_path)
    for at in (run.first, run.last):
        wide = both.gradients(run, at, EXACT)
        with Narrow() as mode:
            narrow = both.gradients(run, at, EXACT)
        assert mode.seen > 50
        for gradient, found in at.gradients.items():
            assert norm(found - narrow[gradient]) < norm(found - wide[gradient]) / 8, gradient


def norm(x: Any) -> float:
    return float(np.sqrt(np.square(x).sum()))


@pytest.mark.parametrize(("name", "shards"), [("gpt2_124m", 4), ("llama3_8b", 2), ("llama3_70b", 4)])
def test_pieces(name: str, shards: int, tmp_path: Path) -> None:
    """Losses alone: gradients of pieces have no name of their own."""
    both = opened(name, tmp_path, {"train.shards": str(shards)})
    assert entries()[name].values["train.shards"] == str(shards)
    losses_agree(both, both.ran(tmp_path))
