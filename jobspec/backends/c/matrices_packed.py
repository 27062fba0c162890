"""C code of contractions by matrix instructions on the side, whose operands are first copied as these read them.

Takes: what matrices_aside.py takes, and `stages`: how many stages lie in shared memory. Promises: its bits. Two
launches copy the operands to memory in bfloat16: 64 × 64 numbers together, in the order in which they lie in shared
memory, zeros where there are none. A tile then fetches half the bytes, sixteen in one access that passes by no
register, some stages before they are multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from jobspec.backends.c.matrices_aside import ALIGN, ROW, WORDS, Blocks
from jobspec.backends.c.operand import Operand
from jobspec.backends.c.request import Launch, Request
from jobspec.backends.c.scope import Scope, digits, flattened
from jobspec.backends.c.shared import Array, Piece
from jobspec.backends.c.writer import Writer
from jobspec.backends.nest import Nest
from jobspec.ir.contraction import Extent, size
from jobspec.ir.tiles import BLOCK

#: words of an access; bytes of a block
ACCESS, BYTES = 4, 4 * WORDS


def render(q: Request, writer: Writer) -> list[Launch]:
    get = q.schedule.get
    tiles = Tiles(q, writer, q.form, 2, get("aside", BLOCK) // 4, get("high", 1), get("wide", 1))
    launches, end = [], 0
    for copy in tiles.copies:
        if copy.bytes:
            launches.append(copy.copied(end))
        end += copy.bytes
    return [*launches, replace(tiles.render(), scratch=end)]


@dataclass(frozen=True)
class Copies(Blocks):
    """The function that copies operand 0 or 1: a group of 128 a block, in the order [batch][block of lines][stage]."""

    number: int
    needed: bool

    @property
    def operand(self) -> Operand:
        return self.operands[self.number]

    @property
    def outer(self) -> tuple[Extent, ...]:
        """The batch that the operand moves along."""
        return tuple(e for e in self.form.batch if self.operand.stride(e))

    @property
    def blocks(self) -> int:
        """Of lines."""
        return -(-size(self.operand.extents) // BLOCK)

    @property
    def bytes(self) -> int:
        return BYTES * prod(e.size for e in self.outer) * self.blocks * self._stages * self.needed

    def copied(self, place: int) -> Launch:
        """To `place` in the scratch memory."""
        q, w, o = self.q, self.writer, self.operand
        symbol, groups = f"{q.name}_{o.name}", self.bytes // BYTES
        with q.function(w, symbol, Nest(q.kernel, ((),), -1, 1), (), self.items) as top:
            top.site.open((self.form.a if o.side == "a" else self.form.b,))
            group = f"({self.index})GROUP"
            *at, block, stage = digits(w, self.index, group, [*(e.size for e in self.outer), self.blocks, self._stages])
            first = w.let(self.index, f"{block} * {BLOCK}", "first")
            reach = self._reach(top, o, dict(zip(self.outer, at, strict=True)), first)
            w.line(f"GLOBAL uint* const {o.name} = (GLOBAL uint*)(scratch + {place}l) + (long)GROUP * {WORDS};")
            self._fetch(o, reach, stage, "")
            self._put(o, "")
        return Launch(symbol, groups, self.items, q.turns, place + self.bytes)

    def _simple(self, o: Operand) -> bool:
        """Each stage is found by itself."""
        return False

    def _start(self, o: Operand, half: str) -> str:
        return o.name


@dataclass(frozen=True)
class Tiles(Blocks):
    """The function that multiplies; its operands are blocks."""

    @property
    def copies(self) -> tuple[Copies, Copies]:
        q, w, needed = self.q, self.writer, [not self._directly(o) for o in self.operands]
        left, right = (Copies(q, w, self.form, 2, BLOCK // 4, 1, 1, side, needed[side]) for side in range(2))
        return left, right

    def _directly(self, o: Operand) -> bool:
        """Whether it is read from where it lies."""
        return o.half and o.width == 2 * ACCESS

    @property
    def _halves(self) -> int:
        """Stages in shared memory."""
        return self.q.schedule.get("stages", 2)

    @property
    def _piece(self) -> Piece:
        return Piece([Array(o.name, "uint", (self._halves, o.lines * ROW)) for o in self.operands], ALIGN)

    def _reach(self, top: Scope, o: Operand, batch: Mapping[Extent, str], first: str) -> list[str]:
        """The first stage of each block of the tile's lines, where the work-item fetches."""
        if self._directly(o):
            return super()._reach(top, o, batch, first)
        w, copy = self.writer, self.copies[0 if o.side == "a" else 1]
        place = 0 if o.side == "a" else self.copies[0].bytes
        number = flattened((batch[e] for e in copy.outer), (e.size for e in copy.outer))
        found = []
        for block in range(o.lines // BLOCK):
            at = w.let(self.index, f"{first} / {BLOCK} + {block}", "block")
            at = f"({at} < {copy.blocks} ? {at} : {copy.blocks - 1})"
            name = w.name("p")
            start = f"((long)({number} * {copy.blocks} + {at}) * {self._stages}) * {WORDS} + ITEM * {ACCESS}"
            w.line(f"GLOBAL const uint* {name} = (GLOBAL const uint*)(scratch + {place}l) + {start};")
            found.append(name)
        return found

    def _copy(self, pointers: Sequence[list[str]], stage: str, half: str) -> None:
        """A stage on its way to a part of shared memory; the pointers go on to the next."""
        w = self.writer
        for o, reach in zip(self.operands, pointers, strict=True):
            if self._directly(o):
                self._fetch(o, reach, stage, half)
                continue
            for block, pointer in enumerate(reach):
                for word in range(0, WORDS, ACCESS * self.items):
                    into = f"&{o.name}[{half}][{block * WORDS + word} + ITEM * {ACCESS}]"
                    w.line(f"COPY4((float*){into}, (const float*)({pointer} + {word}));")
                w.line(f"{pointer} += {WORDS};")

    def _sums(self, pointers: Sequence[list[str]]) -> None:
        w, stages, halves = self.writer, self._stages, self._halves
        self._open_sums()
        for first in range(halves - 1):
            if first < stages:
                self._copy(pointers, str(first), str(first))
            w.line("COPIES_END;")
        w.line("int here = 0;")
        w.line("ROLLED")
        with w.count("int", stages, "stage") as stage:
            w.line(f"COPIES_LEFT({halves - 2});")
            self._seen()
            self._multiplied(stage, self.form.k_size)
            if stages >= halves:
                w.line(f"const int behind = here == 0 ? {halves - 1} : here - 1;")
                with w.block(f"if ({stage} + {halves - 1} < {stages})"):
                    self._copy(pointers, f"({stage} + {halves - 1})", "behind")
            w.line("COPIES_END;")
            w.line("f_multiplied(s);")
            w.line(f"here = here == {halves - 1} ? 0 : here + 1;")
            if self._leaves > 1:
                self._leaf(stage, stages)
        if self._leaves > 1:
            self._results()
