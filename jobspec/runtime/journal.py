"""A run's log, open for writing, with the history it tells so far.

Takes: a run's folder. Promises: one process at a time holds a run (the log is locked by the system, so a
killed process leaves no lock behind); another is told which process that is.
"""

from __future__ import annotations

from types import TracebackType

from jobspec.ir.errors import JobspecError
from jobspec.ir.record import RecordError
from jobspec.runtime.events import Event, event_value
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.history import History, history_of
from jobspec.store.files import StoreError
from jobspec.store.runlog import RunLog, open_log, read_log

#: the store's code for a log that another process writes to
LOCKED = "E0706"


class Journal:
    """Made by `open_journal`. `cut`: bytes of a torn tail that opening removed."""

    def __init__(self, log: RunLog, history: History) -> None:
        self._log = log
        self.history = history
        self.cut = log.cut

    def add(self, event: Event, *, sync: bool = False) -> None:
        """Append to log and history; with `sync` it is on the disk when this returns, with all before it."""
        self._log.append(event_value(event), sync=sync)
        self.history.add(event)

    def sync(self) -> None:
        """What was added is on the disk when this returns; may be called beside `add` from another thread."""
        self._log.sync()

    def close(self) -> None:
        self._log.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_journal(folder: RunFolder) -> Journal:
    """The folder's journal, made where absent. Raises JobspecError E0504 where another process holds it."""
    try:
        log = open_log(folder.log, folder.files)
    except StoreError as error:
        if error.code == LOCKED:
            raise _held(folder) from error
        raise
    try:
        return Journal(log, read_history(folder))
    except BaseException:
        log.close()
        raise


def read_history(folder: RunFolder) -> History:
    """The history of the folder's log as far as it is whole. Raises JobspecError E0505 for a record that
    this version does not know."""
    try:
        return history_of(read_log(folder.log, folder.files))
    except RecordError as error:
        help = "use the version that wrote it, or remove the run's folder to train again to the same result"
        raise JobspecError("E0505", f"the run log {folder.log} cannot be read: {error}", help=help) from error


def _held(folder: RunFolder) -> JobspecError:
    begun = read_history(folder).begun
    who = f"process {begun[-1].pid}" if begun else "another process"
    reason = f"this job is being run already, by {who} (in {folder.path})"
    return JobspecError("E0504", reason, help="wait for it to end, or stop it; the run goes on from where it got to")
