"""A GPU that fails in the middle of a run: one error with a code, and what was saved is good on any backend."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from jobspec.backends import registry
from jobspec.backends.cuda import session
from jobspec.backends.cuda.failures import kind_of
from jobspec.backends.cuda.target import target_of
from jobspec.backends.failures import failed
from jobspec.backends.registry import Backend
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.journal import read_history
from jobspec.store.home import open_home
from tests.cli.conftest import Call, call, home, tiny
from tests.cuda.stand_in import StandIn
from tests.spec_jobs import made_up

pytestmark = pytest.mark.cuda
__all__ = ["call", "home", "tiny"]
#: numbers of cuda.h and the error that each is
NUMBERS = {2: "E0511", 46: "E0515", 214: "E0515", 999: "E0515", 700: "E0516", 719: "E0516", 702: "E0517", 218: "E0518"}


@pytest.mark.parametrize("number", NUMBERS)
def test_every_number_is_one_error(number: int) -> None:
    assert kind_of(number).code == NUMBERS[number]


@dataclass
class Failing(StandIn):
    """A device that fails with `number` at the start of work number `last`, and is not there any more."""

    number: int = 0
    last: int = 0
    begun: int = 0

    def start(self, captured: Any) -> None:
        self.begun += 1
        if self.begun == self.last:
            raise failed(kind_of(self.number), self.name, "in words of its own")
        super().start(captured)


def fails(number: int, last: int) -> Callable[[], Backend]:
    """The backend `cuda` on such a device."""

    def opened(plan, job, threads, cache):  # type: ignore[no-untyped-def]
        return session.opened(plan, lambda: Failing(watched=False, number=number, last=last), None)

    return lambda: Backend("cuda", target_of(90), session.compilers(), opened, on_host=False)


@pytest.mark.parametrize(("number", "last", "kept"), [(719, 14, 6), (46, 1, 0)])
def test_a_run_ends_in_one_error_and_goes_on(
    number: int, last: int, kept: int, call: Call, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1; from the checkpoint before, `llvm` comes to the receipt of a run that nothing happened to."""
    monkeypatch.setitem(registry.BACKENDS, "cuda", fails(number, last))
    said = call("run", tiny, "--on", "cuda", "--set", "save.keep=all")
    first, *others = [line for line in said.err.splitlines() if line.startswith(("error", "help"))]
    assert said.code == 1 and first.startswith(f"error[{NUMBERS[number]}]: a stand-in for a GPU ")
    assert "in words of its own" in first and len(others) == 1 and "last checkpoint" in others[0]
    assert call("run", tiny, "--set", "save.keep=all").code == 0
    (run,) = open_home().runs.iterdir()
    assert read_history(RunFolder(run, open_home().files)).begun[-1].step == kept
    assert call("run", tiny, "--set", "save.keep=all", "--again").code == 0


@pytest.mark.slow
@pytest.mark.skipif(find_spec("pycuda") is None or not which("gcc"), reason="needs pycuda and a C compiler")
def test_what_pycuda_raises(tmp_path: Path) -> None:
    """By way of pycuda itself over a stand-in for libcuda, in a process of its own: the work fails, then all that is
    asked; a further session there works, and nothing is said but our own error."""
    made_up(tmp_path)
    command = [sys.executable, "-m", "tests.cuda.failing", str(tmp_path), *map(str, NUMBERS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert {int(number): code for number, code in found["codes"].items()} == NUMBERS
    assert found["contexts"] == 0 and found["after"] == found["before"]
    assert "PyCUDA" not in done.stderr and "Traceback" not in done.stderr
