"""Plans from strangers: they run in a process that has shut itself in, with the same result; budgets; what is ours."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobspec import confining
from jobspec.backends import registry
from jobspec.backends.opencl.admission import chosen
from jobspec.confining import exit_code
from jobspec.ir.errors import UsageError
from jobspec.sandbox import files
from jobspec.sandbox.confine import Walls
from jobspec.store.home import open_home
from tests.cli.conftest import Call, finished, spawn
from tests.cli.test_processes import wait_for_steps

REFERENCE = ("--on", "reference")


@pytest.fixture(autouse=True)
def own_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process forgets before it shuts itself in, this one is to know again."""
    monkeypatch.setattr(registry, "BACKENDS", dict(registry.BACKENDS))
    monkeypatch.setenv("PYOPENCL_NO_CACHE", "1")


@pytest.fixture
def plan(call: Call, tiny: Path, home: Path) -> Path:
    """A plan file that another store compiled: this one does not know it."""
    assert call("compile", tiny, *REFERENCE).code == 0
    shutil.rmtree(home / "made")
    return tiny.with_suffix(".plan")


def test_a_strange_plan_is_confined_and_comes_to_the_same(call: Call, tiny: Path, plan: Path, home: Path) -> None:
    found = finished(spawn("run", plan, "--json"))
    assert found.code == 0, found.err
    known = call("run", tiny, *REFERENCE, "--json")
    assert known.json["known"] and known.json["state"] == found.json["state"]


def test_only_strange_plans_are_confined(call: Call, tiny: Path, plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr("jobspec.commands.run.run_confined", lambda words, home: asked.append(words) or 0)
    call("run", plan)
    assert len(asked) == 1 and asked[0][:2] == ["run", str(plan)]
    call("run", plan, "--no-sandbox", "--until", "1")
    call("run", tiny, *REFERENCE, "--until", "1")
    assert len(asked) == 1
    call("run", tiny, "--sandbox", "--until=3", "--set", "steps=9", "--json", "--again", "--threads", "2")
    assert asked[1] == [
        *("run", str(tiny), "--on", "llvm", "--set=steps=9", "--threads=2", "--until=3", "--again", "--json")
    ]
    assert call("compile", tiny, *REFERENCE).code == 0
    call("run", plan, "--until", "1")
    assert len(asked) == 2


def test_one_changed_byte_makes_it_strange(call: Call, tiny: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("compile", tiny, *REFERENCE).code == 0
    path = tiny.with_suffix(".plan")
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    asked: list[object] = []
    monkeypatch.setattr("jobspec.commands.run.run_confined", lambda words, home: asked.append(words) or 0)
    call("run", path)
    assert asked


@pytest.mark.skipif(not files.version(), reason="this kernel has no Landlock")
def test_the_confined_process_sees_only_its_own(tiny: Path, plan: Path, home: Path, tmp_path: Path) -> None:
    """Data that lies in another folder than the plan's and the store's is not there for it."""
    moved = tmp_path / "elsewhere"
    shutil.move(home / "data", moved)
    (home / "data").symlink_to(moved)
    refused = finished(spawn("run", plan))
    assert refused.code != 0 and "Traceback" not in refused.err
    assert finished(spawn("run", plan, "--no-sandbox")).code == 0


@pytest.mark.skipif(not files.version(), reason="this kernel has no Landlock")
def test_of_the_store_it_writes_the_runs_alone(plan: Path, home: Path) -> None:
    """Compiled code and the list of our own plans are what later runs believe."""
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    assert finished(spawn("run", plan)).code == 0
    after = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    assert {path.relative_to(home).parts[0] for path in after.keys() - before.keys()} == {"runs"}
    assert all(after[path] == when for path, when in before.items())
    script = "import sys; from pathlib import Path; from jobspec.confining import shut_in; "
    script += "from jobspec.store.home import open_home; shut_in(Path(sys.argv[1]), open_home(), None); "
    script += "Path(sys.argv[2]).write_text('x')"
    for name, allowed in (("runs/x", True), ("cache/x", False), ("made/x", False), ("data/x", False), ("x", False)):
        (home / name).parent.mkdir(exist_ok=True)
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        words = [sys.executable, "-c", script, str(plan), str(home / name)]
        done = subprocess.run(words, env=env, capture_output=True, text=True)
        assert (done.returncode == 0) == allowed, (name, done.stderr)


def test_what_is_no_plan_at_all(call: Call, tiny: Path, home: Path) -> None:
    """A pipe that nobody writes to, a device, 64 GiB of nothing: refused, and not waited for or read whole."""
    path = tiny.with_suffix(".plan")
    os.mkfifo(path)
    said = call("run", path)
    assert said.code == 1 and "it is no file" in said.err
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "it is no file" in call("run", path).err
    path.unlink()
    path.touch()
    os.truncate(path, 1 << 36)
    found = finished(spawn("run", path))
    assert found.code == 3 and "E0601" in found.err


def test_errors_come_through(plan: Path) -> None:
    plan.write_bytes(b"not a plan")
    found = finished(spawn("run", plan))
    assert found.code == 3 and "E0601" in found.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_the_confined_run(tiny: Path, home: Path, number: int) -> None:
    """Ctrl-C comes from a terminal, so to the whole group; the others to the parent alone."""
    long = ("--set", "steps=100000", "--set", "save.every=20", "--set", "eval.every=20000")
    process = spawn("run", tiny, *REFERENCE, *long, "--sandbox", "--json", start_new_session=True)
    wait_for_steps(home)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    said = finished(process)
    assert said.code == 130 and said.json["interrupted"], said.err


def test_budgets(call: Call, tiny: Path) -> None:
    budgets = (("--most-memory", "1k", " MB of memory, and 1 kB is"), ("--most-flop", "100", " FLOP, and 100 is"))
    for option, value, said in budgets:
        refused = call("run", tiny, option, value)
        assert refused.code == 1 and "E0513" in refused.err and said in refused.err, refused.err
    fits = call("run", tiny, "--most-memory", "1G", "--most-flop", "1e9", "--until", "1")
    assert fits.code == 0


def test_a_child_that_was_killed_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(3) == 3 and exit_code(-signal.SIGXCPU) == 1
    assert "E0514" in capsys.readouterr().err


def test_what_the_kernel_cannot_do_is_said(
    tiny: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:

    monkeypatch.setattr(confining, "confine", lambda reads, writes, memory: Walls(False, True))
    confining.shut_in(tiny, open_home(), None)
    assert "Landlock" in capsys.readouterr().err


def test_no_driver_is_looked_for_inside() -> None:
    """What was not loaded before the walls is refused in plain words."""
    registry.before_walls("llvm")
    for name, help_ in (("opencl", "--on opencl"), ("cuda", "--no-sandbox")):
        with pytest.raises(UsageError, match=f"`{name}`") as caught:
            registry.backend(name)
        assert caught.value.code == "E0878" and help_ in str(caught.value.help)
    assert registry.backend("llvm").name == "llvm"


@pytest.mark.opencl
def test_a_strange_plan_on_opencl(call: Call, tiny: Path, home: Path) -> None:
    """With a runtime that compiles by itself, loaded before the walls; unasked, in one line."""
    try:
        name = chosen().name
    except UsageError as error:
        pytest.skip(error.reason)
    if "Intel" not in name:
        pytest.skip(f"{name} starts a linker")
    assert call("compile", tiny, "--on", "opencl").code == 0
    shutil.rmtree(home / "made")
    refused = finished(spawn("run", tiny.with_suffix(".plan")))
    assert refused.code == 2 and "error[E0878]" in refused.err
    found = finished(spawn("run", tiny.with_suffix(".plan"), "--on", "opencl", "--json"))
    assert found.code == 0, found.err
    assert call("run", tiny, *REFERENCE, "--json").json["state"] == found.json["state"]
