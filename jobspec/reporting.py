"""From a run, or the job that was run, to its page.

Takes: a run's folder, files of traces. Promises: what the folder holds is read and nothing is written; facts that
cannot be read are left out, a log or a job that cannot be is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jobspec.ir.codec.job import JobFormatError, decode_job, job_hash
from jobspec.ir.codec.receipt import Receipt, ReceiptFormatError, decode_receipt
from jobspec.ir.errors import DataError, UsageError
from jobspec.ir.job import Job
from jobspec.ir.plan import Routine
from jobspec.report.page import Content, page
from jobspec.report.timeline import Trace, read_trace
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.journal import read_history
from jobspec.runtime.workers.timeline import FILE as WORKERS
from jobspec.scaling import step_routines
from jobspec.store.files import explained
from jobspec.store.home import Home
from jobspec.verify.claims import not_a_receipt


def folder_of(path: Path, home: Home) -> RunFolder | None:
    """The run that is meant by its folder or by the receipt in it; None for any other file."""
    found = RunFolder((path if path.is_dir() else path.parent).absolute(), home.files)
    return found if path.is_dir() or path.absolute() == found.receipt else None


def report(folder: RunFolder, traces: Sequence[Path] = ()) -> tuple[str, str]:
    """(the job's name, its page). `traces`: files of events. Raises UsageError E0890 where no run is, E0891 for a
    file that is no trace; DataError E0603 for a receipt and E0892 for a job that cannot be read, JobspecError E0505
    for a log."""
    if not folder.log.is_file() or not folder.job.is_file():
        help = "name a run's folder, or a job that was run here: `jobspec store ls` lists them"
        raise UsageError("E0890", f"there is no run in {folder.path}", help=help)
    job = job_in(folder)
    text, sets = text_in(folder)
    content = Content(
        job=job,
        hash=str(job_hash(job)),
        history=read_history(folder),
        receipt=receipt_in(folder),
        facts=facts_in(folder),
        text=text,
        sets=sets,
        routine=fullest(step_routines(job)),
        traces=list(traces_of(folder, traces)),
    )
    return job.name, page(content)


def fullest(routines: dict[str, Routine]) -> Routine:
    """The step that takes most memory."""
    return max(routines.values(), key=lambda routine: routine.arena)


def read(folder: RunFolder, path: Path) -> bytes:
    with explained("read", path):
        return folder.files.read(path)


def job_in(folder: RunFolder) -> Job:
    try:
        return decode_job(read(folder, folder.job))
    except JobFormatError as error:
        help = "it was written by another version, or changed: run the job again"
        raise DataError("E0892", f"{folder.job} is {error}", help=help) from error


def receipt_in(folder: RunFolder) -> Receipt | None:
    if not folder.receipt.is_file():
        return None
    try:
        return decode_receipt(read(folder, folder.receipt))
    except ReceiptFormatError as error:
        raise not_a_receipt(folder.receipt, error) from error


def facts_in(folder: RunFolder) -> dict[str, Any]:
    found = json_in(folder, folder.facts)
    return found if isinstance(found, dict) else {}


def text_in(folder: RunFolder) -> tuple[str | None, list[str]]:
    """The text that was run last, and what was set in it."""
    if not folder.text.is_file():
        return None, []
    sets = json_in(folder, folder.sets)
    named = [one for one in sets if isinstance(one, str)] if isinstance(sets, list) else []
    return read(folder, folder.text).decode("utf-8", "replace"), named


def json_in(folder: RunFolder, path: Path) -> object:
    """What a file holds that nobody vouches for; None where it is absent or cannot be read as JSON."""
    try:
        return json.loads(read(folder, path)) if path.is_file() else None
    except ValueError:
        return None


def traces_of(folder: RunFolder, traces: Sequence[Path]) -> Iterator[tuple[str, Trace]]:
    """What workers left in the folder, then the files that were named."""
    workers = folder.path / WORKERS
    if workers.is_file():
        yield "workers", read_trace(read(folder, workers), WORKERS)
    for path in traces:
        yield f"kernels, timed one by one ({path.name})", read_trace(read(folder, path), path.name)
