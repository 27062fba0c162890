"""What NVIDIA's compiler makes of the kernels: for every level it is what the plan asked for, and nothing else.

A kernel that stands in several places, routines or specs is compiled once for each level. The quick tests render every
kernel of every small spec, compile one of each form (made of the same words) for a level, the forms of one spec for all
three, and whole routines; `-m slow` every kernel of every spec, small and in full, down to machine code, in which no
register is spilled.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.ir.job import Job
from jobspec.loading import read_spec
from jobspec.store.home import Home
from tests.cuda.programs import LEVELS, Distinct, clean, forms, programs, texts
from tests.spec_jobs import NAMES, SMALL, on_made_up
from tests.specs.tiny import SPECS, entries

pytestmark = pytest.mark.cuda
TINY = entries()
#: whose forms are compiled for every level
QUICK = "gpt2_124m"
COMPILED = {level: Distinct(level) for level in LEVELS}


def compile_all(name: str, job: Job, level: int, compiled: Distinct, machine: bool = True) -> None:
    for number, text in enumerate(compiled.fresh(job)):
        clean(f"{name}, {number}", text, level, machine)


@pytest.mark.parametrize("name", NAMES)
def test_whole_routines(name: str, home: Home) -> None:
    """As a session compiles them."""
    for routine, text in texts(on_made_up(name, home, SMALL[name]).job):
        clean(f"{name}.{routine}", text, 90)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Small spec → its kernels."""
    folder = tmp_path_factory.mktemp("rendered")
    return {name: list(Distinct(90).functions(TINY[name].spec(folder / name).job)) for name in TINY}


@pytest.mark.parametrize("number", range(len(LEVELS)))
def test_every_form(number: int, rendered: dict[str, list[str]]) -> None:
    """Of the kernels of all small specs, a third for each level."""
    some = forms(text for texts in rendered.values() for text in texts)[number :: len(LEVELS)]
    assert len(some) > 100
    for text in programs(some):
        clean("a form", text, LEVELS[number])


@pytest.mark.parametrize("level", LEVELS)
def test_every_level(level: int, rendered: dict[str, list[str]]) -> None:
    for text in programs(forms(rendered[QUICK])):
        clean(QUICK, text, level, machine=level == 90)


@pytest.mark.parametrize("level", [80, 120])
def test_levels_choose_alike(level: int, tmp_path: Path) -> None:
    """The kernels that are rendered for one level are those of each."""
    job = TINY["lstm"].spec(tmp_path).job
    assert list(Distinct(level).functions(job)) == list(Distinct(90).functions(job))


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
