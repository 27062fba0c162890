"""A stand-in for libcuda.so.1 under pycuda as it is: `python -m tests.cuda.libcuda FOLDER STEPS` trains on it.

Takes: a C compiler, to make a library whose every function asks this process what to do. Promises: contexts, memory,
streams, events, modules and captured graphs as far as pycuda and backends/cuda/graphs.py use them; kernels are the
PTX that they are given. Any other function answers that it is not supported.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.cuda.machine.machine import Block, Program

WORD = ctypes.POINTER(ctypes.c_long)
#: the most arguments a function has
ARGUMENTS = 11
UNSUPPORTED, ABSENT, INVALID = 801, 201, 1
#: attributes of functions and devices; bytes that a block may share, by asking and without
MAX_DYNAMIC_SHARED, SHARED_BY_ASKING = 8, 97
MOST_SHARED, EVERY_SHARED = 227 * 1024, 48 * 1024
SAID = ctypes.create_string_buffer(b"the stand-in cannot do this")
HEAD = """
typedef int (*asked)(const char*, long*);
static asked handler;
void set_handler(asked h) { handler = h; }
"""
PARAMETERS = ", ".join(f"long a{i}" for i in range(ARGUMENTS))
LISTED = ", ".join(f"a{i}" for i in range(ARGUMENTS))
FUNCTION = f'int NAME({PARAMETERS}) {{ long a[] = {{{LISTED}}}; return handler("NAME", a); }}\n'
GRAPHS = (
    "cuStreamBeginCapture_v2",
    "cuStreamEndCapture",
    "cuGraphInstantiateWithFlags",
    "cuGraphDestroy",
    "cuGraphLaunch",
    "cuGraphExecDestroy",
    "cuEventRecordWithFlags",
    "cuEventElapsedTime",
    "cuCtxPopCurrent_v2",
    "cuCtxSynchronize",
)
#: what waits for work, and so is told how it ended; what answers all the same
WORK = ("cuStreamSynchronize", "cuCtxSynchronize")
ALWAYS = ("cuGetErrorString", "cuCtxPushCurrent", "cuCtxPopCurrent", "cuDevicePrimaryCtxRelease", "cuDeviceGet")
#: NVRTC looks for a driver too, and asks it for these
PROBED = ("cuGetProcAddress", "cuGetProcAddress_v2", "cuGetExportTable")


def made(folder: Path, names: Sequence[str]) -> Path:
    """The library, every one of `names` a function of it."""
    source, library = folder / "stand_in.c", folder / "libcuda.so.1"
    source.write_text(HEAD + "".join(FUNCTION.replace("NAME", name) for name in names))
    command = ["gcc", "-shared", "-fPIC", "-O1", f"-Wl,-soname,{library.name}", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    return library


def wanted(extension: Path) -> list[str]:
    """The functions of the driver that a library leaves to it."""
    done = subprocess.run(["nm", "-D", "--undefined-only", str(extension)], capture_output=True, text=True, check=True)
    listed = (line.split()[-1].partition("@")[0] for line in done.stdout.splitlines())
    return sorted({*(name for name in listed if name.startswith("cu")), *GRAPHS, *PROBED})


class Device:
    """What the library's functions do. `asked`: their names, in order; `fails`: a function and the number that it
    answers with; if the work is what failed, all others do from then on, as long as the context is there."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails: tuple[str, int] = ("", 0)
        self.lost = 0
        self.blocks: dict[int, Block] = {}
        self.hosts: dict[int, Any] = {}
        self.modules: list[Program | None] = []
        self.functions: list[tuple[int, str]] = []
        self.allowed: dict[int, int] = {}
        self.faults: list[str] = []
        self.graphs: list[list[Callable[[], None]]] = []
        self.capturing: dict[int, list[Callable[[], None]]] = {}
        self.contexts = 0

    def answer(self, name: bytes, args: Any) -> int:
        """One call; its error number."""
        function = name.decode().partition("_v")[0]
        self.asked.append(name.decode())
        if function == self.fails[0]:
            self.lost = self.fails[1] if function in WORK else 0
            return self.fails[1]
        if self.lost and function not in ALWAYS:
            return self.lost
        method = getattr(self, function, None)
        return UNSUPPORTED if method is None else int(method(args) or 0)

    # ---- device and context

    def cuInit(self, a: Any) -> None:
        pass

    cuCtxSynchronize = cuStreamSynchronize = cuStreamDestroy = cuEventDestroy = cuInit
    cuStreamWaitEvent = cuEventRecord = cuGraphDestroy = cuGraphExecDestroy = cuInit
    cuEventSynchronize = cuFuncSetBlockShape = cuInit

    def cuGetErrorString(self, a: Any) -> None:
        ctypes.c_void_p.from_address(a[1]).value = ctypes.addressof(SAID)

    def cuDriverGetVersion(self, a: Any) -> None:
        ctypes.c_int.from_address(a[0]).value = 13000

    def cuDeviceGetCount(self, a: Any) -> None:
        ctypes.c_int.from_address(a[0]).value = 1

    def cuDeviceGet(self, a: Any) -> None:
        ctypes.c_int.from_address(a[0]).value = 0

    cuCtxGetDevice = cuDeviceGet

    def cuDeviceGetName(self, a: Any) -> None:
        ctypes.memmove(a[0], b"a stand-in\0", 11)

    def cuDeviceComputeCapability(self, a: Any) -> None:
        ctypes.c_int.from_address(a[0]).value, ctypes.c_int.from_address(a[1]).value = 9, 0

    def cuDevicePrimaryCtxRetain(self, a: Any) -> None:
        self.contexts += 1
        ctypes.c_long.from_address(a[0]).value = 0x100

    def cuCtxPushCurrent(self, a: Any) -> int:
        return 0 if self.contexts else ABSENT

    def cuCtxPopCurrent(self, a: Any) -> int:
        return 0 if self.contexts else ABSENT

    def cuDevicePrimaryCtxRelease(self, a: Any) -> None:
        """With the last user go the context, what it held, and what was wrong with it."""
        self.contexts -= 1
        if self.contexts == 0 and self.lost:
            self.lost = 0
            self.blocks.clear()
            self.modules = [None] * len(self.modules)

    def cuDeviceGetAttribute(self, a: Any) -> int:
        if a[1] & 0xFFFFFFFF != SHARED_BY_ASKING:
            return UNSUPPORTED
        ctypes.c_int.from_address(a[0]).value = MOST_SHARED
        return 0

    def cuCtxGetApiVersion(self, a: Any) -> None:
        ctypes.c_int.from_address(a[1]).value = 13000

    # ---- memory

    def cuMemGetInfo(self, a: Any) -> None:
        ctypes.c_long.from_address(a[0]).value = ctypes.c_long.from_address(a[1]).value = 2**31

    def cuMemAlloc(self, a: Any) -> None:
        block = Block(a[1])
        self.blocks[block.address] = block
        ctypes.c_long.from_address(a[0]).value = block.address

    def cuMemFree(self, a: Any) -> None:
        del self.blocks[a[0]]

    def cuMemHostAlloc(self, a: Any) -> None:
        memory = ctypes.create_string_buffer(a[1])
        self.hosts[ctypes.addressof(memory)] = memory
        ctypes.c_long.from_address(a[0]).value = ctypes.addressof(memory)

    def cuMemFreeHost(self, a: Any) -> None:
        del self.hosts[a[0]]

    def cuMemsetD8(self, a: Any) -> None:
        ctypes.memset(a[0], a[1] & 255, a[2])

    def cuMemcpyHtoD(self, a: Any) -> None:
        ctypes.memmove(a[0], a[1], a[2])

    cuMemcpyDtoH = cuMemcpyHtoD

    def cuMemcpyHtoDAsync(self, a: Any) -> None:
        self._queue(a[3], lambda to=a[0], source=a[1], size=a[2]: ctypes.memmove(to, source, size))

    cuMemcpyDtoHAsync = cuMemcpyHtoDAsync

    # ---- streams, events, graphs

    def cuStreamCreate(self, a: Any) -> None:
        ctypes.c_long.from_address(a[0]).value = 0x1000 + 16 * len(self.asked)

    cuEventCreate = cuStreamCreate

    def _queue(self, stream: int, work: Callable[[], Any]) -> None:
        """Into the graph that is being captured on the stream, or at once."""
        if stream in self.capturing:
            self.capturing[stream].append(work)
        else:
            work()

    def cuStreamBeginCapture(self, a: Any) -> None:
        self.capturing[a[0]] = []

    def cuStreamEndCapture(self, a: Any) -> None:
        self.graphs.append(self.capturing.pop(a[0]))
        ctypes.c_long.from_address(a[1]).value = len(self.graphs)

    def cuGraphInstantiateWithFlags(self, a: Any) -> None:
        ctypes.c_long.from_address(a[0]).value = a[1]

    def cuGraphLaunch(self, a: Any) -> None:
        for work in self.graphs[a[0] - 1]:
            self._queue(a[1], work)

    # ---- programs

    def cuModuleLoadDataEx(self, a: Any) -> None:
        self.modules.append(Program(ctypes.string_at(a[1]).decode(), watched=False))
        ctypes.c_long.from_address(a[0]).value = len(self.modules)

    cuModuleLoadData = cuModuleLoadDataEx

    def cuModuleGetFunction(self, a: Any) -> int:
        program, name = self.modules[a[1] - 1], ctypes.string_at(a[2]).decode()
        if program is None or name not in program.entries:
            return 500
        self.functions.append((a[1] - 1, name))
        ctypes.c_long.from_address(a[0]).value = len(self.functions)
        return 0

    def cuFuncSetAttribute(self, a: Any) -> int:
        """Leave for more shared memory than every block may have."""
        value = a[2] & 0xFFFFFFFF
        if a[1] & 0xFFFFFFFF != MAX_DYNAMIC_SHARED or value > MOST_SHARED:
            return INVALID
        self.allowed[a[0] - 1] = value
        return 0

    def cuModuleUnload(self, a: Any) -> None:
        self.modules[a[0] - 1] = None

    def cuLaunchKernel(self, a: Any) -> int:
        module, name = self.functions[a[0] - 1]
        program = self.modules[module]
        assert program is not None
        groups, items, shared = (a[i] & 0xFFFFFFFF for i in (1, 4, 7))
        if shared > self.allowed.get(a[0] - 1, EVERY_SHARED):
            return INVALID
        args = unpacked(program.entries[name].params, ctypes.c_long.from_address(a[10] + 8).value)
        self._queue(a[8], lambda: self._launch(module, name, groups, items, args, shared))
        return 0

    def _launch(self, module: int, name: str, groups: int, items: int, args: list[Any], shared: int) -> None:
        program = self.modules[module]
        if program is None:
            self.faults.append(f"{name} is launched after its module was unloaded")
        else:
            program.launch(name, groups, items, args, list(self.blocks.values()), shared=[(0, shared)])


SIZES = {"u64": np.uint64, "f32": np.float32, "u32": np.uint32, "s32": np.int32}


def unpacked(types: Sequence[str], address: int) -> list[Any]:
    """The arguments of a launch as they lie one behind the other, each at a multiple of its size."""
    found, at = [], 0
    for type_ in types:
        kind = np.dtype(SIZES[type_])
        at = -(-at // kind.itemsize) * kind.itemsize
        found.append(np.frombuffer(ctypes.string_at(address + at, kind.itemsize), kind)[0])
        at += kind.itemsize
    return found


def installed(folder: Path) -> Device:
    """The stand-in in the place of the driver, before pycuda is loaded."""
    from importlib.util import find_spec

    package = find_spec("pycuda")
    assert package is not None and package.origin is not None
    (extension,) = Path(package.origin).parent.glob("_driver*.so")
    library = ctypes.CDLL(str(made(folder, wanted(extension))), mode=ctypes.RTLD_GLOBAL)
    device = Device()
    handler = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, WORD)(device.answer)
    library.set_handler(handler)
    device.hosts[0] = handler
    return device


def main(folder: Path, steps: int) -> None:
    device = installed(folder)
    from jobspec.backends.cuda.pycuda_driver import PycudaDriver
    from jobspec.backends.cuda.session import opened
    from jobspec.backends.cuda.target import target_of
    from jobspec.passes.pipeline import compile_job
    from jobspec.store.home import Home
    from tests.spec_jobs import SMALL, on_made_up
    from tests.specs.test_same_bits import trained

    PycudaDriver.machine_code = False
    work = on_made_up("digits", Home(folder), SMALL["digits"])
    plan = compile_job(work.job, target_of(90))
    session = opened(plan, PycudaDriver, None)
    found = trained(session, work, plan, steps)
    session.close()
    left = [len(device.blocks), device.contexts]
    said = {"first": str(found.first), "last": str(found.last), "reports": found.reports.hex()}
    print(
        json.dumps(
            {
                **said,
                "left": left,
                "faults": device.faults,
                "graphs": device.asked.count("cuGraphLaunch"),
                "asked": device.asked,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
