"""What this machine can do at most: multiply-adds of float32 per second, measured in the same run as all else.

Takes: a target. Promises: `peak` runs a native loop of independent fused multiply-adds on registers alone, on as many
threads at once as asked, and gives their GFLOP/s together (two operations each), each thread at its best window of
processor time.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from jobspec.backends.llvm.compile import Compiler, Library
from jobspec.backends.llvm.emit import Function, Module
from jobspec.backends.llvm.machine import host
from jobspec.backends.llvm.values import Value, float_value, vector
from jobspec.ir.target import Target

#: sums under way: more than latency times throughput of any core, and they fit the registers of AVX2
SUMS = 12
TURNS = 100_000
WINDOWS = 200


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
