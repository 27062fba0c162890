"""The largest error of each library function, in ulps, as measured over its whole domain.

The slow tests measure every figure again; docs/numerics.md shows the same ones and a test compares them.
Those of one argument are over all 2^32 inputs; pow is over its sample (tests/numerics/test_power.py).
"""

MEASURED_ULPS = {
    "exp": 0.8914,
    "log": 0.8756,
    "tanh": 0.9275,
    "erf": 0.9265,
    "sin": 0.8839,
    "cos": 0.8808,
    "rsqrt": 1.4904,
}
"""Rounded up to four digits."""

POW_ULPS = 0.95
