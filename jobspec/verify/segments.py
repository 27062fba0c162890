"""A run cut into segments at its step records, and the states it left at their borders.

Takes: records that lead to a receipt's chain, what the log says of checkpoints. Promises: a segment's chain is
the claimed one at its beginning, so that a replay of it alone closes with the claimed record or with another; a
checkpoint counts as committed only at a border, and only if its own root is the one that the chain has there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobspec.ir.codec.receipt import Receipt
from jobspec.ir.digest import Digest
from jobspec.ir.errors import DataError
from jobspec.ir.job import Job
from jobspec.runtime.chain import Chain, StepRecord, linked, start
from jobspec.runtime.events import Saved
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.stops import looks_of
from jobspec.store import checkpoint
from jobspec.store.blobs import BlobStore
from jobspec.store.dtypes import Array


@dataclass(frozen=True)
class Segment:
    """The steps chain.done … record.step-1. `chain`: where the claim stands before them."""

    number: int
    chain: Chain
    record: StepRecord

    @property
    def steps(self) -> int:
        return self.record.step - self.chain.done


def segments(receipt: Receipt, records: Sequence[StepRecord]) -> Iterator[Segment]:
    """The claim's segments in order."""
    chain = start(receipt.job, receipt.data, receipt.start)
    for number, record in enumerate(records):
        yield Segment(number, chain, record)
        chain = Chain(receipt.start, linked(chain.link, record), record.step, record.after, record.step)


def misplaced(job: Job, receipt: Receipt, records: Sequence[StepRecord]) -> str | None:
    """What is wrong with the records themselves: they must lie where the job puts them, and each begin where the one
    before ends."""
    trouble = broken(receipt.start, records)
    if trouble:
        return trouble
    looks, step = looks_of(job, job.steps, records_only=True), 0
    for number, record in enumerate(records):
        step = looks.after(step) if step < job.steps else -1
        if record.step != step:
            return f"step record {number} is after step {record.step}, where the job puts none or puts another first"
    state = records[-1].after if records else receipt.start
    if step != job.steps or state != receipt.end:
        return f"the step records end at step {step} and state {state}, the receipt at {job.steps} and {receipt.end}"
    return None


def broken(start: Digest, records: Sequence[StepRecord]) -> str | None:
    """Where the records do not hang together: each begins at the state where the last one ended, at a later step."""
    state, step = start, 0
    for number, record in enumerate(records):
        if record.before != state:
            return f"step record {number} begins at the state {record.before}, not at {state} where the last one ended"
        if record.step <= step:
            return f"step record {number} is after step {record.step}, the last one after {step}"
        state, step = record.after, record.step
    return None


@dataclass(frozen=True)
class Committed:
    """A checkpoint whose root is in the chain. `chain`: the claim at its step."""

    name: Digest
    chain: Chain


def committed(folder: RunFolder, saved: Sequence[Saved], borders: Sequence[Chain]) -> list[Committed]:
    """The checkpoints that can stand for a claimed state, by step."""
    claimed = {chain.done: chain for chain in borders}
    found = [(s.name, claimed[s.chain.done]) for s in saved if s.chain.done in claimed]
    good = [Committed(name, chain) for name, chain in found if _root(folder.states, name) == chain.state]
    return sorted(good, key=lambda c: c.chain.done)


def _root(states: BlobStore, name: Digest) -> Digest | None:
    try:
        return checkpoint.read(states, name).state
    except DataError:
        return None


def tensors_of(folder: RunFolder, found: Committed) -> dict[str, Array] | None:
    """The checkpoint's tensors, hashed; None where one is missing or changed."""
    try:
        return checkpoint.load(folder.states, found.name)[1]
    except DataError:
        return None
