"""The bitwise suite on a real GPU: `python -m pytest -m gpu`. It needs a driver and pycuda, and fails without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import jobspec
from jobspec.backends.c import stepper
from jobspec.backends.conformance.examine import agreeing, answer
from jobspec.backends.conformance.pack import pack
from jobspec.backends.conformance.sheet import Case
from jobspec.backends.cuda import session
from jobspec.backends.cuda.target import ASIDE_LEVEL, target_of
from jobspec.backends.cuda.trial import Trial
from jobspec.backends.reference.kernels import run_kernel
from jobspec.backends.registry import CUDA_ASIDE, backend
from jobspec.ir.kernel import Kernel
from jobspec.passes.pipeline import compile_job
from jobspec.passes.schedule import possible_schedules
from jobspec.passes.schedule_between import GROUPS
from jobspec.store.home import Home
from tests.cuda import test_fast
from tests.cuda.leave import launched
from tests.cuda.native import ROWS, TILES, made, narrowed, schedules
from tests.cuda.test_words import TEXTS, computing
from tests.llvm import bodies
from tests.llvm.native import Array, same
from tests.llvm.test_contract import cases as contractions
from tests.llvm.test_contract import matmul
from tests.llvm.test_random_kernels import kernels
from tests.spec_jobs import NAMES, SMALL, on_made_up, real
from tests.specs import both
from tests.specs.test_same_bits import by_reference, trained
from tests.specs.tiny import SPECS, entries
from tests.stepping import as_session, candidates_agree
from tests.trios import Shape, attention, expect, gradient

if TYPE_CHECKING:
    from jobspec.backends.cuda.pycuda_driver import PycudaDriver

pytestmark = pytest.mark.gpu
RELAXED = settings(deadline=None, suppress_health_check=list(HealthCheck))
#: the largest tile that plans use
LARGE = made(rows=8, columns=8, high=16, wide=16, stage=16)


@pytest.fixture(scope="module")
def driver() -> Iterator[PycudaDriver]:
    from jobspec.backends.cuda.pycuda_driver import PycudaDriver

    opened = PycudaDriver()
    yield opened
    opened.close()


def check(driver: PycudaDriver, kernel: Kernel, arrays: list[Array], turns: tuple[int, ...] = ()) -> None:
    """Every schedule leaves what the interpreter leaves."""
    expected, flags = [a.copy() for a in arrays], np.zeros(64, np.int32)
    run_kernel(kernel, expected, flags, turns)
    for schedule in (*schedules(kernel), *([LARGE] if kernel.kind == "contract" else [])):
        found, words = Trial(driver).run(kernel, arrays, schedule, turns)
        for number, (wanted, got) in enumerate(zip(expected, found, strict=True)):
            same(wanted, got, f"buffer {number}, {schedule.choices}")
        assert words.tolist() == flags.tolist()


@pytest.mark.parametrize("case", list(pack()), ids=lambda case: case.clause.replace(" ", "_"))
def test_conformance(driver: PycudaDriver, case: Case) -> None:
    tried = agreeing(Trial(driver).arrays, {"rows": ROWS, "contract": (*TILES, LARGE)})
    assert answer(case, tried) == ""


@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
def test_contractions(driver: PycudaDriver, layout: str) -> None:
    for m, n, k in ((1, 1, 1), (70, 40, 256), (5, 133, 511), (129, 257, 3000)):
        check(driver, *matmul(m, n, k, layout, 2, True)[:2])


def test_bodies(driver: PycudaDriver) -> None:
    for case in (bodies.softmax, bodies.layer_norm, bodies.cross_entropy):
        for size in (1, 33, 4097):
            check(driver, *case(3, size, True))
    for kernel, arrays in (bodies.norm(9000, True), bodies.adamw(3000, True), bodies.variance(33, 1025)):
        check(driver, kernel, arrays)


@pytest.mark.parametrize("keys", [70, 300, 1024])
@pytest.mark.parametrize("case", [attention, gradient])
def test_attention_as_one_launch(driver: PycudaDriver, case: Any, keys: int) -> None:
    """Every number of rows and work-items that this GPU has the memory for."""
    tried = [group for group in GROUPS if group.fits(keys, target_of(driver.level))]
    assert tried
    for group in tried:
        made, memory = case(Shape(1, 2, 33, keys, 64, 64), True, group.rows, (), group.items)
        expect(made, memory, launched(driver, made, memory))


@settings(RELAXED, max_examples=200)
@given(case=kernels())
def test_random_kernels(driver: PycudaDriver, case: tuple[Kernel, list[Array]]) -> None:
    check(driver, *case)


@settings(RELAXED, max_examples=100)
@given(case=contractions())
def test_random_contractions(driver: PycudaDriver, case: Any) -> None:
    kernel, arrays = case[:2]
    check(driver, kernel, arrays, (1,) * max(len(view.turns) for view, _ in kernel.views()))


@pytest.mark.parametrize("name", NAMES)
def test_steps_of_the_reference_specs(name: str, home: Home, tmp_path: Path) -> None:
    work, cuda = on_made_up(name, home, SMALL[name]), backend("cuda")
    plan = compile_job(work.job, cuda.target)
    session = cuda.open(plan, work.job, 1, tmp_path)
    found = trained(session, work, plan, 5)
    session.close()
    assert found == by_reference(work, 5)


@pytest.mark.parametrize("name", entries())
def test_small_specs(name: str, tmp_path: Path) -> None:
    """The state after ten steps is llvm's."""
    tiny = entries()[name]
    states = {
        on: jobspec.run(tiny.compiled(tmp_path / on, on), until=10, home=tmp_path / on).state for on in ("cuda", "llvm")
    }
    assert states["cuda"] == states["llvm"]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("compute", ["f32", "bf16"])
def test_words(name: str, compute: str, tmp_path: Path) -> None:
    work, cuda = computing(name, compute, tmp_path), backend("cuda")
    plan = compile_job(work.job, cuda.target)
    both.same(both.on_session(cuda.open(plan, work.job, 1, tmp_path), work, plan, 3), both.by_reference(work, 3))


@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
@pytest.mark.parametrize("aside", [False, True])
def test_matrix_instructions(driver: PycudaDriver, layout: str, aside: bool) -> None:
    """Every tile gives the same bits, also with rows and columns exchanged; near the contract's: within 2^-16 of the
    sum of the products' sizes, which sixteen roundings towards zero at the largest one stay far below."""
    need_class(driver, aside)
    for m, n, k in ((1, 1, 1), (70, 40, 256), (5, 133, 511), (129, 257, 3000)):
        kernel, arrays = narrowed(*matmul(m, n, k, layout, 2, False)[:2])
        wanted, most = ([x.copy() for x in given] for given in (arrays, [np.abs(x) for x in arrays]))
        for found in (wanted, most):
            run_kernel(kernel, found, np.zeros(64, np.int32))
        target, trial = target_of(driver.level, aside), Trial(driver, aside)
        tried = [trial.arrays(kernel, arrays, s)[-1] for s in possible_schedules(kernel, target)]
        assert len({found.tobytes() for found in tried}) == 1
        assert (np.abs(tried[0] - wanted[-1]) <= most[-1] * 2.0**-16).all()


def need_class(driver: PycudaDriver, aside: bool) -> None:
    """Skips where the GPU has no matrix instructions on the side."""
    if aside and driver.level != ASIDE_LEVEL:
        pytest.skip(f"a GPU of level sm_{driver.level} is of one class")


@pytest.mark.parametrize("on", ["cuda", CUDA_ASIDE])
def test_fast_runs_are_confirmed_here(driver: PycudaDriver, on: str, tmp_path: Path) -> None:
    """Trained twice with one state; ACCEPT here, and from llvm no more than CONSISTENT."""
    need_class(driver, on == CUDA_ASIDE)
    work, cuda = computing("loops", "fast", tmp_path / "w"), backend(on)
    plan = compile_job(work.job, cuda.target)
    states = [both.on_session(cuda.open(plan, work.job, 1, tmp_path), work, plan, 3).state for _ in range(2)]
    assert states[0] == states[1]
    run = test_fast.trained(tmp_path / "r", on)
    assert jobspec.verify(run.receipt, on=on, home=tmp_path / "r").word == "ACCEPT"
    assert jobspec.verify(run.receipt, on="llvm", home=tmp_path / "r").word == "CONSISTENT"


@pytest.mark.parametrize("name", NAMES)
def test_candidates_change_no_bit(name: str, home: Home) -> None:
    """What `tune` may choose, and the device's own clock."""
    from jobspec.backends.cuda.pycuda_driver import PycudaDriver

    work, cuda = on_made_up(name, home, SMALL[name]), backend("cuda")
    plan = compile_job(work.job, cuda.target)
    row = work.rows(plan, 0, 1)[0]
    begun = stepper.begun(session.opened(plan, PycudaDriver, None), "step", row)
    as_session(begun, row)
    assert candidates_agree(begun, plan.target, 40) > 3
    begun.close()


def test_digits_whole(tmp_path: Path) -> None:
    reaches("digits", tmp_path)


@pytest.mark.parametrize("name", ["mnist_cnn", "char_gpt"])
def test_whole_specs(name: str, tmp_path: Path, shared_data: Path) -> None:
    """The state root that stands beside the spec."""
    reaches(name, real(tmp_path, shared_data).folder)


def reaches(name: str, home: Path) -> None:
    expected = json.loads((SPECS / f"{name}.expected.json").read_text())
    run = jobspec.run(SPECS / f"{name}.job", on="cuda", home=home)
    assert {"job": run.job, "state": run.state, "steps": run.steps, "metrics": run.final} == expected
    assert jobspec.verify(run.receipt, on="cuda", home=home).accepted
