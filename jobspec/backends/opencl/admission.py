"""Which OpenCL devices of this machine may run jobs, and why others may not.

Takes: what the conformance pack answers in a child process. Promises: asked once per device, driver and version
of our own code, the answer is kept; a driver that aborts or hangs is refused like one that computes wrongly, and what
it misses on this machine is named.
Without pyopencl, or without any runtime, one plain error says what to install.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from platformdirs import user_cache_path

from jobspec.backends.conformance import asking
from jobspec.backends.opencl import lacking
from jobspec.ir.errors import UsageError

INSTALL = "`pip install jobspec[opencl]` brings one for processors"
CHILD = "jobspec.backends.opencl.child"
CODE = ("jobspec.backends.c", "jobspec.backends.conformance", "jobspec.backends.opencl")


@dataclass(frozen=True)
class Device:
    """`shape`: empty of a platform that names no device; `memory`: bytes; `wrong`: clauses that it fails, each with
    what was seen."""

    name: str
    shape: str
    memory: int
    wrong: asking.Wrong

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
    lines, end = asking.asked(CHILD, str(vendors_folder()))
    if end and not lines:
        raise UsageError("E0832", f"OpenCL does not start on this machine: {end}", help=INSTALL)
    for line in lines:
        wrong = examined(line["name"]) if line["shape"] else lacking.NO_DEVICE
        yield Device(line["name"], line["shape"], int(line["memory"]), wrong)


def folder() -> Path:
    """Where answers are kept: they are about this machine, not about a store."""
    return user_cache_path("jobspec") / "opencl"


def vendors_folder() -> Path:
    """Where the loader is told about runtimes."""
    return folder() / "vendors"


def examined(name: str) -> asking.Wrong:
    """What the device `name` gets wrong, from the answer that is kept or a new one; what is missing by its name."""
    key = asking.key("opencl.admission", CODE, name, metadata.version("pyopencl"))
    file, asked = folder() / f"{key}.json", (CHILD, str(vendors_folder()), name)
    return lacking.named(asking.examined(file, *asked, comes=lacking.comes))
