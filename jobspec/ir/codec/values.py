"""Small values that jobs and plans share, as canonical values and back.

Takes: types, digests in text form. Promises: what is read is checked (element type known, sizes positive,
products bounded) or refused with a RecordError that names the place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from jobspec.ir.canonical import Value
from jobspec.ir.digest import Digest
from jobspec.ir.record import RecordError, as_array, as_integer
from jobspec.ir.types import DTYPES, Type

T = TypeVar("T")

#: axes of a tensor, bytes of one tensor
RANK = 16
BYTES = 1 << 42


def keys(words: str) -> frozenset[str]:
    """The keys of a map, written as words."""
    return frozenset(words.split())


def type_value(type: Type) -> Value:
    """`[dtype, [size…]]`"""
    return [type.dtype, list(type.shape)]


def read_type(value: Value, what: str, known: Collection[str] = DTYPES) -> Type:
    dtype, shape = as_array(value, what, 2)
    if not isinstance(dtype, str) or dtype not in known:
        raise RecordError(f"{what} has an unknown element type")
    sizes = as_array(shape, f"the shape of {what}")
    if len(sizes) > RANK:
        raise RecordError(f"{what} has more than {RANK} axes")
    type = Type(dtype, tuple(as_integer(size, f"a size of {what}", 1, BYTES) for size in sizes))
    if type.nbytes > BYTES:
        raise RecordError(f"{what} is larger than {BYTES} bytes")
    return type


def read_each(value: Value, what: str, read: Callable[[Value, str], T]) -> tuple[T, ...]:
    """`read` of every element of an array."""
    return tuple(read(element, f"{what} {i}") for i, element in enumerate(as_array(value, what)))


def as_text(value: Value, what: str) -> str:
    if not isinstance(value, str):
        raise RecordError(f"{what} is not text")
    return value


def as_flag(value: Value, what: str) -> bool:
    if not isinstance(value, bool):
        raise RecordError(f"{what} is neither true nor false")
    return value


def as_bytes(value: Value, what: str) -> bytes:
    if not isinstance(value, bytes):
        raise RecordError(f"{what} is not a byte string")
    return value


def root_value(root: str) -> bytes:
    """32 bytes of a digest in text form."""
    return Digest.parse(root).raw


def require(condition: bool, reason: str) -> None:
    if not condition:
        raise RecordError(reason)


def distinct(names: Iterable[str], what: str) -> None:
    """Raise RecordError where a name comes twice."""
    seen: set[str] = set()
    for name in names:
        require(name not in seen, f"{what} `{name}` comes twice")
        seen.add(name)
