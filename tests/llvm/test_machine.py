"""Processors: by name, as the system tells of them, and plans that are for another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jobspec.backends.llvm import engine, machine
from jobspec.ir.errors import JobspecError
from jobspec.ir.target import Target
from tests.llvm.routines import plan_of, routine_of, training
from tests.passes.routines import job_of


def test_plan_for_another_processor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    routine = routine_of(training())
    strange = replace(machine.host(), features=machine.host().features + ",+avx10.9")
    with pytest.raises(JobspecError) as caught:
        engine.open_session(replace(plan_of(routine), target=strange), job_of(training()), 1, None)
    assert caught.value.code == "E0510"


@pytest.mark.parametrize(
    "strange",
    [
        machine.target_of("sapphirerapids"),
        replace(machine.host(), features=""),
        replace(machine.host(), features=machine.host().features + ",-avx10.9,+avx10.9"),
    ],
    ids=["another model", "nothing said", "taken back"],
)
def test_what_a_model_s_name_brings_must_be_said(strange: Target) -> None:
    """Or a plan from elsewhere would end in an instruction that this processor has not."""
    assert not machine.runs_here(strange)


HUGE = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(not HUGE.exists() or "[never]" in HUGE.read_text(), reason="this system has no large pages")
def test_a_large_block_lies_in_large_pages() -> None:
    block = engine.Memory(8 * engine.LARGE)
    block.bytes[:] = 1
    assert large_pages(block.address) >= 4 * engine.LARGE
    block.close()


def large_pages(address: int) -> int:
    """Bytes of the mapping around `address` that lie in large pages."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, _, rest = line.partition(" ")
        if "-" in first:
            low, high = (int(word, 16) for word in first.split("-"))
            inside = low <= address < high
        elif inside and first == "AnonHugePages:":
            return int(rest.split()[0]) << 10
    return 0


def test_targets_by_name() -> None:
    shapes = [(t.lanes, t.registers) for t in map(machine.target_of, ("x86-64", "x86-64-v3", "x86-64-v4"))]
    assert shapes == [(4, 16), (8, 16), (16, 32)]
    assert machine.runs_here(machine.host())


def test_cache_sizes(tmp_path: Path) -> None:
    for i, (level, kind, size) in enumerate(
        [("1", "Data", "48K"), ("1", "Instruction", "32K"), ("2", "Unified", "1M")]
    ):
        folder = tmp_path / f"index{i}"
        folder.mkdir()
        for name, text in (("level", level), ("type", kind), ("size", size)):
            (folder / name).write_text(text + "\n")
    (tmp_path / "index3").mkdir()
    assert machine._caches(tmp_path) == {"l1": 48 << 10, "l2": 1 << 20}
    assert machine._caches(tmp_path / "none") == {}
