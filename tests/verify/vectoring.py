"""How a test vector is written: its name, its kind, what is given, and whether it is good."""

from __future__ import annotations

from typing import Any

from jobspec.ir.canonical import decode, encode

Vector = dict[str, Any]


def good(name: str, kind: str, **fields: Any) -> Vector:
    return {"name": name, "kind": kind, **fields, "good": True}


def bad(name: str, kind: str, **fields: Any) -> Vector:
    return {"name": name, "kind": kind, **fields, "good": False}


def changed(whole: bytes, /, **fields: Any) -> str:
    """A map's bytes with other values, or with keys more."""
    value = decode(whole)
    assert isinstance(value, dict)
    return encode({**value, **fields}).hex()
