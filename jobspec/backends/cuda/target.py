"""GPUs of NVIDIA as Targets, by their sm level.

Takes: a level (90 for sm_90). Promises: equal levels give equal targets, so that a plan made on one machine is the
plan of every machine with a GPU of that level; what a device has more of changes no plan. Nothing of a driver.
"""

from __future__ import annotations

from jobspec.ir.target import Target

#: bytes of shared memory that a block may have on every level, without asking for more
SHARED = 48 * 1024
#: KB that it may have by asking: CUDA C++ Programming Guide 13.0, "Technical Specifications per Compute Capability",
#: row "Maximum amount of shared memory per thread block"
ASKED = {75: 64, 80: 163, 86: 99, 87: 163, 88: 99, 89: 99, 90: 227, 100: 227, 103: 227, 110: 227, 120: 99, 121: 99}
REGISTERS = 255


def target_of(level: int) -> Target:
    """`l1`: what a block may have; a level that is not known here has what all have."""
    shared = ASKED.get(level, SHARED // 1024) * 1024
    return Target("cuda", f"sm_{level}", "gpu", lanes=1, registers=REGISTERS, l1=shared)


def level_of(target: Target) -> int:
    return int(target.cpu.removeprefix("sm_"))
