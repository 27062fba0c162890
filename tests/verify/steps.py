"""The first step of a small job, with everything it is given."""

from __future__ import annotations

from pathlib import Path

from jobspec.backends.reference.numbers import Array
from jobspec.ir.codec.job import job_hash
from jobspec.ir.program import Program
from jobspec.runtime.folder import run_folder
from jobspec.store.home import Home
from jobspec.verify.replaying import Means, course_of
from jobspec.verify.tracing import inputs_of, program_of
from tests.specs.tiny import Tiny


def first_step(tiny: Tiny, folder: Path) -> tuple[Program, list[Array]]:
    """The program of step 0, with no `gradient` left in it, and an array per input."""
    spec, home = tiny.spec(folder), Home(folder)
    means = Means(home, "reference", 1, spec.search)
    with course_of(spec.job, run_folder(home, job_hash(spec.job)), means) as course:
        course.begin()
        inputs = inputs_of(course, 0)
    program = program_of(spec.job, 0)
    return program, [inputs[node["name"]] for node in program.inputs]
