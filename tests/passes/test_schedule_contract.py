"""Normal forms of contractions, and the schedules chosen for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobspec.ir.contract import LEAF
from jobspec.ir.contraction import Extent, cut, normal_form
from jobspec.ir.kernel import Axis, Inst, Kernel, View
from jobspec.ir.target import Target
from jobspec.passes.schedule import choose_schedule
from jobspec.passes.schedule_contract import MOST_GROUPS, choose, evenly

AVX512 = Target("llvm", "x86-64-v4", "", 16, 32, 48 << 10, 1 << 20, 32 << 20)
AVX2 = replace(AVX512, cpu="x86-64-v3", lanes=8, registers=16)
SSE = replace(AVX512, cpu="x86-64", lanes=4, registers=16)
TARGETS = (AVX512, AVX2, SSE)


def kernel(
    axes: list[tuple[str, int]], a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...], *more: Inst
) -> Kernel:
    body = (
        Inst("product", (), "f32", (("a", View(0, 0, a)), ("b", View(1, 0, b)))),
        *more,
        Inst("store", (0,), "f32", (("flag", -1), ("view", View(2, 0, c)))),
    )
    return Kernel("k", "contract", tuple(Axis(size, role) for role, size in axes), body)


def matmul(m: int, n: int, k: int) -> Kernel:
    return kernel([("m", m), ("n", n), ("k", k)], (k, 0, 1), (0, 1, n), (n, 1, 0))


def convolution() -> Kernel:
    """[B=8 Y=6 X=6 O=16] of [8 10 10 3] and [5 5 3 16]."""
    axes = [("m", 8), ("m", 6), ("m", 6), ("n", 16), ("k", 5), ("k", 5), ("k", 3)]
    return kernel(axes, (300, 30, 3, 0, 30, 3, 1), (0, 0, 0, 1, 240, 48, 16), (576, 96, 16, 1, 0, 0, 0))


def test_axes_merge_where_all_views_agree() -> None:
    form = normal_form(convolution())
    assert form.m == (Extent(8, 0, 300, 0), Extent(6, 1, 30, 0), Extent(6, 2, 3, 0))
    assert form.n == (Extent(16, 3, 0, 1),)
    assert form.ka == (Extent(5, 4, 30, 240), Extent(15, 6, 1, 16)), (
        "columns of a window and channels are one walk of a"
    )
    assert form.kb == (Extent(75, 6, 1, 16),), "b walks all of k in one"


def test_an_indexed_axis_stands_alone() -> None:
    axes, a, b, c = [("m", 4), ("m", 6), ("n", 5), ("k", 7)], (42, 7, 0, 1), (0, 0, 1, 5), (30, 5, 1, 0)
    assert len(normal_form(kernel(axes, a, b, c)).m) == 1
    assert len(normal_form(kernel(axes, a, b, c, Inst("index", (), "i32", (("axis", 1),)))).m) == 2


def test_axes_of_size_one_vanish() -> None:
    form = normal_form(kernel([("batch", 1), ("m", 1), ("n", 9), ("k", 1)], (5, 5, 0, 5), (9, 7, 1, 3), (9, 9, 1, 0)))
    assert form.batch == ()
    assert [e.size for e in (*form.m, *form.n, *form.ka)] == [1, 9, 1]


def test_swapped_twice_is_the_same() -> None:
    form = normal_form(convolution())
    assert form.swapped().swapped() == form
    assert form.swapped().m == (Extent(16, 3, 1, 0),)


@pytest.mark.parametrize(("length", "most"), [(1, 8), (25, 8), (65, 8), (768, 8), (5, 2), (10, 10)])
def test_cuts_are_even(length: int, most: int) -> None:
    parts = cut(length, most)
    sizes = [size for _, count, size in parts.kinds() for _ in range(count)]
    assert sum(sizes) == length
    assert len(sizes) == parts.parts == -(-length // most)
    assert max(sizes) - min(sizes) <= 1
    assert [first for first, _, _ in parts.kinds()] == [0, parts.more][: len(parts.kinds())]


@pytest.mark.parametrize(("tiles", "most"), [(768, 340), (288, 64), (64, 64), (32, 100), (40, 9)])
def test_slabs_share_out_evenly(tiles: int, most: int) -> None:
    size = evenly(tiles, most)
    parts = -(-tiles // size)
    assert size <= most
    assert parts == 1 or parts % 2 == 0
    assert tiles > (parts - 1) * size


SHAPES = [(1, 1, 1), (768, 512, 128), (768, 65, 128), (128, 10, 128), (25, 32, 73728), (1, 512, 512), (512, 1, 512)]


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
@pytest.mark.parametrize("shape", SHAPES)
def test_tiles_fit_the_registers(shape: tuple[int, int, int], target: Target) -> None:
    chosen = dict(choose(matmul(*shape), target).choices)
    split = 16 // target.lanes
    if chosen["rows"] * chosen["vectors"] > 1:
        assert (chosen["rows"] + 1) * chosen["vectors"] * split < target.registers
    assert chosen["group"] & (chosen["group"] - 1) == 0, "a power of two, or 0"


def test_large_products_get_large_tiles() -> None:
    for target, sums in ((AVX512, 16), (AVX2, 6)):
        chosen = choose(matmul(512, 512, 512), target)
        assert chosen.get("rows", 0) * chosen.get("vectors", 0) >= sums


def test_long_sums_are_split_into_few_parts() -> None:
    group = choose(matmul(25, 32, 73728), AVX512).get("group", 0)
    parts = 73728 / (LEAF * group)
    assert 8 <= parts <= MOST_GROUPS
    assert choose(matmul(25, 32, 50_000_000), AVX512).get("group", 0) * LEAF * MOST_GROUPS >= 50_000_000


def test_sums_of_parts_stay_small() -> None:
    assert choose(matmul(8192, 128256, 16384), AVX512).get("group", 0) == 0


@pytest.mark.parametrize(("batch", "ahead"), [(2, False), (48, True)])
def test_rows_of_all_batches_together_are_fetched_ahead_where_no_cache_holds_them(batch: int, ahead: bool) -> None:
    axes = [("batch", batch), ("m", 256), ("n", 256), ("k", 64)]
    products = kernel(axes, (256 * 64, 64, 0, 1), (256 * 64, 0, 64, 1), (256 * 256, 256, 1, 0))
    assert bool(choose(products, AVX512).get("ahead", 0) & 1) == ahead


@pytest.mark.parametrize("heads", [1, 6])
def test_rows_are_fetched_ahead_whether_k_is_one_axis_or_two(heads: int) -> None:
    axes = [("m", 8), ("m", 256), ("n", 384), ("k", heads), ("k", 384 // heads)]
    size = 256 * 384 // heads
    a, c = (256 * 384, 384 // heads, 0, size, 1), (256 * 384, 384, 1, 0, 0)
    chosen = choose(kernel(axes, a, (0, 0, 1, 384 * 384 // heads, 384), c), AVX512)
    assert chosen.get("ahead", 0) & 1 and not chosen.get("swap", 0)


@pytest.mark.parametrize(("m", "n", "k", "ahead"), [(128, 512, 768, False), (2048, 2048, 2048, True)])
def test_packed_rows_are_fetched_ahead_where_a_slab_is_large(m: int, n: int, k: int, ahead: bool) -> None:
    chosen = choose(kernel([("m", m), ("n", n), ("k", k)], (1, 0, m), (0, 1, n), (n, 1, 0)), AVX512)
    slab = 4 * chosen.get("slab", 0) * chosen.get("rows", 0) * k
    assert slab and (slab > AVX512.l2 // 2) == ahead == bool(chosen.get("ahead", 0) & 1)


def test_one_column_is_turned_into_one_row() -> None:
    assert choose(matmul(512, 1, 512), AVX512).get("swap", 0) == 1


def test_choice_is_a_function_of_kernel_and_target() -> None:
    for shape in SHAPES:
        assert (
            choose(matmul(*shape), AVX512) == choose(matmul(*shape), AVX512) == choose_schedule(matmul(*shape), AVX512)
        )
    assert choose(matmul(768, 512, 128), AVX512) != choose(matmul(768, 512, 128), AVX2)
