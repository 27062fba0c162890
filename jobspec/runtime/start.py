"""The weights that a job begins with: found by their hash, checked, read.

Takes: a hash, and the stores. Promises: the tensors of a safetensors file in the store (by the BLAKE3 of its bytes), or
of a checkpoint of ours (by its own hash or by the root of its state), as float32 and bit for bit; half precision is
widened, which is exact. A DataError says what is missing or of another form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.ir.digest import Digest
from jobspec.ir.errors import DataError
from jobspec.ir.job import Job
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.safetensors import SafetensorsError, Stored, stored_tensors, widened
from jobspec.store import checkpoint
from jobspec.store.blobs import BlobStore
from jobspec.store.home import Home

Array = NDArray[Any]
#: shape and values of a tensor
Entry = tuple[tuple[int, ...], Callable[[], NDArray[Any]]]
#: bytes that a checkpoint's own blob has at most, so that tensors are not looked into
LIST = 4 << 20
UNKNOWN = "E0440"
#: letters of a hash in full
WHOLE = len("b3:") + 64


class Weights:
    """Tensors by name, found when asked for. `search`: more folders that files may lie in."""

    def __init__(self, home: Home, search: Sequence[Path] = ()) -> None:
        self.home, self.files = home, home.data(search)

    def resolve(self, root: str) -> str:
        """The whole hash that `root` begins; `root` itself where nothing here does, or it is whole."""
        if len(root) == WHOLE:
            return root
        found = sorted({str(name) for name in self._beginning(root)})
        if len(found) > 1:
            raise DataError("E0406", f"{root} is the beginning of {len(found)} hashes", help="write more of its digits")
        return found[0] if found else root

    def _beginning(self, root: str) -> Iterator[Digest]:
        for folder in self.files.folders:
            yield from (Digest.parse(f"b3:{p.name}") for p in folder.glob(f"{root[3:]}*") if len(p.name) == WHOLE - 3)
        for _, own, listed in self._checkpoints():
            yield from (name for name in (own, listed.state) if str(name).startswith(root))

    def shapes(self, root: str) -> dict[str, tuple[int, ...]] | None:
        """Shape by name; None where nothing of that hash is here."""
        try:
            return {name: shape for name, (shape, _) in self.open(root).items()}
        except DataError as error:
            if error.code == UNKNOWN:
                return None
            raise

    def tensors(self, job: Job) -> dict[str, Array]:
        """Slot → the float32 values that it begins with; empty where the job starts from its own."""
        if job.start is None:
            return {}
        held, types = self.open(job.start.root), {slot.name: slot.type for slot in job.state}
        found = {}
        for slot, source in job.start.tensors:
            if source not in held or held[source][0] != types[slot].shape:
                raise unfitting(job.start.root, source, held, slot, types[slot].shape)
            found[slot] = finite(job.start.root, source, held[source][1]())
        return found

    def open(self, root: str) -> Mapping[str, Entry]:
        """Shape and reader of each tensor, by name. Raises DataError."""
        whole = self.resolve(root)
        name = Digest.parse(whole) if len(whole) == WHOLE else None
        if name is not None and self.files.has(name):
            return in_file(whole, self.files.map(name))
        for store, own, listed in self._checkpoints():
            if name in (own, listed.state):
                return {t.name: (t.type.shape, reader(store, t)) for t in listed.tensors}
        help = "add the file, `jobspec weights add FILE`; a state is here once the job that ends with it was run here"
        raise DataError(UNKNOWN, f"no weights {root} are known here", help=help)

    def _checkpoints(self) -> Iterator[tuple[BlobStore, Digest, checkpoint.Checkpoint]]:
        """All that the runs here keep."""
        for path in sorted(self.home.runs.glob("*")):
            store = RunFolder(path, self.home.files).states
            for name in store.names():
                if store.own_path(name).stat().st_size <= LIST:
                    try:
                        yield store, name, checkpoint.from_bytes(store.get(name))
                    except ValueError:
                        continue


def reader(store: BlobStore, tensor: checkpoint.Tensor) -> Callable[[], Array]:
    return lambda: checkpoint.load_tensor(store, tensor)


def in_file(root: str, data: memoryview) -> dict[str, Entry]:
    try:
        held = stored_tensors(data)[0]
    except SafetensorsError as error:
        raise DataError(
            "E0442", f"{root} is no safetensors file: {error}", help="start from one, or a state"
        ) from error
    return {name: (stored.shape, opened(root, name, stored)) for name, stored in held.items()}


def opened(root: str, name: str, stored: Stored) -> Callable[[], Array]:
    def read() -> Array:
        try:
            return widened(stored)
        except SafetensorsError as error:
            raise DataError("E0442", f"tensor `{name}` of {root}: {error}", help="convert it to float32") from error

    return read


def unfitting(root: str, source: str, held: Mapping[str, Entry], slot: str, shape: tuple[int, ...]) -> DataError:
    """E0441 for weights that were not here yet when the job was read, which looks at shapes where it can."""
    there = f"its `{source}` is {list(held[source][0])}" if source in held else f"it has no `{source}`"
    reason = f"the weights {root} do not fit: {there}, and `{slot}` of the job is {list(shape)}"
    help = f"`jobspec weights show {root[:15]}` lists them; set the job's dims to theirs, or begin with others"
    return DataError("E0441", reason, help=help)


def finite(root: str, name: str, array: Array) -> Array:
    """The values, none of which is NaN or infinite: a state never is."""
    if array.dtype == np.float32 and np.isfinite(array).all():
        return array
    bad = np.argwhere(~np.isfinite(array)).tolist()
    where = f"element {bad[0]} is {array[tuple(bad[0])]}" if bad else f"it is {array.dtype}"
    reason = f"`{name}` of the weights {root} is not all finite float32 numbers: {where}"
    raise DataError("E0441", reason, help="begin with other weights, as those before training went wrong")
