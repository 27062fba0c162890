"""`cp.async`, as LLVM IR: copies from global to shared memory that are done while the thread goes on.

Takes: a body, an instruction. Promises: what is copied is there when the thread has waited for it
(`cp.async.wait_all`, or `wait_group n` for all groups but the last n), and no sooner. A device may write at any time
between: the place counts as written when the copy is asked for, against those before, is nobody's to read from then on,
and counts as written again behind the wait.
"""

from __future__ import annotations

from jobspec.backends.cuda.ptx import Instruction, Unreadable
from tests.cuda.machine import runtime
from tests.cuda.machine.body import Body
from tests.cuda.machine.runtime import loaded, stored, word

COPIES, WAIT = ("cp.async.ca.shared.global", "cp.async.cg.shared.global"), "cp.async.wait_all"
COMMIT, GROUPS = "cp.async.commit_group", "cp.async.wait_group"
#: as how many groups may be left: those that are not committed too
NONE = -1
SIZES = (4, 8, 16)
#: words of a queue: how many there are, groups committed, then (into, from, line, group) of each four bytes
MOST, EACH, HEAD = 256, 4, 2
QUEUE = 8 * (HEAD + MOST * EACH)


def write(b: Body, i: Instruction) -> None:
    whole = ".".join(i.op)
    if whole in (WAIT, GROUPS):
        left = int(i.args[0]) if whole == GROUPS else NONE
        b.go_on(b.let(f"call i1 @copied(ptr %env, i1 {'true' if b.watched else 'false'}, i64 {left})"))
    elif whole == COMMIT:
        b.line("call void @commit_copies(ptr %env)")
    elif whole in COPIES and int(i.args[2]) in SIZES and len(i.args) <= 4:
        copy(b, i, int(i.args[2]))
    else:
        raise Unreadable(f"line {i.line}: {i}")


def copy(b: Body, i: Instruction, size: int) -> None:
    into, start = (b.address(arg) for arg in i.args[:2])
    for address in (into, start):
        b.aligned(address, size, i.line)
    exists = b.let(f"icmp ne i32 {b.value(i.args[3], 'i32')}, 0") if len(i.args) > 3 else "true"
    for n in range(0, size, 4):
        here, there = b.let(f"add i64 {into}, {n}"), b.let(f"add i64 {start}, {n}")
        b.place("global", there, 4, i.line)
        there = b.let(f"select i1 {exists}, i64 {there}, i64 ptrtoint (ptr @nothing to i64)")
        b.place("shared", here, 4, i.line, "0")
        b.line(
            f"call void @copy(ptr %env, i64 {here}, i64 {there}, i64 {i.line}, i1 {'true' if b.watched else 'false'})"
        )


OWN = f"""{word("queues", runtime.QUEUES)}{word("tid", runtime.TID)}  %far = mul i64 %tid, {QUEUE}
  %place = add i64 %queues, %far
  %queue = inttoptr i64 %place to ptr
  %many = load i64, ptr %queue
  %groups.p = getelementptr i64, ptr %queue, i64 1
  %groups = load i64, ptr %groups.p
"""
SHADOWED = f"""{word("shadow", runtime.SHADOW)}  %number = lshr i64 %into, 2
  %away = shl i64 %number, 4
  %seen.at = add i64 %shadow, %away
  %seen = inttoptr i64 %seen.at to ptr
"""
#: the place is as if never written: whoever reads it from now on does so too early
COPY = f"""
define void @copy(ptr %env, i64 %into, i64 %from, i64 %line, i1 %watched) noinline {{
{OWN}  %first = mul i64 %many, {EACH}
  %behind = add i64 %first, {HEAD}
  %entry = getelementptr i64, ptr %queue, i64 %behind
{stored("entry", "e", "into", "from", "line", "groups")}  %more = add i64 %many, 1
  store i64 %more, ptr %queue
  br i1 %watched, label %forget, label %done
forget:
{SHADOWED}  store i64 0, ptr %seen
  br label %done
done:
  ret void
}}
"""
#: entries of groups that may be left stay, in their order, at the beginning
COPIED = f"""
define void @commit_copies(ptr %env) noinline {{
{OWN}  %more = add i64 %groups, 1
  store i64 %more, ptr %groups.p
  ret void
}}

define i1 @copied(ptr %env, i1 %watched, i64 %left) noinline {{
start:
{OWN}  %sure = sub i64 %groups, %left
  br label %next
next:
  %i = phi i64 [ 0, %start ], [ %i.next, %onward ]
  %stay = phi i64 [ 0, %start ], [ %stay.next, %onward ]
  %some = icmp ult i64 %i, %many
  br i1 %some, label %one, label %done
one:
  %first = mul i64 %i, {EACH}
  %behind = add i64 %first, {HEAD}
  %entry = getelementptr i64, ptr %queue, i64 %behind
{loaded("entry", "e", "into", "from", "line", "group")}  %ended = icmp slt i64 %group, %sure
  br i1 %ended, label %finish, label %keep
keep:
  %to.first = mul i64 %stay, {EACH}
  %to.behind = add i64 %to.first, {HEAD}
  %to = getelementptr i64, ptr %queue, i64 %to.behind
{stored("to", "t", "into", "from", "line", "group")}  %stay.more = add i64 %stay, 1
  br label %onward
finish:
  br i1 %watched, label %look, label %move
look:
{SHADOWED}  %w = load i64, ptr %seen
  %over = icmp ne i64 %w, 0
  br i1 %over, label %racing, label %again
racing:
  %f = call i1 @fail(ptr %env, i64 {runtime.SHARED_RACE}, i64 %line, i64 %into)
  ret i1 false
again:
  %good = call i1 @check_shared(ptr %env, i64 %into, i64 4, i1 true, i32 0, i64 %line)
  br i1 %good, label %move, label %bad
bad:
  ret i1 false
move:
  %from.at = inttoptr i64 %from to ptr
  %value = load i32, ptr %from.at
{word("shared", runtime.SHARED)}  %into.at = add i64 %shared, %into
  %into.p = inttoptr i64 %into.at to ptr
  store i32 %value, ptr %into.p
  br label %onward
onward:
  %stay.next = phi i64 [ %stay, %move ], [ %stay.more, %keep ]
  %i.next = add i64 %i, 1
  br label %next
done:
  store i64 %stay, ptr %queue
  ret i1 true
}}
"""
TEXT = "@nothing = internal constant i32 0\n" + COPY + COPIED
