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
    assert {meant.split()[0] for meant in CALLED.values()} <= set(COMMANDS) and not set(CALLED) & set(COMMANDS)


def test_options(call: Call, tiny: Path) -> None:
    """A value of the job that is given as an option; an option that is cut short is none."""
    assert "help: `--set steps=…` sets a value of the job" in call("run", tiny, "--steps", "5").err
    assert "--threads" in (said := call("run", tiny, "--thread", "5").err) and "--set" not in said


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
