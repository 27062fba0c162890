"""Clauses of the numerics contract that random inputs hardly ever reach, on every target."""

from __future__ import annotations

import re
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

from jobspec.backends.llvm.kernels import generate
from jobspec.backends.llvm.machine import code_generator
from jobspec.backends.llvm.module import Module
from jobspec.backends.reference.numbers import NUMPY
from jobspec.ir.library import operand_type
from jobspec.ir.ops import OPS
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target
from jobspec.ir.types import Type
from tests.llvm import bodies
from tests.llvm.native import TARGETS, Array, Memory, axes, check, compiled
from tests.numerics.conformance import committed, digests

on_every_target = pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)


@on_every_target
def test_library_digests(target: Target) -> None:
    """The answers of every library function are those of the reference, as digests committed with it."""

    def evaluate(name: str, arguments: list[Any]) -> Array:
        kind = operand_type(name)
        result_type = OPS[name].typed((Type(kind),) * len(arguments), {})
        assert isinstance(result_type, Type)
        dtype = result_type.dtype
        size = arguments[0].size
        body = bodies.elementwise(name, [kind] * len(arguments), dtype, size, True)
        result = np.zeros(size, NUMPY[dtype])
        memory = Memory([*arguments, result])
        compiled(body.kernel("rows"), memory, target).run(memory)
        return memory.results()[-1]

    assert digests(evaluate) == committed()


@on_every_target
def test_one_rounding_in_fma(target: Target) -> None:
    """Products of odd numbers that lie halfway between two floats, and a third operand that decides the tie only
    if it is not rounded away first; and sums that cancel."""
    rng = np.random.default_rng(5)
    a = (rng.integers(1 << 11, 5792, 4000) | 1).astype(np.float32)
    b = np.float32(1 << 24) // a + (rng.integers(0, 64, a.size) * 2).astype(np.float32)
    b = b + (b % 2 == 0)
    c = (rng.choice([-1, 1], a.size) * 2.0 ** -rng.integers(0, 149, a.size)).astype(np.float32)
    cancel = (-(a * b)).astype(np.float32)
    tiny = np.float32(2.0**-80)
    for x, y, z in (
        (a, b, c),
        (-a, b, c),
        (a, b, cancel),
        (a * tiny, b * tiny, c * tiny),
        (a * tiny, b, cancel * tiny),
    ):
        body = bodies.elementwise("fma", ["f32"] * 3, "f32", a.size, True)
        check(body.kernel("rows"), [x, y, z, np.zeros_like(a)], target)


@on_every_target
def test_sums_of_negative_zeros(target: Target) -> None:
    """A row starts from its own elements and keeps -0; a column starts from +0."""
    for size in (1, 5, 16, 33, 64, 200, 5000):
        x = np.full(2 * size, -0.0, np.float32)
        for kind, outer, inner in (("rows", "outer", "row"), ("columns", "kept", "reduced")):
            b = axes(**{outer: [2], inner: [size]})
            b.store(b.inst("reduce", b.load(0, size, 1), how="sum"), 1, 1, 0)
            check(b.kernel(kind), [x, np.ones(2, np.float32)], target)


@on_every_target
def test_subnormals_are_kept(target: Target) -> None:
    x = np.arange(-300, 300).astype(np.int32).view(np.float32) * np.float32(0.5)
    b = axes(row=[x.size])
    half = b.inst("mul", b.load(0, 1), b.const(0.5))
    b.store(b.inst("add", half, b.inst("mul", half, b.load(1, 1))), 2, 1)
    check(b.kernel("rows"), [np.abs(x), x[::-1].copy(), np.zeros_like(x)], target)


@on_every_target
@pytest.mark.parametrize("level", [0, 2])
def test_nothing_outside_the_module_is_called(target: Target, level: int) -> None:
    """No libm, no memcpy: every call in the machine code goes to a function of the module."""
    module, cases = (
        Module(target),
        [bodies.softmax(3, 65), bodies.adamw(100), bodies.embedding_gradient([9], [20], 5, True)],
    )
    cases += [
        bodies.cross_entropy(3, 5000),
        bodies.column_sums([33], [300]),
        (rounding().kernel("rows"), [bodies.zeros(9)] * 2),
    ]
    for number, (kernel, arrays) in enumerate(cases):
        memory = Memory(arrays)
        generate(module, f"k{number}", kernel, Schedule(), memory.places, memory.flag_place)
    parsed = llvm.parse_assembly(module.text(), llvm.create_context())
    machine = code_generator(target, level)
    machine.set_asm_verbosity(False)
    text = machine.emit_assembly(parsed)
    defined = set(re.findall(r"^([\w.$\"]+):", text, re.MULTILINE))
    called = set(re.findall(r"\bcallq?\s+([\w.$\"@]+)", text)) | set(re.findall(r"movabsq\s+\$([\w.]+)", text))
    assert {name for name in called if not name.lstrip("-").isdigit()} <= defined
    assert "@PLT" not in text


def rounding() -> bodies.Body:
    b = axes(row=[9])
    x = b.load(0, 1)
    b.store(b.inst("floor", b.inst("fma", x, x, b.inst("rint", b.inst("sqrt", x)))), 1, 1)
    return b
