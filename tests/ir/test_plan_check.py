"""The plan's checker finds each kind of access that would leave its buffer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jobspec.ir.check import IllFormed
from jobspec.ir.kernel import Axis, Inst, Kernel, View
from jobspec.ir.plan import Barrier, Buffer, Call, Routine, Turns
from jobspec.ir.plan_check import check_routine
from jobspec.ir.routing import Routing
from jobspec.ir.types import Type


def copying(load: View, store: View, *axes: Axis) -> Kernel:
    body = (
        Inst("load", (), "f32", (("view", load),)),
        Inst("store", (0,), "f32", (("flag", -1), ("view", store))),
    )
    return Kernel("copy", "rows", axes or (Axis(8, "row"),), body)


GOOD = Routine(
    name="step",
    kernels=(copying(View(0, 0, (1,), (8,)), View(1, 8, (-1,), (0,)), Axis(8, "row")),),
    schedules=(),
    buffers=(Buffer("a", Type("f32", (4, 8)), "arena", 0), Buffer("b", Type("f32", (9,)), "arena", 128)),
    steps=(Turns(4, False, (Call(0), Barrier())),),
    slots=(), feeds=(), constants=(), reports=(), flags=(), flag_buffer=0, step=-1, arena=192, feed=0,
)  # fmt: skip


def test_a_good_routine_passes() -> None:
    check_routine(GOOD)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"arena": 160}, "outside its space"),
        ({"steps": (Turns(5, False, (Call(0),)),)}, "elements 0 … 39 of buffer 0"),
        ({"steps": (Turns(4, False, (Call(1),)),)}, "no kernel 1"),
        ({"steps": (Call(0),)}, "another number of axes or loops"),
        ({"kernels": (copying(View(0, 0, (1,), (8,)), View(1, 0, (-1,), (0,))),)}, "elements -7 … 0 of buffer 1"),
        ({"kernels": (copying(View(7, 0, (1,), (8,)), View(1, 0, (1,), (0,))),)}, "no buffer 7"),
        ({"kernels": (copying(View(0, 0, (1,), (8,)), View(1, 0, (1, 1), (0,))),)}, "another number of axes"),
        ({"buffers": (Buffer("a", Type("f32", (4, 8)), "arena", 4), GOOD.buffers[1])}, "outside its space"),
    ],
)
def test_each_fault_is_named(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(IllFormed, match=reason):
        check_routine(replace(GOOD, **change))


@pytest.mark.parametrize(
    "inst",
    [
        Inst("load", (), "f32", (("view", 3),)),
        Inst("load", (), "f32"),
        Inst("const", (), "f32"),
        Inst("const", (), "f32", (("bits", "one"),)),
        Inst("index", (), "i32", (("axis", 1),)),
        Inst("add", (), "f32"),
        Inst("guess", (), "f32"),
    ],
    ids=lambda inst: f"{inst.op} {inst.attrs}",
)
def test_an_inst_of_no_form_is_named(inst: Inst) -> None:
    """Found by mutants: also in a kernel that nobody calls, as what is one launch is looked for among all."""
    kernel = replace(GOOD.kernels[0], body=(inst, *GOOD.kernels[0].body[1:]))
    with pytest.raises(IllFormed, match="kernel 1: inst 0"):
        check_routine(replace(GOOD, kernels=(*GOOD.kernels, kernel)))


@pytest.mark.parametrize(("pick", "first", "fault"), [(8, 0, "0 … 39"), (-8, 24, "-8 … 31")])
def test_a_picked_index_counts_up_to_its_bound(pick: int, first: int, fault: str) -> None:
    """Backwards too: what is turned round is picked from its end."""
    index = Inst("const", (), "i32", (("bits", 0),))
    view = View(0, first, (1,), (0,))
    store = Inst("store", (1,), "f32", (("flag", -1), ("view", View(1, 0, (1,), (0,)))))

    def kernel(bound: int) -> Kernel:
        attrs = (("bound", bound), ("flag", 0), ("pick", pick), ("view", view))
        return Kernel("pick", "rows", (Axis(8, "row"),), (index, Inst("load", (0,), "f32", attrs), store))

    with pytest.raises(IllFormed, match=f"elements {fault} of buffer 0"):
        check_routine(replace(GOOD, kernels=(kernel(5),)))
    check_routine(replace(GOOD, kernels=(kernel(4),)))


@pytest.mark.parametrize("name", ["a", "b"])
def test_an_index_moves_the_second_operand_of_a_product_alone(name: str) -> None:
    """`b` is 8 elements further for each of the 5 that the index may pick."""
    views = {"a": View(0, 0, (1,), (0,)), "b": View(0, 0, (1,), (0,)), "owner": View(1, 0, (0,), (0,))}
    views[name] = replace(views[name], offset=1)
    attrs = (("bound", 4), ("pick", 8), ("tokens", 1), *views.items())
    product = Inst("product", (), "f32", tuple(sorted(attrs, key=lambda pair: pair[0])))
    kernel = Kernel("experts", "contract", (Axis(8, "k"),), (product,))
    if name == "a":
        check_routine(replace(GOOD, kernels=(kernel,)))
    else:
        with pytest.raises(IllFormed, match="elements 1 … 32 of buffer 0"):
            check_routine(replace(GOOD, kernels=(kernel,)))


@pytest.mark.parametrize("short", [0, 1])
def test_a_route_writes_its_whole_table(short: int) -> None:
    length = Routing(8, 3, 4).length
    route = Inst("route", (), "i32", (("block", 4), ("size", 3), ("view", View(1, 0, (0,), (0,)))))
    kernel = Kernel("route", "route", (Axis(8, "place"),), (route,))
    buffers = (GOOD.buffers[0], Buffer("table", Type("i32", (length - short,)), "arena", 128))
    routine = replace(GOOD, kernels=(kernel,), buffers=buffers, arena=4096)
    if short:
        with pytest.raises(IllFormed, match=f"elements 0 … {length - 1} of buffer 1"):
            check_routine(routine)
    else:
        check_routine(routine)


def test_an_inst_reads_only_what_stands_before_it() -> None:
    kernel = replace(GOOD.kernels[0], body=(GOOD.kernels[0].body[1], GOOD.kernels[0].body[0]))
    with pytest.raises(IllFormed, match="does not stand before"):
        check_routine(replace(GOOD, kernels=(kernel,)))
