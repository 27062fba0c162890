"""The benched jobs: checked text, data, and the batches that all contenders train on.

Takes: a workload's name in JOBS, a store that its data is added to. Promises: `Workload` gives the same initial state
and the same batches to everyone, out of our own initialisation and our own feeder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data import SOURCES
from jobspec.backends.session import Session
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan, Routine
from jobspec.lang.assigned import assignments
from jobspec.loading import Spec, open_data, read_spec
from jobspec.runtime.batches import Feeder, Rows, phase_shares
from jobspec.store.datasets import DataSet
from jobspec.store.home import Home

Array = NDArray[Any]
SPECS = Path(__file__).parents[1] / "specs"
OWN = Path(__file__).parent / "jobs"
NUMPY = {"f32": np.float32, "i32": np.int32, "u32": np.uint32, "u16": np.uint16, "u8": np.uint8, "bool": np.bool_}


@dataclass(frozen=True)
class Benched:
    """A job text with values set. `data`: what it trains on, in data.py."""

    file: Path
    data: str
    sets: Mapping[str, str] = field(default_factory=dict)


def spec(name: str, data: str, sets: str = "") -> Benched:
    return Benched(SPECS / f"{name}.job", data, assignments(sets.split()))


JOBS: Mapping[str, Benched] = {
    "digits": spec("digits", "shipped"),
    "mnist_cnn": spec("mnist_cnn", "mnist"),
    "char_gpt": spec("char_gpt", "characters"),
    "baby_gpt": spec("char_gpt", "characters", "L=6 D=384 H=6 T=256 B=8"),
    "gpt2": spec("gpt2_124m", "words", "B=4 T=64 eval.B=4 train.shards=1 run.mesh=[dp=4]"),
    "gpt2_long": spec("gpt2_124m", "words", "B=1 T=1024 eval.B=1 train.shards=1 run.mesh=[dp=1]"),
    "resnet18": Benched(OWN / "resnet18.job", "images"),
    "lstm": spec("lstm", "shipped", "H=256"),
}

#: what a GPU is benched with besides: a processor would take seconds a step
ON_GPUS: Mapping[str, Benched] = {
    "gpt2_full": spec("gpt2_124m", "made up, with val", "B=8 eval.B=8 train.shards=1 run.mesh=[dp=1]"),
    "gpt_162m": Benched(OWN / "gpt_162m.job", "made up"),
}


@dataclass(frozen=True)
class Workload:
    """A job with its data sets by source name."""

    name: str
    job: Job
    data: Mapping[str, DataSet]

    def rows(self, plan: Plan, first: int, count: int) -> Rows:
        """The batches of steps first … first+count-1 as `plan` lays them out."""
        phase = self.job.phases[0]
        return Feeder(plan.routine("step"), phase.batches, phase_shares(self.job, phase, self.data)).rows(first, count)


def open_workload(name: str, home: Home) -> Workload:
    """The job `name` of JOBS or ON_GPUS, its data added to the store. Raises Missing where they are not here."""
    file, values = text_of(name, home)
    return of_spec(name, read_spec(file, values, home), home)


def text_of(name: str, home: Home) -> tuple[Path, dict[str, str]]:
    """The job's file and the values set in it, its data added to the store. Raises Missing."""
    chosen = {**JOBS, **ON_GPUS}[name]
    return chosen.file, {**chosen.sets, **SOURCES[chosen.data](home)}


def of_spec(name: str, spec: Spec, home: Home) -> Workload:
    return Workload(name, spec.job, open_data(spec, home))


def begun(session: Session, job: Job) -> dict[str, Array]:
    """Run init; the tensors of state by name, in the job's order."""
    outcome = session.run("init", 0, np.zeros((1, 0), np.uint8))
    assert not outcome.flags, outcome.flags
    return state_of(session, job)


def state_of(session: Session, job: Job) -> dict[str, Array]:
    return {slot.name: session.read(slot.name) for slot in job.state}


def of_kind(state: Mapping[str, Array], job: Job, kind: str) -> dict[str, Array]:
    """The tensors of one kind: parameter, optimizer or layer."""
    return {slot.name: state[slot.name] for slot in job.state if slot.kind == kind}


def fields_of(job: Job, routine: Routine, row: NDArray[np.uint8]) -> dict[str, Array]:
    """One batch by field, out of its bytes."""
    places = {name: routine.buffers[number] for name, number in routine.feeds}
    found: dict[str, Array] = {}
    for feed in job.phases[0].batches.feeds:
        buffer = places[feed.name]
        raw = row[buffer.offset : buffer.offset + buffer.type.nbytes]
        found[feed.field] = raw.view(NUMPY[buffer.type.dtype]).reshape(buffer.type.shape)
    return found
