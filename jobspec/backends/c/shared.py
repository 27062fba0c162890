"""Memory that the work-items of a group share, as one piece whose size the launch says.

Takes: a function's arrays there. Promises: they lie one behind the other, each at a multiple of `align` bytes, with GAP
bytes between that nobody touches, so that whoever watches a kernel sees it leave an array. On GPUs of NVIDIA this is
the way to more than the 48 KB that arrays of a function's own (LOCAL) may take together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from jobspec.backends.c.writer import Writer
from jobspec.ir.tiles import GAP

#: C type → bytes
SIZES = {"float": 4, "uint": 4, "int": 4, "ushort": 2, "uchar": 1}
ALIGN = 16


@dataclass(frozen=True)
class Array:
    """`type_`: C type of an element; `sizes`: of each axis."""

    name: str
    type_: str
    sizes: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return prod(self.sizes) * SIZES[self.type_]


@dataclass(frozen=True)
class Piece:
    """All arrays of a function. Two of them that are never used at once may be two names of one place (`open`)."""

    arrays: Sequence[Array]
    align: int = ALIGN

    @property
    def regions(self) -> tuple[tuple[int, int], ...]:
        """(first byte, bytes) of each array."""
        found, at = list[tuple[int, int]](), 0
        for array in self.arrays:
            found.append((at, array.bytes))
            at += -(-(array.bytes + GAP) // self.align) * self.align
        return tuple(found)

    @property
    def bytes(self) -> int:
        """What a group takes."""
        first, size = self.regions[-1]
        return first + size

    def declare(self, writer: Writer) -> None:
        """The piece and a pointer to each array, at the top of a function; behind it `name[i]`, `name[i][j]` are
        elements as those of an array."""
        writer.line(f"GROUP_MEMORY({self.bytes});")
        for number, array in enumerate(self.arrays):
            self.open(writer, array, number)

    def open(self, writer: Writer, array: Array, number: int) -> None:
        """`array` where the one of that number lies, which must be as large, in the block at hand."""
        first, size = self.regions[number]
        assert array.bytes <= size
        inner = "".join(f"[{n}]" for n in array.sizes[1:])
        type_ = f"SHARED {array.type_}"
        name, kind = (f"(*const {array.name}){inner}", f"(*){inner}") if inner else (f"*const {array.name}", "*")
        writer.line(f"{type_} {name} = ({type_} {kind})(group_memory + {first});")
