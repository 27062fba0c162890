"""PTX to LLVM IR: what the compiler really emitted, as a program of this processor.

Takes: a module of PTX. Promises: one function for each entry,

    i32 @entry(ptr frame, ptr params, ptr env)

that runs a thread from where it stands to its next barrier and gives the barrier's number (from runtime.MATRICES on:
that of an instruction on matrices), 0 at the end, -1 where the watch found a fault. frame: a word that says where the
thread stands, its local arrays, the registers that it keeps over barriers. params: 8 bytes each. One statement of PTX
is a few of IR; what is not known is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from jobspec.backends.cuda.ptx import Entry, Instruction, Label, Unreadable, read
from tests.cuda.machine import aside, flow, fragments, matrices, runtime, warpgroups
from tests.cuda.machine.arithmetic import ARITHMETIC, DECLARED, lanes
from tests.cuda.machine.body import ADDRESS, TYPES, Body, width
from tests.cuda.machine.order import need_order

#: bytes between arrays of shared memory that nobody may touch
GAP = 64
ALIGN = 16
#: the piece of shared memory that a launch asks for begins at a multiple of it
OUTSIDE = 1024
#: what would need another meaning; and operations that are known in one rounding alone
UNKNOWN = {"ftz", "approx", "full", "sat"}
ROUNDED = ("add", "sub", "mul", "fma", "div", "sqrt", "rcp")


@dataclass(frozen=True)
class Translated:
    """`frame`: bytes of a thread; `shared`: (first byte, bytes) of each shared array; `extent`: bytes of all, behind
    which lies what a launch asks for; `groups`: it has matrix instructions on the side."""

    name: str
    text: str
    params: tuple[str, ...]
    frame: int
    shared: tuple[tuple[int, int], ...]
    extent: int
    groups: bool


def translate(ptx: str, watched: bool = True, order: str = "chain") -> tuple[str, dict[str, Translated]]:
    """The module's IR, and its entries; `order`: of sums by instructions on matrices."""
    module = read(ptx)
    entries = {name: translated(entry, watched, module.outside) for name, entry in module.entries.items()}
    parts = [DECLARED, runtime.TEXT, aside.TEXT, matrices.text(order)]
    parts += [warpgroups.text(order)] if any(e.groups for e in entries.values()) else []
    return "\n".join([*parts, *(e.text for e in entries.values())]), entries


def translated(entry: Entry, watched: bool, outside: Sequence[str]) -> Translated:
    need_order(entry)
    shared, extent = laid(entry, "shared", 0, GAP)
    extent = -(-extent // OUTSIDE) * OUTSIDE
    locals_, end = laid(entry, "local", 8, 0)
    body = Body(entry, shared | dict.fromkeys(outside, extent), locals_, watched)
    end = -(-end // 8) * 8
    slots = write(body, end)
    sizes = {a.name: a.size for a in entry.arrays}
    text = f"define i32 @{entry.name}(ptr %frame, ptr %params, ptr %env) {{\n" + "\n".join(body.lines) + "\n}\n"
    arrays = tuple((at, sizes[name]) for name, at in shared.items())
    frame = -(-(end + 8 * slots) // ALIGN) * ALIGN
    groups = any(i.op[0] == "wgmma" for i in entry.instructions)
    return Translated(entry.name, text, tuple(t for _, t in entry.params), frame, arrays, extent, groups)


def laid(entry: Entry, space: str, start: int, gap: int) -> tuple[dict[str, int], int]:
    """Places of the arrays of a space, one behind the other, and the end."""
    places, at = {}, start
    for array in entry.arrays:
        if array.space == space:
            at = -(-at // max(array.align, 8)) * max(array.align, 8)
            places[array.name] = at
            at += array.size + gap
    return places, at


def write(b: Body, first: int) -> int:
    """The function's blocks; how many slots of the frame, from `first`, keep registers."""
    kept = flow.kept(b.entry)
    places = {name: n for n, name in enumerate(dict.fromkeys(r for names in kept.values() for r in names))}
    numbers = {n: k + runtime.MATRICES * (of_matrices(b.entry.body[n]) is not None) for k, n in enumerate(kept, 1)}
    for n, item in enumerate(b.entry.body):
        if isinstance(item, Label):
            b.line(f"br label %{block_of(item.name)}")
            b.block(block_of(item.name))
        elif n in numbers:
            wait(b, item, numbers[n], [(name, first + 8 * places[name]) for name in kept[n]])
        else:
            guarded(b, item)
    b.line("ret i32 0")
    b.block("failed")
    b.line("ret i32 -1")
    b.lines = [*opening(b, numbers), *b.lines]
    return len(places)


def opening(b: Body, numbers: dict[int, int]) -> list[str]:
    """Every register's slot; then to where the thread stands."""
    slots = [f"  {slot} = alloca {b.type_of(register)}" for register, slot in b.slots.items()]
    targets = " ".join(f"i64 {k}, label %resume{k}" for k in numbers.values())
    return [
        "begin:",
        *slots,
        "  %state = load i64, ptr %frame",
        f"  switch i64 %state, label %body [{targets}]",
        "body:",
    ]


def block_of(label: str) -> str:
    return '"' + label + '"'


def guarded(b: Body, i: Instruction) -> None:
    """The instruction, or nothing where its guard does not hold."""
    if not i.guard:
        return one(b, i)
    do, skip = b.name("do"), b.name("skip")
    holds = b.value(i.guard.lstrip("!"), "i1")
    way = (skip, do) if i.guard.startswith("!") else (do, skip)
    b.line(f"br i1 {holds}, label %{way[0]}, label %{way[1]}")
    b.block(do)
    one(b, i)
    b.line(f"br label %{skip}")
    b.block(skip)


def one(b: Body, i: Instruction) -> None:
    if UNKNOWN.intersection(i.op) or ("f32" in i.op and i.op[0] in ROUNDED and not {"rn", "f32"}.issuperset(i.op[1:])):
        raise Unreadable(f"line {i.line}: {i}")
    if i.op[0] in ("ret", "exit"):
        jump(b, "ret i32 0")
    elif i.op[0] == "bra":
        jump(b, f"br label %{block_of(i.args[0])}")
    elif i.op[0] == "ld":
        load(b, i)
    elif i.op[0] == "st":
        store(b, i)
    elif i.op[0] == "cp":
        aside.write(b, i)
    elif i.op[0] in ("wgmma", "fence"):
        warpgroups.write(b, i)
    elif i.op[0] in ARITHMETIC:
        ARITHMETIC[i.op[0]](b, i)
    else:
        raise Unreadable(f"line {i.line}: {i}")


def jump(b: Body, text: str) -> None:
    """What stands behind is reached by its label alone."""
    b.line(text)
    b.block(b.name("behind"))


def wait(b: Body, i: Instruction, number: int, keep: list[tuple[str, int]]) -> None:
    """At a barrier: keep the registers, leave, come back."""
    if i.guard:
        raise Unreadable(f"line {i.line}: a guarded barrier")
    shared = of_matrices(i)
    if shared is not None:
        shared.give(b, i)
    for register, place in keep:
        type_ = b.type_of(register)
        value = b.value(register, type_)
        b.line(f"store {type_} {value}, ptr {b.let(f'getelementptr i8, ptr %frame, i64 {place}')}")
    b.line(f"ret i32 {number}")
    b.block(f"resume{number}")
    for register, place in keep:
        type_ = b.type_of(register)
        value = b.let(f"load {type_}, ptr {b.let(f'getelementptr i8, ptr %frame, i64 {place}')}")
        b.set(register, value, type_)
    if shared is not None:
        shared.take(b, i)


def of_matrices(item: Instruction | Label) -> ModuleType | None:
    """What writes an instruction that the threads of a group take together."""
    if isinstance(item, Label):
        return None
    return warpgroups if flow.is_fence(item) else {"mma": matrices, "ldmatrix": fragments}.get(item.op[0])


# ---- memory


def space_of(i: Instruction) -> str:
    if i.op[1] not in ("param", "global", "shared", "local"):
        raise Unreadable(f"line {i.line}: {i}")
    return i.op[1]


def load(b: Body, i: Instruction) -> None:
    space, type_, signed = space_of(i), TYPES[i.op[-1]], i.op[-1].startswith("s")
    if space == "param":
        return b.set(i.args[0], b.let(f"load {type_}, ptr {param(b, i.args[1])}"), type_)
    size = width(type_) // 8
    address = b.address(i.args[1])
    b.aligned(address, size * len(lanes(i.args[0])), i.line)
    for n, register in enumerate(lanes(i.args[0])):
        at = b.let(f"add i64 {address}, {n * size}")
        b.set(register, b.let(f"load {type_}, ptr {b.place(space, at, size, i.line)}"), type_, signed)


def store(b: Body, i: Instruction) -> None:
    space, type_ = space_of(i), TYPES[i.op[-1]]
    size = width(type_) // 8
    address = b.address(i.args[0])
    b.aligned(address, size * len(lanes(i.args[1])), i.line)
    for n, register in enumerate(lanes(i.args[1])):
        at, value = b.let(f"add i64 {address}, {n * size}"), b.value(register, type_)
        b.line(f"store {type_} {value}, ptr {b.place(space, at, size, i.line, b.bits(value, type_, 'i32'))}")


def param(b: Body, operand: str) -> str:
    """Where a parameter lies."""
    found = ADDRESS.fullmatch(operand)
    names = [name for name, _ in b.entry.params]
    if found is None or found[1] not in names or found[2]:
        raise Unreadable(operand)
    return b.let(f"getelementptr i64, ptr %params, i64 {names.index(found[1])}")
