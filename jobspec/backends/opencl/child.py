"""An OpenCL device examined in a process of its own: `python -m jobspec.backends.opencl.child FOLDER [NAME]`.

Takes: a folder for the loader's files; a device's name. Promises: without a name, one JSON line per device; with
one, a JSON line per clause as it is answered. A driver that aborts, aborts this process alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jobspec.backends.conformance.asking import say
from jobspec.backends.conformance.examine import agreeing, examine
from jobspec.backends.opencl.devices import devices, name_of, target_of
from jobspec.backends.opencl.trial import Trial
from jobspec.backends.opencl.vendors import announce
from jobspec.ir.plan import Schedule


def schedules(lanes: int) -> dict[str, tuple[Schedule, ...]]:
    """Schedules of each kind that a plan for vectors of `lanes` may hold; each must give the same bits."""
    rows = (Schedule(), Schedule((("team", 32),)))
    if lanes == 1:
        return {"rows": rows}
    tiles = (("columns", 2), ("lanes", lanes), ("pack", 1), ("rows", 6))
    vectors = Schedule((("lanes", lanes),))
    return {"rows": (*rows, vectors), "fill": (Schedule(), vectors), "contract": (Schedule(), Schedule(tiles))}


def main(folder: Path, name: str | None) -> None:
    announce(folder)
    for device in devices():
        if name is None:
            target = target_of(device)
            say(name=name_of(device), shape=target.features, memory=int(device.global_mem_size))
        elif name_of(device) == name:
            run = agreeing(Trial(device).arrays, schedules(target_of(device).lanes))
            for clause, wrong in examine(run):
                say(clause=clause, wrong=wrong)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
