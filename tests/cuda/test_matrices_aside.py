"""Matrix instructions that work on the side (`wgmma`, sm_90a): bits, claims, and what is wrong where a step is missing.

All that the compiler emits is run by the machine for PTX; faults are planted in the text or in what was emitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jobspec
from jobspec.backends import registry
from jobspec.backends.c.alone import Alone, alone
from jobspec.backends.cuda import admission, matrix_clause, session
from jobspec.backends.cuda.audit import audit
from jobspec.backends.cuda.nvrtc import compile_text
from jobspec.backends.cuda.session import open_session
from jobspec.backends.cuda.target import architecture_of, level_of, target_of
from jobspec.backends.cuda.trial import Trial
from jobspec.backends.reference.kernels import run_kernel
from jobspec.backends.reference.numbers import Array
from jobspec.backends.registry import Backend
from jobspec.ir.classes import class_of, has_matrices, may_claim
from jobspec.ir.codec.receipt import decode_receipt
from jobspec.ir.contract import FAST_PROFILE
from jobspec.ir.errors import UsageError
from jobspec.ir.kernel import Kernel, View
from jobspec.ir.plan import Schedule
from jobspec.passes.own_order import mark_own_order
from jobspec.passes.pipeline import compile_job
from jobspec.passes.schedule import choose_schedule, possible_schedules
from jobspec.store.home import Home
from tests.cuda.machine.machine import Block, Fault, Program
from tests.cuda.native import made, mask, narrowed
from tests.cuda.programs import spilled
from tests.cuda.stand_in import StandIn
from tests.device_kernels import RELAXED
from tests.llvm.native import FLAGS, axes, same
from tests.llvm.test_contract import cases as contractions
from tests.llvm.test_contract import matmul
from tests.specs.both import by_reference, completed, on_session, workload
from tests.specs.both import same as same_runs
from tests.specs.test_words import HEAD, TRAIN

pytestmark = pytest.mark.cuda
TARGET = target_of(90, aside=True)
#: columns of a group of 128, such groups each way, stages of operands that are copied first; each layout of both
SHAPES = ((64, 1, 1, 0), (128, 2, 1, 0), (64, 2, 2, 0), (64, 1, 2, 2), (256, 1, 1, 3), (128, 2, 1, 4), (64, 2, 2, 3))
LAYOUTS = ("nn", "nt", "tn", "tt")


def product(m: int, n: int, k: int, layout: str) -> tuple[Kernel, list[Array]]:
    return narrowed(*matmul(m, n, k, layout, 2, False)[:2])


def tile(aside: int, high: int, wide: int, stages: int, swap: int = 0) -> Schedule:
    return made(matrices=1, aside=aside, high=high, wide=wide, stages=stages, swap=swap)


def emitted(text: str) -> str:
    """Its PTX, held against the contract as a session does."""
    ptx = compile_text(text, "90a", machine=False).ptx
    assert not audit(ptx, text, matrices=True)
    return ptx


def left(program: Alone, ptx: str, order: str = "chain", backwards: bool = False, watched: bool = True) -> list[Array]:
    """What memory holds behind the program."""
    running = Program(ptx, watched, order)
    arena, scratch = Block(program.size, mask(program)), Block(program.scratch)
    arena.bytes[:] = program.arena()
    try:
        for launch in program.launches:
            args = (arena.address, arena.address, scratch.address, np.float32(1), *[1] * launch.turns)
            blocks = [arena, scratch]
            running.launch(launch.symbol, launch.groups, launch.items, args, blocks, backwards, launch.shared)
        return program.results(arena.bytes)[0]
    finally:
        running.close()


def wanted(kernel: Kernel, arrays: Sequence[Array]) -> list[Array]:
    expected = [x.copy() for x in arrays]
    turns = (1,) * max(len(view.turns) for view, _ in kernel.views())
    run_kernel(kernel, expected, np.zeros(FLAGS, np.int32), turns)
    return expected


@pytest.mark.parametrize(
    ("layout", "shape", "size"),
    [
        ("tn", (64, 1, 1, 0), (40, 66, 258)),
        ("nt", (64, 1, 1, 3), (66, 40, 130)),
        pytest.param("tt", (128, 2, 1, 0), (129, 30, 131), marks=pytest.mark.slow),
        *(
            pytest.param(layout, shape, size, marks=pytest.mark.slow)
            for layout in LAYOUTS
            for shape in SHAPES
            for size in ((70, 72, 300), (129, 131, 90), (40, 260, 64), (130, 50, 514))
        ),
    ],
)
def test_tiles(layout: str, shape: tuple[int, int, int, int], size: tuple[int, int, int]) -> None:
    """Watched, threads in both orders: the contract's bits, where the instruction sums as the contract does."""
    kernel, arrays = product(*size, layout)
    expected = wanted(kernel, arrays)
    for swap in (0, 1) if layout == "nt" and shape[3] == 0 else (0,):
        program = alone(kernel, arrays, tile(*shape, swap), "cuda")
        ptx = emitted(program.text)
        for backwards in (False, True):
            for one, other in zip(expected, left(program, ptx, backwards=backwards), strict=True):
                same(one, other, f"{layout}, {shape}")


@pytest.mark.slow
@settings(RELAXED, max_examples=30)
@given(case=contractions(), shape=st.sampled_from(SHAPES), swap=st.integers(0, 1), backwards=st.booleans())
def test_random_contractions(case: Any, shape: tuple[int, int, int, int], swap: int, backwards: bool) -> None:
    """Operands that lie in any way, several axes of each role."""
    kernel, arrays = narrowed(*case[:2])
    program = alone(kernel, arrays, tile(*shape, swap), "cuda")
    for one, other in zip(
        wanted(kernel, arrays), left(program, emitted(program.text), backwards=backwards), strict=True
    ):
        same(one, other, f"{shape}, {swap}")


@pytest.mark.slow
def test_every_schedule_of_a_kernel_has_these_bits() -> None:
    """Where the instruction sums in an order of its own: one for all, near the contract's and not it."""
    kernel, arrays = product(64, 64, 96, "nn")
    assert choose_schedule(kernel, TARGET) in possible_schedules(kernel, TARGET)
    found = []
    for schedule in possible_schedules(kernel, TARGET):
        program = alone(kernel, arrays, schedule, "cuda")
        found.append(left(program, emitted(program.text), "once", watched=False)[-1])
    assert len(found) == 22 and all(other.tobytes() == found[0].tobytes() for other in found)
    near = wanted(kernel, arrays)[-1]
    assert found[0].tobytes() != near.tobytes() and np.allclose(found[0], near, rtol=1e-3, atol=1e-3)


# ---- faults

#: in the text
WRITTEN: dict[str, tuple[Callable[[str], str], str]] = {
    "a stage is written where the instruction reads": (
        lambda text: text.replace("[1 - here]", "[here]"),
        "race in shared memory|shared memory written under a matrix instruction",
    ),
    "a stage is written behind a barrier and before the wait": (
        lambda text: text.replace(
            "f_multiplied(s);\n    SEEN_ASIDE;\n    SYNC;",
            "SEEN_ASIDE; SYNC; left[here][ITEM] = 0u; SYNC; f_multiplied(s); SYNC;",
        ),
        "shared memory written under a matrix instruction",
    ),
    "rows are said to lie further apart": (
        lambda text: text.replace("(1024 >> 4)", "(2048 >> 4)"),
        "shared memory (read before it is written|out of bounds)",
    ),
    "the next lines are said to lie further apart": (
        lambda text: text.replace("8192 >> 4 : 1", "16384 >> 4 : 1"),
        "shared memory (read before it is written|out of bounds)",
    ),
    "another layout is said": (lambda text: text.replace("1ull << 62", "2ull << 62"), "not described as any"),
    "rows begin elsewhere": (
        lambda text: text.replace("&left[here][above", "&left[here][32 + above"),
        "not described as any",
    ),
    "a barrier is missing": (lambda text: text.replace("    SYNC;\n", ""), "race in shared memory"),
    "a part of the group does not take part": (
        lambda text: text.replace("f_multiply<", "if (ITEM < 96) f_multiply<"),
        "barrier that not all",
    ),
}
#: in what the compiler emitted: lines that are taken out
TAKEN = {
    "no fence of the registers": ("wgmma.fence", "registers that no wgmma.fence orders"),
    "no wait": ("wgmma.wait_group", "used before they are waited for"),
    "no group to wait for": ("wgmma.commit_group", "used before they are waited for"),
    "no fence of the proxies": ("fence.proxy", "before its writer has fenced the proxies"),
}


@pytest.fixture(scope="module")
def right() -> Alone:
    """Three stages, so that halves are used again; b lies with columns together, in two blocks."""
    return alone(*product(64, 128, 192, "nn"), tile(128, 1, 1, 0), "cuda")


@pytest.fixture(scope="module")
def compiled(right: Alone) -> str:
    return compile_text(right.text, "90a", machine=False).ptx


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_wrongly_is_named(name: str, right: Alone) -> None:
    change, fault = WRITTEN[name]
    text = change(right.text)
    assert text != right.text
    with pytest.raises(Fault, match=fault):
        left(right, compile_text(text, "90a", machine=False).ptx)


#: in the text whose operands are copied first
COPIED: dict[str, tuple[str, str, str]] = {
    "a stage is not waited for": ("COPIES_LEFT(1)", "COPIES_LEFT(2)", "shared memory read before it is written"),
    "a stage is copied over one that is read": (
        "[behind]",
        "[here]",
        "race in shared memory|shared memory read before it is written|shared memory written under",
    ),
    "copies are not fenced": ("SEEN_ASIDE;", "", "before its writer has fenced the proxies"),
    "copies are fenced before they are there": (
        "COPIES_LEFT(1);\n    SEEN_ASIDE;",
        "SEEN_ASIDE; COPIES_LEFT(1);",
        "before its writer has fenced the proxies",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COPIED)
def test_what_is_copied_wrongly_is_named(name: str) -> None:
    program = alone(*product(64, 64, 256, "nn"), tile(64, 1, 1, 3), "cuda")
    old, new, fault = COPIED[name]
    head, mark, body = program.text.partition("KERNEL BOUND")
    assert old in body
    with pytest.raises(Fault, match=fault):
        left(program, compile_text(head + mark + body.replace(old, new), "90a", machine=False).ptx)


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_missing_is_named(name: str, right: Alone, compiled: str) -> None:
    word, fault = TAKEN[name]
    kept = [line for line in compiled.splitlines() if not line.strip().startswith(word)]
    assert len(kept) < len(compiled.splitlines())
    with pytest.raises(Fault, match=fault):
        left(right, "\n".join(kept))


@pytest.mark.slow
def test_a_stride_within_what_is_written_gives_other_numbers(right: Alone) -> None:
    """No watch can see it: rows of eight lines are read twice."""
    text = right.text.replace("(1024 >> 4)", "(0 >> 4)")
    found, kept = (left(right, compile_text(t, "90a", machine=False).ptx) for t in (text, right.text))
    assert found[-1].tobytes() != kept[-1].tobytes()


# ---- what is claimed


def test_no_other_profile_may_have_them(right: Alone, compiled: str) -> None:
    """And none may negate what it multiplies."""
    assert not audit(compiled, right.text, matrices=True)
    rules = {violation.rule for violation in audit(compiled, right.text)}
    assert rules == {"a tensor core has its own order"}
    negated = compiled.replace(", 1, 1, 1, 0, 1;", ", 1, -1, 1, 0, 1;")
    assert negated != compiled and len(audit(negated, right.text, matrices=True)) == 4


def test_a_class_of_its_own() -> None:
    assert class_of(TARGET) == "cuda.sm_90a" and class_of(target_of(90)) == "cuda.sm_90"
    assert registry.name_for(TARGET) == "cuda.sm_90a" and registry.name_for(target_of(90)) == "cuda"
    assert has_matrices(TARGET) and level_of(TARGET) == 90 and architecture_of(TARGET) == "90a"
    assert may_claim(FAST_PROFILE, f"{FAST_PROFILE}/cuda.sm_90a")
    assert not may_claim(FAST_PROFILE, f"{FAST_PROFILE}/cuda.sm_80a")


def test_the_kernel_and_the_class_decide() -> None:
    """By sizes: small ones wait for their instructions in both classes; every schedule agrees."""
    for size, aside in (((64, 64, 64), True), ((4096, 31, 64), False), ((32, 32, 8), True)):
        kernel, _ = product(*size, "nn")
        for target, has in ((TARGET, aside), (target_of(90), False), (target_of(100), False)):
            assert {schedule.get("aside", 0) > 0 for schedule in possible_schedules(kernel, target)} == {has}
    plain = matmul(64, 64, 64, "nn", 1, False)[0]
    assert not choose_schedule(plain, TARGET).get("matrices", 0)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((16384, 2304, 768), (256, 2, 1, 4)),
        ((768, 768, 16384), (128, 1, 1, 4)),
        ((16384, 64, 1024), (64, 2, 1, 4)),
        ((64, 64, 64), (64, 1, 1, 4)),
        ((2046, 64, 1025), (64, 1, 1, 0)),
    ],
)
def test_what_is_chosen(size: tuple[int, int, int], wanted: tuple[int, int, int, int]) -> None:
    """By count: large tiles, as many as there are processors; what does not lie by eights is copied first where it is
    fetched often enough."""
    m, n, k = size
    b = axes(batch=[1], m=[m], n=[n], k=[k])
    b.store(b.inst("product", a=View(0, 0, (m * k, k, 0, 1)), b=View(1, 0, (n * k, 0, 1, n))), 2, m * n, n, 1, 0)
    chosen = choose_schedule(mark_own_order([b.kernel("contract")])[0], TARGET)
    assert tuple(chosen.get(name, 0) for name in ("aside", "high", "wide", "stages")) == wanted


NET = """layer net(x) {
  param wi: X -> H ~ normal(.3), wo: H -> Y ~ normal(.3)
  nn.relu(x @ wi) @ wo
}
"""
TEXT = HEAD.replace("B=12, X=10, H=24, Y=4, L=2, Q=3, E=5, F=18", "B=40, X=10, H=64, Y=4") + NET
TEXT += TRAIN.replace("seed = 3; steps = 6", "seed = 3; steps = 2; roots = 1; compute = fast")
TEXT += "save { every = 1; keep = all }\n"


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The stand-in as both classes, its instructions summing as the contract does in neither."""

    def backend(name: str, aside: bool) -> Backend:
        def opened(plan, job, threads, cache):  # type: ignore[no-untyped-def]
            return session.opened(plan, lambda: StandIn(watched=False, order="once"), tmp_path / "compiled")

        return Backend(name, target_of(90, aside), session.compilers(), opened, on_host=False)

    for name, aside in (("cuda", False), ("cuda.sm_90a", True)):
        monkeypatch.setitem(registry.BACKENDS, name, partial(backend, name, aside))


@pytest.mark.slow
def test_a_run_has_the_contracts_bits_where_the_instruction_has(tmp_path: Path) -> None:
    """Watched: large contractions on the side, small ones by those that wait."""
    work = workload(TEXT, tmp_path, 10)
    plan = compile_job(work.job, TARGET, checked=True)
    choices = [s for s in plan.routine("step").schedules if s.get("matrices", 0)]
    assert {s.get("aside", 0) > 0 for s in choices} == {False, True}
    driver = StandIn(late=True, backwards=True)
    same_runs(on_session(open_session(plan, driver, None), work, plan, 2), by_reference(work, 2))


@pytest.mark.slow
def test_a_run_claims_its_class(gpus: None, tmp_path: Path) -> None:
    """Replayed to the bit by its own class, near in the other of the same device."""
    home = tmp_path / "home"
    spec = jobspec.load(completed(TEXT, Home(home), 10), home=home)
    run = jobspec.run(spec, on="cuda.sm_90a", home=home)
    assert decode_receipt(Path(run.receipt).read_bytes()).profile == "jobspec.fast.v1/cuda.sm_90a"
    assert jobspec.verify(run.receipt, on="cuda.sm_90a", home=home).word == "ACCEPT"
    assert jobspec.verify(run.receipt, on="cuda", home=home).word == "CONSISTENT"


@pytest.mark.slow
def test_the_clause() -> None:
    """An order of its own satisfies it; a tile with a bit of its own does not."""
    driver = StandIn(watched=False, order="once")
    found: dict[tuple[int, Schedule], Sequence[Array]] = {}

    def good(kernel: Kernel, arrays: Sequence[Array], schedule: Schedule) -> Sequence[Array]:
        key = (arrays[-1].size, schedule)
        found[key] = found.get(key) or Trial(driver, aside=True).arrays(kernel, arrays, schedule)
        return found[key]

    def bad(kernel: Kernel, arrays: Sequence[Array], schedule: Schedule) -> Sequence[Array]:
        other = good(kernel, arrays, schedule)[-1].copy()
        other.view(np.uint32)[5] ^= schedule.get("aside", 0) == 256
        return [other]

    assert matrix_clause.aside_clause(good) == ""
    assert matrix_clause.aside_clause(bad) == "two tiles of one product differ"
    driver.close()


def test_admission(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that fails the clause runs all else; one of another level has no such class."""
    wrong = ((matrix_clause.ASIDE_CLAUSE, "two tiles of one product differ"),)

    def there(level: int, aside: tuple[tuple[str, str], ...]) -> None:
        monkeypatch.setattr(admission, "devices", lambda: iter([admission.Device("G", level, (), aside)]))

    there(90, ())
    assert admission.chosen(aside=True).level == 90
    assert [(d.backend, d.wrong) for d in registry._found_cuda()] == [("cuda", ()), ("cuda.sm_90a", ())]
    there(90, wrong)
    assert admission.chosen().level == 90
    assert [(d.backend, d.wrong) for d in registry._found_cuda()] == [("cuda", ()), ("cuda.sm_90a", wrong)]
    with pytest.raises(UsageError, match="two tiles") as caught:
        admission.chosen(aside=True)
    assert caught.value.code == "E0838"
    there(80, ())
    with pytest.raises(UsageError, match="is of level sm_80") as caught:
        registry.backend("cuda.sm_90a")
    assert caught.value.code == "E0837" and [d.backend for d in registry._found_cuda()] == ["cuda"]


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_machine_code(layout: str) -> None:
    """Registers suffice, and the assembler makes no instruction wait for the one before (its C7510 and the like)."""
    kernel, arrays = product(512, 512, 600, layout)
    for schedule in possible_schedules(kernel, TARGET):
        text = alone(kernel, arrays, schedule, "cuda").text
        log = compile_text(text, "90a").log
        assert not spilled(log) and "serialized" not in log, f"{schedule.choices}: {log}"
