"""A GPU made of this processor: programs of PTX, memory, launches.

Takes: PTX. Promises: every launch gives what the PTX says, whatever the order of threads and blocks; a fault is an
exception that names it, the line of the PTX, the thread and the block.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numpy.typing import NDArray

from jobspec.backends.llvm.compile import Library, emit
from jobspec.backends.llvm.machine import code_generator, host
from tests.cuda.machine import runtime
from tests.cuda.machine.aside import QUEUE
from tests.cuda.machine.faults import Fault
from tests.cuda.machine.matrices import EXCHANGED
from tests.cuda.machine.translate import Translated, translate
from tests.cuda.machine.warpgroups import OWN

Bytes = NDArray[np.uint8]
WORD = {"u64": np.uint64, "s64": np.int64, "f32": np.float32, "u32": np.uint32, "s32": np.int32}
CLOSED = np.uint64(2**64 - 1)
#: (first byte, bytes)
Regions = Sequence[tuple[int, int]]


@dataclass
class Block:
    """Memory of the device. `open_`: which bytes may be touched; None: all."""

    size: int
    open_: Bytes | None = None
    bytes: Bytes = field(init=False)
    shadow: NDArray[np.uint64] = field(init=False)

    def __post_init__(self) -> None:
        self.bytes = aligned(self.size)
        self.shadow = np.zeros((-(-self.size // 4), 2), np.uint64)
        if self.open_ is not None:
            words = np.resize(self.open_, 4 * len(self.shadow)).reshape(-1, 4).any(axis=1)
            self.shadow[~words] = CLOSED

    @property
    def address(self) -> int:
        return self.bytes.ctypes.data


def aligned(size: int, to: int = 256) -> Bytes:
    """Filled with what no program should count on."""
    whole = np.full(size + to, 0xFF, np.uint8)
    start = -whole.ctypes.data % to
    return whole[start : start + size]


class Program:
    """A module of PTX, ready to run. `watched`: accesses are checked; `order`: see matrices.py.

    Making the code takes longer than running it, so it is made by the quickest generator."""

    _time = 0

    def __init__(self, ptx: str, watched: bool = True, order: str = "chain") -> None:
        text, self.entries = translate(ptx, watched, order)
        self.watched = watched
        self._library = Library([emit(promoted(text), host(), 0)], ["launch", *self.entries], host())
        types = [ctypes.c_void_p] * 2 + [ctypes.c_int64] * 2 + [ctypes.c_void_p] * 2
        types += [ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_bool]
        self._launch = ctypes.CFUNCTYPE(ctypes.c_int, *types)(self._library.addresses["launch"])

    def launch(
        self,
        name: str,
        groups: int,
        items: int,
        args: Sequence[Any],
        blocks: Sequence[Block],
        backwards: bool = False,
        shared: Regions = (),
    ) -> None:
        """Run the entry; `shared`: (first byte, bytes) of what the launch lets a block touch beside the entry's own
        arrays in shared memory. Raises Fault."""
        entry = self.entries[name]
        room = Room.of(entry, items, shared)
        words, table = room.words, tabled(blocks)
        words[runtime.NTID], words[runtime.NCTAID] = items, groups
        words[runtime.INTERVAL], words[runtime.EPOCH] = Program._time, Program._time + 1
        words[runtime.RANGES], words[runtime.TABLE] = len(blocks), table.ctypes.data
        params = np.concatenate([passed(a, t) for a, t in zip(args, entry.params, strict=True)])
        pointers = [params.ctypes.data, room.frames.ctypes.data, entry.frame]
        shadow = [room.fresh.ctypes.data, room.fresh.nbytes]
        address = self._library.addresses[name]
        fault = self._launch(words.ctypes.data, address, groups, items, *pointers, *shadow, backwards)
        Program._time = int(words[runtime.INTERVAL])
        if fault:
            raise Fault(told(name, words, entry))

    def close(self) -> None:
        self._library.close()


@dataclass(frozen=True)
class Room:
    """Memory that one launch has beside the device's. `words`: the environment of its code (runtime.py), in which the
    addresses of `held` stand; `frames`: of the threads; `fresh`: shadow and shared memory as a block finds them."""

    words: NDArray[np.int64]
    frames: Bytes
    fresh: Bytes
    held: Sequence[NDArray[Any]]

    @classmethod
    def of(cls, entry: Translated, items: int, shared: Regions) -> Room:
        extent = entry.extent + max((first + size for first, size in shared), default=0)
        fresh = fresh_of([*entry.shared, *((entry.extent + first, size) for first, size in shared)], extent)
        working, exchange, queues = fresh.copy(), aligned(items * EXCHANGED), np.zeros(items * QUEUE, np.uint8)
        owned, proxies = np.zeros(items * OWN, np.uint8), np.zeros(-(-extent // 4), np.int64)
        words = np.zeros(runtime.WORDS, np.int64)
        words[runtime.EXCHANGE], words[runtime.QUEUES] = exchange.ctypes.data, queues.ctypes.data
        words[runtime.SHADOW], words[runtime.BYTES] = working.ctypes.data, extent
        words[runtime.SHARED] = working.ctypes.data + shadow_bytes(extent)
        if entry.groups:
            words[runtime.GROUPS], words[runtime.GROUP_BYTES] = owned.ctypes.data, OWN
            words[runtime.PROXIES] = proxies.ctypes.data
        held = (working, exchange, queues, owned, proxies)
        return cls(words, aligned(items * entry.frame), fresh, held)


def tabled(blocks: Sequence[Block]) -> NDArray[np.int64]:
    rows = [(b.address, b.address + b.size, b.shadow.ctypes.data) for b in blocks]
    return np.array(rows or [(0, 0, 0)], np.int64)


def passed(value: Any, type_: str) -> NDArray[np.int64]:
    """A parameter in the eight bytes that are its own."""
    room = np.zeros(8, np.uint8)
    raw = np.array([value], WORD[type_]).view(np.uint8)
    room[: len(raw)] = raw
    return room.view(np.int64)


def shadow_bytes(extent: int) -> int:
    return 16 * -(-extent // 4)


def fresh_of(arrays: Regions, extent: int) -> Bytes:
    """The shadow of shared memory and the memory itself, as a block finds them."""
    shadow = np.full((-(-extent // 4), 2), CLOSED, np.uint64)
    for at, size in arrays:
        shadow[at // 4 : -(-(at + size) // 4)] = 0
    fresh = aligned(shadow.nbytes + extent + 8)
    fresh[: shadow.nbytes] = shadow.reshape(-1).view(np.uint8)
    return fresh


def told(name: str, environment: NDArray[np.int64], entry: Translated) -> str:
    kind, line, address = (int(environment[i]) for i in (runtime.KIND, runtime.LINE, runtime.ADDRESS))
    thread, block = int(environment[runtime.TID]), int(environment[runtime.CTAID])
    where = f"address {address:#x}" if line else "some are elsewhere"
    return f"{runtime.FAULTS[kind]}: {name}, line {line} of the PTX, thread {thread} of block {block}, {where}"


def promoted(text: str) -> str:
    """The IR with registers as values, not as places in memory; nothing else is changed."""
    module = llvm.parse_assembly(text, llvm.create_context())
    module.verify()
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.run(module, llvm.create_pass_builder(code_generator(host(), 0), llvm.create_pipeline_tuning_options()))
    return str(module)
