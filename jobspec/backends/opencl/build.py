"""Rendered text to a program on an OpenCL device, by way of what was compiled before.

Takes: a context of one device, C text, where compiled programs are kept. Promises: the options are those of the
contract: division and square root correctly rounded, by the device or by way of binary64; subnormals kept; no relaxed
arithmetic. A text that the driver refuses is our own mistake and is shown with its log. pyopencl's own folder is not
used: a process that is killed leaves it locked for all others, and nothing is ever taken out of it.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import pyopencl as cl
from pyopencl.characterize import has_src_build_cache

from jobspec.backends.kept import Kept
from jobspec.backends.opencl.devices import name_of
from jobspec.ir.digest import Digest, digest_value

#: contraction is switched off in the text itself (opencl.h), where alone it can be
STANDARD = "-cl-std=CL1.2"
ROUNDED = "-cl-fp32-correctly-rounded-divide-sqrt"
BY_DOUBLE = "-DBY_DOUBLE"
NOWHERE = Kept(None)
#: pyopencl takes it, and declares only names of folders
UNKEPT: Any = False


def build(context: cl.Context, text: str, kept: Kept = NOWHERE) -> cl.Program:
    """The compiled program. Raises RuntimeError with the driver's log."""
    (device,) = context.devices
    options = [STANDARD, division(device)]
    key = key_of(device, options, text)
    return recalled(context, options, kept.recall(key)) or compiled(context, options, text, key, kept)


def key_of(device: cl.Device, options: list[str], text: str) -> Digest:
    return digest_value("opencl.object.key", [str(cl.VERSION_TEXT), name_of(device), list(options), text])


def recalled(context: cl.Context, options: list[str], binary: bytes | None) -> cl.Program | None:
    """What was kept, where the driver still takes it."""
    if binary is not None:
        with suppress(cl.Error):
            return built(cl.Program(context, context.devices, [binary]), options)
    return None


def compiled(context: cl.Context, options: list[str], text: str, key: Digest, kept: Kept) -> cl.Program:
    """Made anew, and kept; a driver that keeps what it compiles is left to do so."""
    program = built(cl.Program(context, text), options)
    if kept.folder is not None and not has_src_build_cache(context.devices[0]):
        binaries: Any = program.get_info(cl.program_info.BINARIES)
        kept.keep(key, binaries[0])
    return program


def built(program: cl.Program, options: list[str]) -> cl.Program:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cl.CompilerWarning)
        ready: cl.Program = program.build(options, cache_dir=UNKEPT)
    return ready


def division(device: cl.Device) -> str:
    """The option by which quotients and roots come out correctly rounded."""
    own = device.single_fp_config & cl.device_fp_config.CORRECTLY_ROUNDED_DIVIDE_SQRT
    return ROUNDED if own else BY_DOUBLE
