"""Every spec made small, all axes of its parameters cut over a mesh that can be: one step has the whole step's bits.

Slow: two minutes on an idle core.
"""

from __future__ import annotations

import pytest

from jobspec.ir.job import Job
from tests.passes import meshes
from tests.passes.meshes import at_once, in_parts, meshed, same, spec
from tests.passes.task_graphs import Array, runner
from tests.specs.tiny import Tiny, entries

SMALL = {name: entry for name, entry in entries().items() if not entry.base}


def settings(entry: Tiny) -> list[str]:
    return [f"{name}={value}" for name, value in entry.values.items() if not name.startswith("run")]


def even(job: Job) -> list[str]:
    """Axes of parameters that have two equal parts; not the layers', nor the batch."""
    sizes = {a.rstrip("'"): n for slot in job.state if slot.kind == "parameter"
             for a, n in zip(slot.axes, slot.type.shape, strict=True)}  # fmt: skip
    return [axis for axis, n in sizes.items() if n % 2 == 0 and axis not in "LB"]


def told_apart(batch: dict[str, Array]) -> dict[str, Array]:
    """For BERT: words, not padding and marks; two sentences."""
    return {name: (x + 104 if "tok" in name else x % 2).astype(x.dtype) for name, x in batch.items()}


@pytest.mark.slow
@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("name", SMALL)
def test_one_step(name: str, stages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "bert_base":
        plain = meshes.batch_of
        monkeypatch.setattr(meshes, "batch_of", lambda phase: told_apart(plain(phase)))
    alone = spec(name, "", *settings(SMALL[name]))
    layers = stages > 1 and dict(alone.sizes).get("L", 1) >= stages
    if stages > 1 and not layers:
        pytest.skip("no layers to be stages")
    cut = f"mesh = [pp={stages}, tp=2]; shard {' '.join(even(alone))} over tp"
    job = spec(name, f"{cut}; shard L over pp" if layers else cut, *settings(SMALL[name]))
    run = runner("reference", job.profile)
    same(in_parts(job, meshed(job), run), at_once(job, run))
