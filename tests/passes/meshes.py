"""Small jobs on a mesh, and their steps run in parts.

Takes: a job whose `run` says the mesh. Promises: the step's results from its parts, put together, beside those of the
whole step.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jobspec.backends.reference.evaluate import evaluate
from jobspec.backends.reference.numbers import NUMPY
from jobspec.ir.job import Job, Phase
from jobspec.lang.assigned import assignments
from jobspec.lang.check import load
from jobspec.lang.override import overridden
from jobspec.lang.source import Source
from jobspec.passes.split.mesh import Meshed, cut_mesh
from jobspec.passes.split.placed import Held
from tests.passes.task_graphs import Array, Arrays, Run, evaluated, whole

SPECS = Path(__file__).parents[2] / "specs"
#: whole numbers in a batch are below this
FEW = 8

PLAIN = """job plain
dim B=12, X=6, H=8, Y=8
import std.optim
import std.loss
import std.nn
data d = table(b3:ROOT, x=f32[X], y=u8)
layer net(x) {
  param w1: X -> H ~ normal(.5), b1: H = .1, w2: H -> Y ~ normal(.5), b2: Y = 0
  nn.relu(x @ w1 + b1) @ w2 + b2
}
train {
  seed = 1; steps = 3; batch = shuffle(d); clip = 1.0
  loss = mean[B](loss.cross_entropy[Y](net(batch.x), batch.y))
  update all by optim.adamw(.01)
}
""".replace("ROOT", "0" * 64)
DEEP = (
    PLAIN.replace("Y=8", "Y=8, L=5")
    .replace("  nn.relu(x @ w1 + b1) @", "  h = nn.relu(x @ w1 + b1)\n  repeat L { LAYER }\n  h @")
    .replace("LAYER", "param w: H -> H' ~ normal(.2), s: H = 1; h = h + nn.relu((h*s) @ w)[H'->H]")
)


def job(text: str, run: str, *settings: str) -> Job:
    return load(overridden(Source("j.job", f"{text}\nrun {{ {run} }}\n"), assignments(settings)))


def spec(name: str, run: str, *settings: str) -> Job:
    return job((SPECS / f"{name}.job").read_text().split("\nrun ")[0], run, *settings)


def batch(job: Job) -> dict[str, Array]:
    return batch_of(job.phases[0])


def batch_of(phase: Phase, seed: int = 1) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for feed in phase.batches.feeds:
        kind, shape = NUMPY[feed.type.dtype], feed.type.shape
        drawn = rng.standard_normal(shape) if feed.type.dtype == "f32" else rng.integers(0, FEW, shape)
        found[feed.name] = np.asarray(drawn, kind)
    return found


def given(job: Job) -> dict[str, Array]:
    return {**evaluate(job.init, {}), **batch(job)}


def meshed(job: Job) -> Meshed:
    return cut_mesh(job, job.phases[0], job.mesh(job.phases[0].name))


def blocks(held: Held, x: Array) -> dict[str, Array]:
    return {block.value: x[tuple(slice(*span) for span in block.box)] for block in held.blocks}


def put_together(held: Held, values: Arrays) -> Array:
    x = np.empty(held.type.shape, NUMPY[held.type.dtype])
    for block in held.blocks:
        x[tuple(slice(*span) for span in block.box)] = values[block.value]
    return x


def in_parts(job: Job, cut: Meshed, run: Run, step: int = 1) -> dict[str, Array]:
    """The step's results, its tasks run one after another."""
    inputs = given(job)
    values = {name: x for slot, held in cut.slots.items() for name, x in blocks(held, inputs[slot]).items()}
    found = evaluated(cut.graph, values | batch(job), run, step)
    names = {block.value for held in cut.slots.values() for block in held.blocks}
    reports = {name: x for name, x in found.items() if name not in names}
    return {slot: put_together(held, found) for slot, held in cut.slots.items()} | reports


def at_once(job: Job, run: Run, step: int = 1) -> dict[str, Array]:
    return whole(job.phases[0].step, given(job), run, step)


def same(found: Arrays, want: Arrays) -> None:
    assert found.keys() == want.keys()
    for name, value in want.items():
        assert found[name].tobytes() == value.tobytes(), name
