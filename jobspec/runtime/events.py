"""What a run writes into its log.

Takes: events as they happen, or a log's values. Promises: an event reads back as it was written, or is a
RecordError naming what is wrong. The log is the run's own: nobody else trusts it without a hash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.canonical import Value
from jobspec.ir.codec.values import as_bytes, as_text, keys, read_each
from jobspec.ir.digest import Digest
from jobspec.ir.record import Record, RecordError, as_array, as_integer
from jobspec.runtime.chain import Chain, StepRecord, read_chain, read_record


@dataclass(frozen=True)
class Begun:
    """A process took the run up at `step`; step 0 afresh. `time`: seconds since 1970."""

    step: int
    backend: str
    threads: int
    plan: Digest
    pid: int
    time: int


@dataclass(frozen=True)
class Stepped:
    """Reports of the steps from `first` on: f32 [steps, names]."""

    first: int
    names: tuple[str, ...]
    reports: NDArray[np.float32]


@dataclass(frozen=True)
class Recorded:
    """A record of the chain."""

    record: StepRecord


@dataclass(frozen=True)
class Evaluated:
    """An evaluation's metrics after `step` steps: (name, value)."""

    name: str
    step: int
    metrics: tuple[tuple[str, np.float32], ...]


@dataclass(frozen=True)
class Saved:
    """A checkpoint. `chain`: where the run stands there. `best`: it is kept as this evaluation's best."""

    name: Digest
    chain: Chain
    best: str | None = None


@dataclass(frozen=True)
class Dropped:
    """A checkpoint was removed."""

    name: Digest


@dataclass(frozen=True)
class Finished:
    """The run is closed; `receipt`: its canonical bytes."""

    receipt: bytes


Event = Begun | Stepped | Recorded | Evaluated | Saved | Dropped | Finished

BEGUN = keys("event step backend threads plan pid time")
STEPPED = keys("event first names reports")
RECORDED = keys("event record")
EVALUATED = keys("event name step metrics")
SAVED = keys("event name chain best")
DROPPED = keys("event name")
FINISHED = keys("event receipt")


def event_value(event: Event) -> Value:
    """The event as the log holds it."""
    match event:
        case Begun():
            return {
                "event": "begun",
                "step": event.step,
                "backend": event.backend,
                "threads": event.threads,
                "plan": event.plan.raw,
                "pid": event.pid,
                "time": event.time,
            }
        case Stepped():
            rows = np.ascontiguousarray(event.reports, "<f4").tobytes()
            return {"event": "stepped", "first": event.first, "names": list(event.names), "reports": rows}
        case Recorded():
            return {"event": "recorded", "record": event.record.value()}
        case Evaluated():
            metrics: list[Value] = [[name, value.tobytes()] for name, value in event.metrics]
            return {"event": "evaluated", "name": event.name, "step": event.step, "metrics": metrics}
        case Saved():
            return {"event": "saved", "name": event.name.raw, "chain": event.chain.value(), "best": event.best}
        case Dropped():
            return {"event": "dropped", "name": event.name.raw}
        case Finished():
            return {"event": "finished", "receipt": event.receipt}


def read_event(value: Value) -> Event:
    """Raises RecordError."""
    kind = value.get("event") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in READERS:
        raise RecordError("a record of an unknown kind")
    known, read = READERS[kind]
    return read(Record(value, f"the record `{kind}`", known))


def _read_begun(record: Record) -> Event:
    step, threads, pid, time = (record.integer(key) for key in ("step", "threads", "pid", "time"))
    return Begun(step, record.text("backend"), threads, record.digest("plan"), pid, time)


def _read_stepped(record: Record) -> Event:
    data = as_bytes(record.get("reports"), "the reports")
    names = read_each(record.get("names"), "report", as_text)
    if not names or len(data) % (4 * len(names)):
        raise RecordError("reports that do not fill their steps")
    return Stepped(record.integer("first"), names, np.frombuffer(data, "<f4").reshape(-1, len(names)))


def _read_recorded(record: Record) -> Event:
    return Recorded(read_record(record.get("record")))


def _read_evaluated(record: Record) -> Event:
    metrics = read_each(record.get("metrics"), "the metrics", _read_metric)
    return Evaluated(record.text("name"), record.integer("step"), metrics)


def _read_metric(value: Value, what: str) -> tuple[str, np.float32]:
    name, bits = as_array(value, what, 2)
    raw = as_bytes(bits, what)
    as_integer(len(raw), f"the bytes of {what}", 4, 4)
    return as_text(name, what), np.frombuffer(raw, "<f4")[0]


def _read_saved(record: Record) -> Event:
    best = record.get("best")
    return Saved(
        record.digest("name"),
        read_chain(record.get("chain")),
        None if best is None else as_text(best, "`best`"),
    )


def _read_dropped(record: Record) -> Event:
    return Dropped(record.digest("name"))


def _read_finished(record: Record) -> Event:
    return Finished(as_bytes(record.get("receipt"), "the receipt"))


READERS: dict[str, tuple[frozenset[str], Callable[[Record], Event]]] = {
    "begun": (BEGUN, _read_begun),
    "stepped": (STEPPED, _read_stepped),
    "recorded": (RECORDED, _read_recorded),
    "evaluated": (EVALUATED, _read_evaluated),
    "saved": (SAVED, _read_saved),
    "dropped": (DROPPED, _read_dropped),
    "finished": (FINISHED, _read_finished),
}
