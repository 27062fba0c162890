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
#: answers that say nothing of the work: no context is there, or its stream is being captured
UNTOLD = (3, 201, *range(900, 910))


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
    with suppress(Refused):
        said("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))


def stuck() -> int:
    """The number of what ended the work that was started, with which the driver answers from then on; 0 of none, and
    where it cannot say so now."""
    number = int(library().cuCtxSynchronize())
    return 0 if number in UNTOLD else number


def said(function: str, *arguments: object) -> None:
    """Raises Refused."""
    number = getattr(library(), function)(*arguments)
    if number:
        raise Refused(number, f"{function} failed: {words(number)}")


def words(number: int) -> str:
    """What the driver says of one of its numbers."""
    text = ctypes.c_char_p()
    library().cuGetErrorString(ctypes.c_int(number), ctypes.byref(text))
    return text.value.decode(errors="replace") if text.value else str(number)


class Refused(Exception):
    """A function of the driver's library that failed; `number`: CUresult."""

    def __init__(self, number: int, said: str) -> None:
        super().__init__(said)
        self.number = number
