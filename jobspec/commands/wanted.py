"""What `store push` and `store pull` are to move.

Takes: words of a command line, the place where things come from. Promises: the data sets, weights and runs that they
mean, each once; what a job's file asks for and the place lacks is said and not passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from jobspec.commands.options import spec_of
from jobspec.ir.codec.job import job_hash
from jobspec.ir.digest import Digest
from jobspec.ir.errors import UsageError
from jobspec.loading import Spec, need_whole_roots
from jobspec.runtime import keeping, transfer
from jobspec.store.blobs import BlobStore
from jobspec.store.datasets import SUFFIX, known_roots
from jobspec.store.home import Home
from jobspec.store.names import names_of
from jobspec.store.remote import Remote

#: digits that a shortened hash has at least, with `b3:`
SHORTEST = 11

Folders = Sequence[Path]


class Place(Protocol):
    """A store that things come from; `beside`: more folders to look in."""

    @property
    def sets(self) -> list[Digest]: ...

    @property
    def runs(self) -> list[Digest]: ...

    def has_set(self, root: Digest, beside: Folders) -> bool: ...

    def has_file(self, name: Digest, beside: Folders) -> bool: ...


class Here:
    """The store at home."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.sets = known_roots(self._data())
        self.runs = [kept.job for kept in keeping.runs(home)]

    def _data(self, beside: Folders = ()) -> BlobStore:
        return BlobStore(self._home.data().folder, beside, self._home.files)

    def has_set(self, root: Digest, beside: Folders) -> bool:
        return self._data(beside).find(root.hex + SUFFIX) is not None

    def has_file(self, name: Digest, beside: Folders) -> bool:
        return self._data(beside).has(name)


class There:
    """Another store."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self.sets, self.runs = transfer.remote_sets(remote), transfer.remote_runs(remote)

    def has_set(self, root: Digest, beside: Folders) -> bool:
        return root in self.sets

    def has_file(self, name: Digest, beside: Folders) -> bool:
        return transfer.has_file(self._remote, name)


@dataclass
class Wanted:
    """Data sets and files of weights, with the folders beside the store that they may lie in; runs, by job. `left`:
    what was asked for and is not there."""

    sets: dict[Digest, Folders] = field(default_factory=dict)
    files: dict[Digest, Folders] = field(default_factory=dict)
    runs: dict[Digest, None] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def wanted(home: Home, place: Place, words: Iterable[str]) -> Wanted:
    """What the words mean; everything without any. Raises UsageError E0861, and what a job's file raises."""
    found, each = Wanted(), list(words)
    if not each:
        return Wanted(dict.fromkeys(place.sets, ()), {}, dict.fromkeys(place.runs))
    for word in each:
        if word.endswith(".job"):
            of_job(spec_of(Path(word), (), home), place, found)
        else:
            named(str(names_of(home).get(word, word)), word, place, found)
    return found


def of_job(spec: Spec, place: Place, found: Wanted) -> None:
    """A job's data, the weights it begins with, its run."""
    need_whole_roots(spec)
    job, beside = job_hash(spec.job), tuple(spec.search)
    for source in spec.job.sources:
        root = Digest.parse(source.root)
        if place.has_set(root, beside):
            found.sets.setdefault(root, beside)
        else:
            found.left.append(f"the data set {root.short} (`{source.name}`) is not there")
    if spec.job.start is not None:
        of_start(Digest.parse(spec.job.start.root), place, beside, found)
    if job in place.runs:
        found.runs[job] = None


def of_start(root: Digest, place: Place, beside: Folders, found: Wanted) -> None:
    if place.has_file(root, beside):
        found.files.setdefault(root, beside)
    else:
        found.left.append(f"the weights {root.short} are no file there: a state moves with the run that it ends")


def named(text: str, word: str, place: Place, found: Wanted) -> None:
    """A data set or a run by name or hash."""
    sets, runs = (fitting(text, known) for known in (place.sets, place.runs))
    if len(sets) + len(runs) != 1:
        reason = f"`{word}` is nothing that this store has" if not sets and not runs else f"`{word}` begins several"
        raise UsageError("E0861", reason, help="`jobspec store ls` and `jobspec data ls` list what is here")
    found.sets |= dict.fromkeys(sets, ())
    found.runs |= dict.fromkeys(runs)


def fitting(text: str, known: list[Digest]) -> list[Digest]:
    return [digest for digest in known if len(text) >= SHORTEST and str(digest).startswith(text)]
