"""Checkpoints: the state at one step, one blob per tensor and one that lists them.

Takes: tensors in parameter order. Promises: `load` gives back the bits that `save` took, or a DataError
names the tensor that is missing or changed; the state root depends on names, element types, shapes and
bytes alone. A tensor that has not changed since an earlier checkpoint is not written again.

    checkpoint := {format, job, step, state, tensors: [[name, dtype, [size…], hash, bytes]…]}
    state root := Merkle root "state" over the leaves [name, dtype, [size…], hash], in order
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from jobspec.ir.canonical import Limits, Value, decode, encode
from jobspec.ir.digest import Digest, blob_digest, merkle_root
from jobspec.ir.errors import DataError
from jobspec.ir.record import Record, RecordError, as_array, as_digest, as_integer
from jobspec.ir.types import DTYPES, Type
from jobspec.store.blobs import BlobDamaged, BlobMissing, BlobStore
from jobspec.store.dtypes import NUMPY, Array, dtype_name, raw_bytes, stored

FORMAT = 1
KEYS = frozenset({"format", "job", "step", "state", "tensors"})
LIMITS = Limits(size=64 << 20, depth=6, items=8 << 20)
NO_DIGEST = bytes(32)
#: what to do about a checkpoint that is not whole
AGAIN = "`jobspec run` goes on from an older one; a finished run makes it anew with `jobspec run --again`"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a state: `blob` is the plain BLAKE3 of its bytes, little-endian, last axis innermost."""

    name: str
    type: Type
    blob: Digest


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint's own blob says; `state` is checked against `tensors`."""

    job: Digest
    step: int
    state: Digest
    tensors: tuple[Tensor, ...]


def state_root(tensors: Mapping[str, Array]) -> Digest:
    """Root of the state: Merkle over the tensors in the mapping's order."""
    return root_of(described(tensors))


def described(tensors: Mapping[str, Array]) -> tuple[Tensor, ...]:
    """What a checkpoint lists of them; they are hashed."""
    return tuple(Tensor(name, _type(array), array_digest(array)) for name, array in tensors.items())


def array_digest(array: Array) -> Digest:
    """The name of the blob of its bytes."""
    return blob_digest(raw_bytes(stored(array)))


def root_of(tensors: Iterable[Tensor]) -> Digest:
    """State root of tensors whose bytes are hashed already."""
    return merkle_root("state", (_before_digest(t.name, t.type) + t.blob.raw for t in tensors))


@lru_cache(maxsize=1 << 14)
def _before_digest(name: str, type: Type) -> bytes:
    """A leaf's bytes up to the digest's own, which end it."""
    leaf: list[Value] = [name, type.dtype, type.shape, NO_DIGEST]
    return encode(leaf)[: -len(NO_DIGEST)]


def save(
    store: BlobStore, job: Digest, step: int, tensors: Mapping[str, Array], listed: Sequence[Tensor] | None = None
) -> Digest:
    """Store the state before step `step`; the checkpoint's name. `listed`: what `described` says of these tensors, if
    it is known. Durable when this returns: tensors first, then the blob that lists them. Raises StoreError; then no
    checkpoint of that name exists."""
    known = described(tensors) if listed is None else tuple(listed)
    for tensor in known:
        store.put(raw_bytes(stored(tensors[tensor.name])), sync_folder=False, name=tensor.blob)
    store.sync()
    return store.put(to_bytes(Checkpoint(job, step, root_of(known), known)))


def _type(array: Array) -> Type:
    dtype = dtype_name(array.dtype)
    if dtype is None:
        raise ValueError(f"state of {array.dtype} cannot be stored: only {', '.join(NUMPY)}")
    return Type(dtype, array.shape)


def to_bytes(checkpoint: Checkpoint) -> bytes:
    tensors: list[Value] = [
        [t.name, t.type.dtype, t.type.shape, t.blob.raw, t.type.nbytes] for t in checkpoint.tensors
    ]
    return encode(
        {
            "format": FORMAT,
            "job": checkpoint.job.raw,
            "step": checkpoint.step,
            "state": checkpoint.state.raw,
            "tensors": tensors,
        }
    )


def from_bytes(data: bytes) -> Checkpoint:
    """The checkpoint `data` lists. Raises ValueError with the reason."""
    record = Record(decode(data, LIMITS), "the checkpoint", KEYS)
    record.integer("format", FORMAT, FORMAT)
    tensors = tuple(_read_tensor(value) for value in record.array("tensors"))
    names = [tensor.name for tensor in tensors]
    if len(set(names)) < len(names):
        raise RecordError("the checkpoint lists a tensor twice")
    checkpoint = Checkpoint(
        record.digest("job"), record.integer("step"), record.digest("state"), tensors
    )
    if root_of(tensors) != checkpoint.state:
        raise RecordError("the checkpoint's state root does not follow from its tensors")
    return checkpoint


def _read_tensor(value: Value) -> Tensor:
    name, dtype, shape, blob, size = as_array(value, "a tensor", 5)
    if not isinstance(name, str) or not isinstance(dtype, str) or dtype not in DTYPES:
        raise RecordError("a tensor's name or element type is not known")
    sizes = as_array(shape, f"the shape of `{name}`")
    type = Type(dtype, tuple(as_integer(n, f"a size of `{name}`") for n in sizes))
    as_integer(size, f"the bytes of `{name}`", type.nbytes, type.nbytes)
    return Tensor(name, type, as_digest(blob, f"the hash of `{name}`"))


def read(store: BlobStore, name: Digest) -> Checkpoint:
    """The checkpoint `name`, without its tensors. Raises DataError."""
    try:
        return from_bytes(store.get(name, LIMITS.size))
    except (BlobMissing, BlobDamaged) as error:
        raise DataError("E0709", f"the checkpoint {name.short} is not whole: {error.reason}", help=AGAIN) from error
    except ValueError as error:
        raise DataError("E0708", f"the blob {name} is not a checkpoint: {error}", help=AGAIN) from error


def is_here(store: BlobStore, name: Digest) -> bool:
    """Whether there are files of its list and of all its tensors. Raises DataError where the list is damaged."""
    return store.has(name) and all(store.has(tensor.blob) for tensor in read(store, name).tensors)


def load(store: BlobStore, name: Digest) -> tuple[Checkpoint, dict[str, Array]]:
    """The checkpoint `name` and its tensors, mapped and read-only, in order. Raises DataError naming the
    first tensor that is missing or changed."""
    checkpoint = read(store, name)
    return checkpoint, {tensor.name: load_tensor(store, tensor) for tensor in checkpoint.tensors}


def load_tensor(store: BlobStore, tensor: Tensor) -> Array:
    """The tensor's values, read-only. Raises DataError naming it."""
    try:
        _check_size(store, tensor)
        data = store.map(tensor.blob)
    except (BlobMissing, BlobDamaged) as error:
        raise DataError("E0709", f"tensor `{tensor.name}`: {error.reason}", help=AGAIN) from error
    return np.frombuffer(data, NUMPY[tensor.type.dtype]).reshape(tensor.type.shape)


def _check_size(store: BlobStore, tensor: Tensor) -> None:
    """Before so much is hashed. Raises BlobMissing, DataError."""
    size = store.files.status(store.path(tensor.blob)).st_size
    if size != tensor.type.nbytes:
        reason = f"tensor `{tensor.name}` is {tensor.type}, but its blob is damaged: it has {size} bytes"
        raise DataError("E0709", reason, help=AGAIN)
