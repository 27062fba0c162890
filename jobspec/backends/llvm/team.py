"""The native team: threads that run the steps of a routine together, as LLVM text.

Takes: where a routine keeps its step number. Promises: `run(job)` starts the threads, runs `count` steps
in all of them, stops after the first step that raised a flag, joins, and returns the number of steps
done. It needs @steps and @settle (driver.py). If the system refuses a thread the others share its work.
Every thread works with rounding to nearest and with subnormals kept, whatever it came with, and
leaves its control word as it was.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

#: threads a team can have
MOST = 256
#: pauses before a waiting thread goes to sleep, at least and at most; vector instructions of a step for each. To wake
#: a sleeper takes about as long as the most; a thread that waits busily for a good part of a short step would keep its
#: processor from whoever holds up the other threads
SPINS, MOST_SPINS, WORK_OF_SPIN = 1000, 5000, 2000


_FIELDS = ("arena", "feeds", "feed", "reports", "report", "shared", "private", "own", "first", "count", "team")


class Job(ctypes.Structure):
    """What `run` reads: addresses and sizes in bytes, the first step's number, how many steps, in how many threads."""

    _fields_ = [(name, ctypes.c_int64) for name in _FIELDS]


@dataclass
class Fixed:
    """A function written out as text."""

    name: str
    body: str

    def text(self) -> str:
        return self.body


def team(step: int, triple: str, work: int) -> list[Fixed]:
    """The functions of the team. `step`: bytes from the arena to the step number, -1 for none; `triple`: LLVM's name
    of the system; `work`: vector instructions of a step, roughly."""
    pause, control = (_PAUSE, _CONTROL) if is_x86(triple) else ("", ("", ""))
    futex = _FUTEX_NUMBER.get(triple.split("-")[0], 0) if "linux" in triple else 0
    sleep, wake = (text.format(number=futex) for text in (_FUTEX if futex else _YIELD))
    number = _NUMBER.format(step=step) if step >= 0 else ""
    return [
        Fixed("wait", _WAIT.format(spins=spins(work), pause=pause, sleep=sleep)),
        Fixed("change", _WAKE.format(wake=wake)),
        Fixed("barrier", _BARRIER),
        Fixed("work", _WORK.format(number=number, enter=control[0], leave=control[1])),
        Fixed("start", _START),
        Fixed("run", _RUN.format(most=MOST)),
    ]


def spins(work: int) -> int:
    """How many pauses a thread waits in steps of so many vector instructions."""
    return min(max(SPINS, work // WORK_OF_SPIN), MOST_SPINS)


def is_x86(triple: str) -> bool:
    return triple.startswith("x86_64")


def declared(triple: str) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """What the team calls: (result, name, parameters)."""
    return (*_SYSTEM, *(_X86 if is_x86(triple) else ()))


_SYSTEM = (
    ("i32", "pthread_create", ("ptr", "ptr", "ptr", "ptr")),
    ("i32", "pthread_join", ("i64", "ptr")),
    ("i32", "sched_yield", ()),
    ("i64", "syscall", ("i64", "...")),
)
_X86 = (
    ("void", "llvm.x86.sse2.pause", ()),
    ("void", "llvm.x86.sse.stmxcsr", ("ptr",)),
    ("void", "llvm.x86.sse.ldmxcsr", ("ptr",)),
)
_FUTEX_NUMBER = {"x86_64": 202, "aarch64": 98}

_PAUSE = "call void @llvm.x86.sse2.pause()"
#: 0x1F80: every exception masked, rounding to nearest, neither flush to zero nor denormals are zero
_CONTROL = (
    """call void @llvm.x86.sse.stmxcsr(ptr %found)
  store i32 8064, ptr %wanted
  call void @llvm.x86.sse.ldmxcsr(ptr %wanted)""",
    "call void @llvm.x86.sse.ldmxcsr(ptr %found)",
)

#: until the word is no longer `old`: some pauses, then asleep. A sleeper is counted before the system looks at the
#: word once more, and who changes the word looks at the count after it, so none is forgotten
_WAIT = """define internal void @wait(ptr %control, ptr %word, i32 %old) #0 {{
entry:
  br label %look
look:
  %spins = phi i32 [ 0, %entry ], [ %more, %pause ], [ %spins, %sleep ]
  %now = load atomic i32, ptr %word acquire, align 4
  %same = icmp eq i32 %now, %old
  br i1 %same, label %idle, label %done
idle:
  %patient = icmp ult i32 %spins, {spins}
  br i1 %patient, label %pause, label %sleep
pause:
  {pause}
  %more = add i32 %spins, 1
  br label %look
sleep:
  %sleepers = getelementptr i8, ptr %control, i64 320
  {sleep}
  br label %look
done:
  ret void
}}"""

_WAKE = """define internal void @change(ptr %control, ptr %word, i32 %new) #0 {{
entry:
  store atomic i32 %new, ptr %word seq_cst, align 4
  %sleepers = getelementptr i8, ptr %control, i64 320
  %count = load atomic i32, ptr %sleepers seq_cst, align 4
  %none = icmp eq i32 %count, 0
  br i1 %none, label %done, label %wake
wake:
  {wake}
  br label %done
done:
  ret void
}}"""

#: on Linux a sleeping thread waits on the word itself; elsewhere it offers its processor to others
_YIELD = ("call i32 @sched_yield()", "")
_FUTEX = (
    """atomicrmw add ptr %sleepers, i32 1 seq_cst
  call i64 (i64, ...) @syscall(i64 {number}, ptr %word, i64 128, i32 %old, i64 0, i64 0, i64 0)
  atomicrmw sub ptr %sleepers, i32 1 seq_cst""",
    "call i64 (i64, ...) @syscall(i64 {number}, ptr %word, i64 129, i64 2147483647, i64 0, i64 0, i64 0)",
)

#: control words, a cache line each: arrivals, generation, threads (0: not known yet), stop, steps done, sleepers
_BARRIER = """define internal void @barrier(ptr %control, i64 %team) #0 {
entry:
  %alone = icmp eq i64 %team, 1
  br i1 %alone, label %done, label %arrive
arrive:
  %turn = getelementptr i8, ptr %control, i64 64
  %old = load atomic i32, ptr %turn monotonic, align 4
  %before = atomicrmw add ptr %control, i32 1 acq_rel
  %team32 = trunc i64 %team to i32
  %here = add i32 %before, 1
  %last = icmp eq i32 %here, %team32
  br i1 %last, label %open, label %hold
open:
  store atomic i32 0, ptr %control monotonic, align 4
  %new = add i32 %old, 1
  call void @change(ptr %control, ptr %turn, i32 %new)
  br label %done
hold:
  call void @wait(ptr %control, ptr %turn, i32 %old)
  br label %done
done:
  ret void
}"""

_NUMBER = """%number = trunc i64 %step to i32
  %place = getelementptr i8, ptr %arena, i64 {step}
  store i32 %number, ptr %place, align 4"""

_WORK = """define internal void @work(ptr %control, ptr %job, i64 %thread, i64 %team) #0 {{
entry:
  %found = alloca i32
  %wanted = alloca i32
  {enter}
  %fields = load [11 x i64], ptr %job, align 8
  %arena64 = extractvalue [11 x i64] %fields, 0
  %arena = inttoptr i64 %arena64 to ptr
  %feeds64 = extractvalue [11 x i64] %fields, 1
  %feeds = inttoptr i64 %feeds64 to ptr
  %feed_size = extractvalue [11 x i64] %fields, 2
  %reports64 = extractvalue [11 x i64] %fields, 3
  %reports = inttoptr i64 %reports64 to ptr
  %report_size = extractvalue [11 x i64] %fields, 4
  %shared64 = extractvalue [11 x i64] %fields, 5
  %shared = inttoptr i64 %shared64 to ptr
  %privates64 = extractvalue [11 x i64] %fields, 6
  %privates = inttoptr i64 %privates64 to ptr
  %own_size = extractvalue [11 x i64] %fields, 7
  %first = extractvalue [11 x i64] %fields, 8
  %count = extractvalue [11 x i64] %fields, 9
  %own_offset = mul i64 %thread, %own_size
  %private = getelementptr i8, ptr %privates, i64 %own_offset
  %stop = getelementptr i8, ptr %control, i64 192
  %steps_done = getelementptr i8, ptr %control, i64 256
  %leads = icmp eq i64 %thread, 0
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i1, %settled ]
  %left = icmp slt i64 %i, %count
  br i1 %left, label %prepare, label %leave
prepare:
  br i1 %leads, label %lead, label %ready
lead:
  %step = add i64 %first, %i
  {number}
  br label %ready
ready:
  call void @barrier(ptr %control, i64 %team)
  %stopped = load i32, ptr %stop, align 4
  %go = icmp eq i32 %stopped, 0
  br i1 %go, label %step_, label %leave
step_:
  %feed_offset = mul i64 %i, %feed_size
  %feed = getelementptr i8, ptr %feeds, i64 %feed_offset
  call void @steps(ptr %arena, ptr %feed, ptr %shared, ptr %private, ptr %control, i64 %thread, i64 %team)
  call void @barrier(ptr %control, i64 %team)
  %i1 = add i64 %i, 1
  br i1 %leads, label %settle, label %settled
settle:
  %report_offset = mul i64 %i, %report_size
  %report = getelementptr i8, ptr %reports, i64 %report_offset
  %raised = call i32 @settle(ptr %arena, ptr %report)
  store i32 %raised, ptr %stop, align 4
  store i64 %i1, ptr %steps_done, align 8
  br label %settled
settled:
  br label %next
leave:
  {leave}
  ret void
}}"""

#: a record: control, job, thread
_START = """define internal ptr @start(ptr %record) #0 {
entry:
  %control = load ptr, ptr %record, align 8
  %job_at = getelementptr i8, ptr %record, i64 8
  %job = load ptr, ptr %job_at, align 8
  %thread_at = getelementptr i8, ptr %record, i64 16
  %thread = load i64, ptr %thread_at, align 8
  %team_at = getelementptr i8, ptr %control, i64 128
  call void @wait(ptr %control, ptr %team_at, i32 0)
  %team32 = load atomic i32, ptr %team_at acquire, align 4
  %team = zext i32 %team32 to i64
  call void @work(ptr %control, ptr %job, i64 %thread, i64 %team)
  ret ptr null
}"""

_RUN = """define i64 @run(ptr %job) #0 {{
entry:
  %control = alloca [6 x <16 x i32>], align 64
  %records = alloca [{most} x [24 x i8]], align 64
  %handles = alloca [{most} x i64], align 64
  store [6 x <16 x i32>] zeroinitializer, ptr %control, align 64
  %asked_at = getelementptr i8, ptr %job, i64 80
  %asked = load i64, ptr %asked_at, align 8
  br label %hire
hire:
  %t = phi i64 [ 1, %entry ], [ %t1, %hired ]
  %wanted = icmp slt i64 %t, %asked
  br i1 %wanted, label %create, label %begin
create:
  %record = getelementptr [24 x i8], ptr %records, i64 %t
  store ptr %control, ptr %record, align 8
  %job_at = getelementptr i8, ptr %record, i64 8
  store ptr %job, ptr %job_at, align 8
  %thread_at = getelementptr i8, ptr %record, i64 16
  store i64 %t, ptr %thread_at, align 8
  %handle = getelementptr i64, ptr %handles, i64 %t
  %refused = call i32 @pthread_create(ptr %handle, ptr null, ptr @start, ptr %record)
  %fine = icmp eq i32 %refused, 0
  br i1 %fine, label %hired, label %begin
hired:
  %t1 = add i64 %t, 1
  br label %hire
begin:
  %team32 = trunc i64 %t to i32
  %team_at = getelementptr i8, ptr %control, i64 128
  call void @change(ptr %control, ptr %team_at, i32 %team32)
  call void @work(ptr %control, ptr %job, i64 0, i64 %t)
  br label %part
part:
  %j = phi i64 [ 1, %begin ], [ %j1, %join ]
  %there = icmp slt i64 %j, %t
  br i1 %there, label %join, label %end
join:
  %leaver_at = getelementptr i64, ptr %handles, i64 %j
  %leaver = load i64, ptr %leaver_at, align 8
  call i32 @pthread_join(i64 %leaver, ptr null)
  %j1 = add i64 %j, 1
  br label %part
end:
  %done_at = getelementptr i8, ptr %control, i64 256
  %done = load i64, ptr %done_at, align 8
  ret i64 %done
}}"""
