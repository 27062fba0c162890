"""What NVIDIA's compiler makes of the kernels: for every level it is what the plan asked for, and nothing else.

A kernel that stands in several places, routines or specs is compiled once for each level. The quick tests compile every
kernel of every small spec for sm_80 and sm_120, and one of each form (made of the same words) for sm_90 too, where its
PTX is that of sm_80; every spec in full they render, and compile one of each form that is not among them. `-m slow`:
every kernel of every spec, small and in full, for each level down to machine code, for which registers suffice, and
that sm_80 and sm_90 have the same PTX.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.backends.c.source import names
from jobspec.backends.cuda.nvrtc import compile_text
from jobspec.backends.cuda.target import level_of, target_of
from jobspec.ir.job import Job
from jobspec.loading import read_spec
from jobspec.passes.pipeline import compile_job
from jobspec.store.home import Home
from tests.cuda.programs import LEVELS, Distinct, clean, crowded, kernels_by_level, kernels_of, programs, texts
from tests.spec_jobs import NAMES, SMALL, on_made_up
from tests.specs.tiny import SPECS, entries

pytestmark = pytest.mark.cuda
TINY = entries()
PATHS = sorted(SPECS.glob("*.job"))
#: by the quick tests as PTX, by the slow ones as machine code
READ, ASSEMBLED = Distinct(), Distinct()


def compile_forms(name: str, kernels: dict[int, list[str]]) -> None:
    """Of the forms that are new, one for each level; it is the same for sm_80 and sm_90."""
    new = READ.new_forms(list(dict.fromkeys(text for each in kernels.values() for text in each)))
    for text in READ.programs(new, 80):
        same_before_120(name, text)
    for text in READ.programs(new, 120):
        clean(name, text, 120)


def same_before_120(name: str, text: str) -> None:
    old, new = (clean(name, text, level).ptx for level in (80, 90))
    assert new == old.replace(".target sm_80", ".target sm_90")


@pytest.mark.parametrize(("bound", "named"), [(1024, True), (128, False)])
def test_registers_that_do_not_suffice_are_named(bound: int, named: bool) -> None:
    """Two hundred numbers live across a barrier, 64 registers or 255 for them."""
    kept = "".join(f"float a{i} = x[{i} * n];\n" for i in range(200))
    end = "SYNC;\nx[0] = " + " + ".join(f"a{i} * a{i * 7 % 200}" for i in range(200)) + ";\n}\n"
    text = names("cuda") + f"KERNEL BOUND({bound}) k(float* x, int n) {{\n{kept}{end}"
    assert bool(crowded(compile_text(text, 90).log, text)) == named


@pytest.mark.parametrize("name", NAMES)
def test_whole_routines(name: str, home: Home) -> None:
    """As a session compiles them."""
    for routine, text in texts(on_made_up(name, home, SMALL[name]).job):
        clean(f"{name}.{routine}", text, 90)


@pytest.mark.parametrize("name", TINY)
def test_every_kernel_of_small_specs(name: str, tmp_path: Path) -> None:
    kernels = kernels_by_level(TINY[name].spec(tmp_path).job)
    compile_forms(name, kernels)
    only = [text for text in kernels[90] if text not in kernels[80]]
    for level, some in ((80, kernels[80]), (90, only), (120, kernels[120])):
        for text in READ.programs(some, level):
            clean(name, text, level)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_form_in_full(path: Path, home: Home) -> None:
    """Each for one of the levels."""
    plan = compile_job(read_spec(path, {}, home).job, target_of(LEVELS[PATHS.index(path) % len(LEVELS)]))
    for text in programs(READ.new_forms(kernels_of(plan))):
        clean(path.stem, text, level_of(plan.target))


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_every_spec_made_small(name: str, tmp_path: Path) -> None:
    assemble_all(name, TINY[name].spec(tmp_path).job)


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_spec_in_full(path: Path, home: Home) -> None:
    assemble_all(path.stem, read_spec(path, {}, home).job)


def assemble_all(name: str, job: Job) -> None:
    """For each level; what sm_80 and sm_90 both have is the same before it is assembled."""
    kernels = kernels_by_level(job)
    for level in LEVELS:
        for number, text in enumerate(ASSEMBLED.programs(kernels[level], level)):
            clean(f"{name}, {number}", text, level, machine=True)
    for text in READ.programs([text for text in kernels[80] if text in kernels[90]], 80):
        same_before_120(name, text)
