"""Operators and elementwise functions on numbers and tensors.

Takes: values. Promises: numbers fold at compile time; integer tensors stay i32 under `+ - *`, `max`, `min` and
comparison with integers, and become f32 wherever the other side is f32 or a fraction, and under everything else;
a bool counts 0 or 1 in arithmetic. Whole powers are multiplications from the left, `^.5` is a square root.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jobspec.ir.program import Node, make
from jobspec.lang import constants as c
from jobspec.lang.alignment import align
from jobspec.lang.constants import Number, Undefined
from jobspec.lang.refusal import Refusal, need
from jobspec.lang.values import Axes, Tensor, Value, cast_node, floats, number_node, tensor_of

IR_NAME = {"+": "add", "-": "sub", "*": "mul", "/": "div"}
FOLD: dict[str, Callable[[Number, Number], Number]] = {
    "+": c.add,
    "-": c.sub,
    "*": c.mul,
    "/": c.div,
    "%": c.mod,
    "^": c.power,
}
#: comparison → (IR op, operands swapped)
COMPARE = {
    "<": ("lt", False),
    "<=": ("le", False),
    ">": ("lt", True),
    ">=": ("le", True),
    "==": ("eq", False),
    "!=": ("ne", False),
}
LONGEST_CHAIN = 16


def binary(op: str, a: Value, b: Value, stated: Axes | None = None) -> Value:
    """`a op b` for + - * / % ^."""
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        return fold(lambda: FOLD[op](number(a), number(b)))
    if op == "%":
        return modulo(a, b, stated)
    if op == "^":
        return power(a, b, stated)
    return elementwise(IR_NAME[op], [a, b], stated, "f32" if op == "/" else None)


def modulo(a: Value, b: Value, stated: Axes | None) -> Tensor:
    """a % b, which has the sign of b. Whole numbers: exact, 0 where b is 0. f32: twice r = fma(-floor(r/b), b, r) from
    r = a, then r + b where r and b differ in sign; exact for |a/b| < 2^46 but for that last sum."""
    if joint_dtype([a, b]) == "i32":
        return elementwise("mod", [a, b], stated)
    rest: Value = a
    for _ in range(2):
        quotient = apply("floor", elementwise("div", [rest, b], stated, "f32"))
        rest = elementwise("fma", [apply("neg", quotient), b, rest], stated, "f32")
    assert isinstance(rest, Tensor)
    turned = elementwise("lt", [elementwise("mul", [sign(rest), sign(floats(b))], stated), 0.0])
    result = select(turned, elementwise("add", [rest, b], stated), rest)
    assert isinstance(result, Tensor)
    return result


def fold(compute: Callable[[], Number]) -> Number:
    try:
        return compute()
    except Undefined as error:
        raise Refusal("E0221", f"{error}") from None


def number(x: Value) -> Number:
    """A compile-time number; True and False count 1 and 0."""
    if isinstance(x, Tensor):
        raise Refusal("E0224", "a compile-time number is needed here, this is a tensor")
    return int(x) if isinstance(x, bool) else x


def joint_dtype(operands: Sequence[Value]) -> str:
    """i32 where all operands are whole, else f32."""
    return "i32" if all(is_whole(x) for x in operands) else "f32"


def is_whole(x: Value) -> bool:
    return x.dtype in ("i32", "bool") if isinstance(x, Tensor) else isinstance(x, int)


def elementwise(op: str, operands: Sequence[Value], stated: Axes | None = None, dtype: str | None = None) -> Tensor:
    """The IR's `op` over aligned operands, all made `dtype` (None: their joint one)."""
    dtype = dtype or joint_dtype(operands)
    nodes, result = align([tensor_of(x, dtype) for x in operands], stated)
    return Tensor(make(op, *nodes), result.axes, result.left, result.right, result.entered)


def apply(op: str, x: Tensor, dtype: str = "f32") -> Tensor:
    """A function of one tensor."""
    return Tensor(make(op, cast_node(x.node, dtype)), x.axes, x.left, x.right, x.entered)


def negate(x: Value) -> Value:
    if not isinstance(x, Tensor):
        return fold(lambda: c.sub(0, number(x)) if isinstance(x, int) else -x)
    return apply("neg", x, joint_dtype([x]))


def power(a: Value, b: Value, stated: Axes | None) -> Value:
    """a^b with a tensor on at least one side."""
    if isinstance(b, Tensor) or not isinstance(a, Tensor):
        return elementwise("pow", [a, b], stated, "f32")
    y = number(b)
    if y == int(y) and 1 <= abs(y) <= LONGEST_CHAIN if c.finite(y) else False:
        chain = repeated(a, int(abs(y)))
        return chain if y > 0 else elementwise("div", [1, chain], None, "f32")
    if y in (0.5, -0.5):
        return apply("sqrt" if y > 0 else "rsqrt", a)
    return elementwise("pow", [a, y], stated, "f32")


def repeated(x: Tensor, times: int) -> Tensor:
    """x * x * … from the left."""
    product = x if x.dtype != "bool" else floats(x)
    factor = product
    for _ in range(times - 1):
        product = elementwise("mul", [product, factor])
    return product


def compare(op: str, a: Value, b: Value, stated: Axes | None = None) -> Tensor | bool:
    """`a op b` for < <= > >= == !=."""
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        return compare_numbers(op, number(a), number(b))
    name, swap = COMPARE[op]
    return elementwise(name, [b, a] if swap else [a, b], stated)


def compare_numbers(op: str, a: Number, b: Number) -> bool:
    table = {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b, "==": a == b, "!=": a != b}
    return table[op]


def logic(op: str, operands: Sequence[Value], stated: Axes | None = None) -> Tensor | bool:
    """`and`, `or`, `not` of conditions."""
    for i, x in enumerate(operands):
        good = x.dtype == "bool" if isinstance(x, Tensor) else isinstance(x, bool)
        if not good:
            raise Refusal(
                "E0223",
                f"`{op}` combines conditions",
                parts=((i, "this is no condition"),),
                help="compare it with something, as in `x > 0`",
            )
    if not any(isinstance(x, Tensor) for x in operands):
        flags = [bool(x) for x in operands]
        return not flags[0] if op == "not" else all(flags) if op == "and" else any(flags)
    return elementwise(op, operands, stated, "bool")


def select(condition: Value, yes: Value, no: Value, stated: Axes | None = None) -> Value:
    """`yes` where the condition holds, else `no`, element by element."""
    if isinstance(condition, bool):
        return yes if condition else no
    need(
        isinstance(condition, Tensor) and condition.dtype == "bool",
        "E0223",
        "`select` chooses by a condition",
        "its first operand is a comparison: `select(x > 0, x, 0)`",
    )
    dtype = select_dtype(yes, no)
    nodes, result = align([tensor_of(condition, "bool"), tensor_of(yes, dtype), tensor_of(no, dtype)], stated)
    return Tensor(make("select", *nodes), result.axes, entered=result.entered)


def select_dtype(yes: Value, no: Value) -> str:
    bools = [isinstance(x, bool) or (isinstance(x, Tensor) and x.dtype == "bool") for x in (yes, no)]
    return "bool" if all(bools) else joint_dtype([yes, no])


def extreme(op: str, operands: Sequence[Value], stated: Axes | None = None) -> Value:
    """Elementwise `max` or `min` of two."""
    if any(isinstance(x, Tensor) for x in operands):
        return elementwise(op, operands, stated)
    numbers = [number(x) for x in operands]
    return max(numbers) if op == "max" else min(numbers)


def function(name: str, x: Value) -> Value:
    """exp, log, sqrt, … of a number or a tensor."""
    if not isinstance(x, Tensor):
        return fold(lambda: c.FUNCTIONS[name](number(x)))
    if name == "sign":
        return sign(x)
    return apply("rint" if name == "round" else name, x)


def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1; 0 for NaN."""
    negative = select(compare("<", x, 0), -1.0, 0.0)
    result = select(compare(">", x, 0), 1.0, negative)
    assert isinstance(result, Tensor)
    return result


def constant_vector(numbers: Sequence[Number], axis: str) -> Tensor:
    """A written list of numbers along `axis`, as f32."""
    bits = tuple(c.f32_bits(x) for x in numbers)
    return Tensor(make("const", dtype="f32", shape=(len(bits),), bits=bits), (axis,))


def full(x: Number, axes: Axes, shape: tuple[int, ...]) -> Tensor:
    """`x` everywhere, as f32."""
    return Tensor(filled(number_node(x, "f32"), shape), axes)


def filled(node: Node, shape: tuple[int, ...]) -> Node:
    return make("broadcast", node, shape=shape, axes=()) if shape else node
