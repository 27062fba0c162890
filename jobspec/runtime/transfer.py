"""Data sets, weights and runs between this store and another: only what is missing travels.

Takes: a home, a remote. Promises: a blob that has its name at either end is whole; what arrives here is hashed before
it counts; a transfer that was cut off goes on from where it was. The remote's layout is a home's: `data/…`, `runs/…`.
A run travels with its job, log, receipt and checkpoints; its weights follow from the last one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobspec.ir.codec.job import JobFormatError, decode_job, job_hash
from jobspec.ir.codec.receipt import ReceiptFormatError, decode_receipt
from jobspec.ir.digest import Digest
from jobspec.ir.errors import DataError
from jobspec.ir.record import RecordError
from jobspec.runtime.folder import JOB, LOG, RECEIPT, STATES, RunFolder, run_folder
from jobspec.runtime.history import History, history_of
from jobspec.runtime.journal import read_history
from jobspec.store import checkpoint
from jobspec.store.blobs import NAME, BlobStore
from jobspec.store.datasets import SUFFIX, open_set
from jobspec.store.fetching import SMALL, fetch_blob
from jobspec.store.files import FileLayer, StoreError, explained, write_file
from jobspec.store.home import DATA, Home
from jobspec.store.remote import Remote
from jobspec.store.runlog import MAGIC, entries

RUNS, TRACES = "runs", "traces"
TRACE = re.compile(r"(segment|step)-\d+\.(cbor|values)")
PUSH = "push it again from where it was made: `jobspec store push URL`"
#: bytes of a trace that is fetched
LARGEST_TRACE = 16 << 30


@dataclass
class Moved:
    """What travelled, and what was there already: numbers of files; `bytes` of those that travelled."""

    sent: int = 0
    kept: int = 0
    bytes: int = 0

    def one(self, size: int | None) -> None:
        """A file of `size` bytes; None: it was there."""
        if size is None:
            self.kept += 1
        else:
            self.sent, self.bytes = self.sent + 1, self.bytes + size


def push_set(home: Home, remote: Remote, root: Digest, beside: Sequence[Path] = ()) -> Moved:
    """Send a data set of the store, or of a folder `beside` it: shards first, then the manifest that names them.
    Raises DataError, StoreError."""
    store, moved = replace(home, remote=None).data(beside), Moved()
    opened = open_set(store, root)
    pieces = dict.fromkeys(piece.name for shard in opened.manifest.shards for piece in shard.pieces)
    for name in pieces:
        moved.one(_push_blob(store, remote, DATA, name))
    manifest = store.find(root.hex + SUFFIX)
    assert manifest is not None, "its set was opened"
    if remote.has(f"{DATA}/{manifest.name}"):
        moved.one(None)
    else:
        remote.put(f"{DATA}/{manifest.name}", manifest)
        moved.one(manifest.stat().st_size)
    return moved


def push_file(home: Home, remote: Remote, name: Digest, beside: Sequence[Path] = ()) -> Moved:
    """Send a file of weights. Raises DataError, StoreError."""
    moved = Moved()
    moved.one(_push_blob(replace(home, remote=None).data(beside), remote, DATA, name))
    return moved


def pull_file(home: Home, remote: Remote, name: Digest) -> Moved:
    """Fetch a file of weights; it is hashed on arrival. Raises StoreError."""
    moved, target = Moved(), home.data().folder / name.hex
    moved.one(_pull_blob(home.files, remote, DATA, target))
    return moved


def has_file(remote: Remote, name: Digest) -> bool:
    return remote.has(f"{DATA}/{name.hex}")


def _push_blob(store: BlobStore, remote: Remote, below: str, name: Digest) -> int | None:
    """Send a blob that the remote lacks, hashed before; its size."""
    target = f"{below}/{name.hex}"
    if remote.has(target):
        return None
    size = store.map(name).nbytes
    remote.put(target, store.path(name))
    return size


def pull_set(home: Home, remote: Remote, root: Digest) -> Moved:
    """Fetch a data set: every shard is hashed on arrival. Raises DataError, StoreError."""
    store, moved = replace(home, remote=remote.url).data(), Moved()
    plain = BlobStore(store.folder, (), home.files)
    moved.one(None if plain.find(root.hex + SUFFIX) else 0)
    opened = open_set(store, root)
    wanted = {piece.name: piece.size for shard in opened.manifest.shards for piece in shard.pieces}
    for name, size in wanted.items():
        moved.one(None if plain.has(name) else size)
    opened.verify()
    return moved


def push_run(home: Home, remote: Remote, job: Digest) -> Moved:
    """Send a run: checkpoints first, the receipt last. Raises DataError where there is none."""
    folder, moved = run_folder(home, job), Moved()
    if not folder.log.is_file():
        raise DataError("E0714", f"this store has no run of the job {job}", help="`jobspec store ls` lists the runs")
    below = f"{RUNS}/{job.hex}"
    for name in states_of(folder):
        moved.one(_push_blob(folder.states, remote, f"{below}/{STATES}", name))
    for path in (folder.job, folder.log, folder.receipt):
        if path.is_file():
            remote.put(f"{below}/{path.name}", path)
            moved.one(path.stat().st_size)
    return moved


def states_of(folder: RunFolder) -> list[Digest]:
    """Blobs of the checkpoints that the run's log names, each list behind its tensors."""
    found: dict[Digest, None] = {}
    for saved in read_history(folder).saved:
        tensors = checkpoint.read(folder.states, saved.name).tensors
        found |= dict.fromkeys([*(t.blob for t in tensors), saved.name])
    return list(found)


def pull_run(home: Home, remote: Remote, job: Digest) -> Moved:
    """Fetch a run that this store has not begun. Every checkpoint blob is hashed on arrival, job and receipt must be
    of the job. Raises DataError, StoreError; then there is no run of it here."""
    folder, moved, below = run_folder(home, job), Moved(), f"{RUNS}/{job.hex}"
    if folder.log.is_file():
        reason = f"this store has a run of the job {job.short} already, in {folder.path}"
        raise DataError("E0715", reason, help="compare the two with `jobspec dispute`, or remove the folder")
    if not remote.has(f"{below}/{LOG}"):
        raise DataError("E0714", f"{remote.shown} has no run of the job {job}", help=PUSH)
    small = {
        name: remote.read(f"{below}/{name}", SMALL) for name in (JOB, RECEIPT, LOG) if remote.has(f"{below}/{name}")
    }
    _check_run(remote, job, small)
    for saved in _history(remote, job, small[LOG]).saved:
        for size in _pull_checkpoint(folder, remote, f"{below}/{STATES}", saved.name):
            moved.one(size)
    for name, data in small.items():
        write_file(home.files, folder.path / name, [data])
        moved.one(len(data))
    return moved


def fetch_folder(remote: Remote, folder: RunFolder) -> None:
    """Fetch the run's folder that `remote` is, to look into it: receipt, job, log, the checkpoints that the log
    names, traces. Nothing of it is believed. Raises DataError E0714 where there is no receipt."""
    if not remote.has(RECEIPT):
        help = "name the folder in which a run's receipt lies, or the receipt"
        raise DataError("E0714", f"{remote.shown} is no run's folder: it has no {RECEIPT}", help=help)
    small = {name: remote.read(name, SMALL) for name in (RECEIPT, JOB, LOG) if remote.has(name)}
    for name, data in small.items():
        write_file(folder.files, folder.path / name, [data])
    for name in remote.names(TRACES):
        if TRACE.fullmatch(name) and remote.size(f"{TRACES}/{name}") <= LARGEST_TRACE:
            write_file(folder.files, folder.path / TRACES / name, remote.chunks(f"{TRACES}/{name}", 0))
    job = decode_receipt(small[RECEIPT]).job
    for saved in _history(remote, job, small[LOG]).saved if LOG in small else []:
        for _ in _pull_checkpoint(folder, remote, STATES, saved.name):
            pass


def _history(remote: Remote, job: Digest, log: bytes) -> History:
    """What the log that was fetched tells. Raises DataError."""
    try:
        if not log.startswith(MAGIC):
            raise RecordError("it is not a run log")
        return history_of(entry.value for entry in entries(log))
    except RecordError as error:
        raise DataError("E0716", f"{remote.shown}: the run of {job.short} is damaged: {error}", help=PUSH) from error


def _pull_checkpoint(folder: RunFolder, remote: Remote, below: str, name: Digest) -> Iterator[int | None]:
    """Fetch a checkpoint, as far as the remote has it: the list first, since it says how long each tensor is."""
    states = folder.states
    if not remote.has(f"{below}/{name.hex}"):
        return
    if remote.size(f"{below}/{name.hex}") > checkpoint.LIMITS.size:
        reason = f"{remote.shown}/{below}/{name.hex} is too large for a list of tensors"
        raise StoreError("E0712", reason, help=PUSH)
    listing = _pull_blob(folder.files, remote, below, states.own_path(name))
    for tensor in checkpoint.read(states, name).tensors:
        if remote.has(f"{below}/{tensor.blob.hex}"):
            yield _pull_blob(folder.files, remote, below, states.own_path(tensor.blob), tensor.type.nbytes)
    yield listing


def _pull_blob(files: FileLayer, remote: Remote, below: str, target: Path, size: int | None = None) -> int | None:
    if target.is_file():
        return None
    fetch_blob(files, remote, f"{below}/{target.name}", target, size)
    with explained("read", target):
        return files.status(target).st_size


def _check_run(remote: Remote, job: Digest, small: dict[str, bytes]) -> None:
    """Raises DataError where job or receipt are not of the job."""
    try:
        found = job_hash(decode_job(small[JOB])) if JOB in small else job
        said = decode_receipt(small[RECEIPT]).job if RECEIPT in small else job
    except (JobFormatError, ReceiptFormatError) as error:
        raise DataError("E0716", f"{remote.shown}: the run of {job.short} is damaged: {error}", help=PUSH) from error
    if (found, said) != (job, job):
        raise DataError("E0716", f"{remote.shown}: the run of {job.short} holds another job's files", help=PUSH)


def remote_runs(remote: Remote) -> list[Digest]:
    """Jobs that the remote has runs of."""
    return _digests(remote.names(RUNS))


def remote_sets(remote: Remote) -> list[Digest]:
    """Roots of the data sets that the remote has."""
    return _digests(name.removesuffix(SUFFIX) for name in remote.names(DATA) if name.endswith(SUFFIX))


def _digests(names: Iterable[str]) -> list[Digest]:
    return [Digest(bytes.fromhex(name)) for name in names if NAME.fullmatch(name)]
