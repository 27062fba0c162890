"""Strict canonical binary: the one byte form of a value, so that a hash of it means something.

Takes: integers -2^64 … 2^64-1, bytes, text, arrays, maps with text keys, booleans, null. Promises:
`encode` gives the deterministic CBOR of RFC 8949 §4.2.1 (definite lengths, shortest heads, keys
ordered by their encoded bytes); `decode` accepts exactly what `encode` gives, within stated limits,
and names the byte where it stopped. No floats (a float travels as its bit pattern) and no tags.

cbor2 writes (its canonical mode orders text keys just so), after a check of the value. It does not
read: a decoder that trusts nothing has to bound nesting and element counts before it allocates, and
to refuse long heads, unsorted or repeated keys and every other spelling, so reading is written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cbor2

Value: TypeAlias = "int | bytes | str | bool | Sequence[Value] | Mapping[str, Value] | None"

UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)
SIMPLE_VALUES: dict[int, Value] = {20: False, 21: True, 22: None}
#: smallest number that needs an argument of so many bytes
SHORTEST = {1: 24, 2: 1 << 8, 4: 1 << 16, 8: 1 << 32}
#: the integers that fit: FIRST … PAST - 1
FIRST, PAST = -(1 << 64), 1 << 64
PLAIN = frozenset({int, bytes, str, bool, type(None), list, tuple, dict})


class CanonicalError(ValueError):
    """Not a canonical value. `position`: offset of the offending byte; 0 when a value is encoded."""

    def __init__(self, reason: str, position: int = 0) -> None:
        super().__init__(f"{reason} (at byte {position})")
        self.reason = reason
        self.position = position


@dataclass(frozen=True, slots=True)
class Limits:
    """What a value may cost: `size` in bytes, `depth` of nested arrays and maps, `items` in all."""

    size: int = 64 << 20
    depth: int = 32
    items: int = 1 << 20


DEFAULT = Limits()


def encode(value: Value, *, depth: int = DEFAULT.depth) -> bytes:
    """Canonical bytes of `value` (lists and tuples are arrays). Raises CanonicalError for anything else."""
    _check(value, depth)
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, limits: Limits = DEFAULT) -> Value:
    """The value whose canonical bytes are `data`; arrays come as lists. Raises CanonicalError."""
    if len(data) > limits.size:
        raise CanonicalError(f"more than the {limits.size:,} bytes that are allowed")
    reader = _Reader(bytes(data), limits)
    value = reader.value(limits.depth)
    if reader.at != len(data):
        raise CanonicalError("bytes after the end of the value", reader.at)
    return value


def reread(data: bytes) -> Value:
    """The same for bytes that are known to be what `encode` gave, in a tenth of the time: they are not checked again.
    Raises CanonicalError for some of those that are not."""
    try:
        value: Value = cbor2.loads(data)
    except cbor2.CBORDecodeError as error:
        raise CanonicalError(f"not a value: {error}") from error
    return value


def _check(value: Value, depth: int) -> None:
    """Refuse what has no canonical form. Types are compared exactly: a subclass may encode otherwise."""
    if type(value) not in PLAIN:
        raise CanonicalError(f"a {type(value).__name__} has no canonical form")
    if isinstance(value, (list, tuple)):
        _check_each(value, depth)
    elif isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        _check_map(value, depth)
    elif isinstance(value, int) and not FIRST <= value < PAST:
        raise CanonicalError(f"the integer {value} does not fit 64 bits")


def _check_text(value: str) -> None:
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise CanonicalError("text with a lone surrogate has no canonical form") from error


def _check_each(values: Iterable[Value], depth: int) -> None:
    if depth == 0:
        raise CanonicalError("nested too deep")
    for value in values:
        if type(value) is list or type(value) is tuple:
            _check_each(value, depth - 1)
        elif type(value) is str:
            _check_text(value)
        elif type(value) is not int or not FIRST <= value < PAST:
            _check(value, depth - 1)


def _check_map(value: dict[str, Value], depth: int) -> None:
    for key in value:
        if type(key) is not str:
            raise CanonicalError(f"a map key is text, not {type(key).__name__}")
        _check_text(key)
    _check_each(value.values(), depth)


class _Reader:
    """One pass over `data`; `at` is the offset of the next byte, `left` the items still allowed."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self.data = data
        self.at = 0
        self.left = limits.items

    def value(self, depth: int) -> Value:
        """The value at `at`; `depth` more arrays and maps may open inside one another."""
        start = self.at
        self._count(1, start)
        major, info = self._initial()
        if major == SIMPLE:
            return self._simple(info, start)
        number = self._argument(info, start)
        if major == UNSIGNED:
            return number
        if major == NEGATIVE:
            return -1 - number
        if major == BYTES:
            return self._take(number, start)
        if major == TEXT:
            return self._text(number, start)
        if major == TAG:
            raise CanonicalError("a tag, which this form does not have", start)
        return self._container(major, number, depth, start)

    def _initial(self) -> tuple[int, int]:
        """Major type and additional information of the next initial byte."""
        head = self._take(1, self.at)[0]
        return head >> 5, head & 31

    def _container(self, major: int, number: int, depth: int, start: int) -> Value:
        if depth == 0:
            raise CanonicalError("nested too deep", start)
        self._count(number if major == ARRAY else 2 * number, start, spend=False)
        if major == ARRAY:
            return [self.value(depth - 1) for _ in range(number)]
        return self._map(number, depth - 1)

    def _map(self, number: int, depth: int) -> Value:
        found: dict[str, Value] = {}
        last = b""
        for _ in range(number):
            start = self.at
            key = self._key(start)
            raw = self.data[start : self.at]
            if raw <= last:
                raise CanonicalError("map keys repeated or out of order", start)
            last = raw
            found[key] = self.value(depth)
        return found

    def _key(self, start: int) -> str:
        self._count(1, start)
        major, info = self._initial()
        if major != TEXT:
            raise CanonicalError("a map key that is not text", start)
        return self._text(self._argument(info, start), start)

    def _count(self, items: int, start: int, *, spend: bool = True) -> None:
        """Every item takes a byte at least, so a count above the bytes left is refused before any is read."""
        if items > self.left:
            raise CanonicalError("more items than allowed", start)
        if items > len(self.data) - self.at:
            raise CanonicalError("ends before its value does", len(self.data))
        if spend:
            self.left -= items

    def _argument(self, info: int, start: int) -> int:
        """The head's number, which must be written in its shortest form."""
        if info < 24:
            return info
        if info > 27:
            raise CanonicalError("an indefinite or reserved length", start)
        width = 1 << (info - 24)
        number = int.from_bytes(self._take(width, start))
        if number < SHORTEST[width]:
            raise CanonicalError("a number that is not in its shortest form", start)
        return number

    def _simple(self, info: int, start: int) -> Value:
        if info in SIMPLE_VALUES:
            return SIMPLE_VALUES[info]
        raise CanonicalError("a float or simple value, which this form does not have", start)

    def _text(self, number: int, start: int) -> str:
        raw = self._take(number, start)
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise CanonicalError("text that is not UTF-8", start) from error

    def _take(self, number: int, start: int) -> bytes:
        end = self.at + number
        if end > len(self.data):
            raise CanonicalError("ends before its value does", start)
        raw = self.data[self.at : end]
        self.at = end
        return raw
