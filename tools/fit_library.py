"""Fits the coefficients of the library functions and writes jobspec/ir/library/coefficients.py.

    python tools/fit_library.py            writes the table (about 10 s, needs mpmath)
    python tools/fit_library.py --check    exits 1 if the committed table differs

Takes: nothing but the functions' definitions. Promises: the same table on every machine: all arithmetic is
mpmath's. Each polynomial is a weighted minimax fit (Remez, single exchange, on a grid) whose coefficients are
rounded to binary32 one by one, lowest power first, the rest being fitted again after each rounding.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mpmath as mp

Real = Any  # an mpmath number
real = mp.mpf
Function = Callable[[Real], Real]
TABLE = Path(__file__).parents[1] / "jobspec" / "ir" / "library" / "coefficients.py"
GRID = 400
mp.mp.dps = 30


@dataclass(frozen=True)
class Fit:
    """A polynomial p of a degree, with weight * |p - target| small on [low, high]."""

    name: str
    what: str
    target: Function
    weight: Function
    low: Real
    high: Real
    degree: int


def round_to_f32(x: Real) -> Real:
    """Nearest binary32 (normal range), ties to even."""
    if x == 0:
        return real(0)
    mantissa, exponent = mp.frexp(x)
    return mp.nint(mantissa * 2**24) * real(2) ** (exponent - 24)


def chebyshev_grid(low: Real, high: Real) -> list[Real]:
    """Points dense at both ends; the origin is left out, where quotients have no value."""
    nodes = [mp.cos(mp.pi * k / (GRID - 1)) for k in range(GRID)]
    points = [(low + high) / 2 - (high - low) / 2 * node for node in nodes]
    return [x for x in points if abs(x) > real("1e-9")]


def levelled(
    xs: Sequence[Real], ts: Sequence[Real], ws: Sequence[Real], points: Sequence[int]
) -> tuple[list[Real], Real]:
    """Coefficients whose weighted error is +e, -e, +e, ... at the points, and e."""
    size = len(points)
    rows = [[ws[i] * xs[i] ** d for d in range(size - 1)] + [real(-1) ** r] for r, i in enumerate(points)]
    solution = mp.lu_solve(mp.matrix(rows), mp.matrix([ws[i] * ts[i] for i in points]))
    return [solution[k] for k in range(size - 1)], solution[size - 1]


def exchange(points: list[int], worst: int, errors: Sequence[Real], first_positive: bool) -> list[int]:
    """The reference with `worst` taken in so that signs still alternate."""
    last = len(points) - 1
    place = sum(p < worst for p in points)
    sign_at = [(r % 2 == 0) == first_positive for r in range(last + 1)]
    if place == 0:
        return [worst, *(points[1:] if (errors[worst] > 0) == sign_at[0] else points[:-1])]
    if place > last:
        return [*(points[:-1] if (errors[worst] > 0) == sign_at[last] else points[1:]), worst]
    out = place if (errors[worst] > 0) == sign_at[place] else place - 1
    return [*points[:out], worst, *points[out + 1 :]]


def remez(xs: Sequence[Real], ts: Sequence[Real], ws: Sequence[Real], count: int) -> list[Real]:
    """The `count` coefficients that minimise the largest weighted error on the grid."""
    points = [round((len(xs) - 1) * k / count) for k in range(count + 1)]
    while True:
        coefficients, level = levelled(xs, ts, ws, points)
        errors = [w * (t - mp.polyval(coefficients[::-1], x)) for x, t, w in zip(xs, ts, ws, strict=True)]
        worst = max(range(len(xs)), key=lambda i: abs(errors[i]))
        if abs(errors[worst]) <= abs(level) * real("1.001") or worst in points:
            return coefficients
        points = exchange(points, worst, errors, level > 0)


def solve(fit: Fit) -> list[Real]:
    """The rounded coefficients."""
    xs = chebyshev_grid(fit.low, fit.high)
    rest = [fit.target(x) for x in xs]
    weights = [abs(fit.weight(x)) for x in xs]
    result: list[Real] = []
    for power in range(fit.degree + 1):
        result.append(round_to_f32(remez(xs, rest, weights, fit.degree + 1 - power)[0]))
        rest = [(t - result[-1]) / x for t, x in zip(rest, xs, strict=True)]
        weights = [w * abs(x) for w, x in zip(weights, xs, strict=True)]
    return result


def worst_error(fit: Fit, coefficients: Sequence[Real]) -> Real:
    """Largest weighted error of the rounded polynomial on the grid."""
    xs = chebyshev_grid(fit.low, fit.high)
    return max(abs(fit.weight(x) * (fit.target(x) - mp.polyval(coefficients[::-1], x))) for x in xs)


HALF_LN2 = mp.log(2) / 2 * real("1.0001")
ROOT = mp.sqrt(2)
ANGLE = real("0.8") ** 2


def sinc_rest(s: Real) -> Real:
    """(sin(x)/x - 1)/x^2 of s = x^2."""
    x = mp.sqrt(s)
    return (mp.sin(x) / x - 1) / s


def tanh_rest(s: Real) -> Real:
    """(tanh(x)/x - 1)/x^2 of s = x^2."""
    x = mp.sqrt(s)
    return (mp.tanh(x) / x - 1) / s


def atanh_rest(s: Real) -> Real:
    """(2 atanh(x) - 2x - 2/3 x^3)/x^5 of s = x^2."""
    x = mp.sqrt(s)
    return (2 * mp.atanh(x) / x - 2 - s * 2 / 3) / s**2


FITS = (
    Fit("EXP", "(e^x - 1)/x on |x| <= ln(2)/2, for e^x", lambda x: mp.expm1(x) / x, lambda x: x / mp.exp(x),
        -HALF_LN2, HALF_LN2, 5),
    Fit("LOG", "(log1p(x) - x)/x^2 on [sqrt(1/2) - 1, sqrt(2) - 1], for log1p(x)", lambda x: (mp.log1p(x) - x) / x**2,
        lambda x: x**2 / mp.log1p(x), 1 / ROOT - 1, ROOT - 1, 8),
    Fit("TANH", "(tanh(x)/x - 1)/x^2 of x^2, x < 1, for tanh(x)/x", tanh_rest,
        lambda s: s * mp.sqrt(s) / mp.tanh(mp.sqrt(s)), real("1e-6"), real(1), 6),
    Fit("ERF_SMALL", "erf(x)/x - 1 of x^2, x < 0.921875, for erf(x)/x", lambda s: mp.erf(mp.sqrt(s)) / mp.sqrt(s) - 1,
        lambda s: mp.sqrt(s) / mp.erf(mp.sqrt(s)), real("1e-6"), real("0.921875") ** 2, 6),
    Fit("ERF_LARGE", "-log(erfc(x))/x - 1 on [0.921875, 3.9375], for erf(x)", lambda x: -mp.log(mp.erfc(x)) / x - 1,
        lambda x: x * mp.erfc(x) / mp.erf(x), real("0.921875"), real("3.9375"), 6),
    Fit("SIN", "(sin(x)/x - 1)/x^2 of x^2, x < 0.8, for sin(x)/x", sinc_rest, lambda s: s, real("1e-6"), ANGLE, 3),
    Fit("COS", "(cos(x) - 1)/x^2 of x^2, x < 0.8, for cos(x)", lambda s: (mp.cos(mp.sqrt(s)) - 1) / s, lambda s: s,
        real("1e-6"), ANGLE, 3),
    Fit("POW_LOG", "(2 atanh(x) - 2x - 2/3 x^3)/x^5 of x^2, x < 0.172, for log(m) of pow", atanh_rest, lambda s: s**2,
        real("1e-6"), real("0.172") ** 2, 2),
)  # fmt: skip


def parts(x: Real, count: int) -> list[Real]:
    """`x` as an unevaluated sum of binary32 numbers, each the rounded rest."""
    result: list[Real] = []
    for _ in range(count):
        result.append(round_to_f32(x - sum(result)))
    return result


def short_parts(x: Real, bits: int) -> list[Real]:
    """`x` in [0.5, 1) as a number of that many bits and the rest, rounded."""
    head = mp.floor(x * 2**bits) / 2**bits
    return [head, round_to_f32(x - head)]


def two_over_pi_words() -> list[int]:
    """7 zero bits, then 2/pi's bits after the point, in seven 32-bit words."""
    with mp.workdps(100):
        bits = int(mp.floor(2 / mp.pi * real(2) ** (7 * 32 - 7)))
    return [bits >> (32 * k) & 0xFFFFFFFF for k in reversed(range(7))]


def hex_of(x: Real) -> str:
    return f'h("{float(x).hex()}")'


def table() -> str:
    """The text of coefficients.py."""
    lines = [HEAD]
    for fit in FITS:
        coefficients = solve(fit)
        error = mp.nstr(mp.log(worst_error(fit, coefficients), 2), 4)
        lines += [f"# {fit.what}: 2^{error}", f"{fit.name}: Final = ("]
        lines += [*(f"    {hex_of(c)}," for c in coefficients), ")"]
    lines += [f"LN2: Final = {hex_of(parts(mp.log(2), 2)[0])}", f"LN2_TAIL: Final = {hex_of(parts(mp.log(2), 2)[1])}"]
    lines += [f"LN2_SHORT: Final = ({', '.join(map(hex_of, short_parts(mp.log(2), 16)))})"]
    lines += [f"TWO_THIRDS: Final = ({', '.join(map(hex_of, parts(real(2) / 3, 2)))})"]
    lines += [f"LOG2E: Final = {hex_of(round_to_f32(1 / mp.log(2)))}"]
    lines += [f"TWO_OVER_PI: Final = {hex_of(round_to_f32(2 / mp.pi))}"]
    lines += [f"HALF_PI: Final = ({', '.join(map(hex_of, parts(mp.pi / 2, 3)))})"]
    lines += ["TWO_OVER_PI_WORDS: Final = (", *(f"    0x{word:08X}," for word in two_over_pi_words()), ")"]
    return "\n".join(lines) + "\n"


HEAD = '''"""Coefficients of the library functions, as exact binary32 values.

Written by tools/fit_library.py; do not edit. Each comment gives what is fitted and the largest error of the rounded
polynomial, in the weight of the function that it serves.
"""

from typing import Final

h: Final = float.fromhex
'''


def main(arguments: Sequence[str]) -> int:
    text = table()
    if "--check" in arguments:
        return int(TABLE.read_text() != text)
    TABLE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
