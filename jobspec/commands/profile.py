"""`jobspec profile FILE`: where the time of a training step goes, kernel by kernel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from jobspec.backends.registry import Backend, backend
from jobspec.backends.session import Stepper
from jobspec.commands.options import FILE, backend_option, job_argument, json_option, say_json, spec_of
from jobspec.ir.errors import UsageError
from jobspec.ir.plan import Plan
from jobspec.loading import Spec, need_whole_roots, open_data
from jobspec.passes.pipeline import compile_traced
from jobspec.runtime.batches import Feeder, phase_shares
from jobspec.runtime.profile import Profile, Row, profile, shape_of, text_at, trace
from jobspec.store.files import FileLayer, write_file
from jobspec.store.home import Home, open_home

LISTED = 20


@click.command()
@job_argument
@backend_option
@click.option("--steps", type=click.IntRange(1), default=10, metavar="N", help="Steps to time (default: 10).")
@click.option("--kernels", type=click.IntRange(0), default=LISTED, metavar="N", help="Kernels to list (20); 0: all.")
@click.option("--trace", "traced", type=FILE, metavar="FILE", help="Write every call, as Perfetto opens it.")
@json_option
def command(
    file: Path, sets: tuple[str, ...], on: str, steps: int, kernels: int, traced: Path | None, as_json: bool
) -> None:
    """Time each kernel of a training step where it stands; nothing is trained."""
    home = open_home()
    spec = spec_of(file, sets, home)
    found = profiled(spec, on, home, steps)
    lines = (spec.text or "").splitlines()
    if traced:
        write_file(FileLayer(), traced, [json.dumps(trace(found, lines)).encode()])
    if as_json:
        say_json(answer_of(found, lines))
    else:
        click.echo("\n".join(table(found, lines, kernels, file.name, backend(on).clock)))


def profiled(spec: Spec, on: str, home: Home, steps: int) -> Profile:
    """The first phase's step. Raises UsageError for a backend that has no kernels to time; DataError."""
    chosen = backend(on)
    plan, origins = compile_traced(spec.job, chosen.target)
    stepper = opened(spec, plan, chosen, home)
    try:
        return profile(stepper, origins.get(spec.job.step_names[0], {}), steps)
    finally:
        stepper.close()


def opened(spec: Spec, plan: Plan, chosen: Backend, home: Home) -> Stepper:
    """The first phase's step, behind `init`, its first batch in the feed. Raises UsageError E0852, DataError."""
    if chosen.stepper is None:
        reason = f"the backend `{chosen.name}` cannot be timed kernel by kernel"
        raise UsageError("E0852", reason, help="leave out `--on`")
    need_whole_roots(spec)
    data, phase, name = open_data(spec, home), spec.job.phases[0], spec.job.step_names[0]
    rows = Feeder(plan.routine(name), phase.batches, phase_shares(spec.job, phase, data)).rows(0, 1)
    return chosen.stepper(plan, name, rows[0])


def table(found: Profile, lines: list[str], most: int, file: str, clock: str) -> Iterator[str]:
    """A line per kernel, dearest first, and one for what they take together; `clock`: what timed them."""
    rows = found.rows[: most or None]
    yield f"{'ms':>9} {'share':>6} {'calls':>5} {'GFLOP/s':>8} {'GB/s':>6}  kernel"
    for row in rows:
        yield line(row, found, lines, file)
    if len(rows) < len(found.rows):
        rest = sum(row.seconds for row in found.rows[len(rows) :])
        yield f"{rest * 1e3:9.3f} {share(rest, found):6.1%}        {len(found.rows) - len(rows)} more kernels"
    operations = sum(row.work.operations for row in found.rows)
    speed = operations / found.seconds / 1e9 if found.seconds else 0.0
    yield f"{found.seconds * 1e3:9.3f} ms a step {clock}, {operations / 1e9:.3f} GFLOP, {speed:.1f} GFLOP/s"


def line(row: Row, found: Profile, lines: list[str], file: str) -> str:
    speeds = f"{row.flops / 1e9:8.1f} {row.bandwidth / 1e9:6.1f}"
    where = f"{file}:{row.place[0]}  {text_at(row.place, lines)}" if row.place else ""
    name = f"{row.kernel.kind} {row.kernel.name} ({shape_of(row.kernel)})"
    times = f"{row.seconds * 1e3:9.3f} {share(row.seconds, found):6.1%} {row.calls:5}"
    return f"{times} {speeds}  #{row.number} {name}  {where}".rstrip()


def share(seconds: float, found: Profile) -> float:
    """Of the step; none where the step takes less than the clock can tell."""
    return seconds / found.seconds if found.seconds else 0.0


def answer_of(found: Profile, lines: list[str]) -> dict[str, Any]:
    """What `--json` says, as the documentation lists it."""
    kernels = [kernel_of(row, lines) for row in found.rows]
    return {"routine": found.routine.name, "steps": len(found.steps), "seconds": found.seconds, "kernels": kernels}


def kernel_of(row: Row, lines: list[str]) -> dict[str, Any]:
    place = row.place
    return {
        "number": row.number, "name": row.kernel.name, "kind": row.kernel.kind, "shape": shape_of(row.kernel),
        "line": place and place[0], "text": text_at(place, lines) if place else None,
        "calls": row.calls, "seconds": row.seconds, "least": row.low,
        "flop": row.work.operations, "bytes": row.work.moved,
    }  # fmt: skip
