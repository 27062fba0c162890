"""What this machine can do at most: multiply-adds and bytes per second, measured in the same run as all else.

Takes: a target. Promises: `peak` runs a native loop of independent fused multiply-adds on registers alone, on as many
threads at once as asked, and gives their GFLOP/s together (two operations each), each thread at its best window of
processor time. `bandwidth` walks as many tensors as a kernel does side by side, some cache lines of each in turn, each
thread its share, and does next to nothing with them; again and again, so that what fits a cache stays there, as it does
from step to step. The best window of the best of some such walks counts.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial, reduce

from jobspec.backends.llvm.compile import Compiler, Library
from jobspec.backends.llvm.emit import Function, Module
from jobspec.backends.llvm.engine import Memory
from jobspec.backends.llvm.machine import host
from jobspec.backends.llvm.values import Value, float_value, vector
from jobspec.ir.target import Target

#: sums under way: more than latency times throughput of any core, and they fit the registers of AVX2
SUMS = 12
TURNS = 100_000
WINDOWS = 200
#: bytes of a line; bytes by which tensors stand aside: they share no set of a cache
LINE, ASIDE = 64, 4096 + 5 * 64
#: bytes that a window moves at least (so that starting threads does not count), windows
MOVED, MOVES = 512 << 20, 7
#: walks over memory: lines of each tensor a turn, and whether what is written goes past the caches
WALKS = {"few": (1, False), "more": (2, False), "many": (4, False), "past": (2, True)}
MOST = 4
KIND = vector("float", LINE // 4)


def peak(threads: int = 1, target: Target | None = None) -> float:
    """GFLOP/s of float32 fused multiply-adds on `threads` threads together."""
    chosen = target or host()
    library = Library([Compiler(chosen).object_of(multiply_adds(chosen))], ["peak"], chosen)
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(library.addresses["peak"])
    with ThreadPoolExecutor(threads) as pool:
        best = list(pool.map(lambda _: best_window(run), range(threads)))
    library.close()
    flops = 2 * SUMS * chosen.lanes * TURNS
    return sum(flops / seconds for seconds in best) / 1e9


def best_window(run: Callable[[object, int], None]) -> float:
    """Least processor seconds of TURNS turns of the loop."""
    room = ctypes.create_string_buffer(64 * SUMS)
    return min(seconds_of(run, room) for _ in range(WINDOWS))


def seconds_of(run: Callable[[object, int], None], room: object) -> float:
    start = time.thread_time()
    run(room, TURNS)
    return time.thread_time() - start


@dataclass(frozen=True)
class Traffic:
    """Tensors of `size` bytes each that a step only reads, only writes, reads and writes."""

    read: int
    written: int
    updated: int
    size: int

    @property
    def blocks(self) -> int:
        return self.read + self.written + self.updated

    @property
    def moved(self) -> int:
        """Bytes of a step."""
        return self.size * (self.blocks + self.updated)


def bandwidth(traffic: Traffic, threads: int = 1) -> float:
    """GB/s."""
    chosen, step = host(), LINE * MOST
    size = traffic.size // (threads * step) * threads * step
    library = Library([Compiler(chosen).object_of(walks(traffic, size + ASIDE, chosen))], list(WALKS), chosen)
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)
    entries = [kind(library.addresses[name]) for name in WALKS]
    room = Memory(traffic.blocks * (size + ASIDE))
    room.bytes[:] = 0
    turns = -(-MOVED // traffic.moved)

    def share(walk: Callable[..., None], thread: int) -> None:
        walk(room.address, size // threads * thread, size // threads * (thread + 1), turns)

    with ThreadPoolExecutor(threads) as pool:
        found = [clocked(pool, partial(share, walk), threads) for _ in range(MOVES) for walk in entries]
    library.close()
    room.close()
    return turns * traffic.moved / min(found) / 1e9


def clocked(pool: ThreadPoolExecutor, share: Callable[[int], None], threads: int) -> float:
    """Seconds until all threads have done their share."""
    start = time.perf_counter()
    list(pool.map(share, range(threads)))
    return time.perf_counter() - start


def walks(traffic: Traffic, apart: int, target: Target) -> str:
    """Those of WALKS (ptr first block, i64 first byte, i64 last byte, i64 turns)."""
    module = Module(target)
    for name, (lines, past) in WALKS.items():
        f = Function(module, name, [("ptr", "room"), ("i64", "first"), ("i64", "last"), ("i64", "turns")])
        module.add(f)
        again(f, lines, partial(walk, f, traffic, apart, past))
        f.ret()
    return module.text()


def again(f: Function, lines: int, once: Callable[[Sequence[Value]], list[Value]]) -> None:
    """As often as asked; sums that nobody reads would not be made, so they end up where they change nothing."""
    none = [Value(KIND, "zeroinitializer")] * lines
    whole = reduce(f.fadd, f.loop(0, f.params[3], 1, lambda _, *sums: once(sums), none))
    f.when(f.fcmp("uno", f.extract(whole, 0), float_value(0.0)), lambda: f.store(whole, f.params[0]))


def walk(f: Function, traffic: Traffic, apart: int, past: bool, sums: Sequence[Value]) -> list[Value]:
    """Once over all blocks."""
    room, first, last, _ = f.params

    def places(at: Value, i: int) -> list[Value]:
        return [f.offset(f.offset(room, at), LINE * i + apart * block) for block in range(traffic.blocks)]

    def turn(at: Value, *now: Value) -> list[Value]:
        return [line(f, traffic, places(at, i), so_far, past) for i, so_far in enumerate(now)]

    return f.loop(first, last, LINE * len(sums), turn, sums)


def line(f: Function, traffic: Traffic, places: Sequence[Value], now: Value, past: bool) -> Value:
    """A line of each block; what is read goes into the sum."""
    one = float_value(1.0, LINE // 4)
    for b, place in enumerate(places):
        if b < traffic.read:
            now = f.fadd(now, f.load(KIND, place, LINE))
        else:
            value = one if b < traffic.read + traffic.written else f.fadd(f.load(KIND, place, LINE), one)
            write = f.store_past if past else f.store
            write(value, place)
    return now


def multiply_adds(target: Target) -> str:
    """@peak(ptr result, i64 turns): SUMS vectors, each fma(sum, a, b) once a turn."""
    module = Module(target)
    f = Function(module, "peak", [("ptr", "result"), ("i64", "turns")])
    module.add(f)
    kind = vector("float", target.lanes)
    scale, more = float_value(0.5, target.lanes), float_value(1.0, target.lanes)

    def turn(_: Value, *sums: Value) -> Sequence[Value]:
        return [f.fma(s, scale, more) for s in sums]

    sums = f.loop(0, f.params[1], 1, turn, [Value(kind, "zeroinitializer")] * SUMS)
    for i, value in enumerate(sums):
        f.store(value, f.offset(f.params[0], 4 * target.lanes * i), 4)
    f.ret()
    return module.text()
