"""`mma.sync.m16n8k16` of bfloat16, as LLVM IR: 32 threads multiply 16 × 16 by 16 × 8 and add to four sums each.

Takes: a body, an instruction. Promises: which thread has which element is as the PTX manual says; products are exact. A
GPU's own order of the sums is not published, so there are two here: `chain`, each product added with one rounding, k
ascending (a leaf is then the contract's), and `once`, all sixteen and the sum before added in binary64 and rounded
once. A program that is right within the profile's promise is right with both.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobspec.backends.cuda.ptx import Instruction, Unreadable
from tests.cuda.machine import runtime
from tests.cuda.machine.arithmetic import lanes
from tests.cuda.machine.body import Body

KNOWN = "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
#: bytes that a thread gives: four words of a, two of b; for this time and the one before
WORDS_A, GIVEN, EXCHANGED = 4, 32, 64


def give(b: Body, i: Instruction) -> None:
    """The thread's words to where the others find them."""
    if ".".join(i.op) != KNOWN:
        raise Unreadable(f"line {i.line}: {i}")
    own = place_of(b, b.environment(runtime.TID), 0)
    for n, register in enumerate([*lanes(i.args[1]), *lanes(i.args[2])]):
        at = b.let(f"getelementptr i32, ptr {own}, i64 {n}")
        b.line(f"store i32 {b.value(register, 'i32')}, ptr {at}")


def take(b: Body, i: Instruction) -> None:
    """The thread's four sums from the words of the threads that have its rows and columns."""
    tid = b.environment(runtime.TID)
    lane = b.let(f"and i64 {tid}, 31")
    first = b.let(f"sub i64 {tid}, {lane}")
    row = place_of(b, b.let(f"sub i64 {tid}, {b.let(f'and i64 {lane}, 3')}"), 1)
    eight = b.let(f"shl i64 {b.let(f'and i64 {lane}, 3')}, 3")
    column = b.let(f"add i64 {first}, {eight}")
    found = []
    for n, before in enumerate(lanes(i.args[3])):
        left = b.let(f"getelementptr i32, ptr {row}, i64 {n // 2}")
        right = place_of(b, b.let(f"add i64 {column}, {4 * (n % 2)}"), 1)
        found.append(b.let(f"call float @matrices(ptr {left}, ptr {right}, float {b.value(before, 'float')})"))
    for register, value in zip(lanes(i.args[0]), found, strict=True):
        b.set(register, value, "float")


def place_of(b: Body, thread: str, ago: int) -> str:
    """What a thread gave, `ago` times before."""
    times = b.let(f"sub i64 {b.environment(runtime.SWEEP)}, {ago}")
    half = b.let(f"mul i64 {b.let(f'and i64 {times}, 1')}, {GIVEN}")
    far = b.let(f"add i64 {b.let(f'mul i64 {thread}, {EXCHANGED}')}, {half}")
    start = b.let(f"inttoptr i64 {b.environment(runtime.EXCHANGE)} to ptr")
    return b.let(f"getelementptr i8, ptr {start}, i64 {far}")


# ---- one sum


def text(order: str) -> str:
    """@matrices(row of a, column of b, sum): what sixteen products make of a sum."""
    lines = [line for n in range(16) for line in (*products(n), *ORDERS[order](n))]
    return "\n".join([HEAD, *OPENED[order], *lines, *CLOSED[order], "}\n"])


def products(n: int) -> Iterator[str]:
    """The numbers %x{n}, %y{n} of step n: two in a word, four threads beside each other, then the next words."""
    half, thread, odd = n // 8, n % 8 // 2, n % 2
    for name, pointer, word in (("x", "a", 2 * half), ("y", "b", WORDS_A + half)):
        yield f"  %{name}{n}p = getelementptr i8, ptr %{pointer}, i64 {thread * EXCHANGED + 4 * word}"
        yield f"  %{name}{n}w = load i32, ptr %{name}{n}p"
        yield f"  %{name}{n}b = " + (f"and i32 %{name}{n}w, -65536" if odd else f"shl i32 %{name}{n}w, 16")
        yield f"  %{name}{n} = bitcast i32 %{name}{n}b to float"


def chained(n: int) -> Iterator[str]:
    yield f"  %s{n + 1} = call float @llvm.fma.f32(float %x{n}, float %y{n}, float %s{n})"


def wide(n: int) -> Iterator[str]:
    yield f"  %u{n} = fpext float %x{n} to double"
    yield f"  %v{n} = fpext float %y{n} to double"
    yield f"  %p{n} = fmul double %u{n}, %v{n}"
    yield f"  %s{n + 1} = fadd double %s{n}, %p{n}"


HEAD = "define float @matrices(ptr %a, ptr %b, float %sum) noinline {"
ORDERS = {"chain": chained, "once": wide}
OPENED = {"chain": ["  %s0 = fadd float %sum, -0.0"], "once": ["  %s0 = fpext float %sum to double"]}
CLOSED = {
    "chain": ["  ret float %s16"],
    "once": ["  %rounded = fptrunc double %s16 to float", "  ret float %rounded"],
}
