"""One side of a dispute: a run's folder, and what it shows when asked.

Takes: a folder with a receipt, a log, perhaps traces. Promises: what it shows is what the side is bound to: records
lead to its receipt, a segment's trace to its record, a step's trace from and to the states of the segment, a value
to its digest. What is not so is Broken, and that side is wrong whatever the other one says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobspec.ir.codec.receipt import Receipt
from jobspec.ir.digest import Digest, blob_digest
from jobspec.ir.errors import DataError
from jobspec.ir.job import Job
from jobspec.ir.program import Program
from jobspec.ir.types import Type
from jobspec.runtime.chain import StepRecord, linked, start
from jobspec.runtime.events import Saved, Stepped
from jobspec.runtime.folder import RunFolder
from jobspec.store import checkpoint
from jobspec.store.checkpoint import Tensor, root_of
from jobspec.store.dtypes import NUMPY, Array
from jobspec.verify import beside
from jobspec.verify.frames import steps_of
from jobspec.verify.segments import Segment, misplaced
from jobspec.verify.tracefile import SegmentTrace, StepTrace, open_value, read_segment, read_step


class Broken(Exception):
    """What a side shows does not hang together."""

    def __init__(self, side: Party, reason: str) -> None:
        super().__init__(reason)
        self.side, self.reason = side, reason


class Unkept(Exception):
    """A side's trace has not kept a value that is asked for, which says nothing about who is wrong."""

    def __init__(self, side: Party, step: int) -> None:
        super().__init__(f"{side.name}: its trace of step {step} was made without `--values`")


@dataclass(frozen=True)
class Party:
    """`name`: what it is called in the settlement. `records`: those that lead to the receipt."""

    name: str
    folder: RunFolder
    receipt: Receipt
    records: tuple[StepRecord, ...]
    saved: tuple[Saved, ...]
    stepped: tuple[Stepped, ...]

    def need_records(self, job: Job) -> None:
        """Raises Broken where no records lead to the receipt, or they lie where the job puts none."""
        if not self.records:
            raise Broken(self, "no log beside its receipt has step records that lead to the receipt's chain")
        trouble = misplaced(job, self.receipt, self.records)
        if trouble:
            raise Broken(self, trouble)

    def links(self, places: Sequence[int]) -> list[Digest]:
        """The chain's links after so many records."""
        found = [start(self.receipt.job, self.receipt.data, self.receipt.start).link]
        for record in self.records:
            found.append(linked(found[-1], record))
        return [found[place] for place in places]

    def segment(self, segment: Segment) -> SegmentTrace | None:
        """Its trace of the segment, if it made one. Raises Broken where that leads to another record than it claims."""
        trace = read_segment(self.folder, segment.number)
        if trace is None:
            return None
        chain = segment.chain
        for row in trace.reports:
            chain = chain.reported(np.frombuffer(row, "<f4")[None])
        if not trace.states or chain.recorded(trace.states[-1])[1] != self.records[segment.number]:
            raise Broken(self, f"its trace of step record {segment.number} leads to another record than it claims")
        return trace

    def rows(self) -> dict[int, bytes]:
        """What its log says that each step reported."""
        return {s.first + i: row.tobytes() for s in self.stepped for i, row in enumerate(s.reports)}

    def step(self, step: int) -> StepTrace | None:
        """Its trace of a step, if it made one."""
        return read_step(self.folder, step)

    def value(self, trace: StepTrace, name: Digest, type: Type) -> Array:
        """The array behind a digest of its trace. Raises Unkept where it was made without, else Broken."""
        data = open_value(trace, name)
        if data is None:
            raise Unkept(self, trace.step)
        if blob_digest(data) != name:
            raise Broken(self, f"{trace.path} does not hold the value {name.short} as it says")
        if len(data) != type.nbytes:
            raise Broken(self, f"the value {name.short} of its trace has {len(data)} bytes, and is {type}")
        return np.frombuffer(data, NUMPY[type.dtype]).reshape(type.shape)

    def tensors(self, step: int, state: Digest) -> dict[str, Array] | None:
        """Its checkpoint of the state after so many steps, where there is a whole one."""
        for saved in self.saved:
            if saved.chain.done == step:
                try:
                    found, tensors = checkpoint.load(self.folder.states, saved.name)
                except DataError:
                    return None
                return tensors if found.state == state else None
        return None


def party(name: str, folder: RunFolder, receipt: Receipt) -> Party:
    """The side that `folder` stands for."""
    history = beside.history_beside(folder)
    records = tuple(beside.claimed_records(history, receipt))
    saved, stepped = (history.saved, history.stepped) if history else ([], [])
    return Party(name, folder, receipt, records, tuple(saved), tuple(stepped))


@dataclass(frozen=True)
class Bound:
    """What a step's trace is bound to: the states around it and its row of reports."""

    before: Digest
    after: Digest
    reports: bytes


def need_bound(side: Party, trace: StepTrace, job: Job, program: Program, bound: Bound) -> None:
    """Raises Broken where the trace is not of a step from and to those states. Its state before is not looked at
    here: that both sides show the same is another question."""
    nodes, entries = steps_of(program), trace.frame.entries
    if len(entries) != len(nodes) or len(trace.state) != len(job.state):
        raise Broken(side, f"its trace of step {trace.step} is not of the job's program")
    place = {node: number for number, node in enumerate(nodes)}
    told = {name: entries[place[node]].values[0] for name, node in program.outputs if entries[place[node]].values}
    given = {node["name"]: entries[place[node]].values[:1] for node in program.inputs}
    before = dict(zip((slot.name for slot in job.state), trace.state, strict=True))
    for name, value in before.items():
        if name in given and given[name] != (value,):
            raise Broken(side, f"its trace of step {trace.step} reads another `{name}` than its state holds")
    if root(job, {**before, **{n: v for n, v in told.items() if n in before}}) != bound.after:
        raise Broken(side, f"its trace of step {trace.step} does not leave the state that it claims")
    reported = [value for name, value in told.items() if name not in before]
    words = [bound.reports[at : at + 4] for at in range(0, len(bound.reports), 4)]
    if reported != [blob_digest(word) for word in words]:
        raise Broken(side, f"its trace of step {trace.step} does not report what it claims")


def root(job: Job, state: dict[str, Digest]) -> Digest:
    """State root of tensors whose bytes are hashed."""
    return root_of(Tensor(slot.name, slot.type, state[slot.name]) for slot in job.state)
