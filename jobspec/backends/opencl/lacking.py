"""What a runtime misses on this machine, read from what it said when it was asked.

Takes: what is wrong with a device, as its child process said it: a build's log, or the last lines before the driver
ended the process. Promises: where a missing part is the reason, the part and what to install in plain words; else what
was said.
Source: what PoCL 3.0 and 3.1 say where each of these parts is taken away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobspec.backends.conformance.asking import Wrong

CLAUSE = "all that its compiler needs is here"
#: of a platform that names no device
NO_DEVICE = (("it offers a device", "none; PoCL has none where it cannot write its cache (POCL_CACHE_DIR)"),)


@dataclass(frozen=True)
class Sign:
    """`said`: a pattern of the runtime's words; `part`: what is missing, with the pattern's group in it; `step`: what
    to do; `comes`: whether it may be there another time, with the same runtime."""

    said: re.Pattern[str]
    part: str
    step: str
    comes: bool = True

    def words(self, found: re.Match[str]) -> str:
        return f"{self.part.format(*found.groups())}; {self.step}"


LINKER = "Debian and Ubuntu have it in the package binutils"
GCC = "Debian and Ubuntu have it in the package gcc, Fedora in gcc too"
BUILTINS = "install the runtime anew (Debian: the package libpocl2-common)"
NEWER = "a newer runtime does: `pip install intel-opencl-rt`, or Debian's PoCL 3.1 (`apt install pocl-opencl-icd`)"
SIGNS = (
    Sign(re.compile(r'Executable "([^"]+)" doesn.t exist'), "the linker `{}` is missing", LINKER),
    Sign(re.compile(r"cannot find (-lgcc\w*|crt(?:begin|end)\w*\.o)"), "GCC's own library is missing (`{}`)", GCC),
    Sign(re.compile(r"cannot find (\w*crt\w\.o|-l(?:c|m|pthread)\b)"), "the C library's `{}` is missing",
         "Debian and Ubuntu have it in the package libc6-dev, Fedora in glibc-devel"),
    Sign(re.compile(r"'(\S+/pocl/include/\S+)' file not found"), "its own file `{}` is missing", BUILTINS),
    Sign(re.compile(r"Kernel library file (\S+) doesn.t exist"), "its own file `{}` is missing", BUILTINS),
    Sign(re.compile(r"([^\s']+): failed to map segment from shared object"), "`{}` may not be executed where it lies",
         "name a folder of another file system in POCL_CACHE_DIR"),
    Sign(re.compile(r"unknown target CPU '([^']*)'"), "it does not know this machine's processor (and says `{}`)",
         NEWER, False),
)  # fmt: skip


def named(wrong: Wrong) -> Wrong:
    """The missing part in place of all clauses that fail for want of it."""
    for _, seen in wrong:
        if (sign := sign_of(seen)) is not None:
            return ((CLAUSE, sign[0].words(sign[1])),)
    return wrong


def comes(seen: str) -> bool:
    """Whether `seen` tells of a part that may be there another time."""
    sign = sign_of(seen)
    return sign is not None and sign[0].comes


def sign_of(seen: str) -> tuple[Sign, re.Match[str]] | None:
    return next(((sign, found) for sign in SIGNS if (found := sign.said.search(seen))), None)
