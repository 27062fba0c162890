"""A job's course for whoever computes a claim again: job, data and session in one place.

Takes: a job, the folder of a run, what to compute with. Promises: a course that stands nowhere, its data opened by
hash from the store, the folders that the run names and those that the caller names; the session is closed at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobspec.ir.digest import Digest
from jobspec.ir.job import Job
from jobspec.runtime.course import Course
from jobspec.runtime.engine import compile_for
from jobspec.runtime.facts import data_folders
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.start import Weights
from jobspec.store.datasets import DataSet, open_set
from jobspec.store.home import Home
from jobspec.verify.sampled import Sample


@dataclass(frozen=True)
class Means:
    """What to verify with; none of it can change a verdict but by what data it finds. `search`: more folders
    to look for data in; `job`: the job, where the caller has it; `sample`: replay only so much; `signer`: the public
    key that must have signed the receipt."""

    home: Home
    backend: str
    threads: int
    search: tuple[Path, ...] = ()
    job: Job | None = None
    sample: Sample | None = None
    signer: Path | None = None


@contextmanager
def course_of(job: Job, folder: RunFolder, means: Means) -> Iterator[Course]:
    """Raises DataError, CompileError, UsageError."""
    data = open_sets(job, means, data_folders(folder.facts))
    compiled = compile_for(job, means.backend)
    session = compiled.open(means.threads, means.home.cache)
    try:
        yield Course(job, compiled.job_hash, compiled.plan, session, data, Weights(means.home, means.search))
    finally:
        session.close()


def open_sets(job: Job, means: Means, hints: Iterable[Path]) -> Mapping[str, DataSet]:
    """The job's training data by source name, from the store and the folders named."""
    store = means.home.data((*means.search, *hints))
    wanted = job.training_sources
    found = {s.name: open_set(store, Digest.parse(s.root)) for s in job.sources if s.name in wanted}
    for source in job.sources:
        if source.name in found:
            found[source.name].check_declared(source.kind, source.fields)
    return found
