"""What a compiler made of a kernel, held against the contract: PTX that rounds otherwise than asked is refused.

Takes: PTX, and the rendered text it was made from. Promises: every float operation is one that the text asked for and
names its rounding (an operation that does not may still be contracted); none is approximate, none flushes
subnormals, none is done in another format or by a matrix instruction that the profile does not allow, nothing is
atomic; there is no fma, division or root in a function
whose text has none, and in one without loops there are no more of them than the text has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from jobspec.backends.cuda.ptx import Entry, Instruction, Label, read

#: the float operations there may be, rounding and format named
FLOAT = {
    *(f"{op}.rn.f32" for op in ("add", "sub", "mul", "fma", "div", "sqrt", "rcp")),
    *(f"cvt.{way}.f32.f32" for way in ("rmi", "rni", "rzi", "rpi")),
    *(f"cvt.rn.f32.{integer}" for integer in ("s32", "u32", "s16", "u16", "u8", "s8")),
    *(f"cvt.rzi.{integer}.f32" for integer in ("s32", "u32")),
    *(f"{op}.f32" for op in ("neg", "abs", "mov", "selp")),
}
#: they move, compare or compute integers; nothing is rounded
INTEGER = {"mov", "ld", "st", "cvta", "cvt", "add", "sub", "mul", "mad", "div", "rem", "neg", "abs", "min", "max"}
INTEGER |= {"and", "or", "xor", "not", "shl", "shr", "shf", "bfe", "bfi", "prmt", "clz", "popc", "brev", "lop3"}
INTEGER |= {"setp", "selp", "slct", "dp2a", "dp4a", "bra", "ret", "exit", "bar"}
COMPARED = {f"setp.{how}{unordered}.f32" for how in ("eq", "ne", "lt", "le", "gt", "ge") for unordered in ("", "u")}
COMPARED |= {"setp.num.f32", "setp.nan.f32"}
MOVED = re.compile(r"(ld|st)\.(param|global|shared|local)(\.nc)?(\.v[24])?\.\w+")
#: name of a primitive in rendered text → what it becomes
ASKED = {
    "f_fma": ("fma",),
    "f_div": ("div", "rcp"),
    "f_sqrt": ("sqrt",),
    "f_mul": ("mul",),
    "f_add": ("add", "sub"),
    "f_sub": ("add", "sub"),
    "f_link": ("add", "sub"),
}
#: those whose number tells whether one was made of others
COUNTED = ("fma", "div", "sqrt")
#: copies into shared memory on the side, and the wait for them
ASIDE = {"cp.async.ca.shared.global", "cp.async.cg.shared.global", "cp.async.wait_all"}
ASIDE |= {"cp.async.commit_group", "cp.async.wait_group"}
#: what `f_matrices` and `f_multiply` become, and what fetches their operands or puts them in order
MATRICES = {"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"}
MATRICES |= {
    f"ldmatrix.sync.aligned.m8n8.{count}{turned}.shared.b16" for count in ("x2", "x4") for turned in ("", ".trans")
}
MATRICES |= {f"wgmma.mma_async.sync.aligned.m64n{across}k16.f32.bf16.bf16" for across in (64, 128, 256)}
MATRICES |= {f"wgmma.{what}.sync.aligned" for what in ("fence", "commit_group", "wait_group")}
MATRICES |= {"fence.proxy.async.shared::cta"}
OTHER_FORMATS = ("f64", "f16", "f16x2", "bf16", "bf16x2", "tf32", "e4m3", "e5m2")


@dataclass(frozen=True)
class Violation:
    """`rule`: in words; `entry`, `line`: where; `text`: the instruction."""

    rule: str
    entry: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.entry}, line {self.line}: {self.rule}: {self.text}"


def audit(ptx: str, text: str = "", matrices: bool = False) -> list[Violation]:
    """All that is wrong with `ptx`; operations are counted where the rendered `text` is given. `matrices`: the profile
    lets leaves be summed by the one instruction on matrices that there is a name for, operands fetched by another."""
    asked = asked_for(text)
    found: list[Violation] = []
    for entry in read(ptx).entries.values():
        constants = constants_of(entry)
        for instruction in entry.instructions:
            rule = "" if matrices and of_matrices(instruction) else wrong(instruction, constants)
            if rule:
                found.append(Violation(rule, entry.name, instruction.line, str(instruction)))
        if text:
            found.extend(uncalled(entry, asked.get(entry.name, Counter())))
    return found


def of_matrices(i: Instruction) -> bool:
    """Whether it is one that the profile `fast` may have; on the side, one that adds to sums what it multiplies as it
    stands, none negated."""
    plain = i.op[:2] != ("wgmma", "mma_async") or i.args[3:6] == ("1", "1", "1")
    return ".".join(i.op) in MATRICES and plain


def wrong(i: Instruction, constants: dict[str, int]) -> str:
    """The rule that one instruction breaks, empty where it breaks none."""
    whole, parts = ".".join(i.op), set(i.op)
    if "approx" in parts or "full" in parts:
        return "an approximate operation"
    if "ftz" in parts:
        return "subnormals are flushed to zero"
    if i.op[0] in ("atom", "red"):
        return "an atomic operation has no order"
    if i.op[0] in ("wmma", "mma", "wgmma", "ldmatrix", "fence"):
        return "a tensor core has its own order"
    if parts.intersection(OTHER_FORMATS):
        return "another format than binary32"
    if "f32" in parts and not MOVED.fullmatch(whole):
        return wrong_float(i, whole, constants)
    return "" if i.op[0] in INTEGER or whole in ASIDE else "an instruction that is not known to be exact"


def wrong_float(i: Instruction, whole: str, constants: dict[str, int]) -> str:
    if whole in FLOAT or whole in COMPARED:
        return ""
    if whole in ("max.f32", "min.f32"):
        return "" if is_choice(i, constants) else "the compiler's own maximum treats NaN or zeros otherwise"
    if i.op[0] in ("add", "sub", "mul", "fma", "div", "sqrt", "rcp") and "rn" not in i.op:
        return "its rounding is not named, so that it may be contracted"
    return "a float operation that no plan asks for"


def is_choice(i: Instruction, constants: dict[str, int]) -> bool:
    """Whether max (min) against a constant is `x > c ? x : c` to the bit: always, but where c is the lower (upper)
    zero, which max (min) tells apart and a comparison does not."""
    *_, a, b = i.args
    values = [bits for x in (a, b) if (bits := literal(x, constants)) is not None]
    unlike = 0x80000000 if i.op[0] == "max" else 0
    return any(bits != unlike and bits & 0x7FFFFFFF <= 0x7F800000 for bits in values)


def literal(operand: str, constants: dict[str, int]) -> int | None:
    return int(operand[2:], 16) if operand.startswith("0f") else constants.get(operand)


def constants_of(entry: Entry) -> dict[str, int]:
    """Registers that only ever hold one constant."""
    written = Counter(i.args[0] for i in entry.instructions if i.args)
    moves = (i for i in entry.instructions if i.op[0] == "mov" and i.args[1].startswith("0f"))
    return {i.args[0]: int(i.args[1][2:], 16) for i in moves if written[i.args[0]] == 1}


# ---- counts


def asked_for(text: str) -> dict[str, Counter[str]]:
    """Primitives by name in each function of a rendered text; `loops` counts its loops."""
    found: dict[str, Counter[str]] = {}
    for part in re.split(r"^KERNEL (?:BOUND\(\d+\) )?", text, flags=re.MULTILINE)[1:]:
        name = part[: part.index("(")]
        counts = Counter(re.findall(r"\bf_\w+", part))
        counts["loops"] = len(re.findall(r"\b(?:for|while) \(", part))
        found[name] = counts
    return found


def uncalled(entry: Entry, asked: Counter[str]) -> Iterator[Violation]:
    """Operations that the text has not, or has fewer of."""
    made = Counter(i.op[0] for i in entry.instructions if "f32" in i.op)
    for primitive in COUNTED:
        called = sum(asked[name] for name, makes in ASKED.items() if primitive in makes)
        count = made[primitive] + (made["rcp"] if primitive == "div" else 0)
        if count > called and (called == 0 or loopless(entry, asked)):
            seen = f"{count} of {primitive}, where the text has {called}"
            yield Violation("an operation that nobody asked for", entry.name, 0, seen)


def loopless(entry: Entry, asked: Counter[str]) -> bool:
    """Whether code is never repeated: neither a loop in the text, nor a copy of a block that two ways lead to."""
    return asked["loops"] == 0 and not any(isinstance(item, Label) for item in entry.body)
