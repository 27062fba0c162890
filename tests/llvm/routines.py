"""Small routines, and sessions that run them natively."""

from __future__ import annotations

from pathlib import Path

from jobspec.backends.llvm import machine
from jobspec.backends.llvm.compile import Compiler
from jobspec.backends.llvm.engine import LlvmSession
from jobspec.ir.plan import Plan, Routine
from jobspec.ir.program import Node, Program, make
from jobspec.passes.pipeline import compile_routine
from tests.passes.routines import given, job_of
from tests.passes.test_regions import const, matmul, softmax


def plan_of(*routines: Routine) -> Plan:
    return Plan("b3:" + "0" * 64, "jobspec.f32.v1", machine.host(), routines)


def session_of(plan: Plan, threads: int, cache: Path | None = None) -> LlvmSession:
    return LlvmSession(plan, threads, Compiler(plan.target, 2, cache))


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
