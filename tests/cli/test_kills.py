"""`kill -9` at random moments: nothing that was saved is lost, nothing torn is taken for whole, one receipt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobspec.backends.opencl.admission import chosen
from jobspec.ir.errors import UsageError
from tests.cli.kills import Killing, Nursery
from tests.cli.test_phases import PHASES

#: what each job is, as a change of the plain one
JOBS = {
    "plain": ("seed", "seed"),
    "phased": ("  update all by sgd(lr)\n}\n", "  update all by sgd(lr)\n" + PHASES),
    "sharded": ("  batch = ", "  shards = 2\n  batch = "),
}
#: steps, and between checkpoints, by backend: work for several lives of a process
PACE = {"llvm": (5_000, 100), "reference": (600, 20), "opencl": (4_000, 100)}


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as warm:
        yield warm


def written(tiny: Path, job: str, backend: str) -> Path:
    """The job's text, long enough to be killed in."""
    steps, every = PACE[backend]
    changes = [("every = 3", f"every = {every}; keep = 2"), ("every = 4", f"every = {steps // 3}"), JOBS[job]]
    changes += [("  seed = 3\n", f"  seed = 3\n  roots = {every * 2}\n")]
    if job == "phased":
        changes += [("  steps = 12\n", ""), ("lr = .1 * (1 - step/steps)", "lr = .01")]
        changes += [("steps = 800", f"steps = {steps // 2}"), ("steps = 600", f"steps = {steps // 2}")]
    else:
        changes += [("steps = 12", f"steps = {steps}")]
    text = tiny.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = tiny.with_name(f"{job}.job")
    path.write_text(text)
    return path


def killed_often(nursery: Nursery, tiny: Path, home: Path, job: str, backend: str, times: int) -> Killing:
    words = ["run", str(written(tiny, job, backend)), "--on", backend]
    killing = Killing(nursery, words, home, home.with_name("alone"), times)
    killing.often(times)
    return killing


@pytest.mark.parametrize(("job", "backend"), [("plain", "llvm"), ("phased", "reference"), ("sharded", "llvm")])
def test_kill_9(nursery: Nursery, tiny: Path, home: Path, job: str, backend: str) -> None:
    assert killed_often(nursery, tiny, home, job, backend, 7).kills == 7


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(("backend", "times"), [("llvm", 200), ("reference", 140)])
def test_kill_9_a_thousand_times(nursery: Nursery, tiny: Path, home: Path, job: str, backend: str, times: int) -> None:
    """1,020 in all."""
    killing = killed_often(nursery, tiny, home, job, backend, times)
    assert killing.kills == times and killing.lives > 3


@pytest.mark.slow
@pytest.mark.opencl
@pytest.mark.parametrize("job", JOBS)
def test_kill_9_on_opencl(nursery: Nursery, tiny: Path, home: Path, job: str) -> None:
    try:
        chosen()
    except UsageError as error:
        pytest.skip(error.reason)
    assert killed_often(nursery, tiny, home, job, "opencl", 60).kills == 60
