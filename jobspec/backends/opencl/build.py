"""Rendered text to a program on an OpenCL device.

Takes: a context of one device and C text. Promises: the options are those of the contract: division and square root
correctly rounded, by the device or by way of binary64; subnormals kept; no relaxed arithmetic. A text that the
driver refuses is our own mistake and is shown with its log.
"""

from __future__ import annotations

import warnings

import pyopencl as cl

#: contraction is switched off in the text itself (opencl.h), where alone it can be
STANDARD = "-cl-std=CL1.2"
ROUNDED = "-cl-fp32-correctly-rounded-divide-sqrt"
BY_DOUBLE = "-DBY_DOUBLE"


def build(context: cl.Context, text: str) -> cl.Program:
    """The compiled program. Raises RuntimeError with the driver's log."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cl.CompilerWarning)
        program: cl.Program = cl.Program(context, text).build([STANDARD, division(context.devices[0])])
    return program


def division(device: cl.Device) -> str:
    """The option by which quotients and roots come out correctly rounded."""
    own = device.single_fp_config & cl.device_fp_config.CORRECTLY_ROUNDED_DIVIDE_SQRT
    return ROUNDED if own else BY_DOUBLE
