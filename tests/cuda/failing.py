"""Failures of a driver by way of pycuda, over the stand-in for libcuda: `python -m tests.cuda.failing FOLDER NUMBER…`.

Promises: a line of JSON: the codes of the errors that training ended with, by the driver's number; contexts that are
left; the states of a session before all that and of one after it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.cuda.libcuda import Device, installed

#: no memory is told when a program is loaded, all else by whoever waits for the work
OUT_OF_MEMORY, UNREADABLE = 2, 218


def fails(device: Device, number: int) -> tuple[str, int]:
    """Where `number` comes up."""
    return ("cuModuleLoadDataEx" if number in (OUT_OF_MEMORY, UNREADABLE) else "cuStreamSynchronize", number)


def main(folder: Path, numbers: list[int]) -> None:
    device = installed(folder)
    from jobspec.backends.cuda.pycuda_driver import PycudaDriver
    from jobspec.backends.cuda.session import opened
    from jobspec.backends.cuda.target import target_of
    from jobspec.backends.failures import DeviceError
    from jobspec.passes.pipeline import compile_job
    from jobspec.store.home import Home
    from tests.spec_jobs import SMALL, on_made_up
    from tests.specs.test_same_bits import trained

    PycudaDriver.machine_code = False
    work = on_made_up("digits", Home(folder), SMALL["digits"])
    plan = compile_job(work.job, target_of(90))

    def last() -> str:
        session = opened(plan, PycudaDriver, None)
        try:
            return str(trained(session, work, plan, 1).last)
        finally:
            session.close()

    before, codes = last(), {}
    for number in numbers:
        device.fails = fails(device, number)
        try:
            last()
        except DeviceError as error:
            codes[number] = error.code
        device.fails = ("", 0)
    print(json.dumps({"codes": codes, "contexts": device.contexts, "before": before, "after": last()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(word) for word in sys.argv[2:]])
