"""Sums over the turns of a loop, made behind it: which are, and that every bit stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobspec.ir.plan import Call, Steps, Turns
from jobspec.ir.program import Node, Program, make
from jobspec.ir.regions import Loop, body_input, get
from jobspec.ir.types import Type
from tests.passes.routines import assert_same_bits, compiled, given, random_inputs

I32 = Type("i32")


def over(a: Node, b: Node) -> Node:
    """Both summed over their first axis."""
    return make("contract", a, b, a_over=(0,), b_over=(0,), a_batch=(), b_batch=())


def summing(count: int, rows: int, reverse: bool, step: str = "") -> Program:
    """total = total + xᵀ y over all turns; `step`: what keeps the sum in the loop."""
    x, y, total = given("x", count, rows, 5), given("y", count, rows, 7), given("total", 5, 7)
    h = given("h", rows, 5)
    xt, yt, so_far = (body_input(n, Type("f32", s)) for n, s in (("xt", (rows, 5)), ("yt", (rows, 7)), ("s", (5, 7))))
    ht = body_input("ht", h.type)
    sums = make("add", so_far, over(ht if step == "carried" else make("mul", xt, xt), yt))
    after = make("add", ht, make("mul", xt, ht))
    if step == "read":
        after = make("add", after, make("broadcast", make("sum", so_far, axes=(0, 1)), shape=h.shape, axes=()))
    squares = () if step == "unkept" else (("squares", make("mul", xt, xt)),)
    loop = Loop(
        count=count, reverse=reverse, inits=(total, h), sliced=(x, y), shared=(), turn=body_input("turn", I32),
        state=(so_far, ht), cuts=(xt, yt), common=(), step=(("s", sums), ("ht", after)), stacked=squares,
    ).node()  # fmt: skip
    kept = (("x", get(loop, 2)),) if squares else ()
    return Program((x, y, total, h), (("total", get(loop, 0)), ("h", get(loop, 1)), *kept))


def in_loops(steps: Steps, inside: bool = False) -> Iterator[tuple[int, bool]]:
    """(kernel, whether a loop with other calls is around it)."""
    for step in steps:
        if isinstance(step, Turns):
            yield from in_loops(step.steps, sum(isinstance(s, Call) for s in step.steps) > 1)
        elif isinstance(step, Call):
            yield step.kernel, inside


def contractions(program: Program) -> list[tuple[int, bool]]:
    """For each contraction its chain's leaves (0: none), and whether it stands in a loop with others."""
    routine = compiled(program)[1]
    found = ((routine.kernels[number], inside) for number, inside in in_loops(routine.steps))
    return [
        (next((dict(i.attrs).get("chain", 0) for i in kernel.body if i.op == "product"), 0), inside)
        for kernel, inside in found
        if kernel.kind == "contract"
    ]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("count", "rows", "calls"), [(3, 4, 1), (23, 60, 2), (5, 256, 2), (4, 300, 0)])
def test_sums_are_made_behind_the_loop(count: int, rows: int, calls: int, reverse: bool) -> None:
    """All turns in one call where few steps are, in several where many, those left over in one more; more than a leaf
    a turn stays in the loop."""
    program = summing(count, rows, reverse)
    assert contractions(program) == ([(rows, False)] * calls or [(0, True)])
    assert_same_bits(program, random_inputs(program))


@pytest.mark.parametrize("step", ["carried", "read", "unkept"])
def test_sums_stay_in_the_loop(step: str) -> None:
    """Where an operand is gone in the next turn (carried on, or kept nowhere), or the sum is read in the loop."""
    program = summing(4, 6, False, step)
    assert contractions(program) == [(0, True)]
    assert_same_bits(program, random_inputs(program))


def test_shared_weights_of_a_scan() -> None:
    """The gradient of what all turns share, where that of what they cut is wanted too and so kept of every turn."""
    x, w = given("x", 6, 3, 5), given("w", 5, 5)
    xt, wt, h = body_input("xt", Type("f32", (3, 5))), body_input("wt", w.type), body_input("h", Type("f32", (3, 5)))
    new = make("tanh", make("add", xt, make("contract", h, wt, a_over=(1,), b_over=(0,), a_batch=(), b_batch=())))
    loop = Loop(
        count=6, reverse=False, inits=(given("h0", 3, 5),), sliced=(x,), shared=(w,), turn=body_input("turn", I32),
        state=(h,), cuts=(xt,), common=(wt,), step=(("h", new),), stacked=(),
    ).node()  # fmt: skip
    loss = make("sum", get(loop, 0), axes=(0, 1))
    program = Program((x, w, given("h0", 3, 5)), (("w", make("gradient", loss, w)), ("x", make("gradient", loss, x))))
    assert (3, False) in contractions(program)
    assert_same_bits(program, random_inputs(program))
