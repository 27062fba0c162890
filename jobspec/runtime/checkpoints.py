"""Checkpoints of a run: made, found again, thinned out.

Takes: a run's folder and journal. Promises: a checkpoint counts only once the log names it, after all its
bytes are on the disk; the newest whole one is found, and what was wrong with newer ones is said; at most
`keep` are kept (0: all) besides each evaluation's best and the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from jobspec.ir.digest import Digest
from jobspec.ir.errors import DataError
from jobspec.runtime.chain import Chain
from jobspec.runtime.events import Dropped, Saved
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.journal import Journal
from jobspec.store import checkpoint

Tensors = Mapping[str, NDArray[Any]]


def save(
    folder: RunFolder, journal: Journal, job: Digest, chain: Chain, tensors: Tensors, best: str | None = None
) -> Saved:
    """Store the state where `chain` stands. Raises StoreError; then the checkpoints before stand as they were."""
    name = checkpoint.save(folder.states, job, chain.done, tensors)
    saved = Saved(name, chain, best)
    journal.add(saved, sync=True)
    return saved


def newest(
    folder: RunFolder, job: Digest, journal: Journal, say: Callable[[str], None]
) -> tuple[Saved, Tensors] | None:
    """The newest checkpoint that is whole; `say` hears of those that are not."""
    for saved in sorted(journal.history.saved, key=lambda s: s.chain.done, reverse=True):
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


def thin(folder: RunFolder, journal: Journal, keep: int) -> None:
    """Drop checkpoints beyond `keep`, and every blob that no kept one names."""
    history = journal.history
    kept = _kept(history.saved, keep)
    for saved in [*history.saved, *history.stale]:
        if saved.name not in kept:
            journal.add(Dropped(saved.name))
    _sweep(folder, kept)


def _kept(saved: list[Saved], keep: int) -> set[Digest]:
    """The last `keep`, one at least, and the last one of each evaluation's bests."""
    plain = saved[-max(1, keep) :] if keep else saved
    bests = {s.best: s.name for s in saved if s.best is not None}
    return {s.name for s in plain} | set(bests.values())


def _sweep(folder: RunFolder, kept: set[Digest]) -> None:
    """Remove blobs that no kept checkpoint needs; the folder is this run's alone, and locked."""
    states = folder.states
    needed = set(kept)
    for name in kept:
        try:
            needed |= {tensor.blob for tensor in checkpoint.read(states, name).tensors}
        except DataError:
            return
    for name in list(states.names()):
        if name not in needed:
            states.remove(name)
