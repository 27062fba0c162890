"""`jobspec plan FILE`: what a run takes, before anything runs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from jobspec.backends.registry import backend
from jobspec.commands.options import (
    amount,
    backend_option,
    job_argument,
    json_option,
    say_json,
    spec_of,
    threads_option,
)
from jobspec.fitting import Search
from jobspec.ir.codec.plan import encode_plan
from jobspec.ir.errors import JobspecError, UsageError
from jobspec.ir.job import Batches
from jobspec.ir.origin import Place
from jobspec.ir.plan import Plan
from jobspec.loading import Spec, need_whole_roots
from jobspec.passes.pipeline import compile_traced
from jobspec.passes.tally import Tally
from jobspec.runtime.engine import default_threads
from jobspec.runtime.forecast import Forecast, forecast, largest, machine_memory, shown, too_large

LISTED = 8
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGTP]?)B?", re.IGNORECASE)
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}


@dataclass(frozen=True)
class Value:
    """A buffer of a routine and the text that makes it."""

    routine: str
    name: str
    type: str
    bytes: int
    line: int | None
    text: str


@dataclass(frozen=True)
class Report:
    """Everything the command says. `seconds`: to read the job and make its plan."""

    spec: Spec
    plan: Plan
    taken: Forecast
    largest: tuple[Value, ...]
    seconds: float


@click.command()
@job_argument
@backend_option
@threads_option
@click.option("--memory", metavar="SIZE", help="What it must fit into, as `16G` (default: this machine's memory).")
@json_option
def command(
    file: Path, sets: tuple[str, ...], on: str, threads: int | None, memory: str | None, as_json: bool
) -> None:
    """Say what a run takes: steps, operations, memory, and which lines take it. Nothing runs."""
    limit = machine_memory() if memory is None else size_of(memory)
    report = reported(file, sets, on, threads or default_threads())
    if as_json:
        say_json(answer_of(report, limit))
    else:
        click.echo("\n".join(lines_of(report, file, limit)))
    if report.taken.memory.peak > limit:
        raise refused(report, file, sets, on, limit)


def size_of(text: str) -> int:
    """`16G` as bytes."""
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError("E0850", f"`--memory {text}` is no size", help="write it as `16G`, `512M` or `4T`")
    return int(float(match[1]) * UNITS[match[2].lower()])


def reported(file: Path, sets: tuple[str, ...], on: str, threads: int) -> Report:
    begun = time.perf_counter()
    spec, chosen = spec_of(file, sets), backend(on)
    if chosen.interprets:
        raise UsageError("E0851", f"the backend `{on}` makes no plan of memory", help="leave out `--on`")
    need_whole_roots(spec)
    plan, origins = compile_traced(spec.job, chosen.target)
    seconds = time.perf_counter() - begun
    taken = forecast(spec.job, plan, chosen, threads)
    return Report(spec, plan, taken, values(spec, plan, taken, origins), seconds)


def values(spec: Spec, plan: Plan, taken: Forecast, origins: Mapping[str, Mapping[int, Place]]) -> tuple[Value, ...]:
    """The largest values of the routine that takes most."""
    most = max(taken.parts, key=lambda part: part.memory)
    routine, places = plan.routine(most.name), origins.get(most.name, {})
    lines = (spec.text or "").splitlines()
    found = ((routine.buffers[i], places.get(i)) for i in largest(routine, LISTED))
    return tuple(
        Value(routine.name, b.name, str(b.type), b.type.nbytes, at and at[0], lines[at[0] - 1].strip() if at else "")
        for b, at in found
    )


def refused(report: Report, file: Path, sets: tuple[str, ...], on: str, limit: int) -> JobspecError:
    def read(more: Mapping[str, str]) -> Spec:
        return spec_of(file, (*sets, *(f"{name}={value}" for name, value in more.items())))

    found = Search(report.spec, report.plan, report.taken, backend(on), limit, read).found()
    state = report.taken.memory.checkpoint
    if found:
        help = "each of these fits by itself: " + ", ".join(f"`--set {setting}`" for setting in found)
    elif 2 * state > limit:
        help = f"the state alone is {shown(state)}: make several dims smaller"
    else:
        help = "make several dims smaller"
    return too_large(report.taken.memory, limit, help)


# ---- as JSON


def answer_of(report: Report, limit: int) -> dict[str, Any]:
    """What `--json` says, as the documentation lists it."""
    job, taken, memory = report.spec.job, report.taken, report.taken.memory
    return {
        "name": job.name,
        "job": report.plan.job,
        "steps": job.steps,
        **lengths(report),
        "parameters": kinds(report)["parameter"],
        "state": kinds(report),
        "state_bytes": memory.checkpoint,
        **counted(taken.total),
        "memory": {
            "peak": memory.peak, "arena": memory.arena, "scratch": memory.scratch, "batches": memory.batches,
            "checkpoint": memory.checkpoint, "program": memory.program, "limit": limit, "fits": memory.peak <= limit,
        },
        "phases": [phase_of(report, i) for i in range(len(job.phases))],
        "evaluations": [
            {"name": e.name, "batch": e.batches.size, **routine_of(report, e.name)} for e in job.evaluations
        ],
        "largest": [vars(value) for value in report.largest],
        "kernels": sum(len(routine.kernels) for routine in report.plan.routines),
        "plan_bytes": len(encode_plan(report.plan)),
        "seconds": round(report.seconds, 3),
    }  # fmt: skip


def kinds(report: Report) -> dict[str, int]:
    """Elements of state by kind."""
    found = {"parameter": 0}
    for slot in report.spec.job.state:
        found[slot.kind] = found.get(slot.kind, 0) + slot.type.size
    return found


def lengths(report: Report) -> dict[str, Any]:
    """Examples of the whole run, and tokens where an example is a window of them."""
    phases = report.spec.job.phases
    examples = sum(phase.steps * phase.batches.size for phase in phases)
    tokens = sum(phase.steps * phase.batches.size * phase.batches.stream.window for phase in phases)
    return {"examples": examples, "tokens": tokens or None}


def phase_of(report: Report, number: int) -> dict[str, Any]:
    phase, name = report.spec.job.phases[number], report.spec.job.step_names[number]
    tokens = phase.batches.size * phase.batches.stream.window
    whole = report.taken.part(name).once.times(phase.steps)
    return {
        "name": phase.name, "steps": phase.steps, "batch": phase.batches.size, "tokens": tokens * phase.steps or None,
        **routine_of(report, name), "total": counted(whole),
    }  # fmt: skip


def routine_of(report: Report, name: str) -> dict[str, Any]:
    """What one run of a routine takes."""
    part = report.taken.part(name)
    return {"each": counted(part.once), "memory": part.memory, "times": part.count}


def counted(tally: Tally) -> dict[str, int]:
    return {"contraction_flop": tally.contractions, "other_flop": tally.others, "bytes_moved": tally.moved}


# ---- for people


def lines_of(report: Report, file: Path, limit: int) -> Iterator[str]:
    job = report.spec.job
    yield f"{job.name}: {job.title}" if job.title else job.name
    yield from summary(report)
    yield ""
    yield from table(report)
    yield ""
    yield from memory_lines(report, limit)
    yield ""
    yield f"the largest values of {report.largest[0].routine}, and what makes them"
    width = max(len(value.type) for value in report.largest)
    for value in report.largest:
        where = f"{file.name}:{value.line}" if value.line else ""
        yield f"  {shown(value.bytes):>8}  {value.type:<{width}}  {where}  {value.text}".rstrip()


def summary(report: Report) -> Iterator[str]:
    job, total, found = report.spec.job, report.taken.total, kinds(report)
    state = ", ".join(f"{kind} {amount(count)}" for kind, count in found.items() if kind != "parameter")
    yield f"parameters  {found['parameter']:,}{f' (and state: {state})' if state else ''}"
    length = lengths(report)
    tokens = f", {amount(length['tokens'])} tokens" if length["tokens"] else ""
    yield f"steps       {job.steps:,}; {amount(length['examples'])} examples{tokens}"
    yield f"operations  {power(total.contractions)} FLOP in contractions, {power(total.others)} others"
    yield f"moved       {power(total.moved)} B, as if no cache outlived a kernel"
    kernels = sum(len(routine.kernels) for routine in report.plan.routines)
    size = len(encode_plan(report.plan))
    yield f"compiled    in {report.seconds:.2f} s: {kernels:,} kernels, a plan of {shown(size)}"


def power(count: float) -> str:
    """`3.81e25`; small counts as they are."""
    return f"{count:.3g}".replace("e+0", "e").replace("e+", "e")


def table(report: Report) -> Iterator[str]:
    """A row for each phase and evaluation: how often it runs, and what one run of it takes."""
    job = report.spec.job
    steps = zip(job.phases, job.step_names, strict=True)
    rows: list[tuple[str, ...]] = [("", "runs", "batch", "tokens", "FLOP", "moved", "memory")]
    rows += [row(report, phase.name or "step", name, phase.steps, phase.batches) for phase, name in steps]
    for e in job.evaluations:
        rows.append(row(report, evaluation_name(e.name), e.name, report.taken.part(e.name).count, e.batches))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        aligned = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([f"{name:<{widths[0]}}", *aligned])


def evaluation_name(name: str) -> str:
    return name if name == "eval" else f"eval {name}"


def row(report: Report, shown_as: str, name: str, runs: int, batches: Batches) -> tuple[str, ...]:
    part, tokens = report.taken.part(name), batches.size * batches.stream.window
    counts = (f"{runs:,}", f"{batches.size:,}", amount(tokens) if tokens else "-")
    return (shown_as, *counts, power(part.once.operations), shown(part.once.moved), shown(part.memory))


def memory_lines(report: Report, limit: int) -> Iterator[str]:
    memory = report.taken.memory
    fits = "fits" if memory.peak <= limit else "does not fit"
    yield f"peak memory {shown(memory.peak)}: {fits} into {shown(limit)}"
    yield f"  {shown(memory.arena):>8}  state ({shown(memory.checkpoint)}) and values"
    yield f"  {shown(memory.checkpoint):>8}  copy of the state while a checkpoint is written"
    yield f"  {shown(memory.scratch):>8}  of native code, for all threads"
    yield f"  {shown(memory.batches):>8}  batches on their way"
    yield f"  {shown(memory.program):>8}  the program itself"
