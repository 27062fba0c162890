"""`jobspec plan`: figures before anything runs, and the same figures afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jobspec
from jobspec.commands.options import size_of
from jobspec.ir.errors import UsageError
from jobspec.runtime import forecast
from jobspec.store.home import open_home
from jobspec.store.shards import write_table
from tests.cli.conftest import ROOT, Call, finished, spawn

B, X, Y, ROWS = 4, 3, 2, 10
WIDE = """job wide "weights that take more memory than the program"
import std.optim
dim B=64, X=16, H=2304, G=4096
data train = table({root}, x=f32[X])
layer net(x) {{
  param a: X -> H ~ normal(.1), b: H -> G ~ normal(.01)
  h = tanh(x @ a)
  tanh(h @ b)
}}
train {{
  seed = 3
  steps = 4
  batch = shuffle(train)
  loss = mean[B G](net(batch.x)^2)
  update all by optim.adamw(lr=1e-4)
}}
eval {{ every = 2; on = train; loss = mean[B G](net(batch.x)^2) }}
save {{ every = 1 }}
"""
#: runs the program and says the most memory that this process had, not the one that it was forked from
MEASURED = """
from jobspec.cli import exit_code
assert exit_code(["run", {path!r}, "--threads", "2"]) == 0
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


@pytest.fixture
def wide(home: Path, tmp_path: Path) -> Path:
    x = np.random.default_rng(1).normal(size=(256, 16)).astype("<f4")
    path = tmp_path / "wide.job"
    path.write_text(WIDE.format(root=write_table(open_home().data(), {"x": x}).root))
    return path


def test_contractions_are_counted_exactly(call: Call, tiny: Path) -> None:
    """Forward, and the gradient of the weights alone: the batch has none."""
    found = call("plan", tiny, "--json").json
    (phase,), (evaluation,) = found["phases"], found["evaluations"]
    assert phase["each"]["contraction_flop"] == 2 * (2 * B * X * Y)
    assert evaluation["each"]["contraction_flop"] == 2 * evaluation["batch"] * X * Y
    assert (phase["steps"], evaluation["times"] * evaluation["batch"]) == (12, 3 * ROWS)
    assert found["contraction_flop"] == 12 * 2 * (2 * B * X * Y) + 3 * 2 * ROWS * X * Y
    assert found["other_flop"] > 0 and found["bytes_moved"] > 12 * 4 * (B * X + 2 * X * Y)


def test_lengths_and_state(call: Call, tiny: Path) -> None:
    found = call("plan", tiny, "--json").json
    assert (found["steps"], found["examples"], found["tokens"]) == (12, 48, None)
    assert (found["parameters"], found["state"]) == (8, {"parameter": 8, "optimizer": 8})
    assert found["memory"]["fits"] and found["memory"]["peak"] == sum(
        found["memory"][part] for part in ("arena", "scratch", "batches", "checkpoint", "program")
    )


def test_it_names_the_lines(call: Call, tiny: Path) -> None:
    said = call("plan", tiny)
    assert said.code == 0 and "parameters  8" in said.out
    assert "tiny.job:6  param w: X -> Y ~ normal(.5), b: Y = 0" in said.out
    values = call("plan", tiny, "--json").json["largest"]
    lines = tiny.read_text().splitlines()
    assert all(lines[v["line"] - 1].strip() == v["text"] for v in values if v["line"])


def test_nothing_is_run_or_written(call: Call, tiny: Path, home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    assert call("plan", tiny).code == 0
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before


def test_values_can_be_set(call: Call, tiny: Path) -> None:
    found = call("plan", tiny, "--json", "--set", "B=8", "--set", "train.steps=6").json
    assert (found["steps"], found["examples"]) == (6, 48)
    assert found["phases"][0]["each"]["contraction_flop"] == 2 * (2 * 8 * X * Y)


def test_what_does_not_fit_says_what_would(call: Call, wide: Path) -> None:
    """Both kinds of advice, taken: the values of the step go with the batch, the state with a dim."""
    more = ("--set", "B=8192", "--set", "G=512")
    peak = call("plan", wide, *more, "--json").json["memory"]["peak"]
    limit = f"{(peak - 100_000_000) // 1_000_000}M"
    said = call("plan", wide, *more, "--memory", limit)
    assert said.code == 1 and "does not fit" in said.out
    assert "error[E0511]" in said.err and "each of these fits by itself" in said.err
    advice = [word.strip("`,") for word in said.err.split("--set ")[1:]]
    settings = [word.split("`")[0] for word in advice]
    assert any(setting.startswith("train.shards=") for setting in settings)
    assert any(setting.startswith(("H=", "B=", "G=")) for setting in settings)
    for setting in settings:
        name = setting.split("=")[0]
        kept = [word for pair in zip(more[::2], more[1::2], strict=True) for word in pair if pair[1][0] != name]
        kept = [w for w, after in zip(kept, [*kept[1:], ""], strict=True) if not (w == "--set" and after == "--set")]
        assert call("plan", wide, *kept, "--set", setting, "--memory", limit).code == 0, setting


def test_the_fewest_shards_are_named(call: Call, wide: Path) -> None:
    more = ("--set", "B=8192", "--set", "G=512")
    two = call("plan", wide, *more, "--set", "train.shards=2", "--json").json["memory"]["peak"]
    # the program itself, which is this very process, may have grown a little
    said = call("plan", wide, *more, "--memory", f"{two // 1_000_000 + 40}M")
    assert "`--set train.shards=2`" in said.err


def test_a_state_that_is_too_large(call: Call, wide: Path) -> None:
    said = call("plan", wide, "--memory", "1M")
    assert said.code == 1 and "the state alone is" in said.err


def test_a_run_that_cannot_be_held_does_not_begin(
    call: Call, tiny: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobspec.runtime.run.machine_memory", lambda: 1_000_000)
    said = call("run", tiny)
    assert said.code == 1 and "error[E0511]" in said.err and "jobspec plan" in said.err
    assert not list(home.glob("runs/*/log"))


def test_a_group_of_processes_may_have_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, nothing = tmp_path / "memory.max", tmp_path / "none"
    given.write_text("max\n")
    monkeypatch.setattr(forecast, "LIMITS", (given, nothing))
    whole = forecast.machine_memory()
    given.write_text("123456\n")
    assert forecast.machine_memory() == 123456 < whole


SIZES = [("16G", 16 * 10**9), ("1.5TB", 15 * 10**11), ("512m", 512 * 10**6), ("7", 7)]


@pytest.mark.parametrize(("text", "size"), SIZES)
def test_sizes(text: str, size: int) -> None:
    assert size_of(text) == size


def test_wrong_words(call: Call, tiny: Path) -> None:
    said = call("plan", tiny, "--memory", "16GiB")
    assert said.code == 2 and "error[E0850]: `16GiB` is no size" in said.err and "`16G`" in said.err
    with pytest.raises(UsageError, match="much"):
        size_of("much")
    said = call("plan", tiny, "--on", "reference")
    assert said.code == 2 and "error[E0851]" in said.err


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not say what a process takes")
def test_the_run_takes_what_the_plan_says(wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The most memory of a whole `jobspec run`, compiling included, is within 5 % of the plan's figure."""
    planned = finished(spawn("plan", wide, "--threads", "2", "--json")).json["memory"]
    assert planned["arena"] > 100_000_000, "so large that the program itself does not decide"
    script = MEASURED.format(path=str(wide))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    taken = 1024 * int(done.stdout.splitlines()[-1])
    assert taken == pytest.approx(planned["peak"], rel=0.05)


def test_from_python(call: Call, tiny: Path) -> None:
    """The same report as an object: what it prints, and its parts."""
    taken = jobspec.plan(tiny, threads=2, memory=10**9)
    said = call("plan", tiny, "--threads", 2, "--memory", "1G", "--json").json
    found = taken.as_dict()
    # the program itself, which is this very process, may have grown
    assert {**found, "seconds": 0, "memory": 0} == {**said, "seconds": 0, "memory": 0}
    assert (taken.steps, taken.examples, taken.tokens, taken.parameters) == (12, 48, None, 8)
    assert taken.fits and taken.limit == 10**9 and taken.memory.arena == said["memory"]["arena"]
    assert taken.flop == said["contraction_flop"] + said["other_flop"] and taken.bytes_moved == said["bytes_moved"]
    assert str(taken).splitlines()[0] == "tiny: a line through points" and "tiny.job:6  param w" in str(taken)
    assert not jobspec.plan(jobspec.load(tiny, B=8), memory=1000).fits
    with pytest.raises(UsageError, match="E0851"):
        jobspec.plan(tiny, "reference")
