"""What compiling takes does not grow with depth or sizes: loops stay rolled, and no pass makes a tensor's data."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from jobspec.ir.codec.plan import encode_plan
from jobspec.ir.plan import Plan
from jobspec.ir.plan_check import check_plan
from jobspec.ir.target import Target
from jobspec.lang.check import load
from jobspec.lang.override import overridden
from jobspec.lang.source import Source
from jobspec.passes.pipeline import compile_job

ROOT = Path(__file__).parents[2]
TARGET = Target("llvm", lanes=16, registers=32)
#: text in, plan's bytes out, as `jobspec compile` does it
COMPILED = """
from pathlib import Path
from jobspec.backends.registry import backend
from jobspec.ir.codec.plan import encode_plan
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.passes.pipeline import compile_job
print(len(encode_plan(compile_job(load(Source.read(Path("specs/llama3_405b.job"))), backend("llvm").target))))
"""


def plan_of(name: str, **values: int) -> Plan:
    source = Source.read(ROOT / "specs" / f"{name}.job")
    return compile_job(load(overridden(source, {n: str(v) for n, v in values.items()})), TARGET)


def shape(plan: Plan) -> list[tuple[str, int, int, tuple[str, ...]]]:
    """Of each routine how many kernels and buffers it has, and what its kernels are."""
    return [(r.name, len(r.kernels), len(r.buffers), tuple(k.name for k in r.kernels)) for r in plan.routines]


def test_126_layers_are_as_many_kernels_as_12() -> None:
    few, many = plan_of("llama3_8b", L=12), plan_of("llama3_8b", L=126)
    assert shape(few) == shape(many)
    turns = 4 * (126 - 12) * sum(len(r.constants) for r in many.routines)
    assert abs(len(encode_plan(many)) - len(encode_plan(few))) <= turns + 4 * sum(len(r.buffers) for r in many.routines)


def test_sizes_are_only_numbers() -> None:
    """Buffers of terabytes, 2^40 elements: every access lies inside, and the plan is small."""
    plan = plan_of("llama3_8b", L=126, F=53_248)
    check_plan(plan)
    assert max(b.type.size for r in plan.routines for b in r.buffers) >= 1 << 40
    assert sum(len(data) for r in plan.routines for _, data in r.constants) < 100_000
    assert len(encode_plan(plan)) < 1 << 20


@pytest.mark.slow
def test_the_largest_job_is_a_small_plan_and_takes_little_memory() -> None:
    """Ten phases, 405,853,388,800 parameters: 2 MiB of plan, under 1 GB, start of Python included."""
    told = subprocess.run([sys.executable, "-c", COMPILED], cwd=ROOT, check=True, capture_output=True, text=True)
    assert int(told.stdout) < 2 << 20
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1_000_000


@pytest.mark.slow
def test_126_layers_of_the_largest_job_are_as_many_kernels_as_12() -> None:
    assert shape(plan_of("llama3_405b", L=12)) == shape(plan_of("llama3_405b"))
