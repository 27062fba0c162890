"""`shards` against what PyTorch's users write for it: gradients of micro-batches, accumulated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.job import Job
from tests.lang.test_shards import NORMED, WIDE, B, batch, kept, made, stepped

torch = pytest.importorskip("torch", reason="PyTorch is the oracle: pip install '.[oracle]'")

pytestmark = pytest.mark.oracle


def accumulated(job: Job, net: str, count: int) -> tuple[dict[str, Any], float]:
    """Gradients and loss in float64: (loss of the micro-batch / count).backward(), one after another."""
    held = evaluate(job.init, {})
    names = [slot.name for slot in job.state if slot.kind == "parameter"]
    p = {name: torch.tensor(held[name].astype(np.float64), requires_grad=True) for name in names}
    x, y = torch.tensor(batch()["batch.x"].astype(np.float64)), torch.tensor(batch()["batch.y"].astype(np.int64))
    total = 0.0
    for part, label in zip(x.chunk(count), y.chunk(count), strict=True):
        loss = torch.nn.functional.cross_entropy(forward(net, p, part), label) / count
        loss.backward()
        total += loss.item()
    return {name: value.grad.numpy() for name, value in p.items()}, total


def forward(net: str, p: dict[str, Any], x: Any) -> Any:
    if net == WIDE:
        return torch.tanh(x @ p["w"]) @ p["u"] @ p["v"]
    h = torch.nn.functional.batch_norm(x @ p["w"], None, None, p["n1.g"], p["n1.b"], training=True)
    return h @ p["v"]


@pytest.mark.parametrize(("net", "count"), [(WIDE, "3"), (WIDE, "4"), (WIDE, "per_piece(6)"), (NORMED, "per_piece(3)")])
def test_gradients_are_accumulated(net: str, count: str) -> None:
    """Float32 against float64: chains of at most 12 examples, 8 and 7 wide; 1e-5 of the largest element is 50 roundings
    of it, and three parts in a hundred thousand for batch norm of four examples, which divides by small deviations."""
    job = made(net, count, more="")
    found = stepped(job, batch())
    pieces = int("".join(c for c in count if c.isdigit()))
    assert B % pieces == 0
    gradients, loss = accumulated(job, net, pieces)
    most = 3e-5 if net == NORMED else 1e-5
    assert abs(found["report.loss"] - loss) <= most * loss
    assert kept(found).keys() == {f"{name}/kept" for name in gradients}
    for name, want in gradients.items():
        error = np.abs(found[f"{name}/kept"] - want).max()
        assert error <= most * np.abs(want).max(), name
