"""The program as a process: signals, full disks, closed pipes, two at once, what is loaded."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Answer, Call, behind, finished, spawn

REFERENCE = ("--on", "reference")
#: long enough on the reference to be stopped on the way
LONG = ("--set", "steps=1500", "--set", "save.every=20", "--set", "eval.every=200")


def receipt_of(answer: Answer) -> bytes:
    assert answer.code == 0, answer.err
    return Path(answer.json["receipt"]).read_bytes()


def run_here(call: Call, path: Path, *words: str) -> bytes:
    return receipt_of(call("run", path, *REFERENCE, *words, "--json"))


@pytest.fixture
def wanted(call: Call, tiny: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The receipt of the uninterrupted long run, made in another store."""
    other = tmp_path / "uninterrupted"
    other.mkdir()
    (other / "data").symlink_to(home / "data")
    monkeypatch.setenv("JOBSPEC_HOME", str(other))
    receipt = run_here(call, tiny, *LONG)
    monkeypatch.setenv("JOBSPEC_HOME", str(home))
    return receipt


def wait_for_steps(home: Path, seconds: float = 120) -> None:
    """Until a run's log has grown past its first records."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if any(log.stat().st_size > 600 for log in home.glob("runs/*/log")):
            return
        time.sleep(0.01)
    raise AssertionError("no step was done")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_saves_the_state(call: Call, tiny: Path, home: Path, wanted: bytes, number: int) -> None:
    process = spawn("run", tiny, *REFERENCE, *LONG, "--json", preexec_fn=behind)
    wait_for_steps(home)
    process.send_signal(number)
    said = finished(process)
    assert said.code == 130
    stopped = said.json
    assert stopped["interrupted"] and 0 < stopped["steps"] < 1500
    going_on = call("run", tiny, *REFERENCE, *LONG, "--until", stopped["steps"], "--json").json
    assert going_on["steps"] == stopped["steps"]  # not a step was lost
    assert run_here(call, tiny, *LONG) == wanted


def heeding() -> None:
    """Of a process whose parents may be told to ignore Ctrl-C, as a shell tells what it runs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("module", ["signal", "jobspec.cli", "click", "jobspec.commands.run"])
def test_ctrl_c_while_modules_are_imported(module: str) -> None:
    """The interrupt comes when the module is looked for; nothing that Python says of it is seen."""
    script = f"""
import os, sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), 2)
sys.meta_path.insert(0, Interrupting())
from jobspec.__main__ import main
main()
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", script, "run", "nowhere.job"]
    done = subprocess.run(words, capture_output=True, text=True, env=env, preexec_fn=heeding)
    assert (done.returncode, done.stdout, done.stderr.lstrip("\n")) == (130, "", "interrupted\n")


def test_two_at_once(call: Call, tiny: Path, home: Path) -> None:
    process = spawn("run", tiny, *REFERENCE, *LONG, preexec_fn=behind)
    try:
        wait_for_steps(home)
        said = call("run", tiny, *REFERENCE, *LONG)
        assert said.code == 1 and "error[E0504]" in said.err and f"process {process.pid}" in said.err
    finally:
        process.kill()
        process.communicate()
    assert call("run", tiny, *REFERENCE, *LONG, "--until", 0).code == 0  # the dead process holds nothing


def test_a_full_disk(call: Call, tiny: Path, home: Path) -> None:
    """A limit on the size of files stands for a disk without room."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))

    said = finished(spawn("run", tiny, *REFERENCE, preexec_fn=limited))
    assert said.code == 1 and "error[E0701]" in said.err and "JOBSPEC_HOME" in said.err
    assert call("run", tiny, *REFERENCE).code == 0


def test_a_folder_that_may_not_be_written(call: Call, tiny: Path, home: Path) -> None:
    (home / "runs").write_text("a file where a folder should be")
    said = call("run", tiny, *REFERENCE)
    assert said.code == 1 and "error[E07" in said.err


def test_a_reader_that_goes_away(tiny: Path) -> None:
    process = spawn("show", tiny, "--ir")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(60) in (0, 1)
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"\x00\x01\x02" * 100, 3), (b"\xff\xfe\xfa", 3), (b"# x\n" * 2_600_000, 3), (b"", 3), (b"job", 3)],
    ids=["zeros", "no utf-8", "10 MB", "empty", "one word"],
)
def test_files_that_are_no_jobs(call: Call, tmp_path: Path, data: bytes, code: int) -> None:
    path = tmp_path / "bad.job"
    path.write_bytes(data)
    said = call("check", path)
    assert said.code == code and said.err.startswith("error[E0")


def test_deep_nesting(call: Call, tiny: Path) -> None:
    tiny.write_text(tiny.read_text().replace("x @ w + b", "(" * 2000 + "x @ w + b" + ")" * 2000))
    said = call("check", tiny)
    assert said.code == 3 and said.err.startswith("error[E0")


def test_a_folder_is_no_job(call: Call, tmp_path: Path) -> None:
    assert call("check", tmp_path).code == 2


def test_check_loads_no_compiler(tiny: Path, tmp_path: Path) -> None:
    script = "import sys; from jobspec.cli import exit_code; code = exit_code(sys.argv[1:]); "
    script += "print([m for m in ('llvmlite', 'rich', 'jobspec.api', 'jobspec.runtime.run') if m in sys.modules], code)"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script, "check", str(tiny)], capture_output=True, text=True, env=env)
    assert done.stdout.splitlines()[-1] == "[] 0", done.stderr


def test_debug_changes_no_result(call: Call, tiny: Path) -> None:
    plain = finished(spawn("run", tiny, *REFERENCE, "--json")).json
    talkative = finished(spawn("run", tiny, *REFERENCE, "--json", "--again", env={"JOBSPEC_DEBUG": "3"})).json
    assert talkative == plain


@pytest.mark.parametrize(("level", "words"), [("1", "compile: "), ("2", "call 0"), ("3", "store."), ("4", "# init")])
def test_debug_says_more(call: Call, tiny: Path, monkeypatch: pytest.MonkeyPatch, level: str, words: str) -> None:
    assert words not in call("hash", tiny).err
    monkeypatch.setenv("JOBSPEC_DEBUG", level)
    assert words in call("hash", tiny).err
