"""How many neighbours a work-item of a GPU takes: as many as memory allows, and as leave work for all processors."""

from __future__ import annotations

import pytest

from jobspec.backends.cuda.target import target_of
from jobspec.ir.kernel import Axis, Inst, Kernel, View
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target
from jobspec.passes.schedule import choose_schedule, possible_schedules

GPU = target_of(90)
made = Schedule.of


def copy(elements: int, stride: int = 1, offset: int = 0) -> Kernel:
    load = Inst("load", (), "f32", (("view", View(0, offset, (stride,))),))
    store = Inst("store", (0,), "f32", (("view", View(1, 0, (1,))), ("flag", -1)))
    return Kernel("copy", "rows", (Axis(elements, "row"),), (load, store))


def sums(kind: str, kept: int, folded: int, along: int) -> Kernel:
    """Of rows or columns; `along`: stride of what is folded."""
    roles = ("outer", "row") if kind == "rows" else ("kept", "reduced")
    load = Inst("load", (), "f32", (("view", View(0, 0, (folded if along == 1 else 1, along))),))
    fold = Inst("reduce", (0,), "f32", (("how", "sum"),))
    store = Inst("store", (1,), "f32", (("view", View(1, 0, (1, 0))), ("flag", -1)))
    return Kernel("sums", kind, (Axis(kept, roles[0]), Axis(folded, roles[1])), (load, fold, store))


@pytest.mark.parametrize(
    ("kernel", "wanted"),
    [
        (copy(1 << 20), made(each=4)),
        (copy(40_000), made(each=2)),  # a fourth of these would leave processors idle
        (copy(4096), Schedule()),
        (copy((1 << 20) + 2), made(each=2)),
        (copy((1 << 20) + 1), Schedule()),
        (copy(1 << 20, stride=2), Schedule()),
        (copy(1 << 20, offset=2), made(each=2)),
        (sums("rows", 8192, 768, 1), made(each=4, rows=16)),
        (sums("rows", 768, 128, 1), made(each=4, rows=4)),
        (sums("rows", 64, 128, 1), made(team=32)),
        (sums("rows", 8192, 65, 1), made(team=32)),
        (sums("rows", 1, 65536, 1), made(blocks=4, each=4)),  # a row that one team would take is shared out
        (sums("rows", 1, 38_633_472, 1), made(blocks=16, each=4)),
        (sums("rows", 1, 65535, 1), made(blocks=1, each=1)),
        (sums("columns", 768, 8192, 768), made(beside=4, each=4, parts=32)),
        (sums("columns", 65, 8192, 65), made(beside=32, parts=16)),
        (sums("columns", 1 << 20, 4, 1 << 20), made(each=4)),
        (sums("columns", 128, 12, 128), Schedule()),
    ],
)
def test_choices(kernel: Kernel, wanted: Schedule) -> None:
    assert choose_schedule(kernel, GPU) == wanted
    assert wanted in possible_schedules(kernel, GPU)


def test_scattered_sums() -> None:
    """768 positions of 8,192 places would keep a tenth of a GPU busy."""
    view = View(2, 0, (1, 0))
    body = (
        Inst("load", (), "f32", (("view", View(0, 0, (1, 768))),)),
        Inst("load", (), "i32", (("view", View(1, 0, (0, 1))),)),
        Inst("accumulate", (0, 1), "f32", (("view", view), ("pick", 768), ("bound", 50257), ("flag", 1))),
    )
    wide, few = (Kernel("g", "scatter", (Axis(768, "rest"), Axis(n, "place")), body) for n in (8192, 3))
    assert choose_schedule(wide, GPU) == made(parts=32) and choose_schedule(few, GPU) == Schedule()
    assert made(parts=64) in possible_schedules(wide, GPU)


def test_processors_have_none_of_it() -> None:
    processor = Target("opencl", "x", "cpu", lanes=16)
    for kernel in (copy(1 << 20), sums("rows", 8192, 768, 1), sums("columns", 768, 8192, 768)):
        assert all("each" not in dict(s.choices) for s in possible_schedules(kernel, processor))
