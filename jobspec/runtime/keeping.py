"""What lies in a store: listed, checked, cleared of what nothing needs.

Takes: a home. Promises: every blob of data and of runs is hashed by `problems`; `clear` removes only what nothing can
name any more: drafts of killed processes, fetches that were given up, blobs of runs that no checkpoint in the run's
log needs, and compiled code, which is made again. A run that is under way is left alone; data stays until `data rm`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jobspec.ir.codec.job import LIMITS, JobFormatError, decode_job
from jobspec.ir.digest import Digest
from jobspec.ir.errors import DataError, JobspecError
from jobspec.runtime.folder import RunFolder, run_folder
from jobspec.runtime.journal import open_journal, read_history
from jobspec.runtime.transfer import states_of
from jobspec.store.blobs import NAME, BlobDamaged, BlobMissing, BlobStore
from jobspec.store.checkpoint import AGAIN
from jobspec.store.datasets import known_roots, open_set
from jobspec.store.files import TEMPORARY, explained
from jobspec.store.home import Home

#: seconds after which a draft or an unnamed blob is nobody's work any more
OLD = 3600.0
CACHE = "cache"


@dataclass(frozen=True)
class Kept:
    """A run in the store. `closed`: it has a receipt; `bytes`: of its folder."""

    job: Digest
    name: str
    steps: int
    of: int
    closed: bool
    bytes: int


def runs(home: Home) -> list[Kept]:
    """The runs, by job hash; one whose files cannot be read has the name `?`."""
    return [_kept(run_folder(home, Digest(bytes.fromhex(n)))) for n in home.files.names(home.runs) if NAME.fullmatch(n)]


def _kept(folder: RunFolder) -> Kept:
    job, size = Digest(bytes.fromhex(folder.path.name)), sum(path.stat().st_size for path in files_in(folder.path))
    try:
        whole = decode_job(folder.files.read(folder.job, LIMITS.size + 1))
        history = read_history(folder)
    except (OSError, JobFormatError, JobspecError):
        return Kept(job, "?", 0, 0, False, size)
    done = max([s.first + len(s.reports) for s in history.stepped], default=0)
    return Kept(job, whole.name, done, whole.steps, history.finished is not None, size)


def files_in(folder: Path) -> Iterator[Path]:
    """All files below."""
    return (path for path in folder.rglob("*") if path.is_file())


def problems(home: Home) -> Iterator[JobspecError]:
    """Hash everything that has a hash; what is missing or changed."""
    store = BlobStore(home.data().folder, (), home.files)
    shards: set[Digest] = set()
    for root in known_roots(store):
        try:
            opened = open_set(store, root)
            yield from opened.problems()
        except DataError as error:
            yield error
            continue
        shards |= {piece.name for shard in opened.manifest.shards for piece in shard.pieces}
    yield from damaged(store, shards)
    for kept in runs(home):
        yield from run_problems(run_folder(home, kept.job))


def damaged(store: BlobStore, known: set[Digest]) -> Iterator[JobspecError]:
    """Blobs that do not hash to their names, but for those that are `known`."""
    for name in store.names():
        try:
            if name not in known:
                store.get(name)
        except DataError as error:
            yield error


def run_problems(folder: RunFolder) -> Iterator[JobspecError]:
    """What is wrong with a run's checkpoints and log."""
    try:
        for name in states_of(folder):
            folder.states.get(name)
    except (BlobMissing, BlobDamaged) as error:
        yield DataError("E0709", f"a checkpoint of {folder.path} is not whole: {error.reason}", help=AGAIN)
    except JobspecError as error:
        yield error


@dataclass(frozen=True)
class Waste:
    """Something that nothing needs."""

    path: Path
    bytes: int
    why: str


def waste(home: Home) -> Iterator[Waste]:
    """What `clear` would remove."""
    now = time.time()
    for path in list(files_in(home.folder)):
        if path.name.startswith(".") and path.suffix in (TEMPORARY, ".pull"):
            if now - path.stat().st_mtime > OLD:
                yield Waste(path, path.stat().st_size, "left by a process that was killed")
        elif CACHE in path.relative_to(home.folder).parts[:1]:
            yield Waste(path, path.stat().st_size, "compiled code, made again when it is wanted")
    yield from _loose(home, now)


def _loose(home: Home, now: float) -> Iterator[Waste]:
    """Blobs that nothing names."""
    for kept in runs(home):
        folder = run_folder(home, kept.job)
        if not folder.log.is_file():
            continue
        try:
            with open_journal(folder):
                yield from _loose_of(folder, now)
        except JobspecError:  # it is under way, or what it needs cannot be told
            continue


def _loose_of(folder: RunFolder, now: float) -> Iterator[Waste]:
    needed = set(states_of(folder))
    for name in list(folder.states.names()):
        path = folder.states.own_path(name)
        if name not in needed and now - path.stat().st_mtime > OLD:
            yield Waste(path, path.stat().st_size, "of no checkpoint that the run's log names")


def clear(home: Home) -> list[Waste]:
    """Remove it; what was removed."""
    removed = []
    for found in waste(home):
        with explained("remove", found.path):
            home.files.remove(found.path)
        removed.append(found)
    return removed
