"""What a run takes, said before it starts: the report behind `jobspec plan` and `jobspec.plan`.

Takes: a loaded job, a backend, threads, the memory that it must fit into. Promises: figures that follow from the job
and its plan; nothing runs and nothing is written. `as_dict` is what `--json` prints, `str` what people read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jobspec.backends.registry import backend
from jobspec.ir.amounts import amount, in_bytes
from jobspec.ir.codec.plan import encode_plan
from jobspec.ir.errors import UsageError
from jobspec.ir.job import Batches, Job
from jobspec.ir.origin import Place
from jobspec.ir.plan import Plan
from jobspec.loading import Spec, need_whole_roots
from jobspec.passes.pipeline import compile_traced
from jobspec.passes.tally import Tally
from jobspec.runtime.forecast import Forecast, Memory, forecast, largest, machine_memory

LISTED = 8


@dataclass(frozen=True)
class Value:
    """A buffer of a routine and the text that makes it: the job's line (from 1) and what stands there."""

    routine: str
    name: str
    type: str
    bytes: int
    line: int | None
    text: str


@dataclass(frozen=True)
class Report:
    """What a run of `job` takes. `largest`: values of the routine that takes most; `limit`: bytes that there are;
    `seconds`: to read the job and make its plan; `file`: where the job's text stands, for people."""

    job: Job
    plan: Plan
    taken: Forecast
    largest: tuple[Value, ...]
    limit: int
    seconds: float
    file: str

    @property
    def memory(self) -> Memory:
        """Bytes of the whole process at its fullest, part by part."""
        return self.taken.memory

    @property
    def fits(self) -> bool:
        return self.memory.peak <= self.limit

    @property
    def parameters(self) -> int:
        return self.state["parameter"]

    @property
    def state(self) -> dict[str, int]:
        """Numbers of state by kind."""
        found = {"parameter": 0}
        for slot in self.job.state:
            found[slot.kind] = found.get(slot.kind, 0) + slot.type.size
        return found

    @property
    def steps(self) -> int:
        return self.job.steps

    @property
    def examples(self) -> int:
        """Of the whole run."""
        return sum(phase.steps * phase.batches.size for phase in self.job.phases)

    @property
    def tokens(self) -> int | None:
        """Of the whole run, where an example is a window of them."""
        return sum(p.steps * p.batches.size * p.batches.stream.window for p in self.job.phases) or None

    @property
    def flop(self) -> int:
        """Of the whole run, evaluations included."""
        return self.taken.total.operations

    @property
    def bytes_moved(self) -> int:
        """What all kernels of the run read and write, as if no cache outlived one."""
        return self.taken.total.moved

    @property
    def kernels(self) -> int:
        return sum(len(routine.kernels) for routine in self.plan.routines)

    @property
    def plan_bytes(self) -> int:
        return len(encode_plan(self.plan))

    def as_dict(self) -> dict[str, Any]:
        """As the documentation of `jobspec plan --json` lists it."""
        return answer_of(self)

    def __str__(self) -> str:
        return "\n".join(lines_of(self))


def report_of(spec: Spec, on: str, threads: int, limit: int | None = None, begun: float | None = None) -> Report:
    """`limit`: bytes it must fit into, this machine's memory without it; `begun`: when its making began, by
    time.perf_counter. Raises UsageError E0851 for a backend without a plan, CompileError, DataError."""
    begun = time.perf_counter() if begun is None else begun
    chosen = backend(on)
    if chosen.interprets:
        raise UsageError("E0851", f"the backend `{on}` makes no plan of memory", help="leave out `--on`")
    need_whole_roots(spec)
    plan, origins = compile_traced(spec.job, chosen.target)
    seconds = time.perf_counter() - begun
    taken = forecast(spec.job, plan, chosen, threads)
    found = values(spec, plan, taken, origins)
    limit = machine_memory() if limit is None else limit
    return Report(spec.job, plan, taken, found, limit, seconds, spec.file)


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


# ---- as JSON


def answer_of(report: Report) -> dict[str, Any]:
    job, taken, memory = report.job, report.taken, report.memory
    return {
        "name": job.name,
        "job": report.plan.job,
        "steps": job.steps,
        "examples": report.examples,
        "tokens": report.tokens,
        "parameters": report.parameters,
        "state": report.state,
        "state_bytes": memory.checkpoint,
        **counted(taken.total),
        "memory": {
            "peak": memory.peak, "arena": memory.arena, "scratch": memory.scratch, "batches": memory.batches,
            "checkpoint": memory.checkpoint, "program": memory.program, "limit": report.limit, "fits": report.fits,
        },
        "phases": [phase_of(report, i) for i in range(len(job.phases))],
        "evaluations": [
            {"name": e.name, "batch": e.batches.size, **routine_of(report, e.name)} for e in job.evaluations
        ],
        "largest": [vars(value) for value in report.largest],
        "kernels": report.kernels,
        "plan_bytes": report.plan_bytes,
        "seconds": round(report.seconds, 3),
    }  # fmt: skip


def phase_of(report: Report, number: int) -> dict[str, Any]:
    phase, name = report.job.phases[number], report.job.step_names[number]
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


def lines_of(report: Report) -> Iterator[str]:
    job = report.job
    yield job.heading
    yield from summary(report)
    yield ""
    yield from table(report)
    yield ""
    yield from memory_lines(report)
    yield ""
    yield f"the largest values of {report.largest[0].routine}, and what makes them"
    width = max(len(value.type) for value in report.largest)
    for value in report.largest:
        where = f"{report.file}:{value.line}" if value.line else ""
        yield f"  {in_bytes(value.bytes):>8}  {value.type:<{width}}  {where}  {value.text}".rstrip()


def summary(report: Report) -> Iterator[str]:
    job, total, found = report.job, report.taken.total, report.state
    state = ", ".join(f"{kind} {amount(count)}" for kind, count in found.items() if kind != "parameter")
    yield f"parameters  {found['parameter']:,}{f' (and state: {state})' if state else ''}"
    tokens = f", {amount(report.tokens)} tokens" if report.tokens else ""
    yield f"steps       {job.steps:,}; {amount(report.examples)} examples{tokens}"
    yield f"operations  {power(total.contractions)} FLOP in contractions, {power(total.others)} others"
    yield f"moved       {power(total.moved)} B, as if no cache outlived a kernel"
    yield f"compiled    in {report.seconds:.2f} s: {report.kernels:,} kernels, a plan of {in_bytes(report.plan_bytes)}"


def power(count: float) -> str:
    """`3.81e25`; small counts as they are."""
    return f"{count:.3g}".replace("e+0", "e").replace("e+", "e")


def table(report: Report) -> Iterator[str]:
    """A row for each phase and evaluation: how often it runs, and what one run of it takes."""
    job = report.job
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
    return (shown_as, *counts, power(part.once.operations), in_bytes(part.once.moved), in_bytes(part.memory))


def memory_lines(report: Report) -> Iterator[str]:
    memory = report.memory
    fits = "fits" if report.fits else "does not fit"
    yield f"peak memory {in_bytes(memory.peak)}: {fits} into {in_bytes(report.limit)}"
    yield f"  {in_bytes(memory.arena):>8}  state ({in_bytes(memory.checkpoint)}) and values"
    yield f"  {in_bytes(memory.checkpoint):>8}  copy of the state while a checkpoint is written"
    yield f"  {in_bytes(memory.scratch):>8}  of native code, for all threads"
    yield f"  {in_bytes(memory.batches):>8}  batches on their way"
    yield f"  {in_bytes(memory.program):>8}  the program itself"
