"""What NVIDIA's compiler makes of the kernels: for every level it is what the plan asked for, and nothing else.

A kernel that stands in several places, routines or specs is compiled once for each level. The quick tests compile all
of a few small specs, of one for all levels, and whole routines; `-m slow` every kernel of every spec, small and in
full, down to machine code, in which no register is spilled.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.ir.job import Job
from jobspec.loading import read_spec
from jobspec.store.home import Home
from tests.cuda.programs import LEVELS, Distinct, clean, texts
from tests.spec_jobs import NAMES, SMALL, on_made_up
from tests.specs.tiny import SPECS, entries

pytestmark = pytest.mark.cuda
TINY = entries()
#: small and different in what they are made of: recurrence, attention, sums by index, images
QUICK = ("lstm", "ssm", "gpt2_124m", "vae")
COMPILED = {level: Distinct(level) for level in LEVELS}


def compile_all(name: str, job: Job, level: int, compiled: Distinct, machine: bool = True) -> None:
    for number, text in enumerate(compiled.fresh(job)):
        clean(f"{name}, {number}", text, level, machine)


@pytest.mark.parametrize("name", NAMES)
def test_whole_routines(name: str, home: Home) -> None:
    """As a session compiles them."""
    for routine, text in texts(on_made_up(name, home, SMALL[name]).job):
        clean(f"{name}.{routine}", text, 90)


@pytest.mark.parametrize(("name", "level"), [*((name, 90) for name in QUICK), ("vae", 80), ("vae", 120)])
def test_some_specs_made_small(name: str, level: int, tmp_path: Path) -> None:
    compile_all(name, TINY[name].spec(tmp_path).job, level, Distinct(level), machine=level == 90)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", TINY)
def test_every_spec_made_small(name: str, level: int, tmp_path: Path) -> None:
    compile_all(name, TINY[name].spec(tmp_path).job, level, COMPILED[level])


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("path", sorted(SPECS.glob("*.job")), ids=lambda path: path.stem)
def test_every_spec_in_full(path: Path, level: int, home: Home) -> None:
    compile_all(path.stem, read_spec(path, {}, home).job, level, COMPILED[level])
