"""A routine's native code for another processor, run by an emulator of user programs.

Takes: a plan for an aarch64 target. Promises: `run` compiles the very modules that a session would load there, team
included, links them with a small C program, runs that under `qemu-aarch64`, and gives the arena afterwards.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
from numpy.typing import NDArray

from jobspec.backends.llvm import driver as drivers
from jobspec.backends.llvm import machine
from jobspec.backends.llvm.compile import emit
from jobspec.backends.llvm.driver import Driver
from jobspec.backends.llvm.machine import LEVEL
from jobspec.ir.plan import Routine
from jobspec.ir.target import Target

TRIPLE = "aarch64-unknown-linux-gnu"
#: a core with NEON: 4 lanes, 32 registers
AARCH64 = Target("llvm", "cortex-a72", "+neon,+fp-armv8", 4, 32)
TOOLS = ("qemu-aarch64", "aarch64-linux-gnu-gcc")
Bytes = NDArray[np.uint8]

#: reads sizes, arena and batches; runs; writes the arena
MAIN = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
struct job { int64_t arena, feeds, feed, reports, report, shared, private_, own, first, count, team; };
int64_t run(struct job *);
static void *block(int64_t size) { void *p = aligned_alloc(4096, (size / 4096 + 1) * 4096); return p; }
int main(void) {
  int64_t n[8];  /* arena, feed, reports, shared, own, first, count, team */
  if (fread(n, 8, 8, stdin) != 8) return 2;
  char *arena = block(n[0]), *feeds = block(n[1] * n[6]);
  if (fread(arena, 1, n[0], stdin) != (size_t)n[0]) return 3;
  if (fread(feeds, 1, n[1] * n[6], stdin) != (size_t)(n[1] * n[6])) return 4;
  struct job job = {(int64_t)arena, (int64_t)feeds, n[1], (int64_t)block(n[2] * n[6]), n[2], (int64_t)block(n[3]),
                    (int64_t)block(n[4] * n[7]), n[4], n[5], n[6], n[7]};
  if (run(&job) != n[6]) return 5;
  fwrite(arena, 1, n[0], stdout);
  return 0;
}
"""


def need_tools() -> None:
    """Skip the test where a tool is missing."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        packages = "qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
        pytest.skip(f"needs {', '.join(missing)}: apt-get install {packages}")


def build(routine: Routine, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """The program `folder/program` of a routine."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    for module in (machine, drivers):
        monkeypatch.setattr(module, "triple", lambda: TRIPLE)
    driver = Driver(routine, AARCH64)
    names = ["main.c"]
    (folder / "main.c").write_text(MAIN)
    for i, text in enumerate(driver.modules()):
        names.append(f"{i}.o")
        (folder / names[-1]).write_bytes(emit(text, AARCH64, LEVEL))
    monkeypatch.undo()
    words = ["aarch64-linux-gnu-gcc", "-O1", "-static", *names, "-o", "program", "-lpthread"]
    subprocess.run(words, cwd=folder, check=True)
    return driver


def run(driver: Driver, folder: Path, arena: Bytes, feeds: Bytes, threads: int) -> Bytes:
    """The arena after one step for each row of `feeds`, from step 0 on."""
    own = (-(-driver.private // 64) | 1) * 64
    sizes = (len(arena), feeds.shape[1], 4 * len(driver.routine.reports), driver.shared, own, 0, len(feeds), threads)
    given = struct.pack("<8q", *sizes) + arena.tobytes() + np.ascontiguousarray(feeds).tobytes()
    done = subprocess.run(["qemu-aarch64", str(folder / "program")], input=given, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8)
