"""What every translated program stands on, in LLVM IR: the launch of a grid and the watch over its memory.

Promises: the threads of a block run one after another from barrier to barrier, every thread's registers kept in a
frame of its own meanwhile; that all come to the same barrier is checked. Of every access it is checked that it is
aligned, that it lies in memory of its own, that no other thread touches the same word in conflict before
the next barrier (shared memory) or in the same launch (global memory), and that shared memory was written
before it is read. The first fault ends the launch, and the environment tells of it.

An instruction on matrices is taken by all threads of a block before any goes on, since they take of each other's
numbers; it orders nothing in memory, so time stands still.

Watched memory has a shadow of two words of 64 bits for each four bytes: who wrote last, who read last, as
time << 32 | thread from 1; time goes on from barrier to barrier, from block to block and from launch to launch. All
ones: nobody may touch it. Two accesses of one launch are in conflict if they are of different blocks, or of one block
without a barrier between them. A word that two threads write with one value is no fault of global memory: that is
how flags are raised.
"""

from __future__ import annotations

#: words of the environment
TID, CTAID, NTID, NCTAID, SHARED, SHADOW, INTERVAL, EPOCH, RANGES, TABLE, THREAD, KIND, LINE, ADDRESS, BYTES, OPENED = (
    range(16)
)
#: where threads put numbers for each other, and how often all of them have gone on
EXCHANGE, SWEEP = 16, 17
#: what each thread has asked to be copied on the side (aside.py)
QUEUES = 18
#: what each thread has of matrix instructions on the side (warpgroups.py); how often the writer of each word of shared
#: memory must have fenced the proxies, 0 where nobody asks; bytes of a thread's
GROUPS, PROXIES, GROUP_BYTES = 19, 20, 21
WORDS = 22
#: what numbers of instructions on matrices begin behind
MATRICES = 1 << 16
#: kinds of fault, from 1
FAULTS = (
    "",
    "misaligned access",
    "global memory out of bounds",
    "race in global memory",
    "shared memory out of bounds",
    "shared memory read before it is written",
    "race in shared memory",
    "barrier that not all threads of the block come to",
    "matrix that is not described as any that is known",
    "shared memory read by a matrix instruction before its writer has fenced the proxies",
    "shared memory written under a matrix instruction",
)
MISALIGNED, GLOBAL_BOUNDS, GLOBAL_RACE, SHARED_BOUNDS, UNWRITTEN, SHARED_RACE, DIVERGENT = range(1, 8)
DESCRIBED, UNFENCED, CHANGED = range(8, 11)
#: as the thread of a shadow: several of the block; of several blocks, which no barrier makes good
MANY, EVERY = 0xFFFFFFFF, 0xFFFFFFFE


def word(name: str, index: int) -> str:
    """Load word `index` of the environment."""
    return f"  %{name}.p = getelementptr i64, ptr %env, i64 {index}\n  %{name} = load i64, ptr %{name}.p\n"


def loaded(base: str, mark: str, *names: str) -> str:
    """Load words that lie side by side from `base` on; `mark` begins the names of their places."""
    return "".join(
        f"  %{mark}{n} = getelementptr i64, ptr %{base}, i64 {n}\n  %{name} = load i64, ptr %{mark}{n}\n"
        for n, name in enumerate(names)
    )


def stored(base: str, mark: str, *names: str) -> str:
    """Store them there."""
    return "".join(
        f"  %{mark}{n} = getelementptr i64, ptr %{base}, i64 {n}\n  store i64 %{name}, ptr %{mark}{n}\n"
        for n, name in enumerate(names)
    )


FAIL = f"""
define i1 @fail(ptr %env, i64 %kind, i64 %line, i64 %address) noinline {{
  %k = getelementptr i64, ptr %env, i64 {KIND}
  store i64 %kind, ptr %k
  %l = getelementptr i64, ptr %env, i64 {LINE}
  store i64 %line, ptr %l
  %a = getelementptr i64, ptr %env, i64 {ADDRESS}
  store i64 %address, ptr %a
  ret i1 false
}}
"""

#: whether an access that a word of shadow tells of is in conflict with one of `thread` at `time`
AGAINST = f"""
define i1 @against(i64 %word, i64 %time, i64 %thread, i64 %launched, i64 %opened) alwaysinline {{
  %then = lshr i64 %word, 32
  %who = and i64 %word, 4294967295
  %ours = icmp uge i64 %then, %launched
  %another = icmp ne i64 %who, %thread
  %now = icmp eq i64 %then, %time
  %elsewhere = icmp ult i64 %then, %opened
  %everywhere = icmp eq i64 %who, {EVERY}
  %apart = or i1 %elsewhere, %everywhere
  %unordered = or i1 %now, %apart
  %both = and i1 %another, %unordered
  %result = and i1 %ours, %both
  ret i1 %result
}}
"""

#: what two words of shadow say of an access; `same`: the write changes nothing
WATCH = f"""
define i1 @watch(ptr %env, ptr %shadow, i64 %thread, i1 %write, i1 %same, i64 %race, i64 %unwritten,
                 i64 %line, i64 %address) noinline {{
{word("time", INTERVAL)}{word("launched", EPOCH)}{word("opened", OPENED)}  %high = shl i64 %time, 32
  %me = or i64 %high, %thread
  %readers = getelementptr i64, ptr %shadow, i64 1
  %w = load i64, ptr %shadow
  %r = load i64, ptr %readers
  %w.against = call i1 @against(i64 %w, i64 %time, i64 %thread, i64 %launched, i64 %opened)
  %r.against = call i1 @against(i64 %r, i64 %time, i64 %thread, i64 %launched, i64 %opened)
  br i1 %write, label %writes, label %reads
writes:
  %both = or i1 %w.against, %r.against
  %differs = xor i1 %same, true
  %bad = and i1 %both, %differs
  store i64 %me, ptr %shadow
  br i1 %bad, label %racing, label %good
reads:
  %never = icmp eq i64 %w, 0
  %minds = icmp ne i64 %unwritten, 0
  %raw = and i1 %never, %minds
  br i1 %raw, label %fresh, label %seen
fresh:
  %f = call i1 @fail(ptr %env, i64 %unwritten, i64 %line, i64 %address)
  ret i1 false
seen:
  %r.time = lshr i64 %r, 32
  %r.here = icmp uge i64 %r.time, %opened
  %r.who = and i64 %r, 4294967295
  %r.every = icmp eq i64 %r.who, {EVERY}
  %local = xor i1 %r.every, true
  %in.block = and i1 %r.here, %local
  %crowd = select i1 %in.block, i64 {MANY}, i64 {EVERY}
  %several = or i64 %high, %crowd
  %now = select i1 %r.against, i64 %several, i64 %me
  store i64 %now, ptr %readers
  br i1 %w.against, label %racing, label %good
racing:
  %g = call i1 @fail(ptr %env, i64 %race, i64 %line, i64 %address)
  ret i1 false
good:
  ret i1 true
}}
"""


def aligned(behind: str) -> str:
    """An access must be aligned; then on to the block `behind`."""
    return f"""  %mask = sub i64 %size, 1
  %low = and i64 %address, %mask
  %odd = icmp ne i64 %low, 0
  br i1 %odd, label %misaligned, label %{behind}
misaligned:
  %m = call i1 @fail(ptr %env, i64 {MISALIGNED}, i64 %line, i64 %address)
  ret i1 false
"""


CHECK_ALIGNED = f"""
define i1 @check_aligned(ptr %env, i64 %address, i64 %size, i64 %line) noinline {{
{aligned("fine")}fine:
  ret i1 true
}}
"""

CHECK_GLOBAL = f"""
define i1 @check_global(ptr %env, i64 %address, i64 %size, i1 %write, i32 %value, i64 %line) noinline {{
entry:
{aligned("search")}search:
{word("count", RANGES)}{word("table", TABLE)}  %table.at = inttoptr i64 %table to ptr
  br label %next
next:
  %i = phi i64 [ 0, %search ], [ %i.next, %other ]
  %left = icmp ult i64 %i, %count
  br i1 %left, label %try, label %outside
try:
  %row = mul i64 %i, 3
  %lo.p = getelementptr i64, ptr %table.at, i64 %row
  %lo = load i64, ptr %lo.p
  %hi.p = getelementptr i64, ptr %lo.p, i64 1
  %hi = load i64, ptr %hi.p
  %end = add i64 %address, %size
  %above = icmp uge i64 %address, %lo
  %below = icmp ule i64 %end, %hi
  %within = and i1 %above, %below
  br i1 %within, label %found, label %other
other:
  %i.next = add i64 %i, 1
  br label %next
outside:
  %o = call i1 @fail(ptr %env, i64 {GLOBAL_BOUNDS}, i64 %line, i64 %address)
  ret i1 false
found:
  %shadow.p = getelementptr i64, ptr %lo.p, i64 2
  %shadow = load i64, ptr %shadow.p
  %into = sub i64 %address, %lo
  %number = lshr i64 %into, 2
  %bytes = shl i64 %number, 4
  %place = add i64 %shadow, %bytes
  %at = inttoptr i64 %place to ptr
  %w = load i64, ptr %at
  %closed = icmp eq i64 %w, -1
  br i1 %closed, label %outside, label %open
open:
  %part = icmp ult i64 %size, 4
  br i1 %part, label %fine, label %whole
fine:
  ret i1 true
whole:
  %memory = inttoptr i64 %address to ptr
  %old = load i32, ptr %memory
  %same = icmp eq i32 %old, %value
{word("thread", THREAD)}  %answer = call i1 @watch(ptr %env, ptr %at, i64 %thread, i1 %write, i1 %same,
    i64 {GLOBAL_RACE}, i64 0, i64 %line, i64 %address)
  ret i1 %answer
}}
"""

CHECK_SHARED = f"""
define i1 @check_shared(ptr %env, i64 %address, i64 %size, i1 %write, i32 %value, i64 %line) noinline {{
{aligned("inside")}inside:
{word("bytes", BYTES)}  %end = add i64 %address, %size
  %fits = icmp ule i64 %end, %bytes
  %starts = icmp ult i64 %address, %bytes
  %within = and i1 %fits, %starts
  br i1 %within, label %look, label %outside
outside:
  %o = call i1 @fail(ptr %env, i64 {SHARED_BOUNDS}, i64 %line, i64 %address)
  ret i1 false
look:
{word("shadow", SHADOW)}  %number = lshr i64 %address, 2
  %far = shl i64 %number, 4
  %place = add i64 %shadow, %far
  %at = inttoptr i64 %place to ptr
  %w = load i64, ptr %at
  %closed = icmp eq i64 %w, -1
  br i1 %closed, label %outside, label %open
open:
{word("proxies", PROXIES)}  %minds = icmp ne i64 %proxies, 0
  %marks = and i1 %write, %minds
  br i1 %marks, label %mark, label %judge
mark:
{word("tid", TID)}{word("groups", GROUPS)}{word("each", GROUP_BYTES)}  %own.far = mul i64 %tid, %each
  %own.at = add i64 %groups, %own.far
  %own.p = inttoptr i64 %own.at to ptr
  %fences = load i64, ptr %own.p
  %needed = add i64 %fences, 1
  %proxy.far = shl i64 %number, 3
  %proxy.at = add i64 %proxies, %proxy.far
  %proxy.p = inttoptr i64 %proxy.at to ptr
  store i64 %needed, ptr %proxy.p
  br label %judge
judge:
{word("thread", THREAD)}  %answer = call i1 @watch(ptr %env, ptr %at, i64 %thread, i1 %write, i1 false,
    i64 {SHARED_RACE}, i64 {UNWRITTEN}, i64 %line, i64 %address)
  ret i1 %answer
}}
"""

#: template: shadow and shared memory as a block finds them, one behind the other
LAUNCH = f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define i32 @launch(ptr %env, ptr %entry, i64 %grid, i64 %block, ptr %params, ptr %frames, i64 %frame, ptr %fresh,
                   i64 %fresh.bytes, i1 %backwards) {{
start:
  %ctaid = getelementptr i64, ptr %env, i64 {CTAID}
  %tid = getelementptr i64, ptr %env, i64 {TID}
  %thread = getelementptr i64, ptr %env, i64 {THREAD}
  %interval = getelementptr i64, ptr %env, i64 {INTERVAL}
  %opened = getelementptr i64, ptr %env, i64 {OPENED}
  %sweeps = getelementptr i64, ptr %env, i64 {SWEEP}
{word("shadow", SHADOW)}  %shadow.at = inttoptr i64 %shadow to ptr
  br label %blocks
blocks:
  %b = phi i64 [ 0, %start ], [ %b.next, %ended ]
  %b.more = icmp ult i64 %b, %grid
  br i1 %b.more, label %open, label %done
open:
  %b.last = sub i64 %grid, 1
  %b.mirror = sub i64 %b.last, %b
  %b.at = select i1 %backwards, i64 %b.mirror, i64 %b
  store i64 %b.at, ptr %ctaid
  %before = load i64, ptr %interval
  %from = add i64 %before, 1
  store i64 %from, ptr %opened
  call void @llvm.memcpy.p0.p0.i64(ptr %shadow.at, ptr %fresh, i64 %fresh.bytes, i1 false)
  br label %clear
clear:
  %c = phi i64 [ 0, %open ], [ %c.next, %clearing ]
  %c.more = icmp ult i64 %c, %block
  br i1 %c.more, label %clearing, label %sweep
clearing:
  %c.far = mul i64 %c, %frame
  %c.frame = getelementptr i8, ptr %frames, i64 %c.far
  store i64 0, ptr %c.frame
  %c.next = add i64 %c, 1
  br label %clear
sweep:
  %now = load i64, ptr %interval
  %later = add i64 %now, 1
  store i64 %later, ptr %interval
  br label %again
again:
  %swept = load i64, ptr %sweeps
  %swept.next = add i64 %swept, 1
  store i64 %swept.next, ptr %sweeps
  br label %threads
threads:
  %t = phi i64 [ 0, %again ], [ %t.next, %agree ]
  %common = phi i32 [ 0, %again ], [ %came, %agree ]
  %t.more = icmp ult i64 %t, %block
  br i1 %t.more, label %run, label %barrier
run:
  %t.last = sub i64 %block, 1
  %t.mirror = sub i64 %t.last, %t
  %t.at = select i1 %backwards, i64 %t.mirror, i64 %t
  store i64 %t.at, ptr %tid
  %number = mul i64 %b.at, %block
  %number.t = add i64 %number, %t.at
  %number.1 = add i64 %number.t, 1
  store i64 %number.1, ptr %thread
  %far = mul i64 %t.at, %frame
  %own = getelementptr i8, ptr %frames, i64 %far
  %came = call i32 %entry(ptr %own, ptr %params, ptr %env)
  %failed = icmp slt i32 %came, 0
  br i1 %failed, label %fault, label %compare
compare:
  %first = icmp eq i64 %t, 0
  %equal = icmp eq i32 %came, %common
  %together = or i1 %first, %equal
  br i1 %together, label %agree, label %apart
agree:
  %came.wide = zext i32 %came to i64
  store i64 %came.wide, ptr %own
  %t.next = add i64 %t, 1
  br label %threads
apart:
  %came.apart = zext i32 %came to i64
  %d = call i1 @fail(ptr %env, i64 {DIVERGENT}, i64 0, i64 %came.apart)
  ret i32 {DIVERGENT}
fault:
  %kind.p = getelementptr i64, ptr %env, i64 {KIND}
  %kind = load i64, ptr %kind.p
  %kind.32 = trunc i64 %kind to i32
  ret i32 %kind.32
barrier:
  %finished = icmp eq i32 %common, 0
  br i1 %finished, label %ended, label %more
more:
  %matrices = icmp uge i32 %common, {MATRICES}
  br i1 %matrices, label %again, label %sweep
ended:
  %b.next = add i64 %b, 1
  br label %blocks
done:
  ret i32 0
}}
"""
TEXT = FAIL + AGAINST + WATCH + CHECK_ALIGNED + CHECK_GLOBAL + CHECK_SHARED + LAUNCH
