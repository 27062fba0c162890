"""OpenCL devices of this machine as Targets.

Takes: what the loader and the drivers say. Promises: a device is named by platform, version and device, so that
a plan finds the device it was made for and no other; importing this imports the driver.
"""

from __future__ import annotations

import pyopencl as cl

from jobspec.ir.errors import JobspecError
from jobspec.ir.target import Target


def platforms() -> list[cl.Platform]:
    """All runtimes; none where none is found."""
    try:
        return list(cl.get_platforms())
    except cl.Error:
        return []


def devices() -> list[cl.Device]:
    """All devices, platform by platform."""
    return [device for platform in platforms() for device in platform.get_devices()]


def platform_name(platform: cl.Platform) -> str:
    return f"{platform.name.strip()} {platform.version.strip()}"


def name_of(device: cl.Device) -> str:
    return f"{platform_name(device.platform)} / {device.name.strip()} / {device.driver_version.strip()}"


def shape_of(device: cl.Device) -> str:
    """`cpu` or `gpu`: the shape that its schedules take."""
    return "cpu" if device.type & cl.device_type.CPU else "gpu"


def lanes_of(device: cl.Device) -> int:
    """Numbers of the widest vector that its code should use; PoCL takes no wider ones than 8 in one piece."""
    if shape_of(device) != "cpu":
        return 1
    widest = 8 if "Portable" in device.platform.name else 16
    return max(4, min(widest, int(device.native_vector_width_float)))


def target_of(device: cl.Device) -> Target:
    shape, local = shape_of(device), int(device.local_mem_size)
    return Target("opencl", name_of(device), shape, lanes=lanes_of(device), l1=local)


def device_named(name: str) -> cl.Device:
    """The device that was examined under `name`."""
    return next(device for device in devices() if name_of(device) == name)


def device_of(target: Target) -> cl.Device:
    """The device that `target` names. Raises JobspecError (E0510)."""
    for device in devices():
        if target_of(device) == target:
            return device
    raise JobspecError(
        "E0510",
        f"the plan is made for the device `{target.cpu}`, which is not here",
        help="compile the job on this machine: the same job gives the same bits",
    )
