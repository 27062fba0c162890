"""What this machine can do at most: multiply-adds and bytes per second, measured in the same run as all else.

Takes: a target. Promises: `peak` runs a native loop of independent fused multiply-adds on registers alone, on as many
threads at once as asked, and gives their GFLOP/s together (two operations each), each thread at its best window of
processor time. `bandwidth` moves as many bytes as a kernel does: blocks that are only read, only written, or both, each
as large as asked and walked once by all threads, a share each.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

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
#: walks over memory; bytes of a line, lines a turn
MOVERS = ("read", "write", "update")
LINE, LINES = 64, 4
#: bytes that a window of `bandwidth` moves at least, windows
MOVED, MOVES = 64 << 20, 15


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
    """Bytes of memory that a step only reads, only writes, and reads and writes."""

    read: int
    written: int
    updated: int

    @property
    def moved(self) -> int:
        return self.read + self.written + 2 * self.updated


def bandwidth(traffic: Traffic, threads: int = 1) -> float:
    """GB/s, the best of some windows, each long enough to be told by a clock."""
    chosen = host()
    library = Library([Compiler(chosen).object_of(movers(chosen))], MOVERS, chosen)
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
    walks = [kind(library.addresses[name]) for name in MOVERS]
    blocks = [Memory(max(1, size)) for size in (traffic.read, traffic.written, traffic.updated)]
    for block in blocks:
        block.bytes[:] = 0
    turns = max(1, round(MOVED / max(1, traffic.moved)))

    def share(thread: int) -> None:
        for _ in range(turns):
            for walk, block in zip(walks, blocks, strict=True):
                first, last = (len(block.bytes) * i // threads // LINE * LINE for i in (thread, thread + 1))
                walk(block.address + first, last - first)

    with ThreadPoolExecutor(threads) as pool:
        seconds = min(clocked(lambda: list(pool.map(share, range(threads)))) for _ in range(MOVES))
    library.close()
    for block in blocks:
        block.close()
    return turns * traffic.moved / seconds / 1e9


def clocked(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def movers(target: Target) -> str:
    """@read, @write, @update (ptr block, i64 bytes): one walk over the block, four lines a turn."""
    module = Module(target)
    kind = vector("float", LINE // 4)
    for name in MOVERS:
        f = Function(module, name, [("ptr", "block"), ("i64", "bytes")])
        module.add(f)
        one = float_value(1.0, LINE // 4)

        def turn(at: Value, *sums: Value, name: str = name, f: Function = f, one: Value = one) -> Sequence[Value]:
            after = list(sums)
            for i in range(LINES):
                place = f.offset(f.offset(f.params[0], at), LINE * i)
                if name == "write":
                    f.store(one, place, LINE)
                    continue
                value = f.load(kind, place, LINE)
                if name == "read":
                    after[i] = f.fadd(after[i], value)
                else:
                    f.store(f.fadd(value, one), place, LINE)
            return after

        last = f.isub(f.params[1], LINE * LINES - 1)
        sums = f.loop(0, last, LINE * LINES, turn, [Value(kind, "zeroinitializer")] * LINES)
        # what nobody reads is not loaded: the sums end up where they change nothing
        whole = sums[0]
        for more in sums[1:]:
            whole = f.fadd(whole, more)
        if name == "read":
            f.when(f.icmp("slt", last, -LINE * LINES), lambda f=f, whole=whole: f.store(whole, f.params[0], 4))
        f.ret()
    return module.text()


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
