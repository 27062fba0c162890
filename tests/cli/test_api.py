"""The Python face, as a notebook uses it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import jobspec
from jobspec.ir.errors import CompileError, DataError, JobspecError, UsageError
from jobspec.ir.version import VERSION
from tests.runtime.test_run import Notes


def test_from_file_to_weights(tiny: Path) -> None:
    spec = jobspec.load(tiny)
    run = jobspec.run(spec, "reference")
    assert run.steps == 12 and not run.known and not run.interrupted
    assert set(run.metrics) == {"step.loss", "step.lr", "error"}
    assert run.metrics["step.loss"].shape == (12,) and run.metrics["step.loss"].dtype == np.float32
    assert run.metrics["step.lr"][0] == np.float32(0.1)
    assert run.metric_steps["error"].tolist() == [4, 8, 12]
    assert run.metric_steps["step.loss"].tolist() == list(range(1, 13))
    assert run.final == {"error": float(run.metrics["error"][-1])}
    assert run.weights["w"].shape == (3, 2) and set(run.weights) == {"w", "b"}
    assert run.receipt is not None and jobspec.verify(run.receipt, "reference").accepted
    assert "12 steps" in repr(run)


def test_text_values_and_progress(tiny: Path) -> None:
    notes = Notes()
    spec = jobspec.load(tiny.read_text(), steps=6, lr="0.05")
    assert spec.job.steps == 6
    run = jobspec.run(spec, "reference", until=4, progress=Quiet())
    assert (run.steps, run.receipt) == (4, None) and len(run.metrics["step.loss"]) == 4
    with pytest.raises(DataError, match="4 steps"):
        run.weights["w"]
    assert jobspec.run(spec, "reference", progress=Quiet()).steps == 6
    assert notes.steps == []


class Quiet(Notes):
    """Takes any reports."""

    def progress(self, step: int, reports: object) -> None:
        self.steps.append(step)


def test_compile_once_run_often(tiny: Path, tmp_path: Path) -> None:
    program = jobspec.compile(tiny, "reference")
    assert program.job_hash.startswith("b3:") and program.plan_hash != program.job_hash
    first = jobspec.run(program, until=3)
    second = jobspec.run(program)
    assert (first.job, second.job) == (program.job_hash,) * 2 and second.plan == program.plan_hash
    assert jobspec.run(program).known and not jobspec.run(program, again=True).known


def test_another_store(tiny: Path, tmp_path: Path, home: Path) -> None:
    other = tmp_path / "other"
    with pytest.raises(DataError):
        jobspec.run(tiny, "reference", home=other)
    other.mkdir(exist_ok=True)
    (other / "data").symlink_to(home / "data")
    run = jobspec.run(tiny, "reference", home=other)
    assert run.folder.parent == other / "runs" and not (home / "runs").exists()


def test_errors(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        jobspec.load(tmp_path / "nowhere.job")
    with pytest.raises(CompileError):
        jobspec.load("job x\n\ntrain {\n")
    with pytest.raises(UsageError, match="no backend"):
        jobspec.run(tiny, "abacus")
    with pytest.raises(UsageError):
        jobspec.load(tiny, stepz=4)
    with pytest.raises(JobspecError) as caught:
        jobspec.run(jobspec.load(tiny, lr="1e30"), "reference")
    assert (caught.value.code, caught.value.exit_code) == ("E0502", 1) and caught.value.help


def test_a_short_root_is_completed(tiny: Path) -> None:
    whole = jobspec.load(tiny).job
    text = tiny.read_text()
    root = whole.sources[0].root
    assert jobspec.load(text.replace(root, root[:15])).job == whole


def test_a_short_root_of_unknown_data_has_no_hash(tiny: Path, tmp_path: Path) -> None:
    root = jobspec.load(tiny).job.sources[0].root
    spec = jobspec.load(tiny.read_text().replace(root, "b3:0123456789"), home=tmp_path / "none")
    with pytest.raises(DataError) as caught:
        jobspec.compile(spec, "reference")
    assert caught.value.code == "E0401"


def test_data_of_another_form(tiny: Path) -> None:
    text = tiny.read_text().replace("y=u8", "y=u16")
    with pytest.raises(DataError) as caught:
        jobspec.run(jobspec.load(text), "reference")
    assert caught.value.code == "E0407" and "y=u8" in str(caught.value.help)


def test_the_names_of_the_package() -> None:
    assert jobspec.__version__ == VERSION
    with pytest.raises(AttributeError):
        jobspec.nonsense  # noqa: B018
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert f'version = "{VERSION}"' in text
