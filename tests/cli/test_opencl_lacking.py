"""What a runtime misses on a machine is named, with what to install; installed, the device is examined anew.

The words are those of PoCL 3.0 (PyPI) and 3.1 (Debian), from runs in which each part was taken away.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobspec.backends.conformance import asking
from jobspec.backends.opencl import admission, lacking
from jobspec.ir.errors import UsageError
from tests.cli.conftest import Call
from tests.cli.test_opencl_devices import DEVICE, child

__all__ = ["child"]
ENDED = "Final linking of kernel f failed."
FAILED = "error: linker command failed with exit code 1 (use -v to see invocation)"
LD = f"""error: unable to execute command: Executable "ld" doesn't exist!\n{FAILED}\n{ENDED}\n"""
GCC = f"""/usr/bin/ld: cannot find -lgcc: No such file or directory
/usr/bin/ld: cannot find -lgcc_s: No such file or directory\n{FAILED}\n{ENDED}\n"""
NO_EXEC = """dlopen("/c/EN/f/f.so") failed with '/c/EN/f/f.so: failed to map segment from shared object'.
note: missing symbols in the kernel binary might be reported as 'file not found' errors.\n"""
#: what was said as the driver ended the process → the part, and what to do
ABORTS = {
    LD: ("the linker `ld` is missing", "binutils"),
    GCC: ("GCC's own library is missing (`-lgcc`)", "package gcc"),
    f"/usr/bin/ld: cannot find crti.o: No such file or directory\n{ENDED}": ("C library's `crti.o` is", "libc6-dev"),
    "Kernel library file /usr/share/pocl/kernel-avx2.bc doesn't exist.": ("`/usr/share/pocl/kernel-avx2.bc`", "anew"),
    NO_EXEC: ("`/c/EN/f/f.so` may not be executed", "POCL_CACHE_DIR"),
}
#: a clause's answer
GENERIC = "RuntimeError: error: unknown target CPU 'generic'"
TYPES = "RuntimeError: error: <built-in>:1:10: '/lib/../share/pocl/include/pocl_types.h' file not found"


def refusal() -> str:
    with pytest.raises(UsageError) as caught:
        admission.chosen()
    assert caught.value.code == "E0833"
    return caught.value.reason


@pytest.mark.parametrize("said", ABORTS)
def test_a_part_that_is_missing_is_named(
    said: str, child: list[tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else was said; and asked for again as soon as it may be there."""
    part, step = ABORTS[said]
    (tmp_path / "end").write_text(asking.ended(-6, f"a warning of another library\n\n{said}"))
    reason = refusal()
    assert part in reason and step in reason and lacking.CLAUSE in reason and ENDED not in reason
    (tmp_path / "end").write_text("")
    assert admission.chosen().name == DEVICE["name"]


def test_a_processor_that_is_not_known_is_one_line(child: list[tuple[str, ...]], tmp_path: Path, call: Call) -> None:
    """Every clause fails for it; the same runtime will not know it another time."""
    (tmp_path / "clauses").write_text(json.dumps([{"clause": f"clause {n}", "wrong": GENERIC} for n in range(40)]))
    for _ in range(2):
        reason = refusal()
        assert "does not know this machine's processor (and says `generic`)" in reason and "intel-opencl-rt" in reason
    assert child.count((str(DEVICE["name"]),)) == 1
    lines = [line for line in call("devices").out.splitlines() if "processor" in line or "clause " in line]
    assert len(lines) == 1 and "more" not in lines[0]


def test_a_file_of_its_own_is_named(child: list[tuple[str, ...]], tmp_path: Path) -> None:
    (tmp_path / "clauses").write_text(json.dumps([{"clause": "sums", "wrong": TYPES}]))
    assert "its own file `/lib/../share/pocl/include/pocl_types.h` is missing; install the runtime anew" in refusal()


def test_what_is_not_known_stays_in_its_own_words(child: list[tuple[str, ...]], tmp_path: Path) -> None:
    (tmp_path / "end").write_text(asking.ended(-11, "it said this\nand that\n"))
    assert refusal().endswith("the driver runs: it stopped with code -11: it said this / and that")


def test_of_an_error_of_python_the_last_line_is_told() -> None:
    assert asking.ended(1, "Traceback:\n  File x\nTypeError: so") == "it stopped with code 1: TypeError: so"


def test_a_platform_without_a_device_is_listed(child: list[tuple[str, ...]], tmp_path: Path) -> None:
    """PoCL names no device where it cannot write: it is listed all the same, and never examined."""
    (tmp_path / "devices").write_text(json.dumps([{"name": "P 1", "shape": "", "memory": 0}, DEVICE]))
    empty, other = admission.devices()
    assert empty.name == "P 1" and not empty.admitted and "POCL_CACHE_DIR" in empty.wrong[0][1] and other.admitted
    assert child.count(("P 1",)) == 0


def test_a_child_that_ends_badly_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that a signal ends, with PoCL's words on its standard error."""
    run = subprocess.run
    program = f"import os, sys; sys.stderr.write({LD!r}); sys.stderr.flush(); os.abort()"
    monkeypatch.setattr(
        "jobspec.backends.conformance.asking.subprocess.run",
        lambda command, **how: run([sys.executable, "-c", program], **how),
    )
    lines, end = asking.asked("a.module")
    assert not lines and lacking.named((("the driver runs", end),))[0][1].startswith("the linker `ld` is missing")
