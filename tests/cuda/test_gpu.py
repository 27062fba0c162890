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
from jobspec.backends.conformance.examine import agreeing, answer
from jobspec.backends.conformance.pack import pack
from jobspec.backends.conformance.sheet import Case
from jobspec.backends.cuda.trial import Trial
from jobspec.backends.reference.kernels import run_kernel
from jobspec.backends.registry import backend
from jobspec.ir.kernel import Kernel
from jobspec.passes.pipeline import compile_job
from jobspec.store.home import Home
from tests.cuda.native import ROWS, TILES, made, schedules
from tests.llvm import bodies
from tests.llvm.native import Array, same
from tests.llvm.test_contract import cases as contractions
from tests.llvm.test_contract import matmul
from tests.llvm.test_random_kernels import kernels
from tests.spec_jobs import NAMES, SMALL, on_made_up, real
from tests.specs.test_same_bits import by_reference, trained
from tests.specs.tiny import SPECS, entries

if TYPE_CHECKING:
    from jobspec.backends.cuda.pycuda_driver import PycudaDriver

pytestmark = pytest.mark.gpu
RELAXED = settings(deadline=None, suppress_health_check=list(HealthCheck))
#: the largest tile that plans use
LARGE = made(rows=8, columns=8, high=16, wide=16, stage=8)


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
