"""Memory reached four neighbours at a time: that it is, where it may be, and nowhere else.

Counted is what the compiler made of a kernel: accesses of global memory by how many numbers each has. A kernel whose
vectors vanish fails here, and so does one that reaches past an alignment nobody has proved.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from jobspec.backends.c import several
from jobspec.backends.c.alone import alone
from jobspec.backends.cuda.nvrtc import EXACT, compile_text
from jobspec.backends.cuda.ptx import read
from jobspec.backends.cuda.target import target_of
from jobspec.ir.kernel import Kernel, View
from jobspec.ir.plan import Buffer, Schedule
from jobspec.ir.types import Type
from jobspec.passes.schedule import choose_schedule, possible_schedules
from tests.cuda.counts import Counting, counted
from tests.cuda.machine.faults import Fault
from tests.cuda.native import check, made, narrowed, runs
from tests.llvm import bodies
from tests.llvm.bodies import zeros
from tests.llvm.native import Array, axes, numbers

pytestmark = pytest.mark.cuda
FOUR = made(each=4)


def accesses(kernel: Kernel, arrays: list[Array], schedule: Schedule) -> Counter[str]:
    """Of global memory in the kernel's PTX: `ld`, `ld.v4`, `st.v2`, … → how many there are."""
    found: Counter[str] = Counter()
    for entry in read(
        compile_text(alone(kernel, arrays, schedule, "cuda").text, 90, EXACT, False).ptx
    ).entries.values():
        for op in (i.op for i in entry.instructions if i.op[0] in ("ld", "st") and i.op[1] == "global"):
            found[".".join([op[0], *(part for part in op if part in ("v2", "v4"))])] += 1
    return found


def chosen(kernel: Kernel) -> Schedule:
    return choose_schedule(kernel, target_of(90))


def scaled_rows(strides: tuple[int, ...] = (8, 1), offset: int = 0, size: int = 8) -> tuple[Kernel, list[Array]]:
    """y[i, j] = x[i, j] · s[i] + b[j]"""
    b = axes(outer=[6], row=[size])
    x = b.inst("mul", b.load(0, *strides, offset=offset), b.load(2, 1, 0))
    b.store(b.inst("add", x, b.load(1, 0, 1)), 3, size, 1, flag=1)
    return b.kernel("rows"), [numbers(96, 1, True), numbers(size, 2), numbers(6, 3), zeros(6, size)]


# ---- that it is


def test_maps() -> None:
    """A row vector is fetched by vectors too, a number of the row once."""
    kernel, arrays = scaled_rows()
    check(kernel, arrays, chosen=[FOUR, made(each=2)])
    assert accesses(kernel, arrays, FOUR) == {"ld.v4": 2, "ld": 1, "st.v4": 1, "st": 1}  # the last raises the flag
    assert accesses(kernel, arrays, made(each=2)) == {"ld.v2": 2, "ld": 1, "st.v2": 1, "st": 1}


def test_rows_and_columns() -> None:
    """As they are scheduled where rows are many: all that moves along the row, and all columns."""
    kernel, arrays = bodies.layer_norm(768, 128)
    assert chosen(kernel) == made(each=4, rows=4)
    found = accesses(kernel, arrays, chosen(kernel))
    assert found["ld.v4"] >= 5 and found["st.v4"] >= 1 and found["ld"] == 0 and found["st"] == 1
    b = axes(kept=[128], reduced=[768])
    b.store(b.inst("reduce", b.load(0, 1, 128), how="sum"), 1, 1, 0)
    kernel, arrays = b.kernel("columns"), [numbers(128 * 768, 1), zeros(128)]
    assert chosen(kernel) == made(beside=16, each=4, parts=3)
    found = accesses(kernel, arrays, chosen(kernel))
    assert found["ld.v4"] >= 1 and found["st.v4"] == 1 and found["ld"] == found["st"] == 0


def test_an_optimizer() -> None:
    """Every tensor of an update is read and written by fours."""
    kernel, arrays = bodies.adamw(1 << 17)
    assert chosen(kernel) == FOUR
    found = accesses(kernel, arrays, FOUR)
    moved = [written for view, written in kernel.views() if view.strides[-1]]
    assert found["ld.v4"] == moved.count(False) and found["st.v4"] == moved.count(True)


@pytest.mark.parametrize("dtype", ["f32", "i32", "u32", "bool", "u8", "u16"])
def test_every_kind_of_element(dtype: str) -> None:
    kinds = {"f32": np.float32, "i32": np.int32, "u32": np.uint32, "bool": np.bool_, "u8": np.uint8, "u16": np.uint16}
    b = axes(outer=[3], row=[12])
    x = b.load(0, 12, 1, dtype="i32" if dtype in ("u8", "u16") else dtype)
    b.store(x, 1, 12, 1)
    arrays = [(np.arange(36) % 3).astype(kinds[dtype]), np.zeros(36, arrays_of(dtype, kinds))]
    check(b.kernel("rows"), arrays, chosen=[FOUR])
    found = accesses(b.kernel("rows"), arrays, FOUR)
    assert found["ld.v4"] == 1 and found["ld"] == found["st"] == 0


def arrays_of(dtype: str, kinds: dict[str, type]) -> type:
    """What a value of the dtype is stored as."""
    return np.int32 if dtype in ("u8", "u16") else kinds[dtype]


@pytest.mark.parametrize("far", [0, 1])
def test_gathers(far: int) -> None:
    """Rows that an index picks are fetched by vectors; elements that each has its own index for, one by one."""
    b = axes(outer=[5], row=[8])
    index = b.load(1, 1 - far, far, dtype="i32")
    view = View(0, 0, (0, 1 - far))
    b.store(b.inst("load", index, view=view, pick=8 if far == 0 else 1, bound=6, flag=2), 2, 8, 1)
    arrays = [numbers(48, 1), np.array([3, 0, 5, 6, -1, 1, 2, 4], np.int32), zeros(5, 8)]
    check(b.kernel("rows"), arrays, chosen=[FOUR])
    found = accesses(b.kernel("rows"), arrays, FOUR)
    assert found["ld.v4"] == 1 and found["ld"] == (1 if far == 0 else 4)


# ---- where it may be


@pytest.mark.parametrize(
    ("strides", "offset"), [((8, 1), 1), ((8, 1), 2), ((9, 1), 0), ((1, 8), 0), ((8, 2), 0), ((0, 0), 3)]
)
def test_what_is_not_aligned_is_reached_one_by_one(strides: tuple[int, int], offset: int) -> None:
    """Only the row vector and the result are vectors then."""
    kernel, arrays = scaled_rows(strides, offset)
    check(kernel, arrays, chosen=[FOUR])
    assert accesses(kernel, arrays, FOUR)["ld.v4"] == 1


def test_turns_of_a_loop() -> None:
    """Each turn's elements begin at a multiple of four, or may not."""
    for stride, vectors in ((12, 1), (6, 0)):
        b = axes(row=[8])
        b.inst("store", b.load(0, 1, turns=(stride,)), view=View(1, 0, (1,), (0,)), flag=-1)
        arrays = [numbers(64, 1), zeros(8)]
        check(b.kernel("rows"), arrays, turns=(3,), chosen=[FOUR])
        assert accesses(b.kernel("rows"), arrays, FOUR)["ld.v4"] == vectors


@pytest.mark.parametrize("size", [6, 7])
def test_lengths_that_four_does_not_divide(size: int) -> None:
    kernel, arrays = scaled_rows((size, 1), 0, size)
    check(kernel, arrays, chosen=[FOUR, made(each=2)])
    assert accesses(kernel, arrays, FOUR)["ld.v4"] == 0


def test_a_misaligned_vector_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: whatever lies side by side is taken for aligned."""
    kernel, arrays = scaled_rows((8, 1), 1)
    monkeypatch.setattr(several, "lie_together", lambda kernel, view, axis, *_: view.strides[axis] == 1)
    with pytest.raises(Fault, match="misaligned access"):
        runs(kernel, arrays, FOUR)


# ---- folds


@pytest.mark.parametrize("each", [2, 4])
def test_rows_keep_their_lanes(each: int) -> None:
    """Fewer elements than lanes, and lanes that have more than others."""
    for size in (4, 36):
        check(*bodies.layer_norm(2, size, True), chosen=[made(each=each, rows=2)])


@pytest.mark.parametrize("how", ["sum", "max"])
def test_columns_keep_their_leaves(how: str) -> None:
    """Four columns to a work-item, whole and in parts, and columns of which some do not exist."""
    b = axes(kept=[3, 12], reduced=[700])
    b.store(b.inst("reduce", b.load(0, 12, 1, 36), how=how), 1, 12, 1, 0)
    arrays = [numbers(36 * 700, 5, True), zeros(36)]
    check(b.kernel("columns"), arrays, chosen=[made(each=4), made(beside=4, each=4, parts=3), made(each=2)])


def test_what_is_updated_where_it_lies() -> None:
    """Columns that are centred in place."""
    b = axes(kept=[16], reduced=[600])
    x = b.load(0, 1, 16)
    mean = b.inst("mul", b.inst("reduce", x, how="sum"), b.const(1 / 600))
    b.store(b.inst("sub", x, mean), 0, 1, 16)
    b.store(mean, 1, 1, 0)
    check(b.kernel("columns"), [numbers(9600, 3), zeros(16)], chosen=[FOUR, made(beside=2, each=4, parts=4)])


def test_tune_may_choose() -> None:
    """One, two or four neighbours of a map; one lane of a row, or four."""
    copied = bodies.adamw(64)[0]
    assert set(possible_schedules(copied, target_of(90))) == {Schedule(), made(each=2), made(each=4)}
    rows = set(possible_schedules(bodies.layer_norm(32, 64)[0], target_of(90)))
    assert {made(team=32), made(each=4, rows=4), made(each=4, rows=32), Schedule()} <= rows


# ---- tiles


def with_epilogue(n: int, offset: int = 0) -> tuple[Kernel, list[Array]]:
    """r + (a @ b + bias): the bias a row vector, r a matrix of results."""
    b = axes(m=[20], n=[n], k=[24])
    x = b.inst("product", a=View(0, 0, (24, 0, 1)), b=View(1, 0, (0, 1, n)))
    x = b.inst("add", x, b.load(2, 0, 1, 0))
    b.store(b.inst("add", b.load(3, n, 1, 0, offset=offset), x), 4, n, 1, 0, flag=0)
    arrays = [numbers(480, 1, True), numbers(24 * n, 2), numbers(n, 3), numbers(20 * n + 8, 4), zeros(20, n)]
    return b.kernel("contract"), arrays


TILE = made(stage=8, rows=2, columns=4, high=4, wide=4)


@pytest.mark.parametrize(("n", "offset", "loads"), [(40, 0, 2), (40, 1, 1), (42, 0, 0)])
def test_what_follows_a_contraction(n: int, offset: int, loads: int) -> None:
    """Four results at once, with what the epilogue reads of four, where they lie so; a work-item has two rows."""
    kernel, arrays = with_epilogue(n, offset)
    check(kernel, arrays, chosen=[TILE])
    found = accesses(kernel, arrays, TILE)
    assert (found["ld.v4"], found["st.v4"]) == (2 * loads, 2 if loads else 0)


def test_pieces_of_matrices() -> None:
    """A work-item of 32 has two neighbours of each row: four of them fill a sector of memory."""
    kernel, arrays = narrowed(*with_epilogue(40))
    found = accesses(kernel, arrays, made(matrices=1, rows=1, columns=1, high=1, wide=1, stage=16))
    assert found["st.v2"] == found["st"] == 2  # the others raise the flag


# ---- long rows


def totals(rows: int, size: int) -> tuple[Kernel, list[Array]]:
    """t = t + sum of squares + the largest, of each row."""
    b = axes(outer=[rows], row=[size])
    x = b.load(0, size, 1)
    both = b.inst("add", b.inst("reduce", b.inst("mul", x, x), how="sum"), b.inst("reduce", x, how="max"))
    b.store(b.inst("add", b.load(1, 1, 0), both), 1, 1, 0, flag=1)
    return b.kernel("rows"), [numbers(rows * size, size), numbers(rows, 4)]


def test_long_rows_are_shared_out() -> None:
    """Blocks side by side, an odd one at the end, a group that has fewer than others; joined by many work-items."""
    schedules = possible_schedules(totals(1, 5 * 4096 + 100)[0], target_of(90))
    assert {made(blocks=16, each=4), made(blocks=4, each=1)} <= set(schedules)
    check(*totals(1, 5 * 4096 + 100), chosen=[made(blocks=2, each=4), made(blocks=4, each=1)])
    check(*totals(2, 3 * 4096), chosen=[made(blocks=1, each=4)])


def test_rows_that_are_visited_again_are_not() -> None:
    """Their schedule may say so (tune tries it): one team takes all of each, as ever."""
    check(*bodies.layer_norm(2, 4100, True), chosen=[made(blocks=2, each=4)])


def test_what_is_counted() -> None:
    """A copy: two accesses of four sectors for 32 elements, or of sixteen for four times as many."""
    b = axes(row=[4096])
    b.store(b.load(0, 1), 1, 1)
    buffers = [Buffer(name, Type("f32", (4096,)), "arena", 0) for name in "xy"]
    one, four = (counted(b.kernel("rows"), schedule, buffers, Counting()) for schedule in (Schedule(), FOUR))
    assert (one.elements, one.accesses, one.sectors) == (4096, 256, 1024)
    assert (four.elements, four.accesses, four.sectors) == (4096, 64, 1024)
    assert four.instructions < one.instructions / 2
