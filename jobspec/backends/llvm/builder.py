"""The instructions of one LLVM function: raw ops, integers, vectors, memory, control flow.

Takes: values (values.py) of any scalar or vector type. Promises: every method appends instructions in
order and returns their value; integers given as Python numbers are i64 constants and are folded; no
instruction carries a fast-math, nsw or nuw flag. The text is meant for code generation without an
optimisation pipeline: write it as it should run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

from jobspec.backends.llvm.module import Module
from jobspec.backends.llvm.values import (
    Value,
    element_of,
    integer,
    iota,
    like,
    mangled,
    poison,
    prefix_mask,
    vector,
    width_of,
    zero,
)

Int = Value | int  #: an i64, known or not
#: chains of instructions that go side by side: enough that none waits, few enough for the registers
ABREAST = 4
Body = Callable[..., Sequence[Value] | None]


def int_of(number: Int) -> Value:
    return number if isinstance(number, Value) else Value("i64", str(number))


class Builder:
    """`params`: (type, name). The entry block is open at the start; end every function with `ret`."""

    def __init__(
        self,
        module: Module,
        name: str,
        params: Sequence[tuple[str, str]],
        result: str = "void",
        internal: bool = False,
        attributes: str = "",
    ) -> None:
        self.module, self.name, self.result = module, name, result
        self.params = tuple(Value(t.split(" ")[0] if t.startswith("ptr") else t, f"%{n}") for t, n in params)
        signature = ", ".join(f"{t} %{n}" for t, n in params)
        self._head = f"define {'internal ' if internal else ''}{result} @{name}({signature}) #0 {attributes}".rstrip()
        self._lines: list[str] = ["entry:"]
        self._entry: list[str] = []
        self._names = 0
        self.block = "entry"

    def text(self) -> str:
        return "\n".join([self._head + " {", self._lines[0], *self._entry, *self._lines[1:], "}"])

    # ---- the raw layer

    def line(self, text: str) -> None:
        self._lines.append("  " + text)

    def name_(self, prefix: str = "v") -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def op(self, type_: str, text: str) -> Value:
        """One instruction with a result."""
        result = Value(type_, "%" + self.name_())
        self._lines.append(f"  {result.text} = {text}")
        return result

    def binary(self, op: str, a: Value, b: Value) -> Value:
        return self.op(a.type, f"{op} {a.type} {a.text}, {b.text}")

    def convert(self, op: str, a: Value, type_: str) -> Value:
        """trunc, zext, sext, sitofp, uitofp, fpext, fptrunc, …"""
        return self.op(type_, f"{op} {a} to {type_}")

    def intrinsic(self, name: str, result: str, args: Sequence[Value], over: Sequence[str]) -> Value:
        """Call @llvm.name.over…; `over`: the types in its mangled name."""
        full = ".".join(["llvm", name, *(mangled(t) for t in over)])
        self.module.declare(result, full, tuple(a.type for a in args))
        return self.call(result, full, args)

    def call(self, result: str, name: str, args: Sequence[Value]) -> Value:
        text = f"call {result} @{name}({', '.join(map(str, args))})"
        if result != "void":
            return self.op(result, text)
        self.line(text)
        return Value("void", "")

    def ret(self, value: Value | None = None) -> None:
        self.line("ret void" if value is None else f"ret {value}")

    # ---- integers, bits, choice

    def iadd(self, a: Int, b: Int) -> Value:
        return self._folded("add", a, b)

    def isub(self, a: Int, b: Int) -> Value:
        return self._folded("sub", a, b)

    def imul(self, a: Int, b: Int) -> Value:
        return self._folded("mul", a, b)

    def udiv(self, a: Int, b: Int) -> Value:
        return self._folded("udiv", a, b)

    def urem(self, a: Int, b: Int) -> Value:
        return self._folded("urem", a, b)

    def smin(self, a: Int, b: Int) -> Value:
        a, b = int_of(a), int_of(b)
        return self.intrinsic("smin", a.type, (a, b), (a.type,))

    def umulhi(self, a: Value, b: Value) -> Value:
        """The high 32 bits of the 64-bit product of u32."""
        wide = like(a.type, "i64")
        product = self.binary("mul", self.convert("zext", a, wide), self.convert("zext", b, wide))
        return self.convert("trunc", self.binary("lshr", product, integer(wide, 32)), a.type)

    def and_(self, a: Value, b: Value) -> Value:
        return self.binary("and", a, b)

    def or_(self, a: Value, b: Value) -> Value:
        return self.binary("or", a, b)

    def xor(self, a: Value, b: Value) -> Value:
        return self.binary("xor", a, b)

    def not_(self, a: Value) -> Value:
        return self.xor(a, integer(a.type, -1))

    def shift(self, op: str, a: Value, amount: Value) -> Value:
        """shl, lshr or ashr by `amount` modulo 32."""
        return self.binary(op, a, self.and_(amount, integer(a.type, 31)))

    def icmp(self, predicate: str, a: Int, b: Int) -> Value:
        a, b = int_of(a), int_of(b)
        return self.op(like(a.type, "i1"), f"icmp {predicate} {a}, {b.text}")

    def fcmp(self, predicate: str, a: Value, b: Value) -> Value:
        return self.op(like(a.type, "i1"), f"fcmp {predicate} {a}, {b.text}")

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        return self.op(a.type, f"select {condition}, {a}, {b}")

    def bits(self, a: Value) -> Value:
        return self.convert("bitcast", a, like(a.type, "i32"))

    def floats(self, a: Value) -> Value:
        return self.convert("bitcast", a, like(a.type, "float"))

    # ---- vectors

    def splat(self, a: Value, width: int = 16) -> Value:
        type_ = vector(a.type, width)
        if width == 1:
            return a
        if not a.text.startswith("%"):
            return Value(type_, f"splat ({a})")
        first = self.insert(poison(type_), a, 0)
        return self.shuffle(first, poison(type_), [0] * width)

    def insert(self, a: Value, element: Value, lane: int) -> Value:
        return self.op(a.type, f"insertelement {a}, {element}, i64 {lane}")

    def extract(self, a: Value, lane: int) -> Value:
        return self.op(element_of(a.type), f"extractelement {a}, i64 {lane}")

    def shuffle(self, a: Value, b: Value, lanes: Sequence[int]) -> Value:
        """Lanes of `a` (0 …) and `b` (after them); -1: any value."""
        chosen = ", ".join(f"i32 {i}" if i >= 0 else "i32 poison" for i in lanes)
        order = f"<{len(lanes)} x i32> <{chosen}>"
        return self.op(vector(element_of(a.type), len(lanes)), f"shufflevector {a}, {b}, {order}")

    def mask_below(self, count: Int, width: int = 16) -> Value:
        """Lanes whose number is less than `count`."""
        if isinstance(count, int):
            return prefix_mask(count, width)
        lanes = vector("i32", width)
        return self.icmp("slt", iota(lanes), self.splat(self.convert("trunc", count, "i32"), width))

    # ---- memory: `offset` in bytes; alignment in bytes, the element's size unless given

    def offset(self, pointer: Value, offset: Int) -> Value:
        if offset == 0:
            return pointer
        return self.op("ptr", f"getelementptr i8, {pointer}, {int_of(offset)}")

    def alloca(self, size: int, align: int = 64) -> Value:
        """`size` bytes of stack, taken once at entry."""
        result = Value("ptr", "%" + self.name_())
        self._entry.append(f"  {result.text} = alloca [{size} x i8], align {align}")
        return result

    def load(self, type_: str, pointer: Value, align: int = 0) -> Value:
        return self.op(type_, f"load {type_}, {pointer}, align {align or _align(type_)}")

    def store(self, value: Value, pointer: Value, align: int = 0) -> None:
        self.line(f"store {value}, {pointer}, align {align or _align(value.type)}")

    def store_past(self, value: Value, pointer: Value) -> None:
        """A whole line, written past the caches; others are sure to see it only behind `settle`."""
        self.line(f"store {value}, {pointer}, align 64, !nontemporal !{{i32 1}}")

    def settle(self) -> None:
        """What was written past the caches is in memory before anything that is written later."""
        self.module.declare("void", "llvm.x86.sse.sfence", ())
        self.call("void", "llvm.x86.sse.sfence", ())

    def masked_load(self, type_: str, pointer: Value, mask: Value, other: Value | None = None) -> Value:
        """Lanes outside the mask are not read and give `other` (0)."""
        return self._masked("load", type_, type_, f"{_aligned(pointer, type_)}, {mask}, {other or zero(type_)}")

    def masked_store(self, value: Value, pointer: Value, mask: Value) -> None:
        self._masked("store", "void", value.type, f"{value}, {_aligned(pointer, value.type)}, {mask}")

    def gather(self, type_: str, pointers: Value, mask: Value) -> Value:
        name = f"llvm.masked.gather.{mangled(type_)}.{mangled(pointers.type)}"
        self.module.declare(type_, name, (pointers.type, mask.type, type_))
        where = f"{pointers.type} align {_align(type_)} {pointers.text}"
        return self.op(type_, f"call {type_} @{name}({where}, {mask}, {zero(type_)})")

    def scatter(self, value: Value, pointers: Value, mask: Value) -> None:
        name = f"llvm.masked.scatter.{mangled(value.type)}.{mangled(pointers.type)}"
        self.module.declare("void", name, (value.type, pointers.type, mask.type))
        where = f"{pointers.type} align {_align(value.type)} {pointers.text}"
        self.line(f"call void @{name}({value}, {where}, {mask})")

    def spread_pointer(self, pointer: Value, offsets: Value) -> Value:
        """One pointer per lane, `offsets` bytes (vector of i64) from `pointer`."""
        return self.op(like(offsets.type, "ptr"), f"getelementptr i8, {pointer}, {offsets}")

    def any(self, mask: Value) -> Value:
        """Whether any lane is set."""
        width = width_of(mask.type)
        if width == 1:
            return mask
        whole = f"i{width}"
        return self.icmp("ne", self.convert("bitcast", mask, whole), Value(whole, "0"))

    def prefetch(self, pointer: Value, write: bool = False, locality: int = 3) -> None:
        self.module.declare("void", "llvm.prefetch.p0", ("ptr", "i32", "i32", "i32"))
        self.line(f"call void @llvm.prefetch.p0({pointer}, i32 {int(write)}, i32 {locality}, i32 1)")

    # ---- control flow

    def label(self, name: str) -> None:
        """Open a block; the one before must have ended."""
        self._lines.append(f"{name}:")
        self.block = name

    def branch(self, to: str) -> None:
        self.line(f"br label %{to}")

    def branch_if(self, condition: Value, then: str, otherwise: str) -> None:
        self.line(f"br {condition}, label %{then}, label %{otherwise}")

    def phi(self, type_: str, edges: Sequence[tuple[Value, str]]) -> Value:
        return self.op(type_, _phi(type_, edges))

    def loop(
        self, start: Int, stop: Int, step: Int, body: Body, carried: Sequence[Value] = (), guard: bool = True
    ) -> list[Value]:
        """for i = start; i < stop; i += step: body(i, *carried) -> next carried (signed). Returns the last carried
        values. Without `guard` there is at least one turn; known bounds need none; a known single turn is no loop."""
        if isinstance(start, int) and isinstance(stop, int):
            if start >= stop:
                return list(carried)
            if isinstance(step, int) and start + step >= stop:
                return list(body(int_of(start), *carried) or ())
            return self._turns(start, stop, step, body, carried)
        if start == stop:
            return list(carried)
        if not guard:
            return self._turns(start, stop, step, body, carried)
        return self.when(
            self.icmp("slt", start, stop), lambda: self._turns(start, stop, step, body, carried), lambda: carried
        )

    def when(self, condition: Value, then: Body, otherwise: Body | None = None) -> list[Value]:
        """Run one of two bodies; each returns as many values, merged here."""
        first, second, after = self.name_("then"), self.name_("else"), self.name_("join")
        self.branch_if(condition, first, second if otherwise else after)
        origin = self.block
        yes, yes_block = self._arm(first, then, after)
        if otherwise is None:
            assert not yes, "values from one arm only"
            no, no_block = list[Value](), origin
        else:
            no, no_block = self._arm(second, otherwise, after)
        self.label(after)
        return [self.phi(a.type, [(a, yes_block), (b, no_block)]) for a, b in zip(yes, no, strict=True)]

    def _arm(self, name: str, body: Body, after: str) -> tuple[list[Value], str]:
        self.label(name)
        values = list(body() or ())
        self.branch(after)
        return values, self.block

    def _turns(self, start: Int, stop: Int, step: Int, body: Body, carried: Sequence[Value]) -> list[Value]:
        before, head, after = self.block, self.name_("loop"), self.name_("done")
        self.branch(head)
        self.label(head)
        heads = [Value(v.type, "%" + self.name_()) for v in (int_of(start), *carried)]
        hole = len(self._lines)
        results = list(body(*heads) or ())
        following = [self.iadd(heads[0], step), *results]
        self.branch_if(self.icmp("slt", following[0], stop), head, after)
        edges = zip(heads, (int_of(start), *carried), following, strict=True)
        self._lines[hole:hole] = [f"  {h.text} = " + _phi(h.type, [(a, before), (b, self.block)]) for h, a, b in edges]
        self.label(after)
        return results

    def beside(self, bodies: Sequence[Callable[[], None]]) -> None:
        """Bodies that need nothing of each other: of ABREAST of them an instruction of each in turn, then of the next;
        one behind the other where one opens a block, or registers are few."""
        before, block, written = self._lines, self.block, []
        for body in bodies:
            self._lines = []
            body()
            written.append(self._lines)
        self._lines = before
        each = ABREAST if self.block == block and self.module.has("avx512f") else 1
        for first in range(0, len(written), each):
            turns = zip_longest(*written[first : first + each], fillvalue="")
            self._lines += [line for turn in turns for line in turn if line]

    # ---- inside

    def _folded(self, op: str, a: Int, b: Int) -> Value:
        a, b = int_of(a), int_of(b)
        if a.type == "i64" and not a.text.startswith("%") and not b.text.startswith("%"):
            return Value("i64", str(_FOLD[op](int(a.text), int(b.text))))
        if b.text == _NEUTRAL[op]:
            return a
        if op in ("add", "mul") and a.text == _NEUTRAL[op]:
            return b
        return self.binary(op, a, b)

    def _masked(self, what: str, result: str, type_: str, operands: str) -> Value:
        name, mask = f"llvm.masked.{what}.{mangled(type_)}.p0", like(type_, "i1")
        params = ("ptr", mask, type_) if what == "load" else (type_, "ptr", mask)
        self.module.declare(result, name, params)
        text = f"call {result} @{name}({operands})"
        if result != "void":
            return self.op(result, text)
        self.line(text)
        return Value("void", "")


_FOLD: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "udiv": lambda a, b: a // b,
    "urem": lambda a, b: a % b,
}
_NEUTRAL = {"add": "0", "sub": "0", "mul": "1", "udiv": "1", "urem": ""}


def _align(type_: str) -> int:
    return {"float": 4, "double": 8, "i1": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8, "ptr": 8}[element_of(type_)]


def _aligned(pointer: Value, type_: str) -> str:
    return f"ptr align {_align(type_)} {pointer.text}"


def _phi(type_: str, edges: Sequence[tuple[Value, str]]) -> str:
    return f"phi {type_} " + ", ".join(f"[ {v.text}, %{block} ]" for v, block in edges)
