"""A device's driver that fails in the middle of a run, as an error that a user can read.

Takes: which kind of failure it is, the device's name, the driver's own words. Promises: one error, a code for each
kind. The state on the device is lost with it; what the run has saved is not touched, and any backend can go on from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.ir.errors import JobspecError


class DeviceError(JobspecError):
    """The device cannot go on, through no fault of the job (exit code 1)."""


@dataclass(frozen=True)
class Kind:
    """`says`: what became of the device that is named before it; `help`: what to do, before the run is taken up."""

    code: str
    says: str
    help: str


MEMORY = Kind("E0511", "has no memory left", "end what else uses the device")
LOST = Kind("E0515", "is lost", "see whether `jobspec devices` shows it again")
BROKEN = Kind("E0516", "ended a kernel as broken", "please report it")
SLOW = Kind("E0517", "ended a kernel for taking too long", "take a device that no display uses, or more `shards`")
REFUSED = Kind("E0518", "refuses what it was asked for", "renew the driver, or please report it")
AGAIN = "run the job again, here or with `--on llvm`: it goes on from its last checkpoint to the same receipt"


def failed(kind: Kind, device: str, said: str) -> DeviceError:
    """`said`: the driver's own words."""
    return DeviceError(kind.code, f"{device} {kind.says}: {said}", help=f"{kind.help}; {AGAIN}")
