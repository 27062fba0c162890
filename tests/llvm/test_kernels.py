"""Kernels of every kind, over sizes at the borders of lanes, vectors, leaves and blocks: the interpreter's bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from jobspec.ir.kernel import View
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target
from tests.llvm import bodies
from tests.llvm.bodies import zeros
from tests.llvm.native import TARGETS, Array, Body, Memory, axes, check, compiled, numbers

ROWS = (1, 2, 10, 15, 16, 17, 31, 32, 33, 64, 65, 127, 128, 129, 144, 160, 257, 4095, 4096, 4097, 4096 * 2 + 40)
LONG = (16384, 4096 * 5 + 1, 4096 * 6 + 31, 4096 * 7 + 100)
EVERY: list[tuple[Callable[..., bodies.Case], tuple[Any, ...]]] = [
    (bodies.softmax, (3, 65)),
    (bodies.softmax, (2, 300)),
    (bodies.layer_norm, (3, 128)),
    (bodies.layer_norm, (2, 4200)),
    (bodies.cross_entropy, (5, 65)),
    (bodies.norm, (17000,)),
    (bodies.adamw, (9000,)),
    (bodies.column_sums, ([20], [300])),
    (bodies.column_sums, ([40], [1000])),
    (bodies.variance, (33, 1025)),
    (bodies.embedding_gradient, ([70], [40], 11, True)),
]


@pytest.mark.parametrize("special", [False, True], ids=["plain", "special"])
@pytest.mark.parametrize("case", [bodies.softmax, bodies.layer_norm, bodies.cross_entropy])
def test_rows(case: Callable[..., bodies.Case], special: bool) -> None:
    for size in ROWS:
        check(*case(3, size, special))


@pytest.mark.parametrize("special", [False, True], ids=["plain", "special"])
def test_long_rows_are_cut_into_blocks(special: bool) -> None:
    for size in LONG:
        assert len(check(*bodies.softmax(2, size, special), cuts=(1, 3)).phases) > 2
        check(*bodies.norm(size, special), cuts=(1, 2, 5))
        check(*bodies.layer_norm(1, size, special))


@pytest.mark.parametrize("size", [65, 130, 300, 768, 2000])
def test_rows_side_by_side(size: int) -> None:
    """As many as go side by side, and those left over."""
    for case in (bodies.softmax, bodies.layer_norm):
        check(*case(9, size, True), cuts=(1, 2, 4))
    for target in TARGETS[1:]:
        check(*bodies.layer_norm(6, size), target)


@pytest.mark.parametrize("size", [64, 100, 768, 8192, 4096 * 2 + 48])
def test_past_the_caches(size: int) -> None:
    """Whole lines that the kernel does not read, and no others."""
    past = Schedule((("past", 1),))
    for target in TARGETS:
        for case in (bodies.softmax, bodies.layer_norm):
            check(*case(5, size, True), target, schedule=past)
        check(*bodies.adamw(size), target, schedule=past)
        b = axes(outer=[2], row=[size])
        b.store(b.load(0, size, 1, offset=3), 1, size, 1, flag=1)
        check(b.kernel("rows"), [numbers(2 * size + 3, special=True), zeros(2 * size)], target, schedule=past)


def test_many_long_rows_use_scratch_of_the_thread() -> None:
    native = check(*bodies.softmax(64, 16400), cuts=(1, 3))
    assert len(native.phases) == 1 and native.private > 0


@pytest.mark.parametrize("first", [True, False])
def test_argmax_and_nan(first: bool) -> None:
    """A NaN never wins, but as the first element is never beaten; the first of equals wins."""
    x = np.tile(np.array([3, 7, 7, np.nan, -np.inf, 7], np.float32), (2, 50))
    x[0, 0] = np.nan if first else -np.inf
    x[1] = -np.inf
    for size in (6, 40, 300):
        b = axes(outer=[2], row=[size])
        b.store(b.inst("reduce", b.load(0, size, 1), how="argmax", dtype="i32"), 1, 1, 0)
        check(b.kernel("rows"), [x[:, :size].ravel().copy(), np.zeros(2, np.int32)])
        b = axes(kept=[2], reduced=[size])
        b.store(b.inst("reduce", b.load(0, size, 1), how="argmax", dtype="i32"), 1, 1, 0)
        check(b.kernel("columns"), [x[:, :size].ravel().copy(), np.zeros(2, np.int32)])


@pytest.mark.parametrize("size", [1, 5, 16, 31, 64, 65, 100, 8191, 8192, 4096 * 3 + 17, 4096 * 2 + 48])
def test_map_in_place(size: int) -> None:
    check(*bodies.adamw(size), cuts=(1, 2, 3))
    check(*bodies.adamw(size, special=True))


@pytest.mark.parametrize("kept", [[1], [3], [16], [17], [32], [65], [3, 20], [130], [5, 1, 7]])
def test_columns(kept: list[int]) -> None:
    for reduced in ([1], [2], [3, 5], [255], [256], [257], [513], [3000], [40, 30]):
        check(*bodies.column_sums(kept, reduced), cuts=(1, 3))
    check(*bodies.column_sums(kept, [300], special=True))


def test_few_columns_are_cut_into_leaves() -> None:
    for columns, size in ((32, 1024), (33, 1025), (1, 40000), (70, 700)):
        assert len(check(*bodies.variance(columns, size), cuts=(1, 3)).phases) > 2
        assert len(check(*bodies.column_sums([columns], [size], special=True), cuts=(1, 2)).phases) == 2


def test_variance_of_whole_columns() -> None:
    for columns, size in ((200, 300), (3, 1), (16, 256)):
        check(*bodies.variance(columns, size), cuts=(1, 2))


@pytest.mark.parametrize("rest", [[1], [3], [16], [17], [64], [130], [2, 33], [600]])
def test_scatter(rest: list[int]) -> None:
    for places in ([1], [7], [3, 30]):
        for bound in (1, 5, 100):
            check(*bodies.embedding_gradient(places, rest, bound, False), cuts=(1, 3))
    check(*bodies.embedding_gradient([50], rest, 9, True), cuts=(1, 2))


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_every_kind_on_every_target_at_every_level(target: Target, level: int) -> None:
    for case, arguments in EVERY:
        check(*case(*arguments), target=target, level=level)


@pytest.mark.parametrize("vectors", [1, 2, 3, 5])
def test_the_number_of_vectors_side_by_side_changes_no_bit(vectors: int) -> None:
    check(*bodies.column_sums([100], [700]), schedule=Schedule((("vectors", vectors),)))


def test_strides_that_are_not_one() -> None:
    """Transposes, every second element, reversed order."""
    for rows, size in ((5, 7), (33, 18), (16, 64), (100, 37)):
        b = axes(outer=[rows], row=[size])
        b.store(b.load(0, 1, rows), 1, size, 1)
        check(b.kernel("rows"), [numbers(rows * size), zeros(rows, size)])
        b = axes(outer=[rows], row=[size])
        b.store(b.load(0, 2 * size, 2), 1, size, -1, offset=size - 1)
        check(b.kernel("rows"), [numbers(2 * rows * size), zeros(rows, size)])
        b = axes(outer=[rows], row=[size])
        b.store(b.inst("reduce", b.load(0, 1, rows), how="sum"), 1, 1, 0)
        check(b.kernel("rows"), [numbers(rows * size), zeros(rows)])


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
def test_strided_bytes(target: Target) -> None:
    """Bytes, words and bools read and written along an axis that is not theirs."""
    rows, size = 21, 35
    for dtype in (np.uint8, np.uint16, np.bool_):
        held = "bool" if dtype is np.bool_ else "i32"
        b = axes(outer=[rows], row=[size])
        b.store(b.load(0, 1, rows, dtype=held), 1, size, 1)
        b.store(b.load(2, size, 1, dtype=held), 3, 1, rows)
        x = (np.arange(rows * size) * 7 % 251 % (2 if held == "bool" else 256)).astype(dtype)
        check(b.kernel("rows"), [x, np.zeros_like(x), x[::-1].copy(), np.zeros_like(x)], target)


def test_windows_overlap() -> None:
    """Largest of 2 × 2 windows with stride 1: two reduced axes, none of them contiguous with the other."""
    high, wide, channels = 9, 8, 20
    b = axes(kept=[high - 1, wide - 1, channels], reduced=[2, 2])
    x = b.load(0, wide * channels, channels, 1, wide * channels, channels)
    largest = b.inst("reduce", x, how="max")
    b.store(largest, 1, (wide - 1) * channels, channels, 1, 0, 0)
    check(b.kernel("columns"), [numbers(high * wide * channels), zeros(high - 1, wide - 1, channels)], cuts=(1, 4))


def test_turns_move_every_buffer() -> None:
    b = axes(outer=[3], row=[20])
    x = b.load(0, 20, 1, turns=(60, 120))
    b.inst("store", x, dtype="f32", view=View(1, 5, (20, 1), (100, -1)), flag=-1)
    for turns in ((0, 0), (1, 0), (1, 1)):
        check(b.kernel("rows"), [numbers(60 * 4), zeros(200)], turns=turns)


@pytest.mark.parametrize(("pick", "first"), [(2, 3), (-2, 181)])
def test_picked_elements_along_the_vector(pick: int, first: int) -> None:
    """A gather whose index differs from lane to lane, some out of bounds, and counts backwards; bytes, words and bools
    in memory."""
    b = axes(outer=[4], row=[50])
    index = b.load(1, 50, 1, dtype="i32")
    picked = b.inst("load", index, view=View(0, first, (200, 0)), pick=pick, bound=90, flag=4)
    b.store(picked, 2, 50, 1)
    even = b.inst("eq", b.inst("and", index, b.word(1), dtype="i32"), b.word(0), dtype="bool")
    b.store(even, 3, 50, 1)
    b.store(b.inst("select", even, index, b.load(4, 50, 1, dtype="i32"), dtype="i32"), 4, 50, 1)
    indices = (np.arange(200) * 37 % 95).astype(np.uint8)
    short = np.arange(65000, 65200).astype(np.uint16)
    check(b.kernel("rows"), [numbers(800), indices, zeros(200), np.zeros(200, np.bool_), short])


def test_fill() -> None:
    b = axes(outer=[3, 35])
    b.store(b.const(-0.0), 0, 35, 1)
    b.store(b.inst("index", dtype="i32", axis=1), 1, 35, 1)
    check(b.kernel("fill"), [numbers(105), np.zeros(105, np.int32)])


@pytest.mark.parametrize("at", [0, 15, 16, 47, 63, 64, 90, 99])
def test_one_number_in_many_raises_the_flag(at: int) -> None:
    for size, wrong in ((100, np.inf), (100, np.nan), (8192 + 100, -np.inf)):
        b = axes(row=[size])
        b.store(b.inst("add", b.load(0, 1), b.const(1.0)), 1, 1, flag=2)
        x = numbers(size)
        check(b.kernel("rows"), [x, zeros(size)])
        x[at - 100] = wrong
        check(b.kernel("rows"), [x, zeros(size)])


def test_flags_tell_apart() -> None:
    """Only what is not finite, or out of bounds, raises a flag, and only its own."""
    for bad, raised in ((np.inf, [1]), (-np.inf, [1]), (np.nan, [1]), (3e38, []), (-0.0, [])):
        for size in (1, 40, 9000):
            x = numbers(size)
            x[-1] = bad
            b = axes(outer=[1], row=[size])
            b.store(b.load(0, 0, 1), 1, 0, 1, flag=1)
            b.store(b.load(0, 0, 1), 2, 0, 1)
            check(b.kernel("rows"), [x, zeros(size), zeros(size)])
            assert [i for i, flag in enumerate(flags_of(b, x)) if flag] == raised


def flags_of(b: Body, x: Array) -> list[int]:
    memory = Memory([x, np.zeros_like(x), np.zeros_like(x)])
    compiled(b.kernel("rows"), memory).run(memory)
    return [int(flag) for flag in memory.flags]
