"""C code of contractions by a GPU's matrix instructions: groups of 32 work-items multiply 16 × 16 by 16 × 8.

Takes: a plain contract kernel whose product says `own` (its operands hold bfloat16), and its schedule: `high` × `wide`
groups of 32, each with `rows` × `columns` pieces of 16 × 8 sums; `stage`: steps of k in shared memory at a time, a
multiple of 16 and a divisor of the leaf. Promises: a leaf of 256 is summed by instructions over 16 steps each, k
ascending, from +0; the leaves go up the contract's tree. No schedule changes that, so none changes a bit.

Operands lie in shared memory as pairs of neighbouring steps, a word each: what an instruction takes of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from jobspec.backends.c.request import Launch, Request
from jobspec.backends.c.scope import digits, scaled
from jobspec.backends.c.tiled import Operand, Tile
from jobspec.backends.c.writer import Writer
from jobspec.ir.contraction import normal_form

#: work-items that multiply together; rows, columns and steps of an instruction
TOGETHER, DOWN, ACROSS, STEPS = 32, 16, 8, 16


def render(q: Request, writer: Writer) -> list[Launch]:
    get, form = q.schedule.get, normal_form(q.kernel)
    form = form.swapped() if get("swap", 0) else form
    return [Pieces(q, writer, form, 2 * get("rows", 1), 2 * get("columns", 1), get("high", 1), get("wide", 1)).render()]


@dataclass(frozen=True)
class Pieces(Tile):
    """One function. `rows`, `columns`: of a work-item, two for each piece; `high`, `wide`: groups of 32."""

    @property
    def held(self) -> str:
        return "uint"

    @property
    def items(self) -> int:
        return TOGETHER * self.high * self.wide

    @property
    def operands(self) -> tuple[Operand, Operand]:
        """Their `steps` are words of two steps."""
        form, words, items = self.form, self.steps // 2, self.items
        rows, columns = self.rows // 2 * DOWN * self.high, self.columns // 2 * ACROSS * self.wide
        return (
            Operand("left", form.m, form.ka, "a", rows, words, items),
            Operand("right", form.n, form.kb, "b", columns, words, items),
        )

    @property
    def pitch(self) -> int:
        """Words between lines: neighbours of a column lie in different banks."""
        return self.steps // 2 + 4

    def _declare(self) -> None:
        w = self.writer
        for o in self.operands:
            w.line(f"LOCAL uint {o.name}[2][{o.lines * self.pitch}];")
        w.line(f"const int group = ITEM / {TOGETHER}, line = ITEM % {TOGETHER} / 4, place = ITEM % 4;")
        w.line(f"const int down = group / {self.wide} * {self.rows // 2 * DOWN} + line;")
        w.line(f"const int across = group % {self.wide} * {self.columns // 2 * ACROSS} + 2 * place;")

    def _row(self, r: int | str) -> str:
        return f"down + {r} * 8"

    def _column(self, c: int | str) -> str:
        return f"across + {c} / 2 * {ACROSS} + {c} % 2"

    def _sum(self, r: str, c: str) -> str:
        return f"({r} / 2 * {self.columns // 2} + {c} / 2) * 4 + {r} % 2 * 2 + {c} % 2"

    # ---- from memory

    def _fetch(self, o: Operand, pointers: Sequence[str], stage: str) -> None:
        """Pairs of the stage's steps into registers, two numbers in a word each; zeros behind the last step."""
        words: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {}
        for j in range(o.each):
            word = o.step(j)
            if word not in words:
                words[word] = (self._step_at(o, stage, word, 0), self._step_at(o, stage, word, 1))
            low, high = (self._element(pointers[j], place) for place in words[word])
            self.writer.line(f"{o.name}{j} = (to_bits({low}) >> 16) | (to_bits({high}) & 0xffff0000u);")

    def _element(self, pointer: str, place: tuple[str, str]) -> str:
        return self.writer.let("float", f"{place[1]} ? {pointer}[{place[0]}] : 0.0f", "x")

    def _step_at(self, o: Operand, stage: str, word: str, odd: int) -> tuple[str, str]:
        """Where in a line a step lies, and whether it exists."""
        w, q, k = self.writer, self.q, self.form.k_size
        at = w.let(q.index, f"({q.index}){stage} * {self.steps} + 2 * {word} + {odd}", "k")
        exists = w.let("bool", f"{at} < {k}", "exists")
        at = w.let(q.index, f"{exists} ? {at} : {k - 1}", "k")
        parts = digits(w, q.index, at, [e.size for e in o.k])
        terms = [scaled(p, o.stride(e)) for p, e in zip(parts, o.k, strict=True) if o.stride(e)]
        return w.let(q.index, " + ".join(terms) or "0", "k"), exists

    def _place(self, o: Operand, step: str, line: str) -> str:
        return f"({line}) * {self.pitch} + {step}"

    # ---- sums

    def _multiplied(self, stage: str, k: int) -> None:
        """All steps of a stage: those behind the last one are zeros."""
        w, (a, b), columns = self.writer, self.operands, self.columns // 2
        down = w.let("int", f"group / {self.wide} * {self.rows // 2 * DOWN} + line", "down")
        across = w.let("int", f"group % {self.wide} * {self.columns // 2 * ACROSS} + line", "across")
        for first in range(0, self.steps // 2, STEPS // 2):
            words = [f"{first} + place", f"{first + 4} + place"]
            rows = [[f"{down} + {DOWN * r}", f"{down} + {DOWN * r + 8}"] for r in range(self.rows // 2)]
            left = [self._taken(a, words, lines) for lines in rows]
            right = [self._taken(b, words, [f"{across} + {ACROSS * c}"]) for c in range(columns)]
            for i, (x, y) in enumerate(product(left, right)):
                w.line(f"f_matrices({', '.join([*self.sums[4 * i : 4 * i + 4], *x, *y])});")

    def _taken(self, o: Operand, words: list[str], lines: list[str]) -> list[str]:
        """A work-item's words of a piece, in registers: of each of its lines, at each place."""
        places = [self._place(o, word, line) for word in words for line in lines]
        return [self.writer.let("uint", f"{o.name}[here][{place}]", o.side) for place in places]
