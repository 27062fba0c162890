"""Every stage of a job's compilation as text files: `jobspec compile --dump`.

Takes: a job and its plan. Promises: one file for the language's result and for what each pass leaves, in the pipeline's
order, then kernels, schedule and memory map; each holds all routines. Programs are in the text form that
jobspec/ir/text_parser.py reads back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from jobspec import views
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan
from jobspec.ir.text import print_program
from jobspec.passes.pipeline import PASSES
from jobspec.store.files import FileLayer, make_folders, write_file

VIEWS: tuple[tuple[str, Callable[[Plan], Iterator[str]]], ...] = (
    ("kernels", views.kernels),
    ("schedule", views.schedule),
    ("memory", views.memory),
)


def dump(folder: Path, job: Job, plan: Plan) -> list[Path]:
    """Writes the files, `00-language.ir` first; those of an earlier dump are replaced. Raises StoreError."""
    files = FileLayer()
    make_folders(files, folder)
    written = []
    for number, (name, lines) in enumerate(stages(job, plan)):
        path = folder / f"{number:02}-{name}"
        write_file(files, path, ["\n".join([*lines, ""]).encode()])
        written.append(path)
    return written


def stages(job: Job, plan: Plan) -> Iterator[tuple[str, Iterator[str]]]:
    """(name of the file, its lines) in the order of the way."""
    programs = {name: program for name, program, _ in job.programs}
    yield "language.ir", views.programs(job)
    for run in PASSES[job.profile]:
        programs = {name: run(program) for name, program in programs.items()}
        yield f"{run.__name__}.ir", (line for name, p in programs.items() for line in (f"# {name}", print_program(p)))
    for name, view in VIEWS:
        yield f"{name}.txt", view(plan)
