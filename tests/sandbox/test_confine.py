"""A confined process: what it may do, it can; all else is refused by the kernel, tried one by one."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from jobspec.sandbox import calls, files

ROOT = Path(__file__).parents[2]
#: tries each thing on its own and says what came of it
SCRIPT = """
import ctypes, json, os, resource, signal, socket, subprocess, sys, threading
from pathlib import Path
from jobspec.sandbox.confine import compiled, confine

inside, readable, outside = map(Path, sys.argv[1:4])
walls = confine([readable], [inside], 256 << 20)
told = {}


def tried(name, what):
    try:
        told[name] = what()
    except BaseException as error:
        told[name] = type(error).__name__


def write(path):
    path.write_text("x")
    return "done"


def thread():
    seen = []
    one = threading.Thread(target=lambda: seen.append("done"))
    one.start()
    one.join()
    return seen[0]


def child():
    pid = os.fork()
    if pid == 0:
        try:
            socket.socket()
            os._exit(0)
        except OSError:
            os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


tried("write inside", lambda: write(inside / "a"))
tried("folder inside", lambda: (inside / "d").mkdir() or "done")
tried("rename inside", lambda: os.replace(inside / "a", inside / "b") or "done")
tried("read what is given", lambda: (readable / "given").read_text())
tried("write what is given to read", lambda: write(readable / "given"))
tried("new file in what is given to read", lambda: write(readable / "new"))
tried("remove what is given to read", lambda: (readable / "given").unlink())
tried("read outside", lambda: (outside / "secret").read_text())
tried("write outside", lambda: write(outside / "x"))
tried("list outside", lambda: os.listdir(outside))
tried("link to outside", lambda: os.symlink(outside / "secret", inside / "l") or (inside / "l").read_text())
tried("socket", lambda: socket.socket() and "done")
tried("unix socket", lambda: socket.socketpair() and "done")
tried("program", lambda: subprocess.run(["/bin/true"]).returncode)
tried("exec", lambda: os.execv("/bin/true", ["true"]))
tried("ptrace", lambda: ctypes.CDLL(None).ptrace(0, 0, 0, 0))
tried("thread", thread)
tried("a child is confined too", child)
tried("memory", lambda: len(bytearray(4 << 30)))
tried("numpy", lambda: float(__import__("numpy").arange(4).sum()))
tried("llvm", lambda: bool(__import__("llvmlite.binding").binding.get_default_triple()))
tried("undo", lambda: confine([Path("/")], [Path("/")], 1 << 40) and (outside / "secret").read_text())
tried("core files", lambda: resource.getrlimit(resource.RLIMIT_CORE)[0])
before = resource.getrlimit(resource.RLIMIT_CPU)[0]
compiled()
tried("time", lambda: [before, resource.getrlimit(resource.RLIMIT_CPU)[0]])
print(json.dumps({"walls": [walls.files, walls.calls], "told": told}))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What came of each attempt."""
    folder = tmp_path_factory.mktemp("walls")
    names = [folder / name for name in ("inside", "readable", "outside")]
    for path in names:
        path.mkdir()
    (names[1] / "given").write_text("given")
    (names[2] / "secret").write_text("secret")
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + textwrap.dedent(SCRIPT)
    command = [sys.executable, "-c", script, *map(str, names)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 0, found.stderr
    answer = json.loads(found.stdout.splitlines()[-1])
    assert answer["walls"] == [files.version() > 0, True]
    result: dict[str, object] = answer["told"]
    return result


@pytest.mark.parametrize("what", ["write inside", "folder inside", "rename inside", "thread"])
def test_what_a_run_needs_it_can_do(told: dict[str, object], what: str) -> None:
    assert told[what] == "done"


def test_it_computes(told: dict[str, object]) -> None:
    assert told["numpy"] == 6.0 and told["llvm"] is True and told["read what is given"] == "given"


FILES = [
    "write what is given to read",
    "new file in what is given to read",
    "remove what is given to read",
    "read outside",
    "write outside",
    "list outside",
    "link to outside",
    "undo",
]


@pytest.mark.skipif(not files.version(), reason="this kernel has no Landlock")
@pytest.mark.parametrize("what", FILES)
def test_files_outside_are_refused(told: dict[str, object], what: str) -> None:
    assert told[what] in ("PermissionError", "OSError"), told


@pytest.mark.parametrize("what", ["socket", "unix socket", "program", "exec"])
def test_calls_are_refused(told: dict[str, object], what: str) -> None:
    assert told[what] == "PermissionError"


def test_what_else_is_bounded(told: dict[str, object]) -> None:
    assert told["ptrace"] == -1 and told["memory"] == "MemoryError" and told["core files"] == 0
    assert told["a child is confined too"] == 7
    before, after = told["time"]  # type: ignore[misc]
    assert before == 600 and after == -1


@pytest.mark.parametrize("machine", sorted(calls.ARCHITECTURES))
def test_the_filter_on_every_processor(machine: str) -> None:
    """The filter run by hand: the wrong numbering ends the process, listed calls are refused, any other goes on."""
    program = calls.instructions(machine)
    column = 0 if machine == "x86_64" else 1
    mine = calls.ARCHITECTURES[machine]
    listed = {n for row in calls.CALLS.values() if (n := row[column]) is not None}
    for number in range(600):
        wanted = calls.REFUSE if number in listed else calls.ALLOW
        assert evaluated(program, mine, number) == wanted, number
    assert evaluated(program, 0x40000003, 41) == calls.KILL
    if machine == "x86_64":
        assert evaluated(program, mine, calls.X32 + 1) == calls.REFUSE


def evaluated(program: list[calls.Instruction], architecture: int, number: int) -> int:
    """What a filter answers: a machine with one register."""
    at, held = 0, 0
    while True:
        step = program[at]
        if step.code == calls.LOAD:
            held = number if step.k == calls.NUMBER else architecture
        elif step.code == calls.RETURN:
            return int(step.k)
        else:
            true = held == step.k if step.code == calls.EQUAL else held >= step.k
            at += step.yes if true else step.no
        at += 1
