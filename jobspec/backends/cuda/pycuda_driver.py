"""The driver by way of pycuda: memory, modules, streams; graphs by the driver's own functions.

Promises: the face of driver.py on GPU 0 (CUDA_VISIBLE_DEVICES says which that is). Importing this imports the driver.
Work runs on one stream, uploads on another; an event between them makes work wait for the uploads before it. The
context is the device's primary one, as PyTorch's is, which sets its own whatever was there. What the driver raises is
an error of ours with a code; after one that its work ended with, nothing more is asked of the device.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import pycuda.driver as cuda
from numpy.typing import NDArray

from jobspec.backends.cuda import graphs
from jobspec.backends.cuda.driver import Bytes, CopyIn, Kernel, Stamp, Work
from jobspec.backends.cuda.failures import kind_of
from jobspec.backends.cuda.nvrtc import Compiled
from jobspec.backends.cuda.target import SHARED
from jobspec.backends.failures import MEMORY, DeviceError, failed

P = ParamSpec("P")
R = TypeVar("R")


def plainly(
    method: Callable[Concatenate[PycudaDriver, P], R],
) -> Callable[Concatenate[PycudaDriver, P], R]:
    """A method whose errors are DeviceError."""

    @wraps(method)
    def tried(self: PycudaDriver, /, *args: P.args, **named: P.kwargs) -> R:
        try:
            return method(self, *args, **named)
        except (cuda.Error, graphs.Refused) as error:
            raise self.failed(error) from error

    return tried


def function_of(module: Any, kernel: Kernel) -> Any:
    """The kernel's function, with leave for more shared memory than every block has, if its launch asks for that."""
    function = module.get_function(kernel.symbol)
    if kernel.shared > SHARED:
        function.set_attribute(cuda.function_attribute.MAX_DYNAMIC_SHARED_SIZE_BYTES, kernel.shared)
    return function


class PycudaDriver:
    """For the thread that made it; `close` must be called, or pycuda aborts at the end."""

    name = "the GPU"
    machine_code = True
    _lost = False

    @plainly
    def __init__(self) -> None:
        cuda.init()
        device = cuda.Device(0)
        major, minor = device.compute_capability()
        self.name = f"{device.name()} (driver {cuda.get_driver_version()})"
        self.level = 10 * major + minor
        self.speaks = cuda.get_driver_version()
        self._context = device.retain_primary_context()
        self._context.push()
        self.memory, _ = cuda.mem_get_info()
        self.shared = device.get_attribute(cuda.device_attribute.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)
        self._main, self._side, self._uploaded = cuda.Stream(), cuda.Stream(), cuda.Event()
        self._blocks: dict[int, Any] = {}
        self._modules: list[Any] = []
        self._graphs: dict[int, list[int]] = {}
        self._pinned: list[Any] = []

    def failed(self, error: cuda.Error | graphs.Refused) -> DeviceError:
        """What it means. Of work that ended badly the driver keeps the number, which pycuda does not tell."""
        number = graphs.stuck()
        self._lost = self._lost or number != 0
        kind = kind_of(number or getattr(error, "number", 0))
        return failed(MEMORY if isinstance(error, cuda.MemoryError) else kind, self.name, str(error))

    @plainly
    def allocate(self, size: int) -> int:
        block = cuda.mem_alloc(size)
        cuda.memset_d8(block, 0, size)
        self._blocks[int(block)] = block
        return int(block)

    @plainly
    def free(self, address: int) -> None:
        if not self._lost:
            self._blocks.pop(address).free()

    @plainly
    def pinned(self, size: int) -> Bytes:
        memory: Bytes = cuda.pagelocked_empty(max(size, 1), np.uint8)
        self._pinned.append(memory)
        return memory[:size]

    @plainly
    def put(self, address: int, data: NDArray[Any]) -> None:
        self.finish()
        cuda.memcpy_htod(address, np.ascontiguousarray(data))

    @plainly
    def take(self, address: int, into: NDArray[Any]) -> None:
        self.finish()
        cuda.memcpy_dtoh(into, address)

    @plainly
    def load(self, compiled: Compiled) -> Any:
        """Kept as long as graphs may run what is in it."""
        self._modules.append(cuda.module_from_buffer(compiled.code or compiled.ptx.encode() + b"\0"))
        return self._modules[-1]

    @plainly
    def capture(self, module: Any, work: Work) -> int:
        """Functions and events are there before the capture begins, which forbids to load and to make things."""
        listed = list(work)
        functions = {w.symbol: function_of(module, w) for w in listed if isinstance(w, Kernel)}
        events = [graphs.event() for item in listed if isinstance(item, Stamp)]
        stamps = iter(events)
        graphs.begin(self._main.handle)
        for item in listed:
            if isinstance(item, Stamp):
                graphs.record(next(stamps), self._main.handle)
            else:
                self._queue(functions, item)
        graph = graphs.end(self._main.handle)
        self._graphs[graph] = events
        return graph

    def _queue(self, functions: dict[str, Any], item: Any) -> None:
        if isinstance(item, Kernel):
            args = (np.uint64(arg) if isinstance(arg, int) else arg for arg in item.args)
            grid, block = (item.groups, 1), (item.items, 1, 1)
            functions[item.symbol](*args, grid=grid, block=block, shared=item.shared, stream=self._main)
        elif isinstance(item, CopyIn):
            cuda.memcpy_htod_async(item.address, item.source, self._main)
        else:
            cuda.memcpy_dtoh_async(item.target, item.address, self._main)

    @plainly
    def stamps(self, captured: int) -> list[float]:
        first, *others = self._graphs[captured]
        return [0.0, *(graphs.between(first, other) for other in others)]

    @plainly
    def upload(self, address: int, source: Bytes) -> None:
        cuda.memcpy_htod_async(address, source, self._side)
        self._uploaded.record(self._side)

    @plainly
    def start(self, captured: int) -> None:
        self._main.wait_for_event(self._uploaded)
        graphs.launch(captured, self._main.handle)

    @plainly
    def finish(self) -> None:
        if not self._lost:
            self._side.synchronize()
            self._main.synchronize()

    def close(self) -> None:
        """Nothing of a device that is lost can be given back but the context, which takes all with it."""
        try:
            if not self._lost:
                self._give_back()
        finally:
            with suppress(cuda.Error):
                self._context.pop()
            self._context.detach()
            graphs.unbind()

    @plainly
    def _give_back(self) -> None:
        self.finish()
        for graph, events in self._graphs.items():
            graphs.destroy(graph)
            for event in events:
                graphs.forget(event)
        for block in self._blocks.values():
            block.free()
        self._blocks, self._graphs, self._pinned, self._modules = {}, {}, [], []
        del self._main, self._side, self._uploaded
