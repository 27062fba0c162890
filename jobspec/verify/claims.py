"""A receipt's fields against the job it names: what can be told without computing.

Takes: a receipt, the job. Promises: each field that does not follow from the job is named, with both values.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jobspec.ir.classes import may_claim
from jobspec.ir.codec.job import LIMITS, JobFormatError, decode_job, job_hash
from jobspec.ir.codec.receipt import Receipt, ReceiptFormatError
from jobspec.ir.digest import Digest
from jobspec.ir.errors import DataError, UsageError
from jobspec.ir.job import Job
from jobspec.runtime.folder import RECEIPT, RunFolder, run_folder
from jobspec.store.files import explained
from jobspec.store.home import Home


def no_receipt(path: Path) -> UsageError:
    """Why `path` is not the receipt that is asked for: a job's text, another file, nothing."""
    help = "a run has one when it is closed: `jobspec run` prints where it lies"
    if not path.is_file():
        return UsageError("E0812", f"there is no file {path}", help=help)
    if path.suffix in (".job", ".plan"):
        help = f"`jobspec run {path}` says at its end where the job's receipt lies"
        kind = "job" if path.suffix == ".job" else "plan"
        return UsageError("E0812", f"{path} is a {kind}, and it is a run's receipt that is asked for", help=help)
    return UsageError("E0812", f"{path} is not a run's folder, nor the {RECEIPT} in one", help=help)


def not_a_receipt(what: Path | str, error: ReceiptFormatError) -> DataError:
    """Why what is called a receipt is none."""
    help = "copy it again from where the run was made; `jobspec run` makes that of a run here again"
    return DataError("E0603", f"{what} is not a receipt: {error}", help=help)


def differing_fields(receipt: Receipt, job: Job) -> Iterator[str]:
    """One sentence per field that is not what the job makes it."""
    if receipt.job != job_hash(job):
        yield f"`job`: the receipt says {receipt.job}, this job is {job_hash(job)}"
    if not may_claim(job.profile, receipt.profile):
        yield f"`profile`: the receipt says {receipt.profile!r}, the job {job.profile!r}"
    if receipt.data != training_roots(job):
        said, meant = (", ".join(map(str, roots)) for roots in (receipt.data, training_roots(job)))
        yield f"`data`: the receipt says {said}, the job {meant}"
    if receipt.steps > job.steps or (receipt.closed and receipt.steps < job.steps):
        yield f"`steps`: the receipt says {receipt.steps}, the job {job.steps}"
    elif receipt.steps == job.steps and not receipt.closed:
        yield f"`closed`: the receipt says that steps are missing, and has all {job.steps}"


def training_roots(job: Job) -> tuple[Digest, ...]:
    """Roots of the data a job trains on."""
    return tuple(Digest.parse(job.source(name).root) for name in job.training_sources)


def find_job(receipt: Receipt, beside: RunFolder, home: Home) -> tuple[Job | None, list[str]]:
    """The job that the receipt names, from beside it or from the store's runs; failing that the one beside it,
    whatever its hash. And what is wrong with files that could not be read."""
    troubles: list[str] = []
    found = [read_job(folder, troubles) for folder in (beside, run_folder(home, receipt.job))]
    jobs = [job for job in found if job is not None]
    named = next((job for job in jobs if job_hash(job) == receipt.job), None)
    return named or next(iter(jobs), None), troubles


def read_job(folder: RunFolder, troubles: list[str]) -> Job | None:
    """The job.cbor of a run's folder; None where there is none that can be read, which `troubles` hears of."""
    path: Path = folder.job
    if not path.is_file():
        return None
    with explained("read", path):
        data = folder.files.read(path, LIMITS.size + 1)
    try:
        return decode_job(data)
    except JobFormatError as error:
        troubles.append(f"{path} is {error}")
        return None
