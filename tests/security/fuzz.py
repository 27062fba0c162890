"""Changed files of every kind, into every decoder: refused with its own error, or taken in their one form.

Takes: the good files of tests/vectors and some more; a seed. Promises: `attempt` raises AssertionError where a
decoder does anything else. `python -m tests.security.fuzz SECONDS [SEED]` goes on so long, and prints how many there
were of each kind.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from jobspec.ir.canonical import CanonicalError, decode, encode
from jobspec.ir.codec.job import JobFormatError, decode_job, encode_job
from jobspec.ir.codec.plan import PlanFormatError, decode_plan, encode_plan
from jobspec.ir.codec.plan_file import PlanFileError, decode_plan_file, encode_plan_file
from jobspec.ir.codec.receipt import ReceiptFormatError, decode_receipt, encode_receipt
from jobspec.ir.record import RecordError
from jobspec.runtime.chain import read_chain, read_record
from jobspec.runtime.events import event_value, read_event
from jobspec.runtime.history import history_of
from jobspec.store import checkpoint, manifest
from jobspec.store.runlog import MAGIC, entries
from jobspec.verify.frames import read_frame
from tests.verify.vectors import PATH

Errors = tuple[type[Exception], ...]


@dataclass(frozen=True)
class Kind:
    """`again`: bytes → the bytes that what was read encodes to; `errors`: how it refuses."""

    name: str
    again: Callable[[bytes], bytes]
    errors: Errors
    corpus: tuple[bytes, ...]


def of_log(data: bytes) -> bytes:
    """The log as far as it is whole; its events are read too, which may be refused."""
    if not data.startswith(MAGIC):
        raise RecordError("no log")
    end = len(MAGIC)
    values = []
    for entry in entries(data):
        end = entry.end
        values.append(entry.value)
    history_of(values)
    return data[:end] + data[end:]


def of_event(data: bytes) -> bytes:
    return encode(event_value(read_event(decode(data))))


def of_chain(data: bytes) -> bytes:
    return encode(read_chain(decode(data)).value())


def of_record(data: bytes) -> bytes:
    return encode(read_record(decode(data)).value())


def of_frame(data: bytes) -> bytes:
    return encode(read_frame(decode(data)).value())


def of_manifest(data: bytes) -> bytes:
    found = manifest.from_bytes(data)
    assert found.root == manifest.from_bytes(found.to_bytes()).root
    return found.to_bytes()


def of_plan_file(data: bytes) -> bytes:
    return encode_plan_file(*decode_plan_file(data))


FORM: Errors = (CanonicalError, RecordError)


def kinds() -> list[Kind]:
    """Every decoder with its good files."""
    vectors = [v for v in json.loads(PATH.read_text()) if v["good"]]

    def good(kind: str) -> tuple[bytes, ...]:
        return tuple(bytes.fromhex(v["bytes"]) for v in vectors if v["kind"] == kind)

    logs, jobs, plans = good("log"), good("job"), good("plan")
    events = tuple(encode(entry.value) for log in logs for entry in entries(log))
    saved = [e["chain"] for e in map(decode, events) if isinstance(e, dict) and e["event"] == "saved"]
    records = tuple(bytes.fromhex(r) for v in vectors if v["kind"] == "chain" for r in v["records"])
    digest = bytes(32)
    frames = (encode([[[digest], []], [[digest, digest], [[[[digest], []]], [[[digest], []]]]]]),)
    files = tuple(encode({"format": 1, "job": job, "plan": plan}) for job in jobs for plan in plans)
    return [
        Kind("value", lambda data: encode(decode(data)), (CanonicalError,), good("value") + records),
        Kind("receipt", lambda data: encode_receipt(decode_receipt(data)), (ReceiptFormatError,), good("receipt")),
        Kind("manifest", of_manifest, FORM, good("manifest")),
        Kind("checkpoint", lambda d: checkpoint.to_bytes(checkpoint.from_bytes(d)), FORM, good("checkpoint")),
        Kind("record", of_record, FORM, records),
        Kind("chain", of_chain, FORM, tuple(map(encode, saved))),
        Kind("event", of_event, FORM, events),
        Kind("log", of_log, FORM, logs),
        Kind("frame", of_frame, FORM, frames),
        Kind("job", lambda data: encode_job(decode_job(data)), (JobFormatError,), jobs),
        Kind("plan", lambda data: encode_plan(decode_plan(data)), (PlanFormatError,), plans),
        Kind("plan file", of_plan_file, (PlanFileError,), files),
    ]


def changed(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """`data` with some changes: bytes, stretches, lengths, pieces of another file."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at, end = sorted(chance.randrange(len(found) + 1) for _ in range(2))
        end = min(end, at + chance.choice((1, 2, 8, 64)))
        match chance.randrange(8):
            case 0 | 1 | 2 if at < len(found):
                found[at] ^= 1 << chance.randrange(8)
            case 3 if at < len(found):
                found[at] = chance.choice(
                    (0, 0x17, 0x18, 0x1B, 0x1F, 0x5F, 0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xF4, 0xF9, 0xFF)
                )
            case 4:
                del found[at:end]
            case 5:
                found[at:at] = found[at:end]
            case 6:
                cut = chance.randrange(len(other) + 1)
                found[at:end] = other[cut : cut + (end - at)]
            case _:
                del found[at:]
                found += chance.randbytes(chance.choice((0, 1, 9)))
        if not found:
            break
    return bytes(found)


def attempt(kind: Kind, data: bytes) -> bool:
    """Whether the decoder took it."""
    try:
        again = kind.again(data)
    except kind.errors:
        return False
    except Exception as error:
        raise AssertionError(f"{kind.name}: {type(error).__name__}: {error}\n{data.hex()}") from error
    assert again == data, f"{kind.name}: taken in another form\n{data.hex()}"
    return True


def some(kind: Kind, chance: random.Random, count: int) -> int:
    """`count` attempts; how many were taken."""
    return sum(
        attempt(kind, changed(chance.choice(kind.corpus), chance.choice(kind.corpus), chance)) for _ in range(count)
    )


def main(seconds: float, seed: int) -> None:
    """Goes round all kinds, each for as long as the others, until the time is over."""
    chance, done, taken = random.Random(seed), Counter[str](), Counter[str]()
    end, every = time.monotonic() + seconds, kinds()
    while time.monotonic() < end:
        for kind in every:
            until = time.monotonic() + 1.0
            while time.monotonic() < until:
                taken[kind.name] += some(kind, chance, 50)
                done[kind.name] += 50
    for name, count in done.items():
        print(f"{name:<12} {count:>12,}  taken {taken[name]:,}")
    print(f"{'all':<12} {sum(done.values()):>12,}  seed {seed}")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
