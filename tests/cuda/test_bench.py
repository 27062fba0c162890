"""The bench of a GPU runs, on the stand-in: what it prints is a time of steps that were done."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench import alone, free_order_c, gpu, gpu_record
from bench.gpu_record import FREE, OURS, Record
from bench.timing import Contender
from bench.workloads import open_workload
from jobspec.backends.c import stepper
from jobspec.backends.c.routine import render_routine
from jobspec.backends.cuda import build, nvrtc, session
from jobspec.backends.cuda.target import target_of
from jobspec.backends.registry import Backend
from jobspec.ir.errors import JobspecError
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan
from jobspec.passes.pipeline import compile_job
from jobspec.store.home import Home
from tests.cuda.stand_in import StandIn
from tests.spec_jobs import SMALL, made_up, on_made_up

pytestmark = pytest.mark.cuda


class Machine:
    """Stand-ins for GPUs. `drivers`: those that were opened."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.drivers = folder, list[StandIn]()

    def opened(self, plan: Plan, *given: object) -> session.CudaSession:
        self.drivers.append(StandIn(watched=False))
        return session.opened(plan, lambda: self.drivers[-1], self.folder)

    def how(self, tune: int = 0) -> gpu.How:
        def begun(plan, routine, row):  # type: ignore[no-untyped-def]
            return stepper.begun(self.opened(plan), routine, row)

        return gpu.How(Backend("cuda", target_of(90), (), self.opened, stepper=begun), 1, 0.01, False, tune)

    @property
    def closed(self) -> bool:
        return all(driver.closed for driver in self.drivers)


@pytest.mark.parametrize("name", ["nn 64x32x48", "fast nn 64x32x48"])
def test_a_contraction_is_timed(name: str, tmp_path: Path) -> None:
    """With the schedules that are fastest: there is more than one device opened, and each is closed."""
    machine = Machine(tmp_path)
    found = gpu.contraction(name, machine.how(tune=2), tmp_path)
    first, *others = found.lines()
    assert found.flops == 2 * 64 * 32 * 48 and "jobspec" in first and "TFLOP/s" in first
    exact = name.startswith(gpu.FAST)
    assert len(others) == (0 if exact else 2) and (exact or "price of exactness" in others[-1])
    assert found.timings[OURS].median > 0 and len(machine.drivers) == (2 if exact else 3) and machine.closed


@pytest.mark.parametrize(
    ("name", "job"), [("char_gpt", "digits"), pytest.param("gpt_162m", "char_gpt", marks=pytest.mark.slow)]
)
def test_a_step_is_timed(name: str, job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both orders from one plan; tokens a second, where there are tokens, beside what others publish."""
    home = made_up(tmp_path)
    monkeypatch.setattr(gpu, "open_workload", lambda name, home_: on_made_up(job, home, SMALL[job]))
    monkeypatch.setattr(gpu, "BATCHES", 2)
    machine = Machine(tmp_path)
    found = gpu.training(name, machine.how(), tmp_path)
    assert found.timings.keys() == {OURS, FREE} and len(machine.drivers) == 2 and machine.closed
    assert found.tokens == (3 * 18 if job == "char_gpt" else 0) and "price of exactness" in list(found.lines())[2]
    assert job == "digits" or "tokens/s; mojolearn on an H100: 12,390, ours: " in list(found.lines())[-1]


def test_a_record_goes_on_where_it_was_cut_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Written after each finding; what it has of this device is not measured again."""
    names, machine, path = ("nn 16x16x16", "nn 16x24x16"), Machine(tmp_path), tmp_path / "gpu.json"
    how = machine.how()
    gpu.recorded(how, names, Record.of(path, "a GPU", "cuda"), 0.0)
    assert not path.exists() and "no time is left" in capsys.readouterr().err
    gpu.recorded(how, names[:1], Record.of(path, "a GPU", "cuda"), 1.0)
    opened = len(machine.drivers)
    gpu.recorded(how, names, Record.of(path, "a GPU", "cuda"), 1.0)
    assert Record.of(path, "a GPU", "cuda").names == set(names) and len(machine.drivers) == 2 * opened
    assert json.loads(path.read_text())["found"][1]["lines"][0].startswith("nn 16x24x16")
    assert Record.of(path, "a GPU", "cuda, tuned").names == Record.of(path, "another GPU", "cuda").names == set()
    tables = (tmp_path / "gpu.json.md").read_text()
    assert tables.startswith("a GPU.") and tables.count("| nn 16x") == 4 and tables.count("costs") == 2


def test_tables_say_what_the_windows_come_to() -> None:
    """Shares of the most that anyone did in the same format; each setting by itself."""
    plain = {"name": "nn", "setting": "cuda", "command": ["--json", "x"], "flops": 10**12, "tokens": 0}
    exact = {**plain, "s": {OURS: [2.0, 1.0, 3.0], FREE: [1.6], "cuBLAS float32": [1.0]}}
    fast = {**plain, "name": "fast nn", "tokens": 100, "s": {OURS: [0.5]}}
    lines = list(gpu_record.tables("a GPU", [exact, fast, {**exact, "setting": "cuda, tuned"}]))
    assert "| nn | jobspec | 2000.000 (1000.000–3000.000) | 0.50 | 50% | 1.00 |  |" in lines
    assert "| nn | cuBLAS float32 | 1000.000 (1000.000–1000.000) | 1.00 | 100% | 0.50 |  |" in lines
    assert "| fast nn | jobspec | 500.000 (500.000–500.000) | 2.00 | 100% | 1.00 | 200 |" in lines
    assert lines.count("\nnn: the contract's order costs +25.0% over a free one.") == 2
    assert "\ncuda, tuned: `python -m bench.gpu --json x`\n" in lines


def test_one_that_does_not_fit_leaves_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def too_large(plan: Plan, *given: object) -> session.CudaSession:
        raise JobspecError("E0511", "the run takes more memory than there is")

    machine = Machine(tmp_path)
    how = replace(machine.how(), cuda=replace(machine.how().cuda, open=too_large))
    assert list(gpu.measured(how, ["nn 16x16x16", "nn 16x24x16"])) == []


def test_what_of_theirs_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(peers: object) -> dict[str, Contender]:
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(gpu, "import_module", lambda name: None)
    assert gpu.theirs(missing) == {}
    assert capsys.readouterr().err == "PyTorch left out: no kernel image is available\n"


def test_the_free_order_ends_with_its_session() -> None:
    """The contract's own text and options are back; what was free differed."""
    routine = compile_job(alone.job_of("nn 64x600x48"), target_of(90)).routine("step")
    before = render_routine(routine, "cuda").text
    with free_order_c.taken():
        assert "__fadd_rn" not in (free := render_routine(routine, "cuda").text) and "stack" not in free
        assert "--fmad=true" in build.EXACT
    assert render_routine(routine, "cuda").text == before and "stack" in before and build.EXACT == nvrtc.EXACT


@pytest.mark.parametrize(("name", "parameters"), [("gpt2_full", 124_475_904), ("gpt_162m", 162_240_000)])
def test_the_jobs_of_a_gpu(name: str, parameters: int, tmp_path: Path) -> None:
    """They have the sizes they are named by, and plans; data of their own."""
    work = open_workload(name, Home(tmp_path))
    plan = compile_job(work.job, target_of(90))
    slots = [plan.routines[0].buffers[n].type.size for s, n in plan.routines[0].slots if s in parameters_of(work.job)]
    assert sum(slots) == parameters and gpu.tokens_of(work, plan, work.rows(plan, 0, 1)[0]) == 8 * 1024


def parameters_of(job: Job) -> set[str]:
    return {slot.name for slot in job.state if slot.kind == "parameter"}
