"""`jobspec compile --dump`: every stage on the way to the plan, as text."""

from __future__ import annotations

from pathlib import Path

from jobspec import api, views
from jobspec.ir.program import Program
from jobspec.ir.text import print_program
from jobspec.ir.text_parser import parse_program
from jobspec.passes.pipeline import lower_program
from tests.cli.conftest import Call

STAGES = [
    "00-language.ir", "01-differentiate.ir", "02-simplify.ir", "03-route_tokens.ir", "04-widen.ir",
    "05-kernels.txt", "06-schedule.txt", "07-memory.txt",
]  # fmt: skip


def programs(path: Path) -> dict[str, Program]:
    """What a file of programs says, by routine."""
    parts = path.read_text().split("# ")[1:]
    named = (part.split("\n", 1) for part in parts)
    return {name: parse_program(text) for name, text in named}


def test_a_file_for_every_stage(call: Call, tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stages"
    said = call("compile", tiny, "--dump", folder, "--json").json
    assert [Path(path).name for path in said["dump"]] == STAGES == sorted(path.name for path in folder.iterdir())
    program = api.compile(tiny)
    job, plan = program.spec.job, program.compiled.plan
    made = {name: p for name, p, _ in job.programs}
    assert programs(folder / STAGES[0]) == made
    last = programs(folder / STAGES[4])
    assert {n: print_program(p) for n, p in last.items()} == {
        n: print_program(lower_program(p)) for n, p in made.items()
    }
    assert (folder / STAGES[5]).read_text() == "\n".join([*views.kernels(plan), ""])
    assert "# step" in (folder / STAGES[6]).read_text() and "w" in (folder / STAGES[7]).read_text()


def test_the_passes_are_those_of_the_profile(call: Call, tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stages"
    said = call("compile", tiny, "--set", "train.compute=bf16", "--dump", folder)
    assert said.code == 0 and str(folder / "02-round_operands.ir") in said.out
    assert "bf16" in (folder / "02-round_operands.ir").read_text()


def test_a_folder_that_cannot_be_one(call: Call, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = call("compile", tiny, "--dump", tmp_path / "file")
    assert said.code == 1 and "error[E07" in said.err
