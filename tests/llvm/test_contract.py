"""Contractions: any shape, layout, schedule, processor and code generation level gives the interpreter's bits."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec.backends.llvm.compile import emit
from jobspec.backends.llvm.machine import code_generator
from jobspec.backends.reference.contraction import multiply
from jobspec.ir.contract import LEAF
from jobspec.ir.kernel import Kernel, View
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target
from jobspec.ir.types import row_major
from jobspec.passes.schedule_contract import choose
from tests.llvm import native
from tests.llvm.native import TARGETS, Array, axes, check, numbers

HOST, AVX2, PLAIN = TARGETS
LAYOUTS = ("nn", "nt", "tn", "tt")
schedule = Schedule.of

SCHEDULES = (
    schedule(rows=4, vectors=2),
    schedule(rows=8, vectors=3, pack=0, through=0),
    schedule(rows=6, vectors=4, pack=1, through=0),
    schedule(rows=12, vectors=1, pack=0),
    schedule(rows=3, vectors=2, group=1),
    schedule(rows=5, vectors=1, group=2, pack=0, through=0),
    schedule(rows=8, vectors=2, swap=1),
    schedule(rows=4, vectors=2, ahead=3),
    schedule(rows=8, vectors=3, pack=0, slab=1, group=1),
    schedule(rows=3, vectors=1, slab=2, swap=1, ahead=3),
    schedule(rows=4, vectors=2, across=1),
    schedule(rows=8, vectors=1, pack=0, across=1, through=0, swap=1, ahead=31),
)

#: the epilogue runs while the next tile is multiplied
LATE = (
    schedule(rows=4, vectors=2, through=2),
    schedule(rows=8, vectors=1, through=2, across=1, pack=0, ahead=31),
    schedule(rows=3, vectors=2, through=2, slab=2, swap=1, ahead=7),
)


def matmul(
    m: int, n: int, k: int, layout: str = "nn", batch: int = 1, special: bool = False
) -> tuple[Kernel, list[Array]]:
    """c = a b; `layout`: which of a and b lie transposed."""
    b = axes(batch=[batch], m=[m], n=[n], k=[k])
    a_strides = (m * k, 1, 0, m) if layout[0] == "t" else (m * k, k, 0, 1)
    b_strides = (n * k, 0, k, 1) if layout[1] == "t" else (n * k, 0, 1, n)
    b.store(b.inst("product", a=View(0, 0, a_strides), b=View(1, 0, b_strides)), 2, m * n, n, 1, 0)
    arrays = [numbers(batch * m * k, 1, special), numbers(batch * n * k, 2, special)]
    return b.kernel("contract"), [*arrays, np.zeros(batch * m * n, np.float32)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("chosen", SCHEDULES, ids=lambda s: " ".join(f"{k}={v}" for k, v in s.choices))
def test_schedules_and_layouts(layout: str, chosen: Schedule) -> None:
    for m, n, k in ((1, 1, 1), (5, 17, 3), (9, 65, 33), (13, 50, 300), (25, 32, 513)):
        check(*matmul(m, n, k, layout), schedule=chosen, cuts=(1, 3))


@pytest.mark.parametrize("k", [255, 256, 257, 511, 512, 513, 768, 1025, 2049])
def test_borders_of_leaves(k: int) -> None:
    kernel, arrays = matmul(6, 20, k)
    for chosen in (choose(kernel, HOST), schedule(rows=6, vectors=2, group=1), schedule(rows=4, vectors=1, group=4)):
        check(kernel, arrays, schedule=chosen)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
@pytest.mark.parametrize("level", range(4))
def test_processors_and_levels(target: Target, level: int) -> None:
    for (m, n, k), layout in zip(((8, 48, 64), (7, 33, 300), (3, 10, 520)), ("nn", "nt", "tn"), strict=True):
        kernel, arrays = matmul(m, n, k, layout)
        check(kernel, arrays, target, level, schedule=choose(kernel, target))


@pytest.mark.parametrize("passes", range(1, 4))
def test_optimisation_pipelines_find_nothing_they_may_change(passes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pass runs in earnest; LLVM's own at -O1 … -O3 must leave every bit, as no instruction permits otherwise."""
    monkeypatch.setattr(
        native, "emit", lambda text, target, level: emit(optimised(text, target, passes), target, level)
    )
    for case, target in product((matmul(7, 33, 520, "nt"), dressed(11, 37, 40, "tanh")), TARGETS):
        check(*case, target, 3, schedule=choose(case[0], target))


def optimised(text: str, target: Target, level: int) -> str:
    """The module after LLVM's pipeline of that level."""
    machine = code_generator(target, level)
    module = llvm.parse_assembly(text, llvm.create_context())
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=level))
    builder.getModulePassManager().run(module, builder)
    return str(module)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
def test_special_values(target: Target) -> None:
    for k in (1, 3, 40, 300):
        kernel, arrays = matmul(6, 40, k, special=True)
        check(kernel, arrays, target, schedule=choose(kernel, target))


def test_products_of_zeros_keep_the_sign_rule() -> None:
    kernel, arrays = matmul(2, 16, 1)
    arrays[0][:], arrays[1][:] = 0.0, -1.0
    check(kernel, arrays)  # +0 + (0 * -1) is +0, a lone product would be -0


def test_order_shows_in_these_numbers() -> None:
    """If leaves were one chain, or a fold not adjacent, the tests above would see it."""
    a, b = numbers(6 * 1025, 1).reshape(1, 6, -1), numbers(1025 * 20, 2).reshape(1, -1, 20)
    leaves = [multiply(a[:, :, i : i + LEAF], b[:, i : i + LEAF]) for i in range(0, 1025, LEAF)]
    in_order = leaves[0]
    for leaf in leaves[1:]:
        in_order = in_order + leaf
    assert (in_order != multiply(a, b)).any()


# ---- windows, splits, several axes


def convolution(batch: int, side: int, c: int, o: int, window: int) -> tuple[Kernel, list[Array]]:
    """[B Y X O] from [B H W C] and [Ky Kx C O]."""
    wide = side + window - 1
    b = axes(m=[batch, side, side], n=[o], k=[window, window, c])
    a = View(0, 0, (wide * wide * c, wide * c, c, 0, wide * c, c, 1))
    w = View(1, 0, (0, 0, 0, 1, window * c * o, c * o, o))
    b.store(b.inst("product", a=a, b=w), 2, side * side * o, side * o, o, 1, 0, 0, 0)
    sizes = (batch * wide * wide * c, window * window * c * o)
    arrays = [numbers(size, i) for i, size in enumerate(sizes)]
    return b.kernel("contract"), [*arrays, np.zeros(batch * side * side * o, np.float32)]


def weight_gradient(batch: int, side: int, c: int, o: int, window: int) -> tuple[Kernel, list[Array]]:
    """[Ky Kx C O] from [B H W C] and [B Y X O]: k runs over batch and positions."""
    wide = side + window - 1
    b = axes(m=[window, window, c], n=[o], k=[batch, side, side])
    a = View(0, 0, (wide * c, c, 1, 0, wide * wide * c, wide * c, c))
    dy = View(1, 0, (0, 0, 0, 1, side * side * o, side * o, o))
    b.store(b.inst("product", a=a, b=dy), 2, window * c * o, c * o, o, 1, 0, 0, 0)
    arrays = [numbers(batch * wide * wide * c, 3), numbers(batch * side * side * o, 4)]
    return b.kernel("contract"), [*arrays, np.zeros(window * window * c * o, np.float32)]


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
def test_convolutions(target: Target) -> None:
    for case in (convolution(2, 6, 1, 10, 5), convolution(2, 5, 3, 20, 3)):
        check(*case, target, schedule=choose(case[0], target))


def test_weight_gradients_over_many_positions() -> None:
    for case in (weight_gradient(20, 12, 1, 10, 5), weight_gradient(40, 12, 2, 20, 3)):
        packed = schedule(rows=8, vectors=2, slab=2, group=2)
        for chosen in (choose(case[0], HOST), schedule(rows=7, vectors=2, flat=1, group=2, pack=0), packed):
            check(*case, schedule=chosen, cuts=(1, 2, 5))


@pytest.mark.parametrize("swap", [0, 1])
def test_lines_are_fetched_ahead_where_k_is_gone_through_in_blocks(swap: int) -> None:
    case = convolution(1, 3, 512, 6, 3)
    for chosen in (schedule(rows=8, vectors=1, ahead=31), schedule(rows=2, vectors=1, group=4, ahead=5, pack=0)):
        check(*case, schedule=Schedule((*chosen.choices, ("swap", swap))), cuts=(1, 3))


def test_long_sums_are_split_and_joined() -> None:
    kernel, arrays = matmul(5, 20, 9000, "tn")
    found = check(kernel, arrays, schedule=choose(kernel, HOST), cuts=(1, 2, 7))
    assert len(found.phases) == 2


# ---- epilogues


def dressed(m: int, n: int, k: int, act: str) -> tuple[Kernel, list[Array]]:
    """act(a b + bias) kept, and added to the residual in place where the column is even; rows scaled."""
    b = axes(m=[m], n=[n], k=[k])
    sums = b.inst("product", a=View(0, 0, (k, 0, 1)), b=View(1, 0, (0, 1, n)))
    value = b.inst("add", sums, b.load(2, 0, 1, 0))
    value = b.inst("mul", b.inst(act, value) if act else value, b.load(3, 1, 0, 0))
    even = b.inst(
        "eq", b.inst("and", b.inst("index", axis=1, dtype="i32"), b.word(1), dtype="i32"), b.word(0), dtype="bool"
    )
    chosen = b.inst("select", even, value, b.const(-2.0))
    b.store(b.inst("add", b.load(4, n, 1, 0), chosen), 4, n, 1, 0, flag=2)
    b.store(value, 5, 1, m, 0)
    sizes = (m * k, k * n, n, m, m * n)
    return b.kernel("contract"), [*(numbers(s, i) for i, s in enumerate(sizes)), np.zeros(m * n, np.float32)]


@pytest.mark.parametrize("act", ["", "tanh", "exp"])
def test_epilogues(act: str) -> None:
    kernel, arrays = dressed(11, 37, 40, act)
    for target, through, swap in product(TARGETS, (0, 1), (0, 1)):
        check(kernel, arrays, target, schedule=schedule(rows=4, vectors=2, through=through, swap=swap))
    check(kernel, arrays, schedule=schedule(rows=4, vectors=2, group=1))
    check(kernel, arrays, schedule=choose(kernel, HOST))


@pytest.mark.parametrize("k", [16, 48, 272, 512])
def test_epilogues_while_the_next_tile_is_multiplied(k: int) -> None:
    for (m, act), chosen in product(((24, "exp"), (25, "")), LATE):
        check(*dressed(m, 37, k, act), schedule=chosen, cuts=(1, 2, 3))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_next_batch_is_fetched_ahead(layout: str) -> None:
    for chosen in (schedule(rows=8, vectors=2, ahead=15), schedule(rows=3, vectors=2, pack=0, ahead=10)):
        check(*matmul(9, 30, 48, layout, batch=3), schedule=chosen, cuts=(1, 3))


def test_what_an_epilogue_touches_is_fetched_ahead() -> None:
    for k, rows in ((48, 8), (512, 3)):
        kernel, arrays = dressed(11, 37, k, "exp")
        check(kernel, arrays, schedule=schedule(rows=rows, vectors=2, ahead=4), cuts=(1, 3))


def test_flag_of_a_sum_that_is_not_finite() -> None:
    kernel, arrays = dressed(5, 20, 300, "")
    arrays[0][7] = np.inf
    for chosen in (choose(kernel, HOST), schedule(rows=5, vectors=2, group=1)):
        check(kernel, arrays, schedule=chosen)


def test_lanes_that_do_not_exist_raise_no_flag() -> None:
    b = axes(m=[3], n=[17], k=[4])
    value = b.inst("product", a=View(0, 0, (4, 0, 1)), b=View(1, 0, (0, 1, 17)))
    b.store(b.inst("div", value, value), 2, 17, 1, 0, flag=0)  # 0 / 0 past the end
    kernel, arrays = b.kernel("contract"), [numbers(12), numbers(68), np.zeros(51, np.float32)]
    for pack, group in product((0, 1), (0, 1)):
        check(kernel, arrays, schedule=schedule(rows=3, vectors=2, pack=pack, group=group))


def test_turns_move_operands() -> None:
    b = axes(m=[4], n=[20], k=[30])
    value = b.inst("product", a=View(0, 0, (30, 0, 1), (120, 0)), b=View(1, 5, (0, 1, 20), (0, 600)))
    b.insts.append(
        b.insts[-1].__class__("store", (value,), "f32", (("view", View(2, 0, (20, 1, 0), (80, 0))), ("flag", -1)))
    )
    arrays = [numbers(360), numbers(1300), np.zeros(240, np.float32)]
    check(b.kernel("contract"), arrays, turns=(2, 1), schedule=schedule(rows=4, vectors=2))


# ---- chains of leaves


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.cpu)
def test_leaves_are_added_in_order_to_what_was_there(target: Target) -> None:
    for chosen in (None, *SCHEDULES[2:], *LATE) if target is HOST else (None, SCHEDULES[2]):
        for turns, rows in ((3, 5), (2, 32)):
            kernel, arrays = summed_up(11, 37, turns, rows)
            check(kernel, arrays, target, schedule=chosen or choose(kernel, target), cuts=(1, 3))


def summed_up(m: int, n: int, turns: int, rows: int) -> tuple[Kernel, list[Array]]:
    """c = c + a[t]ᵀ b[t], the last turn first."""
    b = axes(m=[m], n=[n], k=[turns, rows])
    a, y = View(0, (turns - 1) * rows * m, (1, 0, -rows * m, m)), View(1, (turns - 1) * rows * n, (0, 1, -rows * n, n))
    b.store(b.inst("product", b.load(2, n, 1, 0, 0), a=a, b=y, chain=rows), 2, n, 1, 0, 0)
    sizes = (turns * rows * m, turns * rows * n, m * n)
    return b.kernel("contract"), [numbers(size, i) for i, size in enumerate(sizes)]


# ---- anything


@st.composite
def cases(draw: st.DrawFn, chains: bool = False) -> tuple[Kernel, list[Array], Schedule, Target, int]:
    """Axes of all roles, operands walking them by any strides (overlapping, reversed, repeated), a dense result in
    any order, any schedule. `chains`: leaves may be added in order, which devices are not asked for."""
    sizes: dict[str, list[int]] = {"batch": draw(st.lists(st.integers(1, 3), max_size=2))}
    sizes |= {role: draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)) for role in ("m", "n")}
    sizes["n"][-1] = draw(st.integers(1, 40))
    sizes["k"] = draw(st.lists(st.sampled_from([1, 2, 3, 5, 16, 24, 70]), min_size=1, max_size=3))
    b = axes(**sizes)
    roles, lengths = [axis.role for axis in b.axes], [axis.size for axis in b.axes]
    operands = [drawn_view(draw, i, roles, lengths, own) for i, own in enumerate(("bmk", "bnk"))]
    kept = [i for i, role in enumerate(roles) if role != "k"]
    order = draw(st.permutations(kept)) if draw(st.booleans()) else kept
    strides = dict(zip(order, row_major(tuple(lengths[i] for i in order)), strict=True))
    result = [strides.get(i, 0) for i in range(len(roles))]
    chain = draw(st.sampled_from([0, 0, *(prod(sizes["k"][i:]) for i in range(len(sizes["k"]) + 1))])) if chains else 0
    start = [b.load(2, *result)] if chain else []
    attrs: dict[str, Any] = {"chain": chain} if chain else {}
    b.store(b.inst("product", *start, a=operands[0][0], b=operands[1][0], **attrs), 2, *result, flag=1)
    count = prod(lengths[i] for i in kept)
    arrays = [numbers(operands[0][1], 5), numbers(operands[1][1], 6), numbers(count, 7)]
    kernel = b.kernel("contract")
    target = draw(st.sampled_from([HOST, HOST, AVX2, PLAIN]))
    chosen = choose(kernel, target) if draw(st.booleans()) else drawn_schedule(draw)
    return kernel, arrays, chosen, target, draw(st.integers(1, 2))


def drawn_view(draw: st.DrawFn, buffer: int, roles: list[str], lengths: list[int], own: str) -> tuple[View, int]:
    """A view over the axes of some roles, and the size its buffer needs."""
    mine = [i for i, role in enumerate(roles) if role[0] in own]
    strides = [0] * len(roles)
    if draw(st.booleans()):
        order = draw(st.permutations(mine))
        for i, stride in zip(order, row_major(tuple(lengths[i] for i in order)), strict=True):
            strides[i] = stride * draw(st.sampled_from([1, 1, 1, -1]))
    else:
        for i in mine:
            strides[i] = draw(st.sampled_from([0, 1, 1, 2, -1, 7, 12]))
    reach = [(lengths[i] - 1) * strides[i] for i in mine]
    low, high = sum(min(0, r) for r in reach), sum(max(0, r) for r in reach)
    return View(buffer, -low, tuple(strides)), high - low + 1


def drawn_schedule(draw: st.DrawFn) -> Schedule:
    choices: dict[str, Any] = {name: draw(st.integers(0, 1)) for name in ("pack", "flat", "swap", "across", "through")}
    choices["ahead"], choices["slab"] = draw(st.integers(0, 31)), draw(st.integers(0, 3))
    return schedule(
        rows=draw(st.integers(1, 9)),
        vectors=draw(st.integers(1, 3)),
        group=draw(st.sampled_from([0, 0, 1, 2])),
        **choices,
    )


Drawn = tuple[Kernel, list[Array], Schedule, Target, int]


def holds(case: Drawn) -> None:
    kernel, arrays, chosen, target, level = case
    check(kernel, arrays, target, level, cuts=(1, 3), schedule=chosen)


@given(cases(chains=True))
@settings(max_examples=40, deadline=None)
def test_any_contraction(case: Drawn) -> None:
    holds(case)


@pytest.mark.slow
@given(cases(chains=True))
@settings(max_examples=2000, deadline=None)
def test_very_many_contractions(case: Drawn) -> None:
    holds(case)
