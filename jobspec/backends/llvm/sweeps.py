"""One pass over a row in memory: evaluate, keep, store, fold.

Takes: a scope at a row, a pass, a span of the row. Promises: row order exactly, block by block; what a
later pass needs and is dear to compute is kept in scratch by the pass that computes it first; the pass that
computes most asks for what the next row will read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from jobspec.backends.llvm.access import lane_positions
from jobspec.backends.llvm.emit import Int
from jobspec.backends.llvm.evaluate import get, run, run_stores
from jobspec.backends.llvm.folds import Fold, State, fold_adjacent, fold_lanes, types_of
from jobspec.backends.llvm.request import cost
from jobspec.backends.llvm.scalars import ELEMENT
from jobspec.backends.llvm.scope import WIDTH, Scope
from jobspec.backends.llvm.strips import STRIP, walk
from jobspec.backends.llvm.values import Value, vector
from jobspec.backends.nest import Nest
from jobspec.ir.contract import LANES, ROW_BLOCK
from jobspec.ir.kernel import View
from jobspec.ir.ops import OPS

#: bytes of rows that are asked for into the second cache, not the first
LARGE = 16 * 1024
FOUR_BYTES = ("f32", "i32", "u32")


@dataclass(frozen=True)
class Keeping:
    """`first`: inst → the pass that computes it and writes it to scratch; `places`: where."""

    first: dict[int, int] = field(default_factory=dict)
    places: dict[int, Value] = field(default_factory=dict)
    size: int = 0

    @staticmethod
    def plan(nest: Nest, live: frozenset[int], size: int) -> Keeping:
        """Of a row of `size`: insts inside it that are dear and needed by more than one pass."""
        wanted = [nest.needed(roots(nest, p)) for p in range(nest.last + 1)]
        again = {i: [p for p, found in enumerate(wanted) if i in found] for i in live if dear(nest, i)}
        first = {i: passes[0] for i, passes in again.items() if len(passes) > 1}
        used = {a for p in range(nest.last + 1) for a in taken(nest, first, p)}
        return Keeping({i: p for i, p in first.items() if i in used}, {}, 4 * STRIP * -(-size // STRIP))

    def placed(self, allocate: Callable[[int], Value]) -> Keeping:
        return replace(self, places={i: allocate(self.size) for i in sorted(self.first)})

    def restore(self, here: Scope, number: int, needed: Iterable[int]) -> None:
        """Take what earlier passes kept from scratch."""
        for i in needed:
            if self.first[i] < number:
                type_ = vector(ELEMENT[here.nest.kernel.body[i].dtype], WIDTH)
                here.values[i] = here.f.load(type_, self._pointer(here, i))

    def save(self, here: Scope, number: int) -> None:
        for i, first in self.first.items():
            if first == number:
                here.f.store(here.values[i], self._pointer(here, i))

    def _pointer(self, here: Scope, i: int) -> Value:
        strip = here.f.offset(self.places[i], here.f.imul(here.index[here.nest.vector], 4))
        return here.f.offset(strip, 4 * here.shift)


def roots(nest: Nest, number: int) -> list[int]:
    """What pass `number` folds or stores inside the row."""
    body = nest.kernel.body
    return [a for i in nest.reduces(number) for a in body[i].args] + nest.stores(number, True)


def taken(nest: Nest, first: dict[int, int], number: int) -> list[int]:
    """Kept insts that pass `number` uses and an earlier one computed."""
    have = {i for i, p in first.items() if p < number}
    wanted = nest.needed(roots(nest, number), have)
    used = {a for i in wanted for a in nest.kernel.body[i].args} | set(roots(nest, number))
    return sorted(have & used)


def dear(nest: Nest, i: int) -> bool:
    """Whether to keep an element of inst `i` rather than compute it again."""
    inst = nest.kernel.body[i]
    if nest.depths[i] != nest.depth or inst.dtype not in FOUR_BYTES:
        return False
    if inst.op == "load":
        return bool(inst.args) or inst["view"].strides[nest.vector] != 1
    return inst.op in ("div", "sqrt") or (inst.op in OPS and OPS[inst.op].has("library"))


def needed_by(nest: Nest, keeping: Keeping, number: int) -> frozenset[int]:
    """What pass `number` computes."""
    return nest.needed(roots(nest, number), [i for i, p in keeping.first.items() if p < number])


def dearest(nest: Nest, keeping: Keeping) -> int:
    """The pass behind the first that computes most: memory has time then. 0 where there is but one."""
    behind = range(1, nest.last + 1)
    return max(behind, key=lambda p: (cost(nest.kernel, nest.inner(needed_by(nest, keeping, p))), p), default=0)


def sweep(
    rows: Sequence[Scope], number: int, size: int, keeping: Sequence[Keeping], behind: Scope | None = None
) -> list[dict[int, Value]]:
    """Pass `number` over whole rows side by side, each with its own scratch; the results of its reductions. `behind`:
    the row before, whose last pass goes along with this one, out of the same scratch."""
    nest = rows[0].nest
    if not roots(nest, number):
        return [{} for _ in rows]
    if not nest.reduces(number) or size <= ROW_BLOCK:
        states = block(rows, number, 0, size, keeping, behind)
    else:
        states = [blocks(row, number, size, kept, behind) for row, kept in zip(rows, keeping, strict=True)]
    return [{i: fold_of(rows[0], i).result(state) for i, state in found.items()} for found in states]


def block(
    rows: Sequence[Scope],
    number: int,
    start: Int,
    size: int,
    keeping: Sequence[Keeping],
    behind: Scope | None = None,
) -> list[dict[int, State]]:
    """Pass `number` over `size` elements from `start`, which is at most one block of the contract if it folds."""
    nest, f = rows[0].nest, rows[0].f
    folds = {i: fold_of(rows[0], i) for i in nest.reduces(number)}
    ahead = Visit(number, keeping, tuple(folds.items()), rows)
    visit: Visit | Both = Both(ahead, Visit(nest.last, keeping, (), [behind])) if behind else ahead
    seeds = [fold.seed(WIDTH) for fold in folds.values()]
    even = size // STRIP * STRIP
    stop = f.iadd(start, even) if isinstance(start, Value) else start + even
    halves = walk(visit.scopes, start, stop, size % STRIP, [seeds] * (2 * len(visit.scopes)), visit, guard=False)
    halves = halves[: 2 * len(rows)]
    return [
        {i: fold_lanes(fold, a, b, min(size, LANES)) for (i, fold), a, b in zip(folds.items(), low, high, strict=True)}
        for low, high in zip(halves[::2], halves[1::2], strict=True)
    ]


def blocks(scope: Scope, number: int, size: int, keeping: Keeping, behind: Scope | None = None) -> dict[int, State]:
    """Pass `number` over a row of many blocks."""
    f, count, whole = scope.f, -(-size // ROW_BLOCK), size // ROW_BLOCK
    folds = {i: fold_of(scope, i) for i in scope.nest.reduces(number)}
    arrays = {i: [f.alloca(4 * count) for _ in types_of(fold, 1)] for i, fold in folds.items()}

    def one(b: Int, start: Int, length: int) -> None:
        (states,) = block([scope], number, start, length, [keeping], behind)
        for i, state in states.items():
            for value, array in zip(state, arrays[i], strict=True):
                f.store(value, f.offset(array, f.imul(b, 4)))

    f.loop(0, whole, 1, lambda b: one(b, f.imul(b, ROW_BLOCK), ROW_BLOCK))
    if size % ROW_BLOCK:
        one(whole, whole * ROW_BLOCK, size % ROW_BLOCK)
    return {i: fold_adjacent(fold, arrays[i], types_of(fold, 1), count, 4) for i, fold in folds.items()}


@dataclass(frozen=True)
class Visit:
    """What pass `number` does at one vector of each row, or at two. `keeping`: that of each row."""

    number: int
    keeping: Sequence[Keeping]
    folds: tuple[tuple[int, Fold], ...]
    outside: Sequence[Scope]

    @property
    def scopes(self) -> list[Scope]:
        """The rows' scopes, with pointers for this pass only."""
        views = [*self.nest.views(self.nest.inner(self.needed)), *self.next]
        return [row.only(views) for row in self.outside]

    @property
    def nest(self) -> Nest:
        return self.outside[0].nest

    @cached_property
    def next(self) -> dict[View, int]:
        """What to ask for in this pass, and how many bytes further the rows after these have it."""
        found = next_row(self.outside[0]) if 0 < self.number == dearest(self.nest, self.keeping[0]) else {}
        return {view: further * len(self.outside) for view, further in found.items()}

    @cached_property
    def needed(self) -> frozenset[int]:
        return needed_by(self.nest, self.keeping[0], self.number)

    def __call__(self, lanes: list[Scope], states: list[list[State]]) -> list[list[State]]:
        self.make(lanes)
        return [self.entered(here, state) for here, state in zip(lanes, states, strict=True)]

    def make(self, lanes: list[Scope]) -> None:
        """All values and stores."""
        each = len(lanes) // len(self.keeping)
        lanes[0].f.beside([partial(self.one, here, self.keeping[n // each]) for n, here in enumerate(lanes)])
        run_stores(lanes, self.nest.stores(self.number, True))

    def one(self, here: Scope, keeping: Keeping) -> None:
        """The values at one vector."""
        for view, further in self.next.items():
            here.f.prefetch(here.f.offset(here.pointers[view], further), locality=3 if further < LARGE else 2)
        keeping.restore(here, self.number, taken(here.nest, keeping.first, self.number))
        run(here, here.nest.depth, self.needed)
        keeping.save(here, self.number)

    def entered(self, here: Scope, states: list[State]) -> list[State]:
        body = here.nest.kernel.body
        return [enter(fold, state, here, body[i].args[0]) for (i, fold), state in zip(self.folds, states, strict=True)]


@dataclass(frozen=True)
class Both:
    """A pass of one row, and the last one of the row before; what that kept is taken before it is overwritten."""

    ahead: Visit
    behind: Visit

    @property
    def scopes(self) -> list[Scope]:
        return [*self.ahead.scopes, *self.behind.scopes]

    def __call__(self, lanes: list[Scope], states: list[list[State]]) -> list[list[State]]:
        half = len(lanes) // 2
        self.behind.make(lanes[half:])
        return [*self.ahead(lanes[:half], states[:half]), *states[half:]]


def next_row(scope: Scope) -> dict[View, int]:
    """What is read along the row, and how many bytes further the next row has it."""
    nest, body = scope.nest, scope.nest.kernel.body
    if not nest.groups[0]:
        return {}
    loads = [body[i] for i in nest.inner(nest.live) if body[i].op == "load" and not body[i].args]
    views = [inst["view"] for inst in loads if inst["view"].strides[nest.vector] == 1]
    apart = {view: view.strides[nest.groups[0][-1]] * scope.site.item(view) for view in views}
    return {view: further for view, further in apart.items() if further}


def fold_of(scope: Scope, i: int) -> Fold:
    return Fold(scope.f, scope.nest.kernel.body[i]["how"])


def enter(fold: Fold, state: State, here: Scope, x: int) -> State:
    """Inst `x` at the vector of `here` enters the fold."""
    at = lane_positions(here) if fold.how == "argmax" else Value("", "")
    return fold.step(state, get(here, x, True), at, here.mask)
