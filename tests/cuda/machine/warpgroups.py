"""`wgmma.mma_async` of bfloat16, as LLVM IR: 128 threads multiply 64 × 16 by 16 × n from shared memory, on the side.

Takes: a body, an instruction. Promises: where the elements of a matrix lie, and which thread has which sum, is as the
PTX manual says (9.7.15.5.1); matrices in the layout of the 128-byte swizzle alone are known. A device reads them at any
time from the instruction to the wait for its group: they are looked at in both places, and must be the same. Who has
written a word must have fenced the proxies behind it (`fence.proxy.async`). Sums are numbers at once, and order.py sees
that no one uses them before the wait. `order`: as in matrices.py.
"""

from __future__ import annotations

from jobspec.backends.cuda.ptx import Instruction, Unreadable
from tests.cuda.machine import runtime
from tests.cuda.machine.arithmetic import lanes
from tests.cuda.machine.body import Body
from tests.cuda.machine.order import is_product
from tests.cuda.machine.runtime import loaded, stored, word

PROXY = "fence.proxy.async.shared::cta"
COMMIT, WAIT = "wgmma.commit_group.sync.aligned", "wgmma.wait_group.sync.aligned"
#: sums of a thread at most, numbers that a thread multiplies: two rows of a, a quarter of the columns of b
SUMS, ROWS, COLUMNS, STEPS = 128, 2, 64, 16
#: instructions that are not waited for at most; words of each: both descriptors, how they lie, what was seen, its line
MOST, EACH = 64, 5
#: words of a thread: fences, instructions, those of them that are committed, then these
HEAD = 3
PENDING = 8 * (HEAD + MOST * EACH)
#: bytes of a thread: what is pending, its sums, its numbers
OWN = PENDING + 4 * (SUMS + STEPS * (ROWS + COLUMNS))


def give(b: Body, i: Instruction) -> None:
    """All threads come to a `wgmma.fence`; nothing is handed on there."""


def take(b: Body, i: Instruction) -> None:
    """As give."""


def write(b: Body, i: Instruction) -> None:
    whole, watched = ".".join(i.op), "true" if b.watched else "false"
    if whole == PROXY:
        b.line("call void @fence_proxy(ptr %env)")
    elif whole == COMMIT:
        b.line("call void @commit(ptr %env)")
    elif whole == WAIT and i.args == ("0",):
        b.go_on(b.let(f"call i1 @waited(ptr %env, i1 {watched})"))
    elif is_product(i) and i.args[3:6] == ("1", "1", "1"):
        multiply(b, i, watched)
    else:
        raise Unreadable(f"line {i.line}: {i}")


def multiply(b: Body, i: Instruction, watched: str) -> None:
    registers = lanes(i.args[0])
    sums = b.let(f"inttoptr i64 {b.let(f'add i64 {own_of(b)}, {PENDING}')} to ptr")
    places = [b.let(f"getelementptr float, ptr {sums}, i64 {n}") for n in range(len(registers))]
    for register, place in zip(registers, places, strict=True):
        b.line(f"store float {b.value(register, 'float')}, ptr {place}")
    left, right = (b.value(arg, "i64") for arg in i.args[1:3])
    ways = int(i.args[6]) + 2 * int(i.args[7]) + 4 * len(registers)
    b.go_on(b.let(f"call i1 @products(ptr %env, i64 {left}, i64 {right}, i64 {ways}, i64 {i.line}, i1 {watched})"))
    for register, place in zip(registers, places, strict=True):
        b.set(register, b.let(f"load float, ptr {place}"), "float")


def own_of(b: Body) -> str:
    """Where the thread's own words are, as a number."""
    far = b.let(f"mul i64 {b.environment(runtime.TID)}, {OWN}")
    return b.let(f"add i64 {b.environment(runtime.GROUPS)}, {far}")


# ---- text

THREAD = f"""{word("groups", runtime.GROUPS)}{word("tid", runtime.TID)}  %far = mul i64 %tid, {OWN}
  %own.at = add i64 %groups, %far
  %own = inttoptr i64 %own.at to ptr
  %many.p = getelementptr i64, ptr %own, i64 1
  %sure.p = getelementptr i64, ptr %own, i64 2
"""
FENCES = f"""
define void @fence_proxy(ptr %env) noinline {{
{THREAD}  %fences = load i64, ptr %own
  %more = add i64 %fences, 1
  store i64 %more, ptr %own
  ret void
}}

define void @commit(ptr %env) noinline {{
{THREAD}  %many = load i64, ptr %many.p
  store i64 %many, ptr %sure.p
  ret void
}}
"""
#: the byte where element (line, step) of a matrix lies; `turned`: rows of memory are steps
PLACE = """
define i64 @element(i64 %from, i1 %turned, i64 %line, i64 %step) alwaysinline {
  %start.16 = and i64 %from, 16383
  %start = shl i64 %start.16, 4
  %lead.16 = lshr i64 %from, 16
  %lead.low = and i64 %lead.16, 16383
  %lead = shl i64 %lead.low, 4
  %stride.16 = lshr i64 %from, 32
  %stride.low = and i64 %stride.16, 16383
  %stride = shl i64 %stride.low, 4
  %row = select i1 %turned, i64 %step, i64 %line
  %column = select i1 %turned, i64 %line, i64 %step
  %eight = lshr i64 %row, 3
  %within = and i64 %row, 7
  %x0 = mul i64 %eight, %stride
  %x1 = shl i64 %within, 7
  %block = lshr i64 %column, 6
  %x2 = mul i64 %block, %lead
  %beside = and i64 %column, 63
  %x3 = shl i64 %beside, 1
  %y0 = add i64 %start, %x0
  %y1 = add i64 %y0, %x1
  %y2 = add i64 %y1, %x2
  %y = add i64 %y2, %x3
  %number = lshr i64 %y, 7
  %low = and i64 %number, 7
  %change = shl i64 %low, 4
  %place = xor i64 %y, %change
  ret i64 %place
}
"""
#: an element that the thread multiplies, looked at: what its shadow says of who has written it is added to %seen
LOOK = f"""
define i1 @look(ptr %env, i64 %place, ptr %seen, i64 %line, i1 %again) noinline {{
  %whole = and i64 %place, -4
  %good = call i1 @check_shared(ptr %env, i64 %whole, i64 4, i1 false, i32 0, i64 %line)
  br i1 %good, label %known, label %bad
bad:
  ret i1 false
known:
{word("shadow", runtime.SHADOW)}  %number = lshr i64 %whole, 2
  %away = shl i64 %number, 4
  %w.at = add i64 %shadow, %away
  %w.p = inttoptr i64 %w.at to ptr
  %w = load i64, ptr %w.p
  %before = load i64, ptr %seen
  %times = mul i64 %before, 1000003
  %now = add i64 %times, %w
  store i64 %now, ptr %seen
{word("proxies", runtime.PROXIES)}  %proxy.far = shl i64 %number, 3
  %proxy.at = add i64 %proxies, %proxy.far
  %proxy.p = inttoptr i64 %proxy.at to ptr
  %needed = load i64, ptr %proxy.p
{word("ntid", runtime.NTID)}{word("ctaid", runtime.CTAID)}  %first = mul i64 %ntid, %ctaid
  %who = and i64 %w, 4294967295
  %writer.1 = sub i64 %who, %first
  %writer = sub i64 %writer.1, 1
  %far = mul i64 %writer, {OWN}
{word("groups", runtime.GROUPS)}  %fences.at = add i64 %groups, %far
  %fences.p = inttoptr i64 %fences.at to ptr
  %fences = load i64, ptr %fences.p
  %fenced = icmp uge i64 %fences, %needed
  br i1 %fenced, label %fine, label %unseen
unseen:
  %kind = select i1 %again, i64 {runtime.CHANGED}, i64 {runtime.UNFENCED}
  %f = call i1 @fail(ptr %env, i64 %kind, i64 %line, i64 %place)
  ret i1 false
fine:
  ret i1 true
}}
"""
#: both operands of a thread to where it keeps its numbers; false where the watch found a fault. Lines of a: two of the
#: sixteen of its warp; of b: two neighbours of each eight
GATHER = f"""
define i1 @gather(ptr %env, i64 %left, i64 %right, i64 %ways, ptr %into, ptr %seen, i64 %line, i1 %watched,
                  i1 %again) noinline {{
start:
{word("tid", runtime.TID)}{word("shared", runtime.SHARED)}  %columns = lshr i64 %ways, 2
  %half = lshr i64 %columns, 1
  %lines = add i64 %half, {ROWS}
  %a.bit = and i64 %ways, 1
  %a.turned = icmp ne i64 %a.bit, 0
  %b.bit = and i64 %ways, 2
  %b.turned = icmp ne i64 %b.bit, 0
  %lane = and i64 %tid, 31
  %in.group = and i64 %tid, 127
  %warp = lshr i64 %in.group, 5
  %warp.row = shl i64 %warp, 4
  %lane.row = lshr i64 %lane, 2
  %row = add i64 %warp.row, %lane.row
  %pair = and i64 %lane, 3
  %column = shl i64 %pair, 1
  br label %next
next:
  %l = phi i64 [ 0, %start ], [ %l.next, %line.done ]
  %l.more = icmp ult i64 %l, %lines
  br i1 %l.more, label %begun, label %done
begun:
  %of.a = icmp ult i64 %l, {ROWS}
  %a.far = shl i64 %l, 3
  %a.line = add i64 %row, %a.far
  %b.number = sub i64 %l, {ROWS}
  %b.eight = lshr i64 %b.number, 1
  %b.first = shl i64 %b.eight, 3
  %b.odd = and i64 %b.number, 1
  %b.near = add i64 %column, %b.odd
  %b.line = add i64 %b.first, %b.near
  %its.line = select i1 %of.a, i64 %a.line, i64 %b.line
  %its.turned = select i1 %of.a, i1 %a.turned, i1 %b.turned
  %its.from = select i1 %of.a, i64 %left, i64 %right
  br label %step
step:
  %k = phi i64 [ 0, %begun ], [ %k.next, %put ]
  %k.more = icmp ult i64 %k, {STEPS}
  br i1 %k.more, label %find, label %line.done
find:
  %place = call i64 @element(i64 %its.from, i1 %its.turned, i64 %its.line, i64 %k)
  br i1 %watched, label %watch, label %put
watch:
  %good = call i1 @look(ptr %env, i64 %place, ptr %seen, i64 %line, i1 %again)
  br i1 %good, label %put, label %bad
bad:
  ret i1 false
put:
  %at = add i64 %shared, %place
  %at.p = inttoptr i64 %at to ptr
  %number = load i16, ptr %at.p
  %wide = zext i16 %number to i32
  %bits = shl i32 %wide, 16
  %l.far = mul i64 %l, {STEPS}
  %index = add i64 %l.far, %k
  %into.p = getelementptr i32, ptr %into, i64 %index
  store i32 %bits, ptr %into.p
  %k.next = add i64 %k, 1
  br label %step
line.done:
  %l.next = add i64 %l, 1
  br label %next
done:
  ret i1 true
}}
"""
PRODUCTS = f"""
define i1 @described(ptr %env, i64 %from, i64 %line) noinline {{
  %fixed = and i64 %from, -70365522903040
  %known = icmp eq i64 %fixed, 4611686018427387904
  %within = and i64 %from, 56
  %begins = icmp eq i64 %within, 0
  %good = and i1 %known, %begins
  br i1 %good, label %fine, label %bad
fine:
  ret i1 true
bad:
  %f = call i1 @fail(ptr %env, i64 {runtime.DESCRIBED}, i64 %line, i64 %from)
  ret i1 false
}}

define i1 @products(ptr %env, i64 %left, i64 %right, i64 %ways, i64 %line, i1 %watched) noinline {{
start:
{THREAD}  %seen = alloca i64
  store i64 0, ptr %seen
  %sums = getelementptr i8, ptr %own, i64 {PENDING}
  %numbers = getelementptr float, ptr %sums, i64 {SUMS}
  %a.good = call i1 @described(ptr %env, i64 %left, i64 %line)
  %b.good = call i1 @described(ptr %env, i64 %right, i64 %line)
  %both = and i1 %a.good, %b.good
  br i1 %both, label %fetch, label %bad
fetch:
  %good = call i1 @gather(ptr %env, i64 %left, i64 %right, i64 %ways, ptr %numbers, ptr %seen, i64 %line,
    i1 %watched, i1 false)
  br i1 %good, label %keep, label %bad
bad:
  ret i1 false
keep:
  %many = load i64, ptr %many.p
  %behind = mul i64 %many, {EACH}
  %entry.at = add i64 %behind, {HEAD}
  %entry = getelementptr i64, ptr %own, i64 %entry.at
  %found = load i64, ptr %seen
{stored("entry", "e", "left", "right", "ways", "found", "line")}  %more = add i64 %many, 1
  store i64 %more, ptr %many.p
  %columns = lshr i64 %ways, 2
  br label %next
next:
  %n = phi i64 [ 0, %keep ], [ %n.next, %one ]
  %n.more = icmp ult i64 %n, %columns
  br i1 %n.more, label %one, label %done
one:
  %n.half = lshr i64 %n, 1
  %n.odd = and i64 %n.half, 1
  %n.low = and i64 %n, 1
  %n.four = lshr i64 %n, 2
  %n.pair = shl i64 %n.four, 1
  %n.column = add i64 %n.pair, %n.low
  %b.number = add i64 %n.column, {ROWS}
  %a.far = mul i64 %n.odd, {STEPS}
  %b.far = mul i64 %b.number, {STEPS}
  %x = getelementptr float, ptr %numbers, i64 %a.far
  %y = getelementptr float, ptr %numbers, i64 %b.far
  %sum.p = getelementptr float, ptr %sums, i64 %n
  %sum = load float, ptr %sum.p
  %result = call float @sixteen(ptr %x, ptr %y, float %sum)
  store float %result, ptr %sum.p
  %n.next = add i64 %n, 1
  br label %next
done:
  ret i1 true
}}
"""
#: what was seen must be seen again
WAITED = f"""
define i1 @waited(ptr %env, i1 %watched) noinline {{
start:
{THREAD}  %seen = alloca i64
  %sums = getelementptr i8, ptr %own, i64 {PENDING}
  %numbers = getelementptr float, ptr %sums, i64 {SUMS}
  %many = load i64, ptr %many.p
  %sure = load i64, ptr %sure.p
  br i1 %watched, label %next, label %done
next:
  %i = phi i64 [ 0, %start ], [ %i.next, %same ]
  %i.more = icmp ult i64 %i, %sure
  br i1 %i.more, label %one, label %done
one:
  store i64 0, ptr %seen
  %behind = mul i64 %i, {EACH}
  %entry.at = add i64 %behind, {HEAD}
  %entry = getelementptr i64, ptr %own, i64 %entry.at
{loaded("entry", "e", "left", "right", "ways", "found", "line")}
  %good = call i1 @gather(ptr %env, i64 %left, i64 %right, i64 %ways, ptr %numbers, ptr %seen, i64 %line,
    i1 true, i1 true)
  br i1 %good, label %compare, label %bad
bad:
  ret i1 false
compare:
  %again = load i64, ptr %seen
  %equal = icmp eq i64 %again, %found
  br i1 %equal, label %same, label %changed
changed:
  %f = call i1 @fail(ptr %env, i64 {runtime.CHANGED}, i64 %line, i64 %left)
  ret i1 false
same:
  %i.next = add i64 %i, 1
  br label %next
done:
  store i64 0, ptr %many.p
  store i64 0, ptr %sure.p
  ret i1 true
}}
"""


def text(order: str) -> str:
    """All of it; @sixteen(numbers of a, of b, sum): what sixteen products make of a sum, k ascending, each added with
    one rounding, or all in binary64 and rounded once."""
    wide = order == "once"
    held = "double" if wide else "float"
    lines = ["define float @sixteen(ptr %a, ptr %b, float %sum) noinline {"]
    lines.append("  %s0 = fpext float %sum to double" if wide else "  %s0 = fadd float %sum, -0.0")
    for n in range(STEPS):
        for name, pointer in (("x", "a"), ("y", "b")):
            lines.append(f"  %{name}{n}p = getelementptr float, ptr %{pointer}, i64 {n}")
            lines.append(f"  %{name}{n}f = load float, ptr %{name}{n}p")
            lines.append(f"  %{name}{n} = {'fpext' if wide else 'bitcast'} float %{name}{n}f to {held}")
        if wide:
            lines += [f"  %p{n} = fmul double %x{n}, %y{n}", f"  %s{n + 1} = fadd double %s{n}, %p{n}"]
        else:
            lines.append(f"  %s{n + 1} = call float @llvm.fma.f32(float %x{n}, float %y{n}, float %s{n})")
    lines.append(f"  %r = {'fptrunc' if wide else 'bitcast'} {held} %s{STEPS} to float")
    return "\n".join([FENCES, PLACE, LOOK, GATHER, PRODUCTS, WAITED, *lines, "  ret float %r", "}\n"])
