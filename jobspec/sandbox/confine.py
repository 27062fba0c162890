"""A process that shuts itself in before it reads what a stranger wrote.

Takes: folders to read and to write, most memory. Promises: after `confine` returns, the files named are all it can
open, no socket and no other program can be had, memory, open files and core dumps are bounded, and reading and
compiling together may take READING_SECONDS of processor time, until `compiled` says that they are over. What the
kernel cannot do is said.
"""

from __future__ import annotations

import resource
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jobspec.sandbox import calls, files

#: processor seconds for reading, checking and compiling
READING_SECONDS = 600
OPEN_FILES = 1024
#: what Python, numpy and LLVM need beside the plan's own memory, bytes
BASE = 2 << 30
#: what a process reads to live: its libraries, what the system says of processor and memory, randomness
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/proc", "/sys", "/opt")
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", "/dev/tty", "/dev/pts")


@dataclass(frozen=True)
class Walls:
    """What holds: files and TCP (Landlock), system calls (seccomp), memory and the like (always)."""

    files: bool
    calls: bool

    @property
    def missing(self) -> list[str]:
        """What this system cannot do."""
        told = {"the kernel has no Landlock, so files are not confined": self.files}
        told["system calls are not confined on this processor"] = self.calls
        return [text for text, there in told.items() if not there]


def confine(reads: Iterable[Path], writes: Iterable[Path], memory: int) -> Walls:
    """Shut this process in, for good. `memory`: most bytes of data. Raises OSError where the kernel refuses what it
    can do."""
    _limit(resource.RLIMIT_DATA, memory + BASE)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    _limit(resource.RLIMIT_CORE, 0)
    _soft(resource.RLIMIT_CPU, READING_SECONDS)
    calls.give_up_privileges()
    held = files.restrict([*map(Path, SYSTEM), *libraries(), *reads], [*map(Path, DEVICES), *writes])
    return Walls(held, calls.restrict())


def compiled() -> None:
    """Reading and compiling are over: training may take as long as it takes."""
    _soft(resource.RLIMIT_CPU, resource.RLIM_INFINITY)


def libraries() -> list[Path]:
    """Where Python and its packages lie."""
    found = {*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path}
    package = Path(__file__).resolve().parents[2]
    return [package, *(Path(path) for path in sorted(found) if path)]


def _limit(which: int, most: int) -> None:
    """Soft and hard limit, never above what the process has."""
    _, hard = resource.getrlimit(which)
    bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(which, (bound, bound))


def _soft(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    resource.setrlimit(which, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
