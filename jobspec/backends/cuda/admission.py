"""Which GPUs of NVIDIA may run jobs, and what is missing where none may.

Takes: what this machine has. Promises: a driver is asked in a child process alone; the GPU is named there, and examined
once per device, driver and version of our own code. What is missing is said in one plain error.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from platformdirs import user_cache_path

from jobspec.backends.conformance import asking
from jobspec.backends.cuda import nvrtc
from jobspec.backends.cuda.matrix_clause import ASIDE_CLAUSE
from jobspec.backends.cuda.target import ASIDE_LEVEL
from jobspec.ir.classes import ASIDE
from jobspec.ir.errors import UsageError

DRIVER = "libcuda.so.1"
CHILD = "jobspec.backends.cuda.child"
CODE = ("jobspec.backends.c", "jobspec.backends.conformance", "jobspec.backends.cuda")
OTHER = "`--on cuda` runs the job here, with the sums of that level"
ELSEWHERE = "the same job gives the same bits on `llvm`; `jobspec devices` shows what is here"


@dataclass(frozen=True)
class Device:
    """`level`: 90 for sm_90; `wrong`: clauses that it fails, each with what was seen; `aside`: those that it fails of
    the class whose matrix instructions work on the side."""

    name: str
    level: int
    wrong: asking.Wrong
    aside: asking.Wrong = ()


def chosen(aside: bool = False) -> Device:
    """The first GPU, if it is admitted; `aside`: to the class whose matrix instructions work on the side. Raises
    UsageError (E0836, E0837, E0838)."""
    for device in devices():
        if aside and device.level != ASIDE_LEVEL:
            reason = f"{device.name} is of level sm_{device.level}, and `cuda.{ASIDE}` needs sm_{ASIDE_LEVEL}"
            raise missing(reason, OTHER)
        for clause, seen in (*device.wrong, *(device.aside if aside else ())):
            raise UsageError("E0838", f"{device.name} may not run jobs: {clause}: {seen}", help=ELSEWHERE)
        return device
    raise missing("no GPU of NVIDIA is found on this machine")


def devices() -> Iterator[Device]:
    """The GPU that jobs would run on, examined. Raises UsageError (E0836, E0837)."""
    nvrtc.library()
    if not has_driver():
        raise missing(f"the backend `cuda` needs NVIDIA's driver, and there is no {DRIVER} here")
    if find_spec("pycuda") is None:
        raise missing("the backend `cuda` needs the package pycuda", "`pip install jobspec[cuda]`")
    lines, end = asking.asked(CHILD)
    if end:
        raise missing(f"NVIDIA's driver does not open a GPU: {end}")
    for line in lines:
        need_compiler(int(line["level"]), int(line["speaks"]))
        found = examined(line["name"])
        apart = tuple(each for each in found if each[0] == ASIDE_CLAUSE)
        yield Device(line["name"], int(line["level"]), tuple(each for each in found if each not in apart), apart)


def need_compiler(level: int, speaks: int) -> None:
    """Raises UsageError (E0837) where the compiler here makes nothing that this GPU and its driver can run."""
    version, levels = nvrtc.version(), nvrtc.levels()
    if level not in levels:
        known = f"sm_{levels[0]} to sm_{levels[-1]}"
        raise missing(f"the GPU is of level sm_{level}, and the compiler here (NVRTC {version}) knows {known}")
    if speaks // 1000 < int(version.partition(".")[0]):
        driver = f"{speaks // 1000}.{speaks % 1000 // 10}"
        raise missing(f"NVIDIA's driver is of CUDA {driver}, older than the compiler here (NVRTC {version}): renew it")


def has_driver() -> bool:
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return False
    return True


def missing(reason: str, help: str = ELSEWHERE) -> UsageError:
    return UsageError("E0837", reason, help=help)


def folder() -> Path:
    """Where answers are kept: they are about this machine, not about a store."""
    return user_cache_path("jobspec") / "cuda"


def examined(name: str) -> asking.Wrong:
    """What the GPU gets wrong, from the answer that is kept or a new one."""
    key = asking.key("cuda.admission", CODE, name, nvrtc.version())
    return asking.examined(folder() / f"{key}.json", CHILD, "examine")
