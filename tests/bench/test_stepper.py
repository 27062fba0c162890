"""The profiler runs the very steps that a session runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.profile import begun, flops, least_bytes, rows_of, step_flops, table
from bench.workloads import begun as initial
from bench.workloads import state_of
from jobspec.backends.llvm.compile import Compiler
from jobspec.backends.llvm.engine import LlvmSession
from jobspec.backends.llvm.machine import host
from jobspec.ir.kernel import Axis, Inst, Kernel, View
from jobspec.ir.plan import Buffer
from jobspec.ir.types import Type
from jobspec.passes.pipeline import compile_job
from tests.spec_jobs import SMALL, made_up, on_made_up


def test_steps_are_those_of_a_session(tmp_path: Path) -> None:
    """The same batch three times: every tensor of state ends with the same bits."""
    work = on_made_up("char_gpt", made_up(tmp_path), SMALL["char_gpt"])
    plan = compile_job(work.job, host())
    session = LlvmSession(plan, 1, Compiler(plan.target))
    initial(session, work.job)
    session.run("step", 0, np.repeat(work.rows(plan, 0, 1), 3, axis=0))
    expected = state_of(session, work.job)
    session.close()

    stepper = begun(work)
    rows = rows_of(stepper, 2, 1)
    for name, number in stepper.routine.slots:
        assert stepper.bytes_of(number).tobytes() == expected[name].tobytes(), name
    assert sum(r.flops for r in rows) == step_flops(plan) > 0
    assert all(r.seconds >= r.low >= 0 and r.calls > 0 for r in rows)
    assert len(table(rows, stepper.routine).splitlines()) == 1 + len(stepper.routine.kernels)


def test_counts_of_a_product() -> None:
    """C[3, 5] = A[3, 7] B[7, 5]: 2·3·5·7 operations; each operand and the result once."""
    axes = (Axis(3, "m"), Axis(5, "n"), Axis(7, "k"))
    product = Inst("product", (), "f32", (("a", View(0, 0, (7, 0, 1))), ("b", View(1, 0, (0, 1, 5)))))
    store = Inst("store", (0,), "f32", (("view", View(2, 0, (5, 1, 0))), ("flag", -1)))
    kernel = Kernel("test", "contract", axes, (product, store))
    buffers = tuple(Buffer(name, Type("f32", (size,)), "arena", 0) for name, size in (("a", 21), ("b", 35), ("c", 15)))
    assert flops(kernel) == 210
    assert least_bytes(kernel, buffers) == 4 * (21 + 35 + 15)
