"""Whole programs on the reference: loops, names, refused inputs, library functions, visible NaNs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.program import Node, Program, make
from jobspec.ir.regions import Loop, body_input, get
from jobspec.ir.types import Type
from tests.reference.programs import apply, bits

F32, I32 = Type("f32"), Type("i32")


def counting_loop(reverse: bool) -> Node:
    """Carries h ← 2 h + slice + shared; stacks the turn and h as it was found."""
    start, cuts, bias = body_input("start", F32), body_input("cuts", Type("f32", (4,))), body_input("bias", F32)
    turn, h, cut, shared = body_input("turn", I32), body_input("h", F32), body_input("cut", F32), body_input("b", F32)
    after = make("add", make("add", make("add", h, h), cut), shared)
    return Loop(4, reverse, (start,), (cuts,), (bias,), turn, (h,), (cut,), (shared,),
                (("h", after),), (("turn", turn), ("before", h))).node()  # fmt: skip


@pytest.mark.parametrize("reverse", [False, True])
def test_a_loop_takes_turns_and_stacks_at_its_turn(reverse: bool) -> None:
    loop = counting_loop(reverse)
    program = Program(loop.args, (("h", get(loop, 0)), ("turns", get(loop, 1)), ("before", get(loop, 2))))
    cuts = np.array([1, 10, 100, 1000], np.float32)
    found = evaluate(program, {"start": np.float32(1), "cuts": cuts, "bias": np.float32(0.5)})
    h, before = 1.0, {}
    for turn in (3, 2, 1, 0) if reverse else (0, 1, 2, 3):
        before[turn], h = h, 2 * h + float(cuts[turn]) + 0.5
    assert found["h"] == h
    assert found["turns"].tolist() == [0, 1, 2, 3]
    assert found["before"].tolist() == [before[turn] for turn in range(4)]


def test_outputs_that_are_inputs_pass_through_and_unused_inputs_are_allowed() -> None:
    x, y = body_input("x", F32), body_input("y", I32)
    found = evaluate(Program((x, y), (("same", x),)), {"x": np.float32(2), "y": np.int32(0), "other": np.zeros(3)})
    assert found["same"].shape == () and found["same"] == 2


@pytest.mark.parametrize("wrong", [np.zeros(2, np.float32), np.float64(1), np.int32(1)])
def test_an_input_of_another_type_is_refused(wrong: np.ndarray) -> None:
    x = body_input("x", F32)
    with pytest.raises(ValueError, match="input `x` is"):
        evaluate(Program((x,), (("y", x),)), {"x": wrong})


def test_a_missing_input_is_refused_by_name() -> None:
    x = body_input("x", F32)
    with pytest.raises(ValueError, match="no value for input `x`"):
        evaluate(Program((x,), (("y", x),)), {})


def test_a_nan_leaves_with_one_bit_pattern() -> None:
    odd = np.array([0xFFFFFFFF, 0x7F800001, 0x80000000], np.uint32).view(np.float32)
    assert bits(apply("reshape", odd, shape=(3, 1))) == [0x7FC00000, 0x7FC00000, 0x80000000]


TRUTH = {
    "exp": np.exp, "log": np.log, "tanh": np.tanh, "sin": np.sin, "cos": np.cos, "pow": np.power,
    "erf": np.vectorize(math.erf), "rsqrt": lambda x: 1 / np.sqrt(x),
}  # fmt: skip


@pytest.mark.parametrize("name", TRUTH)
def test_library_operations_are_evaluated_through_their_decompositions(name: str) -> None:
    x = np.linspace(0.1, 4, 50).astype(np.float32).reshape(5, 10)
    operands = (x, np.flip(x).copy()) if name == "pow" else (x,)
    expected = TRUTH[name](*(v.astype(np.float64) for v in operands))
    assert np.allclose(apply(name, *operands), expected, rtol=3e-7, atol=1e-7)


def test_random_bits_are_philox() -> None:
    # Random123's known answer for philox4x32-10 with counter and key all ones
    ones = np.full(2, 0xFFFFFFFF, np.uint32)
    assert apply("random_bits", *[ones] * 6).tolist() == [0x408F276D] * 2
