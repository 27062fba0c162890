"""The checker finds every way in which a program can be ill formed."""

from __future__ import annotations

from typing import Any

import pytest

from jobspec.ir.build import full
from jobspec.ir.check import STAGES, IllFormed, check
from jobspec.ir.ops import OPS, IllTyped
from jobspec.ir.program import Node, Program, make
from jobspec.ir.regions import Loop, body_input, get
from jobspec.ir.types import Type

F32 = Type("f32")
X, Y = body_input("x", Type("f32", (2, 3))), body_input("y", Type("f32", (2, 3)))


def outputs(*nodes: Node) -> tuple[tuple[str, Node], ...]:
    return tuple((f"o{i}", node) for i, node in enumerate(nodes))


def forged(op: str, args: tuple[Node, ...], result: Any, **attrs: Any) -> Node:
    """A node that `make` would not make."""
    node = Node.__new__(Node)
    node.op, node.args, node.attrs, node.result = op, args, tuple(sorted(attrs.items())), result
    return node


def body(step: Node) -> Node:
    """A loop that carries `step`, which is in terms of the input `h`."""
    turn, h = body_input("t", Type("i32")), body_input("h", F32)
    return Loop(2, False, (full(F32, 0),), (), (), turn, (h,), (), (), (("h", step),), ()).node()


WRONG = [
    (Program((), outputs(make("neg", X))), "no input of this program is called `x`"),
    (Program((X, Y, X), outputs(Y)), "two inputs are called `x`"),
    (Program((X,), (("a", X), ("a", make("neg", X)))), "two outputs are called `a`"),
    (Program((X, make("neg", X)), outputs(X)), "is listed as an input"),
    (Program((), outputs(get(body(body_input("elsewhere", F32)), 0))), "in the body of node"),
    (Program((), outputs(get(body(make("stop", body_input("h", F32))), 0))), "not legal at stage tensor"),
    (Program((X,), outputs(make("stop", X))), "(stop): not legal at stage tensor"),
    (Program((), outputs(body(body_input("h", F32)))), "output `o0` is a whole loop"),
    (Program((X,), outputs(forged("plus", (X,), X.type))), "(plus): no such operation"),
    (Program((X,), outputs(forged("neg", (X,), Type("f32", (3, 2))))), "typed f32[3 2], its rule gives f32[2 3]"),
    (Program((X,), outputs(forged("neg", (X,), X.type, axis=1))), "attributes ['axis'], not []"),
    (Program((X,), outputs(forged("sum", (X,), F32, axes=[0, 1]))), "axes is not of kind ints"),
    (Program((X,), outputs(forged("concat", (X,), X.type, axis=True))), "axis is not of kind int"),
    (Program((X,), outputs(forged("add", (X,), X.type))), "add takes 2 operands, got 1"),
    (Program((X,), outputs(forged("cast", (X,), X.type, dtype="f64"))), "dtype is not of kind dtype"),
]


@pytest.mark.parametrize(("program", "reason"), WRONG)
def test_an_ill_formed_program_is_refused(program: Program, reason: str) -> None:
    with pytest.raises(IllFormed) as caught:
        check(program, "tensor")
    assert reason in str(caught.value)


def test_all_reasons_are_given_at_once() -> None:
    with pytest.raises(IllFormed) as caught:
        check(Program((X, X), outputs(make("stop", Y))), "tensor")
    assert len(str(caught.value).splitlines()) == 3


def test_stages_allow_ever_fewer_operations() -> None:
    program = Program((X,), outputs(make("exp", X)))
    check(program, "tensor")
    with pytest.raises(IllFormed, match="not legal at stage primitive"):
        check(program, "primitive")
    assert list(STAGES) == ["surface", "tensor", "primitive"]


TYPED_WRONG: list[tuple[str, tuple[Node, ...], dict[str, Any]]] = [
    ("const", (), {"dtype": "f32", "shape": (2,), "bits": (1, 2, 3)}),
    ("const", (), {"dtype": "bool", "shape": (), "bits": (2,)}),
    ("const", (), {"dtype": "u8", "shape": (), "bits": (256,)}),
    ("input", (), {"name": "x", "dtype": "f32", "shape": (0,)}),
    ("add", (X, make("cast", X, dtype="i32")), {}),
    ("sqrt", (make("cast", X, dtype="i32"),), {}),
    ("select", (X, X, X), {}),
    ("cast", (X,), {"dtype": "u8"}),
    ("cast", (X,), {"dtype": "bool"}),
    ("bitcast", (make("lt", X, Y),), {"dtype": "i32"}),
    ("reshape", (X,), {"shape": (-2, -3)}),
    ("reshape", (X,), {"shape": (7,)}),
    ("permute", (X,), {"axes": (0, 0)}),
    ("broadcast", (X,), {"shape": (2, 3, 4), "axes": (1, 0)}),
    ("broadcast", (X,), {"shape": (2, 3, 0), "axes": (0, 1)}),
    ("slice", (X,), {"start": (0, 2), "stop": (2, 2), "step": (1, 1)}),
    ("slice", (X,), {"start": (0,), "stop": (2,), "step": (1,)}),
    ("flip", (X,), {"axes": (2,)}),
    ("window", (X,), {"axes": (), "sizes": (), "strides": ()}),
    ("window", (X,), {"axes": (1,), "sizes": (4,), "strides": (1,)}),
    ("pad", (X,), {"low": (-1, 0), "high": (0, 0), "inner": (0, 0), "bits": 0}),
    ("pad", (X,), {"low": (0, 0), "high": (0, 0), "inner": (0, 0), "bits": 1 << 32}),
    ("concat", (X,), {"axis": 2}),
    ("concat", (), {"axis": 0}),
    ("gather", (X, X), {"batch": 0}),
    ("gather", (X, make("iota", size=2)), {"batch": 2}),
    ("scatter_add", (X, make("iota", size=3)), {"batch": 0, "size": 2}),
    ("contract", (X, Y), {"a_over": (0,), "b_over": (1,), "a_batch": (), "b_batch": ()}),
    ("contract", (X, Y), {"a_over": (-1,), "b_over": (-1,), "a_batch": (), "b_batch": ()}),
    ("contract", (X, Y), {"a_over": (0, 0), "b_over": (0, 0), "a_batch": (), "b_batch": ()}),
    ("sum", (X,), {"axes": ()}),
    ("sum", (X,), {"axes": (1, 0)}),
    ("sum", (X,), {"axes": (-1,)}),
    ("argmax", (make("cast", X, dtype="i32"),), {"axes": (0,)}),
    ("iota", (), {"size": 0}),
    ("get", (X,), {"index": 0}),
    ("gradient", (X, Y), {}),
]


@pytest.mark.parametrize(("op", "args", "attrs"), TYPED_WRONG)
def test_an_ops_rule_refuses_what_it_has_no_type_for(op: str, args: tuple[Node, ...], attrs: dict[str, Any]) -> None:
    with pytest.raises(IllTyped, match=op):
        make(op, *args, **attrs)


def test_a_loop_is_no_operand() -> None:
    with pytest.raises(IllTyped, match="use get"):
        make("neg", body(body_input("h", F32)))


def test_equal_expressions_are_one_node() -> None:
    assert make("add", X, Y) is make("add", X, Y)
    assert make("add", X, Y) is not make("add", Y, X)
    assert body(body_input("h", F32)) is body(body_input("h", F32))
    assert OPS["add"].has("commutative")
