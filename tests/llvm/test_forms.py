"""Equal kernels are compiled once: numbers and places of buffers and flags are no part of a form."""

from __future__ import annotations

from dataclasses import replace

from jobspec.backends.llvm.forms import formed
from jobspec.backends.llvm.written import Written
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Buffer, Routine, Schedule
from jobspec.ir.types import Type
from tests.llvm.native import TARGETS, axes

FLAGS = Buffer("flags", Type("i32", (4,)), "arena", 4096)


def doubled(source: int, target: int, flag: int) -> Kernel:
    b = axes(outer=[40])
    x = b.load(source, 1)
    b.store(b.inst("add", x, x), target, 1, flag=flag)
    return b.kernel("rows")


def buffers(*dtypes: str) -> list[Buffer]:
    return [Buffer(str(i), Type(dtype, (40,)), "arena", 256 * i) for i, dtype in enumerate(dtypes)]


def test_places_and_numbers_are_in_the_table() -> None:
    held = buffers("f32", "f32", "f32")
    one, first = formed(doubled(0, 1, 3), Schedule(), held, FLAGS)
    other, second = formed(doubled(2, 0, 1), Schedule(), held, FLAGS)
    assert one == other
    assert first == (0, 256, 4096 + 12) and second == (512, 0, 4096 + 4)


def test_what_changes_the_code_is_in_the_form() -> None:
    held = buffers("f32", "f32", "u8")
    form, _ = formed(doubled(0, 1, 0), Schedule(), held, FLAGS)
    in_feed = [replace(b, space="feed") for b in held]
    others = [
        formed(doubled(0, 0, 0), Schedule(), held, FLAGS),
        formed(doubled(2, 1, 0), Schedule(), held, FLAGS),
        formed(doubled(0, 1, -1), Schedule(), held, FLAGS),
        formed(doubled(0, 1, 0), Schedule(), in_feed, FLAGS),
        formed(doubled(0, 1, 0), Schedule((("tile", 4),)), held, FLAGS),
    ]
    assert form not in [other for other, _ in others]


def test_a_routine_has_each_distinct_kernel_once() -> None:
    kernels = (doubled(0, 1, 0), doubled(0, 0, 1), doubled(1, 2, 2))
    routine = Routine(
        name="step",
        kernels=kernels,
        schedules=(Schedule(),) * 3,
        buffers=(*buffers("f32", "f32", "f32"), FLAGS),
        steps=(),
        slots=(),
        feeds=(),
        constants=(),
        reports=(),
        flags=("a", "b", "c"),
        flag_buffer=3,
        step=-1,
        arena=8192,
        feed=0,
    )
    written = Written(routine, TARGETS[0])
    texts = list(written.texts())
    first, second, third = written.natives
    assert len(texts) == 2 and first == third != second
    assert written.tables == [(0, 256, 4096), (0, 4100), (256, 512, 4104)]
    assert all(f"@{n.phases[0].symbol}(" in text for n, text in zip((first, second), texts, strict=True))
    assert list(Written(routine, TARGETS[0]).texts()) == texts
