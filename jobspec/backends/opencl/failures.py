"""Numbers with which OpenCL drivers fail, by what they mean for a run.

Takes: what pyopencl raises. Promises: within `told`, it is an error of ours with a code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyopencl as cl

from jobspec.backends.failures import BROKEN, LOST, MEMORY, REFUSED, Kind, failed

KINDS: dict[int, Kind] = {
    #: of an object, of the device's resources, of the host
    **dict.fromkeys((-4, -5, -6), MEMORY),
    #: unavailable, context or queue that ended with an error
    **dict.fromkeys((-2, -34, -36), LOST),
    #: an event that ended badly; NVIDIA's for an access outside
    **dict.fromkeys((-14, -9999), BROKEN),
}


@contextmanager
def told(device: str) -> Iterator[None]:
    """What the driver of `device` says is raised as DeviceError."""
    try:
        yield
    except cl.Error as error:
        raise failed(KINDS.get(error.code, REFUSED), device, str(error)) from error
