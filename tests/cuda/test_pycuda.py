"""The host code through pycuda itself, over a stand-in for the driver's library: contexts, streams, events, graphs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import numpy as np
import pytest

from jobspec.backends.cuda.target import SHARED
from tests.cuda.leave import routine
from tests.spec_jobs import SMALL, made_up, on_made_up
from tests.specs.test_same_bits import by_reference
from tests.trios import expect

pytestmark = [pytest.mark.cuda, pytest.mark.slow]
STEPS = 6


NEEDS = pytest.mark.skipif(find_spec("pycuda") is None or not which("gcc"), reason="needs pycuda and a C compiler")


@NEEDS
def test_training_by_way_of_pycuda(tmp_path: Path) -> None:
    """In a process of its own: the library stays loaded in it."""
    home = made_up(tmp_path)
    command = [sys.executable, "-m", "tests.cuda.libcuda", str(tmp_path), str(STEPS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    expected = by_reference(on_made_up("digits", home, SMALL["digits"]), STEPS)
    assert (found["first"], found["last"]) == (str(expected.first), str(expected.last))
    assert found["reports"] == expected.reports.hex()
    assert found["left"] == [0, 0], "memory or a context was not given back"
    assert found["graphs"] == STEPS + 1, "one start for each step, and one to initialise"
    assert found["faults"] == [] and "WARNING" not in done.stderr


@NEEDS
def test_leave_for_more_shared_memory(tmp_path: Path) -> None:
    """A launch in a captured graph gets it; without leave the driver refuses, as a GPU's does."""
    command = [sys.executable, "-m", "tests.cuda.leave", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert SHARED < found["bytes"] <= found["has"] == 227 * 1024
    made, memory = routine()
    expect(made, memory, np.frombuffer((tmp_path / "memory").read_bytes(), np.uint8))
    assert found["code"] == "E0518" and found["faults"] == []
