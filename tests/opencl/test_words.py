"""Words of the language on OpenCL: short jobs leave the reference's state, bit for bit, computed in bfloat16 too."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.workloads import Workload
from jobspec.ir.contract import BF16_PROFILE, FAST_PROFILE
from jobspec.passes.pipeline import compile_job
from tests.opencl.programs import opencl
from tests.specs.both import by_reference, on_session, same, workload
from tests.specs.test_words import BF16, CHECK, EVAL, HEAD, MOE, ORDERS, TRAIN

pytestmark = pytest.mark.opencl
ORDERED = "orders, roundings and draws"
TEXTS = {
    ORDERED: HEAD.replace(", E=5, F=18", "") + ORDERS + TRAIN + EVAL,
    "loops": HEAD.replace(", E=5", "") + BF16 + TRAIN,
    "experts": HEAD + MOE + TRAIN + CHECK,
    "pieces": HEAD + MOE + TRAIN.replace("seed = 3", "seed = 3; shards = 2"),
}


def check(work: Workload, steps: int) -> None:
    plan = compile_job(work.job, opencl().target, checked=True)
    session = opencl().open(plan, work.job, 1, Path())
    same(on_session(session, work, plan, steps), by_reference(work, steps))


@pytest.mark.parametrize("name", [pytest.param(ORDERED, marks=pytest.mark.pocl), *list(TEXTS)[1:]])
def test_float32(name: str, tmp_path: Path) -> None:
    check(workload(TEXTS[name], tmp_path, 10), 3)


@pytest.mark.parametrize(("name", "compute"), [("loops", "bf16"), ("experts", "bf16"), ("loops", "fast")])
def test_bfloat16(name: str, compute: str, tmp_path: Path) -> None:
    """No OpenCL device has an order of its own: `fast` is the contract's there."""
    work = workload(TEXTS[name].replace("seed = 3", f"seed = 3; compute = {compute}"), tmp_path, 10)
    assert work.job.profile in (BF16_PROFILE, FAST_PROFILE)
    check(work, 3)
