"""What a machine can do, as a plain value: all that scheduling may know of it.

Promises: equal targets give equal schedules; nothing here can change a bit of the result.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """`backend`: reference | llvm | opencl | cuda. `cpu`, `features`: names in the code generator's spelling,
    empty for the reference. `lanes`: f32 lanes of the widest vector; `registers`: vector registers;
    cache sizes in bytes per core (`l3`: shared); on a GPU `l1` is the memory that a group of work-items may share."""

    backend: str
    cpu: str = ""
    features: str = ""
    lanes: int = 1
    registers: int = 16
    l1: int = 32 * 1024
    l2: int = 512 * 1024
    l3: int = 8 * 1024 * 1024
