"""What NVIDIA's compiler makes of the kernels: for every level it is what the plan asked for, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.loading import read_spec
from jobspec.store.home import Home
from tests.cuda.programs import LEVELS, clean, texts
from tests.spec_jobs import NAMES, SMALL, on_made_up
from tests.specs.tiny import SPECS, entries

pytestmark = pytest.mark.cuda
TINY = entries()
#: small and different in what they are made of: recurrence, attention, sums by index, images
QUICK = ("lstm", "ssm", "gpt2_124m", "vae")


@pytest.mark.parametrize("name", NAMES)
def test_reference_specs(name: str, home: Home) -> None:
    for routine, text in texts(on_made_up(name, home, SMALL[name]).job):
        clean(f"{name}.{routine}", text, 90)


@pytest.mark.parametrize("name", QUICK)
def test_specs(name: str, tmp_path: Path) -> None:
    for routine, text in texts(TINY[name].spec(tmp_path).job):
        clean(f"{name}.{routine}", text, 90)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", TINY)
def test_every_spec_made_small(name: str, level: int, tmp_path: Path) -> None:
    """Down to machine code: no register is spilled."""
    for routine, text in texts(TINY[name].spec(tmp_path).job, level):
        clean(f"{name}.{routine}", text, level, machine=True)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("path", sorted(SPECS.glob("*.job")), ids=lambda path: path.stem)
def test_every_spec_in_full(path: Path, level: int, home: Home) -> None:
    for routine, text in texts(read_spec(path, {}, home).job, level):
        clean(f"{path.stem}.{routine}", text, level, machine=True)
