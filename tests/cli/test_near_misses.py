"""What a newcomer types instead, and what is said of it: the text's own words, and the next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.cli import CALLED, COMMANDS
from tests.cli.conftest import Call


@pytest.mark.parametrize(("word", "help"), [("train", "jobspec run"), ("chekc", "jobspec check"), ("zzz", "--help")])
def test_commands(call: Call, word: str, help: str) -> None:
    said = call(word, "x.job")
    assert said.code == 2 and f"error[E0803]: there is no command `{word}`" in said.err and help in said.err


def test_what_other_programs_call_commands() -> None:
    known = {*COMMANDS, "--help", "--version"}
    assert {meant.split()[0] for meant in CALLED.values()} <= known and not set(CALLED) & set(COMMANDS)


def test_help_is_asked_for_in_short(call: Call) -> None:
    for words in ((), ("run",), ("data", "add")):
        assert call(*words, "-h").out == call(*words, "--help").out != ""


def test_options(call: Call, tiny: Path) -> None:
    """A value of the job that is given as an option; an option that is cut short is none."""
    assert "help: `--set steps=…` sets a value of the job" in call("run", tiny, "--steps", "5").err
    assert "--set" not in call("profile", tiny, "--threads", "5").err
    assert "--set v=" not in call("run", tiny, "-v").err
    assert "--threads" in (said := call("run", tiny, "--thread", "5").err) and "--set" not in said


def test_a_value_by_another_capital_or_without_value(call: Call, tiny: Path) -> None:
    assert "help: did you mean `X`?" in call("check", tiny, "--set", "x=5").err
    assert "help: say to what: `--set X=…`" in call("check", tiny, "--set", "X").err


def test_a_plan_file_where_a_text_is_meant(call: Call, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.plan"
    call("compile", tiny, "-o", path)
    said = call("show", path)
    assert said.code == 3 and "error[E0111]" in said.err and "help: a plan file is for `jobspec run`" in said.err
    path.write_bytes(b"x" * 20_000)  # as one whose first zero stands far behind
    said = call("show", path)
    assert said.code == 3 and "error[E0112]" in said.err and "help: a plan file is for `jobspec run`" in said.err


def test_a_file_that_cannot_be_written(call: Call, tiny: Path) -> None:
    """What was asked for is named, and not the draft beside it."""
    (tiny.parent / "flat").write_text("")
    said = call("compile", tiny, "-o", tiny.parent / "flat" / "x.plan")
    assert said.code == 1 and "error[E0703]" in said.err and ".part" not in said.err and "/flat" in said.err


def test_another_width(call: Call, tiny: Path) -> None:
    said = call("run", tiny, "--set", "X=5")
    assert said.code == 5 and "`x` is f32[3], and not f32[5]" in said.err and "with `dim X=3`" in said.err


@pytest.mark.parametrize("backend", ["llvm", "reference"])
def test_an_index_outside_its_axis(call: Call, tiny: Path, backend: str) -> None:
    """The lines that pick from an axis of that size are named."""
    text = tiny.read_text().replace("Y=2", "Y=1").replace("(net(batch.x) - batch.y)^2", "net(batch.x)[Y: batch.y]")
    tiny.write_text(text.replace("mean[B Y](net", "mean[B](net"))
    said = call("run", tiny, "--on", backend)
    assert said.code == 1 and "error[E0503]" in said.err and "outside 0 … 0 (line 20), at step 1" in said.err


def test_export_of_another_job(call: Call, tiny: Path) -> None:
    said = call("export", tiny)
    assert said.code == 1 and "error[E0509]" in said.err and "`--set`" in said.err
