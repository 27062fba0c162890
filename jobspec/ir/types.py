"""Types of the tensor program: an element type and a static shape.

Takes: names of element types. Promises: `Type` is a plain immutable value; the tuple of types of a
region operation is `tuple[Type, ...]`; sizes are in elements unless a name says bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

#: element type → bytes per element as stored
DTYPES: dict[str, int] = {"f32": 4, "i32": 4, "u32": 4, "bool": 1, "u8": 1, "u16": 2}
#: the same, and what a buffer of a plan alone may hold: the upper halves of f32 numbers that are bfloat16's
HALVES = "bf16"
SIZES: dict[str, int] = {**DTYPES, HALVES: 2}
INTEGERS = frozenset({"i32", "u32"})
STORAGE = frozenset({"u8", "u16"})


@dataclass(frozen=True, slots=True)
class Type:
    """`dtype` is a key of DTYPES, of a buffer in a plan one of SIZES; `shape` is () for a scalar."""

    dtype: str
    shape: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes as stored, without padding."""
        return self.size * SIZES[self.dtype]

    @property
    def rank(self) -> int:
        return len(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{' '.join(map(str, self.shape))}]"


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides in elements of a densely stored tensor of `shape`, last axis innermost."""
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    return tuple(strides)
