"""C code of contractions by matrix instructions that work on the side: 128 work-items multiply 64 × 64 by 64 × n.

Takes: a plain contract kernel whose product says `own`, and its schedule: `high` × `wide` groups of 128, each with 64
rows and `aside` columns (64, 128 or 256) of sums. Promises: leaves and tree as matrices.py says, the order within
sixteen steps being this instruction's; no schedule changes a bit.

While a stage is multiplied the next one goes from registers to the other half of shared memory, and the one behind it
is on its way to the registers. Rows of shared memory are 64 numbers of bfloat16, of steps or of lines, as the operand
lies in memory, their 16-byte pieces exchanged as the instruction expects it (128-byte swizzle), so that neither it nor
whoever writes waits for a bank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jobspec.backends.c.matrices import Pieces, across, words_of
from jobspec.backends.c.operand import Operand
from jobspec.backends.c.request import Launch, Request
from jobspec.backends.c.shared import Array, Piece
from jobspec.backends.c.writer import Writer
from jobspec.ir.contract import LEAF
from jobspec.ir.tiles import BLOCK

#: work-items that multiply together
TOGETHER = 128
#: words of a row of memory, which has BLOCK numbers, and of a block of as many rows; bytes of which each stage begins
#: at a multiple
ROW, WORDS, ALIGN = BLOCK // 2, BLOCK * BLOCK // 2, 1024


def render(q: Request, writer: Writer) -> list[Launch]:
    get = q.schedule.get
    return [Blocks(q, writer, q.form, 2, get("aside", BLOCK) // 4, get("high", 1), get("wide", 1)).render()]


@dataclass(frozen=True)
class Blocks(Pieces):
    """One function. `rows`, `columns`: of a work-item, 2 and a quarter of `aside`; `high`, `wide`: groups of 128."""

    @property
    def steps(self) -> int:
        return BLOCK

    @property
    def items(self) -> int:
        return TOGETHER * self.high * self.wide

    @property
    def sums(self) -> list[str]:
        return [f"s[{i}]" for i in range(self.rows * self.columns)]

    @property
    def operands(self) -> tuple[Operand, Operand]:
        form, items = self.form, self.items
        rows, columns = BLOCK * self.high, 4 * self.columns * self.wide
        return (
            self._paired(Operand("left", form.m, form.ka, "a", rows, BLOCK, items)),
            self._paired(Operand("right", form.n, form.kb, "b", columns, BLOCK, items)),
        )

    @property
    def _stages(self) -> int:
        return -(-self.form.k_size // BLOCK)

    @property
    def _leaves(self) -> int:
        return -(-self.form.k_size // LEAF)

    @property
    def _piece(self) -> Piece:
        """Two halves of both operands."""
        return Piece([Array(o.name, "uint", (2, o.lines * ROW)) for o in self.operands], ALIGN)

    def render(self) -> Launch:
        return replace(super().render(), shared=self._piece.regions)

    def _declare(self) -> None:
        w, group = self.writer, f"ITEM / {TOGETHER}"
        self._piece.declare(w)
        w.line(f"const int lane = ITEM % 32, above = {group} / {self.wide}, aside = {group} % {self.wide};")
        w.line(f"const int down = above * {BLOCK} + ITEM % {TOGETHER} / 32 * 16 + lane / 4;")
        w.line(f"const int across = aside * {4 * self.columns} + lane % 4 * 2;")

    # ---- from memory

    def _directly(self, o: Operand) -> bool:
        return False

    def _put(self, o: Operand, half: str) -> None:
        for j in range(0 if self._directly(o) else o.each):
            into, words = self._into(o, j, half), words_of(o, j)
            if len(words) > 1:
                vector = f"VECTOR{len(words)}(uint, {', '.join(words)})"
                self.writer.line(f"vstore{len(words)}({vector}, 0, {into});")
            else:
                self.writer.line(f"*({into}) = {words[0]};")

    def _into(self, o: Operand, j: int, half: str) -> str:
        """In rows of 128 bytes; the piece of 16 that is its own is changed by the number of its row."""
        step, line = o.step(j), o.line(j)
        if across(o):
            row, word = f"(({line}) / {BLOCK} * {BLOCK} + {step})", f"({line}) % {BLOCK} / 2"
        else:
            row, word = f"({line})", f"({step}) / 2" if o.width > 1 else step
        return f"{self._start(o, half)} + {row} * {ROW} + (({word}) ^ {row} % 8 * 4)"

    def _start(self, o: Operand, half: str) -> str:
        return f"{o.name}[{half}]"

    # ---- sums

    def _sums(self, pointers: Sequence[list[str]]) -> None:
        """Declares the sums and runs through k."""
        w, k, stages = self.writer, self.form.k_size, self._stages
        self._open_sums()
        self._bring(pointers, "0", "0")
        self._put_both("0")
        if stages > 1:
            self._bring(pointers, "1", "1")
        self._seen()
        w.line("ROLLED")
        with w.count("int", stages, "stage") as stage:
            w.line(f"const int here = {stage} & 1;")
            self._multiplied(stage, k)
            if stages > 1:
                self._ahead(pointers, stage)
            w.line("f_multiplied(s);")
            self._seen()
            if self._leaves > 1:
                self._leaf(stage, stages)
        if self._leaves > 1:
            self._results()

    def _open_sums(self) -> None:
        w, count = self.writer, len(self.sums)
        w.line(f"float s[{count}] = {{0.0f}};")
        if self._leaves > 1:
            w.line(f"float stack[{self._leaves.bit_length()}][{count}]; int top = 0;")

    def _ahead(self, pointers: Sequence[list[str]], stage: str) -> None:
        """While the sums are on their way: the next stage to shared memory, the one behind it to registers."""
        w, stages = self.writer, self._stages
        with w.block(f"if ({stage} + 1 < {stages})"):
            self._put_both("1 - here")
            if stages > 2:
                with w.block(f"if ({stage} + 2 < {stages})"):
                    self._bring(pointers, f"({stage} + 2)", "here")

    def _put_both(self, half: str) -> None:
        for o in self.operands:
            self._put(o, half)

    def _seen(self) -> None:
        """What the work-items have put is there for all of the group, and for what works on the side."""
        self.writer.line("SEEN_ASIDE;")
        self.writer.line("SYNC;")

    def _multiplied(self, stage: str, k: int) -> None:
        """A stage's steps are on their way into the sums: those behind the last one are zeros."""
        a, b = self.operands
        firsts = ("above", "aside" if self.columns * 4 == BLOCK else f"aside * {self.columns * 4 // BLOCK}")
        at = [f"&{o.name}[here][{first} * {WORDS}]" for o, first in zip((a, b), firsts, strict=True)]
        left, right = (f"f_described({place}, {int(across(o))})" for place, o in zip(at, (a, b), strict=True))
        self.writer.line(f"f_multiply<{int(across(a))}, {int(across(b))}>(s, {left}, {right});")
