"""Leave for more shared memory by way of pycuda, over the stand-in for libcuda: `python -m tests.cuda.leave FOLDER`.

Promises: attention as one launch that takes more than 48 KB, in a captured graph; memory as it leaves it is the file
`memory` of FOLDER. A line of JSON: bytes of a launch, those that the device has, the code of the error without leave.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from jobspec.ir.plan import Routine
from tests.cuda.libcuda import installed
from tests.llvm.native import Array
from tests.trios import Shape, attention


def routine() -> tuple[Routine, Array]:
    """33 rows of 420 numbers."""
    return attention(Shape(1, 2, 33, 420, 5, 7), True, 32, (), 256)


def main(folder: Path) -> None:
    device = installed(folder)
    from jobspec.backends.c.routine import render_routine
    from jobspec.backends.cuda import pycuda_driver
    from jobspec.backends.cuda.nvrtc import compile_text
    from jobspec.backends.cuda.session import launches_of
    from jobspec.backends.failures import DeviceError

    made, memory = routine()
    rendered = render_routine(made, "cuda")
    driver = pycuda_driver.PycudaDriver()
    arena, scratch = driver.allocate(len(memory)), driver.allocate(64)
    driver.put(arena, memory)
    module = driver.load(compile_text(rendered.text, 90, machine=False))
    work = list(launches_of(rendered, (arena, arena, scratch)))
    driver.start(driver.capture(module, work))
    driver.take(arena, memory)
    (folder / "memory").write_bytes(memory.tobytes())
    device.allowed.clear()
    pycuda_driver.SHARED = np.iinfo(np.int64).max
    code = ""
    try:
        driver.start(driver.capture(module, work))
    except DeviceError as error:
        code = error.code
    driver.close()
    print(json.dumps({"bytes": work[0].shared, "has": driver.shared, "code": code, "faults": device.faults}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
