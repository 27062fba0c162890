"""Every spec made small, all axes of its parameters and of its batch cut over a mesh that can be: one step has the
whole step's bits.

Slow: minutes on an idle core.
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


def places(job: Job) -> list[str]:
    """Axes of the batch that have two equal parts; not the examples."""
    sizes = {a: n for feed in job.phases[0].batches.feeds for a, n in zip(feed.axes, feed.type.shape, strict=True)}
    return [axis for axis, n in sizes.items() if n % 2 == 0 and axis != "B"]


def runs(job: Job) -> dict[str, str]:
    """What `run` may say of a job: slices alone, with stages of layers, places of the batch, and all at once."""
    slices, layers = even(job), ["L"] if dict(job.sizes).get("L", 1) >= 2 else []
    across = [axis for axis in places(job) if axis not in slices]
    found = {"slices": run(tp=slices)}
    if layers:
        found["stages"] = run(pp=layers, tp=slices)
    if places(job):
        found["places"] = run(cp=places(job))
    if layers and across:
        found["all"] = run(dp=["B"], pp=layers, cp=across, tp=slices)
    return found


def run(**cuts: list[str]) -> str:
    """A mesh of two positions along each axis, and what is cut over it."""
    mesh = ", ".join(f"{over}=2" for over in cuts)
    return "; ".join(
        [f"mesh = [{mesh}]", *(f"shard {' '.join(axes)} over {over}" for over, axes in cuts.items() if axes)]
    )


def told_apart(batch: dict[str, Array]) -> dict[str, Array]:
    """For BERT: words, not padding and marks; two sentences."""
    return {name: (x + 104 if "tok" in name else x % 2).astype(x.dtype) for name, x in batch.items()}


@pytest.mark.slow
@pytest.mark.parametrize("cut", ["slices", "stages", "places", "all"])
@pytest.mark.parametrize("name", SMALL)
def test_one_step(name: str, cut: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "bert_base":
        plain = meshes.batch_of
        monkeypatch.setattr(meshes, "batch_of", lambda phase: told_apart(plain(phase)))
    said = runs(spec(name, "", *settings(SMALL[name]))).get(cut)
    if said is None:
        pytest.skip("it has no such axes")
    job = spec(name, said, *settings(SMALL[name]))
    run_on = runner("reference", job.profile)
    same(in_parts(job, meshed(job), run_on), at_once(job, run_on))
