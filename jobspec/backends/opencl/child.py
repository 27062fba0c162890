"""An OpenCL device examined in a process of its own: `python -m jobspec.backends.opencl.child FOLDER [NAME]`.

Takes: a folder for the loader's files; a device's name. Promises: without a name, one JSON line per device; with
one, a JSON line per clause as it is answered. A driver that aborts, aborts this process alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pyopencl as cl

from jobspec.backends.conformance.examine import Run, examine
from jobspec.backends.opencl.devices import devices, name_of, target_of
from jobspec.backends.opencl.trial import Trial
from jobspec.backends.opencl.vendors import announce
from jobspec.backends.reference.numbers import Array
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Schedule

#: schedules of each kind that a plan may hold; every one must give the same bits
TILES = (("columns", 2), ("lanes", 8), ("pack", 1), ("rows", 6))
SCHEDULES: dict[str, tuple[Schedule, ...]] = {
    "rows": (Schedule(), Schedule((("team", 32),))),
    "contract": (Schedule(), Schedule(TILES)),
}


class Disagreement(Exception):
    """Two schedules of one kernel gave different bits."""


def runner(device: cl.Device) -> Run:
    trial = Trial(device)

    def run(kernel: Kernel, arrays: Sequence[Array]) -> Sequence[Array]:
        results = [trial.run(kernel, arrays, s)[0] for s in SCHEDULES.get(kernel.kind, (Schedule(),))]
        for other in results[1:]:
            if any(a.tobytes() != b.tobytes() for a, b in zip(results[0], other, strict=True)):
                raise Disagreement("two schedules of one kernel differ")
        return results[0]

    return run


def say(**answer: object) -> None:
    print(json.dumps(answer), flush=True)


def main(folder: Path, name: str | None) -> None:
    announce(folder)
    for device in devices():
        if name is None:
            target = target_of(device)
            say(name=name_of(device), shape=target.features, memory=int(device.global_mem_size))
        elif name_of(device) == name:
            for clause, wrong in examine(runner(device)):
                say(clause=clause, wrong=wrong)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
