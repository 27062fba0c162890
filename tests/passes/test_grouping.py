"""Which nodes become one kernel, and what is copied: what a grouping must not do, and what it should not miss."""

from __future__ import annotations

from jobspec.ir.program import Node, Program, make
from tests.passes.routines import assert_same_bits, compiled, given, random_inputs
from tests.passes.test_regions import const, matmul, spread


def kernels(*outputs: tuple[str, Node], inputs: tuple[Node, ...]) -> list[str]:
    """Names of the kernels of a routine that has the program's bits."""
    program = Program(inputs, outputs)
    assert_same_bits(program, random_inputs(program))
    return [kernel.name for kernel in compiled(program)[1].kernels]


def test_what_a_product_reads_is_not_made_by_it() -> None:
    """The sum reads both, and would bring them together."""
    x, w = given("x", 8, 8), given("w", 8, 8)
    e = make("exp", x)
    assert kernels(("x", make("add", matmul(e, w), e)), inputs=(x, w)) == ["exp", "contract_add"]


def test_what_is_read_turned_is_made_before() -> None:
    x = given("x", 8, 8)
    e = make("exp", x)
    assert kernels(("x", make("add", e, make("permute", e, axes=(1, 0)))), inputs=(x,)) == ["exp", "add"]


def test_what_is_cheap_to_make_is_made_again_by_who_reads_it() -> None:
    """Not stored by `tanh` for the sum, nor the other way round."""
    x, w = given("x", 8, 8), given("w", 8, 8)
    mean = make("div", make("sum", x, axes=(0,)), const(8.0, (8,)))
    centred = make("sub", x, spread(mean, x.shape, (1,)))
    var = make("sum", make("mul", centred, centred), axes=(0,))
    outputs = ("x", make("tanh", centred)), ("w", spread(var, w.shape, (1,)))
    assert kernels(*outputs, inputs=(x, w)) == ["sum_mul", "sum", "tanh", "copy"]


def test_only_readers_of_what_is_overwritten_are_waited_for() -> None:
    """`w` is read after `x` has its next value, which is written in its place all the same."""
    x, w, v = given("x", 8, 8), given("w", 8, 8), given("v", 8, 8)
    new = make("sub", x, make("mul", w, w))
    assert kernels(("x", new), ("v", matmul(new, w)), inputs=(x, w, v)) == ["sub", "contract"]


def test_an_input_that_moves_is_copied_once() -> None:
    """Nothing is kept of `w`, whose own place stays as it is."""
    x, w, v = given("x", 8, 8), given("w", 8, 8), given("v", 8, 8)
    assert kernels(("x", w), ("v", make("exp", x)), inputs=(x, w, v)) == ["exp", "copy"]


def test_only_what_stands_in_the_way_of_a_loop_is_copied() -> None:
    """Two operands cut the loop at places that do not nest; the third walks it whole."""
    p, q, r = given("p", 3, 4), given("q", 4, 3), given("r", 12)
    odd_p, odd_q = (make("reshape", make("permute", x, axes=(1, 0)), shape=(12,)) for x in (p, q))
    out = make("exp", make("add", make("add", odd_p, odd_q), make("flip", r, axes=(0,))))
    names = kernels(("p", make("reshape", out, shape=(3, 4))), inputs=(p, q, r))
    assert "flip" not in names and names.count("reshape") == 2


def test_what_only_a_product_is_added_to_is_made_with_it() -> None:
    x, w, v = given("x", 8, 8), given("w", 8, 8), given("v", 8, 8)
    assert kernels(("x", make("add", matmul(v, w), make("exp", x))), inputs=(x, w, v)) == ["contract_exp_add"]


def test_sums_down_the_same_columns_are_one_kernel() -> None:
    """Beside the totals along what is left, which are one each."""
    x, w = given("x", 8, 8), given("w", 8, 8)
    one, other = (make("sum", make("sum", y, axes=(0,)), axes=(0,)) for y in (x, make("mul", x, w)))
    assert len(kernels(("report.a", one), ("report.b", other), inputs=(x, w))) == 3


def test_what_is_picked_from_is_made_before() -> None:
    t, ids = given("t", 5), given("ids", 5, dtype="u8")
    e = make("exp", t)
    picked = make("gather", e, make("cast", ids, dtype="i32"), batch=0)
    assert kernels(("t", make("add", e, picked)), inputs=(t, ids)) == ["exp", "gather_add"]
