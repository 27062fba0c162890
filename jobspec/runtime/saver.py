"""Checkpoints in the making, on a thread of their own.

Takes: states as they fall due. Promises: training does not wait for the disk; a checkpoint counts only once
the log names it, after all its bytes are on the disk; older ones go only after that is on the disk too. At most one
is under way. What goes wrong on the thread is raised at the next `save`, `poll` or at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType

from jobspec.ir.digest import Digest
from jobspec.ir.errors import JobspecError
from jobspec.runtime import checkpoints
from jobspec.runtime.events import Dropped, Saved
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.journal import Journal
from jobspec.runtime.roots import Copied
from jobspec.runtime.standing import Standing
from jobspec.store import checkpoint


class Saver:
    """A context manager; leaving it waits. `step`: steps done at the newest checkpoint, made or under way; `recorded`:
    called before the log names a checkpoint, so that the chain's records up to it stand there."""

    def __init__(
        self,
        folder: RunFolder,
        journal: Journal,
        job: Digest,
        keep: int,
        milestones: Collection[int],
        recorded: Callable[[int], None],
    ) -> None:
        self._states, self._journal, self._job = folder.states, journal, job
        self._keep, self._milestones, self._recorded = keep, milestones, recorded
        self._worker = ThreadPoolExecutor(1, "jobspec-checkpoints")
        self._saving: tuple[Future[Digest], Standing, str | None] | None = None
        self._sweeping: Future[None] | None = None
        self.step: int | None = None

    def save(self, standing: Standing, copied: Callable[[], Copied], best: str | None = None) -> None:
        """Begin to store the state of the run that stands there. `copied` gives a copy of it; it is asked for one only
        when the checkpoint before is done, so that no more than one copy is in memory."""
        self._settle()
        self._saving = (self._worker.submit(self._stored, standing.done, copied()), standing, best)
        self.step = standing.done

    def _stored(self, step: int, state: Copied) -> Digest:
        return checkpoint.save(self._states, self._job, step, state.arrays, state.hashed.tensors())

    @property
    def busy(self) -> bool:
        """Whether one is under way."""
        return self._saving is not None and not self._saving[0].done()

    def poll(self) -> None:
        """Write into the log what is ready."""
        if self._saving is not None and not self.busy:
            self._settle()

    def _settle(self) -> None:
        """Wait for what is under way; the log names it, and then older ones go."""
        if self._sweeping is not None:
            self._sweeping.result()
            self._sweeping = None
        if self._saving is not None:
            (future, standing, best), self._saving = self._saving, None
            name = future.result()
            self._recorded(standing.done)
            self._journal.add(Saved(name, standing.settled(), best))
            self._thin()

    def _thin(self) -> None:
        history = self._journal.history
        for name in checkpoints.surplus(history, self._keep, self._milestones):
            self._journal.add(Dropped(name))
        self._sweeping = self._worker.submit(self._sweep, {saved.name for saved in history.saved})

    def _sweep(self, kept: set[Digest]) -> None:
        """Older ones go when the log on the disk names the newer one."""
        self._journal.sync()
        checkpoints.sweep(self._states, kept)

    def _finish(self) -> None:
        """Wait for everything."""
        self._settle()
        self._settle()

    def __enter__(self) -> Saver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
            else:
                with suppress(JobspecError):
                    self._finish()
        finally:
            self._worker.shutdown()
