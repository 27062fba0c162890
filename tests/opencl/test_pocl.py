"""PoCL itself, where it is installed: what it misses on this machine is named, and a whole training run on it ends in
the state that is everybody's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

import pytest

from jobspec.backends.conformance import asking
from jobspec.backends.opencl import admission, lacking
from tests.specs.tiny import SPECS

pytestmark = pytest.mark.opencl


def named() -> list[dict[str, str]]:
    """What the loader says of PoCL, asked in a child."""
    lines, end = asking.asked(admission.CHILD, str(admission.vendors_folder()))
    assert not end
    return [line for line in lines if "PoCL" in line["name"]]


@pytest.fixture
def installed() -> None:
    if not named():
        pytest.skip("PoCL is not installed")


@pytest.mark.usefixtures("installed")
def test_without_a_folder_that_it_can_write_it_has_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POCL_CACHE_DIR", "/dev/null/none")
    found = named()
    assert found and not any(line["shape"] for line in found)


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_it_is_admitted_or_one_missing_part_is_named() -> None:
    for device in admission.devices():
        if "PoCL" in device.name:
            assert device.admitted or [clause for clause, _ in device.wrong] == [lacking.CLAUSE]


@pytest.mark.slow
def test_digits_reaches_its_expected_state(tmp_path: Path) -> None:
    """On the system's PoCL (Debian: libpocl2), which need not be registered for anybody else."""
    library = find_library("pocl")
    if library is None:
        pytest.skip("the system has no PoCL")
    (tmp_path / "pocl.icd").write_text(f"{library}\n")
    environment = {**os.environ, "OCL_ICD_VENDORS": str(tmp_path), "JOBSPEC_HOME": str(tmp_path / "home")}
    command = (sys.executable, "-m", "jobspec", "run", str(SPECS / "digits.job"), "--on", "opencl", "--json")
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    expected = json.loads((SPECS / "digits.expected.json").read_text())
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["state"] == expected["state"] and found["steps"] == expected["steps"], ended.stdout
