"""Values and their canonical bytes, digests and types: sections 1 to 3 of docs/receipt-format.md.

Takes bytes that anybody may have written, and answers with a value or with `Refused`; a nested, long or cut
value costs no more memory or depth than DEPTH, ITEMS and its own length allow. The `as_…` functions hold a value
to the shape that the page gives it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeAlias

from blake3 import blake3

Value: TypeAlias = "None | bool | int | bytes | str | list[Value] | dict[str, Value]"

DEPTH, ITEMS, LIMIT = (
    64,
    1 << 22,
    1 << 28,
)  # the page bounds no nesting, entries or files: these bounds are this checker's
WORD = (1 << 64) - 1
WIDTHS = {"f32": 4, "i32": 4, "u32": 4, "bool": 1, "u8": 1, "u16": 2}


class Refused(Exception):
    """Something does not hold; the text says what."""


def need(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Refused(otherwise)


# --- 1. Values


class Reader:
    """Reads one canonical value; `left` keeps a small file from becoming many objects."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.left = data, 0, ITEMS

    def take(self, size: int) -> bytes:
        piece = self.data[self.at : self.at + size]
        need(len(piece) == size, "a value is cut")
        self.at += size
        return piece

    def head(self) -> tuple[int, int]:
        major, number = divmod(self.take(1)[0], 32)
        if number < 24:
            return major, number
        need(number < 28, "an indefinite length or a reserved head")
        least = (24, 1 << 8, 1 << 16, 1 << 32)[number - 24]
        number = int.from_bytes(self.take(1 << (number - 24)), "big")
        need(number >= least, "a head is longer than needed")
        return major, number

    def value(self, depth: int = 0) -> Value:
        self.left -= 1
        need(depth <= DEPTH and self.left >= 0, "nested deeper or longer than this checker reads")
        major, number = self.head()
        if major < 2:
            return -1 - number if major else number
        if major < 4:
            return text(self.take(number)) if major == 3 else self.take(number)
        if major == 4:
            return [self.value(depth + 1) for _ in range(number)]
        return self.map(number, depth) if major == 5 else self.simple(major, number)

    def map(self, number: int, depth: int) -> Value:
        found: dict[str, Value] = {}
        last = b""
        for _ in range(number):
            start = self.at
            key = as_text(self.value(depth + 1))
            raw = self.data[start : self.at]
            need(raw > last, "a map's keys are out of order")
            found[key], last = self.value(depth + 1), raw
        return found

    def simple(self, major: int, number: int) -> Value:
        need(major == 7 and 20 <= number <= 22, "a tag, a float or another simple value")
        return (False, True, None)[number - 20]


def text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refused("text that is not UTF-8") from None


def decode(data: bytes) -> Value:
    reader = Reader(data)
    value = reader.value()
    need(reader.at == len(data), "bytes behind the value")
    return value


def head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    size = next(size for size in range(4) if number < 1 << (8 << size))
    return bytes([major << 5 | 24 + size]) + number.to_bytes(1 << size, "big")


def encode(value: Value) -> bytes:
    if value is None or isinstance(value, bool):
        return b"\xf6" if value is None else b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encode, value))
    return head(5, len(value)) + b"".join(k + v for k, v in sorted((encode(k), encode(v)) for k, v in value.items()))


def as_map(value: Value, keys: str) -> dict[str, Value]:
    need(isinstance(value, dict) and value.keys() == set(keys.split()), f"not a map of exactly: {keys}")
    assert isinstance(value, dict)
    return value


def as_list(value: Value, length: int | None = None) -> list[Value]:
    need(isinstance(value, list) and length in (None, len(value)), "not an array of the right length")
    assert isinstance(value, list)
    return value


def as_int(value: Value, least: int = 0) -> int:
    need(isinstance(value, int) and not isinstance(value, bool) and value >= least, f"not an integer from {least} on")
    assert isinstance(value, int)
    return value


def as_text(value: Value) -> str:
    need(isinstance(value, str), "not a text")
    assert isinstance(value, str)
    return value


def as_bytes(value: Value, length: int | None = 32) -> bytes:
    need(isinstance(value, bytes) and length in (None, len(value)), "not a digest or not a byte string")
    assert isinstance(value, bytes)
    return value


# --- 2. Digests, 3. Types


def keyed(domain: str, data: bytes) -> bytes:
    return bytes(blake3(data, derive_key_context=f"jobspec 2026 {domain} v1").digest())


def hashed(domain: str, value: Value) -> bytes:
    return keyed(domain, encode(value))


def summed(domain: str, parts: Iterable[tuple[str, Value]]) -> bytes:
    return hashed(domain, [[name, hashed(f"{domain}.part", [name, value])] for name, value in parts])


def merkle(domain: str, leaves: Iterable[bytes]) -> bytes:
    level = [keyed(f"{domain}.leaf", leaf) for leaf in leaves] or [keyed(f"{domain}.empty", b"")]
    while len(level) > 1:
        pairs = [keyed(f"{domain}.node", a + b) for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def extent(dtype: Value, sizes: Value, least: int = 0) -> int:
    """How many bytes a tensor has; stops early, since sizes without end would make a number without end."""
    need(isinstance(dtype, str) and dtype in WIDTHS, "an unknown dtype")
    axes = [as_int(size, least) for size in as_list(sizes)]
    total = 0 if 0 in axes else WIDTHS[as_text(dtype)]
    for size in axes if total else ():
        total *= size
        need(total <= WORD, "a type larger than any length can say")
    return total


# --- JSON, which an input's name and a weights file's header are written in


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    need(len(dict(pairs)) == len(pairs), "a key twice in JSON")
    return dict(pairs)


def read_json(source: str) -> Any:
    try:
        return json.loads(source, object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise Refused("not JSON") from None
