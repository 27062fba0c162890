"""A driver without a GPU: the face of backends/cuda/driver.py, over programs of PTX on this processor.

Promises: launches do what the compiled PTX says, watched or not. What the driver may do at any time is done at one end
of that time: `late`, as late as it may (an upload when the first work needs it, work when it is waited
for), or as soon as it may; a session that reads or overwrites too early has other bits in one of the two.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.cuda.driver import Bytes, CopyIn, Item, Kernel, Stamp, Work
from jobspec.backends.cuda.nvrtc import Compiled
from jobspec.ir.errors import JobspecError
from tests.cuda.machine.machine import Block, Program, aligned


@dataclass(frozen=True)
class Captured:
    """`clock`: of the stamps of its last run."""

    program: Program
    work: tuple[Item, ...]
    clock: list[float] = field(default_factory=list)


@dataclass
class StandIn:
    """`order`: of sums by instructions on matrices; `masks`: which bytes of the first, second, … allocation may be
    touched; `said`: what was asked, in order."""

    level: int = 90
    memory: int = 2**31
    shared: int = 227 * 1024
    watched: bool = True
    late: bool = False
    backwards: bool = False
    order: str = "chain"
    masks: tuple[Bytes, ...] = ()
    name: str = "a stand-in for a GPU"
    machine_code: bool = False
    speaks: int = 13000
    blocks: dict[int, Block] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    closed: bool = False
    _uploads: list[Callable[[], None]] = field(default_factory=list)
    _started: list[Callable[[], None]] = field(default_factory=list)
    _programs: dict[str, Program] = field(default_factory=dict)
    _left: int = 0

    def __post_init__(self) -> None:
        self._left = self.memory

    def allocate(self, size: int) -> int:
        if size > self._left:
            raise JobspecError("E0511", f"{size} bytes are not free")
        self._left -= size
        mask = self.masks[len(self.blocks)] if len(self.blocks) < len(self.masks) else None
        block = Block(size, mask)
        block.bytes[:] = 0
        self.blocks[block.address] = block
        return block.address

    def free(self, address: int) -> None:
        assert not self._started and not self._uploads, "memory is freed that work still uses"
        self._left += self.blocks.pop(address).size

    def pinned(self, size: int) -> Bytes:
        return aligned(size)

    def put(self, address: int, data: NDArray[Any]) -> None:
        self._drain()
        self._at(address, data.nbytes)[:] = data.reshape(-1).view(np.uint8)

    def take(self, address: int, into: NDArray[Any]) -> None:
        self._drain()
        into.reshape(-1).view(np.uint8)[:] = self._at(address, into.nbytes)

    def load(self, compiled: Compiled) -> Program:
        if compiled.ptx not in self._programs:
            self._programs[compiled.ptx] = Program(compiled.ptx, self.watched, order=self.order)
        return self._programs[compiled.ptx]

    def capture(self, module: Program, work: Work) -> Captured:
        return Captured(module, tuple(work))

    def upload(self, address: int, source: Bytes) -> None:
        self.said.append("upload")

        def copy() -> None:
            self._at(address, source.nbytes)[:] = source

        self._uploads.append(copy)
        if not self.late:
            self._uploaded()

    def start(self, captured: Captured) -> None:
        """Uploads from before it are done by then; it may overwrite nothing that they still read."""
        self.said.append("start")
        before, self._uploads = self._uploads, []

        def work() -> None:
            for copy in before:
                copy()
            captured.clock.clear()
            for item in captured.work:
                self._do(captured, item)

        self._started.append(work)
        if not self.late:
            self.finish()
            self.said.pop()

    def stamps(self, captured: Captured) -> list[float]:
        assert not self._started, "stamps are read before the work is done"
        return [at - captured.clock[0] for at in captured.clock]

    def finish(self) -> None:
        self.said.append("finish")
        started, self._started = self._started, []
        for work in started:
            work()

    def close(self) -> None:
        assert not self.blocks, "memory was not freed"
        self.closed = True

    def _do(self, captured: Captured, item: Item) -> None:
        if isinstance(item, Stamp):
            captured.clock.append(time.perf_counter())
        elif isinstance(item, Kernel):
            blocks = list(self.blocks.values())
            shared = [(0, item.shared)] if item.shared else []
            assert item.shared <= self.shared, "more shared memory than a block may have"
            captured.program.launch(item.symbol, item.groups, item.items, item.args, blocks, self.backwards, shared)
        elif isinstance(item, CopyIn):
            self._at(item.address, item.source.nbytes)[:] = item.source
        else:
            item.target[:] = self._at(item.address, item.target.nbytes)

    def _uploaded(self) -> None:
        uploads, self._uploads = self._uploads, []
        for copy in uploads:
            copy()

    def _drain(self) -> None:
        self.finish()
        self.said.pop()
        self._uploaded()

    def _at(self, address: int, size: int) -> Bytes:
        """Memory that lies within one allocation."""
        for start, block in self.blocks.items():
            if start <= address and address + size <= start + block.size:
                return block.bytes[address - start : address - start + size]
        raise AssertionError(f"{size} bytes at {address:#x} are in no allocation")
