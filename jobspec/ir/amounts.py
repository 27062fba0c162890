"""Numbers as people read them: three significant digits, powers of a thousand."""

from __future__ import annotations

#: the least that rounds to 1.00 of a power, which begins there
STEPS = tuple((1e3**n, 0.9995 * 1e3**n, letter) for n, letter in ((5, "P"), (4, "T"), (3, "G"), (2, "M"), (1, "k")))


def amount(n: float) -> str:
    """`26.1k`, `1.2M`."""
    return next((f"{n / power:.3g}{letter}" for power, least, letter in STEPS if n >= least), f"{n:.3g}")


def in_bytes(size: float) -> str:
    """`4.87 TB`."""
    return next((f"{size / power:.3g} {letter}B" for power, least, letter in STEPS if size >= least), f"{size:.3g} B")
