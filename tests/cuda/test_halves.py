"""Tiles of matrix instructions on operands that lie in two bytes: the contract's bits, watched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec.backends.c.alone import alone
from jobspec.backends.cuda.nvrtc import compile_text
from jobspec.backends.cuda.target import target_of
from jobspec.backends.reference.numbers import Array, halved
from jobspec.ir.errors import CompileError
from jobspec.ir.kernel import Kernel
from jobspec.passes.schedule import possible_schedules
from tests.cuda.native import check, made, narrowed
from tests.cuda.programs import HEAD, clean, spilled
from tests.cuda.test_matrices_aside import LAYOUTS, SHAPES, TARGET, emitted, left, tile, wanted
from tests.device_kernels import RELAXED
from tests.llvm.native import same
from tests.llvm.test_contract import cases as contractions
from tests.llvm.test_contract import matmul

pytestmark = pytest.mark.cuda
BOTH, FIRST, SECOND = (0, 1), (0,), (1,)
#: eight, four or two neighbours in one access, or none; of k and of the lines parts of tiles
SIZES = ((40, 48, 72), (36, 44, 52), (34, 46, 54), (33, 21, 37))


def halves(kernel: Kernel, arrays: list[Array], which: tuple[int, ...]) -> tuple[Kernel, list[Array]]:
    """With the operands `which` in two bytes."""
    kernel, arrays = narrowed(kernel, arrays)
    return kernel, [halved(x) if i in which else x for i, x in enumerate(arrays)]


@pytest.mark.parametrize(
    ("size", "layout", "which", "apart"),
    [
        (SIZES[0], "nn", BOTH, 7),
        (SIZES[3], "tn", BOTH, 9),
        *(
            pytest.param(size, layout, which, 2, marks=pytest.mark.slow)
            for size in SIZES
            for layout in LAYOUTS
            for which in (BOTH, FIRST, SECOND)
        ),
    ],
)
def test_tiles(size: tuple[int, int, int], layout: str, which: tuple[int, ...], apart: int) -> None:
    kernel, arrays = halves(*matmul(*size, layout, 2, False)[:2], which)
    check(kernel, arrays, chosen=possible_schedules(kernel, target_of(90))[::apart])


@pytest.mark.parametrize(
    ("size", "layout", "which", "shape"),
    [
        ((64, 72, 72), "nt", BOTH, (64, 1, 1, 3)),
        *(
            pytest.param(size, layout, which, shape, marks=pytest.mark.slow)
            for size in ((136, 264, 72), (70, 72, 300), (129, 131, 90))
            for layout in LAYOUTS
            for which in (BOTH, SECOND)
            for shape in SHAPES
        ),
    ],
)
def test_tiles_aside(
    size: tuple[int, int, int], layout: str, which: tuple[int, ...], shape: tuple[int, int, int, int]
) -> None:
    kernel, arrays = halves(*matmul(*size, layout, 2, False)[:2], which)
    program = alone(kernel, arrays, tile(*shape), "cuda")
    for one, other in zip(wanted(kernel, arrays), left(program, emitted(program.text), backwards=True), strict=True):
        same(one, other, f"{layout}, {shape}")


@pytest.mark.slow
@settings(RELAXED, max_examples=40)
@given(case=contractions(), shape=st.sampled_from(SHAPES), aside=st.booleans(), number=st.integers(0, 99))
def test_random_contractions(case: Any, shape: tuple[int, int, int, int], aside: bool, number: int) -> None:
    """Operands that lie in any way, several axes of each role."""
    kernel, arrays = halves(*case[:2], BOTH)
    some = possible_schedules(kernel, target_of(90))
    program = alone(kernel, arrays, tile(*shape) if aside else some[number % len(some)], "cuda")
    for one, other in zip(wanted(kernel, arrays), left(program, emitted(program.text)), strict=True):
        same(one, other, str(program.text.count("cp.async")))


def test_nothing_stands_between_memory_and_the_matrices() -> None:
    """Eight neighbours come by one copy: no register, no conversion; of what lies together aside, none is copied
    first."""
    kernel, arrays = halves(*matmul(256, 256, 256, "nn", 1, False)[:2], BOTH)
    text = HEAD.split(alone(kernel, arrays, possible_schedules(kernel, target_of(90))[0], "cuda").text)[-1]
    assert "COPY4(" in text and "f_pair" not in text and "vload" not in text
    program = alone(kernel, arrays, tile(128, 2, 1, 3), "cuda")
    assert len(program.launches) == 1 and program.launches[0].scratch == 0


def test_other_tiles_refuse_them() -> None:
    kernel, arrays = halves(*matmul(64, 64, 64, "nn", 1, False)[:2], BOTH)
    for schedule in (made(rows=4, columns=4, lanes=1), made(rows=4, columns=4, high=8, wide=8, stage=8)):
        with pytest.raises(CompileError, match="two bytes") as caught:
            alone(kernel, arrays, schedule, "cuda")
        assert caught.value.code == "E0607"


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_machine_code(layout: str) -> None:
    """Registers suffice on every level, with parts of tiles and without; nothing waits for the instruction before."""
    for size in ((512, 512, 1024), (520, 504, 600)):
        kernel, arrays = halves(*matmul(*size, layout, 2, False)[:2], BOTH)
        for schedule in possible_schedules(kernel, TARGET):
            log = compile_text(alone(kernel, arrays, schedule, "cuda").text, "90a").log
            assert not spilled(log) and "serialized" not in log, f"{schedule.choices}: {log}"
        for schedule in possible_schedules(kernel, target_of(90)):
            for level in (80, 90, 120):
                clean(str(schedule.choices), alone(kernel, arrays, schedule, "cuda").text, level, machine=True)
