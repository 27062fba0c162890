"""Attention as one launch at GPT-2's 1,024 keys, whose rows take more than 48 KB of a group's memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from bench.workloads import of_spec
from jobspec.backends.c import between
from jobspec.backends.c.request import Launch
from jobspec.backends.c.routine import render_routine
from jobspec.backends.c.source import names
from jobspec.backends.c.writer import Writer
from jobspec.backends.cuda.audit import audit
from jobspec.backends.cuda.target import SHARED, target_of
from jobspec.ir.plan import Plan, Routine
from jobspec.ir.trio import Trio, trios
from jobspec.loading import read_spec
from jobspec.passes.pipeline import compile_job
from jobspec.passes.schedule_between import Rows
from jobspec.store.home import Home
from tests.cuda.programs import spilled
from tests.cuda.stand_in import StandIn
from tests.cuda.test_between import left
from tests.cuda.test_session import session_of
from tests.llvm.native import Array
from tests.specs.test_same_bits import by_reference, trained
from tests.specs.tiny import SPECS, entries
from tests.trios import Shape, attention, expect, gradient

pytestmark = [pytest.mark.cuda, pytest.mark.slow]
#: 32 rows of a group, 256 work-items
GROUP = Rows(32, 256)
#: in a process of its own
COMPILE = """
import sys
from jobspec.backends.cuda.nvrtc import compile_text
found = compile_text(open(sys.argv[1]).read(), int(sys.argv[2]))
open(sys.argv[1] + ".ptx", "w").write(found.ptx)
print(found.log)
"""


@cache
def planned(level: int) -> Plan:
    return compile_job(read_spec(SPECS / "gpt2_124m.job", {}, Home(Path("nowhere"))).job, target_of(level))


def joined(routine: Routine) -> list[Trio]:
    """What is one launch."""
    return [trio for trio in trios(routine) if routine.schedules[trio.middle].get("between", 0)]


def rendered(plan: Plan) -> Iterator[tuple[str, Launch]]:
    """The text of each of them, its buffers where the plan has them."""
    for routine in plan.routines:
        for trio in joined(routine):
            launch = between.render("k", trio, routine, writer := Writer())
            yield names("cuda") + writer.text(), launch


@pytest.mark.parametrize("level", [80, 90])
def test_gpt2_as_it_is_planned(level: int) -> None:
    """Forward and backward in a step, forward in an evaluation."""
    plan = planned(level)
    assert [len(joined(routine)) for routine in plan.routines] == [0, 2, 1]
    for routine in plan.routines:
        assert all(routine.schedules[trio.middle] == GROUP.schedule for trio in joined(routine))
    assert all(SHARED < launch.shared_bytes <= plan.target.l1 for _, launch in rendered(plan))


@pytest.mark.parametrize("level", [89, 120])
def test_gpt2_where_32_rows_do_not_fit(level: int) -> None:
    assert not any(joined(routine) for routine in planned(level).routines)


@pytest.mark.parametrize("level", [80, 90, 120])
def test_gpt2_compiles(level: int, tmp_path: Path) -> None:
    """Every operation is one that the text asks for, and no register is spilled."""
    for number, (text, _) in enumerate(rendered(planned(90))):
        file = tmp_path / f"{number}.cu"
        file.write_text(text)
        command = [sys.executable, "-c", COMPILE, str(file), str(level)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert not spilled(done.stdout) and not audit((tmp_path / f"{number}.cu.ptx").read_text(), text)


@pytest.mark.parametrize("case", [attention, gradient])
def test_bits(case: Callable[..., tuple[Routine, Array]]) -> None:
    """Watched, in order and backwards: two groups of rows of each head, eight tiles of keys, four leaves of values."""
    routine, memory = case(Shape(1, 2, 33, 1024, 64, 64), True, GROUP.rows, (), GROUP.items)
    for found in left(render_routine(routine, "cuda"), memory):
        expect(routine, memory, found)


def test_a_step_at_1024_keys(tmp_path: Path) -> None:
    """GPT-2 of one layer, planned and trained on the stand-in, against the reference."""
    small = {"L": "1", "D": "18", "H": "9", "T": "1024", "B": "1", "train.shards": "1", "eval.B": "1"}
    tiny = entries()["gpt2_124m"]
    home = Home(tmp_path)
    work = of_spec("gpt2_124m", read_spec(SPECS / "gpt2_124m.job", {**tiny.values, **small}, home), home)
    plan = compile_job(work.job, target_of(90), checked=True)
    assert GROUP.schedule in plan.routine("step").schedules
    with session_of(plan, StandIn(watched=False)) as session:
        assert trained(session, work, plan, 1) == by_reference(work, 1)
