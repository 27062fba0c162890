"""The profiler runs the very steps that a session runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from bench.workloads import begun as initial
from bench.workloads import state_of
from jobspec.backends.llvm import stepper
from jobspec.backends.llvm.compile import Compiler
from jobspec.backends.llvm.engine import LlvmSession
from jobspec.backends.llvm.machine import host
from jobspec.passes.pipeline import compile_traced
from jobspec.passes.tally import of_routine
from jobspec.runtime.profile import WARM_UP, profile, trace
from tests.spec_jobs import SMALL, made_up, on_made_up


def test_steps_are_those_of_a_session(tmp_path: Path) -> None:
    """The same batch three times: every tensor of state ends with the same bits."""
    work = on_made_up("char_gpt", made_up(tmp_path), SMALL["char_gpt"])
    plan, origins = compile_traced(work.job, host())
    session = LlvmSession(plan, 1, Compiler(plan.target))
    initial(session, work.job)
    batch = work.rows(plan, 0, 1)
    session.run("step", 0, np.repeat(batch, WARM_UP + 1, axis=0))
    expected = state_of(session, work.job)
    session.close()

    running = stepper.begun(plan, "step", batch[0])
    found = profile(running, origins["step"], 1)
    for name, number in running.routine.slots:
        assert running.bytes_of(number).tobytes() == expected[name].tobytes(), name
    running.close()
    assert sum(r.work.contractions for r in found.rows) == of_routine(plan.routine("step")).contractions > 0
    assert all(r.seconds >= r.low >= 0 and r.calls > 0 for r in found.rows)
    assert [r.seconds for r in found.rows] == sorted((r.seconds for r in found.rows), reverse=True)


def test_a_trace_has_every_call_in_its_place(tmp_path: Path) -> None:
    work = on_made_up("digits", made_up(tmp_path), SMALL["digits"])
    plan, origins = compile_traced(work.job, host())
    running = stepper.begun(plan, "step", work.rows(plan, 0, 1)[0])
    found = profile(running, origins["step"], 3)
    running.close()
    lines = [f"line {i}" for i in range(1, 100)]
    events = json.loads(json.dumps(trace(found, lines)))["traceEvents"]
    calls = [e for e in events if e["ph"] == "X" and "kernel" in e["args"]]
    assert len(calls) == 3 * sum(r.calls for r in found.rows)
    assert [c["ts"] for c in calls] == sorted(c["ts"] for c in calls)
    assert all(c["args"]["text"] == f"line {c['args']['line']}" for c in calls if c["args"]["line"])
    assert any(c["args"]["line"] for c in calls)
    steps = [e for e in events if e["name"].startswith("step ")]
    assert [s["name"] for s in steps] == ["step 2", "step 3", "step 4"]
