"""A task's program as a job of its own, so that every backend can run it as it is.

Takes: a closed program, a profile. Promises: a job without data whose state is the program's inputs, then its outputs
under names of their own, and whose `step` fills these. A session of it is written the inputs, runs `step` once with
the number of the step, and is read the outputs; the inputs are still there afterwards.
"""

from __future__ import annotations

from jobspec.ir.build import zeros
from jobspec.ir.job import Batches, Job, Phase, Slot, Stream
from jobspec.ir.program import Program
from jobspec.ir.types import Type
from jobspec.passes.split.graph import STEP

#: what stands before the names of slots that outputs fill, and no input's name begins with
MADE = "made: "


def task_job(program: Program, profile: str) -> Job:
    """The job whose routine `step` runs `program`."""
    given = [(node["name"], node.type) for node in program.inputs if node["name"] != STEP]
    slots = (*(slot(name, kind) for name, kind in given), *(slot(MADE + n, x.type) for n, x in program.outputs))
    kept = tuple((node["name"], node) for node in program.inputs if node["name"] != STEP)
    filled = tuple((MADE + name, node) for name, node in program.outputs)
    nothing = Batches(Stream((), "sequence", 0, bytes(32)), 1, ())
    return Job(
        name="task", title="", profile=profile, seed=0, sources=(), state=slots,
        init=Program((), tuple((s.name, zeros(s.type)) for s in slots)),
        phases=(Phase("", 1, Program(program.inputs, kept + filled), nothing),),
        evaluations=(), roots_every=0, save_every=0, keep=0,
    )  # fmt: skip


def slot(name: str, kind: Type) -> Slot:
    return Slot(name, "layer", kind, ("",) * len(kind.shape))
