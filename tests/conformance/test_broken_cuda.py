"""For each clause a deliberately broken CUDA build, which the conformance pack refuses by that clause.

What the compiler emits of the broken text is executed on this processor; the sound build of the same kernels passes.
Builds that PTX itself gives away (flushing, approximation, atomics) are refused before that: tests/cuda/test_audit.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from jobspec.backends.c import column_folds, parted, tiled
from jobspec.backends.c.alone import alone
from jobspec.backends.conformance.examine import Run
from jobspec.backends.cuda.nvrtc import EXACT, compile_text
from jobspec.backends.reference.numbers import Array
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule
from tests.conformance.breaking import Broken, refused
from tests.cuda.conftest import compiler
from tests.cuda.machine.machine import Block, Program
from tests.cuda.native import made, mask

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("compiler")]
__all__ = ["compiler"]

PLAIN = made()
SEPARATE = "multiply and add stay two operations"
OPERATORS = (("__fadd_rn(a, b)", "((a) + (b))"), ("__fmul_rn(a, b)", "((a) * (b))"))
DIALECTS = {
    "fma of two roundings": Broken("fma rounds once", (("__fmaf_rn(a, b, c)", "__fadd_rn(__fmul_rn(a, b), c)"),)),
    "division by a reciprocal": Broken(
        "div is correctly rounded", (("__fdiv_rn(a, b)", "__fmul_rn(a, __frcp_rn(b))"),)
    ),
    "square root by a quotient": Broken(
        "sqrt is correctly rounded", (("__fsqrt_rn(a)", "__fdiv_rn(a, __fsqrt_rn(a))"),)
    ),
    "conversion that does not saturate": Broken(
        "f32 to i32 goes toward zero and saturates", (("return x >= 2147483648.0f ?", "return false ?"),)
    ),
    "low word for the high": Broken(
        "mulhi is the high word", (("__umulhi((uint)(a), (uint)(b))", "((uint)(a) * (uint)(b))"),)
    ),
    "NaN stored as it is": Broken(
        "a NaN is stored as 0x7FC00000",
        (("((to_bits(a) & 0x7fffffffu) > 0x7f800000u ? to_float(0x7fc00000u) : (a))", "(a)"),),
    ),
}


def sound(text: str) -> str:
    return text


def runner(text: Callable[[str], str] = sound, options: Sequence[str] = EXACT, schedule: Schedule = PLAIN) -> Run:
    """Kernels run from what the compiler makes of `text` of their text."""

    def run(kernel: Kernel, arrays: Sequence[Array]) -> Sequence[Array]:
        program = alone(kernel, arrays, schedule, "cuda")
        ptx = Program(compile_text(text(program.text), 90, options, machine=False).ptx)
        arena, scratch = Block(program.size, mask(program)), Block(program.scratch)
        arena.bytes[:] = program.arena()
        for launch in program.launches:
            args = (arena.address, arena.address, scratch.address, np.float32(1))
            ptx.launch(launch.symbol, launch.groups, launch.items, args, [arena, scratch], shared=launch.shared)
        ptx.close()
        return program.results(arena.bytes)[0]

    return run


def broken(clause: str, run: Run) -> None:
    assert refused(clause, runner()) == ""
    found = refused(clause, run)
    assert "differ, the first at" in found, found or "the broken build is accepted"


@pytest.mark.parametrize("name", DIALECTS)
def test_dialect(name: str) -> None:
    broken(DIALECTS[name].clause, runner(DIALECTS[name].text))


def test_contraction_on() -> None:
    """Operators in the place of operations that name their rounding, and the compiler's default."""
    careless = Broken(SEPARATE, OPERATORS).text
    assert refused(SEPARATE, runner(careless)) == "", "--fmad=false keeps even these apart"
    broken(SEPARATE, runner(careless, ("--fmad=true",)))


def test_another_leaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """In tiles through shared memory."""
    schedule = made(stage=8, rows=2, columns=4, high=4, wide=4)
    assert refused("contraction order", runner(schedule=schedule)) == ""
    monkeypatch.setattr(tiled, "LEAF", 128)
    broken("contraction order", runner(schedule=schedule))


def test_parts_of_another_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns in parts whose leaves are not the contract's."""
    schedule = made(beside=2, parts=4)
    assert refused("column order of sum", runner(schedule=schedule)) == ""
    for module in (parted, column_folds):
        monkeypatch.setattr(module, "LEAF", 128)
    assert "differ, the first at" in refused("column order of sum", runner(schedule=schedule))


def test_a_stage_without_its_barrier() -> None:
    """Not by its bits, which chance decides: by the watch."""
    schedule = made(stage=8, rows=2, columns=4, high=4, wide=4)

    def hasty(text: str) -> str:
        first = text.index("SYNC;", text.index("ROLLED\n"))
        return text[:first] + text[first + len("SYNC;") :]

    assert "shared memory" in refused("contraction order", runner(hasty, schedule=schedule))
