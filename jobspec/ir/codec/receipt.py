"""Receipts: what a run claims, in at most 1 KB of canonical bytes.

Takes: a run's ends, or bytes that may come from anywhere. Promises: one job has one receipt, whatever ran
it: no time, device, thread count or plan is in it; `decode_receipt` accepts exactly what `encode_receipt`
gives, and names the field or the byte that is wrong.

    receipt := {version, job, profile, data: [root…], start, end, steps, chain, closed}
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from jobspec.ir.canonical import CanonicalError, Limits, decode, encode
from jobspec.ir.codec.values import as_flag, read_each
from jobspec.ir.digest import Digest
from jobspec.ir.record import Record, RecordError, as_digest

VERSION = 1
SIZE = 1024
LIMITS = Limits(size=SIZE, depth=2, items=64)
#: most data sets of one job
SETS = 16


class ReceiptFormatError(ValueError):
    """Bytes that are not a receipt in its canonical form."""


@dataclass(frozen=True)
class Receipt:
    """`job`: the job hash; `data`: roots of the training data; `start`, `end`: state roots before step 0 and
    after the last; `chain`: the last link; `closed`: whether all of the job's steps are done."""

    job: Digest
    profile: str
    data: tuple[Digest, ...]
    start: Digest
    end: Digest
    steps: int
    chain: Digest
    closed: bool


KEYS = frozenset({"version", *(field.name for field in fields(Receipt))})


def encode_receipt(receipt: Receipt) -> bytes:
    """At most SIZE bytes."""
    data = encode(
        {
            "version": VERSION,
            "job": receipt.job.raw,
            "profile": receipt.profile,
            "data": [root.raw for root in receipt.data],
            "start": receipt.start.raw,
            "end": receipt.end.raw,
            "steps": receipt.steps,
            "chain": receipt.chain.raw,
            "closed": receipt.closed,
        }
    )
    assert len(data) <= SIZE, f"a receipt of {len(data)} bytes"
    return data


def decode_receipt(data: bytes) -> Receipt:
    """The receipt whose canonical bytes are `data`. Raises ReceiptFormatError with the reason."""
    try:
        record = Record(decode(data, LIMITS), "the receipt", KEYS)
        record.integer("version", VERSION, VERSION)
        return Receipt(
            job=record.digest("job"),
            profile=record.text("profile"),
            data=_read_roots(record),
            start=record.digest("start"),
            end=record.digest("end"),
            steps=record.integer("steps", 0),
            chain=record.digest("chain"),
            closed=as_flag(record.get("closed"), "the receipt: `closed`"),
        )
    except (CanonicalError, RecordError) as error:
        raise ReceiptFormatError(str(error)) from error


def _read_roots(record: Record) -> tuple[Digest, ...]:
    roots = read_each(record.get("data"), "the receipt: `data`", as_digest)
    if not 0 < len(roots) <= SETS:
        raise RecordError(f"the receipt: `data` has not 1 to {SETS} roots")
    return roots
