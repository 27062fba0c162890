"""Leave for more shared memory by way of pycuda, over the stand-in for libcuda: `python -m tests.cuda.leave FOLDER`.

Promises: attention as one launch that takes more than 48 KB, in a captured graph; memory as it leaves it is the file
`memory` of FOLDER. A line of JSON: bytes of a launch, those that the device has, the code of the error without leave.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from jobspec.backends.c.routine import render_routine
from jobspec.backends.cuda.driver import Driver
from jobspec.backends.cuda.nvrtc import EXACT, compile_text
from jobspec.backends.cuda.session import launches_of
from jobspec.ir.plan import Routine
from tests.cuda.libcuda import installed
from tests.llvm.native import Array
from tests.trios import Shape, attention


def routine() -> tuple[Routine, Array]:
    """33 rows of 420 numbers."""
    return attention(Shape(1, 2, 33, 420, 5, 7), True, 32, (), 256)


def launched(driver: Driver, made: Routine, memory: Array) -> Array:
    """What a routine leaves of `memory`, run as one captured graph."""
    rendered = render_routine(made, "cuda")
    arena, scratch = driver.allocate(len(memory)), driver.allocate(64)
    try:
        driver.put(arena, memory)
        module = driver.load(compile_text(rendered.text, driver.level, EXACT, driver.machine_code))
        driver.start(driver.capture(module, launches_of(rendered, (arena, arena, scratch))))
        found = np.empty_like(memory)
        driver.take(arena, found)
        return found
    finally:
        driver.free(arena)
        driver.free(scratch)


def main(folder: Path) -> None:
    device = installed(folder)
    from jobspec.backends.cuda import pycuda_driver
    from jobspec.backends.failures import DeviceError

    pycuda_driver.PycudaDriver.machine_code = False
    driver, (made, memory) = pycuda_driver.PycudaDriver(), routine()
    (folder / "memory").write_bytes(launched(driver, made, memory).tobytes())
    device.allowed.clear()
    pycuda_driver.SHARED = np.iinfo(np.int64).max
    code = ""
    try:
        launched(driver, made, memory)
    except DeviceError as error:
        code = error.code
    driver.close()
    ((launch, _),) = render_routine(made, "cuda").order()
    print(json.dumps({"bytes": launch.shared_bytes, "has": driver.shared, "code": code, "faults": device.faults}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
