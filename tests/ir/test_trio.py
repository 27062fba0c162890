"""Trios: what may be one launch, what is in the way of it, and what needs no memory then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from jobspec.backends.c.routine import render_routine
from jobspec.ir.check import IllFormed
from jobspec.ir.kernel import Axis, Kernel, View
from jobspec.ir.plan import Barrier, Call, Routine, Turns
from jobspec.ir.plan_check import check_routine
from jobspec.ir.trio import trios
from tests.llvm.native import axes
from tests.trios import SCORES, SHAPES, WEIGHTS, Shape, attention, gradient, without_memory

SHAPE = SHAPES[0]


@pytest.mark.parametrize("case", [attention, gradient])
def test_three_are_one(case: Callable[..., tuple[Routine, object]]) -> None:
    (trio,) = trios(case(SHAPE)[0])
    assert trio.kernels == (0, 1, 2) and trio.between == (SCORES, WEIGHTS) == tuple(sorted(trio.unseen))
    assert (trio.keys, trio.rows, trio.positions) == (SHAPE.keys, SHAPE.rows, SHAPE.batch * SHAPE.heads)


@pytest.mark.parametrize("kept", [(SCORES,), (WEIGHTS,), (SCORES, WEIGHTS)])
def test_what_others_read_is_kept(kept: tuple[int, ...]) -> None:
    """A slot outlives the routine; it needs memory."""
    routine, _ = attention(SHAPE, kept=kept)
    (trio,) = trios(routine)
    assert trio.kept == frozenset(kept)
    hidden = [number for number, buffer in enumerate(without_memory(routine).buffers) if buffer.space == "group"]
    assert hidden == [number for number in (SCORES, WEIGHTS) if number not in kept]


def copying(source: int, target: int) -> Kernel:
    b = axes(outer=[8])
    b.store(b.load(source, 1), target, 1)
    return b.kernel("rows")


def with_call(routine: Routine, kernel: Kernel, at: int) -> Routine:
    """`kernel` called as number `at` of the calls."""
    steps = [*routine.steps]
    steps[2 * at : 2 * at] = [Call(len(routine.kernels)), Barrier()]
    schedules = (*routine.schedules, routine.schedules[0])
    return replace(routine, kernels=(*routine.kernels, kernel), schedules=schedules, steps=tuple(steps))


@pytest.mark.parametrize(
    ("source", "target", "at", "one"),
    [(2, 0, 1, 0), (2, 1, 2, 0), (6, 2, 1, 1), (6, 2, 2, 0), (7, 2, 2, 0), (2, 7, 1, 1), (2, 7, 2, 0), (0, 2, 0, 1),
     (SCORES, 2, 1, 0), (WEIGHTS, 2, 2, 0), (SCORES, 2, 3, 1)],
)  # fmt: skip
def test_what_stands_between(source: int, target: int, at: int, one: int) -> None:
    """q, k, v are 0 to 2, the result 5, exponentials and their sums 6 and 7: what is read or written between."""
    assert len(trios(with_call(attention(SHAPE)[0], copying(source, target), at))) == one


def test_a_loop_between() -> None:
    routine, _ = attention(SHAPE)
    more = with_call(routine, copying(2, 2), 1)
    steps = tuple(Turns(2, False, (s,)) if isinstance(s, Call) and s.kernel == 3 else s for s in more.steps)
    assert trios(replace(more, steps=steps)) == [] != trios(routine)


def test_a_kernel_that_is_called_twice() -> None:
    routine, _ = attention(SHAPE)
    assert trios(replace(routine, steps=(*routine.steps, Call(0)))) == []


@pytest.mark.parametrize("on", [0, 1, 6, 7])
def test_a_result_that_lies_on_what_the_others_use(on: int) -> None:
    """Groups of rows would overwrite what others have still to read; three launches do not."""
    routine, _ = attention(SHAPE)
    buffers = list(routine.buffers)
    buffers[5] = replace(buffers[5], offset=buffers[on].offset)
    assert trios(replace(routine, buffers=tuple(buffers))) == []


def test_without_a_batch_there_is_none() -> None:
    """A layer norm between two projections, say: its contractions are larger than one group."""
    assert trios(attention(Shape(1, 1, 9, 18, 12, 12))[0]) == []


def test_memory_that_is_missing_is_found() -> None:
    """Of what is read elsewhere, or is not the rows of a trio."""
    routine = without_memory(attention(SHAPE)[0])
    check_routine(routine)
    assert len(list(render_routine(routine, "cuda").order())) == 1
    broken = [
        with_call(routine, copying(WEIGHTS, 2), 3),
        replace(routine, slots=(("slot", SCORES),)),
        replace(routine, buffers=tuple(replace(b, space="group") for b in routine.buffers)),
        replace(routine, kernels=(routine.kernels[0], narrowed(routine.kernels[1]), routine.kernels[2])),
    ]
    for each in broken:
        with pytest.raises(IllFormed, match="is in no memory, and not one launch's own"):
            check_routine(each)


def narrowed(kernel: Kernel) -> Kernel:
    """Rows of one element less."""
    return replace(kernel, axes=(*kernel.axes[:-1], Axis(kernel.axes[-1].size - 1, "row")))


def test_rows_that_are_walked_another_way() -> None:
    """The first contraction writes its scores turned: no row of the middle is a row of it."""
    routine, _ = attention(Shape(2, 3, 18, 18, 12, 12))
    first = routine.kernels[0]
    store = first.body[-1]
    view = store["view"]
    turned = View(view.buffer, view.offset, (*view.strides[:2], view.strides[3], view.strides[2], 0))
    body = (*first.body[:-1], replace(store, attrs=tuple((k, turned if k == "view" else v) for k, v in store.attrs)))
    (trio,) = trios(replace(routine, kernels=(replace(first, body=body), *routine.kernels[1:])))
    assert trio.scores.a == trios(routine)[0].scores.b
