"""What stands for a job: a text, a plan file, a receipt, a run's folder.

Takes: a path, the store. Promises: the job with its text where that is known, so that two of them can be compared; a
receipt's job comes from its run's folder, as does the text that was run.
"""

from __future__ import annotations

from pathlib import Path

from jobspec.api import read_plan
from jobspec.difference import Known
from jobspec.ir.codec.job import job_hash
from jobspec.ir.codec.receipt import SIZE, ReceiptFormatError, decode_receipt
from jobspec.ir.digest import Digest
from jobspec.ir.errors import JobspecError, UsageError
from jobspec.lang.source import Source
from jobspec.loading import need_whole_roots, read_spec
from jobspec.runtime.folder import RunFolder, run_folder
from jobspec.store.files import explained
from jobspec.store.home import Home
from jobspec.verify.claims import find_job, read_job


def known_job(path: Path, home: Home) -> Known:
    """The job that the file stands for, told by its suffix: `.plan`, `.cbor` (a receipt), anything else is a text; a
    folder is a run's. Raises UsageError E0822 for a receipt or folder whose job is not known; else as reading a job."""
    if path.is_dir():
        return of_folder(RunFolder(path.absolute(), home.files), home)
    if path.suffix == ".plan":
        return Known(path.name, read_plan(path, home.folder).spec.job)
    if path.suffix == ".cbor":
        return of_receipt(path, home)
    spec = read_spec(path, {}, home)
    need_whole_roots(spec)
    assert spec.text is not None
    return Known(path.name, spec.job, Source(str(path), spec.text))


def of_folder(folder: RunFolder, home: Home) -> Known:
    """The job of a run that is finished or not."""
    troubles: list[str] = []
    job = read_job(folder, troubles)
    if job is None:
        reason = f"{folder.path} is no run's folder: {troubles[0] if troubles else 'it has no job.cbor'}"
        raise UsageError("E0822", reason, help="`jobspec run` prints where a run lies; `jobspec store ls` lists them")
    return text_in(folder, job_hash(job), home) or Known(folder.path.name, job)


def of_receipt(path: Path, home: Home) -> Known:
    with explained("read", path):
        data = home.files.read(path, SIZE + 1)
    try:
        receipt = decode_receipt(data)
    except ReceiptFormatError as error:
        raise UsageError("E0822", f"{path} is no receipt: {error}", help="`jobspec run` prints where it lies") from None
    beside = RunFolder(path.absolute().parent, home.files)
    job, _ = find_job(receipt, beside, home)
    if job is None or job_hash(job) != receipt.job:
        help = "compare the job's own file, or give the receipt in its run's folder"
        raise UsageError("E0822", f"the job {receipt.job} of {path} is not known here", help=help)
    for folder in (beside, run_folder(home, receipt.job)):
        known = text_in(folder, receipt.job, home)
        if known is not None:
            return known
    return Known(path.name, job)


def text_in(folder: RunFolder, wanted: Digest, home: Home) -> Known | None:
    """The job of the text that a run's folder keeps; None where it keeps none, or one of another meaning now."""
    if not folder.text.is_file():
        return None
    try:
        spec = read_spec(folder.text, {}, home)
    except JobspecError:
        return None
    assert spec.text is not None
    known = Known(folder.text.name, spec.job, Source(str(folder.text), spec.text))
    return known if known.hash == wanted else None
