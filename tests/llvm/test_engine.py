"""Sessions: whole routines run natively, in any number of threads, as the interpreter runs them."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from jobspec.backends.llvm import machine, team
from jobspec.backends.llvm.compile import Compiler, Library
from jobspec.backends.llvm.engine import ALONE
from jobspec.backends.reference.kernels import run_routine, view_of
from jobspec.backends.session import Outcome
from jobspec.ir.kernel import Axis, Inst, Kernel, View
from jobspec.ir.plan import Barrier, Buffer, Call, Routine, Schedule, Steps, Turns
from jobspec.ir.program import Program, make
from jobspec.ir.types import Type
from tests.llvm.native import Array, axes
from tests.llvm.routines import plan_of, routine_of, session_of, training
from tests.passes.routines import given, random_inputs
from tests.passes.test_regions import matmul

pytestmark = pytest.mark.usefixtures("every_step_is_shared_out")
THREADS = (1, 2, 4)
STEPS = 4


class Oracle:
    """A routine run by the interpreter on a memory of its own."""

    def __init__(self, routine: Routine, inputs: dict[str, Array]) -> None:
        self.routine, self.arena = routine, np.zeros(routine.arena, np.uint8)
        for name, number in routine.slots:
            self.view(number)[:] = inputs[name].ravel()

    def view(self, number: int) -> Array:
        return view_of(self.routine.buffers[number], self.arena, self.arena)

    def run(self, first: int, feeds: Array) -> Outcome:
        reports = []
        for done, feed in enumerate(feeds):
            if self.routine.step >= 0:
                self.view(self.routine.step)[:] = first + done
            found = run_routine(self.routine, self.arena, feed)
            reports.append([found[name] for name, _ in self.routine.reports])
            raised = tuple(
                f for f, w in zip(self.routine.flags, self.view(self.routine.flag_buffer), strict=False) if w
            )
            if raised:
                break
        return Outcome(np.array(reports, np.float32).reshape(len(reports), -1), len(reports), raised)

    def state(self) -> dict[str, Array]:
        return {name: self.view(number) for name, number in self.routine.slots}


def check(routine: Routine, inputs: dict[str, Array], steps: int = STEPS, feeds: Array | None = None) -> Outcome:
    """Outcome and state are the interpreter's, for every number of threads."""
    feeds = np.zeros((steps, routine.feed), np.uint8) if feeds is None else feeds
    oracle = Oracle(routine, inputs)
    wanted = oracle.run(3, feeds)
    for threads in THREADS:
        session = session_of(plan_of(routine), threads)
        for name, _ in routine.slots:
            session.write(name, inputs[name])
        found = session.run(routine.name, 3, feeds)
        assert (found.done, found.flags) == (wanted.done, wanted.flags)
        np.testing.assert_array_equal(found.reports.view(np.uint32), wanted.reports.view(np.uint32))
        for name, value in oracle.state().items():
            bits = f"u{value.dtype.itemsize}"
            np.testing.assert_array_equal(session.read(name).ravel().view(bits), value.view(bits), err_msg=name)
        session.close()
    return wanted


# ---- routines from programs


def test_training_steps() -> None:
    program = training()
    check(routine_of(program), random_inputs(program))


@pytest.mark.parametrize("group", [1, 2, 8])
def test_threads_share_out_parts_of_sums_that_are_not_equal(group: int) -> None:
    """k of 9 leaves and a bit, in parts of 1, 2 and 8: the last is shorter than the others."""
    x, w = given("x", 20, 2310), given("w", 2310, 40)
    routine = routine_of(Program((x, w), (("x", x), ("report.s", make("sum", matmul(x, w), axes=(0, 1))))))
    schedules = tuple(
        Schedule((("group", group), ("pack", 1), ("rows", 4), ("vectors", 1))) if kernel.kind == "contract" else s
        for kernel, s in zip(routine.kernels, routine.schedules, strict=True)
    )
    check(replace(routine, schedules=schedules), random_inputs(Program((x, w), (("x", x),))), 1)


def test_step_number_and_feeds_arrive() -> None:
    w, x, step = given("w", 5), given("x", 5, dtype="u8"), given("step", dtype="i32")
    number = make("broadcast", make("cast", step, dtype="f32"), shape=(5,), axes=())
    program = Program((w, x, step), (("w", make("add", make("mul", w, number), make("cast", x, dtype="f32"))),))
    routine = routine_of(program)
    feeds = np.random.default_rng(1).integers(0, 255, (6, routine.feed), np.uint8)
    check(routine, random_inputs(program), feeds=feeds)


# ---- routines by hand: turns, barriers, flags


def by_hand(kernels: tuple[Kernel, ...], steps: Steps, size: int, flags: tuple[str, ...] = ()) -> Routine:
    """One slot `x` of `size` floats, reported is its first element."""
    pages = -(-size * 4 // 64) * 64
    buffers = (
        Buffer("x", Type("f32", (size,)), "arena", 0),
        Buffer("flags", Type("i32", (max(1, len(flags)),)), "arena", pages),
        Buffer("step", Type("i32"), "arena", pages + 64),
    )
    return Routine(
        name="step",
        kernels=kernels,
        schedules=(Schedule(),) * len(kernels),
        buffers=buffers,
        steps=steps,
        slots=(("x", 0),),
        feeds=(),
        constants=(),
        reports=(("report.x", 0),),
        flags=flags,
        flag_buffer=1,
        step=2,
        arena=pages + 128,
        feed=0,
    )


def next_row(width: int, depth: tuple[int, ...], ahead: int, flag: int = -1) -> Kernel:
    """Row r + `ahead` becomes 0.75 of itself plus row r; r from the turns."""
    here = View(0, 0 if ahead > 0 else width, (1,), tuple(width * d for d in depth))
    there = View(0, width if ahead > 0 else 0, (1,), here.turns)
    b = axes(row=[width])
    scaled = b.inst("mul", b.inst("load", view=there), b.const(0.75))
    b.inst("store", b.inst("add", scaled, b.inst("load", view=here)), view=there, flag=flag)
    return replace(b.kernel("rows"), axes=(Axis(width, "row"),))


WIDTH, ROWS = 700, 12


@pytest.fixture
def rows() -> dict[str, Array]:
    return {"x": np.random.default_rng(2).standard_normal(WIDTH * (ROWS + 1)).astype(np.float32)}


@pytest.mark.parametrize("reverse", [False, True])
def test_turns(reverse: bool, rows: dict[str, Array]) -> None:
    kernel = next_row(WIDTH, (1,), -1 if reverse else 1)
    steps = (Turns(ROWS, reverse, (Call(0), Barrier())), Barrier())
    check(by_hand((kernel,), steps, WIDTH * (ROWS + 1)), rows)


def test_nested_turns(rows: dict[str, Array]) -> None:
    kernels = (next_row(WIDTH, (4, 1), 1), next_row(WIDTH, (4, 1), -1))
    inner: Steps = (Turns(4, True, (Call(0), Barrier(), Call(1), Barrier())),)
    check(by_hand(kernels, (Turns(3, False, inner), Barrier()), WIDTH * (ROWS + 1)), rows)


def test_constants_are_there_again_after_another_routine() -> None:
    """`step` adds a constant; `other` overwrites the place where it lies, and reads x at the same place."""
    plain = by_hand((), (), 32)
    spare = Buffer("spare", Type("f32", (32,)), "arena", plain.arena)
    buffers, arena = (*plain.buffers, spare), plain.arena + 128
    copies = [axes(row=[32]), axes(row=[32])]
    copies[0].store(copies[0].inst("add", copies[0].load(0, 1), copies[0].load(3, 1)), 0, 1)
    copies[1].store(copies[1].load(0, 1), 3, 1)
    steps = (Call(0), Barrier())
    adds, spoils = (replace(plain, kernels=(c.kernel("rows"),), schedules=(Schedule(),), steps=steps) for c in copies)
    adds = replace(adds, buffers=buffers, arena=arena, constants=((3, np.full(32, 2.0, np.float32).tobytes()),))
    spoils = replace(spoils, name="other", buffers=buffers, arena=arena)
    session = session_of(plan_of(adds, spoils), 2)
    session.write("x", np.ones(32, np.float32))
    for name in ("step", "other", "step", "step"):
        session.run(name, 0, np.zeros((1, 0), np.uint8))
    assert session.read("x").tolist() == [7.0] * 32
    session.close()


@pytest.mark.parametrize("at", [0, 2])
def test_a_flag_ends_the_run_after_its_step(at: int, rows: dict[str, Array]) -> None:
    rows["x"][WIDTH * 5] = np.finfo(np.float32).max / (1.5 if at == 0 else 3.0)
    rows["x"][WIDTH * 6] = np.finfo(np.float32).max / (1.5 if at == 0 else 3.0)
    kernel = next_row(WIDTH, (1,), 1, flag=1)
    steps = (Turns(ROWS, False, (Call(0), Barrier())), Barrier())
    routine = by_hand((kernel,), steps, WIDTH * (ROWS + 1), ("nonfinite: y", "nonfinite: x"))
    outcome = check(routine, rows, steps=9)
    assert outcome.flags == ("nonfinite: x",)
    assert outcome.done < 9


def test_flags_are_down_after_a_run(rows: dict[str, Array]) -> None:
    kernel = next_row(WIDTH, (1,), 1, flag=0)
    routine = by_hand((kernel,), (Turns(ROWS, False, (Call(0), Barrier())), Barrier()), WIDTH * (ROWS + 1), ("bad",))
    session = session_of(plan_of(routine), 2)
    session.write("x", np.full(WIDTH * (ROWS + 1), np.inf, np.float32))
    assert session.run("step", 0, np.zeros((3, 0), np.uint8)).flags == ("bad",)
    session.write("x", rows["x"])
    assert session.run("step", 0, np.zeros((3, 0), np.uint8)).flags == ()
    assert session.run("step", 0, np.zeros((0, 0), np.uint8)).done == 0
    session.close()


def test_many_short_steps_meet_at_every_barrier(rows: dict[str, Array]) -> None:
    """A chain through 12 barriers a step, 200 steps: a thread that runs ahead once shows."""
    kernel = replace(next_row(WIDTH, (1,), 1), body=halved(next_row(WIDTH, (1,), 1).body))
    routine = by_hand((kernel,), (Turns(ROWS, False, (Call(0), Barrier())), Barrier()), WIDTH * (ROWS + 1))
    results = []
    for threads in THREADS:
        session = session_of(plan_of(routine), threads)
        session.write("x", rows["x"])
        session.run("step", 0, np.zeros((200, 0), np.uint8))
        results.append(session.read("x").tobytes())
        session.close()
    assert len(set(results)) == 1


def halved(body: tuple[Inst, ...]) -> tuple[Inst, ...]:
    """0.25 in place of 0.75, so that numbers stay small; column c reads column WIDTH-1-c of the row before, which
    another thread wrote."""
    quarter = int(np.float32(0.25).view(np.uint32))
    changed = [replace(i, attrs=(("bits", quarter),)) if i.op == "const" else i for i in body]
    last = max(i for i, inst in enumerate(changed) if inst.op == "load")
    view = changed[last]["view"]
    changed[last] = replace(changed[last], attrs=(("view", View(0, view.offset + WIDTH - 1, (-1,), view.turns)),))
    return tuple(changed)


# ---- the processor's state


CONTROL = """
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
define void @get(ptr %p) { call void @llvm.x86.sse.stmxcsr(ptr %p) ret void }
define void @set(ptr %p) { call void @llvm.x86.sse.ldmxcsr(ptr %p) ret void }
"""
FLUSH = 0x8040  #: flush to zero, denormals are zero
DOWN = 0x2000  #: round down


@pytest.fixture
def control() -> Iterator[Library]:
    if not machine.triple().startswith("x86_64"):
        pytest.skip("the control word is one of x86-64")
    compiler = Compiler(machine.host())
    library = Library([compiler.object_of(CONTROL)], ["get", "set"], machine.host())
    kept = word(library)
    yield library
    word(library, kept)
    library.close()


def word(library: Library, new: int | None = None) -> int:
    """This thread's control word; set to `new` if given."""
    cell = ctypes.c_uint32(new or 0)
    name = "get" if new is None else "set"
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.addresses[name])(ctypes.byref(cell))
    return cell.value


@pytest.mark.parametrize("bits", [FLUSH, DOWN])
def test_control_word_of_the_caller_changes_nothing(control: Library, bits: int) -> None:
    b = axes(outer=[8], row=[100])
    x = b.load(0, 100, 1)
    b.store(b.inst("add", b.inst("mul", x, b.const(0.3)), x), 0, 100, 1)
    routine = by_hand((b.kernel("rows"),), (Call(0), Barrier()), 800)
    x0 = np.arange(1, 801, dtype=np.uint32).view(np.float32)  # subnormals
    oracle = Oracle(routine, {"x": x0})
    oracle.run(0, np.zeros((3, 0), np.uint8))
    for threads in THREADS:
        session = session_of(plan_of(routine), threads)
        session.write("x", x0)
        session.load("step")
        before = word(control)
        word(control, before | bits)
        session.run("step", 0, np.zeros((3, 0), np.uint8))
        after = word(control)
        word(control, before)
        assert after & ~0x3F == (before | bits) & ~0x3F, "the caller's word is not what it was"
        assert session.read("x").tobytes() == oracle.state()["x"].tobytes()
        session.close()


def test_threads_wait_busily_for_as_long_as_a_step_is_worth() -> None:
    few, some, many = (team.spins(work) for work in (ALONE, 6_000_000, 1 << 40))
    assert few == team.SPINS < some < many == team.MOST_SPINS
