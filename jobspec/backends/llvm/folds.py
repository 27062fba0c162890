"""The contract's reductions as LLVM values: what is carried, how one element enters, how results join.

Takes: names of reductions (sum, max, argmax), lanes of elements. Promises: `fold_lanes`, `Adjacent` and
chains of `step` give the trees of ir/contract.py exactly. A fold's state is one value, for argmax two: the
largest element so far and its position. Seeds are exact identities: -0.0 + x is x, and no x is less than
-inf.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobspec.backends.llvm.emit import Function, Int, Module
from jobspec.backends.llvm.values import Value, float_value, like, prefix_mask, vector, width_of, zero
from jobspec.ir.contract import LANES

State = tuple[Value, ...]
INFINITY = float("inf")


@dataclass(frozen=True)
class Fold:
    """`how`: sum | max | argmax. `plus_zero`: a sum's chains start from +0.0 (column order), else from nothing."""

    f: Function
    how: str
    plus_zero: bool = False

    def seed(self, width: int) -> State:
        """The state before any element."""
        if self.how == "sum":
            return (float_value(0.0 if self.plus_zero else -0.0, width),)
        lowest = float_value(-INFINITY, width)
        return (lowest, zero(vector("i32", width))) if self.how == "argmax" else (lowest,)

    def first(self, x: Value) -> State:
        """The state after the first element of all, at position 0."""
        if self.how == "argmax":
            return (x, zero(like(x.type, "i32")))
        return (self.f.fadd(self.seed(width_of(x.type))[0], x),) if self.plus_zero and self.how == "sum" else (x,)

    def step(self, state: State, x: Value, position: Value, mask: Value | None = None, later: bool = False) -> State:
        """One more element per lane, at `position` (i32); lanes outside the mask stay as they are. `later`: no lane
        is at position 0."""
        if self.how == "sum":
            kept = x if mask is None else self._chosen(mask, x, float_value(-0.0, width_of(x.type)))
            return (self.f.fadd(state[0], kept),)
        after = (self.f.fmax(state[0], x),) if self.how == "max" else self._scan(state, x, position, later)
        return after if mask is None else self._all_chosen(mask, after, state)

    def join(self, a: State, b: State, mask: Value | None = None) -> State:
        """`a` then `b`, elements of `b` being the later ones of a tree; lanes outside the mask keep `a`."""
        if self.how == "argmax":
            above = self.f.fcmp("ogt", b[0], a[0])
            earlier = self.f.and_(self.f.fcmp("oeq", b[0], a[0]), self.f.icmp("slt", b[1], a[1]))
            after = self._all_chosen(self.f.or_(above, earlier), b, a)
        else:
            after = (self.f.fadd(a[0], b[0]) if self.how == "sum" else self.f.fmax(a[0], b[0]),)
        return after if mask is None else self._all_chosen(mask, after, a)

    def result(self, state: State) -> Value:
        return state[-1]

    def _scan(self, state: State, x: Value, position: Value, later: bool) -> State:
        """argmax: x wins if greater; a NaN only as the very first element, and then for good."""
        if later:
            return self._all_chosen(self.f.fcmp("ogt", x, state[0]), (x, position), state)
        first = self.f.icmp("eq", position, zero(position.type))
        nan = self.f.and_(first, self.f.fcmp("uno", x, x))
        wins = self.f.or_(self.f.fcmp("ogt", x, state[0]), nan)
        return self._all_chosen(wins, (x, position), state)

    def _chosen(self, mask: Value, a: Value, b: Value) -> Value:
        return self.f.select(mask, a, b)

    def _all_chosen(self, mask: Value, a: State, b: State) -> State:
        return tuple(self._chosen(mask, x, y) for x, y in zip(a, b, strict=True))


def fold_lanes(fold: Fold, low: State, high: State, count: int) -> State:
    """The halving tree over LANES lanes, 16 in `low` and 16 in `high`, of which the first `count` exist; the result
    in one lane."""
    half = LANES // 2
    state = low
    if count > half:
        state = fold.join(low, high, exists(min(count, LANES) - half, half))
    while half > 1:
        count, half = min(count, half), half // 2
        lower = tuple(part(fold.f, v, 0, half) for v in state)
        if count > half:
            upper = tuple(part(fold.f, v, half, half) for v in state)
            lower = fold.join(lower, upper, exists(count - half, half))
        state = lower
    return state


def exists(count: int, width: int) -> Value | None:
    """The mask of the first `count` lanes; None for all."""
    return None if count >= width else prefix_mask(count, width)


def part(f: Function, value: Value, start: int, count: int) -> Value:
    """Lanes start … start+count-1; a single one as a scalar."""
    if count == 1:
        return f.extract(value, start)
    return f.shuffle(value, value, range(start, start + count))


def fold_adjacent(fold: Fold, arrays: Sequence[Value], types: Sequence[str], count: int, step: int) -> State:
    """Fold `count` states that lie `step` bytes apart in `arrays` (one pointer per part of the state) by the adjacent
    tree, in place; the result lies in the first place then."""
    f = fold.f
    if count > 1:
        name = f"adjacent.{fold.how}.{step}.{width_of(types[0])}"
        f.module.once(name, lambda: adjacent(f.module, name, fold.how, types, step))
        f.call("void", name, [*arrays, number(count)])
    return tuple(f.load(t, a) for t, a in zip(types, arrays, strict=True))


def adjacent(module: Module, name: str, how: str, types: Sequence[str], step: int) -> Function:
    """A function (array of each part…, count) that folds in place, level by level; count is at least 2."""
    params = [("ptr noalias", f"part{i}") for i in range(len(types))]
    f = Function(module, name, [*params, ("i64", "count")], internal=True, attributes="noinline")
    fold, arrays, count = Fold(f, how), f.params[:-1], f.params[-1]

    def load(i: Int) -> State:
        return tuple(f.load(t, f.offset(a, f.imul(i, step))) for t, a in zip(types, arrays, strict=True))

    def store(i: Int, state: State) -> None:
        for value, array in zip(state, arrays, strict=True):
            f.store(value, f.offset(array, f.imul(i, step)))

    def pair(i: Value) -> None:
        store(i, fold.join(load(f.imul(i, 2)), load(f.iadd(f.imul(i, 2), 1))))

    def level(_: Value, left: Value) -> list[Value]:
        half = f.udiv(left, 2)
        f.loop(0, half, 1, pair, guard=False)
        f.when(f.icmp("ne", f.urem(left, 2), 0), lambda: store(half, load(f.isub(left, 1))))
        return [f.isub(left, half)]

    deep = f.isub(64, f.intrinsic("ctlz", "i64", (f.isub(count, 1), Value("i1", "false")), ("i64",)))
    f.loop(0, deep, 1, level, [count], guard=False)
    f.ret()
    return f


def number(i: int) -> Value:
    return Value("i64", str(i))


def types_of(fold: Fold, width: int) -> tuple[str, ...]:
    """The types of a state's parts."""
    return tuple(v.type for v in fold.seed(width))


def flatten(states: Sequence[State]) -> list[Value]:
    return [v for state in states for v in state]


def unflatten(values: Sequence[Value], like_: Sequence[State]) -> list[State]:
    """`values` cut into states of the sizes of `like_`."""
    rest, states = list(values), []
    for state in like_:
        states.append(tuple(rest[: len(state)]))
        rest = rest[len(state) :]
    return states
