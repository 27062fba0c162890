"""Every gradient rule: against finite differences in float64, and against PyTorch's autograd in float64.

Tolerance: 1e-5 of the largest element of the true gradient (float32 has 6e-8; sums here have at most a few hundred
terms), 1e-6 more against differences, whose own error that is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from jobspec.backends.reference.evaluate import evaluate
from jobspec.ir.check import check
from jobspec.ir.ops import OPS
from jobspec.ir.program import Program, make
from jobspec.passes.differentiate import differentiate
from jobspec.passes.gradients.rules import LATER, REGIONS, RULES
from jobspec.passes.simplify import simplify
from tests.passes import doubles, torch_meaning
from tests.passes.gradient_cases import CASES, NOT_SMOOTH, Case

BY_NAME = [pytest.param(case, id=case.name) for case in CASES]


def assert_near(found: np.ndarray, truth: np.ndarray, extra: float = 0.0) -> None:
    assert found.shape == truth.shape
    limit = 1e-5 * max(1.0, float(np.abs(truth).max(initial=0.0))) + extra
    assert np.abs(found - truth).max(initial=0.0) <= limit


def test_every_op_has_a_gradient_row() -> None:
    assert set(RULES) | set(REGIONS) | set(LATER) == set(OPS)


def test_every_rule_has_a_case() -> None:
    covered = {name for case in CASES for name in case.ops.split()}
    assert {op for op, rule in RULES.items() if rule} | set(REGIONS) <= covered


@pytest.mark.parametrize("case", BY_NAME)
def test_the_result_is_a_program_without_surface_ops(case: Case) -> None:
    check(case.with_gradients(), "surface")
    check(differentiate(case.with_gradients()), "tensor")


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in CASES if c.name not in NOT_SMOOTH])
def test_gradients_are_slopes(case: Case) -> None:
    found = evaluate(differentiate(case.with_gradients()), case.inputs())
    for name in case.inputs():
        assert_near(found[name], doubles.slope(case.plain(), case.inputs(), name), 1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("case", BY_NAME)
def test_gradients_are_those_of_pytorch(case: Case) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[oracle]'")
    found = evaluate(differentiate(case.with_gradients()), case.inputs())
    truth = torch_meaning.gradients(torch, case.plain(), case.inputs(), list(case.inputs()))
    for name, expected in truth.items():
        assert_near(found[name], expected)


@pytest.mark.parametrize("case", BY_NAME)
def test_simplifying_a_gradient_changes_no_bit(case: Case) -> None:
    whole = differentiate(case.with_gradients())
    simpler = simplify(whole)
    check(simpler, "tensor")
    before, after = evaluate(whole, case.inputs()), evaluate(simpler, case.inputs())
    assert {k: x.tobytes() for k, x in before.items()} == {k: x.tobytes() for k, x in after.items()}


def test_the_slope_of_erf_is_right_to_its_last_digits() -> None:
    """In units of 2^-24: x*x is rounded, which exp makes x^2 of; 1 for the constant, 2 for exp, 1 for the product."""
    x = np.linspace(-6, 6, 20001, dtype=np.float32)
    node = make("input", name="x", dtype="f32", shape=x.shape)
    loss = make("sum", make("erf", node), axes=(0,))
    found = evaluate(differentiate(Program((node,), (("x", make("gradient", loss, node)),))), {"x": x})["x"]
    wide = x.astype(np.float64)
    truth = 2 / np.sqrt(np.pi) * np.exp(-wide * wide)
    assert (np.abs(found / truth - 1) * 2**24 <= wide * wide + 4).all()


def torch_twins(t: Any) -> dict[str, Callable[..., Any]]:
    """Cases that PyTorch has a function of its own for."""
    f = t.nn.functional

    def first(x: Any) -> Any:
        """Channels, PyTorch's way."""
        return x.permute(0, 3, 1, 2)

    def last(x: Any) -> Any:
        return x.permute(0, 2, 3, 1)

    return {
        "convolution": lambda x, w: last(f.conv2d(first(x), w.permute(3, 2, 0, 1))),
        "convolution stride 2": lambda x, w: last(f.conv2d(first(x), w.permute(3, 2, 0, 1), stride=2)),
        "convolution channels first": lambda x, w: f.conv2d(x, w).transpose(0, 1),
        "depthwise": lambda x, w: f.conv1d(x.mT, w.T[:, None], groups=w.shape[1]).mT,
        "pool": lambda x: last(f.max_pool2d(first(x), 2)),
        "pool overlapping": lambda x: last(f.max_pool2d(first(x), 3, 2)),
        "cross entropy": lambda z: f.cross_entropy(z, t.tensor([2, 0, 4, 1]), reduction="none"),
        "gather rows": lambda x: f.embedding(t.tensor([2, 0, 2, 2]), x),
        "attention": lambda q, k, v: f.scaled_dot_product_attention(
            *(x.transpose(1, 2) for x in (q, k, v)), scale=1.0
        ).permute(0, 2, 1, 3),
        "erf": t.erf,
        "pow": t.pow,
    }


TWINS = ("convolution", "convolution stride 2", "convolution channels first", "depthwise", "pool", "pool overlapping",
         "cross entropy", "gather rows", "attention", "erf", "pow")  # fmt: skip


@pytest.mark.oracle
@pytest.mark.parametrize("name", TWINS)
def test_gradients_are_those_of_pytorchs_own_layers(name: str) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[oracle]'")
    (case,) = (c for c in CASES if c.name == name)
    found = evaluate(differentiate(case.with_gradients()), case.inputs())
    leaves = {k: torch.tensor(x.astype(np.float64), requires_grad=True) for k, x in case.inputs().items()}
    y = torch_twins(torch)[name](*leaves.values())
    weights = np.cos(np.arange(y.numel()) * 0.7 + 0.3).astype(np.float32).reshape(y.shape)
    (y * torch.tensor(weights.astype(np.float64))).sum().backward()
    for key, leaf in leaves.items():
        assert_near(found[key], leaf.grad.numpy())
