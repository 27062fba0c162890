"""A session on an OpenCL device: state in one buffer of the device, routines as programs of kernels.

Takes: a plan made for the device, a folder for compiled code. Promises: the face of backends/session.py. A step's
launches are queued in the plan's order on one in-order queue; the host looks at reports and flags once a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyopencl as cl
from numpy.typing import NDArray

from jobspec.backends.c.request import Launch
from jobspec.backends.c.routine import Rendered, render_routine
from jobspec.backends.c.source import RENDERER
from jobspec.backends.opencl.build import build
from jobspec.backends.opencl.devices import device_of
from jobspec.backends.reference.numbers import NUMPY
from jobspec.backends.session import Outcome
from jobspec.ir.errors import JobspecError
from jobspec.ir.job import Job
from jobspec.ir.plan import Buffer, Plan, Routine
from jobspec.ir.target import Target

Array = NDArray[Any]


def compilers() -> tuple[tuple[str, str], ...]:
    """What turns a plan into code here; the device's own compiler is named by the target."""
    return (("jobspec-c", RENDERER), ("pyopencl", str(cl.VERSION_TEXT)))


def open_session(plan: Plan, job: Job, threads: int, cache: Path) -> OpenclSession:
    """A session for `plan` on the device it was made for. Raises JobspecError: E0510 where that is not here, E0511
    where its memory is too small."""
    return OpenclSession(plan, device_of(plan.target))


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


class OpenclSession:
    """A loaded plan; routines are compiled when they are first run. Not safe for use from two threads at once."""

    def __init__(self, plan: Plan, device: cl.Device) -> None:
        self._plan = plan
        self._rendered = {routine.name: render_routine(routine, "opencl") for routine in plan.routines}
        sizes = (
            max(routine.arena for routine in plan.routines),
            max(routine.feed for routine in plan.routines),
            max(rendered.scratch for rendered in self._rendered.values()),
        )
        need_room(sizes, *room_of(device))
        self._context = cl.Context([device])
        self._queue = cl.CommandQueue(self._context)
        self._arena, self._feed, self._scratch = map(self._memory, sizes)
        self._slots = dict(plan.routines[0].slots)
        self._loaded: dict[str, Loaded] = {}
        self._last = ""
        cl.enqueue_fill_buffer(self._queue, self._arena, np.zeros(1, np.uint8), 0, self._arena.size)

    def write(self, slot: str, value: Array) -> None:
        buffer = self._slot(slot)
        assert value.dtype == NUMPY[buffer.type.dtype] and value.shape == buffer.type.shape
        self._put(buffer, np.ascontiguousarray(value))

    def read(self, slot: str) -> Array:
        buffer = self._slot(slot)
        return self._take(buffer, np.empty(buffer.type.shape, NUMPY[buffer.type.dtype]))

    def peek(self, slot: str) -> Array:
        return self.read(slot)

    def run(self, routine: str, first: int, feeds: NDArray[np.uint8]) -> Outcome:
        loaded = self._load(routine)
        if self._last != routine:
            self._write_constants(loaded.routine)
            self._last = routine
        reports = np.zeros((len(feeds), len(loaded.routine.reports)), np.float32)
        for number, row in enumerate(feeds):
            self._step(loaded, first + number, row)
            reports[number] = self._reports(loaded.routine)
            flags = self._take_flags(loaded.routine)
            if flags:
                return Outcome(reports[: number + 1], number + 1, flags)
        return Outcome(reports, len(feeds), ())

    def close(self) -> None:
        self._queue.finish()
        self._loaded = {}
        for memory in (self._arena, self._feed, self._scratch):
            memory.release()

    def _step(self, loaded: Loaded, step: int, row: NDArray[np.uint8]) -> None:
        routine = loaded.routine
        if row.size:
            cl.enqueue_copy(self._queue, self._feed, np.ascontiguousarray(row), is_blocking=True)
        if routine.step >= 0:
            self._put(routine.buffers[routine.step], np.array(step, np.int32))
        loaded.queue_all(self._queue)

    def _load(self, name: str) -> Loaded:
        if name not in self._loaded:
            rendered = self._rendered[name]
            program = build(self._context, rendered.text)
            self._loaded[name] = Loaded(rendered, program, (self._arena, self._feed, self._scratch))
        return self._loaded[name]

    def _memory(self, size: int) -> cl.Buffer:
        return cl.Buffer(self._context, cl.mem_flags.READ_WRITE, max(64, size))

    def _slot(self, name: str) -> Buffer:
        return self._plan.routines[0].buffers[self._slots[name]]

    def _put(self, buffer: Buffer, value: Array) -> None:
        cl.enqueue_copy(self._queue, self._arena, value, dst_offset=buffer.offset, is_blocking=True)

    def _take(self, buffer: Buffer, into: Array) -> Array:
        if into.size:
            cl.enqueue_copy(self._queue, into, self._arena, src_offset=buffer.offset, is_blocking=True)
        return into

    def _write_constants(self, routine: Routine) -> None:
        """What another routine may have overwritten, the flags too."""
        for number, data in routine.constants:
            self._put(routine.buffers[number], np.frombuffer(data, np.uint8))
        self._clear_flags(routine)

    def _clear_flags(self, routine: Routine) -> None:
        buffer = routine.buffers[routine.flag_buffer]
        self._put(buffer, np.zeros(buffer.type.shape, np.int32))

    def _reports(self, routine: Routine) -> list[np.float32]:
        return [self._take(routine.buffers[number], np.empty(1, np.float32))[0] for _, number in routine.reports]

    def _take_flags(self, routine: Routine) -> tuple[str, ...]:
        """What was raised; the flags are down afterwards."""
        buffer = routine.buffers[routine.flag_buffer]
        words = self._take(buffer, np.empty(buffer.type.shape, np.int32))
        raised = tuple(flag for flag, word in zip(routine.flags, words, strict=False) if word)
        if raised:
            self._clear_flags(routine)
        return raised


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

    def queue_all(self, queue: cl.CommandQueue) -> None:
        """Every launch of one step."""
        for function, items, together in self.order:
            cl.enqueue_nd_range_kernel(queue, function, items, together)
        queue.flush()
