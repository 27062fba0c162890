"""`jobspec new`: every shipped job can be started from, under a name of one's own."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from jobspec.shipped import listed, shipped_jobs
from tests.cli.conftest import ROOT, Call

#: begin with what another job ends with
BEGIN = {"distillation", "dpo", "lora"}
TINY = tomllib.loads((ROOT / "specs" / "tiny.toml").read_text())


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_digits_runs_at_once(call: Call) -> None:
    said = call("new", "mine")
    assert said.out == "wrote mine.job; train it with `jobspec run mine.job`\n"
    assert Path("mine.job").read_text().startswith("job mine ")
    assert call("run", "mine.job", "--until", 2, "--json").json["steps"] == 2


@pytest.mark.parametrize("name", list(shipped_jobs()))
def test_every_shipped_job_checks_under_its_new_name(call: Call, name: str) -> None:
    said = call("new", "mine", "--from", name)
    assert said.code == 0
    facts = call("check", "mine.job", "--json").json
    assert facts["name"] == "mine"
    text = Path("mine.job").read_text()
    assert text.replace("job mine", f"job {name}", 1) == shipped_jobs()[name].read_text()
    lacks = [line for line in said.out.splitlines()[1:] if "weights" not in line]
    assert bool(lacks) == any(root not in call("data", "ls").out for root in facts["data"].values())


@pytest.mark.parametrize("name", sorted(TINY))
def test_every_small_version_has_its_data(call: Call, name: str) -> None:
    said = call("new", "small", "--from", name, "--tiny")
    wrote, *lacks = said.out.splitlines()
    assert wrote == "wrote small.job; train it with `jobspec run small.job`"
    assert bool(lacks) == (name in BEGIN) and all("weights b3:" in line for line in lacks)
    assert call("check", "small.job").code == 0


def test_a_beginning_will_do_where_only_one_has_it(call: Call) -> None:
    assert call("new", "mine", "--from", "gpt2").code == 0
    assert "GPT-2" in Path("mine.job").read_text()
    said = call("new", "other", "--from", "resnet")
    assert said.code == 2 and "write one of resnet18_cifar10, resnet50_imagenet" in said.err


def test_what_is_missing_is_said(call: Call) -> None:
    lines = call("new", "mine", "--from", "mnist_cnn").out.splitlines()
    assert lines[1] == "it needs data that is not here:" and lines[2].startswith("  data train = table(b3:")
    assert "jobspec data add" in lines[-1]


def test_the_shipped_jobs_are_listed(call: Call) -> None:
    assert call("new", "--list").out.splitlines() == listed()
    assert "error[E0817]" in call("new", "mine", "--from", "digit5").err
    said = call("new", "mine", "--from", "something_else").err
    assert all(line in said for line in listed())


def test_what_cannot_be(call: Call) -> None:
    Path("there.job").write_text("job there")
    assert "error[E0816]" in call("new", "there").err
    assert "error[E0818]" in call("new", "3x").err and not Path("3x.job").exists()
    assert "error[E0818]" in call("new").err
    assert "error[E0823]" in call("new", "mine", "--from", "digits", "--tiny").err and not Path("mine.job").exists()
