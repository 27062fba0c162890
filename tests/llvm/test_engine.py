"""Sessions: whole routines run natively, in any number of threads, as the interpreter runs them."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobspec.backends.kept import ROOM
from jobspec.backends.llvm import engine, machine
from jobspec.backends.llvm.built import WRITERS, built
from jobspec.backends.llvm.compile import Compiler, Library
from jobspec.backends.llvm.engine import LlvmSession
from jobspec.backends.llvm.written import Written
from jobspec.backends.reference.kernels import run_routine, view_of
from jobspec.backends.session import Outcome
from jobspec.ir.digest import digest
from jobspec.ir.errors import JobspecError
from jobspec.ir.kernel import Axis, Inst, Kernel, View
from jobspec.ir.plan import Barrier, Buffer, Call, Plan, Routine, Schedule, Steps, Turns
from jobspec.ir.program import Node, Program, make
from jobspec.ir.types import Type
from jobspec.passes.pipeline import compile_routine
from tests.llvm.native import Array, axes
from tests.passes.routines import given, job_of, random_inputs
from tests.passes.test_regions import const, matmul, softmax

THREADS = (1, 2, 4)
STEPS = 4
#: prints the files of our own modules that a build takes
IMPORTED = """
import sys, jobspec.backends.llvm.built
print(*(m.__file__ for name, m in sys.modules.items() if name.startswith("jobspec.")))
"""


@pytest.fixture(autouse=True)
def every_step_is_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """However short the steps here are, all threads take part."""
    monkeypatch.setattr(engine, "ALONE", -1)


def plan_of(*routines: Routine) -> Plan:
    return Plan("b3:" + "0" * 64, "jobspec.f32.v1", machine.host(), routines)


def session_of(plan: Plan, threads: int, cache: Path | None = None) -> LlvmSession:
    return LlvmSession(plan, threads, Compiler(plan.target, 2, cache))


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


def turned(x: Node) -> Node:
    return make("permute", x, axes=(1, 0))


def training(rows: int = 33) -> Program:
    """Two layers, a step of descent on both, a report."""
    w, v, x = given("w", 40, 70), given("v", 70, 10), given("x", rows, 40)
    hidden = make("max", matmul(x, w), const(0.0, (rows, 70)))
    p = softmax(matmul(hidden, v))
    dv, dw = matmul(turned(hidden), p), matmul(turned(x), matmul(p, turned(v)))
    new_w = make("sub", w, make("mul", dw, const(1e-3, w.shape)))
    new_v = make("sub", v, make("mul", dv, const(1e-3, v.shape)))
    outputs = (("w", new_w), ("v", new_v), ("report.size", make("sum", make("mul", dw, dw), axes=(0, 1))))
    return Program((w, v, x), outputs)


def routine_of(program: Program, name: str = "step") -> Routine:
    job = job_of(program)
    return compile_routine(job, name, job.phases[0].step, job.phases[0].batches, machine.host())


def test_training_steps() -> None:
    program = training()
    check(routine_of(program), random_inputs(program))


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


# ---- objects on disk


def test_objects_are_kept_and_never_trusted(tmp_path: Path) -> None:
    program = training()
    routine, inputs = routine_of(program), random_inputs(program)
    nothing = np.zeros((2, routine.feed), np.uint8)

    def result() -> bytes:
        session = session_of(plan_of(routine), 1, tmp_path / "objects")
        for name, _ in routine.slots:
            session.write(name, inputs[name])
        session.run("step", 0, nothing)
        found = session.read("w").tobytes()
        session.close()
        return found

    first = result()
    kept = {path: path.read_bytes() for path in (tmp_path / "objects").iterdir()}
    assert len(kept) == len(set(Written(routine, machine.host()).texts())) + 2, "kernels, the team, the routine"
    assert result() == first
    for i, (path, data) in enumerate(kept.items()):
        path.write_bytes([data[:-1], data[:40], b"", data[:50] + bytes([data[50] ^ 1]) + data[51:]][i % 4])
    assert result() == first
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_routine_is_recalled_without_its_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recalled is what was built; where an object is gone, the routine is built again."""
    routine, compiler = routine_of(training()), Compiler(machine.host(), 2, tmp_path)
    first = built(routine, compiler, 1)
    assert first == built(routine, Compiler(machine.host(), 2), 1)
    with monkeypatch.context() as patch:
        patch.setattr(Written, "texts", None)
        assert built(routine, compiler, 1) == first
    gone = next(path for path in tmp_path.iterdir() if path.read_bytes()[32:] == first.objects[0])
    gone.unlink()
    assert built(routine, compiler, 1) == first and gone.is_file()


def test_a_routine_is_not_recalled_by_other_writers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    routine, compiler = routine_of(training()), Compiler(machine.host(), 2, tmp_path)
    built(routine, compiler, 1)
    records = len(list(tmp_path.iterdir()))
    monkeypatch.setattr("jobspec.backends.llvm.built.sources", lambda *patterns: digest("kept.sources", b"other"))
    built(routine, compiler, 1)
    assert len(list(tmp_path.iterdir())) == records + 1


def test_whatever_writes_texts_is_in_the_key() -> None:
    """All of our own modules that the driver imports lie where `sources` looks."""
    plain = subprocess.run([sys.executable, "-c", IMPORTED], check=True, capture_output=True, text=True).stdout
    assert {Path(file) for file in plain.split()} <= {path for pattern in WRITERS for path in ROOM.glob(pattern)}


def test_an_entry_under_another_key_is_not_used(tmp_path: Path) -> None:
    compiler = Compiler(machine.host(), 2, tmp_path)
    texts = [f"define i32 @f() {{ ret i32 {i} }}" for i in range(2)]
    objects = [compiler.object_of(text) for text in texts]
    one, other = (tmp_path / compiler.key(text).hex for text in texts)
    one.write_bytes(other.read_bytes())
    assert compiler.object_of(texts[0]) == objects[0]


def test_a_folder_that_cannot_be_written_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    compiler = Compiler(machine.host(), 2, tmp_path / "file" / "objects")
    assert compiler.object_of("define void @f() { ret void }")


def test_keys_know_everything_that_decides(tmp_path: Path) -> None:
    text = "define void @f() { ret void }"
    keys = {
        Compiler(target, level).key(text + more).raw
        for target in (machine.host(), machine.target_of("x86-64"), machine.target_of("x86-64-v3"))
        for level in range(4)
        for more in ("", " ")
    }
    assert len(keys) == 24


# ---- the machine


def test_plan_for_another_processor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    routine = routine_of(training())
    strange = replace(machine.host(), features=machine.host().features + ",+avx10.9")
    with pytest.raises(JobspecError) as caught:
        engine.open_session(replace(plan_of(routine), target=strange), job_of(training()), 1, None)
    assert caught.value.code == "E0510"


HUGE = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(not HUGE.exists() or "[never]" in HUGE.read_text(), reason="this system has no large pages")
def test_a_large_block_lies_in_large_pages() -> None:
    block = engine.Memory(8 * engine.LARGE)
    block.bytes[:] = 1
    assert large_pages(block.address) >= 4 * engine.LARGE
    block.close()


def large_pages(address: int) -> int:
    """Bytes of the mapping around `address` that lie in large pages."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, _, rest = line.partition(" ")
        if "-" in first:
            low, high = (int(word, 16) for word in first.split("-"))
            inside = low <= address < high
        elif inside and first == "AnonHugePages:":
            return int(rest.split()[0]) << 10
    return 0


def test_targets_by_name() -> None:
    shapes = [(t.lanes, t.registers) for t in map(machine.target_of, ("x86-64", "x86-64-v3", "x86-64-v4"))]
    assert shapes == [(4, 16), (8, 16), (16, 32)]
    assert machine.runs_here(machine.host())


def test_cache_sizes(tmp_path: Path) -> None:
    for i, (level, kind, size) in enumerate(
        [("1", "Data", "48K"), ("1", "Instruction", "32K"), ("2", "Unified", "1M")]
    ):
        folder = tmp_path / f"index{i}"
        folder.mkdir()
        for name, text in (("level", level), ("type", kind), ("size", size)):
            (folder / name).write_text(text + "\n")
    (tmp_path / "index3").mkdir()
    assert machine._caches(tmp_path) == {"l1": 48 << 10, "l2": 1 << 20}
    assert machine._caches(tmp_path / "none") == {}
