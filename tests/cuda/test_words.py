"""Words of the language on CUDA, on the stand-in: in float32, in bfloat16 and by matrix instructions.

`fast`: where the stand-in's instruction sums as the contract does, the state is the reference's bit for bit; where it
sums otherwise, the state is another and near.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.workloads import Workload
from jobspec.backends.c.routine import render_routine
from jobspec.backends.cuda.session import open_session
from jobspec.backends.cuda.target import target_of
from jobspec.ir.contract import BF16_PROFILE, FAST_PROFILE, PROFILE
from jobspec.passes.pipeline import compile_job
from jobspec.passes.schedule import possible_schedules
from tests.cuda.native import check, narrowed
from tests.cuda.programs import MATRICES, clean, texts
from tests.cuda.stand_in import StandIn
from tests.llvm.test_contract import matmul
from tests.specs.both import Trained, by_reference, on_session, same, workload
from tests.specs.test_words import BF16, HEAD, MOE, ORDERS, TRAIN

pytestmark = pytest.mark.cuda
PROFILES = {"f32": PROFILE, "bf16": BF16_PROFILE, "fast": FAST_PROFILE}
TEXTS = {
    "orders, roundings and draws": HEAD.replace(", E=5, F=18", "") + ORDERS + TRAIN,
    "loops": HEAD.replace(", E=5", "") + BF16 + TRAIN,
    "experts": HEAD + MOE + TRAIN,
}


def computing(name: str, compute: str, folder: Path) -> Workload:
    work = workload(TEXTS[name].replace("seed = 3", f"seed = 3; compute = {compute}"), folder, 10)
    assert work.job.profile == PROFILES[compute]
    return work


def on_stand_in(work: Workload, steps: int, order: str = "chain", watched: bool = True) -> Trained:
    plan = compile_job(work.job, target_of(90), checked=True)
    driver = StandIn(watched=watched, late=True, backwards=True, order=order)
    return on_session(open_session(plan, driver, None), work, plan, steps)


@pytest.mark.parametrize(
    ("name", "compute"),
    [
        ("orders, roundings and draws", "f32"),
        ("loops", "bf16"),
        pytest.param("experts", "bf16", marks=pytest.mark.slow),
    ],
)
def test_words(name: str, compute: str, tmp_path: Path) -> None:
    work = computing(name, compute, tmp_path)
    same(on_stand_in(work, 2, watched=False), by_reference(work, 2))


def test_fast(tmp_path: Path) -> None:
    """Watched; the promise holds for any order within sixteen steps of k."""
    work = computing("loops", "fast", tmp_path)
    wanted = by_reference(work, 2)
    same(on_stand_in(work, 2), wanted)
    other = on_stand_in(work, 2, order="once", watched=False)
    assert other.state != wanted.state
    assert np.allclose(other.losses, wanted.losses, rtol=1e-4)


@pytest.mark.parametrize("apart", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_tiles_of_matrix_instructions(apart: int) -> None:
    """Watched, threads in both orders: all have the contract's bits where the instruction sums as the contract does."""
    for m, n, k, layout in ((33, 20, 300, "nn"), (9, 40, 37, "tn")):
        kernel, arrays = narrowed(*matmul(m, n, k, layout, 2, False)[:2])
        check(kernel, arrays, chosen=possible_schedules(kernel, target_of(90))[::apart])


@pytest.mark.parametrize(
    "level", [pytest.param(80, marks=pytest.mark.slow), 90, pytest.param(120, marks=pytest.mark.slow)]
)
def test_matrix_instructions_are_of_one_profile(level: int, tmp_path: Path) -> None:
    """Every plain contraction of a step has them, none of `init`; in no other profile has any."""
    for compute in PROFILES:
        job = computing("loops", compute, tmp_path / compute).job
        found = dict(texts(job, level))
        for routine, text in found.items():
            compiled = clean(routine, text, level, machine=level == 90)
            assert compiled.ptx.count("mma.sync") > 0 or MATRICES not in text
        assert [name for name, text in found.items() if MATRICES in text] == (["step"] if compute == "fast" else [])
        step = compile_job(job, target_of(level)).routine("step")
        contractions = sum(kernel.kind == "contract" for kernel in step.kernels)
        pieces = [k for k in render_routine(step, "cuda").text.split("KERNEL ") if MATRICES in k.partition("{")[2]]
        assert len(pieces) == (contractions if compute == "fast" else 0)


def test_older_levels_keep_the_contract(tmp_path: Path) -> None:
    job = computing("loops", "fast", tmp_path).job
    assert all(MATRICES not in text for _, text in texts(job, 75))
