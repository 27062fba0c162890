"""Differentiation of whole programs: random ones, loops against their unrolled form, and the order of additions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.build import broadcast, full
from jobspec.ir.check import check
from jobspec.ir.program import Node, Program, make, order
from jobspec.ir.regions import Loop, body_input, get
from jobspec.ir.types import Type
from jobspec.passes.differentiate import differentiate
from jobspec.passes.gradients import residuals
from jobspec.passes.simplify import simplify
from tests.passes import doubles, torch_meaning
from tests.passes.gradient_cases import CASES, Case, weighted_sum
from tests.passes.unrolled import unrolled
from tests.random_programs import arrays_for, programs

RELAXED = settings(deadline=None, max_examples=120, suppress_health_check=list(HealthCheck))
F32, I32 = Type("f32"), Type("i32")
VECTOR = Type("f32", (3,))
TURN = body_input("t", I32)
X, Y = body_input("x", VECTOR), body_input("y", VECTOR)


def with_loss(program: Program) -> Program:
    """The sum of all float outputs, weighted and bounded, as `loss`."""
    parts = [weighted_sum(make("tanh", node)) for node in program.results if node.dtype == "f32"]
    loss = parts[0]
    for part in parts[1:]:
        loss = make("add", loss, part)
    return Program(program.inputs, (("loss", loss),))


def with_gradients(plain: Program) -> Program:
    loss = plain.output("loss")
    gradients = ((node["name"], make("gradient", loss, node)) for node in plain.inputs)
    return Program(plain.inputs, (*plain.outputs, *gradients))


def near(found: Any, truth: Any, tolerance: float) -> bool:
    return bool(np.abs(found - truth).max(initial=0) <= tolerance * max(1.0, np.abs(truth).max(initial=0)))


def tame(program: Program, arrays: dict[str, np.ndarray]) -> bool:
    """Whether no value is so large that float32 and float64 part ways in a sine or a tanh."""
    whole = Program(program.inputs, tuple((str(i), n) for i, n in enumerate(program.nodes()) if n.op != "loop"))
    return all(np.abs(x).max(initial=0) < 30 for x in doubles.evaluate(whole, arrays).values())


# random programs: 2e-4 of the largest element, as a chain of 16 operations may cancel


@RELAXED
@given(programs(smooth=True), st.integers(0, 1000))
def test_random_gradients_are_slopes(program: Program, seed: int) -> None:
    plain, arrays = with_loss(program), arrays_for(program, seed, wild=False)
    assume(tame(plain, arrays))
    whole = differentiate(with_gradients(plain))
    check(whole, "tensor")
    found = evaluate(simplify(whole), arrays)
    for name in arrays:
        assert near(found[name], doubles.slope(plain, arrays, name), 2e-4)


@pytest.mark.oracle
@RELAXED
@given(programs(smooth=True), st.integers(0, 1000))
def test_random_gradients_are_those_of_pytorch(program: Program, seed: int) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[oracle]'")
    plain, arrays = with_loss(program), arrays_for(program, seed, wild=False)
    assume(tame(plain, arrays))
    found = evaluate(differentiate(with_gradients(plain)), arrays)
    truth = torch_meaning.gradients(torch, plain, arrays, list(arrays))
    assert all(near(found[name], truth[name], 2e-4) for name in truth)


@RELAXED
@given(programs(smooth=True), st.integers(0, 1000))
def test_simplifying_random_gradients_changes_no_bit(program: Program, seed: int) -> None:
    whole = differentiate(with_gradients(with_loss(program)))
    arrays = arrays_for(program, seed, wild=True)
    before, after = evaluate(whole, arrays), evaluate(simplify(whole), arrays)
    assert {k: x.tobytes() for k, x in before.items()} == {k: x.tobytes() for k, x in after.items()}


@RELAXED
@given(programs(smooth=True), st.integers(0, 1000))
def test_rolled_and_unrolled_gradients_agree(program: Program, seed: int) -> None:
    plain, arrays = with_loss(program), arrays_for(program, seed, wild=False)
    assume(tame(plain, arrays))
    rolled = evaluate(differentiate(with_gradients(plain)), arrays)
    flat = evaluate(differentiate(with_gradients(unrolled(plain))), arrays)
    assert rolled["loss"].tobytes() == flat["loss"].tobytes()
    assert all(near(rolled[name], flat[name].astype(np.float64), 2e-4) for name in arrays)


# loops


def loop_cases() -> list[Any]:
    return [pytest.param(case, id=case.name) for case in CASES if "loop" in case.ops]


@pytest.mark.parametrize("case", loop_cases())
def test_a_loop_stays_rolled(case: Case) -> None:
    """One loop there and one back, whatever the number of turns."""
    whole = differentiate(case.with_gradients())
    assert sum(node.op == "loop" for node in order(whole.results)) == 2


def test_the_size_of_a_gradient_does_not_grow_with_turns() -> None:
    (case,) = (c for c in CASES if c.name == "loop mixed")
    longer = replace(case, shapes=((3,), (400, 3)))
    assert len(differentiate(longer.with_gradients()).nodes()) == len(differentiate(case.with_gradients()).nodes())


def test_carried_and_sliced_gradients_have_the_bits_of_the_unrolled_program() -> None:
    """No shared operand and one use of each value per turn: nothing is added in another order."""
    h, cut = body_input("h", VECTOR), body_input("cut", VECTOR)
    w = body_input("w", Type("f32", (5, 3)))
    step = make("mul", make("tanh", h), cut)
    loop = Loop(5, False, (X,), (w,), (), TURN, (h,), (cut,), (), (("h", step),), ()).node()
    plain = Program((X, w), (("loss", weighted_sum(get(loop, 0))),))
    arrays = arrays_for(plain, 3, wild=False)
    rolled = evaluate(differentiate(with_gradients(plain)), arrays)
    flat = evaluate(differentiate(with_gradients(unrolled(plain))), arrays)
    # the unrolled gradient of w is a sum of zero-padded rows: -0.0 becomes +0.0 there, values are the same
    assert rolled["x"].tobytes() == flat["x"].tobytes()
    assert np.array_equal(rolled["w"], flat["w"])


def test_a_shared_gradient_is_a_chain_from_zero_over_the_backward_turns() -> None:
    h, b, cut = body_input("h", F32), body_input("b", F32), body_input("cut", F32)
    start, bias, cuts = body_input("start", F32), body_input("bias", F32), body_input("cuts", Type("f32", (6,)))
    step = make("add", h, make("mul", b, cut))
    loop = Loop(6, False, (start,), (cuts,), (bias,), TURN, (h,), (cut,), (b,), (("h", step),), ()).node()
    program = Program((start, bias, cuts), (("g", make("gradient", get(loop, 0), bias)),))
    values = np.array([1e8, 1, -1e8, 3, 1e-3, 7], np.float32)
    found = evaluate(differentiate(program), {"start": np.float32(0), "bias": np.float32(1), "cuts": values})["g"]
    chain = np.float32(0)
    for value in values[::-1]:
        chain = chain + value
    assert found.tobytes() == chain.tobytes() != np.float32(values.astype(np.float64).sum()).tobytes()


def test_only_what_the_way_back_reads_is_saved() -> None:
    """h ← h + exp(h) * cut: exp and h are needed for the slopes of h and cut, their product is not."""
    h, cut = body_input("h", VECTOR), body_input("cut", VECTOR)
    w = body_input("w", Type("f32", (5, 3)))
    step = make("add", h, make("mul", make("exp", h), cut))
    loop = Loop(5, False, (X,), (w,), (), TURN, (h,), (cut,), (), (("h", step),), ()).node()
    whole = differentiate(with_gradients(Program((X, w), (("loss", weighted_sum(get(loop, 0))),))))
    forward, backward = (node for node in order(whole.results) if node.op == "loop")
    assert [node.op for node in forward["body"].results] == ["add", "exp"]
    assert forward["reverse"] is False and backward["reverse"] is True


def attending() -> Program:
    """Five turns of h ← softmax(h) @ w, and the gradients of both."""
    h, cut = body_input("h", Type("f32", (4, 3))), body_input("cut", Type("f32", (3, 3)))
    start, w = body_input("start", h.type), body_input("w", Type("f32", (5, 3, 3)))
    e = make("exp", h)
    share = make("div", full(Type("f32", (4,)), 1.0), make("sum", e, axes=(1,)))
    p = make("mul", e, broadcast(share, h.type.shape, (0,)))
    step = make("contract", p, cut, a_batch=(), b_batch=(), a_over=(1,), b_over=(0,))
    loop = Loop(5, False, (start,), (w,), (), TURN, (h,), (cut,), (), (("h", step),), ()).node()
    return with_gradients(Program((start, w), (("loss", weighted_sum(get(loop, 0))),)))


def test_large_operands_are_not_kept_where_a_product_makes_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Softmax: exponentials and their sums are kept, and shares only while they are small; same bits."""
    kept = differentiate(attending())
    monkeypatch.setattr(residuals, "LARGE", 0)
    spared = differentiate(attending())
    loops = [next(n for n in order(p.results) if n.op == "loop") for p in (kept, spared)]
    with_shares, without = ([n.op for n in loop["body"].results] for loop in loops)
    assert with_shares == ["contract", "exp", "sum", "mul"] and without == ["contract", "exp", "sum"]
    arrays = arrays_for(kept, 5, wild=False)
    one, other = evaluate(kept, arrays), evaluate(spared, arrays)
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_a_loop_whose_results_nothing_wanted_reaches_is_left_alone() -> None:
    h = body_input("h", F32)
    start = body_input("n", F32)
    loop = Loop(3, False, (start,), (), (), TURN, (h,), (), (), (("h", make("exp", h)),), ()).node()
    loss = make("mul", get(loop, 0), make("sum", X, axes=(0,)))
    program = Program((start, X), (("g", make("gradient", loss, X)),))
    whole = differentiate(program)
    assert [node for node in order(whole.results) if node.op == "loop"] == [loop]


# several gradients, stops, orders


def test_contributions_are_added_in_program_order() -> None:
    """Users of x in program order: a, b, c; their shares are added from the left."""
    a, b, c = (make("mul", X, full(VECTOR, value)) for value in (1e8, -1e8, 1.0))
    one = make("sum", make("add", make("add", a, b), c), axes=(0,))
    other = make("sum", make("add", make("add", c, b), a), axes=(0,))
    program = Program((X,), (("one", make("gradient", one, X)), ("other", make("gradient", other, X))))
    found = evaluate(differentiate(program), {"x": np.zeros(3, np.float32)})
    assert found["one"].tolist() == [1.0] * 3
    assert found["other"].tolist() == [0.0] * 3


def test_a_gradient_depends_on_its_loss_alone() -> None:
    loss = weighted_sum(make("tanh", make("mul", make("add", X, Y), X)))
    alone = differentiate(Program((X, Y), (("g", make("gradient", loss, X)),))).results[0]
    before = make("sub", make("mul", X, Y), make("exp", X))
    beside = Program((X, Y), (("first", before), ("g", make("gradient", loss, X)), ("h", make("gradient", loss, Y))))
    assert differentiate(beside).output("g") is alone


def test_a_parameter_that_the_loss_does_not_reach_has_gradient_zero() -> None:
    program = Program((X, Y), (("g", make("gradient", make("sum", X, axes=(0,)), Y)),))
    ones = np.ones(3, np.float32)
    assert evaluate(differentiate(program), {"x": ones, "y": ones})["g"].tolist() == [0] * 3


def test_the_gradient_of_an_intermediate_value() -> None:
    middle = make("mul", X, X)
    loss = make("sum", make("mul", middle, middle), axes=(0,))
    program = Program((X,), (("m", make("gradient", loss, middle)), ("x", make("gradient", loss, X))))
    found = evaluate(differentiate(program), {"x": np.array([1, 2, 3], np.float32)})
    assert found["m"].tolist() == [2, 8, 18]
    assert found["x"].tolist() == [4, 32, 108]


def test_two_losses_through_one_loop() -> None:
    h, cut = body_input("h", F32), body_input("cut", F32)
    loop = Loop(3, False, (body_input("s", F32),), (X,), (), TURN, (h,), (cut,), (),
                (("h", make("mul", make("sin", h), cut)),), (("y", make("exp", h)),)).node()  # fmt: skip
    first, second = get(loop, 0), make("sum", get(loop, 1), axes=(0,))
    plain = {"first": first, "second": second}
    program = Program((body_input("s", F32), X), tuple((k, make("gradient", v, X)) for k, v in plain.items()))
    arrays = {"s": np.float32(0.7), "x": np.array([0.5, -1.5, 2], np.float32)}
    whole = differentiate(program)
    found = evaluate(whole, arrays)
    for name, loss in plain.items():
        assert near(found[name], doubles.slope(Program(program.inputs, (("loss", loss),)), arrays, "x"), 1e-5)
    assert sum(node.op == "loop" for node in order(simplify(whole).results)) <= 4


def test_a_gradient_of_a_gradient() -> None:
    loss = make("sum", make("mul", make("mul", X, X), X), axes=(0,))
    slope = make("gradient", loss, X)
    penalty = make("sum", make("mul", slope, slope), axes=(0,))
    program = Program((X,), (("g", slope), ("gg", make("gradient", penalty, X))))
    found = evaluate(differentiate(program), {"x": np.array([1, 2, -1], np.float32)})
    assert found["g"].tolist() == [3, 12, 3]
    assert found["gg"].tolist() == [36, 288, -36]


def test_gradients_inside_a_loop_body_and_through_it() -> None:
    """Gradient descent as a loop: h ← h - b * d(h⁴)/dh, then the slope of the end by the start and by b."""
    h, b = body_input("h", F32), body_input("b", F32)
    fourth = make("mul", make("mul", h, h), make("mul", h, h))
    step = make("sub", h, make("mul", b, make("gradient", fourth, h)))
    start, rate = body_input("start", F32), body_input("rate", F32)
    loop = Loop(3, False, (start,), (), (rate,), TURN, (h,), (), (b,), (("h", step),), ()).node()
    names = {"start": start, "rate": rate}
    program = Program((start, rate), tuple((k, make("gradient", get(loop, 0), x)) for k, x in names.items()))

    def end(s: float, r: float) -> float:
        for _ in range(3):
            s = s - r * 4 * s**3
        return s

    found = evaluate(differentiate(program), {"start": np.float32(0.8), "rate": np.float32(0.1)})
    assert near(found["start"], (end(0.8 + 1e-6, 0.1) - end(0.8 - 1e-6, 0.1)) / 2e-6, 1e-5)
    assert near(found["rate"], (end(0.8, 0.1 + 1e-6) - end(0.8, 0.1 - 1e-6)) / 2e-6, 1e-5)


def test_stop_ends_a_gradient_also_inside_a_loop() -> None:
    h, cut = body_input("h", F32), body_input("cut", F32)
    loop = Loop(3, False, (body_input("s", F32),), (X,), (), TURN, (h,), (cut,), (),
                (("h", make("add", make("stop", h), cut)),), ()).node()  # fmt: skip
    program = Program((body_input("s", F32), X), (("s", make("gradient", get(loop, 0), body_input("s", F32))),
                                                  ("x", make("gradient", get(loop, 0), X))))  # fmt: skip
    whole = differentiate(program)
    check(whole, "tensor")
    found = evaluate(whole, {"s": np.float32(1), "x": np.array([1, 2, 3], np.float32)})
    assert (found["s"].item(), found["x"].tolist()) == (0, [0, 0, 1])


def ops_of(node: Node) -> list[str]:
    return [n.op for n in order([node])]


def test_a_convolutions_input_gradient_is_one_contraction() -> None:
    (case,) = (c for c in CASES if c.name == "convolution")
    found = differentiate(case.with_gradients()).output("x0")
    assert ops_of(found).count("contract") == 1
    assert {"window", "flip", "pad"} <= set(ops_of(found))


def test_two_convolutions_of_one_input_are_two_contractions_back() -> None:
    (case,) = (c for c in CASES if c.name == "two convolutions of one input")
    assert ops_of(differentiate(case.with_gradients()).output("x0")).count("contract") == 2


def test_a_padded_convolutions_input_gradient_is_cut_before_it_is_computed() -> None:
    (case,) = (c for c in CASES if c.name == "padded convolution")
    found = simplify(differentiate(case.with_gradients())).output("x0")
    assert (found.op, "slice" in ops_of(found)) == ("contract", False)


def test_no_product_with_one_and_no_sum_with_zero_is_made() -> None:
    product = make("contract", X, Y, a_over=(0,), b_over=(0,), a_batch=(), b_batch=())
    for loss in (make("sum", make("mul", X, Y), axes=(0,)), product):
        assert differentiate(Program((X, Y), (("x", make("gradient", loss, X)),))).output("x") is Y
    both = make("sum", make("add", X, Y), axes=(0,))
    assert ops_of(differentiate(Program((X, Y), (("x", make("gradient", both, X)),))).output("x")) == ["const"]
