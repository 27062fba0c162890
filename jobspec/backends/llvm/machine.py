"""The machine at hand as a Target, and LLVM's code generator for a Target.

Takes: what LLVM and the kernel say of this processor. Promises: equal machines give equal targets; the
target's processor and features decide the instructions, `level` (0 … 3) how well they are chosen and
placed; none of it can change a bit of a result.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import llvmlite.binding as llvm

from jobspec.backends.llvm.module import GENERIC, features
from jobspec.ir.target import Target

#: code generation level of a job that does not ask for another
LEVEL = 2
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@cache
def host() -> Target:
    """This machine."""
    return target_of(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())


def target_of(cpu: str, named: str = "") -> Target:
    """A processor by LLVM's name, with this machine's cache sizes: `x86-64`, `x86-64-v3`, `x86-64-v4` or a model
    with its features (`+avx2,-avx512f,…`)."""
    has = features(Target("llvm", cpu, named))
    lanes = 16 if "avx512f" in has else 8 if "avx" in has else 4
    registers = 32 if "avx512f" in has or "neon" in has else 16
    return Target("llvm", cpu, named, lanes, registers, **_caches(CACHES))


def runs_here(target: Target) -> bool:
    """Whether this machine has every feature the target's code may use, as far as that is said."""
    return is_said(target) and features(target) <= features(host())


def is_said(target: Target) -> bool:
    """Whether the target names each feature that there is, with or without: what the name of a model brings otherwise,
    LLVM alone knows. A generic name brings what it says."""
    return target.cpu in GENERIC or named(target) >= named(host())


def named(target: Target) -> set[str]:
    return {word[1:] for word in target.features.split(",")}


def triple() -> str:
    """LLVM's name of this system: `x86_64-unknown-linux-gnu`."""
    return str(llvm.get_process_triple())


def code_generator(target: Target, level: int) -> llvm.TargetMachine:
    """Fresh: one belongs to one thread at a time."""
    start()
    machine = llvm.Target.from_triple(triple())
    return machine.create_target_machine(
        cpu=target.cpu, features=target.features, opt=level, reloc="pic", codemodel="small", jit=True
    )


@cache
def start() -> None:
    """Load LLVM's parts for this processor, once."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _caches(folder: Path) -> dict[str, int]:
    """Bytes of l1, l2, l3 as far as the folder tells; Target's defaults stand in for the rest."""
    found = {}
    for index in sorted(folder.glob("index*")):
        level, kind, size = (_line(index / name) for name in ("level", "type", "size"))
        if kind in ("Data", "Unified") and level in ("1", "2", "3") and _bytes(size):
            found[f"l{level}"] = _bytes(size)
    return found


def _line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _bytes(size: str) -> int:
    """`512K` as 524288; 0 for anything else."""
    number, unit = size[:-1], size[-1:]
    return int(number) * _UNITS[unit] if number.isdigit() and unit in _UNITS else 0
