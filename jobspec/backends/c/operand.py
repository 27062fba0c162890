"""One side of a tile of a contraction: which elements of a stage each work-item fetches, and where they lie in it.

Takes: the operand's lines and steps of k, how many work-items fetch it, `width` neighbours in one access. Promises: the
work-items fetch each element of a stage once, those beside each other what lies beside each other in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.backends.c.lines import wider
from jobspec.ir.contraction import Extent
from jobspec.ir.tiles import PAD

#: C type of an element → how many neighbours one access may take
WIDTHS = {"float": (4, 2), "ushort": (8, 4, 2)}


@dataclass(frozen=True)
class Operand:
    """One side of a tile: `lines` rows of a or columns of b, `steps` of k; `items` work-items fetch it. `half`: it lies
    in two bytes in memory."""

    name: str
    extents: tuple[Extent, ...]
    k: tuple[Extent, ...]
    side: str
    lines: int
    steps: int
    items: int
    width: int = 1
    half: bool = False

    @property
    def stored(self) -> str:
        """The C type of an element in memory."""
        return "ushort" if self.half else "float"

    def stride(self, extent: Extent) -> int:
        return extent.a if self.side == "a" else extent.b

    @property
    def along_k(self) -> bool:
        """Neighbouring work-items fetch neighbouring steps, as these lie together."""
        return self.stride(self.k[-1]) == 1 and self.items % (self.steps // self.width) == 0

    @property
    def single(self) -> bool:
        """Whether a step is always as far from the one before."""
        return len(self.k) == 1

    @property
    def each(self) -> int:
        """Fetches of a work-item, `width` neighbours in each."""
        return self.lines * self.steps // (self.items * self.width)

    @property
    def pitch(self) -> int:
        return self.lines + PAD

    @property
    def across(self) -> int:
        """Fetches beside each other along what is contiguous."""
        return (self.steps if self.along_k else self.lines) // self.width

    def line(self, j: int) -> str:
        """Which line fetch `j` of the work-item begins in."""
        run = self.items // self.across
        return f"(ITEM / {self.across} + {run * j})" if self.along_k else wider(self._beside(j), self.width)

    def step(self, j: int) -> str:
        """Its first step."""
        own, more = self.parts(j)
        return f"{own} + {more}" if own and more else own or str(more)

    def parts(self, j: int) -> tuple[str, int]:
        """Of that step, what differs from work-item to work-item, which may be nothing, and a number beside it."""
        if self.along_k:
            return wider(f"(ITEM % {self.across})", self.width), 0
        if self.items % self.across == 0:
            return f"(ITEM / {self.across})", self.items // self.across * j
        if self.across % self.items == 0:
            return "", j // (self.across // self.items)
        return f"((ITEM + {self.items * j}) / {self.across})", 0

    def _beside(self, j: int) -> str:
        if self.items % self.across == 0:
            return f"(ITEM % {self.across})"
        if self.across % self.items == 0:
            return f"(ITEM + {self.items * (j % (self.across // self.items))})"
        return f"((ITEM + {self.items * j}) % {self.across})"

    def shared_out(self, width: int) -> bool:
        """Whether the work-items fetch all of it, `width` neighbours each at a time."""
        cut = self.steps if self.stride(self.k[-1]) == 1 else self.lines
        fetches = self.lines * self.steps
        return cut % width == 0 and fetches >= self.items * width and fetches % (self.items * width) == 0
