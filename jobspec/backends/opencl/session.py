"""A session on an OpenCL device: state in one buffer of the device, routines as programs of kernels.

Takes: a plan made for the device, a folder for compiled code. Promises: the face of backends/session.py. A step's
launches are queued in the plan's order on one in-order queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyopencl as cl
from numpy.typing import NDArray

from jobspec.backends.c.request import Launch
from jobspec.backends.c.routine import Rendered, render_routine
from jobspec.backends.c.session import DeviceSession, Looked, Times
from jobspec.backends.c.source import RENDERER
from jobspec.backends.kept import Kept
from jobspec.backends.opencl.build import NOWHERE, build
from jobspec.backends.opencl.devices import device_of, name_of
from jobspec.backends.opencl.failures import told
from jobspec.backends.reference.numbers import Array
from jobspec.ir.errors import JobspecError
from jobspec.ir.job import Job
from jobspec.ir.plan import Plan, Routine
from jobspec.ir.target import Target

NANO = 1e-9


def compilers() -> tuple[tuple[str, str], ...]:
    """What turns a plan into code here; the device's own compiler is named by the target."""
    return (("jobspec-c", RENDERER), ("pyopencl", str(cl.VERSION_TEXT)))


def open_session(plan: Plan, job: Job, threads: int, cache: Path) -> OpenclSession:
    """A session for `plan` on the device it was made for. Raises JobspecError: E0510 where that is not here, E0511
    where its memory is too small."""
    return OpenclSession(plan, device_of(plan.target), Kept(cache / "opencl"))


def scratch_of(routine: Routine, target: Target, threads: int) -> int:
    """Bytes that a routine takes beside the arena."""
    return render_routine(routine, "opencl").scratch


def room_of(device: cl.Device) -> tuple[int, int]:
    """Bytes of its memory, and of the largest piece that it gives."""
    return int(device.global_mem_size), int(device.max_mem_alloc_size)


def need_room(sizes: Sequence[int], memory: int, largest: int) -> None:
    """Raises JobspecError (E0511) where a device cannot hold pieces of `sizes` bytes."""
    if sum(sizes) <= memory and max(sizes) <= largest:
        return
    taken = f"the run takes {sum(sizes):,} bytes of the device's memory, {max(sizes):,} of them in one piece"
    reason = f"{taken}; the device has {memory:,}, and gives at most {largest:,} in one piece"
    raise JobspecError("E0511", reason, help="`jobspec plan` says what takes it, and what would fit")


class OpenclSession(DeviceSession["Loaded"]):
    """A loaded plan. Not safe for use from two threads at once."""

    def __init__(self, plan: Plan, device: cl.Device, kept: Kept = NOWHERE) -> None:
        super().__init__(plan, "opencl")
        sizes = (
            max(routine.arena for routine in plan.routines),
            max(routine.feed for routine in plan.routines),
            max(rendered.scratch for rendered in self.rendered.values()),
        )
        need_room(sizes, *room_of(device))
        self._device, self._kept = device, kept
        with self.told():
            self._context = cl.Context([device])
            self._queue = cl.CommandQueue(self._context)
            self._arena, self._feed, self._scratch = map(self._memory, sizes)
            cl.enqueue_fill_buffer(self._queue, self._arena, np.zeros(1, np.uint8), 0, self._arena.size)

    def told(self) -> AbstractContextManager[None]:
        return told(name_of(self._device))

    def close(self) -> None:
        """What went wrong with the work has been said by whoever waited for it."""
        with suppress(cl.Error):
            self._queue.finish()
        self._loaded = {}
        for memory in (self._arena, self._feed, self._scratch):
            memory.release()

    def put(self, place: int, value: Array) -> None:
        if value.size:
            cl.enqueue_copy(self._queue, self._arena, value, dst_offset=place, is_blocking=True)

    def take(self, place: int, into: Array) -> None:
        if into.size:
            cl.enqueue_copy(self._queue, into, self._arena, src_offset=place, is_blocking=True)

    def feed(self, row: Array) -> None:
        if row.size:
            cl.enqueue_copy(self._queue, self._feed, np.ascontiguousarray(row), is_blocking=True)

    def load(self, rendered: Rendered) -> Loaded:
        scratch = self._scratch if rendered.scratch <= self._scratch.size else self._memory(rendered.scratch)
        program = build(self._context, rendered.text, self._kept)
        return Loaded(rendered, program, (self._arena, self._feed, scratch))

    def steps(self, loaded: Loaded, first: int, feeds: NDArray[np.uint8]) -> Iterator[Looked]:
        routine = loaded.routine
        for number, row in enumerate(feeds, first):
            self.feed(row)
            if routine.step >= 0:
                self.put(routine.buffers[routine.step].offset, np.array(number, np.int32))
            loaded.queue_all(self._queue)
            yield self._reports(routine), self._raised(routine)

    def timer(self, rendered: Rendered) -> Callable[[], Times]:
        loaded = self.load(rendered)
        queue = cl.CommandQueue(self._context, properties=cl.command_queue_properties.PROFILING_ENABLE)

        def timed() -> Times:
            events = loaded.queue_all(queue)
            queue.finish()
            spans = [(event.profile.start, event.profile.end) for event in events]
            return [((start - spans[0][0]) * NANO, (end - start) * NANO) for start, end in spans]

        return timed

    def _memory(self, size: int) -> cl.Buffer:
        return cl.Buffer(self._context, cl.mem_flags.READ_WRITE, max(64, size))

    def _reports(self, routine: Routine) -> Array:
        found = np.empty((len(routine.reports), 1), np.float32)
        for (_, number), into in zip(routine.reports, found, strict=True):
            self.take(routine.buffers[number].offset, into)
        return found[:, 0]

    def _raised(self, routine: Routine) -> tuple[str, ...]:
        buffer = routine.buffers[routine.flag_buffer]
        words = np.empty(buffer.type.shape, np.int32)
        self.take(buffer.offset, words)
        return tuple(flag for flag, word in zip(routine.flags, words, strict=False) if word)


@dataclass(frozen=True)
class Loaded:
    """A routine on the device."""

    rendered: Rendered
    program: cl.Program
    spaces: tuple[cl.Buffer, ...]

    @property
    def routine(self) -> Routine:
        return self.rendered.routine

    @cached_property
    def order(self) -> Sequence[tuple[cl.Kernel, tuple[int], tuple[int]]]:
        """Every launch of one step: the function with all it is given, work-items, those of a group."""
        functions: dict[tuple[str, tuple[int, ...]], cl.Kernel] = {}
        found = []
        for launch, turns in self.rendered.order():
            key = (launch.symbol, turns)
            functions[key] = function = functions.get(key) or self._function(launch, turns)
            found.append((function, (launch.groups * launch.items,), (launch.items,)))
        return found

    def _function(self, launch: Launch, turns: tuple[int, ...]) -> cl.Kernel:
        function = cl.Kernel(self.program, launch.symbol)
        given: list[Any] = [*self.spaces, np.float32(1), *map(np.int32, turns)]
        for i, value in enumerate(given):
            function.set_arg(i, value)
        return function

    def queue_all(self, queue: cl.CommandQueue) -> list[cl.Event]:
        """Every launch of one step."""
        events = [cl.enqueue_nd_range_kernel(queue, function, items, group) for function, items, group in self.order]
        queue.flush()
        return events
