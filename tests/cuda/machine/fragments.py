"""`ldmatrix` of eight rows by eight numbers of 16 bits, twice or four times, as LLVM IR.

Takes: a body, an instruction. Promises: which thread says where a row begins, and which gets which numbers, is as the
PTX manual says; a row must lie at a multiple of 16 bytes; each word is looked at as if who gets it had read it.
"""

from __future__ import annotations

from jobspec.backends.cuda.ptx import Instruction, Unreadable
from tests.cuda.machine import runtime
from tests.cuda.machine.arithmetic import lanes
from tests.cuda.machine.body import Body
from tests.cuda.machine.matrices import place_of

KNOWN = {f"ldmatrix.sync.aligned.m8n8.{n}{turned}.shared.b16" for n in ("x2", "x4") for turned in ("", ".trans")}
ROW = 16


def give(b: Body, i: Instruction) -> None:
    """Where the thread's row begins to where the others find it."""
    if ".".join(i.op) not in KNOWN:
        raise Unreadable(f"line {i.line}: {i}")
    tid, address = b.environment(runtime.TID), b.address(i.args[1])
    b.line(f"store i64 {address}, ptr {place_of(b, tid, 0)}")
    count = 8 * len(lanes(i.args[0]))
    counts = b.let(f"icmp ult i64 {b.let(f'and i64 {tid}, 31')}, {count}")
    b.aligned(b.let(f"select i1 {counts}, i64 {address}, i64 0"), ROW, i.line)


def take(b: Body, i: Instruction) -> None:
    """The thread's words: neighbours of a row of each piece, or of a column."""
    tid = b.environment(runtime.TID)
    lane = b.let(f"and i64 {tid}, 31")
    group = b.let(f"sub i64 {tid}, {lane}")
    row, pair = b.let(f"lshr i64 {lane}, 2"), b.let(f"and i64 {lane}, 3")
    pick = turned if "trans" in i.op else straight
    found = [pick(b, i, b.let(f"add i64 {group}, {8 * piece}"), row, pair) for piece in range(len(lanes(i.args[0])))]
    for register, value in zip(lanes(i.args[0]), found, strict=True):
        b.set(register, value, "i32")


def straight(b: Body, i: Instruction, first: str, row: str, pair: str) -> str:
    """Numbers 2 · pair and the next of row `row`; thread `first` has said where row 0 begins."""
    return word(b, i, b.let(f"add i64 {first}, {row}"), b.let(f"shl i64 {pair}, 2"))


def turned(b: Body, i: Instruction, first: str, row: str, pair: str) -> str:
    """Number `row` of row 2 · pair and of the next."""
    start = b.let(f"add i64 {first}, {b.let(f'shl i64 {pair}, 1')}")
    place, odd = (
        b.let(f"shl i64 {b.let(f'lshr i64 {row}, 1')}, 2"),
        b.let(f"trunc i64 {b.let(f'and i64 {row}, 1')} to i32"),
    )
    moved = b.let(f"shl i32 {odd}, 4")
    low, high = (word(b, i, b.let(f"add i64 {start}, {n}"), place) for n in range(2))
    parts = [b.let(f"and i32 {b.let(f'lshr i32 {x}, {moved}')}, 65535") for x in (low, high)]
    return b.let(f"or i32 {parts[0]}, {b.let(f'shl i32 {parts[1]}, 16')}")


def word(b: Body, i: Instruction, thread: str, place: str) -> str:
    """Of the row that `thread` has named."""
    start = b.let(f"load i64, ptr {place_of(b, thread, 1)}")
    at = b.let(f"add i64 {start}, {place}")
    return b.let(f"load i32, ptr {b.place('shared', at, 4, i.line)}")
