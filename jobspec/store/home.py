"""Where the store lies on this machine.

Takes: the environment's JOBSPEC_HOME, or a folder. Promises: a `Home` that names its parts; nothing is
made on disk before something is written. Where the store lies never changes a result.

    HOME/data      shards and manifests of data sets         HOME/names   local names of data sets
    HOME/states    checkpoints and their tensors             HOME/runs    one folder per run: log, receipt
    HOME/tunings   measured schedules of kernels         HOME/cache   plans and objects, to be thrown away at will

With a `remote` (JOBSPEC_REMOTE, a URL) data that is not here is fetched from there, and hashed on arrival.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_data_dir

from jobspec.store.blobs import BlobStore
from jobspec.store.fetching import FetchingStore
from jobspec.store.files import FileLayer
from jobspec.store.remote import Remote

DATA = "data"


@dataclass(frozen=True)
class Home:
    """The store in `folder`; all its writing goes through `files`. `remote`: where data comes from that is not here."""

    folder: Path
    files: FileLayer = field(default_factory=FileLayer)
    remote: str | None = None

    def data(self, search: Iterable[Path] = ()) -> BlobStore:
        """Data sets; `search`: folders to read from first, as `beside` gives them."""
        if self.remote is None:
            return BlobStore(self.folder / DATA, search, self.files)
        return FetchingStore(self.folder / DATA, search, self.files, Remote(self.remote), DATA)

    def states(self) -> BlobStore:
        """Checkpoints."""
        return BlobStore(self.folder / "states", (), self.files)

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def tunings(self) -> Path:
        return self.folder / "tunings"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def names(self) -> Path:
        return self.folder / "names"


def open_home(folder: Path | None = None) -> Home:
    """The store in `folder`; without one in JOBSPEC_HOME, or else in the platform's data folder."""
    chosen = folder or os.environ.get("JOBSPEC_HOME") or user_data_dir("jobspec")
    remote = os.environ.get("JOBSPEC_REMOTE") or None
    return Home(Path(chosen).expanduser().absolute(), remote=remote)


def beside(job: Path) -> tuple[Path, ...]:
    """Search folders of a job file: `data` in its folder."""
    return (job.absolute().parent / "data",)
