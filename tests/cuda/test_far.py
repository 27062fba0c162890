"""Buffers that lie far behind the beginning of memory: their addresses, and the assembler that ended on them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobspec.backends.c.routine import render_routine
from jobspec.backends.c.source import names
from jobspec.backends.cuda.nvrtc import compile_text
from tests.cuda.machine.machine import Block, Program
from tests.trios import Shape, gradient

pytestmark = pytest.mark.cuda
#: one of those that NVRTC 13.0 ended on
PLACE = 0x25B584B40
#: in a process of its own, which it might take along
COMPILE = """
import sys
from jobspec.backends.cuda.nvrtc import compile_text
assert compile_text(open(sys.argv[1]).read(), int(sys.argv[2])).code
"""


@pytest.mark.parametrize("level", [90, 120])
def test_far_places_are_what_they_are(level: int) -> None:
    text = "KERNEL k(long* x, float one) { x[0] = FAR(0x25B584B40l); x[1] = FAR(0xFFFFFFFF80000000l); }\n"
    program, block = Program(compile_text(names("cuda") + text, level, machine=False).ptx), Block(16)
    program.launch("k", 1, 1, [block.address, np.float32(1)], [block])
    assert block.bytes.view(np.int64).tolist() == [PLACE, -(2**31)]
    program.close()


def test_kernels_far_from_the_beginning_are_assembled(tmp_path: Path) -> None:
    """Attention as one launch, as in t5_small, for sm_120."""
    routine, _ = gradient(Shape(1, 8, 112, 112, 64, 64), rows=32)
    far = replace(routine, buffers=tuple(replace(b, offset=b.offset + PLACE) for b in routine.buffers))
    rendered = render_routine(far, "cuda").text
    assert f"arena + FAR({PLACE + routine.buffers[0].offset}l)" in rendered
    text = tmp_path / "far.cu"
    text.write_text(rendered)
    done = subprocess.run([sys.executable, "-c", COMPILE, str(text), "120"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
