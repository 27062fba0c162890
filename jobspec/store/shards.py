"""Cutting arrays into shards.

Takes: one array per field, all with the same number of records. Promises: the manifest of exactly those
records, its shards stored; every shard of every field is at most SHARD bytes (or one record). The cut
depends on the fields alone, so the same records always get the same root.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from jobspec.ir.types import Type
from jobspec.store.blobs import BlobStore
from jobspec.store.datasets import save_manifest
from jobspec.store.dtypes import Array, dtype_name, raw_bytes, stored
from jobspec.store.manifest import TOKEN, Manifest, Piece, Shard, check_manifest

#: bytes of one field in one shard, at most
SHARD = 64 << 20


def write_table(store: BlobStore, fields: Mapping[str, Array], *, shard: int = SHARD) -> Manifest:
    """Store a table: arrays [records, *shape] of u8, u16, u32, i32 or f32. Raises StoreError."""
    return _write(store, "table", fields, None, shard)


def write_tokens(
    store: BlobStore, tokens: Array, *, vocabulary: str | None = None, shard: int = SHARD
) -> Manifest:
    """Store a token set: [records] of u8, u16 or u32. `vocabulary`: the character of each token."""
    return _write(store, "tokens", {TOKEN: tokens}, vocabulary, shard)


def _write(
    store: BlobStore, kind: str, fields: Mapping[str, Array], vocabulary: str | None, shard: int
) -> Manifest:
    arrays = [fields[name] for name in sorted(fields)]
    types = [_record_type(array) for array in arrays]
    records = len(arrays[0])
    step = max(1, shard // max(type.nbytes for type in types))
    shards = tuple(_shards(store, arrays, records, step))
    manifest = Manifest(
        kind, tuple(zip(sorted(fields), types, strict=True)), records, step, shards, vocabulary
    )
    check_manifest(manifest)
    save_manifest(store, manifest)
    return manifest


def _record_type(array: Array) -> Type:
    dtype = dtype_name(array.dtype)
    assert dtype is not None, f"{array.dtype} has no element type here"
    return Type(dtype, array.shape[1:])


def _shards(store: BlobStore, arrays: Sequence[Array], records: int, step: int) -> Iterator[Shard]:
    for first in range(0, records, step):
        last = min(first + step, records)
        yield Shard(last - first, tuple(_piece(store, array[first:last]) for array in arrays))


def _piece(store: BlobStore, part: Array) -> Piece:
    data = raw_bytes(stored(part))
    return Piece(store.put(data), data.nbytes)
