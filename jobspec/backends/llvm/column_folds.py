"""Chains down several vectors of columns at once, leaf by leaf.

Takes: a strip (neighbouring vectors along the vector axis at one outer position), a pass, leaves. Promises: in a
leaf, one ascending chain per column over the flattened reduced index; leaves join by the adjacent tree.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from jobspec.backends.llvm.emit import Function, Int, int_of
from jobspec.backends.llvm.evaluate import get, run, run_stores
from jobspec.backends.llvm.folds import Fold, State, flatten, fold_adjacent, types_of, unflatten
from jobspec.backends.llvm.request import LINE, cost
from jobspec.backends.llvm.scope import WIDTH, Scope, digits
from jobspec.backends.llvm.strips import mask_of
from jobspec.backends.llvm.sweeps import roots
from jobspec.backends.llvm.values import Value
from jobspec.backends.nest import Nest
from jobspec.ir.contract import LEAF

#: a light chain is unrolled so many times, one of few instructions in all is no loop
UNROLL, LIGHT, FEW = 4, 8, 128
#: reduction → the states of its columns, one per vector of the strip
States = dict[int, list[State]]


@dataclass(frozen=True)
class Shape:
    """How an axis of `size` columns is cut: strips of `vectors` vectors."""

    size: int
    vectors: int

    @property
    def strips(self) -> int:
        return -(-self.size // (self.vectors * WIDTH))

    def masks(self, last: bool) -> list[Value | None]:
        """One mask per vector of a strip; the last strip may be short."""
        left = self.size - (self.strips - 1) * self.vectors * WIDTH if last else self.vectors * WIDTH
        return [mask_of(left - v * WIDTH) for v in range(-(-left // WIDTH))]

    def each(self, f: Function, strip: Int, emit: Callable[[bool], None]) -> None:
        """Emit the code of a strip, twice where the last one (True) differs."""
        if self.size % (self.vectors * WIDTH) == 0:
            emit(False)
        elif self.strips == 1:
            emit(True)
        else:
            f.when(f.icmp("eq", strip, self.strips - 1), lambda: emit(True), lambda: emit(False))


@dataclass(frozen=True)
class Strip:
    """`base`: inside the outer axes, at the first column; `lanes`: one scope per vector."""

    base: Scope
    lanes: tuple[Scope, ...]

    @property
    def nest(self) -> Nest:
        return self.base.nest


def opened_strip(scope: Scope, shape: Shape, number: Int, last: bool) -> Strip:
    """Strip `number` at the outer position of `scope`."""
    f = scope.f
    base = scope.enter((scope.nest.vector,), (f.imul(number, shape.vectors * WIDTH),))
    return Strip(base, tuple(base.lanes(v, mask) for v, mask in enumerate(shape.masks(last))))


def before(strip: Strip, insts: Collection[int]) -> None:
    """What happens once per outer position and once per column, outside the reduced loops. Nothing goes into the scope
    around the strip: another arm of the code, which these values do not dominate, would find it there."""
    run(strip.base, 1, insts)
    for here in strip.lanes:
        run(here, 2, insts)


def fold_of(scope: Scope, i: int) -> Fold:
    return Fold(scope.f, scope.nest.kernel.body[i]["how"], plus_zero=True)


def chain(strip: Strip, number: int, start: Int, count: int) -> States:
    """Pass `number` over `count` reduced positions from `start` on, at most one leaf."""
    nest, f = strip.nest, strip.base.f
    reduces = nest.reduces(number)
    needed = nest.needed(roots(nest, number))
    inner = strip.base.only(nest.views(nest.inner(needed)))
    seeds = [fold_of(inner, i).seed(WIDTH) for i in reduces for _ in strip.lanes]
    unroll = unrolled(cost(nest.kernel, nest.inner(needed)) * len(strip.lanes), count)

    def turn(r: Value, *carried: Value) -> Sequence[Value]:
        states = unflatten(carried, seeds)
        for u in range(unroll):
            states = element(strip, inner, number, needed, f.iadd(r, u), states)
        return flatten(states)

    if unroll == count:
        return by_reduction(strip, number, straight(strip, inner, number, needed, start, count))
    even = count // unroll * unroll
    after = unflatten(f.loop(0, even, unroll, lambda i, *now: turn(f.iadd(start, i), *now), flatten(seeds)), seeds)
    for u in range(even, count):
        after = element(strip, inner, number, needed, f.iadd(start, u), after)
    return by_reduction(strip, number, after)


def straight(strip: Strip, inner: Scope, number: int, needed: frozenset[int], start: Int, count: int) -> list[State]:
    """A chain without a loop."""
    states: list[State] | None = None
    for u in range(count):
        states = element(strip, inner, number, needed, strip.base.f.iadd(start, u), states)
    assert states is not None
    return states


def by_reduction(strip: Strip, number: int, states: list[State]) -> States:
    lanes = len(strip.lanes)
    return {i: states[n * lanes : (n + 1) * lanes] for n, i in enumerate(strip.nest.reduces(number))}


def unrolled(weight: int, count: int) -> int:
    """Turns in one of a loop of `count` turns of `weight` instructions each."""
    if weight * count <= FEW:
        return count
    return UNROLL if weight <= LIGHT else 1


def element(
    strip: Strip, inner: Scope, number: int, needed: frozenset[int], r: Value, states: list[State] | None
) -> list[State]:
    """The body at reduced position `r`, every vector of the strip; the states after it. None: the chain begins."""
    nest = strip.nest
    axes = nest.groups[nest.fold]
    outside = inner.enter(axes, digits(inner.f, r, [nest.kernel.axes[a].size for a in axes]))
    run(outside, nest.depth, [i for i in needed if not nest.wide[i]])
    scopes = []
    for v, lane in enumerate(strip.lanes):
        here = outside.lanes(v, lane.mask).beside(lane)
        run(here, nest.depth, needed)
        run_stores([here], nest.stores(number, True))
        scopes.append(here)
    return entered(scopes, nest.reduces(number), r, states)


def entered(scopes: list[Scope], reduces: list[int], r: Value, states: list[State] | None) -> list[State]:
    """Every reduction takes its element at every vector."""
    after: list[State] = []
    for i in reduces:
        fold = fold_of(scopes[0], i)
        position = scopes[0].f.splat(scopes[0].f.convert("trunc", r, "i32"), WIDTH) if fold.how == "argmax" else r
        for here in scopes:
            x = get(here, here.nest.kernel.body[i].args[0], True)
            after.append(taken(fold, states[len(after)] if states else None, x, position, r))
    return after


def taken(fold: Fold, state: State | None, x: Value, position: Value, r: Value) -> State:
    """`x` enters a chain, or begins one; an argmax may begin without a seed at the very first position only."""
    if state is None and (fold.how != "argmax" or r.text == "0"):
        return fold.first(x)
    later = not r.text.startswith("%") and r.text != "0"
    return fold.step(state or fold.seed(WIDTH), x, position, None, later)


@dataclass(frozen=True)
class Leaves:
    """Leaf results of one strip: for each reduction and part of its state, leaf after leaf, vector after vector."""

    arrays: dict[int, list[Value]]
    vectors: int

    @property
    def step(self) -> int:
        """Bytes from leaf to leaf."""
        return self.vectors * LINE

    def put(self, f: Function, leaf: Int, states: States) -> None:
        for i, lanes in states.items():
            for v, state in enumerate(lanes):
                for value, array in zip(state, self.arrays[i], strict=True):
                    f.store(value, f.offset(array, f.iadd(f.imul(leaf, self.step), v * LINE)))

    def fold(self, fold: Fold, i: int, v: int, count: int) -> Value:
        """The result of reduction `i` for vector `v` from `count` leaves; it lies in the first leaf's place then."""
        arrays = [fold.f.offset(a, v * LINE) for a in self.arrays[i]]
        return fold.result(fold_adjacent(fold, arrays, types_of(fold, WIDTH), count, self.step))

    def recall(self, f: Function, fold: Fold, i: int, v: int) -> Value:
        """The folded result of reduction `i` for vector `v`."""
        return f.load(types_of(fold, WIDTH)[-1], f.offset(self.arrays[i][-1], v * LINE))


def fold_leaves(strip: Strip, number: int, size: int, allocate: Callable[[int], Value]) -> dict[int, list[Value]]:
    """Pass `number` over all `size` reduced positions: reduction → its result, one per vector."""
    f, count, lanes = strip.base.f, -(-size // LEAF), len(strip.lanes)
    folds = {i: fold_of(strip.base, i) for i in strip.nest.reduces(number)}
    if count == 1:
        states = chain(strip, number, 0, size)
        return {i: [folds[i].result(s) for s in states[i]] for i in folds}
    leaves = Leaves(
        {i: [allocate(count * lanes * LINE) for _ in types_of(fold, WIDTH)] for i, fold in folds.items()}, lanes
    )
    f.loop(0, size // LEAF, 1, lambda n: leaves.put(f, n, chain(strip, number, f.imul(n, LEAF), LEAF)))
    if size % LEAF:
        leaves.put(f, count - 1, chain(strip, number, int_of(size // LEAF * LEAF), size % LEAF))
    return {i: [leaves.fold(fold, i, v, count) for v in range(lanes)] for i, fold in folds.items()}
