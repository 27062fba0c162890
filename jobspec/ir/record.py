"""Typed reading of a decoded map: what every reader of foreign bytes needs.

Takes: a value from `canonical.decode` and the keys it must have. Promises: a key that is missing, not
known, of the wrong type or out of range is a RecordError naming the key; nothing is converted.
"""

from __future__ import annotations

from jobspec.ir.canonical import Value
from jobspec.ir.digest import Digest


class RecordError(ValueError):
    """A decoded value does not have the form its reader asks for."""


class Record:
    """A map with exactly the keys `keys`; `what` names it in errors."""

    def __init__(self, value: Value, what: str, keys: frozenset[str]) -> None:
        if not isinstance(value, dict):
            raise RecordError(f"{what} is not a map")
        self._map: dict[str, Value] = value
        self._what = what
        self._same_keys(keys)

    def _same_keys(self, keys: frozenset[str]) -> None:
        for key in sorted(keys ^ self._map.keys()):
            reason = "lacks" if key in keys else "has the unknown key"
            raise RecordError(f"{self._what} {reason} `{key}`")

    def integer(self, key: str, low: int = 0, high: int = (1 << 63) - 1) -> int:
        """The integer at `key`, low ≤ n ≤ high."""
        return as_integer(self._map[key], f"{self._what}: `{key}`", low, high)

    def text(self, key: str) -> str:
        found = self._map[key]
        if not isinstance(found, str):
            raise RecordError(f"{self._what}: `{key}` is not text")
        return found

    def digest(self, key: str) -> Digest:
        return as_digest(self._map[key], f"{self._what}: `{key}`")

    def array(self, key: str) -> list[Value]:
        return as_array(self._map[key], f"{self._what}: `{key}`")

    def get(self, key: str) -> Value:
        """The value at `key`, unchecked."""
        return self._map[key]


def as_integer(value: Value, what: str, low: int = 0, high: int = (1 << 63) - 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise RecordError(f"{what} is not an integer from {low} to {high}")
    return value


def as_digest(value: Value, what: str) -> Digest:
    if not isinstance(value, bytes) or len(value) != 32:
        raise RecordError(f"{what} is not a digest of 32 bytes")
    return Digest(value)


def as_array(value: Value, what: str, length: int | None = None) -> list[Value]:
    """The array `value`, of exactly `length` entries where one is given."""
    if not isinstance(value, list) or (length is not None and len(value) != length):
        raise RecordError(f"{what} is not an array" + ("" if length is None else f" of {length}"))
    return value
