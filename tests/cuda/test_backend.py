"""`--on cuda` from outside: what is missing is said plainly, and with a driver a run has the receipt of every run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import jobspec
from bench.workloads import SPECS
from jobspec.backends import registry
from jobspec.backends.c import stepper
from jobspec.backends.cuda import admission, nvrtc, session
from jobspec.backends.cuda.target import target_of
from jobspec.backends.registry import Backend
from jobspec.cli import exit_code
from jobspec.commands import run
from jobspec.ir.errors import JobspecError, UsageError
from tests.cuda.stand_in import StandIn

pytestmark = pytest.mark.cuda
LOADED = """
import sys, jobspec, jobspec.cli, jobspec.api, jobspec.backends.registry, jobspec.commands.devices
print([name for name in sys.modules if name.split(".")[0] in ("pycuda", "pyopencl", "cuda")])
print([line for line in open("/proc/self/maps") if "libcuda" in line or "libnvrtc" in line or "OpenCL" in line])
"""


def test_importing_jobspec_imports_no_driver() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]"]


def without(monkeypatch: pytest.MonkeyPatch, *, driver: bool = True, package: bool = True, end: str = "") -> None:
    """A machine that lacks something."""
    monkeypatch.setattr(admission, "has_driver", lambda: driver)
    monkeypatch.setattr(admission, "find_spec", lambda name: package or None)
    monkeypatch.setattr(admission.asking, "asked", lambda module, *words: ([], end))


@pytest.mark.parametrize(
    ("lacks", "says"),
    [
        ({"driver": False}, "there is no libcuda.so.1 here"),
        ({"package": False}, "needs the package pycuda"),
        ({"end": "it stopped with code 1: cuInit failed"}, "cuInit failed"),
        ({}, "no GPU of NVIDIA is found"),
    ],
)
def test_what_is_missing_is_one_line(
    lacks: dict[str, bool], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, no traceback; `jobspec devices` says the same."""
    without(monkeypatch, **lacks)  # type: ignore[arg-type]
    assert exit_code(["run", str(SPECS / "digits.job"), "--on", "cuda"]) == 2
    captured = capsys.readouterr()
    first, *_ = captured.err.splitlines()
    assert first.startswith("error[E0837]: ") and says in first and "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("level", "speaks", "says"),
    [("50", "13000", "of level sm_50, and the compiler here"), ("90", "12040", "driver is of CUDA 12.4")],
)
def test_what_the_compiler_cannot_serve_is_one_line(
    level: str, speaks: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch)
    line = {"name": "G", "level": level, "speaks": speaks}
    monkeypatch.setattr(admission.asking, "asked", lambda module, *words: ([line], ""))
    with pytest.raises(UsageError, match=says) as caught:
        admission.chosen()
    assert caught.value.code == "E0837"


def test_devices_say_why_cuda_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, driver=False)
    found = {device.backend: device for device in registry.surveyed() if device.backend != "opencl"}
    assert found["cuda"].wrong == (
        ("installation", "the backend `cuda` needs NVIDIA's driver, and there is no libcuda.so.1 here"),
    )


def test_without_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "packaged", lambda: None)
    monkeypatch.setattr(nvrtc, "LIBRARY", "libnvrtc.so.0")
    monkeypatch.setattr(nvrtc, "library", nvrtc.library.__wrapped__)
    with pytest.raises(UsageError) as caught:
        admission.chosen()
    assert caught.value.code == "E0836"


def test_a_gpu_that_computes_wrongly_is_refused_by_clause(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Asked once; the answer is kept."""
    without(monkeypatch)
    answers = [{"clause": "fma rounds once", "wrong": "4 of 9 differ"}, {"clause": "add", "wrong": ""}]
    calls: list[str] = []

    def asked(module: str, *words: str) -> tuple[list[dict[str, str]], str]:
        calls.extend(words)
        return (answers if words else [{"name": "G", "level": "90", "speaks": "13000"}]), ""  # type: ignore[list-item]

    monkeypatch.setattr(admission.asking, "asked", asked)
    monkeypatch.setattr(admission, "folder", lambda: tmp_path)
    for _ in range(2):
        with pytest.raises(UsageError, match="G may not run jobs: fma rounds once: 4 of 9 differ"):
            admission.chosen()
    assert calls == ["examine"]


@pytest.mark.parametrize(
    ("package", "wrong", "found"),
    [(True, (), "cuda"), (True, (("add", "4 of 9 differ"),), "llvm"), (False, (), "llvm")],
    ids=["admitted", "refused", "not installed"],
)
def test_the_fastest_that_is_admitted(
    package: bool, wrong: tuple[tuple[str, str], ...], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `--on` is where nobody says it."""
    monkeypatch.setattr(registry, "find_spec", lambda name: package or None)
    monkeypatch.setattr(admission, "devices", lambda: iter([admission.Device("G", 90, wrong)]))
    assert registry.fastest() == found


def test_a_gpu_without_its_driver_is_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: True)
    without(monkeypatch, driver=False)
    assert registry.fastest() == "llvm"


@pytest.fixture
def stands_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """The backend `cuda` with a stand-in for its driver; `level` may be changed."""
    chosen = SimpleNamespace(level=90)

    def backend() -> Backend:
        def opened(plan, job, threads, cache):  # type: ignore[no-untyped-def]
            return session.opened(plan, lambda: StandIn(level=chosen.level, watched=False, late=True), cache / "cuda")

        def begun(plan, routine, feed):  # type: ignore[no-untyped-def]
            return stepper.begun(opened(plan, None, 1, tmp_path), routine, feed)

        compilers = session.compilers()
        return Backend("cuda", target_of(chosen.level), compilers, opened, on_host=False, stepper=begun)

    monkeypatch.setitem(registry.BACKENDS, "cuda", backend)
    return chosen


def test_a_job_goes_to_the_gpu_and_workers_do_not(
    stands_in: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a machine with a GPU that is admitted; what the command line says counts everywhere."""
    monkeypatch.setattr(registry, "fastest", lambda: "cuda")
    job, plans = str(SPECS / "digits.job"), []
    for more in ((), ("--on", "cuda"), ("--on", "llvm")):
        assert exit_code(["hash", job, *more]) == 0
        plans.append(capsys.readouterr().out)
    assert plans[0] == plans[1] != plans[2]
    asked: list[str] = []
    monkeypatch.setattr(run, "asked_of", lambda workers, ray, on, *rest: asked.append(on))
    monkeypatch.setattr(run, "program_of", lambda file, sets, on, tuned, home: sys.exit(asked.append(on)))
    for more in ((), ("--workers", "2"), ("--workers", "2", "--on", "cuda")):
        with pytest.raises(SystemExit):
            exit_code(["run", job, *more])
    assert asked == ["cuda", "cuda", "llvm", "llvm", "cuda", "cuda"]


SMALL = {"train.steps": 12, "B": 20, "H": 40, "G": 24}


def test_a_run_has_the_receipt_of_every_run(stands_in: SimpleNamespace, tmp_path: Path) -> None:
    """Begun on llvm, gone on with on cuda, verified there."""
    job = {on: jobspec.load(SPECS / "digits.job", home=tmp_path / on, **SMALL) for on in ("llvm", "cuda")}
    whole = jobspec.run(job["llvm"], on="llvm", home=tmp_path / "llvm")
    jobspec.run(job["cuda"], on="llvm", until=5, home=tmp_path / "cuda")
    mixed = jobspec.run(job["cuda"], on="cuda", home=tmp_path / "cuda")
    assert Path(mixed.receipt).read_bytes() == Path(whole.receipt).read_bytes()
    assert mixed.metrics["step.loss"].tobytes() == whole.metrics["step.loss"].tobytes()
    assert jobspec.verify(mixed.receipt, on="cuda", home=tmp_path / "cuda").accepted


@pytest.mark.slow
def test_tuned_schedules_go_into_plans(
    stands_in: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `tune --on cuda` finds is written, and run as it is written; no bit changes."""
    monkeypatch.setenv("JOBSPEC_HOME", str(tmp_path))
    sets = [f"--set={name}={value}" for name, value in {**SMALL, "train.steps": 2}.items()]
    spec, path = [str(SPECS / "digits.job"), *sets], tmp_path / "best.plan"
    assert exit_code(["run", *spec, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert exit_code(["profile", *spec, "--on", "cuda", "--steps", "1"]) == 0
    assert "by the device's clock" in capsys.readouterr().out
    tune = ["tune", *spec, "--on", "cuda", "--candidates", "2", "--rounds", "1", "-o", str(path), "--json"]
    assert exit_code(tune) == 0
    found = json.loads(capsys.readouterr().out)
    assert path.is_file() and found["job"] == plain["job"] and any(k["tried"] == 2 for k in found["kernels"])
    assert exit_code(["run", *spec, "--on", "cuda", "--tuned", "--again", "--json"]) == 0
    tuned = json.loads(capsys.readouterr().out)
    assert tuned["plan"] == found["plan"] and tuned["state"] == plain["state"]


def test_a_plan_names_its_level(stands_in: SimpleNamespace, tmp_path: Path) -> None:
    """On another it is refused, and what to do is said; the job's hash is the same on all."""
    job = jobspec.load(SPECS / "digits.job", home=tmp_path, **SMALL)
    here = jobspec.compile(job, "cuda", home=tmp_path)
    assert here.compiled.plan.target.cpu == "sm_90"
    assert here.job_hash == jobspec.compile(job, "llvm", home=tmp_path).job_hash
    stands_in.level = 120
    assert jobspec.compile(job, "cuda", home=tmp_path).plan_hash != here.plan_hash
    with pytest.raises(JobspecError) as caught:
        jobspec.run(here, home=tmp_path)
    assert caught.value.code == "E0510" and "sm_90" in caught.value.reason and "compile" in str(caught.value.help)


def test_too_little_memory_is_known_before_the_run(stands_in: SimpleNamespace, tmp_path: Path) -> None:
    job = jobspec.load(SPECS / "digits.job", home=tmp_path, **SMALL)
    plan, driver = jobspec.compile(job, "cuda", home=tmp_path).compiled.plan, StandIn(memory=10_000)
    with pytest.raises(JobspecError) as caught:
        session.opened(plan, lambda: driver, None)
    assert caught.value.code == "E0511" and driver.closed
