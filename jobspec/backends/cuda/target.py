"""GPUs of NVIDIA as Targets, by their sm level.

Takes: a level (90 for sm_90). Promises: equal levels give equal targets, so that a plan made on one machine is the
plan of every machine with a GPU of that level; what a device has more of changes no plan. Nothing of a driver.
"""

from __future__ import annotations

from jobspec.ir.classes import ASIDE
from jobspec.ir.target import Target

#: bytes of shared memory that a block may have on every level, without asking for more
SHARED = 48 * 1024
#: KB that it may have by asking: CUDA C++ Programming Guide 13.0, "Technical Specifications per Compute Capability",
#: row "Maximum amount of shared memory per thread block"
ASKED = {75: 64, 80: 163, 86: 99, 87: 163, 88: 99, 89: 99, 90: 227, 100: 227, 103: 227, 110: 227, 120: 99, 121: 99}
REGISTERS = 255
#: the level that has matrix instructions on the side
ASIDE_LEVEL = 90


def target_of(level: int, aside: bool = False) -> Target:
    """`l1`: what a block may have; a level that is not known here has what all have. `aside`: a class of its own, which
    uses what level 90 alone has."""
    shared = ASKED.get(level, SHARED // 1024) * 1024
    return Target("cuda", ASIDE if aside else f"sm_{level}", "gpu", lanes=1, registers=REGISTERS, l1=shared)


def level_of(target: Target) -> int:
    """Of the devices that it is for."""
    return ASIDE_LEVEL if target.cpu == ASIDE else int(target.cpu.removeprefix("sm_"))


def architecture_of(target: Target) -> str:
    """As the compiler is told it: `90`, `90a`."""
    return target.cpu.removeprefix("sm_")
