"""Traces and disputes of runs that are named by their folders.

Takes: folders of runs, or receipts in them. Promises: the job is found by its hash, beside the run or in the store;
what cannot be read is an error that names the file.
"""

from __future__ import annotations

from pathlib import Path

from jobspec.ir.classes import CONTRACT, claimed_class
from jobspec.ir.codec.receipt import SIZE, Receipt, ReceiptFormatError, decode_receipt
from jobspec.ir.errors import DataError, UsageError
from jobspec.ir.job import Job
from jobspec.runtime.folder import RECEIPT, RunFolder
from jobspec.store.files import explained
from jobspec.store.home import Home
from jobspec.verify import beside
from jobspec.verify.claims import find_job
from jobspec.verify.dispute import Settlement, settle
from jobspec.verify.party import party
from jobspec.verify.replaying import Means, course_of
from jobspec.verify.segments import segments
from jobspec.verify.tracing import advance, segment_of, write_traces


def trace(run: Path, step: int, values: bool, means: Means) -> list[Path]:
    """Write the traces of a step and its segment into the run's folder."""
    folder = folder_of(run, means.home)
    receipt = receipt_of(folder)
    job = job_of(receipt, folder, means.home)
    history = beside.history_beside(folder)
    claimed = list(segments(receipt, beside.claimed_records(history, receipt)))
    segment = segment_of(claimed, step)
    need_contract(receipt)
    with course_of(job, folder, means) as course:
        advance(course, folder, claimed, history.saved if history else [], segment.chain.done)
        return write_traces(course, folder, segment, step, values)


def dispute(one: Path, other: Path, means: Means) -> Settlement:
    """Settle between two runs."""
    folders = [folder_of(path, means.home) for path in (one, other)]
    receipts = [receipt_of(folder) for folder in folders]
    job = job_of(receipts[0], folders[0], means.home)
    for receipt in receipts:
        need_contract(receipt)
    first, second = (party(str(p), f, r) for p, f, r in zip((one, other), folders, receipts, strict=True))
    return settle((first, second), job, means)


def need_contract(receipt: Receipt) -> None:
    """Raises UsageError E0853 for a run whose sums are a device's own, which no referee can compute."""
    found = claimed_class(receipt.profile)
    if found != CONTRACT:
        reason = f"the run is of class {found}, whose order of sums only such a device knows"
        raise UsageError("E0853", reason, help="`jobspec verify` on such a device replays it to the bit")


def folder_of(path: Path, home: Home) -> RunFolder:
    return RunFolder((path if path.is_dir() else path.parent).absolute(), home.files)


def receipt_of(folder: RunFolder) -> Receipt:
    """Raises UsageError E0812 where there is none, DataError E0603 where it is malformed."""
    if not folder.receipt.is_file():
        help = "a run has one when it is closed: `jobspec run` prints where it lies"
        raise UsageError("E0812", f"there is no file {folder.path / RECEIPT}", help=help)
    with explained("read", folder.receipt):
        data = folder.files.read(folder.receipt, SIZE + 1)
    try:
        return decode_receipt(data)
    except ReceiptFormatError as error:
        raise DataError("E0603", f"{folder.receipt} is not a receipt: {error}") from error


def job_of(receipt: Receipt, folder: RunFolder, home: Home) -> Job:
    """Raises DataError E0604 where it is not known here."""
    job, troubles = find_job(receipt, folder, home)
    if job is None:
        reason = "; ".join([f"the job {receipt.job} is not known here", *troubles])
        raise DataError("E0604", reason, help="copy the run's job.cbor beside its receipt")
    return job
