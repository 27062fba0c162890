"""`jobspec tune FILE`: measure how the kernels of a step are best executed here, and keep it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from jobspec.backends.registry import backend
from jobspec.commands.options import FILE, backend_option, job_argument, json_option, say_json, spec_of
from jobspec.commands.profile import opened
from jobspec.ir.codec.plan import plan_hash
from jobspec.ir.codec.plan_file import encode_plan_file
from jobspec.ir.plan import Schedule
from jobspec.passes.pipeline import compile_job
from jobspec.runtime.made import remember
from jobspec.runtime.profile import shape_of
from jobspec.runtime.tune import Tuned, tune
from jobspec.runtime.tuning import Tunings, tuned
from jobspec.store.files import FileLayer, write_file
from jobspec.store.home import open_home


@click.command()
@job_argument
@backend_option
@click.option("--candidates", type=click.IntRange(2), default=8, metavar="N", help="Schedules to try (default: 8).")
@click.option("--rounds", type=click.IntRange(1), default=7, metavar="N", help="Times to try each (default: 7).")
@click.option("-o", "--output", type=FILE, help="Write the tuned plan, as `compile` does.")
@json_option
def command(
    file: Path, sets: tuple[str, ...], on: str, candidates: int, rounds: int, output: Path | None, as_json: bool
) -> None:
    """Try schedules for the kernels of a training step and keep the fastest. `--tuned` takes them; no bit changes."""
    home, chosen = open_home(), backend(on)
    spec, tunings = spec_of(file, sets, home), Tunings(home)
    plan = compile_job(spec.job, chosen.target)
    stepper = opened(spec, plan, chosen, home)
    try:
        found = tune(stepper, plan.target, candidates, rounds)
    finally:
        stepper.close()
    for each in found:
        tunings.keep(each.kernel, plan.target, each.schedule)
    best = tuned(plan, tunings)
    if output:
        data = encode_plan_file(spec.job, best)
        write_file(FileLayer(), output, [data])
        remember(home, data)
    hashes = {"job": plan.job, "plan": str(plan_hash(best, chosen.compilers))}
    if as_json:
        say_json({**hashes, "file": output, "kernels": [answer_of(each) for each in found]})
    else:
        click.echo("\n".join(lines_of(found, hashes, chosen.clock)))


def answer_of(found: Tuned) -> dict[str, Any]:
    named = {"number": found.number, "name": found.kernel.name, "shape": shape_of(found.kernel)}
    times = {"before": found.before, "after": found.after, "tried": found.tried}
    return {**named, **times, "schedule": dict(found.schedule.choices)}


def lines_of(found: list[Tuned], hashes: dict[str, str], clock: str) -> Iterator[str]:
    yield f"{'before ms':>9} {'after':>8} {'gain':>6}  kernel"
    for each in found:
        gain = f"{each.before / each.after - 1:6.1%}" if each.after < each.before else " " * 6
        times = f"{each.before * 1e3:9.3f} {each.after * 1e3:8.3f} {gain}"
        yield f"{times}  #{each.number} {each.kernel.name} ({shape_of(each.kernel)}) {said(each.schedule)}"
    saved = sum(each.before - each.after for each in found)
    yield f"{saved * 1e3:.3f} ms a step less {clock}; `--tuned` takes these schedules"
    yield from (f"{name:<5} {text}" for name, text in hashes.items())


def said(schedule: Schedule) -> str:
    return " ".join(f"{name}={number}" for name, number in schedule.choices if number)
