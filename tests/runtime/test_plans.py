"""A plan that was made before is recalled, and is the plan that compiling gives."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from jobspec.backends.kept import ROOM, Kept
from jobspec.ir.digest import digest
from jobspec.ir.job import Job
from jobspec.ir.target import Target
from jobspec.lang.check import load
from jobspec.lang.source import Source
from jobspec.passes.pipeline import compile_job
from jobspec.runtime import plans
from jobspec.runtime.plans import key_of, plan_of

TARGET = Target("llvm", lanes=16, registers=32)
#: prints the files of our own modules that making a plan takes
IMPORTED = """
import sys, jobspec.passes.pipeline
print(*(m.__file__ for name, m in sys.modules.items() if name.startswith("jobspec.")))
"""


@pytest.fixture(scope="module")
def job() -> Job:
    return load(Source.read(Path(__file__).parents[2] / "specs" / "digits.job"))


def forbidden(job: Job, target: Target) -> None:
    raise AssertionError("compiled again")


def test_recalled_is_compiled(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan_of(job, TARGET, tmp_path)
    assert made == compile_job(job, TARGET)
    monkeypatch.setattr(plans, "compile_job", forbidden)
    assert plan_of(job, TARGET, tmp_path) == made


def test_what_is_not_whole_is_made_anew(job: Job, tmp_path: Path) -> None:
    made = plan_of(job, TARGET, tmp_path)
    (entry,) = tmp_path.iterdir()
    whole = entry.read_bytes()
    for broken in (b"", whole[:-1], whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]):
        entry.write_bytes(broken)
        assert plan_of(job, TARGET, tmp_path) == made
        assert entry.read_bytes() == whole


def test_a_whole_entry_that_is_no_plan_is_made_anew(job: Job, tmp_path: Path) -> None:
    made = plan_of(job, TARGET, tmp_path)
    Kept(tmp_path).keep(key_of(job, TARGET), b"no plan")
    assert plan_of(job, TARGET, tmp_path) == made


def test_keys_know_everything_that_decides(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [
        key_of(job, replace(TARGET, lanes=8)),
        key_of(replace(job, seed=job.seed + 1), TARGET),
        key_of(replace(job, phases=(replace(job.phases[0], steps=7),)), TARGET),
    ]
    monkeypatch.setattr(plans, "sources", lambda *patterns: digest("kept.sources", b"other"))
    keys = {key_of(job, TARGET), *others}
    monkeypatch.undo()
    assert len(keys | {key_of(job, TARGET)}) == 5


def test_a_folder_that_cannot_be_written_keeps_nothing(job: Job, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert plan_of(job, TARGET, tmp_path / "file" / "plans") == compile_job(job, TARGET)


def test_whatever_makes_plans_is_in_the_key() -> None:
    """All of our own modules that the pipeline imports lie where the key looks."""
    plain = subprocess.run([sys.executable, "-c", IMPORTED], check=True, capture_output=True, text=True).stdout
    assert {Path(file) for file in plain.split()} <= {path for pattern in plans.PASSES for path in ROOM.glob(pattern)}
