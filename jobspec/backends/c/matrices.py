"""C code of contractions by a GPU's matrix instructions: groups of 32 work-items multiply 16 × 16 by 16 × 8.

Takes: a plain contract kernel whose product says `own` (its operands hold bfloat16), and its schedule: `high` × `wide`
groups of 32, each with `rows` × `columns` pieces of 16 × 8 sums; `stage`: steps of k in shared memory at a time, a
multiple of 16 and a divisor of the leaf. Promises: a leaf of 256 is summed by instructions over 16 steps each, k
ascending, from +0; the leaves go up the contract's tree. No schedule changes that, so none changes a bit.

Operands lie in shared memory as they lie in memory, bfloat16, two to a word: rows of steps, or rows of lines, which are
turned on the way into registers, eight rows by eight columns at a time. What lies in two bytes in memory is copied on
the side, up to eight neighbours at a time, through no register; of float32, the upper halves are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from jobspec.backends.c.operand import Operand
from jobspec.backends.c.request import Launch, Request
from jobspec.backends.c.scope import Scope, digits, walked
from jobspec.backends.c.tiled import Tile
from jobspec.backends.c.wide_scalars import vector_of
from jobspec.backends.c.writer import Writer
from jobspec.ir.contraction import Extent
from jobspec.ir.tiles import ACROSS, DOWN, STEPS

#: work-items that multiply together
TOGETHER = 32


def render(q: Request, writer: Writer) -> list[Launch]:
    rows, columns, high, wide = (q.schedule.get(name, 1) for name in ("rows", "columns", "high", "wide"))
    return [Pieces(q, writer, q.form, 2 * rows, 2 * columns, high, wide).render()]


@dataclass(frozen=True)
class Pieces(Tile):
    """One function. `rows`, `columns`: of a work-item, two for each piece; `high`, `wide`: groups of 32."""

    @property
    def items(self) -> int:
        return TOGETHER * self.high * self.wide

    @property
    def operands(self) -> tuple[Operand, Operand]:
        form, items = self.form, self.items
        rows, columns = self.rows // 2 * DOWN * self.high, self.columns // 2 * ACROSS * self.wide
        return (
            self._paired(Operand("left", form.m, form.ka, "a", rows, self.steps, items)),
            self._paired(Operand("right", form.n, form.kb, "b", columns, self.steps, items)),
        )

    def _paired(self, o: Operand) -> Operand:
        """In fours or in pairs; where none lie together, its `steps` are pairs of steps, of one line each."""
        wide = self._widened(o)
        return wide if wide.width > 1 else replace(wide, steps=self.steps // 2)

    def _declare(self) -> None:
        w = self.writer
        for o in self.operands:
            w.line(f"LOCAL uint {o.name}[2][{(self.steps if across(o) else o.lines) * self._pitch(o)}];")
        w.line(f"const int group = ITEM / {TOGETHER}, lane = ITEM % {TOGETHER};")
        w.line(f"const int above = group / {self.wide} * {self.rows // 2 * DOWN}, down = above + lane / 4;")
        w.line(f"const int aside = group % {self.wide} * {self.columns // 2 * ACROSS}, across = aside + lane % 4 * 2;")
        for o, first in zip(self.operands, ("above", "aside"), strict=True):
            w.line(f"const int {o.name}_own = {self._own(o, first)};")

    def _pitch(self, o: Operand) -> int:
        """Words between rows of shared memory: eight rows lie in different banks."""
        return (o.lines if across(o) else self.steps) // 2 + 4

    def _row(self, r: int | str) -> str:
        return f"down + {r} * 8"

    def _column(self, c: int | str) -> str:
        return f"across + {c} / 2 * {ACROSS} + {c} % 2"

    def _sum(self, r: str, c: str) -> str:
        return f"({r} / 2 * {self.columns // 2} + {c} / 2) * 4 + {r} % 2 * 2 + {c} % 2"

    @property
    def neighbours(self) -> int:
        return 2

    # ---- from memory

    def _simple(self, o: Operand) -> bool:
        return o.width > 1 and super()._simple(o)

    def _directly(self, o: Operand) -> bool:
        """Whether it goes to shared memory as it is, on the side."""
        return o.half and o.width > 1

    def _reach(self, top: Scope, o: Operand, batch: Mapping[Extent, str], first: str) -> list[str]:
        for j in range(0 if self._directly(o) else o.each):
            self.writer.line(f"{kept(o)} {o.name}{j};")
        return super()._reach(top, o, batch, first)

    def _evenly(self, o: Operand) -> bool:
        """Whether the lines that a work-item fetches all exist, each as far from the one before."""
        whole = len(o.extents) == 1 and o.extents[0].size % o.lines == 0
        return self._directly(o) and o.along_k and self._simple(o) and whole

    def _pointed(self, o: Operand, j: int) -> int:
        return 0 if self._evenly(o) else j

    def _steps(self, o: Operand, stage: str) -> Iterator[str]:
        if not self._evenly(o):
            return super()._steps(o, stage)
        return (str(j * (o.items // o.across) * o.stride(o.extents[0])) for j in range(o.each))

    def _fetch(self, o: Operand, pointers: Sequence[str], stage: str, half: str) -> None:
        """The stage's elements into registers, or on their way to a half of shared memory; zeros behind the last
        step."""
        if o.width == 1:
            self._fetch_pairs(o, pointers, stage)
            return
        for j, place in enumerate(self._steps(o, stage)):
            exists = ""
            if self.form.k_size % self.steps:
                exists = f"({self.index}){stage} * {self.steps} + {o.step(j)} < {self.form.k_size}"
            start = f"{pointers[j]} + {place}"
            copy = self._directly(o)
            self.writer.line(self._copy_of(o, j, half, start, exists) if copy else fetch_of(o, j, start, exists))
        self._advance(o, pointers)

    def _copy_of(self, o: Operand, j: int, half: str, start: str, exists: str) -> str:
        into, words = self._into(o, j, half), o.width // 2
        if exists:
            return f"COPY{words}_OF((float*)({into}), (const float*)({start}), {exists});"
        return f"COPY{words}((float*)({into}), (const float*)({start}));"

    def _fetch_pairs(self, o: Operand, pointers: Sequence[str], stage: str) -> None:
        """Two steps of a line in a word, each from where it lies."""
        words: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {}
        for j in range(o.each):
            word = o.step(j)
            if word not in words:
                words[word] = (self._step_at(o, stage, word, 0), self._step_at(o, stage, word, 1))
            low, high = (self._element(o, pointers[j], place) for place in words[word])
            self.writer.line(f"{o.name}{j} = {pair(o, low, high)};")

    def _element(self, o: Operand, pointer: str, place: tuple[str, str]) -> str:
        return self.writer.let(o.stored, f"{place[1]} ? {pointer}[{place[0]}] : ({o.stored})0", "x")

    def _step_at(self, o: Operand, stage: str, word: str, odd: int) -> tuple[str, str]:
        """Where in a line a step lies, and whether it exists."""
        w, k = self.writer, self.form.k_size
        at = w.let(self.index, f"({self.index}){stage} * {self.steps} + 2 * ({word}) + {odd}", "k")
        exists = w.let("bool", f"{at} < {k}", "exists")
        at = w.let(self.index, f"{exists} ? {at} : {k - 1}", "k")
        parts = digits(w, self.index, at, [e.size for e in o.k])
        terms = walked(parts, map(o.stride, o.k))
        return w.let(self.index, " + ".join(terms) or "0", "k"), exists

    def _arrive(self, half: str) -> None:
        for o in self.operands:
            self._put(o, half)
        if any(map(self._directly, self.operands)):
            self.writer.line("COPIED;")
        self.writer.line("SYNC;")

    def _put(self, o: Operand, half: str) -> None:
        """What was fetched into registers, in its place."""
        for j in range(0 if self._directly(o) else o.each):
            into = self._into(o, j, half)
            for number, word in enumerate(words_of(o, j)):
                self.writer.line(f"({into})[{number}] = {word};")

    def _into(self, o: Operand, j: int, half: str) -> str:
        """Where fetch `j` goes: two numbers in a word, neighbours along what lies together in memory."""
        step, line = o.step(j), o.line(j)
        row, column = (step, f"({line}) / 2") if across(o) else (line, f"({step}) / 2" if o.width > 1 else step)
        return f"&{o.name}[{half}][({row}) * {self._pitch(o)} + {column}]"

    # ---- sums

    def _multiplied(self, stage: str, k: int) -> None:
        """All steps of a stage: those behind the last one are zeros."""
        w, (a, b), columns = self.writer, self.operands, self.columns // 2
        for first in range(0, self.steps, STEPS):
            left = [self._taken(a, first, DOWN * r, 4) for r in range(self.rows // 2)]
            words = [self._taken(b, first, ACROSS * c, min(4, 2 * (columns - c))) for c in range(0, columns, 2)]
            right = [some[i : i + 2] for some in words for i in range(0, len(some), 2)]
            for i, (x, y) in enumerate(product(left, right)):
                w.line(f"f_matrices({', '.join([*self.sums[4 * i : 4 * i + 4], *x, *y])});")

    def _taken(self, o: Operand, first: int, line: int, count: int) -> list[str]:
        """Words of a piece in registers, or of two beside each other: `count` of eight rows by eight columns."""
        w, pitch = self.writer, self._pitch(o)
        names = [w.name(o.side) for _ in range(count)]
        w.line(f"uint {', '.join(names)};")
        further = first * pitch + line // 2 if across(o) else line * pitch + first // 2
        turned = "_turned" if across(o) else ""
        w.line(f"f_take{count}{turned}({', '.join(names)}, &{o.name}[here][{o.name}_own + {further}]);")
        return names

    def _own(self, o: Operand, first: str) -> str:
        """The row of eight that the work-item finds for its group: of a, sixteen lines by eight steps, then the next
        eight steps; of b, eight lines by sixteen steps, then the next eight lines."""
        pitch, whole, halves = self._pitch(o), "lane % 16", "(lane / 16 * 8 + lane % 8)"
        if o.side == "a":
            if across(o):
                return f"{halves} * {pitch} + {first} / 2 + lane / 8 % 2 * 4"
            return f"({first} + {whole}) * {pitch} + lane / 16 * 4"
        if across(o):
            return f"{whole} * {pitch} + {first} / 2 + lane / 16 * 4"
        return f"({first} + {halves}) * {pitch} + lane / 8 % 2 * 4"


def kept(o: Operand) -> str:
    """The C type of what is fetched at once, in registers."""
    if o.width == 1:
        return "uint"
    return vector_of("uint", o.width // 2) if o.half else vector_of("float", o.width)


def fetch_of(o: Operand, j: int, start: str, exists: str) -> str:
    """Fetch `j` into registers, zeros where nothing exists."""
    words = o.width // 2
    if not o.half:
        fetched, nothing = f"vload{o.width}(0, {start})", f"NOTHING{o.width}"
    elif words == 1:
        fetched, nothing = f"*(GLOBAL const uint*)({start})", "0u"
    else:
        zeros = ", ".join(["0u"] * words)
        fetched, nothing = f"vload{words}(0, (GLOBAL const uint*)({start}))", f"VECTOR{words}(uint, {zeros})"
    return f"{o.name}{j} = {f'{exists} ? {fetched} : {nothing}' if exists else fetched};"


def words_of(o: Operand, j: int) -> list[str]:
    """What fetch `j` has brought, two numbers of bfloat16 in each."""
    name, words = f"{o.name}{j}", o.width // 2
    if words > 1 and o.half:
        return [f"{name}.{part}" for part in "xyzw"[:words]]
    if words and not o.half:
        return [f"f_pair({name}.{'xz'[word]}, {name}.{'yw'[word]})" for word in range(words)]
    return [name]


def pair(o: Operand, low: str, high: str) -> str:
    return f"((uint){low} | (uint){high} << 16)" if o.half else f"f_pair({low}, {high})"


def across(o: Operand) -> bool:
    """Whether the rows of shared memory are steps, as lines lie together in memory."""
    return o.width > 1 and not o.along_k
