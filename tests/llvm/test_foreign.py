"""Code for aarch64, run under an emulator, gives this machine's bits: whole training steps on 1 and 2 threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.workloads import begun, state_of
from jobspec.backends.llvm.compile import Compiler
from jobspec.backends.llvm.engine import LlvmSession
from jobspec.backends.llvm.machine import host, target_of
from jobspec.backends.llvm.module import features
from jobspec.ir.plan import Plan
from jobspec.passes.pipeline import compile_job
from tests.llvm.foreign import AARCH64, Bytes, build, need_tools, run
from tests.spec_jobs import NAMES, SMALL, made_up, on_made_up

STEPS = 3


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_aarch64_gives_the_same_bits(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_tools()
    work = on_made_up(name, made_up(tmp_path), SMALL[name])
    here, there = compile_job(work.job, host()), compile_job(work.job, AARCH64)
    session = LlvmSession(here, 2, Compiler(here.target))
    before = begun(session, work.job)
    session.run("step", 0, work.rows(here, 0, STEPS))
    after = state_of(session, work.job)
    session.close()

    driver = build(there.routine("step"), tmp_path, monkeypatch)
    for threads in (1, 2):
        arena = run(driver, tmp_path, image(there, before), work.rows(there, 0, STEPS), threads)
        for slot, buffer in there.routine("step").slots:
            assert place(there, arena, buffer).tobytes() == after[slot].tobytes(), (slot, threads)


def image(plan: Plan, state: dict[str, np.ndarray]) -> Bytes:
    """The arena of `plan` with the state and the step's constants in it."""
    routine = plan.routine("step")
    arena = np.zeros(routine.arena, np.uint8)
    for slot, buffer in routine.slots:
        place(plan, arena, buffer)[:] = state[slot].reshape(-1).view(np.uint8)
    for buffer, data in routine.constants:
        place(plan, arena, buffer)[:] = np.frombuffer(data, np.uint8)
    return arena


def place(plan: Plan, arena: Bytes, number: int) -> Bytes:
    buffer = plan.routine("step").buffers[number]
    return arena[buffer.offset : buffer.offset + buffer.type.nbytes]


def test_neon_brings_a_fused_multiply_add() -> None:
    """No software instead of it: as the names of features differ, that would go unnoticed."""
    assert features(AARCH64) >= {"fma", "sse4.1"}
    assert "fma" not in features(target_of("x86-64-v2"))
