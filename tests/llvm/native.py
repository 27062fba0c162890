"""Kernels run natively on numpy arrays, and kernels written by hand.

Promises: `run_native` lays the arrays out as a plan would, compiles for any target, cuts the tasks as asked and
gives back what memory holds afterwards; `check` compares that with the reference interpreter, bit for bit.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobspec.backends.llvm import compile
from jobspec.backends.llvm.compile import Library
from jobspec.backends.llvm.convention import Native, Phase, Place
from jobspec.backends.llvm.kernels import generate
from jobspec.backends.llvm.machine import host, target_of
from jobspec.backends.llvm.module import Module
from jobspec.backends.reference.kernels import run_kernel
from jobspec.ir.kernel import Axis, Inst, Kernel, View
from jobspec.ir.plan import Schedule
from jobspec.ir.target import Target

Array = NDArray[Any]
DTYPES = {"float32": "f32", "int32": "i32", "uint32": "u32", "bool": "bool", "uint8": "u8", "uint16": "u16"}
TARGETS = (host(), target_of("x86-64-v3"), target_of("x86-64"))
FLAGS = 8
PLAIN = Schedule()
LINE = 64


@dataclass
class Body:
    """A kernel's body, inst by inst; methods give the inst's number."""

    axes: tuple[Axis, ...]
    insts: list[Inst] = field(default_factory=list)

    def inst(self, op: str, *args: int, dtype: str = "f32", **attrs: Any) -> int:
        self.insts.append(Inst(op, args, dtype, tuple(attrs.items())))
        return len(self.insts) - 1

    def load(self, buffer: int, *strides: int, offset: int = 0, dtype: str = "f32", turns: tuple[int, ...] = ()) -> int:
        return self.inst("load", dtype=dtype, view=View(buffer, offset, strides, turns))

    def store(self, x: int, buffer: int, *strides: int, offset: int = 0, flag: int = -1) -> None:
        self.inst("store", x, dtype=self.insts[x].dtype, view=View(buffer, offset, strides), flag=flag)

    def const(self, value: float) -> int:
        return self.inst("const", bits=int(np.float32(value).view(np.uint32)))

    def word(self, value: int, dtype: str = "i32") -> int:
        return self.inst("const", dtype=dtype, bits=value & 0xFFFFFFFF)

    def kernel(self, kind: str) -> Kernel:
        return Kernel("test", kind, self.axes, tuple(self.insts))


def axes(**roles: Sequence[int]) -> Body:
    """A body over axes given by role: axes(outer=[3, 4], row=[65])."""
    return Body(tuple(Axis(size, role) for role, sizes in roles.items() for size in sizes))


@dataclass
class Memory:
    """One block with all arrays in it, guard lines between them."""

    arrays: Sequence[Array]

    def __post_init__(self) -> None:
        sizes = [-(-a.nbytes // LINE) * LINE + LINE for a in self.arrays]
        self.offsets = [LINE + sum(sizes[:i]) for i in range(len(sizes) + 1)]
        whole = np.full(self.offsets[-1] + 4 * FLAGS + 2 * LINE, 0xA5, np.uint8)
        self.block = whole[-whole.ctypes.data % LINE :]
        for array, at in zip(self.arrays, self.offsets, strict=False):
            self.block[at : at + array.nbytes] = array.view(np.uint8)
        self.flags = self.block[self.offsets[-1] :][: 4 * FLAGS].view(np.int32)
        self.flags[:] = 0

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(Place("arena", i, DTYPES[str(a.dtype)]) for i, a in enumerate(self.arrays))

    @property
    def flag_place(self) -> Place:
        return Place("arena", len(self.arrays), "i32")

    @property
    def table(self) -> Array:
        """Where the arrays lie, and the flags."""
        return np.array([*self.offsets, *(self.offsets[-1] + 4 * flag for flag in range(1, FLAGS))], np.int64)

    def results(self) -> list[Array]:
        spots = zip(self.arrays, self.offsets, strict=False)
        return [self.block[at : at + a.nbytes].view(a.dtype) for a, at in spots]

    def untouched(self) -> bool:
        """Whether no guard byte has changed."""
        guard = np.ones(len(self.block), bool)
        for array, at in zip(self.arrays, self.offsets, strict=False):
            guard[at : at + array.nbytes] = False
        guard[self.offsets[-1] : self.offsets[-1] + 4 * FLAGS] = False
        return bool((self.block[: len(guard)][guard[: len(self.block)]] == 0xA5).all())


def scratch(size: int) -> Array:
    block = np.full(size + 2 * LINE, 0x5A, np.uint8)
    return block[-block.ctypes.data % LINE :]


@dataclass
class Compiled:
    """A kernel ready to run on a memory of the same layout."""

    native: Native
    library: Library
    turns: int

    def run(self, memory: Memory, cuts: int = 1, turns: tuple[int, ...] = ()) -> None:
        """All phases, each phase's tasks cut in `cuts` pieces that run in reverse order."""
        common, own, table = scratch(self.native.shared), scratch(self.native.private), memory.table
        for phase in self.native.phases:
            for low, high in reversed(pieces(phase, cuts)):
                words = [ctypes.c_int64(i) for i in (low, high)]
                blocks = [memory.block, memory.block, common, own]
                pointers = [ctypes.c_void_p(b.ctypes.data) for b in blocks]
                self.function(phase)(*pointers, *words, table.ctypes.data, *turns)

    def function(self, phase: Phase) -> Any:
        word, pointer = ctypes.c_int64, ctypes.c_void_p
        types = [pointer] * 4 + [word] * 2 + [pointer] + [word] * self.turns
        return ctypes.CFUNCTYPE(None, *types)(self.library.addresses[phase.symbol])


def pieces(phase: Phase, cuts: int) -> list[tuple[int, int]]:
    borders = [phase.tasks * i // cuts for i in range(cuts + 1)]
    return list(pairwise(borders))


@lru_cache(256)
def emit(text: str, target: Target, level: int) -> bytes:
    """The object of a text; many tests run one kernel on other numbers."""
    return compile.emit(text, target, level)


def compiled(
    kernel: Kernel,
    memory: Memory,
    target: Target = TARGETS[0],
    level: int = 2,
    schedule: Schedule = PLAIN,
    turns: int = 0,
) -> Compiled:
    module = Module(target)
    native = generate(module, "k", kernel, schedule, memory.places, memory.flag_place)
    data = emit(module.text(), target, level)
    return Compiled(native, Library([data], [p.symbol for p in native.phases], target), turns)


def check(
    kernel: Kernel,
    arrays: Sequence[Array],
    target: Target = TARGETS[0],
    level: int = 2,
    cuts: Sequence[int] = (1, 2),
    turns: tuple[int, ...] = (),
    schedule: Schedule = PLAIN,
) -> Native:
    """The native kernel leaves in memory exactly what the interpreter leaves, flags included."""
    expected, flags = [a.copy() for a in arrays], np.zeros(FLAGS, np.int32)
    run_kernel(kernel, expected, flags, turns)
    code: Compiled | None = None
    for cut in cuts:
        memory = Memory(arrays)
        code = code or compiled(kernel, memory, target, level, schedule, len(turns))
        code.run(memory, cut, turns)
        for number, (wanted, found) in enumerate(zip(expected, memory.results(), strict=True)):
            same(wanted, found, f"buffer {number}, {cut} cuts, {target.cpu}")
        assert memory.flags.tolist() == flags.tolist(), "flags"
        assert memory.untouched(), "a byte outside the buffers was written"
    assert code is not None
    code.library.close()
    return code.native


def same(wanted: Array, found: Array, where: str) -> None:
    """Equal bits; the first difference is shown."""
    bits = f"u{wanted.dtype.itemsize}"
    wrong = np.flatnonzero(wanted.view(bits) != found.view(bits))
    if len(wrong):
        at = int(wrong[0])
        first = f"first at {at}: {found[at]!r}, not {wanted[at]!r}"
        raise AssertionError(f"{where}: {len(wrong)} of {wanted.size} differ, {first}")


def numbers(count: int, seed: int = 0, special: bool = False) -> Array:
    """float32 of mixed magnitude; `special`: with zeros of both signs, subnormals, infinities and NaNs among them."""
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal(count) * 2.0 ** rng.integers(-3, 4, count)).astype(np.float32)
    if special:
        odd = np.array([0.0, -0.0, 1e-45, -1e-40, 1e-38, np.inf, -np.inf, np.nan, 1.0, -1.0], np.float32)
        x = np.where(rng.random(count) < 0.2, odd[rng.integers(0, len(odd), count)], x)
    return x
