"""Compile-time numbers: exact integers and binary64, folded by specified arithmetic.

Takes: Python ints and floats. Promises: the same result on every machine. Integers stay exact under
`+ - *`, powers and divisions that come out even; otherwise a number is binary64. `+ - * / sqrt` are
IEEE 754 (correctly rounded everywhere); exp, log, sin, cos, tanh, erf and powers are computed to 60
digits by decimal arithmetic, which is specified, and rounded once. libm is never asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from fractions import Fraction

Number = int | float

PI = 3.141592653589793
DIGITS = 60
#: an exact integer result beyond this many bits becomes binary64
EXACT_BITS = 256


class Undefined(ValueError):
    """The operation has no value there; the message says which and why."""


def real(x: Number) -> float:
    """The nearest binary64."""
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def add(a: Number, b: Number) -> Number:
    return a + b if exact(a, b) else real(a) + real(b)


def sub(a: Number, b: Number) -> Number:
    return a - b if exact(a, b) else real(a) - real(b)


def mul(a: Number, b: Number) -> Number:
    return bounded(a * b) if exact(a, b) else real(a) * real(b)


def div(a: Number, b: Number) -> Number:
    if b == 0:
        raise Undefined("division by zero")
    if isinstance(a, int) and isinstance(b, int):
        return a // b if a % b == 0 else quotient(a, b)
    return real(a) / real(b)


def quotient(a: int, b: int) -> float:
    try:
        return a / b
    except OverflowError:
        raise Undefined("the number is too large for binary64") from None


def mod(a: Number, b: Number) -> Number:
    if not (isinstance(a, int) and isinstance(b, int)):
        raise Undefined("`%` is defined on whole numbers")
    if b == 0:
        raise Undefined("division by zero")
    return a % b


def exact(a: Number, b: Number) -> bool:
    return isinstance(a, int) and isinstance(b, int)


def bounded(n: Number) -> Number:
    return n if isinstance(n, float) or n.bit_length() <= EXACT_BITS else real(n)


def power(x: Number, y: Number) -> Number:
    """x^y. Whole powers of integers are exact; the rest is binary64, rounded once."""
    if isinstance(x, int) and isinstance(y, int) and y >= 0 and x.bit_length() * y <= 4096:
        return bounded(x**y)
    if x == 0 or y == 0 or not finite(x, y):
        return special_power(real(x), real(y))
    sign = -1.0 if x < 0 and odd(y) else 1.0
    if x < 0 and y != math.floor(y):
        raise Undefined("a negative number to a fractional power")
    return sign * to_digits(lambda: (Decimal(y) * Decimal(abs(x)).ln()).exp())


def special_power(x: float, y: float) -> float:
    """IEEE 754 pow where an operand is zero, infinite or NaN: exact, so the platform's is as good as any."""
    try:
        return math.pow(x, y)
    except (ValueError, ZeroDivisionError):
        raise Undefined("zero to a negative power") from None


def odd(y: Number) -> bool:
    return y == math.floor(y) and int(y) % 2 == 1


def finite(*numbers: Number) -> bool:
    return all(isinstance(n, int) or math.isfinite(n) for n in numbers)


def to_digits(compute: Callable[[], Decimal], digits: int = DIGITS) -> float:
    """The value of `compute` in decimal arithmetic of `digits` digits, as the nearest binary64."""
    with localcontext(Context(prec=digits, Emax=10**7, Emin=-(10**7))):
        return float(compute())


def exp(x: Number) -> float:
    if x == -math.inf or x < -800:
        return 0.0
    if x > 800:
        return math.inf
    return to_digits(lambda: Decimal(x).exp())


def log(x: Number) -> float:
    if not x >= 0:
        raise Undefined("the logarithm of a negative number")
    if x in (0, math.inf):
        return -math.inf if x == 0 else math.inf
    return to_digits(lambda: Decimal(x).ln())


def sqrt(x: Number) -> Number:
    if not x >= 0:
        raise Undefined("the square root of a negative number")
    root = math.isqrt(x) if isinstance(x, int) else -1
    return root if root * root == x else math.sqrt(real(x))


def rsqrt(x: Number) -> Number:
    return div(1, sqrt(x))


def tanh(x: Number) -> float:
    if x == 0 or abs(x) > 30:
        return math.copysign(min(1.0, abs(real(x))), x)
    return to_digits(lambda: tanh_of(Decimal(x)), DIGITS + extra_digits(x))


def tanh_of(x: Decimal) -> Decimal:
    square = (2 * x).exp()
    return (square - 1) / (square + 1)


def sin(x: Number) -> float:
    return to_digits(lambda: sine(Decimal(angle(x))), DIGITS + extra_digits(x))


def cos(x: Number) -> float:
    return to_digits(lambda: sine(Decimal(angle(x)) + pi_digits() / 2), DIGITS + extra_digits(x))


def angle(x: Number) -> Number:
    if not finite(x):
        raise Undefined("the angle is not finite")
    return x


def extra_digits(x: Number) -> int:
    """Digits that reducing a large argument, or subtracting 1 near a small one, uses up."""
    return 20 + (abs(Decimal(x).adjusted()) if x else 0)


def sine(x: Decimal) -> Decimal:
    """Taylor's series after reduction to [-pi, pi]."""
    turn = 2 * pi_digits()
    x -= turn * (x / turn).to_integral_value()
    return series(x, lambda k: -x * x / ((2 * k) * (2 * k + 1)))


def pi_digits() -> Decimal:
    """pi to the digits of the current context, by Machin's formula."""
    return 16 * arctan_inverse(5) - 4 * arctan_inverse(239)


def arctan_inverse(n: int) -> Decimal:
    x, total, sign, power_, k = Decimal(1) / n, Decimal(0), 1, Decimal(1) / n, 1
    while total + power_ / k != total:
        total += sign * power_ / k
        power_, sign, k = power_ * x * x, -sign, k + 2
    return total


def series(first: Decimal, ratio: Callable[[int], Decimal]) -> Decimal:
    """first * (1 + ratio(1) + ratio(1) ratio(2) + …) until a term no longer counts."""
    total, term, k = first, first, 1
    while term and total + (term := term * ratio(k)) != total:
        total, k = total + term, k + 1
    return total


def erf(x: Number) -> float:
    """2/sqrt(pi) * sum of (-1)^k x^(2k+1) / (k! (2k+1)); beyond 6 it is 1 to the last bit."""
    if abs(x) > 6:
        return math.copysign(1.0, x)
    return to_digits(lambda: erf_of(Decimal(x)), DIGITS + 40)


def erf_of(x: Decimal) -> Decimal:
    total = series(x, lambda k: -x * x * (2 * k - 1) / (k * (2 * k + 1)))
    return 2 * total / pi_digits().sqrt()


def floor(x: Number) -> Number:
    return math.floor(x) if finite(x) else x


def rint(x: Number) -> Number:
    return round(x) if finite(x) else x


def sign(x: Number) -> int:
    return (x > 0) - (x < 0)


def narrowed(x: Number, digits: int, least: int, beyond: int) -> Number:
    """The nearest number with `digits` bits of significand, ties to even; no exponent is below `least`; infinity from
    `beyond` on."""
    if not finite(x) or x == 0:
        return x
    size = abs(Fraction(x))
    unit = Fraction(2) ** (max(exponent_of(size), least) - digits + 1)
    near = round(size / unit) * unit
    return math.copysign(float(near) if near < beyond else math.inf, x)


def exponent_of(x: Fraction) -> int:
    """e with 2^e <= x < 2^(e+1), x above 0."""
    exponent = x.numerator.bit_length() - x.denominator.bit_length()
    return exponent if x >= Fraction(2) ** exponent else exponent - 1


FUNCTIONS: dict[str, Callable[[Number], Number]] = {
    "exp": exp,
    "log": log,
    "sqrt": sqrt,
    "rsqrt": rsqrt,
    "tanh": tanh,
    "erf": erf,
    "sin": sin,
    "cos": cos,
    "abs": abs,
    "floor": floor,
    "round": rint,
    "sign": sign,
    "bf16": lambda x: narrowed(x, 8, -126, 2**128),
    "f16": lambda x: narrowed(x, 11, -14, 2**16),
}


def f32_bits(x: Number) -> int:
    """Bit pattern of the binary32 nearest to `x`, ties to even; subnormals kept; beyond the range: infinity."""
    if x != x:
        return 0x7FC00000
    negative = 1 << 31 if x < 0 or (x == 0 and math.copysign(1.0, x) < 0) else 0
    if not finite(x):
        return negative | 0x7F800000
    return negative | min(magnitude_bits(abs(Fraction(x))), 0x7F800000)


def magnitude_bits(x: Fraction) -> int:
    """Bits of a non-negative number: the exponent's position, then the significand rounded once."""
    if x == 0:
        return 0
    exponent = max(exponent_of(x), -126)
    significand = round(x / Fraction(2) ** (exponent - 23))
    return ((exponent + 126) << 23) + significand


def words(x: Number) -> str:
    """The number as a person would write it."""
    return "inf" if x == math.inf else "-inf" if x == -math.inf else f"{x:.12g}" if isinstance(x, float) else str(x)
