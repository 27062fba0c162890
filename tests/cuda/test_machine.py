"""The machine that runs PTX finds what it is there to find: each fault is planted in a kernel, and named."""

from __future__ import annotations

import numpy as np
import pytest

from jobspec.backends.cuda.nvrtc import compile_text
from tests.cuda.machine.machine import Block, Fault, Program

pytestmark = pytest.mark.cuda
SIZE, ITEMS = 256, 64
HEAD = 'extern "C" __global__ void k(float* x) {\n  const int i = threadIdx.x, b = blockIdx.x * 64;\n'


def run(body: str, groups: int = 2, backwards: bool = False) -> np.ndarray:
    """128 numbers 0, 1, 2, … after the kernel, run by `groups` blocks of 64 threads."""
    program = Program(compile_text(HEAD + body + "\n}\n", 90, machine=False).ptx)
    mask = np.ones(4 * SIZE, np.uint8)
    mask[4 * 128 :] = 0
    block = Block(4 * SIZE, mask)
    block.bytes.view(np.float32)[:] = np.arange(SIZE)
    try:
        program.launch("k", groups, ITEMS, [block.address], [block], backwards)
        return block.bytes.view(np.float32)[:128].copy()
    finally:
        program.close()


TURNED = """
  __shared__ float s[64];
  s[i] = x[b + i];
  __syncthreads();
  x[b + i] = s[63 - i];
"""


@pytest.mark.parametrize("backwards", [False, True])
def test_a_right_kernel_runs(backwards: bool) -> None:
    found = run(TURNED, backwards=backwards)
    assert found.tolist() == [*range(63, -1, -1), *range(127, 63, -1)]


@pytest.mark.parametrize(
    ("picked", "picks"),
    [
        ("unsigned r = __byte_perm(n, ~n, 0x3340);", 0x3340),
        ('unsigned r, s = 0x1c0 + i - i; asm("prmt.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(n), "r"(~n), "r"(s));', 0x1C0),
    ],
)
def test_bytes_are_taken_from_two_words(picked: str, picks: int) -> None:
    """Which ones a number says, or a register; the upper bit of four asks for the sign."""
    found = run(f"int n = i * 0x05020304; {picked} x[b + i] = r & 0xffffff;")
    assert found.tolist() == [permuted(i, picks) for i in range(64)] * 2


def permuted(i: int, picks: int) -> int:
    """The lower three bytes."""
    n = i * 0x05020304 & 0xFFFFFFFF
    held = (n | (n ^ 0xFFFFFFFF) << 32).to_bytes(8, "little")
    chosen = [(held[p & 7], p & 8) for p in (picks >> 4 * k & 15 for k in range(3))]
    return int.from_bytes([255 * (byte >> 7) if sign else byte for byte, sign in chosen], "little")


def test_bits_are_cut_out() -> None:
    body = "int n = i * 0x05020304; x[b + i] = (n >> 9 & 255) + 1000 * ((n << 7) >> 27);"
    words = [i * 0x05020304 & 0xFFFFFFFF for i in range(64)]
    high = [(n >> 20 & 31) - 32 * (n >> 24 & 1) for n in words]
    assert run(body).tolist() == [(n >> 9 & 255) + 1000 * h for n, h in zip(words, high, strict=True)] * 2


def test_registers_live_over_barriers() -> None:
    """In a loop with a barrier in it, as sums through shared memory have."""
    body = """
      __shared__ float s[64];
      float sum = 0.0f;
      for (int turn = 0; turn < 5; ++turn) {
        __syncthreads();
        s[i] = x[b + i] + turn;
        __syncthreads();
        for (int j = 0; j < 64; j += 8) sum += s[(i + j) % 64];
      }
      x[b + i] = sum;
    """
    start = np.arange(128, dtype=np.float32).reshape(2, 64)
    wanted = [[sum(5 * row[(i + j) % 64] + 10 for j in range(0, 64, 8)) for i in range(64)] for row in start]
    assert run(body).reshape(2, 64).tolist() == wanted


#: on the side, turned round: what a thread copies is there for the others behind its wait and a barrier
ASIDE = """
  __shared__ __align__(16) float s[64];
  const unsigned into = (unsigned)__cvta_generic_to_shared(s + i);
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" :: "r"(into), "l"(x + b + i) : "memory");
  asm volatile("cp.async.wait_all;" ::: "memory");
  __syncthreads();
  x[b + i] = s[63 - i];
"""
WAIT = 'asm volatile("cp.async.wait_all;" ::: "memory");'
#: four matrices of 8 × 8 numbers of 16 bits, row by row; `t` names a row for each thread
TAKEN = """
  __shared__ __align__(16) unsigned short s[2][4][8][8];
  for (int n = 0; n < 8; ++n) (&s[i / 32][0][0][0])[i % 32 * 8 + n] = i % 32 * 8 + n;
  __syncthreads();
  unsigned r0, r1, r2, r3;
  const int lane = i % 32;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r0), "=r"(r1), "=r"(r2), "=r"(r3)
               : "r"((unsigned)__cvta_generic_to_shared(&s[i / 32][lane / 8][lane % 8][0])) : "memory");
  x[b + i] = (r0 & 0xffff) + 1000.0f * (r0 >> 16) + r3;
"""


def test_copies_on_the_side() -> None:
    for backwards in (False, True):
        assert run(ASIDE, backwards=backwards).tolist() == [*range(63, -1, -1), *range(127, 63, -1)]


@pytest.mark.parametrize("turned", [False, True])
def test_rows_of_matrices(turned: bool) -> None:
    """Thread 4 r + c gets numbers 2 c and 2 c + 1 of row r; turned, number r of rows 2 c and 2 c + 1."""
    number = np.arange(256, dtype=np.float32).reshape(4, 8, 8)
    taken = np.swapaxes(number, 1, 2) if turned else number
    low, high = (taken[:, :, odd::2].reshape(4, 32) for odd in (0, 1))
    wanted = low[0] + 1000 * high[0] + (low[3] + 65536 * high[3]).astype(np.float32)
    body = TAKEN.replace(".x4.", ".x4.trans.") if turned else TAKEN
    assert (run(body).reshape(4, 32) == wanted).all()


FAULTS = {
    "a copy that nobody waits for": (ASIDE.replace(WAIT, ""), "shared memory read before it is written"),
    "a copy that is waited for behind the barrier": (
        ASIDE.replace(WAIT, "").replace("__syncthreads();", "__syncthreads(); " + WAIT),
        "shared memory read before it is written",
    ),
    "a copy over what others still read": (
        "  __shared__ float s[64]; s[i] = 1.0f; __syncthreads(); x[b + i] += s[63 - i];"
        + ASIDE.replace("__shared__ __align__(16) float s[64];", ""),
        "race in shared memory",
    ),
    "a copy that is written over": (
        ASIDE.replace(WAIT, "__syncthreads(); s[63 - i] = 0.0f; __syncthreads(); " + WAIT),
        "race in shared memory",
    ),
    "a copy that is not aligned": (ASIDE.replace("], 4;", "], 16;").replace(".ca.", ".cg."), "misaligned access"),
    "four neighbours that are not aligned": (
        "  if (i == 0) { const float4 y = *(const float4*)(x + b + 1); x[b] = y.x + y.w; }",
        "misaligned access",
    ),
    "a row of a matrix that is not aligned": (
        TAKEN.replace("[lane % 8][0]", "[lane % 8][lane / 31 * 2]"),
        "misaligned access",
    ),
    "a matrix that others still write": (TAKEN.replace("__syncthreads();", ""), "race in shared memory"),
    "a barrier is missing": (TURNED.replace("__syncthreads();", ""), "shared memory read before it is written"),
    "a barrier behind the reads is missing": (
        TURNED + "  s[i] = 1.0f; __syncthreads(); x[b + i] += s[63 - i];",
        "race in shared memory",
    ),
    "two threads write one place": (
        "  __shared__ float s[64]; s[i / 2] = i; __syncthreads(); x[b + i] = s[i / 2];",
        "race in shared memory",
    ),
    "a barrier in a branch": (
        "  __shared__ float s[64]; s[i] = 0.0f; if (i < 40) __syncthreads(); x[b + i] = s[i];",
        "barrier that not all threads of the block come to",
    ),
    "two barriers for one": (
        "  __shared__ float s[64]; s[i] = x[b]; if (x[b + i] > 9.0f) { __syncthreads(); x[b + i] = s[0]; } "
        "else { __syncthreads(); x[b + i] = s[1] + 1.0f; }",
        "barrier that not all threads of the block come to",
    ),
    "one element too far": ("  x[b + i + 1] = 1.0f;", "global memory out of bounds"),
    "one element too early": ("  x[b + i - 1] = 1.0f;", "global memory out of bounds"),
    "read too far": ("  const float y = x[b + i + 4]; __syncthreads(); x[b + i] = y;", "global memory out of bounds"),
    "shared memory is not written": (
        "  __shared__ float s[64]; if (i > 0) s[i] = x[b + i]; __syncthreads(); x[b + i] = s[63 - i];",
        "shared memory read before it is written",
    ),
    "shared memory is too small": (
        "  __shared__ float s[60]; s[i] = x[b + i]; __syncthreads(); x[b + i] = s[i % 60];",
        "shared memory out of bounds",
    ),
    "into the neighbour in shared memory": (
        "  __shared__ float s[60], t[64]; t[i] = 0.0f; s[i] = x[b + i]; __syncthreads(); x[b + i] = s[0] + t[63 - i];",
        "shared memory out of bounds",
    ),
    "threads meet in global memory": ("  x[b + i / 2] = i;", "race in global memory"),
    "blocks meet in global memory": ("  x[i] = b + i;", "race in global memory"),
    "a block reads what another writes": ("  const float y = x[127 - b - i]; x[b + i] = y;", "race in global memory"),
    "not aligned": ("  *(float*)((char*)x + 4 * (b + i) + 2) = 1.0f;", "misaligned access"),
}


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named(name: str, backwards: bool) -> None:
    body, fault = FAULTS[name]
    with pytest.raises(Fault, match=fault):
        run(body, backwards=backwards)


def test_a_fault_says_where() -> None:
    with pytest.raises(Fault, match=r"out of bounds: k, line \d+ of the PTX, thread 63 of block 1, address 0x"):
        run("  if (b + i == 127) x[b + i + 1] = 1.0f;")


def test_flags_may_be_raised_by_many() -> None:
    """The same word written with the same value is no fault: neither order nor number can be told from it."""
    assert run("  x[0] = 1.0f;")[0] == 1


def test_what_lies_between_barriers_is_ordered() -> None:
    """In global memory too, within a block."""
    body = "  const float y = x[b + 63 - i]; __syncthreads(); x[b + i] = y;"
    assert run(body).tolist() == [*range(63, -1, -1), *range(127, 63, -1)]


#: as the compiler prints it for sm_120
SCOPED = """
.version 9.0
.target sm_120
.address_size 64
.visible .entry k(
  .param .u64 .ptr .align 1 k_param_0
)
{
  .reg .b16 %rs<2>;
  .reg .b32 %r<3>;
  .reg .b64 %rd<3>;
  ld.param.b64 %rd1, [k_param_0];
  cvta.to.global.u64 %rd2, %rd1;
  ld.global.b32 %r1, [%rd2];
  { .reg .b16 tmp; mov.b32 {tmp, %rs1}, %r1; }
  cvt.u32.u16 %r2, %rs1;
  st.global.b32 [%rd2], %r2;
  ret;
}
"""


def test_statements_with_a_register_of_their_own() -> None:
    """The high half of a word."""
    program, block = Program(SCOPED), Block(4)
    block.bytes.view(np.uint32)[:] = 0x12345678
    program.launch("k", 1, 1, [block.address], [block])
    assert block.bytes.view(np.uint32)[0] == 0x1234
    program.close()
