"""Which files a confined process may touch: Landlock, where the kernel has it.

Takes: folders to read, folders to write. Promises: afterwards this process and its children open nothing else, and
connect to no TCP port; it cannot be undone. On a kernel without Landlock nothing happens, and the answer says so.
Source: https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

CREATE, ADD, RESTRICT = 444, 445, 446
VERSION_FLAG = 1
PATH_BENEATH = 1
#: rights by the version of the interface that brought them: how many there are
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
EXECUTE, WRITE, READ, READ_FOLDER = 1, 2, 4, 8
READING = READ | READ_FOLDER
#: connect and bind of TCP, from version 4 on
NETWORK = 3
TRUNCATE = 1 << 14
#: of the rights only these make sense for a file
OF_A_FILE = EXECUTE | WRITE | READ | TRUNCATE


class Ruleset(ctypes.Structure):
    """struct landlock_ruleset_attr."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class Beneath(ctypes.Structure):
    """struct landlock_path_beneath_attr."""

    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Of the kernel's interface; 0 where there is none."""
    return max(0, int(_libc.syscall(CREATE, None, 0, VERSION_FLAG)))


def restrict(reads: Iterable[Path], writes: Iterable[Path]) -> bool:
    """Confine this process; whether the kernel can. Paths that are not there are left out. Raises OSError where the
    kernel refuses, in which case nothing may go on."""
    found = version()
    if not found:
        return False
    every = (1 << RIGHTS[min(found, max(RIGHTS))]) - 1
    rules = _ruleset(every, NETWORK if found >= 4 else 0, found)
    try:
        for path in reads:
            _allow(rules, path, READING | EXECUTE)
        for path in writes:
            _allow(rules, path, every)
        _checked(_libc.syscall(RESTRICT, rules, 0))
    finally:
        os.close(rules)
    return True


def _ruleset(files: int, network: int, found: int) -> int:
    attributes = Ruleset(files, network, 0)
    size = 8 if found < 4 else 16 if found < 6 else 24
    return _checked(_libc.syscall(CREATE, ctypes.byref(attributes), size, 0))


def _allow(rules: int, path: Path, rights: int) -> None:
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        wanted = rights if path.is_dir() else rights & OF_A_FILE
        rule = Beneath(wanted, folder)
        _checked(_libc.syscall(ADD, rules, PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(folder)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"landlock: {os.strerror(number)}")
    return int(result)
