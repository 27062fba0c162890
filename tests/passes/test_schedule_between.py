"""When attention is one launch: what fits a GPU's shared memory, how many rows a group takes, what needs no memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobspec.backends.c.routine import render_routine
from jobspec.backends.cuda.target import target_of
from jobspec.ir.plan import Plan, Routine, Schedule
from jobspec.ir.plan_check import check_plan
from jobspec.ir.trio import trios
from jobspec.passes import schedule_between
from jobspec.passes.pipeline import compile_job
from jobspec.passes.schedule import possible_schedules
from jobspec.passes.schedule_between import GROUPS, Rows, choose
from tests.spec_jobs import SMALL, made_up, on_made_up
from tests.trios import Shape, apart, attention

GPU = target_of(90)


@pytest.mark.parametrize(("rows", "items"), [(8, 128), (16, 128), (16, 256), (32, 128), (32, 256)])
@pytest.mark.parametrize("keys", [18, 256, 1000])
def test_what_fits_is_what_is_taken(rows: int, items: int, keys: int) -> None:
    """By at most 2 KB more than that."""
    routine, _ = attention(Shape(2, 2, 4, keys, 8, 8), rows=rows, items=items)
    ((launch, _),) = render_routine(routine, "cuda").order()
    taken, shape = launch.shared_bytes, Rows(rows, items)
    assert launch.items == items
    assert shape.fits(keys, replace(GPU, l1=taken + 2048)) and not shape.fits(keys, replace(GPU, l1=taken - 4))


@pytest.mark.parametrize(
    ("shape", "group"),
    [
        (Shape(9, 4, 256, 256, 1, 1), Rows(32, 128)),
        (Shape(12, 4, 64, 64, 1, 1), Rows(8, 128)),
        (Shape(12, 6, 64, 64, 1, 1), Rows(16, 128)),
        (Shape(64, 12, 4, 64, 1, 1), Rows(32, 128)),
    ],
    ids=str,
)
def test_how_many_rows(shape: Shape, group: Rows) -> None:
    """As many as leave 264 groups; and the choice is a schedule that may be held."""
    routine = apart(attention(shape)[0])
    (trio,) = trios(routine)
    assert choose(trio, GPU) == group and choose(trio, replace(GPU, features="cpu")) is None
    assert group.schedule in possible_schedules(routine.kernels[1], GPU)


@pytest.mark.parametrize(
    ("keys", "level", "items"),
    [(512, 90, 128), (1024, 90, 256), (1024, 80, 256), (1024, 89, 0), (640, 89, 128), (1700, 90, 0)],
)
def test_how_many_work_items(keys: int, level: int, items: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fewest that leave eight teams on a processor, the most where none do; nothing where 32 rows do not fit."""
    monkeypatch.setattr(schedule_between, "BUSY", 1)
    routine, gpu = apart(attention(Shape(1, 2, 2, keys, 4, 4))[0]), target_of(level)
    (trio,) = trios(routine)
    chosen, possible = choose(trio, gpu), possible_schedules(routine.kernels[1], gpu)
    assert chosen == (Rows(32, items) if items else None)
    assert GROUPS[-1].schedule in possible and (GROUPS[0].schedule in possible) == bool(items)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    work = on_made_up("char_gpt", made_up(tmp_path_factory.mktemp("made")), SMALL["char_gpt"])
    return compile_job(work.job, GPU, checked=True)


def launches(routine: Routine) -> int:
    return len(list(render_routine(routine, "cuda").order()))


def split(routine: Routine) -> Routine:
    """Each kernel by itself, and somewhere in memory what lies between."""
    return replace(apart(routine), buffers=tuple(replace(buffer, space="arena") for buffer in routine.buffers))


def test_what_a_plan_says(plan: Plan) -> None:
    """In two layers: forward and backward are one launch each, the evaluation's too; scores have no memory, in the
    evaluation weights neither."""
    found = {}
    for routine in plan.routines:
        between = [trio for trio in trios(routine) if routine.schedules[trio.middle].get("between", 0)]
        hidden = [number for number, buffer in enumerate(routine.buffers) if buffer.space == "group"]
        assert hidden == sorted(number for trio in between for number in trio.unseen)
        plain = replace(split(routine), schedules=tuple(map(without_between, routine.schedules)))
        found[routine.name] = len(between), len(hidden), launches(plain) - launches(routine)
    assert found == {"init": (0, 0, 0), "step": (2, 2, 8), "eval": (1, 2, 4)}


def without_between(schedule: Schedule) -> Schedule:
    return Schedule(tuple(choice for choice in schedule.choices if choice[0] != "between"))


def test_schedules_that_say_nothing_leave_it_one_launch(plan: Plan) -> None:
    """What a tuning holds of the rows by themselves cannot take memory that is not there."""
    bare = replace(
        plan, routines=tuple(replace(r, schedules=tuple(map(without_between, r.schedules))) for r in plan.routines)
    )
    check_plan(bare)
    assert [launches(r) for r in bare.routines] == [launches(r) for r in plan.routines]
