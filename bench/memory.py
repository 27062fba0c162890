"""Memory that stays: what PyTorch frees in one step it finds again in the next.

Promises: after `keep_memory`, this process's allocator gives freed blocks of up to 32 MiB back to itself, not to the
system. By default glibc maps and unmaps large tensors anew in every step, and the page faults cost PyTorch up to half
of its time on convolutions; a peer is compared at its best. Our own step allocates nothing.
"""

from __future__ import annotations

import ctypes

#: numbers of mallopt's parameters in malloc.h
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
#: the most that glibc takes
LARGEST_MMAP, LARGEST_TRIM = 32 << 20, (1 << 31) - 1


def keep_memory() -> None:
    """For the whole process, from now on. Does nothing where the C library has no mallopt."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(MMAP_THRESHOLD, LARGEST_MMAP)
        library.mallopt(TRIM_THRESHOLD, LARGEST_TRIM)
