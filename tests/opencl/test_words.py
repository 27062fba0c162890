"""Words of the language on OpenCL: short jobs leave the reference's state, bit for bit, computed in bfloat16 too."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.workloads import Workload
from jobspec.ir.contract import BF16_PROFILE
from jobspec.passes.pipeline import compile_job
from tests.opencl.programs import opencl
from tests.specs.both import Trained, by_reference, trained, workload
from tests.specs.test_words import BF16, CHECK, EVAL, HEAD, MOE, ORDERS, TRAIN

pytestmark = pytest.mark.opencl
TEXTS = {
    "orders, roundings and draws": HEAD.replace(", E=5, F=18", "") + ORDERS + TRAIN + EVAL,
    "loops": HEAD.replace(", E=5", "") + BF16 + TRAIN,
    "experts": HEAD + MOE + TRAIN + CHECK,
    "pieces": HEAD + MOE + TRAIN.replace("seed = 3", "seed = 3; shards = 2"),
}


def on_device(work: Workload, steps: int) -> Trained:
    plan = compile_job(work.job, opencl().target, checked=True)
    session = opencl().open(plan, work.job, 1, Path())
    try:
        return trained(session, work, plan, steps)
    finally:
        session.close()


def same(work: Workload, steps: int) -> None:
    found, wanted = on_device(work, steps), by_reference(work, steps)
    assert found.state == wanted.state
    assert found.losses == wanted.losses and found.metrics == wanted.metrics


@pytest.mark.parametrize("name", TEXTS)
def test_float32(name: str, tmp_path: Path) -> None:
    same(workload(TEXTS[name], tmp_path, 10), 3)


@pytest.mark.parametrize("name", ["loops", "experts"])
def test_bfloat16(name: str, tmp_path: Path) -> None:
    work = workload(TEXTS[name].replace("seed = 3", "seed = 3; compute = bf16"), tmp_path, 10)
    assert work.job.profile == BF16_PROFILE
    same(work, 3)
