"""Random kernels: whatever the axes, strides and order of insts, native code leaves the interpreter's bits."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target
from jobspec.passes.schedule_rows import PAST
from tests.llvm.bodies import strides
from tests.llvm.native import TARGETS, Array, axes, check, numbers

SIZES = st.sampled_from([1, 2, 3, 7, 16, 17, 33, 64, 130, 300])
LONG = st.sampled_from([1, 2, 3, 7, 16, 17, 33, 64, 130, 300, 4200, 17000])
SMALL = st.sampled_from([1, 2, 3, 5])
BINARY = ("add", "sub", "mul", "div", "max", "min")
UNARY = ("neg", "abs", "sqrt", "exp", "tanh", "floor", "rsqrt")
OUTER, INNER = {"rows": "outer", "columns": "kept"}, {"rows": "row", "columns": "reduced"}


class Maker:
    """Draws one kernel. Buffer i of the inputs is dense over a subset of the axes, in an order of its own."""

    def __init__(self, draw: st.DrawFn, kind: str) -> None:
        self.draw, self.kind = draw, kind
        outer = draw(st.lists(SMALL if kind == "rows" else SIZES, min_size=1, max_size=3))
        inner = (
            [draw(LONG)]
            if kind == "rows"
            else draw(st.lists(st.sampled_from([1, 2, 4, 9, 65]), min_size=1, max_size=2))
        )
        self.body = axes(**{OUTER[kind]: outer[:2], INNER[kind]: inner})
        self.sizes = [axis.size for axis in self.body.axes]
        self.fold = [i for i, axis in enumerate(self.body.axes) if axis.role == INNER[kind]]
        self.arrays: list[Array] = []
        self.inside: list[int] = []
        self.outside: list[int] = []

    def kernel(self) -> tuple[Kernel, list[Array]]:
        for _ in range(self.draw(st.integers(1, 3))):
            self.load()
        for _ in range(self.draw(st.integers(1, 8))):
            self.draw(st.sampled_from([self.compute, self.compute, self.choose, self.reduce, self.load]))()
        for values, every in ((self.inside, True), (self.outside, False)):
            for x in values[-2:]:
                self.store(x, every)
        return self.body.kernel(self.kind), self.arrays

    def dense(self, chosen: list[int]) -> list[int]:
        """Strides over all axes of an array dense over `chosen`, slowest first."""
        places = dict(zip(chosen, strides([self.sizes[i] for i in chosen]), strict=True))
        return [places.get(i, 0) for i in range(len(self.sizes))]

    def load(self) -> None:
        chosen = self.draw(st.permutations(range(len(self.sizes))))[: self.draw(st.integers(0, len(self.sizes)))]
        size = prod(self.sizes[i] for i in chosen)
        self.arrays.append(numbers(size, len(self.arrays), self.draw(st.booleans())))
        self.add(self.body.load(len(self.arrays) - 1, *self.dense(chosen)), set(chosen) & set(self.fold))

    def add(self, x: int, inside: object) -> None:
        (self.inside if inside else self.outside).append(x)

    def pick(self) -> int:
        return self.draw(st.sampled_from(self.inside + self.outside))

    def compute(self) -> None:
        op = self.draw(st.sampled_from(BINARY + UNARY))
        args = [self.pick() for _ in range(1 + (op in BINARY))]
        self.add(self.body.inst(op, *args), set(args) & set(self.inside))

    def choose(self) -> None:
        a, b, c = self.pick(), self.pick(), self.pick()
        less = self.body.inst("lt", a, b, dtype="bool")
        self.add(self.body.inst("select", less, c, a), {a, b, c} & set(self.inside))

    def reduce(self) -> None:
        x, how = self.pick(), self.draw(st.sampled_from(["sum", "max", "argmax"]))
        r = self.body.inst("reduce", x, how=how, dtype="i32" if how == "argmax" else "f32")
        self.add(self.body.inst("cast", r) if how == "argmax" else r, False)

    def store(self, x: int, every: bool) -> None:
        chosen = [i for i in range(len(self.sizes)) if every or i not in self.fold]
        self.arrays.append(np.zeros(prod(self.sizes[i] for i in chosen), np.float32))
        self.body.store(x, len(self.arrays) - 1, *self.dense(chosen), flag=self.draw(st.integers(-1, 3)))


@st.composite
def kernels(draw: st.DrawFn) -> tuple[Kernel, list[Array]]:
    return Maker(draw, draw(st.sampled_from(["rows", "columns"]))).kernel()


CASES = {
    "case": kernels(),
    "target": st.sampled_from(TARGETS),
    "level": st.sampled_from([0, 1, 2, 3]),
    "cuts": st.integers(1, 4),
    "schedule": st.sampled_from([Schedule(), PAST]),
}
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@settings(RELAXED, max_examples=60)
@given(**CASES)
def test_random_kernel(
    case: tuple[Kernel, list[Array]], target: Target, level: int, cuts: int, schedule: Schedule
) -> None:
    check(*case, target, level, (cuts,), schedule=schedule)


@pytest.mark.slow
@settings(RELAXED, max_examples=2000)
@given(**CASES)
def test_many_random_kernels(
    case: tuple[Kernel, list[Array]], target: Target, level: int, cuts: int, schedule: Schedule
) -> None:
    check(*case, target, level, (cuts,), schedule=schedule)
