"""Captured graphs, which pycuda does not know: eleven functions of the driver's own library.

Takes: streams as pycuda numbers them. Promises: what is queued on the stream between `begin` and `end` becomes one
graph, which `launch` starts at once. An event that is recorded in between is recorded whenever the graph runs.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import cache

#: only this thread is kept from calls that a capture forbids
THREAD_LOCAL = 1
#: a record that is part of the graph, and no dependency of the capture
EXTERNAL = 1


@cache
def library() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")


def begin(stream: int) -> None:
    said("cuStreamBeginCapture_v2", ctypes.c_void_p(stream), ctypes.c_int(THREAD_LOCAL))


def end(stream: int) -> int:
    """The graph, ready to be launched."""
    graph, ready = ctypes.c_void_p(), ctypes.c_void_p()
    said("cuStreamEndCapture", ctypes.c_void_p(stream), ctypes.byref(graph))
    said("cuGraphInstantiateWithFlags", ctypes.byref(ready), graph, ctypes.c_ulonglong(0))
    said("cuGraphDestroy", graph)
    assert ready.value is not None
    return ready.value


def launch(graph: int, stream: int) -> None:
    said("cuGraphLaunch", ctypes.c_void_p(graph), ctypes.c_void_p(stream))


def destroy(graph: int) -> None:
    said("cuGraphExecDestroy", ctypes.c_void_p(graph))


def event() -> int:
    made = ctypes.c_void_p()
    said("cuEventCreate", ctypes.byref(made), ctypes.c_uint(0))
    assert made.value is not None
    return made.value


def record(event: int, stream: int) -> None:
    """While the stream is captured."""
    said("cuEventRecordWithFlags", ctypes.c_void_p(event), ctypes.c_void_p(stream), ctypes.c_uint(EXTERNAL))


def between(first: int, second: int) -> float:
    """Seconds."""
    milliseconds = ctypes.c_float()
    said("cuEventElapsedTime", ctypes.byref(milliseconds), ctypes.c_void_p(first), ctypes.c_void_p(second))
    return milliseconds.value / 1000


def forget(event: int) -> None:
    said("cuEventDestroy_v2", ctypes.c_void_p(event))


def unbind() -> None:
    """Take back the push with which pycuda releases a primary context."""
    with suppress(RuntimeError):
        said("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))


def said(function: str, *arguments: object) -> None:
    """Raises RuntimeError with the driver's number."""
    code = getattr(library(), function)(*arguments)
    if code:
        raise RuntimeError(f"{function} failed with {code}")
