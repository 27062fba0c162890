"""The step chain: what ties every step's state and reports to the receipt.

Takes: state roots at the job's cadence, the reports of every step. Promises: the links depend on the job,
its data, the states at the cadence and every report's bits, and on nothing else: not on where a run
stopped, how many steps ran at once, or what ran them. A `Chain` is a plain value, small whatever the
cadence, so a checkpoint holds it and a resumed run goes on from it.

    link 0   := digest "chain.start" of [job, [data root…], state root before step 0]
    record   := {step, before, after, reports}        steps done, state roots, what the steps reported
    link     := digest "chain" of [link before, record]
    reports  := fold from 32 zero bytes over blocks of BLOCK steps (the last one may be shorter) since
                the record before: digest "chain.reports" of fold || rows;  a row: the step's reports,
                f32 bits, little end first, in the step's order
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.canonical import Value
from jobspec.ir.codec.values import as_bytes, keys
from jobspec.ir.digest import Digest, digest, digest_value
from jobspec.ir.record import Record

#: steps whose reports are hashed together
BLOCK = 256
NOTHING = Digest(bytes(32))
RECORD_KEYS = keys("step before after reports")
CHAIN_KEYS = keys("start link step state done folded pending")


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The steps up to `step` since the record before: state roots on both sides, and their reports."""

    step: int
    before: Digest
    after: Digest
    reports: Digest

    def value(self) -> dict[str, Value]:
        return {
            "step": self.step,
            "before": self.before.raw,
            "after": self.after.raw,
            "reports": self.reports.raw,
        }


def read_record(value: Value) -> StepRecord:
    """Raises RecordError."""
    record = Record(value, "the step record", RECORD_KEYS)
    return StepRecord(
        record.integer("step"), record.digest("before"), record.digest("after"), record.digest("reports")
    )


@dataclass(frozen=True, slots=True)
class Chain:
    """Where a run stands: `start`, the root before step 0; `link`, `step`, `state` as of the last record;
    `done` steps in all, the reports since the record in `folded` (whole blocks) and `pending` (the rest)."""

    start: Digest
    link: Digest
    step: int
    state: Digest
    done: int
    folded: Digest = NOTHING
    pending: bytes = b""

    def reported(self, rows: NDArray[np.float32]) -> Chain:
        """The chain after further steps, one row of reports each."""
        width = rows.shape[1] * rows.itemsize
        waiting = self.pending + np.ascontiguousarray(rows, "<f4").tobytes()
        block, folded = BLOCK * width, self.folded
        whole = len(waiting) // block * block if block else 0
        for at in range(0, whole, block):
            folded = _folded(folded, waiting[at : at + block])
        return replace(self, done=self.done + len(rows), folded=folded, pending=waiting[whole:])

    def recorded(self, state: Digest) -> tuple[Chain, StepRecord]:
        """Close the steps since the last record with the state root after them."""
        reports = _folded(self.folded, self.pending) if self.pending else self.folded
        record = StepRecord(self.done, self.state, state, reports)
        return Chain(self.start, linked(self.link, record), self.done, state, self.done), record

    def value(self) -> Value:
        return {
            "start": self.start.raw,
            "link": self.link.raw,
            "step": self.step,
            "state": self.state.raw,
            "done": self.done,
            "folded": self.folded.raw,
            "pending": self.pending,
        }


def start(job: Digest, data: Sequence[Digest], state: Digest) -> Chain:
    """The chain before step 0."""
    link = digest_value("chain.start", [job.raw, [root.raw for root in data], state.raw])
    return Chain(state, link, 0, state, 0)


def linked(link: Digest, record: StepRecord) -> Digest:
    """The link after `record`."""
    return digest_value("chain", [link.raw, record.value()])


def read_chain(value: Value) -> Chain:
    """Raises RecordError."""
    record = Record(value, "the chain", CHAIN_KEYS)
    return Chain(
        record.digest("start"),
        record.digest("link"),
        record.integer("step"),
        record.digest("state"),
        record.integer("done"),
        record.digest("folded"),
        as_bytes(record.get("pending"), "the chain: `pending`"),
    )


def _folded(folded: Digest, block: bytes) -> Digest:
    return digest("chain.reports", folded.raw + block)
