"""Which buffers hold bfloat16 and nothing else, and what kernels then leave in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobspec.backends.cuda.target import target_of
from jobspec.backends.llvm.machine import host
from jobspec.backends.reference.kernels import run_kernel
from jobspec.backends.reference.numbers import halved, widened
from jobspec.ir.check import IllFormed
from jobspec.ir.kernel import Kernel, View
from jobspec.ir.plan_check import check_plan, check_routine
from jobspec.ir.types import HALVES
from jobspec.passes.halve import halves
from jobspec.passes.pipeline import compile_job
from tests.llvm.native import axes
from tests.specs.both import workload
from tests.specs.test_words import BF16, HEAD, TRAIN

N = 8
ONE, THIRD = 0x3F800000, 0x3EAAAAAB


def stored(op: str, source: int, into: int, bits: int = ONE) -> Kernel:
    """A value of `op` from buffer `source` to buffer `into`."""
    b = axes(row=[N])
    x = b.inst("load", view=View(source, 0, (1,)))
    if op == "const":
        x = b.inst("const", bits=bits)
    elif op == "select":
        x = b.inst("select", b.inst("lt", x, x, dtype="bool"), b.inst("const", bits=bits), b.inst("bf16", x))
    elif op != "load":
        x = b.inst(op, x)
    b.store(x, into, 1)
    return b.kernel("rows")


@pytest.mark.parametrize(
    ("kernels", "found"),
    [
        ([stored("bf16", 0, 1)], {1}),
        ([stored("exp", 0, 1)], set()),
        ([stored("bf16", 0, 1), stored("exp", 0, 1)], set()),
        ([stored("bf16", 0, 1), stored("load", 1, 2), stored("load", 2, 3)], {1, 2, 3}),
        ([stored("exp", 0, 1), stored("load", 1, 2), stored("load", 2, 3)], set()),
        ([stored("const", 0, 1), stored("bf16", 0, 1)], {1}),
        ([stored("const", 0, 1, THIRD), stored("bf16", 0, 1)], set()),
        ([stored("select", 0, 1), stored("select", 0, 2, THIRD)], {1}),
    ],
)
def test_which(kernels: list[Kernel], found: set[int]) -> None:
    assert halves(kernels, {0, 1, 2, 3}) == found
    assert halves(kernels, {0}) == set()


def test_what_is_added_to_is_none() -> None:
    b = axes(rest=[N], place=[N])
    x = b.inst("load", view=View(1, 0, (1, 0)))
    b.inst("accumulate", x, b.inst("index", axis=1, dtype="i32"), view=View(2, 0, (1, 0)), pick=0, bound=N, flag=-1)
    assert halves([stored("bf16", 0, 1), stored("const", 0, 2), b.kernel("scatter")], {1, 2}) == {1}


def test_what_lies_there() -> None:
    """Every number of bfloat16 comes back; NaN is canonical."""
    patterns = np.arange(1 << 16, dtype=np.uint16).view(np.int16)
    numbers = widened(patterns)
    b = axes(row=[1 << 16])
    b.store(b.inst("load", view=View(0, 0, (1,))), 1, 1)
    b.store(b.inst("load", view=View(2, 0, (1,))), 3, 1)
    memory = [numbers, np.zeros_like(patterns), patterns, np.zeros_like(numbers)]
    run_kernel(b.kernel("rows"), memory, np.zeros(1, np.int32))
    wanted = np.where(np.isnan(numbers), np.float32(np.nan), numbers)
    assert widened(memory[1]).tobytes() == memory[3].tobytes() == wanted.tobytes()
    assert np.array_equal(halved(wanted), memory[1])


def test_plans(tmp_path: Path) -> None:
    """In the profile `fast`, in a step, where matrix instructions are; nowhere else, and nobody may say otherwise."""
    text = HEAD.replace(", E=5", "") + BF16 + TRAIN
    texts = {c: text.replace("seed", f"compute = {c}; seed") for c in ("f32", "bf16", "fast")}
    jobs = {c: workload(text, tmp_path / c, 10).job for c, text in texts.items()}
    targets = (target_of(90), target_of(75), host())
    plans = {(c, t.cpu): compile_job(job, t, checked=True) for c, job in jobs.items() for t in targets}
    having = {
        (key, routine.name)
        for key, plan in plans.items()
        for routine in plan.routines
        if any(buffer.type.dtype == HALVES for buffer in routine.buffers)
    }
    assert having == {(("fast", "sm_90"), "step")}
    with pytest.raises(IllFormed, match="may not hold bf16"):
        check_plan(replace(plans["fast", "sm_90"], target=target_of(75)))
    step = plans["fast", "sm_90"].routine("step")
    number = next(i for i, buffer in enumerate(step.buffers) if buffer.type.dtype == HALVES)
    for wrong in ({"slots": (("x", number),)}, {"kernels": tuple(map(in_order, step.kernels))}):
        with pytest.raises(IllFormed, match=r"may not hold bf16|cannot know numbers in bf16"):
            check_routine(replace(step, **wrong))


def in_order(kernel: Kernel) -> Kernel:
    """With products in the contract's order."""
    body = (replace(i, attrs=tuple(a for a in i.attrs if a[0] != "own")) for i in kernel.body)
    return replace(kernel, body=tuple(body))
