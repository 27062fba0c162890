"""How a run ends: closed with a receipt, stopped on the way, or known from before.

Takes: a course at its end, the run's folder. Promises: weights, receipt and facts are published whole, and
the log says `finished` only when they are; a second run of a job that comes to another receipt is an
error, and the first one's receipt stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jobspec.ir.codec.receipt import Receipt, ReceiptFormatError, decode_receipt, encode_receipt
from jobspec.ir.digest import Digest
from jobspec.ir.errors import DataError, MismatchError
from jobspec.runtime import checkpoints
from jobspec.runtime.course import Course
from jobspec.runtime.engine import Compiled
from jobspec.runtime.events import Finished
from jobspec.runtime.export import weights_metadata, write_weights
from jobspec.runtime.facts import Facts, now, write_facts
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.history import History
from jobspec.runtime.journal import Journal
from jobspec.runtime.splits import Splits
from jobspec.store.files import explained, write_file

ANEW = "`jobspec run --again` trains anew and comes to the same weights"

Metrics = Mapping[str, Mapping[str, np.float32]]


@dataclass(frozen=True)
class Result:
    """What came of a run. `steps`: done in all; `state`: root of the state; `metrics`: of each evaluation, the
    last; `receipt`, `weights`: files of a closed run; `known`: it was there already; `interrupted`: a signal
    stopped it."""

    folder: RunFolder
    job: Digest
    plan: Digest
    state: Digest
    steps: int
    metrics: Metrics
    receipt: Path | None = None
    weights: Path | None = None
    known: bool = False
    interrupted: bool = False


def last_metrics(history: History) -> Metrics:
    """Each evaluation's latest metrics."""
    return {e.name: dict(e.metrics) for e in history.evaluated}


def stopped_result(
    compiled: Compiled, course: Course, folder: RunFolder, history: History, interrupted: bool
) -> Result:
    """A run that is to go on later."""
    return Result(
        folder,
        compiled.job_hash,
        compiled.plan_hash,
        course.root(),
        course.chain.done,
        last_metrics(history),
        interrupted=interrupted,
    )


def close_run(
    compiled: Compiled, course: Course, folder: RunFolder, journal: Journal, threads: int, splits: Splits
) -> Result:
    """Publish weights, receipt and facts of a course whose steps are all done. Raises MismatchError where an
    earlier run of the job came to another receipt."""
    chain, job = course.chain, compiled.job
    receipt = Receipt(
        compiled.job_hash, compiled.claim, tuple(course.roots), chain.start, chain.state, job.steps, chain.link, True
    )
    data = encode_receipt(receipt)
    _check_same(folder, receipt)
    about = weights_metadata(compiled.job_hash, chain.state, job.steps)
    write_weights(folder.files, folder.weights, job, course.seen(), about)
    write_facts(folder.files, folder.facts, _facts(compiled, course, threads, splits))
    write_file(folder.files, folder.receipt, [data])
    journal.add(Finished(data), sync=True)
    return _closed(compiled, folder, receipt, journal.history)


def _closed(compiled: Compiled, folder: RunFolder, receipt: Receipt, history: History, known: bool = False) -> Result:
    return Result(
        folder,
        compiled.job_hash,
        compiled.plan_hash,
        receipt.end,
        receipt.steps,
        last_metrics(history),
        folder.receipt,
        folder.weights,
        known=known,
    )


def known_result(compiled: Compiled, folder: RunFolder, history: History) -> Result:
    """The result that is there already; files that went missing, and a receipt that is not the one the run finished
    with, are made again from log and checkpoint. Raises DataError E0506 for another job's log."""
    assert history.finished is not None, "the run is not finished"
    receipt = finished_with(history.finished, compiled.job_hash, folder)
    if not same_bytes(folder, history.finished):
        write_file(folder.files, folder.receipt, [history.finished])
    if not folder.weights.is_file():
        _restore_weights(compiled, folder, history)
    return _closed(compiled, folder, receipt, history, known=True)


def finished_with(data: bytes, job: Digest, folder: RunFolder) -> Receipt:
    try:
        receipt = decode_receipt(data)
    except ReceiptFormatError:
        receipt = None
    if receipt is None or receipt.job != job:
        reason = f"the log in {folder.path} does not end with a receipt of this job"
        raise DataError("E0506", reason, help="remove the run's folder to begin again")
    return receipt


def same_bytes(folder: RunFolder, data: bytes) -> bool:
    """Whether the receipt's file is there and holds them."""
    path = folder.receipt
    if not path.is_file() or path.stat().st_size != len(data):
        return False
    with explained("read", path):
        return folder.files.read(path) == data


def _restore_weights(compiled: Compiled, folder: RunFolder, history: History) -> None:
    job = compiled.job
    last = next((s for s in reversed(history.saved) if s.chain.done == job.steps), None)
    lost = f"the weights are gone from {folder.path}, and so is the last checkpoint"
    if last is None:
        raise DataError("E0508", lost, help=ANEW)
    try:
        tensors = checkpoints.loaded(folder, compiled.job_hash, last)
    except DataError as error:
        raise DataError("E0508", f"{lost}: {error.reason}", help=ANEW) from error
    about = weights_metadata(compiled.job_hash, last.chain.state, job.steps)
    write_weights(folder.files, folder.weights, job, tensors, about)


def _check_same(folder: RunFolder, receipt: Receipt) -> None:
    """A receipt that stands in the folder must say the same."""
    if not folder.receipt.is_file():
        return
    with explained("read", folder.receipt):
        data = folder.files.read(folder.receipt)
    try:
        before = decode_receipt(data)
    except ReceiptFormatError:
        return
    if before != receipt:
        reason = f"this run came to the state {receipt.end.short}, the run before to {before.end.short}: "
        reason += f"one of them computed wrongly (the receipt of the run before stays in {folder.receipt})"
        raise MismatchError("E0507", reason, help="check both with `jobspec verify`; suspect memory or processor")


def _facts(compiled: Compiled, course: Course, threads: int, splits: Splits) -> Facts:
    return Facts(
        plan=str(compiled.plan_hash),
        backend=compiled.backend.name,
        cpu=compiled.plan.target.cpu,
        threads=threads,
        compilers=dict(compiled.backend.compilers),
        seconds=round(splits.seconds, 3),
        finished=now(),
        data=course.folders,
        splits=splits.taken,
    )
