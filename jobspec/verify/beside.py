"""What lies beside a receipt: the weights, the log with its step records, the last checkpoint.

Takes: a run's folder. Promises: each is compared with the replay where it is there; nothing of it is
believed: the log's records count only if they lead to the receipt's chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from jobspec.ir.codec.receipt import Receipt
from jobspec.ir.errors import DataError, JobspecError
from jobspec.ir.job import Job
from jobspec.runtime.chain import StepRecord, linked, start
from jobspec.runtime.events import Saved
from jobspec.runtime.export import weights_metadata, weights_of
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.history import History
from jobspec.runtime.journal import read_history
from jobspec.runtime.safetensors import SafetensorsError, from_bytes
from jobspec.store import checkpoint
from jobspec.store.files import explained
from jobspec.verify.compare import first_difference
from jobspec.verify.verdict import Findings

State = Mapping[str, NDArray[Any]]


def history_beside(folder: RunFolder) -> History | None:
    """The log's history; None where there is no log that can be read."""
    try:
        return read_history(folder) if folder.log.is_file() else None
    except JobspecError:
        return None


def claimed_records(history: History | None, receipt: Receipt) -> list[StepRecord]:
    """The step records behind the receipt's chain; none unless they lead to it."""
    records = history.records if history else []
    link = start(receipt.job, receipt.data, receipt.start).link
    for record in records:
        link = linked(link, record)
    return records if link == receipt.chain else []


def check_weights(folder: RunFolder, job: Job, receipt: Receipt, state: State, findings: Findings) -> None:
    """Compare the weights file, where there is one, with the replayed state."""
    if not folder.weights.is_file():
        return
    with explained("read", folder.weights):
        data = folder.files.map(folder.weights)[1]
    difference = _weights_difference(data, job, receipt, state)
    if difference:
        findings.differences.append(f"{folder.weights.name}: {difference}")
    else:
        findings.agreements.append(f"{folder.weights.name} holds these weights")


def _weights_difference(data: memoryview, job: Job, receipt: Receipt, state: State) -> str | None:
    try:
        tensors, about = from_bytes(data)
    except SafetensorsError as error:
        return str(error)
    difference = first_difference(weights_of(job, state), tensors)
    wanted = weights_metadata(receipt.job, receipt.end, receipt.steps)
    wrong = [name for name in sorted(wanted.keys() | about.keys()) if wanted.get(name) != about.get(name)]
    return difference or (f"its metadata is wrong: {', '.join(wrong)}" if wrong else None)


def last_checkpoint(history: History | None, receipt: Receipt) -> Saved | None:
    """The checkpoint after the receipt's last step, where the log names one."""
    saved = history.saved if history else []
    return next((s for s in reversed(saved) if s.chain.done == receipt.steps), None)


def check_checkpoint(folder: RunFolder, saved: Saved | None, state: State, findings: Findings) -> None:
    """Compare the last checkpoint, where all its files are there, with the replayed state."""
    if saved is None:
        return
    try:
        if not checkpoint.is_here(folder.states, saved.name):
            return
        difference = first_difference(state, checkpoint.load(folder.states, saved.name)[1])
    except DataError as error:
        difference = error.reason
    if difference:
        findings.differences.append(f"the last checkpoint: {difference}")
    else:
        findings.agreements.append("the last checkpoint holds this state")
