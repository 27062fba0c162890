"""Numbers with which NVIDIA's driver fails, by what they mean for a run.

Takes: a number of cuda.h (CUresult, of CUDA 13). Promises: a kind for every one.
"""

from __future__ import annotations

from jobspec.backends.failures import BROKEN, LOST, MEMORY, REFUSED, SLOW, Kind

KINDS: dict[int, Kind] = {
    **dict.fromkeys((2,), MEMORY),
    #: not initialised or shut down, unavailable, none there, bad context, memory or links with errors, removed, unknown
    **dict.fromkeys((3, 4, 46, 100, 101, 201, 214, 220, 226, 709, 802, 999), LOST),
    #: address, assertion, stack, instruction, alignment, space, program counter, launch
    **dict.fromkeys((700, 710, 714, 715, 716, 717, 718, 719), BROKEN),
    **dict.fromkeys((702,), SLOW),
}


def kind_of(number: int) -> Kind:
    return KINDS.get(number, REFUSED)
