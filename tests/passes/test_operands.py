"""Contractions in bfloat16: which values are rounded, how often, and PyTorch with explicitly rounded operands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.build import broadcast, permute, zeros
from jobspec.ir.check import check
from jobspec.ir.contract import BF16_PROFILE
from jobspec.ir.program import Node, Program, body_of, make, order
from jobspec.ir.regions import Loop, body_input, get
from jobspec.ir.types import Type
from jobspec.passes.differentiate import differentiate
from jobspec.passes.operands import CARRIERS, round_operands
from jobspec.passes.pipeline import lower_program
from tests.passes.gradient_cases import CASES, contracted


def given(name: str, *shape: int) -> Node:
    return body_input(name, Type("f32", shape))


def relu(x: Node) -> Node:
    return make("max", x, zeros(x.type))


def perceptron() -> Program:
    """Two layers; their gradients by weights and input."""
    x, w, v = given("x", 7, 5), given("w", 5, 9), given("v", 9, 3)
    h = relu(contracted(x, w, a_over=(1,), b_over=(0,)))
    y = contracted(h, v, a_over=(1,), b_over=(0,))
    loss = make("sum", make("mul", y, y), axes=(0, 1))
    gradients = ((f"d{n['name']}", make("gradient", loss, n)) for n in (x, w, v))
    return Program((x, w, v), (("loss", loss), *gradients))


def values(program: Program) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    return {n["name"]: rng.standard_normal(n.shape).astype(np.float32) for n in program.inputs}


def contractions(program: Program) -> list[Node]:
    found = []
    for node in order(program.results):
        found += [node] if node.op == "contract" else contractions(body_of(node)) if node.op == "loop" else []
    return found


def below(x: Node) -> Node:
    while x.op in CARRIERS:
        x = x.args[0]
    return x


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in CASES if "contract" in c.ops.split()])
def test_every_operand_is_rounded(case: Any) -> None:
    program = round_operands(differentiate(case.with_gradients()))
    check(program, "tensor")
    found = contractions(program)
    assert found and all(below(a).op == "bf16" for node in found for a in node.args)


def test_a_value_is_rounded_once_however_it_is_read() -> None:
    program = round_operands(differentiate(perceptron()))
    rounded = [node.args[0] for node in order(program.results) if node.op == "bf16"]
    assert len(rounded) == len(set(rounded))
    assert not any(node.op in CARRIERS for node in rounded)
    w = program.inputs[1]
    assert sum(node is w for node in rounded) == 1


def test_what_no_turn_changes_is_rounded_before_the_loop() -> None:
    x, w = given("x", 4, 6), given("w", 6, 6)
    turn, state, common = body_input("turn", Type("i32")), given("s", 4, 6), given("c", 6, 6)
    step = contracted(state, permute(common, (1, 0)), a_over=(1,), b_over=(0,))
    loop = Loop(3, False, (x,), (), (w,), turn, (state,), (), (common,), (("s", step),), ()).node()
    program = lower_program(Program((x, w), (("y", get(loop, 0)),)), BF16_PROFILE, checked=True)
    (node,) = (n for n in order(program.results) if n.op == "loop")
    assert [n.args[0] for n in order(program.results) if n.op == "bf16"] == [w]
    assert sum(n.op == "bf16" for n in order(body_of(node).results)) == 1


def test_zeros_around_are_not_rounded_apart() -> None:
    x, w = given("x", 4), given("w", 3)
    wide = make("pad", x, low=(1,), high=(1,), inner=(0,), bits=0)
    windows = make("window", wide, axes=(0,), sizes=(3,), strides=(1,))
    y = contracted(broadcast(windows, (2, 4, 3), (1, 2)), w, a_over=(2,), b_over=(0,))
    program = round_operands(Program((x, w), (("y", y),)))
    assert {n.args[0] for n in order(program.results) if n.op == "bf16"} == {x, w}


@pytest.mark.oracle
def test_pytorch_with_rounded_operands() -> None:
    """The same roundings made by PyTorch's bfloat16, sums in float64; float32 sums of these lengths lose up to 1e-6."""
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[oracle]'")
    program = perceptron()
    inputs = values(program)
    found = evaluate(lower_program(program, BF16_PROFILE), inputs)

    def narrow(x: Any) -> Any:
        return x.to(torch.float32).to(torch.bfloat16).to(torch.float64)

    x, w, v = (torch.tensor(inputs[name].astype(np.float64)) for name in "xwv")
    h = torch.clamp(narrow(x) @ narrow(w), min=0)
    y = narrow(h) @ narrow(v)
    dy = 2 * y
    dh = (narrow(dy) @ narrow(v).T) * (h > 0)
    truth = {
        "loss": (y * y).sum(), "dv": narrow(h).T @ narrow(dy), "dw": narrow(x).T @ narrow(dh),
        "dx": narrow(dh) @ narrow(w).T,
    }  # fmt: skip
    for name, expected in truth.items():
        scale = float(expected.abs().max())
        assert np.abs(found[name] - expected.numpy()).max() <= 1e-6 * scale, name
    plain = evaluate(lower_program(program), inputs)
    assert np.abs(plain["dw"] - found["dw"]).max() > 1e-4 * np.abs(plain["dw"]).max()
