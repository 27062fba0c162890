"""Captured graphs, which pycuda does not know: six functions of the driver's own library.

Takes: streams as pycuda numbers them. Promises: what is queued on the stream between `begin` and `end` becomes one
graph, which `launch` starts at once.
"""

from __future__ import annotations

import ctypes
from functools import cache

#: only this thread is kept from calls that a capture forbids
THREAD_LOCAL = 1


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


def said(function: str, *arguments: object) -> None:
    """Raises RuntimeError with the driver's number."""
    code = getattr(library(), function)(*arguments)
    if code:
        raise RuntimeError(f"{function} failed with {code}")
