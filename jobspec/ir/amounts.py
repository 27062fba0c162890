"""Numbers as people read them: three significant digits, powers of a thousand."""

from __future__ import annotations

STEPS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def amount(n: float) -> str:
    """`26.1k`, `1.2M`."""
    return next((f"{n / power:.3g}{letter}" for power, letter in STEPS if n >= power), f"{n:g}")


def in_bytes(size: float) -> str:
    """`4.87 TB`."""
    return next((f"{size / power:.3g} {letter}B" for power, letter in STEPS if size >= power), f"{size:g} B")
