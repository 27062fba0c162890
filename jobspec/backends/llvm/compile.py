"""Modules of text IR to machine code in memory, by way of a cache of objects.

Takes: the text of modules, a Target, a code generation level, a cache folder or none. Promises: equal
text, target and level give equal objects; no optimisation pipeline runs, so nothing is reassociated
or contracted. A cached object is used only if it carries its own digest under the right key; any
other entry is compiled again and replaced. A cache that cannot be written is a cache that is not used.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import PriorityQueue
from typing import Any

import llvmlite
import llvmlite.binding as llvm
from llvmlite.binding import ffi

from jobspec.backends.kept import Kept
from jobspec.backends.llvm.machine import LEVEL, code_generator
from jobspec.ir.canonical import Value
from jobspec.ir.digest import Digest, digest_value
from jobspec.ir.target import Target

#: raised whenever the bytes of a cached object would mean something else
FORMAT = 1


@dataclass(frozen=True)
class Compiler:
    """How modules become objects. `cache`: folder of objects, made when needed."""

    target: Target
    level: int = LEVEL
    cache: Path | None = None

    def object_of(self, text: str) -> bytes:
        """The object file of one module. Safe from any thread."""
        return self._entry(text)[1]

    def objects_of(self, texts: Iterable[str], threads: int) -> list[bytes]:
        """The objects of modules, each compiled as soon as its text is there."""
        return [body for _, body in self.entries_of(texts, threads)]

    def entries_of(self, texts: Iterable[str], threads: int) -> list[tuple[Digest, bytes]]:
        """The objects of modules with their keys. Of the texts that are there the longest is compiled next, so that the
        threads come to their end together."""
        waiting: PriorityQueue[tuple[int, int, str]] = PriorityQueue()

        def compile_longest() -> tuple[int, tuple[Digest, bytes]]:
            _, number, text = waiting.get_nowait()
            return number, self._entry(text)

        with ThreadPoolExecutor(threads, "jobspec-compile") as pool:
            futures = []
            for number, text in enumerate(texts):
                waiting.put((-len(text), number, text))
                futures.append(pool.submit(compile_longest))
            found = dict(future.result() for future in futures)
        return [found[number] for number in range(len(found))]

    def _entry(self, text: str) -> tuple[Digest, bytes]:
        key = self.key(text)
        found = self.kept.recall(key)
        if found is None:
            found = emit(text, self.target, self.level)
            self.kept.keep(key, found)
        return key, found

    def key(self, text: str) -> Digest:
        """Name of the object of a text."""
        return self.key_of("llvm.object.key", [text])

    def key_of(self, domain: str, what: Sequence[Value]) -> Digest:
        """Name of something that is made of `what`: everything else that decides its bytes is added."""
        versions = [FORMAT, llvmlite.__version__, ".".join(map(str, llvm.llvm_version_info))]
        machine = [llvm.get_process_triple(), self.target.cpu, self.target.features, self.level]
        return digest_value(domain, [*versions, *machine, *what])

    @property
    def kept(self) -> Kept:
        return Kept(self.cache)


def emit(text: str, target: Target, level: int) -> bytes:
    """Parse, verify, generate code. Raises RuntimeError for a text that is not a valid module: our own mistake."""
    context = llvm.create_context()
    module = llvm.parse_assembly(text, context)
    module.verify()
    machine = code_generator(target, level)
    return _emit_unlocked(machine, module)


def _emit_unlocked(machine: llvm.TargetMachine, module: llvm.ModuleRef) -> bytes:
    """llvmlite holds one lock around every call of LLVM. Code generation needs none (module, context and machine
    are this thread's own), and under the lock modules would not compile in parallel."""
    with ffi.OutputString() as error:
        buffer = _unlocked_emitter()(machine, module, 1, error)
        if not buffer:
            raise RuntimeError(str(error))
    try:
        start, size = ffi.lib.LLVMPY_GetBufferStart(buffer), ffi.lib.LLVMPY_GetBufferSize(buffer)
        return ctypes.string_at(start, size)
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)


@cache
def _unlocked_emitter() -> Callable[..., Any]:
    """llvmlite's own entry, through a handle without its lock."""
    locked = ffi.lib.LLVMPY_TargetMachineEmitToMemory
    emitter = ctypes.CDLL(ffi.lib._name).LLVMPY_TargetMachineEmitToMemory
    emitter.argtypes, emitter.restype = locked.argtypes, locked.restype
    return emitter


class Library:
    """Objects linked together and loaded; addresses hold while it is alive."""

    _count = itertools.count()

    def __init__(self, objects: Sequence[bytes], exports: Sequence[str], target: Target) -> None:
        builder = llvm.JITLibraryBuilder().add_current_process()
        for data in objects:
            builder.add_object_img(data)
        for name in exports:
            builder.export_symbol(name)
        self._jit = llvm.create_lljit_compiler(code_generator(target, LEVEL))
        self._loaded = builder.link(self._jit, f"jobspec-{next(Library._count)}")
        self.addresses = {name: self._loaded[name] for name in exports}

    def close(self) -> None:
        """Unload; no address may be called any more."""
        self._loaded.close()
        self._jit.close()
