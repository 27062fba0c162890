"""Checkpoints of a run: found again, thinned out.

Takes: a run's folder, the history its log tells. Promises: the newest whole checkpoint is found, and what was
wrong with newer ones is said; at most `keep` stay (0: all) besides each evaluation's best, the newest, and
those at milestones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from numpy.typing import NDArray

from jobspec.ir.digest import Digest
from jobspec.ir.errors import DataError, JobspecError, UsageError
from jobspec.ir.job import Job
from jobspec.runtime.events import Dropped, Saved
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.history import History
from jobspec.runtime.journal import Journal
from jobspec.store import checkpoint
from jobspec.store.blobs import BlobStore

Tensors = Mapping[str, NDArray[Any]]


def newest(
    folder: RunFolder, job: Digest, history: History, say: Callable[[str], None]
) -> tuple[Saved, Tensors] | None:
    """The newest checkpoint that is whole; `say` hears of those that are not."""
    for saved in sorted(history.saved, key=lambda s: s.chain.done, reverse=True):
        try:
            return saved, loaded(folder, job, saved)
        except DataError as error:
            say(f"the checkpoint at step {saved.chain.done} cannot be used: {error.reason}")
    return None


def loaded(folder: RunFolder, job: Digest, saved: Saved) -> Tensors:
    """The checkpoint's tensors. Raises DataError where one is missing or changed."""
    found, tensors = checkpoint.load(folder.states, saved.name)
    if (found.job, found.step) != (job, saved.chain.done):
        reason = f"the checkpoint {saved.name.short} is of another job or step than the log says"
        raise DataError("E0506", reason, help="remove the run's folder to begin again")
    return tensors


def chosen(job: Job, history: History, best: str | None, phase: str | None) -> Saved:
    """The newest checkpoint; that of the evaluation `best`; that at the end of `phase`. Raises UsageError E0846,
    JobspecError E0509."""
    end = None if phase is None else end_of(job, phase)
    found = [s for s in history.saved if best in (None, s.best) and end in (None, s.chain.done)]
    if found:
        return found[-1]
    if best is not None:
        need_best(job, best)
    reached = history.saved[-1].chain.done if history.saved else 0
    help = "train it with `jobspec run`; what was set there with `--set` makes another job, and is set here too"
    if end is not None and reached >= end:
        help = f"`save {{ also = [{phase}] }}` keeps it and leaves the job's hash as it is: say so and run it `--again`"
    what = f"at the end of `{phase}`" if phase else f"of the best of `{best}`" if best else "yet"
    raise JobspecError("E0509", f"the job {job.name} has no checkpoint {what}", help=help)


def end_of(job: Job, phase: str) -> int:
    """Steps done at the end of `phase`. Raises UsageError E0846."""
    ends = dict(zip((p.name for p in job.phases), job.borders, strict=True))
    if not phase or phase not in ends:
        listed = ", ".join(filter(None, ends))
        help = f"its phases: {listed}" if listed else "it has none: leave `--phase` out for the state at its end"
        raise UsageError("E0846", f"the job has no phase `{phase}`", help=help)
    return ends[phase]


def need_best(job: Job, name: str) -> None:
    """Raises UsageError E0846 where no evaluation `name` keeps its best."""
    keeping = [e.name for e in job.evaluations if e.best]
    if name not in keeping:
        say = "`best = min(METRIC)` in an `eval` keeps it and leaves the job's hash as it is: say so, run it `--again`"
        help = f"those that do: {', '.join(keeping)}" if keeping else say
        raise UsageError("E0846", f"the job has no evaluation `{name}` that keeps its best", help=help)


def forget(journal: Journal, since: int) -> None:
    """Checkpoints of more than `since` steps are not gone on from any more; their blobs go with the next sweep."""
    for saved in [s for s in journal.history.saved if s.chain.done > since]:
        journal.add(Dropped(saved.name), sync=True)


def surplus(history: History, keep: int, milestones: Collection[int] = ()) -> list[Digest]:
    """Checkpoints that may go: all but the last `keep` (0: all; one at least), each evaluation's best, and those
    after `milestones` steps."""
    kept = _kept(history.saved, keep, milestones)
    listed = dict.fromkeys(s.name for s in [*history.saved, *history.stale])
    return [name for name in listed if name not in kept]


def _kept(saved: list[Saved], keep: int, milestones: Collection[int]) -> set[Digest]:
    plain = saved[-max(1, keep) :] if keep else saved
    bests = {s.best: s.name for s in saved if s.best is not None}
    ends = [s.name for s in saved if s.chain.done in milestones]
    return {s.name for s in plain} | set(bests.values()) | set(ends)


def sweep(states: BlobStore, kept: set[Digest]) -> None:
    """Remove every blob that no kept checkpoint needs; the store is this run's alone, and locked. Nothing
    is removed while a kept one cannot be read."""
    needed = set(kept)
    for name in kept:
        try:
            needed |= {tensor.blob for tensor in checkpoint.read(states, name).tensors}
        except DataError:
            return
    for name in list(states.names()):
        if name not in needed:
            states.remove(name)
