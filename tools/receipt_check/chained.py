"""The chain of records, the receipt and the run log: sections 8 to 10 of docs/receipt-format.md.

Takes the bytes of a log or a receipt and gives what they say; a log is read up to where it is whole. The functions on
records and rows say where a chain leads and what its reports fold to. Work grows with the bytes, not with the numbers
written in them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from canonical import Value, as_bytes, as_int, as_list, as_map, as_text, decode, hashed, keyed, need
from described import Job

MAGIC = b"jobspec run log 1\n"
ENTRY = 1 << 20


# --- 8. Chain, 9. Receipt


@dataclass
class Record:
    value: Value
    step: int
    before: bytes
    after: bytes
    reports: bytes


def read_record(value: Value) -> Record:
    it = as_map(value, "step before after reports")
    return Record(it, as_int(it["step"]), as_bytes(it["before"]), as_bytes(it["after"]), as_bytes(it["reports"]))


def last_link(job: bytes, data: list[bytes], start: bytes, records: list[Record]) -> bytes:
    link, state, step = hashed("chain.start", [job, [*data], start]), start, 0
    for record in records:
        need(record.before == state, f"the record of step {record.step} does not begin where the last one ended")
        need(record.step > step, f"the record of step {record.step} is not behind the last one")
        link, state, step = hashed("chain", [link, record.value]), record.after, record.step
    return link


def places(job: Job) -> Iterator[int]:
    """The steps that records stand at; one by one, for a job may claim 2^64 of them."""
    done = 0
    for steps in job.steps:
        end = done + steps
        yield from range((done // job.every + 1) * job.every, end, job.every)
        yield end
        done = end


@dataclass
class Receipt:
    job: bytes
    profile: str
    data: list[bytes]
    start: bytes
    end: bytes
    steps: int
    chain: bytes
    closed: bool


def read_receipt(data: bytes) -> Receipt:
    need(len(data) <= 1024, "a receipt longer than 1024 bytes")
    it = as_map(decode(data), "version job profile data start end steps chain closed")
    need(as_int(it["version"]) == 1, "a receipt of another version")
    roots, closed = [as_bytes(root) for root in as_list(it["data"])], it["closed"]
    need(1 <= len(roots) <= 16, "a receipt of no data or too many")
    need(isinstance(closed, bool), "closed is neither true nor false")
    start, end, chain = (as_bytes(it[key]) for key in ("start", "end", "chain"))
    return Receipt(
        as_bytes(it["job"]), as_text(it["profile"]), roots, start, end, as_int(it["steps"]), chain, closed is True
    )


# --- 10. Run log


@dataclass
class Rows:
    """The rows of reports, as pieces (first step, bytes a row, rows) in ascending order without overlap."""

    pieces: list[tuple[int, int, memoryview]] = field(default_factory=list)

    def cut(self, step: int) -> None:
        while self.pieces and self.pieces[-1][0] >= step:
            self.pieces.pop()
        if self.pieces:
            first, width, rows = self.pieces.pop()
            self.pieces.append((first, width, rows[: (step - first) * width]))

    def add(self, first: int, names: int, rows: bytes) -> None:
        need(names > 0 and len(rows) % (4 * names) == 0, "reports that are not whole rows")
        if rows:
            self.cut(first)
            self.pieces.append((first, 4 * names, memoryview(rows)))

    def between(self, first: int, end: int) -> list[tuple[int, memoryview]] | None:
        found = []
        for index in range(max(0, bisect_right(self.pieces, first, key=lambda piece: piece[0]) - 1), len(self.pieces)):
            start, width, rows = self.pieces[index]
            if start > first or first >= end:
                break
            rows = rows[(first - start) * width : (end - start) * width]
            found.append((width, rows))
            first += len(rows) // width
        return found if first >= end else None


def fold(pieces: list[tuple[int, memoryview]]) -> bytes:
    state, block, count = bytes(32), bytearray(), 0
    for width, rows in pieces:
        while rows:
            taken = rows[: (256 - count) * width]
            rows, count = rows[len(taken) :], count + len(taken) // width
            block += taken
            if count == 256:
                state, block, count = keyed("chain.reports", state + block), bytearray(), 0
    return keyed("chain.reports", state + block) if count else state


@dataclass
class Log:
    records: list[Record] = field(default_factory=list)
    rows: Rows = field(default_factory=Rows)
    saved: dict[bytes, None] = field(default_factory=dict)
    receipt: bytes | None = None  # that of the last `finished`, with no `begun` behind it

    def begun(self, event: dict[str, Value]) -> None:
        self.receipt = None
        step = as_int(as_map(event, "event step backend threads plan pid time")["step"])
        while self.records and (self.records[-1].step > step or not step):
            self.records.pop()
        self.rows.cut(step)

    def recorded(self, event: dict[str, Value]) -> None:
        self.records.append(read_record(as_map(event, "event record")["record"]))

    def stepped(self, event: dict[str, Value]) -> None:
        it = as_map(event, "event first names reports")
        self.rows.add(as_int(it["first"]), len(as_list(it["names"])), as_bytes(it["reports"], None))

    def finished(self, event: dict[str, Value]) -> None:
        self.receipt = as_bytes(as_map(event, "event receipt")["receipt"], None)

    def keep(self, event: dict[str, Value]) -> None:
        self.saved[as_bytes(event.get("name"))] = None  # the page does not say which key of a `saved` names the file


def entries(data: bytes) -> Iterator[dict[str, Value]]:
    need(data.startswith(MAGIC), "not a run log")
    at, before = len(MAGIC), keyed("runlog.start", b"")
    while at + 36 <= len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        payload, seal = data[at + 4 : min(end, at + 5 + ENTRY)], data[end : end + 32]
        if len(payload) > ENTRY or keyed("runlog", payload) != seal:
            return
        link, event = as_list(decode(payload), 2)
        if link != before:
            return
        need(isinstance(event, dict) and isinstance(event.get("event"), str), "an entry that is no event")
        assert isinstance(event, dict)
        yield event
        at, before = end + 32, seal


def read_log(data: bytes) -> Log:
    log = Log()
    known = {"begun": log.begun, "recorded": log.recorded, "stepped": log.stepped, "finished": log.finished}
    known["saved"] = log.keep
    for event in entries(data):
        known.get(as_text(event["event"]), lambda _: None)(event)
    return log
