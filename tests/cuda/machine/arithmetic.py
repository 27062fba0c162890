"""Instructions of PTX that compute, as LLVM IR with their exact meaning.

Takes: a body, an instruction. Promises: float operations round to nearest even and nothing is contracted (LLVM
contracts only where it is told that it may); shifts beyond the width, conversions out of range and the maximum
of zeros and NaNs are as the PTX manual says.
"""

from __future__ import annotations

from collections.abc import Callable

from jobspec.backends.cuda.ptx import Instruction, Unreadable
from tests.cuda.machine.body import TYPES, Body, number, width

COMPARISONS = {"eq": "eq", "ne": "ne", "lo": "ult", "ls": "ule", "hi": "ugt", "hs": "uge"}
ROUNDED = {"rmi": "floor", "rni": "roundeven", "rzi": "trunc", "rpi": "ceil"}
FLOATS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}


def typed(i: Instruction) -> tuple[str, bool]:
    """LLVM's type of the last part of the name, and whether it is signed."""
    return TYPES[i.op[-1]], i.op[-1].startswith("s")


def plain(how: str) -> Callable[[Body, Instruction], None]:
    """Two operands of one type, one instruction of LLVM's."""

    def write(b: Body, i: Instruction) -> None:
        type_, _ = typed(i)
        x, y = (b.value(arg, type_) for arg in i.args[1:3])
        b.set(i.args[0], b.let(f"{how} {type_} {x}, {y}"), type_)

    return write


def sums(b: Body, i: Instruction) -> None:
    """add, sub, div of floats and integers."""
    if i.op[-1] == "f32":
        plain(FLOATS[i.op[0]])(b, i)
    elif i.op[0] == "div":
        plain("sdiv" if typed(i)[1] else "udiv")(b, i)
    else:
        plain(i.op[0])(b, i)


def mul(b: Body, i: Instruction) -> None:
    if i.op[-1] == "f32":
        return plain("fmul")(b, i)
    value, type_ = product(b, i)
    b.set(i.args[0], value, type_)


def mad(b: Body, i: Instruction) -> None:
    value, type_ = product(b, i)
    b.set(i.args[0], b.let(f"add {type_} {value}, {b.value(i.args[3], type_)}"), type_)


def product(b: Body, i: Instruction) -> tuple[str, str]:
    """The low half, the high half or all of a product of integers, and its type."""
    type_, signed = typed(i)
    wide, extend = f"i{2 * width(type_)}", "sext" if signed else "zext"
    x, y = (b.let(f"{extend} {type_} {b.value(arg, type_)} to {wide}") for arg in i.args[1:3])
    whole = b.let(f"mul {wide} {x}, {y}")
    if "wide" in i.op:
        return whole, wide
    if "hi" in i.op:
        whole = b.let(f"lshr {wide} {whole}, {width(type_)}")
    return b.let(f"trunc {wide} {whole} to {type_}"), type_


def fma(b: Body, i: Instruction) -> None:
    x, y, z = (b.value(arg, "float") for arg in i.args[1:])
    b.set(i.args[0], b.let(f"call float @llvm.fma.f32(float {x}, float {y}, float {z})"), "float")


def root(b: Body, i: Instruction) -> None:
    b.set(i.args[0], b.let(f"call float @llvm.sqrt.f32(float {b.value(i.args[1], 'float')})"), "float")


def reciprocal(b: Body, i: Instruction) -> None:
    b.set(i.args[0], b.let(f"fdiv float 1.0, {b.value(i.args[1], 'float')}"), "float")


def larger(b: Body, i: Instruction) -> None:
    """max and min."""
    type_, signed = typed(i)
    x, y = (b.value(arg, type_) for arg in i.args[1:3])
    above = i.op[0] == "max"
    if type_ != "float":
        how = f"{'s' if signed else 'u'}{'gt' if above else 'lt'}"
        b.set(i.args[0], choice(b, b.let(f"icmp {how} {type_} {x}, {y}"), x, y, type_), type_)
        return
    how = "ogt" if above else "olt"
    left, right = b.let(f"fcmp {how} float {x}, {y}"), b.let(f"fcmp {how} float {y}, {x}")
    xs, ys = b.bits(x, "float", "i32"), b.bits(y, "float", "i32")
    joined = b.let(f"{'and' if above else 'or'} i32 {xs}, {ys}")
    equal = choice(b, right, y, b.bits(joined, "i32", "float"), "float")
    ordered = choice(b, left, x, equal, "float")
    x_is, y_is = b.let(f"fcmp uno float {x}, {x}"), b.let(f"fcmp uno float {y}, {y}")
    b.set(i.args[0], choice(b, x_is, y, choice(b, y_is, x, ordered, "float"), "float"), "float")


def choice(b: Body, condition: str, x: str, y: str, type_: str) -> str:
    return b.let(f"select i1 {condition}, {type_} {x}, {type_} {y}")


def signs(b: Body, i: Instruction) -> None:
    """neg and abs."""
    type_, _ = typed(i)
    x = b.value(i.args[1], "i32" if type_ == "float" else type_)
    if type_ == "float":
        text = f"xor i32 {x}, -2147483648" if i.op[0] == "neg" else f"and i32 {x}, 2147483647"
        return b.set(i.args[0], b.let(text), "i32")
    minus = b.let(f"sub {type_} 0, {x}")
    value = minus if i.op[0] == "neg" else choice(b, b.let(f"icmp slt {type_} {x}, 0"), minus, x, type_)
    b.set(i.args[0], value, type_)


def inverted(b: Body, i: Instruction) -> None:
    type_, _ = typed(i)
    b.set(i.args[0], b.let(f"xor {type_} {b.value(i.args[1], type_)}, -1"), type_)


def shift(b: Body, i: Instruction) -> None:
    """Beyond the width all is shifted out."""
    type_, signed = typed(i)
    bits = width(type_)
    how = "shl" if i.op[0] == "shl" else "ashr" if signed else "lshr"
    x, far = b.value(i.args[1], type_), b.value(i.args[2], "i32")
    beyond = b.let(f"icmp uge i32 {far}, {bits}")
    amount = b.bits(choice(b, beyond, str(bits - 1), far, "i32"), "i32", type_)
    inside = b.let(f"{how} {type_} {x}, {amount}")
    out = inside if how == "ashr" else choice(b, beyond, "0", inside, type_)
    b.set(i.args[0], out, type_)


def compare(b: Body, i: Instruction) -> None:
    type_, signed = typed(i)
    how = i.op[1]
    if type_ == "float":
        ordered = {"num": "ord", "nan": "uno"}.get(how)
        ordered = ordered or (how[2:] + how[:2] if len(how) == 3 else f"o{how}")
        test = f"fcmp {ordered}"
    else:
        test = f"icmp {COMPARISONS.get(how) or ('s' if signed else 'u') + how}"
    x, y = (b.value(arg, type_) for arg in i.args[1:3])
    b.set(i.args[0], b.let(f"{test} {type_} {x}, {y}"), "i1")


def select(b: Body, i: Instruction) -> None:
    type_, _ = typed(i)
    x, y = (b.value(arg, type_) for arg in i.args[1:3])
    b.set(i.args[0], choice(b, b.value(i.args[3], "i1"), x, y, type_), type_)


def move(b: Body, i: Instruction) -> None:
    """Of a value; of parts `{low, high}` into a whole; of a whole into its parts."""
    type_, _ = typed(i)
    whole = joined(b, lanes(i.args[1]), type_) if i.args[1].startswith("{") else b.value(i.args[1], type_)
    if not i.args[0].startswith("{"):
        return b.set(i.args[0], whole, type_)
    for n, register in enumerate(lanes(i.args[0])):
        part = f"i{width(type_) // len(lanes(i.args[0]))}"
        moved = b.let(f"lshr {type_} {whole}, {n * width(part)}")
        b.set(register, b.let(f"trunc {type_} {moved} to {part}"), part)


def joined(b: Body, parts: list[str], type_: str) -> str:
    result, bits = "0", width(type_) // len(parts)
    for n, register in enumerate(parts):
        wide = b.bits(b.value(register, f"i{bits}"), f"i{bits}", type_)
        placed = b.let(f"shl {type_} {wide}, {n * bits}")
        result = b.let(f"or {type_} {result}, {placed}")
    return result


def lanes(operand: str) -> list[str]:
    """The registers of `{%f1, %f2}`, or the one."""
    return [part.strip() for part in operand.strip("{}").split(",")]


def convert(b: Body, i: Instruction) -> None:
    into, source = i.op[-2], i.op[-1]
    to, own = TYPES[into], TYPES[source]
    x = b.value(i.args[1], own)
    if own == to == "float":
        text = f"call float @llvm.{ROUNDED[i.op[1]]}.f32(float {x})"
    elif to == "float":
        text = f"{'si' if source[0] == 's' else 'ui'}tofp {own} {x} to float"
    elif own == "float":
        assert i.op[1] == "rzi", str(i)
        kind = "fptosi" if into[0] == "s" else "fptoui"
        text = f"call {to} @llvm.{kind}.sat.{to}.f32(float {x})"
    else:
        return b.set(i.args[0], b.bits(x, own, to, source[0] == "s"), to, into[0] == "s")
    b.set(i.args[0], b.let(text), to)


def insert(b: Body, i: Instruction) -> None:
    """bfi: the low bits of a put into b at a place, given as numbers."""
    at, count = number(i.args[3]), number(i.args[4])
    mask = ((1 << count) - 1) << at & 0xFFFFFFFF
    x, y = b.value(i.args[1], "i32"), b.value(i.args[2], "i32")
    moved = b.let(f"and i32 {b.let(f'shl i32 {x}, {at}')}, {mask}")
    b.set(i.args[0], b.let(f"or i32 {moved}, {b.let(f'and i32 {y}, {0xFFFFFFFF ^ mask}')}"), "i32")


def extract(b: Body, i: Instruction) -> None:
    """bfe: the bits of a from a place on, given as numbers, with zeros or their sign above them."""
    at, count = number(i.args[2]), number(i.args[3])
    if not (i.op[1] in ("u32", "s32") and 0 < count <= 32 - at):
        raise Unreadable(str(i))
    top = b.let(f"shl i32 {b.value(i.args[1], 'i32')}, {32 - at - count}")
    how = "ashr" if i.op[1] == "s32" else "lshr"
    b.set(i.args[0], b.let(f"{how} i32 {top}, {32 - count}"), "i32")


def permute(b: Body, i: Instruction) -> None:
    """prmt: each byte of the result is one of the eight, or its sign, as four bits say."""
    x, y = (b.let(f"zext i32 {b.value(arg, 'i32')} to i64") for arg in i.args[1:3])
    both = b.let(f"or i64 {b.let(f'shl i64 {y}, 32')}, {x}")
    picks = b.bits(b.value(i.args[3], "i32"), "i32", "i64")
    result = "0"
    for n in range(4):
        pick = b.let(f"lshr i64 {picks}, {4 * n}")
        bits = b.let(f"shl i64 {b.let(f'and i64 {pick}, 7')}, 3")
        byte = b.let(f"trunc i64 {b.let(f'lshr i64 {both}, {bits}')} to i8")
        sign = b.let(f"icmp ne i64 {b.let(f'and i64 {pick}, 8')}, 0")
        byte = b.let(f"select i1 {sign}, i8 {b.let(f'ashr i8 {byte}, 7')}, i8 {byte}")
        placed = b.let(f"shl i32 {b.bits(byte, 'i8', 'i32')}, {8 * n}")
        result = b.let(f"or i32 {result}, {placed}")
    b.set(i.args[0], result, "i32")


def dot(b: Body, i: Instruction) -> None:
    """dp2a: two halves of a by two bytes of b, added to c."""
    low = 0 if i.op[1] == "lo" else 16
    x, y = b.value(i.args[1], "i32"), b.value(i.args[2], "i32")
    total = b.value(i.args[3], "i32")
    for n in range(2):
        half = b.let(f"trunc i32 {b.let(f'lshr i32 {x}, {16 * n}')} to i16")
        byte = b.let(f"trunc i32 {b.let(f'lshr i32 {y}, {low + 8 * n}')} to i8")
        left = b.bits(half, "i16", "i32", i.op[2] == "s32")
        right = b.bits(byte, "i8", "i32", i.op[3] == "s32")
        total = b.let(f"add i32 {total}, {b.let(f'mul i32 {left}, {right}')}")
    b.set(i.args[0], total, "i32")


def remainder(b: Body, i: Instruction) -> None:
    plain("srem" if typed(i)[1] else "urem")(b, i)


def funnel(b: Body, i: Instruction) -> None:
    """shf of the low word a and the high word b; amounts beyond the width wrap or stop."""
    low, high, far = (b.value(arg, "i32") for arg in i.args[1:])
    if i.op[2] != "wrap":
        raise Unreadable(str(i))
    how = "fshl" if i.op[1] == "l" else "fshr"
    b.set(i.args[0], b.let(f"call i32 @llvm.{how}.i32(i32 {high}, i32 {low}, i32 {far})"), "i32")


ARITHMETIC: dict[str, Callable[[Body, Instruction], None]] = {
    "add": sums,
    "sub": sums,
    "div": sums,
    "mul": mul,
    "mad": mad,
    "fma": fma,
    "sqrt": root,
    "rcp": reciprocal,
    "max": larger,
    "min": larger,
    "neg": signs,
    "abs": signs,
    "and": plain("and"),
    "or": plain("or"),
    "xor": plain("xor"),
    "not": inverted,
    "shl": shift,
    "shr": shift,
    "setp": compare,
    "selp": select,
    "mov": move,
    "cvt": convert,
    "cvta": move,
    "bfi": insert,
    "bfe": extract,
    "prmt": permute,
    "dp2a": dot,
    "rem": remainder,
    "shf": funnel,
}
DECLARED = """
declare float @llvm.fma.f32(float, float, float)
declare float @llvm.sqrt.f32(float)
declare float @llvm.floor.f32(float)
declare float @llvm.roundeven.f32(float)
declare float @llvm.trunc.f32(float)
declare float @llvm.ceil.f32(float)
declare i32 @llvm.fptosi.sat.i32.f32(float)
declare i32 @llvm.fptoui.sat.i32.f32(float)
declare i32 @llvm.fshl.i32(i32, i32, i32)
declare i32 @llvm.fshr.i32(i32, i32, i32)
"""
