"""Traces and disputes of runs that are named by their folders.

Takes: folders of runs, or receipts in them. Promises: the job is found by its hash, beside the run or in the store;
what cannot be read is an error that names the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from jobspec.ir.classes import CONTRACT, claimed_class
from jobspec.ir.codec.receipt import SIZE, Receipt, ReceiptFormatError, decode_receipt
from jobspec.ir.errors import DataError, UsageError
from jobspec.ir.job import Job
from jobspec.runtime.folder import RECEIPT, RunFolder
from jobspec.runtime.transfer import fetch_folder
from jobspec.store.files import explained
from jobspec.store.home import Home
from jobspec.store.remote import Remote, without_password
from jobspec.verify import beside
from jobspec.verify.claims import find_job, no_receipt, not_a_receipt
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


def dispute(one: str | Path, other: str | Path, means: Means) -> Settlement:
    """Settle between two runs, each in a folder here or at a URL."""
    with at_hand(one, means.home) as first, at_hand(other, means.home) as second:
        folders = (first, second)
        receipts = [receipt_of(folder) for folder in folders]
        job = job_of(receipts[0], folders[0], means.home)
        for receipt in receipts:
            need_contract(receipt)
        names = [without_password(str(where)) for where in (one, other)]
        sides = [party(n, f, r) for n, f, r in zip(names, folders, receipts, strict=True)]
        return settle((sides[0], sides[1]), job, means)


@contextmanager
def at_hand(where: str | Path, home: Home) -> Iterator[RunFolder]:
    """The folder of a run; what lies at a URL is fetched for as long as it is looked at."""
    if "://" not in str(where):
        yield folder_of(Path(where), home)
        return
    with TemporaryDirectory(prefix="jobspec-") as place:
        folder = RunFolder(Path(place), home.files)
        try:
            fetch_folder(Remote(str(where).removesuffix(f"/{RECEIPT}")), folder)
        except ReceiptFormatError as error:
            raise not_a_receipt(without_password(str(where)), error) from error
        yield folder


def need_contract(receipt: Receipt) -> None:
    """Raises UsageError E0853 for a run whose sums are a device's own, which no referee can compute."""
    found = claimed_class(receipt.profile)
    if found != CONTRACT:
        reason = f"the run is of class {found}, whose order of sums only such a device knows"
        raise UsageError("E0853", reason, help="`jobspec verify` on such a device replays it to the bit")


def folder_of(path: Path, home: Home) -> RunFolder:
    """The run that is meant by its folder or by the receipt in it. Raises UsageError E0812 for any other path."""
    if not path.is_dir() and (path.name != RECEIPT or not path.is_file()):
        raise no_receipt(path)
    return RunFolder((path if path.is_dir() else path.parent).absolute(), home.files)


def receipt_of(folder: RunFolder) -> Receipt:
    """Raises UsageError E0812 where there is none, DataError E0603 where it is malformed."""
    if not folder.receipt.is_file():
        raise no_receipt(folder.receipt)
    with explained("read", folder.receipt):
        data = folder.files.read(folder.receipt, SIZE + 1)
    try:
        return decode_receipt(data)
    except ReceiptFormatError as error:
        raise not_a_receipt(folder.receipt, error) from error


def job_of(receipt: Receipt, folder: RunFolder, home: Home) -> Job:
    """Raises DataError E0604 where it is not known here."""
    job, troubles = find_job(receipt, folder, home)
    if job is None:
        reason = "; ".join([f"the job {receipt.job} of {folder.receipt} is not known here", *troubles])
        raise DataError("E0604", reason, help="copy job.cbor from where the run was made beside its receipt")
    return job
