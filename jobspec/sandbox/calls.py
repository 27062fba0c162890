"""Which system calls a confined process may make: seccomp, where the kernel and the processor are known.

Promises: afterwards this process and its children open no socket, start no program, look into no other process and
load nothing into the kernel; such a call answers EPERM. Calls of another processor's numbering are refused whole. It
cannot be undone. Source: https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform

NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
#: offsets in struct seccomp_data
NUMBER, ARCHITECTURE = 0, 4
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
#: calls of the second numbering that x86-64 kernels also answer begin here
X32 = 0x40000000

#: name → number on x86-64, on aarch64 (None: there is no such call)
CALLS: dict[str, tuple[int, int | None]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "setns": (308, 268),
    "unshare": (272, 97),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
}


class Instruction(ctypes.Structure):
    """struct sock_filter."""

    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class Filter(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_uint16), ("first", ctypes.POINTER(Instruction)))


_libc = ctypes.CDLL(None, use_errno=True)


def give_up_privileges() -> None:
    """No program that is started later gets more rights than this process has."""
    _checked(_libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))


def restrict() -> bool:
    """Refuse the calls in CALLS from now on; whether processor and kernel can. Needs `give_up_privileges` before."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        return False
    program = instructions(machine)
    table = (Instruction * len(program))(*program)
    filter = Filter(len(program), table)
    if _libc.prctl(SECCOMP, FILTER, ctypes.byref(filter), 0, 0) == 0:
        return True
    if ctypes.get_errno() == errno.EINVAL:  # a kernel without it
        return False
    raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


def instructions(machine: str) -> list[Instruction]:
    """The filter: another numbering ends the process, a call in the list is refused, any other allowed."""
    column = sorted(ARCHITECTURES, reverse=True).index(machine)
    numbers = [n for row in CALLS.values() if (n := row[column]) is not None]
    head = [
        Instruction(LOAD, 0, 0, ARCHITECTURE),
        Instruction(EQUAL, 1, 0, ARCHITECTURES[machine]),
        Instruction(RETURN, 0, 0, KILL),
        Instruction(LOAD, 0, 0, NUMBER),
    ]
    if machine == "x86_64":
        head += [Instruction(0x35, 0, 1, X32), Instruction(RETURN, 0, 0, REFUSE)]
    body = [i for n in numbers for i in (Instruction(EQUAL, 0, 1, n), Instruction(RETURN, 0, 0, REFUSE))]
    return [*head, *body, Instruction(RETURN, 0, 0, ALLOW)]


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl: {os.strerror(number)}")
