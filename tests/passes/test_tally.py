"""Operations and bytes of kernels: contractions exactly, the rest as the body says."""

from __future__ import annotations

import pytest

from jobspec.ir.build import full, permute
from jobspec.ir.kernel import View
from jobspec.ir.plan import Buffer
from jobspec.ir.program import Node, Program, make, order
from jobspec.ir.regions import Loop, body_input, get
from jobspec.ir.types import Type
from jobspec.passes.tally import Tally, of_kernel, of_routine, operations
from tests.llvm.native import axes
from tests.passes.routines import compiled


def x(*shape: int, name: str = "x") -> Node:
    return make("input", name=name, dtype="f32", shape=shape)


def product(a: Node, b: Node) -> Node:
    return make("contract", a, b, a_over=(len(a.shape) - 1,), b_over=(0,), a_batch=(), b_batch=())


def counted(node: Node) -> Tally:
    """What a step does that puts `node` into a slot of its own."""
    used = (n for n in order([node]) if n.op == "input")
    program = Program((*used, x(*node.shape, name="result")), (("result", node),))
    return of_routine(compiled(program)[1])


def test_a_contraction_counts_two_for_each_product() -> None:
    found = counted(product(x(30, 50), x(50, 70, name="w")))
    assert found.contractions == 2 * 30 * 50 * 70
    assert found.others == 0
    assert (found.read, found.written) == (4 * (30 * 50 + 50 * 70), 4 * 30 * 70)


def test_a_token_counts_once_however_many_maps_there_are() -> None:
    index = make("const", dtype="i32", shape=(12, 2), bits=tuple(i % 7 for i in range(24)))
    assert counted(make("experts", x(12, 5), x(9, 5, 4, name="w"), index)).contractions == 2 * 24 * 5 * 4


def test_an_epilogue_is_counted_at_its_points() -> None:
    y = product(x(30, 50), x(50, 70, name="w"))
    found = counted(make("mul", y, full(y.type, 3.0)))
    assert (found.contractions, found.others) == (2 * 30 * 50 * 70, 30 * 70)


def test_turns_of_a_loop_count() -> None:
    state, cut = body_input("h", Type("f32", (8, 8))), body_input("w", Type("f32", (8, 8)))
    loop = Loop(
        count=5, reverse=False, inits=(x(8, 8),), sliced=(x(5, 8, 8, name="w"),), shared=(),
        turn=body_input("turn", Type("i32")), state=(state,), cuts=(cut,), common=(),
        step=(("h", product(state, cut)),), stacked=(),
    )  # fmt: skip
    assert counted(get(loop.node(), 0)).contractions == 5 * 2 * 8**3


def test_reductions_and_what_happens_once_per_row() -> None:
    rows = make("sum", x(6, 100), axes=(1,))
    found = counted(make("sqrt", rows))
    assert (found.contractions, found.others) == (0, 6 * 100 + 6)
    assert (found.read, found.written) == (4 * 600, 4 * 6)


def test_moved_operands_are_read_once() -> None:
    found = counted(make("add", x(6, 100), permute(permute(x(6, 100), (1, 0)), (1, 0))))
    assert found.read == 4 * 600


@pytest.mark.parametrize(
    ("op", "kind", "dtype", "count"),
    [
        ("add", "f32", "f32", 1), ("add", "i32", "i32", 0), ("fma", "f32", "f32", 2), ("neg", "f32", "f32", 0),
        ("select", "f32", "f32", 0), ("cast", "i32", "f32", 0), ("lt", "f32", "bool", 0), ("rsqrt", "f32", "f32", 2),
    ],
)  # fmt: skip
def test_primitives(op: str, kind: str, dtype: str, count: int) -> None:
    assert operations(op, kind, dtype) == count


def test_a_library_function_counts_its_primitives() -> None:
    assert 10 < operations("exp", "f32", "f32") < operations("tanh", "f32", "f32") < 100
    assert operations("random_bits", "u32", "u32") == 0


def test_picked_rows_count_as_often_as_they_are_picked() -> None:
    b = axes(outer=[100], row=[16])
    at = b.load(1, 1, 0, dtype="i32")
    b.store(b.inst("load", at, view=View(0, 0, (0, 1)), pick=16, bound=3, flag=0), 2, 16, 1)
    types = (Type("f32", (3, 16)), Type("i32", (100,)), Type("f32", (100, 16)))
    found = of_kernel(b.kernel("rows"), [Buffer("", type, "arena", 0) for type in types])
    assert (found.operations, found.read, found.written) == (0, 4 * (1600 + 100), 4 * 1600)
