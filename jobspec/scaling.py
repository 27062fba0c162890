"""A job on a cluster, said before anyone rents it: the report behind `jobspec estimate`.

Takes: a loaded job, a cluster. Promises: figures that follow from the job's plan, its mesh and the description of the
cluster; nothing runs and nothing is written. `as_dict` is what `--json` prints, `str` what people read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobspec.backends.cuda.target import target_of
from jobspec.estimating.cluster import Cluster
from jobspec.estimating.estimate import HOUR, Estimate, Step, estimate
from jobspec.ir.amounts import amount, in_bytes
from jobspec.ir.codec.job import job_hash
from jobspec.ir.job import Job
from jobspec.ir.plan import Routine
from jobspec.loading import Spec, need_whole_roots
from jobspec.passes.pipeline import compile_routine

#: kernels are the same for every target; this one is scheduled fastest
LEVEL = 90
#: what time goes to, in words
SPENT = {
    "contractions": "contractions", "attention": "attention", "memory": "passes over memory",
    "tensor": "sums within tensor groups", "context": "keys and values of other places",
    "pipeline": "stages that wait for others", "gradients": "gradients and weights, what nothing covers",
    "update": "the update",
}  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """What training takes on a cluster."""

    found: Estimate

    def as_dict(self) -> dict[str, Any]:
        """As the documentation of `jobspec estimate --json` lists it."""
        return answer_of(self.found)

    def __str__(self) -> str:
        return "\n".join(lines_of(self.found))


def step_routines(job: Job) -> dict[str, Routine]:
    """The phases' routines by name, compiled. Raises CompileError."""
    target, names = target_of(LEVEL), set(job.step_names)
    return {n: compile_routine(job, n, program, batches, target) for n, program, batches in job.programs if n in names}


def scale_of(spec: Spec, cluster: Cluster) -> Scale:
    """Raises CompileError; DataError for data named by a short root; UsageError E0872, E0873, E0874."""
    need_whole_roots(spec)
    return Scale(estimate(spec.job, step_routines(spec.job), cluster))


# ---- as JSON


def answer_of(found: Estimate) -> dict[str, Any]:
    cluster, job = found.cluster, found.job
    return {
        "name": job.name,
        "job": str(job_hash(job)),
        "cluster": cluster.name,
        "devices": found.devices,
        "fits": found.fits,
        "hours": found.hours,
        "device_hours": found.device_hours,
        "cost": found.cost,
        "currency": cluster.currency,
        "checkpoint": {"seconds": found.write, "every": found.every, "effective": found.effective},
        "phases": [phase_of(found, step) for step in found.steps],
        "attained": vars(cluster.attained),
    }


def phase_of(found: Estimate, step: Step) -> dict[str, Any]:
    roles, room = step.roles, step.room
    return {
        "name": step.phase.name,
        "steps": step.phase.steps,
        "tokens": step.tokens or None,
        "devices": roles.devices,
        "mesh": {"tensor": roles.tensor, "context": roles.context, "pipeline": roles.pipeline, "data": roles.data},
        "micro_batches": step.micro,
        "chunks": step.chunks,
        "recomputed": step.again,
        "step_seconds": step.seconds,
        "spent": dict(step.spent),
        "moved": {**vars(step.told), "total": step.told.total},
        "model_flop": step.useful,
        "flops_per_device": step.rate,
        "mfu": step.rate / found.peak,
        "hours": found.hours_for(step.seconds * step.phase.steps),
        "memory": {**vars(room), "total": room.total, "limit": found.cluster.memory},
    }


# ---- for people


def lines_of(found: Estimate) -> Iterator[str]:
    job, cluster = found.job, found.cluster
    yield job.heading
    yield f"on          {cluster.name} ({cluster.source}), {found.devices:,} of {cluster.devices:,} devices in use"
    yield from whole(found)
    yield ""
    yield from table(found)
    yield ""
    yield "time goes to"
    yield from spent_lines(found)
    yield ""
    yield from memory_lines(found)
    yield ""
    yield f"calibration {said_attained(found)}"


def whole(found: Estimate) -> Iterator[str]:
    cost = "" if found.cost is None else f", {money(found.cost, found.cluster.currency)}"
    yield f"takes       {hours(found.hours)} hours, {amount(found.device_hours)} device hours{cost}"
    if found.every is not None and found.effective is not None and found.write is not None:
        often = f"every {clock(found.every)}, {found.write:.2g} s each"
        yield f"checkpoints {often}: with interruptions, {found.effective:.1%} of the time is training"


def table(found: Estimate) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [("", "steps", "mesh", "micro", "step", "TFLOP/s", "MFU", "memory", "hours")]
    rows += [row(found, step) for step in found.steps]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        aligned = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([f"{name:<{widths[0]}}", *aligned])


def row(found: Estimate, step: Step) -> tuple[str, ...]:
    taken = found.hours_for(step.seconds * step.phase.steps)
    return (
        step.phase.name or "step", f"{step.phase.steps:,}", said_mesh(step), f"{step.micro:,}", f"{step.seconds:.3g} s",
        f"{step.rate / 1e12:.3g}", f"{step.rate / found.peak:.1%}", in_bytes(step.room.total), hours(taken),
    )  # fmt: skip


def said_mesh(step: Step) -> str:
    """`tensor 8 × pipeline 16 × data 128`."""
    roles = step.roles
    ways = {"tensor": roles.tensor, "context": roles.context, "pipeline": roles.pipeline, "data": roles.data}
    return " × ".join(f"{name} {size}" for name, size in ways.items() if size > 1) or "one device"


def spent_lines(found: Estimate) -> Iterator[str]:
    """Shares of the whole run, the largest first."""
    totals = dict.fromkeys(SPENT, 0.0)
    for step in found.steps:
        for name, seconds in step.spent.items():
            totals[name] += seconds * step.phase.steps
    for name, seconds in sorted(totals.items(), key=lambda item: -item[1]):
        if share := seconds / found.training:
            yield f"  {share:6.1%}  {SPENT[name]}"


def memory_lines(found: Estimate) -> Iterator[str]:
    most = max(found.steps, key=lambda step: step.room.total)
    room, limit = most.room, found.cluster.memory
    fits = "fits" if found.fits else "does not fit"
    where = f" in {most.phase.name}" if most.phase.name else ""
    yield f"peak memory {in_bytes(room.total)} a device{where}: {fits} into {in_bytes(limit)}"
    kept = "what goes into each layer, computed again" if most.again else "results kept for the way back"
    yield f"  {in_bytes(room.weights):>8}  weights, as contractions take them"
    yield f"  {in_bytes(room.gradients):>8}  sums of gradients"
    yield f"  {in_bytes(room.optimizer):>8}  its part of float32 weights and optimizer state"
    yield f"  {in_bytes(room.activations):>8}  {kept}"
    yield f"  {in_bytes(room.values):>8}  the largest values at the ends of the model"


def said_attained(found: Estimate) -> str:
    attained = found.cluster.attained
    rates = f"contractions {attained.contractions:g}, attention {attained.attention:g}, memory {attained.memory:g}"
    links = f"links {attained.node:g} and {attained.network:g} of the peaks"
    return f"{rates}, {links}" + (f"; {attained.source}" if attained.source else "")


def money(amount: float, currency: str) -> str:
    """`118.52 USD`; large sums without cents, those below a cent to two digits."""
    if 0 < amount < 0.01:
        return f"{amount:.2g} {currency}"
    return f"{amount:,.2f} {currency}" if amount < 1000 else f"{amount:,.0f} {currency}"


def hours(amount: float) -> str:
    """`118.5`; less than one to two digits."""
    return f"{amount:,.1f}" if amount >= 1 or not amount else f"{amount:.2g}"


def clock(seconds: float) -> str:
    """`4 min 27 s`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    if seconds < HOUR:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // HOUR)} h {int(seconds % HOUR // 60)} min"
