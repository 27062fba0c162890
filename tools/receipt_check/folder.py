"""What can be checked of a run's folder without computing: sections 11 and 12 of docs/receipt-format.md.

Takes a function that reads a named file and gives a line for each thing checked: `ok`, `not there` or `refused`.
Whatever the files hold, it ends with these lines and raises nothing.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from blake3 import blake3
from canonical import LIMIT, Refused, Value, need, read_json, text
from chained import Log, Receipt, fold, last_link, places, read_log, read_receipt
from described import Checkpoint, Job, read_checkpoint, read_job

Read: TypeAlias = Callable[
    [str, int], bytes | None
]  # (name in the folder, at most so many bytes): None for what is absent

HEADER = 1 << 24
FAST = "jobspec.fast.v1"
FLAGS = getattr(os, "O_NONBLOCK", 0)  # opening a pipe would otherwise wait for ever


class Absent(Exception):
    """A file is not there, so it is not checked."""


# --- 11. Weights


def read_weights(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """The header, and what stands behind it."""
    size = int.from_bytes(data[:8], "little")
    need(8 + size <= min(len(data), HEADER), "a header that is cut or longer than this checker reads")
    header = read_json(text(data[8 : 8 + size]))
    need(isinstance(header, dict) and isinstance(header.get("__metadata__"), dict), "a header without metadata")
    return header, memoryview(data)[8 + size :]


def check_metadata(header: dict[str, Any], receipt: Receipt) -> str:
    wanted = {"job": shown(receipt.job), "state": shown(receipt.end), "step": str(receipt.steps)}
    need(wanted == {key: header["__metadata__"].get(key) for key in wanted}, "metadata of another run")
    return "the metadata are the receipt's"


def check_names(header: dict[str, Any], job: Job) -> str:
    need(header.keys() - {"__metadata__"} == job.weights, "not the tensors that the job's weights have")
    return "the tensors are the job's weights"


def check_tensors(header: dict[str, Any], behind: memoryview, last: Checkpoint) -> str:
    for name, entry in header.items():
        if name != "__metadata__":
            need(name in last.tensors, f"`{name}` is not in the last checkpoint")
            check_tensor(name, entry, behind, *last.tensors[name])
    return "the tensors are those of the last checkpoint"


def check_tensor(name: str, entry: Any, behind: memoryview, dtype: str, sizes: list[Value], digest: bytes) -> None:
    need(isinstance(entry, dict) and entry.keys() == {"dtype", "shape", "data_offsets"}, f"`{name}` is no tensor")
    need((entry["dtype"], entry["shape"]) == (dtype.upper(), sizes), f"`{name}` has another type")
    ends = entry["data_offsets"]
    need(isinstance(ends, list) and len(ends) == 2 and all(type(end) is int for end in ends), f"`{name}` lies nowhere")
    need(0 <= ends[0] <= ends[1] <= len(behind), f"`{name}` lies outside the file")
    need(blake3(behind[ends[0] : ends[1]]).digest() == digest, f"`{name}` has other bytes")


# --- 12. A folder


def shown(digest: bytes) -> str:
    return f"b3:{digest.hex()}"


def there(read: Read, name: str, most: int) -> bytes:
    data = read(name, most)
    if data is None:
        raise Absent
    return data


def whole(read: Read, name: str) -> bytes:
    data = there(read, name, LIMIT + 1)
    need(len(data) <= LIMIT, f"longer than the {LIMIT} bytes that this checker reads")
    return data


@dataclass
class Run:
    read: Read
    lines: list[str] = field(default_factory=list)
    refused: int = 0

    def attempt(self, label: str, check: Callable[[], str]) -> bool:
        try:
            self.lines.append(f"ok: {label}: {check()}")
            return True
        except Absent:
            self.lines.append(f"not there: {label}")
        except Refused as why:
            self.lines.append(f"refused: {label}: {why}")
            self.refused += 1
        return False

    def load(self, name: str, parse: Callable[[bytes], Any]) -> Any:
        """What a file holds, or None where it is absent or refused."""
        found: list[Any] = []

        def check() -> str:
            found.append(parse(whole(self.read, name)))
            return "its form"

        return found[0] if self.attempt(name, check) else None


def check_job(job: Job, receipt: Receipt) -> str:
    need(job.hash == receipt.job, "the receipt is of another job")
    need(may_say(receipt.profile, job.profile), "the receipt has another profile")
    need(job.roots == receipt.data, "the receipt has other data")
    need(receipt.closed == (receipt.steps == sum(job.steps)), "closed is not whether all steps are done")
    return "hash, profile, data and steps are the receipt's"


def may_say(claimed: str, profile: str) -> bool:
    """The job's profile; of jobspec.fast.v1 with a class of devices behind it."""
    if profile != FAST:
        return claimed == profile
    return re.fullmatch(re.escape(FAST) + r"/(contract|cuda\.sm_(90a|[1-9][0-9]*))", claimed) is not None


def check_chain(log: Log, receipt: Receipt) -> str:
    link = last_link(receipt.job, receipt.data, receipt.start, log.records)
    step, end = (log.records[-1].step, log.records[-1].after) if log.records else (0, receipt.start)
    need(link == receipt.chain, "the records lead to another link")
    need((step, end) == (receipt.steps, receipt.end), "the last record is not where the receipt ends")
    return f"{len(log.records)} records lead to the receipt's chain"


def check_places(log: Log, job: Job) -> str:
    expected = places(job)
    need(all(record.step == next(expected, None) for record in log.records), "records are not where the job puts them")
    return "records are where the job puts them"


def check_rows(log: Log) -> str:
    done = checked = 0
    for record in log.records:
        pieces = log.rows.between(done, record.step)
        need(
            pieces is None or fold(pieces) == record.reports,
            f"reports before step {record.step} fold to another digest",
        )
        done, checked = record.step, checked + (pieces is not None)
    missing = len(log.records) - checked
    return f"those of {checked} records fold to their digests" + f", rows of {missing} are not there" * bool(missing)


def check_checkpoint(read: Read, name: bytes, receipt: Receipt, after: dict[int, bytes]) -> Checkpoint:
    data = whole(read, f"states/{name.hex()}")
    need(blake3(data).digest() == name, "the file has another digest")
    found = read_checkpoint(data)
    need(found.job == receipt.job, "a checkpoint of another job")
    need(found.state == after.get(found.step, found.state), "its state is not the record's")
    return found


def check_blob(read: Read, name: bytes, lengths: set[int]) -> str:
    data = whole(read, f"states/{name.hex()}")
    need(blake3(data).digest() == name, "the file has another digest")
    need(lengths == {len(data)}, "the file has another length")
    return "the tensor's digest and length"


def check_states(run: Run, log: Log, receipt: Receipt) -> Checkpoint | None:
    """The checkpoint at the end, if it is there and holds."""
    after = {record.step: record.after for record in log.records}
    blobs: dict[bytes, set[int]] = {}
    last: list[Checkpoint] = []

    def one(name: bytes) -> str:
        found = check_checkpoint(run.read, name, receipt, after)
        for blob, length in found.blobs:
            blobs.setdefault(blob, set()).add(length)
        if (found.step, found.state) == (receipt.steps, receipt.end):
            last.append(found)
        return f"the checkpoint after {found.step} steps"

    for name in log.saved:
        run.attempt(f"states/{name.hex()}", partial(one, name))
    for name, lengths in blobs.items():
        run.attempt(f"states/{name.hex()}", partial(check_blob, run.read, name, lengths))
    return last[-1] if last else None


def check_finished(read: Read, log: Log) -> str:
    if log.receipt is None:
        raise Absent
    need(log.receipt == there(read, "receipt.cbor", 1025), "the run finished with another receipt")
    return "the run finished with this receipt"


def check_log(run: Run, log: Log, receipt: Receipt, job: Job | None) -> Checkpoint | None:
    """The checkpoint at the end, if it is there and holds."""
    if run.attempt("log: chain", lambda: check_chain(log, receipt)):
        run.attempt("log: reports", lambda: check_rows(log))
    if job is not None:
        run.attempt("log: places", lambda: check_places(log, job))
    run.attempt("log: finished", lambda: check_finished(run.read, log))
    return check_states(run, log, receipt)


def check_folder(read: Read) -> Run:
    run = Run(read)
    receipt = run.load("receipt.cbor", read_receipt)
    if receipt is None:
        run.refused += not run.refused  # a folder without a receipt has nothing to hold
        return run
    job, log = run.load("job.cbor", read_job), run.load("log", read_log)
    if job is not None:
        run.attempt("job.cbor: receipt", lambda: check_job(job, receipt))
    last = check_log(run, log, receipt, job) if log is not None else None
    weights = run.load("weights.safetensors", read_weights)
    if weights is not None:
        header, behind = weights
        run.attempt("weights.safetensors: metadata", lambda: check_metadata(header, receipt))
        if job is not None:
            run.attempt("weights.safetensors: names", lambda: check_names(header, job))
        if last is not None:
            run.attempt("weights.safetensors: tensors", lambda: check_tensors(header, behind, last))
    return run


def file_reader(folder: Path) -> Read:
    """Reads regular files alone, for a device may have no end."""

    def opener(path: str, flags: int) -> int:
        return os.open(path, flags | FLAGS)

    def read(name: str, most: int) -> bytes | None:
        try:
            with open(folder / name, "rb", opener=opener) as file:
                need(stat.S_ISREG(os.fstat(file.fileno()).st_mode), "not a file")
                return file.read(most)
        except FileNotFoundError:
            return None
        except OSError as why:
            raise Refused(f"not readable: {why.strerror}") from None

    return read
