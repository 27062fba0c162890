"""Coefficients of the library functions, as exact binary32 values.

Written by tools/fit_library.py; do not edit. Each comment gives what is fitted and the largest error of the rounded
polynomial, in the weight of the function that it serves.
"""

from typing import Final

h: Final = float.fromhex

# (e^x - 1)/x on |x| <= ln(2)/2, for e^x: 2^-28.26
EXP: Final = (
    h("0x1.0000000000000p+0"),
    h("0x1.fffffc0000000p-2"),
    h("0x1.5554920000000p-3"),
    h("0x1.5558aa0000000p-5"),
    h("0x1.12396e0000000p-7"),
    h("0x1.6a52420000000p-10"),
)
# (log1p(x) - x)/x^2 on [sqrt(1/2) - 1, sqrt(2) - 1], for log1p(x): 2^-27.83
LOG: Final = (
    h("-0x1.fffff80000000p-2"),
    h("0x1.5555500000000p-2"),
    h("-0x1.0004380000000p-2"),
    h("0x1.99a41e0000000p-3"),
    h("-0x1.5423ea0000000p-3"),
    h("0x1.226c420000000p-3"),
    h("-0x1.0f51a20000000p-3"),
    h("0x1.08770a0000000p-3"),
    h("-0x1.381b9a0000000p-4"),
)
# (tanh(x)/x - 1)/x^2 of x^2, x < 1, for tanh(x)/x: 2^-27.68
TANH: Final = (
    h("-0x1.55553c0000000p-2"),
    h("0x1.110be40000000p-3"),
    h("-0x1.b9623a0000000p-5"),
    h("0x1.6009a20000000p-6"),
    h("-0x1.045fd00000000p-7"),
    h("0x1.2d9f4e0000000p-9"),
    h("-0x1.77ca4c0000000p-12"),
)
# erf(x)/x - 1 of x^2, x < 0.921875, for erf(x)/x: 2^-30.06
ERF_SMALL: Final = (
    h("0x1.06eba80000000p-3"),
    h("-0x1.8127400000000p-2"),
    h("0x1.ce2d640000000p-4"),
    h("-0x1.b801180000000p-6"),
    h("0x1.5449e40000000p-8"),
    h("-0x1.a606c20000000p-11"),
    h("0x1.4f562e0000000p-14"),
)
# -log(erfc(x))/x - 1 on [0.921875, 3.9375], for erf(x): 2^-30.36
ERF_LARGE: Final = (
    h("0x1.07796c0000000p-3"),
    h("0x1.4531fc0000000p-1"),
    h("0x1.b32cf00000000p-4"),
    h("-0x1.856b060000000p-6"),
    h("0x1.ddcd600000000p-9"),
    h("-0x1.5339500000000p-12"),
    h("0x1.7b366c0000000p-17"),
)
# (sin(x)/x - 1)/x^2 of x^2, x < 0.8, for sin(x)/x: 2^-32.49
SIN: Final = (
    h("-0x1.5555560000000p-3"),
    h("0x1.1111720000000p-7"),
    h("-0x1.a056360000000p-13"),
    h("0x1.7b20a60000000p-19"),
)
# (cos(x) - 1)/x^2 of x^2, x < 0.8, for cos(x): 2^-32.93
COS: Final = (
    h("-0x1.0000000000000p-1"),
    h("0x1.55554a0000000p-5"),
    h("-0x1.6c0c080000000p-10"),
    h("0x1.99d83a0000000p-16"),
)
# (2 atanh(x) - 2x - 2/3 x^3)/x^5 of x^2, x < 0.172, for log(m) of pow: 2^-35.73
POW_LOG: Final = (
    h("0x1.999a020000000p-2"),
    h("0x1.2451a60000000p-2"),
    h("0x1.dfcbfc0000000p-3"),
)
LN2: Final = h("0x1.62e4300000000p-1")
LN2_TAIL: Final = h("-0x1.05c6100000000p-29")
LN2_SHORT: Final = (h("0x1.62e4000000000p-1"), h("0x1.7f7d1c0000000p-20"))
TWO_THIRDS: Final = (h("0x1.5555560000000p-1"), h("-0x1.5555560000000p-26"))
LOG2E: Final = h("0x1.7154760000000p+0")
TWO_OVER_PI: Final = h("0x1.45f3060000000p-1")
HALF_PI: Final = (h("0x1.921fb60000000p+0"), h("-0x1.777a5c0000000p-25"), h("-0x1.ee59da0000000p-50"))
TWO_OVER_PI_WORDS: Final = (
    0x0145F306,
    0xDC9C882A,
    0x53F84EAF,
    0xA3EA69BB,
    0x81B6C52B,
    0x32788720,
    0x83FCA2C7,
)
