"""Shared memory whose size a launch says: more than 48 KB of it, watched like all other; a device that has less."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec.backends.c.routine import render_routine
from jobspec.backends.c.shared import GAP, Array, Piece
from jobspec.backends.c.source import names
from jobspec.backends.c.writer import Writer
from jobspec.backends.cuda.nvrtc import compile_text
from jobspec.backends.cuda.session import need_shared, open_session
from jobspec.backends.cuda.target import ASKED, SHARED, target_of
from jobspec.ir.errors import JobspecError
from jobspec.passes.pipeline import compile_job
from jobspec.store.home import Home
from tests.cuda.machine.machine import Block, Fault, Program
from tests.cuda.stand_in import StandIn
from tests.spec_jobs import SMALL, on_made_up
from tests.trios import Shape, attention

pytestmark = pytest.mark.cuda
ITEMS = 64
#: 64 KB and more
PIECE = Piece((Array("a", "float", (2, 8192)), Array("b", "float", (ITEMS,))))


def run(body: str, piece: Piece = PIECE, backwards: bool = False) -> list[float]:
    """128 numbers 0, 1, 2, … after two groups of 64 work-items have run `body` on them."""
    writer = Writer()
    with writer.block("KERNEL k(float* x)"):
        piece.declare(writer)
        writer.line("__shared__ float s[64];")
        writer.line("const int i = ITEM; const long at = GROUP * 64 + i; s[i] = 0;")
        writer.line(body)
    program, block = Program(compile_text(names("cuda") + writer.text(), 90, machine=False).ptx), Block(4 * 128)
    block.bytes.view(np.float32)[:] = np.arange(128)
    try:
        program.launch("k", 2, ITEMS, [block.address], [block], backwards, piece.regions)
        return block.bytes.view(np.float32).tolist()
    finally:
        program.close()


@pytest.mark.parametrize("backwards", [False, True])
def test_a_right_kernel_runs(backwards: bool) -> None:
    """Both ends of each array, and an array of the function's own beside them."""
    found = run(
        "a[1][8191 - i] = x[at]; b[i] = x[at] + s[i]; SYNC; x[at] = a[1][8128 + i] + b[63 - i];", backwards=backwards
    )
    assert found == [2 * (64 * g + 63 - i) for g in range(2) for i in range(64)]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("b[i + 1] = 1;", "shared memory out of bounds"),
        ("a[1][8192 + i] = 1;", "shared memory out of bounds"),
        ("x[at] = b[i - 1];", "shared memory out of bounds"),
        ("SYNC; s[i + 1] = 1; SYNC; x[at] = s[i];", "shared memory out of bounds"),
        ("b[i] = 1; SYNC; x[at] = a[0][i];", "shared memory read before it is written"),
        ("a[0][i] = 1; x[at] = a[0][63 - i];", "race in shared memory|read before it is written"),
        ("a[0][i / 2] = x[at];", "race in shared memory"),
        ("*(float*)(group_memory + 4 * i + 2) = 1;", "misaligned access"),
    ],
)
def test_faults_are_found(body: str, fault: str) -> None:
    with pytest.raises(Fault, match=fault):
        run(body)


def test_arrays_lie_apart() -> None:
    piece = Piece((Array("a", "ushort", (3, 5)), Array("b", "float", (7,)), Array("c", "uint", (1,))), align=1024)
    assert piece.regions == ((0, 30), (1024, 28), (2048, 4)) and piece.bytes == 2052
    assert Piece(piece.arrays).regions == ((0, 30), (96, 28), (192, 4)) and GAP == 64


def test_what_levels_have() -> None:
    """What a plan may ask for; a level that no table knows has what all have."""
    assert [target_of(level).l1 // 1024 for level in (75, 80, 90, 120, 999)] == [64, 163, 227, 99, 48]
    assert min(ASKED.values()) * 1024 > SHARED


def test_a_device_that_has_less_is_known_before_it_runs(home: Home) -> None:
    """Attention as one launch, planned for a level; the device says less."""
    work = on_made_up("char_gpt", home, SMALL["char_gpt"])
    plan, small = compile_job(work.job, target_of(90)), StandIn(shared=2048)
    with pytest.raises(JobspecError) as caught:
        open_session(plan, small, None)
    assert caught.value.code == "E0519" and not small.blocks
    assert "of memory for a group" in caught.value.reason and "a stand-in for a GPU has 2 KB" in caught.value.reason


def test_the_largest_that_is_asked_for_counts() -> None:
    rendered = render_routine(attention(Shape(1, 2, 9, 420, 5, 7), rows=32)[0], "cuda")
    ((launch, _),) = rendered.order()
    assert SHARED < launch.shared_bytes <= 128 * 1024
    need_shared(StandIn(shared=launch.shared_bytes), [rendered])
    with pytest.raises(JobspecError, match="work-items"):
        need_shared(StandIn(shared=launch.shared_bytes - 1), [rendered])
