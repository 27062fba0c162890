"""For each clause that flags or orders can break, a deliberately broken native build, which the conformance pack
refuses by that clause: fast-math flags on instructions, the processor's control word, other lanes and leaves.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from jobspec.backends.conformance.examine import difference
from jobspec.backends.llvm import column_folds, machine, sweeps, tile
from jobspec.backends.llvm.compile import Compiler, Library
from jobspec.backends.reference.kernels import run_kernel
from jobspec.backends.reference.numbers import Array
from jobspec.ir.kernel import Kernel
from jobspec.passes.schedule import choose_schedule
from tests.conformance.breaking import CASES, CLAUSES, refused
from tests.llvm import native
from tests.llvm.native import Memory, compiled

FLUSH = 0x8040  #: flush to zero, denormals are zero
CONTROL = """
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
define void @get(ptr %p) { call void @llvm.x86.sse.stmxcsr(ptr %p) ret void }
define void @set(ptr %p) { call void @llvm.x86.sse.ldmxcsr(ptr %p) ret void }
"""
DIV, STORED = "div is correctly rounded", "a NaN is stored as 0x7FC00000"
CONTRACT = "multiply and add stay two operations"


def run(kernel: Kernel, arrays: Sequence[Array]) -> Sequence[Array]:
    memory = Memory([array.copy() for array in arrays])
    compiled(kernel, memory, schedule=choose_schedule(kernel, machine.host())).run(memory)
    return memory.results()


def test_the_sound_build_passes() -> None:
    assert {clause: found for clause in sorted(CLAUSES) if (found := refused(clause, run))} == {}


TEXTS: dict[str, tuple[str, str, str]] = {
    "contraction on": (CONTRACT, r" (fmul|fadd) ", r" \1 contract "),
    "approximate division": (DIV, r" fdiv ", " fdiv fast "),
    "fma of two roundings": (
        "fma rounds once",
        r"(%[\w.]+) = call (.*?) @llvm\.fma\.\w+\(\2 (\S+), \2 (\S+), \2 (\S+)\)",
        r"\1.product = fmul \2 \3, \4\n  \1 = fadd \2 \1.product, \5",
    ),
    "NaN stored as it is": (STORED, r"fcmp uno ", "fcmp false "),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clause, old, new = TEXTS[name]
    breaks(clause, monkeypatch, lambda text: re.subn(old, new, text))


def breaks(clause: str, monkeypatch: pytest.MonkeyPatch, change: Callable[[str], tuple[str, int]]) -> None:
    """Refused once the compiler gets the changed text, in which there was something to change."""

    def emit(text: str, target: machine.Target, level: int) -> bytes:
        broken, times = change(text)
        assert times, "this build would not be broken"
        return sound(broken, target, level)

    sound = native.emit
    monkeypatch.setattr(native, "emit", emit)
    found = refused(clause, run)
    assert "differ, the first at" in found, found or "the broken build is accepted"


ORDERS = {
    "shorter leaves of contractions": ("contraction order", tile),
    "shorter column leaves": ("column order of sum", column_folds),
}


@pytest.mark.parametrize("name", ORDERS)
def test_leaves(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clause, room = ORDERS[name]
    monkeypatch.setattr(room, "LEAF", 128)
    assert "differ, the first at" in refused(clause, run)


def test_shorter_row_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "ROW_BLOCK", 2048)
    assert "differ, the first at" in refused("row order of sum", run)


def test_other_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lanes folded with their neighbours, not with those half a row of lanes away."""

    def neighbours(text: str) -> tuple[str, int]:
        for first in (0, 8):
            halves, pairs = (numbered(range(*places)) for places in ((first, first + 8), (first // 8, 16, 2)))
            assert halves in text
            text = text.replace(halves, pairs)
        return text, 1

    breaks("row order of sum", monkeypatch, neighbours)


def numbered(places: range) -> str:
    return f"<8 x i32> <{', '.join(f'i32 {place}' for place in places)}>"


@pytest.fixture
def flushing() -> Iterator[None]:
    """This thread flushes to zero, as a library linked with -ffast-math leaves it."""
    if not machine.triple().startswith("x86_64"):
        pytest.skip("the control word is one of x86-64")
    library = Library([Compiler(machine.host()).object_of(CONTROL)], ["get", "set"], machine.host())
    cell = ctypes.c_uint32(0)
    called(library, "get", cell)
    kept = cell.value
    called(library, "set", ctypes.c_uint32(kept | FLUSH))
    yield
    called(library, "set", ctypes.c_uint32(kept))
    library.close()


def called(library: Library, name: str, cell: ctypes.c_uint32) -> None:
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.addresses[name])(ctypes.byref(cell))


@pytest.mark.parametrize("op", ["add", "mul"])
def test_flush_to_zero_on(op: str, request: pytest.FixtureRequest) -> None:
    """What is right is computed before, on a thread that keeps subnormals."""
    (case,) = (case for case in CASES if case.clause == f"{op} is IEEE binary32 and keeps subnormals")
    wanted = [array.copy() for array in case.arrays]
    run_kernel(case.kernel, wanted, np.zeros(1, np.int32))
    assert difference(wanted[-1], run(case.kernel, case.arrays)[-1]) == ""
    request.getfixturevalue("flushing")
    found = run(case.kernel, case.arrays)[-1]
    assert (found.view(np.uint32) != wanted[-1].view(np.uint32)).any()
