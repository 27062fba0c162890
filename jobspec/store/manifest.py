"""Manifests: what a data set is, and the root that names it.

Takes: a data set's kind, fields and shards. Promises: one manifest per content, one root per manifest
(the same records give the same root however they were imported); a manifest read from bytes is checked
in every part, or refused with the reason.

    manifest := {format, kind, fields: [[name, dtype, [size…]]…], records, shard_records,
                 shards: [[records, [[hash, bytes]…]]…], vocabulary: text or null}
    root     := digest "data" of the manifest with `shards` replaced by [count, Merkle root "data.shards"]
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from jobspec.ir.canonical import Limits, Value, decode, encode
from jobspec.ir.digest import Digest, digest_value, merkle_root
from jobspec.ir.record import Record, RecordError, as_array, as_digest, as_integer
from jobspec.ir.types import Type

FORMAT = 1
KINDS = ("table", "tokens")
#: element types of a field, and of tokens
FIELD_DTYPES = ("u8", "u16", "u32", "i32", "f32")
TOKEN_DTYPES = ("u8", "u16", "u32")
#: the one field of a token set
TOKEN = "tok"
NAME = re.compile(r"[a-z_][A-Za-z0-9_]*")
KEYS = frozenset({"format", "kind", "fields", "records", "shard_records", "shards", "vocabulary"})
LIMITS = Limits(size=256 << 20, depth=6, items=16 << 20)
RANK = 8
RECORD_BYTES = 1 << 40


@dataclass(frozen=True, slots=True)
class Piece:
    """One field of one shard: a blob of `size` bytes."""

    name: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Shard:
    """A run of records: one piece per field, in the fields' order."""

    records: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Manifest:
    """`fields`: (name, type of one record), sorted by name; a token set has the one scalar field `tok`.
    Every shard but the last has `shard_records` records. `vocabulary`: the character of each token."""

    kind: str
    fields: tuple[tuple[str, Type], ...]
    records: int
    shard_records: int
    shards: tuple[Shard, ...]
    vocabulary: str | None = None

    @cached_property
    def root(self) -> Digest:
        """The name of the data set."""
        tree = merkle_root("data.shards", (encode(_shard_value(shard)) for shard in self.shards))
        return digest_value("data", {**self._head(), "shards": [len(self.shards), tree.raw]})

    def to_bytes(self) -> bytes:
        shards: list[Value] = [_shard_value(shard) for shard in self.shards]
        return encode({**self._head(), "shards": shards})

    def _head(self) -> Mapping[str, Value]:
        fields: list[Value] = [[name, type.dtype, type.shape] for name, type in self.fields]
        return {
            "format": FORMAT,
            "kind": self.kind,
            "fields": fields,
            "records": self.records,
            "shard_records": self.shard_records,
            "vocabulary": self.vocabulary,
        }

    @property
    def nbytes(self) -> int:
        """Bytes of all shards."""
        return sum(piece.size for shard in self.shards for piece in shard.pieces)

    def declaration(self) -> str:
        """How a job names it: `table(b3:…, x=u8[X1 X2], y=u8)` or `tokens(b3:…, u8)`."""
        if self.kind == "tokens":
            return f"tokens({self.root}, {self.fields[0][1].dtype})"
        fields = ", ".join(field_text(name, type) for name, type in self.fields)
        return f"table({self.root}, {fields})"

    def axes(self) -> str:
        """The axes that the declaration names, with their sizes: `dim X1=28, X2=28`; of a text that of its characters,
        `dim V=65`; empty where there are none."""
        if self.vocabulary is not None:
            return f"dim V={len(self.vocabulary)}"
        named = (pair for name, type in self.fields for pair in zip(axes_of(name, type), type.shape, strict=True))
        sizes = [f"{axis}={size}" for axis, size in named]
        return f"dim {', '.join(sizes)}" if sizes else ""


def axes_of(name: str, type: Type) -> list[str]:
    """Names for the axes of a field: X for the one axis of x, X1 X2 for two; a user gives them better ones."""
    stem = name.replace("_", "").capitalize() or "X"
    return [stem] if len(type.shape) == 1 else [f"{stem}{i + 1}" for i in range(len(type.shape))]


def field_text(name: str, type: Type) -> str:
    """`y=u8` for a scalar, else `x=u8[X1 X2]`."""
    axes = f"[{' '.join(axes_of(name, type))}]" if type.shape else ""
    return f"{name}={type.dtype}{axes}"


def shard_counts(records: int, shard_records: int) -> list[int]:
    """Records of each shard."""
    full, rest = divmod(records, shard_records)
    return [shard_records] * full + [rest] * (rest > 0)


def from_bytes(data: bytes) -> Manifest:
    """The manifest `data` encodes. Raises ValueError (CanonicalError, RecordError) with the reason."""
    record = Record(decode(data, LIMITS), "the manifest", KEYS)
    record.integer("format", FORMAT, FORMAT)
    manifest = Manifest(
        record.text("kind"),
        tuple(_read_field(value) for value in record.array("fields")),
        record.integer("records", 1),
        record.integer("shard_records", 1),
        tuple(_read_shard(value) for value in record.array("shards")),
        None if record.get("vocabulary") is None else record.text("vocabulary"),
    )
    check_manifest(manifest)
    return manifest


def check_manifest(manifest: Manifest) -> None:
    """Raise RecordError where the parts do not fit one another."""
    _require(manifest.kind in KINDS, f"unknown kind `{manifest.kind}`")
    _check_fields(manifest.fields)
    if manifest.kind == "tokens":
        _check_tokens(manifest)
    else:
        _require(manifest.vocabulary is None, "a table has no vocabulary")
    _check_shards(manifest)


def _check_fields(fields: Sequence[tuple[str, Type]]) -> None:
    names = [name for name, _ in fields]
    _require(bool(names), "no fields")
    _require(names == sorted(set(names)), "field names repeated or not sorted")
    for name, type in fields:
        _require(NAME.fullmatch(name) is not None, f"`{name}` is not a field name")
        _require(type.dtype in FIELD_DTYPES, f"field `{name}` has the unknown element type `{type.dtype}`")
        _require(len(type.shape) <= RANK, f"field `{name}` has more than {RANK} axes")
        _require(0 < type.nbytes <= RECORD_BYTES, f"a record of field `{name}` has a size out of range")


def _check_tokens(manifest: Manifest) -> None:
    (name, type), *others = manifest.fields
    fits = name == TOKEN and not others and type.shape == () and type.dtype in TOKEN_DTYPES
    _require(fits, f"a token set has the one scalar field `{TOKEN}` of {', '.join(TOKEN_DTYPES)}")
    letters = manifest.vocabulary
    if letters is not None:
        _require(list(letters) == sorted(set(letters)), "vocabulary repeated or not sorted")
        _require(0 < len(letters) <= 1 << (8 * type.nbytes), "vocabulary does not fit its element type")


def _check_shards(manifest: Manifest) -> None:
    full = -(-manifest.records // manifest.shard_records)
    _require(len(manifest.shards) == full, f"{len(manifest.shards)} shards where the records fill {full}")
    wanted = shard_counts(manifest.records, manifest.shard_records)
    for number, (shard, count) in enumerate(zip(manifest.shards, wanted, strict=True)):
        sizes = [count * type.nbytes for _, type in manifest.fields]
        fits = shard.records == count and [piece.size for piece in shard.pieces] == sizes
        _require(fits, f"shard {number} has a size that does not follow from the fields and records")


def _require(true: bool, reason: str) -> None:
    if not true:
        raise RecordError(f"the manifest is not valid: {reason}")


def _shard_value(shard: Shard) -> Value:
    return [shard.records, [[piece.name.raw, piece.size] for piece in shard.pieces]]


def _read_field(value: Value) -> tuple[str, Type]:
    name, dtype, shape = as_array(value, "a field", 3)
    if not isinstance(name, str) or not isinstance(dtype, str):
        raise RecordError("a field's name and element type are text")
    sizes = as_array(shape, f"the shape of `{name}`")
    _require(dtype in FIELD_DTYPES, f"field `{name}` has the unknown element type `{dtype}`")
    return name, Type(dtype, tuple(as_integer(size, f"a size of `{name}`", 1) for size in sizes))


def _read_shard(value: Value) -> Shard:
    records, pieces = as_array(value, "a shard", 2)
    return Shard(
        as_integer(records, "the record count of a shard", 1),
        tuple(_read_piece(piece) for piece in as_array(pieces, "the pieces of a shard")),
    )


def _read_piece(value: Value) -> Piece:
    name, size = as_array(value, "a piece", 2)
    return Piece(as_digest(name, "the hash of a piece"), as_integer(size, "the size of a piece", 1))
