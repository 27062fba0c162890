"""GPUs of NVIDIA as Targets, by their sm level.

Takes: a level (90 for sm_90). Promises: equal levels give equal targets, so that a plan made on one machine is the
plan of every machine with a GPU of that level; what a device has more of changes no plan. Nothing of a driver.
"""

from __future__ import annotations

from jobspec.ir.target import Target

#: bytes of shared memory that a block may have on every level, without asking for more
SHARED = 48 * 1024
REGISTERS = 255


def target_of(level: int) -> Target:
    return Target("cuda", f"sm_{level}", "gpu", lanes=1, registers=REGISTERS, l1=SHARED)


def level_of(target: Target) -> int:
    return int(target.cpu.removeprefix("sm_"))
