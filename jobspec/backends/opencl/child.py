"""An OpenCL device examined in a process of its own: `python -m jobspec.backends.opencl.child FOLDER [NAME]`.

Takes: a folder for the loader's files; a device's name. Promises: without a name, one JSON line per device, and one
for each platform that has none; with one, a JSON line per clause as it is answered. A driver that aborts, aborts this
process alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jobspec.backends.conformance.asking import say
from jobspec.backends.conformance.examine import agreeing, examine
from jobspec.backends.opencl.devices import devices, name_of, platform_name, platforms, target_of
from jobspec.backends.opencl.trial import Trial
from jobspec.backends.opencl.vendors import announce
from jobspec.ir.plan import Schedule


def schedules(lanes: int) -> dict[str, tuple[Schedule, ...]]:
    """Schedules of each kind that a plan for vectors of `lanes` may hold; each must give the same bits."""
    rows = (Schedule(), Schedule((("team", 32),)))
    if lanes == 1:
        four = Schedule((("each", 4),))
        shared = Schedule((("beside", 4), ("each", 4), ("parts", 4)))
        each = Schedule((("each", 4), ("rows", 4)))
        return {"rows": (*rows, each), "fill": (Schedule(), four), "columns": (Schedule(), four, shared)}
    tiles = (("columns", 2), ("lanes", lanes), ("pack", 1), ("rows", 6))
    vectors = Schedule((("lanes", lanes),))
    return {"rows": (*rows, vectors), "fill": (Schedule(), vectors), "contract": (Schedule(), Schedule(tiles))}


def main(folder: Path, name: str | None) -> None:
    announce(folder)
    if name is None:
        list_all()
    for device in devices():
        if name_of(device) == name:
            run = agreeing(Trial(device).arrays, schedules(target_of(device).lanes))
            for clause, wrong in examine(run):
                say(clause=clause, wrong=wrong)


def list_all() -> None:
    for platform in platforms():
        if not platform.get_devices():
            say(name=platform_name(platform), shape="", memory=0)
    for device in devices():
        say(name=name_of(device), shape=target_of(device).features, memory=int(device.global_mem_size))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
