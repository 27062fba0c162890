"""Every rewrite rule by itself: it speaks where it should, keeps every bit there, and is silent beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.build import full, slice_axis
from jobspec.ir.program import Node, Program, make, order
from jobspec.ir.regions import Loop, body_input, get
from jobspec.ir.types import Type
from jobspec.passes.simplify import RULES, simplify
from tests.random_programs import SPECIAL

X, Y = body_input("x", Type("f32", (4, 4))), body_input("y", Type("f32", (4, 4)))
N, J = body_input("i", Type("i32", (4,))), body_input("j", Type("i32", (4,)))
U = body_input("u", Type("u32", (4,)))
C, D = body_input("c", Type("bool", (4,))), body_input("d", Type("bool", (4,)))
B, H = body_input("b", Type("u8", (4,))), body_input("h", Type("u16", (4,)))
ROW, ONE = body_input("row", Type("f32", (4,))), body_input("one", Type("f32", (1,)))
INPUTS = (X, Y, N, J, U, C, D, B, H, ROW, ONE)

RULE_BY_NAME = {rule.__name__: rule for rules in RULES.values() for rule in rules}


def f(value: float) -> Node:
    return full(X.type, value)


def k(value: int, like: Node = N) -> Node:
    return full(like.type, value)


def inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    special = np.array([*SPECIAL, 1.5, -2.5, 7e-42], np.float32)
    return {
        "x": special.reshape(4, 4), "y": rng.permutation(special).reshape(4, 4),
        "i": np.array([0, -1, 2**31 - 1, -(2**31)], np.int32), "j": np.array([3, -5, 2, 1], np.int32),
        "u": np.array([0, 0xFFFFFFFF, 0x7FC00001, 5], np.uint32), "c": np.array([True, False, True, False]),
        "d": np.array([True, True, False, False]), "b": np.array([0, 255, 7, 128], np.uint8),
        "h": np.array([0, 65535, 7, 300], np.uint16), "row": special[:4], "one": np.array([-0.0], np.float32),
    }  # fmt: skip


def cast(x: Node, *dtypes: str, op: str = "cast") -> Node:
    for dtype in dtypes:
        x = make(op, x, dtype=dtype)
    return x


def repeat(x: Node, shape: tuple[int, ...], *axes: int) -> Node:
    return make("broadcast", x, shape=shape, axes=axes)


def cut(x: Node, start: tuple[int, ...], stop: tuple[int, ...], step: tuple[int, ...] | None = None) -> Node:
    return make("slice", x, start=start, stop=stop, step=step or (1,) * len(start))


def pad(x: Node, low: int, high: int, inner: int = 0, bits: int = 0) -> Node:
    return make("pad", x, low=(low, low), high=(high, high), inner=(inner, inner), bits=bits)


def beside(x: Node, low: int, high: int) -> Node:
    """Zeros before and behind along the second axis."""
    return make("pad", x, low=(0, low), high=(0, high), inner=(0, 0), bits=0)


def permute(x: Node, *axes: int) -> Node:
    return make("permute", x, axes=axes)


def reshape(x: Node, *shape: int) -> Node:
    return make("reshape", x, shape=shape)


def convolved(x: Node, more: int) -> Node:
    """2 x 2 windows, 2 apart along the second axis after padding, with two filters; `more`: padding at the end."""
    windows = make("window", pad(x, 0, more), axes=(0, 1), sizes=(2, 2), strides=(1, 2 if more else 1))
    filters = reshape(slice_axis(Y, 0, 0, 2), 2, 2, 2)
    return make("contract", windows, filters, a_over=(2, 3), b_over=(1, 0), a_batch=(), b_batch=())


def contracted(x: Node, y: Node) -> Node:
    return make("contract", x, y, a_over=(1,), b_over=(0,), a_batch=(), b_batch=())


def neg(x: Node) -> Node:
    return make("neg", x)


SPEAKS: tuple[tuple[str, Node], ...] = (
    ("rule_times_one", make("mul", f(1), X)),
    ("rule_times_one", make("mul", N, k(1))),
    ("rule_times_minus_one", make("mul", X, f(-1))),
    ("rule_times_minus_one", make("mul", U, k(-1, U))),
    ("rule_integer_times_zero", make("mul", N, k(0))),
    ("rule_signs_cancel", make("mul", neg(X), neg(Y))),
    ("rule_signs_cancel", make("div", neg(X), neg(Y))),
    ("rule_plus_nothing", make("add", X, f(-0.0))),
    ("rule_plus_nothing", make("add", k(0), N)),
    ("rule_plus_negative", make("add", X, neg(Y))),
    ("rule_plus_negative", make("add", neg(X), Y)),
    ("rule_added_side_by_side", make("add", beside(X, 0, 5), beside(Y, 4, 1))),
    ("rule_added_side_by_side", make("add", beside(Y, 5, 0), beside(X, 1, 4))),
    ("rule_minus_nothing", make("sub", X, f(0))),
    ("rule_minus_nothing", make("sub", N, k(0))),
    ("rule_minus_negative", make("sub", X, neg(Y))),
    ("rule_minus_from_nothing", make("sub", f(-0.0), X)),
    ("rule_minus_from_nothing", make("sub", k(0), N)),
    ("rule_integer_minus_itself", make("sub", N, N)),
    ("rule_over_one", make("div", X, f(1))),
    ("rule_over_power_of_two", make("div", X, f(-8))),
    ("rule_over_power_of_two", make("div", X, f(2.0**126))),
    ("rule_over_power_of_two", make("div", X, f(2.0**-126))),
    ("rule_double_negation", neg(neg(X))),
    ("rule_double_negation", make("not", make("not", N))),
    ("rule_absolute_of_sign", make("abs", neg(X))),
    ("rule_absolute_of_sign", make("abs", make("abs", X))),
    ("rule_fused_times_one", make("fma", X, f(1), Y)),
    ("rule_fused_times_one", make("fma", f(1), X, Y)),
    ("rule_fused_plus_nothing", make("fma", X, Y, f(-0.0))),
    ("rule_twice_the_same", make("max", X, X)),
    ("rule_twice_the_same", make("and", C, C)),
    ("rule_differs_from_itself", make("xor", U, U)),
    ("rule_bits_unchanged", make("and", N, k(-1))),
    ("rule_bits_unchanged", make("or", full(C.type, 0), C)),
    ("rule_bits_unchanged", make("shr", N, k(0))),
    ("rule_bits_absorbed", make("and", C, full(C.type, 0))),
    ("rule_bits_absorbed", make("or", U, k(-1, U))),
    ("rule_opposite_comparison", make("not", make("eq", X, Y))),
    ("rule_known_condition", make("select", full(C.type, 1), N, J)),
    ("rule_no_difference", make("select", C, N, N)),
    ("rule_negated_condition", make("select", make("not", C), N, J)),
    ("rule_asked_again", make("select", C, make("select", C, N, J), k(7))),
    ("rule_asked_again", make("select", C, k(7), make("select", C, N, J))),
    ("rule_same_type", cast(X, "f32")),
    ("rule_same_type", cast(N, "i32", op="bitcast")),
    ("rule_cast_of_cast", cast(B, "i32", "f32")),
    ("rule_cast_of_cast", cast(H, "u32", "f32")),
    ("rule_cast_of_cast", cast(C, "i32", "u32")),
    ("rule_cast_of_cast", cast(N, "u32", "i32")),
    ("rule_cast_of_cast", cast(N, "u32", "u8")),
    ("rule_bitcast_of_bitcast", cast(X, "u32", "f32", op="bitcast")),
    ("rule_bitcast_of_bitcast", cast(U, "i32", "f32", op="bitcast")),
    ("rule_computed", make("add", f(0.1), f(0.2))),
    ("rule_computed", make("div", f(1), f(3))),
    ("rule_computed", make("mul", f(-0.0), f(2))),
    ("rule_computed", make("mul", k(2**31 - 1), k(3))),
    ("rule_computed", make("mulhi", k(-5), k(2**31 - 1))),
    ("rule_computed", make("mulhi", k(-5, U), k(7, U))),
    ("rule_computed", make("shr", k(-9), k(33))),
    ("rule_computed", make("shl", k(-9, U), k(3, U))),
    ("rule_computed", make("lt", k(-1, U), k(1, U))),
    ("rule_computed", make("lt", k(-1), k(1))),
    ("rule_computed", make("not", full(C.type, 1))),
    ("rule_computed", make("not", k(5))),
    ("rule_computed", make("floor", f(-0.5))),
    ("rule_computed", make("floor", f(-0.0))),
    ("rule_computed", make("max", f(-0.0), f(0.0))),
    ("rule_computed", cast(k(2**24 + 1), "f32")),
    ("rule_computed", cast(k(-1, U), "f32")),
    ("rule_computed", cast(k(300), "u8")),
    ("rule_computed", cast(f(2.9), "i32")),
    ("rule_computed", cast(full(C.type, 1), "f32")),
    ("rule_computed", neg(f(0.0))),
    ("rule_filled", permute(full(Type("i32", (2, 3)), 5), 1, 0)),
    ("rule_filled", pad(full(Type("f32", (2, 2)), 1.0), 1, 0, bits=0x3F800000)),
    ("rule_filled", make("concat", f(2), f(2), axis=0)),
    ("rule_filled", make("window", f(2), axes=(0,), sizes=(2,), strides=(1,))),
    ("rule_unmoved", permute(X, 0, 1)),
    ("rule_unmoved", make("concat", X, axis=1)),
    ("rule_unmoved", cut(X, (0, 0), (4, 4))),
    ("rule_unmoved", pad(X, 0, 0)),
    ("rule_unmoved", repeat(X, (4, 4), 0, 1)),
    ("rule_unmoved", reshape(X, 4, 4)),
    ("rule_uniform", reshape(repeat(ONE, (4, 1), 1), 2, 2)),
    ("rule_uniform", make("flip", repeat(ONE, (4, 1), 1), axes=(0,))),
    ("rule_uniform", repeat(repeat(ONE, (4, 1), 1), (4, 1, 2), 0, 1)),
    ("rule_reshaped_twice", reshape(reshape(X, 16), 2, 8)),
    ("rule_reshaped_constant", reshape(make("const", dtype="i32", shape=(4,), bits=(1, 2, 3, 4)), 2, 2)),
    ("rule_permuted_twice", permute(permute(reshape(X, 2, 2, 4), 2, 0, 1), 1, 0, 2)),
    ("rule_permuted_in_name_only", permute(reshape(X, 4, 1, 4), 1, 0, 2)),
    ("rule_permuted_after_repeat", permute(repeat(reshape(X, 2, 8), (2, 3, 8), 0, 2), 2, 0, 1)),
    ("rule_repeated_twice", repeat(repeat(ROW, (4, 2), 0), (3, 4, 2), 1, 2)),
    ("rule_repeated_after_unit_axes", repeat(reshape(ROW, 1, 4, 1), (1, 2, 4, 1), 0, 2, 3)),
    ("rule_cut_twice", cut(cut(X, (1, 0), (4, 4), (1, 2)), (0, 1), (3, 2), (2, 1))),
    ("rule_cut_after_repeat", cut(repeat(ROW, (3, 4), 1), (1, 1), (3, 4), (1, 2))),
    ("rule_cut_out_of_one_part", cut(make("concat", X, Y, axis=0), (5, 0), (8, 4), (2, 1))),
    ("rule_cut_within_padding", cut(pad(X, 2, 1), (2, 3), (6, 5))),
    ("rule_cut_through_padding", cut(pad(X, 2, 1), (1, 3), (7, 5))),
    ("rule_cut_through_padding", cut(pad(X, 1, 2, 2), (0, 2), (9, 12))),
    ("rule_cut_through_padding", cut(pad(X, 1, 2, 2), (4, 3), (5, 6))),
    ("rule_cut_through_padding", cut(pad(X, 1, 2, 2), (2, 0), (4, 13))),
    ("rule_cut_after_permuting", cut(permute(reshape(X, 2, 2, 4), 2, 0, 1), (1, 0, 1), (4, 2, 2), (2, 1, 1))),
    ("rule_cut_after_convolution", cut(convolved(X, 0), (1, 0, 0), (3, 1, 2))),
    ("rule_cut_after_convolution", cut(convolved(X, 1), (1, 1, 0), (4, 2, 2))),
    ("rule_padded_twice", pad(pad(X, 1, 2, 1), 1, 0)),
    ("rule_flipped_twice", make("flip", make("flip", X, axes=(0, 1)), axes=(1,))),
    ("rule_flipped_in_name_only", make("flip", ONE, axes=(0,))),
    ("rule_flipped_in_name_only", make("flip", reshape(X, 4, 1, 4), axes=(1, 2))),
    ("rule_joined_twice", make("concat", make("concat", X, Y, axis=1), X, axis=1)),
    ("rule_joined_as_before", make("concat", slice_axis(X, 0, 0, 1), slice_axis(X, 0, 1, 3), axis=0)),
    ("rule_folded_single", make("sum", reshape(X, 4, 4, 1), axes=(2,))),
    ("rule_folded_single", make("reduce_max", reshape(X, 4, 1, 4), axes=(1,))),
    ("rule_repeat_late", make("mul", repeat(ROW, (4, 3), 0), full(Type("f32", (4, 3)), 3.0))),
    ("rule_repeat_late", make("add", repeat(ROW, (4, 2, 3), 0), repeat(reshape(ONE), (4, 2, 3)))),
    ("rule_repeat_late", cast(repeat(N, (2, 4), 1), "f32")),
)  # fmt: skip

SILENT: tuple[Node, ...] = (
    make("add", X, f(0.0)),
    make("mul", X, f(0.0)),
    make("sub", X, f(-0.0)),
    make("sub", f(0.0), X),
    make("sub", X, X),
    make("eq", X, X),
    make("div", X, f(3)),
    make("div", X, f(2.0**127)),
    make("div", X, X),
    make("fma", X, Y, f(0.0)),
    make("fma", X, f(0.0), Y),
    make("max", X, Y),
    make("not", make("lt", X, Y)),
    make("add", f(3e38), f(3e38)),
    make("mul", f(1e-20), f(1e-22)),
    make("div", f(1), f(0)),
    cast(U, "f32", "u32", op="bitcast"),
    cast(N, "u32", "f32"),
    cast(N, "f32", "i32"),
    cast(N, "u8", "i32"),
    cast(f(-5.0), "u32"),
    make("sum", reshape(X, 4, 1, 4), axes=(1,)),
    make("gather", f(1), N, batch=0),
    make("concat", slice_axis(X, 0, 0, 1), slice_axis(X, 0, 2, 3), axis=0),
    make("concat", slice_axis(X, 0, 0, 1), slice_axis(Y, 0, 1, 2), axis=0),
    make("concat", make("concat", X, Y, axis=1), make("concat", X, Y, axis=1), axis=0),
    cut(pad(X, 1, 1), (0, 1), (3, 3), (2, 1)),
    cut(convolved(X, 0), (0, 0, 0), (3, 3, 1)),
    cut(convolved(X, 0), (0, 0, 0), (3, 2, 2), (2, 1, 1)),
    cut(contracted(X, Y), (0, 1), (4, 3)),
    pad(pad(X, 1, 0), 0, 1, bits=1),
    pad(pad(X, 1, 0), 0, 0, 1),
    cut(make("concat", X, Y, axis=0), (3, 0), (5, 4)),
    permute(X, 1, 0),
    reshape(permute(X, 1, 0), 16),
    repeat(reshape(X, 16), (16, 2), 0),
)


def values(*nodes: Node) -> list[bytes]:
    program = Program(INPUTS, tuple((f"o{i}", node) for i, node in enumerate(nodes)))
    return [x.tobytes() for x in evaluate(program, inputs()).values()]


@pytest.mark.parametrize(("name", "node"), [pytest.param(*row, id=f"{row[0]}-{i}") for i, row in enumerate(SPEAKS)])
def test_a_rule_speaks_and_keeps_every_bit(name: str, node: Node) -> None:
    assert RULE_BY_NAME[name] in RULES[node.op]
    simpler = RULE_BY_NAME[name](node)
    assert simpler is not None and simpler is not node and simpler.type == node.type
    before, after = values(node, simpler)
    assert before == after


@pytest.mark.parametrize("node", [pytest.param(node, id=f"{node.op}-{i}") for i, node in enumerate(SILENT)])
def test_no_rule_speaks_where_a_bit_could_change(node: Node) -> None:
    spoken = [rule.__name__ for rule in RULES[node.op] if rule(node) is not None]
    assert spoken == []


def test_every_rule_is_tried() -> None:
    assert set(RULE_BY_NAME) == {name for name, _ in SPEAKS}


def test_sums_the_other_way_round_are_one_node() -> None:
    both = Program((X, Y), (("a", make("add", X, Y)), ("b", make("add", Y, X)), ("c", make("sub", Y, X))))
    a, b, c = simplify(both).results
    assert a is b and c.op == "sub"


# loops

F32, I32 = Type("f32"), Type("i32")
TURN, STATE, OTHER = body_input("turn", I32), body_input("state", F32), body_input("other", F32)
CUT, CUT2 = body_input("cut", F32), body_input("cut2", F32)
SHARED, SHARED2 = body_input("shared", F32), body_input("shared2", F32)
SCALAR, START = body_input("scalar", F32), body_input("start", F32)


Nodes = tuple[Node, ...]


def loop(step: Node, *stacked: Node, count: int = 4, sliced: Nodes = (), shared: Nodes = ()) -> Node:
    """Carries one value from `start`; slices and shared inputs as given."""
    outputs = tuple((f"s{i}", node) for i, node in enumerate(stacked))
    return Loop(count, False, (START,), sliced, shared, TURN, (STATE,), (CUT, CUT2)[: len(sliced)],
                (SHARED, SHARED2)[: len(shared)], (("state", step),), outputs).node()  # fmt: skip


def only_loop(program: Program) -> Any:
    found = [node for node in order(program.results) if node.op == "loop"]
    return found[0] if found else None


def assert_same(*results: Node) -> Program:
    """Simplifies and evaluates both forms; returns the simpler one."""
    program = Program((ROW, SCALAR, START), tuple((f"o{i}", node) for i, node in enumerate(results)))
    simpler = simplify(program)
    given = {"row": np.array([1, -0.0, 2.5, 3e38], np.float32), "scalar": np.float32(0.75), "start": np.float32(-0.0)}
    before, after = evaluate(program, given), evaluate(simpler, given)
    assert [x.tobytes() for x in before.values()] == [x.tobytes() for x in after.values()]
    return simpler


def plus(*nodes: Node) -> Node:
    first, *rest = nodes
    for node in rest:
        first = make("add", first, node)
    return first


def test_unread_results_and_what_only_they_need_go() -> None:
    two = Loop(4, False, (START, SCALAR), (ROW,), (SCALAR,), TURN, (STATE, OTHER), (CUT,), (SHARED,),
               (("a", plus(STATE, SHARED)), ("b", plus(OTHER, CUT))), (("s", plus(OTHER, OTHER)),)).node()  # fmt: skip
    kept = only_loop(assert_same(get(two, 0)))
    assert (kept["carried"], kept["sliced"], len(kept.result)) == (1, 0, 1)


def test_a_carried_value_that_another_needs_stays() -> None:
    two = Loop(4, False, (START, SCALAR), (ROW,), (), TURN, (STATE, OTHER), (CUT,), (),
               (("a", plus(STATE, OTHER)), ("b", plus(OTHER, CUT))), ()).node()  # fmt: skip
    assert only_loop(assert_same(get(two, 0)))["carried"] == 2


def test_a_carried_value_that_does_not_change_is_shared() -> None:
    still = Loop(4, False, (START, SCALAR), (), (), TURN, (STATE, OTHER), (), (),
                 (("a", plus(STATE, OTHER)), ("b", OTHER)), ()).node()  # fmt: skip
    simpler = assert_same(get(still, 0), get(still, 1))
    assert simpler.results[1] is SCALAR
    assert only_loop(simpler)["carried"] == 1


def test_equal_operands_are_one_input_and_constants_move_in() -> None:
    body = plus(STATE, CUT, CUT2, SHARED, SHARED2)
    assert len(only_loop(assert_same(get(loop(body, sliced=(ROW, ROW), shared=(SCALAR, SCALAR)), 0))).args) == 3
    constants = {"sliced": (ROW, full(ROW.type, 2.0)), "shared": (SCALAR, full(F32, 3.0))}
    assert len(only_loop(assert_same(get(loop(body, **constants), 0))).args) == 3


def test_equal_slices_are_shared() -> None:
    repeated = make("broadcast", SCALAR, shape=(4,), axes=())
    kept = only_loop(assert_same(get(loop(plus(STATE, CUT), sliced=(repeated,)), 0)))
    assert (kept["sliced"], kept.args) == (0, (START, SCALAR))


def test_stacks_that_need_no_loop() -> None:
    node = loop(plus(STATE, CUT), CUT, SHARED, TURN, full(F32, 2.0), STATE, STATE, sliced=(ROW,), shared=(SCALAR,))
    simpler = assert_same(*(get(node, i) for i in range(7)))
    assert simpler.results[1] is ROW and simpler.results[3].op == "iota" and simpler.results[4].op == "const"
    assert simpler.results[5] is simpler.results[6]
    assert len(only_loop(simpler).result) == 2


def test_expensive_work_that_no_turn_changes_is_done_once() -> None:
    hoisted = make("exp", make("mul", SHARED, full(F32, 2.0)))
    simpler = assert_same(get(loop(plus(STATE, hoisted), shared=(SCALAR,)), 0))
    assert "exp" in [node.op for node in simpler.nodes()]
    assert "exp" not in [node.op for node in only_loop(simpler)["body"].nodes()]


def test_cheap_work_stays_inside() -> None:
    simpler = assert_same(get(loop(plus(STATE, make("mul", SHARED, SHARED)), shared=(SCALAR,)), 0))
    assert "mul" in [node.op for node in only_loop(simpler)["body"].nodes()]


def test_a_loop_of_one_turn_is_its_body() -> None:
    one = loop(plus(STATE, CUT, make("cast", TURN, dtype="f32")), STATE, count=1, sliced=(ONE,))
    program = Program((ONE, START), (("a", get(one, 0)), ("b", get(one, 1))))
    simpler = simplify(program)
    assert only_loop(simpler) is None
    given = {"one": np.array([3], np.float32), "start": np.float32(2)}
    assert [x.tolist() for x in evaluate(simpler, given).values()] == [5, [2]]

