"""The register tile of a contraction: rows × vectors of sums held in registers along k.

Takes: pointers to the rows of a and to the columns of b, and how both walk along k. Promises: each
element is the contract's sum: leaves of LEAF steps, each one ascending chain acc = fma(a, b, acc) from
+0.0, leaf results folded by the adjacent tree. Which rows, vectors or ranges of k are taken together
is free: it changes no element.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from jobspec.backends.llvm.builder import Int, int_of
from jobspec.backends.llvm.emit import Function
from jobspec.backends.llvm.values import Value, prefix_mask
from jobspec.backends.llvm.walks import Walk
from jobspec.ir.contract import LEAF

WIDTH = 16
VECTOR = "<16 x float>"
BYTES = 4 * WIDTH

Sums = list[Value]  #: rows × vectors, the vectors of a row together
Chain = Callable[[Int, Int], Sums]  #: first step, number of steps → the sums of one chain over them
#: asks for cache lines at the first step of a block: the rows, its number in their walk, its number among all steps
Ahead = Callable[["Rows", Value, Value], None]
#: steps for which cache lines are asked ahead at once: those of one line of a
BLOCK = 16


@dataclass(frozen=True)
class Rows:
    """Rows of a: row i begins at `bases[i // len(apart)]` + `apart[i % len(apart)]` bytes."""

    bases: tuple[Value, ...]
    apart: tuple[int, ...]
    walk: Walk

    def __len__(self) -> int:
        return len(self.bases) * len(self.apart)

    def at(self, f: Function, k: Value) -> list[Value]:
        """A pointer for each row."""
        points = [self.walk.at(f, base, k) for base in self.bases]
        return [f.offset(point, apart) for point in points for apart in self.apart]

    def moved(self, f: Function, offset: Int) -> Rows:
        return Rows(tuple(f.offset(base, offset) for base in self.bases), self.apart, self.walk)


@dataclass(frozen=True)
class Columns:
    """`vectors` neighbouring vectors of b; the last has `last` lanes, the others WIDTH."""

    base: Value
    walk: Walk
    vectors: int
    last: int = WIDTH

    def load(self, f: Function, k: Value) -> list[Value]:
        point = self.walk.at(f, self.base, k)
        return [load_lanes(f, f.offset(point, BYTES * v), self.lanes(v)) for v in range(self.vectors)]

    def lanes(self, vector: int) -> int:
        return self.last if vector == self.vectors - 1 else WIDTH

    def behind(self, f: Function, steps: Int) -> Columns:
        """The columns from step `steps` on."""
        return self if isinstance(steps, int) else replace(self, base=self.walk.at(f, self.base, steps))


@dataclass(frozen=True)
class Copied(Columns):
    """Columns that are written to `to` as they are read: whole vectors, lanes past the last column 0."""

    to: Columns | None = None

    def load(self, f: Function, k: Value) -> list[Value]:
        found, place = super().load(f, k), self._place(f, k)
        for v, value in enumerate(found):
            f.store(value, f.offset(place, BYTES * v), BYTES)
        return found

    def _place(self, f: Function, k: Value) -> Value:
        assert self.to is not None
        return self.to.walk.at(f, self.to.base, k)

    def behind(self, f: Function, steps: Int) -> Columns:
        assert self.to is not None
        there = self.to.behind(f, steps)
        return self if isinstance(steps, int) else replace(self, base=self.walk.at(f, self.base, steps), to=there)


def load_lanes(f: Function, pointer: Value, lanes: int) -> Value:
    """The first `lanes` lanes; the others are 0 and not read."""
    if lanes == WIDTH:
        return f.load(VECTOR, pointer)
    return f.masked_load(VECTOR, pointer, prefix_mask(lanes, WIDTH))


def chain(f: Function, rows: Rows, columns: Columns, k0: Int, k1: Int, sums: Sums) -> Sums:
    """`sums` after acc = fma(a, b, acc) for k0 … k1-1."""
    return f.loop(k0, k1, 1, lambda k, *now: _step(f, rows, columns, _opaque(f, k), list(now)), sums)


def _opaque(f: Function, k: Value) -> Value:
    """`k` itself, but LLVM does not see that it counts. The addresses of a step are written as the processor takes
    them; looking for better ones (loop strength reduction) doubles the time of code generation and finds worse."""
    return f.intrinsic("expect", "i64", (k, int_of(0)), ("i64",)) if k.text.startswith("%") else k


def chain_ahead(
    f: Function, rows: Rows, columns: Columns, steps: tuple[Int, Int], sums: Sums, ahead: Ahead, before: Int = 0
) -> Sums:
    """The same for a multiple of BLOCK steps, with `ahead` before each block; `before`: steps before step 0."""

    def block(k: Value, *now: Value) -> Sums:
        ahead(rows, k, f.iadd(k, before))
        return chain(f, rows, columns, k, f.iadd(k, BLOCK), list(now))

    return f.loop(*steps, BLOCK, block, sums)


def _step(f: Function, rows: Rows, columns: Columns, k: Value, sums: Sums) -> Sums:
    after = []
    b = columns.load(f, k)
    for i, pointer in enumerate(rows.at(f, k)):
        a = f.splat(f.load("float", pointer), WIDTH)
        after += [f.fma(a, b[v], sums[i * len(b) + v]) for v in range(len(b))]
    return after


def leaves(steps: int) -> int:
    """How many leaves so many steps have."""
    return -(-steps // LEAF)


def levels(steps: int) -> int:
    """How many partial sums of the adjacent tree over so many steps are kept at once."""
    return (leaves(steps) - 1).bit_length()


@dataclass(frozen=True)
class Stack:
    """Memory for partial sums of the adjacent tree: those of level l at `base` + l * `level` bytes."""

    base: Value
    level: int

    def at(self, f: Function, level: Int) -> Value:
        return f.offset(self.base, f.imul(level, self.level))


def fold(f: Function, steps: Int, most: int, chain_of: Chain, stack: Stack) -> Sums:
    """The sums over steps 0 … `steps`-1, at least 1 and at most `most`, in the contract's tree. A leaf that is done
    is added to the stack as one is added to a binary number: the carries are the adjacent tree."""
    whole = (steps - 1) // LEAF if isinstance(steps, int) else f.udiv(f.isub(steps, 1), LEAF)

    def leaf(number: Value) -> None:
        begin = f.imul(number, LEAF)
        _push(f, stack, number, chain_of(begin, LEAF))

    f.loop(0, whole, 1, leaf)
    before = whole * LEAF if isinstance(whole, int) else f.imul(whole, LEAF)
    left = steps - before if isinstance(steps, int) and isinstance(before, int) else f.isub(steps, before)
    sums = chain_of(before, left)
    for level in range(levels(most)):
        sums = _joined(f, stack, level, whole, sums)
    return sums


def fold_in_order(f: Function, steps: int, leaf: int, start: Sums, chain_of: Chain, stack: Stack) -> Sums:
    """`start` and then leaves of `leaf` steps, added one after another."""
    places = [f.offset(stack.base, i * BYTES) for i in range(len(start))]
    for place, value in zip(places, start, strict=True):
        f.store(value, place)

    def one(number: Value) -> None:
        for place, total in zip(places, chain_of(f.imul(number, leaf), leaf), strict=True):
            f.store(f.fadd(f.load(VECTOR, place), total), place)

    f.loop(0, steps // leaf, 1, one)
    return [f.load(VECTOR, place) for place in places]


def _push(f: Function, stack: Stack, number: Value, sums: Sums) -> None:
    """Leaf `number` is done: one carry for each of its trailing one bits."""
    if number.text == "0":
        carried, level = sums, int_of(0)
    else:
        turned = f.not_(number)
        level = f.intrinsic("cttz", "i64", (turned, Value("i1", "true")), ("i64",))
        carried = f.loop(0, level, 1, lambda at, *now: _added(f, stack.at(f, at), list(now)), sums)
    target = stack.at(f, level)
    for i, total in enumerate(carried):
        f.store(total, f.offset(target, i * BYTES))


def _joined(f: Function, stack: Stack, level: int, whole: Int, sums: Sums) -> Sums:
    """Add what level `level` holds, if it holds anything after `whole` leaves."""
    if isinstance(whole, int):
        return _added(f, stack.at(f, level), sums) if whole >> level & 1 else sums
    held = f.icmp("ne", f.and_(whole, int_of(1 << level)), 0)
    return f.when(held, lambda: _added(f, stack.at(f, level), sums), lambda: sums)


def _added(f: Function, earlier: Value, sums: Sums) -> Sums:
    return [f.fadd(f.load(VECTOR, f.offset(earlier, i * BYTES)), total) for i, total in enumerate(sums)]
