"""Fusion, placement and memory: a compiled routine has the bits of the program it was made from."""

from __future__ import annotations

import pytest

from jobspec.ir.build import full, sliced
from jobspec.ir.plan import Call, Steps, Turns
from jobspec.ir.program import Node, Program, make
from jobspec.ir.types import Type
from tests.passes.routines import assert_same_bits, compiled, given, random_inputs


def spread(x: Node, shape: tuple[int, ...], axes: tuple[int, ...]) -> Node:
    return make("broadcast", x, shape=shape, axes=axes)


def const(value: float, shape: tuple[int, ...] = ()) -> Node:
    return full(Type("f32", shape), value)


def matmul(a: Node, b: Node) -> Node:
    return make("contract", a, b, a_over=(len(a.shape) - 1,), b_over=(0,), a_batch=(), b_batch=())


def check(*outputs: tuple[str, Node], inputs: tuple[Node, ...]) -> None:
    program = Program(inputs, outputs)
    assert_same_bits(program, random_inputs(program))


def calls(steps: Steps) -> int:
    return sum(calls(s.steps) if isinstance(s, Turns) else isinstance(s, Call) for s in steps)


def softmax(x: Node) -> Node:
    outer, axis = tuple(range(len(x.shape) - 1)), len(x.shape) - 1
    e = make("exp", make("sub", x, spread(make("reduce_max", x, axes=(axis,)), x.shape, outer)))
    return make("div", e, spread(make("sum", e, axes=(axis,)), x.shape, outer))


def test_softmax_is_one_kernel() -> None:
    x = given("x", 6, 37)
    program = Program((x,), (("x", softmax(x)),))
    assert_same_bits(program, random_inputs(program))
    assert calls(compiled(program)[1].steps) <= 2


def test_update_in_place_waits_for_readers() -> None:
    w, x = given("w", 8, 8), given("x", 5, 8)
    y = matmul(x, w)
    check(("w", make("sub", w, matmul(make("permute", x, axes=(1, 0)), y))), ("x", make("add", y, x)), inputs=(w, x))


def test_swap_and_rotation_of_state() -> None:
    a, b, c = given("a", 7), given("b", 7), given("c", 7)
    check(("a", b), ("b", c), ("c", make("add", a, b)), inputs=(a, b, c))
    check(("a", b), ("b", a), ("c", make("mul", a, b)), inputs=(a, b, c))


def test_average_that_follows_a_parameter() -> None:
    p, ema = given("p", 9, 5), given("ema", 9, 5)
    new = make("sub", p, const(0.1, (9, 5)))
    check(("p", new), ("ema", make("add", make("mul", ema, const(0.9, (9, 5))), new)), inputs=(p, ema))


def test_views_are_strides() -> None:
    x, y = given("x", 4, 6, 8), given("y", 8, 4)
    turned = make("flip", make("permute", x, axes=(2, 0, 1)), axes=(0, 2))
    part = sliced(turned, (1, 0, 1), (8, 4, 6), (2, 1, 2))
    check(
        ("x", make("mul", x, const(2.0, x.shape))),
        ("report.s", make("sum", part, axes=(0, 1, 2))),
        ("y", make("add", y, make("sum", turned, axes=(2,)))),
        inputs=(x, y),
    )


def test_reshape_of_a_permuted_tensor_is_copied() -> None:
    x = given("x", 4, 6)
    odd = make("reshape", make("permute", x, axes=(1, 0)), shape=(3, 8))
    check(("report.s", make("sum", make("exp", odd), axes=(0, 1))), inputs=(x,))


def test_a_loop_is_given_a_reshaped_broadcast() -> None:
    turn, a = given("turn", dtype="i32"), given("a", 3, 4)
    body = Program((turn, a), (("s", make("add", a, a)),))
    x = given("x", 4)
    odd = make("reshape", spread(x, (4, 3), (0,)), shape=(3, 4))
    stacked = make("get", make("loop", odd, count=3, carried=0, sliced=0, reverse=False, body=body), index=0)
    check(("report.s", make("sum", stacked, axes=(0, 1, 2))), inputs=(x,))


def test_splits_that_do_not_nest() -> None:
    x, y = given("x", 3, 4), given("y", 4, 3)
    flat_x = make("reshape", make("permute", x, axes=(1, 0)), shape=(12,))
    flat_y = make("reshape", make("permute", y, axes=(1, 0)), shape=(12,))
    check(("report.s", make("sum", make("mul", flat_x, flat_y), axes=(0,))), inputs=(x, y))


def test_pad_concat_window_convolution() -> None:
    x, w = given("x", 2, 6, 6, 3), given("w", 3, 3, 3, 4)
    padded = make("pad", x, low=(0, 1, 1, 0), high=(0, 1, 1, 0), inner=(0, 0, 0, 0), bits=0)
    seen = make("window", padded, axes=(1, 2), sizes=(3, 3), strides=(1, 1))
    y = make("contract", seen, w, a_over=(3, 4, 5), b_over=(0, 1, 2), a_batch=(), b_batch=())
    both = make("concat", y, make("neg", y), axis=3)
    inner = make("pad", x, low=(0, 2, 0, 0), high=(0, 0, 1, 0), inner=(0, 1, 2, 0), bits=0x3F800000)
    check(
        ("report.a", make("sum", both, axes=(0, 1, 2, 3))),
        ("report.b", make("sum", inner, axes=(0, 1, 2, 3))),
        ("x", make("add", x, const(1.0, x.shape))),
        inputs=(x, w),
    )


@pytest.mark.parametrize(("low", "high", "fills"), [(1, 1, 2), (2, 0, 2), (1, 3, 4)])
def test_what_is_padded_is_written_where_it_belongs(low: int, high: int, fills: int) -> None:
    """No kernel copies it, and only its margins are filled: both at once where they are equally wide."""
    x, w = given("x", 2, 5, 6, 3), given("w", 3, 3, 3, 4)
    h = make("exp", x)
    padded = make("pad", h, low=(0, low, low, 0), high=(0, high, high, 0), inner=(0, 0, 0, 0), bits=0x3F800000)
    seen = make("window", padded, axes=(1, 2), sizes=(3, 3), strides=(1, 1))
    y = make("contract", seen, w, a_over=(3, 4, 5), b_over=(0, 1, 2), a_batch=(), b_batch=())
    program = Program((x, w), (("report.y", make("sum", y, axes=(0, 1, 2, 3))), ("x", make("neg", h))))
    assert_same_bits(program, random_inputs(program))
    kinds = [kernel.name for kernel in compiled(program)[1].kernels]
    assert (kinds.count("copy"), kinds.count("fill")) == (0, fills)


def test_padding_in_a_loop() -> None:
    a, carried, turn = given("a", 4, 5), given("b", 4, 5), given("turn", dtype="i32")
    padded = make("pad", make("exp", carried), low=(1, 0), high=(0, 2), inner=(0, 0), bits=0)
    seen = make("window", padded, axes=(0, 1), sizes=(2, 3), strides=(1, 1))
    body = Program((turn, carried), (("b", make("sum", seen, axes=(2, 3))),))
    looped = make("loop", a, count=3, carried=1, sliced=0, reverse=False, body=body)
    check(("a", make("get", looped, index=0)), inputs=(a,))


def test_column_statistics_share_a_pass() -> None:
    x, g = given("x", 40, 6), given("g", 6)
    mean = make("div", make("sum", x, axes=(0,)), const(40.0, (6,)))
    centred = make("sub", x, spread(mean, x.shape, (1,)))
    var = make("sum", make("mul", centred, centred), axes=(0,))
    check(("g", make("add", make("mul", g, mean), var)), ("x", make("mul", x, spread(g, x.shape, (1,)))), inputs=(x, g))


def test_gather_scatter_and_one_hot() -> None:
    table, ids = given("table", 5, 8), given("ids", 3, 4, dtype="u8")
    index = make("cast", ids, dtype="i32")
    rows = make("gather", table, index, batch=0)
    grad = make("scatter_add", make("exp", rows), index, batch=0, size=5)
    picked = make("gather", rows, index, batch=2)
    last = make("gather", make("flip", table, axes=(0,)), index, batch=0)
    check(("report.l", make("sum", last, axes=(0, 1, 2))), inputs=(table, ids))
    check(("table", make("sub", table, grad)), ("report.p", make("sum", picked, axes=(0, 1))), inputs=(table, ids))


def test_bias_gradient_and_argmax_pooling() -> None:
    x = given("x", 2, 8, 8, 4)
    cut = make("reshape", x, shape=(2, 4, 2, 4, 2, 4))
    seen = make("permute", cut, axes=(0, 1, 3, 2, 4, 5))
    best, at = make("reduce_max", seen, axes=(3, 4)), make("argmax", seen, axes=(3, 4))
    back = make("select", make("eq", make("cast", at, dtype="f32"), const(1.0, at.shape)), best, const(0.0, at.shape))
    check(
        ("report.s", make("sum", back, axes=(0, 1, 2, 3))),
        ("report.b", make("sum", best, axes=(0, 1, 2, 3))),
        ("x", make("neg", x)),
        inputs=(x,),
    )


@pytest.mark.parametrize("reverse", [False, True])
def test_loop_with_stacks_slices_and_shared(reverse: bool) -> None:
    turn, x, w, s = given("turn", dtype="i32"), given("x", 4, 8), given("w", 8, 8), given("s", 8)
    y = make("add", x, make("tanh", matmul(softmax(x), w)))
    y = make("mul", y, spread(make("exp", s), x.shape, (1,)))
    y = make("add", y, spread(make("cast", turn, dtype="f32"), y.shape, ()))
    body = Program((turn, x, w, s), (("x", y), ("old", x), ("sum", make("sum", y, axes=(0,)))))
    x0, ws, shared = given("x0", 4, 8), given("ws", 3, 8, 8), given("s0", 8)
    loop = make("loop", x0, ws, shared, count=3, carried=1, sliced=1, reverse=reverse, body=body)
    last, old, sums = (make("get", loop, index=i) for i in range(3))
    check(
        ("x0", last),
        ("ws", make("add", ws, spread(make("sum", old, axes=(1,)), ws.shape, (0, 2)))),
        ("s0", make("add", shared, make("sum", sums, axes=(0,)))),
        inputs=(x0, ws, shared),
    )


def test_loops_nest_and_rotate() -> None:
    turn, a, b = given("turn", dtype="i32"), given("a", 3), given("b", 3)
    inner = Program((turn, a, b), (("a", b), ("b", make("add", a, b))))
    turn2, c, d = given("turn2", dtype="i32"), given("c", 3), given("d", 3)
    inside = make("loop", c, d, count=2, carried=2, sliced=0, reverse=False, body=inner)
    outer = Program((turn2, c, d), (("c", make("get", inside, index=1)), ("d", make("get", inside, index=0)), ("e", c)))
    p, q = given("p", 3), given("q", 3)
    loop = make("loop", p, q, count=4, carried=2, sliced=0, reverse=False, body=outer)
    first, second, stack = (make("get", loop, index=i) for i in range(3))
    check(("p", first), ("q", second), ("report.s", make("sum", stack, axes=(0, 1))), inputs=(p, q))


def test_scalars_and_the_step_number() -> None:
    step, x = given("step", dtype="i32"), given("x", 3, 3)
    t = make("add", make("cast", step, dtype="f32"), const(1.0))
    rate = make("div", const(0.5), make("sqrt", t))
    norm = make("sqrt", make("sum", make("mul", x, x), axes=(0, 1)))
    scale = make("select", make("lt", const(1.0), norm), make("div", const(1.0), norm), const(1.0))
    check(
        ("x", make("sub", x, make("mul", x, spread(make("mul", rate, scale), x.shape, ())))),
        ("report.norm", norm),
        ("report.rate", rate),
        inputs=(step, x),
    )


def test_matrix_vector_and_outer_products() -> None:
    x, w = given("x", 6), given("w", 6, 5)
    y = make("contract", x, w, a_over=(0,), b_over=(0,), a_batch=(), b_batch=())
    outer = make("contract", x, y, a_over=(), b_over=(), a_batch=(), b_batch=())
    check(
        ("w", make("add", w, outer)),
        ("x", make("add", x, make("contract", w, y, a_over=(1,), b_over=(0,), a_batch=(), b_batch=()))),
        inputs=(x, w),
    )


def test_rows_of_one_element() -> None:
    """A row that is one element stays a row: the axis outside it is not folded in its place."""
    x = given("x", 5, 1)
    picked = make("cast", make("argmax", x, axes=(1,)), dtype="f32")
    check(("x", spread(picked, (5, 1), (0,))), inputs=(x,))
