"""Which OpenCL devices of this machine may run jobs, and why others may not.

Takes: what the conformance pack answers in a child process. Promises: asked once per device, driver and version
of our own code, the answer is kept; a driver that aborts or hangs is refused like one that computes wrongly.
Without pyopencl, or without any runtime, one plain error says what to install.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, resources
from importlib.util import find_spec
from pathlib import Path

from platformdirs import user_cache_path

from jobspec.ir.digest import digest
from jobspec.ir.errors import UsageError

INSTALL = "`pip install jobspec[opencl]` brings one for processors"
#: seconds that a driver has for its answers
PATIENCE = 120
CODE = ("jobspec.backends.c", "jobspec.backends.conformance", "jobspec.backends.opencl")


@dataclass(frozen=True)
class Device:
    """`memory`: bytes; `wrong`: clauses that it fails, each with what was seen."""

    name: str
    shape: str
    memory: int
    wrong: tuple[tuple[str, str], ...]

    @property
    def admitted(self) -> bool:
        return not self.wrong


def chosen() -> Device:
    """The first device that is admitted. Raises UsageError (E0832, E0833)."""
    refused: list[Device] = []
    for device in devices():
        if device.admitted:
            return device
        refused.append(device)
    if not refused:
        raise UsageError("E0832", "no OpenCL runtime is found on this machine", help=INSTALL)
    clause, seen = refused[0].wrong[0]
    reason = f"no OpenCL device here may run jobs: {refused[0].name}: {clause}: {seen}"
    raise UsageError("E0833", reason, help=f"`jobspec devices` shows all of them; {INSTALL}")


def devices() -> Iterator[Device]:
    """Every device that is found, examined. Raises UsageError (E0832) without pyopencl."""
    if find_spec("pyopencl") is None:
        raise UsageError("E0832", "the backend `opencl` needs the package pyopencl", help=INSTALL)
    for line in asked():
        yield Device(line["name"], line["shape"], int(line["memory"]), examined(line["name"]))


def folder() -> Path:
    """Where answers are kept: they are about this machine, not about a store."""
    return user_cache_path("jobspec") / "opencl"


def vendors_folder() -> Path:
    """Where the loader is told about runtimes."""
    return folder() / "vendors"


def examined(name: str) -> tuple[tuple[str, str], ...]:
    """What the device `name` gets wrong, from the answer that is kept or a new one."""
    file = folder() / f"{key(name)}.json"
    try:
        return tuple((clause, wrong) for clause, wrong in json.loads(file.read_text()))
    except (OSError, ValueError):
        pass
    wrong = tuple((line["clause"], line["wrong"]) for line in asked(name) if line["wrong"])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(wrong))
    return wrong


def asked(*name: str) -> list[dict[str, str]]:
    """The lines of a child; where it does not end well, a last line that says so."""
    command = [sys.executable, "-m", "jobspec.backends.opencl.child", str(vendors_folder()), *name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        lines, end = answers(done.stdout), ended(done.returncode, done.stderr)
    except subprocess.TimeoutExpired as error:
        lines, end = answers(error.stdout or b""), f"no answer in {PATIENCE} seconds"
    return [*lines, {"clause": "the driver runs", "wrong": end}] if end and name else lines


def answers(output: str | bytes) -> list[dict[str, str]]:
    text = output if isinstance(output, str) else output.decode(errors="replace")
    return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]


def ended(code: int, complaint: str) -> str:
    """What there is to say about a child's end; nothing where it was a good one."""
    last = [line for line in complaint.splitlines() if line.strip()][-1:]
    return "" if code == 0 else f"it stopped with code {code}: {' '.join(last) or 'nothing was said'}"


def key(name: str) -> str:
    """Device, driver, and all code of ours that an answer depends on."""
    listed = (sorted(resources.files(package).iterdir(), key=lambda f: f.name) for package in CODE)
    files = [file for package in listed for file in package if file.is_file()]
    parts = [name.encode(), metadata.version("pyopencl").encode(), *(f.read_bytes() for f in files)]
    return digest("opencl.admission", b"".join(len(part).to_bytes(8, "little") + part for part in parts)).hex
