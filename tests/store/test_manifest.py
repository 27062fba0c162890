"""Manifests: one root per content, and no damaged manifest passes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobspec.ir.canonical import Value, decode, encode
from jobspec.ir.digest import Digest, blob_digest, digest_value, merkle_root
from jobspec.ir.types import Type
from jobspec.store.manifest import Manifest, Piece, Shard, check_manifest, from_bytes, shard_counts

TYPES = st.builds(
    Type, st.sampled_from(("u8", "u16", "u32", "i32", "f32")), st.lists(st.integers(1, 9), max_size=3).map(tuple)
)
NAMES = st.from_regex(r"[a-z_][A-Za-z0-9_]{0,6}", fullmatch=True)


def made(
    kind: str, fields: tuple[tuple[str, Type], ...], records: int, step: int, vocabulary: str | None = None
) -> Manifest:
    """A valid manifest over shards that do not exist."""
    shards = tuple(
        Shard(
            count,
            tuple(Piece(blob_digest(f"{number} {name}".encode()), count * type.nbytes) for name, type in fields),
        )
        for number, count in enumerate(shard_counts(records, step))
    )
    return Manifest(kind, fields, records, step, shards, vocabulary)


TABLES = st.builds(
    lambda fields, records, step: made("table", tuple(sorted(fields.items())), records, step),
    st.dictionaries(NAMES, TYPES, min_size=1, max_size=4),
    st.integers(1, 40),
    st.integers(1, 15),
)
TEXTS = st.builds(
    lambda letters, records: made("tokens", (("tok", Type("u8")),), records, 9, "".join(sorted(letters))),
    st.sets(st.characters(codec="utf-8"), min_size=1, max_size=60),
    st.integers(1, 40),
)
TABLE = made("table", (("x", Type("u8", (8, 8))), ("y", Type("i32"))), 25, 10)
TEXT = made("tokens", (("tok", Type("u8")),), 25, 10, "abc")


@given(TABLES | TEXTS)
def test_round_trip(manifest: Manifest) -> None:
    again = from_bytes(manifest.to_bytes())
    assert again == manifest
    assert again.root == manifest.root


@given(TABLES | TEXTS, st.data())
def test_a_changed_byte_is_refused_or_gives_another_root(manifest: Manifest, data: st.DataObject) -> None:
    raw = bytearray(manifest.to_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        again = from_bytes(bytes(raw))
    except ValueError:
        return
    assert again.root != manifest.root


@pytest.mark.parametrize("manifest", [TABLE, TEXT])
def test_every_cut_is_refused(manifest: Manifest) -> None:
    raw = manifest.to_bytes()
    for end in range(len(raw)):
        with pytest.raises(ValueError):
            from_bytes(raw[:end])


def test_the_root_is_what_the_documentation_says() -> None:
    value = decode(TABLE.to_bytes())
    assert isinstance(value, dict)
    tree = merkle_root("data.shards", [encode(shard) for shard in value["shards"]])
    assert TABLE.root == digest_value("data", {**value, "shards": [3, tree.raw]})


def test_each_part_counts() -> None:
    pieces = TABLE.shards[0].pieces
    shard = replace(TABLE.shards[0], pieces=(replace(pieces[0], name=Digest(bytes(32))), pieces[1]))
    others = [
        replace(TABLE, shards=(shard, *TABLE.shards[1:])),
        replace(TABLE, shards=(*TABLE.shards[1::-1], TABLE.shards[2])),
        replace(TABLE, fields=(("x", Type("u8", (64,))), ("y", Type("i32")))),
        replace(TABLE, fields=(("x", Type("u8", (8, 8))), ("z", Type("i32")))),
        replace(TABLE, fields=(("x", Type("u8", (8, 8))), ("y", Type("f32")))),
    ]
    for other in others:
        check_manifest(other)
    texts = [TEXT, replace(TEXT, vocabulary="abd"), replace(TEXT, vocabulary=None)]
    roots = {manifest.root for manifest in (TABLE, *others, *texts)}
    assert len(roots) == 1 + len(others) + len(texts)


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (replace(TABLE, kind="list"), "unknown kind"),
        (replace(TABLE, kind="tokens"), "one scalar field"),
        (replace(TEXT, fields=(("tok", Type("f32")),)), "one scalar field"),
        (replace(TABLE, vocabulary="ab"), "no vocabulary"),
        (replace(TEXT, vocabulary="ba"), "not sorted"),
        (replace(TEXT, vocabulary=""), "does not fit"),
        (replace(TEXT, vocabulary="".join(map(chr, range(257)))), "does not fit"),
        (replace(TABLE, fields=()), "no fields"),
        (replace(TABLE, fields=TABLE.fields[::-1]), "not sorted"),
        (replace(TABLE, fields=(("X", Type("u8")),)), "not a field name"),
        (replace(TABLE, fields=(("x\n", Type("u8")),)), "not a field name"),
        (replace(TABLE, fields=(("x", Type("u8", (1,) * 9)),)), "more than 8 axes"),
        (replace(TABLE, fields=(("x", Type("u8", (1 << 30, 1 << 30))),)), "out of range"),
        (replace(TABLE, fields=(("x", Type("bool")), ("y", Type("i32")))), "unknown element type `bool`"),
        (replace(TABLE, shards=(replace(TABLE.shards[0], records=9), *TABLE.shards[1:])), "does not follow"),
        (replace(TABLE, records=24), "does not follow"),
        (replace(TABLE, records=31), "shards where the records fill"),
        (replace(TABLE, records=1 << 60), "shards where the records fill"),
        (replace(TABLE, shard_records=9), "does not follow"),
        (replace(TABLE, shards=TABLE.shards[:2]), "2 shards where the records fill 3"),
        (replace(TABLE, shards=TABLE.shards[1:] + TABLE.shards[:1]), "does not follow"),
    ],
)
def test_parts_that_do_not_fit_are_refused(manifest: Manifest, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        from_bytes(manifest.to_bytes())


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("format", 2, "format"),
        ("format", True, "format"),
        ("kind", b"table", "not text"),
        ("records", -1, "records"),
        ("records", "3", "records"),
        ("shard_records", 0, "shard_records"),
        ("fields", {}, "not an array"),
        ("fields", [["x", "u8"]], "not an array of 3"),
        ("fields", [["x", "f64", []]], "element type"),
        ("fields", [["x", "u8", [0]]], "size of `x`"),
        ("fields", [[1, "u8", []]], "text"),
        ("shards", [[10, [[b"short", 640]]]], "digest of 32 bytes"),
        ("shards", [3], "not an array of 2"),
        ("vocabulary", 1, "not text"),
        ("extra", 1, "unknown key `extra`"),
        ("kind", None, "not text"),
    ],
)
def test_values_of_another_form_are_refused(key: str, value: Value, reason: str) -> None:
    found = decode(TABLE.to_bytes())
    assert isinstance(found, dict)
    with pytest.raises(ValueError, match=reason):
        from_bytes(encode({**found, key: value}))


def test_a_missing_key_is_named() -> None:
    found = decode(TABLE.to_bytes())
    assert isinstance(found, dict)
    del found["records"]
    with pytest.raises(ValueError, match="lacks `records`"):
        from_bytes(encode(found))


def test_declaration() -> None:
    assert TABLE.declaration() == f"table({TABLE.root}, x=u8[X1 X2], y=i32)"
    assert TABLE.axes() == "dim X1=8, X2=8" and TEXT.axes() == "dim V=3"
    assert made("tokens", (("tok", Type("u8")),), 25, 10).axes() == ""
    assert TEXT.declaration() == f"tokens({TEXT.root}, u8)"
